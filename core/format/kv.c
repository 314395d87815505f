#include "core/format/kv.h"

#include "core/base/clock.h"
#include "core/base/limits.h"

#define FIELDS_MAX 8

bool trib_kv_at(const struct trib_kv *kv, const char *key)
{
	size_t n = strlen(key);
	return kv->rest.n > n && memcmp(kv->rest.p, key, n) == 0 && kv->rest.p[n] == ' ';
}

/* Splits exactly nfields fields of 0x21..0x7E at single blanks. */
static bool split(struct trib_span value, size_t nfields, struct trib_span *ret)
{
	size_t at = 0;
	for (size_t i = 0; i < nfields; i++) {
		size_t start = at;
		while (at < value.n && value.p[at] >= 0x21 && value.p[at] <= 0x7E)
			at++;
		if (at == start)
			return false;
		ret[i] = trib_span(value.p + start, at - start);
		if (i + 1 < nfields && (at == value.n || value.p[at++] != ' '))
			return false;
	}
	return at == value.n;
}

int trib_kv_take(struct trib_kv *kv, const char *key, size_t nfields, struct trib_span *ret_fields, struct trib_err *err)
{
	unsigned line = kv->line + 1;
	if (kv->rest.n == 0)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: the text ends where \"%s\" must stand", line, key);
	if (!trib_kv_at(kv, key))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: expected \"%s\"", line, key);
	const uint8_t *lf = memchr(kv->rest.p, '\n', kv->rest.n);
	if (!lf)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s: no line feed at the end", line, key);
	size_t all = (size_t)(lf - kv->rest.p), skip = strlen(key) + 1;
	struct trib_span fields[FIELDS_MAX];
	if (nfields < 1 || nfields > FIELDS_MAX ||
	    !split(trib_span(kv->rest.p + skip, all - skip), nfields, fields))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s: not %zu printable fields with single blanks between", line,
				 key, nfields);
	memcpy(ret_fields, fields, nfields * sizeof(fields[0]));
	kv->rest = trib_span(lf + 1, kv->rest.n - all - 1);
	kv->line = line;
	return 0;
}

int trib_kv_end(const struct trib_kv *kv, struct trib_err *err)
{
	if (kv->rest.n)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: the text must end here", kv->line + 1);
	return 0;
}

static int bad(const struct trib_kv *kv, const char *what, const char *why, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_FORMAT, "line %u: %s: %s", kv->line, what, why);
}

int trib_kv_u64(const struct trib_kv *kv, struct trib_span f, const char *what, uint64_t *ret, struct trib_err *err)
{
	uint64_t v = 0;
	if (f.n < 1 || f.n > 19 || (f.n > 1 && f.p[0] == '0'))
		return bad(kv, what, "not a decimal number without leading zeros", err);
	/* 19 digits are below 2^64, so the sum cannot wrap. */
	for (size_t i = 0; i < f.n; i++) {
		if (f.p[i] < '0' || f.p[i] > '9')
			return bad(kv, what, "not a decimal number without leading zeros", err);
		v = v * 10 + (uint64_t)(f.p[i] - '0');
	}
	if (v > INT64_MAX)
		return bad(kv, what, "larger than 2^63-1", err);
	*ret = v;
	return 0;
}

int trib_kv_hex(const struct trib_kv *kv, struct trib_span f, const char *what, uint8_t *ret, size_t n, struct trib_err *err)
{
	uint8_t tmp[64];
	if (n > sizeof(tmp) || !trib_unhex(tmp, n, f))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s: not %zu lower-case hex digits", kv->line, what, 2 * n);
	memcpy(ret, tmp, n);
	return 0;
}

int trib_kv_time(const struct trib_kv *kv, struct trib_span f, const char *what, int64_t *ret, struct trib_err *err)
{
	if (trib_time_parse(f, ret, err))
		return trib_ctx(err, "line %u: %s", kv->line, what);
	return 0;
}

