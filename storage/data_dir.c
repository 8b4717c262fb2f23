#include "storage/data_dir.h"

#include "storage/restore.h"
#include "storage/small_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME   "kist.lock"
#define FORMAT_NAME "FORMAT"

struct data_dir {
    char path[PATH_MAX];
    char engine_path[PATH_MAX];
    int directory;
    int lock; /* Open as long as we hold it. */
};

const char *data_dir_path(const struct data_dir *data_dir)
{
    return data_dir->path;
}

const char *data_dir_engine_path(const struct data_dir *data_dir)
{
    return data_dir->engine_path;
}

void data_dir_close(struct data_dir *data_dir)
{
    if (data_dir == NULL)
        return;
    if (data_dir->lock >= 0)
        close(data_dir->lock); /* The file stays: unlinking it would race. */
    if (data_dir->directory >= 0)
        close(data_dir->directory);
    free(data_dir);
}

/* errno, as seen while doing that to the directory. */
static enum kist_status refuse_errno(struct engine_fault *out_fault,
                                     const char *doing, const char *path)
{
    int error = errno;

    engine_fault_set(out_fault, "cannot %s %s: %s", doing, path,
                     strerror(error));
    return error == ENOSPC || error == EDQUOT ? KIST_DISK_FULL : KIST_IO;
}

static enum kist_status open_directory(struct data_dir *data_dir,
                                       struct engine_fault *out_fault)
{
    const char *path = data_dir->path;
    bool made = mkdir(path, 0700) == 0;

    if (!made && errno == ENOENT) {
        engine_fault_set(out_fault,
                         "cannot create the data directory %s: the directory "
                         "above it does not exist; create it first",
                         path);
        return KIST_INVALID;
    }
    if (!made && errno != EEXIST)
        return refuse_errno(out_fault, "create the data directory", path);

    data_dir->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data_dir->directory < 0 && errno == ENOTDIR) {
        engine_fault_set(out_fault, "%s is not a directory", path);
        return KIST_INVALID;
    }
    if (data_dir->directory < 0)
        return refuse_errno(out_fault, "open the data directory", path);
    if (made && small_file_sync_parent(data_dir->directory) != KIST_OK)
        return refuse_errno(out_fault, "sync the parent of", path);
    return KIST_OK;
}

