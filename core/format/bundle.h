/* bundle.h: the header of git bundle files, v2. Pure. */
#ifndef TRIB_BUNDLE_H
#define TRIB_BUNDLE_H

#include "core/base/buf.h"
#include "core/base/limits.h"

#define TRIB_BUNDLE_REFS_MAX 16
struct trib_bundle_ref { uint8_t oid[TRIB_OID_LEN]; char name[128]; };
struct trib_bundle {
	uint8_t prerequisites[TRIB_BUNDLE_REFS_MAX][TRIB_OID_LEN]; size_t nprerequisites;
	struct trib_bundle_ref refs[TRIB_BUNDLE_REFS_MAX]; size_t nrefs;
	size_t head_len; /* the pack starts here */
};
int trib_bundle_parse(struct trib_span start, struct trib_bundle *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_bundle_put_header(struct trib_buf *b, const struct trib_bundle *h);

#endif
