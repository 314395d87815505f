/* Private keys: kinds, file modes, never replaced; Ed25519 against RFC 8032. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "core/trust/keys.h"
#include "core/trust/ossl.h"

/* A stick with FAT: one name a file, and modes that nobody can change. */
static bool on_stick;

int link(const char *from, const char *to)
{
	if (!on_stick)
		return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
	errno = EPERM;
	return -1;
}

int fstatfs(int fd, struct statfs *ret)
{
	int rc = (int)syscall(SYS_fstatfs, fd, ret);
	if (on_stick)
		ret->f_type = MSDOS_SUPER_MAGIC;
	return rc;
}

static char dir[] = "/tmp/trib-keys-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	struct trib_err err;
	return trib_fs_remove_tree(dir, &err);
}

static void ed25519_known_answer(void **state)
{
	(void)state;
	/* RFC 8032 section 7.1, test 2: one byte 0x72. */
	uint8_t pub[32], sig[64];
	struct trib_err err;
	assert_true(trib_unhex(pub, 32, trib_span_str("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")));
	assert_true(trib_unhex(sig, 64, trib_span_str("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
						      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")));
	assert_int_equal(trib_ed25519_verify(pub, trib_span_str("\x72"), sig, &err), 0);
	assert_int_equal(trib_ed25519_verify(pub, trib_span_str("\x73"), sig, &err), -1);
	assert_int_equal(err.code, TRIB_E_SIGNATURE);
	assert_int_equal(trib_ed25519_verify(pub, trib_span(NULL, 0), sig, &err), -1);
	sig[40] ^= 1;
	assert_int_equal(trib_ed25519_verify(pub, trib_span_str("\x72"), sig, &err), -1);
}

static void saved_key_signs_as_before(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *k = NULL;
	TRIB_AUTO(trib_key) struct trib_key *again = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "log.key");
	uint8_t pub[32], pub2[32], sig[64], sig2[64];
	assert_int_equal(trib_key_make(TRIB_KEY_ED25519, &k, &err), 0);
	assert_int_equal(trib_key_save(k, path, &err), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(trib_key_load(path, &again, &err), 0);
	assert_int_equal(trib_key_ed25519_public(k, pub, &err), 0);
	assert_int_equal(trib_key_ed25519_public(again, pub2, &err), 0);
	assert_memory_equal(pub, pub2, 32);
	assert_int_equal(trib_ed25519_sign(k, trib_span_str("note"), sig, &err), 0);
	assert_int_equal(trib_ed25519_sign(again, trib_span_str("note"), sig2, &err), 0);
	assert_memory_equal(sig, sig2, 64);
	assert_int_equal(trib_ed25519_verify(pub, trib_span_str("note"), sig2, &err), 0);
	assert_int_equal(trib_ed25519_sign(k, trib_span(NULL, 0), sig, &err), 0);
	assert_int_equal(trib_ed25519_verify(pub, trib_span(NULL, 0), sig, &err), 0);
}

static void an_existing_file_is_never_replaced(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *k = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "taken.key");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(100);
	assert_int_equal(trib_fs_create(path, trib_span_str("mine"), 0600, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &k, &err), 0);
	assert_int_equal(trib_key_save(k, path, &err), -1);
	assert_non_null(strstr(err.msg, "exists"));
	assert_int_equal(trib_fs_read(path, &b, &err), 0);
	assert_string_equal(trib_buf_str(&b), "mine");
}

static void a_leftover_temporary_file_does_not_expose_the_key(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *k = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "left.key");
	TRIB_AUTO(trib_mem) char *tmp = trib_path(dir, "left.key.tmp");
	assert_int_equal(trib_fs_create(tmp, trib_span_str(""), 0644, &err), 0);
	TRIB_AUTO(trib_fd) int spy = open(tmp, O_RDONLY | O_CLOEXEC);
	assert_true(spy >= 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &k, &err), 0);
	assert_int_equal(trib_key_save(k, path, &err), 0);
	char c;
	assert_int_equal(pread(spy, &c, 1, 0), 0);
	assert_false(trib_fs_exists(tmp));
}

static void others_access_is_refused_by_name_of_the_remedy(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *k = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "open.key");
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &k, &err), 0);
	assert_int_equal(trib_key_save(k, path, &err), 0);
	const mode_t bad[] = {0640, 0604, 0644, 0620, 0601, 0660};
	for (size_t i = 0; i < TRIB_COUNT(bad); i++) {
		struct trib_key *got = NULL;
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_int_equal(trib_key_load(path, &got, &err), -1);
		assert_int_equal(err.code, TRIB_E_CERT);
		assert_non_null(strstr(err.msg, "chmod 600"));
		assert_non_null(strstr(err.msg, path));
		assert_null(got);
	}
	TRIB_AUTO(trib_key) struct trib_key *ok = NULL;
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(trib_key_load(path, &ok, &err), 0);
}

