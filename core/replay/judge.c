#include "core/replay/judge.h"

#include "core/format/gzip.h"
#include "core/replay/signer.h"
#include "core/trust/hash.h"

/* Everything one judgement holds. The commit, manifest and so on are built in `j`, which becomes the caller's on success. */
struct work {
	struct trib_repo *repo;
	const uint8_t *oid;
	const struct trib_trust *trust;
	const struct trib_tip *tip; /* before this commit */
	struct trib_judged j;
	struct trib_buf salt, signer, next, gz;
	uint8_t signer_spki[TRIB_SHA256_LEN], next_spki[TRIB_SHA256_LEN];
	struct trib_signer_cache own;  /* when the caller has none */
	const struct trib_signer *who; /* signed */
	bool continues;  /* part 2..m */
	bool voids;      /* gives up the open group before it */
	struct trib_lanes lanes;
	/* What the changeset does to any state. */
	bool moved;
	struct trib_lanes moves;
	struct trib_manifest counts;
};

void trib_judged_release(struct trib_judged *j)
{
	trib_commit_release(&j->commit);
	trib_manifest_release(&j->manifest);
	trib_schematext_release(&j->schema);
	trib_buf_release(&j->schema_bytes);
	trib_buf_release(&j->changeset);
	*j = (struct trib_judged){0};
}

static void work_release(struct work *w)
{
	trib_judged_release(&w->j);
	trib_buf_release(&w->salt);
	trib_buf_release(&w->signer);
	trib_buf_release(&w->next);
	trib_buf_release(&w->gz);
	trib_signer_cache_release(&w->own);
	trib_lanes_release(&w->lanes);
	trib_lanes_release(&w->moves);
	trib_manifest_release(&w->counts);
}

static bool is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= b[i];
	return any == 0;
}

/* ---- the commit object ---- */

static int take_commit(struct work *w, struct trib_err *err)
{
	return trib_commit_read(w->repo, w->oid, &w->j.commit, err);
}

static int check_parent(struct work *w, struct trib_err *err)
{
	const struct trib_commitraw *c = &w->j.commit.c;
	char want[TRIB_OID_HEX + 1], have[TRIB_OID_HEX + 1];

	if (!w->tip->exists)
		return c->has_parent ? trib_fail(err, TRIB_E_CHAIN, "the first commit of a history has a parent") : 0;
	if (!c->has_parent)
		return trib_fail(err, TRIB_E_CHAIN, "no parent, but the history has %llu commits already",
				 (unsigned long long)w->tip->seq);
	if (memcmp(c->parent, w->tip->oid, TRIB_OID_LEN) == 0)
		return 0;
	trib_hex(want, w->tip->oid, TRIB_OID_LEN);
	trib_hex(have, c->parent, TRIB_OID_LEN);
	return trib_fail(err, TRIB_E_CHAIN, "its parent is %s, but the history stands at %s (#%llu)", have, want,
			 (unsigned long long)w->tip->seq);
}

/* ---- the tree ---- */

