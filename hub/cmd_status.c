/* cmd_status.c: `status` and `checkpoint`: the operator's first screen is who has not reported (D1). */
#include "core/base/clock.h"
#include "core/trust/epoch.h"
#include "hub/commands.h"
#include "hub/enrol.h"
#include "hub/oldlog.h"
#include "hub/tiles.h"

#define NIGHT (26 * 3600LL) /* a day and a little: a start slot may move by two hours */
#define SHOWN 50            /* lines of each list on a screen; --json lists all */

static void print_node(struct trib_cli *cli, sqlite3_stmt *st, json_t *list, const char *state, bool shown)
{
	char when[TRIB_TIME_LEN + 1] = "", local[17] = "";
	int64_t at = sqlite3_column_int64(st, 3);
	if (at) {
		trib_time_text(when, at);
		trib_time_city(local, at);
	}
	if (shown)
		trib_say(cli, "  %-14s %-10s %-16s  %s  %s\n", (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1),
			 at ? local : _("never"), state, (const char *)sqlite3_column_text(st, 2));
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "node", sqlite3_column_text(st, 0), "app", sqlite3_column_text(st, 1), "name",
					      sqlite3_column_text(st, 2), "state", state, "reported_at", at ? trib_json_text(when) : json_null()));
}

/* One list of nodes chosen by `sql` (node, app, name, reported_at; parameter 1 = the instant before which one is silent). */
static int list_nodes(struct trib_cli *cli, struct trib_hubdb *db, const char *sql, const char *title, const char *key, const char *state, int64_t *ret_n)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db, sql, &st, &cli->err))
		return -1;
	if (sqlite3_bind_parameter_count(st) > 0)
		sqlite3_bind_int64(st, 1, trib_now() - NIGHT);
	json_t *list = json_array();
	int row;
	*ret_n = 0;
	while ((row = trib_db_step(db->db, st, &cli->err)) > 0) {
		if (++*ret_n == 1)
			trib_say(cli, "%s\n", title);
		print_node(cli, st, list, state, *ret_n <= SHOWN);
	}
	if (*ret_n > SHOWN)
		trib_say(cli, _("  ... and %lld more; --json lists all\n"), (long long)(*ret_n - SHOWN));
	trib_json(cli, key, list);
	return row < 0 ? -1 : 0;
}

/* Why nothing is merged, when that is so. */
static int merge_trouble(struct trib_cli *cli, struct trib_hubdb *db)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(2 * TRIB_ERR_MSG);
	char when[TRIB_TIME_LEN + 1], local[17];
	if (trib_hubdb_meta(db, "merge-trouble", &text, &cli->err))
		return -1;
	const char *msg = strchr(trib_buf_str(&text), ' ');
	trib_json(cli, "merge_trouble", json_null());
	if (!msg)
		return 0;
	int64_t since = strtoll(trib_buf_str(&text), NULL, 10);
	trib_time_text(when, since);
	trib_time_city(local, since);
	trib_say(cli, _("Nothing is merged since %s (what is received is safe; the hub tries again by itself):\n  %s\n"), local, msg + 1);
	if (!strstr(msg, "; try: "))
		trib_say(cli, "%s\n", _("  Next: tributary-hub audit"));
	trib_json(cli, "merge_trouble", json_pack("{s:s, s:o}", "since", when, "message", trib_json_text(msg + 1)));
	return 0;
}

struct old_log { struct trib_cli *cli; size_t n; };

static int say_old_history(void *ctx, const struct trib_oldlog_history *h, struct trib_err *err)
{
	struct old_log *l = ctx;
	(void)err;
	if (h->state == TRIB_OLDLOG_WAITING && l->n++ < SHOWN)
		trib_say(l->cli, _("  %-14s %-10s has not reported since\n"), h->node, h->app);
	return 0;
}

static int say_old_finding(void *ctx, const struct trib_oldlog_finding *f, struct trib_err *err)
{
	struct old_log *l = ctx;
	(void)err;
	if (l->n++ >= SHOWN)
		return 0;
	if (f->what == TRIB_OLDLOG_MISSING || f->what == TRIB_OLDLOG_OTHER)
		trib_say(l->cli, _("  %s/%s #%llu is missing, though the hub once gave a receipt for it\n"), f->node, f->app, (unsigned long long)f->seq);
	else
		trib_say(l->cli, "  %s/%s: %s\n", f->node, f->app, f->text);
	return 0;
}

