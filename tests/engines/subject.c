#include "tests/engines/subject.h"

#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { PATIENCE_MS = 20000 };

static struct scratch scratch;
static struct engine *engine;

enum kist_status subject_open_another(struct engine **out_engine)
{
    struct engine_options options = {
        .path = scratch.path,
        .write_buffer_bytes = 256 << 10, /* Small: tables get written, too. */
        .block_cache_bytes = 1 << 20,
    };
    struct engine_fault fault;

    return conformance_open(&options, &fault, out_engine);
}

struct engine *subject(void)
{
    return engine;
}

void subject_close(void)
{
    if (engine != NULL)
        engine->ops->close(engine);
    engine = NULL;
}

void subject_reopen(void)
{
    subject_close();
    cr_assert(eq(int, subject_open_another(&engine), KIST_OK));
}

void subject_set_up(void)
{
    scratch_make(&scratch);
    subject_reopen();
}

void subject_tear_down(void)
{
    subject_close();
    scratch_remove(&scratch);
}

/* An engine may refuse for as long as it has to compact. */
void subject_apply(struct engine_batch *batch)
{
    cr_assert(eq(int, engine_apply(engine, batch, ENGINE_SYNC, PATIENCE_MS),
                 KIST_OK));
    engine_batch_clear(batch);
}

void subject_put(struct view key, struct view value)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, key, value);
    subject_apply(&batch);
    engine_batch_free(&batch);
}

void subject_erase(struct view key)
{
    struct engine_batch batch = {0};

    engine_batch_delete(&batch, key);
    subject_apply(&batch);
    engine_batch_free(&batch);
}

void subject_expect(struct view key, struct view value)
{
    struct blob found = BLOB_EMPTY;

    cr_assert(eq(int, engine_get(engine, key, &found), KIST_OK));
    cr_assert(view_equal(blob_view(&found), value));
    blob_free(&found);
}

void subject_expect_absent(struct view key)
{
    struct blob found = BLOB_EMPTY;

    cr_assert(eq(int, engine_get(engine, key, &found), KIST_NOT_FOUND));
    cr_assert(zero(ptr, found.data));
}

struct engine_iterator *subject_iterate(void)
{
    struct engine_iterator *iterator;

    cr_assert(eq(int, engine->ops->iterator_open(engine, &iterator), KIST_OK));
    cr_assert(not(engine->ops->valid(iterator)));
    return iterator;
}

void subject_expect_at(struct engine_iterator *iterator, const char *key)
{
    const struct engine_ops *ops = iterator->ops;

    cr_assert(eq(int, ops->valid(iterator), key != NULL));
    cr_assert(eq(int, ops->error(iterator), KIST_OK));
    if (key == NULL)
        return;
    cr_assert(view_is(ops->key(iterator), key));
    cr_assert(view_is(ops->value(iterator), key));
}
