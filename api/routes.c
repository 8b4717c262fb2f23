/* What this node serves. Order matters for speed only: values come first. */
#include "api/router.h"

#include "api/about.h"
#include "api/health.h"
#include "api/metrics_page.h"

#define PROBE (ROUTE_UNLOGGED | ROUTE_ALWAYS)

const struct route routes[] = {
    {METHOD_GET, "/livez", "livez", BODY_NONE, PROBE, 0, health_livez},
    {METHOD_GET, "/readyz", "readyz", BODY_NONE, PROBE,
     TAKES(PARAMETER_VERBOSE), health_readyz},
    {METHOD_GET, "/metrics", "metrics", BODY_NONE, PROBE, 0, metrics_page_get},
    {METHOD_GET, "/version", "version", BODY_NONE, 0, 0, about_version},
    {METHOD_GET, "/openapi.yaml", "openapi", BODY_NONE, 0, 0,
     about_description},
    {METHOD_GET, "/", "start", BODY_NONE, 0, 0, about_start},
};

const size_t routes_count = sizeof(routes) / sizeof(routes[0]);
