/* pack_in.h: a judged pack's way from quarantine into its history, for the keeper.
 *
 * Packs are in place before hub.db says that their commits are held (D8.4); what then fails, or a crash between, must leave no gigabyte behind that
 * nothing names. Beside the pack stands a mark, `pack-NAME.new-TIP`, until the transaction is through: at start a marked pack whose TIP is not held goes. */
#ifndef TRIB_HUB_PACK_IN_H
#define TRIB_HUB_PACK_IN_H

#include "hub/hubdb.h"

struct trib_pack_in { char *pack, *idx, *mark; /* NULL: nothing to undo */ };
/* Moves pack and index `name` out of the quarantine of worker `pid`, durable. Files that are there already stay (a repeated push). On failure nothing
 * of it is in the history. */
int trib_pack_in(const struct trib_hub *hub, int64_t pid, const char *name, struct trib_repo *repo, const uint8_t tip[TRIB_OID_LEN], struct trib_pack_in *ret,
		 struct trib_err *err) TRIB_MUST_CHECK;
/* The commits are held: the pack stays. Takes *p over. */
void trib_pack_in_keep(struct trib_pack_in *p);
/* They are not: the pack goes. False when something could not be removed: trib_pack_in_sweep must run before the next push. Takes *p over. */
bool trib_pack_in_undo(struct trib_pack_in *p);
/* Settles every mark of a history: of pushes that a crash cut off. */
int trib_pack_in_sweep(struct trib_hubdb *h, const char *node, const char *app, struct trib_err *err) TRIB_MUST_CHECK;

#endif
