#include "storage/data_dir.h"
#include "storage/disk.h"
#include "tests/engines/conformance.h"
#include "tests/support/fault.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scratch scratch;
static struct engine_fault fault;
static char path[128];
static char bulk[6000]; /* Makes tables, and compactions, come soon. */

static void set_up(void)
{
    scratch_make(&scratch);
    snprintf(path, sizeof(path), "%s/engine", scratch.path);
    memset(bulk, 'b', sizeof(bulk));
    fault_watch(scratch.path);
}

static void tear_down(void)
{
    fault_disarm();
    scratch_remove(&scratch);
}

static enum kist_status open_engine(struct engine **out_engine)
{
    struct engine_options options = {
        .path = path,
        .write_buffer_bytes = 64 << 10,
        .block_cache_bytes = 1 << 20,
    };

    return conformance_open(&options, &fault, out_engine);
}

enum { BATCHES = 32, PARTS = 3, PATIENCE_MS = 20000 };

static struct view part_key(unsigned batch, unsigned part)
{
    static char text[32];

    snprintf(text, sizeof(text), "batch %u part %u", batch, part);
    return view_of(text);
}

static enum kist_status write_batch(struct engine *engine, unsigned number)
{
    struct engine_batch batch = {0};
    enum kist_status status;

    for (unsigned part = 0; part < PARTS; part++)
        engine_batch_put(&batch, part_key(number, part),
                         (struct view){bulk, sizeof(bulk) - number});
    status = engine_apply(engine, &batch, ENGINE_SYNC, PATIENCE_MS);
    engine_batch_free(&batch);
    return status;
}

/* How many parts of a batch are there, each whole. */
static unsigned parts_of(struct engine *engine, unsigned number)
{
    unsigned found = 0;

    for (unsigned part = 0; part < PARTS; part++) {
        struct blob value = BLOB_EMPTY;
        enum kist_status status =
            engine_get(engine, part_key(number, part), &value);

        if (status == KIST_OK) {
            cr_assert(view_equal(blob_view(&value),
                                 (struct view){bulk, sizeof(bulk) - number}));
            found++;
        } else {
            cr_assert(eq(int, status, KIST_NOT_FOUND));
        }
        blob_free(&value);
    }
    return found;
}

/* Opens, writes, closes, under faults. The number of batches acknowledged. */
static unsigned write_until_failure(int error)
{
    struct engine *engine;
    enum kist_status status = open_engine(&engine);
    enum kist_status expected = error == ENOSPC ? KIST_DISK_FULL : KIST_IO;
    unsigned acknowledged = 0;

    if (status != KIST_OK) {
        cr_assert(fault.text[0] != '\0');
        return 0;
    }
    while (acknowledged < BATCHES &&
           (status = write_batch(engine, acknowledged)) == KIST_OK)
        acknowledged++;
    if (acknowledged < BATCHES) {
        cr_assert(eq(int, status, expected));
        cr_assert(eq(int, write_batch(engine, BATCHES), KIST_READ_ONLY));
        for (unsigned i = 0; i < acknowledged; i++)
            cr_assert(eq(uint, parts_of(engine, i), PARTS));
    }
    engine->ops->close(engine);
    return acknowledged;
}

static void expect_acknowledged(unsigned acknowledged, unsigned nth)
{
    struct engine *engine;
    unsigned found;

    cr_assert(eq(int, open_engine(&engine), KIST_OK), "fault %u: %s", nth,
              fault.text);
    for (unsigned i = 0; i < acknowledged; i++)
        cr_assert(eq(uint, parts_of(engine, i), PARTS), "fault %u batch %u",
                  nth, i);
    /* The one that failed may be there, but not in part; the others not. */
    found = parts_of(engine, acknowledged);
    cr_assert(found == 0 || found == PARTS, "fault %u", nth);
    cr_assert(zero(uint, parts_of(engine, BATCHES)));

    cr_assert(eq(int, write_batch(engine, BATCHES + 1), KIST_OK));
    engine->ops->close(engine);
    cr_assert(eq(int, open_engine(&engine), KIST_OK));
    cr_assert(eq(uint, parts_of(engine, BATCHES + 1), PARTS));
    cr_assert(zero(ptr, strstr(fault.text, "lost")));
    engine->ops->close(engine);
}

/* Each n-th call fails in turn, until a run makes fewer than n of them. */
static void fail_each(enum fault_call call, enum fault_life life)
{
    bool fired = true;

    for (unsigned nth = 0; fired; nth += conformance_stride) {
        int error = nth % 2 == 0 ? EIO : ENOSPC;
        unsigned acknowledged;

        fault_arm(call, nth, life, error);
        acknowledged = write_until_failure(error);
        fired = fault_disarm();
        cr_assert(fired || acknowledged == BATCHES);
        expect_acknowledged(acknowledged, nth);
        scratch_remove_tree(path);
    }
}

TestSuite(faults, .init = set_up, .fini = tear_down, .timeout = 120);

Test(faults, a_failed_write_loses_nothing_acknowledged)
{
    fail_each(FAULT_WRITE, FAULT_ONCE);
}

Test(faults, a_disk_that_stays_full_loses_nothing_acknowledged)
{
    fail_each(FAULT_WRITE, FAULT_LASTING);
}

Test(faults, a_failed_sync_loses_nothing_acknowledged)
{
    fail_each(FAULT_SYNC, FAULT_ONCE);
}

Test(faults, a_disk_that_never_syncs_again_loses_nothing_acknowledged)
{
    fail_each(FAULT_SYNC, FAULT_LASTING);
}

