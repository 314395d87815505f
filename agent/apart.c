/* apart.c: what became private before the city had it never leaves (D4.8).
 *
 * The values of the commits in between cannot be told apart any more, so one group with the last state takes their place: the first commits of a history
 * where nothing is held yet, a reset after what is (the city merges the net difference). Crash safety as in resign.c. */
#include "agent/anew.h"
#include "agent/capture/baseline.h"
#include "agent/private.h"
#include "core/base/i18n.h"
#include "core/format/gzip.h"

/* Values, or the column at all in the state that stays: a hub whose policy knows the name would not take it. */
static int commit_shows(struct trib_anew *a, size_t i, const struct trib_private_list *l, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX), gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX), raw = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	TRIB_AUTO(trib_schematext) struct trib_schematext lines = {0};
	char name[TRIB_NAME_MAX * 2 + 2];
	if (trib_anew_read(a, i, &c, &m, err) || trib_commit_blob(a->s->repo, &c, "schema.sql", TRIB_SCHEMA_MAX, &text, err) ||
	    trib_schematext_parse(trib_buf_span(&text), &lines, err))
		return -1;
	if (m.gz_len && (trib_commit_blob(a->s->repo, &c, "changeset.gz", TRIB_CHANGESET_GZ_MAX, &gz, err) ||
			 trib_gunzip(trib_buf_span(&gz), (size_t)m.raw_len, &raw, err)))
		return -1;
	int found = trib_private_shown(l, &lines, trib_buf_span(&raw), m.part == m.parts, name, sizeof(name), err);
	*ret = found > 0;
	return found < 0 ? -1 : 0;
}

int trib_anew_shows(struct trib_anew *a, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list l = {0};
	*ret = false;
	if (trib_private_names(a->s, &l, err))
		return -1;
	for (size_t i = a->base; l.n && i < a->n && !*ret; i++)
		if (commit_shows(a, i, &l, ret, err))
			return -1;
	return 0;
}

/* A hand-over of the signing key can only be sent as it is. */
static int no_rotate(struct trib_anew *a, struct trib_err *err)
{
	for (size_t i = a->base; i < a->n; i++) {
		TRIB_AUTO(trib_commit) struct trib_commit c = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
		if (trib_anew_read(a, i, &c, &m, err))
			return -1;
		if (m.kind == TRIB_KIND_ROTATE)
			return trib_fail(err, TRIB_E_CONFLICT, _("unsent commits hold what is private by now, and among them the signing key changes, so they cannot be made "
					 "anew; nothing was sent; either send the values (tributary-agent config set public NAME), or ask the city for a new slip"));
	}
	return 0;
}

static int take_apart(struct trib_anew *a, struct trib_err *err)
{
	TRIB_AUTO(trib_capture) struct trib_capture c = {.delta.fd = -1};
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_committed done = {0};
	const char *why = NULL;
	if (no_rotate(a, err) || trib_baseline_pages(a->s, NULL, &why, err) || (why && trib_baseline_rebuild(a->s, why, err)) ||
	    trib_capture_afresh(a->s, &c, err) || trib_anew_judge_base(a, &tip, err) || trib_maker_init(&a->k, a->s, &tip, err))
		return -1;
	if (a->base)
		a->k.kind = TRIB_KIND_RESET;
	if (trib_maker_parts(&a->k, &c, NULL, &done, err))
		return -1;
	if (c.hidden.changed && (trib_maker_init_private(&a->p, a->s, err) || trib_maker_hidden(&a->p, &c, a->k.tip.seq, &done, err)))
		return -1;
	return trib_anew_finish(a, a->base, err);
}

int trib_anew_take_apart(struct trib_anew *a, struct trib_err *err)
{
	return take_apart(a, err) ? trib_ctx(err, _("making unsent commits anew without what is private by now (nothing was sent)")) : 0;
}

/* What the hub has, or may have when nobody asked it, stays. False: the hub stands at none of our commits. */
static int leave(struct trib_anew *a, const uint8_t *hub_tip, bool by_hand, bool *ret, struct trib_err *err)
{
	uint8_t offered[TRIB_OID_LEN];
	bool any = false;
	if (by_hand) {
		any = trib_repo_ref(a->s->repo, TRIB_REF_PUSH, offered, err) == 0;
		if (!any && err->code != TRIB_E_NOT_FOUND)
			return -1;
		hub_tip = any ? offered : NULL;
	}
	*ret = !hub_tip || by_hand;
	for (size_t i = a->n; hub_tip && i > 0; i--) {
		uint8_t oid[TRIB_OID_LEN];
		if (trib_anew_oid(a, i - 1, oid, err))
			return -1;
		if (memcmp(oid, hub_tip, TRIB_OID_LEN) != 0)
			continue;
		*ret = true;
		if (i > a->base)
			a->base = i;
		break;
	}
	return 0;
}

int trib_outbox_take_apart(struct trib_state *s, const uint8_t *hub_tip, bool by_hand, size_t *ret_n, struct trib_err *err)
{
	TRIB_AUTO(trib_anew) struct trib_anew a = {.s = s};
	bool ours, show = false;
	*ret_n = 0;
	if (!s->tip.exists)
		return 0;
	if (trib_state_keys(s, err) || trib_anew_load(&a, err) || leave(&a, hub_tip, by_hand, &ours, err) || (ours && trib_anew_shows(&a, &show, err)))
		return -1;
	if (!show)
		return 0;
	if (trib_anew_take_apart(&a, err))
		return -1;
	*ret_n = a.n - a.base;
	return 0;
}
