#include "core/store/fold.h"

#include <dirent.h>
#include <errno.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/packidx.h"
#include "core/store/repo_impl.h"

#define SAMPLED 16 /* of the 256 folders of loose objects: names are hashes, so the rest are alike */
#define PACKS_MAX 4096 /* looked at in one fold */

struct pack {
	char *base; /* path without ".pack" or ".idx" */
	size_t objects;
	bool chosen;
};
struct job {
	char *objects, *packdir;
	struct pack *packs; /* rising by objects */
	size_t npacks;
	struct trib_buf ids, loose; /* ids one after the other: all that goes into the new pack; the loose ones of them */
};
static void job_cleanup(struct job *j)
{
	for (size_t i = 0; i < j->npacks; i++)
		free(j->packs[i].base);
	free(j->packs);
	free(j->objects);
	free(j->packdir);
	trib_buf_release(&j->ids);
	trib_buf_release(&j->loose);
}

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory folding a repository"); }

/* Calls fn with each name in a folder; a missing folder has none. */
static int each_name(const char *dir, int (*fn)(void *ctx, const char *dir, const char *name, struct trib_err *err), void *ctx, struct trib_err *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : trib_fail_errno(err, "opening %s", dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));)
		rc = e->d_name[0] == '.' ? 0 : fn(ctx, dir, e->d_name, err);
	closedir(d);
	return rc;
}

/* ---- what there is ---- */

static int count_id(void *ctx, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	(void)oid;
	(void)err;
	++*(size_t *)ctx;
	return 0;
}

static bool is_small(const char *base, size_t objects)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s.pack", base);
	struct stat st;
	return path && objects <= TRIB_FOLD_OBJECTS && stat(path, &st) == 0 && (size_t)st.st_size <= TRIB_FOLD_BYTES;
}

/* "pack-NAME.new-..." is a pack that a push has not made good yet, "pack-NAME.keep" one that somebody wants as it is. */
static int drop_marked(void *ctx, const char *dir, const char *name, struct trib_err *err)
{
	struct job *j = ctx;
	const char *dot = strchr(name, '.');
	(void)err;
	if (!dot || strcmp(dot, ".idx") == 0 || strcmp(dot, ".pack") == 0)
		return 0;
	for (size_t i = 0; i < j->npacks; i++) {
		const char *base = j->packs[i].base + strlen(dir) + 1;
		if (strlen(base) == (size_t)(dot - name) && strncmp(base, name, (size_t)(dot - name)) == 0) {
			free(j->packs[i].base);
			j->packs[i] = j->packs[--j->npacks];
			break;
		}
	}
	return 0;
}

static int add_pack(void *ctx, const char *dir, const char *name, struct trib_err *err)
{
	struct job *j = ctx;
	size_t n = strlen(name), objects = 0;
	if (strstr(name, "_git2_")) { /* libgit2's temporary name: of a fold that was killed */
		TRIB_AUTO(trib_mem) char *stale = trib_path(dir, name);
		return stale ? trib_fs_remove(stale, err) : oom(err);
	}
	if (strncmp(name, "pack-", 5) != 0 || n < 9 || strcmp(name + n - 4, ".idx") != 0 || j->npacks == PACKS_MAX)
		return 0;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, name);
	if (!path)
		return oom(err);
	if (trib_pack_ids(path, count_id, &objects, err))
		return -1;
	path[strlen(path) - 4] = '\0';
	if (!is_small(path, objects))
		return 0;
	j->packs[j->npacks++] = (struct pack){.base = path, .objects = objects};
	path = NULL;
	return 0;
}

static int by_objects(const void *a, const void *b)
{
	size_t x = ((const struct pack *)a)->objects, y = ((const struct pack *)b)->objects;
	return (x > y) - (x < y);
}

static int list_packs(struct job *j, struct trib_err *err)
{
	if (!(j->packs = calloc(PACKS_MAX, sizeof(*j->packs))))
		return oom(err);
	if (each_name(j->packdir, add_pack, j, err) || each_name(j->packdir, drop_marked, j, err))
		return -1;
	qsort(j->packs, j->npacks, sizeof(*j->packs), by_objects);
	return 0;
}

/* What stays is a row in which each pack has more objects than all smaller ones together, so there are never more than log2 of the objects. */
static void choose_packs(struct job *j)
{
	size_t upto = 0, below = 0;
	if (j->npacks < TRIB_FOLD_PACKS)
		return;
	for (size_t i = 0; i < j->npacks; below += j->packs[i++].objects)
		if (j->packs[i].objects <= below || i < 2)
			upto = i + 1;
	for (size_t i = 0; i < upto; i++)
		j->packs[i].chosen = true;
}

