#include "core/store/veil.h"

#include <git2.h>

#include "core/base/fs.h"

#define POLICY_MAX TRIB_MIB
#define NAMES_MAX 65536

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- lists ---- */

void trib_private_release(struct trib_private_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->names[i].table);
		free(l->names[i].column);
	}
	free(l->names);
	*l = (struct trib_private_list){0};
}

static bool same_name(const char *a, const char *b)
{
	return !a || !b ? a == b : trib_fold_cmp(trib_span_str(a), trib_span_str(b)) == 0;
}

bool trib_private_has(const struct trib_private_list *l, const char *table, const char *column)
{
	for (size_t i = 0; i < l->n; i++)
		if (same_name(l->names[i].table, table) && same_name(l->names[i].column, column))
			return true;
	return false;
}

static char *fold_dup(const char *name)
{
	char *p = strdup(name);
	if (p)
		trib_fold((uint8_t *)p, strlen(p));
	return p;
}

int trib_private_add(struct trib_private_list *l, const char *table, const char *column, struct trib_err *err)
{
	if (!*table || strlen(table) > TRIB_NAME_MAX || (column && (!*column || strlen(column) > TRIB_NAME_MAX)))
		return trib_fail(err, TRIB_E_FORMAT, "a private table or column has a name of 1 to %d bytes", TRIB_NAME_MAX);
	if (trib_private_has(l, table, column))
		return 0;
	if (l->n >= NAMES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "more than %d private names", NAMES_MAX);
	struct trib_private_name *grown = reallocarray(l->names, l->n + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	l->names = grown;
	struct trib_private_name n = {fold_dup(table), column ? fold_dup(column) : NULL};
	if (!n.table || (column && !n.column)) {
		free(n.table);
		free(n.column);
		return oom(err);
	}
	l->names[l->n++] = n;
	return 0;
}

/* libgit2 would follow an include to any file of this machine. */
static bool includes(struct trib_span text)
{
	static const char word[] = "include";
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '[')
			continue;
		size_t at = i + 1;
		while (at < text.n && (text.p[at] == ' ' || text.p[at] == '\t'))
			at++;
		if (text.n - at >= sizeof(word) - 1 && trib_fold_cmp(trib_span(text.p + at, sizeof(word) - 1), trib_span_str(word)) == 0)
			return true;
	}
	return false;
}

static int refuse_text(const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(POLICY_MAX);
	if (trib_fs_read(path, &text, err))
		return -1;
	if (text.len && memchr(text.p, 0, text.len))
		return trib_fail(err, TRIB_E_FORMAT, "it holds a NUL byte");
	return includes(trib_buf_span(&text)) ? trib_fail(err, TRIB_E_FORMAT, "it includes another file, which a policy may not") : 0;
}

static int git_reason(struct trib_err *err)
{
	const git_error *e = git_error_last();
	return trib_fail(err, TRIB_E_FORMAT, "%s", e && e->message ? e->message : "it cannot be read");
}

/* One setting: `table.NAME.private` or `table.NAME.policy`; others are of no interest here. */
static int take(struct trib_private_list *l, const char *key, const char *value, struct trib_err *err)
{
	static const char section[] = "table.";
	const char *last = strrchr(key, '.');
	if (strncmp(key, section, sizeof(section) - 1) != 0 || last < key + sizeof(section))
		return 0;
	const char *start = key + sizeof(section) - 1;
	bool private = strcmp(last, ".private") == 0, whole = private ? value && strcmp(value, "*") == 0 :
		       strcmp(last, ".policy") == 0 && value && strcmp(value, "private") == 0;
	if (!private && !whole)
		return 0;
	TRIB_AUTO(trib_mem) char *table = strndup(start, (size_t)(last - start));
	if (!table)
		return oom(err);
	if (!value)
		return trib_fail(err, TRIB_E_FORMAT, "table \"%.100s\": `private` has no value", table);
	return trib_private_add(l, table, whole ? NULL : value, err);
}

static int take_all(git_config *cfg, struct trib_private_list *l, struct trib_err *err)
{
	git_config_iterator *it = NULL;
	git_config_entry *e;
	int rc = 0, got = 0;
	if (git_config_iterator_new(&it, cfg))
		return git_reason(err);
	while (!rc && (got = git_config_next(&e, it)) == 0)
		rc = take(l, e->name, e->value, err);
	git_config_iterator_free(it);
	return rc || got == GIT_ITEROVER || !got ? rc : git_reason(err);
}

