/*
 * main - kistd: what the command line asks for, and the exit code.
 */
#include "api/backup_lines.h"
#include "service/file_limit.h"
#include "service/healthcheck.h"
#include "service/log.h"
#include "service/node.h"
#include "service/notify.h"
#include "service/restoring.h"
#include "service/settings.h"
#include "service/settings_page.h"
#include "service/storage_start.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_SETTINGS  78 /* EX_CONFIG: deploy/kistd.service knows it. */
#define HEALTHCHECK_MS 5000

static int print_page(const struct settings *settings)
{
    struct blob page = BLOB_EMPTY;
    bool printed;

    settings_page_print(settings, &page);
    printed = !page.failed &&
              fwrite(page.data, 1, page.size, stdout) == page.size &&
              fflush(stdout) == 0;
    blob_free(&page);
    return printed ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int check_health(const struct settings *settings)
{
    struct blob line = BLOB_EMPTY;
    enum kist_status status =
        healthcheck_run(&settings->listen.addresses[0], HEALTHCHECK_MS, &line);

    printf("%.*s\n", (int)line.size, line.data);
    blob_free(&line);
    return status == KIST_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int refuse(const struct blob *why)
{
    fprintf(stderr, "kistd: %.*s\n", (int)why->size,
            why->size > 0 ? why->data : "");
    return EXIT_SETTINGS;
}

static int serve(const struct settings_input *input, struct settings *settings,
                 struct log *log, const struct notify *notify)
{
    struct node_start start = {input, settings, log, notify};
    struct node *node = NULL;

    enum kist_status status = node_open(&start, &node);
    if (status == KIST_DISK_FULL)
        return STORAGE_START_EXIT_FAILED;
    if (status != KIST_OK)
        return EXIT_FAILURE;
    node_run(node);
    node_close(node);
    return EXIT_SUCCESS;
}

static enum kist_status check_files(const struct settings *settings,
                                    struct blob *why)
{
    uint64_t limit = 0;
    enum kist_status status = file_limit_raise(&limit);

    if (status == KIST_OK)
        status = file_limit_check(settings, limit, why);
    return status;
}

static int prepare_and_serve(const struct settings_input *input,
                             struct settings *settings, struct blob *why)
{
    struct log *log = NULL;
    struct notify notify = {.socket = -1};
    int code;
    enum kist_status status = check_files(settings, why);

    if (status == KIST_OK)
        status = log_open(STDERR_FILENO, settings->log_level,
                          settings->access_log ? LOG_ACCESS_ON : LOG_ACCESS_OFF,
                          &log);
    if (status == KIST_OK)
        status = notify_open(input->envp, &notify);
    code =
        status == KIST_OK ? serve(input, settings, log, &notify) : refuse(why);
    notify_close(&notify);
    log_close(log);
    return code;
}

/* What was done, or why it was not. */
static int tell(enum kist_status status, struct blob *line)
{
    fprintf(status == KIST_OK ? stdout : stderr, "%s%.*s\n",
            status == KIST_OK ? "" : "kistd: ", (int)line->size,
            line->size > 0 ? line->data : "");
    blob_free(line);
    return status == KIST_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_lines(const struct settings *settings)
{
    struct blob why = BLOB_EMPTY;
    struct engine_fault fault = {{0}};
    int backup = restoring_open(settings->action_file, &why);
    enum kist_status status = KIST_IO;

    if (backup >= 0) {
        status = backup_lines_write(backup, STDOUT_FILENO, &fault);
        close(backup);
        blob_append_text(&why, fault.text);
    }
    if (status != KIST_OK)
        return tell(status, &why);
    blob_free(&why);
    return EXIT_SUCCESS;
}

static int act(const struct settings_input *input, struct settings *settings,
               struct blob *why)
{
    struct blob line = BLOB_EMPTY;

    switch (settings->action) {
    case SETTINGS_SERVE:
        return prepare_and_serve(input, settings, why);
    case SETTINGS_HEALTHCHECK:
        return check_health(settings);
    case SETTINGS_LINES:
        return print_lines(settings);
    case SETTINGS_RESTORE:
        return tell(restoring_run(settings, &line), &line);
    case SETTINGS_VERIFY:
        return tell(restoring_verify(settings, &line), &line);
    case SETTINGS_CHECK_CONFIG:
    case SETTINGS_HELP:
    case SETTINGS_VERSION:
    case SETTINGS_PRINT_REFERENCE:
    case SETTINGS_PRINT_EXAMPLE:
        break;
    }
    return print_page(settings);
}

int main(int argc, char *argv[], char *envp[])
{
    struct settings_input input = {argc, argv, envp, NULL, settings_read_file};
    struct settings settings = {0};
    struct blob why = BLOB_EMPTY;
    int code;

    if (settings_parse(&input, &settings, &why) == KIST_OK)
        code = act(&input, &settings, &why);
    else
        code = refuse(&why);
    blob_free(&why);
    return code;
}
