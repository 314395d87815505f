/* web.h: one bounded POST to a server that is no hub: a witness. HTTP, or HTTPS by the rules of the web. Every byte of the answer is counted and every wait has
 * an end. */
#ifndef TRIB_HUB_WEB_H
#define TRIB_HUB_WEB_H

#include "core/trust/tls.h"

#define TRIB_WEB_URL_MAX 512
struct trib_web_url { bool tls, loopback; char host[254], port[8], path[TRIB_WEB_URL_MAX]; };
/* "https://HOST[:PORT][/PATH]" or http; the path without a slash at its end. TRIB_E_USAGE. */
int trib_web_url_parse(const char *url, struct trib_web_url *ret, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_web_answer { unsigned status; struct trib_buf body; };
/* POST to the URL's path and `target`, whole within timeout_ms. `tls` belongs to https. The answer's body is cut off by no one: over ret->body.max is TRIB_E_LIMIT.
 * TRIB_E_UNREACHABLE, TRIB_E_CERT, TRIB_E_FORMAT. */
int trib_web_post(struct trib_tls_ctx *tls, const struct trib_web_url *url, const char *target, struct trib_span body, int timeout_ms, struct trib_web_answer *ret,
		  struct trib_err *err) TRIB_MUST_CHECK;

#endif
