#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/mkhistory.h"

#include "core/format/gzip.h"
#include "core/replay/signer.h"
#include "core/trust/hash.h"

#define SCHEMA "CREATE TABLE resident(id INTEGER PRIMARY KEY, name TEXT, age, photo BLOB);" \
	"CREATE TABLE note(body TEXT, n);"                                                    \
	"CREATE TABLE ledger(a TEXT, b INT, points REAL, PRIMARY KEY(b, a)) WITHOUT ROWID;"
#define ROWS "INSERT INTO resident VALUES(1,'张三',40,x'00ff'),(2,'李四',1.5,NULL),(3,NULL,-0.0,'');" \
	"INSERT INTO note VALUES('same',1),('same',1),('other',NULL);"                                    \
	"INSERT INTO ledger VALUES('x',1,10),('y',1,0.5)"

static void start(struct mk *mk, bool enrolled)
{
	mk_init(mk, enrolled, NULL);
	mk_commit(mk, SCHEMA ROWS);
	mk_commit(mk, "UPDATE resident SET age=41 WHERE id=1; DELETE FROM note WHERE rowid=1; INSERT INTO ledger VALUES('z',2,-1)");
}

static void refuse(struct mk *mk, struct mk_draft *d, enum trib_code code, const char *name)
{
	TRIB_AUTO(trib_buf) struct trib_buf before = TRIB_BUF(TRIB_LANES_MAX), after = TRIB_BUF(TRIB_LANES_MAX);
	struct trib_err err = {0};
	uint8_t oid[TRIB_OID_LEN];

	mk_seal(mk, d, oid);
	trib_tip_put(&before, &mk->tip);
	if (mk_judge(mk, oid, &err) == 0)
		fail_msg("%s: accepted", name);
	if (err.code != code)
		fail_msg("%s: code %s instead of %s: %s", name, trib_code_name(err.code), trib_code_name(code), err.msg);
	if (!strstr(err.msg, "verifying commit ") || !strstr(err.msg, mk->trust.node))
		fail_msg("%s: the message names no commit: %s", name, err.msg);
	trib_tip_put(&after, &mk->tip);
	assert_true(trib_span_eq(trib_buf_span(&before), trib_buf_span(&after)));
}

static void good_chain(bool enrolled)
{
	struct mk mk;

	start(&mk, enrolled);
	mk_commit(&mk, "SELECT 1"); /* a report */
	mk_part(&mk, "SELECT 1", TRIB_KIND_ADOPT, 1, 1);
	assert_int_equal(mk.tip.seq, 4);
	assert_int_equal(mk.tip.lanes.ntables, 4); /* three tables, one of them with a bag */
	struct trib_history h = mk_history(&mk);
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_err err;
	assert_int_equal(trib_history_walk(&h, NULL, &tip, NULL, NULL, &err), 0);
	assert_memory_equal(tip.oid, mk.tip.oid, TRIB_OID_LEN);
	mk_free(&mk);
}

static void accepts_a_good_chain_before_enrolment(void **state) { (void)state; good_chain(false); }
static void accepts_a_good_chain_of_the_city(void **state) { (void)state; good_chain(true); }

/* ---- every field of the manifest, falsified and signed again ---- */

