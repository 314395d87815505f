/* resign.c: commits without receipt are made anew (D5.6).
 *
 * Crash safety: new objects are durable first; then `own` names old and new commits; then `pending` (without pages) moves ref and tip
 * together as in any commit; last, `own` drops what the ref no longer reaches. A crash leaves either the old history or the new
 * one, and in `own` at most names too many. Running again after a crash is right in both cases. */
#include "agent/anew.h"
#include "agent/capture/baseline.h"

#define OWN_MAX (64 * TRIB_MIB)
#define MAIN_REF "refs/heads/main"

void trib_anew_release(struct trib_anew *a)
{
	free(a->back);
	trib_maker_release(&a->k);
	trib_maker_release(&a->p);
}

/* One commit further back: the tip, or the parent of the last one. */
static int go_back(struct trib_anew *a, struct trib_err *err)
{
	uint8_t next[TRIB_OID_LEN];
	memcpy(next, a->s->tip.oid, TRIB_OID_LEN);
	int got = a->nback ? trib_repo_parent(a->s->repo, a->back[a->nback - 1], next, err) : 1;
	if (got == 0)
		return trib_fail(err, TRIB_E_CHAIN, "the history has %zu commits, its tip says #%zu; try: tributary-agent check", a->nback, a->n);
	if (got < 0)
		return -1;
	if (a->nback >= TRIB_ANEW_CHAIN_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "the history is longer than %zu commits here", TRIB_ANEW_CHAIN_MAX);
	if ((a->nback & (a->nback - 1)) == 0) { /* room doubles at powers of two */
		uint8_t(*p)[TRIB_OID_LEN] = reallocarray(a->back, a->nback ? 2 * a->nback : 1, sizeof(*p));
		if (!p)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		a->back = p;
	}
	memcpy(a->back[a->nback++], next, TRIB_OID_LEN);
	return 0;
}

int trib_anew_oid(struct trib_anew *a, size_t i, uint8_t ret[TRIB_OID_LEN], struct trib_err *err)
{
	if (i >= a->n)
		return trib_fail(err, TRIB_E_CHAIN, "there is no commit #%zu here; try: tributary-agent check", i + 1);
	while (a->nback < a->n - i)
		if (go_back(a, err))
			return -1;
	memcpy(ret, a->back[a->n - 1 - i], TRIB_OID_LEN);
	return 0;
}

static int read_commit(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_commit *ret_c, struct trib_manifest *ret_m, struct trib_err *err)
{
	if (trib_commit_read(s->repo, oid, ret_c, err))
		return -1;
	return trib_manifest_parse(trib_buf_span(&ret_c->manifest), ret_m, err);
}

int trib_anew_read(struct trib_anew *a, size_t i, struct trib_commit *ret_c, struct trib_manifest *ret_m, struct trib_err *err)
{
	uint8_t oid[TRIB_OID_LEN];
	return trib_anew_oid(a, i, oid, err) || read_commit(a->s, oid, ret_c, ret_m, err) ? -1 : 0;
}

/* Was it made as this folder makes commits now? `signer` is the signer.pem that its turn calls for; going back over a rotate, that of the key before. */
static int is_current(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_buf *signer, bool *ret, bool *ret_rotate, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_buf) struct trib_buf was = TRIB_BUF(TRIB_SIGNER_MAX), next = TRIB_BUF(TRIB_SIGNER_MAX);
	if (read_commit(s, oid, &c, &m, err) || trib_commit_blob(s->repo, &c, "signer.pem", TRIB_SIGNER_MAX, &was, err))
		return -1;
	*ret_rotate = m.kind == TRIB_KIND_ROTATE;
	if (*ret_rotate && trib_commit_blob(s->repo, &c, "next.pem", TRIB_SIGNER_MAX, &next, err))
		return -1;
	bool turn = trib_span_eq(trib_buf_span(*ret_rotate ? &next : &was), trib_buf_span(signer));
	if (*ret_rotate && turn) {
		trib_buf_reset(signer);
		trib_buf_put_span(signer, trib_buf_span(&was));
	}
	*ret = strcmp(m.city, s->node.city) == 0 && m.incarnation == s->node.incarnation && m.policy == s->node.policy && turn;
	return trib_buf_check(signer, "signer.pem", err);
}

