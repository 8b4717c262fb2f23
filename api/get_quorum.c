#include "api/get_quorum.h"

#include "api/api.h"
#include "api/get_redis.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/quorum_read.h"

#include <stdlib.h>
#include <string.h>

/* Owners that answer late are read, and repaired, when the request is gone. */
struct get_quorum {
    struct request *request;
    struct copies copies;
    get_quorum_done *done;
    struct quorum_read read;
    char key[]; /* Of read. */
};

bool get_quorum_is_here(struct request *request, const struct copies *copies)
{
    if (request->api_loop->seat == NULL)
        return request->api->redis == NULL;
    return copies->r == 1 && request->headers[HEADER_KIST_AFTER].data == NULL &&
           copies_are_here(request, copies->n);
}

static void reply_too_few(struct request *request, const struct copies *copies,
                          unsigned answers)
{
    copies_read_receipt(request, copies, answers);
    reply_problem(request, PROBLEM_TOO_FEW,
                  "Too few of the %u nodes that have this key answered in "
                  "time (r=%u). Try again, or with a smaller r.",
                  copies->n, copies->r);
}

/* A copy: the read goes on using its own for those who are behind. */
static enum kist_status keep_record(const struct quorum_read *read,
                                    struct item *out_item)
{
    struct blob copy = BLOB_EMPTY;

    if (!read->found)
        return KIST_NOT_FOUND;
    blob_append(&copy, blob_view(&read->winner));
    if (copy.failed) {
        blob_free(&copy);
        return KIST_NO_MEMORY;
    }
    record_trust(blob_view(&copy), &out_item->record);
    out_item->hold = hold_blob(&copy);
    return KIST_OK;
}

static void on_answered(struct quorum_read *read)
{
    struct get_quorum *get = OWNER(read, struct get_quorum, read);
    struct item item = {0};
    enum kist_status status;

    if (read->outcome == QUORUM_READ_TOO_FEW) {
        reply_too_few(get->request, &get->copies, read->answers);
        return;
    }
    status = keep_record(read, &item);
    get->done(get->request, status, &item, read->answers);
}

static void on_ended(struct quorum_read *read)
{
    free(OWNER(read, struct get_quorum, read));
}

static enum kist_status start(struct get_quorum *get)
{
    struct request *request = get->request;
    const struct quorum_defaults *defaults = &request->api->quorum;

    memcpy(get->key, request->key.data, request->key.size);
    get->read = (struct quorum_read){
        .key = {get->key, request->key.size},
        .n = get->copies.n,
        .r = get->copies.r,
        .w = get->copies.w,
        .after = preconditions_version(request, HEADER_KIST_AFTER),
        .timeout_ms = defaults->read_timeout_ms,
        .hedge_ms = defaults->hedge_ms,
        .answered = on_answered,
        .ended = on_ended,
    };
    return quorum_read_start(&get->read, request->api_loop->seat);
}

void get_quorum_start(struct request *request, const struct copies *copies,
                      get_quorum_done *done)
{
    struct get_quorum *get;
    struct copies asked = *copies;
    enum kist_status status = KIST_NO_MEMORY;

    if (request->api->redis != NULL) {
        get_redis_start(request, done);
        return;
    }
    if (request->headers[HEADER_KIST_AFTER].data != NULL &&
        !copies_after(request, &asked))
        return;
    get = calloc(1, sizeof(*get) + request->key.size);
    if (get != NULL) {
        get->request = request;
        get->copies = asked;
        get->done = done;
        status = start(get);
    }
    if (status == KIST_OK) {
        request->abandon = NULL; /* A wait's; that is over. */
        return;
    }
    free(get);
    if (status == KIST_BUSY)
        reply_too_few(request, copies, 0);
    else
        reply_status(request, status, "The value was not read");
}
