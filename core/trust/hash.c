/* OpenSSL 3 calls these old-fashioned: but EVP looks an algorithm up by its name at each call, under a lock that all threads share, and a commit has a
 * dozen small things to hash (64 bytes: 341 ns by EVP, 73 so). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/trust/hash.h"

#include <openssl/rand.h>
#include <openssl/sha.h>

struct trib_sha256_ctx {
	SHA256_CTX c;
};

struct trib_sha1_ctx {
	SHA_CTX c;
};

/* A digest that cannot be computed leaves nothing safe to do: no caller could go on without it. */
static void need(bool ok)
{
	if (ok)
		return;
	static const char msg[] = "tributary: libcrypto cannot compute a digest (out of memory, or a broken OpenSSL); stopping\n";
	ssize_t n = write(STDERR_FILENO, msg, sizeof(msg) - 1);
	(void)n;
	abort();
}

void trib_sha256(uint8_t ret[TRIB_SHA256_LEN], struct trib_span bytes)
{
	SHA256_CTX c;
	need(SHA256_Init(&c) == 1 && (!bytes.n || SHA256_Update(&c, bytes.p, bytes.n) == 1) && SHA256_Final(ret, &c) == 1);
}

void trib_sha256_hex(char ret[TRIB_SHA256_HEX + 1], struct trib_span bytes)
{
	uint8_t sum[TRIB_SHA256_LEN];
	trib_sha256(sum, bytes);
	trib_hex(ret, sum, sizeof(sum));
}

void trib_git_oid(uint8_t ret[TRIB_OID_LEN], const char *type, struct trib_span bytes)
{
	char head[64];
	SHA_CTX c;
	int n = snprintf(head, sizeof(head), "%s %zu", type, bytes.n);
	need(n > 0 && (size_t)n < sizeof(head));
	need(SHA1_Init(&c) == 1 && SHA1_Update(&c, head, (size_t)n + 1) == 1); /* the NUL belongs to the header */
	need((!bytes.n || SHA1_Update(&c, bytes.p, bytes.n) == 1) && SHA1_Final(ret, &c) == 1);
}

void trib_sha1(uint8_t ret[TRIB_OID_LEN], struct trib_span bytes)
{
	SHA_CTX c;
	need(SHA1_Init(&c) == 1 && (!bytes.n || SHA1_Update(&c, bytes.p, bytes.n) == 1) && SHA1_Final(ret, &c) == 1);
}

int trib_random(uint8_t *p, size_t n, struct trib_err *err)
{
	while (n) {
		int step = n > 65536 ? 65536 : (int)n;
		if (RAND_bytes(p, step) != 1)
			return trib_fail(err, TRIB_E_CRYPTO, "OpenSSL gave no random bytes; nothing was made, try again");
		p += step;
		n -= (size_t)step;
	}
	return 0;
}

struct trib_sha256_ctx *trib_sha256_new(void)
{
	struct trib_sha256_ctx *c = malloc(sizeof(*c));
	need(c && SHA256_Init(&c->c) == 1);
	return c;
}

void trib_sha256_add(struct trib_sha256_ctx *c, struct trib_span bytes)
{
	if (bytes.n)
		need(SHA256_Update(&c->c, bytes.p, bytes.n) == 1);
}

void trib_sha256_end(struct trib_sha256_ctx *c, uint8_t ret[TRIB_SHA256_LEN])
{
	need(SHA256_Final(ret, &c->c) == 1);
	free(c);
}

struct trib_sha1_ctx *trib_sha1_new(void)
{
	struct trib_sha1_ctx *c = malloc(sizeof(*c));
	need(c && SHA1_Init(&c->c) == 1);
	return c;
}

void trib_sha1_add(struct trib_sha1_ctx *c, struct trib_span bytes)
{
	if (bytes.n)
		need(SHA1_Update(&c->c, bytes.p, bytes.n) == 1);
}

void trib_sha1_end(struct trib_sha1_ctx *c, uint8_t ret[TRIB_OID_LEN])
{
	need(SHA1_Final(ret, &c->c) == 1);
	free(c);
}
