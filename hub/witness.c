#include "hub/witness.h"

#include <dirent.h>
#include <errno.h>

#include "core/base/clock.h"
#include "core/format/kv.h"
#include "core/trust/hash.h"
#include "core/trust/merkle.h"
#include "core/trust/receipt.h"

#define FILE_MAX (4 * TRIB_KIB)
#define LOCK_MS 5000

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- the folder ---- */

static int load_conf(const char *dir, struct trib_buf *ret_name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "witness.conf");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	struct trib_span name;
	if (!path)
		return oom(err);
	if (!trib_fs_exists(path))
		return trib_fail(err, TRIB_E_NOT_INIT, "%s holds no witness; try: tributary-hub witness init %s NAME", dir, dir);
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (trib_kv_take_is(&kv, "format", "tributary-witness-1", err) || trib_kv_take(&kv, "name", 1, &name, err) || trib_kv_end(&kv, err))
		return trib_ctx(err, "%s", path);
	trib_buf_put_span(ret_name, name);
	return trib_buf_check(ret_name, "the witness's name", err);
}

int trib_witness_open(const char *dir, struct trib_witness *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *key_path = trib_path(dir, "witness.key");
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(FILE_MAX);
	TRIB_AUTO(trib_witness) struct trib_witness w = {.dir = strdup(dir)};
	uint8_t pub[32];
	if (!w.dir || !key_path)
		return oom(err);
	if (load_conf(dir, &name, err) || trib_key_load(key_path, &w.key, err) || trib_key_ed25519_public(w.key, pub, err) ||
	    trib_vkey_make(trib_buf_str(&name), TRIB_VKEY_WITNESS, pub, &w.self, err))
		return -1;
	*ret = w;
	w = (struct trib_witness){0};
	return 0;
}

void trib_witness_close(struct trib_witness *w)
{
	free(w->dir);
	trib_key_free(w->key);
	*w = (struct trib_witness){0};
}

int trib_witness_create(const char *dir, const char *name, struct trib_witness *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *key_path = trib_path(dir, "witness.key");
	TRIB_AUTO(trib_mem) char *conf = trib_path(dir, "witness.conf");
	TRIB_AUTO(trib_mem) char *logs = trib_path(dir, "logs");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	struct trib_vkey self;
	uint8_t pub[32];
	if (!key_path || !conf || !logs)
		return oom(err);
	if (trib_fs_exists(key_path) || trib_fs_exists(conf))
		return trib_fail(err, TRIB_E_USAGE, "%s holds a witness already; nothing was changed; choose another folder", dir);
	trib_buf_printf(&b, "format tributary-witness-1\nname %s\n", name);
	if (trib_key_make(TRIB_KEY_ED25519, &key, err) || trib_key_ed25519_public(key, pub, err) || trib_vkey_make(name, TRIB_VKEY_WITNESS, pub, &self, err) ||
	    trib_fs_mkdirs(logs, 0700, err) || trib_key_save(key, key_path, err) || trib_buf_check(&b, "witness.conf", err) || trib_fs_create(conf, trib_buf_span(&b), 0600, err))
		return -1;
	return trib_witness_open(dir, ret, err);
}

/* ---- one log ---- */

/* DIR/logs/HEX64 and what stands beside it; `suffix` may be "". */
static char *log_file(const struct trib_witness *w, struct trib_span origin, const char *suffix)
{
	char hex[TRIB_SHA256_HEX + 1];
	trib_sha256_hex(hex, origin);
	return trib_pathf("%s/logs/%s%s", w->dir, hex, suffix);
}

static int parse_log(struct trib_span text, struct trib_witness_log *ret, struct trib_err *err)
{
	struct trib_witness_log l = {0};
	struct trib_kv kv = trib_kv(text);
	struct trib_span key;
	uint64_t time;
	if (trib_kv_take_is(&kv, "format", "tributary-witnessed-log-1", err) || trib_kv_take(&kv, "log", 1, &key, err) || trib_kv_take_u64(&kv, "size", &l.size, err) ||
	    trib_kv_take_hex(&kv, "root", l.root, sizeof(l.root), err) || trib_kv_take_u64(&kv, "time", &time, err) || trib_kv_end(&kv, err) ||
	    trib_vkey_parse(key, TRIB_VKEY_LOG, &l.key, err))
		return -1;
	l.time = (int64_t)(time > INT64_MAX ? INT64_MAX : time);
	*ret = l;
	return 0;
}

