#include "replication/seats.h"

#include <assert.h>

unsigned seats_enter(struct seats *seats)
{
    unsigned number = atomic_fetch_add(&seats->count, 1);

    assert(number < SEATS_MAX);
    return number;
}

void seats_settle(struct seats *seats, unsigned number, uint64_t phase)
{
    atomic_store(&seats->settled[number], phase);
}

void seats_leave(struct seats *seats, unsigned number)
{
    seats_settle(seats, number, UINT64_MAX);
}

bool seats_are_settled(const struct seats *seats, uint64_t phase)
{
    struct seats *all = (struct seats *)seats;
    unsigned count = atomic_load(&all->count);

    for (unsigned i = 0; i < count; i++)
        if (atomic_load(&all->settled[i]) < phase)
            return false;
    return true;
}
