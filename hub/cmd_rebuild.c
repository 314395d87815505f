/* cmd_rebuild.c: `rebuild`. */
#include "hub/acts.h"
#include "hub/commands.h"
#include "hub/rebuild.h"
#include "hub/tiles.h"

/* The act is logged last: the log itself is mended first. */
static int remake_tiles(struct trib_cli *cli)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "keys/log.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	return trib_key_load(path, &key, &cli->err) || trib_hubdb_open(hub, true, &db, &cli->err) ||
			       trib_act_log(&db, &(struct trib_act){.what = "rebuild"}, &cli->err) || trib_tiles_remake(&db, key, &cli->err) ? -1 : 0;
}

int hub_cmd_rebuild(struct trib_cli *cli)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	struct trib_rebuilt r;
	char hex[TRIB_SHA256_HEX + 1];
	if (trib_hub_stopped(trib_cli_hub(cli), &lock, &cli->err))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, "%s\n", _("would derive the city databases, the caches of hub.db and the published log again from log and histories"));
		return 0;
	}
	if (trib_rebuild(trib_cli_hub(cli), cli->quiet || cli->json, &r, &cli->err) || remake_tiles(cli))
		return -1;
	trib_hex(hex, r.digest, TRIB_SHA256_LEN);
	trib_json(cli, "leaves", json_integer((json_int_t)r.leaves));
	trib_json(cli, "commits", json_integer((json_int_t)r.commits));
	trib_json(cli, "mended_hashes", json_integer((json_int_t)r.subtrees));
	trib_json(cli, "mended_held", json_integer((json_int_t)r.flags));
	trib_json(cli, "findings", json_integer((json_int_t)r.findings));
	trib_json(cli, "city_digest", trib_json_text(hex));
	trib_json(cli, "replaced", json_boolean(r.replaced));
	trib_say(cli, _("hub.db: %llu hashes and %llu held rows were not right and are now.\n"), (unsigned long long)r.subtrees, (unsigned long long)r.flags);
	trib_json(cli, "signed_anew", json_boolean(r.signed_anew));
	if (r.signed_anew)
		trib_say(cli, "%s\n", _("The signed checkpoint was lost or damaged; the published one agrees with hub.db, and it is signed anew."));
	if (r.findings) {
		cli->status = trib_exit_status(TRIB_E_VERIFY);
		trib_json(cli, "first_finding", trib_json_text(r.damage));
	}
	if (!r.replaced) {
		trib_say(cli, _("The city databases were left as they are: %llu findings, the first: %s\nNext: tributary-hub audit\n"), (unsigned long long)r.findings, r.damage);
		return 0;
	}
	trib_say(cli, _("The city databases were derived again from %llu commits; digest %s.\n"), (unsigned long long)r.commits, hex);
	if (r.kept[0])
		trib_say(cli, _("The old ones are in %s.\n"), r.kept);
	if (r.findings)
		trib_say(cli, _("Not all is right: %llu findings, the first: %s\nRows of a history that is damaged are missing until it is mended (tributary-hub ingest) and rebuilt again. Next: tributary-hub audit\n"),
			 (unsigned long long)r.findings, r.damage);
	return 0;
}
