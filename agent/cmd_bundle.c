/* cmd_bundle.c: `bundle create` and `bundle apply`: what push, pull and a copy of the private half carry, as a file in the hand (D8.3). */
#include "agent/commands.h"
#include "agent/record.h"
#include "agent/link.h"
#include "agent/oldlog.h"
#include "agent/private_copy.h"
#include "core/base/clock.h"
#include "core/format/down.h"
#include "core/store/bundlefile.h"
#include "core/trust/epoch.h"

#define DOWN_REF "refs/heads/down"
#define CHAIN_MAX ((size_t)16 * 1024 * 1024)

const struct trib_opt agent_opts_bundle_create[] = {
	{"since", 0, "REV", N_("only what follows this commit (default: what the city has not given a receipt for)")},
	{"whole", 0, NULL, N_("the whole history, and what the city said of it: for a hub that lost it")},
	{"size", 0, "MIB", N_("at most this much in one file, the rest in FILE.2, FILE.3, ... (default: 256, which is what the city takes)")},
	{"private", 0, NULL, N_("an encrypted copy of the private half, for --to")},
	{"to", 0, "CERT", N_("with --private: the certificate file (PEM) of whoever may open it")},
	{0},
};

/* What is carried: commits of the chain, oldest first, behind `since`. */
struct load {
	uint8_t (*chain)[TRIB_OID_LEN];
	size_t n;
	bool has_since, has_down;
	uint8_t since[TRIB_OID_LEN], down[TRIB_OID_LEN];
	uint64_t max; /* bytes of one file */
};

static void load_cleanup(struct load *l) { free(l->chain); }

/* Commits behind the last one that the city holds, as `status` counts them: after a change of epoch receipts of the one before are still here. */
static int waiting(struct trib_cli *cli, struct load *l)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_pulled p;
	int more = 1;
	if (trib_link_progress(s, &p, &cli->err))
		return -1;
	l->has_since = p.held_seq > 0;
	memcpy(l->since, s->tip.oid, TRIB_OID_LEN);
	for (uint64_t seq = s->tip.seq; l->has_since && seq > p.held_seq && more > 0; seq--)
		more = trib_repo_parent(s->repo, l->since, l->since, &cli->err);
	return more < 0 || trib_repo_chain(s->repo, s->tip.oid, l->has_since ? l->since : NULL, CHAIN_MAX, &l->chain, &l->n, &cli->err) ? -1 : 0;
}

static int take_size(struct trib_cli *cli, struct load *l)
{
	const char *text = trib_cli_opt(cli, "size");
	char *end = NULL;
	l->max = TRIB_PACK_MAX;
	if (!text)
		return 0;
	unsigned long mib = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
	if (mib == 0 || *end || mib > TRIB_PACK_MAX / TRIB_MIB)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--size takes a number of MiB from 1 to %zu"), TRIB_PACK_MAX / TRIB_MIB);
	l->max = mib * TRIB_MIB;
	return 0;
}

static int find_load(struct trib_cli *cli, struct load *l)
{
	TRIB_AUTO(trib_buf) struct trib_buf echo = TRIB_BUF(1024);
	struct trib_state *s = trib_cli_state(cli);
	const char *since = trib_cli_opt(cli, "since");
	bool whole = trib_cli_flag(cli, "whole");
	if (whole && since)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--whole and --since exclude each other"));
	if (take_size(cli, l))
		return -1;
	if (!whole && !since)
		return waiting(cli, l);
	l->has_since = since != NULL;
	if (whole && trib_repo_ref(s->repo, DOWN_REF, l->down, &cli->err) == 0)
		l->has_down = true;
	else if (whole && cli->err.code != TRIB_E_NOT_FOUND)
		return -1;
	if (since && trib_history_at(s->repo, MAIN_REF, since, trib_now(), TRIB_CITY_ZONE_S, l->since, &echo, &cli->err))
		return -1;
	return trib_repo_chain(s->repo, s->tip.oid, since ? l->since : NULL, CHAIN_MAX, &l->chain, &l->n, &cli->err);
}