static void f_city(struct mk_draft *d) { snprintf(d->m.city, sizeof(d->m.city), "Guiyang"); }
static void f_node(struct mk_draft *d) { snprintf(d->m.node, sizeof(d->m.node), "520303002002"); }
static void f_app(struct mk_draft *d) { snprintf(d->m.app, sizeof(d->m.app), "other"); }
static void f_incarnation_old(struct mk_draft *d) { d->m.incarnation = 0; }
static void f_seq_skip(struct mk_draft *d) { d->m.seq++; }
static void f_seq_again(struct mk_draft *d) { d->m.seq--; }
static void f_prev(struct mk_draft *d) { d->m.prev[31] ^= 1; }
static void f_kind_adopt(struct mk_draft *d) { d->m.kind = TRIB_KIND_ADOPT; }
static void f_kind_reset(struct mk_draft *d) { d->m.kind = TRIB_KIND_RESET; }
static void f_kind_rotate(struct mk_draft *d) { d->m.kind = TRIB_KIND_ROTATE; }
static void f_part(struct mk_draft *d) { d->m.part = d->m.parts = 2; }
static void f_closed_part(struct mk_draft *d) { d->m.kind = TRIB_KIND_CLOSED; d->m.parts = 2; }
static void f_adopts(struct mk_draft *d) { d->m.has_adopts = true; }
static void f_checkpoint(struct mk_draft *d) { d->m.checkpoint_root[0] ^= 1; }
static void f_blob_hash(struct mk_draft *d) { mk_rehash(d); d->m.blobs[2].sha256[0] ^= 1; }
static void f_blob_gone(struct mk_draft *d) { mk_rehash(d); d->m.nblobs--; }
static void f_blob_named(struct mk_draft *d) { mk_rehash(d); snprintf(d->m.blobs[3].name, 32, "signes.pem"); }
static void f_raw_len(struct mk_draft *d) { d->m.raw_len++; }
static void f_raw_short(struct mk_draft *d) { d->m.raw_len--; }
static void f_gz_len(struct mk_draft *d) { d->m.gz_len++; }
static void f_inserted(struct mk_draft *d) { d->m.tables[0].inserted++; }
static void f_updated(struct mk_draft *d) { d->m.tables[2].updated++; }
static void f_deleted(struct mk_draft *d) { d->m.tables[2].deleted++; }
static void f_rows(struct mk_draft *d) { d->m.tables[1].rows++; }
static void f_table_digest(struct mk_draft *d) { d->m.tables[3].digest[7] ^= 1; }
static void f_table_name(struct mk_draft *d) { d->m.tables[1].name[0] = 'm'; }
static void f_table_gone(struct mk_draft *d) { d->m.ntables--; free(d->m.tables[d->m.ntables].name); }
static void f_digest(struct mk_draft *d) { d->m.digest[0] ^= 1; }
static void f_captured_at(struct mk_draft *d) { d->commit_time = d->m.captured_at - 1; }

static void f_table_more(struct mk_draft *d)
{
	char name[] = "zz";
	struct trib_err err;

	assert_int_equal(trib_manifest_add_table(&d->m, &(struct trib_mf_table){.name = name}, &err), 0);
}

/* ---- commit, tree and signature ---- */

static void f_unsigned(struct mk_draft *d) { d->unsigned_commit = true; }
static void f_trailer(struct mk_draft *d) { d->manifest_behind = true; }
static void f_second_parent(struct mk_draft *d) { d->second_parent = true; }
static void f_no_parent(struct mk_draft *d) { d->no_parent = true; }
static void f_odd_parent(struct mk_draft *d) { d->odd_parent = true; }
static void f_email(struct mk_draft *d) { d->email = MK_NODE "/other@tributary"; }
static void f_extra(struct mk_draft *d) { d->extra_file = "extra"; }
static void f_extra_named(struct mk_draft *d) { d->extra_file = "zextra"; d->extra_named = true; }
static void f_next_outside(struct mk_draft *d) { d->extra_file = "next.pem"; d->extra_named = true; }
static void f_no_salt(struct mk_draft *d) { d->missing_file = "salt"; }
static void f_no_schema(struct mk_draft *d) { d->missing_file = "schema.sql"; }
static void f_no_signer(struct mk_draft *d) { d->missing_file = "signer.pem"; }
static void f_salt_swapped(struct mk_draft *d) { d->changed_file = "salt"; }
static void f_schema_swapped(struct mk_draft *d) { d->changed_file = "schema.sql"; }
static void f_signer_swapped(struct mk_draft *d) { d->changed_file = "signer.pem"; }
static void f_changes_swapped(struct mk_draft *d) { d->changed_file = "changeset.gz"; }
static void f_salt(struct mk_draft *d) { d->salt[0] ^= 1; }
static void f_schema_bytes(struct mk_draft *d) { trib_buf_reset(&d->schema); trib_buf_puts(&d->schema, "CREATE TABLE t(x);\n"); }
static void f_signer_bytes(struct mk_draft *d) { trib_buf_puts(&d->signer, "more\n"); }
static void f_gz_bytes(struct mk_draft *d) { d->gz.p[d->gz.len - 1] ^= 1; }
static void f_gz_cut(struct mk_draft *d) { d->m.gz_len = --d->gz.len; }

