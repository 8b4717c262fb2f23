/*
 * All names are looked up below directory descriptors, so nothing outside of
 * the data directory is ever touched. The 256 places are made when they are
 * first needed, and synced then with the directories above them, once in the
 * life of the process: what is found there may be the work of a process that
 * was killed before its sync.
 *
 * While a file is written, the kernel is told every 8 MiB to begin with what
 * is new and to finish what is older: the sync at the end is short then, and
 * a fast client does not fill the memory with dirty pages.
 */
#include "storage/large.h"

#include "storage/large_arrivals.h"
#include "storage/large_drops.h"
#include "storage/large_internal.h"
#include "storage/large_space.h"
#include "storage/small_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define WRITEBACK_BYTES (UINT64_C(8) << 20)
#define READ_BYTES      ((size_t)1 << 20) /* A call; more gains nothing. */

enum { PLACE_NAME_SIZE = 2 };

struct large {
    /* Set by large_open(), then read-only. */
    struct large_options options;
    int directory, incoming; /* large/ and large/incoming/ */
    uint64_t boot;

    struct large_space space;
    struct large_drops drops;
    struct large_arrivals arrivals; /* Put into place by this process. */
    struct large_arrivals claims;   /* Found there, and to be named. */
    struct large_stats stats;
    atomic_bool stopping;
    _Atomic uint64_t serial; /* Given last. */

    /* The one thread in large_tend(). */
    bool is_counted[LARGE_PLACES]; /* Files of earlier runs, too. */

    pthread_mutex_t places_lock; /* Guards these two; held while one is made. */
    bool is_place[LARGE_PLACES]; /* Made and synced. */
    bool is_named;               /* large/ itself is. */
};

/* Where a file is, and so what is left to do when it is given up. */
enum large_stage {
    LARGE_INCOMING, /* Being written. */
    LARGE_PLACED,   /* Renamed; its directory is not synced yet. */
    LARGE_FINISHED,
};

struct large_file {
    struct large *large;
    enum large_stage stage;
    enum kist_status failed; /* Not KIST_OK: spoilt by that. */
    int descriptor;
    struct large_reference reference; /* Its size grows. */
    uint64_t announced;
    uint64_t written_back; /* Bytes whose writing to disk was begun. */
    struct large_claim claim;
    XXH3_state_t *hash;
};

struct large_stats *large_stats(struct large *large)
{
    return &large->stats;
}

static enum kist_status status_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? KIST_DISK_FULL : KIST_IO;
}

/* Names. */

struct place_name {
    char directory[PLACE_NAME_SIZE + 1];
    char file[PLACE_NAME_SIZE + 1 + LARGE_NAME_SIZE + 1]; /* With it. */
};

static unsigned place_of(const struct large_reference *reference)
{
    return (unsigned)(reference->serial % LARGE_PLACES);
}

static struct place_name place_name(const struct large_reference *reference)
{
    struct place_name name;

    snprintf(name.directory, sizeof(name.directory), "%02x",
             place_of(reference));
    memcpy(name.file, name.directory, PLACE_NAME_SIZE);
    name.file[PLACE_NAME_SIZE] = '/';
    large_reference_name(reference, name.file + PLACE_NAME_SIZE + 1);
    return name;
}

/* The directory. */

