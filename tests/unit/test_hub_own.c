/* What rots in hub.db and in the hub's own files, though no leaf and no history is touched: each is named. (tests/attack/every-bit.t tries every bit.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "hub/audit.h"
#include "hub/policy.h"
#include "hub/tiles.h"
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

static void append(struct trib_leaf leaf)
{
	HUB_OK(trib_hubdb_begin(&hub.db, err));
	mkhub_append(&hub, &leaf, NULL);
	HUB_OK(trib_hubdb_commit(&hub.db, err));
	mkhub_checkpoint(&hub);
}

static void lists_that_repeat_leaves_are_compared(void **state)
{
	(void)state;
	static const struct { const char *sql, *finds; } cases[] = {
		{"UPDATE node SET name = 'Ximb' WHERE node = 'N2'", "N2/" MK_APP " #0 - [-] hub.db: name in the list of communities is not what the log says"},
		{"UPDATE node SET status = 'expected' WHERE node = 'N2'", "N2/" MK_APP " #0 - [-] hub.db: status in the list of communities"},
		{"UPDATE node SET reported_at = reported_at + 1 WHERE node = 'N2'", "N2/" MK_APP " #0 - [-] hub.db: when it reported is not that of its last held commit"},
		{"UPDATE node SET braked = 4 WHERE node = 'N2'", "N2/" MK_APP " #0 - [-] hub.db: what the brake held back"},
		{"UPDATE cert SET not_after = not_after - 64 WHERE node = 'N2' AND usage = 'sign'", "hub.db: serial number or end of the signing certificate"},
		{"UPDATE cert SET serial = '77', issuer = 'nobody' WHERE node = 'N2'", "N2/" MK_APP " #0 - [-] hub.db: no certificate of this hub issues as 'nobody'"},
		{"INSERT INTO person(sha256, name, role, usage, not_after) VALUES(zeroblob(32), 'li', 'auditor', 'tls', 1)", "hub.db: the list of people has what no leaf of the log says"},
		{"INSERT INTO night VALUES(1, 0, 1, 0, 0, 0, zeroblob(32))", "hub.db: the list of nightly lists has what no leaf of the log says"},
		{"INSERT INTO meta VALUES('crl-number', x'31')", "hub.db: crl-number is not what the log says"},
		{"INSERT INTO meta VALUES('crl-numbes', x'31')", "hub.db: no program of ours writes a value called 'crl-numbes'"},
		{"INSERT INTO meta VALUES('origin', x'31')", "hub.db: origin is not what the log says"},
	};
	assert_audit_proves(&hub);
	for (size_t i = 0; i < TRIB_COUNT(cases); i++) {
		struct mkhub_found f;
		char *keep = mkhub_path(&hub, "keep.db"), *sql = sqlite3_mprintf("VACUUM INTO %Q", keep);
		mkhub_sql(hub.db.db, sql);
		mkhub_sql(hub.db.db, cases[i].sql);
		mkhub_audit(&hub, &f);
		assert_found(f, cases[i].finds);
		/* As it was, row by row: hub.db stays open. */
		sqlite3_free(sql);
		sql = sqlite3_mprintf("ATTACH %Q AS k; BEGIN; DELETE FROM node; INSERT INTO node SELECT * FROM k.node; DELETE FROM cert; INSERT INTO cert SELECT * FROM k.cert; DELETE FROM person; "
				      "DELETE FROM night; DELETE FROM meta; COMMIT; DETACH k", keep);
		mkhub_sql(hub.db.db, sql);
		sqlite3_free(sql);
		assert_int_equal(unlink(keep), 0);
		free(keep);
	}
	assert_audit_proves(&hub);
}

static void a_person_is_as_the_log_says(void **state)
{
	(void)state;
	struct trib_leaf leaf = {.kind = TRIB_LEAF_PERSON, .time = hub.now, .word = "auditor", .usage = "tls", .name = "li"};
	memset(leaf.cert, 7, sizeof(leaf.cert));
	append(leaf);
	assert_audit_finds(&hub, "hub.db: the list of people lacks what a leaf of the log says");
	mkhub_sql(hub.db.db, "INSERT INTO person(sha256, name, role, usage, not_after) VALUES(x'0707070707070707070707070707070707070707070707070707070707070707', 'li', 'auditor', 'tls', 1)");
	assert_audit_proves(&hub);
	mkhub_sql(hub.db.db, "UPDATE person SET role = 'administrator'");
	assert_audit_finds(&hub, "hub.db: role in the list of people is not what the log says");
	mkhub_sql(hub.db.db, "UPDATE person SET role = 'auditor', revoked_at = 5");
	assert_audit_finds(&hub, "hub.db: revoked_at in the list of people is not what the log says");
}

