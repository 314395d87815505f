/* tiles.c: the log as static files (tiles.h). Order of durability: hub.db, full tiles, partial tiles, checkpoint, then partial tiles that are no
 * longer needed go. A reader that holds a checkpoint always finds what it covers. */
#include "hub/tiles.h"

#include <dirent.h>
#include <errno.h>

#include "core/trust/hash.h"
#include "hub/witnesses.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- contents ---- */

static int put_hashes(struct trib_hubdb *h, const struct trib_tile *t, struct trib_buf *b, struct trib_err *err)
{
	for (unsigned i = 0; i < t->width; i++) {
		uint8_t hash[TRIB_SHA256_LEN];
		if (trib_log_subtree(h, 8 * t->level, t->n * TRIB_TILE_WIDTH + i, hash, err))
			return -1;
		trib_buf_put(b, hash, sizeof(hash));
	}
	return trib_buf_check(b, "tile", err);
}

static int put_entries(struct trib_hubdb *h, const struct trib_tile *t, struct trib_buf *b, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT idx, bytes FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx", &st, err))
		return -1;
	uint64_t next = t->n * TRIB_TILE_WIDTH, end = next + t->width;
	sqlite3_bind_int64(st, 1, (int64_t)next);
	sqlite3_bind_int64(st, 2, (int64_t)end);
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0) {
		size_t n = (size_t)sqlite3_column_bytes(st, 1);
		if ((uint64_t)sqlite3_column_int64(st, 0) != next || n > TRIB_LEAF_MAX)
			break;
		trib_buf_putc(b, (uint8_t)(n >> 8));
		trib_buf_putc(b, (uint8_t)n);
		trib_buf_put(b, sqlite3_column_blob(st, 1), n);
		next++;
	}
	if (row < 0)
		return -1;
	if (next != end)
		return trib_fail(err, TRIB_E_VERIFY, "the log lacks leaf %llu; try: tributary-hub audit", (unsigned long long)next);
	return trib_buf_check(b, "bundle of leaves", err);
}

int trib_tiles_make(struct trib_hubdb *h, const struct trib_tile *t, struct trib_buf *b, struct trib_err *err)
{
	return t->entries ? put_entries(h, t, b, err) : put_hashes(h, t, b, err);
}

/* DIR/log/tile/... */
static char *tile_file(const char *hub_dir, const struct trib_tile *t)
{
	char name[TRIB_TILE_PATH_MAX];
	trib_tile_path(name, t);
	return trib_pathf("%s/log/%s", hub_dir, name);
}

static int write_tile(struct trib_hubdb *h, const struct trib_tile *t, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = tile_file(h->hub->dir, t);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_BUNDLE_LEAVES_MAX);
	if (!path)
		return oom(err);
	char *slash = strrchr(path, '/');
	*slash = '\0';
	if (trib_fs_mkdirs(path, 0700, err))
		return -1;
	*slash = '/';
	if (trib_tiles_make(h, t, &b, err))
		return -1;
	return trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* ---- publishing ---- */

/* What grew in one row of tiles between two sizes. */
static int write_row(struct trib_hubdb *h, struct trib_tile t, uint64_t from, uint64_t to, struct trib_err *err)
{
	uint64_t last = (to >> (8 * t.level)) / TRIB_TILE_WIDTH;
	for (t.n = (from >> (8 * t.level)) / TRIB_TILE_WIDTH; t.n <= last; t.n++) {
		t.width = trib_tile_filled(&t, to);
		if (t.width && t.width != trib_tile_filled(&t, from) && write_tile(h, &t, err))
			return -1;
	}
	return 0;
}

static int write_rows(struct trib_hubdb *h, uint64_t from, uint64_t to, struct trib_err *err)
{
	struct trib_tile t = {.entries = true};
	if (write_row(h, t, from, to, err))
		return -1;
	t.entries = false;
	for (t.level = 0; t.level <= TRIB_TILE_LEVEL_MAX && to >> (8 * t.level); t.level++)
		if (write_row(h, t, from, to, err))
			return -1;
	return 0;
}

/* Removes the partial tiles of `from` that a wider one has taken the place of. */
static int prune_row(const struct trib_hubdb *h, struct trib_tile t, uint64_t from, uint64_t to, struct trib_err *err)
{
	t.n = (from >> (8 * t.level)) / TRIB_TILE_WIDTH;
	t.width = trib_tile_filled(&t, from);
	if (t.width == 0 || t.width == TRIB_TILE_WIDTH || t.width == trib_tile_filled(&t, to))
		return 0;
	TRIB_AUTO(trib_mem) char *path = tile_file(h->hub->dir, &t);
	return path ? trib_fs_remove(path, err) : oom(err);
}

static int prune(const struct trib_hubdb *h, uint64_t from, uint64_t to, struct trib_err *err)
{
	struct trib_tile t = {.entries = true};
	if (prune_row(h, t, from, to, err))
		return -1;
	t.entries = false;
	for (t.level = 0; t.level <= TRIB_TILE_LEVEL_MAX && from >> (8 * t.level); t.level++)
		if (prune_row(h, t, from, to, err))
			return -1;
	return 0;
}

