/* writer.c: the application of bench/capture, and SQLite's own way to compare two states. SQLite alone, nothing of ours.
 *
 *   writer write DB COUNT PAUSE plain|session      COUNT transactions of 20 rows on workload W, PAUSE microseconds between two ("PAUSE,N,REST": and
 *                                                  REST after each N of them); one line of "name value" pairs:
 *                                                  commits, busy (SQLITE_BUSY that an application without a timeout would have
 *                                                  seen), cpu_us (per transaction), p50, p99 and max (ms from BEGIN to COMMIT)
 *   writer diff OLD NEW FILE                       sqlite3session_diff of every table, changeset into FILE */
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <err.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static sqlite3 *db;

static void must(int rc, const char *what)
{
	if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
		errx(1, "%s: %s", what, sqlite3_errmsg(db));
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void nap_us(long us)
{
	struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	nanosleep(&t, NULL);
}

/* ---- the application ---- */

enum { TICKET, VISIT, RESIDENT, GONE, BEGIN, COMMIT, STATEMENTS };
static const char *const sql[STATEMENTS] = {
	[TICKET] = "INSERT INTO ticket(resident, title, body, status, at) VALUES(?1, '诉求', '停水两小时，请告知恢复时间。', 'open', '2025-03-01 20:00:00')",
	[VISIT] = "INSERT INTO visit(household, at, note) VALUES(?1, '2025-03-01 10:00:00', '走访')",
	[RESIDENT] = "UPDATE resident SET phone = '139' || (10000000 + ?1 % 90000000), born = born + 1 WHERE id = ?1",
	[GONE] = "DELETE FROM visit WHERE id = ?1",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
};
static const char plan[20] = {TICKET, TICKET, TICKET, TICKET, TICKET, TICKET, VISIT, VISIT, VISIT, VISIT, VISIT, VISIT,
			      RESIDENT, RESIDENT, RESIDENT, RESIDENT, RESIDENT, RESIDENT, RESIDENT, GONE};
static sqlite3_stmt *st[STATEMENTS];
static int64_t most;

static void step(int i)
{
	must(sqlite3_step(st[i]), sql[i]);
	must(sqlite3_reset(st[i]), sql[i]);
}

static void transaction(void)
{
	static uint64_t seed = 88172645463325252u;
	step(BEGIN);
	for (size_t i = 0; i < sizeof(plan); i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		must(sqlite3_bind_int64(st[(int)plan[i]], 1, 1 + (int64_t)(seed % (uint64_t)most)), "bind");
		step(plan[i]);
	}
	step(COMMIT);
}

/* Counts once a wait, not once a try. */
static int busy(void *ctx, int tries)
{
	if (tries == 0)
		++*(unsigned *)ctx;
	nap_us(1000);
	return tries < 10000;
}

static int by_time(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void prepare(void)
{
	sqlite3_stmt *max;
	for (int i = 0; i < STATEMENTS; i++)
		must(sqlite3_prepare_v2(db, sql[i], -1, &st[i], NULL), sql[i]);
	must(sqlite3_prepare_v2(db, "SELECT max(id) FROM household", -1, &max, NULL), "max");
	must(sqlite3_step(max), "max");
	most = sqlite3_column_int64(max, 0);
	sqlite3_finalize(max);
	if (most < 1)
		errx(1, "not a database of workload W");
}

static double cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void write_on(const char *path, size_t count, const char *pauses, bool session)
{
	long pause_us = 0, group = 0, rest_us = 0;
	if (sscanf(pauses, "%ld,%ld,%ld", &pause_us, &group, &rest_us) == 2)
		errx(2, "PAUSE is a number, or PAUSE,N,REST");
	sqlite3_session *s = NULL;
	void *changes = NULL;
	unsigned waits = 0;
	int bytes = 0;
	double *took = calloc(count, sizeof(*took));
	if (!took)
		err(1, "memory");
	must(sqlite3_open(path, &db), path);
	must(sqlite3_busy_handler(db, busy, &waits), path);
	must(sqlite3_exec(db, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL), path);
	prepare();
	if (session) {
		must(sqlite3session_create(db, "main", &s), "session");
		must(sqlite3session_attach(s, NULL), "session");
	}
	double begin = cpu_us();
	for (size_t i = 0; i < count; i++) {
		double t0 = now_ms();
		transaction();
		took[i] = now_ms() - t0;
		nap_us(pause_us);
		if (group > 0 && (i + 1) % (size_t)group == 0)
			nap_us(rest_us);
	}
	if (session) /* its changeset is made in the application, too */
		must(sqlite3session_changeset(s, &bytes, &changes), "changeset");
	double used = cpu_us() - begin;
	qsort(took, count, sizeof(*took), by_time);
	printf("commits %zu busy %u cpu_us %.1f p50 %.4f p99 %.4f max %.3f\n", count, waits, used / (double)count, took[count / 2], took[count * 99 / 100],
	       took[count - 1]);
	free(took);
	sqlite3_free(changes);
	if (s)
		sqlite3session_delete(s);
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(st[i]);
	must(sqlite3_close(db), path);
}

/* ---- sqlite3session_diff ---- */

static void diff(const char *old_path, const char *new_path, const char *out)
{
	sqlite3_stmt *q;
	sqlite3_session *s;
	char *msg = NULL;
	void *changes = NULL;
	int n = 0;
	must(sqlite3_open(new_path, &db), new_path);
	must(sqlite3_prepare_v2(db, "ATTACH ?1 AS old", -1, &q, NULL), "attach");
	must(sqlite3_bind_text(q, 1, old_path, -1, SQLITE_STATIC), "attach");
	must(sqlite3_step(q), "attach");
	sqlite3_finalize(q);
	must(sqlite3session_create(db, "main", &s), "session");
	must(sqlite3_prepare_v2(db, "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", -1, &q, NULL), "tables");
	while (sqlite3_step(q) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(q, 0);
		must(sqlite3session_attach(s, name), name);
		if (sqlite3session_diff(s, "old", name, &msg))
			errx(1, "%s: %s", name, msg ? msg : "cannot be compared");
	}
	sqlite3_finalize(q);
	must(sqlite3session_changeset(s, &n, &changes), "changeset");
	FILE *f = fopen(out, "w");
	if (!f || (n && fwrite(changes, (size_t)n, 1, f) != 1) || fclose(f))
		err(1, "%s", out);
	sqlite3_free(changes);
	sqlite3session_delete(s);
	must(sqlite3_close(db), new_path);
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "write") == 0)
		write_on(argv[2], (size_t)strtoul(argv[3], NULL, 10), argv[4], strcmp(argv[5], "session") == 0);
	else if (argc == 5 && strcmp(argv[1], "diff") == 0)
		diff(argv[2], argv[3], argv[4]);
	else
		errx(2, "usage: writer write DB COUNT PAUSE plain|session, or writer diff OLD NEW FILE");
	return 0;
}
