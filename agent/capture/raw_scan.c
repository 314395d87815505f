#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/capture/kept.h"
#include "agent/capture/raw.h"

#define CHUNK TRIB_MIB /* a multiple of every page size */
#define RING 2         /* chunks of both files: 4 MiB */
#define ALONE_MAX (4 * TRIB_MIB) /* below, a thread costs more than it saves */

struct chunk {
	uint8_t *p, *was;         /* the live file's, the baseline's */
	uint32_t first, n, known; /* pages; known of them may be equal in the baseline */
	enum { BASE_MISSING, BASE_COMING, BASE_HERE } base;
};

/* What compares and keeps. One thread at a time is in it. */
struct keeper {
	const struct trib_base *base;
	struct trib_delta *d;
	uint32_t page_size, room; /* of d->pgno and d->offset */
	uint8_t *out;             /* slots not yet written to the file */
	size_t nout;
	uint64_t out_at;          /* their place there */
	/* A second look: pages kept by the first one, and how far into them we are. What differs from the first look is kept. */
	const struct trib_delta *seen;
	uint32_t seen_at;
	uint8_t *slot;            /* one page */
};

struct pipe {
	struct keeper k;
	struct chunk ring[RING];
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool threaded;
	unsigned made, used; /* chunks; under mutex when threaded, as the next two */
	bool closed, failed;
	struct trib_err err; /* when failed */
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- comparing and keeping ---- */

static int flush(struct keeper *k, struct trib_err *err)
{
	if (k->nout && trib_fs_pwrite_all(k->d->fd, k->out, k->nout, (off_t)k->out_at, err))
		return trib_ctx(err, "writing %s", k->d->path);
	k->nout = 0;
	return 0;
}

static int more_room(struct keeper *k, struct trib_err *err)
{
	struct trib_delta *d = k->d;
	if (d->nchanged < k->room)
		return 0;
	uint32_t room = k->room > UINT32_MAX / 2 ? UINT32_MAX : k->room ? k->room * 2 : 1024;
	uint32_t *pgno = reallocarray(d->pgno, room, sizeof(*pgno));
	if (!pgno)
		return oom(err);
	d->pgno = pgno;
	uint64_t *offset = reallocarray(d->offset, room, sizeof(*offset));
	if (!offset)
		return oom(err);
	d->offset = offset;
	k->room = room;
	return 0;
}

/* Room for the next slot among those that go to the file. */
static uint8_t *slot_of_file(struct keeper *k, uint64_t at, struct trib_err *err)
{
	size_t slot = TRIB_SLOT_HEAD + (size_t)k->page_size;
	if (k->nout + slot > CHUNK && flush(k, err))
		return NULL;
	if (!k->nout)
		k->out_at = at;
	k->nout += slot;
	return k->out + k->nout - slot;
}

static int keep(struct keeper *k, uint32_t pgno, const uint8_t *page, struct trib_err *err)
{
	struct trib_delta *d = k->d;
	if (more_room(k, err))
		return -1;
	uint64_t at = TRIB_PENDING_HEAD + (uint64_t)d->nslots * (TRIB_SLOT_HEAD + k->page_size);
	bool full;
	uint8_t *to = trib_kept_slot(d, k->page_size, &full);
	if (!to && !full)
		return oom(err);
	if (!to && !(to = slot_of_file(k, at, err)))
		return -1;
	memset(to, 0, TRIB_SLOT_HEAD);
	trib_put_be32(to, pgno);
	memcpy(to + TRIB_SLOT_HEAD, page, k->page_size);
	d->pgno[d->nchanged] = pgno;
	d->offset[d->nchanged++] = at + TRIB_SLOT_HEAD;
	d->nslots++;
	return 0;
}

static void set_chunk(struct chunk *c, const struct trib_base *b, uint32_t page_size, uint64_t first, uint32_t n)
{
	c->first = (uint32_t)first;
	c->n = n;
	c->known = 0;
	if (b->page_size == page_size && first <= b->page_count)
		c->known = b->page_count - c->first + 1 < n ? b->page_count - c->first + 1 : n;
	c->base = c->known ? BASE_MISSING : BASE_HERE;
}

static int read_base(const struct keeper *k, const struct chunk *c, struct trib_err *err)
{
	if (trib_fs_pread_all(k->base->fd, c->was, (size_t)c->known * k->page_size, (off_t)((uint64_t)(c->first - 1) * k->page_size), err))
		return trib_ctx(err, "reading the baseline");
	return 0;
}

/* Is the page as the first look found it? Without one: as the baseline has it. */
static int is_same(struct keeper *k, const struct chunk *c, uint32_t i, bool *ret, struct trib_err *err)
{
	size_t at = (size_t)i * k->page_size;
	uint32_t pgno = c->first + i;
	const struct trib_delta *s = k->seen;
	while (s && k->seen_at < s->nchanged && s->pgno[k->seen_at] < pgno)
		k->seen_at++;
	if (!s || k->seen_at == s->nchanged || s->pgno[k->seen_at] != pgno) {
		*ret = i < c->known && trib_same_page(pgno, c->was + at, c->p + at, k->page_size);
		return 0;
	}
	if (trib_kept_at(k->d, s->offset[k->seen_at], k->page_size, k->slot, err))
		return trib_ctx(err, "reading %s", k->d->path);
	*ret = memcmp(k->slot, c->p + at, k->page_size) == 0;
	return 0;
}

static int compare(struct keeper *k, const struct chunk *c, bool read, struct trib_err *err)
{
	uint32_t lock_page = (uint32_t)(TRIB_LOCK_BYTE_AT / k->page_size) + 1;
	if (read && read_base(k, c, err))
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t pgno = c->first + i;
		bool same = pgno == lock_page;
		if (!same && is_same(k, c, i, &same, err))
			return -1;
		if (!same && keep(k, pgno, c->p + (size_t)i * k->page_size, err))
			return -1;
	}
	return 0;
}

