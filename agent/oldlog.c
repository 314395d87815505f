#include "agent/oldlog.h"

#include "agent/https.h"
#include "agent/receipts_impl.h"
#include "core/format/oldreceipts.h"
#include "core/trust/epoch.h"

#define CHAIN_MAX (TRIB_PUSH_COMMITS_MAX * 16)
#define EPOCHS_MAX 64 /* earlier ones that are looked for: a hub that came back so often has other troubles */
#define HEAD_ROOM 1024

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

struct chain { uint8_t (*oid)[TRIB_OID_LEN]; size_t n; };

static void chain_cleanup(struct chain *c) { free(c->oid); }

/* The chain that a ref names, oldest first; empty when there is no such ref. */
static int load_chain(struct trib_state *s, const char *ref, struct chain *ret, struct trib_err *err)
{
	uint8_t tip[TRIB_OID_LEN];
	if (trib_repo_ref(s->repo, ref, tip, err))
		return err->code == TRIB_E_NOT_FOUND ? 0 : -1;
	return trib_repo_chain(s->repo, tip, NULL, CHAIN_MAX, &ret->oid, &ret->n, err);
}

static int read_receipts(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	return trib_commit_read(s->repo, oid, &c, err) || trib_commit_blob(s->repo, &c, "receipts", TRIB_RECEIPTS_MAX, ret, err) ? -1 : 0;
}

struct out { struct trib_buf files; size_t n; uint64_t omitted; };

static int put(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct out *o, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	if (o->omitted == 0 && read_receipts(s, oid, &b, err))
		return -1;
	if (o->omitted || o->n == TRIB_OLD_FILES_MAX || o->files.len + b.len + HEAD_ROOM > TRIB_OLD_RECEIPTS_MAX - HEAD_ROOM) {
		o->omitted++;
		return 0;
	}
	trib_old_receipts_put(&o->files, trib_buf_span(&b));
	o->n++;
	return trib_buf_check(&o->files, "old receipts", err);
}

/* What an epoch's chain has that the present one has not, newest first: of all that does not fit, the oldest stays here. */
static int put_epoch(struct trib_state *s, uint64_t epoch, const struct chain *now, struct out *o, struct trib_err *err)
{
	__attribute__((cleanup(chain_cleanup))) struct chain old = {0};
	char ref[64];
	size_t same = 0;
	(void)snprintf(ref, sizeof(ref), "refs/tributary/down-%llu", (unsigned long long)epoch);
	if (load_chain(s, ref, &old, err))
		return trib_ctx(err, "%s", ref);
	while (same < old.n && same < now->n && memcmp(old.oid[same], now->oid[same], TRIB_OID_LEN) == 0)
		same++;
	for (size_t i = old.n; i > same; i--)
		if (put(s, old.oid[i - 1], o, err))
			return trib_ctx(err, "%s", ref);
	return 0;
}

/* Nothing of this office was cut off: the last word that it has of an earlier epoch says how far that went. */
static int put_last(struct trib_state *s, const struct chain *now, struct out *o, struct trib_err *err)
{
	for (size_t i = now->n; i > 0; i--) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
		struct trib_receipts list;
		char origin[TRIB_TITLE_MAX + 32];
		uint64_t steps;
		if (read_receipts(s, now->oid[i - 1], &b, err) || trib_receipts_parse(trib_buf_span(&b), &list, err) ||
		    trib_note_origin(list.checkpoint, origin, sizeof(origin), err))
			return -1;
		if (trib_origin_follows(origin, s->node.origin, &steps) && steps > 0)
			return put(s, now->oid[i - 1], o, err);
	}
	return 0;
}

/* The number of the present epoch, 0 when there is none. */
static uint64_t present(const struct trib_state *s)
{
	size_t prefix;
	uint64_t epoch;
	return trib_origin_split(s->node.origin, &prefix, &epoch) ? epoch : 0;
}

