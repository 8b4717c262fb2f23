/*
 * The walk goes along the entries in the order of their ids, which is about
 * the order of writing. Between two files it holds nothing in the engine.
 *
 * A value may be replaced at any moment. Its entry goes with its record, and
 * an id never comes back: so a file is only judged damaged if its entry is
 * still there after the reading.
 */
#include "storage/large_scrub.h"

#include "storage/cursor.h"
#include "storage/large_internal.h"
#include "storage/small_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define STATE_NAME    "scrub"
#define CHUNK_BYTES   ((size_t)256 << 10)
#define SAVE_EVERY_MS UINT64_C(60000)

struct large_scrub {
    /* Set by open, then read-only. */
    struct store *store;
    struct large *large;
    struct large_scrub_options options;

    struct large_scrub_stats stats;
    atomic_bool stopping;

    /* The pass. */
    bool passing;
    uint64_t began_ms;           /* Wall time. */
    struct large_reference last; /* Only its id: done up to here. */
    int64_t allowance;           /* Bytes that may be read now. */
    uint64_t ran_ms;             /* Last; 0: not yet. */
    uint64_t saved_ms;

    /* The file at hand. */
    struct large_reference reference;
    struct blob key;
    int descriptor; /* -1: none. */
    uint64_t offset;
    bool again; /* It was wrong once already. */
    XXH3_state_t *hash;
    char *chunk;
};

/* Where it stands, over restarts. */

static void load_state(struct large_scrub *scrub)
{
    struct blob text = BLOB_EMPTY;
    char name[LARGE_NAME_SIZE + 1], rest;
    uint64_t began_ms, ended_ms;
    unsigned passing;

    if (small_file_read(large_directory(scrub->large), STATE_NAME, &text) !=
        KIST_OK) {
        blob_free(&text);
        return; /* Then it begins anew, which costs no more than reading. */
    }
    blob_append_byte(&text, '\0');
    if (!text.failed &&
        sscanf(text.data,
               "passing %u\nat %32[0-9a-f]\nbegan %" SCNu64 "\nended %" SCNu64
               "%c",
               &passing, name, &began_ms, &ended_ms, &rest) == 5 &&
        rest == '\n' &&
        large_reference_from_name(view_of(name), &scrub->last)) {
        scrub->passing = passing == 1;
        scrub->began_ms = began_ms;
        gauge_set(&scrub->stats.ended_ms, (int64_t)ended_ms);
    }
    blob_free(&text);
}

static void save_state(struct large_scrub *scrub, uint64_t wall_ms)
{
    struct blob text = BLOB_EMPTY;
    char name[LARGE_NAME_SIZE + 1];
    enum kist_status status = KIST_NO_MEMORY;

    large_reference_name(&scrub->last, name);
    blob_printf(&text,
                "passing %d\nat %s\nbegan %" PRIu64 "\nended %" PRId64 "\n",
                scrub->passing ? 1 : 0, name, scrub->began_ms,
                gauge_read(&scrub->stats.ended_ms));
    if (!text.failed)
        status = small_file_replace(large_directory(scrub->large), STATE_NAME,
                                    blob_view(&text));
    if (status != KIST_OK)
        counter_add(&scrub->stats.errors, 1);
    scrub->saved_ms = wall_ms;
    blob_free(&text);
}

/* One file. */

static void leave_file(struct large_scrub *scrub)
{
    if (scrub->descriptor >= 0)
        close(scrub->descriptor);
    scrub->descriptor = -1;
    scrub->again = false;
    scrub->last = scrub->reference;
}

static void rewind_file(struct large_scrub *scrub)
{
    scrub->offset = 0;
    if (XXH3_64bits_reset(scrub->hash) != XXH_OK)
        abort(); /* Only for NULL. */
}

/* It was not replaced meanwhile: its entry is still there. */
static bool is_named(const struct large_scrub *scrub)
{
    struct blob key = BLOB_EMPTY;
    enum kist_status status =
        store_large_key(scrub->store, &scrub->reference, &key);

    blob_free(&key);
    return status == KIST_OK;
}

static void report(struct large_scrub *scrub, const char *why)
{
    char name[LARGE_NAME_SIZE + 1];

    large_reference_name(&scrub->reference, name);
    counter_add(&scrub->stats.damaged, 1);
    if (scrub->options.damaged != NULL)
        scrub->options.damaged(scrub->options.ctx, blob_view(&scrub->key), name,
                               why);
}

