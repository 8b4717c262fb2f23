/*
 * raw_leveldb - what LevelDB alone does with kistd's batches: the measure for
 * POST /batch.
 *
 *     raw_leveldb <new directory> [name=number]...
 *
 * Each thread writes batches of puts, one WriteBatch and one leveldb_write()
 * each, opened with the options of storage/engine_leveldb.c. Keys are drawn at
 * random; values are JSON objects. Nothing is decided, checked or answered.
 * Prints one JSON object. Removing the directory is left to the caller.
 *
 *     seconds=5  puts=1000  value=93  keys=100000  threads=1  sync=1
 */
#include <leveldb/c.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* As in storage/engine.h and storage/engine_leveldb.c. */
enum {
    WRITE_BUFFER = 32 << 20,
    BLOCK_CACHE = 64 << 20,
    MAX_FILE_BYTES = 8 << 20,
    BLOOM_BITS_PER_KEY = 10,
};

enum { KEY_DIGITS = 8, KEY_SIZE = 4 + KEY_DIGITS, THREADS_MAX = 64 };

enum number { SECONDS, PUTS, VALUE, KEYS, THREADS, SYNC, NUMBERS };

static const struct {
    const char *name;
    unsigned long least, most;
} rows[NUMBERS] = {
    [SECONDS] = {"seconds", 1, 3600},        [PUTS] = {"puts", 1, 100000},
    [VALUE] = {"value", 16, 1 << 20},        [KEYS] = {"keys", 1, 99999999},
    [THREADS] = {"threads", 1, THREADS_MAX}, [SYNC] = {"sync", 0, 1},
};

struct database {
    leveldb_t *db;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_options_t *options;
};

struct writer {
    /* Set before the start, then read-only. */
    const unsigned long *numbers;
    leveldb_t *db;
    uint64_t end_ns;

