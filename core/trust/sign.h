/* sign.h: the commit signature of F6: CMS SignedData, detached, one signer, no certificates. */
#ifndef TRIB_SIGN_H
#define TRIB_SIGN_H

#include "core/trust/cert.h"
#include "core/trust/p256.h"

/* Appends the PEM ("SIGNED MESSAGE", no final newline) over `payload`, and verifies what was made before it returns. `now` becomes signingTime. */
int trib_sign(struct trib_span payload, const struct trib_key *key, const struct trib_cert *cert, int64_t now,
	      struct trib_buf *ret_pem, struct trib_err *err) TRIB_MUST_CHECK;
/* Judge: the signature is by `cert`'s key over `payload`, in the one accepted shape (bounded PEM and DER; one signer;
 * issuer and serial equal the certificate's; SHA-256; no embedded certificates or CRLs). TRIB_E_SIGNATURE otherwise.
 * The outline is compared byte for byte: AlgorithmIdentifiers without parameters, the issuer's name and serial as they stand
 * in the certificate, so that what is not signed cannot be respelled. Says nothing about who the certificate is. */
int trib_sign_verify(struct trib_span payload, struct trib_span pem, const struct trib_cert *cert, struct trib_err *err) TRIB_MUST_CHECK;
/* The same, sooner when `fast` (of the same certificate's key; may be NULL) confirms it. */
int trib_sign_verify_fast(struct trib_span payload, struct trib_span pem, const struct trib_cert *cert, struct trib_p256 *fast, struct trib_err *err) TRIB_MUST_CHECK;

#endif
