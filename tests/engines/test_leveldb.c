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
