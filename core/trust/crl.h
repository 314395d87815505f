/* crl.h: certificate revocation lists (RFC 5280), archived by number (D7.4): what was revoked when a commit was received.
 *
 * A list in text is the CRL in PEM ("X509 CRL"), then the issuing certificate that signed it. Certificates of an issuing authority before the present one
 * are listed too (indirectCRL, certificateIssuer), so that one list says all. Ours ends trust by the log's `revoked` leaves; a list lets stock tools see
 * the same. */
#ifndef TRIB_CRL_H
#define TRIB_CRL_H

#include "core/trust/cert.h"

#define TRIB_CRL_MAX (8 * TRIB_MIB) /* text: about 60 bytes a certificate without, 130 with its issuer */

struct trib_crl; /* opaque: judged */

struct trib_crl_entry {
	char serial[64];                  /* hex, as in struct trib_cert_id */
	char issuer[TRIB_TITLE_MAX + 1];  /* common name of the authority that issued it; "" = the one that signs the list */
	int64_t at;
};
/* Appends the text. Entries: those of the signing authority first, the others grouped by issuer. */
int trib_crl_make(const struct trib_key *issuing_key, const struct trib_cert *issuing, uint64_t number, const struct trib_crl_entry *entries, size_t n,
		  int64_t now, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Parses and judges: signed by the issuing certificate behind it, which stands under one of the roots. */
int trib_crl_parse(struct trib_span text, const struct trib_cert *roots, struct trib_crl **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_crl_free(struct trib_crl *c);
static inline void trib_crl_cleanup(struct trib_crl **c) { trib_crl_free(*c); }
uint64_t trib_crl_number(const struct trib_crl *c);
size_t trib_crl_size(const struct trib_crl *c);
/* Is the certificate of this serial number listed? *ret_at: since when. */
bool trib_crl_has(const struct trib_crl *c, const char *serial, int64_t *ret_at);

#endif
