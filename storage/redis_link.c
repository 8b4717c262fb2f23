#include "storage/redis_link.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ARGUMENTS_AT_ONCE 32

struct redis_link {
    redisContext *context;

    /* What hiredis wants of a command, with room for a large one. */
    const char **texts;
    size_t *sizes;
    size_t capacity;
};

static struct timeval time_of(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static redisContext *connect_to(const struct redis_address *address,
                                uint64_t timeout_ms)
{
    struct timeval timeout = time_of(timeout_ms);

    if (address->host[0] == '/')
        return redisConnectUnixWithTimeout(address->host, timeout);
    return redisConnectWithTimeout(address->host, address->port, timeout);
}

static enum kist_status log_in(struct redis_link *link,
                               const struct redis_link_options *options,
                               char out_fault[REDIS_FAULT_SIZE])
{
    const char *words[4] = {"AUTH"};
    struct redis_answer answer;
    enum kist_status status;
    size_t count = 1;

    if (options->password == NULL)
        return KIST_OK;
    if (options->user != NULL)
        words[count++] = options->user;
    words[count] = options->password;
    status = redis_link_ask(link, words, &answer);
    if (status != KIST_OK) {
        snprintf(out_fault, REDIS_FAULT_SIZE, "lost while logging in");
        return status;
    }
    if (answer.kind == REDIS_ANSWER_ERROR) {
        snprintf(out_fault, REDIS_FAULT_SIZE, "login refused: %s",
                 answer.text.data);
        status = KIST_IO;
    }
    redis_answer_free(&answer);
    return status;
}

enum kist_status redis_link_open(const struct redis_address *address,
                                 const struct redis_link_options *options,
                                 char out_fault[REDIS_FAULT_SIZE],
                                 struct redis_link **out_link)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    enum kist_status status = KIST_NO_MEMORY;

    snprintf(out_fault, REDIS_FAULT_SIZE, "no memory");
    if (link != NULL)
        link->context = connect_to(address, options->connect_timeout_ms);
    if (link == NULL || link->context == NULL)
        goto fail;

    redisContext *context = link->context;
    status = KIST_IO;
    if (context->err != 0 ||
        redisSetTimeout(context, time_of(options->answer_timeout_ms)) !=
            REDIS_OK) {
        snprintf(out_fault, REDIS_FAULT_SIZE, "%s", context->errstr);
        goto fail;
    }
    context->reader->maxbuf = 0; /* Keeps its buffer between answers. */
    status = log_in(link, options, out_fault);
    if (status != KIST_OK)
        goto fail;
    *out_link = link;
    return KIST_OK;

fail:
    redis_link_close(link);
    return status;
}

void redis_link_close(struct redis_link *link)
{
    if (link == NULL)
        return;
    if (link->context != NULL)
        redisFree(link->context);
    free(link->texts);
    free(link->sizes);
    free(link);
}

bool redis_link_is_open(const struct redis_link *link)
{
    char byte;
    ssize_t got = recv(link->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static bool grow(struct redis_link *link, size_t count)
{
    size_t capacity = count + ARGUMENTS_AT_ONCE;
    const char **texts;
    size_t *sizes;

    if (count <= link->capacity)
        return true;
    texts = reallocarray(link->texts, capacity, sizeof(*texts));
    if (texts != NULL)
        link->texts = texts;
    sizes = reallocarray(link->sizes, capacity, sizeof(*sizes));
    if (sizes != NULL)
        link->sizes = sizes;
    if (texts == NULL || sizes == NULL)
        return false;
    link->capacity = capacity;
    return true;
}

enum kist_status redis_link_say(struct redis_link *link,
                                const struct view *arguments, size_t count)
{
    if (!grow(link, count))
        return KIST_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        link->texts[i] = arguments[i].size > 0 ? arguments[i].data : "";
        link->sizes[i] = arguments[i].size;
    }
    if (redisAppendCommandArgv(link->context, (int)count, link->texts,
                               link->sizes) != REDIS_OK)
        return KIST_NO_MEMORY;
    return KIST_OK;
}

static struct redis_answer answer_of(const redisReply *reply)
{
    struct redis_answer answer = {.kind = REDIS_ANSWER_NOTHING};

    switch (reply->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        answer.kind = REDIS_ANSWER_TEXT;
        answer.text = (struct view){reply->str, reply->len};
        break;
    case REDIS_REPLY_ERROR:
        answer.kind = REDIS_ANSWER_ERROR;
        answer.text = (struct view){reply->str, reply->len};
        break;
    case REDIS_REPLY_INTEGER:
        answer.kind = REDIS_ANSWER_NUMBER;
        answer.number = reply->integer;
        break;
    case REDIS_REPLY_ARRAY:
        answer.kind = REDIS_ANSWER_LIST;
        answer.count = reply->elements;
        break;
    default:
        break;
    }
    return answer;
}

enum kist_status redis_link_send(struct redis_link *link)
{
    int done = 0;

    while (!done)
        if (redisBufferWrite(link->context, &done) != REDIS_OK)
            return KIST_IO;
    return KIST_OK;
}

enum kist_status redis_link_receive(struct redis_link *link)
{
    return redisBufferRead(link->context) == REDIS_OK ? KIST_OK : KIST_IO;
}

enum kist_status redis_link_next(struct redis_link *link,
                                 struct redis_answer *out_answer)
{
    void *reply = NULL;

    if (redisGetReplyFromReader(link->context, &reply) != REDIS_OK)
        return KIST_IO;
    if (reply == NULL)
        return KIST_NOT_FOUND;
    *out_answer = answer_of(reply);
    out_answer->memory = reply;
    return KIST_OK;
}

int redis_link_descriptor(const struct redis_link *link)
{
    return link->context->fd;
}

enum kist_status redis_link_hear(struct redis_link *link,
                                 struct redis_answer *out_answer)
{
    enum kist_status status = redis_link_send(link);

    while (status == KIST_OK) {
        status = redis_link_next(link, out_answer);
        if (status != KIST_NOT_FOUND)
            return status;
        status = redis_link_receive(link);
    }
    return status;
}

struct redis_answer redis_answer_at(const struct redis_answer *list, size_t i)
{
    /* The memory of an element is its reply, kept for its own elements. */
    const redisReply *reply = list->memory;
    struct redis_answer element = answer_of(reply->element[i]);

    element.memory = reply->element[i];
    return element;
}

void redis_answer_free(struct redis_answer *answer)
{
    if (answer->memory != NULL)
        freeReplyObject(answer->memory);
    answer->memory = NULL;
}

enum kist_status redis_link_ask(struct redis_link *link,
                                const char *const words[],
                                struct redis_answer *out_answer)
{
    struct view arguments[ARGUMENTS_AT_ONCE];
    enum kist_status status;
    size_t count = 0;

    while (count < ARGUMENTS_AT_ONCE && words[count] != NULL) {
        arguments[count] = view_of(words[count]);
        count++;
    }
    status = redis_link_say(link, arguments, count);
    if (status == KIST_OK)
        status = redis_link_hear(link, out_answer);
    return status;
}
