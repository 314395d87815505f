#include "agent/capture/pending.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/capture/baseline.h"
#include "agent/capture/digests.h"
#include "agent/capture/kept.h"
#include "agent/private.h"
#include "core/trust/hash.h"

/* The file's shape is docs/FORMAT.md F12. */
#define MAGIC "trib-pending-1\n" /* 16 bytes with its NUL */
#define HAS_OLD 1u
#define MOVES_PRIVATE 2u
#define HAS_OLD_PRIVATE 4u
#define TIP_MAX (2 * TRIB_LANES_MAX + 64 * TRIB_KIB)
#define OWN_MAX (64 * TRIB_MIB)
#define MAIN_REF "refs/heads/main"

struct head {
	uint32_t page_size, page_count, nslots;
	bool has_old;
	uint8_t old_tip[TRIB_OID_LEN], new_tip[TRIB_OID_LEN];
	uint64_t tip_len;
	bool moves_private, has_old_private;
	uint8_t old_private[TRIB_OID_LEN], new_private[TRIB_OID_LEN];
	uint64_t private_len;
};

static void put_head(uint8_t out[TRIB_PENDING_HEAD], const struct head *h)
{
	memset(out, 0, TRIB_PENDING_HEAD);
	memcpy(out, MAGIC, 16);
	trib_put_be32(out + 16, h->page_size);
	trib_put_be32(out + 20, h->page_count);
	trib_put_be32(out + 24, h->nslots);
	trib_put_be32(out + 28, (h->has_old ? HAS_OLD : 0) | (h->moves_private ? MOVES_PRIVATE : 0) | (h->has_old_private ? HAS_OLD_PRIVATE : 0));
	memcpy(out + 32, h->old_tip, TRIB_OID_LEN);
	memcpy(out + 52, h->new_tip, TRIB_OID_LEN);
	memcpy(out + 72, h->old_private, TRIB_OID_LEN);
	memcpy(out + 92, h->new_private, TRIB_OID_LEN);
	trib_put_be64(out + 112, h->tip_len);
	trib_put_be64(out + 120, h->private_len);
}

static uint64_t slots_size(const struct head *h) { return (uint64_t)h->nslots * (TRIB_SLOT_HEAD + h->page_size); }

static int get_head(const uint8_t in[TRIB_PENDING_HEAD], uint64_t size, struct head *ret, struct trib_err *err)
{
	uint8_t again[TRIB_PENDING_HEAD];
	uint32_t flags = trib_be32(in + 28);
	struct head h = {.page_size = trib_be32(in + 16), .page_count = trib_be32(in + 20), .nslots = trib_be32(in + 24), .has_old = flags & HAS_OLD,
			 .moves_private = flags & MOVES_PRIVATE, .has_old_private = flags & HAS_OLD_PRIVATE, .tip_len = trib_be64(in + 112),
			 .private_len = trib_be64(in + 120)};
	memcpy(h.old_tip, in + 32, TRIB_OID_LEN);
	memcpy(h.new_tip, in + 52, TRIB_OID_LEN);
	memcpy(h.old_private, in + 72, TRIB_OID_LEN);
	memcpy(h.new_private, in + 92, TRIB_OID_LEN);
	put_head(again, &h);
	bool page_ok = h.page_size ? h.page_size >= 512 && h.page_size <= 65536 && !(h.page_size & (h.page_size - 1)) && h.page_count :
				     !h.nslots && !h.page_count;
	if (memcmp(again, in, sizeof(again)) != 0 || !page_ok || h.tip_len > TIP_MAX || h.private_len > TIP_MAX ||
	    TRIB_PENDING_HEAD + slots_size(&h) + h.tip_len + h.private_len + TRIB_SHA256_LEN != size)
		return trib_fail(err, TRIB_E_VERIFY, "its header does not fit its %llu bytes", (unsigned long long)size);
	*ret = h;
	return 0;
}

/* SHA-256 over the first n bytes of a file. */
static int hash_file(int fd, uint64_t n, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	const size_t room = 256 * TRIB_KIB;
	TRIB_AUTO(trib_mem) uint8_t *chunk = malloc(room);
	struct trib_sha256_ctx *c = chunk ? trib_sha256_new() : NULL;
	if (!c)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int rc = 0;
	for (uint64_t at = 0; at < n && !rc;) {
		size_t part = n - at < room ? (size_t)(n - at) : room;
		rc = trib_fs_pread_all(fd, chunk, part, (off_t)at, err);
		if (!rc)
			trib_sha256_add(c, trib_span(chunk, part));
		at += part;
	}
	trib_sha256_end(c, ret);
	return rc;
}

