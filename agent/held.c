#include "agent/held.h"

#include <dirent.h>
#include <errno.h>

#include "agent/private.h"
#include "core/trust/epoch.h"

void trib_held_release(struct trib_held_list *r)
{
	free(r->kept);
	*r = (struct trib_held_list){0};
}

static int by_oid(const void *a, const void *b) { return memcmp(((const struct trib_held *)a)->oid, ((const struct trib_held *)b)->oid, TRIB_OID_LEN); }

static int add(struct trib_held_list *r, const struct trib_leaf *leaf, struct trib_err *err)
{
	if ((r->n & (r->n - 1)) == 0) { /* room doubles at powers of two */
		size_t room = r->n ? 2 * r->n : 1, bytes;
		struct trib_held *p = trib_mul_overflow(room, sizeof(*p), &bytes) ? NULL : realloc(r->kept, bytes);
		if (!p)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		r->kept = p;
	}
	struct trib_held *k = &r->kept[r->n++];
	*k = (struct trib_held){.seq = leaf->seq, .time = leaf->time};
	memcpy(k->oid, leaf->oid, TRIB_OID_LEN);
	return 0;
}

static int load_file(const struct trib_state *s, const char *path, struct trib_held_list *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_receipts file;
	struct trib_checkpoint cp;
	struct trib_receipt one;
	int row;
	if (trib_fs_read(path, &b, err) || trib_receipts_parse(trib_buf_span(&b), &file, err) ||
	    trib_checkpoint_verify_upto(file.checkpoint, s->node.origin, s->node.log_key, &cp, err))
		return -1;
	while ((row = trib_receipts_next(&file, &one, err)) > 0) {
		struct trib_leaf leaf;
		if (trib_receipt_verify(&one, &cp, &leaf, err))
			return -1;
		bool own = leaf.kind == TRIB_LEAF_HELD && strcmp(leaf.node, s->node.node) == 0 && strcmp(leaf.app, s->node.app) == 0;
		if (own && add(r, &leaf, err))
			return -1;
	}
	return row;
}

int trib_held_one(const struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], uint64_t seq, struct trib_held *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/receipts/%llu", s->dir, (unsigned long long)seq);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!s->node.enrolled || !trib_fs_exists(path))
		return 0;
	if (load_file(s, path, &r, err)) /* it proves nothing */
		return err->code == TRIB_E_NOMEM ? -1 : 0;
	for (size_t i = 0; i < r.n; i++)
		if (memcmp(r.kept[i].oid, oid, TRIB_OID_LEN) == 0) {
			*ret = r.kept[i];
			return 1;
		}
	return 0;
}

static bool is_number(const char *name)
{
	size_t n = strspn(name, "0123456789");
	return n > 0 && name[n] == '\0';
}

int trib_held_load(const struct trib_state *s, bool strict, struct trib_held_list *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_mem) char *dir = trib_state_path(s, "receipts");
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	DIR *d = s->node.enrolled ? opendir(dir) : NULL;
	if (!d && s->node.enrolled && errno != ENOENT)
		return trib_fail_errno(err, "%s", dir);
	int rc = 0;
	for (struct dirent *e; d && !rc && (e = readdir(d));) {
		if (!is_number(e->d_name))
			continue;
		TRIB_AUTO(trib_mem) char *path = trib_path(dir, e->d_name);
		size_t was = r.n;
		rc = path ? load_file(s, path, &r, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (rc && err->code == TRIB_E_NOMEM)
			break;
		if (rc && strict) {
			err->code = TRIB_E_VERIFY;
			trib_ctx(err, "receipt %s does not prove anything (fetch it again: remove it and try `tributary-agent pull`)", path);
		} else if (rc) {
			r.n = was;
			rc = 0;
		}
	}
	if (d)
		closedir(d);
	if (rc)
		return -1;
	if (r.n)
		qsort(r.kept, r.n, sizeof(r.kept[0]), by_oid);
	size_t n = 0;
	for (size_t i = 0; i < r.n; i++) /* files may overlap */
		if (n == 0 || by_oid(&r.kept[n - 1], &r.kept[i]) != 0)
			r.kept[n++] = r.kept[i];
	r.n = n;
	*ret = r;
	r = (struct trib_held_list){0};
	return 0;
}

const struct trib_held *trib_held_find(const struct trib_held_list *r, const uint8_t oid[TRIB_OID_LEN])
{
	struct trib_held key;
	memcpy(key.oid, oid, TRIB_OID_LEN);
	return r->n ? bsearch(&key, r->kept, r->n, sizeof(key), by_oid) : NULL;
}

static int time_of(void *ctx, const uint8_t oid[TRIB_OID_LEN], int64_t *ret, struct trib_err *err)
{
	const struct trib_held_list *r = ctx;
	const struct trib_held *k = trib_held_find(r, oid);
	(void)err;
	*ret = k ? k->time : r->now;
	return 0;
}

struct trib_history trib_own_history(const struct trib_state *s, struct trib_held_list *r)
{
	struct trib_history h = {.repo = s->repo, .ref = "refs/heads/main", .trust = trib_state_trust(s), .time_of = time_of, .time_ctx = r};
	r->now = h.trust.at;
	h.trust.incarnation = UINT64_MAX; /* earlier ones are part of it */
	struct trib_err ignored;
	/* A reference that cannot be read leaves the private half out: the restore then says what is absent. */
	if (s->private_tip.exists && !trib_private_base(s, &h.private_base, &ignored)) {
		h.private_repo = s->private_repo;
		h.private_trust = trib_private_trust(s);
	}
	return h;
}
