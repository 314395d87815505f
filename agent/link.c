/* link.c: push and pull (D8.1, D8.6): libgit2's smart transport over our TLS stream, in a disposable child; what it brings is judged here. */
#include "agent/link.h"

#include <git2.h>

#include "agent/child.h"
#include "agent/oldlog.h"
#include "agent/outbox.h"
#include "agent/receipts.h"
#include "agent/settings.h"
#include "agent/stream.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/base/progress.h"
#include "core/store/repo.h"

#define PUSH_REF TRIB_REF_PUSH
#define DOWN_NEW "refs/tributary/down" /* where a fetch puts what is not judged yet */
#define STEP_COMMITS 256               /* a dropped line loses one step (D8.1) */
#define STEP_BYTES (8 * TRIB_MIB)      /* two or three parts; on the poorest line met it takes minutes, well within TRIB_REQUEST_MS */

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

struct link {
	struct trib_state *s;
	struct trib_tls_ctx *tls;
	struct trib_url url;
	char *repo_url;
	struct trib_err net; /* the stream's own reason */
	bool quiet;
	uint64_t fetch_max; /* bytes that a fetch of receipts may bring */
};

static void link_close(struct link *l)
{
	trib_tls_ctx_free(l->tls);
	free(l->repo_url);
	*l = (struct link){0};
}

static int link_open(struct trib_state *s, bool quiet, struct link *l, struct trib_err *err)
{
	*l = (struct link){.s = s, .quiet = quiet};
	if (!s->node.enrolled || !s->node.hub_url)
		return trib_fail(err, TRIB_E_NOT_INIT, "this office is not enrolled; what was captured is safe here; try: tributary-agent enrol --slip FILE");
	if (trib_link_renew(s, err) || trib_url_parse(s->node.hub_url, &l->url, err) ||
	    trib_tls_client_ctx(s->tls_cert, s->tls_issuing, s->tls_key, s->root, NULL, &l->tls, err))
		return -1;
	bool v6 = strchr(l->url.host, ':') != NULL; /* an address, kept without its brackets */
	l->repo_url = trib_pathf("https://%s%s%s:%s/%s/%s.git", v6 ? "[" : "", l->url.host, v6 ? "]" : "", l->url.port, s->node.node, s->node.app);
	if (!l->repo_url) {
		link_close(l);
		return oom(err);
	}
	return 0;
}

/* ---- the child's side ---- */

/* The best reason there is: the stream's, the hub's own sentence, libgit2's. */
static int git_reason(struct link *l, const char *what, struct trib_err *err)
{
	const git_error *e = git_error_last();
	if (l->net.code != TRIB_OK) {
		*err = l->net;
		return trib_ctx(err, "%s", what);
	}
	/* libgit2 keeps only the number of an HTTP refusal: ask again for its sentence. */
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(64 * TRIB_KIB);
	TRIB_AUTO(trib_mem) char *target = trib_pathf("/%s/%s.git/info/refs?service=git-upload-pack", l->s->node.node, l->s->node.app);
	unsigned status = 0;
	struct trib_err ignored;
	if (target && e && strstr(e->message, "http status") &&
	    !trib_https_request(l->tls, &l->url, target, (struct trib_span){0}, &status, &body, NULL, &ignored) && status != 200) {
		for (size_t i = 0; i < body.len; i++)
			if (body.p[i] < 0x20 || body.p[i] == 0x7f)
				body.p[i] = ' ';
		return trib_fail(err, status == 403 || status == 401 ? TRIB_E_CERT : status >= 500 ? TRIB_E_UNREACHABLE : TRIB_E_REFUSED, "%s: the hub answers %u: %.600s", what, status, trib_buf_str(&body));
	}
	return trib_fail(err, TRIB_E_UNREACHABLE, "%s: %s", what, e ? e->message : "libgit2 gave no reason");
}

