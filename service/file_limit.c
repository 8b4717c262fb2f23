#include "service/file_limit.h"

#include <sys/resource.h>

/*
 * Beside connections and tables: listeners, loops (four each: epoll of libuv
 * and of the server, wake-up, timer), logs, the data directory, scrapes and
 * files of the moment.
 */
enum { SPARE = 128, LOOPS_MAX = 64, PER_LOOP = 4 };

enum kist_status file_limit_raise(uint64_t *out_limit)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return KIST_IO;

    struct rlimit raised = {limit.rlim_max, limit.rlim_max};
    if (limit.rlim_cur != limit.rlim_max &&
        setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    *out_limit = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    return KIST_OK;
}

enum kist_status file_limit_check(const struct settings *settings,
                                  uint64_t limit, struct blob *out_why)
{
    uint64_t loops = settings->loops == 0 ? LOOPS_MAX : settings->loops;
    uint64_t others = settings->max_open_files + SPARE + loops * PER_LOOP;

    if (settings->max_connections + others <= limit)
        return KIST_OK;
    blob_printf(out_why,
                "max-connections %llu needs %llu open files (max-open-files "
                "%llu and others included), but the limit is %llu; lower it "
                "or raise the limit (ulimit -n, LimitNOFILE=)",
                (unsigned long long)settings->max_connections,
                (unsigned long long)(settings->max_connections + others),
                (unsigned long long)settings->max_open_files,
                (unsigned long long)limit);
    return out_why->failed ? KIST_NO_MEMORY : KIST_INVALID;
}
