#include "agent/settings.h"

#include "core/base/clock.h"
#include "core/format/kv.h"

#define FORMAT "tributary-settings-1"
#define FILE_MAX (4 * TRIB_KIB)

/* Two lines that are there only when a witness is pinned. */
static int take_witness(struct trib_kv *kv, struct trib_settings *c, struct trib_err *err)
{
	struct trib_span key;
	struct trib_vkey parsed;
	if (!trib_kv_at(kv, "witness"))
		return 0;
	if (trib_kv_take(kv, "witness", 1, &key, err) || trib_kv_take_time(kv, "witness-since", &c->witness_since, err) || trib_vkey_parse(key, TRIB_VKEY_WITNESS, &parsed, err))
		return -1;
	(void)snprintf(c->witness, sizeof(c->witness), "%.*s", (int)key.n, (const char *)key.p);
	return 0;
}

int trib_settings_load(const char *dir, struct trib_settings *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/settings", dir);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	struct trib_settings c = TRIB_SETTINGS_NONE;
	uint64_t fine = 0;
	*ret = c;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	int rc = trib_kv_take_is(&kv, "format", FORMAT, err) || trib_kv_take_u64(&kv, "watch", &c.watch_s, err) ||
		 trib_kv_take_u64(&kv, "fine-history", &fine, err) || take_witness(&kv, &c, err) || trib_kv_end(&kv, err) ? -1 : 0;
	if (!rc && (c.watch_s > TRIB_WATCH_S_MAX || fine > 1))
		rc = trib_fail(err, TRIB_E_FORMAT, "a value is out of range");
	if (rc)
		return trib_ctx(err, "%s is damaged; remove it and set again what you want (tributary-agent config list)", path);
	c.fine_history = fine;
	*ret = c;
	return 0;
}

int trib_settings_save(const char *dir, const struct trib_settings *c, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/settings", dir);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_buf_printf(&b, "format " FORMAT "\nwatch %llu\nfine-history %d\n", (unsigned long long)c->watch_s, c->fine_history);
	if (c->witness[0]) {
		char when[TRIB_TIME_LEN + 1];
		trib_time_text(when, c->witness_since);
		trib_buf_printf(&b, "witness %s\nwitness-since %s\n", c->witness, when);
	}
	return trib_buf_check(&b, path, err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}
