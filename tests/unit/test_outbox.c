/* test_outbox.c: captures become signed commits; unsent ones are made anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "agent/held.h"
#include "agent/outbox.h"
#include "core/base/clock.h"
#include "core/trust/receipt.h"
#include "tests/lib/scratch.h"

#define MAIN_REF "refs/heads/main"

struct office {
	struct scratch x;
	struct trib_key *root_key, *issuing_key, *log_key;
	struct trib_cert *root, *issuing;
	uint64_t leaves;
};

static int setup(void **state)
{
	struct office *o = calloc(1, sizeof(*o));
	scratch_make(&o->x);
	OK(trib_state_keys(&o->x.s, err));
	o->x.app = sql_open(o->x.db);
	sql_run(o->x.app, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); INSERT INTO t(name) VALUES('张三'), ('李四'); CREATE TABLE memo(a)");
	*state = o;
	return 0;
}

static int teardown(void **state)
{
	struct office *o = *state;
	trib_key_free(o->root_key);
	trib_key_free(o->issuing_key);
	trib_key_free(o->log_key);
	trib_cert_free(o->root);
	trib_cert_free(o->issuing);
	scratch_free(&o->x);
	free(o);
	return 0;
}

static void commit_now(struct office *o, const char *sql, const char *text, struct trib_committed *ret)
{
	struct trib_capture c = {.delta.fd = -1};
	if (sql)
		sql_run(o->x.app, sql);
	OK(trib_capture_run(&o->x.s, &trib_engine_full, &c, err));
	assert_true(c.changed);
	OK(trib_outbox_commit(&o->x.s, &c, text, ret, err));
	trib_capture_release(&c);
}

/* The manifest of commit `seq`, and its id. */
static void manifest_of(struct office *o, uint64_t seq, struct trib_manifest *ret, struct trib_commit *ret_c)
{
	uint8_t (*chain)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	OK(trib_repo_chain(o->x.s.repo, o->x.s.tip.oid, NULL, 1000, &chain, &n, err));
	assert_in_range(seq, 1, n);
	OK(trib_commit_read(o->x.s.repo, chain[seq - 1], ret_c, err));
	OK(trib_manifest_parse(trib_buf_span(&ret_c->manifest), ret, err));
	free(chain);
}

/* Walks and judges all; the ref, the tip file and the walk agree; returns the number of commits. */
static size_t prove(struct office *o)
{
	struct trib_held_list held = {0};
	struct trib_tip tip = {0};
	uint8_t ref[TRIB_OID_LEN];
	OK(trib_held_load(&o->x.s, true, &held, err));
	struct trib_history h = trib_own_history(&o->x.s, &held);
	OK(trib_history_walk(&h, NULL, &tip, NULL, NULL, err));
	OK(trib_repo_ref(o->x.s.repo, MAIN_REF, ref, err));
	assert_memory_equal(ref, o->x.s.tip.oid, TRIB_OID_LEN);
	assert_memory_equal(ref, tip.oid, TRIB_OID_LEN);
	size_t n = tip.seq;
	uint8_t a[TRIB_SHA256_LEN], b[TRIB_SHA256_LEN];
	trib_digest_overall(&tip.lanes, "desk", a);
	trib_digest_overall(&o->x.s.tip.lanes, "desk", b);
	assert_memory_equal(a, b, sizeof(a));
	trib_tip_release(&tip);
	trib_held_release(&held);
	return n;
}

static size_t own_lines(struct office *o, const uint8_t *must_hold)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(&o->x.s, "own");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	char hex[TRIB_OID_HEX + 1];
	OK(trib_fs_read(path, &b, err));
	trib_hex(hex, must_hold, TRIB_OID_LEN);
	assert_non_null(strstr(trib_buf_str(&b), hex));
	return b.len / (TRIB_OID_HEX + 1);
}

static void reopen(struct office *o)
{
	trib_state_close(&o->x.s);
	scratch_state(&o->x, true);
	OK(trib_state_keys(&o->x.s, err));
}

/* ---- the city ---- */

