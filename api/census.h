/*
 * census - how many connections there are, in total and of each address.
 *
 * An IPv4 address counts by itself, an IPv6 address by its /64: that is what
 * one customer gets. IPv4 inside IPv6 (::ffff:1.2.3.4) is IPv4.
 *
 * Threads: every call from any thread; one lock guards all.
 */
#ifndef KIST_API_CENSUS_H
#define KIST_API_CENSUS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct census;

struct census_address {
    unsigned char bytes[16];
};

struct census_address census_address(const struct sockaddr *address);

/* per_address 0: no limit. The caller ends it with census_close(). */
KIST_CHECKED enum kist_status census_open(size_t per_address,
                                          struct census **out_census);
void census_close(struct census *census); /* Takes NULL. */

enum census_verdict {
    CENSUS_ADMITTED,
    CENSUS_FULL,         /* most connections are there. */
    CENSUS_ADDRESS_FULL, /* per_address of this address are there. */
};

/* Counts the connection if it is admitted; census_leave() takes it off. */
KIST_CHECKED enum census_verdict
census_enter(struct census *census, struct census_address address, size_t most);
void census_leave(struct census *census, struct census_address address);

size_t census_total(struct census *census);

/* Wait until nobody is left. False: somebody was at deadline_ns (monotonic). */
bool census_wait_empty(struct census *census, uint64_t deadline_ns);

#endif
