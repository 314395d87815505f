/* trust.c: what a signature and the log cost, for bench/audit. Rates are per second of CPU, but for appending, which waits for the disk.
 *
 *   trust verify MS              one round of each: "cms RATE raw RATE": verifications of a commit's CMS, and of a bare P-256 signature of the same key
 *   trust append HUB LEAVES BATCH  "rate RATE": appends to the log in the hub's folder (make a copy: it stays longer), BATCH leaves to a durable
 *                                transaction and a signed checkpoint
 *   trust proof HUB              "size LEAVES hashes MOST bytes MEAN rate RATE": inclusion proofs at the log's size, as a receipt holds them */
#include <err.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/trust/hash.h"
#include "core/trust/ossl.h"
#include "core/trust/sign.h"
#include "hub/chain.h"

static struct trib_err e;
#define MUST(call)                                                 \
	do {                                                       \
		if (call)                                          \
			errx(1, "trust: %s: %s", #call, e.msg);    \
	} while (0)

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double cpu(void) { return seconds(CLOCK_PROCESS_CPUTIME_ID); }

/* ---- verify ---- */

static const char payload[] = "tree 9daeafb9864cf43055ae93beb0afd6c7d144bfa4\nparent 3b18e512dba79e4c8300dd08aeb37f8e728b8dad\n"
			      "author 红花岗区某社区 <520303002001/community@tributary> 1795000000 +0000\n"
			      "committer 红花岗区某社区 <520303002001/community@tributary> 1795000000 +0000\n\n"
			      "红花岗区某社区 2026-11-26: 20 added in visit\n\n"
			      "Tributary-Manifest: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n";

static double cms_rate(const struct trib_key *key, const struct trib_cert *cert, double until)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIG_MAX);
	unsigned n = 0;
	MUST(trib_sign(trib_span_str(payload), key, cert, trib_now(), &pem, &e));
	double t0 = cpu(), t;
	while ((t = cpu() - t0) < until)
		for (int i = 0; i < 100; i++, n++)
			MUST(trib_sign_verify(trib_span_str(payload), trib_buf_span(&pem), cert, &e));
	return n / t;
}

static double raw_rate(const struct trib_key *key, double until)
{
	uint8_t hash[TRIB_SHA256_LEN], sig[128];
	size_t len = sizeof(sig);
	unsigned n = 0;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(trib_key_pkey(key), NULL);
	trib_sha256(hash, trib_span_str(payload));
	if (!c || EVP_PKEY_sign_init(c) != 1 || EVP_PKEY_sign(c, sig, &len, hash, sizeof(hash)) != 1 || EVP_PKEY_verify_init(c) != 1)
		errx(1, "trust: signing");
	double t0 = cpu(), t;
	while ((t = cpu() - t0) < until)
		for (int i = 0; i < 100; i++, n++) {
			trib_sha256(hash, trib_span_str(payload));
			if (EVP_PKEY_verify(c, sig, len, hash, sizeof(hash)) != 1)
				errx(1, "trust: verifying");
		}
	EVP_PKEY_CTX_free(c);
	return n / t;
}

static void verify(double ms)
{
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_cert) struct trib_cert *cert = NULL;
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = "520303002001/community", .subject = "bench", .use = TRIB_USE_SIGN,
				      .not_before = trib_now() - 3600, .not_after = trib_now() + 86400};
	MUST(trib_key_make(TRIB_KEY_P256, &key, &e));
	MUST(trib_cert_make_self(&spec, key, &cert, &e));
	double cms = cms_rate(key, cert, ms / 1e3);
	printf("cms %.0f raw %.0f\n", cms, raw_rate(key, ms / 1e3));
}

/* ---- log ---- */

static void append(const char *dir, unsigned leaves, unsigned batch)
{
	TRIB_AUTO(trib_hub) struct trib_hub hub = {0};
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_hub_signer) struct trib_hub_signer signer = {0};
	struct trib_leaf leaf = {.kind = TRIB_LEAF_HELD, .time = trib_now(), .node = "520303002001", .app = "bench", .part = 1, .parts = 1};
	MUST(trib_hub_open(dir, &hub, &e));
	MUST(trib_hub_signer_load(&hub, &signer, &e));
	MUST(trib_hubdb_create(&hub, &db, &e));
	double t0 = seconds(CLOCK_MONOTONIC);
	while (leaf.seq < leaves) {
		TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
		uint64_t size;
		MUST(trib_hubdb_begin(&db, &e));
		for (unsigned i = 0; i < batch && leaf.seq < leaves; i++) {
			leaf.seq++;
			trib_sha256(leaf.manifest, trib_span(&leaf.seq, sizeof(leaf.seq)));
			MUST(trib_log_append(&db, &leaf, NULL, &e));
		}
		MUST(trib_hubdb_commit(&db, &e));
		MUST(trib_log_checkpoint(&db, signer.log_key, &note, &size, &e));
	}
	printf("rate %.0f\n", leaves / (seconds(CLOCK_MONOTONIC) - t0));
}

static void proof(const char *dir)
{
	TRIB_AUTO(trib_hub) struct trib_hub hub = {0};
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(64 * TRIB_MIB);
	uint64_t size;
	size_t most = 0;
	enum { PROOFS = 2000 };
	MUST(trib_hub_open(dir, &hub, &e));
	MUST(trib_hubdb_open(&hub, false, &db, &e));
	MUST(trib_log_size(&db, &size, &e));
	double t0 = cpu();
	for (uint64_t i = 0; i < PROOFS; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf leaf = TRIB_BUF(TRIB_LEAF_MAX);
		uint8_t hashes[TRIB_PROOF_MAX_HASHES][TRIB_SHA256_LEN];
		uint64_t index = i * 2654435761U % size;
		size_t n = 0;
		MUST(trib_merkle_inclusion(index, size, trib_log_subtree, &db, hashes, &n, &e));
		MUST(trib_log_leaf(&db, index, &leaf, &e));
		trib_receipts_put(&out, index, (const uint8_t(*)[TRIB_SHA256_LEN])hashes, n, trib_buf_span(&leaf));
		if (n > most)
			most = n;
	}
	MUST(trib_buf_check(&out, "receipts", &e));
	printf("size %llu hashes %zu bytes %.0f rate %.0f\n", (unsigned long long)size, most, (double)out.len / PROOFS, PROOFS / (cpu() - t0));
}

int main(int argc, char **argv)
{
	MUST(trib_repo_lib_init(&e));
	if (argc == 3 && strcmp(argv[1], "verify") == 0)
		verify(strtod(argv[2], NULL));
	else if (argc == 5 && strcmp(argv[1], "append") == 0 && strtoul(argv[4], NULL, 10) > 0)
		append(argv[2], (unsigned)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
	else if (argc == 3 && strcmp(argv[1], "proof") == 0)
		proof(argv[2]);
	else
		errx(2, "usage: trust verify MS, trust append HUB LEAVES BATCH, or trust proof HUB");
	return 0;
}
