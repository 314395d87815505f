/* The proof of a restored file: measured anew, compared with the signed manifest and schema. */
#include "core/replay/materialise.h"

#include <pthread.h>

#include "core/replay/halves.h"
#include "core/trust/hash.h"

/* ---- which row ---- */

/* The rows of one table of the file, by hash, in a temporary database. */
struct finder {
	const char *table; /* folded */
	sqlite3 *db;
	sqlite3_stmt *st;
	struct trib_buf bytes, ret_text;
	bool found;
};

static int hash_row(struct finder *f, const struct trib_digest_cols *cols, const struct trib_value *row, struct trib_err *err)
{
	uint8_t hash[TRIB_SHA256_LEN];
	int r;

	trib_buf_reset(&f->bytes);
	for (size_t i = 0; i < cols->ncol; i++)
		trib_value_put(&f->bytes, &row[i]);
	if (trib_buf_check(&f->bytes, "row", err) < 0)
		return -1;
	trib_sha256(hash, trib_buf_span(&f->bytes));
	if (sqlite3_bind_blob(f->st, 1, hash, sizeof(hash), SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, f->db, "binding a hash");
	r = trib_db_step(f->db, f->st, err);
	(void)sqlite3_reset(f->st);
	return r;
}

static int note_row(void *ctx, const char *folded_table, const char *table, const struct trib_digest_cols *cols, const struct trib_value *row,
		    struct trib_err *err)
{
	struct finder *f = ctx;

	(void)table;
	if (!row || strcmp(folded_table, f->table) != 0)
		return 0;
	return hash_row(f, cols, row, err);
}

static void describe_value(struct trib_buf *b, const struct trib_value *v)
{
	size_t n = v->s.n < 40 ? v->s.n : 40;

	switch (v->type) {
	case TRIB_INT:
		trib_buf_printf(b, "%lld", (long long)v->i);
		break;
	case TRIB_REAL:
		trib_buf_printf(b, "%.17g", v->r);
		break;
	case TRIB_TEXT:
		trib_buf_printf(b, "'%.*s%s'", (int)n, (const char *)v->s.p, n < v->s.n ? "..." : "");
		break;
	case TRIB_BLOB:
		trib_buf_puts(b, "x'");
		trib_buf_hex(b, v->s.p, n);
		trib_buf_puts(b, n < v->s.n ? "...'" : "'");
		break;
	default:
		trib_buf_puts(b, "NULL");
	}
}

static int check_row(void *ctx, const char *folded_table, const char *mirror, const struct trib_digest_cols *cols, const struct trib_value *row,
		     struct trib_err *err)
{
	struct finder *f = ctx;
	int r;

	(void)folded_table;
	(void)mirror;
	if (f->found)
		return 0;
	r = hash_row(f, cols, row, err);
	if (r)
		return r < 0 ? -1 : 0;
	f->found = true;
	for (size_t i = 0, n = 0; i < cols->ncol && n < 4; i++) {
		if (!cols->pk[i])
			continue;
		trib_buf_puts(&f->ret_text, n++ ? ", " : "");
		trib_buf_printf(&f->ret_text, "%s=", cols->names[i]);
		describe_value(&f->ret_text, &row[i]);
	}
	return 0;
}

static int look(const struct trib_material *m, sqlite3 *db, const struct trib_st_table *t, struct finder *f, struct trib_err *err)
{
	if (sqlite3_open_v2("", &f->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		return trib_db_fail(err, f->db, "opening a temporary database");
	if (trib_db_exec(f->db, "CREATE TABLE seen(h BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN", err) < 0 ||
	    trib_db_prepare(f->db, "INSERT OR IGNORE INTO seen VALUES(?1)", &f->st, err) < 0 || trib_scan_each(db, note_row, f, err) < 0)
		return -1;
	sqlite3_finalize(f->st);
	f->st = NULL;
	if (trib_db_prepare(f->db, "SELECT 1 FROM seen WHERE h=?1", &f->st, err) < 0)
		return -1;
	return trib_mirror_table(m->mirror, m->node, t, check_row, f, err);
}

/* A table of the file that is not what the history says: always -1, with the first row that differs when one can be named. */
static int differs(const struct trib_material *m, sqlite3 *db, const struct trib_mf_table *line, uint64_t rows, struct trib_err *err)
{
	const struct trib_st_table *t = trib_schematext_find(m->schema, trib_span_str(line->name));
	struct finder f = {.table = line->name, .bytes = TRIB_BUF(TRIB_CHANGESET_RAW_MAX), .ret_text = TRIB_BUF(TRIB_KIB)};
	struct trib_err ignored = {0};

	/* Only a table that lies in this half whole has rows that can be compared, and private values are not said aloud. */
	const struct trib_table *whole = t ? trib_whole_table(m->whole, t->name) : NULL;
	bool may_name = whole && whole->ncols == t->ncols && !m->secret;
	if (may_name && look(m, db, t, &f, &ignored) < 0)
		f.found = false;
	(void)trib_fail(err, TRIB_E_VERIFY,
			"the restored table %s is not what #%llu signed: %llu rows in the file, %llu in the manifest%s%s; the history is unharmed and no file was kept",
			line->name, (unsigned long long)m->manifest->seq, (unsigned long long)rows, (unsigned long long)line->rows,
			f.found ? "; first row that came out differently: " : "", f.found ? trib_buf_str(&f.ret_text) : "");
	sqlite3_finalize(f.st);
	sqlite3_close_v2(f.db);
	trib_buf_release(&f.bytes);
	trib_buf_release(&f.ret_text);
	return -1;
}

/* ---- rows ---- */

static const char *plain_name(const char *name)
{
	return trib_is_bag(trib_span_str(name)) ? name + strlen(TRIB_BAG_PREFIX) : name;
}

static int prove_rows(const struct trib_material *m, sqlite3 *db, const struct trib_lanes *lanes, struct trib_err *err)
{
	const struct trib_lanes_table empty = {0};

	for (size_t i = 0; i < m->manifest->ntables; i++) {
		const struct trib_mf_table *line = &m->manifest->tables[i];
		const struct trib_lanes_table *t = trib_lanes_find(lanes, line->name);
		uint8_t digest[TRIB_SHA256_LEN];

		if (!trib_material_wants(m, plain_name(line->name)))
			continue;
		t = t ? t : &empty;
		trib_digest_table(t, digest);
		if (t->rows != line->rows || memcmp(digest, line->digest, sizeof(digest)) != 0)
			return differs(m, db, line, t->rows, err);
	}
	for (size_t i = 0; i < lanes->ntables; i++) {
		const struct trib_lanes_table *t = lanes->tables[i];

		if (t->rows && !trib_schematext_find(m->schema, trib_span_str(t->name)))
			return trib_fail(err, TRIB_E_VERIFY, "the restored file has a table %s with %llu rows that the manifest does not know", t->name,
					 (unsigned long long)t->rows);
	}
	return 0;
}

/* ---- integrity, in a thread beside the scan ---- */

struct integrity {
	const char *path;
	int result;
	struct trib_err err;
};

static int open_proof(const char *path, sqlite3 **ret, struct trib_err *err)
{
	if (sqlite3_open_v2(path, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK)
		return trib_db_fail(err, *ret, "opening the restored file");
	trib_schema_stand_ins(*ret, NULL); /* the order in which it was made */
	/* Rows that break a CHECK were so in the application, too. */
	if (trib_db_exec(*ret, "PRAGMA ignore_check_constraints=ON", err) < 0)
		return -1;
	return trib_db_harden(*ret, err);
}

static int prove_integrity(const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int r;

	if (open_proof(path, &db, err) < 0 || trib_db_prepare(db, "PRAGMA integrity_check(1)", &st, err) < 0)
		return -1;
	r = trib_db_step(db, st, err);
	if (r < 0)
		return -1;
	const char *text = r ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (!text || strcmp(text, "ok") != 0)
		return trib_fail(err, TRIB_E_VERIFY, "integrity_check of the restored file: %s", text ? text : "no answer");
	return 0;
}

static void *integrity_main(void *arg)
{
	struct integrity *i = arg;

	i->result = prove_integrity(i->path, &i->err);
	return NULL;
}

/* ---- schema ---- */

static bool same_columns(const struct trib_st_table *a, const struct trib_st_table *b)
{
	bool same = a->ncols == b->ncols && strcmp(a->name, b->name) == 0;

	for (size_t i = 0; same && i < a->ncols; i++)
		same = strcmp(a->cols[i].name, b->cols[i].name) == 0 && a->cols[i].pk == b->cols[i].pk;
	return same;
}

/* Every wanted `table` line of `a` stands in `b` too. */
static int prove_tables(const struct trib_material *m, const struct trib_schematext *a, const struct trib_schematext *b, struct trib_err *err)
{
	for (size_t i = 0; i < a->ntables; i++) {
		const struct trib_st_table *t;

		if (a->tables[i].bag || !trib_material_wants(m, a->tables[i].name))
			continue;
		t = trib_schematext_find(b, trib_span_str(a->tables[i].name));
		if (!t || !same_columns(&a->tables[i], t))
			return trib_fail(err, TRIB_E_VERIFY, "the columns of table %s in the restored file are not those of schema.sql", a->tables[i].name);
	}
	return 0;
}

/* The lines of a half name tables and columns that the statements make, in their order and with their key. */
static int prove_lines(const struct trib_material *m, const struct trib_schematext *lines, struct trib_err *err)
{
	for (size_t i = 0; i < lines->ntables; i++) {
		const struct trib_st_table *line = &lines->tables[i];
		const struct trib_table *t = trib_whole_table(m->whole, line->name);
		size_t found = 0;

		for (size_t c = 0; t && c < t->ncols && found < line->ncols; c++)
			found += strcmp(t->cols[c].name, line->cols[found].name) == 0 && (line->bag || t->cols[c].pk == line->cols[found].pk);
		if (!t || found < line->ncols)
			return trib_fail(err, TRIB_E_VERIFY, "the columns of table %s in the restored file are not those of schema.sql", line->name);
	}
	return 0;
}

static int prove_schema(const struct trib_material *m, sqlite3 *db, struct trib_err *err)
{
	TRIB_AUTO(trib_schema) struct trib_schema have = {0};
	const struct trib_schematext *a = m->schema, *b = &have.text, *whole = &m->whole->schema.text;

	if (trib_schema_read(db, &have, err) < 0)
		return -1;
	if (strcmp(a->encoding, b->encoding) != 0 || a->page_size != b->page_size || a->auto_vacuum != b->auto_vacuum ||
	    a->user_version != b->user_version || a->application_id != b->application_id)
		return trib_fail(err, TRIB_E_VERIFY, "the restored file has another encoding, page size, auto_vacuum, user_version or application_id than schema.sql says");
	if (prove_lines(m, a, err) < 0 || (m->other && prove_lines(m, m->other->schema, err) < 0) || prove_tables(m, whole, b, err) < 0 ||
	    prove_tables(m, b, whole, err) < 0)
		return -1;
	if (!m->table && !trib_span_eq(m->whole->run, b->sql))
		return trib_fail(err, TRIB_E_VERIFY, "the statements of the restored file are not those of schema.sql");
	return 0;
}

static int prove_content(const struct trib_material *m, const char *path, struct trib_lanes *ret_lanes, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	struct trib_scan_half half[TRIB_HALVES_MAX] = {{.lines = m->schema, .salt = m->salt}};
	size_t n = 1;
	int r;

	if (m->other) {
		half[1] = (struct trib_scan_half){.lines = m->other->schema, .salt = m->other->salt};
		n = 2;
	}
	if (open_proof(path, &db, err) < 0 || prove_schema(m, db, err) < 0 || trib_scan_halves(db, m->app, half, n, err) < 0)
		return -1;
	r = prove_rows(m, db, &half[0].lanes, err);
	if (r == 0 && m->other) {
		struct trib_material other = *m->other;

		other.table = m->table;
		other.whole = m->whole;
		r = prove_rows(&other, db, &half[1].lanes, err);
		r = r < 0 ? trib_ctx(err, "the private half") : 0;
	}
	trib_lanes_release(&half[1].lanes);
	if (r < 0) {
		trib_lanes_release(&half[0].lanes);
		return -1;
	}
	*ret_lanes = half[0].lanes;
	return 0;
}

int trib_material_prove(const struct trib_material *m, const char *path, struct trib_lanes *ret_lanes, struct trib_err *err)
{
	struct integrity i = {.path = path};
	struct trib_lanes lanes = {0};
	pthread_t thread;
	int r;

	bool threaded = pthread_create(&thread, NULL, integrity_main, &i) == 0;
	r = prove_content(m, path, &lanes, err);
	if (threaded)
		(void)pthread_join(thread, NULL);
	else
		(void)integrity_main(&i);
	if (r == 0 && i.result < 0) {
		*err = i.err;
		r = -1;
	}
	if (r < 0) {
		trib_lanes_release(&lanes);
		return trib_ctx(err, "proving the restored file");
	}
	*ret_lanes = lanes;
	return 0;
}
