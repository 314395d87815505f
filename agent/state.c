#include "agent/state.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "agent/capture/pending.h"
#include "agent/private.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/trust/hash.h"

#define NODE_FORMAT "tributary-node-1"
#define NODE_FILE_MAX (32 * TRIB_KIB)
#define PATH_TEXT_MAX 4096
#define URL_TEXT_MAX 1024
#define TIP_FILE_MAX (2 * TRIB_LANES_MAX + 64 * TRIB_KIB)
#define SELF_SIGNED_YEARS 20 /* holds until enrolment; the hub never accepts it */

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

char *trib_state_path(const struct trib_state *s, const char *name) { return trib_path(s->dir, name); }

static void node_release(struct trib_node *n)
{
	free(n->db_path);
	free(n->hub_url);
	*n = (struct trib_node){0};
}

void trib_state_forget_keys(struct trib_state *s)
{
	trib_key_free(s->sign_key);
	trib_key_free(s->tls_key);
	trib_cert_free(s->sign_cert);
	trib_cert_free(s->tls_cert);
	trib_cert_free(s->issuing);
	trib_cert_free(s->tls_issuing);
	trib_cert_free(s->root);
	s->sign_key = s->tls_key = NULL;
	s->sign_cert = s->tls_cert = s->issuing = s->tls_issuing = s->root = NULL;
}

void trib_state_close(struct trib_state *s)
{
	if (!s->dir) /* zeroed, or closed already: a zeroed lock must not close descriptor 0 */
		return;
	node_release(&s->node);
	trib_repo_free(s->repo);
	trib_state_forget_keys(s);
	trib_tip_release(&s->tip);
	trib_repo_free(s->private_repo);
	trib_tip_release(&s->private_tip);
	trib_key_free(s->private_key);
	trib_cert_free(s->private_cert);
	trib_syncs_release(&s->syncs);
	trib_lock_drop(&s->lock);
	free(s->dir);
	*s = (struct trib_state){.lock = TRIB_LOCK_INIT};
}

/* ---- the node file ---- */

static void put_line(struct trib_buf *b, const char *key, const char *value)
{
	trib_buf_printf(b, "%s ", key);
	trib_pct(b, trib_span_str(value));
	trib_buf_putc(b, '\n');
}

static void node_put(struct trib_buf *b, const struct trib_node *n)
{
	trib_buf_printf(b, "format " NODE_FORMAT "\nnode %s\napp %s\n", n->node, n->app);
	put_line(b, "name", n->name);
	put_line(b, "city", n->city);
	put_line(b, "db-path", n->db_path);
	put_line(b, "hub-url", n->hub_url ? n->hub_url : "");
	trib_buf_printf(b, "incarnation %llu\npolicy %llu\n", (unsigned long long)n->incarnation, (unsigned long long)n->policy);
	put_line(b, "origin", n->origin);
	trib_buf_puts(b, "log-key ");
	trib_buf_hex(b, n->log_key, sizeof(n->log_key));
	trib_buf_printf(b, "\nenrolled %s\n", n->enrolled ? "yes" : "no");
}

/* One percent-encoded line, as a malloc'd string. */
static int take_text(struct trib_kv *kv, const char *key, size_t max, char **ret, struct trib_err *err)
{
	struct trib_span f;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(max);
	if (trib_kv_take(kv, key, 1, &f, err) || trib_kv_name(kv, f, key, max, &b, err))
		return -1;
	if (b.len && memchr(b.p, 0, b.len))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s contains NUL", kv->line, key);
	char *p = strdup(trib_buf_str(&b));
	if (!p)
		return oom(err);
	*ret = p;
	return 0;
}

static int take_fixed(struct trib_kv *kv, const char *key, char *ret, size_t size, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *p = NULL;
	if (take_text(kv, key, size - 1, &p, err))
		return -1;
	memcpy(ret, p, strlen(p) + 1);
	return 0;
}

