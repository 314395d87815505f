#include "core/format/enrol.h"

static const char base32[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford: no I L O U */

void trib_code_text(char ret[TRIB_CODE_LEN + 1], const uint8_t random[17])
{
	for (unsigned i = 0; i < TRIB_CODE_LEN; i++) {
		unsigned bit = i * 5, at = bit / 8, shift = bit % 8;
		unsigned two = (unsigned)random[at] << 8 | (at + 1 < 17 ? random[at + 1] : 0u);
		ret[i] = base32[two >> (11 - shift) & 31];
	}
	ret[TRIB_CODE_LEN] = '\0';
}

static int take_code(struct trib_kv *kv, char ret[TRIB_CODE_LEN + 1], struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, "code", 1, &f, err))
		return -1;
	if (f.n != TRIB_CODE_LEN)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: a code has %d characters", kv->line, TRIB_CODE_LEN);
	for (size_t i = 0; i < f.n; i++)
		if (!f.p[i] || !strchr(base32, f.p[i]))
			return trib_fail(err, TRIB_E_FORMAT, "line %u: a code has only digits and capital letters", kv->line);
	memcpy(ret, f.p, f.n);
	ret[f.n] = '\0';
	return 0;
}

/* One percent-encoded name as a C string. */
static int take_text(struct trib_kv *kv, const char *key, size_t max, char *ret, struct trib_err *err)
{
	struct trib_span f;
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(max);
	if (trib_kv_take(kv, key, 1, &f, err) || trib_kv_name(kv, f, key, max, &name, err))
		return -1;
	if (memchr(name.p, '\0', name.len))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: NUL in %s", kv->line, key);
	memcpy(ret, trib_buf_str(&name), name.len + 1);
	return 0;
}

static void put_text(struct trib_buf *b, const char *key, const char *value)
{
	trib_buf_printf(b, "%s ", key);
	trib_pct(b, trib_span_str(value));
	trib_buf_putc(b, '\n');
}

static void put_hex(struct trib_buf *b, const char *key, const uint8_t *p, size_t n)
{
	trib_buf_printf(b, "%s ", key);
	trib_buf_hex(b, p, n);
	trib_buf_putc(b, '\n');
}

int trib_slip_parse(struct trib_span text, struct trib_slip *ret, struct trib_err *err)
{
	struct trib_kv kv = trib_kv(text);
	struct trib_slip s = {0};
	struct trib_span url;
	if (trib_kv_take_is(&kv, "format", "tributary-slip-1", err) || trib_kv_take(&kv, "url", 1, &url, err))
		return trib_ctx(err, "enrolment slip");
	if (url.n > TRIB_URL_MAX || !trib_span_starts(url, "https://"))
		return trib_fail(err, TRIB_E_FORMAT, "enrolment slip line %u: the URL must begin with https://", kv.line);
	memcpy(s.url, url.p, url.n);
	if (trib_kv_take_hex(&kv, "ca", s.ca, sizeof(s.ca), err) || trib_kv_take_id(&kv, "node", s.node, sizeof(s.node), err) ||
	    trib_kv_take_id(&kv, "app", s.app, sizeof(s.app), err) || take_code(&kv, s.code, err) ||
	    trib_kv_take_time(&kv, "expires", &s.expires, err) || trib_kv_end(&kv, err))
		return trib_ctx(err, "enrolment slip");
	*ret = s;
	return 0;
}

void trib_slip_put(struct trib_buf *b, const struct trib_slip *s)
{
	char when[TRIB_TIME_LEN + 1];
	trib_time_text(when, s->expires);
	trib_buf_printf(b, "format tributary-slip-1\nurl %s\n", s->url);
	put_hex(b, "ca", s->ca, sizeof(s->ca));
	trib_buf_printf(b, "node %s\napp %s\ncode %s\nexpires %s\n", s->node, s->app, s->code, when);
}

/* The next LEN bytes after the kv head. */
static int take_tail(struct trib_span *rest, uint64_t len, const char *what, struct trib_span *ret, struct trib_err *err)
{
	if (len > rest->n)
		return trib_fail(err, TRIB_E_FORMAT, "%s: %llu bytes announced, %zu are there", what, (unsigned long long)len, rest->n);
	*ret = trib_span(rest->p, (size_t)len);
	rest->p += len;
	rest->n -= (size_t)len;
	return 0;
}

static int tail_end(struct trib_span rest, struct trib_err *err)
{
	return rest.n ? trib_fail(err, TRIB_E_FORMAT, "%zu bytes follow the end", rest.n) : 0;
}

