#include "core/format/packscan.h"

#include <zlib.h>

#define WINDOW (16 * TRIB_KIB)
#define HEAD_LEN 12
#define TRAILER_LEN TRIB_OID_LEN

enum state { S_HEAD, S_ENTRY, S_SIZE, S_OFS, S_OFS_MORE, S_REF, S_DATA, S_TRAILER, S_DONE };
enum delta { D_BASE_SIZE, D_RESULT_SIZE, D_OP, D_COPY, D_INSERT };

struct entry {
	uint64_t offset, size; /* size: of the object, after the delta */
	uint8_t type, depth;   /* type: of the object; 0 while a REF delta hides it */
};

struct trib_packscan {
	enum state state;
	uint64_t at;          /* bytes consumed */
	uint32_t count, seen; /* declared, finished */
	uint64_t total;       /* inflated bytes and delta results so far */
	uint32_t ref_deltas;
	uint8_t head[HEAD_LEN];
	size_t have; /* bytes of head, base id or trailer so far */
	struct entry *entries;
	size_t cap;
	/* the entry at hand */
	struct entry cur;
	unsigned kind, shift;
	uint64_t declared, inflated, ofs;
	bool has_base; /* base_size is known */
	uint64_t base_size;
	/* its delta instructions */
	enum delta delta;
	uint64_t delta_base, delta_result, made;
	uint8_t op;
	unsigned arg; /* bit of op whose byte comes next */
	uint64_t copy_from, copy_len;
	size_t insert;
	z_stream z;
	bool z_open;
	struct trib_err failed; /* code TRIB_OK until the first failure */
	uint8_t window[WINDOW];
};

size_t trib_pack_type_max(unsigned type)
{
	switch (type) {
	case TRIB_PACK_COMMIT:
		return TRIB_COMMIT_MAX;
	case TRIB_PACK_TREE:
		return TRIB_KIB; /* eight entries of at most 59 bytes */
	case TRIB_PACK_BLOB:
		return TRIB_OBJECT_MAX;
	case TRIB_PACK_OFS_DELTA:
	case TRIB_PACK_REF_DELTA:
		return TRIB_PACK_DELTA_MAX;
	default:
		return 0;
	}
}

struct trib_packscan *trib_packscan_new(void) { return calloc(1, sizeof(struct trib_packscan)); }

void trib_packscan_free(struct trib_packscan *s)
{
	if (!s)
		return;
	if (s->z_open)
		(void)inflateEnd(&s->z);
	free(s->entries);
	free(s);
}

static int bad(const struct trib_packscan *s, struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_FORMAT, "pack: entry %u, offset %llu: %s", s->seen + 1, (unsigned long long)s->at, what);
}

static int over(const struct trib_packscan *s, struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_LIMIT, "pack: entry %u, offset %llu: %s", s->seen + 1, (unsigned long long)s->at, what);
}

static int add_total(struct trib_packscan *s, uint64_t n, struct trib_err *err)
{
	s->total += n; /* each n was held against its own limit, so this cannot wrap */
	return s->total > TRIB_PACK_INFLATED_MAX ? over(s, err, "the pack's objects are too large together") : 0;
}

static int start_data(struct trib_packscan *s, struct trib_err *err)
{
	int rc = s->z_open ? inflateReset(&s->z) : inflateInit(&s->z);
	if (rc != Z_OK)
		return trib_fail(err, TRIB_E_NOMEM, "pack: zlib has no memory");
	s->z_open = true;
	s->inflated = 0;
	s->delta = D_BASE_SIZE;
	s->delta_base = s->delta_result = s->made = 0;
	s->shift = 0;
	s->state = S_DATA;
	return 0;
}

