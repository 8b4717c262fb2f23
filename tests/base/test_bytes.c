#include "base/bytes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(bytes, a_blob_grows_and_keeps_what_was_appended)
{
    struct blob blob = BLOB_EMPTY;

    for (unsigned i = 0; i < 1000; i++)
        blob_printf(&blob, "%u,", i);
    cr_assert(not(blob.failed));
    cr_assert(view_starts_with(blob_view(&blob), VIEW_LITERAL("0,1,2,")));
    cr_assert(eq(sz, blob.size, 10 * 2 + 90 * 3 + 900 * 4));
    blob_free(&blob);
}

Test(bytes, an_exact_reservation_takes_what_was_counted)
{
    struct blob blob = BLOB_EMPTY;

    for (size_t capacity = 100; capacity < 10000; capacity *= 3) {
        cr_assert(eq(int, blob_reserve_exactly(&blob, capacity), KIST_OK));
        cr_assert(eq(sz, blob.capacity, capacity));
        blob_append_byte(&blob, 'a');
    }
    cr_assert(eq(int, blob_reserve_exactly(&blob, 10), KIST_OK));
    cr_assert(view_is(blob_view(&blob), "aaaaa"));
    blob_free(&blob);
}

static void count_release(void *memory)
{
    ++*(unsigned *)memory;
}

Test(bytes, what_is_held_is_released_once)
{
    unsigned released = 0;
    struct hold hold = {&released, sizeof(released), count_release};
    struct blob blob = BLOB_EMPTY;

    hold_release(&hold);
    hold_release(&hold);
    cr_assert(eq(uint, released, 1));

    blob_append_text(&blob, "ours");
    hold = hold_blob(&blob);
    cr_assert(zero(ptr, blob.data));
    cr_assert(ge(sz, hold.size, 4));
    hold_release(&hold);
    hold_release(&(struct hold){0});
}

Test(bytes, a_json_string_is_one_valid_line_whatever_the_bytes)
{
    struct blob blob = BLOB_EMPTY;

    blob_append_json(&blob, VIEW_LITERAL("a\"\\\n\x01\xff\xc3\xa9\x7f"));
    cr_assert(view_is(blob_view(&blob),
                      "\"a\\\"\\\\\\n\\u0001\\ufffd\xc3\xa9\\u007f\""));
    blob_free(&blob);
}

Test(bytes, utf8_is_judged_as_rfc_3629_says)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {{"plain", true},           {"\xc3\xa9", true},
                 {"\xe2\x82\xac", true},    {"\xf0\x9f\x98\x80", true},
                 {"\xff", false},           {"\xc0\xaf", false},
                 {"\xed\xa0\x80", false},   {"\xf4\x90\x80\x80", false},
                 {"\xe2\x82", false},       {"\x80", false},
                 {"\xe0\x80\x80", false},   {"\xf0\x80\x80\x80", false},
                 {"\xf4\x8f\xbf\xbf", true}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect(eq(int, view_is_utf8(view_of(cases[i].text)), cases[i].valid),
                  "case %zu", i);
}

Test(bytes, a_list_is_cut_at_its_commas)
{
    static const char *const parts[] = {"a", "", " b", ""};
    struct view list = VIEW_LITERAL("a,, b,"), part;

    for (size_t i = 0; i < 4; i++) {
        cr_assert(view_cut_part(&list, &part));
        cr_assert(view_is(part, parts[i]));
    }
    cr_assert_not(view_cut_part(&list, &part));
    list = VIEW_LITERAL("");
    cr_assert(view_cut_part(&list, &part));
    cr_assert(eq(sz, part.size, 0));
    cr_assert_not(view_cut_part(&list, &part));
}

Test(bytes, numbers_are_digits_that_fit)
{
    uint64_t number;

    cr_expect(view_to_u64(VIEW_LITERAL("18446744073709551615"), &number));
    cr_expect(eq(u64, number, UINT64_MAX));
    cr_expect(not(view_to_u64(VIEW_LITERAL("18446744073709551616"), &number)));
    cr_expect(not(view_to_u64(VIEW_LITERAL(""), &number)));
    cr_expect(not(view_to_u64(VIEW_LITERAL("-1"), &number)));
    cr_expect(not(view_to_u64(VIEW_LITERAL("1 "), &number)));
}

Test(bytes, big_endian_order_is_numeric_order)
{
    struct blob low = BLOB_EMPTY, high = BLOB_EMPTY;

    blob_append_u64(&low, 0x00000000FFFFFFFF);
    blob_append_u64(&high, 0x0000000100000000);
    cr_assert(lt(int, view_compare(blob_view(&low), blob_view(&high)), 0));
    cr_assert(eq(u64, read_u64(high.data), 0x0000000100000000));
    blob_free(&low);
    blob_free(&high);
}
