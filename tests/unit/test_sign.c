/* Signatures of commits. Called as `test_sign --make-repo DIR` it makes DIR/repo with good and bad commits and DIR/root.pem
 * for tests/e2e/stock-verify.t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"
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
		cmocka_unit_test(the_openssl_program_agrees),
	};

	if (argc == 3 && !strcmp(argv[1], "--make-repo"))
		return make_repo(argv[2]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