struct loose_count { size_t n; };
static int count_name(void *ctx, const char *dir, const char *name, struct trib_err *err)
{
	(void)dir;
	(void)name;
	(void)err;
	((struct loose_count *)ctx)->n++;
	return 0;
}

static int many_loose(const struct job *j, bool *ret, struct trib_err *err)
{
	struct loose_count c = {0};
	for (unsigned i = 0; i < 256; i += 256 / SAMPLED) {
		TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/%02x", j->objects, i + 7);
		if (!dir)
			return oom(err);
		if (each_name(dir, count_name, &c, err))
			return -1;
	}
	*ret = c.n * (256 / SAMPLED) >= TRIB_FOLD_LOOSE;
	return 0;
}

/* ---- what goes into the new pack ---- */

static int take_id(void *ctx, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	struct trib_buf *to = ctx;
	(void)err;
	trib_buf_put(to, oid, TRIB_OID_LEN);
	return 0;
}

/* libgit2 must not meet a loose object that is torn (repo.h): each is read by us first. */
static int take_loose(void *ctx, const char *dir, const char *name, struct trib_err *err)
{
	struct job *j = ctx;
	uint8_t oid[TRIB_OID_LEN];
	char hex[TRIB_OID_HEX + 1];
	(void)snprintf(hex, sizeof(hex), "%s%s", dir + strlen(j->objects) + 1, name);
	if (strlen(name) != TRIB_OID_HEX - 2 || !trib_unhex(oid, sizeof(oid), trib_span_str(hex)) || j->loose.len >= (size_t)TRIB_FOLD_OBJECTS * TRIB_OID_LEN)
		return 0;
	int ok = trib_repo_loose_ok(j->objects, oid, TRIB_FOLD_OBJECT_MAX, err);
	if (ok > 0) {
		trib_buf_put(&j->loose, oid, sizeof(oid));
		trib_buf_put(&j->ids, oid, sizeof(oid));
	}
	return ok < 0 ? -1 : 0;
}

static int by_id(const void *a, const void *b) { return memcmp(a, b, TRIB_OID_LEN); }

static void sort_ids(struct trib_buf *ids)
{
	size_t kept = 0;
	if (ids->len)
		qsort(ids->p, ids->len / TRIB_OID_LEN, TRIB_OID_LEN, by_id);
	for (size_t at = 0; at < ids->len; at += TRIB_OID_LEN)
		if (kept == 0 || memcmp(ids->p + kept - TRIB_OID_LEN, ids->p + at, TRIB_OID_LEN) != 0) {
			memmove(ids->p + kept, ids->p + at, TRIB_OID_LEN);
			kept += TRIB_OID_LEN;
		}
	ids->len = kept;
}

static int collect(struct job *j, bool with_loose, struct trib_err *err)
{
	for (size_t i = 0; i < j->npacks; i++) {
		TRIB_AUTO(trib_mem) char *idx = j->packs[i].chosen ? trib_pathf("%s.idx", j->packs[i].base) : NULL;
		if (j->packs[i].chosen && !idx)
			return oom(err);
		if (idx && trib_pack_ids(idx, take_id, &j->ids, err))
			return -1;
	}
	for (unsigned i = 0; with_loose && i < 256; i++) {
		TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s/%02x", j->objects, i);
		if (!dir)
			return oom(err);
		if (each_name(dir, take_loose, j, err))
			return -1;
	}
	sort_ids(&j->ids);
	return trib_buf_check(&j->ids, "the ids of a fold", err) || trib_buf_check(&j->loose, "the ids of a fold", err) ? -1 : 0;
}

/* ---- the new pack ---- */

static int insert_all(git_packbuilder *pb, const struct trib_buf *ids)
{
	int rc = 0;
	for (size_t at = 0; !rc && at < ids->len; at += TRIB_OID_LEN) {
		git_oid id;
		memcpy(id.id, ids->p + at, TRIB_OID_LEN);
		rc = git_packbuilder_insert(pb, &id, NULL);
	}
	return rc;
}

/* Not through the repository's own settings: they forbid the search for deltas, which is right for what goes over the line once (docs/PROTOCOL.md). */
static int write_pack(const struct job *j, char ret_base[PATH_MAX], struct trib_err *err)
{
	git_odb *odb = NULL;
	git_repository *git = NULL;
	git_packbuilder *pb = NULL;
	int rc = git_odb_new(&odb);
	if (!rc)
		rc = git_odb_add_disk_alternate(odb, j->objects);
	if (!rc)
		rc = git_repository_wrap_odb(&git, odb);
	if (!rc)
		rc = git_packbuilder_new(&pb, git);
	if (!rc) {
		(void)git_packbuilder_set_threads(pb, 1);
		rc = insert_all(pb, &j->ids);
	}
	if (!rc)
		rc = git_packbuilder_write(pb, j->packdir, 0444, NULL, NULL);
	if (!rc)
		(void)snprintf(ret_base, PATH_MAX, "%s/pack-%s", j->packdir, git_packbuilder_name(pb));
	else
		(void)trib_git_fail(err, rc, "folding packs");
	git_packbuilder_free(pb);
	git_repository_free(git);
	git_odb_free(odb);
	return rc ? -1 : trib_fs_sync_dir(j->packdir, err);
}

