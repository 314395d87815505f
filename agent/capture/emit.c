#include "agent/capture/emit.h"

#include "core/format/gzip.h"

struct writer {
	struct trib_emit *e;
	const struct trib_emit_table *t;
	bool header;                    /* of this table, in the part being filled */
	struct trib_value *old, *new;   /* ncol each */
};

static int new_part(struct trib_emit *e, struct trib_err *err)
{
	struct trib_capture *c = e->ret;
	if (c->nparts >= TRIB_PARTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "the capture needs more than %d parts", TRIB_PARTS_MAX);
	struct trib_part *p = reallocarray(c->parts, c->nparts + 1, sizeof(*p));
	if (!p)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	c->parts = p;
	e->cur = &p[c->nparts++];
	*e->cur = (struct trib_part){.schema = TRIB_BUF(TRIB_SCHEMA_MAX), .changeset = TRIB_BUF(TRIB_CHANGESET_RAW_MAX), .before = e->before};
	e->gz = e->gz_at = 0;
	trib_buf_put_span(&e->cur->schema, e->schema);
	return trib_buf_check(&e->cur->schema, "schema.sql", err);
}

int trib_emit_empty(struct trib_emit *e, struct trib_err *err) { return new_part(e, err); }

#define GZ_STEP (8 * TRIB_MIB)

/* Compresses what came since the last look, to guess the whole. */
static int guess_gz(struct trib_emit *e, struct trib_err *err)
{
	if (e->cur->changeset.len - e->gz_at < GZ_STEP)
		return 0;
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX);
	if (trib_gzip(trib_span(e->cur->changeset.p + e->gz_at, e->cur->changeset.len - e->gz_at), &gz, err))
		return -1;
	e->gz += gz.len;
	e->gz_at = e->cur->changeset.len;
	return 0;
}

/* Before each change: a part to write to, and the table's header in it. */
static int ready(struct writer *w, struct trib_err *err)
{
	struct trib_emit *e = w->e;
	if (e->cur && guess_gz(e, err))
		return -1;
	if (!e->cur || e->cur->changeset.len >= TRIB_PART_RAW_TARGET || e->gz >= TRIB_PART_GZ_TARGET) {
		if (new_part(e, err))
			return -1;
		w->header = false;
	}
	if (!w->header)
		trib_cs_put_table(&e->cur->changeset, w->t->name, w->t->ncol, w->t->pk);
	w->header = true;
	return 0;
}

static int decode(struct trib_span row, bool partial, struct trib_value *v, size_t n, struct trib_err *err)
{
	struct trib_reader r = trib_reader(row);
	for (size_t i = 0; i < n; i++)
		if (trib_value_take(&r, partial, &v[i], err))
			return trib_ctx(err, "temporary space");
	return r.rest.n ? trib_fail(err, TRIB_E_DB, "temporary space gave back another row") : 0;
}

/* A row that is whole on its only side stands in the changeset as it stands in the store. */
static int copy_row(struct writer *w, const struct trib_hit *h, enum trib_op op, bool bag, struct trib_err *err)
{
	struct trib_value count = {.type = TRIB_INT, .i = op == TRIB_DELETE ? h->was : h->is};
	if (ready(w, err))
		return -1;
	struct trib_buf *b = &w->e->cur->changeset;
	trib_cs_put_encoded(b, op, op == TRIB_DELETE ? h->old : h->new);
	if (bag)
		trib_value_put(b, &count);
	return trib_buf_check(b, "changeset", err);
}

static int write_update(struct writer *w, const struct trib_hit *h, bool bag, struct trib_err *err)
{
	const struct trib_emit_table *t = w->t;
	size_t n = bag ? t->ncol - 1 : t->ncol;
	if (decode(h->old, t->partial, w->old, n, err) || decode(h->new, t->partial, w->new, n, err) || ready(w, err))
		return -1;
	if (bag) {
		w->old[n] = (struct trib_value){.type = TRIB_INT, .i = h->was};
		w->new[n] = (struct trib_value){.type = TRIB_INT, .i = h->is};
	}
	struct trib_buf *b = &w->e->cur->changeset;
	if (!trib_cs_put_update(b, t->ncol, t->pk, w->old, w->new))
		return trib_fail(err, TRIB_E_DB, "an update that changes nothing");
	return trib_buf_check(b, "changeset", err);
}

static int write_row(struct writer *w, const struct trib_hit *h, enum trib_op op, bool bag, struct trib_err *err)
{
	if (op == TRIB_UPDATE ? write_update(w, h, bag, err) : copy_row(w, h, op, bag, err))
		return -1;
	w->e->ret->rows_found++;
	return 0;
}

static int write_all(struct writer *w, struct trib_store *s, enum trib_pass pass, bool bag, struct trib_err *err)
{
	static const enum trib_op ops[] = {[TRIB_PASS_DELETES] = TRIB_DELETE, [TRIB_PASS_UPDATES] = TRIB_UPDATE, [TRIB_PASS_INSERTS] = TRIB_INSERT};
	struct trib_hit h;
	int row;
	trib_store_begin(s, bag, pass);
	while ((row = trib_store_next(s, &h, err)) == 1)
		if (write_row(w, &h, ops[pass], bag, err))
			return -1;
	return row;
}

int trib_emit_store(struct trib_emit *e, struct trib_store *s, const struct trib_emit_table *t, bool bag, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) struct trib_value *old = calloc(t->ncol, sizeof(*old)), *new_row = NULL;
	struct writer w = {.e = e, .t = t, .old = old, .new = new_row = calloc(t->ncol, sizeof(*new_row))};
	if (!old || !new_row)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (write_all(&w, s, TRIB_PASS_DELETES, bag, err) || write_all(&w, s, TRIB_PASS_UPDATES, bag, err))
		return -1;
	return write_all(&w, s, TRIB_PASS_INSERTS, bag, err);
}
