#include "agent/pin.h"

#include "agent/settings.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/format/witness.h"

#define FILE_MAX (4 * TRIB_KIB)

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static int take_when(struct trib_kv *kv, const char *key, int64_t *ret, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, key, 1, &f, err))
		return -1;
	*ret = 0;
	return trib_span_is(f, "-") ? 0 : trib_kv_time(kv, f, key, ret, err);
}

/* The file belongs to one key: after another was pinned it says nothing. */
static int load_file(const char *path, const char *vkey, struct trib_pin *p, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX), origin = TRIB_BUF(sizeof(p->origin) - 1);
	struct trib_span key, o;
	struct trib_pin q = *p;
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &b, err))
		return -1;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (trib_kv_take_is(&kv, "format", "tributary-pin-1", err) || trib_kv_take(&kv, "key", 1, &key, err) || trib_kv_take(&kv, "origin", 1, &o, err) ||
	    trib_kv_name(&kv, o, "origin", sizeof(p->origin) - 1, &origin, err) || trib_kv_take_u64(&kv, "size", &q.size, err) ||
	    trib_kv_take_hex(&kv, "root", q.root, sizeof(q.root), err) || take_when(&kv, "time", &q.time, err) || trib_kv_take_u64(&kv, "open", &q.open, err) ||
	    take_when(&kv, "since", &q.since, err) || trib_kv_end(&kv, err) || trib_buf_check(&origin, "origin", err))
		return trib_ctx(err, "%s (remove it; the next pull makes it again)", path);
	(void)snprintf(q.origin, sizeof(q.origin), "%s", trib_buf_str(&origin));
	if (trib_span_is(key, vkey))
		*p = q;
	return 0;
}

int trib_pin_load(struct trib_state *s, struct trib_pin *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "witness");
	struct trib_settings c;
	struct trib_pin p = {0};
	if (!path)
		return oom(err);
	if (trib_settings_load(s->dir, &c, err))
		return -1;
	*ret = p;
	if (!c.witness[0])
		return 0;
	p.on = true;
	p.pinned = c.witness_since;
	if (trib_vkey_parse(trib_span_str(c.witness), TRIB_VKEY_WITNESS, &p.key, err) || load_file(path, c.witness, &p, err))
		return -1;
	*ret = p;
	return 0;
}

/* One note of the blob. 1: it is the witness's, good, and of this log; 0: another's. */
static int judge_note(struct trib_state *s, const struct trib_pin *pin, const struct trib_witnessed_note *n, const struct trib_checkpoint *cp, struct trib_down_judged *j,
		      struct trib_err *err)
{
	struct trib_checkpoint its;
	struct trib_err why;
	int64_t at;
	if (trib_checkpoint_parse(n->note, &its, err))
		return -1;
	int got = trib_cosig_verify(&its, &pin->key, &at, &why);
	if (got < 0)
		return trib_fail(err, TRIB_E_SIGNATURE, "the hub shows a cosignature of the witness %s that is false (%.200s): nothing of it was taken; everything is safe here; call the city",
				 pin->key.name, why.msg);
	if (!got)
		return 0;
	if (trib_checkpoint_verify(n->note, j->origin, s->node.log_key, &its, &why) || its.size > cp->size ||
	    trib_merkle_verify_consistency(its.size, its.root, cp->size, cp->root, (const uint8_t(*)[TRIB_SHA256_LEN])n->proof, n->nproof, &why))
		return trib_fail(err, TRIB_E_VERIFY,
				 "the witness %s has cosigned another log than the hub shows this office (split view): nothing of it was taken; everything is safe here; call the city, and the "
				 "witness", pin->key.name);
	if (at <= j->cosigned_at)
		return 1;
	j->cosigned_at = at;
	j->cosigned_size = its.size;
	memcpy(j->cosigned_root, its.root, sizeof(j->cosigned_root));
	trib_buf_release(&j->cosigned);
	j->cosigned = TRIB_BUF(TRIB_NOTE_MAX);
	trib_buf_put_span(&j->cosigned, n->note);
	return trib_buf_check(&j->cosigned, "cosigned checkpoint", err) ? -1 : 1;
}

