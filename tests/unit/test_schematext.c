#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/format/schematext.h"

static const char full[] = "-- tributary-schema 1\n"
			   "-- encoding UTF-16le\n"
			   "-- page_size 4096\n"
			   "-- auto_vacuum 2\n"
			   "-- user_version -7\n"
			   "-- application_id 2147483647\n"
			   "-- table a%20b Id:1 Name\n"
			   "-- table Person k1:2 % k2:1 K3\n"
			   "-- table %E5%9F%8E x\n"
			   "-- bag Person k1 % k2 K3\n"
			   "\n"
			   "CREATE TABLE t(a);\nCREATE TABLE u(a -- ;\n);\n";

static void changed(struct trib_buf *ret, const char *from, const char *to)
{
	const char *at = strstr(full, from);
	if (!at)
		fail_msg("no %s", from);
	trib_buf_reset(ret);
	trib_buf_put(ret, full, (size_t)(at - full));
	trib_buf_puts(ret, to);
	trib_buf_puts(ret, at + strlen(from));
}

static bool same_again(struct trib_span text, struct trib_err *err)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext s = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SCHEMA_MAX);
	if (trib_schematext_parse(text, &s, err)) {
		assert_null(s.tables);
		return false;
	}
	trib_schematext_put(&b, &s);
	assert_true(trib_span_eq(trib_buf_span(&b), text));
	return true;
}

static void text_and_struct_are_inverse(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_schematext) struct trib_schematext s = {0};
	if (trib_schematext_parse(trib_span_str(full), &s, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(s.encoding, "UTF-16le");
	assert_true(s.page_size == 4096 && s.auto_vacuum == 2 && s.user_version == -7 && s.application_id == INT32_MAX);
	assert_int_equal(s.ntables, 4);
	assert_string_equal(s.tables[1].name, "Person");
	assert_int_equal(s.tables[1].ncols, 4);
	assert_string_equal(s.tables[1].cols[1].name, "");
	assert_true(s.tables[1].cols[0].pk == 2 && s.tables[1].cols[1].pk == 0 && s.tables[1].cols[2].pk == 1);
	assert_true(s.tables[3].bag && s.tables[3].cols[0].pk == 0);
	assert_true(trib_span_starts(s.sql, "CREATE TABLE t(a);\n"));
	assert_ptr_equal(trib_schematext_find(&s, trib_span_str("PERSON")), &s.tables[1]);
	assert_ptr_equal(trib_schematext_find(&s, trib_span_str("SQLite_bag_person")), &s.tables[3]);
	assert_null(trib_schematext_find(&s, trib_span_str("sqlite_bag_a b")));
	assert_null(trib_schematext_find(&s, trib_span_str("perso")));
	assert_true(same_again(trib_span_str(full), &err));
}

static void smallest_text(void **state)
{
	(void)state;
	struct trib_err err;
	const char *text = "-- tributary-schema 1\n-- encoding UTF-8\n-- page_size 65536\n-- auto_vacuum 0\n-- user_version -2147483648\n"
			   "-- application_id 0\n\n";
	assert_true(same_again(trib_span_str(text), &err));
	for (size_t n = 0; n < strlen(text); n++) {
		assert_false(same_again(trib_span(text, n), &err));
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
}

static void other_texts_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"schema 1", "schema 2"},
		{"UTF-16le", "UTF-16"},
		{"UTF-16le", "utf-16le"},
		{"page_size 4096", "page_size 4095"},
		{"page_size 4096", "page_size 256"},
		{"page_size 4096", "page_size 131072"},
		{"page_size 4096", "page_size -4096"},
		{"page_size 4096", "page_size  4096"},
		{"auto_vacuum 2", "auto_vacuum 3"},
		{"user_version -7", "user_version -0"},
		{"user_version -7", "user_version --7"},
		{"user_version -7", "user_version -"},
		{"user_version -7", "user_version "},
		{"user_version -7", "user_version -2147483649"},
		{"id 2147483647", "id 2147483648"},
		{"-- page_size 4096\n", ""},
		{"-- table a%20b", "-- table zz"}, /* not rising */
		{"-- table a%20b", "-- table pERSON"},
		{"-- table a%20b", "-- table a%00b"},
		{"-- table a%20b", "-- table a%20B%"},
		{"-- table a%20b", "-- table  a%20b"},
		{"-- table a%20b Id:1 Name\n", "-- table a%20b Id:1  Name\n"},
		{"-- table a%20b Id:1 Name\n", "-- table a%20b Id:1 Name \n"},
		{"-- table a%20b Id:1 Name\n", "-- table a%20b\n"},
		{"-- table a%20b Id:1 Name\n", "-- table \n"},
		{"-- table a%20b Id:1 Name\n", "-- tables a%20b Id:1 Name\n"},
		{"-- table a%20b", "-- table SQLite_a"},
		{"-- table a%20b", "-- bag a%20b"}, /* a bag before a table, and with keys */
		{"Id:1", "Id:0"},
		{"Id:1", "Id:2"},
		{"Id:1", "Id:01"},
		{"Id:1", "Id:"},
		{"Id:1", "Id:1:1"},
		{"Id:1", "nAME:1"},
		{"k2:1", "k2:2"},
		{"k2:1", "k2:3"},
		{"-- bag Person k1", "-- bag Person k1:1"},
		{"-- bag Person k1", "-- bag Person k1\n-- bag person k1"},
		{"-- bag Person k1", "-- bag sqlite_x k1"},
		{"K3\n\nCREATE", "K3\nCREATE"},
		{");\nCREATE TABLE u(a -- ;\n);\n", ")"},
		{");\nCREATE TABLE u(a -- ;\n);\n", "\n"},
	};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SCHEMA_MAX);
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		struct trib_err err;
		changed(&b, wrong[i][0], wrong[i][1]);
		if (same_again(trib_buf_span(&b), &err))
			fail_msg("accepted: %s", wrong[i][1]);
		assert_int_equal(err.code, TRIB_E_FORMAT);
		assert_non_null(strstr(err.msg, "schema.sql"));
	}
	struct trib_err err;
	trib_buf_reset(&b);
	trib_buf_puts(&b, full);
	b.p[b.len - 5] = 0; /* NUL in the SQL */
	assert_false(same_again(trib_buf_span(&b), &err));
}

