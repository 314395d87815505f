/* cmd_sync.c: `enrol`, `push`, `pull`, `sync`: the office and its city. */
#include "agent/clocks.h"
#include "agent/commands.h"
#include "agent/link.h"
#include "agent/pin.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/format/enrol.h"

#define SLIP_MAX (8 * TRIB_KIB)
#define POLL_S 2        /* between two questions of `enrol --wait` */
#define MERGE_WAIT_MS 5000
#define MERGE_POLL_MS 500

const struct trib_opt agent_opts_enrol[] = {
	{"slip", 0, "FILE", N_("the enrolment slip from the city")},
	{"wait", 0, "SECONDS", N_("wait so long for the city's approval (default: do not wait)")},
	{"url", 0, "URL", N_("the hub's address, when it is another than the slip's and not given as URL")},
	{0},
};
const struct trib_opt agent_opts_sync[] = {
	{"if-due", 0, NULL, N_("only when tonight's run has not been yet: for timers")},
	{"engine", 0, "NAME", N_("how to find changes: auto (default: pages that changed; all rows of a table where that cannot be), or full")},
	{0},
};

static void sleep_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
}

/* ---- enrol ---- */

static int parse_wait(struct trib_cli *cli, int64_t *ret)
{
	const char *text = trib_cli_opt(cli, "wait");
	char *end = NULL;
	long v = text ? strtol(text, &end, 10) : 0;
	if (v < 0 || v > 86400 || (text && (!*text || *end)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--wait takes 0 to 86400 seconds"));
	*ret = v;
	return 0;
}

/* Asks until the certificates are there, the time is over, or the hub says no. */
static int ask(struct trib_cli *cli, struct trib_span slip, int64_t wait_s, bool *ret_issued)
{
	const char *url = cli->argc ? cli->argv[0] : trib_cli_opt(cli, "url");
	int64_t end = trib_mono_ms() + wait_s * 1000;
	for (bool said = false;;) {
		if (trib_link_enrol(trib_cli_state(cli), url, slip, ret_issued, &cli->err))
			return -1;
		if (*ret_issued || trib_mono_ms() >= end)
			return 0;
		if (!said)
			trib_talk(cli, "%s\n", _("the request is at the hub; waiting for the city to allow it"));
		said = true;
		sleep_ms(POLL_S * 1000);
	}
}

int agent_cmd_enrol(struct trib_cli *cli)
{
	const char *file = trib_cli_opt(cli, "slip");
	TRIB_AUTO(trib_buf) struct trib_buf slip = TRIB_BUF(SLIP_MAX);
	struct trib_state *s = trib_cli_state(cli);
	int64_t wait_s;
	bool issued = false, before = s->node.enrolled;
	size_t n = 0;
	if (!file)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--slip FILE is missing: the enrolment slip that the city gave you"));
	if (parse_wait(cli, &wait_s))
		return -1;
	struct trib_slip form;
	if (trib_fs_read(file, &slip, &cli->err) || trib_slip_parse(trib_buf_span(&slip), &form, &cli->err))
		return trib_ctx(&cli->err, _("%s is no enrolment slip (nothing was changed; the city makes one with: tributary-hub node add)"), file);
	if (cli->dry_run) {
		trib_say(cli, _("would ask %s for certificates of %s/%s\n"), cli->argc ? cli->argv[0] : trib_cli_opt(cli, "url") ? trib_cli_opt(cli, "url") : form.url, form.node, form.app);
		return 0;
	}
	if (ask(cli, trib_buf_span(&slip), wait_s, &issued))
		return -1;
	trib_json(cli, "status", trib_json_text(issued ? "issued" : "pending"));
	if (!issued) {
		cli->status = trib_exit_status(TRIB_E_INCOMPLETE);
		char sum[TRIB_REQUEST_SUM + 1];
		if (trib_link_request_sum(s, sum, &cli->err))
			return -1;
		trib_json(cli, "request", json_string(sum));
		trib_say(cli, _("The request %s is at the hub and waits for the city's approval: call the city, and compare these words. Then run again: tributary-agent enrol --slip %s\n"),
			 sum, file);
		return 0;
	}
	if (trib_outbox_resign(s, &n, &cli->err))
		return trib_ctx(&cli->err, _("enrolled; signing the earlier commits anew failed (the next command tries again)"));
	trib_json(cli, "city", trib_json_text(s->node.city));
	trib_json(cli, "name", trib_json_text(s->node.name));
	trib_json(cli, "signed_anew", json_integer((json_int_t)n));
	if (before)
		trib_say(cli, _("%s is enrolled with %s already, with this slip; nothing was sent. Next: tributary-agent sync\n"), s->node.name, s->node.city);
	else
		trib_say(cli, _("%s is enrolled with %s; %zu earlier commits were signed anew. Next: tributary-agent sync\n"), s->node.name, s->node.city, n);
	return 0;
}

/* ---- push and pull ---- */

static int must_be_enrolled(struct trib_cli *cli)
{
	if (trib_cli_state(cli)->node.enrolled)
		return 0;
	return trib_fail(&cli->err, TRIB_E_CERT, _("this office is not enrolled with a city yet; everything is kept here; next: tributary-agent enrol --slip FILE"));
}

static void json_pulled(struct trib_cli *cli, const struct trib_pulled *p)
{
	trib_json(cli, "held", json_integer((json_int_t)p->held_seq));
	trib_json(cli, "merged", json_integer((json_int_t)p->merged_seq));
	trib_json(cli, "checkpoint", json_integer((json_int_t)p->checkpoint_size));
	trib_json(cli, "problem", p->problem[0] ? trib_json_text(p->problem) : json_null());
}

/* Of a history that is out of step a reset is good news to wait for, and nothing else is. */
static bool hopeless(const struct trib_state *s, const struct trib_pulled *p)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_err ignored;
	return p->problem[0] && (trib_commit_read(s->repo, s->tip.oid, &c, &ignored) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, &ignored) || m.kind != TRIB_KIND_RESET);
}

