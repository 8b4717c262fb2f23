/*
 * http - a client that sends exactly the bytes it is given.
 *
 * One socket, no retries, no library that would repair a request on its way
 * or an answer on its way back. Answers are parsed strictly: what is not an
 * HTTP/1.1 answer ends the test. Every wait has a deadline.
 *
 * Threads: a connection belongs to one thread; several may have one each.
 */
#ifndef KIST_TESTS_HTTP_H
#define KIST_TESTS_HTTP_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct http {
    int descriptor; /* -1: not connected. */
    struct blob inbox;
    size_t used;     /* Bytes of the inbox that were given out. */
    bool ended;      /* The peer closed, in order or by a reset. */
    int patience_ms; /* How long one answer may take, 20 s unless set. */
};

struct http_answer {
    unsigned status; /* 0: the peer closed without an answer. */
    bool closes;     /* The peer said that it closes. */
    bool whole;      /* The body came to its end. */
    struct blob head, body;
};

enum http_kind {
    HTTP_WITH_BODY,
    HTTP_HEAD_ONLY, /* The answer of HEAD: a length, but no bytes. */
};

void http_open(struct http *http, uint16_t port);
/* At another address than 127.0.0.1. */
void http_open_at(struct http *http, const char *address, uint16_t port);
void http_close(struct http *http); /* Takes a closed one. */

/* A small receive buffer first, for a reader that is to be slow. */
void http_open_narrow(struct http *http, uint16_t port, int receive_bytes);

/* False: the peer does not take it any more. */
bool http_send(struct http *http, struct view bytes);
bool http_send_text(struct http *http, const char *text);

/*
 * The next answer, interim ones (1xx) included. False: the peer closed or
 * broke off; *answer then holds what came. Old contents are freed.
 */
bool http_read(struct http *http, enum http_kind kind,
               struct http_answer *answer);

/* A raw piece of what comes, for bodies too big to keep; 0: it ended. */
size_t http_read_raw(struct http *http, char *into, size_t size);

/* Does the peer close within ms, sending nothing more? */
bool http_closes(struct http *http, int ms);

/*
 * Send method and target ("PUT /kv/a"), Host, headers (each ended by CR LF),
 * the body with its length unless data is NULL; read the answer.
 */
bool http_ask(struct http *http, const char *what, const char *headers,
              struct view body, struct http_answer *answer);

void http_answer_free(struct http_answer *answer);

/* Trimmed; data is NULL if absent. A name that comes twice ends the test. */
struct view http_header(const struct http_answer *answer, const char *name);

#endif
