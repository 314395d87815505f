/* rot.c: what a disk can do to a state folder, one bit and one cut at a time.
 *
 * rot audit|check STRIDE START DIR...: flips every STRIDE-th bit of each file from START on, cuts it at every STRIDE-th length, and runs what `tributary-hub audit` or
 * `tributary-agent check --read-data` runs. The DIRs are equal copies of one folder, one for each process. Each change must be detected (exit status 15, or another
 * error that is about the bytes) or harmless: nothing is found, and the file says what it said (tests/lib/says.h). A crash, more than LIMIT_S, more memory than a run
 * needs, an error about anything else, or a silent change fails. One TAP line a file.
 *
 * Each run is a process of its own, forked from one that has loaded the libraries, and opened the hub unless its certificates are what is changed. What is surely the
 * same is run once:
 * - A file that the command does not open cannot change what it finds. It must be one of those listed below.
 * - All that the audit learns of a repository it learns from core/store. So the store is asked first, in a process of its own, for everything it can be asked (how opening ends,
 *   refs, chains, every object, the words of every error); of the changes that it answers alike the audit runs on the first, as long as that was detected.
 * - A tile of the published log is compared as a whole: another one of the same length is another one.
 * - Between the pointers to the cells of a SQLite page and the cells nobody reads: all the bits there are turned over at once, and all cuts there leave the same bytes.
 *
 * ROT_PROGRESS: a file that shows how far the work is. ROT_ONLY, ROT_NOT: only files with this in their path, only those without. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/commands.h"
#include "core/base/log.h"
#include "hub/commands.h"
#include "tests/lib/says.h"

#define LIMIT_S 5
#define DENSE 16 /* a stride up to this is a part of all bits: the gaps of pages are tried as wholes */
#define FILES_MAX 1024
#define JOBS_MAX 32
#define RSS_MAX_KIB ((long)192 * 1024)
#define TOLD_MAX 40 /* changes told of one file */

enum { HARMLESS = 100, SILENT, UNREADABLE }; /* exit statuses of a run in which the command found nothing */

/* Not opened by the command: no evidence, or read by others only. `busy`: the command itself writes there. */
static const struct { const char *part, *why; bool busy; } unread[] = {
	{"/description", "git's own, said nowhere", false},
	{"/info/exclude", "git's own, said nowhere", false},
	{"/FETCH_HEAD", "git's own, said nowhere", false},
	{"/HEAD", "git's own: we name our refs", false},
	{".sample", "git's own, said nowhere", false},
	{".key", "a private key: the audit asks for none", false},
	{".csr", "a request that was answered", false},
	{"/crl.pem", "a copy of the list that the log names", false},
	{"/enrol.db", "slips and requests: no evidence; what was issued is in the log", false},
	{"/audited.", "what an audit with --since goes on from; this one does not, and that one comes back to it (tests/e2e/audit-since.t)", false},
	{"/run/", "of processes that run now", true},
	{"/lock", "a lock", true},
	{"/policy.conf", "an office's copy of the city's policy; the hub's own is read", false},
	{"/slip", "by which slip was asked: spoilt, the office is told that it is enrolled", false},
	{"/last-failure", "for screens", false},
	{"/last-exchange-failure", "for screens", false},
	{"/last-renewal-failure", "for screens", false},
	{"/last-capture", "for screens", false},
	{"/last-sync", "for screens", false},
	{"/merged", "for screens", false},
	{"/digests.db", "a cache; its user compares what it says with the database", false},
	{"/held-tip", "a cache; its user compares it with the history", false},
	{"/refs/heads/down", "what the hub told this office; its receipts are in receipts/, and verified there", false},
	{"/refs/tributary/", "the same", false},
	{"/repo.git/objects/", "the same: an object of the hub's commits", false},
};

struct tally { unsigned long bits, cuts, gap, gap_cuts, alike, found, harmless, bad, slowest_ms; long rss; bool read, early; };
struct file { char path[512]; size_t n; };

static struct file files[FILES_MAX];
static size_t nfiles, root_len;
static struct tally *tallies; /* shared by all processes, one a file */
static int ended[2];          /* a process that ends writes here */

/* ---- the commands, as their programs run them ---- */

