/* witnesses.c: what is kept of the hub's witnesses, and what of it goes to others (witnesses.h). */
#include "hub/witnesses.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/trust/hash.h"

#define FILE_MAX (8 * TRIB_KIB)

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static char *peer_file(const char *hub_dir, const char *id, const char *name) { return trib_pathf("%s/witness/%s/%s", hub_dir, id, name); }

static void make_id(const struct trib_vkey *k, char ret[17])
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_VKEY_TEXT_MAX);
	uint8_t sha[TRIB_SHA256_LEN];
	trib_vkey_put(&text, k);
	trib_sha256(sha, trib_buf_span(&text));
	trib_hex(ret, sha, 8);
}

static bool is_id(const char *name)
{
	uint8_t raw[8];
	return strlen(name) == 16 && trib_unhex(raw, sizeof(raw), trib_span_str(name));
}

/* ---- reading ---- */

static int take_text(struct trib_kv *kv, const char *key, char *ret, size_t size, struct trib_err *err)
{
	struct trib_span f;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(size - 1);
	if (trib_kv_take(kv, key, 1, &f, err) || trib_kv_name(kv, f, key, size - 1, &b, err) || trib_buf_check(&b, key, err))
		return -1;
	if (b.len && memchr(b.p, 0, b.len))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s holds NUL", kv->line, key);
	memcpy(ret, trib_buf_str(&b), b.len + 1);
	return 0;
}

/* A time, or "-" for none. */
static int take_when(struct trib_kv *kv, const char *key, int64_t *ret, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, key, 1, &f, err))
		return -1;
	*ret = 0;
	return trib_span_is(f, "-") ? 0 : trib_kv_time(kv, f, key, ret, err);
}

static int load_conf(const char *path, struct trib_witness_peer *p, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	struct trib_span key, http;
	struct trib_web_url url;
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (trib_kv_take_is(&kv, "format", "tributary-witness-peer-1", err) || trib_kv_take(&kv, "key", 1, &key, err) || take_text(&kv, "url", p->url, sizeof(p->url), err) ||
	    trib_kv_take(&kv, "http", 1, &http, err) || trib_kv_take_time(&kv, "added", &p->added, err) || trib_kv_end(&kv, err) ||
	    trib_vkey_parse(key, TRIB_VKEY_WITNESS, &p->key, err) || trib_web_url_parse(p->url, &url, err))
		return -1;
	p->http = trib_span_is(http, "yes");
	return 0;
}

/* It may be lost: then the witness is asked as for the first time. */
static int load_state(const char *path, struct trib_witness_peer *p, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	return trib_kv_take_is(&kv, "format", "tributary-witness-state-1", err) || trib_kv_take_u64(&kv, "seen", &p->seen, err) || take_when(&kv, "asked", &p->asked, err) ||
			       take_when(&kv, "failing", &p->failing, err) || take_when(&kv, "warned", &p->warned, err) || take_text(&kv, "why", p->why, sizeof(p->why), err) ||
			       trib_kv_end(&kv, err)
		       ? -1
		       : 0;
}

int trib_witness_cosigned(const char *hub_dir, const struct trib_witness_peer *p, struct trib_buf *note, struct trib_checkpoint *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = peer_file(hub_dir, p->id, "cosigned");
	int64_t at;
	if (!path)
		return oom(err);
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, note, err) || trib_checkpoint_parse(trib_buf_span(note), ret, err))
		return trib_ctx(err, "%s", path);
	int got = trib_cosig_verify(ret, &p->key, &at, err);
	if (got == 0)
		trib_fail(err, TRIB_E_SIGNATURE, "%s has no cosignature of %s", path, p->key.name);
	return got > 0 ? 1 : got == 0 ? -1 : trib_ctx(err, "%s", path);
}

static int load_one(const char *hub_dir, const char *id, struct trib_witness_peer *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *conf = peer_file(hub_dir, id, "conf");
	TRIB_AUTO(trib_mem) char *state = peer_file(hub_dir, id, "state");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_witness_peer p = {0};
	struct trib_checkpoint cp;
	struct trib_err why;
	if (!conf || !state)
		return oom(err);
	(void)snprintf(p.id, sizeof(p.id), "%s", id);
	if (load_conf(conf, &p, err))
		return trib_ctx(err, "%s (try: tributary-hub witness add again)", conf);
	if (load_state(state, &p, err))
		return trib_ctx(err, "%s (remove it; the witness is then asked as for the first time)", state);
	if (trib_witness_cosigned(hub_dir, &p, &note, &cp, &why) > 0) {
		p.size = cp.size;
		memcpy(p.root, cp.root, sizeof(p.root));
		(void)!trib_cosig_verify(&cp, &p.key, &p.time, &why);
	}
	*ret = p;
	return 0;
}

