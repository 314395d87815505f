/* commitraw.h: strict parser and writer of raw git commit objects and trees in the one shape of F6. Pure. */
#ifndef TRIB_COMMITRAW_H
#define TRIB_COMMITRAW_H

#include "core/format/kv.h"
#include "core/base/limits.h"

struct trib_commitraw {
	uint8_t tree[TRIB_OID_LEN];
	bool has_parent;
	uint8_t parent[TRIB_OID_LEN];
	struct trib_span author_name, author_email; /* without <> */
	int64_t time;
	struct trib_span signature; /* the PEM, continuation blanks still inside; empty when unsigned */
	struct trib_span subject, message; /* message: everything after the header's empty line */
	uint8_t manifest_sha256[TRIB_SHA256_LEN]; /* from the trailer */
};

/* Refuses (TRIB_E_CHAIN) a second parent; (TRIB_E_FORMAT) other headers, another order, author != committer,
 * zone other than +0000, a missing or doubled trailer. An unsigned commit parses, with signature.n == 0. */
int trib_commitraw_parse(struct trib_span raw, struct trib_commitraw *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends the bytes that are signed: the raw object without its gpgsig header. `raw` must have parsed. */
void trib_commitraw_payload(struct trib_span raw, const struct trib_commitraw *c, struct trib_buf *ret);
/* Appends the PEM with the continuation blanks taken out. */
void trib_commitraw_pem(const struct trib_commitraw *c, struct trib_buf *ret);
/* Appends an unsigned commit object. name and email are cleaned of `<`, `>`, LF, NUL. `text` may be empty. */
void trib_commitraw_put(struct trib_buf *b, const uint8_t tree[TRIB_OID_LEN], const uint8_t *parent_or_null, const char *name,
			const char *email, int64_t time, const char *subject, const char *text,
			const uint8_t manifest_sha256[TRIB_SHA256_LEN]);
/* Appends `payload` with a gpgsig header holding `pem` inserted after the committer line. */
void trib_commitraw_sign(struct trib_buf *b, struct trib_span payload, struct trib_span pem);

struct trib_tree_entry { char name[32]; uint8_t oid[TRIB_OID_LEN]; };
#define TRIB_TREE_MAX 8
/* Parses a raw tree: only mode 100644, names [a-z.]+, rising, at most TRIB_TREE_MAX; else TRIB_E_TREE. */
int trib_tree_parse(struct trib_span raw, struct trib_tree_entry ret[TRIB_TREE_MAX], size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
void trib_tree_put(struct trib_buf *b, const struct trib_tree_entry *e, size_t n);

#endif
