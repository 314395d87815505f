#include "core/format/leaf.h"

#include "core/base/clock.h"
#include "core/format/note.h"

/* One line of a leaf. Node to number are the lines whose struct member has a type of its own;
 * the hashes are listed with their place. */
enum field {
	F_END, F_TIME, F_ORIGIN, F_CITY, F_NAME, F_TABLE, F_NODE, F_APP, F_REASON, F_CODE,
	F_BY, F_DETAIL, F_ABOUT_NODE, F_ABOUT_APP, F_ROLE, F_USAGE, F_WHAT, F_FROM, F_TO, F_EXPECTED, F_REPORTED, F_SILENT, F_SIZE, F_OLD_ROOT,
	F_ADMIN_CERT, F_ISSUING_CERT, F_SIGNATURE,
	F_INCARNATION, F_SEQ, F_CRL, F_NUMBER, F_VERSION, F_PART, F_KEY,
	F_ROOT, F_HUB, F_LOG_KEY, F_SIGN_CERT, F_TLS_CERT, F_CERT, F_SHA256, F_MANIFEST, F_COMMIT, F_OID, F_SIGNER, F_OBJECT,
	F_COUNT,
};

enum form { AS_TIME, AS_NAME, AS_ID, AS_ID_OR_DASH, AS_WORD, AS_NUMBER, AS_HASH, AS_PART, AS_KEY, AS_BASE64 };

#define AT(form, key, member) {key, form, offsetof(struct trib_leaf, member), sizeof(((struct trib_leaf *)0)->member)}
static const struct line {
	const char *key;
	enum form form;
	size_t at, size;
} lines[F_COUNT] = {
	[F_TIME] = AT(AS_TIME, "time", time),
	[F_ORIGIN] = AT(AS_NAME, "origin", origin),
	[F_CITY] = AT(AS_NAME, "city", name),
	[F_NAME] = AT(AS_NAME, "name", name),
	[F_TABLE] = AT(AS_NAME, "table", name),
	[F_NODE] = AT(AS_ID, "node", node),
	[F_APP] = AT(AS_ID, "app", app),
	[F_REASON] = AT(AS_WORD, "reason", word),
	[F_CODE] = AT(AS_WORD, "code", word),
	[F_INCARNATION] = AT(AS_NUMBER, "incarnation", incarnation),
	[F_SEQ] = AT(AS_NUMBER, "seq", seq),
	[F_CRL] = AT(AS_NUMBER, "crl", crl),
	[F_NUMBER] = AT(AS_NUMBER, "number", number),
	[F_VERSION] = AT(AS_NUMBER, "version", number),
	[F_PART] = AT(AS_PART, "part", part),
	[F_KEY] = AT(AS_KEY, "key", key),
	[F_ROOT] = AT(AS_HASH, "root", cert),
	[F_HUB] = AT(AS_HASH, "hub", cert2),
	[F_LOG_KEY] = AT(AS_HASH, "log-key", sha256),
	[F_SIGN_CERT] = AT(AS_HASH, "sign-cert", cert),
	[F_TLS_CERT] = AT(AS_HASH, "tls-cert", cert2),
	[F_CERT] = AT(AS_HASH, "cert", cert),
	[F_SHA256] = AT(AS_HASH, "sha256", sha256),
	[F_MANIFEST] = AT(AS_HASH, "manifest", manifest),
	[F_COMMIT] = AT(AS_HASH, "commit", commit),
	[F_OID] = AT(AS_HASH, "oid", oid),
	[F_SIGNER] = AT(AS_HASH, "signer", signer),
	[F_BY] = AT(AS_NAME, "by", origin),
	[F_DETAIL] = AT(AS_NAME, "detail", name),
	[F_ABOUT_NODE] = AT(AS_ID_OR_DASH, "node", node),
	[F_ABOUT_APP] = AT(AS_ID_OR_DASH, "app", app),
	[F_ROLE] = AT(AS_WORD, "role", word),
	[F_USAGE] = AT(AS_WORD, "usage", usage),
	[F_WHAT] = AT(AS_WORD, "what", word),
	[F_FROM] = AT(AS_TIME, "from", from),
	[F_TO] = AT(AS_TIME, "to", to),
	[F_EXPECTED] = AT(AS_NUMBER, "expected", expected),
	[F_REPORTED] = AT(AS_NUMBER, "reported", reported),
	[F_SILENT] = AT(AS_NUMBER, "silent", silent),
	[F_SIZE] = AT(AS_NUMBER, "size", number),
	[F_OLD_ROOT] = AT(AS_HASH, "root", manifest),
	[F_ADMIN_CERT] = AT(AS_BASE64, "admin-cert", admin_cert),
	[F_ISSUING_CERT] = AT(AS_BASE64, "issuing-cert", issuing_cert),
	[F_SIGNATURE] = AT(AS_BASE64, "signature", signature),
	[F_OBJECT] = AT(AS_HASH, "object", sha256),
};

