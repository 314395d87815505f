/* state.h: the agent's state folder: one history, its keys, its baseline (D7.3, D4.7).
 *
 *   node            kv text: who this is (struct trib_node); replaced atomically
 *   keys/sign.key sign.crt tls.key tls.crt issuing.crt root.crt    tls/issuing/root only after enrolment; sign.crt and tls.crt hold their own
 *                   issuing certificate behind the leaf when it is not issuing.crt, that of the enrolment
 *   slip            hash of the code of the slip by which this folder asked (enrol.c)
 *   keys/sign.next.key sign.next.csr sign.next.crt    a new signing key, until the commit that hands over to it is the last one (D5.4)
 *   repo.git        refs/heads/main (own), refs/heads/down (hub's), refs/heads/broadcast
 *   salt            32 bytes
 *   baseline        the database as of the last commit, page for page; 0600
 *   baseline.sums   its commit, and a sum for each page (capture/baseline.h); made again from history when lost, as the baseline is
 *   digests.db      cache: which commit had which state of a table (capture/digests.h)
 *   pending         redo journal = the commit point of a capture (capture/pending.h); 0600
 *   tip             serialised trib_tip of refs/heads/main (lanes included)
 *   own             one line OID per commit this folder made and the hub has not receipted (D5.6)
 *   receipts/SEQ    one receipts file (F8) per held commit; checkpoint    the last checkpoint kept
 *   old-receipts    what this office holds of a log that was cut off, as the hub takes it (F8); reported    the epoch to which it was brought
 *   merged          kv: highest seq known to be in the city
 *   held-tip        cache: the tip's state when the hub last took everything (squash.c)
 *   settings        what this office chose for itself (settings.h)
 *   last-capture    kv text of the last run: for `status`
 *   last-failure last-exchange-failure last-renewal-failure    what failed last, until it succeeds (record.h)
 *   private.git private-tip private.conf    the private half (agent/private.h)
 *   witness witness.note    what the pinned outside witness cosigned last (agent/pin.h)
 *   lock            trib_lock of every command that changes state
 */
#ifndef TRIB_AGENT_STATE_H
#define TRIB_AGENT_STATE_H

#include "core/base/sync.h"
#include "core/replay/judge.h"

struct trib_node {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	char name[TRIB_TITLE_MAX + 1];      /* display name; the node id before enrolment */
	char city[TRIB_TITLE_MAX + 1];      /* "-" before enrolment */
	char *db_path;                      /* absolute */
	char *hub_url;                      /* NULL before enrolment; "https://host:port" */
	uint64_t incarnation, policy;
	char origin[TRIB_TITLE_MAX + 32];   /* log origin; "" before enrolment */
	uint8_t log_key[32];                /* log public key */
	bool enrolled;
};

struct trib_state { /* an opened folder */
	char *dir;
	struct trib_node node;
	struct trib_lock lock;      /* held when opened for writing */
	struct trib_repo *repo;
	struct trib_key *sign_key;  /* loaded on demand by trib_state_keys */
	struct trib_cert *sign_cert, *tls_cert, *issuing, *root; /* the last three NULL before enrolment; issuing: sign_cert's */
	struct trib_cert *tls_issuing; /* tls_cert's */
	struct trib_key *tls_key;
	struct trib_tip tip;
	uint8_t salt[TRIB_SALT_LEN];
	/* The private half (private.h); NULL and zeros when there is none. */
	struct trib_repo *private_repo;
	struct trib_tip private_tip; /* its salt stands even before the first commit */
	struct trib_key *private_key;
	struct trib_cert *private_cert;
	bool resident;           /* the process goes on to other captures (`watch`) */
	struct trib_syncs syncs; /* what the next commit point waits for: names of objects already written */
};

/* Makes the folder (must be absent or empty), keys, salt, self-signed certificate, repository. */
int trib_state_create(const char *dir, const struct trib_node *node, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;
/* Opens; TRIB_E_NOT_INIT with the `init` command to try. write = take the lock and roll a complete `pending` forward. */
int trib_state_open(const char *dir, bool write, struct trib_state *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_state_close(struct trib_state *s);
static inline void trib_state_cleanup(struct trib_state *s) { trib_state_close(s); }
int trib_state_keys(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
/* Keeps roots that lead to those known here (trib_roots_follow); *ret_new: there was a newer one among them. Refuses others. */
int trib_state_learn_roots(struct trib_state *s, const struct trib_cert *offered, bool *ret_new, struct trib_err *err) TRIB_MUST_CHECK;
/* Forgets the loaded keys and certificates, so that the next trib_state_keys reads the files. */
void trib_state_forget_keys(struct trib_state *s);
/* keys/sign.next.key and its certificate, which the caller frees. */
int trib_state_next_keys(struct trib_state *s, struct trib_key **ret_key, struct trib_cert **ret_cert, struct trib_err *err) TRIB_MUST_CHECK;
/* When the last commit is signed by keys/sign.next.key, or hands over to it: that is the signing key from now on. trib_state_open for writing does it too. */
int trib_state_take_turn(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
int trib_state_save_node(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
int trib_state_save_tip(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
char *trib_state_path(const struct trib_state *s, const char *name) TRIB_MUST_CHECK;
/* The time at which certificates are judged here: the clock's, but not before the own ones began. A clock that is behind keeps nothing from being captured;
 * the hub judges again, at its own time. */
int64_t trib_state_now(const struct trib_state *s);
/* The trust that local verification uses now. */
struct trib_trust trib_state_trust(const struct trib_state *s);
/* signer.pem of new commits. */
int trib_state_signer_pem(struct trib_state *s, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
