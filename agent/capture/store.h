/* store.h: differing rows of one table at a time, until it is known what they are: deletes, updates, inserts; internal to agent/capture.
 *
 * Rows are kept as encoded values (F2), so equal rows are equal bytes. They lie in memory up to a limit; beyond it they go to a private
 * temporary SQLite database, which keeps as much in memory and the rest in an unlinked file. Rows that come in the order of their keys are the fast way.
 *
 * Lifecycle: new, then for each table: reset, rows (keyed ones or a bag's, not both), for a bag settle and count, passes; free. */
#ifndef TRIB_CAPTURE_STORE_H
#define TRIB_CAPTURE_STORE_H

#include "core/base/base.h"
#include "core/base/err.h"
#include "core/base/span.h"

struct trib_store; /* opaque */

/* `memory`: bytes of rows kept in memory, TRIB_LEFTOVER_MEM. */
int trib_store_new(size_t memory, struct trib_store **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_store_free(struct trib_store *s);
static inline void trib_store_cleanup(struct trib_store **s) { trib_store_free(*s); }
/* Forgets everything: the next table begins. */
int trib_store_reset(struct trib_store *s, struct trib_err *err) TRIB_MUST_CHECK;
enum trib_side { TRIB_OLD, TRIB_NEW };
/* Keyed rows. *ret_twice: the side has this key already (impossible in a sound database); nothing was added. */
int trib_store_row(struct trib_store *s, enum trib_side side, struct trib_span key, struct trib_span row, bool *ret_twice, struct trib_err *err) TRIB_MUST_CHECK;
/* Bag rows, by content. */
int trib_store_bag(struct trib_store *s, enum trib_side side, struct trib_span row, struct trib_err *err) TRIB_MUST_CHECK;
/* Drops contents whose number did not change; *ret_left: something is left. */
int trib_store_bag_settle(struct trib_store *s, bool *ret_left, struct trib_err *err) TRIB_MUST_CHECK;
/* After settling: counts one row of the whole old state towards the content it equals. */
int trib_store_bag_count(struct trib_store *s, struct trib_span row, struct trib_err *err) TRIB_MUST_CHECK;

enum trib_pass { TRIB_PASS_DELETES, TRIB_PASS_UPDATES, TRIB_PASS_INSERTS };
struct trib_hit {              /* borrowed until the next call */
	struct trib_span old, new; /* the row; a bag's content in both */
	int64_t was, is;           /* how many, in a bag */
};
/* Then trib_store_next: 1 and the next hit of this pass in the order of keys, 0 after the last one, -1. */
void trib_store_begin(struct trib_store *s, bool bag, enum trib_pass pass);
int trib_store_next(struct trib_store *s, struct trib_hit *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Of bytes that others choose: `seed` is random, so that nobody makes them meet. */
static inline uint64_t trib_bytes_hash(struct trib_span s, uint64_t seed)
{
	uint64_t h = seed ^ s.n, w;
	for (; s.n >= 8; s.p += 8, s.n -= 8) {
		memcpy(&w, s.p, sizeof(w));
		unsigned __int128 m = (unsigned __int128)(h ^ w) * (seed | 0x8000000000000001u);
		h = (uint64_t)m ^ (uint64_t)(m >> 64) ^ 0x9e3779b97f4a7c15u;
	}
	w = 0;
	if (s.n)
		memcpy(&w, s.p, s.n);
	unsigned __int128 m = (unsigned __int128)(h ^ w) * 0xff51afd7ed558ccdu;
	h = (uint64_t)m ^ (uint64_t)(m >> 64);
	return h ^ h >> 29;
}

#endif
