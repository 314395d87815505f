/* tls.h: both ends of TLS 1.3 with client certificates, over an already connected non-blocking socket (D8.1).
 *
 * No session tickets, no resumption (a resumed session would skip the revocation check). Every wait has a deadline.
 * Chains are judged by trib_cert_verify at trib_now(), on both ends. SIGPIPE must be ignored by the program.
 * Errors: TRIB_E_CERT when we refused the peer's certificate or it said by an alert that it refuses ours (in TLS 1.3 a client
 * learns that at its first read), TRIB_E_UNREACHABLE for silence and a cut connection, TRIB_E_IO for anything else. A server judges a lone leaf too:
 * it knows the issuing certificate. */
#ifndef TRIB_TLS_H
#define TRIB_TLS_H

#include "core/trust/cert.h"

struct trib_tls_ctx; /* credentials and trust: one per process */
struct trib_tls;     /* one connection */

/* Client: own certificate and key may be NULL (enrolment). Trust is either `root` (then chain and role hub are demanded) or,
 * with root NULL, `pin` = SHA-256 of the root's DER: the server must present a chain ending in that root (D7.3). A newer root counts when the
 * server presents the certificates by which the known one certifies it (cert.h).
 * chain_pem of the own leaf: leaf then issuing. */
int trib_tls_client_ctx(const struct trib_cert *leaf, const struct trib_cert *issuing, const struct trib_key *key,
			const struct trib_cert *root, const uint8_t *pin, struct trib_tls_ctx **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Server: sends leaf, issuing and all roots; asks for a client certificate and tolerates none or an expired one (D8.1). A certificate
 * that does not chain to root at all fails the handshake. */
int trib_tls_server_ctx(const struct trib_cert *leaf, const struct trib_cert *issuing, const struct trib_cert *root,
			const struct trib_key *key, struct trib_tls_ctx **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* For peers outside the city, a witness: TLS 1.2 or newer and the rules of the web. Client: the server's certificate must be good for the host's name or
 * address under the authorities of `ca_file` (PEM), or with NULL under those that the system trusts; read now. Server: certificate with its chain, and key, in PEM. */
int trib_tls_web_client_ctx(const char *ca_file, struct trib_tls_ctx **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_tls_web_server_ctx(const char *chain_file, const char *key_file, struct trib_tls_ctx **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_tls_ctx_free(struct trib_tls_ctx *c);

/* Takes over fd on success (it is made non-blocking); after a failure the caller closes it. `host` for SNI (client, may be NULL;
 * an IP address is not sent). Handshake within timeout_ms. */
int trib_tls_connect(struct trib_tls_ctx *c, int fd, const char *host, int timeout_ms, struct trib_tls **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_tls_accept(struct trib_tls_ctx *c, int fd, int timeout_ms, struct trib_tls **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The peer's leaf certificate; NULL when it presented none. The caller frees. */
struct trib_cert *trib_tls_peer(const struct trib_tls *t);
/* The roots that the server's chain was judged by (client side): newer than the known ones when the city has changed its root. */
struct trib_cert *trib_tls_peer_root(const struct trib_tls *t);
/* Drops this process's last use of the private key after the handshake (D8.5); no further connection can be opened with the
 * context. The key never enters the SSL_CTX, and each connection forgets it when its handshake ends; OpenSSL clears the
 * memory when the last reference goes. So free your own struct trib_key too. A parent process keeps its own copy. */
void trib_tls_ctx_wipe_key(struct trib_tls_ctx *c);

/* *ret_n: 1..n bytes, or 0 at a clean end (close_notify); a cut connection is an error. timeout_ms is for silence: a read that
 * yields nothing, a write that moves nothing. After a failure only trib_tls_free is allowed. */
int trib_tls_read(struct trib_tls *t, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
int trib_tls_write(struct trib_tls *t, struct trib_span bytes, int timeout_ms, struct trib_err *err) TRIB_MUST_CHECK;
/* close_notify (not after a failure), then close(fd). NULL is fine. */
void trib_tls_free(struct trib_tls *t);

#endif
