#include "replication/cluster_mend.h"

#include "base/owner.h"
#include "replication/bring.h"
#include "replication/cluster_internal.h"

#include <stdlib.h>

struct cluster_mending {
    struct errand errand;
    struct cluster *cluster;
    struct blob key;
};

/* By this node's own record: another owner's may be one that is not here. */
static void bring_own(struct cluster *cluster, struct view key)
{
    struct seat *seat = &cluster->seat;
    struct item item = {0};
    uint64_t progress;
    enum kist_status status = seat->env->ops->get(seat->env, key, &item);

    if (status == KIST_OK && item.record.large && seat->ring != NULL)
        status = bring_file(seat, key, &item.record, 0, &progress);
    (void)status;
    item_free(&item);
}

static void at_home(struct errand *errand, enum errand_fate fate)
{
    struct cluster_mending *mending =
        OWNER(errand, struct cluster_mending, errand);

    if (fate == ERRAND_DONE)
        bring_own(mending->cluster, blob_view(&mending->key));
    blob_free(&mending->key);
    free(mending);
}

void cluster_mend(struct cluster *cluster, struct view key)
{
    struct cluster_mending *mending = calloc(1, sizeof(*mending));

    if (mending == NULL)
        return;
    mending->errand.run = at_home;
    mending->cluster = cluster;
    blob_append(&mending->key, key);
    if (mending->key.failed)
        at_home(&mending->errand, ERRAND_TOO_LATE);
    else
        errands_add(&cluster->errands, &mending->errand);
}
