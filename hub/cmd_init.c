/* cmd_init.c: `init` and `serve`. */
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/store/veil.h"
#include "hub/ceremony.h"
#include "hub/commands.h"
#include "hub/enrol.h"
#include "hub/supervise.h"
#include "hub/tiles.h"

const struct trib_opt hub_opts_init[] = {
	{"city", 0, "NAME", N_("the city's name")},
	{"listen", 0, "ADDR:PORT", N_("address to serve on (default 127.0.0.1:8443)")},
	{"host", 0, "NAME,...", N_("names and addresses for the TLS certificate (default localhost,127.0.0.1)")},
	{0},
};
const struct trib_opt hub_opts_serve[] = {
	{"listen", 0, "ADDR:PORT", N_("address to serve on (default: from hub.conf)")},
	{0},
};

struct city_keys {
	struct trib_key *root, *issuing, *sign, *tls, *log;
	struct trib_cert *root_crt, *issuing_crt, *sign_crt, *tls_crt;
};

static void keys_release(struct city_keys *k)
{
	trib_key_free(k->root);
	trib_key_free(k->issuing);
	trib_key_free(k->sign);
	trib_key_free(k->tls);
	trib_key_free(k->log);
	trib_cert_free(k->root_crt);
	trib_cert_free(k->issuing_crt);
	trib_cert_free(k->sign_crt);
	trib_cert_free(k->tls_crt);
}

static int make_keys(struct city_keys *k, const struct trib_hub_conf *c, int64_t now, struct trib_err *err)
{
	if (trib_key_make(TRIB_KEY_P256, &k->root, err) || trib_key_make(TRIB_KEY_P256, &k->issuing, err) ||
	    trib_key_make(TRIB_KEY_P256, &k->sign, err) || trib_key_make(TRIB_KEY_P256, &k->tls, err) ||
	    trib_key_make(TRIB_KEY_ED25519, &k->log, err) || trib_cert_make_root(k->root, c->city, now, &k->root_crt, err) ||
	    trib_cert_make_issuing(k->issuing, c->city, k->root, k->root_crt, now, &k->issuing_crt, err) ||
	    hub_own_certs(c, k->sign, k->tls, k->issuing, k->issuing_crt, now, &k->sign_crt, &k->tls_crt, err))
		return trib_ctx(err, "making the city's certificates");
	return 0;
}

static int save_key(const char *dir, const char *name, const struct trib_key *k, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, name);
	return path ? trib_key_save(k, path, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
}

static int save_cert(const char *dir, const char *name, const struct trib_cert *c, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, name);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_cert_pem(c, &pem, err) || trib_buf_check(&pem, "certificate", err))
		return -1;
	return trib_fs_create(path, trib_buf_span(&pem), 0644, err);
}

static int save_all(const char *dir, const struct city_keys *k, struct trib_err *err)
{
	static const char *const dirs[] = {"ca", "keys", "repos", "quarantine", "city", "run"};
	for (size_t i = 0; i < TRIB_COUNT(dirs); i++) {
		TRIB_AUTO(trib_mem) char *sub = trib_path(dir, dirs[i]);
		if (!sub)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (trib_fs_mkdirs(sub, 0700, err))
			return -1;
	}
	TRIB_AUTO(trib_mem) char *policy = trib_path(dir, "policy.conf");
	static const char text[] = "# Policy version 1: every table belongs to its owner, and each node's rows are kept apart (scope = node).\n";
	if (!policy)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return save_key(dir, "ca/root.key", k->root, err) || save_cert(dir, "ca/root.crt", k->root_crt, err) ||
			       save_key(dir, "ca/issuing.key", k->issuing, err) || save_cert(dir, "ca/issuing.crt", k->issuing_crt, err) ||
			       save_key(dir, "keys/hub-sign.key", k->sign, err) || save_cert(dir, "keys/hub-sign.crt", k->sign_crt, err) ||
			       save_key(dir, "keys/hub-tls.key", k->tls, err) || save_cert(dir, "keys/hub-tls.crt", k->tls_crt, err) ||
			       save_key(dir, "keys/log.key", k->log, err) || trib_fs_write(policy, trib_span_str(text), 0644, err)
		       ? -1
		       : 0;
}

/* The log's first leaves: what this log is, and policy 1. */
static int open_log(const struct trib_hub *hub, const struct city_keys *k, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	struct trib_leaf first = {.kind = TRIB_LEAF_LOG_OPEN, .time = now}, policy = {.kind = TRIB_LEAF_POLICY, .time = now, .number = 1};
	struct trib_cert_id root, sign;
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "policy.conf");
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_MIB), note = TRIB_BUF(TRIB_NOTE_MAX);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_cert_identity(k->root_crt, &root, err) || trib_cert_identity(k->sign_crt, &sign, err) || trib_fs_read(path, &text, err) ||
	    trib_key_ed25519_public(k->log, first.sha256, err))
		return -1;
	(void)snprintf(first.origin, sizeof(first.origin), "%s", hub->origin);
	(void)snprintf(first.name, sizeof(first.name), "%s", hub->city);
	memcpy(first.cert, root.sha256, sizeof(first.cert));
	memcpy(first.cert2, sign.sha256, sizeof(first.cert2));
	if (trib_named_write(hub, trib_buf_span(&text), policy.sha256, err))
		return -1;
	uint64_t size;
	if (trib_hubdb_create(hub, &db, err) || trib_hubdb_begin(&db, err) || trib_log_append(&db, &first, NULL, err) ||
	    trib_log_append(&db, &policy, NULL, err) || trib_hubdb_commit(&db, err) || trib_log_checkpoint(&db, k->log, &note, &size, err) ||
	    trib_tiles_publish(&db, k->log, err))
		return trib_ctx(err, "opening the log");
	TRIB_AUTO(trib_db) sqlite3 *enrol = NULL;
	return trib_enroldb_open(hub, &enrol, err);
}

