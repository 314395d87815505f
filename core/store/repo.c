#include "core/store/repo_impl.h"
#include "core/store/packidx.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <git2/sys/odb_backend.h>
#include <sys/stat.h>

/* libgit2 puts the system's text at the end of its message; errno may have moved on by the time it returns. */
static bool ends_like(const char *message, int number)
{
	const char *text = strerror(number);
	size_t n = strlen(message), m = strlen(text);
	return n >= m && strcmp(message + n - m, text) == 0;
}

int trib_git_fail(struct trib_err *err, int rc, const char *what)
{
	const git_error *last = git_error_last();
	enum trib_code code = TRIB_E_GIT;
	if (rc == GIT_ENOTFOUND)
		code = TRIB_E_NOT_FOUND;
	else if (rc == GIT_ELOCKED)
		code = TRIB_E_LOCKED;
	else if (last && last->klass == GIT_ERROR_NOMEMORY)
		code = TRIB_E_NOMEM;
	else if (last && last->klass == GIT_ERROR_OS && last->message)
		code = ends_like(last->message, ENOSPC) || ends_like(last->message, EDQUOT) ? TRIB_E_NO_SPACE :
		       ends_like(last->message, EMFILE) || ends_like(last->message, ENFILE) ? TRIB_E_BUSY :
											      TRIB_E_IO;
	return trib_fail(err, code, "%s: %s", what, last && last->message ? last->message : "libgit2 gives no reason");
}

const char *trib_obj_name(enum trib_obj type)
{
	return type == TRIB_OBJ_COMMIT ? "commit" : type == TRIB_OBJ_TREE ? "tree" : "blob";
}

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory opening a repository"); }

int trib_repo_lib_init(struct trib_err *err)
{
	trib_no_bundle();
	if (git_libgit2_init() < 0)
		return trib_git_fail(err, -1, "starting libgit2");
	git_error_clear(); /* of the certificates it did not get */
	/* Our repositories mean what their own config says, whoever runs us. */
	static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};
	for (size_t i = 0; i < TRIB_COUNT(levels); i++)
		if (git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], ""))
			return trib_git_fail(err, -1, "setting libgit2 up");
	if (git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1) || git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1) ||
	    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 1) || git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) || git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0) ||
	    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)4 * TRIB_MIB) || git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)32 * TRIB_MIB))
		return trib_git_fail(err, -1, "setting libgit2 up");
	return 0;
}

void trib_repo_free(struct trib_repo *r)
{
	if (!r)
		return;
	git_odb_free(r->packs);
	git_repository_free(r->git);
	free(r->path);
	free(r->objects[0]);
	free(r->objects[1]);
	for (size_t i = 0; i < TRIB_REPO_KEPT; i++)
		free(r->kept[i].p);
	free(r);
}

git_repository *trib_repo_git(struct trib_repo *r) { return r->git; }
const char *trib_repo_path(const struct trib_repo *r) { return r->path; }

/* Opens the pack-only view of the repository's object directories. */
static int open_packs(struct trib_repo *r, struct trib_err *err)
{
	int rc = git_odb_new(&r->packs);
	for (size_t i = 0; !rc && i < TRIB_COUNT(r->objects) && r->objects[i]; i++) {
		git_odb_backend *backend = NULL;
		rc = git_odb_backend_pack(&backend, r->objects[i]);
		if (!rc && (rc = git_odb_add_backend(r->packs, backend, 1)) != 0)
			backend->free(backend);
	}
	return rc ? trib_git_fail(err, rc, r->path) : 0;
}

void trib_repo_refresh(struct trib_repo *r)
{
	git_odb *odb = NULL;
	(void)git_odb_refresh(r->packs);
	if (git_repository_odb(&odb, r->git) == 0)
		(void)git_odb_refresh(odb);
	git_odb_free(odb);
}

static struct trib_repo *new_repo(const char *path, struct trib_err *err)
{
	struct trib_repo *r = calloc(1, sizeof(*r));
	if (r) {
		r->path = strdup(path);
		r->objects[0] = trib_path(path, "objects");
	}
	if (!r || !r->path || !r->objects[0]) {
		trib_repo_free(r);
		oom(err);
		return NULL;
	}
	return r;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n > m && strcmp(s + n - m, end) == 0;
}

static int remove_ref_lock(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_F && ends_with(path, ".lock") && unlink(path) && errno != ENOENT ? -1 : 0;
}

/* Half-written loose objects of a killed process: their names never became visible. */
static int remove_temp_objects(const char *dir, struct trib_err *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return trib_fail_errno(err, "opening %s", dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));)
		if (strncmp(e->d_name, "tmp_obj_", 8) == 0 && unlinkat(dirfd(d), e->d_name, 0) && errno != ENOENT)
			rc = trib_fail_errno(err, "removing %s/%s", dir, e->d_name);
	closedir(d);
	return rc;
}

