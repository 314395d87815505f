#include "core/base/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/limits.h"

#define PIECE TRIB_MIB

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static void drop_files(struct trib_syncs *g)
{
	for (size_t i = 0; i < g->nfiles; i++) {
		if (g->files[i].to)
			(void)unlink(g->files[i].at);
		free(g->files[i].at);
		free(g->files[i].to);
	}
	free(g->files);
	g->files = NULL;
	g->nfiles = 0;
}

void trib_syncs_release(struct trib_syncs *g)
{
	drop_files(g);
	for (size_t i = 0; i < g->ndirs; i++)
		free(g->dirs[i]);
	free(g->dirs);
	*g = (struct trib_syncs){0};
}

static int add_file(struct trib_syncs *g, const char *at, const char *to, const char *point, struct trib_err *err)
{
	struct trib_sync_file *grown = reallocarray(g->files, g->nfiles + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	g->files = grown;
	struct trib_sync_file f = {.at = strdup(at), .to = to ? strdup(to) : NULL, .point = point};
	if (!f.at || (to && !f.to)) {
		free(f.at);
		free(f.to);
		return oom(err);
	}
	g->files[g->nfiles++] = f;
	return 0;
}

int trib_syncs_file(struct trib_syncs *g, const char *path, struct trib_err *err)
{
	for (size_t i = 0; i < g->nfiles; i++)
		if (!g->files[i].to && strcmp(g->files[i].at, path) == 0)
			return 0;
	return add_file(g, path, NULL, NULL, err);
}

int trib_syncs_rename(struct trib_syncs *g, const char *tmp, const char *path, const char *point, struct trib_err *err)
{
	return add_file(g, tmp, path, point, err) || trib_syncs_parent(g, path, err) ? -1 : 0;
}

int trib_syncs_write(struct trib_syncs *g, const char *path, struct trib_span bytes, mode_t mode, const char *point, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tmp", path);
	if (!tmp)
		return oom(err);
	TRIB_AUTO(trib_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "creating %s", tmp);
	int rc = trib_fs_write_all(fd, bytes, err) ? trib_ctx(err, "%s", tmp) : 0;
	if (!rc && fchmod(fd, mode))
		rc = trib_fail_errno(err, "setting the mode of %s", tmp);
	if (!rc)
		return trib_syncs_rename(g, tmp, path, point, err);
	(void)unlink(tmp);
	return -1;
}

int trib_syncs_dir(struct trib_syncs *g, const char *dir, struct trib_err *err)
{
	for (size_t i = 0; i < g->ndirs; i++)
		if (strcmp(g->dirs[i], dir) == 0)
			return 0;
	char **grown = reallocarray(g->dirs, g->ndirs + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	g->dirs = grown;
	char *copy = strdup(dir);
	if (!copy)
		return oom(err);
	g->dirs[g->ndirs++] = copy;
	return 0;
}

int trib_syncs_parent(struct trib_syncs *g, const char *path, struct trib_err *err)
{
	const char *slash = strrchr(path, '/');
	TRIB_AUTO(trib_mem) char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	return dir ? trib_syncs_dir(g, dir, err) : oom(err);
}

/* Starts and awaits the writing of the data, a piece at a time: another program's fsync waits behind one of them, not behind all. Promises nothing by itself. */
static int write_out(int fd, const char *path, struct trib_err *err)
{
	struct stat st;
	if (fstat(fd, &st))
		return trib_fail_errno(err, "reading %s", path);
	for (off_t at = 0; at < st.st_size; at += PIECE) {
		if (!sync_file_range(fd, at, PIECE, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER))
			continue;
		if (errno != ENOSYS && errno != EINVAL && errno != ESPIPE)
			return trib_fail_errno(err, "writing %s", path);
		break; /* not known here: fsync does it */
	}
	return 0;
}

static int sync_files(const struct trib_syncs *g, int *fd, struct trib_err *err)
{
	for (size_t i = 0; i < g->nfiles; i++) {
		fd[i] = open(g->files[i].at, O_RDONLY | O_CLOEXEC);
		if (fd[i] < 0)
			return trib_fail_errno(err, "opening %s", g->files[i].at);
		if (write_out(fd[i], g->files[i].at, err))
			return -1;
	}
	for (size_t i = 0; i < g->nfiles; i++)
		if (fsync(fd[i]))
			return trib_fail_errno(err, "fsync of %s", g->files[i].at);
	return 0;
}

int trib_syncs_names(struct trib_syncs *g, struct trib_err *err)
{
	for (size_t i = 0; i < g->nfiles; i++) {
		struct trib_sync_file *f = &g->files[i];
		if (f->to && rename(f->at, f->to))
			return trib_fail_errno(err, "renaming %s to %s", f->at, f->to);
		if (f->point)
			trib_crash_point(f->point);
		free(f->to);
		f->to = NULL; /* nothing to remove */
	}
	drop_files(g);
	return 0;
}

int trib_syncs_files(struct trib_syncs *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) int *fd = malloc((g->nfiles + 1) * sizeof(*fd));
	if (!fd)
		return oom(err);
	memset(fd, 0xff, (g->nfiles + 1) * sizeof(*fd)); /* -1 */
	int rc = sync_files(g, fd, err);
	for (size_t i = 0; i < g->nfiles; i++)
		trib_fd_cleanup(&fd[i]);
	return rc ? -1 : trib_syncs_names(g, err);
}

int trib_syncs_end(struct trib_syncs *g, struct trib_err *err)
{
	if (trib_syncs_files(g, err))
		return -1;
	for (size_t i = 0; i < g->ndirs; i++)
		if (trib_fs_sync_dir(g->dirs[i], err))
			return -1;
	trib_syncs_release(g);
	return 0;
}