static void set_aside(struct large_scrub *scrub)
{
    if (!is_named(scrub))
        return;
    if (large_set_aside(scrub->large, &scrub->reference)) {
        report(scrub, "its bytes have changed on disk; the file was moved to "
                      "large/damaged");
        return;
    }
    counter_add(&scrub->stats.errors, 1);
    report(scrub, "its bytes have changed on disk, and moving the file to "
                  "large/damaged failed");
}

/* The record that the entry speaks of, or what is wrong with that. */
static bool get_reference(struct large_scrub *scrub)
{
    struct large_reference reference;
    struct item item;
    struct view key = blob_view(&scrub->key);
    enum kist_status status = store_peek(scrub->store, key, &item);

    if (status == KIST_OK) {
        if (!item.record.large ||
            large_reference_decode(item.record.value, &reference) != KIST_OK)
            reference = (struct large_reference){0};
        item_free(&item);
        if (large_reference_same(&reference, &scrub->reference)) {
            scrub->reference = reference;
            return true;
        }
    }
    if (status != KIST_OK && status != KIST_NOT_FOUND)
        counter_add(&scrub->stats.errors, 1);
    else if (is_named(scrub))
        report(scrub, "its entry names a key that has another value");
    return false;
}

static void enter_file(struct large_scrub *scrub)
{
    enum kist_status status;

    if (!get_reference(scrub)) {
        leave_file(scrub);
        return;
    }
    status =
        large_open_file(scrub->large, &scrub->reference, &scrub->descriptor);
    if (status == KIST_OK) {
        /* Ours to ask for, unless somebody gave the file away. */
        (void)fcntl(scrub->descriptor, F_SETFL, O_NOATIME);
        rewind_file(scrub);
        return;
    }
    if (status == KIST_CORRUPT)
        set_aside(scrub);
    else if (status != KIST_NOT_FOUND)
        counter_add(&scrub->stats.errors, 1);
    else if (is_named(scrub))
        report(scrub, "its file is missing");
    leave_file(scrub);
}

static void judge_file(struct large_scrub *scrub)
{
    bool right = scrub->offset == scrub->reference.size &&
                 XXH3_64bits_digest(scrub->hash) == scrub->reference.hash;

    if (!right && !scrub->again) {
        /* From the disk again: the first reading may have gone wrong. */
        scrub->again = true;
        rewind_file(scrub);
        return;
    }
    if (!right)
        set_aside(scrub);
    leave_file(scrub);
}

/* Dropped meanwhile: its room is free only when nobody has it open. */
static bool is_unlinked(const struct large_scrub *scrub)
{
    struct stat file;

    return fstat(scrub->descriptor, &file) == 0 && file.st_nlink == 0;
}

static void read_chunk(struct large_scrub *scrub)
{
    if (is_unlinked(scrub)) {
        leave_file(scrub);
        return;
    }

    ssize_t got = pread(scrub->descriptor, scrub->chunk, CHUNK_BYTES,
                        (off_t)scrub->offset);

    scrub->allowance -= got > 0 ? got : 1;
    if (got < 0) {
        counter_add(&scrub->stats.errors, 1);
        leave_file(scrub);
        return;
    }
    if (got == 0) {
        judge_file(scrub);
        return;
    }
    /* Nobody else may need what was read for this. */
    (void)posix_fadvise(scrub->descriptor, (off_t)scrub->offset, got,
                        POSIX_FADV_DONTNEED);
    if (XXH3_64bits_update(scrub->hash, scrub->chunk, (size_t)got) != XXH_OK)
        abort(); /* Only for NULL. */
    scrub->offset += (uint64_t)got;
    counter_add(&scrub->stats.bytes, (uint64_t)got);
}

/* The walk. */

/* The entry behind the last one. */
static enum kist_status find_next(struct large_scrub *scrub)
{
    char bound[LARGE_ID_SIZE + 1] = {0}; /* Just above the last id. */
    struct blob last = BLOB_EMPTY;
    struct cursor *cursor;
    struct view id;
    enum kist_status status;

