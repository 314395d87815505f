#include "hub/pack_in.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/log.h"
#include "core/store/repo.h"

#define MARK ".new-"

static void release(struct trib_pack_in *p)
{
	free(p->pack);
	free(p->idx);
	free(p->mark);
	*p = (struct trib_pack_in){0};
}

static bool plain_name(const char *s)
{
	size_t n = strlen(s);
	return n > 0 && n <= TRIB_OID_HEX && strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz") == n;
}

static int make_mark(const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? trib_fail_errno(err, "marking a new pack") : 0; /* made durable with the directory, by the rename that follows */
}

static int move(const struct trib_hub *hub, int64_t pid, const char *name, struct trib_pack_in *p, struct trib_err *err)
{
	const char *const to[] = {p->pack, p->idx};
	static const char *const ext[] = {"pack", "idx"};
	for (size_t i = 0; i < TRIB_COUNT(to); i++) {
		TRIB_AUTO(trib_mem) char *from = trib_pathf("%s/quarantine/w%lld/pack/pack-%s.%s", hub->dir, (long long)pid, name, ext[i]);
		if (!from)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (trib_fs_rename(from, to[i], err))
			return trib_ctx(err, "publishing the pack");
		(void)fchmodat(AT_FDCWD, to[i], 0444, AT_SYMLINK_NOFOLLOW); /* as git has its packs; a worker cannot set modes */
	}
	return 0;
}

int trib_pack_in(const struct trib_hub *hub, int64_t pid, const char *name, struct trib_repo *repo, const uint8_t tip[TRIB_OID_LEN], struct trib_pack_in *ret,
		 struct trib_err *err)
{
	char hex[TRIB_OID_HEX + 1];
	if (!plain_name(name))
		return trib_fail(err, TRIB_E_FORMAT, "a worker named an impossible pack");
	trib_hex(hex, tip, TRIB_OID_LEN);
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/objects/pack", trib_repo_path(repo));
	if (!dir || trib_fs_mkdirs(dir, 0700, err))
		return -1;
	struct trib_pack_in p = {
		.pack = trib_pathf("%s/pack-%s.pack", dir, name), .idx = trib_pathf("%s/pack-%s.idx", dir, name), .mark = trib_pathf("%s/pack-%s" MARK "%s", dir, name, hex)};
	if (!p.pack || !p.idx || !p.mark) {
		release(&p);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	bool there = trib_fs_exists(p.idx);
	if ((!there && make_mark(p.mark, err)) || move(hub, pid, name, &p, err)) {
		if (there)
			release(&p);
		else
			(void)trib_pack_in_undo(&p);
		return -1;
	}
	if (there)
		release(&p); /* other commits may need it */
	*ret = p;
	return 0;
}

void trib_pack_in_keep(struct trib_pack_in *p)
{
	/* Not made durable: left behind, it only costs the next start a look. What is held stays. */
	if (p->mark)
		(void)unlink(p->mark);
	release(p);
}

static int undo(const struct trib_pack_in *p, struct trib_err *err)
{
	/* The index first: without it nobody sees the pack. The mark last: it stays when something is left. */
	return trib_fs_remove(p->idx, err) || trib_fs_remove(p->pack, err) || trib_fs_remove(p->mark, err) ? -1 : 0;
}

bool trib_pack_in_undo(struct trib_pack_in *p)
{
	struct trib_err err;
	int rc = p->mark ? undo(p, &err) : 0;
	if (rc)
		trib_log(TRIB_LOG_WARN, "a pack that was not published: %s", err.msg);
	release(p);
	return rc == 0;
}

static int is_held(struct trib_hubdb *h, const char *node, const char *app, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT 1 FROM held WHERE oid = ? AND node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, app, -1, SQLITE_STATIC);
	return trib_db_step(h->db, st, err);
}

/* "pack-NAME.new-OID" */
static bool read_mark(const char *entry, char name[TRIB_OID_HEX + 1], uint8_t oid[TRIB_OID_LEN])
{
	const char *mark = strstr(entry, MARK);
	if (strncmp(entry, "pack-", 5) != 0 || !mark || (size_t)(mark - entry) - 5 > TRIB_OID_HEX || strlen(mark) != strlen(MARK) + TRIB_OID_HEX)
		return false;
	(void)snprintf(name, TRIB_OID_HEX + 1, "%.*s", (int)(mark - entry - 5), entry + 5);
	return plain_name(name) && trib_unhex(oid, TRIB_OID_LEN, trib_span_str(mark + strlen(MARK)));
}

static int settle(struct trib_hubdb *h, const char *node, const char *app, const char *dir, const char *entry, struct trib_err *err)
{
	char name[TRIB_OID_HEX + 1];
	uint8_t oid[TRIB_OID_LEN];
	if (!read_mark(entry, name, oid))
		return 0;
	int held = is_held(h, node, app, oid, err);
	if (held < 0)
		return -1;
	struct trib_pack_in p = {.pack = trib_pathf("%s/pack-%s.pack", dir, name), .idx = trib_pathf("%s/pack-%s.idx", dir, name), .mark = trib_pathf("%s/%s", dir, entry)};
	int rc = !p.pack || !p.idx || !p.mark ? trib_fail(err, TRIB_E_NOMEM, "out of memory") : held ? trib_fs_remove(p.mark, err) : undo(&p, err);
	if (rc == 0 && !held)
		trib_log(TRIB_LOG_INFO, "%s/%s: a pack of a push that was cut off before it was held is removed", node, app);
	release(&p);
	return rc;
}

int trib_pack_in_sweep(struct trib_hubdb *h, const char *node, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(h->hub, node, app);
	TRIB_AUTO(trib_mem) char *dir = path ? trib_pathf("%s/objects/pack", path) : NULL;
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	DIR *d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : trib_fail_errno(err, "opening %s", dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));)
		rc = settle(h, node, app, dir, e->d_name, err);
	closedir(d);
	return rc ? trib_ctx(err, "clearing what a cut-off push of %s/%s left", node, app) : 0;
}
