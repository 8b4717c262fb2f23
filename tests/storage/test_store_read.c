/*
 * Readers and a write in every order that matters: LevelDB's own get and write
 * are wrapped, and what happens inside of them is the test's to say.
 */
#include "storage/store_read.h"

#include "tests/storage/node.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <leveldb/c.h>
#include <pthread.h>
#include <string.h>

static struct node node;

/* Called once each: by the next get after it has read, and around a write. */
static void (*after_get)(void);
static void (*before_write)(void);
static void (*after_write)(void);
static bool fail_write;
static unsigned gets;

static void run_once(void (**hook)(void))
{
    void (*run)(void) = *hook;

    *hook = NULL;
    if (run != NULL)
        run();
}

char *__real_leveldb_get(leveldb_t *db, const leveldb_readoptions_t *options,
                         const char *key, size_t key_size, size_t *size,
                         char **failure);
char *__wrap_leveldb_get(leveldb_t *db, const leveldb_readoptions_t *options,
                         const char *key, size_t key_size, size_t *size,
                         char **failure);
char *__wrap_leveldb_get(leveldb_t *db, const leveldb_readoptions_t *options,
                         const char *key, size_t key_size, size_t *size,
                         char **failure)
{
    char *value = __real_leveldb_get(db, options, key, key_size, size, failure);

    gets++;
    run_once(&after_get);
    return value;
}

void __real_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options,
                          leveldb_writebatch_t *batch, char **failure);
void __wrap_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options,
                          leveldb_writebatch_t *batch, char **failure);
void __wrap_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options,
                          leveldb_writebatch_t *batch, char **failure)
{
    run_once(&before_write);
    if (fail_write)
        *failure = strdup("IO error: made up: No space left on device");
    else
        __real_leveldb_write(db, options, batch, failure);
    run_once(&after_write);
}

static void put(const char *key, const char *value)
{
    struct write write =
        value != NULL ? node_put(key, value) : node_delete(key);

    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
}

static void set_up(void)
{
    node_open(&node);
}

static void tear_down(void)
{
    node_close(&node);
}

TestSuite(store_read, .init = set_up, .fini = tear_down, .timeout = 20);

struct seen {
    char value[8]; /* "": there is none. */
    enum store_source source;
};

static struct seen look(const char *key, enum store_reader reader)
{
    struct seen seen = {.value = ""};
    struct item item = {0};
    enum kist_status status =
        store_read(node.store, view_of(key), reader, &item, &seen.source);

    cr_assert(status == KIST_OK || status == KIST_NOT_FOUND);
    if (status == KIST_OK)
        memcpy(seen.value, item.record.value.data, item.record.value.size);
    item_free(&item);
    return seen;
}

static void expect(const char *key, const char *value, enum store_source source)
{
    struct seen seen = look(key, STORE_USUAL);

    cr_expect(eq(str, seen.value, (char *)value));
    cr_expect(eq(int, seen.source, source));
}

/* No reader is left with an entry that only a test made. */
static void forget(const char *key)
{
    put(key, "x");
    put(key, NULL);
}

static void write_new(void)
{
    put("k", "new");
}

static void delete_it(void)
{
    put("k", NULL);
}

Test(store_read, writes_and_reads_fill_and_a_fresh_read_fills_again)
{
    put("k", "1");
    expect("k", "1", STORE_CACHE);
    cr_expect(eq(int, look("k", STORE_FRESH).source, STORE_ENGINE_KEPT));
    put("k", NULL);
    expect("k", "", STORE_ENGINE_KEPT);
    expect("k", "", STORE_CACHE);
    put("k", "2");
    expect("k", "2", STORE_CACHE);
}

Test(store_read, a_slow_miss_brings_no_old_value_back)
{
    struct seen seen;

    put("k", "old");
    after_get = write_new;
    seen = look("k", STORE_FRESH);
    cr_expect(eq(str, seen.value, "old"));
    cr_expect(eq(int, seen.source, STORE_ENGINE));
    expect("k", "new", STORE_CACHE);
}

Test(store_read, a_slow_miss_brings_no_deleted_value_back)
{
    put("k", "old");
    after_get = delete_it;
    cr_expect(eq(str, look("k", STORE_FRESH).value, "old"));
    expect("k", "", STORE_ENGINE_KEPT);
}

Test(store_read, a_slow_miss_hides_no_new_key)
{
    forget("k");
    after_get = write_new;
    cr_expect(eq(str, look("k", STORE_USUAL).value, ""));
    expect("k", "new", STORE_CACHE);
}

static void expect_old(void)
{
    expect("k", "old", STORE_ENGINE);
}

static void expect_new(void)
{
    expect("k", "new", STORE_ENGINE);
}

/* The engine has it: who asks now, in whatever way, gets the new value. */
Test(store_read, nobody_sees_the_old_value_after_the_engine_has_the_new_one)
{
    put("k", "old");
    expect("k", "old", STORE_CACHE);
    before_write = expect_old;
    after_write = expect_new;
    put("k", "new");
    expect("k", "new", STORE_CACHE);
}

static struct seen slow;

static void *read_slowly(void *ctx)
{
    (void)ctx;
    slow = look("k", STORE_USUAL);
    return NULL;
}

static pthread_barrier_t has_read, may_fill;

static void wait_inside(void)
{
    pthread_barrier_wait(&has_read);
    pthread_barrier_wait(&may_fill);
}

static pthread_t reader;

/* On the commit thread: the old value is read while it is announced. */
static void begin_slow_read(void)
{
    after_get = wait_inside;
    cr_assert(zero(int, pthread_create(&reader, NULL, read_slowly, NULL)));
    pthread_barrier_wait(&has_read);
}

Test(store_read, a_miss_that_began_during_the_write_leaves_nothing_behind)
{
    pthread_barrier_init(&has_read, NULL, 2);
    pthread_barrier_init(&may_fill, NULL, 2);
    put("k", "old");
    before_write = begin_slow_read;
    put("k", "new");
    pthread_barrier_wait(&may_fill);
    pthread_join(reader, NULL);
    cr_expect(eq(str, slow.value, "old"));
    cr_expect(eq(int, slow.source, STORE_ENGINE));
    expect("k", "new", STORE_CACHE);
}

Test(store_read, the_commit_reads_what_it_replaces_from_the_cache)
{
    put("k", "1");
    gets = 0;
    put("k", "2");
    put("k", NULL);
    cr_expect(zero(uint, gets));
}

/* A poisoned engine answers reads, and the cache is not asked what failed. */
Test(store_read, a_write_of_unknown_outcome_is_read_from_the_engine)
{
    struct write write = node_put("k", "new");

    put("k", "old");
    fail_write = true;
    cr_assert(eq(int, node_write(&node, &write), KIST_UNKNOWN));
    fail_write = false;
    expect("k", "old", STORE_ENGINE_KEPT);
    store_check(node.store);
    cr_assert(eq(int, store_state(node.store), STORE_READ_WRITE));
    expect("k", "old", STORE_ENGINE_KEPT); /* Another engine. */
    put("k", "new");
    expect("k", "new", STORE_CACHE);
}
