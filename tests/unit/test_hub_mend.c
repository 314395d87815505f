/* Mending a hub: ingest, rebuild, restore; after each the audit has the last word. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>

#include "core/format/bundle.h"
#include "core/trust/hash.h"
#include "hub/audit.h"
#include "hub/ingest.h"
#include "hub/rebuild.h"
#include "hub/restore.h"
#include "tests/lib/mkhub.h"

static struct mkhub hub;
static uint8_t first[TRIB_OID_LEN];

static int start(void **state)
{
	(void)state;
	mkhub_init(&hub);
	mkhub_commit(&hub, 0, "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO person VALUES(1,'王芳'),(2,'Li')");
	memcpy(first, hub.node[0].tip.oid, sizeof(first));
	mkhub_commit(&hub, 1, "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO person VALUES(1,'Other')");
	mkhub_merge(&hub);
	mkhub_commit(&hub, 0, "UPDATE person SET name = 'Li Na' WHERE id = 2; INSERT INTO person VALUES(3,'Zhou')");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mkhub_free(&hub);
	return 0;
}

static char findings[4096];

static int collect(void *ctx, const struct trib_finding *f, struct trib_err *err)
{
	size_t at = strlen(findings);
	(void)ctx;
	(void)err;
	(void)snprintf(findings + at, sizeof(findings) - at, "%s: %s %s\n", f->node, f->table, f->what);
	return 0;
}

/* What the audit says, "" when all is proven. */
static const char *audit(void)
{
	struct trib_audit *a = NULL;
	findings[0] = '\0';
	HUB_OK(trib_audit_run(&hub.hub, &(struct trib_audit_how){.quiet = true}, &a, err));
	HUB_OK(trib_audit_findings(a, collect, NULL, err));
	trib_audit_free(a);
	return findings;
}

/* ---- bundles, as `git bundle create F main` makes them ---- */

static char *bundle_path(void) { return mkhub_path(&hub, "b.bundle"); }

static int to_buf(void *ctx, struct trib_span bytes, struct trib_err *err)
{
	trib_buf_put_span(ctx, bytes);
	return trib_buf_check(ctx, "pack", err);
}

static void make_bundle(size_t i)
{
	struct trib_buf b = TRIB_BUF(16 * TRIB_MIB);
	struct trib_bundle head = {.nrefs = 1};
	char *path = bundle_path();
	uint8_t want[1][TRIB_OID_LEN];
	memcpy(want[0], hub.node[i].tip.oid, TRIB_OID_LEN);
	memcpy(head.refs[0].oid, want[0], TRIB_OID_LEN);
	(void)snprintf(head.refs[0].name, sizeof(head.refs[0].name), "refs/heads/main");
	trib_bundle_put_header(&b, &head);
	HUB_OK(trib_repo_pack(hub.node[i].repo, (const uint8_t(*)[TRIB_OID_LEN])want, 1, NULL, 0, to_buf, &b, err));
	HUB_OK(trib_fs_write(path, trib_buf_span(&b), 0600, err));
	trib_buf_release(&b);
	free(path);
}

static struct trib_ingest ingest(bool dry_run)
{
	struct trib_ingest in = {.dry_run = dry_run};
	char *path = bundle_path();
	HUB_OK(trib_ingest_run(&hub.hub, path, &in, err));
	free(path);
	return in;
}

static void damage_blob(size_t i, const uint8_t commit[TRIB_OID_LEN], const char *name)
{
	uint8_t id[TRIB_OID_LEN];
	mkhub_blob_id(&hub, i, commit, name, id);
	char *path = mkhub_object(&hub, i, id);
	mkhub_damage(path);
	free(path);
}

static void ingest_replaces_what_is_damaged_or_missing_and_nothing_else(void **state)
{
	(void)state;
	mkhub_merge(&hub);
	make_bundle(0);
	struct trib_ingest in = ingest(false);
	assert_true(in.whole);
	assert_int_equal(in.replaced, 0);
	assert_string_equal(in.node, MK_NODE);
	damage_blob(0, first, "changeset.gz");
	char *commit = mkhub_object(&hub, 0, hub.node[0].tip.oid);
	assert_int_equal(unlink(commit), 0);
	free(commit);
	assert_string_not_equal(audit(), "");
	in = ingest(true);
	assert_int_equal(in.replaced, 2);
	assert_false(in.whole);
	assert_string_not_equal(audit(), "");
	in = ingest(false);
	assert_int_equal(in.replaced, 2);
	assert_int_equal(in.lost, 0);
	assert_true(in.whole);
	assert_int_equal(in.proven, 2);
	assert_string_equal(audit(), "");
	char *kept = mkhub_path(&hub, "damaged");
	assert_true(trib_fs_exists(kept));
	free(kept);
}

