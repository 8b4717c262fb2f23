#include "storage/cache.h"

#include "base/clock.h"
#include "storage/record.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

enum { SMALL = 64 << 10, MIB = 1 << 20 };

static struct cache *cache;

static void tear_down(void)
{
    cache_close(cache);
}

TestSuite(cache, .fini = tear_down, .timeout = 20);

static void open_cache(uint64_t bytes)
{
    cr_assert(eq(int, cache_open(bytes, 'k', &cache), KIST_OK));
}

/* A record's bytes, until the next call. */
static struct view record_with(struct view key, struct view value,
                               uint64_t expiry_ms)
{
    static struct blob bytes;
    struct record record = {
        .expiry_ms = expiry_ms,
        .media_type = VIEW_LITERAL("text/plain"),
        .value = value,
    };

    blob_clear(&bytes);
    record_encode(key, &record, &bytes);
    cr_assert(not(bytes.failed));
    return blob_view(&bytes);
}

static struct view number_key(unsigned number)
{
    static char text[32];

    snprintf(text, sizeof(text), "key %u", number);
    return view_of(text);
}

static enum cache_answer look(struct view key, enum cache_reader reader)
{
    struct cache_found found;
    enum cache_answer answer = cache_get(cache, key, reader, &found);

    if (answer == CACHE_HIT)
        hold_release(&found.hold);
    return answer;
}

/* As a reader who finds nothing here and this value in the engine. */
static bool fill(struct view key, const char *value, uint64_t expiry_ms)
{
    struct cache_ticket ticket = cache_pass_by(cache, key);
    struct view record = {0};

    if (value != NULL)
        record = record_with(key, view_of(value), expiry_ms);
    return cache_fill(cache, key, &ticket, record);
}

static bool has(struct view key, const char *value)
{
    struct cache_found found;
    enum cache_answer answer = cache_get(cache, key, CACHE_PEEK, &found);
    struct record record;
    bool same;

    if (value == NULL)
        return answer == CACHE_ABSENT;
    if (answer != CACHE_HIT)
        return false;
    record_trust(found.record, &record);
    same = view_is(record.value, value);
    hold_release(&found.hold);
    return same;
}

static struct cache_totals totals(void)
{
    struct cache_totals now;

    cache_totals(cache, &now);
    return now;
}

/* A batch as the store makes them, with one key or the same key twice. */
static void batch_put(struct engine_batch *batch, const char *key,
                      const char *value)
{
    char engine_key[40];

    snprintf(engine_key, sizeof(engine_key), "k%s", key);
    if (value == NULL)
        engine_batch_delete(batch, view_of(engine_key));
    else
        engine_batch_put(batch, view_of(engine_key),
                         record_with(view_of(key), view_of(value), 0));
    engine_batch_put(batch, VIEW_LITERAL("xwhatever"), (struct view){0});
    engine_batch_put(batch, VIEW_LITERAL("mlease"), VIEW_LITERAL("12345678"));
}

static void write_key(const char *key, const char *value,
                      enum cache_outcome outcome)
{
    struct engine_batch batch = {0};

    batch_put(&batch, key, value);
    cache_write_begin(cache, &batch);
    cache_write_end(cache, &batch, outcome);
    engine_batch_free(&batch);
}

Test(cache, what_was_filled_is_hit_and_what_was_not_is_a_miss)
{
    open_cache(SMALL);
    cr_assert(eq(int, look(view_of("a"), CACHE_READ), CACHE_MISS));
    cr_assert(fill(view_of("a"), "1", 0));
    cr_assert(fill(view_of("b"), NULL, 0));
    cr_assert(has(view_of("a"), "1"));
    cr_assert(eq(int, look(view_of("a"), CACHE_READ), CACHE_HIT));
    cr_assert(eq(int, look(view_of("b"), CACHE_READ), CACHE_ABSENT));
    cr_assert(eq(int, look(view_of("c"), CACHE_READ), CACHE_MISS));

    struct cache_totals now = totals();

    cr_expect(eq(u64, now.hits, 1));
    cr_expect(eq(u64, now.absent_hits, 1));
    cr_expect(eq(u64, now.misses, 2));
    cr_expect(eq(u64, now.bypasses, 2));
    cr_expect(eq(u64, now.stored, 2));
    cr_expect(eq(u64, now.entries, 2));
    cr_expect(eq(u64, now.absent_entries, 1));
}

