/*
 * A store and its commit without memory: the n-th allocation fails, or all
 * from the n-th on, for each n until a run makes fewer. Each answer is true,
 * nothing is half done, and the next call that finds memory works. Leaks are
 * for the address sanitizer to find.
 */
#include "storage/store.h"

#include "base/clock.h"
#include "storage/scan.h"
#include "storage/sweep.h"
#include "tests/storage/model.h"
#include "tests/storage/node.h"
#include "tests/support/fault.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>

enum { TURNS = 20, NEVER = 1000000 };

static const enum fault_life lives[] = {FAULT_ONCE, FAULT_LASTING};

static struct node node;
static struct model model;

static void set_up(void)
{
    node_prepare(&node);
    node_start(&node);
}

static void tear_down(void)
{
    fault_disarm();
    node_close(&node);
}

TestSuite(store_memory, .init = set_up, .fini = tear_down, .timeout = 60);

static void expect_store(unsigned nth)
{
    cr_assert(model_matches(&model, node.store), "allocation %u: %s", nth,
              model.difference);
}

/* A commit of its own has no memory left over from batches before. */
static void renew_commit(void)
{
    commit_close(node.commit);
    commit_lane_close(node.lane);
    loop_close(node.loop);
    node_open_commit(&node);
}

/* False: it made fewer than nth allocations. */
static bool run_turn(unsigned number, unsigned nth, enum fault_life life)
{
    struct turn turn;
    bool fired;

    turn_make(&turn, 2, number, &model);
    renew_commit();
    fault_arm(FAULT_ALLOCATION, nth, life, ENOMEM);
    node_turn(&node, turn.pointers, turn.count);
    fired = fault_disarm();
    cr_assert(model_follow(&model, &turn, MODEL_ANSWERED),
              "turn %u, allocation %u: %s", number, nth, model.difference);
    cr_assert(eq(int, store_state(node.store), STORE_READ_WRITE));
    expect_store(nth);
    turn_clear(&turn);
    return fired;
}

Test(store_memory, writes_that_find_none_are_whole_or_not_there)
{
    for (unsigned number = 0; number < TURNS; number++)
        for (size_t i = 0; i < 2; i++)
            for (unsigned nth = 0; run_turn(number, nth, lives[i]); nth++)
                ;
    node_restart(&node);
    expect_store(0);
}

Test(store_memory, a_value_in_the_cache_is_read_without_any)
{
    struct write write = node_put("k", "1");
    struct view absent = VIEW_LITERAL("absent");
    struct item item;

    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    cr_assert(eq(int, store_get(node.store, absent, &item), KIST_NOT_FOUND));
    fault_arm(FAULT_ALLOCATION, 0, FAULT_LASTING, ENOMEM);
    cr_expect(node_has(&node, "k", "1"));
    cr_expect(eq(int, store_get(node.store, absent, &item), KIST_NOT_FOUND));
    cr_expect(not(fault_disarm()));
}

/* Entries that belong to no record, and writes behind them in the batch. */
static bool take_out_entries(unsigned nth)
{
    enum { ENTRIES = 6, PUTS = 4 };
    struct write writes[ENTRIES + PUTS];
    struct commit_group group = {
        .writes = writes, .count = ENTRIES + PUTS, .sync = ENGINE_SYNC};
    bool fired;

    for (size_t i = 0; i < ENTRIES; i++)
        writes[i] = (struct write){.key = view_of("gone"),
                                   .kind = WRITE_EXPIRE,
                                   .next.expiry_ms = i + 1};
    writes[6] = node_put("a", "1");
    writes[7] = node_put("b", "1");
    writes[8] = node_put("c", "1");
    writes[9] = node_put("d", "1");
    renew_commit();
    fault_arm(FAULT_ALLOCATION, nth, FAULT_ONCE, ENOMEM);
    node_turn(&node, (struct commit_group *const[]){&group}, 1);
    fired = fault_disarm();
    for (size_t i = ENTRIES; i < group.count; i++) {
        char name[] = {writes[i].key.data[0], '\0'};

        cr_assert(writes[i].status == KIST_OK ||
                  writes[i].status == KIST_NO_MEMORY);
        cr_assert(
            node_has(&node, name, writes[i].status == KIST_OK ? "1" : NULL),
            "allocation %u, %s", nth, name);
        renew_commit();
        struct write erase = node_delete(name);
        cr_assert(eq(int, node_write(&node, &erase),
                     writes[i].status == KIST_OK ? KIST_OK : KIST_NOT_FOUND));
    }
    return fired;
}

