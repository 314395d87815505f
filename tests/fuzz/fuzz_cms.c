/* trib_sign_verify: the input is one certificate in PEM and then a signature over the fixed text. A signature that is accepted
 * must not hold for another text. */
#include "core/trust/sign.h"
#include "tests/fuzz/fuzz.h"

#define END "-----END CERTIFICATE-----\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memmem(data, size, END, strlen(END)) : NULL;
	struct trib_span pem, sig;
	struct trib_cert *cert = NULL;
	struct trib_err err;
	size_t n = 0;

	if (!end)
		return 0;
	pem = trib_span(data, (size_t)(end - data) + strlen(END));
	sig = trib_span(data + pem.n, size - pem.n);
	if (trib_certs_parse_pem(pem, &cert, 1, &n, &err))
		return 0;
	if (!trib_sign_verify(trib_span_str("tributary\n"), sig, cert, &err)) {
		MUST(trib_sign_verify(trib_span_str("tributary!"), sig, cert, &err));
		MUST(trib_span_starts(sig, "-----BEGIN SIGNED MESSAGE-----\nMI") && sig.p[sig.n - 1] == '-');
	} else {
		MUST(err.code == TRIB_E_SIGNATURE);
	}
	trib_cert_free(cert);
	return 0;
}
