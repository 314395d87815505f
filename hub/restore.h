/* restore.h: a community's history as the hub holds it, ready to be read: trust as of the receipts (D7.4), times from the signed log. */
#ifndef TRIB_HUB_RESTORE_H
#define TRIB_HUB_RESTORE_H

#include "core/replay/replay.h"
#include "hub/hubdb.h"

/* Must not move while in use: `h` points into it. */
struct trib_hub_history {
	struct trib_hubdb *db;
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	struct trib_repo *repo;
	struct trib_cert_gate gate;
	struct trib_history h;
};
/* Opens the history of node and app (valid ids); TRIB_E_NOT_FOUND when nothing of it was ever held. A commit without its leaf in the log is
 * TRIB_E_VERIFY when the walk comes to it. */
int trib_hub_history_open(struct trib_hubdb *db, const char *node, const char *app, struct trib_hub_history *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_hub_history_release(struct trib_hub_history *h);
static inline void trib_hub_history_cleanup(struct trib_hub_history *h) { trib_hub_history_release(h); }
/* The leaf that holds a commit. */
int trib_hub_held_leaf(struct trib_hubdb *db, const uint8_t oid[TRIB_OID_LEN], struct trib_leaf *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Restores to `to`; an existing file is replaced only when `force`, at the end and in one step. TRIB_E_USAGE when it exists, TRIB_E_LOCKED when a
 * program seems to have it open. */
int trib_hub_restore(struct trib_hub_history *h, const uint8_t oid[TRIB_OID_LEN], const char *table, const char *to, bool force,
		     struct trib_restored *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends one line to DIR/restores.log: who looks at personal data is written down (D12.2). `r` NULL: the attempt failed. */
int trib_hub_restore_note(const struct trib_hub *hub, const struct trib_hub_history *h, const char *as_of, const char *table, const char *to,
			  const struct trib_restored *r, struct trib_err *err) TRIB_MUST_CHECK;

#endif