static int take_yes(struct trib_kv *kv, const char *key, bool *ret, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, key, 1, &f, err))
		return -1;
	*ret = trib_span_is(f, "yes");
	if (!*ret && !trib_span_is(f, "no"))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s is neither yes nor no", kv->line, key);
	return 0;
}

static int node_fields(struct trib_kv *kv, struct trib_node *n, struct trib_err *err)
{
	if (trib_kv_take_is(kv, "format", NODE_FORMAT, err) || trib_kv_take_id(kv, "node", n->node, sizeof(n->node), err) ||
	    trib_kv_take_id(kv, "app", n->app, sizeof(n->app), err) || take_fixed(kv, "name", n->name, sizeof(n->name), err) ||
	    take_fixed(kv, "city", n->city, sizeof(n->city), err) || take_text(kv, "db-path", PATH_TEXT_MAX, &n->db_path, err) ||
	    take_text(kv, "hub-url", URL_TEXT_MAX, &n->hub_url, err) || trib_kv_take_u64(kv, "incarnation", &n->incarnation, err) ||
	    trib_kv_take_u64(kv, "policy", &n->policy, err) || take_fixed(kv, "origin", n->origin, sizeof(n->origin), err) ||
	    trib_kv_take_hex(kv, "log-key", n->log_key, sizeof(n->log_key), err) || take_yes(kv, "enrolled", &n->enrolled, err) ||
	    trib_kv_end(kv, err))
		return -1;
	if (!n->hub_url[0]) {
		free(n->hub_url);
		n->hub_url = NULL;
	}
	return 0;
}

static int node_load(const char *path, struct trib_node *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(NODE_FILE_MAX);
	struct trib_node n = {0};
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (node_fields(&kv, &n, err)) {
		node_release(&n);
		return trib_ctx(err, "%s", path);
	}
	*ret = n;
	return 0;
}

int trib_state_save_node(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "node");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(NODE_FILE_MAX);
	node_put(&b, &s->node);
	if (!path)
		return oom(err);
	if (trib_buf_check(&b, "node file", err))
		return -1;
	return trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

int trib_state_save_tip(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "tip");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TIP_FILE_MAX);
	trib_tip_put(&b, &s->tip);
	if (!path)
		return oom(err);
	if (trib_buf_check(&b, "tip file", err))
		return -1;
	return trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* ---- making a folder ---- */

static int must_be_empty(const char *dir, struct trib_err *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : trib_fail_errno(err, "state folder %s", dir);
	size_t n = 0;
	for (struct dirent *e; n == 0 && (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	if (n)
		return trib_fail(err, TRIB_E_USAGE, _("state folder %s is not empty; nothing was changed; choose another with --state DIR, or see "
				 "`tributary-agent status --state %s`"), dir, dir);
	return 0;
}

static int make_keys(struct trib_state *s, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *key = trib_state_path(s, "keys/sign.key");
	TRIB_AUTO(trib_mem) char *crt_path = trib_state_path(s, "keys/sign.crt");
	TRIB_AUTO(trib_mem) char *dir = trib_state_path(s, "keys");
	TRIB_AUTO(trib_mem) char *san = trib_pathf("%s/%s", s->node.node, s->node.app);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (!key || !crt_path || !dir || !san)
		return oom(err);
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = san, .subject = s->node.name, .use = TRIB_USE_SIGN,
				      .not_before = now, .not_after = now + (int64_t)SELF_SIGNED_YEARS * 366 * 86400};
	if (trib_fs_mkdirs(dir, 0700, err) || trib_key_make(TRIB_KEY_P256, &s->sign_key, err) ||
	    trib_key_save(s->sign_key, key, err) || trib_cert_make_self(&spec, s->sign_key, &s->sign_cert, err) ||
	    trib_cert_pem(s->sign_cert, &pem, err))
		return -1;
	return trib_fs_write(crt_path, trib_buf_span(&pem), 0644, err);
}

static int make_salt(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "salt");
	if (!path)
		return oom(err);
	if (trib_random(s->salt, sizeof(s->salt), err))
		return -1;
	return trib_fs_create(path, trib_span(s->salt, sizeof(s->salt)), 0600, err);
}