/* What a first start, killed half-way, may leave; and mkfs. */
static bool may_precede_format(const char *name)
{
    static const char *const names[] = {
        ".", "..", LOCK_NAME, FORMAT_NAME ".tmp", "lost+found",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void refuse_unrestored(const struct data_dir *data_dir,
                              struct engine_fault *out_fault)
{
    engine_fault_set(out_fault,
                     "%s holds a restore that is under way or did not come to "
                     "its end; run kistd --restore again, or empty the "
                     "directory",
                     data_dir->path);
}

static enum kist_status check_empty(const struct data_dir *data_dir,
                                    struct engine_fault *out_fault)
{
    enum kist_status status = KIST_OK;
    DIR *listing = opendir(data_dir->path);
    struct dirent *entry;

    if (listing == NULL)
        return refuse_errno(out_fault, "list", data_dir->path);
    while ((entry = readdir(listing)) != NULL) {
        if (may_precede_format(entry->d_name))
            continue;
        status = KIST_INVALID;
        if (strcmp(entry->d_name, RESTORE_DIRECTORY) == 0) {
            refuse_unrestored(data_dir, out_fault);
            break;
        }
        engine_fault_set(out_fault,
                         "%s holds files but no " FORMAT_NAME
                         " file, so it is not a kist data directory; name an "
                         "empty directory or one that does not exist yet",
                         data_dir->path);
    }
    closedir(listing);
    return status;
}

static enum kist_status refuse_locked(const struct data_dir *data_dir,
                                      struct engine_fault *out_fault)
{
    char holder[32];
    ssize_t size = pread(data_dir->lock, holder, sizeof(holder) - 1, 0);

    holder[size > 0 ? size : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    engine_fault_set(out_fault,
                     "the data directory %s is in use by process %s; stop it "
                     "first, or name another directory",
                     data_dir->path, holder[0] != '\0' ? holder : "(unknown)");
    return KIST_BUSY;
}

static enum kist_status take_lock(struct data_dir *data_dir,
                                  struct engine_fault *out_fault)
{
    data_dir->lock = openat(data_dir->directory, LOCK_NAME,
                            O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (data_dir->lock < 0)
        return refuse_errno(out_fault, "create " LOCK_NAME " in",
                            data_dir->path);
    if (flock(data_dir->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return refuse_locked(data_dir, out_fault);
        return refuse_errno(out_fault, "lock", data_dir->path);
    }
    /*
     * The process id is for the message above alone: on a full disk it may
     * be missing, and the lock holds all the same.
     */
    if (ftruncate(data_dir->lock, 0) == 0)
        dprintf(data_dir->lock, "%ld\n", (long)getpid());
    return KIST_OK;
}

static enum kist_status write_format(const struct data_dir *data_dir,
                                     const char *engine_name,
                                     struct engine_fault *out_fault)
{
    struct blob text = BLOB_EMPTY;
    enum kist_status status = KIST_NO_MEMORY;

    blob_printf(&text, "kist data directory\nformat %d\nengine %s\n",
                DATA_DIR_FORMAT, engine_name);
    if (!text.failed)
        status = small_file_replace(data_dir->directory, FORMAT_NAME,
                                    blob_view(&text));
    if (status != KIST_OK)
        engine_fault_set(out_fault, "cannot write %s/" FORMAT_NAME ": %s",
                         data_dir->path, kist_status_name(status));
    blob_free(&text);
    return status;
}

static enum kist_status judge_format(const struct data_dir *data_dir,
                                     const char *text, const char *engine_name,
                                     struct engine_fault *out_fault)
{
    unsigned format;
    char engine[32], rest;

    if (sscanf(text, "kist data directory\nformat %9u\nengine %31[a-z]%c",
               &format, engine, &rest) != 3 ||
        rest != '\n') {
        engine_fault_set(out_fault,
                         "%s/" FORMAT_NAME " is damaged; restore it, or the "
                         "whole directory, from a backup",
                         data_dir->path);
        return KIST_CORRUPT;
    }
    if (format != DATA_DIR_FORMAT) {
        engine_fault_set(out_fault,
                         "%s has data format %u and this kistd knows format "
                         "%d; start the version that wrote it",
                         data_dir->path, format, DATA_DIR_FORMAT);
        return KIST_INVALID;
    }
    if (strcmp(engine, engine_name) != 0) {
        engine_fault_set(out_fault,
                         "%s was written by the engine %s, not %s; start with "
                         "--engine %s, or name another directory",
                         data_dir->path, engine, engine_name, engine);
        return KIST_INVALID;
    }
    return KIST_OK;
}

static enum kist_status check_format(const struct data_dir *data_dir,
                                     const char *engine_name,
                                     struct engine_fault *out_fault)
{
    struct blob text = BLOB_EMPTY;
    enum kist_status status =
        small_file_read(data_dir->directory, FORMAT_NAME, &text);

    blob_append_byte(&text, '\0');
    if (text.failed)
        status = KIST_NO_MEMORY;
    if (status == KIST_NOT_FOUND)
        status = write_format(data_dir, engine_name, out_fault);
    else if (status == KIST_OK || status == KIST_TOO_LARGE)
        status = judge_format(data_dir, text.data, engine_name, out_fault);
    else
        engine_fault_set(out_fault, "cannot read %s/" FORMAT_NAME ": %s",
                         data_dir->path, kist_status_name(status));
    blob_free(&text);
    return status;
}

static enum kist_status name_paths(struct data_dir *data_dir, const char *path,
                                   const char *engine_name,
                                   struct engine_fault *out_fault)
{
    size_t room = sizeof(data_dir->path);
    int whole =
        snprintf(data_dir->engine_path, room, "%s/%s", path, engine_name);

    if (path[0] == '\0' || whole < 0 || (size_t)whole >= room) {
        engine_fault_set(out_fault, "the data directory's name is %s",
                         path[0] == '\0' ? "empty" : "too long");
        return KIST_INVALID;
    }
    snprintf(data_dir->path, room, "%s", path);
    return KIST_OK;
}

enum kist_status data_dir_open(const char *path, const char *engine_name,
                               struct engine_fault *out_fault,
                               struct data_dir **out_data_dir)
{
    struct data_dir *data_dir = calloc(1, sizeof(*data_dir));
    enum kist_status status;

    out_fault->text[0] = '\0';
    if (data_dir == NULL)
        return KIST_NO_MEMORY;
    data_dir->directory = data_dir->lock = -1;

    status = name_paths(data_dir, path, engine_name, out_fault);
    if (status == KIST_OK)
        status = open_directory(data_dir, out_fault);
    /* Before the lock file is made: a stranger's directory stays untouched. */
    if (status == KIST_OK &&
        faccessat(data_dir->directory, FORMAT_NAME, F_OK, 0) != 0)
        status = check_empty(data_dir, out_fault);
    if (status == KIST_OK)
        status = take_lock(data_dir, out_fault);
    if (status == KIST_OK)
        status = check_format(data_dir, engine_name, out_fault);
    if (status != KIST_OK) {
        data_dir_close(data_dir);
        return status;
    }
    *out_data_dir = data_dir;
    return KIST_OK;
}