/* Type and size are known: holds them against the limits and goes on to the base or the data. */
static int entry_known(struct trib_packscan *s, struct trib_err *err)
{
	size_t max = trib_pack_type_max(s->kind);
	if (max == 0)
		return bad(s, err, "an object type that is not allowed (only commits, trees and blobs)");
	if (s->declared > max)
		return over(s, err, "an object or delta larger than its kind may be");
	if (add_total(s, s->declared, err) < 0)
		return -1;
	s->has_base = false;
	s->cur.depth = 0;
	s->cur.type = (uint8_t)s->kind;
	s->cur.size = s->declared;
	s->have = 0;
	if (s->kind == TRIB_PACK_OFS_DELTA) {
		s->state = S_OFS;
		return 0;
	}
	if (s->kind == TRIB_PACK_REF_DELTA) {
		if (++s->ref_deltas > TRIB_PACK_REF_DELTAS_MAX)
			return over(s, err, "too many deltas against objects named by id");
		s->cur.type = 0;
		s->cur.depth = 1;
		s->state = S_REF;
		return 0;
	}
	return start_data(s, err);
}

/* The base of an OFS delta must be the start of an earlier entry. */
static int ofs_known(struct trib_packscan *s, struct trib_err *err)
{
	if (s->ofs == 0 || s->ofs > s->cur.offset)
		return bad(s, err, "a delta's base lies outside of the pack");
	uint64_t want = s->cur.offset - s->ofs;
	size_t lo = 0, hi = s->seen;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->entries[mid].offset < want)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == s->seen || s->entries[lo].offset != want)
		return bad(s, err, "a delta's base is not the start of an earlier entry");
	const struct entry *base = &s->entries[lo];
	if (base->depth >= TRIB_PACK_DELTA_DEPTH)
		return over(s, err, "a chain of deltas is too long");
	s->cur.depth = (uint8_t)(base->depth + 1);
	s->cur.type = base->type;
	s->base_size = base->size;
	s->has_base = true;
	return start_data(s, err);
}

static int delta_sizes_known(struct trib_packscan *s, struct trib_err *err)
{
	size_t max = s->cur.type ? trib_pack_type_max(s->cur.type) : TRIB_OBJECT_MAX;
	if (s->has_base && s->delta_base != s->base_size)
		return bad(s, err, "a delta names another size than its base has");
	if (s->delta_base > TRIB_OBJECT_MAX || s->delta_result > max)
		return over(s, err, "a delta's base or result is too large");
	s->cur.size = s->delta_result;
	return add_total(s, s->delta_result, err);
}

/* A size of at most 35 bits, seven bits a byte, lowest first. *ret_more: another byte follows. */
static int delta_varint(struct trib_packscan *s, uint8_t c, uint64_t *v, bool *ret_more, struct trib_err *err)
{
	if (s->shift > 28)
		return over(s, err, "a size in a delta is too large");
	*v |= (uint64_t)(c & 0x7f) << s->shift;
	s->shift += 7;
	*ret_more = c & 0x80;
	if (!*ret_more)
		s->shift = 0;
	return 0;
}

static int delta_copy(struct trib_packscan *s, struct trib_err *err)
{
	if (s->copy_len == 0)
		s->copy_len = 0x10000;
	if (s->copy_from > s->delta_base || s->copy_len > s->delta_base - s->copy_from)
		return bad(s, err, "a delta copies from outside of its base");
	s->made += s->copy_len;
	s->delta = D_OP;
	return s->made > s->delta_result ? bad(s, err, "a delta makes more than it says") : 0;
}

static void next_arg(struct trib_packscan *s)
{
	while (s->arg < 7 && !(s->op & 1u << s->arg))
		s->arg++;
}