int trib_outbox_stale(struct trib_state *s, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf signer = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_held held;
	bool current = true, rotate;
	if (s->tip.exists && (trib_state_signer_pem(s, &signer, err) || is_current(s, s->tip.oid, &signer, &current, &rotate, err)))
		return -1;
	int got = current ? 1 : trib_held_one(s, s->tip.oid, s->tip.seq, &held, err);
	*ret = got == 0;
	return got < 0 ? -1 : 0;
}

/* Judges the commits that stay, so that the maker starts from a state that is proven and not only remembered. */
int trib_anew_judge_base(struct trib_anew *a, struct trib_tip *tip, struct trib_err *err)
{
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	uint8_t oid[TRIB_OID_LEN];
	if (a->base == 0)
		return 0;
	if (trib_held_load(a->s, false, &r, err) || trib_anew_oid(a, a->base - 1, oid, err))
		return -1;
	struct trib_history h = trib_own_history(a->s, &r);
	return trib_history_walk(&h, oid, tip, NULL, NULL, err);
}

/* Where to begin: a group that is partly receipted goes on only under the same policy and incarnation; else it is begun again. */
static void find_start(struct trib_anew *a, const struct trib_tip *tip)
{
	a->from = a->base;
	if (!a->heir && trib_tip_open(tip) && (tip->policy != a->s->node.policy || tip->incarnation != a->s->node.incarnation))
		a->from = a->base - (size_t)tip->part;
}

/* The text between subject and trailer, as a malloc'd string. */
char *trib_anew_text(const struct trib_commit *c)
{
	struct trib_span m = c->c.message;
	static const char trailer[] = "Tributary-Manifest-SHA256: ";
	size_t head = c->c.subject.n + 2, tail = sizeof(trailer) - 1 + TRIB_SHA256_HEX + 1;
	size_t n = m.n > head + tail ? m.n - head - tail : 0;
	while (n && m.p[head + n - 1] == '\n')
		n--;
	return n ? strndup((const char *)m.p + head, n) : strdup("");
}

static bool says(const struct trib_commit *c, const char *words) { return memmem(c->c.subject.p, c->c.subject.n, words, strlen(words)); }

static int take_blob(struct trib_state *s, const struct trib_commit *c, const char *name, size_t max, struct trib_buf *b, struct trib_span *ret, struct trib_err *err)
{
	trib_buf_init(b, max);
	if (trib_commit_blob(s->repo, c, name, max, b, err))
		return -1;
	*ret = trib_buf_span(b);
	return 0;
}

/* `reset`: as a reset, if it is of the first group. */
int trib_anew_make_one(struct trib_anew *a, size_t i, bool reset, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_buf) struct trib_buf schema = {0}, gz = {0}, next = {0};
	struct trib_draft d = {0};
	if (trib_anew_read(a, i, &c, &m, err) || take_blob(a->s, &c, "schema.sql", TRIB_SCHEMA_MAX, &schema, &d.schema, err) ||
	    (m.gz_len && take_blob(a->s, &c, "changeset.gz", TRIB_CHANGESET_GZ_MAX, &gz, &d.gz, err)) ||
	    (m.kind == TRIB_KIND_ROTATE && take_blob(a->s, &c, "next.pem", TRIB_SIGNER_MAX, &next, &d.next, err)))
		return -1;
	TRIB_AUTO(trib_mem) char *text = trib_anew_text(&c);
	if (!text)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (reset && m.seq == m.part) /* numbers begin at 1: only the first group's are those of its parts */
		m.kind = TRIB_KIND_RESET;
	d.m = m;
	d.text = text;
	d.idle = m.nbraked ? "held back by the brake" : says(&c, "schema changed") ? "schema changed" : "nothing changed";
	int rc = trib_maker_write(&a->k, &d, err);
	m = d.m;
	return rc;
}

/* ---- own ---- */

static int own_read(struct trib_state *s, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "own");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_fs_exists(path) ? trib_fs_read(path, ret, err) : 0;
}

static int own_write(struct trib_state *s, struct trib_buf *b, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "own");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_buf_check(b, path, err) ? -1 : trib_fs_write(path, trib_buf_span(b), 0600, err);
}

static void own_put(struct trib_buf *b, const uint8_t (*oids)[TRIB_OID_LEN], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		trib_buf_hex(b, oids[i], TRIB_OID_LEN);
		trib_buf_putc(b, '\n');
	}
}

