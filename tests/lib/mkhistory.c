#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/mkhistory.h"

#include "core/format/gzip.h"
#include "core/store/schema.h"
#include "core/trust/hash.h"

static void ok(int r, const struct trib_err *err)
{
	if (r < 0)
		fail_msg("%s", err->msg);
}

static sqlite3 *memory(void)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	return db;
}

static void run(sqlite3 *db, const char *sql)
{
	struct trib_err err;

	ok(trib_db_exec(db, sql, &err), &err);
}

/* ---- keys and certificates ---- */

static void make_city(struct mk *mk)
{
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = MK_NODE "/" MK_APP, .subject = "Xima", .use = TRIB_USE_SIGN,
				      .not_before = MK_TIME - 86400, .not_after = MK_TIME + 86400 * 365};
	struct trib_err err;

	ok(trib_key_make(TRIB_KEY_P256, &mk->root_key, &err), &err);
	ok(trib_key_make(TRIB_KEY_P256, &mk->issuing_key, &err), &err);
	ok(trib_cert_make_root(mk->root_key, MK_CITY, MK_TIME - 86400, &mk->root, &err), &err);
	ok(trib_cert_make_root(mk->root_key, "Elsewhere", MK_TIME - 86400, &mk->foreign_root, &err), &err);
	ok(trib_cert_make_issuing(mk->issuing_key, MK_CITY, mk->root_key, mk->root, MK_TIME - 86400, &mk->issuing, &err), &err);
	ok(trib_cert_issue(&spec, NULL, mk->key, mk->issuing_key, mk->issuing, &mk->cert, &err), &err);
	ok(trib_cert_issue(&spec, NULL, mk->other_key, mk->issuing_key, mk->issuing, &mk->other_cert, &err), &err);
}

static void make_self(struct mk *mk)
{
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = MK_NODE "/" MK_APP, .subject = "Xima", .use = TRIB_USE_SIGN,
				      .not_before = MK_TIME - 86400, .not_after = MK_TIME + 86400 * 365};
	struct trib_err err;

	ok(trib_cert_make_self(&spec, mk->key, &mk->cert, &err), &err);
	ok(trib_cert_make_self(&spec, mk->other_key, &mk->other_cert, &err), &err);
}

void mk_init(struct mk *mk, bool enrolled, const char *setup)
{
	TRIB_AUTO(trib_mem) char *path = NULL;
	struct trib_err err;

	*mk = (struct mk){.enrolled = enrolled, .incarnation = enrolled ? 1 : 0, .time = MK_TIME};
	snprintf(mk->dir, sizeof(mk->dir), "/tmp/trib-mk-XXXXXX");
	assert_non_null(mkdtemp(mk->dir));
	path = trib_path(mk->dir, "h.git");
	ok(trib_repo_lib_init(&err), &err);
	ok(trib_repo_create(path, &mk->repo, &err), &err);
	mk->app = memory();
	mk->state = memory();
	if (setup)
		run(mk->app, setup);
	run(mk->state, "CREATE TABLE state(tbl TEXT, key BLOB, row BLOB, PRIMARY KEY(tbl, key)) WITHOUT ROWID;"
		       "CREATE TABLE now(tbl TEXT, key BLOB, row BLOB, PRIMARY KEY(tbl, key)) WITHOUT ROWID;");
	ok(trib_random(mk->salt, sizeof(mk->salt), &err), &err);
	ok(trib_key_make(TRIB_KEY_P256, &mk->key, &err), &err);
	ok(trib_key_make(TRIB_KEY_P256, &mk->other_key, &err), &err);
	if (enrolled)
		make_city(mk);
	else
		make_self(mk);
	mk->trust = (struct trib_trust){.city = enrolled ? MK_CITY : "-", .node = MK_NODE, .app = MK_APP, .self_signed = !enrolled,
					.root = mk->root, .at = MK_TIME + 100, .incarnation = UINT64_MAX};
}

