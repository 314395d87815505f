/* keeper.h: what the keeper writes into hub.db for others: enrolments, verdicts of the merge, refusals. Names in the records are terminated. */
#ifndef TRIB_HUB_KEEPER_H
#define TRIB_HUB_KEEPER_H

#include "hub/chain.h"
#include "hub/ipc.h"
#include "hub/policy.h"

/* In the caller's transaction. Told twice, both change nothing. TRIB_E_CERT when a later machine of the office was enrolled meanwhile. */
int trib_keeper_enrolled(struct trib_hubdb *h, const struct trib_ipc_enrolled *e, struct trib_err *err) TRIB_MUST_CHECK;
int trib_keeper_verdict(struct trib_hubdb *h, const struct trib_ipc_merge_result *r, struct trib_err *err) TRIB_MUST_CHECK;
/* One transaction. Counts the refusal; it is a leaf once for an object and code, and not in a storm. */
int trib_keeper_refused(struct trib_hubdb *h, const struct trib_ipc_refusal *r, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;

/* In the caller's transaction: the office has one folder again, by a replacement or a reset, so `status` names no fork of it. The leaf stays. */
int trib_keeper_fork_over(struct trib_hubdb *h, const char *node, const char *app, struct trib_err *err) TRIB_MUST_CHECK;

/* Notes for `status` why nothing is merged (meta "merge-trouble": since when, what), or NULL: it goes on. */
int trib_keeper_trouble(struct trib_hubdb *h, const char *msg, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;

/* What the clock asks of the log. Called in every round of the keeper's loop; tells how many milliseconds it may wait at most. */
struct trib_keeper_log {
	uint64_t published; /* leaves of the published log */
	int64_t publish_at; /* monotonic: not before */
	int64_t night;      /* close of the last list */
	int64_t night_at;   /* monotonic: not tried again before */
	int64_t cosigned;   /* stamp of what the witnesses cosigned, as published */
	int64_t cosigned_at; /* monotonic: not looked at again before */
	int64_t fresh_at;    /* monotonic: whether the log is frozen is not asked again before */
};
int trib_keeper_log_turn(struct trib_hubdb *h, const struct trib_hub_signer *signer, struct trib_keeper_log *k);

/* The policy in force, and policy.conf, which may be another one (keeper_policy.c). */
struct trib_keeper_policy {
	struct trib_policy now; /* the log has it */
	struct trib_err why;    /* why policy.conf cannot be taken up: offices wait; TRIB_OK: it is the one in force */
	int64_t at;             /* monotonic: not looked at again before */
};
/* Before an office is heard: what its administrator changed is in the log before anything is judged by it. */
void trib_keeper_policy_look(struct trib_hubdb *h, struct trib_keeper_policy *k);
/* The same by the clock, when no office asks. How many milliseconds the keeper may wait at most. */
int trib_keeper_policy_turn(struct trib_hubdb *h, struct trib_keeper_policy *k);

/* Histories of which a ref could not be set: hub.db is right, and the repository is behind (keeper_refs.c). Zeroed: none. */
struct trib_keeper_refs {
	struct trib_ipc_history *behind;
	size_t n, next; /* `next` is the one whose turn it is */
	int64_t at;     /* monotonic: not tried again before */
};
/* Looks at every history, once: when the hub starts. */
int trib_keeper_refs_start(struct trib_hubdb *h, struct trib_keeper_refs *r, struct trib_err *err) TRIB_MUST_CHECK;
void trib_keeper_refs_behind(struct trib_keeper_refs *r, const char *node, const char *app);
/* Before an office pushes: its own history, if that is behind. */
int trib_keeper_refs_now(struct trib_hubdb *h, struct trib_keeper_refs *r, const char *node, const char *app, struct trib_err *err) TRIB_MUST_CHECK;
/* The others, by the clock and one at a time. How many milliseconds the keeper may wait at most. */
int trib_keeper_refs_turn(struct trib_hubdb *h, struct trib_keeper_refs *r);

/* Housekeeping in the histories, one at a time, whenever nothing came for a while (keeper_fold.c). */
#define TRIB_FOLD_IDLE_MS 250
struct trib_keeper_fold {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; /* looked at last; "": begins anew */
	bool running, again;                                 /* a round is being made; after it one more */
};
/* Something was published: all histories are to be looked at. */
void trib_keeper_fold_again(struct trib_keeper_fold *f);
/* How long the hub must have been idle for the next step; INT_MAX when there is nothing to do. */
int trib_keeper_fold_ms(const struct trib_keeper_fold *f);
void trib_keeper_fold_turn(const struct trib_hubdb *h, struct trib_keeper_fold *f);

#endif
