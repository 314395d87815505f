/* ipc.h: messages between the hub's processes (D8.5): fixed-size heads, bounded payloads, over SOCK_STREAM socket pairs.
 *
 * Supervisor: for each accepted connection makes a socketpair, forks a worker with one end and the TCP socket, and hands the other end to the keeper
 * (SCM_RIGHTS over the keeper's control socket, with the worker's process number). The same for the enrol process. The keeper never parses what a peer wrote: it
 * reads these records, which a worker filled after judging.
 *
 * Every message: head {magic, type, len}, then `len` bytes (at most TRIB_IPC_MAX). All integers host order (same machine, same binary). */
#ifndef TRIB_HUB_IPC_H
#define TRIB_HUB_IPC_H

#include "core/base/buf.h"
#include "core/base/limits.h"
#include "core/format/enrol.h"

#define TRIB_IPC_MAGIC 0x54524942u
#define TRIB_IPC_MAX (40 * TRIB_MIB)
#define TRIB_IPC_REST_MS 20000 /* the peer is on the same machine: a longer pause inside a message is a stuck or hostile peer */

enum trib_ipc_type {
	TRIB_IPC_HELLO = 1,     /* worker -> keeper: struct trib_ipc_hello */
	TRIB_IPC_WHO,           /* keeper -> worker: struct trib_ipc_who */
	TRIB_IPC_STATE,         /* worker -> keeper: struct trib_ipc_history; answer STATE_IS */
	TRIB_IPC_STATE_IS,      /* keeper -> worker: serialised trib_tip (judge.h), empty when the history is new */
	TRIB_IPC_PUBLISH,       /* worker -> keeper: struct trib_ipc_publish, then npublish x trib_ipc_held, then serialised trib_tip */
	TRIB_IPC_PUBLISHED,     /* keeper -> worker: struct trib_ipc_result */
	TRIB_IPC_REFUSED,       /* worker -> keeper: struct trib_ipc_refusal (to be logged as a leaf); answer PUBLISHED */
	TRIB_IPC_ENROL,         /* worker -> enrol: the POST body (parsed in form by the worker); answer ENROL_IS */
	TRIB_IPC_ENROL_IS,      /* enrol -> worker: struct trib_ipc_result, then the answer body when ok */
	TRIB_IPC_CERTS,         /* enrol -> keeper: a new enrolment to be logged: struct trib_ipc_enrolled; answer PUBLISHED */
	TRIB_IPC_WAKE,          /* keeper -> merger: new leaves; no payload */
	TRIB_IPC_MERGED,        /* merger -> keeper: struct trib_ipc_merged, then nresults x trib_ipc_merge_result; answer PUBLISHED */
	TRIB_IPC_TROUBLE,       /* merger -> keeper: struct trib_ipc_result, why nothing is merged, or ok: it goes on; answer PUBLISHED */
	TRIB_IPC_ASKED,         /* enrol -> keeper: a machine asks with a slip, or a slip became void, to be logged: struct trib_ipc_asked; answer PUBLISHED */
	TRIB_IPC_OLD,           /* worker -> keeper: struct trib_ipc_old, receipts of a log that was cut off; answer PUBLISHED */
	TRIB_IPC_LAST = TRIB_IPC_OLD,
};

struct trib_ipc_head { uint32_t magic, type; uint64_t len; };

/* The peer as the TLS handshake showed it; has_cert false = none presented. The keeper re-checks against its own records at every HELLO, and a
 * worker says HELLO again before each request of a kept connection, so revocation acts at the next request (D7.3). */
