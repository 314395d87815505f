#include <signal.h>

#include "core/base/log.h"
#include "core/format/config.h"
#include "core/store/repo.h"
#include "hub/ceremony.h"
#include "hub/commands.h"

static const struct trib_cmd commands[] = {
	{"init", "", N_("make a city: its certificate authority, keys, stores and policy"), hub_opts_init, 0, 0, 0, hub_cmd_init},
	{"serve", "", N_("run the hub in the foreground"), hub_opts_serve, 0, 0, TRIB_NEED_HUB, hub_cmd_serve},
	{"ca show", "", N_("show the certificate authority: roots, issuing certificate, whether the root key lies here"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_ca_show},
	{"ca export-root", "FILE", N_("move the root key away, to a file on a stick"), NULL, 1, 1, TRIB_NEED_HUB, hub_cmd_ca_export_root},
	{"ca renew-issuing", "", N_("make a new issuing key and certificate; all that was issued stays good"), hub_opts_ca_issuing, 0, 0, TRIB_NEED_HUB, hub_cmd_ca_renew_issuing},
	{"ca renew-root", "", N_("make a new root that the present one certifies, and an issuing certificate under it"), hub_opts_ca_root, 0, 0, TRIB_NEED_HUB, hub_cmd_ca_renew_root},
	{"node add", "ID", N_("expect a community and print its enrolment slip"), hub_opts_node_add, 1, 1, TRIB_NEED_HUB, hub_cmd_node_add},
	{"node list", "", N_("list the expected communities"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_node_list},
	{"node show", "ID", N_("show one community: certificates, history, requests"), hub_opts_node, 1, 1, TRIB_NEED_HUB, hub_cmd_node_show},
	{"node approve", "ID", N_("allow a waiting enrolment request"), hub_opts_request, 1, 1, TRIB_NEED_HUB, hub_cmd_node_approve},
	{"node reject", "ID", N_("reject a waiting enrolment request, or make unused slips void"), hub_opts_request, 1, 1, TRIB_NEED_HUB, hub_cmd_node_reject},
	{"node replace", "ID", N_("make a slip for a new machine of an enrolled community"), hub_opts_node_add, 1, 1, TRIB_NEED_HUB, hub_cmd_node_replace},
	{"node revoke", "ID", N_("revoke the certificates, slips and requests of a community; its history stays"), hub_opts_revoke, 1, 1, TRIB_NEED_HUB, hub_cmd_node_revoke},
	{"user add", "NAME", N_("make an auditor or administrator: keys and certificates in a new folder"), hub_opts_user_add, 1, 1, TRIB_NEED_HUB, hub_cmd_user_add},
	{"user list", "", N_("list the certificates of auditors and administrators"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_user_list},
	{"user revoke", "NAME", N_("revoke the certificates of an auditor or administrator"), hub_opts_user_revoke, 1, 1, TRIB_NEED_HUB, hub_cmd_user_revoke},
	{"status", "", N_("who has not reported, first; then queue, refusals and the log"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_status},
	{"checkpoint show", "", N_("print the signed checkpoint of the log"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_checkpoint_show},
	{"checkpoint verify", "[FILE]", N_("verify a signed checkpoint against the log"), NULL, 0, 1, TRIB_NEED_HUB, hub_cmd_checkpoint_verify},
	{"audit", "", N_("derive everything again from signed bytes and compare; name what is wrong and where"), hub_opts_audit, 0, 0, TRIB_NEED_HUB, hub_cmd_audit},
	{"log", "", N_("list a community's commits: when, what, and whether they are in the city"), hub_opts_log, 0, 0, TRIB_NEED_HUB, hub_cmd_log},
	{"show", "REV", N_("show one commit of a community with its counts"), hub_opts_show, 1, 1, TRIB_NEED_HUB, hub_cmd_show},
	{"restore", "", N_("make a community's database of any moment, proven, in a new file"), hub_opts_restore, 0, 0, TRIB_NEED_HUB, hub_cmd_restore},
	{"rebuild", "", N_("derive the city databases and caches again from log and histories"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_rebuild},
	{"bundle create", "FILE", N_("write the receipts of a community to a file to be carried by hand"), hub_opts_bundle, 1, 1, TRIB_NEED_HUB, hub_cmd_bundle_create},
	{"recover", "", N_("open a new epoch of the log after the hub came back from an old copy"), hub_opts_recover, 0, 0, TRIB_NEED_HUB, hub_cmd_recover},
	{"ingest", "BUNDLE", N_("take new commits of a community from its bundle, and mend damaged or missing objects of its history"), hub_opts_ingest, 1, 1, TRIB_NEED_HUB, hub_cmd_ingest},
	{"witness add", "URL VKEY", N_("ask an outside witness to cosign this city's log"), hub_opts_witness_add, 2, 2, TRIB_NEED_HUB, hub_cmd_witness_add},
	{"witness list", "", N_("list the outside witnesses: what each cosigned last, and what fails"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_witness_list},
	{"witness remove", "NAME", N_("ask a witness no more"), NULL, 1, 1, TRIB_NEED_HUB, hub_cmd_witness_remove},
	{"witness ask", "", N_("ask all witnesses now and say what they answer"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_witness_ask},
	{"witness log-key", "", N_("print this log's verifier key, which a witness must know"), NULL, 0, 0, TRIB_NEED_HUB, hub_cmd_witness_log_key},
	{"witness init", "DIR NAME", N_("make an outside witness of logs, in a folder of its own"), NULL, 2, 2, 0, hub_cmd_witness_init},
	{"witness trust", "DIR LOGKEY", N_("let this witness cosign that log"), NULL, 2, 2, 0, hub_cmd_witness_trust},
	{"witness show", "DIR", N_("show this witness: its verifier key, its logs and what it cosigned last"), NULL, 1, 1, 0, hub_cmd_witness_show},
	{"witness serve", "DIR", N_("run this witness in the foreground (C2SP tlog-witness)"), hub_opts_witness_serve, 1, 1, 0, hub_cmd_witness_serve},
};

static struct trib_hub hub;

/* What cannot be finished keeps all out but the commands of the certificate authority, which mend it. */
static int finish_ceremony(struct trib_cli *cli)
{
	bool done;
	if (trib_ceremony_finish(&hub, &done, &cli->err))
		return cli->err.code == TRIB_E_CERT && strncmp(cli->cmd->name, "ca ", 3) == 0 ? 0 : -1;
	if (!done)
		return 0;
	trib_hub_close(&hub);
	if (trib_hub_open(cli->state, &hub, &cli->err))
		return -1;
	hub.renewed = true;
	trib_talk(cli, "%s\n", _("A renewal of the city's certificates had been cut off after the log announced it: it is finished now, and its certificates are in use (tributary-hub ca show)."));
	return 0;
}

static int prepare(struct trib_cli *cli)
{
	trib_log_open("hub", cli->verbose ? TRIB_LOG_DEBUG : cli->quiet ? TRIB_LOG_ERROR : TRIB_LOG_INFO);
	if (trib_repo_lib_init(&cli->err))
		return -1;
	if (cli->cmd->needs & TRIB_NEED_HUB) {
		if (trib_hub_open(cli->state, &hub, &cli->err))
			return -1;
		cli->ctx = &hub;
		return cli->dry_run ? 0 : finish_ceremony(cli);
	}
	return 0;
}

static void finish(struct trib_cli *cli)
{
	if (cli->ctx)
		trib_hub_close(&hub);
}

int main(int argc, char **argv)
{
	static const struct trib_program program = {
		.name = "tributary-hub",
		.about = N_("The city's hub: receives, proves, merges, audits and restores the histories of its communities."),
		.cmds = commands,
		.ncmds = TRIB_COUNT(commands),
		.default_state = "/var/lib/tributary/hub",
		.config = trib_config_read,
		.prepare = prepare,
		.finish = finish,
	};
	signal(SIGPIPE, SIG_IGN);
	return trib_program_main(&program, argc, argv);
}