static void ingest_leaves_unpublished_commits_out(void **state)
{
	(void)state;
	uint8_t tip[TRIB_OID_LEN];
	struct mk *m = &hub.node[0];
	memcpy(tip, m->tip.oid, sizeof(tip));
	mk_commit(m, "DELETE FROM person WHERE id = 1");
	make_bundle(0);
	HUB_OK(trib_repo_ref_set(m->repo, "refs/heads/main", tip, err));
	damage_blob(0, first, "manifest");
	struct trib_ingest in = ingest(false);
	assert_int_equal(in.unpublished, 1);
	assert_int_equal(in.replaced, 1);
	assert_true(in.whole);
	assert_int_equal(in.proven, 2);
	HUB_OK(trib_repo_ref(m->repo, "refs/heads/main", first, err));
	assert_memory_equal(first, tip, sizeof(tip));
}

static void ingest_says_what_the_bundle_lacks(void **state)
{
	(void)state;
	make_bundle(1);
	damage_blob(0, first, "schema.sql");
	struct trib_ingest in = {.node = MK_NODE, .app = MK_APP};
	struct trib_err bad;
	char *path = bundle_path();
	assert_int_equal(trib_ingest_run(&hub.hub, path, &in, &bad), -1);
	assert_int_equal(bad.code, TRIB_E_USAGE); /* another node's bundle */
	assert_non_null(strstr(bad.msg, "N2/" MK_APP));
	/* A bundle that was cut, and one of garbage, change nothing. */
	struct trib_buf b = TRIB_BUF(16 * TRIB_MIB);
	HUB_OK(trib_fs_read(path, &b, err));
	for (size_t cut = 1; cut < b.len; cut += 97) {
		struct trib_ingest none = {0};
		HUB_OK(trib_fs_write(path, trib_span(b.p, b.len - cut), 0600, err));
		assert_int_equal(trib_ingest_run(&hub.hub, path, &none, &bad), -1);
	}
	trib_buf_release(&b);
	free(path);
	assert_non_null(strstr(audit(), "not provable from #1 on"));
}

/* All loose objects of a node become one pack, as an administrator's `git gc` makes it. */
static void pack_all(size_t i, char **ret_pack)
{
	struct trib_buf b = TRIB_BUF(16 * TRIB_MIB);
	char name[TRIB_OID_HEX + 1];
	uint8_t want[1][TRIB_OID_LEN];
	struct mk *m = &hub.node[i];
	/* Indexed against an empty repository: libgit2 leaks a little for each object that the base has (core/store/repo.h). */
	TRIB_AUTO(trib_repo) struct trib_repo *empty = NULL;
	char *tmp = mkhub_path(&hub, "p.pack"), *base = mkhub_path(&hub, "empty.git"), *dir = trib_pathf("%s/objects/pack", trib_repo_path(m->repo));
	memcpy(want[0], m->tip.oid, TRIB_OID_LEN);
	HUB_OK(trib_repo_pack(m->repo, (const uint8_t(*)[TRIB_OID_LEN])want, 1, NULL, 0, to_buf, &b, err));
	HUB_OK(trib_fs_write(tmp, trib_buf_span(&b), 0600, err));
	HUB_OK(trib_repo_create(base, &empty, err));
	HUB_OK(trib_repo_index_pack(empty, tmp, dir, name, err));
	for (unsigned x = 0; x < 256; x++) {
		char *loose = trib_pathf("%s/objects/%02x", trib_repo_path(m->repo), x);
		HUB_OK(trib_fs_remove_tree(loose, err));
		free(loose);
	}
	trib_repo_refresh(m->repo);
	*ret_pack = trib_pathf("%s/pack-%s.pack", dir, name);
	trib_buf_release(&b);
	free(tmp);
	free(base);
	free(dir);
}

static void a_damaged_pack_is_moved_away_once_all_of_it_is_safe(void **state)
{
	(void)state;
	char *pack;
	mkhub_merge(&hub);
	make_bundle(0);
	pack_all(0, &pack);
	assert_string_equal(audit(), "");
	mkhub_damage(pack);
	assert_string_not_equal(audit(), "");
	struct trib_ingest in = ingest(false);
	assert_true(in.whole);
	assert_int_equal(in.packs_moved, 1);
	assert_true(in.replaced >= 1);
	assert_false(trib_fs_exists(pack));
	trib_repo_refresh(hub.node[0].repo);
	assert_string_equal(audit(), "");
	free(pack);
}

static void a_lost_repository_comes_back(void **state)
{
	(void)state;
	mkhub_merge(&hub);
	make_bundle(0);
	char *path = trib_hub_repo_path(&hub.hub, MK_NODE, MK_APP);
	assert_int_equal(unlink(path), 0); /* the link to it */
	struct trib_ingest in = ingest(false);
	assert_true(in.whole);
	assert_true(in.replaced >= 10);
	assert_string_equal(audit(), "");
	free(path);
}

