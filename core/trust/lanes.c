/* The running state of a digest as a value: find, copy, serialise, publish. digest.c moves it. */
#include "core/trust/digest.h"
#include "core/trust/hash.h"

#define MAGIC "tributary-lanes-1\n"
#define VECTOR (2 * TRIB_LANES)

static void let_go(struct trib_lanes_table *t)
{
	if (t->refs) {
		t->refs--;
		return;
	}
	free(t->name);
	free(t);
}

void trib_lanes_release(struct trib_lanes *l)
{
	for (size_t i = 0; i < l->ntables; i++)
		let_go(l->tables[i]);
	free(l->tables);
	*l = (struct trib_lanes){0};
}

/* Where the name is, or where it belongs. */
static size_t place(const struct trib_lanes *l, const char *name, bool *ret_found)
{
	size_t lo = 0, hi = l->ntables;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(l->tables[mid]->name, name); /* by bytes, as unsigned char */
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_found = false;
	return lo;
}

const struct trib_lanes_table *trib_lanes_find(const struct trib_lanes *l, const char *folded_name)
{
	bool found;
	size_t i = place(l, folded_name, &found);
	return found ? l->tables[i] : NULL;
}

/* Makes room for one more at i; the array grows by doubling at powers of two. */
static bool room_at(struct trib_lanes *l, size_t i)
{
	if ((l->ntables & (l->ntables - 1)) == 0) {
		size_t bytes;
		if (trib_mul_overflow(l->ntables ? 2 * l->ntables : 1, sizeof(*l->tables), &bytes))
			return false;
		struct trib_lanes_table **grown = realloc(l->tables, bytes);
		if (!grown)
			return false;
		l->tables = grown;
	}
	memmove(l->tables + i + 1, l->tables + i, (l->ntables - i) * sizeof(*l->tables));
	return true;
}

static struct trib_lanes_table *new_table(const char *name)
{
	struct trib_lanes_table *t = calloc(1, sizeof(*t));
	if (t && !(t->name = strdup(name))) {
		free(t);
		return NULL;
	}
	return t;
}

static struct trib_lanes_table *insert_at(struct trib_lanes *l, size_t i, const char *name)
{
	struct trib_lanes_table *t = new_table(name);
	if (!t || !room_at(l, i)) {
		if (t)
			let_go(t);
		return NULL;
	}
	l->tables[i] = t;
	l->ntables++;
	return t;
}

struct trib_lanes_table *trib_lanes_get(struct trib_lanes *l, const char *folded_name)
{
	bool found;
	size_t i = place(l, folded_name, &found);
	if (!found)
		return insert_at(l, i, folded_name);
	struct trib_lanes_table *t = l->tables[i];
	if (t->refs) {
		struct trib_lanes_table *own = new_table(folded_name);
		if (!own)
			return NULL;
		own->rows = t->rows;
		memcpy(own->lanes, t->lanes, sizeof(own->lanes));
		t->refs--;
		t = l->tables[i] = own;
	}
	t->known = false;
	return t;
}

int trib_lanes_carry(struct trib_lanes *to, const struct trib_lanes *from, const char *folded_name, struct trib_err *err)
{
	bool found;
	size_t i = place(to, folded_name, &found), at = place(from, folded_name, &found);
	if (!(found ? room_at(to, i) : insert_at(to, i, folded_name) != NULL))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest of %s", folded_name);
	if (!found)
		return 0;
	to->tables[i] = from->tables[at];
	to->tables[i]->refs++;
	to->ntables++;
	return 0;
}

int trib_lanes_copy(const struct trib_lanes *from, struct trib_lanes *ret, struct trib_err *err)
{
	struct trib_lanes copy = {0};
	for (size_t i = 0; i < from->ntables; i++) {
		if (!room_at(&copy, i)) {
			trib_lanes_release(&copy);
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		}
		copy.tables[copy.ntables++] = from->tables[i];
		from->tables[i]->refs++;
	}
	*ret = copy;
	return 0;
}

/* Lanes as bytes, little-endian on every machine. */
static void lanes_bytes(const struct trib_lanes_table *t, uint8_t ret[VECTOR])
{
	for (size_t i = 0; i < TRIB_LANES; i++) {
		ret[2 * i] = (uint8_t)t->lanes[i];
		ret[2 * i + 1] = (uint8_t)(t->lanes[i] >> 8);
	}
}

void trib_lanes_put(struct trib_buf *b, const struct trib_lanes *l)
{
	trib_buf_puts(b, MAGIC);
	for (size_t i = 0; i < l->ntables; i++) {
		uint8_t bytes[VECTOR];
		size_t n = strlen(l->tables[i]->name);
		trib_buf_be32(b, (uint32_t)n);
		trib_buf_put(b, l->tables[i]->name, n);
		trib_buf_be64(b, l->tables[i]->rows);
		lanes_bytes(l->tables[i], bytes);
		trib_buf_put(b, bytes, sizeof(bytes));
	}
}

