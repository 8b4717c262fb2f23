/*
 * OpenMetrics goes to who asks for it by a higher quality, as Prometheus
 * does; everybody else, curl and an Accept that names neither included, gets
 * the plain text: a scrape must not fail over a header.
 */
#include "api/metrics_page.h"

#include "api/accept.h"
#include "api/api.h"
#include "api/reply.h"
#include "service/metrics.h"

static enum metrics_format preferred_format(struct view accept)
{
    unsigned open = accept_quality(accept, "application/openmetrics-text");
    unsigned plain = accept_quality(accept, "text/plain");
    return open > plain ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}

void metrics_page_get(struct request *request)
{
    enum metrics_format format =
        preferred_format(request->headers[HEADER_ACCEPT]);
    struct blob page = BLOB_EMPTY;

    metrics_render(request->api->metrics, format, &page);
    if (page.failed) {
        blob_free(&page);
        reply_status(request, KIST_NO_MEMORY, "rendering the metrics");
        return;
    }
    reply_header(request, "Vary", "Accept");
    reply_bytes(request, 200, metrics_media_type(format), &page,
                blob_view(&page));
}