    large_reference_encode(&scrub->last, &last);
    if (last.failed)
        return KIST_NO_MEMORY;
    memcpy(bound, last.data, LARGE_ID_SIZE);
    blob_free(&last);
    status = cursor_open(scrub->store, CURSOR_LARGE, &cursor);
    if (status != KIST_OK)
        return status;
    cursor_seek(cursor, (struct view){bound, sizeof(bound)});
    if (cursor_key(cursor, &id) && id.size == LARGE_ID_SIZE) {
        scrub->reference = (struct large_reference){
            .boot = read_u64(id.data), .serial = read_u64(id.data + 8)};
        blob_clear(&scrub->key);
        blob_append(&scrub->key, cursor_value(cursor));
        status = scrub->key.failed ? KIST_NO_MEMORY : KIST_OK;
    } else {
        status = cursor_error(cursor);
        status = status == KIST_OK ? KIST_NOT_FOUND : status;
    }
    cursor_close(cursor);
    return status;
}

static void end_pass(struct large_scrub *scrub, uint64_t wall_ms)
{
    scrub->passing = false;
    gauge_set(&scrub->stats.ended_ms, (int64_t)wall_ms);
    counter_add(&scrub->stats.passes, 1);
    save_state(scrub, wall_ms);
}

/* A clock that was set back must not put it off for years. */
static bool is_due(const struct large_scrub *scrub, uint64_t wall_ms)
{
    return wall_ms < scrub->began_ms ||
           wall_ms - scrub->began_ms >= LARGE_SCRUB_EVERY_MS;
}

/* One piece of work; false: there is none, or none can be done now. */
static bool step(struct large_scrub *scrub, uint64_t wall_ms)
{
    enum kist_status status;

    if (!scrub->passing) {
        if (!is_due(scrub, wall_ms))
            return false;
        scrub->passing = true;
        scrub->began_ms = wall_ms;
        scrub->last = (struct large_reference){0};
    }
    if (scrub->descriptor >= 0) {
        read_chunk(scrub);
        return true;
    }
    status = find_next(scrub);
    if (status == KIST_NOT_FOUND) {
        end_pass(scrub, wall_ms);
        return false;
    }
    if (status != KIST_OK)
        return false;
    scrub->allowance -= 4096; /* What looking it up costs. */
    enter_file(scrub);
    return true;
}

static void add_allowance(struct large_scrub *scrub, uint64_t mono_ms)
{
    uint64_t passed_ms = scrub->ran_ms == 0 ? 1000 : mono_ms - scrub->ran_ms;
    int64_t second = (int64_t)scrub->options.bytes_per_second;

    scrub->ran_ms = mono_ms;
    if (passed_ms > 1000)
        passed_ms = 1000;
    scrub->allowance += second * (int64_t)passed_ms / 1000;
    if (scrub->allowance > second)
        scrub->allowance = second;
}

void large_scrub_run(struct large_scrub *scrub, uint64_t mono_ms,
                     uint64_t wall_ms)
{
    if (scrub->options.bytes_per_second == 0)
        return;
    add_allowance(scrub, mono_ms);
    while (scrub->allowance > 0 && !atomic_load(&scrub->stopping) &&
           step(scrub, wall_ms))
        continue;
    if (scrub->passing && wall_ms - scrub->saved_ms >= SAVE_EVERY_MS)
        save_state(scrub, wall_ms);
}

void large_scrub_stop(struct large_scrub *scrub)
{
    atomic_store(&scrub->stopping, true);
}

enum kist_status large_scrub_open(struct store *store,
                                  const struct large_scrub_options *options,
                                  struct large_scrub **out_scrub)
{
    struct large_scrub *scrub = calloc(1, sizeof(*scrub));

    if (scrub == NULL)
        return KIST_NO_MEMORY;
    scrub->store = store;
    scrub->large = store_large(store);
    scrub->options = *options;
    scrub->descriptor = -1;
    scrub->hash = XXH3_createState();
    scrub->chunk = malloc(CHUNK_BYTES);
    if (scrub->hash == NULL || scrub->chunk == NULL) {
        large_scrub_close(scrub);
        return KIST_NO_MEMORY;
    }
    load_state(scrub);
    *out_scrub = scrub;
    return KIST_OK;
}

void large_scrub_close(struct large_scrub *scrub)
{
    if (scrub == NULL)
        return;
    if (scrub->passing)
        save_state(scrub, scrub->saved_ms);
    if (scrub->descriptor >= 0)
        close(scrub->descriptor);
    XXH3_freeState(scrub->hash);
    blob_free(&scrub->key);
    free(scrub->chunk);
    free(scrub);
}

struct large_scrub_stats *large_scrub_stats(struct large_scrub *scrub)
{
    return &scrub->stats;
}
