/*
 * cluster_client - the client of tests/api/test_cluster*.c: one connection to
 * node 0 of the neighbours, and the last answer.
 */
#ifndef KIST_TESTS_API_CLUSTER_CLIENT_H
#define KIST_TESTS_API_CLUSTER_CLIENT_H

#include "tests/api/neighbours.h"
#include "tests/support/http.h"

struct cluster_client {
    struct http http;
    struct http_answer answer;
};

extern struct cluster_client client; /* A test is a process of its own. */

/* For a suite's init and fini: with the neighbours. */
void client_open(void);
void client_close(void);

/*
 * what: "PUT /kv/%s?w=1" for a key. headers are lines that each end in CR LF,
 * or "". body NULL: none. The answer's status.
 */
unsigned ask(const char *what, const char *key, const char *headers,
             const char *body);
unsigned put(const char *key, const char *value);
unsigned get(const char *key);

/* Of the last answer. */
bool body_is(const char *text);
bool body_has(const char *part);
const char *body_text(void); /* With a terminator, which body_is() sees. */
bool header_is(const char *name, const char *value);

/* "<name>: <its Kist-Version>", CR LF. */
const char *version_as(const char *name);

void expect_problem(const char *what, const char *key, const char *headers,
                    const char *body, unsigned status, const char *slug);

#endif
