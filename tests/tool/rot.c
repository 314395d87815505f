/* rot.c: what a disk can do to a folder, one bit and one cut at a time.
 *
 * rot DIR STRIDE START CONTENT COMMAND...: for each file of DIR flips every STRIDE-th bit from START on (and cuts it at every STRIDE-th length), runs
 * COMMAND, puts the file back. Each must be detected (COMMAND exits with 15, or another error with a message) or harmless (it exits 0, and what the shell command CONTENT
 * prints is as before). A crash, more than 5 s, or a silent change fails. One TAP line a file. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 5
#define FILES_MAX 4096

static char *paths[FILES_MAX];
static size_t npaths;

static int add_path(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)at;
	if (type == FTW_F && st->st_size > 0 && npaths < FILES_MAX)
		paths[npaths++] = strdup(path);
	return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

struct file {
	const char *path;
	unsigned char *bytes;
	size_t n;
};

static struct file load(const char *path)
{
	struct stat st;
	struct file f = {.path = path};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		err(9, "%s", path);
	f.n = (size_t)st.st_size;
	f.bytes = malloc(f.n);
	if (!f.bytes || read(fd, f.bytes, f.n) != (ssize_t)f.n)
		err(9, "%s", path);
	close(fd);
	return f;
}

static void store(const struct file *f, size_t n)
{
	(void)chmod(f->path, 0600);
	int fd = open(f->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, f->bytes, n) != (ssize_t)n || close(fd))
		err(9, "%s", f->path);
}

/* Exit status, -signal, or -1000 when it took too long. What it says goes to `log`. */
static int run(char *const *argv, const char *log)
{
	pid_t pid = fork();
	if (pid < 0)
		err(9, "fork");
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(99);
		alarm(LIMIT_S);
		execv(argv[0], argv);
		_exit(99);
	}
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			err(9, "waitpid");
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGALRM ? -1000 : -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void content(const char *command, char ret[128])
{
	FILE *f = popen(command, "r");
	size_t n = f ? fread(ret, 1, 127, f) : 0;
	if (!f || pclose(f) < 0)
		err(9, "%s", command);
	ret[n] = '\0';
}

struct tally { unsigned long tried, found, harmless, bad; };

struct job {
	char *const *argv;
	const char *content, *log;
	char before[128];
};

static void judge(struct job *j, struct tally *t, const char *path, const char *what, size_t at)
{
	char now[128];
	int rc = run(j->argv, j->log);
	struct stat st;
	t->tried++;
	if (rc > 0 && rc < 99 && stat(j->log, &st) == 0 && st.st_size > 0) {
		t->found++;
		return;
	}
	if (rc == 0) {
		content(j->content, now);
		if (strcmp(now, j->before) == 0) {
			t->harmless++;
			return;
		}
	}
	if (t->bad++ < 5)
		printf("# %s, %s %zu: %s %d\n", path, what, at, rc == 0 ? "not noticed, exit" : rc == -1000 ? "too long, exit" : "exit", rc);
}

static void side_files(const char *path)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};
	for (size_t i = 0; i < 3; i++) {
		char p[4096];
		(void)snprintf(p, sizeof(p), "%s%s", path, ends[i]);
		(void)unlink(p);
	}
}

int main(int argc, char **argv)
{
	if (argc < 6)
		errx(2, "usage: rot DIR STRIDE START CONTENT COMMAND...");
	size_t stride = strtoull(argv[2], NULL, 10), at = strtoull(argv[3], NULL, 10), cut = at;
	char log[] = "/tmp/rot.XXXXXX";
	int fd = mkstemp(log);
	struct job j = {.argv = argv + 5, .content = argv[4], .log = log};
	if (!stride || fd < 0 || nftw(argv[1], add_path, 16, FTW_PHYS))
		err(9, "%s", argv[1]);
	close(fd);
	qsort(paths, npaths, sizeof(paths[0]), by_name);
	content(j.content, j.before);
	unsigned long files = 0;
	for (size_t i = 0; i < npaths; i++) {
		struct file f = load(paths[i]);
		struct tally t = {0};
		for (; at < 8 * f.n; at += stride) {
			f.bytes[at / 8] ^= (unsigned char)(1 << at % 8);
			store(&f, f.n);
			judge(&j, &t, f.path, "bit", at);
			f.bytes[at / 8] ^= (unsigned char)(1 << at % 8);
			store(&f, f.n);
			side_files(f.path);
		}
		at -= 8 * f.n; /* the stride goes on in the next file */
		for (; cut < 8 * f.n; cut += 8 * stride) {
			store(&f, cut / 8);
			judge(&j, &t, f.path, "cut at", cut / 8);
			store(&f, f.n);
			side_files(f.path);
		}
		cut -= 8 * f.n;
		if (t.tried)
			printf("%s %lu - %s: %lu tried, %lu detected, %lu harmless, %lu neither\n", t.bad ? "not ok" : "ok", ++files, paths[i] + strlen(argv[1]) + 1, t.tried,
			       t.found, t.harmless, t.bad);
		(void)fflush(stdout);
		free(f.bytes);
		free(paths[i]);
	}
	printf("1..%lu\n", files);
	(void)unlink(log);
	return 0;
}
