/* cmd_config.c: `config`, `doctor`: who this office is, and whether it is in order. */
#include <errno.h>
#include <sys/stat.h>

#include "agent/clocks.h"
#include "agent/commands.h"
#include "agent/link.h"
#include "agent/settings.h"
#include "agent/private.h"
#include "core/base/clock.h"

/* ---- config ---- */

#define SETTINGS_MAX 11
struct setting { const char *key; char value[4200]; };

#define TRIB_SETTING_VALUE (TRIB_VKEY_TEXT_MAX + 1)

static void put_own(const struct trib_settings *c, const char *key, char ret[TRIB_SETTING_VALUE])
{
	if (strcmp(key, "witness") == 0 && c->witness[0])
		(void)snprintf(ret, TRIB_SETTING_VALUE, "%s", c->witness);
	else if (strcmp(key, "watch") == 0 && c->watch_s)
		(void)snprintf(ret, TRIB_SETTING_VALUE, "%llu", (unsigned long long)c->watch_s);
	else
		(void)snprintf(ret, TRIB_SETTING_VALUE, "%s", strcmp(key, "fine-history") == 0 && c->fine_history ? "on" : "off");
}

static size_t settings(const struct trib_state *s, const struct trib_settings *c, struct setting ret[SETTINGS_MAX])
{
	const struct trib_node *n = &s->node;
	const struct { const char *key, *value; } all[] = {{"node", n->node}, {"app", n->app}, {"name", n->name}, {"city", n->city}, {"database", n->db_path},
							   {"hub", n->hub_url ? n->hub_url : ""}};
	size_t i = 0;
	for (; i < TRIB_COUNT(all); i++) {
		ret[i].key = all[i].key;
		(void)snprintf(ret[i].value, sizeof(ret[i].value), "%s", all[i].value);
	}
	ret[i].key = "policy";
	(void)snprintf(ret[i++].value, sizeof(ret[0].value), "%llu", (unsigned long long)n->policy);
	ret[i].key = "incarnation";
	(void)snprintf(ret[i++].value, sizeof(ret[0].value), "%llu", (unsigned long long)n->incarnation);
	static const char *const own[] = {"watch", "fine-history", "witness"};
	for (size_t k = 0; k < TRIB_COUNT(own); k++) {
		ret[i].key = own[k];
		put_own(c, own[k], ret[i++].value);
	}
	return i;
}

/* This office's own list; the city's counts beside it (`status` shows both). */
static int print_private(struct trib_cli *cli, bool alone)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list own = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_MIB);
	if (trib_private_own_names(trib_cli_state(cli), &own, &cli->err))
		return -1;
	json_t *list = json_array();
	for (size_t i = 0; i < own.n; i++) {
		char name[2 * TRIB_NAME_MAX + 2], shown[2 * TRIB_NAME_MAX + 2];
		(void)snprintf(name, sizeof(name), "%s%s%s", own.names[i].table, own.names[i].column ? "." : "", own.names[i].column ? own.names[i].column : "");
		agent_name(shown, sizeof(shown), name);
		trib_buf_printf(&text, "%s%s", i ? ", " : "", shown);
		json_array_append_new(list, trib_json_text(name));
	}
	trib_json(cli, "private", list);
	trib_say(cli, alone ? "%s\n" : "private=%s\n", trib_buf_str(&text));
	return trib_buf_check(&text, "list of private names", &cli->err);
}

static int print_settings(struct trib_cli *cli, const char *only)
{
	struct setting all[SETTINGS_MAX];
	struct trib_settings c;
	if (only && strcmp(only, "private") == 0)
		return print_private(cli, true);
	if (trib_settings_load(trib_cli_state(cli)->dir, &c, &cli->err))
		return -1;
	size_t n = settings(trib_cli_state(cli), &c, all);
	bool found = false;
	for (size_t i = 0; i < n; i++) {
		if (only && strcmp(only, all[i].key) != 0)
			continue;
		found = true;
		trib_json(cli, all[i].key, trib_json_text(all[i].value));
		if (only)
			trib_say(cli, "%s\n", all[i].value);
		else
			trib_say(cli, "%s=%s\n", all[i].key, all[i].value);
	}
	if (!only)
		return print_private(cli, false);
	return found ? 0 : trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("there is no setting %s; try: tributary-agent config list"), only);
}

int agent_cmd_config_list(struct trib_cli *cli) { return print_settings(cli, NULL); }
int agent_cmd_config_get(struct trib_cli *cli) { return print_settings(cli, cli->argv[0]); }

static int drop_name(struct trib_private_list *l, const struct trib_private_list *which, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list kept = {0};
	for (size_t i = 0; i < l->n; i++)
		if (!trib_private_has(which, l->names[i].table, l->names[i].column) && trib_private_add(&kept, l->names[i].table, l->names[i].column, err))
			return -1;
	struct trib_private_list was = *l;
	*l = kept;
	kept = was;
	return 0;
}

