#include "core/format/down.h"

#include "core/base/clock.h"

static int take_city(struct trib_kv *kv, char ret[TRIB_TITLE_MAX + 1], struct trib_err *err)
{
	struct trib_span f[1];
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(TRIB_TITLE_MAX);
	if (trib_kv_take(kv, "city", 1, f, err) < 0 || trib_kv_name(kv, f[0], "city", TRIB_TITLE_MAX, &name, err) < 0)
		return -1;
	if (name.len == 0 || memchr(name.p, 0, name.len))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: city: empty or holds NUL", kv->line);
	memcpy(ret, name.p, name.len);
	ret[name.len] = '\0';
	return 0;
}

/* seq, prev, time: seq 1 and only it has 64 zeros as prev. */
static int take_place(struct trib_kv *kv, uint64_t *ret_seq, uint8_t prev[TRIB_SHA256_LEN], int64_t *ret_time, struct trib_err *err)
{
	static const uint8_t zeros[TRIB_SHA256_LEN];
	if (trib_kv_take_u64(kv, "seq", ret_seq, err) < 0 || trib_kv_take_hex(kv, "prev", prev, TRIB_SHA256_LEN, err) < 0)
		return -1;
	if (*ret_seq == 0 || (*ret_seq == 1) != (memcmp(prev, zeros, sizeof(zeros)) == 0))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: prev: zeros belong to seq 1 alone, and seq counts from 1", kv->line);
	return trib_kv_take_time(kv, "time", ret_time, err);
}

static bool blob_name(struct trib_span s, size_t size)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] == '.' && i > 0))
			return false;
	return s.n > 0 && s.n < size;
}

static int take_blob(struct trib_kv *kv, struct trib_down *d, struct trib_err *err)
{
	struct trib_span f[2];
	if (d->nblobs == TRIB_COUNT(d->blobs))
		return trib_fail(err, TRIB_E_LIMIT, "line %u: more than %zu blobs", kv->line + 1, TRIB_COUNT(d->blobs));
	struct trib_mf_blob *b = &d->blobs[d->nblobs];
	if (trib_kv_take(kv, "blob", 2, f, err) < 0 || trib_kv_hex(kv, f[1], "blob", b->sha256, TRIB_SHA256_LEN, err) < 0)
		return -1;
	if (!blob_name(f[0], sizeof(b->name)))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: blob: its name is not allowed", kv->line);
	memcpy(b->name, f[0].p, f[0].n);
	b->name[f[0].n] = '\0';
	if (d->nblobs > 0 && strcmp(b[-1].name, b->name) >= 0)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: blob: names do not rise", kv->line);
	d->nblobs++;
	return 0;
}

