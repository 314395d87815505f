/* gzip.h: bounded gzip over zlib (F3): one member, mtime 0, OS 3. */
#ifndef TRIB_GZIP_H
#define TRIB_GZIP_H

#include "core/base/buf.h"

/* Appends the compressed form of `raw` to *ret (about as small as zlib -9, in a third of its time). */
int trib_gzip(struct trib_span raw, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends exactly raw_len inflated bytes to *ret. TRIB_E_FORMAT when the stream is damaged, is longer or
 * shorter than raw_len, has a second member or trailing bytes, or its header differs from what trib_gzip writes. */
int trib_gunzip(struct trib_span gz, size_t raw_len, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
