#include "replication/mend.h"

#include "base/owner.h"

static void finish(struct mend *mend, enum kist_status status)
{
    mend->status = status;
    blob_free(&mend->record);
    mend->done(mend);
}

static void on_applied(struct env_apply *apply)
{
    finish(OWNER(apply, struct mend, apply), apply->status);
}

static void on_answered(struct quorum_read *read)
{
    struct mend *mend = OWNER(read, struct mend, read);

    mend->status = KIST_NOT_FOUND;
    if (read->outcome == QUORUM_READ_TOO_FEW)
        mend->status = KIST_BUSY;
    else if (read->found)
        blob_append(&mend->record, blob_view(&read->winner));
}

static void on_ended(struct quorum_read *read)
{
    struct mend *mend = OWNER(read, struct mend, read);
    struct env *env = mend->seat->env;

    if (mend->record.size == 0) {
        finish(mend, mend->record.failed ? KIST_NO_MEMORY : mend->status);
        return;
    }
    mend->apply = (struct env_apply){.key = mend->key,
                                     .sync = ENGINE_SYNC,
                                     .floor = mend->seat->floor,
                                     .done = on_applied};
    record_trust(blob_view(&mend->record), &mend->apply.record);
    env->ops->apply(env, &mend->apply);
}

enum kist_status mend_start(struct mend *mend, struct seat *seat)
{
    const struct ring *ring = seat->ring;

    if (ring == NULL || !ring_is_owner(ring, ring_partition_of(ring, mend->key),
                                       seat->env->self))
        return KIST_BUSY;
    mend->seat = seat;
    mend->record = BLOB_EMPTY;
    mend->read = (struct quorum_read){
        .key = mend->key,
        .n = ring->copies,
        .r = ring->copies / 2 + 1,
        .w = ring->copies / 2 + 1,
        .timeout_ms = mend->timeout_ms,
        .hedge_ms = mend->timeout_ms,
        .answered = on_answered,
        .ended = on_ended,
    };
    return quorum_read_start(&mend->read, seat);
}
