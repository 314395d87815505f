#include <pthread.h>

#include "agent/outbox.h"

#include "agent/outbox_impl.h"
#include "agent/private.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/format/gzip.h"
#include "core/trust/epoch.h"
#include "core/trust/hash.h"
#include "core/trust/merkle.h"

#define SUBJECT_MAX (4 * TRIB_KIB)
#define SUBJECT_TABLES 6 /* named in a subject; the others are counted */
#define GZ_ROOM (TRIB_CHANGESET_GZ_MAX + TRIB_MIB)

/* ---- the maker ---- */

/* Said before anything is written: it ends once in ten years, and sooner where a clock runs away. */
static int can_sign(const struct trib_state *s, int64_t now, struct trib_err *err)
{
	struct trib_cert_id id;
	char until[17], here[17];
	if (trib_cert_identity(s->sign_cert, &id, err))
		return -1;
	if (!s->node.enrolled || now <= id.not_after)
		return 0;
	trib_time_city(until, id.not_after);
	trib_time_city(here, now);
	return trib_fail(err, TRIB_E_CERT, _("this office's signing certificate ended at %s, and this computer's clock says %s: look at the clock first; when it is right, ask the city for a "
					     "replacement slip (tributary-hub node replace). Nothing is lost: what is in the database is captured afterwards"), until, here);
}

int trib_maker_init(struct trib_maker *k, struct trib_state *s, const struct trib_tip *from, struct trib_err *err)
{
	*k = (struct trib_maker){.s = s, .signer = TRIB_BUF(TRIB_SIGNER_MAX), .now = trib_now(), .repo = s->repo, .salt = s->salt, .idle = "schema changed"};
	k->captured_at = k->now;
	if (trib_state_signer_pem(s, &k->signer, err) || can_sign(s, k->now, err) || trib_tip_copy(from, &k->tip, err))
		return -1;
	k->key = s->sign_key;
	k->cert = s->sign_cert;
	return trib_buf_check(&k->signer, "signer.pem", err);
}

int trib_maker_init_private(struct trib_maker *k, struct trib_state *s, struct trib_err *err)
{
	*k = (struct trib_maker){.s = s, .signer = TRIB_BUF(TRIB_SIGNER_MAX), .now = trib_now(), .private = true, .idle = "schema changed"};
	k->captured_at = k->now;
	if (trib_private_ready(s, err) || trib_cert_pem(s->private_cert, &k->signer, err) || trib_tip_copy(&s->private_tip, &k->tip, err))
		return -1;
	k->repo = s->private_repo;
	k->key = s->private_key;
	k->cert = s->private_cert;
	k->salt = s->private_tip.salt;
	return trib_buf_check(&k->signer, "signer.pem", err);
}

void trib_maker_release(struct trib_maker *k)
{
	trib_tip_release(&k->tip);
	trib_buf_release(&k->signer);
}

static void fill_identity(const struct trib_maker *k, struct trib_manifest *m)
{
	const struct trib_node *n = &k->s->node;
	(void)snprintf(m->city, sizeof(m->city), "%s", k->private ? "-" : n->city);
	(void)snprintf(m->node, sizeof(m->node), "%s", n->node);
	(void)snprintf(m->app, sizeof(m->app), "%s", n->app);
	m->incarnation = k->private ? 0 : n->incarnation;
	m->policy = k->private ? 0 : n->policy;
	m->seq = k->tip.seq + 1;
	memcpy(m->prev, k->tip.manifest_sha256, sizeof(m->prev)); /* zeros before the first */
}

/* A name for people: control bytes have no place in a line. */
static void put_name(struct trib_buf *b, const char *folded)
{
	const char *p = trib_is_bag(trib_span_str(folded)) ? folded + strlen(TRIB_BAG_PREFIX) : folded;
	for (; *p; p++)
		trib_buf_putc(b, (uint8_t)*p < ' ' || *p == 0x7f ? '?' : (uint8_t)*p);
}

static void put_changed_tables(struct trib_buf *b, const struct trib_manifest *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->ntables; i++) {
		const struct trib_mf_table *t = &m->tables[i];
		if (!(t->inserted || t->updated || t->deleted))
			continue;
		if (++n > SUBJECT_TABLES)
			continue;
		trib_buf_puts(b, n == 1 ? " in " : ", ");
		put_name(b, t->name);
	}
	if (n > SUBJECT_TABLES)
		trib_buf_printf(b, " and %zu more", n - SUBJECT_TABLES);
}

