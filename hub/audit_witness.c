/* Outside witnesses: what they cosigned is this log, and, where an auditor brings a witness's key, that one has cosigned it lately. */
#include "core/base/clock.h"
#include "hub/audit_impl.h"
#include "hub/witnesses.h"

/* A note of an epoch of this log that is over, about more leaves than there were when the next one began: it is of what `recover` cut off, and only its signature can
 * be told. 1 it is, and is good; 0 not; -1. */
static int is_cut_off(struct trib_audit *a, struct trib_span note, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_checkpoint cp;
	struct trib_err why;
	char origin[TRIB_TITLE_MAX + 32];
	if (trib_checkpoint_parse(note, &cp, &why))
		return 0;
	(void)snprintf(origin, sizeof(origin), "%.*s", (int)cp.origin.n, (const char *)cp.origin.p);
	if (trib_audit_sql(a->own, &st, err, "SELECT min(idx) FROM ep WHERE idx > CASE WHEN ?1 = ?2 THEN 0 ELSE (SELECT idx FROM ep WHERE origin = ?1) END", "ss", origin, a->first_origin))
		return -1;
	if (trib_db_step(a->own, st, err) < 0)
		return -1;
	if (sqlite3_column_type(st, 0) == SQLITE_NULL || cp.size <= (uint64_t)sqlite3_column_int64(st, 0))
		return 0;
	return trib_checkpoint_verify(note, origin, a->log_pub, &cp, &why) == 0;
}

/* 0: the note is of this log. */
static int check_text(struct trib_audit *a, const char *who, struct trib_span note, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_checkpoint cp;
	struct trib_err why;
	uint8_t root[TRIB_SHA256_LEN];
	int cut = is_cut_off(a, note, err);
	if (cut)
		return cut < 0 ? -1 : 0;
	if (trib_audit_note(a, note, &cp, &why))
		return trib_audit_find(a, &w, err, "what the witness %s cosigned: %s", who, why.msg);
	if (cp.size > a->size) {
		int grown = trib_audit_grown(a, cp.size, cp.root, err);
		return grown ? (grown < 0 ? -1 : 0) :
			       trib_audit_find(a, &w, err, "the witness %s has cosigned another log: one of %llu leaves that is not this one, which has %llu", who,
					       (unsigned long long)cp.size, (unsigned long long)a->size);
	}
	if (trib_audit_root(a, cp.size, root, err))
		return -1;
	return memcmp(root, cp.root, sizeof(root)) == 0 ? 0 : trib_audit_find(a, &w, err, "the witness %s has cosigned another log: its first %llu leaves are not these", who,
									       (unsigned long long)cp.size);
}

static int check_peer(struct trib_audit *a, const struct trib_witness_peer *p, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_where w = {0};
	struct trib_checkpoint cp;
	struct trib_err why;
	int got = trib_witness_cosigned(a->hub->dir, p, &note, &cp, &why);
	if (got < 0)
		return TRIB_OWN_TROUBLE(why.code) ? (*err = why, -1) : trib_audit_find(a, &w, err, "the witness %s: %s; try: tributary-hub witness ask", p->key.name, why.msg);
	return got ? check_text(a, p->key.name, trib_buf_span(&note), err) : 0;
}

static int load(struct trib_audit *a, struct trib_witness_peer all[TRIB_WITNESSES_MAX], size_t *n, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_err why;
	*n = 0;
	if (trib_witnesses_load(a->hub->dir, all, n, &why) == 0)
		return 0;
	*n = 0;
	return TRIB_OWN_TROUBLE(why.code) ? (*err = why, -1) : trib_audit_find(a, &w, err, "the witnesses: %s", why.msg);
}

int trib_audit_witnesses(struct trib_audit *a, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	size_t n;
	if (!a->has_pub)
		return 0;
	if (load(a, all, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (check_peer(a, &all[i], err))
			return -1;
	return 0;
}

int trib_audit_witnessed(struct trib_audit *a, struct trib_span blob, struct trib_err *err)
{
	struct trib_witnessed list;
	struct trib_witnessed_note *one = malloc(sizeof(*one));
	uint8_t root[TRIB_SHA256_LEN];
	int got = one ? trib_witnessed_parse(blob, &list, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	while (!got && (got = trib_witnessed_next(&list, one, err)) > 0) {
		struct trib_checkpoint cp;
		got = trib_audit_note(a, one->note, &cp, err);
		if (!got && cp.size > a->size)
			got = trib_fail(err, TRIB_E_VERIFY, "the community was shown a cosigned log of %llu leaves, the log has %llu", (unsigned long long)cp.size, (unsigned long long)a->size);
		if (!got)
			got = trib_audit_root(a, cp.size, root, err);
		if (!got && memcmp(root, cp.root, sizeof(root)) != 0)
			got = trib_fail(err, TRIB_E_VERIFY, "the community was shown a cosigned log whose first %llu leaves are not these", (unsigned long long)cp.size);
		if (got)
			break;
	}
	free(one);
	return got;
}

int trib_audit_by_witness(struct trib_audit *a, const struct trib_vkey *key, int64_t now, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	struct trib_where w = {0};
	const struct trib_witness_peer *p = NULL;
	char when[17];
	size_t n;
	if (load(a, all, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].key.name, key->name) == 0 && memcmp(all[i].key.pub, key->pub, sizeof(key->pub)) == 0)
			p = &all[i];
	if (!p || !p->time)
		return trib_audit_find(a, &w, err, "the witness %s has not cosigned this log", key->name);
	trib_time_city(when, p->time);
	if (trib_cosig_ahead(p->time, now))
		return trib_audit_find(a, &w, err, "the newest cosignature of the witness %s is of %s, a time still to come: nobody outside knows what became of the log", key->name, when);
	if (trib_stale(p->time, now))
		return trib_audit_find(a, &w, err, "the witness %s has cosigned nothing since %s: nobody outside knows what became of the log then", key->name, when);
	return 0;
}
