#include "core/format/note.h"

#define EM_DASH "\xe2\x80\x94 " /* U+2014 and a blank begin a signature line */
#define ED25519_LEN 68           /* key id and signature */
#define COSIG_LEN 76             /* key id, time, signature */
#define RECEIPTS_FORMAT "tributary-receipts-1\n"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void trib_base64(struct trib_buf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 3) {
		size_t k = n - i < 3 ? n - i : 3;
		uint32_t v = (uint32_t)p[i] << 16 | (k > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (k > 2 ? p[i + 2] : 0);
		char q[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], k > 1 ? alphabet[v >> 6 & 63] : '=',
			     k > 2 ? alphabet[v & 63] : '='};
		trib_buf_put(b, q, sizeof(q));
	}
}

static int sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool trib_unbase64(struct trib_buf *ret, struct trib_span text)
{
	if (text.n % 4 != 0)
		return false;
	for (size_t i = 0; i < text.n; i += 4) {
		const uint8_t *q = text.p + i;
		bool last = i + 4 == text.n;
		size_t pad = last && q[3] == '=' ? (q[2] == '=' ? 2 : 1) : 0;
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : sextet(q[k]);
			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff))) /* bits that no byte takes */
			return false;
		uint8_t bytes[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
		trib_buf_put(ret, bytes, 3 - pad);
	}
	return !ret->failed;
}

static int bad(struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_FORMAT, "signed note: %s", what);
}

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

/* C2SP: not empty, no blanks, no plus. */
bool trib_note_name_valid(struct trib_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '+')
			return false;
	return s.n > 0;
}

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

static int too_many(struct trib_err *err) { return trib_fail(err, TRIB_E_LIMIT, "signed note: more than %d signatures", TRIB_NOTE_SIGS_MAX); }

static int take_sig(struct trib_span name, const uint8_t raw[ED25519_LEN], struct trib_checkpoint *c, struct trib_err *err)
{
	if (c->nsigs == TRIB_NOTE_SIGS_MAX)
		return too_many(err);
	struct trib_note_sig *sig = &c->sigs[c->nsigs++];
	sig->key_name = name;
	memcpy(sig->key_id, raw, 4);
	memcpy(sig->sig, raw + 4, 64);
	return 0;
}

static int take_cosig(struct trib_span name, const uint8_t raw[COSIG_LEN], struct trib_checkpoint *c, struct trib_err *err)
{
	if (c->ncosigs == TRIB_NOTE_SIGS_MAX)
		return too_many(err);
	struct trib_note_cosig *sig = &c->cosigs[c->ncosigs++];
	sig->key_name = name;
	memcpy(sig->key_id, raw, 4);
	sig->time = trib_be64(raw + 4);
	memcpy(sig->sig, raw + 12, 64);
	return 0;
}

/* One line "— KEYNAME BASE64". */
static int parse_sig(struct trib_span line, struct trib_checkpoint *c, struct trib_err *err)
{
	if (!trib_span_starts(line, EM_DASH))
		return bad(err, "a line after the text is not a signature line");
	line = trib_span(line.p + strlen(EM_DASH), line.n - strlen(EM_DASH));
	const uint8_t *sp = line.n ? memchr(line.p, ' ', line.n) : NULL;
	if (!sp)
		return bad(err, "signature line without a signature");
	struct trib_span name = trib_span(line.p, (size_t)(sp - line.p));
	struct trib_span text = trib_span(sp + 1, line.n - name.n - 1);
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_NOTE_MAX);
	if (!trib_note_name_valid(name) || !trib_unbase64(&raw, text) || raw.len < 5)
		return trib_buf_check(&raw, "signed note", err) < 0 ? -1 : bad(err, "bad key name or base64 in a signature line");
	if (raw.len == COSIG_LEN && !(raw.p[4] & 0x80)) /* else of another kind that happens to be as long */
		return take_cosig(name, raw.p, c, err);
	return raw.len == ED25519_LEN ? take_sig(name, raw.p, c, err) : 0;
}

