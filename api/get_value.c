#include "api/get_value.h"

#include "api/api.h"
#include "api/digest.h"
#include "api/entity.h"
#include "api/etag.h"
#include "api/exchange.h"
#include "api/far_value.h"
#include "api/large_value.h"
#include "api/range.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/cluster_mend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a loop may hash between two events, and the pool in one turn. */
#define ON_LOOP (UINT64_C(64) * 1024)
#define SLICE   (UINT64_C(16) * 1024 * 1024)
#define BUFFER  ((size_t)256 * 1024)

struct answer {
    struct request *request;
    struct item item;
    unsigned code;
    int descriptor;        /* -1: the value is in memory, far, or not needed. */
    struct far_value *far; /* Or NULL. */
    void (*gone)(struct request *request);
    uint64_t size; /* Of the value. */
    uint64_t first, count;
    struct digest *repr;    /* Of all of it. NULL: not wanted. */
    struct digest *content; /* Of what is sent. */

    /* Hashing: the pool's while it runs. */
    struct file_work work;
    uint64_t at, end;
    uint64_t charged; /* To answer_memory, for what is in memory meanwhile. */
    enum kist_status status;
};

static struct budget *memory_of(const struct answer *answer)
{
    return &answer->request->exchange->http_loop->shared->answer_memory;
}

static void clear(struct answer *answer)
{
    item_free(&answer->item);
    digest_free(answer->repr);
    digest_free(answer->content);
    far_value_free(answer->far);
    if (answer->descriptor >= 0)
        close(answer->descriptor);
}

/* Which bytes. */

static enum range_kind find_range(struct answer *answer)
{
    const struct request *request = answer->request;
    struct view if_range = request->headers[HEADER_IF_RANGE];
    struct version version;

    answer->first = 0;
    answer->count = answer->size;
    if (request->method != METHOD_GET || answer->code != 200)
        return RANGE_WHOLE;
    if (if_range.data != NULL &&
        (!etag_read_one(if_range, &version) ||
         !version_equal(version, answer->item.record.version)))
        return RANGE_WHOLE;
    return range_read(request->headers[HEADER_RANGE], answer->size,
                      &answer->first, &answer->count);
}

static void reply_unsatisfiable(struct answer *answer)
{
    struct request *request = answer->request;

    reply_header(request, "Content-Range", "bytes */%" PRIu64, answer->size);
    reply_member_number(request, "size", answer->size);
    clear(answer);
    reply_problem(request, PROBLEM_RANGE,
                  "The range begins behind the end of the value.");
}

/* The reply. */

static bool add_digest(struct request *request, const char *name,
                       struct digest *digest)
{
    struct blob field = BLOB_EMPTY;
    bool made;

    if (digest == NULL)
        return true;
    digest_append_field(digest, &field);
    made = !field.failed;
    if (made)
        reply_header(request, name, "%.*s", (int)field.size, field.data);
    blob_free(&field);
    return made;
}

/* Ends the answer, whose record and descriptor go with it. */
static void send_value(struct answer *answer)
{
    struct request *request = answer->request;
    struct record *record = &answer->item.record;
    char media_type[RECORD_MEDIA_TYPE_MAX + 1];
    int descriptor = answer->descriptor;

    if (!add_digest(request, "Repr-Digest", answer->repr) ||
        !add_digest(request, "Content-Digest", answer->content)) {
        clear(answer);
        reply_status(request, KIST_NO_MEMORY, "The value was not read");
        return;
    }
    if (answer->code == 206)
        reply_header(request, "Content-Range",
                     "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, answer->first,
                     answer->first + answer->count - 1, answer->size);
    entity_headers(request, record);
    reply_header_literal(request, "Accept-Ranges", "bytes");
    memcpy(media_type, record->media_type.data, record->media_type.size);
    media_type[record->media_type.size] = '\0';
    if (answer->far != NULL && answer->code != 304 &&
        request->method == METHOD_GET) {
        struct far_value *far = answer->far;

        answer->far = NULL;
        far_value_reply(request, answer->code, media_type, far);
    } else if (record->large) {
        answer->descriptor = -1;
        reply_file(request, answer->code, media_type, descriptor, answer->first,
                   answer->count);
    } else {
        reply_held(request, answer->code, media_type, &answer->item.hold,
                   (struct view){record->value.data + answer->first,
                                 (size_t)answer->count});
    }
    clear(answer);
}

