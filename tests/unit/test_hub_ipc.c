#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "hub/hub.h"
#include "hub/ipc.h"

static struct trib_span none(void) { return trib_span(NULL, 0); }

static void parts_arrive_as_one_message(void **state)
{
	(void)state;
	struct trib_err err;
	int s[2];
	enum trib_ipc_type type;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(100);
	assert_int_equal(trib_ipc_pair(s, &err), 0);
	assert_int_equal(trib_ipc_send(s[0], TRIB_IPC_STATE, trib_span("ab", 2), none(), trib_span("cde", 3), &err), 0);
	assert_int_equal(trib_ipc_send(s[0], TRIB_IPC_WAKE, none(), none(), none(), &err), 0);
	assert_int_equal(trib_ipc_recv(s[1], 1000, &type, &b, &err), 1);
	assert_int_equal(type, TRIB_IPC_STATE);
	assert_true(trib_span_is(trib_buf_span(&b), "abcde"));
	assert_int_equal(trib_ipc_recv(s[1], 1000, &type, &b, &err), 1);
	assert_int_equal(type, TRIB_IPC_WAKE);
	assert_int_equal(b.len, 0);
	close(s[0]);
	assert_int_equal(trib_ipc_recv(s[1], 1000, &type, &b, &err), 0);
	close(s[1]);
}

static void large_message_crosses_a_full_socket(void **state)
{
	(void)state;
	struct trib_err err;
	int s[2], status;
	size_t n = 5 * TRIB_MIB;
	uint8_t *bytes = malloc(n);
	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	assert_int_equal(trib_ipc_pair(s, &err), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(trib_ipc_send(s[0], TRIB_IPC_PUBLISH, trib_span(bytes, n), none(), none(), &err) ? 1 : 0);
	enum trib_ipc_type type;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(n);
	assert_int_equal(trib_ipc_recv(s[1], 5000, &type, &b, &err), 1);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.p, bytes, n);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	free(bytes);
	close(s[0]);
	close(s[1]);
}

static void expect_bad_head(struct trib_ipc_head h, enum trib_code code)
{
	struct trib_err err;
	int s[2];
	enum trib_ipc_type type;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1000);
	assert_int_equal(trib_ipc_pair(s, &err), 0);
	assert_int_equal(send(s[0], &h, sizeof(h), 0), (int)sizeof(h));
	assert_int_equal(trib_ipc_recv(s[1], 1000, &type, &b, &err), -1);
	assert_int_equal(err.code, code);
	assert_int_equal(b.len, 0);
	assert_null(b.p);
	close(s[0]);
	close(s[1]);
}

static void bad_heads_are_refused_before_any_memory_is_taken(void **state)
{
	(void)state;
	expect_bad_head((struct trib_ipc_head){.magic = 1, .type = TRIB_IPC_HELLO, .len = 0}, TRIB_E_FORMAT);
	expect_bad_head((struct trib_ipc_head){.magic = TRIB_IPC_MAGIC, .type = 0, .len = 0}, TRIB_E_FORMAT);
	expect_bad_head((struct trib_ipc_head){.magic = TRIB_IPC_MAGIC, .type = 99, .len = 0}, TRIB_E_FORMAT);
	expect_bad_head((struct trib_ipc_head){.magic = TRIB_IPC_MAGIC, .type = TRIB_IPC_HELLO, .len = 1001}, TRIB_E_LIMIT);
	expect_bad_head((struct trib_ipc_head){.magic = TRIB_IPC_MAGIC, .type = TRIB_IPC_HELLO, .len = UINT64_MAX}, TRIB_E_LIMIT);
}

static void cut_message_is_an_error_and_not_an_end(void **state)
{
	(void)state;
	struct trib_err err;
	int s[2];
	enum trib_ipc_type type;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1000);
	struct trib_ipc_head h = {.magic = TRIB_IPC_MAGIC, .type = TRIB_IPC_HELLO, .len = 10};
	for (size_t n = 1; n < sizeof(h) + 10; n += 5) {
		uint8_t raw[sizeof(h) + 10] = {0};
		memcpy(raw, &h, sizeof(h));
		assert_int_equal(trib_ipc_pair(s, &err), 0);
		assert_int_equal(send(s[0], raw, n, 0), (int)n);
		close(s[0]);
		assert_int_equal(trib_ipc_recv(s[1], 1000, &type, &b, &err), -1);
		assert_int_equal(b.len, 0);
		close(s[1]);
	}
}

