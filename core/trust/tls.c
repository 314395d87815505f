#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include "core/base/clock.h"
#include "core/trust/ossl.h"
#include "core/trust/tls.h"

#define CERT_LIST_MAX 16384 /* bytes of a peer's certificate message: three certificates are 2 KiB */
#define WEB_LIST_MAX 65536   /* chains of the web are longer */
#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"
#define PRESENTED_MAX (2 + 2 * TRIB_ROOTS_MAX) /* certificates a peer may send: leaf, issuing, roots with their links */

struct trib_tls_ctx {
	SSL_CTX *ssl;
	bool server, pinned;
	bool web; /* judged by OpenSSL: names of hosts, public authorities */
	X509 *leaf;             /* NULL: none of our own */
	STACK_OF(X509) *chain;  /* what is sent behind the leaf */
	EVP_PKEY *key;          /* never in the SSL_CTX, so that it can be erased */
	struct trib_cert *root, *issuing; /* trust; issuing: server only */
	uint8_t pin[TRIB_SHA256_LEN];
};

struct trib_tls {
	SSL *ssl;
	int fd;
	const struct trib_tls_ctx *ctx; /* during the handshake only */
	struct trib_cert *root; /* that the peer's chain ended in (client) */
	struct trib_err why;    /* our own refusal of the peer's certificate */
	bool broken;            /* no close_notify after a fatal error */
};

/* Takes a reference. */
static int hold(X509 *x, struct trib_cert **ret, struct trib_err *err)
{
	X509_up_ref(x);
	return trib_cert_wrap(x, "keeping a certificate", ret, err);
}

/* The presented certificate whose hash is the pin. */
static int find_pinned(STACK_OF(X509) *sent, const uint8_t *pin, struct trib_cert **ret, struct trib_err *err)
{
	for (int i = 0; i < sk_X509_num(sent); i++) {
		uint8_t md[EVP_MAX_MD_SIZE];
		unsigned n = 0;
		X509 *x = sk_X509_value(sent, i);

		if (!X509_digest(x, EVP_sha256(), md, &n) || n != TRIB_SHA256_LEN || memcmp(md, pin, n))
			continue;
		if (X509_self_signed(x, 1) != 1) {
			ERR_clear_error();
			return trib_fail(err, TRIB_E_CERT, "the pinned certificate is not a root");
		}
		return hold(x, ret, err);
	}
	return trib_fail(err, TRIB_E_CERT, "the server does not belong to the city of the slip: its root certificate is another one; "
					   "nothing was sent; ask for a new slip");
}

/* The roots in what a server sent, from the first self-signed certificate on; NULL when there are none that hang together. */
static struct trib_cert *sent_roots(STACK_OF(X509) *sent)
{
	struct trib_cert *certs[2 * TRIB_ROOTS_MAX - 1] = {NULL}, *roots = NULL;
	struct trib_err ignored;
	size_t n = 0;
	int i = 0;

	while (i < sk_X509_num(sent) && X509_self_signed(sk_X509_value(sent, i), 1) != 1)
		i++;
	ERR_clear_error();
	for (; i < sk_X509_num(sent) && n < TRIB_COUNT(certs); i++)
		if (!hold(sk_X509_value(sent, i), &certs[n], &ignored))
			n++;
	return n && !trib_roots_wrap(certs, n, &roots, &ignored) ? roots : NULL;
}

/* Tries each certificate the peer sent, then our own issuing one, as the issuing certificate. */
static int judge_chain(const struct trib_tls_ctx *c, const struct trib_cert *leaf, STACK_OF(X509) *sent, const struct trib_cert *root, int64_t now,
		       struct trib_cert_id *ret, struct trib_err *err)
{
	enum trib_cert_use use = c->server ? TRIB_USE_TLS_CLIENT : TRIB_USE_TLS_SERVER;

	if (c->issuing && !trib_cert_verify(leaf, c->issuing, root, use, now, c->server, ret, err))
		return 0;
	if (!c->issuing)
		trib_fail(err, TRIB_E_CERT, "the peer sent no issuing certificate");
	for (int i = 0; i < sk_X509_num(sent); i++) {
		TRIB_AUTO(trib_cert) struct trib_cert *issuing = NULL;
		X509 *x = sk_X509_value(sent, i);

		if (X509_check_issued(x, trib_cert_x509(leaf)) != X509_V_OK)
			continue;
		if (hold(x, &issuing, err))
			return -1;
		if (!trib_cert_verify(leaf, issuing, root, use, now, c->server, ret, err))
			return 0;
	}
	return -1;
}

