/*
 * A data directory with damaged files: the store refuses it and says why, or
 * every answer is right or a refusal. Never wrong bytes, never another
 * key's value, never a key left out of a listing that claims to be whole.
 *
 * One thing cannot be told apart after a crash: a damaged last write from one
 * that was cut off. After an orderly close there is no such exception.
 */
#include "storage/store.h"

#include "base/clock.h"
#include "storage/cursor.h"
#include "storage/scan.h"
#include "tests/storage/model.h"
#include "tests/storage/node.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TURNS = 60, FILES = 40, SAMPLES = 300, EVERY_BYTE = 80 };

enum damage {
    DAMAGE_BIT,  /* Another value. */
    DAMAGE_RUN,  /* Zeros, as from a block never written. */
    DAMAGE_CUT,  /* The rest of the file is gone. */
    DAMAGE_FILE, /* All of it is. */
};

struct file {
    char name[64]; /* Below the data directory. */
    off_t size;
};

static struct node node;
static char source[96];       /* What the damaged directories are made of. */
static struct model model;    /* What it holds. */
static struct model previous; /* And without the last write to the log. */
static char text[200];        /* The damage, for messages. */

static struct file files[FILES];
static size_t file_count;

static uint64_t batches(void)
{
    return counter_read(&commit_stats(node.commit)->batches);
}

static void run_turns(unsigned first, unsigned end)
{
    for (unsigned number = first; number < end; number++) {
        struct model before = model;
        uint64_t batches_before = batches();
        struct turn turn;

        turn_make(&turn, 4, number, &model);
        node_commit(&node, turn.pointers, turn.count);
        cr_assert(model_follow(&model, &turn, MODEL_ANSWERED), "%s",
                  model.difference);
        if (batches() > batches_before)
            previous = before;
        turn_clear(&turn);
    }
}

/* Tables at two levels, because each start makes one, and a log. */
static void fill(void)
{
    struct engine *engine;

    run_turns(0, TURNS);
    engine = store_borrow_engine(node.store);
    engine->ops->compact(engine);
    store_return_engine(node.store);
    for (unsigned i = 0; i < 3; i++) {
        run_turns(TURNS + 8 * i, TURNS + 8 * (i + 1));
        node_restart(&node);
    }
    /* So few that nothing goes on behind us when they are done. */
    run_turns(TURNS + 24, TURNS + 30);
}

static bool is_ours(const char *name)
{
    static const char *const others[] = {".",       "..",      "ballast",
                                         "large",   "leveldb", "LOG",
                                         "LOG.old", "LOCK",    "kist.lock"};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return true;
}

static void list_files(const char *below)
{
    char path[PATH_MAX];
    DIR *directory;
    struct dirent *entry;
    struct stat about;

    snprintf(path, sizeof(path), "%s/%s", source, below);
    directory = opendir(path);
    cr_assert(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        struct file *file = &files[file_count];

        if (!is_ours(entry->d_name))
            continue;
        cr_assert(lt(sz, file_count, FILES));
        snprintf(file->name, sizeof(file->name), "%s%.40s", below,
                 entry->d_name);
        snprintf(path, sizeof(path), "%s/%s", source, file->name);
        cr_assert(zero(int, stat(path, &about)));
        file->size = about.st_size;
        file_count++;
    }
    closedir(directory);
}

static void make_source(bool closed)
{
    node_prepare(&node);
    node.write_buffer_bytes = 64 << 10;
    node_start(&node);
    fill();
    snprintf(source, sizeof(source), "%s/source", node.scratch.path);
    if (!closed)
        scratch_copy_tree(node.path, source);
    node_stop(&node);
    if (closed)
        scratch_copy_tree(node.path, source);
    list_files("");
    list_files("leveldb/");
    cr_assert(ge(sz, file_count, 6));
}

static void tear_down(void)
{
    scratch_remove(&node.scratch);
}

TestSuite(store_damage, .fini = tear_down, .timeout = 120);

static void damage(const struct file *file, enum damage kind, off_t at,
                   uint64_t random)
{
    char path[PATH_MAX], bytes[16] = {0};
    size_t size = kind == DAMAGE_BIT ? 1 : sizeof(bytes);
    int descriptor;

    snprintf(path, sizeof(path), "%s/%s", node.path, file->name);
    snprintf(text, sizeof(text), "damage %d of %s at %lld of %lld", (int)kind,
             file->name, (long long)at, (long long)file->size);
    if (kind == DAMAGE_FILE) {
        cr_assert(zero(int, unlink(path)));
        return;
    }
    if (kind == DAMAGE_CUT) {
        cr_assert(zero(int, truncate(path, at)));
        return;
    }
    descriptor = open(path, O_RDWR | O_CLOEXEC);
    cr_assert(ge(int, descriptor, 0));
    if ((off_t)size > file->size - at)
        size = (size_t)(file->size - at);
    if (kind == DAMAGE_BIT) {
        cr_assert(eq(long, pread(descriptor, bytes, 1, at), 1));
        bytes[0] = (char)(bytes[0] ^ (1 << random % 8));
    }
    cr_assert(eq(long, pwrite(descriptor, bytes, size, at), (long)size));
    close(descriptor);
}

/* A table whose index is not where it should be is KIST_IO to LevelDB. */
static bool tells_damage(enum kist_status status)
{
    return status == KIST_CORRUPT || status == KIST_IO;
}

static bool gets_are_right(const struct model *expected)
{
    for (unsigned i = 0; i < WORKLOAD_KEYS; i++) {
        struct item item = {0};
        enum kist_status status = store_get(node.store, workload_key(i), &item);
        bool right = tells_damage(status);

        if (status == KIST_OK || status == KIST_NOT_FOUND)
            right = model_has(expected, node.store, i,
                              status == KIST_OK ? &item.record : NULL);
        item_free(&item);
        if (!right)
            return false;
    }
    return true;
}