static int remove_stale(const char *path, struct trib_err *err)
{
	static const char *const locks[] = {"HEAD.lock", "packed-refs.lock", "config.lock"};
	for (size_t i = 0; i < TRIB_COUNT(locks); i++) {
		TRIB_AUTO(trib_mem) char *lock = trib_path(path, locks[i]);
		if (!lock)
			return oom(err);
		if (unlink(lock) && errno != ENOENT)
			return trib_fail_errno(err, "removing the stale lock %s", lock);
	}
	TRIB_AUTO(trib_mem) char *refs = trib_path(path, "refs");
	TRIB_AUTO(trib_mem) char *objects = trib_path(path, "objects");
	if (!refs || !objects)
		return oom(err);
	if (nftw(refs, remove_ref_lock, 16, FTW_PHYS))
		return trib_fail_errno(err, "removing stale locks under %s", refs);
	return remove_temp_objects(objects, err);
}

int trib_repo_open(const char *path, bool clean_locks, struct trib_repo **ret, struct trib_err *err)
{
	if (!trib_fs_exists(path))
		return trib_fail(err, TRIB_E_NOT_FOUND, "there is no repository at %s", path);
	if (clean_locks && remove_stale(path, err))
		return -1;
	TRIB_AUTO(trib_repo) struct trib_repo *r = new_repo(path, err);
	if (!r)
		return -1;
	if (trib_packs_check(r->objects[0], err))
		return -1;
	int rc = git_repository_open_ext(&r->git, path, GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, NULL);
	if (rc)
		return trib_git_fail(err, rc, path);
	if (open_packs(r, err))
		return -1;
	*ret = r;
	r = NULL;
	return 0;
}

int trib_repo_open_quarantine(const char *repo_path, const char *quarantine_dir, struct trib_repo **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_repo) struct trib_repo *r = new_repo(repo_path, err);
	if (!r)
		return -1;
	r->read_only = true;
	if (!(r->objects[1] = strdup(quarantine_dir)))
		return oom(err);
	git_odb *odb = NULL;
	int rc = git_odb_new(&odb);
	for (size_t i = 0; !rc && i < TRIB_COUNT(r->objects); i++)
		rc = git_odb_add_disk_alternate(odb, r->objects[i]);
	if (!rc)
		rc = git_repository_wrap_odb(&r->git, odb);
	git_odb_free(odb);
	if (rc)
		return trib_git_fail(err, rc, quarantine_dir);
	if (open_packs(r, err))
		return -1;
	*ret = r;
	r = NULL;
	return 0;
}

static int set_config(git_repository *git, const char *path, struct trib_err *err)
{
	git_config *cfg = NULL;
	int rc = git_repository_config(&cfg, git);
	if (!rc)
		rc = git_config_set_int32(cfg, "core.looseCompression", 1); /* changesets are compressed already */
	if (!rc)
		rc = git_config_set_bool(cfg, "core.logAllRefUpdates", 0);
	if (!rc)
		rc = git_config_set_int32(cfg, "gc.auto", 0);
	/* libgit2 1.5 reads its big-file threshold from this key: no delta search (docs/PROTOCOL.md). Set last: its
	 * presence says that the set-up was completed. */
	if (!rc)
		rc = git_config_set_int32(cfg, "pack.deltaCacheSize", 1);
	git_config_free(cfg);
	return rc ? trib_git_fail(err, rc, path) : 0;
}

static bool set_up(git_repository *git)
{
	git_config *cfg = NULL;
	int32_t size = 0;
	bool done = git_repository_config(&cfg, git) == 0 && git_config_get_int32(&size, cfg, "pack.deltaCacheSize") == 0 && size == 1;
	git_config_free(cfg);
	return done;
}

static int sync_file(const char *dir, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, name);
	TRIB_AUTO(trib_file) FILE *f = path ? fopen(path, "r+e") : NULL;
	if (!path)
		return oom(err);
	if (!f || fsync(fileno(f)))
		return trib_fail_errno(err, "fsync of %s", path);
	return 0;
}

static int init(const char *path, struct trib_err *err)
{
	git_repository *git = NULL;
	git_repository_init_options opt = {
		.version = GIT_REPOSITORY_INIT_OPTIONS_VERSION,
		.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR,
		.initial_head = "main",
	};
	if (trib_fs_mkdirs(path, 0700, err))
		return -1;
	int rc = git_repository_init_ext(&git, path, &opt);
	if (rc)
		return trib_git_fail(err, rc, path);
	rc = set_config(git, path, err);
	git_repository_free(git);
	if (rc)
		return -1;
	TRIB_AUTO(trib_mem) char *refs = trib_path(path, "refs");
	TRIB_AUTO(trib_mem) char *objects = trib_path(path, "objects");
	if (!refs || !objects)
		return oom(err);
	if (sync_file(path, "config", err) || sync_file(path, "HEAD", err) || trib_fs_sync_dir(refs, err) || trib_fs_sync_dir(objects, err) ||
	    trib_fs_sync_dir(path, err) || trib_fs_sync_parent(path, err))
		return -1;
	return 0;
}

int trib_repo_create(const char *path, struct trib_repo **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *head = trib_path(path, "HEAD");
	if (!head)
		return oom(err);
	TRIB_AUTO(trib_repo) struct trib_repo *r = NULL;
	/* A set-up that a crash cut short is done again from the start; it is idempotent. */
	struct trib_err ignored;
	if (!trib_fs_exists(head) || trib_repo_open(path, false, &r, &ignored) || !set_up(r->git)) {
		trib_repo_free(r);
		r = NULL;
		if (init(path, err) || trib_repo_open(path, false, &r, err))
			return -1;
	}
	*ret = r;
	r = NULL;
	return 0;
}
