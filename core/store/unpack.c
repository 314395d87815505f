#include "core/store/unpack.h"

#include <zlib.h>

#include "core/trust/hash.h"

#define NONE UINT32_MAX
#define EXTERNAL 0 /* kind of an item that stands for an object of the repository */
#define UNPACK_CACHE (256 * TRIB_MIB)
#define SLOTS 16
#define STEP_COST 4096 /* work of one inflate beside its bytes */

struct item {
	uint64_t data;         /* where its zlib stream starts */
	uint64_t declared;
	uint32_t base;         /* item of a delta's base, NONE until known */
	uint8_t kind;          /* as in the pack, or EXTERNAL */
	uint8_t type, depth;
	bool queued;           /* on the stack, or resolved */
	uint8_t oid[TRIB_OID_LEN], base_oid[TRIB_OID_LEN];
	uint64_t offset;
};

struct slot {
	uint32_t item;
	uint64_t used; /* tick; 0 = empty */
	struct trib_buf bytes;
};

struct unpack {
	struct trib_span pack; /* without the trailer */
	trib_unpack_base base;
	void *base_ctx;
	trib_unpack_put put;
	void *put_ctx;
	struct item *items;
	uint32_t count, nitems;     /* entries of the pack; those and the externals */
	uint32_t *ofs, nofs;        /* OFS deltas, by base item */
	uint32_t *ref, nref;        /* REF deltas, by base id */
	uint32_t *stack, nstack;
	uint32_t done;
	uint64_t total, work, tick;
	struct slot slots[SLOTS];
	size_t cached;
	z_stream z;
	bool z_open;
};

static int bad(uint32_t i, const char *what, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_FORMAT, "pack: entry %u: %s", i + 1, what);
}

static int over(uint32_t i, const char *what, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_LIMIT, "pack: entry %u: %s", i + 1, what);
}

static int spend(struct unpack *u, uint64_t n, struct trib_err *err)
{
	u->work += n + STEP_COST;
	return u->work > TRIB_UNPACK_WORK_MAX
		       ? trib_fail(err, TRIB_E_LIMIT, "pack: its deltas cost too much to resolve; push without deltas (git -c pack.window=0 push)")
		       : 0;
}

static int add_total(struct unpack *u, uint64_t n, struct trib_err *err)
{
	u->total += n;
	return u->total > TRIB_PACK_INFLATED_MAX ? trib_fail(err, TRIB_E_LIMIT, "pack: its objects are too large together") : 0;
}

/* A size in a delta: seven bits a byte, lowest first; at most 35 bits. */
static bool delta_size(struct trib_reader *r, uint64_t *ret)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift <= 28; shift += 7) {
		uint8_t c = trib_read_u8(r);
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return !r->failed;
		}
	}
	return false;
}

/* Reads the arguments of a copy instruction whose first byte is `op`. */
static void copy_args(struct trib_reader *r, uint8_t op, uint64_t *ret_from, uint64_t *ret_len)
{
	uint64_t from = 0, len = 0;
	for (unsigned k = 0; k < 4; k++)
		if (op & 1u << k)
			from |= (uint64_t)trib_read_u8(r) << (8 * k);
	for (unsigned k = 0; k < 3; k++)
		if (op & 0x10u << k)
			len |= (uint64_t)trib_read_u8(r) << (8 * k);
	*ret_from = from;
	*ret_len = len ? len : 0x10000;
}

