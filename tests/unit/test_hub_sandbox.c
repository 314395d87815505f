#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "core/base/fs.h"
#include "hub/sandbox.h"

#define SKIPPED 77
#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifndef ASAN
#define ASAN 0
#endif

struct place { char *root, *repos, *own, *other, *file, *secret; };

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char root[] = "/tmp/trib-sandbox-XXXXXX";
	struct trib_err err;
	assert_non_null(p);
	assert_non_null(mkdtemp(root));
	p->root = strdup(root);
	p->repos = trib_path(root, "repos");
	p->own = trib_path(root, "own");
	p->other = trib_path(root, "other");
	p->file = trib_path(p->repos, "history");
	p->secret = trib_path(p->other, "key");
	assert_int_equal(trib_fs_mkdirs(p->repos, 0700, &err), 0);
	assert_int_equal(trib_fs_mkdirs(p->own, 0700, &err), 0);
	assert_int_equal(trib_fs_mkdirs(p->other, 0700, &err), 0);
	assert_int_equal(trib_fs_write(p->file, trib_span_str("history"), 0600, &err), 0);
	assert_int_equal(trib_fs_write(p->secret, trib_span_str("secret"), 0600, &err), 0);
	*state = p;
	return 0;
}

static int drop_place(void **state)
{
	struct place *p = *state;
	struct trib_err err;
	assert_int_equal(trib_fs_remove_tree(p->root, &err), 0);
	free(p->root);
	free(p->repos);
	free(p->own);
	free(p->other);
	free(p->file);
	free(p->secret);
	free(p);
	return 0;
}

/* Runs fn in a sandboxed child: its exit status, or 128 + signal. */
static int sandboxed_with(const struct place *p, bool network, int (*fn)(const struct place *, const struct trib_sandbox_state *))
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct trib_err err;
		struct trib_sandbox_state st;
		struct trib_sandbox s = {.read_dir = p->repos, .read_more = NULL, .write_dir = p->own, .network = network};
		if (trib_sandbox_limits(&err) || trib_sandbox_enter(&s, &st, &err)) {
			(void)fprintf(stderr, "sandbox: %s\n", err.msg);
			_exit(99);
		}
		_exit(fn(p, &st));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int sandboxed(const struct place *p, int (*fn)(const struct place *, const struct trib_sandbox_state *)) { return sandboxed_with(p, false, fn); }

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_files(const struct place *p, const struct trib_sandbox_state *st)
{
	char path[256];
	if (!st->landlock)
		return SKIPPED;
	if (open_errno(p->file, O_RDONLY) != 0)
		return 1; /* histories are readable */
	if (open_errno(p->file, O_RDWR) != EACCES)
		return 2; /* and not writable */
	(void)snprintf(path, sizeof(path), "%s/new", p->repos);
	if (open_errno(path, O_WRONLY | O_CREAT) != EACCES || mkdir(path, 0700) == 0)
		return 3;
	if (open_errno(p->secret, O_RDONLY) != EACCES)
		return 4; /* keys are not readable */
	if (open_errno("/etc/passwd", O_RDONLY) != EACCES)
		return 5;
	(void)snprintf(path, sizeof(path), "%s/pack", p->own);
	if (mkdir(path, 0700))
		return 6;
	(void)snprintf(path, sizeof(path), "%s/pack/a", p->own);
	if (open_errno(path, O_WRONLY | O_CREAT) != 0 || open_errno(path, O_WRONLY | O_TRUNC) != 0)
		return 7;
	char to[256];
	(void)snprintf(to, sizeof(to), "%s/a", p->own);
	if (rename(path, to)) /* between directories of the quarantine */
		return 8;
	(void)snprintf(path, sizeof(path), "%s/a", p->repos);
	if (rename(to, path) == 0)
		return 9; /* nothing gets out by itself */
	(void)snprintf(path, sizeof(path), "%s/link", p->own);
	if (symlink("/etc/passwd", path) == 0)
		return 10; /* no trap for those who read the quarantine */
	return unlink(to) ? 11 : 0;
}

static void files_are_limited_to_histories_and_own_quarantine(void **state)
{
	int r = sandboxed(*state, try_files);
	if (r == SKIPPED)
		skip();
	assert_int_equal(r, 0);
}

