#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "core/trust/cert.h"

#define NOW ((int64_t)1795600000) /* 2026-11-25 */
#define YEAR ((int64_t)31557600)
#define CITY "遵义市"

struct ca {
	struct trib_key *root_key, *issuing_key, *key, *other;
	struct trib_cert *root, *issuing, *leaf;
};

static struct trib_cert_spec node_spec(void)
{
	return (struct trib_cert_spec){.role = TRIB_ROLE_NODE, .id = "520303002001/resident", .subject = "红花岗区某社区居委会",
				       .use = TRIB_USE_SIGN, .not_before = NOW - 3600, .not_after = NOW + 10 * YEAR};
}

static int setup(void **state)
{
	struct ca *c = calloc(1, sizeof *c);
	struct trib_cert_spec spec = node_spec();
	struct trib_err err;

	assert_non_null(c);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->root_key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->issuing_key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->other, &err), 0);
	assert_int_equal(trib_cert_make_root(c->root_key, CITY, NOW, &c->root, &err), 0);
	assert_int_equal(trib_cert_make_issuing(c->issuing_key, CITY, c->root_key, c->root, NOW, &c->issuing, &err), 0);
	assert_int_equal(trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &c->leaf, &err), 0);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct ca *c = *state;

	trib_key_free(c->root_key);
	trib_key_free(c->issuing_key);
	trib_key_free(c->key);
	trib_key_free(c->other);
	trib_cert_free(c->root);
	trib_cert_free(c->issuing);
	trib_cert_free(c->leaf);
	free(c);
	return 0;
}

static struct trib_cert *issue(struct ca *c, const struct trib_cert_spec *spec)
{
	struct trib_cert *cert = NULL;
	struct trib_err err;

	assert_int_equal(trib_cert_issue(spec, NULL, c->key, c->issuing_key, c->issuing, &cert, &err), 0);
	return cert;
}

static void assert_refused(const struct trib_cert *leaf, const struct trib_cert *issuing, const struct trib_cert *root,
			   enum trib_cert_use use, int64_t at, bool expired_ok, const char *why)
{
	struct trib_cert_id id;
	struct trib_err err = {0};

