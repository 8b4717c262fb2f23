#include "api/request.h"

#include "api/connection.h"
#include "api/exchange.h"

#include <assert.h>

static const char *const names[PARAMETERS] = {
    [PARAMETER_ATOMIC] = "atomic",
    [PARAMETER_BY] = "by",
    [PARAMETER_CONFIRM] = "confirm",
    [PARAMETER_COUNT_ONLY] = "count",
    [PARAMETER_CURSOR] = "cursor",
    [PARAMETER_DELETED] = "deleted",
    [PARAMETER_DELIMITER] = "delimiter",
    [PARAMETER_DRY_RUN] = "dry_run",
    [PARAMETER_DURABILITY] = "durability",
    [PARAMETER_END] = "end",
    [PARAMETER_KEY] = "key",
    [PARAMETER_LIMIT] = "limit",
    [PARAMETER_MODE] = "mode",
    [PARAMETER_OP] = "op",
    [PARAMETER_PLAN] = "plan",
    [PARAMETER_PREFIX] = "prefix",
    [PARAMETER_PTR] = "ptr",
    [PARAMETER_REVERSE] = "reverse",
    [PARAMETER_START] = "start",
    [PARAMETER_TTL] = "ttl",
    [PARAMETER_VALUES] = "values",
    [PARAMETER_VERBOSE] = "verbose",
    [PARAMETER_N] = "n",
    [PARAMETER_R] = "r",
    [PARAMETER_W] = "w",
};

static_assert(PARAMETERS <= 64, "struct route has a bit for each");

const char *parameter_name(enum parameter parameter)
{
    assert(parameter < PARAMETERS && names[parameter] != NULL);
    return names[parameter];
}

bool request_is_deserted(const struct request *request)
{
    return connection_is_gone(request->exchange->connection);
}

struct blob request_take_body(struct request *request)
{
    struct blob body = request->exchange->body;

    request->exchange->body = BLOB_EMPTY;
    request->body = (struct view){NULL, 0};
    return body;
}
