/* cmd_status.c: `status`: where the data is now, and one sentence that a clerk reads. Works without hub and network. */
#include "agent/clocks.h"
#include "agent/commands.h"
#include "agent/pin.h"
#include "agent/private_copy.h"
#include "core/base/clock.h"

#define TIMER "/etc/systemd/system/timers.target.wants/tributary-agent.timer" /* what `systemctl enable` makes */
#define NIGHT (26 * 3600LL) /* a day and a little, as the hub counts */

struct view {
	uint64_t captured, held, merged;
	int64_t captured_at, held_at; /* captured-at of the last commit, and of the last one held */
	uint64_t part, parts;         /* of the last one held: fewer than all while a large night is on its way */
	bool known_capture;
	struct trib_last_capture last;
	struct trib_cert_id cert;
	bool failed;       /* the last capture, or what it was to send, came to nothing */
	enum trib_deed deed;
	struct trib_last_failure failure;
	int64_t fresh_at;  /* when the city's log last grew here */
	char problem[256]; /* the hub's word when the city stopped taking this history in */
};

static void line(struct trib_cli *cli, const char *label, const char *text)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	agent_pad(&b, label, 14);
	trib_say(cli, "%s %s\n", trib_buf_str(&b), text);
}

/* What the last held commit says of itself. */
static int look_held(struct trib_state *s, struct view *v, struct trib_err *err)
{
	uint8_t at[TRIB_OID_LEN];
	memcpy(at, s->tip.oid, sizeof(at));
	for (uint64_t n = s->tip.seq; n >= v->held && n > 0; n--) {
		TRIB_AUTO(trib_commit) struct trib_commit c = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
		if (trib_commit_read(s->repo, at, &c, err) || (n == v->held && trib_manifest_parse(trib_buf_span(&c.manifest), &m, err)))
			return -1;
		v->held_at = c.c.time;
		v->part = m.part;
		v->parts = m.parts;
		memcpy(at, c.c.parent, sizeof(at));
	}
	return 0;
}

static int look(struct trib_cli *cli, struct view *v)
{
	struct trib_state *s = trib_cli_state(cli);
	v->captured = s->tip.seq;
	v->captured_at = s->tip.captured_at;
	v->known_capture = trib_record_last_capture(s, &v->last);
	if (agent_progress(s, &v->held, &v->merged, v->problem, &cli->err) || (v->held && look_held(s, v, &cli->err)))
		return -1;
	return agent_fresh_at(s, &v->fresh_at, &cli->err) || trib_cert_identity(s->sign_cert, &v->cert, &cli->err) ? -1 : 0;
}

static void say_seq(struct trib_cli *cli, const char *label, const char *key, uint64_t seq, int64_t at)
{
	char text[96], when[17] = "";
	if (at)
		trib_time_city(when, at);
	if (seq)
		(void)snprintf(text, sizeof(text), "#%llu  %s", (unsigned long long)seq, when);
	else
		(void)snprintf(text, sizeof(text), "%s", _("nothing yet"));
	line(cli, label, text);
	trib_json(cli, key, json_integer((json_int_t)seq));
}

/* "held 7/12": the receipts of a large night come part by part. */
static void say_held(struct trib_cli *cli, const struct view *v)
{
	char text[128], when[17];
	bool open = v->held && v->part < v->parts;
	if (!open) {
		say_seq(cli, _("held"), "held", v->held, v->held_at);
		return;
	}
	trib_time_city(when, v->held_at);
	(void)snprintf(text, sizeof(text), _("#%llu  %s, %llu/%llu of a large night"), (unsigned long long)v->held, when, (unsigned long long)v->part,
		       (unsigned long long)v->parts);
	line(cli, _("held"), text);
	trib_json(cli, "held", json_integer((json_int_t)v->held));
	trib_json(cli, "held_part", json_integer((json_int_t)v->part));
	trib_json(cli, "held_parts", json_integer((json_int_t)v->parts));
}

static void say_cert(struct trib_cli *cli, const struct view *v)
{
	struct trib_state *s = trib_cli_state(cli);
	char text[256], until[17];
	struct trib_cert_id tls = v->cert;
	struct trib_err none;
	if (!s->node.enrolled) {
		line(cli, _("certificate"), _("self-signed; not enrolled yet: tributary-agent enrol --slip FILE"));
		trib_json(cli, "enrolled", json_false());
		return;
	}
	if (s->tls_cert && trib_cert_identity(s->tls_cert, &tls, &none) == 0)
		trib_time_city(until, tls.not_after);
	else
		trib_time_city(until, v->cert.not_after);
	(void)snprintf(text, sizeof(text), _("of %s, connection until %s%s"), s->node.city, until, tls.not_after < trib_now() ? _(" (expired)") : "");
	line(cli, _("certificate"), text);
	trib_json(cli, "enrolled", json_true());
	trib_json(cli, "city", trib_json_text(s->node.city));
	trib_json(cli, "tls_not_after", agent_json_time(tls.not_after));
	trib_json(cli, "sign_not_after", agent_json_time(v->cert.not_after));
}

