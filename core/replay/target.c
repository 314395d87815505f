/* target.c: where a restored file may go. Nothing of a running program, and nothing of our own, is ever overwritten by it. */
#include "core/replay/replay.h"

#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/i18n.h"

/* The folder that the file lies in, as the system sees it. Owned by the caller. */
static int real_folder(const char *to, char **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *copy = strdup(to);
	if (!copy)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	const char *dir = dirname(copy);
	*ret = realpath(dir, NULL);
	return *ret ? 0 : trib_fail_errno(err, "%s", dir);
}

/* Is `dir` the folder `own`, or inside it? */
static bool inside(const char *dir, const char *own)
{
	size_t n = strlen(own);
	return strncmp(dir, own, n) == 0 && (dir[n] == '\0' || dir[n] == '/');
}

static int is_database(const char *path, bool *ret, struct trib_err *err)
{
	static const char magic[] = "SQLite format 3";
	char head[sizeof(magic)];
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", path);
	ssize_t n = read(fd, head, sizeof(head));
	if (n < 0)
		return trib_fail_errno(err, "reading %s", path);
	*ret = n == 0 || ((size_t)n == sizeof(head) && memcmp(head, magic, sizeof(magic)) == 0);
	return 0;
}

static int over_existing(const char *to, bool force, struct trib_err *err)
{
	struct stat st;
	bool database = false;
	if (lstat(to, &st) != 0)
		return 0;
	if (!S_ISREG(st.st_mode))
		return trib_fail(err, TRIB_E_USAGE, _("%s is no ordinary file; nothing was changed; choose another name"), to);
	if (!force)
		return trib_fail(err, TRIB_E_USAGE, _("%s exists; nothing was changed; choose another name, or add --force"), to);
	if (is_database(to, &database, err))
		return -1;
	return database ? 0 : trib_fail(err, TRIB_E_USAGE, _("%s is no database, and --force replaces nothing else; nothing was changed; choose another name"), to);
}

int trib_restore_target(const char *to, bool force, const char *own, struct trib_err *err)
{
	static const char *const sides[] = {"-wal", "-journal", "-shm"};
	TRIB_AUTO(trib_mem) char *dir = NULL;
	TRIB_AUTO(trib_mem) char *state = realpath(own, NULL);
	if (!state)
		return trib_fail_errno(err, "%s", own);
	if (real_folder(to, &dir, err))
		return trib_ctx(err, _("the new file cannot be made; nothing was changed"));
	if (inside(dir, state))
		return trib_fail(err, TRIB_E_USAGE, _("%s lies in %s, where only this program's own files are; nothing was changed; choose another folder"), to, own);
	if (over_existing(to, force, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(sides); i++) {
		TRIB_AUTO(trib_mem) char *side = trib_pathf("%s%s", to, sides[i]);
		if (!side)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (trib_fs_exists(side))
			return trib_fail(err, TRIB_E_LOCKED, _("%s is there, so a program may have that database open; nothing was changed; close it, or choose another name"), side);
	}
	return 0;
}
