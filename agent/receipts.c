#include "agent/receipts_impl.h"

#include "agent/pin.h"
#include "core/base/clock.h"
#include "core/trust/epoch.h"
#include "core/trust/hash.h"

#define DOWN_REF TRIB_DOWN_REF

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- what is kept ---- */

static int load_checkpoint(struct trib_state *s, struct trib_down_tip *t, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "checkpoint");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	if (!path)
		return oom(err);
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &note, err) || trib_checkpoint_verify_upto(trib_buf_span(&note), s->node.origin, s->node.log_key, &cp, err))
		return trib_ctx(err, "the kept checkpoint");
	t->size = cp.size;
	memcpy(t->root, cp.root, sizeof(t->root));
	return 0;
}

/* The log's origin in the receipts of a down commit. */
static int commit_origin(struct trib_state *s, const struct trib_commit *c, char *ret, size_t size, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_receipts list;
	return trib_commit_blob(s->repo, c, "receipts", TRIB_RECEIPTS_MAX, &b, err) || trib_receipts_parse(trib_buf_span(&b), &list, err) ||
			       trib_note_origin(list.checkpoint, ret, size, err)
		       ? -1
		       : 0;
}

int trib_down_tip_load(struct trib_state *s, struct trib_down_tip *ret, struct trib_err *err)
{
	struct trib_down_tip t = {0};
	memcpy(t.origin, s->node.origin, sizeof(t.origin));
	if (trib_repo_ref(s->repo, DOWN_REF, t.oid, err)) {
		if (err->code != TRIB_E_NOT_FOUND)
			return -1;
	} else {
		TRIB_AUTO(trib_commit) struct trib_commit c = {0};
		struct trib_down d;
		if (trib_commit_read(s->repo, t.oid, &c, err) || trib_down_parse(trib_buf_span(&c.manifest), &d, err))
			return trib_ctx(err, "the kept down chain");
		t.exists = true;
		t.seq = d.seq;
		trib_sha256(t.manifest_sha256, trib_buf_span(&c.manifest));
		if (commit_origin(s, &c, t.origin, sizeof(t.origin), err))
			return trib_ctx(err, "the kept down chain");
	}
	if (load_checkpoint(s, &t, err))
		return -1;
	*ret = t;
	return 0;
}

/* `merged` holds two numbers and a word: how far the receipts reach; then when the log last grew here. */
int trib_link_progress(struct trib_state *s, struct trib_pulled *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "merged");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	struct trib_pulled p = {0};
	struct trib_span word;
	if (!path)
		return oom(err);
	if (trib_fs_exists(path)) {
		if (trib_fs_read(path, &b, err))
			return -1;
		struct trib_kv kv = trib_kv(trib_buf_span(&b));
		if (trib_kv_take_is(&kv, "format", "tributary-progress-1", err) || trib_kv_take_u64(&kv, "held", &p.held_seq, err) ||
		    trib_kv_take_u64(&kv, "merged", &p.merged_seq, err) || trib_kv_take_u64(&kv, "checkpoint", &p.checkpoint_size, err) ||
		    trib_kv_take(&kv, "problem", 1, &word, err) || (trib_kv_at(&kv, "fresh") && trib_kv_take_time(&kv, "fresh", &p.fresh_at, err)) || trib_kv_end(&kv, err))
			return trib_ctx(err, "%s (the city's word is kept there; remove it and fetch it again: tributary-agent pull)", path);
		if (!trib_span_is(word, "-"))
			(void)snprintf(p.problem, sizeof(p.problem), "%.*s", (int)(word.n < 200 ? word.n : 200), (const char *)word.p);
	}
	*ret = p;
	return 0;
}

