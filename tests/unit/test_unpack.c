/* Packs against core/store/unpack.h and core/format/packscan.h: what git makes is taken, what an attacker makes is refused
 * by the one that promises to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/fs.h"
#include "core/store/unpack.h"
#include "tests/lib/packmaker.h"

struct object {
	enum trib_pack_type type;
	struct trib_buf bytes;
	uint8_t oid[TRIB_OID_LEN];
};

/* What was put, and what the repository holds. */
struct store {
	struct object got[4096];
	size_t n;
	struct object have[4];
	size_t nhave;
	size_t base_calls;
};

static int store_base(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	struct store *s = ctx;
	s->base_calls++;
	for (size_t i = 0; i < s->nhave; i++)
		if (memcmp(s->have[i].oid, oid, TRIB_OID_LEN) == 0) {
			*ret_type = s->have[i].type;
			trib_buf_put_span(ret, trib_buf_span(&s->have[i].bytes));
			return trib_buf_check(ret, "object", err);
		}
	return trib_fail(err, TRIB_E_NOT_FOUND, "no such object");
}

static int store_put(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	struct store *s = ctx;
	if (s->n == TRIB_COUNT(s->got))
		return trib_fail(err, TRIB_E_FAILED, "full");
	struct object *o = &s->got[s->n++];
	o->type = type;
	o->bytes = TRIB_BUF(SIZE_MAX / 2);
	trib_buf_put_span(&o->bytes, bytes);
	memcpy(o->oid, oid, TRIB_OID_LEN);
	return trib_buf_check(&o->bytes, "object", err);
}

static void store_have(struct store *s, const char *text)
{
	struct object *o = &s->have[s->nhave++];
	o->type = TRIB_PACK_BLOB;
	o->bytes = TRIB_BUF(SIZE_MAX / 2);
	trib_buf_puts(&o->bytes, text);
	trib_git_oid(o->oid, "blob", trib_buf_span(&o->bytes));
}

static void store_clear(struct store *s)
{
	for (size_t i = 0; i < s->n; i++)
		trib_buf_release(&s->got[i].bytes);
	for (size_t i = 0; i < s->nhave; i++)
		trib_buf_release(&s->have[i].bytes);
	memset(s, 0, sizeof(*s));
}

static bool store_got(const struct store *s, const char *text)
{
	for (size_t i = 0; i < s->n; i++)
		if (trib_span_is(trib_buf_span(&s->got[i].bytes), text))
			return true;
	return false;
}

static struct store store;

/* The verdicts of both; TRIB_OK when taken. */
static enum trib_code scan(struct trib_span pack, size_t step)
{
	struct trib_err err = {0};
	struct trib_packscan *s = trib_packscan_new();
	uint64_t n;
	enum trib_code code = TRIB_OK;
	assert_non_null(s);
	for (size_t at = 0; at < pack.n && code == TRIB_OK; at += step) {
		struct trib_span piece = trib_span(pack.p + at, pack.n - at < step ? pack.n - at : step);
		if (trib_packscan_feed(s, piece, &err) < 0)
			code = err.code;
	}
	if (code == TRIB_OK && trib_packscan_end(s, &n, &err) < 0)
		code = err.code;
	trib_packscan_free(s);
	return code;
}

static enum trib_code unpack(struct trib_span pack, uint64_t *ret_n)
{
	struct trib_err err = {0};
	return trib_unpack(pack, store_base, &store, store_put, &store, ret_n, &err) < 0 ? err.code : TRIB_OK;
}

/* Ends the pack, and asks both. */
static void expect(struct trib_buf *pack, enum trib_code scanned, enum trib_code unpacked)
{
	pk_end(pack);
	assert_string_equal(trib_code_name(scan(trib_buf_span(pack), 7)), trib_code_name(scanned));
	assert_string_equal(trib_code_name(scan(trib_buf_span(pack), 1 << 20)), trib_code_name(scanned));
	assert_string_equal(trib_code_name(unpack(trib_buf_span(pack), NULL)), trib_code_name(unpacked));
	trib_buf_release(pack);
}

static const struct trib_span hello = {(const uint8_t *)"hello hello hello\n", 18};

static int teardown(void **state)
{
	(void)state;
	store_clear(&store);
	return 0;
}

static struct trib_buf pack_of(uint32_t count)
{
	struct trib_buf b = TRIB_BUF(SIZE_MAX / 2);
	pk_begin(&b, count);
	return b;
}

