/* hubdb.h: hub.db, the hub's enduring state, and the log kept in it (D7.5, D8.4).
 *
 * One transaction in hub.db is publication. The log's hashes are rows too, so every writer (the keeper, and
 * administrative commands) appends leaves in the same way and none keeps the log in memory. */
#ifndef TRIB_HUBDB_H
#define TRIB_HUBDB_H

#include "core/store/db.h"
#include "hub/hub.h"

struct trib_hubdb {
	sqlite3 *db;
	const struct trib_hub *hub;
	sqlite3_stmt *peer, *leaf_of; /* asked for every commit */
};

/* Opens (and migrates when `write`) DIR/hub.db; TRIB_E_NOT_FOUND when there is none: only `init` makes one. */
int trib_hubdb_create(const struct trib_hub *hub, struct trib_hubdb *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_hubdb_open(const struct trib_hub *hub, bool write, struct trib_hubdb *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* A hub.db without rows, in memory: what its schema should be. `version`: of which; 0, or more than this program knows, is the newest. */
int trib_hubdb_empty(int64_t version, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_hubdb_close(struct trib_hubdb *h);
static inline void trib_hubdb_cleanup(struct trib_hubdb *h) { trib_hubdb_close(h); }
int trib_hubdb_begin(struct trib_hubdb *h, struct trib_err *err) TRIB_MUST_CHECK; /* BEGIN IMMEDIATE */
int trib_hubdb_commit(struct trib_hubdb *h, struct trib_err *err) TRIB_MUST_CHECK;
void trib_hubdb_rollback(struct trib_hubdb *h);

/* Number of leaves. */
int trib_log_size(struct trib_hubdb *h, uint64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Inside a transaction: `at`, or the last leaf's time when that is later. Leaf times never fall, whatever the clock does. */
int trib_log_time(struct trib_hubdb *h, int64_t at, int64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends inside the caller's transaction. leaf->time is raised as trib_log_time says: rows that repeat it are written after. (An epoch leaf is signed: its
 * writer asks trib_log_time before.) */
int trib_log_append(struct trib_hubdb *h, struct trib_leaf *leaf, uint64_t *ret_index, struct trib_err *err) TRIB_MUST_CHECK;
int trib_log_leaf(struct trib_hubdb *h, uint64_t index, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_log_root(struct trib_hubdb *h, uint64_t size, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Reader for core/trust/merkle.h; ctx is the struct trib_hubdb. */
int trib_log_subtree(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err);
/* Signs the current size, stores the note in DIR/checkpoint and returns it. */
int trib_log_checkpoint(struct trib_hubdb *h, const struct trib_key *log_key, struct trib_buf *ret_note, uint64_t *ret_size,
			struct trib_err *err) TRIB_MUST_CHECK;

/* Single values. A missing one leaves *ret empty. */
int trib_hubdb_meta(struct trib_hubdb *h, const char *key, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_hubdb_meta_set(struct trib_hubdb *h, const char *key, struct trib_span value, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_peer { /* what the hub knows of a certificate */
	enum trib_role role; /* node; auditor and administrator: `name` is the person, node and app are empty */
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1], name[TRIB_TITLE_MAX + 1];
	uint64_t incarnation;
	int64_t not_after, revoked_at; /* revoked_at 0: not revoked */
	bool current;                  /* of the node's current incarnation */
};
/* 1 found, 0 unknown, -1. */
int trib_hubdb_peer(struct trib_hubdb *h, const uint8_t cert[TRIB_SHA256_LEN], struct trib_peer *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Published tip of a history: 1 and *ret (release it), 0 none, -1. */
int trib_hubdb_tip(struct trib_hubdb *h, const char *node, const char *app, struct trib_tip *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The log's leaf about a held commit: TRIB_E_VERIFY when there is none, or it is about something else. */
int trib_hubdb_leaf_of(struct trib_hubdb *h, const uint8_t oid[TRIB_OID_LEN], struct trib_leaf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* For struct trib_trust.cert_ok: the certificate is known, of this history, and was not revoked before `at`, a held leaf's time. INT64_MAX, for what is to be
 * held: it is not revoked. And it is of the machine that the commit says, by its incarnation. ctx: struct trib_cert_gate. */
struct trib_cert_gate { struct trib_hubdb *db; const char *node, *app; int64_t at; uint64_t incarnation; };
int trib_hubdb_cert_ok(void *ctx, const struct trib_cert_id *id, struct trib_err *err);

#endif
