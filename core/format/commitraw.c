#include "core/format/commitraw.h"

#define TRAILER "Tributary-Manifest-SHA256: "
#define RESERVED "Tributary-" /* no other line of a message may begin so */
#define PEM_BEGIN "-----BEGIN SIGNED MESSAGE-----"
#define PEM_END "-----END SIGNED MESSAGE-----"
#define TIME_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z, the last that F1 can write */

static int bad(struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_FORMAT, "commit object: %s", what);
}

/* Takes a line without its LF; false when no LF is left. */
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

/* Takes "KEY VALUE LF"; false, and nothing taken, when the next line is another. */
static bool take_header(struct trib_span *s, const char *key, struct trib_span *ret)
{
	size_t k = strlen(key);
	struct trib_span at = *s, line;
	if (!take_line(&at, &line) || !trib_span_starts(line, key) || line.n <= k || line.p[k] != ' ')
		return false;
	*ret = trib_span(line.p + k + 1, line.n - k - 1);
	*s = at;
	return true;
}

static bool take_seconds(struct trib_span s, int64_t *ret)
{
	int64_t v = 0;
	if (s.n < 1 || s.n > 12 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	*ret = v;
	return v <= TIME_MAX;
}

/* "NAME <EMAIL> SECONDS +0000" */
static int parse_person(struct trib_span s, struct trib_commitraw *c, struct trib_err *err)
{
	const uint8_t *lt = memchr(s.p, '<', s.n);
	const uint8_t *gt = memchr(s.p, '>', s.n);
	static const char zone[] = " +0000";
	size_t z = sizeof(zone) - 1;
	if (!lt || !gt || gt < lt || lt - s.p < 2 || lt[-1] != ' ')
		return bad(err, "author line is not `NAME <EMAIL> SECONDS +0000`");
	c->author_name = trib_span(s.p, (size_t)(lt - s.p) - 1);
	c->author_email = trib_span(lt + 1, (size_t)(gt - lt) - 1);
	struct trib_span rest = trib_span(gt + 1, s.n - (size_t)(gt + 1 - s.p));
	if (memchr(c->author_name.p, 0, c->author_name.n) || c->author_email.n == 0)
		return bad(err, "author name holds NUL or the e-mail is empty");
	for (size_t i = 0; i < c->author_email.n; i++)
		if (c->author_email.p[i] <= ' ' || c->author_email.p[i] == 0x7f || c->author_email.p[i] == '<')
			return bad(err, "author e-mail holds a blank, `<` or a control byte");
	if (rest.n < z + 2 || rest.p[0] != ' ' || memcmp(rest.p + rest.n - z, zone, z) != 0)
		return bad(err, "author's zone is not +0000");
	if (!take_seconds(trib_span(rest.p + 1, rest.n - 1 - z), &c->time))
		return bad(err, "author's time is not a canonical decimal before the year 10000");
	return 0;
}

static bool base64_line(struct trib_span s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t ch = s.p[i];
		bool letter = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z');
		if (!letter && !(ch >= '0' && ch <= '9') && ch != '+' && ch != '/' && ch != '=')
			return false;
	}
	return s.n > 0;
}

/* The gpgsig header: first line after the key, then continuation lines that begin with one blank. */
static int parse_signature(struct trib_span *rest, struct trib_commitraw *c, struct trib_err *err)
{
	struct trib_span line;
	if (!take_header(rest, "gpgsig", &line))
		return 0;
	const uint8_t *start = line.p;
	if (!trib_span_is(line, PEM_BEGIN))
		return bad(err, "gpgsig does not begin with " PEM_BEGIN);
	size_t body = 0;
	for (;;) {
		if (!take_line(rest, &line) || line.n < 2 || line.p[0] != ' ')
			return bad(err, "gpgsig ends before its last PEM line");
		struct trib_span text = trib_span(line.p + 1, line.n - 1);
		if (trib_span_is(text, PEM_END) && body > 0)
			break;
		if (!base64_line(text))
			return bad(err, "gpgsig holds a line that is not base64");
		body++;
	}
	c->signature = trib_span(start, (size_t)(line.p + line.n - start));
	if (c->signature.n > TRIB_SIG_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "commit object: signature of %zu bytes, the limit is %zu",
				 c->signature.n, TRIB_SIG_MAX);
	return 0;
}

