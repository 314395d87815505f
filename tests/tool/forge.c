/* forge.c: makes one wrong commit on top of an office's history, with the office's own keys, as a thief of its disk could.
 *
 * forge STATE KIND [ARG...]: moves refs/heads/main of STATE/repo.git to the forged commit; the agent's own files stay behind, or with ARG `own` go with it. Everything that
 * KIND does not name is right: manifest, hashes, digest arithmetic, signature. */
#include <err.h>

#include "agent/capture/pending.h"
#include "agent/state.h"
#include "core/base/clock.h"
#include "core/format/gzip.h"
#include "core/trust/hash.h"

struct forge {
	struct trib_state s;
	struct trib_manifest m;
	struct trib_buf schema, raw, gz, signer, manifest;
	const struct trib_key *key;
	const struct trib_cert *cert;
	struct trib_cert *made;
	struct trib_key *made_key;
	const char *kind, *arg[3];
};

static struct trib_err e;
#define MUST(call)                                                 \
	do {                                                       \
		if (call)                                          \
			errx(9, "forge: %s: %s", #call, e.msg);    \
	} while (0)

static bool is(const struct forge *f, const char *kind) { return strcmp(f->kind, kind) == 0; }

/* An update of demand d1 whose old title is not what the city has: right arithmetic, wrong history. */
static void wrong_old_value(struct forge *f)
{
	static const uint8_t pk[] = {1, 0, 0, 0};
	struct trib_value old[4] = {{.type = TRIB_TEXT, .s = trib_span_str("d1")}, {.type = TRIB_TEXT, .s = trib_span_str("never there")},
				    {.type = TRIB_TEXT, .s = trib_span_str("reported")}, {.type = TRIB_INT, .i = 1}};
	struct trib_value new_row[4];
	memcpy(new_row, old, sizeof(old));
	new_row[1].s = trib_span_str("forged");
	trib_cs_put_table(&f->raw, trib_span_str("demand"), 4, pk);
	if (!trib_cs_put_update(&f->raw, 4, pk, old, new_row))
		errx(9, "forge: no update");
}

static void good_insert(struct forge *f)
{
	static const uint8_t pk[] = {1, 0, 0, 0};
	struct trib_value row[4] = {{.type = TRIB_TEXT, .s = trib_span_str("forged")}, {.type = TRIB_TEXT, .s = trib_span_str("x")},
				    {.type = TRIB_TEXT, .s = trib_span_str("reported")}, {.type = TRIB_NULL}};
	trib_cs_put_table(&f->raw, trib_span_str("demand"), 4, pk);
	trib_cs_put_insert(&f->raw, 4, row);
}

/* Counts and digests as an honest agent would compute them from the changeset. */
static void fill_tables(struct forge *f)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext st = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes lanes = {0};
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(f->s.salt, f->s.node.app);
	struct trib_manifest counts = {0};
	MUST(trib_schematext_parse(trib_buf_span(&f->schema), &st, &e));
	MUST(trib_lanes_copy(&f->s.tip.lanes, &lanes, &e));
	MUST(trib_digest_changeset(d, &lanes, &st, trib_buf_span(&f->raw), &counts, &e));
	for (size_t i = 0; i < f->m.ntables; i++) {
		struct trib_mf_table *t = &f->m.tables[i];
		const struct trib_lanes_table *l = trib_lanes_find(&lanes, t->name);
		t->inserted = t->updated = t->deleted = 0;
		for (size_t k = 0; k < counts.ntables; k++)
			if (strcmp(counts.tables[k].name, t->name) == 0) {
				t->inserted = counts.tables[k].inserted;
				t->updated = counts.tables[k].updated;
				t->deleted = counts.tables[k].deleted;
			}
		if (l) {
			t->rows = l->rows;
			trib_digest_table(l, t->digest);
		}
	}
	trib_digest_overall(&lanes, f->s.node.app, f->m.digest);
	trib_manifest_release(&counts);
}

static void spoil_changeset(struct forge *f)
{
	if (is(f, "changeset-cut") && f->raw.len > 3)
		f->raw.len -= 3;
	if (is(f, "changeset-flip"))
		f->raw.p[f->raw.len / 2] ^= 0x10;
}

static void set_blob(struct forge *f, const char *name, struct trib_span bytes)
{
	uint8_t sha[TRIB_SHA256_LEN];
	trib_sha256(sha, bytes);
	MUST(trib_manifest_add_blob(&f->m, name, sha, &e));
}

static void load(struct forge *f)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	MUST(trib_state_keys(&f->s, &e));
	MUST(trib_commit_read(f->s.repo, f->s.tip.oid, &c, &e));
	MUST(trib_manifest_parse(trib_buf_span(&c.manifest), &f->m, &e));
	MUST(trib_commit_blob(f->s.repo, &c, "schema.sql", TRIB_SCHEMA_MAX, &f->schema, &e));
	f->key = f->s.sign_key;
	f->cert = f->s.sign_cert;
}

