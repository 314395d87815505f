#include "hub/chain.h"

#include "core/base/clock.h"
#include "core/format/down.h"
#include "core/store/repo.h"
#include "core/trust/hash.h"
#include "core/trust/sign.h"
#include "hub/policy.h"
#include "hub/witnesses.h"

int trib_hub_signer_load(const struct trib_hub *hub, struct trib_hub_signer *ret, struct trib_err *err)
{
	*ret = (struct trib_hub_signer){.signer_pem = TRIB_BUF(TRIB_SIGNER_MAX)};
	TRIB_AUTO(trib_mem) char *sign = trib_hub_path(hub, "keys/hub-sign.key");
	TRIB_AUTO(trib_mem) char *log = trib_hub_path(hub, "keys/log.key");
	if (!sign || !log)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_key_load(sign, &ret->sign_key, err) || trib_key_load(log, &ret->log_key, err) ||
	    trib_cert_pem(hub->sign_cert, &ret->signer_pem, err) || trib_cert_pem(hub->issuing, &ret->signer_pem, err) ||
	    trib_buf_check(&ret->signer_pem, "signer.pem", err)) {
		trib_hub_signer_release(ret);
		return trib_ctx(err, "loading the hub's keys");
	}
	return 0;
}

void trib_hub_signer_release(struct trib_hub_signer *s)
{
	trib_key_free(s->sign_key);
	trib_key_free(s->log_key);
	trib_buf_release(&s->signer_pem);
	*s = (struct trib_hub_signer){0};
}

/* Writes blobs, tree and a hub-signed commit; the ref is the caller's. `blobs` holds everything but `manifest`. */
static int write_commit(struct trib_repo *repo, const struct trib_hub *hub, const struct trib_hub_signer *s, const uint8_t *parent, int64_t now,
			const char *subject, const struct trib_blob_in *blobs, size_t n, const uint8_t manifest_sha256[TRIB_SHA256_LEN],
			uint8_t ret_oid[TRIB_OID_LEN], struct trib_err *err)
{
	uint8_t tree[TRIB_OID_LEN];
	if (trib_repo_write_tree(repo, blobs, n, tree, err))
		return -1;
	TRIB_AUTO(trib_buf) struct trib_buf payload = TRIB_BUF(TRIB_COMMIT_MAX), pem = TRIB_BUF(TRIB_SIG_MAX), raw = TRIB_BUF(TRIB_COMMIT_MAX);
	trib_commitraw_put(&payload, tree, parent, hub->city, "hub@tributary", now, subject, "", manifest_sha256);
	if (trib_buf_check(&payload, "commit", err) || trib_sign(trib_buf_span(&payload), s->sign_key, hub->sign_cert, now, &pem, err))
		return -1;
	trib_commitraw_sign(&raw, trib_buf_span(&payload), trib_buf_span(&pem));
	if (trib_buf_check(&raw, "commit", err))
		return -1;
	return trib_repo_write(repo, TRIB_OBJ_COMMIT, trib_buf_span(&raw), ret_oid, err);
}

/* The leaves a node is due, as a receipts blob against `note`. */
static int put_receipts(struct trib_hubdb *h, const char *node, const char *app, uint64_t size, struct trib_span note, struct trib_buf *ret,
			uint64_t *ret_last, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT d.idx, l.bytes FROM due d JOIN leaf l ON l.idx = d.idx WHERE d.node = ? AND d.app = ? AND d.idx < ? ORDER BY d.idx", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)size);
	trib_receipts_begin(ret);
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0 && ret->len < TRIB_RECEIPTS_MAX - TRIB_LEAF_MAX - 8192) {
		uint64_t index = (uint64_t)sqlite3_column_int64(st, 0);
		uint8_t proof[TRIB_PROOF_MAX_HASHES][TRIB_SHA256_LEN];
		size_t n;
		if (trib_merkle_inclusion(index, size, trib_log_subtree, h, proof, &n, err))
			return -1;
		trib_receipts_put(ret, index, (const uint8_t(*)[TRIB_SHA256_LEN])proof, n,
				  trib_span(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1)));
		*ret_last = index;
	}
	if (row < 0)
		return -1;
	trib_receipts_end(ret, note);
	return trib_buf_check(ret, "receipts", err);
}

static int put_consistency(struct trib_hubdb *h, uint64_t first, uint64_t second, struct trib_buf *ret, struct trib_err *err)
{
	uint8_t proof[TRIB_PROOF_MAX_HASHES + 1][TRIB_SHA256_LEN];
	size_t n;
	if (trib_merkle_consistency(first, second, trib_log_subtree, h, proof, &n, err))
		return -1;
	trib_buf_printf(ret, "format tributary-consistency-1\nfirst %llu\nsecond %llu\n", (unsigned long long)first, (unsigned long long)second);
	for (size_t i = 0; i < n; i++) {
		trib_buf_puts(ret, "proof ");
		trib_buf_hex(ret, proof[i], TRIB_SHA256_LEN);
		trib_buf_putc(ret, '\n');
	}
	return trib_buf_check(ret, "consistency proof", err);
}