/* The process that asks witnesses: it may go out and read how names are resolved; still no key, and nobody comes in. */
static int try_network(const struct place *p, const struct trib_sandbox_state *st)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, closed = any;
	int out = socket(AF_INET, SOCK_STREAM, 0), in = socket(AF_INET, SOCK_STREAM, 0);
	closed.sin_port = htons(1);
	if (out < 0 || in < 0)
		return 1;
	if (connect(out, (struct sockaddr *)&closed, sizeof(closed)) == 0 || errno != ECONNREFUSED)
		return 2;
	if (st->seccomp && (bind(in, (struct sockaddr *)&any, sizeof(any)) == 0 || errno != EPERM))
		return 3;
	if (st->seccomp && (listen(in, 1) == 0 || errno != EPERM))
		return 4;
	if (st->landlock && open_errno(p->secret, O_RDONLY) != EACCES)
		return 5;
	if (st->landlock && (open_errno("/etc/hosts", O_RDONLY) != 0 || open_errno("/etc/hosts", O_RDWR) == 0))
		return 6;
	if (st->seccomp && (fork() >= 0 || errno != EPERM))
		return 7;
	return 0;
}

static void a_process_with_network_goes_out_and_lets_nobody_in(void **state) { assert_int_equal(sandboxed_with(*state, true, try_network), 0); }

static int try_calls(const struct place *p, const struct trib_sandbox_state *st)
{
	(void)p;
	char *const argv[] = {(char *)(uintptr_t)"/bin/true", NULL};
	if (!st->seccomp)
		return SKIPPED;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 1;
	if (fork() >= 0 || errno != EPERM)
		return 2;
	if (execv(argv[0], argv) == 0 || errno != EPERM)
		return 3;
	if (kill(getppid(), 0) == 0 || errno != EPERM)
		return 4;
	if (setuid(65534) == 0 || errno != EPERM)
		return 5;
	return 0;
}

static void calls_that_reach_outside_are_refused(void **state)
{
	int r = sandboxed(*state, try_calls);
	if (r == SKIPPED)
		skip();
	assert_int_equal(r, 0);
}

/* Of another process, which waits as long as the test does. */
static pid_t victim;

static int try_victim(const struct place *p, const struct trib_sandbox_state *st)
{
	(void)p;
	struct rlimit r = {.rlim_cur = 0, .rlim_max = 0}, own = {0};
	siginfo_t info = {.si_code = SI_QUEUE};
	struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = victim};
	int pid = victim, fds[2];
	if (!st->seccomp)
		return SKIPPED;
	if (prlimit(victim, RLIMIT_CPU, &r, NULL) == 0 || errno != EPERM)
		return 1;
	if (prlimit(0, RLIMIT_CPU, NULL, &own) || getrlimit(RLIMIT_CPU, &own))
		return 2; /* its own it lowers before each request */
	if (syscall(SYS_rt_sigqueueinfo, victim, SIGKILL, &info) == 0 || errno != EPERM)
		return 3;
	if (syscall(SYS_rt_tgsigqueueinfo, victim, victim, SIGKILL, &info) == 0 || errno != EPERM)
		return 4;
	if (syscall(SYS_tgkill, victim, victim, SIGKILL) == 0 || errno != EPERM || syscall(SYS_tkill, victim, SIGKILL) == 0 || errno != EPERM)
		return 5;
	if (setpriority(PRIO_PROCESS, (id_t)victim, 19) == 0 || errno != EPERM)
		return 6;
	/* A byte in the pipe would send the signal. */
	if (pipe(fds) || fcntl(fds[0], F_SETFL, O_NONBLOCK))
		return 7;
	if (fcntl(fds[0], F_SETOWN, victim) == 0 || errno != EPERM || fcntl(fds[0], F_SETOWN_EX, &owner) == 0 || errno != EPERM)
		return 8;
	if (fcntl(fds[0], F_SETSIG, SIGKILL) == 0 || errno != EPERM || ioctl(fds[0], FIOSETOWN, &pid) == 0 || errno != EPERM)
		return 9;
	return 0;
}

static void other_processes_are_out_of_reach(void **state)
{
	int status;
	victim = fork();
	assert_true(victim >= 0);
	if (victim == 0)
		for (;;)
			pause();
	int r = sandboxed(*state, try_victim);
	assert_int_equal(waitpid(victim, &status, WNOHANG), 0);
	assert_int_equal(kill(victim, SIGKILL), 0);
	assert_int_equal(waitpid(victim, &status, 0), victim);
	if (r == SKIPPED)
		skip();
	assert_int_equal(r, 0);
}

