/* pem.h: PEM in its one strict form, so that the same bytes always have the same text. Internal to core/trust.
 *
 * `-----BEGIN LABEL-----` LF, base64 in lines of exactly 64 (the last 1..64), `-----END LABEL-----`. No headers, no blanks, no
 * CR; padding as RFC 4648 demands. Decoding needs memory of 3/4 of the text and is linear. */
#ifndef TRIB_PEM_H
#define TRIB_PEM_H

#include "core/base/buf.h"

/* Takes one block from the front of *text and appends its bytes. `lf`: the END line must end with LF; else it must not be
 * followed by anything. TRIB_E_FORMAT on any other form, TRIB_E_LIMIT past ret_der->max; *text is then unchanged. */
int trib_pem_take(struct trib_span *text, const char *label, bool lf, struct trib_buf *ret_der, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends one block; the END line gets its LF when `lf`. Check the buffer as usual. */
void trib_pem_put(struct trib_buf *b, const char *label, struct trib_span der, bool lf);

#endif
