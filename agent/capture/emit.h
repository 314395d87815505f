/* emit.h: differing rows, gathered for one table at a time, and written as canonical changesets cut into parts; internal to agent/capture.
 *
 * The store is a private temporary SQLite database: in memory up to TRIB_LEFTOVER_MEM, then in an unlinked file. Rows are kept as encoded
 * values (F2), so equal rows are equal bytes. */
#ifndef TRIB_CAPTURE_EMIT_H
#define TRIB_CAPTURE_EMIT_H

#include "agent/capture/capture.h"

struct trib_store; /* opaque */

int trib_store_new(struct trib_store **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_store_free(struct trib_store *s);
static inline void trib_store_cleanup(struct trib_store **s) { trib_store_free(*s); }
/* Forgets everything: the next table begins. */
int trib_store_reset(struct trib_store *s, struct trib_err *err) TRIB_MUST_CHECK;
enum trib_side { TRIB_OLD, TRIB_NEW };
/* Keyed rows. *ret_twice: the side has this key already (impossible in a sound database); nothing was added. */
int trib_store_row(struct trib_store *s, enum trib_side side, struct trib_span key, struct trib_span row, bool *ret_twice, struct trib_err *err) TRIB_MUST_CHECK;
/* Bag rows, by content. */
int trib_store_bag(struct trib_store *s, enum trib_side side, struct trib_span row, struct trib_err *err) TRIB_MUST_CHECK;
/* Drops contents whose number did not change; *ret_left: something is left. */
int trib_store_bag_settle(struct trib_store *s, bool *ret_left, struct trib_err *err) TRIB_MUST_CHECK;
/* After settling: counts one row of the whole old state towards the content it equals. */
int trib_store_bag_count(struct trib_store *s, struct trib_span row, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_emit { /* where changes go; zero-initialise, set ret */
	struct trib_capture *ret;
	struct trib_span schema;   /* schema.sql of the parts to come */
	struct trib_part *cur;     /* part being filled, NULL before the first change */
	size_t gz, gz_at;          /* estimated compressed bytes of cur, and up to where */
};
/* What the header of a table says. */
struct trib_emit_table {
	struct trib_span name; /* a bag's with its prefix */
	size_t ncol;           /* a bag's with its count */
	uint8_t pk[TRIB_COLUMNS_MAX + 1];
};
/* Writes what the store holds as changes of one table. `bag`: the bag rows, else the keyed ones. */
int trib_emit_store(struct trib_emit *e, struct trib_store *s, const struct trib_emit_table *t, bool bag, struct trib_err *err) TRIB_MUST_CHECK;
/* A part without rows (a new schema alone). */
int trib_emit_empty(struct trib_emit *e, struct trib_err *err) TRIB_MUST_CHECK;

#endif