/* Size and root of DIR/log/checkpoint; 0 when there is none, or one that cannot be read: then all is made again. */
static int published(const struct trib_hub *hub, uint64_t *ret_size, uint8_t ret_root[TRIB_SHA256_LEN], struct trib_buf *note, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "log/checkpoint");
	struct trib_checkpoint cp;
	struct trib_err why;
	*ret_size = 0;
	if (!path)
		return oom(err);
	if (trib_fs_read(path, note, &why) || trib_checkpoint_parse(trib_buf_span(note), &cp, &why)) {
		trib_buf_reset(note);
		return 0;
	}
	*ret_size = cp.size;
	memcpy(ret_root, cp.root, TRIB_SHA256_LEN);
	return 0;
}

/* The published log must be a beginning of the one in hub.db: an older hub.db was put back otherwise. */
static int check_growth(struct trib_hubdb *h, uint64_t from, const uint8_t from_root[TRIB_SHA256_LEN], uint64_t to, struct trib_err *err)
{
	uint8_t root[TRIB_SHA256_LEN];
	if (from > to)
		return trib_fail(err, TRIB_E_VERIFY, "the published log has %llu leaves, hub.db only %llu: it is an older copy; try: tributary-hub recover",
				 (unsigned long long)from, (unsigned long long)to);
	if (trib_log_root(h, from, root, err))
		return -1;
	return memcmp(root, from_root, sizeof(root)) == 0
		       ? 0
		       : trib_fail(err, TRIB_E_VERIFY, "the published log is not a beginning of the one in hub.db; try: tributary-hub audit");
}

int trib_tiles_publish(struct trib_hubdb *h, const struct trib_key *log_key, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "log/checkpoint");
	TRIB_AUTO(trib_mem) char *dir = trib_hub_path(h->hub, "log");
	TRIB_AUTO(trib_buf) struct trib_buf old = TRIB_BUF(TRIB_NOTE_MAX), note = TRIB_BUF(TRIB_NOTE_MAX);
	uint64_t from, to;
	uint8_t from_root[TRIB_SHA256_LEN], root[TRIB_SHA256_LEN];
	struct trib_err why;
	if (!path || !dir)
		return oom(err);
	if (published(h->hub, &from, from_root, &old, err) || trib_log_size(h, &to, err) || (from && check_growth(h, from, from_root, to, err)) ||
	    trib_log_root(h, to, root, err) || trib_checkpoint_sign(h->hub->origin, to, root, log_key, &note, err))
		return trib_ctx(err, "publishing the log");
	if (trib_witnesses_append(h->hub->dir, &note, &why)) { /* no witness keeps the log from being published */
		trib_buf_reset(&note);
		if (trib_checkpoint_sign(h->hub->origin, to, root, log_key, &note, err))
			return trib_ctx(err, "publishing the log");
	}
	if (trib_span_eq(trib_buf_span(&old), trib_buf_span(&note))) /* Ed25519 signs the same text in the same way */
		return 0;
	if (trib_fs_mkdirs(dir, 0700, err) || write_rows(h, from, to, err))
		return trib_ctx(err, "publishing the log");
	trib_crash_point("tiles-written");
	if (trib_fs_write(path, trib_buf_span(&note), 0600, err))
		return trib_ctx(err, "publishing the log");
	trib_crash_point("log-published");
	return from ? prune(h, from, to, err) : 0;
}

int trib_tiles_remake(struct trib_hubdb *h, const struct trib_key *log_key, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *note = trib_hub_path(h->hub, "log/checkpoint");
	TRIB_AUTO(trib_mem) char *tiles = trib_hub_path(h->hub, "log/tile");
	TRIB_AUTO(trib_mem) char *dir = trib_hub_path(h->hub, "log");
	if (!note || !tiles || !dir)
		return oom(err);
	if (trib_fs_mkdirs(dir, 0700, err) || trib_fs_remove(note, err) || trib_fs_remove_tree(tiles, err))
		return trib_ctx(err, "making the published log again");
	return trib_tiles_publish(h, log_key, err);
}

/* ---- reading ---- */

/* The narrowest partial file that holds t->width entries; 0 when there is none. */
static unsigned wider(const char *hub_dir, const struct trib_tile *t)
{
	struct trib_tile one = *t;
	one.width = 1;
	TRIB_AUTO(trib_mem) char *path = tile_file(hub_dir, &one);
	if (!path)
		return 0;
	*strrchr(path, '/') = '\0';
	DIR *d = opendir(path);
	unsigned best = 0;
	for (const struct dirent *e; d && (e = readdir(d));) {
		char *end;
		unsigned long w = strtoul(e->d_name, &end, 10);
		if (*end == '\0' && w >= t->width && w < TRIB_TILE_WIDTH && (!best || w < best))
			best = (unsigned)w;
	}
	if (d)
		closedir(d);
	return best;
}

