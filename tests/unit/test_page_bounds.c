/* test_page_bounds.c: what the page engine refuses in a crafted file, and that in a sound one every page has an owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>

#include "tests/lib/pages.h"
#include "tests/lib/scratch.h"

#define SIZE 512
#define ROWS(n) "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < " #n ") "

/* An application's database as bytes: before, and after `sql`. */
struct app {
	sqlite3 *db;
	struct trib_buf old, new;
};

static void keep(sqlite3 *db, struct trib_buf *ret)
{
	sqlite3_int64 n = 0;
	uint8_t *p = sqlite3_serialize(db, "main", &n, 0);
	assert_non_null(p);
	trib_buf_reset(ret);
	trib_buf_put(ret, p, (size_t)n);
	OK(trib_buf_check(ret, "a file", err));
	sqlite3_free(p);
}

static struct app app_make(const char *before, const char *after)
{
	struct app a = {.old = TRIB_BUF(8 * TRIB_MIB), .new = TRIB_BUF(8 * TRIB_MIB), .db = sql_open(":memory:")};
	sql_run(a.db, "PRAGMA page_size=512");
	sql_run(a.db, before);
	keep(a.db, &a.old);
	if (after)
		sql_run(a.db, after);
	keep(a.db, &a.new);
	return a;
}

static void app_free(struct app *a)
{
	sqlite3_close(a->db);
	trib_buf_release(&a->old);
	trib_buf_release(&a->new);
}

static uint8_t *page_of(struct trib_buf *b, uint32_t pgno) { return b->p + (size_t)(pgno - 1) * SIZE; }

static uint32_t root_of(struct app *a, const char *name)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(a->db, "SELECT rootpage FROM sqlite_schema WHERE name = ?1", -1, &st, NULL), 0);
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	uint32_t root = (uint32_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return root;
}

/* First page of the chain of a leaf's last cell: the number is at the cell's end, and that cell at the page's. */
static uint32_t chain_of(uint8_t *leaf) { return trib_be32(leaf + SIZE - 4); }

static void open_states(struct app *a, struct states *t) { OK(states_open(trib_buf_span(&a->old), trib_buf_span(&a->new), t, err)); }

/* Opens, looks and compares; expects a refusal with this code and word. */
static void refused(struct app *a, enum trib_code code, const char *word)
{
	__attribute__((cleanup(states_cleanup))) struct states t = {0};
	struct trib_err err = {0};
	uint64_t rows;
	open_states(a, &t);
	assert_int_equal(states_look(&t, &err) || states_match(&t, &rows, &err) ? -1 : 0, -1);
	if (err.code != code || !strstr(err.msg, word))
		fail_msg("%s, not %s: %s", trib_code_name(err.code), word, err.msg);
}

/* ---- chains ---- */

/* Ten rows of one leaf with one chain of a hundred pages: more steps than eight times the file. */
#define LONG_CHAIN "CREATE TABLE a(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, zeroblob(50834));" \
		   "CREATE TABLE b(id INTEGER PRIMARY KEY, v); INSERT INTO b VALUES(1, zeroblob(3000))"
#define SHARERS 10

static struct app app_shared(void)
{
	struct app a = app_make(LONG_CHAIN, NULL);
	uint32_t root = root_of(&a, "a");
	assert_int_equal(page_of(&a.old, root)[0], 13);
	leaf_share_chain(page_of(&a.old, root), SIZE, SHARERS);
	memcpy(page_of(&a.new, root), page_of(&a.old, root), SIZE);
	assert_true(trib_be16(page_of(&a.new, root) + 5) >= 8 + 2 * SHARERS); /* they fit */
	assert_true(SHARERS * 100 > 8 * (a.old.len / SIZE));
	return a;
}

/* Equal cells: whether their chain is the same is asked page by page. */
static void a_shared_chain_is_asked_no_more_often_than_the_budget(void **state)
{
	(void)state;
	struct app a = app_shared();
	uint8_t *leaf = page_of(&a.new, root_of(&a, "a"));
	leaf[trib_be16(leaf + 8 + 2 * (SHARERS - 1)) + 30] ^= 1; /* the last row differs, so that the page does */
	refused(&a, TRIB_E_LIMIT, "overflow chains longer than the file");
	app_free(&a);
}

