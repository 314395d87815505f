#include "hub/smart_fetch.h"

#include "core/base/log.h"
#include "core/format/pktline.h"

#define FETCH_CAPS "multi_ack_detailed no-done side-band-64k ofs-delta no-progress"
#define FETCH_BODY_MAX (4 * TRIB_MIB) /* TRIB_WANTS_MAX wants and TRIB_HAVES_MAX haves of about 50 bytes */
#define FETCH_CHAIN_MAX ((size_t)1 << 20) /* commits of one history that a negotiation looks through: 20 MB of ids */
#define BAND_ROOM (32 * TRIB_KIB)

static const char *const REFS[] = {"refs/heads/broadcast", "refs/heads/down", "refs/heads/main"};
#define NREFS TRIB_COUNT(REFS)
#define MAIN_INDEX 2

struct refs {
	bool has[NREFS];
	uint8_t oid[NREFS][TRIB_OID_LEN];
};

int trib_fetch_open(struct trib_worker *w, const struct trib_route *r, struct trib_repo **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(w->hub, r->node, r->app);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	TRIB_AUTO(trib_mem) char *head = trib_path(path, "HEAD");
	if (!head)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(head)) {
		*ret = NULL;
		return 0;
	}
	return trib_repo_open(path, false, ret, err);
}

static int read_refs(struct trib_repo *repo, struct refs *ret, struct trib_err *err)
{
	*ret = (struct refs){0};
	for (size_t i = 0; repo && i < NREFS; i++) {
		if (trib_repo_ref(repo, REFS[i], ret->oid[i], err) == 0)
			ret->has[i] = true;
		else if (err->code != TRIB_E_NOT_FOUND)
			return -1;
	}
	return 0;
}

/* The repository and its refs; answers itself when there is nothing to read. 1 go on, 0 answered, -1. */
static int open_history(struct trib_worker *w, const struct trib_route *r, struct trib_repo **ret, struct refs *refs, struct trib_err *err)
{
	struct trib_err why;
	if (trib_fetch_open(w, r, ret, &why) || read_refs(*ret, refs, &why)) {
		trib_log(TRIB_LOG_ERROR, "reading %s/%s: %s", r->node, r->app, why.msg);
		return trib_http_text(w->http, 500, err, "the history cannot be read now; nothing is lost, try again later");
	}
	/* A node's own history may still be empty; a reader's typing error must not look like an empty one. */
	if (!*ret && w->who.role != TRIB_ROLE_NODE)
		return trib_http_text(w->http, 404, err, "there is no history %s/%s", r->node, r->app);
	return 1;
}

static void put_ref(struct trib_buf *b, bool *first, const uint8_t oid[TRIB_OID_LEN], const char *name, bool has_main)
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	if (*first)
		trib_pkt_printf(b, "%s %s%c%s%s object-format=sha1 agent=tributary\n", hex, name, '\0', FETCH_CAPS, has_main ? " symref=HEAD:refs/heads/main" : "");
	else
		trib_pkt_printf(b, "%s %s\n", hex, name);
	*first = false;
}

int trib_fetch_refs(struct trib_worker *w, const struct trib_route *r, struct trib_err *err)
{
	static const uint8_t zero[TRIB_OID_LEN];
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	struct refs refs;
	int go = open_history(w, r, &repo, &refs, err);
	if (go <= 0)
		return go;
	bool first = true;
	trib_pkt_printf(&b, "# service=git-upload-pack\n");
	trib_pkt_flush(&b);
	if (refs.has[MAIN_INDEX])
		put_ref(&b, &first, refs.oid[MAIN_INDEX], "HEAD", true);
	for (size_t i = 0; i < NREFS; i++)
		if (refs.has[i])
			put_ref(&b, &first, refs.oid[i], REFS[i], refs.has[MAIN_INDEX]);
	if (first)
		put_ref(&b, &first, zero, "capabilities^{}", false);
	trib_pkt_flush(&b);
	if (trib_buf_check(&b, "the list of refs", err))
		return -1;
	return trib_http_answer(w->http, 200, TRIB_GIT_TYPE("upload-pack", "advertisement"), trib_buf_span(&b), err);
}

/* Ids in order, for look-ups. */
struct idset { uint8_t (*p)[TRIB_OID_LEN]; size_t n; };
static void idset_cleanup(struct idset *s) { free(s->p); }

static int by_id(const void *a, const void *b) { return memcmp(a, b, TRIB_OID_LEN); }

static bool in_set(const struct idset *s, const uint8_t oid[TRIB_OID_LEN])
{
	return s->n && bsearch(oid, s->p, s->n, TRIB_OID_LEN, by_id) != NULL;
}

struct fetch {
	struct trib_worker *w;
	struct trib_fetch_request req;
	struct refs refs;
	struct idset chain[NREFS];  /* the whole chain of a ref; filled when needed */
	bool wanted[NREFS], met[NREFS]; /* met: the peer has a commit of that chain */
	uint8_t (*common)[TRIB_OID_LEN];
	size_t ncommon;
};

