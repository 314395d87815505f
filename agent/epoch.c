/* epoch.c: the hub shows another log than the one this office knows (D7.6). Only a chain that leads to a new epoch, opened by an administrator, is
 * followed; everything else is a hub that forgot or lies. What the old epoch said stays here as evidence.
 *
 * Crash safety: refs/heads/down moves last. Until then the next run meets the same difference and does the same again. */
#include "agent/receipts_impl.h"

#include "core/trust/epoch.h"
#include "core/trust/hash.h"

#define CHAIN_MAX (TRIB_PUSH_COMMITS_MAX * 16)

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

struct fork {
	uint8_t (*old)[TRIB_OID_LEN], (*fresh)[TRIB_OID_LEN]; /* both chains, oldest first */
	size_t nold, nfresh, same;                            /* commits that both have */
};

static void fork_cleanup(struct fork *f)
{
	free(f->old);
	free(f->fresh);
}

static int find_fork(struct trib_state *s, const uint8_t kept[TRIB_OID_LEN], const uint8_t fetched[TRIB_OID_LEN], struct fork *f, struct trib_err *err)
{
	if (trib_repo_chain(s->repo, kept, NULL, CHAIN_MAX, &f->old, &f->nold, err) || trib_repo_chain(s->repo, fetched, NULL, CHAIN_MAX, &f->fresh, &f->nfresh, err))
		return -1;
	while (f->same < f->nold && f->same < f->nfresh && memcmp(f->old[f->same], f->fresh[f->same], TRIB_OID_LEN) == 0)
		f->same++;
	return 0;
}

/* Where both still agreed, and how far the receipts up to there reach. */
static int stand_at_fork(struct trib_state *s, const struct fork *f, const char *origin, struct trib_down_tip *ret, struct trib_pulled *p, struct trib_err *err)
{
	*ret = (struct trib_down_tip){0};
	*p = (struct trib_pulled){0};
	(void)snprintf(ret->origin, sizeof(ret->origin), "%s", origin);
	for (size_t i = 0; i < f->same; i++)
		if (trib_down_replay(s, f->fresh[i], ret, p, err))
			return trib_ctx(err, "reading the kept down chain");
	return 0;
}

static void advance(struct trib_down_tip *tip, const struct trib_down_judged *j)
{
	tip->exists = true;
	tip->seq = j->manifest.seq;
	tip->size = j->size;
	memcpy(tip->oid, j->oid, TRIB_OID_LEN);
	memcpy(tip->manifest_sha256, j->manifest_sha256, TRIB_SHA256_LEN);
	memcpy(tip->root, j->root, TRIB_SHA256_LEN);
	memcpy(tip->origin, j->origin, sizeof(tip->origin));
}

/* Judges what is new behind the fork; keeps it when `p` is given. The last origin is in *tip. */
static int follow(struct trib_state *s, const struct fork *f, struct trib_down_tip *tip, struct trib_pulled *p, struct trib_err *err)
{
	for (size_t i = f->same; i < f->nfresh; i++) {
		TRIB_AUTO(trib_down_judged) struct trib_down_judged j = {.receipts = TRIB_BUF(TRIB_RECEIPTS_MAX)};
		if (trib_down_judge(s, tip, f->fresh[i], &j, err) || (p && trib_down_keep_files(s, &j, p, err)))
			return -1;
		advance(tip, &j);
	}
	return 0;
}

/* The old checkpoint and chain convict whoever says that they never were. */
static int keep_evidence(struct trib_state *s, const struct trib_down_tip *kept, struct trib_err *err)
{
	size_t prefix;
	uint64_t epoch;
	if (!trib_origin_split(kept->origin, &prefix, &epoch))
		return trib_fail(err, TRIB_E_FORMAT, "the log's origin %s has no epoch", kept->origin);
	char ref[64];
	(void)snprintf(ref, sizeof(ref), "refs/tributary/down-%llu", (unsigned long long)epoch);
	TRIB_AUTO(trib_mem) char *from = trib_state_path(s, "checkpoint");
	TRIB_AUTO(trib_mem) char *to = trib_pathf("%s/checkpoint.%llu", s->dir, (unsigned long long)epoch);
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	if (!from || !to)
		return oom(err);
	if (trib_repo_ref_set(s->repo, ref, kept->oid, err))
		return -1;
	if (trib_fs_exists(to) || !trib_fs_exists(from))
		return 0;
	return trib_fs_read(from, &note, err) || trib_fs_write(to, trib_buf_span(&note), 0600, err) ? -1 : 0;
}

/* Of the hub, not of the office: what is safe, and who must act. A copy that was recovered before does not know the number of its epoch any more; the office does. */
static int refuse(const struct fork *f, const char *origin, struct trib_err *err)
{
	char epoch[40] = "";
	size_t prefix;
	uint64_t n;
	if (trib_origin_split(origin, &prefix, &n) && n > 1)
		(void)snprintf(epoch, sizeof(epoch), " --epoch %llu", (unsigned long long)n + 1);
	return trib_fail(err, TRIB_E_VERIFY,
			 f->same == f->nfresh ? "the hub's down chain does not continue what this office holds: it ends before, so the hub is an old copy; nothing was sent, all is safe "
						"here; the city must run: tributary-hub recover%s" :
						"the hub's down chain does not continue what this office holds: it shows another log than before (split view), is an old copy that went on, or "
						"mended this history from an old bundle; nothing was sent, all is safe here; call the city, which must ingest a new one (tributary-agent "
						"bundle create FILE --whole) or, when it is an old copy, run: tributary-hub recover%s",
			 epoch);
}

int trib_down_switch(struct trib_state *s, const struct trib_down_tip *kept, const uint8_t fetched[TRIB_OID_LEN], struct trib_pulled *ret, struct trib_err *err)
{
	__attribute__((cleanup(fork_cleanup))) struct fork f = {0};
	struct trib_down_tip base, end;
	struct trib_pulled p;
	uint64_t steps = 0;
	if (find_fork(s, kept->oid, fetched, &f, err) || stand_at_fork(s, &f, kept->origin, &base, &p, err))
		return -1;
	end = base;
	if (f.same == f.nfresh)
		return refuse(&f, kept->origin, err);
	if (follow(s, &f, &end, NULL, err)) {
		if (err->code == TRIB_E_NOMEM || err->code == TRIB_E_IO || err->code == TRIB_E_NO_SPACE)
			return -1;
		struct trib_err why = *err;
		(void)refuse(&f, kept->origin, err);
		return trib_ctx(err, "%.300s", why.msg);
	}
	if (!trib_origin_follows(kept->origin, end.origin, &steps) || steps == 0)
		return refuse(&f, kept->origin, err);
	if (keep_evidence(s, kept, err) || follow(s, &f, &base, &p, err))
		return trib_ctx(err, "following the log to %s", end.origin);
	trib_crash_point("epoch-kept");
	if (trib_repo_ref_cas(s->repo, TRIB_DOWN_REF, kept->oid, end.oid, err))
		return -1;
	(void)snprintf(p.new_epoch, sizeof(p.new_epoch), "%s", end.origin);
	*ret = p;
	return 0;
}
