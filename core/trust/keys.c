#include "core/trust/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/trust/ossl.h"

#define KEY_FILE_MAX 16384 /* PEM of a P-256 key is 241 bytes, with room for comments around it */

struct trib_key {
	EVP_PKEY *pkey;
};

static bool is_p256(const EVP_PKEY *pkey)
{
	char group[64];
	size_t n = 0;
	return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static bool is_ed25519(const EVP_PKEY *pkey) { return EVP_PKEY_is_a(pkey, "ED25519"); }

/* Takes over pkey. */
static int wrap(EVP_PKEY *pkey, struct trib_key **ret, struct trib_err *err)
{
	struct trib_key *k = malloc(sizeof(*k));
	if (!k) {
		EVP_PKEY_free(pkey);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	k->pkey = pkey;
	*ret = k;
	return 0;
}

int trib_key_make(enum trib_key_kind kind, struct trib_key **ret, struct trib_err *err)
{
	EVP_PKEY *pkey = kind == TRIB_KEY_P256 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") :
						 EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!pkey)
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "making a key");
	return wrap(pkey, ret, err);
}

void trib_key_free(struct trib_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey); /* OpenSSL wipes the private part */
	free(k);
}

EVP_PKEY *trib_key_pkey(const struct trib_key *k) { return k->pkey; }

int trib_key_save(const struct trib_key *k, const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tmp", path);
	if (!tmp)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_exists(path))
		return trib_fail(err, TRIB_E_FAILED, "%s exists already; a key is never replaced, it is left as it is", path);
	BIO *bio = BIO_new(BIO_s_secmem());
	if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) != 1) {
		BIO_free(bio);
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "encoding a private key");
	}
	char *pem = NULL;
	long n = BIO_get_mem_data(bio, &pem);
	/* A leftover of a crash may have any mode; the key must only ever be written into a file made 0600. Nothing
	 * is ever replaced by trib_fs_create. */
	int rc = -1;
	if (n <= 0)
		rc = trib_fail(err, TRIB_E_CRYPTO, "encoding a private key: OpenSSL wrote nothing");
	else if (unlink(tmp) && errno != ENOENT)
		rc = trib_fail_errno(err, "removing %s", tmp);
	else
		rc = trib_fs_create(path, trib_span(pem, (size_t)n), 0600, err);
	BIO_free(bio); /* wipes */
	return rc;
}

/* Sticks as they are sold. Their files have the mode that the mount gives to all of them, and chmod(2) changes nothing. */
static bool has_no_modes(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && (fs.f_type == MSDOS_SUPER_MAGIC || fs.f_type == EXFAT_SUPER_MAGIC);
}

/* ret_open: NULL, when a key that others can reach is refused in any case. */
static int check_file(int fd, const char *path, bool *ret_open, struct trib_err *err)
{
	struct stat st;
	if (fstat(fd, &st))
		return trib_fail_errno(err, "reading the mode of %s", path);
	if (!S_ISREG(st.st_mode))
		return trib_fail(err, TRIB_E_CERT, "%s is not a regular file; a private key is kept in one", path);
	bool open = (st.st_mode & 077) != 0;
	if (open && !(ret_open && has_no_modes(fd)))
		return trib_fail(err, TRIB_E_CERT,
				 "private key %s has mode %04o, so that other users of this computer can reach it; it was not used; "
				 "run: chmod 600 %s",
				 path, (unsigned)st.st_mode & 07777, path);
	if (st.st_size > KEY_FILE_MAX)
		return trib_fail(err, TRIB_E_CERT, "%s is too large for a private key (%lld bytes)", path, (long long)st.st_size);
	if (ret_open)
		*ret_open = open;
	return 0;
}

/* An encrypted key is refused, never asked for on a terminal. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

/* Nearly every key is of this kind: asked for by name it is found in half the time. NULL: it is another one. */
static EVP_PKEY *read_ec(const uint8_t *pem, size_t n)
{
	EVP_PKEY *pkey = NULL;
	OSSL_DECODER_CTX *c = OSSL_DECODER_CTX_new_for_pkey(&pkey, "PEM", "PrivateKeyInfo", "EC", EVP_PKEY_KEYPAIR, NULL, NULL);
	if (!c || OSSL_DECODER_from_data(c, &pem, &n) != 1) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	OSSL_DECODER_CTX_free(c);
	ERR_clear_error();
	return pkey;
}

