#include <pthread.h>
#include <time.h>

#include "agent/capture/baseline.h"
#include "agent/capture/brake.h"
#include "agent/capture/emit.h"
#include "agent/capture/hide.h"
#include "agent/capture/rows.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

void trib_capture_release(struct trib_capture *c)
{
	trib_delta_release(&c->delta);
	trib_schema_release(&c->old_schema);
	trib_schema_release(&c->new_schema);
	for (size_t i = 0; i < c->nparts; i++) {
		trib_buf_release(&c->parts[i].schema);
		trib_buf_release(&c->parts[i].changeset);
	}
	for (size_t i = 0; i < c->nsequences; i++)
		free(c->sequences[i].table);
	for (size_t i = 0; i < c->nrenamed; i++) {
		free(c->renamed[i].table);
		free(c->renamed[i].from);
		free(c->renamed[i].to);
	}
	for (size_t i = 0; i < c->nleft_out; i++)
		free(c->left_out[i].name);
	for (size_t i = 0; i < c->nleft_out_before; i++)
		free(c->left_out_before[i].name);
	for (size_t i = 0; i < c->nbraked; i++)
		free(c->braked[i].table);
	trib_hidden_release(&c->hidden);
	free(c->parts);
	free(c->sequences);
	free(c->renamed);
	free(c->left_out);
	free(c->left_out_before);
	for (size_t i = 0; i < c->nreturned; i++)
		free(c->returned[i].table);
	free(c->braked);
	free(c->returned);
	free(c->bagless);
	free(c->moved);
	*c = (struct trib_capture){.delta.fd = -1};
}

/* ---- sequences ---- */

static int by_table(const void *a, const void *b)
{
	return strcmp(((const struct trib_mf_sequence *)a)->table, ((const struct trib_mf_sequence *)b)->table);
}

/* Twice the same table (an application may write sqlite_sequence): the largest counts. */
static int add_sequence(struct trib_mf_sequence **list, size_t *n, const char *folded, uint64_t value, struct trib_err *err)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp((*list)[i].table, folded) == 0) {
			if ((*list)[i].value < value)
				(*list)[i].value = value;
			return 0;
		}
	struct trib_mf_sequence *grown = reallocarray(*list, *n + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	*list = grown;
	char *name = strdup(folded);
	if (!name)
		return oom(err);
	grown[(*n)++] = (struct trib_mf_sequence){name, value};
	return 0;
}

static int read_sequences(sqlite3 *db, const struct trib_schema *s, struct trib_mf_sequence **list, size_t *n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (!s->has_autoincrement)
		return 0;
	if (trib_db_prepare(db, "SELECT name, seq FROM main.sqlite_sequence WHERE typeof(name) = 'text' AND typeof(seq) = 'integer' AND seq >= 0", &st, err))
		return -1;
	while ((row = trib_db_step(db, st, err)) == 1) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		TRIB_AUTO(trib_mem) char *folded = name ? strdup(name) : NULL;
		if (!folded)
			return oom(err);
		trib_fold((uint8_t *)folded, strlen(folded));
		const struct trib_table *t = trib_schema_find(s, folded);
		if (t && t->autoincrement && add_sequence(list, n, folded, (uint64_t)sqlite3_column_int64(st, 1), err))
			return -1;
	}
	if (*n)
		qsort(*list, *n, sizeof(**list), by_table);
	return row;
}

static int sequences(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, bool *ret_changed, struct trib_err *err)
{
	struct trib_mf_sequence *was = NULL;
	size_t n = 0;
	int rc = read_sequences(old_db, &c->old_schema, &was, &n, err) || read_sequences(new_db, &c->new_schema, &c->sequences, &c->nsequences, err) ?
			 -1 : 0;
	bool same = n == c->nsequences;
	for (size_t i = 0; same && i < n; i++)
		same = strcmp(was[i].table, c->sequences[i].table) == 0 && was[i].value == c->sequences[i].value;
	for (size_t i = 0; i < n; i++)
		free(was[i].table);
	free(was);
	*ret_changed = !same;
	return rc;
}

/* ---- schema texts ---- */

static int add_bag_line(struct trib_schema *s, const struct trib_table *t, struct trib_err *err)
{
	struct trib_st_table *line = trib_schematext_add(&s->text, t->name, true);
	if (!line)
		return oom(err);
	for (size_t i = 0; i < t->ncols; i++)
		if (trib_schematext_add_column(line, t->cols[i].name, 0, err))
			return -1;
	return 0;
}