struct down_state {
	bool exists;
	uint8_t oid[TRIB_OID_LEN], manifest[TRIB_SHA256_LEN];
	uint64_t seq, size;
};

static int read_down(struct trib_hubdb *h, const char *node, const char *app, struct down_state *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT down_oid, down_seq, down_manifest, down_size FROM history WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	*ret = (struct down_state){0};
	if (!row || sqlite3_column_bytes(st, 0) != TRIB_OID_LEN || sqlite3_column_bytes(st, 2) != TRIB_SHA256_LEN)
		return 0;
	ret->exists = true;
	memcpy(ret->oid, sqlite3_column_blob(st, 0), TRIB_OID_LEN);
	memcpy(ret->manifest, sqlite3_column_blob(st, 2), TRIB_SHA256_LEN);
	ret->seq = (uint64_t)sqlite3_column_int64(st, 1);
	ret->size = (uint64_t)sqlite3_column_int64(st, 3);
	return 0;
}

/* Records the new down commit and forgets what it delivered, in one transaction. */
static int record_down(struct trib_hubdb *h, const char *node, const char *app, const struct down_state *d, uint64_t last, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *up = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *del = NULL;
	if (trib_hubdb_begin(h, err) ||
	    trib_db_prepare(h->db, "UPDATE history SET down_oid = ?, down_seq = ?, down_manifest = ?, down_size = ? WHERE node = ? AND app = ?", &up, err) ||
	    trib_db_prepare(h->db, "DELETE FROM due WHERE node = ? AND app = ? AND idx <= ?", &del, err))
		goto fail;
	sqlite3_bind_blob(up, 1, d->oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(up, 2, (int64_t)d->seq);
	sqlite3_bind_blob(up, 3, d->manifest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(up, 4, (int64_t)d->size);
	sqlite3_bind_text(up, 5, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(up, 6, app, -1, SQLITE_STATIC);
	sqlite3_bind_text(del, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(del, 2, app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(del, 3, (int64_t)last);
	if (trib_db_step(h->db, up, err) < 0 || trib_db_step(h->db, del, err) < 0 || trib_hubdb_commit(h, err))
		goto fail;
	return 0;
fail:
	trib_hubdb_rollback(h);
	return -1;
}

int trib_chain_down(struct trib_hubdb *h, const struct trib_hub_signer *s, const char *node, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX), receipts = TRIB_BUF(TRIB_RECEIPTS_MAX), consistency = TRIB_BUF(16 * TRIB_KIB),
					    manifest = TRIB_BUF(TRIB_MANIFEST_MAX), witnessed = TRIB_BUF(TRIB_WITNESSED_MAX);
	struct down_state d;
	uint64_t size, last = UINT64_MAX;
	if (read_down(h, node, app, &d, err) || trib_log_checkpoint(h, s->log_key, &note, &size, err) ||
	    put_receipts(h, node, app, size, trib_buf_span(&note), &receipts, &last, err))
		return trib_ctx(err, "making receipts for %s/%s", node, app);
	if (last == UINT64_MAX)
		return 0;
	if ((d.exists && put_consistency(h, d.size, size, &consistency, err)) || trib_witnesses_blob(h, size, &witnessed, err))
		return trib_ctx(err, "making receipts for %s/%s", node, app);
	struct trib_down down = {.seq = d.seq + 1, .time = trib_now()};
	(void)snprintf(down.city, sizeof(down.city), "%s", h->hub->city);
	(void)snprintf(down.node, sizeof(down.node), "%s", node);
	(void)snprintf(down.app, sizeof(down.app), "%s", app);
	memcpy(down.prev, d.manifest, TRIB_SHA256_LEN);
	struct trib_blob_in blobs[5];
	size_t n = 0;
	if (consistency.len)
		blobs[n++] = (struct trib_blob_in){"consistency", trib_buf_span(&consistency)};
	blobs[n++] = (struct trib_blob_in){"manifest", {0}};
	blobs[n++] = (struct trib_blob_in){"receipts", trib_buf_span(&receipts)};
	blobs[n++] = (struct trib_blob_in){"signer.pem", trib_buf_span(&s->signer_pem)};
	if (witnessed.len)
		blobs[n++] = (struct trib_blob_in){"witnessed", trib_buf_span(&witnessed)};
	for (size_t i = 0; i < n; i++) {
		if (strcmp(blobs[i].name, "manifest") == 0)
			continue;
		struct trib_mf_blob *b = &down.blobs[down.nblobs++];
		(void)snprintf(b->name, sizeof(b->name), "%s", blobs[i].name);
		trib_sha256(b->sha256, blobs[i].bytes);
	}
	trib_down_put(&manifest, &down);
	if (trib_buf_check(&manifest, "manifest", err))
		return -1;
	blobs[consistency.len ? 1 : 0].bytes = trib_buf_span(&manifest);
	uint8_t digest[TRIB_SHA256_LEN];
	trib_sha256(digest, trib_buf_span(&manifest));
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(h->hub, node, app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	char subject[128];
	(void)snprintf(subject, sizeof(subject), "receipts up to leaf %llu", (unsigned long long)last);
	if (!path || trib_repo_create(path, &repo, err))
		return trib_ctx(err, "writing the down commit of %s/%s", node, app);
	/* What goes on from a commit that is gone no office could fetch, and each such commit would be one more to say again. */
	if (d.exists && !trib_repo_has(repo, d.oid))
		return trib_fail(err, TRIB_E_NOT_FOUND, "the receipts of %s/%s are lost here (its down chain); they wait for a bundle of the office: tributary-hub ingest", node, app);
	if (write_commit(repo, h->hub, s, d.exists ? d.oid : NULL, down.time, subject, blobs, n, digest, d.oid, err))
		return trib_ctx(err, "writing the down commit of %s/%s", node, app);
	d.seq++;
	d.size = size;
	memcpy(d.manifest, digest, TRIB_SHA256_LEN);
	trib_crash_point("down-written");
	if (record_down(h, node, app, &d, last, err))
		return trib_ctx(err, "recording the down commit of %s/%s", node, app);
	trib_crash_point("down-recorded");
	/* Not compare-and-swap: hub.db says what is right, and a ref that an earlier failure left behind must catch up. */
	return trib_repo_ref_set(repo, "refs/heads/down", d.oid, err);
}

int trib_chain_city(struct trib_hubdb *h, const struct trib_hub_signer *s, uint64_t merged, const uint8_t digest[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "city.git");
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	if (!path || trib_repo_create(path, &repo, err))
		return trib_ctx(err, "opening the city history");
	struct trib_policy policy;
	if (trib_policy_in_force(h, &policy, err))
		return -1;
	struct trib_city_manifest m = {.seq = 1, .time = trib_now(), .merged = merged, .policy = policy.number ? policy.number : h->hub->policy_version};
	uint8_t parent[TRIB_OID_LEN], oid[TRIB_OID_LEN];
	TRIB_AUTO(trib_commit) struct trib_commit prev = {0};
	bool has_parent = trib_repo_ref(repo, "refs/heads/main", parent, err) == 0;
	if (!has_parent && err->code != TRIB_E_NOT_FOUND)
		return -1;
	if (has_parent) {
		struct trib_city_manifest old;
		if (trib_commit_read(repo, parent, &prev, err) || trib_city_manifest_parse(trib_buf_span(&prev.manifest), &old, err))
			return trib_ctx(err, "reading the last city commit");
		m.seq = old.seq + 1;
		trib_sha256(m.prev, trib_buf_span(&prev.manifest));
	}
	(void)snprintf(m.city, sizeof(m.city), "%s", h->hub->city);
	memcpy(m.digest, digest, TRIB_SHA256_LEN);
	trib_sha256(m.signer, trib_buf_span(&s->signer_pem));
	if (trib_log_size(h, &m.log_size, err) || trib_log_root(h, m.log_size, m.log_root, err))
		return -1;
	TRIB_AUTO(trib_buf) struct trib_buf manifest = TRIB_BUF(TRIB_MANIFEST_MAX);
	trib_city_manifest_put(&manifest, &m);
	uint8_t sha[TRIB_SHA256_LEN];
	trib_sha256(sha, trib_buf_span(&manifest));
	char subject[128];
	(void)snprintf(subject, sizeof(subject), "city: merged up to leaf %llu", (unsigned long long)merged);
	struct trib_blob_in blobs[] = {{"manifest", trib_buf_span(&manifest)}, {"signer.pem", trib_buf_span(&s->signer_pem)}};
	if (trib_buf_check(&manifest, "manifest", err) ||
	    write_commit(repo, h->hub, s, has_parent ? parent : NULL, m.time, subject, blobs, 2, sha, oid, err) ||
	    trib_repo_ref_cas(repo, "refs/heads/main", has_parent ? parent : NULL, oid, err))
		return trib_ctx(err, "writing the city commit");
	return 0;
}
