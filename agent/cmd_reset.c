/* cmd_reset.c: `reset`: the history says the whole database once more (D6.3).
 *
 * For an office whose history is out of step in the city, or whose state nobody trusts any more. What stands in the database is committed first, as on any
 * night and under the brake; then the history is replayed and compared with it, and each row that differs is named; then a commit of kind `reset`
 * brings all rows, its digest from zero, and the city merges the net difference. Nothing that was signed before is changed. */
#include "agent/capture/pending.h"
#include "agent/commands.h"
#include "core/base/clock.h"

#define SHOWN 50

const struct trib_opt agent_opts_reset[] = {
	{"accept-loss", 0, NULL, N_("commit although the brake holds back")},
	{"engine", 0, "NAME", N_("how to find changes: auto (default: pages that changed; all rows of a table where that cannot be), or full")},
	{"full-scan", 0, NULL, N_("read every page, though the file looks untouched")},
	{0},
};

static int say_rows(struct trib_cli *cli, const struct trib_part *p, uint64_t *n, json_t *list)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(trib_buf_span(&p->changeset));
	struct trib_change ch;
	int row;
	if (!r)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_schematext_parse(trib_buf_span(&p->schema), &schema, &cli->err))
		return -1;
	while ((row = trib_cs_next(r, &ch, &cli->err)) > 0)
		if (++*n <= SHOWN)
			agent_say_change(cli, &ch, trib_schematext_find(&schema, ch.table->name), list);
	return row;
}

/* Rows that the replayed history and the baseline do not share: from the first to the second. */
static int compare(struct trib_cli *cli, const char *replayed, uint64_t *ret_n, json_t *list)
{
	TRIB_AUTO(trib_db) sqlite3 *was = NULL;
	TRIB_AUTO(trib_schema) struct trib_schema old = {0}, new = {0};
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	struct trib_delta none = {.fd = -1};
	sqlite3 *is = NULL;
	struct trib_err *err = &cli->err;
	if (trib_delta_open_old(trib_cli_state(cli), &is, err))
		return -1;
	int rc = sqlite3_open_v2(replayed, &was, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ? trib_db_fail(err, was, replayed) : 0;
	if (!rc)
		rc = trib_schema_read(was, &old, err) || trib_schema_read(is, &new, err) || trib_engine_full.compare(was, &old, is, &new, &none, &c, err) ? -1 : 0;
	for (size_t i = 0; i < c.nparts && !rc; i++)
		if (c.parts[i].changeset.len)
			rc = say_rows(cli, &c.parts[i], ret_n, list);
	sqlite3_close(is);
	return rc;
}

static int name_differences(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_restored) struct trib_restored done = {0};
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "reset.tmp.db");
	json_t *list = json_array();
	uint64_t n = 0;
	struct trib_err why, ignored;
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_remove(path, &cli->err) || trib_held_load(s, false, &r, &cli->err))
		return -1;
	struct trib_history h = trib_own_history(s, &r);
	int rc = trib_replay_to_file(&h, s->tip.oid, NULL, path, &done, &why);
	if (rc)
		trib_say(cli, _("the history does not replay (%s); a reset begins anew all the same\n"), why.msg);
	else
		rc = compare(cli, path, &n, list);
	if (trib_fs_remove(path, &ignored))
		trib_talk(cli, _("%s is left behind\n"), path);
	if (rc && cli->err.code)
		return -1;
	if (n > SHOWN)
		trib_say(cli, _("  and %llu more rows\n"), (unsigned long long)(n - SHOWN));
	if (!rc)
		trib_say(cli, n ? _("%llu rows differ between the history and the database\n") : _("the history replays to exactly this database (%llu rows differ)\n"), (unsigned long long)n);
	trib_json(cli, "differs", json_integer((json_int_t)n));
	trib_json(cli, "rows", list);
	return 0;
}

int agent_cmd_reset(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	struct agent_captured got;
	struct trib_committed done;
	if (agent_capture(cli, NULL, trib_cli_flag(cli, "accept-loss"), false, &got))
		return -1;
	if (got.braked)
		return trib_fail(&cli->err, TRIB_E_BRAKE, _("so many rows are gone that a person should look first. The database and the history are as they were. If it is "
							    "right: tributary-agent reset --accept-loss"));
	if (name_differences(cli))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, "%s\n", _("would make a reset: all rows of the database once more"));
		return 0;
	}
	if (trib_capture_afresh(s, &c, &cli->err) || trib_outbox_reset(s, &c, &done, &cli->err))
		return -1;
	trib_say(cli, _("reset #%llu: %llu rows. The city merges what differs when it is pushed: tributary-agent push\n"), (unsigned long long)done.last_seq,
		 (unsigned long long)done.inserted);
	trib_json(cli, "seq", json_integer((json_int_t)done.last_seq));
	trib_json(cli, "inserted", json_integer((json_int_t)done.inserted));
	return 0;
}
