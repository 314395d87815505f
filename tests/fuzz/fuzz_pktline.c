/* Requests of git: bounded, and a push request that parses says the same when its bytes arrive one by one. */
#include <strings.h>

#include "core/format/pktline.h"
#include "tests/fuzz/fuzz.h"

/* Lines that parse are written back: same framing up to the case of the digits and a final LF. */
static void check_lines(struct trib_span in)
{
	struct trib_err err;
	enum trib_pkt kind;
	struct trib_span data;
	for (;;) {
		struct trib_span before = in;
		if (trib_pkt_take(&in, &kind, &data, &err) <= 0)
			return;
		size_t took = before.n - in.n;
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_PKT_MAX);
		if (kind == TRIB_PKT_FLUSH)
			trib_pkt_flush(&b);
		else
			trib_pkt_put(&b, trib_span(before.p + 4, took - 4));
		MUST(b.len == took && strncasecmp(trib_buf_str(&b), (const char *)before.p, 4) == 0 && memcmp(b.p + 4, before.p + 4, took - 4) == 0);
	}
}

static void check_push(struct trib_span in)
{
	struct trib_err err;
	struct trib_push_request r, again;
	if (trib_push_request_parse(in, &r, &err) <= 0)
		return;
	MUST(r.head_len <= in.n && r.ncmds <= TRIB_PUSH_COMMANDS_MAX);
	for (size_t n = 0; n < r.head_len; n += n < 64 ? 1 : 61)
		MUST(trib_push_request_parse(trib_span(in.p, n), &again, &err) == 0);
	MUST(trib_push_request_parse(trib_span(in.p, r.head_len), &again, &err) == 1 && again.ncmds == r.ncmds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_fetch_request f;
	check_lines(trib_span(data, size));
	check_push(trib_span(data, size));
	if (trib_fetch_request_parse(trib_span(data, size), &f, &err) == 0) {
		MUST(f.nwants <= TRIB_WANTS_MAX && f.nhaves <= TRIB_HAVES_MAX);
		trib_fetch_request_release(&f);
	}
	return 0;
}