/* A server's chain was refused. Was it for the time alone, the likely fault is this computer's clock. */
static int name_clock(const struct trib_tls_ctx *c, const struct trib_cert *leaf, STACK_OF(X509) *sent, const struct trib_cert *root, struct trib_err *err)
{
	struct trib_cert_id id, then;
	struct trib_err ignored;
	char here[17], from[17], until[17];
	if (trib_cert_identity(leaf, &id, &ignored) || judge_chain(c, leaf, sent, root, id.not_before, &then, &ignored))
		return -1;
	size_t n = strlen(err->msg);
	trib_time_city(here, trib_now());
	trib_time_city(from, id.not_before);
	trib_time_city(until, id.not_after);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n,
		       "; this computer's clock says %s, and the hub's certificate is good from %s to %s: look at the clock first; when it is right, call the city", here, from, until);
	return -1;
}

static int judge_peer(struct trib_tls *t, X509 *x, STACK_OF(X509) *sent)
{
	const struct trib_tls_ctx *c = t->ctx;
	TRIB_AUTO(trib_cert) struct trib_cert *leaf = NULL, *pinned = NULL, *roots = c->server ? NULL : sent_roots(sent);
	const struct trib_cert *root = c->root;
	struct trib_cert_id id;
	struct trib_err ignored;

	if (!x || sk_X509_num(sent) > PRESENTED_MAX)
		return trib_fail(&t->why, TRIB_E_CERT, "the peer sent no certificate or more than %d", PRESENTED_MAX);
	if (hold(x, &leaf, &t->why))
		return -1;
	if (c->pinned) {
		if (find_pinned(sent, c->pin, &pinned, &t->why))
			return -1;
		/* A slip from before a change of the root names an older one: what it certified since stands under it. */
		root = roots && trib_roots_have(roots, c->pin) && !trib_roots_follow(pinned, roots, trib_now(), &ignored) ? roots : pinned;
	} else if (roots && !trib_roots_follow(c->root, roots, trib_now(), &ignored)) {
		root = roots; /* the same as ours, or a new one that ours certifies */
	}
	if (judge_chain(c, leaf, sent, root, trib_now(), &id, &t->why))
		return c->server ? -1 : name_clock(c, leaf, sent, root, &t->why);
	if (c->server)
		return 0;
	if (id.role != TRIB_ROLE_HUB)
		return trib_fail(&t->why, TRIB_E_CERT, "the server's certificate is not that of a hub");
	return trib_roots_copy(root, &t->root, &t->why);
}

/* Replaces OpenSSL's chain verification by trib_cert_verify: one judge for all certificates. */
static int on_verify(X509_STORE_CTX *store, void *arg TRIB_UNUSED)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct trib_tls *t = ssl ? SSL_get_app_data(ssl) : NULL;

	if (!t || !t->ctx) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	if (judge_peer(t, X509_STORE_CTX_get0_cert(store), X509_STORE_CTX_get0_untrusted(store))) {
		ERR_clear_error();
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
		return 0;
	}
	t->why = (struct trib_err){0}; /* of a certificate that was tried before the right one */
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static int set_own(struct trib_tls_ctx *c, const struct trib_cert *leaf, const struct trib_cert *const *chain, size_t n,
		   const struct trib_key *key, struct trib_err *err)
{
	if (trib_cert_matches(leaf, key, err))
		return -1;
	c->chain = sk_X509_new_null();
	if (!c->chain)
		return trib_ossl_fail(err, TRIB_E_NOMEM, "setting up TLS");
	for (size_t i = 0; i < n; i++) {
		if (!sk_X509_push(c->chain, trib_cert_x509(chain[i])))
			return trib_ossl_fail(err, TRIB_E_NOMEM, "setting up TLS");
		X509_up_ref(trib_cert_x509(chain[i]));
	}
	c->leaf = trib_cert_x509(leaf);
	X509_up_ref(c->leaf);
	c->key = trib_key_pkey(key);
	EVP_PKEY_up_ref(c->key);
	return 0;
}

