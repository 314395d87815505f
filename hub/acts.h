/* acts.h: what administrators do is in the log before it is done (D7.5). */
#ifndef TRIB_HUB_ACTS_H
#define TRIB_HUB_ACTS_H

#include "hub/hubdb.h"

struct trib_act {
	const char *what;       /* node-add, restore, ...: [a-z-]+ */
	const char *node, *app; /* NULL: it is about no node */
	const uint8_t *object;  /* SHA-256 of what it is about; NULL: nothing */
	const char *detail;     /* for people, one line; NULL: nothing */
	const char *by;         /* NULL: the login name */
};
/* Appends in the caller's transaction. Who did it: the login name, and the one behind sudo. */
int trib_act_put(struct trib_hubdb *h, const struct trib_act *a, struct trib_err *err) TRIB_MUST_CHECK;
/* As trib_act_put, in a transaction of its own. */
int trib_act_log(struct trib_hubdb *h, const struct trib_act *a, struct trib_err *err) TRIB_MUST_CHECK;

#endif