static int by_id(const void *a, const void *b) { return strcmp(((const struct trib_witness_peer *)a)->id, ((const struct trib_witness_peer *)b)->id); }

int trib_witnesses_load(const char *hub_dir, struct trib_witness_peer ret[TRIB_WITNESSES_MAX], size_t *ret_n, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_path(hub_dir, "witness");
	size_t n = 0;
	if (!dir)
		return oom(err);
	DIR *d = opendir(dir);
	if (!d && errno != ENOENT)
		return trib_fail_errno(err, "%s", dir);
	int rc = 0;
	for (const struct dirent *e; d && !rc && (e = readdir(d));) {
		if (!is_id(e->d_name))
			continue;
		rc = n == TRIB_WITNESSES_MAX ? trib_fail(err, TRIB_E_LIMIT, "%s: more than %d witnesses", dir, TRIB_WITNESSES_MAX) : load_one(hub_dir, e->d_name, &ret[n], err);
		n++;
	}
	if (d)
		closedir(d);
	if (rc)
		return -1;
	if (n)
		qsort(ret, n, sizeof(ret[0]), by_id);
	*ret_n = n;
	return 0;
}

bool trib_witnesses_any(const char *hub_dir)
{
	TRIB_AUTO(trib_mem) char *dir = trib_path(hub_dir, "witness");
	bool any = false;
	DIR *d = dir ? opendir(dir) : NULL;
	for (const struct dirent *e; d && !any && (e = readdir(d));)
		any = is_id(e->d_name);
	if (d)
		closedir(d);
	return any;
}

int64_t trib_witnesses_stamp(const char *hub_dir)
{
	TRIB_AUTO(trib_mem) char *dir = trib_path(hub_dir, "witness");
	int64_t sum = 0;
	DIR *d = dir ? opendir(dir) : NULL;
	for (const struct dirent *e; d && (e = readdir(d));) {
		if (!is_id(e->d_name))
			continue;
		TRIB_AUTO(trib_mem) char *path = peer_file(hub_dir, e->d_name, "cosigned");
		struct stat st;
		sum ^= 1;
		if (path && stat(path, &st) == 0)
			sum ^= (int64_t)st.st_mtim.tv_sec * 1000000007 ^ st.st_mtim.tv_nsec ^ (int64_t)st.st_ino << 20;
	}
	if (d)
		closedir(d);
	return sum;
}

bool trib_cosig_ahead(int64_t at, int64_t now) { return at > now + TRIB_COSIG_AHEAD_S; }
bool trib_cosig_stale(int64_t at, int64_t now) { return trib_cosig_ahead(at, now) || trib_stale(at, now); }

bool trib_witness_stale(const struct trib_witness_peer *p, int64_t now) { return trib_cosig_stale(p->time, now) && trib_cosig_stale(p->added, now); }

/* ---- writing ---- */

