#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/base/clock.h"
#include "hub/night.h"
#include "hub/tiles.h"
#include "tests/lib/mkhub.h"

static struct mkhub hub;

#define DAY 86400

static int start(void **state)
{
	(void)state;
	mkhub_two(&hub);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mkhub_free(&hub);
	return 0;
}

static int make(int64_t now)
{
	struct trib_err e;
	int rc = trib_night_make(&hub.db, now, &e);
	if (rc < 0)
		fail_msg("%s", e.msg);
	if (now > hub.now)
		hub.now = now;
	return rc;
}

static int64_t counts(const char *column)
{
	char sql[100];
	int64_t n = -1;
	(void)snprintf(sql, sizeof(sql), "SELECT %s FROM night ORDER BY idx DESC LIMIT 1", column);
	HUB_OK(trib_db_int(hub.db.db, sql, -1, &n, err));
	return n;
}

static void a_night_closes_at_eight_in_the_city(void **state)
{
	(void)state;
	int64_t t;
	HUB_OK(trib_time_parse(trib_span_str("2026-11-26T00:00:00Z"), &t, err)); /* 08:00 in Zunyi */
	assert_int_equal(trib_night_close(t), t);
	assert_int_equal(trib_night_close(t - 1), t - DAY);
	assert_int_equal(trib_night_close(t + DAY - 1), t);
	assert_int_equal(trib_night_close(-1) % DAY, 0);
	assert_true(trib_night_close(-1) < 0);
}

static void a_list_is_made_once_a_night_and_names_the_silent(void **state)
{
	(void)state;
	int64_t close = trib_night_close(hub.now) + DAY;
	assert_int_equal(make(close - 1), 0);
	assert_int_equal(make(close), 1);
	assert_int_equal(make(close + 5), 0);
	assert_int_equal(counts("expected"), 2);
	assert_int_equal(counts("silent"), 0);
	mkhub_commit(&hub, 1, "INSERT INTO person VALUES(2,'b')");
	assert_int_equal(make(close + DAY), 1);
	assert_int_equal(counts("reported"), 1);
	assert_int_equal(counts("silent"), 1);
	mkhub_merge(&hub);
	assert_audit_proves(&hub);
	/* Days without a hub are one list. */
	assert_int_equal(make(close + 5 * DAY + 60), 1);
	assert_int_equal(counts("to_at") - counts("from_at"), 4 * DAY);
	assert_int_equal(counts("silent"), 2);
	mkhub_checkpoint(&hub);
	assert_audit_proves(&hub);
}

/* What a lying hub would append instead of the keeper's list. */
static void forge(int64_t from, int64_t to, const char *nodes, uint64_t expected, uint64_t reported, uint64_t silent)
{
	struct trib_leaf leaf = {.kind = TRIB_LEAF_NIGHT, .time = to, .from = from, .to = to, .expected = expected, .reported = reported, .silent = silent};
	struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	char a[TRIB_TIME_LEN + 1], b[TRIB_TIME_LEN + 1];
	uint64_t end;
	int64_t first;
	HUB_OK(trib_log_size(&hub.db, &end, err));
	HUB_OK(trib_db_int(hub.db.db, "SELECT max(idx) + 1 FROM night", 0, &first, err));
	trib_time_text(a, from);
	trib_time_text(b, to);
	trib_buf_puts(&text, "format tributary-night-1\ncity ");
	trib_pct(&text, trib_span_str(MK_CITY));
	trib_buf_printf(&text, "\nfrom %s\nto %s\nleaves %llu %llu\n%s", a, b, (unsigned long long)first, (unsigned long long)end, nodes);
	HUB_OK(trib_named_write(&hub.hub, trib_buf_span(&text), leaf.sha256, err));
	HUB_OK(trib_hubdb_begin(&hub.db, err));
	mkhub_append(&hub, &leaf, NULL);
	HUB_OK(trib_hubdb_commit(&hub.db, err));
	mkhub_checkpoint(&hub);
	trib_buf_release(&text);
}

#define LINE(node, word) "node " node " " MK_APP " " word "\n"

