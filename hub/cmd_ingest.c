/* cmd_ingest.c: `ingest`: a node's bundle brings its new commits by hand, and mends what the hub's disk has lost. */
#include "hub/acts.h"
#include "hub/commands.h"
#include "hub/ingest.h"
#include "hub/rebuild.h"

const struct trib_opt hub_opts_ingest[] = {
	{"node", 0, "ID", N_("the community (default: the one whose commits the bundle holds)")},
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{0},
};

struct out { struct trib_cli *cli; json_t *list; };

static int say_item(void *ctx, const struct trib_ingest_item *i, struct trib_err *err)
{
	struct out *o = ctx;
	char hex[TRIB_OID_HEX + 1];
	(void)err;
	trib_hex(hex, i->oid, TRIB_OID_LEN);
	trib_say(o->cli, "#%-5llu %s %s%s%s %s, %s\n", (unsigned long long)i->seq, hex, i->type, i->name[0] ? " " : "", i->name, i->missing ? _("missing") : _("damaged"),
		 i->replaced ? _("in the bundle") : _("NOT in the bundle"));
	if (o->cli->json)
		json_array_append_new(o->list, json_pack("{s:I, s:s, s:s, s:s, s:b, s:b}", "seq", (json_int_t)i->seq, "object", hex, "type", i->type, "name", i->name, "missing",
							 i->missing, "replaced", i->replaced));
	return 0;
}

