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
/* DIR/audited: where the last proven audit stood. kv: `format tributary-audited-2 / time TIME / size N / root HEX64 / state HEX64`. The state is what that audit
 * had proven, kept as DIR/audited.HEX16.db: whoever keeps the record elsewhere need not trust the hub for it. Format 1 had none. */
struct trib_audited { int64_t time; uint64_t size; uint8_t root[TRIB_SHA256_LEN], state[TRIB_SHA256_LEN]; bool has_state; };
int trib_audited_parse(struct trib_span bytes, struct trib_audited *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audited_load(const struct trib_hub *hub, struct trib_audited *ret, struct trib_err *err) TRIB_MUST_CHECK; /* TRIB_E_NOT_FOUND */
int trib_audited_save(const struct trib_hub *hub, const struct trib_audited *a, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_audit_how {
	bool quiet;
	unsigned jobs; /* threads; 0: as many as there are processors. Findings do not depend on it. */
};
struct trib_audit_totals {
	uint64_t leaves, commits, communities, rows, findings;
	uint64_t judged, kept;      /* commits judged by this run; held commits that an earlier one had judged */
	uint8_t root[TRIB_SHA256_LEN];
	bool full;                  /* nothing kept was trusted */
	struct trib_audited since;  /* not full: the audit that it went on from */
	char fell_back[512];        /* full although asked to go on: why */
};

/* A full audit. *ret is freed by trib_audit_free, which removes the scratch folder. */
int trib_audit_run(const struct trib_hub *hub, const struct trib_audit_how *how, struct trib_audit **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Goes on from what an earlier audit has proven, and judges only what is new; that the rest is unchanged it proves by hashes: of all leaves, of the histories'
 * files, and of every row of the city by the state digests. At the first thing that differs, or when nothing usable was kept, it makes a full audit. `beside`: a
 * folder where the kept file is looked for first, when `last` is a record that somebody kept elsewhere; NULL: DIR's own. */
int trib_audit_run_since(const struct trib_hub *hub, const struct trib_audit_how *how, const struct trib_audited *last, const char *beside, struct trib_audit **ret,
			struct trib_err *err) TRIB_MUST_CHECK;
/* Keeps what a clean audit has proven, for the next one, and writes DIR/audited. The last that may be done with *a but for totals and free. */
int trib_audit_keep(struct trib_audit *a, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;
/* A checkpoint that somebody kept, as its note: that the log has only grown since is one more thing to be proven (findings). TRIB_E_VERIFY when this log
 * did not sign it. The same of a record that somebody kept. */
int trib_audit_since(struct trib_audit *a, struct trib_span note, struct trib_err *err) TRIB_MUST_CHECK;
int trib_audit_record(struct trib_audit *a, const struct trib_audited *last, struct trib_err *err) TRIB_MUST_CHECK;
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

#endif