static void save_cert(struct office *o, const char *name, const struct trib_cert *c)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(&o->x.s, name);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	OK(trib_cert_pem(c, &pem, err));
	OK(trib_fs_write(path, trib_buf_span(&pem), 0644, err));
}

/* What enrolment leaves in the folder, with certificates of a real CA. */
static void enrol(struct office *o)
{
	struct trib_state *s = &o->x.s;
	TRIB_AUTO(trib_mem) char *tls_path = trib_state_path(s, "keys/tls.key");
	struct trib_key *tls = NULL;
	struct trib_cert *sign_crt = NULL, *tls_crt = NULL;
	int64_t now = trib_now();
	OK(trib_key_make(TRIB_KEY_P256, &o->root_key, err));
	OK(trib_key_make(TRIB_KEY_P256, &o->issuing_key, err));
	OK(trib_key_make(TRIB_KEY_ED25519, &o->log_key, err));
	OK(trib_key_make(TRIB_KEY_P256, &tls, err));
	OK(trib_cert_make_root(o->root_key, "遵义市", now, &o->root, err));
	OK(trib_cert_make_issuing(o->issuing_key, "遵义市", o->root_key, o->root, now, &o->issuing, err));
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = "520303002001/desk", .subject = "洗马社区", .use = TRIB_USE_SIGN, .not_before = now - 60,
				      .not_after = now + 86400};
	OK(trib_cert_issue(&spec, NULL, s->sign_key, o->issuing_key, o->issuing, &sign_crt, err));
	spec.use = TRIB_USE_TLS_CLIENT;
	OK(trib_cert_issue(&spec, NULL, tls, o->issuing_key, o->issuing, &tls_crt, err));
	save_cert(o, "keys/sign.crt", sign_crt);
	save_cert(o, "keys/tls.crt", tls_crt);
	save_cert(o, "keys/issuing.crt", o->issuing);
	save_cert(o, "keys/root.crt", o->root);
	OK(trib_key_save(tls, tls_path, err));
	trib_key_free(tls);
	trib_cert_free(sign_crt);
	trib_cert_free(tls_crt);
	(void)snprintf(s->node.city, sizeof(s->node.city), "遵义市");
	(void)snprintf(s->node.name, sizeof(s->node.name), "洗马社区");
	(void)snprintf(s->node.origin, sizeof(s->node.origin), "zunyi/1");
	OK(trib_key_ed25519_public(o->log_key, s->node.log_key, err));
	s->node.incarnation = 1;
	s->node.policy = 3;
	s->node.enrolled = true;
	OK(trib_state_save_node(s, err));
	reopen(o);
}

/* A receipt as the hub gives it, in a log of one leaf. */
static void receipt(struct office *o, uint64_t seq)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_buf) struct trib_buf leaf_text = TRIB_BUF(TRIB_LEAF_MAX), note = TRIB_BUF(TRIB_NOTE_MAX), file = TRIB_BUF(TRIB_RECEIPTS_MAX);
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/receipts/%u", o->x.state, (unsigned)seq);
	manifest_of(o, seq, &m, &c);
	struct trib_leaf leaf = {.kind = TRIB_LEAF_HELD, .time = trib_now(), .incarnation = m.incarnation, .seq = seq, .part = m.part, .parts = m.parts};
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", m.node);
	(void)snprintf(leaf.app, sizeof(leaf.app), "%s", m.app);
	trib_sha256(leaf.commit, trib_buf_span(&c.raw));
	trib_sha256(leaf.manifest, trib_buf_span(&c.manifest));
	memcpy(leaf.oid, c.oid, TRIB_OID_LEN);
	trib_leaf_put(&leaf_text, &leaf);
	uint8_t root[TRIB_SHA256_LEN];
	trib_merkle_leaf(root, trib_buf_span(&leaf_text));
	OK(trib_checkpoint_sign("zunyi/1", 1, root, o->log_key, &note, err));
	trib_receipts_begin(&file);
	trib_receipts_put(&file, 0, NULL, 0, trib_buf_span(&leaf_text));
	trib_receipts_end(&file, trib_buf_span(&note));
	OK(trib_fs_write(path, trib_buf_span(&file), 0600, err));
}