static const struct falsification {
	const char *name;
	void (*fn)(struct mk_draft *d);
	enum trib_code code;
} falsifications[] = {
#define F(name, code) {#name, f_##name, TRIB_E_##code}
	F(city, CHAIN), F(node, CHAIN), F(app, CHAIN), F(incarnation_old, CHAIN), F(seq_skip, CHAIN), F(seq_again, CHAIN), F(prev, CHAIN),
	F(kind_adopt, FORMAT), F(kind_reset, DIGEST), F(kind_rotate, TREE), F(part, CHAIN), F(closed_part, FORMAT), F(adopts, FORMAT),
	F(checkpoint, FORMAT), F(blob_hash, TREE), F(blob_gone, TREE), F(blob_named, TREE), F(raw_len, FORMAT), F(raw_short, FORMAT),
	F(gz_len, FORMAT), F(inserted, DIGEST), F(updated, DIGEST), F(deleted, DIGEST), F(rows, DIGEST), F(table_digest, DIGEST),
	F(table_name, DIGEST), F(table_gone, DIGEST), F(table_more, DIGEST), F(digest, DIGEST), F(captured_at, FORMAT),
	F(unsigned, SIGNATURE), F(trailer, TREE), F(second_parent, CHAIN), F(no_parent, CHAIN),
	F(odd_parent, CHAIN), F(email, FORMAT), F(extra, TREE), F(extra_named, TREE), F(next_outside, TREE), F(no_salt, TREE),
	F(no_schema, TREE), F(no_signer, TREE), F(salt_swapped, TREE), F(schema_swapped, TREE), F(signer_swapped, TREE),
	F(changes_swapped, TREE), F(salt, DIGEST), F(schema_bytes, FORMAT), F(signer_bytes, LIMIT), F(gz_bytes, FORMAT), F(gz_cut, FORMAT),
#undef F
};

static void refuses_every_falsification(void **state)
{
	struct mk mk;

	(void)state;
	start(&mk, true);
	mk_keep(&mk);
	for (size_t i = 0; i < TRIB_COUNT(falsifications); i++) {
		struct mk_draft d;

		mk_draft(&mk, "UPDATE resident SET name='王五' WHERE id=3; INSERT INTO note VALUES('new',2); DELETE FROM ledger WHERE a='x'",
			 TRIB_KIND_CHANGE, 1, 1, &d);
		falsifications[i].fn(&d);
		refuse(&mk, &d, falsifications[i].code, falsifications[i].name);
		mk_draft_release(&d);
		mk_back(&mk);
	}
	/* The same commit unfalsified is accepted: each refusal above had its own cause. */
	mk_commit(&mk, "UPDATE resident SET name='王五' WHERE id=3; INSERT INTO note VALUES('new',2); DELETE FROM ledger WHERE a='x'");
	mk_free(&mk);
}

/* The same fields, changed by somebody who has no key: tree and trailer fit the new manifest, the signature is of the old one. */
static void refuses_every_falsification_after_signing(void **state)
{
	struct mk mk;

	(void)state;
	start(&mk, true);
	mk_keep(&mk);
	for (size_t i = 0; falsifications[i].fn != f_unsigned; i++) {
		const struct falsification *f = &falsifications[i];
		bool late = f->code == TRIB_E_DIGEST || f->fn == f_raw_len || f->fn == f_raw_short || f->fn == f_gz_len || f->fn == f_captured_at;
		struct mk_draft d;

		mk_draft(&mk, "UPDATE resident SET name='王五' WHERE id=3; INSERT INTO note VALUES('new',2); DELETE FROM ledger WHERE a='x'",
			 TRIB_KIND_CHANGE, 1, 1, &d);
		mk_rehash(&d);
		trib_manifest_put(&d.signed_manifest, &d.m);
		if (f->fn == f_captured_at)
			d.m.broadcast = 7; /* a field that only the signature protects */
		else
			f->fn(&d);
		refuse(&mk, &d, late ? TRIB_E_SIGNATURE : f->code, f->name);
		mk_draft_release(&d);
		mk_back(&mk);
	}
	mk_free(&mk);
}