	assert_int_equal(trib_cert_verify(leaf, issuing, root, use, at, expired_ok, &id, &err), -1);
	assert_int_equal(err.code, TRIB_E_CERT);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void a_leaf_under_the_root_is_good_and_says_who_it_is(void **state)
{
	struct ca *c = *state;
	struct trib_cert_id id;
	struct trib_err err;

	assert_int_equal(trib_cert_verify(c->leaf, c->issuing, c->root, TRIB_USE_SIGN, NOW, false, &id, &err), 0);
	assert_int_equal(id.role, TRIB_ROLE_NODE);
	assert_string_equal(id.id, "520303002001/resident");
	assert_string_equal(id.node, "520303002001");
	assert_string_equal(id.app, "resident");
	assert_string_equal(id.subject, "红花岗区某社区居委会");
	assert_int_equal(strlen(id.serial), 32);
	assert_int_equal(id.not_before, NOW - 3600);
	assert_int_equal(id.not_after, NOW + 10 * YEAR);
	assert_false(id.self_signed);
	assert_int_equal(trib_cert_identity(c->root, &id, &err), 0);
	assert_true(id.self_signed);
	assert_int_equal(id.role, TRIB_ROLE_NONE);
	assert_string_equal(id.subject, CITY " root CA");
	assert_int_equal(id.not_after, NOW + 30 * YEAR);
	assert_int_equal(trib_cert_identity(c->issuing, &id, &err), 0);
	assert_false(id.self_signed);
	assert_string_equal(id.subject, CITY " issuing CA");
	assert_int_equal(id.not_after, NOW + 20 * YEAR);
}

static void time_is_judged_at_the_given_moment(void **state)
{
	struct ca *c = *state;
	struct trib_cert_id id;
	struct trib_err err;

	assert_refused(c->leaf, c->issuing, c->root, TRIB_USE_SIGN, NOW - 3601, false, "not yet valid");
	assert_refused(c->leaf, c->issuing, c->root, TRIB_USE_SIGN, NOW - 3601, true, "not yet valid");
	assert_int_equal(trib_cert_verify(c->leaf, c->issuing, c->root, TRIB_USE_SIGN, NOW - 3600, false, &id, &err), 0);
	assert_refused(c->leaf, c->issuing, c->root, TRIB_USE_SIGN, NOW + 10 * YEAR + 1, false, "expired");
	assert_int_equal(trib_cert_verify(c->leaf, c->issuing, c->root, TRIB_USE_SIGN, NOW + 10 * YEAR + 1, true, &id, &err), 0);
	/* The issuing certificate's end is not forgiven. */
	assert_refused(c->leaf, c->issuing, c->root, TRIB_USE_SIGN, NOW + 20 * YEAR + 1, true, "issuing certificate: certificate has expired");
}

static void a_leaf_serves_only_its_use(void **state)
{
	struct ca *c = *state;
	struct trib_cert_spec spec = node_spec();
	struct trib_cert_id id;
	struct trib_err err;
	struct trib_cert *tls;

	assert_refused(c->leaf, c->issuing, c->root, TRIB_USE_TLS_CLIENT, NOW, false, "not made for a TLS client");
	assert_refused(c->leaf, c->issuing, c->root, TRIB_USE_TLS_SERVER, NOW, false, "not made for a TLS server");
	spec.use = TRIB_USE_TLS_CLIENT;
	tls = issue(c, &spec);
	assert_refused(tls, c->issuing, c->root, TRIB_USE_SIGN, NOW, false, "not made for signing");
	assert_int_equal(trib_cert_verify(tls, c->issuing, c->root, TRIB_USE_TLS_CLIENT, NOW, false, &id, &err), 0);
	trib_cert_free(tls);
}

static void a_foreign_chain_is_refused(void **state)
{
	struct ca *c = *state;
	void *s2 = NULL;
	struct ca *d;

	setup(&s2);
	d = s2;
	/* Same names, other keys. */
	assert_refused(c->leaf, c->issuing, d->root, TRIB_USE_SIGN, NOW, false, "certificate");
	assert_refused(c->leaf, d->issuing, c->root, TRIB_USE_SIGN, NOW, false, "certificate");
	assert_refused(c->leaf, d->issuing, d->root, TRIB_USE_SIGN, NOW, false, "certificate");
	assert_refused(c->leaf, c->leaf, c->root, TRIB_USE_SIGN, NOW, false, "may not sign");
	assert_refused(c->leaf, c->root, c->root, TRIB_USE_SIGN, NOW, false, "certificate");
	assert_refused(c->issuing, c->issuing, c->root, TRIB_USE_SIGN, NOW, false, "not an end certificate");
	assert_refused(c->leaf, NULL, c->root, TRIB_USE_SIGN, NOW, false, "missing");
	teardown(&s2);
}

/* A leaf's key cannot certify: the chain breaks at its missing CA bit. */
static void a_leaf_cannot_issue(void **state)
{
	struct ca *c = *state;
	struct trib_cert_spec spec = node_spec();
	struct trib_cert *evil = NULL;
	struct trib_err err;

	assert_int_equal(trib_cert_issue(&spec, NULL, c->other, c->key, c->leaf, &evil, &err), 0);
	assert_refused(evil, c->leaf, c->root, TRIB_USE_SIGN, NOW, false, "may not sign");
	trib_cert_free(evil);
}

static void a_leaf_straight_under_the_root_is_refused(void **state)
{
	struct ca *c = *state;
	struct trib_cert_spec spec = node_spec();
	struct trib_cert *direct = NULL;
	struct trib_err err;

	assert_int_equal(trib_cert_issue(&spec, NULL, c->key, c->root_key, c->root, &direct, &err), 0);
	assert_refused(direct, c->issuing, c->root, TRIB_USE_SIGN, NOW, false, "was not issued by this issuing certificate");
	trib_cert_free(direct);
}

static void every_role_has_its_form_of_id(void **state)
{
	static const struct {
		enum trib_role role;
		const char *id;
		bool good;
	} t[] = {
		{TRIB_ROLE_NODE, "a/b", true},	    {TRIB_ROLE_NODE, "a", false},	  {TRIB_ROLE_NODE, "a/b/c", false},
		{TRIB_ROLE_NODE, "/b", false},	    {TRIB_ROLE_NODE, "a/", false},	  {TRIB_ROLE_NODE, "../b", false},
		{TRIB_ROLE_NODE, "a/b c", false},   {TRIB_ROLE_HUB, "hub", true},	  {TRIB_ROLE_HUB, "hub2", false},
		{TRIB_ROLE_AUDITOR, "bureau", true}, {TRIB_ROLE_AUDITOR, "a/b", false}, {TRIB_ROLE_ADMIN, "wang", true},
		{TRIB_ROLE_ADMIN, "", false},	    {TRIB_ROLE_NONE, "x", false},
	};
	struct ca *c = *state;

	for (size_t i = 0; i < TRIB_COUNT(t); i++) {
		struct trib_cert_spec spec = node_spec();
		struct trib_cert *cert = NULL;
		struct trib_cert_id id;
		struct trib_err err;
		int r;

		spec.role = t[i].role;
		spec.id = t[i].id;
		r = trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &cert, &err);
		if (r != (t[i].good ? 0 : -1))
			fail_msg("case %zu: %s", i, t[i].id);
		if (r)
			continue;
		assert_int_equal(trib_cert_verify(cert, c->issuing, c->root, TRIB_USE_SIGN, NOW, false, &id, &err), 0);
		assert_int_equal(id.role, t[i].role);
		assert_string_equal(id.id, t[i].id);
		trib_cert_free(cert);
	}
}