int trib_pin_judge(struct trib_state *s, const struct trib_commit *c, const struct trib_checkpoint *cp, struct trib_down_judged *j, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf blob = TRIB_BUF(TRIB_WITNESSED_MAX);
	struct trib_witnessed list;
	struct trib_pin pin;
	bool there = false;
	if (trib_pin_load(s, &pin, err))
		return -1;
	for (size_t i = 0; i < c->nentries; i++)
		there = there || strcmp(c->entries[i].name, "witnessed") == 0;
	if (!pin.on || !there)
		return 0;
	struct trib_witnessed_note *one = malloc(sizeof(*one));
	int got = one ? trib_commit_blob(s->repo, c, "witnessed", TRIB_WITNESSED_MAX, &blob, err) || trib_witnessed_parse(trib_buf_span(&blob), &list, err) ? -1 : 1 : oom(err);
	while (got > 0 && (got = trib_witnessed_next(&list, one, err)) > 0)
		if (judge_note(s, &pin, one, cp, j, err) < 0)
			got = -1;
	free(one);
	return got;
}

static int save(struct trib_state *s, const struct trib_pin *p, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "witness");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	char time[TRIB_TIME_LEN + 1] = "-", since[TRIB_TIME_LEN + 1] = "-";
	if (!path)
		return oom(err);
	if (p->time)
		trib_time_text(time, p->time);
	if (p->since)
		trib_time_text(since, p->since);
	trib_buf_puts(&b, "format tributary-pin-1\nkey ");
	trib_vkey_put(&b, &p->key);
	trib_buf_puts(&b, "\norigin ");
	trib_pct(&b, trib_span_str(p->origin));
	trib_buf_printf(&b, "\nsize %llu\nroot ", (unsigned long long)p->size);
	trib_buf_hex(&b, p->root, sizeof(p->root));
	trib_buf_printf(&b, "\ntime %s\nopen %llu\nsince %s\n", time, (unsigned long long)p->open, since);
	return trib_buf_check(&b, path, err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

int trib_pin_keep(struct trib_state *s, const struct trib_down_judged *j, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *note = trib_state_path(s, "witness.note");
	struct trib_pin p;
	if (!note)
		return oom(err);
	if (trib_pin_load(s, &p, err))
		return -1;
	if (!p.on)
		return 0;
	if (strcmp(p.origin, j->origin) != 0) { /* an epoch counts its leaves anew */
		(void)snprintf(p.origin, sizeof(p.origin), "%s", j->origin);
		p.open = 0;
	}
	if (p.open && j->cosigned_size >= p.open)
		p.open = 0;
	if (!p.open && j->cosigned_size < j->size) {
		p.open = j->size;
		p.since = now;
	}
	if (!p.open)
		p.since = 0;
	if (j->cosigned_at > p.time) {
		p.time = j->cosigned_at;
		p.size = j->cosigned_size;
		memcpy(p.root, j->cosigned_root, sizeof(p.root));
		if (trib_fs_write(note, trib_buf_span(&j->cosigned), 0600, err))
			return -1;
	}
	return save(s, &p, err);
}

int trib_pin_check(struct trib_state *s, int64_t now, struct trib_err *err)
{
	struct trib_pin p;
	char when[17];
	if (trib_pin_load(s, &p, err))
		return -1;
	int64_t last = p.time > p.pinned ? p.time : p.pinned;
	if (!p.on || !s->node.enrolled)
		return 0;
	trib_time_city(when, last);
	if (trib_stale(last, now))
		return trib_fail(err, TRIB_E_VERIFY, _("the witness %s has cosigned nothing of the city's log since %s; everything is safe here"), p.key.name, when);
	trib_time_city(when, p.since);
	if (p.open && trib_stale(p.since, now))
		return trib_fail(err, TRIB_E_VERIFY, _("what the hub showed this office at %s, the witness %s has not seen to this day; everything is safe here"), when, p.key.name);
	return 0;
}