int trib_delta_apply(struct trib_span base, struct trib_span delta, struct trib_buf *ret, struct trib_err *err)
{
	struct trib_reader r = trib_reader(delta);
	uint64_t base_size = 0, size = 0;
	if (!delta_size(&r, &base_size) || !delta_size(&r, &size) || base_size != base.n)
		return trib_fail(err, TRIB_E_FORMAT, "delta: bad sizes, or its base has another size");
	if (size > TRIB_OBJECT_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "delta: a result of %llu bytes, the limit is %zu", (unsigned long long)size, TRIB_OBJECT_MAX);
	uint8_t *to = trib_buf_grow(ret, (size_t)size);
	if (!to)
		return trib_buf_check(ret, "delta's result", err);
	uint64_t made = 0;
	while (r.rest.n > 0) {
		uint8_t op = trib_read_u8(&r);
		struct trib_span piece;
		if (op & 0x80) {
			uint64_t from, len;
			copy_args(&r, op, &from, &len);
			if (r.failed || from > base.n || len > base.n - from)
				return trib_fail(err, TRIB_E_FORMAT, "delta: copies from outside of its base");
			piece = trib_span(base.p + from, (size_t)len);
		} else {
			piece = trib_read(&r, op);
			if (op == 0 || r.failed)
				return trib_fail(err, TRIB_E_FORMAT, "delta: cut short, or the reserved instruction 0");
		}
		if (piece.n > size - made)
			return trib_fail(err, TRIB_E_FORMAT, "delta: makes more than it says");
		memcpy(to + made, piece.p, piece.n);
		made += piece.n;
	}
	return made == size ? 0 : trib_fail(err, TRIB_E_FORMAT, "delta: makes less than it says");
}

/* Inflates the stream at `at`, which must yield exactly `size` bytes, into *ret (emptied first). */
static int inflate_at(struct unpack *u, uint32_t i, struct trib_buf *ret, uint64_t *ret_end, struct trib_err *err)
{
	const struct item *it = &u->items[i];
	if (spend(u, it->declared, err) < 0)
		return -1;
	if ((u->z_open ? inflateReset(&u->z) : inflateInit(&u->z)) != Z_OK)
		return trib_fail(err, TRIB_E_NOMEM, "pack: zlib has no memory");
	u->z_open = true;
	trib_buf_reset(ret);
	size_t room = (size_t)it->declared + 1; /* the byte more tells a longer stream */
	uint8_t *out = trib_buf_grow(ret, room);
	if (!out)
		return trib_buf_check(ret, "pack object", err);
	u->z.next_in = (Bytef *)(uintptr_t)(u->pack.p + it->data);
	u->z.avail_in = (uInt)(u->pack.n - it->data);
	u->z.next_out = out;
	u->z.avail_out = (uInt)room;
	int rc = inflate(&u->z, Z_FINISH);
	if (u->z.avail_out == 0)
		return bad(i, "longer than it says", err);
	if (rc != Z_STREAM_END)
		return bad(i, "damaged or cut zlib stream", err);
	if (u->z.avail_out != 1)
		return bad(i, "shorter than it says", err);
	ret->len--;
	if (ret_end)
		*ret_end = u->pack.n - u->z.avail_in;
	return 0;
}

static struct slot *cache_find(struct unpack *u, uint32_t i)
{
	for (size_t k = 0; k < SLOTS; k++)
		if (u->slots[k].used && u->slots[k].item == i) {
			u->slots[k].used = ++u->tick;
			return &u->slots[k];
		}
	return NULL;
}

static struct slot *cache_oldest(struct unpack *u)
{
	struct slot *oldest = NULL;
	for (size_t k = 0; k < SLOTS; k++)
		if (u->slots[k].used && (!oldest || u->slots[k].used < oldest->used))
			oldest = &u->slots[k];
	return oldest;
}

static void cache_drop(struct unpack *u, struct slot *s)
{
	u->cached -= s->bytes.cap;
	trib_buf_release(&s->bytes);
	s->used = 0;
}

