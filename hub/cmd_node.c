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
const struct trib_opt hub_opts_request[] = {
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{"request", 0, "SUM", N_("the request that has this sum: needed when more than one is waiting")},
	{0},
};
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

struct node_row { char status[32], name[TRIB_TITLE_MAX + 1]; };

/* 1 the node exists, 0 not, -1. */
static int find_node(struct trib_cli *cli, struct trib_hubdb *db, struct node_row *ret)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db, "SELECT status, name FROM node WHERE node = ? AND app = ?", &st, &cli->err))
		return -1;
	bind_id(st, cli);
	int row = trib_db_step(db->db, st, &cli->err);
	if (row > 0) {
		(void)snprintf(ret->status, sizeof(ret->status), "%s", (const char *)sqlite3_column_text(st, 0));
		(void)snprintf(ret->name, sizeof(ret->name), "%s", (const char *)sqlite3_column_text(st, 1));
	}
	return row;
}

static int need_node(struct trib_cli *cli, struct trib_hubdb *db)
{
	struct node_row have;
	int row = find_node(cli, db, &have);
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

/* Slips and requests of one office that are open. */
struct open_slips { struct trib_open_slip *v; size_t n; };
static void open_slips_cleanup(struct open_slips *o) { free(o->v); }

/* What is to become of a slip: an act that names it, and the request that came with it. */
static int put_slip_act(struct trib_cli *cli, struct trib_hubdb *db, const char *what, const struct trib_open_slip *s)
{
	struct trib_act act = {.what = what, .node = s->node, .app = s->app, .object = s->code, .detail = s->request};
	return trib_act_put(db, &act, &cli->err);
}

static size_t count_asked(const struct open_slips *o)
{
	size_t n = 0;
	for (size_t i = 0; i < o->n; i++)
		n += o->v[i].asked_at != 0;
	return n;
}

/* The log knows that a community is expected, and by which slip, before the slip is valid. `older`: a slip that nobody has used is void once there is a new one. */
static int log_slip(struct trib_cli *cli, struct trib_hubdb *db, const struct trib_slip *s, const char *name, bool replaces, const struct open_slips *older)
{
	uint8_t code[TRIB_SHA256_LEN];
	trib_sha256(code, trib_span_str(s->code));
	struct trib_act act = {.what = replaces ? "node-replace" : "node-add", .node = s->node, .app = s->app, .object = code, .detail = name};
	int rc = trib_hubdb_begin(db, &cli->err);
	for (size_t i = 0; !rc && i < older->n; i++)
		rc = older->v[i].asked_at ? 0 : put_slip_act(cli, db, "node-void", &older->v[i]);
	if (rc || (!replaces && insert_node(cli, db, name)) || trib_act_put(db, &act, &cli->err) || trib_hubdb_commit(db, &cli->err)) {
		trib_hubdb_rollback(db);
		return -1;
	}
	trib_crash_point("slip-logged");
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

static int keep_slip(struct trib_cli *cli, struct trib_hubdb *db, const struct trib_slip *s, const char *name, bool replaces, size_t *ret_void)
{
	TRIB_AUTO(trib_db) sqlite3 *enrol = NULL;
	TRIB_AUTO(open_slips) struct open_slips older = {0};
	if (trib_enroldb_open(trib_cli_hub(cli), &enrol, &cli->err) || trib_enroldb_begin(enrol, &cli->err) ||
	    trib_slips_open(enrol, s->node, s->app, &older.v, &older.n, &cli->err) || log_slip(cli, db, s, name, replaces, &older))
		return -1;
	for (size_t i = 0; i < older.n; i++)
		if (!older.v[i].asked_at && trib_slip_void(enrol, older.v[i].code, &cli->err))
			return -1;
	*ret_void = older.n - count_asked(&older);
	return insert_slip(cli, enrol, s, replaces) || trib_enroldb_commit(enrol, &cli->err) ? -1 : 0;
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

static int hand_out(struct trib_cli *cli, const struct trib_slip *s, const char *name, size_t nvoid)
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
	trib_json(cli, "void", json_integer((json_int_t)nvoid));
	if (!file) {
		trib_json(cli, "slip", trib_json_text(trib_buf_str(&text)));
		trib_say(cli, "%s", trib_buf_str(&text));
	}
	if (show_slip(cli, s, name, trib_buf_span(&text)))
		return -1;
	if (!file)
		return 0;
	trib_say(cli, _("%s (%s/%s) is expected. The slip %s is valid until %s and serves one machine.\n"), name, s->node, s->app, file, when);
	if (nvoid)
		trib_say(cli, _("Void from now on: %zu older slips of this office that nobody has used\n"), nvoid);
	if (!trib_cli_flag(cli, "approve"))
		trib_say(cli, _("When the office has sent its request: tributary-hub node approve %s --app %s\n"), s->node, s->app);
	return 0;
}

static int make_slip(struct trib_cli *cli, bool replaces)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	struct trib_slip s = {0};
	struct node_row have = {0};
	size_t nvoid = 0;
	const char *name = trib_cli_opt(cli, "name");
	if (check_ids(cli) || trib_hubdb_open(trib_cli_hub(cli), true, &db, &cli->err))
		return -1;
	int known = find_node(cli, &db, &have);
	if (known < 0)
		return -1;
	if (replaces && (!known || strcmp(have.status, "enrolled") != 0))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s/%s is not enrolled, so there is nothing to replace; try: tributary-hub node add"), cli->argv[0], app_of(cli));
	if (!replaces && known && strcmp(have.status, "expected") != 0)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s/%s is %s already; for a new machine: tributary-hub node replace"), cli->argv[0], app_of(cli), have.status);
	if (!name)
		name = known ? have.name : cli->argv[0];
	if (strlen(name) == 0 || strlen(name) > TRIB_TITLE_MAX || !trib_cli_is_name(name))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--name takes 1 to %d bytes of UTF-8 in one line"), TRIB_TITLE_MAX);
	if (fill_slip(cli, &s))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, _("would expect %s/%s (%s) and make a slip\n"), cli->argv[0], app_of(cli), name);
		return 0;
	}
	return keep_slip(cli, &db, &s, name, replaces, &nvoid) || hand_out(cli, &s, name, nvoid) ? -1 : 0;
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