Test(faults, a_failed_open_loses_nothing_acknowledged)
{
    fail_each(FAULT_OPEN, FAULT_ONCE);
    fail_each(FAULT_OPEN, FAULT_LASTING);
}

Test(faults, a_failed_rename_loses_nothing_acknowledged)
{
    fail_each(FAULT_RENAME, FAULT_ONCE);
    fail_each(FAULT_RENAME, FAULT_LASTING);
}

/* Reopening after a crash is where a full disk hurts most. */
static void fail_recovery(enum fault_call call)
{
    char crashed[128];
    struct engine *engine;
    bool fired = true;

    snprintf(crashed, sizeof(crashed), "%s/crashed", scratch.path);
    cr_assert(eq(int, open_engine(&engine), KIST_OK));
    for (unsigned i = 0; i < BATCHES; i++) {
        if (i == BATCHES - 2) /* From here on nothing goes on behind us. */
            engine->ops->compact(engine);
        cr_assert(eq(int, write_batch(engine, i), KIST_OK));
    }
    scratch_copy_tree(path, crashed);
    engine->ops->close(engine);

    for (unsigned nth = 0; fired; nth += conformance_stride) {
        scratch_remove_tree(path);
        scratch_copy_tree(crashed, path);
        fault_arm(call, nth, FAULT_LASTING, ENOSPC);
        if (open_engine(&engine) == KIST_OK)
            engine->ops->close(engine);
        fired = fault_disarm();
        expect_acknowledged(BATCHES, nth);
    }
    scratch_remove_tree(crashed);
    scratch_remove_tree(path);
}

Test(faults, recovery_that_fails_can_be_repeated)
{
    fail_recovery(FAULT_WRITE);
    fail_recovery(FAULT_SYNC);
    fail_recovery(FAULT_OPEN);
    fail_recovery(FAULT_RENAME);
}

/* A compaction fails unseen, if nobody writes any more before the close. */
static void fail_compaction(enum fault_call call, enum fault_life life)
{
    struct engine *engine;
    bool fired = true;

    for (unsigned nth = 0; fired; nth += conformance_stride) {
        cr_assert(eq(int, open_engine(&engine), KIST_OK));
        for (unsigned i = 0; i < BATCHES; i++)
            cr_assert(eq(int, write_batch(engine, i), KIST_OK));
        fault_arm(call, nth, life, ENOSPC);
        engine->ops->compact(engine);
        engine->ops->close(engine);
        fired = fault_disarm();
        expect_acknowledged(BATCHES, nth);
        scratch_remove_tree(path);
    }
}

Test(faults, a_failed_compaction_loses_nothing)
{
    fail_compaction(FAULT_WRITE, FAULT_ONCE);
    fail_compaction(FAULT_WRITE, FAULT_LASTING);
    fail_compaction(FAULT_SYNC, FAULT_ONCE);
    fail_compaction(FAULT_SYNC, FAULT_LASTING);
    fail_compaction(FAULT_OPEN, FAULT_LASTING);
}

static void open_and_close_all(void)
{
    struct data_dir *data_dir = NULL;
    struct disk *disk = NULL;
    struct engine *engine = NULL;
    struct engine_iterator *iterator = NULL;
    struct disk_options options = {.directory = scratch.path,
                                   .ballast_bytes = 1 << 20,
                                   .reserve_bytes = 1 << 20};

    if (data_dir_open(path, "leveldb", &fault, &data_dir) == KIST_OK)
        data_dir_close(data_dir);
    if (disk_open(&options, &fault, &disk) == KIST_OK)
        disk_close(disk);
    snprintf(path, sizeof(path), "%s/engine", scratch.path);
    if (open_engine(&engine) != KIST_OK)
        return;
    if (engine->ops->iterator_open(engine, &iterator) == KIST_OK)
        engine->ops->iterator_close(iterator);
    enum kist_status status = write_batch(engine, 0);
    cr_assert(status == KIST_OK || status == KIST_NO_MEMORY);
    engine->ops->close(engine);
}

Test(faults, running_out_of_memory_is_a_status)
{
    struct engine *engine;
    bool fired = true;
    unsigned nth;

    for (nth = 0; fired; nth += conformance_stride) {
        snprintf(path, sizeof(path), "%s/data", scratch.path);
        fault_arm(FAULT_ALLOCATION, nth, FAULT_ONCE, ENOMEM);
        open_and_close_all();
        fired = fault_disarm();
        snprintf(path, sizeof(path), "%s/engine", scratch.path);
        cr_assert(eq(int, open_engine(&engine), KIST_OK), "fault %u: %s", nth,
                  fault.text);
        engine->ops->close(engine);
    }
    cr_assert(gt(uint, nth, 10));
}

static void fail_data_dir(enum fault_call call)
{
    struct data_dir *data_dir;
    bool fired = true;

    for (unsigned nth = 0; fired; nth += conformance_stride) {
        enum kist_status status;

        fault_arm(call, nth, FAULT_ONCE, nth % 2 == 0 ? EIO : ENOSPC);
        status = data_dir_open(path, "leveldb", &fault, &data_dir);
        fired = fault_disarm();
        if (status == KIST_OK)
            data_dir_close(data_dir);
        else
            cr_assert(fault.text[0] != '\0');
        cr_assert(
            eq(int, data_dir_open(path, "leveldb", &fault, &data_dir), KIST_OK),
            "%s", fault.text);
        data_dir_close(data_dir);
        scratch_remove_tree(path);
    }
}

Test(faults, a_data_directory_half_made_is_finished_next_time)
{
    fail_data_dir(FAULT_OPEN);
    fail_data_dir(FAULT_WRITE);
    fail_data_dir(FAULT_SYNC);
    fail_data_dir(FAULT_RENAME);
}