static void fetch_cleanup(struct fetch *f)
{
	trib_fetch_request_release(&f->req);
	for (size_t i = 0; i < NREFS; i++)
		idset_cleanup(&f->chain[i]);
	free(f->common);
}

static int load_chain(struct fetch *f, struct trib_repo *repo, size_t k, struct trib_err *err)
{
	if (f->chain[k].n)
		return 0;
	if (trib_repo_chain(repo, f->refs.oid[k], NULL, FETCH_CHAIN_MAX, &f->chain[k].p, &f->chain[k].n, err))
		return -1;
	qsort(f->chain[k].p, f->chain[k].n, TRIB_OID_LEN, by_id);
	return 0;
}

/* Is it an older commit of this ref's chain? The ref may have moved between the peer's GET and its POST (receipts come while an office
 * fetches); what it was told before is as much its to have as the tip. */
static int in_chain(struct fetch *f, struct trib_repo *repo, size_t k, const uint8_t oid[TRIB_OID_LEN], bool *ret, struct trib_err *err)
{
	if (load_chain(f, repo, k, err))
		return -1;
	*ret = in_set(&f->chain[k], oid);
	return 0;
}

/* Wants must be what is or was advertised: nothing else of a repository can be fetched. */
static int check_wants(struct fetch *f, struct trib_repo *repo, struct trib_err *err)
{
	for (size_t i = 0; i < f->req.nwants; i++) {
		bool ours = false;
		for (size_t k = 0; k < NREFS; k++)
			if (f->refs.has[k] && memcmp(f->refs.oid[k], f->req.wants[i], TRIB_OID_LEN) == 0)
				ours = f->wanted[k] = true;
		for (size_t k = 0; k < NREFS && !ours; k++) {
			if (f->refs.has[k] && in_chain(f, repo, k, f->req.wants[i], &ours, err))
				return -1;
			f->wanted[k] = f->wanted[k] || ours;
		}
		char hex[TRIB_OID_HEX + 1];
		trib_hex(hex, f->req.wants[i], TRIB_OID_LEN);
		if (!ours)
			return trib_fail(err, TRIB_E_REFUSED, "upload-pack: not our ref %s", hex);
	}
	return 0;
}

/* The newest commit of each wanted chain that the peer has: with it, it has all before it. Found by walking the chain, as far as the peer is behind, not by
 * presence in the object store: a miss there makes libgit2 look through its pack directory again, once for each of up to TRIB_HAVES_MAX unknown ids. */
static int find_common(struct fetch *f, struct trib_repo *repo, struct trib_err *err)
{
	if (f->req.nhaves == 0)
		return 0;
	struct idset haves = {calloc(f->req.nhaves, TRIB_OID_LEN), f->req.nhaves};
	f->common = calloc(NREFS, TRIB_OID_LEN);
	int more = haves.p && f->common ? 1 : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (more > 0) {
		memcpy(haves.p, f->req.haves, haves.n * TRIB_OID_LEN);
		qsort(haves.p, haves.n, TRIB_OID_LEN, by_id);
	}
	for (size_t k = 0; k < NREFS && more >= 0; k++) {
		uint8_t at[TRIB_OID_LEN];
		memcpy(at, f->refs.oid[k], TRIB_OID_LEN);
		size_t seen = 0;
		for (more = f->wanted[k]; more > 0 && !(f->met[k] = in_set(&haves, at));)
			more = ++seen < FETCH_CHAIN_MAX ? trib_repo_parent(repo, at, at, err) : 0;
		if (f->met[k])
			memcpy(f->common[f->ncommon++], at, TRIB_OID_LEN);
	}
	idset_cleanup(&haves);
	return more < 0 ? -1 : 0;
}

/* Every wanted chain meets something the peer has: more haves would tell nothing new. */
static bool enough(const struct fetch *f)
{
	for (size_t k = 0; k < NREFS; k++)
		if (f->wanted[k] && !f->met[k])
			return false;
	return f->ncommon > 0;
}

static int flush_acks(struct fetch *f, struct trib_buf *b, struct trib_err *err)
{
	if (trib_buf_check(b, "acknowledgements", err) || trib_http_send(f->w->http, trib_buf_span(b), err))
		return -1;
	trib_buf_reset(b);
	return 0;
}

/* The ACK/NAK lines of one round (gitprotocol-pack: multi_ack_detailed and plain). *ret_pack: the pack follows at once. */
static int negotiate(struct fetch *f, bool *ret_pack, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(8192);
	const struct trib_fetch_request *q = &f->req;
	char hex[TRIB_OID_HEX + 1] = "";
	bool detailed = q->multi_ack_detailed;
	for (size_t i = 0; i < f->ncommon; i++) {
		trib_hex(hex, f->common[i], TRIB_OID_LEN);
		if (detailed)
			trib_pkt_printf(&b, "ACK %s common\n", hex);
		else if (i == 0)
			trib_pkt_printf(&b, "ACK %s\n", hex);
		if (b.len > 4096 && flush_acks(f, &b, err))
			return -1;
	}
	*ret_pack = q->done;
	if (!q->done) {
		bool ready = detailed && enough(f);
		if (ready)
			trib_pkt_printf(&b, "ACK %s ready\n", hex);
		if (detailed || f->ncommon == 0)
			trib_pkt_printf(&b, "NAK\n");
		if (ready && q->no_done) {
			trib_pkt_printf(&b, "ACK %s\n", hex);
			*ret_pack = true;
		}
	} else if (f->ncommon == 0) {
		trib_pkt_printf(&b, "NAK\n");
	} else if (detailed) {
		trib_pkt_printf(&b, "ACK %s\n", hex);
	}
	return flush_acks(f, &b, err);
}