static int open_directory(int above, const char *name)
{
    return openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool make_directory(int above, const char *name)
{
    return mkdirat(above, name, 0700) == 0 || errno == EEXIST;
}

static bool make_directories(struct large *large)
{
    int data = open_directory(AT_FDCWD, large->options.directory);
    bool made = data >= 0 && make_directory(data, "large");

    if (made)
        large->directory = open_directory(data, "large");
    made = made && large->directory >= 0 &&
           make_directory(large->directory, "incoming") &&
           make_directory(large->directory, "damaged");
    if (made)
        large->incoming = open_directory(large->directory, "incoming");
    if (data >= 0) {
        int error = errno;

        close(data);
        errno = error;
    }
    return made && large->incoming >= 0;
}

enum kist_status large_open(const struct large_options *options,
                            struct engine_fault *out_fault,
                            struct large **out_large)
{
    struct large *large = calloc(1, sizeof(*large));
    enum kist_status status;
    bool made;

    if (large == NULL)
        return KIST_NO_MEMORY;
    large->options = *options;
    large->directory = large->incoming = -1;
    pthread_mutex_init(&large->places_lock, NULL);
    large_drops_init(&large->drops);
    large_arrivals_init(&large->arrivals);
    large_arrivals_init(&large->claims);
    made =
        make_directories(large) &&
        getrandom(&large->boot, sizeof(large->boot), 0) == sizeof(large->boot);
    status = status_of_errno();
    if (!made)
        engine_fault_set(out_fault, "cannot use the directory %s/large: %s",
                         options->directory, strerror(errno));
    large_space_init(&large->space, large->directory,
                     options->reserve_bytes + options->reserve_bytes / 4);
    if (!made) {
        large_close(large);
        return status;
    }
    *out_large = large;
    return KIST_OK;
}

void large_close(struct large *large)
{
    if (large == NULL)
        return;
    if (large->incoming >= 0)
        close(large->incoming);
    if (large->directory >= 0)
        close(large->directory);
    large_space_clear(&large->space);
    large_drops_clear(&large->drops);
    large_arrivals_clear(&large->arrivals);
    large_arrivals_clear(&large->claims);
    pthread_mutex_destroy(&large->places_lock);
    free(large);
}

int large_directory(const struct large *large)
{
    return large->directory;
}

bool large_is_of_this_run(struct large *large,
                          const struct large_reference *reference)
{
    return reference->boot == large->boot ||
           large_arrivals_has(&large->arrivals, reference);
}

void large_collected(struct large *large)
{
    large_arrivals_end(&large->arrivals);
    large_arrivals_end(&large->claims);
}

/* Writing. */

static struct large_file *new_file(struct large *large, uint64_t announced)
{
    struct large_file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->hash = XXH3_createState();
    if (file->hash == NULL || XXH3_64bits_reset(file->hash) != XXH_OK) {
        XXH3_freeState(file->hash);
        free(file);
        return NULL;
    }
    file->large = large;
    file->descriptor = -1;
    file->announced = announced;
    file->reference.boot = large->boot;
    file->reference.serial = atomic_fetch_add(&large->serial, 1) + 1;
    gauge_add(&large->stats.running, 1);
    return file;
}

static enum kist_status spoil(struct large_file *file, enum kist_status status)
{
    struct large_stats *stats = &file->large->stats;

    file->failed = status;
    counter_add(status == KIST_DISK_FULL ? &stats->refused : &stats->errors, 1);
    return status;
}

static enum kist_status begin(struct large_file *file)
{
    struct large *large = file->large;
    char name[LARGE_NAME_SIZE + 1];
    enum kist_status status;

    large_reference_name(&file->reference, name);
    file->descriptor = openat(large->incoming, name,
                              O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->descriptor < 0)
        return spoil(file, status_of_errno());
    status = large_space_claim(&large->space, file->descriptor, file->announced,
                               &file->claim);
    return status == KIST_OK ? KIST_OK : spoil(file, status);
}

enum kist_status large_create(struct large *large, uint64_t announced,
                              struct large_file **out_file)
{
    enum kist_status status = large->options.writable(large->options.ctx);
    struct large_file *file;

    if (status != KIST_OK)
        return status;
    file = new_file(large, announced);
    if (file == NULL)
        return KIST_NO_MEMORY;
    status = begin(file);
    if (status != KIST_OK) {
        large_discard(file);
        return status;
    }
    *out_file = file;
    return KIST_OK;
}

static bool write_all(int descriptor, struct view bytes)
{
    while (bytes.size > 0) {
        ssize_t put = write(descriptor, bytes.data, bytes.size);

        if (put >= 0)
            bytes = view_from(bytes, (size_t)put);
        else if (errno != EINTR)
            return false;
    }
    return true;
}

static bool sync_range(int descriptor, uint64_t from, uint64_t size,
                       unsigned flags)
{
    if (size == 0 ||
        sync_file_range(descriptor, (off_t)from, (off_t)size, flags) == 0)
        return true;
    /* Only a failure to write counts; and that, the kernel tells just once. */
    return errno != EIO && errno != ENOSPC && errno != EDQUOT;
}

/* Begin with what is new, and wait for what was begun before it. */
static bool write_back(struct large_file *file)
{
    uint64_t from = file->written_back, behind;

    if (file->reference.size - from < WRITEBACK_BYTES)
        return true;
    behind = from < WRITEBACK_BYTES ? from : WRITEBACK_BYTES;
    file->written_back = file->reference.size;
    return sync_range(file->descriptor, from, file->reference.size - from,
                      SYNC_FILE_RANGE_WRITE) &&
           sync_range(file->descriptor, from - behind, behind,
                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                          SYNC_FILE_RANGE_WAIT_AFTER);
}

enum kist_status large_append(struct large_file *file, struct view bytes)
{
    enum kist_status status = file->failed;

    assert(file->stage == LARGE_INCOMING);
    if (status != KIST_OK || bytes.size == 0)
        return status;
    status = large_space_take(&file->large->space, &file->claim, bytes.size);
    if (status != KIST_OK)
        return spoil(file, status);
    if (!write_all(file->descriptor, bytes))
        return spoil(file, status_of_errno());
    if (XXH3_64bits_update(file->hash, bytes.data, bytes.size) != XXH_OK)
        return spoil(file, KIST_IO);
    file->reference.size += bytes.size;
    counter_add(&file->large->stats.written_bytes, bytes.size);
    return write_back(file) ? KIST_OK : spoil(file, status_of_errno());
}

uint64_t large_size(const struct large_file *file)
{
    return file->reference.size;
}

uint64_t large_hash(const struct large_file *file)
{
    return XXH3_64bits_digest(file->hash);
}

/* The directory of the file's place, there and durable in those above it. */
static bool make_place(struct large *large, unsigned place, const char *name)
{
    bool made;

    pthread_mutex_lock(&large->places_lock);
    large->is_named =
        large->is_named || small_file_sync_parent(large->directory) == KIST_OK;
    made = large->is_named &&
           (large->is_place[place] || (make_directory(large->directory, name) &&
                                       fsync(large->directory) == 0));
    large->is_place[place] = made;
    pthread_mutex_unlock(&large->places_lock);
    return made;
}

static bool sync_directory(int above, const char *name)
{
    int directory = open_directory(above, name);
    bool synced = directory >= 0 && fsync(directory) == 0;

    if (directory >= 0) {
        int error = errno;

        close(directory);
        errno = error;
    }
    return synced;
}

/* On stable storage, and there is a place for it. */
static bool make_durable(struct large_file *file, unsigned place,
                         const char *place_name)
{
    /* More was announced than came: the rest of the room is given back. */
    if (file->reference.size < file->announced &&
        ftruncate(file->descriptor, (off_t)file->reference.size) != 0)
        return false;
    return fdatasync(file->descriptor) == 0 &&
           make_place(file->large, place, place_name);
}

static bool settle(struct large_file *file)
{
    struct large *large = file->large;
    struct place_name name = place_name(&file->reference);
    const char *id = name.file + PLACE_NAME_SIZE + 1;

    if (!make_durable(file, place_of(&file->reference), name.directory) ||
        renameat(large->incoming, id, large->directory, name.file) != 0)
        return false;
    file->stage = LARGE_PLACED;
    return sync_directory(large->directory, name.directory);
}

enum kist_status large_finish(struct large_file *file,
                              struct large_reference *out_reference)
{
    struct large_stats *stats = &file->large->stats;

    assert(file->stage == LARGE_INCOMING);
    if (file->failed != KIST_OK)
        return file->failed;
    if (!settle(file))
        return spoil(file, status_of_errno());
    file->stage = LARGE_FINISHED;
    close(file->descriptor);
    file->descriptor = -1;
    file->reference.hash = large_hash(file);
    gauge_add(&stats->files, 1);
    gauge_add(&stats->bytes, (int64_t)file->reference.size);
    *out_reference = file->reference;
    return KIST_OK;
}

/* A file of this name and size is in its place. */
static bool is_there(const struct large *large,
                     const struct large_reference *reference)
{
    struct place_name name = place_name(reference);
    struct stat about;

    return fstatat(large->directory, name.file, &about, AT_SYMLINK_NOFOLLOW) ==
               0 &&
           S_ISREG(about.st_mode) && (uint64_t)about.st_size == reference->size;
}

/* Its name is durable, too, whoever gave it. */
static bool sync_name(struct large *large,
                      const struct large_reference *reference)
{
    struct place_name name = place_name(reference);

    return make_place(large, place_of(reference), name.directory) &&
           sync_directory(large->directory, name.directory);
}

bool large_claim(struct large *large, const struct large_reference *reference)
{
    size_t count;
    bool kept;

    /* Before the look: who removes orphans does both the other way round. */
    if (reference->boot != large->boot &&
        large_arrivals_add(&large->claims, reference) != KIST_OK)
        return false;
    kept = large_drops_keep(&large->drops, reference, &count);
    gauge_add(&large->stats.dropped, -(int64_t)count);
    return kept && is_there(large, reference) &&
           (large_is_of_this_run(large, reference) ||
            sync_name(large, reference));
}

void large_hold(struct large *large)
{
    large_drops_hold(&large->drops);
}

void large_release(struct large *large)
{
    large_drops_release(&large->drops);
}

enum large_judgement large_judge_begin(struct large *large,
                                       const struct large_reference *reference)
{
    if (!large_drops_removing(&large->drops, reference))
        return LARGE_HELD;
    if (!large_arrivals_has(&large->claims, reference))
        return LARGE_MAY_GO;
    large_drops_removed(&large->drops);
    return LARGE_CLAIMED;
}

void large_judge_end(struct large *large)
{
    large_drops_removed(&large->drops);
}

/*
 * Into the place of a name that is not the file's own. Another one with that
 * name may come there at the same time: a link fails then, where a rename
 * would not tell. Its bytes are the same.
 */
static bool settle_as(struct large_file *file,
                      const struct large_reference *reference)
{
    struct large *large = file->large;
    struct place_name own = place_name(&file->reference);
    struct place_name name = place_name(reference);
    const char *id = own.file + PLACE_NAME_SIZE + 1;

    if (!make_durable(file, place_of(reference), name.directory))
        return false;
    if (linkat(large->incoming, id, large->directory, name.file, 0) == 0) {
        gauge_add(&large->stats.files, 1);
        gauge_add(&large->stats.bytes, (int64_t)reference->size);
    } else if (errno != EEXIST) {
        return false;
    } else if (!is_there(large, reference) && /* Another size: damaged. */
               renameat(large->incoming, id, large->directory, name.file) !=
                   0) {
        return false;
    }
    unlinkat(large->incoming, id, 0); /* Else the next start does. */
    file->stage = LARGE_FINISHED;
    return sync_directory(large->directory, name.directory);
}

enum kist_status large_finish_as(struct large_file *file,
                                 const struct large_reference *reference)
{
    assert(file->stage == LARGE_INCOMING);
    if (file->failed != KIST_OK)
        return file->failed;
    if (file->reference.size != reference->size ||
        large_hash(file) != reference->hash)
        return spoil(file, KIST_CORRUPT);
    large_drops_wait(&file->large->drops, reference);
    if (large_claim(file->large, reference))
        return KIST_OK; /* There is one; large_discard() removes this one. */
    /* Before it is there: whoever finds it must know whose it is. */
    if (large_arrivals_add(&file->large->arrivals, reference) != KIST_OK)
        return spoil(file, KIST_NO_MEMORY);
    return settle_as(file, reference) ? KIST_OK
                                      : spoil(file, status_of_errno());
}

enum kist_status large_finish_named(struct large_file *file,
                                    struct large_reference *reference)
{
    reference->size = file->reference.size;
    reference->hash = large_hash(file);
    return large_finish_as(file, reference);
}

static void remove_unfinished(const struct large_file *file)
{
    const struct large *large = file->large;
    struct place_name name = place_name(&file->reference);

    switch (file->stage) {
    case LARGE_INCOMING:
        unlinkat(large->incoming, name.file + PLACE_NAME_SIZE + 1, 0);
        break;
    case LARGE_PLACED:
        unlinkat(large->directory, name.file, 0);
        break;
    case LARGE_FINISHED:
        break;
    }
}

void large_discard(struct large_file *file)
{
    if (file == NULL)
        return;
    if (file->descriptor >= 0) {
        /* If that fails, the next start finds an orphan. */
        remove_unfinished(file);
        close(file->descriptor);
    }
    large_space_release(&file->large->space, &file->claim);
    gauge_add(&file->large->stats.running, -1);
    XXH3_freeState(file->hash);
    free(file);
}

/* Reading. */

enum kist_status large_open_file(struct large *large,
                                 const struct large_reference *reference,
                                 int *out_descriptor)
{
    struct place_name name = place_name(reference);
    struct stat about;
    int descriptor =
        openat(large->directory, name.file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (descriptor < 0) {
        if (errno == ENOENT)
            return KIST_NOT_FOUND;
        return errno == EMFILE || errno == ENFILE ? KIST_BUSY : KIST_IO;
    }
    if (fstat(descriptor, &about) != 0) {
        close(descriptor);
        return KIST_IO;
    }
    if (!S_ISREG(about.st_mode) || (uint64_t)about.st_size != reference->size) {
        close(descriptor);
        return KIST_CORRUPT;
    }
    *out_descriptor = descriptor;
    return KIST_OK;
}

/* Exactly size bytes; errno is 0 where the file ended before. */
static bool read_all(int descriptor, char *into, uint64_t size)
{
    while (size > 0) {
        ssize_t got =
            read(descriptor, into, size < READ_BYTES ? size : READ_BYTES);

        if (got == 0)
            errno = 0;
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        if (got > 0) {
            into += got;
            size -= (uint64_t)got;
        }
    }
    return true;
}

enum kist_status large_read(struct large *large,
                            const struct large_reference *reference,
                            struct blob *out)
{
    int descriptor;
    char *into;
    enum kist_status status = large_open_file(large, reference, &descriptor);

    if (status != KIST_OK)
        return status;
    if (blob_reserve_exactly(out, out->size + reference->size) != KIST_OK) {
        close(descriptor);
        return KIST_NO_MEMORY;
    }
    into = out->data + out->size;
    if (!read_all(descriptor, into, reference->size))
        status = errno == 0 ? KIST_CORRUPT : KIST_IO;
    else if (XXH3_64bits(into, reference->size) != reference->hash)
        status = KIST_CORRUPT;
    else
        out->size += reference->size;
    close(descriptor);
    return status;
}

/* Removing. */

void large_drop(struct large *large, const struct large_reference *reference)
{
    if (large_drops_add(&large->drops, reference))
        gauge_add(&large->stats.dropped, 1);
    else /* An orphan of the next start. */
        counter_add(&large->stats.errors, 1);
}

void large_count_place(struct large *large, unsigned place, uint64_t files,
                       uint64_t bytes)
{
    assert(!large->is_counted[place]);
    large->is_counted[place] = true;
    gauge_add(&large->stats.files, (int64_t)files);
    gauge_add(&large->stats.bytes, (int64_t)bytes);
}

/* Out of its place. */
static void count_out(struct large *large,
                      const struct large_reference *reference, off_t size)
{
    if (!large_is_of_this_run(large, reference) &&
        !large->is_counted[place_of(reference)])
        return;
    gauge_add(&large->stats.files, -1);
    gauge_add(&large->stats.bytes, -(int64_t)size);
}

bool large_set_aside(struct large *large,
                     const struct large_reference *reference)
{
    struct place_name name = place_name(reference);
    char target[sizeof("damaged/") + LARGE_NAME_SIZE];
    struct stat about;

    snprintf(target, sizeof(target), "damaged/%s",
             name.file + PLACE_NAME_SIZE + 1);
    if (fstatat(large->directory, name.file, &about, AT_SYMLINK_NOFOLLOW) !=
            0 ||
        renameat(large->directory, name.file, large->directory, target) != 0)
        return false;
    count_out(large, reference, about.st_size);
    gauge_add(&large->stats.damaged, 1);
    /* After a crash it may lie where it was: the scrub finds it again. */
    return sync_directory(large->directory, "damaged");
}

bool large_remove(struct large *large, const struct large_reference *reference)
{
    struct place_name name = place_name(reference);
    struct stat about;

    /* The scrub may have found it damaged and moved it away. */
    if (fstatat(large->directory, name.file, &about, AT_SYMLINK_NOFOLLOW) !=
            0 ||
        unlinkat(large->directory, name.file, 0) != 0)
        return errno == ENOENT;
    count_out(large, reference, about.st_size);
    return true;
}

void large_tend(struct large *large)
{
    struct large_reference reference;

    while (!atomic_load(&large->stopping) &&
           large_drops_take(&large->drops, &reference)) {
        if (!large_remove(large, &reference))
            counter_add(&large->stats.errors, 1);
        large_drops_removed(&large->drops);
        gauge_add(&large->stats.dropped, -1);
    }
}

void large_stop(struct large *large)
{
    atomic_store(&large->stopping, true);
}
