/* common.c: what several commands print. */
#include "agent/commands.h"
#include "agent/link.h"
#include "core/base/clock.h"

void agent_name(char *ret, size_t size, const char *folded)
{
	const char *p = trib_is_bag(trib_span_str(folded)) ? folded + strlen(TRIB_BAG_PREFIX) : folded;
	size_t n = 0;
	for (; *p && n + 1 < size; p++)
		ret[n++] = (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p;
	ret[n] = '\0';
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
