#include "agent/capture/baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/capture/vfs.h"
#include "agent/held.h"
#include "core/base/i18n.h"
#include "core/base/log.h"
#include "core/trust/hash.h"

#define MAGIC "trib-sums-1\n\0\0\0" /* 16 bytes with its NUL */
#define HEAD 64
#define SUM 8
#define SUMS_FILE "baseline.sums"
#define FRESH_FILE "baseline.rebuilt" /* trib_pending_recover drops it and what replay leaves beside it */

static void sum_of(const uint8_t *page, uint32_t n, uint8_t ret[SUM])
{
	uint8_t hash[TRIB_SHA256_LEN];
	trib_sha256(hash, trib_span(page, n));
	memcpy(ret, hash, SUM);
}

static void put_head(uint8_t out[HEAD], const uint8_t tip[TRIB_OID_LEN], uint32_t page_size, uint32_t page_count)
{
	memset(out, 0, HEAD);
	memcpy(out, MAGIC, 16);
	memcpy(out + 16, tip, TRIB_OID_LEN);
	trib_put_be32(out + 36, page_size);
	trib_put_be32(out + 40, page_count);
}

void trib_baseline_id(const uint8_t tip[TRIB_OID_LEN], const uint8_t *private_tip, uint8_t ret[TRIB_OID_LEN])
{
	uint8_t both[2 * TRIB_OID_LEN], hash[TRIB_SHA256_LEN];
	memcpy(ret, tip, TRIB_OID_LEN);
	if (!private_tip)
		return;
	memcpy(both, tip, TRIB_OID_LEN);
	memcpy(both + TRIB_OID_LEN, private_tip, TRIB_OID_LEN);
	trib_sha256(hash, trib_span(both, sizeof(both)));
	memcpy(ret, hash, TRIB_OID_LEN);
}

static void own_id(const struct trib_state *s, uint8_t ret[TRIB_OID_LEN])
{
	trib_baseline_id(s->tip.oid, s->private_tip.exists ? s->private_tip.oid : NULL, ret);
}

/* ---- written with the pages ---- */

int trib_sums_open(const struct trib_state *s, int *ret_fd, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, SUMS_FILE);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", path);
	*ret_fd = fd;
	return 0;
}

int trib_sums_put(int fd, uint32_t pgno, const uint8_t *page, uint32_t page_size, struct trib_err *err)
{
	uint8_t sum[SUM];
	sum_of(page, page_size, sum);
	return trib_fs_pwrite_all(fd, sum, sizeof(sum), (off_t)(HEAD + (uint64_t)(pgno - 1) * SUM), err);
}

int trib_sums_end(int fd, const uint8_t tip[TRIB_OID_LEN], uint32_t page_size, uint32_t page_count, struct trib_err *err)
{
	uint8_t head[HEAD];
	put_head(head, tip, page_size, page_count);
	if (trib_fs_pwrite_all(fd, head, sizeof(head), 0, err))
		return -1;
	if (ftruncate(fd, (off_t)(HEAD + (uint64_t)page_count * SUM)))
		return trib_fail_errno(err, "cutting " SUMS_FILE);
	return 0;
}

int trib_sums_sync(const struct trib_state *s, struct trib_syncs *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, SUMS_FILE);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_syncs_file(g, path, err);
}

int trib_sums_move(const struct trib_state *s, const uint8_t tip[TRIB_OID_LEN], struct trib_syncs *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, SUMS_FILE);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : trib_fail_errno(err, "opening %s", path);
	if (trib_fs_pwrite_all(fd, tip, TRIB_OID_LEN, 16, err))
		return trib_ctx(err, "%s", path);
	return trib_syncs_file(g, path, err);
}

/* ---- asked ---- */

/* The baseline and its sums; *ret_why is set when they are not what the tip needs (their descriptors may then be -1). */
static int open_both(const struct trib_state *s, struct trib_base *base, int *sums, const char **ret_why, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, SUMS_FILE);
	uint8_t head[HEAD], want[HEAD], id[TRIB_OID_LEN];
	struct stat st;
	*ret_why = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_base_open(s, base, err)) {
		if (err->code != TRIB_E_VERIFY)
			return -1;
		*ret_why = N_("was cut short or overwritten");
		return 0;
	}
	if (base->fd < 0) {
		*ret_why = N_("was missing");
		return 0;
	}
	*sums = open(path, O_RDONLY | O_CLOEXEC);
	if (*sums < 0 && errno != ENOENT)
		return trib_fail_errno(err, "opening %s", path);
	own_id(s, id);
	put_head(want, id, base->page_size, base->page_count);
	if (*sums < 0 || fstat(*sums, &st) || st.st_size != (off_t)(HEAD + (uint64_t)base->page_count * SUM) ||
	    trib_fs_pread_all(*sums, head, sizeof(head), 0, err))
		*ret_why = N_("had no page sums that fit it");
	else if (memcmp(head, want, 16) != 0 || memcmp(head + 36, want + 36, HEAD - 36) != 0)
		*ret_why = N_("was cut short or overwritten");
	else if (memcmp(head, want, HEAD) != 0)
		*ret_why = N_("belonged to another commit");
	return 0;
}

int trib_baseline_shape(const struct trib_state *s, const char **ret_why, struct trib_err *err)
{
	TRIB_AUTO(trib_base) struct trib_base base = {.fd = -1};
	TRIB_AUTO(trib_fd) int sums = -1;
	return open_both(s, &base, &sums, ret_why, err);
}

