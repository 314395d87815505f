/* hand.h: a push that came by hand, given to a running hub (D8.3): DIR/run/by-hand, a socket that only the hub's own user (and root) may open.
 *
 * Who connects says which certificate the push is under (struct trib_ipc_hello) and sends one request of git-receive-pack; a worker of the
 * usual kind judges it, without TLS, the keeper publishes it, and the verdict comes back as struct trib_ipc_result. Whoever may open the socket could write
 * hub.db as well: it gives no right that he has not. A worker can not open it: its sandbox allows no socket. */
#ifndef TRIB_HUB_HAND_H
#define TRIB_HUB_HAND_H

#include "hub/hub.h"
#include "hub/ipc.h"

/* Supervisor: a listening socket (an old file is replaced: the caller holds the lock); a connection, or -1: none, or not the hub's user. */
int trib_hand_listen(const struct trib_hub *h, int *ret_fd, struct trib_err *err) TRIB_MUST_CHECK;
int trib_hand_accept(int listen_fd);
/* The file goes when the hub ends. */
void trib_hand_remove(const struct trib_hub *h);
/* In a process of its own: serves one connection; the exit status. */
int trib_hand_worker_main(const struct trib_hub *h, int conn_fd, int keeper_fd);

/* The other side. TRIB_E_LOCKED when the hub is just starting or ending. */
int trib_hand_connect(const struct trib_hub *h, int *ret_fd, struct trib_err *err) TRIB_MUST_CHECK;
/* Sends hello, head and the rest of the file from where it stands; waits for the verdict. TRIB_E_LIMIT: the worker ended without a
 * word. */
int trib_hand_push(int fd, const struct trib_ipc_hello *hello, struct trib_span head, int file_fd, struct trib_ipc_result *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