static int create_private(struct trib_cli *cli, const char *path)
{
	struct trib_private_copy c;
	const char *to = trib_cli_opt(cli, "to");
	if (!to || trib_cli_opt(cli, "since") || trib_cli_flag(cli, "whole") || trib_cli_opt(cli, "size"))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("an encrypted copy is always whole and needs --to CERT, the certificate of whoever may open it"));
	if (cli->dry_run) {
		trib_say(cli, _("would write an encrypted copy of the private half to %s\n"), path);
		return 0;
	}
	if (trib_private_copy_make(trib_cli_state(cli), to, path, &c, &cli->err))
		return -1;
	trib_say(cli, _("%s: the private half up to its commit #%llu, encrypted to %s. Only that key opens it: openssl cms -decrypt -binary -inform DER -in %s -inkey KEY -out private.bundle\n"), path,
		 (unsigned long long)c.seq, c.to, path);
	trib_json(cli, "file", trib_json_text(path));
	trib_json(cli, "private_seq", json_integer((json_int_t)c.seq));
	trib_json(cli, "to", trib_json_text(c.to));
	return 0;
}

/* As before a push. What an earlier bundle took along may be at the city. */
static int take_apart(struct trib_cli *cli)
{
	size_t n = 0;
	if (trib_outbox_take_apart(trib_cli_state(cli), NULL, true, &n, &cli->err))
		return -1;
	if (n)
		trib_say(cli, _("%zu unsent commits became one: they held what is private by now\n"), n);
	return 0;
}

/* As many commits from `at` on as one file takes. *n: how many. */
static int write_part(struct trib_state *s, const struct load *l, size_t at, const char *path, size_t *n, uint64_t *ret_bytes, struct trib_err *err)
{
	for (*n = l->n - at < TRIB_PUSH_COMMITS_MAX ? l->n - at : TRIB_PUSH_COMMITS_MAX;; *n /= 2) {
		struct trib_bundle head = {.nrefs = 1, .refs = {{.name = MAIN_REF}, {.name = DOWN_REF}}};
		memcpy(head.refs[0].oid, l->chain[at + *n - 1], TRIB_OID_LEN);
		if (l->has_down && at + *n == l->n)
			memcpy(head.refs[head.nrefs++].oid, l->down, TRIB_OID_LEN);
		if (at || l->has_since)
			memcpy(head.prerequisites[head.nprerequisites++], at ? l->chain[at - 1] : l->since, TRIB_OID_LEN);
		if (trib_bundle_write(s->repo, &head, path, l->max, ret_bytes, err) == 0)
			return 0;
		if (err->code != TRIB_E_LIMIT || *n == 1)
			return -1;
	}
}

static char *part_name(const char *path, size_t i) { return i == 0 ? strdup(path) : trib_pathf("%s.%zu", path, i + 1); }

/* All files or none. */
static int write_all(struct trib_cli *cli, const struct load *l, size_t *ret_files, uint64_t *ret_bytes)
{
	struct trib_state *s = trib_cli_state(cli);
	json_t *files = json_array();
	struct trib_err ignored;
	size_t done = 0, i = 0;
	int rc = 0;
	*ret_bytes = 0;
	for (; done < l->n && !rc; i++) {
		TRIB_AUTO(trib_mem) char *path = part_name(cli->argv[0], i);
		uint64_t bytes = 0;
		size_t n = 0;
		rc = !path ? trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory") :
		     trib_fs_exists(path) ? trib_fail(&cli->err, TRIB_E_USAGE, _("%s exists; nothing was changed; choose another name"), path) :
					    write_part(s, l, done, path, &n, &bytes, &cli->err);
		if (rc)
			break;
		done += n;
		*ret_bytes += bytes;
		trib_say(cli, _("%s: %zu commits, up to #%llu, %llu bytes\n"), path, n, (unsigned long long)(s->tip.seq - (l->n - done)), (unsigned long long)bytes);
		json_array_append_new(files, trib_json_text(path));
	}
	*ret_files = i;
	while (rc && i-- > 0) {
		TRIB_AUTO(trib_mem) char *path = part_name(cli->argv[0], i);
		(void)!(path && trib_fs_remove(path, &ignored));
	}
	trib_json(cli, "files", files);
	return rc;
}

