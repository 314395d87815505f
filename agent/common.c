/* common.c: what several commands print. */
#include "agent/commands.h"
#include "agent/link.h"
#include "core/base/clock.h"

/* Bytes at p that a terminal would act on instead of showing them: control characters, and marks that turn the direction of writing. 0: none. */
static size_t unshown(const unsigned char *p)
{
	if (*p < ' ' || *p == 0x7f)
		return 1;
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2;
	if (p[0] == 0xd8 && p[1] == 0x9c)
		return 2;
	bool marks = p[0] == 0xe2 && ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xaa && p[2] <= 0xae))) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
	return marks ? 3 : 0;
}

void agent_name(char *ret, size_t size, const char *folded)
{
	const char *p = trib_is_bag(trib_span_str(folded)) ? folded + strlen(TRIB_BAG_PREFIX) : folded;
	size_t n = 0, skip;
	for (; *p && n + 1 < size; p += skip ? skip : 1) {
		skip = unshown((const unsigned char *)p);
		ret[n++] = skip ? '?' : *p;
	}
	ret[n] = '\0';
}

static const struct left_out { const char *word, *name, *text; } left_out[] = {
	{"virtual", N_("virtual table"), N_("a virtual table: what it copies from tables is captured there, its own content is not")},
	{"shadow", N_("part of a virtual table"), N_("belongs to a virtual table")},
	{"no-collation", N_("unknown collation"), N_("its key needs a collation that only the application has")},
	{"name-too-long", N_("name too long"), N_("a name is longer than 255 bytes")},
	{"no-name", N_("no name"), N_("its name is empty")},
	{"too-many-columns", N_("too many columns"),
	 N_("more columns than fit into the city's table: 1999, or 1997 when rows may lack a key; or more than 255 in the key")},
	{"statistics", N_("statistics of ANALYZE"), N_("what ANALYZE counted, and would count again")},
	{"internal", N_("SQLite's own"), N_("SQLite's own table")},
	{"unreadable", N_("cannot be read"), N_("it cannot be read")},
	{"row-too-large", N_("rows over 64 MiB"), N_("larger than 64 MiB")},
	{"text-not-convertible", N_("text that is no text"), N_("with text that is none in the database's encoding")},
	{"key-collision", N_("two rows with one key"), N_("their key is another row's once its text is UTF-8")},
};

const char *agent_left_out(const char *word, bool shortly)
{
	for (size_t i = 0; i < TRIB_COUNT(left_out); i++)
		if (strcmp(left_out[i].word, word) == 0)
			return shortly ? _(left_out[i].name) : _(left_out[i].text);
	return word;
}

const char *agent_reason(const char *word)
{
	static const char *const texts[][2] = {{"schema", N_("their definition changed")}, {"left-out", N_("they hold rows that cannot travel")},
					       {"limit", N_("more of them changed than is kept in memory")}, {"encoding", N_("the encoding of text changed")},
					       {"damaged", N_("their pages are not in order")}};
	for (size_t i = 0; i < TRIB_COUNT(texts); i++)
		if (strcmp(word, texts[i][0]) == 0)
			return _(texts[i][1]);
	return word;
}

json_t *agent_json_time(int64_t t)
{
	char text[TRIB_TIME_LEN + 1];
	trib_time_text(text, t);
	return t ? trib_json_text(text) : json_null();
}

json_t *agent_json_hex(const uint8_t *p, size_t n)
{
	char hex[2 * TRIB_SHA256_LEN + 1];
	if (n > TRIB_SHA256_LEN)
		return json_null();
	trib_hex(hex, p, n);
	return trib_json_text(hex);
}

/* Columns of a UTF-8 text on a terminal: East Asian letters take two. Bytes decide, not the locale, so that cron's C locale aligns too. */
static size_t columns(const char *text)
{
	size_t n = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if ((*p & 0xc0) == 0x80)
			continue;
		n += *p >= 0xe2 && !(*p == 0xe2 && p[1] < 0xba) ? 2 : 1; /* from U+2E80 on */
	}
	return n;
}

void agent_pad(struct trib_buf *b, const char *text, size_t width)
{
	trib_buf_puts(b, text);
	for (size_t n = columns(text); n < width; n++)
		trib_buf_putc(b, ' ');
}

#define WIDTH_MAX 40

int agent_counts_add(struct agent_counts *sum, const struct trib_manifest *m, struct trib_err *err)
{
	for (size_t i = 0; i < m->ntables; i++) {
		struct trib_mf_table *to = NULL;
		const struct trib_mf_table *t = &m->tables[i];
		for (size_t j = 0; j < sum->m.ntables && !to; j++)
			if (strcmp(sum->m.tables[j].name, t->name) == 0)
				to = &sum->m.tables[j];
		if (!to) {
			if (trib_manifest_add_table(&sum->m, t, err))
				return -1;
			continue;
		}
		to->inserted += t->inserted;
		to->updated += t->updated;
		to->deleted += t->deleted;
		to->rows = t->rows;
	}
	return 0;
}

