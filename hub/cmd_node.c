/* cmd_node.c: `node add, list, show, approve, reject, replace, revoke`. */
#include <unistd.h>

#include "core/base/clock.h"
#include "core/format/enrol.h"
#include "core/trust/hash.h"
#include "hub/acts.h"
#include "hub/commands.h"
#include "hub/crl.h"
#include "hub/enrol.h"
#include "hub/slip.h"

const struct trib_opt hub_opts_node_add[] = {
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{"name", 0, "NAME", N_("the community's name, as people write it")},
	{"slip", 0, "FILE", N_("write the enrolment slip here (default: stdout)")},
	{"url", 0, "URL", N_("the hub's address as the office reaches it (default: https:// and hub.conf's address)")},
	{"expires", 0, "HOURS", N_("how long the slip is valid (default 72)")},
	{"qr", 0, NULL, N_("print the slip as a QR code too")},
	{"sheet", 0, "FILE", N_("write a page to print here (SVG): the slip in words and as a QR code")},
	{"approve", 0, NULL, N_("approve in advance: the office waits for nobody")},
	{0},
};
const struct trib_opt hub_opts_node[] = {{"app", 0, "NAME", N_("the application's name (default: main)")}, {0}};
const struct trib_opt hub_opts_revoke[] = {
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{"reason", 0, "WORD", N_("why: small letters and dashes (default: unspecified)")},
	{0},
};

static const char *app_of(struct trib_cli *cli)
{
	const char *app = trib_cli_opt(cli, "app");
	return app ? app : "main";
}

static int check_ids(struct trib_cli *cli)
{
	if (!trib_id_valid(trib_span_str(cli->argv[0])))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is no node id: 1 to %d of 0-9 A-Z a-z . _ -"), cli->argv[0], TRIB_NODE_MAX);
	if (!trib_id_valid(trib_span_str(app_of(cli))))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is no application name: 1 to %d of 0-9 A-Z a-z . _ -"), app_of(cli), TRIB_APP_MAX);
	return 0;
}

static void bind_id(sqlite3_stmt *st, struct trib_cli *cli)
{
	sqlite3_bind_text(st, 1, cli->argv[0], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app_of(cli), -1, SQLITE_STATIC);
}

/* 1 the node exists, 0 not, -1. */
static int node_status(struct trib_cli *cli, struct trib_hubdb *db, char *ret_status, size_t size)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db, "SELECT status FROM node WHERE node = ? AND app = ?", &st, &cli->err))
		return -1;
	bind_id(st, cli);
	int row = trib_db_step(db->db, st, &cli->err);
	if (row > 0)
		(void)snprintf(ret_status, size, "%s", (const char *)sqlite3_column_text(st, 0));
	return row;
}

static int need_node(struct trib_cli *cli, struct trib_hubdb *db)
{
	char status[32];
	int row = node_status(cli, db, status, sizeof(status));
	if (row < 0)
		return -1;
	return row ? 0 : trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("the city does not expect %s/%s; try: tributary-hub node list"), cli->argv[0], app_of(cli));
}

static int insert_node(struct trib_cli *cli, struct trib_hubdb *db, const char *name)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db,
			    "INSERT INTO node(node, app, name, added_at) VALUES(?,?,?,?) ON CONFLICT(node, app) DO UPDATE SET name = excluded.name", &st,
			    &cli->err))
		return -1;
	bind_id(st, cli);
	sqlite3_bind_text(st, 3, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, trib_now());
	return trib_db_step(db->db, st, &cli->err) < 0 ? -1 : 0;
}

/* The log knows that a community is expected, and by which slip, before the slip is valid. */
static int log_slip(struct trib_cli *cli, struct trib_hubdb *db, const struct trib_slip *s, const char *name, bool replaces)
{
	uint8_t code[TRIB_SHA256_LEN];
	trib_sha256(code, trib_span_str(s->code));
	struct trib_act act = {.what = replaces ? "node-replace" : "node-add", .node = s->node, .app = s->app, .object = code, .detail = name};
	if (trib_hubdb_begin(db, &cli->err))
		return -1;
	if ((!replaces && insert_node(cli, db, name)) || trib_act_put(db, &act, &cli->err) || trib_hubdb_commit(db, &cli->err)) {
		trib_hubdb_rollback(db);
		return -1;
	}
	return 0;
}

