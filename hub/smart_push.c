#include "hub/smart_push.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/format/packscan.h"
#include "core/format/pktline.h"
#include "core/replay/signer.h"
#include "core/trust/hash.h"
#include "hub/smart_fetch.h"

#define MAIN_REF "refs/heads/main"
/* no-thin: bases outside the pack cost look-ups; no delete-refs, push-options, push-cert, atomic: not done here. */
#define PUSH_CAPS "report-status side-band-64k no-thin ofs-delta object-format=sha1 agent=tributary"
#define HEAD_ROOM (16 * TRIB_KIB) /* TRIB_PUSH_COMMANDS_MAX commands with their capabilities */
#define KEEPER_MS 120000          /* one publication: a transaction, its fsyncs, and those queued before it */
#define SIGN_OF_LIFE_MS 5000

struct push {
	struct trib_worker *w;
	const struct trib_route *route;
	struct trib_push_request req;
	struct trib_push_command cmd;
	char *pack_in, *pack_out, *pack_dir, *empty_repo, *repo_path;
	uint64_t objects;
	struct trib_tip tip;            /* where the hub's history stands; advanced while judging */
	uint8_t old_oid[TRIB_OID_LEN];
	bool has_old;
	char pack_name[TRIB_OID_HEX + 1];
	struct trib_buf held;           /* records for the keeper */
	uint32_t nheld;
	uint8_t object[TRIB_SHA256_LEN];/* what a refusal is about */
	int64_t last_sign;
	struct trib_signer_cache signers;
};

static void push_cleanup(struct push *p)
{
	free(p->pack_in);
	free(p->pack_out);
	free(p->pack_dir);
	free(p->empty_repo);
	free(p->repo_path);
	trib_tip_release(&p->tip);
	trib_signer_cache_release(&p->signers);
	trib_buf_release(&p->held);
}

static bool oid_is_zero(const uint8_t oid[TRIB_OID_LEN])
{
	static const uint8_t zero[TRIB_OID_LEN];
	return memcmp(oid, zero, TRIB_OID_LEN) == 0;
}

int trib_push_refs(struct trib_worker *w, const struct trib_route *r, struct trib_err *err)
{
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	uint8_t oid[TRIB_OID_LEN];
	char hex[TRIB_OID_HEX + 1] = "0000000000000000000000000000000000000000";
	const char *name = "capabilities^{}";
	if (trib_fetch_open(w, r, &repo, err))
		return trib_http_text(w->http, 500, err, "the history cannot be read now; nothing is lost, try again later");
	if (repo && trib_repo_ref(repo, MAIN_REF, oid, err) == 0) {
		trib_hex(hex, oid, TRIB_OID_LEN);
		name = MAIN_REF;
	} else if (repo && err->code != TRIB_E_NOT_FOUND) {
		return trib_http_text(w->http, 500, err, "the history cannot be read now; nothing is lost, try again later");
	}
	trib_pkt_printf(&b, "# service=git-receive-pack\n");
	trib_pkt_flush(&b);
	trib_pkt_printf(&b, "%s %s%c%s\n", hex, name, '\0', PUSH_CAPS);
	trib_pkt_flush(&b);
	if (trib_buf_check(&b, "the list of refs", err))
		return -1;
	return trib_http_answer(w->http, 200, TRIB_GIT_TYPE("receive-pack", "advertisement"), trib_buf_span(&b), err);
}

/* Sentences go into one line of a pkt-line: no control bytes, bounded. */
static void clean_sentence(char *ret, size_t size, const char *sentence)
{
	size_t n = 0;
	for (; sentence[n] && n < size - 1; n++)
		ret[n] = (unsigned char)sentence[n] < 0x20 || sentence[n] == 0x7f ? ' ' : sentence[n];
	ret[n] = '\0';
}

void trib_push_report(struct trib_buf *b, const struct trib_push_request *req, enum trib_code code, const char *sentence)
{
	char line[TRIB_ERR_MSG];
	clean_sentence(line, sizeof(line), sentence);
	trib_pkt_printf(b, "unpack ok\n");
	for (size_t i = 0; i < req->ncmds; i++) {
		if (code == TRIB_OK)
			trib_pkt_printf(b, "ok %s\n", req->cmds[i].ref);
		else
			trib_pkt_printf(b, "ng %s %s: %s\n", req->cmds[i].ref, trib_code_name(code), line);
	}
	trib_pkt_flush(b);
}