static int save_progress(struct trib_state *s, const struct trib_pulled *p, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "merged");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	if (!path)
		return oom(err);
	trib_buf_printf(&b, "format tributary-progress-1\nheld %llu\nmerged %llu\ncheckpoint %llu\nproblem %s\n", (unsigned long long)p->held_seq,
			(unsigned long long)p->merged_seq, (unsigned long long)p->checkpoint_size, p->problem[0] ? p->problem : "-");
	if (p->fresh_at) {
		char when[TRIB_TIME_LEN + 1];
		trib_time_text(when, p->fresh_at);
		trib_buf_printf(&b, "fresh %s\n", when);
	}
	return trib_buf_check(&b, "progress", err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* ---- judging ---- */

void trib_down_judged_release(struct trib_down_judged *j)
{
	trib_buf_release(&j->receipts);
	trib_buf_release(&j->cosigned);
}

static int judge_signature(struct trib_state *s, const struct trib_commit *c, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf signer = TRIB_BUF(TRIB_SIGNER_MAX), payload = TRIB_BUF(TRIB_COMMIT_MAX), pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_cert *certs[2] = {0};
	size_t n = 0;
	struct trib_cert_id id;
	if (c->c.signature.n == 0)
		return trib_fail(err, TRIB_E_SIGNATURE, "it is unsigned");
	if (trib_commit_blob(s->repo, c, "signer.pem", TRIB_SIGNER_MAX, &signer, err) || trib_certs_parse_pem(trib_buf_span(&signer), certs, 2, &n, err))
		return -1;
	trib_commitraw_payload(trib_buf_span(&c->raw), &c->c, &payload);
	trib_commitraw_pem(&c->c, &pem);
	int rc = n != 2 ? trib_fail(err, TRIB_E_CERT, "signer.pem holds %zu certificates instead of 2", n) : 0;
	if (!rc)
		rc = trib_buf_check(&payload, "commit", err) || trib_buf_check(&pem, "signature", err) ||
				     trib_cert_verify(certs[0], certs[1], s->root, TRIB_USE_SIGN, trib_now(), false, &id, err)
			     ? -1
			     : 0;
	if (!rc && id.role != TRIB_ROLE_HUB)
		rc = trib_fail(err, TRIB_E_CERT, "its signer is not the hub");
	if (!rc)
		rc = trib_sign_verify(trib_buf_span(&payload), trib_buf_span(&pem), certs[0], err);
	trib_cert_free(certs[0]);
	trib_cert_free(certs[1]);
	return rc;
}

/* Every blob line of the manifest against the tree, and nothing besides. */
static int judge_tree(struct trib_state *s, const struct trib_commit *c, const struct trib_down *d, struct trib_err *err)
{
	if (c->nentries != d->nblobs + 1)
		return trib_fail(err, TRIB_E_TREE, "its tree has %zu files, its manifest names %zu", c->nentries, d->nblobs + 1);
	for (size_t i = 0; i < d->nblobs; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
		uint8_t sha[TRIB_SHA256_LEN];
		if (trib_commit_blob(s->repo, c, d->blobs[i].name, TRIB_RECEIPTS_MAX, &b, err))
			return -1;
		trib_sha256(sha, trib_buf_span(&b));
		if (memcmp(sha, d->blobs[i].sha256, sizeof(sha)) != 0)
			return trib_fail(err, TRIB_E_TREE, "%s is not what the manifest says", d->blobs[i].name);
	}
	return 0;
}

static int judge_manifest(struct trib_state *s, const struct trib_down_tip *tip, const struct trib_commit *c, struct trib_down_judged *j, struct trib_err *err)
{
	struct trib_down *d = &j->manifest;
	trib_sha256(j->manifest_sha256, trib_buf_span(&c->manifest));
	if (memcmp(j->manifest_sha256, c->c.manifest_sha256, TRIB_SHA256_LEN) != 0)
		return trib_fail(err, TRIB_E_TREE, "its manifest is not the one that was signed");
	if (trib_down_parse(trib_buf_span(&c->manifest), d, err))
		return -1;
	if (strcmp(d->city, s->node.city) != 0 || strcmp(d->node, s->node.node) != 0 || strcmp(d->app, s->node.app) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "it is for %s/%s of %s", d->node, d->app, d->city);
	if (tip->exists != c->c.has_parent || (tip->exists && memcmp(tip->oid, c->c.parent, TRIB_OID_LEN) != 0) || d->seq != tip->seq + 1 ||
	    memcmp(d->prev, tip->manifest_sha256, TRIB_SHA256_LEN) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it does not follow what this office holds: the hub has changed its own history");
	return judge_tree(s, c, d, err);
}

/* The log only grew since the checkpoint that we kept (D7.5). */
static int judge_consistency(struct trib_state *s, const struct trib_down_tip *tip, const struct trib_commit *c, const struct trib_checkpoint *cp, struct trib_err *err)
{
	if (cp->size < tip->size)
		return trib_fail(err, TRIB_E_VERIFY, "its checkpoint has %llu leaves, fewer than the %llu kept here: the hub is an older copy",
				 (unsigned long long)cp->size, (unsigned long long)tip->size);
	if (cp->size == tip->size || tip->size == 0)
		return tip->size == 0 || memcmp(cp->root, tip->root, sizeof(cp->root)) == 0
			       ? 0
			       : trib_fail(err, TRIB_E_VERIFY, "the hub shows two logs of %llu leaves", (unsigned long long)cp->size);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(16 * TRIB_KIB);
	uint8_t proof[TRIB_PROOF_MAX_HASHES + 1][TRIB_SHA256_LEN];
	size_t n = 0;
	uint64_t first, second;
	if (trib_commit_blob(s->repo, c, "consistency", 16 * TRIB_KIB, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (trib_kv_take_is(&kv, "format", "tributary-consistency-1", err) || trib_kv_take_u64(&kv, "first", &first, err) ||
	    trib_kv_take_u64(&kv, "second", &second, err))
		return trib_ctx(err, "consistency");
	while (trib_kv_at(&kv, "proof") && n < TRIB_COUNT(proof))
		if (trib_kv_take_hex(&kv, "proof", proof[n++], TRIB_SHA256_LEN, err))
			return trib_ctx(err, "consistency");
	if (trib_kv_end(&kv, err))
		return trib_ctx(err, "consistency");
	if (first != tip->size || second != cp->size)
		return trib_fail(err, TRIB_E_VERIFY, "its consistency proof is for other sizes");
	return trib_merkle_verify_consistency(first, tip->root, second, cp->root, (const uint8_t(*)[TRIB_SHA256_LEN])proof, n, err);
}

/* What the leaf says of the commit beside its bytes is what its manifest says. */
static int judge_words(struct trib_state *s, const struct trib_leaf *leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	uint8_t sha[TRIB_SHA256_LEN];
	if (trib_commit_read(s->repo, leaf->oid, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return -1;
	trib_sha256(sha, trib_buf_span(&c.manifest));
	if (memcmp(sha, leaf->manifest, sizeof(sha)) == 0 && m.seq == leaf->seq && m.part == leaf->part && m.parts == leaf->parts && m.incarnation == leaf->incarnation)
		return 0;
	return trib_fail(err, TRIB_E_VERIFY, "the receipt of #%llu is for a commit that says #%llu of itself: the hub's word is false; keep this folder, and tell the city",
			 (unsigned long long)leaf->seq, (unsigned long long)m.seq);
}

/* A new machine has nothing of the history before it until its first push, which goes after that (agent/link.c); no machine made those commits twice. */
static bool of_machine_before(struct trib_state *s, const struct trib_leaf *leaf)
{
	uint8_t before[TRIB_OID_LEN];
	struct trib_err none;
	return leaf->incarnation < s->node.incarnation && trib_repo_ref(s->repo, TRIB_REF_BEFORE, before, &none) && none.code == TRIB_E_NOT_FOUND;
}

/* A held leaf must be about the very bytes that this folder has under that id. */
static int judge_own(struct trib_state *s, const struct trib_leaf *leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	uint8_t sha[TRIB_SHA256_LEN];
	if (strcmp(leaf->node, s->node.node) != 0 || strcmp(leaf->app, s->node.app) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "a receipt is about %s/%s", leaf->node, leaf->app);
	if (leaf->kind != TRIB_LEAF_HELD)
		return 0;
	if (trib_repo_read(s->repo, leaf->oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, err)) {
		if (err->code == TRIB_E_NOT_FOUND && of_machine_before(s, leaf))
			return trib_fail(err, TRIB_E_INCOMPLETE,
					 "commit #%llu is of the machine before this one, and its history is not here yet; nothing is wrong; the first sync fetches it, try: tributary-agent sync",
					 (unsigned long long)leaf->seq);
		if (err->code == TRIB_E_NOT_FOUND)
			return trib_fail(err, TRIB_E_FORK, "the hub holds commit #%llu, which this folder never made: " TRIB_FORK_WORDS,
					 (unsigned long long)leaf->seq);
		return -1;
	}
	trib_sha256(sha, trib_buf_span(&raw));
	if (memcmp(sha, leaf->commit, sizeof(sha)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the receipt of #%llu is about other bytes", (unsigned long long)leaf->seq);
	return judge_words(s, leaf, err);
}

/* The leaf that opens the next epoch: in its place, by an administrator; an office leaves the old origin for nothing else (D7.6). */
static int judge_epoch(struct trib_state *s, const struct trib_leaf *leaf, uint64_t index, char origin[TRIB_TITLE_MAX + 32], struct trib_err *err)
{
	struct trib_cert_id admin;
	uint64_t steps;
	if (trib_epoch_verify(leaf, s->root, &admin, err))
		return -1;
	if (leaf->number != index || memcmp(leaf->sha256, s->node.log_key, sizeof(leaf->sha256)) != 0 || !trib_origin_follows(origin, leaf->origin, &steps) || steps == 0)
		return trib_fail(err, TRIB_E_VERIFY, "it opens %s, which does not follow %s", leaf->origin, origin);
	memcpy(origin, leaf->origin, sizeof(leaf->origin));
	return 0;
}

/* Under which origin a chain's first commit begins. A machine that was enrolled under a later epoch follows its office's chain through the earlier ones:
 * from the one before the first that its receipts open, else from that of its checkpoint. */
static int first_origin(const char *known, struct trib_receipts list, const char *checkpoint, char ret[TRIB_TITLE_MAX + 32], struct trib_err *err)
{
	struct trib_receipt r;
	struct trib_leaf leaf;
	size_t prefix;
	uint64_t epoch, steps;
	int got;
	(void)snprintf(ret, TRIB_TITLE_MAX + 32, "%s", checkpoint);
	while ((got = trib_receipts_next(&list, &r, err)) > 0) {
		if (trib_leaf_parse(r.leaf, &leaf, err))
			return -1;
		if (leaf.kind != TRIB_LEAF_EPOCH)
			continue;
		if (trib_origin_split(leaf.origin, &prefix, &epoch) && epoch > 1)
			(void)snprintf(ret, TRIB_TITLE_MAX + 32, "%.*s/%llu", (int)prefix, leaf.origin, (unsigned long long)(epoch - 1));
		break;
	}
	if (got < 0)
		return -1;
	if (!trib_origin_follows(ret, known, &steps))
		(void)snprintf(ret, TRIB_TITLE_MAX + 32, "%s", known);
	return 0;
}

static int judge_receipts(struct trib_state *s, const struct trib_down_tip *tip, const struct trib_commit *c, struct trib_down_judged *j, struct trib_err *err)
{
	struct trib_receipts list;
	struct trib_checkpoint cp;
	struct trib_receipt r;
	struct trib_leaf leaf;
	char origin[sizeof(tip->origin)];
	uint64_t steps;
	if (trib_commit_blob(s->repo, c, "receipts", TRIB_RECEIPTS_MAX, &j->receipts, err) || trib_receipts_parse(trib_buf_span(&j->receipts), &list, err) ||
	    trib_note_origin(list.checkpoint, j->origin, sizeof(j->origin), err))
		return -1;
	memcpy(origin, tip->origin, sizeof(origin));
	if (!tip->exists && first_origin(tip->origin, list, j->origin, origin, err))
		return -1;
	if (!trib_origin_follows(origin, j->origin, &steps))
		return trib_fail(err, TRIB_E_VERIFY, "its checkpoint is of the log %s, this office knows %s", j->origin, origin);
	if (trib_checkpoint_verify(list.checkpoint, j->origin, s->node.log_key, &cp, err) || judge_consistency(s, tip, c, &cp, err) || trib_pin_judge(s, c, &cp, j, err))
		return -1;
	int got;
	while ((got = trib_receipts_next(&list, &r, err)) > 0)
		if (trib_receipt_verify(&r, &cp, &leaf, err) ||
		    (leaf.kind == TRIB_LEAF_EPOCH ? judge_epoch(s, &leaf, r.index, origin, err) : judge_own(s, &leaf, err)))
			return trib_ctx(err, "receipt %llu", (unsigned long long)r.index);
	if (!got && strcmp(origin, j->origin) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "its checkpoint is of the log %s, but no administrator opened that behind %s", j->origin, origin);
	j->size = cp.size;
	memcpy(j->root, cp.root, sizeof(j->root));
	return got;
}

int trib_down_judge(struct trib_state *s, const struct trib_down_tip *tip, const uint8_t oid[TRIB_OID_LEN], struct trib_down_judged *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_down_judged) struct trib_down_judged j = {.receipts = TRIB_BUF(TRIB_RECEIPTS_MAX)};
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	memcpy(j.oid, oid, TRIB_OID_LEN);
	if (trib_commit_read(s->repo, oid, &c, err) || judge_manifest(s, tip, &c, &j, err) || judge_signature(s, &c, err) || judge_receipts(s, tip, &c, &j, err))
		return trib_ctx(err, "the hub's down commit %.12s", hex);
	*ret = j;
	j = (struct trib_down_judged){.receipts = TRIB_BUF(TRIB_RECEIPTS_MAX)};
	return 0;
}

/* ---- keeping ---- */

/* A receipt of an earlier epoch proves what that promised: it is kept aside, as receipts.EPOCH/SEQ, before a new one takes its place. */
static int keep_older(struct trib_state *s, const char *path, uint64_t seq, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf old = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_receipts list;
	char origin[TRIB_TITLE_MAX + 32];
	size_t prefix;
	uint64_t epoch, steps;
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &old, err))
		return -1;
	struct trib_err none; /* an unreadable one proves nothing */
	if (trib_receipts_parse(trib_buf_span(&old), &list, &none) || trib_note_origin(list.checkpoint, origin, sizeof(origin), &none) ||
	    !trib_origin_follows(origin, s->node.origin, &steps) || steps == 0 || !trib_origin_split(origin, &prefix, &epoch))
		return 0;
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/receipts.%llu", s->dir, (unsigned long long)epoch);
	TRIB_AUTO(trib_mem) char *to = trib_pathf("%s/receipts.%llu/%llu", s->dir, (unsigned long long)epoch, (unsigned long long)seq);
	if (!dir || !to)
		return oom(err);
	return trib_fs_mkdirs(dir, 0700, err) || trib_fs_write(to, trib_buf_span(&old), 0600, err) ? -1 : 0;
}

static int keep_receipt(struct trib_state *s, const struct trib_receipt *r, const struct trib_leaf *leaf, struct trib_span checkpoint, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/receipts/%llu", s->dir, (unsigned long long)leaf->seq);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	if (!path)
		return oom(err);
	if (keep_older(s, path, leaf->seq, err))
		return -1;
	trib_receipts_begin(&b);
	trib_receipts_put(&b, r->index, r->proof, r->nproof, r->leaf);
	trib_receipts_end(&b, checkpoint);
	return trib_buf_check(&b, "receipt", err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

static int again_from(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_receipts list;
	struct trib_receipt r;
	struct trib_leaf leaf;
	int got;
	if (trib_commit_read(s->repo, oid, &c, err) || trib_commit_blob(s->repo, &c, "receipts", TRIB_RECEIPTS_MAX, &b, err) || trib_receipts_parse(trib_buf_span(&b), &list, err))
		return -1;
	struct trib_span checkpoint = list.checkpoint;
	while ((got = trib_receipts_next(&list, &r, err)) > 0)
		if (trib_leaf_parse(r.leaf, &leaf, err) || (leaf.kind == TRIB_LEAF_HELD && keep_receipt(s, &r, &leaf, checkpoint, err)))
			return -1;
	return got;
}

int trib_down_receipts_again(struct trib_state *s, const struct trib_down_tip *tip, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_state_path(s, "receipts");
	TRIB_AUTO(trib_mem) uint8_t(*chain)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	if (!dir)
		return oom(err);
	if (trib_fs_exists(dir))
		return 0;
	if (trib_fs_mkdirs(dir, 0700, err) || (tip->exists && trib_repo_chain(s->repo, tip->oid, NULL, TRIB_PUSH_COMMITS_MAX * 16, &chain, &n, err)))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (again_from(s, chain[i], err))
			return trib_ctx(err, "writing the lost receipts again from the kept down chain");
	return 0;
}

/* Takes the commits that now have receipts out of `own` (D5.6). */
static int forget_own(struct trib_state *s, const struct trib_buf *held_lines, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "own");
	TRIB_AUTO(trib_buf) struct trib_buf old = TRIB_BUF(64 * TRIB_MIB), left = TRIB_BUF(64 * TRIB_MIB);
	if (!path)
		return oom(err);
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &old, err))
		return -1;
	const size_t line = TRIB_OID_HEX + 1;
	for (size_t at = 0; at + line <= old.len; at += line)
		if (!held_lines->p || !memmem(held_lines->p, held_lines->len, old.p + at, line))
			trib_buf_put(&left, old.p + at, line);
	return trib_buf_check(&left, "own", err) ? -1 : trib_fs_write(path, trib_buf_span(&left), 0600, err);
}

static void note_progress(struct trib_pulled *p, const struct trib_leaf *leaf)
{
	if (leaf->kind == TRIB_LEAF_HELD && leaf->seq > p->held_seq)
		p->held_seq = leaf->seq;
	if (leaf->kind == TRIB_LEAF_MERGED && leaf->seq > p->merged_seq) {
		p->merged_seq = leaf->seq;
		p->problem[0] = '\0';
	}
	if (leaf->kind == TRIB_LEAF_OUT_OF_STEP)
		(void)snprintf(p->problem, sizeof(p->problem), "out-of-step:%s", leaf->word);
}

/* A new origin first: what is kept under it must be readable whenever a crash comes. */
static int keep_origin(struct trib_state *s, const struct trib_down_judged *j, struct trib_pulled *p, struct trib_err *err)
{
	uint64_t steps;
	if (strcmp(j->origin, s->node.origin) == 0 || !trib_origin_follows(s->node.origin, j->origin, &steps))
		return 0; /* the same, or judged again after a crash */
	memcpy(s->node.origin, j->origin, sizeof(s->node.origin));
	memcpy(p->new_epoch, j->origin, sizeof(p->new_epoch));
	return trib_state_save_node(s, err);
}

int trib_down_keep_files(struct trib_state *s, const struct trib_down_judged *j, struct trib_pulled *p, struct trib_err *err)
{
	struct trib_receipts list;
	struct trib_receipt r;
	struct trib_leaf leaf;
	TRIB_AUTO(trib_buf) struct trib_buf held = TRIB_BUF(TRIB_RECEIPTS_MAX);
	TRIB_AUTO(trib_mem) char *cp_path = trib_state_path(s, "checkpoint");
	int got;
	if (!cp_path)
		return oom(err);
	if (trib_receipts_parse(trib_buf_span(&j->receipts), &list, err) || keep_origin(s, j, p, err))
		return -1;
	struct trib_span checkpoint = list.checkpoint;
	while ((got = trib_receipts_next(&list, &r, err)) > 0) {
		if (trib_leaf_parse(r.leaf, &leaf, err))
			return -1;
		note_progress(p, &leaf);
		if (leaf.kind != TRIB_LEAF_HELD)
			continue;
		if (keep_receipt(s, &r, &leaf, checkpoint, err))
			return -1;
		trib_buf_hex(&held, leaf.oid, TRIB_OID_LEN);
		trib_buf_putc(&held, '\n');
		p->new_receipts++;
	}
	if (j->size > p->checkpoint_size)
		p->fresh_at = trib_now();
	p->checkpoint_size = j->size;
	/* The ref moves last: a run that was killed before judges and keeps the same commit again. */
	if (got < 0 || trib_buf_check(&held, "receipts", err) || save_progress(s, p, err) || forget_own(s, &held, err) || trib_pin_keep(s, j, trib_now(), err) ||
	    trib_fs_write(cp_path, checkpoint, 0600, err))
		return trib_ctx(err, "keeping receipts");
	trib_crash_point("receipts-kept");
	return 0;
}

int trib_down_keep(struct trib_state *s, const struct trib_down_tip *tip, const struct trib_down_judged *j, struct trib_pulled *p, struct trib_err *err)
{
	return trib_down_keep_files(s, j, p, err) || trib_repo_ref_cas(s->repo, DOWN_REF, tip->exists ? tip->oid : NULL, j->oid, err) ? -1 : 0;
}

int trib_down_replay(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_down_tip *tip, struct trib_pulled *p, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_receipts list;
	struct trib_checkpoint cp;
	struct trib_receipt r;
	struct trib_leaf leaf;
	struct trib_down d;
	int got;
	if (trib_commit_read(s->repo, oid, &c, err) || trib_down_parse(trib_buf_span(&c.manifest), &d, err) ||
	    trib_commit_blob(s->repo, &c, "receipts", TRIB_RECEIPTS_MAX, &b, err) || trib_receipts_parse(trib_buf_span(&b), &list, err) ||
	    trib_checkpoint_verify_upto(list.checkpoint, s->node.origin, s->node.log_key, &cp, err))
		return -1;
	while ((got = trib_receipts_next(&list, &r, err)) > 0) {
		if (trib_leaf_parse(r.leaf, &leaf, err))
			return -1;
		note_progress(p, &leaf);
	}
	tip->exists = true;
	tip->seq = d.seq;
	tip->size = p->checkpoint_size = cp.size;
	memcpy(tip->oid, oid, TRIB_OID_LEN);
	memcpy(tip->root, cp.root, TRIB_SHA256_LEN);
	trib_sha256(tip->manifest_sha256, trib_buf_span(&c.manifest));
	return got || trib_note_origin(list.checkpoint, tip->origin, sizeof(tip->origin), err) ? -1 : 0;
}

int trib_receipt_check(struct trib_state *s, uint64_t seq, struct trib_leaf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/receipts/%llu", s->dir, (unsigned long long)seq);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_receipts list;
	struct trib_receipt r;
	struct trib_checkpoint cp;
	struct trib_leaf leaf;
	if (!path)
		return oom(err);
	if (trib_fs_read(path, &b, err))
		return -1;
	if (trib_receipts_parse(trib_buf_span(&b), &list, err) || trib_checkpoint_verify_upto(list.checkpoint, s->node.origin, s->node.log_key, &cp, err))
		return trib_ctx(err, "receipt of #%llu", (unsigned long long)seq);
	int got = trib_receipts_next(&list, &r, err);
	if (got < 0 || (got > 0 && (trib_receipt_verify(&r, &cp, &leaf, err) || judge_own(s, &leaf, err))))
		return trib_ctx(err, "receipt of #%llu", (unsigned long long)seq);
	if (!got || leaf.kind != TRIB_LEAF_HELD || leaf.seq != seq)
		return trib_fail(err, TRIB_E_VERIFY, "receipt of #%llu: it is about something else", (unsigned long long)seq);
	*ret = leaf;
	return 0;
}
