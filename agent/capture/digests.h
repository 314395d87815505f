/* digests.h: which commit had which state of a table: a cache beside the history, for the brake (D4.9); internal to agent/capture.
 *
 * state/digests.db: for every captured table (folded name, bags apart) the digests that complete groups gave it, each with the last commit that brought
 * the table to it. Moved forward with each commit, at the cost of that commit's tables; one that is lost, damaged or behind is made again from the signed
 * manifests when it is asked. It is never believed: an answer is checked against the manifest that it names. */
#ifndef TRIB_CAPTURE_DIGESTS_H
#define TRIB_CAPTURE_DIGESTS_H

#include "agent/state.h"
#include "core/store/db.h"

/* Records s->tip after its roll-forward; `was` is the commit before it (NULL: none). A failure only drops the cache. */
void trib_digests_note(const struct trib_state *s, const uint8_t *was);
/* The commits were made anew: what is cached names commits that are gone. Prints stay: they speak of states. */
void trib_digests_forget(const struct trib_state *s);
void trib_digests_drop(const struct trib_state *s);

/* The cache as it is. */
int trib_digests_open_kept(const struct trib_state *s, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The cache, brought up to s->tip. */
int trib_digests_open(struct trib_state *s, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Did the table ever have this number of rows, in another state than `now`, the digest it has at the tip, and not one that `print` (prints.h; NULL: not known)
 * tells apart? */
struct trib_print;
int trib_digests_maybe(sqlite3 *db, const char *table, uint64_t rows, const uint8_t now[TRIB_SHA256_LEN], const struct trib_print *print, bool *ret,
		       struct trib_err *err) TRIB_MUST_CHECK;
/* Sequence number of the last commit that brought the table to this state, 0 = none. TRIB_E_VERIFY: the cache names a commit whose manifest says
 * otherwise. */
int trib_digests_find(struct trib_state *s, sqlite3 *db, const char *table, uint64_t rows, const uint8_t digest[TRIB_SHA256_LEN], uint64_t *ret_seq,
		      struct trib_err *err) TRIB_MUST_CHECK;

#endif
