/*
 * Flags are read first, because they may name the file; they are applied last,
 * because they win. Every value is parsed where it is found, even one that is
 * overridden later: a wrong line in the file is a mistake all the same.
 */
#include "service/settings.h"

#include "service/settings_ini.h"
#include "service/settings_peers.h"
#include "service/settings_redis.h"
#include "service/settings_refusal.h"
#include "service/settings_table.h"
#include "service/settings_value.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

struct parse {
    const struct settings_input *input;
    struct settings settings;
    struct blob *why;

    /* By row: the text that was given, or NULL. */
    const char *flags[SETTINGS_MAX];
    const char *variables[SETTINGS_MAX];
};

static enum kist_status refused(const struct parse *parse)
{
    return parse->why->failed ? KIST_NO_MEMORY : KIST_INVALID;
}

static enum kist_status refuse_value(struct parse *parse, size_t row,
                                     struct settings_origin origin,
                                     struct view text, const char *problem)
{
    settings_refusal_value(parse->why, row, origin, parse->settings.config,
                           text, problem);
    return refused(parse);
}

/* Of the file itself: another spelling would not help. */
static enum kist_status refuse_config(struct parse *parse,
                                      struct settings_origin origin,
                                      struct view path, const char *problem)
{
    settings_refusal_place(parse->why, "config", origin,
                           parse->settings.config);
    blob_append_byte(parse->why, ' ');
    settings_refusal_quote(parse->why, path);
    blob_printf(parse->why, " %s", problem);
    return refused(parse);
}

static enum kist_status refuse_name(struct parse *parse, struct view shown,
                                    struct view name,
                                    struct settings_origin origin)
{
    settings_refusal_name(parse->why, shown, name, origin,
                          parse->settings.config);
    return refused(parse);
}

static enum kist_status apply(struct parse *parse, size_t row,
                              struct settings_origin origin, struct view text)
{
    const struct setting *setting = settings_table_row(row);
    const char *problem;

    if (settings_value_parse(setting, text, &parse->settings, &problem) !=
        KIST_OK)
        return refuse_value(parse, row, origin, text, problem);
    parse->settings.origins[row] = origin;
    return KIST_OK;
}

static void apply_defaults(struct parse *parse)
{
    struct settings_origin origin = {.source = SETTINGS_DEFAULT};

    for (size_t row = 0; row < settings_table_count(); row++) {
        const struct setting *setting = settings_table_row(row);

        if (setting->fallback == NULL)
            continue;
        enum kist_status status =
            apply(parse, row, origin, view_of(setting->fallback));
        assert(status == KIST_OK);
    }
}

static enum kist_status apply_all(struct parse *parse, const char *const *texts,
                                  enum settings_source source)
{
    enum kist_status status = KIST_OK;

    for (size_t row = 0; row < settings_table_count(); row++) {
        if (texts[row] != NULL && status == KIST_OK)
            status = apply(parse, row, (struct settings_origin){source, 0},
                           view_of(texts[row]));
    }
    return status;
}

static const struct setting_mode *find_mode(struct view name)
{
    const struct setting_mode *mode;

    for (size_t i = 0; (mode = settings_table_mode(i)) != NULL; i++)
        if (view_is(name, mode->name))
            break;
    return mode;
}

/*
 * The argument after argv[at], if it can be a value: no value begins with two
 * dashes. A switch needs none, and a single dash is no word for on or off.
 */
static const char *value_after(const struct settings_input *input, int at,
                               enum setting_type type)
{
    const char *dashes = type == SETTING_SWITCH ? "-" : "--";

    if (at + 1 == input->argc ||
        strncmp(input->argv[at + 1], dashes, strlen(dashes)) == 0)
        return NULL;
    return input->argv[at + 1];
}