static void takes_whole_objects_and_no_objects(void **state)
{
	(void)state;
	struct trib_buf none = pack_of(0);
	expect(&none, TRIB_OK, TRIB_OK);
	struct trib_buf p = pack_of(3);
	pk_object(&p, 3, hello);
	pk_object(&p, 3, trib_span("", 0));
	pk_object(&p, 1, trib_span_str("not looked into"));
	expect(&p, TRIB_OK, TRIB_OK);
	assert_int_equal(store.n, 3);
	assert_true(store_got(&store, "hello hello hello\n"));
	static const uint8_t empty_blob[] = {0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b,
					     0x29, 0xae, 0x77, 0x5a, 0xd8, 0xc2, 0xe4, 0x8c, 0x53, 0x91};
	assert_memory_equal(store.got[1].oid, empty_blob, TRIB_OID_LEN);
}

static void resolves_deltas_in_any_order(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(1024);
	uint8_t oid[TRIB_OID_LEN], mid[TRIB_OID_LEN];
	trib_git_oid(oid, "blob", hello);
	trib_git_oid(mid, "blob", trib_span_str("hello, world"));
	struct trib_buf p = pack_of(4);
	pk_delta(&d, 12, 5); /* before its base, which is a delta itself */
	pk_copy(&d, 7, 5);
	size_t first = pk_ref_delta(&p, mid, trib_buf_span(&d));
	pk_delta(&d, 18, 12);
	pk_copy(&d, 0, 5);
	pk_insert(&d, ", world");
	pk_ref_delta(&p, oid, trib_buf_span(&d));
	pk_object(&p, 3, hello);
	pk_delta(&d, 5, 6); /* on the first entry, by offset */
	pk_copy(&d, 0, 5);
	pk_insert(&d, "!");
	pk_ofs_delta(&p, p.len - first, trib_buf_span(&d));
	expect(&p, TRIB_OK, TRIB_OK);
	assert_int_equal(store.n, 4);
	assert_true(store_got(&store, "hello, world"));
	assert_true(store_got(&store, "world"));
	assert_true(store_got(&store, "world!"));
	assert_int_equal(store.base_calls, 0);
}

static void completes_a_thin_pack_from_the_repository(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(1024);
	store_have(&store, "base");
	struct trib_buf p = pack_of(1);
	pk_delta(&d, 4, 9);
	pk_copy(&d, 0, 4);
	pk_insert(&d, "ment\n");
	pk_ref_delta(&p, store.have[0].oid, trib_buf_span(&d));
	expect(&p, TRIB_OK, TRIB_OK);
	assert_int_equal(store.n, 1);
	assert_true(store_got(&store, "basement\n"));
}

static void refuses_types_and_false_sizes(void **state)
{
	(void)state;
	static const unsigned types[] = {0, 4, 5};
	for (size_t i = 0; i < TRIB_COUNT(types); i++) {
		struct trib_buf p = pack_of(1);
		pk_object(&p, types[i], hello);
		expect(&p, TRIB_E_FORMAT, TRIB_E_FORMAT);
	}
	struct trib_buf small = pack_of(1), large = pack_of(1), huge = pack_of(1), giant = pack_of(1), commit = pack_of(1), tree = pack_of(1);
	pk_object_sized(&small, 3, hello, 17);
	expect(&small, TRIB_E_FORMAT, TRIB_E_FORMAT);
	pk_object_sized(&large, 3, hello, 19);
	expect(&large, TRIB_E_FORMAT, TRIB_E_FORMAT);
	pk_object_sized(&huge, 3, hello, (uint64_t)8 << 30);
	expect(&huge, TRIB_E_LIMIT, TRIB_E_LIMIT);
	pk_object_sized(&giant, 3, hello, UINT64_MAX);
	expect(&giant, TRIB_E_LIMIT, TRIB_E_FORMAT);
	pk_object_sized(&commit, 1, hello, TRIB_COMMIT_MAX + 1);
	expect(&commit, TRIB_E_LIMIT, TRIB_E_LIMIT);
	pk_object_sized(&tree, 2, hello, TRIB_KIB + 1);
	expect(&tree, TRIB_E_LIMIT, TRIB_E_LIMIT);
}