/* "NAME 2026-11-23: 12 added, 3 changed, 1 removed in demand, resident (part 2/7)". English in every office: it is signed, and read by
 * scripts of the city. */
static void put_subject(struct trib_buf *b, const struct trib_node *node, const struct trib_manifest *m, const char *idle)
{
	uint64_t n[3];
	static const char *const what[] = {"added", "changed", "removed"};
	char day[TRIB_TIME_LEN + 1];
	bool any = false;
	trib_manifest_counts(m, &n[0], &n[1], &n[2]);
	trib_time_text(day, m->captured_at + TRIB_CITY_ZONE_S);
	put_name(b, node->name);
	trib_buf_printf(b, " %.10s: ", day);
	for (size_t i = 0; i < TRIB_COUNT(n); i++) {
		if (!n[i])
			continue;
		trib_buf_printf(b, "%s%llu %s", any ? ", " : "", (unsigned long long)n[i], what[i]);
		any = true;
	}
	if (any)
		put_changed_tables(b, m);
	else
		trib_buf_puts(b, idle);
	if (m->parts > 1)
		trib_buf_printf(b, " (part %llu/%llu)", (unsigned long long)m->part, (unsigned long long)m->parts);
}

static int add_blob(struct trib_manifest *m, struct trib_blob_in *blobs, size_t *n, const char *name, struct trib_span bytes, struct trib_err *err)
{
	uint8_t hash[TRIB_SHA256_LEN];
	blobs[(*n)++] = (struct trib_blob_in){name, bytes};
	trib_sha256(hash, bytes);
	return trib_manifest_add_blob(m, name, hash, err);
}

/* Tree of the draft; appends the manifest's bytes to *ret_text. */
static int write_tree(struct trib_maker *k, struct trib_draft *d, struct trib_buf *ret_text, uint8_t ret_tree[TRIB_OID_LEN], struct trib_err *err)
{
	struct trib_blob_in blobs[TRIB_TREE_MAX];
	size_t n = 0, at = 0;
	d->m.nblobs = 0;
	if (d->gz.n && add_blob(&d->m, blobs, &n, "changeset.gz", d->gz, err))
		return -1;
	at = n++; /* manifest */
	if (d->next.n && add_blob(&d->m, blobs, &n, "next.pem", d->next, err))
		return -1;
	if (add_blob(&d->m, blobs, &n, "salt", trib_span(k->salt, TRIB_SALT_LEN), err) ||
	    add_blob(&d->m, blobs, &n, "schema.sql", d->schema, err) || add_blob(&d->m, blobs, &n, "signer.pem", trib_buf_span(&k->signer), err))
		return -1;
	trib_manifest_sort(&d->m);
	trib_manifest_put(ret_text, &d->m);
	if (trib_buf_check(ret_text, "manifest", err))
		return -1;
	blobs[at] = (struct trib_blob_in){"manifest", trib_buf_span(ret_text)};
	return trib_repo_write_tree(k->repo, blobs, n, ret_tree, err);
}

