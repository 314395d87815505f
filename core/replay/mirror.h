/* mirror.h: strict application of changesets to typeless mirror tables (D9.1a), used by the hub's city database and, with a
 * scratch database, by replay, audit and restore. One code path, so what the city holds is what a restore gives.
 *
 * Mirror tables: `CREATE TABLE "T"("_node", "c1", ..., PRIMARY KEY("_node", key...)) WITHOUT ROWID`, no types, no collations. City
 * names (D9.1): an application's own name that is reserved (`_node _count _hash`, `_bag_*`, `_t_*`, sqlite_*) gets one more `_` in front.
 * Bag of T: `_bag_T`(`_node`, `_hash` = SHA-256 of the canonical row key, columns..., `_count`), key (`_node`, `_hash`). A table whose key shape differs
 * from the mirror's gets its own mirror `_t_TABLE_k2`, `_k3` ...; a view `_t_v_TABLE` joins them when there is more than one. The catalogue of mirrors is
 * in `_t_mirror(name, tbl, shape, mirror)` (name: folded, a bag's with its prefix) and `_t_column(mirror, col, city_col, pk, place)`; `_t_view(name, view)`
 * names the joining views. A bag's key is all its columns, so another column list is another shape. New columns are added with ALTER TABLE.
 * The caller holds the transaction. */
#ifndef TRIB_MIRROR_H
#define TRIB_MIRROR_H

#include "core/replay/judge.h"
#include "core/store/db.h"

struct trib_mirror; /* opaque: a connection plus cached statements */

/* Makes the `_t_*` catalogue when missing. `db` stays the caller's and must outlive the mirror. */
int trib_mirror_new(sqlite3 *db, struct trib_mirror **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* From here on a node may add only so many tables and columns, ever (TRIB_NODE_TABLES_MAX, TRIB_NODE_COLUMNS_MAX): for a file that nodes share. Beyond it
 * applying is TRIB_E_LIMIT. */
void trib_mirror_shared(struct trib_mirror *m);
/* From here on nothing is made: a table or column that is not there is TRIB_E_SCHEMA. For a file that is only read. */
void trib_mirror_fixed(struct trib_mirror *m);
void trib_mirror_free(struct trib_mirror *m);
static inline void trib_mirror_cleanup(struct trib_mirror **m) { trib_mirror_free(*m); }
sqlite3 *trib_mirror_db(const struct trib_mirror *m);
/* Forgets cached statements and table names. The caller calls it after rolling back: mirrors made in that transaction are gone. */
void trib_mirror_forget(struct trib_mirror *m);

struct trib_mismatch { /* why a change did not fit */
	char table[TRIB_NAME_MAX + 1];
	uint8_t key[256]; size_t key_len;
	char reason[64]; /* "row-missing", "row-exists", "old-value-differs", "other-key-has-rows" */
};
/* Applies one checked changeset of `node` under its schema. Old values must match exactly (storage class and bytes); the first that
 * does not is TRIB_E_OUT_OF_STEP with *ret_why, and the caller rolls back. */
int trib_mirror_apply(struct trib_mirror *m, const char *node, const struct trib_schematext *schema, struct trib_span changeset,
		      struct trib_mismatch *ret_why, struct trib_err *err) TRIB_MUST_CHECK;
/* The way back. Every row that the checked changeset names is copied, the first time, from `from` (fixed) as it stands there; with `undo` its changes are
 * then taken back, as strictly as they were applied: called from the newest changeset to the oldest, *m ends with these rows as they were before all of them. */
int trib_mirror_back(struct trib_mirror *m, struct trib_mirror *from, const char *node, const struct trib_schematext *schema, struct trib_span changeset,
		     bool undo, struct trib_mismatch *ret_why, struct trib_err *err) TRIB_MUST_CHECK;
/* Convenience: a judged commit (changeset may be empty). */
int trib_mirror_apply_judged(struct trib_mirror *m, const struct trib_judged *j, struct trib_mismatch *ret_why, struct trib_err *err) TRIB_MUST_CHECK;
/* Recomputes the lanes of one node from the mirror's rows (a full scan of that node's rows). */
int trib_mirror_scan(struct trib_mirror *m, const char *node, struct trib_digester *d, struct trib_lanes *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same by this thread and, when so wished, a helper (core/replay/measure.h). */
int trib_mirror_scan_by(struct trib_mirror *m, const char *node, const uint8_t salt[TRIB_SALT_LEN], const char *app, bool two_threads, struct trib_lanes *ret,
			struct trib_err *err) TRIB_MUST_CHECK;
/* Visits every row of `node` in every mirror, tables rising, rows in key order: for comparisons. names are spelled as the node's folded
 * table name; `city` is the mirror's name. */
typedef int (*trib_mirror_row)(void *ctx, const char *folded_table, const char *mirror, const struct trib_digest_cols *cols,
			       const struct trib_value *row, struct trib_err *err);
int trib_mirror_each(struct trib_mirror *m, const char *node, trib_mirror_row fn, void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
/* Visits the rows of one table (or bag) of a schema as `node` has it: values in the table's column order (a bag's `_count` last), rows in
 * key order. A table that no mirror holds has no rows. */
int trib_mirror_table(struct trib_mirror *m, const char *node, const struct trib_st_table *table, trib_mirror_row fn, void *ctx,
		      struct trib_err *err) TRIB_MUST_CHECK;

/* The mirror that a node with this table in its schema has its rows in: *ret is the caller's, NULL when there is none. */
int trib_mirror_name(struct trib_mirror *m, const struct trib_st_table *table, char **ret, struct trib_err *err) TRIB_MUST_CHECK;

/* The same one row at a time, so that two histories can be read side by side. Values are borrowed until the next call. */
struct trib_mirror_cursor; /* opaque; must not outlive the mirror */
int trib_mirror_cursor_new(struct trib_mirror *m, const char *node, const struct trib_st_table *table, struct trib_mirror_cursor **ret,
			   struct trib_err *err) TRIB_MUST_CHECK;
/* 1 a row, 0 the end, -1. */
int trib_mirror_cursor_next(struct trib_mirror_cursor *c, const struct trib_value **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_mirror_cursor_free(struct trib_mirror_cursor *c);
static inline void trib_mirror_cursor_cleanup(struct trib_mirror_cursor **c) { trib_mirror_cursor_free(*c); }

#endif
