/* compare.h: what all engines share: from differing rows to canonical parts; internal to agent/capture.
 *
 * trib_compare_states plans the tables of both parts (D4.6), gathers differing rows table by table and writes them. For a table that is there in
 * both states an engine may bring its own way to find them, a matcher. It may give more rows than differ (equal ones cancel), never fewer. */
#ifndef TRIB_CAPTURE_COMPARE_H
#define TRIB_CAPTURE_COMPARE_H

#include "agent/capture/emit.h"
#include "agent/capture/rows.h"

struct trib_gather; /* the table whose rows are being gathered */
/* One differing row, its values as they travel. *ret_twice: its key was there already (impossible in a sound database). */
int trib_gather_put(struct trib_gather *g, enum trib_side side, const struct trib_value *v, bool *ret_twice, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_matcher {
	void *ctx;
	/* 1: all differing rows of `part` were put; 0: refused, what was put is forgotten and all rows are read; -1 */
	int (*match)(void *ctx, const struct trib_table *old_t, const struct trib_table *new_t, enum trib_rows_part part, struct trib_gather *g,
		     struct trib_err *err);
};
/* `matcher` NULL: every row of both states is read. */
int trib_compare_states(sqlite3 *old_db, const struct trib_schema *old_schema, sqlite3 *new_db, const struct trib_schema *new_schema,
			const struct trib_matcher *matcher, struct trib_capture *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
