/* judge.h: is this commit a right next step of its history? (I3; D5, D6.2, D7)
 *
 * Judging is pure of effects: it reads the repository and the given trust, and returns a judged commit, a type that only this
 * module can make. Merge, replay and publication take a `trib_judged`, never a raw commit. */
#ifndef TRIB_JUDGE_H
#define TRIB_JUDGE_H

#include "core/store/repo.h"
#include "core/trust/digest.h"
#include "core/trust/sign.h"

/* Where a history stands: the running state that a judge needs. Zero-initialise for an empty history. */
struct trib_tip {
	bool exists;                       /* false: no commit yet */
	uint8_t oid[TRIB_OID_LEN];
	uint8_t manifest_sha256[TRIB_SHA256_LEN];
	uint64_t seq, incarnation;
	uint64_t part, parts;              /* of the last commit: part < parts means an open group */
	int64_t captured_at;
	uint8_t signer_spki[TRIB_SHA256_LEN]; /* SHA-256 of the last signer's public key (SPKI DER): the same key may sign next */
	struct trib_lanes lanes;           /* state after the last commit, open group included */
	struct trib_lanes group_base;      /* state of the last complete group */
	uint8_t salt[TRIB_SALT_LEN];
	uint8_t group_salt[TRIB_SALT_LEN];    /* goes with group_base: a voided reset takes its salt along */
	enum trib_kind kind;                  /* of the last commit; nothing follows `closed` */
	uint64_t policy;                      /* of the last commit: a group has one */
	bool has_next;                        /* the last commit was a `rotate`, to the key with this SPKI */
	uint8_t next_spki[TRIB_SHA256_LEN];
};
/* True while a group has begun and is not complete. */
static inline bool trib_tip_open(const struct trib_tip *t) { return t->exists && t->part < t->parts; }
void trib_tip_release(struct trib_tip *t);
static inline void trib_tip_cleanup(struct trib_tip *t) { trib_tip_release(t); }
int trib_tip_copy(const struct trib_tip *from, struct trib_tip *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Serialised for hub.db and state files: "tributary-tip-1 LF", then the fields in fixed order (tip.c). The parser takes nothing else. */
void trib_tip_put(struct trib_buf *b, const struct trib_tip *t);
int trib_tip_parse(struct trib_span bytes, struct trib_tip *ret, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_signer_cache; /* core/replay/signer.h */

/* What the judge trusts. */
struct trib_trust {
	const char *city;                  /* expected city, "-" for a node before enrolment */
	const char *node, *app;
	bool self_signed;                  /* before enrolment: accept the node's own self-signed certificate (local check only) */
	const struct trib_cert *root;      /* city root (not self_signed) */
	int64_t at;                        /* time at which certificates must be valid: receipt time, or now */
	uint64_t incarnation;              /* expected (hub); UINT64_MAX accepts any not falling */
	/* For a caller that measures the resulting state itself and compares it with the signed manifest (restore): everything is judged but the digest
	 * arithmetic (codes DIGEST and SCHEMA of changesets); the lanes of *tip are then left empty. */
	bool state_proven_later;
	/* Remembers signers between calls; may be NULL. The city root must live as long. */
	struct trib_signer_cache *signers;
	/* Is this signing certificate known and not revoked at `at`? NULL = any that chains to root. -1 with TRIB_E_CERT. */
	int (*cert_ok)(void *ctx, const struct trib_cert_id *id, struct trib_err *err);
	void *ctx;
	bool two_threads;                  /* the digests of a large changeset may be computed by two threads */
};

struct trib_judged {
	struct trib_commit commit;
	struct trib_manifest manifest;
	struct trib_schematext schema;     /* points into schema_bytes */
	struct trib_buf schema_bytes;
	struct trib_buf changeset;         /* raw (inflated) and checked; empty when none */
	struct trib_cert_id signer;
	uint8_t commit_sha256[TRIB_SHA256_LEN];   /* of the raw commit object */
	uint8_t manifest_sha256[TRIB_SHA256_LEN];
};
void trib_judged_release(struct trib_judged *j);
static inline void trib_judged_cleanup(struct trib_judged *j) { trib_judged_release(j); }

/* Judges `oid` as successor of *tip, and advances *tip on success (unchanged on failure). Checks: raw form, parent = tip, one trailer =
 * manifest hash, tree shape and every blob hash, city/node/app, seq, prev, incarnation, group rules (D5.1: a single commit or a part 1/m while
 * a group is open voids that group: lanes continue from group_base), certificate chain, role, validity, same key or rotate or new
 * incarnation, signature, changeset canonical and matching the schema lines, digest arithmetic and all counts, salt unchanged except in `reset`.
 * Every error names commit and cause: "verifying commit 3f2a of 520303002001: ...". Codes:
 *   FORMAT     bytes that are not in their one form; a claim no commit may make (adopts outside adopt, a reset that updates)
 *   CHAIN      parent, seq, prev, incarnation, part, node, app or city do not follow from *tip and the trust; anything after `closed`
 *   TREE       a file too many or too few; a file, or the manifest, that does not have the hash named for it
 *   CERT       the certificate is not one of this node's, not valid, or not the one whose turn it is
 *   SIGNATURE  not signed, or not by that certificate
 *   SCHEMA     the changeset does not fit the schema lines
 *   DIGEST     counts, rows or digests are not previous + changes; the salt changed; a dropped table had rows
 *   LIMIT      larger than core/base/limits.h allows */
int trib_judge(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], const struct trib_trust *trust, struct trib_tip *tip,
	       struct trib_judged *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* ---- ahead: what needs no order ----
 *
 * Most of a judgement needs neither the commit before nor the state: objects and their hashes, the form of manifest and changeset, the signature, what the changeset
 * does to a digest. It may be done earlier, in another thread (core/replay/ahead.h). A failure there means only that nothing is known: the judge then
 * looks at everything itself, so that what it says never depends on what was done ahead. */
struct trib_fore;
void trib_fore_free(struct trib_fore *f);
static inline void trib_fore_cleanup(struct trib_fore **f) { trib_fore_free(*f); }
/* Of trust counts: city, node, app, self_signed, root, at, state_proven_later, signers. cert_ok is left to the judge. */
int trib_judge_ahead(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], const struct trib_trust *trust, struct trib_fore **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* About how much memory it holds. */
size_t trib_fore_size(const struct trib_fore *f);
/* The commit object, read and in form. Until `f` is used up. */
const struct trib_commitraw *trib_fore_commit(const struct trib_fore *f);
/* trib_judge with what is known already (NULL: nothing); `fore` is used up, to be freed by the caller. `repo` is not touched then, and may be NULL. */
int trib_judge_fore(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], const struct trib_trust *trust, struct trib_fore *fore, struct trib_tip *tip,
		    struct trib_judged *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
