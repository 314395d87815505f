#include "core/trust/seal.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>

#include "core/trust/ossl.h"

#define FLAGS (CMS_BINARY | CMS_STREAM | CMS_PARTIAL)

struct trib_seal {
	CMS_ContentInfo *cms;
	BIO *file, *out; /* out: a chain that ends in file */
};

void trib_seal_free(struct trib_seal *s)
{
	if (!s)
		return;
	while (s->out && s->out != s->file) {
		BIO *next = BIO_pop(s->out);
		BIO_free(s->out);
		s->out = next;
	}
	BIO_free(s->file);
	CMS_ContentInfo_free(s->cms);
	free(s);
}

static int make(struct trib_seal *s, X509 *to, struct trib_err *err)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	if (all && sk_X509_push(all, to))
		s->cms = CMS_encrypt(all, NULL, EVP_aes_256_gcm(), FLAGS);
	sk_X509_free(all);
	if (!s->cms)
		return trib_ossl_fail(err, TRIB_E_CERT, "nothing can be encrypted to this certificate");
	s->out = BIO_new_CMS(s->file, s->cms);
	return s->out ? 0 : trib_ossl_fail(err, TRIB_E_CRYPTO, "encrypting");
}

int trib_seal_new(const struct trib_cert *to, int fd, struct trib_seal **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_seal) struct trib_seal *s = calloc(1, sizeof(*s));
	if (!s || !(s->file = BIO_new_fd(fd, BIO_NOCLOSE)))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (make(s, trib_cert_x509(to), err))
		return -1;
	*ret = s;
	s = NULL;
	return 0;
}

int trib_seal_put(struct trib_seal *s, struct trib_span bytes, struct trib_err *err)
{
	size_t done = 0;
	if (bytes.n && (BIO_write_ex(s->out, bytes.p, bytes.n, &done) != 1 || done != bytes.n))
		return trib_ossl_fail(err, TRIB_E_IO, "writing the encrypted copy");
	return 0;
}

int trib_seal_end(struct trib_seal *s, struct trib_err *err)
{
	return BIO_flush(s->out) == 1 ? 0 : trib_ossl_fail(err, TRIB_E_IO, "ending the encrypted copy");
}
