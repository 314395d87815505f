#include "core/base/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "core/base/buf.h"

static const struct trib_opt global_opts[] = {
	{"state", 0, "DIR", N_("state folder (default: TRIBUTARY_STATE)")},
	{"config", 0, "FILE", N_("configuration file: defaults of options (default: TRIBUTARY_CONFIG)")},
	{"json", 0, NULL, N_("answer as one JSON document")},
	{"quiet", 'q', NULL, N_("no talk, only the exit status")},
	{"verbose", 'v', NULL, N_("more talk on stderr")},
	{"dry-run", 'n', NULL, N_("say what would be done, do nothing")},
	{"lang", 0, "LANG", N_("language of messages: en or zh_CN")},
	{"help", 'h', NULL, N_("show this help")},
	{"version", 0, NULL, N_("show the version")},
	{0},
};

const char *trib_cli_opt(const struct trib_cli *cli, const char *name)
{
	for (size_t i = cli->nset; i > 0; i--)
		if (strcmp(cli->set[i - 1].name, name) == 0)
			return cli->set[i - 1].value;
	return NULL;
}

void trib_say(struct trib_cli *cli, const char *fmt, ...)
{
	if (cli->json || cli->quiet)
		return;
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stdout, fmt, ap);
	va_end(ap);
}

void trib_talk(struct trib_cli *cli, const char *fmt, ...)
{
	if (cli->quiet)
		return;
	fflush(stdout);
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

void trib_json(struct trib_cli *cli, const char *key, json_t *value)
{
	if (cli->json)
		json_object_set_new(cli->json, key, value);
	else
		json_decref(value);
}

static const struct trib_opt *find_opt(const struct trib_opt *opts, const char *name, size_t n, char letter)
{
	for (; opts && opts->name; opts++)
		if (letter ? opts->letter == letter : strlen(opts->name) == n && memcmp(opts->name, name, n) == 0)
			return opts;
	return NULL;
}

static void print_opts(FILE *out, const struct trib_opt *opts)
{
	for (; opts && opts->name; opts++) {
		char left[64];
		snprintf(left, sizeof(left), "%c%c%c --%s%s%s", opts->letter ? '-' : ' ', opts->letter ? opts->letter : ' ',
			 opts->letter ? ',' : ' ', opts->name, opts->arg ? " " : "", opts->arg ? opts->arg : "");
		fprintf(out, "  %-30s %s\n", left, _(opts->help));
	}
}

static void help_all(FILE *out, const struct trib_program *p)
{
	fprintf(out, _("usage: %s [OPTIONS] COMMAND ...\n%s\n\ncommands:\n"), p->name, _(p->about));
	for (size_t i = 0; i < p->ncmds; i++)
		fprintf(out, "  %-18s %s\n", p->cmds[i].name, _(p->cmds[i].help));
	fprintf(out, "%s", _("\noptions of every command:\n"));
	print_opts(out, global_opts);
	fprintf(out, _("\n`%s COMMAND --help` explains one command.\n"), p->name);
}

static void help_one(FILE *out, const struct trib_program *p, const struct trib_cmd *c)
{
	fprintf(out, _("usage: %s %s [OPTIONS]%s%s\n%s\n"), p->name, c->name, *c->args ? " " : "", c->args, _(c->help));
	if (c->opts && c->opts->name)
		fprintf(out, "%s", _("\noptions:\n"));
	print_opts(out, c->opts);
	fprintf(out, "%s", _("\noptions of every command:\n"));
	print_opts(out, global_opts);
}

/* One or two words of argv name the command. Returns how many, 0 when none fits. */
static int match(const struct trib_program *p, int argc, char **argv, const struct trib_cmd **ret)
{
	for (size_t i = 0; i < p->ncmds; i++) {
		const char *name = p->cmds[i].name, *blank = strchr(name, ' ');
		if (!blank && strcmp(name, argv[0]) == 0) {
			*ret = &p->cmds[i];
			return 1;
		}
		if (blank && argc > 1 && strlen(argv[0]) == (size_t)(blank - name) && memcmp(name, argv[0], (size_t)(blank - name)) == 0 &&
		    strcmp(blank + 1, argv[1]) == 0) {
			*ret = &p->cmds[i];
			return 2;
		}
	}
	return 0;
}


static int set_opt(struct trib_cli *cli, const struct trib_opt *o, const char *value)
{
	if (cli->nset == TRIB_CLI_OPTS_MAX)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("too many options"));
	cli->set[cli->nset].name = o->name;
	cli->set[cli->nset++].value = value ? value : "";
	return 0;
}

