/* sandbox.h: what a worker may still do once it reads a peer's bytes (D8.5, STYLE habit 20).
 *
 * Order in a worker: trib_sandbox_limits before the handshake; trib_sandbox_enter after the TLS key was wiped and libgit2 was started, and
 * before the first byte of HTTP. Nothing of it can be undone in the process. */
#ifndef TRIB_HUB_SANDBOX_H
#define TRIB_HUB_SANDBOX_H

#include "core/base/err.h"
#include "core/base/limits.h"

struct trib_sandbox {
	const char *read_dir;  /* histories: files and directories below may be read */
	const char *read_more; /* one more such directory; may be NULL or missing */
	const char *write_dir; /* own quarantine: everything below */
	bool network;          /* may open connections, and read what resolving names needs: /etc, libraries; still listens to nobody */
};

struct trib_sandbox_state { bool landlock, seccomp; int landlock_abi; };

bool trib_sandbox_has_landlock(void);
/* Memory, file size, descriptors, no core file. Under AddressSanitizer the address space stays unlimited (its shadow needs terabytes). */
int trib_sandbox_limits(struct trib_err *err) TRIB_MUST_CHECK;
/* Gives the process TRIB_WORKER_CPU_S more seconds of CPU from now on: called before each request, because the kernel counts the whole life. */
int trib_sandbox_cpu(struct trib_err *err) TRIB_MUST_CHECK;
/* no_new_privs, Landlock when the kernel has it, seccomp when possible. A kernel without them is no error and is told in *ret; a kernel that has
 * them and refuses is one: the worker must not go on. */
int trib_sandbox_enter(const struct trib_sandbox *s, struct trib_sandbox_state *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