static int insert_slip(struct trib_cli *cli, sqlite3 *db, const struct trib_slip *s, bool replaces)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint8_t code[TRIB_SHA256_LEN];
	trib_sha256(code, trib_span_str(s->code));
	if (trib_db_prepare(db, "INSERT INTO slip(node, app, code_sha256, expires_at, approved, replaces, made_at) VALUES(?,?,?,?,?,?,?)", &st, &cli->err))
		return -1;
	bind_id(st, cli);
	sqlite3_bind_blob(st, 3, code, sizeof(code), SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, s->expires);
	sqlite3_bind_int(st, 5, trib_cli_flag(cli, "approve"));
	sqlite3_bind_int(st, 6, replaces);
	sqlite3_bind_int64(st, 7, trib_now());
	return trib_db_step(db, st, &cli->err) < 0 ? -1 : 0;
}

static int fill_slip(struct trib_cli *cli, struct trib_slip *s)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	struct trib_hub_conf c;
	struct trib_cert_id root;
	uint8_t random[17];
	const char *url = trib_cli_opt(cli, "url"), *hours = trib_cli_opt(cli, "expires");
	char *end = NULL;
	long h = hours ? strtol(hours, &end, 10) : 72;
	if (h < 1 || h > 24 * 90 || (end && *end))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--expires takes 1 to 2160 hours"));
	if (trib_hub_conf_load(cli->state, &c, &cli->err) || trib_cert_identity(hub->root, &root, &cli->err) ||
	    trib_random(random, sizeof(random), &cli->err))
		return -1;
	if (url && (strncmp(url, "https://", 8) != 0 || strlen(url) > TRIB_URL_MAX || strpbrk(url, " \n\t")))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--url must begin with https:// and have at most %d bytes"), TRIB_URL_MAX);
	(void)snprintf(s->url, sizeof(s->url), "%s%s", url ? url : "https://", url ? "" : c.listen);
	memcpy(s->ca, root.sha256, sizeof(s->ca));
	(void)snprintf(s->node, sizeof(s->node), "%s", cli->argv[0]);
	(void)snprintf(s->app, sizeof(s->app), "%s", app_of(cli));
	trib_code_text(s->code, random);
	s->expires = trib_now() + h * 3600;
	return 0;
}

/* The slip for people, as asked for. */
static int show_slip(struct trib_cli *cli, const struct trib_slip *s, const char *name, struct trib_span text)
{
	const char *sheet = trib_cli_opt(cli, "sheet");
	TRIB_AUTO(trib_buf) struct trib_buf qr = TRIB_BUF(256 * TRIB_KIB), svg = TRIB_BUF(TRIB_MIB);
	if (sheet) {
		if (trib_slip_sheet(s, trib_cli_hub(cli)->city, name, text, &svg, &cli->err) || trib_fs_write(sheet, trib_buf_span(&svg), 0600, &cli->err))
			return -1;
		trib_json(cli, "sheet", trib_json_text(sheet));
	}
	if (!trib_cli_flag(cli, "qr"))
		return 0;
	if (trib_slip_qr(text, isatty(STDOUT_FILENO), &qr, &cli->err))
		return -1;
	trib_say(cli, "%s", trib_buf_str(&qr));
	return 0;
}

static int hand_out(struct trib_cli *cli, const struct trib_slip *s, const char *name)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(4096);
	const char *file = trib_cli_opt(cli, "slip");
	trib_slip_put(&text, s);
	if (trib_buf_check(&text, "slip", &cli->err))
		return -1;
	if (file && trib_fs_write(file, trib_buf_span(&text), 0600, &cli->err))
		return trib_ctx(&cli->err, _("%s/%s is expected, but its slip could not be written and is void; run the same command with another --slip FILE"), s->node, s->app);
	char when[TRIB_TIME_LEN + 1];
	trib_time_text(when, s->expires);
	trib_json(cli, "node", trib_json_text(s->node));
	trib_json(cli, "app", trib_json_text(s->app));
	trib_json(cli, "name", trib_json_text(name));
	trib_json(cli, "expires", trib_json_text(when));
	trib_json(cli, "approved", json_boolean(trib_cli_flag(cli, "approve")));
	if (!file) {
		trib_json(cli, "slip", trib_json_text(trib_buf_str(&text)));
		trib_say(cli, "%s", trib_buf_str(&text));
	}
	if (show_slip(cli, s, name, trib_buf_span(&text)))
		return -1;
	if (!file)
		return 0;
	trib_say(cli, _("%s (%s/%s) is expected. The slip %s is valid until %s and serves one machine.\n"), name, s->node, s->app, file, when);
	if (!trib_cli_flag(cli, "approve"))
		trib_say(cli, _("When the office has sent its request: tributary-hub node approve %s --app %s\n"), s->node, s->app);
	return 0;
}

