#include "api/preconditions.h"

#include "api/api.h"
#include "api/copies.h"
#include "api/etag.h"
#include "api/moment.h"
#include "api/reply.h"
#include "api/router.h"
#include "base/clock.h"
#include "replication/seat.h"
#include "storage/store.h"

#include <inttypes.h>
#include <string.h>

static bool given(const struct request *request, enum request_header header)
{
    return request->headers[header].data != NULL;
}

static bool observe(struct request *request, struct version seen)
{
    struct seat *seat = request->api_loop->seat;

    return seat != NULL
               ? timekeeper_observe(&seat->clock, seen)
               : hlc_observe(request->api->clock, seen, clock_wall_ms());
}

/* A version in a header: known form, and not from the far future. */
static bool version_header(struct request *request, enum request_header header,
                           const char *name)
{
    struct version version;

    if (!given(request, header))
        return true;
    if (!version_from_hex(request->headers[header], &version)) {
        reply_problem(request, PROBLEM_INVALID_HEADER,
                      "%s takes a version as answers carry it: %d lower-case "
                      "hexadecimal digits.",
                      name, VERSION_HEX_SIZE);
        return false;
    }
    if (!observe(request, version)) {
        reply_problem(request, PROBLEM_CLOCK,
                      "%s is more than %d s ahead of this node's clock. Check "
                      "the clocks of the machines.",
                      name, HLC_FUTURE_MS / 1000);
        return false;
    }
    return true;
}

/* In a cluster the same write may be sent once more; here it could not. */
static bool resends_version(struct request *request)
{
    bool may =
        request->api_loop->seat != NULL && request->key.size > 0 &&
        (request->method == METHOD_PUT || request->method == METHOD_DELETE);

    if (!version_header(request, HEADER_KIST_VERSION, "Kist-Version"))
        return false;
    if (may || !given(request, HEADER_KIST_VERSION))
        return true;
    reply_problem(request, PROBLEM_INVALID_HEADER,
                  "Kist-Version is a header of answers. Use If-Match to write "
                  "on top of a version, Kist-After to read after one.");
    return false;
}

bool preconditions_hold(struct request *request)
{
    struct copies copies;

    return version_header(request, HEADER_KIST_AFTER, "Kist-After") &&
           resends_version(request) && copies_read(request, &copies);
}

struct version preconditions_version(const struct request *request,
                                     enum request_header header)
{
    struct version version = VERSION_NONE;

    if (given(request, header) &&
        !version_from_hex(request->headers[header], &version))
        return VERSION_NONE; /* It was read once before: this cannot be. */
    return version;
}

bool preconditions_condition(struct request *request,
                             struct condition *out_condition)
{
    bool match = given(request, HEADER_IF_MATCH);
    bool none_match = given(request, HEADER_IF_NONE_MATCH);
    const char *name = match ? "If-Match" : "If-None-Match";
    enum kist_status status;
    bool any;

    *out_condition = (struct condition){.kind = CONDITION_NONE};
    if (!match && !none_match)
        return true;
    if (match && none_match) {
        reply_problem(request, PROBLEM_INVALID_HEADER,
                      "Send If-Match or If-None-Match, not both.");
        return false;
    }
    status = etag_read_list(
        request->headers[match ? HEADER_IF_MATCH : HEADER_IF_NONE_MATCH],
        match ? ETAG_STRONG : ETAG_WEAK, &any, out_condition);
    if (status == KIST_TOO_LARGE) {
        reply_member_number(request, "limit", CONDITION_VERSIONS);
        reply_problem(request, PROBLEM_INVALID_HEADER,
                      "%s lists more than %d entity tags.", name,
                      CONDITION_VERSIONS);
        return false;
    }
    if (status != KIST_OK) {
        reply_problem(request, PROBLEM_INVALID_HEADER,
                      "%s takes * or a list of entity tags in double quotes.",
                      name);
        return false;
    }
    if (match)
        out_condition->kind = any ? CONDITION_PRESENT : CONDITION_ANY_OF;
    else
        out_condition->kind = any ? CONDITION_ABSENT : CONDITION_NONE_OF;
    return true;
}

