/* shape.h: which city table and columns hold a table of a node (the catalogue of mirror.h). Internal to core/replay.
 *
 * A shape is one table of one schema, resolved: for each of its columns the city column. It is found by the table's folded name and its key
 * (names in key order; a bag: all columns), so nodes with the same key share a mirror whatever other columns they have. */
#ifndef TRIB_SHAPE_H
#define TRIB_SHAPE_H

#include "core/format/schematext.h"
#include "core/store/db.h"

struct trib_shape {
	char *name;     /* folded, as in changesets */
	char *mirror;   /* the city table */
	size_t ncol;    /* a bag's `_count` included */
	char **cols;    /* folded */
	char **city;    /* their city names */
	uint8_t *pk;    /* as in a changeset header */
	bool bag;
};
/* Columns of a resolved table that its mirror lacks (trib_shape_resolve without `create` leaves their city name NULL). */
static inline size_t trib_shape_missing(const struct trib_shape *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->ncol; i++)
		n += !s->city[i];
	return n;
}

/* Makes the catalogue when missing. */
int trib_shape_init(sqlite3 *db, struct trib_err *err) TRIB_MUST_CHECK;
/* *ret is released by trib_shape_release. With `create`, makes the mirror and adds missing columns; without, *ret_found says whether it exists. */
int trib_shape_resolve(sqlite3 *db, const struct trib_st_table *t, bool create, struct trib_shape *ret, bool *ret_found,
		       struct trib_err *err) TRIB_MUST_CHECK;
/* Loads a mirror of the catalogue with all its columns, in the order they came. */
int trib_shape_load(sqlite3 *db, const char *name, const char *mirror, struct trib_shape *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_shape_release(struct trib_shape *s);
static inline void trib_shape_cleanup(struct trib_shape *s) { trib_shape_release(s); }
/* Appends the city name of an application's table or column (D9.1): one more `_` in front of a reserved one, and of one that such a
 * name would meet (`__node`), so that no two names become one. */
void trib_city_name(struct trib_buf *b, struct trib_span name);

/* SQL pieces. */
void trib_shape_sql_columns(struct trib_buf *b, const struct trib_shape *s);               /* "c1","c2" */
void trib_shape_sql_key(struct trib_buf *b, const struct trib_shape *s);                   /* "_node"=?1 AND "k"=?2 ... */
/* Columns a statement's key takes beside _node: 1 for a bag (`_hash`). */
size_t trib_shape_nkey(const struct trib_shape *s);

#endif
