#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/mkhub.h"

static struct mkhub hub;

static int start(void **state)
{
	(void)state;
	mkhub_init(&hub);
	mkhub_commit(&hub, 0, "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, born REAL); CREATE TABLE note(txt TEXT);"
			      "INSERT INTO person VALUES(1,'王芳',1.5),(2,'Li',NULL),(3,'Zhou',3.25); INSERT INTO note VALUES('a'),('a'),('b')");
	mkhub_commit(&hub, 1, "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, born REAL); INSERT INTO person VALUES(1,'Other',9)");
	mkhub_merge(&hub);
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'Li Na' WHERE id = 2; DELETE FROM person WHERE id = 3");
	mkhub_commit(&hub, 1, "INSERT INTO person VALUES(2,'Two',8)");
	mkhub_merge(&hub);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mkhub_free(&hub);
	return 0;
}

static void a_right_hub_is_proven(void **state)
{
	(void)state;
	struct mkhub_found f;
	struct trib_audit_totals t = mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
	assert_int_equal(t.commits, 4);
	assert_int_equal(t.communities, 2);
	assert_int_equal(t.rows, 2 + 3 + 2);
	assert_int_equal(t.leaves, 1 + 2 + 4 + 4);
	char *left = trib_pathf("%s/run/audit-%ld", hub.dir, (long)getpid());
	assert_false(trib_fs_exists(left));
	free(left);
}

static void held_but_not_yet_merged_is_proven(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(7,'New',1)");
	mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
}

static void an_edited_row_is_named_with_both_values(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.merge.cities[0].db, "UPDATE person SET name = 'Mallory' WHERE _node = '" MK_NODE "' AND id = 1");
	mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #2 person [id=1] column name is 'Mallory' in the city, and by the histories '王芳'");
	assert_found(f, "person [-] 2 rows in the city do not come to the digest of 2 rows that manifest #2 signed");
	assert_int_equal(f.n, 2);
}

static void a_changed_storage_class_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.merge.cities[0].db, "UPDATE person SET born = 9 WHERE _node = 'N2' AND id = 1");
	mkhub_audit(&hub, &f);
	assert_found(f, "N2/" MK_APP " #2 person [id=1] column born is 9 in the city, and by the histories 9 (real)");
}

static void missing_and_extra_rows_are_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.merge.cities[0].db, "DELETE FROM person WHERE _node = 'N2' AND id = 2; INSERT INTO person(_node, id, name) VALUES('N2', 5, 'Ghost'), ('N9', 1, 'x')");
	mkhub_audit(&hub, &f);
	assert_found(f, "N2/" MK_APP " #2 person [id=2] the city lacks this row of the histories");
	assert_found(f, "N2/" MK_APP " #2 person [id=5] the city has this row, no history does");
	assert_found(f, "N9/" MK_APP " #0 person [id=1] the city has this row, no history does");
}

static void a_bag_row_is_named_by_its_values(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.merge.cities[0].db, "UPDATE _bag_note SET _count = 5 WHERE txt = 'a'");
	mkhub_audit(&hub, &f);
	assert_found(f, "[txt='a'] column _count is 5 in the city, and by the histories 2");
}

static void ledger_marks_and_schema_are_compared(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.merge.cities[0].db, "INSERT INTO _t_ledger(leaf, node, seq, tbl, key, reason, at) VALUES(3,'N2',1,'person',x'','row-exists',1);"
					  "UPDATE _t_history SET out_of_step = 'row-exists' WHERE node = 'N2'; CREATE TABLE planted(x); ALTER TABLE person ADD COLUMN more");
	mkhub_audit(&hub, &f);
	assert_found(f, "_t_ledger [leaf=3] the city has this row, no history does");
	assert_found(f, "N2/" MK_APP " #2 _t_history [-] column out_of_step is 'row-exists' in the city, and by the histories NULL");
	assert_found(f, "sqlite_schema [type='table' name='planted'] the city has this row, no history does");
	assert_found(f, "sqlite_schema [type='table' name='person'] column sql is");
}

static void a_changed_leaf_is_caught_by_the_signed_checkpoint(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.db.db, "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'name Xima', 'name Xama') AS BLOB) WHERE idx = 1");
	mkhub_audit(&hub, &f);
	assert_found(f, "are not those that the checkpoint signed");
	assert_found(f, "cached hashes are not those of the leaves, the first is subtree 0/1");
	assert_found(f, "city commit #1: the first 7 leaves of the log are not those that it signed");
}

