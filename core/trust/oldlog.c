#include "core/trust/oldlog.h"

static int judge_leaf(const struct trib_old_receipts *o, const struct trib_old_judge *j, const struct trib_leaf *leaf, struct trib_err *err)
{
	struct trib_cert_id admin;
	switch (leaf->kind) {
	case TRIB_LEAF_EPOCH:
		return trib_epoch_verify(leaf, j->root, &admin, err);
	case TRIB_LEAF_HELD:
	case TRIB_LEAF_MERGED:
	case TRIB_LEAF_OUT_OF_STEP:
		if (strcmp(leaf->node, o->node) == 0 && strcmp(leaf->app, o->app) == 0)
			return 0;
		return trib_fail(err, TRIB_E_VERIFY, "it is about %s/%s, not about %s/%s", leaf->node, leaf->app, o->node, o->app);
	default:
		return trib_fail(err, TRIB_E_VERIFY, "it is a leaf that no office gets a receipt for");
	}
}

/* The checkpoint of one file: *ret_epoch of its origin. */
static int judge_note(const struct trib_old_judge *j, struct trib_span note, struct trib_checkpoint *ret, uint64_t *ret_epoch, struct trib_err *err)
{
	char its[TRIB_TITLE_MAX + 32];
	uint64_t steps;
	size_t prefix;
	if (trib_note_origin(note, its, sizeof(its), err))
		return -1;
	if (!trib_origin_follows(its, j->origin, &steps) || steps == 0 || !trib_origin_split(its, &prefix, ret_epoch))
		return trib_fail(err, TRIB_E_VERIFY, "its checkpoint is of the log %s, which is no earlier epoch of %s", its, j->origin);
	return trib_checkpoint_verify(note, its, j->log_key, ret, err);
}

static int judge_file(const struct trib_old_receipts *o, const struct trib_old_judge *j, struct trib_receipts *file, struct trib_err *err)
{
	struct trib_old_fact f = {0};
	struct trib_checkpoint cp;
	struct trib_receipt r;
	struct trib_leaf leaf;
	int got;
	if (judge_note(j, file->checkpoint, &cp, &f.epoch, err))
		return -1;
	f.checkpoint = &cp;
	if (j->fact && j->fact(j->ctx, &f, err))
		return -1;
	while ((got = trib_receipts_next(file, &r, err)) > 0) {
		if (trib_receipt_verify(&r, &cp, &leaf, err) || judge_leaf(o, j, &leaf, err))
			return trib_ctx(err, "the receipt of leaf %llu", (unsigned long long)r.index);
		f.index = r.index;
		f.bytes = r.leaf;
		f.leaf = &leaf;
		if (j->fact && j->fact(j->ctx, &f, err))
			return -1;
	}
	return got;
}

int trib_old_receipts_judge(const struct trib_old_receipts *o, const struct trib_old_judge *j, struct trib_err *err)
{
	struct trib_old_receipts walk = *o;
	struct trib_receipts file;
	int got;
	for (unsigned n = 1; (got = trib_old_receipts_next(&walk, &file, err)) > 0; n++)
		if (judge_file(o, j, &file, err))
			return trib_ctx(err, "receipts file %u of %s/%s", n, o->node, o->app);
	return got;
}
