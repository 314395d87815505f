/* Two states of a database, one after the other: the old file is as long as its header says (or half of the input), the rest is the new one. Trees are
 * walked, changed pages explained, rows matched by pages alone; then the engine itself runs. Whatever the pages hold, it ends, within its bounds. Where
 * SQLite calls both files sound, no page is refused, every changed page is explained and the page engine says byte for byte what the full engine says. */
#include "tests/fuzz/fuzz.h"
#include "tests/lib/pages.h"

#define VALUE_MAX (1024 * 1024)
#define STEPS_MAX 20000 /* of 1000 instructions of SQLite's: a crafted index may call functions that take long */

static void split(struct trib_span in, struct trib_span *ret_old, struct trib_span *ret_new)
{
	uint64_t size = in.n < 100 ? 0 : trib_be16(in.p + 16), n = in.n < 100 ? 0 : trib_be32(in.p + 28) * (size == 1 ? TRIB_PAGE_MAX : size);
	if (!n || n >= in.n)
		n = in.n / 2;
	*ret_old = trib_span(in.p, (size_t)n);
	*ret_new = trib_span(in.p + n, in.n - (size_t)n);
}

static int count_steps(void *left) { return (*(unsigned *)left)-- == 0; }

static void bound(sqlite3 *db, unsigned *left)
{
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_progress_handler(db, 1000, count_steps, left);
}

static bool sound(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	bool ok = !sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL) && sqlite3_step(st) == SQLITE_ROW &&
		  strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	sqlite3_finalize(st);
	return ok;
}

static bool same_tables(const struct states *t)
{
	const struct trib_schema *a = &t->schema[TRIB_OLD], *b = &t->schema[TRIB_NEW];
	bool same = a->ntables == b->ntables && a->ntables == t->npairs && !a->nleft_out && !b->nleft_out && strcmp(a->text.encoding, b->text.encoding) == 0;
	for (size_t i = 0; i < b->ntables && same; i++)
		same = b->tables[i].sql && t->pairs[i].old->sql && strcmp(b->tables[i].sql, t->pairs[i].old->sql) == 0;
	return same;
}

/* By pages alone. */
static void by_pages(struct states *t, bool is_sound)
{
	struct trib_err err;
	uint64_t rows = 0;
	if (states_look(t, &err)) {
		MUST(!is_sound || strstr(err.msg, "a header that does not fit")); /* of which SQLite's check does not speak */
		return;
	}
	const struct trib_pages *p = &t->p;
	MUST(p->unexplained <= t->d.nchanged);
	MUST(!is_sound || !same_tables(t) || !p->unexplained);
	for (int side = 0; side < 2; side++)
		for (uint32_t i = 1; i <= p->side[side].g.page_count; i++)
			MUST(p->side[side].owner[i] < TRIB_OWNER_TABLE + t->npairs);
	for (size_t i = 0; i < t->npairs; i++)
		for (int side = 0; side < 2; side++)
			MUST(t->pairs[i].pages[side].n <= p->side[side].g.page_count);
	if (!states_match(t, &rows, &err))
		MUST(rows <= (uint64_t)(p->side[0].g.page_count + p->side[1].g.page_count) * TRIB_PAGE_MAX);
	for (int side = 0; side < 2; side++)
		MUST(p->side[side].steps + 1 <= 8 * (uint64_t)p->side[side].g.page_count + 1); /* one below zero when used up */
}

static int compare(const struct trib_engine *e, struct states *t, struct trib_capture *ret)
{
	struct trib_err err;
	return e->compare(t->db[TRIB_OLD], &t->schema[TRIB_OLD], t->db[TRIB_NEW], &t->schema[TRIB_NEW], &t->d, ret, &err);
}

static void by_engine(struct states *t, bool is_sound)
{
	TRIB_AUTO(trib_capture) struct trib_capture page = {.delta.fd = -1};
	TRIB_AUTO(trib_capture) struct trib_capture full = {.delta.fd = -1};
	int rc = compare(&trib_engine_page, t, &page);
	if (!is_sound)
		return;
	MUST(compare(&trib_engine_full, t, &full) == rc);
	MUST(rc || (page.nparts == full.nparts && page.rows_found == full.rows_found && page.nleft_out == full.nleft_out));
	for (size_t i = 0; !rc && i < full.nparts; i++)
		MUST(trib_span_eq(trib_buf_span(&page.parts[i].changeset), trib_buf_span(&full.parts[i].changeset)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	__attribute__((cleanup(states_cleanup))) struct states t = {0};
	struct trib_span old, new;
	struct trib_err err;
	unsigned left = STEPS_MAX;
	split(trib_span(data, size), &old, &new);
	if (states_open(old, new, &t, &err))
		return 0;
	bound(t.db[TRIB_OLD], &left);
	bound(t.db[TRIB_NEW], &left);
	bool is_sound = sound(t.db[TRIB_OLD]) && sound(t.db[TRIB_NEW]);
	by_pages(&t, is_sound);
	by_engine(&t, is_sound && left > STEPS_MAX / 2);
	return 0;
}
