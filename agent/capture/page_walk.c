#include "agent/capture/page_walk.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static int bad(struct trib_err *err, uint32_t pgno, const char *what) { return trib_fail(err, TRIB_E_SCHEMA, "page %u: %s", pgno, what); }

void trib_pglist_release(struct trib_pglist *l)
{
	free(l->p);
	*l = (struct trib_pglist){0};
}

static int add(struct trib_pglist *l, uint32_t pgno, struct trib_err *err)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		uint32_t *p = reallocarray(l->p, cap, sizeof(*p));
		if (!p)
			return oom(err);
		l->p = p;
		l->cap = cap;
	}
	l->p[l->n++] = pgno;
	return 0;
}

/* ---- files ---- */

static int read_at(struct trib_pagefile *f, uint32_t pgno, uint32_t n, uint8_t *ret, struct trib_err *err)
{
	if (f->f->pMethods->xRead(f->f, ret, (int)n, (sqlite3_int64)(pgno - 1) * f->g.page_size))
		return trib_fail(err, TRIB_E_IO, "page %u cannot be read", pgno);
	return 0;
}

int trib_pagefile_read(struct trib_pagefile *f, uint32_t pgno, uint8_t *ret, struct trib_err *err)
{
	return read_at(f, pgno, f->g.page_size, ret, err);
}

static int open_side(struct trib_pagefile *f, sqlite3 *db, uint32_t page_size, uint32_t page_count, struct trib_err *err)
{
	uint8_t head[100];
	f->g = (struct trib_geometry){.page_size = page_size, .page_count = page_count};
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f->f) || !f->f || !f->f->pMethods)
		return trib_fail(err, TRIB_E_DB, "SQLite does not give the file of a state");
	if (read_at(f, 1, sizeof(head), head, err) || trib_geometry_parse(trib_span(head, sizeof(head)), page_count, &f->g, err))
		return -1;
	if (f->g.page_size != page_size)
		return bad(err, 1, "another page size than the file's");
	f->steps = 4 * (uint64_t)page_count;
	f->owner = calloc((size_t)page_count + 1, sizeof(*f->owner));
	f->stack = malloc((size_t)(TRIB_DEPTH_MAX + 1) * page_size);
	if (!f->owner || !f->stack)
		return oom(err);
	for (uint32_t i = 2; f->g.auto_vacuum && i <= page_count; i++)
		if (trib_page_is_map(&f->g, i))
			f->owner[i] = TRIB_OWNER_OTHER;
	uint32_t lock = trib_page_lock(&f->g);
	if (lock <= page_count)
		f->owner[lock] = TRIB_OWNER_OTHER;
	return 0;
}

static void close_side(struct trib_pagefile *f)
{
	free(f->owner);
	free(f->bound);
	free(f->stack);
	*f = (struct trib_pagefile){0};
}

void trib_pages_release(struct trib_pages *p)
{
	close_side(&p->side[TRIB_OLD]);
	close_side(&p->side[TRIB_NEW]);
	trib_pglist_release(&p->with_cells);
	free(p->flags);
	*p = (struct trib_pages){0};
}

int trib_pages_open(sqlite3 *old_db, sqlite3 *new_db, const struct trib_delta *d, struct trib_pages *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_pages) struct trib_pages p = {0};
	if (open_side(&p.side[TRIB_OLD], old_db, d->base_page_size, d->base_page_count, err) ||
	    open_side(&p.side[TRIB_NEW], new_db, d->page_size, d->page_count, err))
		return -1;
	const struct trib_geometry *a = &p.side[TRIB_OLD].g, *b = &p.side[TRIB_NEW].g;
	p.cells_max = TRIB_CELLS_MAX;
	p.comparable = a->page_size == b->page_size && a->usable == b->usable && a->encoding == b->encoding;
	p.nflags = (a->page_count > b->page_count ? a->page_count : b->page_count) + 1;
	if (!(p.flags = calloc(p.nflags, 1)))
		return oom(err);
	for (uint32_t i = 0; i < d->nchanged; i++)
		if (d->pgno[i] < p.nflags)
			p.flags[d->pgno[i]] = TRIB_PAGE_CHANGED;
	if (!p.comparable)
		memset(p.flags, TRIB_PAGE_CHANGED, p.nflags);
	*ret = p;
	p = (struct trib_pages){0};
	return 0;
}

