#include "core/replay/judge.h"

#define TIP_MAGIC "tributary-tip-1\n"
#define FLAG_EXISTS 1u
#define FLAG_NEXT 2u
#define FLAG_OPEN 4u /* group_base and group_salt differ from lanes and salt, and follow */

void trib_tip_release(struct trib_tip *t)
{
	trib_lanes_release(&t->lanes);
	trib_lanes_release(&t->group_base);
	*t = (struct trib_tip){0};
}

int trib_tip_copy(const struct trib_tip *from, struct trib_tip *ret, struct trib_err *err)
{
	struct trib_tip t = *from;

	t.lanes = (struct trib_lanes){0};
	t.group_base = (struct trib_lanes){0};
	if (trib_lanes_copy(&from->lanes, &t.lanes, err) < 0)
		return -1;
	if (trib_lanes_copy(&from->group_base, &t.group_base, err) < 0) {
		trib_lanes_release(&t.lanes);
		return -1;
	}
	*ret = t;
	return 0;
}

/* A length of four bytes, filled in once the lanes are written. */
static void put_lanes(struct trib_buf *b, const struct trib_lanes *l)
{
	size_t at = b->len;

	trib_buf_be32(b, 0);
	trib_lanes_put(b, l);
	if (!b->failed)
		trib_put_be32(b->p + at, (uint32_t)(b->len - at - 4));
}

void trib_tip_put(struct trib_buf *b, const struct trib_tip *t)
{
	bool open = trib_tip_open(t);

	trib_buf_puts(b, TIP_MAGIC);
	trib_buf_putc(b, (uint8_t)((t->exists ? FLAG_EXISTS : 0) | (t->has_next ? FLAG_NEXT : 0) | (open ? FLAG_OPEN : 0)));
	trib_buf_put(b, t->oid, sizeof(t->oid));
	trib_buf_put(b, t->manifest_sha256, sizeof(t->manifest_sha256));
	trib_buf_be64(b, t->seq);
	trib_buf_be64(b, t->incarnation);
	trib_buf_be64(b, t->part);
	trib_buf_be64(b, t->parts);
	trib_buf_be64(b, (uint64_t)t->captured_at);
	trib_buf_be64(b, t->policy);
	trib_buf_putc(b, (uint8_t)t->kind);
	trib_buf_put(b, t->signer_spki, sizeof(t->signer_spki));
	trib_buf_put(b, t->next_spki, sizeof(t->next_spki));
	trib_buf_put(b, t->salt, sizeof(t->salt));
	put_lanes(b, &t->lanes);
	if (open) {
		trib_buf_put(b, t->group_salt, sizeof(t->group_salt));
		put_lanes(b, &t->group_base);
	}
}

static void take(struct trib_reader *r, uint8_t *ret, size_t n)
{
	struct trib_span s = trib_read(r, n);

	if (s.n == n)
		memcpy(ret, s.p, n);
}

static int take_lanes(struct trib_reader *r, struct trib_lanes *ret, struct trib_err *err)
{
	struct trib_span s = trib_read(r, trib_read_be32(r));

	if (r->failed)
		return trib_fail(err, TRIB_E_FORMAT, "tip: cut short");
	if (s.n > TRIB_LANES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "tip: lanes of %zu bytes are over the limit", s.n);
	return trib_lanes_parse(s, ret, err);
}

static int take_group(struct trib_reader *r, bool open, struct trib_tip *t, struct trib_err *err)
{
	if (!open) {
		memcpy(t->group_salt, t->salt, sizeof(t->group_salt));
		return trib_lanes_copy(&t->lanes, &t->group_base, err);
	}
	take(r, t->group_salt, sizeof(t->group_salt));
	return take_lanes(r, &t->group_base, err);
}

static int parse(struct trib_reader *r, struct trib_tip *t, struct trib_err *err)
{
	struct trib_span magic = trib_read(r, strlen(TIP_MAGIC));
	uint8_t flags = trib_read_u8(r), kind;

	t->exists = flags & FLAG_EXISTS;
	t->has_next = flags & FLAG_NEXT;
	take(r, t->oid, sizeof(t->oid));
	take(r, t->manifest_sha256, sizeof(t->manifest_sha256));
	t->seq = trib_read_be64(r);
	t->incarnation = trib_read_be64(r);
	t->part = trib_read_be64(r);
	t->parts = trib_read_be64(r);
	t->captured_at = (int64_t)trib_read_be64(r);
	t->policy = trib_read_be64(r);
	kind = trib_read_u8(r);
	take(r, t->signer_spki, sizeof(t->signer_spki));
	take(r, t->next_spki, sizeof(t->next_spki));
	take(r, t->salt, sizeof(t->salt));
	if (r->failed || !trib_span_is(magic, TIP_MAGIC))
		return trib_fail(err, TRIB_E_FORMAT, "tip: not a tributary tip");
	if (kind > TRIB_KIND_CLOSED || flags > (FLAG_EXISTS | FLAG_NEXT | FLAG_OPEN) || t->part > t->parts ||
	    trib_tip_open(t) != !!(flags & FLAG_OPEN))
		return trib_fail(err, TRIB_E_FORMAT, "tip: impossible flags, kind or part");
	if (!t->exists && (t->seq || t->captured_at))
		return trib_fail(err, TRIB_E_FORMAT, "tip: no commit, and yet a number or a time of one");
	t->kind = (enum trib_kind)kind;
	if (take_lanes(r, &t->lanes, err) < 0 || take_group(r, flags & FLAG_OPEN, t, err) < 0)
		return -1;
	if (r->failed || r->rest.n)
		return trib_fail(err, TRIB_E_FORMAT, "tip: wrong length");
	return 0;
}

int trib_tip_parse(struct trib_span bytes, struct trib_tip *ret, struct trib_err *err)
{
	struct trib_reader r = trib_reader(bytes);
	struct trib_tip t = {0};

	if (parse(&r, &t, err) < 0) {
		trib_tip_release(&t);
		return -1;
	}
	*ret = t;
	return 0;
}
