/* test_capture.c: random histories of an application's database. After every capture: the parts are canonical, applying them to a model of the old
 * state (a plain map of cells) gives the new state byte for byte, and applying their inverse to that the old one; the digest lanes they lead to equal
 * those of a full rescan.
 * Both engines agree on every capture. PROPERTY_ROUNDS histories (150), from PROPERTY_SEED on (1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/replay/replay.h"
#include "core/store/utf16.h"
#include "tests/lib/edits.h"

/* ---- the model: a map (table, key, column) -> encoded value; column '' says that the row exists ---- */

static sqlite3 *model_new(void)
{
	sqlite3 *m = sql_open(":memory:");
	sql_run(m, "CREATE TABLE m(t, k, c, v, PRIMARY KEY(t, k, c)) WITHOUT ROWID");
	return m;
}

static sqlite3_stmt *prepared(sqlite3 *m, const char *sql, struct trib_span t, struct trib_span k, const char *c)
{
	sqlite3_stmt *st = NULL;
	char folded[300];
	assert_true(t.n < sizeof(folded));
	memcpy(folded, t.p, t.n);
	trib_fold((uint8_t *)folded, t.n);
	assert_int_equal(sqlite3_prepare_v2(m, sql, -1, &st, NULL), 0);
	sqlite3_bind_text(st, 1, folded, (int)t.n, SQLITE_TRANSIENT);
	sqlite3_bind_blob(st, 2, k.p, (int)k.n, SQLITE_TRANSIENT);
	if (c) {
		(void)snprintf(folded, sizeof(folded), "%s", c);
		trib_fold((uint8_t *)folded, strlen(folded));
		sqlite3_bind_text(st, 3, folded, -1, SQLITE_TRANSIENT);
	}
	return st;
}

static void cell_is(sqlite3 *m, struct trib_span t, struct trib_span k, const char *c, const struct trib_value *want)
{
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	sqlite3_stmt *st = prepared(m, "SELECT v FROM m WHERE t=?1 AND k=?2 AND c=?3", t, k, c);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	trib_value_put(&b, want);
	if (found != (want->type != TRIB_NULL) ||
	    (found && !trib_span_eq(trib_buf_span(&b), trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)))))
		fail_msg("old value of %.*s.%s does not fit the model", (int)t.n, (const char *)t.p, c);
	sqlite3_finalize(st);
	trib_buf_release(&b);
}

static void cell_set(sqlite3 *m, struct trib_span t, struct trib_span k, const char *c, const struct trib_value *v)
{
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	sqlite3_stmt *st = prepared(m, v->type == TRIB_NULL ? "DELETE FROM m WHERE t=?1 AND k=?2 AND c=?3" : "INSERT OR REPLACE INTO m VALUES(?1,?2,?3,?4)", t, k, c);
	trib_value_put(&b, v);
	if (v->type != TRIB_NULL)
		sqlite3_bind_blob(st, 4, b.p, (int)b.len, SQLITE_TRANSIENT);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	trib_buf_release(&b);
}

static void row_exists(sqlite3 *m, struct trib_span t, struct trib_span k, bool want)
{
	sqlite3_stmt *st = prepared(m, "SELECT 1 FROM m WHERE t=?1 AND k=?2 AND c=''", t, k, NULL);
	bool is = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_finalize(st);
	if (is != want)
		fail_msg("row of %.*s: the model %s it", (int)t.n, (const char *)t.p, is ? "has" : "lacks");
}

static const struct trib_value one = {.type = TRIB_INT, .i = 1}, null_value = {.type = TRIB_NULL};

