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

#define TRIES 20 /* a busy hub: the checkpoint file follows a publication within moments, and receipts do; a hub that was killed sends some when it starts */
#define CHUNK (256 * TRIB_KIB)
#define REASON_MAX 300
#define ABSENT_MAX (16 * TRIB_MIB)

struct bundle {
	const struct trib_hub *hub;
	struct trib_hubdb db; /* one snapshot */
	char *dir;            /* under construction */
	struct trib_buf note;
	struct trib_checkpoint cp; /* of note, when that is one */
	int64_t upto;              /* leaves that are taken; INT64_MAX: all there are */
	uint64_t verdicts;         /* leaves that say: merged */
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

/* A part that the hub has not got, or cannot read, is named and keeps nobody from taking the rest away. What stops everything is a full disk and the like. */
static int without(struct bundle *b, const char *name, struct trib_err *err)
{
	struct trib_buf *to = &b->done.absent;
	if (err->code == TRIB_E_NO_SPACE || err->code == TRIB_E_NOMEM || err->code == TRIB_E_LOCKED || err->code == TRIB_E_BUSY)
		return -1;
	trib_buf_printf(to, "%s: ", name);
	for (size_t i = 0; err->msg[i] && i < REASON_MAX; i++)
		trib_buf_putc(to, (uint8_t)err->msg[i] < 0x20 ? ' ' : (uint8_t)err->msg[i]);
	trib_buf_putc(to, '\n');
	return trib_buf_check(to, "what is absent", err);
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

enum moment { NOT_YET, COVERED, SENT }; /* the checkpoint covers all that communities and city history were told; and receipts are not behind either */

/* Which moment it is, or -1. A damaged city history counts as none: what is wrong with it, the README's commands say. */
static int snapshot(struct bundle *b, struct trib_err *err)
{
	struct trib_err no;
	uint64_t city, size;
	int64_t told, due;
	trib_hubdb_close(&b->db);
	b->db = (struct trib_hubdb){0};
	if (city_size(b->hub, &city, &no))
		city = 0;
	if (trib_hubdb_open(b->hub, false, &b->db, err) || trib_db_exec(b->db.db, "BEGIN", err) ||
	    trib_db_int(b->db.db, "SELECT coalesce(max(down_size), 0) FROM history", 0, &told, err) || trib_log_size(&b->db, &size, err))
		return -1;
	b->upto = INT64_MAX;
	b->cp = (struct trib_checkpoint){0};
	/* The newest that anybody may have been shown: an auditor who kept it must find no older log. One of more leaves than the snapshot has was signed just now. */
	if (trib_tiles_newest_note(b->hub, &b->note, &b->cp, &no) || !b->cp.size || b->cp.size > size)
		return NOT_YET;
	b->upto = (int64_t)b->cp.size;
	if (b->cp.size < (uint64_t)told || b->cp.size < city)
		return NOT_YET;
	if (trib_db_int(b->db.db, "SELECT count(*) FROM due", 0, &due, err))
		return -1;
	return due ? COVERED : SENT;
}

/* A hub at work is soon there. One whose log was cut never is: then the last snapshot counts, and what does not fit together is the README's to find. */
static int find_moment(struct bundle *b, struct trib_err *err)
{
	for (int i = 0;; i++) {
		struct timespec t = {.tv_nsec = 100 * 1000 * 1000};
		int found = snapshot(b, err);
		if (found < 0)
			return -1;
		if (found == SENT || i == TRIES)
			return 0;
		nanosleep(&t, NULL);
	}
}

/* ---- log ---- */

/* A text that a leaf names by its hash: a policy, a list of revoked certificates, a nightly list. And counts verdicts. */
static int put_named(struct bundle *b, struct trib_span bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	struct trib_leaf leaf;
	char name[16 + TRIB_SHA256_HEX];
	if (trib_leaf_parse(bytes, &leaf, err))
		return without(b, "log/leaves", err); /* its bytes are there, whatever they are */
	b->verdicts += leaf.kind == TRIB_LEAF_MERGED;
	if (leaf.kind != TRIB_LEAF_POLICY && leaf.kind != TRIB_LEAF_CRL && leaf.kind != TRIB_LEAF_NIGHT)
		return 0;
	(void)snprintf(name, sizeof(name), "log/named/");
	trib_hex(name + strlen(name), leaf.sha256, TRIB_SHA256_LEN);
	return trib_named_read(b->hub->dir, leaf.sha256, &text, err) || put_file(b, name, trib_buf_span(&text), 0600, err) ? without(b, name, err) : 0;
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
	sqlite3_bind_int64(st, 1, b->upto);
	int row;
	while ((row = trib_db_step(b->db.db, st, err)) > 0) {
		struct trib_span leaf = trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
		trib_buf_put_span(&out, leaf);
		b->done.leaves++;
		if (put_named(b, leaf, err) || trib_buf_check(&out, "leaves", err))
			return -1;
		if (out.len >= CHUNK) {
			if (trib_fs_write_all(fd, trib_buf_span(&out), err))
				return -1;
			trib_buf_reset(&out);
		}
	}
	return (row < 0 && without(b, "log/leaves", err)) || trib_fs_write_all(fd, trib_buf_span(&out), err) ? -1 : 0;
}

/* The log's public key as the SubjectPublicKeyInfo of RFC 8410. */
static int put_log_key(struct bundle *b, struct trib_err *err)
{
	static const uint8_t head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_LEAF_MAX), pem = TRIB_BUF(4096);
	struct trib_leaf leaf;
	uint8_t der[sizeof(head) + 32];
	if (trib_log_leaf(&b->db, 0, &bytes, err) || trib_leaf_parse(trib_buf_span(&bytes), &leaf, err))
		return without(b, "log.pem", err);
	memcpy(der, head, sizeof(head));
	memcpy(der + sizeof(head), leaf.sha256, 32);
	trib_buf_puts(&pem, "-----BEGIN PUBLIC KEY-----\n");
	trib_base64(&pem, der, sizeof(der));
	trib_buf_puts(&pem, "\n-----END PUBLIC KEY-----\n");
	return trib_buf_check(&pem, "log.pem", err) ? -1 : put_file(b, "log.pem", trib_buf_span(&pem), 0600, err);
}

/* ---- histories ---- */

/* One history up to two commits; without `down_oid` there was no word of the hub yet. */
static int put_refs(struct trib_repo *repo, const uint8_t *main_oid, const uint8_t *down_oid, const char *to, struct trib_err *err)
{
	struct trib_bundle head = {0};
	uint64_t bytes;
	head.refs[head.nrefs] = (struct trib_bundle_ref){.name = "refs/heads/main"};
	memcpy(head.refs[head.nrefs++].oid, main_oid, TRIB_OID_LEN);
	if (down_oid) {
		head.refs[head.nrefs] = (struct trib_bundle_ref){.name = "refs/heads/down"};
		memcpy(head.refs[head.nrefs++].oid, down_oid, TRIB_OID_LEN);
	}
	return trib_bundle_write(repo, &head, to, 0, &bytes, err);
}

/* Where commits that hub.db names are lost, what the repository itself calls its history may still be there, and shows what was put in its place. */
static int put_shown(struct trib_repo *repo, const char *to, struct trib_err *err)
{
	uint8_t main_oid[TRIB_OID_LEN], down_oid[TRIB_OID_LEN];
	struct trib_err no;
	if (trib_repo_ref(repo, "refs/heads/main", main_oid, err))
		return -1;
	if (trib_repo_ref(repo, "refs/heads/down", down_oid, &no) == 0 && put_refs(repo, main_oid, down_oid, to, &no) == 0)
		return 0;
	return put_refs(repo, main_oid, NULL, to, err);
}

static int put_history(struct bundle *b, const char *node, const char *app, const uint8_t *main_oid, const uint8_t *down_oid, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(b->hub, node, app);
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("histories/%s", node);
	TRIB_AUTO(trib_mem) char *name = trib_pathf("histories/%s/%s.bundle", node, app);
	TRIB_AUTO(trib_mem) char *to = name ? trib_path(b->dir, name) : NULL;
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_err no;
	if (!path || !dir || !name || !to)
		return oom(err);
	if (make_dir(b, dir, err))
		return -1;
	b->done.histories++;
	if (trib_repo_open(path, false, &repo, err) == 0) {
		if (main_oid && put_refs(repo, main_oid, down_oid, to, err) == 0)
			return 0;
		if (!main_oid)
			trib_fail(err, TRIB_E_VERIFY, "hub.db holds no commit id");
		if (put_shown(repo, to, &no) == 0)
			return trib_ctx(err, "not as hub.db has it, but as its repository shows it"), without(b, name, err);
	}
	b->done.histories--;
	return without(b, name, err);
}

static int put_histories(struct bundle *b, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(b->db.db,
			    "SELECT n.node, n.app, h.oid, n.down_oid, h.seq FROM history n JOIN held h ON h.node = n.node AND h.app = n.app AND h.seq = (SELECT max(seq) FROM held x "
			    "WHERE x.node = n.node AND x.app = n.app AND x.idx < ?) ORDER BY n.node, n.app",
			    &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, b->upto);
	int row;
	while ((row = trib_db_step(b->db.db, st, err)) > 0) {
		bool held = sqlite3_column_bytes(st, 2) == TRIB_OID_LEN, told = sqlite3_column_bytes(st, 3) == TRIB_OID_LEN;
		const char *node = (const char *)sqlite3_column_text(st, 0), *app = (const char *)sqlite3_column_text(st, 1);
		uint64_t had = b->done.histories;
		if (put_history(b, node, app, held ? sqlite3_column_blob(st, 2) : NULL, told ? sqlite3_column_blob(st, 3) : NULL, err))
			return -1;
		if (b->done.histories > had)
			b->done.commits += (uint64_t)sqlite3_column_int64(st, 4);
	}
	return row < 0 ? without(b, "histories", err) : 0;
}

static int put_city_history(struct bundle *b, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(b->hub, "city.git");
	TRIB_AUTO(trib_mem) char *to = trib_path(b->dir, "city.bundle");
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	uint8_t oid[TRIB_OID_LEN];
	if (!path || !to)
		return oom(err);
	if (trib_repo_open(path, false, &repo, err) || trib_repo_ref(repo, "refs/heads/main", oid, err))
		return b->verdicts ? without(b, "city.bundle", err) : 0; /* in a new city nothing is merged */
	return put_refs(repo, oid, NULL, to, err) ? without(b, "city.bundle", err) : 0;
}

/* ---- the city database, certificates, the text ---- */

/* Has the log a verdict that something of this application was merged? Asked only when its database is not there. */
static int was_merged(struct bundle *b, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_leaf leaf;
	struct trib_err no;
	if (trib_db_prepare(b->db.db, "SELECT bytes FROM leaf WHERE idx < ? ORDER BY idx", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, b->upto);
	int row;
	while ((row = trib_db_step(b->db.db, st, err)) > 0)
		if (trib_leaf_parse(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), &leaf, &no) == 0 && leaf.kind == TRIB_LEAF_MERGED &&
		    strcmp(leaf.app, app) == 0)
			return 1;
	return row;
}

static int copy_city(const char *from, const char *to, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (sqlite3_open_v2(from, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL))
		return trib_db_fail(err, db, from);
	if (trib_db_prepare(db, "VACUUM INTO ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, to, -1, SQLITE_STATIC);
	return trib_db_step(db, st, err) < 0 ? trib_ctx(err, "copying %s", from) : 0;
}

static int put_city(struct bundle *b, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *name = trib_pathf("city/%s.db", app);
	TRIB_AUTO(trib_mem) char *from = name ? trib_hub_path(b->hub, name) : NULL;
	TRIB_AUTO(trib_mem) char *to = trib_pathf("%s/city/%s.db", b->dir, app);
	struct trib_err no;
	if (!name || !from || !to)
		return oom(err);
	if (!trib_fs_exists(from)) {
		int merged = was_merged(b, app, err);
		if (merged > 0)
			trib_fail(err, TRIB_E_NOT_FOUND, "there is no %s", from);
		return merged ? without(b, name, err) : 0;
	}
	if (copy_city(from, to, err) == 0)
		return 0;
	(void)(unlink(to) && trib_fail_errno(&no, "%s", to)); /* half a copy */
	return without(b, name, err);
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
	return row < 0 ? without(b, "city", err) : 0;
}

/* Each witness's key as one line, and the newest checkpoint that it cosigned. */
static int put_witnesses(struct bundle *b, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	size_t n;
	if (trib_witnesses_load(b->hub->dir, all, &n, err))
		return without(b, "witness", err);
	for (size_t i = 0; i < n; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX), key = TRIB_BUF(TRIB_VKEY_TEXT_MAX + 1);
		char name[64];
		struct trib_checkpoint cp;
		int got = trib_witness_cosigned(b->hub->dir, &all[i], &note, &cp, err);
		(void)snprintf(name, sizeof(name), "witness/%s.note", all[i].id);
		if (got < 0 && without(b, name, err))
			return -1;
		if (got <= 0 || cp.size > b->cp.size || !trib_span_is(cp.origin, b->hub->origin))
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
	static const char *const certs[][2] = {{"ca/root.crt", "certs/root.crt"}, {"ca/issuing.crt", "certs/issuing.crt"}};
	for (size_t i = 0; i < TRIB_COUNT(certs); i++)
		if (copy_file(b, certs[i][0], certs[i][1], err) && without(b, certs[i][1], err))
			return -1;
	if (!b->note.len)
		trib_fail(err, TRIB_E_NOT_FOUND, "the hub has no signed head of the log");
	if (b->note.len ? put_file(b, "checkpoint", trib_buf_span(&b->note), 0600, err) : without(b, "checkpoint", err))
		return -1;
	if (put_file(b, "README.md", trib_embed("certs/audit/README.md"), 0600, err) || put_file(b, "README.zh-CN.md", trib_embed("certs/audit/README.zh-CN.md"), 0600, err))
		return -1;
	return b->done.absent.len ? put_file(b, "absent", trib_buf_span(&b->done.absent), 0600, err) : 0;
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
	struct bundle b = {.hub = hub, .note = TRIB_BUF(TRIB_NOTE_MAX), .done.absent = TRIB_BUF(ABSENT_MAX)};
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
	if (rc)
		trib_buf_release(&b.done.absent);
	else
		*ret = b.done;
	return rc;
}
