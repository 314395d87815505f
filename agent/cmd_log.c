/* cmd_log.c: `log`, `show`, `changeset`: the history as people and programs read it. */
#include "agent/commands.h"
#include "core/base/clock.h"
#include "core/format/gzip.h"

#define TEXT_MAX 60 /* bytes of a value shown in a line */

const struct trib_opt agent_opts_log[] = {
	{"limit", 0, "N", N_("at most N commits")},
	{"table", 't', "TABLE", N_("only commits that change this table")},
	{0},
};
const struct trib_opt agent_opts_show[] = {
	{"rows", 0, "N", N_("list up to N changed rows (0: none)")},
	{"table", 't', "TABLE", N_("only this table")},
	{0},
};

static int parse_count(struct trib_cli *cli, const char *name, uint64_t none, uint64_t *ret)
{
	const char *text = trib_cli_opt(cli, name);
	char *end = NULL;
	*ret = none;
	if (!text)
		return 0;
	*ret = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--%s takes a number"), name);
	return 0;
}

static bool same_table(const char *folded, const char *wanted)
{
	const char *p = trib_is_bag(trib_span_str(folded)) ? folded + strlen(TRIB_BAG_PREFIX) : folded;
	return !wanted || trib_fold_cmp(trib_span_str(p), trib_span_str(wanted)) == 0;
}

static bool touches(const struct trib_manifest *m, const char *wanted)
{
	if (!wanted)
		return true;
	for (size_t i = 0; i < m->ntables; i++) {
		const struct trib_mf_table *t = &m->tables[i];
		if ((t->inserted || t->updated || t->deleted) && same_table(t->name, wanted))
			return true;
	}
	return false;
}

/* Is there such a table at all, as far as this manifest and schema know? Private ones are in the schema alone. */
static bool has_table(const struct trib_manifest *m, const struct trib_schematext *schema, const char *wanted)
{
	bool found = !wanted;
	for (size_t i = 0; m && i < m->ntables && !found; i++)
		found = same_table(m->tables[i].name, wanted);
	for (size_t i = 0; m && i < m->nleft_out && !found; i++)
		found = same_table(m->left_out[i].name, wanted);
	for (size_t i = 0; schema && i < schema->ntables && !found; i++)
		found = same_table(schema->tables[i].name, wanted);
	return found;
}

static json_t *commit_json(const struct trib_commit *c, const struct trib_manifest *m)
{
	char part[48];
	uint64_t n[3];
	trib_manifest_counts(m, &n[0], &n[1], &n[2]);
	TRIB_AUTO(trib_buf) struct trib_buf subject = TRIB_BUF(TRIB_COMMIT_MAX); /* names tables, and those need not be UTF-8 */
	trib_buf_put_span(&subject, c->c.subject);
	(void)snprintf(part, sizeof(part), "%llu/%llu", (unsigned long long)m->part, (unsigned long long)m->parts);
	return json_pack("{s:o, s:I, s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "commit", agent_json_hex(c->oid, TRIB_OID_LEN), "seq", (json_int_t)m->seq, "part", part,
			 "kind", trib_kind_name(m->kind), "captured_at", agent_json_time(m->captured_at), "subject",
			 trib_json_text(trib_buf_str(&subject)), "added", (json_int_t)n[0], "changed", (json_int_t)n[1], "removed", (json_int_t)n[2]);
}

/* 0, or 1 when this was the first one. *oid goes on to the one before. */
static int log_one(struct trib_cli *cli, uint8_t oid[TRIB_OID_LEN], json_t *list, uint64_t *left, bool *known)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_held receipt;
	char hex[TRIB_OID_HEX + 1], when[17];
	if (trib_commit_read(trib_cli_state(cli)->repo, oid, &c, &cli->err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, &cli->err))
		return -1;
	if (c.c.has_parent)
		memcpy(oid, c.c.parent, TRIB_OID_LEN);
	*known = *known || has_table(&m, NULL, trib_cli_opt(cli, "table"));
	if (!touches(&m, trib_cli_opt(cli, "table")))
		return !c.c.has_parent;
	trib_hex(hex, c.oid, TRIB_OID_LEN);
	trib_time_city(when, m.captured_at);
	int held = trib_held_one(trib_cli_state(cli), c.oid, m.seq, &receipt, &cli->err);
	if (held < 0)
		return -1;
	trib_say(cli, "%.12s #%-5llu %s %s  %.*s\n", hex, (unsigned long long)m.seq, when, held ? _("held   ") : _("waiting"), (int)c.c.subject.n,
		 (const char *)c.c.subject.p);
	json_t *o = commit_json(&c, &m);
	if (o)
		json_object_set_new(o, "held", json_boolean(held));
	json_array_append_new(list, o);
	--*left;
	return !c.c.has_parent;
}

