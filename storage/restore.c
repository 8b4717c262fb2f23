#include "storage/restore.h"

#include "base/clock.h"
#include "storage/large_entry.h"
#include "storage/large_internal.h"
#include "storage/small_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Records are handed to the engine in batches of so much. */
#define BATCH_BYTES (4u << 20)

enum { PATIENCE_S = 60, PAUSE_MS = 10 };

#define FORMAT_NAME "FORMAT"
#define LOCK_NAME   "kist.lock"

struct restore {
    const char *path;
    struct engine_fault *fault;
    int directory; /* -1: not open. Locked as long as it is. */
    bool made;     /* By us. */
    char building[PATH_MAX];

    struct store *store;
    struct engine_batch batch;
    struct backup_manifest manifest;
    uint64_t lease_ms;

    /* The large value that is coming. */
    struct large_file *file;
    struct large_reference reference;
    struct blob key, bytes; /* Its record, which waits for it. */
    uint64_t expiry_ms;
};

/* The directory. */

static enum kist_status refuse_errno(struct restore *restore, const char *doing)
{
    int error = errno;

    engine_fault_set(restore->fault, "cannot %s %s: %s", doing, restore->path,
                     strerror(error));
    return error == ENOSPC || error == EDQUOT ? KIST_DISK_FULL : KIST_IO;
}

/* What a restore that was killed may have left, and what may be there before
 * one; false: somebody else's. */