/* Takes over *bytes. The newest object is kept whatever its size. */
static struct trib_span cache_keep(struct unpack *u, uint32_t i, struct trib_buf *bytes)
{
	struct slot *free_slot = NULL, *old;
	while (u->cached > 0 && u->cached + bytes->cap > UNPACK_CACHE && (old = cache_oldest(u)))
		cache_drop(u, old);
	for (size_t k = 0; k < SLOTS && !free_slot; k++)
		if (!u->slots[k].used)
			free_slot = &u->slots[k];
	if (!free_slot) {
		free_slot = cache_oldest(u);
		cache_drop(u, free_slot);
	}
	*free_slot = (struct slot){.item = i, .used = ++u->tick, .bytes = *bytes};
	u->cached += bytes->cap;
	*bytes = TRIB_BUF(TRIB_OBJECT_MAX + 1);
	return trib_buf_span(&free_slot->bytes);
}

static int read_external(struct unpack *u, const uint8_t oid[TRIB_OID_LEN], uint8_t *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	enum trib_pack_type type = TRIB_PACK_BLOB;
	trib_buf_reset(ret);
	if (u->base(u->base_ctx, oid, &type, ret, err) < 0)
		return -1;
	if (type != TRIB_PACK_COMMIT && type != TRIB_PACK_TREE && type != TRIB_PACK_BLOB)
		return trib_fail(err, TRIB_E_FORMAT, "pack: a delta's base is neither commit, tree nor blob");
	*ret_type = (uint8_t)type;
	return spend(u, ret->len, err);
}

static bool is_delta(const struct item *it) { return it->kind == TRIB_PACK_OFS_DELTA || it->kind == TRIB_PACK_REF_DELTA; }

/* The bytes of a queued or resolved item: walks to the nearest base that is at hand, then applies the deltas on the
 * way back. The span is valid until the next load. */
static int load(struct unpack *u, uint32_t i, struct trib_span *ret, struct trib_err *err)
{
	uint32_t chain[TRIB_PACK_DELTA_DEPTH + 1];
	size_t n = 0;
	uint32_t at = i;
	struct slot *hit;
	TRIB_AUTO(trib_buf) struct trib_buf own = TRIB_BUF(TRIB_OBJECT_MAX + 1);
	TRIB_AUTO(trib_buf) struct trib_buf delta = TRIB_BUF(TRIB_PACK_DELTA_MAX + 1);
	TRIB_AUTO(trib_buf) struct trib_buf made = TRIB_BUF(TRIB_OBJECT_MAX + 1);
	while (!(hit = cache_find(u, at)) && is_delta(&u->items[at])) {
		if (n == TRIB_COUNT(chain) || u->items[at].base == NONE)
			return over(i, "a chain of deltas is too long", err);
		chain[n++] = at;
		at = u->items[at].base;
	}
	struct trib_span bytes = hit ? trib_buf_span(&hit->bytes) : trib_span(NULL, 0);
	if (!hit) {
		const struct item *it = &u->items[at];
		uint8_t type;
		int rc = it->kind == EXTERNAL ? read_external(u, it->oid, &type, &own, err) : inflate_at(u, at, &own, NULL, err);
		if (rc < 0)
			return -1;
		bytes = trib_buf_span(&own);
	} else if (n == 0) {
		*ret = bytes;
		return 0;
	}
	while (n > 0) {
		n--;
		trib_buf_reset(&made);
		if (inflate_at(u, chain[n], &delta, NULL, err) < 0)
			return -1;
		if (trib_delta_apply(bytes, trib_buf_span(&delta), &made, err) < 0)
			return trib_ctx(err, "pack: entry %u", chain[n] + 1);
		if (spend(u, made.len, err) < 0)
			return -1;
		struct trib_buf old = own;
		own = made;
		made = old;
		bytes = trib_buf_span(&own);
	}
	*ret = cache_keep(u, i, &own);
	return 0;
}

static const char *type_name(unsigned type)
{
	return type == TRIB_PACK_COMMIT ? "commit" : type == TRIB_PACK_TREE ? "tree" : "blob";
}

