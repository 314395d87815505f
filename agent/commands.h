/* commands.h: the verbs of tributary-agent; the table is in main.c, each cmd_*.c holds a family. */
#ifndef TRIB_AGENT_COMMANDS_H
#define TRIB_AGENT_COMMANDS_H

#include "agent/outbox.h"
#include "agent/held.h"
#include "agent/record.h"
#include "core/base/cmd.h"

enum {
	TRIB_NEED_STATE = 1, /* cli->ctx is an opened struct trib_state, keys loaded */
	TRIB_NEED_WRITE = 2, /* the same, locked; an unfinished commit or enrolment is finished first */
	TRIB_NEED_BARE = 4,  /* but keys are not loaded, nor an enrolment finished: the command does it itself */
};

#define MAIN_REF "refs/heads/main"

static inline struct trib_state *trib_cli_state(struct trib_cli *cli) { return cli->ctx; }

int agent_cmd_init(struct trib_cli *cli);
int agent_cmd_commit(struct trib_cli *cli);
int agent_cmd_status(struct trib_cli *cli);
int agent_cmd_log(struct trib_cli *cli);
int agent_cmd_show(struct trib_cli *cli);
int agent_cmd_changeset(struct trib_cli *cli);
int agent_cmd_check(struct trib_cli *cli);
int agent_cmd_restore(struct trib_cli *cli);
int agent_cmd_enrol(struct trib_cli *cli);
int agent_cmd_push(struct trib_cli *cli);
int agent_cmd_pull(struct trib_cli *cli);
int agent_cmd_sync(struct trib_cli *cli);
int agent_cmd_watch(struct trib_cli *cli);
int agent_cmd_cert_show(struct trib_cli *cli);
int agent_cmd_cert_renew(struct trib_cli *cli);
int agent_cmd_cert_rotate(struct trib_cli *cli);
int agent_cmd_config_list(struct trib_cli *cli);
int agent_cmd_config_get(struct trib_cli *cli);
int agent_cmd_config_set(struct trib_cli *cli);
int agent_cmd_reset(struct trib_cli *cli);
int agent_cmd_bundle_create(struct trib_cli *cli);
int agent_cmd_bundle_apply(struct trib_cli *cli);
int agent_cmd_doctor(struct trib_cli *cli);

extern const struct trib_opt agent_opts_init[], agent_opts_commit[], agent_opts_log[], agent_opts_show[], agent_opts_check[], agent_opts_restore[],
	agent_opts_enrol[], agent_opts_sync[], agent_opts_bundle_create[], agent_opts_watch[], agent_opts_reset[];

/* An enrolment that was cut off after its certificates came is finished; cli->ctx is the state, opened for writing. */
int agent_finish_enrolment(struct trib_cli *cli);

/* Capture and commit, as `commit` and `sync` do it; fills cli->json and prints. *ret_changed: a commit was made. A braked capture
 * returns 0 with *ret_braked (nothing was committed, unless `report`). */
struct agent_captured {
	bool changed, braked, reported;
	uint64_t returned; /* braked because a table is again as this commit had it; 0: not so */
};
int agent_capture(struct trib_cli *cli, const char *message, bool accept_loss, bool report, struct agent_captured *ret);
/* The same for `reset`: no page is trusted unread, so that afterwards the baseline is the database and nothing else. */
int agent_capture_whole(struct trib_cli *cli, bool accept_loss, struct agent_captured *ret);

/* When the city's log last grew as this office sees it; the enrolment when it never did. */
int agent_fresh_at(struct trib_state *s, int64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* What somebody should do about this office's certificates before they end, a sentence each: an array of texts, empty as a rule. The caller owns it. */
json_t *agent_cert_warnings(struct trib_state *s, int64_t now);
/* Highest sequence number that the hub holds and that is in the city, by the receipts kept here; the out-of-step word or "". */
int agent_progress(struct trib_state *s, uint64_t *ret_held, uint64_t *ret_merged, char ret_problem[256], struct trib_err *err) TRIB_MUST_CHECK;

/* Counts of commits, summed over the parts of a group. */
struct agent_counts { struct trib_manifest m; /* only its table lines are used */ };
int agent_counts_add(struct agent_counts *sum, const struct trib_manifest *m, struct trib_err *err) TRIB_MUST_CHECK;
/* The parts of a group, first part first, for counting (twice.c). */
struct agent_parts {
	size_t n, split; /* the first `split` stand under the schema of the first; all of them: it did not change */
	const void *ctx;
	/* Its changeset, uncompressed, of no byte when it has none; valid until `keep`, which may hold it, is used again. */
	int (*changeset)(const void *ctx, size_t i, struct trib_buf *keep, struct trib_span *ret, struct trib_err *err);
};
/* Lowers the sum of a group's parts by the rows that are changed under the schema of before and changed or removed under the new one: each counts once. */
int agent_counts_once(struct agent_counts *sum, const struct agent_parts *p, struct trib_err *err) TRIB_MUST_CHECK;
int agent_counts_once_of(struct agent_counts *sum, const struct trib_capture *c, struct trib_err *err) TRIB_MUST_CHECK;
static inline void agent_counts_cleanup(struct agent_counts *c) { trib_manifest_release(&c->m); }
/* Prints lines for tables with changes and sets json "tables". */
void agent_counts_print(struct trib_cli *cli, const struct agent_counts *c);

/* Appends `text` and blanks up to `width` columns of a terminal (Chinese takes two). */
void agent_pad(struct trib_buf *b, const char *text, size_t width);
/* A name for people: what a terminal would act on becomes `?`; a bag's prefix is kept out. */
void agent_name(char *ret, size_t size, const char *folded);
/* Why a table, or rows of one, are left out, for people: in two or three words, or as a sentence says it. */
const char *agent_left_out(const char *word, bool shortly);
/* Why the full engine stepped in, for people: from a word of trib_record_reason. */
const char *agent_reason(const char *word);
/* One changed row as `show --rows` shows it, and with --json appended to `list`. */
void agent_say_change(struct trib_cli *cli, const struct trib_change *ch, const struct trib_st_table *t, json_t *list);
json_t *agent_json_time(int64_t t); /* null for 0 */
json_t *agent_json_hex(const uint8_t *p, size_t n);

#endif