void agent_counts_print(struct trib_cli *cli, const struct agent_counts *c)
{
	json_t *list = json_array();
	size_t width = 0;
	char name[TRIB_NAME_MAX + 1];
	for (size_t i = 0; i < c->m.ntables; i++) {
		agent_name(name, sizeof(name), c->m.tables[i].name);
		size_t n = columns(name);
		width = n > width && n <= WIDTH_MAX ? n : width; /* one long name does not push all others aside */
	}
	for (size_t i = 0; i < c->m.ntables; i++) {
		const struct trib_mf_table *t = &c->m.tables[i];
		if (!(t->inserted || t->updated || t->deleted))
			continue;
		TRIB_AUTO(trib_buf) struct trib_buf line = TRIB_BUF(4096);
		agent_name(name, sizeof(name), t->name);
		agent_pad(&line, name, width);
		trib_say(cli, _("  %s  %llu added, %llu changed, %llu removed; %llu rows%s\n"), trib_buf_str(&line), (unsigned long long)t->inserted,
			 (unsigned long long)t->updated, (unsigned long long)t->deleted, (unsigned long long)t->rows,
			 trib_is_bag(trib_span_str(t->name)) ? _(" (without identity)") : "");
		json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:I, s:I}", "table", trib_json_text(t->name), "added", (json_int_t)t->inserted, "changed",
						      (json_int_t)t->updated, "removed", (json_int_t)t->deleted, "rows", (json_int_t)t->rows));
	}
	trib_json(cli, "tables", list);
}

int agent_fresh_at(struct trib_state *s, int64_t *ret, struct trib_err *err)
{
	struct trib_pulled p;
	struct trib_cert_id id;
	if (trib_link_progress(s, &p, err) || trib_cert_identity(s->sign_cert, &id, err))
		return -1;
	*ret = p.fresh_at ? p.fresh_at : id.not_before;
	return 0;
}

#define RENEWAL_LATE_S (3 * 86400) /* two nights may fail for any reason */
#define SIGN_SOON_S (60 * 86400)   /* a person must act, and may be on holiday */

static void TRIB_PRINTF(2, 3) warn(json_t *list, const char *fmt, ...)
{
	char text[TRIB_ERR_MSG + 512];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, trib_json_text(text));
}

static void warn_connection(const struct trib_state *s, const struct trib_cert_id *id, int64_t now, json_t *list)
{
	struct trib_last_failure f;
	int64_t renewal = id->not_before + (id->not_after - id->not_before) / 3 * 2;
	char until[17];
	trib_time_city(until, id->not_after);
	if (now >= id->not_after)
		warn(list, _("the connection's certificate ended at %s; it is still good for a new one: tributary-agent sync"), until);
	else if (now >= renewal && trib_record_last_failure(s, TRIB_DEED_RENEWAL, &f))
		warn(list, _("the connection's certificate ends at %s and could not be renewed (%s); call the city if that goes on; at once: tributary-agent cert renew"), until,
		     f.message);
	else if (now >= renewal + RENEWAL_LATE_S)
		warn(list, _("the connection's certificate ends at %s and its renewal is overdue; try: tributary-agent sync"), until);
}

static void warn_signing(const struct trib_cert_id *id, int64_t now, json_t *list)
{
	char until[17], here[17];
	trib_time_city(until, id->not_after);
	trib_time_city(here, now);
	if (now >= id->not_after)
		warn(list, _("the signing certificate ended at %s, and this computer's clock says %s: look at the clock first; when it is right, ask the city for a replacement slip"),
		     until, here);
	else if (now >= id->not_after - SIGN_SOON_S)
		warn(list, _("the signing certificate ends at %s; before that: tributary-agent cert rotate"), until);
}

json_t *agent_cert_warnings(struct trib_state *s, int64_t now)
{
	json_t *list = json_array();
	struct trib_cert_id id;
	struct trib_err ignored;
	if (s->node.enrolled && s->tls_cert && !trib_cert_identity(s->tls_cert, &id, &ignored))
		warn_connection(s, &id, now, list);
	if (s->node.enrolled && s->sign_cert && !trib_cert_identity(s->sign_cert, &id, &ignored))
		warn_signing(&id, now, list);
	return list;
}

int agent_progress(struct trib_state *s, uint64_t *ret_held, uint64_t *ret_merged, char ret_problem[256], struct trib_err *err)
{
	struct trib_pulled p;
	if (trib_link_progress(s, &p, err))
		return -1;
	*ret_held = p.held_seq < s->tip.seq ? p.held_seq : s->tip.seq;
	*ret_merged = p.merged_seq < s->tip.seq ? p.merged_seq : s->tip.seq;
	(void)snprintf(ret_problem, 256, "%s", p.problem);
	return 0;
}
