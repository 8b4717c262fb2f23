#include "api/backup_stream.h"

#include "api/api.h"
#include "api/reply.h"
#include "base/clock.h"
#include "service/backup_metrics.h"
#include "service/version.h"
#include "storage/backup.h"

#include <inttypes.h>
#include <stdlib.h>

struct backup_stream {
    struct stream stream;
    struct backup *backup; /* NULL: HEAD. */
    struct backup_stats *stats;
    struct log *log;
    uint64_t began_ms;
    uint64_t began_ns;

    /* The pool's while it fills. */
    uint64_t bytes;
    enum kist_status status;
    bool is_whole;
};

static enum kist_status fill(struct stream *stream, struct blob *piece)
{
    struct backup_stream *backup = (struct backup_stream *)stream;
    size_t before = piece->size;

    backup->status = backup_piece(backup->backup, piece);
    if (piece->failed)
        backup->status = KIST_NO_MEMORY;
    if (backup->status != KIST_OK)
        return backup->status;
    backup->bytes += piece->size - before;
    backup->is_whole = piece->size == before;
    return KIST_OK;
}

static struct log_line begin_line(const struct backup_stream *backup)
{
    if (backup->is_whole)
        return log_begin(backup->log, LOG_INFO, "backup.done");
    if (backup->status != KIST_OK)
        return log_begin(backup->log, LOG_ERROR, "backup.failed");
    return log_begin(backup->log, LOG_WARN, "backup.cut");
}

static void log_end_of(const struct backup_stream *backup)
{
    const struct backup_counts *counts = backup_counts(backup->backup);
    struct log_line line = begin_line(backup);

    log_number(&line, "records", counts->records);
    log_number(&line, "large_values", counts->values);
    log_number(&line, "bytes", backup->bytes);
    log_seconds(&line, "seconds", clock_mono_ns() - backup->began_ns);
    if (backup->status != KIST_OK)
        log_status(&line, "status", backup->status);
    if (backup->status == KIST_CORRUPT)
        log_text(&line, "key", backup_key(backup->backup));
    log_end(&line);
}

static void count_end_of(const struct backup_stream *backup)
{
    struct backup_stats *stats = backup->stats;

    gauge_add(&stats->running, -1);
    if (backup->is_whole) {
        counter_add(&stats->done, 1);
        gauge_set(&stats->last_ms, (int64_t)backup->began_ms);
        gauge_set(&stats->last_size, (int64_t)backup->bytes);
    } else if (backup->status != KIST_OK) {
        counter_add(&stats->failed, 1);
    } else {
        counter_add(&stats->cut, 1);
    }
}

static void free_stream(struct stream *stream)
{
    struct backup_stream *backup = (struct backup_stream *)stream;

    if (backup->backup != NULL) {
        log_end_of(backup);
        backup_close(backup->backup); /* Before it is seen as ended. */
        count_end_of(backup);
    }
    free(backup);
}

/* The settings that tell people where the backup is from, and what it needs. */
static void print_about(const struct settings *settings, struct blob *out)
{
    blob_printf(out, "kist %s\nengine %s\n", version_text(),
                engine_kind_name(settings->engine));
    if (settings->peers.count > 0)
        blob_printf(out, "node-id %s\ncluster-name %s\nreplicas %" PRIu64 "\n",
                    settings->node_id, settings->cluster_name,
                    settings->replicas);
    blob_printf(out,
                "inline-bytes %" PRIu64 "\n"
                "max-json-bytes %" PRIu64 "\n"
                "max-value-bytes %" PRIu64 "\n",
                settings->inline_bytes, settings->max_json_bytes,
                settings->max_value_bytes);
}

static enum kist_status begin(struct request *request,
                              struct backup_stream *backup)
{
    const struct api *api = request->api;
    struct blob about = BLOB_EMPTY;
    enum kist_status status;

    print_about(api->settings, &about);
    backup->began_ms = clock_wall_ms();
    status = about.failed
                 ? KIST_NO_MEMORY
                 : backup_open(api->store, blob_view(&about), &backup->backup);
    blob_free(&about);
    if (status == KIST_OK)
        gauge_add(&backup->stats->running, 1);
    return status;
}

static void refuse(struct request *request, enum kist_status status)
{
    if (status == KIST_BUSY)
        reply_problem(request, PROBLEM_BUSY,
                      "Another backup is being made, and there is one at a "
                      "time. Try again when kist_backup_running is 0.");
    else
        reply_status(request, status, "The backup was not begun");
}

void backup_stream_reply(struct request *request)
{
    struct backup_stream *backup = calloc(1, sizeof(*backup));
    enum kist_status status = KIST_OK;

    if (request->api->redis != NULL) {
        free(backup);
        reply_problem(request, PROBLEM_UNPROCESSABLE,
                      "A backup is what was there at one moment, which Redis "
                      "does not tell. Back up the Redis itself (BGSAVE, or its "
                      "append-only file), or keep what GET /admin/export "
                      "gives: each record with its version, read one after "
                      "the other.");
        return;
    }
    if (backup == NULL) {
        refuse(request, KIST_NO_MEMORY);
        return;
    }
    backup->stream = (struct stream){.fill = fill, .free = free_stream};
    backup->stats = request->api->backups;
    backup->log = request->api->log;
    backup->began_ns = clock_mono_ns();
    if (request->method != METHOD_HEAD)
        status = begin(request, backup);
    if (status != KIST_OK) {
        free_stream(&backup->stream);
        refuse(request, status);
        return;
    }
    reply_header_literal(request, "Cache-Control", "no-store");
    reply_stream(request, 200, "application/zstd", &backup->stream);
}