/* The lines of the last commit, which has a bag's line when its state held rows in it. What is private has its lines elsewhere: then none is known. */
static const struct trib_schematext *lines_before(const struct trib_state *s, struct trib_schematext *room)
{
	TRIB_AUTO(trib_commit) struct trib_commit last = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX);
	struct trib_err none;
	if (!s || !s->tip.exists || s->private_tip.exists || trib_commit_read(s->repo, s->tip.oid, &last, &none) ||
	    trib_commit_blob(s->repo, &last, "schema.sql", TRIB_SCHEMA_MAX, &text, &none) || trib_schematext_parse(trib_buf_span(&text), room, &none))
		return NULL;
	return room;
}

/* A search would read the whole table, in both states; what is known from the last commit and the rows that differ spares it. */
static bool surely_none(const struct trib_capture *c, const struct trib_schematext *before, const struct trib_table *t)
{
	char bag[TRIB_NAME_MAX + sizeof(TRIB_BAG_PREFIX)];
	const struct trib_table *n = trib_schema_find(&c->new_schema, t->folded);
	if (!before || !t->keyed || !n || !trib_schema_find(&c->old_schema, t->folded) || !c->bagless || !c->bagless[n - c->new_schema.tables])
		return false;
	(void)snprintf(bag, sizeof(bag), TRIB_BAG_PREFIX "%s", t->name);
	return !trib_schematext_find(before, trib_span_str(bag));
}

struct lines { /* what tells about bags */
	const struct trib_capture *c;
	const struct trib_schematext *before;
};

/* Keyless tables always have their bag line; a keyed one when it holds or held rows with NULL in the key. */
static int add_bag_lines(const struct lines *l, struct trib_schema *s, sqlite3 *db, const struct trib_schema *other, sqlite3 *other_db, struct trib_err *err)
{
	for (size_t i = 0; i < s->ntables; i++) {
		const struct trib_table *t = &s->tables[i], *o = trib_schema_find(other, t->folded);
		bool here = false, there = false;
		if (surely_none(l->c, l->before, t))
			continue;
		if (trib_rows_has_bag(db, t, &here, err) || (o && !here && trib_rows_has_bag(other_db, o, &there, err)))
			return -1;
		if ((here || there) && add_bag_line(s, t, err))
			return -1;
	}
	trib_schematext_sort(&s->text);
	return 0;
}

static int texts_differ(const struct trib_capture *c, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SCHEMA_MAX);
	trib_schematext_put(&a, &c->old_schema.text);
	trib_schematext_put(&b, &c->new_schema.text);
	if (trib_buf_check(&a, "schema.sql", err) || trib_buf_check(&b, "schema.sql", err))
		return -1;
	*ret = !trib_span_eq(trib_buf_span(&a), trib_buf_span(&b));
	return 0;
}

static int bag_lines(const struct trib_state *s, sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, struct trib_err *err)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext room = {0};
	struct lines l = {c, lines_before(s, &room)};
	return add_bag_lines(&l, &c->new_schema, new_db, &c->old_schema, old_db, err) ||
	       add_bag_lines(&l, &c->old_schema, old_db, &c->new_schema, new_db, err) ? -1 : 0;
}

int trib_capture_bag_lines(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, struct trib_err *err)
{
	return bag_lines(NULL, old_db, new_db, c, err);
}

int trib_capture_sequences(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, bool *ret_changed, struct trib_err *err)
{
	return sequences(old_db, new_db, c, ret_changed, err);
}

int trib_capture_left_out(struct trib_capture *c, struct trib_err *err)
{
	for (size_t i = 0; i < c->new_schema.nleft_out; i++) {
		const struct trib_left_out *from = &c->new_schema.left_out[i];
		struct trib_mf_left_out *grown = reallocarray(c->left_out, c->nleft_out + 1, sizeof(*grown));
		if (!grown)
			return oom(err);
		c->left_out = grown;
		struct trib_mf_left_out lo = {.name = strdup(from->name), .count = 0};
		if (!lo.name)
			return oom(err);
		(void)snprintf(lo.reason, sizeof(lo.reason), "%s", from->reason);
		c->left_out[c->nleft_out++] = lo;
	}
	return 0;
}

static int by_left_out(const void *a, const void *b)
{
	const struct trib_mf_left_out *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	return c ? c : strcmp(x->reason, y->reason);
}

void trib_capture_sort_left_out(struct trib_capture *c)
{
	if (c->nleft_out)
		qsort(c->left_out, c->nleft_out, sizeof(*c->left_out), by_left_out);
}

/* Which bags there are is known after the comparison: parts get their schemas again. */
static int put_schemas(struct trib_capture *c, struct trib_err *err)
{
	for (size_t i = 0; i < c->nparts; i++) {
		struct trib_part *p = &c->parts[i];
		trib_buf_reset(&p->schema);
		trib_schematext_put(&p->schema, p->before ? &c->old_schema.text : &c->new_schema.text);
		if (trib_buf_check(&p->schema, "schema.sql", err))
			return -1;
	}
	return 0;
}

