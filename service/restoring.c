#include "service/restoring.h"

#include "service/storage_start.h"
#include "storage/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

int restoring_open(const char *path, struct blob *out_text)
{
    int descriptor = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
                                            : open(path, O_RDONLY | O_CLOEXEC);

    if (descriptor < 0)
        blob_printf(out_text, "the backup %s cannot be opened: %s", path,
                    strerror(errno));
    return descriptor;
}

static void say_failed(enum kist_status status,
                       const struct engine_fault *fault, struct blob *out_text)
{
    blob_append_text(out_text, fault->text[0] != '\0'
                                   ? fault->text
                                   : kist_status_name(status));
}

static void say_counts(const char *what, const struct backup_summary *summary,
                       struct blob *out_text)
{
    const struct backup_counts *counts = &summary->counts;

    blob_printf(out_text,
                "%s: %" PRIu64 " records, %" PRIu64
                " of them large values with %" PRIu64 " bytes, from %" PRIu64
                " bytes of backup",
                what, counts->records, counts->values, counts->value_bytes,
                summary->bytes);
}

enum kist_status restoring_run(const struct settings *settings,
                               struct blob *out_text)
{
    struct store_options options = storage_start_options(settings);
    int descriptor = restoring_open(settings->action_file, out_text);
    struct engine_fault fault = {{0}};
    struct backup_summary summary;
    enum kist_status status;

    if (descriptor < 0)
        return KIST_IO;
    status = restore_run(descriptor, &options, &fault, &summary);
    close(descriptor);
    if (status == KIST_OK)
        say_counts("restored", &summary, out_text);
    else
        say_failed(status, &fault, out_text);
    return status;
}

static enum kist_status print_manifest(void *ctx,
                                       const struct backup_manifest *manifest,
                                       struct view text)
{
    struct blob *out = ctx;

    (void)manifest;
    blob_append(out, text);
    return out->failed ? KIST_NO_MEMORY : KIST_OK;
}

enum kist_status restoring_verify(const struct settings *settings,
                                  struct blob *out_text)
{
    struct backup_visitor visitor = {.ctx = out_text,
                                     .manifest = print_manifest};
    int descriptor = restoring_open(settings->action_file, out_text);
    struct engine_fault fault = {{0}};
    struct backup_summary summary;
    enum kist_status status;

    if (descriptor < 0)
        return KIST_IO;
    status = backup_read(descriptor, &visitor, &fault, &summary);
    close(descriptor);
    if (status == KIST_OK) {
        backup_print_tail(&summary.counts, out_text);
        say_counts("whole and undamaged", &summary, out_text);
        return status;
    }
    blob_clear(out_text);
    say_failed(status, &fault, out_text);
    return status;
}
