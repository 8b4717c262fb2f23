/*
 * A store and its commit on a disk that fails.
 *
 * A workload runs while the n-th call of a kind fails, for each n until a run
 * makes fewer calls than that. Whatever fails, what was answered must be true:
 * now, after the store has reopened its engine, and after a restart.
 */
#include "storage/store.h"

#include "base/clock.h"
#include "storage/cursor.h"
#include "tests/storage/model.h"
#include "tests/storage/node.h"
#include "tests/support/fault.h"
#include "tests/support/wall.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TURNS = 30 };

static const int64_t HOUR_MS = 3600 * 1000;

/* What the store reported, as its owner sees it. */
struct transcript {
    unsigned failed;
    enum store_state state;
    unsigned moves;
};

static struct node node;
static struct transcript transcript;
static struct model model;      /* What is there. */
static struct model maybe;      /* And if KIST_UNKNOWN was a success. */
static unsigned number;         /* Of the next turn. */
static const char *description; /* Of the fault, for messages. */

static bool is_documented(enum store_state from, enum store_state to)
{
    switch (from) {
    case STORE_READ_WRITE:
        return to == STORE_READ_ONLY || to == STORE_DOWN;
    case STORE_READ_ONLY:
        return to == STORE_READ_WRITE || to == STORE_DOWN;
    case STORE_DOWN:
        return to == STORE_READ_WRITE || to == STORE_READ_ONLY;
    }
    return false;
}

static void on_moved(void *ctx, enum store_state from, enum store_state to,
                     const char *why)
{
    struct transcript *seen = ctx;

    cr_assert(seen->state == from && is_documented(from, to),
              "%s: from %s to %s, was %s", description, store_state_name(from),
              store_state_name(to), store_state_name(seen->state));
    cr_assert(why[0] != '\0');
    seen->state = to;
    seen->moves++;
}

static void on_failed(void *ctx, const char *why)
{
    struct transcript *seen = ctx;

    cr_assert(why[0] != '\0');
    cr_assert(seen->state == STORE_DOWN);
    seen->failed++;
}

static void expect_store(void)
{
    if (model_matches(&model, node.store))
        return;
    cr_assert(model_matches(&maybe, node.store), "%s: %s; %s", description,
              model.difference, maybe.difference);
    model = maybe;
}

/* An outcome that was unknown is known now, and stays. */
static void settle(void)
{
    expect_store();
    maybe = model;
}

static void start(void)
{
    wall_shift(-HOUR_MS);
    transcript = (struct transcript){0};
    node_start(&node);
}

/* The same status for each write that the batch was to do. */
static enum kist_status outcome_of(const struct turn *turn)
{
    for (size_t g = 0; g < turn->count; g++)
        for (size_t i = 0; i < turn->groups[g].count; i++) {
            enum kist_status status = turn->writes[g][i].status;

            if (status == KIST_UNKNOWN || status == KIST_DISK_FULL ||
                status == KIST_READ_ONLY || status == KIST_NO_MEMORY)
                return status;
        }
    return KIST_OK;
}

/* Its answers are true; KIST_OK, or why there were no writes in it. */
static enum kist_status run_turn(void)
{
    struct turn turn;
    enum kist_status outcome;

    turn_make(&turn, 1, number++, &model);
    node_commit(&node, turn.pointers, turn.count);
    maybe = model;
    cr_assert(model_follow(&maybe, &turn, MODEL_APPLIED), "%s, turn %u: %s",
              description, number - 1, maybe.difference);
    cr_assert(model_follow(&model, &turn, MODEL_ANSWERED), "%s, turn %u: %s",
              description, number - 1, model.difference);
    outcome = outcome_of(&turn);
    turn_clear(&turn);
    return outcome;
}

static void expect_refusal(enum kist_status expected)
{
    struct model before = model, before_maybe = maybe;

    cr_assert(eq(int, run_turn(), expected), "%s", description);
    cr_assert(memcmp(before.keys, model.keys, sizeof(model.keys)) == 0);
    maybe = before_maybe;
}

