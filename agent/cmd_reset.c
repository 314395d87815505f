/* cmd_reset.c: `reset`: the history says the whole database once more (D6.3).
 *
 * For an office whose history is out of step in the city, whose folder came back from an old copy, or whose state nobody trusts any more. What stands in the
 * database is committed first, as on any night and under the brake, and no page is trusted unread; then each row in which the database and what the city has of
 * it differ is named; then a commit of kind `reset` brings all rows, its digest from zero, and the city merges the net difference. Nothing that was signed before
 * is changed. What the city has is replayed from the history, not asked for: docs/decisions/0010-reset-compares.md. */
#include "agent/capture/brake.h"
#include "agent/capture/pending.h"
#include "agent/commands.h"
#include "agent/link.h"
#include "core/base/clock.h"

#define SHOWN 50

const struct trib_opt agent_opts_reset[] = {
	{"accept-loss", 0, NULL, N_("commit although the brake holds back")},
	{"engine", 0, "NAME", N_("how to find changes: auto (default: pages that changed; all rows of a table where that cannot be), or full")},
	{0},
};

/* What the database is compared with: the last commit that the city has, or will have without a reset. */
struct against {
	bool asked;   /* the hub, just now */
	bool forked;  /* it stands at a commit of another folder */
	bool heir;    /* it stands at the last commit of the machine before this one */
	bool problem; /* it merges nothing after that commit */
	bool nothing; /* it has merged none at all */
	bool held;    /* it has this one */
	uint8_t oid[TRIB_OID_LEN];
	uint64_t seq;
	uint64_t differs;
	bool unread;  /* it does not replay, so nothing could be compared */
	size_t nbraked;
};

static int say_rows(struct trib_cli *cli, const struct trib_part *p, uint64_t *n, json_t *list)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(trib_buf_span(&p->changeset));
	struct trib_change ch;
	int row;
	if (!r)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_schematext_parse(trib_buf_span(&p->schema), &schema, &cli->err))
		return -1;
	while ((row = trib_cs_next(r, &ch, &cli->err)) > 0)
		if (++*n <= SHOWN)
			agent_say_change(cli, &ch, trib_schematext_find(&schema, ch.table->name), list);
	return row;
}

/* A return to an old state, or a new machine's small one, would take away what the city has: rows lost against that count as on any night. */
static int brake(struct trib_cli *cli, sqlite3 *was, struct trib_capture *c, struct against *a)
{
	TRIB_AUTO(trib_tally) struct trib_tally t = {0};
	if (!a->forked && !a->heir)
		return 0;
	if (trib_tally_parts(trib_cli_state(cli), c, &t, &cli->err) || trib_brake(was, c, &t, &cli->err))
		return -1;
	for (size_t i = 0; i < c->nbraked; i++) {
		char name[TRIB_NAME_MAX + 1];
		agent_name(name, sizeof(name), c->braked[i].table);
		trib_say(cli, _("braked: table %s would lose %llu rows\n"), name, (unsigned long long)c->braked[i].lost);
	}
	a->nbraked = c->nbraked;
	return 0;
}

