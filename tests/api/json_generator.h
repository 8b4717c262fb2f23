/*
 * json_generator - endless JSON, and endless almost-JSON, from one seed.
 *
 * The same seed gives the same texts on every machine, so that a failure can
 * be repeated by its number.
 */
#ifndef KIST_TESTS_API_JSON_GENERATOR_H
#define KIST_TESTS_API_JSON_GENERATOR_H

#include "base/bytes.h"

#include <stdint.h>

struct json_generator {
    uint64_t state;
};

struct json_generator json_generator_new(uint64_t seed);

/* Evenly from 0 to below bound, which is not 0. */
uint32_t json_generator_below(struct json_generator *from, uint32_t bound);

/*
 * Append one value, nested at most depth times: few names from a small set
 * (so that duplicates happen), odd spellings, white space in odd places.
 */
void json_generator_value(struct json_generator *from, unsigned depth,
                          struct blob *out);

/* Damage text at one to three places, mostly with bytes that mean something. */
void json_generator_mutate(struct json_generator *from, struct blob *text);

#endif
