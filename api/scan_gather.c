#include "api/scan_gather.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/owner.h"

bool scan_gather_init(struct scan_gather *gather, struct request *request)
{
    struct copies after;

    if (!copies_read(request, &gather->copies))
        return false;
    gather->seat = request->api_loop->seat;
    gather->timeout_ms = request->api->quorum.read_timeout_ms;
    gather->value_limit = (uint32_t)request->api->settings->max_json_bytes;
    if (request->headers[HEADER_KIST_AFTER].data == NULL)
        return true;
    after = gather->copies;
    if (!copies_after(request, &after))
        return false;
    if (gather->copies.r < after.n - after.w + 1)
        gather->copies.r = after.n - after.w + 1;
    return true;
}

static enum kist_status tell_all(struct scan_gather *gather)
{
    struct cluster_scan *cluster = &gather->cluster;
    struct scan_page_record found;
    uint64_t now_ms = clock_wall_ms();
    enum kist_status status = KIST_OK;
    bool goes_on = true;

    while (status == KIST_OK && goes_on && cluster_scan_next(cluster, &found))
        status = scan_tell(gather->scan, gather->visitor, found.key,
                           &found.record, now_ms, &goes_on);
    if (status != KIST_OK || !goes_on)
        return status;
    gather->scan->done = cluster->is_done;
    return cluster->is_done ? KIST_OK
                            : scan_resume(gather->scan, cluster->place);
}

static void answered(struct cluster_scan *cluster)
{
    struct scan_gather *gather = OWNER(cluster, struct scan_gather, cluster);
    enum kist_status status = cluster->status;

    if (status == KIST_OK)
        status = tell_all(gather);
    cluster_scan_clear(cluster);
    gather->done(gather, status);
}

enum kist_status scan_gather_start(struct scan_gather *gather)
{
    gather->cluster = (struct cluster_scan){
        .range = {.lower = blob_view(&gather->scan->lower),
                  .upper = blob_view(&gather->scan->upper),
                  .reverse = gather->scan->reverse,
                  .values = gather->values,
                  .limit = gather->limit,
                  .value_limit = gather->value_limit},
        .n = gather->copies.n,
        .r = gather->copies.r,
        .timeout_ms = gather->timeout_ms,
        .answered = answered,
    };
    return cluster_scan_start(&gather->cluster, gather->seat);
}
