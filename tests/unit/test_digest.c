/* The state digest: known answers of a second implementation, changesets against whole rows, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/trust/digest.h"

static const uint8_t salt[TRIB_SALT_LEN] = {1, 2, 3};

static struct trib_value val_int(int64_t i) { return (struct trib_value){.type = TRIB_INT, .i = i}; }
static struct trib_value val_text(const char *s) { return (struct trib_value){.type = TRIB_TEXT, .s = trib_span_str(s)}; }
static const struct trib_value val_null = {.type = TRIB_NULL};
static const struct trib_value val_undef = {.type = TRIB_UNDEF};

static bool same_lanes(const struct trib_lanes *a, const struct trib_lanes *b)
{
	uint8_t x[TRIB_SHA256_LEN], y[TRIB_SHA256_LEN];
	trib_digest_overall(a, "app", x);
	trib_digest_overall(b, "app", y);
	return memcmp(x, y, sizeof(x)) == 0;
}

/* --- known answers --- */

struct vectors {
	struct trib_digester *d;
	struct trib_lanes lanes;
	char app[TRIB_APP_MAX + 1];
	struct trib_lanes_table *table;
	char *names[8];
	uint8_t pk[8];
	struct trib_digest_cols cols;
	size_t answers;
};

static void vectors_reset(struct vectors *v)
{
	trib_digester_free(v->d);
	trib_lanes_release(&v->lanes);
	for (size_t i = 0; i < TRIB_COUNT(v->names); i++) {
		free(v->names[i]);
		v->names[i] = NULL;
	}
	v->d = NULL;
}

static char *decoded(const char *field)
{
	struct trib_buf b = TRIB_BUF(1000);
	assert_true(trib_unpct(&b, trib_span_str(field)));
	char *s = strdup(trib_buf_str(&b));
	trib_buf_release(&b);
	return s;
}

static void vector_table(struct vectors *v, char **save)
{
	TRIB_AUTO(trib_mem) char *name = decoded(strtok_r(NULL, " ", save));
	v->table = trib_lanes_get(&v->lanes, name);
	size_t n = 0;
	for (char *w; (w = strtok_r(NULL, " ", save)); n++) {
		assert_true(n < TRIB_COUNT(v->names));
		char *k = strchr(w, ':');
		v->pk[n] = k ? (uint8_t)strtoul(k + 1, NULL, 10) : 0;
		if (k)
			*k = '\0';
		free(v->names[n]);
		v->names[n] = decoded(w);
	}
	v->cols = (struct trib_digest_cols){n, (const char *const *)v->names, v->pk, trib_is_bag(trib_span_str(name))};
}

static void vector_row(struct vectors *v, char **save)
{
	static uint8_t bytes[8][1024];
	struct trib_value row[8];
	struct trib_err err;
	size_t n = 0;
	for (char *w; (w = strtok_r(NULL, " ", save)); n++) {
		size_t len = strlen(w) / 2;
		assert_true(n < 8 && len <= sizeof(bytes[0]) && trib_unhex(bytes[n], len, trib_span_str(w)));
		struct trib_reader r = trib_reader(trib_span(bytes[n], len));
		assert_int_equal(trib_value_take(&r, false, &row[n], &err), 0);
		assert_int_equal(r.rest.n, 0);
	}
	assert_int_equal(n, v->cols.ncol);
	assert_int_equal(trib_digest_row(v->d, v->table, &v->cols, row, 1, &err), 0);
}

static void expect(struct vectors *v, const char *got, char **save)
{
	assert_string_equal(got, strtok_r(NULL, " ", save));
	v->answers++;
}

