/* private.h: the private half of this office's history (D4.8): `private.git`, its keys, and what is private now.
 *
 *   private.git         refs/heads/main: the same commits as repo.git (F6), made and read only here. It has no remote and nothing ever pushes it
 *   private-tip         serialised trib_tip of it, salt included; a folder without this file has no private history
 *   keys/private.key    its own signer, so that it does not depend on the city's certificates; keys/private.crt is self-signed
 *   private.conf        this office's own list of private tables and columns; the city's is policy.conf; the union counts
 *   private-bundle      kv: when an encrypted copy was made last, and of which commit
 *
 * A private commit says in its text with which public commit it belongs ("Own-Seq: 12": the twelfth of this machine, whatever history it took
 * over from a machine before): the private half's state there is its last complete group in chain order whose number is not above 12. */
#ifndef TRIB_AGENT_PRIVATE_H
#define TRIB_AGENT_PRIVATE_H

#include "agent/state.h"
#include "core/replay/replay.h"
#include "core/store/veil.h"

/* Opens what is there; no private history is no error. Called by trib_state_open. */
int trib_private_open(struct trib_state *s, bool write, struct trib_err *err) TRIB_MUST_CHECK;
/* Makes private.git and its signer when missing (each step may be repeated), and loads the keys. */
int trib_private_ready(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
int trib_private_save_tip(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
struct trib_trust trib_private_trust(const struct trib_state *s);
/* Both lists together: the city's policy and this office's own. */
int trib_private_names(const struct trib_state *s, struct trib_private_list *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* This office's own list alone, and its replacement. */
int trib_private_own_names(const struct trib_state *s, struct trib_private_list *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_private_save_names(const struct trib_state *s, const struct trib_private_list *l, struct trib_err *err) TRIB_MUST_CHECK;
/* Adds names to this office's own list; nothing is written for none. */
int trib_private_keep_names(const struct trib_state *s, const struct trib_private_list *more, struct trib_err *err) TRIB_MUST_CHECK;
/* What was private at a public commit, whoever of this office made it. */
int trib_private_of_commit(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_private_list *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Finds TABLE or TABLE.COLUMN in a schema and adds it to the list. TRIB_E_USAGE says why one cannot be private by itself. */
int trib_private_resolve(const struct trib_schema *s, const char *text, struct trib_private_list *l, struct trib_err *err) TRIB_MUST_CHECK;
/* The text of a private commit. */
void trib_private_text(char ret[48], uint64_t own_seq);
/* Commits of the history that a machine before this one made. */
int trib_private_base(const struct trib_state *s, uint64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