void mk_free(struct mk *mk)
{
	struct trib_err err;

	trib_tip_release(&mk->tip);
	trib_repo_free(mk->repo);
	sqlite3_close(mk->app);
	sqlite3_close(mk->state);
	sqlite3_close(mk->kept_app);
	sqlite3_close(mk->kept_state);
	trib_key_free(mk->key);
	trib_key_free(mk->other_key);
	trib_key_free(mk->root_key);
	trib_key_free(mk->issuing_key);
	trib_cert_free(mk->root);
	trib_cert_free(mk->foreign_root);
	trib_cert_free(mk->issuing);
	trib_cert_free(mk->cert);
	trib_cert_free(mk->other_cert);
	ok(trib_fs_remove_tree(mk->dir, &err), &err);
}

static void copy_db(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");

	assert_non_null(b);
	assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
	assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
}

void mk_keep(struct mk *mk)
{
	sqlite3_close(mk->kept_app);
	sqlite3_close(mk->kept_state);
	mk->kept_app = memory();
	mk->kept_state = memory();
	copy_db(mk->app, mk->kept_app);
	copy_db(mk->state, mk->kept_state);
}

void mk_back(struct mk *mk)
{
	copy_db(mk->kept_app, mk->app);
	copy_db(mk->kept_state, mk->state);
}

/* ---- the difference ---- */

static int store_row(void *ctx, const char *tbl, const char *name, const struct trib_digest_cols *cols, const struct trib_value *row,
		     struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(TRIB_MIB * 80), bytes = TRIB_BUF(TRIB_MIB * 80);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct mk *mk = ctx;

	(void)name;
	if (!row)
		return 0;
	ok(trib_db_prepare(mk->state, "INSERT INTO now VALUES(?1, ?2, ?3)", &st, err), err);
	sqlite3_bind_text(st, 1, tbl, -1, SQLITE_STATIC);
	trib_key_put(&key, cols->ncol, cols->pk, row);
	for (size_t i = 0; i < cols->ncol; i++)
		trib_value_put(&bytes, &row[i]);
	sqlite3_bind_blob(st, 2, key.p, (int)key.len, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, bytes.p, (int)bytes.len, SQLITE_STATIC);
	ok(trib_db_step(mk->state, st, err), err);
	return 0;
}

static void take_row(struct trib_value *row, size_t ncol, sqlite3_stmt *st, int col)
{
	struct trib_reader r = trib_reader(trib_span(sqlite3_column_blob(st, col), (size_t)sqlite3_column_bytes(st, col)));
	struct trib_err err;

	for (size_t i = 0; i < ncol; i++)
		ok(trib_value_take(&r, false, &row[i], &err), &err);
}

/* One table's changes in F3's order; counts go to *line. */
static void put_changes(struct mk *mk, const char *tbl, struct trib_span name, size_t ncol, const uint8_t *pk, struct trib_buf *raw,
			struct trib_mf_table *line)
{
	static const char *const sql[3] = {
		"SELECT row, NULL FROM state s WHERE tbl=?1 AND NOT EXISTS(SELECT 1 FROM now n WHERE n.tbl=s.tbl AND n.key=s.key) ORDER BY key",
		"SELECT s.row, n.row FROM state s JOIN now n USING(tbl, key) WHERE tbl=?1 AND s.row<>n.row ORDER BY key",
		"SELECT NULL, row FROM now n WHERE tbl=?1 AND NOT EXISTS(SELECT 1 FROM state s WHERE n.tbl=s.tbl AND n.key=s.key) ORDER BY key",
	};
	struct trib_value *old = calloc(ncol, sizeof(*old)), *new = calloc(ncol, sizeof(*new));
	struct trib_err err;
	bool header = false;

	for (int i = 0; i < 3; i++) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		int r;

		ok(trib_db_prepare(mk->state, sql[i], &st, &err), &err);
		sqlite3_bind_text(st, 1, tbl, -1, SQLITE_STATIC);
		while ((r = trib_db_step(mk->state, st, &err)) == 1) {
			if (!header)
				trib_cs_put_table(raw, name, ncol, pk);
			header = true;
			if (i < 2)
				take_row(old, ncol, st, 0);
			if (i > 0)
				take_row(new, ncol, st, 1);
			if (i == 0)
				trib_cs_put_delete(raw, ncol, old), line->deleted++;
			else if (i == 1)
				assert_true(trib_cs_put_update(raw, ncol, pk, old, new)), line->updated++;
			else
				trib_cs_put_insert(raw, ncol, new), line->inserted++;
		}
		ok(r, &err);
	}
	free(old);
	free(new);
}

