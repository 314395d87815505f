/* baseline.h: is the baseline still what the last commit left, and what to do when it is not (D4.7); internal to agent/capture.
 *
 * `baseline.sums` beside the baseline holds the commit that it belongs to and eight bytes of SHA-256 for every page (docs/FORMAT.md F12). Pages that equal
 * the live file need no proof; each other page is hashed before a capture believes it, so a damaged disk costs a replay and never makes a wrong
 * commit. Both files are caches of history: one that is missing, cut, changed or of another commit is made anew by replay, proven by digest. */
#ifndef TRIB_CAPTURE_BASELINE_H
#define TRIB_CAPTURE_BASELINE_H

#include "agent/capture/pending.h"

/* What a baseline belongs to: the public commit, or when there is a private half (NULL: none) the first bytes of SHA-256 over both commits. */
void trib_baseline_id(const uint8_t tip[TRIB_OID_LEN], const uint8_t *private_tip, uint8_t ret[TRIB_OID_LEN]);
/* Rolling forward: the sums of pages as they are written. The file is made when it is missing; what then is missing in it reads as damage later. */
int trib_sums_open(const struct trib_state *s, int *ret_fd, struct trib_err *err) TRIB_MUST_CHECK;
int trib_sums_put(int fd, uint32_t pgno, const uint8_t *page, uint32_t page_size, struct trib_err *err) TRIB_MUST_CHECK;
/* Cuts to `page_count`, writes the head. Durable by trib_sums_sync's group. */
int trib_sums_end(int fd, const uint8_t tip[TRIB_OID_LEN], uint32_t page_size, uint32_t page_count, struct trib_err *err) TRIB_MUST_CHECK;
int trib_sums_sync(const struct trib_state *s, struct trib_syncs *g, struct trib_err *err) TRIB_MUST_CHECK;
/* A commit without pages: the baseline now belongs to `tip`. No file, no work. */
int trib_sums_move(const struct trib_state *s, const uint8_t tip[TRIB_OID_LEN], struct trib_syncs *g, struct trib_err *err) TRIB_MUST_CHECK;

/* *ret_why: NULL, or words that say why the baseline cannot be that of s->tip. Reads headers and sizes only. */
int trib_baseline_shape(const struct trib_state *s, const char **ret_why, struct trib_err *err) TRIB_MUST_CHECK;
/* Hashes the baseline's pages that `d` did not find equal to the live file (d NULL: every page; d without a pages file: none). */
int trib_baseline_pages(const struct trib_state *s, const struct trib_delta *d, const char **ret_why, struct trib_err *err) TRIB_MUST_CHECK;
/* Replays the history up to s->tip into a new baseline, proven by digest, and logs one line. The old one stays until then. Loads the keys. */
int trib_baseline_rebuild(struct trib_state *s, const char *why, struct trib_err *err) TRIB_MUST_CHECK;

#endif
