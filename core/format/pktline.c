#include "core/format/pktline.h"

#define BAND_MAX (TRIB_PKT_MAX - 5) /* four digits of length and the band byte */
#define LINE_MAX_BYTES 4096         /* a command or want with its capabilities: about 300 in practice */

static int bad(struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_FORMAT, "git request: %s", what);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int trib_pkt_take(struct trib_span *in, enum trib_pkt *ret_kind, struct trib_span *ret_data, struct trib_err *err)
{
	size_t len = 0;
	for (size_t i = 0; i < 4 && i < in->n; i++) {
		int d = hex_digit(in->p[i]);
		if (d < 0)
			return bad(err, "a pkt-line's length is not four hex digits");
		len = len * 16 + (size_t)d;
	}
	if (in->n < 4)
		return 0;
	if (len == 0) {
		*ret_kind = TRIB_PKT_FLUSH;
		*ret_data = trib_span(NULL, 0);
		*in = trib_span(in->p + 4, in->n - 4);
		return 1;
	}
	if (len < 4 || len > TRIB_PKT_MAX)
		return trib_fail(err, TRIB_E_FORMAT, "git request: a pkt-line of length %zu; 4 to %d are allowed", len, TRIB_PKT_MAX);
	if (in->n < len)
		return 0;
	struct trib_span data = trib_span(in->p + 4, len - 4);
	if (data.n > 0 && data.p[data.n - 1] == '\n')
		data.n--;
	*in = trib_span(in->p + len, in->n - len);
	*ret_kind = TRIB_PKT_DATA;
	*ret_data = data;
	return 1;
}

static void put_len(struct trib_buf *b, size_t payload)
{
	if (payload > TRIB_PKT_MAX - 4) {
		b->failed = true;
		return;
	}
	trib_buf_printf(b, "%04zx", payload + 4);
}

void trib_pkt_put(struct trib_buf *b, struct trib_span data)
{
	put_len(b, data.n);
	trib_buf_put_span(b, data);
}

void trib_pkt_printf(struct trib_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
	} else {
		put_len(b, (size_t)n);
		uint8_t *at = trib_buf_grow(b, (size_t)n);
		if (at)
			(void)vsnprintf((char *)at, (size_t)n + 1, fmt, again);
	}
	va_end(again);
}

void trib_pkt_flush(struct trib_buf *b) { trib_buf_puts(b, "0000"); }

void trib_pkt_band(struct trib_buf *b, int band, struct trib_span data)
{
	while (data.n > 0) {
		size_t n = data.n < BAND_MAX ? data.n : BAND_MAX;
		put_len(b, n + 1);
		trib_buf_putc(b, (uint8_t)band);
		trib_buf_put(b, data.p, n);
		data = trib_span(data.p + n, data.n - n);
	}
}

/* Takes the next word of a list separated by blanks; false at the end. */
static bool take_word(struct trib_span *s, struct trib_span *ret)
{
	while (s->n > 0 && s->p[0] == ' ')
		*s = trib_span(s->p + 1, s->n - 1);
	if (s->n == 0)
		return false;
	const uint8_t *sp = memchr(s->p, ' ', s->n);
	*ret = trib_span(s->p, sp ? (size_t)(sp - s->p) : s->n);
	*s = trib_span(s->p + ret->n, s->n - ret->n);
	return true;
}

static int push_capabilities(struct trib_span caps, struct trib_push_request *r, struct trib_err *err)
{
	struct trib_span w;
	while (take_word(&caps, &w)) {
		if (trib_span_is(w, "report-status"))
			r->report_status = true;
		else if (trib_span_is(w, "side-band-64k"))
			r->side_band_64k = true;
		else if (trib_span_starts(w, "object-format=") && !trib_span_is(w, "object-format=sha1"))
			return bad(err, "only object-format=sha1 is served");
		else if (trib_span_is(w, "push-options") || trib_span_starts(w, "push-cert"))
			return bad(err, "push options and push certificates were not offered");
	}
	return 0;
}