/* A value for the flag of row: after its "=", or the next argument. */
static enum kist_status take_flag(struct parse *parse, size_t row,
                                  const char *equals, int *at)
{
    const struct setting *setting = settings_table_row(row);
    const char *next = value_after(parse->input, *at, setting->type);

    if (parse->flags[row] != NULL) {
        blob_printf(parse->why, "--%s is given twice%s", setting->name,
                    setting->type == SETTING_ADDRESSES
                        ? "; separate addresses by commas"
                        : "");
        return refused(parse);
    }
    if (equals != NULL) {
        parse->flags[row] = equals + 1;
    } else if (next != NULL) {
        parse->flags[row] = next;
        ++*at;
    } else if (setting->type == SETTING_SWITCH) {
        parse->flags[row] = "true";
    } else {
        blob_printf(parse->why, "--%s needs a value", setting->name);
        return refused(parse);
    }
    return KIST_OK;
}

/* The first mode is the one; all must be right. */
static enum kist_status take_mode(struct parse *parse,
                                  const struct setting_mode *mode,
                                  const char *equals, int *at)
{
    const char *text = equals != NULL ? equals + 1 : NULL;

    if (mode->argument == NULL && equals != NULL) {
        blob_printf(parse->why, "--%s takes no value", mode->name);
        return refused(parse);
    }
    if (mode->argument != NULL && equals == NULL) {
        text = value_after(parse->input, *at, SETTING_PATH);
        *at += text != NULL;
    }
    if (mode->argument != NULL &&
        (text == NULL || text[0] == '\0' ||
         strlen(text) >= sizeof(parse->settings.action_file))) {
        blob_printf(parse->why, "--%s needs the name of a file", mode->name);
        return refused(parse);
    }
    if (parse->settings.action != SETTINGS_SERVE)
        return KIST_OK;
    parse->settings.action = mode->action;
    if (text != NULL)
        strcpy(parse->settings.action_file, text);
    return KIST_OK;
}

/* argv[*at], and the argument after it where that is its value. */
static enum kist_status read_flag(struct parse *parse, int *at)
{
    struct settings_origin origin = {.source = SETTINGS_FLAG};
    const char *text = parse->input->argv[*at];
    const struct setting_mode *mode;
    size_t row;

    if (strcmp(text, "-h") == 0)
        text = "--help";
    if (strncmp(text, "--", 2) != 0) {
        settings_refusal_quote(parse->why, view_of(text));
        blob_append_text(parse->why, " is not a flag; kistd --help lists them");
        return refused(parse);
    }

    const char *equals = strchr(text, '=');
    struct view name = view_of(text + 2);
    if (equals != NULL)
        name.size = (size_t)(equals - name.data);
    if (settings_table_find(name, &row))
        return take_flag(parse, row, equals, at);
    mode = find_mode(name);
    if (mode == NULL)
        return refuse_name(parse, (struct view){text, name.size + 2}, name,
                           origin);
    return take_mode(parse, mode, equals, at);
}

static enum kist_status read_flags(struct parse *parse)
{
    enum kist_status status = KIST_OK;

    for (int at = 1; at < parse->input->argc && status == KIST_OK; at++)
        status = read_flag(parse, &at);
    return status;
}

static bool ends_with(struct view text, const char *end)
{
    size_t size = strlen(end);

    return text.size >= size && view_is(view_from(text, text.size - size), end);
}

/*
 * Kubernetes puts the addresses of all services into every container, and a
 * service named "kist" gives KIST_SERVICE_HOST, KIST_SERVICE_PORT_HTTP,
 * KIST_PORT=tcp://..., KIST_PORT_7700_TCP_ADDR and so on.
 */
static bool is_service_link(struct view name, struct view value)
{
    static const char *const inside[] = {"_SERVICE_PORT_", "_TCP_", "_UDP_",
                                         "_SCTP_"};

    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
        if (memmem(name.data, name.size, inside[i], strlen(inside[i])))
            return true;
    return ends_with(name, "_SERVICE_HOST") ||
           ends_with(name, "_SERVICE_PORT") ||
           memmem(value.data, value.size, "://", 3) != NULL;
}

static enum kist_status read_variable(struct parse *parse, const char *text)
{
    const char *equals = strchr(text, '=');
    struct settings_origin origin = {.source = SETTINGS_ENVIRONMENT};
    struct blob name = BLOB_EMPTY;
    enum kist_status status = KIST_OK;
    size_t row;

    if (equals == NULL || strncmp(text, "KIST_", 5) != 0)
        return KIST_OK;

