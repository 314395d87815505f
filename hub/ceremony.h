/* ceremony.h: a renewal of the city's certificates (hub/cmd_ca.c) takes effect whole or not at all.
 *
 * It is made beside what is in use (NAME.new) and durable, then announced in the log, then put in place file by file. Cut off before the announcement, nothing
 * happened. Cut off after it, the next command that opens the hub, `serve` too, puts the rest in place: what is needed for it lies there, and the root key is not. */
#ifndef TRIB_HUB_CEREMONY_H
#define TRIB_HUB_CEREMONY_H

#include "hub/hub.h"

/* *ret: an announced renewal is not in place yet. TRIB_E_CERT: one was cut off and what it left cannot be put together; the message names the way on. */
int trib_ceremony_pending(const struct trib_hub *hub, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Puts what was announced in place; the caller holds the lock of `serve`. May be cut off and called again. A root key that lies here and is not the new root's has
 * no more use, and goes. */
int trib_ceremony_put(const struct trib_hub *hub, struct trib_err *err) TRIB_MUST_CHECK;
/* Both, under the lock; *ret_done says whether there was something: then the hub is to be opened again. */
int trib_ceremony_finish(const struct trib_hub *hub, bool *ret_done, struct trib_err *err) TRIB_MUST_CHECK;
/* The keys and certificates in use belong together, whatever the day is. TRIB_E_CERT, naming the way on. */
int trib_ceremony_whole(const struct trib_hub *hub, struct trib_err *err) TRIB_MUST_CHECK;

#endif