static void vector_line(struct vectors *v, char *line)
{
	uint8_t sum[TRIB_SHA256_LEN], bytes[TRIB_SALT_LEN];
	char hex[TRIB_SHA256_HEX + 1], *save, *word = strtok_r(line, " ", &save);
	if (!word || word[0] == '#')
		return;
	if (strcmp(word, "case") == 0) {
		vectors_reset(v);
		(void)strtok_r(NULL, " ", &save);
		assert_true(trib_unhex(bytes, sizeof(bytes), trib_span_str(strtok_r(NULL, " ", &save))));
		(void)snprintf(v->app, sizeof(v->app), "%s", strtok_r(NULL, " ", &save));
		v->d = trib_digester_new(bytes, v->app);
		assert_non_null(v->d);
	} else if (strcmp(word, "table") == 0) {
		vector_table(v, &save);
	} else if (strcmp(word, "row") == 0) {
		vector_row(v, &save);
	} else if (strcmp(word, "rows") == 0) {
		(void)snprintf(hex, sizeof(hex), "%llu", (unsigned long long)v->table->rows);
		expect(v, hex, &save);
	} else if (strcmp(word, "lanes") == 0) {
		for (size_t i = 0; i < 8; i++) {
			bytes[2 * i] = (uint8_t)v->table->lanes[i];
			bytes[2 * i + 1] = (uint8_t)(v->table->lanes[i] >> 8);
		}
		trib_hex(hex, bytes, 16);
		expect(v, hex, &save);
	} else if (strcmp(word, "digest") == 0) {
		trib_digest_table(v->table, sum);
		trib_hex(hex, sum, sizeof(sum));
		expect(v, hex, &save);
	} else if (strcmp(word, "overall") == 0) {
		trib_digest_overall(&v->lanes, v->app, sum);
		trib_hex(hex, sum, sizeof(sum));
		expect(v, hex, &save);
	}
}

static void known_answers_of_the_second_implementation(void **state)
{
	(void)state;
	static struct vectors v;
	TRIB_AUTO(trib_file) FILE *f = fopen("tests/data/digest-vectors.txt", "r");
	assert_non_null(f);
	char line[4096];
	while (fgets(line, sizeof(line), f)) {
		size_t n = strcspn(line, "\n");
		assert_true(line[n] == '\n');
		line[n] = '\0';
		vector_line(&v, line);
	}
	vectors_reset(&v);
	assert_int_equal(v.answers, 43);
}

/* --- changesets --- */

#define COLS 5
static const uint8_t pk[COLS] = {2, 0, 1, 0, 0};
static const char *const folded[COLS] = {"id", "name", "street", "no", "note"};
static const struct trib_digest_cols cols = {COLS, folded, pk, false};
static const uint8_t bag_pk[3] = {1, 1, 0};
static const char *const bag_folded[3] = {"a", "b", "_count"};
static const struct trib_digest_cols bag_cols = {3, bag_folded, bag_pk, true};

static void make_schema(struct trib_schematext *s)
{
	static const char *const spelled[COLS] = {"ID", "Name", "STREET", "no", "Note"};
	struct trib_err err;
	struct trib_st_table *t = trib_schematext_add(s, "Resident", false);
	assert_non_null(t);
	for (size_t i = 0; i < COLS; i++)
		assert_int_equal(trib_schematext_add_column(t, spelled[i], pk[i], &err), 0);
	t = trib_schematext_add(s, "Log", true);
	assert_non_null(t);
	assert_int_equal(trib_schematext_add_column(t, "A", 0, &err), 0);
	assert_int_equal(trib_schematext_add_column(t, "b", 0, &err), 0);
	trib_schematext_sort(s);
}

/* One table's possible rows, in order of their keys; `present` says which are there. */
#define ROWS 24
struct world {
	bool present[ROWS], loose[ROWS];
	struct trib_value row[ROWS][COLS];
	int64_t count[ROWS];
};

static uint32_t rnd(uint32_t *seed) { return (*seed = *seed * 1664525u + 1013904223u) >> 8; }

static struct trib_value any_value(uint32_t *seed)
{
	static const char *const words[] = {"", "x", "y", "a rather longer text that is still small"};
	switch (rnd(seed) % 5) {
	case 0:
		return val_null;
	case 1:
		return val_int((int64_t)(rnd(seed) % 3) - 1);
	case 2:
		return (struct trib_value){.type = TRIB_REAL, .r = (double)(rnd(seed) % 3) / 2};
	case 3:
		return val_text(words[rnd(seed) % 4]);
	default:
		return (struct trib_value){.type = TRIB_BLOB, .s = trib_span_str(words[rnd(seed) % 4])};
	}
}

static void any_world(struct world *w, uint32_t *seed)
{
	for (int i = 0; i < ROWS; i++) {
		w->present[i] = rnd(seed) % 3 != 0;
		w->loose[i] = rnd(seed) % 2;
		w->count[i] = 1 + (int64_t)(rnd(seed) % 3);
		for (size_t c = 0; c < COLS; c++)
			w->row[i][c] = any_value(seed);
		w->row[i][0] = val_int(i % 4); /* second in the key */
		w->row[i][2] = val_int(i / 4);
	}
}

static void bag_row(const struct world *w, int i, struct trib_value row[3])
{
	row[0] = val_int(i);
	row[1] = val_null;
	row[2] = val_int(w->count[i]);
}