#define KINDS (TRIB_LEAF_EPOCH + 1)
#define BASE64_MAX 8192 /* a certificate has 800 bytes, a signature 500 */
static const struct {
	const char *name;
	uint8_t fields[13];
} kinds[KINDS] = {
	[TRIB_LEAF_LOG_OPEN] = {"log-open", {F_TIME, F_ORIGIN, F_CITY, F_ROOT, F_HUB, F_LOG_KEY}},
	[TRIB_LEAF_ENROLLED] = {"enrolled", {F_TIME, F_NODE, F_APP, F_INCARNATION, F_NAME, F_SIGN_CERT, F_TLS_CERT}},
	[TRIB_LEAF_REVOKED] = {"revoked", {F_TIME, F_CERT, F_NODE, F_APP, F_REASON}},
	[TRIB_LEAF_CRL] = {"crl", {F_TIME, F_NUMBER, F_SHA256}},
	[TRIB_LEAF_POLICY] = {"policy", {F_TIME, F_VERSION, F_SHA256}},
	[TRIB_LEAF_HELD] = {"held", {F_TIME, F_NODE, F_APP, F_INCARNATION, F_SEQ, F_PART, F_MANIFEST, F_COMMIT, F_OID, F_SIGNER, F_CRL}},
	[TRIB_LEAF_MERGED] = {"merged", {F_TIME, F_NODE, F_APP, F_SEQ, F_MANIFEST}},
	[TRIB_LEAF_OUT_OF_STEP] = {"out-of-step", {F_TIME, F_NODE, F_APP, F_SEQ, F_MANIFEST, F_TABLE, F_KEY, F_REASON}},
	[TRIB_LEAF_REFUSED] = {"refused", {F_TIME, F_NODE, F_APP, F_CODE, F_OBJECT}},
	[TRIB_LEAF_PERSON] = {"person", {F_TIME, F_ROLE, F_NAME, F_USAGE, F_CERT}},
	[TRIB_LEAF_PERSON_REVOKED] = {"person-revoked", {F_TIME, F_CERT, F_NAME, F_REASON}},
	[TRIB_LEAF_ACT] = {"act", {F_TIME, F_WHAT, F_BY, F_ABOUT_NODE, F_ABOUT_APP, F_OBJECT, F_DETAIL}},
	[TRIB_LEAF_NIGHT] = {"night", {F_TIME, F_FROM, F_TO, F_EXPECTED, F_REPORTED, F_SILENT, F_SHA256}},
	[TRIB_LEAF_EPOCH] = {"epoch", {F_TIME, F_ORIGIN, F_SIZE, F_OLD_ROOT, F_LOG_KEY, F_ADMIN_CERT, F_ISSUING_CERT, F_SIGNATURE}},
};

static int bad(const struct trib_kv *kv, const char *key, const char *what, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_FORMAT, "line %u: %s: %s", kv->line, key, what);
}

static int take_name(struct trib_kv *kv, const struct line *l, char *ret, struct trib_err *err)
{
	struct trib_span f[1];
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(l->size - 1);
	if (trib_kv_take(kv, l->key, 1, f, err) < 0 || trib_kv_name(kv, f[0], l->key, l->size - 1, &name, err) < 0)
		return -1;
	if (name.len > 0 && memchr(name.p, 0, name.len))
		return bad(kv, l->key, "holds NUL", err);
	if (name.len > 0)
		memcpy(ret, name.p, name.len);
	ret[name.len] = '\0';
	return 0;
}

