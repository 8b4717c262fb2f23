#include "api/router.h"

#include <assert.h>
#include <string.h>

/* How much of a row's path stands before the key; its size without one. */
static size_t fixed_size(const char *path)
{
    const char *brace = strchr(path, '{');

    return brace == NULL ? strlen(path) : (size_t)(brace - path);
}

static bool fits(const struct route *route, struct view path)
{
    size_t fixed = fixed_size(route->path);

    if (path.size < fixed || memcmp(path.data, route->path, fixed) != 0)
        return false;
    return route->path[fixed] == '{' || path.size == fixed;
}

struct view route_key(const struct route *route, struct view path)
{
    size_t fixed = fixed_size(route->path);

    if (route->path[fixed] != '{')
        return (struct view){NULL, 0};
    return view_from(path, fixed);
}

/* HEAD is GET without the bytes, and OPTIONS is answered for every path. */
static unsigned implied(unsigned allowed)
{
    if ((allowed & 1u << METHOD_GET) != 0)
        allowed |= 1u << METHOD_HEAD;
    return allowed | 1u << METHOD_OPTIONS;
}

static bool is_at(const struct route *route, enum route_port port)
{
    bool for_peers = (route->rules & ROUTE_PEERS) != 0;
    bool for_admin = (route->rules & ROUTE_ADMIN) != 0;
    bool for_changes = (route->rules & ROUTE_CHANGES) != 0;

    switch (port) {
    case ROUTE_PORT_PUBLIC:
        return !for_peers && !for_admin && !for_changes;
    case ROUTE_PORT_SHARED:
        return !for_peers && !for_admin;
    case ROUTE_PORT_PEERS:
        return for_peers;
    case ROUTE_PORT_ADMIN:
        return !for_peers;
    }
    return false;
}

enum route_match route_find(enum route_port port, enum method method,
                            struct view path, const struct route **out_route,
                            unsigned *out_allowed)
{
    enum method wanted = method == METHOD_HEAD ? METHOD_GET : method;
    unsigned allowed = 0;

    for (size_t i = 0; i < routes_count; i++) {
        if (!is_at(&routes[i], port) || !fits(&routes[i], path))
            continue;
        if (routes[i].method == wanted) {
            *out_route = &routes[i];
            return ROUTE_FOUND;
        }
        allowed |= 1u << routes[i].method;
    }
    if (allowed == 0)
        return ROUTE_NO_PATH;
    *out_allowed = implied(allowed);
    return ROUTE_NO_METHOD;
}

unsigned route_all_methods(enum route_port port)
{
    unsigned allowed = 0;

    for (size_t i = 0; i < routes_count; i++)
        if (is_at(&routes[i], port))
            allowed |= 1u << routes[i].method;
    return implied(allowed);
}