/* Requests of one office that wait for a person. */
static size_t count_waiting(const struct open_slips *o, const char *node, const char *app)
{
	size_t n = 0;
	for (size_t i = 0; i < o->n; i++)
		n += trib_slip_waits(&o->v[i]) && strcmp(o->v[i].node, node) == 0 && strcmp(o->v[i].app, app) == 0;
	return n;
}

static int load_open(struct trib_cli *cli, struct open_slips *ret)
{
	TRIB_AUTO(trib_db) sqlite3 *enrol = NULL;
	if (trib_enroldb_open_ro(trib_cli_hub(cli), &enrol, &cli->err))
		return -1;
	return enrol ? trib_slips_open(enrol, NULL, NULL, &ret->v, &ret->n, &cli->err) : 0;
}

int hub_cmd_node_list(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(open_slips) struct open_slips open = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err) || load_open(cli, &open) ||
	    trib_db_prepare(db.db,
			    "SELECT node, app, name, CASE WHEN " HUB_SQL_REVOKED " THEN 'revoked' ELSE status END, incarnation, coalesce(reported_at, 0) FROM node n ORDER BY node, app", &st,
			    &cli->err))
		return -1;
	json_t *list = json_array();
	int row;
	while ((row = trib_db_step(db.db, st, &cli->err)) > 0) {
		char when[17] = "-";
		int64_t at = sqlite3_column_int64(st, 5);
		const char *node = (const char *)sqlite3_column_text(st, 0), *app = (const char *)sqlite3_column_text(st, 1), *name = (const char *)sqlite3_column_text(st, 2);
		size_t waiting = count_waiting(&open, node, app);
		/* What a person has to do comes before what is. */
		const char *status = waiting ? "waiting" : (const char *)sqlite3_column_text(st, 3);
		if (at)
			trib_time_city(when, at);
		trib_say(cli, "%-14s %-12s %-9s %-16s  %s\n", node, app, status, when, name);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "node", node, "app", app, "name", name, "status", status, "waiting", (json_int_t)waiting,
						      "incarnation", (json_int_t)sqlite3_column_int64(st, 4), "reported_at", time_json(at)));
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
			    "SELECT CASE WHEN r.answer IS NOT NULL THEN 'issued' WHEN s.rejected AND r.at IS NULL THEN 'void' WHEN s.rejected THEN 'rejected' WHEN r.at IS NULL THEN 'unused' WHEN s.approved THEN "
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

