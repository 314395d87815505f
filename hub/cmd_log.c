/* cmd_log.c: `log` and `show`: a community's history as the hub holds it. */
#include "core/base/clock.h"
#include "hub/commands.h"
#include "hub/restore.h"

const struct trib_opt hub_opts_log[] = {
	{"node", 0, "ID", N_("the community")},
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{"limit", 0, "N", N_("at most N commits")},
	{"nights", 0, NULL, N_("the nightly lists instead: who was expected, who reported, who was silent")},
	{0},
};
const struct trib_opt hub_opts_show[] = {
	{"node", 0, "ID", N_("the community")},
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{0},
};

int hub_cli_history(struct trib_cli *cli, struct trib_hubdb *db, struct trib_hub_history *ret)
{
	const char *node = trib_cli_opt(cli, "node"), *app = trib_cli_opt(cli, "app");
	app = app ? app : "main";
	if (!node)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--node ID is needed; try: tributary-hub node list"));
	if (!trib_id_valid(trib_span_str(node)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is no node id: 1 to %d of 0-9 A-Z a-z . _ -"), node, TRIB_NODE_MAX);
	if (!trib_id_valid(trib_span_str(app)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is no application name: 1 to %d of 0-9 A-Z a-z . _ -"), app, TRIB_APP_MAX);
	return trib_hubdb_open(trib_cli_hub(cli), false, db, &cli->err) || trib_hub_history_open(db, node, app, ret, &cli->err) ? -1 : 0;
}

static json_t *time_json(int64_t t)
{
	char when[TRIB_TIME_LEN + 1];
	trib_time_text(when, t);
	return trib_json_text(when);
}

static json_t *text_json(struct trib_span s)
{
	json_t *j = json_stringn((const char *)s.p, s.n);
	return j ? j : json_null(); /* not UTF-8 */
}

#define HELD "SELECT idx, seq, part, parts, oid, captured_at, held_at, inserted, updated, deleted, braked, merged_at, out_of_step FROM held WHERE node = ? AND app = ? "

static int log_one(struct trib_cli *cli, struct trib_hub_history *h, sqlite3_stmt *st, json_t *list)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	char hex[TRIB_OID_HEX + 1], captured[TRIB_TIME_LEN + 1];
	struct trib_span subject = trib_span_str(_("(its objects cannot be read; try: tributary-hub audit)"));
	struct trib_err why;
	if (sqlite3_column_bytes(st, 4) != TRIB_OID_LEN)
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("hub.db: held %lld has no commit id; try: tributary-hub audit"), (long long)sqlite3_column_int64(st, 0));
	trib_hex(hex, sqlite3_column_blob(st, 4), TRIB_OID_LEN);
	trib_time_text(captured, sqlite3_column_int64(st, 5));
	if (trib_commit_read(h->repo, sqlite3_column_blob(st, 4), &c, &why) == 0)
		subject = c.c.subject;
	const char *step = (const char *)sqlite3_column_text(st, 12);
	bool merged = sqlite3_column_type(st, 11) != SQLITE_NULL;
	trib_say(cli, "%.12s #%-5lld %s %-11s +%lld ~%lld -%lld  %.*s\n", hex, (long long)sqlite3_column_int64(st, 1), captured,
		 merged ? _("in the city") : step ? _("out of step") : _("held"), (long long)sqlite3_column_int64(st, 7), (long long)sqlite3_column_int64(st, 8),
		 (long long)sqlite3_column_int64(st, 9), (int)subject.n, (const char *)subject.p);
	if (!cli->json)
		return 0;
	json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "commit", hex, "seq",
					      (json_int_t)sqlite3_column_int64(st, 1), "part", (json_int_t)sqlite3_column_int64(st, 2), "parts",
					      (json_int_t)sqlite3_column_int64(st, 3), "leaf", (json_int_t)sqlite3_column_int64(st, 0), "captured_at",
					      time_json(sqlite3_column_int64(st, 5)), "held_at", time_json(sqlite3_column_int64(st, 6)), "merged_at",
					      merged ? time_json(sqlite3_column_int64(st, 11)) : json_null(), "out_of_step", step ? trib_json_text(step) : json_null(), "added",
					      (json_int_t)sqlite3_column_int64(st, 7), "changed", (json_int_t)sqlite3_column_int64(st, 8), "removed",
					      (json_int_t)sqlite3_column_int64(st, 9), "braked", (json_int_t)sqlite3_column_int64(st, 10), "subject", text_json(subject)));
	return 0;
}

int hub_cmd_log(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_hub_history) struct trib_hub_history h = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	const char *limit = trib_cli_opt(cli, "limit");
	char *end = NULL;
	long long most = limit ? strtoll(limit, &end, 10) : INT64_MAX;
	if (limit && (*limit < '0' || *limit > '9' || *end))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--%s takes a number"), "limit");
	if (trib_cli_flag(cli, "nights"))
		return hub_log_nights(cli, most);
	if (hub_cli_history(cli, &db, &h) || trib_db_prepare(db.db, HELD "ORDER BY seq DESC LIMIT ?", &st, &cli->err))
		return -1;
	sqlite3_bind_text(st, 1, h.node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, h.app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, most);
	json_t *list = json_array();
	int row, rc = 0;
	while (!rc && (row = trib_db_step(db.db, st, &cli->err)) != 0)
		rc = row < 0 ? -1 : log_one(cli, &h, st, list);
	trib_json(cli, "commits", list);
	return rc;
}