struct band {
	struct fetch *f;
	struct trib_buf bytes, out;
};

static int band_flush(struct band *s, struct trib_err *err)
{
	if (s->bytes.len == 0)
		return 0;
	trib_buf_reset(&s->out);
	trib_pkt_band(&s->out, 1, trib_buf_span(&s->bytes));
	trib_buf_reset(&s->bytes);
	if (trib_buf_check(&s->out, "a pack", err))
		return -1;
	return trib_http_send(s->f->w->http, trib_buf_span(&s->out), err);
}

static int pack_bytes(void *ctx, struct trib_span bytes, struct trib_err *err)
{
	struct band *s = ctx;
	if (!s->f->req.side_band_64k)
		return trib_http_send(s->f->w->http, bytes, err);
	while (bytes.n) {
		size_t room = BAND_ROOM - s->bytes.len;
		size_t n = bytes.n < room ? bytes.n : room;
		trib_buf_put(&s->bytes, bytes.p, n);
		bytes = trib_span(bytes.p + n, bytes.n - n);
		if (s->bytes.failed)
			return trib_buf_check(&s->bytes, "a pack", err);
		if (s->bytes.len == BAND_ROOM && band_flush(s, err))
			return -1;
	}
	return 0;
}

static int send_pack(struct fetch *f, struct trib_repo *repo, struct trib_err *err)
{
	struct band s = {.f = f, .bytes = TRIB_BUF(BAND_ROOM), .out = TRIB_BUF(BAND_ROOM + 64)};
	int rc = trib_repo_pack(repo, (const uint8_t(*)[TRIB_OID_LEN])f->req.wants, f->req.nwants, (const uint8_t(*)[TRIB_OID_LEN])f->common, f->ncommon,
				pack_bytes, &s, err);
	if (rc == 0)
		rc = band_flush(&s, err);
	trib_buf_release(&s.bytes);
	trib_buf_release(&s.out);
	if (!f->req.side_band_64k)
		return rc;
	TRIB_AUTO(trib_buf) struct trib_buf tail = TRIB_BUF(2048);
	if (rc) {
		/* Band 3 ends the fetch with a message; a cut stream would look like a lost line. */
		trib_log(TRIB_LOG_ERROR, "sending a pack: %s", err->msg);
		trib_pkt_band(&tail, 3, trib_span_str("the hub could not read the history; nothing is lost, try again later\n"));
	}
	trib_pkt_flush(&tail);
	return trib_http_send(f->w->http, trib_buf_span(&tail), err);
}

static int send_err(struct trib_worker *w, const struct trib_err *why, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	trib_pkt_printf(&b, "ERR %s", why->msg);
	if (trib_buf_check(&b, "an answer", err))
		return -1;
	/* 200: clients show no text of other answers to a POST. */
	return trib_http_answer(w->http, 200, TRIB_GIT_TYPE("upload-pack", "result"), trib_buf_span(&b), err);
}

static int read_request(struct trib_worker *w, struct trib_fetch_request *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(FETCH_BODY_MAX);
	trib_http_body_max(w->http, FETCH_BODY_MAX);
	if (trib_http_body_all(w->http, &body, err))
		return -1;
	return trib_fetch_request_parse(trib_buf_span(&body), ret, err);
}

int trib_fetch_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err)
{
	__attribute__((cleanup(fetch_cleanup))) struct fetch f = {.w = w};
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_err why;
	if (read_request(w, &f.req, &why))
		return trib_http_text(w->http, 400, err, "%s: %s", trib_code_name(why.code), why.msg);
	int go = open_history(w, r, &repo, &f.refs, err);
	if (go <= 0)
		return go;
	if (f.req.nwants == 0) /* the peer has all it wants */
		return trib_http_answer(w->http, 200, TRIB_GIT_TYPE("upload-pack", "result"), trib_span(NULL, 0), err);
	if (check_wants(&f, repo, &why))
		return send_err(w, &why, err);
	if (find_common(&f, repo, &why)) {
		trib_log(TRIB_LOG_ERROR, "fetch of %s/%s: %s", r->node, r->app, why.msg);
		return trib_http_text(w->http, 500, err, "the history cannot be read now; nothing is lost, try again later");
	}
	bool pack = false;
	if (trib_http_begin(w->http, TRIB_GIT_TYPE("upload-pack", "result"), err) || negotiate(&f, &pack, err))
		return -1;
	if (pack && send_pack(&f, repo, err))
		return -1;
	return trib_http_end(w->http, err);
}
