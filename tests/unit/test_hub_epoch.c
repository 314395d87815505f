#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/trust/hash.h"
#include "tests/lib/mkhub.h"

static struct mkhub hub;


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

static void origins_name_city_and_epoch(void **state)
{
	(void)state;
	size_t n;
	uint64_t epoch, steps;
	assert_true(trib_origin_split("%E9%81%B5/12", &n, &epoch));
	assert_int_equal(n, 9);
	assert_int_equal(epoch, 12);
	static const char *const wrong[] = {"", "zunyi", "/1", "zunyi/", "zunyi/0", "zunyi/01", "zunyi/1x", "zunyi/-1", "zunyi/9999999999999999999"};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_false(trib_origin_split(wrong[i], &n, &epoch));
	assert_true(trib_origin_follows("a/1", "a/1", &steps) && steps == 0);
	assert_true(trib_origin_follows("a/9", "a/12", &steps) && steps == 3);
	assert_false(trib_origin_follows("a/2", "a/1", &steps));
	assert_false(trib_origin_follows("a/1", "b/2", &steps));
	assert_false(trib_origin_follows("a/1", "ab/2", &steps));
}

/* ---- checkpoints that commits name ---- */

static void commit_seen(size_t i, int id, uint64_t size, bool spoil)
{
	struct mk_draft d;
	char sql[100];
	(void)snprintf(sql, sizeof(sql), "INSERT INTO person VALUES(%d,'x')", id);
	mkhub_draft(&hub, i, sql, TRIB_KIND_CHANGE, 1, 1, &d);
	d.m.checkpoint_size = size;
	uint64_t have;
	HUB_OK(trib_log_size(&hub.db, &have, err));
	if (size <= have)
		HUB_OK(trib_log_root(&hub.db, size, d.m.checkpoint_root, err));
	else
		memset(d.m.checkpoint_root, 7, sizeof(d.m.checkpoint_root));
	if (spoil)
		d.m.checkpoint_root[3] ^= 1;
	mkhub_seal(&hub, i, &d);
}

static void checkpoints_of_this_log_are_proven(void **state)
{
	(void)state;
	uint64_t size;
	HUB_OK(trib_log_size(&hub.db, &size, err));
	commit_seen(0, 10, size - 2, false);
	commit_seen(0, 11, size, false);
	commit_seen(0, 12, size, false);
	mkhub_merge(&hub);
	assert_audit_proves(&hub);
}

static void a_checkpoint_of_another_log_is_named(void **state)
{
	(void)state;
	commit_seen(0, 10, 5, true);
	mkhub_merge(&hub);
	assert_audit_finds(&hub, MK_NODE "/" MK_APP " #2 - [-] it names a checkpoint of 5 leaves, which is of another log");
}

static void a_checkpoint_of_the_future_is_named(void **state)
{
	(void)state;
	commit_seen(1, 10, 500, false);
	mkhub_merge(&hub);
	assert_audit_finds(&hub, "N2/" MK_APP " #2 - [-] it names a checkpoint of 500 leaves, which was not there yet");
}

static void a_falling_checkpoint_is_named(void **state)
{
	(void)state;
	commit_seen(0, 10, 6, false);
	commit_seen(0, 11, 4, false);
	mkhub_merge(&hub);
	assert_audit_finds(&hub, MK_NODE "/" MK_APP " #3 - [-] it names a checkpoint of 4 leaves, older than the one that the commit before names");
}

/* ---- epochs ---- */

static void an_administrator_opens_an_epoch(void **state)
{
	(void)state;
	mkhub_down(&hub, 0); /* a checkpoint of the first epoch in a down commit */
	mkhub_open_epoch(&hub, &MKHUB_SECOND, &hub.node[0]);
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(5,'e')");
	mkhub_down(&hub, 0);
	mkhub_merge(&hub);
	assert_audit_proves(&hub);
	const struct mkhub_opening fifth = {TRIB_ROLE_ADMIN, MK_CITY "/5", 0, false, false, false}; /* numbers may be left out */
	mkhub_open_epoch(&hub, &fifth, &hub.node[0]);
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(6,'f')");
	mkhub_down(&hub, 0);
	mkhub_merge(&hub);
	assert_audit_proves(&hub);
	const struct mkhub_opening fourth = {TRIB_ROLE_ADMIN, MK_CITY "/4", 0, false, false, false};
	mkhub_open_epoch(&hub, &fourth, &hub.node[0]);
	assert_audit_finds(&hub, "which does not follow");
}