/* A city that nobody knows, with a leaf for this very office. */
static void unknown_ca(struct forge *f)
{
	struct trib_key *root_key, *issuing_key;
	struct trib_cert *root, *issuing;
	char id[160];
	int64_t now = trib_now();
	(void)snprintf(id, sizeof(id), "%s/%s", f->s.node.node, f->s.node.app);
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = id, .subject = f->s.node.name, .use = TRIB_USE_SIGN, .not_before = now - 60, .not_after = now + 86400};
	MUST(trib_key_make(TRIB_KEY_P256, &root_key, &e));
	MUST(trib_key_make(TRIB_KEY_P256, &issuing_key, &e));
	MUST(trib_key_make(TRIB_KEY_P256, &f->made_key, &e));
	MUST(trib_cert_make_root(root_key, f->s.node.city, now, &root, &e));
	MUST(trib_cert_make_issuing(issuing_key, f->s.node.city, root_key, root, now, &issuing, &e));
	MUST(trib_cert_issue(&spec, NULL, f->made_key, issuing_key, issuing, &f->made, &e));
	f->key = f->made_key;
	f->cert = f->made;
	MUST(trib_cert_pem(f->made, &f->signer, &e));
	MUST(trib_cert_pem(issuing, &f->signer, &e));
	trib_key_free(root_key);
	trib_key_free(issuing_key);
	trib_cert_free(root);
	trib_cert_free(issuing);
}

static void other_office(struct forge *f)
{
	static struct trib_state other;
	MUST(trib_state_open(f->arg[0], false, &other, &e));
	MUST(trib_state_keys(&other, &e));
	f->key = other.sign_key;
	f->cert = other.sign_cert;
	MUST(trib_state_signer_pem(&other, &f->signer, &e));
}

static void choose_signer(struct forge *f)
{
	if (is(f, "unknown-ca"))
		unknown_ca(f);
	else if (is(f, "other-office"))
		other_office(f);
	else
		MUST(trib_state_signer_pem(&f->s, &f->signer, &e));
}

static void fill(struct forge *f)
{
	if (is(f, "old-value"))
		wrong_old_value(f);
	else if (!is(f, "report"))
		good_insert(f);
	fill_tables(f);
	spoil_changeset(f);
	if (f->raw.len)
		MUST(trib_gzip(trib_buf_span(&f->raw), &f->gz, &e));
	if (is(f, "bomb")) { /* 100 MB of zeros that call themselves as long as the real changeset */
		struct trib_buf zeros = TRIB_BUF(100 * TRIB_MIB);
		memset(trib_buf_grow(&zeros, 100 * TRIB_MIB), 0, 100 * TRIB_MIB);
		trib_buf_reset(&f->gz);
		MUST(trib_gzip(trib_buf_span(&zeros), &f->gz, &e));
		trib_buf_release(&zeros);
	}
	f->m.raw_len = f->raw.len;
	f->m.gz_len = f->gz.len;
	f->m.seq++;
	f->m.kind = TRIB_KIND_CHANGE;
	f->m.part = f->m.parts = 1;
	f->m.captured_at = trib_now();
	memcpy(f->m.prev, f->s.tip.manifest_sha256, TRIB_SHA256_LEN);
	f->m.nblobs = 0;
	if (f->gz.len)
		set_blob(f, "changeset.gz", trib_buf_span(&f->gz));
	set_blob(f, "salt", trib_span(f->s.salt, TRIB_SALT_LEN));
	set_blob(f, "schema.sql", trib_buf_span(&f->schema));
	set_blob(f, "signer.pem", trib_buf_span(&f->signer));
	trib_manifest_put(&f->manifest, &f->m);
}

/* `field KEY VALUE`: the first line of that key says something else; the manifest is then hashed and signed as usual. */
static void falsify(struct forge *f)
{
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_MANIFEST_MAX);
	size_t klen = strlen(f->arg[0]);
	const char *p = trib_buf_str(&f->manifest), *end = p + f->manifest.len;
	bool done = false;
	while (p < end) {
		size_t n = strcspn(p, "\n") + 1;
		if (!done && strncmp(p, f->arg[0], klen) == 0 && p[klen] == ' ') {
			trib_buf_printf(&out, "%s %s\n", f->arg[0], f->arg[1]);
			done = true;
		} else {
			trib_buf_put(&out, p, n);
		}
		p += n;
	}
	if (!done)
		errx(9, "forge: no line %s", f->arg[0]);
	trib_buf_reset(&f->manifest);
	trib_buf_put_span(&f->manifest, trib_buf_span(&out));
}

static void write_tree(struct forge *f, uint8_t tree[TRIB_OID_LEN])
{
	struct trib_blob_in b[8];
	size_t n = 0;
	if (f->gz.len)
		b[n++] = (struct trib_blob_in){"changeset.gz", trib_buf_span(&f->gz)};
	if (is(f, "extra-file"))
		b[n++] = (struct trib_blob_in){"extra", trib_span_str("x")};
	b[n++] = (struct trib_blob_in){"manifest", trib_buf_span(&f->manifest)};
	if (!is(f, "missing-file"))
		b[n++] = (struct trib_blob_in){"salt", trib_span(f->s.salt, TRIB_SALT_LEN)};
	b[n++] = (struct trib_blob_in){"schema.sql", is(f, "changed-file") ? trib_span_str("-- other\n") : trib_buf_span(&f->schema)};
	b[n++] = (struct trib_blob_in){"signer.pem", trib_buf_span(&f->signer)};
	MUST(trib_repo_write_tree(f->s.repo, b, n, tree, &e));
}