static int take_long(struct trib_cli *cli, const struct trib_opt *opts, char **argv, int argc, int *i)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	const struct trib_opt *o = find_opt(global_opts, name, n, 0);
	if (!o)
		o = find_opt(opts, name, n, 0);
	if (!o)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("unknown option --%.*s"), (int)n, name);
	const char *value = eq ? eq + 1 : NULL;
	if (o->arg && !value) {
		if (*i + 1 >= argc)
			return trib_fail(&cli->err, TRIB_E_USAGE, _("option --%s needs %s"), o->name, o->arg);
		value = argv[++*i];
	} else if (!o->arg && value) {
		return trib_fail(&cli->err, TRIB_E_USAGE, _("option --%s takes no value"), o->name);
	}
	return set_opt(cli, o, value);
}

static int take_short(struct trib_cli *cli, const struct trib_opt *opts, char **argv, int argc, int *i)
{
	for (const char *c = argv[*i] + 1; *c; c++) {
		const struct trib_opt *o = find_opt(global_opts, NULL, 0, *c);
		if (!o)
			o = find_opt(opts, NULL, 0, *c);
		if (!o)
			return trib_fail(&cli->err, TRIB_E_USAGE, _("unknown option -%c"), *c);
		if (!o->arg) {
			if (set_opt(cli, o, NULL))
				return -1;
			continue;
		}
		const char *value = c[1] ? c + 1 : *i + 1 < argc ? argv[++*i] : NULL;
		if (!value)
			return trib_fail(&cli->err, TRIB_E_USAGE, _("option -%c needs %s"), *c, o->arg);
		return set_opt(cli, o, value);
	}
	return 0;
}

/* Splits argv into options and words; words stay in argv[0..argc). */
static int split(struct trib_cli *cli, const struct trib_opt *opts, int *argc, char **argv)
{
	int words = 0, n = *argc;
	bool only_words = false;
	for (int i = 0; i < n; i++) {
		if (only_words || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[words++] = argv[i];
		} else if (strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (argv[i][1] == '-') {
			if (take_long(cli, opts, argv, n, &i))
				return -1;
		} else if (take_short(cli, opts, argv, n, &i)) {
			return -1;
		}
	}
	*argc = words;
	return 0;
}

/* Length of the UTF-8 character at s (RFC 3629), 0 when there is none. */
static size_t character(const unsigned char *s)
{
	unsigned c = s[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] >= 0xa0) || (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] >= 0x90))
		return 0;
	return n;
}

bool trib_cli_is_name(const char *s)
{
	size_t k = 1;
	for (; *s && k; s += k) {
		k = character((const unsigned char *)s);
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	}
	return k != 0;
}

json_t *trib_json_text(const char *s)
{
	json_t *plain = json_string(s);
	size_t n = strlen(s), to = 0;
	char *clean = plain ? NULL : malloc(3 * n + 1);
	if (!clean)
		return plain;
	for (size_t i = 0; i < n;) {
		size_t k = character((const unsigned char *)s + i);
		memcpy(clean + to, k ? s + i : "\xef\xbf\xbd", k ? k : 3);
		to += k ? k : 3;
		i += k ? k : 1;
	}
	json_t *ret = json_stringn(clean, to);
	free(clean);
	return ret;
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);
	return n >= m && strcmp(s + n - m, tail) == 0;
}

