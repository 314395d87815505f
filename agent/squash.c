/* squash.c: captures by `watch` become one commit before they are sent (D5.6).
 *
 * Captures of `watch` carry TRIB_WATCH_TEXT as their text: that mark is signed with them, cannot get lost, and a capture without it is never put
 * together with others, except the plain one that ends a row of them (the night's `sync`). A row stays under one schema.
 * What was ever offered to the hub is not touched, with or without a receipt: the hub may hold it. Nor is what has a private half. The new commit
 * holds the net changes and must lead to the digest that the last of the old ones has: else nothing is done. Crash safety as in resign.c. */
#include "agent/anew.h"
#include "agent/capture/compose.h"
#include "agent/private.h"
#include "core/format/gzip.h"

#define HELD_TIP "held-tip"
#define HELD_TIP_MAX (2 * TRIB_LANES_MAX + 64 * TRIB_KIB)

/* A complete group of one capture. */
struct group {
	size_t at, n; /* places in the chain */
	bool watch, plain, one_schema;
	uint8_t schema[TRIB_SHA256_LEN], digest[TRIB_SHA256_LEN];
};

static int schema_of(const struct trib_manifest *m, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	const struct trib_mf_blob *b = trib_manifest_blob(m, "schema.sql");
	if (!b)
		return trib_fail(err, TRIB_E_TREE, "a commit without schema.sql");
	memcpy(ret, b->sha256, TRIB_SHA256_LEN);
	return 0;
}

/* The group that begins at `at`; n = 0 when none does, or it is not complete. */
static int read_group(struct trib_anew *a, size_t at, struct group *ret, struct trib_err *err)
{
	struct group g = {.at = at, .one_schema = true};
	uint64_t parts = 1;
	*ret = g;
	for (uint64_t i = 0; i < parts; i++) {
		TRIB_AUTO(trib_commit) struct trib_commit c = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
		uint8_t schema[TRIB_SHA256_LEN];
		if (at + i >= a->n)
			return 0;
		if (trib_anew_read(a, at + i, &c, &m, err) || schema_of(&m, schema, err))
			return -1;
		TRIB_AUTO(trib_mem) char *text = trib_anew_text(&c);
		if (!text)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (i == 0) {
			parts = m.parts;
			memcpy(g.schema, schema, sizeof(schema));
		}
		if (m.part != i + 1 || m.parts != parts)
			return 0;
		bool change = m.kind == TRIB_KIND_CHANGE && !m.nbraked && !m.nrenamed;
		g.watch = change && strcmp(text, TRIB_WATCH_TEXT) == 0;
		g.plain = change && !*text;
		g.one_schema = g.one_schema && memcmp(g.schema, schema, sizeof(schema)) == 0;
		memcpy(g.digest, m.digest, sizeof(g.digest));
	}
	g.n = (size_t)parts;
	*ret = g;
	return 0;
}

struct row { size_t at, n, groups; bool night; uint8_t digest[TRIB_SHA256_LEN]; }; /* night: ended by a plain one */

/* The row of groups that begins at `at`; at least one commit, which may be one that stands for itself. */
static int read_row(struct trib_anew *a, size_t at, struct row *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	uint8_t before[TRIB_SHA256_LEN];
	struct group first;
	struct row r = {.at = at, .n = 1, .groups = 1};
	if (read_group(a, at, &first, err))
		return -1;
	r.n = first.n ? first.n : 1;
	if (first.watch && first.one_schema && at > 0) {
		if (trib_anew_read(a, at - 1, &c, &m, err) || schema_of(&m, before, err))
			return -1;
		bool more = memcmp(before, first.schema, sizeof(before)) == 0;
		while (more) {
			struct group g;
			if (read_group(a, at + r.n, &g, err))
				return -1;
			if (!g.n || !(g.watch || g.plain) || !g.one_schema || memcmp(g.schema, first.schema, sizeof(g.schema)) != 0)
				break;
			r.n += g.n;
			r.groups++;
			memcpy(r.digest, g.digest, sizeof(r.digest));
			more = g.watch;
			r.night = g.plain;
		}
	}
	*ret = r;
	return 0;
}

