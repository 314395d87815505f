#include "agent/capture/raw.h"

/* Page size and count as SQLite takes them: the header's count, unless an old program left it behind. */
static bool shape(sqlite3_file *f, struct trib_raw *ret)
{
	uint8_t head[100];
	sqlite3_int64 size;
	if (f->pMethods->xRead(f, head, sizeof(head), 0) || f->pMethods->xFileSize(f, &size))
		return false;
	uint32_t page = trib_be16(head + 16), count = trib_be32(head + 28);
	page = page == 1 ? 65536 : page;
	if (page < 512 || page & (page - 1) || size / page > UINT32_MAX)
		return false;
	if (!count || memcmp(head + 24, head + 92, 4) != 0)
		count = (uint32_t)(size / page);
	*ret = (struct trib_raw){.file = f, .page_size = page, .page_count = count};
	return count != 0;
}

struct locked {
	struct trib_source *src;
	struct trib_delta *d;
};

static int lock(void *ctx, struct trib_raw *ret_from, enum trib_raw_end *ret, struct trib_err *err)
{
	struct locked *l = ctx;
	uint8_t format[2];
	sqlite3_file *f = trib_source_file(l->src);
	trib_source_await_end(l->src->path);
	if (trib_source_resume(l->src, err))
		return -1;
	trib_source_mark(l->src, NULL, 0, &l->d->mark);
	if (!f || !shape(f, ret_from))
		*ret = TRIB_RAW_REFUSED;
	else if (f->pMethods->xRead(f, format, sizeof(format), 18) || format[0] == 2 || format[1] == 2)
		*ret = TRIB_RAW_MOVED; /* to WAL mode, where the file is not all */
	return 0;
}

static void unlock(void *ctx)
{
	struct locked *l = ctx;
	trib_source_pause(l->src);
}

int trib_raw_locked(struct trib_source *src, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err)
{
	struct trib_raw from;
	struct locked l = {src, d};
	const struct trib_raw_window w = {lock, unlock, &l};
	struct trib_err first;
	sqlite3_file *f = trib_source_file(src);
	*ret = TRIB_RAW_REFUSED;
	if (!f || !shape(f, &from))
		return 0;
	trib_source_pause(src);
	/* The first look may find a page half written, or the end of a file that becomes shorter: then the second one sees all pages for the first time. */
	if (trib_raw_scan(&from, base, d, ret, &first) || *ret != TRIB_RAW_DONE) {
		if (trib_raw_nothing(&from, d, err))
			return -1;
	}
	return trib_raw_again(&w, base, d, ret, err);
}

int trib_raw_optimistic(struct trib_source *src, const struct trib_mark *m, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret,
			struct trib_err *err)
{
	struct trib_raw from;
	struct trib_mark now;
	sqlite3_file *f = trib_source_file(src);
	*ret = TRIB_RAW_REFUSED;
	if (!f || !m->set || !shape(f, &from))
		return 0;
	trib_source_pause(src);
	from.path = src->path;
	from.still = m;
	trib_source_leave_tick(m->mtime_s, m->mtime_ns);
	int rc = trib_raw_scan(&from, base, d, ret, err);
	struct trib_err scan = *err;
	if (trib_source_resume(src, err))
		return -1;
	trib_source_mark(src, NULL, 0, &now);
	if (!trib_mark_same(m, &now) || trib_source_moved(src)) {
		*ret = TRIB_RAW_MOVED; /* also when reading failed: a file in motion may be cut short */
		return 0;
	}
	if (rc)
		*err = scan;
	return rc;
}
