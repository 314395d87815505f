/* signer.h: who stands behind a signer.pem, judged, and remembered from commit to commit.
 *
 * A history has the same signer.pem in thousands of commits. What was found good for the same bytes (by SHA-256), the same root and a time inside the
 * validity of the whole chain is good again; revocation (trust.cert_ok) is asked every time all the same. One cache serves one thread. */
#ifndef TRIB_SIGNER_H
#define TRIB_SIGNER_H

#include "core/replay/judge.h"

#define TRIB_SIGNER_FAST_AFTER 1024 /* signatures of one signer: then a table pays (core/trust/p256.h) */
#define TRIB_SIGNER_FAST_MAX 16     /* tables in one cache, 150 KiB each */
#define TRIB_SIGNERS 2048 /* remembered at once, by the first bits of the hash: about 8 KiB each; a city has as many communities */

struct trib_signer {
	struct trib_cert *leaf;
	struct trib_cert_id id;
	uint8_t spki[TRIB_SHA256_LEN];
	uint8_t pem_sha256[TRIB_SHA256_LEN];
	const struct trib_cert *root;
	bool self_signed;
	int64_t from, to;       /* times for which the chain holds */
	unsigned seen;          /* signatures */
	struct trib_p256 *fast; /* once there were many */
};

struct trib_signer_cache { /* zeroed: empty */
	struct trib_signer **slots; /* TRIB_SIGNERS of them, or NULL */
	unsigned nfast;
};

void trib_signer_cache_release(struct trib_signer_cache *c);
static inline void trib_signer_cache_cleanup(struct trib_signer_cache *c) { trib_signer_cache_release(c); }
/* The signer of these bytes (whose hash is given), remembered or judged now: form, chain, role, node, app. Then asks trust->cert_ok. *ret belongs to *c and
 * is good until the next call. TRIB_E_CERT. */
int trib_signer_judge(struct trib_signer_cache *c, const struct trib_trust *trust, struct trib_span pem, const uint8_t pem_sha256[TRIB_SHA256_LEN],
		      const struct trib_signer **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Verifies one more of this signer's signatures (trib_sign_verify). */
int trib_signer_verify(struct trib_signer_cache *c, const struct trib_signer *who, struct trib_span payload, struct trib_span pem, struct trib_err *err) TRIB_MUST_CHECK;
/* 0 when the certificate's owner is the trust's node and app. */
int trib_signer_owner(const struct trib_trust *trust, const struct trib_cert_id *who, struct trib_err *err) TRIB_MUST_CHECK;

#endif