static void lanes_of(struct trib_digester *d, const struct world *w, struct trib_lanes *ret)
{
	struct trib_err err;
	for (int i = 0; i < ROWS; i++) {
		struct trib_value b[3];
		bag_row(w, i, b);
		if (w->present[i])
			assert_int_equal(trib_digest_row(d, trib_lanes_get(ret, "resident"), &cols, w->row[i], 1, &err), 0);
		if (w->loose[i])
			assert_int_equal(trib_digest_row(d, trib_lanes_get(ret, "sqlite_bag_log"), &bag_cols, b, 1, &err), 0);
	}
}

static bool same_row(const struct trib_value *a, const struct trib_value *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!trib_value_eq(&a[i], &b[i]))
			return false;
	return true;
}

/* The changes of one table between two worlds, deletes, updates, inserts. Returns how many of each. */
static void put_resident(struct trib_buf *cs, const struct world *a, const struct world *b, struct trib_mf_table *n)
{
	memset(n, 0, sizeof(*n));
	trib_cs_put_table(cs, trib_span_str("RESIDENT"), COLS, pk);
	for (int i = 0; i < ROWS; i++)
		if (a->present[i] && !b->present[i] && ++n->deleted)
			trib_cs_put_delete(cs, COLS, a->row[i]);
	for (int i = 0; i < ROWS; i++)
		if (a->present[i] && b->present[i] && !same_row(a->row[i], b->row[i], COLS) && ++n->updated)
			assert_true(trib_cs_put_update(cs, COLS, pk, a->row[i], b->row[i]));
	for (int i = 0; i < ROWS; i++)
		if (!a->present[i] && b->present[i] && ++n->inserted)
			trib_cs_put_insert(cs, COLS, b->row[i]);
}

static void put_log(struct trib_buf *cs, const struct world *a, const struct world *b, struct trib_mf_table *n)
{
	struct trib_value x[3], y[3];
	memset(n, 0, sizeof(*n));
	trib_cs_put_table(cs, trib_span_str("sqlite_bag_LOG"), 3, bag_pk);
	for (int pass = 0; pass < 3; pass++) {
		for (int i = 0; i < ROWS; i++) {
			bag_row(a, i, x);
			bag_row(b, i, y);
			if (pass == 0 && a->loose[i] && !b->loose[i] && ++n->deleted)
				trib_cs_put_delete(cs, 3, x);
			if (pass == 1 && a->loose[i] && b->loose[i] && trib_cs_put_update(cs, 3, bag_pk, x, y))
				n->updated++;
			if (pass == 2 && !a->loose[i] && b->loose[i] && ++n->inserted)
				trib_cs_put_insert(cs, 3, y);
		}
	}
}

static void assert_counts(const struct trib_mf_table *got, const char *name, const struct trib_mf_table *want)
{
	static const uint8_t zero[TRIB_SHA256_LEN];
	assert_string_equal(got->name, name);
	assert_int_equal(got->inserted, want->inserted);
	assert_int_equal(got->updated, want->updated);
	assert_int_equal(got->deleted, want->deleted);
	assert_int_equal(got->rows, 0);
	assert_memory_equal(got->digest, zero, sizeof(zero));
}

/* What was worked out before the state was known: 1 and the same state as the changeset itself leads to, or 0 and *l as it was. */
static int move(struct trib_digester *d, struct trib_lanes *l, const struct trib_schematext *schema, const struct trib_buf *cs)
{
	struct trib_err err;
	TRIB_AUTO(trib_lanes) struct trib_lanes moves = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest counts = {0};
	if (trib_digest_moves(d, schema, trib_buf_span(cs), &moves, &counts, &err))
		return 0;
	assert_int_equal(counts.ntables, moves.ntables);
	return trib_lanes_move(l, &moves, &err);
}

