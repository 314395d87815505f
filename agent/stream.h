/* stream.h: a TLS 1.3 stream for libgit2's smart HTTP transport (D8.6).
 *
 * Debian's libgit2 is built with mbedTLS and cannot present a client certificate; a registered stream is consulted before the built-in
 * one. libgit2 gives a stream only host and port, so the credentials are global to the process: this is used in a disposable
 * child that talks to one hub (agent/link.c). */
#ifndef TRIB_AGENT_STREAM_H
#define TRIB_AGENT_STREAM_H

#include "agent/https.h"

/* Registers the stream with these credentials for the rest of the process. *last_error (code TRIB_OK at first) is filled with the cause when a
 * connection fails, because libgit2 keeps only text. Both must outlive every use of libgit2. */
int trib_stream_register(struct trib_tls_ctx *tls, struct trib_err *last_error, struct trib_err *err) TRIB_MUST_CHECK;

#endif
