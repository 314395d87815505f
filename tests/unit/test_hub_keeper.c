#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "hub/keeper.h"
#include "hub/pack_in.h"
#include "tests/lib/mkhub.h"

#define NOW (MK_TIME + 1000)

/* A hub's folder, and on demand a real keeper process with the sockets of its siblings and of one worker. */
struct fixture {
	struct mkhub hub;
	pid_t keeper;
	int control, merger, enrol, worker;
};

static void save_key(struct fixture *f, const char *name, const struct trib_key *key)
{
	char *path = mkhub_path(&f->hub, name);
	HUB_OK(trib_key_save(key, path, err));
	free(path);
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	mkhub_init(&f->hub);
	save_key(f, "keys/hub-sign.key", f->hub.signer.sign_key);
	save_key(f, "keys/log.key", f->hub.signer.log_key);
	mkhub_sql(f->hub.db.db, "UPDATE cert SET not_after = 1 << 40");
	f->control = f->merger = f->enrol = f->worker = -1;
	*state = f;
	return 0;
}

static void end_keeper(struct fixture *f)
{
	int *all[] = {&f->worker, &f->merger, &f->enrol, &f->control};
	int status;
	if (!f->keeper)
		return;
	for (size_t i = 0; i < TRIB_COUNT(all); i++)
		trib_fd_cleanup(all[i]);
	assert_int_equal(waitpid(f->keeper, &status, 0), f->keeper);
	assert_true(WIFEXITED(status));
	f->keeper = 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;
	end_keeper(f);
	mkhub_free(&f->hub);
	free(f);
	return 0;
}

static void start_keeper(struct fixture *f)
{
	int c[2], m[2], e[2], w[2];
	HUB_OK(trib_ipc_pair(c, err) || trib_ipc_pair(m, err) || trib_ipc_pair(e, err) || trib_ipc_pair(w, err));
	f->keeper = fork();
	assert_true(f->keeper >= 0);
	if (f->keeper == 0) {
		close(c[0]);
		close(m[0]);
		close(e[0]);
		close(w[0]);
		close(w[1]);
		_exit(trib_keeper_main(&f->hub.hub, c[1], m[1], e[1]));
	}
	close(c[1]);
	close(m[1]);
	close(e[1]);
	f->control = c[0];
	f->merger = m[0];
	f->enrol = e[0];
	HUB_OK(trib_ipc_send_fd(f->control, w[0], 1, err));
	close(w[0]);
	f->worker = w[1];
}

/* The answer to one message; 0 when the keeper closed the connection instead. */
static int call(struct fixture *f, enum trib_ipc_type type, struct trib_span a, struct trib_span b, void *ret, size_t size)
{
	struct trib_buf in = TRIB_BUF(TRIB_MIB);
	enum trib_ipc_type got = TRIB_IPC_HELLO;
	struct trib_err err;
	int r = trib_ipc_send(f->worker, type, a, b, trib_span(NULL, 0), &err);
	if (r == 0)
		r = trib_ipc_recv(f->worker, 10000, &got, &in, &err);
	if (r == 1 && size) {
		assert_int_equal(in.len, size);
		memcpy(ret, in.p, size);
	}
	trib_buf_release(&in);
	return r == 1;
}

static int hello(struct fixture *f, int node, struct trib_ipc_who *ret)
{
	struct trib_ipc_hello h = {.has_cert = 1};
	memset(h.cert_sha256, 0x40 + node, sizeof(h.cert_sha256)); /* the TLS certificates of mkhub.h */
	return call(f, TRIB_IPC_HELLO, trib_span(&h, sizeof(h)), trib_span(NULL, 0), ret, sizeof(*ret));
}

static void a_worker_is_bound_to_its_first_word(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	start_keeper(f);
	assert_true(hello(f, 0, &who));
	assert_true(who.known);
	assert_string_equal(who.node, MK_NODE);
	assert_true(hello(f, 0, &who)); /* before each request of a kept connection */
	assert_true(who.known);
	assert_false(hello(f, 1, &who)); /* taken over by its peer, it names another office's certificate */
}

static void revocation_acts_at_the_next_word(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	start_keeper(f);
	assert_true(hello(f, 0, &who));
	mkhub_sql(f->hub.db.db, "UPDATE cert SET revoked_at = 1");
	assert_true(hello(f, 0, &who));
	assert_false(who.known);
	assert_non_null(strstr(who.reason, "revoked"));
}

