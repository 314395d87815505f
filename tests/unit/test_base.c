#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/fs.h"

static void err_chain_keeps_code_and_puts_context_first(void **state)
{
	(void)state;
	struct trib_err err;
	assert_int_equal(trib_fail(&err, TRIB_E_FORMAT, "line %d: bad", 4), -1);
	assert_int_equal(trib_ctx(&err, "manifest of %s", "n1"), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_string_equal(err.msg, "manifest of n1: line 4: bad");
	errno = ENOSPC;
	assert_int_equal(trib_fail_errno(&err, "writing"), -1);
	assert_int_equal(err.code, TRIB_E_NO_SPACE);
	assert_int_equal(errno, ENOSPC);
	assert_true(strncmp(err.msg, "writing: ", 9) == 0 && strlen(err.msg) > 12);
	errno = EIO;
	trib_fail_errno(&err, "reading");
	assert_int_equal(err.code, TRIB_E_IO);
}

static void err_chain_is_cut_not_overrun(void **state)
{
	(void)state;
	struct trib_err err;
	char fill[TRIB_ERR_MSG];
	memset(fill, 'x', sizeof(fill) - 1);
	fill[sizeof(fill) - 1] = '\0';
	trib_fail(&err, TRIB_E_IO, "cause");
	for (int i = 0; i < 3; i++)
		trib_ctx(&err, "%.600s", fill);
	assert_int_equal(strlen(err.msg), TRIB_ERR_MSG - 1);
	trib_fail(&err, TRIB_E_IO, "cause");
	trib_ctx(&err, "%s%s", fill, fill);
	assert_int_equal(strlen(err.msg), TRIB_ERR_MSG - 1);
	assert_int_equal(err.code, TRIB_E_IO);
}

static void codes_have_names_and_statuses(void **state)
{
	(void)state;
	for (int i = 0; i < TRIB_CODE_COUNT; i++) {
		const char *name = trib_code_name((enum trib_code)i);
		assert_int_equal(trib_code_from_name(name, strlen(name)), i);
	}
	assert_int_equal(trib_code_from_name("okay", 4), TRIB_E_FAILED);
	assert_int_equal(trib_code_from_name("ok", 1), TRIB_E_FAILED);
	assert_string_equal(trib_code_name((enum trib_code)TRIB_CODE_COUNT), "failed");
	assert_int_equal(trib_exit_status(TRIB_OK), 0);
	assert_int_equal(trib_exit_status(TRIB_E_USAGE), 2);
	assert_int_equal(trib_exit_status(TRIB_E_VERSION), 20);
	assert_int_equal(trib_exit_status((enum trib_code)1000), 1);
}

static void buf_stops_at_its_limit_and_stays_failed(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(8);
	trib_buf_puts(&b, "12345678");
	assert_int_equal(trib_buf_check(&b, "b", &err), 0);
	assert_string_equal(trib_buf_str(&b), "12345678");
	trib_buf_putc(&b, '9');
	assert_int_equal(trib_buf_check(&b, "thing", &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_non_null(strstr(err.msg, "thing"));
	assert_int_equal(b.len, 8);
	b.len = 0; /* room again, but the failure stays */
	trib_buf_puts(&b, "x");
	assert_int_equal(b.len, 0);
	assert_null(trib_buf_grow(&b, 0));
	trib_buf_reset(&b);
	trib_buf_printf(&b, "%s-%d", "ab", 12345);
	assert_string_equal(trib_buf_str(&b), "ab-12345");
	assert_false(b.failed);
	trib_buf_reset(&b);
	trib_buf_printf(&b, "%s-%d", "ab", 123456);
	assert_true(b.failed && b.len == 0);
	trib_buf_reset(&b);
	assert_null(trib_buf_grow(&b, SIZE_MAX));
	assert_true(b.failed);
}

static void buf_writes_numbers_and_hex(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1000);
	assert_string_equal(trib_buf_str(&b), "");
	trib_buf_be32(&b, 0x01020304);
	trib_buf_be64(&b, 0x05060708090a0b0cULL);
	assert_memory_equal(b.p, "\1\2\3\4\5\6\7\x8\x9\xa\xb\xc", 12);
	trib_buf_reset(&b);
	trib_buf_hex(&b, (const uint8_t *)"\x00\xff\x1a", 3);
	assert_string_equal(trib_buf_str(&b), "00ff1a");
	for (int i = 0; i < 900; i++)
		trib_buf_putc(&b, 'a');
	assert_int_equal(b.len, 906);
	assert_int_equal(b.p[906], 0);
}

static void hex_is_strict(void **state)
{
	(void)state;
	uint8_t two[2];
	assert_true(trib_unhex(two, 2, trib_span_str("0aff")) && two[0] == 0x0a && two[1] == 0xff);
	assert_false(trib_unhex(two, 2, trib_span_str("0aFF")));
	assert_false(trib_unhex(two, 2, trib_span_str("0aff0")));
	assert_false(trib_unhex(two, 2, trib_span_str("0af")));
	assert_false(trib_unhex(two, 2, trib_span_str("0a:f")));
	assert_false(trib_unhex(two, 2, trib_span_str("0agf")));
}

static void reader_fails_once_and_for_good(void **state)
{
	(void)state;
	struct trib_reader r = trib_reader(trib_span("\1\2\3\4\5", 5));
	assert_int_equal(trib_read_u8(&r), 1);
	assert_int_equal(trib_read_be32(&r), 0x02030405);
	assert_false(r.failed);
	assert_int_equal(trib_read(&r, 0).n, 0);
	assert_false(r.failed);
	assert_int_equal(trib_read_u8(&r), 0);
	assert_true(r.failed);
	r = trib_reader(trib_span("\1\2\3\4\5", 5));
	assert_int_equal(trib_read_be64(&r), 0);
	assert_int_equal(trib_read_u8(&r), 0); /* though a byte is there */
	assert_int_equal(r.rest.n, 5);
}

static void spans_order_by_bytes_prefix_first(void **state)
{
	(void)state;
	assert_true(trib_span_cmp(trib_span_str("a"), trib_span_str("ab")) < 0);
	assert_true(trib_span_cmp(trib_span_str("b"), trib_span_str("ab")) > 0);
	assert_true(trib_span_cmp(trib_span_str("\xff"), trib_span_str("a")) > 0);
	assert_int_equal(trib_span_cmp(trib_span(NULL, 0), trib_span_str("")), 0);
	assert_true(trib_span_starts(trib_span_str("abc"), "ab"));
	assert_false(trib_span_starts(trib_span_str("a"), "ab"));
}

static void time_text_and_parse_are_inverse(void **state)
{
	(void)state;
	static const struct {
		int64_t t;
		const char *text;
	} known[] = {{0, "1970-01-01T00:00:00Z"},
		     {1795633200, "2026-11-25T19:00:00Z"},
		     {1709164800, "2024-02-29T00:00:00Z"},
		     {-1, "1969-12-31T23:59:59Z"},
		     {-62167219200LL, "0000-01-01T00:00:00Z"},
		     {253402300799LL, "9999-12-31T23:59:59Z"}};
	struct trib_err err;
	char text[TRIB_TIME_LEN + 1];
	for (size_t i = 0; i < TRIB_COUNT(known); i++) {
		int64_t t = 1;
		trib_time_text(text, known[i].t);
		assert_string_equal(text, known[i].text);
		assert_int_equal(trib_time_parse(trib_span_str(text), &t, &err), 0);
		assert_true(t == known[i].t);
	}
	trib_time_text(text, INT64_MAX);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	trib_time_text(text, INT64_MIN);
	assert_string_equal(text, "0000-01-01T00:00:00Z");
}

static void time_parse_refuses(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"2023-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z",
		"2026-01-01T00:00:00z",
		"2026-01-01 00:00:00Z",
		"2026-01-01T00:00:0Z",
		"2026-01-01T00:00:000Z",
		"+026-01-01T00:00:00Z",
		"2026-01-01T00:00:-1Z",
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		struct trib_err err;
		int64_t t = 77;
		assert_int_equal(trib_time_parse(trib_span_str(wrong[i]), &t, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
		assert_true(t == 77);
	}
}

static void clock_can_be_shifted(void **state)
{
	(void)state;
	unsetenv("TRIBUTARY_CLOCK_OFFSET");
	int64_t now = trib_now();
	setenv("TRIBUTARY_CLOCK_OFFSET", "-86400", 1);
	int64_t then = trib_now();
	assert_true(then - now <= -86400 + 2 && then - now >= -86400);
	setenv("TRIBUTARY_CLOCK_OFFSET", "12x", 1);
	assert_true(trib_now() - now <= 2);
	unsetenv("TRIBUTARY_CLOCK_OFFSET");
	int64_t a = trib_mono_ms();
	assert_true(trib_mono_ms() >= a && a > 0);
}

/* ---- fs, in a directory of its own ---- */

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/trib-test-base.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	(void)state;
	struct trib_err err;
	return trib_fs_remove_tree(dir, &err);
}

static void assert_file(const char *path, const char *content)
{
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1000);
	assert_int_equal(trib_fs_read(path, &b, &err), 0);
	assert_string_equal(trib_buf_str(&b), content);
}

static void fs_write_replaces_and_create_does_not(void **state)
{
	(void)state;
	struct trib_err err;
	struct stat st;
	TRIB_AUTO(trib_mem) char *f = trib_path(dir, "file");
	TRIB_AUTO(trib_mem) char *tmp = trib_path(dir, "file.tmp");
	mode_t was = umask(077);
	assert_int_equal(trib_fs_write(f, trib_span_str("one"), 0644, &err), 0);
	umask(was);
	assert_int_equal(stat(f, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(trib_fs_write(f, trib_span_str("two"), 0600, &err), 0);
	assert_file(f, "two");
	assert_int_equal(trib_fs_create(f, trib_span_str("three"), 0600, &err), -1);
	assert_int_equal(err.code, TRIB_E_FAILED);
	assert_file(f, "two");
	assert_false(trib_fs_exists(tmp));
	assert_int_equal(trib_fs_remove(f, &err), 0);
	assert_int_equal(trib_fs_remove(f, &err), 0);
	assert_int_equal(trib_fs_create(f, trib_span_str("three"), 0600, &err), 0);
	assert_file(f, "three");
	assert_false(trib_fs_exists(tmp));
	TRIB_AUTO(trib_mem) char *deep = trib_path(dir, "none/file");
	assert_int_equal(trib_fs_write(deep, trib_span_str("x"), 0600, &err), -1);
	assert_int_equal(err.code, TRIB_E_IO);
}

static void fs_read_has_a_limit(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *f = trib_path(dir, "limit");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(6);
	assert_int_equal(trib_fs_write(f, trib_span_str("5 byt"), 0600, &err), 0);
	trib_buf_putc(&b, '>');
	assert_int_equal(trib_fs_read(f, &b, &err), 0);
	assert_string_equal(trib_buf_str(&b), ">5 byt");
	b.len = 2;
	assert_int_equal(trib_fs_read(f, &b, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(b.len, 2);
	trib_buf_reset(&b);
	TRIB_AUTO(trib_mem) char *none = trib_path(dir, "none");
	assert_int_equal(trib_fs_read(none, &b, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	TRIB_AUTO(trib_fd) int fd = open(f, O_RDWR | O_CLOEXEC);
	uint8_t got[8];
	assert_int_equal(trib_fs_pread_all(fd, got, 3, 2, &err), 0);
	assert_memory_equal(got, "byt", 3);
	assert_int_equal(trib_fs_pread_all(fd, got, 4, 2, &err), -1);
	assert_int_equal(err.code, TRIB_E_IO);
	assert_int_equal(trib_fs_pwrite_all(fd, "BY", 2, 2, &err), 0);
	assert_file(f, "5 BYt");
	TRIB_AUTO(trib_fd) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(full >= 0);
	assert_int_equal(trib_fs_write_all(full, trib_span_str("x"), &err), -1);
	assert_int_equal(err.code, TRIB_E_NO_SPACE);
}

static void fs_directories(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *deep = trib_path(dir, "a/b/c");
	TRIB_AUTO(trib_mem) char *f = trib_path(dir, "a/b/c/f");
	TRIB_AUTO(trib_mem) char *f2 = trib_path(dir, "a/f2");
	TRIB_AUTO(trib_mem) char *a = trib_path(dir, "a");
	TRIB_AUTO(trib_mem) char *link_to = trib_path(dir, "a/link");
	TRIB_AUTO(trib_mem) char *kept = trib_path(dir, "kept");
	assert_int_equal(trib_fs_mkdirs(deep, 0700, &err), 0);
	assert_int_equal(trib_fs_mkdirs(deep, 0700, &err), 0);
	assert_int_equal(trib_fs_write(f, trib_span_str("x"), 0600, &err), 0);
	assert_int_equal(trib_fs_mkdirs(f, 0700, &err), -1);
	assert_int_equal(trib_fs_rename(f, f2, &err), 0);
	assert_true(trib_fs_exists(f2) && !trib_fs_exists(f));
	assert_int_equal(trib_fs_mkdirs(kept, 0700, &err), 0);
	TRIB_AUTO(trib_mem) char *inside = trib_path(kept, "inside");
	assert_int_equal(trib_fs_write(inside, trib_span_str("x"), 0600, &err), 0);
	assert_int_equal(symlink(kept, link_to), 0);
	assert_int_equal(trib_fs_remove_tree(a, &err), 0);
	assert_false(trib_fs_exists(a));
	assert_true(trib_fs_exists(inside)); /* the link was not followed */
	assert_int_equal(trib_fs_remove_tree(a, &err), 0);
	uint64_t room = 0;
	assert_int_equal(trib_fs_free(dir, &room, &err), 0);
	assert_int_equal(trib_fs_floor(dir, 0, &err), 0);
	assert_int_equal(trib_fs_floor("/nonexistent", 0, &err), -1);
	assert_true(room > 0);
}

static void lock_excludes_and_names_its_owner(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *f = trib_path(dir, "lock");
	TRIB_AUTO(trib_lock) struct trib_lock a = TRIB_LOCK_INIT, b = TRIB_LOCK_INIT;
	char owner[32];
	assert_int_equal(trib_lock_take(&a, f, 0, &err), 0);
	assert_int_equal(trib_lock_take(&b, f, 0, &err), -1);
	assert_int_equal(err.code, TRIB_E_LOCKED);
	(void)snprintf(owner, sizeof(owner), "pid %ld", (long)getpid());
	assert_non_null(strstr(err.msg, owner));
	int64_t before = trib_mono_ms();
	assert_int_equal(trib_lock_take(&b, f, 60, &err), -1);
	assert_true(trib_mono_ms() - before >= 60);
	trib_lock_drop(&a);
	assert_int_equal(trib_lock_take(&b, f, 0, &err), 0);
	trib_lock_drop(&b);
	pid_t pid = fork(); /* a dead owner holds nothing */
	if (pid == 0) {
		struct trib_lock c = TRIB_LOCK_INIT;
		_exit(trib_lock_take(&c, f, 0, &err) ? 1 : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(trib_lock_take(&a, f, 0, &err), 0);
}

static int crash_status(const char *at)
{
	pid_t pid = fork();
	if (pid == 0) {
		setenv("TRIBUTARY_CRASH_AT", at, 1);
		trib_crash_point("other");
		trib_crash_point("here");
		trib_crash_point("here");
		_exit(7);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	return status;
}

static void crash_points_kill_at_their_turn(void **state)
{
	(void)state;
	trib_crash_point("here");
	assert_int_equal(WTERMSIG(crash_status("here")), SIGKILL);
	assert_int_equal(WTERMSIG(crash_status("here:2")), SIGKILL);
	assert_int_equal(WEXITSTATUS(crash_status("here:3")), 7);
	assert_int_equal(WEXITSTATUS(crash_status("her")), 7);
	assert_int_equal(WEXITSTATUS(crash_status("here2")), 7);
}

static void a_log_is_stale_after_36_hours_and_not_before(void **state)
{
	(void)state;
	int64_t at = 1795680000;
	assert_int_equal(TRIB_FRESH_S, 36 * 3600);
	assert_false(trib_stale(at, at));
	assert_false(trib_stale(at, at + 36 * 3600));
	assert_true(trib_stale(at, at + 36 * 3600 + 1));
	assert_false(trib_stale(at, at - 1)); /* a clock that was put back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_chain_keeps_code_and_puts_context_first),
		cmocka_unit_test(a_log_is_stale_after_36_hours_and_not_before),
		cmocka_unit_test(err_chain_is_cut_not_overrun),
		cmocka_unit_test(codes_have_names_and_statuses),
		cmocka_unit_test(buf_stops_at_its_limit_and_stays_failed),
		cmocka_unit_test(buf_writes_numbers_and_hex),
		cmocka_unit_test(hex_is_strict),
		cmocka_unit_test(reader_fails_once_and_for_good),
		cmocka_unit_test(spans_order_by_bytes_prefix_first),
		cmocka_unit_test(time_text_and_parse_are_inverse),
		cmocka_unit_test(time_parse_refuses),
		cmocka_unit_test(clock_can_be_shifted),
		cmocka_unit_test(fs_write_replaces_and_create_does_not),
		cmocka_unit_test(fs_read_has_a_limit),
		cmocka_unit_test(fs_directories),
		cmocka_unit_test(lock_excludes_and_names_its_owner),
		cmocka_unit_test(crash_points_kill_at_their_turn),
	};
	return cmocka_run_group_tests_name("base", tests, make_dir, drop_dir);
}