/* on, off or, where `most` is not 0, a number up to it. */
static int take_value(struct trib_cli *cli, const char *key, const char *text, uint64_t on, uint64_t most, uint64_t *ret)
{
	char *end = NULL;
	if (strcmp(text, "on") == 0 || strcmp(text, "off") == 0) {
		*ret = text[1] == 'n' ? on : 0;
		return 0;
	}
	errno = 0;
	unsigned long v = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
	if (!end || *end || errno || v < 1 || v > most)
		return trib_fail(&cli->err, TRIB_E_USAGE, most ? _("%s takes on, off or seconds up to %d") : _("%s takes on or off"), key, TRIB_WATCH_S_MAX);
	*ret = v;
	return 0;
}

/* `off`, or the verifier key of the witness that this office wants to see under the city's log. */
static int take_witness(struct trib_cli *cli, const char *text, struct trib_settings *c)
{
	struct trib_vkey key;
	if (strcmp(text, "off") == 0) {
		c->witness[0] = '\0';
		return 0;
	}
	if (trib_vkey_parse(trib_span_str(text), TRIB_VKEY_WITNESS, &key, &cli->err))
		return trib_ctx(&cli->err, _("witness takes off, or the verifier key that the witness itself publishes"));
	if (strcmp(c->witness, text) != 0)
		c->witness_since = trib_now();
	(void)snprintf(c->witness, sizeof(c->witness), "%s", text);
	return 0;
}

static int set_own(struct trib_cli *cli, const char *key, const char *text)
{
	struct trib_settings c;
	uint64_t v = 0;
	const char *dir = trib_cli_state(cli)->dir;
	bool watch = strcmp(key, "watch") == 0, witness = strcmp(key, "witness") == 0;
	if (trib_settings_load(dir, &c, &cli->err))
		return -1;
	if (witness ? take_witness(cli, text, &c) : take_value(cli, key, text, watch ? TRIB_WATCH_S : 1, watch ? TRIB_WATCH_S_MAX : 0, &v))
		return -1;
	if (watch)
		c.watch_s = v;
	else if (!witness)
		c.fine_history = v;
	if (!cli->dry_run && trib_settings_save(dir, &c, &cli->err))
		return -1;
	char value[TRIB_SETTING_VALUE];
	put_own(&c, key, value);
	trib_json(cli, key, json_string(value));
	trib_say(cli, "%s=%s\n", key, value);
	return 0;
}

/* `config set private X` and `config set public X`: this office's own list. The city's list counts beside it. */
int agent_cmd_config_set(struct trib_cli *cli)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list own = {0}, all = {0}, which = {0};
	TRIB_AUTO(trib_schema) struct trib_schema schema = {0};
	struct trib_state *s = trib_cli_state(cli);
	const char *key = cli->argv[0], *value = cli->argv[1];
	bool private = strcmp(key, "private") == 0;
	if (strcmp(key, "watch") == 0 || strcmp(key, "fine-history") == 0 || strcmp(key, "witness") == 0)
		return set_own(cli, key, value);
	if (!private && strcmp(key, "public") != 0)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s cannot be set; try: tributary-agent config set private TABLE.COLUMN"), key);
	if (trib_capture_inspect(s->node.db_path, &schema, &cli->err) || trib_private_own_names(s, &own, &cli->err) ||
	    trib_private_resolve(&schema, value, &which, &cli->err))
		return -1;
	if (private ? trib_private_add(&own, which.names[0].table, which.names[0].column, &cli->err) : drop_name(&own, &which, &cli->err))
		return -1;
	if (!cli->dry_run && trib_private_save_names(s, &own, &cli->err))
		return -1;
	if (trib_private_names(s, &all, &cli->err))
		return -1;
	trib_json(cli, "private", json_boolean(private || trib_private_has(&all, which.names[0].table, which.names[0].column)));
	if (private)
		trib_say(cli, _("%s will be private from the next commit on; what the city holds already stays there\n"), value);
	else if (trib_private_has(&all, which.names[0].table, which.names[0].column))
		trib_say(cli, _("%s stays private: the city's policy says so\n"), value);
	else
		trib_say(cli, _("%s will go to the city from the next commit on\n"), value);
	return 0;
}

/* ---- doctor ---- */

/* One check: says ok, or what is wrong. Counts failures. */
static void verdict(struct trib_cli *cli, const char *what, bool ok, const char *why, json_t *list, size_t *bad)
{
	*bad += !ok;
	if (ok)
		trib_say(cli, _("ok       %s\n"), what);
	else
		trib_say(cli, _("WRONG    %s: %s\n"), what, why);
	json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "check", what, "ok", ok, "why", ok ? "" : why));
}