static int copy_node(struct trib_node *to, const struct trib_node *from, struct trib_err *err)
{
	*to = *from;
	to->db_path = strdup(from->db_path);
	to->hub_url = from->hub_url ? strdup(from->hub_url) : NULL;
	if (!to->db_path || (from->hub_url && !to->hub_url))
		return oom(err);
	if (!to->name[0])
		(void)snprintf(to->name, sizeof(to->name), "%s", to->node);
	if (!to->city[0])
		memcpy(to->city, "-", 2);
	return 0;
}

/* The node file comes last: a folder without it is not initialised. */
static int fill_folder(struct trib_state *s, const struct trib_node *node, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *repo = trib_state_path(s, "repo.git");
	TRIB_AUTO(trib_mem) char *receipts = trib_state_path(s, "receipts");
	if (!repo || !receipts)
		return oom(err);
	if (copy_node(&s->node, node, err) || trib_fs_mkdirs(receipts, 0700, err) || make_keys(s, now, err) || make_salt(s, err) ||
	    trib_repo_create(repo, &s->repo, err))
		return -1;
	memcpy(s->tip.salt, s->salt, sizeof(s->salt));
	memcpy(s->tip.group_salt, s->salt, sizeof(s->salt));
	if (trib_state_save_tip(s, err) || trib_state_save_node(s, err))
		return -1;
	return trib_fs_sync_parent(s->dir, err);
}

int trib_state_create(const char *dir, const struct trib_node *node, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_state) struct trib_state s = {.lock = TRIB_LOCK_INIT};
	struct trib_err ignored;
	if (!trib_id_valid(trib_span_str(node->node)) || !trib_id_valid(trib_span_str(node->app)))
		return trib_fail(err, TRIB_E_USAGE, "node id and app name are 1 to 64 of 0-9 A-Z a-z . _ - and begin with a letter, a digit or _");
	if (!node->db_path || node->db_path[0] != '/')
		return trib_fail(err, TRIB_E_USAGE, "the database needs an absolute path");
	if (must_be_empty(dir, err) || trib_fs_mkdirs(dir, 0700, err))
		return -1;
	if (!(s.dir = strdup(dir)))
		return oom(err);
	if (fill_folder(&s, node, now, err)) {
		if (trib_fs_remove_tree(dir, &ignored)) /* it was empty before */
			trib_ctx(err, "(%s could not be emptied again)", dir);
		return trib_ctx(err, "making the state folder %s", dir);
	}
	return 0;
}

/* ---- opening ---- */

static int load_small(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *salt = trib_state_path(s, "salt");
	TRIB_AUTO(trib_mem) char *tip = trib_state_path(s, "tip");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SALT_LEN);
	TRIB_AUTO(trib_buf) struct trib_buf t = TRIB_BUF(TIP_FILE_MAX);
	if (!salt || !tip)
		return oom(err);
	if (trib_fs_read(salt, &b, err) || trib_fs_read(tip, &t, err))
		return -1;
	if (b.len != TRIB_SALT_LEN)
		return trib_fail(err, TRIB_E_VERIFY, "%s must have %d bytes", salt, TRIB_SALT_LEN);
	memcpy(s->salt, b.p, TRIB_SALT_LEN);
	return trib_tip_parse(trib_buf_span(&t), &s->tip, err) ? trib_ctx(err, "%s", tip) : 0;
}

