/* Signatures of commits. Called as `test_sign --make-repo DIR` it makes DIR/repo with good and bad commits and DIR/root.pem
 * for tests/e2e/stock-verify.t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/trust/hash.h"
#include "core/trust/ossl.h"
#include "core/trust/pem.h"
#include "core/trust/sign.h"

#define NOW ((int64_t)1795600000) /* 2026-11-25 */
#define YEAR ((int64_t)31557600)
#define NODE_ID "520303002001/resident"
#define CITY "遵义市"
#define PAYLOAD "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <n/a@tributary> 1 +0000\n\ntext\n"

struct ca {
	struct trib_key *root_key, *issuing_key, *key, *tls_key;
	struct trib_cert *root, *issuing, *leaf, *tls;
};

static struct trib_span payload(void) { return trib_span_str(PAYLOAD); }

static int make_leaf(struct ca *c, enum trib_cert_use use, const struct trib_key *key, int64_t now, struct trib_cert **ret, struct trib_err *err)
{
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = NODE_ID, .subject = "红花岗区某社区居委会", .use = use,
				      .not_before = now - 3600, .not_after = now + 10 * YEAR};

	return trib_cert_issue(&spec, NULL, key, c->issuing_key, c->issuing, ret, err);
}

static int ca_make(struct ca *c, int64_t now, struct trib_err *err)
{
	if (trib_key_make(TRIB_KEY_P256, &c->root_key, err) || trib_key_make(TRIB_KEY_P256, &c->issuing_key, err) ||
	    trib_key_make(TRIB_KEY_P256, &c->key, err) || trib_key_make(TRIB_KEY_P256, &c->tls_key, err) ||
	    trib_cert_make_root(c->root_key, CITY, now, &c->root, err) ||
	    trib_cert_make_issuing(c->issuing_key, CITY, c->root_key, c->root, now, &c->issuing, err) ||
	    make_leaf(c, TRIB_USE_SIGN, c->key, now, &c->leaf, err) || make_leaf(c, TRIB_USE_TLS_CLIENT, c->tls_key, now, &c->tls, err))
		return -1;
	return 0;
}

static void ca_release(struct ca *c)
{
	trib_key_free(c->root_key);
	trib_key_free(c->issuing_key);
	trib_key_free(c->key);
	trib_key_free(c->tls_key);
	trib_cert_free(c->root);
	trib_cert_free(c->issuing);
	trib_cert_free(c->leaf);
	trib_cert_free(c->tls);
}

static int setup(void **state)
{
	struct ca *c = calloc(1, sizeof *c);
	struct trib_err err;

	assert_non_null(c);
	assert_int_equal(ca_make(c, NOW, &err), 0);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	ca_release(*state);
	free(*state);
	return 0;
}

static void sign_into(struct trib_buf *pem, struct ca *c)
{
	struct trib_err err;

	trib_buf_init(pem, TRIB_SIG_MAX);
	if (trib_sign(payload(), c->key, c->leaf, NOW, pem, &err))
		fail_msg("%s", err.msg);
}

static void assert_bad(struct trib_span text, struct trib_span pem, const struct trib_cert *cert)
{
	struct trib_err err = {0};

	assert_int_equal(trib_sign_verify(text, pem, cert, &err), -1);
	assert_int_equal(err.code, TRIB_E_SIGNATURE);
}

static void a_signature_holds_for_its_text_and_certificate(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem;
	struct trib_err err;
	struct trib_cert *again = NULL;

	sign_into(&pem, c);
	assert_int_equal(trib_sign_verify(payload(), trib_buf_span(&pem), c->leaf, &err), 0);
	assert_true(trib_span_starts(trib_buf_span(&pem), "-----BEGIN SIGNED MESSAGE-----\n"));
	assert_int_equal(pem.p[pem.len - 1], '-');
	assert_in_range(pem.len, 450, 650);
	assert_bad(trib_span_str(PAYLOAD " "), trib_buf_span(&pem), c->leaf);
	assert_bad(trib_span(PAYLOAD, sizeof PAYLOAD - 2), trib_buf_span(&pem), c->leaf);
	assert_bad(trib_span("", 0), trib_buf_span(&pem), c->leaf);
	assert_bad(payload(), trib_buf_span(&pem), c->tls);
	assert_bad(payload(), trib_buf_span(&pem), c->issuing);
	/* Another certificate for the same key is another signer: the serial number differs. */
	assert_int_equal(make_leaf(c, TRIB_USE_SIGN, c->key, NOW, &again, &err), 0);
	assert_bad(payload(), trib_buf_span(&pem), again);
	trib_cert_free(again);
}

