/* Threads that look at commits before their turn: with any number of them, any order of asking and any damage, the verdicts are those of one thread. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/mkhistory.h"

#include "core/replay/ahead.h"

#define NIGHTS 40

static struct mk mk;
static uint8_t (*chain)[TRIB_OID_LEN];
static size_t nchain;

static int start(void **state)
{
	struct trib_err err;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO person VALUES(1,'a'),(2,'b')");
	for (int i = 0; i < NIGHTS; i++) {
		char sql[200];
		snprintf(sql, sizeof(sql), "INSERT INTO person VALUES(%d,'n'); UPDATE person SET name='%d' WHERE id=1; DELETE FROM person WHERE id=%d", 10 + i, i, i % 3 ? 0 : 9 + i);
		mk_commit(&mk, sql);
	}
	mk_part(&mk, "INSERT INTO person VALUES(100,'p')", TRIB_KIND_CHANGE, 1, 2);
	mk_part(&mk, "INSERT INTO person VALUES(101,'q')", TRIB_KIND_CHANGE, 2, 2);
	return trib_repo_chain(mk.repo, mk.tip.oid, NULL, 1000, &chain, &nchain, &err);
}

static int stop(void **state)
{
	(void)state;
	free(chain);
	mk_free(&mk);
	return 0;
}

/* Names commits from..nchain, each `times` over; from another node when `stranger`. */
struct feed { size_t from, at, times; bool stranger; };

static bool next(void *ctx, struct trib_ahead_job *ret)
{
	struct feed *f = ctx;
	size_t i = f->from + f->at / f->times;

	if (i >= nchain)
		return false;
	f->at++;
	snprintf(ret->node, sizeof(ret->node), "%s", f->stranger ? "other" : mk.trust.node);
	snprintf(ret->app, sizeof(ret->app), "%s", mk.trust.app);
	memcpy(ret->oid, chain[i], TRIB_OID_LEN);
	ret->at = mk.trust.at;
	ret->repo = strdup(trib_repo_path(mk.repo));
	return ret->repo != NULL;
}

static struct trib_ahead *threads(unsigned jobs)
{
	struct trib_ahead *a = NULL;
	struct trib_err err;

	assert_int_equal(trib_ahead_new(jobs, &mk.trust, &a, &err), 0);
	return a;
}

/* Judges the whole chain; returns how many commits were known ahead. */
static size_t judge_all(struct trib_ahead *a)
{
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	size_t known = 0;

	for (size_t i = 0; i < nchain; i++) {
		TRIB_AUTO(trib_judged) struct trib_judged j = {0};
		TRIB_AUTO(trib_fore) struct trib_fore *fore = trib_ahead_take(a, mk.trust.node, mk.trust.app, chain[i]);
		struct trib_err err;

		known += fore != NULL;
		if (trib_judge_fore(fore ? NULL : mk.repo, chain[i], &mk.trust, fore, &tip, &j, &err))
			fail_msg("#%zu: %s", i + 1, err.msg);
		assert_memory_equal(j.commit.oid, chain[i], TRIB_OID_LEN);
	}
	assert_memory_equal(tip.manifest_sha256, mk.tip.manifest_sha256, TRIB_SHA256_LEN);
	return known;
}

static void all_are_known_with_any_number_of_threads(void **state)
{
	(void)state;
	for (unsigned jobs = 1; jobs <= 4; jobs++) {
		TRIB_AUTO(trib_ahead) struct trib_ahead *a = threads(jobs);
		struct feed f = {.times = 1};

		assert_int_equal(judge_all(a), 0); /* nothing named yet */
		trib_ahead_from(a, next, &f);
		assert_int_equal(judge_all(a), nchain);
		f.at = 0; /* a source that has run dry is not asked again */
		assert_int_equal(judge_all(a), 0);
		trib_ahead_from(a, next, &f);
		assert_int_equal(judge_all(a), nchain);
	}
}

/* More commits than fit are named and never asked for: those that are asked for come through all the same. Alone, the ordered thread drops what it passes at once and
 * knows every commit; other threads may still be at the oldest in the window, and surely known are only those that were in it from the start. */
static void what_nobody_asks_for_makes_way(void **state)
{
	(void)state;
	for (unsigned jobs = 1; jobs <= 3; jobs++) {
		TRIB_AUTO(trib_ahead) struct trib_ahead *a = threads(jobs);
		struct feed f = {.times = 2 + TRIB_AHEAD_COMMITS / 20};
		const size_t fit = TRIB_AHEAD_COMMITS / f.times;

		assert_true(fit < nchain);
		trib_ahead_from(a, next, &f);
		size_t known = judge_all(a);
		if (jobs == 1)
			assert_int_equal(known, nchain);
		assert_true(known >= fit);
	}
}

static void a_window_of_others_is_left_behind(void **state)
{
	(void)state;
	TRIB_AUTO(trib_ahead) struct trib_ahead *a = threads(2);
	struct feed strange = {.times = 100, .stranger = true}, f = {.times = 1};

	trib_ahead_from(a, next, &strange);
	assert_int_equal(judge_all(a), 0);
	trib_ahead_from(a, next, &f);
	assert_int_equal(judge_all(a), nchain);
}