static struct trib_hub hub;
static struct trib_state state = {.lock = TRIB_LOCK_INIT};

static int prepare(struct trib_cli *cli)
{
	trib_log_open("rot", TRIB_LOG_ERROR);
	if (trib_repo_lib_init(&cli->err))
		return -1;
	if (strcmp(cli->cmd->name, "audit") == 0) {
		if (trib_hub_open(cli->state, &hub, &cli->err))
			return -1;
		cli->ctx = &hub;
		return 0;
	}
	if (trib_state_open(cli->state, false, &state, &cli->err))
		return -1;
	cli->ctx = &state;
	return trib_state_keys(&state, &cli->err);
}

static void finish(struct trib_cli *cli)
{
	if (cli->ctx == &hub)
		trib_hub_close(&hub);
	else if (cli->ctx)
		trib_state_close(&state);
}

/* Runs one command; `within`, when given, runs in its place once the folder is open. */
static int command(const char *verb, const char *dir, int (*within)(struct trib_cli *))
{
	bool audit = strcmp(verb, "audit") == 0;
	const struct trib_cmd one = audit ? (struct trib_cmd){"audit", "", "", hub_opts_audit, 0, 0, 0, within ? within : hub_cmd_audit}
					  : (struct trib_cmd){"check", "", "", agent_opts_check, 0, 0, 0, within ? within : agent_cmd_check};
	const struct trib_program program = {.name = "rot", .about = "", .cmds = &one, .ncmds = 1, .default_state = "/", .prepare = prepare, .finish = finish};
	/* --dry-run: the audit does not write down that it was done, so that every run begins alike. --jobs: findings do not depend on it, and a run is short. */
	char *argv[] = {(char *)"rot", (char *)verb, (char *)"--state", (char *)dir, (char *)(audit ? "--dry-run" : "--read-data"), (char *)"--jobs", (char *)"1", NULL};
	return trib_program_main(&program, audit ? 7 : 5, argv);
}

/* ---- files ---- */

static int add_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)at;
	size_t len = strlen(path);
	const char *only = getenv("ROT_ONLY"), *not = getenv("ROT_NOT");
	if (type != FTW_F || st->st_size == 0 || (only && !strstr(path + root_len, only)) || (not && strstr(path + root_len, not)) || (len > 4 && (strcmp(path + len - 4, "-wal") == 0 || strcmp(path + len - 4, "-shm") == 0)))
		return 0;
	if (nfiles == FILES_MAX || strlen(path) - root_len >= sizeof(files[0].path))
		errx(9, "too many files");
	(void)snprintf(files[nfiles].path, sizeof(files[0].path), "%s", path + root_len + 1);
	files[nfiles++].n = (size_t)st->st_size;
	return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path); }