/* ---- approve, reject ---- */

struct decision {
	struct trib_hubdb hubdb;
	sqlite3 *enrol; /* locked: nothing comes or goes meanwhile */
	struct open_slips open;
};
static void decision_cleanup(struct decision *d)
{
	open_slips_cleanup(&d->open);
	trib_db_cleanup(&d->enrol);
	trib_hubdb_close(&d->hubdb);
}

static int decision_begin(struct trib_cli *cli, struct decision *d)
{
	return check_ids(cli) || trib_hubdb_open(trib_cli_hub(cli), true, &d->hubdb, &cli->err) || trib_enroldb_open(trib_cli_hub(cli), &d->enrol, &cli->err) ||
			       trib_enroldb_begin(d->enrol, &cli->err) || trib_slips_open(d->enrol, cli->argv[0], app_of(cli), &d->open.v, &d->open.n, &cli->err)
		       ? -1
		       : 0;
}

/* As it is shown, or without the blanks. */
static bool is_sum(const char *said, const char *sum)
{
	for (;; said++, sum++) {
		while (*said == ' ')
			said++;
		while (*sum == ' ')
			sum++;
		if (*said != *sum)
			return false;
		if (!*said)
			return true;
	}
}

/* Several wait: a person says which, by the sum that was compared. One that nobody compared must not slip in beside it. */
static int say_which(struct trib_cli *cli, struct trib_open_slip *const *found, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		char when[TRIB_TIME_LEN + 1], local[17];
		trib_time_text(when, found[i]->asked_at);
		trib_time_city(local, found[i]->asked_at);
		trib_say(cli, _("request %s of %s\n"), found[i]->request, local);
		json_array_append_new(list, json_pack("{s:s, s:s}", "request", found[i]->request, "at", when));
	}
	trib_json(cli, "requests", list);
	return trib_fail(&cli->err, TRIB_E_CONFLICT, _("%zu requests of %s/%s are waiting; nothing was changed; compare the sum with the office, then say which: --request '%s'"), n,
			 cli->argv[0], app_of(cli), found[n - 1]->request);
}

/* The one request that is meant, NULL: none was named and none is there. `also_approved`: those too that were allowed and not fetched. */
static int pick(struct trib_cli *cli, struct decision *d, bool also_approved, struct trib_open_slip **ret)
{
	const char *said = trib_cli_opt(cli, "request");
	TRIB_AUTO(trib_mem) struct trib_open_slip **found = calloc(d->open.n + 1, sizeof(struct trib_open_slip *));
	size_t n = 0;
	if (!found)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	for (size_t i = 0; i < d->open.n; i++) {
		struct trib_open_slip *s = &d->open.v[i];
		if (s->asked_at && (also_approved || !s->approved) && (!said || is_sum(said, s->request)))
			found[n++] = s;
	}
	if (n > 1)
		return say_which(cli, found, n);
	if (!n && said)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("no request %s of %s/%s is waiting; try: tributary-hub node show %s --app %s"), said, cli->argv[0], app_of(cli),
				 cli->argv[0], app_of(cli));
	*ret = found[0];
	return 0;
}

