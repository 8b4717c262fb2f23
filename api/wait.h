/*
 * wait - keep a request until the value of its key changes, or time is over
 * (RFC 7240, wait; long polling).
 */
#ifndef KIST_API_WAIT_H
#define KIST_API_WAIT_H

#include "api/request.h"

struct wait_rule {
    /*
     * Look at the value: true, it is time to answer. *out_next_ms: when to
     * look again although nobody wrote (wall clock; 0: no such time).
     */
    bool (*is_over)(struct request *request, uint64_t *out_next_ms);
    /* Answer with what is there now. Called once. */
    void (*finish)(struct request *request);
};

/* Takes over request->work. rule is kept, and static. */
void wait_begin(struct request *request, const struct wait_rule *rule,
                uint64_t wait_ms);

#endif
