/* cmd_witnesses.c: `witness add, list, remove, ask, log-key`: the outside witnesses that this hub asks. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "hub/commands.h"
#include "hub/witnesses.h"

const struct trib_opt hub_opts_witness_add[] = {
	{"ca", 0, "FILE", N_("certificates of the authorities that the witness's HTTPS is proven by (default: those of the system)")},
	{"allow-http", 0, NULL, N_("allow plain HTTP to another machine: cosignatures prove themselves, but the line may read and cut")},
	{0},
};

static const char *next_of(const struct trib_witness_peer *p) { return p->failing ? _("next: tributary-hub witness ask") : _("it is asked within two minutes"); }

static void say_one(struct trib_cli *cli, const struct trib_witness_peer *p, json_t *list)
{
	int64_t now = trib_now();
	char at[17] = "", since[17] = "", at_text[TRIB_TIME_LEN + 1] = "", since_text[TRIB_TIME_LEN + 1] = "";
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(TRIB_VKEY_TEXT_MAX);
	bool stale = trib_witness_stale(p, now);
	trib_vkey_put(&key, &p->key);
	trib_time_city(at, p->time ? p->time : p->added);
	trib_time_city(since, p->failing);
	trib_time_text(at_text, p->time);
	trib_time_text(since_text, p->failing);
	if (p->time)
		trib_say(cli, _("Witness %s: %llu leaves cosigned %s\n"), p->key.name, (unsigned long long)p->size, at);
	else
		trib_say(cli, _("Witness %s: nothing cosigned yet\n"), p->key.name);
	if (p->failing)
		trib_say(cli, _("  failing since %s: %s\n"), since, p->why);
	if (stale) {
		cli->status = trib_exit_status(TRIB_E_VERIFY);
		trib_say(cli, trib_cosig_ahead(p->time, now) ? _("  UNWITNESSED: the newest cosignature is of %s, a time still to come, so it says nothing of today; offices that pin it raise the alarm; %s\n") :
			      _("  UNWITNESSED: nothing cosigned since %s; offices that pin it raise the alarm; %s\n"), at, next_of(p));
	} else if (p->failing || !p->time) {
		trib_say(cli, "  %s\n", next_of(p));
	}
	json_array_append_new(list, json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:b}", "witness", trib_json_text(trib_buf_str(&key)), "url", trib_json_text(p->url), "size",
					      (json_int_t)p->size, "cosigned_at", p->time ? trib_json_text(at_text) : json_null(), "failing_since",
					      p->failing ? trib_json_text(since_text) : json_null(), "reason", p->failing ? trib_json_text(p->why) : json_null(), "stale", stale));
}

int hub_say_witnesses(struct trib_cli *cli)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	size_t n;
	if (trib_witnesses_load(trib_cli_hub(cli)->dir, all, &n, &cli->err))
		return -1;
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		say_one(cli, &all[i], list);
	trib_json(cli, "witnesses", list);
	return 0;
}

int hub_cmd_witness_add(struct trib_cli *cli)
{
	struct trib_witness_peer p = {.added = trib_now(), .http = trib_cli_flag(cli, "allow-http")};
	struct trib_web_url url;
	if (trib_web_url_parse(cli->argv[0], &url, &cli->err) || trib_vkey_parse(trib_span_str(cli->argv[1]), TRIB_VKEY_WITNESS, &p.key, &cli->err))
		return -1;
	if (!url.tls && !url.loopback && !p.http)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is plain HTTP to another machine; use https, or say --allow-http"), cli->argv[0]);
	(void)snprintf(p.url, sizeof(p.url), "%s", cli->argv[0]);
	if (!cli->dry_run && trib_witnesses_add(trib_cli_hub(cli), &p, trib_cli_opt(cli, "ca"), &cli->err))
		return -1;
	trib_say(cli, _("%s is asked from now on. It must know this log: tributary-hub witness log-key. Then try: tributary-hub witness ask\n"), p.key.name);
	return 0;
}

int hub_cmd_witness_list(struct trib_cli *cli)
{
	if (hub_say_witnesses(cli))
		return -1;
	if (!trib_witnesses_any(trib_cli_hub(cli)->dir))
		trib_say(cli, "%s\n", _("No outside witness is asked. Next: tributary-hub witness add URL VKEY"));
	return 0;
}

int hub_cmd_witness_remove(struct trib_cli *cli)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	size_t n, found = 0;
	if (trib_witnesses_load(trib_cli_hub(cli)->dir, all, &n, &cli->err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i].key.name, cli->argv[0]) != 0)
			continue;
		found++;
		if (!cli->dry_run && trib_witnesses_remove(trib_cli_hub(cli), &all[i], &cli->err))
			return -1;
	}
	if (!found)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("no witness %s is asked; try: tributary-hub witness list"), cli->argv[0]);
	trib_say(cli, _("%s is asked no more. Offices that pin it raise the alarm within 36 hours: tributary-agent config set witness off\n"), cli->argv[0]);
	return 0;
}

struct asked { int rc; size_t failed; struct trib_err err; };

/* In a process of its own: asking shuts it in for good. */
static int ask_apart(const struct trib_hub *hub, size_t *ret_failed, struct trib_err *err)
{
	struct asked a = {0};
	int p[2];
	if (pipe2(p, O_CLOEXEC))
		return trib_fail_errno(err, "making a pipe");
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct trib_err none;
		a.rc = trib_witnesses_ask(hub->dir, hub->origin, true, &a.failed, &a.err);
		_exit(trib_fs_write_all(p[1], trib_span(&a, sizeof(a)), &none) ? 1 : 0);
	}
	close(p[1]);
	ssize_t got = 0, n = pid < 0 ? -1 : 1;
	while (n > 0 && got < (ssize_t)sizeof(a)) {
		n = read(p[0], (char *)&a + got, sizeof(a) - (size_t)got);
		got += n > 0 ? n : 0;
		n = n < 0 && errno == EINTR ? 1 : n;
	}
	close(p[0]);
	if (pid < 0)
		return trib_fail_errno(err, "starting a process");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (got < (ssize_t)sizeof(a))
		return trib_fail(err, TRIB_E_FAILED, "the process that asks the witnesses has ended too early; what they cosigned before is kept");
	*err = a.err;
	*ret_failed = a.failed;
	return a.rc;
}