static void a_key_goes_to_a_stick_and_back(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *k = NULL, *back = NULL, *again = NULL;
	struct trib_key *none = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "stick.key");
	TRIB_AUTO(trib_mem) char *tmp = trib_path(dir, "stick.key.tmp");
	bool open = true;
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &k, &err), 0);
	on_stick = true;
	assert_int_equal(trib_key_save(k, path, &err), 0);
	assert_false(trib_fs_exists(tmp));
	assert_int_equal(trib_fs_create(path, trib_span_str("other"), 0600, &err), -1);
	assert_non_null(strstr(err.msg, "exists already"));
	assert_int_equal(trib_key_load_carried(path, &back, &open, &err), 0);
	assert_false(open);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(trib_key_load_carried(path, &again, &open, &err), 0);
	assert_true(open);
	assert_int_equal(trib_key_load(path, &none, &err), -1); /* the key of a program's folder */
	on_stick = false;
	assert_int_equal(trib_key_load_carried(path, &none, &open, &err), -1); /* here its mode can be mended */
	assert_non_null(strstr(err.msg, "chmod 600"));
}

static void refuse(const char *name, const char *text, enum trib_code code)
{
	struct trib_err err;
	struct trib_key *k = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, name);
	if (text)
		assert_int_equal(trib_fs_create(path, trib_span_str(text), 0600, &err), 0);
	assert_int_equal(trib_key_load(path, &k, &err), -1);
	assert_int_equal(err.code, code);
	assert_null(k);
}

static void what_is_no_key_is_refused(void **state)
{
	(void)state;
	refuse("missing.key", NULL, TRIB_E_NOT_FOUND);
	refuse("empty.key", "", TRIB_E_CERT);
	refuse("text.key", "not a key\n", TRIB_E_CERT);
	refuse("cut.key", "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n", TRIB_E_CERT);
	/* An X25519 key (RFC 8410's shape): a real key of a kind that is not ours. */
	refuse("x25519.key",
	       "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n-----END PRIVATE KEY-----\n",
	       TRIB_E_CERT);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(20000);
	for (size_t i = 0; i < 16385; i++)
		trib_buf_putc(&b, '\n');
	refuse("large.key", trib_buf_str(&b), TRIB_E_CERT);
	struct trib_err err;
	struct trib_key *k = NULL;
	TRIB_AUTO(trib_mem) char *fifo = trib_path(dir, "fifo.key");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(trib_key_load(fifo, &k, &err), -1); /* and does not wait for a writer */
	assert_int_equal(err.code, TRIB_E_CERT);
}

/* The file holds both halves: a rotten private one is read without complaint. */
static void a_damaged_private_half_is_found(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *k = NULL;
	TRIB_AUTO(trib_key) struct trib_key *bad = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "rotten.key");
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(4096);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &k, &err), 0);
	assert_int_equal(trib_key_check(k, &err), 0);
	assert_int_equal(trib_key_save(k, path, &err), 0);
	assert_int_equal(trib_fs_read(path, &pem, &err), 0);
	pem.p[100] = pem.p[100] == 'A' ? 'B' : 'A'; /* within the number */
	assert_int_equal(trib_fs_write(path, trib_buf_span(&pem), 0600, &err), 0);
	assert_int_equal(trib_key_load(path, &bad, &err), 0);
	assert_int_equal(trib_key_check(bad, &err), -1);
	assert_int_equal(err.code, TRIB_E_CERT);
}

static void a_p256_key_is_no_log_key(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *k = NULL;
	uint8_t pub[32], sig[64];
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &k, &err), 0);
	assert_non_null(trib_key_pkey(k));
	assert_int_equal(trib_key_ed25519_public(k, pub, &err), -1);
	assert_int_equal(trib_ed25519_sign(k, trib_span_str("x"), sig, &err), -1);
	assert_int_equal(err.code, TRIB_E_CERT);
	trib_key_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ed25519_known_answer),
		cmocka_unit_test(saved_key_signs_as_before),
		cmocka_unit_test(an_existing_file_is_never_replaced),
		cmocka_unit_test(a_leftover_temporary_file_does_not_expose_the_key),
		cmocka_unit_test(others_access_is_refused_by_name_of_the_remedy),
		cmocka_unit_test(a_key_goes_to_a_stick_and_back),
		cmocka_unit_test(what_is_no_key_is_refused),
		cmocka_unit_test(a_damaged_private_half_is_found),
		cmocka_unit_test(a_p256_key_is_no_log_key),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
