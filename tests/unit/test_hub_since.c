#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>

#include "core/trust/hash.h"
#include "tests/lib/mkhub.h"

static struct mkhub hub;
static const struct trib_audit_how how = {.quiet = true, .jobs = 2};

struct result { struct trib_audit_totals t; struct mkhub_found f; };

/* As the command does: a clean audit is kept. */
static void conclude(struct trib_audit *a, struct result *r)
{
	HUB_OK(trib_audit_findings(a, mkhub_collect, &r->f, err));
	trib_audit_totals(a, &r->t);
	if (!r->t.findings)
		HUB_OK(trib_audit_keep(a, MK_TIME, err));
	trib_audit_free(a);
}

static struct result full(void)
{
	struct trib_audit *a = NULL;
	struct result r = {0};
	HUB_OK(trib_audit_run(&hub.hub, &how, &a, err));
	conclude(a, &r);
	return r;
}

static struct result since_record(const struct trib_audited *last, const char *beside)
{
	struct trib_audit *a = NULL;
	struct result r = {0};
	HUB_OK(trib_audit_run_since(&hub.hub, &how, last, beside, &a, err));
	conclude(a, &r);
	return r;
}

static struct trib_audited record(void)
{
	struct trib_audited last;
	HUB_OK(trib_audited_load(&hub.hub, &last, err));
	return last;
}

static struct result since(void)
{
	struct trib_audited last = record();
	return since_record(&last, NULL);
}

/* The exact finding came from a full audit; and a full audit alone finds the same. */
#define assert_fell_back(r) do { if (!(r).t.full || !(r).t.fell_back[0]) fail_msg("it did not fall back: %s", (r).f.text); } while (0)
static void went_on(struct result r, uint64_t judged, uint64_t kept, int line)
{
	if (r.t.full)
		fail_msg("line %d: it fell back: %s", line, r.t.fell_back);
	assert_string_equal(r.f.text, "");
	if (r.t.judged != judged || r.t.kept != kept)
		fail_msg("line %d: %llu judged, %llu kept", line, (unsigned long long)r.t.judged, (unsigned long long)r.t.kept);
}
#define assert_went_on(r, judged, kept) went_on(r, judged, kept, __LINE__)

static int start(void **state)
{
	(void)state;
	mkhub_init(&hub);
	mkhub_commit(&hub, 0, "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, born REAL); CREATE TABLE note(txt TEXT);"
			      "INSERT INTO person VALUES(1,'王芳',1.5),(2,'Li',NULL),(3,'Zhou',3.25); INSERT INTO note VALUES('a'),('a'),('b'),(NULL)");
	mkhub_commit(&hub, 1, "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, born REAL); INSERT INTO person VALUES(1,'Other',9),(4,'Old',4)");
	mkhub_merge(&hub);
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'Li Na' WHERE id = 2; DELETE FROM person WHERE id = 3");
	mkhub_merge(&hub);
	mkhub_down(&hub, 0);
	struct result r = full();
	assert_string_equal(r.f.text, "");
	assert_true(r.t.full);
	assert_int_equal(r.t.judged, 3);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mkhub_free(&hub);
	return 0;
}

/* Another night of both. */
static void night(void)
{
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'Li N', born = 2 WHERE id = 2; INSERT INTO person VALUES(3,'again',0.0); DELETE FROM note WHERE txt = 'b';"
			      "INSERT INTO note VALUES('a'),('c')");
	mkhub_commit(&hub, 1, "INSERT INTO person VALUES(2,'Two',8); DELETE FROM person WHERE id = 1");
	mkhub_merge(&hub);
	mkhub_down(&hub, 0);
	mkhub_checkpoint(&hub);
}

static void sql(const char *s) { mkhub_sql(hub.merge.cities[0].db, s); }

