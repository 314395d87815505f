/* raw.h: the live file's pages compared with the baseline's as they lie on the disk (D4.2); internal to agent/capture.
 *
 * Pages are read through SQLite's own file objects, 1 MiB at a time; those that differ are kept (kept.h). Nothing here
 * locks: the caller holds a read transaction (rollback mode: SHARED; WAL: a read mark), or proves afterwards that nothing moved.
 * A second thread compares while the first one reads: SQLite is called by the caller's thread alone. */
#ifndef TRIB_RAW_H
#define TRIB_RAW_H

#include "agent/capture/source.h"
#include "agent/capture/vfs.h"

/* How an attempt ended when no error stopped it. */
enum trib_raw_end {
	TRIB_RAW_DONE,
	TRIB_RAW_MOVED,   /* a writer was faster: what was read counts for nothing, try again */
	TRIB_RAW_REFUSED, /* the file cannot be read this way: take another */
};

struct trib_raw {
	sqlite3_file *file;
	uint32_t page_size, page_count;
	sqlite3_file *wal;     /* NULL: every page is in the file */
	const uint32_t *frame; /* by page number, page_count + 1 of them: the last frame that holds the page, 0 = none */
	const char *path;              /* with `still`: ends as MOVED when the time of the file at this path is another than the mark's */
	const struct trib_mark *still; /* NULL: read to the end */
};
/* Fills the delta: rising page numbers and their places. *ret is TRIB_RAW_REFUSED when a page is neither in the file nor in the -wal. */
int trib_raw_scan(const struct trib_raw *from, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* A delta of the file's shape that keeps no page: what trib_raw_again begins with when there was no first look. */
int trib_raw_nothing(const struct trib_raw *from, struct trib_delta *d, struct trib_err *err) TRIB_MUST_CHECK;

/* Between begin and end nobody writes. begin fills *ret_from, or *ret (MOVED, REFUSED); end follows also then. */
struct trib_raw_window {
	int (*begin)(void *ctx, struct trib_raw *ret_from, enum trib_raw_end *ret, struct trib_err *err);
	void (*end)(void *ctx);
	void *ctx;
};
/* A second look at what trib_raw_scan read without a lock: inside the window the file is read once and compared with what the first look saw, page for
 * page, so *d is then the state of the window whatever was written in between. All that takes longer (memory, a thread, the pages kept) is outside. */
int trib_raw_again(const struct trib_raw_window *w, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Looks only at the pages that `from->frame` names. */
int trib_raw_look(const struct trib_raw *from, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* By statfs's f_type. File times of other machines' file systems may be late: there only the lock tells. */
bool trib_fs_type_is_near(uint32_t type);

/* The wal-index header that belongs to a read transaction. */
struct trib_walhdr {
	uint32_t page_size, frames, pages;
	uint8_t salts[8];
	uint32_t sums[2], backfill;
};
/* Starts the source's read transaction anew until the header before and after is the same: then it is exactly this transaction's. */
int trib_raw_wal_pin(struct trib_source *src, struct trib_walhdr *ret_hdr, enum trib_raw_end *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The state of a pinned transaction. */
int trib_raw_wal(struct trib_source *src, const struct trib_walhdr *h, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret,
		 struct trib_err *err) TRIB_MUST_CHECK;

/* The same by the page list of the -wal: `known` is the mark at which the baseline was the file, page for page, and every change since then is a frame
 * after known->frames. Looks at those pages only. *ret is REFUSED when the list may not be whole: the -wal was begun anew, recovered to less, the file was
 * written by something else than a checkpoint. */
int trib_raw_wal_list(struct trib_source *src, const struct trib_walhdr *h, const struct trib_mark *known, const struct trib_base *base, struct trib_delta *d,
		      enum trib_raw_end *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Rollback mode beside a program that gives no time to read: a first look without a lock, a second one under SHARED, begun just after a transaction of the
 * program ended (a commit waits until the second look is over). Takes d->mark in the second one. Leaves the source outside a read transaction. */
int trib_raw_locked(struct trib_source *src, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Rollback mode without a lock: *m was taken under SHARED, which is released here; afterwards a second short SHARED shows whether anything was
 * written meanwhile. Also for an immutable source, which holds no lock at all. Leaves the source inside a read transaction when done. */
int trib_raw_optimistic(struct trib_source *src, const struct trib_mark *m, const struct trib_base *base, struct trib_delta *d, enum trib_raw_end *ret,
			struct trib_err *err) TRIB_MUST_CHECK;

#endif