static int begin_answer(struct trib_worker *w, struct trib_err *err)
{
	if (trib_http_answered(w->http))
		return 0;
	return trib_http_begin(w->http, TRIB_GIT_TYPE("receive-pack", "result"), err);
}

static int send_report(struct push *p, enum trib_code code, const char *sentence, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf report = TRIB_BUF(16 * TRIB_KIB);
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(20 * TRIB_KIB);
	if (p->req.report_status)
		trib_push_report(&report, &p->req, code, sentence);
	if (trib_buf_check(&report, "the report", err))
		return -1;
	if (p->req.side_band_64k) {
		trib_pkt_band(&out, 1, trib_buf_span(&report));
		trib_pkt_flush(&out);
	} else {
		trib_buf_put_span(&out, trib_buf_span(&report));
	}
	if (trib_buf_check(&out, "the report", err) || begin_answer(p->w, err) || trib_http_send(p->w->http, trib_buf_span(&out), err))
		return -1;
	return trib_http_end(p->w->http, err);
}

/* A long judgement says that it lives, so that the peer's own timeout does not cut it off. */
static int sign_of_life(struct push *p, size_t done, size_t all, struct trib_err *err)
{
	int64_t now = trib_mono_ms();
	if (!p->req.side_band_64k || now - p->last_sign < SIGN_OF_LIFE_MS)
		return 0;
	p->last_sign = now;
	char text[96];
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(1024);
	int n = snprintf(text, sizeof(text), "verified %zu of %zu commits\n", done, all);
	trib_pkt_band(&out, 2, trib_span(text, (size_t)n));
	if (begin_answer(p->w, err))
		return -1;
	return trib_http_send(p->w->http, trib_buf_span(&out), err);
}

/* Faults of what was pushed are logged; our own (disk, memory, another process) are not the peer's doing. */
static bool is_verdict(enum trib_code code)
{
	switch (code) {
	case TRIB_E_CERT:
	case TRIB_E_REFUSED:
	case TRIB_E_LIMIT:
	case TRIB_E_FORMAT:
	case TRIB_E_SIGNATURE:
	case TRIB_E_CHAIN:
	case TRIB_E_TREE:
	case TRIB_E_DIGEST:
	case TRIB_E_OUT_OF_STEP:
	case TRIB_E_VERIFY:
	case TRIB_E_CONFLICT:
	case TRIB_E_FORK:
	case TRIB_E_SCHEMA:
	case TRIB_E_CLOCK:
	case TRIB_E_VERSION:
		return true;
	default:
		return false;
	}
}

bool trib_push_refusal(struct trib_worker *w, const struct trib_route *route, const uint8_t object[TRIB_SHA256_LEN], const struct trib_err *why)
{
	struct trib_ipc_refusal r = {.code = (int32_t)why->code};
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(sizeof(struct trib_ipc_result));
	struct trib_err err;
	if (!is_verdict(why->code))
		return false;
	(void)snprintf(r.node, sizeof(r.node), "%s", route->node);
	(void)snprintf(r.app, sizeof(r.app), "%s", route->app);
	(void)snprintf(r.msg, sizeof(r.msg), "%s", why->msg);
	memcpy(r.object, object, sizeof(r.object));
	if (trib_ipc_call(w->keeper_fd, TRIB_IPC_REFUSED, trib_span(&r, sizeof(r)), trib_span(NULL, 0), trib_span(NULL, 0), KEEPER_MS, TRIB_IPC_PUBLISHED,
			  &in, &err))
		trib_log(TRIB_LOG_WARN, "the refusal of %s/%s could not be logged: %s", r.node, r.app, err.msg);
	return true;
}

/* The commands: everything up to the first flush. 1, or 0 for an empty body. */
static int read_commands(struct push *p, struct trib_buf *head, struct trib_err *err)
{
	for (;;) {
		int r = trib_push_request_parse(trib_buf_span(head), &p->req, err);
		if (r != 0)
			return r;
		if (head->len == head->max)
			return trib_fail(err, TRIB_E_LIMIT, "the list of ref updates is over %zu bytes", head->max);
		uint8_t chunk[4096];
		size_t n = 0, room = head->max - head->len;
		if (trib_http_body(p->w->http, chunk, room < sizeof(chunk) ? room : sizeof(chunk), &n, err))
			return -1;
		if (n == 0 && head->len == 0)
			return 0;
		if (n == 0)
			return trib_fail(err, TRIB_E_FORMAT, "the push ends inside its list of ref updates");
		trib_buf_put(head, chunk, n);
		if (trib_buf_check(head, "the list of ref updates", err))
			return -1;
	}
}