int trib_checkpoint_parse(struct trib_span note, struct trib_checkpoint *ret, struct trib_err *err)
{
	struct trib_checkpoint c = {0};
	struct trib_span rest = note, line;
	if (note.n > TRIB_NOTE_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "signed note of %zu bytes, the limit is %zu", note.n, TRIB_NOTE_MAX);
	if (!take_line(&rest, &c.origin) || !trib_note_name_valid(c.origin))
		return bad(err, "line 1: no origin");
	if (!take_line(&rest, &line) || !decimal(line, &c.size))
		return bad(err, "line 2: the tree's size is not a decimal number");
	TRIB_AUTO(trib_buf) struct trib_buf root = TRIB_BUF(TRIB_SHA256_LEN);
	if (!take_line(&rest, &line) || line.n != 44 || !trib_unbase64(&root, line) || root.len != TRIB_SHA256_LEN)
		return root.nomem ? trib_buf_check(&root, "signed note", err) : bad(err, "line 3: not the base64 of 32 bytes");
	memcpy(c.root, root.p, TRIB_SHA256_LEN);
	c.text = trib_span(note.p, note.n - rest.n);
	if (!take_line(&rest, &line) || line.n != 0 || rest.n == 0)
		return bad(err, "line 4: no empty line before the signatures");
	while (take_line(&rest, &line))
		if (parse_sig(line, &c, err) < 0)
			return -1;
	if (rest.n > 0)
		return bad(err, "does not end with LF");
	*ret = c;
	return 0;
}

void trib_checkpoint_put_text(struct trib_buf *b, const char *origin, uint64_t size, const uint8_t root[TRIB_SHA256_LEN])
{
	trib_buf_printf(b, "%s\n%llu\n", origin, (unsigned long long)size);
	trib_base64(b, root, TRIB_SHA256_LEN);
	trib_buf_putc(b, '\n');
}

/* True when the last line of b is a signature line already. */
static bool after_sig(const struct trib_buf *b)
{
	size_t at = b->len ? b->len - 1 : 0;
	while (at > 0 && b->p[at - 1] != '\n')
		at--;
	return b->len > 0 && trib_span_starts(trib_span(b->p + at, b->len - at), EM_DASH);
}

static void put_line(struct trib_buf *b, const char *name, const uint8_t *raw, size_t n)
{
	if (!after_sig(b))
		trib_buf_putc(b, '\n');
	trib_buf_puts(b, EM_DASH);
	trib_buf_puts(b, name);
	trib_buf_putc(b, ' ');
	trib_base64(b, raw, n);
	trib_buf_putc(b, '\n');
}

void trib_note_put_sig(struct trib_buf *b, const char *key_name, const uint8_t key_id[4], const uint8_t sig[64])
{
	uint8_t raw[ED25519_LEN];
	memcpy(raw, key_id, 4);
	memcpy(raw + 4, sig, 64);
	put_line(b, key_name, raw, sizeof(raw));
}

void trib_note_put_cosig(struct trib_buf *b, const char *key_name, const uint8_t key_id[4], uint64_t time, const uint8_t sig[64])
{
	uint8_t raw[COSIG_LEN];
	memcpy(raw, key_id, 4);
	trib_put_be64(raw + 4, time);
	memcpy(raw + 12, sig, 64);
	put_line(b, key_name, raw, sizeof(raw));
}

static int bad_receipts(struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_FORMAT, "receipts: %s", what);
}

