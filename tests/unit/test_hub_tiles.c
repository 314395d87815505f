#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/tiles.h"
#include "tests/lib/mkhub.h"

struct fx { struct mkhub h; uint64_t size; };

static int start(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	mkhub_init(&f->h);
	HUB_OK(trib_log_size(&f->h.db, &f->size, err));
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fx *f = *state;
	mkhub_free(&f->h);
	free(f);
	return 0;
}

static void grow(struct fx *f, uint64_t to)
{
	HUB_OK(trib_hubdb_begin(&f->h.db, err));
	for (; f->size < to; f->size++) {
		struct trib_leaf leaf = {.kind = TRIB_LEAF_POLICY, .time = f->h.now, .number = f->size};
		mkhub_append(&f->h, &leaf, NULL);
	}
	HUB_OK(trib_hubdb_commit(&f->h.db, err));
}

static void publish(struct fx *f) { HUB_OK(trib_tiles_publish(&f->h.db, f->h.signer.log_key, err)); }

static void read_tile(struct fx *f, struct trib_tile t, struct trib_buf *ret)
{
	trib_buf_reset(ret);
	HUB_OK(trib_tiles_read(f->h.dir, &t, ret, err));
}

/* A reader that has nothing but the files: leaves -> leaf hashes -> upper tiles -> the root that the checkpoint signs. */
static void prove_from_files(struct fx *f)
{
	char *path = mkhub_path(&f->h, "log/checkpoint");
	struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX), b = TRIB_BUF(TRIB_BUNDLE_LEAVES_MAX), hashes = TRIB_BUF(TRIB_MIB);
	struct trib_checkpoint cp;
	uint8_t pub[32], want[TRIB_SHA256_LEN];
	HUB_OK(trib_fs_read(path, &note, err));
	HUB_OK(trib_key_ed25519_public(f->h.signer.log_key, pub, err));
	HUB_OK(trib_checkpoint_verify(trib_buf_span(&note), f->h.hub.origin, pub, &cp, err));
	HUB_OK(trib_log_root(&f->h.db, cp.size, want, err));
	assert_memory_equal(cp.root, want, sizeof(want));
	for (uint64_t n = 0; n * 256 < cp.size; n++) {
		struct trib_tile t = {.entries = true, .n = n};
		t.width = trib_tile_filled(&t, cp.size);
		read_tile(f, t, &b);
		trib_buf_reset(&hashes);
		size_t at = 0;
		for (unsigned i = 0; i < t.width; i++) {
			size_t len = (size_t)b.p[at] << 8 | b.p[at + 1];
			uint8_t hash[TRIB_SHA256_LEN];
			trib_merkle_leaf(hash, trib_span(b.p + at + 2, len));
			trib_buf_put(&hashes, hash, sizeof(hash));
			at += 2 + len;
		}
		assert_int_equal(at, b.len);
		t.entries = false;
		read_tile(f, t, &b);
		assert_int_equal(b.len, hashes.len);
		assert_memory_equal(b.p, hashes.p, b.len);
		/* A full tile is one hash of the level above. */
		for (unsigned width = 256; t.width == 256 && width > 1; width /= 2)
			for (unsigned i = 0; i < width / 2; i++)
				trib_merkle_node(hashes.p + 32 * (size_t)i, hashes.p + 64 * (size_t)i, hashes.p + 64 * (size_t)i + 32);
		struct trib_tile up = {.level = 1, .n = n / 256};
		up.width = trib_tile_filled(&up, cp.size);
		if (t.width == 256) {
			read_tile(f, up, &b);
			assert_memory_equal(b.p + 32 * (n % 256), hashes.p, 32);
		}
	}
	free(path);
	trib_buf_release(&note);
	trib_buf_release(&b);
	trib_buf_release(&hashes);
}

static void the_files_alone_prove_the_log_at_every_size(void **state)
{
	struct fx *f = *state;
	static const uint64_t sizes[] = {3, 4, 255, 256, 257, 511, 512, 600, 770};
	for (size_t i = 0; i < TRIB_COUNT(sizes); i++) {
		grow(f, sizes[i]);
		publish(f);
		prove_from_files(f);
	}
}

static bool there(struct fx *f, const char *name)
{
	char *p = mkhub_path(&f->h, name);
	bool yes = trib_fs_exists(p);
	free(p);
	return yes;
}

