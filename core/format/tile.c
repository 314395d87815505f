#include "core/format/tile.h"

static bool take(struct trib_span *s, const char *word)
{
	size_t n = strlen(word);
	if (s->n < n || memcmp(s->p, word, n) != 0)
		return false;
	*s = trib_span(s->p + n, s->n - n);
	return true;
}

/* Decimal without leading zeros, at most `max`. */
static bool take_number(struct trib_span *s, unsigned max, unsigned *ret)
{
	unsigned v = 0;
	size_t i = 0;
	for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
		v = v * 10 + (unsigned)(s->p[i] - '0');
		if (v > max || (i > 0 && s->p[0] == '0'))
			return false;
	}
	if (i == 0)
		return false;
	*s = trib_span(s->p + i, s->n - i);
	*ret = v;
	return true;
}

static bool take_three(struct trib_span *s, uint64_t *n)
{
	if (s->n < 3)
		return false;
	for (int i = 0; i < 3; i++) {
		if (s->p[i] < '0' || s->p[i] > '9' || *n > (INT64_MAX - 9) / 10)
			return false;
		*n = *n * 10 + (uint64_t)(s->p[i] - '0');
	}
	*s = trib_span(s->p + 3, s->n - 3);
	return true;
}

/* x001/x234/067. The first group of several is not zero: that would be a second name. */
static bool take_index(struct trib_span *s, uint64_t *ret)
{
	uint64_t n = 0;
	for (int groups = 0; take(s, "x"); groups++)
		if (!take_three(s, &n) || !take(s, "/") || (groups == 0 && n == 0))
			return false;
	if (!take_three(s, &n))
		return false;
	*ret = n;
	return true;
}

bool trib_tile_parse(struct trib_span path, struct trib_tile *ret)
{
	struct trib_tile t = {.width = TRIB_TILE_WIDTH};
	if (!take(&path, "tile/"))
		return false;
	t.entries = take(&path, "entries/");
	if (!t.entries && (!take_number(&path, TRIB_TILE_LEVEL_MAX, &t.level) || !take(&path, "/")))
		return false;
	if (!take_index(&path, &t.n))
		return false;
	if (path.n && (!take(&path, ".p/") || !take_number(&path, TRIB_TILE_WIDTH - 1, &t.width) || t.width == 0))
		return false;
	/* The last leaf of it must be countable. */
	unsigned shift = 8 * (t.level + 1);
	if (path.n || t.n > (uint64_t)INT64_MAX >> shift)
		return false;
	*ret = t;
	return true;
}

void trib_tile_path(char ret[TRIB_TILE_PATH_MAX], const struct trib_tile *t)
{
	char index[32] = "";
	size_t at = 0;
	unsigned groups = 1;
	for (uint64_t n = t->n; n >= 1000; n /= 1000)
		groups++;
	for (unsigned g = groups; g-- > 0;) {
		uint64_t n = t->n;
		for (unsigned i = 0; i < g; i++)
			n /= 1000;
		at += (size_t)snprintf(index + at, sizeof(index) - at, g ? "x%03u/" : "%03u", (unsigned)(n % 1000));
	}
	char level[16] = "entries", partial[16] = "";
	if (!t->entries)
		(void)snprintf(level, sizeof(level), "%u", t->level);
	if (t->width < TRIB_TILE_WIDTH)
		(void)snprintf(partial, sizeof(partial), ".p/%u", t->width);
	(void)snprintf(ret, TRIB_TILE_PATH_MAX, "tile/%s/%s%s", level, index, partial);
}

unsigned trib_tile_filled(const struct trib_tile *t, uint64_t size)
{
	uint64_t hashes = size >> (8 * t->level), first = t->n * TRIB_TILE_WIDTH;
	if (hashes <= first)
		return 0;
	return hashes - first < TRIB_TILE_WIDTH ? (unsigned)(hashes - first) : TRIB_TILE_WIDTH;
}

bool trib_tile_cut(struct trib_span bundle, unsigned width, struct trib_span *ret)
{
	size_t at = 0;
	for (unsigned i = 0; i < width; i++) {
		if (bundle.n - at < 2)
			return false;
		size_t n = (size_t)bundle.p[at] << 8 | bundle.p[at + 1];
		if (bundle.n - at - 2 < n)
			return false;
		at += 2 + n;
	}
	*ret = trib_span(bundle.p, at);
	return true;
}
