/* cmd_watch.c: `watch`: a resident capture every few minutes (off by default).
 *
 * Between two captures nothing is open and nothing is locked: each look begins with three stat calls and 48 bytes of the -shm, and ends there when
 * nothing moved. SQLite is not asked for that: a connection kept open would hold a lock on a WAL database, and this process opens the -shm by itself only
 * while SQLite has none of its locks here. Signals wait until a capture is over, so SIGTERM ends between two; SIGKILL at any moment is a crash like any other
 * (agent/capture/pending.h). */
#include "agent/commands.h"
#include "agent/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/clock.h"

#define TICK_MS 20    /* as in agent/capture/source.c: within it two writes may give one time */
#define WHOLE_MS 2100 /* where file times are whole seconds */
#define INDEX_HDR 48

const struct trib_opt agent_opts_watch[] = {
	{"interval", 0, "SECONDS", N_("time between two looks (default: the setting `watch`)")},
	{0},
};

struct times { bool there; uint64_t dev, ino; int64_t size, mtime_s, mtime_ns, ctime_s, ctime_ns; };

struct look { /* what can be seen of the database from outside; compared as bytes */
	struct times db, wal;
	bool has_index;
	uint8_t index[INDEX_HDR];
};

struct watch {
	char *db_path;
	struct look last; /* as it was before the last capture that went through */
	bool known;       /* `last` would show every write since */
	char said[TRIB_ERR_MSG]; /* the last failure, so that it is said once */
	uint64_t looks, idle, captures, commits;
	uint64_t idle_ns; /* CPU time of idle looks */
};

static void take_times(const char *path, const char *suffix, struct times *ret)
{
	TRIB_AUTO(trib_mem) char *p = trib_pathf("%s%s", path, suffix);
	struct stat st;
	if (!p || stat(p, &st))
		return;
	ret->there = true;
	ret->dev = (uint64_t)st.st_dev;
	ret->ino = (uint64_t)st.st_ino;
	ret->size = st.st_size;
	ret->mtime_s = st.st_mtim.tv_sec;
	ret->mtime_ns = st.st_mtim.tv_nsec;
	ret->ctime_s = st.st_ctim.tv_sec;
	ret->ctime_ns = st.st_ctim.tv_nsec;
}

static void take_look(const char *path, struct look *ret)
{
	TRIB_AUTO(trib_mem) char *shm = trib_pathf("%s-shm", path);
	memset(ret, 0, sizeof(*ret));
	TRIB_AUTO(trib_fd) int fd = shm ? open(shm, O_RDONLY | O_CLOEXEC) : -1;
	ret->has_index = fd >= 0 && pread(fd, ret->index, INDEX_HDR, 0) == INDEX_HDR;
	take_times(path, "", &ret->db);
	take_times(path, "-wal", &ret->wal);
	ret->wal.ctime_s = ret->wal.ctime_ns = 0; /* SQLite, run as root, sets the owner whenever it opens one */
}

/* Could a file be written once more without another time? With a wal-index its header tells every commit. */
static bool is_young(const struct look *l)
{
	struct timespec now;
	if (l->has_index && l->wal.there)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age = (now.tv_sec - l->db.mtime_s) * 1000 + (now.tv_nsec - l->db.mtime_ns) / 1000000;
	return age < (l->db.mtime_ns ? TICK_MS : WHOLE_MS);
}

static int64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- one look ---- */

static void print_line(struct trib_cli *cli, const char *event)
{
	if (cli->json) {
		char at[TRIB_TIME_LEN + 1];
		trib_time_text(at, trib_now());
		trib_json(cli, "at", json_string(at));
		trib_json(cli, "event", json_string(event));
		json_dumpf(cli->json, stdout, JSON_COMPACT | JSON_SORT_KEYS);
		fputc('\n', stdout);
		json_object_clear(cli->json);
	}
	(void)fflush(stdout); /* checked at the end; a reader who went away ends nothing here */
}

static int capture(struct trib_cli *cli, struct watch *w, struct trib_state *s, struct agent_captured *ret)
{
	if (trib_state_open(cli->state, true, s, &cli->err))
		return -1;
	cli->ctx = s;
	s->resident = true;
	int rc = trib_state_keys(s, &cli->err) || agent_finish_enrolment(cli) || agent_capture(cli, TRIB_WATCH_TEXT, false, false, ret) ? -1 : 0;
	cli->ctx = NULL;
	if (!rc && strcmp(w->db_path, s->node.db_path) != 0) {
		char *moved = strdup(s->node.db_path);
		if (moved) {
			free(w->db_path);
			w->db_path = moved;
		}
	}
	trib_state_close(s);
	return rc;
}