static void silence_ends_at_the_deadline(void **state)
{
	(void)state;
	struct trib_err err;
	int s[2];
	enum trib_ipc_type type;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1000);
	assert_int_equal(trib_ipc_pair(s, &err), 0);
	int64_t t = trib_mono_ms();
	assert_int_equal(trib_ipc_recv(s[1], 50, &type, &b, &err), -1);
	assert_in_range(trib_mono_ms() - t, 40, 20000); /* a full machine is slow; without a deadline it never ends */
	close(s[0]);
	close(s[1]);
}

static void oversized_message_is_not_sent(void **state)
{
	(void)state;
	struct trib_err err;
	uint8_t one = 0;
	assert_int_equal(trib_ipc_send(-1, TRIB_IPC_STATE, trib_span(&one, TRIB_IPC_MAX), trib_span(&one, 1), none(), &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void call_demands_the_right_answer(void **state)
{
	(void)state;
	struct trib_err err;
	int s[2];
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1000);
	assert_int_equal(trib_ipc_pair(s, &err), 0);
	assert_int_equal(trib_ipc_send(s[1], TRIB_IPC_WAKE, none(), none(), none(), &err), 0);
	assert_int_equal(trib_ipc_call(s[0], TRIB_IPC_HELLO, none(), none(), none(), 1000, TRIB_IPC_WHO, &b, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_int_equal(trib_ipc_send(s[1], TRIB_IPC_WHO, trib_span("x", 1), none(), none(), &err), 0);
	assert_int_equal(trib_ipc_call(s[0], TRIB_IPC_HELLO, none(), none(), none(), 1000, TRIB_IPC_WHO, &b, &err), 0);
	assert_int_equal(b.len, 1);
	close(s[1]);
	assert_int_equal(trib_ipc_call(s[0], TRIB_IPC_HELLO, none(), none(), none(), 1000, TRIB_IPC_WHO, &b, &err), -1);
	close(s[0]);
}

static void descriptors_travel(void **state)
{
	(void)state;
	struct trib_err err;
	int s[2], fd = -1, got = -1;
	int64_t pid = 0;
	struct stat a, b;
	assert_int_equal(trib_ipc_pair(s, &err), 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(trib_ipc_send_fd(s[0], fd, 4711, &err), 0);
	assert_int_equal(trib_ipc_recv_fd(s[1], &got, &pid, &err), 1);
	assert_int_equal(pid, 4711);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(got, &b), 0);
	assert_int_equal(a.st_rdev, b.st_rdev);
	assert_int_equal(fcntl(got, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	/* A byte without a descriptor is no message. */
	assert_int_equal(send(s[0], "f", 1, 0), 1);
	assert_int_equal(trib_ipc_recv_fd(s[1], &got, &pid, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	close(s[0]);
	assert_int_equal(trib_ipc_recv_fd(s[1], &got, &pid, &err), 0);
	close(s[1]);
	close(fd);
	close(got);
}

static void hub_conf_round_trips_and_is_strict(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_hub_conf c = {.policy_version = 3, .nhosts = 2}, d;
	(void)snprintf(c.city, sizeof(c.city), "遵义");
	(void)snprintf(c.listen, sizeof(c.listen), "127.0.0.1:0");
	(void)snprintf(c.hosts[0], sizeof(c.hosts[0]), "hub.example");
	(void)snprintf(c.hosts[1], sizeof(c.hosts[1]), "10.0.0.1");
	assert_int_equal(trib_hub_origin(c.city, 1, c.origin, sizeof(c.origin), &err), 0);
	assert_string_equal(c.origin, "%E9%81%B5%E4%B9%89/1");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	trib_hub_conf_put(&b, &c);
	assert_int_equal(trib_hub_conf_parse(trib_buf_span(&b), &d, &err), 0);
	assert_memory_equal(&c, &d, sizeof(c));
	trib_buf_puts(&b, "x");
	assert_int_equal(trib_hub_conf_parse(trib_buf_span(&b), &d, &err), -1);
	/* A listen address that no reader would take is not written. */
	(void)snprintf(c.listen, sizeof(c.listen), "two words");
	assert_int_equal(trib_hub_conf_save("/nonexistent", &c, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_int_equal(trib_hub_conf_load("/nonexistent", &d, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_INIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_arrive_as_one_message),
		cmocka_unit_test(large_message_crosses_a_full_socket),
		cmocka_unit_test(bad_heads_are_refused_before_any_memory_is_taken),
		cmocka_unit_test(cut_message_is_an_error_and_not_an_end),
		cmocka_unit_test(silence_ends_at_the_deadline),
		cmocka_unit_test(oversized_message_is_not_sent),
		cmocka_unit_test(call_demands_the_right_answer),
		cmocka_unit_test(descriptors_travel),
		cmocka_unit_test(hub_conf_round_trips_and_is_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
