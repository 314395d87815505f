/* cmd_commit.c: `commit`, and the capture that `sync` shares. */
#include "agent/capture/prints.h"
#include "agent/commands.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store/fold.h"

const struct trib_opt agent_opts_commit[] = {
	{"message", 'm', "MSG", N_("a text for people, kept in the commit")},
	{"accept-loss", 0, NULL, N_("commit although the brake holds back")},
	{"engine", 0, "NAME", N_("how to find changes: auto (default: pages that changed; all rows of a table where that cannot be), or full")},
	{"full-scan", 0, NULL, N_("read every page, though the file looks untouched")},
	{0},
};

static int choose_engine(struct trib_cli *cli, const struct trib_engine **ret)
{
	const char *name = trib_cli_opt(cli, "engine");
	*ret = &trib_engine_page; /* it lets the full one step in where it must */
	if (name && strcmp(name, trib_engine_full.name) == 0)
		*ret = &trib_engine_full;
	else if (name && strcmp(name, "auto") != 0 && strcmp(name, trib_engine_page.name) != 0)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("there is no engine %s; try: --engine auto, page or full"), name);
	return 0;
}

static uint64_t returned_to(const struct trib_capture *c, const char *table)
{
	for (size_t i = 0; i < c->nreturned; i++)
		if (strcmp(c->returned[i].table, table) == 0)
			return c->returned[i].seq;
	return 0;
}

static void print_braked(struct trib_cli *cli, const struct trib_capture *c)
{
	json_t *list = json_array();
	char name[TRIB_NAME_MAX + 1];
	for (size_t i = 0; i < c->nbraked; i++) {
		const struct trib_mf_braked *b = &c->braked[i];
		uint64_t seq = returned_to(c, b->table);
		agent_name(name, sizeof(name), b->table);
		if (seq)
			trib_say(cli, _("braked: table %s, %llu rows: it is again as it was at #%llu (restored from #%llu)\n"), name, (unsigned long long)b->lost,
				 (unsigned long long)seq, (unsigned long long)seq);
		else
			trib_say(cli, _("braked: table %s would lose %llu rows\n"), name, (unsigned long long)b->lost);
		json_array_append_new(list, json_pack("{s:o, s:I, s:o}", "table", trib_json_text(b->table), "lost", (json_int_t)b->lost, "restored_from",
						      seq ? json_integer((json_int_t)seq) : json_null()));
	}
	trib_json(cli, "braked", list);
}

/* What would be committed, as a commit says it. */
static int print_preview(struct trib_cli *cli, const struct trib_capture *c)
{
	__attribute__((cleanup(agent_counts_cleanup))) struct agent_counts sum = {0};
	uint64_t n[3] = {0}, hidden;
	if (trib_outbox_preview(trib_cli_state(cli), c, &sum.m, &hidden, &cli->err) || agent_counts_once_of(&sum, c, &cli->err))
		return -1;
	trib_manifest_counts(&sum.m, &n[0], &n[1], &n[2]);
	trib_say(cli, _("would make a commit: %llu added, %llu changed, %llu removed\n"), (unsigned long long)n[0], (unsigned long long)n[1], (unsigned long long)n[2]);
	trib_json(cli, "parts", json_integer((json_int_t)c->nparts));
	trib_json(cli, "added", json_integer((json_int_t)n[0]));
	trib_json(cli, "changed", json_integer((json_int_t)n[1]));
	trib_json(cli, "removed", json_integer((json_int_t)n[2]));
	agent_counts_print(cli, &sum);
	if (hidden) {
		trib_say(cli, _("private: %llu changes would be kept in this office only\n"), (unsigned long long)hidden);
		trib_json(cli, "private_changes", json_integer((json_int_t)hidden));
	}
	return 0;
}

