/*
 * owner - from a member back to the struct that it is part of.
 *
 * Tasks, works, groups and waiters live inside the struct they are about and
 * come back as a pointer to themselves:
 *
 *     struct sweep *sweep = OWNER(work, struct sweep, work);
 */
#ifndef KIST_BASE_OWNER_H
#define KIST_BASE_OWNER_H

#include <stddef.h>

/* By way of void: the member's alignment says less than the struct's. */
#define OWNER(pointer, type, member)                                           \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
