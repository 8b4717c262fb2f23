#include "tests/support/large_files.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PLACES = 256 };

enum act { COUNT, LOSE };

static size_t visit(const char *data, const char *folder, enum act act)
{
    char path[PATH_MAX];
    struct dirent *entry;
    size_t count = 0;
    DIR *listing;

    snprintf(path, sizeof path, "%s/large/%s", data, folder);
    listing = opendir(path);
    if (listing == NULL)
        return 0;
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (act == LOSE && unlinkat(dirfd(listing), entry->d_name, 0) != 0)
            abort();
    }
    closedir(listing);
    return count;
}

static size_t visit_places(const char *data, enum act act)
{
    size_t count = 0;

    for (unsigned place = 0; place < PLACES; place++) {
        char folder[12];

        snprintf(folder, sizeof folder, "%02x", place);
        count += visit(data, folder, act);
    }
    return count;
}

size_t large_files_count(const char *data, const char *folder)
{
    return folder != NULL ? visit(data, folder, COUNT)
                          : visit_places(data, COUNT);
}

void large_files_lose(const char *data)
{
    visit_places(data, LOSE);
}