Test(store_memory, entries_that_find_none_do_not_spoil_what_follows)
{
    unsigned nth = 0;

    while (take_out_entries(nth))
        nth++;
    cr_assert(gt(uint, nth, 3));
}

static void fill(void)
{
    for (unsigned number = 0; number < TURNS; number++)
        cr_assert(not(run_turn(number, NEVER, FAULT_ONCE)));
}

struct page {
    unsigned next; /* Number of the key that must come next, if it lives. */
    bool same;
};

static bool take_key(void *ctx, struct view key, const struct record *record)
{
    struct page *page = ctx;

    while (page->next < WORKLOAD_KEYS &&
           !model_is_live(&model.keys[page->next]))
        page->next++;
    page->same =
        page->same && model_number_of(key) == page->next++ && record != NULL;
    return true;
}

static enum kist_status list(struct page *page)
{
    struct scan_visitor visitor = {page, take_key, NULL};
    struct scan scan;
    enum kist_status status =
        scan_init(&scan, node.store, &(struct scan_range){0});

    while (status == KIST_OK && !scan.done)
        status = scan_run(&scan, &visitor, clock_wall_ms(), 2);
    scan_clear(&scan);
    return status;
}

Test(store_memory, a_listing_that_finds_none_is_not_taken_for_a_short_one)
{
    unsigned last = WORKLOAD_KEYS;

    fill();
    while (last > 0 && !model_is_live(&model.keys[last - 1]))
        last--;
    for (size_t i = 0; i < 2; i++) {
        bool fired = true;

        for (unsigned nth = 0; fired; nth++) {
            struct page page = {.same = true};
            enum kist_status status;

            fault_arm(FAULT_ALLOCATION, nth, lives[i], ENOMEM);
            status = list(&page);
            fired = fault_disarm();
            cr_assert(page.same, "allocation %u", nth);
            cr_assert(eq(int, status, fired ? KIST_NO_MEMORY : KIST_OK));
            cr_assert(fired || page.next == last);
        }
    }
    expect_store(0);
}

Test(store_memory, an_open_that_finds_none_can_be_repeated)
{
    fill();
    for (size_t i = 0; i < 2; i++) {
        bool fired = true;

        for (unsigned nth = 0; fired; nth++) {
            enum kist_status status;

            node_stop(&node);
            fault_arm(FAULT_ALLOCATION, nth, lives[i], ENOMEM);
            status = node_open_store(&node);
            fired = fault_disarm();
            cr_assert(status == KIST_OK || (fired && status == KIST_NO_MEMORY),
                      "allocation %u: %s, %s", nth, kist_status_name(status),
                      node.fault.text);
            if (status != KIST_OK)
                status = node_open_store(&node);
            cr_assert(status == KIST_OK);
            node_open_commit(&node);
            expect_store(nth);
        }
    }
}

/* A compaction in the background would take the failure meant for a write. */
static void finish_compactions(void)
{
    struct engine *engine = store_borrow_engine(node.store);

    engine->ops->compact(engine);
    store_return_engine(node.store);
}

/* A write that failed for space, of unknown outcome. */
static void poison(struct model *maybe)
{
    struct turn turn;
    unsigned number = TURNS;

    fault_watch(node.scratch.path);
    node_restart(&node);
    finish_compactions();
    do {
        turn_make(&turn, 2, number++, &model);
        fault_arm(FAULT_SYNC, 0, FAULT_ONCE, ENOSPC);
        node_commit(&node, turn.pointers, turn.count);
        *maybe = model;
        cr_assert(model_follow(maybe, &turn, MODEL_APPLIED));
        cr_assert(model_follow(&model, &turn, MODEL_ANSWERED));
        turn_clear(&turn);
    } while (!fault_disarm()); /* Some turns write nothing. */
    cr_assert(eq(int, store_state(node.store), STORE_READ_ONLY));
}

