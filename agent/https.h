/* https.h: connecting to the hub over TLS 1.3, and small bounded HTTPS requests (enrolment, reasons of refusals). */
#ifndef TRIB_AGENT_HTTPS_H
#define TRIB_AGENT_HTTPS_H

#include "core/trust/tls.h"

struct trib_url { char host[254]; char port[8]; };
/* "https://HOST[:PORT]" (IPv6 in brackets), nothing after it but one optional "/". */
int trib_url_parse(const char *url, struct trib_url *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* TCP and TLS. TRIB_E_UNREACHABLE when nobody answers within timeout_ms. */
int trib_https_connect(struct trib_tls_ctx *tls, const struct trib_url *url, int timeout_ms, struct trib_tls **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* One request on a connection of its own; `body` empty = GET. At most ret_body->max bytes of answer are taken. */
int trib_https_request(struct trib_tls_ctx *tls, const struct trib_url *url, const char *target, struct trib_span body,
		       unsigned *ret_status, struct trib_buf *ret_body, struct trib_tls **ret_conn, struct trib_err *err) TRIB_MUST_CHECK;

#endif
