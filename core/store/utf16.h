/* utf16.h: text of a UTF-16 database file as UTF-8 and back, without loss (D4.10, F2).
 *
 * A lone surrogate, which UTF-8 proper cannot say, becomes three bytes (the "WTF-8" form), so every sequence of 16-bit units has exactly
 * one byte form and the two functions are inverses. Pure; the output is bounded by the buffer's own maximum (3 bytes a unit at most). */
#ifndef TRIB_UTF16_H
#define TRIB_UTF16_H

#include "core/base/buf.h"

/* Appends the UTF-8 form of `units` (16-bit units in the machine's byte order, as sqlite3_column_text16 gives them). False, with nothing
 * appended, when the length is odd. A refused append shows in ret->failed. */
bool trib_utf16_to_wtf8(struct trib_span units, struct trib_buf *ret);
/* Appends the 16-bit units of `text`. False (what was appended is taken back) when `text` is not what trib_utf16_to_wtf8 writes: invalid or overlong
 * UTF-8, or a surrogate pair spelled as two times three bytes. */
bool trib_wtf8_to_utf16(struct trib_span text, struct trib_buf *ret);

#endif