/* After `recover`: is all that the log before it promised here again? */
static int old_log(struct trib_cli *cli, struct trib_hubdb *db)
{
	TRIB_AUTO(trib_oldlog) struct trib_oldlog *o = NULL;
	struct old_log l = {.cli = cli};
	if (trib_oldlog_check(db, &o, &cli->err))
		return -1;
	const struct trib_oldlog_totals *t = trib_oldlog_totals(o);
	trib_json(cli, "old_log", t->opened ? json_pack("{s:s, s:I, s:I, s:I}", "verdict", t->findings ? "not-complete" : t->waiting ? "open" : "complete", "waiting",
							(json_int_t)t->waiting, "commits", (json_int_t)t->commits, "missing", (json_int_t)t->missing) :
					      json_null());
	if (!t->opened)
		return 0;
	if (!t->findings && !t->waiting) {
		trib_say(cli, _("The log was cut off once: all that the offices' receipts prove is here again (tributary-hub recover --check)\n"));
		return 0;
	}
	trib_say(cli, _("The log was cut off: %llu commits proven by receipts, %llu of them missing; %llu histories have not reported. Details: tributary-hub recover --check\n"),
		 (unsigned long long)t->commits, (unsigned long long)t->missing, (unsigned long long)t->waiting);
	if (t->findings)
		cli->status = trib_exit_status(TRIB_E_VERIFY);
	return trib_oldlog_findings(o, say_old_finding, &l, &cli->err) || trib_oldlog_histories(o, say_old_history, &l, &cli->err) ? -1 : 0;
}

static int list_refusals(struct trib_cli *cli, struct trib_hubdb *db)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db, "SELECT node, app, code, msg, at, times FROM refusal ORDER BY at DESC LIMIT 10", &st, &cli->err))
		return -1;
	json_t *list = json_array();
	int row;
	bool any = false;
	while ((row = trib_db_step(db->db, st, &cli->err)) > 0) {
		char when[TRIB_TIME_LEN + 1], local[17];
		trib_time_text(when, sqlite3_column_int64(st, 4));
		trib_time_city(local, sqlite3_column_int64(st, 4));
		if (!any)
			trib_say(cli, "%s\n", _("Last refusals:"));
		any = true;
		trib_say(cli, "  %s %s/%s [%s] x%lld: %s\n", local, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1),
			 (const char *)sqlite3_column_text(st, 2), (long long)sqlite3_column_int64(st, 5), (const char *)sqlite3_column_text(st, 3));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:s, s:I}", "node", sqlite3_column_text(st, 0), "app", sqlite3_column_text(st, 1), "code",
						      sqlite3_column_text(st, 2), "message", trib_json_text((const char *)sqlite3_column_text(st, 3)), "at", when, "times",
						      (json_int_t)sqlite3_column_int64(st, 5)));
	}
	trib_json(cli, "refusals", list);
	return row < 0 ? -1 : 0;
}

/* A clock that lies (D7.8): the last commit says a time after its receipt, or before the commit before it. Nothing depends on it: order is the log's. */
static const char sql_clocks[] = "SELECT h.node, h.app, h.captured_at, h.held_at, h.captured_at > h.held_at + ?1 FROM history n CROSS JOIN held h USING(node, app, seq) "
				 "LEFT JOIN held b ON b.node = h.node AND b.app = h.app AND b.seq = h.seq - 1 WHERE (h.captured_at > h.held_at + ?1 OR h.captured_at < b.captured_at - ?1) ORDER BY h.node, h.app";