int trib_witnesses_add(const struct trib_hub *hub, const struct trib_witness_peer *p, const char *ca_file, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	char id[17], when[TRIB_TIME_LEN + 1];
	size_t n;
	bool known = false;
	make_id(&p->key, id);
	TRIB_AUTO(trib_mem) char *dir = peer_file(hub->dir, id, "");
	TRIB_AUTO(trib_mem) char *conf = peer_file(hub->dir, id, "conf");
	TRIB_AUTO(trib_mem) char *ca = peer_file(hub->dir, id, "ca.pem");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX), pem = TRIB_BUF(TRIB_MIB);
	if (!dir || !conf || !ca)
		return oom(err);
	dir[strlen(dir) - 1] = '\0';
	if (trib_witnesses_load(hub->dir, all, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		known = known || strcmp(all[i].id, id) == 0;
	if (!known && n == TRIB_WITNESSES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a hub asks at most %d witnesses; try: tributary-hub witness remove", TRIB_WITNESSES_MAX);
	trib_time_text(when, p->added);
	trib_buf_puts(&b, "format tributary-witness-peer-1\nkey ");
	trib_vkey_put(&b, &p->key);
	trib_buf_puts(&b, "\nurl ");
	trib_pct(&b, trib_span_str(p->url));
	trib_buf_printf(&b, "\nhttp %s\nadded %s\n", p->http ? "yes" : "no", when);
	if (trib_buf_check(&b, "conf", err) || (ca_file && trib_fs_read(ca_file, &pem, err)) || trib_fs_mkdirs(dir, 0700, err))
		return -1;
	/* `conf` last: a folder without it is none that was asked for. */
	return (ca_file ? trib_fs_write(ca, trib_buf_span(&pem), 0600, err) : trib_fs_remove(ca, err)) || trib_fs_write(conf, trib_buf_span(&b), 0600, err) ? -1 : 0;
}

int trib_witnesses_remove(const struct trib_hub *hub, const struct trib_witness_peer *p, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/witness/%s", hub->dir, p->id);
	return dir ? trib_fs_remove_tree(dir, err) : oom(err);
}

/* ---- for others ---- */

int trib_witnesses_append(const char *hub_dir, struct trib_buf *note, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	struct trib_checkpoint own, cp;
	size_t n;
	if (trib_witnesses_load(hub_dir, all, &n, err) || trib_checkpoint_parse(trib_buf_span(note), &own, err))
		return -1;
	size_t text = own.text.n;
	for (size_t i = 0; i < n; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf kept = TRIB_BUF(TRIB_NOTE_MAX);
		struct trib_err why; /* damaged: named by status and audit; nobody is shown it */
		if (trib_witness_cosigned(hub_dir, &all[i], &kept, &cp, &why) <= 0 || !trib_span_eq(cp.text, trib_span(note->p, text)))
			continue;
		for (size_t k = 0; k < cp.ncosigs; k++)
			if (trib_span_is(cp.cosigs[k].key_name, all[i].key.name) && memcmp(cp.cosigs[k].key_id, all[i].key.id, 4) == 0)
				trib_note_put_cosig(note, all[i].key.name, all[i].key.id, cp.cosigs[k].time, cp.cosigs[k].sig);
	}
	return trib_buf_check(note, "checkpoint", err);
}

/* One note that belongs under this size of this log, with its proof. What does not fit is left out: the office that pins the witness will say so. */
static int put_blob(struct trib_hubdb *h, const struct trib_witness_peer *p, uint64_t size, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf kept = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	struct trib_err why;
	uint8_t root[TRIB_SHA256_LEN], proof[TRIB_PROOF_MAX_HASHES + 1][TRIB_SHA256_LEN];
	size_t n = 0;
	if (trib_witness_cosigned(h->hub->dir, p, &kept, &cp, &why) <= 0 || !trib_span_is(cp.origin, h->hub->origin) || cp.size == 0 || cp.size > size)
		return 0;
	if (trib_log_root(h, cp.size, root, err))
		return -1;
	if (memcmp(root, cp.root, sizeof(root)) != 0)
		return 0;
	if (cp.size < size && trib_merkle_consistency(cp.size, size, trib_log_subtree, h, proof, &n, err))
		return -1;
	if (n > TRIB_PROOF_MAX_HASHES)
		return trib_fail(err, TRIB_E_LIMIT, "the log is too large");
	if (ret->len == 0)
		trib_witnessed_begin(ret);
	trib_witnessed_put(ret, (const uint8_t(*)[TRIB_SHA256_LEN])proof, n, trib_buf_span(&kept));
	return trib_buf_check(ret, "witnessed", err);
}

int trib_witnesses_blob(struct trib_hubdb *h, uint64_t size, struct trib_buf *ret, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	struct trib_err why;
	size_t n = 0;
	if (!trib_witnesses_any(h->hub->dir) || trib_witnesses_load(h->hub->dir, all, &n, &why))
		return 0; /* a receipt waits for no witness; what is damaged is named by status */
	for (size_t i = 0; i < n; i++)
		if (put_blob(h, &all[i], size, ret, err))
			return trib_ctx(err, "what %s cosigned", all[i].key.name);
	return 0;
}
