/*
 * neighbours - a cluster in one process, for tests of the API: the real server
 * and handlers are on node 0, and three more nodes live beside it on its loop.
 *
 * Every node has a store of its own. Messages pass from seat to seat without a
 * network, but as late as if there were one: nothing is called back from
 * within the call that began it.
 *
 * Threads: neighbours_set() and the readings from the test's, all else as
 * noted; one loop has the rest.
 */
#ifndef KIST_TESTS_API_NEIGHBOURS_H
#define KIST_TESTS_API_NEIGHBOURS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define NEIGHBOURS        4
#define NEIGHBOURS_COPIES 3
#define NEIGHBOURS_INLINE 4096 /* --inline-bytes */

enum mood {
    MOOD_WELL,
    MOOD_DOWN, /* Nobody expects an answer; connections are refused. */
    MOOD_DEAF, /* What is sent to it is lost. */
    MOOD_MUTE, /* It does what it is told, but its answers are lost. */
};

void neighbours_open(void);
void neighbours_close(void);
uint16_t neighbours_port(void);

void neighbours_set(unsigned node, enum mood mood);
void neighbours_set_others(enum mood mood); /* All but node 0. */

/* A key of this number, which node 0 is an owner of, or is not. */
const char *neighbours_key(bool is_here, unsigned number);

/* How many nodes have this value at the key now. */
unsigned neighbours_with(const char *key, const char *value);

#endif