/* The hub merges within seconds; waiting a little lets this run end with the good news. Not hearing it is no error. */
static void wait_for_merge(struct trib_cli *cli, struct trib_pulled *p)
{
	struct trib_state *s = trib_cli_state(cli);
	int64_t end = trib_mono_ms() + MERGE_WAIT_MS;
	struct trib_err ignored;
	struct trib_pulled now;
	while (p->merged_seq < s->tip.seq && !hopeless(s, p) && trib_mono_ms() < end) {
		sleep_ms(MERGE_POLL_MS);
		if (trib_link_pull(s, &now, &ignored))
			return;
		*p = now;
	}
}

static void say_epoch(struct trib_cli *cli, const char *origin)
{
	if (!origin[0])
		return;
	trib_json(cli, "new_epoch", trib_json_text(origin));
	trib_say(cli, _("The hub came back from an old copy; an administrator let its log go on as %s. What it had lost was sent again or waits for the next run.\n"), origin);
}

static void say_squashed(struct trib_cli *cli, const struct trib_pushed *p)
{
	trib_json(cli, "made_anew", json_integer((json_int_t)p->apart));
	if (p->apart)
		trib_say(cli, _("%zu unsent commits became one: they held what is private by now\n"), p->apart);
	trib_json(cli, "squashed", json_integer((json_int_t)p->squashed.captures));
	if (p->squashed.captures)
		trib_say(cli, _("%zu captures of `watch` became %zu commits\n"), p->squashed.captures, p->squashed.commits);
	if (p->not_squashed[0])
		trib_talk(cli, _("the captures of `watch` were sent one by one: %s\n"), p->not_squashed);
}

/* Old receipts that wait for the next run are no news; that the hub refuses them is. */
static void say_reported(struct trib_cli *cli, const struct trib_pushed *p)
{
	if (p->not_reported != TRIB_OK)
		trib_log(TRIB_LOG_INFO, "%s", p->not_reported_why);
	if (p->not_reported != TRIB_E_REFUSED)
		return;
	cli->status = trib_exit_status(TRIB_E_REFUSED);
	trib_json(cli, "old_receipts", trib_json_text(p->not_reported_why));
	trib_talk(cli, _("the hub did not take this office's receipts of its log before: %s (call the city; the commits themselves are there)\n"), p->not_reported_why);
}

/* After a failed or fruitless exchange: is it more than a bad line? Receipts that do not come for so long are a hub that hides something (D7.5). `night`: so is a line
 * that is down for so long, for whoever drops connections must not keep the timer's exit status from being an alarm. */
static int frozen(struct trib_cli *cli, bool night)
{
	struct trib_err none;
	int64_t fresh_at;
	char when[17];
	if (agent_fresh_at(trib_cli_state(cli), &fresh_at, &none) || !trib_stale(fresh_at, trib_now()))
		return -1;
	trib_time_city(when, fresh_at);
	if (cli->err.code == TRIB_E_INCOMPLETE || night)
		cli->err.code = TRIB_E_VERIFY;
	return trib_ctx(&cli->err, _("the city's log shows nothing new since %s: call the city; everything is safe here"), when);
}

