/* RFC 4648: one spelling for any bytes, and no other. */
#include "api/base64.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(base64, .timeout = 10);

struct vector {
    struct view bytes;
    const char *padded; /* Section 4. */
    const char *url;    /* Section 5. */
};

/* Section 10, and bytes whose digits differ between the alphabets. */
static const struct vector vectors[] = {
    {VIEW_LITERAL(""), "", ""},
    {VIEW_LITERAL("f"), "Zg==", "Zg"},
    {VIEW_LITERAL("fo"), "Zm8=", "Zm8"},
    {VIEW_LITERAL("foo"), "Zm9v", "Zm9v"},
    {VIEW_LITERAL("foob"), "Zm9vYg==", "Zm9vYg"},
    {VIEW_LITERAL("fooba"), "Zm9vYmE=", "Zm9vYmE"},
    {VIEW_LITERAL("foobar"), "Zm9vYmFy", "Zm9vYmFy"},
    {VIEW_LITERAL("\xfb\xff\xbf"), "+/+/", "-_-_"},
    {VIEW_LITERAL("\0\0\0\0"), "AAAAAA==", "AAAAAA"},
    {VIEW_LITERAL("\xff\xff"), "//8=", "__8"},
};

static void expect_both_ways(struct view bytes, const char *text,
                             enum base64_alphabet alphabet)
{
    struct blob out = BLOB_EMPTY;

    base64_append(&out, bytes, alphabet);
    cr_expect(view_is(blob_view(&out), text), "%s", text);
    blob_clear(&out);
    blob_append_text(&out, "before");
    cr_expect(base64_decode(view_of(text), alphabet, &out), "%s", text);
    cr_expect(view_equal(view_from(blob_view(&out), 6), bytes), "%s", text);
    blob_free(&out);
}

Test(base64, the_vectors_of_the_rfc_go_both_ways)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        expect_both_ways(vectors[i].bytes, vectors[i].padded, BASE64);
        expect_both_ways(vectors[i].bytes, vectors[i].url, BASE64_URL);
    }
}

Test(base64, every_byte_in_every_place_goes_both_ways)
{
    for (unsigned i = 0; i < 3 * 256; i++) {
        char bytes[] = {'a', 'b', 'c'};
        struct blob text = BLOB_EMPTY, back = BLOB_EMPTY;

        bytes[i / 256] = (char)i;
        base64_append(&text, (struct view){bytes, 3}, BASE64);
        cr_assert(base64_decode(blob_view(&text), BASE64, &back), "%u", i);
        cr_assert(view_equal(blob_view(&back), (struct view){bytes, 3}), "%u",
                  i);
        blob_free(&text);
        blob_free(&back);
    }
}

static void expect_refused(const char *text, enum base64_alphabet alphabet)
{
    struct blob out = BLOB_EMPTY;

    blob_append_text(&out, "before");
    cr_expect(not(base64_decode(view_of(text), alphabet, &out)), "`%s`", text);
    cr_expect(view_is(blob_view(&out), "before"), "`%s`", text);
    cr_expect(not(out.failed));
    blob_free(&out);
}

Test(base64, padded_text_in_another_spelling_is_refused)
{
    static const char *const texts[] = {
        "Z",     "Zg",        "Zg=",      "Zg===",     "=",        "==",
        "====",  "===",       "Z===",     "Zh==",      "Zm9=",     "Zm8",
        "Zm9v=", "Zm9v====",  "Zm=v",     "Zg==Zg==",  "Zm9vZg=",  "Zm9v\n",
        "Zm 9v", "Zm9v Zm9v", "-_-_",     "Zm9\xc3",   "Zm9vYm/=", "Zm9vYm==",
        "A=A=",  "=AAA",      "Zm9vYmE*", "Zm9v\tZm9",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        expect_refused(texts[i], BASE64);
}

Test(base64, unpadded_text_in_another_spelling_is_refused)
{
    static const char *const texts[] = {"Z",    "Zg==", "Zh",   "Zm9",
                                        "+/+/", "Zm8=", "Zm9vY"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        expect_refused(texts[i], BASE64_URL);
}