static void what_is_passed_over_is_gone(void **state)
{
	(void)state;
	TRIB_AUTO(trib_ahead) struct trib_ahead *a = threads(2);
	struct feed f = {.times = 1};

	trib_ahead_from(a, next, &f);
	trib_ahead_pass(a, mk.trust.node, mk.trust.app, chain[0]); /* not named yet: no harm */
	trib_fore_free(trib_ahead_take(a, mk.trust.node, mk.trust.app, chain[1]));
	trib_ahead_pass(a, mk.trust.node, mk.trust.app, chain[5]);
	assert_null(trib_ahead_take(a, mk.trust.node, mk.trust.app, chain[5]));
	assert_null(trib_ahead_take(a, mk.trust.node, mk.trust.app, chain[1]));
	assert_null(trib_ahead_take(a, "other", mk.trust.app, chain[6]));
	TRIB_AUTO(trib_fore) struct trib_fore *six = trib_ahead_take(a, mk.trust.node, mk.trust.app, chain[6]);
	assert_non_null(six);
	assert_true(trib_fore_size(six) > 1000 && trib_fore_size(six) < TRIB_MIB);
	assert_memory_equal(trib_fore_commit(six)->parent, chain[5], TRIB_OID_LEN);
}

/* A freed pool leaves nothing behind, whatever its threads are at (ASan's leak check). */
static void threads_end_at_any_moment(void **state)
{
	(void)state;
	for (size_t n = 0; n < 20; n++) {
		TRIB_AUTO(trib_ahead) struct trib_ahead *a = threads(4);
		struct feed f = {.times = 1};

		trib_ahead_from(a, next, &f);
		for (size_t i = 0; i < n; i++)
			trib_fore_free(trib_ahead_take(a, mk.trust.node, mk.trust.app, chain[i]));
		if (n % 2)
			trib_ahead_from(a, NULL, NULL);
	}
}

/* A wrong commit is handed over with nothing known, and the judge says what it always says. */
static void a_wrong_commit_is_not_known(void **state)
{
	struct mk_draft d;
	uint8_t oid[TRIB_OID_LEN];
	struct trib_err err;

	(void)state;
	mk_keep(&mk);
	mk_draft(&mk, "INSERT INTO person VALUES(200,'x')", TRIB_KIND_CHANGE, 1, 1, &d);
	d.m.tables[0].rows++; /* told by the state alone */
	mk_seal(&mk, &d, oid);
	assert_int_equal(mk_judge(&mk, oid, &err), -1);
	assert_int_equal(err.code, TRIB_E_DIGEST);
	mk_draft_release(&d);
	mk_back(&mk);
	mk_draft(&mk, "INSERT INTO person VALUES(200,'x')", TRIB_KIND_CHANGE, 1, 1, &d);
	d.key = mk.other_key;
	d.cert = mk.other_cert;
	mk_seal(&mk, &d, oid);
	mk_draft_release(&d);
	mk_back(&mk);

	TRIB_AUTO(trib_ahead) struct trib_ahead *a = threads(2);
	uint8_t last[TRIB_OID_LEN];
	struct feed f = {.times = 1, .from = nchain - 1};
	memcpy(last, chain[nchain - 1], TRIB_OID_LEN);
	memcpy(chain[nchain - 1], oid, TRIB_OID_LEN);
	trib_ahead_from(a, next, &f);
	TRIB_AUTO(trib_fore) struct trib_fore *fore = trib_ahead_take(a, mk.trust.node, mk.trust.app, oid);
	memcpy(chain[nchain - 1], last, TRIB_OID_LEN);
	assert_null(fore); /* signer.pem is not the signer's */
	assert_int_equal(mk_judge(&mk, oid, &err), -1);
}

static void what_was_known_of_another_history_is_not_used(void **state)
{
	(void)state;
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	TRIB_AUTO(trib_fore) struct trib_fore *fore = NULL;
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	struct trib_trust other = mk.trust;
	struct trib_err err;

	assert_int_equal(trib_judge_ahead(mk.repo, chain[0], &mk.trust, &fore, &err), 0);
	other.node = "other";
	assert_int_equal(trib_judge_fore(mk.repo, chain[0], &other, fore, &tip, &j, &err), -1);
	assert_int_equal(err.code, TRIB_E_CHAIN);
	assert_int_equal(trib_judge_fore(NULL, chain[1], &mk.trust, fore, &tip, &j, &err), -1);
	assert_false(tip.exists);
	assert_int_equal(trib_judge_fore(NULL, chain[0], &mk.trust, fore, &tip, &j, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_known_with_any_number_of_threads),
		cmocka_unit_test(what_nobody_asks_for_makes_way),
		cmocka_unit_test(a_window_of_others_is_left_behind),
		cmocka_unit_test(what_is_passed_over_is_gone),
		cmocka_unit_test(threads_end_at_any_moment),
		cmocka_unit_test(a_wrong_commit_is_not_known),
		cmocka_unit_test(what_was_known_of_another_history_is_not_used),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