    struct view variable = {text, (size_t)(equals - text)};
    settings_table_name(variable, &name);
    if (name.failed)
        status = KIST_NO_MEMORY;
    else if (settings_table_find(blob_view(&name), &row))
        /* Compose files pass what is unset as empty. */
        parse->variables[row] = equals[1] == '\0' ? NULL : equals + 1;
    else if (!is_service_link(variable, view_of(equals + 1)))
        status = refuse_name(parse, variable, blob_view(&name), origin);
    blob_free(&name);
    return status;
}

static enum kist_status read_environment(struct parse *parse)
{
    enum kist_status status = KIST_OK;

    for (size_t i = 0; parse->input->envp[i] != NULL && status == KIST_OK; i++)
        status = read_variable(parse, parse->input->envp[i]);
    return status;
}

/* The hook of settings_ini_read(). */
static enum kist_status take_line(void *ctx, struct view name,
                                  struct view value, unsigned line)
{
    struct parse *parse = ctx;
    struct settings_origin origin = {.source = SETTINGS_FILE, .line = line};
    size_t row;

    if (!settings_table_find(name, &row))
        return refuse_name(parse, name, name, origin);
    if (row == settings_table_row_at(offsetof(struct settings, config)))
        return refuse_config(parse, origin, value,
                             "cannot be named inside a file");
    if (parse->settings.origins[row].source == SETTINGS_FILE) {
        settings_refusal_place(parse->why, settings_table_row(row)->name,
                               origin, parse->settings.config);
        blob_printf(parse->why, " is given twice, first in line %u",
                    parse->settings.origins[row].line);
        return refused(parse);
    }
    return apply(parse, row, origin, value);
}

static const char *file_problem(enum kist_status status)
{
    if (status == KIST_NOT_FOUND)
        return "does not exist";
    if (status == KIST_TOO_LARGE)
        return "is larger than 1MiB";
    return "cannot be read";
}

static enum kist_status read_lines(struct parse *parse, struct view text)
{
    struct settings_ini_hooks hooks = {.ctx = parse, .entry = take_line};
    const char *problem;
    unsigned line;

    enum kist_status status = settings_ini_read(text, &hooks, &line, &problem);
    if (problem != NULL) {
        blob_printf(parse->why, "%s:%u: the line %s", parse->settings.config,
                    line, problem);
        return refused(parse);
    }
    return status;
}

static enum kist_status read_config(struct parse *parse)
{
    const struct settings_input *input = parse->input;
    size_t row = settings_table_row_at(offsetof(struct settings, config));
    bool is_flag = parse->flags[row] != NULL;
    const char *path = is_flag ? parse->flags[row] : parse->variables[row];
    struct settings_origin origin = {.source = is_flag ? SETTINGS_FLAG
                                                       : SETTINGS_ENVIRONMENT};
    struct blob text = BLOB_EMPTY;

    if (path == NULL)
        return KIST_OK;
    enum kist_status status = apply(parse, row, origin, view_of(path));
    if (status != KIST_OK)
        return status;

    status = input->read_file(input->ctx, path, &text);
    if (status == KIST_OK)
        status =
            text.failed ? KIST_NO_MEMORY : read_lines(parse, blob_view(&text));
    else if (status != KIST_NO_MEMORY)
        status =
            refuse_config(parse, origin, view_of(path), file_problem(status));
    blob_free(&text);
    return status;
}

static void append_setting(struct parse *parse, size_t row)
{
    const struct setting *setting = settings_table_row(row);

    settings_refusal_place(parse->why, setting->name,
                           parse->settings.origins[row],
                           parse->settings.config);
    blob_append_byte(parse->why, ' ');
    settings_value_print(setting, &parse->settings, parse->why);
}

static enum kist_status check_pairs(struct parse *parse)
{
    const struct setting_pair *pair;

    for (size_t i = 0; (pair = settings_table_pair(i)) != NULL; i++) {
        size_t small_row = settings_table_row_at(pair->smaller);
        size_t large_row = settings_table_row_at(pair->larger);
        uint64_t smaller = settings_value_number(settings_table_row(small_row),
                                                 &parse->settings);
        uint64_t larger = settings_value_number(settings_table_row(large_row),
                                                &parse->settings);

        if (smaller <= larger || larger == 0)
            continue;
        append_setting(parse, small_row);
        blob_append_text(parse->why, " is above ");
        append_setting(parse, large_row);
        blob_printf(parse->why, ": %s; lower the first or raise the second",
                    pair->reason);
        return refused(parse);
    }
    return KIST_OK;
}

