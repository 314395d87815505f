/* mkhub.h: a hub's state folder for tests, filled by the hub's own layers: log, hub.db, repositories, merge, city history. What processes
 * tell each other is left out; the rows they write are the same. Include after cmocka.h. Header only: tests of the agent do not link the hub. */
#ifndef TRIB_TESTS_MKHUB_H
#define TRIB_TESTS_MKHUB_H

#include <sys/stat.h>

#include "core/format/gzip.h"
#include "core/trust/epoch.h"
#include "hub/audit.h"
#include "hub/chain.h"
#include "hub/merge.h"
#include "tests/lib/mkhistory.h"

#define MKHUB_NODES 2
#define HUB_OK(call) do { struct trib_err e_ = {0}; struct trib_err *err = &e_; if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err->msg); } while (0)

struct mkhub {
	char dir[64];
	struct trib_hub hub;
	struct trib_hubdb db;
	struct trib_hub_signer signer;
	struct trib_merge merge;
	struct mk node[MKHUB_NODES]; /* the city's keys are node[0]'s */
	char id[MKHUB_NODES][16];
	int64_t now;
};

TRIB_UNUSED static void mkhub_sql(sqlite3 *db, const char *sql) { HUB_OK(trib_db_exec(db, sql, err)); }

TRIB_UNUSED static char *mkhub_path(const struct mkhub *h, const char *name)
{
	char *p = trib_path(h->dir, name);
	assert_non_null(p);
	return p;
}

TRIB_UNUSED static void mkhub_keys(struct mkhub *h)
{
	struct mk *city = &h->node[0];
	struct trib_cert_spec spec = {.role = TRIB_ROLE_HUB, .id = "hub", .subject = MK_CITY, .use = TRIB_USE_SIGN, .not_before = MK_TIME - 86400, .not_after = INT64_C(1) << 33};
	h->hub = (struct trib_hub){.dir = strdup(h->dir), .city = MK_CITY, .origin = MK_CITY "/1", .policy_version = 1, .root = city->root, .issuing = city->issuing};
	HUB_OK(trib_key_make(TRIB_KEY_P256, &h->signer.sign_key, err));
	HUB_OK(trib_key_make(TRIB_KEY_ED25519, &h->signer.log_key, err));
	HUB_OK(trib_cert_issue(&spec, NULL, h->signer.sign_key, city->issuing_key, city->issuing, &h->hub.sign_cert, err));
	spec.use = TRIB_USE_TLS_SERVER;
	HUB_OK(trib_cert_issue(&spec, NULL, h->signer.sign_key, city->issuing_key, city->issuing, &h->hub.tls_cert, err));
	h->signer.signer_pem = TRIB_BUF(TRIB_SIGNER_MAX);
	HUB_OK(trib_cert_pem(h->hub.sign_cert, &h->signer.signer_pem, err));
	HUB_OK(trib_cert_pem(h->hub.issuing, &h->signer.signer_pem, err));
}

TRIB_UNUSED static void mkhub_append(struct mkhub *h, struct trib_leaf *leaf, uint64_t *ret)
{
	HUB_OK(trib_log_append(&h->db, leaf, ret, err));
}