/* The commonest mistake of an operator: the wrong user. Says whose the folder is, when it is there. */
static void say_owner(struct trib_cli *cli)
{
	struct stat st;
	size_t n = strlen(cli->err.msg);
	if (!ends_with(cli->err.msg, strerror(EACCES)) && !ends_with(cli->err.msg, strerror(EPERM)) && !ends_with(cli->err.msg, "attempt to write a readonly database"))
		return;
	bool known = cli->state && stat(cli->state, &st) == 0 && st.st_uid != geteuid();
	const struct passwd *who = known ? getpwuid(st.st_uid) : NULL;
	if (who)
		(void)snprintf(cli->err.msg + n, sizeof(cli->err.msg) - n, _("; nothing that was committed is lost; %s belongs to %s: run this as that user"), cli->state, who->pw_name);
	else
		(void)snprintf(cli->err.msg + n, sizeof(cli->err.msg) - n, _("; nothing that was committed is lost; run this as the user who owns the folder, or let that user write there"));
}

static void report(struct trib_cli *cli)
{
	fflush(stdout);
	say_owner(cli);
	int status = trib_exit_status(cli->err.code);
	if (cli->err.code == TRIB_E_NO_SPACE)
		trib_ctx(&cli->err, "%s", _("no room on a disk; nothing that was committed is lost; when there is room again, run the same command once more"));
	if (cli->json) {
		json_t *o = json_pack("{s:s, s:s, s:o, s:i}", "message_type", "error", "code", trib_code_name(cli->err.code), "message",
				      trib_json_text(cli->err.msg), "exit_code", status);
		char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
		fprintf(stderr, "%s\n", text ? text : cli->err.msg);
		free(text);
		json_decref(o);
		json_object_set_new(cli->json, "error",
				    json_pack("{s:s, s:o}", "code", trib_code_name(cli->err.code), "message", trib_json_text(cli->err.msg)));
	} else {
		fprintf(stderr, _("error [%s]: %s\n"), trib_code_name(cli->err.code), cli->err.msg);
	}
}

static int finish_stdout(struct trib_cli *cli, int status)
{
	if (cli->json) {
		json_object_set_new(cli->json, "exit_code", json_integer(status));
		json_dumpf(cli->json, stdout, JSON_INDENT(2));
		fputc('\n', stdout);
		json_decref(cli->json);
		cli->json = NULL;
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, _("error [io]: the answer could not be written: %s\n"), strerror(errno));
		return status ? status : 1;
	}
	return status;
}

static void begin_json(struct trib_cli *cli, const struct trib_program *p)
{
	char schema[96];
	(void)snprintf(schema, sizeof(schema), "%s%s%s/1", p->name, cli->cmd ? "." : "", cli->cmd ? cli->cmd->name : "");
	cli->json = json_pack("{s:s}", "schema", schema);
}

/* What is wrong with the command line may stand before --json. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

static int usage_error(struct trib_cli *cli, const struct trib_program *p)
{
	const struct trib_cmd *c = cli->cmd;
	if (cli->wants_json) {
		size_t n = strlen(cli->err.msg);
		begin_json(cli, p);
		(void)snprintf(cli->err.msg + n, sizeof(cli->err.msg) - n, _("; try: %s %s%s--help"), p->name, c ? c->name : "", c ? " " : "");
	}
	report(cli);
	if (!cli->json)
		fprintf(stderr, _("try: %s %s%s--help\n"), p->name, c ? c->name : "", c ? " " : "");
	return finish_stdout(cli, 2);
}

/* First word that is no option (or an option's value) is the verb. */
static int find_verb(const struct trib_program *p, int argc, char **argv, const struct trib_cmd **ret)
{
	for (int i = 0; i < argc; i++) {
		if (argv[i][0] == '-') {
			const struct trib_opt *o = argv[i][1] == '-' && !strchr(argv[i], '=')
							   ? find_opt(global_opts, argv[i] + 2, strlen(argv[i] + 2), 0)
							   : NULL;
			if (o && o->arg)
				i++;
			continue;
		}
		return match(p, argc - i, argv + i, ret) ? i : -2;
	}
	return -1;
}

