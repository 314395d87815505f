/* mark.h: by what a database file is known again without reading it (research: the free "nothing changed" test).
 *
 * Two equal marks mean that nothing was written between them, as far as file times tell. That is a hint, never proof: somebody may set a
 * file's times back. The first `sync` of a local day and `commit --full-scan` read every page whatever the mark says. */
#ifndef TRIB_MARK_H
#define TRIB_MARK_H

#include <stdbool.h>
#include <stdint.h>

struct trib_mark {
	bool set;           /* false: no mark could be taken; it equals nothing */
	bool wal;           /* `salts` and `frames` count */
	uint64_t dev, ino;
	int64_t size, mtime_s, mtime_ns, ctime_s, ctime_ns;
	uint32_t counter;   /* change counter of page 1 in the file */
	uint8_t salts[8];   /* of the wal-index */
	uint32_t frames;    /* valid frames of the -wal (mxFrame) */
	uint32_t sums[2];   /* of the last of them: it depends on every byte of all frames before */
	uint32_t backfill;  /* frames that a checkpoint had copied into the file */
};
bool trib_mark_same(const struct trib_mark *a, const struct trib_mark *b);

/* What is remembered of a live file; parts that are not set say nothing. */
struct trib_known {
	struct trib_mark mark;   /* the same again: nothing was written since the baseline's commit */
	struct trib_mark listed; /* the baseline is the file of this mark, page for page: frames that came later list all pages that can differ */
};

#endif