static void list_files(const char *dir)
{
	root_len = strlen(dir);
	if (nftw(dir, add_file, 16, FTW_PHYS))
		err(9, "%s", dir);
	qsort(files, nfiles, sizeof(files[0]), by_name);
	tallies = mmap(NULL, sizeof(*tallies) * (nfiles + 1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tallies == MAP_FAILED)
		err(9, "mmap");
}

static const char *why_unread(const char *path, bool *ret_busy)
{
	char slashed[600];
	(void)snprintf(slashed, sizeof(slashed), "/%s", path);
	for (size_t i = 0; i < TRIB_COUNT(unread); i++)
		if (strstr(slashed, unread[i].part)) {
			*ret_busy = unread[i].busy;
			return unread[i].why;
		}
	return NULL;
}

/* ---- which files a run opens ---- */

static int watch_fd;
static char *watched[FILES_MAX]; /* folders, by watch number */

static int add_watch(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	if (type != FTW_D)
		return 0;
	int w = inotify_add_watch(watch_fd, path, IN_OPEN);
	if (w < 0 || w >= FILES_MAX)
		err(9, "watching %s", path);
	watched[w] = strdup(path);
	return 0;
}

static void see_opened(const struct inotify_event *e, bool early)
{
	char path[1024];
	if (!e->len || e->wd < 0 || e->wd >= FILES_MAX || !watched[e->wd])
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", watched[e->wd], e->name);
	for (size_t i = 0; i < nfiles; i++)
		if (strcmp(path + root_len + 1, files[i].path) == 0)
			*(early ? &tallies[i].early : &tallies[i].read) = true;
}

static void read_events(bool early)
{
	_Alignas(struct inotify_event) char buf[65536];
	ssize_t n;
	while ((n = read(watch_fd, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
			see_opened(e, early);
			p += sizeof(*e) + e->len;
		}
}

static int nothing(struct trib_cli *cli) { return cli->argc; }

/* Runs the command on the whole folder, which must be proven: which files it opens, and which of them before it begins. */
static void learn(const char *verb, const char *dir)
{
	watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch_fd < 0 || nftw(dir, add_watch, 16, FTW_PHYS))
		err(9, "watching %s", dir);
	for (int early = 1; early >= 0; early--) {
		pid_t pid = fork();
		if (pid == 0) {
			int out = open("/dev/null", O_WRONLY);
			if (out < 0 || dup2(out, 1) < 0)
				_exit(99);
			_exit(command(verb, dir, early ? nothing : NULL));
		}
		int status = 0;
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			err(9, "fork");
		if (status)
			errx(9, "%s: not proven to begin with", dir);
		read_events(early);
	}
	close(watch_fd);
}

/* ---- one run ---- */

struct work {
	const char *verb, *dir;
	int log, out;             /* what the command says; what the test says */
	size_t at;                /* index of the file */
	char path[1024];
	int fd;
	unsigned char *bytes;
	uint8_t said[TRIB_SHA256_LEN];
	size_t stride, start, j, n;
	struct store_list store;
	struct answer { uint8_t key[TRIB_SHA256_LEN]; int rc; } *answers; /* of the file's repository, or of a file that is only compared; what the run on the first of them came to */
	size_t nanswers;
	bool asked;               /* this file is asked first */
	uint8_t *key;             /* shared with the child that asks */
	bool inside, is_child;    /* the folder is open already; this is a run */
	bool asking;              /* the next run asks the store and ends */
};

static void begin_child(const struct work *w)
{
	if (dup2(w->log, 1) < 0 || dup2(w->log, 2) < 0)
		_exit(99);
	alarm(LIMIT_S);
}

/* The command has ended; does the file still say what it said? */
static _Noreturn void end_child(const struct work *w, int rc)
{
	uint8_t now[TRIB_SHA256_LEN];
	struct trib_err why;
	(void)fflush(stdout);
	if (rc)
		_exit(rc);
	alarm(LIMIT_S);
	if (says(w->path, now, &why)) {
		printf("\nit says nothing any more: %s\n", why.msg);
		(void)fflush(stdout);
		_exit(UNREADABLE);
	}
	_exit(memcmp(now, w->said, sizeof(now)) ? SILENT : HARMLESS);
}

/* What the run said, or its end. */
static bool said(int log, const char *text)
{
	char buf[16384];
	ssize_t n = pread(log, buf, sizeof(buf) - 1, 0);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return strstr(buf, text) != NULL;
}

/* About the bytes that were changed, and not about the machine. */
static bool detected(int log, int rc)
{
	struct stat st;
	if (fstat(log, &st) || st.st_size == 0 || said(log, "[out-of-memory]") || said(log, "[busy]") || said(log, "[locked]") || said(log, "[no-space]"))
		return false;
	return rc == trib_exit_status(TRIB_E_VERIFY) || (rc > 2 && rc <= 20 && rc != trib_exit_status(TRIB_E_LOCKED)) || (rc == 1 && said(log, "error ["));
}

static void tell(const struct work *w, const char *what, size_t where, const char *how, int n)
{
	char buf[400];
	ssize_t len = pread(w->log, buf, sizeof(buf) - 1, 0);
	buf[len > 0 ? len : 0] = '\0';
	for (char *p = buf; *p; p++)
		*p = *p == '\n' ? '|' : *p;
	printf("# %s, %s %zu: %s %d: %s\n", files[w->at].path, what, where, how, n, buf);
	(void)fflush(stdout);
}

static unsigned long elapsed_ms(const struct timespec *from)
{
	struct timespec to;
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (unsigned long)((to.tv_sec - from->tv_sec) * 1000 + (to.tv_nsec - from->tv_nsec) / 1000000);
}

/* Tiles of the published log are read whole and compared, nothing else: of the same length and not as they should be, they are alike. */
static bool only_compared(const char *path) { return strstr(path, "log/tile/") != NULL; }

static void ask(struct work *w)
{
	struct stat st;
	if (w->store.dir) {
		store_answers(&w->store, w->key);
		return;
	}
	memset(w->key, 0, TRIB_SHA256_LEN);
	if (fstat(w->fd, &st) == 0)
		memcpy(w->key, &st.st_size, sizeof(st.st_size));
}

/* Returns the exit status, or minus the signal. In the child: 0, and w->is_child; it goes on to be the command. */
static int run(struct work *w, struct tally *t)
{
	struct timespec from;
	struct rusage used;
	int status;
	(void)ftruncate(w->log, 0);
	(void)lseek(w->log, 0, SEEK_SET);
	clock_gettime(CLOCK_MONOTONIC, &from);
	pid_t pid = fork();
	if (pid < 0)
		err(9, "fork");
	if (pid == 0) {
		begin_child(w);
		if (w->asking) {
			ask(w);
			_exit(HARMLESS);
		}
		if (t->early)
			end_child(w, command(w->verb, w->dir, NULL));
		w->is_child = true;
		return 0;
	}
	while (wait4(pid, &status, 0, &used) < 0)
		if (errno != EINTR)
			err(9, "wait4");
	unsigned long ms = elapsed_ms(&from);
	if (ms > t->slowest_ms)
		t->slowest_ms = ms;
	if (used.ru_maxrss > t->rss)
		t->rss = used.ru_maxrss;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* What a run on this state came to, when one like it was run: its place in `answers`. Otherwise a new place with rc -1000. A crash or delay of the
 * store is the result itself: NULL and *ret_rc. */
static struct answer *look_up(struct work *w, struct tally *t, int *ret_rc)
{
	if (w->store.dir) {
		w->asking = true;
		*ret_rc = run(w, t);
		w->asking = false;
		if (*ret_rc != HARMLESS)
			return NULL;
	} else {
		ask(w);
	}
	for (size_t i = 0; i < w->nanswers; i++)
		if (memcmp(w->answers[i].key, w->key, TRIB_SHA256_LEN) == 0)
			return &w->answers[i];
	struct answer *grown = realloc(w->answers, (w->nanswers + 1) * sizeof(*grown));
	if (!grown)
		err(9, "memory");
	w->answers = grown;
	grown = &w->answers[w->nanswers++];
	memcpy(grown->key, w->key, TRIB_SHA256_LEN);
	grown->rc = -1000;
	return grown;
}

/* The exit status of the run on this state, or on one like it. */
static int run_or_recall(struct work *w, struct tally *t)
{
	struct answer *a = NULL;
	int rc;
	if (w->asked && !(a = look_up(w, t, &rc)))
		return rc;
	if (a && a->rc != -1000) {
		__atomic_add_fetch(&t->alike, 1, __ATOMIC_RELAXED);
		return a->rc;
	}
	rc = run(w, t);
	if (w->is_child)
		return rc;
	if (rc > 0 && rc < HARMLESS)
		rc = detected(w->log, rc) ? trib_exit_status(TRIB_E_VERIFY) : rc;
	if (a && rc == trib_exit_status(TRIB_E_VERIFY)) /* what is harmless is asked of the file itself, what is bad is told: both are run each time */
		a->rc = rc;
	return rc;
}

static void judge(struct work *w, const char *what, size_t where)
{
	struct tally *t = &tallies[w->at];
	int rc = run_or_recall(w, t);
	if (w->is_child)
		return;
	if (rc == HARMLESS) {
		__atomic_add_fetch(&t->harmless, 1, __ATOMIC_RELAXED);
		return;
	}
	if (rc == trib_exit_status(TRIB_E_VERIFY)) {
		__atomic_add_fetch(&t->found, 1, __ATOMIC_RELAXED);
		return;
	}
	if (__atomic_fetch_add(&t->bad, 1, __ATOMIC_RELAXED) < TOLD_MAX)
		tell(w, what, where, rc == -SIGALRM ? "too long" : rc < 0 ? "died of signal" : rc == SILENT || rc == UNREADABLE ? "not noticed" : "exit", rc);
}

/* ---- all runs of one process ---- */

/* SQLite's own files beside a database: gone after a clean end. */
static void side_files(const char *dir)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};
	for (size_t i = 0; i < nfiles; i++) {
		size_t n = strlen(files[i].path);
		if (n < 3 || strcmp(files[i].path + n - 3, ".db") != 0)
			continue;
		for (size_t k = 0; k < TRIB_COUNT(ends); k++) {
			char p[1200];
			(void)snprintf(p, sizeof(p), "%s/%s%s", dir, files[i].path, ends[k]);
			(void)unlink(p);
		}
	}
}

static void put_back(struct work *w)
{
	size_t n = files[w->at].n;
	if (pwrite(w->fd, w->bytes, n, 0) != (ssize_t)n || ftruncate(w->fd, (off_t)n))
		err(9, "%s", w->path);
	side_files(w->dir);
}

/* Bytes of a database's page between the pointers to its cells and the cells: the file format lets nobody read them. */
static bool in_gap(const struct work *w, size_t byte, size_t *ret_begin, size_t *ret_end)
{
	const char *path = files[w->at].path;
	size_t n = strlen(path), size = files[w->at].n;
	if (n < 3 || strcmp(path + n - 3, ".db") != 0 || size < 512)
		return false;
	size_t page = (size_t)(w->bytes[16] << 8 | w->bytes[17]), at = page < 512 ? 0 : byte / page * page;
	const unsigned char *h = w->bytes + at + (at == 0 ? 100 : 0);
	if (page < 512 || at + page > size || (h[0] != 2 && h[0] != 5 && h[0] != 10 && h[0] != 13))
		return false;
	size_t begin = (size_t)(h - w->bytes) + (h[0] < 10 ? 12 : 8) + 2 * (size_t)(h[3] << 8 | h[4]), end = at + (size_t)(h[5] << 8 | h[6]);
	*ret_begin = begin;
	*ret_end = end;
	return begin < end && end <= at + page && byte >= begin && byte < end;
}

/* When all bits are tried, the gap of a page turns over at once, for its first bit. */
static void flip(struct work *w, size_t bit)
{
	size_t begin, end;
	if (w->stride > DENSE || !in_gap(w, bit / 8, &begin, &end))
		end = (begin = bit / 8) + 1;
	for (size_t i = begin; i < end; i++) {
		unsigned char b = (unsigned char)(end - begin > 1 ? ~w->bytes[i] : w->bytes[i] ^ 1 << bit % 8);
		if (pwrite(w->fd, &b, 1, (off_t)i) != 1)
			err(9, "%s", w->path);
	}
	judge(w, "bit", bit);
	if (w->is_child)
		return;
	put_back(w);
	__atomic_add_fetch(&tallies[w->at].bits, 1, __ATOMIC_RELAXED);
}

/* It turned over with the first bit of its gap. */
static bool turned_over(struct work *w, size_t bit)
{
	size_t begin, end;
	if (w->stride > DENSE || !in_gap(w, bit / 8, &begin, &end) || bit == 8 * begin)
		return false;
	tallies[w->at].gap += w->j == 0;
	return true;
}

/* SQLite reads the part of a page that a file lacks as zeros: a cut within a gap of zeros is the cut at its beginning. */
static bool like_cut_before(const struct work *w, size_t n)
{
	size_t begin, end;
	if (w->stride > DENSE || !in_gap(w, n, &begin, &end) || n == begin)
		return false;
	for (size_t i = begin; i < end; i++)
		if (w->bytes[i])
			return false;
	return true;
}

static void cut(struct work *w, size_t n)
{
	if (ftruncate(w->fd, (off_t)n))
		err(9, "%s", w->path);
	judge(w, "cut at", n);
	if (w->is_child)
		return;
	put_back(w);
	__atomic_add_fetch(&tallies[w->at].cuts, 1, __ATOMIC_RELAXED);
}

static void open_file(struct work *w, size_t i)
{
	struct trib_err why;
	w->at = i;
	(void)snprintf(w->path, sizeof(w->path), "%s/%s", w->dir, files[i].path);
	if (says(w->path, w->said, &why) || store_list(w->path, &w->store, &why) < 0)
		errx(9, "%s: %s", w->path, why.msg);
	w->asked = strcmp(w->verb, "audit") == 0 && (w->store.dir || only_compared(files[i].path));
	side_files(w->dir);
	(void)chmod(w->path, 0600);
	w->fd = open(w->path, O_RDWR | O_CLOEXEC);
	w->bytes = malloc(files[i].n);
	if (w->fd < 0 || !w->bytes || pread(w->fd, w->bytes, files[i].n, 0) != (ssize_t)files[i].n)
		err(9, "%s", w->path);
}

static void close_file(struct work *w, struct tally *t)
{
	int rc = run(w, t);
	if (w->is_child)
		return;
	if (rc != HARMLESS) { /* all was put back: nothing of the runs stayed */
		tell(w, "after", files[w->at].n, "not as before", rc);
		t->bad++;
	}
	side_files(w->dir);
	close(w->fd);
	free(w->bytes);
	store_list_release(&w->store);
	free(w->answers);
	w->answers = NULL;
	w->nanswers = 0;
}

/* The j-th of n processes: every n-th change. The stride goes on from file to file. */
static int all_runs(struct work *w)
{
	size_t at = w->start, cut_at = 8 * w->start, count = 0;
	for (size_t i = 0; i < nfiles && !w->is_child; i++) {
		size_t bits = 8 * files[i].n;
		if (!tallies[i].read || tallies[i].early == w->inside)
			continue;
		open_file(w, i);
		for (; at < bits && !w->is_child; at += w->stride)
			if (!turned_over(w, at) && count++ % w->n == w->j)
				flip(w, at);
		at -= bits;
		for (; cut_at < bits && !w->is_child; cut_at += 8 * w->stride)
			if (like_cut_before(w, cut_at / 8))
				tallies[i].gap_cuts += w->j == 0;
			else if (count++ % w->n == w->j)
				cut(w, cut_at / 8);
		cut_at -= bits;
		if (!w->is_child)
			close_file(w, &tallies[i]);
	}
	return 0;
}

static struct work *inside; /* what all_inside works on */

/* With the folder open: changes of files that were not opened for that. A child returns as the command that it is. */
static int all_inside(struct trib_cli *cli)
{
	inside->inside = true;
	(void)all_runs(inside);
	if (!inside->is_child)
		return 0;
	return strcmp(cli->cmd->name, "audit") == 0 ? hub_cmd_audit(cli) : agent_cmd_check(cli);
}

static pid_t start_one(struct work w)
{
	pid_t pid = fork();
	if (pid < 0)
		err(9, "fork");
	if (pid)
		return pid;
	char name[] = "/tmp/rot.XXXXXX";
	w.log = mkostemp(name, O_CLOEXEC);
	w.out = fcntl(1, F_DUPFD_CLOEXEC, 3);
	w.key = mmap(NULL, TRIB_SHA256_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w.log < 0 || w.out < 0 || unlink(name) || w.key == MAP_FAILED)
		err(9, "%s", name);
	close(ended[0]);
	/* What every run would do anew: libraries, and whatever they keep. */
	struct trib_err e;
	if (trib_repo_lib_init(&e) || dup2(w.log, 1) < 0 || command(w.verb, w.dir, NULL) != 0 || fflush(stdout) || dup2(w.out, 1) < 0)
		errx(9, "%s: not proven", w.dir);
	(void)all_runs(&w);
	inside = &w;
	int rc = command(w.verb, w.dir, all_inside);
	if (w.is_child)
		end_child(&w, rc);
	(void)fflush(stdout);
	exit(rc);
}

/* ---- all processes ---- */

static void show_progress(size_t stride, const struct timespec *from)
{
	const char *path = getenv("ROT_PROGRESS");
	FILE *f = path ? fopen(path, "we") : NULL;
	unsigned long done = 0, all = 0, bad = 0;
	if (!f)
		return;
	for (size_t i = 0; i < nfiles; i++) {
		const struct tally *t = &tallies[i];
		done += t->bits + t->cuts;
		bad += t->bad;
		all += t->read ? 9 * files[i].n / stride : 0;
		if (t->bits + t->cuts)
			fprintf(f, "%s: %lu bits, %lu cuts: %lu detected, %lu harmless, %lu neither; slowest %lu ms, %ld KiB\n", files[i].path, t->bits, t->cuts, t->found, t->harmless,
				t->bad, t->slowest_ms, t->rss);
	}
	fprintf(f, "%lu of about %lu, %lu neither, after %lu s\n", done, all, bad, elapsed_ms(from) / 1000);
	fclose(f);
}

static void report(size_t stride)
{
	unsigned long n = 0, bits = 0, cuts = 0, gap = 0, harmless = 0;
	for (size_t i = 0; i < nfiles; i++) {
		struct tally *t = &tallies[i];
		bool busy;
		const char *why = t->read ? NULL : why_unread(files[i].path, &busy);
		if (!t->read)
			printf("%sok %lu - %s: not tried: %s\n", why ? "" : "not ", ++n, files[i].path, why ? why : "and nobody says why");
		if (!t->bits && !t->cuts)
			continue;
		bool good = !t->bad && t->rss <= RSS_MAX_KIB && t->found + t->harmless == t->bits + t->cuts;
		printf("%sok %lu - %s: %lu bits flipped, %lu cuts: %lu detected, %lu harmless, %lu neither; at most %lu ms, %ld MiB", good ? "" : "not ", ++n, files[i].path, t->bits,
		       t->cuts, t->found, t->harmless, t->bad, t->slowest_ms, t->rss / 1024);
		if (t->gap)
			printf("; %lu more bits in gaps of pages, a gap at a time", t->gap);
		printf("\n");
		gap += t->gap;
		bits += t->bits;
		cuts += t->cuts;
		harmless += t->harmless;
	}
	printf("# stride %zu: %lu bits and %lu cuts, %lu of them harmless; %lu more bits in gaps\n1..%lu\n", stride, bits, cuts, harmless, gap, n);
}

int main(int argc, char **argv)
{
	size_t stride = argc > 4 ? strtoull(argv[2], NULL, 10) : 0, start = argc > 4 ? strtoull(argv[3], NULL, 10) : 0, n = (size_t)argc - 4;
	struct timespec from;
	int status, failed = 0;
	if (!stride || n > JOBS_MAX || (strcmp(argv[1], "audit") != 0 && strcmp(argv[1], "check") != 0))
		errx(2, "usage: rot audit|check STRIDE START DIR...");
	signal(SIGPIPE, SIG_IGN);
	/* One thread, and memory that stays: hundreds of thousands of runs. */
	if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK)
		errx(9, "setting up");
	/* A wish: the allocator of a sanitizer refuses it. */
	(void)!mallopt(M_MMAP_THRESHOLD, 32 << 20);
	(void)!mallopt(M_TRIM_THRESHOLD, 256 << 20);
	(void)!mallopt(M_TOP_PAD, 1 << 20);
	clock_gettime(CLOCK_MONOTONIC, &from);
	list_files(argv[4]);
	learn(argv[1], argv[4]);
	for (size_t i = 0; i < nfiles; i++) {
		bool busy = false;
		(void)why_unread(files[i].path, &busy);
		tallies[i].read = tallies[i].read && !busy;
		/* An agent opens its repositories first: libgit2 keeps much of them. */
		tallies[i].early = tallies[i].early || strcmp(argv[1], "check") == 0;
	}
	if (pipe2(ended, O_CLOEXEC))
		err(9, "pipe");
	for (size_t j = 0; j < n; j++)
		(void)start_one((struct work){.verb = argv[1], .dir = argv[4 + j], .stride = stride, .start = start, .j = j, .n = n});
	close(ended[1]);
	struct pollfd p = {.fd = ended[0]};
	while (poll(&p, 1, 10000) == 0) /* hangs up when the last one has ended */
		show_progress(stride, &from);
	while (wait(&status) > 0)
		failed |= status;
	show_progress(stride, &from);
	if (failed)
		errx(9, "a process of the test itself ended with status %x", (unsigned)failed);
	report(stride);
	return 0;
}