/* ---- commit ---- */

static void a_capture_becomes_a_judged_commit(void **state)
{
	struct office *o = *state;
	struct trib_committed done;
	commit_now(o, NULL, NULL, &done);
	assert_int_equal(done.ncommits, 1);
	assert_int_equal(done.last_seq, 1);
	assert_int_equal(done.inserted, 2);
	assert_int_equal(prove(o), 1);
	assert_int_equal(own_lines(o, done.oid), 1);
	commit_now(o, "UPDATE t SET name = '王五' WHERE id = 2; DELETE FROM t WHERE id = 1; INSERT INTO memo VALUES(1), (1)", "夜间\n", &done);
	assert_int_equal(done.inserted, 1);
	assert_int_equal(done.updated, 1);
	assert_int_equal(done.deleted, 1);
	assert_int_equal(prove(o), 2);
	assert_int_equal(own_lines(o, done.oid), 2);
	struct trib_manifest m = {0};
	struct trib_commit c = {0};
	manifest_of(o, 2, &m, &c);
	static const char words[] = "1 added, 1 changed, 1 removed in memo, t";
	assert_non_null(memmem(c.c.subject.p, c.c.subject.n, words, strlen(words)));
	assert_non_null(memmem(c.c.message.p, c.c.message.n, "夜间", strlen("夜间")));
	assert_int_equal(m.nsequences, 1);
	assert_int_equal(m.sequences[0].value, 2);
	assert_string_equal(m.city, "-");
	assert_int_equal(m.checkpoint_size, 0);
	trib_manifest_release(&m);
	trib_commit_release(&c);
}

static void a_group_says_what_stands_only_at_its_end(void **state)
{
	struct office *o = *state;
	struct trib_committed done;
	struct trib_manifest m = {0};
	struct trib_commit c = {0};
	commit_now(o, "INSERT INTO memo VALUES('x')", NULL, &done);
	commit_now(o, "DROP TABLE memo; ALTER TABLE t ADD COLUMN note TEXT DEFAULT '无'", NULL, &done);
	assert_int_equal(done.ncommits, 2);
	assert_int_equal(done.first_seq, 2);
	assert_int_equal(done.last_seq, 3);
	assert_int_equal(prove(o), 3);
	assert_int_equal(own_lines(o, done.oid), 3);
	manifest_of(o, 2, &m, &c);
	assert_int_equal(m.part, 1);
	assert_int_equal(m.parts, 2);
	assert_int_equal(m.nsequences, 0);
	assert_non_null(memmem(c.c.subject.p, c.c.subject.n, "(part 1/2)", 10));
	trib_manifest_release(&m);
	trib_commit_release(&c);
	manifest_of(o, 3, &m, &c);
	assert_int_equal(m.nsequences, 1);
	assert_int_equal(m.ntables, 1); /* memo and its bag are gone, with their lanes */
	assert_int_equal(o->x.s.tip.lanes.ntables, 1);
	trib_manifest_release(&m);
	trib_commit_release(&c);
}

/* ---- report ---- */

static void a_report_repeats_the_state_and_names_the_brake(void **state)
{
	struct office *o = *state;
	struct trib_committed done;
	struct trib_err why;
	assert_int_equal(trib_outbox_report(&o->x.s, NULL, &done, &why), -1);
	assert_int_equal(why.code, TRIB_E_NOT_INIT);
	commit_now(o, NULL, NULL, &done);
	OK(trib_outbox_report(&o->x.s, NULL, &done, err));
	char table[] = "t";
	struct trib_mf_braked lost = {table, 250};
	struct trib_capture braked = {.braked = &lost, .nbraked = 1};
	OK(trib_outbox_report(&o->x.s, &braked, &done, err));
	assert_int_equal(done.last_seq, 3);
	assert_int_equal(prove(o), 3);
	struct trib_manifest m = {0};
	struct trib_commit c = {0};
	manifest_of(o, 2, &m, &c);
	assert_int_equal(m.raw_len, 0);
	assert_int_equal(m.nsequences, 1); /* a restore of this moment reads it here */
	assert_int_equal(m.nbraked, 0);
	assert_non_null(memmem(c.c.subject.p, c.c.subject.n, "nothing changed", 15));
	trib_manifest_release(&m);
	trib_commit_release(&c);
	manifest_of(o, 3, &m, &c);
	assert_int_equal(m.nbraked, 1);
	assert_int_equal(m.braked[0].lost, 250);
	trib_manifest_release(&m);
	trib_commit_release(&c);
	struct trib_capture cap = {.delta.fd = -1}; /* the baseline stayed what it was */
	OK(trib_capture_run(&o->x.s, &trib_engine_full, &cap, err));
	assert_false(cap.changed);
	trib_capture_release(&cap);
}