static int write_commit(struct trib_maker *k, const struct trib_draft *d, const uint8_t tree[TRIB_OID_LEN], struct trib_span manifest,
			uint8_t ret_oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf subject = TRIB_BUF(SUBJECT_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf payload = TRIB_BUF(TRIB_COMMIT_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIG_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	char email[TRIB_NODE_MAX + TRIB_APP_MAX + sizeof("/@tributary")];
	uint8_t hash[TRIB_SHA256_LEN];
	struct trib_state *s = k->s;
	(void)snprintf(email, sizeof(email), "%s/%s@tributary", s->node.node, s->node.app);
	put_subject(&subject, &s->node, &d->m, d->idle);
	trib_sha256(hash, manifest);
	if (trib_buf_check(&subject, "subject of the commit", err))
		return -1;
	trib_commitraw_put(&payload, tree, k->tip.exists ? k->tip.oid : NULL, s->node.name, email, d->m.captured_at, trib_buf_str(&subject), d->text, hash);
	if (trib_buf_check(&payload, "commit", err) || trib_sign(trib_buf_span(&payload), k->key, k->cert, k->now, &pem, err))
		return -1;
	trib_commitraw_sign(&raw, trib_buf_span(&payload), trib_buf_span(&pem));
	if (trib_buf_check(&raw, "commit", err))
		return -1;
	return trib_repo_write(k->repo, TRIB_OBJ_COMMIT, trib_buf_span(&raw), ret_oid, err);
}

int trib_maker_write(struct trib_maker *k, struct trib_draft *d, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_MANIFEST_MAX);
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	uint8_t tree[TRIB_OID_LEN], oid[TRIB_OID_LEN];
	struct trib_trust trust = k->private ? trib_private_trust(k->s) : trib_state_trust(k->s);
	fill_identity(k, &d->m);
	trib_repo_group(k->repo, &k->s->syncs); /* their folders wait for the commit point */
	int rc = write_tree(k, d, &text, tree, err) || write_commit(k, d, tree, trib_buf_span(&text), oid, err) || trib_syncs_files(&k->s->syncs, err) ? -1 : 0;
	trib_repo_group(k->repo, NULL);
	if (rc)
		trib_syncs_release(&k->s->syncs);
	if (rc)
		return trib_ctx(err, "writing commit #%llu", (unsigned long long)d->m.seq);
	trib_crash_point("objects-written");
	if (trib_judge(k->repo, oid, &trust, &k->tip, &j, err))
		return trib_ctx(err, "commit #%llu is not valid and was dropped (the history is as it was)", (unsigned long long)d->m.seq);
	trib_crash_point("commit-judged");
	return 0;
}

int trib_maker_finish_both(struct trib_maker *k, struct trib_maker *p, struct trib_delta *d, struct trib_err *err)
{
	const struct trib_tip *old = &k->s->tip, *old_private = &k->s->private_tip;
	struct trib_pending_private moves = {.old_tip = old_private->exists ? old_private->oid : NULL, .tip = p ? &p->tip : NULL};
	bool moved = p && p->tip.seq > old_private->seq;
	trib_crash_point("group-judged");
	if (trib_pending_commit_both(k->s, d, old->exists ? old->oid : NULL, k->tip.oid, &k->tip, moved ? &moves : NULL, err))
		return -1;
	return trib_pending_recover(k->s, err);
}

int trib_maker_finish(struct trib_maker *k, struct trib_delta *d, struct trib_err *err) { return trib_maker_finish_both(k, NULL, d, err); }

/* ---- what a manifest says of its content ---- */

static int put_checkpoint(const struct trib_maker *k, struct trib_manifest *m, struct trib_err *err)
{
	const struct trib_state *s = k->s;
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "checkpoint");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	m->checkpoint_size = 0;
	trib_merkle_empty(m->checkpoint_root);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (k->private || !s->node.enrolled || !trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &note, err) || trib_checkpoint_verify_upto(trib_buf_span(&note), s->node.origin, s->node.log_key, &cp, err))
		return trib_ctx(err, "the kept checkpoint %s", path);
	m->checkpoint_size = cp.size;
	memcpy(m->checkpoint_root, cp.root, sizeof(m->checkpoint_root));
	return 0;
}

static int lanes_name(const struct trib_st_table *t, struct trib_buf *ret, struct trib_err *err)
{
	trib_buf_reset(ret);
	if (t->bag)
		trib_buf_puts(ret, TRIB_BAG_PREFIX);
	trib_buf_puts(ret, t->name);
	if (trib_buf_check(ret, "table name", err))
		return -1;
	trib_fold(ret->p, ret->len);
	return 0;
}

/* The lanes that a commit under this schema starts from: one entry for each of its tables; those that vanished were emptied before. */
static int carry_lanes(const struct trib_schematext *schema, const struct trib_lanes *base, struct trib_lanes *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(2 * TRIB_NAME_MAX);
	for (size_t i = 0; i < schema->ntables; i++) {
		if (lanes_name(&schema->tables[i], &name, err) || trib_lanes_carry(ret, base, trib_buf_str(&name), err))
			return -1;
	}
	return 0;
}