/* ---- trees ---- */

struct walk {
	struct trib_pages *p;
	struct trib_pagefile *f;
	bool is_new;
	uint32_t owner;
	struct trib_pglist *list;
	uint32_t leaves; /* depth of the leaves */
	bool table;
};

struct frame {
	struct trib_page page;
	uint32_t next; /* child to enter */
	struct trib_bound bound; /* of the rowids below, from `next` on */
};

static int claim(struct walk *w, uint32_t pgno, struct trib_err *err)
{
	if (pgno < 1 || pgno > w->f->g.page_count)
		return bad(err, pgno, "outside the file");
	if (w->f->owner[pgno] != TRIB_OWNER_NONE)
		return bad(err, pgno, "belongs to two trees");
	w->f->owner[pgno] = w->owner;
	return 0;
}

static int list(struct walk *w, uint32_t pgno, struct trib_err *err)
{
	if (w->list && add(w->list, pgno, err))
		return -1;
	return w->is_new && w->p->comparable && w->p->flags[pgno] & TRIB_PAGE_CHANGED ? add(&w->p->with_cells, pgno, err) : 0;
}

/* Whoever compares a table's leaves sees what they are; an index's leaves have no other reader than this. */
static int check_leaf(struct walk *w, uint32_t pgno, struct trib_err *err)
{
	uint8_t kind;
	if (w->table || !w->is_new || !(w->p->flags[pgno] & TRIB_PAGE_CHANGED))
		return 0;
	if (read_at(w->f, pgno, 1, &kind, err))
		return -1;
	return kind == 10 ? 0 : bad(err, pgno, "not what its place in the tree asks for");
}

/* Pages of a walk live one a level. */
static int enter(struct walk *w, struct frame *stack, uint32_t depth, uint32_t pgno, struct trib_err *err)
{
	uint8_t *at = w->f->stack + (size_t)depth * w->f->g.page_size;
	if (depth > TRIB_DEPTH_MAX)
		return bad(err, pgno, "a tree too deep");
	if (trib_pagefile_read(w->f, pgno, at, err) ||
	    trib_page_open(trib_span(at, w->f->g.page_size), pgno, &w->f->g, &stack[depth].page, err))
		return -1;
	stack[depth].next = 0;
	stack[depth].bound = TRIB_BOUND_ANY;
	return 0;
}

static int keep_bound(struct walk *w, uint32_t pgno, struct trib_bound b, struct trib_err *err)
{
	if (!w->table || !w->list)
		return 0;
	if (!w->f->bound && !(w->f->bound = calloc((size_t)w->f->g.page_count + 1, sizeof(*w->f->bound))))
		return oom(err);
	w->f->bound[pgno] = b;
	return 0;
}

/* How deep the leaves are: SQLite keeps all at one depth, so that the others need not be read to know that they are leaves. */
static int find_depth(struct walk *w, uint32_t root, struct trib_err *err)
{
	struct frame stack[TRIB_DEPTH_MAX + 1];
	struct trib_cell c;
	uint32_t pgno = root;
	for (w->leaves = 0;; w->leaves++) {
		if (enter(w, stack, w->leaves, pgno, err))
			return -1;
		const struct trib_page *page = &stack[w->leaves].page;
		if (!w->leaves)
			w->table = page->table;
		if (page->table != w->table)
			return bad(err, pgno, "of another kind than its tree");
		if (page->leaf)
			return 0;
		if (page->ncells && trib_page_cell(page, 0, &c, err))
			return -1;
		pgno = page->ncells ? c.child : page->right;
	}
}

/* Rows of a rowid tree lie between the keys beside them, at every level: a page in a wrong place shows by that. */
static int next_child(struct walk *w, struct frame *f, uint32_t *ret, struct trib_bound *ret_bound, struct trib_err *err)
{
	struct trib_cell c = {.child = f->page.right};
	bool last = f->next == f->page.ncells;
	if (!last && trib_page_cell(&f->page, f->next, &c, err))
		return -1;
	*ret_bound = f->bound;
	if (w->table && !last) {
		if (c.rowid < f->bound.least || c.rowid >= f->bound.most)
			return bad(err, f->page.pgno, "keys out of order");
		ret_bound->most = c.rowid;
		f->bound.least = c.rowid + 1;
	}
	f->next++;
	*ret = c.child;
	return claim(w, c.child, err);
}

