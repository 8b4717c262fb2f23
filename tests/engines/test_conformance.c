#include "tests/engines/conformance.h"

#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The state of the one test that a process runs. */
static struct scratch scratch;
static struct engine *engine;

static enum kist_status open_engine(struct engine **out_engine)
{
    struct engine_options options = {
        .path = scratch.path,
        .write_buffer_bytes = 256 << 10, /* Small: tables get written, too. */
        .block_cache_bytes = 1 << 20,
    };
    struct engine_fault fault;

    return conformance_open(&options, &fault, out_engine);
}

static void reopen(void)
{
    if (engine != NULL)
        engine->ops->close(engine);
    engine = NULL;
    cr_assert(eq(int, open_engine(&engine), KIST_OK));
}

static void set_up(void)
{
    scratch_make(&scratch);
    reopen();
}

static void tear_down(void)
{
    if (engine != NULL)
        engine->ops->close(engine);
    scratch_remove(&scratch);
}

static void apply(struct engine_batch *batch)
{
    cr_assert(eq(int, engine->ops->apply(engine, batch, ENGINE_SYNC), KIST_OK));
    engine_batch_clear(batch);
}

static void put(struct view key, struct view value)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, key, value);
    apply(&batch);
    engine_batch_free(&batch);
}

static void erase(struct view key)
{
    struct engine_batch batch = {0};

    engine_batch_delete(&batch, key);
    apply(&batch);
    engine_batch_free(&batch);
}

static void expect(struct view key, struct view value)
{
    struct blob found = BLOB_EMPTY;

    cr_assert(eq(int, engine->ops->get(engine, key, &found), KIST_OK));
    cr_assert(view_equal(blob_view(&found), value));
    blob_free(&found);
}

static void expect_absent(struct view key)
{
    struct blob found = BLOB_EMPTY;

    cr_assert(eq(int, engine->ops->get(engine, key, &found), KIST_NOT_FOUND));
    cr_assert(zero(ptr, found.data));
}

#define V(text) VIEW_LITERAL(text)

TestSuite(engine, .init = set_up, .fini = tear_down, .timeout = 60);

Test(engine, a_value_is_there_until_it_is_deleted)
{
    expect_absent(V("colour"));
    put(V("colour"), V("red"));
    expect(V("colour"), V("red"));
    put(V("colour"), V("blue"));
    expect(V("colour"), V("blue"));
    erase(V("colour"));
    expect_absent(V("colour"));
    erase(V("colour"));
}

Test(engine, everything_is_still_there_after_reopening)
{
    put(V("kept"), V("1"));
    put(V("deleted"), V("2"));
    erase(V("deleted"));
    for (unsigned i = 0; i < 3; i++) {
        reopen();
        expect(V("kept"), V("1"));
        expect_absent(V("deleted"));
    }
    engine->ops->compact(engine);
    expect(V("kept"), V("1"));
    expect_absent(V("deleted"));
}

Test(engine, an_unsynced_write_survives_an_orderly_close)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("key"), V("value"));
    cr_assert(
        eq(int, engine->ops->apply(engine, &batch, ENGINE_ASYNC), KIST_OK));
    engine_batch_free(&batch);
    reopen();
    expect(V("key"), V("value"));
}

Test(engine, keys_and_values_hold_any_byte)
{
    static const char zeros[3], all_ones[] = "\xff\xff\xff";

    put(V(""), V("the empty key"));
    put(V("empty value"), V(""));
    put((struct view){zeros, 1}, V("one zero"));
    put((struct view){zeros, 3}, (struct view){zeros, 3});
    put((struct view){all_ones, 3}, V("\xff"));
    reopen();
    expect(V(""), V("the empty key"));
    expect(V("empty value"), V(""));
    expect((struct view){zeros, 1}, V("one zero"));
    expect((struct view){zeros, 3}, (struct view){zeros, 3});
    expect((struct view){all_ones, 3}, V("\xff"));
    expect_absent((struct view){zeros, 2});
}

Test(engine, a_batch_applies_in_order)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("a"), V("1"));
    engine_batch_delete(&batch, V("a"));
    engine_batch_put(&batch, V("b"), V("1"));
    engine_batch_put(&batch, V("b"), V("2"));
    apply(&batch);
    engine_batch_free(&batch);
    expect_absent(V("a"));
    expect(V("b"), V("2"));
}

Test(engine, an_empty_batch_is_applied)
{
    struct engine_batch batch = {0};

    apply(&batch);
    engine_batch_free(&batch);
    reopen();
}

