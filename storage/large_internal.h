/*
 * large_internal - the directory of large values, for those who go through it
 * file by file (storage/large_orphans.c, storage/large_scrub.c).
 *
 * Threads: what changes something, the one that also calls large_tend().
 */
#ifndef KIST_STORAGE_LARGE_INTERNAL_H
#define KIST_STORAGE_LARGE_INTERNAL_H

#include "storage/large.h"

enum { LARGE_PLACES = 256 };

/* The descriptor of large/, open as long as large is. */
int large_directory(const struct large *large);

/*
 * This process has put the file into its place, or is about to; and nobody
 * needs to know any more: what earlier runs have left is collected.
 */
bool large_is_of_this_run(struct large *large,
                          const struct large_reference *reference);
void large_collected(struct large *large);

/*
 * So many files of earlier runs are in this place: they are in the statistics
 * from now on.
 */
void large_count_place(struct large *large, unsigned place, uint64_t files,
                       uint64_t bytes);

/*
 * What is dropped is not removed before as many releases: a file that a record
 * names, or named after the call, can be opened until then. Any thread.
 */
void large_hold(struct large *large);
void large_release(struct large *large);

enum large_judgement {
    LARGE_MAY_GO,  /* Look whether a record names it; then large_judge_end(). */
    LARGE_CLAIMED, /* Somebody is about to make one name it. */
    LARGE_HELD,    /* Nothing may go now: ask again later. */
};

/* Around the look whether a record names the file, and its removal. */
KIST_CHECKED enum large_judgement
large_judge_begin(struct large *large, const struct large_reference *reference);
void large_judge_end(struct large *large);

/* Move the file to large/damaged. False as below. Blocks. */
KIST_CHECKED bool large_set_aside(struct large *large,
                                  const struct large_reference *reference);

/* Remove the file now. False: it is still there; errno says why. Blocks. */
KIST_CHECKED bool large_remove(struct large *large,
                               const struct large_reference *reference);

#endif
