/* test_state.c: the agent's state folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>

#include "tests/lib/scratch.h"

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

static void fails(int rc, const struct trib_err *err, enum trib_code code, const char *word)
{
	assert_int_equal(rc, -1);
	if (err->code != code || !strstr(err->msg, word))
		fail_msg("%s: %s", trib_code_name(err->code), err->msg);
}

static void a_new_folder_is_whole_and_private(void **state)
{
	struct scratch *x = *state;
	static const struct { const char *name; mode_t mode; } files[] = {
		{"node", 0600}, {"tip", 0600}, {"salt", 0600}, {"keys/sign.key", 0600}, {"keys/sign.crt", 0644}, {"", 0700}, {"keys", 0700}};
	for (size_t i = 0; i < TRIB_COUNT(files); i++) {
		struct stat st;
		TRIB_AUTO(trib_mem) char *p = trib_path(x->state, files[i].name);
		assert_int_equal(stat(p, &st), 0);
		assert_int_equal(st.st_mode & 0777, files[i].mode);
	}
	assert_false(x->s.tip.exists);
	assert_string_equal(x->s.node.node, "520303002001");
	assert_string_equal(x->s.node.app, "desk");
	assert_string_equal(x->s.node.name, "520303002001");
	assert_string_equal(x->s.node.city, "-");
	assert_string_equal(x->s.node.db_path, x->db);
	assert_null(x->s.node.hub_url);
	assert_memory_equal(x->s.tip.salt, x->s.salt, TRIB_SALT_LEN);
	uint8_t zero[TRIB_SALT_LEN] = {0};
	assert_memory_not_equal(x->s.salt, zero, TRIB_SALT_LEN);
}

static void keys_and_certificate_fit(void **state)
{
	struct scratch *x = *state;
	struct trib_cert_id id;
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	OK(trib_state_signer_pem(&x->s, &pem, err));
	OK(trib_state_keys(&x->s, err)); /* again: loaded already */
	OK(trib_cert_verify_self(x->s.sign_cert, &id, err));
	assert_string_equal(id.id, "520303002001/desk");
	assert_true(id.self_signed);
	struct trib_cert *certs[2];
	size_t n = 0;
	OK(trib_certs_parse_pem(trib_buf_span(&pem), certs, 2, &n, err));
	assert_int_equal(n, 1);
	trib_cert_free(certs[0]);
	struct trib_trust t = trib_state_trust(&x->s);
	assert_true(t.self_signed);
	assert_string_equal(t.city, "-");
	assert_null(t.root);
}

static void what_is_saved_is_read_again(void **state)
{
	struct scratch *x = *state;
	struct trib_node *n = &x->s.node;
	(void)snprintf(n->name, sizeof(n->name), "\xe6\xb4\x97\xe9\xa9\xac\xe7\xa4\xbe\xe5\x8c\xba 1%%");
	(void)snprintf(n->city, sizeof(n->city), "\xe9\x81\xb5\xe4\xb9\x89");
	(void)snprintf(n->origin, sizeof(n->origin), "zunyi/1");
	n->hub_url = strdup("https://hub.example:8443");
	n->incarnation = 3;
	n->policy = 7;
	memset(n->log_key, 0xab, sizeof(n->log_key));
	x->s.tip.exists = true;
	x->s.tip.seq = 9;
	x->s.tip.part = x->s.tip.parts = 1;
	OK(trib_state_save_node(&x->s, err));
	OK(trib_state_save_tip(&x->s, err));
	struct trib_state again;
	OK(trib_state_open(x->state, false, &again, err)); /* reading needs no lock */
	assert_string_equal(again.node.name, n->name);
	assert_string_equal(again.node.city, n->city);
	assert_string_equal(again.node.origin, n->origin);
	assert_string_equal(again.node.hub_url, n->hub_url);
	assert_int_equal(again.node.incarnation, 3);
	assert_int_equal(again.node.policy, 7);
	assert_memory_equal(again.node.log_key, n->log_key, sizeof(n->log_key));
	assert_false(again.node.enrolled);
	assert_int_equal(again.tip.seq, 9);
	trib_state_close(&again);
	trib_state_close(&again); /* twice is fine */
}

