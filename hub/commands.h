/* commands.h: the verbs of tributary-hub; the table is in main.c, each cmd_*.c holds a family. */
#ifndef TRIB_HUB_COMMANDS_H
#define TRIB_HUB_COMMANDS_H

#include "core/base/cmd.h"
#include "hub/hubdb.h"

enum {
	TRIB_NEED_HUB = 1,   /* cli->ctx is an opened struct trib_hub */
};

static inline struct trib_hub *trib_cli_hub(struct trib_cli *cli) { return cli->ctx; }

int hub_cmd_init(struct trib_cli *cli);
int hub_cmd_serve(struct trib_cli *cli);
int hub_cmd_ca_show(struct trib_cli *cli);
int hub_cmd_ca_export_root(struct trib_cli *cli);
int hub_cmd_ca_renew_issuing(struct trib_cli *cli);
int hub_cmd_ca_renew_root(struct trib_cli *cli);
int hub_cmd_node_add(struct trib_cli *cli);
int hub_cmd_node_list(struct trib_cli *cli);
int hub_cmd_node_show(struct trib_cli *cli);
int hub_cmd_node_approve(struct trib_cli *cli);
int hub_cmd_node_reject(struct trib_cli *cli);
int hub_cmd_node_replace(struct trib_cli *cli);
int hub_cmd_node_revoke(struct trib_cli *cli);
int hub_cmd_user_add(struct trib_cli *cli);
int hub_cmd_user_list(struct trib_cli *cli);
int hub_cmd_user_revoke(struct trib_cli *cli);
int hub_cmd_status(struct trib_cli *cli);
int hub_cmd_checkpoint_show(struct trib_cli *cli);
int hub_cmd_checkpoint_verify(struct trib_cli *cli);
int hub_cmd_audit(struct trib_cli *cli);
int hub_cmd_rebuild(struct trib_cli *cli);
int hub_cmd_recover(struct trib_cli *cli);
int hub_cmd_restore(struct trib_cli *cli);
int hub_cmd_bundle_create(struct trib_cli *cli);
int hub_cmd_ingest(struct trib_cli *cli);
int hub_cmd_log(struct trib_cli *cli);
int hub_cmd_show(struct trib_cli *cli);
int hub_cmd_witness_add(struct trib_cli *cli);
int hub_cmd_witness_list(struct trib_cli *cli);
int hub_cmd_witness_remove(struct trib_cli *cli);
int hub_cmd_witness_ask(struct trib_cli *cli);
int hub_cmd_witness_log_key(struct trib_cli *cli);
int hub_cmd_witness_init(struct trib_cli *cli);
int hub_cmd_witness_show(struct trib_cli *cli);
int hub_cmd_witness_trust(struct trib_cli *cli);
int hub_cmd_witness_serve(struct trib_cli *cli);

/* The hub's own certificates for the keys that it signs and serves with (cmd_ca.c). */
int hub_own_certs(const struct trib_hub_conf *c, const struct trib_key *sign, const struct trib_key *tls, const struct trib_key *issuing_key,
		  const struct trib_cert *issuing, int64_t now, struct trib_cert **ret_sign, struct trib_cert **ret_tls, struct trib_err *err) TRIB_MUST_CHECK;
/* What `status` and `witness list` say of the outside witnesses (cmd_witnesses.c); sets the exit status when one has been silent for too long. */
int hub_say_witnesses(struct trib_cli *cli);
/* What `status` says of the hub's own certificates that end within 60 days, or have ended (expiry.c). */
int hub_say_expiry(struct trib_cli *cli);
/* A revocation took effect, but cli->err says why no list of it could be made (cmd_user.c). Always -1. */
int hub_no_list(struct trib_cli *cli);
/* The nightly lists (cmd_night.c). */
int hub_log_nights(struct trib_cli *cli, long long most);
/* Opens hub.db (read-only) and the history of --node and --app (cmd_log.c). */
struct trib_hub_history;
int hub_cli_history(struct trib_cli *cli, struct trib_hubdb *db, struct trib_hub_history *ret);

/* Nothing of a community is good any more: all that it ever had was revoked. `n` is its row of `node`. */
#define HUB_SQL_REVOKED \
	"(EXISTS(SELECT 1 FROM cert c WHERE c.node = n.node AND c.app = n.app AND c.revoked_at IS NOT NULL) AND " \
	"NOT EXISTS(SELECT 1 FROM cert c WHERE c.node = n.node AND c.app = n.app AND c.revoked_at IS NULL))"

extern const struct trib_opt hub_opts_ca_issuing[], hub_opts_ca_root[];
extern const struct trib_opt hub_opts_bundle[], hub_opts_init[], hub_opts_serve[], hub_opts_node_add[], hub_opts_node[], hub_opts_request[], hub_opts_revoke[];
extern const struct trib_opt hub_opts_audit[], hub_opts_restore[], hub_opts_ingest[], hub_opts_log[], hub_opts_show[], hub_opts_user_add[], hub_opts_user_revoke[];
extern const struct trib_opt hub_opts_recover[], hub_opts_witness_serve[], hub_opts_witness_add[];

#endif