/* A list on the screen names what fits into some lines, and counts the rest; scripts get all there is. */
#define LIST_TEXT 2000

static void say_more(struct trib_buf *text, uint64_t left)
{
	if (left)
		trib_buf_printf(text, _(", and %llu more"), (unsigned long long)left);
}

static void say_left_out(struct trib_cli *cli, const struct trib_manifest *m)
{
	json_t *list = json_array();
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(2 * LIST_TEXT);
	size_t shown = 0;
	for (size_t i = 0; i < m->nleft_out; i++) {
		const struct trib_mf_left_out *l = &m->left_out[i];
		char name[TRIB_NAME_MAX + 16];
		agent_name(name, sizeof(name), l->name);
		if (text.len < LIST_TEXT && ++shown)
			trib_buf_printf(&text, "%s%s (%s)", i ? ", " : "", name, agent_left_out(l->reason, true));
		json_array_append_new(list, json_pack("{s:o, s:s, s:I}", "name", trib_json_text(l->name), "reason", l->reason, "count", (json_int_t)l->count));
	}
	say_more(&text, m->nleft_out - shown);
	line(cli, _("left out"), m->nleft_out ? trib_buf_str(&text) : _("nothing"));
	trib_json(cli, "left_out", list);
}

/* How old the last encrypted copy of the private half is: nobody else has it. */
static void say_copy(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_private_copy c;
	char text[128], when[17];
	bool known = trib_private_copy_last(s, &c);
	if (s->private_tip.exists && !known)
		line(cli, _("private copy"), _("none; the private half is only on this computer: tributary-agent bundle create FILE --private --to CERT"));
	if (s->private_tip.exists && known) {
		trib_time_city(when, c.at);
		(void)snprintf(text, sizeof(text), _("%s, %llu commits ago"), when, (unsigned long long)(s->private_tip.seq - c.seq));
		line(cli, _("private copy"), text);
	}
	trib_json(cli, "private_copy", known ? json_pack("{s:o, s:I}", "at", agent_json_time(c.at), "seq", (json_int_t)c.seq) : json_null());
}

/* What never leaves: whole tables, and columns of others, as the next commit will see it. A database that cannot be read now shows the names alone. */
static int say_private(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_private_list) struct trib_private_list l = {0};
	TRIB_AUTO(trib_schema) struct trib_schema schema = {0};
	TRIB_AUTO(trib_veil) struct trib_veil veil = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_MIB);
	struct trib_err none;
	if (trib_private_names(s, &l, &cli->err))
		return -1;
	json_t *list = json_array();
	bool known = l.n && trib_capture_inspect(s->node.db_path, &schema, &none) == 0 && trib_veil_by_list(&schema, &l, &veil, &none) == 0;
	for (size_t i = 0; known && i < schema.ntables; i++) {
		const struct trib_table *t = &schema.tables[i];
		const struct trib_veil_table *v = &veil.tables[i];
		for (size_t c = 0; c < (v->whole ? 1 : t->ncols); c++) {
			if (!v->whole && !v->hidden[c])
				continue;
			char table[TRIB_NAME_MAX + 1], column[TRIB_NAME_MAX + 1] = "";
			agent_name(table, sizeof(table), t->name);
			if (!v->whole)
				agent_name(column, sizeof(column), t->cols[c].name);
			trib_buf_printf(&text, "%s%s%s%s%s", text.len ? ", " : "", table, v->whole ? "" : ".", column,
					v->why ? strcmp(v->why, "key") == 0 ? _(" (whole: its key is named)") : _(" (whole: it has no key)") : "");
			json_array_append_new(list, json_pack("{s:o, s:o}", "table", trib_json_text(t->name), "column", v->whole ? json_null() : trib_json_text(t->cols[c].name)));
		}
	}
	if (l.n || s->private_tip.exists)
		line(cli, _("private"), known ? trib_buf_str(&text) : l.n ? _("as named in private.conf and policy.conf") : _("nothing"));
	trib_json(cli, "private", list);
	say_copy(cli);
	trib_json(cli, "private_seq", json_integer((json_int_t)s->private_tip.seq));
	return 0;
}

