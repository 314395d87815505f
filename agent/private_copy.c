#include "agent/private_copy.h"

#include <fcntl.h>

#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/format/kv.h"
#include "core/store/bundlefile.h"
#include "core/trust/seal.h"

#define MAIN "refs/heads/main"
#define CHAIN_MAX ((size_t)16 * 1024 * 1024)

struct out { struct trib_seal *seal; uint64_t bytes; };

static int put(void *ctx, struct trib_span bytes, struct trib_err *err)
{
	struct out *o = ctx;
	o->bytes += bytes.n;
	return trib_seal_put(o->seal, bytes, err);
}

static int seal_to(struct trib_state *s, const struct trib_cert *to, int fd, uint64_t *ret_bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_seal) struct trib_seal *seal = NULL;
	struct trib_bundle head = {.nrefs = 1, .refs = {{.name = MAIN}}};
	memcpy(head.refs[0].oid, s->private_tip.oid, TRIB_OID_LEN);
	if (trib_seal_new(to, fd, &seal, err))
		return -1;
	struct out o = {.seal = seal};
	if (trib_bundle_send(s->private_repo, &head, put, &o, err) || trib_seal_end(seal, err))
		return -1;
	*ret_bytes = o.bytes;
	return fsync(fd) ? trib_fail_errno(err, "fsync of the copy") : 0;
}

static int remember(const struct trib_state *s, const struct trib_private_copy *c, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "private-bundle");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	char when[TRIB_TIME_LEN + 1];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_time_text(when, c->at);
	trib_buf_printf(&b, "format tributary-private-bundle-1\nat %s\nseq %llu\nto ", when, (unsigned long long)c->seq);
	trib_pct(&b, trib_span_str(c->to[0] ? c->to : "-"));
	trib_buf_putc(&b, '\n');
	return trib_buf_check(&b, "private-bundle", err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

int trib_private_copy_make(struct trib_state *s, const char *cert_path, const char *path, struct trib_private_copy *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_cert) struct trib_cert *to = NULL;
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tmp", path);
	struct trib_private_copy c = {.at = trib_now(), .seq = s->private_tip.seq};
	struct trib_cert_id id;
	if (!tmp)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!s->private_tip.exists)
		return trib_fail(err, TRIB_E_USAGE, "nothing is private in this office, so there is nothing to copy");
	if (trib_fs_exists(path))
		return trib_fail(err, TRIB_E_USAGE, "%s exists; nothing was changed; choose another name", path);
	if (trib_cert_load(cert_path, &to, err) || trib_cert_identity(to, &id, err))
		return -1;
	(void)snprintf(c.to, sizeof(c.to), "%s", id.subject);
	TRIB_AUTO(trib_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return trib_fail_errno(err, "%s", tmp);
	if (seal_to(s, to, fd, &c.bytes, err) || trib_fs_rename(tmp, path, err) || remember(s, &c, err)) {
		(void)unlink(tmp);
		return -1;
	}
	*ret = c;
	return 0;
}

bool trib_private_copy_last(const struct trib_state *s, struct trib_private_copy *ret)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "private-bundle");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	struct trib_private_copy c = {0};
	struct trib_err none;
	if (!path || trib_fs_read(path, &b, &none))
		return false;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (trib_kv_take_is(&kv, "format", "tributary-private-bundle-1", &none) || trib_kv_take_time(&kv, "at", &c.at, &none) || trib_kv_take_u64(&kv, "seq", &c.seq, &none))
		return false;
	*ret = c;
	return true;
}

/* How many commits another machine had made before the one that made `oid`: numbers in private.git are counted from there. */
static int base_of(const struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], uint64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t(*chain)[TRIB_OID_LEN] = NULL;
	uint64_t incarnation = 0;
	size_t n = 0;
	*ret = 0;
	if (trib_repo_chain(s->repo, oid, NULL, CHAIN_MAX, &chain, &n, err))
		return -1;
	for (size_t i = n; i > 0; i--) {
		TRIB_AUTO(trib_commit) struct trib_commit c = {0};
		TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
		if (trib_commit_read(s->repo, chain[i - 1], &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
			return -1;
		if (i == n)
			incarnation = m.incarnation;
		if (m.incarnation != incarnation) {
			*ret = m.seq;
			return 0;
		}
	}
	return 0;
}

/* Was the copy made of this folder's own private half? */
static int is_own(const struct trib_state *s, struct trib_repo *copy, const uint8_t oid[TRIB_OID_LEN], bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf theirs = TRIB_BUF(TRIB_SIGNER_MAX), ours = TRIB_BUF(TRIB_SIGNER_MAX);
	TRIB_AUTO(trib_mem) char *crt = trib_state_path(s, "keys/private.crt");
	if (!crt)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	*ret = false;
	if (!trib_fs_exists(crt))
		return 0;
	if (trib_commit_read(copy, oid, &c, err) || trib_commit_blob(copy, &c, "signer.pem", TRIB_SIGNER_MAX, &theirs, err) || trib_fs_read(crt, &ours, err))
		return -1;
	*ret = trib_span_eq(trib_buf_span(&theirs), trib_buf_span(&ours));
	return 0;
}

/* A folder that follows another machine has that machine's copy: its numbers say nothing of the commits made here. */
static int fits(const struct trib_state *s, struct trib_repo *copy, const uint8_t head[TRIB_OID_LEN], uint64_t base, struct trib_err *err)
{
	uint64_t before;
	bool own = false;
	if (trib_private_base(s, &before, err) || is_own(s, copy, head, &own, err))
		return -1;
	if (!before || base < before || own)
		return 0;
	return trib_fail(err, TRIB_E_USAGE, _("the copy is of the private half of the machine before this one, whose last commit is #%llu; nothing was changed; join it there: --at '#%llu', or earlier"),
			 (unsigned long long)before, (unsigned long long)before);
}

int trib_private_copy_open(const struct trib_state *s, const char *bundle, const char *dir, const uint8_t oid[TRIB_OID_LEN], struct trib_history *h, struct trib_repo **ret,
			   struct trib_err *err)
{
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	struct trib_bundle head;
	uint64_t base;
	if (base_of(s, oid, &base, err) || trib_repo_create(dir, &repo, err) || trib_bundle_load(bundle, repo, &head, NULL, err))
		return -1;
	if (head.nrefs != 1 || strcmp(head.refs[0].name, MAIN) != 0)
		return trib_fail(err, TRIB_E_FORMAT, "%s is no copy of a private half: it does not bring " MAIN " alone", bundle);
	if (fits(s, repo, head.refs[0].oid, base, err) || trib_repo_ref_set(repo, MAIN, head.refs[0].oid, err))
		return -1;
	h->private_repo = repo;
	h->private_trust = trib_private_trust(s);
	h->private_base = base;
	*ret = repo;
	repo = NULL;
	return 0;
}