int trib_enrol_request_parse(struct trib_span body, struct trib_enrol_request *ret, struct trib_err *err)
{
	if (body.n > TRIB_ENROL_BODY_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "enrolment request of %zu bytes; at most %zu are taken", body.n, (size_t)TRIB_ENROL_BODY_MAX);
	struct trib_kv kv = trib_kv(body);
	struct trib_enrol_request r = {0};
	uint64_t sign_len, tls_len;
	if (trib_kv_take_is(&kv, "format", "tributary-enrol-1", err) || trib_kv_take_id(&kv, "node", r.node, sizeof(r.node), err) ||
	    trib_kv_take_id(&kv, "app", r.app, sizeof(r.app), err) || take_code(&kv, r.code, err) ||
	    trib_kv_take_u64(&kv, "sign-csr", &sign_len, err) || trib_kv_take_u64(&kv, "tls-csr", &tls_len, err) ||
	    take_tail(&kv.rest, sign_len, "sign-csr", &r.sign_csr, err) || take_tail(&kv.rest, tls_len, "tls-csr", &r.tls_csr, err) ||
	    tail_end(kv.rest, err))
		return trib_ctx(err, "enrolment request");
	*ret = r;
	return 0;
}

void trib_enrol_request_put(struct trib_buf *b, const struct trib_enrol_request *r)
{
	trib_buf_printf(b, "format tributary-enrol-1\nnode %s\napp %s\ncode %s\nsign-csr %zu\ntls-csr %zu\n", r->node, r->app, r->code,
			r->sign_csr.n, r->tls_csr.n);
	trib_buf_put_span(b, r->sign_csr);
	trib_buf_put_span(b, r->tls_csr);
}

void trib_request_sum(char ret[TRIB_REQUEST_SUM + 1], const uint8_t sha[TRIB_SHA256_LEN])
{
	char hex[TRIB_SHA256_HEX + 1];
	trib_hex(hex, sha, TRIB_SHA256_LEN);
	(void)snprintf(ret, TRIB_REQUEST_SUM + 1, "%.4s %.4s %.4s %.4s", hex, hex + 4, hex + 8, hex + 12);
}

bool trib_is_renew_request(struct trib_span body) { return trib_span_starts(body, "format tributary-renew-1\n"); }

int trib_renew_request_parse(struct trib_span body, struct trib_renew_request *ret, struct trib_err *err)
{
	if (body.n > TRIB_ENROL_BODY_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "renewal request of %zu bytes; at most %zu are taken", body.n, (size_t)TRIB_ENROL_BODY_MAX);
	struct trib_kv kv = trib_kv(body);
	struct trib_renew_request r = {0};
	uint64_t len;
	if (trib_kv_take_is(&kv, "format", "tributary-renew-1", err) || trib_kv_take_id(&kv, "node", r.node, sizeof(r.node), err) ||
	    trib_kv_take_id(&kv, "app", r.app, sizeof(r.app), err) || trib_kv_take_u64(&kv, "tls-csr", &len, err) ||
	    take_tail(&kv.rest, len, "tls-csr", &r.tls_csr, err) || tail_end(kv.rest, err))
		return trib_ctx(err, "renewal request");
	*ret = r;
	return 0;
}

void trib_renew_request_put(struct trib_buf *b, const struct trib_renew_request *r)
{
	trib_buf_printf(b, "format tributary-renew-1\nnode %s\napp %s\ntls-csr %zu\n", r->node, r->app, r->tls_csr.n);
	trib_buf_put_span(b, r->tls_csr);
}

bool trib_is_rotate_request(struct trib_span body) { return trib_span_starts(body, "format tributary-rotate-1\n"); }

int trib_rotate_request_parse(struct trib_span body, struct trib_rotate_request *ret, struct trib_err *err)
{
	if (body.n > TRIB_ENROL_BODY_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "rotation request of %zu bytes; at most %zu are taken", body.n, (size_t)TRIB_ENROL_BODY_MAX);
	struct trib_kv kv = trib_kv(body);
	struct trib_rotate_request r = {0};
	uint64_t csr, proof;
	if (trib_kv_take_is(&kv, "format", "tributary-rotate-1", err) || trib_kv_take_id(&kv, "node", r.node, sizeof(r.node), err) ||
	    trib_kv_take_id(&kv, "app", r.app, sizeof(r.app), err) || trib_kv_take_u64(&kv, "sign-csr", &csr, err) ||
	    trib_kv_take_u64(&kv, "proof", &proof, err) || take_tail(&kv.rest, csr, "sign-csr", &r.sign_csr, err) ||
	    take_tail(&kv.rest, proof, "proof", &r.proof, err) || tail_end(kv.rest, err))
		return trib_ctx(err, "rotation request");
	*ret = r;
	return 0;
}

void trib_rotate_request_put(struct trib_buf *b, const struct trib_rotate_request *r)
{
	trib_buf_printf(b, "format tributary-rotate-1\nnode %s\napp %s\nsign-csr %zu\nproof %zu\n", r->node, r->app, r->sign_csr.n, r->proof.n);
	trib_buf_put_span(b, r->sign_csr);
	trib_buf_put_span(b, r->proof);
}

