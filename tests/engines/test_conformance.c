#include "tests/engines/subject.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(engine, .init = subject_set_up, .fini = subject_tear_down,
          .timeout = 60);

Test(engine, a_value_is_there_until_it_is_deleted)
{
    subject_expect_absent(V("colour"));
    subject_put(V("colour"), V("red"));
    subject_expect(V("colour"), V("red"));
    subject_put(V("colour"), V("blue"));
    subject_expect(V("colour"), V("blue"));
    subject_erase(V("colour"));
    subject_expect_absent(V("colour"));
    subject_erase(V("colour"));
}

Test(engine, everything_is_still_there_after_reopening)
{
    subject_put(V("kept"), V("1"));
    subject_put(V("deleted"), V("2"));
    subject_erase(V("deleted"));
    for (unsigned i = 0; i < 3; i++) {
        subject_reopen();
        subject_expect(V("kept"), V("1"));
        subject_expect_absent(V("deleted"));
    }
    subject()->ops->compact(subject());
    subject_expect(V("kept"), V("1"));
    subject_expect_absent(V("deleted"));
}

Test(engine, an_unsynced_write_survives_an_orderly_close)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("key"), V("value"));
    cr_assert(eq(int, subject()->ops->apply(subject(), &batch, ENGINE_ASYNC),
                 KIST_OK));
    engine_batch_free(&batch);
    subject_reopen();
    subject_expect(V("key"), V("value"));
}

Test(engine, keys_and_values_hold_any_byte)
{
    static const char zeros[3], all_ones[] = "\xff\xff\xff";

    subject_put(V(""), V("the empty key"));
    subject_put(V("empty value"), V(""));
    subject_put((struct view){zeros, 1}, V("one zero"));
    subject_put((struct view){zeros, 3}, (struct view){zeros, 3});
    subject_put((struct view){all_ones, 3}, V("\xff"));
    subject_reopen();
    subject_expect(V(""), V("the empty key"));
    subject_expect(V("empty value"), V(""));
    subject_expect((struct view){zeros, 1}, V("one zero"));
    subject_expect((struct view){zeros, 3}, (struct view){zeros, 3});
    subject_expect((struct view){all_ones, 3}, V("\xff"));
    subject_expect_absent((struct view){zeros, 2});
}

Test(engine, a_batch_applies_in_order)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("a"), V("1"));
    engine_batch_delete(&batch, V("a"));
    engine_batch_put(&batch, V("b"), V("1"));
    engine_batch_put(&batch, V("b"), V("2"));
    subject_apply(&batch);
    engine_batch_free(&batch);
    subject_expect_absent(V("a"));
    subject_expect(V("b"), V("2"));
}

Test(engine, an_empty_batch_is_applied)
{
    struct engine_batch batch = {0};

    subject_apply(&batch);
    engine_batch_free(&batch);
    subject_reopen();
}

Test(engine, a_group_that_was_taken_back_is_not_applied)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("a"), V("1"));
    struct engine_mark mark = engine_batch_mark(&batch);
    engine_batch_put(&batch, V("b"), V("2"));
    engine_batch_rewind(&batch, mark);
    subject_apply(&batch);
    engine_batch_free(&batch);
    subject_expect(V("a"), V("1"));
    subject_expect_absent(V("b"));
}

Test(engine, a_batch_that_ran_out_of_memory_is_refused_untried)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, V("a"), V("1"));
    batch.bytes.failed = true;
    cr_assert(eq(int, subject()->ops->apply(subject(), &batch, ENGINE_SYNC),
                 KIST_NO_MEMORY));
    engine_batch_free(&batch);
    subject_expect_absent(V("a"));
    subject_put(V("a"), V("2"));
    subject_expect(V("a"), V("2"));
}

Test(engine, large_values_come_back_whole)
{
    static const size_t sizes[] = {32767, 32768,   65535,
                                   65536, 1 << 20, (16 << 20) + 1};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *bytes = malloc(sizes[i]);

        for (size_t at = 0; at < sizes[i]; at++)
            bytes[at] = (char)(at * 31 + i);
        subject_put((struct view){(const char *)&sizes[i], sizeof(sizes[i])},
                    (struct view){bytes, sizes[i]});
        subject_reopen();
        subject_expect((struct view){(const char *)&sizes[i], sizeof(sizes[i])},
                       (struct view){bytes, sizes[i]});
        free(bytes);
    }
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
    subject_apply(&batch);
    engine_batch_free(&batch);
}

static void expect_model_forwards(const struct model *model)
{
    const struct engine_ops *ops = subject()->ops;
    struct engine_iterator *iterator = subject_iterate();

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
    subject_expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

static void expect_model_backwards(const struct model *model)
{
    const struct engine_ops *ops = subject()->ops;
    struct engine_iterator *iterator = subject_iterate();

    ops->seek_before(iterator, V("z"));
    for (unsigned i = MODEL_KEYS; i-- > 0;) {
        if (model->value[i] == 0)
            continue;
        cr_assert(ops->valid(iterator));
        cr_assert(view_equal(ops->key(iterator), number_key(i)));
        ops->previous(iterator);
    }
    subject_expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

static void expect_model_key_by_key(const struct model *model)
{
    for (unsigned i = 0; i < MODEL_KEYS; i++)
        if (model->value[i] == 0)
            subject_expect_absent(number_key(i));
        else
            subject_expect(number_key(i), number_value(model->value[i]));
}

Test(engine, random_batches_and_reopenings_agree_with_a_model)
{
    static struct model model;

    srand(7);
    for (unsigned round = 0; round < 600; round++) {
        change_model(&model, round);
        if (round % 97 == 0)
            subject_reopen();
        if (round == 300)
            subject()->ops->compact(subject());
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
        subject()->ops->flush(subject());
        if (round % 10 == 9)
            subject_reopen();
        expect_model_key_by_key(&model);
    }
    expect_model_forwards(&model);
}

Test(engine, its_figures_follow_the_data)
{
    const struct engine_ops *ops = subject()->ops;

    cr_assert(lt(uint, ops->backlog(subject()), 12));
    for (unsigned i = 0; i < 2000; i++)
        subject_put(number_key(i), number_value(900));
    ops->compact(subject());
    cr_assert(gt(u64, ops->approximate_size(subject(), V("key"), V("kez")), 0));
    cr_assert(zero(u64, ops->approximate_size(subject(), V("x"), V("y"))));
    cr_assert(gt(u64, ops->memory(subject()), 0));
    cr_assert(zero(uint, ops->backlog(subject())));
}

/* Exit code: the status that opening gives in a process of its own. */
static int open_elsewhere(void)
{
    pid_t child = fork();
    int code;

    cr_assert(ge(int, child, 0));
    if (child == 0) {
        struct engine *second;

        _exit((int)subject_open_another(&second));
    }
    cr_assert(eq(int, waitpid(child, &code, 0), child));
    cr_assert(ne(int, WIFEXITED(code), 0));
    return WEXITSTATUS(code);
}

Test(engine, a_second_opening_is_refused_as_busy)
{
    struct engine *second = NULL;

    subject_put(V("a"), V("1"));
    cr_assert(eq(int, open_elsewhere(), KIST_BUSY));
    cr_assert(eq(int, subject_open_another(&second), KIST_BUSY));
    cr_assert(zero(ptr, second));
    subject_put(V("a"), V("2"));
    subject_reopen();
    subject_expect(V("a"), V("2"));
}

Test(engine, closing_nothing_is_allowed)
{
    subject()->ops->close(NULL);
    subject()->ops->iterator_close(NULL);
}