static void a_key_without_its_certificate_does_not_sign(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_err err;

	assert_int_equal(trib_sign(payload(), c->key, c->tls, NOW, &pem, &err), -1);
	assert_int_equal(err.code, TRIB_E_CERT);
	assert_int_equal(pem.len, 0);
}

static void every_changed_digit_is_refused(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem;

	sign_into(&pem, c);
	for (size_t i = 0; i < pem.len; i++) {
		uint8_t old = pem.p[i];

		pem.p[i] = old == 'A' ? 'B' : 'A';
		assert_bad(payload(), trib_buf_span(&pem), c->leaf);
		pem.p[i] = old;
		assert_bad(payload(), trib_span(pem.p, i), c->leaf);
	}
}

static void other_texts_around_it_are_refused(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem, bad = TRIB_BUF(4 * TRIB_SIG_MAX);
	struct trib_span s;

	sign_into(&pem, c);
	s = trib_buf_span(&pem);
	trib_buf_put_span(&bad, s);
	trib_buf_putc(&bad, '\n');
	assert_bad(payload(), trib_buf_span(&bad), c->leaf);
	trib_buf_reset(&bad);
	trib_buf_putc(&bad, '\n');
	trib_buf_put_span(&bad, s);
	assert_bad(payload(), trib_buf_span(&bad), c->leaf);
	trib_buf_reset(&bad);
	trib_buf_put_span(&bad, s);
	trib_buf_putc(&bad, '\n');
	trib_buf_put_span(&bad, s);
	assert_bad(payload(), trib_buf_span(&bad), c->leaf);
	trib_buf_reset(&bad);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			trib_buf_putc(&bad, '\r');
		trib_buf_putc(&bad, s.p[i]);
	}
	assert_bad(payload(), trib_buf_span(&bad), c->leaf);
	trib_buf_reset(&bad);
	while (bad.len <= TRIB_SIG_MAX)
		trib_buf_put_span(&bad, s);
	assert_bad(payload(), trib_buf_span(&bad), c->leaf);
}

static void text_up_to_a_commits_size_is_signed(void **state)
{
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_COMMIT_MAX + 1), pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_err err;

	memset(trib_buf_grow(&text, TRIB_COMMIT_MAX), 'x', TRIB_COMMIT_MAX);
	assert_int_equal(trib_sign(trib_buf_span(&text), c->key, c->leaf, NOW, &pem, &err), 0);
	assert_int_equal(trib_sign_verify(trib_buf_span(&text), trib_buf_span(&pem), c->leaf, &err), 0);
	trib_buf_putc(&text, 'x');
	assert_int_equal(trib_sign(trib_buf_span(&text), c->key, c->leaf, NOW, &pem, &err), -1);
	assert_bad(trib_buf_span(&text), trib_buf_span(&pem), c->leaf);
}

/* ---- signatures made by hand: right keys, wrong shapes ---- */

struct craft { /* where it differs from a right signature; zeroed: nowhere */
	const char *type, *time; /* DER of the values */
	const char *order;       /* of the attributes: c, t, d; and x, one more */
	uint8_t tag;             /* that is hashed, in place of SET */
	int digest;              /* bytes more or less of the digest */
	size_t extra;            /* bytes after the ECDSA signature */
	bool two_values, long_form, other_text;
};
#define OID_DATA "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define OID_SIGNED_DATA "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define OID_ATTR "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09"

