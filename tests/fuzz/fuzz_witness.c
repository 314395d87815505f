/* Everything of tlog-witness that comes from a peer: what parses is written back byte for byte. */
#include "core/format/witness.h"
#include "core/trust/cosign.h"
#include "tests/fuzz/fuzz.h"

static void request(struct trib_span in)
{
	static struct trib_add_checkpoint r;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_ADD_CHECKPOINT_MAX);
	if (trib_add_checkpoint_parse(in, &r, &err) < 0)
		return;
	trib_add_checkpoint_put(&b, r.old, (const uint8_t(*)[TRIB_SHA256_LEN])r.proof, r.nproof, r.note);
	MUST(trib_span_eq(trib_buf_span(&b), in));
}

static void size_of(struct trib_span in)
{
	char text[32];
	uint64_t v;
	if (!trib_tlog_size_parse(in, &v))
		return;
	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)v);
	MUST(trib_span_is(in, text));
}

static void blob(struct trib_span in)
{
	static struct trib_witnessed_note n;
	struct trib_witnessed w;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_WITNESSED_MAX);
	if (trib_witnessed_parse(in, &w, &err))
		return;
	int got;
	trib_witnessed_begin(&b);
	while ((got = trib_witnessed_next(&w, &n, &err)) > 0)
		trib_witnessed_put(&b, (const uint8_t(*)[TRIB_SHA256_LEN])n.proof, n.nproof, n.note);
	MUST(got < 0 || trib_span_eq(trib_buf_span(&b), in));
}

static void vkey(struct trib_span in)
{
	struct trib_vkey k;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_VKEY_TEXT_MAX);
	if (trib_vkey_parse(in, TRIB_VKEY_WITNESS, &k, &err) && trib_vkey_parse(in, TRIB_VKEY_LOG, &k, &err))
		return;
	trib_vkey_put(&b, &k);
	MUST(trib_span_eq(trib_buf_span(&b), in));
}

static void answer(struct trib_span in)
{
	static struct trib_checkpoint c;
	struct trib_err err;
	if (trib_checkpoint_parse(in, &c, &err) || c.ncosigs == 0)
		return;
	for (size_t i = 0; i < c.ncosigs; i++)
		MUST(c.cosigs[i].time <= INT64_MAX && trib_note_name_valid(c.cosigs[i].key_name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_span in = trib_span(data, size);
	request(in);
	size_of(in);
	blob(in);
	vkey(in);
	answer(in);
	return 0;
}
