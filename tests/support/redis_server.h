/*
 * redis_server - a Redis of its own for a test: in the test's directory, on a
 * UNIX socket or a port that was free. It dies with the thread that started it.
 */
#ifndef KIST_TESTS_REDIS_SERVER_H
#define KIST_TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid;          /* 0: not running. */
    uint16_t port;      /* 0: only on the socket. */
    char directory[96]; /* The caller's; what it holds lasts. */
    char socket[108];
};

/* A port that was free a moment ago on 127.0.0.1, and so was port + 1000. */
uint16_t redis_server_free_port(void);

/*
 * Start on the directory as it is, and wait until it answers. flags ends with
 * NULL and may be NULL.
 */
void redis_server_start(struct redis_server *server, const char *directory,
                        uint16_t port, const char *const flags[]);

/* SIGKILL. */
void redis_server_kill(struct redis_server *server);

/* The same again, after a kill. */
void redis_server_restart(struct redis_server *server,
                          const char *const flags[]);

/*
 * One command of words with spaces between; the first line of the answer, as
 * Redis sends it, valid until the next call.
 */
const char *redis_server_ask(const struct redis_server *server,
                             const char *command);

#endif
