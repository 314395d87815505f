#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/trust/hash.h"
#include "hub/oldlog.h"
#include "tests/lib/mkhub.h"

static struct mkhub hub;
static sqlite3 *backup;            /* hub.db as it was before the lost night */
static uint64_t copy;              /* its leaves */
static struct trib_tip before[MKHUB_NODES];
static uint8_t lost[MKHUB_NODES][TRIB_OID_LEN]; /* the commits of the lost night */
static struct trib_buf brought[MKHUB_NODES];    /* their receipts, as an office brings them */

static void copy_db(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	assert_non_null(b);
	assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
	assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
}

/* A file with receipts for the leaves FIRST..LAST of the log as it is now. */
static void bring(size_t i, uint64_t first, uint64_t last, struct trib_buf *ret)
{
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX), file = TRIB_BUF(TRIB_RECEIPTS_MAX);
	uint64_t size;
	HUB_OK(trib_log_checkpoint(&hub.db, hub.signer.log_key, &note, &size, err));
	trib_receipts_begin(&file);
	for (uint64_t k = first; k <= last; k++) {
		TRIB_AUTO(trib_buf) struct trib_buf leaf = TRIB_BUF(TRIB_LEAF_MAX);
		uint8_t proof[TRIB_PROOF_MAX_HASHES][TRIB_SHA256_LEN];
		size_t n;
		HUB_OK(trib_log_leaf(&hub.db, k, &leaf, err));
		HUB_OK(trib_merkle_inclusion(k, size, trib_log_subtree, &hub.db, proof, &n, err));
		trib_receipts_put(&file, k, (const uint8_t(*)[TRIB_SHA256_LEN])proof, n, trib_buf_span(&leaf));
	}
	trib_receipts_end(&file, trib_buf_span(&note));
	*ret = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX);
	trib_old_receipts_begin(ret, hub.id[i], MK_APP, true, 0);
	trib_old_receipts_put(ret, trib_buf_span(&file));
	assert_false(ret->failed);
}

/* The hub as of the copy: its database, its offices' published tips. */
static void come_back(void)
{
	copy_db(backup, hub.db.db);
	for (size_t i = 0; i < MKHUB_NODES; i++) {
		trib_tip_release(&hub.node[i].tip);
		HUB_OK(trib_tip_copy(&before[i], &hub.node[i].tip, err));
		HUB_OK(trib_repo_ref_set(hub.node[i].repo, "refs/heads/main", before[i].oid, err));
	}
}

static int start(void **state)
{
	(void)state;
	mkhub_two(&hub);
	assert_int_equal(sqlite3_open(":memory:", &backup), SQLITE_OK);
	copy_db(hub.db.db, backup);
	HUB_OK(trib_log_size(&hub.db, &copy, err));
	for (size_t i = 0; i < MKHUB_NODES; i++)
		HUB_OK(trib_tip_copy(&hub.node[i].tip, &before[i], err));
	for (size_t i = 0; i < MKHUB_NODES; i++) {
		mkhub_commit(&hub, i, "INSERT INTO person VALUES(2,'lost')");
		memcpy(lost[i], hub.node[i].tip.oid, TRIB_OID_LEN);
		bring(i, copy + i, copy + i, &brought[i]);
	}
	come_back();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < MKHUB_NODES; i++) {
		trib_tip_release(&before[i]);
		trib_buf_release(&brought[i]);
	}
	sqlite3_close(backup);
	mkhub_free(&hub);
	return 0;
}

static void second(void) { mkhub_open_epoch(&hub, &MKHUB_SECOND, &hub.node[0]); }

/* As the keeper does with what a worker judged: nothing is judged here. */
static void keep(size_t i, const struct trib_buf *file)
{
	uint8_t sha[TRIB_SHA256_LEN];
	char *path = NULL;
	trib_sha256(sha, trib_buf_span(file));
	HUB_OK(trib_oldlog_place(&hub.hub, hub.id[i], MK_APP, sha, &path, err));
	HUB_OK(trib_fs_write(path, trib_buf_span(file), 0600, err));
	free(path);
}

