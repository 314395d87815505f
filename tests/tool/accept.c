/* accept.c: the hub itself takes a commit in that it should have refused: a hub whose operator is the attacker, with every key that lies there.
 *
 * accept HUB NODE APP OID [seq=N] [verdict=merged|out-of-step|none] [says=REASON] [table=NAME] [twice=1] [early=1]: no judge is asked. The commit's objects are in the history's repository
 * already. Everything else is as an honest hub makes it, and fits: leaf, hashes, hub.db, rows of the city, verdict, city commit and receipts signed by the hub,
 * checkpoint and published log. seq=N: the number that leaf and rows give the commit. An `out-of-step` that the rows really are has the true reason and row, but for
 * what says= and table= put in their place; twice: a second verdict says the contrary; early: the verdict comes before the commit. The hub is stopped meanwhile. */
#include <err.h>

#include "core/base/clock.h"
#include "core/format/gzip.h"
#include "core/trust/hash.h"
#include "hub/chain.h"
#include "hub/crl.h"
#include "hub/merge.h"
#include "hub/tiles.h"

struct accept {
	struct trib_hub hub;
	struct trib_hubdb db;
	struct trib_hub_signer s;
	struct trib_repo *repo;
	struct trib_judged j; /* never judged */
	uint8_t oid[TRIB_OID_LEN], signer[TRIB_SHA256_LEN], salt[TRIB_SALT_LEN];
	uint64_t seq, held; /* its number; its leaf */
	const char *node, *app, *verdict, *says, *table;
	bool twice, early;
	struct trib_mismatch why; /* that its rows do not fit */
	int64_t now;
};

static struct trib_err e;
#define MUST(call)                                               \
	do {                                                     \
		if (call)                                        \
			errx(9, "accept: %s: %s", #call, e.msg); \
	} while (0)

static void blob(struct accept *x, const struct trib_tree_entry *t, size_t n, const char *name, struct trib_buf *ret)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(t[i].name, name) == 0)
			MUST(trib_repo_read(x->repo, t[i].oid, TRIB_OBJ_BLOB, TRIB_CHANGESET_RAW_MAX, ret, &e));
}

static void take_signer(struct accept *x, struct trib_span pem)
{
	struct trib_cert *certs[2] = {0};
	size_t n;
	MUST(trib_certs_parse_pem(pem, certs, 2, &n, &e) || trib_cert_identity(certs[0], &x->j.signer, &e));
	memcpy(x->signer, x->j.signer.sha256, sizeof(x->signer));
	trib_cert_free(certs[0]);
	trib_cert_free(certs[1]);
}

/* The commit object in any form: only its first line, the tree, is asked for. */
static void load(struct accept *x)
{
	struct trib_tree_entry t[TRIB_TREE_MAX];
	struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX), tree = TRIB_BUF(TRIB_COMMIT_MAX), pem = TRIB_BUF(TRIB_SIGNER_MAX), salt = TRIB_BUF(TRIB_SALT_LEN),
			gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX), manifest = TRIB_BUF(TRIB_MANIFEST_MAX);
	uint8_t id[TRIB_OID_LEN];
	size_t n;
	MUST(trib_repo_read(x->repo, x->oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, &e));
	trib_sha256(x->j.commit_sha256, trib_buf_span(&raw));
	if (raw.len < 45 || !trib_unhex(id, sizeof(id), trib_span(raw.p + 5, TRIB_OID_HEX)))
		errx(9, "accept: no tree");
	MUST(trib_repo_read(x->repo, id, TRIB_OBJ_TREE, TRIB_COMMIT_MAX, &tree, &e) || trib_tree_parse(trib_buf_span(&tree), t, &n, &e));
	blob(x, t, n, "manifest", &manifest);
	blob(x, t, n, "signer.pem", &pem);
	blob(x, t, n, "salt", &salt);
	blob(x, t, n, "changeset.gz", &gz);
	blob(x, t, n, "schema.sql", &x->j.schema_bytes);
	trib_sha256(x->j.manifest_sha256, trib_buf_span(&manifest));
	MUST(trib_manifest_parse(trib_buf_span(&manifest), &x->j.manifest, &e) || trib_schematext_parse(trib_buf_span(&x->j.schema_bytes), &x->j.schema, &e));
	if (gz.len)
		MUST(trib_gunzip(trib_buf_span(&gz), (size_t)x->j.manifest.raw_len, &x->j.changeset, &e));
	memcpy(x->salt, salt.p, sizeof(x->salt));
	take_signer(x, trib_buf_span(&pem));
	trib_buf_release(&raw);
	trib_buf_release(&tree);
	trib_buf_release(&pem);
	trib_buf_release(&salt);
	trib_buf_release(&gz);
	trib_buf_release(&manifest);
}