/* Rows that the replayed history and the database do not share: from the first to the second. */
static int compare(struct trib_cli *cli, const char *replayed, struct against *a, json_t *list)
{
	TRIB_AUTO(trib_db) sqlite3 *was = NULL;
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	TRIB_AUTO(trib_delta) struct trib_delta now = {.fd = -1};
	sqlite3 *is = NULL;
	struct trib_state *s = trib_cli_state(cli);
	struct trib_err *err = &cli->err;
	uint64_t pages;
	/* What stands in the database is the baseline, once it is committed. */
	if (cli->dry_run ? trib_snapshot(s, &now, &pages, err) || trib_delta_open_new(s, &now, &is, err) : trib_delta_open_old(s, &is, err))
		return -1;
	int rc = sqlite3_open_v2(replayed, &was, (a->nothing ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX, NULL)
			 ? trib_db_fail(err, was, replayed)
			 : 0;
	if (!rc)
		rc = trib_capture_between(was, is, &c, err) || brake(cli, was, &c, a) ? -1 : 0;
	for (size_t i = 0; i < c.nparts && !rc; i++)
		if (c.parts[i].changeset.len)
			rc = say_rows(cli, &c.parts[i], &a->differs, list);
	sqlite3_close(is);
	return rc;
}

/* Commit #seq of this folder's own history. */
static int own_commit(struct trib_state *s, struct against *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t (*chain)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	if (trib_repo_chain(s->repo, s->tip.oid, NULL, SIZE_MAX, &chain, &n, err))
		return -1;
	if (a->seq == 0 || a->seq > n)
		return trib_fail(err, TRIB_E_VERIFY, "there is no commit #%llu here; try: tributary-agent check", (unsigned long long)a->seq);
	memcpy(a->oid, chain[a->seq - 1], TRIB_OID_LEN);
	return 0;
}

/* A hub that cannot be reached keeps no office from a reset: then the receipts that are here say how far the city came. */
static int find_against(struct trib_cli *cli, struct against *a)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_stand stand = {0};
	struct trib_pulled p = {0};
	struct trib_err why;
	if (s->node.enrolled) {
		a->asked = trib_link_stand(s, &stand, &why) == 0 && (stand.forked || stand.heir || trib_link_pull(s, &p, &why) == 0);
		if (!a->asked)
			trib_talk(cli, _("the hub was not asked where it stands: %s\n"), why.msg);
	}
	a->forked = a->asked && stand.forked;
	a->heir = a->asked && stand.heir;
	if (!a->asked && s->node.enrolled && trib_link_progress(s, &p, &cli->err))
		return -1;
	if (a->forked && s->private_tip.exists)
		return trib_fail(&cli->err, TRIB_E_FORK, TRIB_FOLLOW_PRIVATE);
	if (a->forked || a->heir) {
		a->seq = stand.seq;
		memcpy(a->oid, stand.oid, TRIB_OID_LEN);
		return 0;
	}
	a->problem = p.problem[0] != '\0';
	a->nothing = a->problem && p.merged_seq == 0;
	a->held = !a->problem && p.held_seq > 0 && p.held_seq <= s->tip.seq;
	a->seq = a->problem ? p.merged_seq : a->held ? p.held_seq : s->tip.seq;
	memcpy(a->oid, s->tip.oid, TRIB_OID_LEN);
	return (a->problem && !a->nothing) || a->held ? own_commit(s, a, &cli->err) : 0;
}

static void say_against(struct trib_cli *cli, const struct against *a, json_t *list)
{
	unsigned long long n = a->differs, seq = a->seq;
	if (n > SHOWN)
		trib_say(cli, _("  and %llu more rows\n"), n - SHOWN);
	if (a->unread)
		;
	else if (a->forked)
		trib_say(cli, _("%llu rows differ between #%llu, where the hub stands by another folder of this office, and the database\n"), n, seq);
	else if (a->heir)
		trib_say(cli, _("%llu rows differ between #%llu, the last commit of the machine before this one, and the database\n"), n, seq);
	else if (a->problem)
		trib_say(cli, _("%llu rows differ between #%llu, the last commit that the city took in, and the database\n"), n, seq);
	else if (n && a->held)
		trib_say(cli, _("%llu rows differ between #%llu, the last commit that the city has, and the database\n"), n, seq);
	else
		trib_say(cli, n ? _("%llu rows differ between the history and the database\n") : _("the history replays to exactly this database (%llu rows differ)\n"), n);
	trib_json(cli, "hub_asked", json_boolean(a->asked));
	trib_json(cli, "forked", json_boolean(a->forked));
	trib_json(cli, "new_machine", json_boolean(a->heir));
	trib_json(cli, "out_of_step", json_boolean(a->problem));
	trib_json(cli, "compared_with", a->unread ? json_null() : json_integer((json_int_t)seq));
	trib_json(cli, "differs", a->unread ? json_null() : json_integer((json_int_t)n));
	trib_json(cli, "rows", list);
	trib_json(cli, "rows_left_out", json_integer(n > SHOWN ? (json_int_t)(n - SHOWN) : 0));
}