struct said { char text[4096], forks[256], epochs[256]; struct trib_oldlog_totals t; };

static int say(void *ctx, const struct trib_oldlog_finding *f, struct trib_err *err)
{
	static const char *const words[] = {"missing", "other", "bad-file"};
	struct said *s = ctx;
	size_t at = strlen(s->text);
	(void)err;
	(void)snprintf(s->text + at, sizeof(s->text) - at, "%s %s #%llu @%llu %s\n", words[f->what], f->node, (unsigned long long)f->seq, (unsigned long long)f->index, f->text);
	return 0;
}

static int say_fork(void *ctx, const struct trib_oldlog_fork *f, struct trib_err *err)
{
	struct said *s = ctx;
	size_t at = strlen(s->forks);
	(void)err;
	(void)snprintf(s->forks + at, sizeof(s->forks) - at, "%llu @%llu\n", (unsigned long long)f->epoch, (unsigned long long)(f->index - copy));
	return 0;
}

static int say_epoch(void *ctx, const struct trib_oldlog_epoch *e, struct trib_err *err)
{
	struct said *s = ctx;
	size_t at = strlen(s->epochs);
	(void)err;
	(void)snprintf(s->epochs + at, sizeof(s->epochs) - at, "%llu: %llu..%llu %llu\n", (unsigned long long)e->epoch, (unsigned long long)(e->from - copy),
		       (unsigned long long)(e->upto - copy), (unsigned long long)e->proven);
	return 0;
}

static struct said check(void)
{
	struct trib_oldlog *o = NULL;
	struct said s = {0};
	HUB_OK(trib_oldlog_check(&hub.db, &o, err));
	s.t = *trib_oldlog_totals(o);
	HUB_OK(trib_oldlog_findings(o, say, &s, err));
	HUB_OK(trib_oldlog_forks(o, say_fork, &s, err));
	HUB_OK(trib_oldlog_epochs(o, say_epoch, &s, err));
	trib_oldlog_free(o);
	return s;
}

/* ---- judging ---- */

static int judge(const struct trib_buf *file, const char *origin, struct trib_err *why)
{
	uint8_t key[32];
	struct trib_old_receipts o;
	struct trib_old_judge j = {.origin = origin, .log_key = key, .root = hub.hub.root};
	HUB_OK(trib_key_ed25519_public(hub.signer.log_key, key, err));
	HUB_OK(trib_old_receipts_parse(trib_buf_span(file), &o, err));
	return trib_old_receipts_judge(&o, &j, why);
}

static void only_an_earlier_epoch_of_this_log_proves(void **state)
{
	(void)state;
	struct trib_err e;
	assert_int_equal(judge(&brought[0], MK_CITY "/2", &e), 0);
	assert_int_equal(judge(&brought[0], MK_CITY "/7", &e), 0);
	assert_int_equal(judge(&brought[0], MK_CITY "/1", &e), -1);
	assert_non_null(strstr(e.msg, "no earlier epoch"));
	assert_int_equal(judge(&brought[0], "Other/2", &e), -1);
	assert_int_equal(e.code, TRIB_E_VERIFY);
}

/* Every byte counts: of a file with one byte changed nothing is taken, or its form is not read at all. */
static void no_changed_byte_proves(void **state)
{
	(void)state;
	struct trib_err e;
	struct trib_old_receipts o;
	struct trib_buf *b = &brought[0];
	size_t head = (size_t)((const uint8_t *)memmem(b->p, b->len, "file ", 5) - b->p);
	for (size_t i = head; i < b->len; i++) {
		b->p[i] ^= 1;
		if (trib_old_receipts_parse(trib_buf_span(b), &o, &e) == 0 && judge(b, MK_CITY "/2", &e) == 0)
			fail_msg("byte %zu of %zu does not count", i, b->len);
		b->p[i] ^= 1;
	}
}