static void a_list_that_hides_a_silent_node_is_named(void **state)
{
	(void)state;
	int64_t close = trib_night_close(hub.now) + DAY;
	static const struct { const char *nodes; uint64_t n[3]; const char *finding; } lies[] = {
		{LINE(MK_NODE, "reported") LINE("N2", "reported"), {2, 2, 0}, MK_NODE "/" MK_APP " #0 - [-] the nightly list of"},
		{LINE(MK_NODE, "reported") LINE("N2", "reported"), {2, 2, 0}, "says it reported, but it was silent"},
		{LINE("N2", "reported"), {1, 1, 0}, "leaves it out; it was silent"},
		{LINE(MK_NODE, "silent"), {1, 0, 1}, "N2/" MK_APP " #0 - [-] the nightly list of"},
		{LINE(MK_NODE, "silent") LINE("N2", "silent"), {2, 0, 2}, "calls it silent, but a commit of it is in the log"},
		{LINE(MK_NODE, "silent") LINE("N2", "reported") LINE("N3", "reported"), {3, 2, 1}, "N3/" MK_APP " #0 - [-] the nightly list"},
		{LINE(MK_NODE, "silent") LINE("N2", "reported"), {2, 2, 0}, "has other numbers than the list"},
	};
	for (size_t i = 0; i < TRIB_COUNT(lies); i++) {
		if (i) {
			stop(state);
			start(state);
		}
		assert_int_equal(make(close), 1);
		mkhub_commit(&hub, 1, "INSERT INTO person VALUES(2,'b')");
		mkhub_merge(&hub);
		forge(close, close + DAY, lies[i].nodes, lies[i].n[0], lies[i].n[1], lies[i].n[2]);
		assert_audit_finds(&hub, lies[i].finding);
	}
}

static void a_list_left_out_is_named(void **state)
{
	(void)state;
	int64_t close = trib_night_close(hub.now) + DAY;
	assert_int_equal(make(close), 1);
	hub.now = close + DAY + TRIB_NIGHT_LATE_S;
	mkhub_commit(&hub, 1, "INSERT INTO person VALUES(2,'b')");
	mkhub_merge(&hub);
	assert_audit_finds(&hub, "was left out");
}

static void a_night_that_skips_hours_is_named(void **state)
{
	(void)state;
	int64_t close = trib_night_close(hub.now) + DAY;
	assert_int_equal(make(close), 1);
	forge(close + 3600, close + DAY, LINE(MK_NODE, "silent") LINE("N2", "silent"), 2, 0, 2);
	assert_audit_finds(&hub, "does not begin where the one before ended");
}

static void a_lost_list_is_named(void **state)
{
	(void)state;
	assert_int_equal(make(trib_night_close(hub.now) + DAY), 1);
	mkhub_checkpoint(&hub);
	char *named = mkhub_path(&hub, "log/named");
	HUB_OK(trib_fs_remove_tree(named, err));
	assert_audit_finds(&hub, "the nightly list of");
	free(named);
}

static int name_it(void *ctx, const char *node, const char *app, bool reported, struct trib_err *err)
{
	char *all = ctx;
	size_t at = strlen(all);
	(void)err;
	(void)snprintf(all + at, 100 - at, "%s/%s=%d ", node, app, reported);
	return 0;
}

static void a_list_is_walked_strictly(void **state)
{
	(void)state;
#define HEAD "format tributary-night-1\ncity c\nfrom 2026-11-25T00:00:00Z\nto 2026-11-26T00:00:00Z\nleaves 0 3\n"
	char all[100] = "";
	struct trib_err e;
	HUB_OK(trib_night_walk(trib_span_str(HEAD "node a main silent\nnode b main reported\n"), name_it, all, err));
	assert_string_equal(all, "a/main=0 b/main=1 ");
	static const char *const wrong[] = {"", HEAD "node a main\n", HEAD "node a main asleep\n", HEAD "node .a main silent\n", HEAD "x 1\n"};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_int_equal(trib_night_walk(trib_span_str(wrong[i]), name_it, all, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_night_closes_at_eight_in_the_city),
		cmocka_unit_test_setup_teardown(a_list_is_made_once_a_night_and_names_the_silent, start, stop),
		cmocka_unit_test_setup_teardown(a_list_that_hides_a_silent_node_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_list_left_out_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_night_that_skips_hours_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_lost_list_is_named, start, stop),
		cmocka_unit_test(a_list_is_walked_strictly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
