#include "agent/capture/kept.h"

#include <sys/mman.h>

static size_t slot_size(uint32_t page_size) { return TRIB_SLOT_HEAD + (size_t)page_size; }

static uint32_t per_block(uint32_t page_size) { return (uint32_t)(TRIB_KEPT_BLOCK / slot_size(page_size)); }

/* Of all slots, in the order in which they came. */
static uint64_t slot_at(uint32_t page_size, uint64_t offset) { return (offset - TRIB_PENDING_HEAD) / slot_size(page_size); }

static uint8_t *place(const struct trib_delta *d, uint32_t page_size, uint32_t i)
{
	return d->block[i / per_block(page_size)] + (i % per_block(page_size)) * slot_size(page_size);
}

uint8_t *trib_kept_slot(struct trib_delta *d, uint32_t page_size, bool *ret_full)
{
	uint32_t per = per_block(page_size), most = (uint32_t)(TRIB_KEPT_MAX / TRIB_KEPT_BLOCK) * per;
	*ret_full = d->nmem != d->nslots || d->nmem >= most;
	if (*ret_full)
		return NULL;
	if (d->nmem % per == 0) {
		uint8_t **grown = reallocarray(d->block, d->nmem / per + 1, sizeof(*grown));
		if (!grown)
			return NULL;
		d->block = grown;
		uint8_t *p = aligned_alloc(TRIB_KEPT_BLOCK, TRIB_KEPT_BLOCK);
		if (!p)
			return NULL;
		if (d->nmem) /* a small night does not need so much at once */
			(void)madvise(p, TRIB_KEPT_BLOCK, MADV_HUGEPAGE);
		grown[d->nblocks++] = p;
	}
	return place(d, page_size, d->nmem++);
}

static int read_at(const struct trib_delta *d, uint64_t offset, size_t in, size_t n, uint8_t *p, struct trib_err *err)
{
	uint64_t slot = slot_at(d->page_size, offset);
	if (slot >= d->nmem)
		return trib_fs_pread_all(d->fd, p, n, (off_t)(offset + in), err);
	memcpy(p, place(d, d->page_size, (uint32_t)slot) + TRIB_SLOT_HEAD + in, n);
	return 0;
}

int trib_kept_read(const struct trib_delta *d, uint32_t i, size_t in, size_t n, uint8_t *p, struct trib_err *err)
{
	return read_at(d, d->offset[i], in, n, p, err);
}

int trib_kept_at(const struct trib_delta *d, uint64_t offset, size_t n, uint8_t *p, struct trib_err *err) { return read_at(d, offset, 0, n, p, err); }

int trib_kept_void(struct trib_delta *d, uint64_t offset, struct trib_err *err)
{
	static const uint8_t none[4];
	uint64_t slot = slot_at(d->page_size, offset);
	if (slot >= d->nmem)
		return trib_fs_pwrite_all(d->fd, none, sizeof(none), (off_t)(offset - TRIB_SLOT_HEAD), err) ? trib_ctx(err, "writing %s", d->path) : 0;
	memset(place(d, d->page_size, (uint32_t)slot), 0, sizeof(none));
	return 0;
}

int trib_kept_flush(struct trib_delta *d, struct trib_err *err)
{
	uint32_t per = d->nmem ? per_block(d->page_size) : 1;
	for (uint32_t i = 0; i < d->nmem; i += per) {
		uint32_t n = d->nmem - i < per ? d->nmem - i : per;
		if (trib_fs_pwrite_all(d->fd, d->block[i / per], n * slot_size(d->page_size),
				       (off_t)(TRIB_PENDING_HEAD + i * slot_size(d->page_size)), err))
			return trib_ctx(err, "writing %s", d->path);
	}
	return 0;
}

void trib_kept_forget(struct trib_delta *d)
{
	for (uint32_t i = 0; i < d->nblocks; i++)
		free(d->block[i]);
	free(d->block);
	free(d->pgno);
	free(d->offset);
	d->block = NULL;
	d->pgno = NULL;
	d->offset = NULL;
	d->nblocks = d->nmem = d->nslots = d->nchanged = 0;
}
