/*
 * The values of headers: the first byte says of which, the rest is the value.
 * Whatever is read keeps to the limits its reader promises, and what has a
 * spelling of our own is read back from it.
 */
#include "api/accept.h"
#include "api/etag.h"
#include "api/media_type.h"
#include "api/moment.h"
#include "api/piece.h"
#include "api/prefer.h"
#include "api/range.h"
#include "storage/record.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static void try_etag(struct view value)
{
    struct condition strong, weak;
    bool any_strong, any_weak;
    struct version version;
    enum kist_status status =
        etag_read_list(value, ETAG_STRONG, &any_strong, &strong);
    enum kist_status weak_status =
        etag_read_list(value, ETAG_WEAK, &any_weak, &weak);

    assert(any_strong == any_weak);
    /* Weakly compared there are more tags, so more may be too many. */
    assert(status == weak_status || weak_status == KIST_TOO_LARGE);
    if (status == KIST_OK && weak_status == KIST_OK)
        assert(strong.count <= weak.count && weak.count <= CONDITION_VERSIONS);
    if (!etag_read_one(value, &version))
        return;
    assert(status == KIST_OK && strong.count == 1 && !version_is_none(version));
    assert(version_equal(strong.versions[0], version));
}

static void try_range(struct view value)
{
    static const uint64_t sizes[] = {0, 1, 10, 10000, UINT64_MAX};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        uint64_t first, count;

        if (range_read(value, sizes[i], &first, &count) != RANGE_PART)
            continue;
        assert(count > 0 && count <= sizes[i] && first <= sizes[i] - count);
    }
}

static void try_prefer(struct view value)
{
    struct prefer prefer = prefer_read(value);

    assert(prefer.wait_s <= PREFER_WAIT_MAX_S);
    assert(prefer.waits || prefer.wait_s == 0);
}

static void try_media_type(struct view value)
{
    enum media_type_kind kind = media_type_kind(value);

    if (kind == MEDIA_TYPE_INVALID || kind == MEDIA_TYPE_UNSTATED)
        return;
    assert(value.size <= RECORD_MEDIA_TYPE_MAX);
    for (size_t i = 0; i < value.size; i++)
        assert(value.data[i] >= ' ' && value.data[i] < 0x7F);
    assert((kind == MEDIA_TYPE_OTHER) !=
           media_type_is(value, "application/json"));
}

static void try_accept(struct view value)
{
    assert(accept_quality(value, "application/json") <= 1000);
    assert(accept_quality(value, "text/plain") <= 1000);
}

static void try_moment(struct view value)
{
    char text[MOMENT_SIZE];
    uint64_t ms, again;

    if (!moment_from_rfc3339(value, &ms))
        return;
    moment_to_http(ms, text);
    assert(strlen(text) == strlen("Sat, 31 Jan 2026 09:15:02 GMT"));
    moment_to_rfc3339(ms, text);
    if (strlen(text) > strlen("2026-01-31T09:15:02.123Z"))
        return; /* The year 10000, by its offset. */
    assert(moment_from_rfc3339(view_of(text), &again) && again == ms);
}

static void try_pieces(struct view value)
{
    const char *end = value.size == 0 ? NULL : value.data + value.size;
    size_t left = value.size + 1;

    while (value.size > 0) {
        struct view piece = piece_unquoted(piece_take(&value, ','));

        assert(piece.size == 0 || piece.data + piece.size <= end);
        assert(value.size < left);
        left = value.size;
    }
}

static void (*const tries[])(struct view value) = {
    try_etag,   try_range,  try_prefer, try_media_type,
    try_accept, try_moment, try_pieces,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view value = {(const char *)data, size};

    if (size > 0)
        tries[data[0] % (sizeof(tries) / sizeof(*tries))](view_from(value, 1));
    return 0;
}