static void partial_tiles_give_way_to_wider_ones_and_are_served_still(void **state)
{
	struct fx *f = *state;
	struct trib_buf was = TRIB_BUF(TRIB_MIB), now = TRIB_BUF(TRIB_MIB);
	struct trib_err why;
	grow(f, 10);
	publish(f);
	assert_true(there(f, "log/tile/0/000.p/10"));
	assert_true(there(f, "log/tile/entries/000.p/10"));
	assert_false(there(f, "log/tile/1/000.p/1"));
	for (int entries = 0; entries < 2; entries++) {
		struct trib_tile t = {.entries = entries, .width = 10};
		read_tile(f, t, &was);
		grow(f, entries ? 300 : 20);
		publish(f);
		read_tile(f, t, &now);
		assert_int_equal(was.len, now.len);
		assert_memory_equal(was.p, now.p, was.len);
	}
	assert_false(there(f, "log/tile/0/000.p/10"));
	assert_true(there(f, "log/tile/0/000"));
	assert_true(there(f, "log/tile/0/001.p/44"));
	assert_true(there(f, "log/tile/1/000.p/1"));
	trib_buf_reset(&now);
	assert_int_equal(trib_tiles_read(f->h.dir, &(struct trib_tile){.n = 1, .width = 45}, &now, &why), -1);
	assert_int_equal(why.code, TRIB_E_NOT_FOUND);
	assert_int_equal(trib_tiles_read(f->h.dir, &(struct trib_tile){.n = 1, .width = 256}, &now, &why), -1);
	assert_int_equal(why.code, TRIB_E_NOT_FOUND);
	trib_buf_release(&was);
	trib_buf_release(&now);
}

/* A crash between tiles and checkpoint, or half-written tiles: the next publication puts it right. */
static void what_a_crash_left_is_written_again(void **state)
{
	struct fx *f = *state;
	grow(f, 200);
	publish(f);
	char *tile = mkhub_path(&f->h, "log/tile/0/000.p"), *file = trib_path(tile, "250");
	HUB_OK(trib_fs_write(file, trib_span_str("half"), 0600, err));
	grow(f, 250);
	publish(f);
	prove_from_files(f);
	char *note = mkhub_path(&f->h, "log/checkpoint");
	HUB_OK(trib_fs_write(note, trib_span_str("garbage"), 0600, err));
	publish(f);
	prove_from_files(f);
	free(tile);
	free(file);
	free(note);
}

static void remaking_gives_the_same_files(void **state)
{
	struct fx *f = *state;
	char cmd[300];
	grow(f, 600);
	publish(f);
	(void)snprintf(cmd, sizeof(cmd), "cp -r %s/log %s/before", f->h.dir, f->h.dir);
	assert_int_equal(system(cmd), 0);
	char *tile = mkhub_path(&f->h, "log/tile/0/001");
	HUB_OK(trib_fs_write(tile, trib_span_str("damaged"), 0600, err));
	free(tile);
	HUB_OK(trib_tiles_remake(&f->h.db, f->h.signer.log_key, err));
	(void)snprintf(cmd, sizeof(cmd), "diff -r %s/log %s/before", f->h.dir, f->h.dir);
	assert_int_equal(system(cmd), 0);
}

static void an_older_database_under_a_published_log_is_refused(void **state)
{
	struct fx *f = *state;
	struct trib_err why;
	grow(f, 30);
	publish(f);
	mkhub_sql(f->h.db.db, "DELETE FROM leaf WHERE idx >= 20; DELETE FROM subtree WHERE (idx + 1) << level > 20");
	f->size = 20;
	assert_int_equal(trib_tiles_publish(&f->h.db, f->h.signer.log_key, &why), -1);
	assert_int_equal(why.code, TRIB_E_VERIFY);
	assert_non_null(strstr(why.msg, "recover"));
	f->h.now++; /* another history of the same length */
	grow(f, 40);
	assert_int_equal(trib_tiles_publish(&f->h.db, f->h.signer.log_key, &why), -1);
	assert_int_equal(why.code, TRIB_E_VERIFY);
}

static void named_texts_are_proven_when_they_are_read(void **state)
{
	struct fx *f = *state;
	uint8_t sha[TRIB_SHA256_LEN];
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	struct trib_err why;
	char name[TRIB_SHA256_HEX + 1];
	HUB_OK(trib_named_write(&f->h.hub, trib_span_str("a list\n"), sha, err));
	HUB_OK(trib_named_read(f->h.dir, sha, &b, err));
	assert_true(trib_span_is(trib_buf_span(&b), "a list\n"));
	trib_hex(name, sha, sizeof(sha));
	char *path = trib_pathf("%s/log/named/%s", f->h.dir, name);
	HUB_OK(trib_fs_write(path, trib_span_str("another\n"), 0600, err));
	assert_int_equal(trib_named_read(f->h.dir, sha, &b, &why), -1);
	assert_int_equal(why.code, TRIB_E_VERIFY);
	free(path);
	trib_buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_files_alone_prove_the_log_at_every_size, start, stop),
		cmocka_unit_test_setup_teardown(partial_tiles_give_way_to_wider_ones_and_are_served_still, start, stop),
		cmocka_unit_test_setup_teardown(what_a_crash_left_is_written_again, start, stop),
		cmocka_unit_test_setup_teardown(remaking_gives_the_same_files, start, stop),
		cmocka_unit_test_setup_teardown(an_older_database_under_a_published_log_is_refused, start, stop),
		cmocka_unit_test_setup_teardown(named_texts_are_proven_when_they_are_read, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
