/*
 * file_lane - one loop's work on files, a few pieces at a time.
 *
 * The pool is shared with listings and batches. A hundred uploads that all
 * sync at once would take every thread of it for as long as the disk likes, so
 * a loop hands over FILE_LANE_WIDTH pieces of file work and keeps the others
 * waiting in their order; kistd makes the pool wider by as much a loop.
 *
 * Threads: all on the loop; run() alone on a pool thread.
 */
#ifndef KIST_API_FILE_LANE_H
#define KIST_API_FILE_LANE_H

#include "base/loop.h"

#include <stddef.h>

enum { FILE_LANE_WIDTH = 2 };

struct file_lane;

/* Kept from file_lane_add() until done was called; may then be added again. */
struct file_work {
    void (*run)(struct file_work *work);
    void (*done)(struct file_work *work);

    /* The lane's own. */
    struct loop_work pooled;
    struct file_lane *lane;
    struct file_work *next;
};

struct file_lane {
    struct loop *loop; /* Kept; set before the first work. */
    struct file_work *first;
    struct file_work *last;
    size_t running;
};

/* Cannot fail, for what must be cleaned up must be. */
void file_lane_add(struct file_lane *lane, struct file_work *work);

/* Nothing is waiting or running. */
bool file_lane_is_idle(const struct file_lane *lane);

#endif