/* One more worker, as the supervisor introduces it. */
static int another(struct fixture *f, int64_t pid)
{
	int w[2];
	HUB_OK(trib_ipc_pair(w, err) || trib_ipc_send_fd(f->control, w[0], pid, err));
	close(w[0]);
	return w[1];
}

#define PERSON "INSERT INTO person(sha256, name, role, usage, not_after) "

/* An office has a new certificate whenever it asks, a person may have several: all count together. */
static void an_office_has_few_connections(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	int worker[TRIB_PEER_CONNS_MAX + 1];
	mkhub_sql(f->hub.db.db, "INSERT INTO cert SELECT CAST(replace(hex(zeroblob(16)), '0', 'B') AS BLOB), node, app, usage, incarnation, not_after, revoked_at, serial, issuer "
				"FROM cert WHERE node = '" MK_NODE "' AND usage = 'tls'");
	start_keeper(f);
	close(f->worker);
	for (int i = 0; i <= TRIB_PEER_CONNS_MAX; i++) {
		f->worker = worker[i] = another(f, 2 + i);
		assert_true(hello(f, i % 2 * ('B' - 0x40), &who));
		assert_int_equal(who.known, i < TRIB_PEER_CONNS_MAX);
		assert_int_equal(who.busy, i == TRIB_PEER_CONNS_MAX);
	}
	assert_non_null(strstr(who.reason, "try again"));
	f->worker = another(f, 100); /* another office is not meant */
	assert_true(hello(f, 1, &who));
	assert_true(who.known);
	close(f->worker);
	close(worker[0]);
	f->worker = worker[TRIB_PEER_CONNS_MAX];
	assert_true(hello(f, 0, &who)); /* one has ended: there is room */
	assert_true(who.known);
	for (int i = 1; i < TRIB_PEER_CONNS_MAX; i++)
		close(worker[i]);
}

static void a_person_has_few_connections(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	mkhub_sql(f->hub.db.db, PERSON "SELECT CAST(replace(hex(zeroblob(16)), '0', substr('BCD', k, 1)) AS BLOB), CASE k WHEN 3 THEN 'Wang' ELSE 'Li' END, 'auditor', 'tls', 4000000000 "
				"FROM (SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3)");
	start_keeper(f);
	for (int i = 0; i <= TRIB_PEER_CONNS_MAX; i++) {
		f->worker = another(f, 2 + i);
		assert_true(hello(f, i % 2 ? 'B' - 0x40 : 'C' - 0x40, &who));
		assert_int_equal(who.known, i < TRIB_PEER_CONNS_MAX);
	}
	assert_true(who.busy);
	f->worker = another(f, 100);
	assert_true(hello(f, 'D' - 0x40, &who)); /* another one is not meant */
	assert_true(who.known);
}

static void nobody_waits_for_a_worker_that_stops_in_its_word(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	struct trib_ipc_head head = {.magic = TRIB_IPC_MAGIC, .type = TRIB_IPC_PUBLISH, .len = 5000};
	start_keeper(f);
	int honest = f->worker, half[3];
	for (int i = 0; i < 3; i++) {
		f->worker = half[i] = another(f, 2 + i);
		assert_true(hello(f, 0, &who));
		assert_int_equal(write(half[i], &head, i == 0 ? 1 : sizeof(head)), i == 0 ? 1 : (ssize_t)sizeof(head));
	}
	f->worker = honest;
	int64_t begin = trib_mono_ms();
	for (int i = 0; i < 20; i++)
		assert_true(hello(f, 1, &who));
	assert_true(trib_mono_ms() - begin < 15000); /* a stuck peer has 20 s */
	for (int i = 0; i < 3; i++)
		close(half[i]);
}