static void no_folder_is_told_with_the_next_command(void **state)
{
	struct scratch *x = *state;
	struct trib_state s;
	struct trib_err e;
	char none[96];
	(void)snprintf(none, sizeof(none), "%s/nowhere", x->dir);
	fails(trib_state_open(none, true, &s, &e), &e, TRIB_E_NOT_INIT, "tributary-agent init");
	fails(trib_state_open(x->dir, false, &s, &e), &e, TRIB_E_NOT_INIT, "tributary-agent init");
}

static void a_second_folder_over_the_first_is_refused(void **state)
{
	struct scratch *x = *state;
	struct trib_err e;
	struct trib_node n = {.node = "1", .app = "a", .db_path = x->db};
	fails(trib_state_create(x->state, &n, 0, &e), &e, TRIB_E_USAGE, "not empty");
	trib_state_close(&x->s);
	scratch_state(x, false);
	assert_string_equal(x->s.node.node, "520303002001");
}

static void bad_names_are_refused_and_leave_nothing(void **state)
{
	struct scratch *x = *state;
	struct trib_err e;
	char dir[96];
	(void)snprintf(dir, sizeof(dir), "%s/new", x->dir);
	struct trib_node n = {.node = "a/b", .app = "a", .db_path = x->db};
	fails(trib_state_create(dir, &n, 0, &e), &e, TRIB_E_USAGE, "node id");
	memcpy(n.node, "ok", 3);
	n.db_path = (char[]){"relative.db"};
	fails(trib_state_create(dir, &n, 0, &e), &e, TRIB_E_USAGE, "absolute");
	assert_false(trib_fs_exists(dir));
}

static void the_lock_lets_one_writer_in(void **state)
{
	struct scratch *x = *state;
	struct trib_lock l;
	struct trib_err e;
	TRIB_AUTO(trib_mem) char *path = trib_path(x->state, "lock");
	fails(trib_lock_take(&l, path, 0, &e), &e, TRIB_E_LOCKED, "held by another run");
	trib_state_close(&x->s);
	OK(trib_lock_take(&l, path, 0, err));
	trib_lock_drop(&l);
}

static void damaged_files_are_named(void **state)
{
	struct scratch *x = *state;
	static const char *const files[] = {"node", "tip", "salt"};
	struct trib_state s;
	struct trib_err e;
	trib_state_close(&x->s);
	for (size_t i = 0; i < TRIB_COUNT(files); i++) {
		TRIB_AUTO(trib_mem) char *p = trib_path(x->state, files[i]);
		TRIB_AUTO(trib_buf) struct trib_buf whole = TRIB_BUF(TRIB_MIB);
		OK(trib_fs_read(p, &whole, err));
		OK(trib_fs_write(p, trib_span(whole.p, whole.len - 1), 0600, err));
		assert_int_equal(trib_state_open(x->state, false, &s, &e), -1);
		assert_non_null(strstr(e.msg, files[i]));
		OK(trib_fs_write(p, trib_buf_span(&whole), 0600, err));
	}
	scratch_state(x, true);
}

static void temporary_files_are_dropped(void **state)
{
	struct scratch *x = *state;
	TRIB_AUTO(trib_mem) char *p = trib_path(x->state, "pending.tmp");
	trib_state_close(&x->s);
	OK(trib_fs_write(p, trib_span_str("torn"), 0600, err));
	scratch_state(x, true);
	assert_false(trib_fs_exists(p));
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_new_folder_is_whole_and_private), T(keys_and_certificate_fit), T(what_is_saved_is_read_again),
		T(no_folder_is_told_with_the_next_command), T(a_second_folder_over_the_first_is_refused), T(bad_names_are_refused_and_leave_nothing),
		T(the_lock_lets_one_writer_in), T(damaged_files_are_named), T(temporary_files_are_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