static int list_clocks(struct trib_cli *cli, struct trib_hubdb *db)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db, sql_clocks, &st, &cli->err))
		return -1;
	sqlite3_bind_int64(st, 1, TRIB_CLOCK_SLACK_S);
	json_t *list = json_array();
	int row;
	while ((row = trib_db_step(db->db, st, &cli->err)) > 0) {
		char said[TRIB_TIME_LEN + 1], held[TRIB_TIME_LEN + 1], said_here[17], held_here[17];
		const char *node = (const char *)sqlite3_column_text(st, 0), *app = (const char *)sqlite3_column_text(st, 1);
		bool ahead = sqlite3_column_int(st, 4);
		trib_time_text(said, sqlite3_column_int64(st, 2));
		trib_time_text(held, sqlite3_column_int64(st, 3));
		trib_time_city(said_here, sqlite3_column_int64(st, 2));
		trib_time_city(held_here, sqlite3_column_int64(st, 3));
		if (!json_array_size(list))
			trib_say(cli, "%s\n", _("Clock wrong (nothing is lost: order and receipts have the city's time):"));
		if (json_array_size(list) < SHOWN)
			trib_say(cli, ahead ? _("  %-14s %-10s says %s, received %s\n") : _("  %-14s %-10s says %s, which is before its commit before; received %s\n"), node, app,
				 said_here, held_here);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "node", node, "app", app, "captured_at", said, "held_at", held));
	}
	trib_json(cli, "clocks", list);
	return row < 0 ? -1 : 0;
}

/* Nothing here asks the whole table of held commits: it is as long as the city is old. `o`: the histories with commits that are not merged, and how far each is. Parts
 * of a group that was given up never merge and wait for nothing: what waits is newer than that. */
#define SQL_OPEN \
	"WITH o AS MATERIALIZED (SELECT node, app, coalesce((SELECT m.seq FROM held m WHERE m.node = u.node AND m.app = u.app AND m.merged_at IS NOT NULL " \
	"ORDER BY m.seq DESC LIMIT 1), 0) AS upto FROM (SELECT DISTINCT node, app FROM held WHERE merged_at IS NULL) u) "
#define SQL_NEWER "h.node = o.node AND h.app = o.app AND h.merged_at IS NULL AND h.seq > o.upto"

static const char sql_waiting[] = SQL_OPEN "SELECT count(*) FROM o CROSS JOIN held h ON " SQL_NEWER;
static const char sql_stopped[] = SQL_OPEN "SELECT n.node, n.app, n.name, n.reported_at FROM o CROSS JOIN node n USING(node, app) "
					   "WHERE EXISTS(SELECT 1 FROM held h WHERE " SQL_NEWER " AND h.out_of_step IS NOT NULL) ORDER BY n.node, n.app";

/* The numbers of a history begin at 1, so its last one counts its commits. */
static int totals(struct trib_cli *cli, struct trib_hubdb *db, int64_t *ret_expected)
{
	int64_t commits, waiting;
	uint64_t size;
	uint8_t root[TRIB_SHA256_LEN];
	char hex[TRIB_SHA256_HEX + 1];
	if (trib_db_int(db->db, "SELECT count(*) FROM node WHERE status <> 'closed'", 0, ret_expected, &cli->err) ||
	    trib_db_int(db->db, "SELECT coalesce(sum(seq), 0) FROM history", 0, &commits, &cli->err) ||
	    trib_db_int(db->db, sql_waiting, 0, &waiting, &cli->err) || trib_log_size(db, &size, &cli->err) ||
	    trib_log_root(db, size, root, &cli->err))
		return -1;
	trib_hex(hex, root, TRIB_SHA256_LEN);
	trib_say(cli, _("Held: %lld commits; not in the city yet: %lld; log: %llu leaves, root %.16s\n"), (long long)commits, (long long)waiting,
		 (unsigned long long)size, hex);
	trib_json(cli, "held", json_integer(commits));
	trib_json(cli, "waiting", json_integer(waiting));
	trib_json(cli, "log_size", json_integer((json_int_t)size));
	trib_json(cli, "log_root", trib_json_text(hex));
	return 0;
}