/* Digests. */

static void add_bytes(struct answer *answer, struct view bytes)
{
    uint64_t from = answer->at, to = answer->at + bytes.size;
    uint64_t first = answer->first, last = answer->first + answer->count;

    if (answer->repr != NULL)
        digest_add(answer->repr, bytes);
    if (answer->content != NULL && from < last && to > first) {
        if (from < first) {
            bytes = view_from(bytes, (size_t)(first - from));
            from = first;
        }
        if (to > last)
            bytes.size = (size_t)(last - from);
        digest_add(answer->content, bytes);
    }
    answer->at = to;
}

static enum kist_status hash_far(struct answer *answer, uint64_t to)
{
    char *buffer = malloc(FAR_VALUE_PIECE);
    enum kist_status status = buffer == NULL ? KIST_NO_MEMORY : KIST_OK;

    while (status == KIST_OK && answer->at < to) {
        uint64_t left = to - answer->at;
        size_t size = left < FAR_VALUE_PIECE ? (size_t)left : FAR_VALUE_PIECE;

        status = far_value_read(answer->far, answer->at, size, buffer);
        if (status == KIST_OK)
            add_bytes(answer, (struct view){buffer, size});
    }
    free(buffer);
    return status;
}

/* KIST_CORRUPT: the file is shorter than it was when it was opened. */
static enum kist_status hash_file(struct answer *answer, uint64_t to)
{
    char *buffer = malloc(BUFFER);
    enum kist_status status = buffer == NULL ? KIST_NO_MEMORY : KIST_OK;

    while (status == KIST_OK && answer->at < to) {
        uint64_t left = to - answer->at;
        ssize_t size =
            pread(answer->descriptor, buffer,
                  left < BUFFER ? (size_t)left : BUFFER, (off_t)answer->at);

        if (size > 0)
            add_bytes(answer, (struct view){buffer, (size_t)size});
        else if (size == 0)
            status = KIST_CORRUPT;
        else if (errno != EINTR)
            status = KIST_IO;
    }
    free(buffer);
    return status;
}

static enum kist_status hash_some(struct answer *answer)
{
    uint64_t left = answer->end - answer->at;
    uint64_t to = answer->at + (left < SLICE ? left : SLICE);
    const char *value = answer->item.record.value.data;

    if (answer->far != NULL)
        return hash_far(answer, to);
    if (answer->item.record.large)
        return hash_file(answer, to);
    add_bytes(answer,
              (struct view){value + answer->at, (size_t)(to - answer->at)});
    return KIST_OK;
}

static void run_hash(struct file_work *work)
{
    struct answer *answer = OWNER(work, struct answer, work);

    answer->status = KIST_OK;
    if (answer->at < answer->end)
        answer->status = hash_some(answer);
    if (answer->status == KIST_OK && answer->at == answer->end &&
        answer->far != NULL && answer->request->method == METHOD_GET)
        answer->status =
            far_value_begin(answer->far, answer->first, answer->count);
}

static void give_up(struct answer *answer, enum kist_status status)
{
    struct request *request = answer->request;

    clear(answer);
    reply_status(request, status, "The value was not read");
}

static void hash_done(struct file_work *work)
{
    struct answer *answer = OWNER(work, struct answer, work);
    struct request *request = answer->request;

    if (answer->status == KIST_OK && atomic_load(&request->api->stopping))
        answer->status = KIST_STOPPING;
    if (answer->status == KIST_OK && answer->at < answer->end &&
        !request_is_deserted(request)) {
        file_lane_add(&request->exchange->http_loop->files, work);
        return;
    }
    budget_give_back(memory_of(answer), answer->charged);
    if (answer->status == KIST_NOT_FOUND && answer->far != NULL) {
        clear(answer);
        answer->gone(request);
    } else if (answer->status != KIST_OK) {
        give_up(answer, answer->status);
    } else if (answer->at == answer->end) {
        send_value(answer);
    } else {
        clear(answer);
        reply_nothing(request);
    }
    free(answer);
}

