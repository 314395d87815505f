#include "hub/policy.h"

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/trust/hash.h"
#include "hub/tiles.h"

#define POLICY_MAX TRIB_MIB /* as core/store/veil.c reads it */
#define INIT_LEAF 1         /* where `init` wrote the first */

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static int first_policy(struct trib_hubdb *h, struct trib_policy *ret, struct trib_err *err)
{
	uint64_t size;
	struct trib_leaf leaf;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_LEAF_MAX);
	*ret = (struct trib_policy){0};
	if (trib_log_size(h, &size, err))
		return -1;
	if (size <= INIT_LEAF)
		return 0;
	if (trib_log_leaf(h, INIT_LEAF, &text, err) || trib_leaf_parse(trib_buf_span(&text), &leaf, err))
		return trib_ctx(err, "reading leaf %d of the log", INIT_LEAF);
	if (leaf.kind != TRIB_LEAF_POLICY)
		return 0;
	ret->number = leaf.number;
	memcpy(ret->sha256, leaf.sha256, sizeof(ret->sha256));
	return 0;
}

int trib_policy_in_force(struct trib_hubdb *h, struct trib_policy *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf number = TRIB_BUF(64), sha = TRIB_BUF(64);
	struct trib_policy p = {0};
	if (trib_hubdb_meta(h, "policy-number", &number, err) || trib_hubdb_meta(h, "policy-sha256", &sha, err))
		return -1;
	if (!number.len && !sha.len)
		return first_policy(h, ret, err);
	for (size_t i = 0; i < number.len && i < 19 && number.p[i] >= '0' && number.p[i] <= '9'; i++)
		p.number = p.number * 10 + (uint64_t)(number.p[i] - '0');
	if (!p.number || sha.len != sizeof(p.sha256))
		return trib_fail(err, TRIB_E_VERIFY, "hub.db does not say which policy is in force; nothing was changed; try: tributary-hub audit");
	memcpy(p.sha256, sha.p, sizeof(p.sha256));
	*ret = p;
	return 0;
}

static int log_policy(struct trib_hubdb *h, const struct trib_policy *p, struct trib_err *err)
{
	struct trib_leaf leaf = {.kind = TRIB_LEAF_POLICY, .time = trib_now(), .number = p->number};
	TRIB_AUTO(trib_buf) struct trib_buf number = TRIB_BUF(32);
	memcpy(leaf.sha256, p->sha256, sizeof(leaf.sha256));
	trib_buf_printf(&number, "%llu", (unsigned long long)p->number);
	if (trib_hubdb_begin(h, err))
		return -1;
	if (trib_log_append(h, &leaf, NULL, err) || trib_hubdb_meta_set(h, "policy-number", trib_buf_span(&number), err) ||
	    trib_hubdb_meta_set(h, "policy-sha256", trib_span(p->sha256, sizeof(p->sha256)), err) || trib_hubdb_commit(h, err)) {
		trib_hubdb_rollback(h);
		return trib_ctx(err, "logging the policy");
	}
	return 0;
}

/* Workers judge by the text in log/named; without it no office is heard. */
static int keep_text(const struct trib_hub *hub, const struct trib_policy *p, struct trib_span text, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf named = TRIB_BUF(TRIB_NAMED_MAX);
	uint8_t sha[TRIB_SHA256_LEN];
	struct trib_err why;
	if (trib_named_read(hub->dir, p->sha256, &named, &why) == 0)
		return 0;
	return trib_named_write(hub, text, sha, err) ? trib_ctx(err, "writing the text of policy %llu again", (unsigned long long)p->number) : 0;
}

int trib_policy_mend(struct trib_hubdb *h, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "policy.conf");
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(POLICY_MAX);
	struct trib_policy p;
	uint8_t sha[TRIB_SHA256_LEN];
	struct trib_err no;
	if (!path)
		return oom(err);
	if (trib_policy_in_force(h, &p, err))
		return -1;
	if (!p.number || trib_fs_read(path, &text, &no))
		return 0;
	trib_sha256(sha, trib_buf_span(&text));
	return memcmp(sha, p.sha256, sizeof(sha)) == 0 ? keep_text(h->hub, &p, trib_buf_span(&text), err) : 0;
}

int trib_policy_take_up(struct trib_hubdb *h, struct trib_policy *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "policy.conf");
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(POLICY_MAX);
	TRIB_AUTO(trib_private_list) struct trib_private_list tried = {0}, kept = {0};
	struct trib_policy p;
	uint8_t sha[TRIB_SHA256_LEN];
	if (!path)
		return oom(err);
	if (trib_policy_in_force(h, &p, err))
		return -1;
	if (trib_fs_read(path, &text, err)) {
		if (err->code != TRIB_E_NOT_FOUND)
			return trib_ctx(err, "policy file %s", path);
		if (p.number)
			return trib_fail(err, TRIB_E_NOT_FOUND, "policy file %s is missing; the text of policy %llu is in log/named", path, (unsigned long long)p.number);
		*ret = p;
		return 0;
	}
	trib_sha256(sha, trib_buf_span(&text));
	if (p.number && memcmp(sha, p.sha256, sizeof(sha)) == 0) {
		if (keep_text(h->hub, &p, trib_buf_span(&text), err))
			return -1;
		*ret = p;
		return 0;
	}
	p.number++;
	/* Tried before it is kept, so that a broken text is served to nobody, and again as it was kept: the file may have changed in between. */
	if (trib_private_load(path, &tried, err) || trib_named_write(h->hub, trib_buf_span(&text), p.sha256, err) ||
	    trib_policy_private(h->hub, p.sha256, &kept, err) || log_policy(h, &p, err))
		return -1;
	*ret = p;
	return 1;
}

int trib_policy_private(const struct trib_hub *hub, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_private_list *l, struct trib_err *err)
{
	static const uint8_t none[TRIB_SHA256_LEN];
	char hex[TRIB_SHA256_HEX + 1];
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(POLICY_MAX);
	if (memcmp(sha256, none, sizeof(none)) == 0)
		return 0;
	trib_hex(hex, sha256, TRIB_SHA256_LEN);
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/log/named/%s", hub->dir, hex);
	if (!path)
		return oom(err);
	return trib_named_read(hub->dir, sha256, &text, err) ? trib_ctx(err, "the policy that the log names") : trib_private_load(path, l, err);
}
