/* span.h: borrowed bytes, and a bounds-checked reader over them.
 *
 * A span never owns its bytes and is passed by value. A reader has sticky failure: after
 * the first short read every further read yields zeros and `failed` stays set, so a
 * parser checks once at the end of a step. */
#ifndef TRIB_SPAN_H
#define TRIB_SPAN_H

#include "core/base/base.h"

struct trib_span {
	const uint8_t *p;
	size_t n;
};

static inline struct trib_span trib_span(const void *p, size_t n)
{
	return (struct trib_span){.p = p, .n = n};
}
static inline struct trib_span trib_span_str(const char *s) { return trib_span(s, strlen(s)); }
static inline bool trib_span_eq(struct trib_span a, struct trib_span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool trib_span_is(struct trib_span a, const char *s) { return trib_span_eq(a, trib_span_str(s)); }
/* Orders by bytes, a prefix first. */
static inline int trib_span_cmp(struct trib_span a, struct trib_span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}
static inline bool trib_span_starts(struct trib_span a, const char *prefix)
{
	size_t n = strlen(prefix);
	return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

struct trib_reader {
	struct trib_span rest;
	bool failed;
};

static inline struct trib_reader trib_reader(struct trib_span s) { return (struct trib_reader){s, false}; }

/* Takes exactly n bytes, or fails and yields an empty span. */
static inline struct trib_span trib_read(struct trib_reader *r, size_t n)
{
	if (r->failed || r->rest.n < n) {
		r->failed = true;
		return trib_span(NULL, 0);
	}
	struct trib_span s = trib_span(r->rest.p, n);
	r->rest.p += n;
	r->rest.n -= n;
	return s;
}
static inline uint8_t trib_read_u8(struct trib_reader *r)
{
	struct trib_span s = trib_read(r, 1);
	return s.n ? s.p[0] : 0;
}
static inline uint32_t trib_read_be32(struct trib_reader *r)
{
	struct trib_span s = trib_read(r, 4);
	return s.n ? trib_be32(s.p) : 0;
}
static inline uint64_t trib_read_be64(struct trib_reader *r)
{
	struct trib_span s = trib_read(r, 8);
	return s.n ? trib_be64(s.p) : 0;
}

#endif