/* Nothing that was ever offered, and nothing before a reset (its salt is another) or a hand-over of the signing key (only the key before could sign it). */
static int leave_offered(struct trib_anew *a, const uint8_t *hub_tip, bool *ret_found, struct trib_err *err)
{
	uint8_t offered[TRIB_OID_LEN], oid[TRIB_OID_LEN];
	bool any = trib_repo_ref(a->s->repo, TRIB_REF_PUSH, offered, err) == 0;
	if (!any && err->code != TRIB_E_NOT_FOUND)
		return -1;
	*ret_found = !hub_tip;
	for (size_t i = a->n; i > 0 && !*ret_found; i--) {
		if (trib_anew_oid(a, i - 1, oid, err))
			return -1;
		*ret_found = memcmp(oid, hub_tip, TRIB_OID_LEN) == 0;
		if (*ret_found && i > a->base)
			a->base = i;
	}
	for (size_t i = a->n; i > a->base; i--) {
		TRIB_AUTO(trib_commit) struct trib_commit c = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
		if (trib_anew_read(a, i - 1, &c, &m, err))
			return -1;
		if ((any && memcmp(c.oid, offered, TRIB_OID_LEN) == 0) || m.kind != TRIB_KIND_CHANGE)
			a->base = i;
	}
	return 0;
}

/* A private half names the public commit that it goes with by its number (D4.8): up to the last that has one, numbers must stay. */
static int leave_private(struct trib_anew *a, struct trib_err *err)
{
	const struct trib_state *s = a->s;
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	uint64_t before;
	if (!s->private_tip.exists)
		return 0;
	if (trib_commit_read(s->private_repo, s->private_tip.oid, &c, err) || trib_private_base(s, &before, err))
		return trib_ctx(err, "private.git");
	TRIB_AUTO(trib_mem) char *text = trib_anew_text(&c);
	if (!text)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	static const char key[] = TRIB_OWN_SEQ;
	uint64_t own = strncmp(text, key, sizeof(key) - 1) == 0 ? strtoull(text + sizeof(key) - 1, NULL, 10) : 0;
	if (!own || own > a->n || before > a->n - own)
		return trib_fail(err, TRIB_E_VERIFY, "private.git goes with no commit of this history");
	if (before + own > a->base)
		a->base = (size_t)(before + own);
	return 0;
}

/* On to the first row that is one. False: there is none. */
static int find_first(struct trib_anew *a, const uint8_t *hub_tip, bool *ret, struct trib_err *err)
{
	bool found;
	*ret = false;
	if (leave_offered(a, hub_tip, &found, err) || leave_private(a, err))
		return -1;
	if (!found)
		return 0;
	for (size_t at = a->base; at < a->n;) {
		struct row r;
		if (read_row(a, at, &r, err))
			return -1;
		if (r.groups > 1) {
			a->base = at;
			*ret = true;
			return 0;
		}
		at += r.n;
	}
	return 0;
}

static int add_commit(struct trib_anew *a, size_t at, struct trib_compose *x, struct trib_manifest *ret_m, struct trib_buf *ret_schema, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX), raw = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	trib_manifest_release(ret_m);
	*ret_m = (struct trib_manifest){0};
	trib_buf_reset(ret_schema);
	if (trib_anew_read(a, at, &c, ret_m, err) || trib_commit_blob(a->s->repo, &c, "schema.sql", TRIB_SCHEMA_MAX, ret_schema, err))
		return -1;
	if (!ret_m->gz_len)
		return 0;
	if (trib_commit_blob(a->s->repo, &c, "changeset.gz", TRIB_CHANGESET_GZ_MAX, &gz, err) ||
	    trib_gunzip(trib_buf_span(&gz), (size_t)ret_m->raw_len, &raw, err))
		return -1;
	return trib_compose_add(x, trib_buf_span(&raw), err);
}