static void rows_that_repeat_leaves_are_compared(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.db.db, "UPDATE held SET held_at = held_at + 1 WHERE idx = 3; UPDATE held SET merged_at = NULL WHERE idx = 4;"
			     "UPDATE cert SET revoked_at = 5 WHERE usage = 'sign' AND node = 'N2'; DELETE FROM subtree WHERE level = 1 AND idx = 0");
	mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #1 - [-] hub.db: held_at of the held commit is not what log leaf 3 says");
	assert_found(f, "N2/" MK_APP " #1 - [-] hub.db: merged_at of the held commit");
	assert_found(f, "N2/" MK_APP " #0 - [-] hub.db: revoked_at of a sign certificate is not what the log says");
	assert_found(f, "1 cached hashes are not those of the leaves, the first is subtree 1/0");
	/* The judge asks hub.db about revocation: what it then refuses is named too. */
	assert_found(f, "N2/" MK_APP " #1 - [-] verifying commit");
}

static void a_count_that_is_not_the_manifests_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.db.db, "UPDATE held SET inserted = 99 WHERE idx = 4; UPDATE history SET tip = x'00' WHERE node <> 'N2'");
	mkhub_audit(&hub, &f);
	assert_found(f, "N2/" MK_APP " #1 - [-] hub.db: time or counts of the held commit are not those of its manifest");
	assert_found(f, MK_NODE "/" MK_APP " #2 - [-] hub.db: the running state of the history is not what its commits come to");
	assert_int_equal(f.n, 2);
}

static void a_damaged_object_is_named_and_the_others_go_on(void **state)
{
	(void)state;
	struct mkhub_found f;
	uint8_t id[TRIB_OID_LEN];
	mkhub_blob_id(&hub, 0, hub.node[0].tip.oid, "changeset.gz", id);
	char *path = mkhub_object(&hub, 0, id);
	mkhub_damage(path);
	mkhub_sql(hub.merge.cities[0].db, "UPDATE person SET name = 'Mallory' WHERE _node = 'N2' AND id = 1");
	struct trib_audit_totals t = mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #2 - [-] verifying commit");
	assert_found(f, "not provable from #2 on; try: tributary-hub ingest");
	assert_found(f, MK_NODE "/" MK_APP " #0 - [-] its rows in the city are not provable while its history is damaged");
	assert_found(f, "N2/" MK_APP " #2 person [id=1] column name is 'Mallory'");
	/* The manifests can be read still: the city's digest is provable, and right. */
	assert_null(strstr(f.text, "city commit"));
	assert_int_equal(t.commits, 3);
	free(path);
}

static void a_missing_repository_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	char *path = trib_hub_repo_path(&hub.hub, "N2", MK_APP);
	assert_int_equal(unlink(path), 0);
	mkhub_audit(&hub, &f);
	assert_found(f, "N2/" MK_APP " #1 - [-] there is no repository");
	free(path);
}

static void a_ref_that_was_moved_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	uint8_t(*oids)[TRIB_OID_LEN] = NULL;
	size_t n;
	HUB_OK(trib_repo_chain(hub.node[0].repo, hub.node[0].tip.oid, NULL, 10, &oids, &n, err));
	HUB_OK(trib_repo_ref_set(hub.node[0].repo, "refs/heads/main", oids[0], err));
	free(oids);
	mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #0 - [-] refs/heads/main: it points to another commit than the published one");
	assert_int_equal(f.n, 1);
	mkhub_sql(hub.db.db, "UPDATE history SET oid = zeroblob(20) WHERE node = 'N2'");
	mkhub_audit(&hub, &f);
	assert_found(f, "N2/" MK_APP " #2 - [-] the published tip is not the last commit that the log holds, #2");
}