int trib_capture_between(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, struct trib_err *err)
{
	const struct trib_delta none = {.fd = -1};
	if (trib_schema_read(old_db, &c->old_schema, err) || trib_schema_read(new_db, &c->new_schema, err) ||
	    trib_engine_full.compare(old_db, &c->old_schema, new_db, &c->new_schema, &none, c, err))
		return -1;
	return bag_lines(NULL, old_db, new_db, c, err) || put_schemas(c, err) ? -1 : 0;
}

/* ---- the capture ---- */

/* The last part stands under the new schema. (That every part is canonical is found by the walk that tallies it.) */
static int finish_parts(struct trib_capture *c, bool changed, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX);
	trib_schematext_put(&text, &c->new_schema.text);
	if (trib_buf_check(&text, "schema.sql", err))
		return -1;
	for (size_t i = 0; i < c->nparts; i++)
		if (!c->parts[i].changeset.len)
			return trib_fail(err, TRIB_E_FORMAT, "the captured changes are not in their one form: part %zu is empty", i + 1);
	struct trib_emit e = {.ret = c, .schema = trib_buf_span(&text)};
	if (c->nparts ? !trib_span_eq(trib_buf_span(&c->parts[c->nparts - 1].schema), trib_buf_span(&text)) : changed)
		return trib_emit_empty(&e, err);
	return 0;
}

/* What is lost is weighed whole; an old state is known by the digests of the public half. */
static int brake(struct trib_state *s, struct trib_capture *c, sqlite3 *old_db, sqlite3 *new_db, struct trib_err *err)
{
	TRIB_AUTO(trib_tally) struct trib_tally whole = {0}, public = {0};
	bool split = false;
	if (trib_tally_parts(s, c, &whole, err) || trib_brake(old_db, c, &whole, err) || trib_capture_hide(s, old_db, new_db, c, &split, err))
		return -1;
	if (c->resplit || !s->tip.exists)
		return 0;
	if (split && trib_tally_parts(s, c, &public, err))
		return -1;
	return trib_brake_returned(s, c, split ? &public : &whole, err);
}

static int compare_states(struct trib_state *s, const struct trib_engine *engine, struct trib_capture *c, sqlite3 *old_db, sqlite3 *new_db,
			  struct trib_err *err)
{
	bool schema = false, sequence = false;
	const struct trib_delta *d = &c->delta;
	if (trib_schema_read(old_db, &c->old_schema, err) || trib_schema_read(new_db, &c->new_schema, err) || trib_capture_left_out(c, err) ||
	    sequences(old_db, new_db, c, &sequence, err) || texts_differ(c, &schema, err))
		return -1;
	/* Not one page differs: nothing can. */
	bool same = s->tip.exists && d->nchanged == 0 && d->page_size == d->base_page_size && d->page_count == d->base_page_count;
	if (!same && engine->compare(old_db, &c->old_schema, new_db, &c->new_schema, d, c, err))
		return -1;
	if (bag_lines(s, old_db, new_db, c, err) || put_schemas(c, err))
		return -1;
	c->changed = c->nparts || schema || sequence || !s->tip.exists;
	trib_capture_sort_left_out(c);
	if (finish_parts(c, c->changed, err) || trib_find_renames(old_db, new_db, c, err))
		return -1;
	return brake(s, c, old_db, new_db, err);
}

/* What the last commit left out. A manifest that cannot be read is the commit's to refuse, not the comparison's. */
static int add_left_out_before(struct trib_repo *repo, const struct trib_tip *tip, struct trib_capture *c, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit last = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_err none;
	if (!tip->exists || trib_commit_read(repo, tip->oid, &last, &none) || trib_manifest_parse(trib_buf_span(&last.manifest), &m, &none) || !m.nleft_out)
		return 0;
	struct trib_mf_left_out *grown = reallocarray(c->left_out_before, c->nleft_out_before + m.nleft_out, sizeof(*grown));
	if (!grown)
		return oom(err);
	c->left_out_before = grown;
	for (size_t i = 0; i < m.nleft_out; i++) {
		c->left_out_before[c->nleft_out_before++] = m.left_out[i];
		m.left_out[i].name = NULL;
	}
	return 0;
}

static int read_left_out_before(const struct trib_state *s, struct trib_capture *c, struct trib_err *err)
{
	return add_left_out_before(s->repo, &s->tip, c, err) || add_left_out_before(s->private_repo, &s->private_tip, c, err) ? -1 : 0;
}

/* ---- proof of the baseline, beside the comparison ---- */

#define ALONE_MAX (1 * TRIB_MIB) /* bytes to hash; below, a thread costs more than it saves */

