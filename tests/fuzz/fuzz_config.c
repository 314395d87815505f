/* Whatever a configuration file holds: keys and values are within their limits, without control characters, and a plain file of them reads the same. */
#include "core/format/config.h"
#include "tests/fuzz/fuzz.h"

static int again(void *ctx, const char *key, const char *value, struct trib_err *err)
{
	struct trib_span *rest = ctx;
	(void)err;
	size_t k = strlen(key), v = strlen(value);
	MUST(rest->n >= k + v + 2 && memcmp(rest->p, key, k) == 0 && memcmp(rest->p + k + 1, value, v) == 0);
	*rest = trib_span(rest->p + k + v + 2, rest->n - k - v - 2);
	return 0;
}

static int first(void *ctx, const char *key, const char *value, struct trib_err *err)
{
	(void)err;
	MUST(*key && strlen(key) <= TRIB_CONFIG_KEY_MAX && *value && strlen(value) <= TRIB_CONFIG_VALUE_MAX);
	for (const char *c = value; *c; c++)
		MUST((unsigned char)*c >= ' ' || *c == '\t');
	trib_buf_printf(ctx, "%s %s\n", key, value);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_CONFIG_MAX);
	if (trib_config_parse(trib_span(data, size), first, &b, &err) < 0)
		return 0;
	struct trib_span rest = trib_buf_span(&b);
	MUST(trib_config_parse(trib_buf_span(&b), again, &rest, &err) == 0 && rest.n == 0);
	return 0;
}