static int open_remote(struct link *l, git_remote **ret, struct trib_err *err)
{
	if (trib_stream_register(l->tls, &l->net, err))
		return -1;
	if (git_remote_create_anonymous(ret, trib_repo_git(l->s->repo), l->repo_url) < 0)
		return git_reason(l, "opening the hub's repository", err);
	return 0;
}

struct hub_refs { bool has_main, has_down; uint8_t main[TRIB_OID_LEN], down[TRIB_OID_LEN]; };

static int child_list(void *ctx, void *result, struct trib_err *err)
{
	struct link *l = ctx;
	struct hub_refs *out = result;
	git_remote *remote = NULL;
	const git_remote_head **heads;
	size_t n;
	if (open_remote(l, &remote, err))
		return -1;
	int rc = git_remote_connect(remote, GIT_DIRECTION_FETCH, NULL, NULL, NULL) < 0 || git_remote_ls(&heads, &n, remote) < 0
			 ? git_reason(l, "asking the hub where it stands", err)
			 : 0;
	for (size_t i = 0; !rc && i < n && i < 64; i++)
		if (strcmp(heads[i]->name, "refs/heads/main") == 0) {
			out->has_main = true;
			memcpy(out->main, heads[i]->oid.id, TRIB_OID_LEN);
		} else if (strcmp(heads[i]->name, "refs/heads/down") == 0) {
			out->has_down = true;
			memcpy(out->down, heads[i]->oid.id, TRIB_OID_LEN);
		}
	git_remote_free(remote);
	return rc;
}

struct push_state {
	struct link *l;
	bool answered;
	enum trib_code code;
	char reason[700];
	uint64_t bytes;
	struct trib_progress progress;
};

/* `status` is "CODE: sentence" of docs/PROTOCOL.md, or NULL. git_remote_push returns 0 even when the hub refused: only this tells. */
static int on_update(const char *ref, const char *status, void *data)
{
	struct push_state *p = data;
	(void)ref;
	p->answered = true;
	if (!status)
		return 0;
	const char *colon = strchr(status, ':');
	p->code = colon ? trib_code_from_name(status, (size_t)(colon - status)) : TRIB_E_REFUSED;
	if (p->code == TRIB_OK || p->code == TRIB_E_FAILED)
		p->code = TRIB_E_REFUSED;
	(void)snprintf(p->reason, sizeof(p->reason), "%s", status);
	return 0;
}

static int on_transfer(unsigned current, unsigned total, size_t bytes, void *data)
{
	struct push_state *p = data;
	p->bytes = bytes;
	trib_progress_step(&p->progress, current, total);
	return 0;
}

static int child_push(void *ctx, void *result, struct trib_err *err)
{
	struct link *l = ctx;
	struct push_state p = {.l = l};
	git_remote *remote = NULL;
	char spec[] = PUSH_REF ":refs/heads/main", *specs[] = {spec};
	git_strarray list = {specs, 1};
	git_push_options opts;
	trib_progress_init(&p.progress, _("sending"), l->quiet);
	if (git_push_options_init(&opts, GIT_PUSH_OPTIONS_VERSION) < 0)
		return trib_fail(err, TRIB_E_GIT, "libgit2 has another version than this program");
	opts.callbacks.push_update_reference = on_update;
	opts.callbacks.push_transfer_progress = on_transfer;
	opts.callbacks.payload = &p;
	if (open_remote(l, &remote, err))
		return -1;
	int rc = git_remote_push(remote, &list, &opts) < 0 ? git_reason(l, "sending to the hub", err) : 0;
	trib_progress_done(&p.progress);
	git_remote_free(remote);
	if (rc)
		return -1;
	if (!p.answered)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the hub did not say whether it took the commits; the next run asks again");
	if (p.reason[0])
		return trib_fail(err, p.code, "the hub refused: %s", p.reason);
	*(uint64_t *)result = p.bytes;
	return 0;
}

struct fetching { const char *dir; uint64_t max, looked; struct trib_err why; };

