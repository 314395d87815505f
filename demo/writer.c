/* writer.c: a plain application of a community office, for the demonstration (demo/run).
 *
 *   writer DBFILE COMMUNITY [--seed N] [--transactions N] [--wal]
 *
 * It knows nothing of Tributary. It opens the office's database as any program would, and works until SIGTERM (or for N transactions):
 * demands are reported and handled step by step, volunteers serve, points are booked, drafts come and go; 1 to 20 rows a transaction, short
 * pauses between them. The first run registers the community itself. */
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ULID_LEN 26
#define TIME_LEN 19
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct office {
	sqlite3 *db;
	const char *code; /* the community's division code */
	uint64_t random;
};

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/* splitmix64: the same choices for the same seed. */
static uint64_t next_random(struct office *o)
{
	uint64_t z = (o->random += 0x9e3779b97f4a7c15U);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static unsigned below(struct office *o, size_t n)
{
	return n ? (unsigned)(next_random(o) % n) : 0;
}

static void new_id(struct office *o, char ret[ULID_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	for (int i = 9; i >= 0; i--, ms >>= 5)
		ret[i] = digits[ms & 31];
	for (int i = 10; i < ULID_LEN; i++)
		ret[i] = digits[below(o, 32)];
	ret[ULID_LEN] = 0;
}

/* UTC, `ago` seconds before now, as the model writes times. */
static void time_text(char ret[TIME_LEN + 1], long ago)
{
	time_t t = time(NULL) - ago;
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(ret, TIME_LEN + 1, "%Y-%m-%d %H:%M:%S", &tm);
}

static int failed(struct office *o, const char *sql)
{
	fprintf(stderr, "writer %s: %s\n  in %s\n", o->code, sqlite3_errmsg(o->db), sql);
	return -1;
}

/* Runs one statement. `types`: s a text (NULL for none), i an int. With ret_text the first column of the first row goes there, "" when no row. */
static int run(struct office *o, char *ret_text, size_t size, const char *sql, const char *types, ...)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(o->db, sql, -1, &st, NULL) != SQLITE_OK)
		return failed(o, sql);
	va_list ap;
	va_start(ap, types);
	for (int i = 0; types[i]; i++) {
		if (types[i] == 's')
			sqlite3_bind_text(st, i + 1, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		else
			sqlite3_bind_int(st, i + 1, va_arg(ap, int));
	}
	va_end(ap);
	int rc = sqlite3_step(st);
	if (ret_text) {
		const unsigned char *text = rc == SQLITE_ROW ? sqlite3_column_text(st, 0) : NULL;
		(void)snprintf(ret_text, size, "%s", text ? (const char *)text : "");
	}
	while (rc == SQLITE_ROW)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : failed(o, sql);
}

static int count(struct office *o, const char *sql, int *ret)
{
	char text[24];
	if (run(o, text, sizeof(text), sql, ""))
		return -1;
	*ret = atoi(text);
	return 0;
}

static const char *const family[] = {"王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "罗", "冉", "田", "申"};
static const char *const skills[] = {"急救", "水电维修", "理发", "法律咨询", "心理疏导", "摄影", "书法", "太极拳", "手机教学", "仡佬语翻译"};

/* A volunteer under a masked name. */
static int add_volunteer(struct office *o)
{
	char id[ULID_LEN + 1], name[16], skill[64];
	new_id(o, id);
	(void)snprintf(name, sizeof(name), "%s**", family[below(o, COUNT(family))]);
	(void)snprintf(skill, sizeof(skill), "%s、%s", skills[below(o, COUNT(skills))], skills[below(o, COUNT(skills))]);
	return run(o, NULL, 0, "INSERT INTO volunteer(id, name_masked, home, skills) VALUES(?,?,?,?)", "ssss", id, name, o->code, skill);
}

/* One existing volunteer; "" when there is none. */
static int some_volunteer(struct office *o, char *ret, size_t size)
{
	int n;
	if (count(o, "SELECT count(*) FROM volunteer", &n))
		return -1;
	return run(o, ret, size, "SELECT id FROM volunteer ORDER BY id LIMIT 1 OFFSET ?", "i", (int)below(o, (size_t)n));
}

static int add_team(struct office *o, const char *name, const char *kind)
{
	char id[ULID_LEN + 1];
	new_id(o, id);
	return run(o, NULL, 0, "INSERT INTO team(id, community, name, kind, founded_on) VALUES(?,?,?,?,'2024-01-01')", "ssss", id, o->code, name, kind);
}

/* First run: the community registers itself, its staff, two teams and its first volunteers. */
static int register_community(struct office *o)
{
	int n;
	if (run(o, NULL, 0, "INSERT INTO community(code, brand) VALUES(?, '红色美丽楼栋') ON CONFLICT DO NOTHING", "s", o->code) ||
	    count(o, "SELECT count(*) FROM staff", &n))
		return -1;
	if (n)
		return 0;
	static const char *const roles[] = {"secretary", "officer", "grid_officer", "building_leader"};
	for (size_t i = 0; i < COUNT(roles); i++) {
		char id[ULID_LEN + 1], name[16];
		new_id(o, id);
		(void)snprintf(name, sizeof(name), "%s**", family[below(o, COUNT(family))]);
		if (run(o, NULL, 0, "INSERT INTO staff(id, community, name_masked, role, from_on) VALUES(?,?,?,?,'2024-01-01')", "ssss", id, o->code, name, roles[i]))
			return -1;
	}
	if (add_team(o, "红色跑团", "run") || add_team(o, "红色帮帮团", "help"))
		return -1;
	for (int i = 0; i < 8; i++)
		if (add_volunteer(o))
			return -1;
	return 0;
}

static int add_event(struct office *o, const char *demand, const char *action, const char *payload)
{
	char id[ULID_LEN + 1], at[TIME_LEN + 1], actor[ULID_LEN + 1];
	new_id(o, id);
	time_text(at, 0);
	if (run(o, actor, sizeof(actor), "SELECT id FROM staff ORDER BY id LIMIT 1 OFFSET ?", "i", (int)below(o, 4)))
		return -1;
	return run(o, NULL, 0, "INSERT INTO demand_event(id, demand, at, node, actor_kind, actor, action, payload) VALUES(?,?,?,?,'staff',?,?,?)", "sssssss", id,
		   demand, at, o->code, actor, action, payload);
}

/* A title begins with the building's number. */
static const struct {
	const char *category, *title;
} problems[] = {
	{"utility-water", "栋停水，老人做饭困难"},
	{"utility-power", "栋二单元夜间停电"},
	{"plain-noise", "栋楼下烧烤摊噪声扰民"},
	{"plain-parking", "栋前车位被长期占用"},
	{"plain-environment", "栋垃圾桶满溢，请求清理"},
	{"hard-roof", "栋顶楼房顶漏水"},
	{"hard-pipes", "栋排水管道老化堵塞"},
	{"danger-falling", "栋外墙瓷砖松动，有坠落危险"},
	{"danger-gas", "栋楼道闻到燃气味"},
};
static const char *const sources[] = {"miniapp", "phone", "grid", "building", "hotline", "visit"};

static int report_demand(struct office *o)
{
	char id[ULID_LEN + 1], at[TIME_LEN + 1], title[128];
	unsigned p = below(o, COUNT(problems));
	(void)snprintf(title, sizeof(title), "%u%s", 1 + below(o, 30), problems[p].title);
	new_id(o, id);
	time_text(at, (long)below(o, 7200));
	if (run(o, NULL, 0,
		"INSERT INTO demand(id, community, category, source, title, reported_at, due_at, status) "
		"SELECT ?1, ?2, code, ?4, ?5, ?6, datetime(?6, '+'||close_hours||' hours'), 'reported' FROM demand_category WHERE code = ?3",
		"ssssss", id, o->code, problems[p].category, sources[below(o, COUNT(sources))], title, at))
		return -1;
	return add_event(o, id, "report", NULL);
}

/* Moves one open demand a legal step on: the table demand_transition says where to. */
static int handle_demand(struct office *o)
{
	static const struct {
		const char *status, *action, *payload;
	} steps[] = {
		{"reported", "accept", NULL}, {"accepted", "claim", NULL}, {"assigned", "handle", "{\"note\":\"已到现场查看\"}"}, {"handling", "close", "{\"note\":\"已处理完毕\"}"},
	};
	char id[ULID_LEN + 1], status[32], to[32], at[TIME_LEN + 1];
	int n;
	if (count(o, "SELECT count(*) FROM demand WHERE status IN ('reported', 'accepted', 'assigned', 'handling')", &n))
		return -1;
	if (!n)
		return report_demand(o);
	if (run(o, id, sizeof(id), "SELECT id FROM demand WHERE status IN ('reported', 'accepted', 'assigned', 'handling') ORDER BY id LIMIT 1 OFFSET ?", "i",
		(int)below(o, (size_t)n)) ||
	    run(o, status, sizeof(status), "SELECT status FROM demand WHERE id = ?", "s", id))
		return -1;
	size_t s = 0;
	while (s + 1 < COUNT(steps) && strcmp(steps[s].status, status) != 0)
		s++;
	time_text(at, 0);
	if (run(o, to, sizeof(to), "SELECT to_status FROM demand_transition WHERE from_status = ? AND action = ?", "ss", status, steps[s].action) ||
	    run(o, NULL, 0,
		"UPDATE demand SET status = ?2, closed_at = iif(?2 = 'closed', ?3, closed_at), solved = iif(?2 = 'closed', ?4, solved), "
		"satisfied = iif(?2 = 'closed', ?5, satisfied) WHERE id = ?1",
		"sssii", id, to, at, below(o, 20) != 0, (int)(3 + below(o, 3))))
		return -1;
	return add_event(o, id, steps[s].action, steps[s].payload);
}

/* A volunteer serves: the hours and the points for them. */
static int serve(struct office *o)
{
	char volunteer[ULID_LEN + 1], team[ULID_LEN + 1], time_id[ULID_LEN + 1], points_id[ULID_LEN + 1], from[TIME_LEN + 1], to[TIME_LEN + 1];
	int minutes = (int)(30 + below(o, 90));
	new_id(o, time_id);
	new_id(o, points_id);
	time_text(from, minutes * 60L);
	time_text(to, 0);
	if (some_volunteer(o, volunteer, sizeof(volunteer)) ||
	    run(o, team, sizeof(team), "SELECT id FROM team ORDER BY id LIMIT 1 OFFSET ?", "i", (int)below(o, 2)) ||
	    run(o, NULL, 0, "INSERT INTO volunteer_time(id, volunteer, community, team, started_at, ended_at, minutes) VALUES(?,?,?,?,?,?,?)", "ssssssi", time_id,
		volunteer, o->code, team, from, to, minutes))
		return -1;
	return run(o, NULL, 0,
		   "INSERT INTO points_entry(id, person, rule, rule_version, points, community, at, source, source_id) "
		   "SELECT ?1, ?2, code, version, points, ?3, ?4, 'volunteer_time', ?5 FROM points_rule WHERE code = 'hour'",
		   "sssss", points_id, volunteer, o->code, to, time_id);
}

static int redeem(struct office *o)
{
	char volunteer[ULID_LEN + 1], id[ULID_LEN + 1], at[TIME_LEN + 1], balance[24];
	if (some_volunteer(o, volunteer, sizeof(volunteer)) ||
	    run(o, balance, sizeof(balance), "SELECT coalesce(sum(points), 0) FROM points_entry WHERE person = ?", "s", volunteer))
		return -1;
	if (atoi(balance) < 10)
		return serve(o);
	new_id(o, id);
	time_text(at, 0);
	return run(o, NULL, 0,
		   "INSERT INTO points_entry(id, person, rule, rule_version, points, community, at, source, source_id) VALUES(?1,?2,'redeem',1,-10,?3,?4,'shop',?1)", "ssss",
		   id, volunteer, o->code, at);
}

static int learn(struct office *o)
{
	char volunteer[ULID_LEN + 1];
	if (some_volunteer(o, volunteer, sizeof(volunteer)))
		return -1;
	return run(o, NULL, 0, "UPDATE volunteer SET skills = ? WHERE id = ?", "ss", skills[below(o, COUNT(skills))], volunteer);
}

/* Activities are drafted, and drafts are thrown away: the one thing that is deleted. */
static int draft(struct office *o)
{
	static const char *const titles[] = {"红色基因传承日", "青少年避险救护课", "重阳节敬老活动", "楼道清理志愿行动"};
	char id[ULID_LEN + 1], from[TIME_LEN + 1], to[TIME_LEN + 1];
	int n;
	if (count(o, "SELECT count(*) FROM activity WHERE status = 'draft'", &n))
		return -1;
	if (n > 3 || (n && below(o, 3) == 0))
		return run(o, NULL, 0, "DELETE FROM activity WHERE id = (SELECT min(id) FROM activity WHERE status = 'draft')", "");
	new_id(o, id);
	time_text(from, -86400L * 7);
	time_text(to, -86400L * 7 - 7200);
	return run(o, NULL, 0, "INSERT INTO activity(id, community, kind, title, starts_at, ends_at, place, quota, status) VALUES(?,?,'charity',?,?,?,'社区广场',30,'draft')",
		   "sssss", id, o->code, titles[below(o, COUNT(titles))], from, to);
}

static int transaction(struct office *o)
{
	if (run(o, NULL, 0, "BEGIN IMMEDIATE", ""))
		return -1;
	for (unsigned i = 1 + below(o, 10); i > 0; i--) { /* one or two rows each */
		unsigned what = below(o, 100);
		int rc = what < 25 ? report_demand(o) : what < 60 ? handle_demand(o) : what < 78 ? serve(o) : what < 84 ? redeem(o) : what < 90 ? add_volunteer(o) :
			 what < 95 ? learn(o) : draft(o);
		if (rc)
			return -1;
	}
	return run(o, NULL, 0, "COMMIT", "");
}

static int work(struct office *o, long transactions, bool wal)
{
	sqlite3_busy_timeout(o->db, 10000);
	if (run(o, NULL, 0, wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE", "") || run(o, NULL, 0, "PRAGMA foreign_keys = ON", "") ||
	    run(o, NULL, 0, "BEGIN IMMEDIATE", "") || register_community(o) || run(o, NULL, 0, "COMMIT", ""))
		return -1;
	for (long i = 0; !stop && (transactions == 0 || i < transactions); i++) {
		if (transaction(o))
			return -1;
		if (transactions == 0) {
			struct timespec pause = {.tv_nsec = (long)(20 + below(o, 180)) * 1000000};
			nanosleep(&pause, NULL); /* a signal ends it early */
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct office o = {.random = (uint64_t)time(NULL)};
	long transactions = 0;
	bool wal = false;
	const char *file = NULL;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--wal") == 0)
			wal = true;
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			o.random = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--transactions") == 0 && i + 1 < argc)
			transactions = strtol(argv[++i], NULL, 10);
		else if (!file)
			file = argv[i];
		else
			o.code = argv[i];
	}
	if (!file || !o.code || transactions < 0) {
		fprintf(stderr, "usage: writer DBFILE COMMUNITY [--seed N] [--transactions N] [--wal]\n");
		return 2;
	}
	struct sigaction act = {.sa_handler = on_term};
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	if (sqlite3_open_v2(file, &o.db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
		fprintf(stderr, "writer: %s: %s\n", file, sqlite3_errmsg(o.db));
		sqlite3_close(o.db);
		return 1;
	}
	int rc = work(&o, transactions, wal);
	sqlite3_close(o.db);
	return rc ? 1 : 0;
}