static int take_pack_bytes(int fd, struct trib_packscan *scan, uint64_t *total, struct trib_span bytes, struct trib_err *err)
{
	*total += bytes.n;
	if (*total > TRIB_PACK_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "the pack is over %zu bytes; push in steps: fewer commits at a time", (size_t)TRIB_PACK_MAX);
	if (trib_packscan_feed(scan, bytes, err))
		return -1;
	return trib_fs_write_all(fd, bytes, err);
}

/* Streams the pack into quarantine behind the scanner. *ret_any false: the push brought none. */
static int receive_pack(struct push *p, struct trib_span first, bool *ret_any, struct trib_err *err)
{
	TRIB_AUTO(trib_packscan) struct trib_packscan *scan = trib_packscan_new();
	TRIB_AUTO(trib_fd) int fd = open(p->pack_in, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	TRIB_AUTO(trib_mem) uint8_t *chunk = malloc(65536);
	uint64_t total = 0;
	if (!scan || !chunk)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (fd < 0)
		return trib_fail_errno(err, "opening the quarantine");
	if (trib_fs_floor(p->w->quarantine, TRIB_DISK_FLOOR, err) || (first.n && take_pack_bytes(fd, scan, &total, first, err)))
		return -1;
	for (;;) {
		size_t n = 0;
		if (trib_http_body(p->w->http, chunk, 65536, &n, err))
			return -1;
		if (n == 0)
			break;
		if (take_pack_bytes(fd, scan, &total, trib_span(chunk, n), err))
			return -1;
	}
	*ret_any = total > 0;
	return total ? trib_packscan_end(scan, &p->objects, err) : 0;
}

static int check_commands(struct push *p, struct trib_err *err)
{
	if (p->req.ncmds != 1 || strcmp(p->req.cmds[0].ref, MAIN_REF) != 0)
		return trib_fail(err, TRIB_E_REFUSED, "only %s is accepted here, one ref at a time; push with: git push REMOTE %s", MAIN_REF, MAIN_REF);
	p->cmd = p->req.cmds[0];
	if (oid_is_zero(p->cmd.new_oid))
		return trib_fail(err, TRIB_E_REFUSED, "a history is never deleted; the hub keeps it");
	return 0;
}

static int ask_state(struct push *p, struct trib_err *err)
{
	struct trib_ipc_history h = {0};
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(TRIB_IPC_MAX);
	(void)snprintf(h.node, sizeof(h.node), "%s", p->route->node);
	(void)snprintf(h.app, sizeof(h.app), "%s", p->route->app);
	if (trib_ipc_call(p->w->keeper_fd, TRIB_IPC_STATE, trib_span(&h, sizeof(h)), trib_span(NULL, 0), trib_span(NULL, 0), KEEPER_MS, TRIB_IPC_STATE_IS, &in,
			  err))
		return -1;
	if (in.len && trib_tip_parse(trib_buf_span(&in), &p->tip, err))
		return trib_ctx(err, "the hub's record of %s/%s", h.node, h.app);
	p->has_old = p->tip.exists;
	if (p->has_old)
		memcpy(p->old_oid, p->tip.oid, TRIB_OID_LEN);
	return 0;
}

static int check_old(const struct push *p, struct trib_err *err)
{
	bool same = p->has_old ? memcmp(p->cmd.old_oid, p->old_oid, TRIB_OID_LEN) == 0 : oid_is_zero(p->cmd.old_oid);
	if (same)
		return 0;
	return trib_fail(err, TRIB_E_CHAIN, "the hub's history of %s/%s stands elsewhere than this push assumes; nothing was changed; fetch first, then push again",
			 p->route->node, p->route->app);
}

/* The repository that deltas and parents are looked up in: the history's own, or an empty one in quarantine before the first push. */
static int base_repo(struct push *p, struct trib_repo **ret, struct trib_err *err)
{
	struct trib_repo *repo = NULL;
	if (trib_fetch_open(p->w, p->route, &repo, err))
		return -1;
	if (!repo) {
		if (p->has_old)
			return trib_fail(err, TRIB_E_FAILED, "the hub's repository of %s/%s is missing; the operator must look: tributary-hub audit", p->route->node,
					 p->route->app);
		if (trib_repo_create(p->empty_repo, &repo, err))
			return -1;
		free(p->repo_path);
		p->repo_path = strdup(p->empty_repo);
		if (!p->repo_path) {
			trib_repo_free(repo);
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		}
	}
	*ret = repo;
	return 0;
}

static int add_held(struct push *p, const struct trib_judged *j, struct trib_err *err)
{
	const struct trib_manifest *m = &j->manifest;
	struct trib_ipc_held h = {.incarnation = m->incarnation, .seq = m->seq, .part = m->part, .parts = m->parts, .captured_at = m->captured_at};
	for (size_t i = 0; i < m->ntables; i++) {
		h.inserted += m->tables[i].inserted;
		h.updated += m->tables[i].updated;
		h.deleted += m->tables[i].deleted;
	}
	memcpy(h.oid, j->commit.oid, sizeof(h.oid));
	memcpy(h.manifest, j->manifest_sha256, sizeof(h.manifest));
	memcpy(h.commit, j->commit_sha256, sizeof(h.commit));
	memcpy(h.signer, j->signer.sha256, sizeof(h.signer));
	h.nbraked = (uint32_t)m->nbraked;
	h.reset = m->kind == TRIB_KIND_RESET;
	trib_buf_put(&p->held, &h, sizeof(h));
	p->nheld++;
	return trib_buf_check(&p->held, "the records of a push", err);
}

/* What a refusal names: the raw commit's hash, or that of the claimed id while the commit cannot be read. */
static void name_object(struct push *p, struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN])
{
	struct trib_err ignored;
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	if (repo && trib_repo_read(repo, oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, &ignored) == 0)
		trib_sha256(p->object, trib_buf_span(&raw));
	else
		trib_sha256(p->object, trib_span(hex, TRIB_OID_HEX));
}

