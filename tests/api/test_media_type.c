/* What a Content-Type makes of a body: RFC 9110, 8.3. */
#include "api/media_type.h"
#include "storage/record.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(media_type, .timeout = 10);

struct claim {
    const char *header;
    enum media_type_kind kind;
};

static const struct claim claims[] = {
    {"application/json", MEDIA_TYPE_JSON},
    {"Application/JSON", MEDIA_TYPE_JSON},
    {"  application/json  ", MEDIA_TYPE_JSON},
    {"application/json;", MEDIA_TYPE_JSON},
    {"application/json;profile=\"x\"", MEDIA_TYPE_JSON},
    {"application/x-www-form-urlencoded", MEDIA_TYPE_UNSTATED},
    {"application/x-www-form-urlencoded; charset=latin1", MEDIA_TYPE_UNSTATED},
    {"text/plain", MEDIA_TYPE_OTHER},
    {"text/plain; charset=latin1", MEDIA_TYPE_OTHER},
    {"application/vnd.api+json", MEDIA_TYPE_OTHER},
    {"application/jsonx", MEDIA_TYPE_OTHER},
    {"a/b", MEDIA_TYPE_OTHER},
    {"!#$%&'*+-.^_`|~/!", MEDIA_TYPE_OTHER},
    /* UTF-8, however it is spelled. */
    {"application/json;charset=utf-8", MEDIA_TYPE_JSON},
    {"application/json; charset=UTF-8", MEDIA_TYPE_JSON},
    {"application/json; charset=\"Utf-8\"", MEDIA_TYPE_JSON},
    {"application/json; Charset=utf-8", MEDIA_TYPE_JSON},
    {"application/json ; a=b ; charset=utf-8 ; c=d", MEDIA_TYPE_JSON},
    {"application/json; charset=latin1", MEDIA_TYPE_NOT_UTF8},
    {"application/json; charset=\"latin1\"", MEDIA_TYPE_NOT_UTF8},
    {"application/json; CHARSET=latin1", MEDIA_TYPE_NOT_UTF8},
    {"application/json; Charset=utf-16", MEDIA_TYPE_NOT_UTF8},
    {"application/json; charset=", MEDIA_TYPE_NOT_UTF8},
    {"application/json; charset=utf-8x", MEDIA_TYPE_NOT_UTF8},
    {"application/json; charset=utf-8; charset=latin1", MEDIA_TYPE_NOT_UTF8},
    /* Another parameter, or a part of one. */
    {"application/json; xcharset=latin1", MEDIA_TYPE_JSON},
    {"application/json; a=\"; charset=latin1\"", MEDIA_TYPE_JSON},
    {"application/json; a=\"\\\"; charset=latin1\"", MEDIA_TYPE_JSON},
    /* No media type. */
    {"", MEDIA_TYPE_INVALID},
    {" ", MEDIA_TYPE_INVALID},
    {"json", MEDIA_TYPE_INVALID},
    {"/", MEDIA_TYPE_INVALID},
    {"/json", MEDIA_TYPE_INVALID},
    {"application/", MEDIA_TYPE_INVALID},
    {"application/json/x", MEDIA_TYPE_INVALID},
    {"application /json", MEDIA_TYPE_INVALID},
    {"application/ json", MEDIA_TYPE_INVALID},
    {"*/*; q=1", MEDIA_TYPE_OTHER}, /* Odd, but of tokens. */
    {"a,b/c", MEDIA_TYPE_INVALID},
    {"text/plain, text/html", MEDIA_TYPE_INVALID},
    {"\"a\"/b", MEDIA_TYPE_INVALID},
    {"a/b\x80", MEDIA_TYPE_INVALID},
    {"a/b; x=\x01", MEDIA_TYPE_INVALID},
    {"a/b; x=\xc3\xa9", MEDIA_TYPE_INVALID},
    {"a/b; x=\x7f", MEDIA_TYPE_INVALID},
    {"application/json; x=\r\ny", MEDIA_TYPE_INVALID},
};

Test(media_type, each_header_claims_one_kind)
{
    for (size_t i = 0; i < sizeof(claims) / sizeof(*claims); i++)
        cr_expect(
            eq(int, media_type_kind(view_of(claims[i].header)), claims[i].kind),
            "`%s`", claims[i].header);
}

Test(media_type, no_header_states_nothing)
{
    cr_expect(
        eq(int, media_type_kind((struct view){NULL, 0}), MEDIA_TYPE_UNSTATED));
}

Test(media_type, a_nul_byte_is_no_part_of_one)
{
    cr_expect(
        eq(int, media_type_kind(VIEW_LITERAL("a/b\0c")), MEDIA_TYPE_INVALID));
}

Test(media_type, one_byte_more_than_a_record_holds_is_invalid)
{
    char header[RECORD_MEDIA_TYPE_MAX + 1];

    memset(header, 'x', sizeof(header));
    header[1] = '/';
    cr_expect(eq(int,
                 media_type_kind((struct view){header, RECORD_MEDIA_TYPE_MAX}),
                 MEDIA_TYPE_OTHER));
    cr_expect(eq(
        int, media_type_kind((struct view){header, RECORD_MEDIA_TYPE_MAX + 1}),
        MEDIA_TYPE_INVALID));
}

Test(media_type, its_essence_is_compared_without_parameters)
{
    cr_expect(media_type_is(VIEW_LITERAL("Text/Plain ; a=b"), "text/plain"));
    cr_expect(not(media_type_is(VIEW_LITERAL("text/plain2"), "text/plain")));
    cr_expect(not(media_type_is((struct view){NULL, 0}, "text/plain")));
}
