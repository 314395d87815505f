#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <sys/mman.h>

#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>

#include "core/format/changeset.h"
#include "tests/fuzz/reencode.h"

#define I(n) ((struct trib_value){.type = TRIB_INT, .i = (n)})
#define R(x) ((struct trib_value){.type = TRIB_REAL, .r = (x)})
#define T(str) ((struct trib_value){.type = TRIB_TEXT, .s = {(const uint8_t *)(str), sizeof(str) - 1}})
#define B(str) ((struct trib_value){.type = TRIB_BLOB, .s = {(const uint8_t *)(str), sizeof(str) - 1}})
#define N ((struct trib_value){.type = TRIB_NULL})
#define U ((struct trib_value){.type = TRIB_UNDEF})
#define ROW(...) ((const struct trib_value[]){__VA_ARGS__})
#define PK(...) ((const uint8_t[]){__VA_ARGS__})
#define S(str) trib_span(str, sizeof(str) - 1)

/* Three tables: Alpha with a key of two columns out of order, a bag, and Zeta. */
static void build(struct trib_buf *b)
{
	trib_cs_put_table(b, S("Alpha"), 4, PK(2, 0, 1, 0));
	trib_cs_put_delete(b, 4, ROW(I(1), T("gone"), T("k"), R(1.5)));
	trib_cs_put_delete(b, 4, ROW(I(2), N, T("k"), B("")));
	assert_true(trib_cs_put_update(b, 4, PK(2, 0, 1, 0), ROW(I(1), T("old"), T("a"), N), ROW(I(1), T("new"), T("a"), N)));
	assert_true(trib_cs_put_update(b, 4, PK(2, 0, 1, 0), ROW(I(1), T("x"), T("b"), R(0.0)), ROW(I(1), T("x"), T("b"), R(-0.0))));
	trib_cs_put_insert(b, 4, ROW(I(-1), I(INT64_MIN), T(""), T("\xe5\x9f\x8e")));
	trib_cs_put_table(b, S("sqlite_bag_M"), 3, PK(1, 1, 0));
	trib_cs_put_delete(b, 3, ROW(N, N, I(1)));
	assert_true(trib_cs_put_update(b, 3, PK(1, 1, 0), ROW(I(1), N, I(2)), ROW(I(1), N, I(9))));
	trib_cs_put_table(b, S("zeta"), 1, PK(1));
	trib_cs_put_insert(b, 1, ROW(B("\0\xff")));
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(10000);
	build(&b);
	uint64_t n = 0;
	assert_int_equal(trib_cs_check(trib_buf_span(&b), &n, &err), 0);
	assert_int_equal(n, 8);
	assert_int_equal(cs_reencode(trib_buf_span(&b), &err), 1);
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(trib_buf_span(&b));
	struct trib_change c;
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_int_equal(c.op, TRIB_DELETE);
	assert_null(c.new);
	assert_true(trib_span_is(c.table->name, "Alpha") && c.table->ncol == 4 && c.table->npk == 2 && !c.table->bag);
	assert_true(trib_span_eq(c.key, S("\x03\x01k\x01\0\0\0\0\0\0\0\x01")));
	assert_true(trib_value_eq(&c.old[3], &R(1.5)));
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_int_equal(c.op, TRIB_UPDATE);
	assert_int_equal(c.old[3].type, TRIB_UNDEF);
	assert_int_equal(c.new[0].type, TRIB_UNDEF);
	assert_true(trib_span_is(c.old[1].s, "old") && trib_span_is(c.new[1].s, "new"));
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_true(signbit(c.new[3].r) && !signbit(c.old[3].r));
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_int_equal(c.op, TRIB_INSERT);
	assert_null(c.old);
	assert_true(c.new[1].i == INT64_MIN);
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_true(c.table->bag && c.table->npk == 2);
	assert_true(trib_span_eq(c.key, S("\5\5")));
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_int_equal(trib_cs_next(r, &c, &err), 1);
	assert_int_equal(trib_cs_next(r, &c, &err), 0);
	assert_int_equal(trib_cs_next(r, &c, &err), 0);
}

