/* The published log: what auditors and offices fetch must be what hub.db holds. A cache, and so a finding that `rebuild` mends; but whoever was served a
 * false file was lied to. */
#include <dirent.h>

#include "hub/audit_impl.h"
#include "hub/tiles.h"

struct wrong { uint64_t n; char first[TRIB_TILE_PATH_MAX]; };

static int check_tile(struct trib_audit *a, const struct trib_tile *t, struct wrong *w, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf is = TRIB_BUF(TRIB_BUNDLE_LEAVES_MAX), should = TRIB_BUF(TRIB_BUNDLE_LEAVES_MAX);
	struct trib_err why;
	if (trib_tiles_make(&a->db, t, &should, err)) /* damage to hub.db is named by the log step */
		return TRIB_OWN_TROUBLE(err->code) ? -1 : 0;
	if (trib_tiles_read(a->hub->dir, t, &is, &why) && TRIB_OWN_TROUBLE(why.code)) {
		*err = why;
		return -1;
	}
	if (!trib_span_eq(trib_buf_span(&is), trib_buf_span(&should)) && w->n++ == 0)
		trib_tile_path(w->first, t);
	return 0;
}

static int check_row(struct trib_audit *a, struct trib_tile t, uint64_t size, struct wrong *w, struct trib_err *err)
{
	for (t.n = 0; (t.width = trib_tile_filled(&t, size)) > 0; t.n++)
		if (check_tile(a, &t, w, err))
			return -1;
	return 0;
}

/* Whatever lies below `rel` of DIR/log, as far as this log goes. */
static int check_there(struct trib_audit *a, const char *rel, struct wrong *w, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/log/%s", a->hub->dir, rel);
	struct trib_tile t;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_tile_parse(trib_span_str(rel), &t))
		return trib_tile_filled(&t, a->size) < t.width ? 0 : check_tile(a, &t, w, err);
	DIR *d = opendir(path);
	int rc = 0;
	for (const struct dirent *e; d && !rc && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		TRIB_AUTO(trib_mem) char *sub = trib_path(rel, e->d_name);
		rc = sub ? check_there(a, sub, w, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	if (d)
		closedir(d);
	return rc;
}

/* Those of a published log of `size` leaves; 0: no checkpoint says how many, so what is there is looked at. */
static int check_tiles(struct trib_audit *a, uint64_t size, struct trib_err *err)
{
	struct wrong w = {0};
	struct trib_where at = {0};
	if (!size && check_there(a, "tile", &w, err))
		return -1;
	if (check_row(a, (struct trib_tile){.entries = true}, size, &w, err))
		return -1;
	for (unsigned level = 0; level <= TRIB_TILE_LEVEL_MAX && size >> (8 * level); level++)
		if (check_row(a, (struct trib_tile){.level = level}, size, &w, err))
			return -1;
	return w.n ? trib_audit_find(a, &at, err, "%llu files of the published log are not what the log holds, the first is log/%s; try: tributary-hub rebuild",
				     (unsigned long long)w.n, w.first) :
		     0;
}

/* The published checkpoint; *ret_size: as far as it goes, and this log does. */
static int check_checkpoint(struct trib_audit *a, const char *path, uint64_t *ret_size, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_where w = {0};
	struct trib_checkpoint cp;
	struct trib_err why;
	uint8_t root[TRIB_SHA256_LEN];
	if (trib_fs_read(path, &note, &why) || trib_checkpoint_parse(trib_buf_span(&note), &cp, &why))
		return trib_audit_find(a, &w, err, "the published checkpoint: %s; try: tributary-hub rebuild", why.msg);
	if (trib_audit_note(a, trib_buf_span(&note), &cp, &why))
		return trib_audit_find(a, &w, err, "the published checkpoint: %s", why.msg);
	if (cp.size > a->size) {
		int grown = trib_audit_grown(a, cp.size, cp.root, err);
		if (grown > 0)
			*ret_size = a->size;
		return grown ? (grown < 0 ? -1 : 0) :
			       trib_audit_find(a, &w, err, "the published checkpoint of %llu leaves is of another log than hub.db, which has %llu", (unsigned long long)cp.size,
					       (unsigned long long)a->size);
	}
	if (trib_audit_root(a, cp.size, root, err))
		return -1;
	if (memcmp(root, cp.root, sizeof(root)) != 0)
		return trib_audit_find(a, &w, err, "the published checkpoint of %llu leaves is of another log than hub.db", (unsigned long long)cp.size);
	*ret_size = cp.size;
	return 0;
}

int trib_audit_published(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(a->hub, "log/checkpoint");
	uint64_t size = 0;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!a->has_pub)
		return 0;
	if (trib_fs_exists(path)) /* written when `serve` starts */
		return check_checkpoint(a, path, &size, err) || (size && check_tiles(a, size, err)) ? -1 : 0;
	return check_tiles(a, 0, err);
}
