/* A receipts file that parses is walked to its end without error and written back byte for byte. */
#include "core/format/note.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_receipts rs;
	struct trib_receipt r;
	int got;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_RECEIPTS_MAX);
	if (trib_receipts_parse(trib_span(data, size), &rs, &err) < 0)
		return 0;
	struct trib_span checkpoint = rs.checkpoint;
	trib_receipts_begin(&b);
	while ((got = trib_receipts_next(&rs, &r, &err)) > 0)
		trib_receipts_put(&b, r.index, (const uint8_t (*)[TRIB_SHA256_LEN])r.proof, r.nproof, r.leaf);
	trib_receipts_end(&b, checkpoint);
	MUST(got == 0 && trib_span_eq(trib_buf_span(&b), trib_span(data, size)));
	return 0;
}