static void seal(struct forge *f, uint8_t oid[TRIB_OID_LEN])
{
	uint8_t tree[TRIB_OID_LEN], sha[TRIB_SHA256_LEN];
	TRIB_AUTO(trib_buf) struct trib_buf payload = TRIB_BUF(TRIB_COMMIT_MAX), pem = TRIB_BUF(TRIB_SIG_MAX), raw = TRIB_BUF(TRIB_COMMIT_MAX);
	char email[160];
	write_tree(f, tree);
	trib_sha256(sha, trib_buf_span(&f->manifest));
	(void)snprintf(email, sizeof(email), "%s/%s@tributary", f->s.node.node, f->s.node.app);
	trib_commitraw_put(&payload, tree, f->s.tip.oid, f->s.node.name, email, f->m.captured_at, "forged", "", sha);
	if (is(f, "second-parent")) {
		char line[64], hex[TRIB_OID_HEX + 1];
		TRIB_AUTO(trib_buf) struct trib_buf two = TRIB_BUF(TRIB_COMMIT_MAX);
		const char *at = strstr(trib_buf_str(&payload), "author ");
		trib_hex(hex, f->s.tip.oid, TRIB_OID_LEN);
		(void)snprintf(line, sizeof(line), "parent %s\n", hex);
		trib_buf_put(&two, payload.p, (size_t)(at - (const char *)payload.p));
		trib_buf_puts(&two, line);
		trib_buf_puts(&two, at);
		trib_buf_reset(&payload);
		trib_buf_put_span(&payload, trib_buf_span(&two));
	}
	if (is(f, "unsigned")) {
		MUST(trib_repo_write(f->s.repo, TRIB_OBJ_COMMIT, trib_buf_span(&payload), oid, &e));
		return;
	}
	MUST(trib_sign(trib_buf_span(&payload), f->key, f->cert, trib_now(), &pem, &e));
	if (is(f, "signature-flip")) {
		uint8_t *at = pem.p + pem.len / 2;
		*at = *at == 'A' ? 'B' : 'A';
	}
	trib_commitraw_sign(&raw, trib_buf_span(&payload), trib_buf_span(&pem));
	MUST(trib_repo_write(f->s.repo, TRIB_OBJ_COMMIT, trib_buf_span(&raw), oid, &e));
}

/* The folder itself stands at it afterwards, as if its agent had made it. */
static void go_on(struct forge *f, const uint8_t oid[TRIB_OID_LEN])
{
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_delta none = {0};
	struct trib_trust trust = trib_state_trust(&f->s);
	MUST(trib_tip_copy(&f->s.tip, &tip, &e));
	MUST(trib_judge(f->s.repo, oid, &trust, &tip, &j, &e));
	MUST(trib_pending_commit(&f->s, &none, f->s.tip.oid, oid, &tip, &e));
	MUST(trib_pending_recover(&f->s, &e));
}

int main(int argc, char **argv)
{
	struct forge f = {.schema = TRIB_BUF(TRIB_SCHEMA_MAX), .raw = TRIB_BUF(TRIB_MIB), .gz = TRIB_BUF(TRIB_MIB), .signer = TRIB_BUF(TRIB_SIGNER_MAX),
			  .manifest = TRIB_BUF(TRIB_MANIFEST_MAX)};
	uint8_t oid[TRIB_OID_LEN];
	char hex[TRIB_OID_HEX + 1];
	if (argc < 3)
		errx(2, "usage: forge STATE KIND [ARG...]");
	f.kind = argv[2];
	for (int i = 3; i < argc && i < 6; i++)
		f.arg[i - 3] = argv[i];
	MUST(trib_repo_lib_init(&e));
	MUST(trib_state_open(argv[1], true, &f.s, &e));
	load(&f);
	choose_signer(&f);
	fill(&f);
	if (is(&f, "field"))
		falsify(&f);
	seal(&f, oid);
	if (f.arg[0] && strcmp(f.arg[0], "own") == 0)
		go_on(&f, oid);
	else
		MUST(trib_repo_ref_set(f.s.repo, "refs/heads/main", oid, &e));
	trib_hex(hex, oid, TRIB_OID_LEN);
	puts(hex);
	trib_manifest_release(&f.m);
	trib_buf_release(&f.schema);
	trib_buf_release(&f.raw);
	trib_buf_release(&f.gz);
	trib_buf_release(&f.signer);
	trib_buf_release(&f.manifest);
	trib_cert_free(f.made);
	trib_key_free(f.made_key);
	trib_state_close(&f.s);
	return 0;
}
