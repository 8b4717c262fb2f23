#include "replication/roll.h"

#include <assert.h>
#include <string.h>

const char *roll_standing_name(enum roll_standing standing)
{
    switch (standing) {
    case ROLL_UNHEARD:
        return "unheard";
    case ROLL_ALIVE:
        return "alive";
    case ROLL_SILENT:
        return "silent";
    case ROLL_STRANGER:
        return "stranger";
    case ROLL_ELSEWHERE:
        return "elsewhere";
    case ROLL_GONE:
        return "gone";
    }
    assert(false);
    return "";
}

unsigned roll_count(const struct roll *roll)
{
    return atomic_load_explicit(&((struct roll *)roll)->count,
                                memory_order_acquire);
}

static struct roll_entry *entry_at(const struct roll *roll, unsigned number)
{
    assert(number < ROLL_MAX);
    return &((struct roll *)roll)->entries[number];
}

static struct roll_entry *entry_of(const struct roll *roll,
                                   uint64_t incarnation)
{
    unsigned count = roll_count(roll);

    for (unsigned i = 0; incarnation != 0 && i < count; i++) {
        struct roll_entry *entry = entry_at(roll, i);

        if (atomic_load(&entry->incarnation) == incarnation)
            return entry;
    }
    return NULL;
}

bool roll_answers(const struct roll *roll, uint64_t incarnation)
{
    struct roll_entry *entry = entry_of(roll, incarnation);

    return entry != NULL && atomic_load(&entry->standing) == ROLL_ALIVE;
}

bool roll_takes_writes(const struct roll *roll, uint64_t incarnation)
{
    struct roll_entry *entry = entry_of(roll, incarnation);

    return entry != NULL && atomic_load(&entry->standing) == ROLL_ALIVE &&
           atomic_load(&entry->store) == STORE_READ_WRITE &&
           atomic_load(&entry->clock_is_good);
}

struct roll_line roll_read(const struct roll *roll, unsigned number)
{
    struct roll_entry *entry = entry_at(roll, number);

    return (struct roll_line){
        .incarnation = atomic_load(&entry->incarnation),
        .heard = atomic_load(&entry->heard),
        .standing = (enum roll_standing)atomic_load(&entry->standing),
        .store = (enum store_state)atomic_load(&entry->store),
        .clock_is_good = atomic_load(&entry->clock_is_good) != 0,
        .epoch = atomic_load(&entry->epoch),
        .digest = atomic_load(&entry->digest),
        .clock_ahead_ms = atomic_load(&entry->clock_ahead_ms),
        .round_trip_ms = atomic_load(&entry->round_trip_ms),
        .heard_at_ms = atomic_load(&entry->heard_at_ms),
    };
}

const char *roll_name(const struct roll *roll, unsigned number)
{
    return entry_at(roll, number)->name;
}

int roll_enter(struct roll *roll, struct view name)
{
    unsigned count = roll_count(roll);

    for (unsigned i = 0; i < count; i++)
        if (view_is(name, roll->entries[i].name))
            return (int)i;
    if (count == ROLL_MAX || name.size > RING_NAME_MAX)
        return -1;
    memcpy(roll->entries[count].name, name.data, name.size);
    atomic_store_explicit(&roll->count, count + 1, memory_order_release);
    return (int)count;
}

void roll_write(struct roll *roll, unsigned number,
                const struct roll_line *line)
{
    struct roll_entry *entry = entry_at(roll, number);

    atomic_store(&entry->incarnation, line->incarnation);
    atomic_store(&entry->heard, line->heard);
    atomic_store(&entry->standing, line->standing);
    atomic_store(&entry->store, line->store);
    atomic_store(&entry->clock_is_good, line->clock_is_good);
    atomic_store(&entry->epoch, line->epoch);
    atomic_store(&entry->digest, line->digest);
    atomic_store(&entry->clock_ahead_ms, line->clock_ahead_ms);
    atomic_store(&entry->round_trip_ms, line->round_trip_ms);
    atomic_store(&entry->heard_at_ms, line->heard_at_ms);
}