static void say_nothing(struct trib_cli *cli)
{
	const char *since = trib_cli_opt(cli, "since");
	if (since)
		trib_say(cli, _("Nothing to carry: there is no commit after %s.\n"), since);
	else
		trib_say(cli, "%s\n", _("Nothing to carry: the city has a receipt for every commit. The whole history: tributary-agent bundle create FILE --whole"));
}

int agent_cmd_bundle_create(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	const char *path = cli->argv[0];
	__attribute__((cleanup(load_cleanup))) struct load l = {0};
	size_t files;
	uint64_t bytes;
	if (trib_cli_flag(cli, "private"))
		return create_private(cli, path);
	if (trib_cli_opt(cli, "to"))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--to goes with --private; the history itself is signed and not secret to the city"));
	if (!s->tip.exists)
		return trib_fail(&cli->err, TRIB_E_NOT_INIT, _("there is no commit yet; try: tributary-agent commit"));
	if (trib_fs_exists(path))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s exists; nothing was changed; choose another name"), path);
	if (!cli->dry_run && take_apart(cli))
		return -1;
	if (find_load(cli, &l))
		return -1;
	trib_json(cli, "commits", json_integer((json_int_t)l.n));
	if (l.n == 0) {
		say_nothing(cli);
		return 0;
	}
	if (cli->dry_run) {
		trib_say(cli, _("would write %zu commits to %s\n"), l.n, path);
		return 0;
	}
	/* From here on the hub may hold them: they are not put together any more. */
	if (trib_repo_ref_set(s->repo, TRIB_REF_PUSH, s->tip.oid, &cli->err) || write_all(cli, &l, &files, &bytes))
		return -1;
	if (files > 1)
		trib_say(cli, _("At the city, one after the other and in this order: tributary-hub ingest FILE\n"));
	else
		trib_say(cli, _("At the city: tributary-hub ingest %s\n"), path);
	trib_json(cli, "file", trib_json_text(path));
	trib_json(cli, "seq", json_integer((json_int_t)s->tip.seq));
	trib_json(cli, "bytes", json_integer((json_int_t)bytes));
	return 0;
}

/* A stick of another office, or one that lay in a drawer, is no fault of the hub. *ret_older: it is of a log that was cut off since. */
static int look_at_word(struct trib_cli *cli, const uint8_t down[TRIB_OID_LEN], bool *ret_older)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	const struct trib_state *s = trib_cli_state(cli);
	struct trib_receipts list;
	struct trib_down d;
	char origin[sizeof(s->node.origin)];
	uint64_t steps = 0;
	if (trib_commit_read(s->repo, down, &c, &cli->err) || trib_down_parse(trib_buf_span(&c.manifest), &d, &cli->err) ||
	    trib_commit_blob(s->repo, &c, "receipts", TRIB_RECEIPTS_MAX, &b, &cli->err) || trib_receipts_parse(trib_buf_span(&b), &list, &cli->err) ||
	    trib_note_origin(list.checkpoint, origin, sizeof(origin), &cli->err))
		return trib_ctx(&cli->err, "%s", cli->argv[0]);
	if (strcmp(d.city, s->node.city) != 0 || strcmp(d.node, s->node.node) != 0 || strcmp(d.app, s->node.app) != 0)
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("%s is for %s/%s of %s, this office is %s/%s of %s; nothing was changed; bring the right one"), cli->argv[0], d.node, d.app,
				 d.city, s->node.node, s->node.app, s->node.city);
	*ret_older = trib_origin_follows(origin, s->node.origin, &steps) && steps > 0;
	return 0;
}