static int deliver(struct unpack *u, uint32_t i, struct trib_span bytes, struct trib_err *err)
{
	struct item *it = &u->items[i];
	if (bytes.n > trib_pack_type_max(it->type))
		return over(i, "larger than its type may be", err);
	trib_git_oid(it->oid, type_name(it->type), bytes);
	u->done++;
	return u->put(u->put_ctx, (enum trib_pack_type)it->type, bytes, it->oid, err);
}

static int entry_head(struct trib_reader *r, struct item *it)
{
	uint8_t c = trib_read_u8(r);
	it->kind = c >> 4 & 7;
	it->declared = c & 15;
	for (unsigned shift = 4; c & 0x80; shift += 7) {
		if (shift > 32)
			return -1;
		c = trib_read_u8(r);
		it->declared |= (uint64_t)(c & 0x7f) << shift;
	}
	return r->failed ? -1 : 0;
}

/* The item that starts at `offset`, among the first n. */
static uint32_t item_at(const struct unpack *u, uint32_t n, uint64_t offset)
{
	uint32_t lo = 0, hi = n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (u->items[mid].offset < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && u->items[lo].offset == offset ? lo : NONE;
}

static int entry_base(struct unpack *u, uint32_t i, struct trib_reader *r, struct trib_err *err)
{
	struct item *it = &u->items[i];
	if (it->kind == TRIB_PACK_REF_DELTA) {
		struct trib_span oid = trib_read(r, TRIB_OID_LEN);
		if (r->failed)
			return bad(i, "cut short", err);
		if (u->nref == TRIB_PACK_REF_DELTAS_MAX)
			return over(i, "too many deltas against objects named by id", err);
		memcpy(it->base_oid, oid.p, TRIB_OID_LEN);
		u->ref[u->nref++] = i;
		return 0;
	}
	uint8_t c = trib_read_u8(r);
	uint64_t back = c & 0x7f;
	while (c & 0x80) {
		c = trib_read_u8(r);
		back = (back + 1) << 7 | (c & 0x7f);
		if (back > TRIB_PACK_MAX)
			break;
	}
	it->base = r->failed || back == 0 || back > it->offset ? NONE : item_at(u, i, it->offset - back);
	if (it->base == NONE)
		return bad(i, "a delta's base is not the start of an earlier entry", err);
	u->ofs[u->nofs++] = i;
	return 0;
}

/* Walks the entries in file order: notes deltas, delivers whole objects. */
static int walk(struct unpack *u, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_OBJECT_MAX + 1);
	uint64_t at = 12;
	for (uint32_t i = 0; i < u->count; i++) {
		struct item *it = &u->items[i];
		struct trib_reader r = trib_reader(trib_span(u->pack.p + at, (size_t)(u->pack.n - at)));
		it->offset = at;
		it->base = NONE;
		if (entry_head(&r, it) < 0)
			return bad(i, "cut short, or its size is too large", err);
		size_t max = trib_pack_type_max(it->kind);
		if (max == 0)
			return bad(i, "an object type that is not allowed (only commits, trees and blobs)", err);
		if (it->declared > max)
			return over(i, "an object or delta larger than its kind may be", err);
		if (is_delta(it) && entry_base(u, i, &r, err) < 0)
			return -1;
		it->data = u->pack.n - r.rest.n;
		if (add_total(u, it->declared, err) < 0 || inflate_at(u, i, &bytes, &at, err) < 0)
			return -1;
		if (is_delta(it)) {
			struct trib_reader d = trib_reader(trib_buf_span(&bytes));
			uint64_t base_size, size;
			if (!delta_size(&d, &base_size) || !delta_size(&d, &size))
				return bad(i, "a delta without its sizes", err);
			if (base_size > TRIB_OBJECT_MAX || size > TRIB_OBJECT_MAX)
				return over(i, "a delta's base or result is too large", err);
			if (add_total(u, size, err) < 0)
				return -1;
			continue;
		}
		it->type = it->kind;
		it->queued = true;
		if (deliver(u, i, trib_buf_span(&bytes), err) < 0)
			return -1;
	}
	return at == u->pack.n ? 0 : trib_fail(err, TRIB_E_FORMAT, "pack: bytes after the last entry");
}

