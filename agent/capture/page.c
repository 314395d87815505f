#include "agent/capture/page.h"

#include <math.h>

#include "agent/capture/vfs.h"

static int bad(struct trib_err *err, uint32_t pgno, const char *what)
{
	return trib_fail(err, TRIB_E_SCHEMA, "page %u: %s", pgno, what);
}

int trib_geometry_parse(struct trib_span page1, uint32_t page_count, struct trib_geometry *ret, struct trib_err *err)
{
	if (page1.n < 100 || memcmp(page1.p, "SQLite format 3", 16) != 0)
		return bad(err, 1, "not the beginning of a database");
	/* Of the encoding's field SQLite looks at two bits, and takes 0 for UTF-8. */
	uint32_t size = trib_be16(page1.p + 16), encoding = trib_be32(page1.p + 56) & 3;
	struct trib_geometry g = {.page_size = size == 1 ? TRIB_PAGE_MAX : size, .page_count = page_count, .freelist = trib_be32(page1.p + 32),
				  .nfree = trib_be32(page1.p + 36), .auto_vacuum = trib_be32(page1.p + 52) != 0, .encoding = (uint8_t)encoding};
	if (g.page_size < TRIB_PAGE_MIN || g.page_size > TRIB_PAGE_MAX || g.page_size & (g.page_size - 1) || page1.p[20] > g.page_size - TRIB_USABLE_MIN)
		return bad(err, 1, "no page size that can be");
	if (!page_count || page_count == UINT32_MAX || g.freelist > page_count || g.nfree >= page_count)
		return bad(err, 1, "a header that does not fit the file");
	g.usable = g.page_size - page1.p[20];
	*ret = g;
	return 0;
}

uint32_t trib_page_lock(const struct trib_geometry *g) { return TRIB_LOCK_BYTE_AT / g->page_size + 1; }

bool trib_page_is_map(const struct trib_geometry *g, uint32_t pgno)
{
	if (!g->auto_vacuum || pgno < 2)
		return false;
	uint32_t each = g->usable / 5 + 1, map = (pgno - 2) / each * each + 2;
	return pgno == map + (map == trib_page_lock(g));
}

int trib_page_open(struct trib_span bytes, uint32_t pgno, const struct trib_geometry *g, struct trib_page *ret, struct trib_err *err)
{
	struct trib_page pg = {.p = bytes.p, .g = g, .pgno = pgno, .head = pgno == 1 ? 100 : 0};
	if (bytes.n < g->page_size)
		return bad(err, pgno, "cut short");
	const uint8_t *h = bytes.p + pg.head;
	if (h[0] != 2 && h[0] != 5 && h[0] != 10 && h[0] != 13)
		return bad(err, pgno, "not a page of a table or index");
	pg.leaf = h[0] & 8;
	pg.table = h[0] & 1;
	pg.ncells = trib_be16(h + 3);
	pg.first = pg.head + (pg.leaf ? 8 : 12);
	if (pg.first + 2 * pg.ncells > g->usable)
		return bad(err, pgno, "more cells than it can hold");
	pg.right = pg.leaf ? 0 : trib_be32(h + 8);
	if (!pg.leaf && (pg.right < 2 || pg.right > g->page_count))
		return bad(err, pgno, "its last child is no page");
	*ret = pg;
	return 0;
}

/* A varint within [p, end): its length, 0 when it goes beyond. */
static size_t varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;
	if (p < end && !(*p & 0x80)) { /* nearly always */
		*ret = *p;
		return 1;
	}
	for (size_t i = 0; i < 9; i++) {
		if (p + i >= end)
			return 0;
		v = i == 8 ? v << 8 | p[i] : v << 7 | (p[i] & 0x7f);
		if (i == 8 || !(p[i] & 0x80)) {
			*ret = v;
			return i + 1;
		}
	}
	return 0;
}

/* How much of a payload is in the page itself. */
static uint32_t local_size(const struct trib_page *page, uint32_t payload)
{
	uint32_t u = page->g->usable, most = page->table ? u - 35 : (u - 12) * 64 / 255 - 23;
	if (payload <= most)
		return payload;
	uint32_t least = (u - 12) * 32 / 255 - 23;
	uint32_t n = least + (payload - least) % (u - 4);
	return n <= most ? n : least;
}