/* One byte of a delta that is not literal text. */
static int delta_byte(struct trib_packscan *s, uint8_t c, struct trib_err *err)
{
	bool more = false;
	switch (s->delta) {
	case D_BASE_SIZE:
		if (delta_varint(s, c, &s->delta_base, &more, err) < 0)
			return -1;
		s->delta = more ? D_BASE_SIZE : D_RESULT_SIZE;
		return 0;
	case D_RESULT_SIZE:
		if (delta_varint(s, c, &s->delta_result, &more, err) < 0)
			return -1;
		if (more)
			return 0;
		s->delta = D_OP;
		return delta_sizes_known(s, err);
	case D_OP:
		if (c == 0)
			return bad(s, err, "a delta holds the reserved instruction 0");
		if (!(c & 0x80)) {
			s->insert = c;
			s->made += c;
			s->delta = D_INSERT;
			return s->made > s->delta_result ? bad(s, err, "a delta makes more than it says") : 0;
		}
		s->op = c;
		s->copy_from = s->copy_len = 0;
		s->arg = 0;
		s->delta = D_COPY;
		next_arg(s);
		return s->arg == 7 ? delta_copy(s, err) : 0;
	case D_COPY:
		if (s->arg < 4)
			s->copy_from |= (uint64_t)c << (8 * s->arg);
		else
			s->copy_len |= (uint64_t)c << (8 * (s->arg - 4));
		s->arg++;
		next_arg(s);
		return s->arg == 7 ? delta_copy(s, err) : 0;
	case D_INSERT:
		break;
	}
	return bad(s, err, "a delta is malformed");
}

static int delta_bytes(struct trib_packscan *s, struct trib_span in, struct trib_err *err)
{
	while (in.n > 0) {
		size_t n = 1;
		if (s->delta == D_INSERT) {
			n = s->insert < in.n ? s->insert : in.n;
			s->insert -= n;
			if (s->insert == 0)
				s->delta = D_OP;
		} else if (delta_byte(s, in.p[0], err) < 0) {
			return -1;
		}
		in = trib_span(in.p + n, in.n - n);
	}
	return 0;
}

static int entry_done(struct trib_packscan *s, struct trib_err *err)
{
	bool delta = s->kind >= TRIB_PACK_OFS_DELTA;
	if (s->inflated != s->declared)
		return bad(s, err, "an object is shorter than it says");
	if (delta && (s->delta != D_OP || s->made != s->delta_result))
		return bad(s, err, "a delta is cut short or makes less than it says");
	if (s->seen == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct entry *p = realloc(s->entries, cap * sizeof(*p));
		if (!p)
			return trib_fail(err, TRIB_E_NOMEM, "pack: out of memory");
		s->entries = p;
		s->cap = cap;
	}
	s->entries[s->seen++] = s->cur;
	s->have = 0;
	s->state = s->seen == s->count ? S_TRAILER : S_ENTRY;
	return 0;
}

/* Inflates what is there. Every round takes input or ends, and output is held against the declared size at once. */
static int feed_data(struct trib_packscan *s, struct trib_span *in, struct trib_err *err)
{
	while (in->n > 0 && s->state == S_DATA) {
		uInt give = in->n < WINDOW ? (uInt)in->n : (uInt)WINDOW;
		s->z.next_in = (Bytef *)(uintptr_t)in->p;
		s->z.avail_in = give;
		int rc;
		do {
			s->z.next_out = s->window;
			s->z.avail_out = WINDOW;
			rc = inflate(&s->z, Z_NO_FLUSH);
			size_t made = WINDOW - s->z.avail_out;
			size_t room = (size_t)(s->declared - s->inflated);
			size_t good = made < room ? made : room;
			s->inflated += good;
			/* in the order of the bytes, so that the verdict does not depend on how they were cut */
			if (s->kind >= TRIB_PACK_OFS_DELTA && delta_bytes(s, trib_span(s->window, good), err) < 0)
				return -1;
			if (made > room)
				return bad(s, err, "an object is longer than it says");
			if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
				return bad(s, err, "damaged zlib stream");
		} while (rc != Z_STREAM_END && s->z.avail_out == 0);
		size_t took = give - s->z.avail_in;
		s->at += took;
		*in = trib_span(in->p + took, in->n - took);
		if (rc == Z_STREAM_END) {
			if (entry_done(s, err) < 0)
				return -1;
		} else if (took == 0) {
			return bad(s, err, "a zlib stream that makes no progress");
		}
	}
	return 0;
}