static int put_table_lines(struct trib_manifest *m, const struct trib_lanes *lanes, const struct trib_manifest *counts, struct trib_err *err)
{
	for (size_t i = 0; i < lanes->ntables; i++) {
		struct trib_lanes_table *t = lanes->tables[i];
		struct trib_mf_table line = {.name = t->name, .rows = t->rows};
		for (size_t j = 0; j < counts->ntables; j++) {
			const struct trib_mf_table *c = &counts->tables[j];
			if (strcmp(c->name, t->name) != 0)
				continue;
			line.inserted = c->inserted;
			line.updated = c->updated;
			line.deleted = c->deleted;
		}
		trib_digest_table_keep(t, line.digest);
		if (trib_manifest_add_table(m, &line, err))
			return -1;
	}
	return 0;
}

/* The lanes after a part (its changeset may be empty) under its schema, and its counts. `salt` NULL: numbers of rows are enough. */
static int next_lanes(const uint8_t *salt, const char *app, const struct trib_lanes *before, struct trib_span schema, struct trib_span changeset,
		      struct trib_lanes *ret, struct trib_manifest *counts, struct trib_err *err)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext st = {0};
	if (trib_schematext_parse(schema, &st, err) || carry_lanes(&st, before, ret, err))
		return -1;
	if (!changeset.n)
		return 0;
	if (!salt)
		return trib_digest_count(ret, &st, changeset, counts, err);
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, app);
	if (!d)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest");
	trib_digester_two(d);
	return trib_digest_changeset(d, ret, &st, changeset, counts, err);
}

/* Table lines and digests after `changeset` (may be empty) under `schema`. */
static int put_state(struct trib_maker *k, struct trib_span schema, struct trib_span changeset, struct trib_manifest *m, struct trib_err *err)
{
	static const struct trib_lanes nothing = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes lanes = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest counts = {0};
	const char *app = k->s->node.app;
	bool from_zero = m->kind == TRIB_KIND_RESET && m->part == 1;
	if (next_lanes(k->salt, app, from_zero ? &nothing : &k->tip.lanes, schema, changeset, &lanes, &counts, err))
		return -1;
	trib_digest_overall(&lanes, app, m->digest);
	return put_table_lines(m, &lanes, &counts, err);
}

/* What one half says of the file beside its rows. */
struct half {
	const struct trib_part *parts; size_t nparts;
	const struct trib_mf_sequence *sequences; size_t nsequences;
	const struct trib_mf_renamed *renamed; size_t nrenamed;
	const struct trib_mf_left_out *left_out; size_t nleft_out;
	const char *text;
};

static int put_lines(struct trib_manifest *m, const struct half *c, struct trib_err *err)
{
	for (size_t i = 0; i < c->nsequences; i++)
		if (trib_manifest_add_sequence(m, c->sequences[i].table, c->sequences[i].value, err))
			return -1;
	for (size_t i = 0; i < c->nrenamed; i++)
		if (trib_manifest_add_renamed(m, c->renamed[i].table, c->renamed[i].from, c->renamed[i].to, err))
			return -1;
	for (size_t i = 0; i < c->nleft_out; i++)
		if (trib_manifest_add_left_out(m, c->left_out[i].name, c->left_out[i].reason, c->left_out[i].count, err))
			return -1;
	return 0;
}

/* ---- commit ---- */

/* A changeset is compressed beside the digests: either takes as long. */
struct squeeze {
	struct trib_span raw;
	struct trib_buf gz;
	pthread_t thread;
	bool threaded;
	int rc;
	struct trib_err err;
};

#define SQUEEZE_ALONE_MAX (64 * TRIB_KIB) /* below, a thread costs more than it saves */

static void *squeeze(void *arg)
{
	struct squeeze *q = arg;
	q->rc = trib_gzip(q->raw, &q->gz, &q->err) || trib_buf_check(&q->gz, "compressed changeset", &q->err) ? -1 : 0;
	return NULL;
}

static void squeeze_start(struct squeeze *q)
{
	q->threaded = q->raw.n > SQUEEZE_ALONE_MAX && pthread_create(&q->thread, NULL, squeeze, q) == 0;
	if (!q->threaded && q->raw.n)
		(void)squeeze(q);
}

static int squeeze_end(struct squeeze *q, struct trib_err *err)
{
	if (q->threaded)
		pthread_join(q->thread, NULL);
	if (q->rc)
		*err = q->err;
	return q->rc;
}