/* TRIB_E_NOT_FOUND for an origin that is not trusted. */
static int load_log(const struct trib_witness *w, struct trib_span origin, struct trib_witness_log *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = log_file(w, origin, "");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	if (!path)
		return oom(err);
	if (trib_fs_read(path, &b, err))
		return -1;
	if (parse_log(trib_buf_span(&b), ret, err) || !trib_span_is(origin, ret->key.name)) {
		trib_fail(err, TRIB_E_VERIFY, "%s is damaged: this log is not cosigned until it is put right", path);
		return -1;
	}
	return 0;
}

static int save_log(const struct trib_witness *w, const struct trib_witness_log *l, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = log_file(w, trib_span_str(l->key.name), "");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	if (!path)
		return oom(err);
	trib_buf_puts(&b, "format tributary-witnessed-log-1\nlog ");
	trib_vkey_put(&b, &l->key);
	trib_buf_printf(&b, "\nsize %llu\nroot ", (unsigned long long)l->size);
	trib_buf_hex(&b, l->root, sizeof(l->root));
	trib_buf_printf(&b, "\ntime %lld\n", (long long)l->time);
	return trib_buf_check(&b, path, err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

static int lock_log(const struct trib_witness *w, struct trib_span origin, struct trib_lock *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = log_file(w, origin, ".lock");
	return path ? trib_lock_take(ret, path, LOCK_MS, err) : oom(err);
}

int trib_witness_trust(struct trib_witness *w, const struct trib_vkey *log, struct trib_err *err)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	struct trib_span origin = trib_span_str(log->name);
	struct trib_witness_log l;
	if (lock_log(w, origin, &lock, err))
		return -1;
	if (load_log(w, origin, &l, err) == 0)
		return memcmp(l.key.pub, log->pub, sizeof(l.key.pub)) == 0
			       ? 0
			       : trib_fail(err, TRIB_E_REFUSED, "the log %s is known here under another key; nothing was changed: a log that changes its key is another log", log->name);
	if (err->code != TRIB_E_NOT_FOUND)
		return -1;
	l = (struct trib_witness_log){.key = *log};
	trib_merkle_empty(l.root);
	return save_log(w, &l, err);
}

static bool is_log_name(const char *name)
{
	uint8_t sha[TRIB_SHA256_LEN];
	return strlen(name) == TRIB_SHA256_HEX && trib_unhex(sha, sizeof(sha), trib_span_str(name));
}

int trib_witness_logs(const struct trib_witness *w, int (*fn)(void *ctx, const struct trib_witness_log *l, struct trib_err *err), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_path(w->dir, "logs");
	if (!dir)
		return oom(err);
	DIR *d = opendir(dir);
	if (!d)
		return trib_fail_errno(err, "%s", dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		TRIB_AUTO(trib_mem) char *path = trib_path(dir, e->d_name);
		TRIB_AUTO(trib_mem) char *refused = trib_pathf("%s/%s.refused", dir, e->d_name);
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
		struct trib_witness_log l;
		if (!is_log_name(e->d_name))
			continue;
		rc = !path || !refused ? oom(err) : trib_fs_read(path, &b, err) || parse_log(trib_buf_span(&b), &l, err) ? trib_ctx(err, "%s", path) : 0;
		if (rc)
			break;
		l.refused = trib_fs_exists(refused);
		rc = fn(ctx, &l, err);
	}
	closedir(d);
	return rc;
}

/* ---- add-checkpoint ---- */

static int TRIB_PRINTF(3, 4) say(struct trib_witness_answer *a, int status, const char *fmt, ...)
{
	va_list ap;
	char line[TRIB_ERR_MSG + 128];
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	a->status = status;
	a->type = "text/plain; charset=utf-8";
	trib_buf_reset(&a->body);
	trib_buf_printf(&a->body, "%s\n", line);
	return 0;
}

static int conflict(struct trib_witness_answer *a, uint64_t size)
{
	a->status = 409;
	a->type = "text/x.tlog.size";
	trib_buf_reset(&a->body);
	trib_buf_printf(&a->body, "%llu\n", (unsigned long long)size);
	return 0;
}

/* The first proof of a log's misbehaviour stays; later ones add nothing and must not fill the disk. */
static int keep_refused(const struct trib_witness *w, const struct trib_vkey *log, struct trib_span note, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = log_file(w, trib_span_str(log->name), ".refused");
	if (!path)
		return oom(err);
	return trib_fs_exists(path) ? 0 : trib_fs_write(path, note, 0600, err);
}

/* C2SP's order: origin, signature, sizes, then what only the lock makes true: the size last cosigned, the proof. 0: cosign; 1: *a is the answer; -1. */
static int judge(const struct trib_witness *w, const struct trib_add_checkpoint *r, const struct trib_checkpoint *cp, struct trib_witness_log *l, struct trib_witness_answer *a,
		 struct trib_err *err)
{
	struct trib_err why;
	if (r->old > cp->size)
		return say(a, 400, "the old size is larger than the checkpoint's"), 1;
	/* Two roots for one size under the log's own signature: whoever sent it, that convicts the log. */
	if (cp->size == l->size && memcmp(l->root, cp->root, sizeof(l->root)) != 0)
		return keep_refused(w, &l->key, r->note, err) ? -1 : (conflict(a, l->size), 1);
	if (r->old != l->size)
		return conflict(a, l->size), 1;
	/* A proof that leads nowhere convicts nobody: anyone can put a wrong one beside a right checkpoint. */
	if (trib_merkle_verify_consistency(l->size, l->root, cp->size, cp->root, (const uint8_t(*)[TRIB_SHA256_LEN])r->proof, r->nproof, &why))
		return say(a, 422, "%s", why.msg), 1;
	return 0;
}

static int cosign(const struct trib_witness *w, const struct trib_checkpoint *cp, int64_t now, struct trib_witness_log *l, struct trib_witness_answer *a, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX + 1024);
	l->size = cp->size;
	l->time = now;
	memcpy(l->root, cp->root, sizeof(l->root));
	trib_crash_point("witness-judged");
	if (save_log(w, l, err))
		return -1;
	trib_crash_point("witness-kept");
	trib_buf_put_span(&note, cp->text);
	size_t at = note.len + 1; /* behind the empty line */
	if (trib_cosign(w->key, &w->self, now, cp->text, &note, err))
		return -1;
	a->status = 200;
	a->type = "text/plain; charset=utf-8";
	trib_buf_reset(&a->body);
	trib_buf_put(&a->body, note.p + at, note.len - at);
	return trib_buf_check(&a->body, "cosignature", err);
}

