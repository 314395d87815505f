/* cmd_witness.c: `witness init, show, trust, serve`: the witness as a program, for another organisation than the hub's. */
#include "core/base/clock.h"
#include "core/trust/tls.h"
#include "hub/commands.h"
#include "hub/witness.h"

const struct trib_opt hub_opts_witness_serve[] = {
	{"listen", 0, "ADDR:PORT", N_("address to serve on (default 127.0.0.1:8444)")},
	{"cert", 0, "FILE", N_("serve HTTPS with this certificate (PEM, with its chain)")},
	{"key", 0, "FILE", N_("its private key (PEM)")},
	{0},
};

static void say_key(struct trib_cli *cli, const struct trib_witness *w)
{
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(TRIB_VKEY_TEXT_MAX);
	trib_vkey_put(&key, &w->self);
	trib_json(cli, "witness", trib_json_text(trib_buf_str(&key)));
	trib_say(cli, "%s\n", trib_buf_str(&key));
}

int hub_cmd_witness_init(struct trib_cli *cli)
{
	TRIB_AUTO(trib_witness) struct trib_witness w = {0};
	if (!trib_cli_is_name(cli->argv[1]))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("the name is not UTF-8, or has control characters"));
	if (cli->dry_run) {
		trib_say(cli, _("would make the witness %s in %s\n"), cli->argv[1], cli->argv[0]);
		return 0;
	}
	if (trib_witness_create(cli->argv[0], cli->argv[1], &w, &cli->err))
		return -1;
	say_key(cli, &w);
	trib_talk(cli, _("This is the witness's verifier key: give it to cities, offices and auditors by a way they trust.\nNext: tributary-hub witness trust %s LOGKEY\n"), cli->argv[0]);
	return 0;
}

static int show_log(void *ctx, const struct trib_witness_log *l, struct trib_err *err)
{
	struct { struct trib_cli *cli; json_t *list; } *o = ctx;
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(TRIB_VKEY_TEXT_MAX);
	char when[17] = "", text[TRIB_TIME_LEN + 1] = "";
	(void)err;
	trib_vkey_put(&key, &l->key);
	trib_time_city(when, l->time);
	trib_time_text(text, l->time);
	if (l->time)
		trib_say(o->cli, _("%s  %llu leaves, cosigned %s\n"), l->key.name, (unsigned long long)l->size, when);
	else
		trib_say(o->cli, _("%s  nothing cosigned yet\n"), l->key.name);
	if (l->refused)
		trib_say(o->cli, "%s\n", _("  THIS LOG HAS SIGNED TWO HISTORIES: the contradicting checkpoint is kept in logs/ (*.refused); tell its offices and its auditor"));
	json_array_append_new(o->list, json_pack("{s:o, s:o, s:I, s:o, s:b}", "origin", trib_json_text(l->key.name), "key", trib_json_text(trib_buf_str(&key)), "size",
						 (json_int_t)l->size, "cosigned_at", l->time ? trib_json_text(text) : json_null(), "refused", l->refused));
	if (l->refused)
		o->cli->status = trib_exit_status(TRIB_E_VERIFY);
	return 0;
}

int hub_cmd_witness_show(struct trib_cli *cli)
{
	TRIB_AUTO(trib_witness) struct trib_witness w = {0};
	struct { struct trib_cli *cli; json_t *list; } o = {.cli = cli, .list = json_array()};
	int rc = trib_witness_open(cli->argv[0], &w, &cli->err);
	if (!rc) {
		say_key(cli, &w);
		rc = trib_witness_logs(&w, show_log, &o, &cli->err);
	}
	trib_json(cli, "logs", o.list);
	return rc;
}

int hub_cmd_witness_trust(struct trib_cli *cli)
{
	TRIB_AUTO(trib_witness) struct trib_witness w = {0};
	struct trib_vkey log;
	if (trib_witness_open(cli->argv[0], &w, &cli->err) || trib_vkey_parse(trib_span_str(cli->argv[1]), TRIB_VKEY_LOG, &log, &cli->err))
		return -1;
	if (!cli->dry_run && trib_witness_trust(&w, &log, &cli->err))
		return -1;
	trib_json(cli, "origin", trib_json_text(log.name));
	trib_say(cli, _("Checkpoints of %s are cosigned from now on as long as the log only grows.\n"), log.name);
	return 0;
}

int hub_cmd_witness_serve(struct trib_cli *cli)
{
	TRIB_AUTO(trib_witness) struct trib_witness w = {0};
	const char *listen = trib_cli_opt(cli, "listen"), *cert = trib_cli_opt(cli, "cert"), *key = trib_cli_opt(cli, "key");
	struct trib_tls_ctx *tls = NULL;
	if (!cert != !key)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--cert FILE and --key FILE belong together"));
	if (trib_witness_open(cli->argv[0], &w, &cli->err) || (cert && trib_tls_web_server_ctx(cert, key, &tls, &cli->err)))
		return -1;
	int rc = trib_witness_serve(&w, listen ? listen : "127.0.0.1:8444", tls, &cli->err);
	trib_tls_ctx_free(tls);
	return rc;
}
