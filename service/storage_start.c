#include "service/storage_start.h"

#include "replication/ring.h"

#include <unistd.h>

static void store_moved(void *ctx, enum store_state from, enum store_state to,
                        const char *why)
{
    struct log_line line = log_begin(
        ctx, to == STORE_READ_WRITE ? LOG_INFO : LOG_ERROR, "store.moved");

    log_text(&line, "from", view_of(store_state_name(from)));
    log_text(&line, "to", view_of(store_state_name(to)));
    log_text(&line, "why", view_of(why));
    log_end(&line);
}

/* Not exit(): nothing may be flushed or closed on top of a failed sync. */
static void store_failed(void *ctx, const char *why)
{
    log_why(ctx, LOG_ERROR, "store.failed", why);
    _exit(STORAGE_START_EXIT_FAILED);
}

struct store_options storage_start_options(const struct settings *settings)
{
    return (struct store_options){
        .path = settings->data,
        .kind = settings->engine,
        .engine =
            {
                .write_buffer_bytes = settings->write_buffer_bytes,
                .block_cache_bytes = settings->block_cache_bytes,
                .max_open_files = (unsigned)settings->max_open_files,
                .threads = (unsigned)settings->engine_threads,
                .accept_data_loss = settings->accept_data_loss,
            },
        .cache_bytes = settings->cache_bytes,
        .reserve_bytes = settings->disk_reserve_bytes,
        .ballast_bytes = settings->ballast_bytes,
    };
}

enum kist_status storage_start(const struct settings *settings, struct log *log,
                               struct store **out_store)
{
    struct store_options options = storage_start_options(settings);
    struct store_replication replicated = {
        .bits = RING_BITS,
        .cluster = key_hash(view_of(settings->cluster_name)),
    };
    struct store_hooks hooks = {log, store_moved, store_failed};
    struct engine_fault fault = {{0}};
    enum kist_status status;

    if (settings_are_of_cluster(settings))
        options.replicated = &replicated;
    status = store_open(&options, &hooks, &fault, out_store);

    if (status != KIST_OK)
        log_why(log, LOG_ERROR, "start.refused",
                fault.text[0] != '\0' ? fault.text : kist_status_name(status));
    else if (fault.text[0] != '\0')
        log_why(log, LOG_WARN, "store.recovered", fault.text);
    return status;
}
