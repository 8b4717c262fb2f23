/*
 * A sum is a number modulo 2^128, so a change is one as well: what it adds may
 * be "minus something". Changes of one leaf are added up before they are put
 * into the batch, which sorts them by leaf for that.
 */
#include "storage/bucket_sums.h"

#include "storage/key_hash.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 256,
    KEPT_CAPACITY = 16384, /* What one batch may leave for the next one. */
    LEAF_SIZE = 24,        /* In the engine: sum and number. */
    LOGGED_SIZE = 4 + LEAF_SIZE,
    BLOCK_SIZE = KEY_HASH_LEAVES * LEAF_SIZE,
    LEAVES_A_BLOCK = 64, /* A partition is written for so many logged leaves. */
    FORGOTTEN_MAX = 2,   /* A batch makes one entry: so they do not pile up. */
};

struct bucket_change {
    size_t place; /* Of the leaf among all. */
    struct bucket_leaf by;
};

struct bucket_sums {
    /* Set by bucket_sums_new(), then read-only. */
    unsigned bits;
    struct bucket_secret secret;
    size_t count; /* Of leaves. */

    /* The committing thread changes them, and reads them without it. */
    pthread_mutex_t lock; /* Guards leaves. */
    struct bucket_leaf *leaves;

    /* The committing thread. */
    bool *is_behind;      /* A partition each: an entry is newer than 'b'. */
    uint64_t first_entry; /* The oldest one of 'd'. */
    uint64_t next_entry;
    uint64_t needed_from;  /* Older ones than this may go. */
    uint64_t pass_from;    /* Older ones than this, once the pass is over. */
    unsigned next_block;   /* Which partition may be written next. */
    size_t leaves_to_come; /* Logged, and no block written for it yet. */
};

enum kist_status bucket_sums_new(unsigned bits, uint64_t cluster,
                                 struct bucket_sums **out_sums)
{
    struct bucket_sums *sums = calloc(1, sizeof(*sums));

    assert(bits <= KEY_HASH_BITS_MAX);
    if (sums == NULL)
        return KIST_NO_MEMORY;
    sums->bits = bits;
    sums->secret = bucket_secret_of(cluster);
    sums->count = (size_t)KEY_HASH_LEAVES << bits;
    sums->leaves = calloc(sums->count, sizeof(*sums->leaves));
    sums->is_behind = calloc((size_t)1 << bits, sizeof(*sums->is_behind));
    if (sums->leaves == NULL || sums->is_behind == NULL) {
        free(sums->leaves);
        free(sums->is_behind);
        free(sums);
        return KIST_NO_MEMORY;
    }
    pthread_mutex_init(&sums->lock, NULL);
    *out_sums = sums;
    return KIST_OK;
}

void bucket_sums_free(struct bucket_sums *sums)
{
    if (sums == NULL)
        return;
    pthread_mutex_destroy(&sums->lock);
    free(sums->leaves);
    free(sums->is_behind);
    free(sums);
}

unsigned bucket_sums_bits(const struct bucket_sums *sums)
{
    return sums->bits;
}

/* leaf += by. */
static void add(struct bucket_leaf *leaf, const struct bucket_leaf *by)
{
    leaf->sum.low += by->sum.low;
    leaf->sum.high += by->sum.high + (leaf->sum.low < by->sum.low);
    leaf->count += by->count;
}

struct bucket_leaf bucket_sums_of(struct bucket_sums *sums, unsigned partition,
                                  unsigned leaf)
{
    size_t first = (size_t)partition * KEY_HASH_LEAVES;
    struct bucket_leaf sum = {0};

    assert(partition >> sums->bits == 0);
    pthread_mutex_lock(&sums->lock);
    if (leaf != KEY_HASH_ALL_LEAVES) {
        assert(leaf < KEY_HASH_LEAVES);
        sum = sums->leaves[first + leaf];
    } else {
        for (size_t i = 0; i < KEY_HASH_LEAVES; i++)
            add(&sum, &sums->leaves[first + i]);
    }
    pthread_mutex_unlock(&sums->lock);
    return sum;
}

bool bucket_leaf_equal(const struct bucket_leaf *a, const struct bucket_leaf *b)
{
    return a->count == b->count && bucket_sum_equal(a->sum, b->sum);
}

