#include "hub/acts.h"

#include <pwd.h>

#include "core/base/clock.h"

static void who(char *ret, size_t size)
{
	char buf[4096];
	struct passwd pw, *found = NULL;
	const char *sudo = getenv("SUDO_USER");
	const char *name = getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) == 0 && found ? found->pw_name : NULL;
	int n = name ? snprintf(ret, size, "%.100s", name) : snprintf(ret, size, "uid %lu", (unsigned long)getuid());
	if (sudo && *sudo && n > 0 && (size_t)n < size)
		(void)snprintf(ret + n, size - (size_t)n, " (%.100s)", sudo);
}

int trib_act_put(struct trib_hubdb *h, const struct trib_act *a, struct trib_err *err)
{
	struct trib_leaf leaf = {.kind = TRIB_LEAF_ACT, .time = trib_now()};
	if (a->by)
		(void)snprintf(leaf.origin, sizeof(leaf.origin), "%s", a->by);
	else
		who(leaf.origin, TRIB_TITLE_MAX);
	(void)snprintf(leaf.word, sizeof(leaf.word), "%s", a->what);
	if (a->node)
		(void)snprintf(leaf.node, sizeof(leaf.node), "%s", a->node);
	if (a->app)
		(void)snprintf(leaf.app, sizeof(leaf.app), "%s", a->app);
	if (a->object)
		memcpy(leaf.sha256, a->object, sizeof(leaf.sha256));
	if (a->detail)
		(void)snprintf(leaf.name, sizeof(leaf.name), "%s", a->detail);
	return trib_log_append(h, &leaf, NULL, err);
}

int trib_act_log(struct trib_hubdb *h, const struct trib_act *a, struct trib_err *err)
{
	if (trib_hubdb_begin(h, err))
		return -1;
	if (trib_act_put(h, a, err) || trib_hubdb_commit(h, err)) {
		trib_hubdb_rollback(h);
		return trib_ctx(err, "logging what is to be done");
	}
	return 0;
}
