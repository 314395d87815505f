#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/mkhistory.h"

#include "core/base/clock.h"

#define SHANGHAI 28800

/* #1 single, #2 #3 #4 a group, #5 #6 given up, #7 single, #8 opens a group that nobody has finished. */
struct fixture {
	struct mk mk;
	uint8_t oid[9][TRIB_OID_LEN]; /* by seq */
	int64_t t0;
};

static int64_t at(const char *text)
{
	struct trib_err err;
	int64_t t = 0;

	assert_int_equal(trib_time_parse(trib_span_str(text), &t, &err), 0);
	return t;
}

static void part(struct fixture *f, const char *time, uint64_t n, uint64_t m)
{
	f->mk.time = at(time);
	mk_part(&f->mk, "SELECT 1", TRIB_KIND_CHANGE, n, m);
	memcpy(f->oid[f->mk.tip.seq], f->mk.tip.oid, TRIB_OID_LEN);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	mk_init(&f->mk, false, NULL);
	part(f, "2026-11-20T12:00:00Z", 1, 1);
	part(f, "2026-11-21T12:00:00Z", 1, 3);
	part(f, "2026-11-21T12:00:01Z", 2, 3);
	part(f, "2026-11-21T12:00:02Z", 3, 3);
	part(f, "2026-11-22T12:00:00Z", 1, 3);
	part(f, "2026-11-22T12:00:01Z", 2, 3);
	part(f, "2026-11-23T16:00:00Z", 1, 1); /* midnight of the 24th in Shanghai */
	part(f, "2026-11-24T12:00:00Z", 1, 2);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mk_free(&f->mk);
	free(f);
	return 0;
}

static int resolve(struct fixture *f, const char *when, int tz, uint64_t *ret_seq, struct trib_buf *text, struct trib_err *err)
{
	uint8_t oid[TRIB_OID_LEN];

	if (trib_history_at(f->mk.repo, "refs/heads/main", when, at("2026-11-25T00:00:00Z"), tz, oid, text, err) < 0)
		return -1;
	*ret_seq = 0;
	for (uint64_t i = 1; i < 9; i++)
		if (memcmp(oid, f->oid[i], TRIB_OID_LEN) == 0)
			*ret_seq = i;
	return 0;
}

static void names_moments(void **state)
{
	static const struct { const char *when; int tz; uint64_t seq; } ok[] = {
		{"latest", 0, 7}, {"HEAD", 0, 7}, {"HEAD~0", 0, 7}, {"HEAD~1", 0, 4}, {"HEAD~2", 0, 1},
		{"#1", 0, 1}, {"#2", 0, 4}, {"#3", 0, 4}, {"#4", 0, 4}, {"#7", 0, 7},
		{"2026-11-20", 0, 1}, {"2026-11-21", 0, 4}, {"2026-11-22", 0, 4}, {"2026-11-23", 0, 7}, {"2026-11-24", 0, 7}, {"2030-01-01", 0, 7},
		{"2026-11-23", SHANGHAI, 4}, {"2026-11-24", SHANGHAI, 7},
		{"2026-11-20T12:00:00Z", 0, 1}, {"2026-11-21T12:00:01Z", 0, 1}, {"2026-11-21T12:00:02Z", 0, 4}, {"2026-11-21T20:00:02+08:00", 0, 4},
		{"2026-11-21T20:00:01+08:00", 0, 1}, {"2026-11-21T07:00:02-05:00", SHANGHAI, 4}, {"2026-11-21 20:00:02", SHANGHAI, 4},
		{"2026-11-21T20:00", SHANGHAI, 1}, {"2026-11-21t12:00:02.999z", 0, 4},
		{"1 day ago", 0, 7}, {"2 days ago", 0, 4}, {"3 days ago", 0, 4}, {"4 days ago", 0, 1}, {"84 hours ago", 0, 1}, {"83 hours ago", 0, 4}, {"1 second ago", 0, 7},
		{"0 minutes ago", 0, 7},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < TRIB_COUNT(ok); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(256);
		struct trib_err err;
		uint64_t seq;

		if (resolve(f, ok[i].when, ok[i].tz, &seq, &text, &err) < 0)
			fail_msg("%s: %s", ok[i].when, err.msg);
		if (seq != ok[i].seq)
			fail_msg("%s: #%llu instead of #%llu", ok[i].when, (unsigned long long)seq, (unsigned long long)ok[i].seq);
	}
}

