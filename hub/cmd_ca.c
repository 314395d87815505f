/* cmd_ca.c: `ca show, export-root, renew-issuing, renew-root`: the city's certificate authority.
 *
 * A ceremony is done with the hub at rest. Everything new is written beside the old and durable, and in the log, before the first file takes its place; cut
 * off in between, the command is run again. What was issued before stays good: every signed tree holds its issuing certificate, and the new root is certified
 * by the one before (core/trust/cert.h, "roots"). */
#include "core/base/clock.h"
#include "hub/acts.h"
#include "hub/ceremony.h"
#include "hub/commands.h"
#include "hub/rebuild.h"

#define HUB_LEAF_LIFE (10 * 365 * 86400LL)
#define BACKDATE 3600LL
#define ISSUING_MAX 999
#define NEW_ROOT "ca/root.crt.new"

const struct trib_opt hub_opts_ca_issuing[] = {
	{"root-key", 0, "FILE", N_("the root key, on its stick (default: ca/root.key, where init left it)")},
	{0},
};
const struct trib_opt hub_opts_ca_root[] = {
	{"root-key", 0, "FILE", N_("the present root key, on its stick (default: ca/root.key, where init left it)")},
	{"new-root-key", 0, "FILE", N_("write the new root key here, on another stick")},
	{0},
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

int hub_own_certs(const struct trib_hub_conf *c, const struct trib_key *sign_key, const struct trib_key *tls_key, const struct trib_key *issuing_key,
		  const struct trib_cert *issuing, int64_t now, struct trib_cert **ret_sign, struct trib_cert **ret_tls, struct trib_err *err)
{
	const char *hosts[TRIB_HUB_HOSTS_MAX + 1] = {0};
	for (size_t i = 0; i < c->nhosts; i++)
		hosts[i] = c->hosts[i];
	struct trib_cert_spec sign = {.role = TRIB_ROLE_HUB, .id = "hub", .subject = c->city, .use = TRIB_USE_SIGN, .not_before = now - BACKDATE,
				      .not_after = now + HUB_LEAF_LIFE};
	struct trib_cert_spec tls = sign;
	tls.use = TRIB_USE_TLS_SERVER;
	tls.hosts = hosts;
	return trib_cert_issue(&sign, NULL, sign_key, issuing_key, issuing, ret_sign, err) || trib_cert_issue(&tls, NULL, tls_key, issuing_key, issuing, ret_tls, err) ? -1 : 0;
}

/* ---- show ---- */

static int show_one(struct trib_cli *cli, const char *what, const struct trib_cert *c, json_t *list)
{
	struct trib_cert_id id;
	char hex[TRIB_SHA256_HEX + 1], from[TRIB_TIME_LEN + 1], until[TRIB_TIME_LEN + 1];
	if (trib_cert_identity(c, &id, &cli->err))
		return -1;
	trib_hex(hex, id.sha256, TRIB_SHA256_LEN);
	trib_time_text(from, id.not_before);
	trib_time_text(until, id.not_after);
	trib_say(cli, _("%s\n  name     %s\n  valid    %s to %s\n  SHA-256  %s\n"), cli->json ? what : _(what), id.subject, from, until, hex);
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "what", what, "name", id.subject, "not_before", from, "not_after", until, "sha256", hex));
	return 0;
}

int hub_cmd_ca_show(struct trib_cli *cli)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	TRIB_AUTO(trib_mem) char *key = trib_hub_path(hub, "ca/root.key");
	json_t *list = json_array();
	int rc = key ? 0 : oom(&cli->err);
	for (const struct trib_cert *r = hub->root; r && !rc; r = trib_roots_older(r))
		rc = show_one(cli, r == hub->root ? N_("root") : N_("root before"), r, list);
	if (!rc)
		rc = show_one(cli, N_("issuing"), hub->issuing, list) || show_one(cli, N_("hub, signing"), hub->sign_cert, list) ||
				     show_one(cli, N_("hub, TLS"), hub->tls_cert, list)
			     ? -1
			     : 0;
	trib_json(cli, "certificates", list);
	if (rc)
		return -1;
	bool here = trib_fs_exists(key);
	trib_json(cli, "root_key_here", json_boolean(here));
	trib_say(cli, "%s\n", here ? _("The root key lies in this folder. Take it offline: tributary-hub ca export-root FILE") : _("The root key is not in this folder."));
	return 0;
}

