/* err.h: the one error type of the project.
 *
 * An error is a stable code and a bounded message chain, outermost context first:
 *   "verifying commit 3f2a of 520303002001: manifest line 4: unknown key".
 * The caller owns the struct (usually on its stack); nothing is allocated and there
 * are no globals, so reporting an error cannot fail. Functions return 0 on success and
 * -1 with *err filled on failure; `err` is never NULL. Outputs are written on success only.
 * A message says what is wrong, what is safe, and the next command to try. */
#ifndef TRIB_ERR_H
#define TRIB_ERR_H

#include "core/base/base.h"

/* X(code, exit status, wire name). Exit statuses are a promise to scripts (docs/man);
 * wire names are a promise to peers (docs/PROTOCOL.md). Only append. */
#define TRIB_CODES(X)                                                                             \
	X(TRIB_OK, 0, "ok")                                                                       \
	X(TRIB_E_FAILED, 1, "failed")            /* anything without a better name */             \
	X(TRIB_E_IO, 1, "io")                    /* file system or socket error */                \
	X(TRIB_E_NOMEM, 1, "out-of-memory")                                                       \
	X(TRIB_E_DB, 1, "database")              /* SQLite reported an error */                   \
	X(TRIB_E_GIT, 1, "git")                  /* libgit2 reported an error */                  \
	X(TRIB_E_CRYPTO, 1, "crypto")            /* OpenSSL reported an error */                  \
	X(TRIB_E_NOT_FOUND, 1, "not-found")      /* no such commit, table, row, node */           \
	X(TRIB_E_USAGE, 2, "usage")                                                               \
	X(TRIB_E_INCOMPLETE, 3, "incomplete")    /* finished, but something was left */           \
	X(TRIB_E_NOT_INIT, 10, "not-initialised")                                                 \
	X(TRIB_E_LOCKED, 11, "locked")           /* another process holds it, or a hot journal */ \
	X(TRIB_E_CERT, 12, "certificate")        /* refused, expired, revoked, wrong role */      \
	X(TRIB_E_UNREACHABLE, 13, "unreachable")                                                  \
	X(TRIB_E_REFUSED, 14, "refused")         /* the hub said no */                            \
	X(TRIB_E_LIMIT, 14, "over-limit")        /* a limit of core/base/limits.h */              \
	X(TRIB_E_FORMAT, 15, "bad-format")       /* bytes a parser rejects */                     \
	X(TRIB_E_SIGNATURE, 15, "bad-signature")                                                  \
	X(TRIB_E_CHAIN, 15, "out-of-sequence")   /* gap, fork, second parent, wrong prev */       \
	X(TRIB_E_TREE, 15, "bad-tree")           /* extra or missing file, wrong mode or hash */  \
	X(TRIB_E_DIGEST, 15, "false-digest")     /* claimed state is not previous + changes */    \
	X(TRIB_E_OUT_OF_STEP, 15, "out-of-step") /* a change does not fit the mirror */           \
	X(TRIB_E_VERIFY, 15, "verification-failed")                                               \
	X(TRIB_E_CONFLICT, 16, "conflict")       /* needs a person */                             \
	X(TRIB_E_BRAKE, 16, "braked")            /* mass loss, see D4.9 */                        \
	X(TRIB_E_FORK, 16, "fork")               /* this folder is an old copy or a clone */      \
	X(TRIB_E_SCHEMA, 17, "schema")           /* unsupported or changed schema */              \
	X(TRIB_E_NO_SPACE, 18, "no-space")                                                        \
	X(TRIB_E_CLOCK, 19, "clock")                                                              \
	X(TRIB_E_VERSION, 20, "version")                                                          \
	X(TRIB_E_BUSY, 1, "busy")                /* the system is short of descriptors or processes; it passes */

enum trib_code {
#define X(code, status, name) code,
	TRIB_CODES(X)
#undef X
	TRIB_CODE_COUNT
};

#define TRIB_ERR_MSG 1024 /* bytes kept of a chain; longer ones lose their tail */

struct trib_err {
	enum trib_code code;
	char msg[TRIB_ERR_MSG];
};

/* Sets the code and message. Always returns -1, so `return trib_fail(err, ...)` reads well. */
int trib_fail(struct trib_err *err, enum trib_code code, const char *fmt, ...) TRIB_PRINTF(3, 4);
/* As trib_fail, and appends ": " and the text of errno. ENOSPC/EDQUOT become TRIB_E_NO_SPACE, ENOMEM TRIB_E_NOMEM, EMFILE/ENFILE/EAGAIN TRIB_E_BUSY,
 * anything else TRIB_E_IO. */
int trib_fail_errno(struct trib_err *err, const char *fmt, ...) TRIB_PRINTF(2, 3);
/* Prefixes "context: " to the message and keeps the code. Always returns -1. */
int trib_ctx(struct trib_err *err, const char *fmt, ...) TRIB_PRINTF(2, 3);

/* Trouble of this machine that ends with time or by an operator's hand (memory, space, descriptors, locks, the database layer): no word about the bytes
 * that were looked at. */
bool trib_passing(enum trib_code code);
/* The process exit status of a code (STYLE habit 19). */
int trib_exit_status(enum trib_code code);
/* The stable wire name; "failed" for a number that is no code. */
const char *trib_code_name(enum trib_code code);
/* The code of a wire name of `n` bytes; TRIB_E_FAILED when unknown. */
enum trib_code trib_code_from_name(const char *name, size_t n);

#endif
