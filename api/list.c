/*
 * list - GET /kv: a page of keys, their count, or all of them as NDJSON.
 */
#include "api/handlers.h"

#include "api/accept.h"
#include "api/api.h"
#include "api/entity.h"
#include "api/large_value.h"
#include "api/list_stream.h"
#include "api/percent.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "api/router.h"
#include "api/scan_job.h"

#include <inttypes.h>
#include <stdlib.h>

/* A page with values ends early rather than grow without limit. */
#define PAGE_BYTES    (4u << 20)
#define DEFAULT_LIMIT 100

struct page {
    struct scan_job job;
    uint64_t limit;
    uint64_t count; /* Items and common prefixes so far; all, if counting. */
    bool values;
    bool full; /* Only looking for one more: is there a next page? */
    bool more; /* There is, and cursor is where it begins. */
    enum kist_status status; /* Of reading large values. */
    struct blob items;       /* {...},{...} */
    struct blob prefixes;
    struct blob cursor;
};

static void free_page(void *work)
{
    struct page *page = work;

    scan_clear(&page->job.scan);
    blob_free(&page->items);
    blob_free(&page->prefixes);
    blob_free(&page->cursor);
    free(page);
}

/*
 * Room for one more on the page? Behind the last, one is only looked for: the
 * scan has not passed it yet, so the next page begins with it.
 */
static bool accept_one(struct page *page)
{
    if (page->full) {
        page->more = true;
        page->job.enough = true;
        scan_job_append_cursor(&page->job, &page->cursor);
        return false;
    }
    page->count++;
    return true;
}

static bool added(struct page *page)
{
    page->full = page->count >= page->limit ||
                 page->items.size + page->prefixes.size >= PAGE_BYTES;
    return true;
}

static void append_item(struct page *page, struct view key,
                        const struct record *record)
{
    if (page->items.size > 0)
        blob_append_byte(&page->items, ',');
    entity_append_item(&page->items, key, record,
                       page->values ? ENTITY_WITH_VALUE : ENTITY_WITHOUT_VALUE);
}

static bool add_key(void *ctx, struct view key, const struct record *record)
{
    struct page *page = ctx;
    struct item item = {.record = *record};

    if (!accept_one(page))
        return false;
    /* In a cluster they have come with their records (scan_page.h). */
    if (page->values && page->job.request->api_loop->seat == NULL)
        page->status = large_value_load(
            page->job.scan.store, key,
            page->job.request->api->settings->max_json_bytes, &item);
    if (page->status == KIST_OK)
        append_item(page, key, &item.record);
    item_free(&item);
    if (page->status == KIST_OK)
        return added(page);
    if (page->status == KIST_NOT_FOUND) { /* Deleted just now. */
        page->status = KIST_OK;
        page->count--;
        return true;
    }
    page->job.enough = true;
    return false;
}

static bool add_prefix(void *ctx, struct view prefix)
{
    struct page *page = ctx;

    if (!accept_one(page))
        return false;
    if (page->prefixes.size > 0)
        blob_append_byte(&page->prefixes, ',');
    blob_append_json(&page->prefixes, prefix);
    return added(page);
}

static void append_parameter(struct blob *out, const struct request *request,
                             enum parameter parameter)
{
    if (parameter == PARAMETER_CURSOR || !request_has(request, parameter))
        return;
    blob_printf(out, "%s=", parameter_name(parameter));
    percent_encode(request->parameters[parameter], out);
    blob_append_byte(out, '&');
}

/* Link: </kv?...&cursor=...>; rel="next" */
static void add_link(struct page *page)
{
    struct request *request = page->job.request;
    struct blob link = BLOB_EMPTY;

    for (int i = 0; i < PARAMETERS; i++)
        append_parameter(&link, request, (enum parameter)i);
    blob_printf(&link, "cursor=%.*s", (int)page->cursor.size,
                page->cursor.data);
    /* Longer than a header may be: "next" in the body says the same. */
    if (!link.failed && link.size < 900)
        reply_header(request, "Link", "</kv?%.*s>; rel=\"next\"",
                     (int)link.size, link.data);
    blob_free(&link);
}

/* In a cluster: so many copies of each key were looked at, at least. */
static void add_receipt(struct scan_job *job)
{
    if (job->request->api_loop->seat != NULL)
        copies_read_receipt(job->request, &job->gather.copies,
                            job->gather.copies.r);
}