/* Certificates are refused when a clock is wrong: then that is the error. */
static void blame_clock(struct trib_cli *cli)
{
	struct trib_err why;
	if (cli->err.code != TRIB_E_CERT || !trib_clocks_check(trib_cli_state(cli), trib_now(), &why) || why.code != TRIB_E_CLOCK)
		return;
	cli->err.code = TRIB_E_CLOCK;
	trib_ctx(&cli->err, "%s", why.msg);
}

/* `status` goes on telling it. A hub that has not given all receipts yet has answered: what waits is told as that. */
static int not_sent(struct trib_cli *cli, bool night)
{
	if (cli->err.code == TRIB_E_INCOMPLETE || cli->err.code == TRIB_E_UNREACHABLE)
		(void)frozen(cli, night);
	blame_clock(cli);
	if (cli->err.code == TRIB_E_INCOMPLETE)
		trib_record_success(trib_cli_state(cli), TRIB_DEED_EXCHANGE);
	else
		trib_record_failure(trib_cli_state(cli), TRIB_DEED_EXCHANGE, &cli->err);
	return trib_ctx(&cli->err, _("nothing is lost: what was not sent waits for the next run"));
}

/* All went well, and still somebody should see to it: certificates that end, a clock that is wrong. */
static void say_warnings(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	json_t *list = agent_cert_warnings(s, trib_now()), *one;
	struct trib_err why;
	size_t i;
	json_array_foreach(list, i, one)
		trib_talk(cli, _("warning: %s\n"), json_string_value(one));
	trib_json(cli, "warnings", list);
	if (!trib_clocks_check(s, trib_now(), &why) || why.code != TRIB_E_CLOCK)
		return;
	cli->status = cli->status ? cli->status : trib_exit_status(TRIB_E_CLOCK);
	trib_json(cli, "clock", trib_json_text(why.msg));
	trib_talk(cli, _("warning: %s\n"), why.msg);
}

static int send(struct trib_cli *cli, bool night, struct trib_pushed *pushed, struct trib_pulled *p)
{
	struct trib_state *s = trib_cli_state(cli);
	if (trib_link_push(s, cli->quiet || cli->json, pushed, &cli->err))
		return not_sent(cli, night);
	trib_record_success(s, TRIB_DEED_EXCHANGE);
	say_squashed(cli, pushed);
	if (trib_link_progress(s, p, &cli->err))
		return -1;
	say_epoch(cli, pushed->new_epoch);
	say_reported(cli, pushed);
	wait_for_merge(cli, p);
	trib_json(cli, "pushed", json_integer((json_int_t)pushed->commits));
	trib_json(cli, "bytes", json_integer((json_int_t)pushed->bytes));
	json_pulled(cli, p);
	return 0;
}

/* After everything was sent: a dead witness stops no office, but somebody must know. */
static int pin_alarm(struct trib_cli *cli) { return trib_pin_check(trib_cli_state(cli), trib_now(), &cli->err) ? trib_ctx(&cli->err, "%s", _("call the city")) : 0; }

/* What a clerk reads at the end. */
static int say_end(struct trib_cli *cli, const struct trib_pulled *p)
{
	struct trib_state *s = trib_cli_state(cli);
	char when[17];
	trib_time_city(when, s->tip.captured_at);
	if (p->problem[0])
		return trib_fail(&cli->err, TRIB_E_OUT_OF_STEP, _("the hub holds everything up to %s, but the city stopped taking it in (%s): call the city"), when, p->problem);
	if (p->merged_seq >= s->tip.seq)
		trib_say(cli, _("Everything up to %s is at the city hub and in the city's database.\n"), when);
	else
		trib_say(cli, _("Everything up to %s is at the city hub.\n"), when);
	return pin_alarm(cli);
}

/* What waits, by the receipts that are here. */
static int would_send(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_pulled p;
	if (trib_link_progress(s, &p, &cli->err))
		return -1;
	uint64_t n = p.held_seq < s->tip.seq ? s->tip.seq - p.held_seq : 0;
	trib_json(cli, "held", json_integer((json_int_t)p.held_seq));
	trib_json(cli, "would_send", json_integer((json_int_t)n));
	if (n)
		trib_say(cli, _("would send the commits after #%llu up to #%llu\n"), (unsigned long long)p.held_seq, (unsigned long long)s->tip.seq);
	else
		trib_say(cli, _("no commit waits to be sent: the hub holds them up to #%llu\n"), (unsigned long long)s->tip.seq);
	return 0;
}