/* No commit that was looked at changed the table: is it one? The newest commit's schema knows those whose rows never leave this office, too. */
static int none_changed(struct trib_cli *cli, bool known, const char *table)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	struct trib_state *s = trib_cli_state(cli);
	if (!known && (trib_commit_read(s->repo, s->tip.oid, &c, &cli->err) || trib_commit_blob(s->repo, &c, "schema.sql", TRIB_SCHEMA_MAX, &bytes, &cli->err) ||
		       trib_schematext_parse(trib_buf_span(&bytes), &schema, &cli->err)))
		return -1;
	if (!known && !has_table(NULL, &schema, table))
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("no commit knows a table %s; is it spelled as in the database?"), table);
	trib_say(cli, _("no commit changed a table %s; try: tributary-agent show HEAD\n"), table);
	return 0;
}

int agent_cmd_log(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	const char *table = trib_cli_opt(cli, "table");
	uint8_t oid[TRIB_OID_LEN];
	uint64_t left;
	bool known = false;
	if (parse_count(cli, "limit", UINT64_MAX, &left))
		return -1;
	if (!s->tip.exists) {
		trib_say(cli, "%s\n", _("no commit yet; try: tributary-agent commit"));
		return 0;
	}
	if (trib_repo_ref(s->repo, MAIN_REF, oid, &cli->err))
		return -1;
	json_t *list = json_array();
	int rc = 0;
	while (left > 0 && !rc)
		rc = log_one(cli, oid, list, &left, &known);
	if (rc >= 0 && table && !json_array_size(list))
		rc = none_changed(cli, known, table);
	trib_json(cli, "commits", list);
	return rc < 0 ? -1 : 0;
}

/* ---- one commit, or the group it completes ---- */

struct group {
	uint8_t (*oids)[TRIB_OID_LEN]; /* first part first */
	size_t n;
};

static void group_cleanup(struct group *g) { free(g->oids); }

static int find_group(struct trib_cli *cli, const char *rev, struct group *ret, struct trib_buf *ret_echo)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	uint8_t oid[TRIB_OID_LEN];
	if (trib_history_at(s->repo, MAIN_REF, rev, trib_now(), TRIB_CITY_ZONE_S, oid, ret_echo, &cli->err) || trib_commit_read(s->repo, oid, &c, &cli->err) ||
	    trib_manifest_parse(trib_buf_span(&c.manifest), &m, &cli->err))
		return -1;
	size_t n = (size_t)m.parts;
	uint8_t (*oids)[TRIB_OID_LEN] = calloc(n, TRIB_OID_LEN);
	if (!oids)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	for (size_t i = n; i > 0; i--) {
		memcpy(oids[i - 1], oid, TRIB_OID_LEN);
		trib_commit_release(&c);
		if (i > 1 && trib_commit_read(s->repo, oid, &c, &cli->err)) {
			free(oids);
			return -1;
		}
		if (i > 1)
			memcpy(oid, c.c.parent, TRIB_OID_LEN);
	}
	*ret = (struct group){oids, n};
	return 0;
}

struct part {
	struct trib_commit c;
	struct trib_manifest m;
	struct trib_buf raw, schema_bytes;
	struct trib_schematext schema;
};

static void part_cleanup(struct part *p)
{
	trib_commit_release(&p->c);
	trib_manifest_release(&p->m);
	trib_schematext_release(&p->schema);
	trib_buf_release(&p->raw);
	trib_buf_release(&p->schema_bytes);
}

