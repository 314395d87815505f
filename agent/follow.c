/* follow.c: a folder that was an old copy of itself goes on from where the hub stands (D5.6), by a reset: the hub's history becomes its own, and all rows of
 * this office's database follow it. Only a person decides that: this is for an office of which one machine is left. Crash safety: resign.c. */
#include "agent/anew.h"
#include "agent/private.h"

#define AWAY "refs/tributary/aside-"

/* Stock git, and housekeeping, must not take what the hub never had. */
static int set_aside(struct trib_state *s, char ret[64], struct trib_err *err)
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, s->tip.oid, TRIB_OID_LEN);
	(void)snprintf(ret, 64, AWAY "%.12s", hex);
	int rc = trib_repo_ref_set(s->repo, ret, s->tip.oid, err);
	trib_crash_point("set-aside");
	return rc;
}

static int offered(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	int rc = trib_repo_ref_set(s->repo, TRIB_REF_PUSH, oid, err);
	trib_crash_point("offered-moved");
	return rc;
}

/* A hand-over that this copy does not know: its key signs nothing more there. */
static int check_key(struct trib_state *s, const struct trib_tip *other, struct trib_err *err)
{
	uint8_t spki[TRIB_SHA256_LEN];
	if (trib_cert_spki_sha256(s->sign_cert, spki, err))
		return -1;
	if (memcmp(spki, other->signer_spki, sizeof(spki)) == 0 || (other->has_next && memcmp(spki, other->next_spki, sizeof(spki)) == 0))
		return 0;
	return trib_fail(err, TRIB_E_FORK, "the signing key was changed (cert rotate) after this copy of the folder was made, so it can sign nothing more; nothing was changed; ask the city for a "
			 "replacement slip (tributary-hub node replace)");
}

/* Does that history keep to itself what this folder would show? */
static int has_more_private(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list theirs = {0}, ours = {0};
	if (trib_private_of_commit(s, oid, &theirs, err) || trib_private_names(s, &ours, err))
		return -1;
	for (size_t i = 0; i < theirs.n; i++)
		*ret |= !trib_private_has(&ours, theirs.names[i].table, theirs.names[i].column) && !trib_private_has(&ours, theirs.names[i].table, NULL);
	return 0;
}

int trib_outbox_follow(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_capture *c, char ret_aside[64], struct trib_committed *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_anew) struct trib_anew a = {.s = s};
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_tip) struct trib_tip other = {0};
	struct trib_committed done = {0};
	bool more = false;
	if (s->private_tip.exists)
		return trib_fail(err, TRIB_E_FORK, TRIB_FOLLOW_PRIVATE);
	if (trib_state_keys(s, err) || trib_held_load(s, false, &r, err))
		return -1;
	struct trib_history h = trib_own_history(s, &r);
	h.ref = TRIB_REF_OTHER;
	if (trib_history_walk(&h, oid, &other, NULL, NULL, err))
		return trib_ctx(err, "the history that the hub holds (nothing was changed)");
	if (other.incarnation != s->node.incarnation)
		return trib_fail(err, TRIB_E_FORK, "the hub's history is of another machine of this office; nothing was changed; ask the city for a replacement slip (tributary-hub node replace)");
	if (check_key(s, &other, err) || has_more_private(s, oid, &more, err) || (!more && trib_maker_init(&a.k, s, &other, err)))
		return -1;
	if (more)
		return trib_fail(err, TRIB_E_FORK, TRIB_FOLLOW_PRIVATE);
	a.k.kind = TRIB_KIND_RESET;
	done.first_seq = other.seq + 1;
	if (trib_maker_parts(&a.k, c, "", &done, err) || set_aside(s, ret_aside, err) || offered(s, oid, err) || trib_anew_finish_after(&a, oid, err))
		return trib_ctx(err, "the reset");
	done.last_seq = s->tip.seq;
	memcpy(done.oid, s->tip.oid, sizeof(done.oid));
	*ret = done;
	return 0;
}

int trib_outbox_unforked(struct trib_state *s, struct trib_err *err)
{
	uint8_t was[TRIB_OID_LEN];
	if (trib_repo_ref(s->repo, TRIB_REF_FORKED, was, err))
		return err->code == TRIB_E_NOT_FOUND ? 0 : -1;
	return trib_repo_ref_cas(s->repo, TRIB_REF_FORKED, was, NULL, err);
}
