#include "core/trust/cosign.h"

#include "core/trust/hash.h"

static void key_id(const char *name, uint8_t type, const uint8_t pub[32], uint8_t ret[4])
{
	uint8_t sum[TRIB_SHA256_LEN], mark[2] = {'\n', type};
	struct trib_sha256_ctx *c = trib_sha256_new();
	trib_sha256_add(c, trib_span_str(name));
	trib_sha256_add(c, trib_span(mark, sizeof(mark)));
	trib_sha256_add(c, trib_span(pub, 32));
	trib_sha256_end(c, sum);
	memcpy(ret, sum, 4);
}

int trib_vkey_make(const char *name, uint8_t type, const uint8_t pub[32], struct trib_vkey *ret, struct trib_err *err)
{
	struct trib_vkey k = {.type = type};
	if (!trib_note_name_valid(trib_span_str(name)) || strlen(name) > TRIB_VKEY_NAME_MAX)
		return trib_fail(err, TRIB_E_USAGE, "a signer's name has 1 to %d bytes without blanks and without +", TRIB_VKEY_NAME_MAX);
	(void)snprintf(k.name, sizeof(k.name), "%s", name);
	memcpy(k.pub, pub, sizeof(k.pub));
	key_id(name, type, pub, k.id);
	*ret = k;
	return 0;
}

static int bad(struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_USAGE, "this is no verifier key (NAME+HEX+BASE64, one word): %s", what);
}

int trib_vkey_parse(struct trib_span text, uint8_t type, struct trib_vkey *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(64);
	char name[TRIB_VKEY_NAME_MAX + 1];
	struct trib_vkey k;
	uint8_t id[4];
	const uint8_t *plus = text.n ? memchr(text.p, '+', text.n) : NULL;
	size_t n = plus ? (size_t)(plus - text.p) : 0;
	if (n == 0 || n > TRIB_VKEY_NAME_MAX || memchr(text.p, 0, n) || text.n - n < 10 || plus[9] != '+')
		return bad(err, "its parts are not there");
	memcpy(name, text.p, n);
	name[n] = '\0';
	if (!trib_unhex(id, sizeof(id), trib_span(plus + 1, 8)) || !trib_unbase64(&raw, trib_span(plus + 10, text.n - n - 10)) || raw.len < 1)
		return bad(err, "the key id or the base64 is damaged");
	if (raw.p[0] != type || raw.len != 33)
		return trib_fail(err, TRIB_E_USAGE, "the verifier key of %s is of type 0x%02x, wanted is an Ed25519 key of type 0x%02x (%s)", name, raw.p[0], type,
				 type == TRIB_VKEY_WITNESS ? "a witness's cosignature/v1" : "a log's own signature");
	if (trib_vkey_make(name, type, raw.p + 1, &k, err))
		return -1;
	if (memcmp(k.id, id, sizeof(id)) != 0)
		return bad(err, "its key id does not follow from name and key; was it copied whole?");
	*ret = k;
	return 0;
}

void trib_vkey_put(struct trib_buf *b, const struct trib_vkey *k)
{
	uint8_t raw[33] = {k->type};
	memcpy(raw + 1, k->pub, sizeof(k->pub));
	trib_buf_printf(b, "%s+", k->name);
	trib_buf_hex(b, k->id, sizeof(k->id));
	trib_buf_putc(b, '+');
	trib_base64(b, raw, sizeof(raw));
}

void trib_cosig_message(struct trib_buf *b, uint64_t time, struct trib_span text)
{
	trib_buf_printf(b, "cosignature/v1\ntime %llu\n", (unsigned long long)time);
	trib_buf_put_span(b, text);
}

int trib_cosign(const struct trib_key *key, const struct trib_vkey *self, int64_t now, struct trib_span text, struct trib_buf *note, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf msg = TRIB_BUF(TRIB_NOTE_MAX + 64);
	uint8_t sig[64];
	if (now <= 0)
		return trib_fail(err, TRIB_E_CLOCK, "a cosignature has no time before 1970; set the clock right");
	trib_cosig_message(&msg, (uint64_t)now, text);
	if (trib_buf_check(&msg, "cosignature", err) || trib_ed25519_sign(key, trib_buf_span(&msg), sig, err))
		return -1;
	trib_note_put_cosig(note, self->name, self->id, (uint64_t)now, sig);
	return trib_buf_check(note, "cosignature", err);
}

int trib_cosig_verify(const struct trib_checkpoint *cp, const struct trib_vkey *w, int64_t *ret_time, struct trib_err *err)
{
	int64_t newest = 0;
	for (size_t i = 0; i < cp->ncosigs; i++) {
		const struct trib_note_cosig *s = &cp->cosigs[i];
		TRIB_AUTO(trib_buf) struct trib_buf msg = TRIB_BUF(TRIB_NOTE_MAX + 64);
		if (!trib_span_is(s->key_name, w->name) || memcmp(s->key_id, w->id, sizeof(w->id)) != 0)
			continue;
		if (s->time == 0)
			return trib_fail(err, TRIB_E_SIGNATURE, "the cosignature of %s has no time", w->name);
		trib_cosig_message(&msg, s->time, cp->text);
		if (trib_buf_check(&msg, "cosignature", err))
			return -1;
		if (trib_ed25519_verify(w->pub, trib_buf_span(&msg), s->sig, err))
			return trib_ctx(err, "the cosignature of %s", w->name);
		newest = (int64_t)s->time > newest ? (int64_t)s->time : newest;
	}
	if (!newest)
		return 0;
	*ret_time = newest;
	return 1;
}