static void cuts_and_flips_are_judged(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *copy = strdup(full);
	for (size_t n = 0; n < sizeof(full) - 1; n++)
		(void)same_again(trib_span(full, n), &err);
	for (size_t bit = 0; bit < (sizeof(full) - 1) * 8; bit++) {
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		(void)same_again(trib_span(copy, sizeof(full) - 1), &err);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
	}
}

static void put_many(struct trib_buf *b, unsigned ntables, unsigned ncols)
{
	trib_buf_reset(b);
	trib_buf_puts(b, "-- tributary-schema 1\n-- encoding UTF-8\n-- page_size 512\n-- auto_vacuum 1\n-- user_version 0\n-- application_id 0\n");
	for (unsigned t = 0; t < ntables; t++) {
		trib_buf_printf(b, "-- table t%04u", t);
		for (unsigned c = 0; c < ncols; c++)
			trib_buf_printf(b, " c%u", c);
		trib_buf_putc(b, '\n');
	}
	trib_buf_putc(b, '\n');
}

static void limits_hold(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SCHEMA_MAX + 1);
	put_many(&b, TRIB_TABLES_MAX, 1);
	assert_true(same_again(trib_buf_span(&b), &err));
	put_many(&b, TRIB_TABLES_MAX + 1, 1);
	assert_false(same_again(trib_buf_span(&b), &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
	put_many(&b, 1, TRIB_COLUMNS_MAX);
	assert_true(same_again(trib_buf_span(&b), &err));
	put_many(&b, 1, TRIB_COLUMNS_MAX + 1);
	assert_false(same_again(trib_buf_span(&b), &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
	char name[300];
	for (size_t extra = 0; extra < 2; extra++) {
		memset(name, 'n', sizeof(name));
		memcpy(name, "-- bag ", 7);
		name[7 + TRIB_NAME_MAX + extra] = '\0';
		changed(&b, "-- bag Person", name);
		assert_int_equal(same_again(trib_buf_span(&b), &err), !extra);
		changed(&b, "Name", name + 7);
		assert_int_equal(same_again(trib_buf_span(&b), &err), !extra);
	}
	assert_int_equal(err.code, TRIB_E_LIMIT);
	put_many(&b, 0, 0);
	while (b.len < TRIB_SCHEMA_MAX)
		trib_buf_puts(&b, ";");
	b.p[TRIB_SCHEMA_MAX - 1] = '\n';
	assert_true(same_again(trib_buf_span(&b), &err));
	trib_buf_putc(&b, '\n');
	assert_false(same_again(trib_buf_span(&b), &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void what_is_added_is_sorted(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_schematext) struct trib_schematext s = {.encoding = "UTF-8", .page_size = 1024};
	static const char *const names[] = {"zeta", "B", "a", "C"};
	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		for (int bag = 0; bag < 2; bag++) {
			struct trib_st_table *t = trib_schematext_add(&s, names[i], bag);
			assert_non_null(t);
			assert_int_equal(trib_schematext_add_column(t, "key", bag ? 0 : 1, &err), 0);
			assert_int_equal(trib_schematext_add_column(t, "x y", 0, &err), 0);
		}
	}
	trib_schematext_sort(&s);
	s.sql = trib_span_str("CREATE TABLE a(key PRIMARY KEY, \"x y\");\n");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SCHEMA_MAX);
	trib_schematext_put(&b, &s);
	if (!same_again(trib_buf_span(&b), &err))
		fail_msg("%s", err.msg);
	assert_string_equal(s.tables[0].name, "a");
	assert_true(s.tables[4].bag && !s.tables[3].bag);
	struct trib_schematext none = {0};
	trib_schematext_sort(&none);
	assert_null(trib_schematext_find(&none, trib_span_str("a")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_struct_are_inverse), cmocka_unit_test(smallest_text),
		cmocka_unit_test(other_texts_are_refused),     cmocka_unit_test(cuts_and_flips_are_judged),
		cmocka_unit_test(limits_hold),                 cmocka_unit_test(what_is_added_is_sorted),
	};
	return cmocka_run_group_tests_name("schematext", tests, NULL, NULL);
}
