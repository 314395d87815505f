/* witness.h: the bytes of an outside witness (C2SP tlog-witness): the request that a log sends, the size that a conflict answers, and the blob
 * `witnessed` of a down commit (F9). Pure: nothing is judged here; core/trust/cosign.h judges. */
#ifndef TRIB_WITNESS_H
#define TRIB_WITNESS_H

#include "core/format/note.h"

/* C2SP: at most 63 hashes; with the size line, an empty line and a note of the most bytes that we take. */
#define TRIB_ADD_CHECKPOINT_MAX (TRIB_NOTE_MAX + 64 * 45 + 64)
#define TRIB_WITNESSES_MAX 4 /* that one hub asks: each costs a down commit about two kilobytes */
#define TRIB_WITNESSED_MAX (TRIB_WITNESSES_MAX * (TRIB_NOTE_MAX + 64 * (TRIB_SHA256_HEX + 1)) + 1024)

struct trib_add_checkpoint {
	uint64_t old; /* the size that the witness is thought to have seen last */
	uint8_t proof[TRIB_PROOF_MAX_HASHES][TRIB_SHA256_LEN];
	size_t nproof;
	struct trib_span note; /* borrowed; not parsed yet */
};
/* The body of POST /add-checkpoint: "old N", lines of base64, an empty line, the note. TRIB_E_FORMAT, TRIB_E_LIMIT. */
int trib_add_checkpoint_parse(struct trib_span body, struct trib_add_checkpoint *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Its inverse. */
void trib_add_checkpoint_put(struct trib_buf *b, uint64_t old, const uint8_t (*proof)[TRIB_SHA256_LEN], size_t n, struct trib_span note);

/* The body text/x.tlog.size: a decimal number and LF, nothing else. */
bool trib_tlog_size_parse(struct trib_span body, uint64_t *ret);

/* `witnessed`: "format tributary-witnessed-1", then for each note "cosigned HASHES LEN", as many lines of hex (the consistency proof from the note's size to
 * that of the commit's own checkpoint), LEN bytes of the note. */
struct trib_witnessed { struct trib_span rest; };
struct trib_witnessed_note { uint8_t proof[TRIB_PROOF_MAX_HASHES][TRIB_SHA256_LEN]; size_t nproof; struct trib_span note; };
int trib_witnessed_parse(struct trib_span blob, struct trib_witnessed *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* 1 and *ret, 0 at the end, -1. */
int trib_witnessed_next(struct trib_witnessed *w, struct trib_witnessed_note *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Writer: begin, any number of puts. */
void trib_witnessed_begin(struct trib_buf *b);
void trib_witnessed_put(struct trib_buf *b, const uint8_t (*proof)[TRIB_SHA256_LEN], size_t n, struct trib_span note);

#endif
