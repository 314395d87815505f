/* bundlefile.h: git bundles as files (D8.3): what the network carries, by hand. Stock git reads and makes the same files. */
#ifndef TRIB_BUNDLEFILE_H
#define TRIB_BUNDLEFILE_H

#include "core/format/bundle.h"
#include "core/store/repo.h"
#include "core/store/unpack.h"

/* Header and pack to the sink: all that the refs reach and the prerequisites do not. */
int trib_bundle_send(struct trib_repo *r, const struct trib_bundle *head, trib_pack_sink sink, void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
/* The same into a new file (mode 0600), which appears whole and durable, or not at all; TRIB_E_LIMIT when it would be longer than `max` bytes (0: as long as
 * it is). *ret_bytes: its length. */
int trib_bundle_write(struct trib_repo *r, const struct trib_bundle *head, const char *path, uint64_t max, uint64_t *ret_bytes, struct trib_err *err) TRIB_MUST_CHECK;
/* Who reads a bundle says where its objects go and where thin packs find their bases. */
struct trib_bundle_reader {
	int (*head)(void *ctx, const struct trib_bundle *head, struct trib_err *err); /* sees the header before the pack; may be NULL */
	trib_unpack_base base;
	trib_unpack_put put;
	void *ctx;
	bool rehearse; /* the pack is resolved to its last byte once before the first `put` */
};
/* Judges header and pack of the file by our own parsers. No ref moves. TRIB_E_FORMAT, TRIB_E_LIMIT, or a callback's error. */
int trib_bundle_read(const char *path, const struct trib_bundle_reader *r, struct trib_bundle *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* The objects of a bundle that were not there before: for whoever refuses it later. */
struct trib_bundle_loaded { uint8_t (*oid)[TRIB_OID_LEN]; size_t n; };
void trib_bundle_loaded_release(struct trib_bundle_loaded *l);
static inline void trib_bundle_loaded_cleanup(struct trib_bundle_loaded *l) { trib_bundle_loaded_release(l); }
/* Reads it into `into`, all or nothing; thin packs find their bases there. TRIB_E_NOT_FOUND for a prerequisite that `into` lacks.
 * `ret_loaded` may be NULL. */
int trib_bundle_load(const char *path, struct trib_repo *into, struct trib_bundle *ret, struct trib_bundle_loaded *ret_loaded, struct trib_err *err) TRIB_MUST_CHECK;
/* Takes them away again. Only when no ref leads to any of them. */
int trib_bundle_unload(struct trib_repo *from, const struct trib_bundle_loaded *l, struct trib_err *err) TRIB_MUST_CHECK;

#endif