static int new_ctx(bool server, struct trib_tls_ctx **ret, struct trib_err *err)
{
	struct trib_tls_ctx *c = calloc(1, sizeof *c);

	if (!c)
		return trib_fail(err, TRIB_E_NOMEM, "setting up TLS: out of memory");
	c->server = server;
	c->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (!c->ssl || !SSL_CTX_set_min_proto_version(c->ssl, TLS1_3_VERSION) || !SSL_CTX_set_max_proto_version(c->ssl, TLS1_3_VERSION) ||
	    !SSL_CTX_set_num_tickets(c->ssl, 0)) {
		trib_tls_ctx_free(c);
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "setting up TLS");
	}
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_max_cert_list(c->ssl, CERT_LIST_MAX);
	/* On a server this asks for a certificate and lets a client without one pass. */
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(c->ssl, on_verify, NULL);
	*ret = c;
	return 0;
}

int trib_tls_client_ctx(const struct trib_cert *leaf, const struct trib_cert *issuing, const struct trib_key *key,
			const struct trib_cert *root, const uint8_t *pin, struct trib_tls_ctx **ret, struct trib_err *err)
{
	struct trib_tls_ctx *c = NULL;
	int r = 0;

	if (!root && !pin)
		return trib_fail(err, TRIB_E_CERT, "TLS needs a root certificate or a pin");
	if (new_ctx(false, &c, err))
		return -1;
	if (root) {
		r = trib_roots_copy(root, &c->root, err);
	} else {
		c->pinned = true;
		memcpy(c->pin, pin, sizeof c->pin);
	}
	if (!r && leaf && key)
		r = set_own(c, leaf, &issuing, issuing ? 1 : 0, key, err);
	if (r) {
		trib_tls_ctx_free(c);
		return -1;
	}
	*ret = c;
	return 0;
}

int trib_tls_server_ctx(const struct trib_cert *leaf, const struct trib_cert *issuing, const struct trib_cert *root,
			const struct trib_key *key, struct trib_tls_ctx **ret, struct trib_err *err)
{
	struct trib_tls_ctx *c = NULL;

	if (new_ctx(true, &c, err))
		return -1;
	const struct trib_cert *chain[2 * TRIB_ROOTS_MAX] = {issuing};
	size_t n = 1;
	for (const struct trib_cert *r = root; r && n < TRIB_COUNT(chain); r = trib_roots_older(r)) {
		chain[n++] = r;
		if (trib_cert_link(r) && n < TRIB_COUNT(chain))
			chain[n++] = trib_cert_link(r);
	}
	if (trib_roots_copy(root, &c->root, err) || hold(trib_cert_x509(issuing), &c->issuing, err) || set_own(c, leaf, chain, n, key, err)) {
		trib_tls_ctx_free(c);
		return -1;
	}
	*ret = c;
	return 0;
}

static int web_ctx(bool server, struct trib_tls_ctx **ret, struct trib_err *err)
{
	struct trib_tls_ctx *c = NULL;

	if (new_ctx(server, &c, err))
		return -1;
	c->web = true;
	SSL_CTX_set_cert_verify_callback(c->ssl, NULL, NULL);
	SSL_CTX_set_max_cert_list(c->ssl, WEB_LIST_MAX);
	SSL_CTX_set_verify(c->ssl, server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (!SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION)) {
		trib_tls_ctx_free(c);
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "setting up TLS");
	}
	*ret = c;
	return 0;
}

int trib_tls_web_client_ctx(const char *ca_file, struct trib_tls_ctx **ret, struct trib_err *err)
{
	struct trib_tls_ctx *c = NULL;

	if (web_ctx(false, &c, err))
		return -1;
	if (SSL_CTX_load_verify_locations(c->ssl, ca_file ? ca_file : SYSTEM_CAS, NULL) != 1) {
		trib_tls_ctx_free(c);
		trib_ossl_fail(err, TRIB_E_CERT, "reading the certificates of authorities");
		return trib_ctx(err, "%s", ca_file ? ca_file : SYSTEM_CAS " (apt-get install ca-certificates)");
	}
	*ret = c;
	return 0;
}

