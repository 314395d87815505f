/* digest.h: the state digest of D6 and F7: LtHash16 per table, advanced from changesets alone.
 *
 * A `trib_lanes` holds the running state of one history: per table (folded name) 1,024 lanes and the row
 * count. It is a plain value: copy it before trying a changeset, throw the copy away on failure. */
#ifndef TRIB_DIGEST_H
#define TRIB_DIGEST_H

#include "core/format/changeset.h"
#include "core/format/schematext.h"
#include "core/format/manifest.h"

#define TRIB_LANES 1024
#define TRIB_SALT_LEN 32
#define TRIB_LANES_NAME_MAX (TRIB_NAME_MAX + 11) /* "sqlite_bag_" and a table's name */
/* As many tables as always fit into TRIB_LANES_MAX; a table that was dropped keeps its (zero) lanes. */
#define TRIB_LANES_TABLES_MAX ((TRIB_LANES_MAX - 18) / (4 + TRIB_LANES_NAME_MAX + 8 + 2 * TRIB_LANES))

/* States of one history share the tables that did not change between them: only what trib_lanes_get has returned since the last copy may be written. */
struct trib_lanes_table {
	char *name; /* folded; a bag's is "sqlite_bag_x" */
	uint64_t rows; /* bags: sum of _count */
	uint16_t lanes[TRIB_LANES];
	unsigned refs; /* states that hold it, beside the first */
	bool known;    /* `digest` is that of `lanes` */
	uint8_t digest[TRIB_SHA256_LEN];
	uint64_t least, most; /* of trib_digest_moves alone: how low and how high `rows` went */
};

struct trib_lanes {
	struct trib_lanes_table **tables; /* rising by name bytes */
	size_t ntables;
};

void trib_lanes_release(struct trib_lanes *l);
static inline void trib_lanes_cleanup(struct trib_lanes *l) { trib_lanes_release(l); }
/* *ret becomes an own copy; a table is copied when one of the two is written. */
int trib_lanes_copy(const struct trib_lanes *from, struct trib_lanes *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Serialised form for state files and hub.db: "tributary-lanes-1\n", then per table lp(name) u64be rows, 2048 bytes. */
void trib_lanes_put(struct trib_buf *b, const struct trib_lanes *l);
int trib_lanes_parse(struct trib_span bytes, struct trib_lanes *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Adds the table to *to as *from has it, or empty: what a schema keeps of the state before. *to does not have it yet. */
int trib_lanes_carry(struct trib_lanes *to, const struct trib_lanes *from, const char *folded_name, struct trib_err *err) TRIB_MUST_CHECK;
/* The table's lanes to be written, created empty when missing. NULL out of memory. Stays valid while other tables are added. */
struct trib_lanes_table *trib_lanes_get(struct trib_lanes *l, const char *folded_name);
/* The table's lanes or NULL. */
const struct trib_lanes_table *trib_lanes_find(const struct trib_lanes *l, const char *folded_name);

/* A hashing context for one salt and app; holds the OpenSSL handles. Not thread-safe; one per thread. */
struct trib_digester;
struct trib_digester *trib_digester_new(const uint8_t salt[TRIB_SALT_LEN], const char *app);
void trib_digester_free(struct trib_digester *d);
static inline void trib_digester_cleanup(struct trib_digester **d) { trib_digester_free(*d); }

/* From now on trib_digest_changeset may start a second thread for a large changeset: not for processes that may not start any. */
void trib_digester_two(struct trib_digester *d);

/* Adds (sign +1) or removes (-1) one whole row. `cols` gives folded column names and key bytes; `row` ncol values;
 * `rows` of the table moves by sign (bags: by sign * _count). */
struct trib_digest_cols {
	size_t ncol;
	const char *const *names; /* folded */
	const uint8_t *pk;
	bool bag;
};
int trib_digest_row(struct trib_digester *d, struct trib_lanes_table *t, const struct trib_digest_cols *cols,
		    const struct trib_value *row, int sign, struct trib_err *err) TRIB_MUST_CHECK;

/* Advances `lanes` by a checked changeset under the schema's column names. Refuses (TRIB_E_SCHEMA) a table that the
 * schema does not list or whose column count or key differs, (TRIB_E_DIGEST) a delete below zero rows.
 * On failure lanes are unspecified: work on a copy. *ret_counts (may be NULL) receives INS UPD DEL per table, by
 * trib_manifest_add_table with ROWS and digest unset (zero). */
int trib_digest_changeset(struct trib_digester *d, struct trib_lanes *lanes, const struct trib_schematext *schema,
			  struct trib_span changeset, struct trib_manifest *ret_counts, struct trib_err *err) TRIB_MUST_CHECK;
/* The same, but moves rows and counts only: the sums of `lanes` stay as they are. For a look ahead, at a fraction of the cost. */
int trib_digest_count(struct trib_lanes *lanes, const struct trib_schematext *schema, struct trib_span changeset, struct trib_manifest *ret_counts,
		      struct trib_err *err) TRIB_MUST_CHECK;

/* What a changeset does to any state: digests are sums, so that it can be worked out before the state is known. *ret holds differences from TRIB_MOVES_BASE rows
 * and no elements. Errors as above, but that rows fall below zero is not seen yet. */
#define TRIB_MOVES_BASE ((uint64_t)1 << 62)
int trib_digest_moves(struct trib_digester *d, const struct trib_schematext *schema, struct trib_span changeset, struct trib_lanes *ret,
		      struct trib_manifest *ret_counts, struct trib_err *err) TRIB_MUST_CHECK;
/* Adds them to a state: exactly what trib_digest_changeset does to it. 1 done; 0 it would refuse (or the state lacks the table), and *to is as it was; -1. */
int trib_lanes_move(struct trib_lanes *to, const struct trib_lanes *moves, struct trib_err *err) TRIB_MUST_CHECK;

/* Published digests. */
void trib_digest_table(const struct trib_lanes_table *t, uint8_t ret[TRIB_SHA256_LEN]);
/* The same, and remembers it for the next time. */
void trib_digest_table_keep(struct trib_lanes_table *t, uint8_t ret[TRIB_SHA256_LEN]);
void trib_digest_overall(const struct trib_lanes *l, const char *app, uint8_t ret[TRIB_SHA256_LEN]);

#endif
