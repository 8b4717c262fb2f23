/*
 * Iterators: their order and their ends, and that each is a view of the moment
 * of its opening, whatever is written, deleted and compacted meanwhile.
 */
#include "tests/engines/subject.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

TestSuite(iterators, .init = subject_set_up, .fini = subject_tear_down,
          .timeout = 60);

Test(iterators, an_iterator_goes_both_ways_in_the_order_of_bytes)
{
    struct engine_iterator *iterator;
    const struct engine_ops *ops = subject()->ops;

    subject_put(V("b"), V("b"));
    subject_put(V("\xff"), V("\xff"));
    subject_put(V("a"), V("a"));
    subject_put(V("ab"), V("ab"));
    subject_put(V("gone"), V("gone"));
    subject_erase(V("gone"));

    iterator = subject_iterate();
    ops->seek(iterator, V(""));
    subject_expect_at(iterator, "a");
    ops->next(iterator);
    subject_expect_at(iterator, "ab");
    ops->next(iterator);
    subject_expect_at(iterator, "b");
    ops->previous(iterator);
    subject_expect_at(iterator, "ab");
    ops->seek(iterator, V("c"));
    subject_expect_at(iterator, "\xff");
    ops->next(iterator);
    subject_expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

Test(iterators, seek_before_finds_the_last_smaller_key)
{
    struct engine_iterator *iterator;
    const struct engine_ops *ops = subject()->ops;

    subject_put(V("b"), V("b"));
    subject_put(V("d"), V("d"));
    iterator = subject_iterate();
    ops->seek_before(iterator, V("\xff"));
    subject_expect_at(iterator, "d");
    ops->seek_before(iterator, V("d"));
    subject_expect_at(iterator, "b");
    ops->seek_before(iterator, V("c"));
    subject_expect_at(iterator, "b");
    ops->seek_before(iterator, V("b"));
    subject_expect_at(iterator, NULL);
    ops->seek_before(iterator, V(""));
    subject_expect_at(iterator, NULL);
    ops->seek_before(iterator, V("e"));
    subject_expect_at(iterator, "d");
    ops->iterator_close(iterator);
}

Test(iterators, an_iterator_sees_the_moment_of_its_opening)
{
    struct engine_iterator *iterator;
    const struct engine_ops *ops = subject()->ops;

    subject_put(V("a"), V("a"));
    subject_put(V("b"), V("b"));
    iterator = subject_iterate();
    subject_erase(V("a"));
    subject_put(V("b"), V("changed"));
    subject_put(V("c"), V("c"));
    ops->seek(iterator, V(""));
    subject_expect_at(iterator, "a");
    ops->next(iterator);
    subject_expect_at(iterator, "b");
    ops->next(iterator);
    subject_expect_at(iterator, NULL);
    ops->iterator_close(iterator);
}

/* Ends. */

/* A key that is its own value. */
static void put_itself(const char *key)
{
    subject_put(view_of(key), view_of(key));
}

static void expect_nothing(struct engine_iterator *iterator)
{
    iterator->ops->seek(iterator, V(""));
    subject_expect_at(iterator, NULL);
    iterator->ops->seek(iterator, V("key"));
    subject_expect_at(iterator, NULL);
    iterator->ops->seek_before(iterator, V(""));
    subject_expect_at(iterator, NULL);
    iterator->ops->seek_before(iterator, V("\xff\xff"));
    subject_expect_at(iterator, NULL);
}

Test(iterators, find_nothing_in_an_empty_engine)
{
    struct engine_iterator *before = subject_iterate(), *after;

    expect_nothing(before);
    put_itself("key");
    expect_nothing(before);
    before->ops->iterator_close(before);

    subject_erase(V("key"));
    after = subject_iterate();
    expect_nothing(after);
    after->ops->iterator_close(after);
    subject()->ops->compact(subject());
    after = subject_iterate();
    expect_nothing(after);
    after->ops->iterator_close(after);
}

static void expect_ends(void)
{
    struct engine_iterator *iterator = subject_iterate();
    const struct engine_ops *ops = iterator->ops;

    ops->seek(iterator, V(""));
    subject_expect_at(iterator, "");
    ops->previous(iterator);
    subject_expect_at(iterator, NULL);
    ops->seek_before(iterator, V("last"));
    subject_expect_at(iterator, "");
    ops->seek(iterator, V("last"));
    subject_expect_at(iterator, "last");
    ops->next(iterator);
    subject_expect_at(iterator, "middle");
    ops->next(iterator);
    subject_expect_at(iterator, NULL);
    ops->seek(iterator, V("middle\x01"));
    subject_expect_at(iterator, NULL);
    ops->seek_before(iterator, V("middle\x01"));
    subject_expect_at(iterator, "middle");
    ops->seek(iterator, V("z"));
    subject_expect_at(iterator, NULL);
    ops->seek(iterator, V("")); /* From beyond an end back again. */
    subject_expect_at(iterator, "");
    ops->iterator_close(iterator);
}

Test(iterators, stop_at_the_first_and_the_last_key)
{
    put_itself("");
    put_itself("last");
    put_itself("middle");
    expect_ends();
    subject()->ops->flush(subject());
    expect_ends();
    subject()->ops->compact(subject());
    expect_ends();
}

Test(iterators, order_keys_of_nothing_but_the_largest_byte)
{
    char longest[1025];
    struct engine_iterator *iterator;
    const struct engine_ops *ops = subject()->ops;

    memset(longest, 0xff, sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    put_itself(longest);
    put_itself("\xff\xff");
    put_itself("\xff");
    put_itself("\xfe\xff");
    subject_reopen();

    iterator = subject_iterate();
    ops->seek(iterator, V("\xff"));
    subject_expect_at(iterator, "\xff");
    ops->next(iterator);
    subject_expect_at(iterator, "\xff\xff");
    ops->next(iterator);
    subject_expect_at(iterator, longest);
    ops->next(iterator);
    subject_expect_at(iterator, NULL);
    ops->seek(iterator, V("\xff\xff\xff"));
    subject_expect_at(iterator, longest);
    ops->seek_before(iterator, view_of(longest));
    subject_expect_at(iterator, "\xff\xff");
    ops->seek_before(iterator, V("\xff"));
    subject_expect_at(iterator, "\xfe\xff");
    ops->iterator_close(iterator);
}

Test(iterators, tell_a_key_from_those_that_begin_with_it)
{
    static const struct view zero = {"a\0", 2};
    struct engine_iterator *iterator;
    const struct engine_ops *ops = subject()->ops;

    put_itself("a");
    subject_put(zero, zero);
    put_itself("aa");
    put_itself("a\xff");
    put_itself("b");
    subject_erase(V("aa"));

    iterator = subject_iterate();
    ops->seek(iterator, V("a"));
    subject_expect_at(iterator, "a");
    ops->next(iterator);
    cr_assert(view_equal(ops->key(iterator), zero));
    ops->next(iterator);
    subject_expect_at(iterator, "a\xff");
    ops->next(iterator);
    subject_expect_at(iterator, "b");
    ops->seek(iterator, zero);
    cr_assert(view_equal(ops->key(iterator), zero));
    ops->seek_before(iterator, zero);
    subject_expect_at(iterator, "a");
    ops->seek_before(iterator, V("aa"));
    cr_assert(view_equal(ops->key(iterator), zero));
    ops->seek_before(iterator, V("b"));
    subject_expect_at(iterator, "a\xff");
    ops->iterator_close(iterator);
}

/*
 * Views. At moment m each key has the value m, but every (m + 2)-nd, which is
 * deleted: so a look at some keys tells which moment it is.
 */

enum { KEYS = 500, MOMENTS = 6 };

static struct view number_key(unsigned number)
{
    static _Thread_local char text[16];

    snprintf(text, sizeof(text), "key%05u", number);
    return view_of(text);
}

/* Long enough that some moments make a table. */
static struct view moment_value(unsigned moment)
{
    static _Thread_local char text[301];

    snprintf(text, sizeof(text), "%0300u", moment);
    return view_of(text);
}

static bool is_deleted(unsigned number, unsigned moment)
{
    return number % (moment + 2) == 0;
}

static void write_moment(unsigned moment)
{
    struct engine_batch batch = {0};

    for (unsigned i = 0; i < KEYS; i++)
        if (is_deleted(i, moment))
            engine_batch_delete(&batch, number_key(i));
        else
            engine_batch_put(&batch, number_key(i), moment_value(moment));
    subject_apply(&batch);
    engine_batch_free(&batch);
}

/* Onwards, from key number i. */
static void expect_key(struct engine_iterator *iterator, unsigned i,
                       unsigned moment)
{
    const struct engine_ops *ops = iterator->ops;

    if (is_deleted(i, moment))
        return;
    cr_assert(ops->valid(iterator));
    cr_assert(view_equal(ops->key(iterator), number_key(i)));
    cr_assert(view_equal(ops->value(iterator), moment_value(moment)));
}

static void step_past(struct engine_iterator *iterator, unsigned i,
                      unsigned moment,
                      void (*step)(struct engine_iterator *iterator))
{
    expect_key(iterator, i, moment);
    if (!is_deleted(i, moment))
        step(iterator);
}

/* All together, a key at a time. */
static void expect_moments(struct engine_iterator *const *iterators)
{
    const struct engine_ops *ops = subject()->ops;

    for (unsigned m = 0; m < MOMENTS; m++)
        ops->seek(iterators[m], V(""));
    for (unsigned i = 0; i < KEYS; i++)
        for (unsigned m = 0; m < MOMENTS; m++)
            step_past(iterators[m], i, m, ops->next);
    for (unsigned m = 0; m < MOMENTS; m++) {
        subject_expect_at(iterators[m], NULL);
        ops->seek_before(iterators[m], V("z"));
    }
    for (unsigned i = KEYS; i-- > 0;)
        for (unsigned m = 0; m < MOMENTS; m++)
            step_past(iterators[m], i, m, ops->previous);
    for (unsigned m = 0; m < MOMENTS; m++)
        subject_expect_at(iterators[m], NULL);
}

Test(iterators, that_are_open_together_see_a_moment_each)
{
    struct engine_iterator *iterators[MOMENTS];
    const struct engine_ops *ops = subject()->ops;

    for (unsigned m = 0; m < MOMENTS; m++) {
        write_moment(m);
        iterators[m] = subject_iterate();
        if (m == 1)
            ops->flush(subject());
        if (m == 3)
            ops->compact(subject());
    }
    expect_moments(iterators);
    for (unsigned i = 0; i < KEYS; i++)
        subject_erase(number_key(i));
    ops->compact(subject());
    expect_moments(iterators);
    for (unsigned m = 0; m < MOMENTS; m++) /* Not in the order of opening. */
        ops->iterator_close(iterators[(m * 5 + 2) % MOMENTS]);

    struct engine_iterator *last = subject_iterate();
    expect_nothing(last);
    ops->iterator_close(last);
    subject_reopen();
    subject_expect_absent(number_key(1));
}

/* Threads that look while another one writes. */

enum { LOOKERS = 2, LOOKS = 60 };

struct lookers {
    struct engine *engine;
    atomic_uint looks; /* That were completed. */
    atomic_bool failed;
};

/* The moment that all keys agree on; the first one has number 1. */
static bool is_one_moment(struct engine_iterator *iterator)
{
    const struct engine_ops *ops = iterator->ops;
    uint64_t number = 0;
    unsigned moment = 0, i = 0;

    for (ops->seek(iterator, V("")); ops->valid(iterator);
         ops->next(iterator), i++) {
        if (moment == 0 && !view_to_u64(ops->value(iterator), &number))
            return false;
        moment = (unsigned)number;
        while (i < KEYS && is_deleted(i, moment))
            i++;
        if (!view_equal(ops->key(iterator), number_key(i)) ||
            !view_equal(ops->value(iterator), moment_value(moment)))
            return false;
    }
    while (i < KEYS && is_deleted(i, moment))
        i++;
    return i == KEYS && ops->error(iterator) == KIST_OK;
}

static void *look(void *ctx)
{
    struct lookers *lookers = ctx;
    struct engine *engine = lookers->engine;
    struct engine_iterator *iterator;

    while (atomic_fetch_add(&lookers->looks, 1) < LOOKS) {
        if (engine->ops->iterator_open(engine, &iterator) != KIST_OK ||
            !is_one_moment(iterator))
            atomic_store(&lookers->failed, true);
        engine->ops->iterator_close(iterator);
    }
    return NULL;
}

Test(iterators, never_see_half_a_batch)
{
    struct lookers lookers = {.engine = subject()};
    pthread_t threads[LOOKERS];
    unsigned moment = 1;

    write_moment(moment);
    for (unsigned i = 0; i < LOOKERS; i++)
        cr_assert(zero(int, pthread_create(&threads[i], NULL, look, &lookers)));
    while (atomic_load(&lookers.looks) < LOOKS)
        write_moment(++moment);
    for (unsigned i = 0; i < LOOKERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert(not(atomic_load(&lookers.failed)));
    cr_assert(gt(uint, moment, 2));
}
