#include "service/settings_page.h"

#include "service/settings_refusal.h"
#include "service/settings_table.h"
#include "service/settings_value.h"
#include "service/version.h"

#include <string.h>

enum { PAGE_WIDTH = 79 };

/* Words of text in lines of PAGE_WIDTH, each after prefix. */
static void wrap(struct blob *page, const char *prefix, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (column > 0 && column + 1 + word > PAGE_WIDTH) {
            blob_append_byte(page, '\n');
            column = 0;
        }
        blob_append_text(page, column == 0 ? prefix : " ");
        column += column == 0 ? strlen(prefix) : 1;
        blob_append(page, (struct view){text, word});
        column += word;
        text += word + strspn(text + word, " ");
    }
    blob_append_byte(page, '\n');
}

/* wrap() of text that is put together first; takes text. */
static void wrap_blob(struct blob *page, const char *prefix, struct blob *text)
{
    blob_append_byte(text, '\0');
    if (text->failed)
        page->failed = true;
    else
        wrap(page, prefix, text->data);
    blob_free(text);
}

static const char *fallback_of(const struct setting *setting)
{
    return setting->fallback == NULL ? "none" : setting->fallback;
}

static const char *placeholder(enum setting_type type)
{
    switch (type) {
    case SETTING_BYTES:
        return " SIZE";
    case SETTING_DURATION:
        return " TIME";
    case SETTING_COUNT:
        return " NUMBER";
    case SETTING_SWITCH:
        break;
    case SETTING_CHOICE:
        return " WORD";
    case SETTING_PATH:
        return " PATH";
    case SETTING_ADDRESSES:
        return " ADDRESS,...";
    case SETTING_NAME:
        return " NAME";
    case SETTING_PEERS:
        return " NAME=ADDRESS,...";
    case SETTING_HOSTS:
    case SETTING_NODES:
        return " ADDRESS,...";
    }
    return "";
}

static void help_setting(struct blob *page, const struct setting *setting)
{
    struct blob limits = BLOB_EMPTY;

    blob_printf(page, "\n  --%s%s\n", setting->name,
                placeholder(setting->type));
    wrap(page, "      ", setting->description);
    blob_printf(&limits, "Default %s; allowed: ", fallback_of(setting));
    settings_value_allowed(setting, &limits);
    blob_printf(&limits, ".%s",
                setting->change == SETTING_AT_RELOAD ? " SIGHUP reloads it."
                                                     : "");
    wrap_blob(page, "      ", &limits);
}

static void help(struct blob *page)
{
    const struct setting_group *group;
    const struct setting_mode *mode;
    size_t row = 0;

    blob_append_text(page, "Usage: kistd [--SETTING VALUE]... [MODE]\n\n");
    wrap(page, "",
         "kistd keeps JSON values behind plain HTTP. Every setting is a flag "
         "(--max-json-bytes 1MiB), an environment variable "
         "(KIST_MAX_JSON_BYTES=1MiB) or a line of the configuration file "
         "(max-json-bytes = 1MiB). A flag wins over a variable, a variable "
         "over the file.");

    blob_append_text(page, "\nModes:\n");
    for (size_t i = 0; (mode = settings_table_mode(i)) != NULL; i++) {
        blob_printf(page, "\n  --%s%s%s\n", mode->name,
                    mode->argument == NULL ? "" : " ",
                    mode->argument == NULL ? "" : mode->argument);
        wrap(page, "      ", mode->description);
    }
    for (size_t i = 0; (group = settings_table_group(i)) != NULL; i++) {
        blob_printf(page, "\n%s:\n", group->title);
        for (size_t end = row + group->count; row < end; row++)
            help_setting(page, settings_table_row(row));
    }
}

static void append_source(struct blob *page, const struct settings *settings,
                          size_t row)
{
    struct settings_origin origin = settings->origins[row];

    if (origin.source == SETTINGS_DEFAULT) {
        blob_append_text(page, "default");
        return;
    }
    blob_append_text(page, "from ");
    settings_refusal_place(page, settings_table_row(row)->name, origin,
                           settings->config);
}

/*
 * In the form of a configuration file, so it can become one; the file itself
 * and where it came from is a comment, since a file cannot name another.
 */
static void check_config(struct blob *page, const struct settings *settings)
{
    size_t config = settings_table_row_at(offsetof(struct settings, config));

    for (size_t row = 0; row < settings_table_count(); row++) {
        const struct setting *setting = settings_table_row(row);
        struct blob value = BLOB_EMPTY;

        settings_value_print(setting, settings, &value);
        if (row == config && value.size == 0)
            blob_append_text(&value, "none");
        blob_printf(page, "%s%s = %.*s ; ", row == config ? "; " : "",
                    setting->name, (int)value.size,
                    value.data == NULL ? "" : value.data);
        page->failed = page->failed || value.failed;
        blob_free(&value);
        append_source(page, settings, row);
        blob_append_byte(page, '\n');
    }
}

