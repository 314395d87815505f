#include "core/store/repo_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include "core/format/packscan.h"
#include "core/trust/hash.h"

#define CHUNK 65536

static void inflate_cleanup(z_stream **z)
{
	if (*z)
		(void)inflateEnd(*z);
}
static void deflate_cleanup(z_stream **z)
{
	if (*z)
		(void)deflateEnd(*z);
}

static int torn(struct trib_err *err, const char *path)
{
	return trib_fail(err, TRIB_E_VERIFY, "the object file %s is damaged", path);
}

/* A loose object being read: the file, and the stream over it. */
struct loose {
	int fd;
	const char *path;
	z_stream *z;
	bool ended; /* the stream's end was reached */
	uint8_t in[CHUNK];
};

/* Inflates until `n` bytes are at `out`: how many there were before the stream ended, or -1. */
static ssize_t loose_take(struct loose *l, uint8_t *out, size_t n, struct trib_err *err)
{
	size_t got = 0;
	while (got < n && !l->ended) {
		if (l->z->avail_in == 0) {
			ssize_t r = read(l->fd, l->in, sizeof(l->in));
			if (r < 0 && errno == EINTR)
				continue;
			if (r < 0)
				return trib_fail_errno(err, "reading %s", l->path);
			if (r == 0) /* cut short */
				return torn(err, l->path);
			l->z->next_in = l->in;
			l->z->avail_in = (uInt)r;
		}
		size_t room = n - got > 1U << 30 ? 1U << 30 : n - got;
		l->z->next_out = out + got;
		l->z->avail_out = (uInt)room;
		int rc = inflate(l->z, Z_NO_FLUSH);
		got += room - l->z->avail_out;
		if (rc == Z_STREAM_END)
			l->ended = true;
		else if (rc == Z_MEM_ERROR)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory inflating %s", l->path);
		else if (rc != Z_OK && !(rc == Z_BUF_ERROR && l->z->avail_in == 0))
			return torn(err, l->path);
	}
	return (ssize_t)got;
}

/* "TYPE SIZE NUL", byte by byte so that nothing of the content is taken. */
static int loose_head(struct loose *l, const char *type, size_t *ret_size, struct trib_err *err)
{
	char head[32];
	size_t n = 0, skip = strlen(type) + 1, size = 0;
	for (;; n++) {
		ssize_t got = n < sizeof(head) ? loose_take(l, (uint8_t *)&head[n], 1, err) : 0;
		if (got < 0)
			return -1;
		if (got == 0)
			return torn(err, l->path);
		if (head[n] == '\0')
			break;
	}
	if (n <= skip || strncmp(head, type, skip - 1) != 0 || head[skip - 1] != ' ' || (head[skip] == '0' && n > skip + 1))
		return trib_fail(err, TRIB_E_VERIFY, "the object file %s is damaged or no %s", l->path, type);
	for (size_t i = skip; i < n; i++)
		if (head[i] < '0' || head[i] > '9' || trib_mul_overflow(size, 10, &size) || trib_add_overflow(size, (size_t)(head[i] - '0'), &size))
			return torn(err, l->path);
	*ret_size = size;
	return 0;
}

/* The content, then the end of the stream and of the file, and nothing more. */
static int loose_body(struct loose *l, size_t size, struct trib_buf *ret, struct trib_err *err)
{
	uint8_t extra;
	uint8_t *out = size ? trib_buf_grow(ret, size) : NULL;
	if (trib_buf_check(ret, l->path, err))
		return -1;
	ssize_t got = size ? loose_take(l, out, size, err) : 0;
	if (got < 0)
		return -1;
	if ((size_t)got != size)
		return torn(err, l->path);
	got = loose_take(l, &extra, 1, err); /* nothing more, but the checksum */
	if (got != 0)
		return got < 0 ? -1 : torn(err, l->path);
	if (l->z->avail_in || read(l->fd, &extra, 1) != 0)
		return torn(err, l->path);
	return 0;
}

