/* signer.h: who stands behind a signer.pem, judged, and remembered from commit to commit of a walk.
 *
 * A history has the same signer.pem in thousands of commits. What was found good for the same bytes (by SHA-256), the same root and a time inside the
 * validity of the whole chain is good again; revocation (trust.cert_ok) is asked every time all the same. One cache serves one thread. */
#ifndef TRIB_SIGNER_H
#define TRIB_SIGNER_H

#include "core/replay/judge.h"

struct trib_signer_cache {
	struct trib_cert *leaf; /* NULL: empty */
	struct trib_cert_id id;
	uint8_t spki[TRIB_SHA256_LEN];
	uint8_t pem_sha256[TRIB_SHA256_LEN];
	const struct trib_cert *root;
	bool self_signed;
	int64_t from, to;       /* times for which the chain holds */
};

void trib_signer_cache_release(struct trib_signer_cache *c);
static inline void trib_signer_cache_cleanup(struct trib_signer_cache *c) { trib_signer_cache_release(c); }
/* Fills *c for these bytes (whose hash is given) unless it holds them already: form, chain, role, node, app. Then asks trust->cert_ok. TRIB_E_CERT; *c is
 * then empty or as it was. */
int trib_signer_judge(struct trib_signer_cache *c, const struct trib_trust *trust, struct trib_span pem, const uint8_t pem_sha256[TRIB_SHA256_LEN],
		      struct trib_err *err) TRIB_MUST_CHECK;
/* 0 when the certificate's owner is the trust's node and app. */
int trib_signer_owner(const struct trib_trust *trust, const struct trib_cert_id *who, struct trib_err *err) TRIB_MUST_CHECK;

#endif
