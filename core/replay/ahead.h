/* ahead.h: several threads look at the next commits while one thread judges them in order.
 *
 * The ordered thread names the commits that it will come to (a source) and, commit by commit, takes what was found out about them (trib_judge_ahead). A window bounds what is
 * looked at or waits: so many commits and so many bytes, beside the one commit that each thread has in hand. What the threads say is only ever "this much is right": a
 * commit that they could not read, or found wrong, is handed over with nothing known, and the ordered judge tells what is wrong with it. So verdicts, their order and their
 * words are those of a single thread, whatever the threads do.
 *
 * A thread has repository handles and a signer cache of its own; of the trust it reads the city root, which nobody changes. The source runs in the ordered thread alone. */
#ifndef TRIB_AHEAD_H
#define TRIB_AHEAD_H

#include "core/replay/judge.h"

#define TRIB_AHEAD_COMMITS 256             /* in the window: enough to keep threads busy while the ordered one commits a batch */
#define TRIB_AHEAD_BYTES (64 * TRIB_MIB)   /* of them; what the largest part of a group comes to, twice */
#define TRIB_AHEAD_REPOS 8                 /* open in a thread at once: each may hold several descriptors */
#define TRIB_JOBS_MAX 64

struct trib_ahead; /* opaque */

struct trib_ahead_job {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	uint8_t oid[TRIB_OID_LEN];
	int64_t at;  /* about when it was received */
	char *repo;  /* path of its history, malloc'd: taken over */
};
/* The next commit in the order in which they will be asked for; false: no more, or it cannot tell. */
typedef bool (*trib_ahead_source)(void *ctx, struct trib_ahead_job *ret);

/* Processors this process may run on, at most TRIB_JOBS_MAX. */
unsigned trib_jobs_default(void);
/* `jobs` threads, the ordered one counted: jobs - 1 are started; fewer when the system gives no more. Of trust counts what trib_judge_ahead says; its strings and
 * root must live as long. */
int trib_ahead_new(unsigned jobs, const struct trib_trust *trust, struct trib_ahead **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Ends the threads and waits for them. */
void trib_ahead_free(struct trib_ahead *a);
static inline void trib_ahead_cleanup(struct trib_ahead **a) { trib_ahead_free(*a); }
/* Forgets the window; from now on commits come from here. `fn` NULL: none do. */
void trib_ahead_from(struct trib_ahead *a, trib_ahead_source fn, void *ctx);
/* What is known of a commit, to be freed by the caller; NULL: nothing. While another thread is at it, this one looks at others. */
struct trib_fore *trib_ahead_take(struct trib_ahead *a, const char *node, const char *app, const uint8_t oid[TRIB_OID_LEN]);
/* It will not be asked for. */
void trib_ahead_pass(struct trib_ahead *a, const char *node, const char *app, const uint8_t oid[TRIB_OID_LEN]);

#endif
