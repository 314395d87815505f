/* vfs.h: the three SQLite VFSs of capture; internal to agent/capture.
 *
 * "trib-source" is the system's VFS, except that it never creates or deletes a side file of the live database.
 * "trib-sink"   takes what the backup API writes and keeps only pages that differ from the baseline.
 * "trib-overlay" reads baseline + kept pages as one immutable database.
 * The last two get their context after opening, by sqlite3_file_control, so no pointer travels in a file name. */
#ifndef TRIB_CAPTURE_VFS_H
#define TRIB_CAPTURE_VFS_H

#include "agent/capture/pending.h"

#define TRIB_VFS_SOURCE "trib-source"
#define TRIB_VFS_SINK "trib-sink"
#define TRIB_VFS_OVERLAY "trib-overlay"
#define TRIB_FCNTL_SINK 0x74726901
#define TRIB_FCNTL_OVERLAY 0x74726902

/* Shape of the pages file (docs/FORMAT.md F12): a header, then slots of 8 bytes and one page each. */
#define TRIB_PENDING_HEAD 512
#define TRIB_SLOT_HEAD 8
#define TRIB_LOCK_BYTE_AT 0x40000000u /* the page at this offset is never used by SQLite */

/* Where the pages of the baseline are. fd -1: there is none. */
struct trib_base {
	int fd;
	uint32_t page_size, page_count;
};
/* Opens the baseline of a state folder; *ret has fd -1 and zeros when it does not exist. */
int trib_base_open(const struct trib_state *s, struct trib_base *ret, struct trib_err *err) TRIB_MUST_CHECK;
static inline void trib_base_cleanup(struct trib_base *b) { trib_fd_cleanup(&b->fd); }

/* Same content? Page 1 carries counters that are none: file format 18-19, change counter 24-27, schema cookie 40-43, version-valid-for and
 * library version 92-99 (a copy by the backup API has counters of its own there). */
bool trib_same_page(uint32_t pgno, const uint8_t *a, const uint8_t *b, size_t n);

/* Context of one sink, owned by the caller and valid until its connection is closed. */
struct trib_sink {
	const struct trib_base *base;
	int fd;               /* pages file, read-write */
	uint32_t page_size;   /* 0 until the first write */
	uint64_t *place;      /* by page number: 0 not written, 1 equal to the baseline, else offset of the page in fd */
	size_t nplace;
	uint64_t end;         /* where the next slot goes */
	uint8_t *window;      /* read-ahead over the baseline */
	uint64_t window_at;
	size_t window_len;
	bool failed;
	struct trib_err err;  /* when failed */
};
void trib_sink_release(struct trib_sink *k);
static inline void trib_sink_cleanup(struct trib_sink *k) { trib_sink_release(k); }

/* Context of one overlay connection; malloc'd, owned by the connection once handed over. */
struct trib_overlay {
	struct trib_base base;          /* owned */
	const struct trib_delta *delta; /* borrowed; NULL: the baseline alone */
	uint32_t page_size, page_count;
};

#endif