static void ids_at_the_limit_pass_and_beyond_it_fail(void **state)
{
	struct ca *c = *state;
	struct trib_cert_spec spec = node_spec();
	struct trib_cert *cert;
	struct trib_cert_id id;
	struct trib_err err;
	char name[TRIB_NODE_MAX + TRIB_APP_MAX + 3];

	memset(name, 'n', sizeof name);
	name[TRIB_NODE_MAX] = '/';
	name[TRIB_NODE_MAX + 1 + TRIB_APP_MAX] = 0;
	spec.id = name;
	cert = issue(c, &spec);
	assert_int_equal(trib_cert_identity(cert, &id, &err), 0);
	assert_string_equal(id.id, name);
	trib_cert_free(cert);
	name[TRIB_NODE_MAX + 1 + TRIB_APP_MAX] = 'n';
	name[TRIB_NODE_MAX + 1 + TRIB_APP_MAX + 1] = 0;
	assert_int_equal(trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &cert, &err), -1);
}

static void long_names_are_cut_at_a_character(void **state)
{
	struct ca *c = *state;
	struct trib_cert_spec spec = node_spec();
	struct trib_cert *cert;
	struct trib_cert_id id;
	struct trib_err err;
	char name[255 + 1] = "";

	for (size_t i = 0; i < 85; i++)
		memcpy(name + 3 * i, "社", 3);
	spec.subject = name;
	cert = issue(c, &spec);
	assert_int_equal(trib_cert_identity(cert, &id, &err), 0);
	assert_int_equal(strlen(id.subject), 64 * 3);
	assert_memory_equal(id.subject, name, 64 * 3);
	trib_cert_free(cert);
	spec.subject = "\xff\xfe";
	assert_int_equal(trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &cert, &err), -1);
	spec.subject = "";
	assert_int_equal(trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &cert, &err), -1);
}