static void apply_change(sqlite3 *m, const struct trib_change *ch, const char *const *cols)
{
	struct trib_span t = ch->table->name, k = ch->key;
	size_t n = ch->table->ncol;
	row_exists(m, t, k, ch->op != TRIB_INSERT);
	for (size_t i = 0; i < n; i++) {
		if (ch->table->pk[i])
			continue;
		if (ch->op != TRIB_INSERT && ch->old[i].type != TRIB_UNDEF)
			cell_is(m, t, k, cols[i], &ch->old[i]);
		if (ch->op == TRIB_DELETE)
			cell_set(m, t, k, cols[i], &null_value);
		else if (ch->new[i].type != TRIB_UNDEF)
			cell_set(m, t, k, cols[i], &ch->new[i]);
	}
	if (ch->op == TRIB_INSERT)
		cell_set(m, t, k, "", &one);
	if (ch->op == TRIB_DELETE) {
		sqlite3_stmt *st = prepared(m, "DELETE FROM m WHERE t=?1 AND k=?2", t, k, NULL);
		cell_set(m, t, k, "", &null_value);
		assert_int_equal(sqlite3_step(st), SQLITE_DONE);
		if (sqlite3_changes(m)) /* the old record must have named every cell */
			fail_msg("delete from %.*s leaves cells", (int)t.n, (const char *)t.p);
		sqlite3_finalize(st);
	}
}

static void invert(struct trib_change *ch)
{
	const struct trib_value *old = ch->old;
	ch->old = ch->new;
	ch->new = old;
	ch->op = ch->op == TRIB_INSERT ? TRIB_DELETE : ch->op == TRIB_DELETE ? TRIB_INSERT : TRIB_UPDATE;
}

/* `back`: the other way round, the last part first. */
static void apply_parts(sqlite3 *m, const struct trib_capture *c, bool back)
{
	for (size_t i = 0; i < c->nparts; i++) {
		size_t p = back ? c->nparts - 1 - i : i;
		struct trib_schematext s = {0};
		struct trib_change ch;
		int rc = 0;
		OK(trib_schematext_parse(trib_buf_span(&c->parts[p].schema), &s, err));
		struct trib_cs_reader *r = c->parts[p].changeset.len ? trib_cs_reader_new(trib_buf_span(&c->parts[p].changeset)) : NULL;
		struct trib_err err = {0};
		while (r && (rc = trib_cs_next(r, &ch, &err)) == 1) {
			const struct trib_st_table *t = trib_schematext_find(&s, ch.table->name);
			const char *cols[64];
			if (!t || t->ncols + t->bag != ch.table->ncol)
				fail_msg("table %.*s is not in the schema lines", (int)ch.table->name.n, (const char *)ch.table->name.p);
			for (size_t k = 0; k < t->ncols; k++)
				cols[k] = t->cols[k].name;
			cols[t->ncols] = TRIB_BAG_COUNT;
			if (back)
				invert(&ch);
			apply_change(m, &ch, cols);
		}
		if (rc)
			fail_msg("part %zu: %s", p + 1, err.msg);
		trib_cs_reader_free(r);
		trib_schematext_release(&s);
	}
}

/* ---- the live database into a model, with SQLite alone ---- */

static struct trib_value live_value(sqlite3_stmt *st, int i, bool utf16, struct trib_buf *text)
{
	struct trib_value v = {.type = TRIB_NULL};
	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER: v.type = TRIB_INT; v.i = sqlite3_column_int64(st, i); break;
	case SQLITE_FLOAT: v.type = TRIB_REAL; v.r = sqlite3_column_double(st, i); break;
	case SQLITE_BLOB:
		v.type = TRIB_BLOB;
		v.s = trib_span(sqlite3_column_blob(st, i), (size_t)sqlite3_column_bytes(st, i));
		break;
	case SQLITE_TEXT:
		v.type = TRIB_TEXT;
		if (!utf16) {
			v.s = trib_span(sqlite3_column_text(st, i), (size_t)sqlite3_column_bytes(st, i));
			break;
		}
		trib_buf_reset(text);
		const void *p = sqlite3_column_text16(st, i);
		assert_true(trib_utf16_to_wtf8(trib_span(p, (size_t)sqlite3_column_bytes16(st, i)), text));
		v.s = trib_buf_span(text);
		break;
	default: break;
	}
	return v;
}

struct live_table {
	char *name;
	char *cols[64];
	uint8_t pk[65];
	size_t n, npk;
};