static int make_slip(struct trib_cli *cli, bool replaces)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_db) sqlite3 *enrol = NULL;
	struct trib_slip s = {0};
	char status[32] = "";
	const char *name = trib_cli_opt(cli, "name");
	if (check_ids(cli) || trib_hubdb_open(trib_cli_hub(cli), true, &db, &cli->err))
		return -1;
	int known = node_status(cli, &db, status, sizeof(status));
	if (known < 0)
		return -1;
	if (replaces && (!known || strcmp(status, "enrolled") != 0))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s/%s is not enrolled, so there is nothing to replace; try: tributary-hub node add"), cli->argv[0], app_of(cli));
	if (!replaces && known && strcmp(status, "expected") != 0)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s/%s is %s already; for a new machine: tributary-hub node replace"), cli->argv[0], app_of(cli), status);
	if (!name)
		name = cli->argv[0];
	if (strlen(name) == 0 || strlen(name) > TRIB_TITLE_MAX || !trib_cli_is_name(name))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--name takes 1 to %d bytes of UTF-8 in one line"), TRIB_TITLE_MAX);
	if (fill_slip(cli, &s))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, _("would expect %s/%s (%s) and make a slip\n"), cli->argv[0], app_of(cli), name);
		return 0;
	}
	if (log_slip(cli, &db, &s, name, replaces) || trib_enroldb_open(trib_cli_hub(cli), &enrol, &cli->err) || insert_slip(cli, enrol, &s, replaces))
		return -1;
	return hand_out(cli, &s, name);
}

int hub_cmd_node_add(struct trib_cli *cli) { return make_slip(cli, false); }
int hub_cmd_node_replace(struct trib_cli *cli) { return make_slip(cli, true); }

static json_t *time_json(int64_t t)
{
	char when[TRIB_TIME_LEN + 1];
	if (!t)
		return json_null();
	trib_time_text(when, t);
	return trib_json_text(when);
}

int hub_cmd_node_list(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err) ||
	    trib_db_prepare(db.db, "SELECT node, app, name, status, incarnation, coalesce(reported_at, 0) FROM node ORDER BY node, app", &st, &cli->err))
		return -1;
	json_t *list = json_array();
	int row;
	while ((row = trib_db_step(db.db, st, &cli->err)) > 0) {
		char when[17] = "-";
		int64_t at = sqlite3_column_int64(st, 5);
		if (at)
			trib_time_city(when, at);
		trib_say(cli, "%-14s %-12s %-9s %-16s  %s\n", (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1),
			 (const char *)sqlite3_column_text(st, 3), when, (const char *)sqlite3_column_text(st, 2));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "node", sqlite3_column_text(st, 0), "app", sqlite3_column_text(st, 1),
						      "name", sqlite3_column_text(st, 2), "status", sqlite3_column_text(st, 3), "incarnation",
						      (json_int_t)sqlite3_column_int64(st, 4), "reported_at", time_json(at)));
	}
	trib_json(cli, "nodes", list);
	return row < 0 ? -1 : 0;
}

static int show_certs(struct trib_cli *cli, struct trib_hubdb *db)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db,
			    "SELECT usage, hex(sha256), incarnation, not_after, coalesce(revoked_at, 0) FROM cert WHERE node = ? AND app = ? ORDER BY incarnation, usage", &st,
			    &cli->err))
		return -1;
	bind_id(st, cli);
	json_t *list = json_array();
	int row;
	while ((row = trib_db_step(db->db, st, &cli->err)) > 0) {
		char until[TRIB_TIME_LEN + 1];
		trib_time_text(until, sqlite3_column_int64(st, 3));
		bool revoked = sqlite3_column_int64(st, 4) != 0;
		trib_say(cli, _("certificate %s %.16s, incarnation %lld, until %s%s\n"), (const char *)sqlite3_column_text(st, 0),
			 (const char *)sqlite3_column_text(st, 1), (long long)sqlite3_column_int64(st, 2), until, revoked ? _(", revoked") : "");
		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s, s:o}", "usage", sqlite3_column_text(st, 0), "sha256", sqlite3_column_text(st, 1),
						      "incarnation", (json_int_t)sqlite3_column_int64(st, 2), "not_after", until, "revoked_at",
						      time_json(sqlite3_column_int64(st, 4))));
	}
	trib_json(cli, "certificates", list);
	return row < 0 ? -1 : 0;
}

