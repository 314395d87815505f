/* kept.h: where the pages are that a snapshot keeps; internal to agent/capture.
 *
 * The first TRIB_KEPT_MAX bytes of slots (vfs.h) stay in memory, in blocks, in the order in which they came; what comes later goes to the pages file, at the
 * place that it would have had anyway. So a look that commits nothing writes nothing, as long as a night is small, and a commit writes large pieces.
 * Pages that the backup API brings (trib_sink) are all in the file. One thread at a time. */
#ifndef TRIB_KEPT_H
#define TRIB_KEPT_H

#include "agent/capture/vfs.h"

#define TRIB_KEPT_BLOCK (2 * TRIB_MIB) /* a large page of the kernel */
#define TRIB_KEPT_MAX (32 * TRIB_MIB)

/* Place of the next slot, the d->nslots'th one, in memory; NULL, and *ret_full: memory is as full as it may be. Without *ret_full, there is no memory. */
uint8_t *trib_kept_slot(struct trib_delta *d, uint32_t page_size, bool *ret_full);
/* n bytes at `in` of the i'th kept page. */
int trib_kept_read(const struct trib_delta *d, uint32_t i, size_t in, size_t n, uint8_t *p, struct trib_err *err) TRIB_MUST_CHECK;
/* The same by the place of the page in the pages file (d->offset), also for a page that *d does not list any more. */
int trib_kept_at(const struct trib_delta *d, uint64_t offset, size_t n, uint8_t *p, struct trib_err *err) TRIB_MUST_CHECK;
/* The slot is no page's any more: rolling forward passes it over. */
int trib_kept_void(struct trib_delta *d, uint64_t offset, struct trib_err *err) TRIB_MUST_CHECK;
/* Writes to the pages file what is in memory. */
int trib_kept_flush(struct trib_delta *d, struct trib_err *err) TRIB_MUST_CHECK;
/* Forgets pages and places; the file stays as it is. */
void trib_kept_forget(struct trib_delta *d);

#endif
