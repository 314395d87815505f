/* halves.h: a file whose rows are the sum of a public and a private history (D4.8): reading both side by side, and measuring both on one file.
 * Internal to core/replay, but for trib_scan_halves (replay.h). */
#ifndef TRIB_HALVES_H
#define TRIB_HALVES_H

#include "core/replay/materialise.h"
#include "core/store/schema.h"

/* What the statements of schema.sql make, and what of it no history here has values for. */
struct trib_whole {
	struct trib_schema schema;  /* of an empty file made by the statements */
	bool **absent;              /* per table and column */
	bool *table;                /* per table: nothing of it is here */
	bool any;
	struct trib_buf sql;        /* the statements, absent columns without NOT NULL */
	struct trib_span run;       /* what to run: `sql`, or schema.sql's own when nothing is absent */
};
int trib_whole_make(const struct trib_material *m, struct trib_whole *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_whole_release(struct trib_whole *w);
static inline void trib_whole_cleanup(struct trib_whole *w) { trib_whole_release(w); }
const struct trib_table *trib_whole_table(const struct trib_whole *w, const char *name);
/* Appends "TABLE private" and "TABLE.COLUMN private" lines. */
void trib_whole_list(const struct trib_whole *w, const struct trib_material *m, struct trib_buf *b);

/* The line of a table (or of its bag), by the table's own name, or NULL. */
const struct trib_st_table *trib_line_of(const struct trib_schematext *s, const char *name, bool bag);
/* Visits the rows of a keyed table whose columns lie in both halves: values in the order of `t`. A row that only one half has is TRIB_E_VERIFY. */
typedef int (*trib_joined_row)(void *ctx, const struct trib_value *row, struct trib_err *err);
int trib_join_table(const struct trib_material *m, const struct trib_table *t, trib_joined_row fn, void *ctx, struct trib_err *err) TRIB_MUST_CHECK;

#endif
