/* hub.h: the hub's state folder and the entry points of its processes.
 *
 *   hub.conf         kv: city, origin, policy version, listen address, hosts (struct trib_hub_conf)
 *   ca/root.key root.crt issuing.key issuing.crt      keys/hub-sign.{key,crt} hub-tls.{key,crt} log.key      *.new beside them: hub/ceremony.h
 *   hub.db           enduring: nodes, certificates, histories, log leaves and subtree hashes, held, refusals (hub/hubdb.h); written by the keeper,
 *                    and by administrative commands in the same way (BEGIN IMMEDIATE)
 *   enrol.db         slips, requests, issued certificates; written by enrol and by `node` commands
 *   checkpoint       the newest signed one        log/        the log as static files (hub/tiles.h), a cache of hub.db
 *   repos/NODE/APP.git   quarantine/    city/APP.db    city.git    run/
 *   policy.conf      the policy as an administrator wrote it last; in force is what the log names (hub/policy.h)
 *   old-receipts/   what offices hold of a log that was cut off (hub/oldlog.h): evidence that cannot be made again
 *   audited, audited.HEX.db   where the last proven audit stood, and what it had proven (hub/audit_kept.c)
 *   restores.log   who restored what      damaged/   what `ingest` took away
 */
#ifndef TRIB_HUB_H
#define TRIB_HUB_H

#include "core/format/kv.h"
#include "core/replay/judge.h"
#include "core/trust/receipt.h"
#include "core/trust/tls.h"

/* hub.conf, kv text (F1): `format tributary-hub-1 / city NAME / origin O / policy N / listen HOST:PORT / host NAME...`; city and origin
 * percent-encoded, host repeated once for each name or address in the TLS certificate. Written by init and recover; policy is the version that the city
 * began with (hub/policy.h says which is in force). */
#define TRIB_HUB_HOSTS_MAX 16
#define TRIB_HOST_MAX 253 /* longest DNS name */
struct trib_hub_conf {
	char city[TRIB_TITLE_MAX + 1];
	char origin[TRIB_TITLE_MAX + 32];
	uint64_t policy_version;
	char listen[TRIB_HOST_MAX + 16];
	char hosts[TRIB_HUB_HOSTS_MAX][TRIB_HOST_MAX + 1];
	size_t nhosts;
};
int trib_hub_conf_parse(struct trib_span text, struct trib_hub_conf *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_hub_conf_put(struct trib_buf *b, const struct trib_hub_conf *c);
/* DIR/hub.conf; TRIB_E_NOT_INIT when there is none. */
int trib_hub_conf_load(const char *dir, struct trib_hub_conf *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_hub_conf_save(const char *dir, const struct trib_hub_conf *c, struct trib_err *err) TRIB_MUST_CHECK;
/* The log origin of an epoch: the city percent-encoded (a note's key name has no blank or plus), "/", the epoch. TRIB_E_LIMIT when too long. */
int trib_hub_origin(const char *city, uint64_t epoch, char *ret, size_t size, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_hub {
	char *dir;
	char city[TRIB_TITLE_MAX + 1];
	char origin[TRIB_TITLE_MAX + 32]; /* CITY/EPOCH */
	uint64_t policy_version;
	struct trib_cert *root, *issuing, *sign_cert, *tls_cert;
	bool renewed; /* this program found them announced and not in place, and finished it (hub/ceremony.h) */
};
/* Reads hub.conf and the four certificates; no private key, no database, so that it is safe to hold across fork. TRIB_E_NOT_INIT when
 * DIR is no hub's folder. Owned by trib_hub_close. */
int trib_hub_open(const char *dir, struct trib_hub *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_hub_close(struct trib_hub *h);
static inline void trib_hub_cleanup(struct trib_hub *h) { trib_hub_close(h); }
/* DIR/name, and DIR/repos/NODE/APP.git; malloc'd, NULL only out of memory. node and app must be valid ids (F1). */
char *trib_hub_path(const struct trib_hub *h, const char *name) TRIB_MUST_CHECK;
char *trib_hub_repo_path(const struct trib_hub *h, const char *node, const char *app) TRIB_MUST_CHECK;

/* Process mains; each returns an exit status and never forks further (supervise does). */
int trib_supervise(const struct trib_hub *h, const char *listen_addr, struct trib_err *err);
/* known_fd: one byte goes there when the keeper knows the peer by its certificate. */
int trib_worker_main(const struct trib_hub *h, struct trib_tls_ctx *tls, int conn_fd, int keeper_fd, int enrol_fd, int known_fd);
/* control_fd delivers workers' sockets; merger_fd and enrol_fd are the ends of those two processes, which alone may report merges and new
 * certificates (a worker may not). */
int trib_keeper_main(const struct trib_hub *h, int control_fd, int merger_fd, int enrol_fd);
int trib_enrol_main(const struct trib_hub *h, int control_fd, int keeper_fd);
int trib_merger_main(const struct trib_hub *h, int keeper_fd);

#endif
