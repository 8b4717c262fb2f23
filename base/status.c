#include "base/status.h"

const char *kist_status_name(enum kist_status status)
{
    switch (status) {
    case KIST_OK:
        return "ok";
    case KIST_NOT_FOUND:
        return "not_found";
    case KIST_CONFLICT:
        return "conflict";
    case KIST_INVALID:
        return "invalid";
    case KIST_TOO_LARGE:
        return "too_large";
    case KIST_BUSY:
        return "busy";
    case KIST_STOPPING:
        return "stopping";
    case KIST_DISK_FULL:
        return "disk_full";
    case KIST_READ_ONLY:
        return "read_only";
    case KIST_UNKNOWN:
        return "unknown";
    case KIST_CORRUPT:
        return "corrupt";
    case KIST_IO:
        return "io";
    case KIST_NO_MEMORY:
        return "no_memory";
    }
    return "invalid_status";
}
