/* Targets and who may go there: pure, so that a test can list every case. */
#include "hub/worker.h"

static bool take_name(const char **p, const char *end_mark, char *ret, size_t size)
{
	const char *end = strstr(*p, end_mark);
	if (!end)
		return false;
	size_t n = (size_t)(end - *p);
	if (n >= size || !trib_id_valid(trib_span(*p, n)))
		return false;
	memcpy(ret, *p, n);
	ret[n] = '\0';
	*p = end + strlen(end_mark);
	return true;
}

/* The log's files beside the checkpoint. A history's address never ends like one of them. */
static bool parse_log(const char *path, struct trib_route *ret)
{
	if (trib_tile_parse(trib_span_str(path), &ret->tile)) {
		ret->kind = TRIB_ROUTE_TILE;
		return true;
	}
	if (strncmp(path, "named/", 6) != 0 || strlen(path + 6) != TRIB_SHA256_HEX || !trib_unhex(ret->sha256, TRIB_SHA256_LEN, trib_span_str(path + 6)))
		return false;
	ret->kind = TRIB_ROUTE_NAMED;
	return true;
}

void trib_route_parse(const char *path, const char *query, struct trib_route *ret)
{
	struct trib_route r = {.kind = TRIB_ROUTE_NONE};
	*ret = r;
	if (strcmp(path, "/") == 0 || strcmp(path, "/enrol") == 0 || strcmp(path, "/renew") == 0 || strcmp(path, "/checkpoint") == 0) {
		if (query[0] == '\0')
			ret->kind = path[1] == '\0' ? TRIB_ROUTE_HOME : path[1] == 'e' ? TRIB_ROUTE_ENROL : path[1] == 'r' ? TRIB_ROUTE_RENEW : TRIB_ROUTE_CHECKPOINT;
		return;
	}
	if (path[0] == '/' && query[0] == '\0' && parse_log(path + 1, ret))
		return;
	const char *p = path;
	/* An app may itself hold ".git": the service follows the last one, which the rest below makes sure of. */
	if (*p++ != '/' || !take_name(&p, "/", r.node, sizeof(r.node)) || !take_name(&p, ".git/", r.app, sizeof(r.app)))
		return;
	if (strcmp(p, "info/refs") == 0) {
		r.kind = TRIB_ROUTE_REFS;
		r.push = strcmp(query, "service=git-receive-pack") == 0;
		if (!r.push && strcmp(query, "service=git-upload-pack") != 0)
			return;
	} else if (query[0] == '\0' && strcmp(p, "git-upload-pack") == 0) {
		r.kind = TRIB_ROUTE_FETCH;
	} else if (query[0] == '\0' && strcmp(p, "git-receive-pack") == 0) {
		r.kind = TRIB_ROUTE_PUSH;
		r.push = true;
	} else if (query[0] == '\0' && strcmp(p, "old-receipts") == 0) {
		r.kind = TRIB_ROUTE_OLD;
		r.push = true;
	} else if (query[0] == '\0' && strcmp(p, "forked") == 0) {
		r.kind = TRIB_ROUTE_FORKED;
		r.push = true;
	} else {
		return;
	}
	*ret = r;
}

int trib_route_allowed(const struct trib_route *r, const struct trib_ipc_who *who, char *ret_why, size_t size)
{
	if (r->kind == TRIB_ROUTE_NONE) {
		(void)snprintf(ret_why, size, "there is nothing here; a history is at /NODE/APP.git");
		return 404;
	}
	if (r->kind == TRIB_ROUTE_HOME || r->kind == TRIB_ROUTE_ENROL)
		return 0;
	if (!who->known) {
		(void)snprintf(ret_why, size, "%s", who->reason[0] ? who->reason : "a client certificate is needed; enrol first: tributary-agent enrol");
		return who->busy ? 503 : 403;
	}
	if (r->kind == TRIB_ROUTE_RENEW && who->role == TRIB_ROLE_NODE) /* an expired certificate is good for this alone */
		return 0;
	if (who->expired && who->role != TRIB_ROLE_NODE) {
		(void)snprintf(ret_why, size, "the certificate has expired; ask the city for a new one: tributary-hub user add");
		return 403;
	}
	if (r->kind == TRIB_ROUTE_RENEW) {
		(void)snprintf(ret_why, size, "only an office renews here; people ask the city: tributary-hub user add");
		return 403;
	}
	if (who->expired) {
		(void)snprintf(ret_why, size, "the certificate has expired; renew it: tributary-agent sync");
		return 403;
	}
	if (r->kind == TRIB_ROUTE_CHECKPOINT || (r->kind == TRIB_ROUTE_TILE && !r->tile.entries))
		return 0;
	bool log = r->kind == TRIB_ROUTE_TILE || r->kind == TRIB_ROUTE_NAMED;
	if (log && who->role == TRIB_ROLE_NODE) { /* leaves speak of every office (D7.5) */
		(void)snprintf(ret_why, size, "the log's entries are for auditors and administrators; an office may read checkpoint and hash tiles");
		return 403;
	}
	switch ((enum trib_role)who->role) {
	case TRIB_ROLE_NODE:
		if (strcmp(who->node, r->node) == 0 && strcmp(who->app, r->app) == 0)
			return 0;
		(void)snprintf(ret_why, size, "this certificate is for %s/%s only; check the remote's address", who->node, who->app);
		return 403;
	case TRIB_ROLE_HUB:
	case TRIB_ROLE_AUDITOR:
	case TRIB_ROLE_ADMIN:
		if (!r->push)
			return 0;
		(void)snprintf(ret_why, size, "only %s/%s itself may push its history; this certificate may read it", r->node, r->app);
		return 403;
	case TRIB_ROLE_NONE:
		break;
	}
	(void)snprintf(ret_why, size, "this certificate has no role here; ask the city for one");
	return 403;
}