static int down_parse(struct trib_span text, struct trib_down *d, struct trib_err *err)
{
	struct trib_kv kv = trib_kv(text);
	if (text.n > TRIB_MANIFEST_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%zu bytes, the limit is %zu", text.n, TRIB_MANIFEST_MAX);
	if (trib_kv_take_is(&kv, "format", "tributary-down-1", err) < 0 || take_city(&kv, d->city, err) < 0 ||
	    trib_kv_take_id(&kv, "node", d->node, sizeof(d->node), err) < 0 ||
	    trib_kv_take_id(&kv, "app", d->app, sizeof(d->app), err) < 0 ||
	    take_place(&kv, &d->seq, d->prev, &d->time, err) < 0)
		return -1;
	do {
		if (take_blob(&kv, d, err) < 0)
			return -1;
	} while (trib_kv_at(&kv, "blob"));
	return trib_kv_end(&kv, err);
}

int trib_down_parse(struct trib_span text, struct trib_down *ret, struct trib_err *err)
{
	struct trib_down d = {0};
	if (down_parse(text, &d, err) < 0)
		return trib_ctx(err, "down manifest");
	*ret = d;
	return 0;
}

static void put_city(struct trib_buf *b, const char *format, const char *city)
{
	trib_buf_printf(b, "format %s\ncity ", format);
	trib_pct(b, trib_span_str(city));
	trib_buf_putc(b, '\n');
}

static void put_place(struct trib_buf *b, uint64_t seq, const uint8_t prev[TRIB_SHA256_LEN], int64_t time)
{
	char text[TRIB_TIME_LEN + 1];
	trib_time_text(text, time);
	trib_buf_printf(b, "seq %llu\nprev ", (unsigned long long)seq);
	trib_buf_hex(b, prev, TRIB_SHA256_LEN);
	trib_buf_printf(b, "\ntime %s\n", text);
}

static void put_blob(struct trib_buf *b, const char *name, const uint8_t sha256[TRIB_SHA256_LEN])
{
	trib_buf_printf(b, "blob %s ", name);
	trib_buf_hex(b, sha256, TRIB_SHA256_LEN);
	trib_buf_putc(b, '\n');
}

void trib_down_put(struct trib_buf *b, const struct trib_down *d)
{
	put_city(b, "tributary-down-1", d->city);
	trib_buf_printf(b, "node %s\napp %s\n", d->node, d->app);
	put_place(b, d->seq, d->prev, d->time);
	for (size_t i = 0; i < d->nblobs; i++)
		put_blob(b, d->blobs[i].name, d->blobs[i].sha256);
}

static int city_parse(struct trib_span text, struct trib_city_manifest *m, struct trib_err *err)
{
	struct trib_kv kv = trib_kv(text);
	struct trib_span f[2];
	if (text.n > TRIB_MANIFEST_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%zu bytes, the limit is %zu", text.n, TRIB_MANIFEST_MAX);
	if (trib_kv_take_is(&kv, "format", "tributary-city-1", err) < 0 || take_city(&kv, m->city, err) < 0 ||
	    take_place(&kv, &m->seq, m->prev, &m->time, err) < 0)
		return -1;
	if (trib_kv_take(&kv, "log", 2, f, err) < 0 || trib_kv_u64(&kv, f[0], "log", &m->log_size, err) < 0 ||
	    trib_kv_hex(&kv, f[1], "log", m->log_root, TRIB_SHA256_LEN, err) < 0)
		return -1;
	if (trib_kv_take_u64(&kv, "merged", &m->merged, err) < 0)
		return -1;
	if (m->merged > m->log_size)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: merged: more leaves than the log holds", kv.line);
	if (trib_kv_take_u64(&kv, "policy", &m->policy, err) < 0 ||
	    trib_kv_take_hex(&kv, "digest", m->digest, TRIB_SHA256_LEN, err) < 0 || trib_kv_take(&kv, "blob", 2, f, err) < 0 ||
	    trib_kv_hex(&kv, f[1], "blob", m->signer, TRIB_SHA256_LEN, err) < 0)
		return -1;
	if (!trib_span_is(f[0], "signer.pem"))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: blob: not signer.pem", kv.line);
	return trib_kv_end(&kv, err);
}

int trib_city_manifest_parse(struct trib_span text, struct trib_city_manifest *ret, struct trib_err *err)
{
	struct trib_city_manifest m = {0};
	if (city_parse(text, &m, err) < 0)
		return trib_ctx(err, "city manifest");
	*ret = m;
	return 0;
}

void trib_city_manifest_put(struct trib_buf *b, const struct trib_city_manifest *m)
{
	put_city(b, "tributary-city-1", m->city);
	put_place(b, m->seq, m->prev, m->time);
	trib_buf_printf(b, "log %llu ", (unsigned long long)m->log_size);
	trib_buf_hex(b, m->log_root, TRIB_SHA256_LEN);
	trib_buf_printf(b, "\nmerged %llu\npolicy %llu\ndigest ", (unsigned long long)m->merged, (unsigned long long)m->policy);
	trib_buf_hex(b, m->digest, TRIB_SHA256_LEN);
	trib_buf_putc(b, '\n');
	put_blob(b, "signer.pem", m->signer);
}
