/*
 * rounds - what one writer did and knows, and what a restart may show.
 *
 * Each key has one writer, which has one request in flight at a time. So when
 * kistd is killed, a key holds what was acknowledged last, or what the one
 * unanswered request would have made of it, and nothing else.
 */
#ifndef KIST_TESTS_CRASH_ROUNDS_H
#define KIST_TESTS_CRASH_ROUNDS_H

#include "tests/support/http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { WRITERS = 4, KEYS = 24, BATCH_MAX = 8, VERSION_SIZE = 32 };

/* kistd's --inline-bytes: values beyond it, one in six, go to files. */
#define INLINE_BYTES "4KiB"
enum { INLINE_SIZE = 4096 };

/* How the values of a key come about; chosen by its number. */
enum kind {
    KIND_VALUE,   /* put, delete, batch */
    KIND_COUNTER, /* incr */
    KIND_PATCHED, /* merge patches of the member n */
};

/* A value is known by its number: 0 is absence. */
struct key {
    char name[16];
    enum kind kind;
    uint64_t acked;
    uint64_t maybe; /* Unless it is `acked`: an answer is missing. */
    bool acked_file, maybe_file;    /* That value lies in a file of its own. */
    char version[VERSION_SIZE + 1]; /* The last one seen, or "". */
};

struct writer {
    unsigned number;
    uint64_t random;
    uint64_t last; /* Numbers grow over all rounds: no value comes twice. */
    struct key keys[KEYS];
    size_t atomic_size; /* Keys of an unanswered atomic batch, else 0. */
    struct key *atomic[BATCH_MAX];
    uint64_t acked, unknown;             /* Requests of this round. */
    uint64_t shared_acked, shared_maybe; /* Counts of this round. */

    struct http http;
    atomic_bool *stop;
    pthread_t thread;
};

void writer_init(struct writer *writer, unsigned number, uint64_t seed);

/* All keys absent: the directory is a new one. */
void writer_forget(struct writer *writer);

/* Write until kistd is gone or *stop. */
void writer_start(struct writer *writer, uint16_t port, atomic_bool *stop);
void writer_join(struct writer *writer);

/*
 * After a restart: false and a line on stdout if a key holds what it must not.
 * What was unknown is known then. *out_present grows by the keys that exist,
 * *out_files by those whose values are files.
 */
bool writer_verify(struct writer *writer, struct http *http,
                   size_t *out_present, size_t *out_files);

/* The next number of a xorshift generator, never 0. */
uint64_t random_next(uint64_t *state);

#endif
