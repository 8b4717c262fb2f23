#include "tests/storage/node.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * What a start reads, whatever the clock says: bytes through read() and its
 * like, and tables mapped into memory, which is how LevelDB reads them.
 */

enum {
    BATCH = 1000,
    FEW = 1000,
    MANY = 200000,
    LAST_WRITES = 3000, /* In the log when the process ends. */
    VALUE_SIZE = 120,
};

static struct node node;
static char engine_path[100];

static void set_up(void)
{
    node_prepare(&node);
    snprintf(engine_path, sizeof(engine_path), "%s/leveldb", node.path);
}

static void tear_down(void)
{
    scratch_remove(&node.scratch);
}

static struct view key_of(unsigned number)
{
    static char text[16];

    /* All over the key space: no two tables of a load follow each other. */
    snprintf(text, sizeof(text), "%08" PRIx32,
             (uint32_t)(number * UINT32_C(2654435761)));
    return view_of(text);
}

static void fill_value(char value[VALUE_SIZE])
{
    static uint64_t random = 88172645463325252;

    for (unsigned i = 0; i < VALUE_SIZE; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        value[i] = (char)random;
    }
}

static void write_batch(unsigned from, unsigned count)
{
    struct engine_batch batch = {0};
    struct blob encoded = BLOB_EMPTY;
    char value[VALUE_SIZE];

    for (unsigned i = from; i < from + count; i++) {
        struct record record = {
            .version = {i + 1, 1},
            .created_ms = 1,
            .media_type = VIEW_LITERAL("text/plain"),
            .value = {value, sizeof(value)},
        };

        fill_value(value);
        blob_clear(&encoded);
        record_encode(key_of(i), &record, &encoded);
        store_batch_put(&batch, key_of(i), blob_view(&encoded), 0);
    }
    cr_assert(eq(int,
                 store_apply(node.store, &batch, store_opening(node.store),
                             ENGINE_ASYNC),
                 KIST_OK));
    blob_free(&encoded);
    engine_batch_free(&batch);
}

/* Compacted, so that nothing goes on in the background of the next start. */
static void write_keys(unsigned count)
{
    struct engine *engine;

    cr_assert(eq(int, node_open_store(&node), KIST_OK));
    for (unsigned i = 0; i < count; i += BATCH)
        write_batch(i, BATCH);
    engine = store_borrow_engine(node.store);
    engine->ops->compact(engine);
    store_return_engine(node.store);
    for (unsigned i = 0; i < LAST_WRITES; i += BATCH)
        write_batch(count + i, BATCH);
}

/* In a process of its own, which ends with everything open: a kill -9. */
static void crash_with_keys(unsigned count)
{
    pid_t child = fork();
    int code;

    if (child == 0) {
        write_keys(count);
        _exit(0);
    }
    cr_assert(ge(int, child, 1));
    cr_assert(eq(int, waitpid(child, &code, 0), child));
    cr_assert(zero(int, code));
}

static bool ends_with(const char *name, const char *ending)
{
    size_t size = strlen(name), tail = strlen(ending);

    return size > tail && strcmp(name + size - tail, ending) == 0;
}

struct files {
    unsigned tables;
    uint64_t log_bytes;
};

static struct files list_files(void)
{
    DIR *directory = opendir(engine_path);
    struct files files = {0};
    struct dirent *entry;
    struct stat about;

    cr_assert(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        cr_assert(
            zero(int, fstatat(dirfd(directory), entry->d_name, &about, 0)));
        if (ends_with(entry->d_name, ".log"))
            files.log_bytes += (uint64_t)about.st_size;
        files.tables += ends_with(entry->d_name, ".ldb");
    }
    closedir(directory);
    return files;
}

static uint64_t bytes_read(void)
{
    FILE *file = fopen("/proc/self/io", "r");
    uint64_t bytes = 0;

    cr_assert(file != NULL);
    cr_assert(eq(int, fscanf(file, "rchar: %" SCNu64, &bytes), 1));
    fclose(file);
    return bytes;
}

static unsigned mapped_tables(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    unsigned count = 0;
    char *line = NULL;
    size_t room = 0;

    cr_assert(file != NULL);
    while (getline(&line, &room, file) >= 0)
        count += strstr(line, ".ldb") != NULL;
    free(line);
    fclose(file);
    return count;
}

struct start {
    struct files before;
    uint64_t bytes_read;
    unsigned tables_mapped;
};

static struct start start(void)
{
    struct start start = {.before = list_files()};
    uint64_t before = bytes_read();

    cr_assert(eq(int, node_open_store(&node), KIST_OK), "%s", node.fault.text);
    start.bytes_read = bytes_read() - before;
    start.tables_mapped = mapped_tables();
    return start;
}

static void expect_key(unsigned number)
{
    struct item item;

    cr_assert(eq(int, store_get(node.store, key_of(number), &item), KIST_OK));
    cr_assert(eq(u64, item.record.version.hlc, number + 1));
    item_free(&item);
}

/* Lists and small files: CURRENT, FORMAT, MANIFEST, /proc/self. */
#define SMALL_READS (64u << 10)

/* The one that recovery wrote, and the one with the node's identity. */
#define TABLES_READ 2

TestSuite(start, .init = set_up, .fini = tear_down, .timeout = 60);

static void expect_written(unsigned count)
{
    expect_key(0);
    expect_key(count + LAST_WRITES - 1);
}

static void expect_start_after_crash(unsigned count)
{
    struct start crashed;

    /* Before LevelDB runs here: a fork would not get its thread. */
    crash_with_keys(count);
    crashed = start();
    expect_written(count);

    /* Once for damage, once by LevelDB, which then looks at its table. */
    cr_assert(gt(u64, crashed.before.log_bytes, LAST_WRITES * VALUE_SIZE));
    cr_assert(le(u64, crashed.bytes_read,
                 2 * crashed.before.log_bytes + SMALL_READS));
    cr_assert(le(uint, crashed.tables_mapped, TABLES_READ));
    if (count == MANY)
        cr_assert(gt(uint, crashed.before.tables, 2 * TABLES_READ));
    store_close(node.store);
}

static void expect_start_after_stop(unsigned count)
{
    struct start stopped;

    write_keys(count);
    store_close(node.store);
    stopped = start();
    expect_written(count);

    cr_assert(zero(u64, stopped.before.log_bytes));
    cr_assert(le(u64, stopped.bytes_read, SMALL_READS));
    cr_assert(le(uint, stopped.tables_mapped, TABLES_READ));
    if (count == MANY)
        cr_assert(gt(uint, stopped.before.tables, 2 * TABLES_READ));
    store_close(node.store);
}

Test(start, after_a_crash_it_reads_the_log_and_hardly_a_table)
{
    expect_start_after_crash(FEW);
}

Test(start, after_a_crash_with_many_keys_it_reads_no_more)
{
    expect_start_after_crash(MANY);
}

Test(start, after_an_orderly_stop_it_reads_no_log_and_hardly_a_table)
{
    expect_start_after_stop(FEW);
}

Test(start, after_an_orderly_stop_with_many_keys_it_reads_no_more)
{
    expect_start_after_stop(MANY);
}