static void a_city_history_that_was_cut_or_forged_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	char *path = mkhub_path(&hub, "city.git");
	struct trib_repo *city = NULL;
	uint8_t tip[TRIB_OID_LEN], digest[TRIB_SHA256_LEN] = {1};
	uint8_t(*oids)[TRIB_OID_LEN] = NULL;
	size_t n;
	HUB_OK(trib_repo_open(path, false, &city, err));
	HUB_OK(trib_repo_ref(city, "refs/heads/main", tip, err));
	HUB_OK(trib_repo_chain(city, tip, NULL, 10, &oids, &n, err));
	assert_int_equal(n, 2);
	HUB_OK(trib_repo_ref_set(city, "refs/heads/main", oids[0], err));
	mkhub_audit(&hub, &f);
	assert_found(f, "its last commits are missing");
	HUB_OK(trib_repo_ref_set(city, "refs/heads/main", tip, err));
	/* Signed by the hub, but with a digest that nothing derives. */
	HUB_OK(trib_chain_city(&hub.db, &hub.signer, 9, digest, err));
	mkhub_audit(&hub, &f);
	assert_found(f, "city commit #3: the city digest at leaf 9 is another one");
	/* Signed by a node. */
	struct trib_hub_signer forged = hub.signer;
	struct trib_hub as = hub.hub;
	struct trib_hubdb db = hub.db;
	forged.sign_key = hub.node[0].key;
	forged.signer_pem = TRIB_BUF(TRIB_SIGNER_MAX);
	as.sign_cert = hub.node[0].cert;
	db.hub = &as;
	HUB_OK(trib_cert_pem(hub.node[0].cert, &forged.signer_pem, err));
	HUB_OK(trib_cert_pem(hub.hub.issuing, &forged.signer_pem, err));
	HUB_OK(trib_chain_city(&db, &forged, 9, digest, err));
	mkhub_audit(&hub, &f);
	assert_found(f, "city commit #4: it is signed by " MK_NODE "/" MK_APP ", not by the hub");
	trib_buf_release(&forged.signer_pem);
	trib_repo_free(city);
	free(oids);
	free(path);
}

static void a_log_shorter_than_its_checkpoint_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.db.db, "DELETE FROM leaf WHERE idx = 10; DELETE FROM subtree WHERE level = 0 AND idx = 10");
	mkhub_audit(&hub, &f);
	assert_found(f, "the log has 10 leaves, its signed checkpoint names 11: this hub is an older copy");
}

static void what_an_audit_has_proven_must_stay(void **state)
{
	(void)state;
	struct mkhub_found f;
	struct trib_audited done = {.time = MK_TIME, .size = 5, .root = {7}}, back;
	HUB_OK(trib_audited_save(&hub.hub, &done, err));
	HUB_OK(trib_audited_load(&hub.hub, &back, err));
	assert_int_equal(back.size, 5);
	assert_memory_equal(back.root, done.root, sizeof(done.root));
	mkhub_audit(&hub, &f);
	assert_found(f, "the first 5 leaves are not those that the last audit has proven");
}

static void a_missing_or_older_city_file_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.merge.cities[0].db, "PRAGMA wal_checkpoint(TRUNCATE); UPDATE _t_merged SET upto = 7");
	mkhub_audit(&hub, &f);
	assert_found(f, "-/" MK_APP " #0 - [-] the city database stands before the last signed city commit");
	char *path = mkhub_path(&hub, "city/" MK_APP ".db");
	trib_merge_close(&hub.merge);
	assert_int_equal(unlink(path), 0);
	free(path);
	mkhub_audit(&hub, &f);
	assert_found(f, "-/" MK_APP " #0 - [-] the city database is missing");
}

/* Groups, a voided one, a reset, another key shape, new columns: all that a merge can meet, derived again. */
static void whatever_a_history_may_hold_is_proven(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_part(&hub, 0, "INSERT INTO person VALUES(10,'a',1)", TRIB_KIND_CHANGE, 1, 3);
	mkhub_part(&hub, 0, "INSERT INTO person VALUES(11,'b',1)", TRIB_KIND_CHANGE, 2, 3);
	mkhub_merge(&hub);
	mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
	mkhub_part(&hub, 0, "INSERT INTO person VALUES(12,'c',1)", TRIB_KIND_CHANGE, 3, 3);
	mkhub_merge(&hub);
	mk_keep(&hub.node[0]);
	mkhub_part(&hub, 0, "INSERT INTO person VALUES(20,'void',1)", TRIB_KIND_CHANGE, 1, 2);
	mk_back(&hub.node[0]);
	mkhub_commit(&hub, 0, "CREATE TABLE blobs(k REAL PRIMARY KEY, more); INSERT INTO blobs VALUES(1.0, x'00ff'), (2.5, NULL)");
	mkhub_commit(&hub, 1, "DELETE FROM person");
	mkhub_commit(&hub, 1, "DROP TABLE person; CREATE TABLE person(a TEXT, b TEXT, c, PRIMARY KEY(b, a)); INSERT INTO person VALUES('x','y',1.0)");
	mkhub_merge(&hub);
	mkhub_part(&hub, 0, "DELETE FROM note WHERE txt = 'a'", TRIB_KIND_RESET, 1, 1);
	mkhub_merge(&hub);
	struct trib_audit_totals t = mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
	assert_int_equal(t.commits, 4 + 3 + 1 + 1 + 2 + 1);
	mkhub_sql(hub.merge.cities[0].db, "UPDATE _t_person_k2 SET c = 2.0");
	mkhub_audit(&hub, &f);
	assert_found(f, "N2/" MK_APP " #4 person [b='y' a='x'] column c is 2 (real) in the city, and by the histories 1 (real)");
}