static int by_base(const void *a, const void *b, void *items)
{
	const struct item *x = (const struct item *)items + *(const uint32_t *)a, *y = (const struct item *)items + *(const uint32_t *)b;
	return (x->base > y->base) - (x->base < y->base);
}

static int by_base_oid(const void *a, const void *b, void *items)
{
	const struct item *x = (const struct item *)items + *(const uint32_t *)a, *y = (const struct item *)items + *(const uint32_t *)b;
	return memcmp(x->base_oid, y->base_oid, TRIB_OID_LEN);
}

static int by_oid(const void *a, const void *b, void *items)
{
	const struct item *x = (const struct item *)items + *(const uint32_t *)a, *y = (const struct item *)items + *(const uint32_t *)b;
	return memcmp(x->oid, y->oid, TRIB_OID_LEN);
}

static int push(struct unpack *u, uint32_t kid, uint32_t base, struct trib_err *err)
{
	struct item *it = &u->items[kid];
	if (it->queued)
		return 0;
	if (u->items[base].depth >= TRIB_PACK_DELTA_DEPTH)
		return over(kid, "a chain of deltas is too long", err);
	it->base = base;
	it->depth = (uint8_t)(u->items[base].depth + 1);
	it->type = u->items[base].type;
	it->queued = true;
	u->stack[u->nstack++] = kid;
	return 0;
}

/* Puts every delta that stands on the resolved item onto the stack. */
static int push_kids(struct unpack *u, uint32_t base, struct trib_err *err)
{
	const uint8_t *oid = u->items[base].oid;
	uint32_t lo = 0, hi = u->nofs;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (u->items[u->ofs[mid]].base < base)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < u->nofs && u->items[u->ofs[lo]].base == base; lo++)
		if (push(u, u->ofs[lo], base, err) < 0)
			return -1;
	lo = 0;
	hi = u->nref;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (memcmp(u->items[u->ref[mid]].base_oid, oid, TRIB_OID_LEN) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < u->nref && memcmp(u->items[u->ref[lo]].base_oid, oid, TRIB_OID_LEN) == 0; lo++)
		if (push(u, u->ref[lo], base, err) < 0)
			return -1;
	return 0;
}

/* Resolves everything that stands, however indirectly, on `base`. Each item is on the stack once in its life. */
static int resolve_from(struct unpack *u, uint32_t base, struct trib_err *err)
{
	struct trib_span bytes;
	if (push_kids(u, base, err) < 0)
		return -1;
	while (u->nstack > 0) {
		uint32_t i = u->stack[--u->nstack];
		if (load(u, i, &bytes, err) < 0 || deliver(u, i, bytes, err) < 0 || push_kids(u, i, err) < 0)
			return -1;
	}
	return 0;
}

/* Deltas that are left stand on objects of the repository, or on nothing. */
static int resolve_thin(struct unpack *u, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_OBJECT_MAX + 1);
	for (uint32_t k = 0; k < u->nref && u->done < u->count; k++) {
		const struct item *kid = &u->items[u->ref[k]];
		if (kid->queued || (k > 0 && memcmp(kid->base_oid, u->items[u->ref[k - 1]].base_oid, TRIB_OID_LEN) == 0))
			continue;
		struct item it = {.kind = EXTERNAL, .base = NONE, .queued = true};
		memcpy(it.oid, kid->base_oid, TRIB_OID_LEN);
		if (read_external(u, it.oid, &it.type, &bytes, err) < 0) {
			if (err->code == TRIB_E_NOT_FOUND)
				continue;
			return -1;
		}
		u->items[u->nitems] = it;
		(void)cache_keep(u, u->nitems, &bytes);
		if (resolve_from(u, u->nitems++, err) < 0)
			return -1;
	}
	return 0;
}