static bool is_leftover(const char *name)
{
    static const char *const names[] = {
        RESTORE_DIRECTORY, "large", "ballast", "leveldb", "rocksdb", LOCK_NAME,
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_always_there(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           strcmp(name, "lost+found") == 0;
}

static enum kist_status refuse_full(struct restore *restore, const char *name)
{
    engine_fault_set(restore->fault,
                     "%s is not empty (it holds %s); a backup is restored to "
                     "an empty directory, or to one that does not exist yet",
                     restore->path, name);
    return KIST_INVALID;
}

/* A directory, with all that is in it, or a file. */
static bool remove_tree(int above, const char *name)
{
    int descriptor;
    DIR *listing;
    struct dirent *entry;
    bool removed = true;

    if (unlinkat(above, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return false;
    descriptor =
        openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    listing = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (listing == NULL) {
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    while (removed && (entry = readdir(listing)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            removed = remove_tree(descriptor, entry->d_name);
    closedir(listing);
    return removed && unlinkat(above, name, AT_REMOVEDIR) == 0;
}

static enum kist_status each_name(struct restore *restore,
                                  enum kist_status (*visit)(struct restore *,
                                                            const char *name))
{
    enum kist_status status = KIST_OK;
    DIR *listing = opendir(restore->path);
    struct dirent *entry;

    if (listing == NULL)
        return refuse_errno(restore, "list");
    while (status == KIST_OK && (entry = readdir(listing)) != NULL)
        if (!is_always_there(entry->d_name))
            status = visit(restore, entry->d_name);
    closedir(listing);
    return status;
}

static enum kist_status remove_leftover(struct restore *restore,
                                        const char *name)
{
    return is_leftover(name) && !remove_tree(restore->directory, name)
               ? refuse_errno(restore, "remove the rest of a restore in")
               : KIST_OK;
}

static enum kist_status judge_name(struct restore *restore, const char *name)
{
    /* A start that was refused leaves its lock file. */
    return strcmp(name, LOCK_NAME) == 0 ? KIST_OK : refuse_full(restore, name);
}

static enum kist_status judge_leftover(struct restore *restore,
                                       const char *name)
{
    return is_leftover(name) ? KIST_OK : refuse_full(restore, name);
}

/*
 * Empty, but for what a restore has left that did not come to its end: what
 * lies beside RESTORE_DIRECTORY was moved out of it, for the directory was
 * empty when that was made. With FORMAT it is whole.
 */
static enum kist_status take_empty(struct restore *restore)
{
    enum kist_status status;

    if (faccessat(restore->directory, FORMAT_NAME, F_OK, 0) == 0)
        return refuse_full(restore, FORMAT_NAME);
    if (faccessat(restore->directory, RESTORE_DIRECTORY, F_OK, 0) != 0)
        return each_name(restore, judge_name);
    status = each_name(restore, judge_leftover);
    return status == KIST_OK ? each_name(restore, remove_leftover) : status;
}

static enum kist_status open_directory(struct restore *restore)
{
    int whole = snprintf(restore->building, sizeof(restore->building),
                         "%s/" RESTORE_DIRECTORY, restore->path);

    if (whole < 0 || (size_t)whole >= sizeof(restore->building)) {
        engine_fault_set(restore->fault, "the data directory's name is too "
                                         "long");
        return KIST_INVALID;
    }
    restore->made = mkdir(restore->path, 0700) == 0;
    if (!restore->made && errno != EEXIST)
        return refuse_errno(restore, "create the data directory");
    restore->directory =
        open(restore->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (restore->directory < 0)
        return refuse_errno(restore, "open the data directory");
    if (flock(restore->directory, LOCK_EX | LOCK_NB) != 0) {
        engine_fault_set(restore->fault,
                         "somebody else restores a backup to %s just now",
                         restore->path);
        return KIST_BUSY;
    }
    if (restore->made &&
        small_file_sync_parent(restore->directory) != KIST_OK) {
        enum kist_status status = refuse_errno(restore, "sync the parent of");

        rmdir(restore->path);
        return status;
    }
    return take_empty(restore);
}

static enum kist_status move_up(struct restore *restore, const char *name)
{
    int building = openat(restore->directory, RESTORE_DIRECTORY,
                          O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool moved = building >= 0 &&
                 renameat(building, name, restore->directory, name) == 0 &&
                 fsync(restore->directory) == 0;

    if (building >= 0) {
        int error = errno;

        close(building);
        errno = error;
    }
    return moved ? KIST_OK : refuse_errno(restore, "move the parts within");
}

static enum kist_status move_all_up(struct restore *restore)
{
    DIR *listing = opendir(restore->building);
    struct dirent *entry;
    enum kist_status status = KIST_OK;

    if (listing == NULL)
        return refuse_errno(restore, "list");
    while (status == KIST_OK && (entry = readdir(listing)) != NULL)
        if (is_leftover(entry->d_name) && strcmp(entry->d_name, LOCK_NAME) != 0)
            status = move_up(restore, entry->d_name);
    closedir(listing);
    if (status == KIST_OK)
        status = move_up(restore, FORMAT_NAME);
    if (status == KIST_OK) /* An empty one does no harm. */
        remove_tree(restore->directory, RESTORE_DIRECTORY);
    return status;
}

/* After a failure. */
static void take_back(struct restore *restore)
{
    struct engine_fault why = *restore->fault;
    enum kist_status status;

    /* First: without it the others are no data directory. */
    unlinkat(restore->directory, FORMAT_NAME, 0);
    status = each_name(restore, remove_leftover);

    if (status == KIST_OK && restore->made && rmdir(restore->path) != 0)
        status = KIST_IO;
    /* What failed first is what matters; a start names the leftovers. */
    *restore->fault = why;
}

/* The store. */

/* An engine that compacts may refuse for longer than any client would wait. */
static enum kist_status apply_patiently(struct restore *restore,
                                        enum engine_sync sync)
{
    uint64_t end_ns = clock_mono_ns() + PATIENCE_S * UINT64_C(1000000000);
    enum kist_status status;

    while ((status = store_apply(restore->store, &restore->batch,
                                 store_opening(restore->store), sync)) ==
               KIST_BUSY &&
           clock_mono_ns() < end_ns)
        clock_pause_ms(PAUSE_MS);
    return status;
}

static enum kist_status write_batch(struct restore *restore,
                                    enum engine_sync sync)
{
    enum kist_status status = apply_patiently(restore, sync);

    engine_batch_clear(&restore->batch);
    if (status == KIST_UNKNOWN || status == KIST_READ_ONLY)
        status = store_state(restore->store) == STORE_READ_ONLY ? KIST_DISK_FULL
                                                                : KIST_IO;
    return status;
}

static enum kist_status add_record(struct restore *restore, struct view key,
                                   struct view bytes, uint64_t expiry_ms)
{
    store_batch_put(&restore->batch, key, bytes, expiry_ms);
    if (restore->batch.bytes.failed)
        return KIST_NO_MEMORY;
    return restore->batch.bytes.size < BATCH_BYTES
               ? KIST_OK
               : write_batch(restore, ENGINE_ASYNC);
}

static enum kist_status take_manifest(void *ctx,
                                      const struct backup_manifest *manifest,
                                      struct view text)
{
    struct restore *restore = ctx;

    (void)text;
    restore->manifest = *manifest;
    restore->lease_ms = manifest->clock_lease_ms;
    return KIST_OK;
}

/* Like every clock, it does not follow versions that nobody believes. */
static void note_version(struct restore *restore, struct version version)
{
    uint64_t ms = version_ms(version);

    if (ms <= restore->manifest.time_ms + HLC_FUTURE_MS &&
        ms >= restore->lease_ms)
        restore->lease_ms = ms + 1;
}

static enum kist_status take_record(void *ctx, struct view key,
                                    struct view bytes,
                                    const struct record *record,
                                    const struct large_reference *reference)
{
    struct restore *restore = ctx;

    note_version(restore, record->version);
    if (reference == NULL)
        return add_record(restore, key, bytes, record->expiry_ms);
    blob_clear(&restore->key);
    blob_clear(&restore->bytes);
    blob_append(&restore->key, key);
    blob_append(&restore->bytes, bytes);
    restore->reference = *reference;
    restore->expiry_ms = record->expiry_ms;
    if (restore->key.failed || restore->bytes.failed)
        return KIST_NO_MEMORY;
    return large_create(store_large(restore->store), reference->size,
                        &restore->file);
}

/* Only now may the record name it. */
static enum kist_status finish_value(struct restore *restore)
{
    struct view key = blob_view(&restore->key);
    enum kist_status status =
        large_finish_as(restore->file, &restore->reference);

    large_discard(restore->file);
    restore->file = NULL;
    if (status != KIST_OK)
        return status;
    large_entry_put(&restore->batch, &restore->reference, key);
    return add_record(restore, key, blob_view(&restore->bytes),
                      restore->expiry_ms);
}

static enum kist_status take_value(void *ctx, struct view bytes, bool is_last)
{
    struct restore *restore = ctx;
    enum kist_status status = large_append(restore->file, bytes);

    if (status == KIST_OK && is_last)
        status = finish_value(restore);
    return status;
}

static enum kist_status fill(struct restore *restore, int descriptor,
                             struct backup_summary *out_summary)
{
    struct backup_visitor visitor = {
        .ctx = restore,
        .manifest = take_manifest,
        .record = take_record,
        .value = take_value,
    };
    enum kist_status status =
        backup_read(descriptor, &visitor, restore->fault, out_summary);

    if (status != KIST_OK)
        return status;
    store_batch_lease(&restore->batch, restore->lease_ms);
    return write_batch(restore, ENGINE_SYNC);
}

static enum kist_status build(struct restore *restore, int descriptor,
                              const struct store_options *options,
                              struct backup_summary *out_summary)
{
    struct store_options inside = *options;
    struct store_hooks hooks = {0};
    enum kist_status status;

    inside.path = restore->building;
    inside.cache_bytes = 0;
    inside.replicated = NULL; /* That is made when it is first opened so. */
    status = store_open(&inside, &hooks, restore->fault, &restore->store);
    if (status == KIST_OK) {
        large_collected(store_large(restore->store)); /* No earlier runs. */
        status = fill(restore, descriptor, out_summary);
    }
    large_discard(restore->file);
    restore->file = NULL;
    store_close(restore->store);
    return status;
}

/* Where only a status came up from below. */
static void explain(struct restore *restore, enum kist_status status)
{
    if (restore->fault->text[0] != '\0')
        return;
    if (status == KIST_DISK_FULL)
        engine_fault_set(restore->fault, "there is no room on the disk of %s",
                         restore->path);
    else if (status == KIST_IO)
        engine_fault_set(restore->fault,
                         "the disk of %s failed: a file could not be written "
                         "or synced; the system's log may say why",
                         restore->path);
    else if (status == KIST_BUSY)
        engine_fault_set(restore->fault,
                         "the disk of %s is too slow: the engine has taken no "
                         "write for %d seconds",
                         restore->path, PATIENCE_S);
}

enum kist_status restore_run(int descriptor,
                             const struct store_options *options,
                             struct engine_fault *out_fault,
                             struct backup_summary *out_summary)
{
    struct restore restore = {
        .path = options->path,
        .fault = out_fault,
        .directory = -1,
    };
    enum kist_status status;

    out_fault->text[0] = '\0';
    status = open_directory(&restore);
    if (status == KIST_OK) {
        status = build(&restore, descriptor, options, out_summary);
        if (status == KIST_OK)
            status = move_all_up(&restore);
        if (status != KIST_OK)
            take_back(&restore);
    }
    if (status != KIST_OK)
        explain(&restore, status);
    if (restore.directory >= 0)
        close(restore.directory);
    engine_batch_free(&restore.batch);
    blob_free(&restore.key);
    blob_free(&restore.bytes);
    return status;
}