static int run(struct trib_cli *cli, const struct trib_program *p)
{
	const struct trib_cmd *c = cli->cmd;
	if (cli->argc < c->min_args || (c->max_args >= 0 && cli->argc > c->max_args)) {
		trib_fail(&cli->err, TRIB_E_USAGE, cli->argc < c->min_args ? _("%s %s: an argument is missing") : _("%s %s: too many arguments"),
			  p->name, c->name);
		return usage_error(cli, p);
	}
	if (trib_cli_flag(cli, "json"))
		begin_json(cli, p);
	int rc = p->prepare ? p->prepare(cli) : 0;
	if (!rc)
		rc = c->run(cli);
	if (p->finish)
		p->finish(cli);
	int status = rc ? trib_exit_status(cli->err.code) : cli->status;
	if (rc && status == 0)
		status = 1;
	if (rc)
		report(cli);
	return finish_stdout(cli, status);
}

/* "node close is no command; node add, node list": what the first word does have, when it has anything. */
static void no_command(struct trib_cli *cli, const struct trib_program *p, int argc, char **argv)
{
	TRIB_AUTO(trib_buf) struct trib_buf have = TRIB_BUF(TRIB_ERR_MSG / 2);
	size_t n = strlen(argv[0]);
	for (size_t i = 0; i < p->ncmds; i++)
		if (strncmp(p->cmds[i].name, argv[0], n) == 0 && p->cmds[i].name[n] == ' ')
			trib_buf_printf(&have, "%s%s", have.len ? ", " : "", p->cmds[i].name);
	if (have.len && argc > 1)
		trib_fail(&cli->err, TRIB_E_USAGE, _("%.64s %.64s is no command; there are: %s"), argv[0], argv[1], trib_buf_str(&have));
	else if (have.len)
		trib_fail(&cli->err, TRIB_E_USAGE, _("%.64s alone is no command; there are: %s"), argv[0], trib_buf_str(&have));
	else
		trib_fail(&cli->err, TRIB_E_USAGE, _("%.64s is no command"), argv[0]);
}

/* Whoever starts us with a closed standard stream would have our messages land in the next file that we open. In its place stands one that no writing
 * (for 0: no reading) works on, so that an answer which goes nowhere is still a failure. */
static int hold_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			return -1;
	return 0;
}

/* ---- the configuration file ---- */

struct config { struct trib_cli *cli; const struct trib_program *p; };

/* COMMAND.OPTION: the command whose name it is with its blank as `-`; NULL. */
static const struct trib_opt *command_opt(const struct trib_program *p, const char *key, const struct trib_cmd **ret)
{
	const char *dot = strchr(key, '.');
	size_t n = dot ? (size_t)(dot - key) : 0;
	for (size_t i = 0; dot && i < p->ncmds; i++) {
		const char *name = p->cmds[i].name;
		size_t k = 0;
		while (k < n && name[k] && (name[k] == key[k] || (name[k] == ' ' && key[k] == '-')))
			k++;
		if (k != n || name[k])
			continue;
		*ret = &p->cmds[i];
		return find_opt(p->cmds[i].opts, dot + 1, strlen(dot + 1), 0);
	}
	return NULL;
}

/* What one does on purpose stands on the command line: nothing else is a default. */
static const struct trib_opt *global_default(const char *key)
{
	static const char *const names[] = {"state", "lang", "quiet", "verbose", "json"};
	for (size_t i = 0; i < TRIB_COUNT(names); i++)
		if (strcmp(names[i], key) == 0)
			return find_opt(global_opts, key, strlen(key), 0);
	return NULL;
}

