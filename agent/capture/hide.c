#include "agent/capture/hide.h"

#include "agent/capture/emit.h"
#include "agent/capture/follow.h"
#include "agent/private.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static void parts_release(struct trib_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		trib_buf_release(&parts[i].schema);
		trib_buf_release(&parts[i].changeset);
	}
	free(parts);
}

void trib_hidden_release(struct trib_hidden *h)
{
	parts_release(h->parts, h->nparts);
	for (size_t i = 0; i < h->nsequences; i++)
		free(h->sequences[i].table);
	for (size_t i = 0; i < h->nleft_out; i++)
		free(h->left_out[i].name);
	free(h->sequences);
	free(h->left_out);
	trib_private_release(&h->followed);
	*h = (struct trib_hidden){0};
}

/* One state, whole and in its halves. */
struct side {
	const struct trib_schema *whole;
	struct trib_veil veil;
	struct trib_schema half[3]; /* by enum trib_half */
	struct trib_buf text, public_text, private_text;
};

static void side_release(struct side *s)
{
	trib_veil_release(&s->veil);
	for (size_t i = 0; i < TRIB_COUNT(s->half); i++)
		trib_schema_release(&s->half[i]);
	trib_buf_release(&s->text);
	trib_buf_release(&s->public_text);
	trib_buf_release(&s->private_text);
}

struct hide {
	struct trib_state *s;
	struct trib_capture *c;
	struct side old, new;
	struct trib_manifest last, last_private; /* of the commits before; empty when there is none */
	bool lost;                               /* the private half of the last commit is not there */
	/* Splitting: values of one change in the layout of a half. */
	struct trib_value a[TRIB_COLUMNS_MAX + 1], b[TRIB_COLUMNS_MAX + 1];
	uint8_t pk[TRIB_COLUMNS_MAX + 1];
};

static void hide_free(struct hide *h)
{
	side_release(&h->old);
	side_release(&h->new);
	trib_manifest_release(&h->last);
	trib_manifest_release(&h->last_private);
	free(h);
}
static void hide_cleanup(struct hide **h)
{
	if (*h)
		hide_free(*h);
}

static int put_text(struct trib_buf *b, const struct trib_schematext *t, struct trib_err *err)
{
	*b = TRIB_BUF(TRIB_SCHEMA_MAX);
	trib_schematext_put(b, t);
	return trib_buf_check(b, "schema.sql", err);
}

static int make_halves(struct side *s, struct trib_err *err)
{
	for (int half = 0; half < (int)TRIB_COUNT(s->half); half++)
		if (trib_veil_half(s->whole, &s->veil, (enum trib_half)half, &s->half[half], err))
			return -1;
	return put_text(&s->text, &s->whole->text, err) || put_text(&s->public_text, &s->half[TRIB_HALF_PUBLIC].text, err) ||
			       put_text(&s->private_text, &s->half[TRIB_HALF_PRIVATE].text, err) ? -1 : 0;
}

/* ---- what was, and what is ---- */

/* The lines of a commit's schema.sql, and its manifest. */
static int read_last(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], struct trib_buf *text, struct trib_schematext *lines, struct trib_manifest *m,
		     struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	if (trib_commit_read(repo, oid, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), m, err) ||
	    trib_commit_blob(repo, &c, "schema.sql", TRIB_SCHEMA_MAX, text, err))
		return -1;
	return trib_schematext_parse(trib_buf_span(text), lines, err);
}

static int veil_of_old(struct hide *h, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX), private_text = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_schematext) struct trib_schematext lines = {0}, private_lines = {0};
	struct trib_private_list none = {0};
	const struct trib_state *s = h->s;
	if (s->private_tip.exists && read_last(s->private_repo, s->private_tip.oid, &private_text, &private_lines, &h->last_private, err))
		return trib_ctx(err, "the last private commit");
	if (!s->tip.exists)
		return trib_veil_by_list(h->old.whole, &none, &h->old.veil, err);
	if (read_last(s->repo, s->tip.oid, &text, &lines, &h->last, err))
		return trib_ctx(err, "the last commit");
	return trib_veil_by_lines(h->old.whole, &lines, &h->old.veil, err);
}

