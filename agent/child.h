/* child.h: network work in a disposable process.
 *
 * What a hub sends reaches libgit2's parsers and its indexer, which can be made to loop for ever or to take gigabytes (docs/PROTOCOL.md).
 * So a transfer runs in a child with limits on CPU, memory, size of files and wall clock, writes only under private refs, and reports a fixed-size result;
 * the parent judges what it brought with our own parsers before anything counts. */
#ifndef TRIB_AGENT_CHILD_H
#define TRIB_AGENT_CHILD_H

#include "core/base/err.h"

/* Runs fn in a child; its `result` bytes (at most 4096) and error come back. -1 with the child's error, or with TRIB_E_UNREACHABLE when it had to be ended. */
int trib_child_run(int (*fn)(void *ctx, void *result, struct trib_err *err), void *ctx, void *result, size_t result_size, int timeout_ms,
		   struct trib_err *err) TRIB_MUST_CHECK;

#endif