static void hosts_are_names_or_addresses(void **state)
{
	static const char *const good[] = {"hub.example", "127.0.0.1", "::1", NULL}, *const bad[] = {"a,DNS:b", NULL};
	struct ca *c = *state;
	struct trib_cert_spec spec = {.role = TRIB_ROLE_HUB, .id = "hub", .subject = "hub", .use = TRIB_USE_TLS_SERVER,
				      .not_before = NOW, .not_after = NOW + 1000, .hosts = good};
	struct trib_cert *cert = issue(c, &spec);
	struct trib_cert_id id;
	struct trib_err err;

	assert_int_equal(trib_cert_verify(cert, c->issuing, c->root, TRIB_USE_TLS_SERVER, NOW, false, &id, &err), 0);
	assert_int_equal(id.role, TRIB_ROLE_HUB);
	trib_cert_free(cert);
	spec.hosts = bad;
	assert_int_equal(trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &cert, &err), -1);
	assert_int_equal(err.code, TRIB_E_USAGE);
}

static void a_leaf_never_outlives_its_issuer(void **state)
{
	struct ca *c = *state;
	struct trib_cert_spec spec = node_spec();
	struct trib_cert *cert;
	struct trib_cert_id id;
	struct trib_err err;

	spec.not_after = NOW + 100 * YEAR;
	cert = issue(c, &spec);
	assert_int_equal(trib_cert_identity(cert, &id, &err), 0);
	assert_int_equal(id.not_after, NOW + 20 * YEAR);
	trib_cert_free(cert);
	spec.not_before = spec.not_after = NOW;
	assert_int_equal(trib_cert_issue(&spec, NULL, c->key, c->issuing_key, c->issuing, &cert, &err), -1);
}

static void a_self_signed_node_is_judged_alone(void **state)
{
	struct ca *c = *state;
	struct trib_cert_spec spec = node_spec();
	struct trib_cert *self = NULL;
	struct trib_cert_id id;
	struct trib_err err;

	assert_int_equal(trib_cert_make_self(&spec, c->key, &self, &err), 0);
	if (trib_cert_verify_self(self, &id, &err))
		fail_msg("%s", err.msg);
	assert_true(id.self_signed);
	assert_string_equal(id.node, "520303002001");
	assert_refused(self, c->issuing, c->root, TRIB_USE_SIGN, NOW, false, "certificate");
	trib_cert_free(self);
	/* Issued by another key, another role, another use: no. */
	assert_int_equal(trib_cert_verify_self(c->leaf, &id, &err), -1);
	assert_int_equal(trib_cert_verify_self(c->root, &id, &err), -1);
	spec.role = TRIB_ROLE_HUB;
	spec.id = "hub";
	assert_int_equal(trib_cert_make_self(&spec, c->key, &self, &err), 0);
	assert_int_equal(trib_cert_verify_self(self, &id, &err), -1);
	trib_cert_free(self);
	spec = node_spec();
	spec.use = TRIB_USE_TLS_CLIENT;
	assert_int_equal(trib_cert_make_self(&spec, c->key, &self, &err), 0);
	assert_int_equal(trib_cert_verify_self(self, &id, &err), -1);
	trib_cert_free(self);
}

