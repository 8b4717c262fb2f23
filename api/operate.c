/*
 * operate - POST /kv/<key>?op=...: small atomic changes of one value.
 *
 * What each does to the value is decided in api/edit.c.
 */
#include "api/handlers.h"

#include "api/entity.h"
#include "api/exchange.h"
#include "api/integer.h"
#include "api/key_write.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "api/value_body.h"

#include <string.h>

static void reply_number(struct key_write *counter)
{
    key_write_reply_value(counter, 200, JSON_MEDIA_TYPE, JSON_IS_NUMBER,
                          &counter->edit.result);
}

static bool begin_increment(struct key_write *counter)
{
    struct view by = counter->request->parameters[PARAMETER_BY];

    counter->edit.by = 1;
    counter->applied = reply_number;
    if (by.data == NULL || integer_read(by, &counter->edit.by))
        return true;
    reply_problem(counter->request, PROBLEM_INVALID_PARAMETER,
                  "by takes a whole number between -2^63 and 2^63-1.");
    return false;
}

static bool begin_append(struct key_write *append)
{
    struct value_body value;

    if (!value_body_check(append->request, &value))
        return false;
    memcpy(append->media_type, value.media_type.data, value.media_type.size);
    append->body = request_take_body(append->request);
    append->edit.body = blob_view(&append->body);
    append->edit.body_type = value.type;
    append->edit.body_media_type =
        (struct view){append->media_type, value.media_type.size};
    return true;
}

static bool begin_touch(struct key_write *touch)
{
    if (touch->edit.expiry_ms != 0)
        return true;
    reply_problem(touch->request, PROBLEM_INVALID_PARAMETER,
                  "op=touch needs ttl=seconds or Kist-Expires.");
    return false;
}

static bool begin_persist(struct key_write *persist)
{
    (void)persist; /* An expiry of 0 is none. */
    return true;
}

static void reply_taken(struct key_write *take)
{
    struct edit *edit = &take->edit;

    if (!edit->is_open) {
        key_write_reply_value(take, 200, edit->media_type, edit->seen.type,
                              &edit->result);
        return;
    }
    edit->is_open = false;
    key_write_reply_file(take, edit->media_type, &edit->seen, edit->descriptor);
}

/* What is taken may lie in a file; afterwards it is too late to refuse. */
static bool begin_take(struct key_write *take)
{
    if (!exchange_take_file(take->request->exchange)) {
        reply_problem(take->request, PROBLEM_BUSY,
                      "There is no file descriptor for the value now. Try "
                      "again.");
        return false;
    }
    take->applied = reply_taken;
    return true;
}

static const struct operation {
    const char *name;
    enum edit_kind kind;
    bool (*begin)(struct key_write *key_write); /* False: it has replied. */
    bool has_body;
    bool takes_by;
    bool takes_expiry;
} operations[] = {
    {"incr", EDIT_INCREMENT, begin_increment, false, true, true},
    {"append", EDIT_APPEND, begin_append, true, false, true},
    {"touch", EDIT_EXPIRY, begin_touch, false, false, true},
    {"persist", EDIT_EXPIRY, begin_persist, false, false, false},
    {"take", EDIT_TAKE, begin_take, false, false, false},
};

static const struct operation *find_operation(struct view name)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (view_is(name, operations[i].name))
            return &operations[i];
    return NULL;
}

/* What the operation has no use for is refused: it meant something else. */
static bool parameters_fit(struct request *request,
                           const struct operation *operation)
{
    const char *extra = NULL;

    if (!operation->takes_by && request_has(request, PARAMETER_BY))
        extra = "by";
    else if (!operation->takes_expiry && request_has(request, PARAMETER_TTL))
        extra = "ttl";
    else if (!operation->takes_expiry &&
             request->headers[HEADER_KIST_EXPIRES].data != NULL)
        extra = "Kist-Expires";
    else if (!operation->has_body && request->body.size > 0)
        extra = "a body";
    if (extra == NULL)
        return true;
    reply_problem(request, PROBLEM_INVALID_PARAMETER, "op=%s does not take %s.",
                  operation->name, extra);
    return false;
}

void operate_key(struct request *request)
{
    const struct operation *operation =
        find_operation(request->parameters[PARAMETER_OP]);
    struct key_write *key_write;

    if (operation == NULL) {
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "Say what to do: op=incr, append, touch, persist or "
                      "take.");
        return;
    }
    if (!parameters_fit(request, operation))
        return;
    key_write = key_write_new(request);
    if (key_write == NULL || !preconditions_expiry(request, key_write->now_ms,
                                                   &key_write->edit.expiry_ms))
        return;
    key_write->edit.kind = operation->kind;
    if (operation->begin(key_write))
        key_write_submit(key_write);
}