static void refuses_claims_before_enrolment(void **state)
{
	struct mk mk;

	(void)state;
	start(&mk, false);
	for (int i = 0; i < 4; i++) {
		struct mk_draft d;

		mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
		d.m.incarnation = i == 0;
		d.m.policy = i == 1;
		d.m.broadcast = i == 2;
		d.m.checkpoint_size = i == 3;
		refuse(&mk, &d, TRIB_E_FORMAT, "claim before enrolment");
		mk_draft_release(&d);
	}
	mk_free(&mk);
}

/* ---- changesets ---- */

static void refuses_changes_that_are_not_the_schemas(void **state)
{
	static const uint8_t pk[] = {1, 0, 0, 0};
	struct trib_value row[4] = {{.type = TRIB_INT, {.i = 9}}, {.type = TRIB_NULL}, {.type = TRIB_NULL}, {.type = TRIB_NULL}};
	struct mk mk;

	(void)state;
	start(&mk, true);
	for (int i = 0; i < 3; i++) {
		struct mk_draft d;
		struct trib_err err;

		mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
		trib_cs_put_table(&d.raw, trib_span_str(i == 0 ? "elsewhere" : "resident"), i == 1 ? 3 : 4, pk);
		if (i == 2)
			trib_cs_put_delete(&d.raw, 4, row);
		trib_cs_put_insert(&d.raw, i == 1 ? 3 : 4, row);
		if (i == 2)
			trib_cs_put_delete(&d.raw, 4, row); /* not in canonical order */
		assert_int_equal(trib_gzip(trib_buf_span(&d.raw), &d.gz, &err), 0);
		d.m.raw_len = d.raw.len;
		d.m.gz_len = d.gz.len;
		refuse(&mk, &d, i == 2 ? TRIB_E_FORMAT : TRIB_E_SCHEMA, "changeset");
		mk_draft_release(&d);
	}
	mk_free(&mk);
}

static void a_dropped_table_must_be_empty(void **state)
{
	struct mk mk;
	struct mk_draft d;

	(void)state;
	start(&mk, true);
	mk_keep(&mk);
	mk_draft(&mk, "DROP TABLE ledger", TRIB_KIND_CHANGE, 1, 1, &d);
	/* The difference lists no deletes, for the table is gone: exactly what is not allowed. */
	refuse(&mk, &d, TRIB_E_DIGEST, "dropped with rows");
	mk_draft_release(&d);
	mk_back(&mk);
	mk_part(&mk, "DELETE FROM ledger", TRIB_KIND_CHANGE, 1, 2);
	mk_part(&mk, "DROP TABLE ledger", TRIB_KIND_CHANGE, 2, 2);
	assert_null(trib_lanes_find(&mk.tip.lanes, "ledger"));
	mk_free(&mk);
}

/* ---- who signs ---- */

