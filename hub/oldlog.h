/* oldlog.h: after `recover`: what offices hold of the log that was cut off, kept at the hub, and what it proves (D7.6).
 *
 * DIR/old-receipts/EPOCH/NODE/APP/SHA256 (F8, core/format/oldreceipts.h): EPOCH is the number of the epoch under which the office brought it, so that
 * after every `recover` each office is asked again. Files are named by their bytes and never replaced: whoever takes over an office's line later can add, not
 * remove. A worker judges before the keeper moves a file there; whoever reads them judges again. */
#ifndef TRIB_HUB_OLDLOG_H
#define TRIB_HUB_OLDLOG_H

#include "core/trust/oldlog.h"
#include "hub/hubdb.h"
#include "hub/worker.h"

#define TRIB_OLDLOG_QUARANTINE "old-receipts" /* a worker's file, below its own quarantine */

/* Worker: serves POST /NODE/APP.git/old-receipts. A refusal is an answer, and on record. */
int trib_oldlog_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err) TRIB_MUST_CHECK;

/* The file's place, its folder made. TRIB_E_LIMIT when the history has TRIB_OLD_KEPT_MAX files; an equal one that is there already is no error. */
int trib_oldlog_place(const struct trib_hub *hub, const char *node, const char *app, const uint8_t sha256[TRIB_SHA256_LEN], char **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Keeper: moves what worker `pid` judged there, durable. */
int trib_oldlog_move(const struct trib_hub *hub, int64_t pid, const char *node, const char *app, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* By hand: judges the file and keeps it. A plain receipts file (as in a state folder's receipts/) is taken too, when a `held` leaf says whose it is.
 * *ret_node, *ret_app: whose. keep false: only judged. */
int trib_oldlog_take(struct trib_hubdb *h, const char *path, bool keep, char ret_node[TRIB_NODE_MAX + 1], char ret_app[TRIB_APP_MAX + 1], struct trib_err *err) TRIB_MUST_CHECK;

/* ---- what they prove ---- */

enum trib_oldlog_state {
	TRIB_OLDLOG_WAITING,  /* this copy knew it, and it has not brought its receipts under the present epoch yet */
	TRIB_OLDLOG_COMPLETE, /* whatever its receipts prove received is in its history again */
	TRIB_OLDLOG_LACKS,    /* it is not */
	TRIB_OLDLOG_UNKNOWN,  /* enrolled, but this copy held no commit of it: whether there were any, only the office can say */
};
struct trib_oldlog_history {
	const char *node, *app;
	enum trib_oldlog_state state;
	uint64_t receipts; /* of leaves that this log lost, or has otherwise */
	uint64_t commits;  /* of them: `held` */
	uint64_t missing;  /* of those: not in the history again */
	uint64_t omitted;  /* receipts files that it could not bring */
};
enum trib_oldlog_what {
	TRIB_OLDLOG_MISSING,  /* seq, oid: received once, and not in the history again */
	TRIB_OLDLOG_OTHER,    /* seq, oid: the history has another commit of this number */
	TRIB_OLDLOG_BAD_FILE, /* text: a kept file that proves nothing */
};
struct trib_oldlog_finding {
	enum trib_oldlog_what what;
	const char *node, *app; /* who brought it */
	uint64_t epoch, index, seq;
	uint8_t oid[TRIB_OID_LEN];
	const char *text;
};
/* What this copy lost of one epoch, as far as any office saw it: the leaves FROM..UPTO-1. */
struct trib_oldlog_epoch { uint64_t epoch, from, upto, proven; };
/* An epoch of which two versions were shown, this log's own or not: `index` is the first leaf known to differ, node and app say who brought it. An old copy that
 * was served before `recover` does that, and one that was recovered twice under one number; else the hub showed two logs. */
struct trib_oldlog_fork { uint64_t epoch, index; const char *node, *app; };
struct trib_oldlog_totals {
	bool opened; /* false: no epoch was ever opened; all else is zero */
	uint64_t waiting, complete, lacking, unknown; /* histories */
	uint64_t commits, missing, findings, forks;
};
struct trib_oldlog; /* one check, done. It reads hub.db, the histories' commits and every kept file, and trusts none of these files. */
int trib_oldlog_check(struct trib_hubdb *h, struct trib_oldlog **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_oldlog_free(struct trib_oldlog *o);
static inline void trib_oldlog_cleanup(struct trib_oldlog **o) { trib_oldlog_free(*o); }
const struct trib_oldlog_totals *trib_oldlog_totals(const struct trib_oldlog *o);
/* Epochs; forks; histories by node and app; findings; runs of lost leaves (FIRST..LAST) that no receipt proves. A callback that fails ends the walk. */
int trib_oldlog_epochs(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_epoch *e, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
int trib_oldlog_forks(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_fork *f, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
int trib_oldlog_histories(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_history *h, struct trib_err *err), void *ctx,
			  struct trib_err *err) TRIB_MUST_CHECK;
int trib_oldlog_findings(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_finding *f, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
int trib_oldlog_unproven(struct trib_oldlog *o, const struct trib_oldlog_epoch *e, int (*each)(void *ctx, uint64_t first, uint64_t last, struct trib_err *err), void *ctx,
			 struct trib_err *err) TRIB_MUST_CHECK;

#endif
