/* cmd_night.c: `log --nights`: the nightly lists, newest first, with who was silent. */
#include "core/base/clock.h"
#include "hub/commands.h"
#include "hub/night.h"
#include "hub/tiles.h"

#define SHOWN 10 /* silent nodes of one night on a screen; --json lists all */

struct out {
	struct trib_cli *cli;
	json_t *silent;
	size_t n;
};

static int one_node(void *ctx, const char *node, const char *app, bool reported, struct trib_err *err)
{
	struct out *o = ctx;
	(void)err;
	if (reported)
		return 0;
	if (++o->n <= SHOWN)
		trib_say(o->cli, _("  silent: %s/%s\n"), node, app);
	json_array_append_new(o->silent, json_pack("{s:s, s:s}", "node", node, "app", app));
	return 0;
}

static int show_night(struct trib_cli *cli, sqlite3_stmt *st, json_t *list)
{
	struct out o = {.cli = cli, .silent = json_array()};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	char to[TRIB_TIME_LEN + 1], from[TRIB_TIME_LEN + 1], local[17];
	uint8_t sha[TRIB_SHA256_LEN];
	struct trib_err why;
	long long n[3] = {sqlite3_column_int64(st, 3), sqlite3_column_int64(st, 4), sqlite3_column_int64(st, 5)};
	trib_time_text(from, sqlite3_column_int64(st, 1));
	trib_time_text(to, sqlite3_column_int64(st, 2));
	trib_time_city(local, sqlite3_column_int64(st, 2));
	trib_say(cli, _("%s  leaf %lld: %lld expected, %lld reported, %lld silent\n"), local, (long long)sqlite3_column_int64(st, 0), n[0], n[1], n[2]);
	if (trib_db_bytes(st, 6, "the list's hash", sha, sizeof(sha), &why) || trib_named_read(trib_cli_hub(cli)->dir, sha, &text, &why) || trib_night_walk(trib_buf_span(&text), one_node, &o, &why)) {
		trib_say(cli, _("  the list cannot be read: %s; try: tributary-hub audit\n"), why.msg);
		cli->status = trib_exit_status(TRIB_E_VERIFY);
	}
	if (o.n > SHOWN)
		trib_say(cli, _("  ... and %lld more; --json lists all\n"), (long long)(o.n - SHOWN));
	json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:o}", "leaf", (json_int_t)sqlite3_column_int64(st, 0), "from", from, "to", to, "expected",
					      (json_int_t)n[0], "reported", (json_int_t)n[1], "silent_count", (json_int_t)n[2], "silent", o.silent));
	return 0;
}

int hub_log_nights(struct trib_cli *cli, long long most)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err) ||
	    trib_db_prepare(db.db, "SELECT idx, from_at, to_at, expected, reported, silent, sha256 FROM night ORDER BY idx DESC LIMIT ?", &st, &cli->err))
		return -1;
	sqlite3_bind_int64(st, 1, most);
	json_t *list = json_array();
	int row, rc = 0;
	bool any = false;
	while (!rc && (row = trib_db_step(db.db, st, &cli->err)) != 0) {
		any = true;
		rc = row < 0 ? -1 : show_night(cli, st, list);
	}
	trib_json(cli, "nights", list);
	if (!rc && !any)
		trib_say(cli, "%s\n", _("There is no nightly list yet; the hub makes one every morning at 08:00."));
	return rc;
}
