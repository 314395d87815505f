/* veil.h: which tables and columns are private and never leave the office (D4.8), and what the two halves of a schema look like.
 *
 * Names come from policy files in git-config syntax (`[table "resident"] private = id_number`; `private = *` or `policy = private`: the whole
 * table); the union of all lists counts. Names are compared folded. A private column of a table is hidden in the public half; the private half has the
 * key and the hidden columns, one row for each row of the table. What cannot be hidden by column is private as a whole: a table without
 * a key, and one whose key is named. The bag of a table with private columns belongs to the private half, whole. */
#ifndef TRIB_VEIL_H
#define TRIB_VEIL_H

#include "core/store/schema.h"

struct trib_private_name { char *table, *column; /* folded; column NULL: the whole table */ };
struct trib_private_list { struct trib_private_name *names; size_t n; };
void trib_private_release(struct trib_private_list *l);
static inline void trib_private_list_cleanup(struct trib_private_list *l) { trib_private_release(l); }
int trib_private_add(struct trib_private_list *l, const char *table, const char *column, struct trib_err *err) TRIB_MUST_CHECK;
bool trib_private_has(const struct trib_private_list *l, const char *table, const char *column);
/* Adds what a policy file names; a file that is not there names nothing. trib_repo_lib_init was called. TRIB_E_FORMAT with the line. */
int trib_private_load(const char *path, struct trib_private_list *l, struct trib_err *err) TRIB_MUST_CHECK;
/* Would a commit with these lines and this changeset (n == 0: none) show what the list names? With `stays`, the lines are of the state that stays after
 * it and may not name it at all; otherwise values may still be taken away. 1 and the name as people write it, 0, -1. */
int trib_private_shown(const struct trib_private_list *l, const struct trib_schematext *lines, struct trib_span changeset, bool stays, char *ret, size_t size,
		       struct trib_err *err) TRIB_MUST_CHECK;
/* Appends the list as such a file. */
void trib_private_put(struct trib_buf *b, const struct trib_private_list *l);

struct trib_veil_table {
	bool some, whole;  /* a column is hidden; all are */
	const char *why;   /* whole although only columns were named: "key" or "no-key"; else NULL */
	bool *hidden;      /* a column each */
};
struct trib_veil { /* of one schema; its tables in the same order */
	struct trib_veil_table *tables; size_t ntables;
	bool any;
};
void trib_veil_release(struct trib_veil *v);
static inline void trib_veil_cleanup(struct trib_veil *v) { trib_veil_release(v); }
/* What the list makes private. */
int trib_veil_by_list(const struct trib_schema *s, const struct trib_private_list *l, struct trib_veil *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* What was private when the public half had these lines. */
int trib_veil_by_lines(const struct trib_schema *s, const struct trib_schematext *lines, struct trib_veil *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Adds what it hides to a list. */
int trib_veil_names(const struct trib_schema *s, const struct trib_veil *v, struct trib_private_list *l, struct trib_err *err) TRIB_MUST_CHECK;
/* True when every table and column that both schemas have lies in the same half in both: then rows of one comparison can be split. */
bool trib_veil_agree(const struct trib_schema *a, const struct trib_veil *va, const struct trib_schema *b, const struct trib_veil *vb);

enum trib_half {
	TRIB_HALF_PUBLIC,
	TRIB_HALF_PRIVATE,     /* without the bags of keyed tables that have public columns */
	TRIB_HALF_PRIVATE_BAG, /* only those bags */
};
/* One half as a schema of its own: for engines, and as the text of its commits (the text of both private halves is the same and whole). The SQL
 * is that of `s`, borrowed. */
int trib_veil_half(const struct trib_schema *s, const struct trib_veil *v, enum trib_half half, struct trib_schema *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
