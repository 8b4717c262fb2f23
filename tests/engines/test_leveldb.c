/* What LevelDB alone does. */
#include "storage/engine.h"
#include "tests/support/fault.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <leveldb/c.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WRITES = 10 };

static struct scratch scratch;
static struct engine_fault fault;

static void set_up(void)
{
    scratch_make(&scratch);
    fault_watch(scratch.path);
}

static void tear_down(void)
{
    fault_disarm();
    scratch_remove(&scratch);
}

static void put(leveldb_t *db, const char *key, char **failure)
{
    static const char value[6000];
    leveldb_writeoptions_t *synced = leveldb_writeoptions_create();

    leveldb_writeoptions_set_sync(synced, 1);
    leveldb_put(db, synced, key, strlen(key), value, sizeof(value), failure);
    leveldb_writeoptions_destroy(synced);
}

static const char *key_of(unsigned number)
{
    static char text[16];

    snprintf(text, sizeof(text), "%u", number);
    return text;
}

/* One write fails, and others are acknowledged after it. */
static void write_past_a_failure(void)
{
    leveldb_options_t *options = leveldb_options_create();
    char *failure = NULL;
    leveldb_t *db;

    leveldb_options_set_create_if_missing(options, 1);
    db = leveldb_open(options, scratch.path, &failure);
    cr_assert(zero(ptr, failure));
    fault_arm(FAULT_WRITE, 0, FAULT_ONCE, ENOSPC);
    put(db, "failed", &failure);
    cr_assert(fault_disarm());
    cr_assert(failure != NULL);
    leveldb_free(failure);
    failure = NULL;
    for (unsigned i = 0; i < WRITES; i++) {
        put(db, key_of(i), &failure);
        cr_assert(zero(ptr, failure), "acknowledged");
    }
    leveldb_close(db);
    leveldb_options_destroy(options);
}

TestSuite(leveldb, .init = set_up, .fini = tear_down, .timeout = 60);

/*
 * Why the engine refuses to go on. If this ever fails, LevelDB has been
 * repaired, and the refusal may be thought over.
 */
Test(leveldb, alone_loses_what_it_acknowledges_after_a_failure)
{
    struct engine_options options = {.path = scratch.path};
    struct engine *engine;
    unsigned found = 0;

    write_past_a_failure();

    /* And our check sees what happened here. */
    cr_assert(
        eq(int, engine_leveldb_open(&options, &fault, &engine), KIST_CORRUPT));
    cr_assert(strstr(fault.text, "lost") != NULL, "%s", fault.text);
    options.accept_data_loss = true;
    cr_assert(eq(int, engine_leveldb_open(&options, &fault, &engine), KIST_OK));
    for (unsigned i = 0; i < WRITES; i++) {
        struct blob value = BLOB_EMPTY;

        found += engine_get(engine, view_of(key_of(i)), &value) == KIST_OK;
        blob_free(&value);
    }
    engine->ops->close(engine);
    cr_assert(lt(uint, found, WRITES));
}

/* An entry of the MANIFEST that a failed write cut off. */

enum { ENTRY_HEAD = 7 };

static struct engine *open_kist(enum kist_status wanted)
{
    struct engine_options options = {.path = scratch.path};
    struct engine *engine = NULL;

    cr_assert(eq(int, engine_leveldb_open(&options, &fault, &engine), wanted),
              "%s", fault.text);
    return engine;
}

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", scratch.path, name);
}

/* The MANIFEST that CURRENT names. */
static void manifest_path(char path[128])
{
    char current[128], name[32] = "";
    FILE *file;

    path_of("CURRENT", current);
    file = fopen(current, "r");
    cr_assert(file != NULL && fgets(name, sizeof(name), file) != NULL);
    fclose(file);
    name[strcspn(name, "\n")] = '\0';
    path_of(name, path);
}

/* Where its last entry begins; all of them are FULL. */
static size_t last_entry(const unsigned char *bytes, size_t size)
{
    size_t at = 0, next = 0;

    while (next < size) {
        at = next;
        next += ENTRY_HEAD + (bytes[at + 4] | (size_t)bytes[at + 5] << 8);
    }
    cr_assert(eq(sz, next, size));
    return at;
}

/* In front of the last entry comes as much of its like. */
static void put_half_entry(size_t part_of_it)
{
    static unsigned char bytes[65536];
    char path[128];
    FILE *file;
    size_t size, last;

    manifest_path(path);
    file = fopen(path, "r+b");
    cr_assert(file != NULL);
    size = fread(bytes, 1, sizeof(bytes), file);
    last = last_entry(bytes, size);
    cr_assert(lt(sz, part_of_it, size - last));
    cr_assert(zero(int, fseek(file, (long)last, SEEK_SET)));
    cr_assert(eq(sz, fwrite(bytes + last, 1, part_of_it, file), part_of_it));
    cr_assert(eq(sz, fwrite(bytes + last, 1, size - last, file), size - last));
    fclose(file);
    path_of("kist.seal", path); /* It was no orderly close. */
    remove(path);
}

static void expect_writes(struct engine *engine)
{
    for (unsigned i = 0; i < WRITES; i++) {
        struct blob value = BLOB_EMPTY;

        cr_assert(
            eq(int, engine_get(engine, view_of(key_of(i)), &value), KIST_OK));
        cr_assert(eq(sz, value.size, 100 + i));
        blob_free(&value);
    }
    engine->ops->close(engine);
}

/* Of several tables, so that the MANIFEST has several entries. */
static void write_tables(void)
{
    static const char bulk[200];
    struct engine *engine = open_kist(KIST_OK);

    for (unsigned i = 0; i < WRITES; i++) {
        struct engine_batch batch = {0};

        engine_batch_put(&batch, view_of(key_of(i)),
                         (struct view){bulk, 100 + i});
        cr_assert(
            eq(int, engine->ops->apply(engine, &batch, ENGINE_SYNC), KIST_OK));
        engine_batch_free(&batch);
        engine->ops->compact(engine);
    }
    engine->ops->close(engine);
}

Test(leveldb, an_entry_that_a_failed_write_cut_off_is_taken_out)
{
    write_tables();
    for (size_t part = ENTRY_HEAD; part < ENTRY_HEAD + 8; part++) {
        put_half_entry(part);
        struct engine *engine = open_kist(KIST_OK);

        cr_assert(strstr(fault.text, "cut off") != NULL, "%zu: %s", part,
                  fault.text);
        expect_writes(engine);
        engine = open_kist(KIST_OK);
        cr_assert(eq(str, fault.text, ""));
        expect_writes(engine);
    }
}

/* A damaged length looks like a cut, and is none: that entry took effect. */
Test(leveldb, an_entry_with_a_damaged_length_is_not_taken_out)
{
    unsigned char bytes[4096];
    char path[128];
    FILE *file;
    size_t size, at;

    write_tables();
    manifest_path(path);
    file = fopen(path, "r+b");
    cr_assert(file != NULL);
    size = fread(bytes, 1, sizeof(bytes), file);
    at = ENTRY_HEAD + (bytes[4] | (size_t)bytes[5] << 8); /* The second. */
    cr_assert(lt(sz, at, last_entry(bytes, size)));
    bytes[at + 4] += 8;
    cr_assert(zero(int, fseek(file, 0, SEEK_SET)));
    cr_assert(eq(sz, fwrite(bytes, 1, size, file), size));
    fclose(file);
    path_of("kist.seal", path);
    remove(path);
    cr_assert(open_kist(KIST_CORRUPT) == NULL);
    cr_assert(strstr(fault.text, "restore") != NULL, "%s", fault.text);
}