/* A hub that was taken over may send without end. libgit2 removes what it has of a transfer that is ended. */
static int on_receive(const git_indexer_progress *p, void *data)
{
	struct fetching *f = data;
	if (p->received_bytes > f->max)
		return trib_fail(&f->why, TRIB_E_LIMIT, "it sends more than the %llu MiB that this can have; the transfer was ended, and nothing of it is kept; all is safe here; tell the city",
				 (unsigned long long)(f->max / TRIB_MIB));
	if (p->received_bytes < f->looked + TRIB_FETCH_FREE)
		return 0;
	f->looked = p->received_bytes;
	if (trib_fs_floor(f->dir, TRIB_DISK_FLOOR, &f->why) == 0)
		return 0;
	return trib_ctx(&f->why, "the transfer was ended, and nothing of it is kept; free some space, then try again");
}

static int fetch(struct link *l, char *spec, uint64_t max, struct trib_err *err)
{
	git_remote *remote = NULL;
	char *specs[] = {spec};
	git_strarray list = {specs, 1};
	git_fetch_options opts;
	struct fetching f = {.dir = l->s->dir, .max = max, .why = {.code = TRIB_OK}};
	if (git_fetch_options_init(&opts, GIT_FETCH_OPTIONS_VERSION) < 0)
		return trib_fail(err, TRIB_E_GIT, "libgit2 has another version than this program");
	opts.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	opts.update_fetchhead = 0;
	opts.callbacks.transfer_progress = on_receive;
	opts.callbacks.payload = &f;
	if (open_remote(l, &remote, err))
		return -1;
	int rc = 0;
	if (git_remote_fetch(remote, &list, &opts, NULL) < 0) {
		*err = f.why;
		rc = f.why.code != TRIB_OK ? trib_ctx(err, "fetching from the hub") : git_reason(l, "fetching from the hub", err);
	}
	git_remote_free(remote);
	return rc;
}

static int child_fetch(void *ctx, void *result, struct trib_err *err)
{
	char spec[] = "+refs/heads/down:" DOWN_NEW;
	struct link *l = ctx;
	(void)result;
	return fetch(l, spec, l->fetch_max, err);
}

static int child_fetch_main(void *ctx, void *result, struct trib_err *err)
{
	char spec[] = "+refs/heads/main:" TRIB_REF_BEFORE;
	(void)result;
	return fetch(ctx, spec, TRIB_FETCH_WHOLE_MAX, err);
}

static int child_fetch_other(void *ctx, void *result, struct trib_err *err)
{
	char spec[] = "+refs/heads/main:" TRIB_REF_OTHER;
	(void)result;
	return fetch(ctx, spec, TRIB_FETCH_WHOLE_MAX, err);
}

/* ---- push ---- */

/* libgit2 reads loose objects itself while it packs, and hangs on a torn one: read all of a commit through our guard first. */
static int guard_commit(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], uint64_t *ret_bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	if (trib_commit_read(s->repo, oid, &c, err))
		return -1;
	for (size_t i = 0; i < c.nentries; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OBJECT_MAX);
		if (trib_repo_read(s->repo, c.entries[i].oid, TRIB_OBJ_BLOB, TRIB_OBJECT_MAX, &b, err))
			return trib_ctx(err, "%s", c.entries[i].name);
		if (strcmp(c.entries[i].name, "changeset.gz") == 0)
			*ret_bytes += b.len;
	}
	return 0;
}

static int push_step(struct link *l, const uint8_t oid[TRIB_OID_LEN], struct trib_pushed *out, struct trib_err *err)
{
	uint64_t bytes = 0;
	if (trib_repo_ref_set(l->s->repo, PUSH_REF, oid, err) || trib_child_run(child_push, l, &bytes, sizeof(bytes), TRIB_REQUEST_MS, err))
		return -1;
	out->bytes += bytes;
	return 0;
}

