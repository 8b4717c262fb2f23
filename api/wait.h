/*
 * wait - keep a request until the value of its key changes, or time is over
 * (RFC 7240, wait; long polling).
 */
#ifndef KIST_API_WAIT_H
#define KIST_API_WAIT_H

#include "api/request.h"
#include "storage/version.h"

enum wait_time {
    WAIT_GOES_ON,
    WAIT_IS_OVER, /* Nothing more is waited for: answer with what is there. */
};

struct wait_rule {
    /*
     * Look at the value, once, for it may be big. True: the request was
     * answered, and this is not called again. False: *out_next_ms is when to
     * look again although nobody wrote (wall clock; 0: no such time).
     */
    bool (*look)(struct request *request, enum wait_time time,
                 uint64_t *out_next_ms);
};

/*
 * Takes over request->work. rule is kept, and static. known: the version that
 * the client has, or none; where records are in Redis, another one is waited
 * for.
 */
void wait_begin(struct request *request, const struct wait_rule *rule,
                uint64_t wait_ms, struct version known);

/* Of a rule's look: another version than the known one was seen in Redis. */
bool wait_has_changed(const struct request *request);

#endif
