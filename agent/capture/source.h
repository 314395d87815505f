/* source.h: the live database, opened so that nothing of it changes (D4.1); internal to agent/capture.
 *
 * Read-only, through a VFS that creates and deletes no file. A WAL database without -wal is read with immutable=1 and judged again
 * at the end; everything else under SQLite's own read lock. This process never opens the live file by a descriptor of its own:
 * closing one would drop every POSIX lock that SQLite holds on it. */
#ifndef TRIB_CAPTURE_SOURCE_H
#define TRIB_CAPTURE_SOURCE_H

#include <sys/stat.h>

#include "agent/capture/mark.h"
#include "core/store/db.h"

struct trib_source {
	sqlite3 *db;     /* inside a read transaction */
	char *path;      /* resolved */
	bool immutable;
	bool wal;        /* in WAL mode, with a -wal in use */
	int busy_ms;
	struct stat st;  /* as it was before reading, when immutable */
};
#define TRIB_SOURCE_INIT ((struct trib_source){0})

/* TRIB_E_NOT_FOUND, TRIB_E_LOCKED (after about busy_ms), TRIB_E_SCHEMA (not a database, or cut short). */
int trib_source_open(const char *path, int busy_ms, struct trib_source *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* True when an immutable source was written to meanwhile: what was read counts for nothing. */
bool trib_source_moved(const struct trib_source *s);
/* SQLite's own file object; NULL when it gives none. Lives as long as the source. */
sqlite3_file *trib_source_file(const struct trib_source *s);
/* Ends the read transaction and its lock; begins another one (waiting for a writer as opening does). */
void trib_source_pause(struct trib_source *s);
int trib_source_resume(struct trib_source *s, struct trib_err *err) TRIB_MUST_CHECK;
/* What the file is known by now; inside a read transaction. WAL: `salts` (8 bytes) and `frames` of the transaction's wal-index header, else NULL, 0.
 * Not set when the file was replaced under its name. */
void trib_source_mark(const struct trib_source *s, const uint8_t *salts, uint32_t frames, struct trib_mark *ret);
/* Waits until a write would give the file another time than this one: the kernel's tick is some milliseconds, that of old file systems up to 2 s. */
void trib_source_leave_tick(int64_t mtime_s, int64_t mtime_ns);
/* Waits until no program has written the file or its -journal for a moment, at most until `deadline` (trib_mono_ms). Takes no lock; returns at once when
 * there is a -wal, which readers do not disturb. */
void trib_source_await_pause(const char *path, int64_t deadline);
/* Waits for the end of a transaction under way, some milliseconds at most: the longest time until a program's next one. */
void trib_source_await_end(const char *path);
void trib_source_close(struct trib_source *s);
static inline void trib_source_cleanup(struct trib_source *s) { trib_source_close(s); }

#endif