static void out_of_step_is_derived_too(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_misfit(&hub);
	mkhub_merge(&hub);
	assert_int_equal(hub.merge.out_of_step, 1);
	mkhub_commit(&hub, 1, "INSERT INTO person VALUES(9,'n',1)");
	mkhub_merge(&hub);
	mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
	/* The ledger and the verdict are derived, not believed. */
	mkhub_sql(hub.merge.cities[0].db, "UPDATE _t_ledger SET reason = 'row-missing'; UPDATE _t_history SET out_of_step = NULL WHERE node <> 'N2'");
	mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #2 _t_ledger [leaf=11] column reason is 'row-missing' in the city, and by the histories 'old-value-differs'");
	assert_found(f, MK_NODE "/" MK_APP " #2 _t_history [-] column out_of_step is NULL in the city, and by the histories 'out-of-step'");
}

/* A city that was changed by hand before a merge goes out of step for the wrong reason, and says so to the community. */
static void a_verdict_that_nothing_derives_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.merge.cities[0].db, "UPDATE person SET name = 'Mallory' WHERE _node = '" MK_NODE "' AND id = 1");
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'Wang' WHERE id = 1");
	mkhub_merge(&hub);
	mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #3 - [-] the log says old-value-differs, the derivation says merged");
	assert_found(f, MK_NODE "/" MK_APP " #3 person [id=1] column name is 'Mallory'");
	assert_found(f, "the city digest at leaf 12 is another one");
}

static void revoke_first(struct trib_leaf *leaf)
{
	struct trib_cert_id id;
	*leaf = (struct trib_leaf){.kind = TRIB_LEAF_REVOKED, .time = hub.now, .node = MK_NODE, .app = MK_APP, .word = "stolen"};
	HUB_OK(trib_cert_identity(hub.node[0].cert, &id, err));
	memcpy(leaf->cert, id.sha256, sizeof(leaf->cert));
	HUB_OK(trib_hubdb_begin(&hub.db, err));
	mkhub_append(&hub, leaf, NULL);
	HUB_OK(trib_hubdb_commit(&hub.db, err));
	char *sql = sqlite3_mprintf("UPDATE cert SET revoked_at = %lld WHERE usage = 'sign' AND node = '" MK_NODE "'", (long long)leaf->time);
	mkhub_sql(hub.db.db, sql);
	sqlite3_free(sql);
}

/* Before or after within one second: the order of the leaves tells. */
static void what_is_held_after_its_signer_was_revoked_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	struct trib_leaf revoked;
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(7,'New',1)");
	revoke_first(&revoked);
	assert_int_equal(revoked.time, hub.now);
	mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
	hub.now--;
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(8,'Late',1)");
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(9,'Later',1)");
	assert_int_equal(revoked.time + 1, hub.now);
	struct trib_audit_totals t = mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #4 - [-] log leaf 13 holds a commit whose signing certificate leaf 12 had revoked before; such commits: 2");
	assert_int_equal(t.commits, 3 + 2);
}

/* A machine that was replaced calls its commit one of the new machine, and the hub takes it. */
static void the_key_of_another_machine_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	struct mk_draft d;
	mkhub_draft(&hub, 0, "INSERT INTO person VALUES(7,'New',1)", TRIB_KIND_CHANGE, 1, 1, &d);
	d.m.incarnation = 2;
	hub.node[0].trust.incarnation = 2;
	mkhub_seal(&hub, 0, &d);
	mkhub_audit(&hub, &f);
	assert_found(f, "the signing certificate is of incarnation 1 of this office, the commit of 2");
}