static void bytes_are_those_of_the_format(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1000);
	trib_cs_put_table(&b, S("t"), 2, PK(1, 0));
	trib_cs_put_update(&b, 2, PK(1, 0), ROW(I(1), N), ROW(I(1), T("x")));
	assert_false(trib_cs_put_update(&b, 2, PK(1, 0), ROW(I(1), N), ROW(I(1), N)));
	assert_true(trib_span_eq(trib_buf_span(&b), S("T\x02\x01\0t\0"
						      "\x17\0\x01\0\0\0\0\0\0\0\x01\x05"
						      "\0\x03\x01x")));
}

static void varints_are_sqlites(void **state)
{
	(void)state;
	static const struct {
		uint64_t v;
		struct trib_span bytes;
	} known[] = {
#define V(v, s) {v, {(const uint8_t *)(s), sizeof(s) - 1}}
		V(0, "\0"), V(127, "\x7f"), V(128, "\x81\0"), V(16383, "\xff\x7f"), V(16384, "\x81\x80\0"),
		V((1ULL << 56) - 1, "\xff\xff\xff\xff\xff\xff\xff\x7f"),
		V(1ULL << 56, "\x80\xc0\x80\x80\x80\x80\x80\x80\0"),
		V(UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
	};
	for (size_t i = 0; i < TRIB_COUNT(known); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(9);
		trib_varint_put(&b, known[i].v);
		assert_true(trib_span_eq(trib_buf_span(&b), known[i].bytes));
	}
	static const struct trib_span wrong[] = {
#define W(s) {(const uint8_t *)(s), sizeof(s) - 1}
		W("\x03\x80\x01x"), W("\x03\x80\x80\x01x"), W("\x03\x80\x80\x80\x80\x80\x80\x80\x80\x01x"), W("\x03\x81"), W("\x03"),
		W("\x04\x02x"), W("\x04\xff\xff\xff\xff\xff\xff\xff\xff\xffx"), W("\x01\0\0\0\0\0\0\0"), W("\x02\0"), W("\x06"),
		W("\x00"), W(""), W("\xff"), W("\x02\x7f\xf8\0\0\0\0\0\0"), W("\x02\xff\xf0\0\0\0\0\0\x01"),
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		struct trib_reader r = trib_reader(wrong[i]);
		struct trib_value v = I(5);
		struct trib_err err;
		assert_int_equal(trib_value_take(&r, false, &v, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
		assert_true(v.i == 5 && r.failed);
	}
	struct trib_reader r = trib_reader(S("\0\x02\x7f\xf0\0\0\0\0\0\0"));
	struct trib_value v;
	struct trib_err err;
	assert_int_equal(trib_value_take(&r, true, &v, &err), 0);
	assert_int_equal(v.type, TRIB_UNDEF);
	assert_int_equal(trib_value_take(&r, true, &v, &err), 0);
	assert_true(isinf(v.r));
}

static void values_are_equal_by_class_and_bytes(void **state)
{
	(void)state;
	assert_false(trib_value_eq(&I(1), &R(1.0)));
	assert_false(trib_value_eq(&T("a"), &B("a")));
	assert_false(trib_value_eq(&R(0.0), &R(-0.0)));
	assert_false(trib_value_eq(&T("a"), &T("A")));
	assert_false(trib_value_eq(&N, &U));
	assert_true(trib_value_eq(&N, &N));
	assert_true(trib_value_eq(&B(""), &B("")));
	assert_true(trib_is_bag(S("SQLITE_bag_x")) && trib_is_bag(S("sqlite_bag_")));
	assert_false(trib_is_bag(S("sqlite_bag")));
}

static void refuse(struct trib_span in, enum trib_code code, const char *why)
{
	struct trib_err err = {0};
	uint64_t n = 99;
	assert_int_equal(trib_cs_check(in, &n, &err), -1);
	if (err.code != code || !strstr(err.msg, why))
		print_error("%s: %s\n", why, err.msg);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.msg, why));
	assert_true(n == 99);
}

#define REFUSE(why, ...)                                                   \
	do {                                                               \
		TRIB_AUTO(trib_buf) struct trib_buf bb = TRIB_BUF(100000); \
		struct trib_buf *b = &bb;                                  \
		__VA_ARGS__;                                               \
		refuse(trib_buf_span(b), TRIB_E_FORMAT, why);              \
	} while (0)
#define TABLE trib_cs_put_table(b, S("t"), 3, PK(1, 0, 0))
#define RAW(str) trib_buf_put(b, str, sizeof(str) - 1)
#define ONE "\x01\0\0\0\0\0\0\0\x01"
#define TWO "\x01\0\0\0\0\0\0\0\x02"

static void other_orders_are_refused(void **state)
{
	(void)state;
	REFUSE("empty", (void)b);
	REFUSE("not begin with", trib_cs_put_insert(b, 1, ROW(I(1))));
	REFUSE("without changes", TABLE);
	REFUSE("without changes", TABLE, trib_cs_put_table(b, S("u"), 1, PK(1)));
	REFUSE("without changes", build(b), trib_cs_put_table(b, S("zz"), 1, PK(1)));
	REFUSE("rising by folded name", build(b), trib_cs_put_table(b, S("Zeta"), 1, PK(1)));
	REFUSE("rising by folded name", build(b), trib_cs_put_table(b, S("YY"), 1, PK(1)));
	REFUSE("rising by key", TABLE, trib_cs_put_delete(b, 3, ROW(I(2), N, N)), trib_cs_put_delete(b, 3, ROW(I(1), N, N)));
	REFUSE("rising by key", TABLE, trib_cs_put_delete(b, 3, ROW(I(2), N, N)), trib_cs_put_delete(b, 3, ROW(I(2), N, N)));
	REFUSE("rising by key", TABLE, trib_cs_put_insert(b, 3, ROW(I(-1), N, N)), trib_cs_put_insert(b, 3, ROW(I(1), N, N)));
	REFUSE("rising by key", trib_cs_put_table(b, S("t"), 3, PK(2, 0, 1)), trib_cs_put_insert(b, 3, ROW(I(1), N, I(2))),
	       trib_cs_put_insert(b, 3, ROW(I(2), N, I(1))));
	REFUSE("first deletes", TABLE, trib_cs_put_insert(b, 3, ROW(I(1), N, N)), trib_cs_put_delete(b, 3, ROW(I(2), N, N)));
	REFUSE("first deletes", TABLE, trib_cs_put_insert(b, 3, ROW(I(1), N, N)),
	       trib_cs_put_update(b, 3, PK(1, 0, 0), ROW(I(2), N, N), ROW(I(2), I(1), N)));
	REFUSE("first deletes", TABLE, trib_cs_put_update(b, 3, PK(1, 0, 0), ROW(I(2), N, N), ROW(I(2), I(1), N)),
	       trib_cs_put_delete(b, 3, ROW(I(3), N, N)));
}

static void other_records_are_refused(void **state)
{
	(void)state;
	REFUSE("NULL in a key", TABLE, trib_cs_put_insert(b, 3, ROW(N, N, N)));
	REFUSE("NULL in a key", TABLE, trib_cs_put_delete(b, 3, ROW(N, N, N)));
	REFUSE("NULL in a key", TABLE, trib_cs_put_update(b, 3, PK(1, 0, 0), ROW(N, N, N), ROW(N, I(1), N)));
	REFUSE("undefined", TABLE, trib_cs_put_insert(b, 3, ROW(I(1), U, N)));
	REFUSE("undefined", TABLE, trib_cs_put_delete(b, 3, ROW(U, N, N)));
	REFUSE("unknown type", TABLE, RAW("\x12\0" ONE "\6\5"));
	REFUSE("unknown operation", TABLE, RAW("\x13\0" ONE "\5\5"));
	REFUSE("indirect", TABLE, RAW("\x12\1" ONE "\5\5"));
	REFUSE("cut short", TABLE, RAW("\x12"));
	REFUSE("changes nothing", TABLE, RAW("\x17\0" ONE "\0\0" "\0\0\0"));
	REFUSE("to itself", TABLE, RAW("\x17\0" ONE "\5\0" "\0\5\0"));
	REFUSE("only one", TABLE, RAW("\x17\0" ONE "\5\0" "\0" ONE "\5"));
	REFUSE("only one", TABLE, RAW("\x17\0" ONE "\5\5" "\0" ONE "\0"));
	REFUSE("old record alone", TABLE, RAW("\x17\0" "\0\5\0" "\0" ONE "\0"));
	REFUSE("old record alone", TABLE, RAW("\x17\0" ONE "\5\0" ONE ONE "\0"));
	REFUSE("old record alone", TABLE, RAW("\x17\0" ONE "\5\0" TWO ONE "\0"));
}

static void other_headers_are_refused(void **state)
{
	(void)state;
	const struct trib_value row[] = {I(1), I(1), I(1)};
	REFUSE("without key", trib_cs_put_table(b, S("t"), 3, PK(0, 0, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("1 to n", trib_cs_put_table(b, S("t"), 3, PK(1, 1, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("1 to n", trib_cs_put_table(b, S("t"), 3, PK(2, 0, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("1 to n", trib_cs_put_table(b, S("t"), 3, PK(1, 3, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("1 to n", trib_cs_put_table(b, S("t"), 3, PK(255, 0, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("empty table name", trib_cs_put_table(b, S(""), 3, PK(1, 0, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("without columns", RAW("T\0t\0\x12\0"));
	REFUSE("shortest form", RAW("T\x80\x01\x01t\0\x12\0" ONE));
	REFUSE("cut short in a table name", RAW("T\x01\x01tttt"));
	REFUSE("cut short in a table header", RAW("T\x04\x01t\0"));
	REFUSE("of a bag", trib_cs_put_table(b, S("sqlite_BAG_t"), 3, PK(1, 2, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("of a bag", trib_cs_put_table(b, S("sqlite_bag_t"), 3, PK(1, 1, 1)), trib_cs_put_insert(b, 3, row));
	REFUSE("of a bag", trib_cs_put_table(b, S("sqlite_bag_t"), 3, PK(1, 0, 0)), trib_cs_put_insert(b, 3, row));
	REFUSE("bag without columns", trib_cs_put_table(b, S("sqlite_bag_t"), 1, PK(0)), trib_cs_put_insert(b, 1, row));
#define BAG trib_cs_put_table(b, S("sqlite_bag_t"), 2, PK(1, 0))
	REFUSE("count", BAG, trib_cs_put_insert(b, 2, ROW(I(1), I(0))));
	REFUSE("count", BAG, trib_cs_put_delete(b, 2, ROW(I(1), I(-1))));
	REFUSE("count", BAG, trib_cs_put_insert(b, 2, ROW(I(1), R(1.0))));
	REFUSE("count", BAG, trib_cs_put_insert(b, 2, ROW(I(1), N)));
	REFUSE("count", BAG, trib_cs_put_update(b, 2, PK(1, 0), ROW(I(1), I(1)), ROW(I(1), I(0))));
	REFUSE("count", BAG, trib_cs_put_update(b, 2, PK(1, 0), ROW(I(1), I(0)), ROW(I(1), I(1))));
}

static void every_cut_and_every_flip_is_judged(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(10000);
	build(&b);
	unsigned whole = 0;
	for (size_t n = 0; n < b.len; n++) {
		/* a copy of its own, so that a read past the cut is seen by the sanitizer */
		TRIB_AUTO(trib_mem) uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, b.p, n);
		int rc = n ? cs_reencode(trib_span(cut, n), &err) : 0;
		assert_true(rc >= 0);
		if (rc == 0 && n)
			assert_true(err.code == TRIB_E_FORMAT && strstr(err.msg, "offset"));
		whole += (unsigned)rc;
	}
	assert_int_equal(whole, 7); /* cuts after a record, the last one not counted */
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = cs_reencode(trib_buf_span(&b), &err);
		assert_true(rc >= 0);
		if (rc == 0)
			assert_true(err.code == TRIB_E_FORMAT || err.code == TRIB_E_LIMIT);
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(cs_reencode(trib_buf_span(&b), &err), 1);
}

static void wide(struct trib_buf *b, size_t ncol, const struct trib_value *row)
{
	TRIB_AUTO(trib_mem) uint8_t *pk = calloc(1, ncol);
	for (size_t i = 0; i < 255; i++) /* a key of 255 columns, backwards and not adjacent */
		pk[2 * i] = (uint8_t)(255 - i);
	trib_cs_put_table(b, S("wide"), ncol, pk);
	trib_cs_put_insert(b, ncol, row);
}

static void limits_hold(void **state)
{
	(void)state;
	struct trib_err err;
	static struct trib_value row[TRIB_COLUMNS_MAX + 1];
	char name[300];
	memset(name, 'n', sizeof(name));
	memcpy(name, "sqlite_bag_", 11);
	for (size_t i = 0; i < TRIB_COUNT(row); i++)
		row[i] = I((int64_t)i);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(70 * TRIB_MIB);
	wide(&b, TRIB_COLUMNS_MAX, row);
	assert_int_equal(cs_reencode(trib_buf_span(&b), &err), 1);
	trib_buf_reset(&b);
	wide(&b, TRIB_COLUMNS_MAX + 1, row);
	refuse(trib_buf_span(&b), TRIB_E_LIMIT, "columns");
	for (size_t extra = 0; extra < 2; extra++) {
		trib_buf_reset(&b);
		trib_cs_put_table(&b, trib_span(name + 11, TRIB_NAME_MAX + extra), 1, PK(1));
		trib_cs_put_insert(&b, 1, row);
		if (extra)
			refuse(trib_buf_span(&b), TRIB_E_LIMIT, "table name");
		else
			assert_int_equal(cs_reencode(trib_buf_span(&b), &err), 1);
		trib_buf_reset(&b);
		trib_cs_put_table(&b, trib_span(name, TRIB_NAME_MAX + 11 + extra), 2, PK(1, 0));
		trib_cs_put_insert(&b, 2, ROW(I(1), I(1)));
		if (extra)
			refuse(trib_buf_span(&b), TRIB_E_LIMIT, "table name");
		else
			assert_int_equal(cs_reencode(trib_buf_span(&b), &err), 1);
	}
	/* A row's bytes: a type and nine of the key, a type and four of the length, the blob. */
	TRIB_AUTO(trib_mem) uint8_t *big = calloc(1, TRIB_ROW_MAX);
	for (size_t extra = 0; extra < 2; extra++) {
		struct trib_value two[2] = {I(1), {.type = TRIB_BLOB, .s = {big, TRIB_ROW_MAX - 9 - 5 + extra}}};
		trib_buf_reset(&b);
		trib_cs_put_table(&b, S("t"), 2, PK(1, 0));
		size_t before = b.len + 2;
		trib_cs_put_insert(&b, 2, two);
		assert_int_equal(b.len - before, TRIB_ROW_MAX + extra);
		if (extra)
			refuse(trib_buf_span(&b), TRIB_E_LIMIT, "bytes of a row");
		else
			assert_int_equal(trib_cs_check(trib_buf_span(&b), NULL, &err), 0);
	}
	size_t most = TRIB_CHANGESET_RAW_MAX;
	void *zeros = mmap(NULL, most + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(zeros != MAP_FAILED);
	refuse(trib_span(zeros, most), TRIB_E_FORMAT, "not begin with");
	refuse(trib_span(zeros, most + 1), TRIB_E_LIMIT, "bytes");
	munmap(zeros, most + 1);
}

/* ---- against stock SQLite ---- */

static void run(sqlite3 *db, const char *sql)
{
	char *msg = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", sql, msg);
}

static uint32_t seed;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void literal(char *ret, size_t size)
{
	switch (rnd(7)) {
	case 0: (void)snprintf(ret, size, "NULL"); break;
	case 1: (void)snprintf(ret, size, "%d", (int)rnd(400) - 200); break;
	case 2: (void)snprintf(ret, size, "%d.%d", (int)rnd(40) - 20, (int)rnd(100)); break;
	case 3: (void)snprintf(ret, size, "x'%06x'", rnd(0xffffff)); break;
	case 4: (void)snprintf(ret, size, "printf('%%.*c', %u, 'z')", rnd(300)); break;
	case 5: (void)snprintf(ret, size, "random()"); break;
	default: (void)snprintf(ret, size, "'城%u'", rnd(50)); break;
	}
}

static void random_changes(sqlite3 *db, unsigned n)
{
	static const char *const tables[] = {"Beta", "alpha", "\"Ga mma\""};
	for (unsigned i = 0; i < n; i++) {
		char a[64], c[64], sql[400];
		const char *t = tables[rnd(3)];
		unsigned k1 = rnd(12), k2 = rnd(12);
		literal(a, sizeof(a));
		literal(c, sizeof(c));
		switch (rnd(4)) {
		case 0:
			(void)snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE k1=%u AND k2='k%u'", t, k1, k2);
			break;
		case 1:
			(void)snprintf(sql, sizeof(sql), "UPDATE %s SET a=%s WHERE k1=%u AND k2='k%u'", t, a, k1, k2);
			break;
		default:
			(void)snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO %s(k1, a, k2, c) VALUES(%u, %s, 'k%u', %s)", t, k1, a, k2, c);
		}
		run(db, sql);
	}
}

struct record {
	char table[64];
	int group;
	struct trib_buf key, bytes, header;
};

static int record_cmp(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	int c = sqlite3_stricmp(x->table, y->table);
	if (!c)
		c = x->group - y->group;
	return c ? c : trib_span_cmp(trib_buf_span(&x->key), trib_buf_span(&y->key));
}

static struct trib_value value_of(sqlite3_value *v)
{
	struct trib_value r = U;
	if (!v)
		return r;
	switch (sqlite3_value_type(v)) {
	case SQLITE_INTEGER: return I(sqlite3_value_int64(v));
	case SQLITE_FLOAT: return R(sqlite3_value_double(v));
	case SQLITE_TEXT: r.type = TRIB_TEXT; break;
	case SQLITE_BLOB: r.type = TRIB_BLOB; break;
	default: return N;
	}
	r.s.p = sqlite3_value_blob(v);
	r.s.n = (size_t)sqlite3_value_bytes(v);
	return r;
}

/* Brings a changeset of the session extension into the canonical order; returns the number of changes. */
static size_t sort_stock(void *cs, int n, struct trib_buf *ret)
{
	static struct record recs[4000];
	size_t nrec = 0;
	sqlite3_changeset_iter *it;
	assert_int_equal(sqlite3changeset_start(&it, n, cs), SQLITE_OK);
	while (sqlite3changeset_next(it) == SQLITE_ROW) {
		const char *table;
		int ncol, op, indirect;
		unsigned char *pk;
		assert_true(nrec < TRIB_COUNT(recs));
		struct record *r = &recs[nrec++];
		*r = (struct record){.key = TRIB_BUF(1000), .bytes = TRIB_BUF(10000), .header = TRIB_BUF(1000)};
		assert_int_equal(sqlite3changeset_op(it, &table, &ncol, &op, &indirect), SQLITE_OK);
		assert_int_equal(sqlite3changeset_pk(it, &pk, NULL), SQLITE_OK);
		(void)snprintf(r->table, sizeof(r->table), "%s", table);
		struct trib_value old[8], new[8];
		for (int i = 0; i < ncol; i++) {
			sqlite3_value *o = NULL, *w = NULL;
			if (op != SQLITE_INSERT)
				sqlite3changeset_old(it, i, &o);
			if (op != SQLITE_DELETE)
				sqlite3changeset_new(it, i, &w);
			old[i] = value_of(o);
			new[i] = value_of(w);
		}
		size_t cols = (size_t)ncol;
		trib_cs_put_table(&r->header, trib_span_str(table), cols, pk);
		trib_key_put(&r->key, cols, pk, op == SQLITE_INSERT ? new : old);
		r->group = op == SQLITE_DELETE ? 0 : op == SQLITE_UPDATE ? 1 : 2;
		if (op == SQLITE_DELETE)
			trib_cs_put_delete(&r->bytes, cols, old);
		else if (op == SQLITE_INSERT)
			trib_cs_put_insert(&r->bytes, cols, new);
		else
			assert_true(trib_cs_put_update(&r->bytes, cols, pk, old, new));
	}
	assert_int_equal(sqlite3changeset_finalize(it), SQLITE_OK);
	qsort(recs, nrec, sizeof(recs[0]), record_cmp);
	for (size_t i = 0; i < nrec; i++) {
		if (i == 0 || sqlite3_stricmp(recs[i].table, recs[i - 1].table) != 0)
			trib_buf_put_span(ret, trib_buf_span(&recs[i].header));
		trib_buf_put_span(ret, trib_buf_span(&recs[i].bytes));
	}
	for (size_t i = 0; i < nrec; i++) {
		trib_buf_release(&recs[i].key);
		trib_buf_release(&recs[i].bytes);
		trib_buf_release(&recs[i].header);
	}
	return nrec;
}

static int never(void *ctx, int why, sqlite3_changeset_iter *it)
{
	(void)it;
	*(int *)ctx = why;
	return SQLITE_CHANGESET_ABORT;
}

static void dump(sqlite3 *db, struct trib_buf *ret)
{
	static const char *const tables[] = {"Beta", "alpha", "\"Ga mma\""};
	for (size_t i = 0; i < 3; i++) {
		char sql[200];
		sqlite3_stmt *st;
		(void)snprintf(sql, sizeof(sql), "SELECT quote(k1)||quote(a)||quote(k2)||quote(c) FROM %s ORDER BY k1, k2", tables[i]);
		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW)
			trib_buf_printf(ret, "%zu %s\n", i, (const char *)sqlite3_column_text(st, 0));
		sqlite3_finalize(st);
	}
}

static void one_round(uint32_t round)
{
	static const char schema[] = "CREATE TABLE Beta(k1, a, k2, c, PRIMARY KEY(k2, k1));"
				     "CREATE TABLE alpha(k1, a, k2, c, PRIMARY KEY(k1, k2)) WITHOUT ROWID;"
				     "CREATE TABLE \"Ga mma\"(k1, k2, a, c, PRIMARY KEY(k1, k2));";
	sqlite3 *from, *to;
	sqlite3_session *session;
	struct trib_err err;
	int n, conflict = 0;
	void *cs;
	uint64_t changes;
	assert_int_equal(sqlite3_open(":memory:", &from), SQLITE_OK);
	assert_int_equal(sqlite3_open(":memory:", &to), SQLITE_OK);
	run(from, schema);
	run(to, schema);
	seed = round * 7919 + 1;
	random_changes(from, 300);
	sqlite3_backup *bk = sqlite3_backup_init(to, "main", from, "main");
	assert_int_equal(sqlite3_backup_step(bk, -1), SQLITE_DONE);
	sqlite3_backup_finish(bk);
	assert_int_equal(sqlite3session_create(from, "main", &session), SQLITE_OK);
	assert_int_equal(sqlite3session_attach(session, NULL), SQLITE_OK);
	random_changes(from, 300);
	assert_int_equal(sqlite3session_changeset(session, &n, &cs), SQLITE_OK);
	TRIB_AUTO(trib_buf) struct trib_buf ours = TRIB_BUF(TRIB_MIB), a = TRIB_BUF(TRIB_MIB), b = TRIB_BUF(TRIB_MIB);
	size_t want = sort_stock(cs, n, &ours);
	assert_true(want > 20);
	assert_int_equal(ours.len, n); /* the same records, only in another order */
	if (trib_cs_check(trib_buf_span(&ours), &changes, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(changes, want);
	assert_int_equal(cs_reencode(trib_buf_span(&ours), &err), 1);
	/* A bag that nobody owns is passed over by stock SQLite. */
	trib_cs_put_table(&ours, S("sqlite_bag_t"), 2, PK(1, 0));
	trib_cs_put_insert(&ours, 2, ROW(N, I(3)));
	assert_int_equal(trib_cs_check(trib_buf_span(&ours), NULL, &err), 0);
	assert_int_equal(sqlite3changeset_apply(to, (int)ours.len, ours.p, NULL, never, &conflict), SQLITE_OK);
	assert_int_equal(conflict, 0);
	dump(from, &a);
	dump(to, &b);
	assert_true(a.len > 0 && trib_span_eq(trib_buf_span(&a), trib_buf_span(&b)));
	sqlite3_free(cs);
	sqlite3session_delete(session);
	sqlite3_close(from);
	sqlite3_close(to);
}

static void stock_sqlite_applies_what_we_write(void **state)
{
	(void)state;
	sqlite3_config(SQLITE_CONFIG_LOG, NULL, NULL);
	for (uint32_t round = 0; round < 25; round++)
		one_round(round);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(bytes_are_those_of_the_format),
		cmocka_unit_test(varints_are_sqlites),
		cmocka_unit_test(values_are_equal_by_class_and_bytes),
		cmocka_unit_test(other_orders_are_refused),
		cmocka_unit_test(other_records_are_refused),
		cmocka_unit_test(other_headers_are_refused),
		cmocka_unit_test(every_cut_and_every_flip_is_judged),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(stock_sqlite_applies_what_we_write),
	};
	return cmocka_run_group_tests_name("changeset", tests, NULL, NULL);
}