static void say_braked(struct trib_cli *cli, const struct view *v)
{
	json_t *list = json_array();
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(2 * LIST_TEXT);
	size_t shown = 0;
	bool braked = v->known_capture && strcmp(v->last.outcome, "braked") == 0;
	for (size_t i = 0; braked && i < v->last.nbraked; i++) {
		char name[TRIB_NAME_MAX + 16];
		agent_name(name, sizeof(name), v->last.braked[i].table);
		if (text.len < LIST_TEXT && ++shown)
			trib_buf_printf(&text, _("%s%s would lose %llu rows"), i ? ", " : "", name, (unsigned long long)v->last.braked[i].lost);
		json_array_append_new(list, json_pack("{s:o, s:I}", "table", trib_json_text(v->last.braked[i].table), "lost", (json_int_t)v->last.braked[i].lost));
	}
	if (braked)
		say_more(&text, v->last.braked_tables - shown);
	line(cli, _("braked"), braked ? trib_buf_str(&text) : _("no"));
	trib_json(cli, "braked", list);
	trib_json(cli, "braked_tables", json_integer(braked ? (json_int_t)v->last.braked_tables : 0));
}

/* How often comparing pages was not enough. */
static void say_stepped(struct trib_cli *cli, const struct trib_last_capture *l)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(3072);
	json_t *list = json_array();
	char when[17];
	for (size_t i = 0; i < l->nstepped; i++) {
		trib_time_city(when, l->stepped[i].at);
		trib_buf_printf(&text, _("%s%llu of %llu runs, last %s: %s"), i ? "; " : "", (unsigned long long)l->stepped[i].times, (unsigned long long)l->runs, when,
				agent_reason(l->stepped[i].reason));
		json_array_append_new(list, json_pack("{s:s, s:I, s:o}", "reason", l->stepped[i].reason, "times", (json_int_t)l->stepped[i].times, "last",
						      agent_json_time(l->stepped[i].at)));
	}
	line(cli, _("row by row"), l->nstepped ? trib_buf_str(&text) : _("never needed"));
	trib_json(cli, "runs_by_pages", json_integer((json_int_t)l->runs));
	trib_json(cli, "stepped_in", list);
}

/* How the last capture read and compared, for people; scripts get the words themselves. */
static const char *way_text(const char *word)
{
	static const char *const texts[][2] = {
		{"skipped", N_("nothing was written since, so nothing was read")}, {"optimistic", N_("read without a lock")}, {"locked", N_("read under a lock")},
		{"wal-raw", N_("read beside the -wal")}, {"wal-list", N_("read by the list in the -wal")}, {"backup", N_("read by SQLite's backup")},
	};
	for (size_t i = 0; i < TRIB_COUNT(texts); i++)
		if (strcmp(word, texts[i][0]) == 0)
			return _(texts[i][1]);
	return word;
}

/* The last try came to nothing: what is said above is older than that. Of two failures the capture's is told first: what it missed is nowhere else. */
static void say_failed(struct trib_cli *cli, struct view *v)
{
	static const struct { enum trib_deed deed; const char *word; } kinds[] = {{TRIB_DEED_CAPTURE, "capture"}, {TRIB_DEED_EXCHANGE, "exchange"}};
	for (size_t i = 0; i < TRIB_COUNT(kinds); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(3072);
		struct trib_last_failure f;
		char when[17];
		if (!trib_record_last_failure(trib_cli_state(cli), kinds[i].deed, &f))
			continue;
		trib_time_city(when, f.at);
		trib_buf_printf(&text, "%s [%s] %s", when, f.code, f.message);
		line(cli, _("last failure"), trib_buf_str(&text));
		if (v->failed)
			continue;
		v->failed = true;
		v->failure = f;
		v->deed = kinds[i].deed;
		trib_json(cli, "last_failure", json_pack("{s:o, s:s, s:s, s:o}", "at", agent_json_time(f.at), "of", kinds[i].word, "code", f.code, "message",
							 trib_json_text(f.message)));
	}
	if (!v->failed)
		trib_json(cli, "last_failure", json_null());
}

static void say_warnings(struct trib_cli *cli)
{
	json_t *list = agent_cert_warnings(trib_cli_state(cli), trib_now()), *one;
	size_t i;
	json_array_foreach(list, i, one)
		line(cli, _("warning"), json_string_value(one));
	trib_json(cli, "warnings", list);
}

