#include "core/format/changeset.h"

#include <math.h>

#include "core/format/kv.h"

#define NAME_BYTES_MAX (TRIB_NAME_MAX + sizeof(TRIB_BAG_PREFIX) - 1)

bool trib_is_bag(struct trib_span name)
{
	size_t n = sizeof(TRIB_BAG_PREFIX) - 1;
	return name.n >= n && trib_fold_cmp(trib_span(name.p, n), trib_span_str(TRIB_BAG_PREFIX)) == 0;
}

bool trib_value_eq(const struct trib_value *a, const struct trib_value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case TRIB_INT:
		return a->i == b->i;
	case TRIB_REAL:
		return memcmp(&a->r, &b->r, sizeof(a->r)) == 0;
	case TRIB_TEXT:
	case TRIB_BLOB:
		return trib_span_eq(a->s, b->s);
	case TRIB_UNDEF:
	case TRIB_NULL:
		break;
	}
	return true;
}

/* ---- writer ---- */

static size_t varint_bytes(uint64_t v, uint8_t out[9])
{
	uint8_t back[9];
	size_t at = sizeof(back);
	if (v < 0x80) {
		out[0] = (uint8_t)v;
		return 1;
	}
	if (v >> 56) { /* nine bytes: the last one holds eight bits */
		back[--at] = (uint8_t)v;
		v >>= 8;
		while (at)
			back[--at] = (uint8_t)(0x80 | (v & 0x7f)), v >>= 7;
	} else {
		back[--at] = (uint8_t)(v & 0x7f);
		while (v >>= 7)
			back[--at] = (uint8_t)(0x80 | (v & 0x7f));
	}
	memcpy(out, back + at, sizeof(back) - at);
	return sizeof(back) - at;
}

void trib_varint_put(struct trib_buf *b, uint64_t v)
{
	uint8_t out[9];
	size_t n = varint_bytes(v, out);
	trib_buf_put(b, out, n);
}

/* In one piece: most of a capture's time for rows is spent here. */
void trib_value_put(struct trib_buf *b, const struct trib_value *v)
{
	uint8_t head[10] = {(uint8_t)v->type};
	uint64_t bits = (uint64_t)v->i;
	size_t n = 1;
	struct trib_span rest = trib_span(NULL, 0);
	switch (v->type) {
	case TRIB_REAL:
		memcpy(&bits, &v->r, sizeof(bits));
		trib_put_be64(head + 1, bits);
		n = 9;
		break;
	case TRIB_INT:
		trib_put_be64(head + 1, bits);
		n = 9;
		break;
	case TRIB_TEXT:
	case TRIB_BLOB:
		n += varint_bytes(v->s.n, head + 1);
		rest = v->s;
		break;
	case TRIB_UNDEF:
	case TRIB_NULL:
		break;
	}
	uint8_t *at = rest.n <= SIZE_MAX - n ? trib_buf_grow(b, n + rest.n) : NULL;
	if (!at) {
		b->failed = true;
		return;
	}
	memcpy(at, head, n);
	if (rest.n)
		memcpy(at + n, rest.p, rest.n);
}

/* Whether the key's columns stand in the order of their pk bytes, 1 to n. */
static bool in_order(size_t ncol, const uint8_t *pk)
{
	unsigned k = 0;
	for (size_t i = 0; i < ncol; i++)
		if (pk[i] && pk[i] != ++k)
			return false;
	return true;
}

void trib_key_put(struct trib_buf *b, size_t ncol, const uint8_t *pk, const struct trib_value *row)
{
	size_t at[256], npk = 0; /* at[k]: 1 + the column whose pk byte is k */
	bool doubled = false;
	if (in_order(ncol, pk)) {
		for (size_t i = 0; i < ncol; i++)
			if (pk[i])
				trib_value_put(b, &row[i]);
		return;
	}
	memset(at, 0, sizeof(at));
	for (size_t i = 0; i < ncol; i++) {
		if (!pk[i])
			continue;
		npk++;
		if (at[pk[i]])
			doubled = true;
		else
			at[pk[i]] = i + 1;
	}
	size_t done = 0;
	for (size_t k = 1; k < TRIB_COUNT(at) && done < npk; k++) {
		if (!at[k])
			continue;
		for (size_t i = at[k] - 1; i < (doubled ? ncol : at[k]); i++) {
			if (pk[i] == k) {
				trib_value_put(b, &row[i]);
				done++;
			}
		}
	}
}