/* 1 read, 0 no such file, -1. */
static int read_loose(const char *dir, const char *hex, const char *type, size_t max, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%.2s/%s", dir, hex, hex + 2);
	TRIB_AUTO(trib_mem) struct loose *l = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory reading an object");
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : trib_fail_errno(err, "opening %s", path);
	if (!(l = malloc(sizeof(*l))))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory reading an object");
	z_stream z = {0};
	if (inflateInit(&z) != Z_OK)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory inflating %s", path);
	__attribute__((cleanup(inflate_cleanup))) z_stream *guard = &z;
	l->fd = fd;
	l->path = path;
	l->z = guard;
	l->ended = false; /* `in` is filled before it is read */
	size_t size = 0;
	if (loose_head(l, type, &size, err))
		return -1;
	if (size > max)
		return trib_fail(err, TRIB_E_LIMIT, "object %s has %zu bytes; at most %zu are allowed here", hex, size, max);
	return loose_body(l, size, ret, err) ? -1 : 1;
}

static git_object_t git_type(enum trib_obj type)
{
	return type == TRIB_OBJ_COMMIT ? GIT_OBJECT_COMMIT : type == TRIB_OBJ_TREE ? GIT_OBJECT_TREE : GIT_OBJECT_BLOB;
}

static int read_packed(struct trib_repo *r, const uint8_t *oid, const char *hex, enum trib_obj type, size_t max, struct trib_buf *ret,
		       struct trib_err *err)
{
	git_oid id;
	memcpy(id.id, oid, TRIB_OID_LEN);
	size_t size = 0;
	git_object_t found = GIT_OBJECT_INVALID;
	int rc = git_odb_read_header(&size, &found, r->packs, &id);
	if (rc == GIT_ENOTFOUND)
		return trib_fail(err, TRIB_E_NOT_FOUND, "%s %s is not in %s", trib_obj_name(type), hex, r->path);
	if (rc)
		return trib_git_fail(err, rc, hex);
	if (found != git_type(type))
		return trib_fail(err, TRIB_E_VERIFY, "object %s is no %s", hex, trib_obj_name(type));
	if (size > max)
		return trib_fail(err, TRIB_E_LIMIT, "object %s has %zu bytes; at most %zu are allowed here", hex, size, max);
	git_odb_object *o = NULL;
	rc = git_odb_read(&o, r->packs, &id);
	if (rc) {
		trib_git_fail(err, rc, hex);
		if (rc == GIT_EMISMATCH || err->code == TRIB_E_GIT)
			err->code = TRIB_E_VERIFY;
		return -1;
	}
	if (git_odb_object_type(o) == git_type(type) && git_odb_object_size(o) <= max)
		trib_buf_put(ret, git_odb_object_data(o), git_odb_object_size(o));
	git_odb_object_free(o);
	return trib_buf_check(ret, hex, err);
}