TRIB_UNUSED static void mkhub_enrol(struct mkhub *h, size_t i)
{
	struct trib_cert_id id;
	struct trib_leaf leaf = {.kind = TRIB_LEAF_ENROLLED, .time = h->now, .incarnation = 1};
	sqlite3_stmt *st = NULL;
	HUB_OK(trib_cert_identity(h->node[i].cert, &id, err));
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", h->id[i]);
	(void)snprintf(leaf.app, sizeof(leaf.app), MK_APP);
	(void)snprintf(leaf.name, sizeof(leaf.name), "Xima");
	memcpy(leaf.cert, id.sha256, sizeof(leaf.cert));
	memset(leaf.cert2, 0x40 + (int)i, sizeof(leaf.cert2)); /* no TLS is spoken here */
	mkhub_append(h, &leaf, NULL);
	HUB_OK(trib_db_prepare(h->db.db, "INSERT INTO node(node, app, name, incarnation, status, added_at) VALUES(?1, ?2, 'Xima', 1, 'enrolled', 1)", &st, err));
	sqlite3_bind_text(st, 1, h->id[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, MK_APP, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	for (int use = 0; use < 2; use++) {
		HUB_OK(trib_db_prepare(h->db.db, "INSERT INTO cert(sha256, node, app, usage, incarnation, not_after) VALUES(?1, ?2, ?3, ?4, 1, ?5)", &st, err));
		sqlite3_bind_blob(st, 1, use ? leaf.cert2 : leaf.cert, TRIB_SHA256_LEN, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, h->id[i], -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 3, MK_APP, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 4, use ? "tls" : "sign", -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 5, id.not_after);
		assert_int_equal(sqlite3_step(st), SQLITE_DONE);
		sqlite3_finalize(st);
	}
}

/* The second node is a history of the same city: other id, own key, certificate of the same authority. */
TRIB_UNUSED static void mkhub_second(struct mkhub *h)
{
	struct mk *m = &h->node[1], *city = &h->node[0];
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = "N2/" MK_APP, .subject = "Second", .use = TRIB_USE_SIGN, .not_before = MK_TIME - 86400,
				      .not_after = MK_TIME + 86400 * 365};
	trib_cert_free(m->cert);
	trib_cert_free(m->issuing);
	m->issuing = NULL;
	HUB_OK(trib_cert_issue(&spec, NULL, m->key, city->issuing_key, city->issuing, &m->cert, err));
	m->trust.node = h->id[1];
	m->trust.root = city->root;
}

TRIB_UNUSED static void mkhub_init(struct mkhub *h)
{
	static const char *const dirs[] = {"run", "city", "keys", ("repos/" MK_NODE), "repos/N2", "quarantine"};
	*h = (struct mkhub){.dir = "/tmp/trib-hub-XXXXXX", .id = {MK_NODE, "N2"}, .now = MK_TIME + 200};
	assert_non_null(mkdtemp(h->dir));
	for (size_t i = 0; i < MKHUB_NODES; i++)
		mk_init(&h->node[i], true, NULL);
	mkhub_second(h);
	mkhub_keys(h);
	for (size_t i = 0; i < TRIB_COUNT(dirs); i++) {
		char *p = mkhub_path(h, dirs[i]);
		HUB_OK(trib_fs_mkdirs(p, 0700, err));
		free(p);
	}
	for (size_t i = 0; i < MKHUB_NODES; i++) {
		char *link = trib_hub_repo_path(&h->hub, h->id[i], MK_APP);
		assert_int_equal(symlink(trib_repo_path(h->node[i].repo), link), 0);
		free(link);
	}
	struct trib_leaf open = {.kind = TRIB_LEAF_LOG_OPEN, .time = h->now};
	struct trib_cert_id root, sign;
	HUB_OK(trib_cert_identity(h->hub.root, &root, err));
	HUB_OK(trib_cert_identity(h->hub.sign_cert, &sign, err));
	(void)snprintf(open.origin, sizeof(open.origin), "%s", h->hub.origin);
	(void)snprintf(open.name, sizeof(open.name), "%s", h->hub.city);
	memcpy(open.cert, root.sha256, sizeof(open.cert));
	memcpy(open.cert2, sign.sha256, sizeof(open.cert2));
	HUB_OK(trib_key_ed25519_public(h->signer.log_key, open.sha256, err));
	HUB_OK(trib_hubdb_create(&h->hub, &h->db, err));
	HUB_OK(trib_hubdb_begin(&h->db, err));
	mkhub_append(h, &open, NULL);
	for (size_t i = 0; i < MKHUB_NODES; i++)
		mkhub_enrol(h, i);
	HUB_OK(trib_hubdb_commit(&h->db, err));
	char *city = mkhub_path(h, "city");
	HUB_OK(trib_merge_open(&h->hub, city, &h->db, &h->merge, err));
	free(city);
}

TRIB_UNUSED static void mkhub_checkpoint(struct mkhub *h)
{
	struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	uint64_t size;
	HUB_OK(trib_log_checkpoint(&h->db, h->signer.log_key, &note, &size, err));
	trib_buf_release(&note);
}

TRIB_UNUSED static void mkhub_free(struct mkhub *h)
{
	trib_merge_close(&h->merge);
	trib_hubdb_close(&h->db);
	trib_hub_signer_release(&h->signer);
	trib_cert_free(h->hub.sign_cert);
	trib_cert_free(h->hub.tls_cert);
	free(h->hub.dir);
	for (size_t i = 0; i < MKHUB_NODES; i++)
		mk_free(&h->node[i]);
	HUB_OK(trib_fs_remove_tree(h->dir, err));
}

/* Logs a judged commit as held and publishes it, as the keeper does. */
TRIB_UNUSED static void mkhub_publish(struct mkhub *h, size_t i, const uint8_t oid[TRIB_OID_LEN])
{
	struct mk *m = &h->node[i];
	struct trib_tip before = {0};
	struct trib_judged j = {0};
	struct trib_buf tip = TRIB_BUF(4 * TRIB_MIB);
	sqlite3_stmt *st = NULL;
	HUB_OK(trib_tip_copy(&m->tip, &before, err));
	HUB_OK(trib_judge(m->repo, oid, &m->trust, &m->tip, &j, err));
	HUB_OK(trib_repo_ref_set(m->repo, "refs/heads/main", oid, err));
	h->now++;
	struct trib_leaf leaf = {.kind = TRIB_LEAF_HELD, .time = h->now, .incarnation = j.manifest.incarnation, .seq = j.manifest.seq, .part = j.manifest.part,
				 .parts = j.manifest.parts};
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", h->id[i]);
	(void)snprintf(leaf.app, sizeof(leaf.app), MK_APP);
	memcpy(leaf.manifest, j.manifest_sha256, TRIB_SHA256_LEN);
	memcpy(leaf.commit, j.commit_sha256, TRIB_SHA256_LEN);
	memcpy(leaf.signer, j.signer.sha256, TRIB_SHA256_LEN);
	memcpy(leaf.oid, oid, TRIB_OID_LEN);
	uint64_t index, ins, upd, del;
	trib_manifest_counts(&j.manifest, &ins, &upd, &del);
	HUB_OK(trib_hubdb_begin(&h->db, err));
	mkhub_append(h, &leaf, &index);
	HUB_OK(trib_db_prepare(h->db.db,
			       "INSERT INTO held(idx, node, app, seq, part, parts, incarnation, oid, manifest, signer, captured_at, held_at, inserted, updated, deleted, braked) "
			       "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			       &st, err));
	const int64_t ints[] = {[1] = (int64_t)index, [4] = (int64_t)leaf.seq, [5] = (int64_t)leaf.part, [6] = (int64_t)leaf.parts, [7] = (int64_t)leaf.incarnation,
				[11] = j.manifest.captured_at, [12] = h->now, [13] = (int64_t)ins, [14] = (int64_t)upd, [15] = (int64_t)del, [16] = (int64_t)j.manifest.nbraked};
	for (int k = 1; k <= 16; k++)
		sqlite3_bind_int64(st, k, ints[k]);
	sqlite3_bind_text(st, 2, h->id[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, MK_APP, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 8, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 9, leaf.manifest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 10, leaf.signer, TRIB_SHA256_LEN, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	HUB_OK(trib_db_prepare(h->db.db, "INSERT INTO due(idx, node, app) VALUES(?,?,?)", &st, err));
	sqlite3_bind_int64(st, 1, (int64_t)index);
	sqlite3_bind_text(st, 2, h->id[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, MK_APP, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	trib_tip_put(&tip, &m->tip);
	HUB_OK(trib_db_prepare(h->db.db,
			       "INSERT INTO history(node, app, oid, seq, tip) VALUES(?,?,?,?,?) ON CONFLICT(node, app) DO UPDATE SET oid = excluded.oid, seq = excluded.seq, "
			       "tip = excluded.tip",
			       &st, err));
	sqlite3_bind_text(st, 1, h->id[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, MK_APP, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, (int64_t)leaf.seq);
	sqlite3_bind_blob(st, 5, tip.p, (int)tip.len, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	HUB_OK(trib_db_prepare(h->db.db, "UPDATE node SET reported_at = ?3, braked = ?4 WHERE node = ?1 AND app = ?2", &st, err));
	sqlite3_bind_text(st, 1, h->id[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, MK_APP, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, h->now);
	sqlite3_bind_int64(st, 4, (int64_t)j.manifest.nbraked);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	HUB_OK(trib_hubdb_commit(&h->db, err));
	trib_buf_release(&tip);
	trib_judged_release(&j);
	trib_tip_release(&before);
}

/* Prepares the commit of node i; a test may falsify the draft before mkhub_seal. */
TRIB_UNUSED static void mkhub_draft(struct mkhub *h, size_t i, const char *sql, enum trib_kind kind, uint64_t part, uint64_t parts, struct mk_draft *d)
{
	static char email[MKHUB_NODES][64];
	(void)snprintf(email[i], sizeof(email[i]), "%s/" MK_APP "@tributary", h->id[i]);
	mk_draft(&h->node[i], sql, kind, part, parts, d);
	(void)snprintf(d->m.node, sizeof(d->m.node), "%s", h->id[i]);
	d->email = email[i];
	if (i) { /* the issuing certificate is the first node's */
		trib_buf_reset(&d->signer);
		HUB_OK(trib_cert_pem(h->node[i].cert, &d->signer, err));
		HUB_OK(trib_cert_pem(h->hub.issuing, &d->signer, err));
		d->cert = h->node[i].cert;
	}
}

TRIB_UNUSED static void mkhub_seal(struct mkhub *h, size_t i, struct mk_draft *d)
{
	uint8_t oid[TRIB_OID_LEN];
	mk_seal(&h->node[i], d, oid);
	mk_draft_release(d);
	mkhub_publish(h, i, oid);
}

/* Node i changes its application and its commit is held. */
TRIB_UNUSED static void mkhub_part(struct mkhub *h, size_t i, const char *sql, enum trib_kind kind, uint64_t part, uint64_t parts)
{
	struct mk_draft d;
	mkhub_draft(h, i, sql, kind, part, parts, &d);
	mkhub_seal(h, i, &d);
}

TRIB_UNUSED static void mkhub_commit(struct mkhub *h, size_t i, const char *sql) { mkhub_part(h, i, sql, TRIB_KIND_CHANGE, 1, 1); }

/* A commit of node 0, where person 2 is 'Li Na', whose old value is not what the row has: right in itself, yet it does not fit. */
TRIB_UNUSED static void mkhub_misfit(struct mkhub *h)
{
	struct mk_draft d;
	struct trib_lanes lanes = {0};
	struct trib_schematext schema = {0};
	struct trib_digester *dg;
	mkhub_draft(h, 0, "UPDATE person SET name = 'Xx' WHERE id = 2", TRIB_KIND_CHANGE, 1, 1, &d);
	uint8_t *old = memmem(d.raw.p, d.raw.len, "Li Na", 5);
	assert_non_null(old);
	old[1] = 'u';
	trib_buf_reset(&d.gz);
	HUB_OK(trib_gzip(trib_buf_span(&d.raw), &d.gz, err));
	d.m.gz_len = d.gz.len;
	dg = trib_digester_new(d.salt, MK_APP);
	HUB_OK(trib_lanes_copy(&h->node[0].tip.lanes, &lanes, err));
	HUB_OK(trib_schematext_parse(trib_buf_span(&d.schema), &schema, err));
	HUB_OK(trib_digest_changeset(dg, &lanes, &schema, trib_buf_span(&d.raw), NULL, err));
	for (size_t i = 0; i < d.m.ntables; i++)
		trib_digest_table(trib_lanes_get(&lanes, d.m.tables[i].name), d.m.tables[i].digest);
	trib_digest_overall(&lanes, MK_APP, d.m.digest);
	mkhub_seal(h, 0, &d);
	trib_digester_free(dg);
	trib_lanes_release(&lanes);
	trib_schematext_release(&schema);
}

/* The keeper's part for one verdict of the merger. */
TRIB_UNUSED static void mkhub_verdict(struct mkhub *h, sqlite3_stmt *r)
{
	bool merged = sqlite3_column_type(r, 6) == SQLITE_NULL;
	struct trib_leaf leaf = {.kind = merged ? TRIB_LEAF_MERGED : TRIB_LEAF_OUT_OF_STEP, .time = ++h->now, .seq = (uint64_t)sqlite3_column_int64(r, 2)};
	sqlite3_stmt *st = NULL;
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", (const char *)sqlite3_column_text(r, 1));
	(void)snprintf(leaf.app, sizeof(leaf.app), MK_APP);
	memcpy(leaf.manifest, sqlite3_column_blob(r, 3), TRIB_SHA256_LEN);
	if (!merged) {
		(void)snprintf(leaf.name, sizeof(leaf.name), "%s", (const char *)sqlite3_column_text(r, 4));
		(void)snprintf(leaf.word, sizeof(leaf.word), "%s", (const char *)sqlite3_column_text(r, 6));
		leaf.key_len = (size_t)sqlite3_column_bytes(r, 5);
		assert_true(leaf.key_len <= sizeof(leaf.key));
		if (leaf.key_len)
			memcpy(leaf.key, sqlite3_column_blob(r, 5), leaf.key_len);
	}
	uint64_t index;
	mkhub_append(h, &leaf, &index);
	HUB_OK(trib_db_prepare(h->db.db, "INSERT INTO due(idx, node, app) VALUES(?,?,?)", &st, err));
	sqlite3_bind_int64(st, 1, (int64_t)index);
	sqlite3_bind_text(st, 2, leaf.node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, leaf.app, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	HUB_OK(trib_db_prepare(h->db.db,
			       "UPDATE held SET merged_at = CASE WHEN ?3 IS NULL THEN ?4 END, out_of_step = ?3 WHERE node = ?1 AND seq <= ?2 AND merged_at IS NULL AND "
			       "seq > ?2 - (SELECT parts FROM held WHERE node = ?1 AND seq = ?2)",
			       &st, err));
	sqlite3_bind_text(st, 1, leaf.node, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (int64_t)leaf.seq);
	if (!merged)
		sqlite3_bind_text(st, 3, leaf.word, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, leaf.time);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
}

/* Sends a node the receipts it is due. */
TRIB_UNUSED static void mkhub_down(struct mkhub *h, size_t i)
{
	HUB_OK(trib_chain_down(&h->db, &h->signer, h->id[i], MK_APP, err));
}

/* Merges all there is, logs the verdicts, signs a city commit and a checkpoint. */
TRIB_UNUSED static void mkhub_merge(struct mkhub *h)
{
	uint64_t size;
	uint8_t digest[TRIB_SHA256_LEN];
	HUB_OK(trib_log_size(&h->db, &size, err));
	HUB_OK(trib_merge_run(&h->merge, &h->db, size, err));
	HUB_OK(trib_merge_digest(&h->merge, digest, err));
	int told = 0;
	for (size_t i = 0; i < h->merge.ncities; i++) {
		sqlite3_stmt *st = NULL;
		HUB_OK(trib_db_prepare(h->merge.cities[i].db, "SELECT leaf, node, seq, manifest, tbl, key, reason FROM _t_result ORDER BY leaf", &st, err));
		HUB_OK(trib_hubdb_begin(&h->db, err));
		for (; sqlite3_step(st) == SQLITE_ROW; told++)
			mkhub_verdict(h, st);
		HUB_OK(trib_hubdb_commit(&h->db, err));
		sqlite3_finalize(st);
		mkhub_sql(h->merge.cities[i].db, "DELETE FROM _t_result");
	}
	if (told)
		HUB_OK(trib_chain_city(&h->db, &h->signer, size, digest, err));
	mkhub_checkpoint(h);
}

/* The loose file of an object of a node's repository. */
TRIB_UNUSED static char *mkhub_object(struct mkhub *h, size_t i, const uint8_t oid[TRIB_OID_LEN])
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	char *p = trib_pathf("%s/objects/%.2s/%s", trib_repo_path(h->node[i].repo), hex, hex + 2);
	assert_non_null(p);
	return p;
}

/* The id of a blob of the node's commit `oid`. */
TRIB_UNUSED static void mkhub_blob_id(struct mkhub *h, size_t i, const uint8_t oid[TRIB_OID_LEN], const char *name, uint8_t ret[TRIB_OID_LEN])
{
	struct trib_commit c = {0};
	bool found = false;
	HUB_OK(trib_commit_read(h->node[i].repo, oid, &c, err));
	for (size_t k = 0; k < c.nentries; k++)
		if (strcmp(c.entries[k].name, name) == 0) {
			memcpy(ret, c.entries[k].oid, TRIB_OID_LEN);
			found = true;
		}
	assert_true(found);
	trib_commit_release(&c);
}

/* Overwrites the middle of an object's file. */
TRIB_UNUSED static void mkhub_damage(const char *path)
{
	struct trib_buf b = TRIB_BUF(TRIB_OBJECT_MAX);
	HUB_OK(trib_fs_read(path, &b, err));
	b.p[b.len / 2] ^= 0x55;
	HUB_OK(trib_fs_write(path, trib_buf_span(&b), 0444, err));
	trib_buf_release(&b);
}

/* ---- what several tests stand on ---- */

#define MKHUB_PERSON "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO person VALUES(1,'a')"

/* Two communities with one commit each, merged. */
TRIB_UNUSED static void mkhub_two(struct mkhub *h)
{
	mkhub_init(h);
	mkhub_commit(h, 0, MKHUB_PERSON);
	mkhub_commit(h, 1, MKHUB_PERSON);
	mkhub_merge(h);
}

/* Findings of the audit, one a line: NODE/APP #SEQ TABLE [KEY] WHAT. */
struct mkhub_found { char text[8192]; unsigned n; };

static int mkhub_collect(void *ctx, const struct trib_finding *f, struct trib_err *err)
{
	struct mkhub_found *all = ctx;
	size_t at = strlen(all->text);
	(void)err;
	all->n++;
	(void)snprintf(all->text + at, sizeof(all->text) - at, "%s/%s #%llu %s [%s] %s\n", f->node, f->app, (unsigned long long)f->seq, f->table, f->key, f->what);
	return 0;
}

static struct trib_audit_totals mkhub_audit_with(struct mkhub *h, unsigned jobs, struct mkhub_found *f)
{
	struct trib_audit *a = NULL;
	struct trib_audit_totals t;
	*f = (struct mkhub_found){0};
	HUB_OK(trib_audit_run(&h->hub, &(struct trib_audit_how){.quiet = true, .jobs = jobs}, &a, err));
	HUB_OK(trib_audit_findings(a, mkhub_collect, f, err));
	trib_audit_totals(a, &t);
	assert_int_equal(t.findings, f->n);
	trib_audit_free(a);
	return t;
}

/* One thread and three find the same, in the same order. */
TRIB_UNUSED static struct trib_audit_totals mkhub_audit(struct mkhub *h, struct mkhub_found *f)
{
	struct mkhub_found alone;
	struct trib_audit_totals t = mkhub_audit_with(h, 1, &alone), more = mkhub_audit_with(h, 3, f);
	assert_string_equal(alone.text, f->text);
	assert_memory_equal(&t, &more, sizeof(t));
	return t;
}

#define assert_found(f, what) do { if (!strstr((f).text, what)) fail_msg("not found: %s\nin:\n%s", what, (f).text); } while (0)
#define assert_audit_finds(h, what) do { struct mkhub_found f_; mkhub_audit(h, &f_); assert_found(f_, what); } while (0)
#define assert_audit_proves(h) do { struct mkhub_found f_; mkhub_audit(h, &f_); assert_string_equal(f_.text, ""); } while (0)

/* A leaf that opens an epoch; what differs from a right one is changed before it is signed, or in the text afterwards. */
struct mkhub_opening { enum trib_role role; const char *origin; int off; bool other_root, other_key, spoil_signature; };
#define MKHUB_SECOND (struct mkhub_opening){TRIB_ROLE_ADMIN, MK_CITY "/2", 0, false, false, false}

/* Appends it as `recover` does, signed under the authority of `city`. */
TRIB_UNUSED static void mkhub_open_epoch(struct mkhub *h, const struct mkhub_opening *o, const struct mk *city)
{
	struct trib_cert_spec spec = {.role = o->role, .id = o->role == TRIB_ROLE_NODE ? "n/a" : "li", .subject = "Li", .use = TRIB_USE_SIGN, .not_before = MK_TIME - 86400,
				      .not_after = INT64_C(1) << 33};
	struct trib_key *key = NULL;
	struct trib_cert *cert = NULL;
	struct trib_buf text = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf facts = {.kind = TRIB_LEAF_EPOCH, .time = h->now}, leaf;
	uint64_t index;
	HUB_OK(trib_key_make(TRIB_KEY_P256, &key, err));
	HUB_OK(trib_cert_issue(&spec, NULL, key, city->issuing_key, city->issuing, &cert, err));
	HUB_OK(trib_log_size(&h->db, &facts.number, err));
	HUB_OK(trib_log_root(&h->db, facts.number, facts.manifest, err));
	HUB_OK(trib_key_ed25519_public(h->signer.log_key, facts.sha256, err));
	(void)snprintf(facts.origin, sizeof(facts.origin), "%s", o->origin);
	facts.number += (uint64_t)o->off;
	facts.manifest[0] ^= o->other_root;
	facts.sha256[0] ^= o->other_key;
	HUB_OK(trib_epoch_sign(&facts, key, cert, city->issuing, &text, err));
	if (o->spoil_signature) {
		char *at = strstr((char *)text.p, "time 20");
		assert_non_null(at);
		at[sizeof("time 2026-11-18T11:06:40Z") - 3] ^= 1; /* another second */
	}
	HUB_OK(trib_leaf_parse(trib_buf_span(&text), &leaf, err));
	HUB_OK(trib_hubdb_begin(&h->db, err));
	mkhub_append(h, &leaf, &index);
	HUB_OK(trib_db_exec(h->db.db, "INSERT INTO due(idx, node, app) SELECT (SELECT max(idx) FROM leaf), node, app FROM history", err));
	HUB_OK(trib_hubdb_meta_set(&h->db, "origin", trib_span_str(o->origin), err));
	HUB_OK(trib_hubdb_meta_set(&h->db, "epoch-leaf", trib_span(&index, sizeof(index)), err));
	HUB_OK(trib_hubdb_commit(&h->db, err));
	(void)snprintf(h->hub.origin, sizeof(h->hub.origin), "%s", o->origin);
	mkhub_checkpoint(h);
	trib_buf_release(&text);
	trib_key_free(key);
	trib_cert_free(cert);
}

#endif
