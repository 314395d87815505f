/* cmd_recover.c: `recover`: a hub that came back from an old copy opens a new epoch of its log. */
#include "core/base/clock.h"
#include "hub/commands.h"
#include "hub/rebuild.h"
#include "hub/recover.h"

const struct trib_opt hub_opts_recover[] = {
	{"admin-key", 0, "FILE", N_("an administrator's sign.key; its sign.crt is beside it (tributary-hub user add)")},
	{0},
};

/* FILE.crt beside FILE.key: leaf, then issuing certificate. */
static int load_admin(struct trib_cli *cli, const char *key_file, struct trib_key **key, struct trib_cert *certs[2])
{
	size_t n = strlen(key_file), got = 0;
	if (n < 4 || strcmp(key_file + n - 4, ".key") != 0)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--admin-key takes a file that ends in .key, with its .crt beside it"));
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%.*s.crt", (int)(n - 4), key_file);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_key_load(key_file, key, &cli->err) || trib_fs_read(path, &pem, &cli->err) || trib_certs_parse_pem(trib_buf_span(&pem), certs, 2, &got, &cli->err))
		return trib_ctx(&cli->err, "%s", path);
	if (got != 2)
		return trib_fail(&cli->err, TRIB_E_CERT, _("%s must hold the administrator's certificate and the issuing one"), path);
	return trib_cert_matches(certs[0], *key, &cli->err);
}

static void say(struct trib_cli *cli, const struct trib_recovered *r)
{
	char when[17], last[TRIB_TIME_LEN + 1];
	trib_time_city(when, r->last);
	trib_time_text(last, r->last);
	trib_json(cli, "origin", trib_json_text(r->origin));
	trib_json(cli, "leaves", json_integer((json_int_t)r->leaves));
	trib_json(cli, "last_leaf", trib_json_text(last));
	trib_json(cli, "administrator", trib_json_text(r->admin.subject));
	trib_json(cli, "histories", json_integer((json_int_t)r->histories));
	trib_say(cli, _("The log goes on as %s behind the %llu leaves of this copy, which ends at %s; opened by %s.\n"), r->origin, (unsigned long long)r->leaves, when, r->admin.subject);
	trib_say(cli, _("At their next sync the offices of %llu histories see the new epoch and send again what this copy lacks.\n"), (unsigned long long)r->histories);
	trib_say(cli, _("What administrators did after %s is lost: repeat enrolments and, before anything else, revocations.\nNext: tributary-hub rebuild, tributary-hub serve\n"), when);
}

int hub_cmd_recover(struct trib_cli *cli)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	struct trib_cert *certs[2] = {0};
	struct trib_recovered r;
	const char *file = trib_cli_opt(cli, "admin-key");
	if (!file)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--admin-key FILE is needed: only an administrator may open a new epoch"));
	int rc = trib_hub_stopped(trib_cli_hub(cli), &lock, &cli->err) || load_admin(cli, file, &key, certs) ? -1 : 0;
	if (!rc && cli->dry_run)
		trib_say(cli, _("would open the epoch after %s\n"), trib_cli_hub(cli)->origin);
	else if (!rc)
		rc = trib_recover(trib_cli_hub(cli), key, certs[0], certs[1], trib_now(), &r, &cli->err);
	trib_cert_free(certs[0]);
	trib_cert_free(certs[1]);
	if (!rc && !cli->dry_run)
		say(cli, &r);
	return rc;
}
