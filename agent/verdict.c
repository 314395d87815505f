#include "agent/verdict.h"

#include "agent/commands.h"

#define NAME_WIDTH 28

struct verdict {
	const char *word, *text; /* "captured", "bag", "private", "left-out"; and for people */
	const char *by;          /* why, for programs: "integer-key", "primary-key", "without-rowid", "no-key", "sequence", or a word of the manifest */
};

static json_t *key_names(const struct trib_table *t)
{
	json_t *list = json_array();
	for (unsigned k = 1; k <= t->npk; k++)
		for (size_t i = 0; i < t->ncols; i++)
			if (t->cols[i].pk == k)
				json_array_append_new(list, trib_json_text(t->cols[i].name));
	return list;
}

static json_t *hidden_names(const struct trib_table *t, const struct trib_veil_table *v)
{
	json_t *list = json_array();
	for (size_t i = 0; i < t->ncols; i++)
		if (v->hidden[i])
			json_array_append_new(list, trib_json_text(t->cols[i].name));
	return list;
}

/* What a terminal would act on is not for it. */
static void put_shown(struct trib_buf *b, const char *text)
{
	size_t size = strlen(text) + 1;
	TRIB_AUTO(trib_mem) char *shown = malloc(size);
	if (!shown)
		return;
	agent_name(shown, size, text);
	trib_buf_puts(b, shown);
}

static void put_key(struct trib_buf *b, const struct trib_table *t)
{
	const char *sep = "";
	for (unsigned k = 1; k <= t->npk; k++)
		for (size_t i = 0; i < t->ncols; i++)
			if (t->cols[i].pk == k) {
				trib_buf_puts(b, sep);
				put_shown(b, t->cols[i].name);
				sep = ", ";
			}
}

/* "phone, name": of a table that is not private as a whole. */
static void put_hidden(struct trib_buf *b, const struct trib_table *t, const struct trib_veil_table *v)
{
	const char *sep = "";
	for (size_t i = 0; i < t->ncols; i++)
		if (v->hidden[i]) {
			trib_buf_puts(b, sep);
			put_shown(b, t->cols[i].name);
			sep = ", ";
		}
}

/* By what a row is the same row tomorrow. */
static void put_identity(struct trib_buf *b, const struct trib_table *t)
{
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(TRIB_MIB);
	put_key(&key, t);
	if (!t->keyed)
		trib_buf_puts(b, _("rows without a key, so a changed row is one removed and one added"));
	else if (t->rowid_key)
		trib_buf_printf(b, _("rows by the integer key %s"), trib_buf_str(&key));
	else if (t->without_rowid)
		trib_buf_printf(b, _("rows by PRIMARY KEY (%s), WITHOUT ROWID"), trib_buf_str(&key));
	else
		trib_buf_printf(b, _("rows by PRIMARY KEY (%s)"), trib_buf_str(&key));
	if (t->ngenerated)
		trib_buf_printf(b, _("; %zu generated columns are computed, not captured"), t->ngenerated);
}

static struct verdict judge(const struct trib_table *t, const struct trib_veil_table *v, struct trib_buf *why)
{
	struct verdict d = {"captured", _("captured"), !t->keyed ? "no-key" : t->rowid_key ? "integer-key" : t->without_rowid ? "without-rowid" : "primary-key"};
	if (v->whole) {
		d.word = "private";
		d.text = _("private");
		trib_buf_puts(why, _("kept in this office only"));
		trib_buf_puts(why, "; ");
	} else if (v->some) {
		d.text = _("captured, kept in this office only");
		put_hidden(why, t, v);
		trib_buf_puts(why, "; ");
	} else if (!t->keyed) {
		d.word = "bag";
		d.text = _("captured as a bag");
	}
	put_identity(why, t);
	return d;
}

