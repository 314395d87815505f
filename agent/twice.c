/* twice.c: a capture whose schema changed writes dropped cells to NULL under the old schema (F4), and then says what else became of the same rows under the
 * new one. For people such a row is one change. */
#include "agent/commands.h"

/* The changes of one kind in some parts of a group: they rise by table and key, from part to part. */
struct walk {
	const struct agent_parts *parts;
	size_t next, end;
	enum trib_op op;
	struct trib_buf bytes;
	struct trib_cs_reader *r;
	struct trib_change ch;
	bool there;
};

static void walk_cleanup(struct walk *w)
{
	trib_cs_reader_free(w->r);
	trib_buf_release(&w->bytes);
}

static int open_part(struct walk *w, struct trib_err *err)
{
	struct trib_span bytes;
	trib_cs_reader_free(w->r);
	w->r = NULL;
	if (w->parts->changeset(w->parts->ctx, w->next++, &w->bytes, &bytes, err))
		return -1;
	if (bytes.n && !(w->r = trib_cs_reader_new(bytes)))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return 0;
}

static int step(struct walk *w, struct trib_err *err)
{
	for (;;) {
		int row = w->r ? trib_cs_next(w->r, &w->ch, err) : 0;
		if (row < 0)
			return -1;
		w->there = row > 0;
		if (w->there && w->ch.op == w->op)
			return 0;
		if (w->there)
			continue;
		if (w->next == w->end)
			return 0;
		if (open_part(w, err))
			return -1;
	}
}

static int order(const struct walk *a, const struct walk *b)
{
	int c = trib_fold_cmp(a->ch.table->name, b->ch.table->name);
	return c ? c : trib_span_cmp(a->ch.key, b->ch.key);
}

static void take_one(struct trib_manifest *m, struct trib_span table)
{
	for (size_t i = 0; i < m->ntables; i++)
		if (trib_fold_cmp(trib_span_str(m->tables[i].name), table) == 0 && m->tables[i].updated)
			m->tables[i].updated--;
}

/* Rows that the first parts update, and the others touch by `op`. */
static int both(const struct agent_parts *p, enum trib_op op, struct trib_manifest *m, struct trib_err *err)
{
	__attribute__((cleanup(walk_cleanup))) struct walk a = {.parts = p, .end = p->split, .op = TRIB_UPDATE, .bytes = TRIB_BUF(TRIB_CHANGESET_RAW_MAX)};
	__attribute__((cleanup(walk_cleanup))) struct walk b = {.parts = p, .next = p->split, .end = p->n, .op = op, .bytes = TRIB_BUF(TRIB_CHANGESET_RAW_MAX)};
	if (step(&a, err) || step(&b, err))
		return -1;
	while (a.there && b.there) {
		int c = order(&a, &b);
		if (c == 0)
			take_one(m, a.ch.table->name);
		if ((c <= 0 && step(&a, err)) || (c >= 0 && step(&b, err)))
			return -1;
	}
	return 0;
}

int agent_counts_once(struct agent_counts *sum, const struct agent_parts *p, struct trib_err *err)
{
	if (p->split == p->n)
		return 0;
	return both(p, TRIB_UPDATE, &sum->m, err) || both(p, TRIB_DELETE, &sum->m, err) ? -1 : 0;
}

static int capture_bytes(const void *ctx, size_t i, struct trib_buf *keep, struct trib_span *ret, struct trib_err *err)
{
	const struct trib_capture *c = ctx;
	(void)keep;
	(void)err;
	*ret = trib_buf_span(&c->parts[i].changeset);
	return 0;
}

int agent_counts_once_of(struct agent_counts *sum, const struct trib_capture *c, struct trib_err *err)
{
	struct agent_parts parts = {.n = c->nparts, .ctx = c, .changeset = capture_bytes};
	while (parts.split < parts.n && trib_span_eq(trib_buf_span(&c->parts[parts.split].schema), trib_buf_span(&c->parts[0].schema)))
		parts.split++;
	return agent_counts_once(sum, &parts, err);
}