static void refuses_bombs_at_their_header(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf zeros = TRIB_BUF(4 * TRIB_MIB);
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(TRIB_MIB);
	memset(trib_buf_grow(&zeros, 4 * TRIB_MIB), 0, 4 * TRIB_MIB);
	struct trib_buf declared = pack_of(1), lying = pack_of(1), delta = pack_of(2), many = pack_of(2001);
	pk_object_sized(&declared, 3, trib_buf_span(&zeros), (uint64_t)2 << 30);
	expect(&declared, TRIB_E_LIMIT, TRIB_E_LIMIT);
	pk_object_sized(&lying, 3, trib_buf_span(&zeros), 1);
	expect(&lying, TRIB_E_FORMAT, TRIB_E_FORMAT);
	size_t at = pk_object(&delta, 3, trib_buf_span(&zeros));
	pk_delta(&d, zeros.len, (uint64_t)3 << 30);
	for (int i = 0; i < 768; i++)
		pk_copy(&d, 0, 0x3fffff);
	pk_ofs_delta(&delta, delta.len - at, trib_buf_span(&d));
	expect(&delta, TRIB_E_LIMIT, TRIB_E_LIMIT);
	at = pk_object(&many, 3, trib_buf_span(&zeros));
	for (int i = 0; i < 2000; i++) {
		pk_delta(&d, zeros.len, 4 * (zeros.len - 1));
		for (int k = 0; k < 4; k++)
			pk_copy(&d, 0, (uint32_t)zeros.len - 1);
		pk_ofs_delta(&many, many.len - at, trib_buf_span(&d));
	}
	expect(&many, TRIB_E_LIMIT, TRIB_E_LIMIT);
}

static void refuses_bases_that_are_not_there(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(1024);
	uint8_t x[TRIB_OID_LEN], y[TRIB_OID_LEN];
	memset(x, 1, sizeof(x));
	memset(y, 2, sizeof(y));
	pk_delta(&d, 18, 5);
	pk_copy(&d, 0, 5);
	struct trib_buf missing = pack_of(1), cycle = pack_of(2), self = pack_of(1), before = pack_of(1), inside = pack_of(2);
	pk_ref_delta(&missing, x, trib_buf_span(&d));
	expect(&missing, TRIB_OK, TRIB_E_FORMAT); /* only resolving can tell */
	pk_ref_delta(&cycle, x, trib_buf_span(&d));
	pk_ref_delta(&cycle, y, trib_buf_span(&d));
	expect(&cycle, TRIB_OK, TRIB_E_FORMAT);
	pk_ofs_delta(&self, 0, trib_buf_span(&d));
	expect(&self, TRIB_E_FORMAT, TRIB_E_FORMAT);
	pk_ofs_delta(&before, (uint64_t)1 << 40, trib_buf_span(&d));
	expect(&before, TRIB_E_FORMAT, TRIB_E_FORMAT);
	size_t at = pk_object(&inside, 3, hello);
	pk_ofs_delta(&inside, inside.len - at - 1, trib_buf_span(&d));
	expect(&inside, TRIB_E_FORMAT, TRIB_E_FORMAT);
	struct trib_buf between = pack_of(3); /* inside of the first, and the next entry would fit */
	at = pk_object(&between, 3, hello);
	pk_object(&between, 3, trib_span_str("HELLO HELLO HELLO\n"));
	pk_ofs_delta(&between, between.len - at - 1, trib_buf_span(&d));
	expect(&between, TRIB_E_FORMAT, TRIB_E_FORMAT);
	assert_int_equal(store.base_calls, 3);
}

static void refuses_a_result_that_is_in_the_pack_already(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(1024);
	uint8_t oid[TRIB_OID_LEN];
	trib_git_oid(oid, "blob", hello);
	pk_delta(&d, 18, 18);
	pk_copy(&d, 0, 18);
	struct trib_buf by_id = pack_of(2), by_offset = pack_of(2), plain = pack_of(2), thin = pack_of(2);
	pk_object(&by_id, 3, hello);
	pk_ref_delta(&by_id, oid, trib_buf_span(&d));
	expect(&by_id, TRIB_OK, TRIB_E_FORMAT);
	size_t at = pk_object(&by_offset, 3, hello);
	pk_ofs_delta(&by_offset, by_offset.len - at, trib_buf_span(&d));
	expect(&by_offset, TRIB_OK, TRIB_E_FORMAT);
	pk_object(&plain, 3, hello);
	pk_object(&plain, 3, hello);
	expect(&plain, TRIB_OK, TRIB_E_FORMAT);
	store_have(&store, "hello hello hello\n"); /* a delta that makes its own base, twice */
	pk_ref_delta(&thin, oid, trib_buf_span(&d));
	pk_ref_delta(&thin, oid, trib_buf_span(&d));
	expect(&thin, TRIB_OK, TRIB_E_FORMAT);
}

