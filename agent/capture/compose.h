/* compose.h: several changesets under one schema become the one that has the effect of all (squashing, D5.6).
 *
 * Row by row: inserted and then deleted is nothing, deleted and then inserted is an update, an update that came back is nothing. What waits is kept in
 * a private temporary database: in memory up to TRIB_LEFTOVER_MEM, then in an unlinked file. The result is canonical (F3) and cut into parts as a
 * capture's. The changesets must follow each other; nothing here proves it: the digest of the commit that is made of them does. */
#ifndef TRIB_CAPTURE_COMPOSE_H
#define TRIB_CAPTURE_COMPOSE_H

#include "agent/capture/capture.h"

struct trib_compose; /* opaque */

int trib_compose_new(struct trib_compose **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_compose_free(struct trib_compose *c);
static inline void trib_compose_cleanup(struct trib_compose **c) { trib_compose_free(*c); }
/* The next changeset. TRIB_E_VERIFY: it cannot follow the ones before. */
int trib_compose_add(struct trib_compose *c, struct trib_span changeset, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends parts under `schema` to *ret: at least one, without rows when nothing is left. */
int trib_compose_emit(struct trib_compose *c, struct trib_span schema, struct trib_capture *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
