/* replay.h: a history (or a prefix of it) becomes a database file again (D12). */
#ifndef TRIB_REPLAY_H
#define TRIB_REPLAY_H

#include "core/base/progress.h"
#include "core/replay/mirror.h"

struct trib_history { /* one history to read */
	struct trib_repo *repo;
	const char *ref;          /* usually "refs/heads/main" */
	struct trib_trust trust;
	/* Receipt time of a commit, for "signed while valid" (D7.4); NULL: trust.at for all. */
	int (*time_of)(void *ctx, const uint8_t oid[TRIB_OID_LEN], int64_t *ret, struct trib_err *err);
	void *time_ctx;
	struct trib_progress *progress; /* may be NULL */
	/* The private half (D4.8) of the same history, kept at the node: repo NULL = none, and a restore lists what is absent. The text of its commits
	 * is "Own-Seq: N": they go with the public commit #(private_base + N); up to private_base another machine made the history. */
	struct trib_repo *private_repo;
	struct trib_trust private_trust;
	uint64_t private_base;
	int64_t private_until; /* of private commits that go with the same public one, the last that was captured by then; 0: the last */
};
#define TRIB_OWN_SEQ "Own-Seq: "

/* Walks the chain oldest first and judges every commit; calls fn after each. `upto` (may be NULL) is the last commit walked. Stops on the first
 * error. fn may be NULL: then this is a verification. `complete` says the group is complete with this commit. */
typedef int (*trib_walk_fn)(void *ctx, const struct trib_judged *j, const struct trib_tip *tip, bool complete, struct trib_err *err);
int trib_history_walk(const struct trib_history *h, const uint8_t *upto, struct trib_tip *ret_tip, trib_walk_fn fn, void *ctx, struct trib_err *err) TRIB_MUST_CHECK;

/* Resolves WHEN of docs/CLI (RFC 3339, date, HEAD, HEAD~n, #seq, hash prefix, latest, "N days ago") to a commit that completes a group.
 * *ret_text receives the echo: "commit 3f2a… #12 of 2026-11-25T19:00:00Z". `tz_offset_s` is the city's zone (Asia/Shanghai: 28800). */
int trib_history_at(struct trib_repo *repo, const char *ref, const char *when, int64_t now, int tz_offset_s,
		    uint8_t ret_oid[TRIB_OID_LEN], struct trib_buf *ret_text, struct trib_err *err) TRIB_MUST_CHECK;

/* Is WHEN an instant or a day, and not a commit's name? Then *ret is the last second of it. */
bool trib_history_instant(const char *when, int64_t now, int tz_offset_s, int64_t *ret);

/* A file may be written at `to`: its folder is there and is not `own` (the program's own folder) nor in it, no file is there or with `force` a database, and no
 * -wal, -journal or -shm beside it. TRIB_E_USAGE, TRIB_E_LOCKED. */
int trib_restore_target(const char *to, bool force, const char *own, struct trib_err *err) TRIB_MUST_CHECK;
/* The table is in the schema of the commit: TRIB_E_NOT_FOUND when not. NULL: nothing is asked. */
int trib_restore_table(const struct trib_history *h, const uint8_t oid[TRIB_OID_LEN], const char *table, struct trib_err *err) TRIB_MUST_CHECK;

/* Replays to `upto` and writes a new SQLite file at `to` (must not exist; made under a temporary name and renamed at the end) with the
 * schema of that commit (every commit is judged, but the state is proven once, on the file): encoding, page size, auto_vacuum, user_version,
 * application_id, tables, rows, sqlite_sequence, then indexes, views and triggers. Proven before it is handed over: a rescan of the file gives the
 * manifest's digests, integrity_check is ok. `table` (may be NULL) restores only that table (folded comparison). */
struct trib_restored { /* zeroed by the caller */
	uint64_t rows; size_t tables;
	uint64_t private_seq; /* of the private commit that was joined, 0 = none */
	uint64_t seq; uint8_t oid[TRIB_OID_LEN]; int64_t captured_at;
	uint8_t digest[TRIB_SHA256_LEN]; /* overall digest measured on the file (whole restore), or the table's */
	struct trib_cert_id signer;
	struct trib_buf absent; /* names left out, one a line with the reason */
	struct trib_buf stand_ins; /* collations of the application's own, without which the indexes were made: it must REINDEX */
	struct trib_buf unmet; /* "trigger T on TABLE: NAME", "view V: NAME": what names a table that is left out */
};
void trib_restored_release(struct trib_restored *r);
static inline void trib_restored_cleanup(struct trib_restored *r) { trib_restored_release(r); }
int trib_replay_to_file(const struct trib_history *h, const uint8_t upto[TRIB_OID_LEN], const char *table, const char *to,
			struct trib_restored *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Visits every row of any ordinary database file as capture would see it: equal rows of a bag once, with their `_count`; a row over TRIB_ROW_MAX
 * not at all. `city` is the table's name as spelled. Each table is first announced with row NULL. */
int trib_scan_each(sqlite3 *db, trib_mirror_row fn, void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
/* Lanes and row counts of any ordinary database file, as capture would see it (bags included). */
int trib_scan_database(sqlite3 *db, const uint8_t salt[TRIB_SALT_LEN], const char *app, struct trib_lanes *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same for a file whose rows lie in several histories: each half is measured by its own lines and salt, in one pass. A row that no half has a
 * line for is TRIB_E_VERIFY. The lanes are the caller's, filled on success. */
struct trib_scan_half { const struct trib_schematext *lines; const uint8_t *salt; struct trib_lanes lanes; };
int trib_scan_halves(sqlite3 *db, const char *app, struct trib_scan_half *halves, size_t n, struct trib_err *err) TRIB_MUST_CHECK;
#define TRIB_HALVES_MAX 2

#endif