/* No space: reads go on, and space alone brings writes back. */
static void recover_from_no_space(bool still_full)
{
    cr_assert(eq(int, store_state(node.store), STORE_READ_ONLY), "%s",
              description);
    cr_assert(zero(uint, transcript.failed), "%s", description);
    expect_refusal(KIST_DISK_FULL);
    expect_store();
    if (still_full) {
        store_check(node.store);
        if (store_state(node.store) == STORE_READ_ONLY)
            expect_store();
    }
    fault_disarm();
    store_check(node.store);
    store_check(node.store);
    cr_assert(eq(int, store_state(node.store), STORE_READ_WRITE), "%s",
              description);
}

/* Only a restart tells what is on disk. */
static void recover_from_error(void)
{
    cr_assert(eq(int, store_state(node.store), STORE_DOWN), "%s", description);
    cr_assert(eq(uint, transcript.failed, 1), "%s", description);
    expect_refusal(KIST_READ_ONLY);
    expect_store();
    fault_disarm();
    node_stop(&node);
    start();
}

static void recover(enum kist_status outcome, int error, enum fault_life life)
{
    if (outcome == KIST_DISK_FULL) { /* The ballast could not be made. */
        store_check(node.store);
        if (store_state(node.store) == STORE_READ_WRITE)
            return;
        fault_disarm();
        store_check(node.store);
        return;
    }
    cr_assert(eq(int, outcome, KIST_UNKNOWN), "%s", description);
    if (error == ENOSPC)
        recover_from_no_space(life == FAULT_LASTING);
    else
        recover_from_error();
    settle();
}

/* Turns up to `end`. How many of them failed. */
static unsigned run(unsigned end, int error, enum fault_life life)
{
    unsigned failures = 0;

    while (number < end) {
        enum kist_status outcome = run_turn();

        expect_store();
        cr_assert(eq(int, store_state(node.store), transcript.state));
        if (outcome == KIST_OK)
            continue;
        recover(outcome, error, life);
        failures++;
    }
    return failures;
}

static void finish(int error)
{
    /* A compaction that failed before is told to the next who writes. */
    cr_assert(le(uint, run(TURNS + 3, error, FAULT_ONCE), 1), "%s",
              description);
    cr_assert(eq(int, store_state(node.store), STORE_READ_WRITE));
    node_stop(&node);
    start();
    expect_store();
    cr_assert(eq(int, run_turn(), KIST_OK), "%s", description);
    expect_store();
    node_stop(&node);
    scratch_remove_tree(node.path);
}

/* False: the n-th call was never made. */
static bool fail_one(enum fault_call call, unsigned nth, enum fault_life life,
                     int error)
{
    static char text[80];
    enum kist_status status;
    bool fired;

    snprintf(text, sizeof(text), "call %d, number %u, life %d, %s", (int)call,
             nth, (int)life, strerror(error));
    description = text;
    number = 0;
    memset(&model, 0, sizeof(model));
    maybe = model;
    transcript = (struct transcript){0};

    fault_arm(call, nth, life, error);
    status = node_open_store(&node);
    if (status == KIST_OK) {
        node_open_commit(&node);
        run(TURNS, error, life);
        fired = fault_disarm();
        store_check(node.store);
    } else {
        fired = fault_disarm();
        cr_assert(fired && node.fault.text[0] != '\0', "%s", text);
        cr_assert(zero(uint, transcript.moves));
        start();
    }
    finish(error);
    return fired;
}

static void fail_each(enum fault_call call, enum fault_life life, int error)
{
    unsigned nth = 0;

    while (fail_one(call, nth, life, error))
        nth++;
    cr_assert(gt(uint, nth, 3));
}

static void set_up(void)
{
    node_prepare(&node);
    node.hooks = (struct store_hooks){&transcript, on_moved, on_failed};
    node.write_buffer_bytes = 64 << 10;
    fault_watch(node.scratch.path);
}

static void tear_down(void)
{
    fault_disarm();
    scratch_remove(&node.scratch);
}

TestSuite(store_faults, .init = set_up, .fini = tear_down, .timeout = 120);

Test(store_faults, answers_are_true_when_a_write_finds_no_space)
{
    fail_each(FAULT_WRITE, FAULT_ONCE, ENOSPC);
}

Test(store_faults, answers_are_true_when_the_disk_stays_full)
{
    fail_each(FAULT_WRITE, FAULT_LASTING, ENOSPC);
}

Test(store_faults, answers_are_true_when_a_write_fails)
{
    fail_each(FAULT_WRITE, FAULT_ONCE, EIO);
}