/* The last list in the log: what an auditor will see of the night. */
static int last_night(struct trib_cli *cli, struct trib_hubdb *db)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	char when[17], to[TRIB_TIME_LEN + 1];
	if (trib_db_prepare(db->db, "SELECT to_at, expected, reported, silent FROM night ORDER BY idx DESC LIMIT 1", &st, &cli->err))
		return -1;
	int row = trib_db_step(db->db, st, &cli->err);
	if (row <= 0)
		return row;
	trib_time_city(when, sqlite3_column_int64(st, 0));
	trib_time_text(to, sqlite3_column_int64(st, 0));
	trib_say(cli, _("Night up to %s: %lld expected, %lld reported, %lld silent; all nights: tributary-hub log --nights\n"), when, (long long)sqlite3_column_int64(st, 1),
		 (long long)sqlite3_column_int64(st, 2), (long long)sqlite3_column_int64(st, 3));
	trib_json(cli, "night", json_pack("{s:s, s:I, s:I, s:I}", "to", to, "expected", (json_int_t)sqlite3_column_int64(st, 1), "reported",
					  (json_int_t)sqlite3_column_int64(st, 2), "silent", (json_int_t)sqlite3_column_int64(st, 3)));
	return 0;
}

static int frozen(struct trib_cli *cli, struct trib_hubdb *db)
{
	char when[17], text[TRIB_TIME_LEN + 1];
	int64_t at = 0;
	int got = trib_tiles_shown(db, &at, &cli->err);
	if (got < 0)
		return -1;
	bool read = got > 0, stale = !read || trib_stale(at, trib_now());
	trib_json(cli, "frozen", json_boolean(stale));
	if (read)
		trib_time_text(text, at);
	trib_json(cli, "checkpoint_at", read ? json_string(text) : json_null());
	if (!stale)
		return 0;
	cli->status = trib_exit_status(TRIB_E_VERIFY);
	if (read)
		trib_time_city(when, at);
	trib_say(cli, _("FROZEN: the published log shows nothing new since %s. Is the hub running (tributary-hub serve)? Offices raise the alarm.\n"), read ? when : _("it was made"));
	return 0;
}

#define SQL_FORKED "EXISTS(SELECT 1 FROM refusal r WHERE r.node = n.node AND r.app = n.app AND r.code = 'fork')"

/* A folder that is stopped sends nothing, so of two machines one reports, and all looks well: it comes before the silent (D5.6). */
static int list_forked(struct trib_cli *cli, struct trib_hubdb *db, int64_t *ret_n)
{
	if (list_nodes(cli, db, "SELECT n.node, n.app, n.name, n.reported_at FROM node n WHERE n.status <> 'closed' AND " SQL_FORKED " ORDER BY n.node",
		       _("Forked (an old copy of the office's folder, a second machine, or a new one that lacks rows, is stopped; nothing is lost):"), "forked", _("forked"), ret_n))
		return -1;
	if (!*ret_n)
		return 0;
	trib_say(cli, "%s\n", _("  Next: call the office. Another machine works as it: tributary-hub node replace. Only one does: there, tributary-agent reset"));
	if (!cli->status)
		cli->status = trib_exit_status(TRIB_E_FORK);
	return 0;
}

/* Requests that a person must allow; nothing is said when there are none. */
static int list_requests(struct trib_cli *cli)
{
	TRIB_AUTO(trib_db) sqlite3 *enrol = NULL;
	TRIB_AUTO(trib_mem) struct trib_open_slip *open = NULL;
	size_t n = 0, waiting = 0;
	if (trib_enroldb_open_ro(trib_cli_hub(cli), &enrol, &cli->err) || (enrol && trib_slips_open(enrol, NULL, NULL, &open, &n, &cli->err)))
		return -1;
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		char when[TRIB_TIME_LEN + 1], local[17];
		if (!trib_slip_waits(&open[i]))
			continue;
		trib_time_text(when, open[i].asked_at);
		trib_time_city(local, open[i].asked_at);
		if (++waiting == 1)
			trib_say(cli, "%s\n", _("Waiting for approval (compare the sum with the office by telephone):"));
		if (waiting <= SHOWN)
			trib_say(cli, _("  %-14s %-10s %-16s  request %s\n    tributary-hub node approve %s --app %s --request '%s'\n"), open[i].node, open[i].app, local, open[i].request,
				 open[i].node, open[i].app, open[i].request);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "node", open[i].node, "app", open[i].app, "at", when, "request", open[i].request));
	}
	if (waiting > SHOWN)
		trib_say(cli, _("  ... and %lld more; --json lists all\n"), (long long)(waiting - SHOWN));
	trib_json(cli, "requests", list);
	return 0;
}

