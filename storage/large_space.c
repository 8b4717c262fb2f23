#include "storage/large_space.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

void large_space_init(struct large_space *space, int directory,
                      uint64_t kept_free)
{
    *space = (struct large_space){
        .directory = directory,
        .kept_free = kept_free,
    };
    pthread_mutex_init(&space->lock, NULL);
}

void large_space_clear(struct large_space *space)
{
    assert(space->promised == 0);
    pthread_mutex_destroy(&space->lock);
}

/* Is there room for size more, beside what is kept and promised? */
static enum kist_status ask_locked(const struct large_space *space,
                                   uint64_t size)
{
    struct statvfs about;
    uint64_t room, taken = space->kept_free + space->promised;

    if (fstatvfs(space->directory, &about) != 0)
        return KIST_IO;
    room = (uint64_t)about.f_bavail * about.f_frsize;
    return room >= taken && room - taken >= size ? KIST_OK : KIST_DISK_FULL;
}

/* 0: done, else errno. Blocks behind the end do not make the file longer. */
static int set_aside(int file, uint64_t size)
{
    int failed;

    do
        failed = fallocate(file, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    while (failed != 0 && errno == EINTR);
    return failed == 0 ? 0 : errno;
}

static enum kist_status note(struct large_space *space, uint64_t size)
{
    enum kist_status status;

    pthread_mutex_lock(&space->lock);
    status = ask_locked(space, size);
    if (status == KIST_OK)
        space->promised += size;
    pthread_mutex_unlock(&space->lock);
    return status;
}

enum kist_status large_space_claim(struct large_space *space, int file,
                                   uint64_t size, struct large_claim *out_claim)
{
    struct large_claim claim = {.noted = size};
    enum kist_status status = KIST_DISK_FULL;

    if (size <= INT64_MAX / 2)
        status = note(space, size);
    if (status != KIST_OK)
        return status;
    /* Noted meanwhile, so that two cannot both count on the same room. */
    if (size > 0) {
        int error = set_aside(file, size);

        if (error == 0)
            claim.given = size;
        if (error == 0 || error == ENOSPC || error == EDQUOT)
            large_space_release(space, &claim);
        if (error == ENOSPC || error == EDQUOT)
            return KIST_DISK_FULL;
    }
    *out_claim = claim;
    return KIST_OK;
}

enum kist_status large_space_take(struct large_space *space,
                                  struct large_claim *claim, uint64_t size)
{
    uint64_t noted;
    enum kist_status status = KIST_OK;

    if (size <= claim->given) {
        claim->given -= size;
        return KIST_OK;
    }
    size -= claim->given;
    claim->given = 0;

    pthread_mutex_lock(&space->lock);
    noted = size < claim->noted ? size : claim->noted;
    claim->noted -= noted;
    space->promised -= noted;
    status = ask_locked(space, size);
    pthread_mutex_unlock(&space->lock);
    return status;
}

void large_space_release(struct large_space *space, struct large_claim *claim)
{
    pthread_mutex_lock(&space->lock);
    assert(space->promised >= claim->noted);
    space->promised -= claim->noted;
    pthread_mutex_unlock(&space->lock);
    claim->noted = 0;
}
