/* recover.h: a hub that came back from an old copy opens a new epoch of its log (D7.6, core/trust/epoch.h). */
#ifndef TRIB_HUB_RECOVER_H
#define TRIB_HUB_RECOVER_H

#include "core/trust/epoch.h"
#include "hub/hubdb.h"

struct trib_recovered {
	char origin[TRIB_TITLE_MAX + 32]; /* the new one */
	uint64_t leaves;                  /* of the copy: the log goes on behind them */
	int64_t last;                     /* time of the copy's last leaf */
	uint64_t histories;               /* that hear of it at their next sync */
	uint64_t city_commits;            /* of a city history that was newer than hub.db: kept under city_ref, no longer part of it */
	char city_ref[64];
	struct trib_cert_id admin;
};
/* The hub must be stopped. `key` and `cert` (leaf and issuing) of an administrator that hub.db may or may not know. `epoch`: the new one's number, 0 for the next
 * that nothing here knows yet; TRIB_E_USAGE when it is known. Crash-safe: run again, it goes on. hub.db first, then the signed checkpoint and the published log,
 * then hub.conf. */
int trib_recover(struct trib_hub *hub, const struct trib_key *key, const struct trib_cert *cert, const struct trib_cert *issuing, int64_t now,
		 uint64_t epoch, struct trib_recovered *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The origin that the log itself says, which hub.conf must have. TRIB_E_VERIFY when they differ (`recover` was cut off), or when the signed or the published
 * checkpoint is of a later state than hub.db: an old copy, which must not sign anything. Called before anything is signed. */
int trib_hub_not_older(struct trib_hubdb *h, struct trib_err *err) TRIB_MUST_CHECK;

#endif
