/* base.h: attributes, cleanup macros, checked size arithmetic and banned calls.
 *
 * Included first by every other header of the project. It has no state.
 * POSIX only; no SQLite, libgit2 or OpenSSL may be named in core/base. */
#ifndef TRIB_BASE_H
#define TRIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TRIB_MUST_CHECK __attribute__((warn_unused_result))
#define TRIB_UNUSED __attribute__((unused))
#define TRIB_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Cleanup attributes: `TRIB_AUTO(trib_fd) int fd = -1;` runs the function named
 * NAME_cleanup when the variable leaves its scope. */
#define TRIB_AUTO(name) __attribute__((cleanup(name##_cleanup)))

static inline void trib_fd_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void trib_mem_cleanup(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void trib_file_cleanup(FILE **f)
{
	if (*f)
		fclose(*f);
	*f = NULL;
}

/* Checked size arithmetic: true on overflow, then *ret is unspecified. */
static inline bool trib_add_overflow(size_t a, size_t b, size_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}

static inline bool trib_mul_overflow(size_t a, size_t b, size_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}

/* Big-endian loads and stores of fixed width. */
static inline uint16_t trib_be16(const uint8_t *p) { return (uint16_t)((unsigned)p[0] << 8 | p[1]); }
static inline uint32_t trib_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t trib_be64(const uint8_t *p) { return (uint64_t)trib_be32(p) << 32 | trib_be32(p + 4); }
static inline void trib_put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}
static inline void trib_put_be64(uint8_t *p, uint64_t v)
{
	trib_put_be32(p, (uint32_t)(v >> 32));
	trib_put_be32(p + 4, (uint32_t)v);
}

#define TRIB_SHA256_LEN 32
#define TRIB_SHA256_HEX 64
#define TRIB_OID_LEN 20  /* a git object id; addressing only, never integrity (D5.3) */
#define TRIB_OID_HEX 40

/* Calls that have no safe use here. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gets
#undef gmtime
#undef localtime
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets gmtime localtime atoi atol

#endif