static void changesets_lead_to_the_digest_of_the_rows(void **state)
{
	(void)state;
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	make_schema(&schema);
	static struct world a, b;
	uint32_t seed = 42;
	any_world(&a, &seed);
	TRIB_AUTO(trib_lanes) struct trib_lanes running = {0};
	lanes_of(d, &a, &running);
	for (int step = 0; step < 40; step++) {
		struct trib_err err = {0};
		struct trib_mf_table n, m;
		TRIB_AUTO(trib_buf) struct trib_buf cs = TRIB_BUF(1000000);
		TRIB_AUTO(trib_lanes) struct trib_lanes want = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest counts = {0};
		TRIB_AUTO(trib_lanes) struct trib_lanes only_rows = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest only_counts = {0};
		TRIB_AUTO(trib_lanes) struct trib_lanes moved = {0};
		any_world(&b, &seed);
		put_resident(&cs, &a, &b, &n);
		put_log(&cs, &a, &b, &m);
		assert_int_equal(trib_lanes_copy(&running, &only_rows, &err), 0);
		if (trib_digest_count(&only_rows, &schema, trib_buf_span(&cs), &only_counts, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(trib_lanes_copy(&running, &moved, &err), 0);
		assert_int_equal(move(d, &moved, &schema, &cs), 1);
		if (trib_digest_changeset(d, &running, &schema, trib_buf_span(&cs), &counts, &err))
			fail_msg("%s", err.msg);
		lanes_of(d, &b, &want);
		assert_true(same_lanes(&running, &want));
		assert_true(same_lanes(&moved, &want));
		assert_int_equal(counts.ntables, 2);
		assert_counts(&counts.tables[0], "resident", &n);
		assert_counts(&counts.tables[1], "sqlite_bag_log", &m);
		assert_int_equal(only_counts.ntables, 2);
		assert_counts(&only_counts.tables[0], "resident", &n);
		assert_counts(&only_counts.tables[1], "sqlite_bag_log", &m);
		assert_int_equal(only_rows.ntables, want.ntables);
		for (size_t i = 0; i < want.ntables; i++)
			assert_int_equal(only_rows.tables[i]->rows, want.tables[i]->rows);
		a = b;
	}
}

/* Rows of the bag from..to-1: all of one kind. */
static void put_many(struct trib_buf *cs, enum trib_op op, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++) {
		struct trib_value row[3] = {val_int(i), i % 3 ? val_int(7 * i) : val_null, val_int(2)}, more[3] = {row[0], row[1], val_int(5)};
		if (op == TRIB_DELETE)
			trib_cs_put_delete(cs, 3, row);
		else if (op == TRIB_INSERT)
			trib_cs_put_insert(cs, 3, row);
		else
			assert_true(trib_cs_put_update(cs, 3, bag_pk, row, more));
	}
}

static void two_threads_compute_what_one_does(void **state)
{
	(void)state;
	struct trib_err err = {0}, err_two = {0};
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_digester) struct trib_digester *one = trib_digester_new(salt, "app"), *two = trib_digester_new(salt, "app");
	TRIB_AUTO(trib_lanes) struct trib_lanes a = {0}, b = {0}, empty = {0};
	struct trib_buf cs[2] = {TRIB_BUF(1000000), TRIB_BUF(1000000)};
	make_schema(&schema);
	trib_digester_two(two);
	for (int i = 0; i < 2; i++)
		trib_cs_put_table(&cs[i], trib_span_str("sqlite_bag_LOG"), 3, bag_pk);
	put_many(&cs[0], TRIB_INSERT, 0, 3001);
	put_many(&cs[1], TRIB_DELETE, 0, 1500);
	put_many(&cs[1], TRIB_UPDATE, 1500, 3000);
	put_many(&cs[1], TRIB_INSERT, 3001, 4000);
	for (int i = 0; i < 2; i++) {
		TRIB_AUTO(trib_manifest) struct trib_manifest n = {0}, m = {0};
		assert_true(cs[i].len > 64 * TRIB_KIB);
		assert_int_equal(trib_digest_changeset(one, &a, &schema, trib_buf_span(&cs[i]), &n, &err), 0);
		assert_int_equal(trib_digest_changeset(two, &b, &schema, trib_buf_span(&cs[i]), &m, &err), 0);
		assert_true(same_lanes(&a, &b));
		assert_counts(&m.tables[0], "sqlite_bag_log", &n.tables[0]);
	}
	assert_int_equal(trib_digest_changeset(one, &empty, &schema, trib_buf_span(&cs[1]), NULL, &err), -1);
	assert_int_equal(trib_digest_changeset(two, &empty, &schema, trib_buf_span(&cs[1]), NULL, &err_two), -1);
	assert_int_equal(err_two.code, err.code);
	assert_string_equal(err_two.msg, err.msg);
	cs[1].len--; /* cut short: told by the thread that sees everything */
	assert_int_equal(trib_digest_changeset(one, &a, &schema, trib_buf_span(&cs[1]), NULL, &err), -1);
	assert_int_equal(trib_digest_changeset(two, &b, &schema, trib_buf_span(&cs[1]), NULL, &err_two), -1);
	assert_string_equal(err_two.msg, err.msg);
	for (int i = 0; i < 2; i++)
		trib_buf_release(&cs[i]);
}

