#include "tests/support/scratch.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

void scratch_make(struct scratch *scratch)
{
    const char *parent = getenv("TMPDIR");

    snprintf(scratch->path, sizeof(scratch->path), "%s/kist-XXXXXX",
             parent != NULL && strlen(parent) < 40 ? parent : "/tmp");
    if (mkdtemp(scratch->path) == NULL)
        abort();
}

static int remove_one(const char *path, const struct stat *about, int type,
                      struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    return remove(path);
}

void scratch_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_remove(struct scratch *scratch)
{
    scratch_remove_tree(scratch->path);
}

static void copy_file(void *unused, const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t sent;

    (void)unused;
    assert(in >= 0 && out >= 0);
    do
        sent = sendfile(out, in, NULL, 1 << 30);
    while (sent > 0);
    assert(sent == 0);
    close(in);
    close(out);
}

void scratch_copy_tree_by(const char *from, const char *to,
                          void (*copy)(void *ctx, const char *from,
                                       const char *to),
                          void *ctx)
{
    char source[PATH_MAX], target[PATH_MAX];
    DIR *directory = opendir(from);
    struct dirent *entry;
    struct stat about;

    assert(directory != NULL);
    if (mkdir(to, 0700) != 0)
        abort();
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(source, sizeof(source), "%s/%s", from, entry->d_name);
        snprintf(target, sizeof(target), "%s/%s", to, entry->d_name);
        if (stat(source, &about) != 0)
            abort();
        if (S_ISDIR(about.st_mode))
            scratch_copy_tree_by(source, target, copy, ctx);
        else
            copy(ctx, source, target);
    }
    closedir(directory);
}

void scratch_copy_tree(const char *from, const char *to)
{
    scratch_copy_tree_by(from, to, copy_file, NULL);
}
