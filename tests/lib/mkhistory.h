/* mkhistory.h: real histories for tests: a real application database, real keys, a real repository, and digests that come from a full scan of
 * the database (not from the changeset), so that the judge's arithmetic is checked against something independent.
 *
 * mk_draft runs SQL on the application and prepares the commit that a right agent would make; a test may then falsify anything in the
 * draft; mk_seal signs and writes it. mk_commit does all of it and demands that the judge accepts. Failures abort the test (cmocka). */
#ifndef TRIB_TESTS_MKHISTORY_H
#define TRIB_TESTS_MKHISTORY_H

#include "core/replay/replay.h"

#define MK_NODE "520303002001"
#define MK_APP "shequ"
#define MK_CITY "Zunyi"
#define MK_TIME INT64_C(1795000000)

struct mk {
	char dir[64];
	struct trib_repo *repo;
	sqlite3 *app;    /* the application's database, in memory */
	sqlite3 *state;  /* its rows as of the last commit: state(tbl, key, row) */
	sqlite3 *kept_app, *kept_state; /* mk_keep */
	bool enrolled;
	struct trib_key *key, *other_key, *root_key, *issuing_key;
	struct trib_cert *root, *issuing, *cert, *other_cert /* of other_key, same node */, *foreign_root;
	uint8_t salt[TRIB_SALT_LEN];
	uint64_t incarnation;
	int64_t time;
	struct trib_tip tip;   /* after the last accepted commit */
	struct trib_trust trust;
};

struct mk_draft {
	struct trib_manifest m;
	struct trib_buf schema, raw, gz, signer, next;
	uint8_t salt[TRIB_SALT_LEN];
	const struct trib_key *key;    /* that signs */
	const struct trib_cert *cert;  /* that the signature names */
	/* What to break. */
	bool unsigned_commit;
	bool manifest_behind;          /* the trailer names another manifest than the tree holds */
	struct trib_buf signed_manifest; /* not empty: this one is signed; the draft's own, and tree and trailer with it, replaces it afterwards */
	bool second_parent;
	bool no_parent, odd_parent;
	int64_t commit_time;           /* 0: captured-at */
	const char *email;             /* NULL: right */
	const char *extra_file;        /* put into the tree; named in the manifest when extra_named */
	bool extra_named;
	const char *missing_file;      /* left out of the tree and of the manifest */
	const char *changed_file;      /* the tree holds other bytes than the manifest names */
};

/* `enrolled`: city CA and node certificate; else self-signed. `setup` may be PRAGMAs to run before anything else. */
void mk_init(struct mk *mk, bool enrolled, const char *setup);
void mk_free(struct mk *mk);
/* Prepares the commit for what `sql` changes. A reset lists all rows. */
void mk_draft(struct mk *mk, const char *sql, enum trib_kind kind, uint64_t part, uint64_t parts, struct mk_draft *ret);
void mk_draft_release(struct mk_draft *d);
/* Hashes the blobs into the manifest again (mk_seal does it when the test changed none itself). */
void mk_rehash(struct mk_draft *d);
void mk_seal(struct mk *mk, struct mk_draft *d, uint8_t ret_oid[TRIB_OID_LEN]);
/* Judges against mk->tip and mk->trust; on success the tip moves and the ref follows. */
int mk_judge(struct mk *mk, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err);
/* Draft, seal, judge; returns the sequence number. */
uint64_t mk_commit(struct mk *mk, const char *sql);
uint64_t mk_part(struct mk *mk, const char *sql, enum trib_kind kind, uint64_t part, uint64_t parts);
/* Remembers and brings back the application and the state: what a voided group needs. */
void mk_keep(struct mk *mk);
void mk_back(struct mk *mk);
struct trib_history mk_history(struct mk *mk);

#endif