static void add_bag_lines(struct mk *mk, const struct trib_schema *schema, struct trib_schematext *text)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_err err;

	ok(trib_db_prepare(mk->state, "SELECT DISTINCT substr(tbl, 12) FROM (SELECT tbl FROM state UNION SELECT tbl FROM now)"
				      " WHERE substr(tbl, 1, 11)='sqlite_bag_' ORDER BY 1", &st, &err), &err);
	while (trib_db_step(mk->state, st, &err) == 1) {
		const struct trib_table *t = trib_schema_find(schema, (const char *)sqlite3_column_text(st, 0));
		struct trib_st_table *line;

		if (!t)
			continue;
		line = trib_schematext_add(text, t->name, true);
		assert_non_null(line);
		for (size_t i = 0; i < t->ncols; i++)
			ok(trib_schematext_add_column(line, t->cols[i].name, 0, &err), &err);
	}
	trib_schematext_sort(text);
}

static int by_name(const void *a, const void *b)
{
	const struct trib_st_table *const *x = a, *const *y = b;
	char p[300], q[300];

	snprintf(p, sizeof(p), "%s%s", (*x)->bag ? TRIB_BAG_PREFIX : "", (*x)->name);
	snprintf(q, sizeof(q), "%s%s", (*y)->bag ? TRIB_BAG_PREFIX : "", (*y)->name);
	return trib_fold_cmp(trib_span_str(p), trib_span_str(q));
}

/* Fills changeset and table lines from the difference of state and now; digests come from the scan. */
static void put_tables(struct mk *mk, struct mk_draft *d, const struct trib_schematext *text, const struct trib_lanes *lanes)
{
	const struct trib_st_table *sorted[64];
	struct trib_err err;

	assert_true(text->ntables <= TRIB_COUNT(sorted));
	for (size_t i = 0; i < text->ntables; i++)
		sorted[i] = &text->tables[i];
	if (text->ntables)
		qsort(sorted, text->ntables, sizeof(sorted[0]), by_name);
	for (size_t i = 0; i < text->ntables; i++) {
		const struct trib_st_table *t = sorted[i];
		char spelled[300], tbl[300];
		size_t ncol = t->ncols + (t->bag ? 1 : 0);
		uint8_t pk[64] = {0};
		const struct trib_lanes_table empty = {0}, *l;
		struct trib_mf_table line = {0};

		snprintf(spelled, sizeof(spelled), "%s%s", t->bag ? TRIB_BAG_PREFIX : "", t->name);
		snprintf(tbl, sizeof(tbl), "%s", spelled);
		trib_fold((uint8_t *)tbl, strlen(tbl));
		for (size_t c = 0; c < t->ncols; c++)
			pk[c] = t->bag ? 1 : (uint8_t)t->cols[c].pk;
		put_changes(mk, tbl, trib_span_str(spelled), ncol, pk, &d->raw, &line);
		l = trib_lanes_find(lanes, tbl);
		l = l ? l : &empty;
		line.name = tbl;
		line.rows = l->rows;
		trib_digest_table(l, line.digest);
		ok(trib_manifest_add_table(&d->m, &line, &err), &err);
	}
}

static void put_sequences(struct mk *mk, struct mk_draft *d)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_err err;
	int64_t has = 0;

	ok(trib_db_int(mk->app, "SELECT count(*) FROM sqlite_schema WHERE name='sqlite_sequence'", 0, &has, &err), &err);
	if (!has)
		return;
	ok(trib_db_prepare(mk->app, "SELECT lower(name), seq FROM sqlite_sequence ORDER BY 1", &st, &err), &err);
	while (trib_db_step(mk->app, st, &err) == 1)
		ok(trib_manifest_add_sequence(&d->m, (const char *)sqlite3_column_text(st, 0), (uint64_t)sqlite3_column_int64(st, 1), &err), &err);
}

