/* witnesses_ask.c: asking the witnesses (witnesses.h). The process holds no key; what it believes of an answer is what verifies. */
#include "hub/witnesses.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "hub/sandbox.h"
#include "hub/tiles.h"

#define ASK_MS 30000
#define ANSWER_MAX (8 * TRIB_KIB)
#define REFRESH_S (6 * 3600) /* a quiet log: the word is asked for again long before it is stale */
#define RETRY_S 300
#define TRIES 3              /* the size it says, and once more when it grew meanwhile */
#define WARN_AGAIN_S 86400

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- proofs, from the published tiles ---- */

struct tiles { const char *hub_dir; uint64_t size; };

static int get_subtree(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	const struct tiles *t = ctx;
	unsigned in = level % 8, n = 1u << in;
	uint64_t first = index << in;
	struct trib_tile tile = {.level = level / 8, .n = first / TRIB_TILE_WIDTH};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF((size_t)TRIB_TILE_WIDTH * TRIB_SHA256_LEN);
	size_t at = (size_t)(first % TRIB_TILE_WIDTH);
	uint8_t h[TRIB_TILE_WIDTH / 2][TRIB_SHA256_LEN];
	tile.width = trib_tile_filled(&tile, t->size);
	if (tile.width < at + n)
		return trib_fail(err, TRIB_E_NOT_FOUND, "the published log has no subtree %u/%llu", level, (unsigned long long)index);
	if (trib_tiles_read(t->hub_dir, &tile, &b, err))
		return err->code == TRIB_E_NOT_FOUND ? trib_fail(err, TRIB_E_NOT_FOUND, "a file of the published log is missing (tile %u/%llu); stop the hub, then: tributary-hub rebuild",
							       tile.level, (unsigned long long)tile.n) : -1;
	memcpy(h, b.p + at * TRIB_SHA256_LEN, (size_t)n * TRIB_SHA256_LEN);
	for (; n > 1; n /= 2)
		for (unsigned i = 0; i < n / 2; i++)
			trib_merkle_node(h[i], h[2 * i], h[2 * i + 1]);
	memcpy(ret, h[0], TRIB_SHA256_LEN);
	return 0;
}

/* ---- one witness ---- */

struct round {
	const char *hub_dir;
	struct trib_buf note;        /* the published checkpoint with the log's own signatures alone */
	struct trib_checkpoint cp;
	struct trib_tls_ctx *tls[TRIB_WITNESSES_MAX];
	struct trib_witness_peer peers[TRIB_WITNESSES_MAX];
	bool due[TRIB_WITNESSES_MAX];
	size_t n;
};

static int make_request(const struct round *r, uint64_t old, struct trib_buf *ret, struct trib_err *err)
{
	uint8_t proof[TRIB_PROOF_MAX_HASHES + 1][TRIB_SHA256_LEN];
	struct tiles t = {.hub_dir = r->hub_dir, .size = r->cp.size};
	size_t n = 0;
	if (old > 0 && old < r->cp.size && trib_merkle_consistency(old, r->cp.size, get_subtree, &t, proof, &n, err))
		return -1;
	if (n > TRIB_PROOF_MAX_HASHES)
		return trib_fail(err, TRIB_E_LIMIT, "the log is too large");
	trib_buf_reset(ret);
	trib_add_checkpoint_put(ret, old, (const uint8_t(*)[TRIB_SHA256_LEN])proof, n, trib_buf_span(&r->note));
	return trib_buf_check(ret, "request", err);
}

/* An answer of 200: lines that stand under our text; only this witness's good one is taken over. */
static int take_cosignature(const struct round *r, struct trib_witness_peer *p, struct trib_span lines, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf all = TRIB_BUF(TRIB_NOTE_MAX), kept = TRIB_BUF(TRIB_NOTE_MAX);
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/witness/%s/cosigned", r->hub_dir, p->id);
	struct trib_checkpoint cp;
	char when[17];
	int64_t at;
	if (!path)
		return oom(err);
	trib_buf_put_span(&all, r->cp.text);
	trib_buf_putc(&all, '\n');
	trib_buf_put_span(&all, lines);
	if (trib_buf_check(&all, "its answer", err) || trib_checkpoint_parse(trib_buf_span(&all), &cp, err))
		return trib_ctx(err, "its answer");
	int got = trib_cosig_verify(&cp, &p->key, &at, err);
	if (got <= 0)
		return got < 0 ? trib_ctx(err, "a false answer") : trib_fail(err, TRIB_E_SIGNATURE, "its answer has no cosignature of the key %s that is configured here", p->key.name);
	trib_time_city(when, at);
	if (trib_cosig_ahead(at, trib_now()))
		return trib_fail(err, TRIB_E_VERIFY, "its cosignature is of %s, a time still to come: is its clock wrong, or this hub's? It was not taken", when);
	trib_buf_put_span(&kept, trib_buf_span(&r->note));
	for (size_t i = 0; i < cp.ncosigs; i++)
		if (cp.cosigs[i].time == (uint64_t)at && trib_span_is(cp.cosigs[i].key_name, p->key.name) && memcmp(cp.cosigs[i].key_id, p->key.id, 4) == 0) {
			trib_note_put_cosig(&kept, p->key.name, p->key.id, (uint64_t)at, cp.cosigs[i].sig);
			break;
		}
	if (trib_buf_check(&kept, "cosigned checkpoint", err) || trib_fs_write(path, trib_buf_span(&kept), 0600, err))
		return -1;
	p->seen = p->size = r->cp.size;
	memcpy(p->root, r->cp.root, sizeof(p->root));
	p->time = at;
	return 0;
}