/* Every object is read back from the new pack alone, and hashed, before anything is removed. */
static int prove(const struct job *j, const char *base, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *idx = trib_pathf("%s.idx", base);
	TRIB_AUTO(trib_buf) struct trib_buf ids = TRIB_BUF(j->ids.len);
	git_odb *odb = NULL;
	git_odb_backend *backend = NULL;
	if (!idx)
		return oom(err);
	if (trib_pack_ids(idx, take_id, &ids, err))
		return -1;
	if (ids.failed || ids.len != j->ids.len || memcmp(ids.p, j->ids.p, ids.len) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the new pack %s does not hold what was put into it", idx);
	int rc = git_odb_new(&odb);
	if (!rc)
		rc = git_odb_backend_one_pack(&backend, idx);
	if (!rc && (rc = git_odb_add_backend(odb, backend, 1)) != 0)
		backend->free(backend);
	for (size_t at = 0; !rc && at < ids.len; at += TRIB_OID_LEN) {
		git_oid id;
		git_odb_object *o = NULL;
		memcpy(id.id, ids.p + at, TRIB_OID_LEN);
		rc = git_odb_read(&o, odb, &id);
		git_odb_object_free(o);
	}
	if (rc)
		(void)trib_git_fail(err, rc, idx);
	git_odb_free(odb);
	return rc ? -1 : 0;
}

/* ---- what it replaces ---- */

/* The index first: without it nobody looks into a pack. Not made durable one by one: a copy that comes back is folded again. */
static int drop(const char *path, struct trib_err *err)
{
	return unlink(path) && errno != ENOENT ? trib_fail_errno(err, "removing %s", path) : 0;
}

static int remove_old(const struct job *j, const char *new_base, struct trib_fold *ret, struct trib_err *err)
{
	static const char *const ends[] = {"idx", "pack"};
	for (size_t i = 0; i < j->npacks; i++) {
		if (!j->packs[i].chosen || strcmp(j->packs[i].base, new_base) == 0)
			continue;
		for (size_t k = 0; k < TRIB_COUNT(ends); k++) {
			TRIB_AUTO(trib_mem) char *path = trib_pathf("%s.%s", j->packs[i].base, ends[k]);
			if (!path)
				return oom(err);
			if (drop(path, err))
				return -1;
		}
		ret->packs++;
	}
	for (size_t at = 0; at < j->loose.len; at += TRIB_OID_LEN) {
		char hex[TRIB_OID_HEX + 1];
		trib_hex(hex, j->loose.p + at, TRIB_OID_LEN);
		TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%.2s/%s", j->objects, hex, hex + 2);
		if (!path)
			return oom(err);
		if (drop(path, err))
			return -1;
		ret->loose++;
	}
	return 0;
}

int trib_repo_fold(const char *repo_path, struct trib_fold *ret, struct trib_err *err)
{
	__attribute__((cleanup(job_cleanup))) struct job j = {.objects = trib_path(repo_path, "objects"), .packdir = trib_pathf("%s/objects/pack", repo_path),
							      .ids = TRIB_BUF((size_t)(PACKS_MAX + 1) * TRIB_FOLD_OBJECTS * TRIB_OID_LEN),
							      .loose = TRIB_BUF((size_t)TRIB_FOLD_OBJECTS * TRIB_OID_LEN)};
	struct trib_fold done = {0};
	char base[PATH_MAX];
	bool with_loose = false;
	if (!j.objects || !j.packdir)
		return oom(err);
	if (list_packs(&j, err) || many_loose(&j, &with_loose, err))
		return trib_ctx(err, "folding %s", repo_path);
	choose_packs(&j);
	if (collect(&j, with_loose, err))
		return trib_ctx(err, "folding %s", repo_path);
	if (j.ids.len) {
		if (trib_fs_mkdirs(j.packdir, 0700, err) || write_pack(&j, base, err))
			return trib_ctx(err, "folding %s", repo_path);
		trib_crash_point("fold-written");
		if (prove(&j, base, err) || remove_old(&j, base, &done, err))
			return trib_ctx(err, "folding %s", repo_path);
		done.objects = j.ids.len / TRIB_OID_LEN;
	}
	*ret = done;
	return 0;
}
