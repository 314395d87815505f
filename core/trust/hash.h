/* hash.h: SHA-256 and randomness over OpenSSL's EVP. OpenSSL is named only in core/trust. */
#ifndef TRIB_HASH_H
#define TRIB_HASH_H

#include "core/base/buf.h"

/* Cannot fail short of a broken libcrypto, which aborts with a message (there is no safe way to go on). */
void trib_sha256(uint8_t ret[TRIB_SHA256_LEN], struct trib_span bytes);
void trib_sha256_hex(char ret[TRIB_SHA256_HEX + 1], struct trib_span bytes);
/* SHA-1 of "TYPE LEN NUL bytes": a git object's id. */
void trib_git_oid(uint8_t ret[TRIB_OID_LEN], const char *type, struct trib_span bytes);
/* SHA-1 of the bytes: the trailer of a git pack, a checksum only. */
void trib_sha1(uint8_t ret[TRIB_OID_LEN], struct trib_span bytes);
/* n random bytes from OpenSSL's generator. */
int trib_random(uint8_t *p, size_t n, struct trib_err *err) TRIB_MUST_CHECK;
/* Incremental. */
struct trib_sha256_ctx;
struct trib_sha256_ctx *trib_sha256_new(void);
void trib_sha256_add(struct trib_sha256_ctx *c, struct trib_span bytes);
void trib_sha256_end(struct trib_sha256_ctx *c, uint8_t ret[TRIB_SHA256_LEN]); /* frees c */
/* Incremental SHA-1, for the trailer of git packs: framing, never integrity. */
struct trib_sha1_ctx;
struct trib_sha1_ctx *trib_sha1_new(void);
void trib_sha1_add(struct trib_sha1_ctx *c, struct trib_span bytes);
void trib_sha1_end(struct trib_sha1_ctx *c, uint8_t ret[TRIB_OID_LEN]); /* frees c */

#endif
