/* ingest.h: a bundle of the node brings back what the hub's disk has lost, and what the hub has not seen yet (D8.3).
 *
 * Which objects belong is the log's word: every held commit, its tree, its blobs, all named by hash. From the bundle, which is scanned and resolved by
 * ourselves into a quarantine, come only those that are missing or do not read back right. What is damaged is moved to DIR/damaged/TIME/NODE/APP, never
 * removed. When the hub's own chain (refs/heads/down) is lost beyond what the office has fetched of it, it goes on from there.
 *
 * Commits that were never published are for trib_ingest_push: it hands the pack to a worker and the keeper, as a push over the line would, so that
 * there is one judge, one quarantine, one way into the log. */
#ifndef TRIB_HUB_INGEST_H
#define TRIB_HUB_INGEST_H

#include "core/base/fs.h"
#include "core/store/repo.h"
#include "hub/hubdb.h"

/* One object that was not right: `replaced` or not in the bundle. seq 0: of the down chain. */
struct trib_ingest_item { uint64_t seq; const char *type, *name; uint8_t oid[TRIB_OID_LEN]; bool missing, replaced; };

struct trib_ingest {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; /* in: may be empty; out: whose history it is */
	bool dry_run;
	int (*item)(void *ctx, const struct trib_ingest_item *i, struct trib_err *err); /* may be NULL */
	void *ctx;
	/* results */
	uint64_t objects, replaced, lost, unpublished, packs_moved, proven; /* proven: commits, when whole */
	bool whole;           /* the history is proven from its first commit to the published tip */
	char why[TRIB_ERR_MSG]; /* when not whole */
	bool down_lost;       /* the hub's own chain in it (what the office was told) cannot be read, and the bundle did not bring it */
	char down_why[TRIB_ERR_MSG]; /* why not what the bundle has of it; may be empty */
	uint64_t down_seq;    /* not 0: that chain goes on from this commit, the last that the office has; what came later is told again */
	/* what was never published; the bundle's refs/heads/main when it is that */
	bool has_new, has_old;
	uint8_t new_tip[TRIB_OID_LEN], old_tip[TRIB_OID_LEN];
	uint64_t old_seq;
	size_t head_len; /* of the file: the pack follows */
	/* results of trib_ingest_push */
	uint64_t taken, last_seq;
};
/* The caller holds the lock (rebuild.h) unless dry_run. */
int trib_ingest_run(const struct trib_hub *hub, const char *bundle, struct trib_ingest *in, struct trib_err *err) TRIB_MUST_CHECK;
/* After trib_ingest_run said has_new and whole: publishes the new commits, or none. Who speaks is the signing certificate that the hub holds for the
 * history; an office without a line cannot renew the one for TLS. What is refused is logged as a refused push is. The caller holds `lock` and has neither
 * hub.db nor a repository open: it forks. NULL: a running hub does it (hand.h). */
int trib_ingest_push(const struct trib_hub *hub, const char *bundle, const struct trib_lock *lock, struct trib_ingest *in, struct trib_err *err) TRIB_MUST_CHECK;

#endif