/* ---- export ---- */

/* A key on a stick. What such a file system cannot do is said, not refused. */
static int load_carried(struct trib_cli *cli, const char *path, struct trib_key **ret)
{
	bool open = false;
	if (trib_key_load_carried(path, ret, &open, &cli->err))
		return -1;
	if (open)
		trib_talk(cli, _("warning: the file system of %s has no access rights: whoever uses this computer can read the key while the stick is in it\n"), path);
	return 0;
}

/* The copy is read back and fits the root before the original goes. */
int hub_cmd_ca_export_root(struct trib_cli *cli)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	const char *to = cli->argv[0];
	TRIB_AUTO(trib_mem) char *from = trib_hub_path(hub, "ca/root.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL, *back = NULL;
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	struct trib_cert_id id;
	if (!from)
		return oom(&cli->err);
	if (!trib_fs_exists(from))
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("the root key is not in this folder; it was taken away before"));
	if (trib_key_load(from, &key, &cli->err) || trib_cert_matches(hub->root, key, &cli->err) || trib_cert_identity(hub->root, &id, &cli->err))
		return trib_ctx(&cli->err, "%s", from);
	if (cli->dry_run) {
		trib_say(cli, _("would move the root key to %s\n"), to);
		return 0;
	}
	struct trib_act act = {.what = "ca-export", .object = id.sha256};
	if (trib_hubdb_open(hub, true, &db, &cli->err) || trib_act_log(&db, &act, &cli->err) || trib_key_save(key, to, &cli->err) || load_carried(cli, to, &back) ||
	    trib_cert_matches(hub->root, back, &cli->err) || trib_fs_remove(from, &cli->err))
		return trib_ctx(&cli->err, _("the root key stays where it is"));
	trib_json(cli, "file", trib_json_text(to));
	trib_say(cli, _("The root key is now in %s alone. Make a second copy, keep both apart from this machine, and try once a year that they can be read.\n"), to);
	return 0;
}

/* ---- renewal ---- */

struct ceremony {
	struct trib_hub *hub;
	struct trib_hub_conf conf;
	struct trib_lock lock;
	struct trib_key *root_key, *new_root_key, *issuing_key, *sign_key, *tls_key;
	struct trib_cert *root; /* NULL: the present one stays */
	struct trib_cert *issuing, *sign, *tls;
	unsigned number; /* the new issuing certificate's */
};

static void ceremony_cleanup(struct ceremony *c)
{
	trib_lock_drop(&c->lock);
	struct trib_key *keys[] = {c->root_key, c->new_root_key, c->issuing_key, c->sign_key, c->tls_key};
	struct trib_cert *certs[] = {c->root, c->issuing, c->sign, c->tls};
	for (size_t i = 0; i < TRIB_COUNT(keys); i++)
		trib_key_free(keys[i]);
	for (size_t i = 0; i < TRIB_COUNT(certs); i++)
		trib_cert_free(certs[i]);
}

static int load_key(struct ceremony *c, const char *name, struct trib_key **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(c->hub, name);
	return path ? trib_key_load(path, ret, err) : oom(err);
}

static char *old_issuing(const struct ceremony *c, unsigned number) { return trib_pathf("%s/ca/old/issuing-%u.crt", c->hub->dir, number); }