static void refuses_another_key(void **state)
{
	struct mk mk;
	struct mk_draft d;
	struct trib_err err;

	(void)state;
	start(&mk, true);
	/* signer.pem of the node, the signature by somebody else */
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	d.key = mk.other_key;
	d.cert = mk.other_cert;
	refuse(&mk, &d, TRIB_E_SIGNATURE, "signed by another key");
	/* a good certificate of this node for another key, without rotate */
	d.m.nblobs = 0;
	trib_buf_reset(&d.signer);
	assert_int_equal(trib_cert_pem(mk.other_cert, &d.signer, &err), 0);
	assert_int_equal(trib_cert_pem(mk.issuing, &d.signer, &err), 0);
	refuse(&mk, &d, TRIB_E_CERT, "another key without rotate");
	/* no issuing certificate */
	d.m.nblobs = 0;
	d.key = mk.key;
	d.cert = mk.cert;
	trib_buf_reset(&d.signer);
	assert_int_equal(trib_cert_pem(mk.cert, &d.signer, &err), 0);
	refuse(&mk, &d, TRIB_E_CERT, "no issuing certificate");
	mk_draft_release(&d);
	/* the whole chain is of a CA that is not ours */
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	mk.trust.root = mk.foreign_root;
	refuse(&mk, &d, TRIB_E_CERT, "unknown CA");
	mk.trust.root = mk.root;
	/* out of its validity */
	mk.trust.at = MK_TIME + INT64_C(86400) * 3650;
	refuse(&mk, &d, TRIB_E_CERT, "expired");
	mk.trust.at = MK_TIME - 86400 * 30;
	refuse(&mk, &d, TRIB_E_CERT, "not yet valid");
	mk_draft_release(&d);
	mk_free(&mk);
}

static int revoked(void *ctx, const struct trib_cert_id *id, struct trib_err *err)
{
	assert_ptr_equal(ctx, &mk_free);
	return trib_fail(err, TRIB_E_CERT, "certificate %s is revoked", id->serial);
}

static int role_hub(void *ctx, const struct trib_cert_id *id, struct trib_err *err)
{
	(void)ctx;
	(void)id;
	(void)err;
	return 0;
}

/* What is remembered of a signer holds for its bytes, its root and its time only. */
static void remembers_signers_safely(void **state)
{
	struct trib_signer_cache cache = {0};
	struct mk mk;
	struct mk_draft d;

	(void)state;
	start(&mk, true);
	mk.trust.signers = &cache;
	mk_commit(&mk, "SELECT 1");
	mk_commit(&mk, "SELECT 1");
	assert_non_null(cache.slots);
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	mk.trust.at = MK_TIME + INT64_C(86400) * 3650;
	refuse(&mk, &d, TRIB_E_CERT, "expired");
	mk.trust.at = MK_TIME + 100;
	mk_commit(&mk, "SELECT 1");
	mk_draft_release(&d);
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	mk.trust.root = mk.foreign_root;
	refuse(&mk, &d, TRIB_E_CERT, "another root");
	mk.trust.root = mk.root;
	mk_commit(&mk, "SELECT 1");
	mk_draft_release(&d);
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	d.key = mk.other_key;
	d.cert = mk.other_cert;
	refuse(&mk, &d, TRIB_E_SIGNATURE, "signed by another key");
	d.key = mk.key;
	d.cert = mk.cert;
	mk.trust.cert_ok = revoked;
	mk.trust.ctx = (void *)&mk_free;
	refuse(&mk, &d, TRIB_E_CERT, "revoked since");
	mk.trust.cert_ok = NULL;
	mk_draft_release(&d);
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	snprintf(d.m.node, sizeof(d.m.node), "520303002002");
	d.email = "520303002002/" MK_APP "@tributary";
	mk.trust.node = "520303002002";
	refuse(&mk, &d, TRIB_E_CERT, "another node with the same signer.pem");
	mk_draft_release(&d);
	trib_signer_cache_release(&cache);
	mk_free(&mk);
}

static void asks_whether_the_certificate_is_known(void **state)
{
	struct mk mk;
	struct mk_draft d;

	(void)state;
	start(&mk, true);
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	mk.trust.cert_ok = revoked;
	mk.trust.ctx = (void *)&mk_free;
	refuse(&mk, &d, TRIB_E_CERT, "revoked");
	mk.trust.cert_ok = role_hub;
	mk_draft_release(&d);
	mk_commit(&mk, "SELECT 1");
	mk_free(&mk);
}

