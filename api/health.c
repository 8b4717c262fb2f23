#include "api/health.h"

#include "api/api.h"
#include "api/reply.h"

#include <jansson.h>
#include <stdlib.h>

#define PLAIN_TEXT "text/plain"

void health_livez(struct request *request)
{
    reply_header(request, "Cache-Control", "no-store");
    reply_static(request, 200, PLAIN_TEXT, VIEW_LITERAL("ok\n"));
}

static bool is_stopping(const struct api *api)
{
    return atomic_load_explicit(&api->stopping, memory_order_relaxed);
}

static bool all_hold(const struct api *api)
{
    const char *why;

    for (size_t i = 0; i < api->checks_count; i++) {
        if (!api->checks[i].holds(api->checks[i].ctx, &why))
            return false;
    }
    return true;
}

/*
 * One check as {"name":..,"ok":..}, with "why" it does not hold, or a "note".
 * False: no memory.
 */
static bool add_check(json_t *checks, const char *name, bool holds,
                      const char *why)
{
    json_t *check = json_pack("{s:s, s:b}", "name", name, "ok", holds);

    if (why != NULL && json_object_set_new(check, holds ? "note" : "why",
                                           json_string(why)) != 0) {
        json_decref(check);
        return false;
    }
    return json_array_append_new(checks, check) == 0;
}

static bool add_checks(const struct api *api, json_t *checks, bool *out_ready)
{
    bool stopping = is_stopping(api);
    bool added = add_check(checks, "serving", !stopping,
                           stopping ? "the node is stopping" : NULL);

    *out_ready = !stopping;
    for (size_t i = 0; added && i < api->checks_count; i++) {
        const char *why = "";
        const struct health_check *check = &api->checks[i];
        bool holds = check->holds(check->ctx, &why);

        if (holds)
            why = check->note != NULL ? check->note(check->ctx) : NULL;
        *out_ready = *out_ready && holds;
        added = add_check(checks, check->name, holds, why);
    }
    return added;
}

static void reply_verbose(struct request *request)
{
    json_auto_t *checks = json_array();
    bool ready = false;

    if (!add_checks(request->api, checks, &ready)) {
        reply_status(request, KIST_NO_MEMORY, "the checks");
        return;
    }

    json_auto_t *document =
        json_pack("{s:b, s:O}", "ready", ready, "checks", checks);
    char *text = json_dumps(document, JSON_COMPACT);

    if (text == NULL) {
        reply_status(request, KIST_NO_MEMORY, "the checks");
        return;
    }

    struct view body = view_of(text);
    struct blob owner = {
        .data = text, .size = body.size, .capacity = body.size + 1};

    reply_bytes(request, ready ? 200 : 503, "application/json", &owner, body);
}

void health_readyz(struct request *request)
{
    reply_header(request, "Cache-Control", "no-store");
    if (request_has(request, PARAMETER_VERBOSE)) {
        reply_verbose(request);
        return;
    }
    if (is_stopping(request->api) || !all_hold(request->api))
        reply_static(request, 503, PLAIN_TEXT, VIEW_LITERAL("not ready\n"));
    else
        reply_static(request, 200, PLAIN_TEXT, VIEW_LITERAL("ok\n"));
}