static void wrap(struct trib_buf *b, size_t from, uint8_t tag) /* what stands from there on becomes one element */
{
	size_t n = b->len - from;
	uint8_t head[4] = {tag, (uint8_t)n}, *p;
	size_t k = 2;

	if (n > 0x7f) {
		head[1] = n > 0xff ? 0x82 : 0x81;
		if (n > 0xff)
			head[k++] = (uint8_t)(n >> 8);
		head[k++] = (uint8_t)n;
	}
	p = trib_buf_grow(b, k);
	assert_non_null(p);
	memmove(b->p + from + k, b->p + from, n);
	memcpy(b->p + from, head, k);
}

static void put_attribute(struct trib_buf *b, const struct craft *c, char which)
{
	uint8_t digest[64] = {0};
	size_t from = b->len, at;

	trib_buf_puts(b, OID_ATTR);
	trib_buf_putc(b, which == 'c' ? 3 : which == 't' ? 5 : which == 'd' ? 4 : 15);
	at = b->len;
	if (which == 'd') {
		trib_sha256(digest, c->other_text ? trib_span_str("other") : payload());
		trib_buf_put(b, digest, (size_t)(TRIB_SHA256_LEN + c->digest));
		wrap(b, at, 0x04);
	} else {
		const char *v = which != 't' ? (c->type ? c->type : OID_DATA) : c->time ? c->time : "\x17\x0d" "261125124640Z";
		trib_buf_put(b, v, 2 + (size_t)v[1]);
		if (which == 't' && c->two_values)
			trib_buf_put(b, v, 2 + (size_t)v[1]);
	}
	wrap(b, at, 0x31);
	wrap(b, from, 0x30);
	if (which == 'c' && c->long_form) { /* 30 18 as 30 81 18 */
		assert_non_null(trib_buf_grow(b, 1));
		memmove(b->p + from + 2, b->p + from + 1, b->len - from - 2);
		b->p[from + 1] = 0x81;
	}
}

static void put_ecdsa(struct trib_buf *b, const struct ca *ca, struct trib_span attrs, const struct craft *c)
{
	TRIB_AUTO(trib_buf) struct trib_buf set = TRIB_BUF(TRIB_SIG_MAX);
	uint8_t hash[TRIB_SHA256_LEN], sig[128];
	size_t n = sizeof(sig), at = b->len;
	EVP_PKEY_CTX *k = EVP_PKEY_CTX_new(trib_key_pkey(ca->key), NULL);

	trib_buf_put_span(&set, attrs);
	wrap(&set, 0, c->tag ? c->tag : 0x31);
	trib_sha256(hash, trib_buf_span(&set));
	assert_int_equal(EVP_PKEY_sign_init(k), 1);
	assert_int_equal(EVP_PKEY_sign(k, sig, &n, hash, sizeof(hash)), 1);
	EVP_PKEY_CTX_free(k);
	trib_buf_put(b, sig, n);
	for (size_t i = 0; i < c->extra; i++)
		trib_buf_putc(b, 0);
	wrap(b, at, 0x04);
}

static void put_sid(struct trib_buf *b, const struct ca *ca)
{
	X509 *x = trib_cert_x509(ca->leaf);
	const unsigned char *name = NULL;
	unsigned char *serial = NULL;
	size_t n = 0, at = b->len;
	int k = i2d_ASN1_INTEGER(X509_get0_serialNumber(x), &serial);

	assert_true(k > 0 && X509_NAME_get0_der(X509_get_issuer_name(x), &name, &n));
	trib_buf_put(b, name, n);
	trib_buf_put(b, serial, (size_t)k);
	OPENSSL_free(serial);
	wrap(b, at, 0x30);
}