static int next_number(struct ceremony *c, struct trib_err *err)
{
	for (c->number = 2; c->number <= ISSUING_MAX; c->number++) {
		TRIB_AUTO(trib_mem) char *path = old_issuing(c, c->number - 1);
		if (!path)
			return oom(err);
		if (!trib_fs_exists(path))
			return 0;
	}
	return trib_fail(err, TRIB_E_LIMIT, "ca/old holds %d issuing certificates already", ISSUING_MAX);
}

/* An operator with two sticks may take the wrong one: the roots before are known. */
static int check_root_key(struct ceremony *c, struct trib_err *err)
{
	struct trib_cert_id root;
	struct trib_err ignored;
	if (trib_cert_matches(c->hub->root, c->root_key, err) == 0)
		return 0;
	for (const struct trib_cert *r = trib_roots_older(c->hub->root); r; r = trib_roots_older(r))
		if (trib_cert_matches(r, c->root_key, &ignored) == 0 && trib_cert_identity(c->hub->root, &root, &ignored) == 0)
			return trib_fail(err, TRIB_E_CERT, _("it is the key of a root before; nothing was changed; the present root is \"%s\", whose key was written where --new-root-key said"),
					 root.subject);
	return -1;
}

static int begin(struct trib_cli *cli, struct ceremony *c)
{
	const char *file = trib_cli_opt(cli, "root-key");
	TRIB_AUTO(trib_mem) char *here = trib_hub_path(c->hub, "ca/root.key");
	if (!here)
		return oom(&cli->err);
	if (!file && !trib_fs_exists(here))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("the root key is not in this folder: bring the stick and name its file with --root-key FILE"));
	if (trib_hub_stopped(c->hub, &c->lock, &cli->err) || trib_hub_conf_load(c->hub->dir, &c->conf, &cli->err) ||
	    (file ? load_carried(cli, file, &c->root_key) : trib_key_load(here, &c->root_key, &cli->err)) || check_root_key(c, &cli->err))
		return trib_ctx(&cli->err, _("the root key"));
	return load_key(c, "keys/hub-sign.key", &c->sign_key, &cli->err) || load_key(c, "keys/hub-tls.key", &c->tls_key, &cli->err) || next_number(c, &cli->err) ? -1 : 0;
}

/* A new issuing key and certificate under the root, and the hub's own certificates under that. */
static int make(struct ceremony *c, int64_t now, struct trib_err *err)
{
	const struct trib_cert *root = c->root ? c->root : c->hub->root;
	const struct trib_key *root_key = c->root ? c->new_root_key : c->root_key;
	struct trib_cert_id id;
	if (trib_key_make(TRIB_KEY_P256, &c->issuing_key, err) ||
	    trib_cert_make_issuing_again(c->issuing_key, c->conf.city, c->number, root_key, root, now, &c->issuing, err) ||
	    hub_own_certs(&c->conf, c->sign_key, c->tls_key, c->issuing_key, c->issuing, now, &c->sign, &c->tls, err))
		return -1;
	return trib_cert_verify(c->sign, c->issuing, root, TRIB_USE_SIGN, now, false, &id, err) ||
			       trib_cert_verify(c->tls, c->issuing, root, TRIB_USE_TLS_SERVER, now, false, &id, err)
		       ? -1
		       : 0;
}

static int save_new(struct ceremony *c, const char *name, const struct trib_cert *cert, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%s.new", c->hub->dir, name);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (!path)
		return oom(err);
	return trib_roots_pem(cert, &pem, err) || trib_buf_check(&pem, "certificate", err) ? -1 : trib_fs_write(path, trib_buf_span(&pem), 0644, err);
}