/* ---- rebuild ---- */

static void reopen_city(void)
{
	char *dir = mkhub_path(&hub, "city");
	HUB_OK(trib_merge_open(&hub.hub, dir, &hub.db, &hub.merge, err));
	free(dir);
}

static struct trib_rebuilt rebuild(void)
{
	struct trib_rebuilt r;
	trib_merge_close(&hub.merge);
	HUB_OK(trib_rebuild(&hub.hub, true, &r, err));
	reopen_city();
	return r;
}

static void rebuild_mends_city_and_caches(void **state)
{
	(void)state;
	uint8_t digest[TRIB_SHA256_LEN];
	mkhub_merge(&hub);
	HUB_OK(trib_merge_digest(&hub.merge, digest, err));
	mkhub_sql(hub.merge.cities[0].db, "UPDATE person SET name = 'Mallory'; DROP TABLE _t_digest");
	mkhub_sql(hub.db.db, "DELETE FROM subtree WHERE level > 0; UPDATE held SET merged_at = NULL, held_at = 1; DELETE FROM held WHERE seq = 2");
	assert_string_not_equal(audit(), "");
	struct trib_rebuilt r = rebuild();
	assert_int_equal(r.findings, 0);
	assert_string_equal(r.damage, "");
	assert_true(r.subtrees > 0);
	assert_int_equal(r.flags, 3);
	assert_memory_equal(r.digest, digest, sizeof(digest));
	assert_string_equal(audit(), "");
	char *old = mkhub_path(&hub, r.kept);
	assert_true(trib_fs_exists(old));
	free(old);
	r = rebuild();
	assert_int_equal(r.findings, 0);
	assert_int_equal(r.flags + r.subtrees, 0);
}

static void rebuild_keeps_the_old_files_when_the_digest_differs(void **state)
{
	(void)state;
	uint8_t wrong[TRIB_SHA256_LEN] = {1};
	uint64_t size;
	mkhub_merge(&hub);
	HUB_OK(trib_log_size(&hub.db, &size, err));
	HUB_OK(trib_chain_city(&hub.db, &hub.signer, size, wrong, err));
	mkhub_sql(hub.merge.cities[0].db, "CREATE TABLE mark(x)");
	struct trib_rebuilt r = rebuild();
	assert_int_equal(r.findings, 1);
	assert_non_null(strstr(r.damage, "the city digest"));
	int64_t there;
	HUB_OK(trib_db_int(hub.merge.cities[0].db, "SELECT count(*) FROM sqlite_schema WHERE name = 'mark'", 0, &there, err));
	assert_int_equal(there, 1);
	char *fresh = mkhub_path(&hub, "city.new");
	assert_false(trib_fs_exists(fresh));
	free(fresh);
}

static void rebuild_refuses_a_log_that_was_not_signed(void **state)
{
	(void)state;
	struct trib_rebuilt r;
	struct trib_err bad;
	mkhub_merge(&hub);
	mkhub_sql(hub.db.db, "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'name Xima', 'name Xama') AS BLOB) WHERE idx = 1; DELETE FROM subtree WHERE level = 1");
	assert_int_equal(trib_rebuild(&hub.hub, true, &r, &bad), -1);
	assert_int_equal(bad.code, TRIB_E_VERIFY);
	int64_t n;
	HUB_OK(trib_db_int(hub.db.db, "SELECT count(*) FROM subtree WHERE level = 1", 0, &n, err));
	assert_int_equal(n, 0);
}

/* Damage at merge time stops a node without blaming it; ingest and rebuild merge what waited, and earlier city commits stay right. */
static void what_damage_had_stopped_is_merged_by_rebuild(void **state)
{
	(void)state;
	make_bundle(0);
	damage_blob(0, hub.node[0].tip.oid, "changeset.gz");
	mkhub_commit(&hub, 1, "INSERT INTO person VALUES(2,'Two')");
	mkhub_merge(&hub);
	assert_int_equal(hub.merge.damaged, 1);
	assert_non_null(strstr(audit(), "not provable from #2 on"));
	struct trib_ingest in = ingest(false);
	assert_true(in.whole);
	assert_non_null(strstr(audit(), "for damage that is mended now: later rows are not in the city; try: tributary-hub rebuild"));
	struct trib_rebuilt r = rebuild();
	assert_string_equal(r.damage, "");
	assert_int_equal(r.findings, 0);
	mkhub_merge(&hub); /* the verdict that was still to be told */
	assert_string_equal(audit(), "");
	int64_t rows;
	HUB_OK(trib_db_int(hub.merge.cities[0].db, "SELECT count(*) FROM person", 0, &rows, err));
	assert_int_equal(rows, 5);
}