/* Cells that differ: each is read with all of its chain. */
static void a_shared_chain_is_read_no_more_often_than_the_budget(void **state)
{
	(void)state;
	struct app a = app_shared();
	uint8_t *leaf = page_of(&a.new, root_of(&a, "a"));
	for (size_t i = 0; i < SHARERS; i++)
		leaf[trib_be16(leaf + 8 + 2 * i) + 30] ^= 1;
	refused(&a, TRIB_E_LIMIT, "overflow chains longer than the file");
	app_free(&a);
}

/* The budget is for crafted files: what a sound one needs is within it. */
static void a_chain_of_its_own_is_within_the_budget(void **state)
{
	(void)state;
	struct app a = app_make("CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;"
				ROWS(40) "INSERT INTO w SELECT i, zeroblob(20000) FROM s; INSERT INTO a SELECT k, zeroblob(2000) FROM w",
				"UPDATE a SET v = zeroblob(1999); UPDATE w SET v = zeroblob(19999)");
	struct states t = {0};
	uint64_t rows = 0;
	open_states(&a, &t);
	OK(states_look(&t, err));
	assert_int_equal(t.p.unexplained, 0);
	OK(states_match(&t, &rows, err));
	assert_int_equal(rows, 80);
	states_close(&t);
	app_free(&a);
}

static void a_page_of_two_chains_is_refused(void **state)
{
	(void)state;
	struct app a = app_shared();
	uint8_t *leaf = page_of(&a.new, root_of(&a, "a"));
	page_of(&a.new, chain_of(leaf))[100] ^= 1;
	page_of(&a.new, chain_of(page_of(&a.new, root_of(&a, "b"))))[100] ^= 1; /* one more to be explained: the search goes on after the first cell */
	refused(&a, TRIB_E_SCHEMA, "belongs to two chains or lists");
	app_free(&a);
}

static void a_chain_that_leads_into_itself_is_refused(void **state)
{
	(void)state;
	struct app a = app_make(LONG_CHAIN, NULL);
	uint32_t first = chain_of(page_of(&a.new, root_of(&a, "a"))), second = trib_be32(page_of(&a.new, first));
	trib_put_be32(page_of(&a.new, second), first);
	refused(&a, TRIB_E_SCHEMA, "belongs to two chains or lists");
	trib_put_be32(page_of(&a.new, second), second);
	refused(&a, TRIB_E_SCHEMA, "belongs to two chains or lists");
	app_free(&a);
}

static void a_chain_that_leads_out_of_the_file_is_refused(void **state)
{
	static const uint32_t nowhere[] = {0, 1, 0x7fffffff, 0xffffffff};
	(void)state;
	struct app a = app_make(LONG_CHAIN, NULL);
	uint32_t first = chain_of(page_of(&a.new, root_of(&a, "a")));
	for (size_t i = 0; i < TRIB_COUNT(nowhere); i++) {
		trib_put_be32(page_of(&a.new, first), nowhere[i]);
		refused(&a, TRIB_E_SCHEMA, "page ");
	}
	app_free(&a);
}

/* ---- the freelist ---- */

#define MANY_FREE "PRAGMA secure_delete=1; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);" ROWS(40) \
		  "INSERT INTO a SELECT i, zeroblob(5000) FROM s; INSERT INTO b SELECT id, 'b' FROM a"

static void a_freelist_explains_its_pages(void **state)
{
	(void)state;
	struct app a = app_make(MANY_FREE, "DELETE FROM a WHERE id > 3");
	struct states t = {0};
	uint64_t rows = 0;
	open_states(&a, &t);
	assert_true(trib_be32(a.new.p + 36) > 300); /* more than one trunk */
	OK(states_look(&t, err));
	assert_int_equal(t.p.unexplained, 0);
	for (uint32_t i = 0; i < t.p.nflags; i++)
		assert_false(t.p.flags[i] & TRIB_PAGE_UNSKIP);
	OK(states_match(&t, &rows, err));
	assert_int_equal(rows, 37);
	states_close(&t);
	app_free(&a);
}