static bool ref_name(struct trib_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

static int push_command(struct trib_span line, struct trib_push_request *r, struct trib_err *err)
{
	if (line.n > LINE_MAX_BYTES)
		return trib_fail(err, TRIB_E_LIMIT, "git request: a command of %zu bytes, the limit is %d", line.n, LINE_MAX_BYTES);
	const uint8_t *nul = line.n ? memchr(line.p, 0, line.n) : NULL;
	if (nul) {
		size_t head = (size_t)(nul - line.p);
		if (r->ncmds > 0)
			return bad(err, "capabilities after the first command");
		if (push_capabilities(trib_span(nul + 1, line.n - head - 1), r, err) < 0)
			return -1;
		line.n = head;
	}
	if (r->ncmds == TRIB_PUSH_COMMANDS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "git request: more than %d ref updates in one push", TRIB_PUSH_COMMANDS_MAX);
	struct trib_push_command *c = &r->cmds[r->ncmds];
	struct trib_reader in = trib_reader(line);
	bool ok = trib_unhex(c->old_oid, TRIB_OID_LEN, trib_read(&in, TRIB_OID_HEX)) && trib_read_u8(&in) == ' ' &&
		  trib_unhex(c->new_oid, TRIB_OID_LEN, trib_read(&in, TRIB_OID_HEX)) && trib_read_u8(&in) == ' ';
	if (!ok || in.failed || !ref_name(in.rest))
		return bad(err, "a command is not `OLD NEW REF`");
	if (in.rest.n >= sizeof(c->ref))
		return trib_fail(err, TRIB_E_LIMIT, "git request: a ref name of %zu bytes, the limit is %zu", in.rest.n, sizeof(c->ref) - 1);
	memcpy(c->ref, in.rest.p, in.rest.n);
	c->ref[in.rest.n] = '\0';
	for (size_t i = 0; i < r->ncmds; i++)
		if (strcmp(r->cmds[i].ref, c->ref) == 0)
			return bad(err, "two commands for one ref");
	r->ncmds++;
	return 0;
}

int trib_push_request_parse(struct trib_span in, struct trib_push_request *ret, struct trib_err *err)
{
	struct trib_push_request r = {0};
	struct trib_span rest = in, data;
	enum trib_pkt kind;
	for (;;) {
		int got = trib_pkt_take(&rest, &kind, &data, err);
		if (got <= 0)
			return got;
		if (kind == TRIB_PKT_FLUSH)
			break;
		if (push_command(data, &r, err) < 0)
			return -1;
	}
	r.head_len = in.n - rest.n;
	*ret = r;
	return 1;
}

void trib_fetch_request_release(struct trib_fetch_request *r)
{
	free(r->wants);
	free(r->haves);
	*r = (struct trib_fetch_request){0};
}

static void fetch_capabilities(struct trib_span caps, struct trib_fetch_request *r)
{
	struct trib_span w;
	while (take_word(&caps, &w)) {
		r->multi_ack_detailed |= trib_span_is(w, "multi_ack_detailed");
		r->no_done |= trib_span_is(w, "no-done");
		r->side_band_64k |= trib_span_is(w, "side-band-64k");
		r->ofs_delta |= trib_span_is(w, "ofs-delta");
		r->no_progress |= trib_span_is(w, "no-progress");
	}
}

/* Appends an id; the array doubles at powers of two and never passes `max`. */
static int add_oid(uint8_t (**list)[TRIB_OID_LEN], size_t *n, size_t max, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	if (*n == max)
		return trib_fail(err, TRIB_E_LIMIT, "git request: more than %zu ids of one kind", max);
	if (*n == 0 || (*n >= 16 && (*n & (*n - 1)) == 0)) {
		void *p = realloc(*list, (*n ? *n * 2 : 16) * sizeof((*list)[0]));
		if (!p)
			return trib_fail(err, TRIB_E_NOMEM, "git request: out of memory");
		*list = p;
	}
	memcpy((*list)[(*n)++], oid, TRIB_OID_LEN);
	return 0;
}

static int fetch_line(struct trib_span line, bool *in_wants, struct trib_fetch_request *r, struct trib_err *err)
{
	uint8_t oid[TRIB_OID_LEN];
	bool want = trib_span_starts(line, "want "), have = trib_span_starts(line, "have ");
	if (line.n > LINE_MAX_BYTES)
		return trib_fail(err, TRIB_E_LIMIT, "git request: a line of %zu bytes, the limit is %d", line.n, LINE_MAX_BYTES);
	if (r->done)
		return bad(err, "a line after `done`");
	if (!*in_wants && trib_span_is(line, "done")) {
		r->done = true;
		return 0;
	}
	if ((!want && !have) || want != *in_wants)
		return bad(err, "only wants, then haves and `done`, are served (no shallow, deepen or filter)");
	struct trib_reader in = trib_reader(trib_span(line.p + 5, line.n - 5));
	if (!trib_unhex(oid, TRIB_OID_LEN, trib_read(&in, TRIB_OID_HEX)))
		return bad(err, "a want or have without an id");
	if (in.rest.n > 0 && (!want || r->nwants > 0 || in.rest.p[0] != ' '))
		return bad(err, "capabilities in another place than the first want");
	if (in.rest.n > 0)
		fetch_capabilities(in.rest, r);
	return want ? add_oid(&r->wants, &r->nwants, TRIB_WANTS_MAX, oid, err)
		    : add_oid(&r->haves, &r->nhaves, TRIB_HAVES_MAX, oid, err);
}

int trib_fetch_request_parse(struct trib_span body, struct trib_fetch_request *ret, struct trib_err *err)
{
	struct trib_fetch_request r = {0};
	struct trib_span data;
	enum trib_pkt kind;
	bool in_wants = true;
	while (body.n > 0) {
		int got = trib_pkt_take(&body, &kind, &data, err);
		if (got == 0)
			got = bad(err, "cut short inside a pkt-line");
		if (got > 0 && kind == TRIB_PKT_FLUSH)
			in_wants = false;
		else if (got > 0 && fetch_line(data, &in_wants, &r, err) < 0)
			got = -1;
		if (got < 0)
			goto out;
	}
	if (in_wants) {
		(void)bad(err, "no flush after the wants");
		goto out;
	}
	if (r.nwants == 0 && (r.nhaves > 0 || r.done)) {
		(void)bad(err, "haves without a want");
		goto out;
	}
	*ret = r;
	return 0;
out:
	trib_fetch_request_release(&r);
	return -1;
}