static int open_folder(struct trib_state *s, bool write, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *node = trib_state_path(s, "node");
	TRIB_AUTO(trib_mem) char *lock = trib_state_path(s, "lock");
	TRIB_AUTO(trib_mem) char *repo = trib_state_path(s, "repo.git");
	struct stat st;
	if (!node || !lock || !repo)
		return oom(err);
	if (stat(node, &st) && (errno == ENOENT || errno == ENOTDIR) && trib_fs_exists(repo))
		return trib_fail(err, TRIB_E_VERIFY, "it holds a history, but the file `node` is missing");
	if (stat(node, &st) && (errno == ENOENT || errno == ENOTDIR))
		return trib_fail(err, TRIB_E_NOT_INIT, _("not one of the agent; run `tributary-agent init DBFILE --node ID --state %s` first"), s->dir);
	if (write && trib_lock_take(&s->lock, lock, TRIB_LOCK_WAIT_MS, err))
		return -1;
	if (node_load(node, &s->node, err) || load_small(s, err) || trib_repo_open(repo, write, &s->repo, err) || trib_private_open(s, write, err))
		return -1;
	return write && (trib_pending_recover(s, err) || trib_state_take_turn(s, err)) ? -1 : 0;
}

int trib_state_open(const char *dir, bool write, struct trib_state *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_state) struct trib_state s = {.lock = TRIB_LOCK_INIT};
	if (!(s.dir = strdup(dir)))
		return oom(err);
	if (open_folder(&s, write, err))
		return trib_ctx(err, _("state folder %s"), dir);
	*ret = s;
	s = (struct trib_state){.lock = TRIB_LOCK_INIT};
	return 0;
}

static int load_cert(struct trib_state *s, const char *name, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	if (!path)
		return oom(err);
	return *ret ? 0 : trib_cert_load(path, ret, err);
}

static int load_key(struct trib_state *s, const char *name, struct trib_key **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	if (!path)
		return oom(err);
	return *ret ? 0 : trib_key_load(path, ret, err);
}

static int load_roots(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "keys/root.crt");
	if (!path)
		return oom(err);
	return s->root ? 0 : trib_roots_load(path, &s->root, err);
}

int trib_state_learn_roots(struct trib_state *s, const struct trib_cert *offered, bool *ret_new, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "keys/root.crt");
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	TRIB_AUTO(trib_cert) struct trib_cert *copy = NULL;
	struct trib_cert_id id;
	if (!path)
		return oom(err);
	if (trib_cert_identity(offered, &id, err) || trib_roots_follow(s->root, offered, trib_now(), err))
		return -1;
	*ret_new = !trib_roots_have(s->root, id.sha256);
	if (!*ret_new)
		return 0;
	if (trib_roots_copy(offered, &copy, err) || trib_roots_pem(offered, &pem, err) || trib_buf_check(&pem, "root certificates", err) ||
	    trib_fs_write(path, trib_buf_span(&pem), 0644, err))
		return trib_ctx(err, "keeping the city's new root");
	struct trib_cert *old = s->root;
	s->root = copy;
	copy = old;
	return 0;
}

/* A leaf, and behind it the certificate that issued it when that is not keys/issuing.crt. */
static int load_leaf(struct trib_state *s, const char *name, struct trib_cert **ret, struct trib_cert **ret_issuing, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_cert *c[2] = {0};
	size_t n;
	if (!path)
		return oom(err);
	if (*ret)
		return 0;
	if (trib_fs_read(path, &pem, err))
		return -1;
	if (trib_certs_parse_pem(trib_buf_span(&pem), c, 2, &n, err))
		return trib_ctx(err, "%s", path);
	*ret = c[0];
	*ret_issuing = c[1];
	return *ret_issuing || !s->node.enrolled ? 0 : load_cert(s, "keys/issuing.crt", ret_issuing, err);
}

int trib_state_keys(struct trib_state *s, struct trib_err *err)
{
	if (load_key(s, "keys/sign.key", &s->sign_key, err) || load_leaf(s, "keys/sign.crt", &s->sign_cert, &s->issuing, err) ||
	    trib_cert_matches(s->sign_cert, s->sign_key, err))
		return -1;
	if (!s->node.enrolled)
		return 0;
	if (load_key(s, "keys/tls.key", &s->tls_key, err) || load_leaf(s, "keys/tls.crt", &s->tls_cert, &s->tls_issuing, err) ||
	    load_roots(s, err))
		return -1;
	return trib_cert_matches(s->tls_cert, s->tls_key, err);
}