int trib_tls_web_server_ctx(const char *chain_file, const char *key_file, struct trib_tls_ctx **ret, struct trib_err *err)
{
	struct trib_tls_ctx *c = NULL;

	if (web_ctx(true, &c, err))
		return -1;
	if (SSL_CTX_use_certificate_chain_file(c->ssl, chain_file) != 1 || SSL_CTX_use_PrivateKey_file(c->ssl, key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(c->ssl) != 1) {
		trib_tls_ctx_free(c);
		trib_ossl_fail(err, TRIB_E_CERT, "reading certificate and key");
		return trib_ctx(err, "%s, %s", chain_file, key_file);
	}
	*ret = c;
	return 0;
}

void trib_tls_ctx_wipe_key(struct trib_tls_ctx *c)
{
	EVP_PKEY_free(c->key);
	c->key = NULL;
}

void trib_tls_ctx_free(struct trib_tls_ctx *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ssl);
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->key);
	trib_cert_free(c->root);
	trib_cert_free(c->issuing);
	free(c);
}

/* What the peer's alert says about our certificate. */
static enum trib_code alert_code(int reason)
{
	switch (reason) {
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_CERTIFICATE_VERIFY_FAILED: /* ours: the rules of the web */
		return TRIB_E_CERT;
	default:
		return TRIB_E_IO;
	}
}

static int lost(const char *what, struct trib_err *err) { return trib_fail(err, TRIB_E_UNREACHABLE, "%s: the peer closed the connection", what); }

/* Why an SSL call failed for good. */
static int fatal(struct trib_tls *t, int ssl_error, int sys, const char *what, struct trib_err *err)
{
	unsigned long e = ERR_peek_error();

	t->broken = true;
	if (t->why.code != TRIB_OK) {
		ERR_clear_error();
		*err = t->why;
		return trib_ctx(err, "%s", what);
	}
	if (ssl_error == SSL_ERROR_SSL && ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		ERR_clear_error();
		return lost(what, err);
	}
	if (ssl_error == SSL_ERROR_SSL)
		return trib_ossl_fail(err, alert_code(ERR_GET_REASON(e)), what);
	ERR_clear_error();
	if (!sys)
		return lost(what, err);
	errno = sys;
	trib_fail_errno(err, "%s", what);
	if (err->code == TRIB_E_IO) /* reset, no route, timed out: what a socket fails with is the line */
		err->code = TRIB_E_UNREACHABLE;
	return -1;
}

/* Waits until the socket is ready for what the last SSL call wanted, or fails at the deadline. */
static int wait_for(struct trib_tls *t, int ssl_error, int64_t deadline, const char *what, struct trib_err *err)
{
	struct pollfd p = {.fd = t->fd, .events = ssl_error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};

	for (;;) {
		int64_t left = deadline - trib_mono_ms();
		int r;

		if (left <= 0) {
			t->broken = true;
			return trib_fail(err, TRIB_E_UNREACHABLE, "%s: the peer is silent", what);
		}
		r = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return trib_fail_errno(err, "%s", what);
	}
}

/* After an SSL call returned <= 0: 0 = try again, -1 = failed. A clean end must have been looked for before. */
static int again(struct trib_tls *t, int ret, int64_t deadline, const char *what, struct trib_err *err)
{
	int sys = errno, e = SSL_get_error(t->ssl, ret);

	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		return fatal(t, e, sys, what, err);
	return wait_for(t, e, deadline, what, err);
}

static int handshake(struct trib_tls *t, int timeout_ms, struct trib_err *err)
{
	int64_t deadline = trib_mono_ms() + timeout_ms;

	for (;;) {
		int r;

		ERR_clear_error();
		errno = 0;
		r = SSL_do_handshake(t->ssl);
		if (r == 1)
			return 0;
		if (again(t, r, deadline, "TLS handshake", err))
			return -1;
	}
}

/* Whose certificate it must be. */
static int web_name(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

	if (!host)
		return -1;
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1)
		return 0;
	ERR_clear_error();
	return X509_VERIFY_PARAM_set1_host(p, host, 0) == 1 ? 0 : -1;
}

