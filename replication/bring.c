#include "replication/bring.h"

static bool has(const struct env_bring *bring, uint64_t incarnation)
{
    for (unsigned i = 0; i < bring->count; i++)
        if (bring->sources[i].incarnation == incarnation)
            return true;
    return false;
}

static void add(const struct seat *seat, struct env_bring *bring, int member)
{
    const struct ring_member *found;

    if (member < 0 || bring->count == ENV_SOURCES_MAX)
        return;
    found = &seat->ring->members[member];
    if (found->incarnation == seat->env->self || has(bring, found->incarnation))
        return;
    bring->sources[bring->count++] =
        (struct env_source){found->incarnation, found->address};
}

enum answering { ANSWERING, SILENT };

static void add_owners(const struct seat *seat, struct env_bring *bring,
                       const uint16_t *row, enum answering which)
{
    const struct ring *ring = seat->ring;

    for (unsigned i = 0; i < ring->copies; i++)
        if (seat_expects(seat, ring->members[row[i]].incarnation) ==
            (which == ANSWERING))
            add(seat, bring, row[i]);
}

enum kist_status bring_plan(const struct seat *seat, struct view key,
                            const struct record *record, uint64_t from,
                            struct env_bring *out_bring)
{
    const struct ring *ring = seat->ring;
    unsigned partition = ring_partition_of(ring, key);

    out_bring->count = 0;
    if (!record->large ||
        large_reference_decode(record->value, &out_bring->file) != KIST_OK)
        return KIST_CORRUPT;
    if (from != 0)
        add(seat, out_bring, ring_find_incarnation(ring, from));
    for (int which = ANSWERING; which <= SILENT; which++) {
        add_owners(seat, out_bring, ring_owners_of(ring, partition),
                   (enum answering)which);
        add_owners(seat, out_bring, ring_next_of(ring, partition),
                   (enum answering)which);
    }
    return KIST_OK;
}

enum kist_status bring_file(struct seat *seat, struct view key,
                            const struct record *record, uint64_t from,
                            uint64_t *out_progress)
{
    struct env_bring bring;
    enum kist_status status = bring_plan(seat, key, record, from, &bring);

    *out_progress = 0;
    if (status != KIST_OK)
        return status;
    return seat->env->ops->bring(seat->env, &bring, out_progress);
}