static int head_known(struct trib_packscan *s, struct trib_err *err)
{
	if (memcmp(s->head, "PACK", 4) != 0 || trib_be32(s->head + 4) != 2)
		return trib_fail(err, TRIB_E_FORMAT, "pack: not a pack of version 2");
	s->count = trib_be32(s->head + 8);
	if (s->count > TRIB_PACK_OBJECTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "pack: %u objects declared, the limit is %d; push in smaller steps", s->count, TRIB_PACK_OBJECTS_MAX);
	s->have = 0;
	s->state = s->count ? S_ENTRY : S_TRAILER;
	return 0;
}

static int feed_byte(struct trib_packscan *s, uint8_t c, struct trib_err *err)
{
	s->at++;
	switch (s->state) {
	case S_HEAD:
		s->head[s->have++] = c;
		return s->have == HEAD_LEN ? head_known(s, err) : 0;
	case S_ENTRY:
		s->cur.offset = s->at - 1;
		s->kind = c >> 4 & 7;
		s->declared = c & 15;
		s->shift = 4;
		s->state = S_SIZE;
		return c & 0x80 ? 0 : entry_known(s, err);
	case S_SIZE:
		if (s->shift > 32)
			return over(s, err, "an object's size is too large");
		s->declared |= (uint64_t)(c & 0x7f) << s->shift;
		s->shift += 7;
		return c & 0x80 ? 0 : entry_known(s, err);
	case S_OFS:
	case S_OFS_MORE:
		s->ofs = s->state == S_OFS ? c & 0x7f : (s->ofs + 1) << 7 | (c & 0x7f);
		s->state = S_OFS_MORE;
		if (s->ofs > TRIB_PACK_MAX)
			return bad(s, err, "a delta's base lies outside of the pack");
		return c & 0x80 ? 0 : ofs_known(s, err);
	case S_REF:
		return ++s->have == TRIB_OID_LEN ? start_data(s, err) : 0;
	case S_TRAILER:
		if (++s->have == TRAILER_LEN)
			s->state = S_DONE;
		return 0;
	case S_DATA:
	case S_DONE:
		break;
	}
	return trib_fail(err, TRIB_E_FORMAT, "pack: bytes after its end");
}

static int feed(struct trib_packscan *s, struct trib_span in, struct trib_err *err)
{
	if (in.n > TRIB_PACK_MAX || s->at > TRIB_PACK_MAX - in.n)
		return trib_fail(err, TRIB_E_LIMIT, "pack: over %zu bytes; push in smaller steps", TRIB_PACK_MAX);
	while (in.n > 0) {
		if (s->state == S_DATA) {
			if (feed_data(s, &in, err) < 0)
				return -1;
			continue;
		}
		if (feed_byte(s, in.p[0], err) < 0)
			return -1;
		in = trib_span(in.p + 1, in.n - 1);
	}
	return 0;
}

int trib_packscan_feed(struct trib_packscan *s, struct trib_span bytes, struct trib_err *err)
{
	if (s->failed.code == TRIB_OK && feed(s, bytes, &s->failed) == 0)
		return 0;
	*err = s->failed;
	return -1;
}

int trib_packscan_end(struct trib_packscan *s, uint64_t *ret_objects, struct trib_err *err)
{
	if (s->failed.code == TRIB_OK && s->state != S_DONE)
		(void)trib_fail(&s->failed, TRIB_E_FORMAT, "pack: cut short after %llu bytes and %u of %u objects; nothing was taken, push again",
				(unsigned long long)s->at, s->seen, s->count);
	if (s->failed.code != TRIB_OK) {
		*err = s->failed;
		return -1;
	}
	*ret_objects = s->seen;
	return 0;
}
