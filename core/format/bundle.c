#include "core/format/bundle.h"

#define SIGNATURE "# v2 git bundle\n"
#define HEAD_MAX (64 * TRIB_KIB) /* 32 lines with a commit's subject as comment */

static int bad(struct trib_err *err, const char *what)
{
	return trib_fail(err, TRIB_E_FORMAT, "bundle: %s", what);
}

/* "-OID[ COMMENT]": stock git adds the commit's subject. */
static int parse_prerequisite(struct trib_span line, struct trib_bundle *h, struct trib_err *err)
{
	if (h->nrefs > 0)
		return bad(err, "a prerequisite after the first ref");
	if (h->nprerequisites == TRIB_BUNDLE_REFS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "bundle: more than %d prerequisites", TRIB_BUNDLE_REFS_MAX);
	if (line.n < 1 + TRIB_OID_HEX || (line.n > 1 + TRIB_OID_HEX && line.p[1 + TRIB_OID_HEX] != ' ') ||
	    !trib_unhex(h->prerequisites[h->nprerequisites], TRIB_OID_LEN, trib_span(line.p + 1, TRIB_OID_HEX)))
		return bad(err, "a prerequisite without an id");
	h->nprerequisites++;
	return 0;
}

/* "OID REF" */
static int parse_ref(struct trib_span line, struct trib_bundle *h, struct trib_err *err)
{
	if (h->nrefs == TRIB_BUNDLE_REFS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "bundle: more than %d refs", TRIB_BUNDLE_REFS_MAX);
	struct trib_bundle_ref *ref = &h->refs[h->nrefs];
	if (line.n < TRIB_OID_HEX + 2 || line.p[TRIB_OID_HEX] != ' ' || !trib_unhex(ref->oid, TRIB_OID_LEN, trib_span(line.p, TRIB_OID_HEX)))
		return bad(err, "a header line is neither `-OID` nor `OID REF`");
	struct trib_span name = trib_span(line.p + TRIB_OID_HEX + 1, line.n - TRIB_OID_HEX - 1);
	if (name.n >= sizeof(ref->name))
		return trib_fail(err, TRIB_E_LIMIT, "bundle: a ref name of %zu bytes, the limit is %zu", name.n, sizeof(ref->name) - 1);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return bad(err, "a ref name holds a blank or a control byte");
	memcpy(ref->name, name.p, name.n);
	ref->name[name.n] = '\0';
	for (size_t i = 0; i < h->nrefs; i++)
		if (strcmp(h->refs[i].name, ref->name) == 0)
			return bad(err, "two lines for one ref");
	h->nrefs++;
	return 0;
}

int trib_bundle_parse(struct trib_span start, struct trib_bundle *ret, struct trib_err *err)
{
	struct trib_bundle h = {0};
	if (!trib_span_starts(start, SIGNATURE))
		return bad(err, "does not begin with `# v2 git bundle`; make it with `git bundle create --version=2`");
	struct trib_reader r = trib_reader(start);
	(void)trib_read(&r, strlen(SIGNATURE));
	for (;;) {
		size_t used = (size_t)(r.rest.p - start.p);
		size_t room = HEAD_MAX - used < r.rest.n ? HEAD_MAX - used : r.rest.n;
		const uint8_t *lf = room ? memchr(r.rest.p, '\n', room) : NULL;
		if (!lf && room < r.rest.n)
			return trib_fail(err, TRIB_E_LIMIT, "bundle: header over %zu bytes", HEAD_MAX);
		if (!lf)
			return bad(err, "header cut short");
		struct trib_span line = trib_read(&r, (size_t)(lf - r.rest.p));
		(void)trib_read(&r, 1);
		if (line.n == 0)
			break;
		if ((line.p[0] == '-' ? parse_prerequisite(line, &h, err) : parse_ref(line, &h, err)) < 0)
			return -1;
	}
	if (h.nrefs == 0)
		return bad(err, "brings no ref");
	h.head_len = (size_t)(r.rest.p - start.p);
	*ret = h;
	return 0;
}

void trib_bundle_put_header(struct trib_buf *b, const struct trib_bundle *h)
{
	trib_buf_puts(b, SIGNATURE);
	for (size_t i = 0; i < h->nprerequisites; i++) {
		trib_buf_putc(b, '-');
		trib_buf_hex(b, h->prerequisites[i], TRIB_OID_LEN);
		trib_buf_putc(b, '\n');
	}
	for (size_t i = 0; i < h->nrefs; i++) {
		trib_buf_hex(b, h->refs[i].oid, TRIB_OID_LEN);
		trib_buf_printf(b, " %s\n", h->refs[i].name);
	}
	trib_buf_putc(b, '\n');
}