void trib_cs_put_table(struct trib_buf *b, struct trib_span name, size_t ncol, const uint8_t *pk)
{
	trib_buf_putc(b, 'T');
	trib_varint_put(b, ncol);
	trib_buf_put(b, pk, ncol);
	trib_buf_put_span(b, name);
	trib_buf_putc(b, 0);
}

static void put_row(struct trib_buf *b, enum trib_op op, size_t ncol, const struct trib_value *row)
{
	trib_buf_put(b, (uint8_t[]){(uint8_t)op, 0}, 2);
	for (size_t i = 0; i < ncol; i++)
		trib_value_put(b, &row[i]);
}

void trib_cs_put_delete(struct trib_buf *b, size_t ncol, const struct trib_value *old)
{
	put_row(b, TRIB_DELETE, ncol, old);
}

void trib_cs_put_insert(struct trib_buf *b, size_t ncol, const struct trib_value *new_row)
{
	put_row(b, TRIB_INSERT, ncol, new_row);
}

void trib_cs_put_encoded(struct trib_buf *b, enum trib_op op, struct trib_span row)
{
	trib_buf_put(b, (uint8_t[]){(uint8_t)op, 0}, 2);
	trib_buf_put_span(b, row);
}

bool trib_cs_put_update(struct trib_buf *b, size_t ncol, const uint8_t *pk, const struct trib_value *old,
			const struct trib_value *new_row)
{
	bool differs = false;
	for (size_t i = 0; i < ncol && !differs; i++)
		differs = !pk[i] && !trib_value_eq(&old[i], &new_row[i]);
	if (!differs)
		return false;
	trib_buf_put(b, (uint8_t[]){TRIB_UPDATE, 0}, 2);
	for (size_t i = 0; i < ncol; i++) {
		if (pk[i] || !trib_value_eq(&old[i], &new_row[i]))
			trib_value_put(b, &old[i]);
		else
			trib_buf_putc(b, TRIB_UNDEF);
	}
	for (size_t i = 0; i < ncol; i++) {
		if (!pk[i] && !trib_value_eq(&old[i], &new_row[i]))
			trib_value_put(b, &new_row[i]);
		else
			trib_buf_putc(b, TRIB_UNDEF);
	}
	return true;
}

/* ---- reader ---- */

struct trib_cs_reader {
	struct trib_reader in;
	const uint8_t *start;
	bool began, failed;
	struct trib_cs_table table;
	uint16_t order[TRIB_COLUMNS_MAX]; /* the key's columns in key order */
	bool adjacent;                    /* the key's columns stand side by side in key order */
	int group;                        /* of the last change of this table; -1 after the header */
	struct trib_value old[TRIB_COLUMNS_MAX], new[TRIB_COLUMNS_MAX];
	const uint8_t *at[TRIB_COLUMNS_MAX + 1]; /* where the values of the key's record lie */
	/* An adjacent key is borrowed from the input; others are put together in keys[], in turn. */
	struct trib_span key;
	struct trib_buf keys[2];
	unsigned turn;
};

struct trib_cs_reader *trib_cs_reader_new(struct trib_span bytes)
{
	/* The arrays are filled before they are read, and clearing 150 KiB costs more than reading a night of twenty rows. */
	struct trib_cs_reader *r = malloc(sizeof(*r));
	if (!r)
		return NULL;
	memset(r, 0, offsetof(struct trib_cs_reader, order));
	r->in = trib_reader(bytes);
	r->start = bytes.p;
	r->group = 0;
	r->key = trib_span(NULL, 0);
	r->turn = 0;
	r->keys[0] = r->keys[1] = TRIB_BUF(TRIB_ROW_MAX);
	return r;
}

void trib_cs_reader_free(struct trib_cs_reader *r)
{
	if (!r)
		return;
	trib_buf_release(&r->keys[0]);
	trib_buf_release(&r->keys[1]);
	free(r);
}