static void a_freelist_that_leads_into_itself_is_refused(void **state)
{
	(void)state;
	struct app a = app_make(MANY_FREE, "DELETE FROM a WHERE id > 3");
	uint32_t trunk = trib_be32(a.new.p + 32), next = trib_be32(page_of(&a.new, trunk)), leaf = trib_be32(page_of(&a.new, trunk) + 8);
	assert_true(trunk && next && leaf);
	trib_put_be32(page_of(&a.new, trunk), trunk);
	refused(&a, TRIB_E_SCHEMA, "belongs to two chains or lists");
	trib_put_be32(page_of(&a.new, trunk), next);
	uint32_t after = trib_be32(page_of(&a.new, next));
	trib_put_be32(page_of(&a.new, next), trunk); /* a round of two */
	refused(&a, TRIB_E_SCHEMA, "belongs to two chains or lists");
	trib_put_be32(page_of(&a.new, next), after);
	trib_put_be32(page_of(&a.new, trunk) + 12, leaf); /* the same leaf twice */
	refused(&a, TRIB_E_SCHEMA, "belongs to two chains or lists");
	trib_put_be32(page_of(&a.new, trunk) + 12, root_of(&a, "b")); /* a page in use */
	refused(&a, TRIB_E_SCHEMA, "belongs to two chains or lists");
	trib_put_be32(page_of(&a.new, trunk) + 4, SIZE / 4); /* more leaves than fit */
	refused(&a, TRIB_E_SCHEMA, "the freelist is damaged");
	app_free(&a);
}

/* ---- pages that belong to no tree by their number ---- */

static void pointer_maps_are_explained(void **state)
{
	(void)state;
	struct app a = app_make("PRAGMA auto_vacuum=1; CREATE TABLE gone(v); INSERT INTO gone VALUES(zeroblob(90000)); CREATE TABLE a(id INTEGER PRIMARY KEY, v);"
				ROWS(40) "INSERT INTO a SELECT i, zeroblob(5000) FROM s", "DROP TABLE gone; UPDATE a SET v = zeroblob(5001) WHERE id = 7");
	struct states t = {0};
	uint64_t rows = 0;
	uint32_t maps = 0;
	open_states(&a, &t);
	OK(states_look(&t, err));
	assert_true(t.p.side[TRIB_NEW].g.auto_vacuum);
	for (uint32_t i = 0; i < t.d.nchanged; i++)
		maps += trib_page_is_map(&t.p.side[TRIB_NEW].g, t.d.pgno[i]);
	assert_true(maps > 1);
	assert_int_equal(t.p.unexplained, 0);
	OK(states_match(&t, &rows, err));
	assert_int_equal(rows, 2); /* with the row of `gone` */
	states_close(&t);
	/* A tree may not have one. */
	uint8_t number[4];
	trib_put_be32(number, 2);
	uint8_t *root = page_of(&a.new, root_of(&a, "a"));
	assert_int_equal(root[0], 5);
	memcpy(root + 8, number, 4);
	refused(&a, TRIB_E_SCHEMA, "belongs to two trees");
	app_free(&a);
}

/* A file of more than 1 GiB, nearly all of it a hole: SQLite believes its header, and goes on at the end. Rows then lie on both sides of the lock
 * byte's page, which SQLite itself leaves out; with 1 KiB pages and auto_vacuum a pointer map would be there, and is one page further. */
