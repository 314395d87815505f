#include "core/format/witness.h"

#define WITNESSED_FORMAT "format tributary-witnessed-1\n"

static int bad(struct trib_err *err, const char *what) { return trib_fail(err, TRIB_E_FORMAT, "add-checkpoint: %s", what); }

static bool take_line(struct trib_span *s, struct trib_span *ret)
{
	const uint8_t *lf = s->n ? memchr(s->p, '\n', s->n) : NULL;
	if (!lf)
		return false;
	*ret = trib_span(s->p, (size_t)(lf - s->p));
	s->p += ret->n + 1;
	s->n -= ret->n + 1;
	return true;
}

/* Decimal without leading zeros, at most INT64_MAX. */
static bool decimal(struct trib_span s, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.n < 1 || s.n > 19 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*ret = v;
	return v <= INT64_MAX;
}

static bool take_hash(struct trib_span line, uint8_t ret[TRIB_SHA256_LEN])
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_SHA256_LEN);
	if (line.n != 44 || !trib_unbase64(&raw, line) || raw.len != TRIB_SHA256_LEN)
		return false;
	memcpy(ret, raw.p, TRIB_SHA256_LEN);
	return true;
}

int trib_add_checkpoint_parse(struct trib_span body, struct trib_add_checkpoint *ret, struct trib_err *err)
{
	struct trib_span rest = body, line;
	if (body.n > TRIB_ADD_CHECKPOINT_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "add-checkpoint: %zu bytes, the limit is %zu", body.n, TRIB_ADD_CHECKPOINT_MAX);
	ret->nproof = 0;
	if (!take_line(&rest, &line) || !trib_span_starts(line, "old ") || !decimal(trib_span(line.p + 4, line.n - 4), &ret->old))
		return bad(err, "line 1 is not `old` and a decimal number");
	for (;;) {
		if (!take_line(&rest, &line))
			return bad(err, "no empty line before the checkpoint");
		if (line.n == 0)
			break;
		if (ret->nproof == TRIB_PROOF_MAX_HASHES)
			return trib_fail(err, TRIB_E_LIMIT, "add-checkpoint: more than %d hashes", TRIB_PROOF_MAX_HASHES);
		if (!take_hash(line, ret->proof[ret->nproof]))
			return bad(err, "a line of the proof is not the base64 of 32 bytes");
		ret->nproof++;
	}
	if (rest.n == 0)
		return bad(err, "no checkpoint");
	ret->note = rest;
	return 0;
}

void trib_add_checkpoint_put(struct trib_buf *b, uint64_t old, const uint8_t (*proof)[TRIB_SHA256_LEN], size_t n, struct trib_span note)
{
	trib_buf_printf(b, "old %llu\n", (unsigned long long)old);
	for (size_t i = 0; i < n; i++) {
		trib_base64(b, proof[i], TRIB_SHA256_LEN);
		trib_buf_putc(b, '\n');
	}
	trib_buf_putc(b, '\n');
	trib_buf_put_span(b, note);
}

bool trib_tlog_size_parse(struct trib_span body, uint64_t *ret)
{
	struct trib_span line;
	return take_line(&body, &line) && body.n == 0 && decimal(line, ret);
}

int trib_witnessed_parse(struct trib_span blob, struct trib_witnessed *ret, struct trib_err *err)
{
	size_t head = strlen(WITNESSED_FORMAT);
	if (blob.n > TRIB_WITNESSED_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "witnessed: %zu bytes, the limit is %zu", blob.n, TRIB_WITNESSED_MAX);
	if (!trib_span_starts(blob, WITNESSED_FORMAT))
		return trib_fail(err, TRIB_E_FORMAT, "witnessed: does not begin with `format tributary-witnessed-1`");
	*ret = (struct trib_witnessed){.rest = trib_span(blob.p + head, blob.n - head)};
	return 0;
}

int trib_witnessed_next(struct trib_witnessed *w, struct trib_witnessed_note *ret, struct trib_err *err)
{
	struct trib_span f[2];
	uint64_t n, len;
	if (w->rest.n == 0)
		return 0;
	struct trib_kv kv = trib_kv(w->rest);
	if (trib_kv_take(&kv, "cosigned", 2, f, err))
		return trib_ctx(err, "witnessed");
	if (!decimal(f[0], &n) || !decimal(f[1], &len) || n > TRIB_PROOF_MAX_HASHES || len == 0 || len > TRIB_NOTE_MAX)
		return trib_fail(err, TRIB_E_FORMAT, "witnessed: impossible numbers of hashes and bytes");
	struct trib_reader in = trib_reader(kv.rest);
	for (ret->nproof = 0; ret->nproof < n; ret->nproof++) {
		struct trib_span line = trib_read(&in, TRIB_SHA256_HEX + 1);
		if (in.failed || line.p[TRIB_SHA256_HEX] != '\n' || !trib_unhex(ret->proof[ret->nproof], TRIB_SHA256_LEN, trib_span(line.p, TRIB_SHA256_HEX)))
			return trib_fail(err, TRIB_E_FORMAT, "witnessed: a line of a proof is not 64 hex digits");
	}
	ret->note = trib_read(&in, (size_t)len);
	if (in.failed)
		return trib_fail(err, TRIB_E_FORMAT, "witnessed: a note is cut short");
	w->rest = in.rest;
	return 1;
}

void trib_witnessed_begin(struct trib_buf *b) { trib_buf_puts(b, WITNESSED_FORMAT); }

void trib_witnessed_put(struct trib_buf *b, const uint8_t (*proof)[TRIB_SHA256_LEN], size_t n, struct trib_span note)
{
	trib_buf_printf(b, "cosigned %zu %zu\n", n, note.n);
	for (size_t i = 0; i < n; i++) {
		trib_buf_hex(b, proof[i], TRIB_SHA256_LEN);
		trib_buf_putc(b, '\n');
	}
	trib_buf_put_span(b, note);
}
