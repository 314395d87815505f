/* ossl.h: what the files of core/trust share about OpenSSL. Internal to core/trust. */
#ifndef TRIB_OSSL_H
#define TRIB_OSSL_H

#include <openssl/evp.h>

#include "core/trust/keys.h"

/* The key's EVP_PKEY, borrowed (defined in keys.c beside struct trib_key). */
EVP_PKEY *trib_key_pkey(const struct trib_key *k);
/* trib_fail with `what` and the first reason in OpenSSL's error queue, which is emptied. Always -1. */
int trib_ossl_fail(struct trib_err *err, enum trib_code code, const char *what);

#endif
