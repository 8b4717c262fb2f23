#include "storage/decide.h"

#include "base/clock.h"
#include "storage/cursor.h"
#include "storage/large_entry.h"
#include "tests/storage/large_value.h"
#include "tests/support/large_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { SIZE = 100000 };

static struct node node;

static void set_up(void)
{
    node_open(&node);
}

static void tear_down(void)
{
    node_close(&node);
}

TestSuite(large_commit, .init = set_up, .fini = tear_down, .timeout = 60);

static void store(const char *key, const char *text)
{
    cr_assert(large_value_store(&node, key, text, SIZE) == KIST_OK);
}

/* Files after the background had its turn, and entries: as many as expected. */
static void expect_files(size_t count)
{
    struct cursor *cursor;
    struct view entry;
    size_t entries = 0;

    large_tend(store_large(node.store));
    cr_expect(eq(sz, large_files_count(node.path, NULL), count));
    cr_assert(cursor_open(node.store, CURSOR_LARGE, &cursor) == KIST_OK);
    for (cursor_seek(cursor, (struct view){0}); cursor_key(cursor, &entry);
         cursor_next(cursor)) {
        cr_expect(eq(sz, entry.size, LARGE_ID_SIZE));
        entries++;
    }
    cursor_close(cursor);
    cr_expect(eq(sz, entries, count));
}

static void expect_owner(const char *key)
{
    struct large_reference reference = large_value_of(&node, key);
    struct blob owner = BLOB_EMPTY;

    cr_assert(store_large_key(node.store, &reference, &owner) == KIST_OK);
    cr_expect(view_is(blob_view(&owner), key));
    blob_free(&owner);
}

static enum kist_status commit_two(struct write *writes, bool atomic)
{
    struct commit_group group = {
        .writes = writes, .count = 2, .bytes = 100, .atomic = atomic};

    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    return writes[1].status;
}

Test(large_commit, a_large_value_survives_a_restart)
{
    store("a", "tide ");
    expect_owner("a");
    node_restart(&node);
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));
    expect_owner("a");
    expect_files(1);
}

Test(large_commit, a_replaced_value_loses_its_file)
{
    store("a", "tide ");
    store("a", "flow ");
    expect_files(1);
    cr_expect(large_value_is(&node, "a", "flow ", SIZE));
    expect_owner("a");

    struct write write = node_put("a", "small");
    cr_assert(node_write(&node, &write) == KIST_OK);
    expect_files(0);
    cr_expect(node_has(&node, "a", "small"));
}

Test(large_commit, a_deleted_value_loses_its_file)
{
    struct write write = node_delete("a");

    store("a", "tide ");
    cr_assert(node_write(&node, &write) == KIST_OK);
    expect_files(0);
}

Test(large_commit, an_expired_value_loses_its_file_to_the_sweep)
{
    struct large_reference reference;
    struct blob bytes = BLOB_EMPTY;
    struct write put, expire;

    cr_assert(large_value_make(store_large(node.store), "tide ", SIZE,
                               &reference) == KIST_OK);
    put = large_value_put("a", &reference, &bytes);
    put.next.expiry_ms = 1000;
    cr_assert(node_write(&node, &put) == KIST_OK);
    expect_files(1);

    expire = (struct write){
        .key = view_of("a"), .next.expiry_ms = 1000, .kind = WRITE_EXPIRE};
    cr_assert(node_write(&node, &expire) == KIST_OK);
    expect_files(0);
    blob_free(&bytes);
}

Test(large_commit, a_value_put_over_an_expired_one_takes_its_file_away)
{
    struct large_reference reference;
    struct blob bytes = BLOB_EMPTY;
    struct write put;

    cr_assert(large_value_make(store_large(node.store), "tide ", SIZE,
                               &reference) == KIST_OK);
    put = large_value_put("a", &reference, &bytes);
    put.next.expiry_ms = 1000;
    cr_assert(node_write(&node, &put) == KIST_OK);
    store("a", "flow ");
    expect_files(1);
    cr_expect(large_value_is(&node, "a", "flow ", SIZE));
    blob_free(&bytes);
}

static enum kist_status set_expiry(struct write *write,
                                   const struct record *current,
                                   struct record *next)
{
    (void)write;
    cr_assert(current->large);
    next->expiry_ms = clock_wall_ms() + 1000000;
    return KIST_OK;
}

Test(large_commit, a_touched_value_keeps_its_file)
{
    struct write touch = {.key = view_of("a"), .edit = set_expiry};

    store("a", "tide ");
    for (int i = 0; i < 2; i++)
        cr_assert(node_write(&node, &touch) == KIST_OK);
    expect_files(1);
    expect_owner("a");
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));
    node_restart(&node);
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));
}

/* A hole in the log may have taken the entry and left the record. */
Test(large_commit, a_touched_value_has_its_entry_again)
{
    struct write touch = {.key = view_of("a"), .edit = set_expiry};
    struct engine_batch batch = {0};
    struct large_reference reference;

    store("a", "tide ");
    reference = large_value_of(&node, "a");
    large_entry_delete(&batch, &reference);
    cr_assert(store_apply(node.store, &batch, store_opening(node.store),
                          ENGINE_SYNC) == KIST_OK);
    engine_batch_free(&batch);
    cr_assert(node_write(&node, &touch) == KIST_OK);
    expect_owner("a");
    expect_files(1);
}

