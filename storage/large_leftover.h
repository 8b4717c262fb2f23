/*
 * large_leftover - a file that came for a record of another node, or to be
 * fetched by others, and that maybe no record of this one names.
 *
 * Its name may be known elsewhere: the same write, sent once more, has the same
 * file. So it is not for whoever brought it to say that nobody needs it. The
 * commit looks, in turn with the writes that make records name files.
 */
#ifndef KIST_STORAGE_LARGE_LEFTOVER_H
#define KIST_STORAGE_LARGE_LEFTOVER_H

#include "storage/commit.h"

/*
 * In this turn's hand-over of the lane's loop, if the lane takes it; else the
 * next start of the node finds that nobody names the file.
 */
void large_leftover_give_up(struct commit_lane *lane,
                            const struct large_reference *file);

#endif