static void fill_head(struct mk *mk, struct mk_draft *d, enum trib_kind kind, uint64_t part, uint64_t parts)
{
	struct trib_manifest *m = &d->m;

	snprintf(m->city, sizeof(m->city), "%s", mk->trust.city);
	snprintf(m->node, sizeof(m->node), MK_NODE);
	snprintf(m->app, sizeof(m->app), MK_APP);
	m->incarnation = mk->incarnation;
	m->seq = mk->tip.seq + 1;
	memcpy(m->prev, mk->tip.manifest_sha256, TRIB_SHA256_LEN);
	m->kind = kind;
	m->part = part;
	m->parts = parts;
	m->captured_at = mk->time++;
	trib_sha256(m->checkpoint_root, trib_span("", 0));
	if (kind == TRIB_KIND_ADOPT) {
		m->has_adopts = true;
		memset(m->adopts, 0xad, sizeof(m->adopts));
	}
}

static void put_signer(struct mk *mk, const struct trib_cert *cert, struct trib_buf *pem)
{
	struct trib_err err;

	trib_buf_init(pem, TRIB_SIGNER_MAX);
	ok(trib_cert_pem(cert, pem, &err), &err);
	if (mk->issuing)
		ok(trib_cert_pem(mk->issuing, pem, &err), &err);
}

void mk_draft(struct mk *mk, const char *sql, enum trib_kind kind, uint64_t part, uint64_t parts, struct mk_draft *ret)
{
	TRIB_AUTO(trib_schema) struct trib_schema schema = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes lanes = {0};
	struct mk_draft d = {.schema = TRIB_BUF(TRIB_SCHEMA_MAX), .raw = TRIB_BUF(TRIB_CHANGESET_RAW_MAX), .gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX),
			     .next = TRIB_BUF(TRIB_SIGNER_MAX), .signed_manifest = TRIB_BUF(TRIB_MANIFEST_MAX), .key = mk->key, .cert = mk->cert};
	struct trib_err err;

	run(mk->app, sql);
	run(mk->state, "BEGIN; DELETE FROM now");
	if (kind == TRIB_KIND_RESET && part == 1)
		run(mk->state, "DELETE FROM state");
	ok(trib_scan_each(mk->app, store_row, mk, &err), &err);
	ok(trib_schema_read(mk->app, &schema, &err), &err);
	add_bag_lines(mk, &schema, &schema.text);
	trib_schematext_put(&d.schema, &schema.text);
	memcpy(d.salt, mk->salt, sizeof(d.salt));
	ok(trib_scan_database(mk->app, mk->salt, MK_APP, &lanes, &err), &err);
	fill_head(mk, &d, kind, part, parts);
	put_tables(mk, &d, &schema.text, &lanes);
	put_sequences(mk, &d);
	trib_digest_overall(&lanes, MK_APP, d.m.digest);
	run(mk->state, "DELETE FROM state; INSERT INTO state SELECT * FROM now; COMMIT");
	put_signer(mk, mk->cert, &d.signer);
	if (kind == TRIB_KIND_ROTATE)
		put_signer(mk, mk->other_cert, &d.next);
	if (d.raw.len)
		ok(trib_gzip(trib_buf_span(&d.raw), &d.gz, &err), &err);
	d.m.raw_len = d.raw.len;
	d.m.gz_len = d.gz.len;
	*ret = d;
}

void mk_draft_release(struct mk_draft *d)
{
	trib_manifest_release(&d->m);
	trib_buf_release(&d->schema);
	trib_buf_release(&d->raw);
	trib_buf_release(&d->gz);
	trib_buf_release(&d->signer);
	trib_buf_release(&d->next);
	trib_buf_release(&d->signed_manifest);
}

/* ---- sealing ---- */

static int blob_order(const void *a, const void *b)
{
	return strcmp(((const struct trib_blob_in *)a)->name, ((const struct trib_blob_in *)b)->name);
}

static size_t list_blobs(const struct mk_draft *d, struct trib_blob_in ret[8])
{
	const struct trib_blob_in all[] = {
		{"changeset.gz", trib_buf_span(&d->gz)}, {"next.pem", trib_buf_span(&d->next)}, {"salt", trib_span(d->salt, sizeof(d->salt))},
		{"schema.sql", trib_buf_span(&d->schema)}, {"signer.pem", trib_buf_span(&d->signer)},
		{d->extra_file ? d->extra_file : "", trib_span_str("extra\n")},
	};
	size_t n = 0;

	for (size_t i = 0; i < TRIB_COUNT(all); i++) {
		bool optional = i < 2 && all[i].bytes.n == 0;

		if (!optional && all[i].name[0] && (!d->missing_file || strcmp(all[i].name, d->missing_file) != 0))
			ret[n++] = all[i];
	}
	qsort(ret, n, sizeof(ret[0]), blob_order);
	return n;
}

