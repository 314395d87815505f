/* merge.h: from log order to city databases (D9): the one code of the merger, of `rebuild` and of the audit's own derivation.
 *
 * A `trib_merge` is a folder of city files, APP.db each. A run takes in every held leaf from where each file stands up to a given log
 * size, in log order; per file the rows, the node's tip, the ledger and the merged index move in one transaction (exactly once, D9.5). Every commit is
 * judged again: signature, chain, digest. A change that does not fit stops that node only (`out of step`), and is in the ledger. */
#ifndef TRIB_MERGE_H
#define TRIB_MERGE_H

#include "core/base/progress.h"
#include "core/replay/ahead.h"
#include "core/replay/mirror.h"
#include "core/replay/signer.h"
#include "hub/hubdb.h"
#include "hub/tips.h"

struct trib_city {
	char app[TRIB_APP_MAX + 1];
	sqlite3 *db;
	struct trib_mirror *mirror;
	sqlite3_stmt *result, *asked; /* kept: put_result, and an audit's look for one */
	struct trib_tips tips; /* of the batch under way */
};

/* A group whose files could not be read (an I/O error, a repository that is not there) counts as damaged at once without patience: `rebuild`, audit. The
 * merger has some: so many runs end with that error first, since a disk or a mount may come back. Outlives the trib_merge. */
struct trib_patience { unsigned max, tries; uint64_t group; };

struct trib_merge {
	const struct trib_hub *hub;
	char *dir; /* of the city files */
	struct trib_city *cities;
	size_t ncities;
	struct trib_signer_cache signers;
	struct trib_progress *progress; /* may be NULL */
	/* Told of every commit that was judged and is what its leaf says; may be NULL. */
	int (*judged)(void *ctx, const char *node, const char *app, const struct trib_judged *j, const struct trib_leaf *leaf, struct trib_err *err);
	void *judged_ctx;
	struct trib_patience *patience; /* may be NULL: none */
	struct trib_ahead *ahead;       /* threads that look at commits before their turn; the caller's, may be NULL */
	struct trib_feed { sqlite3_stmt *st; size_t city; uint64_t upto; bool on; } feed; /* where they stand */
	uint64_t merged, out_of_step, damaged; /* counts of the last run */
	char damage[256];                      /* last damaged history, for the log */
};

/* `dir` is made when missing. Opens the city file of every app that the hub knows. */
int trib_merge_open(const struct trib_hub *hub, const char *dir, struct trib_hubdb *h, struct trib_merge *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_merge_close(struct trib_merge *m);
static inline void trib_merge_cleanup(struct trib_merge *m) { trib_merge_close(m); }
/* Takes in all leaves below `size`. */
int trib_merge_run(struct trib_merge *m, struct trib_hubdb *h, uint64_t size, struct trib_err *err) TRIB_MUST_CHECK;
/* SHA-256 of the city (F7) as the files stand. */
int trib_merge_digest(struct trib_merge *m, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;

#endif
