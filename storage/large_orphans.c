/*
 * Folder after folder: first its files are counted, in one go, then each is
 * judged, a slice of time after the other. Counting apart keeps the sums right
 * while large_tend() removes files between the slices.
 */
#include "storage/large_orphans.h"

#include "base/clock.h"
#include "storage/large_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders in their order: these two, then the places. */
enum { INCOMING, DAMAGED, FIRST_PLACE, FOLDERS = FIRST_PLACE + LARGE_PLACES };

struct large_orphans {
    struct store *store;
    struct large *large;
    unsigned folder; /* At work in it; FOLDERS: done. */
    DIR *listing;    /* Of it; NULL: not begun. */
    struct large_orphans_stats stats;
};

static void name_folder(unsigned folder, char out_name[16])
{
    if (folder == INCOMING)
        snprintf(out_name, 16, "incoming");
    else if (folder == DAMAGED)
        snprintf(out_name, 16, "damaged");
    else
        snprintf(out_name, 16, "%02x", folder - FIRST_PLACE);
}

/* NULL with ENOENT: no file ever came there. */
static DIR *open_folder(const struct large_orphans *orphans)
{
    char name[16];
    int directory;
    DIR *listing = NULL;

    name_folder(orphans->folder, name);
    directory = openat(large_directory(orphans->large), name,
                       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0)
        listing = fdopendir(directory);
    if (directory >= 0 && listing == NULL)
        close(directory);
    return listing;
}

/* The next file here that an earlier run has left, if there is one. */
static bool next_file(const struct large_orphans *orphans, DIR *listing,
                      struct large_reference *out_reference)
{
    struct dirent *entry;

    while ((entry = readdir(listing)) != NULL)
        if (large_reference_from_name(view_of(entry->d_name), out_reference) &&
            !large_is_of_this_run(orphans->large, out_reference))
            return true;
    return false;
}

static void count(const struct large_orphans *orphans, DIR *listing)
{
    struct large_reference reference;
    char name[LARGE_NAME_SIZE + 1];
    struct stat about;
    uint64_t files = 0, bytes = 0;

    while (next_file(orphans, listing, &reference)) {
        large_reference_name(&reference, name);
        if (fstatat(dirfd(listing), name, &about, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        files++;
        bytes += (uint64_t)about.st_size;
    }
    rewinddir(listing);
    if (orphans->folder >= FIRST_PLACE)
        large_count_place(orphans->large, orphans->folder - FIRST_PLACE, files,
                          bytes);
    else if (orphans->folder == DAMAGED)
        gauge_add(&large_stats(orphans->large)->damaged, (int64_t)files);
}

/* False: it cannot be known now whether somebody names the file. */
static bool remove_unless_named(struct large_orphans *orphans,
                                const struct large_reference *reference)
{
    struct blob key = BLOB_EMPTY;
    enum kist_status status = store_large_key(orphans->store, reference, &key);

    blob_free(&key);
    if (status == KIST_READ_ONLY || status == KIST_NO_MEMORY)
        return false;
    if (status != KIST_NOT_FOUND) /* Named, or unreadable: it stays. */
        return true;
    if (large_remove(orphans->large, reference))
        counter_add(&orphans->stats.removed, 1);
    else
        counter_add(&large_stats(orphans->large)->errors, 1);
    return true;
}

/* False: not now. */
static bool judge(struct large_orphans *orphans,
                  const struct large_reference *reference)
{
    bool judged = false;

    switch (large_judge_begin(orphans->large, reference)) {
    case LARGE_MAY_GO:
        judged = remove_unless_named(orphans, reference);
        large_judge_end(orphans->large);
        break;
    case LARGE_CLAIMED:
        judged = true;
        break;
    case LARGE_HELD:
        break;
    }
    return judged;
}

static void remove_incoming(struct large_orphans *orphans,
                            const struct large_reference *reference)
{
    char name[LARGE_NAME_SIZE + 1];

    large_reference_name(reference, name);
    if (unlinkat(dirfd(orphans->listing), name, 0) == 0)
        counter_add(&orphans->stats.removed, 1);
    else
        counter_add(&large_stats(orphans->large)->errors, 1);
}

/* One file; false: the store is away. *out_more: the folder has others. */
static bool step(struct large_orphans *orphans, bool *out_more)
{
    struct large_reference reference;

    *out_more = next_file(orphans, orphans->listing, &reference);
    if (!*out_more)
        return true;
    if (orphans->folder == INCOMING) {
        remove_incoming(orphans, &reference);
        return true;
    }
    /* A file in a wrong place was put there by somebody else. */
    if (reference.serial % LARGE_PLACES != orphans->folder - FIRST_PLACE)
        return true;
    return judge(orphans, &reference);
}

static void leave_folder(struct large_orphans *orphans)
{
    if (orphans->listing != NULL)
        closedir(orphans->listing);
    orphans->listing = NULL;
}

/* False: not now. */
static bool enter_folder(struct large_orphans *orphans)
{
    if (orphans->listing != NULL)
        return true;
    orphans->listing = open_folder(orphans);
    if (orphans->listing != NULL)
        count(orphans, orphans->listing);
    else if (errno == ENOENT && orphans->folder >= FIRST_PLACE)
        large_count_place(orphans->large, orphans->folder - FIRST_PLACE, 0, 0);
    return orphans->listing != NULL || errno == ENOENT;
}

bool large_orphans_run(struct large_orphans *orphans, uint64_t budget_ms)
{
    uint64_t until_ns = clock_mono_ns() + budget_ms * 1000000;
    bool more;

    while (orphans->folder < FOLDERS) {
        if (clock_mono_ns() > until_ns || !enter_folder(orphans))
            return false;
        more = false;
        if (orphans->listing != NULL && orphans->folder != DAMAGED &&
            !step(orphans, &more)) {
            rewinddir(orphans->listing); /* The one that was not judged, too. */
            return false;
        }
        if (more)
            continue;
        leave_folder(orphans);
        orphans->folder++;
    }
    large_collected(orphans->large);
    gauge_set(&orphans->stats.collecting, 0);
    return true;
}

enum kist_status large_orphans_open(struct store *store,
                                    struct large_orphans **out_orphans)
{
    struct large_orphans *orphans = calloc(1, sizeof(*orphans));

    if (orphans == NULL)
        return KIST_NO_MEMORY;
    orphans->store = store;
    orphans->large = store_large(store);
    gauge_set(&orphans->stats.collecting, 1);
    *out_orphans = orphans;
    return KIST_OK;
}

void large_orphans_close(struct large_orphans *orphans)
{
    if (orphans == NULL)
        return;
    leave_folder(orphans);
    free(orphans);
}

struct large_orphans_stats *large_orphans_stats(struct large_orphans *orphans)
{
    return &orphans->stats;
}