static int write_whole(int fd, const struct head *h, struct trib_span tips, struct trib_err *err)
{
	uint8_t head[TRIB_PENDING_HEAD], sum[TRIB_SHA256_LEN];
	uint64_t end = TRIB_PENDING_HEAD + slots_size(h);
	put_head(head, h);
	if (trib_fs_pwrite_all(fd, head, sizeof(head), 0, err) || trib_fs_pwrite_all(fd, tips.p, tips.n, (off_t)end, err))
		return -1;
	end += tips.n;
	if (hash_file(fd, end, sum, err) || trib_fs_pwrite_all(fd, sum, sizeof(sum), (off_t)end, err))
		return -1;
	return ftruncate(fd, (off_t)(end + sizeof(sum))) ? trib_fail_errno(err, "cutting") : 0;
}

/* A commit without a snapshot (a report) has no pages file yet. */
static int open_empty(struct trib_state *s, struct trib_delta *d, struct trib_err *err)
{
	if (d->path)
		return 0;
	char *path = trib_state_path(s, "pending.tmp");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		trib_fail_errno(err, "creating %s", path);
		free(path);
		return -1;
	}
	*d = (struct trib_delta){.fd = fd, .path = path};
	return 0;
}

/* Appends the private tip to the public one, and says so in the head. */
static void add_private(const struct trib_pending_private *p, struct head *h, struct trib_buf *bytes)
{
	if (!p)
		return;
	h->moves_private = true;
	h->has_old_private = p->old_tip;
	if (p->old_tip)
		memcpy(h->old_private, p->old_tip, TRIB_OID_LEN);
	memcpy(h->new_private, p->tip->oid, TRIB_OID_LEN);
	trib_tip_put(bytes, p->tip);
	h->private_len = bytes->len - h->tip_len;
}

int trib_pending_commit(struct trib_state *s, struct trib_delta *d, const uint8_t *old_tip, const uint8_t new_tip[TRIB_OID_LEN],
			const struct trib_tip *tip, struct trib_err *err)
{
	return trib_pending_commit_both(s, d, old_tip, new_tip, tip, NULL, err);
}

int trib_pending_commit_both(struct trib_state *s, struct trib_delta *d, const uint8_t *old_tip, const uint8_t new_tip[TRIB_OID_LEN],
			     const struct trib_tip *tip, const struct trib_pending_private *p, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *to = trib_state_path(s, "pending");
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(2 * TIP_MAX);
	struct stat st;
	if (!to)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_exists(to))
		return trib_fail(err, TRIB_E_FAILED, "%s exists: an earlier commit was not rolled forward", to);
	trib_tip_put(&bytes, tip);
	struct head h = {.has_old = old_tip, .tip_len = bytes.len};
	add_private(p, &h, &bytes);
	if (trib_buf_check(&bytes, "state of the history", err) || open_empty(s, d, err))
		return -1;
	h.page_size = d->page_size;
	h.page_count = d->page_count;
	if (trib_kept_flush(d, err))
		return -1;
	if (fstat(d->fd, &st))
		return trib_fail_errno(err, "reading %s", d->path);
	uint64_t slot = TRIB_SLOT_HEAD + d->page_size, used = st.st_size > TRIB_PENDING_HEAD ? (uint64_t)st.st_size - TRIB_PENDING_HEAD : 0;
	if (d->page_size) {
		if (used % slot || used / slot > UINT32_MAX)
			return trib_fail(err, TRIB_E_IO, "%s has an odd size", d->path);
		h.nslots = (uint32_t)(used / slot);
	}
	if (old_tip)
		memcpy(h.old_tip, old_tip, TRIB_OID_LEN);
	memcpy(h.new_tip, new_tip, TRIB_OID_LEN);
	if (write_whole(d->fd, &h, trib_buf_span(&bytes), err))
		return trib_ctx(err, "writing %s", d->path);
	if (trib_syncs_file(&s->syncs, d->path, err) || trib_syncs_end(&s->syncs, err))
		return -1;
	trib_crash_point("pending-written");
	if (trib_fs_rename(d->path, to, err))
		return -1;
	trib_fd_cleanup(&d->fd);
	free(d->path);
	d->path = NULL; /* the file lives on under its new name */
	trib_crash_point("pending-renamed");
	return 0;
}

/* ---- rolling forward ---- */

/* All that is done here may be done again as long as `pending` is there: it is one group, durable before `pending` goes. */
static int move_ref(struct trib_repo *repo, struct trib_syncs *g, bool has_old, const uint8_t old_tip[TRIB_OID_LEN], const uint8_t new_tip[TRIB_OID_LEN],
		    const char *point, struct trib_err *err)
{
	uint8_t at[TRIB_OID_LEN];
	bool exists = true;
	if (trib_repo_ref(repo, MAIN_REF, at, err)) {
		if (err->code != TRIB_E_NOT_FOUND)
			return -1;
		exists = false;
	}
	if (exists && memcmp(at, new_tip, TRIB_OID_LEN) == 0)
		return 0;
	if (exists != has_old || (exists && memcmp(at, old_tip, TRIB_OID_LEN) != 0))
		return trib_fail(err, TRIB_E_VERIFY, MAIN_REF " is neither the commit before nor the commit after the unfinished one; "
				 "something else moved it; nothing was changed");
	return trib_repo_ref_cas_in(repo, g, MAIN_REF, has_old ? old_tip : NULL, new_tip, point, err);
}