static void refuses_bad_delta_instructions(void **state)
{
	(void)state;
	static const struct {
		uint64_t base, result;
		uint32_t from, len;
		const char *more;
	} cases[] = {
		{17, 5, 0, 5, NULL}, /* another base size */
		{18, 5, 14, 5, NULL}, /* beyond the base */
		{18, 5, 0xffffffff, 5, NULL},
		{18, 4, 0, 5, NULL}, /* makes more */
		{18, 6, 0, 5, NULL}, /* makes less */
		{18, 6, 0, 5, "\x01"}, /* insert without its byte */
		{18, 6, 0, 5, "\x80"}, /* copy of 65536 */
	};
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(1024);
	for (size_t i = 0; i <= TRIB_COUNT(cases); i++) {
		struct trib_buf p = pack_of(2);
		size_t at = pk_object(&p, 3, hello);
		if (i < TRIB_COUNT(cases)) {
			pk_delta(&d, cases[i].base, cases[i].result);
			pk_copy(&d, cases[i].from, cases[i].len);
			trib_buf_puts(&d, cases[i].more ? cases[i].more : "");
		} else {
			pk_delta(&d, 18, 0);
			trib_buf_putc(&d, 0); /* reserved */
		}
		pk_ofs_delta(&p, p.len - at, trib_buf_span(&d));
		expect(&p, TRIB_E_FORMAT, TRIB_E_FORMAT);
	}
	struct trib_buf empty = pack_of(2);
	size_t at = pk_object(&empty, 3, hello);
	pk_ofs_delta(&empty, empty.len - at, trib_span("", 0));
	expect(&empty, TRIB_E_FORMAT, TRIB_E_FORMAT);
}

/* A copy without a length means 65,536 bytes, and without an offset the start. */
static void reads_the_short_form_of_a_copy(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(64), base = TRIB_BUF(TRIB_MIB);
	for (int i = 0; i < 10000; i++)
		trib_buf_printf(&base, "%07d", i);
	struct trib_buf p = pack_of(2);
	size_t at = pk_object(&p, 3, trib_buf_span(&base));
	pk_delta(&d, base.len, 0x10000);
	trib_buf_putc(&d, 0x80);
	pk_ofs_delta(&p, p.len - at, trib_buf_span(&d));
	expect(&p, TRIB_OK, TRIB_OK);
	assert_int_equal(store.got[1].bytes.len, 0x10000);
	assert_memory_equal(store.got[1].bytes.p, base.p, 0x10000);
}

/* `n` deltas, each on the one before, by offset or by id and then in reverse order. */
static struct trib_buf chain(unsigned n, bool reverse)
{
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(1024);
	struct trib_buf p = pack_of(n + 1);
	size_t at = reverse ? 0 : pk_object(&p, 3, trib_span_str("00000"));
	for (unsigned k = 1; k <= n; k++) {
		unsigned me = reverse ? n + 1 - k : k;
		char base[8], mine[8];
		uint8_t oid[TRIB_OID_LEN];
		snprintf(base, sizeof(base), "%05u", me - 1);
		snprintf(mine, sizeof(mine), "%05u", me);
		trib_git_oid(oid, "blob", trib_span_str(base));
		pk_delta(&d, 5, 5);
		pk_insert(&d, mine);
		at = reverse ? pk_ref_delta(&p, oid, trib_buf_span(&d)) : pk_ofs_delta(&p, p.len - at, trib_buf_span(&d));
	}
	if (reverse)
		pk_object(&p, 3, trib_span_str("00000"));
	return p;
}

static void bounds_the_depth_of_chains(void **state)
{
	(void)state;
	struct trib_buf p = chain(TRIB_PACK_DELTA_DEPTH, false);
	expect(&p, TRIB_OK, TRIB_OK);
	p = chain(TRIB_PACK_DELTA_DEPTH + 1, false);
	expect(&p, TRIB_E_LIMIT, TRIB_E_LIMIT);
	store_clear(&store);
	p = chain(TRIB_PACK_DELTA_DEPTH, true);
	expect(&p, TRIB_OK, TRIB_OK);
	assert_true(store_got(&store, "00050"));
	store_clear(&store);
	p = chain(5000, true);
	expect(&p, TRIB_OK, TRIB_E_LIMIT);
}