static int push_chain(struct link *l, const uint8_t (*chain)[TRIB_OID_LEN], size_t n, struct trib_pushed *out, struct trib_err *err)
{
	size_t start = 0;
	uint64_t bytes = 0;
	for (size_t i = 0; i < n; i++) {
		if (guard_commit(l->s, chain[i], &bytes, err))
			return trib_ctx(err, "this office's own history is damaged; try: tributary-agent check");
		if (i + 1 < n && i + 1 - start < STEP_COMMITS && bytes < STEP_BYTES)
			continue;
		if (push_step(l, chain[i], out, err))
			return -1;
		out->commits = i + 1;
		start = i + 1;
		bytes = 0;
		trib_crash_point("push-step");
	}
	return 0;
}

/* The hub's tip must be one of our commits: else this folder is an old copy or a clone (D5.6). */
static int find_new(struct link *l, const struct hub_refs *refs, uint8_t (**ret)[TRIB_OID_LEN], size_t *ret_n, struct trib_err *err)
{
	struct trib_err why;
	if (trib_repo_chain(l->s->repo, l->s->tip.oid, refs->has_main ? refs->main : NULL, SIZE_MAX, ret, ret_n, &why) == 0)
		return 0;
	if (refs->has_main && (why.code == TRIB_E_CHAIN || why.code == TRIB_E_NOT_FOUND))
		return trib_fail(err, TRIB_E_FORK,
				 "the hub holds commits of this office that this folder does not have: " TRIB_FORK_WORDS);
	*err = why;
	return -1;
}

/* A new machine, and the hub's history is that of the one before: our commits go after it (D7.3). Only a folder without any receipt does so;
 * of all others the fork is real. */
