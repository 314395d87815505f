#include "core/trust/hash.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

struct trib_sha256_ctx {
	EVP_MD_CTX *md;
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
	need(EVP_Digest(bytes.n ? (const void *)bytes.p : "", bytes.n, ret, NULL, EVP_sha256(), NULL) == 1);
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
	int n = snprintf(head, sizeof(head), "%s %zu", type, bytes.n);
	need(n > 0 && (size_t)n < sizeof(head));
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	need(md && EVP_DigestInit_ex(md, EVP_sha1(), NULL) == 1);
	need(EVP_DigestUpdate(md, head, (size_t)n + 1) == 1); /* the NUL belongs to the header */
	if (bytes.n)
		need(EVP_DigestUpdate(md, bytes.p, bytes.n) == 1);
	need(EVP_DigestFinal_ex(md, ret, NULL) == 1);
	EVP_MD_CTX_free(md);
}

void trib_sha1(uint8_t ret[TRIB_OID_LEN], struct trib_span bytes)
{
	need(EVP_Digest(bytes.n ? (const void *)bytes.p : "", bytes.n, ret, NULL, EVP_sha1(), NULL) == 1);
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
	need(c);
	c->md = EVP_MD_CTX_new();
	need(c->md && EVP_DigestInit_ex(c->md, EVP_sha256(), NULL) == 1);
	return c;
}

void trib_sha256_add(struct trib_sha256_ctx *c, struct trib_span bytes)
{
	if (bytes.n)
		need(EVP_DigestUpdate(c->md, bytes.p, bytes.n) == 1);
}

void trib_sha256_end(struct trib_sha256_ctx *c, uint8_t ret[TRIB_SHA256_LEN])
{
	need(EVP_DigestFinal_ex(c->md, ret, NULL) == 1);
	EVP_MD_CTX_free(c->md);
	free(c);
}

struct trib_sha1_ctx {
	EVP_MD_CTX *md;
};

struct trib_sha1_ctx *trib_sha1_new(void)
{
	struct trib_sha1_ctx *c = malloc(sizeof(*c));
	need(c);
	c->md = EVP_MD_CTX_new();
	need(c->md && EVP_DigestInit_ex(c->md, EVP_sha1(), NULL) == 1);
	return c;
}

void trib_sha1_add(struct trib_sha1_ctx *c, struct trib_span bytes)
{
	if (bytes.n)
		need(EVP_DigestUpdate(c->md, bytes.p, bytes.n) == 1);
}

void trib_sha1_end(struct trib_sha1_ctx *c, uint8_t ret[TRIB_OID_LEN])
{
	need(EVP_DigestFinal_ex(c->md, ret, NULL) == 1);
	EVP_MD_CTX_free(c->md);
	free(c);
}