static void held_row(struct accept *x)
{
	sqlite3_stmt *st = NULL;
	uint64_t ins, upd, del;
	const struct trib_manifest *m = &x->j.manifest;
	trib_manifest_counts(m, &ins, &upd, &del);
	MUST(trib_db_prepare(x->db.db, "INSERT INTO held(idx, node, app, seq, part, parts, incarnation, oid, manifest, signer, captured_at, held_at, inserted, updated, deleted, braked) "
				       "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", &st, &e));
	const int64_t n[] = {(int64_t)x->held, 0, 0, (int64_t)x->seq, (int64_t)m->part, (int64_t)m->parts, (int64_t)m->incarnation, 0, 0, 0, m->captured_at, x->now,
			     (int64_t)ins, (int64_t)upd, (int64_t)del, (int64_t)m->nbraked};
	for (int i = 0; i < (int)TRIB_COUNT(n); i++)
		sqlite3_bind_int64(st, i + 1, n[i]);
	sqlite3_bind_text(st, 2, x->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, x->app, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 8, x->oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 9, x->j.manifest_sha256, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 10, x->signer, TRIB_SHA256_LEN, SQLITE_STATIC);
	MUST(trib_db_step(x->db.db, st, &e) < 0);
	sqlite3_finalize(st);
}