static int move_refs(struct trib_state *s, const struct head *h, struct trib_syncs *g, struct trib_err *err)
{
	if (move_ref(s->repo, g, h->has_old, h->old_tip, h->new_tip, "ref-moved", err))
		return -1;
	if (!h->moves_private)
		return 0;
	if (!s->private_repo)
		return trib_fail(err, TRIB_E_VERIFY, "private.git is missing");
	if (move_ref(s->private_repo, g, h->has_old_private, h->old_private, h->new_private, "private-ref-moved", err))
		return trib_ctx(err, "private.git");
	return 0;
}

/* What the baseline will belong to. */
static void baseline_id(const struct trib_state *s, const struct head *h, uint8_t ret[TRIB_OID_LEN])
{
	trib_baseline_id(h->new_tip, h->moves_private ? h->new_private : s->private_tip.exists ? s->private_tip.oid : NULL, ret);
}

static int apply_pages(struct trib_state *s, int from, const struct head *h, struct trib_syncs *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "baseline");
	TRIB_AUTO(trib_mem) uint8_t *slot = malloc(TRIB_SLOT_HEAD + (size_t)h->page_size);
	uint8_t id[TRIB_OID_LEN];
	baseline_id(s, h, id);
	if (!path || !slot)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	TRIB_AUTO(trib_fd) int sums = -1;
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", path);
	if (trib_sums_open(s, &sums, err))
		return -1;
	for (uint32_t i = 0; i < h->nslots; i++) {
		size_t n = TRIB_SLOT_HEAD + (size_t)h->page_size;
		if (trib_fs_pread_all(from, slot, n, (off_t)(TRIB_PENDING_HEAD + (uint64_t)i * n), err))
			return -1;
		uint32_t pgno = trib_be32(slot);
		if (pgno > h->page_count)
			return trib_fail(err, TRIB_E_VERIFY, "slot %u names page %u of %u", i, pgno, h->page_count);
		if (pgno && (trib_fs_pwrite_all(fd, slot + TRIB_SLOT_HEAD, h->page_size, (off_t)((uint64_t)(pgno - 1) * h->page_size), err) ||
			     trib_sums_put(sums, pgno, slot + TRIB_SLOT_HEAD, h->page_size, err)))
			return trib_ctx(err, "%s", path);
	}
	if (trib_sums_end(sums, id, h->page_size, h->page_count, err))
		return -1;
	if (ftruncate(fd, (off_t)((uint64_t)h->page_count * h->page_size)))
		return trib_fail_errno(err, "cutting %s", path);
	return trib_sums_sync(s, g, err) || trib_syncs_file(g, path, err) || trib_syncs_parent(g, path, err) ? -1 : 0;
}

static int take_tip(int fd, uint64_t at, uint64_t len, struct trib_tip *to, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t *p = malloc((size_t)len + 1);
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	if (!p)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_pread_all(fd, p, (size_t)len, (off_t)at, err) || trib_tip_parse(trib_span(p, (size_t)len), &tip, err))
		return -1;
	trib_tip_release(to);
	*to = tip;
	tip = (struct trib_tip){0};
	return 0;
}

static int put_tip(const struct trib_state *s, const char *name, const struct trib_tip *tip, const char *point, struct trib_syncs *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TIP_MAX);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_tip_put(&b, tip);
	return trib_buf_check(&b, path, err) ? -1 : trib_syncs_write(g, path, trib_buf_span(&b), 0600, point, err);
}

static int load_tips(struct trib_state *s, int fd, const struct head *h, struct trib_syncs *g, struct trib_err *err)
{
	uint64_t at = TRIB_PENDING_HEAD + slots_size(h);
	if (take_tip(fd, at, h->tip_len, &s->tip, err) || put_tip(s, "tip", &s->tip, "tip-saved", g, err))
		return -1;
	if (!h->moves_private)
		return 0;
	return take_tip(fd, at + h->tip_len, h->private_len, &s->private_tip, err) ||
	       put_tip(s, "private-tip", &s->private_tip, "private-tip-saved", g, err) ? -1 : 0;
}

