/* tile.h: names of the static files of a log (C2SP tlog-tiles): "tile/0/x001/x234/067", "tile/1/000.p/17", "tile/entries/003". Pure. */
#ifndef TRIB_TILE_H
#define TRIB_TILE_H

#include "core/base/buf.h"
#include "core/base/span.h"

#define TRIB_TILE_WIDTH 256
#define TRIB_TILE_LEVEL_MAX 6 /* an index counts up to 2^63 leaves */
#define TRIB_TILE_PATH_MAX 64 /* with its NUL */

struct trib_tile {
	bool entries;     /* a bundle of leaves, else hashes */
	unsigned level;   /* of hashes: each covers 256^level leaves */
	uint64_t n;       /* which tile of its level */
	unsigned width;   /* 1 to 255: a partial one; TRIB_TILE_WIDTH: a full one */
};

/* Exact inverses. The parser takes all of `path` (no leading slash) or returns false: one tile has one name. */
bool trib_tile_parse(struct trib_span path, struct trib_tile *ret);
void trib_tile_path(char ret[TRIB_TILE_PATH_MAX], const struct trib_tile *t);
/* Hashes that a log of `size` leaves has in that tile (`width` is not looked at): 0 to 256. */
unsigned trib_tile_filled(const struct trib_tile *t, uint64_t size);
/* The first `width` entries of a bundle (each two bytes of length, big-endian, and the leaf), without what follows; false when there are fewer. */
bool trib_tile_cut(struct trib_span bundle, unsigned width, struct trib_span *ret);

#endif