static bool folded(struct trib_span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == 0 || (name.p[i] >= 'A' && name.p[i] <= 'Z'))
			return false;
	return true;
}

static int parse_table(struct trib_reader *r, struct trib_lanes *l, struct trib_err *err)
{
	uint32_t n = trib_read_be32(r);
	if (r->failed || n > TRIB_LANES_NAME_MAX)
		return trib_fail(err, TRIB_E_FORMAT, "digest lanes: a table name is cut or too long");
	char name[TRIB_LANES_NAME_MAX + 1] = {0};
	struct trib_span bytes = trib_read(r, n);
	uint64_t rows = trib_read_be64(r);
	struct trib_span lanes = trib_read(r, VECTOR);
	if (r->failed)
		return trib_fail(err, TRIB_E_FORMAT, "digest lanes: cut short in table %zu", l->ntables + 1);
	if (!folded(bytes))
		return trib_fail(err, TRIB_E_FORMAT, "digest lanes: the name of table %zu is not folded", l->ntables + 1);
	if (bytes.n)
		memcpy(name, bytes.p, bytes.n);
	if (l->ntables && strcmp(l->tables[l->ntables - 1]->name, name) >= 0)
		return trib_fail(err, TRIB_E_FORMAT, "digest lanes: table %zu is out of order", l->ntables + 1);
	if (rows > INT64_MAX)
		return trib_fail(err, TRIB_E_FORMAT, "digest lanes: table %zu has more rows than 2^63-1", l->ntables + 1);
	if (l->ntables >= TRIB_LANES_TABLES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "digest lanes: more than %zu tables", (size_t)TRIB_LANES_TABLES_MAX);
	struct trib_lanes_table *t = insert_at(l, l->ntables, name);
	if (!t)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	t->rows = rows;
	for (size_t i = 0; i < TRIB_LANES; i++)
		t->lanes[i] = (uint16_t)(lanes.p[2 * i] | (unsigned)lanes.p[2 * i + 1] << 8);
	return 0;
}

int trib_lanes_parse(struct trib_span bytes, struct trib_lanes *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_lanes) struct trib_lanes l = {0};
	if (bytes.n > TRIB_LANES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "digest lanes: %zu bytes are over the limit of %zu", bytes.n, TRIB_LANES_MAX);
	if (!trib_span_starts(bytes, MAGIC))
		return trib_fail(err, TRIB_E_FORMAT, "digest lanes: not in the format tributary-lanes-1");
	struct trib_reader r = trib_reader(bytes);
	(void)trib_read(&r, strlen(MAGIC));
	while (r.rest.n)
		if (parse_table(&r, &l, err))
			return -1;
	*ret = l;
	l = (struct trib_lanes){0};
	return 0;
}

void trib_digest_table(const struct trib_lanes_table *t, uint8_t ret[TRIB_SHA256_LEN])
{
	uint8_t bytes[VECTOR];
	if (t->known) {
		memcpy(ret, t->digest, TRIB_SHA256_LEN);
		return;
	}
	lanes_bytes(t, bytes);
	trib_sha256(ret, trib_span(bytes, sizeof(bytes)));
}

void trib_digest_table_keep(struct trib_lanes_table *t, uint8_t ret[TRIB_SHA256_LEN])
{
	trib_digest_table(t, ret);
	memcpy(t->digest, ret, TRIB_SHA256_LEN);
	t->known = true;
}

void trib_digest_overall(const struct trib_lanes *l, const char *app, uint8_t ret[TRIB_SHA256_LEN])
{
	struct trib_sha256_ctx *c = trib_sha256_new();
	TRIB_AUTO(trib_buf) struct trib_buf line = TRIB_BUF(SIZE_MAX);
	for (size_t i = 0; i < l->ntables; i++) {
		struct trib_lanes_table *t = l->tables[i];
		if (t->rows == 0)
			continue;
		uint8_t sum[TRIB_SHA256_LEN];
		trib_digest_table_keep(t, sum);
		trib_buf_reset(&line);
		trib_buf_printf(&line, "%s ", app);
		trib_pct(&line, trib_span_str(t->name));
		trib_buf_printf(&line, " %llu ", (unsigned long long)t->rows);
		trib_buf_hex(&line, sum, sizeof(sum));
		trib_buf_putc(&line, '\n');
		if (line.failed) /* a digest over less than everything must not come back as if it were whole */
			abort();
		trib_sha256_add(c, trib_buf_span(&line));
	}
	trib_sha256_end(c, ret);
}
