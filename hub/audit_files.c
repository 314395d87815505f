/* The object files of the histories, of the city's and of the texts that leaves name. They never change, so a later audit that finds them byte for byte as they
 * were need not judge again what they hold. Small ones go away when the hub folds them into one: then that history is read and hashed anew. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "core/trust/hash.h"
#include "hub/audit_impl.h"

/* The largest file of a commit's tree. */
#define BLOB_MAX (TRIB_CHANGESET_GZ_MAX > TRIB_SCHEMA_MAX ? TRIB_CHANGESET_GZ_MAX : TRIB_SCHEMA_MAX)

struct files {
	struct trib_audit *a;
	sqlite3_stmt *known, *put;
	uint8_t *block;
};

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

static int hash_file(struct files *f, const char *path, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", path);
	ssize_t n = read(fd, f->block, TRIB_MIB);
	if (n >= 0 && (size_t)n < TRIB_MIB) { /* most are small */
		trib_sha256(ret, trib_span(f->block, (size_t)n));
		return 0;
	}
	struct trib_sha256_ctx *sha = trib_sha256_new();
	for (; n > 0; n = read(fd, f->block, TRIB_MIB))
		trib_sha256_add(sha, trib_span(f->block, (size_t)n));
	trib_sha256_end(sha, ret);
	return n < 0 ? trib_fail_errno(err, "reading %s", path) : 0;
}

/* ---- files that were folded into others since (core/store/fold.h) ---- */

static int same_blobs(struct trib_repo *repo, const struct trib_commit *c, struct trib_err *err)
{
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	uint8_t is[TRIB_SHA256_LEN];
	if (trib_manifest_parse(trib_buf_span(&c->manifest), &m, err))
		return -1;
	for (size_t i = 0; i < m.nblobs; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(BLOB_MAX);
		if (trib_commit_blob(repo, c, m.blobs[i].name, BLOB_MAX, &b, err))
			return -1;
		trib_sha256(is, trib_buf_span(&b));
		if (memcmp(is, m.blobs[i].sha256, sizeof(is)) != 0)
			return trib_fail(err, TRIB_E_TREE, "%s is another file", m.blobs[i].name);
	}
	return 0;
}

/* st: oid, manifest, raw as the leaf says. */
static int same_commit(struct trib_repo *repo, sqlite3_stmt *st, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	uint8_t oid[TRIB_OID_LEN], manifest[TRIB_SHA256_LEN], raw[TRIB_SHA256_LEN], is[2][TRIB_SHA256_LEN];
	trib_audit_bytes(st, 0, oid, sizeof(oid));
	trib_audit_bytes(st, 1, manifest, sizeof(manifest));
	trib_audit_bytes(st, 2, raw, sizeof(raw));
	if (trib_commit_read(repo, oid, &c, err))
		return -1;
	trib_sha256(is[0], trib_buf_span(&c.raw));
	trib_sha256(is[1], trib_buf_span(&c.manifest));
	if (memcmp(is[0], raw, sizeof(raw)) != 0 || memcmp(is[1], manifest, sizeof(manifest)) != 0)
		return trib_fail(err, TRIB_E_TREE, "commit or manifest is another one");
	return same_blobs(repo, &c, err);
}

/* All that the history held then is read, and hashed against the log: whatever file it lies in now. */
static int same_history(struct trib_audit *a, const char *node, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(a->hub, node, app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_where w = {.node = node, .app = app};
	struct trib_err why;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_repo_open(path, false, &repo, &why))
		return trib_audit_find(a, &w, err, "%s", why.msg);
	if (trib_audit_sql(a->own, &st, err, "SELECT oid, manifest, raw, seq FROM h WHERE node = ? AND app = ? AND idx < ? ORDER BY seq", "ssi", node, app, (int64_t)a->from))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0)
		if (same_commit(repo, st, &why))
			return trib_audit_find(a, &w, err, "#%lld: %s", (long long)sqlite3_column_int64(st, 3), why.msg);
	return row;
}

static int same_folded(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->own, "SELECT node, app FROM n WHERE again ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0)
		if (same_history(a, text(st, 0), text(st, 1), err))
			return -1;
	return row;
}

/* A file that is gone: its history is read again, and the hub's own chain in it judged again from its beginning. */
static int gone(struct trib_audit *a, const char *path, struct trib_err *err)
{
	struct trib_where w = {0};
	if (strncmp(path, "city.git/", 9) == 0)
		a->at = (struct trib_audit_at){.night_to = a->at.night_to, .night_first = a->at.night_first};
	else if (strncmp(path, "repos/", 6) != 0)
		return trib_audit_find(a, &w, err, "%s is gone", path);
	return trib_audit_exec(a->own, err, "DELETE FROM f WHERE path = ?", "s", path) ||
			       trib_audit_exec(a->own, err, "UPDATE n SET again = 1 WHERE again = 0 AND substr(?1, 1, length(node) + length(app) + 12) = 'repos/' || node || '/' || app || '.git/'",
					       "s", path)
		       ? -1
		       : 0;
}

