/* audit_impl.h: what the files of the audit share. Not for others. */
#ifndef TRIB_HUB_AUDIT_IMPL_H
#define TRIB_HUB_AUDIT_IMPL_H

#include "core/base/i18n.h"
#include "hub/audit.h"

struct trib_audit_file { /* one real city file, read-only, held at one moment */
	char app[TRIB_APP_MAX + 1];
	sqlite3 *db;
	struct trib_mirror *mirror;
	uint64_t upto; /* leaves it has taken in */
	bool compared;
};

struct trib_audit_signer { /* the hub's signer.pem that was judged last, and the times for which its chain holds */
	struct trib_cert *leaf;
	uint8_t pem_sha256[TRIB_SHA256_LEN];
	int64_t from, to;
};

/* Where an audit stands at its end, and the next one goes on (audit_kept.c). */
struct trib_audit_at {
	int64_t night_to;     /* end of the last nightly list */
	uint64_t night_first; /* first leaf after it */
	uint64_t city_seq, city_merged, city_log; /* last city commit */
	uint8_t city_oid[TRIB_OID_LEN], city_manifest[TRIB_SHA256_LEN];
};

struct trib_audit {
	const struct trib_hub *hub;
	struct trib_hubdb db;     /* the snapshot */
	sqlite3 *own;             /* scratch.db: leaf facts, subtree hashes, findings (audit.c) */
	char *dir;                /* DIR/run/audit-PID */
	const char *city_dir;     /* where the scratch city is made; NULL: in `dir` */
	struct trib_merge made;   /* the scratch city */
	struct trib_ahead *ahead; /* threads that look at its commits before their turn; NULL: none */
	struct trib_signer_cache signers;
	struct trib_audit_signer hub_signer;
	uint8_t signer_seen[TRIB_SHA256_LEN]; /* the signing certificate that trib_audit_signer looked up last */
	struct trib_audit_file *files;
	size_t nfiles;
	struct trib_buf note;     /* DIR/checkpoint as it was before the snapshot */
	bool has_city_floor;
	uint8_t city_floor[TRIB_OID_LEN]; /* last city commit before the snapshot */
	uint64_t size;
	uint64_t from;  /* leaves that an earlier audit has proven, whose facts are in scratch.db; 0: a full audit. Then the first finding ends the run */
	uint64_t from_city, from_crl; /* city commits and lists of revoked certificates below it */
	uint8_t from_city_oid[TRIB_OID_LEN];
	struct trib_audit_at at;
	bool fell;      /* something was found while `from` */
	sqlite3_stmt *counts, *mark; /* of trib_audit_judged */
	sqlite3_stmt *sub; /* reads one hash of `own`; asked for every commit */
	uint8_t log_pub[32];
	char first_origin[TRIB_TITLE_MAX + 32], origin[TRIB_TITLE_MAX + 32]; /* of the first leaf, and of the newest epoch */
	int64_t opened; /* time of the log's first leaf */
	int64_t leaf_time; /* of the last leaf so far */
	uint64_t crl_number; /* of the last list of revoked certificates so far */
	uint64_t policy;     /* version of the last policy so far; 0: none */
	uint8_t policy_sha[TRIB_SHA256_LEN]; /* its text */
	struct trib_audit_private *privates; /* of each policy, rising */
	size_t nprivates;
	bool has_pub, quiet;
	struct trib_audit_totals totals;
};

#define TRIB_OWN_TROUBLE(code) ((code) == TRIB_E_DB || (code) == TRIB_E_NO_SPACE || (code) == TRIB_E_NOMEM || (code) == TRIB_E_LOCKED)

