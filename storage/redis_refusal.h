/*
 * redis_refusal - what an error of Redis means for the command it answers.
 *
 * An error says that the command did nothing.
 */
#ifndef KIST_STORAGE_REDIS_REFUSAL_H
#define KIST_STORAGE_REDIS_REFUSAL_H

#include "base/status.h"
#include "storage/redis_link.h"

enum redis_refusal_kind {
    REDIS_REFUSAL_MOVED,    /* The slot is at address, for good. */
    REDIS_REFUSAL_ASK,      /* This once it is there: the slot is moving. */
    REDIS_REFUSAL_NOSCRIPT, /* Send the script itself. */
    REDIS_REFUSAL_DEMOTED,  /* No master any more: look at the map. */
    REDIS_REFUSAL_LATER,    /* Loading, failing over, moving: in a moment. */
    REDIS_REFUSAL_FINAL,    /* status. */
};

struct redis_refusal {
    enum redis_refusal_kind kind;
    struct redis_address address; /* Its host may be empty: the same one. */
    enum kist_status status;
};

struct redis_refusal redis_refusal_read(struct view text);

#endif