/* Reads one commit with its changeset, in form and by the hashes of its manifest; whether it is rightly signed is `check`'s question. */
static int read_part(struct trib_cli *cli, const uint8_t oid[TRIB_OID_LEN], struct part *p)
{
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX);
	struct trib_state *s = trib_cli_state(cli);
	p->raw = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	p->schema_bytes = TRIB_BUF(TRIB_SCHEMA_MAX);
	if (trib_commit_read(s->repo, oid, &p->c, &cli->err) || trib_manifest_parse(trib_buf_span(&p->c.manifest), &p->m, &cli->err) ||
	    trib_commit_blob(s->repo, &p->c, "schema.sql", TRIB_SCHEMA_MAX, &p->schema_bytes, &cli->err) ||
	    trib_schematext_parse(trib_buf_span(&p->schema_bytes), &p->schema, &cli->err))
		return -1;
	if (p->m.gz_len == 0)
		return 0;
	if (p->m.raw_len > TRIB_CHANGESET_RAW_MAX)
		return trib_fail(&cli->err, TRIB_E_LIMIT, "the changeset is over the limit of %zu bytes", TRIB_CHANGESET_RAW_MAX);
	if (trib_commit_blob(s->repo, &p->c, "changeset.gz", TRIB_CHANGESET_GZ_MAX, &gz, &cli->err) ||
	    trib_gunzip(trib_buf_span(&gz), (size_t)p->m.raw_len, &p->raw, &cli->err))
		return -1;
	return trib_cs_check(trib_buf_span(&p->raw), NULL, &cli->err);
}

/* ---- show ---- */

struct shown { struct trib_cli *cli; const struct group *g; };

static int group_changeset(const void *ctx, size_t i, struct trib_buf *keep, struct trib_span *ret, struct trib_err *err)
{
	const struct shown *s = ctx;
	TRIB_AUTO(part) struct part p = {0};
	(void)err; /* that of s->cli, which read_part fills */
	if (read_part(s->cli, s->g->oids[i], &p))
		return -1;
	trib_buf_release(keep);
	*keep = p.raw;
	p.raw = (struct trib_buf){0};
	*ret = trib_buf_span(keep);
	return 0;
}

static void put_value(struct trib_buf *b, const struct trib_value *v)
{
	size_t n = v->s.n < TEXT_MAX ? v->s.n : TEXT_MAX;
	switch (v->type) {
	case TRIB_INT:
		trib_buf_printf(b, "%lld", (long long)v->i);
		break;
	case TRIB_REAL:
		trib_buf_printf(b, "%.17g", v->r);
		break;
	case TRIB_TEXT:
		while (n < v->s.n && n > 0 && (v->s.p[n] & 0xc0) == 0x80)
			n--; /* not within a letter */
		trib_buf_putc(b, '\'');
		for (size_t i = 0; i < n; i++)
			trib_buf_putc(b, v->s.p[i] < ' ' || v->s.p[i] == 0x7f ? '?' : v->s.p[i]);
		trib_buf_puts(b, n < v->s.n ? "'..." : "'");
		break;
	case TRIB_BLOB:
		trib_buf_printf(b, "x'%zu bytes'", v->s.n);
		break;
	case TRIB_NULL:
		trib_buf_puts(b, "NULL");
		break;
	case TRIB_UNDEF:
		break;
	}
}

static const char *column_name(const struct trib_st_table *t, size_t i) { return t && i < t->ncols ? t->cols[i].name : TRIB_BAG_COUNT; }

/* A text value for people and JSON: bytes that are no UTF-8 cannot stand in JSON and are shown in hex. */
static json_t *value_json(const struct trib_value *v)
{
	if (v->type == TRIB_INT)
		return json_integer(v->i);
	if (v->type == TRIB_REAL)
		return json_real(v->r);
	if (v->type == TRIB_NULL)
		return json_null();
	json_t *text = v->type == TRIB_TEXT ? json_stringn((const char *)(v->s.p ? v->s.p : (const uint8_t *)""), v->s.n) : NULL;
	if (text)
		return text;
	TRIB_AUTO(trib_buf) struct trib_buf hex = TRIB_BUF(2 * TRIB_ROW_MAX + 1);
	trib_buf_hex(&hex, v->s.p, v->s.n);
	return json_pack("{s:s}", v->type == TRIB_TEXT ? "text_hex" : "blob_hex", trib_buf_str(&hex));
}

static json_t *record_json(const struct trib_change *ch, const struct trib_st_table *t, const struct trib_value *row)
{
	json_t *o = json_object();
	for (size_t i = 0; row && i < ch->table->ncol; i++)
		if (row[i].type != TRIB_UNDEF) {
			json_t *key = trib_json_text(column_name(t, i));
			json_object_set_new(o, json_string_value(key), value_json(&row[i]));
			json_decref(key);
		}
	return o;
}