/* All new files, beside the old ones; the old issuing certificate is kept for good. The new root is there already (new_root), or one of a renewal that was given up. */
static int save(struct ceremony *c, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *root = trib_hub_path(c->hub, NEW_ROOT);
	TRIB_AUTO(trib_mem) char *dir = trib_hub_path(c->hub, "ca/old");
	TRIB_AUTO(trib_mem) char *key = trib_hub_path(c->hub, "ca/issuing.key.new");
	TRIB_AUTO(trib_mem) char *old = old_issuing(c, c->number - 1);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (!root || !dir || !key || !old)
		return oom(err);
	if ((!c->root && trib_fs_remove(root, err)) || trib_fs_remove(key, err) || trib_key_save(c->issuing_key, key, err) || save_new(c, "ca/issuing.crt", c->issuing, err) ||
	    save_new(c, "keys/hub-sign.crt", c->sign, err) || save_new(c, "keys/hub-tls.crt", c->tls, err))
		return -1;
	return trib_fs_mkdirs(dir, 0700, err) || trib_cert_pem(c->hub->issuing, &pem, err) || trib_fs_write(old, trib_buf_span(&pem), 0644, err) ? -1 : 0;
}

static int announce(struct ceremony *c, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	struct trib_cert_id root, issuing;
	struct trib_act first = {.what = "ca-root", .object = root.sha256, .detail = root.subject}, second = {.what = "ca-issuing", .object = issuing.sha256, .detail = issuing.subject};
	if ((c->root && trib_cert_identity(c->root, &root, err)) || trib_cert_identity(c->issuing, &issuing, err) || trib_hubdb_open(c->hub, true, &db, err) ||
	    trib_hubdb_begin(&db, err))
		return -1;
	if ((c->root && trib_act_put(&db, &first, err)) || trib_act_put(&db, &second, err) || trib_hubdb_commit(&db, err)) {
		trib_hubdb_rollback(&db);
		return -1;
	}
	return 0;
}

static int say_new(struct trib_cli *cli, const struct trib_cert *root, unsigned number, char hex[TRIB_SHA256_HEX + 1])
{
	struct trib_cert_id id;
	if (trib_cert_identity(root, &id, &cli->err))
		return -1;
	trib_hex(hex, id.sha256, TRIB_SHA256_LEN);
	trib_json(cli, "ca_sha256", trib_json_text(hex));
	trib_json(cli, "issuing_number", json_integer(number));
	return 0;
}

static int finish(struct trib_cli *cli, struct ceremony *c)
{
	if (make(c, trib_now(), &cli->err) || save(c, &cli->err) || announce(c, &cli->err))
		return trib_ctx(&cli->err, _("nothing was changed"));
	trib_crash_point("ca-announced");
	return trib_ceremony_put(c->hub, &cli->err);
}

/* For --dry-run, which leaves it as it is. */
static bool cut_off(struct trib_cli *cli)
{
	struct trib_err why;
	bool pending;
	if (!cli->dry_run || trib_ceremony_pending(trib_cli_hub(cli), &pending, &why) || !pending)
		return false;
	trib_say(cli, "%s\n", _("would put in place what a renewal announced that was cut off"));
	return true;
}

int hub_cmd_ca_renew_issuing(struct trib_cli *cli)
{
	TRIB_AUTO(ceremony) struct ceremony c = {.hub = trib_cli_hub(cli), .lock = TRIB_LOCK_INIT};
	char hex[TRIB_SHA256_HEX + 1];
	if (cut_off(cli))
		return 0;
	if (c.hub->renewed) {
		if (next_number(&c, &cli->err))
			return -1;
		c.number--;
	} else {
		if (begin(cli, &c))
			return -1;
		if (cli->dry_run) {
			trib_say(cli, _("would make issuing certificate number %u\n"), c.number);
			return 0;
		}
		if (finish(cli, &c))
			return -1;
	}
	if (say_new(cli, c.hub->root, c.number, hex))
		return -1;
	trib_say(cli, _("Issuing certificate number %u is in use. What was issued before stays good; offices get theirs under the new one when they renew.\n"), c.number);
	return 0;
}

/* ---- a new root ---- */

static int exists_already(const char *path, struct trib_err *err) { return trib_fail(err, TRIB_E_FAILED, _("%s exists already; a key is never replaced, it is left as it is"), path); }