static void leaf_times_never_fall(void **state)
{
	(void)state;
	struct mkhub_found f;
	struct trib_leaf act = {.kind = TRIB_LEAF_ACT, .time = hub.now - 3600, .word = "rebuild", .origin = "x"}, epoch = {.kind = TRIB_LEAF_EPOCH, .time = hub.now - 1};
	struct trib_err e = {0};
	int64_t at;
	HUB_OK(trib_hubdb_begin(&hub.db, err));
	HUB_OK(trib_log_time(&hub.db, hub.now - 5, &at, err));
	assert_int_equal(at, hub.now);
	HUB_OK(trib_log_time(&hub.db, hub.now + 5, &at, err));
	assert_int_equal(at, hub.now + 5);
	assert_int_equal(trib_log_append(&hub.db, &epoch, NULL, &e), -1);
	assert_int_equal(e.code, TRIB_E_VERIFY);
	mkhub_append(&hub, &act, NULL);
	assert_int_equal(act.time, hub.now);
	HUB_OK(trib_hubdb_commit(&hub.db, err));
	mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
	/* Another hub's would. */
	mkhub_sql(hub.db.db, "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'time 2', 'time 1') AS BLOB) WHERE idx = 11");
	mkhub_audit(&hub, &f);
	assert_found(f, "the times of the log fall: leaf 10 says 2");
	assert_found(f, ", leaf 11 after it 1");
	/* Nothing follows a leaf that nobody can read. */
	mkhub_sql(hub.db.db, "UPDATE leaf SET bytes = x'00' WHERE idx = 11");
	assert_int_equal(trib_log_append(&hub.db, &act, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "the last leaf of the log"));
}

static void what_a_community_was_told_is_this_log(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_down(&hub, 0);
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(30,'x',1)");
	mkhub_down(&hub, 0);
	mkhub_audit(&hub, &f);
	assert_string_equal(f.text, "");
	mkhub_sql(hub.db.db, "UPDATE history SET down_size = down_size - 1 WHERE down_seq = 2");
	mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #0 - [-] hub.db: number, manifest or log size of the last down commit are not its own");
	mkhub_sql(hub.db.db, "UPDATE history SET down_size = down_size + 1 WHERE down_seq = 2");
	/* A split view: the community sees a log in which one of its leaves is another. */
	struct trib_buf was = TRIB_BUF(TRIB_LEAF_MAX);
	HUB_OK(trib_log_leaf(&hub.db, 11, &was, err));
	mkhub_sql(hub.db.db, "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'crl 0', 'crl 1') AS BLOB) WHERE idx = 11;"
			     "INSERT INTO due(idx, node, app) VALUES(11, '" MK_NODE "', '" MK_APP "')");
	mkhub_down(&hub, 0);
	sqlite3_stmt *st = NULL;
	HUB_OK(trib_db_prepare(hub.db.db, "UPDATE leaf SET bytes = ? WHERE idx = 11", &st, err));
	sqlite3_bind_blob(st, 1, was.p, (int)was.len, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	trib_buf_release(&was);
	mkhub_audit(&hub, &f);
	assert_found(f, MK_NODE "/" MK_APP " #0 - [-] down commit #3: its receipt for leaf 11 is not what the log says there");
	assert_int_equal(f.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_right_hub_is_proven, start, stop),
		cmocka_unit_test_setup_teardown(held_but_not_yet_merged_is_proven, start, stop),
		cmocka_unit_test_setup_teardown(an_edited_row_is_named_with_both_values, start, stop),
		cmocka_unit_test_setup_teardown(a_changed_storage_class_is_named, start, stop),
		cmocka_unit_test_setup_teardown(missing_and_extra_rows_are_named, start, stop),
		cmocka_unit_test_setup_teardown(a_bag_row_is_named_by_its_values, start, stop),
		cmocka_unit_test_setup_teardown(ledger_marks_and_schema_are_compared, start, stop),
		cmocka_unit_test_setup_teardown(a_changed_leaf_is_caught_by_the_signed_checkpoint, start, stop),
		cmocka_unit_test_setup_teardown(rows_that_repeat_leaves_are_compared, start, stop),
		cmocka_unit_test_setup_teardown(a_count_that_is_not_the_manifests_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_damaged_object_is_named_and_the_others_go_on, start, stop),
		cmocka_unit_test_setup_teardown(a_missing_repository_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_ref_that_was_moved_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_city_history_that_was_cut_or_forged_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_log_shorter_than_its_checkpoint_is_named, start, stop),
		cmocka_unit_test_setup_teardown(what_an_audit_has_proven_must_stay, start, stop),
		cmocka_unit_test_setup_teardown(a_missing_or_older_city_file_is_named, start, stop),
		cmocka_unit_test_setup_teardown(whatever_a_history_may_hold_is_proven, start, stop),
		cmocka_unit_test_setup_teardown(out_of_step_is_derived_too, start, stop),
		cmocka_unit_test_setup_teardown(a_verdict_that_nothing_derives_is_named, start, stop),
		cmocka_unit_test_setup_teardown(what_a_community_was_told_is_this_log, start, stop),
		cmocka_unit_test_setup_teardown(what_is_held_after_its_signer_was_revoked_is_named, start, stop),
		cmocka_unit_test_setup_teardown(the_key_of_another_machine_is_named, start, stop),
		cmocka_unit_test_setup_teardown(leaf_times_never_fall, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
