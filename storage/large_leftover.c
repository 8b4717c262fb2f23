#include "storage/large_leftover.h"

#include "base/owner.h"

#include <stdlib.h>

struct large_leftover {
    struct commit_group group;
    struct write write;
    struct blob reference;
};

static void done(struct commit_group *group)
{
    struct large_leftover *leftover =
        OWNER(group, struct large_leftover, group);

    blob_free(&leftover->reference);
    free(leftover);
}

void large_leftover_give_up(struct commit_lane *lane,
                            const struct large_reference *file)
{
    struct large_leftover *leftover = calloc(1, sizeof(*leftover));

    if (leftover == NULL)
        return;
    large_reference_encode(file, &leftover->reference);
    leftover->write = (struct write){
        .kind = WRITE_LEFTOVER,
        .next.value = blob_view(&leftover->reference),
    };
    leftover->group = (struct commit_group){
        .writes = &leftover->write,
        .count = 1,
        .bytes = sizeof(*leftover),
        .done = done,
    };
    if (leftover->reference.failed ||
        commit_lane_add(lane, &leftover->group) != KIST_OK)
        done(&leftover->group);
}
