/* oldlog.h: receipts of a log epoch that was cut off prove what the hub held before it came back from an old copy (D7.6). */
#ifndef TRIB_OLDLOG_H
#define TRIB_OLDLOG_H

#include "core/format/oldreceipts.h"
#include "core/trust/epoch.h"

/* One proven thing: a checkpoint (`leaf` NULL: the log had so many leaves under that root), or a leaf that it covers. */
struct trib_old_fact {
	uint64_t epoch; /* of the checkpoint's origin */
	const struct trib_checkpoint *checkpoint;
	uint64_t index;
	struct trib_span bytes;
	const struct trib_leaf *leaf;
};
struct trib_old_judge {
	const char *origin;         /* of the present epoch: a checkpoint must be of an earlier one of the same log */
	const uint8_t *log_key;     /* 32 bytes */
	const struct trib_cert *root;
	int (*fact)(void *ctx, const struct trib_old_fact *f, struct trib_err *err); /* may be NULL */
	void *ctx;
};
/* Judges every file: the hub's signature on its checkpoint, each receipt's place in that log, and that each leaf is one that this office is due: about
 * itself, or the opening of an epoch by an administrator. TRIB_E_SIGNATURE, TRIB_E_VERIFY, TRIB_E_FORMAT name the first that is not good. `o` is
 * not consumed. */
int trib_old_receipts_judge(const struct trib_old_receipts *o, const struct trib_old_judge *j, struct trib_err *err) TRIB_MUST_CHECK;

#endif
