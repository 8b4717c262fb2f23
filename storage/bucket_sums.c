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

enum {
    FIRST_CAPACITY = 256,
    KEPT_CAPACITY = 16384, /* What one batch may leave for the next one. */
    VALUE_SIZE = 24,
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
    if (sums->leaves == NULL) {
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

/* A batch in the making. */

void bucket_changes_end(struct bucket_changes *changes)
{
    if (changes->capacity > KEPT_CAPACITY)
        bucket_changes_free(changes);
    changes->count = 0;
}

void bucket_changes_free(struct bucket_changes *changes)
{
    free(changes->changes);
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

static void write_number(char *at, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (char)(number >> (8 * (size - 1 - i)));
}

static void put_leaf(size_t place, const struct bucket_leaf *leaf,
                     struct engine_batch *batch)
{
    char key[BUCKET_SUMS_KEY_SIZE] = {BUCKET_SUMS_SPACE}, value[VALUE_SIZE];

    write_number(key + 1, place / KEY_HASH_LEAVES, 4);
    write_number(key + 5, place % KEY_HASH_LEAVES, 1);
    write_number(value, leaf->sum.high, 8);
    write_number(value + 8, leaf->sum.low, 8);
    write_number(value + 16, leaf->count, 8);
    engine_batch_put(batch, (struct view){key, sizeof(key)},
                     (struct view){value, sizeof(value)});
}

void bucket_sums_put(const struct bucket_sums *sums,
                     struct bucket_changes *changes, struct engine_batch *batch)
{
    add_up(changes);
    for (size_t i = 0; i < changes->count; i++) {
        size_t place = changes->changes[i].place;
        struct bucket_leaf leaf = sums->leaves[place];

        add(&leaf, &changes->changes[i].by);
        put_leaf(place, &leaf, batch);
    }
}

void bucket_sums_applied(struct bucket_sums *sums,
                         const struct bucket_changes *changes)
{
    if (changes->count == 0)
        return;
    pthread_mutex_lock(&sums->lock);
    for (size_t i = 0; i < changes->count; i++)
        add(&sums->leaves[changes->changes[i].place], &changes->changes[i].by);
    pthread_mutex_unlock(&sums->lock);
}

/* All of them. */

void bucket_sums_clear(struct bucket_sums *sums)
{
    pthread_mutex_lock(&sums->lock);
    for (size_t i = 0; i < sums->count; i++)
        sums->leaves[i] = (struct bucket_leaf){0};
    pthread_mutex_unlock(&sums->lock);
}

enum kist_status bucket_sums_load(struct bucket_sums *sums, struct view key,
                                  struct view value)
{
    size_t place, leaf;

    if (key.size != BUCKET_SUMS_KEY_SIZE || value.size != VALUE_SIZE)
        return KIST_CORRUPT;
    leaf = (unsigned char)key.data[5];
    place = (size_t)read_u32(key.data + 1) * KEY_HASH_LEAVES + leaf;
    if (leaf >= KEY_HASH_LEAVES || place >= sums->count)
        return KIST_CORRUPT;
    pthread_mutex_lock(&sums->lock);
    sums->leaves[place] = (struct bucket_leaf){
        .sum = {.high = read_u64(value.data), .low = read_u64(value.data + 8)},
        .count = read_u64(value.data + 16),
    };
    pthread_mutex_unlock(&sums->lock);
    return KIST_OK;
}

void bucket_sums_put_all(const struct bucket_sums *sums, size_t *place,
                         size_t limit, struct engine_batch *batch)
{
    for (; *place < sums->count && batch->count < limit; (*place)++)
        if (sums->leaves[*place].count != 0)
            put_leaf(*place, &sums->leaves[*place], batch);
}
