#include "base/owner.h"
#include "replication/ring_bytes.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct world world;
static struct network network;
static struct blob ring;

/* A ring that may come next: without the last member. */
static void make_ring(void)
{
    struct ring_change change = {.leaving = view_of(network.machines[3].name)};
    struct ring *planned;

    cr_assert_eq(ring_plan_change(network.first, &change, &planned), KIST_OK);
    ring_bytes_encode(planned, &ring);
    ring_free(planned);
}

static void set_up(void)
{
    world_init(&world, 9, false);
    network_init(&network, &world, 4, 0, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    make_ring();
}

static void tear_down(void)
{
    blob_free(&ring);
    network_clear(&network);
    world_clear(&world);
}

TestSuite(decree, .init = set_up, .fini = tear_down, .timeout = 20);

struct listener {
    struct replica_caller caller;
    struct frame frame;
    struct frame_promise said;
    struct blob bytes;
    bool has_answer;
};

static void on_reply(struct replica_caller *caller, struct view answer)
{
    struct listener *listener = OWNER(caller, struct listener, caller);

    listener->has_answer = true;
    blob_append(&listener->bytes, answer);
    cr_assert_eq(frame_decode(blob_view(&listener->bytes), &listener->frame),
                 KIST_OK);
    if (listener->frame.status == FRAME_OK)
        cr_assert_eq(frame_next_promise(&listener->frame.body, &listener->said),
                     KIST_OK);
}

/* The answer of a machine, until the next one. */
static struct listener *ask_of(unsigned machine, enum frame_kind kind,
                               uint64_t round)
{
    static struct listener listener;
    struct seat *seat = &network.machines[machine].seat;
    struct frame head = seat_head(seat, kind, seat->env->self);
    struct frame_ballot ballot = {round, 77};
    struct blob message = BLOB_EMPTY;

    blob_free(&listener.bytes);
    listener = (struct listener){.caller.send = on_reply};
    head.budget_ms = 400;
    frame_begin(&head, &message);
    if (kind == FRAME_PREPARE)
        frame_add_prepare(ballot, &message);
    else
        frame_add_accept(ballot, blob_view(&ring), &message);
    frame_seal(1, &message);
    replica_receive(seat, blob_view(&message), &listener.caller);
    blob_free(&message);
    world_run(&world, world.now_us + 20000);
    cr_assert(listener.has_answer);
    cr_assert_eq(listener.frame.status, FRAME_OK);
    return &listener;
}

static struct listener *ask(enum frame_kind kind, uint64_t round)
{
    return ask_of(0, kind, round);
}

Test(decree, a_promise_keeps_lower_ballots_out)
{
    cr_expect(ask(FRAME_PREPARE, 5)->said.granted);
    cr_expect(not(ask(FRAME_PREPARE, 4)->said.granted));
    cr_expect(not(ask(FRAME_ACCEPT, 4)->said.granted));
    cr_expect(eq(u64, ask(FRAME_PREPARE, 4)->said.promised.round, 5));
    cr_expect(ask(FRAME_ACCEPT, 5)->said.granted);
}

Test(decree, what_was_accepted_is_told_to_who_asks_later)
{
    struct listener *listener;

    cr_expect(ask(FRAME_ACCEPT, 5)->said.granted);
    listener = ask(FRAME_PREPARE, 6);
    cr_expect(listener->said.granted);
    cr_expect(eq(u64, listener->said.accepted.round, 5));
    cr_expect(view_equal(listener->said.ring, blob_view(&ring)));
}

Test(decree, a_restart_remembers_promise_and_ring)
{
    struct listener *listener;

    cr_expect(ask(FRAME_ACCEPT, 5)->said.granted);
    machine_crash(&network.machines[0]);
    machine_start(&network.machines[0]);
    cr_expect(not(ask(FRAME_PREPARE, 4)->said.granted));
    listener = ask(FRAME_PREPARE, 6);
    cr_expect(listener->said.granted);
    cr_expect(view_equal(listener->said.ring, blob_view(&ring)));
}

/* A member that proposes. */
struct proposer {
    struct decree decree;
    enum kist_status status;
    struct blob ring;
    bool is_done;
};

static void on_decided(struct decree *decree, enum kist_status status,
                       struct view decided)
{
    struct proposer *proposer = OWNER(decree, struct proposer, decree);

    proposer->is_done = true;
    proposer->status = status;
    blob_clear(&proposer->ring);
    blob_append(&proposer->ring, decided);
}

static void propose(struct proposer *proposer, struct view wanted)
{
    proposer->is_done = false;
    cr_assert_eq(decree_propose(&proposer->decree, wanted), KIST_OK);
    world_run(&world, world.now_us + 20000);
    cr_assert(proposer->is_done);
}

/* Two of four have accepted a ring: a majority may have, for all one knows. */
Test(decree, who_proposes_another_ring_takes_the_one_that_may_be_decided)
{
    struct ring_change change = {.leaving = view_of(network.machines[1].name)};
    struct proposer proposer = {
        .decree = {.seat = &network.machines[0].seat,
                   .timeout_ms = 400,
                   .decided = on_decided},
    };
    struct blob other = BLOB_EMPTY;
    struct ring *planned;

    cr_assert_eq(ring_plan_change(network.first, &change, &planned), KIST_OK);
    ring_bytes_encode(planned, &other);
    ring_free(planned);
    cr_assert_eq(decree_start(&proposer.decree, (struct view){0}), KIST_OK);
    cr_expect(ask_of(1, FRAME_ACCEPT, 5)->said.granted);
    cr_expect(ask_of(2, FRAME_ACCEPT, 5)->said.granted);

    propose(&proposer, blob_view(&other));
    cr_expect_eq(proposer.status, KIST_CONFLICT); /* Now it knows the round. */
    propose(&proposer, blob_view(&other));
    cr_expect_eq(proposer.status, KIST_OK);
    cr_expect(view_equal(blob_view(&proposer.ring), blob_view(&ring)));

    blob_free(&other);
    blob_free(&proposer.ring);
    decree_clear(&proposer.decree);
}
