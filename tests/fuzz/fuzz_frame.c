/*
 * A peer's message, as it is and with a right checksum, which no mutation
 * would ever find: whatever it claims, items are read within it or refused.
 */
#include "replication/frame.h"
#include "replication/ring.h"
#include "replication/scan_page.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CHECKSUM_SIZE = 8 };

static bool is_within(struct view part, struct view whole)
{
    return part.size == 0 || (part.data >= whole.data &&
                              part.data + part.size <= whole.data + whole.size);
}

/* Each kind of item, whatever the frame says that it holds. */
static void read_items(struct view body)
{
    struct frame_pushed pushed;
    struct frame_entry entry;
    struct frame_push push;
    struct frame_beat beat;
    struct bucket_sum sum;
    struct record record;
    struct env_part part;
    struct view rest, key;
    struct scan_page_record listed;
    struct env_scan_range range;
    bool found;

    for (rest = body; frame_next_push(&rest, &push) == KIST_OK;)
        assert(is_within(push.key, body) &&
               is_within(push.record.value, body) &&
               !version_is_none(push.record.version));
    for (rest = body; frame_next_fetch(&rest, &key) == KIST_OK;)
        assert(is_within(key, body) && key.size > 0);
    for (rest = body; frame_next_entry(&rest, &entry) == KIST_OK;)
        assert(is_within(entry.key, body));
    for (rest = body; frame_next_list(&rest, &part, &key) == KIST_OK;)
        assert(is_within(key, body));
    for (rest = body; frame_next_pushed(&rest, &pushed) == KIST_OK;)
        assert(is_within(rest, body));
    for (rest = body; frame_next_sums(&rest, &part) == KIST_OK;)
        assert(is_within(rest, body));
    for (rest = body; frame_next_summed(&rest, &sum) == KIST_OK;)
        assert(is_within(rest, body));
    for (rest = body; frame_next_beat(&rest, &beat) == KIST_OK;)
        assert(is_within(beat.name, body) && beat.name.size > 0 &&
               beat.name.size <= RING_NAME_MAX && beat.store <= STORE_DOWN);
    for (rest = body; frame_next_fetched(&rest, VIEW_LITERAL("ada"), &found,
                                         &record) == KIST_OK;)
        assert(!found || is_within(record.value, body));
    for (rest = body; scan_page_next(&rest, &listed) == KIST_OK;)
        assert(is_within(listed.key, body) &&
               (listed.record.value.data == NULL ||
                is_within(listed.record.value, body)));
    for (rest = body; scan_page_next_range(&rest, &range) == KIST_OK;)
        assert(is_within(range.lower, body) && is_within(range.upper, body));
    rest = body;
    if (scan_page_last(&rest, &found, &key) == KIST_OK)
        assert(is_within(key, body));
}

/* About rings and floors. */
static void read_ring_items(struct view body)
{
    struct frame_floor floor;
    struct frame_ballot ballot;
    struct frame_promise promise;
    enum frame_floor_said said;
    struct view rest, ring;

    for (rest = body; frame_next_ring(&rest, &ring) == KIST_OK;)
        assert(is_within(ring, body));
    for (rest = body; frame_next_prepare(&rest, &ballot) == KIST_OK;)
        assert(is_within(rest, body));
    for (rest = body; frame_next_accept(&rest, &ballot, &ring) == KIST_OK;)
        assert(is_within(ring, body));
    for (rest = body; frame_next_promise(&rest, &promise) == KIST_OK;)
        assert(is_within(promise.ring, body));
    for (rest = body; frame_next_floor(&rest, &floor) == KIST_OK;)
        assert(floor.step <= FRAME_FLOOR_PURGE);
    for (rest = body; frame_next_floor_said(&rest, &said) == KIST_OK;)
        assert(said <= FRAME_FLOOR_LOST);
}

static void try(struct view bytes)
{
    struct frame frame;

    if (frame_decode(bytes, &frame) != KIST_OK)
        return;
    assert(frame.items <= FRAME_ITEMS_MAX && is_within(frame.body, bytes));
    read_items(frame.body);
    read_ring_items(frame.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view bytes = {(const char *)data, size};
    struct blob sealed = BLOB_EMPTY;

    try(bytes);
    read_items(bytes);
    read_ring_items(bytes);
    if (size < CHECKSUM_SIZE)
        return 0;
    bytes.size -= CHECKSUM_SIZE;
    blob_append(&sealed, bytes);
    blob_append_u64(&sealed, XXH3_64bits(bytes.data, bytes.size));
    try(blob_view(&sealed));
    blob_free(&sealed);
    return 0;
}