static int show_history(struct trib_cli *cli, struct trib_hubdb *db)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db,
			    "SELECT (SELECT max(seq) FROM held WHERE node = ?1 AND app = ?2), (SELECT max(seq) FROM held WHERE node = ?1 AND app = ?2 AND merged_at IS "
			    "NOT NULL), (SELECT out_of_step FROM held WHERE node = ?1 AND app = ?2 AND merged_at IS NULL AND out_of_step IS NOT NULL AND seq > coalesce((SELECT max(seq) FROM held "
			    "WHERE node = ?1 AND app = ?2 AND merged_at IS NOT NULL), 0) ORDER BY seq LIMIT 1)",
			    &st, &cli->err))
		return -1;
	bind_id(st, cli);
	if (trib_db_step(db->db, st, &cli->err) < 0)
		return -1;
	long long held = sqlite3_column_int64(st, 0), merged = sqlite3_column_int64(st, 1);
	const char *step = (const char *)sqlite3_column_text(st, 2);
	trib_say(cli, _("held up to #%lld, in the city up to #%lld%s%s\n"), held, merged, step ? _("; out of step: ") : "", step ? step : "");
	trib_json(cli, "held", json_integer(held));
	trib_json(cli, "merged", json_integer(merged));
	trib_json(cli, "out_of_step", step ? trib_json_text(step) : json_null());
	return 0;
}

static int show_requests(struct trib_cli *cli)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_enroldb_open(trib_cli_hub(cli), &db, &cli->err) ||
	    trib_db_prepare(db,
			    "SELECT CASE WHEN r.answer IS NOT NULL THEN 'issued' WHEN s.rejected THEN 'rejected' WHEN r.at IS NULL THEN 'unused' WHEN s.approved THEN "
			    "'approved' ELSE 'waiting' END, s.expires_at, r.sign_csr FROM slip s LEFT JOIN request r USING(code_sha256) WHERE s.node = ? AND s.app = ? ORDER BY "
			    "s.made_at",
			    &st, &cli->err))
		return -1;
	bind_id(st, cli);
	json_t *list = json_array();
	int row;
	while ((row = trib_db_step(db, st, &cli->err)) > 0) {
		char until[TRIB_TIME_LEN + 1];
		trib_time_text(until, sqlite3_column_int64(st, 1));
		char sum[TRIB_REQUEST_SUM + 1] = "";
		uint8_t sha[TRIB_SHA256_LEN];
		if (sqlite3_column_bytes(st, 2) > 0) {
			trib_sha256(sha, trib_span(sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2)));
			trib_request_sum(sum, sha);
		}
		trib_say(cli, _("slip: %s, valid until %s\n"), (const char *)sqlite3_column_text(st, 0), until);
		if (sum[0])
			trib_say(cli, _("  request %s (the office sees the same)\n"), sum);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s*}", "state", sqlite3_column_text(st, 0), "expires", until, "request", sum[0] ? sum : NULL));
	}
	trib_json(cli, "slips", list);
	return row < 0 ? -1 : 0;
}

int hub_cmd_node_show(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	if (check_ids(cli) || trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err) || need_node(cli, &db))
		return -1;
	trib_json(cli, "node", trib_json_text(cli->argv[0]));
	trib_json(cli, "app", trib_json_text(app_of(cli)));
	return show_history(cli, &db) || show_certs(cli, &db) || show_requests(cli) ? -1 : 0;
}

/* Marks the waiting request of the node; `sql` sets the mark. */
static int decide(struct trib_cli *cli, const char *what, const char *sql)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb hubdb = {0};
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_act act = {.what = what, .node = cli->argv[0], .app = app_of(cli)};
	if (check_ids(cli) || trib_hubdb_open(trib_cli_hub(cli), true, &hubdb, &cli->err) || trib_enroldb_open(trib_cli_hub(cli), &db, &cli->err) ||
	    trib_db_prepare(db, sql, &st, &cli->err) || trib_db_exec(db, "BEGIN IMMEDIATE", &cli->err))
		return -1;
	bind_id(st, cli);
	if (trib_db_step(db, st, &cli->err) < 0)
		return -1;
	/* In the log first: a crash between the two leaves an act that was not done, never one that nobody knows of. A dry run ends with the connection. */
	if (sqlite3_changes(db) > 0 && !cli->dry_run && (trib_act_log(&hubdb, &act, &cli->err) || trib_db_exec(db, "COMMIT", &cli->err)))
		return -1;
	if (sqlite3_changes(db) == 0)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("no request of %s/%s is waiting; try: tributary-hub node show %s --app %s"), cli->argv[0], app_of(cli),
				 cli->argv[0], app_of(cli));
	trib_json(cli, "node", trib_json_text(cli->argv[0]));
	trib_json(cli, "app", trib_json_text(app_of(cli)));
	return 0;
}

