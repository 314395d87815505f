/* tiles.h: the log as static files (C2SP tlog-tiles), a cache of hub.db in DIR/log:
 *
 *   checkpoint           the newest published one; what it covers is in the files before it is written
 *   tile/L/N[.p/W]       hashes          tile/entries/N[.p/W]   leaves, each after its length in two bytes
 *   named/SHA256         texts that leaves name by their hash: policies, nightly lists
 *
 * Of the partial tiles only those of the published size are kept; whoever serves cuts narrower ones from them. */
#ifndef TRIB_HUB_TILES_H
#define TRIB_HUB_TILES_H

#include "core/format/tile.h"
#include "hub/hubdb.h"

/* A bundle of 256 leaves. */
#define TRIB_BUNDLE_LEAVES_MAX ((size_t)TRIB_TILE_WIDTH * (TRIB_LEAF_MAX + 2))
#define TRIB_NAMED_MAX (8 * TRIB_MIB) /* a nightly list of fifty thousand offices */

/* Brings DIR/log up to hub.db: full tiles that are new, the partial ones, then the signed checkpoint. What a crash left undone is done by the
 * next call. TRIB_E_VERIFY when the published log is longer than hub.db. */
int trib_tiles_publish(struct trib_hubdb *h, const struct trib_key *log_key, struct trib_err *err) TRIB_MUST_CHECK;
/* When the newest leaf that the published checkpoint covers was made: a hub at work makes at least one a day, the nightly list. 1; 0: there is none to be
 * read; -1. */
int trib_tiles_shown(struct trib_hubdb *h, int64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The newest that the log has signed: receipts make DIR/checkpoint, the published one also covers what administrators did and nightly lists. Only the form is read.
 * *ret points into `note`. When neither is a checkpoint: -1, err tells of DIR/checkpoint, and `note` holds its bytes, as far as they can be read. */
int trib_tiles_newest_note(const struct trib_hub *hub, struct trib_buf *note, struct trib_checkpoint *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* All of it again from hub.db; `named` stays. */
int trib_tiles_remake(struct trib_hubdb *h, const struct trib_key *log_key, struct trib_err *err) TRIB_MUST_CHECK;
/* The bytes that a tile should have, from hub.db. */
int trib_tiles_make(struct trib_hubdb *h, const struct trib_tile *t, struct trib_buf *b, struct trib_err *err) TRIB_MUST_CHECK;
/* Bytes of one tile of the published log, whole or cut from a wider one. TRIB_E_NOT_FOUND when the log does not reach so far. */
int trib_tiles_read(const char *hub_dir, const struct trib_tile *t, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Keeps a text under its SHA-256, durably. */
int trib_named_write(const struct trib_hub *hub, struct trib_span text, uint8_t ret_sha256[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Reads it and proves it. */
int trib_named_read(const char *hub_dir, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
