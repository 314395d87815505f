/* seal.h: a stream encrypted to one certificate: CMS AuthEnvelopedData (RFC 5083), AES-256-GCM, in DER. Stock `openssl cms -decrypt -inform DER` opens it.
 *
 * Any X.509 certificate with an RSA or EC key will do: whom an office trusts with a copy of its private values is its own affair. What is sealed must carry its own
 * signatures: openssl's tool gives out the plain text before it has checked the end. */
#ifndef TRIB_SEAL_H
#define TRIB_SEAL_H

#include "core/trust/cert.h"

struct trib_seal; /* opaque */

/* Writes to `fd`, which stays the caller's. */
int trib_seal_new(const struct trib_cert *to, int fd, struct trib_seal **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_seal_put(struct trib_seal *s, struct trib_span bytes, struct trib_err *err) TRIB_MUST_CHECK;
/* Ends the stream; without it the file is cut short. */
int trib_seal_end(struct trib_seal *s, struct trib_err *err) TRIB_MUST_CHECK;
void trib_seal_free(struct trib_seal *s);
static inline void trib_seal_cleanup(struct trib_seal **s) { trib_seal_free(*s); }

#endif
