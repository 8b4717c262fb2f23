/*
 * redis_address - where a Redis listens: host and port, or a UNIX socket.
 */
#ifndef KIST_STORAGE_REDIS_ADDRESS_H
#define KIST_STORAGE_REDIS_ADDRESS_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define REDIS_ADDRESS_SIZE 256

struct redis_address {
    char host[REDIS_ADDRESS_SIZE]; /* With a / in front: a UNIX socket. */
    uint16_t port;
};

/* host:port, cut at the last colon, or /a/path. False: it is neither. */
KIST_CHECKED bool redis_address_read(struct view text,
                                     struct redis_address *out_address);

bool redis_address_equal(const struct redis_address *a,
                         const struct redis_address *b);

/* As it is read. */
void redis_address_print(const struct redis_address *address,
                         struct blob *out_text);

#endif
