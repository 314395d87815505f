/* leaf.h: log leaves (F8), one struct for all kinds. Parser and writer are exact inverses. Pure. */
#ifndef TRIB_LEAF_H
#define TRIB_LEAF_H

#include "core/format/kv.h"
#include "core/base/limits.h"

enum trib_leaf_kind {
	TRIB_LEAF_LOG_OPEN, TRIB_LEAF_ENROLLED, TRIB_LEAF_REVOKED, TRIB_LEAF_CRL, TRIB_LEAF_POLICY,
	TRIB_LEAF_HELD, TRIB_LEAF_MERGED, TRIB_LEAF_OUT_OF_STEP, TRIB_LEAF_REFUSED,
	TRIB_LEAF_PERSON, TRIB_LEAF_PERSON_REVOKED, TRIB_LEAF_ACT, TRIB_LEAF_NIGHT, TRIB_LEAF_EPOCH,
};

/* Which members are used follows from `kind` (F8); the others are zero. No owned memory: the three spans of an epoch leaf point into the parsed text, or
 * into the writer's. */
struct trib_leaf {
	enum trib_leaf_kind kind;
	int64_t time;
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; /* act: "" when it is about no node */
	char name[TRIB_TITLE_MAX + 1];      /* enrolled: display name; log-open: city; out-of-step: table; person: who; act: details */
	char origin[TRIB_TITLE_MAX + 32];   /* log-open, epoch; act: who did it */
	uint64_t incarnation, seq, part, parts, crl, number; /* number: crl and policy leaves; epoch: leaves before it */
	int64_t from, to;                   /* night: the hours it is about */
	uint64_t expected, reported, silent; /* night */
	uint8_t manifest[TRIB_SHA256_LEN] /* epoch: root of the leaves before it */, commit[TRIB_SHA256_LEN], signer[TRIB_SHA256_LEN];
	uint8_t cert[TRIB_SHA256_LEN];      /* enrolled: signing certificate; revoked: that certificate; log-open: root; person */
	uint8_t cert2[TRIB_SHA256_LEN];     /* enrolled: TLS certificate; log-open: hub signing certificate */
	uint8_t sha256[TRIB_SHA256_LEN];    /* crl, policy: the file; refused: the object; log-open, epoch: log public key; night: the list;
					     * act: what it is about, or zeros */
	uint8_t oid[TRIB_OID_LEN];
	char word[64];                      /* reason, refusal code, role, act: [a-z-]+ */
	char usage[16];                     /* person: sign or tls */
	struct trib_span admin_cert, issuing_cert, signature; /* epoch: DER and PEM body in base64; the signature is over all lines before it */
	uint8_t key[256];                   /* out-of-step: canonical key, cut at 256 bytes */
	size_t key_len;
};

/* Exact inverses; the parser takes all of `text` or fails (TRIB_E_FORMAT, TRIB_E_LIMIT). */
int trib_leaf_parse(struct trib_span text, struct trib_leaf *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_leaf_put(struct trib_buf *b, const struct trib_leaf *leaf);
/* The bytes of an epoch leaf that its signature is over: everything before the last line. */
void trib_leaf_put_signed(struct trib_buf *b, const struct trib_leaf *leaf);

#endif
