#include "agent/capture/follow.h"

static bool has_column(const struct trib_table *t, const char *name)
{
	for (size_t i = 0; i < t->ncols; i++)
		if (trib_fold_cmp(trib_span_str(t->cols[i].name), trib_span_str(name)) == 0)
			return true;
	return false;
}

/* Has `n` every column of `o`, or every private one? */
static bool covers(const struct trib_table *n, const struct trib_table *o, const struct trib_veil_table *v, bool all)
{
	for (size_t i = 0; i < o->ncols; i++)
		if ((all || v->hidden[i]) && !has_column(n, o->cols[i].name))
			return false;
	return o->ncols > 0;
}

struct follow { struct trib_private_list *list, *ret; };

static int add(const struct follow *f, const struct trib_table *t, const char *column, struct trib_err *err)
{
	if (trib_private_has(f->list, t->folded, NULL) || (column && trib_private_has(f->list, t->folded, column)))
		return 0;
	return trib_private_add(f->list, t->folded, column, err) || trib_private_add(f->ret, t->folded, column, err) ? -1 : 0;
}

/* `n` stands where `o` stood: what is new in it may be what is gone. */
static int follow_columns(const struct follow *f, const struct trib_table *o, const struct trib_veil_table *v, const struct trib_table *n, struct trib_err *err)
{
	bool gone = false;
	for (size_t i = 0; i < o->ncols; i++)
		gone = gone || (v->hidden[i] && !has_column(n, o->cols[i].name));
	for (size_t i = 0; gone && i < n->ncols; i++)
		if (!has_column(o, n->cols[i].name) && add(f, n, n->cols[i].name, err))
			return -1;
	return 0;
}

static int follow_table(const struct follow *f, const struct trib_table *o, const struct trib_veil_table *v, const struct trib_table *n, struct trib_err *err)
{
	if (v->whole)
		return add(f, n, NULL, err);
	for (size_t i = 0; i < o->ncols; i++)
		if (v->hidden[i] && add(f, n, o->cols[i].name, err))
			return -1;
	return 0;
}

int trib_follow_private(const struct trib_schema *old, const struct trib_schema *new, struct trib_private_list *list, struct trib_private_list *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_veil) struct trib_veil was = {0};
	const struct follow f = {list, ret};
	if (trib_veil_by_list(old, list, &was, err))
		return -1;
	for (size_t i = 0; i < old->ntables; i++) {
		const struct trib_table *o = &old->tables[i], *same = trib_schema_find(new, o->folded);
		const struct trib_veil_table *v = &was.tables[i];
		if (v->some && !v->whole && same && follow_columns(&f, o, v, same, err))
			return -1;
		for (size_t j = 0; v->some && j < new->ntables; j++) {
			const struct trib_table *n = &new->tables[j];
			if (!trib_schema_find(old, n->folded) && covers(n, o, v, same != NULL || v->whole) && follow_table(&f, o, v, n, err))
				return -1;
		}
	}
	return 0;
}
