#include "tests/lib/says.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core/base/fs.h"
#include "core/store/db.h"
#include "core/store/repo.h"

#define FILE_MAX ((size_t)16 * 1024 * 1024)
#define TREE_DEEP 4

/* No proof rests on these, and no answer but that of a screen. */
static const struct { const char *file, *table, *column, *why; } marks[] = {
	{"hub.db", "node", "seen_at", "when an office was last in contact, with or without a commit"},
	{"hub.db", "node", "added_at", "when an office was first expected"},
	{"hub.db", "cert", "not_after", "of a TLS certificate: said in the certificate, which has no leaf; that of a signing one is compared"},
	{"hub.db", "cert", "serial", "the same"},
	{"hub.db", "person", "not_after", "the same"},
	{"hub.db", "person", "serial", "the same"},
	{"c.db", "_t_merged", "upto", "how many leaves are in: the derivation is compared as of that very leaf, and leaves that bring no row may be in or not"},
	{"c.db", "_t_node", "name", "how an office is called on screens"},
};

struct hash { EVP_MD_CTX *md; };

static void add(struct hash *h, const void *p, size_t n)
{
	uint64_t len = n;
	(void)EVP_DigestUpdate(h->md, &len, sizeof(len));
	(void)EVP_DigestUpdate(h->md, p, n);
}

static void add_text(struct hash *h, const char *s) { add(h, s ? s : "", s ? strlen(s) : 0); }

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

/* ---- databases ---- */

static bool is_mark(const char *path, const char *table, const char *column)
{
	for (size_t i = 0; i < TRIB_COUNT(marks); i++)
		if (ends_with(path, marks[i].file) && strcmp(table, marks[i].table) == 0 && strcmp(column, marks[i].column) == 0)
			return true;
	return false;
}

static int add_rows(struct hash *h, sqlite3 *db, const char *path, const char *table, const char *sql, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (trib_db_prepare(db, sql, &st, err))
		return -1;
	add_text(h, sql);
	while ((row = trib_db_step(db, st, err)) > 0)
		for (int i = 0; i < sqlite3_column_count(st); i++) {
			if (table && is_mark(path, table, sqlite3_column_name(st, i)))
				continue;
			int type = sqlite3_column_type(st, i);
			add(h, &type, sizeof(type));
			add(h, sqlite3_column_blob(st, i), (size_t)sqlite3_column_bytes(st, i));
		}
	return row;
}

static int add_tables(struct hash *h, sqlite3 *db, const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (trib_db_prepare(db, "SELECT name, format('SELECT * FROM \"%w\"', name) FROM sqlite_schema WHERE type = 'table' ORDER BY name", &st, err))
		return -1;
	while ((row = trib_db_step(db, st, err)) > 0)
		if (add_rows(h, db, path, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1), err))
			return -1;
	return row;
}

static int check_pages(sqlite3 *db, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "PRAGMA integrity_check(1)", &st, err) || trib_db_step(db, st, err) < 0)
		return -1;
	const char *is = (const char *)sqlite3_column_text(st, 0);
	return is && strcmp(is, "ok") == 0 ? 0 : trib_fail(err, TRIB_E_DB, "integrity_check: %s", is ? is : "nothing");
}

static int database(struct hash *h, const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (trib_db_open_own_ro(path, &db, err) || check_pages(db, err))
		return -1;
	return add_rows(h, db, path, NULL, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name", err) ||
			       add_rows(h, db, path, NULL, "SELECT * FROM pragma_user_version, pragma_application_id, pragma_encoding", err) || add_tables(h, db, path, err)
		       ? -1
		       : 0;
}

/* ---- repositories ---- */

static int fail_git(struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_GIT, "%s: %s", what, git_error_last() ? git_error_last()->message : "?");
}

static int add_object(struct hash *h, git_odb *odb, const git_oid *oid, git_odb_object **ret, struct trib_err *err)
{
	git_odb_object *o;
	if (git_odb_read(&o, odb, oid))
		return fail_git(err, git_oid_tostr_s(oid));
	git_object_t type = git_odb_object_type(o);
	add(h, oid, sizeof(*oid));
	add(h, &type, sizeof(type));
	add(h, git_odb_object_data(o), git_odb_object_size(o));
	if (ret)
		*ret = o;
	else
		git_odb_object_free(o);
	return 0;
}

static int add_tree(struct hash *h, git_repository *git, git_odb *odb, const git_oid *oid, int deep, struct trib_err *err)
{
	git_tree *tree;
	if (deep > TREE_DEEP || add_object(h, odb, oid, NULL, err) || git_tree_lookup(&tree, git, oid))
		return fail_git(err, "tree");
	int rc = 0;
	for (size_t i = 0; !rc && i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *e = git_tree_entry_byindex(tree, i);
		rc = git_tree_entry_type(e) == GIT_OBJECT_TREE ? add_tree(h, git, odb, git_tree_entry_id(e), deep + 1, err) : add_object(h, odb, git_tree_entry_id(e), NULL, err);
	}
	git_tree_free(tree);
	return rc;
}

