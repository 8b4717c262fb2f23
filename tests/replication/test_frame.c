#include "replication/frame.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static const struct frame_push ada = {
    .source = FRAME_CLIENT,
    .sync = ENGINE_SYNC,
    .key = {"ada", 3},
    .record = {.version = {0x18bcfe568000001, 7},
               .created_ms = 1700000000000,
               .type = JSON_IS_STRING,
               .media_type = {"application/json", 16},
               .value = {"\"x\"", 3}},
};

static void make(struct blob *out)
{
    struct frame head = {.kind = FRAME_PUSH,
                         .cluster = 1,
                         .epoch = 2,
                         .digest = 3,
                         .from = 4,
                         .to = 5,
                         .wall_ms = 6,
                         .budget_ms = 7};

    frame_begin(&head, out);
    frame_add_push(&ada, out);
    frame_seal(1, out);
    cr_assert(not(out->failed));
}

Test(frame, a_push_says_what_was_put_into_it)
{
    struct blob bytes = BLOB_EMPTY;
    struct frame_push push;
    struct frame frame;

    make(&bytes);
    cr_assert_eq(frame_decode(blob_view(&bytes), &frame), KIST_OK);
    cr_expect(eq(int, frame.kind, FRAME_PUSH));
    cr_expect(not(frame.answer));
    cr_expect(eq(u64, frame.cluster, 1));
    cr_expect(eq(u64, frame.epoch, 2));
    cr_expect(eq(u64, frame.digest, 3));
    cr_expect(eq(u64, frame.from, 4));
    cr_expect(eq(u64, frame.to, 5));
    cr_expect(eq(u64, frame.wall_ms, 6));
    cr_expect(eq(u32, frame.budget_ms, 7));
    cr_expect(eq(uint, frame.items, 1));

    cr_assert_eq(frame_next_push(&frame.body, &push), KIST_OK);
    cr_expect(view_is(push.key, "ada"));
    cr_expect(view_is(push.record.value, "\"x\""));
    cr_expect(version_equal(push.record.version, ada.record.version));
    cr_expect(eq(sz, frame.body.size, 0));
    blob_free(&bytes);
}

/* Pins format 1: a cluster is upgraded node by node. */
Test(frame, its_bytes_stay_what_they_are)
{
    struct blob bytes = BLOB_EMPTY;

    make(&bytes);
    cr_expect(eq(sz, bytes.size, 64 + 2 + 2 + 3 + 4 + (40 + 16 + 3 + 8) + 8));
    cr_expect(
        eq(u64, read_u64(bytes.data + bytes.size - 8), 0x4f634b8578df7e03),
        "%#lx", read_u64(bytes.data + bytes.size - 8));
    blob_free(&bytes);
}

Test(frame, damaged_bytes_are_no_frame)
{
    struct blob bytes = BLOB_EMPTY;
    struct frame frame;

    make(&bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 0x40;
        cr_expect_eq(frame_decode(blob_view(&bytes), &frame), KIST_CORRUPT);
        bytes.data[i] ^= 0x40;
        cr_expect_eq(frame_decode((struct view){bytes.data, i}, &frame),
                     KIST_CORRUPT);
    }
    blob_free(&bytes);
}

/* Sealed by somebody who means harm, or by another release. */
Test(frame, items_that_are_cut_short_are_not_read)
{
    struct blob bytes = BLOB_EMPTY;
    struct frame_push push;

    frame_add_push(&ada, &bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        struct view body = {bytes.data, i};

        cr_expect_eq(frame_next_push(&body, &push), KIST_CORRUPT);
    }
    blob_free(&bytes);
}

Test(frame, answers_say_what_was_put_into_them)
{
    struct frame_pushed pushed = {
        .result = FRAME_DURABLE, .replaced = true, .winner = {8, 9}};
    struct frame_pushed got;
    struct blob bytes = BLOB_EMPTY;
    struct record record;
    struct view body;
    bool found;

    frame_add_pushed(&pushed, &bytes);
    frame_add_fetched(ada.key, &ada.record, &bytes);
    frame_add_fetched(ada.key, NULL, &bytes);
    body = blob_view(&bytes);
    cr_assert_eq(frame_next_pushed(&body, &got), KIST_OK);
    cr_expect(eq(int, got.result, FRAME_DURABLE));
    cr_expect(got.replaced);
    cr_expect(version_equal(got.winner, pushed.winner));

    cr_assert_eq(frame_next_fetched(&body, ada.key, &found, &record), KIST_OK);
    cr_expect(found);
    cr_expect(view_is(record.value, "\"x\""));
    cr_assert_eq(frame_next_fetched(&body, ada.key, &found, &record), KIST_OK);
    cr_expect(not(found));
    cr_expect(eq(sz, body.size, 0));
    blob_free(&bytes);
}

/* An answer that got to the wrong question. */
Test(frame, a_record_does_not_pass_for_another_keys)
{
    struct blob bytes = BLOB_EMPTY;
    struct record record;
    struct view body;
    bool found;

    frame_add_fetched(ada.key, &ada.record, &bytes);
    body = blob_view(&bytes);
    cr_expect_eq(
        frame_next_fetched(&body, VIEW_LITERAL("bob"), &found, &record),
        KIST_CORRUPT);
    blob_free(&bytes);
}

static const struct frame_beat well = {
    .name = {"ada", 3},
    .store = STORE_READ_ONLY,
    .clock_is_good = true,
    .plan = 8,
    .vote = 9,
};

Test(frame, a_beat_says_what_was_put_into_it)
{
    struct blob bytes = BLOB_EMPTY;
    struct frame_beat got;
    struct view body, ring;

    frame_add_beat(&well, &bytes);
    frame_add_ring(VIEW_LITERAL("a ring"), &bytes);
    body = blob_view(&bytes);
    cr_assert_eq(frame_next_beat(&body, &got), KIST_OK);
    cr_expect(view_is(got.name, "ada"));
    cr_expect(eq(int, got.store, STORE_READ_ONLY));
    cr_expect(got.clock_is_good);
    cr_expect(eq(u64, got.plan, 8));
    cr_expect(eq(u64, got.vote, 9));
    cr_assert_eq(frame_next_ring(&body, &ring), KIST_OK);
    cr_expect(view_is(ring, "a ring"));
    cr_expect(eq(sz, body.size, 0));
    blob_free(&bytes);
}

Test(frame, a_beat_that_says_what_cannot_be_is_not_read)
{
    static const struct {
        size_t at;
        char byte;
    } lies[] = {{0, STORE_DOWN + 1}, {1, 2}, {18, 0}, {18, 64}, {18, 4}};
    struct frame_beat got;

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct blob bytes = BLOB_EMPTY;
        struct view body;

        frame_add_beat(&well, &bytes);
        bytes.data[lies[i].at] = lies[i].byte;
        body = blob_view(&bytes);
        cr_expect_eq(frame_next_beat(&body, &got), KIST_CORRUPT, "lie %zu", i);
        blob_free(&bytes);
    }
    for (size_t size = 0; size < 22; size++) {
        struct blob bytes = BLOB_EMPTY;
        struct view body;

        frame_add_beat(&well, &bytes);
        body = (struct view){bytes.data, size};
        cr_expect_eq(frame_next_beat(&body, &got), KIST_CORRUPT);
        blob_free(&bytes);
    }
}