/* A key that all may read is a key that the hub does not start with. */
static int try_modes(const struct place *p, const struct trib_sandbox_state *st)
{
	struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	if (!st->seccomp)
		return SKIPPED;
	/* libgit2 and our own writers set the mode of each file they make, and end when they cannot. */
	int fd = open(p->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0666) || chmod(p->secret, 0666) || fchmodat(AT_FDCWD, p->secret, 0666, 0) || close(fd))
		return 1;
	if (chown(p->secret, getuid(), getgid()) == 0 || errno != EPERM || lchown(p->secret, getuid(), getgid()) == 0 || errno != EPERM)
		return 2;
	if (setxattr(p->secret, "user.a", "b", 1, 0) == 0 || errno != EPERM || removexattr(p->secret, "user.a") == 0 || errno != EPERM)
		return 3;
	if (utimensat(AT_FDCWD, p->secret, now, 0) == 0 || errno != EPERM)
		return 4;
	return truncate(p->secret, 0) == 0 || errno != EPERM ? 5 : 0;
}

static void files_outside_keep_their_modes_owners_and_times(void **state)
{
	const struct place *p = *state;
	struct stat st;
	int r = sandboxed(p, try_modes);
	if (r == SKIPPED)
		skip();
	assert_int_equal(r, 0);
	assert_int_equal(stat(p->secret, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, strlen("secret"));
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static int try_abort(const struct place *p, const struct trib_sandbox_state *st)
{
	(void)p;
	(void)st;
	abort();
}

static void a_worker_can_still_abort(void **state)
{
	assert_int_equal(sandboxed(*state, try_abort), 128 + SIGABRT);
}

static int try_memory(const struct place *p, const struct trib_sandbox_state *st)
{
	(void)p;
	(void)st;
	void *m = mmap(NULL, TRIB_WORKER_AS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return m == MAP_FAILED && errno == ENOMEM ? 0 : 1;
}

static void memory_has_an_end(void **state)
{
	if (ASAN)
		skip();
	assert_int_equal(sandboxed(*state, try_memory), 0);
}

static int try_rights(const struct place *p, const struct trib_sandbox_state *st)
{
	(void)p;
	(void)st;
	struct rlimit r;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	if (getrlimit(RLIMIT_CORE, &r) || r.rlim_max != 0)
		return 2;
	if (getrlimit(RLIMIT_FSIZE, &r) || r.rlim_max > 2 * TRIB_PACK_INFLATED_MAX)
		return 3;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 4;
}

static void rights_cannot_come_back(void **state) { assert_int_equal(sandboxed(*state, try_rights), 0); }

static void cpu_time_is_granted_by_the_request(void **state)
{
	(void)state;
	struct trib_err err;
	struct rlimit r;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		if (trib_sandbox_cpu(&err) || getrlimit(RLIMIT_CPU, &r))
			_exit(1);
		_exit(r.rlim_cur >= TRIB_WORKER_CPU_S && r.rlim_cur <= TRIB_WORKER_CPU_S + 5 && r.rlim_max > r.rlim_cur ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_missing_history_folder_stops_the_worker(void **state)
{
	struct place p = *(struct place *)*state;
	p.repos = (char *)(uintptr_t)"/nonexistent/repos";
	int r = sandboxed(&p, try_files);
	if (r == SKIPPED)
		skip();
	assert_int_equal(r, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_limited_to_histories_and_own_quarantine, make_place, drop_place),
		cmocka_unit_test_setup_teardown(a_process_with_network_goes_out_and_lets_nobody_in, make_place, drop_place),
		cmocka_unit_test_setup_teardown(calls_that_reach_outside_are_refused, make_place, drop_place),
		cmocka_unit_test_setup_teardown(other_processes_are_out_of_reach, make_place, drop_place),
		cmocka_unit_test_setup_teardown(files_outside_keep_their_modes_owners_and_times, make_place, drop_place),
		cmocka_unit_test_setup_teardown(a_worker_can_still_abort, make_place, drop_place),
		cmocka_unit_test_setup_teardown(memory_has_an_end, make_place, drop_place),
		cmocka_unit_test_setup_teardown(rights_cannot_come_back, make_place, drop_place),
		cmocka_unit_test(cpu_time_is_granted_by_the_request),
		cmocka_unit_test_setup_teardown(a_missing_history_folder_stops_the_worker, make_place, drop_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
