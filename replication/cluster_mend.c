#include "replication/cluster_mend.h"

#include "base/owner.h"
#include "replication/bring.h"
#include "replication/cluster_internal.h"
#include "replication/mend.h"

#include <stdlib.h>

enum { READ_MS = 2000 };

struct cluster_mending {
    struct errand errand;
    struct cluster *cluster;
    struct blob key;
    struct mend mend;
};

static void free_mending(struct cluster_mending *mending)
{
    blob_free(&mending->key);
    free(mending);
}

/* What was damaged still is, or is not: whoever meets it next asks again. */
static void on_mended(struct mend *mend)
{
    free_mending(OWNER(mend, struct cluster_mending, mend));
}

/* By this node's own record: another owner's may be one that is not here. */
static void bring_own(struct seat *seat, struct view key,
                      const struct record *record)
{
    uint64_t progress;
    enum kist_status status = KIST_OK;

    if (record->large && seat->ring != NULL)
        status = bring_file(seat, key, record, 0, &progress);
    (void)status;
}

static void at_home(struct errand *errand, enum errand_fate fate)
{
    struct cluster_mending *mending =
        OWNER(errand, struct cluster_mending, errand);
    struct seat *seat = &mending->cluster->seat;
    struct view key = blob_view(&mending->key);
    struct item item = {0};
    enum kist_status status = KIST_STOPPING;

    if (fate == ERRAND_DONE)
        status = seat->env->ops->get(seat->env, key, &item);
    if (status == KIST_OK)
        bring_own(seat, key, &item.record);
    item_free(&item);
    mending->mend =
        (struct mend){.key = key, .timeout_ms = READ_MS, .done = on_mended};
    if (status != KIST_CORRUPT || mend_start(&mending->mend, seat) != KIST_OK)
        free_mending(mending);
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