int trib_private_load(const char *path, struct trib_private_list *l, struct trib_err *err)
{
	git_config *cfg = NULL;
	if (!trib_fs_exists(path))
		return 0;
	int rc = refuse_text(path, err);
	if (!rc && (git_config_new(&cfg) || git_config_add_file_ondisk(cfg, path, GIT_CONFIG_LEVEL_APP, NULL, 0)))
		rc = git_reason(err);
	if (!rc)
		rc = take_all(cfg, l, err);
	git_config_free(cfg);
	return rc ? trib_ctx(err, "policy file %s", path) : 0;
}

/* ---- what a commit shows ---- */

/* The table as a whole: by its name, because it has no key of which a part could stay, or because its key is named. */
static bool whole_line(const struct trib_private_list *l, const struct trib_st_table *t)
{
	bool any = false, key = trib_private_has(l, t->name, NULL);
	for (size_t i = 0; i < t->ncols; i++) {
		bool named = trib_private_has(l, t->name, t->cols[i].name);
		any = any || named;
		key = key || (named && t->cols[i].pk);
	}
	return key || (t->bag && any);
}

static const char *named_column(const struct trib_private_list *l, const struct trib_st_table *t, const struct trib_change *ch)
{
	for (size_t i = 0; i < t->ncols; i++)
		if (trib_private_has(l, t->name, t->cols[i].name) && (!ch || (ch->new[i].type != TRIB_UNDEF && ch->new[i].type != TRIB_NULL)))
			return t->cols[i].name;
	return NULL;
}

static int shown(char *ret, size_t size, const struct trib_st_table *t, const char *column)
{
	(void)snprintf(ret, size, "%s%s%s", t->name, column ? "." : "", column ? column : "");
	return 1;
}

int trib_private_shown(const struct trib_private_list *l, const struct trib_schematext *lines, struct trib_span changeset, bool stays, char *ret, size_t size,
		       struct trib_err *err)
{
	struct trib_change ch;
	const char *column;
	int row = 0;
	for (size_t i = 0; l->n && stays && i < lines->ntables; i++) {
		const struct trib_st_table *t = &lines->tables[i];
		if (whole_line(l, t) || (column = named_column(l, t, NULL)))
			return shown(ret, size, t, whole_line(l, t) ? NULL : column);
	}
	if (!l->n || !changeset.n)
		return 0;
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(changeset);
	if (!r)
		return oom(err);
	while ((row = trib_cs_next(r, &ch, err)) == 1) {
		const struct trib_st_table *t = ch.op == TRIB_DELETE ? NULL : trib_schematext_find(lines, ch.table->name);
		if (!t || (t->bag && ch.op == TRIB_UPDATE)) /* a count of what was there */
			continue;
		if (whole_line(l, t) || (column = named_column(l, t, &ch)))
			return shown(ret, size, t, whole_line(l, t) ? NULL : column);
	}
	return row;
}

static void put_quoted(struct trib_buf *b, const char *text)
{
	trib_buf_putc(b, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '\n' || *p == '\t') {
			trib_buf_puts(b, *p == '\n' ? "\\n" : "\\t");
			continue;
		}
		if (*p == '"' || *p == '\\')
			trib_buf_putc(b, '\\');
		trib_buf_putc(b, (uint8_t)*p);
	}
	trib_buf_putc(b, '"');
}

void trib_private_put(struct trib_buf *b, const struct trib_private_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		trib_buf_puts(b, "[table ");
		put_quoted(b, l->names[i].table);
		trib_buf_puts(b, "]\n\tprivate = ");
		put_quoted(b, l->names[i].column ? l->names[i].column : "*");
		trib_buf_putc(b, '\n');
	}
}

/* ---- veils ---- */

void trib_veil_release(struct trib_veil *v)
{
	for (size_t i = 0; i < v->ntables; i++)
		free(v->tables[i].hidden);
	free(v->tables);
	*v = (struct trib_veil){0};
}

static int veil_new(const struct trib_schema *s, struct trib_veil *ret, struct trib_err *err)
{
	ret->tables = calloc(s->ntables + 1, sizeof(*ret->tables));
	if (!ret->tables)
		return oom(err);
	for (; ret->ntables < s->ntables; ret->ntables++) {
		bool *hidden = calloc(s->tables[ret->ntables].ncols + 1, sizeof(*hidden));
		if (!hidden)
			return oom(err);
		ret->tables[ret->ntables].hidden = hidden;
	}
	return 0;
}

