/*
 * redis_change - writes of clients in one shard, as a task.
 *
 * A plain put or delete, with its condition, is decided by the script alone:
 * one round trip; two, where the short script was tried in vain. Where an edit
 * or a get is among them, the records are read first, all are decided here on
 * what was read and on each other, and the script keeps the outcome of each key
 * if it still is as it was read. If not, it is read and decided again.
 *
 * Threads: the loop that makes it, then a line's, one at a time.
 */
#ifndef KIST_STORAGE_REDIS_CHANGE_H
#define KIST_STORAGE_REDIS_CHANGE_H

#include "storage/commit.h"
#include "storage/redis_map.h"
#include "storage/redis_script.h"

#define REDIS_CHANGE_HABIT 32

struct redis_changes {
    struct redis_map *map; /* All kept. */
    struct hlc *clock;
    uint64_t timeout_ms;
    /*
     * Whether puts mostly find a record there: as of the last ones, up to
     * REDIS_CHANGE_HABIT; below 0, they mostly do not.
     */
    _Atomic int *habit;
    _Atomic uint64_t *strays; /* Versions that our clock did not give. */
    /* Each Redis syncs before it answers. */
    atomic_bool *is_durable;
};

/* A key, and what comes of it. */
struct redis_entry {
    struct view key;
    struct write *write; /* The only one, if nothing is read. */

    /* As read. */
    bool is_present;
    bool is_corrupt;
    struct version base; /* In Redis, or none. */
    struct view bytes;   /* The present record, while it is decided on. */
    uint64_t created_ms;

    /* To be kept, if is_changed. */
    bool is_changed;
    bool is_settled; /* It was, or there was nothing to keep. */
    enum redis_verb verb;
    uint64_t above; /* Its version has to be. */
    struct version version;
    uint64_t expiry_ms;
    struct blob record;

    /* For the script. */
    size_t condition_size;
    char condition_bytes[1 + CONDITION_VERSIONS * 16];
    char version_bytes[16];
    char created_bytes[8];
};

struct redis_item {
    struct write *write;
    struct commit_group *group;
    size_t entry;
};

struct redis_change {
    struct redis_task task;
    const struct redis_changes *by;

    bool reads;   /* Before it writes. */
    bool atomic;  /* Of one group: all items or none. */
    bool is_part; /* All items are of one group, which has others, maybe. */
    enum {
        REDIS_CHANGE_READING,
        REDIS_CHANGE_WRITING,
        REDIS_CHANGE_REPLACING, /* By the short script, if that can do it. */
    } step;
    size_t at, reading; /* So many entries from there are being read. */
    unsigned attempts;
    size_t failed; /* Atomic: the first item that failed, or count. */

    struct redis_item *items;
    size_t count, items_capacity;
    struct redis_entry *entries;
    size_t entries_count, entries_capacity;

    struct redis_item one_item; /* Of most. */
    struct redis_entry one_entry;
};

/* Ends with done(), or redis_change_free(). NULL: no memory. */
struct redis_change *redis_change_new(const struct redis_changes *by,
                                      struct view key, bool reads);
void redis_change_free(struct redis_change *change);

/* KIST_NO_MEMORY: it is as before. */
KIST_CHECKED enum kist_status
redis_change_add_entry(struct redis_change *change, struct view key,
                       size_t *out_entry);
KIST_CHECKED enum kist_status redis_change_add_item(struct redis_change *change,
                                                    struct commit_group *group,
                                                    struct write *write,
                                                    size_t entry);

/* It is to be kept, and is not settled. */
bool redis_change_is_due(const struct redis_entry *entry);
size_t redis_change_count_due(const struct redis_change *change);

/* One of its parts is done: back with it after the last. */
void redis_change_return(const struct redis_changes *by,
                         struct commit_group *group);

#endif
