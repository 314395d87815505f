#include "core/store/bundlefile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/store/unpack.h"

#define HEAD_MAX (64 * TRIB_KIB)
#define FEED (256 * TRIB_KIB)

int trib_bundle_send(struct trib_repo *r, const struct trib_bundle *head, trib_pack_sink sink, void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(HEAD_MAX);
	uint8_t want[TRIB_BUNDLE_REFS_MAX][TRIB_OID_LEN];
	for (size_t i = 0; i < head->nrefs; i++)
		memcpy(want[i], head->refs[i].oid, TRIB_OID_LEN);
	trib_bundle_put_header(&b, head);
	if (trib_buf_check(&b, "bundle", err) || sink(ctx, trib_buf_span(&b), err))
		return -1;
	return trib_repo_pack(r, (const uint8_t(*)[TRIB_OID_LEN])want, head->nrefs, head->prerequisites, head->nprerequisites, sink, ctx, err);
}

struct out { int fd; const char *path; uint64_t bytes; };

static int put(void *ctx, struct trib_span bytes, struct trib_err *err)
{
	struct out *o = ctx;
	o->bytes += bytes.n;
	return trib_fs_write_all(o->fd, bytes, err) ? trib_ctx(err, "%s", o->path) : 0;
}

int trib_bundle_write(struct trib_repo *r, const struct trib_bundle *head, const char *path, uint64_t *ret_bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tmp", path);
	if (!tmp)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	TRIB_AUTO(trib_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "%s", tmp);
	struct out o = {.fd = fd, .path = tmp};
	int rc = trib_bundle_send(r, head, put, &o, err);
	if (!rc && fsync(fd))
		rc = trib_fail_errno(err, "fsync of %s", tmp);
	if (rc || trib_fs_rename(tmp, path, err)) {
		(void)unlink(tmp);
		return -1;
	}
	*ret_bytes = o.bytes;
	return 0;
}

/* ---- reading ---- */

/* Bases of a thin pack. */
static int base(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	static const enum trib_obj kinds[] = {TRIB_OBJ_BLOB, TRIB_OBJ_TREE, TRIB_OBJ_COMMIT};
	size_t start = ret->len;
	for (size_t i = 0; i < TRIB_COUNT(kinds); i++) {
		size_t max = trib_pack_type_max((unsigned)kinds[i]);
		if (trib_repo_read(ctx, oid, kinds[i], max < ret->max ? max : ret->max, ret, err) == 0) {
			*ret_type = (enum trib_pack_type)kinds[i];
			return 0;
		}
		ret->len = start;
		ret->failed = ret->nomem = false;
		if (err->code == TRIB_E_NOMEM)
			return -1;
	}
	return trib_fail(err, TRIB_E_NOT_FOUND, "the bundle leans on an object that is not here; make a whole one");
}

static int look(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	(void)ctx;
	(void)type;
	(void)bytes;
	(void)oid;
	(void)err;
	return 0;
}

static int keep(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	uint8_t written[TRIB_OID_LEN];
	if (trib_repo_write(ctx, (enum trib_obj)type, bytes, written, err))
		return -1;
	return memcmp(written, oid, TRIB_OID_LEN) == 0 ? 0 : trib_fail(err, TRIB_E_VERIFY, "an object was written under another id");
}

static int scan(struct trib_span pack, struct trib_err *err)
{
	TRIB_AUTO(trib_packscan) struct trib_packscan *s = trib_packscan_new();
	uint64_t objects;
	if (!s)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	for (size_t at = 0; at < pack.n; at += FEED)
		if (trib_packscan_feed(s, trib_span(pack.p + at, pack.n - at < FEED ? pack.n - at : FEED), err))
			return -1;
	return trib_packscan_end(s, &objects, err);
}

static int load(struct trib_span file, struct trib_repo *into, struct trib_bundle *ret, struct trib_err *err)
{
	struct trib_bundle b = {0};
	if (trib_bundle_parse(trib_span(file.p, file.n < HEAD_MAX ? file.n : HEAD_MAX), &b, err))
		return -1;
	for (size_t i = 0; i < b.nprerequisites; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
		if (trib_repo_read(into, b.prerequisites[i], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, err))
			return trib_ctx(err, "a commit that the bundle builds on");
	}
	struct trib_span pack = trib_span(file.p + b.head_len, file.n - b.head_len);
	if (pack.n > TRIB_PACK_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "its pack has %zu bytes, at most %zu are taken", pack.n, TRIB_PACK_MAX);
	if (scan(pack, err) || trib_unpack(pack, base, into, look, NULL, NULL, err) || trib_unpack(pack, base, into, keep, into, NULL, err))
		return -1;
	*ret = b;
	return 0;
}

int trib_bundle_load(const char *path, struct trib_repo *into, struct trib_bundle *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return trib_fail_errno(err, "opening %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > TRIB_BUNDLE_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%s is no bundle, or larger than %zu MiB", path, TRIB_BUNDLE_MAX / TRIB_MIB);
	size_t n = (size_t)st.st_size;
	void *map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return trib_fail_errno(err, "mapping %s", path);
	int rc = load(trib_span(map, n), into, ret, err);
	(void)munmap(map, n);
	return rc ? trib_ctx(err, "reading the bundle %s (nothing was changed)", path) : 0;
}