static void removing_every_row_leaves_zero_lanes(void **state)
{
	(void)state;
	struct trib_err err;
	static struct world w;
	uint32_t seed = 7;
	any_world(&w, &seed);
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	static const uint16_t zero[TRIB_LANES];
	struct trib_lanes_table *t = trib_lanes_get(&l, "resident");
	for (int i = 0; i < ROWS; i++)
		assert_int_equal(trib_digest_row(d, t, &cols, w.row[i], 1, &err), 0);
	assert_int_equal(t->rows, ROWS);
	assert_memory_not_equal(t->lanes, zero, sizeof(zero));
	for (int i = ROWS - 1; i >= 0; i--)
		assert_int_equal(trib_digest_row(d, t, &cols, w.row[i], -1, &err), 0);
	assert_int_equal(t->rows, 0);
	assert_memory_equal(t->lanes, zero, sizeof(zero));
	assert_int_equal(trib_digest_row(d, t, &cols, w.row[0], -1, &err), -1);
	assert_int_equal(err.code, TRIB_E_DIGEST);
}

static void everything_that_identifies_a_cell_counts(void **state)
{
	(void)state;
	struct trib_err err;
	static const char *const n1[2] = {"id", "a"}, *const n2[2] = {"id", "b"};
	static const uint8_t key[2] = {1, 0};
	struct trib_value row[2] = {val_int(1), val_text("1")}, blob[2] = {val_int(1), {.type = TRIB_BLOB, .s = trib_span_str("1")}};
	struct trib_value number[2] = {val_int(1), val_int(1)};
	const struct {
		const char *app, *table, *const *names;
		uint8_t salt0;
		const struct trib_value *row;
	} c[] = {{"app", "t", n1, 1, row},  {"apq", "t", n1, 1, row},	{"app", "u", n1, 1, row},  {"app", "t", n2, 1, row},
		 {"app", "t", n1, 2, row},  {"app", "t", n1, 1, blob},	{"app", "t", n1, 1, number}};
	uint8_t sums[TRIB_COUNT(c)][TRIB_SHA256_LEN];
	for (size_t i = 0; i < TRIB_COUNT(c); i++) {
		uint8_t s[TRIB_SALT_LEN] = {c[i].salt0};
		struct trib_digest_cols k = {2, c[i].names, key, false};
		TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(s, c[i].app);
		TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
		struct trib_lanes_table *t = trib_lanes_get(&l, c[i].table);
		assert_int_equal(trib_digest_row(d, t, &k, c[i].row, 1, &err), 0);
		trib_digest_table(t, sums[i]);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(sums[i], sums[j], TRIB_SHA256_LEN);
	}
}

/* --- refusals --- */

static void refuse_changeset(const struct trib_lanes *from, const struct trib_buf *cs, enum trib_code code)
{
	struct trib_err err = {0};
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	make_schema(&schema);
	assert_int_equal(trib_lanes_copy(from, &l, &err), 0);
	assert_int_equal(trib_digest_changeset(d, &l, &schema, trib_buf_span(cs), NULL, &err), -1);
	if (err.code != code)
		fail_msg("code %s: %s", trib_code_name(err.code), err.msg);
	TRIB_AUTO(trib_lanes) struct trib_lanes again = {0};
	assert_int_equal(trib_lanes_copy(from, &again, &err), 0);
	assert_int_equal(trib_digest_count(&again, &schema, trib_buf_span(cs), NULL, &err), -1);
	assert_int_equal(err.code, code);
	TRIB_AUTO(trib_lanes) struct trib_lanes moved = {0};
	assert_int_equal(trib_lanes_copy(from, &moved, &err), 0);
	assert_int_equal(move(d, &moved, &schema, cs), 0);
	assert_true(same_lanes(&moved, from));
}

