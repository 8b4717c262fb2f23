/*
 * subject - the engine under test, in a directory of the test's own.
 *
 * One a process, as Criterion runs each test in one. Whatever fails here fails
 * the test.
 */
#ifndef KIST_TESTS_ENGINES_SUBJECT_H
#define KIST_TESTS_ENGINES_SUBJECT_H

#include "tests/engines/conformance.h"

/* Open between these two, which are for a suite's .init and .fini. */
void subject_set_up(void);
void subject_tear_down(void);

/* Borrowed until the next reopening. */
struct engine *subject(void);
void subject_reopen(void);
void subject_close(void);

/* Another opening of the same directory. Gives *out_engine. */
KIST_CHECKED enum kist_status subject_open_another(struct engine **out_engine);

/* Applied, synced, and emptied. */
void subject_apply(struct engine_batch *batch);
void subject_put(struct view key, struct view value);
void subject_erase(struct view key);

void subject_expect(struct view key, struct view value);
void subject_expect_absent(struct view key);

/* Ends in iterator_close of its ops. */
struct engine_iterator *subject_iterate(void);

/* It stands at a key whose value is the key; NULL: nowhere, for no error. */
void subject_expect_at(struct engine_iterator *iterator, const char *key);

#define V(text) VIEW_LITERAL(text)

#endif
