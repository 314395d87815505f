/* A bundle header that parses is written back byte for byte, but for the comments of prerequisites. */
#include "core/format/bundle.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_bundle h, again;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	if (trib_bundle_parse(trib_span(data, size), &h, &err) < 0)
		return 0;
	trib_bundle_put_header(&b, &h);
	MUST(h.head_len <= size && b.len <= h.head_len);
	MUST(b.len < h.head_len || memcmp(b.p, data, b.len) == 0);
	MUST(trib_bundle_parse(trib_buf_span(&b), &again, &err) == 0 && again.nrefs == h.nrefs && again.nprerequisites == h.nprerequisites);
	MUST(memcmp(again.refs, h.refs, h.nrefs * sizeof(h.refs[0])) == 0 && memcmp(again.prerequisites, h.prerequisites, sizeof(h.prerequisites)) == 0);
	return 0;
}
