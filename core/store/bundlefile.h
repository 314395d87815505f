/* bundlefile.h: git bundles as files (D8.3): what the network carries, by hand. Stock git reads and makes the same files. */
#ifndef TRIB_BUNDLEFILE_H
#define TRIB_BUNDLEFILE_H

#include "core/format/bundle.h"
#include "core/store/repo.h"

/* Header and pack to the sink: all that the refs reach and the prerequisites do not. */
int trib_bundle_send(struct trib_repo *r, const struct trib_bundle *head, trib_pack_sink sink, void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
/* The same into a new file (mode 0600), which appears whole and durable, or not at all. *ret_bytes: its length. */
int trib_bundle_write(struct trib_repo *r, const struct trib_bundle *head, const char *path, uint64_t *ret_bytes, struct trib_err *err) TRIB_MUST_CHECK;
/* Judges header and pack of the file by our own parsers, the pack to its last byte, and only then writes its objects into `into`, where thin
 * packs find their bases too. No ref moves. TRIB_E_FORMAT, TRIB_E_LIMIT; TRIB_E_NOT_FOUND for a prerequisite that `into` lacks. */
int trib_bundle_load(const char *path, struct trib_repo *into, struct trib_bundle *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
