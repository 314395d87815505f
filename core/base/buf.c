#include "core/base/buf.h"

void trib_buf_release(struct trib_buf *b)
{
	free(b->p);
	size_t max = b->max;
	*b = TRIB_BUF(max);
}

void trib_buf_reset(struct trib_buf *b)
{
	b->len = 0;
	b->failed = b->nomem = false;
	if (b->p)
		b->p[0] = 0;
}

uint8_t *trib_buf_grow(struct trib_buf *b, size_t n)
{
	size_t want, need;
	if (b->failed)
		return NULL;
	if (trib_add_overflow(b->len, n, &want) || want > b->max || trib_add_overflow(want, 1, &need)) {
		b->failed = true;
		return NULL;
	}
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap = cap > SIZE_MAX / 2 ? need : cap * 2;
		if (cap > b->max && b->max < SIZE_MAX)
			cap = b->max + 1;
		uint8_t *p = realloc(b->p, cap);
		if (!p) {
			b->failed = b->nomem = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	uint8_t *at = b->p + b->len;
	b->len = want;
	b->p[want] = 0;
	return at;
}

void trib_buf_put(struct trib_buf *b, const void *p, size_t n)
{
	uint8_t *at = trib_buf_grow(b, n);
	if (at && n)
		memcpy(at, p, n);
}

void trib_buf_put_span(struct trib_buf *b, struct trib_span s) { trib_buf_put(b, s.p, s.n); }
void trib_buf_puts(struct trib_buf *b, const char *s) { trib_buf_put(b, s, strlen(s)); }
void trib_buf_putc(struct trib_buf *b, uint8_t c) { trib_buf_put(b, &c, 1); }

void trib_buf_be32(struct trib_buf *b, uint32_t v)
{
	uint8_t *at = trib_buf_grow(b, 4);
	if (at)
		trib_put_be32(at, v);
}

void trib_buf_be64(struct trib_buf *b, uint64_t v)
{
	uint8_t *at = trib_buf_grow(b, 8);
	if (at)
		trib_put_be64(at, v);
}

void trib_buf_printf(struct trib_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
	} else {
		uint8_t *at = trib_buf_grow(b, (size_t)n);
		if (at)
			(void)vsnprintf((char *)at, (size_t)n + 1, fmt, again);
	}
	va_end(again);
}

static const char digits[] = "0123456789abcdef";

void trib_hex(char *hex, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		hex[2 * i] = digits[p[i] >> 4];
		hex[2 * i + 1] = digits[p[i] & 15];
	}
	hex[2 * n] = '\0';
}

void trib_buf_hex(struct trib_buf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char pair[3];
		trib_hex(pair, p + i, 1);
		trib_buf_put(b, pair, 2);
	}
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool trib_unhex(uint8_t *ret, size_t n, struct trib_span hex)
{
	if (hex.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = nibble(hex.p[2 * i]), lo = nibble(hex.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		ret[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

int trib_buf_check(const struct trib_buf *b, const char *what, struct trib_err *err)
{
	if (!b->failed)
		return 0;
	if (b->nomem)
		return trib_fail(err, TRIB_E_NOMEM, "%s: out of memory after %zu bytes", what, b->len);
	return trib_fail(err, TRIB_E_LIMIT, "%s: larger than the limit of %zu bytes", what, b->max);
}