/* Was anything ever private here? */
static bool ever(const struct trib_state *s)
{
	TRIB_AUTO(trib_mem) char *key = trib_state_path(s, "keys/private.key");
	return !key || trib_fs_exists(key);
}

/* *ret false: there is nothing private, now or before. */
static int look(struct hide *h, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list list = {0};
	*ret = false;
	h->old.whole = &h->c->old_schema;
	h->new.whole = &h->c->new_schema;
	if (trib_private_names(h->s, &list, err))
		return -1;
	if (!list.n && !h->s->private_tip.exists && !ever(h->s))
		return 0;
	if (veil_of_old(h, err) || trib_follow_private(h->old.whole, h->new.whole, &list, &h->c->hidden.followed, err) ||
	    trib_veil_by_list(h->new.whole, &list, &h->new.veil, err))
		return -1;
	*ret = h->old.veil.any || h->new.veil.any || h->s->private_tip.exists;
	h->lost = h->old.veil.any && !h->s->private_tip.exists;
	return *ret && (make_halves(&h->old, err) || make_halves(&h->new, err)) ? -1 : 0;
}

/* ---- splitting rows ---- */

struct writer { /* one half of one part */
	struct trib_buf *to;
	bool private, header;
};

static bool in_half(const struct trib_table *t, const struct trib_veil_table *v, size_t i, bool private)
{
	return private ? v->hidden[i] || t->cols[i].pk : !v->hidden[i];
}

static void put_change(struct writer *w, const struct trib_change *ch, size_t ncol, const uint8_t *pk, const struct trib_value *old,
		       const struct trib_value *new)
{
	bool differs = ch->op != TRIB_UPDATE;
	for (size_t i = 0; i < ncol && !differs; i++)
		differs = !pk[i] && !trib_value_eq(&old[i], &new[i]);
	if (!differs)
		return;
	if (!w->header)
		trib_cs_put_table(w->to, ch->table->name, ncol, pk);
	w->header = true;
	if (ch->op == TRIB_DELETE)
		trib_cs_put_delete(w->to, ncol, old);
	else if (ch->op == TRIB_INSERT)
		trib_cs_put_insert(w->to, ncol, new);
	else
		(void)trib_cs_put_update(w->to, ncol, pk, old, new);
}

static void put_projected(struct hide *h, struct writer *w, const struct trib_change *ch, const struct trib_table *t, const struct trib_veil_table *v)
{
	size_t n = 0;
	for (size_t i = 0; i < t->ncols; i++) {
		if (!in_half(t, v, i, w->private))
			continue;
		h->pk[n] = ch->table->pk[i];
		if (ch->op != TRIB_INSERT)
			h->a[n] = ch->old[i];
		if (ch->op != TRIB_DELETE)
			h->b[n] = ch->new[i];
		n++;
	}
	put_change(w, ch, n, h->pk, h->a, h->b);
}

static const struct trib_table *table_of(const struct side *s, struct trib_span name, struct trib_err *err)
{
	size_t skip = trib_is_bag(name) ? strlen(TRIB_BAG_PREFIX) : 0;
	TRIB_AUTO(trib_mem) char *folded = strndup((const char *)name.p + skip, name.n - skip);
	if (!folded) {
		(void)oom(err);
		return NULL;
	}
	trib_fold((uint8_t *)folded, strlen(folded));
	const struct trib_table *t = trib_schema_find(s->whole, folded);
	if (!t)
		(void)trib_fail(err, TRIB_E_SCHEMA, "a change of table %s, which is not there", folded);
	return t;
}

