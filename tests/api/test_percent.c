/* Bytes as a part of a URI: RFC 3986, 2.1 and 2.3. */
#include "api/percent.h"
#include "api/target.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(percent, .timeout = 10);

Test(percent, only_unreserved_characters_stand_for_themselves)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";

    for (unsigned i = 0; i < 256; i++) {
        char byte = (char)i, expected[4];
        struct blob out = BLOB_EMPTY;

        if (i != 0 && strchr(unreserved, (int)i) != NULL)
            snprintf(expected, sizeof(expected), "%c", (int)i);
        else
            snprintf(expected, sizeof(expected), "%%%02X", i);
        percent_encode((struct view){&byte, 1}, &out);
        cr_expect(view_is(blob_view(&out), expected), "byte %u", i);
        blob_free(&out);
    }
}

Test(percent, an_encoded_key_is_decoded_to_itself)
{
    struct view key = VIEW_LITERAL("a b/%41+\xc3\xa9?#&=\"~"), back;
    struct blob out = BLOB_EMPTY;
    char room[128];

    percent_encode(key, &out);
    cr_assert(lt(sz, out.size, sizeof(room)));
    cr_assert(target_key(blob_view(&out), room, &back) == TARGET_FINE);
    cr_expect(view_equal(back, key));
    blob_free(&out);
}
