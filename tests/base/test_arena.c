#include "base/arena.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <string.h>

Test(arena, pieces_are_aligned_and_keep_their_bytes)
{
    struct arena arena;
    char *pieces[2000];

    arena_init(&arena, 1 << 24);
    for (size_t i = 0; i < 2000; i++) {
        void *piece;

        cr_assert(eq(int, arena_take(&arena, i, &piece), KIST_OK));
        cr_expect(eq(sz, (uintptr_t)piece % 8, 0));
        memset(piece, (int)i & 0xFF, i);
        pieces[i] = piece;
    }
    for (size_t i = 1; i < 2000; i++)
        cr_expect(pieces[i][0] == (char)i && pieces[i][i - 1] == (char)i,
                  "piece %zu", i);
    arena_clear(&arena);
}

Test(arena, the_budget_is_all_there_ever_is)
{
    struct arena arena;
    void *piece;
    size_t taken = 0;

    arena_init(&arena, 100000);
    cr_expect(eq(int, arena_take(&arena, 100001, &piece), KIST_TOO_LARGE));
    cr_expect(eq(int, arena_take(&arena, SIZE_MAX, &piece), KIST_TOO_LARGE));
    while (arena_take(&arena, 1000, &piece) == KIST_OK)
        taken += 1000;
    cr_expect(le(sz, taken, 100000));
    cr_expect(ge(sz, taken, 80000));
    arena_clear(&arena);
}

Test(arena, a_copy_outlives_the_bytes_it_was_made_of)
{
    struct arena arena;
    struct view copy, nothing;
    char text[] = "text";

    arena_init(&arena, 1000);
    cr_assert(
        eq(int, arena_copy(&arena, (struct view){NULL, 0}, &nothing), KIST_OK));
    cr_assert(eq(int, arena_copy(&arena, view_of(text), &copy), KIST_OK));
    text[0] = 'n';
    cr_expect(view_is(copy, "text"));
    cr_expect(eq(sz, nothing.size, 0));
    arena_clear(&arena);
}