/* What libgit2 reads from a pack it has hashed itself (strict hash verification); a loose object is hashed here. */
static int read_loose_checked(struct trib_repo *r, const uint8_t *oid, const char *hex, enum trib_obj type, size_t max, struct trib_buf *ret,
			      struct trib_err *err)
{
	uint8_t real[TRIB_OID_LEN];
	size_t start = ret->len;
	int found = 0;
	for (size_t i = 0; !found && i < TRIB_COUNT(r->objects) && r->objects[i]; i++)
		found = read_loose(r->objects[i], hex, trib_obj_name(type), max, ret, err);
	if (found <= 0)
		return found;
	trib_git_oid(real, trib_obj_name(type), trib_span(ret->p ? ret->p + start : NULL, ret->len - start));
	if (memcmp(real, oid, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the content of object %s does not hash to its id", hex);
	return 1;
}

int trib_repo_loose_ok(const char *objects_dir, const uint8_t oid[TRIB_OID_LEN], size_t max, struct trib_err *err)
{
	static const enum trib_obj types[] = {TRIB_OBJ_BLOB, TRIB_OBJ_TREE, TRIB_OBJ_COMMIT};
	char hex[TRIB_OID_HEX + 1];
	uint8_t real[TRIB_OID_LEN];
	int found = -1;
	trib_hex(hex, oid, TRIB_OID_LEN);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(max);
	for (size_t i = 0; i < TRIB_COUNT(types); i++) {
		trib_buf_reset(&b);
		found = read_loose(objects_dir, hex, trib_obj_name(types[i]), max, &b, err);
		if (found >= 0)
			trib_git_oid(real, trib_obj_name(types[i]), trib_buf_span(&b));
		if (found >= 0 || err->code != TRIB_E_VERIFY) /* of another type, or damaged */
			break;
	}
	if (found < 0)
		return err->code == TRIB_E_LIMIT ? 0 : -1;
	if (found && memcmp(real, oid, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the content of object %s does not hash to its id", hex);
	return found;
}

/* Packs first when they have it: a long history lies in packs, and a look for a loose file costs as much as the reading. A copy that is damaged there may
 * be whole as a loose one. */
static int read_any(struct trib_repo *r, const uint8_t *oid, const char *hex, enum trib_obj type, size_t max, struct trib_buf *ret,
		    struct trib_err *err)
{
	git_oid id;
	struct trib_err why;
	size_t start = ret->len;
	memcpy(id.id, oid, TRIB_OID_LEN);
	bool packed = git_odb_exists_ext(r->packs, &id, GIT_ODB_LOOKUP_NO_REFRESH);
	if (packed && !read_packed(r, oid, hex, type, max, ret, &why))
		return 0;
	ret->len = start;
	int found = read_loose_checked(r, oid, hex, type, max, ret, err);
	if (found)
		return found < 0 ? -1 : 0;
	if (!packed)
		return read_packed(r, oid, hex, type, max, ret, err);
	*err = why;
	return -1;
}

int trib_repo_read(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, size_t max, struct trib_buf *ret, struct trib_err *err)
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	size_t start = ret->len;
	int rc = read_any(r, oid, hex, type, max, ret, err);
	if (rc)
		ret->len = start;
	return rc;
}

int trib_repo_read_any(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], enum trib_obj *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	/* Trees and blobs are what git makes deltas of. */
	static const enum trib_obj kinds[] = {TRIB_OBJ_BLOB, TRIB_OBJ_TREE, TRIB_OBJ_COMMIT};
	bool absent = true;
	for (size_t i = 0; i < TRIB_COUNT(kinds); i++) {
		size_t max = trib_pack_type_max((unsigned)kinds[i]);
		if (trib_repo_read(r, oid, kinds[i], max < ret->max ? max : ret->max, ret, err) == 0) {
			*ret_type = kinds[i];
			return 0;
		}
		ret->failed = ret->nomem = false;
		absent = absent && err->code == TRIB_E_NOT_FOUND;
		if (trib_passing(err->code) || err->code == TRIB_E_IO)
			return -1;
	}
	return absent ? trib_fail(err, TRIB_E_NOT_FOUND, "there is no such object") : -1;
}

/* Deflates "TYPE SIZE NUL" and the content into fd. */
static int write_loose_fd(int fd, const char *type, struct trib_span bytes, struct trib_err *err)
{
	/* What gzip made does not get smaller, only slower. */
	bool packed = bytes.n > 2 && bytes.p[0] == 0x1f && bytes.p[1] == 0x8b;
	z_stream z = {0};
	if (deflateInit(&z, packed ? 0 : 1) != Z_OK)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory writing an object");
	__attribute__((cleanup(deflate_cleanup))) z_stream *guard = &z;
	char head[32];
	int n = snprintf(head, sizeof(head), "%s %zu", type, bytes.n);
	guard->next_in = (Bytef *)head;
	guard->avail_in = (uInt)n + 1;
	TRIB_AUTO(trib_mem) uint8_t *out = malloc(CHUNK);
	if (!out)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory writing an object");
	for (int rc = Z_OK; rc != Z_STREAM_END;) {
		if (guard->avail_in == 0 && bytes.n) {
			size_t step = bytes.n > CHUNK ? CHUNK : bytes.n;
			guard->next_in = (Bytef *)(uintptr_t)bytes.p;
			guard->avail_in = (uInt)step;
			bytes.p += step;
			bytes.n -= step;
		}
		guard->next_out = out;
		guard->avail_out = CHUNK;
		rc = deflate(guard, bytes.n ? Z_NO_FLUSH : Z_FINISH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return trib_fail(err, TRIB_E_FAILED, "zlib cannot deflate an object");
		if (trib_fs_write_all(fd, trib_span(out, CHUNK - guard->avail_out), err))
			return -1;
	}
	return 0;
}

static int write_loose(struct trib_repo *r, const char *hex, const char *type, struct trib_span bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/%.2s", r->objects[0], hex);
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%.2s/%s", r->objects[0], hex, hex + 2);
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s/tmp_obj_XXXXXX", r->objects[0]);
	if (!dir || !path || !tmp)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory writing an object");
	TRIB_AUTO(trib_fd) int fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return trib_fail_errno(err, "creating %s", tmp);
	TRIB_AUTO(trib_syncs) struct trib_syncs own = {0};
	struct trib_syncs *g = r->group ? r->group : &own;
	int rc = write_loose_fd(fd, type, bytes, err);
	if (!rc && fchmod(fd, 0444))
		rc = trib_fail_errno(err, "setting the mode of %s", tmp);
	if (!rc && mkdir(dir, 0777) == 0)
		rc = trib_syncs_dir(g, r->objects[0], err);
	else if (!rc && errno != EEXIST)
		rc = trib_fail_errno(err, "creating %s", dir);
	if (rc || trib_syncs_rename(g, tmp, path, NULL, err)) { /* also over a damaged file of that name */
		(void)unlink(tmp);
		return -1;
	}
	return r->group ? 0 : trib_syncs_end(&own, err);
}

void trib_repo_group(struct trib_repo *r, struct trib_syncs *g) { r->group = g; }

static bool exists(struct trib_repo *r, const uint8_t *oid, const char *hex)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%.2s/%s", r->objects[0], hex, hex + 2);
	git_oid id;
	memcpy(id.id, oid, TRIB_OID_LEN);
	return path && (trib_fs_exists(path) || git_odb_exists_ext(r->packs, &id, GIT_ODB_LOOKUP_NO_REFRESH));
}

bool trib_repo_has(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN])
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	return exists(r, oid, hex);
}