static void reference_setting(struct blob *page, const struct setting *setting)
{
    struct blob line = BLOB_EMPTY;

    blob_printf(page, "\n### %s\n\n", setting->name);
    wrap(page, "", setting->description);
    blob_printf(&line, "- Flag `--%s`, variable `", setting->name);
    settings_table_variable(setting->name, &line);
    blob_append_byte(&line, '`');
    blob_append_byte(page, '\n');
    wrap_blob(page, "", &line);

    line = BLOB_EMPTY;
    blob_printf(&line, "- Default: %s; allowed: ", fallback_of(setting));
    settings_value_allowed(setting, &line);
    wrap_blob(page, "", &line);
    blob_append_text(page, setting->change == SETTING_AT_RELOAD
                               ? "- Changes at SIGHUP\n"
                               : "- Changes at the next start\n");
}

static void reference_rules(struct blob *page)
{
    const struct setting_pair *pair;

    blob_append_text(page, "\n## Rules between settings\n\n");
    for (size_t i = 0; (pair = settings_table_pair(i)) != NULL; i++) {
        size_t smaller = settings_table_row_at(pair->smaller);
        size_t larger = settings_table_row_at(pair->larger);

        blob_printf(page, "- `%s` is at most `%s`:\n  %s.\n",
                    settings_table_row(smaller)->name,
                    settings_table_row(larger)->name, pair->reason);
    }
}

static void reference(struct blob *page)
{
    const struct setting_group *group;
    size_t row = 0;

    blob_append_text(page, "# Configuration\n\n"
                           "<!-- Made by `kistd --print-reference`. Edit "
                           "service/settings_table.c. -->\n\n");
    wrap(page, "",
         "Every setting is a flag (`--max-json-bytes 1MiB` or "
         "`--max-json-bytes=1MiB`), an environment variable "
         "(`KIST_MAX_JSON_BYTES=1MiB`) or a line of the configuration file "
         "(`max-json-bytes = 1MiB`) that `--config` or `KIST_CONFIG` names. A "
         "flag wins over a variable, a variable over the file, the file over "
         "the default. An empty variable counts as unset.");
    blob_append_byte(page, '\n');
    wrap(page, "",
         "Sizes are bytes, or a number with KiB, MiB, GiB or TiB. Times are a "
         "number with ms, s, m, h, d or y (365 days); only 0 needs no unit. "
         "What is unknown, given twice or not allowed stops the start with "
         "one line that names it. `kistd --check-config` prints every setting "
         "and where it came from, and starts nothing. At SIGHUP all three "
         "sources are read again.");
    for (size_t i = 0; (group = settings_table_group(i)) != NULL; i++) {
        blob_printf(page, "\n## %s\n", group->title);
        for (size_t end = row + group->count; row < end; row++)
            reference_setting(page, settings_table_row(row));
    }
    reference_rules(page);
}

static void example_setting(struct blob *page, const struct setting *setting)
{
    if (setting->offset == offsetof(struct settings, config))
        return;
    blob_append_byte(page, '\n');
    wrap(page, "# ", setting->description);
    blob_printf(page, ";%s = %s\n", setting->name, fallback_of(setting));
}

static void example(struct blob *page)
{
    const struct setting_group *group;
    size_t row = 0;

    wrap(page, "# ",
         "kistd --config kist.ini reads this. Every line that is commented "
         "out by a semicolon shows a default. docs/configuration.md says what "
         "is allowed.");
    for (size_t i = 0; (group = settings_table_group(i)) != NULL; i++) {
        blob_printf(page, "\n# ---- %s\n", group->title);
        for (size_t end = row + group->count; row < end; row++)
            example_setting(page, settings_table_row(row));
    }
}

void settings_page_print(const struct settings *settings, struct blob *out_page)
{
    switch (settings->action) {
    case SETTINGS_SERVE:
    case SETTINGS_HEALTHCHECK:
    case SETTINGS_RESTORE:
    case SETTINGS_VERIFY:
    case SETTINGS_LINES:
        break;
    case SETTINGS_CHECK_CONFIG:
        check_config(out_page, settings);
        break;
    case SETTINGS_HELP:
        help(out_page);
        break;
    case SETTINGS_VERSION:
        blob_printf(out_page, "kistd %s\n", version_text());
        break;
    case SETTINGS_PRINT_REFERENCE:
        reference(out_page);
        break;
    case SETTINGS_PRINT_EXAMPLE:
        example(out_page);
        break;
    }
}
