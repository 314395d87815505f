/* The policies that the log names: numbered without a gap, their texts kept; policy.conf and hub.db say what the last one says. */
#include "core/trust/hash.h"
#include "hub/audit_impl.h"
#include "hub/policy.h"
#include "hub/tiles.h"

int trib_audit_keep_policy(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_MIB);
	struct trib_where w = {0};
	struct trib_err why;
	if (l->number != a->policy + 1 && trib_audit_find(a, &w, err, "log leaf %llu names policy %llu after policy %llu", (unsigned long long)idx,
							  (unsigned long long)l->number, (unsigned long long)a->policy))
		return -1;
	if (trib_audit_exec(a->own, err, "INSERT INTO po(idx, number, sha256) VALUES(?,?,?)", "iib", (int64_t)idx, (int64_t)l->number, trib_span(l->sha256, TRIB_SHA256_LEN)))
		return -1;
	a->policy = l->number;
	memcpy(a->policy_sha, l->sha256, sizeof(a->policy_sha));
	if (trib_named_read(a->hub->dir, l->sha256, &text, &why))
		return trib_audit_find(a, &w, err, "policy %llu: %s", (unsigned long long)l->number, why.msg);
	return 0;
}

/* Did `serve` take it up after the snapshot? The next audit judges that leaf. */
static int logged_since(struct trib_audit *a, const uint8_t sha[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb now = {0};
	struct trib_policy p;
	struct trib_err why;
	if (trib_hubdb_open(a->hub, false, &now, err))
		return -1;
	return trib_policy_in_force(&now, &p, &why) == 0 && p.number > a->policy && memcmp(p.sha256, sha, sizeof(p.sha256)) == 0;
}

/* A file that was edited while no hub ran is no crime, but nobody is judged by it yet: it is named until a hub has logged it. */
static int check_file(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(a->hub, "policy.conf");
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_MIB);
	struct trib_where w = {0};
	struct trib_err why;
	uint8_t sha[TRIB_SHA256_LEN];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_read(path, &text, &why))
		return trib_audit_find(a, &w, err, "policy.conf: %s", why.msg);
	trib_sha256(sha, trib_buf_span(&text));
	if (memcmp(sha, a->policy_sha, sizeof(sha)) == 0)
		return 0;
	int got = logged_since(a, sha, err);
	return got ? (got < 0 ? -1 : 0) :
		     trib_audit_find(a, &w, err, "policy.conf is not policy %llu, the last one in the log: nothing is judged by it before a running hub has logged it (within seconds)",
				     (unsigned long long)a->policy);
}

int trib_audit_policy(struct trib_audit *a, struct trib_err *err)
{
	struct trib_where w = {0};
	char number[32];
	bool later = a->policy > 1; /* what `init` wrote is repeated nowhere */
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)a->policy);
	if (trib_audit_meta(a, "policy-number", trib_span_str(later ? number : ""), err) ||
	    trib_audit_meta(a, "policy-sha256", trib_span(a->policy_sha, later ? sizeof(a->policy_sha) : 0), err))
		return -1;
	if (!a->policy)
		return 0;
	if (a->hub->policy_version != 1 &&
	    trib_audit_find(a, &w, err, "hub.conf says policy %llu, a city begins with policy 1", (unsigned long long)a->hub->policy_version))
		return -1;
	return check_file(a, err);
}