/* ---- made anew ---- */

static void enrolment_signs_everything_anew(void **state)
{
	struct office *o = *state;
	struct trib_committed done;
	struct trib_manifest was = {0}, m = {0};
	struct trib_commit was_c = {0}, c = {0};
	bool stale;
	size_t n;
	commit_now(o, NULL, "说明", &done);
	commit_now(o, "DROP TABLE memo; CREATE TABLE visit(id TEXT PRIMARY KEY); INSERT INTO visit VALUES('v')", NULL, &done);
	OK(trib_outbox_report(&o->x.s, NULL, &done, err));
	size_t all = prove(o);
	manifest_of(o, 1, &was, &was_c);
	OK(trib_outbox_stale(&o->x.s, &stale, err));
	assert_false(stale);
	enrol(o);
	OK(trib_outbox_stale(&o->x.s, &stale, err));
	assert_true(stale);
	OK(trib_outbox_resign(&o->x.s, &n, err));
	assert_int_equal(n, all);
	assert_int_equal(prove(o), all);
	assert_int_equal(own_lines(o, o->x.s.tip.oid), all);
	manifest_of(o, 1, &m, &c);
	assert_string_equal(m.city, "遵义市");
	assert_int_equal(m.incarnation, 1);
	assert_int_equal(m.policy, 3);
	assert_int_equal(m.captured_at, was.captured_at);
	assert_memory_equal(m.digest, was.digest, TRIB_SHA256_LEN);
	assert_memory_not_equal(c.oid, was_c.oid, TRIB_OID_LEN);
	assert_non_null(memmem(c.c.message.p, c.c.message.n, "\n\n说明\n\n", strlen("\n\n说明\n\n")));
	OK(trib_outbox_stale(&o->x.s, &stale, err));
	assert_false(stale);
	OK(trib_outbox_resign(&o->x.s, &n, err)); /* nothing is left to do */
	assert_int_equal(n, 0);
	reopen(o);
	assert_int_equal(prove(o), all);
	commit_now(o, "INSERT INTO t(name) VALUES('赵六')", NULL, &done); /* and the office goes on */
	assert_int_equal(prove(o), all + 1);
	trib_manifest_release(&was);
	trib_manifest_release(&m);
	trib_commit_release(&was_c);
	trib_commit_release(&c);
}

static void what_has_a_receipt_is_never_changed(void **state)
{
	struct office *o = *state;
	struct trib_committed done;
	uint8_t first[TRIB_OID_LEN];
	size_t n;
	enrol(o);
	commit_now(o, NULL, NULL, &done);
	memcpy(first, done.oid, sizeof(first));
	receipt(o, 1);
	commit_now(o, "INSERT INTO memo VALUES(1)", NULL, &done);
	commit_now(o, "INSERT INTO memo VALUES(2)", NULL, &done);
	o->x.s.node.policy = 4;
	OK(trib_outbox_resign(&o->x.s, &n, err));
	assert_int_equal(n, 2);
	assert_int_equal(prove(o), 3);
	struct trib_manifest m = {0};
	struct trib_commit c = {0};
	manifest_of(o, 1, &m, &c);
	assert_memory_equal(c.oid, first, TRIB_OID_LEN);
	assert_int_equal(m.policy, 3);
	trib_manifest_release(&m);
	trib_commit_release(&c);
	manifest_of(o, 2, &m, &c);
	assert_int_equal(m.policy, 4);
	trib_manifest_release(&m);
	trib_commit_release(&c);
}

