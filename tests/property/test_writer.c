/* test_writer.c: captures beside a program that writes all the time: every captured state is one that stood between two of its transactions, and
 * the program meets no SQLITE_BUSY that is ours. PROPERTY_ROUNDS / 40 captures (64 to 500), over four journal settings, with and without busy_timeout.
 *
 * Commits made beside two of these programs are each restored from the history: the same invariant, and the very state that was captured.
 *
 * The invariant: the accounts sum up to 0, and `meta` holds the number of notes and the sum of their lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/held.h"
#include "agent/outbox.h"
#include "tests/lib/scratch.h"

#define ACCOUNTS 300

struct counts { _Atomic uint64_t tries, busy, commits, odd; bool refused; };

struct setting {
	const char *pragma;
	bool wal;
	unsigned pause_us, rest_ms; /* after each transaction; at random after one in twenty */
	int64_t patience_ms;        /* of the capture; 0: the usual one */
};
static const struct setting settings[] = {
	{"PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=1000", true, 500, 0, 0},
	{"PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=50", true, 0, 0, 0},
	{"PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=5; PRAGMA journal_size_limit=0", true, 200, 0, 0},
	{"PRAGMA journal_mode=DELETE", false, 1000, 150, 0},
	{"PRAGMA journal_mode=DELETE", false, 300, 0, 5},
	{"PRAGMA journal_mode=PERSIST", false, 1000, 0, 5},
};

/* ---- the program ---- */

static uint32_t rnd(uint64_t *s, uint32_t n)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)((*s >> 11) % n);
}

static void nap(unsigned us)
{
	struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};
	nanosleep(&ts, NULL);
}

/* Who holds the lock for a microsecond may lose the processor meanwhile: what is refused again and again was refused once. */
static int step(sqlite3 *db, struct counts *c, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	bool again = c->refused;
	c->refused = (rc & 0xff) == SQLITE_BUSY;
	if (c->refused)
		c->busy += again ? 0 : 1;
	else if (rc)
		c->odd++;
	return rc;
}

/* One transaction: a transfer, notes that come and go, or all of it taken back. */
static void transact(sqlite3 *db, struct counts *c, uint64_t *s)
{
	char sql[768];
	unsigned from = 1 + rnd(s, ACCOUNTS), to = 1 + rnd(s, ACCOUNTS), n = 1 + rnd(s, 100), notes = rnd(s, 4), size = rnd(s, 3000);
	c->tries++;
	if (step(db, c, "BEGIN IMMEDIATE"))
		return;
	(void)snprintf(sql, sizeof(sql),
		"UPDATE account SET v=v-%u WHERE id=%u; UPDATE account SET v=v+%u WHERE id=%u;"
		"INSERT INTO note(body) WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM k WHERE i<%u) SELECT randomblob(%u) FROM k WHERE i>0;"
		"DELETE FROM note WHERE id %% 5 = %u AND id < (SELECT max(id) FROM note) - 40;"
		"UPDATE meta SET n=(SELECT count(*) FROM note), bytes=(SELECT coalesce(sum(length(body)),0) FROM note)",
		n, from, n, to, notes, size, rnd(s, 5));
	int rc = step(db, c, sql);
	if (!rc && rnd(s, 10) && !step(db, c, "COMMIT"))
		c->commits++;
	else if (!sqlite3_get_autocommit(db))
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

static void write_for_ever(const char *path, const struct setting *set, bool patient, struct counts *c)
{
	uint64_t s = 88172645463325252u;
	sqlite3 *db = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sqlite3_open(path, &db))
		_exit(1);
	sqlite3_busy_timeout(db, patient ? 5000 : 0);
	/* A small cache spills unfinished transactions into the file. */
	(void)sqlite3_exec(db, set->pragma, NULL, NULL, NULL);
	(void)sqlite3_exec(db, "PRAGMA synchronous=OFF; PRAGMA cache_size=12", NULL, NULL, NULL);
	for (;;) {
		transact(db, c, &s);
		nap(set->pause_us);
		if (set->rest_ms && !rnd(&s, 20))
			nap(1000 * rnd(&s, set->rest_ms));
	}
}

/* ---- the captures ---- */

static int64_t one(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) || sqlite3_step(st) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	int64_t v = sqlite3_column_type(st, 0) == SQLITE_TEXT ? strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0 : sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static void is_a_state(sqlite3 *db)
{
	assert_int_equal(one(db, "PRAGMA integrity_check"), 0);
	assert_int_equal(one(db, "SELECT sum(v) FROM account"), 0);
	assert_int_equal(one(db, "SELECT count(*) FROM account"), ACCOUNTS);
	assert_int_equal(one(db, "SELECT (SELECT count(*) FROM note) - n FROM meta"), 0);
	assert_int_equal(one(db, "SELECT (SELECT coalesce(sum(length(body)),0) FROM note) - bytes FROM meta"), 0);
	sqlite3_close(db);
}

struct ways { unsigned wal, optimistic, locked, backup; };