int trib_repo_drop(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/%.2s", r->objects[0], hex);
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%.2s/%s", r->objects[0], hex, hex + 2);
	if (!dir || !path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (r->read_only)
		return trib_fail(err, TRIB_E_USAGE, "a quarantine view is read-only");
	if (trib_fs_remove(path, err))
		return -1;
	(void)rmdir(dir); /* when it was the last one there */
	return 0;
}

/* Whether the object is there already and reads back right. A pack that appeared meanwhile may be missed: a second copy is harmless. */
static bool have(struct trib_repo *r, const uint8_t *oid, const char *hex, enum trib_obj type, size_t n)
{
	if (!exists(r, oid, hex))
		return false;
	struct trib_err ignored;
	TRIB_AUTO(trib_buf) struct trib_buf copy = TRIB_BUF(n + 1);
	return trib_repo_read(r, oid, type, n, &copy, &ignored) == 0;
}

int trib_repo_write(struct trib_repo *r, enum trib_obj type, struct trib_span bytes, uint8_t ret_oid[TRIB_OID_LEN], struct trib_err *err)
{
	uint8_t oid[TRIB_OID_LEN];
	char hex[TRIB_OID_HEX + 1];
	if (r->read_only)
		return trib_fail(err, TRIB_E_USAGE, "a quarantine view is read-only");
	if (bytes.n > TRIB_OBJECT_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "an object of %zu bytes is over the limit of %zu", bytes.n, TRIB_OBJECT_MAX);
	trib_git_oid(oid, trib_obj_name(type), bytes);
	trib_hex(hex, oid, TRIB_OID_LEN);
	if (!have(r, oid, hex, type, bytes.n) && write_loose(r, hex, trib_obj_name(type), bytes, err))
		return trib_ctx(err, "writing %s %s", trib_obj_name(type), hex);
	memcpy(ret_oid, oid, TRIB_OID_LEN);
	return 0;
}

int trib_repo_write_tree(struct trib_repo *r, const struct trib_blob_in *blobs, size_t n, uint8_t ret_tree[TRIB_OID_LEN], struct trib_err *err)
{
	struct trib_tree_entry entries[TRIB_TREE_MAX];
	if (n > TRIB_TREE_MAX)
		return trib_fail(err, TRIB_E_TREE, "a tree of %zu files is over the limit of %d", n, TRIB_TREE_MAX);
	for (size_t i = 0; i < n; i++) {
		if (strlen(blobs[i].name) >= sizeof(entries[i].name) || (i && strcmp(blobs[i - 1].name, blobs[i].name) >= 0))
			return trib_fail(err, TRIB_E_TREE, "the files of a tree are not in order at %.40s", blobs[i].name);
		(void)snprintf(entries[i].name, sizeof(entries[i].name), "%s", blobs[i].name);
		if (trib_repo_write(r, TRIB_OBJ_BLOB, blobs[i].bytes, entries[i].oid, err))
			return -1;
	}
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(4 * TRIB_KIB);
	trib_tree_put(&raw, entries, n);
	if (trib_buf_check(&raw, "a tree", err))
		return -1;
	return trib_repo_write(r, TRIB_OBJ_TREE, trib_buf_span(&raw), ret_tree, err);
}