int trib_oldlog_make(struct trib_state *s, struct trib_buf *ret_file, bool *ret, struct trib_err *err)
{
	__attribute__((cleanup(chain_cleanup))) struct chain now = {0};
	struct out o = {.files = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX)};
	uint64_t epoch = present(s), stop = epoch > EPOCHS_MAX ? epoch - EPOCHS_MAX : 1;
	int rc = epoch > 1 ? load_chain(s, TRIB_DOWN_REF, &now, err) : 0;
	for (uint64_t e = epoch; !rc && e > stop; e--)
		rc = put_epoch(s, e - 1, &now, &o, err);
	if (!rc && epoch > 1 && o.n == 0)
		rc = put_last(s, &now, &o, err);
	if (!rc && o.n) {
		trib_old_receipts_begin(ret_file, s->node.node, s->node.app, true, o.omitted);
		trib_buf_put_span(ret_file, trib_buf_span(&o.files));
		rc = trib_buf_check(ret_file, "old receipts", err);
	}
	trib_buf_release(&o.files);
	if (rc)
		return trib_ctx(err, "the receipts of earlier epochs");
	*ret = o.n > 0;
	return 0;
}

/* ---- once for each epoch ---- */

static int was_reported(struct trib_state *s, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "reported");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	struct trib_err none;
	uint64_t epoch = 0;
	if (!path)
		return oom(err);
	*ret = false;
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	/* Unreadable: it is sent once more, which changes nothing. */
	*ret = !trib_kv_take_is(&kv, "format", "tributary-reported-1", &none) && !trib_kv_take_u64(&kv, "epoch", &epoch, &none) && !trib_kv_end(&kv, &none) &&
	       epoch == present(s);
	return 0;
}

static int note_reported(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "reported");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	if (!path)
		return oom(err);
	trib_buf_printf(&b, "format tributary-reported-1\nepoch %llu\n", (unsigned long long)present(s));
	return trib_buf_check(&b, "reported", err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* *ret: there is something to be brought; it is in *file and in DIR/old-receipts. */
static int prepare(struct trib_state *s, struct trib_buf *file, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "old-receipts");
	bool done = false;
	if (!path)
		return oom(err);
	*ret = false;
	if (present(s) < 2)
		return 0;
	if (was_reported(s, &done, err))
		return -1;
	if (done)
		return 0;
	if (trib_oldlog_make(s, file, ret, err))
		return -1;
	return *ret ? trib_fs_write(path, trib_buf_span(file), 0600, err) : note_reported(s, err);
}

int trib_oldlog_write(struct trib_state *s, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX);
	return prepare(s, &file, ret, err);
}

static int post(struct trib_state *s, struct trib_span file, unsigned *ret_status, struct trib_buf *ret_answer, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *target = trib_pathf("/%s/%s.git/old-receipts", s->node.node, s->node.app);
	struct trib_tls_ctx *tls = NULL;
	struct trib_url url;
	if (!target)
		return oom(err);
	if (trib_url_parse(s->node.hub_url, &url, err) || trib_tls_client_ctx(s->tls_cert, s->tls_issuing, s->tls_key, s->root, NULL, &tls, err))
		return -1;
	int rc = trib_https_request(tls, &url, target, file, ret_status, ret_answer, NULL, err);
	trib_tls_ctx_free(tls);
	return rc;
}

int trib_oldlog_report(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX), answer = TRIB_BUF(64 * TRIB_KIB);
	unsigned status = 0;
	bool due;
	if (prepare(s, &file, &due, err))
		return -1;
	if (!due)
		return 0;
	if (trib_state_keys(s, err) || post(s, trib_buf_span(&file), &status, &answer, err))
		return trib_ctx(err, "bringing old receipts to the hub");
	if (status == 200)
		return note_reported(s, err);
	for (size_t i = 0; i < answer.len; i++)
		if (answer.p[i] < 0x20 || answer.p[i] == 0x7f)
			answer.p[i] = ' ';
	/* An older hub knows no such address. */
	return trib_fail(err, status >= 500 || status == 404 ? TRIB_E_UNREACHABLE : TRIB_E_REFUSED, "the hub answers %u: %.600s", status, trib_buf_str(&answer));
}