int agent_cmd_push(struct trib_cli *cli)
{
	struct trib_pushed pushed;
	struct trib_pulled p;
	if (must_be_enrolled(cli))
		return -1;
	if (cli->dry_run)
		return would_send(cli);
	if (send(cli, false, &pushed, &p))
		return -1;
	say_warnings(cli);
	return say_end(cli, &p);
}

int agent_cmd_pull(struct trib_cli *cli)
{
	struct trib_pulled p;
	struct trib_state *s = trib_cli_state(cli);
	if (must_be_enrolled(cli))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, "%s\n", _("would fetch receipts from the hub"));
		trib_json(cli, "would_fetch", json_true());
		return 0;
	}
	if (trib_link_pull(s, &p, &cli->err)) {
		blame_clock(cli);
		trib_record_failure(s, TRIB_DEED_EXCHANGE, &cli->err);
		return -1;
	}
	if (p.held_seq >= s->tip.seq) /* what a push failed at may still wait */
		trib_record_success(s, TRIB_DEED_EXCHANGE);
	say_epoch(cli, p.new_epoch);
	json_pulled(cli, &p);
	trib_json(cli, "new_receipts", json_integer((json_int_t)p.new_receipts));
	trib_say(cli, _("%llu new receipts; held up to #%llu, in the city up to #%llu\n"), (unsigned long long)p.new_receipts, (unsigned long long)p.held_seq,
		 (unsigned long long)p.merged_seq);
	return pin_alarm(cli);
}

/* ---- sync ---- */

static bool is_due(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	int64_t now = trib_now(), last = trib_record_last_sync(s);
	char when[17];
	/* One that is still to come was made by a wrong clock, and tells nothing of tonight. */
	if (!trib_cli_flag(cli, "if-due") || last < trib_slot_before(s, now) || last > now)
		return true;
	trib_time_city(when, trib_slot_after(s, now));
	trib_say(cli, _("tonight's run has been; the next one is due at %s\n"), when);
	trib_json(cli, "outcome", json_string("not-due"));
	return false;
}

/* A database that is locked tonight does not keep back what waits from yesterday: the capture's error is reported at the end. */
static int send_in_spite(struct trib_cli *cli)
{
	struct trib_err keep = cli->err;
	struct trib_pushed pushed;
	struct trib_pulled p;
	struct trib_state *s = trib_cli_state(cli);
	if (s->node.enrolled && s->tip.exists && send(cli, true, &pushed, &p) == 0)
		trib_talk(cli, "%s\n", _("what was committed before is at the hub; tonight's capture failed"));
	cli->err = keep;
	return -1;
}

/* This run sets it right when the clock is right by now; so it is told at once. */
static void say_turned_back(struct trib_cli *cli)
{
	int64_t now = trib_now(), ahead = trib_clocks_ahead(trib_cli_state(cli), now);
	char here[17], there[17];
	if (!ahead)
		return;
	trib_time_city(here, now);
	trib_time_city(there, ahead);
	trib_talk(cli, _("at the last run this computer's clock said %s, and now it says %s: it was wrong then, or is wrong now\n"), there, here);
}

int agent_cmd_sync(struct trib_cli *cli)
{
	struct agent_captured got;
	struct trib_pushed pushed;
	struct trib_pulled p;
	struct trib_state *s = trib_cli_state(cli);
	if (trib_cli_flag(cli, "if-due") && !cli->dry_run && trib_record_timer(s, trib_now(), &cli->err))
		trib_log(TRIB_LOG_WARN, "%s", cli->err.msg); /* `status` knows less; the night's work goes on */
	if (!is_due(cli))
		return 0;
	say_turned_back(cli);
	if (agent_capture(cli, NULL, false, true, &got))
		return cli->dry_run ? -1 : send_in_spite(cli);
	if (cli->dry_run)
		return s->node.enrolled && s->tip.exists ? would_send(cli) : 0;
	if (must_be_enrolled(cli) || send(cli, true, &pushed, &p) || trib_record_sync(s, trib_now(), &cli->err))
		return -1;
	say_warnings(cli);
	if (got.braked && got.returned)
		return trib_fail(&cli->err, TRIB_E_BRAKE, _("the city was told, but today's changes are held back: an old copy was put back (restored from #%llu), and a person "
							    "should look first. If it is right: tributary-agent commit --accept-loss"), (unsigned long long)got.returned);
	if (got.braked)
		return trib_fail(&cli->err, TRIB_E_BRAKE, _("the city was told, but today's changes are held back: so many rows are gone that a person should look first. If it is "
							    "right: tributary-agent commit --accept-loss"));
	return say_end(cli, &p);
}