static int same_file(struct files *f, const char *rel, sqlite3_stmt *st, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(f->a->hub, rel);
	uint8_t is[TRIB_SHA256_LEN], was[TRIB_SHA256_LEN];
	struct trib_where w = {0};
	struct trib_err why;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_audit_bytes(st, 1, was, sizeof(was));
	if (hash_file(f, path, is, &why))
		return trib_fs_exists(path) ? trib_audit_find(f->a, &w, err, "%s", why.msg) : gone(f->a, rel, err);
	return memcmp(is, was, sizeof(is)) == 0 ? 0 : trib_audit_find(f->a, &w, err, "%s is not what it was", rel);
}

int trib_audit_files_same(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t *block = malloc(TRIB_MIB);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct files f = {.a = a, .block = block};
	struct trib_progress p;
	uint64_t done = 0;
	if (!block)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_progress_init(&p, _("files"), a->quiet);
	/* Sorted in a list of its own: rows are deleted on the way. */
	if (trib_db_exec(a->own, "UPDATE n SET again = 0; CREATE TEMP TABLE was AS SELECT path, sha256 FROM f ORDER BY path", err) ||
	    trib_db_prepare(a->own, "SELECT path, sha256 FROM was", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		if (same_file(&f, text(st, 0), st, err))
			return -1;
		trib_progress_step(&p, ++done, 0);
	}
	trib_progress_done(&p);
	return row < 0 ? -1 : same_folded(a, err);
}

/* ---- what there is now ---- */

static int note_file(struct files *f, const char *dir, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *rel = trib_path(dir, name);
	TRIB_AUTO(trib_mem) char *path = rel ? trib_hub_path(f->a->hub, rel) : NULL;
	uint8_t hash[TRIB_SHA256_LEN];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	(void)sqlite3_reset(f->known);
	sqlite3_bind_text(f->known, 1, rel, -1, SQLITE_STATIC);
	int known = trib_db_step(f->a->own, f->known, err);
	if (known)
		return known < 0 ? -1 : 0;
	if (hash_file(f, path, hash, err))
		return trib_fs_exists(path) ? -1 : 0; /* the hub folds it just now */
	(void)sqlite3_reset(f->put);
	sqlite3_bind_text(f->put, 1, rel, -1, SQLITE_STATIC);
	sqlite3_bind_blob(f->put, 2, hash, sizeof(hash), SQLITE_STATIC);
	return trib_db_step(f->a->own, f->put, err) < 0 ? -1 : 0;
}

static bool hex_name(const char *s, size_t n) { return strlen(s) == n && strspn(s, "0123456789abcdef") == n; }

static bool is_object(const char *s) { return hex_name(s, TRIB_OID_HEX - 2); }

static bool is_pack(const char *s)
{
	size_t n = strlen(s);
	return strncmp(s, "pack-", 5) == 0 && ((n > 10 && strcmp(s + n - 5, ".pack") == 0) || (n > 9 && strcmp(s + n - 4, ".idx") == 0));
}

static bool is_named(const char *s) { return hex_name(s, TRIB_SHA256_HEX); }

/* Files of `dir` (relative) that are of the kind; a missing folder has none. */
static int note_dir(struct files *f, const char *dir, bool (*of_kind)(const char *), struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(f->a->hub, dir);
	DIR *d = path ? opendir(path) : NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!d)
		return errno == ENOENT ? 0 : trib_fail_errno(err, "opening %s", path);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));)
		rc = of_kind(e->d_name) ? note_file(f, dir, e->d_name, err) : 0;
	closedir(d);
	return rc;
}

/* `objects` of a repository: packs, and folders of loose ones by the first two digits. */
static int note_objects(struct files *f, const char *repo, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *objects = trib_path(repo, "objects");
	TRIB_AUTO(trib_mem) char *path = objects ? trib_hub_path(f->a->hub, objects) : NULL;
	DIR *d = path ? opendir(path) : NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!d)
		return errno == ENOENT ? 0 : trib_fail_errno(err, "opening %s", path);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		bool packs = strcmp(e->d_name, "pack") == 0;
		if (!packs && !hex_name(e->d_name, 2))
			continue;
		TRIB_AUTO(trib_mem) char *dir = trib_path(objects, e->d_name);
		rc = dir ? note_dir(f, dir, packs ? is_pack : is_object, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	closedir(d);
	return rc;
}

static int note_all(struct files *f, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (note_objects(f, "city.git", err) || note_dir(f, "log/named", is_named, err) || trib_db_prepare(f->a->own, "SELECT node, app FROM n ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(f->a->own, st, err)) > 0) {
		TRIB_AUTO(trib_mem) char *repo = trib_pathf("repos/%s/%s.git", text(st, 0), text(st, 1));
		if (!repo)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (note_objects(f, repo, err))
			return -1;
	}
	return row;
}

int trib_audit_files_note(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t *block = malloc(TRIB_MIB);
	struct files f = {.a = a, .block = block};
	if (!block)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int rc = trib_db_prepare(a->own, "SELECT 1 FROM f WHERE path = ?", &f.known, err) || trib_db_prepare(a->own, "INSERT INTO f(path, sha256) VALUES(?,?)", &f.put, err) ||
				 note_all(&f, err)
			 ? -1
			 : 0;
	sqlite3_finalize(f.known);
	sqlite3_finalize(f.put);
	return rc;
}