Test(cache, a_hit_copies_nothing_and_outlives_its_entry)
{
    struct cache_found first, second;
    struct record record;

    open_cache(SMALL);
    cr_assert(fill(view_of("a"), "old", 0));
    cr_assert(
        eq(int, cache_get(cache, view_of("a"), CACHE_READ, &first), CACHE_HIT));
    cr_assert(eq(int, cache_get(cache, view_of("a"), CACHE_READ, &second),
                 CACHE_HIT));
    cr_expect(eq(ptr, (void *)first.record.data, (void *)second.record.data));
    hold_release(&second.hold);

    write_key("a", "new", CACHE_APPLIED);
    cr_expect(has(view_of("a"), "new"));
    cache_close(cache);
    cache = NULL;
    record_trust(first.record, &record);
    cr_expect(view_is(record.value, "old"));
    hold_release(&first.hold);
}

static const char *place_of(struct view key)
{
    struct cache_found found;

    cr_assert(eq(int, cache_get(cache, key, CACHE_PEEK, &found), CACHE_HIT));
    hold_release(&found.hold);
    return found.record.data;
}

Test(cache, an_entry_that_nobody_reads_is_written_over)
{
    const char *before;
    uint64_t soon_ms = clock_wall_ms() + 3600000;

    open_cache(SMALL);
    cr_assert(fill(view_of("a"), "old", soon_ms));
    before = place_of(view_of("a"));
    write_key("a", "new", CACHE_APPLIED);
    cr_expect(eq(ptr, (void *)place_of(view_of("a")), (void *)before));
    cr_expect(has(view_of("a"), "new"));
    cr_expect(eq(u64, totals().entries, 1));

    write_key("a", "longer", CACHE_APPLIED);
    cr_expect(has(view_of("a"), "longer"));
    cr_expect(eq(u64, totals().entries, 1));
}

Test(cache, a_write_enters_and_replaces_and_takes_out)
{
    open_cache(SMALL);
    write_key("a", "1", CACHE_APPLIED);
    cr_expect(has(view_of("a"), "1"));
    write_key("a", "2", CACHE_APPLIED);
    cr_expect(has(view_of("a"), "2"));
    write_key("a", NULL, CACHE_APPLIED);
    cr_expect(eq(int, look(view_of("a"), CACHE_PEEK), CACHE_MISS));
    cr_expect(zero(u64, totals().entries));

    cr_assert(fill(view_of("a"), NULL, 0));
    write_key("a", "3", CACHE_APPLIED);
    cr_expect(has(view_of("a"), "3"));
    cr_expect(zero(u64, totals().absent_entries));
}

Test(cache, of_two_writes_to_a_key_in_a_batch_the_last_counts)
{
    struct engine_batch batch = {0};

    open_cache(SMALL);
    batch_put(&batch, "a", "1");
    batch_put(&batch, "b", "1");
    batch_put(&batch, "a", "2");
    batch_put(&batch, "b", NULL);
    cache_write_begin(cache, &batch);
    cache_write_end(cache, &batch, CACHE_APPLIED);
    engine_batch_free(&batch);
    cr_expect(has(view_of("a"), "2"));
    cr_expect(eq(int, look(view_of("b"), CACHE_PEEK), CACHE_MISS));
}

Test(cache, a_write_of_unknown_outcome_is_forgotten)
{
    open_cache(SMALL);
    cr_assert(fill(view_of("a"), "old", 0));
    write_key("a", "new", CACHE_FAILED);
    cr_expect(eq(int, look(view_of("a"), CACHE_PEEK), CACHE_MISS));
    cr_expect(fill(view_of("a"), "old", 0));
}

/* Between its announcement and its end the engine alone knows. */
Test(cache, a_key_that_is_being_written_is_neither_read_nor_filled)
{
    struct engine_batch batch = {0};

    open_cache(SMALL);
    cr_assert(fill(view_of("a"), "old", 0));
    batch_put(&batch, "a", "new");
    batch_put(&batch, "b", "new");
    cache_write_begin(cache, &batch);
    cr_expect(eq(int, look(view_of("a"), CACHE_READ), CACHE_MISS));
    cr_expect(not(fill(view_of("a"), "old", 0)));
    cr_expect(not(fill(view_of("b"), NULL, 0)));
    cache_write_end(cache, &batch, CACHE_APPLIED);
    engine_batch_free(&batch);
    cr_expect(has(view_of("a"), "new"));
    cr_expect(has(view_of("b"), "new"));
}

