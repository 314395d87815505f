/* smart_push.h: git-receive-pack (v0, stateless) for one history: refs/heads/main only, forward only (D8.4).
 *
 * pack bytes -> packscan -> file in quarantine -> unpack (our own delta resolver) -> a pack of whole objects -> index -> judge every new
 * commit, oldest first -> PUBLISH. Nothing that a peer compressed or deltified ever reaches libgit2's indexer. */
#ifndef TRIB_HUB_SMART_PUSH_H
#define TRIB_HUB_SMART_PUSH_H

#include "hub/worker.h"

/* Answers GET info/refs?service=git-receive-pack. -1 when the connection is of no further use. */
int trib_push_refs(struct trib_worker *w, const struct trib_route *r, struct trib_err *err) TRIB_MUST_CHECK;
/* Serves POST git-receive-pack. A refusal is an answer, not an error. */
int trib_push_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err) TRIB_MUST_CHECK;

/* Tells the keeper that something of the route's history was refused, for the log and `status`. False: `why` is the hub's own trouble, no verdict. */
bool trib_push_refusal(struct trib_worker *w, const struct trib_route *r, const uint8_t object[TRIB_SHA256_LEN], const struct trib_err *why);

/* Serves POST /NODE/APP.git/forked (forked.c): an office says that its folder does not go on from where the hub stands. */
int trib_forked_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err) TRIB_MUST_CHECK;

/* A report-status answer as git wants it: `unpack ok`, then ok or `ng REF CODE: sentence` a ref. `code` TRIB_OK says ok. Always `unpack ok`: libgit2
 * shows nothing of the reasons when unpacking failed. Pure; for tests too. */
struct trib_push_request;
void trib_push_report(struct trib_buf *b, const struct trib_push_request *req, enum trib_code code, const char *sentence);

/* Resolves the scanned pack `in` against `base` and writes the same objects without deltas as a pack file at `out`. `objects` is the number that
 * the scanner counted. */
struct trib_repo;
int trib_push_unpack(struct trib_repo *base, const char *in, const char *out, uint64_t objects, struct trib_err *err) TRIB_MUST_CHECK;

#endif
