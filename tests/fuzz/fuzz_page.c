/* Every page of a file, every cell, every record: nothing read outside its page, everything found within its bounds. The first two bytes choose the
 * page's number and the shape of the file; the rest is the page. A whole database may be fed, too: it begins with its magic. */
#include "agent/capture/page.h"
#include "tests/fuzz/fuzz.h"

static void record(struct trib_span payload)
{
	struct trib_err err;
	struct trib_record r;
	struct trib_value v;
	uint64_t sum = 0;
	int rc;
	if (trib_record_open(payload, &r, &err))
		return;
	while ((rc = trib_record_next(&r, &v, &err)) == 1) {
		MUST(v.type >= TRIB_INT && v.type <= TRIB_NULL && r.fields <= TRIB_FIELDS_MAX);
		if (v.type != TRIB_TEXT && v.type != TRIB_BLOB)
			continue;
		for (size_t i = 0; i < v.s.n; i++)
			sum += v.s.p[i];
		MUST(v.s.n <= payload.n && sum <= 255 * (uint64_t)payload.n);
	}
	MUST(r.fields <= payload.n);
}

static void page(struct trib_span bytes, uint32_t pgno, const struct trib_geometry *g)
{
	struct trib_err err;
	struct trib_page pg;
	struct trib_cell c;
	uint32_t next;
	struct trib_span leaves;
	(void)trib_page_is_map(g, pgno);
	if (!trib_page_trunk(bytes, g, &next, &leaves, &err))
		MUST(leaves.n % 4 == 0 && leaves.p + leaves.n <= bytes.p + g->usable && next <= g->page_count);
	if (trib_page_open(bytes, pgno, g, &pg, &err))
		return;
	MUST(trib_page_cell(&pg, pg.ncells, &c, &err) == -1 || pg.ncells == 0);
	for (uint32_t i = 0; i < pg.ncells; i++) {
		if (trib_page_cell(&pg, i, &c, &err))
			continue;
		MUST(c.local.n <= c.payload && (c.overflow != 0) == (c.local.n < c.payload) && c.has_payload == (pg.leaf || !pg.table));
		MUST(!c.local.n || (c.local.p >= bytes.p && c.local.p + c.local.n <= bytes.p + g->usable));
		MUST(pg.leaf || (c.child > 1 && c.child <= g->page_count));
		MUST((uint64_t)trib_cell_chain(g, &c) * (g->usable - 4) + c.local.n >= c.payload && trib_cell_chain(g, &c) <= 2 * (uint64_t)g->page_count + 1);
		record(c.local);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err;
	struct trib_geometry g;
	if (!trib_geometry_parse(trib_span(data, size), (uint32_t)(size / TRIB_PAGE_MIN) + 1, &g, &err)) {
		MUST(g.usable >= TRIB_USABLE_MIN && g.usable <= g.page_size && g.page_size <= TRIB_PAGE_MAX);
		g.page_count = (uint32_t)(size / g.page_size);
		for (uint32_t i = 0; i < g.page_count; i++)
			page(trib_span(data + (size_t)i * g.page_size, g.page_size), i + 1, &g);
	}
	if (size < 2)
		return 0;
	g = (struct trib_geometry){.page_size = TRIB_PAGE_MIN << (data[0] & 7), .page_count = 1u << (data[0] >> 3 & 15), .auto_vacuum = data[1] & 1};
	g.usable = g.page_size - (data[1] >> 3);
	record(trib_span(data + 2, size - 2));
	TRIB_AUTO(trib_mem) uint8_t *whole = calloc(1, g.page_size);
	MUST(whole);
	memcpy(whole, data + 2, size - 2 < g.page_size ? size - 2 : g.page_size);
	page(trib_span(whole, g.page_size), data[1] & 2 ? 1 : 2, &g);
	return 0;
}