static int walk_down(struct walk *w, struct frame *stack, uint32_t root, struct trib_err *err)
{
	uint32_t depth = 0, child = 0;
	struct trib_bound b;
	if (enter(w, stack, 0, root, err) || (!w->table && list(w, root, err)))
		return -1;
	for (;;) {
		struct frame *f = &stack[depth];
		if (f->next > f->page.ncells) {
			if (depth-- == 0)
				return 0;
			continue;
		}
		if (next_child(w, f, &child, &b, err))
			return -1;
		bool leaf = depth + 1 == w->leaves;
		if ((leaf || !w->table) && list(w, child, err))
			return -1;
		if (leaf) {
			if (keep_bound(w, child, b, err) || check_leaf(w, child, err))
				return -1;
			continue;
		}
		if (enter(w, stack, ++depth, child, err))
			return -1;
		stack[depth].bound = b;
		if (stack[depth].page.leaf || stack[depth].page.table != w->table)
			return bad(err, child, "not what its place in the tree asks for");
	}
}

int trib_pages_walk(struct trib_pages *p, enum trib_side side, uint32_t root, uint32_t owner, struct trib_pglist *ret_list, struct trib_err *err)
{
	struct frame stack[TRIB_DEPTH_MAX + 1];
	struct walk w = {.p = p, .f = &p->side[side], .is_new = side == TRIB_NEW, .owner = owner, .list = ret_list};
	if (claim(&w, root, err) || find_depth(&w, root, err))
		return -1;
	return w.leaves ? walk_down(&w, stack, root, err) : list(&w, root, err);
}

/* ---- chains ---- */

/* One step along a chain: reads the number of the next page. */
static int step(struct trib_pagefile *f, uint32_t pgno, uint32_t *ret_next, struct trib_err *err)
{
	uint8_t head[4];
	if (pgno < 2 || pgno > f->g.page_count)
		return bad(err, pgno, "an overflow page outside the file");
	if (f->steps-- == 0)
		return trib_fail(err, TRIB_E_LIMIT, "overflow chains longer than the file");
	if (read_at(f, pgno, sizeof(head), head, err))
		return -1;
	*ret_next = trib_be32(head);
	return 0;
}

int trib_pages_chain_same(struct trib_pages *p, const struct trib_cell *c, bool *ret, struct trib_err *err)
{
	struct trib_pagefile *f = &p->side[TRIB_NEW];
	uint32_t n = trib_cell_chain(&f->g, c), pgno = c->overflow;
	bool same = p->comparable;
	for (uint32_t i = 0; i < n && same; i++) {
		uint32_t at = pgno;
		if (step(f, at, &pgno, err))
			return -1;
		same = at <= p->side[TRIB_OLD].g.page_count && !(p->flags[at] & TRIB_PAGE_CHANGED);
	}
	*ret = same;
	return 0;
}

int trib_pagefile_payload(struct trib_pagefile *f, const struct trib_cell *c, struct trib_buf *buf, struct trib_span *ret, struct trib_err *err)
{
	if (!c->overflow) {
		*ret = c->local;
		return 0;
	}
	if (c->payload > buf->max)
		return trib_fail(err, TRIB_E_LIMIT, "a row of %u bytes", c->payload);
	uint8_t *page = f->stack;
	uint32_t pgno = c->overflow, rest = c->payload - (uint32_t)c->local.n;
	trib_buf_reset(buf);
	trib_buf_put_span(buf, c->local);
	while (rest) {
		uint32_t n = rest < f->g.usable - 4 ? rest : f->g.usable - 4;
		if (pgno < 2 || pgno > f->g.page_count)
			return bad(err, pgno, "an overflow page outside the file");
		if (f->steps-- == 0)
			return trib_fail(err, TRIB_E_LIMIT, "overflow chains longer than the file");
		if (read_at(f, pgno, n + 4, page, err))
			return -1;
		trib_buf_put(buf, page + 4, n);
		if (trib_buf_check(buf, "row", err))
			return -1;
		pgno = trib_be32(page);
		rest -= n;
	}
	*ret = trib_buf_span(buf);
	return 0;
}

/* ---- pages without an owner ---- */