static void refuses_wrong_counts_junk_and_trailers(void **state)
{
	(void)state;
	struct trib_buf fewer = pack_of(1), more = pack_of(2), huge = pack_of(4294967280u), limit = pack_of(TRIB_PACK_OBJECTS_MAX + 1), p = pack_of(1);
	pk_object(&fewer, 3, hello);
	pk_object(&fewer, 3, trib_span_str("x"));
	expect(&fewer, TRIB_E_FORMAT, TRIB_E_FORMAT);
	pk_object(&more, 3, hello);
	expect(&more, TRIB_E_FORMAT, TRIB_E_FORMAT);
	expect(&huge, TRIB_E_LIMIT, TRIB_E_LIMIT);
	expect(&limit, TRIB_E_LIMIT, TRIB_E_LIMIT);
	pk_object(&p, 3, hello);
	pk_end(&p);
	trib_buf_putc(&p, 0);
	assert_int_equal(scan(trib_buf_span(&p), 5), TRIB_E_FORMAT);
	assert_int_equal(unpack(trib_buf_span(&p), NULL), TRIB_E_FORMAT);
	p.len--;
	assert_int_equal(unpack(trib_buf_span(&p), NULL), TRIB_OK);
	p.p[p.len - 1] ^= 1;
	assert_int_equal(unpack(trib_buf_span(&p), NULL), TRIB_E_FORMAT);
	trib_buf_release(&p);
}

static void refuses_every_truncation_and_survives_every_flip(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(1024);
	struct trib_buf p = pack_of(3);
	size_t at = pk_object(&p, 3, hello);
	pk_delta(&d, 18, 12);
	pk_copy(&d, 0, 5);
	pk_insert(&d, ", world");
	pk_ofs_delta(&p, p.len - at, trib_buf_span(&d));
	size_t third = pk_object(&p, 3, trib_span_str("third"));
	size_t body = p.len;
	pk_end(&p);
	for (size_t n = 0; n < p.len; n++) {
		assert_int_not_equal(scan(trib_span(p.p, n), 3), TRIB_OK);
		assert_int_not_equal(unpack(trib_span(p.p, n), NULL), TRIB_OK);
	}
	store_clear(&store);
	for (size_t bit = 0; bit < 8 * body; bit++) { /* under a right trailer, so that the parser is reached */
		TRIB_AUTO(trib_buf) struct trib_buf q = TRIB_BUF(SIZE_MAX / 2);
		trib_buf_put(&q, p.p, body);
		q.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		pk_end(&q);
		/* zlib's check sees every flip but those of padding bits; else a blob may call itself a tree or commit */
		bool type = (bit / 8 == at || bit / 8 == third) && bit % 8 >= 4;
		if (unpack(trib_buf_span(&q), NULL) == TRIB_OK && !type)
			assert_true(store.n == 3 && store_got(&store, "hello hello hello\n") && store_got(&store, "hello, world") &&
				    store_got(&store, "third"));
		store_clear(&store);
	}
	trib_buf_release(&p);
}

static void sh(const char *dir, const char *script)
{
	TRIB_AUTO(trib_mem) char *cmd = trib_pathf("cd '%s' && export HOME=\"$PWD\" GIT_CONFIG_NOSYSTEM=1 && exec 2>/dev/null && { %s; }", dir, script);
	assert_non_null(cmd);
	assert_int_equal(system(cmd), 0);
}

/* Every object that git lists must have come out, with the id git gave it. */
static void same_as_git(const char *dir, const char *pack, bool thin)
{
	struct trib_err err;
	uint64_t n = 0;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, pack), *list = trib_path(dir, "list");
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_PACK_MAX), want = TRIB_BUF(TRIB_MIB);
	assert_int_equal(trib_fs_read(path, &bytes, &err), 0);
	assert_int_equal(trib_fs_read(list, &want, &err), 0);
	assert_int_equal(scan(trib_buf_span(&bytes), 4096), TRIB_OK);
	assert_int_equal(unpack(trib_buf_span(&bytes), &n), TRIB_OK);
	assert_int_equal(n, store.n);
	assert_int_equal(want.len, n * (TRIB_OID_HEX + 1));
	assert_true(thin == (store.base_calls > 0));
	for (size_t i = 0; i < n; i++) {
		char hex[TRIB_OID_HEX + 1];
		trib_hex(hex, store.got[i].oid, TRIB_OID_LEN);
		assert_non_null(strstr(trib_buf_str(&want), hex));
	}
}