/* Rows that come and go within one changeset: what it needs is told by its lowest point, not by its end. */
static void moves_know_their_lowest_and_highest_point(void **state)
{
	(void)state;
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	TRIB_AUTO(trib_buf) struct trib_buf cs = TRIB_BUF(10000);
	make_schema(&schema);
	trib_cs_put_table(&cs, trib_span_str("resident"), COLS, pk);
	for (int i = 0; i < 5; i++) {
		struct trib_value row[COLS] = {val_int(i), val_text("x"), val_int(i), val_null, val_null};
		if (i < 2)
			trib_cs_put_delete(&cs, COLS, row);
		else
			trib_cs_put_insert(&cs, COLS, row);
	}
	for (uint64_t rows = 0; rows < 4; rows++) {
		struct trib_err err;
		TRIB_AUTO(trib_lanes) struct trib_lanes a = {0};
		TRIB_AUTO(trib_lanes) struct trib_lanes b = {0};
		trib_lanes_get(&a, "resident")->rows = rows;
		assert_int_equal(move(d, &b, &schema, &cs), 0); /* lacks the table */
		assert_int_equal(trib_lanes_copy(&a, &b, &err), 0);
		assert_int_equal(move(d, &b, &schema, &cs), rows >= 2);
		assert_int_equal(trib_digest_changeset(d, &a, &schema, trib_buf_span(&cs), NULL, &err), rows >= 2 ? 0 : -1);
		assert_int_equal(b.tables[0]->rows, rows >= 2 ? rows + 1 : rows);
	}
	TRIB_AUTO(trib_lanes) struct trib_lanes full = {0};
	trib_lanes_get(&full, "resident")->rows = INT64_MAX;
	assert_int_equal(move(d, &full, &schema, &cs), 0);
	trib_lanes_get(&full, "resident")->rows = INT64_MAX - 1;
	assert_int_equal(move(d, &full, &schema, &cs), 1);
	assert_int_equal(full.tables[0]->rows, INT64_MAX);
}

static void one_insert(struct trib_buf *cs, const char *table, size_t n, const uint8_t *key)
{
	struct trib_value row[8];
	for (size_t i = 0; i < n; i++)
		row[i] = val_int(1);
	trib_buf_reset(cs);
	trib_cs_put_table(cs, trib_span_str(table), n, key);
	trib_cs_put_insert(cs, n, row);
}

static void headers_must_fit_the_schema(void **state)
{
	(void)state;
	const struct trib_lanes none = {0};
	TRIB_AUTO(trib_buf) struct trib_buf cs = TRIB_BUF(10000);
	one_insert(&cs, "stranger", COLS, pk);
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	one_insert(&cs, "resident", COLS - 1, pk);
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	one_insert(&cs, "resident", COLS + 1, (const uint8_t[]){2, 0, 1, 0, 0, 0});
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	one_insert(&cs, "resident", COLS, (const uint8_t[]){1, 0, 2, 0, 0});
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	one_insert(&cs, "resident", COLS, (const uint8_t[]){2, 0, 1, 3, 0});
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	one_insert(&cs, "log", 2, (const uint8_t[]){1, 0}); /* a bag has no table of that name */
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	one_insert(&cs, "sqlite_bag_resident", COLS + 1, (const uint8_t[]){1, 1, 1, 1, 1, 0});
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	one_insert(&cs, "sqlite_bag_log", 4, (const uint8_t[]){1, 1, 1, 0});
	refuse_changeset(&none, &cs, TRIB_E_SCHEMA);
	trib_buf_reset(&cs);
	trib_buf_puts(&cs, "Tgarbage");
	refuse_changeset(&none, &cs, TRIB_E_FORMAT);
}

static void rows_never_pass_below_zero(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_value row[COLS] = {val_int(1), val_text("a"), val_int(1), val_null, val_null}, other[COLS];
	memcpy(other, row, sizeof(row));
	other[1] = val_text("b");
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	TRIB_AUTO(trib_buf) struct trib_buf cs = TRIB_BUF(10000);
	trib_cs_put_table(&cs, trib_span_str("resident"), COLS, pk);
	trib_cs_put_delete(&cs, COLS, row);
	refuse_changeset(&l, &cs, TRIB_E_DIGEST);
	trib_buf_reset(&cs);
	trib_cs_put_table(&cs, trib_span_str("resident"), COLS, pk);
	assert_true(trib_cs_put_update(&cs, COLS, pk, row, other));
	refuse_changeset(&l, &cs, TRIB_E_DIGEST);
	/* A bag that holds two rows cannot lose three, nor can an update claim that there were three. */
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	struct trib_value two[3] = {val_int(1), val_null, val_int(2)}, three[3] = {val_int(1), val_null, val_int(3)};
	assert_int_equal(trib_digest_row(d, trib_lanes_get(&l, "sqlite_bag_log"), &bag_cols, two, 1, &err), 0);
	assert_int_equal(trib_lanes_find(&l, "sqlite_bag_log")->rows, 2);
	trib_buf_reset(&cs);
	trib_cs_put_table(&cs, trib_span_str("sqlite_bag_log"), 3, bag_pk);
	trib_cs_put_delete(&cs, 3, three);
	refuse_changeset(&l, &cs, TRIB_E_DIGEST);
	trib_buf_reset(&cs);
	trib_cs_put_table(&cs, trib_span_str("sqlite_bag_log"), 3, bag_pk);
	assert_true(trib_cs_put_update(&cs, 3, bag_pk, three, two));
	refuse_changeset(&l, &cs, TRIB_E_DIGEST);
}

