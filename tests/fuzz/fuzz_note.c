/* A checkpoint that parses is written back byte for byte (when all its signatures are of our type), and base64 has one form. */
#include "core/format/note.h"
#include "tests/fuzz/fuzz.h"

static void check_base64(struct trib_span in)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(SIZE_MAX / 4), text = TRIB_BUF(SIZE_MAX / 4);
	if (!trib_unbase64(&raw, in))
		return;
	trib_base64(&text, raw.p, raw.len);
	MUST(trib_span_eq(trib_buf_span(&text), in));
}

static char *text_of(struct trib_span s)
{
	char *t = strndup((const char *)s.p, s.n);
	MUST(t);
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_checkpoint c;
	struct trib_span in = trib_span(data, size);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_NOTE_MAX);
	check_base64(in);
	if (trib_checkpoint_parse(in, &c, &err) < 0)
		return 0;
	size_t lines = 0;
	for (size_t i = c.text.n + 1; i < size; i++)
		lines += data[i] == '\n';
	if (lines != c.nsigs)
		return 0;
	TRIB_AUTO(trib_mem) char *origin = text_of(c.origin);
	trib_checkpoint_put_text(&b, origin, c.size, c.root);
	for (size_t i = 0; i < c.nsigs; i++) {
		TRIB_AUTO(trib_mem) char *name = text_of(c.sigs[i].key_name);
		trib_note_put_sig(&b, name, c.sigs[i].key_id, c.sigs[i].sig);
	}
	MUST(trib_span_eq(trib_buf_span(&b), in));
	return 0;
}
