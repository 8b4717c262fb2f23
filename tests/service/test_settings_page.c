/*
 * The pages made from the table: the committed ones must be those that this
 * tree makes, so description and behaviour cannot drift apart.
 */
#include "service/settings_page.h"

#include "service/settings_table.h"
#include "service/settings_value.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

static enum kist_status read_page(void *ctx, const char *path,
                                  struct blob *out_text)
{
    (void)path;
    blob_append(out_text, blob_view(ctx));
    return KIST_OK;
}

/* kistd with one argument; page, if not NULL, is what its --config names. */
static void parse(char *flag, struct blob *page, struct settings *out_settings)
{
    char *argv[] = {"kistd", flag, "--config=page.ini", NULL};
    char *envp[] = {NULL};
    struct settings_input input = {
        .argc = page == NULL ? 2 : 3,
        .argv = argv,
        .envp = envp,
        .ctx = page,
        .read_file = read_page,
    };
    struct blob why = BLOB_EMPTY;

    enum kist_status status = settings_parse(&input, out_settings, &why);
    blob_append_byte(&why, '\0');
    cr_assert_eq(status, KIST_OK, "%s", why.data);
    blob_free(&why);
}

static void print(char *flag, struct blob *out_page)
{
    struct settings settings;

    parse(flag, NULL, &settings);
    settings_page_print(&settings, out_page);
    cr_assert_not(out_page->failed);
}

static void expect_committed(char *flag, const char *path)
{
    struct blob made = BLOB_EMPTY, committed = BLOB_EMPTY;

    print(flag, &made);
    cr_assert_eq(settings_read_file(NULL, path, &committed), KIST_OK);
    cr_assert(view_equal(blob_view(&made), blob_view(&committed)),
              "%s is old: kistd %s >%s", path, flag, path);
    blob_free(&made);
    blob_free(&committed);
}

Test(settings_page, of_the_reference_is_the_committed_one)
{
    expect_committed("--print-reference", SOURCE_ROOT "/docs/configuration.md");
}

Test(settings_page, of_the_example_is_the_committed_one)
{
    expect_committed("--print-example", SOURCE_ROOT "/deploy/kist.ini.example");
}

Test(settings_page, of_help_names_every_setting_within_80_columns)
{
    struct blob page = BLOB_EMPTY;
    size_t column = 0;

    print("--help", &page);
    for (size_t i = 0; i < page.size; i++) {
        column = page.data[i] == '\n' ? 0 : column + 1;
        cr_assert_lt(column, 80);
    }

    blob_append_byte(&page, '\0');
    for (size_t row = 0; row < settings_table_count(); row++) {
        char flag[64];

        snprintf(flag, sizeof(flag), "\n  --%s", settings_table_row(row)->name);
        cr_assert_not_null(strstr(page.data, flag), "%s", flag);
    }
    blob_free(&page);
}

Test(settings_page, of_version_is_one_line)
{
    struct blob page = BLOB_EMPTY;

    print("--version", &page);
    cr_assert(view_starts_with(blob_view(&page), VIEW_LITERAL("kistd ")));
    cr_assert_eq(memchr(page.data, '\n', page.size), page.data + page.size - 1);
    blob_free(&page);
}

Test(settings_page, of_check_config_is_a_configuration_file_again)
{
    struct settings settings, again;
    struct blob file = BLOB_EMPTY, page = BLOB_EMPTY;

    blob_append_text(&file, "loops = 3\nlisten = :1,[::1]:2\nttl-max = 90m\n");
    parse("--check-config", &file, &settings);
    settings_page_print(&settings, &page);
    blob_append_byte(&page, '\0');
    cr_assert_not_null(
        strstr(page.data, "\nloops = 3 ; from page.ini:1: loops\n"));
    cr_assert_not_null(strstr(page.data, "\nttl-max = 90m ; from page.ini:3"));
    cr_assert_not_null(strstr(page.data, "\npage-limit = 1000 ; default\n"));

    page.size--;
    parse("--check-config", &page, &again);
    cr_assert_eq(again.loops, 3);
    cr_assert_eq(again.listen.count, 2);
    cr_assert_eq(again.ttl_max_ms, 90 * 60 * 1000);
    blob_free(&file);
    blob_free(&page);
}

Test(settings_page, of_the_example_with_its_defaults_switched_on_is_valid)
{
    struct settings settings;
    struct blob page = BLOB_EMPTY;

    print("--print-example", &page);
    for (size_t i = 1; i < page.size; i++)
        if (page.data[i] == ';' && page.data[i - 1] == '\n')
            page.data[i] = '\n';
    parse("--check-config", &page, &settings);

    size_t from_file = 0;
    for (size_t row = 0; row < settings_table_count(); row++)
        from_file += settings.origins[row].source == SETTINGS_FILE;
    cr_assert_eq(from_file, settings_table_count() - 1);
    blob_free(&page);
}

Test(settings_table, has_every_row_in_a_group)
{
    const struct setting_group *group;
    size_t rows = 0;

    for (size_t i = 0; (group = settings_table_group(i)) != NULL; i++)
        rows += group->count;
    cr_assert_eq(rows, settings_table_count());
}

Test(settings_table, has_choices_in_the_order_of_their_enums)
{
    static const struct {
        const char *name;
        const char *word;
        unsigned value;
    } cases[] = {
        {"durability", "async", ENGINE_ASYNC},
        {"durability", "sync", ENGINE_SYNC},
        {"engine", "leveldb", ENGINE_LEVELDB},
        {"engine", "rocksdb", ENGINE_ROCKSDB},
        {"engine", "redis", ENGINE_REDIS},
        {"log-level", "debug", LOG_DEBUG},
        {"log-level", "info", LOG_INFO},
        {"log-level", "warn", LOG_WARN},
        {"log-level", "error", LOG_ERROR},
    };
    size_t row;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert(settings_table_find(view_of(cases[i].name), &row));
        cr_assert_str_eq(settings_table_row(row)->choices[cases[i].value],
                         cases[i].word);
    }
}

Test(settings_table, has_defaults_that_print_within_their_limits)
{
    struct settings settings;
    struct settings copy;
    const char *problem;

    parse("--check-config", NULL, &settings);
    copy = settings;
    for (size_t row = 0; row < settings_table_count(); row++) {
        const struct setting *setting = settings_table_row(row);
        struct blob text = BLOB_EMPTY;

        settings_value_print(setting, &settings, &text);
        if (text.size > 0)
            cr_assert_eq(settings_value_parse(setting, blob_view(&text), &copy,
                                              &problem),
                         KIST_OK, "%s", setting->name);
        blob_free(&text);
    }
}