static int take_word(struct trib_kv *kv, const struct line *l, char *ret, struct trib_err *err)
{
	struct trib_span f[1];
	if (trib_kv_take(kv, l->key, 1, f, err) < 0)
		return -1;
	for (size_t i = 0; i < f[0].n; i++)
		if (f[0].p[i] != '-' && !(f[0].p[i] >= 'a' && f[0].p[i] <= 'z'))
			return bad(kv, l->key, "only a-z and - are allowed", err);
	if (f[0].n >= l->size)
		return bad(kv, l->key, "too long", err);
	memcpy(ret, f[0].p, f[0].n);
	ret[f[0].n] = '\0';
	return 0;
}

static int take_time(struct trib_kv *kv, const struct line *l, void *ret, struct trib_err *err)
{
	int64_t t;
	if (trib_kv_take_time(kv, l->key, &t, err) < 0)
		return -1;
	memcpy(ret, &t, sizeof(t));
	return 0;
}

static int take_part(struct trib_kv *kv, struct trib_leaf *leaf, struct trib_err *err)
{
	struct trib_span f[1];
	if (trib_kv_take(kv, "part", 1, f, err) < 0)
		return -1;
	const uint8_t *slash = memchr(f[0].p, '/', f[0].n);
	if (!slash)
		return bad(kv, "part", "not N/M", err);
	size_t n = (size_t)(slash - f[0].p);
	if (trib_kv_u64(kv, trib_span(f[0].p, n), "part", &leaf->part, err) < 0 ||
	    trib_kv_u64(kv, trib_span(slash + 1, f[0].n - n - 1), "part", &leaf->parts, err) < 0)
		return -1;
	if (leaf->part < 1 || leaf->part > leaf->parts || leaf->parts > TRIB_PARTS_MAX)
		return bad(kv, "part", "not within 1/1 to 65535/65535", err);
	return 0;
}

/* `-` stands for a change that has no one row. */
static int take_key(struct trib_kv *kv, struct trib_leaf *leaf, struct trib_err *err)
{
	struct trib_span f[1];
	if (trib_kv_take(kv, "key", 1, f, err) < 0)
		return -1;
	if (trib_span_is(f[0], "-"))
		return 0;
	leaf->key_len = f[0].n / 2;
	if (leaf->key_len > sizeof(leaf->key))
		return bad(kv, "key", "longer than 256 bytes", err);
	/* trib_kv_hex is for hashes: at most 64 bytes */
	if (leaf->key_len == 0 || !trib_unhex(leaf->key, leaf->key_len, f[0]))
		return bad(kv, "key", "not lower-case hex digits", err);
	return 0;
}

static int take_id_or_dash(struct trib_kv *kv, const struct line *l, char *ret, struct trib_err *err)
{
	struct trib_span f[1];
	if (trib_kv_take(kv, l->key, 1, f, err) < 0)
		return -1;
	ret[0] = '\0';
	return trib_span_is(f[0], "-") ? 0 : trib_kv_id(kv, f[0], l->key, ret, l->size, err);
}

static int take_base64(struct trib_kv *kv, const struct line *l, void *ret, struct trib_err *err)
{
	struct trib_span f[1];
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(BASE64_MAX);
	if (trib_kv_take(kv, l->key, 1, f, err) < 0)
		return -1;
	if (f[0].n > BASE64_MAX || !trib_unbase64(&bytes, f[0]))
		return bad(kv, l->key, "not base64 of a certificate or a signature", err);
	memcpy(ret, &f[0], sizeof(f[0]));
	return 0;
}

