/* keys.h: private keys: made where they live, loaded with a check of their file mode, wiped on free. ECDSA P-256 for
 * certificates and commits, Ed25519 for the log. */
#ifndef TRIB_KEYS_H
#define TRIB_KEYS_H

#include "core/base/fs.h"

struct trib_key; /* opaque: an EVP_PKEY */

enum trib_key_kind { TRIB_KEY_P256, TRIB_KEY_ED25519 };
/* A new key of OpenSSL's randomness; the caller frees it. */
int trib_key_make(enum trib_key_kind kind, struct trib_key **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* PEM PKCS#8, mode 0600, never over an existing file. */
int trib_key_save(const struct trib_key *k, const char *path, struct trib_err *err) TRIB_MUST_CHECK;
/* Refuses a file that group or others may read (TRIB_E_CERT). */
int trib_key_load(const char *path, struct trib_key **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* A key that is carried on a stick: as trib_key_load, but where the file system has no access rights (FAT, exFAT) its mode says nothing. Then *ret_open is true:
 * whoever uses this computer may read it. */
int trib_key_load_carried(const char *path, struct trib_key **ret, bool *ret_open, struct trib_err *err) TRIB_MUST_CHECK;
/* That the private half is the one of the public half: a file holds both, and damage to one leaves the other. TRIB_E_CERT. */
int trib_key_check(const struct trib_key *k, struct trib_err *err) TRIB_MUST_CHECK;
void trib_key_free(struct trib_key *k);
static inline void trib_key_cleanup(struct trib_key **k) { trib_key_free(*k); }
/* Raw Ed25519 public key. */
int trib_key_ed25519_public(const struct trib_key *k, uint8_t ret[32], struct trib_err *err) TRIB_MUST_CHECK;
int trib_ed25519_sign(const struct trib_key *k, struct trib_span msg, uint8_t ret[64], struct trib_err *err) TRIB_MUST_CHECK;
int trib_ed25519_verify(const uint8_t pub[32], struct trib_span msg, const uint8_t sig[64], struct trib_err *err) TRIB_MUST_CHECK;

#endif
