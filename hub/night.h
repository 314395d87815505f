/* night.h: the nightly list of who was expected, who reported and who was silent (D7.5, F8): a text beside the log, named by a leaf.
 *
 * A night is the leaves after the list before up to this one. Expected is whom a leaf before it made expected; reported, of whom a commit was held
 * in these leaves; the rest is silent. So whoever has the log can tell whether a list hides somebody. */
#ifndef TRIB_HUB_NIGHT_H
#define TRIB_HUB_NIGHT_H

#include "hub/hubdb.h"

#define TRIB_NIGHT_CLOSE_S (8 * 3600) /* 08:00 in the city: after the nightly runs, before the operator's morning */
#define TRIB_NIGHT_LATE_S (2 * 3600)  /* a commit that is held so long after the close without a list shows that the list was left out */

struct trib_night {
	int64_t from, to;
	uint64_t first, end; /* leaves first..end-1; `end` is the list's own leaf */
	uint64_t expected, reported, silent;
};

/* The close at or before t. */
int64_t trib_night_close(int64_t t);
/* Appends the list's text and counts. `st` gives node, app, whether it reported, rising by node and app. */
int trib_night_put(struct trib_buf *b, const char *city, struct trib_night *n, sqlite3 *db, sqlite3_stmt *st, struct trib_err *err) TRIB_MUST_CHECK;
/* Makes the list that is due at `now`: 1, 0 when none is, -1. Several nights without a running hub are one list. */
int trib_night_make(struct trib_hubdb *h, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;
/* The row of hub.db for a list; its leaf is n->end. */
int trib_night_row(struct trib_hubdb *h, const struct trib_night *n, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Walks a list: calls fn for each node. TRIB_E_FORMAT. */
int trib_night_walk(struct trib_span text, int (*fn)(void *ctx, const char *node, const char *app, bool reported, struct trib_err *err), void *ctx,
		    struct trib_err *err) TRIB_MUST_CHECK;

#endif