Test(store_faults, answers_are_true_when_all_writes_fail)
{
    fail_each(FAULT_WRITE, FAULT_LASTING, EIO);
}

Test(store_faults, answers_are_true_when_a_sync_finds_no_space)
{
    fail_each(FAULT_SYNC, FAULT_ONCE, ENOSPC);
    fail_each(FAULT_SYNC, FAULT_LASTING, ENOSPC);
}

Test(store_faults, answers_are_true_when_a_sync_fails)
{
    fail_each(FAULT_SYNC, FAULT_ONCE, EIO);
    fail_each(FAULT_SYNC, FAULT_LASTING, EIO);
}

Test(store_faults, answers_are_true_when_a_file_cannot_be_made)
{
    fail_each(FAULT_OPEN, FAULT_ONCE, ENOSPC);
    fail_each(FAULT_OPEN, FAULT_LASTING, EIO);
}

Test(store_faults, answers_are_true_when_a_file_cannot_be_renamed)
{
    fail_each(FAULT_RENAME, FAULT_ONCE, ENOSPC);
    fail_each(FAULT_RENAME, FAULT_LASTING, EIO);
}

/* Nobody may be told "it is there" of a value that was never stored. */
static void expect_no_verdict(int error)
{
    struct write writes[] = {node_put("k", "1"), node_put("k", "2"),
                             node_put("k", "3"), node_delete("none")};
    struct commit_group groups[] = {
        {.writes = &writes[0], .count = 1, .sync = ENGINE_SYNC},
        {.writes = &writes[1], .count = 1, .sync = ENGINE_SYNC},
        {.writes = &writes[2], .count = 2, .atomic = true}};

    node_start(&node);
    writes[1].condition.kind = CONDITION_ABSENT;
    writes[2].condition.kind = CONDITION_ABSENT;
    fault_arm(FAULT_SYNC, 0, FAULT_ONCE, error);
    node_commit(
        &node,
        (struct commit_group *const[]){&groups[0], &groups[1], &groups[2]}, 3);
    cr_assert(fault_disarm());
    cr_expect(eq(int, writes[0].status, KIST_UNKNOWN));
    cr_expect(eq(int, writes[1].status, KIST_READ_ONLY));
    cr_expect(eq(sz, groups[2].failed, 0));
    cr_expect(eq(int, writes[2].status, KIST_READ_ONLY));
    cr_expect(node_has(&node, "k", NULL));
    node_stop(&node);
    scratch_remove_tree(node.path);
}

Test(store_faults, a_refusal_for_the_sake_of_a_write_that_failed_is_none)
{
    description = "";
    expect_no_verdict(ENOSPC);
    transcript = (struct transcript){0};
    expect_no_verdict(EIO);
}

static enum kist_status open_cursor(void)
{
    struct cursor *cursor;
    enum kist_status status = cursor_open(node.store, CURSOR_RECORDS, &cursor);

    if (status == KIST_OK)
        cursor_close(cursor);
    return status;
}

/* To a client that is "try again", not a fault to look into. */
Test(store_faults, without_an_engine_all_is_refused_until_a_reopen_works)
{
    struct write first = node_put("k", "1"), second = node_put("k", "2");
    struct item item;

    description = "";
    node_start(&node);
    cr_assert(eq(int, node_write(&node, &first), KIST_OK));
    fault_arm(FAULT_SYNC, 0, FAULT_ONCE, ENOSPC);
    cr_assert(eq(int, node_write(&node, &second), KIST_UNKNOWN));
    fault_arm(FAULT_OPEN, 0, FAULT_LASTING, ENOSPC);
    store_check(node.store);
    cr_assert(eq(int, store_state(node.store), STORE_DOWN));

    cr_expect(eq(int, store_get(node.store, first.key, &item), KIST_READ_ONLY));
    cr_expect(eq(int, open_cursor(), KIST_READ_ONLY));
    cr_expect(eq(int, node_write(&node, &second), KIST_READ_ONLY));
    fault_disarm();
    store_check(node.store);
    store_check(node.store);
    cr_assert(eq(int, store_state(node.store), STORE_READ_WRITE));
    cr_expect(eq(int, open_cursor(), KIST_OK));
    cr_expect(eq(int, node_write(&node, &second), KIST_OK));
    cr_expect(node_has(&node, "k", "2"));
    node_stop(&node);
}
