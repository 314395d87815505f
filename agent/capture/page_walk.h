/* page_walk.h: both states as files of pages, and to which tree each page belongs (D4.2); internal to agent/capture.
 *
 * A page that has the same bytes and the same owner in both states holds the same rows, unless a row's overflow chain changed: trib_pages_explain finds
 * those. Bounds: a page is entered once (the owner array), trees are at most TRIB_DEPTH_MAX deep, chains have a budget of steps. What does not fit is
 * TRIB_E_SCHEMA or TRIB_E_LIMIT: refused here, and the full engine's business. */
#ifndef TRIB_CAPTURE_PAGE_WALK_H
#define TRIB_CAPTURE_PAGE_WALK_H

#include "agent/capture/emit.h"
#include "agent/capture/page.h"

enum { TRIB_OWNER_NONE, TRIB_OWNER_OTHER, TRIB_OWNER_CHAIN, TRIB_OWNER_TABLE }; /* tables have TRIB_OWNER_TABLE and above */

/* The rowids that a leaf may hold, by the keys of the interior pages above it. */
struct trib_bound { int64_t least, most; };
#define TRIB_BOUND_ANY (struct trib_bound){INT64_MIN, INT64_MAX}

struct trib_pagefile {
	sqlite3_file *f;          /* of the connection that reads this state */
	struct trib_geometry g;
	uint32_t *owner;          /* by page number */
	struct trib_bound *bound; /* by page number, for leaves of listed rowid trees; NULL when there are none below a root */
	uint8_t *stack;           /* a page for each level of a walk */
	uint64_t steps;           /* of chains that may still be made */
};

struct trib_pglist {
	uint32_t *p;
	size_t n, cap;
};

struct trib_pages {
	struct trib_pagefile side[2]; /* TRIB_OLD, TRIB_NEW */
	bool comparable;              /* pages of both states have one shape */
	uint8_t *flags;               /* by page number: TRIB_PAGE_... */
	uint32_t nflags;
	uint32_t unexplained;         /* changed pages that nothing was found to own */
	uint32_t cells_max;           /* TRIB_CELLS_MAX; tests have smaller ones */
	struct trib_pglist with_cells; /* differing pages of the new state that hold payloads, all trees */
};
#define TRIB_CELLS_MAX (16 * 1024 * 1024u) /* differing cells of a WITHOUT ROWID table that are remembered: 256 MiB; more are the full engine's */
#define TRIB_PAGE_CHANGED 1
#define TRIB_PAGE_UNSKIP 2

/* Takes the pages of both connections; they must stay open. */
int trib_pages_open(sqlite3 *old_db, sqlite3 *new_db, const struct trib_delta *d, struct trib_pages *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_pages_release(struct trib_pages *p);
static inline void trib_pages_cleanup(struct trib_pages *p) { trib_pages_release(p); }

/* Gives every page of the tree at `root` its owner. `list`: gets the pages that hold payloads, in the tree's order (NULL: not wanted). */
int trib_pages_walk(struct trib_pages *p, enum trib_side side, uint32_t root, uint32_t owner, struct trib_pglist *list, struct trib_err *err) TRIB_MUST_CHECK;
/* After all walks of the new state. A changed page that nobody owns is part of an overflow chain: the chain's cell may lie in a page that did
 * not change. Such pages among `lists` are marked TRIB_PAGE_UNSKIP. */
int trib_pages_explain(struct trib_pages *p, const struct trib_pglist *const *lists, size_t nlists, struct trib_err *err) TRIB_MUST_CHECK;
/* The page holds the same rows in both states. */
static inline bool trib_pages_same(const struct trib_pages *p, uint32_t pgno)
{
	return p->comparable && pgno <= p->side[0].g.page_count && pgno <= p->side[1].g.page_count && !p->flags[pgno] &&
	       p->side[0].owner[pgno] == p->side[1].owner[pgno];
}

/* Any rowid where no bound was kept: a leaf that is a root. */
static inline struct trib_bound trib_pagefile_bound(const struct trib_pagefile *f, uint32_t pgno)
{
	return f->bound && (f->bound[pgno].least || f->bound[pgno].most) ? f->bound[pgno] : TRIB_BOUND_ANY;
}

int trib_pagefile_read(struct trib_pagefile *f, uint32_t pgno, uint8_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The whole payload: the cell's own bytes, or gathered in *buf. TRIB_E_LIMIT beyond the buffer's maximum. */
int trib_pagefile_payload(struct trib_pagefile *f, const struct trib_cell *c, struct trib_buf *buf, struct trib_span *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Whether no page of the chain differs (then equal numbers mean equal bytes). */
int trib_pages_chain_same(struct trib_pages *p, const struct trib_cell *c, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;

void trib_pglist_release(struct trib_pglist *l);

#endif