/* What says that it is the last part is not, when those before it are not all there. No hub takes such a chain; a file that was changed may hold one. */
static void names_no_group_with_a_gap(void **state)
{
	struct fixture f = {0};
	struct trib_err err;
	uint64_t seq;
	(void)state;

	mk_init(&f.mk, false, NULL);
	part(&f, "2026-11-20T12:00:00Z", 1, 1);
	part(&f, "2026-11-21T12:00:00Z", 1, 3);
	struct mk_draft d;
	mk_draft(&f.mk, "SELECT 1", TRIB_KIND_CHANGE, 3, 3, &d);
	mk_seal(&f.mk, &d, f.oid[3]);
	mk_draft_release(&d);
	assert_int_equal(trib_repo_ref_set(f.mk.repo, "refs/heads/main", f.oid[3], &err), 0);
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(256);
	assert_int_equal(resolve(&f, "HEAD", 0, &seq, &text, &err), 0);
	assert_int_equal(seq, 1);
	assert_int_equal(resolve(&f, "#3", 0, &seq, &text, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	mk_free(&f.mk);
}

static void takes_a_hash_prefix(void **state)
{
	struct fixture *f = *state;
	char hex[TRIB_OID_HEX + 1];
	struct trib_err err;
	uint64_t seq;

	for (size_t n = 12; n <= TRIB_OID_HEX; n += 28) {
		TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(256);

		trib_hex(hex, f->oid[3], TRIB_OID_LEN);
		hex[n] = 0;
		assert_int_equal(resolve(f, hex, 0, &seq, &text, &err), 0);
		assert_int_equal(seq, 4); /* a part means its group's last one */
		trib_hex(hex, f->oid[4], TRIB_OID_LEN);
		hex[12] = 0;
		assert_memory_equal(trib_buf_str(&text), "commit ", 7);
		assert_non_null(strstr(trib_buf_str(&text), hex));
		assert_non_null(strstr(trib_buf_str(&text), " #4 of 2026-11-21T12:00:02Z"));
	}
}

static void refuses_what_is_no_moment(void **state)
{
	static const struct { const char *when; enum trib_code code; } bad[] = {
		{"", TRIB_E_USAGE}, {"HEAD~", TRIB_E_USAGE}, {"HEAD~x", TRIB_E_USAGE}, {"HEAD~1x", TRIB_E_USAGE}, {"head", TRIB_E_USAGE},
		{"#", TRIB_E_USAGE}, {"#1x", TRIB_E_USAGE}, {"#-1", TRIB_E_USAGE}, {"2026-13-01", TRIB_E_USAGE}, {"2026-02-30", TRIB_E_USAGE},
		{"2026-11-21T", TRIB_E_USAGE}, {"2026-11-21T25:00:00Z", TRIB_E_USAGE}, {"2026-11-21T12:60:00Z", TRIB_E_USAGE},
		{"2026-11-21T12:00:00+8", TRIB_E_USAGE}, {"2026-11-21T12:00:00Zx", TRIB_E_USAGE}, {"3 fortnights ago", TRIB_E_USAGE},
		{"days ago", TRIB_E_USAGE}, {"yesterday", TRIB_E_USAGE}, {"abc", TRIB_E_USAGE}, {"ABCDEF12", TRIB_E_USAGE},
		{"#99", TRIB_E_NOT_FOUND}, {"#0", TRIB_E_NOT_FOUND}, {"#5", TRIB_E_NOT_FOUND}, {"#6", TRIB_E_NOT_FOUND}, {"#8", TRIB_E_NOT_FOUND},
		{"HEAD~3", TRIB_E_NOT_FOUND}, {"HEAD~999999999999", TRIB_E_NOT_FOUND}, {"2026-11-19", TRIB_E_NOT_FOUND}, {"9 weeks ago", TRIB_E_NOT_FOUND},
		{"0000000000000000000000000000000000000000", TRIB_E_NOT_FOUND}, {"HEAD~9999999999999", TRIB_E_USAGE},
		{"999999999999 weeks ago", TRIB_E_NOT_FOUND},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < TRIB_COUNT(bad); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(256);
		struct trib_err err = {0};
		uint64_t seq;

		if (resolve(f, bad[i].when, 0, &seq, &text, &err) == 0)
			fail_msg("\"%s\" names #%llu", bad[i].when, (unsigned long long)seq);
		if (err.code != bad[i].code)
			fail_msg("\"%s\": %s: %s", bad[i].when, trib_code_name(err.code), err.msg);
		assert_int_equal(text.len, 0);
	}
}

/* A clock that ran ahead for one night: later nights with a right clock are found by their own time. */
static void a_clock_that_was_wrong(void **state)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(256);
	struct fixture f = {0};
	struct trib_err err;
	uint64_t seq;

	(void)state;
	mk_init(&f.mk, false, NULL);
	part(&f, "2026-11-20T12:00:00Z", 1, 1);
	part(&f, "2036-11-21T12:00:00Z", 1, 1);
	part(&f, "2026-11-22T12:00:00Z", 1, 1);
	assert_int_equal(resolve(&f, "2026-11-22", 0, &seq, &text, &err), 0);
	assert_int_equal(seq, 3);
	assert_int_equal(resolve(&f, "2026-11-21", 0, &seq, &text, &err), 0);
	assert_int_equal(seq, 1);
	mk_free(&f.mk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_moments),
		cmocka_unit_test(names_no_group_with_a_gap),
		cmocka_unit_test(takes_a_hash_prefix),
		cmocka_unit_test(refuses_what_is_no_moment),
		cmocka_unit_test(a_clock_that_was_wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