static void make_craft(const struct ca *ca, const struct craft *c, struct trib_buf *ret)
{
	static const char alg[] = "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01", ecdsa[] = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
	TRIB_AUTO(trib_buf) struct trib_buf attrs = TRIB_BUF(TRIB_SIG_MAX), der = TRIB_BUF(TRIB_SIG_MAX);
	size_t signers, at;

	for (const char *o = c->order ? c->order : "ctd"; *o; o++)
		put_attribute(&attrs, c, *o);
	trib_buf_put(&der, "\x02\x01\x01\x31\x0d", 5);
	trib_buf_puts(&der, alg);
	trib_buf_puts(&der, "\x30\x0b" OID_DATA);
	signers = der.len;
	trib_buf_put(&der, "\x02\x01\x01", 3);
	put_sid(&der, ca);
	trib_buf_puts(&der, alg);
	at = der.len;
	trib_buf_put_span(&der, trib_buf_span(&attrs));
	wrap(&der, at, 0xa0);
	trib_buf_puts(&der, ecdsa);
	put_ecdsa(&der, ca, trib_buf_span(&attrs), c);
	wrap(&der, signers, 0x30);
	wrap(&der, signers, 0x31);
	wrap(&der, 0, 0x30);
	wrap(&der, 0, 0xa0);
	assert_non_null(trib_buf_grow(&der, sizeof OID_SIGNED_DATA - 1));
	memmove(der.p + sizeof OID_SIGNED_DATA - 1, der.p, der.len - sizeof OID_SIGNED_DATA + 1);
	memcpy(der.p, OID_SIGNED_DATA, sizeof OID_SIGNED_DATA - 1);
	wrap(&der, 0, 0x30);
	trib_buf_reset(ret);
	trib_pem_put(ret, "SIGNED MESSAGE", trib_buf_span(&der), false);
}

static void attributes_have_one_form(void **state)
{
	static const struct craft good[] = {
		{0},
		{.time = "\x17\x0d" "491231235959Z"},
		{.time = "\x18\x0f" "20500101000000Z"},
	};
	static const struct craft bad[] = {
		{.order = "cdt"}, {.order = "tcd"}, {.order = "dct"}, {.order = "cd"}, {.order = "td"}, {.order = "ct"}, {.order = "ctdx"},
		{.order = "ctdd"}, {.order = "cttd"}, {.order = ""}, {.type = OID_SIGNED_DATA}, {.tag = 0xa0}, {.tag = 0x30}, {.digest = -1},
		{.digest = 1}, {.digest = -32}, {.extra = 1}, {.two_values = true}, {.long_form = true}, {.other_text = true},
		{.time = "\x18\x0f" "20261125124640Z"}, {.time = "\x17\x0d" "261325124640Z"}, {.time = "\x17\x0d" "260025124640Z"},
		{.time = "\x17\x0d" "261132124640Z"}, {.time = "\x17\x0d" "261100124640Z"}, {.time = "\x17\x0d" "261125244640Z"},
		{.time = "\x17\x0d" "261125126040Z"}, {.time = "\x17\x0d" "261125124660Z"}, {.time = "\x17\x0d" "26112512464 Z"},
		{.time = "\x17\x0d" "261125124640z"}, {.time = "\x17\x0b" "2611251246Z"}, {.time = "\x17\x11" "261125124640+0000"},
		{.time = "\x18\x11" "20500101000000.5Z"}, {.time = "\x04\x0d" "261125124640Z"}, {.time = "\x17\x00"},
	};
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_err err;

	for (size_t i = 0; i < TRIB_COUNT(good); i++) {
		make_craft(c, &good[i], &pem);
		if (trib_sign_verify(payload(), trib_buf_span(&pem), c->leaf, &err))
			fail_msg("refused good %zu: %s", i, err.msg);
	}
	for (size_t i = 0; i < TRIB_COUNT(bad); i++) {
		make_craft(c, &bad[i], &pem);
		if (!trib_sign_verify(payload(), trib_buf_span(&pem), c->leaf, &err))
			fail_msg("accepted bad %zu", i);
		assert_int_equal(err.code, TRIB_E_SIGNATURE);
	}
}

static void write_file(const char *dir, const char *name, struct trib_span bytes)
{
	char *path = trib_path(dir, name);
	struct trib_err err;

	if (trib_fs_write(path, bytes, 0600, &err))
		fail_msg("%s", err.msg);
	free(path);
}

static void write_cert(const char *dir, const char *name, const struct trib_cert *c)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_err err;

	assert_int_equal(trib_cert_pem(c, &pem, &err), 0);
	write_file(dir, name, trib_buf_span(&pem));
}

static int run(const char *dir, const char *script)
{
	char *cmd = trib_pathf("cd '%s' && { %s; } >out 2>&1", dir, script);
	int r = system(cmd);

	free(cmd);
	return r;
}

