/*
 * cache_traces - how often the object cache hits, beside LRU, SIEVE and what
 * is possible at all, on made-up traces.
 *
 *     cache_traces docs/cache.md
 *
 * writes the table between the marks of that document. The cache is
 * storage/cache.c itself, with records of one size; the others are simulated
 * with as many entries as it had. Two runs differ by tenths of a percent, in
 * loops by some percents: the cache hashes with a secret.
 */
#include "bench/policy.h"
#include "storage/cache.h"
#include "storage/record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN "<!-- From bench/cache_traces -->\n"
#define END   "<!-- End -->\n"

enum { VALUE_SIZE = 93 };

static const uint64_t budgets[] = {UINT64_C(2) << 20, UINT64_C(20) << 20};

static void fail(const char *what)
{
    fprintf(stderr, "cache_traces: %s\n", what);
    exit(1);
}

static struct cache *cache_of(uint64_t bytes)
{
    struct cache *cache;

    if (cache_open(bytes, 'k', &cache) != KIST_OK)
        fail("no memory");
    return cache;
}

/* One request: true if it was a hit, else the cache gets the record. */
static bool ask(struct cache *cache, uint32_t number, struct blob *encoded)
{
    static const char value[VALUE_SIZE];
    char text[16];
    struct view key = {
        text, (size_t)snprintf(text, sizeof(text), "%08" PRIu32, number)};
    struct record record = {.media_type = VIEW_LITERAL("application/json"),
                            .value = {value, sizeof(value)}};
    struct cache_found found;

    if (cache_get(cache, key, CACHE_READ, &found) == CACHE_HIT) {
        hold_release(&found.hold);
        return true;
    }
    blob_clear(encoded);
    record_encode(key, &record, encoded);
    if (!cache_fill(cache, key, &found.ticket, blob_view(encoded)))
        fail("an entry was refused");
    return false;
}

static uint64_t hits_of_cache(const struct trace *trace, uint64_t bytes)
{
    struct cache *cache = cache_of(bytes);
    struct blob encoded = BLOB_EMPTY;
    uint64_t hits = 0;

    for (size_t i = 0; i < trace->size; i++)
        if (ask(cache, trace->asked[i], &encoded))
            hits += i >= trace->warm;
    blob_free(&encoded);
    cache_close(cache);
    return hits;
}

/* How many of these records a cache of this size has when it is full. */
static size_t capacity_of(uint64_t bytes)
{
    struct cache *cache = cache_of(bytes);
    struct blob encoded = BLOB_EMPTY;
    struct cache_totals totals;

    for (uint32_t i = 0; i < TRACE_KEYS; i++)
        ask(cache, i, &encoded);
    cache_totals(cache, &totals);
    blob_free(&encoded);
    cache_close(cache);
    return (size_t)totals.entries;
}

static void add_row(struct blob *table, const struct trace *trace,
                    uint64_t bytes, size_t capacity)
{
    double asked = (double)(trace->size - trace->warm);

    blob_printf(table,
                "| %s | %" PRIu64 " MiB | %.1f %% | %.1f %% | %.1f %% | "
                "%.1f %% |\n",
                trace->name, bytes >> 20,
                100 * (double)hits_of_cache(trace, bytes) / asked,
                100 * (double)policy_sieve(trace, capacity) / asked,
                100 * (double)policy_lru(trace, capacity) / asked,
                100 * (double)policy_optimum(trace, capacity) / asked);
}

static void make_table(struct blob *table)
{
    blob_append_text(table, "| Requests | Cache | kist | SIEVE | LRU | "
                            "Optimum |\n|---|---|---|---|---|---|\n");
    for (enum trace_kind kind = 0; kind < TRACE_KINDS; kind++)
        for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
            size_t capacity = capacity_of(budgets[i]);
            struct trace trace = trace_make(kind, capacity);

            add_row(table, &trace, budgets[i], capacity);
            trace_free(&trace);
        }
    blob_printf(table,
                "\n%d requests for %d keys, values of %d bytes; a quarter of "
                "them only\nwarms up. 2 MiB hold %zu records, 20 MiB %zu.\n",
                TRACE_SIZE, TRACE_KEYS, VALUE_SIZE, capacity_of(budgets[0]),
                capacity_of(budgets[1]));
}

static void read_file(const char *path, struct blob *out_text)
{
    FILE *file = fopen(path, "r");
    char part[4096];
    size_t size;

    if (file == NULL)
        fail("the document cannot be read");
    while ((size = fread(part, 1, sizeof(part), file)) > 0)
        blob_append(out_text, (struct view){part, size});
    fclose(file);
    blob_append_byte(out_text, '\0');
}

/* The document with another table between its marks. */
static void write_table(const char *path, struct view table)
{
    struct blob text = BLOB_EMPTY;
    const char *begin, *end;
    FILE *file;

    read_file(path, &text);
    begin = strstr(text.data, BEGIN);
    end = begin != NULL ? strstr(begin, END) : NULL;
    if (text.failed || end == NULL)
        fail("the document has no marks");
    begin += strlen(BEGIN);
    file = fopen(path, "w");
    if (file == NULL)
        fail("the document cannot be written");
    fprintf(file, "%.*s\n%.*s\n%s", (int)(begin - text.data), text.data,
            (int)table.size, table.data, end);
    if (fclose(file) != 0)
        fail("the document was not written whole");
    blob_free(&text);
}

int main(int argc, char **argv)
{
    struct blob table = BLOB_EMPTY;

    if (argc > 2)
        fail("usage: cache_traces [document]");
    make_table(&table);
    if (table.failed)
        fail("no memory");
    if (argc == 2)
        write_table(argv[1], blob_view(&table));
    else
        printf("%.*s", (int)table.size, table.data);
    blob_free(&table);
    return 0;
}
