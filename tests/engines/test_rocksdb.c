/* What RocksDB alone does. */
#include "storage/engine.h"

#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = 60000, WRITES_MAX = 20000, PATIENCE_MS = 30000 };

static struct scratch scratch;
static struct engine *engine;

static void open_engine(void)
{
    struct engine_options options = {
        .path = scratch.path,
        .write_buffer_bytes = 64 << 10, /* Each write fills it. */
        .block_cache_bytes = 1 << 20,
    };
    struct engine_fault fault;

    cr_assert(eq(int, engine_rocksdb_open(&options, &fault, &engine), KIST_OK),
              "%s", fault.text);
}

static void set_up(void)
{
    scratch_make(&scratch);
    open_engine();
}

static void tear_down(void)
{
    engine->ops->close(engine);
    scratch_remove(&scratch);
}

/* Of its own for each number, and nothing that shrinks. */
static struct view value_of(unsigned number)
{
    static char value[VALUE_SIZE];

    srand(number);
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (char)rand();
    return (struct view){value, sizeof(value)};
}

static void fill_batch(struct engine_batch *batch, unsigned number)
{
    char key[16];

    snprintf(key, sizeof(key), "%u", number);
    engine_batch_clear(batch);
    engine_batch_put(batch, view_of(key), value_of(number));
}

static enum kist_status look_up(unsigned number)
{
    struct blob found = BLOB_EMPTY;
    char key[16];
    enum kist_status status;

    snprintf(key, sizeof(key), "%u", number);
    status = engine_get(engine, view_of(key), &found);
    blob_free(&found);
    return status;
}

TestSuite(rocksdb, .init = set_up, .fini = tear_down, .timeout = 60);

Test(rocksdb, refuses_a_write_that_would_wait_and_takes_it_later)
{
    struct engine_batch batch = {0};
    enum kist_status status = KIST_OK;
    unsigned number = 0;

    while (status == KIST_OK && number < WRITES_MAX) {
        fill_batch(&batch, ++number);
        status = engine->ops->apply(engine, &batch, ENGINE_ASYNC);
    }
    cr_assert(eq(int, status, KIST_BUSY), "after %u writes", number);
    cr_assert(eq(int, look_up(number), KIST_NOT_FOUND));
    cr_assert(eq(int, look_up(number - 1), KIST_OK));

    cr_assert(eq(int, engine_apply(engine, &batch, ENGINE_SYNC, PATIENCE_MS),
                 KIST_OK));
    cr_assert(eq(int, look_up(number), KIST_OK));
    engine_batch_free(&batch);
}

/* Held values. */

enum { HELD = 10, OF_CACHE = 4 }; /* Of 1 MiB, a fourth is not more. */

struct held {
    struct view value;
    struct hold hold;
};

static void write_all(void)
{
    struct engine_batch batch = {0};

    for (unsigned i = 0; i < HELD; i++) {
        fill_batch(&batch, i);
        cr_assert(eq(int,
                     engine_apply(engine, &batch, ENGINE_ASYNC, PATIENCE_MS),
                     KIST_OK));
    }
    engine_batch_free(&batch);
    engine->ops->flush(engine);
    engine->ops->compact(engine);
}

/* The number of those that are not copies. */
static unsigned hold_all(struct held all[HELD])
{
    unsigned blocks = 0;

    for (unsigned i = 0; i < HELD; i++) {
        char key[16];

        snprintf(key, sizeof(key), "%u", i);
        cr_assert(eq(
            int,
            engine->ops->get(engine, view_of(key), &all[i].value, &all[i].hold),
            KIST_OK));
        blocks += all[i].hold.memory != all[i].value.data;
        cr_expect(ge(sz, all[i].hold.size, VALUE_SIZE));
    }
    return blocks;
}

static void release_all(struct held all[HELD])
{
    for (unsigned i = 0; i < HELD; i++) {
        cr_assert(view_equal(all[i].value, value_of(i)), "%u", i);
        hold_release(&all[i].hold);
    }
}

Test(rocksdb, lets_a_part_of_its_cache_be_held_and_copies_the_rest)
{
    struct held all[HELD];

    write_all();
    for (unsigned round = 0; round < 3; round++) {
        cr_expect(eq(uint, hold_all(all), OF_CACHE));
        release_all(all);
    }
}

Test(rocksdb, is_outlived_by_what_is_held)
{
    struct held before[HELD], after[HELD];

    write_all();
    cr_assert(eq(uint, hold_all(before), OF_CACHE));
    engine->ops->close(engine);
    open_engine();
    write_all();
    cr_assert(eq(uint, hold_all(after), OF_CACHE));
    release_all(before);
    release_all(after);
}
