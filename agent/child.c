#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/limits.h"

#define RESULT_MAX 4096

struct report {
	int rc;
	struct trib_err err;
	uint8_t result[RESULT_MAX];
};

static void limit(int what, rlim_t value)
{
	struct rlimit r = {.rlim_cur = value, .rlim_max = value};
	(void)setrlimit(what, &r); /* lowering a limit of our own cannot fail in a way that matters: the wall clock still holds */
}

static void child_main(int fd, int (*fn)(void *, void *, struct trib_err *), void *ctx)
{
	static struct report r;
	struct trib_err ignored;
	limit(RLIMIT_CPU, TRIB_WORKER_CPU_S);
	/* The fetch counts what comes; this holds what libgit2 makes of it. Writing more then fails, as on a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	limit(RLIMIT_FSIZE, TRIB_FETCH_WHOLE_MAX + 64 * TRIB_MIB);
#ifndef __SANITIZE_ADDRESS__
	limit(RLIMIT_AS, TRIB_WORKER_AS);
#endif
	r.rc = fn(ctx, r.result, &r.err);
	_exit(trib_fs_write_all(fd, trib_span(&r, sizeof(r)), &ignored) ? 1 : 0);
}

/* The whole report, or -1 when the child ended or the time did. */
static int read_report(int fd, struct report *r, int timeout_ms)
{
	size_t got = 0;
	int64_t end = trib_mono_ms() + timeout_ms;
	while (got < sizeof(*r)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = end - trib_mono_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		ssize_t k = read(fd, (uint8_t *)r + got, sizeof(*r) - got);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		got += (size_t)k;
	}
	return 0;
}

int trib_child_run(int (*fn)(void *ctx, void *result, struct trib_err *err), void *ctx, void *result, size_t result_size, int timeout_ms, struct trib_err *err)
{
	static struct report r; /* larger than a stack frame should be */
	int fds[2];
	if (result_size > RESULT_MAX)
		return trib_fail(err, TRIB_E_FAILED, "a result of %zu bytes does not fit", result_size);
	if (pipe2(fds, O_CLOEXEC))
		return trib_fail_errno(err, "making a pipe");
	fflush(stdout);
	fflush(stderr);
	pid_t pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return trib_fail_errno(err, "starting a process");
	}
	if (pid == 0) {
		close(fds[0]);
		child_main(fds[1], fn, ctx);
	}
	close(fds[1]);
	int whole = read_report(fds[0], &r, timeout_ms);
	close(fds[0]);
	if (whole)
		kill(pid, SIGKILL);
	int status;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (whole)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the transfer was ended: it used more time or memory than it may; nothing of it counts");
	if (r.rc) {
		*err = r.err;
		/* The child has read a stranger's bytes: its report is taken with care. */
		err->msg[sizeof(err->msg) - 1] = '\0';
		if (err->code <= TRIB_OK || err->code >= TRIB_CODE_COUNT)
			err->code = TRIB_E_FAILED;
		return -1;
	}
	memcpy(result, r.result, result_size);
	return 0;
}
