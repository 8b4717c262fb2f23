/* If-Match and If-None-Match, against a record and against none. */
#include "storage/condition.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(condition, .timeout = 10);

static const struct row {
    enum condition_kind kind;
    size_t count; /* Of the versions below. */
    bool on_absent;
    bool on_first;  /* The record has the first version, */
    bool on_second; /* the second, */
    bool on_other;  /* or another one. */
} rows[] = {
    {CONDITION_NONE, 0, true, true, true, true},
    {CONDITION_NONE, 2, true, true, true, true},
    {CONDITION_ABSENT, 0, true, false, false, false},
    {CONDITION_PRESENT, 0, false, true, true, true},
    {CONDITION_ANY_OF, 0, false, false, false, false},
    {CONDITION_ANY_OF, 1, false, true, false, false},
    {CONDITION_ANY_OF, 2, false, true, true, false},
    {CONDITION_NONE_OF, 0, true, true, true, true},
    {CONDITION_NONE_OF, 1, true, false, true, true},
    {CONDITION_NONE_OF, 2, true, false, false, true},
};

static const struct version first = {1, 2}, second = {1, 3}, other = {2, 2};

static bool holds(const struct row *row, const struct version *current)
{
    struct condition condition = {
        .kind = row->kind, .count = row->count, .versions = {first, second}};
    struct record record = {0};

    if (current == NULL)
        return condition_holds(&condition, NULL);
    record.version = *current;
    return condition_holds(&condition, &record);
}

Test(condition, each_kind_holds_where_its_header_says_so)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];

        cr_expect(eq(int, holds(row, NULL), row->on_absent), "row %zu", i);
        cr_expect(eq(int, holds(row, &first), row->on_first), "row %zu", i);
        cr_expect(eq(int, holds(row, &second), row->on_second), "row %zu", i);
        cr_expect(eq(int, holds(row, &other), row->on_other), "row %zu", i);
    }
}

Test(condition, both_halves_of_a_version_count)
{
    const struct row row = {.kind = CONDITION_ANY_OF, .count = 1};
    struct version hlc = {2, 2}, incarnation = {1, 3};

    cr_expect(not(holds(&row, &hlc)));
    cr_expect(not(holds(&row, &incarnation)));
}

Test(condition, the_last_of_as_many_versions_as_fit_counts)
{
    struct condition condition = {.kind = CONDITION_ANY_OF,
                                  .count = CONDITION_VERSIONS};
    struct record record = {.version = {CONDITION_VERSIONS, 1}};

    for (size_t i = 0; i < CONDITION_VERSIONS; i++)
        condition.versions[i] = (struct version){i + 1, 1};
    cr_expect(condition_holds(&condition, &record));
    condition.count--;
    cr_expect(not(condition_holds(&condition, &record)));
}
