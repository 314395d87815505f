#include "core/format/oldreceipts.h"

#define FORMAT "tributary-old-receipts-1"

/* "file LEN" and LEN bytes. */
static int take_file(struct trib_span *rest, struct trib_span *ret, struct trib_err *err)
{
	struct trib_kv kv = trib_kv(*rest);
	uint64_t len;
	if (trib_kv_take_u64(&kv, "file", &len, err))
		return -1;
	if (len == 0 || len > kv.rest.n)
		return trib_fail(err, TRIB_E_FORMAT, "a file of %llu bytes, where %zu are left", (unsigned long long)len, kv.rest.n);
	*ret = trib_span(kv.rest.p, (size_t)len);
	*rest = trib_span(kv.rest.p + len, kv.rest.n - (size_t)len);
	return 0;
}

int trib_old_receipts_next(struct trib_old_receipts *o, struct trib_receipts *ret, struct trib_err *err)
{
	struct trib_span file;
	if (o->rest.n == 0)
		return 0;
	return take_file(&o->rest, &file, err) || trib_receipts_parse(file, ret, err) ? trib_ctx(err, "old receipts") : 1;
}

int trib_old_receipts_parse(struct trib_span file, struct trib_old_receipts *ret, struct trib_err *err)
{
	struct trib_old_receipts o = {0}, walk;
	struct trib_receipts r;
	struct trib_span word;
	size_t n = 0;
	int got;
	if (file.n > TRIB_OLD_RECEIPTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "old receipts: %zu bytes, the limit is %zu", file.n, TRIB_OLD_RECEIPTS_MAX);
	struct trib_kv kv = trib_kv(file);
	if (trib_kv_take_is(&kv, "format", FORMAT, err) || trib_kv_take_id(&kv, "node", o.node, sizeof(o.node), err) ||
	    trib_kv_take_id(&kv, "app", o.app, sizeof(o.app), err) || trib_kv_take(&kv, "report", 1, &word, err) ||
	    trib_kv_take_u64(&kv, "omitted", &o.omitted, err))
		return trib_ctx(err, "old receipts");
	o.report = trib_span_is(word, "yes");
	if (!o.report && !trib_span_is(word, "no"))
		return trib_fail(err, TRIB_E_FORMAT, "old receipts: report is neither yes nor no");
	o.rest = kv.rest;
	walk = o;
	while ((got = trib_old_receipts_next(&walk, &r, err)) > 0)
		if (++n > TRIB_OLD_FILES_MAX)
			return trib_fail(err, TRIB_E_LIMIT, "old receipts: more than %d files", TRIB_OLD_FILES_MAX);
	if (got < 0)
		return -1;
	if (n == 0)
		return trib_fail(err, TRIB_E_FORMAT, "old receipts: there are none in it");
	*ret = o;
	return 0;
}

void trib_old_receipts_begin(struct trib_buf *b, const char *node, const char *app, bool report, uint64_t omitted)
{
	trib_buf_printf(b, "format " FORMAT "\nnode %s\napp %s\nreport %s\nomitted %llu\n", node, app, report ? "yes" : "no", (unsigned long long)omitted);
}

void trib_old_receipts_put(struct trib_buf *b, struct trib_span receipts_file)
{
	trib_buf_printf(b, "file %zu\n", receipts_file.n);
	trib_buf_put_span(b, receipts_file);
}
