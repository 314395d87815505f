/* A bundle's objects, scanned and resolved by ourselves, into the quarantine's own database. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/format/bundle.h"
#include "core/store/unpack.h"
#include "core/store/db.h"
#include "hub/ingest_impl.h"

#define HEAD_MAX (64 * TRIB_KIB) /* a header of refs and prerequisites */
#define FEED (256 * TRIB_KIB)

int trib_ingest_take(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->own, "SELECT bytes FROM q WHERE oid = ? AND type = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int(st, 2, (int)type);
	int row = trib_db_step(g->own, st, err);
	if (row <= 0)
		return row;
	trib_buf_put(ret, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
	return trib_buf_check(ret, "object", err) ? -1 : 1;
}

/* Bases of a bundle that leans on what the hub has. */
static int read_base(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	static const enum trib_obj kinds[] = {TRIB_OBJ_BLOB, TRIB_OBJ_TREE, TRIB_OBJ_COMMIT};
	struct ingest *g = ctx;
	size_t start = ret->len;
	for (size_t i = 0; g->repo && i < TRIB_COUNT(kinds); i++) {
		size_t max = trib_pack_type_max((unsigned)kinds[i]);
		if (trib_repo_read(g->repo, oid, kinds[i], max < ret->max ? max : ret->max, ret, err) == 0) {
			*ret_type = (enum trib_pack_type)kinds[i];
			return 0;
		}
		ret->len = start;
		ret->failed = ret->nomem = false;
		if (err->code == TRIB_E_NOMEM)
			return -1;
	}
	return trib_fail(err, TRIB_E_NOT_FOUND, "the bundle leans on an object that the hub has not or only damaged; say whose it is (--node ID --app NAME), or make a whole one: git bundle create FILE main");
}

static int put(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	struct ingest *g = ctx;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->own, "INSERT OR IGNORE INTO q(oid, type, bytes) VALUES(?,?,?)", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int(st, 2, (int)type);
	sqlite3_bind_blob(st, 3, bytes.n ? (const void *)bytes.p : "", (int)bytes.n, SQLITE_STATIC);
	return trib_db_step(g->own, st, err) < 0 ? -1 : 0;
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

static int unpack(struct ingest *g, struct trib_span file, struct trib_err *err)
{
	if (trib_bundle_parse(trib_span(file.p, file.n < HEAD_MAX ? file.n : HEAD_MAX), &g->head, err))
		return -1;
	struct trib_span pack = trib_span(file.p + g->head.head_len, file.n - g->head.head_len);
	if (pack.n > TRIB_PACK_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "its pack has %zu bytes, at most %zu are taken; bundle fewer commits: git bundle create FILE main~1000..main", pack.n, TRIB_PACK_MAX);
	if (scan(pack, err) || trib_db_exec(g->own, "BEGIN", err) || trib_unpack(pack, read_base, g, put, g, NULL, err) || trib_db_exec(g->own, "COMMIT", err))
		return -1;
	return 0;
}

int trib_ingest_bundle(struct ingest *g, const char *path, struct trib_err *err)
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
	int rc = unpack(g, trib_span(map, n), err);
	(void)munmap(map, n);
	return rc ? trib_ctx(err, "reading the bundle %s", path) : 0;
}