int trib_page_cell(const struct trib_page *page, uint32_t i, struct trib_cell *ret, struct trib_err *err)
{
	struct trib_cell c = {.has_payload = page->leaf || !page->table};
	const uint8_t *at, *end = page->p + page->g->usable;
	uint32_t offset = i < page->ncells ? trib_be16(page->p + page->first + 2 * i) : 0;
	uint64_t v = 0;
	offset = offset || i >= page->ncells ? offset : TRIB_PAGE_MAX;
	if (offset < page->first + 2 * page->ncells || offset + 4 > page->g->usable)
		return bad(err, page->pgno, "a cell outside the page");
	at = page->p + offset;
	if (!page->leaf) {
		c.child = trib_be32(at);
		at += 4;
		if (c.child < 2 || c.child > page->g->page_count)
			return bad(err, page->pgno, "a child that is no page");
	}
	if (c.has_payload) {
		size_t n = varint(at, end, &v);
		if (!n || v > TRIB_PAYLOAD_MAX || v > (uint64_t)page->g->page_count * page->g->usable)
			return bad(err, page->pgno, "a cell larger than the file");
		c.payload = (uint32_t)v;
		at += n;
	}
	if (page->table) {
		size_t n = varint(at, end, &v);
		if (!n)
			return bad(err, page->pgno, "a cell outside the page");
		c.rowid = (int64_t)v;
		at += n;
	}
	if (c.has_payload) {
		uint32_t local = local_size(page, c.payload), more = local < c.payload ? 4 : 0;
		if ((size_t)(end - at) < local + more)
			return bad(err, page->pgno, "a cell outside the page");
		c.local = trib_span(at, local);
		c.overflow = more ? trib_be32(at + local) : 0;
		if (more && (c.overflow < 2 || c.overflow > page->g->page_count))
			return bad(err, page->pgno, "an overflow page that is no page");
	}
	*ret = c;
	return 0;
}

uint32_t trib_cell_chain(const struct trib_geometry *g, const struct trib_cell *c)
{
	uint32_t rest = c->payload - (uint32_t)c->local.n, room = g->usable - 4;
	return rest / room + (rest % room > 0);
}

int trib_page_trunk(struct trib_span bytes, const struct trib_geometry *g, uint32_t *ret_next, struct trib_span *ret_leaves, struct trib_err *err)
{
	if (bytes.n < g->page_size)
		return trib_fail(err, TRIB_E_SCHEMA, "a page of the freelist is cut short");
	uint32_t next = trib_be32(bytes.p), n = trib_be32(bytes.p + 4);
	if (next > g->page_count || n > g->usable / 4 - 2)
		return trib_fail(err, TRIB_E_SCHEMA, "the freelist is damaged");
	*ret_next = next;
	*ret_leaves = trib_span(bytes.p + 8, (size_t)n * 4);
	return 0;
}

static int bad_record(struct trib_err *err) { return trib_fail(err, TRIB_E_SCHEMA, "a record that does not fit its size"); }

static bool take_varint(struct trib_reader *r, uint64_t *ret)
{
	size_t n = varint(r->rest.p, r->rest.p + r->rest.n, ret);
	(void)trib_read(r, n);
	return n > 0;
}

int trib_record_open(struct trib_span payload, struct trib_record *ret, struct trib_err *err)
{
	struct trib_reader all = trib_reader(payload);
	uint64_t size = 0;
	if (!payload.n || !take_varint(&all, &size) || size > payload.n || size < payload.n - all.rest.n)
		return bad_record(err);
	struct trib_span head = trib_read(&all, (size_t)size - (payload.n - all.rest.n));
	*ret = (struct trib_record){.head = trib_reader(head), .body = all};
	return 0;
}

static int64_t integer(struct trib_span s)
{
	uint64_t v = s.n && s.p[0] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	return (int64_t)v;
}

static struct trib_value number(uint64_t type, struct trib_span s)
{
	struct trib_value v = {.type = TRIB_INT};
	if (type == 8 || type == 9) {
		v.i = (int64_t)type - 8;
	} else if (type == 7) {
		uint64_t bits = trib_be64(s.p);
		v.type = TRIB_REAL;
		memcpy(&v.r, &bits, sizeof(v.r));
		if (isnan(v.r))
			v.type = TRIB_NULL;
	} else {
		v.i = integer(s);
	}
	return v;
}

int trib_record_next(struct trib_record *r, struct trib_value *ret, struct trib_err *err)
{
	static const uint8_t sizes[10] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
	uint64_t type = 0;
	if (!r->head.rest.n)
		return 0;
	if (++r->fields > TRIB_FIELDS_MAX || !take_varint(&r->head, &type) || type == 10 || type == 11)
		return bad_record(err);
	uint64_t n = type < 10 ? sizes[type] : (type - 12) / 2;
	if (n > r->body.rest.n || (!r->head.rest.n && n < r->body.rest.n)) /* nor may bytes be left over */
		return bad_record(err);
	struct trib_span s = trib_read(&r->body, (size_t)n);
	if (type == 0)
		*ret = (struct trib_value){.type = TRIB_NULL};
	else if (type < 10)
		*ret = number(type, s);
	else
		*ret = (struct trib_value){.type = type & 1 ? TRIB_TEXT : TRIB_BLOB, .s = s};
	return 1;
}