static void leaves_of_others_prove_nothing(void **state)
{
	(void)state;
	struct trib_err e;
	TRIB_AUTO(trib_buf) struct trib_buf other = {0}, enrolled = {0};
	bring(0, copy - 1, copy - 1, &other); /* the merge's word to the second office */
	assert_int_equal(judge(&other, MK_CITY "/2", &e), -1);
	assert_non_null(strstr(e.msg, "it is about N2/"));
	bring(0, 1, 1, &enrolled);
	assert_int_equal(judge(&enrolled, MK_CITY "/2", &e), -1);
	assert_non_null(strstr(e.msg, "no office gets a receipt for"));
}

/* ---- the check ---- */

static void without_an_epoch_there_is_nothing_to_check(void **state)
{
	(void)state;
	struct said s = check();
	assert_false(s.t.opened);
	struct trib_err e;
	uint8_t sha[TRIB_SHA256_LEN] = {0};
	char *path = NULL;
	assert_int_equal(trib_oldlog_place(&hub.hub, MK_NODE, MK_APP, sha, &path, &e), -1);
	assert_int_equal(e.code, TRIB_E_REFUSED);
}

static void offices_are_waited_for(void **state)
{
	(void)state;
	second();
	struct said s = check();
	assert_true(s.t.opened);
	assert_int_equal(s.t.waiting, 2);
	assert_int_equal(s.t.complete, 0);
	assert_string_equal(s.text, "");
}

static void a_lost_commit_is_missing_until_it_is_held_again(void **state)
{
	(void)state;
	char want[100];
	second();
	keep(0, &brought[0]);
	struct said s = check();
	(void)snprintf(want, sizeof(want), "missing " MK_NODE " #2 @%llu \n", (unsigned long long)copy);
	assert_string_equal(s.text, want);
	assert_int_equal(s.t.lacking, 1);
	assert_int_equal(s.t.waiting, 1);
	assert_int_equal(s.t.missing, 1);
	mkhub_publish(&hub, 0, lost[0]);
	s = check();
	assert_string_equal(s.text, "");
	assert_int_equal(s.t.complete, 1);
	assert_int_equal(s.t.commits, 1);
	mkhub_publish(&hub, 1, lost[1]);
	keep(1, &brought[1]);
	s = check();
	assert_string_equal(s.text, "");
	assert_int_equal(s.t.complete, 2);
	/* Its row in hub.db alone is not enough. */
	char *path = mkhub_object(&hub, 0, lost[0]);
	assert_int_equal(unlink(path), 0);
	free(path);
	s = check();
	assert_string_equal(s.text, want);
}

static void another_commit_of_the_same_number_is_named(void **state)
{
	(void)state;
	second();
	keep(0, &brought[0]);
	mkhub_publish(&hub, 0, lost[0]);
	mkhub_sql(hub.db.db, "UPDATE held SET oid = randomblob(20) WHERE node = '" MK_NODE "' AND seq = 2");
	struct said s = check();
	assert_non_null(strstr(s.text, "other " MK_NODE " #2"));
	assert_int_equal(s.t.missing, 1);
}

static void two_offices_tell_of_two_versions(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf mine = {0};
	mkhub_publish(&hub, 1, lost[1]); /* another log of the first epoch: its next leaf is the second office's */
	bring(1, copy, copy, &mine);
	come_back();
	second();
	keep(0, &brought[0]);
	keep(1, &mine);
	struct said s = check();
	assert_string_equal(s.forks, "1 @0\n");
	assert_int_equal(s.t.forks, 1);
	assert_int_equal(s.t.missing, 2); /* both are asked for */
	mkhub_publish(&hub, 0, lost[0]);
	mkhub_publish(&hub, 1, lost[1]);
	s = check();
	assert_string_equal(s.text, "");
	assert_int_equal(s.t.complete, 2);
}

/* The copy was served before an administrator opened the next epoch: it has other leaves where the lost ones stood. */
static void what_a_served_copy_lost_is_missing_until_it_is_held_again(void **state)
{
	(void)state;
	char want[100];
	mkhub_publish(&hub, 1, lost[1]);
	second();
	keep(0, &brought[0]);
	struct said s = check();
	(void)snprintf(want, sizeof(want), "missing " MK_NODE " #2 @%llu \n", (unsigned long long)copy);
	assert_string_equal(s.text, want);
	assert_string_equal(s.forks, "1 @0\n");
	assert_string_equal(s.epochs, "1: 0..1 1\n");
	assert_int_equal(s.t.missing, 1);
	mkhub_publish(&hub, 0, lost[0]);
	s = check();
	assert_string_equal(s.text, "");
	assert_int_equal(s.t.findings, 0);
	assert_int_equal(s.t.complete, 1);
	assert_int_equal(s.t.commits, 1);
}

