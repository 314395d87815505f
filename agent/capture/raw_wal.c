#include "agent/capture/raw.h"

#define PIN_TRIES 500   /* a header read twice takes microseconds, a commit of a busy program a millisecond */
#define READ_TRIES 1000
#define INDEX_REGION 32768
#define INDEX_VERSION 3007000
#define HDR 48

/* The wal-index header as SQLite holds it in memory: native numbers, salts as bytes. */
struct index_hdr {
	uint32_t version, unused, change;
	uint8_t is_init, big_end;
	uint16_t page_size;
	uint32_t frames, pages, frame_sum[2];
	uint8_t salts[8];
	uint32_t sum[2];
};
_Static_assert(sizeof(struct index_hdr) == HDR, "as in SQLite's wal.c");

/* Both copies, equal: a writer changes one after the other. False when this file object has no shared memory, or no quiet moment came. */
static bool read_hdr(sqlite3_file *f, struct index_hdr *ret)
{
	volatile void *at = NULL;
	struct index_hdr a, b;
	if (f->pMethods->iVersion < 2 || !f->pMethods->xShmMap || f->pMethods->xShmMap(f, 0, INDEX_REGION, 0, &at) || !at)
		return false;
	for (int i = 0; i < READ_TRIES; i++) {
		memcpy(&a, (const void *)at, HDR);
		f->pMethods->xShmBarrier(f);
		memcpy(&b, (const uint8_t *)at + HDR, HDR);
		f->pMethods->xShmBarrier(f);
		if (memcmp(&a, &b, HDR) == 0 && a.is_init) {
			*ret = a;
			return true;
		}
	}
	return false;
}

static bool plausible(const struct index_hdr *h, struct trib_walhdr *ret)
{
	uint32_t size = (h->page_size & 0xfe00u) + ((h->page_size & 1u) << 16);
	if (h->version != INDEX_VERSION || size < 512 || size > 65536 || size & (size - 1) || !h->pages)
		return false;
	*ret = (struct trib_walhdr){.page_size = size, .frames = h->frames, .pages = h->pages};
	memcpy(ret->salts, h->salts, sizeof(ret->salts));
	memcpy(ret->sums, h->frame_sum, sizeof(ret->sums));
	return true;
}

/* Right behind the two headers: how many frames a checkpoint has copied into the file. */
static uint32_t backfill(sqlite3_file *f)
{
	volatile void *at = NULL;
	uint32_t n;
	if (f->pMethods->xShmMap(f, 0, INDEX_REGION, 0, &at) || !at)
		return 0;
	memcpy(&n, (const uint8_t *)at + 2 * HDR, sizeof(n));
	return n;
}

int trib_raw_wal_pin(struct trib_source *src, struct trib_walhdr *ret_hdr, enum trib_raw_end *ret, struct trib_err *err)
{
	sqlite3_file *f = trib_source_file(src);
	struct index_hdr before, after;
	*ret = TRIB_RAW_REFUSED;
	for (int i = 0; i < PIN_TRIES && f; i++) {
		trib_source_pause(src);
		bool seen = read_hdr(f, &before);
		if (trib_source_resume(src, err))
			return -1;
		if (!seen)
			return 0;
		if (read_hdr(f, &after) && memcmp(&before, &after, HDR) == 0) {
			*ret = plausible(&after, ret_hdr) ? TRIB_RAW_DONE : TRIB_RAW_REFUSED;
			ret_hdr->backfill = *ret == TRIB_RAW_DONE ? backfill(f) : 0;
			return 0;
		}
	}
	return 0; /* still inside a read transaction, which a backup can use */
}

/* Which frame after `after` holds each page: the last one of this transaction. *ret is MOVED when a frame is of another generation of the -wal. */
static int map_frames(sqlite3_file *wal, const struct trib_walhdr *h, uint32_t after, uint32_t *frame, enum trib_raw_end *ret, struct trib_err *err)
{
	for (uint32_t i = after + 1; i <= h->frames; i++) {
		uint8_t head[24];
		int rc = wal->pMethods->xRead(wal, head, sizeof(head), 32 + (sqlite3_int64)(i - 1) * (24 + (sqlite3_int64)h->page_size));
		if (rc && rc != SQLITE_IOERR_SHORT_READ)
			return trib_fail(err, TRIB_E_IO, "the -wal cannot be read (%s)", sqlite3_errstr(rc));
		if (rc || memcmp(head + 8, h->salts, 8) != 0) {
			*ret = TRIB_RAW_MOVED;
			return 0;
		}
		uint32_t pgno = trib_be32(head);
		if (!pgno) {
			*ret = TRIB_RAW_REFUSED;
			return 0;
		}
		if (pgno <= h->pages)
			frame[pgno] = i;
	}
	*ret = TRIB_RAW_DONE;
	return 0;
}