static void settle(const struct trib_schema *s, struct trib_veil *v)
{
	for (size_t i = 0; i < v->ntables; i++) {
		struct trib_veil_table *t = &v->tables[i];
		for (size_t c = 0; c < s->tables[i].ncols; c++) {
			t->hidden[c] = t->hidden[c] || t->whole;
			t->some = t->some || t->hidden[c];
		}
		t->some = t->some || t->whole;
		v->any = v->any || t->some;
	}
}

static void hide_column(const struct trib_table *t, const char *column, struct trib_veil_table *v)
{
	for (size_t c = 0; c < t->ncols; c++) {
		if (!same_name(t->cols[c].name, column))
			continue;
		v->hidden[c] = true;
		if (!t->keyed || t->cols[c].pk) {
			v->whole = true;
			v->why = t->keyed ? "key" : "no-key";
		}
	}
}

int trib_veil_by_list(const struct trib_schema *s, const struct trib_private_list *l, struct trib_veil *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_veil) struct trib_veil v = {0};
	if (veil_new(s, &v, err))
		return -1;
	for (size_t i = 0; i < s->ntables; i++) {
		bool named = trib_private_has(l, s->tables[i].folded, NULL);
		for (size_t n = 0; n < l->n; n++)
			if (l->names[n].column && strcmp(l->names[n].table, s->tables[i].folded) == 0)
				hide_column(&s->tables[i], l->names[n].column, &v.tables[i]);
		if (named) {
			v.tables[i].whole = true;
			v.tables[i].why = NULL;
		}
	}
	settle(s, &v);
	*ret = v;
	v = (struct trib_veil){0};
	return 0;
}

static const struct trib_st_table *line_of(const struct trib_schematext *lines, const char *name, bool bag)
{
	for (size_t i = 0; i < lines->ntables; i++)
		if (lines->tables[i].bag == bag && same_name(lines->tables[i].name, name))
			return &lines->tables[i];
	return NULL;
}

static bool has_column(const struct trib_st_table *line, const char *name)
{
	for (size_t i = 0; i < line->ncols; i++)
		if (same_name(line->cols[i].name, name))
			return true;
	return false;
}

int trib_veil_by_lines(const struct trib_schema *s, const struct trib_schematext *lines, struct trib_veil *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_veil) struct trib_veil v = {0};
	if (veil_new(s, &v, err))
		return -1;
	for (size_t i = 0; i < s->ntables; i++) {
		const struct trib_table *t = &s->tables[i];
		const struct trib_st_table *line = line_of(lines, t->name, !t->keyed);
		v.tables[i].whole = !line;
		for (size_t c = 0; line && c < t->ncols; c++)
			v.tables[i].hidden[c] = !has_column(line, t->cols[c].name);
	}
	settle(s, &v);
	*ret = v;
	v = (struct trib_veil){0};
	return 0;
}

static int add_hidden(const struct trib_table *t, const struct trib_veil_table *v, struct trib_private_list *l, struct trib_err *err)
{
	if (v->whole)
		return trib_private_add(l, t->name, NULL, err);
	for (size_t i = 0; i < t->ncols; i++)
		if (v->hidden[i] && trib_private_add(l, t->name, t->cols[i].name, err))
			return -1;
	return 0;
}

int trib_veil_names(const struct trib_schema *s, const struct trib_veil *v, struct trib_private_list *l, struct trib_err *err)
{
	for (size_t i = 0; i < s->ntables; i++)
		if (add_hidden(&s->tables[i], &v->tables[i], l, err))
			return -1;
	return 0;
}

static bool agree(const struct trib_table *a, const struct trib_veil_table *va, const struct trib_table *b, const struct trib_veil_table *vb)
{
	if (va->whole != vb->whole || va->some != vb->some)
		return false;
	for (size_t i = 0; i < a->ncols; i++)
		for (size_t j = 0; j < b->ncols; j++)
			if (same_name(a->cols[i].name, b->cols[j].name) && va->hidden[i] != vb->hidden[j])
				return false;
	return true;
}

bool trib_veil_agree(const struct trib_schema *a, const struct trib_veil *va, const struct trib_schema *b, const struct trib_veil *vb)
{
	for (size_t i = 0; i < a->ntables; i++) {
		const struct trib_table *t = trib_schema_find(b, a->tables[i].folded);
		if (t && !agree(&a->tables[i], &va->tables[i], t, &vb->tables[t - b->tables]))
			return false;
	}
	return true;
}

/* ---- halves ---- */

static bool in_half(const struct trib_table *t, const struct trib_veil_table *v, size_t column, enum trib_half half)
{
	if (half == TRIB_HALF_PUBLIC)
		return !v->hidden[column];
	return half == TRIB_HALF_PRIVATE_BAG || v->hidden[column] || t->cols[column].pk;
}

