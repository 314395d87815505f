/* unmet.c: triggers and views of a restored file that name a table which no history holds: a full-text index, say. They are told by the words of their text alone:
 * a schema comes from a peer, and compiling its views can take for ever. */
#include "core/replay/materialise.h"

#define WORD_MAX 255

static bool in_name(uint8_t c)
{
	return c >= 0x80 || c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Does the text have `name` as a word of its own, in whatever case? */
static bool has_word(struct trib_span text, struct trib_span name)
{
	for (size_t i = 0; i + name.n <= text.n; i++)
		if ((i == 0 || !in_name(text.p[i - 1])) && (i + name.n == text.n || !in_name(text.p[i + name.n])) &&
		    trib_fold_cmp(trib_span(text.p + i, name.n), name) == 0)
			return true;
	return false;
}

/* st: type, name, its table, text. One line for each table left out that it names. */
static void list_one(sqlite3_stmt *st, const struct trib_manifest *m, struct trib_buf *ret)
{
	struct trib_span sql = trib_span(sqlite3_column_blob(st, 3), (size_t)sqlite3_column_bytes(st, 3));
	bool trigger = strcmp((const char *)sqlite3_column_text(st, 0), "trigger") == 0;
	for (size_t i = 0; i < m->nleft_out; i++) {
		const struct trib_mf_left_out *l = &m->left_out[i];
		if (strcmp(l->reason, "virtual") != 0 || strlen(l->name) > WORD_MAX || !has_word(sql, trib_span_str(l->name)))
			continue;
		trib_buf_printf(ret, trigger ? "trigger %s on %s: %s\n" : "view %s%.0s: %s\n", (const char *)sqlite3_column_text(st, 1), (const char *)sqlite3_column_text(st, 2), l->name);
	}
}

int trib_material_unmet(const struct trib_material *m, sqlite3 *db, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!m->manifest->nleft_out)
		return 0;
	if (trib_db_prepare(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view') AND sql IS NOT NULL ORDER BY type, name", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(db, st, err)) > 0)
		list_one(st, m->manifest, ret);
	return row < 0 ? -1 : trib_buf_check(ret, "list of triggers and views", err);
}