/* ---- two threads ---- */

static void *compare_all(void *arg)
{
	struct pipe *p = arg;
	struct trib_err err;
	pthread_mutex_lock(&p->mutex);
	for (;;) {
		while (p->made == p->used && !p->closed)
			pthread_cond_wait(&p->cond, &p->mutex);
		if (p->made == p->used)
			break;
		const struct chunk *c = &p->ring[p->used % RING];
		while (c->base == BASE_COMING)
			pthread_cond_wait(&p->cond, &p->mutex);
		bool skip = p->failed, read = c->base == BASE_MISSING;
		pthread_mutex_unlock(&p->mutex);
		int rc = skip ? 0 : compare(&p->k, c, read, &err);
		pthread_mutex_lock(&p->mutex);
		if (rc) {
			p->failed = true;
			p->err = err;
		}
		p->used++;
		pthread_cond_signal(&p->cond);
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

/* One that waits behind the chunk that is being compared, without its half of the baseline; NULL: there is none. */
static struct chunk *in_need(struct pipe *p)
{
	for (unsigned i = p->made - 1; i != p->used; i--)
		if (p->ring[i % RING].base == BASE_MISSING)
			return &p->ring[i % RING];
	return NULL;
}

/* The chunk that may be filled now. While there is none, the baseline is read for the other thread; what fails here will fail there. */
static struct chunk *next_chunk(struct pipe *p)
{
	if (!p->threaded)
		return &p->ring[0]; /* `made` stays 0 */
	pthread_mutex_lock(&p->mutex);
	while (p->made - p->used == RING) {
		struct trib_err ignored;
		struct chunk *c = in_need(p);
		if (!c) {
			pthread_cond_wait(&p->cond, &p->mutex);
			continue;
		}
		c->base = BASE_COMING;
		pthread_mutex_unlock(&p->mutex);
		bool here = !read_base(&p->k, c, &ignored);
		pthread_mutex_lock(&p->mutex);
		c->base = here ? BASE_HERE : BASE_MISSING;
		pthread_cond_signal(&p->cond);
	}
	pthread_mutex_unlock(&p->mutex);
	return &p->ring[p->made % RING];
}

static int hand_over(struct pipe *p, struct trib_err *err)
{
	bool failed;
	if (!p->threaded)
		return compare(&p->k, &p->ring[0], p->ring[0].known > 0, err);
	pthread_mutex_lock(&p->mutex);
	p->made++;
	failed = p->failed;
	pthread_cond_signal(&p->cond);
	pthread_mutex_unlock(&p->mutex);
	return failed ? -1 : 0; /* the error is collected at the end */
}

static int pipe_start(struct pipe *p, bool two, struct trib_err *err)
{
	p->k.out = malloc(CHUNK + TRIB_SLOT_HEAD);
	p->k.slot = p->k.seen ? malloc(p->k.page_size) : NULL;
	bool ok = p->k.out && (p->k.slot || !p->k.seen);
	/* The kernel copies fastest to where a page begins, and to large pages. */
	for (int i = 0; i < (two ? RING : 1) && ok; i++) {
		ok = (p->ring[i].p = aligned_alloc(2 * CHUNK, 2 * CHUNK)) != NULL;
		p->ring[i].was = p->ring[i].p + CHUNK;
		if (ok && two)
			(void)madvise(p->ring[i].p, 2 * CHUNK, MADV_HUGEPAGE);
	}
	if (!ok)
		return oom(err);
	if (pthread_mutex_init(&p->mutex, NULL) || pthread_cond_init(&p->cond, NULL))
		return trib_fail(err, TRIB_E_NOMEM, "no lock for a second thread");
	p->threaded = two && pthread_create(&p->thread, NULL, compare_all, p) == 0;
	return 0;
}

/* Waits for the second thread; its error goes before a later one. */
static int pipe_end(struct pipe *p, int rc, struct trib_err *err)
{
	if (p->threaded) {
		pthread_mutex_lock(&p->mutex);
		p->closed = true;
		pthread_cond_signal(&p->cond);
		pthread_mutex_unlock(&p->mutex);
		pthread_join(p->thread, NULL);
		if (p->failed) {
			*err = p->err;
			rc = -1;
		}
	}
	if (!rc)
		rc = flush(&p->k, err);
	for (int i = 0; i < RING; i++)
		free(p->ring[i].p);
	free(p->k.out);
	free(p->k.slot);
	return rc;
}

/* ---- reading ---- */

static int read_file(const struct trib_raw *from, const struct chunk *c, enum trib_raw_end *ret, struct trib_err *err)
{
	sqlite3_int64 at = (sqlite3_int64)(c->first - 1) * from->page_size, size = 0;
	int rc = from->file->pMethods->xRead(from->file, c->p, (int)(c->n * from->page_size), at);
	if (rc == SQLITE_OK)
		return 0;
	if (rc != SQLITE_IOERR_SHORT_READ || from->file->pMethods->xFileSize(from->file, &size))
		return trib_fail(err, TRIB_E_IO, "page %u cannot be read (%s)", c->first, sqlite3_errstr(rc));
	for (uint32_t i = 0; i < c->n; i++)
		if (at + (sqlite3_int64)(i + 1) * from->page_size > size && !(from->frame && from->frame[c->first + i]))
			*ret = TRIB_RAW_REFUSED;
	return 0;
}

/* Page i of the chunk, if it is in the -wal. */
static int read_frame(const struct trib_raw *from, const struct chunk *c, uint32_t i, enum trib_raw_end *ret, struct trib_err *err)
{
	uint32_t frame = from->frame[c->first + i];
	sqlite3_int64 at = 32 + (sqlite3_int64)(frame - 1) * (24 + (sqlite3_int64)from->page_size) + 24;
	if (!frame)
		return 0;
	int rc = from->wal->pMethods->xRead(from->wal, c->p + (size_t)i * from->page_size, (int)from->page_size, at);
	if (rc == SQLITE_IOERR_SHORT_READ)
		*ret = TRIB_RAW_REFUSED;
	else if (rc)
		return trib_fail(err, TRIB_E_IO, "page %u cannot be read from the -wal (%s)", c->first + i, sqlite3_errstr(rc));
	return 0;
}

static int read_chunk(const struct trib_raw *from, const struct chunk *c, enum trib_raw_end *ret, struct trib_err *err)
{
	if (read_file(from, c, ret, err))
		return -1;
	for (uint32_t i = 0; i < c->n && from->frame; i++)
		if (read_frame(from, c, i, ret, err))
			return -1;
	return 0;
}

/* A reading that is overtaken need not go on. */
static bool moved(const struct trib_raw *from)
{
	struct stat st;
	return from->still && (stat(from->path, &st) || st.st_mtim.tv_sec != from->still->mtime_s || st.st_mtim.tv_nsec != from->still->mtime_ns);
}

/* The whole file, through the pipe. */
static int read_all(struct pipe *p, const struct trib_raw *from, enum trib_raw_end *ret, struct trib_err *err)
{
	uint32_t step = (uint32_t)(CHUNK / from->page_size);
	int rc = 0;
	for (uint64_t first = 1; first <= from->page_count && !rc && *ret == TRIB_RAW_DONE; first += step) {
		struct chunk *c = next_chunk(p);
		set_chunk(c, p->k.base, from->page_size, first, from->page_count - first + 1 < step ? (uint32_t)(from->page_count - first + 1) : step);
		rc = read_chunk(from, c, ret, err);
		if (!rc && moved(from))
			*ret = TRIB_RAW_MOVED;
		if (!rc && *ret == TRIB_RAW_DONE)
			rc = hand_over(p, err);
	}
	return rc;
}

static int empty_pages(struct trib_delta *d, struct trib_err *err)
{
	trib_kept_forget(d);
	if (ftruncate(d->fd, 0) || ftruncate(d->fd, TRIB_PENDING_HEAD))
		return trib_fail_errno(err, "emptying %s", d->path);
	return 0;
}

int trib_raw_nothing(const struct trib_raw *from, struct trib_delta *d, struct trib_err *err)
{
	struct keeper k = {.d = d};
	d->page_size = from->page_size;
	d->page_count = from->page_count;
	return empty_pages(d, err) || more_room(&k, err) ? -1 : 0;
}

int trib_raw_scan(const struct trib_raw *from, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err)
{
	if (empty_pages(d, err))
		return -1;
	struct pipe p = {.k = {.base = base, .d = d, .page_size = from->page_size}};
	int rc = pipe_start(&p, (uint64_t)from->page_count * from->page_size > ALONE_MAX, err);
	*ret = TRIB_RAW_DONE;
	if (!rc)
		rc = read_all(&p, from, ret, err);
	if (pipe_end(&p, rc, err))
		return -1;
	d->page_size = from->page_size;
	d->page_count = d->nread = from->page_count;
	return more_room(&p.k, err); /* never NULL arrays */
}

/* ---- the second look ---- */

/* *d holds what the second look kept, *seen what the first one did: together, the second one where both have a page. */
static int merge(struct trib_delta *d, const struct trib_delta *seen, struct trib_err *err)
{
	size_t room = (size_t)d->nchanged + seen->nchanged + 1;
	uint32_t *pgno = calloc(room, sizeof(*pgno)), n = 0, j = 0;
	uint64_t *offset = calloc(room, sizeof(*offset));
	int rc = pgno && offset ? 0 : oom(err);
	for (uint32_t i = 0; !rc && (i < d->nchanged || j < seen->nchanged);) {
		bool old = i == d->nchanged || (j < seen->nchanged && seen->pgno[j] < d->pgno[i]);
		if (!old && j < seen->nchanged && seen->pgno[j] == d->pgno[i])
			rc = trib_kept_void(d, seen->offset[j++], err);
		else if (old && seen->pgno[j] > d->page_count) { /* the file has become shorter */
			rc = trib_kept_void(d, seen->offset[j++], err);
			continue;
		}
		pgno[n] = old ? seen->pgno[j] : d->pgno[i];
		offset[n++] = old ? seen->offset[j++] : d->offset[i++];
	}
	free(d->pgno);
	free(d->offset);
	d->pgno = pgno;
	d->offset = offset;
	d->nchanged = n;
	return rc;
}

static int look_again(const struct trib_raw_window *w, struct trib_delta *d, struct pipe *p, enum trib_raw_end *ret, struct trib_err *err)
{
	struct trib_raw from;
	*ret = TRIB_RAW_DONE;
	if (w->begin(w->ctx, &from, ret, err))
		return -1;
	int rc = 0;
	if (*ret == TRIB_RAW_DONE && from.page_size != p->k.page_size)
		*ret = TRIB_RAW_MOVED;
	if (*ret == TRIB_RAW_DONE)
		rc = read_all(p, &from, ret, err);
	w->end(w->ctx); /* the other thread may still compare, and write */
	if (*ret == TRIB_RAW_DONE)
		d->page_count = from.page_count;
	return rc;
}

int trib_raw_again(const struct trib_raw_window *w, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err)
{
	struct trib_delta seen = *d;
	d->pgno = NULL;
	d->offset = NULL;
	d->nchanged = 0;
	struct pipe p = {.k = {.base = base, .d = d, .page_size = d->page_size, .seen = &seen}};
	int rc = pipe_start(&p, (uint64_t)d->page_count * d->page_size > ALONE_MAX, err);
	/* A first touch of memory takes longer than what is read into it. */
	for (int i = 0; i < RING && p.ring[i].p && !rc; i++)
		memset(p.ring[i].p, 0, 2 * CHUNK);
	if (!rc)
		rc = look_again(w, d, &p, ret, err);
	if (pipe_end(&p, rc, err) || (*ret == TRIB_RAW_DONE && merge(d, &seen, err)))
		rc = -1;
	free(seen.pgno);
	free(seen.offset);
	d->nread = d->page_count;
	return rc;
}

int trib_raw_look(const struct trib_raw *from, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err)
{
	uint32_t lock_page = (uint32_t)(TRIB_LOCK_BYTE_AT / from->page_size) + 1, looked = 0;
	if (empty_pages(d, err))
		return -1;
	struct pipe p = {.k = {.base = base, .d = d, .page_size = from->page_size}};
	int rc = pipe_start(&p, false, err);
	*ret = TRIB_RAW_DONE;
	for (uint64_t pgno = 1; pgno <= from->page_count && !rc && *ret == TRIB_RAW_DONE; pgno++) {
		struct chunk c = p.ring[0];
		set_chunk(&c, base, from->page_size, pgno, 1);
		if (!from->frame[pgno]) {
			if (pgno > base->page_count && pgno != lock_page)
				*ret = TRIB_RAW_REFUSED; /* a page that never was written */
			continue;
		}
		rc = read_frame(from, &c, 0, ret, err);
		if (!rc && *ret == TRIB_RAW_DONE)
			rc = compare(&p.k, &c, c.known > 0, err);
		looked++;
	}
	if (pipe_end(&p, rc, err))
		return -1;
	d->page_size = from->page_size;
	d->page_count = from->page_count;
	d->nread = looked;
	return more_room(&p.k, err);
}
