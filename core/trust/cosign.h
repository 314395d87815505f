/* cosign.h: verifier keys of signed notes, and witnesses' cosignatures (C2SP signed-note, tlog-cosignature), made and judged.
 *
 * A cosignature says: as of its time, the text's tree is the largest of this log that the witness has seen, and it continues all that it saw before. */
#ifndef TRIB_COSIGN_H
#define TRIB_COSIGN_H

#include "core/format/note.h"
#include "core/trust/keys.h"

#define TRIB_VKEY_LOG 0x01     /* Ed25519 over the text: a log's own key */
#define TRIB_VKEY_WITNESS 0x04 /* Ed25519 cosignature/v1 */
#define TRIB_VKEY_NAME_MAX (TRIB_TITLE_MAX + 31)
#define TRIB_VKEY_TEXT_MAX (TRIB_VKEY_NAME_MAX + 9 + 1 + 44)

struct trib_vkey {
	char name[TRIB_VKEY_NAME_MAX + 1];
	uint8_t type, id[4], pub[32];
};
/* Makes one from its parts: the id follows from them. TRIB_E_USAGE for a name that a note cannot carry. */
int trib_vkey_make(const char *name, uint8_t type, const uint8_t pub[32], struct trib_vkey *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* "NAME+ID+BASE64", whole, of that type, with the id that follows from the rest. TRIB_E_USAGE says what is wrong. */
int trib_vkey_parse(struct trib_span text, uint8_t type, struct trib_vkey *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends the text. */
void trib_vkey_put(struct trib_buf *b, const struct trib_vkey *k);

/* Appends what a cosignature of `time` over a checkpoint's text signs. */
void trib_cosig_message(struct trib_buf *b, uint64_t time, struct trib_span text);
/* Appends to *note, which ends in a checkpoint's text or in signature lines after it, the cosignature of `text` by `key` as of `now`. */
int trib_cosign(const struct trib_key *key, const struct trib_vkey *self, int64_t now, struct trib_span text, struct trib_buf *note, struct trib_err *err) TRIB_MUST_CHECK;
/* The newest cosignature of `w`: 1 with its time in *ret_time, 0 when `w` signed nothing here, -1 (TRIB_E_SIGNATURE) when a line that bears its name and key
 * id does not verify. */
int trib_cosig_verify(const struct trib_checkpoint *cp, const struct trib_vkey *w, int64_t *ret_time, struct trib_err *err) TRIB_MUST_CHECK;

#endif
