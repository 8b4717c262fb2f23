#include "service/settings_refusal.h"

#include "service/settings_table.h"
#include "service/settings_value.h"

enum { SHOWN_MAX = 100 };

void settings_refusal_quote(struct blob *why, struct view text)
{
    bool is_cut = text.size > SHOWN_MAX;

    if (is_cut)
        text.size = SHOWN_MAX;
    blob_append_json(why, text);
    if (is_cut)
        blob_append_text(why, "...");
}

void settings_refusal_place(struct blob *why, const char *name,
                            struct settings_origin origin, const char *config)
{
    switch (origin.source) {
    case SETTINGS_DEFAULT:
        blob_printf(why, "%s (default)", name);
        break;
    case SETTINGS_FILE:
        blob_printf(why, "%s:%u: %s", config, origin.line, name);
        break;
    case SETTINGS_ENVIRONMENT:
        settings_table_variable(name, why);
        break;
    case SETTINGS_FLAG:
        blob_printf(why, "--%s", name);
        break;
    }
}

void settings_refusal_value(struct blob *why, size_t row,
                            struct settings_origin origin, const char *config,
                            struct view text, const char *problem)
{
    const struct setting *setting = settings_table_row(row);

    settings_refusal_place(why, setting->name, origin, config);
    blob_append_byte(why, ' ');
    settings_refusal_quote(why, text);
    blob_printf(why, " %s; allowed: ", problem);
    settings_value_allowed(setting, why);
    blob_append_text(why, settings_value_manner(setting->type));
}

void settings_refusal_name(struct blob *why, struct view shown,
                           struct view name, struct settings_origin origin,
                           const char *config)
{
    const char *nearest = settings_table_nearest(name, origin.source);

    if (origin.source == SETTINGS_FILE)
        blob_printf(why, "%s:%u: ", config, origin.line);
    settings_refusal_quote(why, shown);
    blob_append_text(why, " is not a setting; ");
    if (nearest == NULL) {
        blob_append_text(why, "kistd --help lists them");
        return;
    }
    blob_append_text(why, "did you mean ");
    if (origin.source == SETTINGS_FILE)
        blob_append_text(why, nearest);
    else
        settings_refusal_place(why, nearest, origin, config);
    blob_append_byte(why, '?');
}