/* A right commit, but it brings what must not leave its office: its own list is shorter than the city's. */
static int keep_private(struct push *p, const struct trib_judged *j, struct trib_err *err)
{
	char name[2 * TRIB_NAME_MAX + 2];
	int found = trib_private_shown(&p->w->private, &j->schema, trib_buf_span(&j->changeset), j->manifest.part == j->manifest.parts, name, sizeof(name), err);
	if (found > 0)
		return trib_fail(err, TRIB_E_REFUSED, "commit #%llu shows %.200s, which is private by the city's policy; the hub took nothing of it; at the office: tributary-agent "
				 "config set private %.200s, then sync", (unsigned long long)j->manifest.seq, name, name);
	return found;
}

static int judge_one(struct push *p, struct trib_repo *view, const struct trib_trust *trust, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	if (trib_judge(view, oid, trust, &p->tip, &j, err)) {
		name_object(p, view, oid);
		if (err->code == TRIB_E_NOT_FOUND)
			return trib_fail(err, TRIB_E_TREE, "a commit names an object that neither the push nor the hub has");
		return -1;
	}
	if (keep_private(p, &j, err)) {
		name_object(p, view, oid);
		return -1;
	}
	return add_held(p, &j, err);
}

/* By hand no office stands behind the request: that its folder forked says the signature of its commit. Over a line it says so itself (forked.c). */
static int not_after(struct push *p, struct trib_repo *view, const struct trib_trust *trust, struct trib_err *err)
{
	struct trib_fore *f = NULL;
	struct trib_err why;
	if (!p->w->tls && p->tip.incarnation == p->w->who.incarnation && trib_judge_ahead(view, p->cmd.new_oid, trust, &f, &why) == 0) {
		trib_fore_free(f);
		return trib_fail(err, TRIB_E_FORK, "a folder of this office does not go on from the hub's last commit: it is an old copy, or a second machine works as this office; if only "
						   "this one does: there, over a line, tributary-agent reset; else: tributary-hub node replace");
	}
	return trib_ctx(err, p->w->tls ? "the hub's last commit is no ancestor of this push; nothing was changed; fetch first, then push again" :
					 "the hub's last commit is no ancestor of this push; nothing was changed; the office must go on from it: over a line, once, tributary-agent sync");
}

