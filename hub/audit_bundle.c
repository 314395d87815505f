#include "hub/audit_bundle.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/embed.h"
#include "core/format/note.h"
#include "core/store/bundlefile.h"
#include "hub/tiles.h"
#include "hub/witnesses.h"

#define TRIES 50 /* a busy hub: the checkpoint file follows a publication within moments */
#define CHUNK (256 * TRIB_KIB)

struct bundle {
	const struct trib_hub *hub;
	struct trib_hubdb db; /* one snapshot */
	char *dir;            /* under construction */
	struct trib_buf note;
	struct trib_checkpoint cp;
	struct trib_audit_bundle done;
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static int put_file(struct bundle *b, const char *name, struct trib_span bytes, mode_t mode, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(b->dir, name);
	return path ? trib_fs_write(path, bytes, mode, err) : oom(err);
}

static int make_dir(struct bundle *b, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(b->dir, name);
	return path ? trib_fs_mkdirs(path, 0700, err) : oom(err);
}

static int copy_file(struct bundle *b, const char *from, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(b->hub, from);
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_MIB);
	if (!path)
		return oom(err);
	return trib_fs_read(path, &bytes, err) || put_file(b, name, trib_buf_span(&bytes), 0600, err) ? -1 : 0;
}

/* ---- one moment ---- */

/* The size of the log that the last city commit names; 0 when there is none yet. */
static int city_size(const struct trib_hub *hub, uint64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "city.git");
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	uint8_t oid[TRIB_OID_LEN];
	*ret = 0;
	if (!path)
		return oom(err);
	if (!trib_fs_exists(path))
		return 0;
	if (trib_repo_open(path, false, &repo, err))
		return -1;
	if (trib_repo_ref(repo, "refs/heads/main", oid, err))
		return err->code == TRIB_E_NOT_FOUND ? 0 : -1;
	if (trib_commit_read(repo, oid, &c, err))
		return -1;
	const char *line = strstr(trib_buf_str(&c.manifest), "\nlog ");
	*ret = line ? strtoull(line + 5, NULL, 10) : 0;
	return 0;
}