/* SUBJECT LF LF [TEXT LF LF] TRAILER LF, where TEXT neither begins nor ends with LF. */
static int parse_message(struct trib_span m, struct trib_commitraw *c, struct trib_err *err)
{
	size_t trailer = strlen(TRAILER) + TRIB_SHA256_HEX + 1;
	struct trib_span rest = m, line;
	if (m.n > TRIB_MESSAGE_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "commit object: message of %zu bytes, the limit is %zu", m.n, TRIB_MESSAGE_MAX);
	if (m.n == 0 || memchr(m.p, 0, m.n))
		return bad(err, "message is empty or holds NUL");
	size_t reserved = 0;
	while (take_line(&rest, &line))
		reserved += trib_span_starts(line, RESERVED);
	if (rest.n > 0)
		return bad(err, "message does not end with LF");
	if (reserved != 1)
		return bad(err, "message does not have exactly one line that begins with " RESERVED);
	rest = m;
	if (!take_line(&rest, &c->subject) || c->subject.n == 0 || rest.n < 1 || rest.p[0] != '\n')
		return bad(err, "message has no subject line followed by an empty line");
	rest = trib_span(rest.p + 1, rest.n - 1);
	if (rest.n < trailer)
		return bad(err, "message does not end with the trailer " TRAILER);
	struct trib_span text = trib_span(rest.p, rest.n - trailer);
	struct trib_span last = trib_span(rest.p + text.n, trailer);
	if (!trib_span_starts(last, TRAILER) || last.p[trailer - 1] != '\n' ||
	    !trib_unhex(c->manifest_sha256, TRIB_SHA256_LEN, trib_span(last.p + strlen(TRAILER), TRIB_SHA256_HEX)))
		return bad(err, "message does not end with the trailer " TRAILER "HEX64");
	if (text.n > 0 && (text.n < 3 || memcmp(text.p + text.n - 2, "\n\n", 2) != 0 || text.p[text.n - 3] == '\n' || text.p[0] == '\n'))
		return bad(err, "message's text is not followed by one empty line");
	return 0;
}

static int parse_oid(struct trib_span hex, uint8_t ret[TRIB_OID_LEN], const char *what, struct trib_err *err)
{
	return trib_unhex(ret, TRIB_OID_LEN, hex) ? 0 : bad(err, what);
}

int trib_commitraw_parse(struct trib_span raw, struct trib_commitraw *ret, struct trib_err *err)
{
	struct trib_commitraw c = {0};
	struct trib_span rest = raw, f, author;
	if (raw.n > TRIB_COMMIT_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "commit object of %zu bytes, the limit is %zu", raw.n, TRIB_COMMIT_MAX);
	if (!take_header(&rest, "tree", &f))
		return bad(err, "does not begin with a tree header");
	if (parse_oid(f, c.tree, "tree is not 40 hex digits", err) < 0)
		return -1;
	if (take_header(&rest, "parent", &f)) {
		c.has_parent = true;
		if (parse_oid(f, c.parent, "parent is not 40 hex digits", err) < 0)
			return -1;
		if (take_header(&rest, "parent", &f))
			return trib_fail(err, TRIB_E_CHAIN, "commit object: a second parent; a history is linear");
	}
	if (!take_header(&rest, "author", &author))
		return bad(err, "no author header where one must be");
	if (parse_person(author, &c, err) < 0)
		return -1;
	if (!take_header(&rest, "committer", &f) || !trib_span_eq(f, author))
		return bad(err, "committer does not equal author");
	if (parse_signature(&rest, &c, err) < 0)
		return -1;
	if (rest.n < 1 || rest.p[0] != '\n')
		return bad(err, "an unknown header, or headers in another order");
	c.message = trib_span(rest.p + 1, rest.n - 1);
	if (parse_message(c.message, &c, err) < 0)
		return -1;
	*ret = c;
	return 0;
}

void trib_commitraw_payload(struct trib_span raw, const struct trib_commitraw *c, struct trib_buf *ret)
{
	if (c->signature.n == 0) {
		trib_buf_put_span(ret, raw);
		return;
	}
	size_t head = (size_t)(c->signature.p - raw.p) - strlen("gpgsig ");
	size_t tail = (size_t)(c->signature.p - raw.p) + c->signature.n + 1;
	trib_buf_put(ret, raw.p, head);
	trib_buf_put(ret, raw.p + tail, raw.n - tail);
}

void trib_commitraw_pem(const struct trib_commitraw *c, struct trib_buf *ret)
{
	struct trib_span rest = c->signature;
	while (rest.n > 0) {
		const uint8_t *lf = memchr(rest.p, '\n', rest.n);
		size_t n = lf ? (size_t)(lf - rest.p) + 1 : rest.n;
		trib_buf_put(ret, rest.p, n);
		rest = trib_span(rest.p + n, rest.n - n);
		if (rest.n > 0) /* the continuation's blank */
			rest = trib_span(rest.p + 1, rest.n - 1);
	}
}

/* Appends a name or e-mail; a blank would end an e-mail early, so it goes too when `email`. */
static void put_cleaned(struct trib_buf *b, const char *s, bool email)
{
	size_t before = b->len;
	for (; *s; s++)
		if (*s != '<' && *s != '>' && *s != '\n' && !(email && ((unsigned char)*s <= ' ' || *s == 0x7f)))
			trib_buf_putc(b, (uint8_t)*s);
	if (b->len == before)
		trib_buf_putc(b, '-');
}

/* A line of the message that looks like a trailer of ours gets a blank in front. */
static void put_text(struct trib_buf *b, struct trib_span text)
{
	bool start = true;
	for (size_t i = 0; i < text.n; i++) {
		if (start && trib_span_starts(trib_span(text.p + i, text.n - i), RESERVED))
			trib_buf_putc(b, ' ');
		start = text.p[i] == '\n';
		trib_buf_putc(b, text.p[i]);
	}
}