static int prepare(struct trib_tls_ctx *c, int fd, const char *host, struct trib_tls *t, struct trib_err *err)
{
	uint8_t ip[16];
	int one = 1, flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return trib_fail_errno(err, "setting up TLS");
	/* Small requests must not wait for an acknowledgement; a socket without TCP has no such option. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	t->ctx = c;
	t->fd = fd;
	t->ssl = SSL_new(c->ssl);
	if (!t->ssl || !SSL_set_app_data(t->ssl, t) || !SSL_set_fd(t->ssl, fd))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "setting up TLS");
	if (c->leaf && !c->key)
		return trib_fail(err, TRIB_E_CERT, "setting up TLS: the private key was wiped already");
	if (c->leaf && SSL_use_cert_and_key(t->ssl, c->leaf, c->key, c->chain, 1) != 1)
		return trib_ossl_fail(err, TRIB_E_CERT, "setting up TLS: own certificate");
	if (host && inet_pton(AF_INET, host, ip) != 1 && inet_pton(AF_INET6, host, ip) != 1 && !SSL_set_tlsext_host_name(t->ssl, host))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "setting up TLS: host name");
	if (c->web && !c->server && web_name(t->ssl, host))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "setting up TLS: host name");
	if (c->server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	return 0;
}

static int open_tls(struct trib_tls_ctx *c, int fd, const char *host, int timeout_ms, struct trib_tls **ret, struct trib_err *err)
{
	struct trib_tls *t = calloc(1, sizeof *t);

	if (!t)
		return trib_fail(err, TRIB_E_NOMEM, "setting up TLS: out of memory");
	if (prepare(c, fd, host, t, err) || handshake(t, timeout_ms, err)) {
		/* The caller keeps its socket. */
		SSL_free(t->ssl);
		trib_cert_free(t->root);
		free(t);
		return -1;
	}
	/* TLS 1.3 never needs the key again. */
	SSL_certs_clear(t->ssl);
	t->ctx = NULL;
	*ret = t;
	return 0;
}

int trib_tls_connect(struct trib_tls_ctx *c, int fd, const char *host, int timeout_ms, struct trib_tls **ret, struct trib_err *err)
{
	return open_tls(c, fd, host, timeout_ms, ret, err);
}

int trib_tls_accept(struct trib_tls_ctx *c, int fd, int timeout_ms, struct trib_tls **ret, struct trib_err *err)
{
	return open_tls(c, fd, NULL, timeout_ms, ret, err);
}

struct trib_cert *trib_tls_peer(const struct trib_tls *t)
{
	struct trib_cert *c = NULL;
	struct trib_err err;
	X509 *x = SSL_get1_peer_certificate(t->ssl);

	return x && !trib_cert_wrap(x, "keeping a certificate", &c, &err) ? c : NULL;
}

struct trib_cert *trib_tls_peer_root(const struct trib_tls *t)
{
	struct trib_cert *c = NULL;
	struct trib_err err;

	return t->root && !trib_roots_copy(t->root, &c, &err) ? c : NULL;
}

int trib_tls_read(struct trib_tls *t, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err)
{
	int64_t deadline = trib_mono_ms() + timeout_ms;

	for (;;) {
		size_t got = 0;
		int r;

		ERR_clear_error();
		errno = 0;
		r = SSL_read_ex(t->ssl, p, n, &got);
		if (r == 1) {
			*ret_n = got;
			return 0;
		}
		if (SSL_get_error(t->ssl, r) == SSL_ERROR_ZERO_RETURN) {
			*ret_n = 0;
			return 0;
		}
		if (again(t, r, deadline, "reading", err))
			return -1;
	}
}

int trib_tls_write(struct trib_tls *t, struct trib_span bytes, int timeout_ms, struct trib_err *err)
{
	int64_t deadline = trib_mono_ms() + timeout_ms;

	while (bytes.n) {
		size_t put = 0;
		int r;

		ERR_clear_error();
		errno = 0;
		r = SSL_write_ex(t->ssl, bytes.p, bytes.n, &put);
		if (r == 1) {
			bytes = trib_span(bytes.p + put, bytes.n - put);
			deadline = trib_mono_ms() + timeout_ms;
			continue;
		}
		if (again(t, r, deadline, "writing", err))
			return -1;
	}
	return 0;
}

void trib_tls_free(struct trib_tls *t)
{
	if (!t)
		return;
	if (!t->broken)
		SSL_shutdown(t->ssl);
	ERR_clear_error();
	SSL_free(t->ssl);
	close(t->fd);
	trib_cert_free(t->root);
	free(t);
}
