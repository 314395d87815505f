/* keeper_log.c: what the keeper does for the log by the clock: the published files (keeper.h). */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "hub/keeper.h"
#include "hub/night.h"
#include "hub/tiles.h"
#include "hub/witnesses.h"

#define PUBLISH_MS 2000 /* at most so often: eight files are synced each time */
#define RETRY_MS 30000
#define TICK_MS 30000   /* leaves of administrative commands are seen so late */
#define COSIGNED_MS 3000 /* cosignatures, where there are witnesses */
#define FRESH_MS 60000   /* how often it is asked whether the log is frozen, */
#define FROZEN_MS 3600000 /* and how often said */

/* The nightly list comes before the first commit that is held after the close. */
static void nightly(struct trib_hubdb *h, struct trib_keeper_log *k)
{
	struct trib_err err;
	int64_t now = trib_now(), close = trib_night_close(now);
	if (close == k->night || trib_mono_ms() < k->night_at)
		return;
	int made = trib_night_make(h, now, &err);
	if (made < 0) {
		trib_log(TRIB_LOG_ERROR, "%s; it is tried again", err.msg);
		k->night_at = trib_mono_ms() + RETRY_MS;
		return;
	}
	k->night = close;
	if (made)
		trib_log(TRIB_LOG_INFO, "the nightly list is made; see: tributary-hub log --nights");
}

/* True when a witness has cosigned since the checkpoint was published last. *ret_ms: when to look again. */
static bool cosigned_anew(const struct trib_hubdb *h, struct trib_keeper_log *k, int64_t now, int64_t *ret_stamp, int *ret_ms)
{
	*ret_stamp = k->cosigned;
	*ret_ms = TICK_MS;
	if (now < k->cosigned_at) {
		*ret_ms = k->cosigned ? (int)(k->cosigned_at - now) : TICK_MS;
		return false;
	}
	*ret_stamp = trib_witnesses_stamp(h->hub->dir);
	k->cosigned_at = now + COSIGNED_MS;
	if (*ret_stamp)
		*ret_ms = COSIGNED_MS;
	return *ret_stamp != k->cosigned;
}

/* While this hub runs the log freezes only when it cannot make lists or publish: each failure is logged, and this is what they come to for offices. */
static void warn_frozen(struct trib_hubdb *h, struct trib_keeper_log *k)
{
	struct trib_err err;
	int64_t at;
	char when[17];
	if (trib_mono_ms() < k->fresh_at)
		return;
	k->fresh_at = trib_mono_ms() + FRESH_MS;
	if (trib_tiles_shown(h, &at, &err) <= 0 || !trib_stale(at, trib_now()))
		return;
	k->fresh_at = trib_mono_ms() + FROZEN_MS;
	trib_time_city(when, at);
	trib_log(TRIB_LOG_WARN, "FROZEN: the published log shows nothing new since %s, and offices raise the alarm; see: tributary-hub status", when);
}

int trib_keeper_log_turn(struct trib_hubdb *h, const struct trib_hub_signer *signer, struct trib_keeper_log *k)
{
	struct trib_err err;
	uint64_t size;
	int64_t now = trib_mono_ms();
	nightly(h, k);
	if (trib_log_size(h, &size, &err)) {
		trib_log(TRIB_LOG_ERROR, "%s", err.msg);
		return TICK_MS;
	}
	int64_t stamp;
	int tick;
	if (!cosigned_anew(h, k, now, &stamp, &tick) && size == k->published) {
		warn_frozen(h, k);
		return tick;
	}
	if (now < k->publish_at)
		return (int)(k->publish_at - now);
	if (trib_tiles_publish(h, signer->log_key, &err)) {
		trib_log(TRIB_LOG_ERROR, "%s", err.msg);
		k->publish_at = now + RETRY_MS;
		warn_frozen(h, k);
		return RETRY_MS;
	}
	k->published = size;
	k->cosigned = stamp;
	k->publish_at = now + PUBLISH_MS;
	return tick;
}