static int fill_part(struct trib_maker *k, const struct half *c, size_t i, struct squeeze *q, struct trib_draft *d, struct trib_err *err)
{
	struct trib_manifest *m = &d->m;
	squeeze_start(q);
	int rc = put_checkpoint(k, m, err) || put_state(k, d->schema, q->raw, m, err) ? -1 : 0;
	if (!rc && i + 1 == c->nparts) /* what stands when the group is complete */
		rc = put_lines(m, c, err);
	struct trib_err late;
	if (squeeze_end(q, &late) && !rc) {
		*err = late;
		rc = -1;
	}
	return rc;
}

static int commit_part(struct trib_maker *k, const struct half *c, size_t i, struct trib_draft *d, struct trib_err *err)
{
	const struct trib_part *p = &c->parts[i];
	struct squeeze q = {.raw = trib_buf_span(&p->changeset), .gz = TRIB_BUF(GZ_ROOM)};
	struct trib_manifest *m = &d->m;
	m->kind = k->kind;
	m->part = i + 1;
	m->parts = c->nparts;
	m->captured_at = k->captured_at;
	d->schema = trib_buf_span(&p->schema);
	d->text = c->text ? c->text : "";
	d->idle = k->idle;
	int rc = fill_part(k, c, i, &q, d, err);
	if (!rc && q.raw.n) {
		m->raw_len = q.raw.n;
		m->gz_len = q.gz.len;
		d->gz = trib_buf_span(&q.gz);
	}
	if (!rc)
		rc = trib_maker_write(k, d, err);
	d->gz = trib_span(NULL, 0);
	trib_buf_release(&q.gz);
	return rc;
}

/* Adds the changes to *n[0..2]. */
static int commit_half(struct trib_maker *k, const struct half *c, uint64_t *n[3], struct trib_err *err)
{
	if (c->nparts == 0 || c->nparts > TRIB_PARTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a capture of %zu parts cannot be committed (1 to %d)", c->nparts, TRIB_PARTS_MAX);
	for (size_t i = 0; i < c->nparts; i++) {
		struct trib_draft d = {0};
		uint64_t counts[3];
		int rc = commit_part(k, c, i, &d, err);
		trib_manifest_counts(&d.m, &counts[0], &counts[1], &counts[2]);
		trib_manifest_release(&d.m);
		if (rc)
			return -1;
		for (size_t j = 0; j < TRIB_COUNT(counts); j++)
			*n[j] += counts[j];
	}
	return 0;
}

int trib_maker_parts(struct trib_maker *k, const struct trib_capture *c, const char *text, struct trib_committed *done, struct trib_err *err)
{
	uint64_t *n[] = {&done->inserted, &done->updated, &done->deleted};
	const struct half half = {c->parts, c->nparts, c->sequences, c->nsequences, c->renamed, c->nrenamed, c->left_out, c->nleft_out, text};
	done->ncommits = c->nparts;
	return commit_half(k, &half, n, err);
}

int trib_maker_hidden(struct trib_maker *p, const struct trib_capture *c, uint64_t public_seq, struct trib_committed *done, struct trib_err *err)
{
	const struct trib_hidden *h = &c->hidden;
	uint64_t *n[] = {&done->private_rows, &done->private_rows, &done->private_rows};
	char text[48];
	uint64_t base;
	if (trib_private_base(p->s, &base, err))
		return -1;
	trib_private_text(text, public_seq - base);
	const struct half half = {h->parts, h->nparts, h->sequences, h->nsequences, NULL, 0, h->left_out, h->nleft_out, text};
	done->nprivate = h->nparts;
	return commit_half(p, &half, n, err) ? trib_ctx(err, "private.git") : 0;
}

static int add_counts(struct trib_manifest *sum, const struct trib_manifest *part, struct trib_err *err)
{
	for (size_t i = 0; i < part->ntables; i++) {
		size_t j = 0;
		while (j < sum->ntables && strcmp(sum->tables[j].name, part->tables[i].name) != 0)
			j++;
		if (j == sum->ntables && trib_manifest_add_table(sum, &(struct trib_mf_table){.name = part->tables[i].name}, err))
			return -1;
		sum->tables[j].inserted += part->tables[i].inserted;
		sum->tables[j].updated += part->tables[i].updated;
		sum->tables[j].deleted += part->tables[i].deleted;
	}
	return 0;
}

/* From what the brake saw. */
static int preview_moved(const struct trib_capture *c, struct trib_manifest *ret, struct trib_err *err)
{
	for (size_t i = 0; i < c->nmoved; i++) {
		const struct trib_moved *m = &c->moved[i];
		if (m->rows > INT64_MAX)
			return trib_fail(err, TRIB_E_DIGEST, "table %s: more rows removed than are there", m->table);
		struct trib_mf_table t = {.name = (char *)m->table, .rows = m->rows, .inserted = m->inserted, .updated = m->updated, .deleted = m->deleted};
		if (trib_manifest_add_table(ret, &t, err))
			return -1;
	}
	return 0;
}

static int preview_parts(const struct trib_state *s, const struct trib_capture *c, struct trib_manifest *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_lanes) struct trib_lanes lanes = {0};
	if (trib_lanes_copy(&s->tip.lanes, &lanes, err))
		return -1;
	for (size_t i = 0; i < c->nparts; i++) {
		TRIB_AUTO(trib_manifest) struct trib_manifest counts = {0};
		struct trib_lanes next = {0};
		if (next_lanes(NULL, NULL, &lanes, trib_buf_span(&c->parts[i].schema), trib_buf_span(&c->parts[i].changeset), &next, &counts, err) ||
		    add_counts(ret, &counts, err)) {
			trib_lanes_release(&next);
			return -1;
		}
		trib_lanes_release(&lanes);
		lanes = next;
	}
	for (size_t i = 0; i < ret->ntables; i++) {
		const struct trib_lanes_table *t = trib_lanes_find(&lanes, ret->tables[i].name);
		ret->tables[i].rows = t ? t->rows : 0;
	}
	return 0;
}