void bucket_sums_add(const struct bucket_sums *sums, struct bucket_leaf *leaf,
                     struct view key, const struct record *record)
{
    bucket_add(&leaf->sum, &sums->secret, key, record);
    leaf->count++;
}

/* A batch in the making. */

void bucket_changes_end(struct bucket_changes *changes)
{
    if (changes->capacity > KEPT_CAPACITY)
        bucket_changes_free(changes);
    if (changes->log.capacity > (size_t)KEPT_CAPACITY * LOGGED_SIZE)
        blob_free(&changes->log);
    changes->count = 0;
    changes->block_count = 0;
    changes->is_pass_over = false;
    changes->forgotten = 0;
}

void bucket_changes_free(struct bucket_changes *changes)
{
    free(changes->changes);
    blob_free(&changes->log);
    *changes = (struct bucket_changes){0};
}

static enum kist_status grow(struct bucket_changes *changes)
{
    size_t capacity =
        changes->capacity == 0 ? FIRST_CAPACITY : 2 * changes->capacity;
    struct bucket_change *grown;

    if (changes->count < changes->capacity)
        return KIST_OK;
    grown = realloc(changes->changes, capacity * sizeof(*grown));
    if (grown == NULL)
        return KIST_NO_MEMORY;
    changes->changes = grown;
    changes->capacity = capacity;
    return KIST_OK;
}

static size_t place_of(const struct bucket_sums *sums, uint64_t hash)
{
    return (size_t)key_hash_partition(hash, sums->bits) * KEY_HASH_LEAVES +
           key_hash_leaf(hash, sums->bits);
}

enum kist_status bucket_sums_note(const struct bucket_sums *sums,
                                  struct bucket_changes *changes, uint64_t hash,
                                  struct view key, const struct record *old,
                                  const struct record *next)
{
    struct bucket_change change = {.place = place_of(sums, hash)};

    if (grow(changes) != KIST_OK)
        return KIST_NO_MEMORY;
    if (old != NULL) {
        bucket_subtract(&change.by.sum, &sums->secret, key, old);
        change.by.count--;
    }
    if (next != NULL) {
        bucket_add(&change.by.sum, &sums->secret, key, next);
        change.by.count++;
    }
    changes->changes[changes->count++] = change;
    return KIST_OK;
}

enum kist_status bucket_sums_note_right(const struct bucket_sums *sums,
                                        struct bucket_changes *changes,
                                        unsigned partition, unsigned leaf,
                                        const struct bucket_leaf *right)
{
    size_t place = (size_t)partition * KEY_HASH_LEAVES + leaf;
    const struct bucket_leaf *is;

    assert(place < sums->count && leaf < KEY_HASH_LEAVES);
    is = &sums->leaves[place];
    if (bucket_leaf_equal(is, right))
        return KIST_NOT_FOUND;
    if (grow(changes) != KIST_OK)
        return KIST_NO_MEMORY;
    changes->changes[changes->count++] = (struct bucket_change){
        .place = place,
        .by = {.sum = {.high = right->sum.high - is->sum.high -
                               (right->sum.low < is->sum.low),
                       .low = right->sum.low - is->sum.low},
               .count = right->count - is->count},
    };
    return KIST_OK;
}

static int by_place(const void *a, const void *b)
{
    size_t x = ((const struct bucket_change *)a)->place;
    size_t y = ((const struct bucket_change *)b)->place;

    return (x > y) - (x < y);
}

/* One change a leaf. */
static void add_up(struct bucket_changes *changes)
{
    struct bucket_change *list = changes->changes;
    size_t count = 0;

    if (changes->count < 2)
        return;
    qsort(list, changes->count, sizeof(*list), by_place);
    for (size_t i = 1; i < changes->count; i++) {
        if (list[i].place == list[count].place)
            add(&list[count].by, &list[i].by);
        else
            list[++count] = list[i];
    }
    changes->count = count + 1;
}

struct engine_key {
    char bytes[9];
};

static struct view block_key(unsigned partition, struct engine_key *out)
{
    out->bytes[0] = BUCKET_SUMS_SPACE;
    for (int i = 0; i < 4; i++)
        out->bytes[1 + i] = (char)(partition >> (24 - 8 * i));
    return (struct view){out->bytes, 5};
}

static struct view entry_key(uint64_t number, struct engine_key *out)
{
    out->bytes[0] = BUCKET_SUMS_LOG_SPACE;
    for (int i = 0; i < 8; i++)
        out->bytes[1 + i] = (char)(number >> (56 - 8 * i));
    return (struct view){out->bytes, 9};
}

