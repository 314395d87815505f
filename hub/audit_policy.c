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

/* ---- what is private ---- */

struct trib_audit_private { uint64_t idx, number; struct trib_private_list list; };

void trib_audit_private_free(struct trib_audit *a)
{
	for (size_t i = 0; i < a->nprivates; i++)
		trib_private_release(&a->privates[i].list);
	free(a->privates);
}

static int load_private(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->own, "SELECT idx, number, sha256 FROM po ORDER BY idx", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		struct trib_audit_private *grown = realloc(a->privates, (a->nprivates + 1) * sizeof(*grown));
		uint8_t sha[TRIB_SHA256_LEN];
		struct trib_err why;
		if (!grown)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		a->privates = grown;
		struct trib_audit_private *p = &grown[a->nprivates++];
		*p = (struct trib_audit_private){.idx = (uint64_t)sqlite3_column_int64(st, 0), .number = (uint64_t)sqlite3_column_int64(st, 1)};
		trib_audit_bytes(st, 2, sha, sizeof(sha));
		if (trib_policy_private(a->hub, sha, &p->list, &why) && TRIB_OWN_TROUBLE(why.code))
			return *err = why, -1; /* a text that is lost, or another, is named by its leaf */
	}
	return row;
}

int trib_audit_private(struct trib_audit *a, const struct trib_where *at, const struct trib_judged *j, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	const struct trib_audit_private *p = NULL;
	char name[2 * TRIB_NAME_MAX + 2];
	bool any = false;
	for (size_t i = 0; i < a->nprivates; i++)
		any = any || a->privates[i].list.n;
	if (!any)
		return 0;
	if (trib_audit_sql(a->own, &st, err, "SELECT idx FROM h WHERE node = ? AND app = ? AND seq = ? AND oid = ?", "ssib", at->node, at->app, (int64_t)at->seq,
			   trib_span(at->oid, TRIB_OID_LEN)))
		return -1;
	int row = trib_db_step(a->own, st, err);
	if (row <= 0)
		return row;
	for (size_t i = 0; i < a->nprivates; i++)
		if (a->privates[i].idx < (uint64_t)sqlite3_column_int64(st, 0))
			p = &a->privates[i];
	int shows = p ? trib_private_shown(&p->list, &j->schema, trib_buf_span(&j->changeset), j->manifest.part == j->manifest.parts, name, sizeof(name), err) : 0;
	if (shows <= 0)
		return shows;
	return trib_audit_find(a, at, err, "it shows %.200s, which was private by policy %llu when it was held: the hub should have refused it", name, (unsigned long long)p->number);
}

/* ---- what is in force ---- */

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
	if (load_private(a, err))
		return -1;
	if (a->hub->policy_version != 1 &&
	    trib_audit_find(a, &w, err, "hub.conf says policy %llu, a city begins with policy 1", (unsigned long long)a->hub->policy_version))
		return -1;
	return check_file(a, err);
}
