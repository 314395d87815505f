/* slip.h: an enrolment slip for people: a QR code for the terminal, and a sheet to print (D7.3). The code holds the slip's text, byte for byte: what
 * a scanner reads is the file that `enrol --slip` takes. */
#ifndef TRIB_HUB_SLIP_H
#define TRIB_HUB_SLIP_H

#include "core/format/enrol.h"

/* Half blocks of UTF-8, light on dark; `colours`: with escape sequences that make it so on any terminal. */
int trib_slip_qr(struct trib_span text, bool colours, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* One A5 page of SVG: who, which city, until when, code and fingerprint in groups, what to do, and the QR code. */
int trib_slip_sheet(const struct trib_slip *s, const char *city, const char *name, struct trib_span text, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
