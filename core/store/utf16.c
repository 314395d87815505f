#include "core/store/utf16.h"

static bool is_high(uint32_t u) { return u >= 0xd800 && u <= 0xdbff; }
static bool is_low(uint32_t u) { return u >= 0xdc00 && u <= 0xdfff; }

static uint32_t unit_at(struct trib_span units, size_t i)
{
	uint16_t u;

	memcpy(&u, units.p + i, sizeof(u));
	return u;
}

static size_t encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

bool trib_utf16_to_wtf8(struct trib_span units, struct trib_buf *ret)
{
	if (units.n % 2)
		return false;
	for (size_t i = 0; i < units.n && !ret->failed; i += 2) {
		uint32_t c = unit_at(units, i);
		uint8_t out[4];

		if (is_high(c) && i + 2 < units.n && is_low(unit_at(units, i + 2))) {
			c = 0x10000 + ((c - 0xd800) << 10) + (unit_at(units, i + 2) - 0xdc00);
			i += 2;
		}
		trib_buf_put(ret, out, encode(c, out));
	}
	return true;
}

/* One code point, surrogates included; 0 bytes when the form is invalid. */
static size_t decode(struct trib_span s, uint32_t *ret)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t b = s.p[0];
	size_t n = b < 0x80 ? 1 : b >= 0xc2 && b < 0xe0 ? 2 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;
	uint32_t c;

	if (n == 0 || n > s.n)
		return 0;
	c = n == 1 ? b : b & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff)
		return 0;
	*ret = c;
	return n;
}

static void put_unit(struct trib_buf *b, uint32_t u)
{
	uint16_t v = (uint16_t)u;

	trib_buf_put(b, &v, sizeof(v));
}

bool trib_wtf8_to_utf16(struct trib_span text, struct trib_buf *ret)
{
	size_t start = ret->len;
	bool after_high = false;

	while (text.n && !ret->failed) {
		uint32_t c = 0;
		size_t n = decode(text, &c);

		if (n == 0 || (after_high && is_low(c))) {
			ret->len = start;
			if (ret->p)
				ret->p[start] = 0;
			return false;
		}
		after_high = is_high(c);
		if (c < 0x10000) {
			put_unit(ret, c);
		} else {
			put_unit(ret, 0xd800 + ((c - 0x10000) >> 10));
			put_unit(ret, 0xdc00 + ((c - 0x10000) & 0x3ff));
		}
		text.p += n;
		text.n -= n;
	}
	return true;
}
