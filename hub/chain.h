/* chain.h: the hub's own signed chains: down chains of nodes (F9) and the city history (F10). */
#ifndef TRIB_HUB_CHAIN_H
#define TRIB_HUB_CHAIN_H

#include "hub/hubdb.h"

struct trib_hub_signer {
	struct trib_key *sign_key, *log_key;
	struct trib_buf signer_pem; /* hub certificate, issuing certificate */
};
int trib_hub_signer_load(const struct trib_hub *hub, struct trib_hub_signer *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_hub_signer_release(struct trib_hub_signer *s);
static inline void trib_hub_signer_cleanup(struct trib_hub_signer *s) { trib_hub_signer_release(s); }

/* Sends a node the leaves it is due: receipts against a fresh checkpoint, and the consistency proof from its last one, as one down
 * commit. No-op when nothing is due. The commit's objects are durable before hub.db records them; the ref follows and is
 * set again at start when a crash came between. */
int trib_chain_down(struct trib_hubdb *h, const struct trib_hub_signer *s, const char *node, const char *app, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends a city commit: everything up to leaf `merged` is in the city database, whose digest is given. */
int trib_chain_city(struct trib_hubdb *h, const struct trib_hub_signer *s, uint64_t merged, const uint8_t digest[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;

#endif