static void refuses_certificates_of_others(void **state)
{
	static const struct { enum trib_role role; const char *id; } who[] = {
		{TRIB_ROLE_HUB, "hub"}, {TRIB_ROLE_NODE, "520303002002/" MK_APP}, {TRIB_ROLE_NODE, MK_NODE "/other"}, {TRIB_ROLE_AUDITOR, "anna"},
	};
	struct mk mk;

	(void)state;
	start(&mk, true);
	for (size_t i = 0; i < TRIB_COUNT(who); i++) {
		struct trib_cert_spec spec = {.role = who[i].role, .id = who[i].id, .subject = "x", .use = TRIB_USE_SIGN,
					      .not_before = MK_TIME - 10, .not_after = MK_TIME + 86400};
		struct trib_cert *cert = NULL;
		struct trib_err err;
		struct mk_draft d;

		assert_int_equal(trib_cert_issue(&spec, NULL, mk.key, mk.issuing_key, mk.issuing, &cert, &err), 0);
		mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
		trib_buf_reset(&d.signer);
		assert_int_equal(trib_cert_pem(cert, &d.signer, &err), 0);
		assert_int_equal(trib_cert_pem(mk.issuing, &d.signer, &err), 0);
		d.cert = cert;
		refuse(&mk, &d, TRIB_E_CERT, who[i].id);
		mk_draft_release(&d);
		trib_cert_free(cert);
	}
	mk_free(&mk);
}

static void use_other_key(struct mk *mk)
{
	struct trib_key *k = mk->key;
	struct trib_cert *c = mk->cert;

	mk->key = mk->other_key;
	mk->cert = mk->other_cert;
	mk->other_key = k;
	mk->other_cert = c;
}

static void a_rotate_hands_over(void **state)
{
	struct mk mk;
	struct mk_draft d;

	(void)state;
	start(&mk, true);
	mk_part(&mk, "SELECT 1", TRIB_KIND_ROTATE, 1, 1);
	use_other_key(&mk);
	mk_commit(&mk, "DELETE FROM note");
	/* The old key's time is over. */
	use_other_key(&mk);
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	refuse(&mk, &d, TRIB_E_CERT, "the old key after its successor signed");
	mk_draft_release(&d);
	mk_free(&mk);
}

static int only_this(void *ctx, const struct trib_cert_id *id, struct trib_err *err)
{
	struct trib_cert_id good;
	assert_int_equal(trib_cert_identity(ctx, &good, err), 0);
	return strcmp(good.serial, id->serial) == 0 ? 0 : trib_fail(err, TRIB_E_CERT, "certificate %s is revoked", id->serial);
}

/* The key that shall sign next must be one that can: else the history would be at its end. */
static void a_rotate_names_a_signer(void **state)
{
	struct mk mk;
	struct mk_draft d;
	struct trib_err err;
	const struct trib_cert *names[] = {NULL, NULL, NULL};

	(void)state;
	start(&mk, true);
	names[0] = mk.cert;    /* the key that signs already */
	names[1] = mk.issuing; /* no end certificate */
	for (size_t i = 0; i < 3; i++) {
		mk_draft(&mk, "SELECT 1", TRIB_KIND_ROTATE, 1, 1, &d);
		trib_buf_reset(&d.next);
		if (names[i])
			assert_int_equal(trib_cert_pem(names[i], &d.next, &err), 0);
		else
			assert_int_equal(trib_cert_pem(mk.other_cert, &d.next, &err), 0); /* without its issuing certificate */
		if (names[i])
			assert_int_equal(trib_cert_pem(mk.issuing, &d.next, &err), 0);
		refuse(&mk, &d, TRIB_E_CERT, "a worthless next.pem");
		mk_draft_release(&d);
	}
	mk.trust.cert_ok = only_this;
	mk.trust.ctx = mk.cert;
	mk_draft(&mk, "SELECT 1", TRIB_KIND_ROTATE, 1, 1, &d);
	refuse(&mk, &d, TRIB_E_CERT, "the next certificate is revoked");
	mk_draft_release(&d);
	mk.trust.cert_ok = NULL;
	mk_part(&mk, "SELECT 1", TRIB_KIND_ROTATE, 1, 1);
	mk_free(&mk);
}

