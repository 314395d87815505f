/* slots.h: who gets a worker. Pure bookkeeping of the supervisor: it holds numbers, opens and ends nothing.
 *
 * A connection is a stranger's until its worker says that the keeper knows the peer by its certificate. Strangers are cheap to be and cost a process
 * each, so they are bounded: in all (the rest of the slots is for whoever has shown a certificate) and per address. Who comes over a bound waits in a
 * queue; the oldest stranger in its way is given a grace, then it must go. An office needs a second to show its certificate; somebody who opens
 * connections and says nothing keeps none. How many connections one certificate may hold is the keeper's to say. Numbers: core/base/limits.h. */
#ifndef TRIB_HUB_SLOTS_H
#define TRIB_HUB_SLOTS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/base/base.h"
#include "core/base/limits.h"

/* Where a connection comes from: an IPv4 address, or the 64-bit network of an IPv6 address, which one peer has whole. */
struct trib_from { uint8_t b[16]; };
struct trib_from trib_from_address(const struct sockaddr_storage *sa);

struct trib_slot {
	pid_t pid;
	int said;         /* our end of the pipe on which the worker says once that its peer is known; -1: it has, or is gone */
	struct trib_from from;
	int64_t started;  /* monotonic ms */
	bool known, killed;
};
struct trib_queued { int fd; struct trib_from from; int64_t since; };
struct trib_slots {
	struct trib_slot at[TRIB_WORKERS_MAX];
	size_t n;
	struct trib_queued queue[TRIB_WAITING_MAX]; /* in order of arrival */
	size_t nqueue;
};

/* May another connection be accepted? False: let it wait in the kernel. */
bool trib_slots_open(const struct trib_slots *s);
/* A connection has come. The descriptor that is to be closed for it (its own or another's), or -1. Call only when trib_slots_open. */
int trib_slots_arrive(struct trib_slots *s, int fd, struct trib_from from, int64_t now);
/* The next that may have a worker now: true and out of the queue; or false, and *ret_end is the worker that must end for one (SIZE_MAX: none). */
bool trib_slots_next(struct trib_slots *s, int64_t now, struct trib_queued *ret, size_t *ret_end);
/* One that has waited too long, out of the queue: its descriptor, or -1. */
int trib_slots_stale(struct trib_slots *s, int64_t now);
/* When its worker must end at the latest. */
int64_t trib_slot_deadline(const struct trib_slot *w);
/* When the queue must be looked at again, were nothing else to happen; INT64_MAX when it is empty. */
int64_t trib_slots_due(const struct trib_slots *s, int64_t now);

#endif