static int split_changes(struct hide *h, const struct side *s, struct trib_span changes, struct trib_buf *public, struct trib_buf *private, struct trib_err *err)
{
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(changes);
	struct writer out = {.to = public}, in = {.to = private, .private = true};
	const struct trib_table *t = NULL;
	const uint8_t *at = NULL;
	struct trib_change ch;
	int rc;
	if (!r)
		return oom(err);
	while ((rc = trib_cs_next(r, &ch, err)) == 1) {
		if (ch.table->name.p != at) { /* the next table's header */
			at = ch.table->name.p;
			out.header = in.header = false;
			if (!(t = table_of(s, ch.table->name, err)))
				return -1;
		}
		const struct trib_veil_table *v = &s->veil.tables[t - s->whole->tables];
		if (ch.table->ncol != t->ncols + ch.table->bag)
			return trib_fail(err, TRIB_E_SCHEMA, "a change of table %s has %zu columns", t->name, ch.table->ncol);
		if (!v->some || v->whole || ch.table->bag) {
			put_change(v->some ? &in : &out, &ch, ch.table->ncol, ch.table->pk, ch.old, ch.new);
			continue;
		}
		put_projected(h, &out, &ch, t, v);
		put_projected(h, &in, &ch, t, v);
	}
	return rc;
}

/* ---- lists of parts ---- */

struct list { struct trib_part *parts; size_t n; };
static void list_cleanup(struct list *l) { parts_release(l->parts, l->n); }

/* Takes the buffers over. */
static int add_part(struct list *l, struct trib_part *p, struct trib_err *err)
{
	struct trib_part *grown = reallocarray(l->parts, l->n + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	l->parts = grown;
	grown[l->n++] = *p;
	*p = (struct trib_part){0};
	return 0;
}

static int add_bytes(struct list *l, const struct trib_buf *schema, struct trib_buf *changes, struct trib_err *err)
{
	struct trib_part p = {.schema = TRIB_BUF(TRIB_SCHEMA_MAX), .changeset = *changes};
	*changes = (struct trib_buf){0};
	trib_buf_put_span(&p.schema, trib_buf_span(schema));
	int rc = trib_buf_check(&p.schema, "schema.sql", err) || add_part(l, &p, err) ? -1 : 0;
	trib_buf_release(&p.schema);
	trib_buf_release(&p.changeset);
	return rc;
}

static int split_part(struct hide *h, const struct trib_part *p, struct list *public, struct list *private, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_CHANGESET_RAW_MAX), in = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	const struct side *s = trib_span_eq(trib_buf_span(&p->schema), trib_buf_span(&h->new.text)) ? &h->new : &h->old;
	if (!p->changeset.len)
		return 0;
	if (split_changes(h, s, trib_buf_span(&p->changeset), &out, &in, err) || trib_buf_check(&out, "changeset", err) || trib_buf_check(&in, "changeset", err))
		return -1;
	if (out.len && add_bytes(public, &s->public_text, &out, err))
		return -1;
	return in.len ? add_bytes(private, &s->private_text, &in, err) : 0;
}

static int split_all(struct hide *h, struct list *public, struct list *private, struct trib_err *err)
{
	for (size_t i = 0; i < h->c->nparts; i++) {
		if (split_part(h, &h->c->parts[i], public, private, err))
			return -1;
		trib_buf_release(&h->c->parts[i].changeset); /* both halves are there now */
	}
	return 0;
}

/* ---- comparing halves ---- */

/* Adds those parts that stand under the given schema. */
static int move_parts(struct trib_capture *from, const struct trib_buf *schema, struct list *to, struct trib_err *err)
{
	for (size_t i = 0; i < from->nparts; i++)
		if (from->parts[i].changeset.len && trib_span_eq(trib_buf_span(&from->parts[i].schema), trib_buf_span(schema)) &&
		    add_part(to, &from->parts[i], err))
			return -1;
	return 0;
}

