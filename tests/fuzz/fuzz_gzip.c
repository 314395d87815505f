/* Any bytes as a member: refused, or inflated to the length and CRC that its trailer says. Any bytes as
 * content: come back. */
#include <zlib.h>

#include "core/format/gzip.h"
#include "tests/fuzz/fuzz.h"

#define MOST ((size_t)1 << 20)

static uint32_t le32(const uint8_t *p) { return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err = {0};
	struct trib_span in = trib_span(data, size);
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(MOST), gz = TRIB_BUF(MOST * 2), back = TRIB_BUF(MOST);
	size_t claim = size >= 4 ? le32(data + size - 4) % (MOST + 1) : 0;
	if (trib_gunzip(in, claim, &out, &err) == 0)
		MUST(out.len == claim && (claim == 0 || crc32(0, out.p, (uInt)claim) == le32(data + size - 8)));
	else
		MUST(out.len == 0 && err.msg[0]);
	if (size > MOST)
		return 0;
	MUST(trib_gzip(in, &gz, &err) == 0);
	MUST(trib_gunzip(trib_buf_span(&gz), size, &back, &err) == 0);
	MUST(trib_span_eq(trib_buf_span(&back), in));
	return 0;
}