static void add_bag_row(sqlite3 *m, const struct live_table *t, struct trib_span row)
{
	char name[300];
	(void)snprintf(name, sizeof(name), TRIB_BAG_PREFIX "%s", t->name);
	sqlite3_stmt *st = prepared(m, "SELECT v FROM m WHERE t=?1 AND k=?2 AND c=?3", trib_span_str(name), row, TRIB_BAG_COUNT);
	struct trib_value count = one;
	if (sqlite3_step(st) == SQLITE_ROW) {
		struct trib_reader r = trib_reader(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
		OK(trib_value_take(&r, false, &count, err));
		count.i++;
	}
	sqlite3_finalize(st);
	cell_set(m, trib_span_str(name), row, "", &one);
	cell_set(m, trib_span_str(name), row, TRIB_BAG_COUNT, &count);
}

static void read_table(sqlite3 *db, sqlite3 *m, const struct live_table *t, bool utf16)
{
	struct trib_buf sql = TRIB_BUF(8192), row = TRIB_BUF(TRIB_MIB), key = TRIB_BUF(TRIB_MIB), text[64];
	struct trib_value v[64];
	sqlite3_stmt *st = NULL;
	trib_buf_puts(&sql, "SELECT ");
	for (size_t i = 0; i < t->n; i++) {
		trib_buf_puts(&sql, i ? "," : "");
		trib_sql_ident(&sql, t->cols[i]);
		text[i] = TRIB_BUF(TRIB_MIB);
	}
	trib_buf_puts(&sql, " FROM ");
	trib_sql_ident(&sql, t->name);
	assert_int_equal(sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &st, NULL), 0);
	while (sqlite3_step(st) == SQLITE_ROW) {
		bool null_key = t->npk == 0;
		trib_buf_reset(&row);
		trib_buf_reset(&key);
		for (size_t i = 0; i < t->n; i++) {
			v[i] = live_value(st, (int)i, utf16, &text[i]);
			trib_value_put(&row, &v[i]);
			null_key = null_key || (t->pk[i] && v[i].type == TRIB_NULL);
		}
		for (size_t k = 1; k <= t->npk; k++)
			for (size_t i = 0; i < t->n; i++)
				if (t->pk[i] == k)
					trib_value_put(&key, &v[i]);
		if (null_key) {
			add_bag_row(m, t, trib_buf_span(&row));
			continue;
		}
		cell_set(m, trib_span_str(t->name), trib_buf_span(&key), "", &one);
		for (size_t i = 0; i < t->n; i++)
			if (!t->pk[i])
				cell_set(m, trib_span_str(t->name), trib_buf_span(&key), t->cols[i], &v[i]);
	}
	sqlite3_finalize(st);
	for (size_t i = 0; i < t->n; i++)
		trib_buf_release(&text[i]);
	trib_buf_release(&sql);
	trib_buf_release(&row);
	trib_buf_release(&key);
}

static sqlite3 *read_live(sqlite3 *db)
{
	sqlite3 *m = model_new();
	sqlite3_stmt *tables = NULL, *cols = NULL, *enc = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA encoding", -1, &enc, NULL), 0);
	assert_int_equal(sqlite3_step(enc), SQLITE_ROW);
	bool utf16 = strcmp((const char *)sqlite3_column_text(enc, 0), "UTF-8") != 0;
	sqlite3_finalize(enc);
	sql_run(m, "BEGIN");
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'", -1, &tables, NULL), 0);
	while (sqlite3_step(tables) == SQLITE_ROW) {
		struct live_table t = {.name = strdup((const char *)sqlite3_column_text(tables, 0))};
		assert_int_equal(sqlite3_prepare_v2(db, "SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden=0", -1, &cols, NULL), 0);
		sqlite3_bind_text(cols, 1, t.name, -1, SQLITE_STATIC);
		while (sqlite3_step(cols) == SQLITE_ROW) {
			t.cols[t.n] = strdup((const char *)sqlite3_column_text(cols, 0));
			t.pk[t.n] = (uint8_t)sqlite3_column_int(cols, 1);
			t.npk += t.pk[t.n++] > 0;
		}
		sqlite3_finalize(cols);
		read_table(db, m, &t, utf16);
		for (size_t i = 0; i < t.n; i++)
			free(t.cols[i]);
		free(t.name);
	}
	sqlite3_finalize(tables);
	sql_run(m, "COMMIT");
	return m;
}