static void any_other_opening_is_named(void **state)
{
	(void)state;
	static const struct { struct mkhub_opening o; const char *finding; } wrong[] = {
		{{TRIB_ROLE_AUDITOR, MK_CITY "/2", 0, false, false, false}, "was not opened by an administrator"},
		{{TRIB_ROLE_NODE, MK_CITY "/2", 0, false, false, false}, "was not opened by an administrator"},
		{{TRIB_ROLE_ADMIN, MK_CITY "/1", 0, false, false, false}, "which does not follow"},
		{{TRIB_ROLE_ADMIN, "Other/2", 0, false, false, false}, "which does not follow"},
		{{TRIB_ROLE_ADMIN, MK_CITY "/2", 0, false, true, false}, "which does not follow"},
		{{TRIB_ROLE_ADMIN, MK_CITY "/2", -1, false, false, false}, "it stands at the wrong place"},
		{{TRIB_ROLE_ADMIN, MK_CITY "/2", 0, true, false, false}, "behind another log than this one"},
		{{TRIB_ROLE_ADMIN, MK_CITY "/2", 0, false, false, true}, "the signature that opens"},
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		if (i) {
			stop(state);
			start(state);
		}
		mkhub_open_epoch(&hub, &wrong[i].o, &hub.node[0]);
		assert_audit_finds(&hub, wrong[i].finding);
	}
	stop(state);
	start(state);
	struct mk foreign;
	mk_init(&foreign, true, NULL);
	mkhub_open_epoch(&hub, &MKHUB_SECOND, &foreign); /* an administrator of another city */
	assert_audit_finds(&hub, "the administrator's certificate in");
	mk_free(&foreign);
}

static void an_origin_without_its_leaf_is_named(void **state)
{
	(void)state;
	(void)snprintf(hub.hub.origin, sizeof(hub.hub.origin), MK_CITY "/2");
	mkhub_checkpoint(&hub);
	assert_audit_finds(&hub, "the log is " MK_CITY "/1, hub.conf says " MK_CITY "/2");
}

/* What an office saw of the old epoch, and the old copy lost, cannot be looked up; from its first sight of the new epoch on, everything can. */
static void lost_checkpoints_are_excused_until_the_new_epoch_was_seen(void **state)
{
	(void)state;
	uint64_t size;
	mkhub_open_epoch(&hub, &MKHUB_SECOND, &hub.node[0]);
	commit_seen(0, 10, 500, false);
	commit_seen(1, 10, 5, true);
	mkhub_merge(&hub);
	assert_audit_proves(&hub);
	HUB_OK(trib_log_size(&hub.db, &size, err));
	commit_seen(0, 11, size, false);
	mkhub_merge(&hub);
	assert_audit_proves(&hub);
	commit_seen(0, 12, 500, false);
	mkhub_merge(&hub);
	assert_audit_finds(&hub, MK_NODE "/" MK_APP " #4 - [-] it names a checkpoint of 500 leaves");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins_name_city_and_epoch),
		cmocka_unit_test_setup_teardown(checkpoints_of_this_log_are_proven, start, stop),
		cmocka_unit_test_setup_teardown(a_checkpoint_of_another_log_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_checkpoint_of_the_future_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_falling_checkpoint_is_named, start, stop),
		cmocka_unit_test_setup_teardown(an_administrator_opens_an_epoch, start, stop),
		cmocka_unit_test_setup_teardown(any_other_opening_is_named, start, stop),
		cmocka_unit_test_setup_teardown(an_origin_without_its_leaf_is_named, start, stop),
		cmocka_unit_test_setup_teardown(lost_checkpoints_are_excused_until_the_new_epoch_was_seen, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
