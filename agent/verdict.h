/* verdict.h: what becomes of each table of a database, for `init`: captured and by what its rows are known, private, or left out and why. */
#ifndef TRIB_AGENT_VERDICT_H
#define TRIB_AGENT_VERDICT_H

#include "agent/capture/survey.h"
#include "core/base/cmd.h"
#include "core/store/veil.h"

/* Prints a line for each table and sets json "tables_verdict"; with `found` (NULL: nobody looked) also what of its rows is left out or has no key. */
void agent_verdict_print(struct trib_cli *cli, const struct trib_schema *s, const struct trib_veil *veil, const struct trib_survey *found);

#endif
