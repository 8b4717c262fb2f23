#include "service/reload.h"

static void setting_changed(void *ctx, const char *name, struct view from,
                            struct view to, enum settings_effect effect)
{
    struct log_line line = log_begin(
        ctx, LOG_INFO,
        effect == SETTINGS_APPLIED ? "setting.changed" : "setting.pending");

    log_text(&line, "setting", view_of(name));
    log_text(&line, "from", from);
    log_text(&line, "to", to);
    if (effect == SETTINGS_NEEDS_RESTART)
        log_text(&line, "why", VIEW_LITERAL("it takes a restart"));
    log_end(&line);
}

static void log_refusal(struct log *log, struct view why)
{
    struct log_line line = log_begin(log, LOG_ERROR, "reload.refused");

    log_text(&line, "why", why);
    log_end(&line);
}

void reload_settings(const struct settings_input *input,
                     struct settings *settings, struct log *log,
                     const struct notify *notify)
{
    struct settings_hooks hooks = {log, setting_changed};
    struct blob why = BLOB_EMPTY;

    notify_tell(notify, NOTIFY_RELOADING, log);
    if (settings_reload(input, settings, &hooks, &why) == KIST_OK) {
        log_set_level(log, settings->log_level);
        log_set_access(log,
                       settings->access_log ? LOG_ACCESS_ON : LOG_ACCESS_OFF);
        log_why(log, LOG_INFO, "reloaded", "SIGHUP");
    } else {
        log_refusal(log, blob_view(&why));
    }
    blob_free(&why);
    notify_tell(notify, NOTIFY_READY, log);
}