static void nobody_waits_for_a_worker_that_does_not_listen(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	struct trib_ipc_history h = {.node = MK_NODE, .app = MK_APP};
	struct trib_err err;
	mkhub_sql(f->hub.db.db, "INSERT INTO history(node, app, oid, seq, tip) VALUES('" MK_NODE "', '" MK_APP "', zeroblob(20), 1, zeroblob(8000000))");
	start_keeper(f);
	int honest = f->worker, deaf = another(f, 2);
	f->worker = deaf;
	assert_true(hello(f, 0, &who));
	assert_int_equal(trib_ipc_send(deaf, TRIB_IPC_STATE, trib_span(&h, sizeof(h)), trib_span(NULL, 0), trib_span(NULL, 0), &err), 0);
	f->worker = honest;
	int64_t begin = trib_mono_ms();
	for (int i = 0; i < 20; i++)
		assert_true(hello(f, 1, &who));
	assert_true(trib_mono_ms() - begin < 15000); /* a stuck peer has 20 s */
	/* When it listens after all, the answer is whole. */
	struct trib_buf in = TRIB_BUF(TRIB_IPC_MAX);
	enum trib_ipc_type type;
	assert_int_equal(trib_ipc_recv(deaf, 5000, &type, &in, &err), 1);
	assert_int_equal(type, TRIB_IPC_STATE_IS);
	assert_int_equal(in.len, 8000000);
	trib_buf_release(&in);
	close(deaf);
}

static struct trib_ipc_held held_record(const struct fixture *f)
{
	struct trib_ipc_held h = {.incarnation = 1, .seq = 1, .part = 1, .parts = 1};
	struct trib_cert_id id;
	HUB_OK(trib_cert_identity(f->hub.node[0].cert, &id, err));
	memcpy(h.signer, id.sha256, sizeof(h.signer));
	return h;
}

static enum trib_code publish_pack(struct fixture *f, const char *node, const struct trib_ipc_held *h, const char *pack)
{
	struct trib_ipc_publish p = {.nheld = 1};
	struct trib_ipc_result r;
	(void)snprintf(p.pack, sizeof(p.pack), "%s", pack);
	(void)snprintf(p.node, sizeof(p.node), "%s", node);
	(void)snprintf(p.app, sizeof(p.app), MK_APP);
	memcpy(p.new_tip, h->oid, sizeof(p.new_tip));
	assert_true(call(f, TRIB_IPC_PUBLISH, trib_span(&p, sizeof(p)), trib_span(h, sizeof(*h)), &r, sizeof(r)));
	return (enum trib_code)r.code;
}

static enum trib_code publish(struct fixture *f, const char *node, const struct trib_ipc_held *h) { return publish_pack(f, node, h, ""); }

static int64_t number(struct fixture *f, const char *sql)
{
	int64_t n = -1;
	HUB_OK(trib_db_int(f->hub.db.db, sql, -1, &n, err));
	return n;
}

static void records_of_a_push_are_not_believed(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	struct trib_ipc_held h = held_record(f);
	start_keeper(f);
	assert_true(hello(f, 0, &who));
	assert_int_equal(publish(f, "N2", &h), TRIB_E_REFUSED); /* another office's history */
	h.incarnation = 2;
	assert_int_equal(publish(f, MK_NODE, &h), TRIB_E_CHAIN);
	h.incarnation = 1;
	h.seq = 7;
	assert_int_equal(publish(f, MK_NODE, &h), TRIB_E_CHAIN);
	h.seq = 1;
	h.signer[0] ^= 1;
	assert_int_equal(publish(f, MK_NODE, &h), TRIB_E_CERT);
	h.signer[0] ^= 1;
	mkhub_sql(f->hub.db.db, "UPDATE cert SET revoked_at = 1 WHERE usage = 'sign'");
	assert_int_equal(publish(f, MK_NODE, &h), TRIB_E_CERT);
	mkhub_sql(f->hub.db.db, "UPDATE cert SET revoked_at = NULL; UPDATE node SET incarnation = 2");
	assert_int_equal(publish(f, MK_NODE, &h), TRIB_E_CERT); /* replaced while the push went on */
	assert_int_equal(number(f, "SELECT count(*) FROM held"), 0);
}

static void put_file(struct fixture *f, const char *name)
{
	char *path = mkhub_path(&f->hub, name);
	HUB_OK(trib_fs_write(path, trib_span_str("pack"), 0600, err));
	free(path);
}

