/* Walking a chain, oldest first, every commit judged. */
#include "core/replay/replay.h"

#include "core/replay/signer.h"

/* One commit a night for ten thousand years, or a city's busiest history; bounds the list of ids at 320 MiB. */
#define CHAIN_MAX ((size_t)16 * 1024 * 1024)

static int load_chain(const struct trib_history *h, const uint8_t *upto, uint8_t (**ret)[TRIB_OID_LEN], size_t *ret_n, struct trib_err *err)
{
	uint8_t (*oids)[TRIB_OID_LEN] = NULL;
	uint8_t tip[TRIB_OID_LEN];
	size_t n = 0;

	if (trib_repo_ref(h->repo, h->ref, tip, err) < 0 || trib_repo_chain(h->repo, tip, NULL, CHAIN_MAX, &oids, &n, err) < 0)
		return -1;
	if (upto) {
		size_t all = n;

		while (n && memcmp(oids[n - 1], upto, TRIB_OID_LEN) != 0)
			n--;
		if (n == 0) {
			char hex[TRIB_OID_HEX + 1];

			free(oids);
			trib_hex(hex, upto, TRIB_OID_LEN);
			return trib_fail(err, TRIB_E_NOT_FOUND, "commit %.12s is none of the %zu commits of this history", hex, all);
		}
	}
	*ret = oids;
	*ret_n = n;
	return 0;
}

static int walk_one(const struct trib_history *h, struct trib_signer_cache *signers, const uint8_t oid[TRIB_OID_LEN], struct trib_tip *tip,
		    trib_walk_fn fn, void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	struct trib_trust trust = h->trust;

	trust.signers = signers;
	if (h->time_of && h->time_of(h->time_ctx, oid, &trust.at, err) < 0)
		return -1;
	if (trib_judge(h->repo, oid, &trust, tip, &j, err) < 0)
		return -1;
	return fn ? fn(ctx, &j, tip, !trib_tip_open(tip), err) : 0;
}

int trib_history_walk(const struct trib_history *h, const uint8_t *upto, struct trib_tip *ret_tip, trib_walk_fn fn, void *ctx,
		      struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t (*oids)[TRIB_OID_LEN] = NULL;
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	TRIB_AUTO(trib_signer_cache) struct trib_signer_cache signers = {0};
	size_t n = 0;

	if (load_chain(h, upto, &oids, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (walk_one(h, h->trust.signers ? h->trust.signers : &signers, oids[i], &tip, fn, ctx, err) < 0) {
			if (h->progress)
				trib_progress_done(h->progress);
			return -1;
		}
		if (h->progress)
			trib_progress_step(h->progress, i + 1, n);
	}
	if (h->progress)
		trib_progress_done(h->progress);
	if (ret_tip) {
		*ret_tip = tip;
		tip = (struct trib_tip){0};
	}
	return 0;
}