static void a_kept_file_is_not_believed(void **state)
{
	(void)state;
	second();
	keep(1, &brought[0]); /* under another's name */
	brought[1].p[brought[1].len - 20] ^= 1;
	keep(1, &brought[1]);
	struct said s = check();
	assert_int_equal(s.t.findings, 2);
	assert_non_null(strstr(s.text, "bad-file N2"));
	assert_non_null(strstr(s.text, "it is of " MK_NODE "/" MK_APP));
	assert_int_equal(s.t.waiting, 2);
	assert_int_equal(s.t.commits, 0);
}

static void after_a_third_epoch_old_proofs_count_and_offices_are_asked_again(void **state)
{
	(void)state;
	const struct mkhub_opening third = {TRIB_ROLE_ADMIN, MK_CITY "/3", 0, false, false, false};
	second();
	keep(0, &brought[0]);
	mkhub_publish(&hub, 0, lost[0]);
	mkhub_open_epoch(&hub, &third, &hub.node[0]);
	struct said s = check();
	assert_string_equal(s.text, "");
	assert_int_equal(s.t.commits, 1);
	assert_int_equal(s.t.waiting, 2);
	keep(0, &brought[0]);
	s = check();
	assert_int_equal(s.t.waiting, 1);
	assert_int_equal(s.t.commits, 1);
}

static void a_history_keeps_so_many_files_and_no_more(void **state)
{
	(void)state;
	struct trib_err e;
	uint8_t sha[TRIB_SHA256_LEN] = {0};
	char *path = NULL;
	second();
	for (int i = 0; i < TRIB_OLD_KEPT_MAX; i++) {
		sha[0] = (uint8_t)i;
		HUB_OK(trib_oldlog_place(&hub.hub, MK_NODE, MK_APP, sha, &path, err));
		HUB_OK(trib_fs_write(path, trib_span_str("x"), 0600, err));
		free(path);
	}
	HUB_OK(trib_oldlog_place(&hub.hub, MK_NODE, MK_APP, sha, &path, err)); /* the same again */
	free(path);
	sha[0] = 0xff;
	assert_int_equal(trib_oldlog_place(&hub.hub, MK_NODE, MK_APP, sha, &path, &e), -1);
	assert_int_equal(e.code, TRIB_E_LIMIT);
	assert_int_equal(trib_oldlog_place(&hub.hub, "../x", MK_APP, sha, &path, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_an_earlier_epoch_of_this_log_proves, start, stop),
		cmocka_unit_test_setup_teardown(no_changed_byte_proves, start, stop),
		cmocka_unit_test_setup_teardown(leaves_of_others_prove_nothing, start, stop),
		cmocka_unit_test_setup_teardown(without_an_epoch_there_is_nothing_to_check, start, stop),
		cmocka_unit_test_setup_teardown(offices_are_waited_for, start, stop),
		cmocka_unit_test_setup_teardown(a_lost_commit_is_missing_until_it_is_held_again, start, stop),
		cmocka_unit_test_setup_teardown(another_commit_of_the_same_number_is_named, start, stop),
		cmocka_unit_test_setup_teardown(two_offices_tell_of_two_versions, start, stop),
		cmocka_unit_test_setup_teardown(what_a_served_copy_lost_is_missing_until_it_is_held_again, start, stop),
		cmocka_unit_test_setup_teardown(a_kept_file_is_not_believed, start, stop),
		cmocka_unit_test_setup_teardown(after_a_third_epoch_old_proofs_count_and_offices_are_asked_again, start, stop),
		cmocka_unit_test_setup_teardown(a_history_keeps_so_many_files_and_no_more, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
