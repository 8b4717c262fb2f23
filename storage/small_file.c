#include "storage/small_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static enum kist_status status_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? KIST_DISK_FULL : KIST_IO;
}

static ssize_t read_all(int file, char *into, size_t room)
{
    size_t size = 0;

    while (size < room) {
        ssize_t got = read(file, into + size, room - size);

        if (got == 0)
            break;
        if (got > 0)
            size += (size_t)got;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)size;
}

enum kist_status small_file_read(int directory, const char *name,
                                 struct blob *bytes)
{
    char buffer[SMALL_FILE_MAX + 1];
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (file < 0)
        return errno == ENOENT ? KIST_NOT_FOUND : KIST_IO;
    size = read_all(file, buffer, sizeof(buffer));
    close(file);
    if (size < 0)
        return KIST_IO;
    if (size > SMALL_FILE_MAX)
        return KIST_TOO_LARGE;
    blob_append(bytes, (struct view){buffer, (size_t)size});
    return bytes->failed ? KIST_NO_MEMORY : KIST_OK;
}

static bool write_all(int file, struct view bytes)
{
    while (bytes.size > 0) {
        ssize_t put = write(file, bytes.data, bytes.size);

        if (put >= 0)
            bytes = view_from(bytes, (size_t)put);
        else if (errno != EINTR)
            return false;
    }
    return true;
}

static enum kist_status write_new(int directory, const char *name,
                                  struct view bytes)
{
    enum kist_status status = KIST_OK;
    int file =
        openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (file < 0)
        return status_of_errno();
    if (!write_all(file, bytes) || fsync(file) != 0)
        status = status_of_errno();
    if (close(file) != 0 && status == KIST_OK)
        status = status_of_errno();
    return status;
}

enum kist_status small_file_replace(int directory, const char *name,
                                    struct view bytes)
{
    char draft[NAME_MAX + 1];
    int size = snprintf(draft, sizeof(draft), "%s.tmp", name);
    enum kist_status status;

    assert(size > 0 && (size_t)size < sizeof(draft));
    status = write_new(directory, draft, bytes);
    if (status == KIST_OK && renameat(directory, draft, directory, name) != 0)
        status = status_of_errno();
    if (status != KIST_OK) {
        unlinkat(directory, draft, 0);
        return status;
    }
    return fsync(directory) == 0 ? KIST_OK : status_of_errno();
}

enum kist_status small_file_sync_parent(int directory)
{
    int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = parent >= 0 && fsync(parent) == 0;
    int error = errno;

    if (parent >= 0)
        close(parent);
    errno = error;
    return synced ? KIST_OK : KIST_IO;
}