static void only_what_is_new_is_judged(void **state)
{
	(void)state;
	assert_went_on(since(), 0, 3);
	for (int i = 0; i < 3; i++) {
		mkhub_commit(&hub, 0, i % 2 ? "UPDATE person SET name = 'A', born = 1 WHERE id = 2; DELETE FROM note WHERE txt = 'a'"
					    : "UPDATE person SET name = 'B' WHERE id = 2; INSERT INTO note VALUES('a'),(x'01')");
		mkhub_commit(&hub, 1, i % 2 ? "DELETE FROM person WHERE id = 7" : "INSERT INTO person VALUES(7,'Seven',7.5)");
		if (i)
			mkhub_merge(&hub);
	}
	mkhub_down(&hub, 0);
	mkhub_down(&hub, 1);
	mkhub_checkpoint(&hub);
	struct trib_audited last = record();
	struct result inc = since();
	assert_went_on(inc, 6, 3);
	assert_int_equal(inc.t.since.size, last.size);
	struct result all = full();
	assert_string_equal(all.f.text, "");
	assert_int_equal(inc.t.commits, all.t.commits);
	assert_int_equal(inc.t.rows, all.t.rows);
	assert_int_equal(inc.t.leaves, all.t.leaves);
	assert_memory_equal(inc.t.root, all.t.root, TRIB_SHA256_LEN);
	/* One audit after the other. */
	for (unsigned i = 0; i < 3; i++) {
		mkhub_commit(&hub, 1, i % 2 ? "DELETE FROM person WHERE id = 8" : "INSERT INTO person VALUES(8,'Eight',8)");
		mkhub_merge(&hub);
		assert_went_on(since(), 1, 9 + i);
	}
}

static void what_is_not_merged_yet_waits_for_the_next_one(void **state)
{
	(void)state;
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'held' WHERE id = 1");
	assert_went_on(since(), 1, 3);
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'held, too' WHERE id = 1; DELETE FROM person WHERE id = 2");
	/* The one before was derived already, and the file has not got it: it cannot be taken back. */
	struct result r = since();
	assert_fell_back(r);
	assert_string_equal(r.f.text, "");
	mkhub_merge(&hub);
	r = since();
	assert_went_on(r, 0, 5);
	night();
	assert_went_on(since(), 2, 5);
}

static void groups_new_shapes_and_columns_are_taken_back(void **state)
{
	(void)state;
	mkhub_part(&hub, 0, "INSERT INTO person VALUES(10,'a',1)", TRIB_KIND_CHANGE, 1, 3);
	assert_went_on(since(), 1, 3);
	mkhub_part(&hub, 0, "INSERT INTO person VALUES(11,'b',1)", TRIB_KIND_CHANGE, 2, 3);
	assert_went_on(since(), 1, 4);
	mkhub_part(&hub, 0, "UPDATE person SET name = 'c' WHERE id = 10", TRIB_KIND_CHANGE, 3, 3);
	mkhub_merge(&hub);
	assert_went_on(since(), 3, 5); /* the derivation comes to all of them */
	mkhub_commit(&hub, 1, "DELETE FROM person");
	mkhub_commit(&hub, 1, "DROP TABLE person; CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, born REAL, phone TEXT); INSERT INTO person VALUES(4,'Old',4,'110');"
			      "CREATE TABLE fresh(k PRIMARY KEY, v); INSERT INTO fresh VALUES(x'00', 1)");
	mkhub_merge(&hub);
	assert_went_on(since(), 2, 6);
	mkhub_commit(&hub, 1, "DELETE FROM person");
	mkhub_commit(&hub, 1, "DROP TABLE person; CREATE TABLE person(a TEXT, b TEXT, c, PRIMARY KEY(b, a)); INSERT INTO person VALUES('x','y',1.0)");
	mkhub_merge(&hub);
	assert_went_on(since(), 2, 8);
	mkhub_commit(&hub, 1, "UPDATE person SET c = 2");
	mkhub_merge(&hub);
	assert_went_on(since(), 1, 10);
	struct result r = full();
	assert_string_equal(r.f.text, "");
	sql("UPDATE _t_person_k2 SET c = 2.0");
	r = since();
	assert_fell_back(r);
	assert_found(r.f, "N2/" MK_APP " #6 person [b='y' a='x'] column c is 2 (real) in the city, and by the histories 2");
}

static void a_reset_is_judged_in_full(void **state)
{
	(void)state;
	mkhub_part(&hub, 0, "DELETE FROM note WHERE txt = 'a'", TRIB_KIND_RESET, 1, 1);
	mkhub_merge(&hub);
	struct result r = since();
	assert_fell_back(r);
	assert_string_equal(r.f.text, "");
	night();
	assert_went_on(since(), 2, 4);
}

static void a_history_that_is_out_of_step_stays_so(void **state)
{
	(void)state;
	mkhub_misfit(&hub);
	mkhub_merge(&hub);
	assert_int_equal(hub.merge.out_of_step, 1);
	assert_went_on(since(), 1, 3);
	mkhub_commit(&hub, 1, "INSERT INTO person VALUES(41,'goes on',1)");
	mkhub_merge(&hub);
	assert_went_on(since(), 1, 4);
	struct result r = full();
	assert_string_equal(r.f.text, "");
	sql("UPDATE _t_ledger SET reason = 'row-missing' WHERE id = 1");
	r = since();
	assert_fell_back(r);
	assert_found(r.f, "_t_ledger [leaf=");
}

