#include "agent/capture/measure.h"

#include "agent/capture/pending.h"
#include "agent/capture/source.h"
#include "core/base/clock.h"
#include "core/format/gzip.h"
#include "core/trust/hash.h"

#define PIECE (64 * TRIB_KIB)
#define BUSY_MS 5000
/* The first commit reads, hashes, compresses and writes everything, judges what it made and keeps the baseline. For small rows that took 3.3 times what the
 * sample took a byte, for large values 1.8 times (22 MiB, 300,000 rows; 23 MiB, 300 rows). */
#define WORK_FACTOR 3

static uint64_t now_us(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Pieces at even distances. What lies only in the -wal is not in the file yet: those pieces are left out. */
static int read_sample(sqlite3_file *f, uint64_t bytes, struct trib_buf *ret, struct trib_err *err)
{
	sqlite3_int64 there = 0;
	if (f->pMethods->xFileSize(f, &there))
		return trib_fail(err, TRIB_E_DB, "the size of the database file cannot be read");
	uint64_t size = there > 0 ? (uint64_t)there : 0, piece = size < PIECE ? size : PIECE;
	uint64_t n = piece ? (size < bytes ? size : bytes) / piece : 0, most = TRIB_MEASURE_BYTES / PIECE;
	n = n > most ? most : n;
	for (uint64_t i = 0; i < n; i++) {
		uint8_t *to = trib_buf_grow(ret, piece);
		if (!to)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		int rc = f->pMethods->xRead(f, to, (int)piece, (sqlite3_int64)(size / n * i));
		if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) /* short: the file was cut meanwhile, the rest is zeros */
			return trib_fail(err, TRIB_E_DB, "the database file cannot be read (SQLite's code %d)", rc);
	}
	return 0;
}

static int sizes(sqlite3 *db, struct trib_measure *m, struct trib_err *err)
{
	int64_t size, count;
	if (trib_db_int(db, "PRAGMA page_size", 0, &size, err) || trib_db_int(db, "PRAGMA page_count", 0, &count, err))
		return -1;
	m->page_size = (uint64_t)size;
	m->pages = (uint64_t)count;
	m->bytes = m->page_size * m->pages;
	return 0;
}

/* What the first commit will do with each byte, tried with the sample. */
static int try_sample(const struct trib_buf *sample, uint64_t start, struct trib_measure *m, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(2 * TRIB_MEASURE_BYTES);
	uint8_t hash[TRIB_SHA256_LEN];
	if (trib_gzip(trib_buf_span(sample), &gz, err))
		return -1;
	for (int i = 0; i < 2; i++)
		trib_sha256(hash, trib_buf_span(sample));
	m->sample_us = now_us() - start;
	m->sampled = sample->len;
	double part = m->sampled ? (double)m->bytes / (double)m->sampled : 0;
	m->history_bytes = (uint64_t)(part * (double)gz.len);
	m->seconds = 1 + (uint64_t)(part * WORK_FACTOR * (double)m->sample_us / 1e6);
	return 0;
}

int trib_capture_measure(const char *db_path, struct trib_measure *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_source) struct trib_source src = TRIB_SOURCE_INIT;
	TRIB_AUTO(trib_buf) struct trib_buf sample = TRIB_BUF(TRIB_MEASURE_BYTES);
	struct trib_measure m = {0};
	if (trib_source_open(db_path, BUSY_MS, &src, err) || sizes(src.db, &m, err))
		return -1;
	sqlite3_file *f = trib_source_file(&src);
	if (!f || !f->pMethods)
		return trib_fail(err, TRIB_E_DB, "database %s cannot be read directly", db_path);
	trib_source_pause(&src); /* no writer waits for an estimate */
	uint64_t start = now_us();
	if (read_sample(f, m.bytes, &sample, err) || try_sample(&sample, start, &m, err))
		return trib_ctx(err, "measuring %s", db_path);
	*ret = m;
	return 0;
}

static void image_cleanup(unsigned char **p) { sqlite3_free(*p); }

int trib_measure_memory(sqlite3 *db, struct trib_measure *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sample = TRIB_BUF(TRIB_MEASURE_BYTES);
	struct trib_measure m = {0};
	sqlite3_int64 size = 0;
	if (sizes(db, &m, err))
		return -1;
	uint64_t start = now_us();
	TRIB_AUTO(image) unsigned char *image = sqlite3_serialize(db, "main", &size, 0);
	if (!image || size < 0)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_buf_put(&sample, image, (uint64_t)size < TRIB_MEASURE_BYTES ? (size_t)size : TRIB_MEASURE_BYTES);
	if (trib_buf_check(&sample, "a sample", err) || try_sample(&sample, start, &m, err))
		return -1;
	*ret = m;
	return 0;
}