void agent_say_change(struct trib_cli *cli, const struct trib_change *ch, const struct trib_st_table *t, json_t *list)
{
	TRIB_AUTO(trib_buf) struct trib_buf line = TRIB_BUF(TRIB_MIB);
	static const char signs[] = {'-', '+', '~'};
	size_t kind = ch->op == TRIB_DELETE ? 0 : ch->op == TRIB_INSERT ? 1 : 2;
	char name[TRIB_NAME_MAX + 1];
	agent_name(name, sizeof(name), t ? t->name : "");
	trib_buf_printf(&line, "  %c %s", signs[kind], name);
	for (size_t i = 0; i < ch->table->ncol; i++) {
		const struct trib_value *o = ch->old ? &ch->old[i] : NULL, *w = ch->new ? &ch->new[i] : NULL;
		bool has_old = o && o->type != TRIB_UNDEF, has_new = w && w->type != TRIB_UNDEF;
		if (!has_old && !has_new)
			continue;
		agent_name(name, sizeof(name), column_name(t, i));
		trib_buf_printf(&line, " %s=", name);
		if (has_old)
			put_value(&line, o);
		if (has_old && has_new)
			trib_buf_puts(&line, "->");
		if (has_new)
			put_value(&line, w);
	}
	trib_say(cli, "%s\n", trib_buf_str(&line));
	if (cli->json)
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o}", "table", trib_json_text(t ? t->name : ""), "op", kind == 0 ? "delete" : kind == 1 ? "insert" : "update", "old",
						      record_json(ch, t, ch->old), "new", record_json(ch, t, ch->new)));
}

static int show_rows(struct trib_cli *cli, struct part *p, json_t *list, uint64_t *left, uint64_t *skipped)
{
	if (p->raw.len == 0)
		return 0;
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(trib_buf_span(&p->raw));
	struct trib_change ch;
	int row;
	if (!r)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	while ((row = trib_cs_next(r, &ch, &cli->err)) > 0) {
		const struct trib_st_table *t = trib_schematext_find(&p->schema, ch.table->name);
		if (t && !same_table(t->name, trib_cli_opt(cli, "table")))
			continue;
		if (*left == 0) {
			++*skipped;
			continue;
		}
		--*left;
		agent_say_change(cli, &ch, t, list);
	}
	return row;
}

/* Who signed: the certificate in the tree. */
static int show_signer(struct trib_cli *cli, const struct trib_commit *c)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_cert *certs[2] = {NULL, NULL};
	struct trib_cert_id id;
	size_t n = 0;
	int rc = trib_commit_blob(trib_cli_state(cli)->repo, c, "signer.pem", TRIB_SIGNER_MAX, &pem, &cli->err) ||
		 trib_certs_parse_pem(trib_buf_span(&pem), certs, 2, &n, &cli->err) || trib_cert_identity(certs[0], &id, &cli->err) ? -1 : 0;
	trib_cert_free(certs[0]);
	trib_cert_free(certs[1]);
	if (rc)
		return -1;
	trib_say(cli, _("signer       %s (%s)%s\n"), id.subject, id.id, id.self_signed ? _(", self-signed before enrolment") : "");
	trib_json(cli, "signer", trib_json_text(id.id));
	trib_json(cli, "self_signed", json_boolean(id.self_signed));
	return 0;
}

static void say_left_out(struct trib_cli *cli, const struct trib_mf_left_out *l)
{
	char name[TRIB_NAME_MAX + 16];
	agent_name(name, sizeof(name), l->name);
	trib_say(cli, _("left out     %s (%s)\n"), name, agent_left_out(l->reason, true));
}