int trib_anew_finish_after(struct trib_anew *a, const uint8_t *after, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf both = TRIB_BUF(OWN_MAX), only = TRIB_BUF(OWN_MAX);
	TRIB_AUTO(trib_mem) uint8_t (*made)[TRIB_OID_LEN] = NULL;
	TRIB_AUTO(trib_delta) struct trib_delta none = {0};
	size_t n = 0;
	if (trib_repo_chain(a->s->repo, a->k.tip.oid, after, TRIB_ANEW_CHAIN_MAX, &made, &n, err) || own_read(a->s, &both, err))
		return -1;
	own_put(&both, made, n);
	own_put(&only, made, n);
	if (own_write(a->s, &both, err))
		return -1;
	trib_crash_point("own-widened");
	if (trib_maker_finish_both(&a->k, a->p.s ? &a->p : NULL, &none, err))
		return -1;
	trib_crash_point("history-moved");
	return own_write(a->s, &only, err);
}

int trib_anew_finish(struct trib_anew *a, size_t stay, struct trib_err *err)
{
	uint8_t after[TRIB_OID_LEN];
	if (stay && trib_anew_oid(a, stay - 1, after, err))
		return -1;
	return trib_anew_finish_after(a, stay ? after : NULL, err);
}

/* Everything up to the last commit with a receipt stays, and all that the machine before has made. */
int trib_anew_load(struct trib_anew *a, struct trib_err *err)
{
	uint8_t before[TRIB_OID_LEN], oid[TRIB_OID_LEN];
	bool has_before = trib_repo_ref(a->s->repo, TRIB_REF_BEFORE, before, err) == 0;
	if (!has_before && err->code != TRIB_E_NOT_FOUND)
		return -1;
	for (a->base = a->n = (size_t)a->s->tip.seq; a->base > 0; a->base--) {
		struct trib_held held;
		if (trib_anew_oid(a, a->base - 1, oid, err))
			return -1;
		a->heir = has_before && memcmp(oid, before, TRIB_OID_LEN) == 0;
		int got = a->heir ? 1 : trib_held_one(a->s, oid, a->base, &held, err);
		if (got)
			return got < 0 ? -1 : 0;
	}
	return 0;
}

/* Newest first: each key was named by the one before. A hand-over that the hub may have seen is never made anew. */
int trib_anew_all_current(struct trib_anew *a, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf signer = TRIB_BUF(TRIB_SIGNER_MAX);
	bool rotate = false, any = false;
	*ret = true;
	if (trib_state_signer_pem(a->s, &signer, err))
		return -1;
	for (size_t i = a->n; i > a->base; i--) {
		uint8_t oid[TRIB_OID_LEN];
		bool current;
		if (trib_anew_oid(a, i - 1, oid, err) || is_current(a->s, oid, &signer, &current, &rotate, err))
			return -1;
		*ret &= current;
		any |= rotate;
	}
	if (!*ret && any)
		return trib_fail(err, TRIB_E_INCOMPLETE, "among the unsent commits the signing key changes, so they cannot be made anew; send them first: tributary-agent push");
	return 0;
}

int trib_outbox_resign(struct trib_state *s, size_t *ret_n, struct trib_err *err)
{
	TRIB_AUTO(trib_anew) struct trib_anew a = {.s = s};
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	bool current = true, show = false;
	*ret_n = 0;
	if (!s->tip.exists)
		return 0;
	if (trib_state_keys(s, err) || trib_anew_load(&a, err) || trib_anew_all_current(&a, &current, err))
		return -1;
	if (current)
		return 0;
	if (a.base == 0 && trib_anew_shows(&a, &show, err))
		return -1;
	if (show) {
		*ret_n = a.n;
		return trib_anew_take_apart(&a, err);
	}
	if (trib_anew_judge_base(&a, &tip, err) || trib_maker_init(&a.k, s, &tip, err))
		return -1;
	find_start(&a, &tip);
	for (size_t i = a.from; i < a.n; i++)
		if (trib_anew_make_one(&a, i, false, err))
			return trib_ctx(err, "making unsent commits anew (nothing was changed)");
	if (trib_anew_finish(&a, a.base, err))
		return -1;
	*ret_n = a.n - a.from;
	return 0;
}
