/* cmd_user.c: `user add, list, revoke`: certificates of auditors and administrators. */
#include "core/base/clock.h"
#include "hub/acts.h"
#include "hub/commands.h"
#include "hub/crl.h"

#define TLS_LIFE (365 * 86400LL)        /* no agent renews it: a person asks for a new one */
#define SIGN_LIFE (10 * 365 * 86400LL)
#define BACKDATE 3600LL

const struct trib_opt hub_opts_user_add[] = {
	{"role", 0, "ROLE", N_("auditor or administrator")},
	{"out", 0, "DIR", N_("write keys and certificates into this new folder")},
	{"csr", 0, "FILE", N_("a request (PKCS#10, P-256) made on the person's own machine: its TLS key never comes here")},
	{0},
};
const struct trib_opt hub_opts_user_revoke[] = {
	{"reason", 0, "WORD", N_("why: small letters and dashes (default: unspecified)")},
	{0},
};

struct issued {
	const char *usage;
	struct trib_key *key; /* NULL: the person has it */
	struct trib_cert *cert;
	struct trib_cert_id id;
};

static void issued_release(struct issued *i)
{
	trib_key_free(i->key);
	trib_cert_free(i->cert);
}

static int issue(struct trib_cli *cli, const char *name, enum trib_role role, enum trib_cert_use use, const char *csr_file, struct issued *ret)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "ca/issuing.key");
	TRIB_AUTO(trib_key) struct trib_key *issuing = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_ENROL_BODY_MAX);
	struct trib_csr *csr = NULL;
	int64_t now = trib_now();
	struct trib_cert_spec spec = {.role = role, .id = name, .subject = name, .use = use, .not_before = now - BACKDATE,
				      .not_after = now + (use == TRIB_USE_SIGN ? SIGN_LIFE : TLS_LIFE)};
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (csr_file ? trib_fs_read(csr_file, &pem, &cli->err) || trib_csr_parse(trib_buf_span(&pem), &csr, &cli->err) :
		       trib_key_make(TRIB_KEY_P256, &ret->key, &cli->err))
		return -1;
	ret->usage = use == TRIB_USE_SIGN ? "sign" : "tls";
	int rc = trib_key_load(path, &issuing, &cli->err) || trib_cert_issue(&spec, csr, ret->key, issuing, hub->issuing, &ret->cert, &cli->err) ||
				 trib_cert_identity(ret->cert, &ret->id, &cli->err)
			 ? -1
			 : 0;
	trib_csr_free(csr);
	return rc;
}

static int save_cert(struct trib_cli *cli, const char *dir, const char *name, const struct trib_cert *leaf, const struct trib_cert *issuing)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%s.crt", dir, name);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(2 * TRIB_SIGNER_MAX);
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_roots_pem(leaf, &pem, &cli->err) || (issuing && trib_cert_pem(issuing, &pem, &cli->err)) || trib_buf_check(&pem, "certificate", &cli->err))
		return -1;
	return trib_fs_create(path, trib_buf_span(&pem), 0644, &cli->err);
}

static int save_key(struct trib_cli *cli, const char *dir, const struct issued *i)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%s.key", dir, i->usage);
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	return i->key ? trib_key_save(i->key, path, &cli->err) : 0;
}

static int put_person(struct trib_cli *cli, struct trib_hubdb *db, const char *name, const char *role, const struct issued *i)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_cert_id issuing;
	struct trib_leaf leaf = {.kind = TRIB_LEAF_PERSON, .time = trib_now()};
	(void)snprintf(leaf.word, sizeof(leaf.word), "%s", role);
	(void)snprintf(leaf.usage, sizeof(leaf.usage), "%s", i->usage);
	(void)snprintf(leaf.name, sizeof(leaf.name), "%s", name);
	memcpy(leaf.cert, i->id.sha256, sizeof(leaf.cert));
	if (trib_db_prepare(db->db, "INSERT INTO person(sha256, name, role, usage, not_after, serial, issuer) VALUES(?,?,?,?,?,?,?)", &st, &cli->err) ||
	    trib_cert_identity(trib_cli_hub(cli)->issuing, &issuing, &cli->err))
		return -1;
	sqlite3_bind_blob(st, 1, i->id.sha256, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, role, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, i->usage, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, i->id.not_after);
	sqlite3_bind_text(st, 6, i->id.serial, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 7, issuing.subject, -1, SQLITE_STATIC);
	return trib_db_step(db->db, st, &cli->err) < 0 ? -1 : trib_log_append(db, &leaf, NULL, &cli->err);
}