/* The file was changed before a merge, so that a commit did not fit: the log says so, the derivation does not. */
static void a_false_verdict_is_found(void **state)
{
	(void)state;
	sql("UPDATE person SET name = 'Mallory' WHERE _node = '" MK_NODE "' AND id = 1");
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'Wang' WHERE id = 1");
	mkhub_merge(&hub);
	struct result r = since();
	assert_fell_back(r);
	assert_found(r.f, "the log says old-value-differs, the derivation says merged");
}

static void edited_rows_are_found(void **state)
{
	(void)state;
	static const struct { const char *edit, *mend, *what; } cases[] = {
		{"UPDATE person SET name = 'X' WHERE _node = 'N2' AND id = 4", "UPDATE person SET name = 'Old' WHERE _node = 'N2' AND id = 4",
		 "N2/" MK_APP " #2 person [id=4] column name is 'X' in the city, and by the histories 'Old'"},
		{"UPDATE person SET born = 3 WHERE _node = '" MK_NODE "' AND id = 2", "UPDATE person SET born = 2.0 WHERE _node = '" MK_NODE "' AND id = 2",
		 MK_NODE "/" MK_APP " #3 person [id=2] column born is 3 in the city, and by the histories 2 (real)"},
		{"INSERT INTO person(_node, id) VALUES('N9', 1)", "DELETE FROM person WHERE _node = 'N9'", "N9/" MK_APP " #0 person [id=1] the city has this row, no history does"},
		{"INSERT INTO person(_node, id) VALUES(x'41', 1)", "DELETE FROM person WHERE _node = x'41'", "person [id=1] the city has this row, no history does"},
		{"UPDATE _bag_note SET _count = 9 WHERE txt = 'c'", "UPDATE _bag_note SET _count = 1 WHERE txt = 'c'", "[txt='c'] column _count is 9 in the city"},
		{"UPDATE _bag_note SET _hash = x'00' || _hash WHERE txt = 'c'", "UPDATE _bag_note SET _hash = substr(_hash, 2) WHERE txt = 'c'", "[txt='c'] the city has this row"},
		{"UPDATE _t_digest SET digest = zeroblob(32) WHERE node = 'N2'", NULL, "_t_digest [-] column digest"},
	};
	night();
	for (size_t i = 0; i < TRIB_COUNT(cases); i++) {
		sql(cases[i].edit);
		struct result r = since();
		assert_fell_back(r);
		assert_found(r.f, cases[i].what);
		if (!cases[i].mend)
			break;
		sql(cases[i].mend);
	}
}

static void remove_object(const uint8_t oid[TRIB_OID_LEN])
{
	char *p = mkhub_object(&hub, 0, oid);
	assert_int_equal(unlink(p), 0);
	free(p);
}

static void old_histories_must_be_as_they_were(void **state)
{
	(void)state;
	uint8_t tip[TRIB_OID_LEN], first[TRIB_OID_LEN];
	uint8_t(*oids)[TRIB_OID_LEN] = NULL;
	size_t n;
	memcpy(tip, hub.node[0].tip.oid, sizeof(tip));
	HUB_OK(trib_repo_chain(hub.node[0].repo, tip, NULL, 100, &oids, &n, err));
	memcpy(first, oids[0], sizeof(first));
	free(oids);
	night();
	/* A tip that was moved back. */
	HUB_OK(trib_repo_ref_set(hub.node[0].repo, "refs/heads/main", tip, err));
	struct result r = since();
	assert_fell_back(r);
	assert_found(r.f, "refs/heads/main: it points to another commit than the published one");
	HUB_OK(trib_repo_ref_set(hub.node[0].repo, "refs/heads/main", hub.node[0].tip.oid, err));
	/* An object of an old commit that is gone. */
	remove_object(first);
	r = since();
	assert_fell_back(r);
	assert_found(r.f, "not provable from #1 on");
}