static int compare_half(struct hide *h, sqlite3 *old_db, sqlite3 *new_db, enum trib_half half, struct trib_capture *ret, struct trib_err *err)
{
	return trib_engine_full.compare(old_db, &h->old.half[half], new_db, &h->new.half[half], &h->c->delta, ret, err);
}

/* The private half that there is to compare with: none when it was lost. */
static int forget_private(struct hide *h, struct trib_err *err)
{
	struct trib_private_list none = {0};
	TRIB_AUTO(trib_veil) struct trib_veil v = {0};
	if (trib_veil_by_list(h->old.whole, &none, &v, err))
		return -1;
	for (int half = TRIB_HALF_PRIVATE; half <= TRIB_HALF_PRIVATE_BAG; half++) {
		trib_schema_release(&h->old.half[half]);
		if (trib_veil_half(h->old.whole, &v, (enum trib_half)half, &h->old.half[half], err))
			return -1;
	}
	trib_buf_release(&h->old.private_text);
	return put_text(&h->old.private_text, &h->old.half[TRIB_HALF_PRIVATE].text, err);
}

static int compare_public(struct hide *h, sqlite3 *old_db, sqlite3 *new_db, struct list *public, struct trib_err *err)
{
	TRIB_AUTO(trib_capture) struct trib_capture out = {.delta.fd = -1};
	return compare_half(h, old_db, new_db, TRIB_HALF_PUBLIC, &out, err) || move_parts(&out, &h->old.public_text, public, err) ||
			       move_parts(&out, &h->new.public_text, public, err) ? -1 : 0;
}

static int compare_private(struct hide *h, sqlite3 *old_db, sqlite3 *new_db, struct list *private, struct trib_err *err)
{
	TRIB_AUTO(trib_capture) struct trib_capture in = {.delta.fd = -1}, bags = {.delta.fd = -1};
	if ((h->lost && forget_private(h, err)) || compare_half(h, old_db, new_db, TRIB_HALF_PRIVATE, &in, err) ||
	    compare_half(h, old_db, new_db, TRIB_HALF_PRIVATE_BAG, &bags, err))
		return -1;
	const struct side *sides[] = {&h->old, &h->new};
	for (size_t i = 0; i < TRIB_COUNT(sides); i++)
		if (move_parts(&in, &sides[i]->private_text, private, err) || move_parts(&bags, &sides[i]->private_text, private, err))
			return -1;
	return 0;
}

static int compare_all(struct hide *h, sqlite3 *old_db, sqlite3 *new_db, struct list *public, struct list *private, struct trib_err *err)
{
	return compare_public(h, old_db, new_db, public, err) || compare_private(h, old_db, new_db, private, err) ? -1 : 0;
}

/* ---- the other lists ---- */

static bool is_whole(const struct hide *h, const char *name)
{
	for (size_t i = 0; i < h->new.whole->ntables; i++)
		if (trib_fold_cmp(trib_span_str(h->new.whole->tables[i].name), trib_span_str(name)) == 0)
			return h->new.veil.tables[i].whole;
	return false;
}

static int split_sequences(struct hide *h, struct trib_err *err)
{
	struct trib_capture *c = h->c;
	size_t n = 0;
	c->hidden.sequences = calloc(c->nsequences + 1, sizeof(*c->hidden.sequences));
	if (!c->hidden.sequences)
		return oom(err);
	for (size_t i = 0; i < c->nsequences; i++) {
		if (is_whole(h, c->sequences[i].table))
			c->hidden.sequences[c->hidden.nsequences++] = c->sequences[i];
		else
			c->sequences[n++] = c->sequences[i];
	}
	c->nsequences = n;
	return 0;
}

static int split_left_out(struct hide *h, struct trib_err *err)
{
	struct trib_capture *c = h->c;
	size_t n = 0;
	c->hidden.left_out = calloc(c->nleft_out + 1, sizeof(*c->hidden.left_out));
	if (!c->hidden.left_out)
		return oom(err);
	for (size_t i = 0; i < c->nleft_out; i++) {
		if (is_whole(h, c->left_out[i].name))
			c->hidden.left_out[c->hidden.nleft_out++] = c->left_out[i];
		else
			c->left_out[n++] = c->left_out[i];
	}
	c->nleft_out = n;
	return 0;
}

