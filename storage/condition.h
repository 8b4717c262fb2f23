/*
 * condition - If-Match and If-None-Match, as the commit decides them.
 */
#ifndef KIST_STORAGE_CONDITION_H
#define KIST_STORAGE_CONDITION_H

#include "storage/record.h"

#define CONDITION_VERSIONS 8

enum condition_kind {
    CONDITION_NONE,
    CONDITION_ABSENT,  /* If-None-Match: * */
    CONDITION_PRESENT, /* If-Match: * */
    CONDITION_ANY_OF,  /* If-Match: one of versions. */
    CONDITION_NONE_OF, /* If-None-Match: none of versions; absent holds. */
};

struct condition {
    enum condition_kind kind;
    size_t count;
    struct version versions[CONDITION_VERSIONS];
};

/* current: NULL where the key has no value. */
bool condition_holds(const struct condition *condition,
                     const struct record *current);

#endif
