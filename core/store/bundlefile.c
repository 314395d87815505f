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

struct out { int fd; const char *path; uint64_t bytes, max; };

static int put(void *ctx, struct trib_span bytes, struct trib_err *err)
{
	struct out *o = ctx;
	o->bytes += bytes.n;
	if (o->max && o->bytes > o->max)
		return trib_fail(err, TRIB_E_LIMIT, "%s would be larger than %llu bytes; nothing was changed", o->path, (unsigned long long)o->max);
	return trib_fs_write_all(o->fd, bytes, err) ? trib_ctx(err, "%s", o->path) : 0;
}

int trib_bundle_write(struct trib_repo *r, const struct trib_bundle *head, const char *path, uint64_t max, uint64_t *ret_bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tmp", path);
	if (!tmp)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	TRIB_AUTO(trib_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "%s", tmp);
	struct out o = {.fd = fd, .path = tmp, .max = max};
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

/* The pack is judged to its end before the first object is wanted. */
static int look(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	(void)ctx;
	(void)type;
	(void)bytes;
	(void)oid;
	(void)err;
	return 0;
}

static int read_file(struct trib_span file, const struct trib_bundle_reader *r, struct trib_bundle *ret, struct trib_err *err)
{
	struct trib_bundle b = {0};
	if (trib_bundle_parse(trib_span(file.p, file.n < HEAD_MAX ? file.n : HEAD_MAX), &b, err) || (r->head && r->head(r->ctx, &b, err)))
		return -1;
	struct trib_span pack = trib_span(file.p + b.head_len, file.n - b.head_len);
	if (pack.n > TRIB_PACK_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "its pack has %zu bytes, at most %zu are taken; at the office, in several files: tributary-agent bundle create FILE", pack.n, TRIB_PACK_MAX);
	if (scan(pack, err) || (r->rehearse && trib_unpack(pack, r->base, r->ctx, look, NULL, NULL, err)) || trib_unpack(pack, r->base, r->ctx, r->put, r->ctx, NULL, err))
		return -1;
	*ret = b;
	return 0;
}

int trib_bundle_read(const char *path, const struct trib_bundle_reader *r, struct trib_bundle *ret, struct trib_err *err)
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
	int rc = read_file(trib_span(map, n), r, ret, err);
	(void)munmap(map, n);
	return rc ? trib_ctx(err, "reading the bundle %s (nothing was changed)", path) : 0;
}

/* ---- into a repository ---- */

struct load { struct trib_repo *into; struct trib_bundle_loaded *list; size_t room; };

static int load_head(void *ctx, const struct trib_bundle *b, struct trib_err *err)
{
	struct load *l = ctx;
	for (size_t i = 0; i < b->nprerequisites; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
		if (trib_repo_read(l->into, b->prerequisites[i], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, err))
			return trib_ctx(err, "a commit that the bundle builds on");
	}
	return 0;
}

static int load_base(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	struct load *l = ctx;
	enum trib_obj type;
	if (trib_repo_read_any(l->into, oid, &type, ret, err))
		return err->code == TRIB_E_NOT_FOUND ? trib_fail(err, TRIB_E_NOT_FOUND, "the bundle leans on an object that is not here; make a whole one") : -1;
	*ret_type = (enum trib_pack_type)type;
	return 0;
}

static int remember(struct load *l, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	struct trib_bundle_loaded *list = l->list;
	if (list->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		void *more = reallocarray(list->oid, room, TRIB_OID_LEN);
		if (!more)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		list->oid = more;
		l->room = room;
	}
	memcpy(list->oid[list->n++], oid, TRIB_OID_LEN);
	return 0;
}

static int load_put(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	struct load *l = ctx;
	uint8_t written[TRIB_OID_LEN];
	if ((!trib_repo_has(l->into, oid) && remember(l, oid, err)) || trib_repo_write(l->into, (enum trib_obj)type, bytes, written, err))
		return -1;
	return memcmp(written, oid, TRIB_OID_LEN) == 0 ? 0 : trib_fail(err, TRIB_E_VERIFY, "an object was written under another id");
}

void trib_bundle_loaded_release(struct trib_bundle_loaded *l)
{
	free(l->oid);
	*l = (struct trib_bundle_loaded){0};
}

int trib_bundle_unload(struct trib_repo *from, const struct trib_bundle_loaded *l, struct trib_err *err)
{
	for (size_t i = 0; i < l->n; i++)
		if (trib_repo_drop(from, l->oid[i], err))
			return trib_ctx(err, "taking the objects of a refused bundle away again");
	return 0;
}

int trib_bundle_load(const char *path, struct trib_repo *into, struct trib_bundle *ret, struct trib_bundle_loaded *ret_loaded, struct trib_err *err)
{
	__attribute__((cleanup(trib_bundle_loaded_release))) struct trib_bundle_loaded list = {0};
	struct load l = {.into = into, .list = &list};
	const struct trib_bundle_reader r = {.head = load_head, .base = load_base, .put = load_put, .ctx = &l, .rehearse = true};
	struct trib_err ignored;
	if (trib_bundle_read(path, &r, ret, err)) {
		(void)!trib_bundle_unload(into, &list, &ignored); /* the first error says why */
		return -1;
	}
	if (ret_loaded) {
		*ret_loaded = list;
		list = (struct trib_bundle_loaded){0};
	}
	return 0;
}