static int judge_all(struct push *p, struct trib_err *err)
{
	TRIB_AUTO(trib_repo) struct trib_repo *view = NULL;
	TRIB_AUTO(trib_mem) uint8_t(*chain)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	if (trib_repo_open_quarantine(p->repo_path, p->w->quarantine, &view, err))
		return -1;
	name_object(p, view, p->cmd.new_oid);
	struct trib_trust trust = {
		.city = p->w->hub->city,
		.node = p->route->node,
		.app = p->route->app,
		.root = p->w->hub->root,
		.at = trib_now(),
		.incarnation = p->w->who.incarnation,
		.signers = &p->signers,
	};
	if (trib_repo_chain(view, p->cmd.new_oid, p->has_old ? p->old_oid : NULL, TRIB_PUSH_COMMITS_MAX, &chain, &n, err)) {
		if (err->code == TRIB_E_LIMIT)
			return trib_fail(err, TRIB_E_LIMIT, "more than %d commits in one push; push in steps", TRIB_PUSH_COMMITS_MAX);
		if (err->code == TRIB_E_CHAIN)
			return not_after(p, view, &trust, err);
		if (err->code == TRIB_E_NOT_FOUND) /* said anew: the reader's message names a path of the hub */
			return trib_fail(err, TRIB_E_CHAIN, "a commit between the hub's last one and this push is missing; fetch first, then push again");
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (judge_one(p, view, &trust, chain[i], err) || sign_of_life(p, i + 1, n, err))
			return -1;
	if (n == 0 || memcmp(p->tip.oid, p->cmd.new_oid, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "the push brings no commit after the hub's last one; fetch first, then push again");
	return 0;
}

static int publish(struct push *p, struct trib_err *err)
{
	struct trib_ipc_publish m = {.has_old = p->has_old, .nheld = p->nheld};
	struct trib_ipc_result res;
	TRIB_AUTO(trib_buf) struct trib_buf tip = TRIB_BUF(TRIB_IPC_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(4096);
	(void)snprintf(m.node, sizeof(m.node), "%s", p->route->node);
	(void)snprintf(m.app, sizeof(m.app), "%s", p->route->app);
	memcpy(m.pack, p->pack_name, sizeof(m.pack));
	memcpy(m.old_tip, p->old_oid, sizeof(m.old_tip));
	memcpy(m.new_tip, p->cmd.new_oid, sizeof(m.new_tip));
	memcpy(m.policy, p->w->policy, sizeof(m.policy));
	trib_tip_put(&tip, &p->tip);
	if (trib_buf_check(&tip, "the state after a push", err))
		return -1;
	m.tip_len = tip.len;
	if (trib_ipc_call(p->w->keeper_fd, TRIB_IPC_PUBLISH, trib_span(&m, sizeof(m)), trib_buf_span(&p->held), trib_buf_span(&tip), KEEPER_MS,
			  TRIB_IPC_PUBLISHED, &in, err))
		return trib_ctx(err, "publishing; it is unknown whether the hub holds the push: fetch, and push again if it does not");
	if (in.len != sizeof(res))
		return trib_fail(err, TRIB_E_FORMAT, "the keeper's answer has %zu bytes instead of %zu", in.len, sizeof(res));
	memcpy(&res, in.p, sizeof(res));
	res.msg[sizeof(res.msg) - 1] = '\0';
	if (res.code != TRIB_OK)
		return trib_fail(err, res.code > 0 && res.code < TRIB_CODE_COUNT ? (enum trib_code)res.code : TRIB_E_FAILED, "%s", res.msg);
	return 0;
}

/* From the scanned pack to the keeper's word. */
static int judge_and_publish(struct push *p, bool have_pack, struct trib_err *err)
{
	TRIB_AUTO(trib_repo) struct trib_repo *base = NULL;
	if (check_old(p, err))
		return -1;
	if (!have_pack || p->objects == 0)
		return trib_fail(err, TRIB_E_CHAIN, "the push brings no commit after the hub's last one; a history only grows; fetch first, then push again");
	if (trib_fs_floor(p->w->quarantine, TRIB_DISK_FLOOR, err) || base_repo(p, &base, err) || trib_push_unpack(base, p->pack_in, p->pack_out, p->objects, err))
		return -1;
	(void)unlink(p->pack_in);
	if (trib_fs_mkdirs(p->pack_dir, 0700, err))
		return -1;
	if (trib_repo_index_pack(base, p->pack_out, p->pack_dir, p->pack_name, err)) {
		/* The pack is of our own making and whole: what libgit2 misses in it is what the push should have brought. */
		if (err->code == TRIB_E_GIT || err->code == TRIB_E_NOT_FOUND)
			err->code = TRIB_E_TREE;
		return trib_ctx(err, "indexing the push");
	}
	(void)unlink(p->pack_out);
	if (judge_all(p, err))
		return -1;
	return publish(p, err);
}

/* The quarantine is empty before and after each push; the directory itself stays, the sandbox is tied to it. */
static int clear_quarantine(struct push *p, struct trib_err *err)
{
	if (trib_fs_remove_tree(p->pack_dir, err) || trib_fs_remove_tree(p->empty_repo, err) || trib_fs_remove(p->pack_in, err) ||
	    trib_fs_remove(p->pack_out, err))
		return trib_ctx(err, "clearing the quarantine");
	return 0;
}

static int push_init(struct push *p, struct trib_err *err)
{
	const char *q = p->w->quarantine;
	p->held = TRIB_BUF(TRIB_PUSH_COMMITS_MAX * sizeof(struct trib_ipc_held));
	p->pack_in = trib_path(q, "incoming.pack");
	p->pack_out = trib_path(q, "whole.pack");
	p->pack_dir = trib_path(q, "pack");
	p->empty_repo = trib_path(q, "empty.git");
	p->repo_path = trib_hub_repo_path(p->w->hub, p->route->node, p->route->app);
	p->last_sign = trib_mono_ms();
	if (!p->pack_in || !p->pack_out || !p->pack_dir || !p->empty_repo || !p->repo_path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return clear_quarantine(p, err);
}

/* 0 accepted, -1 with the reason. */
static int push_run(struct push *p, struct trib_span first, struct trib_err *err)
{
	bool have_pack = false;
	name_object(p, NULL, p->req.cmds[0].new_oid);
	if (check_commands(p, err) || receive_pack(p, first, &have_pack, err) || ask_state(p, err))
		return -1;
	/* The same bytes again give the same answer: a peer whose answer was lost asks twice. */
	if (p->has_old && memcmp(p->cmd.new_oid, p->old_oid, TRIB_OID_LEN) == 0)
		return 0;
	return judge_and_publish(p, have_pack, err);
}

int trib_push_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err)
{
	__attribute__((cleanup(push_cleanup))) struct push p = {.w = w, .route = r};
	TRIB_AUTO(trib_buf) struct trib_buf head = TRIB_BUF(HEAD_ROOM);
	struct trib_err why, later;
	trib_http_body_max(w->http, TRIB_PACK_MAX + HEAD_ROOM);
	w->verdict = (struct trib_err){.code = TRIB_OK};
	if (push_init(&p, err)) {
		w->verdict = *err;
		trib_log(TRIB_LOG_ERROR, "%s", err->msg);
		return trib_http_text(w->http, 503, err, "the hub cannot take a push now; nothing is lost, try again later");
	}
	int got = read_commands(&p, &head, &why);
	if (got < 0)
		w->verdict = why;
	if (got < 0) /* no commands were understood, so no report can name them */
		return trib_http_text(w->http, 400, err, "%s: %s", trib_code_name(why.code), why.msg);
	if (got == 0 || p.req.ncmds == 0) /* git's probe before a large push */
		return trib_http_answer(w->http, 200, TRIB_GIT_TYPE("receive-pack", "result"), trib_span(NULL, 0), err);
	struct trib_span first = trib_span(head.p + p.req.head_len, head.len - p.req.head_len);
	int rc = push_run(&p, first, &why);
	/* A peer that still writes would not read an early refusal. */
	if (rc) {
		w->verdict = why;
		(void)trib_http_drain(w->http, &later);
		trib_log(TRIB_LOG_INFO, "push of %s/%s: %s: %s", r->node, r->app, trib_code_name(why.code), why.msg);
		(void)trib_push_refusal(w, r, p.object, &why);
	}
	if (clear_quarantine(&p, &later))
		trib_log(TRIB_LOG_WARN, "%s", later.msg);
	return send_report(&p, rc ? why.code : TRIB_OK, rc ? why.msg : "", err);
}
