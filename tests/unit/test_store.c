/* test_store.c: rows of a table are told apart the same in memory and in the temporary database, whatever order they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/capture/store.h"
#include "core/base/buf.h"
#include "core/base/limits.h"

#define MEMORY (4 * (size_t)TRIB_MIB)

#define OK(call) \
	do { \
		struct trib_err e_ = {0}; \
		struct trib_err *err = &e_; \
		if (call) \
			fail_msg("%s: %s", #call, err->msg); \
	} while (0)

static struct trib_span text(char *room, unsigned i)
{
	return trib_span(room, (size_t)snprintf(room, 32, "k%u", i));
}

/* More than fits in memory, equal in both states. */
static void ballast(struct trib_store *s, bool bag)
{
	size_t n = MEMORY + 1;
	uint8_t *big = calloc(n, 1);
	bool twice;
	assert_non_null(big);
	for (int side = 0; side < 2; side++) {
		if (bag)
			OK(trib_store_bag(s, (enum trib_side)side, trib_span(big, n), err));
		else
			OK(trib_store_row(s, (enum trib_side)side, trib_span("\0", 1), trib_span(big, n), &twice, err));
	}
	free(big);
}

static void say(struct trib_store *s, bool bag, struct trib_buf *ret)
{
	static const char *const names[] = {"delete", "update", "insert"};
	for (int pass = 0; pass < 3; pass++) {
		struct trib_hit h;
		int row = 0;
		struct trib_err e = {0};
		trib_store_begin(s, bag, (enum trib_pass)pass);
		while ((row = trib_store_next(s, &h, &e)) == 1) {
			trib_buf_printf(ret, "%s ", names[pass]);
			if (pass != 2)
				trib_buf_put_span(ret, h.old);
			trib_buf_puts(ret, " ");
			if (pass != 0)
				trib_buf_put_span(ret, h.new);
			if (bag)
				trib_buf_printf(ret, " %lld %lld", (long long)h.was, (long long)h.is);
			trib_buf_puts(ret, "\n");
		}
		assert_int_equal(row, 0);
	}
	assert_false(ret->failed);
}

enum order { RISING, MIXED, FALLING };

static unsigned place(enum order order, unsigned i, unsigned n) { return order == RISING ? i : order == FALLING ? n - 1 - i : i * 7919 % n; }

/* Key numbers sort as bytes, not as numbers: that is the order wanted. */
static void keyed(struct trib_store *s, enum order order, bool spill_early, bool spill_late, struct trib_buf *ret)
{
	enum { N = 1000 };
	char key[32], row[32];
	bool twice;
	OK(trib_store_reset(s, err));
	if (spill_early)
		ballast(s, false);
	for (unsigned i = 0; i < N; i++) {
		unsigned k = 1000 + place(order, i, N);
		if (k % 3) {
			OK(trib_store_row(s, TRIB_OLD, text(key, k), text(row, k), &twice, err));
			assert_false(twice);
		}
		if (k % 5)
			OK(trib_store_row(s, TRIB_NEW, text(key, k), text(row, k % 7 ? k : 1), &twice, err));
		if (k % 100 == 7) { /* a second time: told, and not added */
			OK(trib_store_row(s, TRIB_NEW, text(key, k), text(row, 99), &twice, err));
			assert_true(twice);
		}
	}
	if (spill_late)
		ballast(s, false);
	say(s, false, ret);
}

static void keyed_rows_are_paired(void **state)
{
	(void)state;
	struct trib_store *s;
	struct trib_buf want = TRIB_BUF(TRIB_MIB), got = TRIB_BUF(TRIB_MIB);
	OK(trib_store_new(MEMORY, &s, err));
	keyed(s, RISING, false, false, &want);
	assert_true(strncmp(trib_buf_str(&want), "delete k1000 \ndelete k1010 \n", 28) == 0);
	assert_non_null(strstr(trib_buf_str(&want), "update k1001 k1\nupdate k1022 k1\n"));
	assert_non_null(strstr(trib_buf_str(&want), "insert  k1002\ninsert  k1\n"));
	for (int order = RISING; order <= FALLING; order++)
		for (int spill = 0; spill < (order == MIXED ? 3 : 1); spill++) {
			trib_buf_reset(&got);
			keyed(s, (enum order)order, spill == 1, spill == 2, &got);
			assert_string_equal(trib_buf_str(&got), trib_buf_str(&want));
		}
	trib_store_free(s);
	trib_buf_release(&want);
	trib_buf_release(&got);
}

