/* witness.h: an outside witness of logs (C2SP tlog-witness), run by another organisation than the hub's: it cosigns a checkpoint only when the log has merely
 * grown since the last one it cosigned. It needs no hub: its folder is
 *
 *   witness.conf    kv: `format tributary-witness-1 / name NAME`        witness.key    Ed25519, 0600
 *   logs/HEX64      by SHA-256 of the log's origin: key, and the size and root last cosigned; replaced durably before an answer leaves
 *   logs/HEX64.refused    the first checkpoint with the log's own signature that contradicts what was cosigned: it convicts the log
 *
 * One rule decides safety: what was cosigned last is read, compared and replaced under the log's lock, and is on disk before the signature is made. */
#ifndef TRIB_HUB_WITNESS_H
#define TRIB_HUB_WITNESS_H

#include "core/base/fs.h"
#include "core/format/witness.h"
#include "core/trust/cosign.h"

struct trib_witness {
	char *dir;
	struct trib_vkey self;
	struct trib_key *key;
};
struct trib_witness_log {
	struct trib_vkey key; /* its name is the log's origin */
	uint64_t size;        /* last cosigned; 0: nothing yet */
	uint8_t root[TRIB_SHA256_LEN];
	int64_t time;         /* when; 0: never */
	bool refused;         /* a contradicting checkpoint is kept */
};

/* Makes folder and key. TRIB_E_USAGE when the folder holds a witness already. */
int trib_witness_create(const char *dir, const char *name, struct trib_witness *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* TRIB_E_NOT_INIT when there is none. */
int trib_witness_open(const char *dir, struct trib_witness *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_witness_close(struct trib_witness *w);
static inline void trib_witness_cleanup(struct trib_witness *w) { trib_witness_close(w); }
/* From now on checkpoints of this log are looked at. The same key again changes nothing; another one for a known origin is refused. */
int trib_witness_trust(struct trib_witness *w, const struct trib_vkey *log, struct trib_err *err) TRIB_MUST_CHECK;
/* All logs, in no order. */
int trib_witness_logs(const struct trib_witness *w, int (*fn)(void *ctx, const struct trib_witness_log *l, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;

/* What one add-checkpoint is answered with; body holds what the type says. */
struct trib_witness_answer { int status; const char *type; struct trib_buf body; };
#define TRIB_WITNESS_ANSWER ((struct trib_witness_answer){.body = TRIB_BUF(4096)})
/* Judges, keeps, signs. Always leaves an answer (500 for this machine's own trouble, with *err and -1). */
int trib_witness_add(const struct trib_witness *w, struct trib_span body, int64_t now, struct trib_witness_answer *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Serves until SIGTERM; a second server of the folder is refused. `tls` NULL: plain HTTP. */
struct trib_tls_ctx;
int trib_witness_serve(const struct trib_witness *w, const char *listen_addr, struct trib_tls_ctx *tls, struct trib_err *err) TRIB_MUST_CHECK;

#endif
