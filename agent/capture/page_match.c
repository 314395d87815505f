#include "agent/capture/page_match.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

struct cursor { /* over the cells of one state's differing pages */
	struct trib_pages *p;
	struct trib_pagefile *f;
	const struct trib_pglist *list;
	size_t next;             /* page of the list to come */
	uint8_t *bytes;
	struct trib_page page;
	struct trib_bound bound; /* of its rowids */
	uint32_t i;              /* cell to come */
	struct trib_cell cell;   /* the current one */
	bool any;                /* there was one, with this rowid */
	int64_t rowid;
	struct trib_buf buf;     /* payload gathered from a chain */
};

static int cursor_open(struct cursor *c, struct trib_pages *p, enum trib_side side, const struct trib_pglist *list, struct trib_err *err)
{
	*c = (struct cursor){.p = p, .f = &p->side[side], .list = list, .buf = TRIB_BUF(2 * TRIB_ROW_MAX)};
	c->f->steps = 8 * (uint64_t)c->f->g.page_count;
	c->bytes = malloc(c->f->g.page_size);
	return c->bytes ? 0 : oom(err);
}

static void cursor_cleanup(struct cursor *c)
{
	free(c->bytes);
	trib_buf_release(&c->buf);
}

static int load(struct cursor *c, uint32_t pgno, struct trib_err *err)
{
	if (trib_pagefile_read(c->f, pgno, c->bytes, err))
		return -1;
	return trib_page_open(trib_span(c->bytes, c->f->g.page_size), pgno, &c->f->g, &c->page, err);
}

static int out_of_order(uint32_t pgno, struct trib_err *err) { return trib_fail(err, TRIB_E_SCHEMA, "page %u: rows out of order", pgno); }

/* A page that did not change, in a place that did: do its rows belong there? The first and the last tell. */
static int check_place(struct cursor *c, uint32_t pgno, struct trib_err *err)
{
	struct trib_bound was = trib_pagefile_bound(&c->p->side[TRIB_OLD], pgno), is = trib_pagefile_bound(c->f, pgno);
	struct trib_cell first, last;
	if (was.least == is.least && was.most == is.most)
		return 0;
	if (load(c, pgno, err))
		return -1;
	c->i = c->page.ncells;
	if (!c->page.ncells)
		return 0;
	if (trib_page_cell(&c->page, 0, &first, err) || trib_page_cell(&c->page, c->page.ncells - 1, &last, err))
		return -1;
	return first.rowid < is.least || last.rowid > is.most ? out_of_order(pgno, err) : 0;
}

static int skip_same(struct cursor *c, bool table, struct trib_err *err)
{
	for (; c->next < c->list->n && trib_pages_same(c->p, c->list->p[c->next]); c->next++)
		if (table && check_place(c, c->list->p[c->next], err))
			return -1;
	return 0;
}

/* 1 a cell, 0 the end, -1. */
static int cursor_next(struct cursor *c, bool table, struct trib_err *err)
{
	while (c->i >= c->page.ncells) {
		if (skip_same(c, table, err))
			return -1;
		if (c->next == c->list->n)
			return 0;
		if (load(c, c->list->p[c->next++], err))
			return -1;
		c->i = 0;
		c->bound = trib_pagefile_bound(c->f, c->page.pgno);
		if (c->page.table != table || (table && !c->page.leaf))
			return trib_fail(err, TRIB_E_SCHEMA, "page %u: of another kind than its tree", c->page.pgno);
	}
	if (trib_page_cell(&c->page, c->i++, &c->cell, err))
		return -1;
	if (table && ((c->any && c->cell.rowid <= c->rowid) || c->cell.rowid < c->bound.least || c->cell.rowid > c->bound.most))
		return out_of_order(c->page.pgno, err);
	c->any = true;
	c->rowid = c->cell.rowid;
	return 1;
}

static int cursor_payload(struct cursor *c, struct trib_span *ret, struct trib_err *err)
{
	return trib_pagefile_payload(c->f, &c->cell, &c->buf, ret, err);
}

struct match {
	struct trib_pages *p;
	struct trib_pair *pair;
	enum trib_rows_part part;
	struct trib_gather *g;
	struct cursor a, b;
	struct trib_row_fit fit;
	struct trib_value *v;
};

static bool key_has_null(const struct trib_table *t, const struct trib_value *v)
{
	for (size_t i = 0; i < t->ncols; i++)
		if (t->cols[i].pk && v[i].type == TRIB_NULL)
			return true;
	return false;
}