/* A reader at each of the moments at which he can have read the engine. */
Test(cache, a_ticket_is_good_only_if_no_write_came_after_it)
{
    struct view key = VIEW_LITERAL("a"), other = VIEW_LITERAL("other");
    struct cache_ticket before, during, after, others;
    struct engine_batch batch = {0};

    open_cache(SMALL);
    before = cache_pass_by(cache, key);
    others = cache_pass_by(cache, other);
    batch_put(&batch, "a", "new");
    cache_write_begin(cache, &batch);
    during = cache_pass_by(cache, key);
    cache_write_end(cache, &batch, CACHE_APPLIED);
    after = cache_pass_by(cache, key);
    engine_batch_free(&batch);

    struct view old = record_with(key, view_of("old"), 0);

    cr_expect(not(cache_fill(cache, key, &before, old)));
    cr_expect(not(cache_fill(cache, key, &during, old)));
    cr_expect(has(key, "new"));
    cr_expect(
        cache_fill(cache, key, &after, record_with(key, view_of("same"), 0)));
    cr_expect(cache_fill(cache, other, &others, (struct view){0}));
    cr_expect(eq(u64, totals().refused, 2));
}

/* One who missed and filled before the announcement left an old value. */
Test(cache, what_came_in_just_before_a_write_goes_with_it)
{
    struct view key = VIEW_LITERAL("a");
    struct cache_ticket ticket;

    open_cache(SMALL);
    ticket = cache_pass_by(cache, key);
    cr_assert(
        cache_fill(cache, key, &ticket, record_with(key, view_of("old"), 0)));
    write_key("a", NULL, CACHE_APPLIED);
    cr_expect(eq(int, look(key, CACHE_PEEK), CACHE_MISS));
    cr_expect(not(
        cache_fill(cache, key, &ticket, record_with(key, view_of("old"), 0))));
}

Test(cache, after_a_clear_nothing_is_left_and_no_earlier_ticket_good)
{
    struct cache_ticket ticket;

    open_cache(SMALL);
    for (unsigned i = 0; i < 50; i++)
        cr_assert(fill(number_key(i), "value", 0));
    ticket = cache_pass_by(cache, view_of("a"));
    cache_clear(cache);
    cr_expect(zero(u64, totals().entries));
    cr_expect(not(cache_fill(cache, view_of("a"), &ticket,
                             record_with(view_of("a"), view_of("1"), 0))));
    cr_expect(fill(view_of("a"), "1", 0));
}

Test(cache, an_expired_entry_is_not_served_and_leaves)
{
    open_cache(SMALL);
    cr_assert(fill(view_of("dead"), "1", 1));
    cr_assert(fill(view_of("alive"), "1", clock_wall_ms() + 3600 * 1000));
    cr_expect(has(view_of("dead"), "1")); /* A peek sees what lies there. */
    cr_expect(eq(int, look(view_of("dead"), CACHE_READ), CACHE_MISS));
    cr_expect(eq(int, look(view_of("alive"), CACHE_READ), CACHE_HIT));
    cr_expect(eq(u64, totals().entries, 1));
}

Test(cache, expired_entries_leave_before_used_ones)
{
    open_cache(SMALL);
    for (unsigned i = 0; i < 20; i++) {
        cr_assert(fill(number_key(i), "value", i % 2));
        for (unsigned use = 0; use < 5 && i % 2 == 0; use++)
            look(number_key(i), CACHE_READ);
    }
    for (unsigned i = 100; i < 1100; i++)
        cr_assert(fill(number_key(i), "value", 0));
    for (unsigned i = 0; i < 20; i++)
        cr_expect(eq(int, look(number_key(i), CACHE_PEEK),
                     i % 2 == 0 ? CACHE_HIT : CACHE_MISS));
}

static void fill_with(unsigned count, size_t size)
{
    struct blob value = BLOB_EMPTY;

    for (size_t i = 0; i < size; i++)
        blob_append_byte(&value, 'v');
    for (unsigned i = 0; i < count; i++) {
        struct view key = number_key(i);
        struct cache_ticket ticket = cache_pass_by(cache, key);

        cache_fill(cache, key, &ticket, record_with(key, blob_view(&value), 0));
    }
    blob_free(&value);
}

