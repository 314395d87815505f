/* An office brings its receipts of a log that was cut off: judged here, in the worker, before anything is kept. */
#include "core/base/log.h"
#include "core/trust/hash.h"
#include "hub/oldlog.h"
#include "hub/smart_push.h"

#define KEEPER_MS 120000

static int judge(struct trib_worker *w, const struct trib_route *r, struct trib_span body, struct trib_err *err)
{
	struct trib_old_judge j = {.origin = w->hub->origin, .log_key = w->who.log_key, .root = w->hub->root};
	struct trib_old_receipts o;
	if (trib_old_receipts_parse(body, &o, err))
		return -1;
	if (strcmp(o.node, r->node) != 0 || strcmp(o.app, r->app) != 0)
		return trib_fail(err, TRIB_E_REFUSED, "these are receipts of %s/%s, sent by %s/%s", o.node, o.app, r->node, r->app);
	return trib_old_receipts_judge(&o, &j, err);
}

static int hand_over(struct trib_worker *w, const struct trib_route *r, struct trib_span body, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(w->quarantine, TRIB_OLDLOG_QUARANTINE);
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(sizeof(struct trib_ipc_result));
	struct trib_ipc_old old = {0};
	struct trib_ipc_result res;
	struct trib_err later;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	(void)snprintf(old.node, sizeof(old.node), "%s", r->node);
	(void)snprintf(old.app, sizeof(old.app), "%s", r->app);
	memcpy(old.sha256, sha256, sizeof(old.sha256));
	if (trib_fs_floor(w->quarantine, TRIB_DISK_FLOOR, err) || trib_fs_write(path, body, 0600, err) ||
	    trib_ipc_call(w->keeper_fd, TRIB_IPC_OLD, trib_span(&old, sizeof(old)), trib_span(NULL, 0), trib_span(NULL, 0), KEEPER_MS, TRIB_IPC_PUBLISHED, &in, err))
		return -1;
	if (in.len != sizeof(res))
		return trib_fail(err, TRIB_E_FORMAT, "the keeper's answer has %zu bytes", in.len);
	memcpy(&res, in.p, sizeof(res));
	res.msg[sizeof(res.msg) - 1] = '\0';
	if (res.code == TRIB_OK)
		return 0;
	(void)!trib_fs_remove(path, &later); /* the quarantine is emptied anyway */
	return trib_fail(err, res.code > 0 && res.code < TRIB_CODE_COUNT ? (enum trib_code)res.code : TRIB_E_FAILED, "%s", res.msg);
}

int trib_oldlog_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX);
	uint8_t sha256[TRIB_SHA256_LEN];
	struct trib_err why, later;
	trib_http_body_max(w->http, TRIB_OLD_RECEIPTS_MAX);
	if (trib_http_body_all(w->http, &body, &why)) {
		(void)trib_http_drain(w->http, &later);
		return trib_http_text(w->http, why.code == TRIB_E_LIMIT ? 413 : 400, err, "%s: %s", trib_code_name(why.code), why.msg);
	}
	trib_sha256(sha256, trib_buf_span(&body));
	if (judge(w, r, trib_buf_span(&body), &why) == 0 && hand_over(w, r, trib_buf_span(&body), sha256, &why) == 0)
		return trib_http_text(w->http, 200, err, "kept");
	trib_log(TRIB_LOG_INFO, "old receipts of %s/%s: %s: %s", r->node, r->app, trib_code_name(why.code), why.msg);
	(void)trib_ctx(&why, "old receipts");
	bool verdict = trib_push_refusal(w, r, sha256, &why);
	return trib_http_text(w->http, verdict ? 422 : 503, err, "%s: %s", trib_code_name(why.code), why.msg);
}