static int succeed(struct link *l, const struct hub_refs *refs, struct trib_err *err)
{
	uint8_t none, got[TRIB_OID_LEN], (*chain)[TRIB_OID_LEN] = NULL;
	struct trib_err ignored;
	size_t n = 0;
	if (trib_repo_ref(l->s->repo, TRIB_REF_BEFORE, got, &ignored) == 0 && trib_repo_chain(l->s->repo, l->s->tip.oid, got, SIZE_MAX, &chain, &n, &ignored) == 0) {
		free(chain);
		return -1; /* it did so before: this fork is another one, and `err` says so */
	}
	if (trib_child_run(child_fetch_main, l, &none, sizeof(none), TRIB_REQUEST_MS, err))
		return -1;
	trib_repo_refresh(l->s->repo);
	if (trib_repo_ref(l->s->repo, TRIB_REF_BEFORE, got, err))
		return -1;
	if (memcmp(got, refs->main, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the hub's history moved meanwhile; the next run tries again");
	return trib_outbox_succeed(l->s, got, false, err);
}

/* Before anything is sent: does the hub still know what it told us? A hub that forgot would take our commits into another log (D7.6). */
static int check_hub(struct link *l, const struct hub_refs *refs, struct trib_pushed *out, struct trib_err *err)
{
	struct trib_down_tip kept;
	struct trib_pulled p = {0};
	if (trib_down_tip_load(l->s, &kept, err))
		return -1;
	if (!kept.exists)
		return 0; /* nothing to compare with: a new machine, or no receipt yet */
	if (!refs->has_down)
		return trib_fail(err, TRIB_E_VERIFY, "the hub has no receipts for this office any more: it is an old copy, or lost them; nothing was sent, all is safe here; call the city");
	if (memcmp(kept.oid, refs->down, TRIB_OID_LEN) == 0)
		return 0;
	if (trib_link_pull(l->s, &p, err))
		return -1;
	memcpy(out->new_epoch, p.new_epoch, sizeof(out->new_epoch));
	return 0;
}

/* `n`: our commits that the hub does not have. */
static int check_held(struct link *l, size_t n, struct trib_err *err)
{
	struct trib_pulled p;
	if (trib_link_progress(l->s, &p, err))
		return -1;
	return l->s->tip.seq - n >= p.held_seq
		       ? 0
		       : trib_fail(err, TRIB_E_VERIFY, "the hub no longer has commit #%llu, for which it gave a receipt: it is an old copy; nothing was sent, all is safe here; the city "
						       "must run: tributary-hub recover", (unsigned long long)p.held_seq);
}

/* After the hub was asked where it stands: stock git may have pushed, too. */
static void squash(struct link *l, const struct hub_refs *refs, struct trib_pushed *out)
{
	struct trib_settings c;
	struct trib_err err;
	if (trib_settings_load(l->s->dir, &c, &err) ||
	    (!c.fine_history && trib_outbox_squash(l->s, refs->has_main ? refs->main : NULL, &out->squashed, &err)))
		(void)snprintf(out->not_squashed, sizeof(out->not_squashed), "%s", err.msg);
}

/* The last look before anything leaves. */
static int take_apart(struct link *l, const struct hub_refs *refs, uint8_t (**chain)[TRIB_OID_LEN], size_t *n, struct trib_pushed *out, struct trib_err *err)
{
	if (trib_outbox_take_apart(l->s, refs->has_main ? refs->main : NULL, false, &out->apart, err))
		return -1;
	if (!out->apart)
		return 0;
	free(*chain);
	*chain = NULL;
	return find_new(l, refs, chain, n, err);
}

static int push(struct link *l, struct trib_pushed *out, struct trib_err *err)
{
	struct hub_refs refs = {0};
	uint8_t(*chain)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	if (!l->s->tip.exists)
		return trib_fail(err, TRIB_E_NOT_INIT, "there is no commit yet; try: tributary-agent commit");
	if (trib_child_run(child_list, l, &refs, sizeof(refs), TRIB_REQUEST_MS, err) || check_hub(l, &refs, out, err))
		return -1;
	squash(l, &refs, out);
	int found = find_new(l, &refs, &chain, &n, err);
	if (found && err->code == TRIB_E_FORK && l->s->node.incarnation > 1)
		found = succeed(l, &refs, err) || find_new(l, &refs, &chain, &n, err) ? -1 : 0;
	if (found)
		return -1;
	if (n && take_apart(l, &refs, &chain, &n, out, err)) {
		free(chain);
		return -1;
	}
	out->up_to_date = n == 0;
	int rc = check_held(l, n, err) ? -1 : push_chain(l, (const uint8_t(*)[TRIB_OID_LEN])chain, n, out, err);
	free(chain);
	return rc;
}

static int fetch_other(struct link *l, const struct hub_refs *refs, struct trib_stand *out, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	uint8_t none, got[TRIB_OID_LEN];
	if (trib_child_run(child_fetch_other, l, &none, sizeof(none), TRIB_REQUEST_MS, err))
		return -1;
	trib_repo_refresh(l->s->repo);
	if (trib_repo_ref(l->s->repo, TRIB_REF_OTHER, got, err))
		return -1;
	if (memcmp(got, refs->main, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the hub's history moved meanwhile; try again");
	if (trib_commit_read(l->s->repo, got, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return trib_ctx(err, "the hub's history");
	out->forked = m.incarnation >= l->s->node.incarnation;
	out->heir = !out->forked;
	out->seq = m.seq;
	memcpy(out->oid, got, sizeof(out->oid));
	return 0;
}

int trib_link_stand(struct trib_state *s, struct trib_stand *ret, struct trib_err *err)
{
	struct link l;
	struct hub_refs refs = {0};
	struct trib_stand out = {0};
	struct trib_err why;
	uint8_t(*chain)[TRIB_OID_LEN] = NULL;
	size_t n;
	if (link_open(s, true, &l, err))
		return -1;
	int rc = trib_child_run(child_list, &l, &refs, sizeof(refs), TRIB_REQUEST_MS, err);
	if (!rc && refs.has_main && s->tip.exists && find_new(&l, &refs, &chain, &n, &why)) {
		if (why.code != TRIB_E_FORK)
			*err = why;
		rc = why.code == TRIB_E_FORK ? fetch_other(&l, &refs, &out, err) : -1;
	}
	free(chain);
	link_close(&l);
	if (!rc)
		*ret = out;
	return rc;
}

/* A folder that is stopped sends nothing, and its other self reports as ever: the city must hear of it from here. Adds to `err` whether it did. */
static void tell_fork(struct link *l, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX), answer = TRIB_BUF(64 * TRIB_KIB);
	TRIB_AUTO(trib_mem) char *target = trib_pathf("/%s/%s.git/forked", l->s->node.node, l->s->node.app);
	struct trib_err ignored;
	unsigned status = 0;
	bool told = target && trib_repo_read(l->s->repo, l->s->tip.oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, &ignored) == 0 &&
		    trib_https_request(l->tls, &l->url, target, trib_buf_span(&raw), &status, &answer, NULL, &ignored) == 0 && status == 200;
	size_t n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, "%s", told ? "; the city knows of it now" : "");
}

int trib_link_push(struct trib_state *s, bool quiet, struct trib_pushed *ret, struct trib_err *err)
{
	struct link l;
	struct trib_pushed out = {0};
	struct trib_pulled pulled;
	if (link_open(s, quiet, &l, err))
		return -1;
	int rc = push(&l, &out, err);
	if (rc && (err->code == TRIB_E_FORK || err->code == TRIB_E_BRAKE))
		tell_fork(&l, err);
	link_close(&l);
	if (rc || trib_link_pull(s, &pulled, err))
		return -1;
	/* Success is a receipt, nothing less (I5). */
	if (pulled.held_seq < s->tip.seq)
		return trib_fail(err, TRIB_E_INCOMPLETE, "the hub took the commits but has given receipts only up to #%llu; the next run asks again",
				 (unsigned long long)pulled.held_seq);
	if (pulled.new_epoch[0])
		memcpy(out.new_epoch, pulled.new_epoch, sizeof(out.new_epoch));
	if (out.commits)
		(void)!trib_outbox_note_held(s, err); /* a cache */
	struct trib_err why;
	if (trib_oldlog_report(s, &why)) {
		out.not_reported = why.code;
		(void)snprintf(out.not_reported_why, sizeof(out.not_reported_why), "%s", why.msg);
	}
	*ret = out;
	return 0;
}

/* ---- pull ---- */

/* One commit after the other; kept as they are judged, or with `keep` false only judged. */
static int follow_chain(struct trib_state *s, struct trib_down_tip tip, const uint8_t (*chain)[TRIB_OID_LEN], size_t n, bool keep, struct trib_pulled *p, struct trib_err *err)
{
	for (size_t i = 0; i < n; i++) {
		TRIB_AUTO(trib_down_judged) struct trib_down_judged j = {.receipts = TRIB_BUF(TRIB_RECEIPTS_MAX)};
		if (trib_down_judge(s, &tip, chain[i], &j, err) || (keep && trib_down_keep(s, &tip, &j, p, err)))
			return -1;
		tip.exists = true;
		tip.seq = j.manifest.seq;
		memcpy(tip.oid, j.oid, TRIB_OID_LEN);
		memcpy(tip.manifest_sha256, j.manifest_sha256, TRIB_SHA256_LEN);
		tip.size = j.size;
		memcpy(tip.root, j.root, TRIB_SHA256_LEN);
		memcpy(tip.origin, j.origin, sizeof(tip.origin));
	}
	return 0;
}

/* `whole`: nothing is kept unless all of it is right. */
static int keep_chain(struct trib_state *s, const uint8_t fetched[TRIB_OID_LEN], bool whole, struct trib_pulled *p, struct trib_err *err)
{
	struct trib_down_tip tip;
	uint8_t(*chain)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	if (trib_down_tip_load(s, &tip, err) || trib_down_receipts_again(s, &tip, err))
		return -1;
	if (trib_repo_chain(s->repo, fetched, tip.exists ? tip.oid : NULL, TRIB_PUSH_COMMITS_MAX * 16, &chain, &n, err)) {
		if (err->code == TRIB_E_CHAIN && tip.exists)
			return trib_down_switch(s, &tip, fetched, p, err);
		return trib_ctx(err, "the hub's down chain does not continue what this office holds");
	}
	const uint8_t(*list)[TRIB_OID_LEN] = (const uint8_t(*)[TRIB_OID_LEN])chain;
	int rc = (whole && follow_chain(s, tip, list, n, false, p, err)) || follow_chain(s, tip, list, n, true, p, err) ? -1 : 0;
	free(chain);
	return rc;
}

/* The hub signs under a root that is not known here: the handshake shows whether ours certifies it. */
static int learn_roots(struct trib_state *s, bool *ret_new, struct trib_err *err)
{
	struct link l;
	struct trib_tls *t = NULL;
	TRIB_AUTO(trib_cert) struct trib_cert *roots = NULL;
	if (link_open(s, true, &l, err))
		return -1;
	int rc = trib_https_connect(l.tls, &l.url, TRIB_HANDSHAKE_MS, &t, err);
	link_close(&l);
	if (rc)
		return -1;
	roots = trib_tls_peer_root(t);
	trib_tls_free(t);
	return roots ? trib_state_learn_roots(s, roots, ret_new, err) : oom(err);
}

static int keep_or_learn(struct trib_state *s, const uint8_t fetched[TRIB_OID_LEN], struct trib_pulled *p, struct trib_err *err)
{
	struct trib_err ignored;
	bool fresh = false;
	if (keep_chain(s, fetched, false, p, err) == 0)
		return 0;
	if (err->code != TRIB_E_CERT || learn_roots(s, &fresh, &ignored) || !fresh)
		return -1;
	return keep_chain(s, fetched, false, p, err);
}

int trib_link_pull(struct trib_state *s, struct trib_pulled *ret, struct trib_err *err)
{
	struct link l;
	struct trib_pulled p;
	struct trib_down_tip tip;
	uint8_t none;
	if (trib_link_progress(s, &p, err) || trib_down_tip_load(s, &tip, err) || link_open(s, true, &l, err))
		return -1;
	l.fetch_max = tip.exists ? TRIB_FETCH_MAX : TRIB_FETCH_WHOLE_MAX;
	int rc = trib_child_run(child_fetch, &l, &none, sizeof(none), TRIB_REQUEST_MS, err);
	link_close(&l);
	if (rc)
		return -1;
	trib_repo_refresh(s->repo);
	uint8_t fetched[TRIB_OID_LEN];
	rc = trib_repo_ref(s->repo, DOWN_NEW, fetched, err);
	if (rc ? err->code != TRIB_E_NOT_FOUND /* the hub has sent nothing yet */ : keep_or_learn(s, fetched, &p, err))
		return -1;
	*ret = p;
	return 0;
}

int trib_link_take(struct trib_state *s, const uint8_t down[TRIB_OID_LEN], struct trib_pulled *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t(*older)[TRIB_OID_LEN] = NULL;
	struct trib_down_tip tip;
	struct trib_pulled p;
	struct trib_err none;
	size_t n;
	if (trib_link_progress(s, &p, err) || trib_down_tip_load(s, &tip, err))
		return -1;
	/* A stick that was read before, or left in a drawer, brings nothing new. */
	bool known = tip.exists && trib_repo_chain(s->repo, tip.oid, down, TRIB_PUSH_COMMITS_MAX * 16, &older, &n, &none) == 0;
	if (!known && keep_chain(s, down, true, &p, err))
		return -1;
	*ret = p;
	return 0;
}