static void bag(struct trib_store *s, enum order order, bool spill, struct trib_buf *ret)
{
	enum { N = 600 };
	char row[32];
	bool left;
	OK(trib_store_reset(s, err));
	for (unsigned i = 0; i < N; i++) {
		unsigned k = place(order, i, N);
		for (unsigned j = 0; j < k % 4; j++)
			OK(trib_store_bag(s, TRIB_OLD, text(row, k / 4), err));
		for (unsigned j = 0; j < k % 3; j++)
			OK(trib_store_bag(s, TRIB_NEW, text(row, k / 4), err));
	}
	if (spill)
		ballast(s, true);
	OK(trib_store_bag_settle(s, &left, err));
	assert_true(left);
	/* The whole old state: what was given, and two more of some; others are of no interest. */
	for (unsigned k = 0; k < N; k++) {
		for (unsigned j = 0; j < k % 4; j++)
			OK(trib_store_bag_count(s, text(row, k / 4), err));
		if (k % 16 == 0)
			OK(trib_store_bag_count(s, text(row, k / 4), err));
		OK(trib_store_bag_count(s, text(row, 5000 + k), err));
	}
	say(s, true, ret);
}

static void contents_of_a_bag_are_counted(void **state)
{
	(void)state;
	struct trib_store *s;
	struct trib_buf want = TRIB_BUF(TRIB_MIB), got = TRIB_BUF(TRIB_MIB);
	bool left;
	OK(trib_store_new(MEMORY, &s, err));
	bag(s, RISING, false, &want);
	/* Old rows of k0: 0+1+2+3, new ones 0+1+2+0, and one more that was there before and after. */
	assert_non_null(strstr(trib_buf_str(&want), "update k0 k0 7 4\n"));
	for (int order = RISING; order <= FALLING; order++)
		for (int spill = 0; spill < (order == MIXED ? 2 : 1); spill++) {
			trib_buf_reset(&got);
			bag(s, (enum order)order, spill, &got);
			assert_string_equal(trib_buf_str(&got), trib_buf_str(&want));
		}
	/* Came and went: nothing is left. */
	OK(trib_store_reset(s, err));
	OK(trib_store_bag(s, TRIB_OLD, trib_span("a", 1), err));
	OK(trib_store_bag(s, TRIB_NEW, trib_span("a", 1), err));
	OK(trib_store_bag_settle(s, &left, err));
	assert_false(left);
	OK(trib_store_reset(s, err));
	OK(trib_store_bag(s, TRIB_NEW, trib_span("b", 1), err));
	OK(trib_store_bag_settle(s, &left, err));
	OK(trib_store_bag_count(s, trib_span("a", 1), err));
	trib_buf_reset(&got);
	say(s, true, &got);
	assert_string_equal(trib_buf_str(&got), "insert  b 0 1\n");
	trib_store_free(s);
	trib_buf_release(&want);
	trib_buf_release(&got);
}

/* Keys of which one begins the other, with and without the bytes that are compared first. */
static void keys_are_in_the_order_of_bytes(void **state)
{
	(void)state;
	static const char *const keys[] = {"", "a", "a\1", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaab", "aaaaaaab", "b"};
	struct trib_store *s;
	struct trib_hit h;
	struct trib_err e = {0};
	bool twice;
	OK(trib_store_new(MEMORY, &s, err));
	for (size_t i = 0; i < TRIB_COUNT(keys); i++) {
		struct trib_span k = trib_span_str(keys[i * 5 % TRIB_COUNT(keys)]);
		OK(trib_store_row(s, TRIB_NEW, k, k, &twice, err));
		assert_false(twice);
	}
	trib_store_begin(s, false, TRIB_PASS_INSERTS);
	for (size_t i = 0; i < TRIB_COUNT(keys); i++) {
		assert_int_equal(trib_store_next(s, &h, &e), 1);
		assert_true(trib_span_is(h.new, keys[i]));
	}
	assert_int_equal(trib_store_next(s, &h, &e), 0);
	trib_store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keyed_rows_are_paired), cmocka_unit_test(contents_of_a_bag_are_counted),
					   cmocka_unit_test(keys_are_in_the_order_of_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
