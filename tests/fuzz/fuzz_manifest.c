/* Any text: refused, or written again as the same bytes and already sorted. */
#include "core/format/manifest.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	if (trib_manifest_parse(trib_span(data, size), &m, &err)) {
		MUST(err.msg[0] && !m.tables && !m.left_out);
		return 0;
	}
	trib_manifest_sort(&m);
	trib_manifest_put(&b, &m);
	MUST(trib_span_eq(trib_buf_span(&b), trib_span(data, size)));
	return 0;
}