static void count_way(struct ways *w, const char *way)
{
	unsigned *n = strcmp(way, "wal-raw") == 0 ? &w->wal : strcmp(way, "optimistic") == 0 ? &w->optimistic : strcmp(way, "locked") == 0 ? &w->locked : &w->backup;
	++*n;
}

/* The pages become the baseline, under a commit that says nothing. */
static void commit_pages(struct scratch *x, struct trib_delta *d)
{
	uint8_t oid[TRIB_OID_LEN], was[TRIB_OID_LEN];
	struct trib_tip tip = {0};
	bool had = x->s.tip.exists;
	memcpy(was, x->s.tip.oid, sizeof(was));
	scratch_commit_object(x, (unsigned)x->s.tip.seq + 1, oid);
	scratch_next_tip(x, NULL, oid, &tip);
	OK(trib_pending_commit(&x->s, d, had ? was : NULL, oid, &tip, err));
	OK(trib_pending_recover(&x->s, err));
	trib_tip_release(&tip);
}

/* Every other capture is committed, so that the baseline advances by the differing pages alone. */
static void capture(struct scratch *x, bool commit, int64_t patience_ms, struct ways *w)
{
	const struct trib_snapshot_opts opts = {.patience_ms = patience_ms};
	sqlite3 *db = NULL;
	if (commit && !patience_ms) {
		struct trib_capture c = {.delta.fd = -1};
		(void)scratch_commit(x, &c);
		count_way(w, c.snapshot);
		trib_capture_release(&c);
		OK(trib_delta_open_old(&x->s, &db, err));
		is_a_state(db);
		return;
	}
	struct trib_delta d = {.fd = -1};
	uint64_t pages;
	OK(trib_snapshot_by(&x->s, &opts, &d, &pages, err));
	count_way(w, d.way);
	OK(trib_delta_open_new(&x->s, &d, &db, err));
	is_a_state(db);
	if (commit) {
		commit_pages(x, &d);
		OK(trib_delta_open_old(&x->s, &db, err));
		is_a_state(db);
	}
	trib_delta_release(&d);
}

static void make(const char *path, unsigned ballast)
{
	char sql[512];
	sqlite3 *db = sql_open(path);
	(void)snprintf(sql, sizeof(sql),
		"BEGIN; CREATE TABLE account(id INTEGER PRIMARY KEY, v INT NOT NULL); CREATE TABLE note(id INTEGER PRIMARY KEY, body BLOB);"
		"CREATE TABLE meta(n INT, bytes INT); INSERT INTO meta VALUES(0, 0);"
		"INSERT INTO account WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM k WHERE i<%d) SELECT i, 0 FROM k;"
		"CREATE TABLE ballast(id INTEGER PRIMARY KEY, b); INSERT INTO ballast WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM k WHERE i<%u)"
		" SELECT i, zeroblob(3500) FROM k; COMMIT", ACCOUNTS, ballast);
	sql_run(db, sql);
	sqlite3_close(db);
}

/* The program, at work already. */
static pid_t start(const char *path, const struct setting *set, bool patient, struct counts *c)
{
	*c = (struct counts){0};
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_for_ever(path, set, patient, c);
	while (c->commits < 20)
		nap(1000);
	return pid;
}

