/* From a peer's pack to a pack of our own: the same objects, whole, deflated by us. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include "core/store/unpack.h"
#include "core/trust/hash.h"
#include "hub/smart_push.h"

#define OUT_CHUNK 65536

struct writer {
	struct trib_repo *base;
	int fd;
	struct trib_sha1_ctx *sha;
	z_stream z;
	bool z_open;
	uint64_t put;
	uint8_t out[OUT_CHUNK];
};

static void writer_release(struct writer *w)
{
	uint8_t ignored[TRIB_OID_LEN];
	if (w->sha)
		trib_sha1_end(w->sha, ignored);
	if (w->z_open)
		deflateEnd(&w->z);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

static void writer_cleanup(struct writer **w)
{
	if (*w)
		writer_release(*w);
}

static int write_bytes(struct writer *w, struct trib_span bytes, struct trib_err *err)
{
	trib_sha1_add(w->sha, bytes);
	return trib_fs_write_all(w->fd, bytes, err);
}

static int write_deflated(struct writer *w, struct trib_span bytes, struct trib_err *err)
{
	if (deflateReset(&w->z) != Z_OK)
		return trib_fail(err, TRIB_E_FAILED, "zlib cannot start again");
	w->z.next_in = (Bytef *)(uintptr_t)bytes.p;
	w->z.avail_in = (uInt)bytes.n; /* at most TRIB_OBJECT_MAX */
	for (int z = Z_OK; z != Z_STREAM_END;) {
		w->z.next_out = w->out;
		w->z.avail_out = OUT_CHUNK;
		z = deflate(&w->z, Z_FINISH);
		if (z != Z_OK && z != Z_STREAM_END)
			return trib_fail(err, TRIB_E_FAILED, "zlib cannot deflate");
		if (write_bytes(w, trib_span(w->out, OUT_CHUNK - w->z.avail_out), err))
			return -1;
	}
	return 0;
}

static int put_object(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	struct writer *w = ctx;
	(void)oid;
	uint8_t head[16];
	size_t n = 0;
	uint64_t rest = bytes.n >> 4;
	head[n] = (uint8_t)((unsigned)type << 4 | (bytes.n & 15));
	while (rest) {
		head[n++] |= 0x80;
		head[n] = (uint8_t)(rest & 0x7f);
		rest >>= 7;
	}
	w->put++;
	if (write_bytes(w, trib_span(head, n + 1), err))
		return -1;
	return write_deflated(w, bytes, err);
}

/* Damage in the hub's own repository must not be blamed on the peer. */
static int read_base(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	struct writer *w = ctx;
	enum trib_obj type;
	if (trib_repo_read_any(w->base, oid, &type, ret, err))
		return err->code == TRIB_E_NOT_FOUND ? trib_fail(err, TRIB_E_NOT_FOUND, "a delta's base is not in the history") : -1;
	*ret_type = (enum trib_pack_type)type;
	return 0;
}

static int start(struct writer *w, const char *out, uint64_t objects, struct trib_err *err)
{
	uint8_t head[12] = {'P', 'A', 'C', 'K', 0, 0, 0, 2};
	trib_put_be32(head + 8, (uint32_t)objects);
	w->fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0)
		return trib_fail_errno(err, "opening the quarantine");
	w->sha = trib_sha1_new();
	/* Changesets are compressed at their source: more than level 1 buys nothing. */
	if (!w->sha || deflateInit(&w->z, 1) != Z_OK)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	w->z_open = true;
	return write_bytes(w, trib_span(head, sizeof(head)), err);
}

static int finish(struct writer *w, struct trib_err *err)
{
	uint8_t sum[TRIB_OID_LEN];
	trib_sha1_end(w->sha, sum);
	w->sha = NULL;
	return trib_fs_write_all(w->fd, trib_span(sum, sizeof(sum)), err);
}

int trib_push_unpack(struct trib_repo *base, const char *in, const char *out, uint64_t objects, struct trib_err *err)
{
	__attribute__((cleanup(writer_cleanup))) struct writer *w = calloc(1, sizeof(*w));
	TRIB_AUTO(trib_fd) int fd = open(in, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (!w)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	w->fd = -1;
	w->base = base;
	if (fd < 0 || fstat(fd, &st))
		return trib_fail_errno(err, "opening the pack in quarantine");
	if (st.st_size <= 0 || (uint64_t)st.st_size > TRIB_PACK_MAX || objects == 0 || objects > TRIB_PACK_OBJECTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "the pack in quarantine has an impossible size");
	size_t n = (size_t)st.st_size;
	void *map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return trib_fail_errno(err, "mapping the pack in quarantine");
	uint64_t done = 0;
	int rc = start(w, out, objects, err);
	if (rc == 0)
		rc = trib_unpack(trib_span(map, n), read_base, w, put_object, w, &done, err);
	(void)munmap(map, n);
	if (rc)
		return -1;
	if (done != objects || w->put != objects)
		return trib_fail(err, TRIB_E_FORMAT, "the pack announces %llu objects and holds %llu", (unsigned long long)objects, (unsigned long long)done);
	return finish(w, err);
}
