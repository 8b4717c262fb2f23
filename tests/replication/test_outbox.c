#include "replication/outbox.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

enum { SENT_MAX = 2000 };

/* A message of one item and what became of it. */
struct sent {
    struct env_call call;
    struct blob message;
    unsigned done;
    enum env_outcome outcome;
    struct blob answer;
};

static struct sent sent[SENT_MAX];
static struct parcel parcel;

static void on_done(struct env_call *call, enum env_outcome outcome,
                    struct view answer)
{
    struct sent *one = (struct sent *)(void *)call;

    one->done++;
    one->outcome = outcome;
    blob_append(&one->answer, answer);
}

static struct frame head(enum frame_kind kind, uint64_t epoch)
{
    return (struct frame){.kind = kind, .epoch = epoch, .from = 1, .to = 2};
}

static struct env_call *ready(struct sent *one)
{
    one->call.message = blob_view(&one->message);
    one->call.timeout_ms = 1000;
    one->call.done = on_done;
    return &one->call;
}

static struct env_call *push(struct sent *one, uint64_t epoch, const char *key,
                             size_t value_size)
{
    static const char value[2 << 20];
    struct frame_push push = {
        .source = FRAME_CLIENT,
        .sync = ENGINE_SYNC,
        .key = view_of(key),
        .record = {.version = {1, 1}, .value = {value, value_size}},
    };
    struct frame frame = head(FRAME_PUSH, epoch);

    frame_begin(&frame, &one->message);
    frame_add_push(&push, &one->message);
    frame_seal(1, &one->message);
    return ready(one);
}

static struct env_call *fetch(struct sent *one, const char *key)
{
    struct frame frame = head(FRAME_FETCH, 1);

    frame_begin(&frame, &one->message);
    frame_add_fetch(view_of(key), &one->message);
    frame_seal(1, &one->message);
    return ready(one);
}

/* The peer answers the parcel: one result each, which names its place. */
static void answer_pushes(enum frame_status status, unsigned items)
{
    struct blob answer = BLOB_EMPTY;
    struct frame frame = head(FRAME_PUSH, 1);

    frame.answer = true;
    frame.status = status;
    frame_begin(&frame, &answer);
    for (unsigned i = 0; i < items; i++) {
        struct frame_pushed pushed = {.result = FRAME_DURABLE,
                                      .winner = {i + 1, 7}};

        frame_add_pushed(&pushed, &answer);
    }
    frame_seal(items, &answer);
    parcel_finish(&parcel, ENV_ANSWERED, blob_view(&answer));
    blob_free(&answer);
}

static void expect_winner(const struct sent *one, uint64_t hlc)
{
    struct frame frame;
    struct frame_pushed pushed;

    cr_assert(eq(uint, one->done, 1));
    cr_assert(one->outcome == ENV_ANSWERED);
    cr_assert(frame_decode(blob_view(&one->answer), &frame) == KIST_OK);
    cr_assert(frame.answer && frame.kind == FRAME_PUSH && frame.items == 1);
    cr_assert(frame_next_pushed(&frame.body, &pushed) == KIST_OK);
    cr_assert(eq(u64, pushed.winner.hlc, hlc));
}

Test(parcel, pushes_go_as_one_and_each_gets_its_own_answer)
{
    struct frame frame;
    struct frame_push read;

    cr_assert(parcel_add(&parcel, push(&sent[0], 1, "a", 10)));
    cr_assert(parcel_add(&parcel, push(&sent[1], 1, "b", 10)));
    cr_assert(parcel_add(&parcel, push(&sent[2], 1, "c", 10)));
    cr_assert(parcel_seal(&parcel, 0) == KIST_OK);
    cr_assert(frame_decode(blob_view(&parcel.body), &frame) == KIST_OK);
    cr_assert(eq(uint, frame.items, 3));
    for (const char *key = "abc"; *key != '\0'; key++) {
        cr_assert(frame_next_push(&frame.body, &read) == KIST_OK);
        cr_assert(view_equal(read.key, (struct view){key, 1}));
    }
    cr_assert(eq(sz, frame.body.size, 0));

    answer_pushes(FRAME_OK, 3);
    for (unsigned i = 0; i < 3; i++)
        expect_winner(&sent[i], i + 1);
}

