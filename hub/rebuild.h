/* rebuild.h: the city files and the caches of hub.db again, from the log and the histories (D9.3, STYLE habit 14). */
#ifndef TRIB_HUB_REBUILD_H
#define TRIB_HUB_REBUILD_H

#include "core/base/fs.h"
#include "hub/merge.h"

/* The lock of `serve`, without waiting: TRIB_E_LOCKED says to stop the hub first. */
int trib_hub_stopped(const struct trib_hub *hub, struct trib_lock *ret, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_rebuilt {
	uint64_t leaves, commits;
	uint64_t subtrees, flags;    /* rows of the caches that were not right: subtree, held */
	bool signed_anew;            /* the signed checkpoint was lost or no checkpoint any more; the published one vouched for the log instead */
	uint64_t findings;           /* of the audit that goes along */
	bool replaced;               /* the old files are; else damaged histories, or another digest than the signed one, say why not */
	uint8_t digest[TRIB_SHA256_LEN];
	char damage[512];            /* the first finding, one about rows if there is one; "" when none */
	char kept[64];               /* name of the folder with the old files, "" when there were none */
};
/* The caller holds the lock. Caches of hub.db are mended in one transaction; the log's root at the size of the signed checkpoint must be the
 * one signed (TRIB_E_VERIFY, nothing changed); where that file is lost or garbled, the published one counts, and it is signed anew. New city files are made
 * beside the old ones and take their place when every history is proven and the digest of every signed city commit comes out; also when not, if the old ones are
 * missing or their pages damaged: a history that is damaged then keeps back its own rows alone. What is found about other things (the city history, the policy,
 * the checkpoint) keeps nothing back. */
int trib_rebuild(const struct trib_hub *hub, bool quiet, struct trib_rebuilt *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
