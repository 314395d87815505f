#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "core/trust/hash.h"
#include "hub/oldlog.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static int count(const char *dir, size_t *ret, struct trib_err *err)
{
	DIR *d = opendir(dir);
	size_t n = 0;
	if (!d)
		return trib_fail_errno(err, "opening %s", dir);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	*ret = n;
	return 0;
}

int trib_oldlog_place(const struct trib_hub *hub, const char *node, const char *app, const uint8_t sha256[TRIB_SHA256_LEN], char **ret, struct trib_err *err)
{
	char hex[TRIB_SHA256_HEX + 1];
	size_t prefix, n = 0;
	uint64_t epoch;
	if (!trib_id_valid(trib_span_str(node)) || !trib_id_valid(trib_span_str(app)))
		return trib_fail(err, TRIB_E_FORMAT, "an impossible name of a history");
	if (!trib_origin_split(hub->origin, &prefix, &epoch) || epoch < 2)
		return trib_fail(err, TRIB_E_REFUSED, "the log of this hub was never cut off (%s): there is no old one to prove", hub->origin);
	trib_hex(hex, sha256, TRIB_SHA256_LEN);
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/old-receipts/%llu/%s/%s", hub->dir, (unsigned long long)epoch, node, app);
	TRIB_AUTO(trib_mem) char *path = dir ? trib_path(dir, hex) : NULL;
	if (!path)
		return oom(err);
	if (trib_fs_mkdirs(dir, 0700, err) || count(dir, &n, err))
		return -1;
	if (n >= TRIB_OLD_KEPT_MAX && !trib_fs_exists(path))
		return trib_fail(err, TRIB_E_LIMIT, "the hub keeps %d files of old receipts of %s/%s already", TRIB_OLD_KEPT_MAX, node, app);
	*ret = path;
	path = NULL;
	return 0;
}

int trib_oldlog_move(const struct trib_hub *hub, int64_t pid, const char *node, const char *app, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *from = trib_pathf("%s/quarantine/w%lld/" TRIB_OLDLOG_QUARANTINE, hub->dir, (long long)pid);
	TRIB_AUTO(trib_mem) char *to = NULL;
	struct stat st;
	if (!from)
		return oom(err);
	if (trib_oldlog_place(hub, node, app, sha256, &to, err))
		return -1;
	if (lstat(from, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > TRIB_OLD_RECEIPTS_MAX)
		return trib_fail(err, TRIB_E_FORMAT, "a worker named old receipts that are no file");
	return trib_fs_rename(from, to, err);
}

/* ---- by hand ---- */

static bool is_plain(struct trib_span file) { return trib_span_starts(file, "tributary-receipts-"); }

/* A plain receipts file in the form that offices send: the first leaf about a history says whose it is. */
static int wrap(struct trib_span file, struct trib_buf *ret, struct trib_err *err)
{
	struct trib_receipts list;
	struct trib_receipt r;
	struct trib_leaf leaf;
	int got;
	if (trib_receipts_parse(file, &list, err))
		return -1;
	while ((got = trib_receipts_next(&list, &r, err)) > 0) {
		if (trib_leaf_parse(r.leaf, &leaf, err))
			return -1;
		if (leaf.kind != TRIB_LEAF_HELD)
			continue;
		trib_old_receipts_begin(ret, leaf.node, leaf.app, false, 0);
		trib_old_receipts_put(ret, file);
		return trib_buf_check(ret, "old receipts", err);
	}
	return got < 0 ? -1 : trib_fail(err, TRIB_E_FORMAT, "it holds no receipt of a commit, so it does not say whose it is");
}

static int log_key(struct trib_hubdb *h, uint8_t ret[32], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf leaf;
	if (trib_log_leaf(h, 0, &b, err) || trib_leaf_parse(trib_buf_span(&b), &leaf, err))
		return -1;
	memcpy(ret, leaf.sha256, sizeof(leaf.sha256));
	return 0;
}

static int take(struct trib_hubdb *h, struct trib_span bytes, bool keep, struct trib_old_receipts *o, struct trib_err *err)
{
	uint8_t key[32], sha256[TRIB_SHA256_LEN];
	TRIB_AUTO(trib_mem) char *to = NULL;
	struct trib_old_judge j = {.origin = h->hub->origin, .log_key = key, .root = h->hub->root};
	trib_sha256(sha256, bytes);
	if (trib_old_receipts_parse(bytes, o, err) || log_key(h, key, err) || trib_old_receipts_judge(o, &j, err))
		return -1;
	if (!keep)
		return 0;
	if (trib_oldlog_place(h->hub, o->node, o->app, sha256, &to, err))
		return -1;
	return trib_fs_write(to, bytes, 0600, err);
}

int trib_oldlog_take(struct trib_hubdb *h, const char *path, bool keep, char ret_node[TRIB_NODE_MAX + 1], char ret_app[TRIB_APP_MAX + 1], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX), own = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX);
	struct trib_old_receipts o;
	if (trib_fs_read(path, &b, err))
		return -1;
	bool plain = is_plain(trib_buf_span(&b));
	if ((plain && wrap(trib_buf_span(&b), &own, err)) || take(h, trib_buf_span(plain ? &own : &b), keep, &o, err))
		return trib_ctx(err, "%s (nothing was kept)", path);
	memcpy(ret_node, o.node, sizeof(o.node));
	memcpy(ret_app, o.app, sizeof(o.app));
	return 0;
}
