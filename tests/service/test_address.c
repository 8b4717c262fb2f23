#include "service/address.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static enum kist_status parse(const char *text, struct address *out_address)
{
    const char *problem = NULL;
    enum kist_status status =
        address_parse(view_of(text), out_address, &problem);

    cr_assert_eq(status == KIST_OK, problem == NULL, "%s", text);
    return status;
}

static void expect_printed(const char *text, const char *expected)
{
    struct address address;
    struct blob printed = BLOB_EMPTY;

    cr_assert_eq(parse(text, &address), KIST_OK, "%s", text);
    address_print(&address, &printed);
    blob_append_byte(&printed, '\0');
    cr_assert_str_eq(printed.data, expected);
    blob_free(&printed);
}

Test(address, prints_as_it_was_written)
{
    expect_printed("127.0.0.1:7700", "127.0.0.1:7700");
    expect_printed("[::1]:0", "[::1]:0");
    expect_printed("[::]:65535", "[::]:65535");
    expect_printed(":7700", ":7700");
    expect_printed("localhost:7700", "127.0.0.1:7700");
    expect_printed("[2001:DB8::0]:1", "[2001:db8::]:1");
}

Test(address, without_a_host_means_both_families)
{
    struct address address;

    cr_assert_eq(parse(":7700", &address), KIST_OK);
    cr_assert(address.both_families);
    cr_assert_eq(address.where.any.sa_family, AF_INET6);
    cr_assert_eq(address_port(&address), 7700);

    cr_assert_eq(parse("[::]:7700", &address), KIST_OK);
    cr_assert_not(address.both_families);
}

Test(address, that_is_not_numeric_or_lacks_a_part_is_refused)
{
    static const char *const wrong[] = {
        "",
        ":",
        "7700",
        "127.0.0.1",
        "1.2.3:80",
        "[::1]",
        "::1:80",
        "[::1:80",
        "[]:80",
        "[1.2.3.4]:80",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "host:80",
        "127.0.0.1: 80",
        "[fe80::1%lo]:80",
        "127.0.0.1:",
        " 127.0.0.1:80",
        "1.2.3.4.5:80",
        "11111111111111111111111111111111111111111111111111:80",
    };
    struct address address;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_eq(parse(wrong[i], &address), KIST_INVALID, "%s", wrong[i]);
}

Test(address, equals_itself_unless_the_kernel_chooses_the_port)
{
    struct address a, b;

    cr_assert_eq(parse("[::1]:80", &a), KIST_OK);
    cr_assert_eq(parse("[0::1]:80", &b), KIST_OK);
    cr_assert(address_equal(&a, &b));
    cr_assert_eq(parse("[::1]:81", &b), KIST_OK);
    cr_assert_not(address_equal(&a, &b));

    cr_assert_eq(parse("127.0.0.1:0", &a), KIST_OK);
    cr_assert_not(address_equal(&a, &a));
}