static enum kist_status want(struct answer *answer)
{
    const struct view *headers = answer->request->headers;
    enum digest_algorithm repr =
        digest_wanted(headers[HEADER_WANT_REPR_DIGEST]);
    enum digest_algorithm content =
        digest_wanted(headers[HEADER_WANT_CONTENT_DIGEST]);
    enum kist_status status = KIST_OK;

    if (answer->code == 304)
        return KIST_OK;
    if (repr != DIGEST_NONE)
        status = digest_new(repr, &answer->repr);
    if (status == KIST_OK && content != DIGEST_NONE)
        status = digest_new(content, &answer->content);
    answer->at = repr != DIGEST_NONE ? 0 : answer->first;
    answer->end =
        repr != DIGEST_NONE ? answer->size : answer->first + answer->count;
    return status;
}

static void hash_on_pool(struct answer *on_stack)
{
    struct request *request = on_stack->request;
    struct answer *answer = malloc(sizeof(*answer));

    if (answer == NULL) {
        give_up(on_stack, KIST_NO_MEMORY);
        return;
    }
    if (!on_stack->item.record.large)
        on_stack->charged = on_stack->item.record.value.size;
    if (!budget_take(memory_of(on_stack), on_stack->charged)) {
        free(answer);
        give_up(on_stack, KIST_BUSY);
        return;
    }
    *answer = *on_stack;
    answer->work = (struct file_work){.run = run_hash, .done = hash_done};
    request->abandon = NULL; /* A wait's; that is over. */
    file_lane_add(&request->exchange->http_loop->files, &answer->work);
}

static void send_with_digests(struct answer *answer)
{
    enum kist_status status = want(answer);

    if (answer->repr == NULL && answer->content == NULL)
        answer->at = answer->end; /* There is nothing to hash. */
    if (status == KIST_OK && answer->at == answer->end && answer->far == NULL) {
        send_value(answer);
        return;
    }
    if (status == KIST_OK &&
        (answer->item.record.large || answer->end - answer->at > ON_LOOP)) {
        hash_on_pool(answer);
        return;
    }
    if (status == KIST_OK)
        status = hash_some(answer);
    if (status == KIST_OK)
        send_value(answer);
    else
        give_up(answer, status);
}

/* Where only headers go out, a file is opened for its digest alone. */
static bool needs_file(const struct answer *answer)
{
    const struct request *request = answer->request;

    if (!answer->item.record.large || answer->code != 200)
        return false;
    return request->method == METHOD_GET ||
           digest_wanted(request->headers[HEADER_WANT_REPR_DIGEST]) !=
               DIGEST_NONE ||
           digest_wanted(request->headers[HEADER_WANT_CONTENT_DIGEST]) !=
               DIGEST_NONE;
}

/* Here, or in a cluster, if it is lost, damaged or was never here, afar. */
static enum kist_status open_value(struct answer *answer)
{
    struct request *request = answer->request;
    const struct record *record = &answer->item.record;
    enum kist_status status = KIST_BUSY, afar;

    if (exchange_take_file(request->exchange))
        status =
            large_value_open(request->api->store, record, &answer->descriptor);
    if (status != KIST_NOT_FOUND && status != KIST_CORRUPT)
        return status;
    afar = far_value_new(request, request->key, record, &answer->far);
    if (afar == KIST_NOT_FOUND)
        return status;
    if (afar == KIST_OK)
        cluster_mend(request->api->cluster, request->key);
    return afar;
}

enum kist_status get_value_reply(struct request *request, unsigned code,
                                 struct item *item,
                                 void (*gone)(struct request *request))
{
    struct answer answer = {
        .request = request,
        .item = *item,
        .code = code,
        .descriptor = -1,
        .gone = gone,
        .size = record_value_size(&item->record),
    };
    enum kist_status status = KIST_OK;

    if (needs_file(&answer))
        status = open_value(&answer);
    if (status == KIST_NOT_FOUND)
        return status;
    *item = (struct item){0};
    if (status != KIST_OK) {
        give_up(&answer, status);
        return KIST_OK;
    }
    switch (find_range(&answer)) {
    case RANGE_WHOLE:
        break;
    case RANGE_PART:
        answer.code = 206;
        break;
    case RANGE_UNSATISFIABLE:
        reply_unsatisfiable(&answer);
        return KIST_OK;
    }
    send_with_digests(&answer);
    return KIST_OK;
}