static void drop_file(struct fixture *f, const char *name)
{
	char *path = mkhub_path(&f->hub, name);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static bool has_file(struct fixture *f, const char *name)
{
	char *path = mkhub_path(&f->hub, name);
	bool there = trib_fs_exists(path);
	free(path);
	return there;
}

static void a_worker_publishes_from_its_own_quarantine_alone(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	struct trib_ipc_held h = held_record(f);
	static const char *const dirs[] = {"quarantine/w1/pack", "quarantine/w2/pack"};
	for (size_t i = 0; i < TRIB_COUNT(dirs); i++) {
		char *path = mkhub_path(&f->hub, dirs[i]);
		HUB_OK(trib_fs_mkdirs(path, 0700, err));
		free(path);
	}
	put_file(f, "quarantine/w2/pack/pack-ab.pack"); /* of the worker of another connection */
	put_file(f, "quarantine/w2/pack/pack-ab.idx");
	start_keeper(f);
	assert_true(hello(f, 0, &who));
	assert_int_not_equal(publish_pack(f, MK_NODE, &h, "ab"), TRIB_OK);
	assert_true(has_file(f, "quarantine/w2/pack/pack-ab.pack"));
	assert_int_not_equal(publish_pack(f, MK_NODE, &h, "../w2/pack/ab"), TRIB_OK);
	assert_true(has_file(f, "quarantine/w2/pack/pack-ab.pack"));
	assert_int_equal(number(f, "SELECT count(*) FROM held"), 0);
}

#define PACKS "repos/" MK_NODE "/" MK_APP ".git/objects/pack/"

static void put_quarantine(struct fixture *f)
{
	char *path = mkhub_path(&f->hub, "quarantine/w1/pack");
	HUB_OK(trib_fs_mkdirs(path, 0700, err));
	free(path);
	put_file(f, "quarantine/w1/pack/pack-ab.pack");
	put_file(f, "quarantine/w1/pack/pack-ab.idx");
}

static size_t files_in(struct fixture *f, const char *name)
{
	char *path = mkhub_path(&f->hub, name);
	DIR *d = opendir(path);
	size_t n = 0;
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	free(path);
	return n < 2 ? 0 : n - 2;
}

static void a_push_that_fails_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	struct trib_ipc_held h = held_record(f);
	put_quarantine(f);
	mkhub_sql(f->hub.db.db, "CREATE TRIGGER full BEFORE INSERT ON held BEGIN SELECT RAISE(ABORT, 'no space'); END");
	start_keeper(f);
	assert_true(hello(f, 0, &who));
	size_t before = files_in(f, PACKS);
	assert_int_equal(publish_pack(f, MK_NODE, &h, "ab"), TRIB_E_DB);
	assert_int_equal(files_in(f, PACKS), before);
	put_quarantine(f); /* pushed again when there is room */
	mkhub_sql(f->hub.db.db, "DROP TRIGGER full");
	assert_int_equal(publish_pack(f, MK_NODE, &h, "ab"), TRIB_OK);
	assert_int_equal(files_in(f, PACKS), before + 2); /* pack and index, no mark */
	drop_file(f, PACKS "pack-ab.idx"); /* of no real pack: the repository would not be read with it */
	drop_file(f, PACKS "pack-ab.pack");
	put_quarantine(f); /* and once more, by somebody whose answer was lost: it stands elsewhere now */
	assert_int_equal(publish_pack(f, MK_NODE, &h, "ab"), TRIB_E_CHAIN);
	assert_int_equal(files_in(f, PACKS), before);
}

/* What is between "pack in place" and "commits held" when the power goes. */
static void a_crash_leaves_no_pack_that_nothing_names(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	char *dir = mkhub_path(&f->hub, PACKS);
	HUB_OK(trib_fs_mkdirs(dir, 0700, err));
	free(dir);
	put_file(f, PACKS "pack-ab.pack");
	put_file(f, PACKS "pack-ab.idx");
	put_file(f, PACKS "pack-ab.new-00000000000000000000000000000000000000aa");
	put_file(f, PACKS "pack-cd.pack");
	put_file(f, PACKS "pack-cd.idx");
	put_file(f, PACKS "pack-cd.new-00000000000000000000000000000000000000bb");
	put_file(f, PACKS "pack-ef.pack"); /* whatever stock git would put there is not ours to judge */
	HUB_OK(trib_pack_in_sweep(&f->hub.db, MK_NODE, "nothing", err));
	mkhub_sql(f->hub.db.db, "INSERT INTO held VALUES(99, '" MK_NODE "', '" MK_APP "', 9, 1, 1, 1, x'00000000000000000000000000000000000000bb', zeroblob(32), zeroblob(32), 1, 1, "
				"0, 0, 0, 0, NULL, NULL)");
	start_keeper(f);
	assert_true(hello(f, 0, &who));
	assert_false(has_file(f, PACKS "pack-ab.pack") || has_file(f, PACKS "pack-ab.idx") || has_file(f, PACKS "pack-ab.new-00000000000000000000000000000000000000aa"));
	assert_true(has_file(f, PACKS "pack-cd.pack") && has_file(f, PACKS "pack-cd.idx"));
	assert_false(has_file(f, PACKS "pack-cd.new-00000000000000000000000000000000000000bb"));
	assert_true(has_file(f, PACKS "pack-ef.pack"));
}