static void hold(struct accept *x)
{
	const struct trib_manifest *m = &x->j.manifest;
	struct trib_leaf leaf = {.kind = TRIB_LEAF_HELD, .time = x->now, .incarnation = m->incarnation, .seq = x->seq, .part = m->part, .parts = m->parts};
	sqlite3_stmt *due = NULL;
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", x->node);
	(void)snprintf(leaf.app, sizeof(leaf.app), "%s", x->app);
	memcpy(leaf.manifest, x->j.manifest_sha256, sizeof(leaf.manifest));
	memcpy(leaf.commit, x->j.commit_sha256, sizeof(leaf.commit));
	memcpy(leaf.oid, x->oid, sizeof(leaf.oid));
	memcpy(leaf.signer, x->signer, sizeof(leaf.signer));
	MUST(trib_crl_in_force(&x->db, &leaf.crl, &e) || trib_log_append(&x->db, &leaf, &x->held, &e));
	held_row(x);
	MUST(trib_db_prepare(x->db.db, "INSERT INTO due(idx, node, app) VALUES(?,?,?)", &due, &e));
	sqlite3_bind_int64(due, 1, (int64_t)x->held);
	sqlite3_bind_text(due, 2, x->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(due, 3, x->app, -1, SQLITE_STATIC);
	MUST(trib_db_step(x->db.db, due, &e) < 0);
	sqlite3_finalize(due);
}

/* Where the history stands then. */
static void move_tip(struct accept *x, struct trib_tip *t)
{
	const struct trib_manifest *m = &x->j.manifest;
	struct trib_digester *d = trib_digester_new(x->salt, x->app);
	if (x->j.changeset.len)
		MUST(trib_digest_changeset(d, &t->lanes, &x->j.schema, trib_buf_span(&x->j.changeset), NULL, &e));
	trib_digester_free(d);
	trib_lanes_release(&t->group_base);
	MUST(trib_lanes_copy(&t->lanes, &t->group_base, &e));
	memcpy(t->oid, x->oid, sizeof(t->oid));
	memcpy(t->manifest_sha256, x->j.manifest_sha256, sizeof(t->manifest_sha256));
	t->seq = x->seq;
	t->captured_at = m->captured_at;
	t->kind = m->kind;
	t->policy = m->policy;
}

static void history_row(struct accept *x, const struct trib_tip *tip)
{
	struct trib_buf bytes = TRIB_BUF(2 * TRIB_LANES_MAX + TRIB_MIB);
	sqlite3_stmt *h = NULL, *n = NULL;
	trib_tip_put(&bytes, tip);
	MUST(trib_db_prepare(x->db.db, "UPDATE history SET oid = ?1, seq = ?2, tip = ?3 WHERE node = ?4 AND app = ?5", &h, &e) ||
	     trib_db_prepare(x->db.db, "UPDATE node SET reported_at = ?1, seen_at = ?1 WHERE node = ?2 AND app = ?3", &n, &e));
	sqlite3_bind_blob(h, 1, x->oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(h, 2, (int64_t)x->seq);
	sqlite3_bind_blob(h, 3, bytes.p, (int)bytes.len, SQLITE_STATIC);
	sqlite3_bind_text(h, 4, x->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(h, 5, x->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(n, 1, x->now);
	sqlite3_bind_text(n, 2, x->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(n, 3, x->app, -1, SQLITE_STATIC);
	MUST(trib_db_step(x->db.db, h, &e) < 0 || trib_db_step(x->db.db, n, &e) < 0);
	sqlite3_finalize(h);
	sqlite3_finalize(n);
	trib_buf_release(&bytes);
}

static void verdict_leaf(struct accept *x, bool merged)
{
	struct trib_leaf leaf = {.kind = merged ? TRIB_LEAF_MERGED : TRIB_LEAF_OUT_OF_STEP, .time = x->now, .seq = x->seq};
	sqlite3_stmt *due = NULL;
	uint64_t idx;
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", x->node);
	(void)snprintf(leaf.app, sizeof(leaf.app), "%s", x->app);
	memcpy(leaf.manifest, x->j.manifest_sha256, sizeof(leaf.manifest));
	if (!merged) {
		(void)snprintf(leaf.name, sizeof(leaf.name), "%s", x->table ? x->table : x->why.table);
		(void)snprintf(leaf.word, sizeof(leaf.word), "%s", x->says ? x->says : x->why.reason);
		leaf.key_len = x->why.key_len < sizeof(leaf.key) ? x->why.key_len : sizeof(leaf.key);
		memcpy(leaf.key, x->why.key, leaf.key_len);
	}
	MUST(trib_log_append(&x->db, &leaf, &idx, &e) || trib_db_prepare(x->db.db, "INSERT INTO due(idx, node, app) VALUES(?,?,?)", &due, &e));
	sqlite3_bind_int64(due, 1, (int64_t)idx);
	sqlite3_bind_text(due, 2, x->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(due, 3, x->app, -1, SQLITE_STATIC);
	MUST(trib_db_step(x->db.db, due, &e) < 0);
	sqlite3_finalize(due);
}

static void verdict_row(struct accept *x, bool merged)
{
	sqlite3_stmt *st = NULL;
	MUST(trib_db_prepare(x->db.db, "UPDATE held SET merged_at = CASE WHEN ?1 IS NULL THEN ?2 END, out_of_step = ?1 WHERE idx = ?3", &st, &e));
	if (!merged)
		sqlite3_bind_text(st, 1, x->says ? x->says : x->why.reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, x->now);
	sqlite3_bind_int64(st, 3, (int64_t)x->held);
	MUST(trib_db_step(x->db.db, st, &e) < 0);
	sqlite3_finalize(st);
}

static void ledger_row(struct accept *x, struct trib_city *c)
{
	sqlite3_stmt *st = NULL;
	MUST(trib_db_prepare(c->db, "INSERT INTO _t_ledger(leaf, node, seq, tbl, key, reason, at) VALUES(?,?,?,?,?,?,?)", &st, &e));
	sqlite3_bind_int64(st, 1, (int64_t)x->held);
	sqlite3_bind_text(st, 2, x->node, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)x->seq);
	sqlite3_bind_text(st, 4, x->why.table, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 5, x->why.key, (int)x->why.key_len, SQLITE_STATIC);
	sqlite3_bind_text(st, 6, x->why.reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 7, x->now);
	MUST(trib_db_step(c->db, st, &e) < 0);
	sqlite3_finalize(st);
}

/* Its rows, whatever they are; what does not fit is left out. And the digest that its manifest names. */
static void merge(struct accept *x, struct trib_city *c, struct trib_city_tip *at, bool merged)
{
	sqlite3_stmt *st = NULL;
	MUST(trib_db_exec(c->db, "SAVEPOINT one", &e));
	bool fits = trib_mirror_apply_judged(c->mirror, &x->j, &x->why, &e) == 0;
	if (fits)
		x->why = (struct trib_mismatch){.table = "-", .reason = "row-missing"};
	MUST(trib_db_exec(c->db, fits && merged ? "RELEASE one" : "ROLLBACK TO one; RELEASE one", &e));
	if (merged)
		move_tip(x, &at->tip);
	else
		(void)snprintf(at->stopped, sizeof(at->stopped), "out-of-step");
	at->moved = true;
	at->merged = merged;
	if (!merged)
		ledger_row(x, c);
	MUST(trib_tips_flush(&c->tips, c->db, x->app, &e) || trib_db_prepare(c->db, "UPDATE _t_digest SET digest = ? WHERE node = ?", &st, &e));
	sqlite3_bind_blob(st, 1, x->j.manifest.digest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, x->node, -1, SQLITE_STATIC);
	if (merged)
		MUST(trib_db_step(c->db, st, &e) < 0);
	sqlite3_finalize(st);
}

static void tell(struct accept *x, const uint8_t digest[TRIB_SHA256_LEN], bool merged)
{
	MUST(trib_hubdb_begin(&x->db, &e));
	if (!x->early && strcmp(x->verdict, "none") != 0)
		verdict_leaf(x, merged);
	if (strcmp(x->verdict, "none") != 0)
		verdict_row(x, merged);
	if (x->twice)
		verdict_leaf(x, !merged);
	MUST(trib_hubdb_commit(&x->db, &e) || trib_chain_city(&x->db, &x->s, x->held + 1, digest, &e) || trib_chain_down(&x->db, &x->s, x->node, x->app, &e) ||
	     trib_tiles_publish(&x->db, x->s.log_key, &e));
}

static void take_in(struct accept *x)
{
	TRIB_AUTO(trib_merge) struct trib_merge m;
	struct trib_city_tip *at;
	struct trib_tip tip = {0};
	struct trib_city *c = NULL;
	char *path = trib_hub_path(&x->hub, "city"), sql[64];
	uint8_t digest[TRIB_SHA256_LEN];
	bool merged = strcmp(x->verdict, "merged") == 0;
	MUST(trib_merge_open(&x->hub, path, &x->db, &m, &e));
	for (size_t i = 0; i < m.ncities; i++)
		c = strcmp(m.cities[i].app, x->app) == 0 ? &m.cities[i] : c;
	if (!c)
		errx(9, "accept: no city database of %s", x->app);
	MUST(trib_db_exec(c->db, "BEGIN IMMEDIATE", &e) || trib_tips_get(&c->tips, c->db, x->node, &at, &e) || trib_tip_copy(&at->tip, &tip, &e));
	move_tip(x, &tip);
	MUST(trib_hubdb_begin(&x->db, &e));
	if (x->early)
		verdict_leaf(x, merged);
	hold(x);
	history_row(x, &tip);
	MUST(trib_hubdb_commit(&x->db, &e) || trib_repo_ref_set(x->repo, "refs/heads/main", x->oid, &e));
	merge(x, c, at, merged);
	(void)snprintf(sql, sizeof(sql), "UPDATE _t_merged SET upto = %llu; COMMIT", (unsigned long long)x->held + 1);
	MUST(trib_db_exec(c->db, sql, &e) || trib_merge_digest(&m, digest, &e));
	tell(x, digest, merged);
	trib_tip_release(&tip);
	free(path);
}

int main(int argc, char **argv)
{
	struct accept x = {.verdict = "merged", .now = trib_now()};
	if (argc < 5 || !trib_unhex(x.oid, sizeof(x.oid), trib_span_str(argv[4])))
		errx(2, "accept HUB NODE APP OID [seq=N] [verdict=merged|out-of-step|none] [says=REASON] [table=NAME] [twice=1] [early=1]");
	x.node = argv[2];
	x.app = argv[3];
	x.j.schema_bytes = TRIB_BUF(TRIB_SCHEMA_MAX);
	x.j.changeset = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	MUST(trib_repo_lib_init(&e) || trib_hub_open(argv[1], &x.hub, &e) || trib_hubdb_open(&x.hub, true, &x.db, &e) || trib_hub_signer_load(&x.hub, &x.s, &e));
	char *path = trib_hub_repo_path(&x.hub, x.node, x.app);
	MUST(trib_repo_open(path, false, &x.repo, &e));
	load(&x);
	x.seq = x.j.manifest.seq;
	for (int i = 5; i < argc; i++) {
		if (strncmp(argv[i], "seq=", 4) == 0)
			x.seq = strtoull(argv[i] + 4, NULL, 10);
		else if (strncmp(argv[i], "verdict=", 8) == 0)
			x.verdict = argv[i] + 8;
		else if (strncmp(argv[i], "says=", 5) == 0)
			x.says = argv[i] + 5;
		else if (strncmp(argv[i], "table=", 6) == 0)
			x.table = argv[i] + 6;
		else if (strcmp(argv[i], "twice=1") == 0)
			x.twice = true;
		else if (strcmp(argv[i], "early=1") == 0)
			x.early = true;
		else
			errx(2, "accept: what is %s?", argv[i]);
	}
	take_in(&x);
	free(path);
	trib_judged_release(&x.j);
	trib_repo_free(x.repo);
	trib_hub_signer_release(&x.s);
	trib_hubdb_close(&x.db);
	trib_hub_close(&x.hub);
	return 0;
}