Test(engine, a_group_that_was_taken_back_is_not_applied)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("a"), V("1"));
    struct engine_mark mark = engine_batch_mark(&batch);
    engine_batch_put(&batch, V("b"), V("2"));
    engine_batch_rewind(&batch, mark);
    apply(&batch);
    engine_batch_free(&batch);
    expect(V("a"), V("1"));
    expect_absent(V("b"));
}

Test(engine, a_batch_that_ran_out_of_memory_is_refused_untried)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("a"), V("1"));
    batch.bytes.failed = true;
    cr_assert(eq(int, engine->ops->apply(engine, &batch, ENGINE_SYNC),
                 KIST_NO_MEMORY));
    engine_batch_free(&batch);
    expect_absent(V("a"));
    put(V("a"), V("2"));
    expect(V("a"), V("2"));
}

Test(engine, large_values_come_back_whole)
{
    static const size_t sizes[] = {32767, 32768,   65535,
                                   65536, 1 << 20, (16 << 20) + 1};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *bytes = malloc(sizes[i]);

        for (size_t at = 0; at < sizes[i]; at++)
            bytes[at] = (char)(at * 31 + i);
        put((struct view){(const char *)&sizes[i], sizeof(sizes[i])},
            (struct view){bytes, sizes[i]});
        reopen();
        expect((struct view){(const char *)&sizes[i], sizeof(sizes[i])},
               (struct view){bytes, sizes[i]});
        free(bytes);
    }
}

static struct engine_iterator *iterate(void)
{
    struct engine_iterator *iterator;

    cr_assert(eq(int, engine->ops->iterator_open(engine, &iterator), KIST_OK));
    cr_assert(not(engine->ops->valid(iterator)));
    return iterator;
}

static void expect_at(struct engine_iterator *iterator, const char *key)
{
    const struct engine_ops *ops = iterator->ops;

    cr_assert(eq(int, ops->valid(iterator), key != NULL));
    cr_assert(eq(int, ops->error(iterator), KIST_OK));
    if (key == NULL)
        return;
    cr_assert(view_is(ops->key(iterator), key));
    cr_assert(view_is(ops->value(iterator), key));
}

