/* forked.c: an office says that its folder does not go on from where the hub stands (D5.6): it is an old copy, a second machine works as this office, or a new
 * machine's database would take most of the office's rows from the city, and a person must look first (D4.9).
 *
 * Such a folder is stopped and sends nothing, and its other self may report as ever: without this the hub would know of nothing. The body is the raw commit
 * that the folder stands at; it goes on record as a refusal, with its hash in the log, and `status` names the office. Only the office's own certificate
 * comes here, so nobody raises an alarm for another. */
#include "core/base/log.h"
#include "core/trust/hash.h"
#include "hub/smart_fetch.h"
#include "hub/smart_push.h"

static int commit_id(struct trib_span raw, uint8_t ret[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_COMMIT_MAX + 64);
	trib_buf_printf(&b, "commit %zu%c", raw.n, '\0');
	trib_buf_put_span(&b, raw);
	if (trib_buf_check(&b, "a commit", err))
		return -1;
	trib_sha1(ret, trib_buf_span(&b));
	return 0;
}

/* Always -1: TRIB_E_FORK when it is so, else why not. */
static int judge(struct trib_worker *w, const struct trib_route *r, struct trib_span raw, struct trib_err *err)
{
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_commitraw c;
	uint8_t oid[TRIB_OID_LEN], ours[TRIB_OID_LEN];
	if (trib_commitraw_parse(raw, &c, err) || commit_id(raw, oid, err) || trib_fetch_open(w, r, &repo, err))
		return -1;
	if (!repo)
		return trib_fail(err, TRIB_E_CHAIN, "the hub holds nothing of %s/%s, so nothing forked", r->node, r->app);
	if (trib_repo_ref(repo, "refs/heads/main", ours, err))
		return -1;
	if (memcmp(oid, ours, sizeof(oid)) == 0 || (c.has_parent && memcmp(c.parent, ours, sizeof(ours)) == 0))
		return trib_fail(err, TRIB_E_CHAIN, "that commit goes on from the hub's last one, so nothing forked; push it");
	return trib_fail(err, TRIB_E_FORK, "a folder of this office does not go on from the hub's last commit: it is an old copy, a second machine works as this office, or a new one lacks rows that the city has");
}

int trib_forked_serve(struct trib_worker *w, const struct trib_route *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(TRIB_COMMIT_MAX);
	uint8_t sha256[TRIB_SHA256_LEN];
	struct trib_err why, later;
	trib_http_body_max(w->http, TRIB_COMMIT_MAX);
	if (trib_http_body_all(w->http, &body, &why)) {
		(void)trib_http_drain(w->http, &later);
		return trib_http_text(w->http, why.code == TRIB_E_LIMIT ? 413 : 400, err, "%s: %s", trib_code_name(why.code), why.msg);
	}
	(void)judge(w, r, trib_buf_span(&body), &why);
	trib_log(TRIB_LOG_INFO, "%s/%s: %s: %s", r->node, r->app, trib_code_name(why.code), why.msg);
	trib_sha256(sha256, trib_buf_span(&body));
	if (why.code == TRIB_E_FORK && trib_push_refusal(w, r, sha256, &why))
		return trib_http_text(w->http, 200, err, "noted");
	return trib_http_text(w->http, 422, err, "%s: %s", trib_code_name(why.code), why.msg);
}
