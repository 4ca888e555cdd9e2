/*
 * admin/http/routes.c - what there is to be asked for. `sallyport-admin --routes` prints it, and a
 * test compares the part below /api/ with openapi.json.
 */
#include "admin/http/routes.h"

#include "admin/http/api.h"
#include "admin/http/files.h"
#include "admin/http/login.h"
#include "admin/http/pages.h"
#include "admin/http/site.h"

#define VIEW	ACCOUNT_VIEWER
#define CHANGE	ACCOUNT_OPERATOR

const struct route site_routes[] = {
	{ HTTP_GET, "/", VIEW, 0, page_status },
	{ HTTP_GET, "/style.css", 0, ROUTE_PUBLIC, files_style },
	{ HTTP_GET, "/live.js", 0, ROUTE_PUBLIC, files_live },
	{ HTTP_GET, "/icon.svg", 0, ROUTE_PUBLIC, files_icon },
	{ HTTP_GET, "/login", 0, ROUTE_PUBLIC, login_show },
	{ HTTP_POST, "/login", 0, ROUTE_PUBLIC, login_do },
	{ HTTP_POST, "/logout", VIEW, 0, login_end },
	{ HTTP_GET, "/healthz", 0, ROUTE_PUBLIC | ROUTE_ANYHOST, probe_health },
	{ HTTP_GET, "/readyz", 0, ROUTE_PUBLIC | ROUTE_ANYHOST, probe_ready },
	{ HTTP_GET, "/metrics", 0, ROUTE_PUBLIC | ROUTE_ANYHOST | ROUTE_API, probe_metrics },

	{ HTTP_GET, "/partners", VIEW, 0, page_partners },
	{ HTTP_POST, "/partners/pause", CHANGE, 0, page_partner_pause },
	{ HTTP_GET, "/refusals", VIEW, 0, page_refusals },
	{ HTTP_GET, "/connections", VIEW, 0, page_connections },
	{ HTTP_GET, "/certificates", VIEW, 0, page_certificates },
	{ HTTP_GET, "/changes", VIEW, 0, page_changes },
	{ HTTP_GET, "/explain", VIEW, 0, page_explain },
	{ HTTP_POST, "/explain", VIEW, 0, page_explain },
	{ HTTP_GET, "/policy", VIEW, 0, page_policy },
	{ HTTP_GET, "/policy/edit", CHANGE, 0, page_policy_edit },
	{ HTTP_POST, "/policy/preview", CHANGE, ROUTE_POLICY, page_policy_preview },
	{ HTTP_GET, "/policy/candidate", CHANGE, 0, page_policy_candidate },
	{ HTTP_POST, "/policy/candidate", CHANGE, ROUTE_POLICY, page_policy_candidate },
	{ HTTP_POST, "/policy/discard", CHANGE, 0, page_policy_discard },
	{ HTTP_POST, "/policy/rebase", CHANGE, 0, page_policy_rebase },
	{ HTTP_POST, "/policy/shadow", CHANGE, 0, page_policy_shadow },
	{ HTTP_POST, "/policy/shadow/stop", CHANGE, 0, page_policy_shadow_stop },
	{ HTTP_POST, "/policy/commit", CHANGE, 0, page_policy_commit },
	{ HTTP_GET, "/policy/versions/*", VIEW, 0, page_policy_version },
	{ HTTP_POST, "/policy/versions/*/rollback", CHANGE, 0, page_policy_rollback },
	{ HTTP_POST, "/block", CHANGE, 0, page_block },
	{ HTTP_POST, "/unblock", CHANGE, 0, page_unblock },

	{ HTTP_GET, "/api/v1/openapi.json", 0, ROUTE_PUBLIC | ROUTE_API, files_openapi },
	{ HTTP_GET, "/api/v1/session", VIEW, ROUTE_API, api_session },
	{ HTTP_GET, "/api/v1/status", VIEW, ROUTE_API, api_status },
	{ HTTP_GET, "/api/v1/charts", VIEW, ROUTE_API, api_charts },
	{ HTTP_GET, "/api/v1/partners", VIEW, ROUTE_API, api_partners },
	{ HTTP_GET, "/api/v1/partners/*", VIEW, ROUTE_API, api_partner },
	{ HTTP_POST, "/api/v1/partners/*/pause", CHANGE, ROUTE_API, api_pause },
	{ HTTP_POST, "/api/v1/partners/*/resume", CHANGE, ROUTE_API, api_resume },
	{ HTTP_GET, "/api/v1/discovered", VIEW, ROUTE_API, api_discovered },
	{ HTTP_GET, "/api/v1/connections", VIEW, ROUTE_API, api_connections },
	{ HTTP_GET, "/api/v1/refusals", VIEW, ROUTE_API, api_refusals },
	{ HTTP_GET, "/api/v1/certificates", VIEW, ROUTE_API, api_certificates },
	{ HTTP_POST, "/api/v1/explain", VIEW, ROUTE_API, api_explain },
	{ HTTP_GET, "/api/v1/policy", VIEW, ROUTE_API, api_policy },
	{ HTTP_GET, "/api/v1/policy/versions", VIEW, ROUTE_API, api_versions },
	{ HTTP_GET, "/api/v1/policy/versions/*", VIEW, ROUTE_API, api_version },
	{ HTTP_POST, "/api/v1/policy/check", VIEW, ROUTE_API | ROUTE_POLICY, api_check },
	{ HTTP_GET, "/api/v1/policy/candidate", CHANGE, ROUTE_API, api_candidate },
	{ HTTP_PUT, "/api/v1/policy/candidate", CHANGE, ROUTE_API | ROUTE_POLICY, api_candidate_put },
	{ HTTP_DELETE, "/api/v1/policy/candidate", CHANGE, ROUTE_API, api_candidate_delete },
	{ HTTP_POST, "/api/v1/policy/candidate/rebase", CHANGE, ROUTE_API, api_candidate_rebase },
	{ HTTP_GET, "/api/v1/policy/shadow", VIEW, ROUTE_API, api_shadow },
	{ HTTP_POST, "/api/v1/policy/shadow", CHANGE, ROUTE_API, api_shadow_start },
	{ HTTP_DELETE, "/api/v1/policy/shadow", CHANGE, ROUTE_API, api_shadow_stop },
	{ HTTP_POST, "/api/v1/policy/commit", CHANGE, ROUTE_API, api_commit },
	{ HTTP_POST, "/api/v1/policy/rollback", CHANGE, ROUTE_API, api_rollback },
	{ HTTP_GET, "/api/v1/blocks", VIEW, ROUTE_API, api_blocks },
	{ HTTP_PUT, "/api/v1/blocks/*", CHANGE, ROUTE_API, api_block },
	{ HTTP_DELETE, "/api/v1/blocks/*", CHANGE, ROUTE_API, api_unblock },
	{ HTTP_GET, "/api/v1/audit", VIEW, ROUTE_API, api_audit },
	{ 0, NULL, 0, 0, NULL }
};

void
routes_print(FILE *f)
{
	for (const struct route *r = site_routes; r->path != NULL; r++)
		fprintf(f, "%s %s %s\n", http_method_name(r->method), r->path, (r->flags & ROUTE_PUBLIC) != 0 ? "public" :
		    account_role_name(r->role));
}
