#include "api/router.h"

#include "api/problem.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <string.h>

static bool has_only(const char *text, char besides)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((*at < 'a' || *at > 'z') && *at != besides)
            return false;
    }
    return *text != '\0';
}

Test(router, rows_differ_in_their_labels_and_in_what_they_match)
{
    for (size_t i = 0; i < routes_count; i++) {
        cr_expect(has_only(routes[i].label, '_'), "%s", routes[i].label);
        cr_expect(routes[i].handle != NULL);
        cr_expect(routes[i].method != METHOD_HEAD);
        cr_expect(routes[i].method != METHOD_OPTIONS);
        for (size_t j = 0; j < i; j++) {
            cr_expect(strcmp(routes[i].label, routes[j].label) != 0, "%s",
                      routes[i].label);
            cr_expect(routes[i].method != routes[j].method ||
                          strcmp(routes[i].path, routes[j].path) != 0,
                      "%s", routes[i].label);
        }
    }
}

static enum route_port port_of(const struct route *route)
{
    return (route->rules & ROUTE_PEERS) != 0     ? ROUTE_PORT_PEERS
           : (route->rules & ROUTE_ADMIN) != 0   ? ROUTE_PORT_ADMIN
           : (route->rules & ROUTE_CHANGES) != 0 ? ROUTE_PORT_SHARED
                                                 : ROUTE_PORT_PUBLIC;
}

static enum route_match find(enum method method, const char *path,
                             const struct route **out_route,
                             unsigned *out_allowed)
{
    return route_find(ROUTE_PORT_PUBLIC, method, view_of(path), out_route,
                      out_allowed);
}

Test(router, clients_and_peers_see_nothing_of_each_other)
{
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *found = NULL;
        enum route_port other = port_of(&routes[i]) == ROUTE_PORT_PEERS
                                    ? ROUTE_PORT_PUBLIC
                                    : ROUTE_PORT_PEERS;
        unsigned allowed;

        cr_expect(route_find(other, routes[i].method, view_of(routes[i].path),
                             &found, &allowed) == ROUTE_NO_PATH,
                  "%s", routes[i].label);
    }
}

static bool is_served_at(enum route_port port, const struct route *route)
{
    const struct route *found = NULL;
    unsigned allowed;

    return route_find(port, route->method, view_of(route->path), &found,
                      &allowed) == ROUTE_FOUND;
}

Test(router, what_is_for_operators_is_nowhere_else)
{
    for (size_t i = 0; i < routes_count; i++) {
        enum route_port own = port_of(&routes[i]);

        cr_expect(is_served_at(ROUTE_PORT_PUBLIC, &routes[i]) ==
                      (own == ROUTE_PORT_PUBLIC),
                  "%s", routes[i].label);
        cr_expect(is_served_at(ROUTE_PORT_ADMIN, &routes[i]) ==
                      (own != ROUTE_PORT_PEERS),
                  "%s", routes[i].label);
        cr_expect(is_served_at(ROUTE_PORT_SHARED, &routes[i]) ==
                      (own == ROUTE_PORT_PUBLIC || own == ROUTE_PORT_SHARED),
                  "%s", routes[i].label);
    }
}

Test(router, the_members_are_changed_where_operators_are)
{
    static const struct route changes[] = {
        {.method = METHOD_POST, .path = "/cluster/plan"},
        {.method = METHOD_DELETE, .path = "/cluster/plan"},
        {.method = METHOD_POST, .path = "/cluster/plan/commit"},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        cr_expect(is_served_at(ROUTE_PORT_ADMIN, &changes[i]));
        cr_expect(is_served_at(ROUTE_PORT_SHARED, &changes[i]));
        cr_expect(not(is_served_at(ROUTE_PORT_PUBLIC, &changes[i])));
    }
}

Test(router, each_row_is_found_by_its_path)
{
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *found = NULL;
        unsigned allowed;

        cr_expect(route_find(port_of(&routes[i]), routes[i].method,
                             view_of(routes[i].path), &found,
                             &allowed) == ROUTE_FOUND);
        cr_expect(found == &routes[i], "%s", routes[i].label);
    }
}

Test(router, head_runs_get_and_other_methods_learn_what_is_allowed)
{
    const struct route *found = NULL;
    unsigned allowed = 0;

    cr_assert(find(METHOD_HEAD, "/livez", &found, &allowed) == ROUTE_FOUND);
    cr_assert(found->method == METHOD_GET);
    cr_assert(find(METHOD_DELETE, "/livez", &found, &allowed) ==
              ROUTE_NO_METHOD);
    cr_assert(eq(uint, allowed,
                 1u << METHOD_GET | 1u << METHOD_HEAD | 1u << METHOD_OPTIONS));
    cr_assert(find(METHOD_GET, "/livez/", &found, &allowed) == ROUTE_NO_PATH);
    cr_assert(find(METHOD_GET, "/live", &found, &allowed) == ROUTE_NO_PATH);
}

Test(problem, each_has_a_slug_of_its_own_a_title_and_an_error_code)
{
    for (enum problem i = 0; i < PROBLEM_COUNT; i++) {
        const struct problem_row *row = problem_row(i);

        cr_expect(row->code >= 400 && row->code < 600, "%s", row->slug);
        cr_expect(row->title[0] != '\0');
        cr_expect(has_only(row->slug, '-'), "%s", row->slug);
        for (enum problem j = 0; j < i; j++)
            cr_expect(strcmp(row->slug, problem_row(j)->slug) != 0, "%s",
                      row->slug);
    }
}