/* Who has not reported, in the order of what a person does about it. A revoked office cannot report: it is named as that and not as silent. */
static const char sql_braked[] = "SELECT node, app, name, reported_at FROM node n WHERE status <> 'closed' AND braked > 0 AND NOT " HUB_SQL_REVOKED " ORDER BY node";
static const char sql_revoked[] = "SELECT node, app, name, reported_at FROM node n WHERE status <> 'closed' AND " HUB_SQL_REVOKED " ORDER BY node";
static const char sql_silent[] = "SELECT node, app, name, reported_at FROM node n WHERE status <> 'closed' AND reported_at < ?1 AND NOT " HUB_SQL_REVOKED " ORDER BY reported_at";
static const char sql_never[] = "SELECT node, app, name, 0 FROM node n WHERE status <> 'closed' AND reported_at IS NULL AND NOT " HUB_SQL_REVOKED " ORDER BY node";
static const char sql_fine[] = "SELECT node, app, name, reported_at FROM node n WHERE status <> 'closed' AND reported_at >= ?1 AND braked = 0 AND NOT " SQL_FORKED
			       " AND NOT " HUB_SQL_REVOKED " ORDER BY node";

static void say_sum(struct trib_cli *cli, int64_t expected, int64_t silent, int64_t forked, int64_t braked, int64_t stopped, int64_t revoked)
{
	if (expected == 0)
		trib_say(cli, "%s\n", _("No community is expected yet. Next: tributary-hub node add"));
	else if (silent + stopped + braked + forked == 0)
		trib_say(cli, _("All %lld communities have reported.\n"), (long long)(expected - revoked));
	else
		trib_say(cli, _("%lld of %lld communities have not reported; %lld forked, %lld braked, %lld out of step.\n"), (long long)silent, (long long)(expected - revoked),
			 (long long)forked, (long long)braked, (long long)stopped);
	if (revoked)
		trib_say(cli, _("Not among them: %lld that are revoked.\n"), (long long)revoked);
}

static bool ref_is(const char *repo, const char *ref, const void *oid)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(repo, ref);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(256);
	struct trib_err ignored;
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	return path && trib_fs_read(path, &b, &ignored) == 0 && b.len >= TRIB_OID_HEX && memcmp(b.p, hex, TRIB_OID_HEX) == 0;
}

/* Whether the hub can take and give commits of it: its last ones are there. No repository is opened while its refs are right: there may be thousands. */
static bool servable(const struct trib_hub *hub, sqlite3_stmt *st)
{
	static const char *const refs[] = {"refs/heads/main", "refs/heads/down"};
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(hub, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1));
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_err ignored;
	for (int i = 0; path && i < 2; i++) {
		const void *oid = sqlite3_column_bytes(st, 2 + i) == TRIB_OID_LEN ? sqlite3_column_blob(st, 2 + i) : NULL;
		if (!oid || ref_is(path, refs[i], oid))
			continue;
		if ((!repo && trib_repo_open(path, false, &repo, &ignored)) || !trib_repo_has(repo, oid))
			return false;
	}
	return true;
}

static int list_lost(struct trib_cli *cli, struct trib_hubdb *db, int64_t *ret_n)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	json_t *list = json_array();
	int row;
	if (trib_db_prepare(db->db, "SELECT node, app, oid, down_oid FROM history ORDER BY node, app", &st, &cli->err))
		return -1;
	for (*ret_n = 0; (row = trib_db_step(db->db, st, &cli->err)) > 0;) {
		const char *node = (const char *)sqlite3_column_text(st, 0), *app = (const char *)sqlite3_column_text(st, 1);
		if (servable(db->hub, st))
			continue;
		if (++*ret_n == 1)
			trib_say(cli, "%s\n", _("History lost here (nothing of it can be sent or received):"));
		if (*ret_n <= SHOWN)
			trib_say(cli, "  %-14s %s\n", node, app);
		json_array_append_new(list, json_pack("{s:s, s:s}", "node", node, "app", app));
	}
	trib_json(cli, "lost", list);
	if (row < 0)
		return -1;
	if (*ret_n) {
		trib_say(cli, "%s\n", _("  Next: at that office tributary-agent bundle create FILE --whole; here, with the hub stopped, tributary-hub ingest FILE"));
		cli->status = trib_exit_status(TRIB_E_VERIFY);
	}
	return 0;
}

