/* cert.h: certificates of the city CA (D7.1): profiles when made, and the same profiles checked on use.
 *
 * Roles live in a URI SAN `urn:tributary:ROLE:ID`, ROLE = node hub auditor administrator. Nothing here reads the clock: the caller gives the time. */
#ifndef TRIB_CERT_H
#define TRIB_CERT_H

#include "core/trust/keys.h"
#include "core/base/limits.h"

struct trib_cert; /* opaque: one X509, immutable */

enum trib_role { TRIB_ROLE_NODE, TRIB_ROLE_HUB, TRIB_ROLE_AUDITOR, TRIB_ROLE_ADMIN, TRIB_ROLE_NONE };
enum trib_cert_use { TRIB_USE_SIGN /* emailProtection */, TRIB_USE_TLS_CLIENT, TRIB_USE_TLS_SERVER };

struct trib_cert_id {
	enum trib_role role;
	char id[TRIB_NODE_MAX + 1 + TRIB_APP_MAX + 1]; /* "NODE/APP", "hub", ... */
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; /* role node only */
	int64_t not_before, not_after;
	uint8_t sha256[TRIB_SHA256_LEN]; /* of the DER */
	char serial[64]; /* hex */
	char subject[TRIB_TITLE_MAX + 1]; /* CN */
	bool self_signed;
};

void trib_cert_free(struct trib_cert *c);
static inline void trib_cert_cleanup(struct trib_cert **c) { trib_cert_free(*c); }
/* Parses 1..max certificates in PEM, nothing else around them (F6 signer.pem). Bounded by TRIB_SIGNER_MAX bytes. */
int trib_certs_parse_pem(struct trib_span pem, struct trib_cert **ret, size_t max, size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
int trib_cert_load(const char *path, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_cert_pem(const struct trib_cert *c, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Reads role, ids, validity, hash. A certificate without a tributary SAN has role NONE. */
int trib_cert_identity(const struct trib_cert *c, struct trib_cert_id *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Judge: leaf <- issuing <- root (one of the roots) at time `at`: signatures, CA bits, validity, key usage, EKU for `use`, role and id present,
 * P-256 keys. `expired_ok` skips only the leaf's notAfter (D8.1 /renew). */
int trib_cert_verify(const struct trib_cert *leaf, const struct trib_cert *issuing, const struct trib_cert *root, enum trib_cert_use use,
		     int64_t at, bool expired_ok, struct trib_cert_id *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Judge a self-signed certificate of a node before enrolment: signature by its own key, role node. */
int trib_cert_verify_self(const struct trib_cert *leaf, struct trib_cert_id *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* SHA-256 of the public key (SubjectPublicKeyInfo, DER): the same key under two certificates gives the same bytes. */
int trib_cert_spki_sha256(const struct trib_cert *c, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* 0 when the certificate holds the public half of the key. */
int trib_cert_matches(const struct trib_cert *c, const struct trib_key *k, struct trib_err *err) TRIB_MUST_CHECK;

/* ---- roots ----
 *
 * A city that changes its root keeps the ones before: histories stand under them. All are handed around as one trib_cert, the newest root; the judges above
 * take the one whose key signed the issuing certificate. As text: newest root, then for each step back the link (the certificate that the root before signed
 * for the key of the one after) and the root before. The same text is a CAfile for stock tools. */
#define TRIB_ROOTS_MAX 4
int trib_roots_parse_pem(struct trib_span pem, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_roots_load(const char *path, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_roots_pem(const struct trib_cert *roots, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_roots_copy(const struct trib_cert *roots, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The root whose key signed `issuing`; the newest when none did. Borrowed. */
const struct trib_cert *trib_roots_signer(const struct trib_cert *roots, const struct trib_cert *issuing);
/* The root before; NULL at the end. Borrowed. */
const struct trib_cert *trib_roots_older(const struct trib_cert *root);
/* Is a root of this SHA-256 (of the DER) among them? */
bool trib_roots_have(const struct trib_cert *roots, const uint8_t sha256[TRIB_SHA256_LEN]);
/* 0 when `offered` leads, link by link, valid at `at`, to exactly the roots that are known: then they may take their place. */
int trib_roots_follow(const struct trib_cert *known, const struct trib_cert *offered, int64_t at, struct trib_err *err) TRIB_MUST_CHECK;
/* A chain as the hub hands it out: an issuing certificate, then roots. The caller frees both. */
int trib_chain_parse_pem(struct trib_span pem, struct trib_cert **ret_issuing, struct trib_cert **ret_roots, struct trib_err *err) TRIB_MUST_CHECK;
/* A new root for key `k`, linked by `older_key` to the roots of `older` (which are copied into *ret). */
int trib_cert_make_next_root(const struct trib_key *k, const char *city, const struct trib_key *older_key, const struct trib_cert *older, int64_t now,
			     struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Making. Serial numbers are 16 random bytes. A root lives 30 years, an issuing certificate 20, both from an hour before `now`. */
int trib_cert_make_root(const struct trib_key *k, const char *city, int64_t now, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_cert_make_issuing(const struct trib_key *k, const char *city, const struct trib_key *root_key, const struct trib_cert *root,
			   int64_t now, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same, the city's `number`th: the name tells it from those before. */
int trib_cert_make_issuing_again(const struct trib_key *k, const char *city, unsigned number, const struct trib_key *root_key, const struct trib_cert *root,
				 int64_t now, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
struct trib_cert_spec {
	enum trib_role role;
	const char *id;      /* SAN id */
	const char *subject; /* CN, UTF-8; cut after 64 characters (RFC 5280) */
	enum trib_cert_use use;
	int64_t not_before, not_after; /* not_after is cut to the issuer's; let leaves begin an hour early, for clocks that run behind */
	const char *const *hosts; /* TLS server: DNS names and IP addresses, NULL-terminated; may be NULL */
};
/* A leaf for a public key: from a CSR (proof of possession was checked by trib_csr_parse) or for an own key. */
struct trib_csr;
int trib_cert_issue(const struct trib_cert_spec *spec, const struct trib_csr *csr, const struct trib_key *own,
		    const struct trib_key *issuing_key, const struct trib_cert *issuing, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_cert_make_self(const struct trib_cert_spec *spec, const struct trib_key *k, struct trib_cert **ret, struct trib_err *err) TRIB_MUST_CHECK;

/* PKCS#10. Parse checks the self-signature, the P-256 key and the size; names in the request are ignored (the hub decides). */
int trib_csr_make(const struct trib_key *k, const char *node, const char *app, struct trib_buf *ret_pem, struct trib_err *err) TRIB_MUST_CHECK;
int trib_csr_parse(struct trib_span pem, struct trib_csr **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_csr_free(struct trib_csr *c);

#endif
