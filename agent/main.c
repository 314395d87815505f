#include <signal.h>

#include "agent/commands.h"
#include "core/base/log.h"
#include "core/format/config.h"

static const struct trib_cmd commands[] = {
	{"init", "DBFILE", N_("take a database under care: verdict per table, first commit"), agent_opts_init, 1, 1, 0, agent_cmd_init},
	{"commit", "", N_("capture now"), agent_opts_commit, 0, 0, TRIB_NEED_WRITE, agent_cmd_commit},
	{"status", "", N_("what is captured, held and in the city"), NULL, 0, 0, TRIB_NEED_STATE, agent_cmd_status},
	{"log", "", N_("list the commits, newest first"), agent_opts_log, 0, 0, TRIB_NEED_STATE, agent_cmd_log},
	{"show", "REV", N_("show one commit: signer, counts per table, rows"), agent_opts_show, 1, 1, TRIB_NEED_STATE, agent_cmd_show},
	{"changeset", "REV", N_("write the plain SQLite changeset of a commit to stdout"), NULL, 1, 1, TRIB_NEED_STATE, agent_cmd_changeset},
	{"check", "", N_("verify chain, hashes, signatures and receipts"), agent_opts_check, 0, 0, TRIB_NEED_STATE, agent_cmd_check},
	{"enrol", "[URL]", N_("join the city with the slip that it gave you"), agent_opts_enrol, 0, 1, TRIB_NEED_WRITE, agent_cmd_enrol},
	{"push", "", N_("send what the hub does not hold yet"), NULL, 0, 0, TRIB_NEED_WRITE, agent_cmd_push},
	{"pull", "", N_("fetch receipts from the hub"), NULL, 0, 0, TRIB_NEED_WRITE, agent_cmd_pull},
	{"sync", "", N_("commit, push and pull: what runs every night"), agent_opts_sync, 0, 0, TRIB_NEED_WRITE, agent_cmd_sync},
	{"watch", "", N_("capture every few minutes until it is told to end; off by default"), agent_opts_watch, 0, 0, 0, agent_cmd_watch},
	{"restore", "", N_("make a database file of any moment, proven by digest"), agent_opts_restore, 0, 0, TRIB_NEED_STATE, agent_cmd_restore},
	{"reset", "", N_("say the whole database once more, for a history that is out of step; names the rows that differ"), agent_opts_reset, 0, 0, TRIB_NEED_WRITE, agent_cmd_reset},
	{"bundle create", "FILE", N_("write what the city lacks (or an encrypted copy of the private half) to a file to be carried by hand"), agent_opts_bundle_create, 1, 1,
	 TRIB_NEED_WRITE, agent_cmd_bundle_create},
	{"bundle apply", "FILE", N_("take receipts and the city's word from a file, with the checks of pull"), NULL, 1, 1, TRIB_NEED_WRITE, agent_cmd_bundle_apply},
	{"cert show", "", N_("show the certificates"), NULL, 0, 0, TRIB_NEED_STATE, agent_cmd_cert_show},
	{"cert renew", "", N_("renew the connection's certificate now (every night's run does it when it is time)"), NULL, 0, 0, TRIB_NEED_WRITE, agent_cmd_cert_renew},
	{"cert rotate", "", N_("take a new signing key into use; the old one hands over in a commit"), NULL, 0, 0, TRIB_NEED_WRITE, agent_cmd_cert_rotate},
	{"config list", "", N_("show all settings of this office"), NULL, 0, 0, TRIB_NEED_STATE, agent_cmd_config_list},
	{"config get", "KEY", N_("show one setting"), NULL, 1, 1, TRIB_NEED_STATE, agent_cmd_config_get},
	{"config set", "KEY VALUE", N_("set `private` or `public` TABLE[.COLUMN]: what never leaves this office"), NULL, 2, 2, TRIB_NEED_WRITE, agent_cmd_config_set},
	{"doctor", "", N_("check this office step by step and say what to do"), NULL, 0, 0, TRIB_NEED_WRITE | TRIB_NEED_BARE, agent_cmd_doctor},
};

static struct trib_state state = {.lock = TRIB_LOCK_INIT};

/* An enrolment that was cut off after its certificates came: the unsent commits still carry the old ones. */
int agent_finish_enrolment(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	bool stale;
	size_t n;
	if (trib_outbox_stale(s, &stale, &cli->err))
		return -1;
	if (!stale || cli->dry_run)
		return 0;
	if (trib_outbox_resign(s, &n, &cli->err))
		return -1;
	trib_talk(cli, _("%zu unsent commits were signed anew with the present certificate\n"), n);
	return 0;
}

/* A file of the state folder is missing or spoilt. (What is no folder of ours, belongs to somebody else, or is in use, is told already.) */
static int damaged(struct trib_cli *cli)
{
	enum trib_code code = cli->err.code;
	size_t n = strlen(cli->err.msg);
	if (code == TRIB_E_NOT_FOUND || code == TRIB_E_FORMAT || code == TRIB_E_VERIFY)
		(void)snprintf(cli->err.msg + n, sizeof(cli->err.msg) - n, "%s",
			       _("; the database itself is untouched, nothing was changed; bring that file back from a backup of the state folder, or ask the city for a new "
				 "slip (tributary-hub node replace) and start a new folder"));
	return -1;
}

static int prepare(struct trib_cli *cli)
{
	unsigned needs = cli->cmd->needs;
	trib_log_open("agent", cli->verbose ? TRIB_LOG_DEBUG : cli->quiet ? TRIB_LOG_ERROR : TRIB_LOG_INFO);
	if (trib_repo_lib_init(&cli->err))
		return -1;
	if (!(needs & (TRIB_NEED_STATE | TRIB_NEED_WRITE)))
		return 0;
	if (trib_state_open(cli->state, needs & TRIB_NEED_WRITE, &state, &cli->err))
		return damaged(cli);
	cli->ctx = &state;
	if (needs & TRIB_NEED_BARE)
		return 0;
	if (trib_state_keys(&state, &cli->err))
		return damaged(cli);
	return needs & TRIB_NEED_WRITE ? agent_finish_enrolment(cli) : 0;
}

static void finish(struct trib_cli *cli)
{
	if (cli->ctx)
		trib_state_close(cli->ctx);
}

int main(int argc, char **argv)
{
	static const struct trib_program program = {
		.name = "tributary-agent",
		.about = N_("Keeps the signed history of a community's database and brings it to the city's hub."),
		.cmds = commands,
		.ncmds = TRIB_COUNT(commands),
		.default_state = "/var/lib/tributary/agent",
		.config = trib_config_read,
		.prepare = prepare,
		.finish = finish,
	};
	signal(SIGPIPE, SIG_IGN);
	return trib_program_main(&program, argc, argv);
}