/* ---- a new signing key (D5.4) ---- */

static int move_if_there(struct trib_state *s, const char *from_name, const char *to_name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *from = trib_state_path(s, from_name);
	TRIB_AUTO(trib_mem) char *to = trib_state_path(s, to_name);
	if (!from || !to)
		return oom(err);
	return trib_fs_exists(from) ? trib_fs_rename(from, to, err) : 0;
}

int trib_state_next_keys(struct trib_state *s, struct trib_key **ret_key, struct trib_cert **ret_cert, struct trib_err *err)
{
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_cert) struct trib_cert *cert = NULL, *issuing = NULL;
	if (load_key(s, "keys/sign.next.key", &key, err) || load_leaf(s, "keys/sign.next.crt", &cert, &issuing, err) || trib_cert_matches(cert, key, err))
		return trib_ctx(err, "the new signing key");
	*ret_key = key;
	*ret_cert = cert;
	key = NULL;
	cert = NULL;
	return 0;
}

/* The key first: as long as sign.next.crt is there, a cut-off turn is finished at the next start. */
int trib_state_take_turn(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *crt = trib_state_path(s, "keys/sign.next.crt");
	TRIB_AUTO(trib_mem) char *csr = trib_state_path(s, "keys/sign.next.csr");
	TRIB_AUTO(trib_cert) struct trib_cert *next = NULL, *issuing = NULL;
	uint8_t spki[TRIB_SHA256_LEN];
	if (!crt || !csr)
		return oom(err);
	if (!s->tip.exists || !trib_fs_exists(crt))
		return 0;
	if (load_leaf(s, "keys/sign.next.crt", &next, &issuing, err) || trib_cert_spki_sha256(next, spki, err))
		return -1;
	/* It signed the last commit already, or (a folder of an older program) is only named by it. */
	if (memcmp(spki, s->tip.signer_spki, sizeof(spki)) != 0 && (!s->tip.has_next || memcmp(spki, s->tip.next_spki, sizeof(spki)) != 0))
		return 0;
	if (move_if_there(s, "keys/sign.next.key", "keys/sign.key", err))
		return -1;
	trib_crash_point("signing-key-moved");
	if (move_if_there(s, "keys/sign.next.crt", "keys/sign.crt", err) || trib_fs_remove(csr, err))
		return trib_ctx(err, "taking the new signing key");
	trib_state_forget_keys(s);
	return 0;
}

int64_t trib_state_now(const struct trib_state *s)
{
	const struct trib_cert *const own[] = {s->sign_cert, s->issuing, s->root};
	int64_t at = trib_now();
	for (size_t i = 0; i < TRIB_COUNT(own); i++) {
		struct trib_cert_id id;
		struct trib_err ignored;
		if (own[i] && !trib_cert_identity(own[i], &id, &ignored) && id.not_before > at)
			at = id.not_before;
	}
	return at;
}

struct trib_trust trib_state_trust(const struct trib_state *s)
{
	return (struct trib_trust){
		.city = s->node.city, .node = s->node.node, .app = s->node.app, .self_signed = !s->node.enrolled,
		.root = s->node.enrolled ? s->root : NULL, .at = trib_state_now(s), .incarnation = s->node.incarnation,
		.two_threads = true,
	};
}

int trib_state_signer_pem(struct trib_state *s, struct trib_buf *ret, struct trib_err *err)
{
	if (trib_state_keys(s, err) || trib_cert_pem(s->sign_cert, ret, err))
		return -1;
	return s->node.enrolled ? trib_cert_pem(s->issuing, ret, err) : 0;
}
