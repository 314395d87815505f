/* keeper_policy.c: policy.conf is taken up as soon as it changes (keeper.h). */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "hub/keeper.h"

#define LOOK_MS 3000

void trib_keeper_policy_look(struct trib_hubdb *h, struct trib_keeper_policy *k)
{
	struct trib_err err = {.code = TRIB_OK};
	int got = trib_policy_take_up(h, &k->now, &err);
	k->at = trib_mono_ms() + LOOK_MS;
	if (got < 0) {
		/* Once for each thing that is wrong with it, not for each office. */
		if (k->why.code != err.code || strcmp(k->why.msg, err.msg) != 0)
			trib_log(TRIB_LOG_ERROR, "%s; offices wait until that file is mended; nothing is lost", err.msg);
		k->why = err;
		return;
	}
	if (k->why.code != TRIB_OK)
		trib_log(TRIB_LOG_INFO, "policy.conf is mended; offices are heard again");
	if (got > 0)
		trib_log(TRIB_LOG_INFO, "policy %llu is logged, and in force from now on", (unsigned long long)k->now.number);
	k->why = (struct trib_err){.code = TRIB_OK};
}

int trib_keeper_policy_turn(struct trib_hubdb *h, struct trib_keeper_policy *k)
{
	int64_t now = trib_mono_ms();
	if (now < k->at)
		return (int)(k->at - now);
	trib_keeper_policy_look(h, k);
	return LOOK_MS;
}