static int make_row(struct trib_anew *a, const struct row *r, struct trib_err *err)
{
	TRIB_AUTO(trib_compose) struct trib_compose *x = NULL;
	TRIB_AUTO(trib_manifest) struct trib_manifest last = {0};
	TRIB_AUTO(trib_buf) struct trib_buf schema = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	struct trib_committed done = {0};
	uint8_t digest[TRIB_SHA256_LEN];
	if (trib_compose_new(&x, err))
		return -1;
	for (size_t i = 0; i < r->n; i++)
		if (add_commit(a, r->at + i, x, &last, &schema, err))
			return -1;
	if (trib_compose_emit(x, trib_buf_span(&schema), &c, err))
		return -1;
	/* What the last one says of the whole file stands. The capture borrows it. */
	c.sequences = last.sequences;
	c.nsequences = last.nsequences;
	c.left_out = last.left_out;
	c.nleft_out = last.nleft_out;
	a->k.captured_at = last.captured_at;
	a->k.idle = "nothing changed";
	int rc = trib_maker_parts(&a->k, &c, r->night ? "" : TRIB_WATCH_TEXT, &done, err); /* the next nights go on after a night's */
	c.sequences = NULL;
	c.left_out = NULL;
	c.nsequences = c.nleft_out = 0;
	if (rc)
		return -1;
	trib_digest_overall(&a->k.tip.lanes, a->s->node.app, digest);
	if (memcmp(digest, r->digest, sizeof(digest)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the squashed captures do not lead to the same state");
	return 0;
}

static int make_all(struct trib_anew *a, struct trib_squashed *ret, struct trib_err *err)
{
	for (size_t at = a->base; at < a->n;) {
		struct row r;
		if (read_row(a, at, &r, err))
			return -1;
		if (r.groups > 1) {
			if (make_row(a, &r, err))
				return -1;
			ret->captures += r.groups;
			ret->commits++;
		}
		for (size_t i = 0; r.groups == 1 && i < r.n; i++)
			if (trib_anew_make_one(a, at + i, false, err))
				return -1;
		at += r.n;
	}
	return 0;
}

int trib_outbox_note_held(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, HELD_TIP);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(HELD_TIP_MAX);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_tip_put(&b, &s->tip);
	return trib_buf_check(&b, path, err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* The state to start from: as it was kept, else by judging all that stays. What is made on it must lead to a signed digest in any case. */
static int start_tip(struct trib_anew *a, struct trib_tip *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(a->s, HELD_TIP);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(HELD_TIP_MAX);
	TRIB_AUTO(trib_tip) struct trib_tip kept = {0};
	uint8_t base[TRIB_OID_LEN];
	if (a->base && trib_anew_oid(a, a->base - 1, base, err))
		return -1;
	if (path && a->base && !trib_fs_read(path, &b, err) && !trib_tip_parse(trib_buf_span(&b), &kept, err) &&
	    memcmp(kept.oid, base, TRIB_OID_LEN) == 0) {
		*ret = kept;
		kept = (struct trib_tip){0};
		return 0;
	}
	return trib_anew_judge_base(a, ret, err);
}

int trib_outbox_squash(struct trib_state *s, const uint8_t *hub_tip, struct trib_squashed *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_anew) struct trib_anew a = {.s = s};
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_squashed done = {0};
	bool current = true, any = false;
	*ret = done;
	if (!s->tip.exists)
		return 0;
	if (trib_state_keys(s, err) || trib_anew_load(&a, err) || trib_anew_all_current(&a, &current, err))
		return -1;
	size_t held = a.base;
	if (!current || a.heir || find_first(&a, hub_tip, &any, err))
		return current && !a.heir ? -1 : 0;
	if (!any)
		return 0;
	if (start_tip(&a, &tip, err) || trib_maker_init(&a.k, s, &tip, err) || make_all(&a, &done, err) ||
	    trib_anew_finish(&a, held, err))
		return trib_ctx(err, "squashing the captures of `watch` (nothing was changed)");
	*ret = done;
	return 0;
}
