#include "core/store/packidx.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/base/fs.h"
#include "core/trust/hash.h"

#define HEAD 8
#define FANOUT (256 * 4)
#define ENTRY (TRIB_OID_LEN + 4 + 4) /* id, CRC-32, offset */
#define TAIL (2 * TRIB_OID_LEN)      /* the pack's SHA-1, the index's own */

static bool good(struct trib_span f)
{
	uint8_t sum[TRIB_OID_LEN];
	uint64_t n = 0, large = 0;
	if (f.n < HEAD + FANOUT + TAIL || memcmp(f.p, "\377tOc\0\0\0\2", HEAD) != 0)
		return false;
	for (size_t i = 0; i < 256; i++) {
		uint32_t upto = trib_be32(f.p + HEAD + 4 * i);
		if (upto < n)
			return false;
		n = upto;
	}
	if (n > (f.n - HEAD - FANOUT - TAIL) / ENTRY)
		return false;
	const uint8_t *offsets = f.p + HEAD + FANOUT + n * (TRIB_OID_LEN + 4);
	for (uint64_t i = 0; i < n; i++)
		large += offsets[4 * i] >> 7;
	if (f.n != HEAD + FANOUT + n * ENTRY + 8 * large + TAIL)
		return false;
	trib_sha1(sum, trib_span(f.p, f.n - TRIB_OID_LEN));
	return memcmp(sum, f.p + f.n - TRIB_OID_LEN, sizeof(sum)) == 0;
}

struct map { const uint8_t *p; size_t n; };
static void unmap(struct map *m)
{
	if (m->n)
		(void)munmap((void *)(uintptr_t)m->p, m->n);
}

/* 1 good, 0 bad, -1. */
static int look(const char *path, struct map *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 && errno == ENOENT)
		return trib_fail(err, TRIB_E_NOT_FOUND, "%s is not there", path);
	if (fd < 0 || fstat(fd, &st))
		return trib_fail_errno(err, "%s", path);
	if (st.st_size <= 0)
		return 0;
	void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return trib_fail_errno(err, "mapping %s", path);
	*ret = (struct map){map, (size_t)st.st_size};
	return good(trib_span(ret->p, ret->n));
}

int trib_pack_ids(const char *idx_path, int (*fn)(void *ctx, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err), void *ctx, struct trib_err *err)
{
	__attribute__((cleanup(unmap))) struct map m = {0};
	int is = look(idx_path, &m, err);
	if (is <= 0)
		return is < 0 ? -1 : trib_fail(err, TRIB_E_VERIFY, "the index %s is damaged", idx_path);
	uint32_t n = trib_be32(m.p + HEAD + FANOUT - 4);
	for (uint32_t i = 0; i < n; i++)
		if (fn(ctx, m.p + HEAD + FANOUT + (size_t)i * TRIB_OID_LEN, err))
			return -1;
	return 0;
}

/* Calls fn with the path of each bad index, without its ending. */
static int each_bad(const char *objects_dir, int (*fn)(void *ctx, const char *dir, const char *name, struct trib_err *err), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_path(objects_dir, "pack");
	DIR *d = dir ? opendir(dir) : NULL;
	if (!d)
		return dir && (errno == ENOENT || errno == ENOTDIR) ? 0 : trib_fail_errno(err, "%s/pack", objects_dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		if (n < 5 || strcmp(e->d_name + n - 4, ".idx") != 0)
			continue;
		TRIB_AUTO(trib_mem) char *path = trib_path(dir, e->d_name);
		__attribute__((cleanup(unmap))) struct map m = {0};
		int is = path ? look(path, &m, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
		bool gone = is < 0 && err->code == TRIB_E_NOT_FOUND; /* folded into another one meanwhile (fold.h) */
		rc = is > 0 || gone ? 0 : is < 0 ? -1 : fn(ctx, dir, e->d_name, err);
	}
	closedir(d);
	return rc;
}

static int say(void *ctx, const char *dir, const char *name, struct trib_err *err)
{
	(void)ctx;
	return trib_fail(err, TRIB_E_VERIFY, "the index %s/%s is damaged, so its pack is not read", dir, name);
}

int trib_packs_check(const char *objects_dir, struct trib_err *err) { return each_bad(objects_dir, say, NULL, err); }

struct aside { const char *to; size_t n; };

static int set_aside(void *ctx, const char *dir, const char *name, struct trib_err *err)
{
	static const char *const ends[] = {"idx", "pack"};
	struct aside *a = ctx;
	if (trib_fs_mkdirs(a->to, 0700, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(ends); i++) {
		TRIB_AUTO(trib_mem) char *from = trib_pathf("%s/%.*s%s", dir, (int)strlen(name) - 3, name, ends[i]);
		TRIB_AUTO(trib_mem) char *to = trib_pathf("%s/%.*s%s", a->to, (int)strlen(name) - 3, name, ends[i]);
		if (!from || !to)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (trib_fs_exists(from) && trib_fs_rename(from, to, err))
			return -1;
	}
	a->n++;
	return 0;
}

int trib_packs_set_aside(const char *objects_dir, const char *to_dir, size_t *ret_n, struct trib_err *err)
{
	struct aside a = {.to = to_dir};
	if (each_bad(objects_dir, set_aside, &a, err))
		return -1;
	*ret_n = a.n;
	return 0;
}