static int resolve(struct unpack *u, struct trib_err *err)
{
	if (u->nofs > 0)
		qsort_r(u->ofs, u->nofs, sizeof(*u->ofs), by_base, u->items);
	if (u->nref > 0)
		qsort_r(u->ref, u->nref, sizeof(*u->ref), by_base_oid, u->items);
	for (uint32_t i = 0; i < u->count && u->done < u->count; i++)
		if (!is_delta(&u->items[i]) && resolve_from(u, i, err) < 0)
			return -1;
	if (resolve_thin(u, err) < 0)
		return -1;
	for (uint32_t i = 0; i < u->count && u->done < u->count; i++)
		if (!u->items[i].queued)
			return bad(i, "a delta whose base is neither in the pack nor in the repository", err);
	return 0;
}

/* An object that is in the pack twice is what makes libgit2 loop; git never writes one. */
static int refuse_doubles(struct unpack *u, struct trib_err *err)
{
	for (uint32_t i = 0; i < u->count; i++)
		u->stack[i] = i;
	if (u->count > 0)
		qsort_r(u->stack, u->count, sizeof(*u->stack), by_oid, u->items);
	for (uint32_t i = 1; i < u->count; i++)
		if (by_oid(&u->stack[i - 1], &u->stack[i], u->items) == 0)
			return bad(u->stack[i], "an object that is in the pack twice", err);
	return 0;
}

/* Header, length and trailer; reserves the tables. */
static int open_pack(struct unpack *u, struct trib_span pack, struct trib_err *err)
{
	uint8_t sum[TRIB_OID_LEN];
	if (pack.n > TRIB_PACK_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "pack: over %zu bytes", TRIB_PACK_MAX);
	if (pack.n < 12 + TRIB_OID_LEN || memcmp(pack.p, "PACK", 4) != 0 || trib_be32(pack.p + 4) != 2)
		return trib_fail(err, TRIB_E_FORMAT, "pack: not a pack of version 2, or cut short");
	u->pack = trib_span(pack.p, pack.n - TRIB_OID_LEN);
	u->count = u->nitems = trib_be32(pack.p + 8);
	if (u->count > TRIB_PACK_OBJECTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "pack: %u objects, the limit is %d", u->count, TRIB_PACK_OBJECTS_MAX);
	trib_sha1(sum, u->pack);
	if (memcmp(sum, pack.p + u->pack.n, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_FORMAT, "pack: wrong checksum at its end; nothing was taken, push again");
	size_t n = (size_t)u->count + 1;
	u->items = calloc(n + (n < TRIB_PACK_REF_DELTAS_MAX ? n : TRIB_PACK_REF_DELTAS_MAX), sizeof(*u->items));
	u->ofs = calloc(n, sizeof(*u->ofs));
	u->ref = calloc(n, sizeof(*u->ref));
	u->stack = calloc(n, sizeof(*u->stack));
	return u->items && u->ofs && u->ref && u->stack ? 0 : trib_fail(err, TRIB_E_NOMEM, "pack: out of memory");
}

int trib_unpack(struct trib_span pack, trib_unpack_base base, void *base_ctx, trib_unpack_put put, void *put_ctx,
		uint64_t *ret_objects, struct trib_err *err)
{
	struct unpack u = {.base = base, .base_ctx = base_ctx, .put = put, .put_ctx = put_ctx};
	int rc = -1;
	if (open_pack(&u, pack, err) == 0 && walk(&u, err) == 0 && resolve(&u, err) == 0)
		rc = refuse_doubles(&u, err);
	if (rc == 0 && ret_objects)
		*ret_objects = u.count;
	for (size_t k = 0; k < SLOTS; k++)
		trib_buf_release(&u.slots[k].bytes);
	if (u.z_open)
		(void)inflateEnd(&u.z);
	free(u.items);
	free(u.ofs);
	free(u.ref);
	free(u.stack);
	return rc;
}