/* A rule of the schema that is gone lets in what no rule would. */
static void another_schema_is_named(void **state)
{
	(void)state;
	struct mkhub_found f;
	mkhub_sql(hub.db.db, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, 'CHECK(length(sha256) = 32)', 'CHECK(length(sha256) = 22)') WHERE name = 'night'; "
			     "PRAGMA writable_schema=RESET");
	mkhub_audit(&hub, &f);
	assert_found(f, "hub.db: the schema is not the one that this program makes, from night on");
	assert_int_equal(f.n, 1);
}

static void another_files_mark_is_named(void **state)
{
	(void)state;
	mkhub_sql(hub.db.db, "PRAGMA application_id=7");
	assert_audit_finds(&hub, "hub.db is marked as the file of another application");
	mkhub_sql(hub.db.db, "PRAGMA application_id=0; PRAGMA user_version=68");
	assert_audit_finds(&hub, "hub.db is of version 68");
	mkhub_sql(hub.merge.cities[0].db, "PRAGMA user_version=3");
	assert_audit_finds(&hub, "column user_version is 3 in the city");
}

/* Before its first start with a newer program hub.db is as the older one made it: with that schema, and no other. */
static void an_older_schema_is_judged_as_such(void **state)
{
	(void)state;
	mkhub_sql(hub.db.db, "PRAGMA user_version=4");
	assert_audit_finds(&hub, "hub.db: the schema is not the one that this program makes");
	mkhub_sql(hub.db.db, "DROP INDEX held_open; DROP INDEX cert_node");
	assert_audit_proves(&hub);
	mkhub_sql(hub.db.db, "PRAGMA user_version=5");
	assert_audit_finds(&hub, "hub.db: the schema is not the one that this program makes, from held_open on");
}