static int print_commit(struct trib_cli *cli, const struct trib_capture *cap, const struct trib_committed *done)
{
	__attribute__((cleanup(agent_counts_cleanup))) struct agent_counts sum = {0};
	struct trib_state *s = trib_cli_state(cli);
	char hex[TRIB_OID_HEX + 1];
	uint64_t n[3];
	uint8_t at[TRIB_OID_LEN];
	memcpy(at, done->oid, sizeof(at));
	for (size_t i = 0; i < done->ncommits; i++) {
		TRIB_AUTO(trib_commit) struct trib_commit c = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
		if (trib_commit_read(s->repo, at, &c, &cli->err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, &cli->err))
			return -1;
		/* Newest first: the rows of the newest stand. */
		for (size_t j = 0; j < m.ntables && i > 0; j++)
			for (size_t t = 0; t < sum.m.ntables; t++)
				if (strcmp(sum.m.tables[t].name, m.tables[j].name) == 0)
					m.tables[j].rows = sum.m.tables[t].rows;
		if (agent_counts_add(&sum, &m, &cli->err))
			return -1;
		memcpy(at, c.c.parent, sizeof(at));
	}
	if (agent_counts_once_of(&sum, cap, &cli->err))
		return -1;
	trib_manifest_counts(&sum.m, &n[0], &n[1], &n[2]);
	trib_hex(hex, done->oid, TRIB_OID_LEN);
	if (done->ncommits == 1)
		trib_say(cli, _("commit %.12s #%llu: %llu added, %llu changed, %llu removed\n"), hex, (unsigned long long)done->last_seq,
			 (unsigned long long)n[0], (unsigned long long)n[1], (unsigned long long)n[2]);
	else
		trib_say(cli, _("commit %.12s #%llu to #%llu (%zu parts): %llu added, %llu changed, %llu removed\n"), hex, (unsigned long long)done->first_seq,
			 (unsigned long long)done->last_seq, done->ncommits, (unsigned long long)n[0], (unsigned long long)n[1], (unsigned long long)n[2]);
	trib_json(cli, "commit", trib_json_text(hex));
	trib_json(cli, "first_seq", json_integer((json_int_t)done->first_seq));
	trib_json(cli, "seq", json_integer((json_int_t)done->last_seq));
	trib_json(cli, "added", json_integer((json_int_t)n[0]));
	trib_json(cli, "changed", json_integer((json_int_t)n[1]));
	trib_json(cli, "removed", json_integer((json_int_t)n[2]));
	agent_counts_print(cli, &sum);
	return 0;
}

static void print_private(struct trib_cli *cli, const struct trib_committed *done)
{
	if (!done->nprivate)
		return;
	trib_say(cli, _("private: %llu changes are kept in this office only\n"), (unsigned long long)done->private_rows);
	trib_json(cli, "private_changes", json_integer((json_int_t)done->private_rows));
}

/* A person should know at once, and can say that it was no rename. */
static void print_followed(struct trib_cli *cli, const struct trib_private_list *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < l->n; i++) {
		char name[2 * TRIB_NAME_MAX + 2], shown[2 * TRIB_NAME_MAX + 2];
		(void)snprintf(name, sizeof(name), "%s%s%s", l->names[i].table, l->names[i].column ? "." : "", l->names[i].column ? l->names[i].column : "");
		agent_name(shown, sizeof(shown), name);
		trib_say(cli, _("private too: %s, because it may hold what was private under another name; if not: tributary-agent config set public %s\n"), shown, shown);
		json_array_append_new(list, trib_json_text(name));
	}
	if (l->n)
		trib_json(cli, "private_too", list);
	else
		json_decref(list);
}

/* The day's report is there when the last commit is of today and says the same of the brake. */
static int report_is_made(struct trib_cli *cli, const struct trib_capture *c, bool *ret)
{
	TRIB_AUTO(trib_commit) struct trib_commit last = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_state *s = trib_cli_state(cli);
	*ret = false;
	if (!s->tip.exists || trib_local_day(s->tip.captured_at) != trib_local_day(trib_now()))
		return 0;
	if (trib_commit_read(s->repo, s->tip.oid, &last, &cli->err) || trib_manifest_parse(trib_buf_span(&last.manifest), &m, &cli->err))
		return -1;
	*ret = m.nbraked == c->nbraked;
	for (size_t i = 0; i < c->nbraked && *ret; i++) {
		bool found = false;
		for (size_t j = 0; j < m.nbraked; j++)
			found = found || (strcmp(m.braked[j].table, c->braked[i].table) == 0 && m.braked[j].lost == c->braked[i].lost);
		*ret = found;
	}
	return 0;
}