/* The chain that the bundle brings, judged whole before any of it is kept. */
static int take_word(struct trib_cli *cli, const struct trib_bundle *head, struct trib_pulled *ret)
{
	struct trib_state *s = trib_cli_state(cli);
	const uint8_t *down = NULL;
	for (size_t i = 0; i < head->nrefs; i++)
		if (strcmp(head->refs[i].name, DOWN_REF) == 0)
			down = head->refs[i].oid;
	if (!down)
		return trib_fail(&cli->err, TRIB_E_FORMAT, _("%s brings no word of the city (refs/heads/down); at the city: tributary-hub bundle create %s --node %s --app %s"),
				 cli->argv[0], cli->argv[0], s->node.node, s->node.app);
	trib_repo_refresh(s->repo);
	bool older = false;
	if (look_at_word(cli, down, &older))
		return -1;
	if (trib_link_take(s, down, ret, &cli->err) == 0)
		return 0;
	return !older || cli->err.code != TRIB_E_VERIFY ? -1 :
							  trib_fail(&cli->err, TRIB_E_VERIFY, _("%s is older than what this office has: it is of the log before the city opened %s; nothing was changed"),
								    cli->argv[0], s->node.origin);
}

/* Where the kept chain stands; zeros: there is none. */
static int down_at(struct trib_state *s, uint8_t ret[TRIB_OID_LEN], struct trib_err *err)
{
	memset(ret, 0, TRIB_OID_LEN);
	return trib_repo_ref(s->repo, DOWN_REF, ret, err) && err->code != TRIB_E_NOT_FOUND ? -1 : 0;
}

/* Of a refused bundle no object stays; of one that was taken in part before the disk was full, all do. */
static int take_bundle(struct trib_cli *cli, struct trib_pulled *ret)
{
	TRIB_AUTO(trib_bundle_loaded) struct trib_bundle_loaded loaded = {0};
	struct trib_state *s = trib_cli_state(cli);
	uint8_t before[TRIB_OID_LEN], after[TRIB_OID_LEN];
	struct trib_bundle head;
	struct trib_err none;
	if (down_at(s, before, &cli->err) || trib_bundle_load(cli->argv[0], s->repo, &head, &loaded, &cli->err))
		return -1;
	if (take_word(cli, &head, ret) == 0)
		return 0;
	if (down_at(s, after, &none) == 0 && memcmp(before, after, sizeof(after)) == 0 && trib_bundle_unload(s->repo, &loaded, &none))
		return trib_ctx(&cli->err, "%s", none.msg);
	return -1;
}

int agent_cmd_bundle_apply(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_pulled p;
	struct trib_err ignored;
	bool old = false;
	if (!s->node.enrolled)
		return trib_fail(&cli->err, TRIB_E_CERT, _("this office is not enrolled yet; try: tributary-agent enrol --slip FILE"));
	if (cli->dry_run) {
		trib_say(cli, _("would take the city's word from %s\n"), cli->argv[0]);
		return 0;
	}
	if (take_bundle(cli, &p)) {
		if (cli->err.code == TRIB_E_FORK && trib_repo_ref_set(s->repo, TRIB_REF_FORKED, s->tip.oid, &ignored))
			trib_talk(cli, "%s\n", ignored.msg);
		return -1;
	}
	if (trib_outbox_unforked(s, &cli->err) || trib_oldlog_write(s, &old, &cli->err))
		return -1;
	trib_json(cli, "new_receipts", json_integer((json_int_t)p.new_receipts));
	trib_json(cli, "held_seq", json_integer((json_int_t)p.held_seq));
	trib_json(cli, "merged_seq", json_integer((json_int_t)p.merged_seq));
	trib_record_success(s, TRIB_DEED_EXCHANGE);
	trib_say(cli, _("%llu new receipts; held up to #%llu, in the city up to #%llu\n"), (unsigned long long)p.new_receipts, (unsigned long long)p.held_seq,
		 (unsigned long long)p.merged_seq);
	if (old)
		trib_say(cli, _("The city's log was cut off; this office holds receipts of the one before. Carry %s/old-receipts to the city as well: tributary-hub recover --receipts old-receipts\n"), s->dir);
	return 0;
}