int trib_outbox_preview(struct trib_state *s, const struct trib_capture *c, struct trib_manifest *ret, uint64_t *ret_private, struct trib_err *err)
{
	uint64_t hidden = 0;
	if (c->nmoved ? preview_moved(c, ret, err) : preview_parts(s, c, ret, err))
		return -1;
	for (size_t i = 0; i < c->hidden.nparts; i++) {
		uint64_t n = 0;
		if (c->hidden.parts[i].changeset.len && trib_cs_check(trib_buf_span(&c->hidden.parts[i].changeset), &n, err))
			return -1;
		hidden += n;
	}
	*ret_private = hidden;
	return 0;
}

int trib_outbox_commit(struct trib_state *s, struct trib_capture *c, const char *text, struct trib_committed *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_maker) struct trib_maker k = {0}, p = {0};
	struct trib_committed done = {.first_seq = s->tip.seq + 1};
	/* Before the commit point: a list without them would make them public in the next capture. */
	if (trib_private_keep_names(s, &c->hidden.followed, err) || trib_maker_init(&k, s, &s->tip, err))
		return -1;
	if ((c->changed || !c->hidden.changed) && trib_maker_parts(&k, c, text, &done, err))
		return -1;
	if (c->hidden.changed && (trib_maker_init_private(&p, s, err) || trib_maker_hidden(&p, c, k.tip.seq, &done, err)))
		return -1;
	if (trib_maker_finish_both(&k, c->hidden.changed ? &p : NULL, &c->delta, err))
		return -1;
	done.last_seq = s->tip.seq;
	memcpy(done.oid, s->tip.oid, sizeof(done.oid));
	*ret = done;
	return 0;
}

int trib_outbox_reset(struct trib_state *s, struct trib_capture *c, struct trib_committed *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_maker) struct trib_maker k = {0};
	struct trib_committed done = {.first_seq = s->tip.seq + 1};
	if (trib_maker_init(&k, s, &s->tip, err))
		return -1;
	k.kind = TRIB_KIND_RESET;
	if (trib_maker_parts(&k, c, "", &done, err) || trib_maker_finish(&k, &c->delta, err))
		return trib_ctx(err, "the reset (nothing was changed)");
	done.last_seq = s->tip.seq;
	memcpy(done.oid, s->tip.oid, sizeof(done.oid));
	*ret = done;
	return 0;
}

/* ---- report ---- */

