/* trib_csr_parse: a stranger's first bytes at the enrolment process. */
#include "core/trust/cert.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_csr *csr = NULL;
	struct trib_err err = {0};

	if (trib_csr_parse(trib_span(data, size), &csr, &err)) {
		MUST(err.code != TRIB_OK && !csr);
		return 0;
	}
	trib_csr_free(csr);
	return 0;
}