static int nothing_waits(struct trib_cli *cli)
{
	return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("no request of %s/%s is waiting; try: tributary-hub node show %s --app %s"), cli->argv[0], app_of(cli), cli->argv[0],
			 app_of(cli));
}

static int approve(struct trib_cli *cli, sqlite3 *db, const struct trib_open_slip *s)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "UPDATE slip SET approved = 1 WHERE code_sha256 = ?", &st, &cli->err))
		return -1;
	sqlite3_bind_blob(st, 1, s->code, sizeof(s->code), SQLITE_STATIC);
	return trib_db_step(db, st, &cli->err) < 0 ? -1 : 0;
}

int hub_cmd_node_approve(struct trib_cli *cli)
{
	TRIB_AUTO(decision) struct decision d = {0};
	struct trib_open_slip *s = NULL;
	if (decision_begin(cli, &d) || pick(cli, &d, false, &s))
		return -1;
	if (!s)
		return nothing_waits(cli);
	struct trib_act act = {.what = "node-approve", .node = s->node, .app = s->app, .object = s->code, .detail = s->request};
	if (!cli->dry_run && (trib_act_log(&d.hubdb, &act, &cli->err) || approve(cli, d.enrol, s) || trib_enroldb_commit(d.enrol, &cli->err)))
		return -1;
	trib_json(cli, "node", trib_json_text(s->node));
	trib_json(cli, "app", trib_json_text(s->app));
	trib_json(cli, "request", trib_json_text(s->request));
	trib_say(cli, cli->dry_run ? _("would approve %s/%s, request %s\n") : _("%s/%s is approved, request %s; its certificate is handed out when it asks again.\n"), s->node, s->app,
		 s->request);
	return 0;
}

/* One request, or, with none there, the slips that nobody has used: lost ones, or handed to the wrong person. */
static int reject(struct trib_cli *cli, struct decision *d, const struct trib_open_slip *request)
{
	int rc = trib_hubdb_begin(&d->hubdb, &cli->err);
	for (size_t i = 0; !rc && i < d->open.n; i++)
		if (!request || request == &d->open.v[i])
			rc = put_slip_act(cli, &d->hubdb, "node-reject", &d->open.v[i]) || trib_slip_void(d->enrol, d->open.v[i].code, &cli->err);
	if (rc || trib_hubdb_commit(&d->hubdb, &cli->err)) {
		trib_hubdb_rollback(&d->hubdb);
		return -1;
	}
	trib_crash_point("slip-logged");
	return trib_enroldb_commit(d->enrol, &cli->err);
}

int hub_cmd_node_reject(struct trib_cli *cli)
{
	TRIB_AUTO(decision) struct decision d = {0};
	struct trib_open_slip *s = NULL;
	if (decision_begin(cli, &d) || pick(cli, &d, true, &s))
		return -1;
	if (!d.open.n)
		return nothing_waits(cli);
	if (!cli->dry_run && reject(cli, &d, s))
		return -1;
	size_t unused = d.open.n - count_asked(&d.open);
	trib_json(cli, "node", trib_json_text(cli->argv[0]));
	trib_json(cli, "app", trib_json_text(app_of(cli)));
	trib_json(cli, "request", s ? trib_json_text(s->request) : json_null());
	trib_json(cli, "void", json_integer(s ? 1 : (json_int_t)unused));
	if (!s) {
		trib_say(cli, cli->dry_run ? _("would make %zu unused slips of %s/%s void\n") : _("%zu unused slips of %s/%s are void.\n"), unused, cli->argv[0], app_of(cli));
		return 0;
	}
	trib_say(cli, cli->dry_run ? _("would reject %s/%s, request %s\n") : _("%s/%s is rejected, request %s; its slip is void.\n"), s->node, s->app, s->request);
	if (unused)
		trib_say(cli, _("Still valid: %zu slips of this office that nobody has used. To make them void too, run the same command again.\n"), unused);
	return 0;
}