static bool known_name(const char *name)
{
	static const char *const names[] = {"changeset.gz", "manifest", "next.pem", "salt", "schema.sql", "signer.pem"};

	for (size_t i = 0; i < TRIB_COUNT(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool in_tree(const struct work *w, const char *name)
{
	for (size_t i = 0; i < w->j.commit.nentries; i++)
		if (strcmp(w->j.commit.entries[i].name, name) == 0)
			return true;
	return false;
}

static int check_tree_names(struct work *w, struct trib_err *err)
{
	static const char *const always[] = {"manifest", "salt", "schema.sql", "signer.pem"};
	const struct trib_commit *c = &w->j.commit;

	for (size_t i = 0; i < c->nentries; i++)
		if (!known_name(c->entries[i].name))
			return trib_fail(err, TRIB_E_TREE, "the tree holds a file \"%s\", which no commit may have", c->entries[i].name);
	for (size_t i = 0; i < TRIB_COUNT(always); i++)
		if (!in_tree(w, always[i]))
			return trib_fail(err, TRIB_E_TREE, "the tree lacks \"%s\"", always[i]);
	return 0;
}

static int take_manifest(struct work *w, struct trib_err *err)
{
	struct trib_span text = trib_buf_span(&w->j.commit.manifest);

	trib_sha256(w->j.manifest_sha256, text);
	trib_sha256(w->j.commit_sha256, trib_buf_span(&w->j.commit.raw));
	if (memcmp(w->j.manifest_sha256, w->j.commit.c.manifest_sha256, TRIB_SHA256_LEN) != 0)
		return trib_fail(err, TRIB_E_TREE, "the manifest is not the one that the commit message names");
	return trib_manifest_parse(text, &w->j.manifest, err);
}

/* The files that this manifest's kind and counts call for, each named once with its hash, and none else. */
static int check_blob_list(struct work *w, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	bool rotate = m->kind == TRIB_KIND_ROTATE, rows = m->gz_len > 0;

	if (m->nblobs + 1 != w->j.commit.nentries)
		return trib_fail(err, TRIB_E_TREE, "the manifest names %zu files, the tree holds %zu beside it", m->nblobs,
				 w->j.commit.nentries - 1);
	for (size_t i = 0; i < m->nblobs; i++)
		if (strcmp(m->blobs[i].name, "manifest") == 0 || !in_tree(w, m->blobs[i].name))
			return trib_fail(err, TRIB_E_TREE, "the manifest names a file \"%s\" that the tree lacks", m->blobs[i].name);
	if (in_tree(w, "next.pem") != rotate)
		return trib_fail(err, TRIB_E_TREE, rotate ? "a rotate commit without next.pem" : "next.pem outside a rotate commit");
	if (in_tree(w, "changeset.gz") != rows || (m->raw_len > 0) != rows)
		return trib_fail(err, TRIB_E_TREE, "changeset.gz and the lengths in the manifest do not agree");
	if (m->raw_len > TRIB_CHANGESET_RAW_MAX || m->gz_len > TRIB_CHANGESET_GZ_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a changeset of %llu bytes is over the limit of %zu",
				 (unsigned long long)m->raw_len, TRIB_CHANGESET_RAW_MAX);
	return 0;
}

/* Reads one file of the tree and compares it with the hash in the manifest. */
static int take_blob(struct work *w, const char *name, size_t max, struct trib_buf *ret, struct trib_err *err)
{
	const struct trib_mf_blob *line = trib_manifest_blob(&w->j.manifest, name);
	uint8_t hash[TRIB_SHA256_LEN];

	trib_buf_init(ret, max);
	if (!line)
		return trib_fail(err, TRIB_E_TREE, "the manifest does not name \"%s\"", name);
	if (trib_commit_blob(w->repo, &w->j.commit, name, max, ret, err) < 0)
		return trib_ctx(err, "file %s", name);
	trib_sha256(hash, trib_buf_span(ret));
	if (memcmp(hash, line->sha256, sizeof(hash)) != 0)
		return trib_fail(err, TRIB_E_TREE, "file %s is not the one that the manifest names", name);
	return 0;
}

static int take_small_blobs(struct work *w, struct trib_err *err)
{
	if (take_blob(w, "salt", TRIB_KIB, &w->salt, err) < 0 ||
	    take_blob(w, "schema.sql", TRIB_SCHEMA_MAX, &w->j.schema_bytes, err) < 0 ||
	    take_blob(w, "signer.pem", TRIB_SIGNER_MAX, &w->signer, err) < 0)
		return -1;
	if (w->j.manifest.kind == TRIB_KIND_ROTATE && take_blob(w, "next.pem", TRIB_SIGNER_MAX, &w->next, err) < 0)
		return -1;
	if (w->salt.len != TRIB_SALT_LEN)
		return trib_fail(err, TRIB_E_FORMAT, "the salt has %zu bytes instead of %d", w->salt.len, TRIB_SALT_LEN);
	return 0;
}

/* ---- whose history, and is it its turn ---- */

static int check_identity(struct work *w, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	const struct trib_commitraw *c = &w->j.commit.c;
	char email[TRIB_NODE_MAX + TRIB_APP_MAX + sizeof("/@tributary")];

	if (strcmp(m->node, w->trust->node) != 0 || strcmp(m->app, w->trust->app) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it belongs to the history %s/%s, not to %s/%s", m->node, m->app, w->trust->node,
				 w->trust->app);
	if (strcmp(m->city, w->trust->city) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it was made for the city \"%s\", not for \"%s\"", m->city, w->trust->city);
	snprintf(email, sizeof(email), "%s/%s@tributary", m->node, m->app);
	if (!trib_span_is(c->author_email, email))
		return trib_fail(err, TRIB_E_FORMAT, "the author's address is not <%s>", email);
	if (c->time != m->captured_at)
		return trib_fail(err, TRIB_E_FORMAT, "the author's time is not the manifest's captured-at");
	return 0;
}

static int check_sequence(struct work *w, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	const struct trib_tip *t = w->tip;

	if (t->exists && t->kind == TRIB_KIND_CLOSED)
		return trib_fail(err, TRIB_E_CHAIN, "the history was closed with #%llu; nothing follows", (unsigned long long)t->seq);
	if (t->seq == UINT64_MAX || m->seq != t->seq + 1)
		return trib_fail(err, TRIB_E_CHAIN, "it has number %llu, expected is %llu", (unsigned long long)m->seq,
				 (unsigned long long)(t->seq + 1));
	if (memcmp(m->prev, t->manifest_sha256, TRIB_SHA256_LEN) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "its manifest does not name the previous manifest's hash");
	if (t->exists && m->incarnation < t->incarnation)
		return trib_fail(err, TRIB_E_CHAIN, "incarnation %llu after %llu: this node was replaced",
				 (unsigned long long)m->incarnation, (unsigned long long)t->incarnation);
	if (w->trust->incarnation != UINT64_MAX && m->incarnation != w->trust->incarnation)
		return trib_fail(err, TRIB_E_CHAIN, "incarnation %llu, enrolled is %llu", (unsigned long long)m->incarnation,
				 (unsigned long long)w->trust->incarnation);
	return 0;
}

/* Claims that no commit may make, whatever came before. */
static int check_claims(struct work *w, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	uint8_t empty[TRIB_SHA256_LEN];

	if ((m->kind == TRIB_KIND_ADOPT) != m->has_adopts)
		return trib_fail(err, TRIB_E_FORMAT, "`adopts` belongs to commits of kind adopt, and to all of them");
	if ((m->kind == TRIB_KIND_ROTATE || m->kind == TRIB_KIND_CLOSED) && m->parts != 1)
		return trib_fail(err, TRIB_E_FORMAT, "a %s commit cannot be part of a group", trib_kind_name(m->kind));
	trib_sha256(empty, trib_span("", 0));
	if (m->checkpoint_size == 0 && memcmp(m->checkpoint_root, empty, sizeof(empty)) != 0)
		return trib_fail(err, TRIB_E_FORMAT, "a checkpoint of size 0 has the hash of the empty tree, not this one");
	if (w->trust->self_signed && (m->incarnation || m->policy || m->broadcast || m->checkpoint_size))
		return trib_fail(err, TRIB_E_FORMAT, "incarnation, policy, broadcast or checkpoint is not 0 before enrolment");
	return 0;
}

static int check_group(struct work *w, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	const struct trib_tip *t = w->tip;
	bool open = trib_tip_open(t);

	if (m->part == 0 || m->part > m->parts || m->parts > TRIB_PARTS_MAX)
		return trib_fail(err, TRIB_E_FORMAT, "part %llu/%llu is impossible", (unsigned long long)m->part,
				 (unsigned long long)m->parts);
	w->continues = m->part > 1;
	w->voids = open && !w->continues;
	if (!w->continues)
		return 0;
	if (!open || m->part != t->part + 1 || m->parts != t->parts)
		return trib_fail(err, TRIB_E_CHAIN, "part %llu/%llu does not follow part %llu/%llu", (unsigned long long)m->part,
				 (unsigned long long)m->parts, (unsigned long long)t->part, (unsigned long long)t->parts);
	if (m->kind != t->kind || m->policy != t->policy || m->incarnation != t->incarnation)
		return trib_fail(err, TRIB_E_CHAIN, "part %llu/%llu has another kind, policy or incarnation than the part before: the group is void",
				 (unsigned long long)m->part, (unsigned long long)m->parts);
	return 0;
}

static int check_salt(struct work *w, struct trib_err *err)
{
	const struct trib_tip *t = w->tip;

	if (!t->exists || (w->j.manifest.kind == TRIB_KIND_RESET && !w->continues))
		return 0;
	if (memcmp(w->salt.p, w->voids ? t->group_salt : t->salt, TRIB_SALT_LEN) != 0)
		return trib_fail(err, TRIB_E_DIGEST, "the salt changed, which only a reset may do");
	return 0;
}

/* ---- who signed ---- */

/* D5.4: the same key, or the one a rotate named, or the enrolment key of a new incarnation. */
static int check_turn(struct work *w, struct trib_err *err)
{
	const struct trib_tip *t = w->tip;

	if (!t->exists || w->j.manifest.incarnation > t->incarnation)
		return 0;
	if (memcmp(w->signer_spki, t->signer_spki, TRIB_SHA256_LEN) == 0)
		return 0;
	if (t->has_next && memcmp(w->signer_spki, t->next_spki, TRIB_SHA256_LEN) == 0)
		return 0;
	return trib_fail(err, TRIB_E_CERT, "signed with another key than #%llu, without a rotate commit or a new incarnation between",
			 (unsigned long long)t->seq);
}

static struct trib_signer_cache *signers(struct work *w) { return w->trust->signers ? w->trust->signers : &w->own; }

static int take_signer(struct work *w, struct trib_err *err)
{
	const struct trib_mf_blob *line = trib_manifest_blob(&w->j.manifest, "signer.pem");
	const struct trib_signer *s;

	/* take_blob has compared the bytes with the line's hash. */
	if (!line)
		return trib_fail(err, TRIB_E_TREE, "the manifest does not name \"signer.pem\"");
	if (trib_signer_judge(signers(w), w->trust, trib_buf_span(&w->signer), line->sha256, &s, err) < 0)
		return -1;
	w->j.signer = s->id;
	w->who = s; /* until the cache is asked again */
	memcpy(w->signer_spki, s->spki, sizeof(w->signer_spki));
	return 0;
}

/* The key that may sign next is judged now, as a signer would be: a history that names a worthless one would be at its end. */
static int take_next(struct work *w, struct trib_err *err)
{
	const struct trib_mf_blob *line = trib_manifest_blob(&w->j.manifest, "next.pem");
	const struct trib_signer *s;

	if (w->j.manifest.kind != TRIB_KIND_ROTATE)
		return 0;
	if (!line)
		return trib_fail(err, TRIB_E_TREE, "the manifest does not name \"next.pem\"");
	if (trib_signer_judge(signers(w), w->trust, trib_buf_span(&w->next), line->sha256, &s, err) < 0)
		return trib_ctx(err, "next.pem");
	if (memcmp(s->spki, w->signer_spki, TRIB_SHA256_LEN) == 0)
		return trib_fail(err, TRIB_E_CERT, "next.pem holds the key that signs already");
	memcpy(w->next_spki, s->spki, sizeof(w->next_spki));
	return 0;
}

static int check_signature(struct work *w, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf payload = TRIB_BUF(TRIB_COMMIT_MAX), pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_commit *c = &w->j.commit;

	if (c->c.signature.n == 0)
		return trib_fail(err, TRIB_E_SIGNATURE, "it is not signed");
	trib_commitraw_payload(trib_buf_span(&c->raw), &c->c, &payload);
	trib_commitraw_pem(&c->c, &pem);
	if (trib_buf_check(&payload, "signed bytes", err) < 0 || trib_buf_check(&pem, "signature", err) < 0)
		return -1;
	return trib_signer_verify(signers(w), w->who, trib_buf_span(&payload), trib_buf_span(&pem), err);
}

/* ---- what changed ---- */

static int take_changes(struct work *w, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	struct trib_judged *j = &w->j;

	if (trib_schematext_parse(trib_buf_span(&j->schema_bytes), &j->schema, err) < 0)
		return trib_ctx(err, "schema.sql");
	trib_buf_init(&j->changeset, TRIB_CHANGESET_RAW_MAX);
	if (m->gz_len == 0)
		return 0;
	if (take_blob(w, "changeset.gz", TRIB_CHANGESET_GZ_MAX, &w->gz, err) < 0)
		return -1;
	if (w->gz.len != m->gz_len)
		return trib_fail(err, TRIB_E_FORMAT, "changeset.gz has %zu bytes, the manifest says %llu", w->gz.len,
				 (unsigned long long)m->gz_len);
	if (trib_gunzip(trib_buf_span(&w->gz), (size_t)m->raw_len, &j->changeset, err) < 0)
		return trib_ctx(err, "changeset.gz");
	trib_buf_release(&w->gz);
	if (trib_cs_check(trib_buf_span(&j->changeset), NULL, err) < 0)
		return trib_ctx(err, "changeset");
	return 0;
}

/* The folded name under which digest and manifest know a table of the schema. */
static int lanes_name(const struct trib_st_table *t, struct trib_buf *ret, struct trib_err *err)
{
	trib_buf_reset(ret);
	if (t->bag)
		trib_buf_puts(ret, TRIB_BAG_PREFIX);
	trib_buf_puts(ret, t->name);
	if (trib_buf_check(ret, "table name", err) < 0)
		return -1;
	trib_fold(ret->p, ret->len);
	return 0;
}

/* Starts w->lanes from the state before: exactly the tables of this schema, and those that are gone were empty. */
static int carry_lanes(struct work *w, const struct trib_lanes *base, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(2 * TRIB_NAME_MAX);
	const struct trib_schematext *s = &w->j.schema;

	for (size_t i = 0; i < s->ntables; i++) {
		if (lanes_name(&s->tables[i], &name, err) < 0 || trib_lanes_carry(&w->lanes, base, trib_buf_str(&name), err) < 0)
			return -1;
	}
	for (size_t i = 0; i < base->ntables; i++) {
		const struct trib_lanes_table *t = base->tables[i];

		if (!trib_lanes_find(&w->lanes, t->name) && (t->rows || !is_zero(t->lanes, sizeof(t->lanes))))
			return trib_fail(err, TRIB_E_DIGEST, "table %s is gone from the schema, but its %llu rows were not deleted before",
					 t->name, (unsigned long long)t->rows);
	}
	return 0;
}

static const struct trib_mf_table *counted(const struct trib_manifest *counts, const char *name)
{
	for (size_t i = 0; i < counts->ntables; i++)
		if (strcmp(counts->tables[i].name, name) == 0)
			return &counts->tables[i];
	return NULL;
}

static int check_table_line(const struct trib_mf_table *line, struct trib_lanes_table *t, const struct trib_manifest *counts,
			    struct trib_err *err)
{
	static const struct trib_mf_table none = {0};
	const struct trib_mf_table *c = counted(counts, t->name);
	uint8_t digest[TRIB_SHA256_LEN];

	if (strcmp(line->name, t->name) != 0)
		return trib_fail(err, TRIB_E_DIGEST, "the manifest counts table %s where the schema has %s", line->name, t->name);
	c = c ? c : &none;
	if (line->inserted != c->inserted || line->updated != c->updated || line->deleted != c->deleted)
		return trib_fail(err, TRIB_E_DIGEST, "table %s: the manifest counts %llu inserted, %llu updated, %llu deleted; the changeset has %llu, %llu, %llu",
				 t->name, (unsigned long long)line->inserted, (unsigned long long)line->updated,
				 (unsigned long long)line->deleted, (unsigned long long)c->inserted, (unsigned long long)c->updated,
				 (unsigned long long)c->deleted);
	if (line->rows != t->rows)
		return trib_fail(err, TRIB_E_DIGEST, "table %s: the manifest claims %llu rows, the changes lead to %llu", t->name,
				 (unsigned long long)line->rows, (unsigned long long)t->rows);
	trib_digest_table_keep(t, digest);
	if (memcmp(digest, line->digest, sizeof(digest)) != 0 || (t->rows == 0 && !is_zero(t->lanes, sizeof(t->lanes))))
		return trib_fail(err, TRIB_E_DIGEST, "table %s: the digest is not previous state + changes", t->name);
	return 0;
}

static int digest(struct work *w, int (*fn)(struct work *w, struct trib_digester *d, struct trib_err *err), struct trib_err *err)
{
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(w->salt.p, w->j.manifest.app);

	if (!d)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest");
	if (w->trust->two_threads)
		trib_digester_two(d);
	return fn(w, d, err);
}

static int digest_changes(struct work *w, struct trib_digester *d, struct trib_err *err)
{
	return trib_digest_changeset(d, &w->lanes, &w->j.schema, trib_buf_span(&w->j.changeset), &w->counts, err);
}

static int digest_moves(struct work *w, struct trib_digester *d, struct trib_err *err)
{
	return trib_digest_moves(d, &w->j.schema, trib_buf_span(&w->j.changeset), &w->moves, &w->counts, err);
}

static int take_moves(struct work *w, struct trib_err *err)
{
	if (w->trust->state_proven_later || !w->j.changeset.len)
		return 0;
	w->moved = digest(w, digest_moves, err) == 0;
	return w->moved ? 0 : -1;
}

/* Carries w->lanes over the changeset. */
static int move_lanes(struct work *w, struct trib_err *err)
{
	int done = w->moved ? trib_lanes_move(&w->lanes, &w->moves, err) : 0;

	if (done || !w->j.changeset.len)
		return done < 0 ? -1 : 0;
	trib_manifest_release(&w->counts); /* what does not fit is told by going through it */
	return digest(w, digest_changes, err);
}

static int check_lanes(struct work *w, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	uint64_t ins = 0, upd = 0, del = 0;
	uint8_t sum[TRIB_SHA256_LEN];

	if (move_lanes(w, err) < 0)
		return -1;
	if (m->ntables != w->lanes.ntables)
		return trib_fail(err, TRIB_E_DIGEST, "the manifest counts %zu tables, the schema has %zu", m->ntables, w->lanes.ntables);
	for (size_t i = 0; i < m->ntables; i++)
		if (check_table_line(&m->tables[i], w->lanes.tables[i], &w->counts, err) < 0)
			return -1;
	trib_digest_overall(&w->lanes, m->app, sum);
	if (memcmp(sum, m->digest, sizeof(sum)) != 0)
		return trib_fail(err, TRIB_E_DIGEST, "the overall digest is not that of its tables");
	trib_manifest_counts(&w->counts, &ins, &upd, &del);
	if (m->kind == TRIB_KIND_RESET && (upd || del))
		return trib_fail(err, TRIB_E_FORMAT, "a reset starts from nothing, but this one updates or deletes rows");
	return 0;
}

static int check_state(struct work *w, struct trib_err *err)
{
	static const struct trib_lanes nothing = {0};
	bool reset = w->j.manifest.kind == TRIB_KIND_RESET && !w->continues;

	if (w->trust->state_proven_later)
		return 0;
	if (carry_lanes(w, reset ? &nothing : w->voids ? &w->tip->group_base : &w->tip->lanes, err) < 0)
		return -1;
	return check_lanes(w, err);
}

/* ---- the whole ---- */

enum {
	ALONE = 1, /* needs nothing but the commit itself, and whose history it is */
	PLACE = 2, /* needs the tip before it, or the caller's word on a certificate */
	AHEAD = 4, /* only of use before the tip is known */
};

static const struct {
	int (*run)(struct work *w, struct trib_err *err);
	unsigned when;
} steps[] = {
	{take_commit, ALONE}, {check_parent, PLACE}, {check_tree_names, ALONE}, {take_manifest, ALONE}, {check_identity, ALONE}, {check_sequence, PLACE},
	{check_claims, ALONE}, {check_group, PLACE}, {check_blob_list, ALONE}, {take_small_blobs, ALONE},
	{take_signer, ALONE | PLACE}, {check_turn, PLACE}, {check_signature, ALONE}, {take_next, ALONE | PLACE},
	/* From here on the bytes are known to be the node's own: only then is anything inflated. */
	{check_salt, PLACE}, {take_changes, ALONE}, {take_moves, AHEAD}, {check_state, PLACE},
};

static int run(struct work *w, unsigned when, struct trib_err *err)
{
	for (size_t i = 0; i < TRIB_COUNT(steps); i++)
		if ((steps[i].when & when) && steps[i].run(w, err) < 0)
			return -1;
	return 0;
}

/* The tip after the judged commit. Takes w->lanes over. */
static int advance(struct work *w, struct trib_tip *ret, struct trib_err *err)
{
	const struct trib_manifest *m = &w->j.manifest;
	const struct trib_tip *from = w->tip;
	struct trib_tip t = {.exists = true, .seq = m->seq, .incarnation = m->incarnation, .part = m->part, .parts = m->parts,
			     .captured_at = m->captured_at, .kind = m->kind, .policy = m->policy, .has_next = m->kind == TRIB_KIND_ROTATE};
	bool complete = m->part == m->parts;
	const struct trib_lanes *base = complete ? &w->lanes : from->exists ? &from->group_base : &(struct trib_lanes){0};

	if (trib_lanes_copy(base, &t.group_base, err) < 0)
		return -1;
	t.lanes = w->lanes;
	w->lanes = (struct trib_lanes){0};
	memcpy(t.oid, w->j.commit.oid, sizeof(t.oid));
	memcpy(t.manifest_sha256, w->j.manifest_sha256, sizeof(t.manifest_sha256));
	memcpy(t.signer_spki, w->signer_spki, sizeof(t.signer_spki));
	memcpy(t.next_spki, w->next_spki, sizeof(t.next_spki));
	memcpy(t.salt, w->salt.p, sizeof(t.salt));
	memcpy(t.group_salt, complete || !from->exists ? t.salt : from->group_salt, sizeof(t.group_salt));
	*ret = t;
	return 0;
}

/* ---- ahead ---- */

struct trib_fore {
	struct work w;
	uint8_t oid[TRIB_OID_LEN];
	char *city, *node, *app;
	bool self_signed, state_proven_later;
};

void trib_fore_free(struct trib_fore *f)
{
	if (!f)
		return;
	work_release(&f->w);
	free(f->city);
	free(f->node);
	free(f->app);
	free(f);
}

size_t trib_fore_size(const struct trib_fore *f)
{
	const struct work *w = &f->w;

	return sizeof(*f) + w->j.commit.raw.cap + w->j.commit.manifest.cap + w->j.schema_bytes.cap + w->j.changeset.cap + w->signer.cap + w->next.cap +
	       w->moves.ntables * sizeof(struct trib_lanes_table) + (w->j.manifest.ntables + w->counts.ntables) * sizeof(struct trib_mf_table);
}

const struct trib_commitraw *trib_fore_commit(const struct trib_fore *f) { return &f->w.j.commit.c; }

int trib_judge_ahead(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], const struct trib_trust *trust, struct trib_fore **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_fore) struct trib_fore *f = calloc(1, sizeof(*f));

	if (!f || !(f->city = strdup(trust->city)) || !(f->node = strdup(trust->node)) || !(f->app = strdup(trust->app)))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	memcpy(f->oid, oid, sizeof(f->oid));
	f->self_signed = trust->self_signed;
	f->state_proven_later = trust->state_proven_later;
	f->w.repo = repo;
	f->w.oid = f->oid;
	f->w.trust = trust;
	if (run(&f->w, ALONE | AHEAD, err) < 0)
		return -1;
	*ret = f;
	f = NULL;
	return 0;
}

/* Was it looked at with these eyes? */
static bool is_of(const struct trib_fore *f, const uint8_t oid[TRIB_OID_LEN], const struct trib_trust *t)
{
	return memcmp(f->oid, oid, TRIB_OID_LEN) == 0 && f->self_signed == t->self_signed && f->state_proven_later == t->state_proven_later &&
	       strcmp(f->city, t->city) == 0 && strcmp(f->node, t->node) == 0 && strcmp(f->app, t->app) == 0;
}

int trib_judge_fore(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], const struct trib_trust *trust, struct trib_fore *fore, struct trib_tip *tip,
		    struct trib_judged *ret, struct trib_err *err)
{
	struct work w = {0};
	struct trib_tip next = {0};
	char hex[TRIB_OID_HEX + 1];
	bool known = fore && is_of(fore, oid, trust);

	if (!known && !repo)
		return trib_fail(err, TRIB_E_FAILED, "nothing is known of a commit of %s, and it cannot be read", trust->node);
	if (known) {
		w = fore->w;
		fore->w = (struct work){0};
	}
	w.repo = repo;
	w.oid = oid;
	w.trust = trust;
	w.tip = tip;
	if (run(&w, known ? PLACE : ALONE | PLACE, err) < 0 || advance(&w, &next, err) < 0) {
		trib_hex(hex, oid, TRIB_OID_LEN);
		work_release(&w);
		return trib_ctx(err, "verifying commit %.12s of %s", hex, trust->node);
	}
	trib_tip_release(tip);
	*tip = next;
	*ret = w.j;
	w.j = (struct trib_judged){0};
	work_release(&w);
	return 0;
}

int trib_judge(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], const struct trib_trust *trust, struct trib_tip *tip,
	       struct trib_judged *ret, struct trib_err *err)
{
	return trib_judge_fore(repo, oid, trust, NULL, tip, ret, err);
}