/* A community without an application: what damaged pages look like. It crashed the audit once. */
static void a_null_where_none_may_be_is_told(void **state)
{
	(void)state;
	struct trib_audit *a = NULL;
	struct trib_err e;
	sqlite3 *other = NULL;
	char *path = mkhub_path(&hub, "hub.db");
	mkhub_sql(hub.db.db, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE node(node TEXT, app TEXT, name TEXT, incarnation INTEGER, status TEXT, added_at INTEGER, "
			     "seen_at INTEGER, reported_at INTEGER, braked INTEGER, PRIMARY KEY(node, app)) WITHOUT ROWID' WHERE name = 'node'; PRAGMA writable_schema=RESET");
	assert_audit_finds(&hub, "hub.db: the schema is not the one that this program makes, from node on");
	/* WITHOUT ROWID keys are never NULL: a rowid table in its place lets one in. */
	HUB_OK(trib_db_open_own(path, true, &other, err));
	mkhub_sql(other, "CREATE TABLE n2(node TEXT, app TEXT, name TEXT, incarnation INTEGER, status TEXT, added_at INTEGER, seen_at INTEGER, reported_at INTEGER, braked INTEGER);"
			 "INSERT INTO n2 SELECT * FROM node; DROP TABLE node; ALTER TABLE n2 RENAME TO node; UPDATE node SET app = NULL WHERE node = 'N2'");
	sqlite3_close(other);
	assert_int_equal(trib_audit_run(&hub.hub, &(struct trib_audit_how){.quiet = true, .jobs = 1}, &a, &e), -1);
	assert_int_equal(e.code, TRIB_E_VERIFY);
	assert_non_null(strstr(e.msg, "a community without an application"));
	free(path);
}

static void a_false_certificate_of_the_hub_is_named(void **state)
{
	(void)state;
	struct trib_cert *mine = hub.hub.tls_cert;
	hub.hub.tls_cert = hub.hub.sign_cert; /* for signing, not for connections */
	assert_audit_finds(&hub, "keys/hub-tls.crt: ");
	hub.hub.tls_cert = mine;
	mine = hub.hub.sign_cert;
	hub.hub.sign_cert = hub.node[0].cert; /* an office's */
	assert_audit_finds(&hub, "keys/hub-sign.crt: it is not a hub's");
	hub.hub.sign_cert = mine;
	assert_audit_proves(&hub);
}

static void write_policy(const char *name, const char *text)
{
	TRIB_AUTO(trib_mem) char *path = mkhub_path(&hub, name);
	HUB_OK(trib_fs_write(path, trib_span_str(text), 0644, err));
}

static void a_policy_that_the_log_does_not_name_is_named(void **state)
{
	(void)state;
	static const char one[] = "[table \"a\"]\n\tprivate = *\n", two[] = "[table \"b\"]\n\tprivate = c\n";
	struct trib_policy p = {.number = 7};
	struct trib_leaf leaf = {.kind = TRIB_LEAF_POLICY, .time = hub.now, .number = 1};
	HUB_OK(trib_named_write(&hub.hub, trib_span_str(one), leaf.sha256, err));
	append(leaf);
	assert_audit_finds(&hub, "policy.conf: ");
	write_policy("policy.conf", two);
	assert_audit_finds(&hub, "policy.conf is not policy 1, the last one in the log");
	write_policy("policy.conf", one);
	assert_audit_proves(&hub);
	hub.hub.policy_version = 3;
	assert_audit_finds(&hub, "hub.conf says policy 3, a city begins with policy 1");
	hub.hub.policy_version = 1;
	leaf.number = 3;
	append(leaf);
	struct mkhub_found f;
	mkhub_audit(&hub, &f);
	assert_found(f, "names policy 3 after policy 1");
	assert_found(f, "hub.db: policy-number is not what the log says");
	assert_int_equal(trib_policy_in_force(&hub.db, &p, &(struct trib_err){0}), 0);
	assert_int_equal(p.number, 0); /* this log's leaf 1 is about an office: hubs made by `init` have theirs there */
}

static void a_policy_is_taken_up_once(void **state)
{
	(void)state;
	struct trib_policy p = {.number = 7};
	struct trib_err why;
	TRIB_AUTO(trib_private_list) struct trib_private_list l = {0};
	assert_int_equal(trib_policy_take_up(&hub.db, &p, &why), 0); /* none, and none was ever named */
	assert_int_equal(p.number, 0);
	HUB_OK(trib_policy_private(&hub.hub, p.sha256, &l, err));
	assert_int_equal(l.n, 0);
	struct trib_leaf leaf = {.kind = TRIB_LEAF_POLICY, .time = hub.now, .number = 1};
	write_policy("policy.conf", "# nothing\n");
	HUB_OK(trib_named_write(&hub.hub, trib_span_str("# nothing\n"), leaf.sha256, err));
	append(leaf);
	HUB_OK(trib_hubdb_meta_set(&hub.db, "policy-number", trib_span_str("1"), err));
	assert_int_equal(trib_policy_in_force(&hub.db, &p, &why), -1); /* half of it */
	HUB_OK(trib_hubdb_meta_set(&hub.db, "policy-sha256", trib_span(leaf.sha256, sizeof(leaf.sha256)), err));
	write_policy("policy.conf", "[table \"a\"]\n\tprivate = *\n");
	uint64_t before, after;
	HUB_OK(trib_log_size(&hub.db, &before, err));
	assert_int_equal(trib_policy_take_up(&hub.db, &p, &why), 1);
	assert_int_equal(p.number, 2);
	assert_int_equal(trib_policy_take_up(&hub.db, &p, &why), 0);
	HUB_OK(trib_log_size(&hub.db, &after, err));
	assert_int_equal(after, before + 1);
	assert_int_equal(trib_policy_in_force(&hub.db, &p, &why), 0);
	assert_int_equal(p.number, 2);
	HUB_OK(trib_policy_private(&hub.hub, p.sha256, &l, err));
	assert_true(trib_private_has(&l, "A", NULL));
	/* Not to be read, or gone: what is in force stays, and the caller is told. */
	struct trib_policy was = p;
	static const char *const broken[] = {"[table\n", "[include]\n\tpath = /etc/passwd\n", "[table \"a\"]\n\tprivate\n"};
	for (size_t i = 0; i < TRIB_COUNT(broken); i++) {
		write_policy("policy.conf", broken[i]);
		assert_int_equal(trib_policy_take_up(&hub.db, &p, &why), -1);
		assert_non_null(strstr(why.msg, "policy file "));
	}
	TRIB_AUTO(trib_mem) char *path = mkhub_path(&hub, "policy.conf");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(trib_policy_take_up(&hub.db, &p, &why), -1);
	assert_non_null(strstr(why.msg, "is missing"));
	assert_memory_equal(&p, &was, sizeof(p));
	HUB_OK(trib_log_size(&hub.db, &before, err));
	assert_int_equal(after, before);
}

/* Cut at its beginning it was taken for one that is named already. */
static void an_empty_checkpoint_is_named(void **state)
{
	(void)state;
	char *path = mkhub_path(&hub, "checkpoint");
	HUB_OK(trib_fs_write(path, trib_span_str(""), 0644, err));
	assert_audit_finds(&hub, "the signed checkpoint: the file is empty");
	free(path);
}

/* More leaves than there are, and not signed: it was taken for one that `serve` had just written. */
static void a_published_checkpoint_of_more_leaves_must_be_signed(void **state)
{
	(void)state;
	char *from = mkhub_path(&hub, "checkpoint"), *dir = mkhub_path(&hub, "log"), *to = mkhub_path(&hub, "log/checkpoint");
	struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	HUB_OK(trib_fs_read(from, &note, err));
	char *size = memchr(note.p, '\n', note.len);
	assert_non_null(size);
	size[1] = '9'; /* of two digits the first */
	HUB_OK(trib_fs_mkdirs(dir, 0755, err));
	HUB_OK(trib_fs_write(to, trib_buf_span(&note), 0644, err));
	assert_audit_finds(&hub, "the published checkpoint: ");
	trib_buf_release(&note);
	free(from);
	free(dir);
	free(to);
}

static void a_stranger_in_the_citys_names_is_named(void **state)
{
	(void)state;
	mkhub_sql(hub.merge.cities[0].db, "UPDATE _t_node SET node = 'N3' WHERE node = 'N2'");
	assert_audit_finds(&hub, "the city names a community that the log does not know");
}

static void an_index_of_another_table_is_named(void **state)
{
	(void)state;
	mkhub_sql(hub.merge.cities[0].db, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET tbl_name = '_t_mirros' WHERE name = 'sqlite_autoindex__t_mirror_1'; PRAGMA writable_schema=RESET");
	assert_audit_finds(&hub, "[type='index' name='sqlite_autoindex__t_mirror_1'] column tbl_name is '_t_mirros' in the city");
}

/* The index alone is damaged: no row is another one, but what is asked through it is not found. */
static void a_damaged_index_is_named(void **state)
{
	(void)state;
	mkhub_sql(hub.db.db, "PRAGMA writable_schema=ON");
	/* Both automatic indexes of `held` change places: of the same table, of other columns. */
	mkhub_sql(hub.db.db, "UPDATE sqlite_schema SET rootpage = (SELECT sum(rootpage) FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex_held%') - rootpage WHERE name LIKE "
			     "'sqlite_autoindex_held%'; PRAGMA writable_schema=RESET");
	struct mkhub_found f;
	mkhub_audit(&hub, &f);
	assert_found(f, "hub.db is damaged: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lists_that_repeat_leaves_are_compared, start, stop),
		cmocka_unit_test_setup_teardown(a_person_is_as_the_log_says, start, stop),
		cmocka_unit_test_setup_teardown(another_schema_is_named, start, stop),
		cmocka_unit_test_setup_teardown(another_files_mark_is_named, start, stop),
		cmocka_unit_test_setup_teardown(an_older_schema_is_judged_as_such, start, stop),
		cmocka_unit_test_setup_teardown(a_null_where_none_may_be_is_told, start, stop),
		cmocka_unit_test_setup_teardown(a_false_certificate_of_the_hub_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_policy_that_the_log_does_not_name_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_policy_is_taken_up_once, start, stop),
		cmocka_unit_test_setup_teardown(an_empty_checkpoint_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_published_checkpoint_of_more_leaves_must_be_signed, start, stop),
		cmocka_unit_test_setup_teardown(a_stranger_in_the_citys_names_is_named, start, stop),
		cmocka_unit_test_setup_teardown(an_index_of_another_table_is_named, start, stop),
		cmocka_unit_test_setup_teardown(a_damaged_index_is_named, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
