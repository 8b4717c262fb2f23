/*
 * The memory that the process really takes for a cache is what the cache
 * counts, whatever the sizes are and in whatever order they come: records of
 * one size that leave must make room for those of another.
 */
#include "storage/cache.h"

#include "storage/record.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__has_feature)
#define HAS_SANITIZER __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

enum { MIB = 1 << 20, CACHE_MIB = 32 };

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long whole, resident;

    cr_assert(file != NULL);
    cr_assert(eq(int, fscanf(file, "%lu %lu", &whole, &resident), 2));
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void fill(struct cache *cache, struct view key, struct view value,
                 struct blob *encoded)
{
    struct record record = {.media_type = VIEW_LITERAL("text/plain"),
                            .value = value};
    struct cache_ticket ticket = cache_pass_by(cache, key);

    blob_clear(encoded);
    record_encode(key, &record, encoded);
    cache_fill(cache, key, &ticket, blob_view(encoded));
}

struct mix {
    const size_t *sizes; /* Of values; each equally often. */
    size_t count;
};

/* Three times as much as fits, all keys new; every other one is asked again. */
static void fill_with(struct cache *cache, struct mix mix, unsigned *next)
{
    static char value[128 << 10];
    struct blob encoded = BLOB_EMPTY;

    for (size_t bytes = 0; bytes < (size_t)3 * CACHE_MIB * MIB;) {
        size_t size = mix.sizes[*next * 2654435761u / 65536 % mix.count];
        char text[24];
        struct view key = {text, 0};
        struct cache_found found;

        bytes += size + 150;
        key.size = (size_t)snprintf(text, sizeof(text), "key %u", ++*next);
        fill(cache, key, (struct view){value, size}, &encoded);
        for (unsigned use = 0; use < 2 && *next % 2 == 0; use++)
            if (cache_get(cache, key, CACHE_READ, &found) == CACHE_HIT)
                hold_release(&found.hold);
    }
    blob_free(&encoded);
}

/* In the order given; the most that was taken in percent of the limit. */
static size_t most_taken(const struct mix *mixes, size_t count)
{
    size_t before = resident_bytes(), most = 0;
    struct cache *cache;
    unsigned next = 0;

    cr_assert(
        eq(int, cache_open((uint64_t)CACHE_MIB * MIB, 'k', &cache), KIST_OK));
    for (size_t i = 0; i < count; i++) {
        struct cache_totals totals;
        size_t taken;

        fill_with(cache, mixes[i], &next);
        cache_totals(cache, &totals);
        taken = resident_bytes() - before;
        printf("# values from %zu: %zu KiB taken, %zu KiB counted\n",
               mixes[i].sizes[0], taken >> 10, (size_t)totals.bytes >> 10);
        cr_expect(ge(sz, taken, (size_t)CACHE_MIB * MIB * 3 / 4));
        most = taken > most ? taken : most;
    }
    cache_close(cache);
    return most * 100 / CACHE_MIB / MIB;
}

static const size_t small[] = {93};
static const size_t various[] = {1, 30, 93, 93, 100, 300, 1000, 5000};
static const size_t large[] = {20000, 60000, 100000};
static const struct mix small_ones = {small, 1}, various_ones = {various, 8},
                        large_ones = {large, 3};

static void set_up(void)
{
    if (HAS_SANITIZER)
        cr_skip_test("a sanitizer's memory says nothing");
}

TestSuite(cache_memory, .init = set_up, .timeout = 60);

Test(cache_memory, small_records_take_what_is_counted)
{
    cr_expect(le(sz, most_taken(&small_ones, 1), 105));
}

Test(cache_memory, large_records_take_what_is_counted)
{
    cr_expect(le(sz, most_taken(&large_ones, 1), 110));
}

Test(cache_memory, records_of_various_sizes_take_little_more)
{
    cr_expect(le(sz, most_taken(&various_ones, 1), 125));
}

/* What small ones left between others is of no use to large ones. */
Test(cache_memory, changes_of_size_take_as_much_again_at_most)
{
    const struct mix mixes[] = {small_ones, large_ones,   small_ones,
                                large_ones, various_ones, large_ones};

    cr_expect(le(sz, most_taken(mixes, 6), 200));
}