static void read_file(const char *dir, const char *name, struct trib_buf *ret)
{
	char *path = trib_path(dir, name);
	struct trib_err err;

	trib_buf_init(ret, TRIB_MIB);
	if (trib_fs_read(path, ret, &err))
		fail_msg("%s", err.msg);
	free(path);
}

/* The openssl program takes our form, and names the time that we gave; forms that it makes and F6 forbids are refused. */
static void the_openssl_program_agrees(void **state)
{
	static const char *const forms[] = {
		"",						/* leaf embedded, S/MIME capabilities */
		"-nocerts",					/* S/MIME capabilities */
		"-nosmimecap",					/* leaf embedded */
		"-nosmimecap -nocerts -keyid",			/* signer by key id */
		"-nosmimecap -nocerts -noattr",			/* no signed attributes */
		"-nosmimecap -nocerts -md sha384",
		"-nosmimecap -nocerts -nodetach",		/* text inside */
		"-nosmimecap -nocerts -signer tls.pem -inkey tls.key", /* two signers */
		"-nosmimecap -nocerts -receipt_request_to a@b",	/* one more attribute */
	};
	struct ca *c = *state;
	TRIB_AUTO(trib_buf) struct trib_buf pem, got = {0};
	char dir[] = "/tmp/trib-sign-XXXXXX", *path;
	struct trib_err err;

	assert_non_null(mkdtemp(dir));
	sign_into(&pem, c);
	write_file(dir, "payload", payload());
	write_file(dir, "sig", trib_buf_span(&pem));
	write_cert(dir, "root.pem", c->root);
	write_cert(dir, "issuing.pem", c->issuing);
	write_cert(dir, "leaf.pem", c->leaf);
	write_cert(dir, "tls.pem", c->tls);
	path = trib_path(dir, "leaf.key");
	assert_int_equal(trib_key_save(c->key, path, &err), 0);
	free(path);
	path = trib_path(dir, "tls.key");
	assert_int_equal(trib_key_save(c->tls_key, path, &err), 0);
	free(path);
	assert_int_equal(run(dir, "sed 's/SIGNED MESSAGE/CMS/' sig >cms && cat leaf.pem issuing.pem >signer.pem && "
				  "openssl verify -CAfile root.pem -no-CApath -no-CAstore -untrusted signer.pem -purpose smimesign -attime 1795600000 leaf.pem && "
				  "openssl cms -verify -noverify -nointern -binary -inform PEM -in cms -content payload -certfile leaf.pem -signer who.pem "
				  "-out /dev/null && cmp who.pem leaf.pem && "
				  "openssl cms -cmsout -print -inform PEM -in cms | grep -q 'Nov 25 .* 2026 GMT'"),
			 0);
	assert_int_not_equal(run(dir, "printf x >>payload && openssl cms -verify -noverify -nointern -binary -inform PEM -in cms -content payload "
				      "-certfile leaf.pem -out /dev/null"),
			     0);
	write_file(dir, "payload", payload());
	/* The same program can make the accepted form ... */
	assert_int_equal(run(dir, "openssl cms -sign -binary -outform PEM -in payload -md sha256 -signer leaf.pem -inkey leaf.key -nosmimecap -nocerts "
				  "| sed 's/ CMS/ SIGNED MESSAGE/' | head -c -1 >made"),
			 0);
	read_file(dir, "made", &got);
	if (trib_sign_verify(payload(), trib_buf_span(&got), c->leaf, &err))
		fail_msg("%s", err.msg);
	/* ... and many that are refused. */
	for (size_t i = 0; i < TRIB_COUNT(forms); i++) {
		char *cmd = trib_pathf("openssl cms -sign -binary -outform PEM -in payload -signer leaf.pem -inkey leaf.key %s "
				       "| sed 's/ CMS/ SIGNED MESSAGE/' | head -c -1 >made && grep -q END made", forms[i]);

		if (run(dir, cmd))
			fail_msg("%s", cmd);
		free(cmd);
		trib_buf_release(&got);
		read_file(dir, "made", &got);
		if (!trib_sign_verify(payload(), trib_buf_span(&got), c->leaf, &err))
			fail_msg("accepted: %s", forms[i]);
		assert_int_equal(err.code, TRIB_E_SIGNATURE);
	}
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
}

