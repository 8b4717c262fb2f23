#include "service/import_progress.h"

#include <stdatomic.h>

bool import_progress_begin(struct import_progress *progress)
{
    int state = atomic_load(&progress->state);

    do {
        if (state == IMPORT_RUNNING)
            return false;
    } while (!atomic_compare_exchange_weak(&progress->state, &state,
                                           IMPORT_RUNNING));
    gauge_set(&progress->running, 1);
    gauge_set(&progress->lines, 0);
    gauge_set(&progress->applied, 0);
    gauge_set(&progress->unchanged, 0);
    gauge_set(&progress->failed, 0);
    return true;
}

void import_progress_end(struct import_progress *progress, enum import_end how)
{
    counter_add(&progress->all_applied,
                (uint64_t)gauge_read(&progress->applied));
    counter_add(&progress->all_unchanged,
                (uint64_t)gauge_read(&progress->unchanged));
    counter_add(&progress->all_failed, (uint64_t)gauge_read(&progress->failed));
    gauge_set(&progress->running, 0);
    atomic_store(&progress->state, how);
}

const char *import_progress_state(const struct import_progress *progress)
{
    switch ((enum import_end)atomic_load(&progress->state)) {
    case IMPORT_NEVER:
        return "never";
    case IMPORT_RUNNING:
        return "running";
    case IMPORT_DONE:
        return "done";
    case IMPORT_STOPPED:
        return "stopped";
    case IMPORT_CUT:
        return "cut";
    }
    return "invalid_state";
}

void import_progress_register(struct metrics *metrics,
                              struct import_progress *progress)
{
    static const char name[] = "kist_import_records_total";
    static const char help[] = "Records of imports, once the import is over.";

    metrics_gauge(metrics, "kist_import_running", "1 while an import runs.",
                  NULL, &progress->running);
    metrics_counter(metrics, name, help, "result=\"applied\"",
                    &progress->all_applied);
    metrics_counter(metrics, name, help, "result=\"unchanged\"",
                    &progress->all_unchanged);
    metrics_counter(metrics, name, help, "result=\"failed\"",
                    &progress->all_failed);
}
