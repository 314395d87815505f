#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/replay/mirror.h"
#include "core/replay/shape.h"

#define HEAD "-- tributary-schema 1\n-- encoding UTF-8\n-- page_size 4096\n-- auto_vacuum 0\n-- user_version 0\n-- application_id 0\n"

static const uint8_t salt[TRIB_SALT_LEN] = {7};

struct fixture {
	sqlite3 *db;
	struct trib_mirror *m;
	struct trib_err err;
	struct trib_mismatch why;
	struct trib_buf cs;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(sqlite3_open(":memory:", &f->db), SQLITE_OK);
	assert_int_equal(trib_mirror_new(f->db, &f->m, &f->err), 0);
	trib_buf_init(&f->cs, TRIB_MIB);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	trib_mirror_free(f->m);
	assert_int_equal(sqlite3_close(f->db), SQLITE_OK); /* not one statement was forgotten */
	trib_buf_release(&f->cs);
	free(f);
	return 0;
}

static struct trib_value I(int64_t i) { return (struct trib_value){.type = TRIB_INT, {.i = i}}; }
static struct trib_value R(double r) { return (struct trib_value){.type = TRIB_REAL, {.r = r}}; }
static struct trib_value T(const char *s) { return (struct trib_value){.type = TRIB_TEXT, .s = trib_span_str(s)}; }
static struct trib_value B(const char *s) { return (struct trib_value){.type = TRIB_BLOB, .s = trib_span_str(s)}; }
static struct trib_value N(void) { return (struct trib_value){.type = TRIB_NULL}; }

static void table(struct fixture *f, const char *name, size_t n, const uint8_t *pk)
{
	trib_cs_put_table(&f->cs, trib_span_str(name), n, pk);
}

