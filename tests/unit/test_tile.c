#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/format/tile.h"

static void check(const char *path, bool entries, unsigned level, uint64_t n, unsigned width)
{
	struct trib_tile t;
	char again[TRIB_TILE_PATH_MAX];
	if (!trib_tile_parse(trib_span_str(path), &t))
		fail_msg("%s is refused", path);
	assert_int_equal(t.entries, entries);
	assert_int_equal(t.level, level);
	assert_int_equal(t.n, n);
	assert_int_equal(t.width, width);
	trib_tile_path(again, &t);
	assert_string_equal(again, path);
}

/* The names that C2SP's text and Go's sumdb give as examples. */
static void tiles_have_the_names_of_the_specification(void **state)
{
	(void)state;
	check("tile/0/x001/x234/067", false, 0, 1234067, 256);
	check("tile/0/000", false, 0, 0, 256);
	check("tile/3/x123/x456/078", false, 3, 123456078, 256);
	check("tile/1/999.p/17", false, 1, 999, 17);
	check("tile/1/x001/000", false, 1, 1000, 256);
	check("tile/entries/x001/x234/067.p/255", true, 0, 1234067, 255);
	check("tile/entries/007", true, 0, 7, 256);
	check("tile/6/127", false, 6, 127, 256);
}

static void a_tile_has_one_name(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000", "tile/00/000", "tile/7/000", "tile/64/000", "tile/-1/000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/000/", "tile/0/x000/001", "tile/0/001/002",
		"tile/0/x001/x002", "tile/0/x01/002", "tile/entries/0/000", "tile/entry/000", "/tile/0/000", "tile/0/000.p/17/", "tile/0/00a",
		"tile/6/128", "tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/../000", "tile/0/000.p/ 1",
	};
	struct trib_tile t;
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		if (trib_tile_parse(trib_span_str(wrong[i]), &t))
			fail_msg("%s is a tile", wrong[i]);
	assert_false(trib_tile_parse(trib_span("tile/0/000\0", 11), &t));
}

/* "a tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width 112, one full level 1 tile, one partial
 * level 1 tile of width 17, and one partial level 2 tile of width 1." */
static void a_tree_of_70000_has_the_tiles_of_the_specification(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 273; n++)
		assert_int_equal(trib_tile_filled(&(struct trib_tile){.n = n}, 70000), 256);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.n = 273}, 70000), 112);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.n = 274}, 70000), 0);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.level = 1}, 70000), 256);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.level = 1, .n = 1}, 70000), 17);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.level = 2}, 70000), 1);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.level = 3}, 70000), 0);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.level = 0}, 256), 256);
	assert_int_equal(trib_tile_filled(&(struct trib_tile){.level = 1}, 256), 1);
}

static void a_bundle_is_cut_between_its_leaves(void **state)
{
	(void)state;
	static const char bundle[] = "\0\1a\0\0\0\3bcd";
	struct trib_span cut, all = trib_span(bundle, sizeof(bundle) - 1);
	const size_t at[] = {0, 3, 5, 10};
	for (unsigned w = 0; w <= 3; w++) {
		assert_true(trib_tile_cut(all, w, &cut));
		assert_int_equal(cut.n, at[w]);
	}
	assert_false(trib_tile_cut(all, 4, &cut));
	for (size_t n = 0; n < all.n; n++)
		assert_false(trib_tile_cut(trib_span(bundle, n), 3, &cut));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiles_have_the_names_of_the_specification),
		cmocka_unit_test(a_tile_has_one_name),
		cmocka_unit_test(a_tree_of_70000_has_the_tiles_of_the_specification),
		cmocka_unit_test(a_bundle_is_cut_between_its_leaves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