static size_t offset(const struct trib_cs_reader *r)
{
	return r->in.rest.n || r->in.rest.p ? (size_t)(r->in.rest.p - r->start) : 0;
}

static int bad(const struct trib_cs_reader *r, const char *why, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_FORMAT, "changeset, before offset %zu: %s", offset(r), why);
}

static int over(const struct trib_cs_reader *r, const char *what, size_t limit, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_LIMIT, "changeset, before offset %zu: %s more than the limit of %zu", offset(r), what, limit);
}

/* Takes one varint in its shortest form. */
static bool varint_take(struct trib_reader *r, uint64_t *ret)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++) {
		uint8_t c = trib_read_u8(r);
		v = v << 7 | (c & 0x7f);
		if (r->failed || (i && !(c & 0x80) && v >> (7 * i) == 0)) /* a first group of zero bits */
			return false;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	v = v << 8 | trib_read_u8(r);
	if (r->failed || v >> 56 == 0) /* eight bytes would do */
		return false;
	*ret = v;
	return true;
}

/* The reason why no value could be taken, or NULL. */
static const char *value_take(struct trib_reader *r, bool undef_ok, struct trib_value *v)
{
	uint64_t n;
	uint8_t type = trib_read_u8(r);
	if (r->failed)
		return "cut short";
	v->type = (enum trib_type)type;
	v->i = 0;
	v->s = trib_span(NULL, 0);
	switch (type) {
	case TRIB_UNDEF:
		return undef_ok ? NULL : "an undefined value outside an update";
	case TRIB_NULL:
		return NULL;
	case TRIB_INT:
		v->i = (int64_t)trib_read_be64(r);
		return r->failed ? "cut short" : NULL;
	case TRIB_REAL:
		n = trib_read_be64(r);
		memcpy(&v->r, &n, sizeof(n));
		/* SQLite has no NaN: it would turn into NULL where it is applied. */
		return r->failed ? "cut short" : isnan(v->r) ? "a real value that is no number" : NULL;
	case TRIB_TEXT:
	case TRIB_BLOB:
		if (!varint_take(r, &n))
			return "a length that is cut or not in its shortest form";
		if (n > r->rest.n)
			return "a text or blob longer than what is left";
		v->s = trib_read(r, (size_t)n);
		return NULL;
	default:
		return "a value of unknown type";
	}
}

int trib_value_take(struct trib_reader *r, bool undef_ok, struct trib_value *ret, struct trib_err *err)
{
	struct trib_value v;
	const char *why = value_take(r, undef_ok, &v);
	if (why) {
		r->failed = true;
		return trib_fail(err, TRIB_E_FORMAT, "value: %s", why);
	}
	*ret = v;
	return 0;
}

/* Checks the key bytes and fills the key order. */
static int take_key_shape(struct trib_cs_reader *r, struct trib_cs_table *t, struct trib_err *err)
{
	t->npk = 0;
	for (size_t i = 0; i < t->ncol; i++)
		t->npk += t->pk[i] != 0;
	if (t->bag) {
		for (size_t i = 0; i < t->ncol; i++)
			if (t->pk[i] != (i + 1 < t->ncol))
				return bad(r, "key bytes of a bag are not 1 each and 0 for its count", err);
		if (t->npk == 0)
			return bad(r, "a bag without columns", err);
		for (size_t i = 0; i < t->npk; i++)
			r->order[i] = (uint16_t)i;
		r->adjacent = true;
		return 0;
	}
	bool seen[256] = {false};
	for (size_t i = 0; i < t->ncol; i++) {
		if (!t->pk[i])
			continue;
		if (t->pk[i] > t->npk || seen[t->pk[i]])
			return bad(r, "key bytes are not 1 to n, each once", err);
		seen[t->pk[i]] = true;
		r->order[t->pk[i] - 1] = (uint16_t)i;
	}
	if (t->npk == 0)
		return bad(r, "a table without key", err);
	r->adjacent = true;
	for (size_t i = 1; i < t->npk; i++)
		if (r->order[i] != r->order[i - 1] + 1)
			r->adjacent = false;
	return 0;
}

