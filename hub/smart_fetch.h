/* smart_fetch.h: git-upload-pack (v0, stateless) for one history: refs/heads/main, down and broadcast, read-only.
 *
 * The server ignores Git-Protocol and answers v0; clients fall back. Never offered: shallow, filter. Every POST repeats all wants and haves; no
 * state is kept. */
#ifndef TRIB_HUB_SMART_FETCH_H
#define TRIB_HUB_SMART_FETCH_H

#include "hub/worker.h"

/* Answers GET info/refs?service=git-upload-pack; an empty or missing repository gives the empty advertisement. */
int trib_fetch_refs(struct trib_worker *w, const struct trib_route *r, struct trib_err *err) TRIB_MUST_CHECK;
/* Serves POST git-upload-pack. */
int trib_fetch_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err) TRIB_MUST_CHECK;

/* Opens the history's repository; *ret NULL when there is none yet. */
int trib_fetch_open(struct trib_worker *w, const struct trib_route *r, struct trib_repo **ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
