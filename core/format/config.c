#include "core/format/config.h"

#include "core/base/fs.h"

struct seen { struct trib_span key[TRIB_CONFIG_LINES_MAX]; size_t n; };

static bool blank(uint8_t c) { return c == ' ' || c == '\t'; }

static struct trib_span trim(struct trib_span s)
{
	while (s.n && blank(s.p[0]))
		s = trib_span(s.p + 1, s.n - 1);
	while (s.n && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool key_char(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

static int copy(struct trib_span s, char *ret, size_t size, const char *what, struct trib_err *err)
{
	if (s.n >= size)
		return trib_fail(err, TRIB_E_LIMIT, "its %s has %zu bytes, at most %zu are taken", what, s.n, size - 1);
	memcpy(ret, s.p, s.n);
	ret[s.n] = '\0';
	return 0;
}

static int take_line(struct trib_span line, struct seen *seen, int (*take)(void *ctx, const char *key, const char *value, struct trib_err *err), void *ctx, struct trib_err *err)
{
	char key[TRIB_CONFIG_KEY_MAX + 1], value[TRIB_CONFIG_VALUE_MAX + 1];
	size_t k = 0;
	for (size_t i = 0; i < line.n; i++)
		if ((line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return trib_fail(err, TRIB_E_FORMAT, "it holds a control character");
	line = trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return 0;
	while (k < line.n && key_char(line.p[k]))
		k++;
	struct trib_span name = trib_span(line.p, k), rest = trim(trib_span(line.p + k, line.n - k));
	if (k == 0 || rest.n == 0 || !blank(line.p[k]))
		return trib_fail(err, TRIB_E_FORMAT, "it is not KEY, a blank and a value");
	for (size_t i = 0; i < seen->n; i++)
		if (trib_span_eq(seen->key[i], name))
			return trib_fail(err, TRIB_E_FORMAT, "%.*s stands there twice", (int)k, (const char *)line.p);
	if (seen->n == TRIB_CONFIG_LINES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "more than %d keys", TRIB_CONFIG_LINES_MAX);
	seen->key[seen->n++] = name;
	return copy(name, key, sizeof(key), "key", err) || copy(rest, value, sizeof(value), "value", err) || take(ctx, key, value, err) ? -1 : 0;
}

int trib_config_parse(struct trib_span text, int (*take)(void *ctx, const char *key, const char *value, struct trib_err *err), void *ctx, struct trib_err *err)
{
	struct seen seen = {.n = 0};
	if (text.n > TRIB_CONFIG_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%zu bytes, at most %zu are taken", text.n, TRIB_CONFIG_MAX);
	for (unsigned n = 1; text.n; n++) {
		const uint8_t *lf = memchr(text.p, '\n', text.n);
		size_t len = lf ? (size_t)(lf - text.p) : text.n, used = lf ? len + 1 : len;
		if (take_line(trib_span(text.p, len), &seen, take, ctx, err))
			return trib_ctx(err, "line %u", n);
		text = trib_span(text.p + used, text.n - used);
	}
	return 0;
}

int trib_config_read(const char *path, int (*take)(void *ctx, const char *key, const char *value, struct trib_err *err), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_CONFIG_MAX);
	return trib_fs_read(path, &b, err) || trib_config_parse(trib_buf_span(&b), take, ctx, err) ? trib_ctx(err, "%s", path) : 0;
}