static int split_hosts(struct trib_hub_conf *c, const char *list, struct trib_err *err)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		if (c->nhosts == TRIB_HUB_HOSTS_MAX || n == 0 || n > TRIB_HOST_MAX)
			return trib_fail(err, TRIB_E_USAGE, _("--host takes at most %d names, separated by commas"), TRIB_HUB_HOSTS_MAX);
		memcpy(c->hosts[c->nhosts], list, n);
		c->hosts[c->nhosts++][n] = '\0';
		list += n + (list[n] == ',');
	}
	return 0;
}

static int read_options(struct trib_cli *cli, struct trib_hub_conf *c)
{
	const char *city = trib_cli_opt(cli, "city"), *listen = trib_cli_opt(cli, "listen"), *hosts = trib_cli_opt(cli, "host");
	if (!city || !*city || strlen(city) > TRIB_TITLE_MAX || !trib_cli_is_name(city))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--city NAME is needed, at most %d bytes of UTF-8 in one line"), TRIB_TITLE_MAX);
	(void)snprintf(c->city, sizeof(c->city), "%s", city);
	(void)snprintf(c->listen, sizeof(c->listen), "%s", listen ? listen : "127.0.0.1:8443");
	c->policy_version = 1;
	/* Now, and not at the first `serve`: a folder is made once. */
	if (strlen(c->listen) != strlen(listen ? listen : c->listen) || trib_listen_check(c->listen, &cli->err))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--listen takes HOST:PORT, with an IPv6 address as [ADDRESS]:PORT; nothing was made"));
	return split_hosts(c, hosts ? hosts : "localhost,127.0.0.1", &cli->err) || trib_hub_origin(c->city, 1, c->origin, sizeof(c->origin), &cli->err) ? -1 : 0;
}

int hub_cmd_init(struct trib_cli *cli)
{
	struct trib_hub_conf c = {0};
	struct city_keys k = {0};
	TRIB_AUTO(trib_mem) char *conf = trib_path(cli->state, "hub.conf");
	if (!conf)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (read_options(cli, &c))
		return -1;
	if (trib_fs_exists(conf))
		return trib_fail(&cli->err, TRIB_E_FAILED, _("%s is a hub's folder already; it is left as it is"), cli->state);
	if (cli->dry_run) {
		trib_say(cli, _("would make the city %s in %s\n"), c.city, cli->state);
		return 0;
	}
	int64_t now = trib_now();
	TRIB_AUTO(trib_hub) struct trib_hub hub = {0};
	struct trib_cert_id root = {0};
	/* hub.conf comes last: only a whole folder counts as one. */
	int rc = trib_fs_mkdirs(cli->state, 0700, &cli->err) || make_keys(&k, &c, now, &cli->err) || save_all(cli->state, &k, &cli->err) ||
			 trib_cert_identity(k.root_crt, &root, &cli->err) || trib_hub_conf_save(cli->state, &c, &cli->err) ||
			 trib_hub_open(cli->state, &hub, &cli->err) || open_log(&hub, &k, now, &cli->err)
		     ? -1
		     : 0;
	keys_release(&k);
	if (rc)
		return -1;
	char hex[TRIB_SHA256_HEX + 1];
	trib_hex(hex, root.sha256, TRIB_SHA256_LEN);
	trib_json(cli, "city", trib_json_text(c.city));
	trib_json(cli, "ca_sha256", trib_json_text(hex));
	trib_json(cli, "origin", trib_json_text(c.origin));
	trib_say(cli, _("The city %s is ready in %s.\nCA fingerprint (SHA-256): %s\n"), c.city, cli->state, hex);
	trib_say(cli,
		 _("Write the fingerprint on paper. Take the root key offline now, to a stick that goes into a safe: tributary-hub ca export-root FILE\n(it is needed only "
		   "for tributary-hub ca renew-issuing and ca renew-root, or to recover).\nNext: tributary-hub node add ID --app NAME --name NAME --slip FILE, then tributary-hub serve\n"));
	return 0;
}

int hub_cmd_serve(struct trib_cli *cli)
{
	struct trib_hub_conf c;
	const char *listen = trib_cli_opt(cli, "listen");
	TRIB_AUTO(trib_private_list) struct trib_private_list private = {0};
	TRIB_AUTO(trib_mem) char *policy = trib_hub_path(trib_cli_hub(cli), "policy.conf");
	if (!policy)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	/* The keeper takes it up; here it is only tried. */
	if (trib_private_load(policy, &private, &cli->err))
		return trib_ctx(&cli->err, _("the hub was not started, for it could not tell what is private; mend that file"));
	if (trib_ceremony_whole(trib_cli_hub(cli), &cli->err) || trib_hub_conf_load(cli->state, &c, &cli->err))
		return -1;
	return trib_supervise(trib_cli_hub(cli), listen ? listen : c.listen, &cli->err);
}
