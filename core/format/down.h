/* down.h: manifests of the hub's own chains: down (F9) and city (F10). Pure. */
#ifndef TRIB_DOWN_H
#define TRIB_DOWN_H

#include "core/format/manifest.h"

struct trib_down {
	char city[TRIB_TITLE_MAX + 1];
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	uint64_t seq;
	uint8_t prev[TRIB_SHA256_LEN];
	int64_t time;
	struct trib_mf_blob blobs[8];
	size_t nblobs;
};
/* Exact inverses; the parser takes all of `text` or fails (TRIB_E_FORMAT, TRIB_E_LIMIT). */
int trib_down_parse(struct trib_span text, struct trib_down *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_down_put(struct trib_buf *b, const struct trib_down *d);

struct trib_city_manifest {
	char city[TRIB_TITLE_MAX + 1];
	uint64_t seq;
	uint8_t prev[TRIB_SHA256_LEN];
	int64_t time;
	uint64_t log_size;
	uint8_t log_root[TRIB_SHA256_LEN];
	uint64_t merged, policy;
	uint8_t digest[TRIB_SHA256_LEN];
	uint8_t signer[TRIB_SHA256_LEN]; /* SHA-256 of signer.pem */
};
int trib_city_manifest_parse(struct trib_span text, struct trib_city_manifest *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_city_manifest_put(struct trib_buf *b, const struct trib_city_manifest *m);

#endif
