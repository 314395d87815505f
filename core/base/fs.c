#include "core/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "core/base/clock.h"

char *trib_pathf(const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) < 0)
		p = NULL;
	va_end(ap);
	return p;
}

char *trib_path(const char *a, const char *b) { return trib_pathf("%s/%s", a, b); }

int trib_fs_read(const char *path, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		trib_fail_errno(err, "opening %s", path);
		if (errno == ENOENT)
			err->code = TRIB_E_NOT_FOUND;
		return -1;
	}
	size_t start = ret->len;
	for (;;) {
		uint8_t chunk[16384];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ret->len = start;
			return trib_fail_errno(err, "reading %s", path);
		}
		if (n == 0)
			return 0;
		trib_buf_put(ret, chunk, (size_t)n);
		if (trib_buf_check(ret, path, err)) {
			ret->len = start;
			return -1;
		}
	}
}

int trib_fs_write_all(int fd, struct trib_span bytes, struct trib_err *err)
{
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return trib_fail_errno(err, "writing");
		bytes.p += n;
		bytes.n -= (size_t)n;
	}
	return 0;
}

int trib_fs_pread_all(int fd, void *p, size_t n, off_t at, struct trib_err *err)
{
	uint8_t *to = p;
	while (n) {
		ssize_t got = pread(fd, to, n, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return trib_fail_errno(err, "reading at %lld", (long long)at);
		if (got == 0)
			return trib_fail(err, TRIB_E_IO, "file ends at %lld, %zu bytes short", (long long)at, n);
		to += got;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

int trib_fs_pwrite_all(int fd, const void *p, size_t n, off_t at, struct trib_err *err)
{
	const uint8_t *from = p;
	while (n) {
		ssize_t put = pwrite(fd, from, n, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return trib_fail_errno(err, "writing at %lld", (long long)at);
		from += put;
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

int trib_fs_sync_dir(const char *dir, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return trib_fail_errno(err, "opening directory %s", dir);
	if (fsync(fd))
		return trib_fail_errno(err, "fsync of directory %s", dir);
	return 0;
}

int trib_fs_sync_parent(const char *path, struct trib_err *err)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return trib_fs_sync_dir(".", err);
	TRIB_AUTO(trib_mem) char *dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_fs_sync_dir(dir, err);
}

static int write_temp(const char *tmp, struct trib_span bytes, mode_t mode, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "creating %s", tmp);
	if (trib_fs_write_all(fd, bytes, err))
		return trib_ctx(err, "%s", tmp);
	if (fchmod(fd, mode))
		return trib_fail_errno(err, "setting the mode of %s", tmp);
	if (fsync(fd))
		return trib_fail_errno(err, "fsync of %s", tmp);
	return 0;
}

int trib_fs_write(const char *path, struct trib_span bytes, mode_t mode, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tmp", path);
	if (!tmp)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (write_temp(tmp, bytes, mode, err) || trib_fs_rename(tmp, path, err)) {
		(void)unlink(tmp);
		return -1;
	}
	return 0;
}

/* FAT and exFAT have one name a file. Theirs, and no other file system's, is the second way: every one has link(2), an old kernel not always the other. */
static bool no_links(int why) { return why == EPERM || why == EOPNOTSUPP || why == ENOSYS; }

int trib_fs_create(const char *path, struct trib_span bytes, mode_t mode, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tmp", path);
	if (!tmp)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int rc = write_temp(tmp, bytes, mode, err);
	if (!rc && link(tmp, path) && (!no_links(errno) || renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE))) {
		if (errno == EEXIST)
			rc = trib_fail(err, TRIB_E_FAILED, "%s exists already; it is left as it is", path);
		else
			rc = trib_fail_errno(err, "creating %s", path);
	}
	(void)unlink(tmp);
	return rc ? rc : trib_fs_sync_parent(path, err);
}

int trib_fs_rename(const char *from, const char *to, struct trib_err *err)
{
	if (rename(from, to))
		return trib_fail_errno(err, "renaming %s to %s", from, to);
	const char *a = strrchr(from, '/'), *b = strrchr(to, '/');
	size_t n = a ? (size_t)(a - from) : 0, m = b ? (size_t)(b - to) : 0;
	bool one = !a == !b && n == m && memcmp(from, to, n) == 0;
	if (trib_fs_sync_parent(to, err))
		return -1;
	return one ? 0 : trib_fs_sync_parent(from, err);
}

int trib_fs_remove(const char *path, struct trib_err *err)
{
	if (unlink(path)) {
		if (errno == ENOENT)
			return 0;
		return trib_fail_errno(err, "removing %s", path);
	}
	return trib_fs_sync_parent(path, err);
}

int trib_fs_mkdirs(const char *path, mode_t mode, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *p = strdup(path);
	if (!p)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	for (char *at = p + 1;; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char was = *at;
		*at = '\0';
		if (mkdir(p, mode) && errno != EEXIST)
			return trib_fail_errno(err, "creating directory %s", p);
		*at = was;
		if (was == '\0')
			break;
	}
	struct stat st;
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return trib_fail(err, TRIB_E_IO, "%s is not a directory", path);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) && errno != ENOENT ? -1 : 0;
}

int trib_fs_remove_tree(const char *path, struct trib_err *err)
{
	if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return trib_fail_errno(err, "removing %s", path);
	return 0;
}

bool trib_fs_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

int trib_fs_free(const char *path, uint64_t *ret_bytes, struct trib_err *err)
{
	struct statvfs vfs;
	if (statvfs(path, &vfs))
		return trib_fail_errno(err, "asking for the free space of %s", path);
	*ret_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

int trib_fs_floor(const char *path, uint64_t floor, struct trib_err *err)
{
	struct statvfs vfs;
	if (statvfs(path, &vfs))
		return trib_fail_errno(err, "asking for the free space of %s", path);
	uint64_t free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize, share = (uint64_t)vfs.f_blocks * vfs.f_frsize / 20;
	floor = share < floor ? share : floor;
	if (free_bytes >= floor)
		return 0;
	return trib_fail(err, TRIB_E_NO_SPACE, "only %llu MiB are free, less than the %llu MiB that must stay", (unsigned long long)(free_bytes >> 20),
			 (unsigned long long)(floor >> 20));
}

static void lock_owner(int fd, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, 0);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

int trib_lock_take(struct trib_lock *lock, const char *path, int wait_ms, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "opening lock %s", path);
	int64_t end = trib_mono_ms() + wait_ms;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return trib_fail_errno(err, "locking %s", path);
		if (trib_mono_ms() >= end) {
			char owner[64];
			lock_owner(fd, owner, sizeof(owner));
			return trib_fail(err, TRIB_E_LOCKED,
					 "%s is held by another run (%s); wait for it to end, then try again", path,
					 owner[0] ? owner : "owner unknown");
		}
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	char text[32];
	int n = snprintf(text, sizeof(text), "pid %ld\n", (long)getpid());
	if (ftruncate(fd, 0) || trib_fs_pwrite_all(fd, text, (size_t)n, 0, err))
		return trib_fail_errno(err, "writing the owner into %s", path);
	lock->fd = fd;
	fd = -1;
	return 0;
}

void trib_lock_drop(struct trib_lock *lock)
{
	trib_fd_cleanup(&lock->fd);
}

void trib_crash_point(const char *name)
{
	const char *at = getenv("TRIBUTARY_CRASH_AT");
	if (!at)
		return;
	static volatile sig_atomic_t seen;
	size_t n = strlen(name);
	if (strncmp(at, name, n) != 0 || (at[n] != '\0' && at[n] != ':'))
		return;
	long want = at[n] == ':' ? strtol(at + n + 1, NULL, 10) : 1;
	if (++seen == want)
		raise(SIGKILL); /* a process that is shut in may signal itself alone */
}