static int take_line(struct trib_kv *kv, const struct line *l, struct trib_leaf *leaf, struct trib_err *err)
{
	char *at = (char *)leaf + l->at;
	switch (l->form) {
	case AS_TIME:
		return take_time(kv, l, at, err);
	case AS_NAME:
		return take_name(kv, l, at, err);
	case AS_ID:
		return trib_kv_take_id(kv, l->key, at, l->size, err);
	case AS_ID_OR_DASH:
		return take_id_or_dash(kv, l, at, err);
	case AS_BASE64:
		return take_base64(kv, l, at, err);
	case AS_WORD:
		return take_word(kv, l, at, err);
	case AS_NUMBER: {
		uint64_t v = 0;
		if (trib_kv_take_u64(kv, l->key, &v, err) < 0)
			return -1;
		memcpy(at, &v, sizeof(v));
		return 0;
	}
	case AS_HASH:
		return trib_kv_take_hex(kv, l->key, (uint8_t *)at, l->size, err);
	case AS_PART:
		return take_part(kv, leaf, err);
	case AS_KEY:
		return take_key(kv, leaf, err);
	}
	return bad(kv, l->key, "unknown form", err);
}

static int parse(struct trib_span text, struct trib_leaf *leaf, struct trib_err *err)
{
	struct trib_kv kv = trib_kv(text);
	struct trib_span f[1];
	if (text.n > TRIB_LEAF_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%zu bytes, the limit is %d", text.n, TRIB_LEAF_MAX);
	if (trib_kv_take_is(&kv, "format", "tributary-leaf-1", err) < 0 || trib_kv_take(&kv, "kind", 1, f, err) < 0)
		return -1;
	unsigned k = 0;
	while (k < KINDS && !trib_span_is(f[0], kinds[k].name))
		k++;
	if (k == KINDS)
		return bad(&kv, "kind", "unknown", err);
	leaf->kind = (enum trib_leaf_kind)k;
	for (const uint8_t *p = kinds[k].fields; *p != F_END; p++)
		if (take_line(&kv, &lines[*p], leaf, err) < 0)
			return -1;
	return trib_kv_end(&kv, err);
}

int trib_leaf_parse(struct trib_span text, struct trib_leaf *ret, struct trib_err *err)
{
	struct trib_leaf leaf = {0};
	if (parse(text, &leaf, err) < 0)
		return trib_ctx(err, "log leaf");
	*ret = leaf;
	return 0;
}

static void put_line(struct trib_buf *b, const struct line *l, const struct trib_leaf *leaf)
{
	const char *at = (const char *)leaf + l->at;
	char time[TRIB_TIME_LEN + 1];
	uint64_t v;
	int64_t when;
	struct trib_span text;
	trib_buf_puts(b, l->key);
	trib_buf_putc(b, ' ');
	switch (l->form) {
	case AS_TIME:
		memcpy(&when, at, sizeof(when));
		trib_time_text(time, when);
		trib_buf_puts(b, time);
		break;
	case AS_NAME:
		trib_pct(b, trib_span_str(at));
		break;
	case AS_ID:
	case AS_WORD:
		trib_buf_puts(b, at);
		break;
	case AS_ID_OR_DASH:
		trib_buf_puts(b, at[0] ? at : "-");
		break;
	case AS_BASE64:
		memcpy(&text, at, sizeof(text));
		trib_buf_put_span(b, text);
		break;
	case AS_NUMBER:
		memcpy(&v, at, sizeof(v));
		trib_buf_printf(b, "%llu", (unsigned long long)v);
		break;
	case AS_HASH:
		trib_buf_hex(b, (const uint8_t *)at, l->size);
		break;
	case AS_PART:
		trib_buf_printf(b, "%llu/%llu", (unsigned long long)leaf->part, (unsigned long long)leaf->parts);
		break;
	case AS_KEY:
		if (leaf->key_len > 0)
			trib_buf_hex(b, leaf->key, leaf->key_len);
		else
			trib_buf_putc(b, '-');
		break;
	}
	trib_buf_putc(b, '\n');
}

static void put_until(struct trib_buf *b, const struct trib_leaf *leaf, uint8_t end)
{
	trib_buf_printf(b, "format tributary-leaf-1\nkind %s\n", kinds[leaf->kind].name);
	for (const uint8_t *p = kinds[leaf->kind].fields; *p != F_END && *p != end; p++)
		put_line(b, &lines[*p], leaf);
}

void trib_leaf_put(struct trib_buf *b, const struct trib_leaf *leaf) { put_until(b, leaf, F_END); }

void trib_leaf_put_signed(struct trib_buf *b, const struct trib_leaf *leaf) { put_until(b, leaf, F_SIGNATURE); }
