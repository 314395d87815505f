/* note.h: C2SP signed notes used as checkpoints, and the receipts file (F8). Pure: signatures are
 * carried, not judged; core/trust/receipt.h judges. */
#ifndef TRIB_NOTE_H
#define TRIB_NOTE_H

#include "core/format/kv.h"
#include "core/base/limits.h"

#define TRIB_NOTE_SIGS_MAX 16 /* C2SP: at least so many must be taken */

struct trib_note_sig {
	struct trib_span key_name;
	uint8_t key_id[4];
	uint8_t sig[64]; /* Ed25519 */
};

struct trib_note_cosig { /* C2SP cosignature/v1: a witness's word about the text as of `time` */
	struct trib_span key_name;
	uint8_t key_id[4];
	uint64_t time; /* seconds since 1970, at most INT64_MAX */
	uint8_t sig[64];
};

struct trib_checkpoint {
	struct trib_span origin;
	uint64_t size;
	uint8_t root[TRIB_SHA256_LEN];
	struct trib_span text;   /* the signed bytes: everything up to and including the last LF before the empty line */
	struct trib_note_sig sigs[TRIB_NOTE_SIGS_MAX];
	size_t nsigs;
	struct trib_note_cosig cosigs[TRIB_NOTE_SIGS_MAX];
	size_t ncosigs;
};

/* Borrowed spans point into `note`. Signature lines are told apart by their length: Ed25519 (68 bytes), a cosignature (76); others are skipped. */
int trib_checkpoint_parse(struct trib_span note, struct trib_checkpoint *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends the text to be signed: ORIGIN LF SIZE LF BASE64(root) LF. */
void trib_checkpoint_put_text(struct trib_buf *b, const char *origin, uint64_t size, const uint8_t root[TRIB_SHA256_LEN]);
/* Appends LF and one signature line to a text made by trib_checkpoint_put_text. */
void trib_note_put_sig(struct trib_buf *b, const char *key_name, const uint8_t key_id[4], const uint8_t sig[64]);
/* The same for a cosignature. */
void trib_note_put_cosig(struct trib_buf *b, const char *key_name, const uint8_t key_id[4], uint64_t time, const uint8_t sig[64]);
/* True for what may name a signer: not empty, no blanks or control characters, no plus. */
bool trib_note_name_valid(struct trib_span name);

struct trib_receipt {
	uint64_t index;
	uint8_t proof[TRIB_PROOF_MAX_HASHES][TRIB_SHA256_LEN];
	size_t nproof;
	struct trib_span leaf;
};

/* Walks a receipts file. First parse the frame (finds the checkpoint), then take receipts one by one. */
struct trib_receipts {
	struct trib_span rest;       /* unread receipts */
	struct trib_span checkpoint; /* the signed note */
	uint64_t next_index;         /* lowest index still allowed */
};
int trib_receipts_parse(struct trib_span file, struct trib_receipts *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* 1 and *ret, 0 at the end, -1. */
int trib_receipts_next(struct trib_receipts *r, struct trib_receipt *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Writer: begin, any number of puts rising by index, end. */
void trib_receipts_begin(struct trib_buf *b);
void trib_receipts_put(struct trib_buf *b, uint64_t index, const uint8_t (*proof)[TRIB_SHA256_LEN], size_t nproof, struct trib_span leaf);
void trib_receipts_end(struct trib_buf *b, struct trib_span checkpoint);

/* Standard base64 with padding, strict. decode: exactly n bytes or false. */
void trib_base64(struct trib_buf *b, const uint8_t *p, size_t n);
bool trib_unbase64(struct trib_buf *ret, struct trib_span text);

#endif
