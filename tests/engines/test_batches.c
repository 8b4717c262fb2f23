/*
 * Batches: their order, their sizes, and what a kill leaves of them.
 */
#include "tests/engines/subject.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(batches, .init = subject_set_up, .fini = subject_tear_down,
          .timeout = 60);

static struct view number_key(unsigned number)
{
    static char text[16];

    snprintf(text, sizeof(text), "key%07u", number);
    return view_of(text);
}

/* Bytes that no other number has, and that do not compress. */
static void fill(struct blob *value, unsigned number, size_t size)
{
    uint64_t state = number + 1;

    blob_clear(value);
    cr_assert(eq(int, blob_reserve(value, size + sizeof(state)), KIST_OK));
    for (size_t at = 0; at < size; at += sizeof(state)) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
        memcpy(value->data + at, &state, sizeof(state));
    }
    value->size = size;
}

Test(batches, may_hold_a_key_several_times)
{
    struct engine_batch batch = {0};
    struct engine_iterator *iterator;

    subject_put(V("deleted"), V("old"));
    subject_put(V("kept"), V("old"));
    engine_batch_put(&batch, V("deleted"), V("1"));
    engine_batch_put(&batch, V("kept"), V("1"));
    engine_batch_delete(&batch, V("deleted"));
    engine_batch_delete(&batch, V("kept"));
    engine_batch_delete(&batch, V("deleted"));
    engine_batch_put(&batch, V("kept"), V("2"));
    engine_batch_put(&batch, V("kept"), V("kept"));
    subject_apply(&batch);
    engine_batch_free(&batch);

    for (unsigned i = 0; i < 4; i++) {
        subject_expect_absent(V("deleted"));
        iterator = subject_iterate();
        iterator->ops->seek(iterator, V(""));
        subject_expect_at(iterator, "kept");
        iterator->ops->next(iterator);
        subject_expect_at(iterator, NULL);
        iterator->ops->iterator_close(iterator);
        if (i == 0) /* From memory, from the log, from a table; compacted. */
            subject_reopen();
        else if (i == 1)
            subject()->ops->flush(subject());
        else
            subject()->ops->compact(subject());
    }
}

enum { MANY = 100000 };