/* Makes one signed commit with stock git's plumbing and points `ref` at it. */
static void make_commit(const char *repo, struct ca *c, const struct trib_cert *leaf, const struct trib_key *key, bool tamper, const char *id, const char *ref,
			int64_t now)
{
	TRIB_AUTO(trib_buf) struct trib_buf signer = TRIB_BUF(TRIB_SIGNER_MAX), tree = {0}, text = TRIB_BUF(TRIB_COMMIT_MAX),
					    pem = TRIB_BUF(TRIB_SIG_MAX), raw = TRIB_BUF(TRIB_COMMIT_MAX);
	struct trib_err err;
	size_t head;
	char *cmd;

	assert_int_equal(trib_cert_pem(leaf, &signer, &err), 0);
	assert_int_equal(trib_cert_pem(c->issuing, &signer, &err), 0);
	write_file(repo, "signer.pem", trib_buf_span(&signer));
	assert_int_equal(run(repo, "b=$(git hash-object -w signer.pem) && printf '100644 blob %s\\tsigner.pem\\n' $b | git mktree >tree"), 0);
	read_file(repo, "tree", &tree);
	trib_buf_printf(&text, "tree %.40s\nauthor 社区 <%s@tributary> %lld +0000\n", trib_buf_str(&tree), id, (long long)now);
	trib_buf_printf(&text, "committer 社区 <%s@tributary> %lld +0000\n", id, (long long)now);
	head = text.len;
	trib_buf_puts(&text, "\nsubject\n\nTributary-Manifest-SHA256: 00\n");
	assert_int_equal(trib_sign(trib_buf_span(&text), key, leaf, now, &pem, &err), 0);
	trib_buf_put(&raw, text.p, head);
	trib_buf_puts(&raw, "gpgsig ");
	for (size_t i = 0; i < pem.len; i++) {
		trib_buf_putc(&raw, pem.p[i]);
		if (pem.p[i] == '\n')
			trib_buf_putc(&raw, ' ');
	}
	trib_buf_putc(&raw, '\n');
	trib_buf_put(&raw, text.p + head, text.len - head);
	if (tamper)
		raw.p[raw.len - 2] = '1';
	write_file(repo, "raw", trib_buf_span(&raw));
	cmd = trib_pathf("git update-ref refs/heads/%s $(git hash-object -t commit -w raw) && rm raw tree signer.pem", ref);
	if (run(repo, cmd))
		fail_msg("%s", cmd);
	free(cmd);
}

static int make_repo(const char *dir)
{
	struct ca c = {0}, d = {0};
	int64_t now = trib_now();
	char *repo = trib_path(dir, "repo");
	struct trib_err err;

	if (ca_make(&c, now, &err) || ca_make(&d, now, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	if (run(dir, "git init -q repo"))
		return 1;
	write_cert(dir, "root.pem", c.root);
	make_commit(repo, &c, c.leaf, c.key, false, NODE_ID, "main", now);
	make_commit(repo, &c, c.leaf, c.key, true, NODE_ID, "tampered", now);
	make_commit(repo, &c, c.tls, c.tls_key, false, NODE_ID, "tls-key", now);
	make_commit(repo, &d, d.leaf, d.key, false, NODE_ID, "foreign", now);
	make_commit(repo, &c, c.leaf, c.key, false, "520303002002/resident", "other-author", now);
	free(repo);
	ca_release(&c);
	ca_release(&d);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_holds_for_its_text_and_certificate),
		cmocka_unit_test(a_key_without_its_certificate_does_not_sign),
		cmocka_unit_test(every_changed_digit_is_refused),
		cmocka_unit_test(other_texts_around_it_are_refused),
		cmocka_unit_test(text_up_to_a_commits_size_is_signed),
		cmocka_unit_test(attributes_have_one_form),
		cmocka_unit_test(the_openssl_program_agrees),
	};

	if (argc == 3 && !strcmp(argv[1], "--make-repo"))
		return make_repo(argv[2]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
