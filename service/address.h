/*
 * address - a numeric socket address, as people write it.
 *
 * "127.0.0.1:7700", "[::1]:0" (port 0: the kernel chooses), "localhost:7700"
 * (127.0.0.1, whatever the resolver thinks) and ":7700" (every address of the
 * machine, both families). Other names are refused: a start must not depend
 * on a name server.
 */
#ifndef KIST_SERVICE_ADDRESS_H
#define KIST_SERVICE_ADDRESS_H

#include "base/bytes.h"
#include "base/status.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr any; /* What bind() and connect() take. */
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } where;
    socklen_t size;
    /*
     * Written ":7700": where is [::], and the listener clears IPV6_V6ONLY (or
     * takes 0.0.0.0 where the kernel has no IPv6). False: one family only.
     */
    bool both_families;
};

/*
 * KIST_INVALID: *out_problem says why, as the end of a sentence that began
 * with the text itself ("has no port").
 */
KIST_CHECKED enum kist_status address_parse(struct view text,
                                            struct address *out_address,
                                            const char **out_problem);

uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);

/* The same family, host and port; port 0 equals nothing. */
bool address_equal(const struct address *a, const struct address *b);

/* As address_parse() takes it. */
void address_print(const struct address *address, struct blob *out_text);

#endif
