/* private_copy.h: the private half outside of this folder (D4.8): an encrypted copy, and a restore that joins one.
 *
 * The copy is a git bundle of private.git, sealed to one certificate (core/trust/seal.h); private-bundle remembers when the last one was made, and of which commit. */
#ifndef TRIB_AGENT_PRIVATE_COPY_H
#define TRIB_AGENT_PRIVATE_COPY_H

#include "agent/private.h"

struct trib_private_copy { int64_t at; uint64_t seq; char to[TRIB_TITLE_MAX + 1]; uint64_t bytes; };
/* Writes `path` (must not exist), encrypted to the certificate in `cert_path`. TRIB_E_USAGE when nothing is private here. */
int trib_private_copy_make(struct trib_state *s, const char *cert_path, const char *path, struct trib_private_copy *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The last one made (bytes 0); false when none is known. */
bool trib_private_copy_last(const struct trib_state *s, struct trib_private_copy *ret);

/* Unpacks a decrypted copy into `dir` (made, must not exist) and sets it as the private half of *h, for the machine that made public commit `oid`. The repository is
 * the caller's to free before it removes `dir`. */
int trib_private_copy_open(const struct trib_state *s, const char *bundle, const char *dir, const uint8_t oid[TRIB_OID_LEN], struct trib_history *h, struct trib_repo **ret,
			   struct trib_err *err) TRIB_MUST_CHECK;

#endif
