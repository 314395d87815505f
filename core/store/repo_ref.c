#include "core/store/repo_impl.h"

#include <errno.h>
#include <fcntl.h>

static int check_ref(struct trib_repo *r, const char *ref, struct trib_err *err)
{
	int valid = 0;
	if (strncmp(ref, "refs/", 5) != 0 || git_reference_name_is_valid(&valid, ref) || !valid)
		return trib_fail(err, TRIB_E_USAGE, "\"%.100s\" is no name of a ref", ref);
	if (r->read_only)
		return trib_fail(err, TRIB_E_USAGE, "a quarantine view has no refs");
	return 0;
}

/* 1 and the id, 0 when there is no such ref, -1. */
static int current(struct trib_repo *r, const char *ref, git_oid *ret, struct trib_err *err)
{
	git_reference *g = NULL;
	int rc = git_reference_lookup(&g, r->git, ref);
	if (rc == GIT_ENOTFOUND)
		return 0;
	if (rc)
		return trib_git_fail(err, rc, ref);
	const git_oid *id = git_reference_target(g);
	if (id)
		git_oid_cpy(ret, id);
	git_reference_free(g);
	return id ? 1 : trib_fail(err, TRIB_E_GIT, "%s is a symbolic ref; ours never are", ref);
}

int trib_repo_ref(struct trib_repo *r, const char *ref, uint8_t ret_oid[TRIB_OID_LEN], struct trib_err *err)
{
	git_oid id;
	if (check_ref(r, ref, err))
		return -1;
	int found = current(r, ref, &id, err);
	if (found < 0)
		return -1;
	if (!found)
		return trib_fail(err, TRIB_E_NOT_FOUND, "%s has no %s", r->path, ref);
	memcpy(ret_oid, id.id, TRIB_OID_LEN);
	return 0;
}

/* libgit2 syncs the ref's directory; directories that it had to make, we do. */
static int sync_dirs(struct trib_repo *r, const char *ref, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_path(r->path, ref);
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory moving a ref");
	size_t stop = strlen(r->path) + strlen("/refs");
	for (char *slash = strrchr(dir, '/'); slash && (size_t)(slash - dir) >= stop; slash = strrchr(dir, '/')) {
		*slash = '\0';
		if (trib_fs_exists(dir) && trib_fs_sync_dir(dir, err))
			return -1;
	}
	return 0;
}

static int check_target(struct trib_repo *r, const uint8_t *oid, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	return trib_repo_read(r, oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, err);
}

static int moved(struct trib_err *err, const char *ref)
{
	return trib_fail(err, TRIB_E_CHAIN, "%s is not where it was expected; it was left as it is", ref);
}

static int put_ref(struct trib_repo *r, const char *ref, const uint8_t *old_oid, const uint8_t *new_oid, bool force, struct trib_err *err)
{
	git_oid from, to;
	memcpy(to.id, new_oid, TRIB_OID_LEN);
	if (old_oid)
		memcpy(from.id, old_oid, TRIB_OID_LEN);
	git_reference *g = NULL;
	int rc = git_reference_create_matching(&g, r->git, ref, &to, force, old_oid ? &from : NULL, NULL);
	git_reference_free(g);
	if (rc == GIT_EMODIFIED || rc == GIT_EEXISTS || (rc == GIT_ENOTFOUND && old_oid))
		return moved(err, ref);
	return rc ? trib_git_fail(err, rc, ref) : sync_dirs(r, ref, err);
}

static int delete_ref(struct trib_repo *r, const char *ref, const uint8_t *old_oid, struct trib_err *err)
{
	git_reference *g = NULL;
	int rc = git_reference_lookup(&g, r->git, ref);
	if (rc == GIT_ENOTFOUND)
		return old_oid ? moved(err, ref) : 0;
	if (rc)
		return trib_git_fail(err, rc, ref);
	const git_oid *id = git_reference_target(g);
	if (!id || !old_oid || memcmp(id->id, old_oid, TRIB_OID_LEN) != 0) {
		git_reference_free(g);
		return moved(err, ref);
	}
	rc = git_reference_delete(g); /* compares with what was looked up */
	git_reference_free(g);
	if (rc == GIT_EMODIFIED || rc == GIT_ENOTFOUND)
		return moved(err, ref);
	return rc ? trib_git_fail(err, rc, ref) : sync_dirs(r, ref, err);
}

