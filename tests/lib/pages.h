/* pages.h: two states of a database as bytes, opened and looked at without a file, a baseline or a snapshot. For tests of the page engine's parts. */
#ifndef TRIB_TEST_PAGES_H
#define TRIB_TEST_PAGES_H

#include "agent/capture/page_match.h"
#include "agent/capture/vfs.h"

#define STATES_PAIRS 8

struct states {
	struct trib_buf bytes[2]; /* TRIB_OLD, TRIB_NEW */
	sqlite3 *db[2];
	struct trib_schema schema[2];
	struct trib_delta d;
	struct trib_pages p;
	struct trib_pair pairs[STATES_PAIRS];
	size_t npairs;
};

TRIB_UNUSED static void states_close(struct states *t)
{
	for (size_t i = 0; i < t->npairs; i++) {
		trib_layout_release(&t->pairs[i].layout);
		trib_pglist_release(&t->pairs[i].pages[TRIB_OLD]);
		trib_pglist_release(&t->pairs[i].pages[TRIB_NEW]);
	}
	trib_pages_release(&t->p);
	for (int i = 0; i < 2; i++) {
		trib_schema_release(&t->schema[i]);
		sqlite3_close(t->db[i]);
		trib_buf_release(&t->bytes[i]);
	}
	free(t->d.pgno);
	*t = (struct states){0};
}

static inline void states_cleanup(struct states *t) { states_close(t); }

/* Page size and count from the header and the length: what a snapshot finds. */
static inline int states_shape(struct trib_span file, uint32_t *ret_size, uint32_t *ret_count, struct trib_err *err)
{
	uint32_t size = file.n < TRIB_PAGE_MIN ? 0 : trib_be16(file.p + 16);
	size = size == 1 ? TRIB_PAGE_MAX : size;
	if (size < TRIB_PAGE_MIN || size & (size - 1) || file.n % size)
		return trib_fail(err, TRIB_E_SCHEMA, "not a file of pages");
	*ret_size = size;
	*ret_count = (uint32_t)(file.n / size);
	return 0;
}

static inline int states_delta(struct trib_span old, struct trib_span new, struct trib_delta *ret, struct trib_err *err)
{
	struct trib_delta d = {.fd = -1};
	if (states_shape(old, &d.base_page_size, &d.base_page_count, err) || states_shape(new, &d.page_size, &d.page_count, err))
		return -1;
	if (!(d.pgno = calloc(d.page_count, sizeof(*d.pgno))))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	for (uint32_t i = 1; i <= d.page_count; i++) {
		size_t at = (size_t)(i - 1) * d.page_size;
		if (d.page_size != d.base_page_size || i > d.base_page_count || !trib_same_page(i, old.p + at, new.p + at, d.page_size))
			d.pgno[d.nchanged++] = i;
	}
	*ret = d;
	return 0;
}

static inline int states_db(struct trib_buf *b, sqlite3 **ret, struct trib_err *err)
{
	if (sqlite3_open_v2(":memory:", ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL))
		return trib_fail(err, TRIB_E_DB, "opening");
	uint32_t size = 0, count = 0;
	if (states_shape(trib_buf_span(b), &size, &count, err))
		return -1;
	b->p[18] = b->p[19] = 1; /* as the overlay shows it: no WAL, and as long as it is */
	trib_put_be32(b->p + 28, count);
	memcpy(b->p + 92, b->p + 24, 4);
	if (sqlite3_deserialize(*ret, "main", b->p, (sqlite3_int64)b->len, (sqlite3_int64)b->len, SQLITE_DESERIALIZE_READONLY))
		return trib_fail(err, TRIB_E_DB, "deserializing");
	return trib_db_harden(*ret, err);
}

/* Both states, their schemas and which pages differ. */
TRIB_UNUSED static int states_open(struct trib_span old, struct trib_span new, struct states *ret, struct trib_err *err)
{
	__attribute__((cleanup(states_cleanup))) struct states t = {.bytes = {TRIB_BUF(64 * TRIB_MIB), TRIB_BUF(64 * TRIB_MIB)}};
	trib_buf_put_span(&t.bytes[TRIB_OLD], old);
	trib_buf_put_span(&t.bytes[TRIB_NEW], new);
	if (states_delta(old, new, &t.d, err))
		return -1;
	for (int i = 0; i < 2; i++)
		if (trib_buf_check(&t.bytes[i], "a file", err) || states_db(&t.bytes[i], &t.db[i], err) || trib_schema_read(t.db[i], &t.schema[i], err))
			return -1;
	*ret = t;
	t = (struct states){0};
	return 0;
}

