/* fs.h: the file system, as durably as it can be had.
 *
 * A file becomes visible only by temporary name + fsync + rename + fsync of the directory.
 * Locks carry their owner. All functions return 0, or -1 with *err (TRIB_E_IO, TRIB_E_NO_SPACE,
 * TRIB_E_NOT_FOUND for a missing file, TRIB_E_LIMIT for a file over `max`). */
#ifndef TRIB_FS_H
#define TRIB_FS_H

#include <sys/types.h>

#include "core/base/buf.h"

/* Appends the whole file to *ret; a file that would pass ret->max is TRIB_E_LIMIT. */
int trib_fs_read(const char *path, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Replaces or creates `path` atomically with `bytes`, mode `mode` (umask ignored). After a
 * crash the old or the new content is there, whole. The temporary name is `path` + ".tmp". */
int trib_fs_write(const char *path, struct trib_span bytes, mode_t mode, struct trib_err *err) TRIB_MUST_CHECK;
/* As trib_fs_write, but fails with TRIB_E_FAILED when `path` exists already (never overwrites). */
int trib_fs_create(const char *path, struct trib_span bytes, mode_t mode, struct trib_err *err) TRIB_MUST_CHECK;
/* write(2) until all is written. */
int trib_fs_write_all(int fd, struct trib_span bytes, struct trib_err *err) TRIB_MUST_CHECK;
/* pread(2) until n bytes are read; a short file is TRIB_E_IO. */
int trib_fs_pread_all(int fd, void *p, size_t n, off_t at, struct trib_err *err) TRIB_MUST_CHECK;
int trib_fs_pwrite_all(int fd, const void *p, size_t n, off_t at, struct trib_err *err) TRIB_MUST_CHECK;

/* fsync of the directory that holds `path`. */
int trib_fs_sync_parent(const char *path, struct trib_err *err) TRIB_MUST_CHECK;
int trib_fs_sync_dir(const char *dir, struct trib_err *err) TRIB_MUST_CHECK;
/* rename + fsync of both directories. The content must have been fsynced by the caller. */
int trib_fs_rename(const char *from, const char *to, struct trib_err *err) TRIB_MUST_CHECK;
/* unlink + fsync of the directory; a missing file is no error. */
int trib_fs_remove(const char *path, struct trib_err *err) TRIB_MUST_CHECK;
/* Creates the directory and its parents (mode applies to each one made); existing is no error. */
int trib_fs_mkdirs(const char *path, mode_t mode, struct trib_err *err) TRIB_MUST_CHECK;
/* Removes a tree; a missing one is no error; does not follow symbolic links. */
int trib_fs_remove_tree(const char *path, struct trib_err *err) TRIB_MUST_CHECK;
bool trib_fs_exists(const char *path);
/* Free bytes of the file system that holds `path`. */
int trib_fs_free(const char *path, uint64_t *ret_bytes, struct trib_err *err) TRIB_MUST_CHECK;
/* TRIB_E_NO_SPACE when less than `floor` bytes, or less than a twentieth of a disk smaller than twenty times that, are free. */
int trib_fs_floor(const char *path, uint64_t floor, struct trib_err *err) TRIB_MUST_CHECK;

/* Joins into a malloc'd path "a/b" that the caller frees; NULL only out of memory. */
char *trib_path(const char *a, const char *b) TRIB_MUST_CHECK;
char *trib_pathf(const char *fmt, ...) TRIB_PRINTF(1, 2) TRIB_MUST_CHECK;

/* An exclusive lock file: flock on `path`, whose content is "pid N\n" of the owner. The kernel
 * releases it when the process dies, so a stale file is never a held lock. Waits at most
 * `wait_ms` (0 = do not wait); TRIB_E_LOCKED names the owner. */
struct trib_lock {
	int fd;
};
#define TRIB_LOCK_INIT ((struct trib_lock){-1})
int trib_lock_take(struct trib_lock *lock, const char *path, int wait_ms, struct trib_err *err) TRIB_MUST_CHECK;
void trib_lock_drop(struct trib_lock *lock);
static inline void trib_lock_cleanup(struct trib_lock *lock) { trib_lock_drop(lock); }

/* Crash points for tests: when the environment names this point in TRIBUTARY_CRASH_AT ("name" or
 * "name:N" for the N-th time), the process kills itself with SIGKILL. Costs one getenv. */
void trib_crash_point(const char *name);

#endif