static void the_log_must_be_as_it_was(void **state)
{
	(void)state;
	night();
	mkhub_sql(hub.db.db, "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'seq 2', 'seq 5') AS BLOB) WHERE idx = 7");
	struct result r = since();
	assert_fell_back(r);
	assert_found(r.f, "leaves are not those that the last audit has proven");
	mkhub_sql(hub.db.db, "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'seq 5', 'seq 2') AS BLOB) WHERE idx = 7");
	assert_went_on(since(), 2, 3);
	mkhub_sql(hub.db.db, "UPDATE subtree SET hash = zeroblob(32) WHERE level = 1 AND idx = 1");
	r = since();
	assert_fell_back(r);
	assert_found(r.f, "1 cached hashes are not those of the leaves, the first is subtree 1/1");
}

static void hub_db_is_compared_from_the_first_leaf_on(void **state)
{
	(void)state;
	night();
	mkhub_sql(hub.db.db, "UPDATE held SET held_at = held_at + 1 WHERE node = 'N2' AND seq = 1");
	struct result r = since();
	assert_fell_back(r);
	assert_found(r.f, "N2/" MK_APP " #1 - [-] hub.db: held_at of the held commit");
}

/* ---- what is kept ---- */

static char *state_file(void)
{
	DIR *d = opendir(hub.dir);
	char *found = NULL;
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (strncmp(e->d_name, "audited.", 8) == 0) {
			assert_null(found); /* one at a time */
			found = mkhub_path(&hub, e->d_name);
		}
	closedir(d);
	assert_non_null(found);
	return found;
}

static void edit_state(const char *s)
{
	char *path = state_file();
	sqlite3 *db = NULL;
	HUB_OK(trib_db_open_own(path, false, &db, err));
	mkhub_sql(db, s);
	sqlite3_close_v2(db);
	free(path);
}

static void what_was_kept_and_edited_is_named(void **state)
{
	(void)state;
	night();
	edit_state("UPDATE n SET commits = 0");
	struct result r = since();
	assert_fell_back(r);
	assert_found(r.f, "is not the file that the last audit wrote: it was changed since");
	assert_int_equal(r.t.findings, 1);
	/* A full audit trusts nothing kept, and writes it anew. */
	r = full();
	assert_string_equal(r.f.text, "");
	assert_went_on(since(), 0, 5);
}

static void what_was_kept_and_is_gone_is_made_again(void **state)
{
	(void)state;
	char *path = state_file();
	assert_int_equal(unlink(path), 0);
	free(path);
	struct result r = since();
	assert_fell_back(r);
	assert_string_equal(r.f.text, "");
	assert_went_on(since(), 0, 3);
}

/* The edited file and a record that names it: what the kept facts say is believed where hashes agree, and no further. */
static void reseal(const char *s)
{
	struct trib_audited last = record();
	struct trib_buf bytes = TRIB_BUF(64 * TRIB_MIB);
	edit_state(s);
	char *path = state_file();
	HUB_OK(trib_fs_read(path, &bytes, err));
	trib_sha256(last.state, trib_buf_span(&bytes));
	char hex[17], name[64];
	trib_hex(hex, last.state, 8);
	(void)snprintf(name, sizeof(name), "audited.%s.db", hex);
	char *to = mkhub_path(&hub, name);
	assert_int_equal(rename(path, to), 0);
	HUB_OK(trib_audited_save(&hub.hub, &last, err));
	trib_buf_release(&bytes);
	free(path);
	free(to);
}

static void other_rules_and_other_cities_are_not_gone_on_from(void **state)
{
	(void)state;
	reseal("UPDATE kept SET rules = rules + 1");
	struct result r = since();
	assert_fell_back(r);
	assert_string_equal(r.f.text, "");
	reseal("UPDATE kept SET program = '0.0'");
	r = since();
	assert_fell_back(r);
	assert_string_equal(r.f.text, "");
	reseal("UPDATE kept SET city = 'Elsewhere'");
	r = since();
	assert_fell_back(r);
	assert_found(r.f, "it is of Elsewhere");
	/* Digests that were made to fit an edited row are not those of the signed city commit, nor of hub.db. */
	r = full();
	assert_string_equal(r.f.text, "");
	reseal("UPDATE f SET sha256 = zeroblob(32) WHERE path LIKE 'repos/%'");
	r = since();
	assert_fell_back(r);
	assert_string_equal(r.f.text, "");
}

