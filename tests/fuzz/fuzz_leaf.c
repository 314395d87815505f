/* A log leaf that parses is written back byte for byte. */
#include "core/format/leaf.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_leaf leaf;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_LEAF_MAX);
	if (trib_leaf_parse(trib_span(data, size), &leaf, &err) < 0)
		return 0;
	trib_leaf_put(&b, &leaf);
	MUST(trib_span_eq(trib_buf_span(&b), trib_span(data, size)));
	return 0;
}
