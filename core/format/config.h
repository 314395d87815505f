/* config.h: the configuration file of --config: defaults for options, one a line. Pure.
 *
 *   # a comment                          KEY is a global option (state, lang, quiet, verbose, json) or COMMAND.OPTION, blanks of a
 *   state /srv/tributary/hub             command as `-`; VALUE is the rest of the line as it stands, for an option without a value yes or no.
 *   serve.listen 0.0.0.0:8443            Which keys there are, the command table says (core/base/cmd.h). */
#ifndef TRIB_CONFIG_H
#define TRIB_CONFIG_H

#include "core/base/buf.h"
#include "core/base/limits.h"

/* Calls `take` for each line that says something, in their order; its error ends the walk, with the line's number. Lines end with LF (the last one may
 * lack it); blanks before a key and at a line's end do not count. A control character, a key twice, a line that is too long: TRIB_E_FORMAT, TRIB_E_LIMIT. */
int trib_config_parse(struct trib_span text, int (*take)(void *ctx, const char *key, const char *value, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
/* The same from a file: struct trib_program.config. */
int trib_config_read(const char *path, int (*take)(void *ctx, const char *key, const char *value, struct trib_err *err), void *ctx, struct trib_err *err) TRIB_MUST_CHECK;

#endif