static json_t *say_table(struct trib_cli *cli, const char *name, const struct verdict *d, const char *why)
{
	TRIB_AUTO(trib_buf) struct trib_buf line = TRIB_BUF(4096), shown = TRIB_BUF(TRIB_MIB);
	put_shown(&shown, name);
	agent_pad(&line, trib_buf_str(&shown), NAME_WIDTH);
	trib_say(cli, "  %s %s: %s\n", trib_buf_str(&line), d->text, why);
	return json_pack("{s:o, s:s, s:o, s:s}", "table", trib_json_text(name), "verdict", d->word, "reason", trib_json_text(why), "by", d->by);
}

static void say_rows(struct trib_cli *cli, const char *reason, uint64_t n, char *const *named, size_t nnamed, json_t *list)
{
	TRIB_AUTO(trib_buf) struct trib_buf names = TRIB_BUF(TRIB_MIB);
	json_t *texts = json_array();
	for (size_t i = 0; i < nnamed; i++) {
		trib_buf_puts(&names, i ? "; " : ": ");
		put_shown(&names, named[i]);
		json_array_append_new(texts, trib_json_text(named[i]));
	}
	if (nnamed && nnamed < n)
		trib_buf_puts(&names, "; ...");
	if (n)
		trib_say(cli, _("    %llu rows are left out: %s%s\n"), (unsigned long long)n, agent_left_out(reason, false), trib_buf_str(&names));
	if (n)
		json_array_append_new(list, json_pack("{s:s, s:I, s:o}", "reason", reason, "rows", (json_int_t)n, "named", texts));
	else
		json_decref(texts);
}

static void say_found(struct trib_cli *cli, const struct trib_survey_table *f, json_t *o)
{
	json_t *list = json_array();
	if (f->null_keys)
		trib_say(cli, _("    %llu rows have NULL in the key: captured as a bag, where a changed row is one removed and one added\n"), (unsigned long long)f->null_keys);
	say_rows(cli, "row-too-large", f->too_large, f->large, f->nlarge, list);
	say_rows(cli, "text-not-convertible", f->no_text, NULL, 0, list);
	json_object_set_new(o, "null_key_rows", json_integer((json_int_t)f->null_keys));
	json_object_set_new(o, "left_out_rows", list);
}

/* SQLite's list of the highest numbers: no table of rows for us. */
static void say_sequence(struct trib_cli *cli, const struct trib_schema *s, json_t *list)
{
	const struct verdict in = {"captured", _("captured"), "sequence"}, out = {"left-out", _("left out"), "internal"};
	if (s->has_sequence && s->has_autoincrement)
		json_array_append_new(list, say_table(cli, "sqlite_sequence", &in, _("the highest number of each AUTOINCREMENT table goes into the manifest")));
	else if (s->has_sequence)
		json_array_append_new(list, say_table(cli, "sqlite_sequence", &out, _("no captured table has AUTOINCREMENT")));
}

void agent_verdict_print(struct trib_cli *cli, const struct trib_schema *s, const struct trib_veil *veil, const struct trib_survey *found)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->ntables; i++) {
		const struct trib_table *t = &s->tables[i];
		TRIB_AUTO(trib_buf) struct trib_buf why = TRIB_BUF(TRIB_MIB);
		struct verdict d = judge(t, &veil->tables[i], &why);
		json_t *o = say_table(cli, t->name, &d, trib_buf_str(&why));
		json_object_set_new(o, "key", key_names(t));
		json_object_set_new(o, "private_columns", hidden_names(t, &veil->tables[i]));
		json_object_set_new(o, "generated_columns", json_integer((json_int_t)t->ngenerated));
		if (found)
			say_found(cli, &found->tables[i], o);
		json_array_append_new(list, o);
	}
	for (size_t i = 0; i < s->nleft_out; i++) {
		const struct verdict d = {"left-out", _("left out"), s->left_out[i].reason};
		json_array_append_new(list, say_table(cli, s->left_out[i].name, &d, agent_left_out(d.by, false)));
	}
	say_sequence(cli, s, list);
	trib_json(cli, "tables_verdict", list);
}