static inline int states_walk(struct states *t, enum trib_side side, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (side == TRIB_NEW && trib_pages_walk(&t->p, side, 1, TRIB_OWNER_OTHER, NULL, err))
		return -1;
	if (trib_db_prepare(t->db[side], "SELECT lower(name), rootpage FROM main.sqlite_schema WHERE rootpage > 0", &st, err))
		return -1;
	while ((row = trib_db_step(t->db[side], st, err)) == 1) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		int64_t root = sqlite3_column_int64(st, 1);
		size_t i = 0;
		while (i < t->npairs && (!name || strcmp(t->pairs[i].new->folded, name) != 0))
			i++;
		if (root > UINT32_MAX)
			return trib_fail(err, TRIB_E_SCHEMA, "outside the file");
		if (i == t->npairs && side == TRIB_OLD)
			continue;
		if (trib_pages_walk(&t->p, side, (uint32_t)root, i < t->npairs ? TRIB_OWNER_TABLE + (uint32_t)i : TRIB_OWNER_OTHER,
				    i < t->npairs ? &t->pairs[i].pages[side] : NULL, err))
			return -1;
	}
	return row;
}

/* What the engine does before it compares rows: every table that both states have is a pair, every tree is walked, changed pages are explained. */
TRIB_UNUSED static int states_look(struct states *t, struct trib_err *err)
{
	const struct trib_pglist *lists[STATES_PAIRS];
	for (size_t i = 0; i < t->schema[TRIB_NEW].ntables && t->npairs < STATES_PAIRS; i++) {
		const struct trib_table *n = &t->schema[TRIB_NEW].tables[i], *o = trib_schema_find(&t->schema[TRIB_OLD], n->folded);
		if (!o)
			continue;
		struct trib_pair *p = &t->pairs[t->npairs];
		*p = (struct trib_pair){.old = o, .new = n};
		lists[t->npairs++] = &p->pages[TRIB_NEW];
		if (trib_layout_read(t->db[TRIB_NEW], &t->schema[TRIB_NEW], n, &p->layout, err))
			return -1;
	}
	if (trib_pages_open(t->db[TRIB_OLD], t->db[TRIB_NEW], &t->d, &t->p, err) || states_walk(t, TRIB_OLD, err) || states_walk(t, TRIB_NEW, err))
		return -1;
	return trib_pages_explain(&t->p, lists, t->npairs, err);
}

static inline int states_match_one(void *ctx, const struct trib_table *old_t, const struct trib_table *new_t, enum trib_rows_part part, struct trib_gather *g,
				   struct trib_err *err)
{
	struct states *t = ctx;
	for (size_t i = 0; i < t->npairs; i++)
		if (t->pairs[i].old == old_t && t->pairs[i].new == new_t)
			return trib_pair_match(&t->p, &t->pairs[i], part, g, err) ? -1 : 1;
	return 1;
}

/* Rows that differ, by pages alone: a refusal is an error here. */
TRIB_UNUSED static int states_match(struct states *t, uint64_t *ret_rows, struct trib_err *err)
{
	const struct trib_matcher m = {t, states_match_one};
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	if (trib_compare_states(t->db[TRIB_OLD], &t->schema[TRIB_OLD], t->db[TRIB_NEW], &t->schema[TRIB_NEW], &m, &c, err))
		return -1;
	*ret_rows = c.rows_found;
	return 0;
}

/* ---- damage ---- */

/* Makes of a leaf of a rowid table whose one cell overflows one with n such cells, rowids 1 to n (small ones), all with the same chain. */
TRIB_UNUSED static void leaf_share_chain(uint8_t *page, uint32_t page_size, uint32_t n)
{
	uint8_t cell[TRIB_PAGE_MAX];
	uint32_t at = trib_be16(page + 8), size = page_size - at, rowid = 0;
	memcpy(cell, page + at, size);
	while (cell[rowid] & 0x80) /* the payload's size comes first */
		rowid++;
	rowid++;
	page[3] = (uint8_t)(n >> 8);
	page[4] = (uint8_t)n;
	for (uint32_t i = 0; i < n; i++) {
		at = page_size - (i + 1) * size;
		cell[rowid] = (uint8_t)(i + 1);
		memcpy(page + at, cell, size);
		page[8 + 2 * i] = (uint8_t)(at >> 8);
		page[9 + 2 * i] = (uint8_t)at;
	}
	page[5] = (uint8_t)(at >> 8);
	page[6] = (uint8_t)at;
}

#endif
