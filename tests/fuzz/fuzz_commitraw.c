/* A commit object that parses is written back byte for byte from its parts. */
#include "core/format/commitraw.h"
#include "tests/fuzz/fuzz.h"

static char *text_of(struct trib_span s)
{
	char *t = strndup((const char *)s.p, s.n);
	MUST(t);
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_commitraw c;
	struct trib_span raw = trib_span(data, size);
	TRIB_AUTO(trib_buf) struct trib_buf made = TRIB_BUF(2 * TRIB_COMMIT_MAX), payload = TRIB_BUF(2 * TRIB_COMMIT_MAX), pem = TRIB_BUF(2 * TRIB_SIG_MAX),
					    whole = TRIB_BUF(2 * TRIB_COMMIT_MAX);
	if (trib_commitraw_parse(raw, &c, &err) < 0)
		return 0;
	size_t head = c.subject.n + 2, trailer = strlen("Tributary-Manifest-SHA256: ") + TRIB_SHA256_HEX + 1;
	struct trib_span text = trib_span(c.message.p + head, c.message.n - head - trailer);
	if (text.n > 0)
		text.n -= 2;
	TRIB_AUTO(trib_mem) char *name = text_of(c.author_name);
	TRIB_AUTO(trib_mem) char *email = text_of(c.author_email);
	TRIB_AUTO(trib_mem) char *subject = text_of(c.subject);
	TRIB_AUTO(trib_mem) char *body = text_of(text);
	trib_commitraw_put(&made, c.tree, c.has_parent ? c.parent : NULL, name, email, c.time, subject, body, c.manifest_sha256);
	trib_commitraw_payload(raw, &c, &payload);
	MUST(trib_span_eq(trib_buf_span(&made), trib_buf_span(&payload)));
	if (c.signature.n == 0)
		return 0;
	trib_commitraw_pem(&c, &pem);
	trib_commitraw_sign(&whole, trib_buf_span(&payload), trib_buf_span(&pem));
	MUST(trib_span_eq(trib_buf_span(&whole), raw));
	return 0;
}
