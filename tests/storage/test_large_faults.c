/*
 * Large values on a disk that fails, and the order in which they come and go.
 */
#include "storage/large_orphans.h"

#include "storage/cursor.h"
#include "tests/storage/large_value.h"
#include "tests/support/fault.h"
#include "tests/support/large_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 9 << 20 }; /* Enough for a writeback on the way. */

static struct node node;

static void set_up(void)
{
    node_prepare(&node);
    node_start(&node); /* A loop's first start keeps descriptors for others. */
    node_stop(&node);
    scratch_remove_tree(node.path);
    fault_watch(node.scratch.path);
}

static void tear_down(void)
{
    fault_observe(NULL);
    fault_disarm();
    scratch_remove(&node.scratch);
}

TestSuite(large_faults, .init = set_up, .fini = tear_down, .timeout = 120);

static void collect(void)
{
    struct large_orphans *orphans;

    cr_assert(large_orphans_open(node.store, &orphans) == KIST_OK);
    cr_assert(large_orphans_run(orphans, 10000));
    large_orphans_close(orphans);
}

/* What was answered is true after a restart, and no file is left over. */
static void expect_after_restart(enum kist_status status, const char *what)
{
    bool is_new;

    node_restart(&node);
    is_new = large_value_is(&node, "a", "flow ", SIZE);
    cr_assert(is_new || large_value_is(&node, "a", "tide ", SIZE), "%s", what);
    cr_expect(is_new || status != KIST_OK, "%s: %s, and it is lost", what,
              kist_status_name(status));
    cr_expect(status == KIST_OK || status == KIST_UNKNOWN || !is_new,
              "%s: %s, and it is there", what, kist_status_name(status));
    collect();
    cr_expect(large_files_count(node.path, NULL) == 1 &&
                  large_files_count(node.path, "incoming") == 0,
              "%s: files are left", what);
    cr_assert(is_new ? large_value_is(&node, "a", "flow ", SIZE)
                     : large_value_is(&node, "a", "tide ", SIZE),
              "%s: the collection took it", what);
}

/* False: the n-th call was never made. */
static bool fail_one(enum fault_call call, unsigned nth, int error)
{
    char what[80];
    enum kist_status status;
    size_t files;
    bool fired;

    snprintf(what, sizeof(what), "call %d, number %u, %s", (int)call, nth,
             strerror(error));
    files = fault_open_files();
    node_start(&node);
    cr_assert(large_value_store(&node, "a", "tide ", SIZE) == KIST_OK);
    large_tend(store_large(node.store));

    fault_arm(call, nth, FAULT_ONCE, error);
    status = large_value_store(&node, "a", "flow ", SIZE);
    large_tend(store_large(node.store));
    fired = fault_disarm();
    cr_expect(fired || status == KIST_OK, "%s: %s", what,
              kist_status_name(status));
    cr_expect(
        eq(i64, gauge_read(&large_stats(store_large(node.store))->running), 0));
    expect_after_restart(status, what);
    node_stop(&node);
    cr_expect(fault_open_files() == files, "%s: descriptors are left", what);
    scratch_remove_tree(node.path);
    return fired;
}

static void fail_each(enum fault_call call, int error, unsigned least)
{
    unsigned nth = 0;

    while (fail_one(call, nth, error))
        nth++;
    cr_expect(ge(uint, nth, least));
}

Test(large_faults, a_file_that_cannot_be_made_harms_nobody)
{
    fail_each(FAULT_OPEN, ENOSPC, 1);
    fail_each(FAULT_OPEN, EMFILE, 1);
}

Test(large_faults, a_write_that_fails_harms_nobody)
{
    fail_each(FAULT_WRITE, ENOSPC, 3);
    fail_each(FAULT_WRITE, EIO, 3);
}

/* The file, its place, the directory above it, and the log. */
Test(large_faults, a_sync_that_fails_harms_nobody)
{
    fail_each(FAULT_SYNC, ENOSPC, 3);
    fail_each(FAULT_SYNC, EIO, 3);
}

Test(large_faults, a_rename_that_fails_harms_nobody)
{
    fail_each(FAULT_RENAME, EIO, 1);
}

Test(large_faults, an_old_file_that_cannot_be_removed_is_collected_later)
{
    fail_each(FAULT_UNLINK, EIO, 1);
}

/* A disk error in an upload is no reason to stop the node. */
Test(large_faults, a_file_that_fails_leaves_the_store_writable)
{
    struct write write = node_put("b", "small");

    node_start(&node);
    fault_arm(FAULT_SYNC, 0, FAULT_ONCE, EIO);
    cr_expect(large_value_store(&node, "a", "flow ", SIZE) == KIST_IO);
    cr_assert(fault_disarm());
    cr_expect(eq(int, store_state(node.store), STORE_READ_WRITE));
    cr_expect(node_write(&node, &write) == KIST_OK);
    cr_expect(large_value_store(&node, "a", "flow ", SIZE) == KIST_OK);
    node_stop(&node);
}

