/*
 * redis_flight - what was said to one Redis and not heard of yet.
 *
 * Commands are said as they come, whether or not those before them were
 * answered: so Redis, who says them and who has the answers work at the same
 * time. Answers come in the order of the commands. Where a write waits for
 * replicas (WAIT) nothing is said until all before it was heard: Redis would
 * not look at it any sooner.
 *
 * Threads: the line's.
 */
#ifndef KIST_STORAGE_REDIS_FLIGHT_H
#define KIST_STORAGE_REDIS_FLIGHT_H

#include "storage/redis_map.h"

struct redis_flight {
    struct redis_node *node; /* Set by who has it; kept. */

    struct redis_link *link;     /* NULL: there is none. */
    bool lacks_replicas;         /* Too few had all of link's last writes. */
    char sha[REDIS_SCRIPTS][41]; /* The scripts' names at this Redis. */
    struct redis_command command;

    struct redis_task_list said;    /* In the order of their answers. */
    struct redis_task_list waiting; /* Done, once enough replicas have it. */
    struct redis_task_list goes_on; /* Heard of, with more to be said. */
    bool asks_replicas;             /* WAIT was said, after all of said. */
    bool asked;                     /* ASKING of the first of said was heard. */
    uint64_t moved_ns;              /* Last heard of, or first said. */

    /* Since nothing was in flight. */
    size_t count;
    size_t bytes;
};

void redis_flight_init(struct redis_flight *flight, struct redis_node *node);

/* Nothing is in flight. */
void redis_flight_clear(struct redis_flight *flight);

/* Connect, and make the scripts known. KIST_IO, KIST_NO_MEMORY: no link. */
KIST_CHECKED enum kist_status redis_flight_connect(struct redis_flight *flight);

/* Nothing that was said is unheard. */
bool redis_flight_is_empty(const struct redis_flight *flight);

/* When what is in flight should have been heard of. */
uint64_t redis_flight_late_ns(const struct redis_flight *flight);

/* More may be said now. */
bool redis_flight_has_room(const struct redis_flight *flight);

/*
 * Say those of *tasks that are due, as long as there is room; the rest stays.
 * KIST_IO, KIST_NO_MEMORY: the link is dead; redis_flight_lose() follows.
 */
KIST_CHECKED enum kist_status redis_flight_say(struct redis_flight *flight,
                                               struct redis_task_list *tasks);

/* Take what has come, once; blocks if nothing has. Errors as above. */
KIST_CHECKED enum kist_status redis_flight_hear(struct redis_flight *flight);

/*
 * Close the link. What was said and not heard of goes on, as something that
 * may have happened.
 */
void redis_flight_lose(struct redis_flight *flight);

#endif