static void make_huge(const char *path, uint32_t page_size)
{
	char sql[512];
	uint8_t count[4];
	uint32_t pages = TRIB_LOCK_BYTE_AT / page_size - 3;
	(void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%u; PRAGMA auto_vacuum=%d; CREATE TABLE a(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, 'x')",
		       page_size, page_size == 1024);
	sqlite3 *db = sql_open(path);
	sql_run(db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY");
	sql_run(db, sql);
	sqlite3_close(db);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	trib_put_be32(count, pages);
	assert_int_equal(pwrite(fd, count, 4, 28), 4);
	assert_int_equal(ftruncate(fd, (off_t)pages * page_size), 0);
	assert_int_equal(close(fd), 0);
}

static void open_huge(const char *path, uint32_t *ret_count, uint32_t page_size, sqlite3 **ret)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(sqlite3_open_v2(path, ret, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	OK(trib_db_exec(*ret, "PRAGMA schema_version", err));
	*ret_count = (uint32_t)(st.st_size / page_size);
}

static void no_tree_has_the_page_of_the_lock_byte(const char *path, const char *before, uint32_t size)
{
	struct trib_delta d = {.fd = -1, .page_size = size, .base_page_size = size};
	struct trib_pages p = {0};
	struct trib_pglist list = {0};
	sqlite3 *old = NULL, *new = NULL;
	uint32_t lock = TRIB_LOCK_BYTE_AT / size + 1, changed[] = {2 + (size == 1024), lock - 1, lock, lock + 1, lock + 2};
	open_huge(before, &d.base_page_count, size, &old);
	open_huge(path, &d.page_count, size, &new);
	assert_true(d.base_page_count < lock && d.page_count > lock + 2);
	d.pgno = changed;
	d.nchanged = TRIB_COUNT(changed);
	OK(trib_pages_open(old, new, &d, &p, err));
	const struct trib_geometry *g = &p.side[TRIB_NEW].g;
	assert_int_equal(trib_page_lock(g), lock);
	assert_int_equal(p.side[TRIB_NEW].owner[lock], TRIB_OWNER_OTHER);
	assert_int_equal(p.side[TRIB_NEW].owner[lock + 1], size == 1024 ? TRIB_OWNER_OTHER : TRIB_OWNER_NONE);
	assert_false(trib_page_is_map(g, lock));
	assert_int_equal(trib_page_is_map(g, lock + 1), size == 1024);
	OK(trib_pages_walk(&p, TRIB_NEW, 1, TRIB_OWNER_OTHER, NULL, err));
	OK(trib_pages_walk(&p, TRIB_NEW, changed[0], TRIB_OWNER_TABLE, &list, err));
	const struct trib_pglist *lists[] = {&list};
	OK(trib_pages_explain(&p, lists, 1, err));
	assert_int_equal(p.unexplained, 0);
	assert_int_equal(p.side[TRIB_NEW].owner[lock - 1] == TRIB_OWNER_TABLE, 1);
	assert_int_equal(p.side[TRIB_NEW].owner[lock + 2] == TRIB_OWNER_TABLE, 1); /* on both sides of it */
	struct trib_err err = {0};
	assert_int_equal(trib_pages_walk(&p, TRIB_NEW, lock, TRIB_OWNER_TABLE + 1, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "belongs to two trees"));
	trib_pglist_release(&list);
	trib_pages_release(&p);
	sqlite3_close(old);
	sqlite3_close(new);
}

static void the_page_of_the_lock_byte_belongs_to_nothing(void **state)
{
	static const uint32_t sizes[] = {65536, 1024};
	(void)state;
	for (size_t i = 0; i < TRIB_COUNT(sizes); i++) {
		char dir[64], before[96], after[96];
		(void)snprintf(dir, sizeof(dir), "%s/trib-huge-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		assert_non_null(mkdtemp(dir));
		(void)snprintf(before, sizeof(before), "%s/before.db", dir);
		(void)snprintf(after, sizeof(after), "%s/after.db", dir);
		make_huge(before, sizes[i]);
		make_huge(after, sizes[i]);
		sqlite3 *app = sql_open(after);
		sql_run(app, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; PRAGMA cell_size_check=1;" ROWS(1000) "INSERT INTO a SELECT i + 1, zeroblob(450) FROM s");
		sqlite3_close(app);
		no_tree_has_the_page_of_the_lock_byte(after, before, sizes[i]);
		OK(trib_fs_remove_tree(dir, err));
	}
}

/* The same bytes mean something else when pages are larger, end earlier, or hold text in another encoding. */
static void pages_of_another_shape_are_never_the_same(void **state)
{
	static const struct { size_t at; uint8_t bytes[2]; bool comparable; } shapes[] = {
		{20, {4, 64}, true} /* as it was */, {20, {0, 64}, false}, {16, {4, 0}, false}, {58, {0, 2}, false}, {58, {0, 3}, false},
	};
	(void)state;
	struct app a = app_make("CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(99) "INSERT INTO a SELECT i, 'v' FROM s", NULL);
	a.old.p[20] = a.new.p[20] = 4;
	assert_int_equal(a.new.p[21], 64);
	for (size_t i = 0; i < TRIB_COUNT(shapes); i++) {
		struct states t = {.bytes = {TRIB_BUF(TRIB_MIB), TRIB_BUF(TRIB_MIB)}};
		trib_buf_put_span(&t.bytes[TRIB_OLD], trib_buf_span(&a.old));
		trib_buf_put_span(&t.bytes[TRIB_NEW], trib_buf_span(&a.new));
		memcpy(t.bytes[TRIB_NEW].p + shapes[i].at, shapes[i].bytes, 2);
		OK(states_db(&t.bytes[TRIB_OLD], &t.db[TRIB_OLD], err));
		OK(states_db(&t.bytes[TRIB_NEW], &t.db[TRIB_NEW], err));
		uint32_t size = trib_be16(t.bytes[TRIB_NEW].p + 16);
		t.d = (struct trib_delta){.fd = -1, .base_page_size = SIZE, .page_size = size, .base_page_count = (uint32_t)(a.old.len / SIZE),
					  .page_count = (uint32_t)(a.new.len / size)}; /* no page's bytes differ */
		OK(trib_pages_open(t.db[TRIB_OLD], t.db[TRIB_NEW], &t.d, &t.p, err));
		assert_int_equal(t.p.comparable, shapes[i].comparable);
		assert_int_equal(trib_pages_same(&t.p, 3), shapes[i].comparable);
		states_close(&t);
	}
	app_free(&a);
}

/* ---- records and cells ---- */

/* SQLite keeps two serial types for itself: in a file they mean nothing. */
static void serial_types_that_are_kept_back_are_refused(void **state)
{
	(void)state;
	struct trib_value v;
	for (uint8_t type = 0; type < 14; type++) {
		static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0, 0, 0};
		uint8_t bytes[10] = {2, type};
		struct trib_record r;
		struct trib_err why = {0};
		OK(trib_record_open(trib_span(bytes, 2 + (size_t)sizes[type]), &r, err));
		assert_int_equal(trib_record_next(&r, &v, &why), type == 10 || type == 11 ? -1 : 1);
	}
}

static int match_with(struct app *a, uint32_t cells_max, uint64_t *ret_rows, struct trib_err *ret_why)
{
	__attribute__((cleanup(states_cleanup))) struct states t = {0};
	open_states(a, &t);
	OK(states_look(&t, err));
	assert_int_equal(t.p.cells_max, 16 << 20); /* 16 bytes each: 256 MiB */
	t.p.cells_max = cells_max;
	return states_match(&t, ret_rows, ret_why);
}

static void no_more_cells_are_remembered_than_the_limit(void **state)
{
	(void)state;
	struct app a = app_make("CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;" ROWS(500) "INSERT INTO w SELECT i, 'v' FROM s", "UPDATE w SET v = 'w'");
	struct trib_err why = {0};
	uint64_t rows = 0;
	OK(match_with(&a, 500, &rows, err));
	assert_int_equal(rows, 500);
	assert_int_equal(match_with(&a, 499, &rows, &why), -1);
	assert_int_equal(why.code, TRIB_E_LIMIT);
	assert_non_null(strstr(why.msg, "more than 499 cells differ"));
	app_free(&a);
}

int main(void)
{
	(void)alarm(60); /* a bound that is missing shows by no end */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_chain_is_asked_no_more_often_than_the_budget), cmocka_unit_test(a_shared_chain_is_read_no_more_often_than_the_budget),
		cmocka_unit_test(a_chain_of_its_own_is_within_the_budget), cmocka_unit_test(a_page_of_two_chains_is_refused),
		cmocka_unit_test(a_chain_that_leads_into_itself_is_refused), cmocka_unit_test(a_chain_that_leads_out_of_the_file_is_refused),
		cmocka_unit_test(a_freelist_explains_its_pages), cmocka_unit_test(a_freelist_that_leads_into_itself_is_refused),
		cmocka_unit_test(pointer_maps_are_explained), cmocka_unit_test(the_page_of_the_lock_byte_belongs_to_nothing),
		cmocka_unit_test(pages_of_another_shape_are_never_the_same),
		cmocka_unit_test(serial_types_that_are_kept_back_are_refused), cmocka_unit_test(no_more_cells_are_remembered_than_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
