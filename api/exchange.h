/*
 * exchange - one request and its answer, as libmicrohttpd drives them.
 *
 *     request line   exchange_open      a record from the loop's spare ones
 *     head           first call         checks; a refusal, or
 *     head again     first call again   if a large body needed a file
 *     body           calls with bytes   collected within limit and budget
 *     whole          final call         the handler runs
 *     answer         final call again   if the handler kept the request
 *     sent           exchange_close
 *
 * A refusal is queued in the first call only where the connection is to end
 * with it (libmicrohttpd then closes): after a framing fault, and where the
 * body that would have to be read first is long or waits for 100 Continue.
 * Otherwise a short body is read and thrown away, the client gets its answer
 * surely and the connection lives on.
 *
 * A request that is kept is parked: its connection is suspended, which takes
 * libmicrohttpd three system calls and hides from us that a client is gone. So
 * one that can be detached is held at first: the final call returns without an
 * answer and comes again in each of libmicrohttpd's runs. After a few of them,
 * when the commit takes long, it is parked after all.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_EXCHANGE_H
#define KIST_API_EXCHANGE_H

#include "api/http_loop.h"
#include "api/request.h"
#include "base/bytes.h"

#include <microhttpd.h>

enum exchange_state {
    EXCHANGE_HEAD,       /* The request line is there. */
    EXCHANGE_OPENING,    /* Suspended: a file for the body is being made. */
    EXCHANGE_BODY,       /* The head is good, the body comes in. */
    EXCHANGE_DISCARDING, /* Refused; the rest of the body is thrown away. */
    EXCHANGE_RUNNING,    /* The handler is on the stack. */
    EXCHANGE_HELD,       /* Waits for the reply; may break before. */
    EXCHANGE_PARKED,     /* Suspended until the reply. */
    EXCHANGE_ANSWERED,   /* Replied to; the final call will queue it. */
    EXCHANGE_SENDING,    /* Queued: libmicrohttpd has it. */
    EXCHANGE_BROKEN,     /* No answer can be made: cut the connection. */
};

enum { EXCHANGE_FIELDS = 24 };

/* A response header that waits for its response. */
struct exchange_field {
    const char *name;
    const char *literal; /* Its value; NULL: a text of our own. */
    size_t at;           /* Where that begins in field_text; ends with NUL. */
    size_t size;
};

struct exchange {
    struct request request;
    struct http_loop *http_loop;
    struct connection *connection;
    struct MHD_Connection *mhd;
    enum exchange_state state;
    unsigned held_calls; /* In vain, by libmicrohttpd. */
    struct exchange *previous_parked;
    struct exchange *next_parked; /* Also links the spare ones. */

    /* The head. */
    struct view target; /* As sent; intact up to the first '?'. */
    struct view path;
    struct view query; /* A copy: libmicrohttpd writes into the original. */
    unsigned target_fault;
    unsigned allowed;   /* Methods, where there is an Allow to send. */
    struct blob joined; /* Of headers that came in several lines. */
    char drawn_id[REQUEST_ID_SIZE];

    /* The body. */
    struct blob body;
    uint64_t body_limit;
    const char *body_limit_name;
    uint64_t body_length; /* Announced; 0 if chunked. */
    uint64_t body_taken;  /* From the budget. */
    uint64_t consumed;    /* Of it. */
    uint64_t discarded;
    struct upload_file *file; /* Where a large body goes. */
    struct import *import;    /* Or the lines of one. */

    /* The answer. */
    size_t nfields;
    struct MHD_Response *response;
    struct mould *mould; /* Whose response that is, or NULL: it is ours. */
    unsigned code;
    bool has_file; /* One of shared->files, for the answer. */
    uint64_t answer_size;

    /* From here on not cleared for the next request; the blobs are emptied. */
    struct blob decoded;
    struct blob field_text;
    struct blob members; /* JSON members of the problem to come. */
    struct exchange_field fields[EXCHANGE_FIELDS];
};

/* The four callbacks of a daemon; cls is the struct http_loop. */
void *exchange_open(void *cls, const char *target,
                    struct MHD_Connection *connection);
enum MHD_Result exchange_call(void *cls, struct MHD_Connection *connection,
                              const char *url, const char *method,
                              const char *version, const char *upload,
                              size_t *upload_size, void **state);
void exchange_close(void *cls, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode how);

/*
 * The answer, from the reply that made it. Takes response; NULL: it could not
 * be made, and the connection is cut. size is for counting.
 */
void exchange_answer(struct exchange *exchange, unsigned code,
                     struct MHD_Response *response, uint64_t size);

/*
 * Suspend the connection while its body cannot be taken; and go on, the
 * client's time running again from the beginning of a window.
 */
void exchange_hold_body(struct exchange *exchange);
void exchange_go_on_with_body(struct exchange *exchange);

/* Count the file of an answer, until the exchange ends. False: too many. */
KIST_CHECKED bool exchange_take_file(struct exchange *exchange);

/* Let go of a parked request that can be let go of, with 503. */
void exchange_abandon(struct exchange *exchange);

/* The same for a client that is gone: cut. */
void exchange_cut(struct exchange *exchange);

/* Frees a spare one. */
void exchange_free(struct exchange *exchange);

#endif
