/* The city history: hub-signed, linear, and in agreement with the log (F10). */
#include "core/base/clock.h"
#include "core/format/down.h"
#include "core/trust/hash.h"
#include "core/trust/sign.h"
#include "hub/audit_impl.h"

#define COMMITS_MAX ((size_t)4 * 1024 * 1024)
#define BEHIND_TRIES 20 /* the keeper writes the city commit just after it logs the verdicts */

struct link { /* where the chain stands */
	struct trib_repo *repo;
	uint64_t seq, merged, log_size;
	uint8_t oid[TRIB_OID_LEN], manifest[TRIB_SHA256_LEN];
};

/* The hub has one signer.pem for years: what was found good for the same bytes and a time inside the validity of the whole chain is good again. */
static int know_signer(struct trib_audit *a, struct trib_span pem, int64_t at, struct trib_err *err)
{
	struct trib_audit_signer *s = &a->hub_signer;
	struct trib_cert *certs[2] = {0};
	struct trib_cert_id id[3];
	uint8_t sha[TRIB_SHA256_LEN];
	size_t n = 0;
	trib_sha256(sha, pem);
	/* The ends themselves are left to the full check. */
	if (s->leaf && memcmp(s->pem_sha256, sha, sizeof(sha)) == 0 && at > s->from && at < s->to)
		return 0;
	int rc = trib_certs_parse_pem(pem, certs, 2, &n, err);
	if (!rc && n != 2)
		rc = trib_fail(err, TRIB_E_CERT, "signer.pem holds no issuing certificate");
	if (!rc)
		rc = trib_cert_verify(certs[0], certs[1], a->hub->root, TRIB_USE_SIGN, at, false, &id[0], err);
	if (!rc && id[0].role != TRIB_ROLE_HUB)
		rc = trib_fail(err, TRIB_E_CERT, "it is signed by %s, not by the hub", id[0].id);
	if (!rc)
		rc = trib_cert_identity(certs[1], &id[1], err) || trib_cert_identity(trib_roots_signer(a->hub->root, certs[1]), &id[2], err) ? -1 : 0;
	trib_cert_free(certs[1]);
	if (rc) {
		trib_cert_free(certs[0]);
		return -1;
	}
	trib_cert_free(s->leaf);
	*s = (struct trib_audit_signer){.leaf = certs[0], .from = INT64_MIN, .to = INT64_MAX};
	memcpy(s->pem_sha256, sha, sizeof(sha));
	for (size_t i = 0; i < TRIB_COUNT(id); i++) {
		s->from = id[i].not_before > s->from ? id[i].not_before : s->from;
		s->to = id[i].not_after < s->to ? id[i].not_after : s->to;
	}
	return 0;
}

int trib_audit_hub_signed(struct trib_audit *a, const struct trib_commit *c, struct trib_span pem, int64_t at, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf payload = TRIB_BUF(TRIB_COMMIT_MAX), sig = TRIB_BUF(TRIB_SIG_MAX);
	if (c->c.signature.n == 0)
		return trib_fail(err, TRIB_E_SIGNATURE, "it is not signed");
	trib_commitraw_payload(trib_buf_span(&c->raw), &c->c, &payload);
	trib_commitraw_pem(&c->c, &sig);
	if (trib_buf_check(&payload, "commit", err) || trib_buf_check(&sig, "signature", err) || know_signer(a, pem, at, err))
		return -1;
	return trib_sign_verify(trib_buf_span(&payload), trib_buf_span(&sig), a->hub_signer.leaf, err);
}