static void models_equal(sqlite3 *a, sqlite3 *b)
{
	static const char *const ways[] = {"SELECT t, quote(k), c, quote(v) FROM m EXCEPT SELECT t, quote(k), c, quote(v) FROM other.m LIMIT 1",
					   "SELECT t, quote(k), c, quote(v) FROM other.m EXCEPT SELECT t, quote(k), c, quote(v) FROM m LIMIT 1"};
	unsigned char *p;
	sqlite3_int64 n;
	sql_run(a, "ATTACH ':memory:' AS other");
	p = sqlite3_serialize(b, "main", &n, 0);
	assert_int_equal(sqlite3_deserialize(a, "other", p, n, n, SQLITE_DESERIALIZE_FREEONCLOSE), 0);
	for (size_t i = 0; i < 2; i++) {
		sqlite3_stmt *st = NULL;
		assert_int_equal(sqlite3_prepare_v2(a, ways[i], -1, &st, NULL), 0);
		if (sqlite3_step(st) == SQLITE_ROW)
			fail_msg("cell %s %s %s %s is only in the %s", sqlite3_column_text(st, 0), sqlite3_column_text(st, 1), sqlite3_column_text(st, 2),
				 sqlite3_column_text(st, 3), i ? "database" : "model");
		sqlite3_finalize(st);
	}
	sql_run(a, "DETACH other");
}

static sqlite3 *copy_of(sqlite3 *m)
{
	sqlite3 *to = sql_open(":memory:");
	sqlite3_int64 n;
	unsigned char *p = sqlite3_serialize(m, "main", &n, 0);
	assert_int_equal(sqlite3_deserialize(to, "main", p, n, n, SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE), 0);
	return to;
}

/* ---- one history ---- */

static void lanes_equal_rescan(struct scratch *x)
{
	struct trib_lanes scan = {0};
	sqlite3 *old = NULL;
	uint8_t a[TRIB_SHA256_LEN], b[TRIB_SHA256_LEN];
	OK(trib_delta_open_old(&x->s, &old, err));
	OK(trib_scan_database(old, x->s.salt, x->s.node.app, &scan, err));
	trib_digest_overall(&x->s.tip.lanes, x->s.node.app, a);
	trib_digest_overall(&scan, x->s.node.app, b);
	assert_memory_equal(a, b, sizeof(a));
	trib_lanes_release(&scan);
	sqlite3_close(old);
}

struct totals { uint64_t captures, changes, parts, bags, updates; };

static void count(const struct trib_capture *c, struct totals *t)
{
	struct trib_err err;
	struct trib_change ch;
	t->captures++;
	t->changes += c->rows_found;
	t->parts += c->nparts > 1;
	for (size_t p = 0; p < c->nparts; p++) {
		struct trib_cs_reader *r = c->parts[p].changeset.len ? trib_cs_reader_new(trib_buf_span(&c->parts[p].changeset)) : NULL;
		while (r && trib_cs_next(r, &ch, &err) == 1) {
			t->bags += ch.table->bag;
			t->updates += ch.op == TRIB_UPDATE;
		}
		trib_cs_reader_free(r);
	}
}

static void history(uint64_t seed, struct totals *t)
{
	static const char *const encodings[] = {"UTF-8", "UTF-8", "UTF-16le", "UTF-16be"};
	struct scratch x;
	char sql[160];
	rng_state = seed * 0x9e3779b97f4a7c15ull + 1;
	scratch_make(&x);
	bool wal = rnd(3) == 0;
	open_app(&x, false);
	(void)snprintf(sql, sizeof(sql), "PRAGMA encoding='%s'; PRAGMA page_size=%u; PRAGMA auto_vacuum=%u", encodings[rnd(4)], 512u << rnd(8), rnd(3));
	sql_run(x.app, sql);
	if (wal)
		sql_run(x.app, "PRAGMA journal_mode=WAL");
	for (uint32_t i = 0; i <= rnd(4); i++)
		new_table(x.app);
	sqlite3 *model = model_new();
	uint32_t captures = 2 + rnd(3);
	for (uint32_t i = 0; i < captures; i++) {
		struct trib_capture c = {.delta.fd = -1};
		try_sql(x.app, "BEGIN");
		for (uint32_t e = 0; e < 1 + rnd(14); e++)
			edit(x.app);
		try_sql(x.app, "COMMIT");
		for (uint32_t e = 0; e < rnd(4); e++)
			edit(x.app);
		if (rnd(3) == 0) {
			sqlite3_close(x.app);
			open_app(&x, wal);
		}
		(void)agree_and_commit(&x, &c, NULL);
		count(&c, t);
		sqlite3 *before = copy_of(model);
		sql_run(model, "BEGIN");
		apply_parts(model, &c, false);
		sql_run(model, "COMMIT");
		sqlite3 *live = read_live(x.app);
		models_equal(model, live);
		sql_run(live, "BEGIN");
		apply_parts(live, &c, true);
		sql_run(live, "COMMIT");
		models_equal(before, live);
		sqlite3_close(before);
		sqlite3_close(live);
		lanes_equal_rescan(&x);
		trib_capture_release(&c);
	}
	sqlite3_close(model);
	scratch_free(&x);
}

