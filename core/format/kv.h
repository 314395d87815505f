/* kv.h: the strict reader and the writer of kv text (docs/FORMAT.md F1), and percent-encoding.
 *
 * Pure: no I/O, no state. A reader walks lines in the fixed order that a format dictates; the
 * first violation is reported with its line number. */
#ifndef TRIB_KV_H
#define TRIB_KV_H

#include "core/base/buf.h"

struct trib_kv {
	struct trib_span rest;
	unsigned line; /* 1-based number of the line last taken */
};

static inline struct trib_kv trib_kv(struct trib_span text) { return (struct trib_kv){text, 0}; }
/* True when the next line's key is `key` (does not consume). */
bool trib_kv_at(const struct trib_kv *kv, const char *key);
/* Takes the next line, which must have `key` and exactly `nfields` fields (1..8). */
int trib_kv_take(struct trib_kv *kv, const char *key, size_t nfields, struct trib_span *ret_fields,
		 struct trib_err *err) TRIB_MUST_CHECK;
/* Everything must have been consumed. */
int trib_kv_end(const struct trib_kv *kv, struct trib_err *err) TRIB_MUST_CHECK;

/* Field readers; errors name the field by `what` and the line. */
int trib_kv_u64(const struct trib_kv *kv, struct trib_span f, const char *what, uint64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_kv_hex(const struct trib_kv *kv, struct trib_span f, const char *what, uint8_t *ret, size_t n, struct trib_err *err) TRIB_MUST_CHECK;
int trib_kv_time(const struct trib_kv *kv, struct trib_span f, const char *what, int64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Percent-decodes a canonical field; appends to *ret. `max` = most decoded bytes. */
int trib_kv_name(const struct trib_kv *kv, struct trib_span f, const char *what, size_t max, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* A node id or app name (F1), copied as a C string into ret[size]. */
int trib_kv_id(const struct trib_kv *kv, struct trib_span f, const char *what, char *ret, size_t size, struct trib_err *err) TRIB_MUST_CHECK;
/* One line of one field: take + reader in one call. */
int trib_kv_take_u64(struct trib_kv *kv, const char *key, uint64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_kv_take_hex(struct trib_kv *kv, const char *key, uint8_t *ret, size_t n, struct trib_err *err) TRIB_MUST_CHECK;
int trib_kv_take_time(struct trib_kv *kv, const char *key, int64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_kv_take_id(struct trib_kv *kv, const char *key, char *ret, size_t size, struct trib_err *err) TRIB_MUST_CHECK;
/* The value must be exactly `value` (one field): formats and kinds. */
int trib_kv_take_is(struct trib_kv *kv, const char *key, const char *value, struct trib_err *err) TRIB_MUST_CHECK;

/* True for a valid node id or app name. */
bool trib_id_valid(struct trib_span id);
/* Appends `name` percent-encoded ("%" when empty). */
void trib_pct(struct trib_buf *b, struct trib_span name);
/* Appends the decoded bytes; false when the field is not canonical (ret is then unspecified). */
bool trib_unpct(struct trib_buf *ret, struct trib_span field);
/* ASCII-lower-cases in place. */
void trib_fold(uint8_t *p, size_t n);
/* Compares two names folded, as bytes. */
int trib_fold_cmp(struct trib_span a, struct trib_span b);

#endif