Test(large_commit, of_a_key_put_twice_in_one_batch_the_last_file_stays)
{
    struct large *large = store_large(node.store);
    struct large_reference references[2];
    struct blob bytes[2] = {BLOB_EMPTY, BLOB_EMPTY};
    struct write writes[2];

    cr_assert(large_value_make(large, "tide ", SIZE, &references[0]) ==
              KIST_OK);
    cr_assert(large_value_make(large, "flow ", SIZE, &references[1]) ==
              KIST_OK);
    for (int i = 0; i < 2; i++)
        writes[i] = large_value_put("a", &references[i], &bytes[i]);
    cr_assert(commit_two(writes, false) == KIST_OK);
    expect_files(1);
    cr_expect(large_value_is(&node, "a", "flow ", SIZE));
    expect_owner("a");
    blob_free(&bytes[0]);
    blob_free(&bytes[1]);
}

Test(large_commit, put_and_deleted_in_one_batch_nothing_stays)
{
    struct large_reference reference;
    struct blob bytes = BLOB_EMPTY;
    struct write writes[2];

    cr_assert(large_value_make(store_large(node.store), "tide ", SIZE,
                               &reference) == KIST_OK);
    writes[0] = large_value_put("a", &reference, &bytes);
    writes[1] = node_delete("a");
    cr_assert(commit_two(writes, true) == KIST_OK);
    expect_files(0);
    blob_free(&bytes);
}

Test(large_commit, what_an_atomic_group_takes_back_keeps_its_file)
{
    struct write writes[2] = {node_put("a", "small"), node_put("b", "x")};

    writes[1].condition.kind = CONDITION_PRESENT;
    store("a", "tide ");
    cr_assert(commit_two(writes, true) == KIST_CONFLICT);
    expect_files(1);
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));

    /* The same group beside one that goes through, in the same batch. */
    struct write other = node_delete("c");
    struct commit_group failing = {
        .writes = writes, .count = 2, .bytes = 100, .atomic = true};
    struct commit_group fine = {.writes = &other, .count = 1, .bytes = 100};

    store("c", "flow ");
    node_commit(&node, (struct commit_group *const[]){&fine, &failing}, 2);
    cr_assert(other.status == KIST_OK);
    expect_files(1);
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));
}

Test(large_commit, a_refused_write_leaves_the_old_value_and_no_file)
{
    struct large *large = store_large(node.store);
    struct large_reference reference;
    struct blob bytes = BLOB_EMPTY;
    struct write put;

    store("a", "tide ");
    cr_assert(large_value_make(large, "flow ", SIZE, &reference) == KIST_OK);
    put = large_value_put("a", &reference, &bytes);
    put.condition.kind = CONDITION_ABSENT;
    cr_assert(node_write(&node, &put) == KIST_CONFLICT);
    large_drop(large, &reference); /* Who made it does that. */
    expect_files(1);
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));
    blob_free(&bytes);
}

/* Async was asked for, but the old file is gone for good. */
Test(large_commit, a_batch_that_takes_a_file_away_is_synced)
{
    struct write write = node_put("a", "small");
    struct commit_group group = {
        .writes = &write, .count = 1, .bytes = 100, .sync = ENGINE_ASYNC};
    struct commit_group *const groups[] = {&group};

    node_commit(&node, groups, 1);
    cr_expect(eq(int, group.synced, ENGINE_ASYNC));
    store("a", "tide ");
    node_commit(&node, groups, 1);
    cr_expect(eq(int, group.synced, ENGINE_SYNC));
    node_commit(&node, groups, 1);
    cr_expect(eq(int, group.synced, ENGINE_ASYNC));
}

static enum kist_status see_bytes(struct write *write,
                                  const struct record *current,
                                  struct record *next)
{
    cr_assert(not(current->large));
    cr_assert(eq(sz, current->value.size, SIZE));
    cr_assert(view_starts_with(current->value, VIEW_LITERAL("tide tide")));
    cr_assert(view_is(current->media_type, "text/plain"));
    next->value = (struct view){current->value.data, 4};
    *(bool *)write->ctx = true;
    return KIST_OK;
}

Test(large_commit, an_edit_gets_the_bytes_up_to_its_limit)
{
    bool called = false;
    struct write edit = {.key = view_of("a"),
                         .edit = see_bytes,
                         .ctx = &called,
                         .load_limit = SIZE - 1};

    store("a", "tide ");
    cr_expect(node_write(&node, &edit) == KIST_TOO_LARGE);
    cr_expect(not(called));
    expect_files(1);

    edit.load_limit = SIZE;
    cr_expect(node_write(&node, &edit) == KIST_OK);
    cr_expect(called);
    expect_files(0);
    cr_expect(node_has(&node, "a", "tide"));
}

Test(large_commit, an_edit_of_a_value_whose_file_is_lost_is_refused)
{
    bool called = false;
    struct write edit = {.key = view_of("a"),
                         .edit = see_bytes,
                         .ctx = &called,
                         .load_limit = SIZE};
    struct large_reference reference;

    store("a", "tide ");
    reference = large_value_of(&node, "a");
    large_drop(store_large(node.store), &reference);
    large_tend(store_large(node.store));
    cr_expect(node_write(&node, &edit) == KIST_CORRUPT);
    cr_expect(not(called));
}

Test(large_commit, a_loaded_item_knows_its_limit_and_its_losses)
{
    struct large_reference reference;
    struct item item;
    struct write write = node_put("a", "small");

    store("a", "tide ");
    reference = large_value_of(&node, "a");
    cr_assert(store_get(node.store, view_of("a"), &item) == KIST_OK);
    cr_expect(store_load(node.store, view_of("a"), &item, SIZE - 1) ==
              KIST_TOO_LARGE);
    cr_expect(item.record.large);

    large_drop(store_large(node.store), &reference);
    large_tend(store_large(node.store));
    cr_expect(store_load(node.store, view_of("a"), &item, SIZE) ==
              KIST_CORRUPT);
    cr_assert(node_write(&node, &write) == KIST_OK);
    cr_expect(store_load(node.store, view_of("a"), &item, SIZE) ==
              KIST_NOT_FOUND);
    item_free(&item);
}