static void pem_round_trips_and_nothing_else_is_read(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX), again = TRIB_BUF(TRIB_SIGNER_MAX), bad = TRIB_BUF(2 * TRIB_SIGNER_MAX);
	struct trib_cert *got[2] = {NULL};
	struct trib_err err;
	size_t n = 0;

	assert_int_equal(trib_cert_pem(c->leaf, &pem, &err), 0);
	assert_int_equal(trib_cert_pem(c->issuing, &pem, &err), 0);
	assert_int_equal(trib_certs_parse_pem(trib_buf_span(&pem), got, 2, &n, &err), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(trib_cert_pem(got[i], &again, &err), 0);
		trib_cert_free(got[i]);
	}
	assert_true(trib_span_eq(trib_buf_span(&pem), trib_buf_span(&again)));
	assert_int_equal(trib_certs_parse_pem(trib_buf_span(&pem), got, 1, &n, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(trib_certs_parse_pem(trib_span("", 0), got, 2, &n, &err), -1);
	/* Every truncation and every byte changed is refused. (A changed byte in a certificate's signature may still parse, but
	 * then it is another certificate: the PEM differs.) */
	for (size_t i = 0; i < pem.len; i++)
		if (!trib_certs_parse_pem(trib_span(pem.p, i), got, 2, &n, &err)) {
			assert_int_equal(n, 1);
			assert_int_equal(pem.p[i - 1], '\n');
			trib_cert_free(got[0]);
		}
	trib_buf_puts(&bad, "text\n");
	trib_buf_put_span(&bad, trib_buf_span(&pem));
	assert_int_equal(trib_certs_parse_pem(trib_buf_span(&bad), got, 2, &n, &err), -1);
	trib_buf_reset(&bad);
	trib_buf_put_span(&bad, trib_buf_span(&pem));
	trib_buf_putc(&bad, '\n');
	assert_int_equal(trib_certs_parse_pem(trib_buf_span(&bad), got, 2, &n, &err), -1);
	trib_buf_reset(&bad);
	for (size_t i = 0; i < pem.len; i++) {
		if (pem.p[i] == '\n')
			trib_buf_putc(&bad, '\r');
		trib_buf_putc(&bad, pem.p[i]);
	}
	assert_int_equal(trib_certs_parse_pem(trib_buf_span(&bad), got, 2, &n, &err), -1);
	trib_buf_reset(&bad);
	while (bad.len <= TRIB_SIGNER_MAX)
		trib_buf_put_span(&bad, trib_buf_span(&pem));
	assert_int_equal(trib_certs_parse_pem(trib_buf_span(&bad), got, 2, &n, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void a_file_holds_one_certificate(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	char dir[] = "/tmp/trib-cert-XXXXXX";
	char *path, cmd[300];
	struct trib_cert *got = NULL;
	struct trib_cert_id a, b;
	struct trib_err err;

	assert_non_null(mkdtemp(dir));
	path = trib_path(dir, "c.pem");
	assert_int_equal(trib_cert_load(path, &got, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	assert_int_equal(trib_cert_pem(c->leaf, &pem, &err), 0);
	assert_int_equal(trib_fs_write(path, trib_buf_span(&pem), 0644, &err), 0);
	assert_int_equal(trib_cert_load(path, &got, &err), 0);
	assert_int_equal(trib_cert_identity(got, &a, &err), 0);
	assert_int_equal(trib_cert_identity(c->leaf, &b, &err), 0);
	assert_memory_equal(a.sha256, b.sha256, sizeof a.sha256);
	trib_cert_free(got);
	/* What the openssl program writes is the same text. */
	snprintf(cmd, sizeof cmd, "openssl x509 -in %s | cmp -s - %s", path, path);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
	free(path);
}

static void a_request_proves_its_key_and_names_nobody(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_cert_spec spec = node_spec();
	struct trib_csr *csr = NULL, *bad = NULL;
	struct trib_cert *cert = NULL;
	struct trib_cert_id id;
	struct trib_err err;

	assert_int_equal(trib_csr_make(c->other, "evil", "other", &pem, &err), 0);
	assert_int_equal(trib_csr_parse(trib_buf_span(&pem), &csr, &err), 0);
	assert_int_equal(trib_cert_issue(&spec, csr, NULL, c->issuing_key, c->issuing, &cert, &err), 0);
	assert_int_equal(trib_cert_matches(cert, c->other, &err), 0);
	assert_int_equal(trib_cert_matches(cert, c->key, &err), -1);
	assert_int_equal(trib_cert_verify(cert, c->issuing, c->root, TRIB_USE_SIGN, NOW, false, &id, &err), 0);
	assert_string_equal(id.node, "520303002001");
	trib_cert_free(cert);
	trib_csr_free(csr);
	/* Any changed base64 digit breaks the text, the structure, or the signature. */
	for (size_t i = 36; i + 34 < pem.len; i += 3) {
		uint8_t old = pem.p[i];

		if (old == '\n')
			continue;
		pem.p[i] = old == 'A' ? 'B' : 'A';
		assert_int_equal(trib_csr_parse(trib_buf_span(&pem), &bad, &err), -1);
		pem.p[i] = old;
	}
	trib_buf_putc(&pem, '\n');
	assert_int_equal(trib_csr_parse(trib_buf_span(&pem), &bad, &err), -1);
}

static int make_with_openssl(const char *dir, const char *script)
{
	char cmd[1200];

	snprintf(cmd, sizeof cmd, "cd %s && { %s; } >/dev/null 2>&1", dir, script);
	return system(cmd);
}

static void other_key_types_and_double_roles_are_refused(void **state)
{
	struct ca *c = *state;
	char dir[] = "/tmp/trib-cert-XXXXXX";
	char *path;
	TRIB_AUTO(trib_buf) struct trib_buf csr = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_cert *cert = NULL;
	struct trib_csr *req = NULL;
	struct trib_cert_id id;
	struct trib_err err;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(make_with_openssl(dir, "openssl req -newkey rsa:2048 -nodes -keyout k -subj /CN=x -out rsa.csr;"
						"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout k -subj /CN=x -out p384.csr;"
						"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj /CN=x -sha256 -out two.pem "
						"-addext subjectAltName=URI:urn:tributary:node:a/b,URI:urn:tributary:hub:hub;"
						"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj /CN=x -sha256 -out odd.pem "
						"-addext subjectAltName=URI:URN:Tributary:node:a/b"),
			 0);
	for (size_t i = 0; i < 2; i++) {
		path = trib_path(dir, i ? "rsa.csr" : "p384.csr");
		trib_buf_reset(&csr);
		assert_int_equal(trib_fs_read(path, &csr, &err), 0);
		assert_int_equal(trib_csr_parse(trib_buf_span(&csr), &req, &err), -1);
		assert_non_null(strstr(err.msg, "only ECDSA P-256"));
		free(path);
		path = trib_path(dir, i ? "two.pem" : "odd.pem");
		assert_int_equal(trib_cert_load(path, &cert, &err), 0);
		assert_int_equal(trib_cert_identity(cert, &id, &err), -1);
		assert_int_equal(err.code, TRIB_E_CERT);
		trib_cert_free(cert);
		free(path);
	}
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
	(void)c;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_under_the_root_is_good_and_says_who_it_is),
		cmocka_unit_test(time_is_judged_at_the_given_moment),
		cmocka_unit_test(a_leaf_serves_only_its_use),
		cmocka_unit_test(a_foreign_chain_is_refused),
		cmocka_unit_test(a_leaf_cannot_issue),
		cmocka_unit_test(a_leaf_straight_under_the_root_is_refused),
		cmocka_unit_test(every_role_has_its_form_of_id),
		cmocka_unit_test(ids_at_the_limit_pass_and_beyond_it_fail),
		cmocka_unit_test(long_names_are_cut_at_a_character),
		cmocka_unit_test(hosts_are_names_or_addresses),
		cmocka_unit_test(a_leaf_never_outlives_its_issuer),
		cmocka_unit_test(a_self_signed_node_is_judged_alone),
		cmocka_unit_test(pem_round_trips_and_nothing_else_is_read),
		cmocka_unit_test(a_file_holds_one_certificate),
		cmocka_unit_test(a_request_proves_its_key_and_names_nobody),
		cmocka_unit_test(other_key_types_and_double_roles_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