int trib_repo_ref_cas(struct trib_repo *r, const char *ref, const uint8_t *old_oid, const uint8_t *new_oid, struct trib_err *err)
{
	if (check_ref(r, ref, err))
		return -1;
	if (!new_oid)
		return delete_ref(r, ref, old_oid, err);
	if (check_target(r, new_oid, err))
		return trib_ctx(err, "moving %s", ref);
	if (old_oid) {
		git_oid now;
		int found = current(r, ref, &now, err);
		if (found < 0)
			return -1;
		if (!found || memcmp(now.id, old_oid, TRIB_OID_LEN) != 0)
			return moved(err, ref);
	}
	return put_ref(r, ref, old_oid, new_oid, old_oid != NULL, err);
}

/* As git does it: NAME.lock, made by one alone, becomes NAME. Returns the lock's descriptor. */
static int lock_ref(const char *lock, const char *dir, struct trib_syncs *g, struct trib_err *err)
{
	int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == ENOENT) {
		if (trib_fs_mkdirs(dir, 0777, err) || trib_syncs_parent(g, dir, err))
			return -1;
		fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	}
	if (fd >= 0)
		return fd;
	int rc = trib_fail_errno(err, "creating %s", lock);
	if (errno == EEXIST)
		err->code = TRIB_E_LOCKED;
	return rc;
}

int trib_repo_ref_cas_in(struct trib_repo *r, struct trib_syncs *g, const char *ref, const uint8_t *old_oid, const uint8_t new_oid[TRIB_OID_LEN],
			 const char *point, struct trib_err *err)
{
	static const char heads[] = "refs/heads/";
	TRIB_AUTO(trib_mem) char *path = trib_path(r->path, ref);
	TRIB_AUTO(trib_mem) char *lock = trib_pathf("%s/%s.lock", r->path, ref);
	TRIB_AUTO(trib_mem) char *dir = trib_path(r->path, "refs/heads");
	TRIB_AUTO(trib_fd) int fd = -1;
	char line[TRIB_OID_HEX + 2];
	git_oid now;
	if (!path || !lock || !dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory moving a ref");
	if (check_ref(r, ref, err))
		return -1;
	if (strncmp(ref, heads, sizeof(heads) - 1) != 0 || strchr(ref + sizeof(heads) - 1, '/'))
		return trib_fail(err, TRIB_E_USAGE, "\"%.100s\" is no branch", ref);
	if (check_target(r, new_oid, err))
		return trib_ctx(err, "moving %s", ref);
	fd = lock_ref(lock, dir, g, err);
	if (fd < 0)
		return -1;
	trib_hex(line, new_oid, TRIB_OID_LEN);
	line[TRIB_OID_HEX] = '\n';
	int found = current(r, ref, &now, err), rc = found < 0 ? -1 : 0;
	if (!rc && (found != (old_oid != NULL) || (found && memcmp(now.id, old_oid, TRIB_OID_LEN) != 0)))
		rc = moved(err, ref);
	if (!rc)
		rc = trib_fs_write_all(fd, trib_span(line, TRIB_OID_HEX + 1), err);
	if (rc || trib_syncs_rename(g, lock, path, point, err)) {
		(void)unlink(lock);
		return trib_ctx(err, "moving %s", ref);
	}
	return 0;
}

int trib_repo_ref_set(struct trib_repo *r, const char *ref, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	if (check_ref(r, ref, err))
		return -1;
	if (check_target(r, oid, err))
		return trib_ctx(err, "moving %s", ref);
	return put_ref(r, ref, NULL, oid, true, err);
}
