/* trib_certs_parse_pem: whatever it accepts is written back byte for byte; the judges then take any certificate. */
#include "core/trust/cert.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TRIB_AUTO(trib_buf) struct trib_buf again = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_cert *certs[4] = {NULL};
	struct trib_cert_id id;
	struct trib_err err;
	size_t n = 0;

	if (trib_certs_parse_pem(trib_span(data, size), certs, TRIB_COUNT(certs), &n, &err))
		return 0;
	MUST(n && n <= TRIB_COUNT(certs));
	for (size_t i = 0; i < n; i++) {
		MUST(!trib_cert_pem(certs[i], &again, &err));
		if (!trib_cert_identity(certs[i], &id, &err) && id.role == TRIB_ROLE_NODE)
			MUST(id.node[0] && id.app[0]);
		(void)!trib_cert_verify_self(certs[i], &id, &err);
	}
	MUST(trib_span_eq(trib_buf_span(&again), trib_span(data, size)));
	/* The last one plays the root. */
	(void)!trib_cert_verify(certs[0], certs[n > 1], certs[n - 1], TRIB_USE_SIGN, 1795600000, false, &id, &err);
	for (size_t i = 0; i < n; i++)
		trib_cert_free(certs[i]);
	return 0;
}
