/* Both ends of TLS over a real socket pair, the server in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "core/trust/tls.h"

#define YEAR ((int64_t)31557600)
#define MS 5000

struct ca {
	struct trib_key *root_key, *issuing_key, *key;
	struct trib_cert *root, *issuing, *server, *client, *expired, *sign, *not_hub;
	uint8_t pin[TRIB_SHA256_LEN];
};

static struct trib_cert *leaf(struct ca *c, enum trib_role role, const char *id, enum trib_cert_use use, int64_t until)
{
	struct trib_cert_spec spec = {.role = role, .id = id, .subject = id, .use = use, .not_before = until - 90 * 86400, .not_after = until};
	struct trib_cert *ret = NULL;
	struct trib_err err;

	if (trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &ret, &err))
		fail_msg("%s", err.msg);
	return ret;
}

static void ca_make(struct ca *c)
{
	int64_t now = trib_now();
	struct trib_cert_id id;
	struct trib_err err;

	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->root_key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->issuing_key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->key, &err), 0);
	assert_int_equal(trib_cert_make_root(c->root_key, "遵义市", now - YEAR, &c->root, &err), 0);
	assert_int_equal(trib_cert_make_issuing(c->issuing_key, "遵义市", c->root_key, c->root, now - YEAR, &c->issuing, &err), 0);
	assert_int_equal(trib_cert_identity(c->root, &id, &err), 0);
	memcpy(c->pin, id.sha256, sizeof c->pin);
	c->server = leaf(c, TRIB_ROLE_HUB, "hub", TRIB_USE_TLS_SERVER, now + 86400);
	c->client = leaf(c, TRIB_ROLE_NODE, "n/a", TRIB_USE_TLS_CLIENT, now + 86400);
	c->expired = leaf(c, TRIB_ROLE_NODE, "n/a", TRIB_USE_TLS_CLIENT, now - 10);
	c->sign = leaf(c, TRIB_ROLE_NODE, "n/a", TRIB_USE_SIGN, now + 86400);
	c->not_hub = leaf(c, TRIB_ROLE_NODE, "n/a", TRIB_USE_TLS_SERVER, now + 86400);
}

static void ca_release(struct ca *c)
{
	trib_key_free(c->root_key);
	trib_key_free(c->issuing_key);
	trib_key_free(c->key);
	trib_cert_free(c->root);
	trib_cert_free(c->issuing);
	trib_cert_free(c->server);
	trib_cert_free(c->client);
	trib_cert_free(c->expired);
	trib_cert_free(c->sign);
	trib_cert_free(c->not_hub);
}

struct fixture {
	struct ca ours, theirs;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	signal(SIGPIPE, SIG_IGN);
	ca_make(&f->ours);
	ca_make(&f->theirs);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ca_release(&f->ours);
	ca_release(&f->theirs);
	free(f);
	return 0;
}

/* The server process: says who came ("none", "expired", "node n/a"), then echoes until a clean end.
 * Exit: 0 clean end, 10 + code when accept failed, 50 + code when reading or writing failed. */
static int serve(struct ca *c, const struct trib_cert *cert, int fd)
{
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_cert *peer;
	struct trib_cert_id id;
	struct trib_err err;
	char who[300] = "none", buf[10000];
	size_t n = 0;
	int r;

	if (trib_tls_server_ctx(cert, c->issuing, c->root, c->key, &ctx, &err))
		return 1;
	if (trib_tls_accept(ctx, fd, MS, &t, &err)) {
		close(fd);
		trib_tls_ctx_free(ctx);
		return 10 + (int)err.code;
	}
	trib_tls_ctx_wipe_key(ctx);
	peer = trib_tls_peer(t);
	if (peer && !trib_cert_verify(peer, c->issuing, c->root, TRIB_USE_TLS_CLIENT, trib_now(), false, &id, &err))
		snprintf(who, sizeof who, "node %s", id.id);
	else if (peer)
		snprintf(who, sizeof who, "expired");
	trib_cert_free(peer);
	r = trib_tls_write(t, trib_span_str(who), MS, &err);
	while (!r) {
		r = trib_tls_read(t, buf, sizeof buf, MS, &n, &err);
		if (r || !n)
			break;
		r = trib_tls_write(t, trib_span(buf, n), MS, &err);
	}
	trib_tls_free(t);
	trib_tls_ctx_free(ctx);
	return r ? 50 + (int)err.code : 0;
}

