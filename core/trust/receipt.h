/* receipt.h: signed checkpoints and receipts, made and judged (D7.5, F8). */
#ifndef TRIB_RECEIPT_H
#define TRIB_RECEIPT_H

#include "core/format/leaf.h"
#include "core/format/note.h"
#include "core/trust/keys.h"
#include "core/trust/merkle.h"

/* C2SP key id: first four bytes of SHA-256(name LF 0x01 pub). */
void trib_note_key_id(uint8_t ret[4], const char *key_name, const uint8_t pub[32]);
/* Appends a signed checkpoint. */
int trib_checkpoint_sign(const char *origin, uint64_t size, const uint8_t root[TRIB_SHA256_LEN], const struct trib_key *log_key,
			 struct trib_buf *ret_note, struct trib_err *err) TRIB_MUST_CHECK;
/* Parses and judges: origin and a good signature by `pub`. */
int trib_checkpoint_verify(struct trib_span note, const char *origin, const uint8_t pub[32], struct trib_checkpoint *ret,
			   struct trib_err *err) TRIB_MUST_CHECK;
/* Judges one receipt against a verified checkpoint and parses its leaf. */
int trib_receipt_verify(const struct trib_receipt *r, const struct trib_checkpoint *cp, struct trib_leaf *ret_leaf,
			struct trib_err *err) TRIB_MUST_CHECK;

#endif