static int set_default(struct trib_cli *cli, const struct trib_opt *o, const char *value, struct trib_err *err)
{
	if (!o->arg && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return trib_fail(err, TRIB_E_USAGE, _("%s takes yes or no"), o->name);
	if (trib_cli_flag(cli, o->name) || (!o->arg && strcmp(value, "no") == 0))
		return 0;
	char *own = strdup(value);
	if (!own)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (cli->nowned == TRIB_COUNT(cli->owned)) {
		free(own);
		return trib_fail(err, TRIB_E_USAGE, _("too many options"));
	}
	cli->owned[cli->nowned++] = own;
	if (set_opt(cli, o, own)) {
		*err = cli->err;
		return -1;
	}
	return 0;
}

static int take_default(void *ctx, const char *key, const char *value, struct trib_err *err)
{
	struct config *c = ctx;
	const struct trib_cmd *cmd = c->cli->cmd;
	const struct trib_opt *o = global_default(key);
	if (!o)
		o = command_opt(c->p, key, &cmd);
	if (!o)
		return trib_fail(err, TRIB_E_USAGE, _("%s is no option that has a default: state, lang, quiet, verbose, json, or COMMAND.OPTION"), key);
	return cmd == c->cli->cmd ? set_default(c->cli, o, value, err) : 0;
}

static int read_config(struct trib_cli *cli, const struct trib_program *p)
{
	struct config c = {cli, p};
	struct trib_err why;
	cli->config = trib_cli_opt(cli, "config");
	if (!cli->config)
		cli->config = getenv("TRIBUTARY_CONFIG");
	if (!cli->config || !*cli->config)
		return 0;
	if (!p->config || p->config(cli->config, take_default, &c, &why)) {
		if (!p->config)
			return trib_fail(&cli->err, TRIB_E_USAGE, _("this program has no configuration file"));
		cli->err = why;
		cli->err.code = why.code == TRIB_E_NOMEM ? TRIB_E_NOMEM : TRIB_E_USAGE;
		return trib_ctx(&cli->err, _("the configuration file (nothing was done)"));
	}
	/* The command line was looked at before anything was said. */
	if (trib_cli_opt(cli, "lang"))
		trib_i18n_init(trib_cli_opt(cli, "lang"));
	return 0;
}

/* The command line, the environment, the configuration file, the usual place. */
static void choose_state(struct trib_cli *cli, const struct trib_program *p, const char *given)
{
	const char *env = getenv("TRIBUTARY_STATE"), *file = trib_cli_opt(cli, "state");
	cli->state = given ? given : env && *env ? env : file ? file : p->default_state;
}

static int run_configured(struct trib_cli *cli, const struct trib_program *p)
{
	const char *given = trib_cli_opt(cli, "state");
	if (read_config(cli, p))
		return usage_error(cli, p);
	choose_state(cli, p, given);
	cli->quiet = trib_cli_flag(cli, "quiet");
	cli->verbose = trib_cli_flag(cli, "verbose");
	cli->dry_run = trib_cli_flag(cli, "dry-run");
	return run(cli, p);
}

int trib_program_main(const struct trib_program *p, int argc, char **argv)
{
	if (hold_standard_streams())
		return 1;
	struct trib_cli cli = {.program = p->name};
	const char *lang = NULL;
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--lang=", 7) == 0)
			lang = argv[i] + 7;
		else if (strcmp(argv[i], "--lang") == 0 && i + 1 < argc)
			lang = argv[i + 1];
	trib_i18n_init(lang);
	argc--;
	argv++;
	cli.wants_json = wants_json(argc, argv);
	int at = find_verb(p, argc, argv, &cli.cmd);
	if (split(&cli, cli.cmd ? cli.cmd->opts : NULL, &argc, argv))
		return usage_error(&cli, p);
	if (trib_cli_flag(&cli, "version")) {
		printf("%s %s\n", p->name, TRIB_VERSION);
		return finish_stdout(&cli, 0);
	}
	if (trib_cli_flag(&cli, "help")) {
		if (cli.cmd)
			help_one(stdout, p, cli.cmd);
		else
			help_all(stdout, p);
		return finish_stdout(&cli, 0);
	}
	if (at < 0) {
		if (at == -2)
			no_command(&cli, p, argc, argv);
		else
			trib_fail(&cli.err, TRIB_E_USAGE, _("a command is missing"));
		return usage_error(&cli, p);
	}
	int words = strchr(cli.cmd->name, ' ') ? 2 : 1;
	cli.argc = argc - words;
	cli.argv = argv + words;
	int status = run_configured(&cli, p);
	while (cli.nowned)
		free(cli.owned[--cli.nowned]);
	return status;
}
