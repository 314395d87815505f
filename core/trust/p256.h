/* p256.h: many verifications under one key. Internal to signatures.
 *
 * A bare P-256 verification is mostly one multiplication of the key's point. With multiples of that point laid out once, as libcrypto has them of the curve's generator, it
 * takes half the time. Making the table costs about as much as a thousand verifications save, and 150 KiB: it is for keys that sign long histories.
 * It only ever says "yes, this signature is right": what it does not confirm, the caller asks libcrypto's own verification, which alone refuses. */
#ifndef TRIB_P256_H
#define TRIB_P256_H

#include "core/trust/cert.h"

struct trib_p256; /* opaque; one thread's */

/* Of the certificate's key; NULL when it is no P-256 key, or there is no gain or no memory. */
struct trib_p256 *trib_p256_new(const struct trib_cert *cert);
void trib_p256_free(struct trib_p256 *k);
/* Is `sig` (DER) the key's signature over this hash? false also when it cannot tell. */
bool trib_p256_confirms(struct trib_p256 *k, const uint8_t hash[TRIB_SHA256_LEN], struct trib_span sig);

#endif