void mk_rehash(struct mk_draft *d)
{
	struct trib_blob_in blobs[8];
	size_t n = list_blobs(d, blobs);
	struct trib_err err;

	d->m.nblobs = 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t hash[TRIB_SHA256_LEN];

		if (d->extra_file && strcmp(blobs[i].name, d->extra_file) == 0 && !d->extra_named)
			continue;
		trib_sha256(hash, blobs[i].bytes);
		ok(trib_manifest_add_blob(&d->m, blobs[i].name, hash, &err), &err);
	}
}

static void write_tree(struct mk *mk, const struct mk_draft *d, struct trib_span manifest, uint8_t tree[TRIB_OID_LEN])
{
	struct trib_blob_in blobs[8];
	size_t n = list_blobs(d, blobs);
	struct trib_err err;

	for (size_t i = 0; i < n; i++)
		if (d->changed_file && strcmp(blobs[i].name, d->changed_file) == 0)
			blobs[i].bytes = trib_span_str("other bytes than were signed, 32");
	blobs[n++] = (struct trib_blob_in){"manifest", manifest};
	qsort(blobs, n, sizeof(blobs[0]), blob_order);
	ok(trib_repo_write_tree(mk->repo, blobs, n, tree, &err), &err);
}

/* Replaces the one occurrence of `from` in the object by `to`, of equal length. */
static void patch(struct trib_buf *raw, const void *from, const void *to, size_t n)
{
	uint8_t *at = memmem(raw->p, raw->len, from, n);

	assert_non_null(at);
	memcpy(at, to, n);
}

static void sign(const struct mk_draft *d, const struct trib_buf *payload, struct trib_buf *raw)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_err err;

	if (d->unsigned_commit) {
		trib_buf_put_span(raw, trib_buf_span(payload));
		return;
	}
	ok(trib_sign(trib_buf_span(payload), d->key, d->cert, MK_TIME, &pem, &err), &err);
	trib_commitraw_sign(raw, trib_buf_span(payload), trib_buf_span(&pem));
}

/* After the signature: tree and trailer of another manifest take the place of the signed ones. */
static void forge(const uint8_t tree[2][TRIB_OID_LEN], const uint8_t hash[2][TRIB_SHA256_LEN], struct trib_buf *raw)
{
	char from[TRIB_SHA256_HEX + 1], to[TRIB_SHA256_HEX + 1];

	trib_hex(from, hash[0], TRIB_SHA256_LEN);
	trib_hex(to, hash[1], TRIB_SHA256_LEN);
	patch(raw, from, to, TRIB_SHA256_HEX);
	trib_hex(from, tree[0], TRIB_OID_LEN);
	trib_hex(to, tree[1], TRIB_OID_LEN);
	patch(raw, from, to, TRIB_OID_HEX);
}

static void put_second_parent(struct trib_buf *b)
{
	static const char line[] = "parent 1111111111111111111111111111111111111111\n";
	uint8_t *author = memmem(b->p, b->len, "author ", 7);
	size_t at = author ? (size_t)(author - b->p) : 0;

	assert_non_null(author);
	assert_non_null(trib_buf_grow(b, sizeof(line) - 1));
	memmove(b->p + at + sizeof(line) - 1, b->p + at, b->len - at - (sizeof(line) - 1));
	memcpy(b->p + at, line, sizeof(line) - 1);
}