int hub_cmd_witness_ask(struct trib_cli *cli)
{
	const struct trib_hub *hub = trib_cli_hub(cli);
	size_t failed = 0;
	if (!trib_witnesses_any(hub->dir))
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("no outside witness is asked; try: tributary-hub witness add URL VKEY"));
	if (cli->dry_run) {
		trib_say(cli, "%s\n", _("would ask the witnesses"));
		return 0;
	}
	if (ask_apart(hub, &failed, &cli->err) || hub_say_witnesses(cli))
		return -1;
	if (failed && !cli->status)
		cli->status = trib_exit_status(TRIB_E_INCOMPLETE);
	if (failed)
		trib_talk(cli, _("%zu witnesses have not cosigned the published log\n"), failed);
	return 0;
}

int hub_cmd_witness_log_key(struct trib_cli *cli)
{
	const struct trib_hub *hub = trib_cli_hub(cli);
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "keys/log.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_VKEY_TEXT_MAX);
	struct trib_vkey k;
	uint8_t pub[32];
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_key_load(path, &key, &cli->err) || trib_key_ed25519_public(key, pub, &cli->err) || trib_vkey_make(hub->origin, TRIB_VKEY_LOG, pub, &k, &cli->err))
		return -1;
	trib_vkey_put(&text, &k);
	trib_say(cli, "%s\n", trib_buf_str(&text));
	trib_json(cli, "log_key", trib_json_text(trib_buf_str(&text)));
	return 0;
}
