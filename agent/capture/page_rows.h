/* page_rows.h: from the bytes of a record to the row that SQLite would read; internal to agent/capture.
 *
 * A record holds its fields in storage order, an INTEGER PRIMARY KEY as NULL (the rowid is its value), a REAL column's whole numbers as integers, and
 * nothing for columns added after it was written: these take the column's default as SQLite reads it from such a record, which is asked of SQLite. */
#ifndef TRIB_CAPTURE_PAGE_ROWS_H
#define TRIB_CAPTURE_PAGE_ROWS_H

#include "agent/capture/page.h"
#include "agent/capture/rows.h"

struct trib_layout {
	const struct trib_schema *s;
	const struct trib_table *t;
	size_t nfields;
	int *column;             /* of each field, -1: a generated column */
	bool *real;              /* the table's columns that have REAL affinity */
	int alias;               /* column that is the rowid, or -1 */
	struct trib_value *missing; /* defaults by column, NULL until a short record was met */
	struct trib_buf bytes;   /* of them */
};
int trib_layout_read(sqlite3 *db, const struct trib_schema *s, const struct trib_table *t, struct trib_layout *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_layout_release(struct trib_layout *l);
static inline void trib_layout_cleanup(struct trib_layout *l) { trib_layout_release(l); }

/* One record as a row of l->t: v has room for its columns. Text and blobs are as the file has them and borrow from `payload`. */
int trib_layout_decode(struct trib_layout *l, struct trib_span payload, int64_t rowid, struct trib_value *v, struct trib_err *err) TRIB_MUST_CHECK;

#endif