int trib_kv_name(const struct trib_kv *kv, struct trib_span f, const char *what, size_t max, struct trib_buf *ret,
		 struct trib_err *err)
{
	size_t start = ret->len;
	if (!trib_unpct(ret, f)) {
		ret->len = start;
		if (trib_buf_check(ret, what, err))
			return trib_ctx(err, "line %u", kv->line);
		return bad(kv, what, "not in canonical percent-encoding", err);
	}
	if (ret->len - start > max) {
		ret->len = start;
		return trib_fail(err, TRIB_E_LIMIT, "line %u: %s: longer than the limit of %zu bytes", kv->line, what, max);
	}
	return 0;
}

int trib_kv_id(const struct trib_kv *kv, struct trib_span f, const char *what, char *ret, size_t size, struct trib_err *err)
{
	if (!trib_id_valid(f) || f.n >= size)
		return bad(kv, what, "not an id: 1 to 64 of 0-9 A-Z a-z . _ - and no . or - first", err);
	memcpy(ret, f.p, f.n);
	ret[f.n] = '\0';
	return 0;
}

int trib_kv_take_u64(struct trib_kv *kv, const char *key, uint64_t *ret, struct trib_err *err)
{
	struct trib_span f;
	return trib_kv_take(kv, key, 1, &f, err) ? -1 : trib_kv_u64(kv, f, key, ret, err);
}

int trib_kv_take_hex(struct trib_kv *kv, const char *key, uint8_t *ret, size_t n, struct trib_err *err)
{
	struct trib_span f;
	return trib_kv_take(kv, key, 1, &f, err) ? -1 : trib_kv_hex(kv, f, key, ret, n, err);
}

int trib_kv_take_time(struct trib_kv *kv, const char *key, int64_t *ret, struct trib_err *err)
{
	struct trib_span f;
	return trib_kv_take(kv, key, 1, &f, err) ? -1 : trib_kv_time(kv, f, key, ret, err);
}

int trib_kv_take_id(struct trib_kv *kv, const char *key, char *ret, size_t size, struct trib_err *err)
{
	struct trib_span f;
	return trib_kv_take(kv, key, 1, &f, err) ? -1 : trib_kv_id(kv, f, key, ret, size, err);
}

int trib_kv_take_is(struct trib_kv *kv, const char *key, const char *value, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, key, 1, &f, err))
		return -1;
	if (!trib_span_is(f, value))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: %s is not \"%s\"", kv->line, key, value);
	return 0;
}

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_plain(uint8_t c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; }

bool trib_id_valid(struct trib_span id)
{
	if (id.n < 1 || id.n > TRIB_NODE_MAX || id.p[0] == '.' || id.p[0] == '-')
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!is_plain(id.p[i]))
			return false;
	return true;
}

void trib_pct(struct trib_buf *b, struct trib_span name)
{
	static const char upper[] = "0123456789ABCDEF";
	if (name.n == 0)
		trib_buf_putc(b, '%');
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];
		if (is_plain(c))
			trib_buf_putc(b, c);
		else
			trib_buf_put(b, (char[]){'%', upper[c >> 4], upper[c & 15]}, 3);
	}
}

static int upper_nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool trib_unpct(struct trib_buf *ret, struct trib_span field)
{
	if (trib_span_is(field, "%"))
		return !ret->failed;
	if (field.n == 0)
		return false;
	for (size_t i = 0; i < field.n; i++) {
		uint8_t c = field.p[i];
		if (c == '%') {
			if (field.n - i < 3)
				return false;
			int hi = upper_nibble(field.p[i + 1]), lo = upper_nibble(field.p[i + 2]);
			if (hi < 0 || lo < 0)
				return false;
			c = (uint8_t)(hi << 4 | lo);
			if (is_plain(c)) /* must have been written as itself */
				return false;
			i += 2;
		} else if (!is_plain(c)) {
			return false;
		}
		trib_buf_putc(ret, c);
	}
	return !ret->failed;
}

static uint8_t fold1(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c; }

void trib_fold(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = fold1(p[i]);
}

int trib_fold_cmp(struct trib_span a, struct trib_span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	for (size_t i = 0; i < n; i++) {
		int c = (int)fold1(a.p[i]) - (int)fold1(b.p[i]);
		if (c)
			return c;
	}
	return (a.n > b.n) - (a.n < b.n);
}
