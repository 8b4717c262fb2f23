#include "service/file_limit.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <sys/resource.h>

Test(file_limit, is_raised_to_the_hard_one)
{
    struct rlimit limit;
    uint64_t raised;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_max = limit.rlim_max < 600 ? limit.rlim_max : 600;
    limit.rlim_cur = 100;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);

    cr_assert_eq(file_limit_raise(&raised), KIST_OK);
    cr_assert_eq(raised, limit.rlim_max);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(limit.rlim_cur, raised);
}

Test(file_limit, must_leave_room_for_connections_and_tables)
{
    struct settings settings = {
        .loops = 2, .max_connections = 10000, .max_open_files = 1000};
    struct blob why = BLOB_EMPTY;

    cr_assert_eq(file_limit_check(&settings, 11136, &why), KIST_OK);
    cr_assert_eq(why.size, 0);
    cr_assert_eq(file_limit_check(&settings, 11135, &why), KIST_INVALID);
    blob_append_byte(&why, '\0');
    cr_assert_not_null(strstr(why.data, "max-connections 10000 needs 11136"));
    cr_assert_not_null(strstr(why.data, "the limit is 11135"));
    blob_free(&why);
}
