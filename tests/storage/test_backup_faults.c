/*
 * A backup, and what is restored from it, on a disk that fails and without
 * memory: the n-th call fails, for each n until a run makes fewer. A restore
 * says so and leaves nothing, a backup says so and gives back what it held;
 * the next one, with nothing in its way, is whole. Leaks are for the address
 * sanitizer to find.
 */
#include "storage/backup.h"

#include "base/clock.h"
#include "storage/engine_kind.h"
#include "storage/restore.h"
#include "tests/storage/large_value.h"
#include "tests/support/fault.h"
#include "tests/support/large_files.h"

#include <assert.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VALUES = 10,
    VALUE_SIZE = 500000, /* All of them are more than a batch of a restore. */
    LARGE_SIZE = 600000, /* Three pieces. */
};

static struct node node;
static char file[80], target[80];
static struct backup_summary original;

static enum kist_status write_pieces(struct backup *backup, int into)
{
    struct blob piece = BLOB_EMPTY;
    enum kist_status status;

    do {
        blob_clear(&piece);
        status = backup_piece(backup, &piece);
        if (status == KIST_OK && piece.size > 0)
            cr_assert(write(into, piece.data, piece.size) ==
                      (ssize_t)piece.size);
    } while (status == KIST_OK && piece.size > 0);
    blob_free(&piece);
    return status;
}

/* Of the store, into the file. */
static enum kist_status back_up(struct store *store)
{
    int into = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct backup *backup = NULL;
    enum kist_status status;

    cr_assert(ge(int, into, 0));
    status = backup_open(store, VIEW_LITERAL("about nothing\n"), &backup);
    if (status == KIST_OK)
        status = write_pieces(backup, into);
    backup_close(backup);
    close(into);
    return status;
}

static struct backup_summary summary_of_file(void)
{
    static const struct backup_visitor nobody;
    struct backup_summary summary = {0};
    struct engine_fault fault;
    int from = open(file, O_RDONLY | O_CLOEXEC);

    cr_assert(backup_read(from, &nobody, &fault, &summary) == KIST_OK, "%s",
              fault.text);
    close(from);
    return summary;
}

/* As many and as large as in the original; the rest is in the checksums. */
static void expect_original(const char *what)
{
    struct backup_counts found = summary_of_file().counts;
    const struct backup_counts *expected = &original.counts;

    cr_expect(found.records == expected->records &&
                  found.record_bytes == expected->record_bytes &&
                  found.values == expected->values &&
                  found.value_bytes == expected->value_bytes &&
                  version_equal(found.largest, expected->largest),
              "%s: it is not what was there", what);
}

static void put_values(int round)
{
    static char value[VALUE_SIZE + 1];

    memset(value, 'A' + round, VALUE_SIZE);
    for (int i = 0; i < VALUES; i++) {
        char key[] = {(char)('a' + 2 * i), (char)('0' + round), '\0'};
        struct write write = node_put(key, value);

        cr_assert(node_write(&node, &write) == KIST_OK);
    }
}

static void put_all(void)
{
    put_values(0);
    cr_assert(large_value_store(&node, "d", "tide ", LARGE_SIZE) == KIST_OK);
}

static void set_up(void)
{
    node_prepare(&node);
    fault_watch(node.scratch.path);
    node_start(&node);
    snprintf(file, sizeof(file), "%s/backup", node.scratch.path);
    snprintf(target, sizeof(target), "%s/restored", node.scratch.path);
    put_all();
    cr_assert(back_up(node.store) == KIST_OK);
    original = summary_of_file();
    cr_assert(eq(u64, original.counts.values, 1));
}

static void tear_down(void)
{
    fault_disarm();
    node_close(&node);
}

TestSuite(backup_faults, .init = set_up, .fini = tear_down, .timeout = 120);

static_assert(sizeof(target) <= sizeof(node.path), "a node can be there");

static bool is_expected(enum kist_status status, enum fault_call call,
                        int error)
{
    if (call == FAULT_ALLOCATION)
        return status == KIST_NO_MEMORY;
    return status == (error == ENOSPC ? KIST_DISK_FULL : KIST_IO);
}

/* A restore. */

static enum kist_status restore_to(enum engine_kind kind,
                                   struct engine_fault *out_fault)
{
    struct store_options options = {
        .path = target,
        .kind = kind,
        .engine.write_buffer_bytes = kind == ENGINE_ROCKSDB ? 64 << 10 : 0,
        .ballast_bytes = 1 << 16,
        .reserve_bytes = 1 << 20,
    };
    struct backup_summary summary;
    int from = open(file, O_RDONLY | O_CLOEXEC);
    enum kist_status status = restore_run(from, &options, out_fault, &summary);

    close(from);
    return status;
}

/* It opens as any directory, and a backup of it holds the same. */
static void expect_restored(const char *what)
{
    struct node copy = {0};

    strcpy(copy.path, target);
    node_start(&copy);
    cr_expect(large_value_is(&copy, "d", "tide ", LARGE_SIZE), "%s", what);
    cr_assert(back_up(copy.store) == KIST_OK);
    expect_original(what);
    node_stop(&copy);
    scratch_remove_tree(target);
}