static int make_report(struct trib_cli *cli, const struct trib_capture *c, struct agent_captured *ret)
{
	struct trib_committed done;
	bool made;
	if (report_is_made(cli, c, &made))
		return -1;
	if (made || !trib_cli_state(cli)->tip.exists)
		return 0;
	if (trib_outbox_report(trib_cli_state(cli), c, &done, &cli->err))
		return -1;
	ret->reported = true;
	trib_say(cli, _("report #%llu: %s\n"), (unsigned long long)done.last_seq, c->nbraked ? _("held back by the brake") : _("nothing changed"));
	trib_json(cli, "report", json_integer((json_int_t)done.last_seq));
	return 0;
}

/* The file's mark may spare the reading. Not for the first report of a day, which says "nothing changed" to the city and must have looked; nor for the
 * first capture of `watch` on a day, which may be all that comes before it. */
static const struct trib_known *known_marks(struct trib_cli *cli, bool must_look, bool whole, struct trib_last_capture *room)
{
	const struct trib_state *s = trib_cli_state(cli);
	bool new_day = !s->tip.exists || trib_local_day(s->tip.captured_at) != trib_local_day(trib_now());
	return whole || trib_cli_flag(cli, "full-scan") || (must_look && new_day) ? NULL : trib_record_known(s, room);
}

/* Written when it stands: `status` tells what is in the history, and the mark belongs to the commit that is the last one now. */
static int note(struct trib_cli *cli, const struct trib_capture *c, const char *outcome)
{
	const char *why = trib_record_reason(c->engine);
	if (why)
		trib_say(cli, _("%llu tables compared row by row: %s\n"), (unsigned long long)c->full_tables, agent_reason(why));
	trib_json(cli, "full_tables", json_integer((json_int_t)c->full_tables));
	trib_json(cli, "snapshot", trib_json_text(c->snapshot));
	trib_json(cli, "engine", trib_json_text(c->engine));
	trib_json(cli, "ms", json_integer((json_int_t)c->ms));
	trib_json(cli, "cpu_ms", json_real((double)c->cpu_us / 1000));
	trib_json(cli, "pages_read", json_integer((json_int_t)c->pages_read));
	trib_json(cli, "pages_changed", json_integer((json_int_t)c->pages_changed));
	if (strcmp(outcome, "committed") == 0 || strcmp(outcome, "loss-accepted") == 0)
		trib_prints_learn(trib_cli_state(cli), c);
	return trib_record_capture(trib_cli_state(cli), c, outcome, &cli->err);
}

/* Nothing depends on it: what is damaged stays where it is, and is named. */
static void fold(const struct trib_state *s)
{
	static const char *const repos[] = {"repo.git", "private.git"};
	for (size_t i = 0; i < TRIB_COUNT(repos); i++) {
		TRIB_AUTO(trib_mem) char *path = trib_state_path(s, repos[i]);
		struct trib_fold done;
		struct trib_err err;
		if (path && trib_repo_fold(path, &done, &err))
			trib_log(TRIB_LOG_WARN, _("%s; nothing was removed; try: tributary-agent check"), err.msg);
	}
}

static bool was_left_out(const struct trib_capture *c, const struct trib_mf_left_out *l)
{
	for (size_t i = 0; i < c->nleft_out_before; i++)
		if (strcmp(c->left_out_before[i].name, l->name) == 0 && strcmp(c->left_out_before[i].reason, l->reason) == 0 && c->left_out_before[i].count == l->count)
			return true;
	return false;
}

/* Rows that stay out, when they are news; `status` goes on naming them. */
static void print_left_out(struct trib_cli *cli, const struct trib_capture *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->nleft_out; i++) {
		const struct trib_mf_left_out *l = &c->left_out[i];
		char name[TRIB_NAME_MAX + 16];
		if (!l->count || was_left_out(c, l))
			continue;
		agent_name(name, sizeof(name), l->name);
		trib_say(cli, _("left out: %llu rows of %s: %s\n"), (unsigned long long)l->count, name, agent_left_out(l->reason, false));
		json_array_append_new(list, json_pack("{s:o, s:s, s:I}", "name", trib_json_text(l->name), "reason", l->reason, "count", (json_int_t)l->count));
	}
	trib_json(cli, "left_out_rows", list);
}

