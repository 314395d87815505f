/* ossl.h: what the files of core/trust share about OpenSSL. Internal to core/trust. */
#ifndef TRIB_OSSL_H
#define TRIB_OSSL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/trust/cert.h"
#include "core/trust/keys.h"

/* The key's EVP_PKEY, borrowed (defined in keys.c beside struct trib_key). */
EVP_PKEY *trib_key_pkey(const struct trib_key *k);
/* The certificate's X509, borrowed. */
X509 *trib_cert_x509(const struct trib_cert *c);
/* Puts `link` and `older` (both taken over) behind a root: roots.c. */
void trib_cert_set_older(struct trib_cert *root, struct trib_cert *link, struct trib_cert *older);
const struct trib_cert *trib_cert_link(const struct trib_cert *root);
/* Judge: may this certificate sign certificates? P-256, CA, keyCertSign. */
int trib_cert_check_ca(const struct trib_cert *c, const char *which, struct trib_err *err) TRIB_MUST_CHECK;
/* Roots from a list as in the text form; the certificates are taken over, also on failure. */
int trib_roots_wrap(struct trib_cert *const *certs, size_t n, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Wraps an X509; the reference is taken over also on failure (then it is freed). `x` NULL fails with `what`. */
int trib_cert_wrap(X509 *x, const char *what, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* True for an uncompressed P-256 point with the curve given by name. */
bool trib_spki_is_p256(X509_PUBKEY *spki);
/* Says which part of OpenSSL's error is worth showing: trib_fail with `what` and the first reason in its error queue, which
 * is emptied. Always -1. */
int trib_ossl_fail(struct trib_err *err, enum trib_code code, const char *what);

#define TRIB_URN "urn:tributary:"
/* The role's word in the URN; NULL for TRIB_ROLE_NONE. */
const char *trib_role_word(enum trib_role role);
/* Reads "ROLE:ID" (what follows TRIB_URN) into role, id, node and app; false when it is not one of the known forms. */
bool trib_role_parse(struct trib_span s, struct trib_cert_id *ret);

#endif
