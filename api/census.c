/*
 * A chained hash of the addresses that have connections now. It never grows
 * beyond one entry a connection, which the total cap bounds.
 */
#include "api/census.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUCKETS = 4096 };

struct entry {
    struct entry *next;
    struct census_address address;
    size_t count;
};

struct census {
    size_t per_address; /* Set once, then read-only. */

    pthread_mutex_t lock; /* Guards the fields below. */
    pthread_cond_t empty; /* total became 0. */
    size_t total;
    struct entry *buckets[BUCKETS];
};

struct census_address census_address(const struct sockaddr *address)
{
    struct census_address result = {{0}};

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;

        memcpy(result.bytes + 12, &v4->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;

        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            memcpy(result.bytes + 12, v6->sin6_addr.s6_addr + 12, 4);
        else
            memcpy(result.bytes, v6->sin6_addr.s6_addr, 8);
    }
    return result;
}

enum kist_status census_open(size_t per_address, struct census **out_census)
{
    struct census *census = calloc(1, sizeof(*census));
    pthread_condattr_t monotonic;

    if (census == NULL)
        return KIST_NO_MEMORY;
    census->per_address = per_address;
    pthread_mutex_init(&census->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&census->empty, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out_census = census;
    return KIST_OK;
}

void census_close(struct census *census)
{
    if (census == NULL)
        return;
    assert(census->total == 0);
    pthread_cond_destroy(&census->empty);
    pthread_mutex_destroy(&census->lock);
    free(census);
}

/* FNV-1a: a client who collides only shortens its own way to the limit. */
static size_t bucket_of(const struct census_address *address)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < sizeof(address->bytes); i++)
        hash = (hash ^ address->bytes[i]) * 16777619u;
    return hash % BUCKETS;
}

/* The link that leads to the address, or to the end of its chain. */
static struct entry **find_locked(struct census *census,
                                  const struct census_address *address)
{
    struct entry **link = &census->buckets[bucket_of(address)];

    while (*link != NULL &&
           memcmp(&(*link)->address, address, sizeof(*address)) != 0)
        link = &(*link)->next;
    return link;
}

static enum census_verdict enter_locked(struct census *census,
                                        const struct census_address *address,
                                        size_t most)
{
    struct entry **link = find_locked(census, address);

    if (*link != NULL && census->per_address != 0 &&
        (*link)->count >= census->per_address)
        return CENSUS_ADDRESS_FULL;
    if (census->total >= most)
        return CENSUS_FULL;
    if (*link == NULL) {
        struct entry *entry = calloc(1, sizeof(*entry));

        if (entry == NULL)
            return CENSUS_FULL; /* Memory is a limit like any other. */
        entry->address = *address;
        *link = entry;
    }
    (*link)->count++;
    census->total++;
    return CENSUS_ADMITTED;
}

enum census_verdict census_enter(struct census *census,
                                 struct census_address address, size_t most)
{
    enum census_verdict verdict;

    pthread_mutex_lock(&census->lock);
    verdict = enter_locked(census, &address, most);
    pthread_mutex_unlock(&census->lock);
    return verdict;
}

void census_leave(struct census *census, struct census_address address)
{
    pthread_mutex_lock(&census->lock);

    struct entry **link = find_locked(census, &address);
    struct entry *entry = *link;

    assert(entry != NULL && entry->count > 0);
    if (--entry->count == 0) {
        *link = entry->next;
        free(entry);
    }
    if (--census->total == 0)
        pthread_cond_broadcast(&census->empty);
    pthread_mutex_unlock(&census->lock);
}

size_t census_total(struct census *census)
{
    size_t total;

    pthread_mutex_lock(&census->lock);
    total = census->total;
    pthread_mutex_unlock(&census->lock);
    return total;
}

bool census_wait_empty(struct census *census, uint64_t deadline_ns)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline_ns / UINT64_C(1000000000)),
        .tv_nsec = (long)(deadline_ns % UINT64_C(1000000000)),
    };
    bool empty;

    pthread_mutex_lock(&census->lock);
    while (census->total > 0 &&
           pthread_cond_timedwait(&census->empty, &census->lock, &until) == 0)
        ;
    empty = census->total == 0;
    pthread_mutex_unlock(&census->lock);
    return empty;
}
