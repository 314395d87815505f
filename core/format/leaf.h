/* leaf.h: log leaves (F8), one struct for all kinds. Parser and writer are exact inverses. Pure. */
#ifndef TRIB_LEAF_H
#define TRIB_LEAF_H

#include "core/format/kv.h"
#include "core/base/limits.h"

enum trib_leaf_kind {
	TRIB_LEAF_LOG_OPEN, TRIB_LEAF_ENROLLED, TRIB_LEAF_REVOKED, TRIB_LEAF_CRL, TRIB_LEAF_POLICY,
	TRIB_LEAF_HELD, TRIB_LEAF_MERGED, TRIB_LEAF_OUT_OF_STEP, TRIB_LEAF_REFUSED,
};

/* Which members are used follows from `kind` (F8); the others are zero. No owned memory. */
struct trib_leaf {
	enum trib_leaf_kind kind;
	int64_t time;
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	char name[TRIB_TITLE_MAX + 1];      /* enrolled: display name; log-open: city; out-of-step: table */
	char origin[TRIB_TITLE_MAX + 32];   /* log-open */
	uint64_t incarnation, seq, part, parts, crl, number; /* number: crl and policy leaves */
	uint8_t manifest[TRIB_SHA256_LEN], commit[TRIB_SHA256_LEN], signer[TRIB_SHA256_LEN];
	uint8_t cert[TRIB_SHA256_LEN];      /* enrolled: signing certificate; revoked: that certificate; log-open: root */
	uint8_t cert2[TRIB_SHA256_LEN];     /* enrolled: TLS certificate; log-open: hub signing certificate */
	uint8_t sha256[TRIB_SHA256_LEN];    /* crl, policy: the file; refused: the object; log-open: log public key */
	uint8_t oid[TRIB_OID_LEN];
	char word[64];                      /* reason or refusal code: [a-z-]+ */
	uint8_t key[256];                   /* out-of-step: canonical key, cut at 256 bytes */
	size_t key_len;
};

/* Exact inverses; the parser takes all of `text` or fails (TRIB_E_FORMAT, TRIB_E_LIMIT). */
int trib_leaf_parse(struct trib_span text, struct trib_leaf *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_leaf_put(struct trib_buf *b, const struct trib_leaf *leaf);

#endif