int hub_cmd_node_approve(struct trib_cli *cli)
{
	if (decide(cli, "node-approve",
		   "UPDATE slip SET approved = 1 WHERE node = ? AND app = ? AND rejected = 0 AND code_sha256 IN (SELECT code_sha256 FROM request WHERE answer IS NULL)"))
		return -1;
	trib_say(cli, cli->dry_run ? _("would approve %s/%s\n") : _("%s/%s is approved; its certificate is handed out when it asks again.\n"), cli->argv[0], app_of(cli));
	return 0;
}

int hub_cmd_node_reject(struct trib_cli *cli)
{
	if (decide(cli, "node-reject",
		   "UPDATE slip SET rejected = 1 WHERE node = ? AND app = ? AND approved = 0 AND code_sha256 IN (SELECT code_sha256 FROM request WHERE answer IS NULL)"))
		return -1;
	trib_say(cli, cli->dry_run ? _("would reject %s/%s\n") : _("%s/%s is rejected; its slip is void.\n"), cli->argv[0], app_of(cli));
	return 0;
}

static bool plain_word(const char *w)
{
	return *w && strlen(w) < 64 && strspn(w, "abcdefghijklmnopqrstuvwxyz-") == strlen(w);
}

/* One `revoked` leaf for each certificate that is still good. */
static int revoke_certs(struct trib_cli *cli, struct trib_hubdb *db, const char *reason, int *ret_n)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *up = NULL;
	int64_t now = trib_now();
	*ret_n = 0;
	if (trib_db_prepare(db->db, "SELECT sha256 FROM cert WHERE node = ? AND app = ? AND revoked_at IS NULL ORDER BY sha256", &st, &cli->err) ||
	    trib_db_prepare(db->db, "UPDATE cert SET revoked_at = ? WHERE node = ? AND app = ? AND revoked_at IS NULL", &up, &cli->err))
		return -1;
	bind_id(st, cli);
	int row;
	while ((row = trib_db_step(db->db, st, &cli->err)) > 0) {
		struct trib_leaf leaf = {.kind = TRIB_LEAF_REVOKED, .time = now};
		(void)snprintf(leaf.node, sizeof(leaf.node), "%s", cli->argv[0]);
		(void)snprintf(leaf.app, sizeof(leaf.app), "%s", app_of(cli));
		(void)snprintf(leaf.word, sizeof(leaf.word), "%s", reason);
		if (trib_db_bytes(st, 0, "a certificate's hash", leaf.cert, sizeof(leaf.cert), &cli->err) || trib_log_append(db, &leaf, NULL, &cli->err))
			return -1;
		now = leaf.time;
		++*ret_n;
	}
	if (row < 0)
		return -1;
	sqlite3_bind_int64(up, 1, now);
	sqlite3_bind_text(up, 2, cli->argv[0], -1, SQLITE_STATIC);
	sqlite3_bind_text(up, 3, app_of(cli), -1, SQLITE_STATIC);
	return trib_db_step(db->db, up, &cli->err) < 0 ? -1 : 0;
}

int hub_cmd_node_revoke(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	const char *reason = trib_cli_opt(cli, "reason");
	int n;
	if (!reason)
		reason = "unspecified";
	if (!plain_word(reason))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--reason takes one word of small letters and dashes"));
	if (check_ids(cli) || trib_hubdb_open(trib_cli_hub(cli), true, &db, &cli->err) || need_node(cli, &db))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, _("would revoke the certificates of %s/%s\n"), cli->argv[0], app_of(cli));
		return 0;
	}
	if (trib_hubdb_begin(&db, &cli->err))
		return -1;
	struct trib_act act = {.what = "node-revoke", .node = cli->argv[0], .app = app_of(cli), .detail = reason};
	if (trib_act_put(&db, &act, &cli->err) || revoke_certs(cli, &db, reason, &n) || trib_crl_issue(&db, &cli->err) || trib_hubdb_commit(&db, &cli->err)) {
		trib_hubdb_rollback(&db);
		return -1;
	}
	if (trib_crl_publish(&db, &cli->err))
		return -1;
	trib_json(cli, "revoked", json_integer(n));
	trib_say(cli, _("%d certificates of %s/%s are revoked from now on; its history stays. A new machine: tributary-hub node replace\n"), n, cli->argv[0], app_of(cli));
	return 0;
}