static void impossible_rows_are_refused(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	struct trib_lanes_table *t = trib_lanes_get(&l, "sqlite_bag_log");
	struct trib_value row[3] = {val_int(1), val_null, val_int(0)};
	assert_int_equal(trib_digest_row(d, t, &bag_cols, row, 1, &err), -1);
	row[2] = val_text("2");
	assert_int_equal(trib_digest_row(d, t, &bag_cols, row, 1, &err), -1);
	row[2] = val_int(INT64_MAX);
	assert_int_equal(trib_digest_row(d, t, &bag_cols, row, 1, &err), 0);
	assert_int_equal(trib_digest_row(d, t, &bag_cols, row, 1, &err), -1);
	assert_int_equal(err.code, TRIB_E_DIGEST);
	struct trib_value undef[COLS] = {val_int(1), val_undef, val_int(1), val_null, val_null};
	assert_int_equal(trib_digest_row(d, trib_lanes_get(&l, "resident"), &cols, undef, 1, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	char app[TRIB_APP_MAX + 2];
	memset(app, 'a', sizeof(app));
	app[TRIB_APP_MAX + 1] = '\0';
	assert_null(trib_digester_new(salt, app));
	app[TRIB_APP_MAX] = '\0';
	TRIB_AUTO(trib_digester) struct trib_digester *longest = trib_digester_new(salt, app);
	assert_non_null(longest);
}

/* --- lanes as a value --- */

static void copies_are_independent(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_lanes) struct trib_lanes a = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes b = {0};
	static const char *const names[] = {"m", "z", "a", "sqlite_bag_a", "k", ""};
	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		struct trib_lanes_table *t = trib_lanes_get(&a, names[i]);
		t->rows = i + 1;
		t->lanes[TRIB_LANES - 1] = (uint16_t)i;
	}
	assert_int_equal(a.ntables, 6);
	for (size_t i = 1; i < a.ntables; i++)
		assert_true(strcmp(a.tables[i - 1]->name, a.tables[i]->name) < 0);
	assert_int_equal(trib_lanes_copy(&a, &b, &err), 0);
	assert_true(same_lanes(&a, &b));
	trib_lanes_get(&b, "k")->rows++;
	trib_lanes_get(&b, "new")->rows = 1;
	assert_int_equal(trib_lanes_find(&a, "k")->rows, 5);
	assert_null(trib_lanes_find(&a, "new"));
	assert_false(same_lanes(&a, &b));
}

static void empty_tables_are_not_in_the_overall_digest(void **state)
{
	(void)state;
	TRIB_AUTO(trib_lanes) struct trib_lanes a = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes none = {0};
	assert_non_null(trib_lanes_get(&a, "dropped"));
	assert_true(same_lanes(&a, &none));
	trib_lanes_get(&a, "dropped")->rows = 1;
	assert_false(same_lanes(&a, &none));
}