/* A row is of the part, or another pass's. */
static bool is_mine(struct match *m)
{
	const struct trib_table *t = m->pair->new;
	bool bag = !t->keyed || (!t->rowid_key && key_has_null(t, m->v));
	m->pair->bag = m->pair->bag || bag;
	m->pair->keyed = m->pair->keyed || !bag;
	return bag == (m->part != TRIB_ROWS_KEYED);
}

static int put_payload(struct match *m, enum trib_side side, struct trib_span payload, int64_t rowid, struct trib_err *err)
{
	const char *why = NULL;
	bool twice = false;
	if (trib_layout_decode(&m->pair->layout, payload, rowid, m->v, err))
		return -1;
	if (!is_mine(m))
		return 0;
	if (trib_row_fit(&m->fit, m->v, m->pair->new->ncols, trib_row_room(m->part), &why, err))
		return -1;
	if (!why && trib_gather_put(m->g, side, m->v, &twice, err))
		return -1;
	if (why || twice) /* the full engine counts them */
		m->pair->refused = why ? "left-out" : "damaged";
	return 0;
}

static int put(struct match *m, enum trib_side side, struct trib_err *err)
{
	struct cursor *c = side == TRIB_OLD ? &m->a : &m->b;
	struct trib_span payload;
	if (cursor_payload(c, &payload, err))
		return -1;
	return put_payload(m, side, payload, c->cell.rowid, err);
}

/* Both current cells hold the same record. The number of the overflow page is no content: auto_vacuum moves chains. */
static int same_cell(struct match *m, bool *ret, struct trib_err *err)
{
	const struct trib_cell *a = &m->a.cell, *b = &m->b.cell;
	struct trib_span x, y;
	*ret = false;
	if (a->payload != b->payload || (a->local.n == b->local.n && !trib_span_eq(a->local, b->local)))
		return 0;
	if (!a->overflow && !b->overflow) {
		*ret = trib_span_eq(a->local, b->local);
		return 0;
	}
	if (a->local.n == b->local.n && a->overflow == b->overflow && trib_pages_chain_same(m->p, b, ret, err))
		return -1;
	if (*ret)
		return 0;
	if (cursor_payload(&m->a, &x, err) || cursor_payload(&m->b, &y, err))
		return -1;
	*ret = trib_span_eq(x, y);
	return 0;
}

/* Rowid trees are in the order of the rowid in both states. */
static int match_rowids(struct match *m, struct trib_err *err)
{
	int has_a = cursor_next(&m->a, true, err), has_b = has_a < 0 ? -1 : cursor_next(&m->b, true, err);
	while ((has_a > 0 || has_b > 0) && !m->pair->refused) {
		if (has_a < 0 || has_b < 0)
			return -1;
		int64_t x = m->a.cell.rowid, y = m->b.cell.rowid;
		int c = !has_a ? 1 : !has_b ? -1 : (x > y) - (x < y);
		bool same = false;
		if (c == 0 && same_cell(m, &same, err))
			return -1;
		if (!same && ((c <= 0 && put(m, TRIB_OLD, err)) || (c >= 0 && put(m, TRIB_NEW, err))))
			return -1;
		if (c <= 0)
			has_a = cursor_next(&m->a, true, err);
		if (c >= 0 && has_a >= 0)
			has_b = cursor_next(&m->b, true, err);
	}
	return has_a < 0 || has_b < 0 ? -1 : 0;
}

/* ---- WITHOUT ROWID: trees are in the order of a collation, so cells are matched by content ---- */

struct seen { /* a cell of the old state */
	uint32_t hash, pgno; /* pgno 0: no more */
	uint32_t cell;
	uint32_t next;       /* with the same place, 1-based */
};

struct bag {
	struct seen *cells;
	uint32_t n, cap;
	uint32_t *heads, mask; /* 1-based */
};

static void bag_cleanup(struct bag *b)
{
	free(b->cells);
	free(b->heads);
}

static uint32_t hash_of(struct trib_span s)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ s.n;
	for (; s.n >= 8; s.p += 8, s.n -= 8) {
		uint64_t w;
		memcpy(&w, s.p, sizeof(w));
		h = (h ^ w) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * 0x100000001b3u;
	h ^= h >> 29;
	h *= 0xc4ceb9fe1a85ec53u;
	return (uint32_t)(h >> 32);
}

