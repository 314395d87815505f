/* The input is a pack without its trailer. The scanner says the same however the bytes are cut, and what the unpacker takes, the
 * scanner has taken. */
#include "core/format/packscan.h"
#include "core/store/unpack.h"
#include "core/trust/hash.h"
#include "tests/fuzz/fuzz.h"

static enum trib_code scan(struct trib_span pack, size_t step)
{
	struct trib_err err = {0};
	uint64_t n;
	TRIB_AUTO(trib_packscan) struct trib_packscan *s = trib_packscan_new();
	MUST(s);
	for (size_t at = 0; at < pack.n; at += step)
		if (trib_packscan_feed(s, trib_span(pack.p + at, pack.n - at < step ? pack.n - at : step), &err) < 0)
			return err.code;
	return trib_packscan_end(s, &n, &err) < 0 ? err.code : TRIB_OK;
}

static int no_base(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	(void)ctx;
	if (oid[0] & 1)
		return trib_fail(err, TRIB_E_NOT_FOUND, "no such object");
	*ret_type = TRIB_PACK_BLOB;
	trib_buf_puts(ret, "0123456789");
	return 0;
}

static int count(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	(void)err;
	uint8_t again[TRIB_OID_LEN];
	trib_git_oid(again, type == TRIB_PACK_COMMIT ? "commit" : type == TRIB_PACK_TREE ? "tree" : "blob", bytes);
	MUST(memcmp(again, oid, sizeof(again)) == 0);
	++*(uint64_t *)ctx;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	uint8_t sum[TRIB_OID_LEN];
	uint64_t n = 0, put = 0;
	if (size > TRIB_MIB)
		return 0;
	TRIB_AUTO(trib_buf) struct trib_buf pack = TRIB_BUF(2 * TRIB_MIB);
	trib_buf_put(&pack, data, size);
	trib_sha1(sum, trib_buf_span(&pack));
	trib_buf_put(&pack, sum, sizeof(sum));
	enum trib_code code = scan(trib_buf_span(&pack), pack.len);
	MUST(scan(trib_buf_span(&pack), 3) == code);
	if (trib_unpack(trib_buf_span(&pack), no_base, NULL, count, &put, &n, &err) == 0)
		MUST(code == TRIB_OK && put == n);
	return 0;
}