    /* Its thread's, until it is joined. */
    pthread_t thread;
    uint64_t random;
    uint64_t batches;
    bool failed;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_us(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static bool says_why(char *failure)
{
    if (failure != NULL)
        fprintf(stderr, "raw_leveldb: %s\n", failure);
    leveldb_free(failure);
    return failure != NULL;
}

static bool open_database(const char *path, struct database *out)
{
    char *failure = NULL;

    out->cache = leveldb_cache_create_lru(BLOCK_CACHE);
    out->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS_PER_KEY);
    out->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(out->options, 1);
    leveldb_options_set_error_if_exists(out->options, 1);
    leveldb_options_set_paranoid_checks(out->options, 1);
    leveldb_options_set_cache(out->options, out->cache);
    leveldb_options_set_filter_policy(out->options, out->filter);
    leveldb_options_set_write_buffer_size(out->options, WRITE_BUFFER);
    leveldb_options_set_max_file_size(out->options, MAX_FILE_BYTES);
    out->db = leveldb_open(out->options, path, &failure);
    return !says_why(failure);
}

static void close_database(struct database *database)
{
    if (database->db != NULL)
        leveldb_close(database->db);
    leveldb_options_destroy(database->options);
    leveldb_filterpolicy_destroy(database->filter);
    leveldb_cache_destroy(database->cache);
}

/* xorshift64: the keys need no better. */
static uint64_t draw(struct writer *writer)
{
    writer->random ^= writer->random << 13;
    writer->random ^= writer->random >> 7;
    writer->random ^= writer->random << 17;
    return writer->random;
}

static void make_key(uint64_t number, char key[KEY_SIZE])
{
    memcpy(key, "key-", 4);
    for (int i = KEY_SIZE - 1; i >= 4; i--) {
        key[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* {"v":"xxx..."} */
static char *make_value(size_t size)
{
    char *value = malloc(size);

    if (value == NULL)
        return NULL;
    memset(value, 'x', size);
    memcpy(value, "{\"v\":\"", 6);
    memcpy(value + size - 2, "\"}", 2);
    return value;
}

static bool write_batch(struct writer *writer, leveldb_writebatch_t *batch,
                        const leveldb_writeoptions_t *options,
                        const char *value)
{
    char *failure = NULL;
    char key[KEY_SIZE];

    leveldb_writebatch_clear(batch);
    for (size_t i = 0; i < writer->numbers[PUTS]; i++) {
        make_key(draw(writer) % writer->numbers[KEYS], key);
        leveldb_writebatch_put(batch, key, sizeof(key), value,
                               writer->numbers[VALUE]);
    }
    leveldb_write(writer->db, options, batch, &failure);
    return !says_why(failure);
}

static void *run(void *ctx)
{
    struct writer *writer = ctx;
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    char *value = make_value(writer->numbers[VALUE]);

    leveldb_writeoptions_set_sync(options,
                                  (unsigned char)writer->numbers[SYNC]);
    writer->failed = value == NULL;
    while (!writer->failed && now_ns() < writer->end_ns) {
        writer->failed = !write_batch(writer, batch, options, value);
        writer->batches++;
    }
    free(value);
    leveldb_writeoptions_destroy(options);
    leveldb_writebatch_destroy(batch);
    return NULL;
}

static bool run_all(leveldb_t *db, const unsigned long *numbers,
                    uint64_t *out_batches)
{
    struct writer writers[THREADS_MAX] = {0};
    uint64_t end_ns = now_ns() + numbers[SECONDS] * 1000000000u;
    unsigned long started = 0;
    bool good = true;

    while (good && started < numbers[THREADS]) {
        struct writer *writer = &writers[started];

        writer->numbers = numbers;
        writer->db = db;
        writer->end_ns = end_ns;
        writer->random = 0x9e3779b97f4a7c15u * (started + 1);
        good = pthread_create(&writer->thread, NULL, run, writer) == 0;
        started += good;
    }
    *out_batches = 0;
    for (unsigned long i = 0; i < started; i++) {
        pthread_join(writers[i].thread, NULL);
        *out_batches += writers[i].batches;
        good = good && !writers[i].failed;
    }
    return good;
}

static bool read_number(const char *text, unsigned long numbers[NUMBERS])
{
    for (size_t i = 0; i < NUMBERS; i++) {
        size_t size = strlen(rows[i].name);
        char *end;

        if (strncmp(text, rows[i].name, size) != 0 || text[size] != '=')
            continue;
        errno = 0;
        numbers[i] = strtoul(text + size + 1, &end, 10);
        return errno == 0 && end != text + size + 1 && *end == '\0' &&
               numbers[i] >= rows[i].least && numbers[i] <= rows[i].most;
    }
    return false;
}

static void print(const unsigned long *numbers, uint64_t batches,
                  uint64_t elapsed_ns, uint64_t used_us)
{
    uint64_t puts = batches * numbers[PUTS];
    double seconds = (double)elapsed_ns / 1e9;

    printf("{\"batches\":%" PRIu64 ",\"puts\":%" PRIu64 ",\"seconds\":%.3f,"
           "\"batches_per_second\":%.1f,\"puts_per_second\":%.0f,"
           "\"cpu_us_per_put\":%.3f}\n",
           batches, puts, seconds, (double)batches / seconds,
           (double)puts / seconds, (double)used_us / (double)puts);
}

int main(int argc, char **argv)
{
    unsigned long numbers[NUMBERS] = {5, 1000, 93, 100000, 1, 1};
    struct database database = {0};
    uint64_t batches = 0;
    bool good = argc >= 2;

    for (int i = 2; i < argc; i++)
        good = read_number(argv[i], numbers) && good;
    if (!good) {
        fprintf(stderr, "Usage: raw_leveldb <new directory> [seconds=5] "
                        "[puts=1000] [value=93] [keys=100000] [threads=1] "
                        "[sync=1]\n");
        return 2;
    }
    good = open_database(argv[1], &database);
    if (good) {
        uint64_t started_ns = now_ns(), before_us = cpu_us();

        good = run_all(database.db, numbers, &batches);
        if (good)
            print(numbers, batches, now_ns() - started_ns,
                  cpu_us() - before_us);
    }
    close_database(&database);
    return good ? 0 : 1;
}