struct trib_ipc_hello { uint8_t has_cert; /* no bool: any byte may come */ uint8_t cert_sha256[TRIB_SHA256_LEN]; };
struct trib_ipc_who {
	bool known;                 /* a valid, unrevoked certificate of this city */
	bool expired;
	bool busy;                  /* known, but its office or person has TRIB_PEER_CONNS_MAX connections already: then `known` is false */
	uint32_t role;              /* enum trib_role */
	uint64_t incarnation;
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1], name[TRIB_TITLE_MAX + 1];
	char reason[160];           /* when !known: what to do */
	uint8_t log_key[32];        /* the public half */
	uint8_t policy[TRIB_SHA256_LEN]; /* the one in force: a text in log/named; zeros: none */
};
struct trib_ipc_history { char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; };
struct trib_ipc_publish {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	uint8_t has_old;            /* no bool: any byte may come */
	uint8_t old_tip[TRIB_OID_LEN], new_tip[TRIB_OID_LEN];
	uint8_t policy[TRIB_SHA256_LEN]; /* by which it was judged */
	char pack[TRIB_OID_HEX + 1];/* pack-NAME below pack/ of the worker's own quarantine: which one that is, the keeper knows from the supervisor */
	uint32_t nheld;
	uint64_t tip_len;
};
struct trib_ipc_held {
	uint64_t incarnation, seq, part, parts;
	int64_t captured_at;
	uint64_t inserted, updated, deleted;
	uint8_t oid[TRIB_OID_LEN], manifest[TRIB_SHA256_LEN], commit[TRIB_SHA256_LEN], signer[TRIB_SHA256_LEN];
	uint32_t nbraked, reset; /* `reset` 1: it says the whole database once more */
};
struct trib_ipc_result { int32_t code; /* enum trib_code */ char msg[512]; };
struct trib_ipc_refusal { char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; int32_t code; uint8_t object[TRIB_SHA256_LEN]; char msg[512]; };
/* In `old-receipts` below the worker's own quarantine, judged (hub/oldlog.h). */
struct trib_ipc_old { char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; uint8_t sha256[TRIB_SHA256_LEN]; };
struct trib_ipc_asked {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	uint8_t code[TRIB_SHA256_LEN];    /* SHA-256 of the slip's code */
	char request[TRIB_REQUEST_SUM + 1]; /* what both sides show of the request: core/format/enrol.h; "": nobody asked */
	uint8_t is_void;                    /* another machine of the office was enrolled */
};
struct trib_ipc_enrolled {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1], name[TRIB_TITLE_MAX + 1];
	uint64_t incarnation;
	uint8_t sign_sha256[TRIB_SHA256_LEN], tls_sha256[TRIB_SHA256_LEN];
	int64_t sign_not_after, tls_not_after;
	char sign_serial[64], tls_serial[64]; /* hex */
	uint8_t rotation;           /* the same machine has a new signing key; `before` is the certificate of its present one */
	uint8_t before_sha256[TRIB_SHA256_LEN];
};
struct trib_ipc_merged { uint64_t upto; /* leaves taken in */ uint8_t city_digest[TRIB_SHA256_LEN]; uint32_t nresults; };
struct trib_ipc_merge_result {
	bool merged; /* false: out of step */
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	uint64_t seq; uint8_t manifest[TRIB_SHA256_LEN];
	char table[TRIB_NAME_MAX + 1]; uint8_t key[256]; uint32_t key_len; char reason[64];
};

/* Sends head and payload (two parts may be NULL/0). Blocking with a deadline. */
int trib_ipc_send(int fd, enum trib_ipc_type type, struct trib_span a, struct trib_span b, struct trib_span c, struct trib_err *err) TRIB_MUST_CHECK;
/* Receives one message into *ret (reset first). 1, 0 at end of stream, -1. timeout_ms < 0 waits for ever for the first byte; once a message has
 * begun, the rest must come within TRIB_IPC_REST_MS. A payload over ret->max or TRIB_IPC_MAX is refused before any of it is stored. */
int trib_ipc_recv(int fd, int timeout_ms, enum trib_ipc_type *ret_type, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Passes a worker's socket on, with the worker's process number: the only word about it that is not its own. */
int trib_ipc_send_fd(int sock, int fd, int64_t pid, struct trib_err *err) TRIB_MUST_CHECK;
/* 1, 0 at end of stream, -1. */
int trib_ipc_recv_fd(int sock, int *ret_fd, int64_t *ret_pid, struct trib_err *err) TRIB_MUST_CHECK;

/* A connected pair of close-on-exec stream sockets. */
int trib_ipc_pair(int ret[2], struct trib_err *err) TRIB_MUST_CHECK;
/* Sends one message and waits for its answer, which must be of type `want`; the end of the stream is TRIB_E_UNREACHABLE. */
int trib_ipc_call(int fd, enum trib_ipc_type type, struct trib_span a, struct trib_span b, struct trib_span c, int timeout_ms,
		  enum trib_ipc_type want, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