static bool salts_stand(sqlite3_file *f, const struct trib_walhdr *h, bool *ret_known)
{
	struct index_hdr now;
	*ret_known = read_hdr(f, &now);
	return *ret_known && memcmp(now.salts, h->salts, sizeof(now.salts)) == 0;
}

int trib_raw_wal(struct trib_source *src, const struct trib_walhdr *h, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret,
		 struct trib_err *err)
{
	sqlite3_file *f = trib_source_file(src), *wal = NULL;
	bool known;
	*ret = TRIB_RAW_REFUSED;
	if (!f || (h->frames && (sqlite3_file_control(src->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) || !wal || !wal->pMethods)))
		return 0;
	TRIB_AUTO(trib_mem) uint32_t *frame = calloc((size_t)h->pages + 1, sizeof(*frame));
	if (!frame)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	struct trib_raw from = {.file = f, .page_size = h->page_size, .page_count = h->pages, .wal = wal, .frame = frame};
	if (map_frames(wal, h, 0, frame, ret, err) || (*ret == TRIB_RAW_DONE && trib_raw_scan(&from, base, d, ret, err)))
		return -1;
	bool stand = salts_stand(f, h, &known);
	if (stand && *ret != TRIB_RAW_MOVED)
		return 0;
	*ret = TRIB_RAW_REFUSED; /* also frames of another generation though nobody began one: not what SQLite writes */
	if (stand || !known)
		return 0;
	/* The -wal was begun anew under us. SQLite allows that only when all of it is in the file and every reader knows (read mark 0),
	 * and then nobody writes to the file before we end: the file alone is our transaction's state. */
	from.wal = NULL;
	from.frame = NULL;
	return trib_raw_scan(&from, base, d, ret, err);
}

static bool same_file(const struct trib_mark *a, const struct trib_mark *b)
{
	return a->size == b->size && a->mtime_s == b->mtime_s && a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns;
}

/* Do the frames after those of `known` list all that was written since? The sum stored with a frame covers all frames before it: after a loss of power the
 * -wal may be recovered to less and go on with other frames under the same salts. */
static bool list_is_whole(sqlite3_file *wal, const struct trib_walhdr *h, const struct trib_mark *known, const struct trib_mark *now)
{
	uint8_t head[24];
	if (!known->set || !known->wal || !known->frames || known->frames > h->frames || known->dev != now->dev || known->ino != now->ino ||
	    memcmp(known->salts, h->salts, sizeof(known->salts)) != 0)
		return false;
	if (!same_file(known, now) && h->backfill <= known->backfill)
		return false; /* no checkpoint explains that the file was written */
	if (wal->pMethods->xRead(wal, head, sizeof(head), 32 + (sqlite3_int64)(known->frames - 1) * (24 + (sqlite3_int64)h->page_size)))
		return false;
	return memcmp(head + 8, h->salts, 8) == 0 && trib_be32(head + 16) == known->sums[0] && trib_be32(head + 20) == known->sums[1];
}

int trib_raw_wal_list(struct trib_source *src, const struct trib_walhdr *h, const struct trib_mark *known, const struct trib_base *base, struct trib_delta *d,
		      enum trib_raw_end *ret, struct trib_err *err)
{
	sqlite3_file *f = trib_source_file(src), *wal = NULL;
	bool known_hdr;
	*ret = TRIB_RAW_REFUSED;
	if (!f || base->fd < 0 || base->page_size != h->page_size || sqlite3_file_control(src->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) || !wal ||
	    !wal->pMethods || !d->mark.set || !list_is_whole(wal, h, known, &d->mark))
		return 0;
	TRIB_AUTO(trib_mem) uint32_t *frame = calloc((size_t)h->pages + 1, sizeof(*frame));
	if (!frame)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	const struct trib_raw from = {.file = f, .page_size = h->page_size, .page_count = h->pages, .wal = wal, .frame = frame};
	if (map_frames(wal, h, known->frames, frame, ret, err) || (*ret == TRIB_RAW_DONE && trib_raw_look(&from, base, d, ret, err)))
		return -1;
	if (!salts_stand(f, h, &known_hdr))
		*ret = TRIB_RAW_REFUSED; /* begun anew under us: frames may be of that one */
	if (*ret == TRIB_RAW_MOVED)
		*ret = TRIB_RAW_REFUSED;
	return 0;
}