/* All keys, in order, or none; each with the value that is its key. */
static void expect_many(unsigned first, unsigned step)
{
    struct engine_iterator *iterator = subject_iterate();
    const struct engine_ops *ops = iterator->ops;

    ops->seek(iterator, V(""));
    for (unsigned i = first; i < MANY; i += step) {
        cr_assert(ops->valid(iterator), "%u", i);
        cr_assert(view_equal(ops->key(iterator), number_key(i)), "%u", i);
        cr_assert(view_equal(ops->value(iterator), number_key(i)), "%u", i);
        ops->next(iterator);
    }
    subject_expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

Test(batches, may_have_very_many_operations)
{
    struct engine_batch batch = {0};

    for (unsigned i = MANY; i-- > 0;) /* Against the order of keys. */
        engine_batch_put(&batch, number_key(i), number_key(i));
    subject_apply(&batch);
    expect_many(0, 1);
    subject_reopen();
    expect_many(0, 1);

    for (unsigned i = 0; i < MANY; i++)
        if (i % 2 == 0)
            engine_batch_delete(&batch, number_key(i));
        else
            engine_batch_put(&batch, number_key(i), number_key(i));
    subject_apply(&batch);
    engine_batch_free(&batch);
    expect_many(1, 2);
    subject_reopen();
    expect_many(1, 2);
}

enum { LARGE = 1 << 20, LARGE_ONES = 70 };

static void expect_large_ones(void)
{
    struct blob value = BLOB_EMPTY;

    for (unsigned i = 0; i < LARGE_ONES; i++) {
        fill(&value, i, LARGE + i);
        subject_expect(number_key(i), blob_view(&value));
    }
    blob_free(&value);
}

/* Many times the write buffer, and more than a queue of writes may hold. */
Test(batches, may_have_very_many_bytes)
{
    struct engine_batch batch = {0};
    struct blob value = BLOB_EMPTY;

    for (unsigned i = 0; i < LARGE_ONES; i++) {
        fill(&value, i, LARGE + i);
        engine_batch_put(&batch, number_key(i), blob_view(&value));
    }
    subject_apply(&batch);
    engine_batch_free(&batch);
    blob_free(&value);
    subject_put(V("another"), V("after it"));

    expect_large_ones();
    subject_reopen();
    expect_large_ones();
    subject_expect(V("another"), V("after it"));
}

/* Around --inline-bytes: least, usual and most; and nothing at all. */
static const size_t sizes[] = {
    0,     1,     4095,  4096,           4097,     65535,
    65536, 65537, 70000, (16 << 20) - 1, 16 << 20,
};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void expect_sizes(void)
{
    struct engine_iterator *iterator = subject_iterate();
    const struct engine_ops *ops = iterator->ops;
    struct blob value = BLOB_EMPTY;

    ops->seek(iterator, V(""));
    for (unsigned i = 0; i < SIZES; i++) {
        fill(&value, i, sizes[i]);
        subject_expect(number_key(i), blob_view(&value));
        cr_assert(ops->valid(iterator));
        cr_assert(view_equal(ops->key(iterator), number_key(i)));
        cr_assert(view_equal(ops->value(iterator), blob_view(&value)));
        ops->next(iterator);
    }
    subject_expect_at(iterator, NULL);
    ops->iterator_close(iterator);
    blob_free(&value);
}

Test(batches, hold_values_of_nothing_and_of_the_largest_size_together)
{
    struct engine_batch batch = {0};
    struct blob value = BLOB_EMPTY;

    for (unsigned i = 0; i < SIZES; i++) {
        fill(&value, i, sizes[i]);
        engine_batch_put(&batch, number_key(i), blob_view(&value));
    }
    subject_apply(&batch);
    engine_batch_free(&batch);
    blob_free(&value);
    expect_sizes();
    subject_reopen();
    expect_sizes();
    subject()->ops->compact(subject());
    expect_sizes();
}

/* A kill. */

enum { ROUNDS = 30 };

/*
 * In a process of its own: the first is synced, the others are not, and it
 * never closes. The number of each one applied goes into told.
 */
static _Noreturn void write_and_hang(int told)
{
    struct engine_batch batch = {0};
    struct engine *engine;

    if (subject_open_another(&engine) != KIST_OK)
        _exit(1);
    for (char round = 0; round < ROUNDS; round++) {
        engine_batch_clear(&batch);
        for (unsigned i = 0; i <= (unsigned)round; i++)
            engine_batch_put(&batch, number_key(i), (struct view){&round, 1});
        engine_batch_delete(&batch, number_key((unsigned)round / 2));
        if (engine->ops->apply(engine, &batch,
                               round == 0 ? ENGINE_SYNC : ENGINE_ASYNC) !=
                KIST_OK ||
            write(told, &round, 1) != 1)
            _exit(1);
    }
    for (;;)
        pause();
}

static void write_and_be_killed(void)
{
    int told[2];
    char round;

    cr_assert(zero(int, pipe(told)));
    pid_t child = fork();
    cr_assert(ge(int, child, 0));
    if (child == 0)
        write_and_hang(told[1]);
    close(told[1]);
    for (char i = 0; i < ROUNDS; i++) {
        cr_assert(eq(int, (int)read(told[0], &round, 1), 1));
        cr_assert(eq(int, round, i));
    }
    close(told[0]);
    cr_assert(zero(int, kill(child, SIGKILL)));
    cr_assert(eq(int, waitpid(child, NULL, 0), child));
}

Test(batches, that_were_not_synced_survive_a_kill_whole)
{
    static const char last = ROUNDS - 1;

    subject_close();
    write_and_be_killed();
    for (unsigned reopening = 0; reopening < 2; reopening++) {
        subject_reopen();
        for (unsigned i = 0; i < ROUNDS; i++)
            if (i == (ROUNDS - 1) / 2)
                subject_expect_absent(number_key(i));
            else
                subject_expect(number_key(i), (struct view){&last, 1});
    }
    subject_put(number_key(0), V("written after"));
    subject_reopen();
    subject_expect(number_key(0), V("written after"));
}
