/*
 * Each number of the settings at the ends of its range, in a real kistd: what
 * the table lets through, no part of the process may abort on.
 */
#include "service/settings_table.h"
#include "tests/support/http.h"
#include "tests/support/kistd.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { FLAGS_MAX = 12 };

enum extreme { MINIMUM, MAXIMUM, ZERO };

struct line {
    char text[FLAGS_MAX][96];
    const char *flags[FLAGS_MAX + 1];
    size_t count;
};

static struct kistd kistd;

static void set_up(void)
{
    kistd_prepare(&kistd, NULL);
}

static void tear_down(void)
{
    kistd_remove(&kistd);
}

TestSuite(extremes, .init = set_up, .fini = tear_down, .timeout = 300);

static bool is_number(const struct setting *row)
{
    return row->type == SETTING_BYTES || row->type == SETTING_DURATION ||
           row->type == SETTING_COUNT;
}

static uint64_t number_of(const struct setting *row, enum extreme extreme)
{
    switch (extreme) {
    case MINIMUM:
        return row->minimum;
    case MAXIMUM:
        return row->maximum;
    case ZERO:
        break;
    }
    return 0;
}

/*
 * The row at its extreme; before it, whoever must not be above or below it
 * goes the same way, as far as it can.
 */
static void add_flags(struct line *line, const struct setting *row,
                      enum extreme extreme)
{
    const struct setting_pair *pair;

    for (size_t i = 0; (pair = settings_table_pair(i)) != NULL; i++) {
        if (extreme == MINIMUM && pair->larger == row->offset)
            add_flags(line,
                      settings_table_row(settings_table_row_at(pair->smaller)),
                      extreme);
        if (extreme == MAXIMUM && pair->smaller == row->offset)
            add_flags(line,
                      settings_table_row(settings_table_row_at(pair->larger)),
                      extreme);
    }
    cr_assert(lt(sz, line->count, FLAGS_MAX));
    snprintf(line->text[line->count], sizeof line->text[0],
             "--%s=%" PRIu64 "%s", row->name, number_of(row, extreme),
             row->type == SETTING_DURATION ? "ms" : "");
    line->flags[line->count] = line->text[line->count];
    line->count++;
}

/* More files or a larger disk than this machine has: no start, but an exit. */
static bool may_be_refused(const struct setting *row)
{
    return strcmp(row->name, "max-connections") == 0 ||
           strcmp(row->name, "max-open-files") == 0 ||
           strcmp(row->name, "disk-reserve-bytes") == 0;
}

/* Disk and memory belong to the other tests, too. */
static bool is_too_much(const struct setting *row, enum extreme extreme)
{
    return extreme == MAXIMUM && (strcmp(row->name, "ballast-bytes") == 0 ||
                                  strcmp(row->name, "cache-bytes") == 0);
}

/* 201, 204, 507 with the largest reserve: anything that is an answer. */
static void expect_answers(const char *flag)
{
    struct http http;
    struct http_answer answer = {0};

    http_open(&http, kistd.port);
    http_ask(&http, "PUT /kv/a", "", view_of("1"), &answer);
    cr_expect(ge(uint, answer.status, 201), "%s", flag);
    http_close(&http);
    http_open(&http, kistd.port);
    http_ask(&http, "GET /kv", "", (struct view){NULL, 0}, &answer);
    cr_expect(ge(uint, answer.status, 200), "%s", flag);
    http_close(&http);
    http_answer_free(&answer);
}

static void start_at(const struct setting *row, enum extreme extreme)
{
    struct line line = {.count = 0};
    int status = 0;

    add_flags(&line, row, extreme);
    const char *flag = line.flags[line.count - 1];
    if (kistd_try_start(&kistd, line.flags, &status)) {
        expect_answers(flag);
        cr_expect(eq(int, kistd_stop(&kistd), 0), "%s", flag);
        return;
    }
    cr_expect(extreme == MAXIMUM && may_be_refused(row) && WIFEXITED(status),
              "%s: no start, status 0x%x", flag, (unsigned)status);
}

static void start_at_all(enum extreme extreme)
{
    size_t started = 0;

    for (size_t i = 0; i < settings_table_count(); i++) {
        const struct setting *row = settings_table_row(i);

        if (!is_number(row) || is_too_much(row, extreme) ||
            (extreme == ZERO && row->zero == NULL))
            continue;
        start_at(row, extreme);
        started++;
    }
    cr_expect(gt(sz, started, 0));
}

Test(extremes, kistd_runs_with_each_number_at_its_minimum)
{
    start_at_all(MINIMUM);
}

Test(extremes, kistd_runs_with_each_number_at_its_maximum)
{
    start_at_all(MAXIMUM);
}

Test(extremes, kistd_runs_with_each_number_that_may_be_zero_at_zero)
{
    start_at_all(ZERO);
}