#define AT_ONCE 512

struct window { /* sums read ahead: pages come in rising order */
	uint32_t first, n;
	uint8_t p[AT_ONCE * SUM];
};

static int page_is_right(const struct trib_base *base, int sums, struct window *w, uint32_t pgno, uint8_t *page, bool *ret, struct trib_err *err)
{
	uint8_t is[SUM];
	if (pgno < w->first || pgno - w->first >= w->n) {
		uint32_t first = (pgno - 1) / AT_ONCE * AT_ONCE + 1, left = base->page_count - first + 1;
		w->n = left < AT_ONCE ? left : AT_ONCE;
		w->first = first;
		if (trib_fs_pread_all(sums, w->p, (size_t)w->n * SUM, (off_t)(HEAD + (uint64_t)(first - 1) * SUM), err))
			return -1;
	}
	if (trib_fs_pread_all(base->fd, page, base->page_size, (off_t)((uint64_t)(pgno - 1) * base->page_size), err))
		return -1;
	sum_of(page, base->page_size, is);
	*ret = memcmp(w->p + (size_t)(pgno - w->first) * SUM, is, sizeof(is)) == 0;
	return 0;
}

int trib_baseline_pages(const struct trib_state *s, const struct trib_delta *d, const char **ret_why, struct trib_err *err)
{
	TRIB_AUTO(trib_base) struct trib_base base = {.fd = -1};
	TRIB_AUTO(trib_fd) int sums = -1;
	if (open_both(s, &base, &sums, ret_why, err) || *ret_why)
		return *ret_why ? 0 : -1;
	if (d && !d->path) /* the live file is untouched and was not read: nobody asks the baseline */
		return 0;
	TRIB_AUTO(trib_mem) uint8_t *page = malloc(base.page_size);
	if (!page)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	bool all = !d || d->page_size != base.page_size, right = true;
	struct window w = {0};
	uint32_t lock_page = TRIB_LOCK_BYTE_AT / base.page_size + 1, kept = 0;
	for (uint32_t pgno = 1; pgno <= base.page_count && right; pgno++) {
		while (!all && kept < d->nchanged && d->pgno[kept] < pgno)
			kept++;
		bool equal = !all && pgno <= d->page_count && !(kept < d->nchanged && d->pgno[kept] == pgno);
		if (!equal && pgno != lock_page && page_is_right(&base, sums, &w, pgno, page, &right, err))
			return -1;
	}
	*ret_why = right ? NULL : N_("had a page that the last commit did not write");
	return 0;
}

/* ---- made anew ---- */

static int write_sums(const struct trib_state *s, const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int from = open(path, O_RDONLY | O_CLOEXEC);
	TRIB_AUTO(trib_fd) int to = -1;
	uint8_t head[100], id[TRIB_OID_LEN];
	struct stat st;
	own_id(s, id);
	if (from < 0 || fstat(from, &st))
		return trib_fail_errno(err, "opening %s", path);
	if (trib_fs_pread_all(from, head, sizeof(head), 0, err) || trib_sums_open(s, &to, err))
		return -1;
	uint32_t size = trib_be16(head + 16), n;
	size = size == 1 ? 65536 : size;
	n = size ? (uint32_t)(st.st_size / size) : 0;
	TRIB_AUTO(trib_mem) uint8_t *page = malloc(size + 1);
	if (!page)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	for (uint32_t i = 1; i <= n; i++)
		if (trib_fs_pread_all(from, page, size, (off_t)((uint64_t)(i - 1) * size), err) || trib_sums_put(to, i, page, size, err))
			return -1;
	if (trib_sums_end(to, id, size, n, err))
		return -1;
	return fsync(to) ? trib_fail_errno(err, "fsync of " SUMS_FILE) : 0;
}

static int replay(struct trib_state *s, const char *fresh, struct trib_err *err)
{
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_restored) struct trib_restored done = {0};
	if (trib_state_keys(s, err) || trib_held_load(s, false, &r, err))
		return -1;
	struct trib_history h = trib_own_history(s, &r);
	return trib_replay_to_file(&h, s->tip.oid, NULL, fresh, &done, err);
}

static int replay_and_sum(struct trib_state *s, const char *fresh, struct trib_err *err)
{
	if (replay(s, fresh, err))
		return -1;
	trib_crash_point("baseline-replayed");
	if (write_sums(s, fresh, err))
		return -1;
	trib_crash_point("baseline-summed");
	return 0;
}

int trib_baseline_rebuild(struct trib_state *s, const char *why, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *fresh = trib_state_path(s, FRESH_FILE);
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "baseline");
	struct trib_err ignored;
	if (!fresh || !path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	/* Sums before the file: killed between the two, they do not fit the old baseline, and this is done again. */
	if (trib_fs_remove(fresh, err))
		return -1;
	if (replay_and_sum(s, fresh, err) || (chmod(fresh, 0600) && trib_fail_errno(err, "chmod of %s", fresh)) ||
	    trib_fs_rename(fresh, path, err)) {
		(void)!trib_fs_remove(fresh, &ignored);
		return trib_ctx(err, "%s %s and could not be made again from the history; the database is as it was; see `tributary-agent check`", path, why);
	}
	trib_log(TRIB_LOG_WARN, "%s %s; it was made again from the history up to #%llu and proven by digest", path, why, (unsigned long long)s->tip.seq);
	return 0;
}