/* Appends the new commits to `own`, each once. *ret_anew: they do not stand on the old tip. */
static int note_own(struct trib_state *s, const struct head *h, bool *ret_anew, struct trib_syncs *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "own");
	TRIB_AUTO(trib_buf) struct trib_buf own = TRIB_BUF(OWN_MAX);
	TRIB_AUTO(trib_mem) uint8_t (*chain)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_exists(path) && trib_fs_read(path, &own, err))
		return -1;
	if (trib_repo_chain(s->repo, h->new_tip, h->has_old ? h->old_tip : NULL, TRIB_PARTS_MAX, &chain, &n, err)) {
		*ret_anew = true;
		return err->code == TRIB_E_CHAIN || err->code == TRIB_E_LIMIT ? 0 : -1; /* made anew on an older commit: whoever did that keeps `own` itself */
	}
	size_t was = own.len;
	for (size_t i = 0; i < n; i++) {
		char line[TRIB_OID_HEX + 2];
		trib_hex(line, chain[i], TRIB_OID_LEN);
		line[TRIB_OID_HEX] = '\n';
		if (!own.len || !memmem(own.p, own.len, line, TRIB_OID_HEX + 1))
			trib_buf_put(&own, line, TRIB_OID_HEX + 1);
	}
	if (trib_buf_check(&own, path, err))
		return -1;
	return own.len == was ? 0 : trib_syncs_write(g, path, trib_buf_span(&own), 0600, NULL, err);
}

static int read_checked(int fd, struct head *ret, struct trib_err *err)
{
	uint8_t head[TRIB_PENDING_HEAD], sum[TRIB_SHA256_LEN], want[TRIB_SHA256_LEN];
	struct stat st;
	if (fstat(fd, &st))
		return trib_fail_errno(err, "reading");
	if (st.st_size < TRIB_PENDING_HEAD + TRIB_SHA256_LEN)
		return trib_fail(err, TRIB_E_VERIFY, "cut short");
	uint64_t body = (uint64_t)st.st_size - TRIB_SHA256_LEN;
	if (trib_fs_pread_all(fd, head, sizeof(head), 0, err) || get_head(head, (uint64_t)st.st_size, ret, err) ||
	    trib_fs_pread_all(fd, want, sizeof(want), (off_t)body, err) || hash_file(fd, body, sum, err))
		return -1;
	if (memcmp(sum, want, sizeof(sum)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "its checksum is wrong");
	return 0;
}

static int redo(struct trib_state *s, int fd, const struct head *h, bool *ret_anew, struct trib_err *err)
{
	TRIB_AUTO(trib_syncs) struct trib_syncs g = {0};
	uint8_t id[TRIB_OID_LEN];
	baseline_id(s, h, id);
	if (move_refs(s, h, &g, err) || (h->page_size ? apply_pages(s, fd, h, &g, err) : trib_sums_move(s, id, &g, err)))
		return -1;
	trib_crash_point("baseline-applied");
	return load_tips(s, fd, h, &g, err) || note_own(s, h, ret_anew, &g, err) || trib_syncs_end(&g, err) ? -1 : 0;
}

static int roll_forward(struct trib_state *s, const char *path, struct trib_err *err)
{
	struct head h;
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", path);
	if (read_checked(fd, &h, err)) /* it was fsynced before it got its name, so this is a bad disk, not a crash */
		return trib_ctx(err, "%s is damaged (the history in repo.git is safe; keep this file and try `tributary-agent check`)", path);
	bool anew = false;
	if (redo(s, fd, &h, &anew, err))
		return trib_ctx(err, "finishing the last commit");
	if (anew)
		trib_digests_forget(s);
	else if (!h.has_old || memcmp(h.old_tip, h.new_tip, TRIB_OID_LEN) != 0)
		trib_digests_note(s, h.has_old ? h.old_tip : NULL);
	/* Its folder needs no fsync: should the file come back, all of it is done again, and whatever moves the history later syncs this folder first. */
	return unlink(path) ? trib_fail_errno(err, "removing %s", path) : 0;
}

int trib_pending_recover(struct trib_state *s, struct trib_err *err)
{
	static const char *const temporary[] = {
		"pending.tmp", "tip.tmp", "own.tmp", "node.tmp", "private-tip.tmp", "private.conf.tmp", "baseline.rebuilt", "baseline.rebuilt.tributary-new",
		"baseline.rebuilt.tributary-scratch", "baseline.rebuilt.tributary-scratch-journal", "baseline.rebuilt.tributary-private",
		"baseline.rebuilt.tributary-private-journal"};
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "pending");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	for (size_t i = 0; i < TRIB_COUNT(temporary); i++) {
		TRIB_AUTO(trib_mem) char *tmp = trib_state_path(s, temporary[i]);
		if (!tmp)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (trib_fs_exists(tmp) && trib_fs_remove(tmp, err))
			return -1;
	}
	return trib_fs_exists(path) ? roll_forward(s, path, err) : 0;
}
