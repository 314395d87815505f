/* Any bytes: refused, or canonical and written again as the same bytes. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reencode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err = {0};
	struct trib_span in = trib_span(data, size);
	int rc = cs_reencode(in, &err);
	MUST(rc >= 0);
	uint64_t n = 0;
	MUST((trib_cs_check(in, &n, &err) == 0) == (rc == 1 && size > 0));
	return 0;
}
