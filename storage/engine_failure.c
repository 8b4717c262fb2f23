#include "storage/engine_failure.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool mentions(const char *text, int error)
{
    char buffer[128];

    return strstr(text, strerror_r(error, buffer, sizeof(buffer))) != NULL;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Held by this process, or by another one. */
static bool says_locked(const char *text)
{
    bool of_lock = starts_with(text, "IO error: lock ") ||
                   starts_with(text, "IO error: While lock file:");
    bool is_ours = strstr(text, "already held by process") != NULL ||
                   strstr(text, "lock hold by current process") != NULL;

    return of_lock &&
           (is_ours || mentions(text, EAGAIN) || mentions(text, EACCES));
}

enum kist_status engine_failure_status(const char *text)
{
    if (starts_with(text, "Corruption:"))
        return KIST_CORRUPT;
    if (mentions(text, ENOSPC) || mentions(text, EDQUOT))
        return KIST_DISK_FULL;
    if (says_locked(text) || starts_with(text, "Result incomplete:"))
        return KIST_BUSY;
    return KIST_IO;
}