struct listing {
    const struct model *model;
    int next, step;
    bool right;
};

static void skip_dead(struct listing *listing)
{
    while (listing->next >= 0 && listing->next < WORKLOAD_KEYS &&
           !model_is_live(&listing->model->keys[listing->next]))
        listing->next += listing->step;
}

static bool list_key(void *ctx, struct view key, const struct record *record)
{
    struct listing *listing = ctx;
    unsigned number = model_number_of(key);

    skip_dead(listing);
    listing->right = number < WORKLOAD_KEYS && (int)number == listing->next &&
                     model_has(listing->model, node.store, number, record);
    listing->next += listing->step;
    return listing->right;
}

/* Up to its end, or to damage that it tells. */
static bool listing_is_right(const struct model *expected, bool reverse)
{
    struct listing listing = {expected, reverse ? WORKLOAD_KEYS - 1 : 0,
                              reverse ? -1 : 1, true};
    struct scan_visitor visitor = {&listing, list_key, NULL};
    struct scan scan;
    enum kist_status status =
        scan_init(&scan, node.store, &(struct scan_range){.reverse = reverse});

    while (status == KIST_OK && !scan.done && listing.right)
        status = scan_run(&scan, &visitor, clock_wall_ms(), 3);
    scan_clear(&scan);
    skip_dead(&listing);
    if (status == KIST_OK)
        return listing.right &&
               (listing.next < 0 || listing.next == WORKLOAD_KEYS);
    return listing.right && tells_damage(status);
}

static bool entries_are_right(const struct model *expected)
{
    size_t wanted = 0, found = 0;
    struct cursor *cursor;
    struct view entry;
    enum kist_status status;

    for (unsigned i = 0; i < WORKLOAD_KEYS; i++)
        wanted += expected->keys[i].there && expected->keys[i].expiry_ms != 0;
    cr_assert(cursor_open(node.store, CURSOR_EXPIRIES, &cursor) == KIST_OK);
    for (cursor_seek(cursor, (struct view){0}); cursor_key(cursor, &entry);
         cursor_next(cursor))
        found++;
    status = cursor_error(cursor);
    cursor_close(cursor);
    return tells_damage(status) || (status == KIST_OK && found == wanted);
}

static bool is_right(const struct model *expected)
{
    return gets_are_right(expected) && listing_is_right(expected, false) &&
           listing_is_right(expected, true) && entries_are_right(expected);
}

/* What became of the damaged directories, so that the test is not idle. */
struct tally {
    unsigned refused, opened;
};

static void judge(bool closed, struct tally *tally)
{
    enum kist_status status = node_open_store(&node);

    if (status != KIST_OK) {
        cr_assert(tells_damage(status) || status == KIST_INVALID, "%s: %s, %s",
                  text, kist_status_name(status), node.fault.text);
        cr_assert(node.fault.text[0] != '\0', "%s", text);
        tally->refused++;
        return;
    }
    cr_assert(is_right(&model) || (!closed && is_right(&previous)), "%s", text);
    store_close(node.store);
    tally->opened++;
}

static void try_damage(const struct file *file, enum damage kind, off_t at,
                       uint64_t random, bool closed, struct tally *tally)
{
    scratch_remove_tree(node.path);
    scratch_copy_tree(source, node.path);
    damage(file, kind, at, random);
    judge(closed, tally);
}

/* Every byte of a small file, as many places of each larger one. */
static void damage_each(enum damage kind, unsigned samples, bool closed,
                        struct tally *tally)
{
    uint64_t random = 5;

    for (size_t i = 0; i < file_count; i++) {
        const struct file *file = &files[i];
        unsigned places = samples / (unsigned)file_count;

        if (kind == DAMAGE_BIT && file->size <= EVERY_BYTE)
            places = (unsigned)file->size;
        for (unsigned place = 0; place < places && file->size > 0; place++) {
            uint64_t at = workload_random(&random) % (uint64_t)file->size;

            if (kind == DAMAGE_BIT && file->size <= EVERY_BYTE)
                at = place;
            try_damage(file, kind, (off_t)at, workload_random(&random), closed,
                       tally);
        }
    }
}

Test(store_damage, after_an_orderly_close_no_damage_gives_a_wrong_answer)
{
    struct tally bits = {0}, others = {0};

    make_source(true);
    damage_each(DAMAGE_BIT, SAMPLES, true, &bits);
    cr_assert(bits.refused > 50 && bits.opened > 50, "%u refused, %u opened",
              bits.refused, bits.opened);
    damage_each(DAMAGE_RUN, SAMPLES / 4, true, &others);
    damage_each(DAMAGE_CUT, SAMPLES / 4, true, &others);
    for (size_t i = 0; i < file_count; i++)
        try_damage(&files[i], DAMAGE_FILE, 0, 0, true, &others);
    cr_assert(gt(uint, others.refused, 20));
}

Test(store_damage, after_a_crash_only_the_last_write_may_be_taken_for_cut_off)
{
    struct tally bits = {0}, others = {0};

    make_source(false);
    damage_each(DAMAGE_BIT, SAMPLES, false, &bits);
    cr_assert(bits.refused > 50 && bits.opened > 50, "%u refused, %u opened",
              bits.refused, bits.opened);
    damage_each(DAMAGE_RUN, SAMPLES / 4, false, &others);
    for (size_t i = 0; i < file_count; i++)
        try_damage(&files[i], DAMAGE_FILE, 0, 0, false, &others);
    cr_assert(gt(uint, others.refused, 3));
}