Test(store_memory, a_reopen_that_finds_none_is_tried_again)
{
    bool fired = true;

    fill();
    for (unsigned nth = 0; fired; nth++) {
        struct model maybe;

        poison(&maybe);
        fault_arm(FAULT_ALLOCATION, nth, FAULT_ONCE, ENOMEM);
        store_check(node.store);
        fired = fault_disarm();
        store_check(node.store);
        cr_assert(eq(int, store_state(node.store), STORE_READ_WRITE),
                  "allocation %u", nth);
        if (!model_matches(&model, node.store))
            model = maybe;
        expect_store(nth);
    }
}

/* A sweep on the node's loop, watched until it has done its work. */
struct sweeping {
    struct sweep *sweep;
    struct loop_timer *timer;
    uint64_t until_ns; /* Then memory comes back. */
    bool fired;
};

static void look(void *ctx)
{
    struct sweeping *it = ctx;
    bool done = counter_read(&sweep_stats(it->sweep)->expired) > 0;

    commit_lane_flush(node.lane);
    if (clock_mono_ns() > it->until_ns && fault_disarm())
        it->fired = true;
    if (done)
        sweep_stop(it->sweep);
    if (!done || !sweep_idle(it->sweep)) {
        loop_timer_set(it->timer, 1);
        return;
    }
    if (fault_disarm())
        it->fired = true;
    sweep_close(it->sweep);
    loop_timer_close(it->timer);
    loop_stop(node.loop);
}

/* Whether it made as many as nth allocations. */
static bool sweep_under_fault(unsigned nth, enum fault_life life)
{
    struct sweeping it = {0};
    struct write write = node_put("dead", "1");

    write.next.expiry_ms = 1;
    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    cr_assert(sweep_open(node.store, node.loop, node.lane, ENGINE_SYNC, 100,
                         &it.sweep) == KIST_OK);
    cr_assert(loop_timer_open(node.loop, look, &it, &it.timer) == KIST_OK);
    loop_timer_set(it.timer, 1);
    it.until_ns = clock_mono_ns() + UINT64_C(250000000);
    fault_arm(FAULT_ALLOCATION, nth, life, ENOMEM);
    loop_run(node.loop);
    renew_commit();
    cr_assert(node_has(&node, "dead", NULL));
    return it.fired;
}

Test(store_memory, a_sweep_that_finds_none_comes_again)
{
    unsigned nth = 0;

    while (sweep_under_fault(nth, FAULT_ONCE))
        nth++;
    cr_assert(gt(uint, nth, 3));
    cr_assert(sweep_under_fault(0, FAULT_LASTING));
    cr_assert(sweep_under_fault(nth / 2, FAULT_LASTING));
}

static enum kist_status open_parts(void)
{
    struct commit_options options = {.queue_bytes = 1000};
    struct commit *commit = NULL;
    struct commit_lane *lane = NULL;
    struct sweep *sweep = NULL;
    enum kist_status status = commit_open(node.store, &options, &commit);

    if (status == KIST_OK)
        status = commit_lane_open(commit, node.loop, &lane);
    if (status == KIST_OK)
        status =
            sweep_open(node.store, node.loop, lane, ENGINE_SYNC, 100, &sweep);
    if (status == KIST_OK)
        sweep_stop(sweep);
    sweep_close(sweep);
    commit_close(commit);
    commit_lane_close(lane);
    return status;
}

Test(store_memory, a_part_that_finds_none_is_not_opened)
{
    bool fired = true;

    for (unsigned nth = 0; fired; nth++) {
        enum kist_status status;

        fault_arm(FAULT_ALLOCATION, nth, FAULT_ONCE, ENOMEM);
        status = open_parts();
        fired = fault_disarm();
        cr_assert(eq(int, status, fired ? KIST_NO_MEMORY : KIST_OK));
    }
}
