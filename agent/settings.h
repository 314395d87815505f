/* settings.h: what this office chose for itself (`config set`): the file `settings` of the state folder. Without the file, everything is as in
 * TRIB_SETTINGS_NONE. */
#ifndef TRIB_AGENT_SETTINGS_H
#define TRIB_AGENT_SETTINGS_H

#include "agent/state.h"
#include "core/trust/cosign.h"

#define TRIB_WATCH_S 300 /* between two captures, when nobody says otherwise */
#define TRIB_WATCH_S_MAX 86400

struct trib_settings {
	uint64_t watch_s;   /* 0: no `watch` */
	bool fine_history;  /* captures of `watch` are sent as they are, not put together */
	char witness[TRIB_VKEY_TEXT_MAX + 1]; /* the outside witness that is pinned (pin.h); "" none */
	int64_t witness_since;
};
#define TRIB_SETTINGS_NONE ((struct trib_settings){0})

/* `dir`: the state folder. */
int trib_settings_load(const char *dir, struct trib_settings *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_settings_save(const char *dir, const struct trib_settings *c, struct trib_err *err) TRIB_MUST_CHECK;

#endif
