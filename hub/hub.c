#include "hub/hub.h"

#include <sys/stat.h>

#include "core/base/fs.h"

#define CONF_MAX (16 * TRIB_KIB)

/* A decoded display name as a C string without NUL or line breaks. */
static int take_name(struct trib_kv *kv, const char *key, char *ret, size_t size, struct trib_err *err)
{
	struct trib_span f;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(size - 1);
	if (trib_kv_take(kv, key, 1, &f, err) || trib_kv_name(kv, f, key, size - 1, &b, err) || trib_buf_check(&b, key, err))
		return -1;
	if (b.len == 0 || memchr(b.p, 0, b.len) || memchr(b.p, '\n', b.len))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s is empty or has a control character", kv->line, key);
	memcpy(ret, b.p, b.len);
	ret[b.len] = '\0';
	return 0;
}

static int take_text(struct trib_kv *kv, const char *key, char *ret, size_t size, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, key, 1, &f, err))
		return -1;
	if (f.n >= size)
		return trib_fail(err, TRIB_E_LIMIT, "line %u: %s is longer than %zu bytes", kv->line, key, size - 1);
	memcpy(ret, f.p, f.n);
	ret[f.n] = '\0';
	return 0;
}

int trib_hub_conf_parse(struct trib_span text, struct trib_hub_conf *ret, struct trib_err *err)
{
	struct trib_hub_conf c = {0};
	struct trib_kv kv = trib_kv(text);
	if (trib_kv_take_is(&kv, "format", "tributary-hub-1", err) || take_name(&kv, "city", c.city, sizeof(c.city), err) ||
	    take_name(&kv, "origin", c.origin, sizeof(c.origin), err) || trib_kv_take_u64(&kv, "policy", &c.policy_version, err) ||
	    take_text(&kv, "listen", c.listen, sizeof(c.listen), err))
		return -1;
	while (trib_kv_at(&kv, "host")) {
		if (c.nhosts == TRIB_HUB_HOSTS_MAX)
			return trib_fail(err, TRIB_E_LIMIT, "more than %d host lines", TRIB_HUB_HOSTS_MAX);
		if (take_text(&kv, "host", c.hosts[c.nhosts], sizeof(c.hosts[0]), err))
			return -1;
		c.nhosts++;
	}
	if (trib_kv_end(&kv, err))
		return -1;
	*ret = c;
	return 0;
}

void trib_hub_conf_put(struct trib_buf *b, const struct trib_hub_conf *c)
{
	trib_buf_puts(b, "format tributary-hub-1\ncity ");
	trib_pct(b, trib_span_str(c->city));
	trib_buf_puts(b, "\norigin ");
	trib_pct(b, trib_span_str(c->origin));
	trib_buf_printf(b, "\npolicy %llu\nlisten %s\n", (unsigned long long)c->policy_version, c->listen);
	for (size_t i = 0; i < c->nhosts; i++)
		trib_buf_printf(b, "host %s\n", c->hosts[i]);
}

int trib_hub_conf_load(const char *dir, struct trib_hub_conf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "hub.conf");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(CONF_MAX);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_read(path, &b, err)) {
		struct stat st;
		TRIB_AUTO(trib_mem) char *db = trib_path(dir, "hub.db");
		if (err->code == TRIB_E_NOT_FOUND && db && trib_fs_exists(db))
			return trib_fail(err, TRIB_E_VERIFY, "%s is missing, though %s holds a hub; nothing was changed; bring it back from a backup", path, dir);
		if (err->code == TRIB_E_NOT_FOUND || (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode)))
			return trib_fail(err, TRIB_E_NOT_INIT, "%s is not a hub's folder; make one with: tributary-hub --state %s init --city NAME", dir, dir);
		return -1;
	}
	if (trib_hub_conf_parse(trib_buf_span(&b), ret, err))
		return trib_ctx(err, "%s", path);
	return 0;
}

int trib_hub_conf_save(const char *dir, const struct trib_hub_conf *c, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "hub.conf");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(CONF_MAX);
	struct trib_hub_conf again;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_hub_conf_put(&b, c);
	/* What is written must be readable: a bad host or address is refused here, not at the next start. */
	if (trib_buf_check(&b, "hub.conf", err) || trib_hub_conf_parse(trib_buf_span(&b), &again, err))
		return trib_ctx(err, "%s", path);
	return trib_fs_write(path, trib_buf_span(&b), 0640, err);
}

int trib_hub_origin(const char *city, uint64_t epoch, char *ret, size_t size, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(size - 1);
	trib_pct(&b, trib_span_str(city));
	trib_buf_printf(&b, "/%llu", (unsigned long long)epoch);
	if (trib_buf_check(&b, "the log origin (a shorter city name is needed)", err))
		return -1;
	memcpy(ret, b.p, b.len);
	ret[b.len] = '\0';
	return 0;
}

char *trib_hub_path(const struct trib_hub *h, const char *name) { return trib_path(h->dir, name); }

char *trib_hub_repo_path(const struct trib_hub *h, const char *node, const char *app)
{
	return trib_pathf("%s/repos/%s/%s.git", h->dir, node, app);
}

static int load_roots(const struct trib_hub *h, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h, "ca/root.crt");
	return path ? trib_roots_load(path, ret, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
}

static int load_cert(const struct trib_hub *h, const char *name, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h, name);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_cert_load(path, ret, err))
		return trib_ctx(err, "loading %s", path);
	return 0;
}

int trib_hub_open(const char *dir, struct trib_hub *ret, struct trib_err *err)
{
	struct trib_hub_conf conf;
	if (trib_hub_conf_load(dir, &conf, err))
		return -1;
	TRIB_AUTO(trib_hub) struct trib_hub h = {0};
	h.dir = strdup(dir);
	if (!h.dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	memcpy(h.city, conf.city, sizeof(h.city));
	memcpy(h.origin, conf.origin, sizeof(h.origin));
	h.policy_version = conf.policy_version;
	if (load_roots(&h, &h.root, err) || load_cert(&h, "ca/issuing.crt", &h.issuing, err) ||
	    load_cert(&h, "keys/hub-sign.crt", &h.sign_cert, err) || load_cert(&h, "keys/hub-tls.crt", &h.tls_cert, err))
		return err->code == TRIB_E_NOT_FOUND || err->code == TRIB_E_FORMAT ? trib_ctx(err, "a file of the hub is gone or spoilt; nothing was changed; bring it back from a backup") : -1;
	*ret = h;
	h = (struct trib_hub){0};
	return 0;
}

void trib_hub_close(struct trib_hub *h)
{
	free(h->dir);
	trib_cert_free(h->root);
	trib_cert_free(h->issuing);
	trib_cert_free(h->sign_cert);
	trib_cert_free(h->tls_cert);
	*h = (struct trib_hub){0};
}
