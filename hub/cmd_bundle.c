/* cmd_bundle.c: `bundle create`: the city's word to one community (receipts, checkpoint), as a file to be carried by hand (D8.3). */
#include "core/store/bundlefile.h"
#include "hub/commands.h"

const struct trib_opt hub_opts_bundle[] = {
	{"node", 0, "ID", N_("the community")},
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{0},
};

int hub_cmd_bundle_create(struct trib_cli *cli)
{
	const char *node = trib_cli_opt(cli, "node"), *app = trib_cli_opt(cli, "app"), *to = cli->argv[0];
	struct trib_hub *hub = trib_cli_hub(cli);
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_bundle head = {.nrefs = 1, .refs = {{.name = "refs/heads/down"}}};
	uint64_t bytes;
	app = app ? app : "main";
	if (!node || !trib_id_valid(trib_span_str(node)) || !trib_id_valid(trib_span_str(app)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("which community? --node ID --app NAME; try: tributary-hub node list"));
	if (trib_fs_exists(to))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s exists; nothing was changed; choose another name"), to);
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(hub, node, app);
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_hubdb_open(hub, false, &db, &cli->err) || trib_db_prepare(db.db, "SELECT down_oid, down_seq FROM history WHERE node = ? AND app = ?", &st, &cli->err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	int row = trib_db_step(db.db, st, &cli->err);
	if (row < 0)
		return -1;
	if (!row || sqlite3_column_bytes(st, 0) != TRIB_OID_LEN)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("there is nothing to tell %s/%s yet: no commit of it is held"), node, app);
	memcpy(head.refs[0].oid, sqlite3_column_blob(st, 0), TRIB_OID_LEN);
	int64_t seq = sqlite3_column_int64(st, 1);
	if (cli->dry_run) {
		trib_say(cli, _("would write %lld messages to %s\n"), (long long)seq, to);
		return 0;
	}
	if (trib_repo_open(path, false, &repo, &cli->err) || trib_bundle_write(repo, &head, to, 0, &bytes, &cli->err))
		return -1;
	trib_say(cli, _("%s: %lld messages of the city to %s/%s, %llu bytes. At the office: tributary-agent bundle apply %s\n"), to, (long long)seq, node, app, (unsigned long long)bytes, to);
	trib_json(cli, "file", trib_json_text(to));
	trib_json(cli, "down_seq", json_integer(seq));
	trib_json(cli, "bytes", json_integer((json_int_t)bytes));
	return 0;
}
