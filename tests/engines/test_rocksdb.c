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

static void set_up(void)
{
    struct engine_options options = {
        .write_buffer_bytes = 64 << 10, /* Each write fills it. */
        .block_cache_bytes = 1 << 20,
    };
    struct engine_fault fault;

    scratch_make(&scratch);
    options.path = scratch.path;
    cr_assert(eq(int, engine_rocksdb_open(&options, &fault, &engine), KIST_OK),
              "%s", fault.text);
}

static void tear_down(void)
{
    engine->ops->close(engine);
    scratch_remove(&scratch);
}

static void fill_batch(struct engine_batch *batch, unsigned number)
{
    static char value[VALUE_SIZE];
    char key[16];

    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (char)rand();
    snprintf(key, sizeof(key), "%u", number);
    engine_batch_clear(batch);
    engine_batch_put(batch, view_of(key), (struct view){value, sizeof(value)});
}

static enum kist_status look_up(unsigned number)
{
    struct blob found = BLOB_EMPTY;
    char key[16];
    enum kist_status status;

    snprintf(key, sizeof(key), "%u", number);
    status = engine->ops->get(engine, view_of(key), &found);
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