/* Its own words, without control characters. */
static int refused(const struct trib_witness_peer *p, unsigned status, struct trib_buf *body, struct trib_err *err)
{
	const char *next = status == 404 ? "it does not know this log: give its operator the line of: tributary-hub witness log-key" :
			   status == 422 || status == 409 ? "this log does not continue what it cosigned: was the hub restored or rewritten? try: tributary-hub audit" :
			   status == 403 ? "it knows this log under another key: give its operator the line of: tributary-hub witness log-key" :
					   "is it a witness? try: tributary-hub witness list";
	for (size_t i = 0; i < body->len; i++)
		if (body->p[i] < 0x20 || body->p[i] == 0x7f)
			body->p[i] = ' ';
	(void)p;
	return trib_fail(err, status == 409 || status == 422 ? TRIB_E_VERIFY : TRIB_E_REFUSED, "it answers %u (%.120s); %s", status, trib_buf_str(body), next);
}

static int ask(const struct round *r, size_t i, struct trib_witness_peer *p, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf request = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX);
	struct trib_web_answer a = {.body = TRIB_BUF(ANSWER_MAX)};
	struct trib_web_url url;
	int rc = trib_web_url_parse(p->url, &url, err);
	for (int try = 0; !rc; try++) {
		uint64_t seen;
		trib_buf_reset(&a.body);
		rc = make_request(r, p->seen < r->cp.size ? p->seen : r->cp.size, &request, err) ||
				     trib_web_post(r->tls[i], &url, "/add-checkpoint", trib_buf_span(&request), ASK_MS, &a, err)
			     ? -1
			     : 0;
		if (rc)
			break;
		if (a.status == 200) {
			rc = take_cosignature(r, p, trib_buf_span(&a.body), err);
			break;
		}
		bool told = a.status == 409 && trib_tlog_size_parse(trib_buf_span(&a.body), &seen);
		if (told && seen > r->cp.size) {
			rc = trib_fail(err, TRIB_E_VERIFY, "it has cosigned %llu leaves of this log, published are %llu: this hub is an older copy; try: tributary-hub recover",
				       (unsigned long long)seen, (unsigned long long)r->cp.size);
			break;
		}
		if (!told || seen == p->seen || try + 1 == TRIES) {
			rc = refused(p, a.status, &a.body, err);
			break;
		}
		p->seen = seen;
	}
	trib_buf_release(&a.body);
	return rc;
}

static void put_when(struct trib_buf *b, const char *key, int64_t t)
{
	char text[TRIB_TIME_LEN + 1] = "-";
	if (t)
		trib_time_text(text, t);
	trib_buf_printf(b, "%s %s\n", key, text);
}

static int save_state(const char *hub_dir, const struct trib_witness_peer *p, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/witness/%s/state", hub_dir, p->id);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(8 * TRIB_KIB);
	if (!path)
		return oom(err);
	trib_buf_printf(&b, "format tributary-witness-state-1\nseen %llu\n", (unsigned long long)p->seen);
	put_when(&b, "asked", p->asked);
	put_when(&b, "failing", p->failing);
	put_when(&b, "warned", p->warned);
	trib_buf_puts(&b, "why ");
	trib_pct(&b, trib_span_str(p->why));
	trib_buf_putc(&b, '\n');
	return trib_buf_check(&b, path, err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* Said once when it begins, and loudly once a day when the word has become too old. */
static void warn(struct trib_witness_peer *p, int64_t now, bool begun)
{
	char when[17];
	if (begun)
		trib_log(TRIB_LOG_WARN, "the witness %s has not cosigned: %s", p->key.name, p->why);
	if (!trib_witness_stale(p, now) || now - p->warned < WARN_AGAIN_S)
		return;
	p->warned = now;
	trib_time_city(when, p->time ? p->time : p->added);
	trib_log(TRIB_LOG_ERROR, "UNWITNESSED: %s has cosigned nothing since %s; offices that pin it raise the alarm: %s", p->key.name, when, p->why);
}

static int ask_one(struct round *r, size_t i, size_t *failed, struct trib_err *err)
{
	struct trib_witness_peer *p = &r->peers[i];
	struct trib_err why;
	p->asked = trib_now();
	if (ask(r, i, p, &why) == 0) {
		if (p->failing)
			trib_log(TRIB_LOG_INFO, "the witness %s cosigns again: %llu leaves", p->key.name, (unsigned long long)p->size);
		p->failing = p->warned = 0;
		p->why[0] = '\0';
	} else {
		bool begun = !p->failing;
		p->failing = p->failing ? p->failing : p->asked;
		(void)snprintf(p->why, sizeof(p->why), "%.511s", why.msg);
		warn(p, p->asked, begun);
		++*failed;
	}
	return save_state(r->hub_dir, p, err);
}

/* ---- a round ---- */

/* The published checkpoint, with what is the log's own of its signatures. 1, 0 nothing is published yet. */
static int load_published(struct round *r, const char *origin, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(r->hub_dir, "log/checkpoint");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	if (!path)
		return oom(err);
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &b, err) || trib_checkpoint_parse(trib_buf_span(&b), &cp, err))
		return trib_ctx(err, "%s (try: tributary-hub rebuild)", path);
	trib_buf_put_span(&r->note, cp.text);
	for (size_t i = 0; i < cp.nsigs; i++)
		if (trib_span_is(cp.sigs[i].key_name, origin))
			trib_note_put_sig(&r->note, origin, cp.sigs[i].key_id, cp.sigs[i].sig);
	if (trib_buf_check(&r->note, "checkpoint", err) || trib_checkpoint_parse(trib_buf_span(&r->note), &r->cp, err))
		return trib_ctx(err, "%s (try: tributary-hub rebuild)", path);
	return 1;
}