/* ---- revoke ---- */

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

/* Certificates, slips and requests in one go: a slip that is out would bring in the next machine. */
static int revoke_all(struct trib_cli *cli, struct decision *d, const char *reason, int *ret_n, struct trib_err *ret_why)
{
	struct trib_act act = {.what = "node-revoke", .node = cli->argv[0], .app = app_of(cli), .detail = reason};
	if (trib_act_put(&d->hubdb, &act, &cli->err))
		return -1;
	for (size_t i = 0; i < d->open.n; i++)
		if (put_slip_act(cli, &d->hubdb, "node-void", &d->open.v[i]))
			return -1;
	if (revoke_certs(cli, &d->hubdb, reason, ret_n))
		return -1;
	if (!*ret_n && !d->open.n)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("nothing of %s/%s is in force, no certificate and no slip; nothing was changed"), cli->argv[0], app_of(cli));
	return *ret_n ? trib_crl_try(&d->hubdb, ret_why, &cli->err) : 0;
}

/* Answered ones too: a machine that never came for its answer gets it no more. */
static int void_all(struct trib_cli *cli, sqlite3 *enrol)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(enrol, "UPDATE slip SET rejected = 1 WHERE node = ? AND app = ?", &st, &cli->err))
		return -1;
	bind_id(st, cli);
	return trib_db_step(enrol, st, &cli->err) < 0 ? -1 : 0;
}

static void say_revoked(struct trib_cli *cli, int n, const struct open_slips *open)
{
	size_t asked = count_asked(open);
	trib_json(cli, "revoked", json_integer(n));
	trib_json(cli, "void_slips", json_integer((json_int_t)(open->n - asked)));
	trib_json(cli, "void_requests", json_integer((json_int_t)asked));
	if (n)
		trib_say(cli, _("%d certificates of %s/%s are revoked from now on; its history stays. A new machine: tributary-hub node replace\n"), n, cli->argv[0], app_of(cli));
	else
		trib_say(cli, _("%s/%s had no certificate that could be revoked.\n"), cli->argv[0], app_of(cli));
	if (open->n)
		trib_say(cli, _("Void from now on: %zu slips that nobody has used, %zu requests that were not answered\n"), open->n - asked, asked);
}

int hub_cmd_node_revoke(struct trib_cli *cli)
{
	TRIB_AUTO(decision) struct decision d = {0};
	struct trib_err why = {0};
	const char *reason = trib_cli_opt(cli, "reason");
	int n;
	if (!reason)
		reason = "unspecified";
	if (!plain_word(reason))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--reason takes one word of small letters and dashes"));
	if (decision_begin(cli, &d) || need_node(cli, &d.hubdb))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, _("would revoke the certificates of %s/%s, and make %zu slips and requests void\n"), cli->argv[0], app_of(cli), d.open.n);
		return 0;
	}
	if (trib_hubdb_begin(&d.hubdb, &cli->err))
		return -1;
	if (revoke_all(cli, &d, reason, &n, &why) || trib_hubdb_commit(&d.hubdb, &cli->err)) {
		trib_hubdb_rollback(&d.hubdb);
		return -1;
	}
	trib_crash_point("slip-logged");
	if (void_all(cli, d.enrol) || trib_enroldb_commit(d.enrol, &cli->err))
		return trib_ctx(&cli->err, _("the certificates are revoked, but slips are not void; run the same command again"));
	say_revoked(cli, n, &d.open);
	if (why.code == TRIB_OK)
		return trib_crl_publish(&d.hubdb, &cli->err);
	cli->err = why;
	return hub_no_list(cli);
}
