/* pending.h: the baseline, the pending file and the overlay that reads both as one database (D4.7).
 *
 * `pending` is written as `pending.tmp`, fsynced, and renamed: that rename is the commit point of a capture; every object of the
 * commits it names was fsynced before. It holds: header (magic, version, page size, new page count, number of pages, old and new tip of the
 * history, old and new tip of private.git (zeros), serialised tip), the changed pages, SHA-256 over everything before. Rolling forward is idempotent:
 * ref compare-and-swap, pages into the baseline, `tip` and `own` files, fsynced as one group, unlink pending. A ref that is neither old nor new is
 * TRIB_E_VERIFY. A pending.tmp is dropped on start. Layout: docs/FORMAT.md F12. */
#ifndef TRIB_PENDING_H
#define TRIB_PENDING_H

#include <sqlite3.h>

#include "agent/capture/mark.h"
#include "agent/state.h"

/* The pages of a new state that differ from the baseline: filled by the snapshot, kept in memory up to a limit (kept.h), beyond it in a file (state/pending.tmp). */
struct trib_delta {
	uint32_t page_size;
	uint32_t page_count;      /* of the new state */
	uint32_t base_page_size;  /* 0: there is no baseline */
	uint32_t base_page_count;
	uint32_t nchanged;        /* pages kept */
	uint32_t *pgno;           /* rising */
	uint64_t *offset;         /* place of each page in the pages file */
	uint8_t **block;          /* the first nmem pages with their slots: not in the file until trib_pending_commit */
	uint32_t nblocks, nmem;
	uint32_t nslots;          /* of pages kept one by one, those that became void with them */
	char *path;               /* the pages file: state/pending.tmp, header space reserved; NULL: none (fd means nothing then) */
	int fd;
	uint32_t nread;           /* pages read */
	const char *way;          /* how the snapshot was taken: wal-raw, wal-list, optimistic, locked, backup, skipped */
	struct trib_mark mark;    /* what the live file was known by then */
};
/* Also removes the pages file, unless trib_pending_commit has taken it over. */
void trib_delta_release(struct trib_delta *d);
static inline void trib_delta_cleanup(struct trib_delta *d) { trib_delta_release(d); }

/* Registers the VFSs "trib-sink" (compares what the backup API writes with the baseline and keeps differing pages)
 * and "trib-overlay" (read-only: baseline + kept pages). Idempotent. */
int trib_capture_vfs_register(struct trib_err *err) TRIB_MUST_CHECK;
/* How the live file is read (D4.1, D4.2). AUTO: in WAL mode raw under the read mark; in rollback mode, and for a WAL database that no program has
 * open, without a lock and checked afterwards, begun in a pause of the program (60 ms without a write). A program that never pauses is waited for: 20 s cost
 * a nightly run nothing, and a lock costs the program a wait or, without a busy timeout, SQLITE_BUSY. Only then raw under SHARED, for one reading of the
 * file from the page cache (raw.h). Through the backup API when SQLite grants none of these. */
enum trib_way { TRIB_WAY_AUTO, TRIB_WAY_WAL, TRIB_WAY_OPTIMISTIC, TRIB_WAY_LOCKED, TRIB_WAY_BACKUP };
struct trib_snapshot_opts {
	enum trib_way way;             /* one that does not fit the file is TRIB_E_USAGE */
	int64_t patience_ms;           /* rollback mode: how long to wait for a pause of the program before it is read under SHARED; 0: 20 s, in `watch` 0.5 s */
	const struct trib_known *known; /* "skipped": nothing was written; "wal-list": only pages that new frames of the -wal list were read; NULL: read all */
};
/* Finds the pages of the live database that differ from the baseline, with every rule of D4.1: the live file and its side files are left byte for
 * byte as they were (of a WAL database that a program has open, -shm carries our read mark). `opts` NULL: AUTO, always read.
 * TRIB_E_LOCKED (hot journal, EXCLUSIVE, busy beyond the budget: "open and close the program once"), TRIB_E_SCHEMA (not a database),
 * TRIB_E_NOT_FOUND. *ret_pages_read counts pages. */
int trib_snapshot_by(struct trib_state *s, const struct trib_snapshot_opts *opts, struct trib_delta *ret, uint64_t *ret_pages_read,
		     struct trib_err *err) TRIB_MUST_CHECK;
int trib_snapshot(struct trib_state *s, struct trib_delta *ret, uint64_t *ret_pages_read, struct trib_err *err) TRIB_MUST_CHECK;
/* Opens the old state (the baseline; an empty in-memory database when there is none) and the new state (overlay), read-only, hardened.
 * *d must outlive the connection. */
int trib_delta_open_old(struct trib_state *s, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_delta_open_new(struct trib_state *s, const struct trib_delta *d, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Completes pending.tmp with header and checksum, fsyncs, renames to `pending`. `old_tip`/`new_tip`: commit ids (old NULL = none). A zeroed
 * *d (a report: no snapshot was taken) commits no pages and leaves the baseline as it is. */
int trib_pending_commit(struct trib_state *s, struct trib_delta *d, const uint8_t *old_tip, const uint8_t new_tip[TRIB_OID_LEN],
			const struct trib_tip *tip, struct trib_err *err) TRIB_MUST_CHECK;
/* The same for both halves at once: private.git goes from `old_tip` (NULL: none) to tip->oid. `p` NULL: the private half stays. When only the private
 * half moves, new_tip is old_tip. */
struct trib_pending_private { const uint8_t *old_tip; const struct trib_tip *tip; };
int trib_pending_commit_both(struct trib_state *s, struct trib_delta *d, const uint8_t *old_tip, const uint8_t new_tip[TRIB_OID_LEN],
			     const struct trib_tip *tip, const struct trib_pending_private *p, struct trib_err *err) TRIB_MUST_CHECK;
/* Rolls a complete pending forward (no-op without one), drops temporary files. Called by trib_state_open(write). Updates s->tip. `own` gets every
 * commit from new back to old; when old is no ancestor of new (commits made anew), `own` is left to the caller. A damaged pending is TRIB_E_VERIFY. */
int trib_pending_recover(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;

#endif