static int add_commits(struct hash *h, git_repository *git, git_odb *odb, git_revwalk *walk, struct trib_err *err)
{
	git_oid oid;
	int rc;
	git_revwalk_sorting(walk, GIT_SORT_TOPOLOGICAL);
	if (git_revwalk_push_glob(walk, "refs/*"))
		return fail_git(err, "refs");
	while ((rc = git_revwalk_next(&oid, walk)) == 0) {
		git_commit *c;
		if (add_object(h, odb, &oid, NULL, err))
			return -1;
		if (git_commit_lookup(&c, git, &oid))
			return fail_git(err, "commit");
		rc = add_tree(h, git, odb, git_commit_tree_id(c), 0, err);
		git_commit_free(c);
		if (rc)
			return -1;
	}
	return rc == GIT_ITEROVER ? 0 : fail_git(err, "history");
}

static int add_refs(struct hash *h, git_repository *git, struct trib_err *err)
{
	git_strarray names;
	git_reference *head;
	if (git_reference_list(&names, git))
		return fail_git(err, "refs");
	int rc = 0;
	for (size_t i = 0; !rc && i < names.count; i++) {
		git_oid oid;
		add_text(h, names.strings[i]);
		rc = git_reference_name_to_id(&oid, git, names.strings[i]) ? fail_git(err, names.strings[i]) : 0;
		if (!rc)
			add(h, &oid, sizeof(oid));
	}
	git_strarray_dispose(&names);
	if (rc)
		return -1;
	if (git_reference_lookup(&head, git, "HEAD"))
		return fail_git(err, "HEAD");
	add_text(h, git_reference_symbolic_target(head));
	git_reference_free(head);
	return 0;
}

static int repository(struct hash *h, const char *path, size_t n, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = strndup(path, n);
	TRIB_AUTO(trib_repo) struct trib_repo *r = NULL;
	git_odb *odb = NULL;
	git_revwalk *walk = NULL;
	if (!dir || trib_repo_open(dir, false, &r, err))
		return -1;
	git_repository *git = trib_repo_git(r);
	int bare = git_repository_is_bare(git);
	add(h, &bare, sizeof(bare));
	int rc = add_refs(h, git, err);
	if (!rc && (git_repository_odb(&odb, git) || git_revwalk_new(&walk, git)))
		rc = fail_git(err, dir);
	if (!rc)
		rc = add_commits(h, git, odb, walk, err);
	git_revwalk_free(walk);
	git_odb_free(odb);
	return rc;
}

/* ---- small files ---- */

static int certificates(struct hash *h, const char *path, struct trib_err *err)
{
	FILE *f = fopen(path, "re");
	X509 *x = NULL;
	int n = 0;
	while (f && (x = PEM_read_X509(f, NULL, NULL, NULL)) != NULL) {
		unsigned char *der = NULL;
		int len = i2d_X509(x, &der);
		if (len > 0)
			add(h, der, (size_t)len);
		n += len > 0;
		OPENSSL_free(der);
		X509_free(x);
	}
	if (f)
		fclose(f);
	return n ? 0 : trib_fail(err, TRIB_E_FORMAT, "%s holds no certificate", path);
}

/* The two numbers of a P-256 key. */
static int numbers(struct hash *h, EVP_PKEY *k)
{
	BIGNUM *secret = NULL;
	unsigned char *der = NULL, bytes[32];
	int len = i2d_PUBKEY(k, &der), ok = len > 0 && EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_PRIV_KEY, &secret) == 1 && BN_bn2binpad(secret, bytes, sizeof(bytes)) == sizeof(bytes);
	if (ok) {
		add(h, der, (size_t)len);
		add(h, bytes, sizeof(bytes));
	}
	OPENSSL_free(der);
	BN_clear_free(secret);
	return ok;
}

static int private_key(struct hash *h, const char *path, struct trib_err *err)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
	int ok = k && numbers(h, k);
	EVP_PKEY_free(k);
	if (f)
		fclose(f);
	return ok ? 0 : trib_fail(err, TRIB_E_FORMAT, "%s holds no key", path);
}

static int lines_but(struct hash *h, const char *path, const char *const *but, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	if (trib_fs_read(path, &b, err))
		return -1;
	for (size_t i = 0; i < b.len;) {
		const uint8_t *end = memchr(b.p + i, '\n', b.len - i);
		size_t n = end ? (size_t)(end - b.p) + 1 - i : b.len - i;
		bool skip = false;
		for (const char *const *k = but; *k; k++)
			skip = skip || (n > strlen(*k) && memcmp(b.p + i, *k, strlen(*k)) == 0 && end);
		if (!skip)
			add(h, b.p + i, n);
		i += n;
	}
	return 0;
}

static int one(struct hash *h, const char *path, struct trib_err *err)
{
	static const char *const address[] = {"listen ", "host ", NULL}, *const kept[] = {"time ", "state ", NULL}, *const nothing[] = {NULL}, *const place[] = {"name ", "db-path ", "hub-url ", "policy ", "origin ", NULL};
	const char *git = strstr(path, ".git/");
	if (git)
		return repository(h, path, (size_t)(git - path) + 4, err);
	if (ends_with(path, ".db"))
		return database(h, path, err);
	if (ends_with(path, ".crt"))
		return certificates(h, path, err);
	if (ends_with(path, ".key"))
		return private_key(h, path, err);
	return lines_but(h, path, ends_with(path, "/hub.conf") ? address : ends_with(path, "/audited") ? kept : ends_with(path, "/node") ? place : nothing, err);
}

