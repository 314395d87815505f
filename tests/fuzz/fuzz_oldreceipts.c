/* Old receipts that parse are walked to their end without error and written back byte for byte. */
#include "core/format/oldreceipts.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_old_receipts o;
	struct trib_receipts rs;
	struct trib_receipt r;
	int got, one;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_OLD_RECEIPTS_MAX);
	if (trib_old_receipts_parse(trib_span(data, size), &o, &err) < 0)
		return 0;
	trib_old_receipts_begin(&b, o.node, o.app, o.report, o.omitted);
	while ((got = trib_old_receipts_next(&o, &rs, &err)) > 0) {
		TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(2 * TRIB_RECEIPTS_MAX);
		struct trib_span checkpoint = rs.checkpoint;
		trib_receipts_begin(&file);
		while ((one = trib_receipts_next(&rs, &r, &err)) > 0)
			trib_receipts_put(&file, r.index, (const uint8_t (*)[TRIB_SHA256_LEN])r.proof, r.nproof, r.leaf);
		MUST(one == 0);
		trib_receipts_end(&file, checkpoint);
		trib_old_receipts_put(&b, trib_buf_span(&file));
	}
	MUST(got == 0 && trib_span_eq(trib_buf_span(&b), trib_span(data, size)));
	return 0;
}