static bool is_due(const struct round *r, const struct trib_witness_peer *p, int64_t now)
{
	if (p->failing && now - p->asked < RETRY_S && now >= p->asked)
		return false;
	return p->time == 0 || r->cp.size != p->size || memcmp(r->cp.root, p->root, sizeof(p->root)) != 0 || now - p->time > REFRESH_S || trib_cosig_ahead(p->time, now) ||
	       p->failing;
}

/* What must be read before the process is shut in. */
static int prepare(struct round *r, bool force, struct trib_err *err)
{
	int64_t now = trib_now();
	for (size_t i = 0; i < r->n; i++) {
		TRIB_AUTO(trib_mem) char *ca = trib_pathf("%s/witness/%s/ca.pem", r->hub_dir, r->peers[i].id);
		struct trib_web_url url;
		if (!ca)
			return oom(err);
		r->due[i] = force || is_due(r, &r->peers[i], now);
		if (r->due[i] && (trib_web_url_parse(r->peers[i].url, &url, err) || (url.tls && trib_tls_web_client_ctx(trib_fs_exists(ca) ? ca : NULL, &r->tls[i], err))))
			return trib_ctx(err, "the witness %s", r->peers[i].key.name);
	}
	return 0;
}

static int run(struct round *r, const char *origin, bool force, size_t *ret_failed, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *log = trib_path(r->hub_dir, "log");
	TRIB_AUTO(trib_mem) char *own = trib_path(r->hub_dir, "witness");
	struct trib_sandbox box = {.read_dir = log, .write_dir = own, .network = true};
	struct trib_sandbox_state state;
	bool any = false;
	size_t failed = 0;
	if (!log || !own)
		return oom(err);
	int got = trib_witnesses_load(r->hub_dir, r->peers, &r->n, err) ? -1 : load_published(r, origin, err);
	if (got <= 0)
		return got < 0 ? -1 : force ? trib_fail(err, TRIB_E_NOT_FOUND, "the log is not published yet; try: tributary-hub serve") : 0;
	if (prepare(r, force, err))
		return -1;
	for (size_t i = 0; i < r->n; i++)
		any = any || r->due[i];
	if (any && (trib_sandbox_limits(err) || trib_sandbox_enter(&box, &state, err)))
		return -1;
	for (size_t i = 0; i < r->n; i++)
		if (r->due[i] && ask_one(r, i, &failed, err))
			return -1;
	*ret_failed = failed;
	return 0;
}

int trib_witnesses_ask(const char *hub_dir, const char *origin, bool force, size_t *ret_failed, struct trib_err *err)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	TRIB_AUTO(trib_mem) char *path = trib_path(hub_dir, "witness/lock");
	struct round *r = calloc(1, sizeof(*r));
	int rc = r && path ? 0 : oom(err);
	if (!rc)
		rc = trib_lock_take(&lock, path, force ? 2 * ASK_MS : 0, err);
	if (!rc) {
		r->hub_dir = hub_dir;
		r->note = TRIB_BUF(TRIB_NOTE_MAX);
		rc = run(r, origin, force, ret_failed, err);
		trib_buf_release(&r->note);
		for (size_t i = 0; i < TRIB_WITNESSES_MAX; i++)
			trib_tls_ctx_free(r->tls[i]);
	}
	free(r);
	return rc;
}

int trib_witnesses_main(const struct trib_hub *h)
{
	struct trib_err err;
	size_t failed;
	if (trib_witnesses_ask(h->dir, h->origin, false, &failed, &err) == 0 || err.code == TRIB_E_LOCKED)
		return 0;
	trib_log(TRIB_LOG_ERROR, "asking the witnesses: %s", err.msg);
	return trib_exit_status(err.code);
}