/* From a wider tile of the same place. */
static int read_cut(const char *hub_dir, struct trib_tile from, unsigned width, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = tile_file(hub_dir, &from);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_BUNDLE_LEAVES_MAX);
	if (!path)
		return oom(err);
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_span cut = trib_span(b.p, (size_t)width * TRIB_SHA256_LEN);
	if (from.entries ? !trib_tile_cut(trib_buf_span(&b), width, &cut) : b.len < cut.n)
		return trib_fail(err, TRIB_E_FORMAT, "%s is cut off; try: tributary-hub rebuild", path);
	trib_buf_put_span(ret, cut);
	return trib_buf_check(ret, "tile", err);
}

int trib_tiles_read(const char *hub_dir, const struct trib_tile *t, struct trib_buf *ret, struct trib_err *err)
{
	struct trib_tile from = *t;
	/* The keeper takes a partial tile away when a wider one is published: looking again finds that. */
	for (int tries = 0; tries < 3; tries++) {
		from.width = t->width;
		if (read_cut(hub_dir, from, t->width, ret, err) == 0)
			return 0;
		if (err->code != TRIB_E_NOT_FOUND)
			return -1;
		from.width = TRIB_TILE_WIDTH;
		if (t->width < TRIB_TILE_WIDTH && read_cut(hub_dir, from, t->width, ret, err) == 0)
			return 0;
		from.width = t->width < TRIB_TILE_WIDTH ? wider(hub_dir, t) : 0;
		if (!from.width)
			break;
		if (read_cut(hub_dir, from, t->width, ret, err) == 0)
			return 0;
	}
	return trib_fail(err, TRIB_E_NOT_FOUND, "the published log does not reach so far");
}

int trib_tiles_shown(struct trib_hubdb *h, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "log/checkpoint");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX), bytes = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_checkpoint cp;
	struct trib_leaf leaf;
	struct trib_err none;
	uint64_t size;
	if (!path)
		return oom(err);
	if (trib_log_size(h, &size, err))
		return -1;
	if (trib_fs_read(path, &note, &none) || trib_checkpoint_parse(trib_buf_span(&note), &cp, &none) || cp.size == 0 || cp.size > size ||
	    trib_log_leaf(h, cp.size - 1, &bytes, &none) || trib_leaf_parse(trib_buf_span(&bytes), &leaf, &none))
		return 0;
	*ret = leaf.time;
	return 1;
}

static int read_note(const struct trib_hub *hub, const char *name, struct trib_buf *note, struct trib_checkpoint *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, name);
	if (!path)
		return oom(err);
	if (trib_fs_read(path, note, err)) {
		trib_buf_reset(note);
		return -1;
	}
	return trib_checkpoint_parse(trib_buf_span(note), ret, err) ? trib_ctx(err, "%s", path) : 0;
}

int trib_tiles_newest_note(const struct trib_hub *hub, struct trib_buf *note, struct trib_checkpoint *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf published = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint own, other;
	struct trib_err why;
	trib_buf_reset(note);
	int rc = read_note(hub, "checkpoint", note, &own, err);
	if (read_note(hub, "log/checkpoint", &published, &other, &why) == 0 && (rc || other.size > own.size)) {
		trib_buf_reset(note);
		trib_buf_put_span(note, trib_buf_span(&published));
		rc = trib_buf_check(note, "checkpoint", err) ? -1 : trib_checkpoint_parse(trib_buf_span(note), &own, err);
	}
	if (rc)
		return -1;
	*ret = own;
	return 0;
}

/* ---- texts named by their hash ---- */

static char *named_file(const char *hub_dir, const uint8_t sha256[TRIB_SHA256_LEN])
{
	char hex[TRIB_SHA256_HEX + 1];
	trib_hex(hex, sha256, TRIB_SHA256_LEN);
	return trib_pathf("%s/log/named/%s", hub_dir, hex);
}

int trib_named_write(const struct trib_hub *hub, struct trib_span text, uint8_t ret_sha256[TRIB_SHA256_LEN], struct trib_err *err)
{
	uint8_t sha[TRIB_SHA256_LEN];
	trib_sha256(sha, text);
	TRIB_AUTO(trib_mem) char *dir = trib_hub_path(hub, "log/named");
	TRIB_AUTO(trib_mem) char *path = named_file(hub->dir, sha);
	if (!dir || !path)
		return oom(err);
	if (text.n > TRIB_NAMED_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a text of %zu bytes is too long to stand beside the log", text.n);
	if (trib_fs_mkdirs(dir, 0700, err) || trib_fs_write(path, text, 0600, err))
		return -1;
	memcpy(ret_sha256, sha, sizeof(sha));
	return 0;
}

int trib_named_read(const char *hub_dir, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = named_file(hub_dir, sha256);
	uint8_t sha[TRIB_SHA256_LEN];
	if (!path)
		return oom(err);
	size_t at = ret->len;
	if (trib_fs_read(path, ret, err))
		return -1;
	trib_sha256(sha, trib_span(ret->p + at, ret->len - at));
	return memcmp(sha, sha256, sizeof(sha)) == 0 ? 0 : trib_fail(err, TRIB_E_VERIFY, "%s is not the text that the log names", path);
}