/* Starts the server; returns the client's socket. */
static int start(struct ca *c, const struct trib_cert *cert, pid_t *ret_pid)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (!*ret_pid) {
		close(sv[0]);
		_exit(serve(c, cert, sv[1]));
	}
	close(sv[1]);
	return sv[0];
}

static int server_result(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void read_who(struct trib_tls *t, char *who, size_t size)
{
	struct trib_err err;
	size_t n = 0;

	if (trib_tls_read(t, who, size - 1, MS, &n, &err))
		fail_msg("%s", err.msg);
	who[n] = 0;
}

/* Connects with a certificate (or NULL) and expects the server's word. */
static void expect(struct ca *c, const struct trib_cert *cert, const struct trib_cert *issuing, bool pin, const char *word)
{
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_cert *root;
	struct trib_cert_id id;
	struct trib_err err;
	char who[300];
	pid_t pid;
	int fd = start(c, c->server, &pid);

	assert_int_equal(trib_tls_client_ctx(cert, issuing, c->key, pin ? NULL : c->root, pin ? c->pin : NULL, &ctx, &err), 0);
	if (trib_tls_connect(ctx, fd, "hub.example", MS, &t, &err))
		fail_msg("%s", err.msg);
	read_who(t, who, sizeof who);
	assert_string_equal(who, word);
	root = trib_tls_peer_root(t);
	assert_non_null(root);
	assert_int_equal(trib_cert_identity(root, &id, &err), 0);
	assert_memory_equal(id.sha256, c->pin, sizeof c->pin);
	trib_cert_free(root);
	root = trib_tls_peer(t);
	assert_int_equal(trib_cert_identity(root, &id, &err), 0);
	assert_int_equal(id.role, TRIB_ROLE_HUB);
	trib_cert_free(root);
	trib_tls_free(t);
	assert_int_equal(server_result(pid), 0);
	trib_tls_ctx_free(ctx);
}

static void a_node_is_known_by_its_certificate(void **state)
{
	struct ca *c = &((struct fixture *)*state)->ours;

	expect(c, c->client, c->issuing, false, "node n/a");
}

/* Stock git may be given the leaf alone: the server knows its own issuing certificate. */
static void a_lone_leaf_is_enough(void **state)
{
	struct ca *c = &((struct fixture *)*state)->ours;

	expect(c, c->client, NULL, false, "node n/a");
}

static void no_certificate_is_tolerated(void **state)
{
	struct ca *c = &((struct fixture *)*state)->ours;

	expect(c, NULL, NULL, false, "none");
}

static void an_expired_certificate_is_tolerated_and_shown(void **state)
{
	struct ca *c = &((struct fixture *)*state)->ours;

	expect(c, c->expired, c->issuing, false, "expired");
}

static void a_pin_suffices_and_yields_the_root(void **state)
{
	struct ca *c = &((struct fixture *)*state)->ours;

	expect(c, NULL, NULL, true, "none");
}

/* The client must refuse the server. */
static void refuse_server(struct ca *c, const struct trib_cert *server, const struct trib_cert *root, const uint8_t *pin, const char *why)
{
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_err err = {0};
	pid_t pid;
	int fd = start(c, server, &pid);

	assert_int_equal(trib_tls_client_ctx(NULL, NULL, NULL, root, pin, &ctx, &err), 0);
	assert_int_equal(trib_tls_connect(ctx, fd, "hub.example", MS, &t, &err), -1);
	assert_null(t);
	assert_int_equal(err.code, TRIB_E_CERT);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	close(fd);
	trib_tls_ctx_free(ctx);
	/* The server learns of it in the handshake, from the alert. */
	assert_int_equal(server_result(pid), 10 + TRIB_E_CERT);
}

static void a_server_of_another_city_is_refused(void **state)
{
	struct fixture *f = *state;

	refuse_server(&f->theirs, f->theirs.server, f->ours.root, NULL, "certificate");
	refuse_server(&f->theirs, f->theirs.server, NULL, f->ours.pin, "another one");
}

static void a_pin_of_something_else_in_the_chain_is_refused(void **state)
{
	struct fixture *f = *state;
	struct trib_cert_id id;
	struct trib_err err;

	assert_int_equal(trib_cert_identity(f->ours.issuing, &id, &err), 0);
	refuse_server(&f->ours, f->ours.server, NULL, id.sha256, "not a root");
	assert_int_equal(trib_cert_identity(f->ours.server, &id, &err), 0);
	refuse_server(&f->ours, f->ours.server, NULL, id.sha256, "not a root");
}

static void only_a_hub_may_be_the_server(void **state)
{
	struct fixture *f = *state;

	refuse_server(&f->ours, f->ours.not_hub, f->ours.root, NULL, "not that of a hub");
	refuse_server(&f->ours, f->ours.not_hub, NULL, f->ours.pin, "not that of a hub");
	refuse_server(&f->ours, f->ours.client, f->ours.root, NULL, "not made for a TLS server");
}

/* The server must refuse the client; in TLS 1.3 the client sees it at its first read. */
static void refuse_client(struct fixture *f, struct ca *of, const struct trib_cert *cert)
{
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_err err = {0};
	char buf[10];
	size_t n = 0;
	pid_t pid;
	int fd = start(&f->ours, f->ours.server, &pid);

	assert_int_equal(trib_tls_client_ctx(cert, of->issuing, of->key, f->ours.root, NULL, &ctx, &err), 0);
	assert_int_equal(trib_tls_connect(ctx, fd, "hub.example", MS, &t, &err), 0);
	assert_int_equal(trib_tls_read(t, buf, sizeof buf, MS, &n, &err), -1);
	assert_int_equal(err.code, TRIB_E_CERT);
	trib_tls_free(t);
	trib_tls_ctx_free(ctx);
	assert_int_equal(server_result(pid), 10 + TRIB_E_CERT);
}

static void a_client_of_another_city_or_use_is_refused(void **state)
{
	struct fixture *f = *state;

	refuse_client(f, &f->theirs, f->theirs.client);
	refuse_client(f, &f->ours, f->ours.sign);
	refuse_client(f, &f->ours, f->ours.server);
}

static void a_megabyte_goes_both_ways(void **state)
{
	struct fixture *f = *state;
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_err err;
	char who[300];
	uint8_t *out = malloc(TRIB_MIB), in[20000];
	size_t put = 0, got = 0, n = 0;
	pid_t pid;
	int fd = start(&f->ours, f->ours.server, &pid);

	for (size_t i = 0; i < TRIB_MIB; i++)
		out[i] = (uint8_t)(i * i >> 7);
	assert_int_equal(trib_tls_client_ctx(f->ours.client, f->ours.issuing, f->ours.key, f->ours.root, NULL, &ctx, &err), 0);
	assert_int_equal(trib_tls_connect(ctx, fd, NULL, MS, &t, &err), 0);
	read_who(t, who, sizeof who);
	while (got < TRIB_MIB) {
		if (put < TRIB_MIB && put - got < 60000) {
			assert_int_equal(trib_tls_write(t, trib_span(out + put, 32768), MS, &err), 0);
			put += 32768;
			continue;
		}
		if (trib_tls_read(t, in, sizeof in, MS, &n, &err))
			fail_msg("%s", err.msg);
		assert_true(n > 0);
		assert_memory_equal(in, out + got, n);
		got += n;
	}
	trib_tls_free(t);
	trib_tls_ctx_free(ctx);
	free(out);
	assert_int_equal(server_result(pid), 0);
}

static void silence_ends_at_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_err err;
	char who[300];
	size_t n = 0;
	int64_t t0;
	int sv[2], fd;
	pid_t pid;

	/* Nobody answers the handshake; the socket stays the caller's. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(trib_tls_client_ctx(NULL, NULL, NULL, f->ours.root, NULL, &ctx, &err), 0);
	t0 = trib_mono_ms();
	assert_int_equal(trib_tls_connect(ctx, sv[0], NULL, 100, &t, &err), -1);
	assert_int_equal(err.code, TRIB_E_UNREACHABLE);
	assert_non_null(strstr(err.msg, "silent"));
	assert_in_range(trib_mono_ms() - t0, 99, 20000);
	assert_int_equal(close(sv[0]), 0);
	close(sv[1]);
	/* The server waits for us and we for it. */
	fd = start(&f->ours, f->ours.server, &pid);
	assert_int_equal(trib_tls_connect(ctx, fd, NULL, MS, &t, &err), 0);
	read_who(t, who, sizeof who);
	t0 = trib_mono_ms();
	assert_int_equal(trib_tls_read(t, who, sizeof who, 100, &n, &err), -1);
	assert_int_equal(err.code, TRIB_E_UNREACHABLE);
	assert_in_range(trib_mono_ms() - t0, 99, 20000);
	trib_tls_free(t);
	trib_tls_ctx_free(ctx);
	/* A connection given up is cut, not ended: the other side must not take it for complete. */
	assert_int_equal(server_result(pid), 50 + TRIB_E_UNREACHABLE);
}