static void reply_page(struct page *page)
{
    struct request *request = page->job.request;
    struct blob body = BLOB_EMPTY;

    blob_append_text(&body, "{\"items\":[");
    blob_append(&body, blob_view(&page->items));
    blob_append_text(&body, "],\"prefixes\":[");
    blob_append(&body, blob_view(&page->prefixes));
    blob_append_byte(&body, ']');
    if (page->more) {
        blob_append_text(&body, ",\"next\":");
        blob_append_json(&body, blob_view(&page->cursor));
        add_link(page);
    }
    blob_append_byte(&body, '}');
    if (body.failed || page->items.failed || page->prefixes.failed ||
        page->cursor.failed) {
        blob_free(&body);
        reply_status(request, KIST_NO_MEMORY, "The keys were not listed");
        return;
    }
    add_receipt(&page->job);
    reply_bytes(request, 200, JSON_MEDIA_TYPE, &body, blob_view(&body));
}

static void finish_page(struct scan_job *job, enum kist_status status)
{
    struct page *page = (struct page *)job;

    if (status == KIST_OK)
        status = page->status;
    if (status == KIST_OK)
        reply_page(page);
    else
        scan_job_reply_failed(job, status, "The keys were not listed");
}

/* count=1 */

static bool count_key(void *ctx, struct view key, const struct record *record)
{
    (void)key;
    (void)record;
    ((struct page *)ctx)->count++;
    return true;
}

static bool count_prefix(void *ctx, struct view prefix)
{
    (void)prefix;
    ((struct page *)ctx)->count++;
    return true;
}

static void finish_count(struct scan_job *job, enum kist_status status)
{
    struct page *page = (struct page *)job;
    struct blob body = BLOB_EMPTY;

    if (status == KIST_OK) {
        blob_printf(&body, "{\"count\":%" PRIu64 "}", page->count);
        status = body.failed ? KIST_NO_MEMORY : KIST_OK;
    }
    if (status != KIST_OK) {
        blob_free(&body);
        scan_job_reply_failed(job, status, "The keys were not counted");
        return;
    }
    add_receipt(job);
    reply_bytes(job->request, 200, JSON_MEDIA_TYPE, &body, blob_view(&body));
}

static bool read_page(struct page *page, struct request *request)
{
    bool counts = false;

    page->limit = request->api->settings->page_limit;
    if (page->limit > DEFAULT_LIMIT)
        page->limit = DEFAULT_LIMIT;
    if (!preconditions_number(request, PARAMETER_LIMIT, 1,
                              request->api->settings->page_limit,
                              &page->limit) ||
        !preconditions_switch(request, PARAMETER_VALUES, &page->values) ||
        !preconditions_switch(request, PARAMETER_COUNT_ONLY, &counts))
        return false;
    if (counts)
        page->job.visitor =
            (struct scan_visitor){page, count_key, count_prefix};
    else
        page->job.visitor = (struct scan_visitor){page, add_key, add_prefix};
    page->job.gather.values = page->values;
    page->job.gather.limit = counts ? 0 : (unsigned)page->limit + 1;
    return scan_job_init(&page->job, request,
                         counts ? finish_count : finish_page);
}

void list_keys(struct request *request)
{
    struct view accept = request->headers[HEADER_ACCEPT];
    unsigned json = accept_quality(accept, JSON_MEDIA_TYPE);
    unsigned lines = accept_quality(accept, NDJSON_MEDIA_TYPE);
    struct page *page;

    if (!preconditions_hold(request))
        return;
    if (json == 0 && lines == 0) {
        reply_problem(request, PROBLEM_NOT_ACCEPTABLE,
                      "Keys are listed as " JSON_MEDIA_TYPE
                      " or " NDJSON_MEDIA_TYPE ".");
        return;
    }
    if (lines > json && !request_has(request, PARAMETER_COUNT_ONLY)) {
        list_stream_reply(request);
        return;
    }
    page = calloc(1, sizeof(*page));
    if (page == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The keys were not listed");
        return;
    }
    request->work = page;
    request->work_free = free_page;
    if (read_page(page, request))
        scan_job_run(&page->job);
}
