/* measure.c: runs a command and writes "WALL_MS CPU_MS PEAK_RSS_KIB" of it, and of what it waited for, into a file. Exits as the command does.
 *
 * usage: measure FILE COMMAND... */
#include <err.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms(struct timeval t) { return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3; }

int main(int argc, char **argv)
{
	struct rusage u;
	int status;
	if (argc < 3)
		errx(2, "usage: measure FILE COMMAND...");
	double t0 = now_ms();
	pid_t pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		err(127, "%s", argv[2]);
	}
	if (wait4(pid, &status, 0, &u) != pid)
		err(1, "wait");
	double t1 = now_ms();
	FILE *f = fopen(argv[1], "w");
	if (!f || fprintf(f, "%.3f %.3f %ld\n", t1 - t0, ms(u.ru_utime) + ms(u.ru_stime), u.ru_maxrss) < 0 || fclose(f))
		err(1, "%s", argv[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