/* Form, place in the chain, signature. */
static int judge(struct trib_audit *a, const struct link *l, const uint8_t oid[TRIB_OID_LEN], struct trib_city_manifest *ret, uint8_t ret_sha[TRIB_SHA256_LEN],
		 struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	uint8_t sha[TRIB_SHA256_LEN];
	if (trib_commit_read(l->repo, oid, &c, err) || trib_city_manifest_parse(trib_buf_span(&c.manifest), ret, err) ||
	    trib_commit_blob(l->repo, &c, "signer.pem", TRIB_SIGNER_MAX, &pem, err))
		return -1;
	trib_sha256(ret_sha, trib_buf_span(&c.manifest));
	if (c.nentries != 2)
		return trib_fail(err, TRIB_E_TREE, "its tree holds %zu files, not two", c.nentries);
	if (memcmp(ret_sha, c.c.manifest_sha256, sizeof(sha)) != 0)
		return trib_fail(err, TRIB_E_TREE, "the commit names another manifest than its tree holds");
	trib_sha256(sha, trib_buf_span(&pem));
	if (memcmp(sha, ret->signer, sizeof(sha)) != 0)
		return trib_fail(err, TRIB_E_TREE, "signer.pem is not the one that the manifest names");
	if (c.c.has_parent != (l->seq != 0) || (l->seq && memcmp(c.c.parent, l->oid, TRIB_OID_LEN) != 0))
		return trib_fail(err, TRIB_E_CHAIN, "its parent is not the commit before");
	if (ret->seq != l->seq + 1 || memcmp(ret->prev, l->manifest, sizeof(ret->prev)) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it does not follow city commit #%llu", (unsigned long long)l->seq);
	if (strcmp(ret->city, a->hub->city) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it is of the city %s", ret->city);
	if (ret->merged < l->merged || ret->log_size < l->log_size || ret->merged > ret->log_size)
		return trib_fail(err, TRIB_E_CHAIN, "it goes back in the log");
	return trib_audit_hub_signed(a, &c, trib_buf_span(&pem), ret->time, err);
}

/* The policy that was in force when the log had so many leaves. */
static int check_policy(struct trib_audit *a, const struct trib_where *w, const struct trib_city_manifest *m, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT number FROM po WHERE idx < ? ORDER BY idx DESC LIMIT 1", "i", (int64_t)m->log_size))
		return -1;
	int row = trib_db_step(a->own, st, err);
	if (row <= 0 || (uint64_t)sqlite3_column_int64(st, 0) == m->policy)
		return row < 0 ? -1 : 0;
	return trib_audit_find(a, w, err, "city commit #%llu names policy %llu, policy %llu was in force", (unsigned long long)m->seq, (unsigned long long)m->policy,
			       (unsigned long long)sqlite3_column_int64(st, 0));
}

/* It signs more leaves than the snapshot has. */
static int check_later(struct trib_audit *a, const struct trib_where *w, const struct trib_city_manifest *m, struct trib_err *err)
{
	int grown = trib_audit_grown(a, m->log_size, m->log_root, err);
	return grown ? (grown < 0 ? -1 : 0) :
		       trib_audit_find(a, w, err, "city commit #%llu signs a log of %llu leaves that is not this one, which has %llu", (unsigned long long)m->seq,
				       (unsigned long long)m->log_size, (unsigned long long)a->size);
}

/* A commit that is right in itself: does the log agree? Commits younger than the snapshot are left to the next audit. */
static int check_log(struct trib_audit *a, const uint8_t oid[TRIB_OID_LEN], const struct trib_city_manifest *m, struct trib_err *err)
{
	uint8_t root[TRIB_SHA256_LEN];
	struct trib_where w = {.seq = m->seq, .oid = oid};
	if (m->log_size > a->size)
		return check_later(a, &w, m, err);
	if (trib_audit_root(a, m->log_size, root, err) || check_policy(a, &w, m, err))
		return -1;
	if (memcmp(root, m->log_root, sizeof(root)) != 0 &&
	    trib_audit_find(a, &w, err, "city commit #%llu: the first %llu leaves of the log are not those that it signed", (unsigned long long)m->seq,
			    (unsigned long long)m->log_size))
		return -1;
	return trib_audit_exec(a->own, err, "INSERT OR REPLACE INTO cc(seq, oid, log_size, merged, digest) VALUES(?,?,?,?,?)", "ibiib", (int64_t)m->seq,
			       trib_span(oid, TRIB_OID_LEN), (int64_t)m->log_size, (int64_t)m->merged, trib_span(m->digest, TRIB_SHA256_LEN));
}

/* Where the next audit goes on. */
static void stand(struct trib_audit *a, const struct link *l)
{
	a->at.city_seq = l->seq;
	a->at.city_merged = l->merged;
	a->at.city_log = l->log_size;
	memcpy(a->at.city_oid, l->oid, sizeof(l->oid));
	memcpy(a->at.city_manifest, l->manifest, sizeof(l->manifest));
}

/* 0 all good, 1 stopped at a bad commit (named), -1. */
static int walk(struct trib_audit *a, struct link *l, const uint8_t (*oids)[TRIB_OID_LEN], size_t n, struct trib_err *err)
{
	struct trib_progress p;
	trib_progress_init(&p, _("city history"), a->quiet);
	for (size_t i = 0; i < n; i++) {
		struct trib_city_manifest m;
		struct trib_where w = {.seq = l->seq + 1, .oid = oids[i]};
		struct trib_err why;
		uint8_t sha[TRIB_SHA256_LEN];
		if (judge(a, l, oids[i], &m, sha, &why)) {
			trib_progress_done(&p);
			return trib_audit_find(a, &w, err, "city commit #%llu: %s [%s]; the city history is not provable from there on", (unsigned long long)l->seq + 1,
					       why.msg, trib_code_name(why.code))
				       ? -1
				       : 1;
		}
		l->seq = m.seq;
		l->merged = m.merged;
		l->log_size = m.log_size;
		memcpy(l->oid, oids[i], TRIB_OID_LEN);
		memcpy(l->manifest, sha, sizeof(sha));
		if (l->seq == a->from_city && a->from && memcmp(l->oid, a->from_city_oid, TRIB_OID_LEN) != 0)
			return trib_audit_find(a, &w, err, "city commit #%llu is not the one that the last audit has proven", (unsigned long long)l->seq);
		if (check_log(a, oids[i], &m, err))
			return -1;
		if (m.log_size <= a->size)
			stand(a, l);
		trib_progress_step(&p, i + 1, n);
	}
	trib_progress_done(&p);
	return 0;
}

/* After each batch of verdicts comes a city commit. */
static int last_verdict(struct trib_audit *a, int64_t *ret, struct trib_err *err) { return trib_db_int(a->own, "SELECT max(idx) FROM v", -1, ret, err); }

static int read_tip(struct link *l, bool *ret_found, uint8_t ret[TRIB_OID_LEN], struct trib_err *err)
{
	if (trib_repo_ref(l->repo, "refs/heads/main", ret, err) == 0) {
		*ret_found = true;
		return 0;
	}
	*ret_found = false;
	return err->code == TRIB_E_NOT_FOUND ? 0 : -1;
}

/* Walks to the tip; again when the keeper was just about to write the commit that the newest verdict calls for. */
static int walk_to_tip(struct trib_audit *a, struct link *l, int64_t verdict, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_err why;
	for (int i = 0; i < BEHIND_TRIES; i++) {
		TRIB_AUTO(trib_mem) uint8_t(*oids)[TRIB_OID_LEN] = NULL;
		uint8_t tip[TRIB_OID_LEN];
		bool found;
		size_t n = 0;
		struct timespec t = {.tv_nsec = 50 * 1000 * 1000};
		if (read_tip(l, &found, tip, &why) || (found && trib_repo_chain(l->repo, tip, l->seq ? l->oid : NULL, COMMITS_MAX, &oids, &n, &why)))
			return trib_audit_find(a, &w, err, "the city history: %s", why.msg);
		int rc = walk(a, l, (const uint8_t(*)[TRIB_OID_LEN])oids, n, err);
		if (rc)
			return rc < 0 ? -1 : 0;
		if (verdict < (int64_t)l->log_size)
			return 0;
		nanosleep(&t, NULL);
	}
	return trib_audit_find(a, &w, err, "the city history ends at leaf %llu, the log has verdicts up to leaf %lld: its last commits are missing",
			       (unsigned long long)l->log_size, (long long)verdict);
}

int trib_audit_chain(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(a->hub, "city.git");
	struct trib_where w = {0};
	struct link l = {.seq = a->at.city_seq, .merged = a->at.city_merged, .log_size = a->at.city_log};
	struct trib_err why;
	int64_t verdict;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (last_verdict(a, &verdict, err))
		return -1;
	if (!trib_fs_exists(path))
		return verdict < 0 ? 0 : trib_audit_find(a, &w, err, "city.git is missing, though the log has verdicts");
	if (trib_repo_open(path, false, &l.repo, &why))
		return trib_audit_find(a, &w, err, "the city history: %s", why.msg);
	memcpy(l.oid, a->at.city_oid, sizeof(l.oid));
	memcpy(l.manifest, a->at.city_manifest, sizeof(l.manifest));
	int rc = walk_to_tip(a, &l, verdict, err);
	trib_repo_free(l.repo);
	return rc;
}