static enum kist_status gather(struct parse *parse)
{
    enum kist_status status = read_flags(parse);

    if (status != KIST_OK || parse->settings.action >= SETTINGS_HELP)
        return status;
    status = read_environment(parse);
    if (status == KIST_OK)
        status = read_config(parse);
    if (status == KIST_OK)
        status = apply_all(parse, parse->variables, SETTINGS_ENVIRONMENT);
    if (status == KIST_OK)
        status = apply_all(parse, parse->flags, SETTINGS_FLAG);
    if (status == KIST_OK)
        settings_redis_adjust(&parse->settings);
    if (status == KIST_OK)
        status = check_pairs(parse);
    if (status == KIST_OK &&
        (!settings_peers_fit(&parse->settings, parse->why) ||
         !settings_redis_fit(&parse->settings, parse->why)))
        status = refused(parse);
    return status;
}

enum kist_status settings_parse(const struct settings_input *input,
                                struct settings *out_settings,
                                struct blob *out_why)
{
    struct parse parse = {.input = input, .why = out_why};

    apply_defaults(&parse);
    enum kist_status status = gather(&parse);
    if (status == KIST_OK)
        *out_settings = parse.settings;
    if (status == KIST_NO_MEMORY)
        blob_clear(out_why);
    return status;
}

static enum kist_status read_all(int file, struct blob *out_text)
{
    char part[4096];

    for (;;) {
        ssize_t got = read(file, part, sizeof(part));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? KIST_IO : KIST_OK;
        if (out_text->size + (size_t)got > FILE_MAX)
            return KIST_TOO_LARGE;
        blob_append(out_text, (struct view){part, (size_t)got});
    }
}

enum kist_status settings_read_file(void *ctx, const char *path,
                                    struct blob *out_text)
{
    (void)ctx;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file < 0)
        return errno == ENOENT || errno == ENOTDIR ? KIST_NOT_FOUND : KIST_IO;
    enum kist_status status = read_all(file, out_text);
    close(file);
    if (status == KIST_OK && out_text->failed)
        status = KIST_NO_MEMORY;
    return status;
}

/* One row of settings_reload(): told to the hook, taken over if it may be. */
static enum kist_status reload_row(size_t row, const struct settings *fresh,
                                   struct settings *settings,
                                   const struct settings_hooks *hooks)
{
    const struct setting *setting = settings_table_row(row);
    bool applies = setting->change == SETTING_AT_RELOAD;
    struct blob from = BLOB_EMPTY, to = BLOB_EMPTY;
    enum kist_status status = KIST_OK;
    const char *problem;

    settings_value_print(setting, settings, &from);
    settings_value_print(setting, fresh, &to);
    if (from.failed || to.failed) {
        status = KIST_NO_MEMORY;
    } else if (!view_equal(blob_view(&from), blob_view(&to))) {
        /* What was printed can be parsed: that is how it is copied. */
        if (applies)
            status = settings_value_parse(setting, blob_view(&to), settings,
                                          &problem);
        assert(status == KIST_OK);
        hooks->changed(hooks->ctx, setting->name, blob_view(&from),
                       blob_view(&to),
                       applies ? SETTINGS_APPLIED : SETTINGS_NEEDS_RESTART);
    }
    if (status == KIST_OK && applies)
        settings->origins[row] = fresh->origins[row];
    blob_free(&from);
    blob_free(&to);
    return status;
}

enum kist_status settings_reload(const struct settings_input *input,
                                 struct settings *settings,
                                 const struct settings_hooks *hooks,
                                 struct blob *out_why)
{
    struct settings fresh;
    enum kist_status status = settings_parse(input, &fresh, out_why);

    for (size_t row = 0; row < settings_table_count() && status == KIST_OK;
         row++)
        status = reload_row(row, &fresh, settings, hooks);
    return status;
}

bool settings_are_of_cluster(const struct settings *settings)
{
    return settings->peers.count > 0 || settings->join.count > 0;
}
