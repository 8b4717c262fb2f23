/*
 * redis_link - one blocking connection to one Redis (hiredis inside).
 *
 * Commands are said one after the other and then heard in the same order, so
 * that many share one round trip. Whatever fails, the link is dead after it:
 * what was said and not heard may or may not have happened.
 *
 * This hiredis knows no TLS; a tunnel at this end does (docs/engines.md).
 *
 * Threads: one at a time.
 */
#ifndef KIST_STORAGE_REDIS_LINK_H
#define KIST_STORAGE_REDIS_LINK_H

#include "base/bytes.h"
#include "base/status.h"
#include "storage/redis_address.h"

#include <stdint.h>

#define REDIS_FAULT_SIZE 200

struct redis_link;

struct redis_link_options {
    const char *user;     /* NULL: the default one. */
    const char *password; /* NULL: none. */
    uint64_t connect_timeout_ms;
    uint64_t answer_timeout_ms; /* For one piece of an answer. */
};

/*
 * Connect and log in. The caller ends *out_link with redis_link_close().
 * KIST_IO: not reached, or refused; out_fault says why. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status
redis_link_open(const struct redis_address *address,
                const struct redis_link_options *options,
                char out_fault[REDIS_FAULT_SIZE], struct redis_link **out_link);
void redis_link_close(struct redis_link *link); /* Takes NULL. */

/*
 * False: the other end has closed it, while nothing was said; so nothing that
 * is said now would ever be heard.
 */
KIST_CHECKED bool redis_link_is_open(const struct redis_link *link);

/* Copies the arguments. KIST_NO_MEMORY: the link is dead. */
KIST_CHECKED enum kist_status redis_link_say(struct redis_link *link,
                                             const struct view *arguments,
                                             size_t count);

enum redis_answer_kind {
    REDIS_ANSWER_NOTHING, /* nil */
    REDIS_ANSWER_TEXT,    /* A status, too. */
    REDIS_ANSWER_NUMBER,
    REDIS_ANSWER_LIST,
    REDIS_ANSWER_ERROR, /* text is what Redis says. */
};

struct redis_answer {
    enum redis_answer_kind kind;
    struct view text; /* Terminated. */
    int64_t number;
    size_t count;
    void *memory; /* The link's own. */
};

/*
 * The three of redis_link_hear(), for who has more to do than to wait. Send all
 * that was said; take from the connection what has come, or wait for it; the
 * next answer of what was taken, KIST_NOT_FOUND if it is not all there.
 */
KIST_CHECKED enum kist_status redis_link_send(struct redis_link *link);
KIST_CHECKED enum kist_status redis_link_receive(struct redis_link *link);
KIST_CHECKED enum kist_status redis_link_next(struct redis_link *link,
                                              struct redis_answer *out_answer);
/* To be watched; the link's own. */
int redis_link_descriptor(const struct redis_link *link);

/* The next answer, ended by redis_answer_free(). KIST_IO: the link is dead. */
KIST_CHECKED enum kist_status redis_link_hear(struct redis_link *link,
                                              struct redis_answer *out_answer);

/* Element i of a list, valid as long as the list; not to be freed. */
struct redis_answer redis_answer_at(const struct redis_answer *list, size_t i);
void redis_answer_free(struct redis_answer *answer);

/* Say and hear one command of words. An error is an answer, too. */
KIST_CHECKED enum kist_status redis_link_ask(struct redis_link *link,
                                             const char *const words[],
                                             struct redis_answer *out_answer);

#endif
