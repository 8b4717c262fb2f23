#include "storage/merge.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* From few values of each field, so that ties are frequent. */
static struct record random_record(uint64_t *state)
{
    static const struct view texts[] = {{"", 0}, {"a", 1}, {"ab", 2}, {"b", 1}};
    uint64_t bits;

    *state = *state * 6364136223846793005u + 1442695040888963407u;
    bits = *state >> 40;
    return (struct record){
        .version = {bits & 3, bits >> 2 & 1},
        .tombstone = (bits >> 3 & 1) != 0,
        .expiry_ms = bits >> 4 & 1,
        .created_ms = bits >> 5 & 1,
        .type = (enum json_type)(bits >> 6 & 1),
        .media_type = texts[bits >> 7 & 3],
        .value = texts[bits >> 9 & 3],
        .large = (bits >> 11 & 1) != 0,
    };
}

static const struct record *winner(const struct record *a,
                                   const struct record *b)
{
    return merge_compare(a, b) >= 0 ? a : b;
}

/* With the order total, the winner of any number in any order is the same. */
Test(merge, a_million_triples_have_one_winner_in_any_order)
{
    uint64_t state = 1;

    for (unsigned i = 0; i < 1000000; i++) {
        struct record a = random_record(&state), b = random_record(&state),
                      c = random_record(&state);
        const struct record *left = winner(winner(&a, &b), &c);
        const struct record *right = winner(&a, winner(&b, &c));

        if (merge_compare(left, right) != 0 ||
            (merge_compare(&a, &b) > 0) != (merge_compare(&b, &a) < 0) ||
            merge_compare(&a, &a) != 0)
            cr_fatal("triple %u", i);
    }
}

Test(merge, the_higher_version_wins_whatever_it_holds)
{
    struct record old = {.version = {1, 9}, .tombstone = true};
    struct record new = {.version = {2, 1}};

    cr_expect(lt(int, merge_compare(&old, &new), 0));
}

Test(merge, of_one_version_the_tombstone_wins)
{
    struct record dead = {.version = {1, 1}, .tombstone = true};
    struct record live = {.version = {1, 1}, .value = VIEW_LITERAL("z")};

    cr_expect(gt(int, merge_compare(&dead, &live), 0));
}