static void serial_form_returns(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_lanes) struct trib_lanes a = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes b = {0};
	TRIB_AUTO(trib_buf) struct trib_buf x = TRIB_BUF(TRIB_LANES_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf y = TRIB_BUF(TRIB_LANES_MAX);
	trib_lanes_put(&x, &a);
	assert_string_equal(trib_buf_str(&x), "tributary-lanes-1\n");
	assert_int_equal(trib_lanes_parse(trib_buf_span(&x), &b, &err), 0);
	assert_int_equal(b.ntables, 0);
	trib_lanes_get(&a, "b")->rows = INT64_MAX;
	trib_lanes_get(&a, "b")->lanes[1] = 0x0102;
	trib_lanes_get(&a, "\xe8\xa1\x97")->rows = 3;
	trib_buf_reset(&x);
	trib_lanes_put(&x, &a);
	assert_int_equal(x.len, 18 + (4 + 1 + 8 + 2048) + (4 + 3 + 8 + 2048));
	assert_memory_equal(x.p + 18, "\0\0\0\1b\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\2\1", 17); /* lanes little-endian */
	for (size_t n = 0; n < x.len; n++) {
		if (n == 18 || n == 18 + 2061)
			continue; /* whole tables */
		assert_int_equal(trib_lanes_parse(trib_span(x.p, n), &b, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	assert_int_equal(trib_lanes_parse(trib_buf_span(&x), &b, &err), 0);
	assert_true(same_lanes(&a, &b));
	trib_lanes_put(&y, &b);
	assert_true(trib_span_eq(trib_buf_span(&x), trib_buf_span(&y)));
}

static void put_raw(struct trib_buf *b, const char *name, size_t n, uint64_t rows)
{
	trib_buf_be32(b, (uint32_t)n);
	trib_buf_put(b, name, n);
	trib_buf_be64(b, rows);
	memset(trib_buf_grow(b, 2048), 0, 2048);
}

static int parse_two(const char *a, size_t na, const char *b, size_t nb, uint64_t rows)
{
	struct trib_err err;
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	TRIB_AUTO(trib_buf) struct trib_buf x = TRIB_BUF(10000);
	trib_buf_puts(&x, "tributary-lanes-1\n");
	put_raw(&x, a, na, 0);
	put_raw(&x, b, nb, rows);
	return trib_lanes_parse(trib_buf_span(&x), &l, &err);
}

static void only_the_canonical_serial_form_is_read(void **state)
{
	(void)state;
	char name[TRIB_LANES_NAME_MAX + 1];
	memset(name, 'z', sizeof(name));
	assert_int_equal(parse_two("a", 1, "b", 1, INT64_MAX), 0);
	assert_int_equal(parse_two("", 0, "b", 1, 0), 0);
	assert_int_equal(parse_two("b", 1, "a", 1, 0), -1);
	assert_int_equal(parse_two("a", 1, "a", 1, 0), -1);
	assert_int_equal(parse_two("a", 1, "B", 1, 0), -1);
	assert_int_equal(parse_two("a", 1, "b\0c", 3, 0), -1);
	assert_int_equal(parse_two("a", 1, "b", 1, (uint64_t)INT64_MAX + 1), -1);
	assert_int_equal(parse_two("a", 1, name, TRIB_LANES_NAME_MAX, 0), 0);
	assert_int_equal(parse_two("a", 1, name, TRIB_LANES_NAME_MAX + 1, 0), -1);
}

static void the_number_of_tables_is_bounded(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes again = {0};
	TRIB_AUTO(trib_buf) struct trib_buf x = TRIB_BUF(TRIB_LANES_MAX + 1);
	for (size_t i = 0; i < TRIB_LANES_TABLES_MAX; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "t%05zu", i);
		assert_non_null(trib_lanes_get(&l, name));
	}
	trib_lanes_put(&x, &l);
	assert_int_equal(trib_lanes_parse(trib_buf_span(&x), &again, &err), 0);
	assert_int_equal(again.ntables, TRIB_LANES_TABLES_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf cs = TRIB_BUF(1000);
	one_insert(&cs, "resident", COLS, pk);
	refuse_changeset(&l, &cs, TRIB_E_LIMIT);
	put_raw(&x, "z", 1, 0);
	trib_lanes_release(&again);
	assert_int_equal(trib_lanes_parse(trib_buf_span(&x), &again, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(trib_lanes_parse(trib_span(x.p, TRIB_LANES_MAX + 1), &again, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers_of_the_second_implementation),
		cmocka_unit_test(changesets_lead_to_the_digest_of_the_rows),
		cmocka_unit_test(two_threads_compute_what_one_does),
		cmocka_unit_test(removing_every_row_leaves_zero_lanes),
		cmocka_unit_test(everything_that_identifies_a_cell_counts),
		cmocka_unit_test(headers_must_fit_the_schema),
		cmocka_unit_test(rows_never_pass_below_zero),
		cmocka_unit_test(moves_know_their_lowest_and_highest_point),
		cmocka_unit_test(impossible_rows_are_refused),
		cmocka_unit_test(copies_are_independent),
		cmocka_unit_test(empty_tables_are_not_in_the_overall_digest),
		cmocka_unit_test(serial_form_returns),
		cmocka_unit_test(only_the_canonical_serial_form_is_read),
		cmocka_unit_test(the_number_of_tables_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