static int capture(struct trib_cli *cli, const struct trib_engine *engine, bool must_look, bool whole, struct trib_capture *c)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_last_capture last;
	return trib_capture_run_known(s, engine, known_marks(cli, must_look, whole, &last), c, &cli->err);
}

static int capture_and_commit(struct trib_cli *cli, const char *message, bool accept_loss, bool report, bool whole, struct agent_captured *ret)
{
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	const struct trib_engine *engine;
	struct trib_committed done;
	struct trib_state *s = trib_cli_state(cli);
	*ret = (struct agent_captured){0};
	if (choose_engine(cli, &engine) || capture(cli, engine, report || (message && strcmp(message, TRIB_WATCH_TEXT) == 0), whole, &c))
		return -1;
	ret->braked = c.nbraked && !accept_loss;
	ret->returned = c.nreturned ? c.returned[0].seq : 0;
	if (c.nbraked)
		print_braked(cli, &c);
	bool changed = c.changed || c.hidden.changed;
	print_followed(cli, &c.hidden.followed);
	print_left_out(cli, &c);
	if (cli->dry_run) {
		trib_json(cli, "outcome", trib_json_text(ret->braked ? "braked" : changed ? "changed" : "unchanged"));
		if (changed && !ret->braked)
			return print_preview(cli, &c);
		trib_say(cli, "%s", changed ? _("would not commit: the brake holds it back\n") : _("nothing changed\n"));
		return 0;
	}
	const char *outcome = ret->braked ? "braked" : !changed ? "unchanged" : c.nbraked ? "loss-accepted" : "committed";
	trib_json(cli, "outcome", trib_json_text(outcome));
	if (ret->braked || !changed)
		return (report && make_report(cli, &c, ret)) || note(cli, &c, outcome) ? -1 : 0;
	if (trib_outbox_commit(s, &c, message, &done, &cli->err) || note(cli, &c, outcome))
		return -1;
	fold(s);
	ret->changed = true;
	if (done.ncommits && print_commit(cli, &c, &done))
		return -1;
	print_private(cli, &done);
	return !done.ncommits && report ? make_report(cli, &c, ret) : 0;
}

/* `status` tells of what failed. A wrong command line is told to who typed it. */
static int recorded(struct trib_cli *cli, int rc)
{
	if (rc && !cli->dry_run && cli->err.code != TRIB_E_USAGE)
		trib_record_failure(trib_cli_state(cli), TRIB_DEED_CAPTURE, &cli->err);
	return rc;
}

int agent_capture(struct trib_cli *cli, const char *message, bool accept_loss, bool report, struct agent_captured *ret)
{
	return recorded(cli, capture_and_commit(cli, message, accept_loss, report, false, ret));
}

int agent_capture_whole(struct trib_cli *cli, bool accept_loss, struct agent_captured *ret)
{
	return recorded(cli, capture_and_commit(cli, NULL, accept_loss, false, true, ret));
}

int agent_cmd_commit(struct trib_cli *cli)
{
	struct agent_captured got;
	if (agent_capture(cli, trib_cli_opt(cli, "message"), trib_cli_flag(cli, "accept-loss"), false, &got))
		return -1;
	if (got.braked && got.returned)
		return trib_fail(&cli->err, TRIB_E_BRAKE, _("an old copy was put back (restored from #%llu): a person should look first. The database and the history are as "
							    "they were. If it is right: tributary-agent commit --accept-loss"), (unsigned long long)got.returned);
	if (got.braked)
		return trib_fail(&cli->err, TRIB_E_BRAKE, _("so many rows are gone that a person should look first. The database and the history are as they were. If it is "
							    "right: tributary-agent commit --accept-loss"));
	if (!got.changed && !cli->dry_run)
		trib_say(cli, "%s\n", _("nothing changed"));
	return 0;
}
