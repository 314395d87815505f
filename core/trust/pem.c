#include "core/trust/pem.h"

#define LINE 64

static int digit_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters to 1..3 bytes; 0 when they are not canonical base64. */
static size_t decode_quad(const uint8_t *q, uint8_t ret[3])
{
	size_t pad = q[3] == '=' ? (q[2] == '=' ? 2 : 1) : 0;
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		int d = i >= 4 - pad ? 0 : digit_of(q[i]);

		if (d < 0)
			return 0;
		v = v << 6 | (uint32_t)d;
	}
	ret[0] = (uint8_t)(v >> 16);
	ret[1] = (uint8_t)(v >> 8);
	ret[2] = (uint8_t)v;
	/* Bits under the padding must be zero: one text for one value. */
	if ((pad == 2 && (v & 0xffff)) || (pad == 1 && (v & 0xff)))
		return 0;
	return 3 - pad;
}

/* Decodes one line; false when it is not base64. *ret_last: it must be the last line (short or padded). */
static bool decode_line(struct trib_span line, struct trib_buf *ret, bool *ret_last)
{
	uint8_t out[LINE / 4 * 3];
	size_t n = 0;

	if (line.n == 0 || line.n > LINE || line.n % 4)
		return false;
	*ret_last = line.n < LINE;
	for (size_t i = 0; i < line.n; i += 4) {
		size_t got = decode_quad(line.p + i, out + n);

		if (!got || (got < 3 && i + 4 != line.n))
			return false;
		if (got < 3)
			*ret_last = true;
		n += got;
	}
	trib_buf_put(ret, out, n);
	return true;
}

static bool take_text(struct trib_span *s, const char *text)
{
	size_t n = strlen(text);

	if (!trib_span_starts(*s, text))
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

int trib_pem_take(struct trib_span *text, const char *label, bool lf, struct trib_buf *ret_der, struct trib_err *err)
{
	struct trib_span s = *text;
	bool last = false;

	if (!take_text(&s, "-----BEGIN ") || !take_text(&s, label) || !take_text(&s, "-----\n"))
		return trib_fail(err, TRIB_E_FORMAT, "not PEM with label %s", label);
	while (s.n && s.p[0] != '-') {
		const uint8_t *end = memchr(s.p, '\n', s.n < LINE + 1 ? s.n : LINE + 1);

		if (last || !end || !decode_line(trib_span(s.p, (size_t)(end - s.p)), ret_der, &last))
			return trib_fail(err, TRIB_E_FORMAT, "PEM %s: a line is not canonical base64", label);
		if (ret_der->failed)
			return trib_buf_check(ret_der, label, err);
		s = trib_span(end + 1, s.n - (size_t)(end + 1 - s.p));
	}
	if (!ret_der->len)
		return trib_fail(err, TRIB_E_FORMAT, "PEM %s: empty", label);
	if (!take_text(&s, "-----END ") || !take_text(&s, label) || !take_text(&s, lf ? "-----\n" : "-----") || (!lf && s.n))
		return trib_fail(err, TRIB_E_FORMAT, "PEM %s: its END line is wrong or missing", label);
	*text = s;
	return 0;
}

void trib_pem_put(struct trib_buf *b, const char *label, struct trib_span der, bool lf)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	trib_buf_printf(b, "-----BEGIN %s-----\n", label);
	for (size_t i = 0; i < der.n; i += 3) {
		size_t left = der.n - i;
		uint32_t v = (uint32_t)der.p[i] << 16 | (left > 1 ? (uint32_t)der.p[i + 1] << 8 : 0) | (left > 2 ? der.p[i + 2] : 0);
		char q[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};

		trib_buf_put(b, q, 4);
		if ((i / 3 + 1) % (LINE / 4) == 0 && left > 3)
			trib_buf_putc(b, '\n');
	}
	trib_buf_printf(b, "\n-----END %s-----%s", label, lf ? "\n" : "");
}
