#include "storage/commit.h"

#include "base/clock.h"
#include "storage/cursor.h"
#include "storage/sweep.h"
#include "tests/storage/node.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

static struct node node;

static void set_up(void)
{
    node_open(&node);
}

static void tear_down(void)
{
    node_close(&node);
}

TestSuite(commit, .init = set_up, .fini = tear_down, .timeout = 30);

Test(commit, a_write_is_there_after_a_restart)
{
    struct write write = node_put("colour", "red");

    cr_assert(node_write(&node, &write) == KIST_OK);
    cr_assert(write.created);
    node_restart(&node);
    cr_assert(node_has(&node, "colour", "red"));
}

Test(commit, versions_grow_over_writes_and_restarts)
{
    struct version last = VERSION_NONE;

    for (int i = 0; i < 5; i++) {
        struct write write = node_put("colour", "red");

        cr_assert(node_write(&node, &write) == KIST_OK);
        cr_assert(gt(int, version_compare(write.version, last), 0));
        last = write.version;
        node_restart(&node);
    }
}

Test(commit, conditions_are_decided_against_the_current_version)
{
    struct write first = node_put("k", "1"), second = node_put("k", "2");
    struct write third = node_put("k", "3");

    first.condition.kind = CONDITION_ABSENT;
    cr_assert(node_write(&node, &first) == KIST_OK);
    second.condition.kind = CONDITION_ABSENT;
    cr_assert(node_write(&node, &second) == KIST_CONFLICT);
    cr_assert(version_equal(second.version, first.version));

    third.condition = (struct condition){CONDITION_ANY_OF, 1, {first.version}};
    cr_assert(node_write(&node, &third) == KIST_OK);
    cr_assert(node_write(&node, &third) == KIST_CONFLICT);
    cr_assert(node_has(&node, "k", "3"));
}

Test(commit, deleting_what_is_not_there_is_not_found)
{
    struct write put = node_put("k", "1"), first = node_delete("k");
    struct write second = node_delete("k");

    cr_assert(node_write(&node, &put) == KIST_OK);
    cr_assert(node_write(&node, &first) == KIST_OK);
    cr_assert(node_write(&node, &second) == KIST_NOT_FOUND);
    cr_assert(node_has(&node, "k", NULL));
}

/* Counts in the value's only byte. */
static enum kist_status
count_up(struct write *write, const struct record *current, struct record *next)
{
    char *byte = write->ctx;

    *byte = current == NULL ? 'a' : (char)(current->value.data[0] + 1);
    next->media_type = VIEW_LITERAL("text/plain");
    next->value = (struct view){byte, 1};
    return KIST_OK;
}

