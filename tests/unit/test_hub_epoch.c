#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/trust/epoch.h"
#include "core/trust/hash.h"
#include "hub/audit.h"
#include "tests/lib/mkhub.h"

static struct mkhub hub;

#define MAKE "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO person VALUES(1,'a')"

static int start(void **state)
{
	(void)state;
	mkhub_init(&hub);
	mkhub_commit(&hub, 0, MAKE);
	mkhub_commit(&hub, 1, MAKE);
	mkhub_merge(&hub);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mkhub_free(&hub);
	return 0;
}

static int collect(void *ctx, const struct trib_finding *f, struct trib_err *err)
{
	char *all = ctx;
	size_t at = strlen(all);
	(void)err;
	(void)snprintf(all + at, 8192 - at, "%s #%llu %s\n", f->node, (unsigned long long)f->seq, f->what);
	return 0;
}

static const char *audit(void)
{
	static char all[8192];
	struct trib_audit *a = NULL;
	all[0] = '\0';
	HUB_OK(trib_audit_run(&hub.hub, true, &a, err));
	HUB_OK(trib_audit_findings(a, collect, all, err));
	trib_audit_free(a);
	return all;
}

#define assert_found(what) do { const char *all_ = audit(); if (!strstr(all_, what)) fail_msg("not found: %s\nin:\n%s", what, all_); } while (0)

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
	assert_string_equal(audit(), "");
}

static void a_checkpoint_of_another_log_is_named(void **state)
{
	(void)state;
	commit_seen(0, 10, 5, true);
	mkhub_merge(&hub);
	assert_found(MK_NODE " #2 it names a checkpoint of 5 leaves, which is of another log");
}

static void a_checkpoint_of_the_future_is_named(void **state)
{
	(void)state;
	commit_seen(1, 10, 500, false);
	mkhub_merge(&hub);
	assert_found("N2 #2 it names a checkpoint of 500 leaves, which was not there yet");
}

static void a_falling_checkpoint_is_named(void **state)
{
	(void)state;
	commit_seen(0, 10, 6, false);
	commit_seen(0, 11, 4, false);
	mkhub_merge(&hub);
	assert_found(MK_NODE " #3 it names a checkpoint of 4 leaves, older than the one that the commit before names");
}

/* ---- epochs ---- */

static void make_admin(enum trib_role role, const struct mk *city, struct trib_key **key, struct trib_cert **cert)
{
	struct trib_cert_spec spec = {.role = role, .id = role == TRIB_ROLE_NODE ? "n/a" : "li", .subject = "Li", .use = TRIB_USE_SIGN, .not_before = MK_TIME - 86400,
				      .not_after = INT64_C(1) << 33};
	HUB_OK(trib_key_make(TRIB_KEY_P256, key, err));
	HUB_OK(trib_cert_issue(&spec, NULL, *key, city->issuing_key, city->issuing, cert, err));
}

/* Appends an epoch leaf; `spoil` changes its facts before they are signed, or the text afterwards. */
struct opening { enum trib_role role; const char *origin; int off; bool other_root, other_key, spoil_signature; };

static void open_epoch(const struct opening *o, const struct mk *city)
{
	struct trib_key *key = NULL;
	struct trib_cert *cert = NULL;
	struct trib_buf text = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf facts = {.kind = TRIB_LEAF_EPOCH, .time = hub.now}, leaf;
	make_admin(o->role, city, &key, &cert);
	HUB_OK(trib_log_size(&hub.db, &facts.number, err));
	HUB_OK(trib_log_root(&hub.db, facts.number, facts.manifest, err));
	HUB_OK(trib_key_ed25519_public(hub.signer.log_key, facts.sha256, err));
	(void)snprintf(facts.origin, sizeof(facts.origin), "%s", o->origin);
	facts.number += (uint64_t)o->off;
	facts.manifest[0] ^= o->other_root;
	facts.sha256[0] ^= o->other_key;
	HUB_OK(trib_epoch_sign(&facts, key, cert, city->issuing, &text, err));
	if (o->spoil_signature) {
		char *at = strstr((char *)text.p, "time 20");
		assert_non_null(at);
		at[sizeof("time 2026-11-18T11:06:40Z") - 3] ^= 1; /* another second */
	}
	HUB_OK(trib_leaf_parse(trib_buf_span(&text), &leaf, err));
	HUB_OK(trib_hubdb_begin(&hub.db, err));
	mkhub_append(&hub, &leaf, NULL);
	HUB_OK(trib_hubdb_commit(&hub.db, err));
	(void)snprintf(hub.hub.origin, sizeof(hub.hub.origin), "%s", o->origin);
	mkhub_checkpoint(&hub);
	trib_buf_release(&text);
	trib_key_free(key);
	trib_cert_free(cert);
}

#define SECOND (struct opening){TRIB_ROLE_ADMIN, MK_CITY "/2", 0, false, false, false}

static void an_administrator_opens_an_epoch(void **state)
{
	(void)state;
	mkhub_down(&hub, 0); /* a checkpoint of the first epoch in a down commit */
	open_epoch(&SECOND, &hub.node[0]);
	mkhub_commit(&hub, 0, "INSERT INTO person VALUES(5,'e')");
	mkhub_down(&hub, 0);
	mkhub_merge(&hub);
	assert_string_equal(audit(), "");
}

static void any_other_opening_is_named(void **state)
{
	(void)state;
	static const struct { struct opening o; const char *finding; } wrong[] = {
		{{TRIB_ROLE_AUDITOR, MK_CITY "/2", 0, false, false, false}, "was not opened by an administrator"},
		{{TRIB_ROLE_NODE, MK_CITY "/2", 0, false, false, false}, "was not opened by an administrator"},
		{{TRIB_ROLE_ADMIN, MK_CITY "/3", 0, false, false, false}, "which does not follow"},
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
		open_epoch(&wrong[i].o, &hub.node[0]);
		assert_found(wrong[i].finding);
	}
	stop(state);
	start(state);
	struct mk foreign;
	mk_init(&foreign, true, NULL);
	open_epoch(&SECOND, &foreign); /* an administrator of another city */
	assert_found("the administrator's certificate in");
	mk_free(&foreign);
}

static void an_origin_without_its_leaf_is_named(void **state)
{
	(void)state;
	(void)snprintf(hub.hub.origin, sizeof(hub.hub.origin), MK_CITY "/2");
	mkhub_checkpoint(&hub);
	assert_found("the log is " MK_CITY "/1, hub.conf says " MK_CITY "/2");
}

/* What an office saw of the old epoch, and the old copy lost, cannot be looked up; from its first sight of the new epoch on, everything can. */
static void lost_checkpoints_are_excused_until_the_new_epoch_was_seen(void **state)
{
	(void)state;
	uint64_t size;
	open_epoch(&SECOND, &hub.node[0]);
	commit_seen(0, 10, 500, false);
	commit_seen(1, 10, 5, true);
	mkhub_merge(&hub);
	assert_string_equal(audit(), "");
	HUB_OK(trib_log_size(&hub.db, &size, err));
	commit_seen(0, 11, size, false);
	mkhub_merge(&hub);
	assert_string_equal(audit(), "");
	commit_seen(0, 12, 500, false);
	mkhub_merge(&hub);
	assert_found(MK_NODE " #4 it names a checkpoint of 500 leaves");
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