/* A report repeats what the last commit said of the whole file: a restore of this moment reads it here. */
static int repeat_lines(struct trib_manifest *m, const struct trib_manifest *last, struct trib_err *err)
{
	for (size_t i = 0; i < last->nsequences; i++)
		if (trib_manifest_add_sequence(m, last->sequences[i].table, last->sequences[i].value, err))
			return -1;
	for (size_t i = 0; i < last->nleft_out; i++)
		if (trib_manifest_add_left_out(m, last->left_out[i].name, last->left_out[i].reason, last->left_out[i].count, err))
			return -1;
	return 0;
}

/* `next`: signer.pem of the key that may sign next; NULL for a plain report. */
static int fill_report(struct trib_maker *k, const struct trib_capture *braked, const struct trib_buf *next, struct trib_manifest *m, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit last = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest was = {0};
	TRIB_AUTO(trib_buf) struct trib_buf schema = TRIB_BUF(TRIB_SCHEMA_MAX);
	if (trib_commit_read(k->s->repo, k->tip.oid, &last, err) || trib_manifest_parse(trib_buf_span(&last.manifest), &was, err) ||
	    trib_commit_blob(k->s->repo, &last, "schema.sql", TRIB_SCHEMA_MAX, &schema, err))
		return -1;
	m->kind = next ? TRIB_KIND_ROTATE : TRIB_KIND_CHANGE;
	m->part = m->parts = 1;
	m->captured_at = k->now;
	if (put_checkpoint(k, m, err) || put_state(k, trib_buf_span(&schema), trib_span(NULL, 0), m, err) || repeat_lines(m, &was, err))
		return -1;
	for (size_t i = 0; braked && i < braked->nbraked; i++)
		if (trib_manifest_add_braked(m, braked->braked[i].table, braked->braked[i].lost, err))
			return -1;
	struct trib_draft d = {.m = *m, .schema = trib_buf_span(&schema), .text = "",
			       .next = next ? trib_buf_span(next) : (struct trib_span){0},
			       .idle = next ? TRIB_ROTATE_WORDS : m->nbraked ? "held back by the brake" : "nothing changed"};
	int rc = trib_maker_write(k, &d, err);
	*m = d.m; /* the caller releases it */
	return rc;
}

static int make_report(struct trib_maker *k, const struct trib_capture *braked, const struct trib_buf *next, struct trib_err *err)
{
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	return fill_report(k, braked, next, &m, err);
}

static int start_report(struct trib_maker *k, struct trib_state *s, struct trib_err *err)
{
	if (!s->tip.exists)
		return trib_fail(err, TRIB_E_NOT_INIT, "there is no commit yet that a report could follow; try: tributary-agent commit");
	return trib_maker_init(k, s, &s->tip, err);
}

int trib_outbox_report(struct trib_state *s, const struct trib_capture *braked, struct trib_committed *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_maker) struct trib_maker k = {0};
	TRIB_AUTO(trib_delta) struct trib_delta none = {0};
	if (start_report(&k, s, err) || make_report(&k, braked, NULL, err) || trib_maker_finish(&k, &none, err))
		return -1;
	*ret = (struct trib_committed){.ncommits = 1, .first_seq = s->tip.seq, .last_seq = s->tip.seq};
	memcpy(ret->oid, s->tip.oid, sizeof(ret->oid));
	return 0;
}

/* The old key may sign until the new one has: with the report, that time is over as soon as the hub holds both. */
int trib_outbox_rotate(struct trib_state *s, const struct trib_buf *next, struct trib_committed *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_maker) struct trib_maker k = {0};
	TRIB_AUTO(trib_delta) struct trib_delta none = {0};
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_cert) struct trib_cert *cert = NULL;
	if (start_report(&k, s, err) || make_report(&k, NULL, next, err) || trib_state_next_keys(s, &key, &cert, err))
		return -1;
	k.key = key;
	k.cert = cert;
	trib_buf_reset(&k.signer);
	trib_buf_put_span(&k.signer, trib_buf_span(next));
	if (trib_buf_check(&k.signer, "signer.pem", err) || make_report(&k, NULL, NULL, err) || trib_maker_finish(&k, &none, err))
		return -1;
	*ret = (struct trib_committed){.ncommits = 2, .first_seq = s->tip.seq - 1, .last_seq = s->tip.seq};
	memcpy(ret->oid, s->tip.oid, sizeof(ret->oid));
	return 0;
}