Test(parcel, an_answer_for_fewer_items_answers_nobody)
{
    cr_assert(parcel_add(&parcel, push(&sent[0], 1, "a", 10)));
    cr_assert(parcel_add(&parcel, push(&sent[1], 1, "b", 10)));
    cr_assert(parcel_seal(&parcel, 0) == KIST_OK);

    answer_pushes(FRAME_OK, 1);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(eq(uint, sent[i].done, 1));
        cr_assert(sent[i].outcome == ENV_LOST);
    }
}

Test(parcel, a_refusal_is_everybodys)
{
    struct frame frame;

    cr_assert(parcel_add(&parcel, push(&sent[0], 1, "a", 10)));
    cr_assert(parcel_add(&parcel, push(&sent[1], 1, "b", 10)));
    cr_assert(parcel_seal(&parcel, 0) == KIST_OK);

    answer_pushes(FRAME_STALE_RING, 0);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(sent[i].outcome == ENV_ANSWERED);
        cr_assert(frame_decode(blob_view(&sent[i].answer), &frame) == KIST_OK);
        cr_assert(frame.status == FRAME_STALE_RING);
    }
}

Test(parcel, what_was_planned_by_different_rings_does_not_go_together)
{
    cr_assert(parcel_add(&parcel, push(&sent[0], 1, "a", 10)));
    cr_assert(not(parcel_add(&parcel, push(&sent[1], 2, "b", 10))));
    cr_assert(not(parcel_add(&parcel, fetch(&sent[2], "c"))));
}

Test(parcel, a_call_whose_time_is_over_hears_nothing_of_the_answer)
{
    cr_assert(parcel_add(&parcel, push(&sent[0], 1, "a", 10)));
    cr_assert(parcel_add(&parcel, push(&sent[1], 1, "b", 10)));
    sent[0].call.deadline_ms = 5;
    sent[1].call.deadline_ms = 9;
    cr_assert(parcel_seal(&parcel, 0) == KIST_OK);
    cr_assert(eq(u64, parcel_expire(&parcel, 5, ENV_LOST), 9));
    cr_assert(eq(uint, sent[0].done, 1));
    cr_assert(sent[0].outcome == ENV_LOST);

    answer_pushes(FRAME_OK, 2);
    cr_assert(eq(uint, sent[0].done, 1));
    expect_winner(&sent[1], 2);
}

Test(parcel, the_budget_is_what_the_longest_call_has_left)
{
    struct frame frame;

    cr_assert(parcel_add(&parcel, push(&sent[0], 1, "a", 10)));
    cr_assert(parcel_add(&parcel, push(&sent[1], 1, "b", 10)));
    sent[0].call.deadline_ms = 1300;
    sent[1].call.deadline_ms = 1700;
    cr_assert(parcel_seal(&parcel, 1000) == KIST_OK);
    cr_assert(frame_decode(blob_view(&parcel.body), &frame) == KIST_OK);
    cr_assert(eq(u32, frame.budget_ms, 700));
}

Test(outbox, a_full_one_refuses_but_one_message_always_fits)
{
    struct outbox outbox;

    outbox_init(&outbox, 3000);
    cr_assert(outbox_add(&outbox, push(&sent[0], 1, "a", 5000), 0));
    cr_assert(not(outbox_add(&outbox, push(&sent[1], 1, "b", 1), 0)));
    outbox_take(&outbox, OUTBOX_PUSHES, &parcel);
    cr_assert(eq(sz, outbox.bytes, 0));
    cr_assert(outbox_add(&outbox, push(&sent[2], 1, "c", 1000), 0));
    cr_assert(outbox_add(&outbox, push(&sent[3], 1, "d", 1000), 0));
}

