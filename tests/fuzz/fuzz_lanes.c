/* trib_lanes_parse: whatever it accepts, trib_lanes_put writes back byte for byte. */
#include "core/trust/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LANES_MAX);
	if (trib_lanes_parse(trib_span(data, size), &l, &err))
		return 0;
	trib_lanes_put(&b, &l);
	if (b.failed || !trib_span_eq(trib_buf_span(&b), trib_span(data, size)))
		abort();
	uint8_t sum[TRIB_SHA256_LEN];
	trib_digest_overall(&l, "app", sum);
	return 0;
}