static bool same_sequences(const struct trib_mf_sequence *a, size_t na, const struct trib_manifest *m)
{
	bool same = na == m->nsequences;
	for (size_t i = 0; same && i < na; i++)
		same = strcmp(a[i].table, m->sequences[i].table) == 0 && a[i].value == m->sequences[i].value;
	return same;
}

/* Do the lines differ? Statements alone are the public half's. */
static int lines_differ(const struct hide *h, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf a = {0}, b = {0};
	struct trib_schematext x = h->old.half[TRIB_HALF_PRIVATE].text, y = h->new.half[TRIB_HALF_PRIVATE].text;
	x.sql = y.sql = trib_span("", 0);
	if (put_text(&a, &x, err) || put_text(&b, &y, err))
		return -1;
	*ret = !trib_span_eq(trib_buf_span(&a), trib_buf_span(&b));
	return 0;
}

/* The last part stands under the new schema; a half that changed without rows has one without. */
static int finish(struct list *l, bool changed, const struct trib_buf *text, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf none = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	for (size_t i = 0; i < l->n; i++)
		if (trib_cs_check(trib_buf_span(&l->parts[i].changeset), NULL, err))
			return trib_ctx(err, "the captured changes are not in their one form");
	bool open = l->n && !trib_span_eq(trib_buf_span(&l->parts[l->n - 1].schema), trib_buf_span(text));
	return open || (!l->n && changed) ? add_bytes(l, text, &none, err) : 0;
}

static int conclude(struct hide *h, struct list *public, struct list *private, struct trib_err *err)
{
	struct trib_capture *c = h->c;
	bool lines = false;
	if (split_sequences(h, err) || split_left_out(h, err) || lines_differ(h, &lines, err))
		return -1;
	bool text = !trib_span_eq(trib_buf_span(&h->old.public_text), trib_buf_span(&h->new.public_text));
	c->changed = public->n || text || !h->s->tip.exists || !same_sequences(c->sequences, c->nsequences, &h->last);
	c->hidden.changed = private->n || lines || (h->new.veil.any && !h->s->private_tip.exists) ||
			    !same_sequences(c->hidden.sequences, c->hidden.nsequences, &h->last_private);
	if (finish(public, c->changed, &h->new.public_text, err) || finish(private, c->hidden.changed, &h->new.private_text, err))
		return -1;
	parts_release(c->parts, c->nparts);
	c->parts = public->parts;
	c->nparts = public->n;
	c->hidden.parts = private->parts;
	c->hidden.nparts = private->n;
	*public = *private = (struct list){0};
	return 0;
}

int trib_capture_hide(struct trib_state *s, sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, bool *ret_split, struct trib_err *err)
{
	__attribute__((cleanup(hide_cleanup))) struct hide *h = calloc(1, sizeof(*h));
	__attribute__((cleanup(list_cleanup))) struct list public = {0}, private = {0};
	bool any = false;
	if (!h)
		return oom(err);
	h->s = s;
	h->c = c;
	if (look(h, &any, err))
		return -1;
	*ret_split = any;
	if (!any)
		return 0;
	c->resplit = h->lost || !trib_veil_agree(h->old.whole, &h->old.veil, h->new.whole, &h->new.veil);
	if (c->resplit ? compare_all(h, old_db, new_db, &public, &private, err) : split_all(h, &public, &private, err))
		return trib_ctx(err, "keeping private values apart");
	return conclude(h, &public, &private, err);
}

/* ---- afresh ---- */