struct orphans {
	struct trib_pages *p;
	struct trib_pagefile *f;
	uint8_t *page;
	uint32_t left;
};

static uint32_t count_orphans(const struct trib_pages *p)
{
	const struct trib_pagefile *f = &p->side[TRIB_NEW];
	uint32_t n = 0;
	for (uint32_t i = 1; i <= f->g.page_count; i++)
		n += p->flags[i] & TRIB_PAGE_CHANGED && f->owner[i] == TRIB_OWNER_NONE;
	return n;
}

static int take(struct orphans *o, uint32_t pgno, uint32_t owner, bool *ret_orphan, struct trib_err *err)
{
	if (pgno < 2 || pgno > o->f->g.page_count || o->f->owner[pgno] != TRIB_OWNER_NONE)
		return bad(err, pgno, "belongs to two chains or lists");
	o->f->owner[pgno] = owner;
	*ret_orphan = o->p->flags[pgno] & TRIB_PAGE_CHANGED;
	o->left -= *ret_orphan;
	return 0;
}

static int take_freelist(struct orphans *o, struct trib_err *err)
{
	bool orphan;
	for (uint32_t trunk = o->f->g.freelist; trunk;) {
		struct trib_span leaves;
		if (take(o, trunk, TRIB_OWNER_OTHER, &orphan, err) || trib_pagefile_read(o->f, trunk, o->page, err) ||
		    trib_page_trunk(trib_span(o->page, o->f->g.page_size), &o->f->g, &trunk, &leaves, err))
			return -1;
		for (size_t i = 0; i < leaves.n; i += 4)
			if (take(o, trib_be32(leaves.p + i), TRIB_OWNER_OTHER, &orphan, err))
				return -1;
	}
	return 0;
}

/* Follows the chains of all cells of a page; *ret_touched: one has an orphan in it. */
static int take_chains(struct orphans *o, uint32_t pgno, bool *ret_touched, struct trib_err *err)
{
	struct trib_page page;
	*ret_touched = false;
	if (trib_pagefile_read(o->f, pgno, o->page, err) ||
	    trib_page_open(trib_span(o->page, o->f->g.page_size), pgno, &o->f->g, &page, err))
		return -1;
	if (page.table && !page.leaf)
		return bad(err, pgno, "not what its place in the tree asks for");
	for (uint32_t i = 0; i < page.ncells && o->left; i++) {
		struct trib_cell c;
		if (trib_page_cell(&page, i, &c, err))
			return -1;
		uint32_t n = trib_cell_chain(&o->f->g, &c), at = c.overflow;
		for (uint32_t k = 0; k < n; k++) {
			bool orphan = false;
			if (take(o, at, TRIB_OWNER_CHAIN, &orphan, err) || step(o->f, at, &at, err))
				return -1;
			*ret_touched = *ret_touched || orphan;
		}
	}
	return 0;
}

static int explain(struct orphans *o, const struct trib_pglist *const *lists, size_t nlists, struct trib_err *err)
{
	const struct trib_pglist *cells = &o->p->with_cells;
	bool touched;
	if (take_freelist(o, err))
		return -1;
	for (size_t i = 0; i < cells->n && o->left; i++)
		if (take_chains(o, cells->p[i], &touched, err))
			return -1;
	for (size_t l = 0; l < nlists; l++)
		for (size_t i = 0; i < lists[l]->n && o->left; i++) {
			uint32_t pgno = lists[l]->p[i];
			if (o->p->flags[pgno] & TRIB_PAGE_CHANGED)
				continue;
			if (take_chains(o, pgno, &touched, err))
				return -1;
			if (touched)
				o->p->flags[pgno] |= TRIB_PAGE_UNSKIP;
		}
	return 0;
}

int trib_pages_explain(struct trib_pages *p, const struct trib_pglist *const *lists, size_t nlists, struct trib_err *err)
{
	struct orphans o = {.p = p, .f = &p->side[TRIB_NEW], .left = p->comparable ? count_orphans(p) : 0};
	if (!o.left)
		return 0;
	TRIB_AUTO(trib_mem) uint8_t *page = o.page = malloc(o.f->g.page_size);
	int rc = page ? explain(&o, lists, nlists, err) : oom(err);
	p->unexplained = o.left;
	return rc;
}
