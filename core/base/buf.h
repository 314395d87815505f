/* buf.h: owned bytes with a maximum.
 *
 * Lifecycle: trib_buf_init (or TRIB_BUF(max)), any number of puts, trib_buf_release.
 * Failure is sticky: once an append would pass `max` or memory ran out, `failed` is set,
 * the content stays as it was, and later appends do nothing; check `failed` once with
 * trib_buf_check at the end of a sequence. The bytes are always followed by a NUL that is
 * not counted in `len`, so text may be printed as a C string. */
#ifndef TRIB_BUF_H
#define TRIB_BUF_H

#include <stdarg.h>

#include "core/base/err.h"
#include "core/base/span.h"

struct trib_buf {
	uint8_t *p;
	size_t len;
	size_t cap;
	size_t max;   /* most bytes ever held */
	bool failed;  /* sticky: an append was refused */
	bool nomem;   /* the reason was memory, not max */
};

#define TRIB_BUF(limit) ((struct trib_buf){.max = (limit)})

static inline void trib_buf_init(struct trib_buf *b, size_t max) { *b = TRIB_BUF(max); }
void trib_buf_release(struct trib_buf *b);
/* Empties the buffer and clears `failed`; keeps the memory. */
void trib_buf_reset(struct trib_buf *b);
static inline void trib_buf_cleanup(struct trib_buf *b) { trib_buf_release(b); }

/* Append bytes, a string without its NUL, one byte, a number in big-endian, formatted text. Past `max`, or out of memory: `failed`. */
void trib_buf_put(struct trib_buf *b, const void *p, size_t n);
void trib_buf_put_span(struct trib_buf *b, struct trib_span s);
void trib_buf_puts(struct trib_buf *b, const char *s);
void trib_buf_putc(struct trib_buf *b, uint8_t c);
void trib_buf_be32(struct trib_buf *b, uint32_t v);
void trib_buf_be64(struct trib_buf *b, uint64_t v);
void trib_buf_printf(struct trib_buf *b, const char *fmt, ...) TRIB_PRINTF(2, 3);
/* Lower-case hexadecimal of n bytes. */
void trib_buf_hex(struct trib_buf *b, const uint8_t *p, size_t n);
/* Reserves n bytes at the end and returns where to write them (len already counts them);
 * NULL when refused. */
uint8_t *trib_buf_grow(struct trib_buf *b, size_t n);

static inline struct trib_span trib_buf_span(const struct trib_buf *b) { return trib_span(b->p, b->len); }
/* The bytes as a C string; "" when empty. */
static inline const char *trib_buf_str(const struct trib_buf *b) { return b->p ? (const char *)b->p : ""; }
/* 0 when no append was refused; else -1 with TRIB_E_LIMIT or TRIB_E_NOMEM naming `what`. */
int trib_buf_check(const struct trib_buf *b, const char *what, struct trib_err *err) TRIB_MUST_CHECK;

/* Hex text helpers. `hex` must hold 2n+1 bytes. */
void trib_hex(char *hex, const uint8_t *p, size_t n);
/* Reads exactly 2n lower-case hex digits; false on anything else (ret is then unspecified). */
bool trib_unhex(uint8_t *ret, size_t n, struct trib_span hex);

#endif