struct proof {
	const struct trib_state *s;
	const struct trib_delta *d;
	pthread_t thread;
	bool threaded;
	int rc;
	const char *why; /* the baseline is not what the last commit left */
	struct trib_err err;
};

static void *prove(void *arg)
{
	struct proof *p = arg;
	p->rc = trib_baseline_pages(p->s, p->d, &p->why, &p->err);
	return NULL;
}

static void proof_start(struct proof *p)
{
	bool large = p->d->path && (uint64_t)p->d->nchanged * p->d->page_size > ALONE_MAX;
	p->threaded = large && pthread_create(&p->thread, NULL, prove, p) == 0;
	if (!p->threaded)
		(void)prove(p);
}

static void proof_end(struct proof *p)
{
	if (p->threaded)
		pthread_join(p->thread, NULL);
}

static int compare(struct trib_state *s, const struct trib_engine *engine, struct trib_capture *c, struct trib_err *err)
{
	sqlite3 *old_db = NULL, *new_db = NULL;
	int rc = trib_delta_open_old(s, &old_db, err) || trib_delta_open_new(s, &c->delta, &new_db, err) ||
		 compare_states(s, engine, c, old_db, new_db, err) ? -1 : 0;
	sqlite3_close(old_db);
	sqlite3_close(new_db);
	return rc;
}

/* One capture. *ret_why: the baseline is not what the last commit left, so that nothing of *c counts. A comparison reads it as warily as any file. */
static int attempt(struct trib_state *s, const struct trib_engine *engine, const struct trib_snapshot_opts *opts, struct trib_capture *c,
		   const char **ret_why, struct trib_err *err)
{
	struct proof p = {.s = s, .d = &c->delta};
	if (read_left_out_before(s, c, err) || trib_snapshot_by(s, opts, &c->delta, &c->pages_read, err))
		return -1;
	if (s->tip.exists)
		proof_start(&p);
	else if (c->delta.base_page_size)
		return trib_fail(err, TRIB_E_VERIFY, _("%s/baseline is there although there is no commit; nothing was changed; make a new state folder"), s->dir);
	bool skipped = !c->delta.path, hopeless = !p.threaded && (p.rc || p.why);
	int rc = skipped || hopeless ? 0 : compare(s, engine, c, err);
	proof_end(&p);
	*ret_why = p.why;
	if (p.rc)
		*err = p.err;
	if (p.rc || p.why)
		return p.rc ? -1 : 0;
	return rc ? trib_ctx(err, _("capturing %s"), s->node.db_path) : 0;
}

static void begin_again(struct trib_capture *c, const struct trib_engine *engine)
{
	trib_capture_release(c);
	c->engine = engine->name;
}

/* A baseline that is lost or damaged is made again from the history first. */
static int attempts(struct trib_state *s, const struct trib_engine *engine, const struct trib_known *known, struct trib_capture *c, struct trib_err *err)
{
	struct trib_snapshot_opts opts = {.known = known};
	const char *why = NULL;
	if (s->tip.exists && trib_baseline_shape(s, &why, err))
		return -1;
	for (int i = 0; i < 2; i++) {
		if (why && trib_baseline_rebuild(s, why, err))
			return -1;
		if (why)
			opts.known = NULL; /* a new baseline is worth a look */
		begin_again(c, engine);
		if (attempt(s, engine, &opts, c, &why, err))
			return -1;
		if (!why)
			return 0;
	}
	return trib_fail(err, TRIB_E_VERIFY, _("%s/baseline %s just after it was made again: the disk does not keep what is written to it; the database is "
			 "as it was; move the state folder to another disk"), s->dir, why);
}

/* Of this process with all its threads. */
static int64_t cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int trib_capture_run(struct trib_state *s, const struct trib_engine *engine, struct trib_capture *ret, struct trib_err *err)
{
	return trib_capture_run_known(s, engine, NULL, ret, err);
}

int trib_capture_run_known(struct trib_state *s, const struct trib_engine *engine, const struct trib_known *known, struct trib_capture *ret,
			   struct trib_err *err)
{
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1, .engine = engine->name};
	int64_t start = trib_mono_ms(), cpu = cpu_us();
	if (attempts(s, engine, known, &c, err))
		return -1;
	c.pages_changed = c.delta.nchanged;
	c.snapshot = c.delta.way;
	c.mark = c.delta.mark;
	c.same_pages = c.delta.path && !c.delta.nchanged && c.delta.page_size == c.delta.base_page_size && c.delta.page_count == c.delta.base_page_count;
	c.ms = (uint64_t)(trib_mono_ms() - start);
	c.cpu_us = (uint64_t)(cpu_us() - cpu);
	*ret = c;
	c = (struct trib_capture){.delta.fd = -1};
	return 0;
}
