/*
 * print_tables - the route table and the problem table as text, one row a
 * line, for test_openapi.py.
 */
#include "api/head.h"
#include "api/problem.h"
#include "api/router.h"

#include <stdio.h>

static void print_route(const struct route *route)
{
    printf("route %s %s", head_method_name(route->method), route->path);
    for (enum parameter i = 0; i < PARAMETERS; i++) {
        if (route->parameters & TAKES(i))
            printf(" %s", parameter_name(i));
    }
    putchar('\n');
}

int main(void)
{
    for (size_t i = 0; i < routes_count; i++)
        if ((routes[i].rules & ROUTE_PEERS) == 0) /* Nobody else's business. */
            print_route(&routes[i]);
    for (enum problem i = 0; i < PROBLEM_COUNT; i++) {
        const struct problem_row *row = problem_row(i);
        printf("problem %s%s %u\n", PROBLEM_TYPE_PREFIX, row->slug, row->code);
    }
    return 0;
}