int trib_receipts_next(struct trib_receipts *r, struct trib_receipt *ret, struct trib_err *err)
{
	struct trib_receipt e = {0};
	struct trib_span f[3];
	uint64_t nproof = 0, leaf_len = 0;
	if (r->rest.n == 0)
		return 0;
	struct trib_kv kv = trib_kv(r->rest);
	if (trib_kv_take(&kv, "receipt", 3, f, err) < 0)
		return trib_ctx(err, "receipts");
	if (!decimal(f[0], &e.index) || !decimal(f[1], &nproof) || !decimal(f[2], &leaf_len))
		return bad_receipts(err, "an entry's index, number of hashes or length is not a decimal number");
	if (e.index < r->next_index)
		return bad_receipts(err, "entries do not rise by index");
	if (nproof > TRIB_PROOF_MAX_HASHES || leaf_len > TRIB_LEAF_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "receipts: entry %llu: %llu hashes and a leaf of %llu bytes; the limits are %d and %d",
				 (unsigned long long)e.index, (unsigned long long)nproof, (unsigned long long)leaf_len,
				 TRIB_PROOF_MAX_HASHES, TRIB_LEAF_MAX);
	struct trib_reader in = trib_reader(kv.rest);
	for (; e.nproof < nproof; e.nproof++) {
		struct trib_span line = trib_read(&in, TRIB_SHA256_HEX + 1);
		if (in.failed || line.p[TRIB_SHA256_HEX] != '\n' ||
		    !trib_unhex(e.proof[e.nproof], TRIB_SHA256_LEN, trib_span(line.p, TRIB_SHA256_HEX)))
			return bad_receipts(err, "a line of a proof is not 64 hex digits");
	}
	e.leaf = trib_read(&in, (size_t)leaf_len);
	if (in.failed || leaf_len == 0)
		return bad_receipts(err, "a leaf is empty or cut short");
	r->rest = in.rest;
	r->next_index = e.index + 1;
	*ret = e;
	return 1;
}

int trib_receipts_parse(struct trib_span file, struct trib_receipts *ret, struct trib_err *err)
{
	struct trib_span f[1];
	struct trib_receipt e;
	uint64_t len = 0;
	if (file.n > TRIB_RECEIPTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "receipts: file of %zu bytes, the limit is %zu", file.n, TRIB_RECEIPTS_MAX);
	if (!trib_span_starts(file, RECEIPTS_FORMAT))
		return bad_receipts(err, "the file does not begin with `tributary-receipts-1`");
	size_t head = strlen(RECEIPTS_FORMAT);
	struct trib_receipts walk = {.rest = trib_span(file.p + head, file.n - head)};
	const uint8_t *first = walk.rest.p;
	while (trib_span_starts(walk.rest, "receipt "))
		if (trib_receipts_next(&walk, &e, err) < 0)
			return -1;
	struct trib_span receipts = trib_span(first, (size_t)(walk.rest.p - first));
	struct trib_kv kv = trib_kv(walk.rest);
	if (trib_kv_take(&kv, "checkpoint", 1, f, err) < 0)
		return trib_ctx(err, "receipts");
	if (!decimal(f[0], &len) || len == 0 || len > TRIB_NOTE_MAX || kv.rest.n != len)
		return bad_receipts(err, "the checkpoint's length is not that of the rest of the file");
	*ret = (struct trib_receipts){.rest = receipts, .checkpoint = kv.rest};
	return 0;
}

void trib_receipts_begin(struct trib_buf *b) { trib_buf_puts(b, RECEIPTS_FORMAT); }

void trib_receipts_put(struct trib_buf *b, uint64_t index, const uint8_t (*proof)[TRIB_SHA256_LEN], size_t nproof, struct trib_span leaf)
{
	trib_buf_printf(b, "receipt %llu %zu %zu\n", (unsigned long long)index, nproof, leaf.n);
	for (size_t i = 0; i < nproof; i++) {
		trib_buf_hex(b, proof[i], TRIB_SHA256_LEN);
		trib_buf_putc(b, '\n');
	}
	trib_buf_put_span(b, leaf);
}

void trib_receipts_end(struct trib_buf *b, struct trib_span checkpoint)
{
	trib_buf_printf(b, "checkpoint %zu\n", checkpoint.n);
	trib_buf_put_span(b, checkpoint);
}