Test(cache, it_is_full_but_never_more)
{
    static const size_t sizes[] = {1, 100, 5000, 60, 20000, 1};

    open_cache(8 * MIB);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill_with((unsigned)(24 * MIB / (sizes[i] + 150)), sizes[i]);
        cr_expect(le(u64, totals().bytes, 8 * MIB), "size %zu", sizes[i]);
        cr_expect(ge(u64, totals().bytes, 7 * MIB), "size %zu", sizes[i]);
        cr_expect(gt(u64, totals().evictions, 0));
    }
}

Test(cache, a_record_that_would_push_out_too_much_is_refused)
{
    open_cache(MIB);
    fill_with(1, 50 << 10);
    cr_expect(eq(u64, totals().entries, 1));
    fill_with(2, 70 << 10);
    cr_expect(eq(u64, totals().refused, 2));
    write_key("key 0", "small", CACHE_APPLIED);
    cr_expect(has(view_of("key 0"), "small"));
}

Test(cache, a_write_of_a_large_record_leaves_no_old_one)
{
    static char large[100 << 10];

    open_cache(MIB);
    memset(large, 'v', sizeof(large) - 1);
    write_key("a", "small", CACHE_APPLIED);
    write_key("a", large, CACHE_APPLIED);
    cr_expect(eq(int, look(view_of("a"), CACHE_PEEK), CACHE_MISS));
}

Test(cache, absent_keys_have_a_small_share)
{
    open_cache(MIB);
    fill_with(2000, 100);

    uint64_t records = totals().entries;

    for (unsigned i = 10000; i < 60000; i++)
        cr_assert(fill(number_key(i), NULL, 0));
    cr_expect(le(u64, totals().absent_entries * 64, MIB / 16));
    cr_expect(gt(u64, totals().absent_entries, 100));
    cr_expect(ge(u64, totals().entries - totals().absent_entries, records));
    cr_expect(eq(int, look(number_key(59999), CACHE_READ), CACHE_ABSENT));
}

enum { HOT = 1500, COLD = 100000 };

static void use_hot(void)
{
    for (unsigned i = 0; i < HOT; i++)
        if (look(number_key(i), CACHE_READ) == CACHE_MISS)
            fill(number_key(i), "a hot value", 0);
}

Test(cache, a_scan_of_cold_keys_leaves_the_hot_ones)
{
    unsigned there = 0;

    open_cache(MIB);
    for (unsigned round = 0; round < 4; round++)
        use_hot();
    for (unsigned i = HOT; i < HOT + COLD; i++) {
        if (look(number_key(i), CACHE_READ) == CACHE_MISS)
            fill(number_key(i), "a cold value", 0);
    }
    for (unsigned i = 0; i < HOT; i++)
        there += look(number_key(i), CACHE_PEEK) == CACHE_HIT;
    cr_expect(ge(uint, there, HOT * 95 / 100));
}

Test(cache, a_peek_is_no_reason_to_stay)
{
    open_cache(SMALL);
    cr_assert(fill(view_of("read"), "1", 0));
    cr_assert(fill(view_of("peeked"), "1", 0));
    for (unsigned i = 0; i < 5; i++) {
        look(view_of("read"), CACHE_READ);
        look(view_of("peeked"), CACHE_PEEK);
    }
    cr_expect(eq(u64, totals().hits, 5));
    for (unsigned i = 0; i < 2000; i++)
        cr_assert(fill(number_key(i), "value", 0));
    cr_expect(has(view_of("read"), "1"));
    cr_expect(not(has(view_of("peeked"), "1")));
}

/* The hit that would have proved it useful came too late, once. */
Test(cache, a_key_that_comes_back_soon_is_kept)
{
    unsigned just_gone;

    open_cache(SMALL);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert(fill(number_key(i), "value", 0));
    just_gone = 1000 - (unsigned)totals().entries - 10;
    cr_assert(not(has(number_key(just_gone), "value")));
    cr_assert(fill(number_key(just_gone), "value", 0));
    for (unsigned i = 1000; i < 3000; i++)
        cr_assert(fill(number_key(i), "value", 0));
    cr_expect(has(number_key(just_gone), "value"));
}