/* Takes a table header; its 'T' is taken already. */
static int take_table(struct trib_cs_reader *r, struct trib_err *err)
{
	struct trib_cs_table t = {0};
	uint64_t ncol;
	if (!varint_take(&r->in, &ncol))
		return bad(r, "a number of columns that is cut or not in its shortest form", err);
	if (ncol > TRIB_COLUMNS_MAX)
		return over(r, "columns", TRIB_COLUMNS_MAX, err);
	if (ncol == 0)
		return bad(r, "a table without columns", err);
	t.ncol = (size_t)ncol;
	t.pk = trib_read(&r->in, t.ncol).p;
	if (r->in.failed)
		return bad(r, "cut short in a table header", err);
	size_t most = r->in.rest.n < NAME_BYTES_MAX + 1 ? r->in.rest.n : NAME_BYTES_MAX + 1;
	const uint8_t *nul = most ? memchr(r->in.rest.p, 0, most) : NULL;
	if (!nul && most == NAME_BYTES_MAX + 1)
		return over(r, "bytes of a table name", NAME_BYTES_MAX, err);
	if (!nul)
		return bad(r, "cut short in a table name", err);
	t.name = trib_read(&r->in, (size_t)(nul - r->in.rest.p));
	(void)trib_read_u8(&r->in);
	if (t.name.n == 0)
		return bad(r, "an empty table name", err);
	t.bag = trib_is_bag(t.name);
	if (!t.bag && t.name.n > TRIB_NAME_MAX)
		return over(r, "bytes of a table name", TRIB_NAME_MAX, err);
	if (r->began && trib_fold_cmp(r->table.name, t.name) >= 0)
		return bad(r, "tables are not rising by folded name", err);
	if (take_key_shape(r, &t, err))
		return -1;
	r->table = t;
	r->began = true;
	r->group = -1;
	return 0;
}

/* Takes a record; notes in `at` (may be NULL) where each value begins. */
static int take_record(struct trib_cs_reader *r, bool undef_ok, struct trib_value *row, const uint8_t **at, struct trib_err *err)
{
	const uint8_t *start = r->in.rest.p;
	for (size_t i = 0; i < r->table.ncol; i++) {
		if (at)
			at[i] = r->in.rest.p;
		const char *why = value_take(&r->in, undef_ok, &row[i]);
		if (why)
			return bad(r, why, err);
	}
	if (at)
		at[r->table.ncol] = r->in.rest.p;
	if ((size_t)(r->in.rest.p - start) > TRIB_ROW_MAX)
		return over(r, "bytes of a row", TRIB_ROW_MAX, err);
	return 0;
}

static int check_update(const struct trib_cs_reader *r, struct trib_err *err)
{
	bool changed = false;
	for (size_t i = 0; i < r->table.ncol; i++) {
		const struct trib_value *o = &r->old[i], *n = &r->new[i];
		if (r->table.pk[i]) {
			if (o->type == TRIB_UNDEF || n->type != TRIB_UNDEF)
				return bad(r, "an update whose key is not in the old record alone", err);
			continue;
		}
		if ((o->type == TRIB_UNDEF) != (n->type == TRIB_UNDEF))
			return bad(r, "an update with only one of old and new value", err);
		if (o->type == TRIB_UNDEF)
			continue;
		if (trib_value_eq(o, n))
			return bad(r, "an update of a value to itself", err);
		changed = true;
	}
	return changed ? 0 : bad(r, "an update that changes nothing", err);
}

/* A bag's count is an integer of at least 1; keys of other tables are not NULL. */
static int check_row(const struct trib_cs_reader *r, const struct trib_value *row, bool new_of_update, struct trib_err *err)
{
	const struct trib_cs_table *t = &r->table;
	if (t->bag) {
		const struct trib_value *count = &row[t->ncol - 1];
		if (count->type != TRIB_INT || count->i < 1)
			return bad(r, "a bag's count that is not an integer of at least 1", err);
		return 0;
	}
	for (size_t i = 0; i < t->npk && !new_of_update; i++)
		if (row[r->order[i]].type == TRIB_NULL)
			return bad(r, "NULL in a key", err);
	return 0;
}

