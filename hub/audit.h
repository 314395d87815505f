/* audit.h: everything derived again from signed bytes, and compared (D11).
 *
 * A run takes one snapshot: of the city files first, then of hub.db, so that the log holds at least what the files do; `serve` may go on. All
 * it writes is in DIR/run/audit-PID: its own reading of the log, scratch city files made by hub/merge.c, and the findings. Memory is
 * bounded by the largest commit and the window of core/replay/ahead.h. Damage and disagreement are findings and never end a run; only the audit's own trouble (memory,
 * space) is an error. */
#ifndef TRIB_HUB_AUDIT_H
#define TRIB_HUB_AUDIT_H

#include "hub/merge.h"

struct trib_audit; /* opaque */

struct trib_finding { /* "-" where a part does not apply; seq 0 likewise */
	const char *node, *app, *commit, *table, *key, *what;
	uint64_t seq;
};
struct trib_audit_node {
	const char *node, *app;
	uint64_t commits, proven, rows, findings; /* commits the log holds; how many of them, from the first, are proven; rows in the city */
};
struct trib_audit_totals { uint64_t leaves, commits, communities, rows, findings; uint8_t root[TRIB_SHA256_LEN]; };

struct trib_audit_how {
	bool quiet;
	unsigned jobs; /* threads; 0: as many as there are processors. Findings do not depend on it. */
};
/* *ret is freed by trib_audit_free, which removes the scratch folder. */
int trib_audit_run(const struct trib_hub *hub, const struct trib_audit_how *how, struct trib_audit **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* A checkpoint that somebody kept, as its note: that the log has only grown since is one more thing to be proven (findings). TRIB_E_VERIFY when this log
 * did not sign it. */
int trib_audit_since(struct trib_audit *a, struct trib_span note, struct trib_err *err) TRIB_MUST_CHECK;
/* A witness's key that somebody brings: that it has cosigned this log, and lately, is one more thing to be proven (findings). */
struct trib_vkey;
int trib_audit_by_witness(struct trib_audit *a, const struct trib_vkey *key, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;
/* trib_audit_run without the real city files, which it does not look at: the derived ones are made in `dir` (must not exist) and stay there. */
int trib_audit_derive(const struct trib_hub *hub, const char *dir, const struct trib_audit_how *how, struct trib_audit **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Ends the work on the derived files: verdicts that the log has are dropped, the rest is durable; their digest at the end of the log. */
int trib_audit_seal(struct trib_audit *a, uint8_t ret_digest[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
void trib_audit_free(struct trib_audit *a);
static inline void trib_audit_cleanup(struct trib_audit **a) { trib_audit_free(*a); }
void trib_audit_totals(const struct trib_audit *a, struct trib_audit_totals *ret);
/* Findings by node, then in the order they were met; nodes by name. */
int trib_audit_findings(struct trib_audit *a, int (*fn)(void *ctx, const struct trib_finding *f, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_nodes(struct trib_audit *a, int (*fn)(void *ctx, const struct trib_audit_node *n, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;

/* DIR/audited: where the last proven audit stood. kv: `format tributary-audited-1 / time TIME / size N / root HEX64`. */
struct trib_audited { int64_t time; uint64_t size; uint8_t root[TRIB_SHA256_LEN]; };
int trib_audited_load(const struct trib_hub *hub, struct trib_audited *ret, struct trib_err *err) TRIB_MUST_CHECK; /* TRIB_E_NOT_FOUND */
int trib_audited_save(const struct trib_hub *hub, const struct trib_audited *a, struct trib_err *err) TRIB_MUST_CHECK;

#endif