static enum kist_status cut_off(struct large_file *file, int error)
{
    static char bytes[1 << 20];
    enum kist_status status;

    fault_arm(FAULT_WRITE, 0, FAULT_ONCE, error);
    status = large_append(file, (struct view){bytes, sizeof(bytes)});
    cr_assert(fault_disarm());
    return status;
}

Test(large_faults, a_spoilt_file_cannot_be_finished)
{
    static const int errors[] = {ENOSPC, EIO};
    static const enum kist_status statuses[] = {KIST_DISK_FULL, KIST_IO};
    struct large_reference reference;
    struct large_file *file;

    node_start(&node);
    for (int i = 0; i < 2; i++) {
        cr_assert(large_create(store_large(node.store), 0, &file) == KIST_OK);
        cr_expect(eq(int, cut_off(file, errors[i]), statuses[i]));
        cr_expect(eq(int, large_append(file, VIEW_LITERAL("x")), statuses[i]));
        cr_expect(eq(int, large_finish(file, &reference), statuses[i]));
        large_discard(file);
    }
    cr_expect(eq(sz, large_files_count(node.path, "incoming"), 0));
    node_stop(&node);
}

/* What happened under large/ and to the log, a letter each. */
struct order {
    char letters[64];
    size_t count;
};

static void note(void *ctx, enum fault_call call, const char *path)
{
    struct order *order = ctx;
    const char *large = strstr(path, "/large");
    char letter = 0;

    if (call == FAULT_SYNC && large == NULL)
        letter = strstr(path, ".log") != NULL ? 'L' : 0;
    else if (call == FAULT_SYNC)
        letter = strstr(path, "/incoming/") != NULL ? 'F' : 'D';
    else if (call == FAULT_RENAME && large != NULL)
        letter = 'R';
    else if (call == FAULT_UNLINK && large != NULL)
        letter = 'U';
    if (letter != 0 && order->count < sizeof(order->letters) - 1)
        order->letters[order->count++] = letter;
}

/*
 * File synced, its new place and the one above made durable, renamed, place
 * synced; only then the record; and the old file after the record is durable.
 */
Test(large_faults, each_step_waits_for_what_it_rests_on)
{
    struct order order = {.count = 0};
    struct fault_observer observer = {&order, note};

    node_start(&node);
    cr_assert(large_value_store(&node, "a", "tide ", SIZE) == KIST_OK);
    fault_observe(&observer);
    cr_assert(large_value_store(&node, "a", "flow ", SIZE) == KIST_OK);
    large_tend(store_large(node.store));
    fault_observe(NULL);
    cr_expect(eq(str, order.letters, "FDRDLU"));
    node_stop(&node);
}

static void *reopen(void *unused)
{
    (void)unused;
    store_check(node.store);
    return NULL;
}

/* The next reader who is not impatient would wait behind it. */
static void wait_for_reopen(void)
{
    while (store_try_borrow_engine(node.store) != NULL) {
        store_return_engine(node.store);
        sched_yield();
    }
}

static void lose_file(const char *key)
{
    struct large_reference reference = large_value_of(&node, key);

    large_drop(store_large(node.store), &reference);
    large_tend(store_large(node.store));
}

/* As a listing with values does it, while a reopen waits for its cursor. */
Test(large_faults, a_value_is_loaded_under_a_cursor_without_waiting,
     .timeout = 20)
{
    struct write write = node_put("b", "small");
    struct cursor *cursor;
    struct item item = {0};
    pthread_t thread;

    node_start(&node);
    cr_assert(large_value_store(&node, "a", "tide ", SIZE) == KIST_OK);
    lose_file("a");
    node_restart(&node); /* The cache has forgotten it. */
    fault_arm(FAULT_WRITE, 0, FAULT_ONCE, ENOSPC);
    cr_assert(node_write(&node, &write) == KIST_UNKNOWN);
    cr_assert(fault_disarm());

    cr_assert(cursor_open(node.store, CURSOR_RECORDS, &cursor) == KIST_OK);
    cursor_seek(cursor, VIEW_LITERAL("a"));
    cr_assert(cursor_record(cursor, &item.record) == KIST_OK);
    cr_assert(eq(int, pthread_create(&thread, NULL, reopen, NULL), 0));
    wait_for_reopen();
    cr_expect(store_load(node.store, VIEW_LITERAL("a"), &item, SIZE) ==
              KIST_READ_ONLY);
    cursor_close(cursor);
    pthread_join(thread, NULL);
    cr_expect(eq(int, store_state(node.store), STORE_READ_WRITE));
    node_stop(&node);
}
