#include "service/process.h"

#include "base/clock.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static double one(void *ctx)
{
    (void)ctx;
    return 1;
}

static double start_time(void *ctx)
{
    const struct process *process = ctx;
    return process->start_seconds;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double cpu_seconds(void *ctx)
{
    struct rusage usage;

    (void)ctx;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return NAN;
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/* /proc/self/statm begins with all pages and the pages in memory. */
static double statm_bytes(unsigned column)
{
    unsigned long pages[2];

    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm == NULL)
        return NAN;
    int found = fscanf(statm, "%lu %lu", &pages[0], &pages[1]);
    fclose(statm);
    if (found != 2)
        return NAN;
    return (double)pages[column] * (double)sysconf(_SC_PAGESIZE);
}

static double virtual_memory(void *ctx)
{
    (void)ctx;
    return statm_bytes(0);
}

static double resident_memory(void *ctx)
{
    (void)ctx;
    return statm_bytes(1);
}

static double open_fds(void *ctx)
{
    (void)ctx;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return NAN;

    double entries = 0;
    while (readdir(directory) != NULL)
        entries++;
    closedir(directory);
    return entries - 3; /* `.`, `..` and the one that reads. */
}

static double max_fds(void *ctx)
{
    struct rlimit limit;

    (void)ctx;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
}

static void init_build_info(struct metrics *metrics, const char *version)
{
    struct blob labels = BLOB_EMPTY;

    blob_printf(&labels, "version=\"%s\"", version);
    blob_append_byte(&labels, '\0');
    metrics_read_gauge(metrics, "kist_build_info", "What runs; always 1.",
                       labels.failed ? NULL : labels.data,
                       (struct metric_source){.read = one});
    blob_free(&labels);
}

void process_init(struct process *process, struct metrics *metrics,
                  const char *version)
{
    process->start_seconds = (double)clock_wall_ms() / 1e3;

    init_build_info(metrics, version);
    metrics_read_counter(metrics, "process_cpu_seconds_total",
                         "User and system CPU time spent.", NULL,
                         (struct metric_source){.read = cpu_seconds});
    metrics_read_gauge(metrics, "process_resident_memory_bytes",
                       "Memory that is in RAM.", NULL,
                       (struct metric_source){.read = resident_memory});
    metrics_read_gauge(metrics, "process_virtual_memory_bytes",
                       "Address space in use.", NULL,
                       (struct metric_source){.read = virtual_memory});
    metrics_read_gauge(metrics, "process_open_fds", "Open file descriptors.",
                       NULL, (struct metric_source){.read = open_fds});
    metrics_read_gauge(metrics, "process_max_fds",
                       "Limit of open file descriptors.", NULL,
                       (struct metric_source){.read = max_fds});
    metrics_read_gauge(metrics, "process_start_time_seconds",
                       "Start of the process, seconds since 1970.", NULL,
                       (struct metric_source){start_time, process});
}
