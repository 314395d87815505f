/* packmaker.h: makes git packs by hand, honest and hostile, for tests. */
#ifndef TRIB_TEST_PACKMAKER_H
#define TRIB_TEST_PACKMAKER_H

#include <zlib.h>

#include "core/base/buf.h"
#include "core/trust/hash.h"

static inline void pk_begin(struct trib_buf *b, uint32_t count)
{
	trib_buf_puts(b, "PACK");
	trib_buf_be32(b, 2);
	trib_buf_be32(b, count);
}

/* The entry's type and size, whatever follows. */
static inline void pk_head(struct trib_buf *b, unsigned type, uint64_t size)
{
	uint8_t c = (uint8_t)(type << 4 | (size & 15));
	for (size >>= 4; size; size >>= 7) {
		trib_buf_putc(b, c | 0x80);
		c = size & 0x7f;
	}
	trib_buf_putc(b, c);
}

static inline void pk_deflate(struct trib_buf *b, struct trib_span bytes)
{
	uLongf n = compressBound(bytes.n);
	uint8_t *z = malloc(n);
	if (!z || compress2(z, &n, bytes.n ? bytes.p : (const uint8_t *)"", bytes.n, 6) != Z_OK)
		abort();
	trib_buf_put(b, z, n);
	free(z);
}

/* A whole object; returns its offset. `declared` may lie. */
static inline size_t pk_object_sized(struct trib_buf *b, unsigned type, struct trib_span bytes, uint64_t declared)
{
	size_t at = b->len;
	pk_head(b, type, declared);
	pk_deflate(b, bytes);
	return at;
}

static inline size_t pk_object(struct trib_buf *b, unsigned type, struct trib_span bytes)
{
	return pk_object_sized(b, type, bytes, bytes.n);
}

static inline size_t pk_ref_delta(struct trib_buf *b, const uint8_t oid[TRIB_OID_LEN], struct trib_span delta)
{
	size_t at = b->len;
	pk_head(b, 7, delta.n);
	trib_buf_put(b, oid, TRIB_OID_LEN);
	pk_deflate(b, delta);
	return at;
}

static inline size_t pk_ofs_delta(struct trib_buf *b, uint64_t back, struct trib_span delta)
{
	size_t at = b->len;
	uint8_t digits[10];
	size_t n = 0;
	pk_head(b, 6, delta.n);
	digits[n++] = back & 0x7f;
	while (back >>= 7)
		digits[n++] = 0x80 | (--back & 0x7f);
	while (n > 0)
		trib_buf_putc(b, digits[--n]);
	pk_deflate(b, delta);
	return at;
}

static inline void pk_end(struct trib_buf *b)
{
	uint8_t sum[TRIB_OID_LEN];
	trib_sha1(sum, trib_buf_span(b));
	trib_buf_put(b, sum, sizeof(sum));
}

static inline void pk_varint(struct trib_buf *d, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		trib_buf_putc(d, (uint8_t)(v | 0x80));
	trib_buf_putc(d, (uint8_t)v);
}

/* Delta instructions: the two sizes, copies, literal text. */
static inline void pk_delta(struct trib_buf *d, uint64_t base, uint64_t result)
{
	trib_buf_reset(d);
	pk_varint(d, base);
	pk_varint(d, result);
}

static inline void pk_copy(struct trib_buf *d, uint32_t from, uint32_t len)
{
	trib_buf_putc(d, 0xff);
	for (int k = 0; k < 4; k++)
		trib_buf_putc(d, (uint8_t)(from >> (8 * k)));
	for (int k = 0; k < 3; k++)
		trib_buf_putc(d, (uint8_t)(len >> (8 * k)));
}

static inline void pk_insert(struct trib_buf *d, const char *text)
{
	trib_buf_putc(d, (uint8_t)strlen(text));
	trib_buf_puts(d, text);
}

#endif