Test(commit, edits_of_one_turn_see_each_other_in_order)
{
    enum { COUNT = 10 };
    struct write writes[COUNT];
    struct commit_group groups[COUNT], *pointers[COUNT];
    char bytes[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        writes[i] = (struct write){
            .key = view_of("n"), .edit = count_up, .ctx = &bytes[i]};
        groups[i] = (struct commit_group){
            .writes = &writes[i], .count = 1, .bytes = 10};
        pointers[i] = &groups[i];
    }
    node_commit(&node, pointers, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        cr_expect(eq(int, bytes[i], 'a' + (int)i));
    cr_assert(node_has(&node, "n", "j"));
    cr_assert(eq(u64, counter_read(&commit_stats(node.commit)->batches), 1));
}

/* Changes when the value ends and keeps its bytes where they lie. */
static enum kist_status
postpone(struct write *write, const struct record *current, struct record *next)
{
    (void)write;
    next->expiry_ms = current->expiry_ms + 1000;
    return KIST_OK;
}

/* The record lies in the batch that grows when the next one is added. */
Test(commit, a_write_may_keep_the_bytes_of_the_one_before_it)
{
    enum { COUNT = 200 };
    static char key[STORE_KEY_MAX + 1];
    struct write writes[COUNT];
    struct commit_group group = {.writes = writes, .count = COUNT, .bytes = 10};

    memset(key, 'k', STORE_KEY_MAX);
    writes[0] = node_put(key, "colour");
    writes[0].next.expiry_ms = clock_wall_ms() + 1000000;
    for (size_t i = 1; i < COUNT; i++)
        writes[i] = (struct write){.key = view_of(key), .edit = postpone};
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    for (size_t i = 0; i < COUNT; i++)
        cr_expect(writes[i].status == KIST_OK, "write %zu", i);
    cr_expect(node_has(&node, key, "colour"));
}

Test(commit, an_atomic_group_that_fails_leaves_no_trace)
{
    struct write before = node_put("a", "old");
    struct write writes[] = {node_put("a", "new"), node_put("b", "new"),
                             node_put("c", "new")};
    struct write later = node_put("a", "later");
    struct commit_group atomic = {
        .writes = writes, .count = 3, .bytes = 10, .atomic = true};
    struct commit_group after = {.writes = &later, .count = 1, .bytes = 10};

    cr_assert(node_write(&node, &before) == KIST_OK);
    writes[2].condition.kind = CONDITION_PRESENT;
    later.condition = (struct condition){CONDITION_ANY_OF, 1, {before.version}};
    node_commit(&node, (struct commit_group *const[]){&atomic, &after}, 2);

    cr_expect(eq(sz, atomic.failed, 2));
    cr_expect(writes[2].status == KIST_CONFLICT);
    cr_expect(later.status == KIST_OK);
    cr_expect(node_has(&node, "a", "later"));
    cr_expect(node_has(&node, "b", NULL));
}

/* Of a group of many writes to one large value, the last ones are refused. */
Test(commit, a_group_reads_and_makes_no_more_than_its_limit)
{
    enum { COUNT = 10 };
    struct write first = node_put("k", "0123456789"), writes[COUNT];
    struct commit_group group = {
        .writes = writes, .count = COUNT, .bytes = 10, .work_limit = 500};
    size_t done = 0;

    cr_assert(node_write(&node, &first) == KIST_OK);
    for (size_t i = 0; i < COUNT; i++)
        writes[i] = node_put("k", "0123456789");
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    while (done < COUNT && writes[done].status == KIST_OK)
        done++;
    cr_expect(gt(sz, done, 0));
    cr_expect(lt(sz, done, COUNT));
    for (size_t i = done; i < COUNT; i++)
        cr_expect(writes[i].status == KIST_TOO_LARGE, "write %zu", i);

    group.work_limit = 0;
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    cr_expect(writes[COUNT - 1].status == KIST_OK);
}

Test(commit, a_full_queue_refuses_and_keeps_what_it_took)
{
    struct write writes[] = {node_put("a", "1"), node_put("b", "2")};
    struct commit_group groups[] = {
        {.writes = &writes[0], .count = 1, .bytes = 1 << 20},
        {.writes = &writes[1], .count = 1, .bytes = 1}};

    node_commit(&node, (struct commit_group *const[]){&groups[0], &groups[1]},
                2);
    cr_expect(writes[0].status == KIST_OK);
    cr_expect(writes[1].status == KIST_BUSY);
    cr_expect(node_has(&node, "a", "1"));
    cr_expect(node_has(&node, "b", NULL));
}

static size_t count_entries(enum cursor_space space)
{
    struct cursor *cursor;
    struct view key;
    size_t count = 0;

    cr_assert(cursor_open(node.store, space, &cursor) == KIST_OK);
    for (cursor_seek(cursor, (struct view){0}); cursor_key(cursor, &key);
         cursor_next(cursor))
        count++;
    cr_assert(cursor_error(cursor) == KIST_OK);
    cursor_close(cursor);
    return count;
}

Test(commit, an_expiry_entry_lives_as_long_as_the_record_that_has_it)
{
    struct write write = node_put("k", "1");

    write.next.expiry_ms = clock_wall_ms() + 100000;
    cr_assert(node_write(&node, &write) == KIST_OK);
    cr_assert(eq(sz, count_entries(CURSOR_EXPIRIES), 1));

    write.next.expiry_ms += 5000;
    cr_assert(node_write(&node, &write) == KIST_OK);
    cr_assert(eq(sz, count_entries(CURSOR_EXPIRIES), 1));

    write.next.expiry_ms = 0;
    cr_assert(node_write(&node, &write) == KIST_OK);
    cr_assert(eq(sz, count_entries(CURSOR_EXPIRIES), 0));
}

Test(commit, an_expired_value_counts_as_absent)
{
    struct write write = node_put("k", "1"), again = node_put("k", "2");

    write.next.expiry_ms = 1;
    cr_assert(node_write(&node, &write) == KIST_OK);
    cr_assert(node_has(&node, "k", NULL));
    again.condition.kind = CONDITION_ABSENT;
    cr_assert(node_write(&node, &again) == KIST_OK);
    cr_assert(again.created);
    cr_assert(eq(sz, count_entries(CURSOR_EXPIRIES), 0));
}

struct sweeping {
    struct sweep *sweep;
    struct loop_timer *timer;
    uint64_t expired;
};

static void look(void *ctx)
{
    struct sweeping *sweeping = ctx;

    commit_lane_flush(node.lane);
    if (counter_read(&sweep_stats(sweeping->sweep)->expired) <
        sweeping->expired) {
        loop_timer_set(sweeping->timer, 1);
        return;
    }
    sweep_stop(sweeping->sweep);
    if (!sweep_idle(sweeping->sweep)) {
        loop_timer_set(sweeping->timer, 1);
        return;
    }
    sweep_close(sweeping->sweep);
    loop_timer_close(sweeping->timer);
    loop_stop(node.loop);
}

Test(commit, the_sweep_takes_out_expired_records_only)
{
    struct sweeping sweeping = {.expired = 50};
    char key[16];

    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof(key), "k%02d", i);
        struct write write = node_put(key, "1");
        if (i < 50)
            write.next.expiry_ms = 1000 + (uint64_t)i;
        else if (i < 55)
            write.next.expiry_ms = clock_wall_ms() + 100000;
        cr_assert(node_write(&node, &write) == KIST_OK);
    }
    cr_assert(sweep_open(node.store, node.loop, node.lane, ENGINE_SYNC, 200,
                         &sweeping.sweep) == KIST_OK);
    cr_assert(loop_timer_open(node.loop, look, &sweeping, &sweeping.timer) ==
              KIST_OK);
    loop_timer_set(sweeping.timer, 1);
    loop_run(node.loop);
    cr_expect(eq(sz, count_entries(CURSOR_RECORDS), 10));
    cr_expect(eq(sz, count_entries(CURSOR_EXPIRIES), 5));
}