static void a_new_incarnation_brings_its_key(void **state)
{
	struct mk mk;
	struct mk_draft d;

	(void)state;
	start(&mk, true);
	use_other_key(&mk);
	mk.incarnation = 2;
	mk.trust.incarnation = 3;
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	refuse(&mk, &d, TRIB_E_CHAIN, "not the enrolled incarnation");
	mk_draft_release(&d);
	mk.trust.incarnation = 2;
	mk_commit(&mk, "SELECT 1");
	mk.trust.incarnation = UINT64_MAX;
	mk.incarnation = 1;
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	refuse(&mk, &d, TRIB_E_CHAIN, "the replaced machine");
	mk_draft_release(&d);
	mk_free(&mk);
}

static void nothing_follows_closed(void **state)
{
	struct mk mk;
	struct mk_draft d;

	(void)state;
	start(&mk, true);
	mk_part(&mk, "SELECT 1", TRIB_KIND_CLOSED, 1, 1);
	mk_draft(&mk, "SELECT 1", TRIB_KIND_CHANGE, 1, 1, &d);
	refuse(&mk, &d, TRIB_E_CHAIN, "after closed");
	mk_draft_release(&d);
	mk_free(&mk);
}

/* ---- groups ---- */

static void a_group_goes_part_by_part(void **state)
{
	struct mk mk;
	struct mk_draft d;

	(void)state;
	start(&mk, true);
	mk_part(&mk, "INSERT INTO resident VALUES(10,'a',1,NULL)", TRIB_KIND_CHANGE, 1, 3);
	assert_true(trib_tip_open(&mk.tip));
	mk_keep(&mk);
	for (int i = 0; i < 6; i++) {
		static const uint64_t part[6][2] = {{3, 3}, {2, 4}, {2, 2}, {2, 3}, {2, 3}, {2, 3}};

		mk_draft(&mk, "INSERT INTO resident VALUES(11,'b',1,NULL)", i == 3 ? TRIB_KIND_ADOPT : TRIB_KIND_CHANGE, part[i][0], part[i][1], &d);
		d.m.policy = i == 4;
		d.m.incarnation += i == 5;
		refuse(&mk, &d, TRIB_E_CHAIN, "a part that does not follow");
		mk_draft_release(&d);
		mk_back(&mk);
	}
	mk_part(&mk, "INSERT INTO resident VALUES(11,'b',1,NULL)", TRIB_KIND_CHANGE, 2, 3);
	mk_part(&mk, "INSERT INTO resident VALUES(12,'c',1,NULL)", TRIB_KIND_CHANGE, 3, 3);
	assert_false(trib_tip_open(&mk.tip));
	assert_int_equal(trib_lanes_find(&mk.tip.lanes, "resident")->rows, 6);
	mk_free(&mk);
}