#define REFS(node) "repos/" node "/" MK_APP ".git/refs/heads/"

/* The merger tells that it took in all there is: receipts that are due go out. */
static void merged(struct fixture *f)
{
	struct trib_ipc_merged m = {.upto = (uint64_t)number(f, "SELECT count(*) FROM leaf")};
	int worker = f->worker;
	struct trib_ipc_result r;
	struct trib_buf in = TRIB_BUF(TRIB_MIB);
	enum trib_ipc_type type;
	struct trib_err err;
	assert_int_equal(trib_ipc_recv(f->merger, 10000, &type, &in, &err), 1); /* it was woken at start */
	assert_int_equal(type, TRIB_IPC_WAKE);
	trib_buf_release(&in);
	f->worker = f->merger;
	assert_true(call(f, TRIB_IPC_MERGED, trib_span(&m, sizeof(m)), trib_span(NULL, 0), &r, sizeof(r)));
	f->worker = worker;
}

/* With thousands of histories, looking at all of them again takes longer than others can wait. */
static void a_history_that_is_behind_catches_up_alone(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_who who;
	struct trib_ipc_history h = {.node = MK_NODE, .app = MK_APP};
	mkhub_commit(&f->hub, 0, MKHUB_PERSON);
	mkhub_commit(&f->hub, 1, MKHUB_PERSON);
	start_keeper(f);
	assert_true(hello(f, 0, &who));
	assert_true(has_file(f, REFS(MK_NODE) "down") && has_file(f, REFS("N2") "down")); /* at start all */
	drop_file(f, REFS(MK_NODE) "down");
	drop_file(f, REFS("N2") "down"); /* nothing of this one fails: it is not to be looked at */
	char *dir = mkhub_path(&f->hub, REFS(MK_NODE) "down");
	assert_int_equal(mkdir(dir, 0700), 0);
	put_file(f, REFS(MK_NODE) "down/in-the-way");
	mkhub_sql(f->hub.db.db, "INSERT INTO due(idx, node, app) SELECT max(idx), node, app FROM held WHERE node = '" MK_NODE "'");
	merged(f);
	assert_int_equal(number(f, "SELECT count(*) FROM due"), 0); /* the receipt is made, its ref is behind */
	drop_file(f, REFS(MK_NODE) "down/in-the-way");
	assert_int_equal(rmdir(dir), 0);
	free(dir);
	assert_true(call(f, TRIB_IPC_STATE, trib_span(&h, sizeof(h)), trib_span(NULL, 0), NULL, 0));
	assert_true(has_file(f, REFS(MK_NODE) "down"));
	assert_false(has_file(f, REFS("N2") "down"));
}

static void a_storm_of_refusals_is_few_leaves(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_refusal r = {.node = MK_NODE, .app = MK_APP, .code = TRIB_E_FORMAT, .msg = "bad"};
	int64_t before = number(f, "SELECT count(*) FROM leaf"), after;
	for (int i = 0; i < 100; i++) {
		r.object[0] = (uint8_t)(i / 2); /* each one twice */
		HUB_OK(trib_keeper_refused(&f->hub.db, &r, NOW, err));
	}
	after = number(f, "SELECT count(*) FROM leaf");
	assert_true(after > before && after - before <= 20);
	assert_int_equal(number(f, "SELECT times FROM refusal"), 100);
	r.object[0] = 200;
	HUB_OK(trib_keeper_refused(&f->hub.db, &r, NOW + 3600, err)); /* the next day's is on record again */
	assert_int_equal(number(f, "SELECT count(*) FROM leaf"), after + 1);
}

static struct trib_ipc_enrolled enrolled(uint64_t incarnation, uint8_t cert)
{
	struct trib_ipc_enrolled e = {.node = MK_NODE, .app = MK_APP, .name = "Xima", .incarnation = incarnation, .sign_not_after = NOW, .tls_not_after = NOW};
	memset(e.sign_sha256, cert, sizeof(e.sign_sha256));
	memset(e.tls_sha256, cert + 1, sizeof(e.tls_sha256));
	return e;
}