/* The log knows the certificates before they are files. */
static int enlist(struct trib_cli *cli, const char *name, const char *role, const struct issued *made, size_t n)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	if (trib_hubdb_open(trib_cli_hub(cli), true, &db, &cli->err) || trib_hubdb_begin(&db, &cli->err))
		return -1;
	int rc = trib_act_put(&db, &(struct trib_act){.what = "user-add", .detail = name}, &cli->err);
	for (size_t i = 0; !rc && i < n; i++)
		rc = put_person(cli, &db, name, role, &made[i]);
	if (rc || trib_hubdb_commit(&db, &cli->err)) {
		trib_hubdb_rollback(&db);
		return -1;
	}
	return 0;
}

static int make(struct trib_cli *cli, const char *name, const char *role, const char *out, struct issued *made, size_t n)
{
	struct trib_hub *hub = trib_cli_hub(cli);
	enum trib_role as = n > 1 ? TRIB_ROLE_ADMIN : TRIB_ROLE_AUDITOR;
	if (issue(cli, name, as, TRIB_USE_TLS_CLIENT, trib_cli_opt(cli, "csr"), &made[0]) ||
	    (n > 1 && issue(cli, name, as, TRIB_USE_SIGN, NULL, &made[1])) || trib_fs_mkdirs(out, 0700, &cli->err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (save_key(cli, out, &made[i]))
			return -1;
	if (enlist(cli, name, role, made, n))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (save_cert(cli, out, made[i].usage, made[i].cert, hub->issuing))
			return -1;
	return save_cert(cli, out, "root", hub->root, NULL);
}

int hub_cmd_user_add(struct trib_cli *cli)
{
	const char *name = cli->argv[0], *role = trib_cli_opt(cli, "role"), *out = trib_cli_opt(cli, "out");
	struct issued made[2] = {0};
	char until[TRIB_TIME_LEN + 1];
	if (!trib_id_valid(trib_span_str(name)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is no user name: 1 to %d of 0-9 A-Z a-z . _ -"), name, TRIB_NODE_MAX);
	if (!role || (strcmp(role, "auditor") != 0 && strcmp(role, "administrator") != 0 && strcmp(role, "admin") != 0))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--role auditor or --role administrator is needed"));
	if (!out)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--out DIR is needed: a new folder for the keys and certificates"));
	if (trib_fs_exists(out))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s exists already; name a new folder"), out);
	size_t n = strcmp(role, "auditor") == 0 ? 1 : 2;
	role = n > 1 ? "administrator" : role;
	if (cli->dry_run) {
		trib_say(cli, _("would make certificates of %s as %s in %s\n"), name, role, out);
		return 0;
	}
	int rc = make(cli, name, role, out, made, n);
	trib_time_text(until, made[0].id.not_after);
	for (size_t i = 0; i < n; i++)
		issued_release(&made[i]);
	if (rc)
		return -1;
	trib_json(cli, "name", trib_json_text(name));
	trib_json(cli, "role", trib_json_text(role));
	trib_json(cli, "tls_not_after", trib_json_text(until));
	trib_say(cli, _("%s is %s until %s. Hand over the folder %s and delete it here.\n"), name, role, until, out);
	return 0;
}

int hub_cmd_user_list(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err) ||
	    trib_db_prepare(db.db, "SELECT name, role, usage, hex(sha256), not_after, coalesce(revoked_at, 0) FROM person ORDER BY name, usage, not_after", &st, &cli->err))
		return -1;
	json_t *list = json_array();
	int row;
	while ((row = trib_db_step(db.db, st, &cli->err)) > 0) {
		char until[TRIB_TIME_LEN + 1];
		bool revoked = sqlite3_column_int64(st, 5) != 0;
		trib_time_text(until, sqlite3_column_int64(st, 4));
		trib_say(cli, "%-20s %-13s %-4s %.16s  %s%s\n", (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1),
			 (const char *)sqlite3_column_text(st, 2), (const char *)sqlite3_column_text(st, 3), until, revoked ? _(", revoked") : "");
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "name", sqlite3_column_text(st, 0), "role", sqlite3_column_text(st, 1), "usage",
						      sqlite3_column_text(st, 2), "sha256", sqlite3_column_text(st, 3), "not_after", until, "revoked", revoked));
	}
	trib_json(cli, "users", list);
	return row < 0 ? -1 : 0;
}