/* ---- show ---- */

static int show_held(struct trib_cli *cli, struct trib_hub_history *h, const uint8_t oid[TRIB_OID_LEN])
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_leaf leaf;
	char held[TRIB_TIME_LEN + 1], merged[TRIB_TIME_LEN + 1], signer[TRIB_SHA256_HEX + 1];
	if (trib_hub_held_leaf(h->db, oid, &leaf, &cli->err) || trib_db_prepare(h->db->db, HELD "AND oid = ?", &st, &cli->err))
		return -1;
	sqlite3_bind_text(st, 1, h->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, h->app, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, oid, TRIB_OID_LEN, SQLITE_STATIC);
	int row = trib_db_step(h->db->db, st, &cli->err);
	if (row <= 0)
		return row < 0 ? -1 : trib_fail(&cli->err, TRIB_E_VERIFY, _("this commit is held for another history; try: tributary-hub audit"));
	bool in = sqlite3_column_type(st, 11) != SQLITE_NULL;
	const char *step = (const char *)sqlite3_column_text(st, 12);
	trib_time_text(held, leaf.time);
	trib_time_text(merged, sqlite3_column_int64(st, 11));
	trib_hex(signer, leaf.signer, TRIB_SHA256_LEN);
	trib_say(cli, _("held         %s, log leaf %lld\nin the city  %s\nsigned by    certificate %s\n"), held, (long long)sqlite3_column_int64(st, 0),
		 in ? merged : step ? step : _("not yet"), signer);
	trib_json(cli, "held_at", trib_json_text(held));
	trib_json(cli, "leaf", json_integer(sqlite3_column_int64(st, 0)));
	trib_json(cli, "merged_at", in ? trib_json_text(merged) : json_null());
	trib_json(cli, "out_of_step", step ? trib_json_text(step) : json_null());
	trib_json(cli, "signer", trib_json_text(signer));
	return 0;
}

static void show_tables(struct trib_cli *cli, const struct trib_manifest *m)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->ntables; i++) {
		const struct trib_mf_table *t = &m->tables[i];
		if (t->inserted || t->updated || t->deleted)
			trib_say(cli, _("  %-32s %llu added, %llu changed, %llu removed; %llu rows\n"), t->name, (unsigned long long)t->inserted, (unsigned long long)t->updated,
				 (unsigned long long)t->deleted, (unsigned long long)t->rows);
		json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:I, s:I}", "table", trib_json_text(t->name), "added", (json_int_t)t->inserted, "changed", (json_int_t)t->updated,
						      "removed", (json_int_t)t->deleted, "rows", (json_int_t)t->rows));
	}
	trib_json(cli, "tables", list);
	list = json_array();
	for (size_t i = 0; i < m->nbraked; i++) {
		trib_say(cli, _("  %-32s braked: %llu rows would have been lost\n"), m->braked[i].table, (unsigned long long)m->braked[i].lost);
		json_array_append_new(list, json_pack("{s:o, s:I}", "table", trib_json_text(m->braked[i].table), "lost", (json_int_t)m->braked[i].lost));
	}
	trib_json(cli, "braked", list);
}

int hub_cmd_show(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_hub_history) struct trib_hub_history h = {0};
	TRIB_AUTO(trib_buf) struct trib_buf echo = TRIB_BUF(1024);
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	uint8_t oid[TRIB_OID_LEN];
	char hex[TRIB_OID_HEX + 1], captured[TRIB_TIME_LEN + 1];
	if (hub_cli_history(cli, &db, &h) || trib_history_at(h.repo, "refs/heads/main", cli->argv[0], trib_now(), TRIB_CITY_ZONE_S, oid, &echo, &cli->err) ||
	    trib_commit_read(h.repo, oid, &c, &cli->err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, &cli->err))
		return -1;
	trib_hex(hex, oid, TRIB_OID_LEN);
	trib_time_text(captured, m.captured_at);
	trib_say(cli, "%s #%llu  %.*s\n", hex, (unsigned long long)m.seq, (int)c.c.subject.n, (const char *)c.c.subject.p);
	trib_say(cli, _("kind         %s, part %llu of %llu\ncaptured     %s\n"), trib_kind_name(m.kind), (unsigned long long)m.part, (unsigned long long)m.parts, captured);
	trib_json(cli, "commit", trib_json_text(hex));
	trib_json(cli, "seq", json_integer((json_int_t)m.seq));
	trib_json(cli, "kind", trib_json_text(trib_kind_name(m.kind)));
	trib_json(cli, "part", json_integer((json_int_t)m.part));
	trib_json(cli, "parts", json_integer((json_int_t)m.parts));
	trib_json(cli, "captured_at", trib_json_text(captured));
	trib_json(cli, "subject", text_json(c.c.subject));
	if (show_held(cli, &h, oid))
		return -1;
	show_tables(cli, &m);
	return 0;
}