static void say_last(struct trib_cli *cli, const struct view *v)
{
	char text[512], when[17];
	const struct trib_last_capture *l = &v->last;
	if (!v->known_capture) {
		line(cli, _("last run"), _("none known"));
		trib_json(cli, "last_capture", json_null());
		return;
	}
	trib_time_city(when, l->at);
	(void)snprintf(text, sizeof(text), _("%s, %s, %s: %llu pages read, %llu changed, %llu rows found, %llu ms"), when,
		       strcmp(l->engine, "full") == 0 ? _("full engine") : trib_record_reason(l->engine) ? _("page engine, and row by row") : _("page engine"),
		       way_text(l->snapshot), (unsigned long long)l->pages_read, (unsigned long long)l->pages_changed, (unsigned long long)l->rows, (unsigned long long)l->ms);
	line(cli, _("last run"), text);
	say_stepped(cli, l);
	trib_json(cli, "last_capture", json_pack("{s:o, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I}", "at", agent_json_time(l->at), "engine", l->engine,
						 "full_tables", (json_int_t)l->full_tables, "snapshot",
						 l->snapshot, "outcome", l->outcome,
						 "pages_read", (json_int_t)l->pages_read, "pages_changed", (json_int_t)l->pages_changed, "rows", (json_int_t)l->rows, "ms",
						 (json_int_t)l->ms));
}

/* What is not as it should be, most urgent first; NULL: nothing. */
static const char *trouble(struct trib_cli *cli, const struct view *v)
{
	struct trib_state *s = trib_cli_state(cli);
	int64_t now = trib_now();
	char when[17];
	struct trib_err why;
	bool late = now - v->captured_at > NIGHT, stale = s->node.enrolled && !late && trib_stale(v->fresh_at, now);
	if (v->problem[0]) {
		trib_time_city(when, v->held == v->captured ? v->captured_at : v->held_at);
		trib_say(cli, _("Call the city: it holds everything up to %s, but stopped taking it in (%s).\n"), when, v->problem);
		return "out-of-step";
	}
	if (trib_clocks_check(s, now, &why) && why.code == TRIB_E_CLOCK) {
		trib_say(cli, _("The clock: %s\n"), why.msg);
		cli->status = trib_exit_status(TRIB_E_CLOCK);
		return "clock";
	}
	/* By a clock that is ahead the log looks old, too: what the hub said of the clock goes first. */
	if (stale && !(v->failed && strcmp(v->failure.code, trib_code_name(TRIB_E_CLOCK)) == 0)) {
		trib_time_city(when, v->fresh_at);
		trib_say(cli, _("Call the city: its log shows nothing new since %s, so the hub does not answer or shows an old state. Everything is safe here.\n"), when);
		cli->status = trib_exit_status(TRIB_E_VERIFY);
		return "frozen";
	}
	if (v->failed) {
		trib_time_city(when, v->failure.at);
		trib_say(cli, _("The last run, at %s, failed: %s. What was captured before is safe. When that is mended: tributary-agent sync\n"), when, v->failure.message);
		cli->status = trib_exit_status(TRIB_E_INCOMPLETE);
		return "failed";
	}
	if (s->node.enrolled && late) {
		trib_time_city(when, v->captured_at);
		trib_say(cli, _("Late: the last report is of %s; try: tributary-agent sync\n"), when);
		return "late";
	}
	if (s->node.enrolled && trib_pin_check(s, now, &why)) {
		trib_say(cli, _("Call the city: %s\n"), why.msg);
		cli->status = trib_exit_status(why.code);
		return "unwitnessed";
	}
	return NULL;
}

/* All went well: where is it now? */
static const char *standing(struct trib_cli *cli, const struct view *v)
{
	struct trib_state *s = trib_cli_state(cli);
	char when[17];
	trib_time_city(when, v->captured_at);
	if (!s->node.enrolled) {
		trib_say(cli, _("Everything up to %s is kept in this office; no city has it yet: tributary-agent enrol --slip FILE\n"), when);
		return "local";
	}
	if (v->held != v->captured) {
		trib_say(cli, _("Not sent yet: %llu commits wait for the next run; they are safe here. At once: tributary-agent sync\n"),
			 (unsigned long long)(v->captured - v->held));
		return "waiting";
	}
	bool merged = v->merged == v->captured;
	trib_say(cli, merged ? _("Everything up to %s is at the city hub and in the city's database.\n") : _("Everything up to %s is at the city hub.\n"), when);
	return merged ? "in-city" : "held";
}