int hub_cmd_status(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	int64_t silent, never, stopped, braked, revoked, expected, fine, forked, lost;
	if (trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err))
		return -1;
	if (frozen(cli, &db) || hub_say_expiry(cli) || hub_say_witnesses(cli) || list_lost(cli, &db, &lost) || list_forked(cli, &db, &forked) ||
	    list_nodes(cli, &db, sql_braked, _("Braked (a person must look):"), "braked", _("braked"), &braked) || list_requests(cli) ||
	    list_nodes(cli, &db, sql_silent, _("Silent since more than a night:"), "silent", _("silent"), &silent) ||
	    list_nodes(cli, &db, sql_never, _("Never reported:"), "never", _("expected"), &never) ||
	    list_nodes(cli, &db, sql_stopped, _("Out of step (nothing of them is merged until they reset):"), "out_of_step", _("out of step"), &stopped) ||
	    list_nodes(cli, &db, sql_revoked, _("Revoked (a new machine: tributary-hub node replace):"), "revoked", _("revoked"), &revoked) ||
	    list_nodes(cli, &db, sql_fine, _("Reported:"), "reported", _("up to date"), &fine) || merge_trouble(cli, &db) || old_log(cli, &db) || list_clocks(cli, &db) ||
	    list_refusals(cli, &db) || last_night(cli, &db) || totals(cli, &db, &expected))
		return -1;
	say_sum(cli, expected, silent + never, forked, braked, stopped, revoked);
	trib_json(cli, "expected", json_integer(expected));
	return 0;
}

int hub_cmd_checkpoint_show(struct trib_cli *cli)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "keys/log.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	uint8_t pub[32];
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_key_load(path, &key, &cli->err) || trib_key_ed25519_public(key, pub, &cli->err))
		return -1;
	if (trib_tiles_newest_note(hub, &note, &cp, &cli->err) || trib_checkpoint_verify_upto(trib_buf_span(&note), hub->origin, pub, &cp, &cli->err))
		return trib_ctx(&cli->err, "%s", _("there is no signed checkpoint of this log to show; stop the hub, then: tributary-hub rebuild"));
	trib_say(cli, "%s", trib_buf_str(&note));
	trib_json(cli, "checkpoint", trib_json_text(trib_buf_str(&note)));
	return 0;
}

/* Signature, then: the log still has that root at that size. */
int hub_cmd_checkpoint_verify(struct trib_cli *cli)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_mem) char *own = trib_hub_path(hub, "checkpoint");
	TRIB_AUTO(trib_mem) char *key_path = trib_hub_path(hub, "keys/log.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	uint8_t pub[32], root[TRIB_SHA256_LEN];
	uint64_t size;
	if (!own || !key_path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_key_load(key_path, &key, &cli->err) || trib_key_ed25519_public(key, pub, &cli->err) || trib_fs_read(cli->argc ? cli->argv[0] : own, &note, &cli->err))
		return -1;
	if (trib_checkpoint_verify_upto(trib_buf_span(&note), hub->origin, pub, &cp, &cli->err))
		return trib_ctx(&cli->err, _("%s is no checkpoint of this log"), cli->argc ? cli->argv[0] : own);
	if (trib_hubdb_open(hub, false, &db, &cli->err) || trib_log_size(&db, &size, &cli->err))
		return -1;
	if (cp.size > size)
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("the checkpoint names %llu leaves, the log has only %llu: this hub is an older copy; try: tributary-hub recover"),
				 (unsigned long long)cp.size, (unsigned long long)size);
	if (trib_log_root(&db, cp.size, root, &cli->err))
		return -1;
	if (memcmp(root, cp.root, sizeof(root)) != 0)
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("the log's first %llu leaves are not those that the checkpoint signed"), (unsigned long long)cp.size);
	trib_json(cli, "size", json_integer((json_int_t)cp.size));
	trib_json(cli, "verdict", json_string("proven"));
	trib_say(cli, _("The checkpoint of %llu leaves is signed by this log and agrees with it.\n"), (unsigned long long)cp.size);
	return 0;
}