Test(outbox, a_body_has_a_mebibyte_and_the_rest_waits_for_the_next)
{
    struct outbox outbox;
    unsigned taken;

    outbox_init(&outbox, 64u << 20);
    for (unsigned i = 0; i < 20; i++)
        cr_assert(outbox_add(&outbox, push(&sent[i], 1, "k", 100000), 0));
    outbox_take(&outbox, OUTBOX_PUSHES, &parcel);
    taken = parcel.count;
    cr_assert(taken > 5 && taken < 11);
    cr_assert(parcel.body.size <= PARCEL_BYTES);
    parcel_finish(&parcel, ENV_LOST, (struct view){0});
    outbox_take(&outbox, OUTBOX_PUSHES, &parcel);
    cr_assert(parcel.parts[0].call == &sent[taken].call);
}

Test(outbox, no_body_has_more_items_than_a_frame)
{
    struct outbox outbox;

    outbox_init(&outbox, 64u << 20);
    for (unsigned i = 0; i < FRAME_ITEMS_MAX + 5; i++)
        cr_assert(outbox_add(&outbox, push(&sent[i], 1, "k", 1), 0));
    outbox_take(&outbox, OUTBOX_PUSHES, &parcel);
    cr_assert(eq(uint, parcel.items, FRAME_ITEMS_MAX));
    cr_assert(parcel_seal(&parcel, 0) == KIST_OK);
}

Test(outbox, reads_do_not_wait_behind_writes)
{
    struct outbox outbox;

    outbox_init(&outbox, 1u << 20);
    cr_assert(outbox_add(&outbox, push(&sent[0], 1, "a", 10), 0));
    cr_assert(outbox_add(&outbox, fetch(&sent[1], "b"), 0));
    outbox_take(&outbox, OUTBOX_FETCHES, &parcel);
    cr_assert(eq(uint, parcel.count, 1));
    cr_assert(parcel.parts[0].call == &sent[1].call);
}

static struct env_call *empty(struct sent *one, enum frame_kind kind)
{
    struct frame frame = head(kind, 1);

    frame_begin(&frame, &one->message);
    frame_seal(1, &one->message);
    return ready(one);
}

Test(outbox, beats_wait_behind_nothing_and_always_fit)
{
    struct outbox outbox;

    outbox_init(&outbox, 3000);
    cr_assert(outbox_add(&outbox, push(&sent[0], 1, "a", 5000), 0));
    cr_assert(not(outbox_add(&outbox, empty(&sent[1], FRAME_SUMS), 0)));
    cr_assert(outbox_add(&outbox, empty(&sent[2], FRAME_BEAT), 0));
    outbox_take(&outbox, OUTBOX_PUSHES, &parcel);
    cr_assert(outbox_add(&outbox, &sent[1].call, 0));
    parcel_finish(&parcel, ENV_LOST, (struct view){0});
    outbox_take(&outbox, OUTBOX_MEMBERS, &parcel);
    cr_assert(eq(uint, parcel.count, 1));
    cr_assert(parcel.parts[0].call == &sent[2].call);
}

Test(outbox, who_waits_too_long_is_told_that_nothing_was_sent)
{
    struct outbox outbox;

    outbox_init(&outbox, 1u << 20);
    cr_assert(outbox_add(&outbox, push(&sent[0], 1, "a", 10), 0));
    cr_assert(outbox_add(&outbox, push(&sent[1], 1, "b", 10), 300));
    cr_assert(eq(u64, outbox_expire(&outbox, 1000), 1300));
    cr_assert(eq(uint, sent[0].done, 1));
    cr_assert(sent[0].outcome == ENV_NOT_SENT);
    cr_assert(eq(uint, sent[1].done, 0));
    outbox_take(&outbox, OUTBOX_PUSHES, &parcel);
    cr_assert(eq(uint, parcel.count, 1));
    cr_assert(parcel.parts[0].call == &sent[1].call);
}