/* One plain sentence; the state it stands for goes to scripts as one word. */
static void sentence(struct trib_cli *cli, const struct view *v)
{
	struct trib_state *s = trib_cli_state(cli);
	const char *word;
	bool blind = v->failed && v->deed == TRIB_DEED_CAPTURE; /* since then */
	if (!blind && v->known_capture && strcmp(v->last.outcome, "braked") == 0) {
		word = "braked";
		trib_say(cli, "%s\n", _("Held back: so many rows are gone that a person should look; if it is right: tributary-agent commit --accept-loss"));
	} else if (!v->captured && !blind) {
		word = "empty";
		trib_say(cli, "%s\n", _("Nothing is captured yet; try: tributary-agent commit"));
	} else {
		word = trouble(cli, v);
		word = word ? word : standing(cli, v);
	}
	if (s->node.enrolled)
		trib_json(cli, "fresh_at", agent_json_time(v->fresh_at));
	trib_json(cli, "state", trib_json_text(word));
}

static void say_head(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	char text[TRIB_TITLE_MAX + 200];
	(void)snprintf(text, sizeof(text), "%s  %s/%s", s->node.name, s->node.node, s->node.app);
	line(cli, _("community"), text);
	line(cli, _("database"), s->node.db_path);
	trib_json(cli, "node", trib_json_text(s->node.node));
	trib_json(cli, "app", trib_json_text(s->node.app));
	trib_json(cli, "name", trib_json_text(s->node.name));
	trib_json(cli, "database", trib_json_text(s->node.db_path));
	trib_json(cli, "hub", s->node.hub_url ? trib_json_text(s->node.hub_url) : json_null());
}

/* Only for an office that pins one. */
static int say_witness(struct trib_cli *cli)
{
	struct trib_pin p;
	char text[TRIB_VKEY_NAME_MAX + 160], when[17];
	if (trib_pin_load(trib_cli_state(cli), &p, &cli->err))
		return -1;
	if (!p.on)
		return 0;
	trib_time_city(when, p.time);
	if (p.time)
		(void)snprintf(text, sizeof(text), _("%s cosigned %llu leaves of the city's log, %s"), p.key.name, (unsigned long long)p.size, when);
	else
		(void)snprintf(text, sizeof(text), _("%s has cosigned nothing that was shown here yet"), p.key.name);
	line(cli, _("witness"), text);
	trib_json(cli, "witness", json_pack("{s:o, s:I, s:o}", "name", trib_json_text(p.key.name), "size", (json_int_t)p.size, "cosigned_at",
					    p.time ? agent_json_time(p.time) : json_null()));
	return 0;
}

/* There is a next run only where something calls it. */
static void say_next(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	int64_t now = trib_now(), seen = trib_record_last_timer(s), next = trib_slot_after(s, now);
	bool timer = (seen && now - seen <= NIGHT) || trib_fs_exists(TIMER);
	char when[17], text[256];
	trib_time_city(when, next);
	if (!timer && seen) {
		trib_time_city(when, seen);
		(void)snprintf(text, sizeof(text), _("none: no timer has called `tributary-agent sync --if-due` since %s"), when);
	} else if (!timer) {
		(void)snprintf(text, sizeof(text), "%s", _("none: no timer calls `tributary-agent sync --if-due` here; how to set one up: man tributary-agent, TIMER"));
	}
	line(cli, _("next run"), timer ? when : text);
	trib_json(cli, "next_run", timer ? agent_json_time(next) : json_null());
	trib_json(cli, "timer_seen", agent_json_time(seen));
}

int agent_cmd_status(struct trib_cli *cli)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_state *s = trib_cli_state(cli);
	struct view v = {0};
	char text[64];
	if (look(cli, &v))
		return -1;
	if (s->tip.exists && (trib_commit_read(s->repo, s->tip.oid, &c, &cli->err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, &cli->err)))
		return -1;
	say_head(cli);
	say_seq(cli, _("captured"), "captured", v.captured, v.captured_at);
	say_held(cli, &v);
	say_seq(cli, _("in the city"), "merged", v.merged, v.merged == v.held ? v.held_at : 0);
	(void)snprintf(text, sizeof(text), _("%llu commits"), (unsigned long long)(v.captured - v.held));
	line(cli, _("waiting"), text);
	trib_json(cli, "waiting", json_integer((json_int_t)(v.captured - v.held)));
	trib_json(cli, "captured_at", agent_json_time(v.captured_at));
	say_braked(cli, &v);
	say_cert(cli, &v);
	say_left_out(cli, &m);
	if (say_private(cli) || say_witness(cli))
		return -1;
	say_last(cli, &v);
	say_failed(cli, &v);
	say_warnings(cli);
	say_next(cli);
	sentence(cli, &v);
	return 0;
}