static void a_record_kept_elsewhere_is_enough(void **state)
{
	(void)state;
	struct trib_audited mine = record();
	char *path = state_file(), *dir = mkhub_path(&hub, "mine"), *copy, *name = strrchr(path, '/');
	HUB_OK(trib_fs_mkdirs(dir, 0700, err));
	copy = trib_pathf("%s%s", dir, name);
	struct trib_buf bytes = TRIB_BUF(64 * TRIB_MIB);
	HUB_OK(trib_fs_read(path, &bytes, err));
	HUB_OK(trib_fs_write(copy, trib_buf_span(&bytes), 0600, err));
	night();
	assert_went_on(since_record(&mine, hub.dir), 2, 3); /* the hub's own file is the one that the record names */
	mkhub_commit(&hub, 1, "DELETE FROM person WHERE id = 2");
	mkhub_commit(&hub, 0, "DELETE FROM person WHERE id = 3");
	mkhub_merge(&hub);
	assert_went_on(since_record(&mine, dir), 4, 3);     /* it has gone on meanwhile, the copy has not */
	assert_int_equal(unlink(copy), 0);
	struct result r = since_record(&mine, dir);
	assert_fell_back(r);
	assert_string_equal(r.f.text, "");
	mine.root[0] ^= 1;
	r = since_record(&mine, dir);
	assert_found(r.f, "leaves are not those of the kept record");
	trib_buf_release(&bytes);
	free(path);
	free(copy);
	free(dir);
}

static void a_rebuilt_city_is_the_same(void **state)
{
	(void)state;
	night();
	/* Rebuilt from the histories alone, as `rebuild` does. */
	char *city = mkhub_path(&hub, "city");
	trib_merge_close(&hub.merge);
	HUB_OK(trib_fs_remove_tree(city, err));
	HUB_OK(trib_merge_open(&hub.hub, city, &hub.db, &hub.merge, err));
	uint64_t size;
	HUB_OK(trib_log_size(&hub.db, &size, err));
	HUB_OK(trib_merge_run(&hub.merge, &hub.db, size, err));
	sql("DELETE FROM _t_result");
	free(city);
	assert_went_on(since(), 2, 3);
}

static void a_new_epoch_is_gone_on_with(void **state)
{
	(void)state;
	night();
	mkhub_open_epoch(&hub, &MKHUB_SECOND, &hub.node[0]);
	assert_went_on(since(), 2, 3);
	mkhub_commit(&hub, 1, "DELETE FROM person WHERE id = 2");
	mkhub_merge(&hub);
	assert_went_on(since(), 1, 5);
	struct result r = full();
	assert_string_equal(r.f.text, "");
}

static void a_missing_city_file_is_named(void **state)
{
	(void)state;
	night();
	char *path = mkhub_path(&hub, "city/" MK_APP ".db");
	trib_merge_close(&hub.merge);
	assert_int_equal(unlink(path), 0);
	free(path);
	struct result r = since();
	assert_fell_back(r);
	assert_found(r.f, "the city database is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_what_is_new_is_judged, start, stop),
		cmocka_unit_test_setup_teardown(what_is_not_merged_yet_waits_for_the_next_one, start, stop),
		cmocka_unit_test_setup_teardown(groups_new_shapes_and_columns_are_taken_back, start, stop),
		cmocka_unit_test_setup_teardown(a_reset_is_judged_in_full, start, stop),
		cmocka_unit_test_setup_teardown(a_history_that_is_out_of_step_stays_so, start, stop),
		cmocka_unit_test_setup_teardown(a_false_verdict_is_found, start, stop),
		cmocka_unit_test_setup_teardown(edited_rows_are_found, start, stop),
		cmocka_unit_test_setup_teardown(old_histories_must_be_as_they_were, start, stop),
		cmocka_unit_test_setup_teardown(the_log_must_be_as_it_was, start, stop),
		cmocka_unit_test_setup_teardown(hub_db_is_compared_from_the_first_leaf_on, start, stop),
		cmocka_unit_test_setup_teardown(what_was_kept_and_edited_is_named, start, stop),
		cmocka_unit_test_setup_teardown(what_was_kept_and_is_gone_is_made_again, start, stop),
		cmocka_unit_test_setup_teardown(other_rules_and_other_cities_are_not_gone_on_from, start, stop),
		cmocka_unit_test_setup_teardown(a_record_kept_elsewhere_is_enough, start, stop),
		cmocka_unit_test_setup_teardown(a_rebuilt_city_is_the_same, start, stop),
		cmocka_unit_test_setup_teardown(a_new_epoch_is_gone_on_with, start, stop),
		cmocka_unit_test_setup_teardown(a_missing_city_file_is_named, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