/* A failure is no end: the program may be busy, the disk full for an hour. What nothing can mend ends the unit by hand. */
static void say_failure(struct trib_cli *cli, struct watch *w)
{
	bool again = strcmp(w->said, cli->err.msg) == 0;
	if (!again)
		trib_talk(cli, _("this look failed, the next one tries again [%s]: %s\n"), trib_code_name(cli->err.code), cli->err.msg);
	(void)snprintf(w->said, sizeof(w->said), "%s", cli->err.msg);
	trib_json(cli, "code", json_string(trib_code_name(cli->err.code)));
	trib_json(cli, "message", json_string(cli->err.msg));
	if (!again)
		print_line(cli, "failed");
	else if (cli->json)
		json_object_clear(cli->json);
}

static void look_once(struct trib_cli *cli, struct watch *w)
{
	struct trib_state s = {.lock = TRIB_LOCK_INIT};
	struct agent_captured got = {0};
	struct look now;
	int64_t start = cpu_ns(), wall = trib_mono_ms();
	take_look(w->db_path, &now);
	w->looks++;
	if (w->known && memcmp(&now, &w->last, sizeof(now)) == 0) {
		w->idle++;
		w->idle_ns += (uint64_t)(cpu_ns() - start);
		if (cli->verbose && cli->json)
			print_line(cli, "idle");
		return;
	}
	w->known = !is_young(&now);
	w->last = now;
	if (capture(cli, w, &s, &got)) {
		w->known = false;
		say_failure(cli, w);
		return;
	}
	trib_json(cli, "look_ms", json_integer((json_int_t)(trib_mono_ms() - wall)));
	trib_json(cli, "look_cpu_ms", json_real((double)(cpu_ns() - start) / 1000000));
	w->said[0] = '\0';
	w->captures++;
	w->commits += got.changed;
	if (got.changed || got.braked || cli->verbose)
		print_line(cli, got.changed ? "committed" : got.braked ? "braked" : "unchanged");
	else if (cli->json)
		json_object_clear(cli->json);
}

/* ---- the loop ---- */

/* 0: no such option. */
static int interval_option(struct trib_cli *cli, uint64_t *ret)
{
	const char *text = trib_cli_opt(cli, "interval");
	char *end = NULL;
	*ret = 0;
	if (!text)
		return 0;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || v < 1 || v > TRIB_WATCH_S_MAX)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--interval takes 1 to %d seconds"), TRIB_WATCH_S_MAX);
	*ret = v;
	return 0;
}

static int open_once(struct trib_cli *cli, struct watch *w)
{
	TRIB_AUTO(trib_state) struct trib_state s = {.lock = TRIB_LOCK_INIT};
	if (trib_state_open(cli->state, false, &s, &cli->err))
		return -1;
	w->db_path = strdup(s.node.db_path);
	return w->db_path ? 0 : trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
}

/* Seconds until the next look; 0: `watch` was switched off meanwhile. */
static uint64_t next_wait(struct trib_cli *cli, uint64_t fixed, uint64_t before)
{
	struct trib_settings c;
	struct trib_err err;
	if (fixed)
		return fixed;
	return trib_settings_load(cli->state, &c, &err) ? before : c.watch_s;
}

static void run(struct trib_cli *cli, struct watch *w, uint64_t wait_s, uint64_t fixed, const sigset_t *ends)
{
	while (wait_s) {
		look_once(cli, w);
		wait_s = next_wait(cli, fixed, wait_s);
		struct timespec t = {.tv_sec = (time_t)wait_s};
		int got;
		do /* interrupted by a stop and continue: the rest is not worth counting */
			got = wait_s ? sigtimedwait(ends, NULL, &t) : 0;
		while (got < 0 && errno == EINTR);
		if (got > 0)
			return;
	}
}

int agent_cmd_watch(struct trib_cli *cli)
{
	struct watch w = {0};
	struct trib_settings c;
	sigset_t ends;
	uint64_t fixed;
	if (interval_option(cli, &fixed) || open_once(cli, &w) || trib_settings_load(cli->state, &c, &cli->err)) {
		free(w.db_path);
		return -1;
	}
	if (!fixed && !c.watch_s) {
		free(w.db_path);
		return trib_fail(&cli->err, TRIB_E_USAGE, _("`watch` is off in this office; try: tributary-agent config set watch on"));
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	if (cli->json)
		json_object_clear(cli->json);
	run(cli, &w, fixed ? fixed : c.watch_s, fixed, &ends);
	trib_json(cli, "looks", json_integer((json_int_t)w.looks));
	trib_json(cli, "idle", json_integer((json_int_t)w.idle));
	trib_json(cli, "idle_cpu_us", w.idle ? json_real((double)w.idle_ns / 1000 / (double)w.idle) : json_null());
	trib_json(cli, "captures", json_integer((json_int_t)w.captures));
	trib_json(cli, "commits", json_integer((json_int_t)w.commits));
	print_line(cli, "stopped");
	json_decref(cli->json); /* lines, no document */
	cli->json = NULL;
	free(w.db_path);
	return 0;
}