static int add(const struct trib_witness *w, struct trib_span body, int64_t now, struct trib_witness_answer *a, struct trib_err *err)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	struct trib_add_checkpoint r;
	struct trib_checkpoint cp;
	struct trib_witness_log l;
	struct trib_err why;
	if (trib_add_checkpoint_parse(body, &r, &why) || trib_checkpoint_parse(r.note, &cp, &why))
		return say(a, 400, "%s", why.msg);
	/* Before the lock: a stranger's bytes must not make a file here. */
	if (load_log(w, cp.origin, &l, err))
		return err->code == TRIB_E_NOT_FOUND ? say(a, 404, "this witness does not know that log; its operator must run: tributary-hub witness trust DIR LOGKEY") : -1;
	if (trib_checkpoint_verify(r.note, l.key.name, l.key.pub, &cp, &why))
		return say(a, 403, "%s", why.msg);
	if (lock_log(w, cp.origin, &lock, err) || load_log(w, cp.origin, &l, err))
		return -1;
	int rc = judge(w, &r, &cp, &l, a, err);
	return rc ? (rc < 0 ? -1 : 0) : cosign(w, &cp, now, &l, a, err);
}

int trib_witness_add(const struct trib_witness *w, struct trib_span body, int64_t now, struct trib_witness_answer *ret, struct trib_err *err)
{
	if (add(w, body, now, ret, err) == 0)
		return 0;
	say(ret, 500, "this witness cannot keep its word just now; try again later");
	return -1;
}
