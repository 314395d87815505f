/* hub.h: the hub's state folder and the entry points of its processes.
 *
 *   hub.conf         kv: city, display names, listen address, hosts (struct trib_hub)
 *   ca/root.key root.crt issuing.key issuing.crt      keys/hub-sign.{key,crt} hub-tls.{key,crt} log.key
 *   hub.db           enduring: nodes, certificates, histories, log leaves and subtree hashes, held, refusals (hub/hubdb.h); written by the keeper,
 *                    and by administrative commands in the same way (BEGIN IMMEDIATE)
 *   enrol.db         slips, requests, issued certificates; written by enrol and by `node` commands
 *   repos/NODE/APP.git   quarantine/    city/APP.db    city.git    policy.conf    run/
 */
#ifndef TRIB_HUB_H
#define TRIB_HUB_H

#include "core/replay/judge.h"
#include "core/trust/receipt.h"
#include "core/trust/tls.h"

struct trib_hub {
	char *dir;
	char city[TRIB_TITLE_MAX + 1];
	char origin[TRIB_TITLE_MAX + 32]; /* CITY/EPOCH */
	uint64_t policy_version;
	struct trib_cert *root, *issuing, *sign_cert, *tls_cert;
};
int trib_hub_open(const char *dir, struct trib_hub *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_hub_close(struct trib_hub *h);
static inline void trib_hub_cleanup(struct trib_hub *h) { trib_hub_close(h); }
char *trib_hub_path(const struct trib_hub *h, const char *name) TRIB_MUST_CHECK;
char *trib_hub_repo_path(const struct trib_hub *h, const char *node, const char *app) TRIB_MUST_CHECK;

/* Process mains; each returns an exit status and never forks further (supervise does). */
int trib_supervise(const struct trib_hub *h, const char *listen_addr, struct trib_err *err);
int trib_worker_main(const struct trib_hub *h, struct trib_tls_ctx *tls, int conn_fd, int keeper_fd, int enrol_fd);
int trib_keeper_main(const struct trib_hub *h, int control_fd, int merger_fd);
int trib_enrol_main(const struct trib_hub *h, int control_fd, int keeper_fd);
int trib_merger_main(const struct trib_hub *h, int keeper_fd);

#endif
