/* capture.h: what changed since the last commit (D4): the engines' common interface.
 *
 * An engine is given both states as open read-only connections and emits changes; it neither knows git nor signatures. The full engine
 * (full.c) compares everything; the page engine (page_engine.c, D4.2) reads pages that differ, and lets the full engine step in table by table where
 * it refuses. Output is canonical (F3), cut into parts, so engines can be compared byte for byte. */
#ifndef TRIB_CAPTURE_H
#define TRIB_CAPTURE_H

#include "agent/capture/pending.h"
#include "core/store/veil.h"

/* One part of a capture: a changeset under one schema. */
struct trib_part {
	struct trib_buf schema;    /* schema.sql bytes (F4) */
	struct trib_buf changeset; /* raw, canonical; empty = no rows */
	bool before;               /* it stands under the schema of the old state */
};

/* What the public half of a capture does to a table. */
struct trib_moved {
	char table[TRIB_LANES_NAME_MAX + 1]; /* as digests have them: folded, a table and its bag apart */
	uint64_t inserted, updated, deleted; /* changes */
	uint64_t rows;                       /* afterwards */
	uint64_t sum;                        /* what its print gains (prints.h) */
	bool was;                            /* it is there at the tip, with this digest */
	uint8_t digest[TRIB_SHA256_LEN];
};

struct trib_returned { char *table; uint64_t seq; }; /* folded, without a bag's prefix */

/* The private half of a capture (D4.8), for private.git. */
struct trib_hidden {
	struct trib_part *parts; size_t nparts; /* at least 1 when `changed` */
	bool changed;
	struct trib_mf_sequence *sequences; size_t nsequences;
	struct trib_mf_left_out *left_out; size_t nleft_out;
	struct trib_private_list followed; /* private too, because they may be what was private under another name (follow.h); trib_outbox_commit keeps them */
};

struct trib_capture {
	struct trib_delta delta;
	struct trib_schema old_schema, new_schema;
	struct trib_part *parts; size_t nparts; /* at least 1 when `changed` */
	bool changed;               /* rows, schema text or sequences differ from the tip */
	struct trib_hidden hidden;  /* `parts` and the other lists are the public half */
	bool resplit;               /* what is private changed since the last commit: rows moved from one half to the other */
	struct trib_mf_sequence *sequences; size_t nsequences; /* folded, rising */
	struct trib_mf_renamed *renamed; size_t nrenamed;
	struct trib_mf_left_out *left_out; size_t nleft_out;
	struct trib_mf_left_out *left_out_before; size_t nleft_out_before; /* what the commit before says */
	struct trib_mf_braked *braked; size_t nbraked;     /* not empty: D4.9 */
	bool *bagless;              /* by new_schema's tables: no row without a key differs; NULL: the engine does not know */
	struct trib_moved *moved; size_t nmoved; /* none before the first commit, and when `resplit` */
	struct trib_returned *returned; size_t nreturned;  /* braked tables that are again as an older commit had them */
	uint64_t pages_read, pages_changed, rows_found, ms, cpu_us;
	const char *engine;         /* "full", "page", "page+full:REASON": the full engine stepped in for full_tables tables; static */
	uint64_t full_tables;
	const char *snapshot;       /* how the live file was read: wal-raw, wal-list, optimistic, locked, backup; skipped: known by its mark as unchanged */
	struct trib_mark mark;      /* what the live file was known by */
	bool same_pages;            /* the baseline was that file already, page for page */
};
void trib_capture_release(struct trib_capture *c);
static inline void trib_capture_cleanup(struct trib_capture *c) { trib_capture_release(c); }

/* Emits row differences between two connections, table by table. Implemented by engines. */
struct trib_engine {
	const char *name;
	int (*compare)(sqlite3 *old_db, const struct trib_schema *old_schema, sqlite3 *new_db, const struct trib_schema *new_schema,
		       const struct trib_delta *delta, struct trib_capture *ret, struct trib_err *err);
};
extern const struct trib_engine trib_engine_full, trib_engine_page;

/* Snapshot, compare, brake. A baseline that is lost or damaged is made again from the history first (baseline.h). Does not commit anything:
 * trib_outbox_commit does. `pending.tmp` exists afterwards, owned by ret->delta.
 * Brake: ret->braked is filled and the function still returns 0; the caller decides (accept-loss or report). */
int trib_capture_run(struct trib_state *s, const struct trib_engine *engine, struct trib_capture *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same, except that less is read where `known` (NULL: nothing) allows it. Of a file whose mark is the same, nothing is: ret->snapshot is "skipped"
 * and nothing else of *ret is filled. */
int trib_capture_run_known(struct trib_state *s, const struct trib_engine *engine, const struct trib_known *known, struct trib_capture *ret,
			   struct trib_err *err) TRIB_MUST_CHECK;
/* The whole baseline as a capture, as if no public commit had ever been made, split by what is private now; the private half gets what it
 * needs beside what it has. For commits that nobody holds yet and that would show what is private by now. No pages: the baseline stays. */
int trib_capture_afresh(struct trib_state *s, struct trib_capture *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The rows in which two databases differ, all of them read: parts and schemas of *ret, no pages. */
int trib_capture_between(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Per-table verdict without committing, for `init --dry-run` and `status`: reads only the schema of the database at `path`. */
int trib_capture_inspect(const char *db_path, struct trib_schema *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
