/* supervise.h: the process that holds the listening socket and starts all others (D8.5).
 *
 * Single-threaded; it opens no database and no repository, so that fork is safe, and reads nothing that a peer sends. Its own entry point is
 * trib_supervise (hub.h). Bundles come through run/by-hand (hand.h). Rights: the TLS key (workers inherit it for the handshake and erase it), the
 * listening socket, quarantine/ and run/. */
#ifndef TRIB_HUB_SUPERVISE_H
#define TRIB_HUB_SUPERVISE_H

#include "hub/hub.h"

/* Has it the form that trib_listen takes? Whether the name is known, only listening tells. TRIB_E_USAGE. */
int trib_listen_check(const char *address, struct trib_err *err) TRIB_MUST_CHECK;
/* "HOST:PORT", "[V6]:PORT", ":PORT"; port 0 takes a free one. *ret_name receives the real "ADDRESS:PORT". */
int trib_listen(const char *address, int *ret_fd, char *ret_name, size_t size, struct trib_err *err) TRIB_MUST_CHECK;

/* The three lasting processes: keeper, enrolment, merger. They live and die together: each holds a socket of another, and a half-connected set
 * would publish without merging. */
struct trib_core {
	pid_t keeper, enrol, merger;       /* 0: not running */
	int keeper_ctl, enrol_ctl;         /* our ends; closing them tells the processes to end */
};
#define TRIB_CORE_INIT ((struct trib_core){.keeper_ctl = -1, .enrol_ctl = -1})
/* Starts all three. keep_fd stays open in them (the state lock: a second hub must not start while an old keeper lives). `before` runs in each child
 * first (drops what only the supervisor needs). */
int trib_core_start(const struct trib_hub *h, int keep_fd, void (*before)(void *ctx), void *ctx, struct trib_core *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Tells them to end and waits; kills what has not ended after wait_ms. */
void trib_core_stop(struct trib_core *c, int wait_ms);
/* Notes that `pid` has ended. The process's name, or NULL when it was none of the three. */
const char *trib_core_reaped(struct trib_core *c, pid_t pid);

/* Child side of every fork: closes all descriptors but 0-2 and those of keep (-1 is skipped), gives signals their defaults and unblocks them. */
void trib_child_clean(const int *keep, size_t n);

#endif
