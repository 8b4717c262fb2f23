/* What this node serves. Order matters for speed only: values come first. */
#include "api/router.h"

#include "api/about.h"
#include "api/cluster_change.h"
#include "api/backup_stream.h"
#include "api/cluster_pages.h"
#include "api/cluster_transfers.h"
#include "api/export_stream.h"
#include "api/handlers.h"
#include "api/health.h"
#include "api/import.h"
#include "api/metrics_page.h"
#include "api/peer.h"
#include "api/peer_file.h"

#define PROBE (ROUTE_UNLOGGED | ROUTE_ALWAYS)

#define COPIES (TAKES(PARAMETER_N) | TAKES(PARAMETER_R) | TAKES(PARAMETER_W))
#define WRITE  (COPIES | TAKES(PARAMETER_DURABILITY))
#define RANGE                                                                  \
    (TAKES(PARAMETER_PREFIX) | TAKES(PARAMETER_START) | TAKES(PARAMETER_END) | \
     TAKES(PARAMETER_DELIMITER) | TAKES(PARAMETER_REVERSE) |                   \
     TAKES(PARAMETER_CURSOR))
#define EXPIRY TAKES(PARAMETER_TTL)

const struct route routes[] = {
    {METHOD_GET, "/kv/{key}", "get_key", BODY_NONE, 0,
     COPIES | TAKES(PARAMETER_PTR), get_key, NULL},
    {METHOD_PUT, "/kv/{key}", "put_key", BODY_VALUE, ROUTE_WRITES,
     WRITE | EXPIRY, put_key, put_admit},
    {METHOD_PATCH, "/kv/{key}", "patch_key", BODY_PATCH, ROUTE_WRITES,
     WRITE | EXPIRY, patch_key, NULL},
    {METHOD_POST, "/kv/{key}", "operate_key", BODY_PIECE, ROUTE_WRITES,
     WRITE | EXPIRY | TAKES(PARAMETER_OP) | TAKES(PARAMETER_BY), operate_key,
     NULL},
    {METHOD_DELETE, "/kv/{key}", "delete_key", BODY_NONE, ROUTE_WRITES, WRITE,
     delete_key, NULL},
    {METHOD_GET, "/kv", "list_keys", BODY_NONE, 0,
     COPIES | RANGE | TAKES(PARAMETER_LIMIT) | TAKES(PARAMETER_VALUES) |
         TAKES(PARAMETER_COUNT_ONLY),
     list_keys, NULL},
    {METHOD_DELETE, "/kv", "delete_prefix", BODY_NONE, ROUTE_WRITES,
     WRITE | TAKES(PARAMETER_PREFIX) | TAKES(PARAMETER_CONFIRM) |
         TAKES(PARAMETER_DRY_RUN),
     delete_prefix, NULL},
    {METHOD_POST, "/batch", "batch", BODY_BATCH, ROUTE_WRITES,
     WRITE | TAKES(PARAMETER_ATOMIC), batch_run, NULL},
    {METHOD_GET, "/livez", "livez", BODY_NONE, PROBE, 0, health_livez, NULL},
    {METHOD_GET, "/readyz", "readyz", BODY_NONE, PROBE,
     TAKES(PARAMETER_VERBOSE), health_readyz, NULL},
    {METHOD_GET, "/metrics", "metrics", BODY_NONE, PROBE, 0, metrics_page_get,
     NULL},
    {METHOD_GET, "/cluster", "cluster", BODY_NONE, 0, 0, cluster_pages_members,
     NULL},
    {METHOD_GET, "/cluster/ring", "cluster_ring", BODY_NONE, 0,
     TAKES(PARAMETER_KEY), cluster_pages_ring, NULL},
    {METHOD_GET, "/cluster/hints", "cluster_hints", BODY_NONE, 0, 0,
     cluster_pages_hints, NULL},
    {METHOD_GET, "/cluster/divergence", "cluster_divergence", BODY_NONE, 0, 0,
     cluster_pages_divergence, NULL},
    {METHOD_GET, "/cluster/transfers", "cluster_transfers", BODY_NONE, 0, 0,
     cluster_transfers_get, NULL},
    {METHOD_GET, "/cluster/plan", "cluster_plan", BODY_NONE, 0, 0,
     cluster_change_look, NULL},
    {METHOD_POST, "/cluster/plan", "cluster_draft", BODY_PATCH, ROUTE_CHANGES,
     0, cluster_change_draft, NULL},
    {METHOD_DELETE, "/cluster/plan", "cluster_abort", BODY_NONE, ROUTE_CHANGES,
     0, cluster_change_abort, NULL},
    {METHOD_POST, "/cluster/plan/commit", "cluster_commit", BODY_NONE,
     ROUTE_CHANGES, TAKES(PARAMETER_PLAN), cluster_change_commit, NULL},
    {METHOD_GET, "/admin/backup", "backup", BODY_NONE, ROUTE_ADMIN, 0,
     backup_stream_reply, NULL},
    {METHOD_GET, "/admin/export", "export", BODY_NONE, ROUTE_ADMIN,
     TAKES(PARAMETER_PREFIX) | TAKES(PARAMETER_START) | TAKES(PARAMETER_END) |
         TAKES(PARAMETER_DELETED),
     export_stream_reply, NULL},
    {METHOD_POST, "/admin/import", "import", BODY_LINES, ROUTE_ADMIN,
     WRITE | TAKES(PARAMETER_MODE), import_post, import_admit},
    {METHOD_GET, "/admin/import", "import_progress", BODY_NONE, ROUTE_ADMIN, 0,
     import_get, NULL},
    {METHOD_GET, "/version", "version", BODY_NONE, 0, 0, about_version, NULL},
    {METHOD_GET, "/openapi.yaml", "openapi", BODY_NONE, 0, 0, about_description,
     NULL},
    {METHOD_POST, "/peer/1", "peer", BODY_FRAME,
     ROUTE_PEERS | ROUTE_UNLOGGED | ROUTE_ALWAYS, 0, peer_receive, NULL},
    {METHOD_GET, "/peer/1/file/{key}", "peer_file", BODY_NONE,
     ROUTE_PEERS | ROUTE_UNLOGGED | ROUTE_ALWAYS, 0, peer_file_send, NULL},
    {METHOD_GET, "/", "start", BODY_NONE, 0, 0, about_start, NULL},
};

const size_t routes_count = sizeof(routes) / sizeof(routes[0]);