static bool private_folder(const struct trib_state *s)
{
	static const char *const names[] = {"", "keys", "keys/sign.key", "keys/tls.key", "keys/sign.next.key", "salt", "baseline"};
	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		TRIB_AUTO(trib_mem) char *path = trib_state_path(s, names[i]);
		struct stat st;
		if (path && stat(path, &st) == 0 && (st.st_mode & 077))
			return false;
	}
	return true;
}

static bool enough_space(const struct trib_state *s)
{
	struct stat st;
	uint64_t free_bytes;
	struct trib_err none;
	if (stat(s->node.db_path, &st) || trib_fs_free(s->dir, &free_bytes, &none))
		return true; /* said by other checks */
	return free_bytes > 2 * (uint64_t)st.st_size;
}

/* What the hub says of the time comes first, then what this folder knows; by a clock that is years ahead all certificates have ended. */
static void judge_clock(struct trib_cli *cli, const struct trib_err *hub, json_t *list, size_t *bad)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_err why = *hub;
	struct trib_cert_id id;
	struct trib_err ignored;
	char here[17], until[17];
	int64_t now = trib_now();
	bool wrong = hub->code == TRIB_E_CLOCK || (trib_clocks_check(s, now, &why) && why.code == TRIB_E_CLOCK);
	if (!wrong && s->node.enrolled && trib_cert_identity(s->sign_cert, &id, &ignored) == 0 && now > id.not_after) {
		wrong = true;
		trib_time_city(here, now);
		trib_time_city(until, id.not_after);
		trib_fail(&why, TRIB_E_CLOCK, _("it says %s, and this office's signing certificate ended at %s: look at the clock first; when it is right, ask the city for a replacement slip"),
			  here, until);
	}
	verdict(cli, _("the clock is plausible"), !wrong, why.msg, list, bad);
}

static void judge_city(struct trib_cli *cli, bool reached, const struct trib_err *down, json_t *list, size_t *bad)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_cert_id id;
	struct trib_err why;
	char text[TRIB_ERR_MSG] = "";
	bool valid = trib_cert_identity(s->tls_cert, &id, &why) == 0 && id.not_after > trib_now();
	verdict(cli, _("the connection certificate is valid"), valid, _("it has expired, and is still good for a new one; try: tributary-agent sync"), list, bad);
	json_t *warnings = agent_cert_warnings(s, trib_now()), *one;
	size_t i;
	json_array_foreach(warnings, i, one)
		if (valid || i > 0) /* the first is the one above */
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", text[0] ? "; " : "", json_string_value(one));
	json_decref(warnings);
	verdict(cli, _("no certificate is about to end"), !text[0], text, list, bad);
	verdict(cli, _("the hub answers"), reached, down->msg, list, bad);
}

int agent_cmd_doctor(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_schema) struct trib_schema schema = {0};
	json_t *list = json_array();
	size_t bad = 0;
	struct trib_err why, down = {0};
	struct trib_pulled p;
	uint8_t tip[TRIB_OID_LEN];
	verdict(cli, _("the state folder is private"), private_folder(s), _("others may read it; try: chmod -R go= on it"), list, &bad);
	bool keys = trib_state_keys(s, &why) == 0 && agent_finish_enrolment(cli) == 0;
	verdict(cli, _("keys and certificates can be used"), keys, cli->err.code ? cli->err.msg : why.msg, list, &bad);
	bool db = trib_capture_inspect(s->node.db_path, &schema, &why) == 0;
	verdict(cli, _("the database can be read"), db, db ? "" : why.msg, list, &bad);
	bool ref = trib_repo_ref(s->repo, MAIN_REF, tip, &why) == 0 && memcmp(tip, s->tip.oid, sizeof(tip)) == 0;
	verdict(cli, _("history and folder stand at the same commit"), ref || !s->tip.exists, _("try: tributary-agent check"), list, &bad);
	verdict(cli, _("there is room for another copy of the database"), enough_space(s), _("free some space on this disk"), list, &bad);
	bool reached = keys && s->node.enrolled && trib_link_pull(s, &p, &down) == 0;
	if (keys)
		judge_clock(cli, &down, list, &bad);
	verdict(cli, _("the office is enrolled"), s->node.enrolled, _("try: tributary-agent enrol --slip FILE"), list, &bad);
	if (keys && s->node.enrolled)
		judge_city(cli, reached, &down, list, &bad);
	cli->err = (struct trib_err){0};
	trib_json(cli, "checks", list);
	trib_json(cli, "wrong", json_integer((json_int_t)bad));
	if (bad)
		cli->status = trib_exit_status(TRIB_E_INCOMPLETE);
	else
		trib_say(cli, "%s\n", _("Everything is in order."));
	return 0;
}