static void a_receipt_that_proves_nothing_counts_for_nothing(void **state)
{
	struct office *o = *state;
	struct trib_committed done;
	struct trib_held_list held = {0};
	struct trib_err why;
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/receipts/1", o->x.state);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	enrol(o);
	commit_now(o, NULL, NULL, &done);
	receipt(o, 1);
	OK(trib_held_load(&o->x.s, true, &held, err));
	assert_int_equal(held.n, 1);
	assert_non_null(trib_held_find(&held, done.oid));
	trib_held_release(&held);
	OK(trib_fs_read(path, &b, err));
	char *time = strstr((char *)b.p, "time 2");
	assert_non_null(time);
	time[5] = '1'; /* a millennium earlier: the leaf is no longer the one in the log */
	OK(trib_fs_write(path, trib_buf_span(&b), 0600, err));
	OK(trib_held_load(&o->x.s, false, &held, err));
	assert_int_equal(held.n, 0);
	trib_held_release(&held);
	assert_int_equal(trib_held_load(&o->x.s, true, &held, &why), -1);
	assert_int_equal(why.code, TRIB_E_VERIFY);
}

/* The hub holds part 1 of 2 when the policy changes: the group is void and is begun again after it. */
static void an_open_group_is_begun_again(void **state)
{
	struct office *o = *state;
	struct trib_committed done;
	size_t n;
	enrol(o);
	commit_now(o, "INSERT INTO memo VALUES('x')", NULL, &done);
	receipt(o, 1);
	commit_now(o, "DROP TABLE memo; ALTER TABLE t ADD COLUMN note", NULL, &done);
	assert_int_equal(done.ncommits, 2);
	receipt(o, 2);
	o->x.s.node.policy = 4;
	OK(trib_outbox_resign(&o->x.s, &n, err));
	assert_int_equal(n, 2);
	assert_int_equal(prove(o), 4);
	assert_false(trib_tip_open(&o->x.s.tip));
	commit_now(o, "INSERT INTO t(name) VALUES('赵六')", NULL, &done);
	assert_int_equal(prove(o), 5);
}

static void resign_in_child(const char *state_dir, const char *point)
{
	struct trib_state s;
	struct trib_err err;
	size_t n;
	setenv("TRIBUTARY_CRASH_AT", point, 1);
	if (trib_state_open(state_dir, true, &s, &err) || trib_state_keys(&s, &err) || trib_outbox_resign(&s, &n, &err))
		_exit(1);
	_exit(0);
}

static void a_kill_while_signing_anew_leaves_one_whole_history(void **state)
{
	static const char *const points[] = {"objects-written:2", "own-widened", "pending-written", "pending-renamed", "ref-moved", "tip-saved", "history-moved"};
	struct office *o = *state;
	struct trib_committed done;
	commit_now(o, NULL, NULL, &done);
	commit_now(o, "INSERT INTO memo VALUES(1)", NULL, &done);
	enrol(o);
	for (size_t i = 0; i < TRIB_COUNT(points); i++) {
		size_t n;
		int status = 0;
		o->x.s.node.policy = 10 + i;
		OK(trib_state_save_node(&o->x.s, err));
		trib_state_close(&o->x.s);
		pid_t pid = fork();
		if (pid == 0)
			resign_in_child(o->x.state, points[i]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status))
			fail_msg("not killed at %s", points[i]);
		scratch_state(&o->x, true); /* rolls forward what was begun */
		OK(trib_state_keys(&o->x.s, err));
		OK(trib_outbox_resign(&o->x.s, &n, err));
		assert_int_equal(prove(o), 2);
		assert_int_equal(o->x.s.tip.policy, 10 + i);
		(void)own_lines(o, o->x.s.tip.oid);
	}
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_capture_becomes_a_judged_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_group_says_what_stands_only_at_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_report_repeats_the_state_and_names_the_brake, setup, teardown),
		cmocka_unit_test_setup_teardown(enrolment_signs_everything_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_a_receipt_is_never_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_receipt_that_proves_nothing_counts_for_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(an_open_group_is_begun_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kill_while_signing_anew_leaves_one_whole_history, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
