#include "api/get_redis.h"

#include "api/api.h"
#include "api/reply.h"
#include "base/owner.h"
#include "storage/commit.h"

#include <stdlib.h>
#include <string.h>

struct get_redis {
    struct request *request; /* NULL: its client is gone. */
    get_quorum_done *done;
    struct commit_group group;
    struct write write;
    struct blob bytes;    /* The media type, then the value. */
    struct record record; /* Its views are made of these at the end. */
    bool found;
    char key[]; /* Of write. */
};

static void get_redis_free(struct get_redis *get)
{
    blob_free(&get->bytes);
    free(get);
}

static void on_detach(struct request *request)
{
    struct get_redis *get = request->work;

    get->request = NULL;
}

/* A copy, on the thread that has read it. It may be called again. */
static enum kist_status keep(struct write *write, const struct record *current,
                             struct record *next)
{
    struct get_redis *get = write->ctx;

    (void)next;
    write->unchanged = true;
    get->found = current != NULL;
    if (current == NULL)
        return KIST_OK;
    blob_clear(&get->bytes);
    blob_append(&get->bytes, current->media_type);
    blob_append(&get->bytes, current->value);
    if (get->bytes.failed)
        return KIST_NO_MEMORY;
    get->record = *current;
    return KIST_OK;
}

static void read(struct commit_group *group)
{
    struct get_redis *get = OWNER(group, struct get_redis, group);
    struct request *request = get->request;
    get_quorum_done *done = get->done;
    enum kist_status status = get->write.status;
    struct item item = {0};

    if (request == NULL) {
        get_redis_free(get);
        return;
    }
    if (request->detach != NULL)
        request->work = NULL; /* It is get. */
    request->detach = NULL;
    if (status == KIST_OK && !get->found)
        status = KIST_NOT_FOUND;
    if (status == KIST_OK) {
        size_t media_size = get->record.media_type.size;

        item.record = get->record;
        item.record.media_type = (struct view){get->bytes.data, media_size};
        item.record.value = view_from(blob_view(&get->bytes), media_size);
        item.hold = hold_blob(&get->bytes);
    }
    get_redis_free(get);
    done(request, status, &item, 1);
}

/* Nobody else has its work, and what comes of it is the answer. */
static bool may_detach(const struct request *request)
{
    return request->work == NULL &&
           request->headers[HEADER_PREFER].data == NULL;
}

void get_redis_start(struct request *request, get_quorum_done *done)
{
    struct get_redis *get = calloc(1, sizeof(*get) + request->key.size);
    enum kist_status status = KIST_NO_MEMORY;

    if (get != NULL) {
        get->request = request;
        get->done = done;
        memcpy(get->key, request->key.data, request->key.size);
        get->write = (struct write){
            .key = {get->key, request->key.size}, .edit = keep, .ctx = get};
        get->group = (struct commit_group){
            .writes = &get->write,
            .count = 1,
            .bytes = sizeof(*get),
            .done = read,
        };
        status = commit_lane_add(request->api_loop->lane, &get->group);
    }
    if (status == KIST_OK) {
        request->abandon = NULL; /* A wait's; that is over. */
        if (may_detach(request)) {
            request->work = get;
            request->detach = on_detach;
        }
        return;
    }
    free(get);
    reply_status(request, status, "The value was not read");
}
