/* net.h: a TCP connection within a deadline. */
#ifndef TRIB_NET_H
#define TRIB_NET_H

#include "core/base/err.h"

/* Tries every address of the name; the socket is non-blocking and close-on-exec. TRIB_E_UNREACHABLE says why in few words. timeout_ms is for each address. */
int trib_net_connect(const char *host, const char *port, int timeout_ms, int *ret_fd, struct trib_err *err) TRIB_MUST_CHECK;

#endif