static void an_open_group_is_voided(void **state)
{
	static const struct { enum trib_kind kind; uint64_t parts, policy; } by[] = {
		{TRIB_KIND_CHANGE, 1, 0}, {TRIB_KIND_CHANGE, 2, 0}, {TRIB_KIND_CHANGE, 1, 9}, {TRIB_KIND_ROTATE, 1, 0}, {TRIB_KIND_RESET, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < TRIB_COUNT(by); i++) {
		struct mk mk;
		struct mk_draft d;
		struct trib_err err;
		uint8_t oid[TRIB_OID_LEN];

		start(&mk, true);
		mk_keep(&mk);
		mk_part(&mk, "DELETE FROM resident", TRIB_KIND_CHANGE, 1, 3);
		mk_part(&mk, "DELETE FROM note", TRIB_KIND_CHANGE, 2, 3);
		/* Continuing from the voided parts is false; from the group base it is right. */
		mk_draft(&mk, "INSERT INTO resident VALUES(20,'n',1,NULL)", by[i].kind, 1, by[i].parts, &d);
		if (by[i].kind != TRIB_KIND_RESET)
			refuse(&mk, &d, TRIB_E_DIGEST, "continues a voided group");
		mk_draft_release(&d);
		mk_back(&mk);
		mk_draft(&mk, "INSERT INTO resident VALUES(20,'n',1,NULL)", by[i].kind, 1, by[i].parts, &d);
		d.m.policy = by[i].policy;
		mk_seal(&mk, &d, oid);
		mk_draft_release(&d);
		if (mk_judge(&mk, oid, &err) < 0)
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(trib_lanes_find(&mk.tip.lanes, "resident")->rows, 4);
		assert_int_equal(trib_tip_open(&mk.tip), by[i].parts == 2);
		mk_free(&mk);
	}
}

static void only_a_reset_changes_the_salt(void **state)
{
	struct mk mk;
	struct mk_draft d;
	uint8_t old[TRIB_SALT_LEN];

	(void)state;
	start(&mk, true);
	memcpy(old, mk.salt, sizeof(old));
	mk_keep(&mk);
	mk.salt[3] ^= 1;
	/* A reset in two parts, given up: the old salt holds again. */
	mk_part(&mk, "SELECT 1", TRIB_KIND_RESET, 1, 2);
	assert_memory_equal(mk.tip.salt, mk.salt, sizeof(old));
	mk_back(&mk);
	mk_draft(&mk, "DELETE FROM note", TRIB_KIND_CHANGE, 1, 1, &d);
	refuse(&mk, &d, TRIB_E_DIGEST, "the voided reset's salt");
	mk_draft_release(&d);
	mk_back(&mk);
	memcpy(mk.salt, old, sizeof(old));
	mk_commit(&mk, "DELETE FROM note");
	mk.salt[3] ^= 1;
	mk_part(&mk, "DELETE FROM resident WHERE id=1", TRIB_KIND_RESET, 1, 1);
	mk_commit(&mk, "DELETE FROM resident WHERE id=2");
	assert_int_equal(trib_lanes_find(&mk.tip.lanes, "resident")->rows, 1);
	mk_free(&mk);
}

/* ---- the tip as bytes ---- */

static void the_tip_round_trips(void **state)
{
	struct mk mk;

	(void)state;
	start(&mk, true);
	for (int open = 0; open < 2; open++) {
		TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(TRIB_LANES_MAX), b = TRIB_BUF(TRIB_LANES_MAX);
		TRIB_AUTO(trib_tip) struct trib_tip t = {0};
		struct trib_tip bad = {0};
		struct trib_err err;

		if (open)
			mk_part(&mk, "DELETE FROM resident", TRIB_KIND_CHANGE, 1, 2);
		trib_tip_put(&a, &mk.tip);
		assert_int_equal(trib_tip_parse(trib_buf_span(&a), &t, &err), 0);
		trib_tip_put(&b, &t);
		assert_true(trib_span_eq(trib_buf_span(&a), trib_buf_span(&b)));
		assert_int_equal(trib_lanes_find(&t.group_base, "resident")->rows, 3);
		for (size_t n = 0; n < a.len; n += n < 300 ? 1 : 997)
			assert_int_equal(trib_tip_parse(trib_span(a.p, n), &bad, &err), -1);
		trib_buf_putc(&a, 0);
		assert_int_equal(trib_tip_parse(trib_buf_span(&a), &bad, &err), -1);
	}
	mk_free(&mk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_good_chain_before_enrolment),
		cmocka_unit_test(accepts_a_good_chain_of_the_city),
		cmocka_unit_test(refuses_every_falsification),
		cmocka_unit_test(refuses_every_falsification_after_signing),
		cmocka_unit_test(refuses_claims_before_enrolment),
		cmocka_unit_test(refuses_changes_that_are_not_the_schemas),
		cmocka_unit_test(a_dropped_table_must_be_empty),
		cmocka_unit_test(refuses_another_key),
		cmocka_unit_test(remembers_signers_safely),
		cmocka_unit_test(asks_whether_the_certificate_is_known),
		cmocka_unit_test(refuses_certificates_of_others),
		cmocka_unit_test(a_rotate_hands_over),
		cmocka_unit_test(a_rotate_names_a_signer),
		cmocka_unit_test(a_new_incarnation_brings_its_key),
		cmocka_unit_test(nothing_follows_closed),
		cmocka_unit_test(a_group_goes_part_by_part),
		cmocka_unit_test(an_open_group_is_voided),
		cmocka_unit_test(only_a_reset_changes_the_salt),
		cmocka_unit_test(the_tip_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
