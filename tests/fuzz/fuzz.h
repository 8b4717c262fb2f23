/*
 * fuzz - the one function a fuzz target has.
 *
 * libFuzzer calls it with -Dfuzz=true, replay.c otherwise. A target returns 0
 * and aborts (assert) when a promise is broken. It knows no other input: the
 * same bytes do the same.
 */
#ifndef KIST_TESTS_FUZZ_FUZZ_H
#define KIST_TESTS_FUZZ_FUZZ_H

#include "base/bytes.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two texts in one input, apart by the first NUL: cut the first one off. */
struct view fuzz_cut(struct view *input);

#endif