/* Where a finding is. NULL members do not apply. */
struct trib_where { const char *node, *app; uint64_t seq; const uint8_t *oid; const char *table, *key; };
int trib_audit_find(struct trib_audit *a, const struct trib_where *w, struct trib_err *err, const char *fmt, ...) TRIB_PRINTF(4, 5) TRIB_MUST_CHECK;
/* One statement in scratch.db with text and integer parameters by `types`: s text, i int64 (int64_t), b blob (struct trib_span). */
int trib_audit_sql(sqlite3 *db, sqlite3_stmt **ret, struct trib_err *err, const char *sql, const char *types, ...) TRIB_MUST_CHECK;
int trib_audit_exec(sqlite3 *db, struct trib_err *err, const char *sql, const char *types, ...) TRIB_MUST_CHECK;
/* Copies a column of exactly n bytes; false (ret zeroed) when it is anything else. */
bool trib_audit_bytes(sqlite3_stmt *st, int col, uint8_t *ret, size_t n);
/* Every row of `from`, bound to the parameters of `to` from number `first` on. */
int trib_audit_copy(sqlite3 *from_db, sqlite3_stmt *from, sqlite3 *to_db, sqlite3_stmt *to, int first, struct trib_err *err) TRIB_MUST_CHECK;
/* Root of the first `size` leaves, from the audit's own hashes. */
int trib_audit_root(struct trib_audit *a, uint64_t size, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;

/* Has the present hub.db so many leaves, which come to this root? `serve` went on after the snapshot then, and the next audit judges what it signed since; otherwise
 * somebody signed a log that is not this one. 1, 0, -1. */
int trib_audit_grown(struct trib_audit *a, uint64_t size, const uint8_t root[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;

/* What SQLite itself finds wrong with the pages, indexes and rules of a database; `what` names it in findings (audit_own.c). */
int trib_audit_pages(struct trib_audit *a, sqlite3 *db, const struct trib_where *w, const char *what, struct trib_err *err) TRIB_MUST_CHECK;

/* ---- what an earlier audit has proven (audit_kept.c) ---- */
/* Opens DIR/audited.*.db, or its copy beside the kept record, as scratch.db. TRIB_E_NOT_FOUND none is there, TRIB_E_VERSION made by other rules,
 * TRIB_E_VERIFY it is not the one that the record names. */
int trib_audit_kept_open(struct trib_audit *a, const char *path, const struct trib_audited *last, const char *beside, struct trib_err *err) TRIB_MUST_CHECK;
/* In a full audit: the hub's own chains go on from where the audit of that record left them, whatever became of the rest. Nothing when the file is not there any more. */
int trib_audit_kept_chains(struct trib_audit *a, const struct trib_audited *last, const char *beside, struct trib_err *err) TRIB_MUST_CHECK;
/* The scratch city as it was derived then, without its rows. */
int trib_audit_kept_city(struct trib_audit *a, struct trib_city *c, struct trib_err *err) TRIB_MUST_CHECK;
/* Gives the scratch city those rows that new commits touch, as they were then: taken back from the real files (audit_undo.c). */
int trib_audit_undo(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
/* The object files of all histories: those of then are byte for byte what they were; all of now are noted (audit_files.c). */
int trib_audit_files_same(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_files_note(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;

/* The steps, in this order. */
int trib_audit_own(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;         /* audit_own.c: hub.db in itself, the hub's certificates */
int trib_audit_log(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;         /* audit_log.c */
/* audit_epoch.c: a leaf that opens an epoch; a signed checkpoint under the origin that its size had; the checkpoints that held commits name: states of this
 * log, not of the future, never falling within one incarnation. */
int trib_audit_epoch(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_note(struct trib_audit *a, struct trib_span note, struct trib_checkpoint *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_seen(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_published(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;   /* audit_tiles.c: the log as it is served */
int trib_audit_witnesses(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;   /* audit_witness.c: what was cosigned is this log */
/* The blob `witnessed` of a down commit is about this log; an error is what is wrong with it. */
int trib_audit_witnessed(struct trib_audit *a, struct trib_span blob, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_nights(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;      /* audit_night.c: who was silent */
/* Lists of revoked certificates (audit_crl.c): a leaf that names one; the number that a held leaf names; then the lists themselves. */
int trib_audit_keep_crl(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_held_crl(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_crls(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
/* No commit is held after the leaf that revoked its signer, whatever the times of both are; the leaves alone say so. */
int trib_audit_revoked(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_held(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;        /* audit_held.c: caches of the log */
/* audit_lists.c: leaves about people and names; the lists that repeat leaves; what is repeated of the certificate that a judged commit was signed with. */
int trib_audit_keep_person(struct trib_audit *a, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_keep_name(struct trib_audit *a, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_lists(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
/* audit_fork.c: leaves about forks; then, when all is judged, which offices hub.db lists as forked. */
int trib_audit_keep_refused(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_keep_machine(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_forked(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
/* audit_policy.c: a leaf that names a policy; then the one in force: its text, and what repeats it. */
int trib_audit_keep_policy(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_policy(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;
void trib_audit_private_free(struct trib_audit *a);
/* What a commit shows was not private by the policy in force at its leaf, whatever the hub took in. */
int trib_audit_private(struct trib_audit *a, const struct trib_where *at, const struct trib_judged *j, struct trib_err *err) TRIB_MUST_CHECK;
/* A single value of hub.db is what the log says; empty: there is none. */
int trib_audit_meta(struct trib_audit *a, const char *key, struct trib_span value, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_signer(struct trib_audit *a, const struct trib_where *at, const struct trib_cert_id *id, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_histories(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;   /* audit_history.c: which there are */
int trib_audit_chain(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;       /* audit_chain.c: signed city commits */
int trib_audit_city(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;        /* audit_city.c: derive, compare */
int trib_audit_rest(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;        /* audit_history.c: what the derivation did not come to */
int trib_audit_judged(void *ctx, const char *node, const char *app, const struct trib_judged *j, const struct trib_leaf *leaf, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_strays(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;      /* audit_stray.c: files, repositories and refs that nobody made */
int trib_audit_down(struct trib_audit *a, struct trib_err *err) TRIB_MUST_CHECK;        /* audit_down.c: what the communities were told */
/* The hub's signature on a commit of its own chains, as of `at`. */
int trib_audit_hub_signed(struct trib_audit *a, const struct trib_commit *c, struct trib_span signer_pem, int64_t at, struct trib_err *err) TRIB_MUST_CHECK;
/* Walks one history and records how much of it is proven. */
int trib_audit_history(struct trib_audit *a, const char *node, const char *app, struct trib_err *err) TRIB_MUST_CHECK;
/* Compares one real file with its derivation (audit_rows.c). */
int trib_audit_compare(struct trib_audit *a, struct trib_audit_file *real, struct trib_city *made, struct trib_err *err) TRIB_MUST_CHECK;
#define TRIB_AUDIT_TOLD UINT64_MAX
/* The city digest (F7) as it should be when all up to `merged` was taken in and the log had `log_size` leaves: what the scratch files say, but of a history whose
 * last group had no verdict then, what the manifest of its last merged commit says. 1 known, 0 not (bytes are damaged), -1. */
int trib_audit_digest(struct trib_audit *a, uint64_t merged, uint64_t log_size, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK; /* audit_digest.c */

#endif