static char *put_u64(char *at, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        *at++ = (char)(number >> (56 - 8 * i));
    return at;
}

static char *put_leaf(char *at, const struct bucket_leaf *leaf)
{
    at = put_u64(at, leaf->sum.high);
    at = put_u64(at, leaf->sum.low);
    return put_u64(at, leaf->count);
}

static struct bucket_leaf get_leaf(const char *at)
{
    return (struct bucket_leaf){
        .sum = {.high = read_u64(at), .low = read_u64(at + 8)},
        .count = read_u64(at + 16),
    };
}

/* What the leaf will be after the change. */
static struct bucket_leaf changed(const struct bucket_sums *sums,
                                  const struct bucket_change *change)
{
    struct bucket_leaf leaf = sums->leaves[change->place];

    add(&leaf, &change->by);
    return leaf;
}

static void put_entry(const struct bucket_sums *sums,
                      struct bucket_changes *changes,
                      struct engine_batch *batch)
{
    struct engine_key key;

    blob_clear(&changes->log);
    for (size_t i = 0; i < changes->count; i++) {
        struct bucket_leaf leaf = changed(sums, &changes->changes[i]);
        char bytes[LEAF_SIZE];

        put_leaf(bytes, &leaf);
        blob_append_u32(&changes->log, (uint32_t)changes->changes[i].place);
        blob_append(&changes->log, (struct view){bytes, sizeof(bytes)});
    }
    if (changes->log.failed)
        batch->bytes.failed = true;
    engine_batch_put(batch, entry_key(sums->next_entry, &key),
                     blob_view(&changes->log));
}