static void certificates_told_late_bring_no_machine_back(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_enrolled lost = enrolled(2, 0x70), second = enrolled(2, 0x80), third = enrolled(3, 0x90);
	struct trib_err why;
	HUB_OK(trib_keeper_enrolled(&f->hub.db, &second, err));
	int64_t leaves = number(f, "SELECT count(*) FROM leaf");
	HUB_OK(trib_keeper_enrolled(&f->hub.db, &second, err)); /* told twice */
	assert_int_equal(number(f, "SELECT count(*) FROM leaf"), leaves);
	HUB_OK(trib_keeper_enrolled(&f->hub.db, &third, err));
	assert_int_equal(trib_keeper_enrolled(&f->hub.db, &lost, &why), -1);
	assert_int_equal(why.code, TRIB_E_CERT);
	assert_int_equal(number(f, "SELECT incarnation FROM node WHERE node = '" MK_NODE "'"), 3);
}

/* One folder again: by a new machine, or by a reset that was published. The leaf stays, and the next fork is another one. */
static void a_fork_is_named_until_one_folder_is_left(void **state)
{
	struct fixture *f = *state;
	struct trib_ipc_refusal r = {.node = MK_NODE, .app = MK_APP, .code = TRIB_E_FORK, .msg = "forked"}, other = {.node = MK_NODE, .app = MK_APP, .code = TRIB_E_FORMAT, .msg = "bad"};
	struct trib_ipc_enrolled second = enrolled(2, 0x80), key = enrolled(2, 0x90);
	HUB_OK(trib_keeper_refused(&f->hub.db, &r, NOW, err));
	HUB_OK(trib_keeper_refused(&f->hub.db, &other, NOW, err));
	int64_t leaves = number(f, "SELECT count(*) FROM leaf");
	HUB_OK(trib_keeper_enrolled(&f->hub.db, &second, err));
	assert_int_equal(number(f, "SELECT count(*) FROM refusal WHERE code = 'fork'"), 0);
	assert_int_equal(number(f, "SELECT count(*) FROM refusal"), 1);
	assert_int_equal(number(f, "SELECT count(*) FROM leaf"), leaves + 1);
	HUB_OK(trib_keeper_refused(&f->hub.db, &r, NOW, err));
	assert_int_equal(number(f, "SELECT count(*) FROM leaf"), leaves + 2);
	key.rotation = 1;
	memcpy(key.before_sha256, second.sign_sha256, sizeof(key.before_sha256));
	HUB_OK(trib_keeper_enrolled(&f->hub.db, &key, err)); /* the same machine */
	assert_int_equal(number(f, "SELECT count(*) FROM refusal WHERE code = 'fork'"), 1);
	HUB_OK(trib_keeper_fork_over(&f->hub.db, MK_NODE, "other", err));
	assert_int_equal(number(f, "SELECT count(*) FROM refusal WHERE code = 'fork'"), 1);
	HUB_OK(trib_keeper_fork_over(&f->hub.db, MK_NODE, MK_APP, err));
	assert_int_equal(number(f, "SELECT count(*) FROM refusal WHERE code = 'fork'"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_worker_is_bound_to_its_first_word, start, stop),
		cmocka_unit_test_setup_teardown(revocation_acts_at_the_next_word, start, stop),
		cmocka_unit_test_setup_teardown(an_office_has_few_connections, start, stop),
		cmocka_unit_test_setup_teardown(a_person_has_few_connections, start, stop),
		cmocka_unit_test_setup_teardown(nobody_waits_for_a_worker_that_stops_in_its_word, start, stop),
		cmocka_unit_test_setup_teardown(nobody_waits_for_a_worker_that_does_not_listen, start, stop),
		cmocka_unit_test_setup_teardown(a_worker_publishes_from_its_own_quarantine_alone, start, stop),
		cmocka_unit_test_setup_teardown(a_push_that_fails_leaves_nothing, start, stop),
		cmocka_unit_test_setup_teardown(a_crash_leaves_no_pack_that_nothing_names, start, stop),
		cmocka_unit_test_setup_teardown(records_of_a_push_are_not_believed, start, stop),
		cmocka_unit_test_setup_teardown(a_history_that_is_behind_catches_up_alone, start, stop),
		cmocka_unit_test_setup_teardown(a_storm_of_refusals_is_few_leaves, start, stop),
		cmocka_unit_test_setup_teardown(certificates_told_late_bring_no_machine_back, start, stop),
		cmocka_unit_test_setup_teardown(a_fork_is_named_until_one_folder_is_left, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