/* The public half from nothing. */
static int fill_public(struct hide *h, sqlite3 *db, struct list *public, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *empty = NULL;
	TRIB_AUTO(trib_schema) struct trib_schema none = {0};
	TRIB_AUTO(trib_capture) struct trib_capture out = {.delta.fd = -1};
	if (sqlite3_open_v2(":memory:", &empty, SQLITE_OPEN_READWRITE, NULL))
		return trib_db_fail(err, empty, "opening an empty database");
	/* The engine counts on from what the schema leaves out. */
	out.left_out = h->c->left_out;
	out.nleft_out = h->c->nleft_out;
	h->c->left_out = NULL;
	h->c->nleft_out = 0;
	if (trib_schema_read(empty, &none, err) ||
	    trib_engine_full.compare(empty, &none, db, &h->new.half[TRIB_HALF_PUBLIC], &h->c->delta, &out, err))
		return -1;
	h->c->left_out = out.left_out;
	h->c->nleft_out = out.nleft_out;
	out.left_out = NULL;
	out.nleft_out = 0;
	return move_parts(&out, &h->new.public_text, public, err);
}

/* No row, still one commit: it says so by its schema. */
static int finish_empty(struct trib_part **parts, size_t *n, const struct trib_buf *text, struct trib_err *err)
{
	__attribute__((cleanup(list_cleanup))) struct list l = {0};
	if (finish(&l, true, text, err))
		return -1;
	parts_release(*parts, *n);
	*parts = l.parts;
	*n = l.n;
	l = (struct list){0};
	return 0;
}

/* The private half is as it was, but the public commits that it went with are made anew and have other numbers: it says which one it goes with now. */
static int keep_private(struct hide *h, struct trib_err *err)
{
	struct trib_hidden *d = &h->c->hidden;
	d->changed = true;
	return finish_empty(&d->parts, &d->nparts, &h->new.private_text, err);
}

/* Nothing is private: the public half is the whole. */
static int all_public(struct hide *h, struct trib_err *err)
{
	struct trib_private_list none = {0};
	return trib_veil_by_list(h->old.whole, &none, &h->old.veil, err) || trib_veil_by_list(h->new.whole, &none, &h->new.veil, err) || make_halves(&h->old, err) ||
			       make_halves(&h->new, err)
		       ? -1
		       : 0;
}

static int afresh(struct hide *h, sqlite3 *db, struct trib_err *err)
{
	__attribute__((cleanup(list_cleanup))) struct list public = {0}, private = {0};
	struct trib_capture *c = h->c;
	bool ignored;
	if (trib_schema_read(db, &c->old_schema, err) || trib_schema_read(db, &c->new_schema, err) || trib_capture_bag_lines(db, db, c, err) ||
	    trib_capture_left_out(c, err) || trib_capture_sequences(db, db, c, &ignored, err) || look(h, &ignored, err))
		return -1;
	if (!ignored && all_public(h, err))
		return -1;
	if (fill_public(h, db, &public, err) || compare_private(h, db, db, &private, err) || conclude(h, &public, &private, err))
		return -1;
	c->changed = true;
	trib_capture_sort_left_out(c);
	return (!c->nparts && finish_empty(&c->parts, &c->nparts, &h->new.public_text, err)) || (!c->hidden.nparts && h->s->private_tip.exists && keep_private(h, err)) ? -1 : 0;
}

int trib_capture_afresh(struct trib_state *s, struct trib_capture *ret, struct trib_err *err)
{
	__attribute__((cleanup(hide_cleanup))) struct hide *h = calloc(1, sizeof(*h));
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1, .engine = trib_engine_full.name};
	sqlite3 *db = NULL;
	if (!h)
		return oom(err);
	h->s = s;
	h->c = &c;
	int rc = trib_delta_open_old(s, &db, err) || afresh(h, db, err) ? -1 : 0;
	sqlite3_close(db);
	if (rc)
		return trib_ctx(err, "taking the last state apart");
	c.delta = (struct trib_delta){0};
	*ret = c;
	c = (struct trib_capture){.delta.fd = -1};
	return 0;
}
