#include <openssl/x509.h>

#include "core/trust/cert.h"
#include "core/trust/hash.h"
#include "core/trust/ossl.h"

int trib_cert_spki_sha256(const struct trib_cert *c, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(trib_cert_x509(c)), &der);

	if (n <= 0)
		return trib_ossl_fail(err, TRIB_E_CERT, "the certificate's key cannot be encoded");
	trib_sha256(ret, trib_span(der, (size_t)n));
	OPENSSL_free(der);
	return 0;
}
