#include "api/census.h"

#include "api/budget.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <netinet/in.h>

static struct census_address v4(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    cr_assert(eq(int, inet_pton(AF_INET, text, &address.sin_addr), 1));
    return census_address((const struct sockaddr *)&address);
}

static struct census_address v6(const char *text)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};

    cr_assert(eq(int, inet_pton(AF_INET6, text, &address.sin6_addr), 1));
    return census_address((const struct sockaddr *)&address);
}

static bool same(struct census_address a, struct census_address b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

Test(census, an_ipv6_network_and_a_mapped_address_count_as_one_client)
{
    cr_assert(same(v6("2001:db8:1:2::1"), v6("2001:db8:1:2:ffff::9")));
    cr_assert(not(same(v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1"))));
    cr_assert(same(v4("192.0.2.1"), v6("::ffff:192.0.2.1")));
    cr_assert(not(same(v4("192.0.2.1"), v4("192.0.2.2"))));
}

Test(census, caps_hold_in_total_and_by_address)
{
    struct census_address a = v4("192.0.2.1"), b = v4("192.0.2.2");
    struct census *census;

    cr_assert(census_open(2, &census) == KIST_OK);
    cr_assert(census_enter(census, a, 3) == CENSUS_ADMITTED);
    cr_assert(census_enter(census, a, 3) == CENSUS_ADMITTED);
    cr_assert(census_enter(census, a, 3) == CENSUS_ADDRESS_FULL);
    cr_assert(census_enter(census, b, 3) == CENSUS_ADMITTED);
    cr_assert(census_enter(census, b, 3) == CENSUS_FULL);
    cr_assert(not(census_wait_empty(census, clock_mono_ns())));
    census_leave(census, a);
    cr_assert(census_enter(census, b, 3) == CENSUS_ADMITTED);
    census_leave(census, a);
    census_leave(census, b);
    census_leave(census, b);
    cr_assert(census_wait_empty(census, clock_mono_ns()));
    cr_assert(eq(sz, census_total(census), 0));
    census_close(census);
}

Test(budget, what_is_not_there_is_not_given)
{
    struct budget budget = {.most = 100};

    cr_assert(budget_take(&budget, 60));
    cr_assert(not(budget_take(&budget, 41)));
    cr_assert(not(budget_take(&budget, UINT64_MAX)));
    cr_assert(budget_take(&budget, 40));
    budget_overdraw(&budget, 5);
    cr_assert(not(budget_take(&budget, 0)));
    budget_give_back(&budget, 105);
    cr_assert(eq(u64, budget_used(&budget), 0));
}
