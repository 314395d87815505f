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
	if (!cosigned_anew(h, k, now, &stamp, &tick) && size == k->published)
		return tick;
	if (now < k->publish_at)
		return (int)(k->publish_at - now);
	if (trib_tiles_publish(h, signer->log_key, &err)) {
		trib_log(TRIB_LOG_ERROR, "%s", err.msg);
		k->publish_at = now + RETRY_MS;
		return RETRY_MS;
	}
	k->published = size;
	k->cosigned = stamp;
	k->publish_at = now + PUBLISH_MS;
	return tick;
}