Test(engine, an_iterator_goes_both_ways_in_the_order_of_bytes)
{
    struct engine_iterator *iterator;
    const struct engine_ops *ops = engine->ops;

    put(V("b"), V("b"));
    put(V("\xff"), V("\xff"));
    put(V("a"), V("a"));
    put(V("ab"), V("ab"));
    put(V("gone"), V("gone"));
    erase(V("gone"));

    iterator = iterate();
    ops->seek(iterator, V(""));
    expect_at(iterator, "a");
    ops->next(iterator);
    expect_at(iterator, "ab");
    ops->next(iterator);
    expect_at(iterator, "b");
    ops->previous(iterator);
    expect_at(iterator, "ab");
    ops->seek(iterator, V("c"));
    expect_at(iterator, "\xff");
    ops->next(iterator);
    expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

Test(engine, seek_before_finds_the_last_smaller_key)
{
    struct engine_iterator *iterator;
    const struct engine_ops *ops = engine->ops;

    put(V("b"), V("b"));
    put(V("d"), V("d"));
    iterator = iterate();
    ops->seek_before(iterator, V("\xff"));
    expect_at(iterator, "d");
    ops->seek_before(iterator, V("d"));
    expect_at(iterator, "b");
    ops->seek_before(iterator, V("c"));
    expect_at(iterator, "b");
    ops->seek_before(iterator, V("b"));
    expect_at(iterator, NULL);
    ops->seek_before(iterator, V(""));
    expect_at(iterator, NULL);
    ops->seek_before(iterator, V("e"));
    expect_at(iterator, "d");
    ops->iterator_close(iterator);
}

Test(engine, an_iterator_sees_the_moment_of_its_opening)
{
    struct engine_iterator *iterator;
    const struct engine_ops *ops = engine->ops;

    put(V("a"), V("a"));
    put(V("b"), V("b"));
    iterator = iterate();
    erase(V("a"));
    put(V("b"), V("changed"));
    put(V("c"), V("c"));
    ops->seek(iterator, V(""));
    expect_at(iterator, "a");
    ops->next(iterator);
    expect_at(iterator, "b");
    ops->next(iterator);
    expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

enum { MODEL_KEYS = 400 };

/* Key number i has this value in the engine; 0 is none. */
struct model {
    unsigned value[MODEL_KEYS];
};

static struct view number_key(unsigned number)
{
    static char text[16];

    snprintf(text, sizeof(text), "key%05u", number);
    return view_of(text);
}

/* About 1 KiB, so that some hundred rounds go through tables. */
static struct view number_value(unsigned number)
{
    static char text[1024];

    snprintf(text, sizeof(text), "%0*u", 100 + (int)(number % 900), number);
    return view_of(text);
}

static void change_model(struct model *model, unsigned round)
{
    struct engine_batch batch = {0};

    for (unsigned i = 0; i < 10; i++) {
        unsigned number = (unsigned)rand() % MODEL_KEYS;

        model->value[number] = rand() % 4 == 0 ? 0 : round * 10 + i + 1;
        if (model->value[number] == 0)
            engine_batch_delete(&batch, number_key(number));
        else
            engine_batch_put(&batch, number_key(number),
                             number_value(model->value[number]));
    }
    apply(&batch);
    engine_batch_free(&batch);
}

static void expect_model_forwards(const struct model *model)
{
    const struct engine_ops *ops = engine->ops;
    struct engine_iterator *iterator = iterate();

    ops->seek(iterator, V(""));
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        if (model->value[i] == 0)
            continue;
        cr_assert(ops->valid(iterator));
        cr_assert(view_equal(ops->key(iterator), number_key(i)));
        cr_assert(
            view_equal(ops->value(iterator), number_value(model->value[i])));
        ops->next(iterator);
    }
    expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

static void expect_model_backwards(const struct model *model)
{
    const struct engine_ops *ops = engine->ops;
    struct engine_iterator *iterator = iterate();

    ops->seek_before(iterator, V("z"));
    for (unsigned i = MODEL_KEYS; i-- > 0;) {
        if (model->value[i] == 0)
            continue;
        cr_assert(ops->valid(iterator));
        cr_assert(view_equal(ops->key(iterator), number_key(i)));
        ops->previous(iterator);
    }
    expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

static void expect_model_key_by_key(const struct model *model)
{
    for (unsigned i = 0; i < MODEL_KEYS; i++)
        if (model->value[i] == 0)
            expect_absent(number_key(i));
        else
            expect(number_key(i), number_value(model->value[i]));
}

Test(engine, random_batches_and_reopenings_agree_with_a_model)
{
    static struct model model;

    srand(7);
    for (unsigned round = 0; round < 600; round++) {
        change_model(&model, round);
        if (round % 97 == 0)
            reopen();
        if (round == 300)
            engine->ops->compact(engine);
        if (round % 60 == 0) {
            expect_model_key_by_key(&model);
            expect_model_forwards(&model);
            expect_model_backwards(&model);
        }
    }
}

Test(engine, a_flush_changes_nothing_that_is_read)
{
    static struct model model;

    srand(8);
    for (unsigned round = 0; round < 40; round++) {
        change_model(&model, round);
        engine->ops->flush(engine);
        if (round % 10 == 9)
            reopen();
        expect_model_key_by_key(&model);
    }
    expect_model_forwards(&model);
}

Test(engine, its_figures_follow_the_data)
{
    const struct engine_ops *ops = engine->ops;

    cr_assert(lt(uint, ops->backlog(engine), 12));
    for (unsigned i = 0; i < 2000; i++)
        put(number_key(i), number_value(900));
    ops->compact(engine);
    cr_assert(gt(u64, ops->approximate_size(engine, V("key"), V("kez")), 0));
    cr_assert(zero(u64, ops->approximate_size(engine, V("x"), V("y"))));
    cr_assert(gt(u64, ops->memory(engine), 0));
    cr_assert(zero(uint, ops->backlog(engine)));
}

/* Exit code: the status that opening gives in a process of its own. */
static int open_elsewhere(void)
{
    pid_t child = fork();
    int code;

    cr_assert(ge(int, child, 0));
    if (child == 0) {
        struct engine *second;

        _exit((int)open_engine(&second));
    }
    cr_assert(eq(int, waitpid(child, &code, 0), child));
    cr_assert(ne(int, WIFEXITED(code), 0));
    return WEXITSTATUS(code);
}

Test(engine, a_second_opening_is_refused_as_busy)
{
    struct engine *second = NULL;

    put(V("a"), V("1"));
    cr_assert(eq(int, open_elsewhere(), KIST_BUSY));
    cr_assert(eq(int, open_engine(&second), KIST_BUSY));
    cr_assert(zero(ptr, second));
    put(V("a"), V("2"));
    reopen();
    expect(V("a"), V("2"));
}

Test(engine, closing_nothing_is_allowed)
{
    engine->ops->close(NULL);
    engine->ops->iterator_close(NULL);
}