void mk_seal(struct mk *mk, struct mk_draft *d, uint8_t ret_oid[TRIB_OID_LEN])
{
	TRIB_AUTO(trib_buf) struct trib_buf manifest = TRIB_BUF(TRIB_MANIFEST_MAX), payload = TRIB_BUF(TRIB_COMMIT_MAX), raw = TRIB_BUF(TRIB_COMMIT_MAX);
	bool forged = d->signed_manifest.len > 0;
	uint8_t tree[2][TRIB_OID_LEN], hash[2][TRIB_SHA256_LEN], odd[TRIB_OID_LEN];
	const uint8_t *parent = mk->tip.exists && !d->no_parent ? mk->tip.oid : NULL;
	struct trib_err err;

	if (d->m.nblobs == 0)
		mk_rehash(d);
	trib_manifest_put(&manifest, &d->m);
	ok(trib_buf_check(&manifest, "manifest", &err), &err);
	for (int i = 0; i < 2; i++) {
		struct trib_span text = i == 0 && forged ? trib_buf_span(&d->signed_manifest) : trib_buf_span(&manifest);

		write_tree(mk, d, text, tree[i]);
		trib_sha256(hash[i], text);
	}
	if (d->manifest_behind)
		hash[0][0] ^= 1;
	if (d->odd_parent) {
		memset(odd, 0x22, sizeof(odd));
		parent = odd;
	}
	trib_commitraw_put(&payload, tree[0], parent, "Xima", d->email ? d->email : MK_NODE "/" MK_APP "@tributary",
			   d->commit_time ? d->commit_time : d->m.captured_at, "Xima: changes", "", hash[0]);
	if (d->second_parent)
		put_second_parent(&payload);
	sign(d, &payload, &raw);
	if (forged)
		forge(tree, hash, &raw);
	ok(trib_repo_write(mk->repo, TRIB_OBJ_COMMIT, trib_buf_span(&raw), ret_oid, &err), &err);
}

/* The same verdict, in the same words, with what was found out before the tip was known. */
static void judge_ahead(struct mk *mk, const uint8_t oid[TRIB_OID_LEN], const struct trib_tip *before, int said, const struct trib_err *why)
{
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	TRIB_AUTO(trib_fore) struct trib_fore *fore = NULL;
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	TRIB_AUTO(trib_buf) struct trib_buf own = TRIB_BUF(2 * TRIB_LANES_MAX), want = TRIB_BUF(2 * TRIB_LANES_MAX);
	struct trib_err err = {0};
	bool known = trib_judge_ahead(mk->repo, oid, &mk->trust, &fore, &err) == 0;

	if (said == 0 && !known)
		fail_msg("right, but not ahead: %s", err.msg);
	assert_int_equal(trib_tip_copy(before, &tip, &err), 0);
	err = (struct trib_err){0};
	assert_int_equal(trib_judge_fore(known ? NULL : mk->repo, oid, &mk->trust, fore, &tip, &j, &err), said);
	if (said < 0 && (err.code != why->code || strcmp(err.msg, why->msg) != 0))
		fail_msg("ahead: %s; alone: %s", err.msg, why->msg);
	trib_tip_put(&own, &tip);
	trib_tip_put(&want, said < 0 ? before : &mk->tip);
	assert_true(trib_span_eq(trib_buf_span(&own), trib_buf_span(&want)));
}

int mk_judge(struct mk *mk, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	TRIB_AUTO(trib_tip) struct trib_tip before = {0};

	ok(trib_tip_copy(&mk->tip, &before, err), err);
	int said = trib_judge(mk->repo, oid, &mk->trust, &mk->tip, &j, err);
	judge_ahead(mk, oid, &before, said, err);
	if (said < 0)
		return -1;
	return trib_repo_ref_set(mk->repo, "refs/heads/main", oid, err);
}

uint64_t mk_part(struct mk *mk, const char *sql, enum trib_kind kind, uint64_t part, uint64_t parts)
{
	struct mk_draft d;
	struct trib_err err;
	uint8_t oid[TRIB_OID_LEN];

	mk_draft(mk, sql, kind, part, parts, &d);
	mk_seal(mk, &d, oid);
	mk_draft_release(&d);
	ok(mk_judge(mk, oid, &err), &err);
	return mk->tip.seq;
}

uint64_t mk_commit(struct mk *mk, const char *sql)
{
	return mk_part(mk, sql, TRIB_KIND_CHANGE, 1, 1);
}

struct trib_history mk_history(struct mk *mk)
{
	return (struct trib_history){.repo = mk->repo, .ref = "refs/heads/main", .trust = mk->trust};
}