static int copy_column(const struct trib_column *from, struct trib_column *to, struct trib_err *err)
{
	*to = (struct trib_column){strdup(from->name), from->pk, strdup(from->type)};
	return to->name && to->type ? 0 : oom(err);
}

static int copy_table(const struct trib_table *from, const struct trib_veil_table *v, enum trib_half half, struct trib_table *to, struct trib_err *err)
{
	*to = (struct trib_table){.without_rowid = from->without_rowid, .strict = from->strict, .keyed = from->keyed, .rowid_key = from->rowid_key,
				  .autoincrement = from->autoincrement, .npk = from->npk, .ngenerated = from->ngenerated};
	to->no_bag = v->some && !v->whole && half != TRIB_HALF_PRIVATE_BAG;
	to->no_rows = half == TRIB_HALF_PRIVATE_BAG;
	to->name = strdup(from->name);
	to->folded = strdup(from->folded);
	to->rowid_name = from->rowid_name ? strdup(from->rowid_name) : NULL;
	to->sql = from->sql ? strdup(from->sql) : NULL;
	to->cols = calloc(from->ncols + 1, sizeof(*to->cols));
	to->beyond = calloc(from->ncols + 1, sizeof(*to->beyond));
	if (!to->name || !to->folded || (from->rowid_name && !to->rowid_name) || (from->sql && !to->sql) || !to->cols || !to->beyond)
		return oom(err);
	for (size_t i = 0; i < from->ncols; i++)
		if (copy_column(&from->cols[i], in_half(from, v, i, half) ? &to->cols[to->ncols++] : &to->beyond[to->nbeyond++], err))
			return -1;
	return 0;
}

static bool wants_table(const struct trib_veil_table *v, enum trib_half half)
{
	return half == TRIB_HALF_PUBLIC ? !v->whole : half == TRIB_HALF_PRIVATE ? v->some : v->some && !v->whole;
}

static int copy_line(const struct trib_st_table *line, const struct trib_veil_table *v, const struct trib_table *t, bool public, struct trib_schematext *to,
		     struct trib_err *err)
{
	struct trib_st_table *out = trib_schematext_add(to, line->name, line->bag);
	enum trib_half half = line->bag ? TRIB_HALF_PRIVATE_BAG : public ? TRIB_HALF_PUBLIC : TRIB_HALF_PRIVATE;
	if (!out)
		return oom(err);
	for (size_t i = 0; i < line->ncols; i++)
		if (in_half(t, v, i, half) && trib_schematext_add_column(out, line->cols[i].name, line->cols[i].pk, err))
			return -1;
	return 0;
}

static int copy_text(const struct trib_schema *s, const struct trib_veil *v, bool public, struct trib_schematext *to, struct trib_err *err)
{
	const struct trib_schematext *from = &s->text;
	memcpy(to->encoding, from->encoding, sizeof(to->encoding));
	to->page_size = from->page_size;
	to->auto_vacuum = from->auto_vacuum;
	to->user_version = from->user_version;
	to->application_id = from->application_id;
	to->sql = from->sql;
	for (size_t i = 0; i < from->ntables; i++) {
		TRIB_AUTO(trib_mem) char *folded = fold_dup(from->tables[i].name);
		const struct trib_table *t = folded ? trib_schema_find(s, folded) : NULL;
		if (!t)
			return folded ? trib_fail(err, TRIB_E_SCHEMA, "table %s has a line and is not there", from->tables[i].name) : oom(err);
		const struct trib_veil_table *vt = &v->tables[t - s->tables];
		bool private_line = from->tables[i].bag ? vt->some : vt->whole;
		bool want = public ? !private_line : private_line || vt->some;
		if (want && copy_line(&from->tables[i], vt, t, public, to, err))
			return -1;
	}
	return 0;
}

int trib_veil_half(const struct trib_schema *s, const struct trib_veil *v, enum trib_half half, struct trib_schema *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_schema) struct trib_schema h = {.has_autoincrement = s->has_autoincrement};
	h.tables = calloc(s->ntables + 1, sizeof(*h.tables));
	if (!h.tables)
		return oom(err);
	for (size_t i = 0; i < s->ntables; i++)
		if (wants_table(&v->tables[i], half) && copy_table(&s->tables[i], &v->tables[i], half, &h.tables[h.ntables++], err))
			return -1;
	if (copy_text(s, v, half == TRIB_HALF_PUBLIC, &h.text, err))
		return -1;
	*ret = h;
	h = (struct trib_schema){0};
	return 0;
}
