/* packidx.h: are the indexes of a repository's packs what git wrote? libgit2 1.5.1 believes offsets of a damaged index and reads beyond its mapping.
 *
 * An index is good when its form is (git pack format, version 2: fan-out rising, length of all tables) and its own SHA-1 at the end. */
#ifndef TRIB_PACKIDX_H
#define TRIB_PACKIDX_H

#include "core/base/buf.h"

/* Every index below DIR/pack; a folder that is not there has none. TRIB_E_VERIFY names the first bad one. */
int trib_packs_check(const char *objects_dir, struct trib_err *err) TRIB_MUST_CHECK;
/* Calls fn with each id of one index, rising. TRIB_E_VERIFY when it is damaged. */
int trib_pack_ids(const char *idx_path, int (*fn)(void *ctx, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
/* Moves each bad index and its pack into `to_dir` (made when missing); *ret_n: how many. Their objects are then missing. */
int trib_packs_set_aside(const char *objects_dir, const char *to_dir, size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;

#endif
