#include "core/trust/receipt.h"

#include "core/trust/hash.h"

void trib_note_key_id(uint8_t ret[4], const char *key_name, const uint8_t pub[32])
{
	uint8_t sum[TRIB_SHA256_LEN];
	struct trib_sha256_ctx *c = trib_sha256_new();
	trib_sha256_add(c, trib_span_str(key_name));
	trib_sha256_add(c, trib_span("\n\x01", 2));
	trib_sha256_add(c, trib_span(pub, 32));
	trib_sha256_end(c, sum);
	memcpy(ret, sum, 4);
}

int trib_checkpoint_sign(const char *origin, uint64_t size, const uint8_t root[TRIB_SHA256_LEN], const struct trib_key *log_key,
			 struct trib_buf *ret_note, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	uint8_t pub[32], id[4], sig[64];
	struct trib_checkpoint again;
	trib_checkpoint_put_text(&note, origin, size, root);
	if (trib_buf_check(&note, "checkpoint", err) || trib_key_ed25519_public(log_key, pub, err) ||
	    trib_ed25519_sign(log_key, trib_buf_span(&note), sig, err))
		return trib_ctx(err, "signing the checkpoint of %llu leaves", (unsigned long long)size);
	trib_note_key_id(id, origin, pub);
	trib_note_put_sig(&note, origin, id, sig);
	if (trib_buf_check(&note, "checkpoint", err))
		return -1;
	/* What every node will read is read once here first: an origin that the format cannot carry ends here. */
	if (trib_checkpoint_verify(trib_buf_span(&note), origin, pub, &again, err))
		return trib_ctx(err, "checking the checkpoint just made");
	if (again.size != size || memcmp(again.root, root, TRIB_SHA256_LEN) != 0)
		return trib_fail(err, TRIB_E_FORMAT, "the checkpoint just made does not read back as it was meant");
	trib_buf_put_span(ret_note, trib_buf_span(&note));
	return trib_buf_check(ret_note, "checkpoint", err);
}

int trib_checkpoint_verify(struct trib_span note, const char *origin, const uint8_t pub[32], struct trib_checkpoint *ret, struct trib_err *err)
{
	struct trib_checkpoint cp;
	uint8_t id[4];
	bool good = false;
	if (trib_checkpoint_parse(note, &cp, err))
		return -1;
	if (!trib_span_is(cp.origin, origin))
		return trib_fail(err, TRIB_E_SIGNATURE, "the checkpoint is of another log than %s", origin);
	trib_note_key_id(id, origin, pub);
	for (size_t i = 0; i < cp.nsigs; i++) {
		if (!trib_span_is(cp.sigs[i].key_name, origin) || memcmp(cp.sigs[i].key_id, id, sizeof(id)) != 0)
			continue; /* another signer's, a witness for example */
		if (trib_ed25519_verify(pub, cp.text, cp.sigs[i].sig, err))
			return trib_ctx(err, "checkpoint of %s", origin);
		good = true;
	}
	if (!good)
		return trib_fail(err, TRIB_E_SIGNATURE, "the checkpoint of %s is not signed by the log key that was delivered at enrolment", origin);
	*ret = cp;
	return 0;
}

int trib_receipt_verify(const struct trib_receipt *r, const struct trib_checkpoint *cp, struct trib_leaf *ret_leaf, struct trib_err *err)
{
	uint8_t h[TRIB_SHA256_LEN];
	struct trib_leaf leaf;
	if (r->leaf.n > TRIB_LEAF_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "receipt %llu: a leaf of %zu bytes", (unsigned long long)r->index, r->leaf.n);
	trib_merkle_leaf(h, r->leaf);
	if (trib_merkle_verify_inclusion(h, r->index, cp->size, (const uint8_t (*)[TRIB_SHA256_LEN])r->proof, r->nproof, cp->root, err) ||
	    trib_leaf_parse(r->leaf, &leaf, err))
		return trib_ctx(err, "receipt %llu", (unsigned long long)r->index);
	*ret_leaf = leaf;
	return 0;
}