/* The first change, they are in order, of this leaf or a later one. */
static size_t first_change(const struct bucket_changes *changes, size_t place)
{
    size_t low = 0, high = changes->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (changes->changes[middle].place < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_block(const struct bucket_sums *sums,
                      const struct bucket_changes *changes, unsigned partition,
                      struct engine_batch *batch)
{
    size_t first = (size_t)partition * KEY_HASH_LEAVES;
    size_t next = first_change(changes, first);
    char bytes[BLOCK_SIZE], *at = bytes;
    struct engine_key key;

    for (size_t place = first; place < first + KEY_HASH_LEAVES; place++) {
        struct bucket_leaf leaf = sums->leaves[place];

        if (next < changes->count && changes->changes[next].place == place)
            leaf = changed(sums, &changes->changes[next++]);
        at = put_leaf(at, &leaf);
    }
    engine_batch_put(batch, block_key(partition, &key),
                     (struct view){bytes, sizeof(bytes)});
}

/* Which partitions have their turn; none that has nothing new to say. */
static void choose_blocks(const struct bucket_sums *sums,
                          struct bucket_changes *changes)
{
    size_t due = (sums->leaves_to_come + changes->count) / LEAVES_A_BLOCK;
    unsigned partitions = 1u << sums->bits, next = sums->next_block;

    if (due > BUCKET_SUMS_BLOCKS_MAX)
        due = BUCKET_SUMS_BLOCKS_MAX;
    changes->block_count = 0;
    changes->is_pass_over = false;
    for (unsigned i = 0; i < partitions && changes->block_count < due; i++) {
        if (sums->is_behind[next])
            changes->blocks[changes->block_count++] = next;
        next++;
        if (next == partitions) {
            next = 0;
            changes->is_pass_over = true;
        }
    }
    changes->next_block = next;
}

void bucket_sums_put(const struct bucket_sums *sums,
                     struct bucket_changes *changes, struct engine_batch *batch)
{
    struct engine_key key;

    changes->forgotten = 0;
    if (changes->count == 0)
        return;
    add_up(changes);
    put_entry(sums, changes, batch);
    choose_blocks(sums, changes);
    for (unsigned i = 0; i < changes->block_count; i++)
        put_block(sums, changes, changes->blocks[i], batch);
    for (uint64_t entry = sums->first_entry;
         entry < sums->needed_from && changes->forgotten < FORGOTTEN_MAX;
         entry++, changes->forgotten++)
        engine_batch_delete(batch, entry_key(entry, &key));
}

static void take_changes(struct bucket_sums *sums,
                         const struct bucket_changes *changes)
{
    pthread_mutex_lock(&sums->lock);
    for (size_t i = 0; i < changes->count; i++)
        add(&sums->leaves[changes->changes[i].place], &changes->changes[i].by);
    pthread_mutex_unlock(&sums->lock);
    for (size_t i = 0; i < changes->count; i++)
        sums->is_behind[changes->changes[i].place / KEY_HASH_LEAVES] = true;
}

void bucket_sums_applied(struct bucket_sums *sums,
                         const struct bucket_changes *changes)
{
    if (changes->count == 0)
        return;
    take_changes(sums, changes);
    for (unsigned i = 0; i < changes->block_count; i++)
        sums->is_behind[changes->blocks[i]] = false;
    sums->leaves_to_come += changes->count;
    sums->leaves_to_come -= (size_t)changes->block_count * LEAVES_A_BLOCK;
    sums->first_entry += changes->forgotten;
    sums->next_block = changes->next_block;
    if (changes->is_pass_over) {
        /* A partition that had nothing new to say knows no more than this. */
        sums->needed_from = sums->pass_from;
        sums->pass_from = sums->next_entry;
        sums->leaves_to_come %= LEAVES_A_BLOCK; /* All have been asked. */
    }
    sums->next_entry++;
}

/* All of them. */

void bucket_sums_clear(struct bucket_sums *sums)
{
    pthread_mutex_lock(&sums->lock);
    for (size_t i = 0; i < sums->count; i++)
        sums->leaves[i] = (struct bucket_leaf){0};
    pthread_mutex_unlock(&sums->lock);
    memset(sums->is_behind, 0, sizeof(*sums->is_behind) << sums->bits);
    bucket_sums_settled(sums);
}

void bucket_sums_settled(struct bucket_sums *sums)
{
    memset(sums->is_behind, 0, sizeof(*sums->is_behind) << sums->bits);
    sums->first_entry = sums->next_entry;
    sums->needed_from = sums->next_entry;
    sums->pass_from = sums->next_entry;
    sums->next_block = 0;
    sums->leaves_to_come = 0;
}

static enum kist_status load_block(struct bucket_sums *sums, struct view key,
                                   struct view value)
{
    size_t first;

    if (key.size != 4 || value.size != BLOCK_SIZE)
        return KIST_CORRUPT;
    first = (size_t)read_u32(key.data) * KEY_HASH_LEAVES;
    if (first >= sums->count)
        return KIST_CORRUPT;
    pthread_mutex_lock(&sums->lock);
    for (size_t i = 0; i < KEY_HASH_LEAVES; i++)
        sums->leaves[first + i] = get_leaf(value.data + i * LEAF_SIZE);
    pthread_mutex_unlock(&sums->lock);
    return KIST_OK;
}

/* Of a leaf the last word counts, and what 'b' says is never newer. */
static enum kist_status load_entry(struct bucket_sums *sums, struct view key,
                                   struct view value)
{
    uint64_t number;

    if (key.size != 8 || value.size % LOGGED_SIZE != 0)
        return KIST_CORRUPT;
    number = read_u64(key.data);
    if (sums->first_entry == sums->next_entry) {
        sums->next_entry = number;
        bucket_sums_settled(sums);
    }
    for (; value.size > 0; value = view_from(value, LOGGED_SIZE)) {
        size_t place = read_u32(value.data);

        if (place >= sums->count)
            return KIST_CORRUPT;
        pthread_mutex_lock(&sums->lock);
        sums->leaves[place] = get_leaf(value.data + 4);
        pthread_mutex_unlock(&sums->lock);
        sums->is_behind[place / KEY_HASH_LEAVES] = true;
        sums->leaves_to_come++; /* Starts that follow soon do not add up. */
    }
    sums->next_entry = number + 1;
    sums->pass_from = sums->next_entry;
    return KIST_OK;
}

enum kist_status bucket_sums_load(struct bucket_sums *sums, char space,
                                  struct view key, struct view value)
{
    return space == BUCKET_SUMS_SPACE ? load_block(sums, key, value)
                                      : load_entry(sums, key, value);
}

void bucket_sums_put_behind(const struct bucket_sums *sums, unsigned *partition,
                            size_t limit, struct engine_batch *batch)
{
    const struct bucket_changes none = {0};

    for (; *partition < 1u << sums->bits && batch->bytes.size < limit;
         (*partition)++)
        if (sums->is_behind[*partition])
            put_block(sums, &none, *partition, batch);
}
