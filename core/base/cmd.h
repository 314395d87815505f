/* cmd.h: the declarative command table of both programs (STYLE habits 18, 19).
 *
 * One table gives dispatch, help, preconditions' flags, the man synopsis and shell completion. A command gets a `trib_cli` with the
 * parsed global options; it prints its answer with trib_say (text) or fills cli->json (with --json), and returns 0, or -1 with
 * cli->err. stdout is the answer, stderr is talk. With --json stdout is one document in any case, also of a wrong command line: "schema", on failure
 * "error" {code, message}, and "exit_code". */
#ifndef TRIB_CMD_H
#define TRIB_CMD_H

#include <jansson.h>

#include "core/base/err.h"
#include "core/base/i18n.h"

struct trib_opt {
	const char *name; /* long name without dashes */
	char letter;      /* 0: none */
	const char *arg;  /* NULL: a flag; else the argument's name in help */
	const char *help; /* N_() */
};

struct trib_cli;

struct trib_cmd {
	const char *name;            /* "commit", or two words: "node add" */
	const char *args;            /* synopsis of positional arguments, "" when none */
	const char *help;            /* N_() one line */
	const struct trib_opt *opts; /* ends with a zero name */
	int min_args, max_args;      /* positional; max -1 = any */
	unsigned needs;              /* program's own flags, enforced by its `prepare` */
	int (*run)(struct trib_cli *cli);
};

#define TRIB_CLI_OPTS_MAX 32

struct trib_cli {
	const char *program;
	const struct trib_cmd *cmd;
	const char *state;       /* --state, TRIBUTARY_STATE or the default */
	const char *config;      /* --config, TRIBUTARY_CONFIG or NULL */
	bool quiet, dry_run;
	bool wants_json;         /* before the options are understood */
	int verbose;
	json_t *json;            /* an object to fill, or NULL in text mode */
	int argc;                /* positional arguments after the verb */
	char **argv;
	struct trib_err err;
	int status;              /* exit status to use on success when not 0 (3: incomplete) */
	bool incomplete_said;
	struct { const char *name, *value; } set[TRIB_CLI_OPTS_MAX];
	size_t nset;
	char *owned[TRIB_CLI_OPTS_MAX]; /* values that the configuration file gave */
	size_t nowned;
	void *ctx;               /* the program's own */
};

/* The value of an option ("" for a flag that was given), NULL when absent. */
const char *trib_cli_opt(const struct trib_cli *cli, const char *name);
static inline bool trib_cli_flag(const struct trib_cli *cli, const char *name) { return trib_cli_opt(cli, name) != NULL; }
/* Prints to stdout in text mode, unless --quiet. */
void trib_say(struct trib_cli *cli, const char *fmt, ...) TRIB_PRINTF(2, 3);
/* Talk on stderr (both modes), unless --quiet. */
void trib_talk(struct trib_cli *cli, const char *fmt, ...) TRIB_PRINTF(2, 3);
/* Sets cli->json[key] when in JSON mode; steals `value` in both modes. */
void trib_json(struct trib_cli *cli, const char *key, json_t *value);

/* True when `s` is UTF-8 without control characters: what a name that people give must be. */
bool trib_cli_is_name(const char *s);
/* A JSON string of bytes that need not be UTF-8 (a path, a name out of somebody's database): what is not becomes U+FFFD. NULL only out of memory. */
json_t *trib_json_text(const char *s);

struct trib_program {
	const char *name, *about;
	const struct trib_cmd *cmds;
	size_t ncmds;
	const char *default_state;
	/* Reads the file of --config and tells its lines: `state`, `lang`, `quiet`, `verbose`, `json`, or COMMAND.OPTION (a command's blank as `-`). What the
	 * command line or the environment says wins; a key that is none of ours is an error. NULL: the program has no configuration file. */
	int (*config)(const char *path, int (*take)(void *ctx, const char *key, const char *value, struct trib_err *err), void *ctx, struct trib_err *err);
	/* Enforces cmd->needs before run (may be NULL); -1 with cli->err. `finish` runs after it in any case. */
	int (*prepare)(struct trib_cli *cli);
	void (*finish)(struct trib_cli *cli);
};
/* Everything: parse, dispatch, print errors, check that stdout was written. Returns the exit status. */
int trib_program_main(const struct trib_program *p, int argc, char **argv);

#endif