static void histories(void **state)
{
	(void)state;
	struct totals t = {0};
	uint64_t rounds = number("PROPERTY_ROUNDS", 150), seed = number("PROPERTY_SEED", 1);
	for (uint64_t i = 0; i < rounds; i++) {
		if (getenv("PROPERTY_VERBOSE"))
			print_message("seed %llu\n", (unsigned long long)(seed + i));
		history(seed + i, &t);
	}
	print_message("%llu captures, %llu changes (%llu updates, %llu in bags), %llu captures in parts\n", (unsigned long long)t.captures,
		      (unsigned long long)t.changes, (unsigned long long)t.updates, (unsigned long long)t.bags, (unsigned long long)t.parts);
	/* A generator that makes nothing proves nothing. */
	assert_true(t.changes > 20 * rounds && t.updates > rounds && t.bags > rounds && t.parts * 10 > rounds);
}

/* A damaged live file gives an error or a capture in canonical form, and no other harm (run it under the sanitizers). */
static void damaged_files_do_no_harm(void **state)
{
	(void)state;
	struct scratch x;
	struct trib_buf whole = TRIB_BUF(16 * TRIB_MIB);
	uint64_t rounds = number("PROPERTY_ROUNDS", 150), refused = 0;
	rng_state = number("PROPERTY_SEED", 1) + 77;
	scratch_make(&x);
	open_app(&x, false);
	sql_run(x.app, "PRAGMA page_size=512; PRAGMA auto_vacuum=1");
	for (size_t i = 0; i < TRIB_COUNT(shapes); i++) {
		char sql[256], name[16];
		(void)snprintf(name, sizeof(name), "t%zu", i);
		(void)snprintf(sql, sizeof(sql), "CREATE TABLE %s%s", name, shapes[i]);
		sql_run(x.app, sql);
		insert_rows(x.app, name, 60);
	}
	sqlite3_close(x.app);
	x.app = NULL;
	struct trib_capture c = {.delta.fd = -1};
	assert_true(scratch_commit(&x, &c));
	trib_capture_release(&c);
	OK(trib_fs_read(x.db, &whole, err));
	for (uint64_t i = 0; i < rounds; i++) {
		struct trib_err err = {0};
		uint8_t *bad = malloc(whole.len);
		memcpy(bad, whole.p, whole.len);
		for (uint32_t k = 0; k <= rnd(12); k++) {
			size_t at = rnd(3) ? rnd((uint32_t)whole.len) : (size_t)512 * rnd((uint32_t)whole.len / 512) + rnd(16);
			bad[at] = (uint8_t)(rnd(2) ? rnd(256) : bad[at] ^ (1u << rnd(8)));
		}
		if (trib_fs_write(x.db, trib_span(bad, whole.len), 0644, &err))
			fail_msg("%s", err.msg);
		refused += trib_capture_run(&x.s, i % 2 ? &trib_engine_full : &trib_engine_page, &c, &err) != 0;
		trib_capture_release(&c);
		free(bad);
	}
	assert_true(rounds < 50 || (refused > rounds / 20 && refused < rounds));
	print_message("%llu of %llu damaged files refused\n", (unsigned long long)refused, (unsigned long long)rounds);
	trib_buf_release(&whole);
	scratch_free(&x);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {cmocka_unit_test(histories), cmocka_unit_test(damaged_files_do_no_harm)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
