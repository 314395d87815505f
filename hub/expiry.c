/* expiry.c: what `status` says of the hub's own certificates before they end. They live for ten years and more: nobody remembers, and on the day after no office
 * can connect. */
#include "core/base/clock.h"
#include "hub/commands.h"

#define WARN_S (60 * 86400LL) /* a ceremony needs a date, two people and a stick out of a safe */

int hub_say_expiry(struct trib_cli *cli)
{
	const struct trib_hub *hub = trib_cli_hub(cli);
	static const char *const issuing = "tributary-hub ca renew-issuing --root-key FILE", *const root = "tributary-hub ca renew-root --root-key FILE --new-root-key FILE";
	const struct { const char *what; const struct trib_cert *cert; const char *next; } all[] = {
		{N_("root"), hub->root, root}, {N_("issuing"), hub->issuing, issuing}, {N_("hub, signing"), hub->sign_cert, issuing}, {N_("hub, TLS"), hub->tls_cert, issuing}};
	int64_t now = trib_now();
	json_t *list = json_array();
	for (size_t i = 0; i < TRIB_COUNT(all); i++) {
		struct trib_cert_id id;
		char text[TRIB_TIME_LEN + 1], when[17];
		if (trib_cert_identity(all[i].cert, &id, &cli->err)) {
			json_decref(list);
			return -1;
		}
		if (now < id.not_after - WARN_S)
			continue;
		trib_time_text(text, id.not_after);
		trib_time_city(when, id.not_after);
		trib_say(cli, now > id.not_after ? _("Certificate \"%s\" of this hub ended on %s, and offices trust this hub no more. Stop the hub, then: %s\n")
						 : _("Certificate \"%s\" of this hub ends on %s; after that offices trust this hub no more. Before: stop the hub, then: %s\n"),
			 _(all[i].what), when, all[i].next);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "what", all[i].what, "not_after", text, "try", all[i].next));
	}
	trib_json(cli, "certificates_ending", list);
	return 0;
}