/* Checks that this change comes after the one before and keeps its key. */
static int take_order(struct trib_cs_reader *r, int group, struct trib_err *err)
{
	struct trib_span key;
	if (r->adjacent) {
		const uint8_t *from = r->at[r->order[0]];
		key = trib_span(from, (size_t)(r->at[r->order[r->table.npk - 1] + 1] - from));
	} else {
		struct trib_buf *b = &r->keys[r->turn ^= 1];
		trib_buf_reset(b);
		for (size_t i = 0; i < r->table.npk; i++) {
			const uint8_t *const *at = &r->at[r->order[i]];
			trib_buf_put(b, at[0], (size_t)(at[1] - at[0]));
		}
		if (trib_buf_check(b, "changeset: key", err))
			return -1;
		key = trib_buf_span(b);
	}
	if (group < r->group)
		return bad(r, "not first deletes, then updates, then inserts", err);
	if (group == r->group && trib_span_cmp(r->key, key) >= 0)
		return bad(r, "changes are not rising by key", err);
	r->group = group;
	r->key = key;
	return 0;
}

static int take_change(struct trib_cs_reader *r, uint8_t op, struct trib_change *ret, struct trib_err *err)
{
	uint8_t indirect = trib_read_u8(&r->in);
	if (r->in.failed || indirect)
		return bad(r, "cut short, or an indirect change", err);
	struct trib_change c = {.op = (enum trib_op)op, .table = &r->table};
	int group = 0;
	switch (op) {
	case TRIB_DELETE:
		c.old = r->old;
		if (take_record(r, false, r->old, r->at, err) || check_row(r, r->old, false, err))
			return -1;
		break;
	case TRIB_INSERT:
		group = 2;
		c.new = r->new;
		if (take_record(r, false, r->new, r->at, err) || check_row(r, r->new, false, err))
			return -1;
		break;
	case TRIB_UPDATE:
		group = 1;
		c.old = r->old;
		c.new = r->new;
		if (take_record(r, true, r->old, r->at, err) || take_record(r, true, r->new, NULL, err) ||
		    check_update(r, err) || check_row(r, r->old, false, err) || check_row(r, r->new, true, err))
			return -1;
		break;
	default:
		return bad(r, "an unknown operation", err);
	}
	if (take_order(r, group, err))
		return -1;
	c.key = r->key;
	*ret = c;
	return 0;
}

static int next(struct trib_cs_reader *r, struct trib_change *ret, struct trib_err *err)
{
	if (r->in.rest.n > TRIB_CHANGESET_RAW_MAX)
		return over(r, "bytes", TRIB_CHANGESET_RAW_MAX, err);
	if (r->in.rest.n == 0) {
		if (r->began && r->group < 0)
			return bad(r, "a table header without changes", err);
		return 0;
	}
	uint8_t op = trib_read_u8(&r->in);
	if (op == 'T') {
		if (r->began && r->group < 0)
			return bad(r, "a table header without changes", err);
		if (take_table(r, err))
			return -1;
		op = trib_read_u8(&r->in);
		if (r->in.failed || op == 'T')
			return bad(r, "a table header without changes", err);
	} else if (!r->began) {
		return bad(r, "does not begin with a table header", err);
	}
	return take_change(r, op, ret, err) ? -1 : 1;
}

int trib_cs_next(struct trib_cs_reader *r, struct trib_change *ret, struct trib_err *err)
{
	if (r->failed)
		return trib_fail(err, TRIB_E_FORMAT, "changeset: it was refused before");
	int rc = next(r, ret, err);
	if (rc < 0)
		r->failed = true;
	return rc;
}

int trib_cs_check(struct trib_span bytes, uint64_t *ret_changes, struct trib_err *err)
{
	if (bytes.n == 0)
		return trib_fail(err, TRIB_E_FORMAT, "changeset: empty");
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(bytes);
	if (!r)
		return trib_fail(err, TRIB_E_NOMEM, "changeset: out of memory");
	struct trib_change c;
	uint64_t n = 0;
	int rc;
	while ((rc = trib_cs_next(r, &c, err)) > 0)
		n++;
	if (rc < 0)
		return -1;
	if (ret_changes)
		*ret_changes = n;
	return 0;
}
