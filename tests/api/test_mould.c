/* Responses that are filled again, and when they are not. */
#include "api/mould.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

static struct moulds moulds;

static void tear_down(void)
{
    moulds_clear(&moulds);
    cr_assert(eq(sz, moulds.kept, 0));
}

TestSuite(mould, .fini = tear_down, .timeout = 10);

static struct mould *take(const char *tag, const char *type, const char *body)
{
    struct mould_field fields[] = {
        {"ETag", view_of(tag)},
        {"Kist-Type", view_of(type)},
    };

    return moulds_take(&moulds, fields, 2, view_of(body));
}

static void expect_header(struct mould *mould, const char *name,
                          const char *value)
{
    const char *found = MHD_get_response_header(mould_response(mould), name);

    cr_assert(ne(ptr, (void *)(uintptr_t)found, NULL));
    cr_expect(eq(str, (char *)(uintptr_t)found, (char *)(uintptr_t)value));
}

Test(mould, a_mould_is_filled_again_with_all_that_differs)
{
    struct mould *first = take("\"1\"", "object", "{}");

    expect_header(first, "ETag", "\"1\"");
    moulds_give_back(&moulds, first);

    struct mould *second = take("\"2\"", "string", "[]");

    cr_expect(eq(ptr, second, first));
    expect_header(second, "ETag", "\"2\"");
    expect_header(second, "Kist-Type", "string");
    moulds_give_back(&moulds, second);
}

Test(mould, one_that_is_on_its_way_is_nobody_elses)
{
    struct mould *first = take("\"1\"", "object", "{}");
    struct mould *second = take("\"2\"", "object", "{}");

    cr_expect(ne(ptr, second, first));
    expect_header(first, "ETag", "\"1\"");
    moulds_give_back(&moulds, first);
    moulds_give_back(&moulds, second);
}

Test(mould, another_length_or_header_is_another_mould)
{
    struct mould_field other[] = {
        {"ETag", VIEW_LITERAL("\"1\"")},
        {"Location", VIEW_LITERAL("object")},
    };
    struct mould *mould = take("\"1\"", "object", "{}");

    moulds_give_back(&moulds, mould);

    struct mould *others[] = {
        take("\"10\"", "object", "{}"),
        take("\"1\"", "array", "{}"),
        take("\"1\"", "object", "{ }"),
        moulds_take(&moulds, other, 2, VIEW_LITERAL("{}")),
        moulds_take(&moulds, other, 1, VIEW_LITERAL("{}")),
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert(ne(ptr, others[i], NULL));
        cr_expect(ne(ptr, others[i], mould));
        moulds_give_back(&moulds, others[i]);
    }
}

/* Else a client's text could begin a header of its own. */
Test(mould, a_value_of_two_lines_is_refused_new_and_again)
{
    cr_expect(eq(ptr, take("\"1\"", "ob\nect", "{}"), NULL));
    moulds_give_back(&moulds, take("\"1\"", "object", "{}"));
    cr_expect(eq(ptr, take("\"1\"", "ob\nect", "{}"), NULL));
    moulds_give_back(&moulds, take("\"1\"", "object", "{}"));
    cr_expect(eq(ptr, take("\"1\"", "ob\rect", "{}"), NULL));
}

Test(mould, what_is_not_small_gets_none)
{
    struct mould_field fields[MOULD_FIELDS + 1];
    char body[MOULD_BODY_MAX + 2];

    for (size_t i = 0; i < MOULD_FIELDS + 1; i++)
        fields[i] = (struct mould_field){"Link", VIEW_LITERAL("</>")};
    cr_expect(eq(
        ptr, moulds_take(&moulds, fields, MOULD_FIELDS + 1, VIEW_LITERAL("{}")),
        NULL));
    memset(body, ' ', sizeof(body));
    body[sizeof(body) - 1] = '\0';
    cr_expect(eq(ptr, take("\"1\"", "object", body), NULL));
}

Test(mould, of_many_shapes_a_bounded_number_is_kept)
{
    char body[MOULD_BODY_MAX + 1];

    memset(body, ' ', sizeof(body));
    for (size_t size = 0; size <= MOULD_BODY_MAX; size++) {
        body[size] = '\0';
        moulds_give_back(&moulds, take("\"1\"", "object", body));
        body[size] = ' ';
        cr_assert(le(sz, moulds.kept, MOULDS_KEPT));
    }
    cr_expect(eq(sz, moulds.kept, MOULDS_KEPT));
}