/* A good certificate was tried against others before: what was said of those is no reason for anything later. */
static void a_line_that_is_cut_is_no_fault_of_a_certificate(void **state)
{
	struct fixture *f = *state;
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_err err;
	char who[300];
	size_t n = 0;
	int status;
	pid_t pid;
	int fd = start(&f->ours, f->ours.server, &pid);

	assert_int_equal(trib_tls_client_ctx(f->ours.client, f->ours.issuing, f->ours.key, f->ours.root, NULL, &ctx, &err), 0);
	assert_int_equal(trib_tls_connect(ctx, fd, "hub.example", MS, &t, &err), 0);
	read_who(t, who, sizeof who);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(trib_tls_read(t, who, sizeof who, MS, &n, &err), -1);
	assert_int_equal(err.code, TRIB_E_UNREACHABLE);
	assert_null(strstr(err.msg, "certificate"));
	trib_tls_free(t);
	/* And in the middle of the handshake. */
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0);
	assert_int_equal(trib_tls_connect(ctx, sv[0], "hub.example", MS, &t, &err), -1);
	assert_int_equal(err.code, TRIB_E_UNREACHABLE);
	close(sv[0]);
	close(sv[1]);
	trib_tls_ctx_free(ctx);
}

static void a_peer_that_does_not_speak_tls_is_an_error(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int fd = start(&f->ours, f->ours.server, &pid);

	assert_true(write(fd, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
	assert_int_equal(server_result(pid), 10 + TRIB_E_IO);
	close(fd);
}

/* TLS 1.2 has another handshake and must not be spoken. */
static void an_older_tls_is_refused(void **state)
{
	struct fixture *f = *state;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	pid_t pid;
	int fd = start(&f->ours, f->ours.server, &pid);

	assert_non_null(ctx);
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	assert_int_not_equal(SSL_connect(ssl), 1);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	assert_int_equal(server_result(pid), 10 + TRIB_E_IO);
}

static void a_wiped_key_is_gone(void **state)
{
	struct fixture *f = *state;
	struct trib_tls_ctx *ctx = NULL;
	struct trib_tls *t = NULL;
	struct trib_err err;
	pid_t pid;
	int fd = start(&f->ours, f->ours.server, &pid);

	assert_int_equal(trib_tls_client_ctx(f->ours.client, f->ours.issuing, f->ours.key, f->ours.root, NULL, &ctx, &err), 0);
	trib_tls_ctx_wipe_key(ctx);
	assert_int_equal(trib_tls_connect(ctx, fd, NULL, MS, &t, &err), -1);
	assert_non_null(strstr(err.msg, "wiped"));
	close(fd);
	trib_tls_ctx_free(ctx);
	server_result(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_known_by_its_certificate),
		cmocka_unit_test(a_lone_leaf_is_enough),
		cmocka_unit_test(no_certificate_is_tolerated),
		cmocka_unit_test(an_expired_certificate_is_tolerated_and_shown),
		cmocka_unit_test(a_pin_suffices_and_yields_the_root),
		cmocka_unit_test(a_server_of_another_city_is_refused),
		cmocka_unit_test(a_pin_of_something_else_in_the_chain_is_refused),
		cmocka_unit_test(only_a_hub_may_be_the_server),
		cmocka_unit_test(a_client_of_another_city_or_use_is_refused),
		cmocka_unit_test(a_megabyte_goes_both_ways),
		cmocka_unit_test(silence_ends_at_the_deadline),
		cmocka_unit_test(a_line_that_is_cut_is_no_fault_of_a_certificate),
		cmocka_unit_test(a_peer_that_does_not_speak_tls_is_an_error),
		cmocka_unit_test(an_older_tls_is_refused),
		cmocka_unit_test(a_wiped_key_is_gone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