static int take_ids(struct trib_cli *cli, struct trib_ingest *in)
{
	const char *node = trib_cli_opt(cli, "node"), *app = trib_cli_opt(cli, "app");
	if (!node && app)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--app needs --node"));
	if (!node)
		return 0;
	app = app ? app : "main";
	if (!trib_id_valid(trib_span_str(node)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is no node id: 1 to %d of 0-9 A-Z a-z . _ -"), node, TRIB_NODE_MAX);
	if (!trib_id_valid(trib_span_str(app)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is no application name: 1 to %d of 0-9 A-Z a-z . _ -"), app, TRIB_APP_MAX);
	(void)snprintf(in->node, sizeof(in->node), "%s", node);
	(void)snprintf(in->app, sizeof(in->app), "%s", app);
	return 0;
}

static void say_result(struct trib_cli *cli, const struct trib_ingest *in)
{
	trib_json(cli, "node", trib_json_text(in->node));
	trib_json(cli, "app", trib_json_text(in->app));
	trib_json(cli, "objects", json_integer((json_int_t)in->objects));
	trib_json(cli, "replaced", json_integer((json_int_t)in->replaced));
	trib_json(cli, "lost", json_integer((json_int_t)in->lost));
	trib_json(cli, "packs_moved", json_integer((json_int_t)in->packs_moved));
	trib_json(cli, "unpublished", json_integer((json_int_t)in->unpublished));
	trib_json(cli, "proven_commits", json_integer((json_int_t)in->proven));
	trib_json(cli, "verdict", trib_json_text(in->whole ? "proven" : "not-proven"));
	trib_say(cli, cli->dry_run ? _("%s/%s: %llu objects, %llu would be replaced, %llu are lost still\n") : _("%s/%s: %llu objects, %llu replaced, %llu are lost still\n"),
		 in->node, in->app, (unsigned long long)in->objects, (unsigned long long)in->replaced, (unsigned long long)in->lost);
	if (in->packs_moved)
		trib_say(cli, _("a pack was damaged: the %llu packs of this history were moved to the folder damaged; their good objects are loose files now\n"), (unsigned long long)in->packs_moved);
	if (in->has_new && cli->dry_run)
		trib_say(cli, _("%llu commits of the bundle are new here and would be judged as a push\n"), (unsigned long long)in->unpublished);
	else if (in->has_new && !in->whole)
		trib_say(cli, _("%llu commits of the bundle are new here; they wait until the history is whole again\n"), (unsigned long long)in->unpublished);
	else if (!in->has_new && in->unpublished)
		trib_say(cli, _("%llu commits of the bundle lead to no refs/heads/main that is new here; they are left out\n"), (unsigned long long)in->unpublished);
	if (in->whole && in->has_old)
		trib_say(cli, _("Proven: all %llu commits of %s/%s. Next: tributary-hub audit (and tributary-hub rebuild, if its merge had stopped)\n"),
			 (unsigned long long)in->proven, in->node, in->app);
	else if (!in->whole)
		trib_say(cli, _("NOT proven beyond %llu commits: %s. At the office: tributary-agent bundle create FILE --whole\n"), (unsigned long long)in->proven, in->why);
}

/* What the office was told: the hub's own chain in the history. */
static void say_down(struct trib_cli *cli, const struct trib_ingest *in)
{
	trib_json(cli, "receipts_lost", json_boolean(in->down_lost));
	trib_json(cli, "receipts_again_after", in->down_seq ? json_integer((json_int_t)in->down_seq) : json_null());
	if (in->down_seq)
		trib_say(cli, _("What the hub told %s/%s after its message #%llu, the last that the office has, is told again\n"), in->node, in->app, (unsigned long long)in->down_seq);
	if (!in->down_lost)
		return;
	if (in->down_why[0])
		trib_say(cli, _("What the bundle has of the hub's messages to the office does not serve: %s\n"), in->down_why);
	trib_say(cli, _("LOST: what the hub told %s/%s (refs/heads/down), so that it gets no receipts; the history itself is not concerned. At the office, now: tributary-agent bundle create FILE --whole\n"),
		 in->node, in->app);
}

/* New commits, as a push would bring them. */
static int take_new(struct trib_cli *cli, const struct trib_lock *lock, struct trib_ingest *in)
{
	if (trib_ingest_push(trib_cli_hub(cli), cli->argv[0], lock, in, &cli->err))
		return trib_ctx(&cli->err, "%s (%s/%s)", cli->argv[0], in->node, in->app);
	trib_json(cli, "taken", json_integer((json_int_t)in->taken));
	trib_json(cli, "seq", json_integer((json_int_t)in->last_seq));
	trib_say(cli, _("Taken: %llu new commits of %s/%s, #%llu to #%llu; each is in the log. The receipts: tributary-hub bundle create FILE --node %s --app %s\n"),
		 (unsigned long long)in->taken, in->node, in->app, (unsigned long long)in->old_seq + 1, (unsigned long long)in->last_seq, in->node, in->app);
	return 0;
}

static int log_ingest(struct trib_cli *cli, const struct trib_ingest *in)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	struct trib_act act = {.what = "ingest", .node = in->node[0] ? in->node : NULL, .app = in->app[0] ? in->app : NULL};
	return trib_hubdb_open(trib_cli_hub(cli), true, &db, &cli->err) || trib_act_log(&db, &act, &cli->err) ? -1 : 0;
}

/* A running hub takes new commits itself; what is damaged is mended only while nobody reads it. */
static int look_first(struct trib_cli *cli, struct trib_ingest *in)
{
	for (int turn = 0; turn < 2; turn++) { /* once more: the hub may have put files in other places meanwhile */
		struct trib_ingest fresh = {.dry_run = true};
		memcpy(fresh.node, in->node, sizeof(fresh.node));
		memcpy(fresh.app, in->app, sizeof(fresh.app));
		if (trib_ingest_run(trib_cli_hub(cli), cli->argv[0], &fresh, &cli->err))
			return -1;
		if (turn == 0 && (!fresh.whole || fresh.down_lost))
			continue;
		*in = fresh;
		break;
	}
	if (in->whole && !in->down_lost && !in->down_seq)
		return 0;
	if (in->whole)
		(void)snprintf(in->why, sizeof(in->why), "%s", _("what the hub told the office is lost, or is not what the office has"));
	return trib_fail(&cli->err, TRIB_E_LOCKED, _("the history of %s/%s is damaged here (%s), and is mended only while the hub is stopped; nothing was changed; stop the hub first"), in->node,
			 in->app, in->why);
}

/* *ret_running: the hub is, and takes the new commits. */
static int begin(struct trib_cli *cli, struct trib_lock *lock, struct trib_ingest *in, bool *ret_running)
{
	*ret_running = false;
	if (cli->dry_run)
		return 0;
	if (trib_hub_stopped(trib_cli_hub(cli), lock, &cli->err)) {
		if (cli->err.code != TRIB_E_LOCKED || look_first(cli, in))
			return -1;
		*ret_running = true;
	}
	return log_ingest(cli, in);
}

int hub_cmd_ingest(struct trib_cli *cli)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	struct out o = {.cli = cli, .list = json_array()};
	struct trib_ingest in = {0};
	bool running = false;
	int rc = take_ids(cli, &in) || begin(cli, &lock, &in, &running) ? -1 : 0;
	if (!rc && !running) {
		in.dry_run = cli->dry_run;
		in.item = say_item;
		in.ctx = &o;
		rc = trib_ingest_run(trib_cli_hub(cli), cli->argv[0], &in, &cli->err);
	}
	trib_json(cli, "items", o.list);
	if (rc)
		return -1;
	say_result(cli, &in);
	say_down(cli, &in);
	if (!in.whole || in.down_lost)
		cli->status = trib_exit_status(TRIB_E_VERIFY);
	return in.whole && in.has_new && !cli->dry_run ? take_new(cli, running ? NULL : &lock, &in) : 0;
}
