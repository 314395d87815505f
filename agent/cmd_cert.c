/* cmd_cert.c: `cert show`, `cert renew`, `cert rotate`. */
#include "agent/commands.h"
#include "agent/link.h"
#include "core/base/clock.h"

static int show_cert(struct trib_cli *cli, const char *use, const struct trib_cert *c, json_t *list)
{
	struct trib_cert_id id;
	char from[17], until[17];
	if (trib_cert_identity(c, &id, &cli->err))
		return -1;
	trib_time_city(from, id.not_before);
	trib_time_city(until, id.not_after);
	char hex[TRIB_SHA256_HEX + 1];
	trib_hex(hex, id.sha256, TRIB_SHA256_LEN);
	trib_say(cli, _("%s\n  of          %s%s%s\n  valid       %s to %s%s\n  serial      %s\n  SHA-256     %s\n"), use, id.subject, id.id[0] ? "  " : "", id.id, from, until,
		 id.not_after < trib_now() ? _(" (expired)") : id.self_signed && id.role == TRIB_ROLE_NODE ? _(", self-signed before enrolment") : "", id.serial, hex);
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:b}", "use", use, "subject", id.subject, "id", id.id, "not_before",
					      agent_json_time(id.not_before), "not_after", agent_json_time(id.not_after), "serial", id.serial, "sha256", hex, "self_signed",
					      id.self_signed));
	return 0;
}

int agent_cmd_cert_show(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	const struct { const char *use; const struct trib_cert *cert; } all[] = {
		{N_("signing"), s->sign_cert}, {N_("connection"), s->tls_cert}, {N_("issuing"), s->issuing}, {N_("root"), s->root}};
	json_t *list = json_array();
	int rc = 0;
	for (size_t i = 0; i < TRIB_COUNT(all) && !rc; i++)
		if (all[i].cert)
			rc = show_cert(cli, cli->json ? all[i].use : _(all[i].use), all[i].cert, list);
	trib_json(cli, "certificates", list);
	return rc;
}

static int must_be_enrolled(struct trib_cli *cli)
{
	if (trib_cli_state(cli)->node.enrolled)
		return 0;
	return trib_fail(&cli->err, TRIB_E_CERT, _("this office is not enrolled with a city yet; everything is kept here; next: tributary-agent enrol --slip FILE"));
}

static int json_cert(struct trib_cli *cli, const struct trib_cert *c)
{
	struct trib_cert_id id;
	if (trib_cert_identity(c, &id, &cli->err))
		return -1;
	trib_json(cli, "sha256", agent_json_hex(id.sha256, sizeof(id.sha256)));
	trib_json(cli, "not_after", agent_json_time(id.not_after));
	return 0;
}

int agent_cmd_cert_renew(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	if (must_be_enrolled(cli))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, "%s\n", _("would ask the hub for a new certificate of the connection's key"));
		return 0;
	}
	struct trib_cert_id id;
	if (trib_link_renew_now(s, &cli->err) || json_cert(cli, s->tls_cert) || trib_cert_identity(s->tls_cert, &id, &cli->err))
		return -1;
	char until[17];
	trib_time_city(until, id.not_after);
	trib_say(cli, _("The connection's certificate was renewed; it is valid until %s.\n"), until);
	return 0;
}

/* A hand-over that is made and not sent, as a lost line or a full disk leaves it behind: its number, else 0. It is the last commit but one. */
static int unsent_turn(struct trib_state *s, uint64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	uint8_t before[TRIB_OID_LEN];
	struct trib_held held;
	*ret = 0;
	int got = s->tip.exists ? trib_held_one(s, s->tip.oid, s->tip.seq, &held, err) : 1;
	if (got)
		return got < 0 ? -1 : 0;
	got = trib_repo_parent(s->repo, s->tip.oid, before, err);
	if (got <= 0)
		return got;
	if (trib_commit_read(s->repo, before, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return -1;
	*ret = m.kind == TRIB_KIND_ROTATE ? m.seq : 0;
	return 0;
}

/* After the commit point the next start does the rest, and the key has changed whatever else fails. */
static bool is_committed(const struct trib_state *s, uint64_t before)
{
	TRIB_AUTO(trib_mem) char *pending = trib_state_path(s, "pending");
	return s->tip.seq > before || (pending && trib_fs_exists(pending));
}

static int hand_over(struct trib_cli *cli, uint64_t *ret_seq)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_buf) struct trib_buf next = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_committed made;
	uint64_t before = s->tip.seq;
	int rc = trib_link_rotate(s, &next, &cli->err) || trib_outbox_rotate(s, &next, &made, &cli->err) ? -1 : 0;
	if (!rc)
		trib_crash_point("rotate-committed");
	if (!rc)
		rc = trib_state_take_turn(s, &cli->err) || trib_state_keys(s, &cli->err) ? -1 : 0;
	if (rc)
		return trib_ctx(&cli->err, is_committed(s, before) ? _("the new signing key takes over: the commit that hands over to it is made, and the next run does the rest") :
								     _("the signing key was not changed"));
	*ret_seq = made.first_seq;
	return 0;
}

/* What waits is sent first: a hand-over that stands alone at the end is the least that a lost line can leave behind. */
int agent_cmd_cert_rotate(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	struct trib_pushed pushed;
	uint64_t seq;
	if (must_be_enrolled(cli))
		return -1;
	if (cli->dry_run) {
		trib_say(cli, "%s\n", _("would make a new signing key, and a commit by which the present key hands over to it"));
		return 0;
	}
	if (unsent_turn(s, &seq, &cli->err) || (!seq && trib_link_push(s, true, &pushed, &cli->err)))
		return trib_ctx(&cli->err, _("the signing key was not changed"));
	if ((!seq && hand_over(cli, &seq)) || json_cert(cli, s->sign_cert))
		return -1;
	trib_json(cli, "seq", json_integer((json_int_t)seq));
	if (trib_link_push(s, true, &pushed, &cli->err))
		return trib_ctx(&cli->err, _("the new signing key is in use; the hub hears of it at the next run"));
	trib_say(cli, _("Commit #%llu hands over to a new signing key; the hub holds it. The old key is removed.\n"), (unsigned long long)seq);
	return 0;
}