static void a_running_hub_is_left_alone(void **state)
{
	(void)state;
	struct trib_lock a = TRIB_LOCK_INIT, b = TRIB_LOCK_INIT;
	struct trib_err bad;
	HUB_OK(trib_hub_stopped(&hub.hub, &a, err));
	assert_int_equal(trib_hub_stopped(&hub.hub, &b, &bad), -1);
	assert_int_equal(bad.code, TRIB_E_LOCKED);
	assert_non_null(strstr(bad.msg, "stop the hub first"));
	trib_lock_drop(&a);
}

/* ---- restore ---- */

static void a_community_is_restored_as_of_any_commit(void **state)
{
	(void)state;
	struct trib_hub_history h;
	struct trib_restored r = {0};
	struct trib_err bad;
	char *own = mkhub_path(&hub, "out.db"), *to = trib_pathf("%s-out.db", hub.hub.dir);
	sqlite3 *db = NULL;
	int64_t n;
	HUB_OK(trib_hub_history_open(&hub.db, MK_NODE, MK_APP, &h, err));
	assert_int_equal(trib_hub_restore(&h, first, NULL, own, false, &r, &bad), -1);
	assert_int_equal(bad.code, TRIB_E_USAGE);
	free(own);
	HUB_OK(trib_hub_restore(&h, first, NULL, to, false, &r, err));
	assert_int_equal(r.rows, 2);
	assert_int_equal(r.seq, 1);
	HUB_OK(trib_hub_restore_note(&hub.hub, &h, "#1", NULL, to, &r, err));
	trib_restored_release(&r);
	assert_int_equal(sqlite3_open(to, &db), SQLITE_OK);
	HUB_OK(trib_db_int(db, "SELECT count(*) FROM person WHERE name IN ('王芳', 'Li')", 0, &n, err));
	assert_int_equal(n, 2);
	sqlite3_close(db);
	r = (struct trib_restored){0};
	assert_int_equal(trib_hub_restore(&h, hub.node[0].tip.oid, NULL, to, false, &r, &bad), -1);
	assert_int_equal(bad.code, TRIB_E_USAGE);
	HUB_OK(trib_hub_restore(&h, hub.node[0].tip.oid, NULL, to, true, &r, err));
	assert_int_equal(r.rows, 3);
	trib_restored_release(&r);
	struct trib_buf log = TRIB_BUF(TRIB_MIB);
	char *path = mkhub_path(&hub, "restores.log");
	HUB_OK(trib_fs_read(path, &log, err));
	assert_non_null(strstr(trib_buf_str(&log), " node " MK_NODE " app " MK_APP " at %231 table %2A to "));
	trib_buf_release(&log);
	free(path);
	/* Not without a leaf of the log, and not signed after the certificate was revoked. */
	mkhub_sql(hub.db.db, "UPDATE cert SET revoked_at = 1 WHERE usage = 'sign'");
	r = (struct trib_restored){0};
	assert_int_equal(trib_hub_restore(&h, first, NULL, to, true, &r, &bad), -1);
	assert_int_equal(bad.code, TRIB_E_CERT);
	mkhub_sql(hub.db.db, "UPDATE cert SET revoked_at = NULL; DELETE FROM held");
	assert_int_equal(trib_hub_restore(&h, first, NULL, to, true, &r, &bad), -1);
	assert_int_equal(bad.code, TRIB_E_VERIFY);
	trib_restored_release(&r);
	trib_hub_history_release(&h);
	HUB_OK(trib_fs_remove(to, err));
	free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ingest_replaces_what_is_damaged_or_missing_and_nothing_else, start, stop),
		cmocka_unit_test_setup_teardown(ingest_leaves_unpublished_commits_out, start, stop),
		cmocka_unit_test_setup_teardown(ingest_says_what_the_bundle_lacks, start, stop),
		cmocka_unit_test_setup_teardown(a_damaged_pack_is_moved_away_once_all_of_it_is_safe, start, stop),
		cmocka_unit_test_setup_teardown(a_lost_repository_comes_back, start, stop),
		cmocka_unit_test_setup_teardown(rebuild_mends_city_and_caches, start, stop),
		cmocka_unit_test_setup_teardown(rebuild_keeps_the_old_files_when_the_digest_differs, start, stop),
		cmocka_unit_test_setup_teardown(rebuild_refuses_a_log_that_was_not_signed, start, stop),
		cmocka_unit_test_setup_teardown(what_damage_had_stopped_is_merged_by_rebuild, start, stop),
		cmocka_unit_test_setup_teardown(a_running_hub_is_left_alone, start, stop),
		cmocka_unit_test_setup_teardown(a_community_is_restored_as_of_any_commit, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
