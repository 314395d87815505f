/* succeed.c: a new machine of an office goes on after the last commit of the machine before, by a reset: all rows of its own database (D6.3, D7.3). Crash
 * safety: resign.c.
 *
 * A database that was not brought back from the lost disk would take the office's rows from the city by that, so it is braked like any other loss (D4.9). The
 * signed states of both sides say how many rows each table has; what came and went in between does not matter. */
#include "agent/anew.h"
#include "agent/private.h"
#include "core/base/i18n.h"

#define NAMED 3 /* tables in the sentence; `reset -n` names rows */

/* What the machine before kept to itself, this one does too, from the first commit that it sends: trib_outbox_take_apart takes it out of those made here before. */
static int keep_private(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list l = {0};
	return trib_private_of_commit(s, oid, &l, err) || trib_private_keep_names(s, &l, err) ? trib_ctx(err, "what is private in the history of the machine before") : 0;
}

/* The rows of a table, those without a key included. */
static uint64_t rows_of(const struct trib_lanes *l, const char *table)
{
	char bag[TRIB_LANES_NAME_MAX + 1];
	(void)snprintf(bag, sizeof(bag), TRIB_BAG_PREFIX "%s", table);
	const struct trib_lanes_table *keyed = trib_lanes_find(l, table), *keyless = trib_lanes_find(l, bag);
	return (keyed ? keyed->rows : 0) + (keyless ? keyless->rows : 0);
}

/* What became private leaves the city on purpose. */
static int brake(struct trib_state *s, const struct trib_tip *before, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list private = {0};
	TRIB_AUTO(trib_buf) struct trib_buf names = TRIB_BUF(4 * TRIB_KIB);
	const struct trib_lanes *was = &before->lanes, *is = &s->tip.lanes;
	size_t n = 0;
	if (trib_private_names(s, &private, err))
		return -1;
	for (size_t i = 0; i < was->ntables; i++) {
		const char *name = was->tables[i]->name;
		bool bag = trib_is_bag(trib_span_str(name));
		if (bag && trib_lanes_find(was, name + strlen(TRIB_BAG_PREFIX)))
			continue; /* counted with its table */
		name += bag ? strlen(TRIB_BAG_PREFIX) : 0;
		uint64_t had = rows_of(was, name), has = rows_of(is, name), lost = had > has ? had - has : 0;
		bool much = is->ntables ? lost > TRIB_BRAKE_ROWS && lost * 100 > had * TRIB_BRAKE_PERCENT : lost > 0;
		if (much && !trib_private_has(&private, name, NULL) && n++ < NAMED)
			trib_buf_printf(&names, _("%s%s would lose %llu rows"), n > 1 ? ", " : "", name, (unsigned long long)lost);
	}
	if (n > NAMED)
		trib_buf_printf(&names, _(", and %zu more tables"), n - NAMED);
	return n == 0 ? 0 : trib_fail(err, TRIB_E_BRAKE, _("the city has far more rows of this office than this computer's database, and would lose them; a person should look first. If the old "
							    "database is lost, bring it back: the city makes it with tributary-hub restore. If it is right: tributary-agent reset --accept-loss. "
							    "Nothing was changed: %s"), trib_buf_str(&names));
}

int trib_outbox_succeed(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], bool accept_loss, struct trib_err *err)
{
	TRIB_AUTO(trib_anew) struct trib_anew a = {.s = s};
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_tip) struct trib_tip before = {0};
	if (trib_state_keys(s, err) || trib_anew_load(&a, err) || trib_held_load(s, false, &r, err))
		return -1;
	if (a.base || r.n)
		return trib_fail(err, TRIB_E_FORK, "this folder has receipts of its own: it is no new machine");
	struct trib_history h = trib_own_history(s, &r);
	h.ref = TRIB_REF_BEFORE;
	if (trib_history_walk(&h, oid, &before, NULL, NULL, err))
		return trib_ctx(err, "the history of the machine before");
	if (before.incarnation >= s->node.incarnation)
		return trib_fail(err, TRIB_E_FORK, "the hub's history is not of a machine before this one");
	if ((!accept_loss && brake(s, &before, err)) || keep_private(s, oid, err) || trib_maker_init(&a.k, s, &before, err))
		return -1;
	for (size_t i = 0; i < a.n; i++)
		if (trib_anew_make_one(&a, i, true, err))
			return trib_ctx(err, "following the machine before (nothing was changed)");
	return trib_anew_finish_after(&a, oid, err);
}