/* A write gets what that Redis was configured for, and no less is asked. */
static bool redis_syncs(struct request *request, enum engine_sync *out_sync)
{
    const struct api_redis *redis = request->api->redis;
    bool is_asked = request_has(request, PARAMETER_DURABILITY);

    if (redis == NULL || *out_sync == ENGINE_ASYNC)
        return true;
    if (!redis->is_durable(redis->ctx))
        *out_sync = ENGINE_ASYNC;
    if (!is_asked || *out_sync == ENGINE_SYNC)
        return true;
    reply_problem(request, PROBLEM_UNPROCESSABLE,
                  "durability=sync is more than this Redis does: it would take "
                  "appendonly yes and appendfsync always there.");
    return false;
}

bool preconditions_sync(struct request *request, enum engine_sync *out_sync)
{
    struct view value = request->parameters[PARAMETER_DURABILITY];

    if (value.data == NULL)
        *out_sync = request->api->settings->durability;
    else if (view_is(value, "sync"))
        *out_sync = ENGINE_SYNC;
    else if (view_is(value, "async"))
        *out_sync = ENGINE_ASYNC;
    else {
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "durability takes sync or async.");
        return false;
    }
    return redis_syncs(request, out_sync);
}

static bool expires_header(struct request *request, uint64_t now_ms,
                           uint64_t *out_expiry_ms)
{
    uint64_t max_ms = request->api->settings->ttl_max_ms;

    if (!moment_from_rfc3339(request->headers[HEADER_KIST_EXPIRES],
                             out_expiry_ms)) {
        reply_problem(request, PROBLEM_INVALID_HEADER,
                      "Kist-Expires takes an RFC 3339 time, such as "
                      "2030-01-31T12:00:00Z.");
        return false;
    }
    if (*out_expiry_ms <= now_ms || *out_expiry_ms - now_ms > max_ms) {
        reply_member_number(request, "limit", max_ms / 1000);
        reply_problem(request, PROBLEM_INVALID_HEADER,
                      "Kist-Expires must lie in the future, by at most "
                      "%" PRIu64 " s.",
                      max_ms / 1000);
        return false;
    }
    return true;
}

bool preconditions_expiry(struct request *request, uint64_t now_ms,
                          uint64_t *out_expiry_ms)
{
    uint64_t max_s = request->api->settings->ttl_max_ms / 1000, ttl_s = 0;

    *out_expiry_ms = 0;
    if (request_has(request, PARAMETER_TTL)) {
        if (given(request, HEADER_KIST_EXPIRES)) {
            reply_problem(request, PROBLEM_INVALID_PARAMETER,
                          "Send ttl or Kist-Expires, not both.");
            return false;
        }
        if (!preconditions_number(request, PARAMETER_TTL, 1, max_s, &ttl_s))
            return false;
        *out_expiry_ms = now_ms + ttl_s * 1000;
        return true;
    }
    if (!given(request, HEADER_KIST_EXPIRES))
        return true;
    return expires_header(request, now_ms, out_expiry_ms);
}

bool preconditions_number(struct request *request, enum parameter parameter,
                          uint64_t min, uint64_t max, uint64_t *out_number)
{
    uint64_t number;

    if (!request_has(request, parameter))
        return true;
    if (!view_to_u64(request->parameters[parameter], &number) || number < min ||
        number > max) {
        reply_member_number(request, "limit", max);
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "%s takes a whole number from %" PRIu64 " to %" PRIu64
                      ".",
                      parameter_name(parameter), min, max);
        return false;
    }
    *out_number = number;
    return true;
}

bool preconditions_switch(struct request *request, enum parameter parameter,
                          bool *out_on)
{
    struct view value = request->parameters[parameter];

    if (value.data == NULL)
        return true;
    if (view_is(value, "1") || view_is(value, "true") || value.size == 0)
        *out_on = true;
    else if (view_is(value, "0") || view_is(value, "false"))
        *out_on = false;
    else {
        reply_problem(request, PROBLEM_INVALID_PARAMETER, "%s takes 1 or 0.",
                      parameter_name(parameter));
        return false;
    }
    return true;
}