static int revoke_all(struct trib_cli *cli, struct trib_hubdb *db, const char *reason, int *ret_n)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *up = NULL;
	int64_t now = trib_now();
	*ret_n = 0;
	if (trib_act_put(db, &(struct trib_act){.what = "user-revoke", .detail = cli->argv[0]}, &cli->err) ||
	    trib_db_prepare(db->db, "SELECT sha256 FROM person WHERE name = ? AND revoked_at IS NULL ORDER BY sha256", &st, &cli->err) ||
	    trib_db_prepare(db->db, "UPDATE person SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL", &up, &cli->err))
		return -1;
	sqlite3_bind_text(st, 1, cli->argv[0], -1, SQLITE_STATIC);
	int row;
	while ((row = trib_db_step(db->db, st, &cli->err)) > 0) {
		struct trib_leaf leaf = {.kind = TRIB_LEAF_PERSON_REVOKED, .time = now};
		(void)snprintf(leaf.name, sizeof(leaf.name), "%s", cli->argv[0]);
		(void)snprintf(leaf.word, sizeof(leaf.word), "%s", reason);
		if (trib_db_bytes(st, 0, "a certificate's hash", leaf.cert, sizeof(leaf.cert), &cli->err) || trib_log_append(db, &leaf, NULL, &cli->err))
			return -1;
		now = leaf.time;
		++*ret_n;
	}
	if (row < 0)
		return -1;
	if (*ret_n == 0)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("%s has no certificate that could be revoked; try: tributary-hub user list"), cli->argv[0]);
	sqlite3_bind_int64(up, 1, now);
	sqlite3_bind_text(up, 2, cli->argv[0], -1, SQLITE_STATIC);
	return trib_db_step(db->db, up, &cli->err) < 0 ? -1 : 0;
}

int hub_no_list(struct trib_cli *cli)
{
	return trib_ctx(&cli->err, _("REVOKED, and refused at the next request; but stock tools do not see it, for no new list of revoked certificates could be made (the next one "
				     "that can be made will hold it)"));
}

int hub_cmd_user_revoke(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	const char *reason = trib_cli_opt(cli, "reason");
	struct trib_err why = {0};
	int n;
	reason = reason ? reason : "unspecified";
	if (!*reason || strlen(reason) > 63 || strspn(reason, "abcdefghijklmnopqrstuvwxyz-") != strlen(reason))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--reason takes one word of small letters and dashes"));
	if (cli->dry_run) {
		trib_say(cli, _("would revoke the certificates of %s\n"), cli->argv[0]);
		return 0;
	}
	if (trib_hubdb_open(trib_cli_hub(cli), true, &db, &cli->err) || trib_hubdb_begin(&db, &cli->err))
		return -1;
	if (revoke_all(cli, &db, reason, &n) || trib_crl_try(&db, &why, &cli->err) || trib_hubdb_commit(&db, &cli->err)) {
		trib_hubdb_rollback(&db);
		return -1;
	}
	trib_json(cli, "revoked", json_integer(n));
	trib_say(cli, _("%d certificates of %s are revoked from now on.\n"), n, cli->argv[0]);
	if (why.code == TRIB_OK)
		return trib_crl_publish(&db, &cli->err);
	cli->err = why;
	return hub_no_list(cli);
}