static void stop(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* A new state for the next capture. */
static void await_another(const struct counts *c, uint64_t seen)
{
	for (int j = 0; j < 1000 && c->tries == seen; j++)
		nap(2000);
}

static void beside(const struct setting *set, bool patient, unsigned captures, struct counts *c)
{
	struct scratch x;
	struct ways w = {0};
	scratch_make(&x);
	make(x.db, captures % 2 ? 2000 : 20); /* with 8 MB two threads compare */
	pid_t pid = start(x.db, set, patient, c);
	uint64_t tries = c->tries, busy = c->busy;
	nap(200000);
	double alone = c->tries > tries ? (double)(c->busy - busy) * 100 / (double)(c->tries - tries) : 0;
	tries = c->tries, busy = c->busy;
	for (unsigned i = 0; i < captures; i++) {
		uint64_t seen = c->tries;
		capture(&x, i % 2, set->patience_ms, &w);
		await_another(c, seen);
	}
	tries = c->tries - tries;
	busy = c->busy - busy;
	stop(pid);
	print_message("# %s, %s: %u captures (wal-raw %u, optimistic %u, locked %u, backup %u); %llu transactions, SQLITE_BUSY %llu (%.2f %% alone)\n", set->pragma,
		      patient ? "patient" : "no busy_timeout", captures, w.wal, w.optimistic, w.locked, w.backup, (unsigned long long)tries,
		      (unsigned long long)busy, alone);
	assert_true(tries > 0);
	assert_int_equal(c->odd, 0);
	if (patient)
		assert_int_equal(busy, 0);
	if (set->wal) /* any reader that finds a torn wal-index header takes the write lock for a moment: rare, and SQLite's own */
		assert_true(busy <= captures);
	if (set->wal)
		assert_int_equal(w.locked, 0);
	else
		assert_int_equal(w.wal + w.backup, 0);
	if (set->patience_ms) /* this program gives no time to read */
		assert_true(w.locked > 0);
	scratch_free(&x);
}

static unsigned captures_each(void)
{
	const char *text = getenv("PROPERTY_ROUNDS");
	unsigned long rounds = text ? strtoul(text, NULL, 10) / 40 : 64;
	return (unsigned)((rounds < 64 ? 64 : rounds > 500 ? 500 : rounds) / (2 * TRIB_COUNT(settings)));
}

static struct counts *shared(void)
{
	struct counts *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(c, MAP_FAILED);
	return c;
}

static void every_capture_is_one_state(void **state)
{
	(void)state;
	unsigned each = captures_each();
	struct counts *c = shared();
	for (size_t i = 0; i < TRIB_COUNT(settings); i++) {
		beside(&settings[i], true, each + 1, c);
		beside(&settings[i], false, each + i % 2, c);
	}
	munmap(c, sizeof(*c));
}

/* ---- commits, restored ---- */

struct kept { uint8_t oid[TRIB_OID_LEN]; int64_t print[4]; };

/* Enough to tell one state of this program from another. */
static void fingerprint(sqlite3 *db, int64_t ret[4])
{
	ret[0] = one(db, "SELECT sum(id * v) FROM account");
	ret[1] = one(db, "SELECT n FROM meta");
	ret[2] = one(db, "SELECT bytes FROM meta");
	ret[3] = one(db, "SELECT coalesce(max(id), 0) FROM note");
}

/* As a night does it, by pages; false: the program had taken back all that it did since. */
static bool commit(struct scratch *x, struct kept *ret)
{
	struct trib_capture c = {.delta.fd = -1};
	struct trib_committed done;
	sqlite3 *db = NULL;
	OK(trib_capture_run(&x->s, &trib_engine_page, &c, err));
	bool changed = c.changed;
	if (changed) {
		OK(trib_outbox_commit(&x->s, &c, "", &done, err));
		memcpy(ret->oid, done.oid, TRIB_OID_LEN);
		OK(trib_delta_open_old(&x->s, &db, err));
		fingerprint(db, ret->print);
		is_a_state(db);
	}
	trib_capture_release(&c);
	return changed;
}

static void restore(struct scratch *x, const struct trib_history *h, const struct kept *k)
{
	struct trib_restored done = {0};
	char to[112];
	sqlite3 *db = NULL;
	int64_t print[4];
	(void)snprintf(to, sizeof(to), "%s/restored.db", x->dir);
	OK(trib_replay_to_file(h, k->oid, NULL, to, &done, err));
	assert_int_equal(sqlite3_open_v2(to, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	fingerprint(db, print);
	assert_memory_equal(print, k->print, sizeof(print));
	is_a_state(db);
	trib_restored_release(&done);
	assert_int_equal(unlink(to), 0);
}

static void commits_beside(const struct setting *set, unsigned captures, struct counts *c)
{
	struct scratch x;
	struct trib_held_list held = {0};
	size_t n = 0, differ = 0;
	struct kept *kept = calloc(captures, sizeof(*kept));
	assert_non_null(kept);
	scratch_make(&x);
	OK(trib_state_keys(&x.s, err));
	make(x.db, 20);
	pid_t pid = start(x.db, set, true, c);
	for (unsigned i = 0; i < captures; i++) {
		n += commit(&x, &kept[n]);
		uint64_t seen = c->commits; /* one may be done and not counted yet */
		for (int j = 0; j < 1000 && c->commits < seen + 2; j++)
			nap(2000);
	}
	stop(pid);
	assert_int_equal(c->odd + c->busy, 0);
	assert_int_equal(x.s.tip.seq, n); /* none is a group */
	OK(trib_held_load(&x.s, false, &held, err));
	const struct trib_history h = trib_own_history(&x.s, &held);
	for (size_t i = 0; i < n; i++) {
		restore(&x, &h, &kept[i]);
		differ += i && memcmp(kept[i].print, kept[i - 1].print, sizeof(kept->print)) != 0;
	}
	print_message("# %s: %zu commits of %u captures restored, after %llu transactions\n", set->pragma, n, captures, (unsigned long long)c->commits);
	assert_true(n >= captures * 3 / 4);
	assert_int_equal(differ, n - 1);
	trib_held_release(&held);
	free(kept);
	scratch_free(&x);
}

static void every_commit_restores_to_its_state(void **state)
{
	static const size_t which[] = {1, 3}; /* a -wal that is copied again and again, and a journal */
	(void)state;
	struct counts *c = shared();
	for (size_t i = 0; i < TRIB_COUNT(which); i++)
		commits_beside(&settings[which[i]], captures_each() * 2, c);
	munmap(c, sizeof(*c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_capture_is_one_state), cmocka_unit_test(every_commit_restores_to_its_state)};
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
