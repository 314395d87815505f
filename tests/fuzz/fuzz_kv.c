/* Any text as kv lines, with the keys that it has itself: what is taken is written again as the same
 * bytes, field by field and line by line. */
#include "core/base/clock.h"
#include "core/format/kv.h"
#include "tests/fuzz/fuzz.h"

static void one_field(const struct trib_kv *kv, struct trib_span f)
{
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(1 << 20), again = TRIB_BUF(1 << 22);
	uint64_t n;
	int64_t t;
	uint8_t sha[TRIB_SHA256_LEN];
	char id[65], text[TRIB_TIME_LEN + 1];
	if (trib_kv_u64(kv, f, "n", &n, &err) == 0) {
		trib_buf_printf(&again, "%llu", (unsigned long long)n);
		MUST(n <= INT64_MAX && trib_span_eq(trib_buf_span(&again), f));
	}
	if (trib_kv_hex(kv, f, "h", sha, sizeof(sha), &err) == 0) {
		trib_buf_reset(&again);
		trib_buf_hex(&again, sha, sizeof(sha));
		MUST(trib_span_eq(trib_buf_span(&again), f));
	}
	if (trib_kv_time(kv, f, "t", &t, &err) == 0) {
		trib_time_text(text, t);
		MUST(trib_span_is(f, text));
	}
	if (trib_kv_name(kv, f, "name", 1 << 20, &name, &err) == 0) {
		trib_buf_reset(&again);
		trib_pct(&again, trib_buf_span(&name));
		MUST(trib_span_eq(trib_buf_span(&again), f));
		trib_fold(name.p, name.len);
		MUST(trib_fold_cmp(trib_buf_span(&name), trib_buf_span(&name)) == 0);
	}
	if (trib_kv_id(kv, f, "id", id, sizeof(id), &err) == 0)
		MUST(trib_span_is(f, id) && f.n <= 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err = {0};
	struct trib_kv kv = trib_kv(trib_span(data, size));
	TRIB_AUTO(trib_buf) struct trib_buf again = TRIB_BUF(size + 1);
	while (kv.rest.n) {
		char key[32];
		struct trib_span f[8];
		size_t n = 0, nfields = 1;
		while (n < sizeof(key) - 1 && n < kv.rest.n && ((kv.rest.p[n] >= 'a' && kv.rest.p[n] <= 'z') || kv.rest.p[n] == '-'))
			n++;
		memcpy(key, kv.rest.p, n);
		key[n] = '\0';
		size_t before = kv.rest.n;
		while (nfields <= 8 && trib_kv_take(&kv, key, nfields, f, &err))
			nfields++;
		if (nfields > 8) {
			MUST(kv.rest.n == before && trib_kv_end(&kv, &err) < 0);
			return 0;
		}
		trib_buf_puts(&again, key);
		for (size_t i = 0; i < nfields; i++) {
			trib_buf_putc(&again, ' ');
			trib_buf_put_span(&again, f[i]);
			one_field(&kv, f[i]);
		}
		trib_buf_putc(&again, '\n');
	}
	MUST(trib_kv_end(&kv, &err) == 0);
	MUST(trib_span_eq(trib_buf_span(&again), trib_span(data, size)));
	return 0;
}