/* A witness may have cosigned more than the offices were told: leaves of administrators, the nightly list. Then the published checkpoint counts. */
static int upto_cosigned(struct bundle *b, uint64_t size, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(b->hub, "log/checkpoint");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	struct trib_checkpoint cp;
	uint64_t most = 0;
	size_t n;
	if (!path)
		return oom(err);
	if (trib_witnesses_load(b->hub->dir, all, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		most = all[i].size > most ? all[i].size : most;
	if (most <= b->cp.size || trib_fs_read(path, &note, err) || trib_checkpoint_parse(trib_buf_span(&note), &cp, err) || cp.size < most || cp.size > size)
		return 0;
	trib_buf_reset(&b->note);
	trib_buf_put_span(&b->note, trib_buf_span(&note));
	return trib_buf_check(&b->note, "checkpoint", err) ? -1 : trib_checkpoint_parse(trib_buf_span(&b->note), &b->cp, err);
}

/* 1 the checkpoint file covers all that communities and city history were told, 0 not yet, -1. */
static int snapshot(struct bundle *b, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(b->hub, "checkpoint");
	uint64_t city, size;
	int64_t told;
	if (!path)
		return oom(err);
	trib_hubdb_close(&b->db);
	b->db = (struct trib_hubdb){0};
	trib_buf_reset(&b->note);
	if (city_size(b->hub, &city, err) || trib_hubdb_open(b->hub, false, &b->db, err) || trib_db_exec(b->db.db, "BEGIN", err) ||
	    trib_db_int(b->db.db, "SELECT coalesce(max(down_size), 0) FROM history", 0, &told, err) || trib_log_size(&b->db, &size, err) || trib_fs_read(path, &b->note, err) ||
	    trib_checkpoint_parse(trib_buf_span(&b->note), &b->cp, err))
		return -1;
	if (b->cp.size > size)
		return 0;
	return upto_cosigned(b, size, err) ? -1 : b->cp.size >= (uint64_t)told && b->cp.size >= city;
}

static int find_moment(struct bundle *b, struct trib_err *err)
{
	for (int i = 0; i < TRIES; i++) {
		struct timespec t = {.tv_nsec = 100 * 1000 * 1000};
		int found = snapshot(b, err);
		if (found)
			return found < 0 ? -1 : 0;
		nanosleep(&t, NULL);
	}
	return trib_fail(err, TRIB_E_VERIFY, "the signed checkpoint does not cover what the communities were told; try: tributary-hub audit");
}

/* ---- log ---- */

/* A text that a leaf names by its hash: a policy, a list of revoked certificates, a nightly list. */
static int put_named(struct bundle *b, struct trib_span bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	struct trib_leaf leaf;
	char name[16 + TRIB_SHA256_HEX];
	if (trib_leaf_parse(bytes, &leaf, err))
		return trib_ctx(err, "a leaf of the log (try: tributary-hub audit)");
	if (leaf.kind != TRIB_LEAF_POLICY && leaf.kind != TRIB_LEAF_CRL && leaf.kind != TRIB_LEAF_NIGHT)
		return 0;
	(void)snprintf(name, sizeof(name), "log/named/");
	trib_hex(name + strlen(name), leaf.sha256, TRIB_SHA256_LEN);
	return trib_named_read(b->hub->dir, leaf.sha256, &text, err) || put_file(b, name, trib_buf_span(&text), 0600, err) ? trib_ctx(err, "a text that the log names") : 0;
}

static int put_leaves(struct bundle *b, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(b->dir, "log/leaves");
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(2 * CHUNK);
	if (!path)
		return oom(err);
	TRIB_AUTO(trib_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "%s", path);
	if (trib_db_prepare(b->db.db, "SELECT bytes FROM leaf WHERE idx < ? ORDER BY idx", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)b->cp.size);
	int row;
	while ((row = trib_db_step(b->db.db, st, err)) > 0) {
		struct trib_span leaf = trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
		trib_buf_put_span(&out, leaf);
		if (put_named(b, leaf, err) || trib_buf_check(&out, "leaves", err))
			return -1;
		if (out.len >= CHUNK) {
			if (trib_fs_write_all(fd, trib_buf_span(&out), err))
				return -1;
			trib_buf_reset(&out);
		}
	}
	b->done.leaves = b->cp.size;
	return row < 0 || trib_fs_write_all(fd, trib_buf_span(&out), err) ? -1 : 0;
}

/* The log's public key as the SubjectPublicKeyInfo of RFC 8410. */
static int put_log_key(struct bundle *b, struct trib_err *err)
{
	static const uint8_t head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_LEAF_MAX), pem = TRIB_BUF(4096);
	struct trib_leaf leaf;
	uint8_t der[sizeof(head) + 32];
	if (trib_log_leaf(&b->db, 0, &bytes, err) || trib_leaf_parse(trib_buf_span(&bytes), &leaf, err))
		return -1;
	memcpy(der, head, sizeof(head));
	memcpy(der + sizeof(head), leaf.sha256, 32);
	trib_buf_puts(&pem, "-----BEGIN PUBLIC KEY-----\n");
	trib_base64(&pem, der, sizeof(der));
	trib_buf_puts(&pem, "\n-----END PUBLIC KEY-----\n");
	return trib_buf_check(&pem, "log.pem", err) ? -1 : put_file(b, "log.pem", trib_buf_span(&pem), 0600, err);
}

/* ---- histories ---- */

static int put_history(struct bundle *b, const char *node, const char *app, const uint8_t *main_oid, const uint8_t *down_oid, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(b->hub, node, app);
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("histories/%s", node);
	TRIB_AUTO(trib_mem) char *to = trib_pathf("%s/histories/%s/%s.bundle", b->dir, node, app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_bundle head = {0};
	uint64_t bytes;
	if (!path || !dir || !to)
		return oom(err);
	head.refs[head.nrefs] = (struct trib_bundle_ref){.name = "refs/heads/main"};
	memcpy(head.refs[head.nrefs++].oid, main_oid, TRIB_OID_LEN);
	if (down_oid) {
		head.refs[head.nrefs] = (struct trib_bundle_ref){.name = "refs/heads/down"};
		memcpy(head.refs[head.nrefs++].oid, down_oid, TRIB_OID_LEN);
	}
	if (make_dir(b, dir, err) || trib_repo_open(path, false, &repo, err) || trib_bundle_write(repo, &head, to, &bytes, err))
		return trib_ctx(err, "the history of %s/%s (try: tributary-hub audit)", node, app);
	b->done.histories++;
	return 0;
}

static int put_histories(struct bundle *b, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(b->db.db,
			    "SELECT n.node, n.app, h.oid, n.down_oid, h.seq FROM history n JOIN held h ON h.node = n.node AND h.app = n.app AND h.seq = (SELECT max(seq) FROM held x "
			    "WHERE x.node = n.node AND x.app = n.app AND x.idx < ?) ORDER BY n.node, n.app",
			    &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)b->cp.size);
	int row;
	while ((row = trib_db_step(b->db.db, st, err)) > 0) {
		bool told = sqlite3_column_bytes(st, 3) == TRIB_OID_LEN;
		if (sqlite3_column_bytes(st, 2) != TRIB_OID_LEN)
			return trib_fail(err, TRIB_E_VERIFY, "hub.db holds no commit id; try: tributary-hub audit");
		if (put_history(b, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1), sqlite3_column_blob(st, 2),
				told ? sqlite3_column_blob(st, 3) : NULL, err))
			return -1;
		b->done.commits += (uint64_t)sqlite3_column_int64(st, 4);
	}
	return row;
}

