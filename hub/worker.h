/* worker.h: what the parts of a worker share: one TLS connection, one sandboxed process (D8.5).
 *
 * A worker parses and judges; it cannot publish. Everything it reports goes to the keeper as fixed-size records over its own socket, on which the keeper
 * accepts only the histories of the certificate that the handshake showed. */
#ifndef TRIB_HUB_WORKER_H
#define TRIB_HUB_WORKER_H

#include "core/format/tile.h"
#include "core/store/veil.h"
#include "hub/http.h"
#include "hub/hub.h"
#include "hub/ipc.h"

struct trib_worker {
	const struct trib_hub *hub;
	int keeper_fd, enrol_fd;
	int known_fd;                 /* -1 once the supervisor has been told that the peer is known */
	struct trib_tls *tls;
	struct trib_http *http;
	struct trib_ipc_hello hello;
	struct trib_private_list private; /* what the city's policy keeps out: no commit may bring it (D4.8) */
	uint8_t policy[TRIB_SHA256_LEN];  /* that policy; zeros: none */
	struct trib_ipc_who who;      /* the keeper's word about the peer, asked again before each request */
	char quarantine_name[32];     /* "wPID" below STATE/quarantine: the only place a worker may write */
	char *quarantine;             /* its path */
	int64_t started;              /* monotonic ms */
	struct trib_err verdict;      /* why the last push was refused; TRIB_OK: it was taken */
};

/* One push that came by hand: the same judge, sandbox and keeper, without TLS. `hello` names the certificate whose history it is; `io` brings one
 * whole request of git-receive-pack for NODE/APP. 0 taken; -1 with what the peer would have been told. For a process of its own: it is shut in. */
int trib_worker_push(const struct trib_hub *h, int keeper_fd, const struct trib_ipc_hello *hello, struct trib_http_io io, struct trib_err *err) TRIB_MUST_CHECK;

/* What a target names. */
enum trib_route_kind { TRIB_ROUTE_NONE, TRIB_ROUTE_HOME, TRIB_ROUTE_ENROL, TRIB_ROUTE_RENEW, TRIB_ROUTE_CHECKPOINT,
		       TRIB_ROUTE_TILE, TRIB_ROUTE_NAMED, TRIB_ROUTE_REFS, TRIB_ROUTE_FETCH, TRIB_ROUTE_PUSH, TRIB_ROUTE_OLD, TRIB_ROUTE_FORKED };
struct trib_route {
	enum trib_route_kind kind;
	bool push; /* the office alone may go there; TRIB_ROUTE_REFS: for receive-pack */
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	struct trib_tile tile;
	uint8_t sha256[TRIB_SHA256_LEN]; /* TRIB_ROUTE_NAMED */
};
/* Pure. Unknown targets are TRIB_ROUTE_NONE. */
void trib_route_parse(const char *path, const char *query, struct trib_route *ret);
/* May this peer go there? 0, or the HTTP status with a sentence that says what to do. Pure. */
int trib_route_allowed(const struct trib_route *r, const struct trib_ipc_who *who, char *ret_why, size_t size);

/* Media types of git's smart HTTP. */
#define TRIB_GIT_TYPE(service, what) "application/x-git-" service "-" what

#endif