static int name_differences(struct trib_cli *cli, struct against *a)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_restored) struct trib_restored done = {0};
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "reset.tmp.db");
	struct trib_err why, ignored;
	uint8_t forked[TRIB_OID_LEN];
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (!a->asked && trib_repo_ref(s->repo, TRIB_REF_FORKED, forked, &ignored) == 0)
		return trib_fail(&cli->err, TRIB_E_UNREACHABLE, _("the city's last word showed that this folder is an old copy or a clone: a reset must go on from where the hub stands, and that "
								  "needs a line to it; nothing was changed by the reset; or ask for a replacement slip (tributary-hub node replace)"));
	if (trib_fs_remove(path, &cli->err) || trib_held_load(s, false, &r, &cli->err))
		return -1;
	struct trib_history h = trib_own_history(s, &r);
	if (a->forked || a->heir) {
		h.ref = TRIB_REF_OTHER;
		h.private_repo = NULL;
	}
	json_t *list = json_array();
	a->unread = !a->nothing && trib_replay_to_file(&h, a->oid, NULL, path, &done, &why);
	bool trouble = a->unread && (why.code == TRIB_E_NO_SPACE || why.code == TRIB_E_IO || why.code == TRIB_E_NOMEM);
	if (trouble)
		cli->err = why;
	else if (a->unread)
		trib_say(cli, _("the history does not replay (%s); a reset begins anew all the same\n"), why.msg);
	int rc = trouble ? -1 : a->unread ? 0 : compare(cli, path, a, list);
	if (trib_fs_remove(path, &ignored))
		trib_talk(cli, _("%s is left behind\n"), path);
	say_against(cli, a, list);
	return rc;
}

/* The other folder's receipts first: what they are for is the hub's, and never made anew here. */
static int make(struct trib_cli *cli, const struct against *a, struct trib_capture *c, struct trib_committed *ret)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_pulled p;
	char aside[64] = "";
	if (!a->forked)
		return trib_outbox_reset(s, c, ret, &cli->err);
	if (trib_link_pull(s, &p, &cli->err) || trib_outbox_follow(s, a->oid, c, aside, ret, &cli->err) || trib_outbox_unforked(s, &cli->err))
		return -1;
	trib_say(cli, _("this folder goes on after #%llu; its own commits that the city never had stay in repo.git as %s\n"), (unsigned long long)a->seq, aside);
	trib_json(cli, "aside", trib_json_text(aside));
	return 0;
}

/* What a new machine's first push does by itself, but where a person has looked. All that was committed here follows. */
static int succeed(struct trib_cli *cli, const struct against *a, bool accept)
{
	struct trib_state *s = trib_cli_state(cli);
	if (trib_repo_ref_set(s->repo, TRIB_REF_BEFORE, a->oid, &cli->err) || trib_outbox_succeed(s, a->oid, accept, &cli->err))
		return -1;
	trib_say(cli, _("this folder goes on after #%llu with a reset, and stands at #%llu. The city merges what differs when it is pushed: tributary-agent push\n"),
		 (unsigned long long)a->seq, (unsigned long long)s->tip.seq);
	trib_json(cli, "seq", json_integer((json_int_t)s->tip.seq));
	return 0;
}

int agent_cmd_reset(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	bool accept = trib_cli_flag(cli, "accept-loss");
	struct agent_captured got;
	struct trib_committed done;
	struct against a = {0};
	if (agent_capture_whole(cli, accept, &got))
		return -1;
	if (!got.braked && (find_against(cli, &a) || name_differences(cli, &a)))
		return -1;
	if (got.braked || (!accept && (a.nbraked || (a.forked && a.unread))))
		return trib_fail(&cli->err, TRIB_E_BRAKE, _("so many rows are gone that a person should look first. The database and the history are as they were. If it is "
							    "right: tributary-agent reset --accept-loss"));
	if (cli->dry_run) {
		trib_say(cli, "%s\n", _("would make a reset: all rows of the database once more"));
		return 0;
	}
	if (a.heir)
		return succeed(cli, &a, accept);
	if (trib_capture_afresh(s, &c, &cli->err) || make(cli, &a, &c, &done))
		return -1;
	trib_say(cli, _("reset #%llu: %llu rows. The city merges what differs when it is pushed: tributary-agent push\n"), (unsigned long long)done.last_seq,
		 (unsigned long long)done.inserted);
	trib_json(cli, "seq", json_integer((json_int_t)done.last_seq));
	trib_json(cli, "inserted", json_integer((json_int_t)done.inserted));
	return 0;
}