void trib_commitraw_put(struct trib_buf *b, const uint8_t tree[TRIB_OID_LEN], const uint8_t *parent_or_null, const char *name,
			const char *email, int64_t time, const char *subject, const char *text,
			const uint8_t manifest_sha256[TRIB_SHA256_LEN])
{
	static const char *const who[] = {"author ", "committer "};
	struct trib_span s = trib_span_str(subject), t = trib_span_str(text);
	trib_buf_puts(b, "tree ");
	trib_buf_hex(b, tree, TRIB_OID_LEN);
	if (parent_or_null) {
		trib_buf_puts(b, "\nparent ");
		trib_buf_hex(b, parent_or_null, TRIB_OID_LEN);
	}
	for (size_t i = 0; i < TRIB_COUNT(who); i++) {
		trib_buf_putc(b, '\n');
		trib_buf_puts(b, who[i]);
		put_cleaned(b, name, false);
		trib_buf_puts(b, " <");
		put_cleaned(b, email, true);
		trib_buf_printf(b, "> %lld +0000", (long long)time);
	}
	trib_buf_puts(b, "\n\n");
	const uint8_t *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;
	if (lf)
		s.n = (size_t)(lf - s.p);
	put_text(b, s.n ? s : trib_span_str("-"));
	trib_buf_puts(b, "\n\n");
	for (; t.n > 0 && t.p[0] == '\n'; t.n--)
		t.p++;
	while (t.n > 0 && t.p[t.n - 1] == '\n')
		t.n--;
	if (t.n > 0) {
		put_text(b, t);
		trib_buf_puts(b, "\n\n");
	}
	trib_buf_puts(b, TRAILER);
	trib_buf_hex(b, manifest_sha256, TRIB_SHA256_LEN);
	trib_buf_putc(b, '\n');
}

void trib_commitraw_sign(struct trib_buf *b, struct trib_span payload, struct trib_span pem)
{
	const uint8_t *end = payload.n ? memmem(payload.p, payload.n, "\n\n", 2) : NULL;
	if (!end) { /* no commit object: nothing that could be signed */
		b->failed = true;
		return;
	}
	size_t head = (size_t)(end - payload.p) + 1;
	while (pem.n > 0 && pem.p[pem.n - 1] == '\n')
		pem.n--;
	trib_buf_put(b, payload.p, head);
	trib_buf_puts(b, "gpgsig ");
	for (size_t i = 0; i < pem.n; i++) {
		trib_buf_putc(b, pem.p[i]);
		if (pem.p[i] == '\n')
			trib_buf_putc(b, ' ');
	}
	trib_buf_putc(b, '\n');
	trib_buf_put(b, payload.p + head, payload.n - head);
}

static bool tree_name(struct trib_span s)
{
	if (s.n < 1 || s.n >= sizeof(((struct trib_tree_entry *)0)->name) || s.p[0] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && s.p[i] != '.')
			return false;
	return true;
}

int trib_tree_parse(struct trib_span raw, struct trib_tree_entry ret[TRIB_TREE_MAX], size_t *ret_n, struct trib_err *err)
{
	static const char mode[] = "100644 ";
	struct trib_tree_entry e[TRIB_TREE_MAX];
	struct trib_reader r = trib_reader(raw);
	size_t n = 0;
	memset(e, 0, sizeof(e));
	while (r.rest.n > 0) {
		if (n == TRIB_TREE_MAX)
			return trib_fail(err, TRIB_E_TREE, "tree: more than %d entries", TRIB_TREE_MAX);
		if (!trib_span_is(trib_read(&r, strlen(mode)), mode))
			return trib_fail(err, TRIB_E_TREE, "tree entry %zu: not a regular file of mode 100644", n + 1);
		const uint8_t *nul = r.rest.n ? memchr(r.rest.p, 0, r.rest.n) : NULL;
		struct trib_span name = trib_read(&r, nul ? (size_t)(nul - r.rest.p) : 0);
		(void)trib_read(&r, 1);
		struct trib_span oid = trib_read(&r, TRIB_OID_LEN);
		if (!nul || r.failed || !tree_name(name))
			return trib_fail(err, TRIB_E_TREE, "tree entry %zu: cut short, or its name is not allowed", n + 1);
		memcpy(e[n].name, name.p, name.n);
		memcpy(e[n].oid, oid.p, TRIB_OID_LEN);
		if (n > 0 && strcmp(e[n - 1].name, e[n].name) >= 0)
			return trib_fail(err, TRIB_E_TREE, "tree entry %zu: names do not rise", n + 1);
		n++;
	}
	if (n == 0)
		return trib_fail(err, TRIB_E_TREE, "tree: empty");
	memcpy(ret, e, n * sizeof(e[0]));
	*ret_n = n;
	return 0;
}

void trib_tree_put(struct trib_buf *b, const struct trib_tree_entry *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		trib_buf_puts(b, "100644 ");
		trib_buf_put(b, e[i].name, strlen(e[i].name) + 1);
		trib_buf_put(b, e[i].oid, TRIB_OID_LEN);
	}
}
