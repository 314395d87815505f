#include "agent/clocks.h"

#include "agent/held.h"
#include "agent/record.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* The latest beginning of a certificate that the city made. */
static int64_t certified(const struct trib_state *s)
{
	const struct trib_cert *const made[] = {s->sign_cert, s->tls_cert};
	int64_t at = 0;
	for (size_t i = 0; i < TRIB_COUNT(made) && s->node.enrolled; i++) {
		struct trib_cert_id id;
		struct trib_err ignored;
		if (made[i] && !trib_cert_identity(made[i], &id, &ignored))
			at = later(at, id.not_before);
	}
	return at;
}

int64_t trib_clocks_ahead(const struct trib_state *s, int64_t now)
{
	int64_t said = later(s->tip.exists ? s->tip.captured_at : 0, trib_record_last_sync(s));
	return said > now + TRIB_CLOCK_SLACK_S ? said : 0;
}

int trib_clocks_check(const struct trib_state *s, int64_t now, struct trib_err *err)
{
	struct trib_held held = {0};
	char here[17], there[17];
	int got = s->node.enrolled && s->tip.exists ? trib_held_one(s, s->tip.oid, s->tip.seq, &held, err) : 0;
	if (got < 0)
		return -1;
	int64_t city = certified(s), ahead = trib_clocks_ahead(s, now);
	trib_time_city(here, now);
	trib_time_city(there, city);
	if (city > now + TRIB_CLOCK_SLACK_S)
		return trib_fail(err, TRIB_E_CLOCK, _("this computer's clock says %s, but the city made this office's certificate at %s: set the clock right, then: tributary-agent sync "
						      "(nothing is lost: what is captured meanwhile waits here)"), here, there);
	trib_time_city(here, s->tip.captured_at);
	trib_time_city(there, held.time);
	if (got > 0 && s->tip.captured_at > held.time + TRIB_CLOCK_SLACK_S)
		return trib_fail(err, TRIB_E_CLOCK, _("at the last commit this computer's clock said %s, but the city received it at %s: set the clock right if it still is wrong, then: "
						      "tributary-agent sync (nothing is lost)"), here, there);
	trib_time_city(here, now);
	trib_time_city(there, ahead);
	if (ahead)
		return trib_fail(err, TRIB_E_CLOCK, _("this computer's clock says %s, but at the last run it said %s: set it right if it is wrong now, then: tributary-agent sync "
						      "(nothing is lost)"), here, there);
	return 0;
}
