/* manifest.h: the signed record of one commit (F5). Parser and writer are exact inverses. */
#ifndef TRIB_MANIFEST_H
#define TRIB_MANIFEST_H

#include "core/format/kv.h"
#include "core/base/limits.h"

enum trib_kind { TRIB_KIND_CHANGE, TRIB_KIND_ADOPT, TRIB_KIND_RESET, TRIB_KIND_ROTATE, TRIB_KIND_CLOSED };
/* The word of F5. */
const char *trib_kind_name(enum trib_kind kind);

struct trib_mf_blob {
	char name[32];
	uint8_t sha256[TRIB_SHA256_LEN];
};

struct trib_mf_table {
	char *name; /* folded, decoded, NUL-terminated; NULs inside a name are refused */
	uint64_t inserted, updated, deleted, rows;
	uint8_t digest[TRIB_SHA256_LEN];
};

struct trib_mf_sequence { char *table; uint64_t value; };
struct trib_mf_renamed { char *table; /* NULL: a table was renamed */ char *from, *to; };
struct trib_mf_braked { char *table; uint64_t lost; };
struct trib_mf_left_out { char *name; char reason[32]; uint64_t count; };

/* Owned by trib_manifest_release. Zero-initialise before use. */
struct trib_manifest {
	char city[TRIB_TITLE_MAX + 1]; /* decoded; "-" before enrolment */
	char node[TRIB_NODE_MAX + 1];
	char app[TRIB_APP_MAX + 1];
	uint64_t incarnation, seq;
	uint8_t prev[TRIB_SHA256_LEN];
	enum trib_kind kind;
	uint64_t part, parts;
	int64_t captured_at;
	uint64_t checkpoint_size;
	uint8_t checkpoint_root[TRIB_SHA256_LEN];
	uint64_t policy, broadcast;
	bool has_adopts;
	uint8_t adopts[TRIB_OID_LEN];
	struct trib_mf_blob blobs[8];
	size_t nblobs;
	uint64_t raw_len, gz_len;
	struct trib_mf_table *tables;       size_t ntables;
	struct trib_mf_sequence *sequences; size_t nsequences;
	struct trib_mf_renamed *renamed;    size_t nrenamed;
	struct trib_mf_braked *braked;      size_t nbraked;
	struct trib_mf_left_out *left_out;  size_t nleft_out;
	uint8_t digest[TRIB_SHA256_LEN];
};

void trib_manifest_release(struct trib_manifest *m);
static inline void trib_manifest_cleanup(struct trib_manifest *m) { trib_manifest_release(m); }
/* *ret must be zeroed; filled on success, released on failure. Checks form only: order, ranges, sorted
 * and unique lines, part <= parts, changeset.gz blob present exactly when gz_len > 0. */
int trib_manifest_parse(struct trib_span text, struct trib_manifest *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Brings all lines into the order that the parser demands: blobs by name; tables and sequences by folded name; renamed
 * tables before columns, then by table and old name; braked by table; left out by name, then reason. Bytes decide. */
void trib_manifest_sort(struct trib_manifest *m);
/* Appends the canonical text. Lines must already be sorted. */
void trib_manifest_put(struct trib_buf *b, const struct trib_manifest *m);

/* Growing the arrays: appends an element (names are copied), TRIB_E_NOMEM/TRIB_E_LIMIT on failure. */
int trib_manifest_add_table(struct trib_manifest *m, const struct trib_mf_table *t, struct trib_err *err) TRIB_MUST_CHECK;
int trib_manifest_add_sequence(struct trib_manifest *m, const char *table, uint64_t value, struct trib_err *err) TRIB_MUST_CHECK;
int trib_manifest_add_renamed(struct trib_manifest *m, const char *table, const char *from, const char *to, struct trib_err *err) TRIB_MUST_CHECK;
int trib_manifest_add_braked(struct trib_manifest *m, const char *table, uint64_t lost, struct trib_err *err) TRIB_MUST_CHECK;
int trib_manifest_add_left_out(struct trib_manifest *m, const char *name, const char *reason, uint64_t count, struct trib_err *err) TRIB_MUST_CHECK;
int trib_manifest_add_blob(struct trib_manifest *m, const char *name, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* The blob line of `name`, or NULL. */
const struct trib_mf_blob *trib_manifest_blob(const struct trib_manifest *m, const char *name);
/* Sums over all tables. */
void trib_manifest_counts(const struct trib_manifest *m, uint64_t *ret_ins, uint64_t *ret_upd, uint64_t *ret_del);

#endif
