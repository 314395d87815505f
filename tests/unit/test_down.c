#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/down.h"

#define H64(d) d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
#define PLACE1 "seq 1\nprev " H64("00") "\ntime 2026-11-25T19:00:00Z\n"
#define PLACE2 "seq 2\nprev " H64("0a") "\ntime 2026-11-25T19:00:00Z\n"
#define DOWN "format tributary-down-1\ncity Zun%20Yi\nnode 520303002001\napp register\n"
#define BLOBS "blob receipts " H64("01") "\nblob signer.pem " H64("02") "\n"
#define CITY "format tributary-city-1\ncity Zunyi\n"
#define REST "log 10 " H64("03") "\nmerged 9\npolicy 1\ndigest " H64("04") "\nblob signer.pem " H64("05") "\n"

static void down_manifests_round_trip(void **state)
{
	(void)state;
	static const char text[] = DOWN PLACE2 BLOBS;
	struct trib_err err;
	struct trib_down d;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	assert_int_equal(trib_down_parse(trib_span_str(text), &d, &err), 0);
	assert_string_equal(d.city, "Zun Yi");
	assert_string_equal(d.node, "520303002001");
	assert_string_equal(d.app, "register");
	assert_true(d.seq == 2 && d.prev[0] == 10 && d.time == 1795633200 && d.nblobs == 2);
	assert_string_equal(d.blobs[1].name, "signer.pem");
	assert_int_equal(d.blobs[0].sha256[0], 1);
	trib_down_put(&b, &d);
	assert_string_equal(trib_buf_str(&b), text);
	size_t whole = strlen(DOWN PLACE2 "blob receipts " H64("01") "\n");
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(trib_down_parse(trib_span(b.p, n), &d, &err), n == whole ? 0 : -1);
}

static void other_down_manifests_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		DOWN PLACE2, DOWN "seq 0\nprev " H64("00") "\ntime 2026-11-25T19:00:00Z\n" BLOBS,
		DOWN "seq 2\nprev " H64("00") "\ntime 2026-11-25T19:00:00Z\n" BLOBS, DOWN "seq 1\nprev " H64("0a") "\ntime 2026-11-25T19:00:00Z\n" BLOBS,
		DOWN PLACE1 "blob signer.pem " H64("01") "\nblob receipts " H64("02") "\n", DOWN PLACE1 "blob a " H64("01") "\nblob a " H64("01") "\n",
		DOWN PLACE1 "blob .git " H64("01") "\n", DOWN PLACE1 "blob A " H64("01") "\n", DOWN PLACE1 "blob a/b " H64("01") "\n",
		DOWN PLACE1 "blob abcdefghijklmnopqrstuvwxyzabcdef " H64("01") "\n", DOWN PLACE1 BLOBS "x 1\n",
		"format tributary-down-1\ncity %\nnode n\napp a\n" PLACE1 BLOBS, "format tributary-down-1\ncity %00\nnode n\napp a\n" PLACE1 BLOBS,
		"format tributary-city-1\ncity a\nnode n\napp a\n" PLACE1 BLOBS,
	};
	struct trib_err err;
	struct trib_down d;
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_int_equal(trib_down_parse(trib_span_str(wrong[i]), &d, &err), -1);
	assert_int_equal(trib_down_parse(trib_span_str(DOWN PLACE1 BLOBS), &d, &err), 0);
	for (size_t k = 8; k <= 9; k++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
		trib_buf_puts(&b, DOWN PLACE1);
		for (size_t i = 0; i < k; i++)
			trib_buf_printf(&b, "blob %c " H64("01") "\n", (char)('a' + i));
		assert_int_equal(trib_down_parse(trib_buf_span(&b), &d, &err), k == 8 ? 0 : -1);
	}
}

static void city_manifests_round_trip(void **state)
{
	(void)state;
	static const char text[] = CITY PLACE1 REST;
	struct trib_err err;
	struct trib_city_manifest m;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	assert_int_equal(trib_city_manifest_parse(trib_span_str(text), &m, &err), 0);
	assert_true(m.seq == 1 && m.log_size == 10 && m.log_root[0] == 3 && m.merged == 9 && m.policy == 1 && m.digest[0] == 4 && m.signer[0] == 5);
	trib_city_manifest_put(&b, &m);
	assert_string_equal(trib_buf_str(&b), text);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(trib_city_manifest_parse(trib_span(b.p, n), &m, &err), -1);
	static const char *const wrong[] = {
		CITY PLACE1 REST "x 1\n", CITY PLACE1 "log 8 " H64("03") "\nmerged 9\npolicy 1\ndigest " H64("04") "\nblob signer.pem " H64("05") "\n",
		CITY PLACE1 "log 10 " H64("03") "\nmerged 9\npolicy 1\ndigest " H64("04") "\nblob manifest " H64("05") "\n",
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_int_equal(trib_city_manifest_parse(trib_span_str(wrong[i]), &m, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(down_manifests_round_trip),
		cmocka_unit_test(other_down_manifests_are_refused),
		cmocka_unit_test(city_manifests_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