static void expect_refused(enum fault_call call, int error,
                           enum kist_status status, const char *text,
                           const char *what)
{
    struct stat found;

    cr_expect(is_expected(status, call, error), "%s: %s: %s", what, text,
              kist_status_name(status));
    cr_expect(text[0] != '\0' || status == KIST_NO_MEMORY, "%s: why?", what);
    cr_expect(stat(target, &found) != 0, "%s: something is left", what);
    scratch_remove_tree(target);
}

/* False: the n-th call was never made. */
static bool fail_restore(enum fault_call call, unsigned nth, int error)
{
    struct engine_fault fault = {{0}};
    size_t files = fault_open_files();
    char what[80];

    snprintf(what, sizeof(what), "call %d, number %u, %s", (int)call, nth,
             strerror(error));
    fault_arm(call, nth, FAULT_ONCE, error);
    enum kist_status status = restore_to(ENGINE_LEVELDB, &fault);
    bool fired = fault_disarm();

    cr_expect(fired || status == KIST_OK, "%s: %s", what,
              kist_status_name(status));
    cr_expect(fault_open_files() == files, "%s: descriptors are left", what);
    if (status == KIST_OK)
        expect_restored(what);
    else
        expect_refused(call, error, status, fault.text, what);
    return fired;
}

/* Of writes, which are many and much alike, a few are left out. */
static void fail_restores(enum fault_call call, int error, unsigned least)
{
    unsigned stride = call == FAULT_WRITE ? 7 : 1, nth = 0;

    fault_watch(call == FAULT_READ ? file : target);
    while (fail_restore(call, nth, error))
        nth += stride;
    cr_expect(ge(uint, nth, least));
}

Test(backup_faults, a_restore_without_files_leaves_nothing)
{
    fail_restores(FAULT_OPEN, ENOSPC, 10);
    fail_restores(FAULT_OPEN, EIO, 10);
}

Test(backup_faults, a_restore_that_cannot_write_leaves_nothing)
{
    fail_restores(FAULT_WRITE, ENOSPC, 10);
    fail_restores(FAULT_WRITE, EIO, 10);
}

Test(backup_faults, a_restore_that_cannot_sync_leaves_nothing)
{
    fail_restores(FAULT_SYNC, EIO, 10);
}

Test(backup_faults, a_restore_that_cannot_move_leaves_nothing)
{
    fail_restores(FAULT_RENAME, EIO, 5);
}

Test(backup_faults, a_restore_from_a_file_that_fails_leaves_nothing)
{
    fail_restores(FAULT_READ, EIO, 10);
}

Test(backup_faults, a_restore_without_memory_leaves_nothing)
{
    fail_restores(FAULT_ALLOCATION, ENOMEM, 30);
}

/* An engine that is slow. */

static void dawdle(void *ctx, enum fault_call call, const char *path)
{
    (void)ctx;
    if (call == FAULT_SYNC && strstr(path, ".sst") != NULL)
        clock_pause_ms(700);
}

/* RocksDB refuses what would have to wait; for longer than a client would. */
Test(backup_faults, a_restore_waits_for_an_engine_that_is_busy)
{
    static const struct fault_observer slow = {.seen = dawdle};
    struct engine_fault fault;

    for (int round = 1; round < 4; round++)
        put_values(round);
    cr_assert(back_up(node.store) == KIST_OK);
    original = summary_of_file();

    fault_watch(target);
    fault_observe(&slow);
    enum kist_status status = restore_to(ENGINE_ROCKSDB, &fault);
    fault_observe(NULL);
    if (status == KIST_INVALID)
        cr_skip("built without RocksDB");
    cr_assert(status == KIST_OK, "%s: %s", kist_status_name(status),
              fault.text);
}

/* A backup. */

static bool fail_backup(enum fault_call call, unsigned nth, int error)
{
    size_t files = fault_open_files();
    char what[40];

    snprintf(what, sizeof(what), "call %d, number %u", (int)call, nth);
    fault_arm(call, nth, FAULT_ONCE, error);
    enum kist_status status = back_up(node.store);
    bool fired = fault_disarm();

    cr_expect(fired ? is_expected(status, call, error) : status == KIST_OK,
              "%s: %s", what, kist_status_name(status));
    cr_expect(fault_open_files() == files, "%s: descriptors are left", what);
    cr_assert(back_up(node.store) == KIST_OK, "%s: the next one", what);
    expect_original(what);
    return fired;
}

static void fail_backups(enum fault_call call, int error, unsigned least)
{
    unsigned nth = 0;

    while (fail_backup(call, nth, error))
        nth++;
    cr_expect(ge(uint, nth, least));
    /* Nobody holds the files of large values any more. */
    cr_assert(large_value_store(&node, "d", "flow ", LARGE_SIZE) == KIST_OK);
    large_tend(store_large(node.store));
    cr_expect(eq(sz, large_files_count(node.path, NULL), 1));
}

Test(backup_faults, a_backup_without_memory_gives_everything_back)
{
    fail_backups(FAULT_ALLOCATION, ENOMEM, 10);
}

Test(backup_faults, a_backup_that_cannot_read_gives_everything_back)
{
    fail_backups(FAULT_READ, EIO, 3);
}