/* The run before was cut off before its announcement: the certificate that lies here says that the key on the stick is this city's. */
static int root_again(struct trib_cli *cli, struct ceremony *c, const char *to)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(c->hub, NEW_ROOT);
	struct trib_err why;
	if (!path)
		return oom(&cli->err);
	if (!trib_fs_exists(path) || trib_roots_load(path, &c->root, &why) || load_carried(cli, to, &c->new_root_key) || trib_cert_matches(c->root, c->new_root_key, &why) ||
	    trib_roots_older(c->root) == NULL || trib_roots_follow(c->hub->root, c->root, trib_now(), &why))
		return exists_already(to, &cli->err);
	return 0;
}

/* Its certificate is kept before its key, so that a run that is cut off knows its key again. */
static int new_root(struct trib_cli *cli, struct ceremony *c, const char *to)
{
	TRIB_AUTO(trib_key) struct trib_key *back = NULL;
	if (trib_fs_exists(to))
		return root_again(cli, c, to);
	if (trib_key_make(TRIB_KEY_P256, &c->new_root_key, &cli->err) ||
	    trib_cert_make_next_root(c->new_root_key, c->conf.city, c->root_key, c->hub->root, trib_now(), &c->root, &cli->err) ||
	    save_new(c, "ca/root.crt", c->root, &cli->err) || trib_key_save(c->new_root_key, to, &cli->err))
		return -1;
	trib_crash_point("ca-root-saved");
	return load_carried(cli, to, &back) || trib_cert_matches(c->root, back, &cli->err) ? -1 : 0;
}

/* Is what is asked for there already: the key of --new-root-key the present root's, and that of --root-key, if it is given, one's before? */
static bool is_done(struct trib_cli *cli, const struct trib_hub *hub, const char *to)
{
	const char *file = trib_cli_opt(cli, "root-key");
	TRIB_AUTO(trib_key) struct trib_key *now = NULL, *before = NULL;
	struct trib_err why;
	bool open, found = !file && trib_roots_older(hub->root);
	if (trib_key_load_carried(to, &now, &open, &why) || trib_cert_matches(hub->root, now, &why) || (file && trib_key_load_carried(file, &before, &open, &why)))
		return false;
	for (const struct trib_cert *r = trib_roots_older(hub->root); r && before && !found; r = trib_roots_older(r))
		found = trib_cert_matches(r, before, &why) == 0;
	return found;
}

static int say_root(struct trib_cli *cli, const struct trib_cert *root, unsigned number, const char *to)
{
	char hex[TRIB_SHA256_HEX + 1];
	if (say_new(cli, root, number, hex))
		return -1;
	trib_say(cli, _("The city has a new root; its key is in %s alone.\nCA fingerprint (SHA-256): %s\nOffices take it over by themselves, for the root before certifies it. Tell auditors; print slips anew.\n"),
		 to, hex);
	return 0;
}

int hub_cmd_ca_renew_root(struct trib_cli *cli)
{
	TRIB_AUTO(ceremony) struct ceremony c = {.hub = trib_cli_hub(cli), .lock = TRIB_LOCK_INIT};
	const char *to = trib_cli_opt(cli, "new-root-key");
	if (!to)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--new-root-key FILE is needed: where the new root key is written, best on a stick"));
	if (cut_off(cli))
		return 0;
	if (is_done(cli, c.hub, to))
		return next_number(&c, &cli->err) ? -1 : say_root(cli, c.hub->root, c.number - 1, to);
	if (c.hub->renewed)
		return trib_fail(&cli->err, TRIB_E_INCOMPLETE, _("no new root was made: a renewal that had been cut off was finished first; if that is not what you asked for, run the command again"));
	if (begin(cli, &c))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, _("would make a new root, its key in %s, and issuing certificate number %u\n"), to, c.number);
		return 0;
	}
	if (new_root(cli, &c, to))
		return trib_ctx(&cli->err, _("nothing was changed"));
	return finish(cli, &c) ? -1 : say_root(cli, c.root, c.number, to);
}
