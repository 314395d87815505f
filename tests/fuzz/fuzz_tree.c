/* A tree that parses is written back byte for byte. */
#include "core/format/commitraw.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_tree_entry e[TRIB_TREE_MAX];
	size_t n;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_KIB);
	if (trib_tree_parse(trib_span(data, size), e, &n, &err) < 0)
		return 0;
	trib_tree_put(&b, e, n);
	MUST(trib_span_eq(trib_buf_span(&b), trib_span(data, size)));
	return 0;
}
