/* rows.h: one table of one state as a stream of rows (D4.4, D4.5); internal to agent/capture.
 *
 * A row that cannot travel (too large, text that does not round-trip) is told from the row alone, so both states and every capture leave
 * out the same rows. */
#ifndef TRIB_CAPTURE_ROWS_H
#define TRIB_CAPTURE_ROWS_H

#include "agent/capture/sound.h"
#include "core/store/schema.h"

enum trib_rows_part {
	TRIB_ROWS_ALL,   /* a keyless table */
	TRIB_ROWS_KEYED, /* rows of a keyed table without NULL in the key */
	TRIB_ROWS_BAG,   /* the others */
};
#define TRIB_BAG_COUNT_BYTES 9 /* an encoded integer more in a bag's record */
static inline size_t trib_row_room(enum trib_rows_part part) { return TRIB_ROW_MAX - (part == TRIB_ROWS_KEYED ? 0 : TRIB_BAG_COUNT_BYTES); }
enum trib_rows_order { TRIB_ORDER_ANY, TRIB_ORDER_ROWID, TRIB_ORDER_KEY };

/* From values as a file has them to values as they travel: text of UTF-16 files becomes UTF-8. */
struct trib_row_fit {
	bool utf16, swap;        /* the file's text is UTF-16; not in this machine's byte order */
	struct trib_buf text, units;
};
/* `encoding` as in schema.sql. */
void trib_row_fit_init(struct trib_row_fit *f, const char *encoding);
void trib_row_fit_release(struct trib_row_fit *f);
/* Converts v[0..n) in place; text then lies in f->text until the next call. *ret_why: NULL, or why a row of these values is left out
 * ("row-too-large": more than `room` encoded bytes; "text-not-convertible"); v is then unspecified. */
int trib_row_fit(struct trib_row_fit *f, struct trib_value *v, size_t n, size_t room, const char **ret_why, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_rows {
	sqlite3 *db;
	sqlite3_stmt *st;
	const struct trib_table *t;
	enum trib_rows_part part;
	enum trib_rows_order order;
	uint64_t room;           /* rows that the file can hold at most: a tree that leads into itself has no end */
	bool any;                /* a row was read, with this rowid */
	int64_t rowid;
	int first;               /* place of the first column in the statement */
	int *key;                /* columns of the key, in its order */
	size_t nkey;
	struct trib_value *v;    /* the current row after trib_rows_values; borrowed until the next step */
	struct trib_row_fit fit;
	struct trib_spent *spent; /* set after opening: what each row adds to; NULL: not counted */
};

/* TRIB_ORDER_ANY reads in rowid order where there is one: that costs nothing, and damage shows. */
int trib_rows_open(sqlite3 *db, const struct trib_schema *s, const struct trib_table *t, enum trib_rows_part part, enum trib_rows_order order,
		   struct trib_rows *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_rows_close(struct trib_rows *r);
static inline void trib_rows_cleanup(struct trib_rows *r) { trib_rows_close(r); }
/* 1 a row, 0 the end, -1. A damaged database is TRIB_E_SCHEMA, too many bytes TRIB_E_LIMIT. */
int trib_rows_next(struct trib_rows *r, struct trib_err *err) TRIB_MUST_CHECK;
/* Fills r->v with the values as the file has them (text not converted). */
int trib_rows_raw(struct trib_rows *r, struct trib_err *err) TRIB_MUST_CHECK;
/* Fills r->v. *ret_why: NULL, or the reason why this row is left out ("row-too-large", "text-not-convertible"); r->v is then unspecified. */
int trib_rows_values(struct trib_rows *r, const char **ret_why, struct trib_err *err) TRIB_MUST_CHECK;
/* The order of both current rows in the streams' common order: a hint, nothing depends on it. */
int trib_rows_cmp(const struct trib_rows *a, const struct trib_rows *b);
/* True when the two current rows are surely the same row with the same content, `map` giving each column of `b` its column in `a`
 * (-1: none, then the value must be NULL), and neither is left out. False may also mean "not sure". */
bool trib_rows_same(const struct trib_rows *a, const struct trib_rows *b, const int *map);
/* Does a keyed table hold rows with NULL in the key? */
int trib_rows_has_bag(sqlite3 *db, const struct trib_table *t, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Number of rows. */
int trib_rows_count(sqlite3 *db, const struct trib_table *t, uint64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