static EVP_PKEY *read_any(const uint8_t *pem, size_t n)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)n);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	BIO_free(bio);
	return pkey;
}

static int parse_pem(const uint8_t *pem, size_t n, const char *path, struct trib_key **ret, struct trib_err *err)
{
	EVP_PKEY *pkey = read_ec(pem, n);
	if (!pkey && !(pkey = read_any(pem, n))) {
		(void)trib_ossl_fail(err, TRIB_E_CERT, "no readable private key (PEM, PKCS#8, without a password)");
		return trib_ctx(err, "%s", path);
	}
	if (!is_p256(pkey) && !is_ed25519(pkey)) {
		EVP_PKEY_free(pkey);
		return trib_fail(err, TRIB_E_CERT, "%s holds a key that is neither ECDSA P-256 nor Ed25519; make one with this program", path);
	}
	return wrap(pkey, ret, err);
}

static int load(const char *path, struct trib_key **ret, bool *ret_open, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		int why = errno;
		(void)trib_fail_errno(err, "opening private key %s", path);
		if (why == ENOENT)
			err->code = TRIB_E_NOT_FOUND;
		return -1;
	}
	if (check_file(fd, path, ret_open, err))
		return -1;
	uint8_t pem[KEY_FILE_MAX];
	size_t n = 0;
	ssize_t got = 0;
	while (n < sizeof(pem)) {
		got = read(fd, pem + n, sizeof(pem) - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	int rc = got < 0 ? trib_fail_errno(err, "reading private key %s", path) : parse_pem(pem, n, path, ret, err);
	OPENSSL_cleanse(pem, sizeof(pem));
	return rc;
}

int trib_key_load(const char *path, struct trib_key **ret, struct trib_err *err) { return load(path, ret, NULL, err); }

int trib_key_load_carried(const char *path, struct trib_key **ret, bool *ret_open, struct trib_err *err) { return load(path, ret, ret_open, err); }

int trib_key_check(const struct trib_key *k, struct trib_err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	if (!ctx)
		return trib_ossl_fail(err, TRIB_E_NOMEM, "checking a private key");
	int good = EVP_PKEY_pairwise_check(ctx);
	EVP_PKEY_CTX_free(ctx);
	return good == 1 ? 0 : trib_fail(err, TRIB_E_CERT, "the private key and its public half do not belong together: the file is damaged; nothing was changed; bring it back from a backup");
}

int trib_key_ed25519_public(const struct trib_key *k, uint8_t ret[32], struct trib_err *err)
{
	uint8_t pub[32];
	size_t n = sizeof(pub);
	if (!is_ed25519(k->pkey))
		return trib_fail(err, TRIB_E_CERT, "the log key must be Ed25519; this key is of another kind");
	if (EVP_PKEY_get_raw_public_key(k->pkey, pub, &n) != 1 || n != sizeof(pub))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "reading a public key");
	memcpy(ret, pub, sizeof(pub));
	return 0;
}

int trib_ed25519_sign(const struct trib_key *k, struct trib_span msg, uint8_t ret[64], struct trib_err *err)
{
	uint8_t sig[64];
	size_t n = sizeof(sig);
	if (!is_ed25519(k->pkey))
		return trib_fail(err, TRIB_E_CERT, "the log key must be Ed25519; this key is of another kind");
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestSignInit(md, NULL, NULL, NULL, k->pkey) == 1 &&
		  EVP_DigestSign(md, sig, &n, msg.n ? msg.p : (const uint8_t *)"", msg.n) == 1 && n == sizeof(sig);
	EVP_MD_CTX_free(md);
	if (!ok)
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "signing with Ed25519");
	memcpy(ret, sig, sizeof(sig));
	return 0;
}

int trib_ed25519_verify(const uint8_t pub[32], struct trib_span msg, const uint8_t sig[64], struct trib_err *err)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, 32);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = 0;
	if (!pkey || !md || EVP_DigestVerifyInit(md, NULL, NULL, NULL, pkey) != 1)
		rc = trib_ossl_fail(err, TRIB_E_CRYPTO, "preparing to check an Ed25519 signature");
	else if (EVP_DigestVerify(md, sig, 64, msg.n ? msg.p : (const uint8_t *)"", msg.n) != 1) {
		ERR_clear_error();
		rc = trib_fail(err, TRIB_E_SIGNATURE, "the Ed25519 signature is not by the expected key over these bytes");
	}
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(pkey);
	return rc;
}