static int bag_add(struct bag *b, uint32_t hash, const struct cursor *c, struct trib_err *err)
{
	if (b->n == c->p->cells_max)
		return trib_fail(err, TRIB_E_LIMIT, "more than %u cells differ", c->p->cells_max);
	if (b->n == b->cap) {
		uint32_t cap = b->cap ? 2 * b->cap : 1024;
		struct seen *grown = reallocarray(b->cells, cap, sizeof(*grown));
		if (!grown)
			return oom(err);
		b->cells = grown;
		b->cap = cap;
	}
	b->cells[b->n++] = (struct seen){hash, c->page.pgno, c->i - 1, 0};
	return 0;
}

static int bag_index(struct bag *b, struct trib_err *err)
{
	uint32_t size = 1;
	while (size < b->n)
		size *= 2;
	b->mask = size - 1;
	if (!(b->heads = calloc(size, sizeof(*b->heads))))
		return oom(err);
	for (uint32_t i = b->n; i-- > 0;) { /* earlier ones first */
		uint32_t *head = &b->heads[b->cells[i].hash & b->mask];
		b->cells[i].next = *head;
		*head = i + 1;
	}
	return 0;
}

/* The old cell, again: m->a's page is the last one that was asked for. */
static int old_cell(struct match *m, const struct seen *s, struct trib_err *err)
{
	if (m->a.page.pgno != s->pgno && load(&m->a, s->pgno, err))
		return -1;
	return trib_page_cell(&m->a.page, s->cell, &m->a.cell, err);
}

static int take_equal(struct match *m, struct bag *b, uint32_t hash, bool *ret_found, struct trib_err *err)
{
	*ret_found = false;
	uint32_t *link = &b->heads[hash & b->mask];
	for (uint32_t at = *link; at && !*ret_found; at = *link) {
		struct seen *s = &b->cells[at - 1];
		if (s->hash == hash && (old_cell(m, s, err) || same_cell(m, ret_found, err)))
			return -1;
		if (*ret_found) {
			s->pgno = 0;
			*link = s->next;
		} else {
			link = &s->next;
		}
	}
	return 0;
}

static int match_cells(struct match *m, struct trib_err *err)
{
	TRIB_AUTO(bag) struct bag bag = {0};
	struct trib_span payload;
	int row;
	while ((row = cursor_next(&m->a, false, err)) == 1)
		if (cursor_payload(&m->a, &payload, err) || bag_add(&bag, hash_of(payload), &m->a, err))
			return -1;
	if (row < 0 || bag_index(&bag, err))
		return -1;
	while (!m->pair->refused && (row = cursor_next(&m->b, false, err)) == 1) {
		bool found;
		if (cursor_payload(&m->b, &payload, err) || take_equal(m, &bag, hash_of(payload), &found, err) || (!found && put(m, TRIB_NEW, err)))
			return -1;
	}
	for (uint32_t i = 0; row >= 0 && i < bag.n && !m->pair->refused; i++)
		if (bag.cells[i].pgno && (old_cell(m, &bag.cells[i], err) || put(m, TRIB_OLD, err)))
			return -1;
	return row < 0 ? -1 : 0;
}

int trib_pair_match(struct trib_pages *p, struct trib_pair *pair, enum trib_rows_part part, struct trib_gather *g, struct trib_err *err)
{
	struct match m = {.p = p, .pair = pair, .part = part, .g = g};
	if (pair->looked && !(part == TRIB_ROWS_KEYED ? pair->keyed : pair->bag))
		return 0;
	TRIB_AUTO(trib_mem) struct trib_value *v = m.v = calloc(pair->new->ncols + 1, sizeof(*m.v));
	if (!v)
		return oom(err);
	trib_row_fit_init(&m.fit, pair->layout.s->text.encoding);
	int rc = cursor_open(&m.a, p, TRIB_OLD, &pair->pages[TRIB_OLD], err) || cursor_open(&m.b, p, TRIB_NEW, &pair->pages[TRIB_NEW], err) ? -1 : 0;
	if (!rc)
		rc = pair->new->without_rowid ? match_cells(&m, err) : match_rowids(&m, err);
	cursor_cleanup(&m.a);
	cursor_cleanup(&m.b);
	trib_row_fit_release(&m.fit);
	pair->looked = pair->looked || (!rc && !pair->refused);
	return rc;
}