static int put_city_history(struct bundle *b, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(b->hub, "city.git");
	TRIB_AUTO(trib_mem) char *to = trib_path(b->dir, "city.bundle");
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_bundle head = {.nrefs = 1, .refs = {{.name = "refs/heads/main"}}};
	uint64_t bytes;
	if (!path || !to)
		return oom(err);
	if (trib_repo_open(path, false, &repo, err))
		return trib_ctx(err, "the city history");
	if (trib_repo_ref(repo, "refs/heads/main", head.refs[0].oid, err))
		return trib_ctx(err, "nothing is merged yet, so there is nothing to take away");
	return trib_bundle_write(repo, &head, to, &bytes, err);
}

/* ---- the city database, certificates, the text ---- */

static int put_city(struct bundle *b, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *name = trib_pathf("city/%s.db", app);
	TRIB_AUTO(trib_mem) char *from = name ? trib_hub_path(b->hub, name) : NULL;
	TRIB_AUTO(trib_mem) char *to = trib_pathf("%s/city/%s.db", b->dir, app);
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!name || !from || !to)
		return oom(err);
	if (!trib_fs_exists(from))
		return 0;
	if (sqlite3_open_v2(from, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL))
		return trib_db_fail(err, db, from);
	if (trib_db_prepare(db, "VACUUM INTO ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, to, -1, SQLITE_STATIC);
	return trib_db_step(db, st, err) < 0 ? trib_ctx(err, "copying %s", from) : 0;
}

static int put_cities(struct bundle *b, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(b->db.db, "SELECT DISTINCT app FROM node ORDER BY app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(b->db.db, st, err)) > 0)
		if (put_city(b, (const char *)sqlite3_column_text(st, 0), err))
			return -1;
	return row;
}

/* Each witness's key as one line, and the newest checkpoint that it cosigned. */
static int put_witnesses(struct bundle *b, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	size_t n;
	if (trib_witnesses_load(b->hub->dir, all, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX), key = TRIB_BUF(TRIB_VKEY_TEXT_MAX + 1);
		char name[64];
		struct trib_checkpoint cp;
		int got = trib_witness_cosigned(b->hub->dir, &all[i], &note, &cp, err);
		if (got < 0)
			return -1;
		if (!got || cp.size > b->cp.size || !trib_span_is(cp.origin, b->hub->origin))
			continue;
		trib_vkey_put(&key, &all[i].key);
		trib_buf_putc(&key, '\n');
		(void)snprintf(name, sizeof(name), "witness/%s.vkey", all[i].id);
		if (trib_buf_check(&key, "key", err) || make_dir(b, "witness", err) || put_file(b, name, trib_buf_span(&key), 0600, err))
			return -1;
		(void)snprintf(name, sizeof(name), "witness/%s.note", all[i].id);
		if (put_file(b, name, trib_buf_span(&note), 0600, err))
			return -1;
	}
	return 0;
}

static int put_texts(struct bundle *b, struct trib_err *err)
{
	return put_file(b, "README.md", trib_embed("certs/audit/README.md"), 0600, err) || put_file(b, "README.zh-CN.md", trib_embed("certs/audit/README.zh-CN.md"), 0600, err) ||
			       put_file(b, "tributary-verify", trib_embed("certs/tributary-verify"), 0700, err) || put_file(b, "checkpoint", trib_buf_span(&b->note), 0600, err) ||
			       copy_file(b, "ca/root.crt", "certs/root.crt", err) || copy_file(b, "ca/issuing.crt", "certs/issuing.crt", err)
		       ? -1
		       : 0;
}

static int fill(struct bundle *b, struct trib_err *err)
{
	static const char *const dirs[] = {"log/named", "histories", "city", "certs"};
	for (size_t i = 0; i < TRIB_COUNT(dirs); i++)
		if (make_dir(b, dirs[i], err))
			return -1;
	if (find_moment(b, err) || put_leaves(b, err) || put_log_key(b, err) || put_histories(b, err) || put_city_history(b, err) || put_cities(b, err))
		return -1;
	return put_witnesses(b, err) || put_texts(b, err) ? -1 : 0;
}

int trib_audit_bundle_write(const struct trib_hub *hub, const char *dir, struct trib_audit_bundle *ret, struct trib_err *err)
{
	struct bundle b = {.hub = hub, .note = TRIB_BUF(TRIB_NOTE_MAX)};
	struct trib_err ignored;
	if (trib_fs_exists(dir))
		return trib_fail(err, TRIB_E_USAGE, "%s exists; nothing was changed; choose another name", dir);
	b.dir = trib_pathf("%s.tmp", dir);
	if (!b.dir)
		return oom(err);
	int rc = trib_fs_remove_tree(b.dir, err) || trib_fs_mkdirs(b.dir, 0700, err) || fill(&b, err) || trib_fs_rename(b.dir, dir, err) ? -1 : 0;
	if (rc && trib_fs_remove_tree(b.dir, &ignored))
		trib_ctx(err, "%s is left behind", b.dir);
	trib_hubdb_close(&b.db);
	trib_buf_release(&b.note);
	free(b.dir);
	if (!rc)
		*ret = b.done;
	return rc;
}