static int show_head(struct trib_cli *cli, const struct part *last, const struct group *g, const char *echo)
{
	char when[17], hex[TRIB_SHA256_HEX + 1];
	trib_time_city(when, last->m.captured_at);
	trib_hex(hex, last->m.digest, TRIB_SHA256_LEN);
	trib_say(cli, _("%s\nsubject      %.*s\ncaptured     %s\n"), echo, (int)last->c.c.subject.n, (const char *)last->c.c.subject.p, when);
	if (g->n > 1)
		trib_say(cli, _("parts        %zu\n"), g->n);
	if (show_signer(cli, &last->c))
		return -1;
	trib_say(cli, _("digest       %s\n"), hex);
	trib_json(cli, "commit", agent_json_hex(last->c.oid, TRIB_OID_LEN));
	trib_json(cli, "seq", json_integer((json_int_t)last->m.seq));
	trib_json(cli, "parts", json_integer((json_int_t)g->n));
	trib_json(cli, "kind", trib_json_text(trib_kind_name(last->m.kind)));
	trib_json(cli, "captured_at", agent_json_time(last->m.captured_at));
	trib_json(cli, "subject", json_stringn((const char *)last->c.c.subject.p, last->c.c.subject.n));
	trib_json(cli, "digest", trib_json_text(hex));
	for (size_t i = 0; i < last->m.nbraked; i++) {
		char name[TRIB_NAME_MAX + 16];
		agent_name(name, sizeof(name), last->m.braked[i].table);
		trib_say(cli, _("braked       %s would lose %llu rows\n"), name, (unsigned long long)last->m.braked[i].lost);
	}
	for (size_t i = 0; i < last->m.nleft_out; i++)
		say_left_out(cli, &last->m.left_out[i]);
	return 0;
}

int agent_cmd_show(struct trib_cli *cli)
{
	__attribute__((cleanup(agent_counts_cleanup))) struct agent_counts sum = {0};
	TRIB_AUTO(group) struct group g = {0};
	TRIB_AUTO(trib_buf) struct trib_buf echo = TRIB_BUF(1024), first = TRIB_BUF(TRIB_SCHEMA_MAX);
	const struct shown shown = {cli, &g};
	struct agent_parts parts = {.ctx = &shown, .changeset = group_changeset};
	json_t *rows = json_array();
	uint64_t left, skipped = 0;
	bool known = false;
	int rc = parse_count(cli, "rows", 0, &left) || find_group(cli, cli->argv[0], &g, &echo) ? -1 : 0;
	for (size_t i = 0; i < g.n && !rc; i++) {
		TRIB_AUTO(part) struct part p = {0};
		rc = read_part(cli, g.oids[i], &p) || agent_counts_add(&sum, &p.m, &cli->err) ? -1 : 0;
		if (!rc && i == 0)
			trib_buf_put_span(&first, trib_buf_span(&p.schema_bytes));
		if (!rc && i == parts.split && trib_span_eq(trib_buf_span(&p.schema_bytes), trib_buf_span(&first)))
			parts.split++;
		known = known || (!rc && has_table(&p.m, &p.schema, trib_cli_opt(cli, "table")));
		if (!rc && i + 1 == g.n && !known)
			rc = trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("this commit knows no table %s; is it spelled as in the database?"), trib_cli_opt(cli, "table"));
		if (!rc && i + 1 == g.n)
			rc = show_head(cli, &p, &g, trib_buf_str(&echo));
	}
	parts.n = g.n;
	if (!rc)
		rc = agent_counts_once(&sum, &parts, &cli->err);
	if (!rc)
		agent_counts_print(cli, &sum);
	for (size_t i = 0; i < g.n && !rc && trib_cli_flag(cli, "rows"); i++) {
		TRIB_AUTO(part) struct part p = {0};
		rc = read_part(cli, g.oids[i], &p) || show_rows(cli, &p, rows, &left, &skipped) ? -1 : 0;
	}
	if (skipped)
		trib_say(cli, _("  and %llu more rows (--rows N shows more)\n"), (unsigned long long)skipped);
	if (trib_cli_flag(cli, "rows"))
		trib_json(cli, "rows", rows);
	else
		json_decref(rows);
	return rc;
}

int agent_cmd_changeset(struct trib_cli *cli)
{
	TRIB_AUTO(group) struct group g = {0};
	TRIB_AUTO(trib_buf) struct trib_buf echo = TRIB_BUF(1024);
	if (cli->json)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("a changeset is binary; there is no --json of it; try: tributary-agent show %s --rows 100 --json"), cli->argv[0]);
	if (find_group(cli, cli->argv[0], &g, &echo))
		return -1;
	if (isatty(STDOUT_FILENO))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("a changeset is binary; try: tributary-agent changeset %s > FILE"), cli->argv[0]);
	for (size_t i = 0; i < g.n; i++) {
		TRIB_AUTO(part) struct part p = {0};
		if (read_part(cli, g.oids[i], &p))
			return -1;
		if (p.raw.len && fwrite(p.raw.p, 1, p.raw.len, stdout) != p.raw.len)
			return trib_fail_errno(&cli->err, "writing the changeset");
	}
	trib_talk(cli, "%s\n", trib_buf_str(&echo));
	return 0;
}
