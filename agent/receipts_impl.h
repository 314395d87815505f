/* receipts_impl.h: what receipts.c and epoch.c share. Not for others. */
#ifndef TRIB_AGENT_RECEIPTS_IMPL_H
#define TRIB_AGENT_RECEIPTS_IMPL_H

#include "agent/receipts.h"
#include "core/base/fs.h"

#define TRIB_DOWN_REF "refs/heads/down"

/* Everything of trib_down_keep but the ref: receipts, progress, checkpoint, the origin of a new epoch. Idempotent. */
int trib_down_keep_files(struct trib_state *s, const struct trib_down_judged *j, struct trib_pulled *p, struct trib_err *err) TRIB_MUST_CHECK;
/* A down commit that was judged and kept before: *tip and *p stand behind it. */
int trib_down_replay(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_down_tip *tip, struct trib_pulled *p, struct trib_err *err) TRIB_MUST_CHECK;

#endif