static int apply(struct fixture *f, const char *node, const char *schema)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext s = {0};
	int r;

	if (trib_schematext_parse(trib_span_str(schema), &s, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	if (trib_cs_check(trib_buf_span(&f->cs), NULL, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	r = trib_mirror_apply(f->m, node, &s, trib_buf_span(&f->cs), &f->why, &f->err);
	trib_buf_reset(&f->cs);
	return r;
}

static void good(struct fixture *f, const char *node, const char *schema)
{
	if (apply(f, node, schema) < 0)
		fail_msg("%s", f->err.msg);
}

static void out_of_step(struct fixture *f, const char *node, const char *schema, const char *tbl, const char *reason)
{
	assert_int_equal(trib_db_exec(f->db, "BEGIN", &f->err), 0);
	assert_int_equal(apply(f, node, schema), -1);
	assert_int_equal(f->err.code, TRIB_E_OUT_OF_STEP);
	assert_string_equal(f->why.table, tbl);
	assert_string_equal(f->why.reason, reason);
	assert_true(f->why.key_len > 0);
	assert_int_equal(trib_db_exec(f->db, "ROLLBACK", &f->err), 0);
	trib_mirror_forget(f->m);
}

static int64_t count(struct fixture *f, const char *sql)
{
	int64_t n = -1;

	if (trib_db_int(f->db, sql, -1, &n, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	return n;
}

#define ONE HEAD "-- table t k:1 v w\n\n"
static const uint8_t one_pk[] = {1, 0, 0};

static void insert3(struct fixture *f, struct trib_value k, struct trib_value v, struct trib_value w)
{
	trib_cs_put_insert(&f->cs, 3, (struct trib_value[]){k, v, w});
}

static void update3(struct fixture *f, struct trib_value k, struct trib_value v0, struct trib_value v1)
{
	assert_true(trib_cs_put_update(&f->cs, 3, one_pk, (struct trib_value[]){k, v0, N()}, (struct trib_value[]){k, v1, N()}));
}

static void applies_by_name_and_node(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		table(f, "t", 3, one_pk);
		insert3(f, I(1), T("a"), N());
		insert3(f, I(2), B("a"), R(1.0));
		good(f, i ? "n2" : "n1", ONE);
	}
	/* The second node has the columns in another order, spelled otherwise, and one more. */
	table(f, "T", 4, (const uint8_t[]){0, 0, 0, 1});
	trib_cs_put_delete(&f->cs, 4, (struct trib_value[]){R(1.0), N(), B("a"), I(2)});
	trib_cs_put_insert(&f->cs, 4, (struct trib_value[]){N(), I(5), T("x"), I(3)});
	good(f, "n2", HEAD "-- table T w x V K:1\n\n");
	assert_int_equal(count(f, "SELECT count(*) FROM t WHERE _node='n1'"), 2);
	assert_int_equal(count(f, "SELECT count(*) FROM t WHERE _node='n2'"), 2);
	assert_int_equal(count(f, "SELECT x FROM t WHERE _node='n2' AND k=3 AND v='x' AND w IS NULL"), 5);
	assert_int_equal(count(f, "SELECT count(*) FROM _t_mirror"), 1);
}

static void old_values_must_match_by_class_and_bytes(void **state)
{
	struct fixture *f = *state;
	struct { struct trib_value have, claim; } pairs[] = {
		{I(1), R(1.0)}, {R(1.0), I(1)}, {T("a"), B("a")}, {B("a"), T("a")}, {T("a"), T("A")}, {T("a"), T("a ")}, {R(0.0), R(-0.0)},
		{R(-0.0), R(0.0)}, {N(), I(0)}, {I(0), N()}, {T(""), N()}, {T(""), B("")}, {T("1"), I(1)}, {I(INT64_MAX), R(9223372036854775807.0)},
		{T("\xff"), T("\xfe")},
	};

	for (size_t i = 0; i < TRIB_COUNT(pairs); i++) {
		table(f, "t", 3, one_pk);
		insert3(f, I((int64_t)i), pairs[i].have, N());
		good(f, "n", ONE);
		table(f, "t", 3, one_pk);
		update3(f, I((int64_t)i), pairs[i].claim, T("new"));
		out_of_step(f, "n", ONE, "t", "old-value-differs");
		table(f, "t", 3, one_pk);
		trib_cs_put_delete(&f->cs, 3, (struct trib_value[]){I((int64_t)i), pairs[i].claim, N()});
		out_of_step(f, "n", ONE, "t", "old-value-differs");
		/* What is really there is accepted, and only that column changes. */
		table(f, "t", 3, one_pk);
		update3(f, I((int64_t)i), pairs[i].have, T("new"));
		good(f, "n", ONE);
		table(f, "t", 3, one_pk);
		update3(f, I((int64_t)i), T("new"), pairs[i].claim);
		good(f, "n", ONE);
		table(f, "t", 3, one_pk);
		trib_cs_put_delete(&f->cs, 3, (struct trib_value[]){I((int64_t)i), pairs[i].claim, N()});
		good(f, "n", ONE);
	}
	assert_int_equal(count(f, "SELECT count(*) FROM t"), 0);
}

static void rows_must_be_there_or_not(void **state)
{
	struct fixture *f = *state;

	table(f, "t", 3, one_pk);
	insert3(f, I(1), T("a"), N());
	good(f, "n", ONE);
	table(f, "t", 3, one_pk);
	insert3(f, I(1), T("a"), N());
	out_of_step(f, "n", ONE, "t", "row-exists");
	table(f, "t", 3, one_pk);
	update3(f, I(2), T("a"), T("b"));
	out_of_step(f, "n", ONE, "t", "row-missing");
	table(f, "t", 3, one_pk);
	trib_cs_put_delete(&f->cs, 3, (struct trib_value[]){I(2), T("a"), N()});
	out_of_step(f, "n", ONE, "t", "row-missing");
	/* The key's class counts: 1.0 is not 1. */
	table(f, "t", 3, one_pk);
	update3(f, R(1.0), T("a"), T("b"));
	out_of_step(f, "n", ONE, "t", "old-value-differs");
	/* Another node's row is no help. */
	table(f, "t", 3, one_pk);
	update3(f, I(1), T("a"), T("b"));
	out_of_step(f, "other", ONE, "t", "row-missing");
	table(f, "t", 3, one_pk);
	trib_cs_put_delete(&f->cs, 3, (struct trib_value[]){I(1), T("a"), N()});
	insert3(f, R(1.0), T("a"), N());
	good(f, "n", ONE);
}

static void bags_count_equal_rows(void **state)
{
	struct fixture *f = *state;
	static const uint8_t pk[] = {1, 1, 0};
	const char *schema = HEAD "-- table b x _count\n-- bag b x _count\n\n";

	table(f, "sqlite_bag_b", 3, pk);
	insert3(f, I(1), N(), I(3));
	insert3(f, T("x"), I(1), I(1));
	good(f, "n", schema);
	assert_int_equal(count(f, "SELECT _count FROM _bag_b WHERE x=1 AND __count IS NULL"), 3);
	assert_int_equal(count(f, "SELECT length(_hash) FROM _bag_b WHERE x=1 AND typeof(_hash)='blob'"), 32);
	table(f, "sqlite_bag_b", 3, pk);
	assert_true(trib_cs_put_update(&f->cs, 3, pk, (struct trib_value[]){I(1), N(), I(3)}, (struct trib_value[]){I(1), N(), I(2)}));
	good(f, "n", schema);
	assert_int_equal(count(f, "SELECT _count FROM _bag_b WHERE x=1"), 2);
	table(f, "sqlite_bag_b", 3, pk);
	assert_true(trib_cs_put_update(&f->cs, 3, pk, (struct trib_value[]){I(1), N(), I(3)}, (struct trib_value[]){I(1), N(), I(1)}));
	out_of_step(f, "n", schema, "sqlite_bag_b", "old-value-differs");
	table(f, "sqlite_bag_b", 3, pk);
	trib_cs_put_delete(&f->cs, 3, (struct trib_value[]){I(1), N(), I(2)});
	good(f, "n", schema);
	assert_int_equal(count(f, "SELECT count(*) FROM _bag_b"), 1);
}

static void another_key_gets_another_mirror(void **state)
{
	struct fixture *f = *state;
	const char *two = HEAD "-- table t k:2 v:1 w\n\n";
	static const uint8_t two_pk[] = {2, 1, 0};

	table(f, "t", 3, one_pk);
	insert3(f, I(1), T("a"), I(7));
	good(f, "n1", ONE);
	table(f, "t", 3, two_pk);
	insert3(f, I(1), T("a"), I(8));
	good(f, "n2", two);
	assert_int_equal(count(f, "SELECT count(*) FROM t"), 1);
	assert_int_equal(count(f, "SELECT count(*) FROM _t_t_k2"), 1);
	assert_int_equal(count(f, "SELECT sum(w) FROM _t_v_t WHERE k=1 AND v='a'"), 15);
	/* A column that only one of them has: NULL for the other. */
	table(f, "t", 4, (const uint8_t[]){2, 1, 0, 0});
	trib_cs_put_insert(&f->cs, 4, (struct trib_value[]){I(2), T("b"), N(), I(9)});
	good(f, "n2", HEAD "-- table t k:2 v:1 w extra\n\n");
	assert_int_equal(count(f, "SELECT sum(extra) FROM _t_v_t"), 9);
	/* Rows under the old key must have been deleted before. */
	table(f, "t", 3, two_pk);
	insert3(f, I(5), T("z"), I(8));
	out_of_step(f, "n1", two, "t", "other-key-has-rows");
	table(f, "t", 3, one_pk);
	trib_cs_put_delete(&f->cs, 3, (struct trib_value[]){I(1), T("a"), I(7)});
	good(f, "n1", ONE);
	table(f, "t", 3, two_pk);
	insert3(f, I(5), T("z"), I(8));
	good(f, "n1", two);
}

static void reserved_names_get_one_more(void **state)
{
	static const char *const names[][2] = {
		{"_node", "__node"}, {"__node", "___node"}, {"_COUNT", "__COUNT"}, {"_hash", "__hash"}, {"_bag_x", "__bag_x"}, {"_t_y", "__t_y"},
		{"__t_y", "___t_y"}, {"sqlite_x", "_sqlite_x"}, {"_sqlite_x", "__sqlite_x"}, {"node", "node"}, {"count", "count"}, {"_nodes", "_nodes"},
		{"bag_x", "bag_x"}, {"t_y", "t_y"}, {"_", "_"}, {"", ""}, {"_bag", "_bag"}, {"_t", "_t"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);

		trib_city_name(&b, trib_span_str(names[i][0]));
		assert_string_equal(trib_buf_str(&b), names[i][1]);
	}
	table(f, "_t_mirror", 3, (const uint8_t[]){1, 0, 0});
	insert3(f, T("k"), I(1), I(2));
	good(f, "n", HEAD "-- table _t_mirror _node:1 __node _hash\n\n");
	assert_int_equal(count(f, "SELECT ___node FROM __t_mirror WHERE _node='n' AND __node='k' AND __hash=2"), 1);
}

static void tables_of_the_city_are_not_overwritten(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(trib_db_exec(f->db, "CREATE TABLE T(secret); INSERT INTO T VALUES(1)", &f->err), 0);
	table(f, "t", 3, one_pk);
	insert3(f, I(1), T("a"), N());
	good(f, "n", ONE);
	assert_int_equal(count(f, "SELECT secret FROM T"), 1);
	assert_int_equal(count(f, "SELECT k FROM _t"), 1);
}

static void a_rolled_back_mirror_is_made_again(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(trib_db_exec(f->db, "BEGIN", &f->err), 0);
		table(f, "t", 3, one_pk);
		insert3(f, I(1), T("a"), N());
		good(f, "n", ONE);
		assert_int_equal(trib_db_exec(f->db, i ? "COMMIT" : "ROLLBACK", &f->err), 0);
		if (i == 0)
			trib_mirror_forget(f->m);
	}
	assert_int_equal(count(f, "SELECT count(*) FROM t"), 1);
}

static void refuses_columns_that_are_not_the_schemas(void **state)
{
	struct fixture *f = *state;

	table(f, "t", 3, one_pk);
	insert3(f, I(1), T("a"), N());
	assert_int_equal(apply(f, "n", HEAD "-- table t k:1 v\n\n"), -1);
	assert_int_equal(f->err.code, TRIB_E_SCHEMA);
	table(f, "t", 3, one_pk);
	insert3(f, I(1), T("a"), N());
	assert_int_equal(apply(f, "n", HEAD "-- table t k v:1 w\n\n"), -1);
	assert_int_equal(f->err.code, TRIB_E_SCHEMA);
	table(f, "u", 3, one_pk);
	insert3(f, I(1), T("a"), N());
	assert_int_equal(apply(f, "n", ONE), -1);
	assert_int_equal(f->err.code, TRIB_E_SCHEMA);
}

static void more_kinds_of_update_than_are_kept(void **state)
{
	enum { COLS = 9 };
	struct fixture *f = *state;
	const char *schema = HEAD "-- table t a:1 b c d e f g h i\n\n";
	static const uint8_t pk[COLS] = {1};
	struct trib_value was[COLS], is[COLS];

	for (int i = 0; i < COLS; i++)
		was[i] = I(i);
	table(f, "t", COLS, pk);
	trib_cs_put_insert(&f->cs, COLS, was);
	good(f, "n", schema);
	for (unsigned set = 1; set < 256; set++) { /* every set of changed columns */
		for (int i = 1; i < COLS; i++)
			is[i] = (set >> (i - 1)) & 1 ? I(was[i].i + 100) : was[i];
		is[0] = was[0];
		table(f, "t", COLS, pk);
		assert_true(trib_cs_put_update(&f->cs, COLS, pk, was, is));
		good(f, "n", schema);
		memcpy(was, is, sizeof(was));
	}
	assert_int_equal(count(f, "SELECT b + i FROM t"), 1 + 8 + 128 * 200);
}

/* The lanes of the mirror are those that the changesets lead to. */
static void a_scan_gives_the_digest(void **state)
{
	struct fixture *f = *state;
	const char *schema = HEAD "-- table b x y\n-- table t k:1 v w\n-- bag b x y\n\n";
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	TRIB_AUTO(trib_lanes) struct trib_lanes sum = {0};
	TRIB_AUTO(trib_schematext) struct trib_schematext s = {0};

	assert_int_equal(trib_schematext_parse(trib_span_str(schema), &s, &f->err), 0);
	for (int i = 0; i < 2; i++) {
		table(f, "sqlite_bag_b", 3, (const uint8_t[]){1, 1, 0});
		if (i)
			trib_cs_put_update(&f->cs, 3, (const uint8_t[]){1, 1, 0}, (struct trib_value[]){I(1), N(), I(3)},
					   (struct trib_value[]){I(1), N(), I(1)});
		else
			insert3(f, I(1), N(), I(3));
		table(f, "t", 3, one_pk);
		if (i)
			update3(f, R(0.5), R(-0.0), N());
		insert3(f, i ? T("q") : R(0.5), i ? B("z") : R(-0.0), N());
		assert_int_equal(trib_digest_changeset(d, &sum, &s, trib_buf_span(&f->cs), NULL, &f->err), 0);
		good(f, "n", schema);
		TRIB_AUTO(trib_lanes) struct trib_lanes have = {0};
		uint8_t a[TRIB_SHA256_LEN], b[TRIB_SHA256_LEN];
		assert_int_equal(trib_mirror_scan(f->m, "n", d, &have, &f->err), 0);
		trib_digest_overall(&sum, "app", a);
		trib_digest_overall(&have, "app", b);
		assert_memory_equal(a, b, sizeof(a));
		TRIB_AUTO(trib_lanes) struct trib_lanes none = {0};
		assert_int_equal(trib_mirror_scan(f->m, "other", d, &none, &f->err), 0);
		assert_int_equal(none.ntables, 0);
	}
}

/* By two threads as by one: many rows, in tables of different columns. */
static void two_threads_scan_as_one(void **state)
{
	struct fixture *f = *state;
	char text[300];
	uint8_t a[TRIB_SHA256_LEN], b[TRIB_SHA256_LEN];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	table(f, "t", 3, one_pk);
	for (int i = 0; i < 3000; i++)
		insert3(f, I(i), T(text), I(-i));
	good(f, "n", HEAD "-- table t k:1 v w\n\n");
	table(f, "u", 3, (const uint8_t[]){0, 1, 0});
	for (int i = 0; i < 3000; i++)
		insert3(f, T(text), I(i), I(i * 7));
	good(f, "n", HEAD "-- table t k:1 v w\n-- table u w v:1 k\n\n");
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	TRIB_AUTO(trib_lanes) struct trib_lanes one = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes two = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes again = {0};
	assert_int_equal(trib_mirror_scan(f->m, "n", d, &one, &f->err), 0);
	assert_int_equal(trib_mirror_scan_by(f->m, "n", salt, "app", true, &two, &f->err), 0);
	assert_int_equal(trib_mirror_scan_by(f->m, "n", salt, "app", false, &again, &f->err), 0);
	assert_int_equal(one.ntables, 2);
	assert_int_equal(two.ntables, 2);
	assert_int_equal(two.tables[0]->rows + two.tables[1]->rows, 6000);
	trib_digest_overall(&one, "app", a);
	trib_digest_overall(&two, "app", b);
	assert_memory_equal(a, b, sizeof(a));
	trib_digest_overall(&again, "app", b);
	assert_memory_equal(a, b, sizeof(a));
}

/* A judged commit of `node` without changes, under a schema whose blob hash begins with `id`. */
static void no_change(struct fixture *f, const char *node, const char *schema, uint8_t id)
{
	struct trib_judged j = {0};

	(void)snprintf(j.manifest.node, sizeof(j.manifest.node), "%s", node);
	if (trib_manifest_add_blob(&j.manifest, "schema.sql", (const uint8_t[TRIB_SHA256_LEN]){id}, &f->err) < 0 ||
	    trib_schematext_parse(trib_span_str(schema), &j.schema, &f->err) < 0 || trib_mirror_apply_judged(f->m, &j, &f->why, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	trib_schematext_release(&j.schema);
	trib_manifest_release(&j.manifest);
}

static void tables_without_rows_are_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(trib_db_exec(f->db, "BEGIN", &f->err), 0);
	no_change(f, "n1", HEAD "-- table empty k:1 v\n-- table t k:1 v w\n-- bag loose x\n\n", 1);
	assert_int_equal(count(f, "SELECT count(*) FROM empty"), 0);
	assert_int_equal(count(f, "SELECT count(*) FROM sqlite_schema WHERE name = '_bag_loose'"), 0);
	assert_int_equal(trib_db_exec(f->db, "ROLLBACK", &f->err), 0);
	trib_mirror_forget(f->m);
	assert_int_equal(count(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'empty'"), 0);
	/* What was rolled back is made again; a later schema's new table as well. */
	no_change(f, "n1", HEAD "-- table empty k:1 v\n-- table t k:1 v w\n-- bag loose x\n\n", 1);
	no_change(f, "n2", HEAD "-- table later k:1\n\n", 2);
	assert_int_equal(count(f, "SELECT (SELECT count(*) FROM empty) + (SELECT count(*) FROM t) + (SELECT count(*) FROM later)"), 0);
}

/* ---- wide tables: SQLite's limits on expressions and columns ---- */

static void wide_schema(struct trib_buf *b, char letter, size_t n)
{
	trib_buf_puts(b, HEAD "-- table wide k:1");
	for (size_t i = 1; i < n; i++)
		trib_buf_printf(b, " %c%zu", letter, i);
	trib_buf_puts(b, "\n\n");
}

#define WIDE 1200
static const uint8_t wide_pk[TRIB_COLUMNS_MAX] = {1};

static void put_wide(struct fixture *f, struct trib_value *old, struct trib_value *new)
{
	table(f, "wide", WIDE, wide_pk);
	if (old)
		assert_true(trib_cs_put_update(&f->cs, WIDE, wide_pk, old, new));
	else
		trib_cs_put_insert(&f->cs, WIDE, new);
}

static void updates_of_wide_tables_are_checked_too(void **state)
{
	struct fixture *f = *state;
	TRIB_AUTO(trib_buf) struct trib_buf schema = TRIB_BUF(TRIB_MIB);
	static struct trib_value a[WIDE], b[WIDE];

	wide_schema(&schema, 'c', WIDE);
	for (size_t i = 0; i < WIDE; i++) {
		a[i] = I((int64_t)i);
		b[i] = i ? T("x") : a[i];
	}
	put_wide(f, NULL, a);
	good(f, "n1", trib_buf_str(&schema));
	put_wide(f, a, b);
	good(f, "n1", trib_buf_str(&schema));
	assert_int_equal(count(f, "SELECT count(*) FROM wide WHERE c1 = 'x' AND c1199 = 'x'"), 1);
	put_wide(f, a, b); /* the old values are gone */
	out_of_step(f, "n1", trib_buf_str(&schema), "wide", "old-value-differs");
	b[WIDE - 1] = R(1.0);
	a[WIDE - 1] = T("y");
	for (size_t i = 1; i < WIDE; i++)
		a[i] = b[i];
	b[WIDE - 1] = I(1);
	for (size_t i = 1; i + 1 < WIDE; i++)
		b[i] = N();
	put_wide(f, a, b); /* one old value of many is another */
	out_of_step(f, "n1", trib_buf_str(&schema), "wide", "old-value-differs");
}

static void too_wide(struct fixture *f, const char *schema, size_t n)
{
	static struct trib_value row[TRIB_COLUMNS_MAX];

	for (size_t i = 0; i < n; i++)
		row[i] = I((int64_t)i);
	table(f, "wide", n, wide_pk);
	trib_cs_put_insert(&f->cs, n, row);
	assert_int_equal(trib_db_exec(f->db, "BEGIN", &f->err), 0);
	assert_int_equal(apply(f, "n2", schema), -1);
	assert_int_equal(f->err.code, TRIB_E_LIMIT); /* not DATABASE: that would be the hub's own trouble */
	assert_int_equal(trib_db_exec(f->db, "ROLLBACK", &f->err), 0);
	trib_mirror_forget(f->m);
}

static void more_columns_than_a_mirror_holds_are_the_nodes_fault(void **state)
{
	struct fixture *f = *state;
	TRIB_AUTO(trib_buf) struct trib_buf whole = TRIB_BUF(TRIB_MIB), some = TRIB_BUF(TRIB_MIB), others = TRIB_BUF(TRIB_MIB);
	static struct trib_value row[WIDE];

	wide_schema(&whole, 'c', TRIB_COLUMNS_MAX);
	too_wide(f, trib_buf_str(&whole), TRIB_COLUMNS_MAX);
	wide_schema(&some, 'c', WIDE);
	for (size_t i = 0; i < WIDE; i++)
		row[i] = I((int64_t)i);
	put_wide(f, NULL, row);
	good(f, "n1", trib_buf_str(&some));
	wide_schema(&others, 'd', WIDE); /* each fits, both together do not */
	too_wide(f, trib_buf_str(&others), WIDE);
	assert_int_equal(count(f, "SELECT count(*) FROM wide"), 1);
}

int main(void)
{
#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T_(applies_by_name_and_node),
		T_(tables_without_rows_are_there),
		T_(old_values_must_match_by_class_and_bytes),
		T_(rows_must_be_there_or_not),
		T_(bags_count_equal_rows),
		T_(another_key_gets_another_mirror),
		T_(reserved_names_get_one_more),
		T_(tables_of_the_city_are_not_overwritten),
		T_(a_rolled_back_mirror_is_made_again),
		T_(refuses_columns_that_are_not_the_schemas),
		T_(more_kinds_of_update_than_are_kept),
		T_(a_scan_gives_the_digest),
		T_(two_threads_scan_as_one),
		T_(updates_of_wide_tables_are_checked_too),
		T_(more_columns_than_a_mirror_holds_are_the_nodes_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
