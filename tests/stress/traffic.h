/*
 * traffic - a loop that writes without a pause, and remembers what it was
 * answered.
 *
 * Each loop has keys of its own, of which each has one write under way at a
 * time, with a number that grows; and all loops count up one key together.
 *
 * Threads: traffic_open(), _start() and the calls marked "after" on the main
 * one; traffic_expects() from any.
 */
#ifndef KIST_TESTS_STRESS_TRAFFIC_H
#define KIST_TESTS_STRESS_TRAFFIC_H

#include "service/waiters.h"
#include "storage/commit.h"

#include <stdatomic.h>

/* The last keys of a loop expire as soon as they are written. */
enum { TRAFFIC_KEYS = 16, TRAFFIC_FADING = 4, TRAFFIC_LOOPS = 3 };

#define TRAFFIC_COUNTER "count"

struct traffic;

/* What it stands on; all kept. */
struct ground {
    struct store *store;
    struct commit *commit;
    struct waiters *waiters;
    const atomic_bool *stopping;
};

struct traffic *traffic_open(const struct ground *ground, unsigned number);
void traffic_start(struct traffic *traffic);

/* After ground.stopping was set: waits until all is answered. */
void traffic_close(struct traffic *traffic);
void traffic_free(struct traffic *traffic);

/* The key's last acknowledged number, and the last that was ever tried. */
void traffic_expects(const struct traffic *traffic, unsigned key,
                     uint64_t *out_acked, uint64_t *out_tried);

/* After: what of the common key was acknowledged, and what is unknown. */
uint64_t traffic_counted(const struct traffic *traffic);
uint64_t traffic_uncertain(const struct traffic *traffic);
uint64_t traffic_woken(const struct traffic *traffic);
uint64_t traffic_written(const struct traffic *traffic);

/* "key:number" and filling; the number in it, or give_up(). */
struct traffic_name {
    char text[16];
};
struct traffic_name traffic_key(unsigned loop, unsigned key);
uint64_t traffic_number_in(struct view key, struct view value);

#endif