int trib_renew_answer_parse(struct trib_span body, struct trib_renew_answer *ret, struct trib_err *err)
{
	if (body.n > TRIB_ENROL_ANSWER_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "renewal answer of %zu bytes", body.n);
	struct trib_kv kv = trib_kv(body);
	struct trib_renew_answer a = {.rotated = trib_span_starts(body, "format tributary-rotated-1\n")};
	const char *key = a.rotated ? "sign-cert" : "tls-cert";
	uint64_t cert, chain;
	if (trib_kv_take_is(&kv, "format", a.rotated ? "tributary-rotated-1" : "tributary-renewed-1", err) || trib_kv_take_u64(&kv, key, &cert, err) ||
	    trib_kv_take_u64(&kv, "chain", &chain, err) || take_tail(&kv.rest, cert, key, &a.cert, err) ||
	    take_tail(&kv.rest, chain, "chain", &a.chain, err) || tail_end(kv.rest, err))
		return trib_ctx(err, "renewal answer");
	*ret = a;
	return 0;
}

void trib_renew_answer_put(struct trib_buf *b, const struct trib_renew_answer *a)
{
	trib_buf_printf(b, "format tributary-%s-1\n%s-cert %zu\nchain %zu\n", a->rotated ? "rotated" : "renewed", a->rotated ? "sign" : "tls", a->cert.n, a->chain.n);
	trib_buf_put_span(b, a->cert);
	trib_buf_put_span(b, a->chain);
}

static int take_origin(struct trib_kv *kv, char *ret, size_t size, struct trib_err *err)
{
	return take_text(kv, "origin", size - 1, ret, err);
}

int trib_enrol_answer_parse(struct trib_span body, struct trib_enrol_answer *ret, struct trib_err *err)
{
	if (body.n > TRIB_ENROL_ANSWER_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "enrolment answer of %zu bytes", body.n);
	struct trib_kv kv = trib_kv(body);
	struct trib_enrol_answer a = {0};
	struct trib_span status;
	if (trib_kv_take_is(&kv, "format", "tributary-enrolled-1", err) || trib_kv_take(&kv, "status", 1, &status, err))
		return trib_ctx(err, "enrolment answer");
	a.issued = trib_span_is(status, "issued");
	if (!a.issued) {
		if (!trib_span_is(status, "pending"))
			return trib_fail(err, TRIB_E_FORMAT, "enrolment answer line %u: unknown status", kv.line);
		if (trib_kv_end(&kv, err))
			return trib_ctx(err, "enrolment answer");
		*ret = a;
		return 0;
	}
	uint64_t sign, tls, chain, policy;
	if (take_text(&kv, "city", TRIB_TITLE_MAX, a.city, err) || take_text(&kv, "name", TRIB_TITLE_MAX, a.name, err) ||
	    trib_kv_take_u64(&kv, "incarnation", &a.incarnation, err) || take_origin(&kv, a.origin, sizeof(a.origin), err) ||
	    trib_kv_take_hex(&kv, "log-key", a.log_key, sizeof(a.log_key), err) || trib_kv_take_u64(&kv, "policy", &a.policy, err) ||
	    trib_kv_take_u64(&kv, "sign-cert", &sign, err) || trib_kv_take_u64(&kv, "tls-cert", &tls, err) ||
	    trib_kv_take_u64(&kv, "chain", &chain, err) || trib_kv_take_u64(&kv, "policy-file", &policy, err) ||
	    take_tail(&kv.rest, sign, "sign-cert", &a.sign_cert, err) || take_tail(&kv.rest, tls, "tls-cert", &a.tls_cert, err) ||
	    take_tail(&kv.rest, chain, "chain", &a.chain, err) || take_tail(&kv.rest, policy, "policy-file", &a.policy_file, err) ||
	    tail_end(kv.rest, err))
		return trib_ctx(err, "enrolment answer");
	*ret = a;
	return 0;
}

void trib_enrol_answer_put(struct trib_buf *b, const struct trib_enrol_answer *a)
{
	trib_buf_puts(b, "format tributary-enrolled-1\n");
	if (!a->issued) {
		trib_buf_puts(b, "status pending\n");
		return;
	}
	trib_buf_puts(b, "status issued\n");
	put_text(b, "city", a->city);
	put_text(b, "name", a->name);
	trib_buf_printf(b, "incarnation %llu\n", (unsigned long long)a->incarnation);
	put_text(b, "origin", a->origin);
	put_hex(b, "log-key", a->log_key, sizeof(a->log_key));
	trib_buf_printf(b, "policy %llu\nsign-cert %zu\ntls-cert %zu\nchain %zu\npolicy-file %zu\n", (unsigned long long)a->policy,
			a->sign_cert.n, a->tls_cert.n, a->chain.n, a->policy_file.n);
	trib_buf_put_span(b, a->sign_cert);
	trib_buf_put_span(b, a->tls_cert);
	trib_buf_put_span(b, a->chain);
	trib_buf_put_span(b, a->policy_file);
}