int says(const char *path, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct hash h = {.md = EVP_MD_CTX_new()};
	int rc = h.md && EVP_DigestInit_ex(h.md, EVP_sha256(), NULL) == 1 ? one(&h, path, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!rc && EVP_DigestFinal_ex(h.md, ret, NULL) != 1)
		rc = trib_fail(err, TRIB_E_CRYPTO, "sha256");
	EVP_MD_CTX_free(h.md);
	return rc;
}

/* ---- what the store answers ---- */

static int list_one(const git_oid *oid, void *ctx)
{
	struct store_list *l = ctx;
	if (l->n == STORE_OBJECTS_MAX)
		return -1;
	memcpy(l->objects[l->n++].oid, oid->id, TRIB_OID_LEN);
	return 0;
}

int store_list(const char *path, struct store_list *ret, struct trib_err *err)
{
	const char *git = strstr(path, ".git/");
	TRIB_AUTO(trib_repo) struct trib_repo *r = NULL;
	git_odb *odb = NULL;
	*ret = (struct store_list){.dir = git ? strndup(path, (size_t)(git - path) + 4) : NULL};
	if (!git)
		return 0;
	if (!ret->dir || trib_repo_open(ret->dir, false, &r, err))
		return -1;
	int rc = git_repository_odb(&odb, trib_repo_git(r)) || git_odb_foreach(odb, list_one, ret) ? fail_git(err, ret->dir) : 0;
	for (size_t i = 0; !rc && i < ret->n; i++) {
		git_oid oid;
		git_object_t type;
		size_t len;
		memcpy(oid.id, ret->objects[i].oid, TRIB_OID_LEN);
		rc = git_odb_read_header(&len, &type, odb, &oid) ? fail_git(err, ret->dir) : 0;
		ret->objects[i].type = type == GIT_OBJECT_COMMIT ? TRIB_OBJ_COMMIT : type == GIT_OBJECT_TREE ? TRIB_OBJ_TREE : TRIB_OBJ_BLOB;
	}
	git_odb_free(odb);
	return rc ? -1 : 1;
}

void store_list_release(struct store_list *l)
{
	free(l->dir);
	*l = (struct store_list){0};
}

static void add_err(struct hash *h, int rc, const struct trib_err *why)
{
	add(h, &rc, sizeof(rc));
	if (rc) {
		add(h, &why->code, sizeof(why->code));
		add_text(h, why->msg);
	}
}

static void add_read(struct hash *h, struct trib_repo *r, const uint8_t *oid, int type)
{
	static const size_t limits[] = {TRIB_SIGNER_MAX, TRIB_COMMIT_MAX, TRIB_MANIFEST_MAX, TRIB_SCHEMA_MAX, TRIB_OBJECT_MAX};
	int rc = -1;
	for (size_t i = 0; rc && i < TRIB_COUNT(limits); i++) { /* what is within one limit is within the larger ones */
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(limits[i]);
		struct trib_err why = {0};
		rc = trib_repo_read(r, oid, (enum trib_obj)type, limits[i], &b, &why);
		add_err(h, rc, &why);
		if (!rc)
			add(h, b.p, b.len);
	}
}

static void add_chain(struct hash *h, struct trib_repo *r, const char *ref)
{
	TRIB_AUTO(trib_mem) uint8_t(*oids)[TRIB_OID_LEN] = NULL;
	uint8_t oid[TRIB_OID_LEN];
	struct trib_err why = {0};
	size_t n = 0;
	int rc = trib_repo_ref(r, ref, oid, &why);
	add_err(h, rc, &why);
	if (rc)
		return;
	add(h, oid, sizeof(oid));
	rc = trib_repo_chain(r, oid, NULL, 100000, &oids, &n, &why);
	add_err(h, rc, &why);
	if (!rc)
		add(h, oids, n * TRIB_OID_LEN);
}

void store_answers(const struct store_list *l, uint8_t ret[TRIB_SHA256_LEN])
{
	struct hash h = {.md = EVP_MD_CTX_new()};
	TRIB_AUTO(trib_repo) struct trib_repo *r = NULL;
	struct trib_err why = {0};
	memset(ret, 0, TRIB_SHA256_LEN);
	if (!h.md || EVP_DigestInit_ex(h.md, EVP_sha256(), NULL) != 1)
		return;
	int rc = trib_repo_open(l->dir, false, &r, &why);
	add_err(&h, rc, &why);
	if (!rc) {
		add_chain(&h, r, "refs/heads/main");
		add_chain(&h, r, "refs/heads/down");
		for (size_t i = 0; i < l->n; i++)
			add_read(&h, r, l->objects[i].oid, l->objects[i].type);
	}
	(void)EVP_DigestFinal_ex(h.md, ret, NULL);
	EVP_MD_CTX_free(h.md);
}