static void takes_what_git_packs(void **state)
{
	(void)state;
	struct trib_err err;
	char dir[] = "/tmp/trib-unpack-XXXXXX";
	assert_non_null(mkdtemp(dir));
	sh(dir, "git init -q . && git config user.name n && git config user.email e && "
		"for i in 1 2 3 4 5 6 7 8 9; do seq 1 2000 > a; echo $i >> a; seq $i 900 > b; git add a b; git commit -qm c$i; done && "
		"git rev-list --objects --no-object-names HEAD > list && cp list all");
	sh(dir, "git pack-objects --stdout --window=0 -q < all > plain.pack");
	same_as_git(dir, "plain.pack", false);
	store_clear(&store);
	sh(dir, "git pack-objects --stdout --window=20 -q < all > ref.pack");
	same_as_git(dir, "ref.pack", false);
	store_clear(&store);
	sh(dir, "git pack-objects --stdout --delta-base-offset --window=20 -q < all > ofs.pack");
	same_as_git(dir, "ofs.pack", false);
	store_clear(&store);
	sh(dir, "git rev-list --objects --no-object-names HEAD ^HEAD~1 > list && git cat-file blob HEAD~1:a > old.a && git cat-file blob HEAD~1:b > old.b && "
		"printf 'HEAD\\n^HEAD~1\\n' | git pack-objects --revs --thin --stdout --delta-base-offset -q > thin.pack");
	static const char *const bases[] = {"old.a", "old.b"};
	for (size_t i = 0; i < TRIB_COUNT(bases); i++) {
		TRIB_AUTO(trib_mem) char *path = trib_path(dir, bases[i]);
		TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_MIB);
		assert_int_equal(trib_fs_read(path, &text, &err), 0);
		store_have(&store, trib_buf_str(&text));
	}
	same_as_git(dir, "thin.pack", true);
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
}

/* Branches longer than the cache has slots push the common base out: it is rebuilt, and the results are still right. */
static void rebuilds_what_left_the_cache(void **state)
{
	(void)state;
	enum { BRANCHES = 5, LONG = 20 };
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(4096);
	struct trib_buf p = pack_of(1 + BRANCHES * LONG);
	size_t base = pk_object(&p, 3, hello);
	for (int i = 0; i < BRANCHES; i++) {
		size_t at = base;
		for (int k = 0; k < LONG; k++) {
			pk_delta(&d, 18 + (uint64_t)k, 19 + (uint64_t)k);
			pk_copy(&d, 0, (uint32_t)(18 + k));
			pk_insert(&d, (const char[]){(char)('a' + i), 0});
			at = pk_ofs_delta(&p, p.len - at, trib_buf_span(&d));
		}
	}
	expect(&p, TRIB_OK, TRIB_OK);
	assert_int_equal(store.n, 1 + BRANCHES * LONG);
	for (int i = 0; i < BRANCHES; i++) {
		char text[64] = "hello hello hello\n";
		memset(text + 18, 'a' + i, LONG);
		assert_true(store_got(&store, text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(takes_whole_objects_and_no_objects, teardown),
		cmocka_unit_test_teardown(resolves_deltas_in_any_order, teardown),
		cmocka_unit_test_teardown(completes_a_thin_pack_from_the_repository, teardown),
		cmocka_unit_test_teardown(refuses_types_and_false_sizes, teardown),
		cmocka_unit_test_teardown(refuses_bombs_at_their_header, teardown),
		cmocka_unit_test_teardown(refuses_bases_that_are_not_there, teardown),
		cmocka_unit_test_teardown(refuses_a_result_that_is_in_the_pack_already, teardown),
		cmocka_unit_test_teardown(refuses_bad_delta_instructions, teardown),
		cmocka_unit_test_teardown(reads_the_short_form_of_a_copy, teardown),
		cmocka_unit_test_teardown(bounds_the_depth_of_chains, teardown),
		cmocka_unit_test_teardown(refuses_wrong_counts_junk_and_trailers, teardown),
		cmocka_unit_test_teardown(refuses_every_truncation_and_survives_every_flip, teardown),
		cmocka_unit_test_teardown(takes_what_git_packs, teardown),
		cmocka_unit_test_teardown(rebuilds_what_left_the_cache, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
