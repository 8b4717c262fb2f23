#include "service/log.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

uint64_t __real_clock_mono_ns(void);
uint64_t __wrap_clock_mono_ns(void);

/* 0: the real clock. Each Criterion test is a process of its own. */
static atomic_uint_fast64_t fake_mono_ns;

uint64_t __wrap_clock_mono_ns(void)
{
    uint64_t fake = atomic_load(&fake_mono_ns);

    return fake != 0 ? fake : __real_clock_mono_ns();
}

static struct log *log_under_test;
static int reader; /* The other end of what the log writes to. */
static int writer;

static void open_log_on(int ends[2])
{
    reader = ends[0];
    writer = ends[1];
    cr_assert_eq(log_open(writer, LOG_INFO, LOG_ACCESS_OFF, &log_under_test),
                 KIST_OK);
}

static void set_up(void)
{
    int ends[2];

    atomic_store(&fake_mono_ns, 5000000000);
    cr_assert_eq(pipe(ends), 0);
    open_log_on(ends);
}

static void tear_down(void)
{
    log_close(log_under_test);
    close(reader);
    close(writer);
}

TestSuite(log, .init = set_up, .fini = tear_down, .timeout = 10);

/* All that is in the pipe now, terminated. */
static const char *read_lines(void)
{
    static char text[1 << 17];
    struct pollfd ready = {.fd = reader, .events = POLLIN};
    size_t size = 0;

    while (size < sizeof(text) - 1 && poll(&ready, 1, 0) == 1) {
        ssize_t got = read(reader, text + size, sizeof(text) - 1 - size);

        if (got <= 0)
            break;
        size += (size_t)got;
    }
    text[size] = '\0';
    return text;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; (text = strchr(text, '\n')) != NULL; text++)
        lines++;
    return lines;
}

static void write_event(enum log_level level, const char *event)
{
    struct log_line line = log_begin(log_under_test, level, event);

    log_end(&line);
}

Test(log, writes_one_json_object_with_time_level_and_event_first)
{
    struct log_line line = log_begin(log_under_test, LOG_WARN, "engine.slow");
    log_text(&line, "path", VIEW_LITERAL("a\"b\n\x01"));
    log_number(&line, "tables", UINT64_MAX);
    log_truth(&line, "durable", true);
    log_status(&line, "status", KIST_OK);
    log_seconds(&line, "duration", 1002003999);
    log_end(&line);

    const char *text = read_lines();
    cr_assert(view_starts_with(view_of(text), VIEW_LITERAL("{\"time\":\"20")));
    cr_assert_eq(text[19], 'T');
    cr_assert_eq(text[28], '.');
    cr_assert_eq(text[32], 'Z');
    char expected[512];
    snprintf(expected, sizeof(expected),
             "\",\"level\":\"warn\",\"event\":\"engine.slow\","
             "\"path\":\"a\\\"b\\n\\u0001\","
             "\"tables\":18446744073709551615,\"durable\":true,"
             "\"status\":\"%s\",\"duration\":1.002003}\n",
             kist_status_name(KIST_OK));
    cr_assert_str_eq(text + 33, expected);
}

Test(log, leaves_out_what_is_below_its_level_and_can_change_it)
{
    write_event(LOG_DEBUG, "a");
    cr_assert_str_eq(read_lines(), "");
    log_set_level(log_under_test, LOG_DEBUG);
    write_event(LOG_DEBUG, "a");
    cr_assert_eq(count_lines(read_lines()), 1);
    log_set_level(log_under_test, LOG_ERROR);
    write_event(LOG_WARN, "a");
    cr_assert_str_eq(read_lines(), "");
}

Test(log, cuts_a_long_value_at_a_character_and_says_by_how_much)
{
    char value[5001];
    struct log_line line = log_begin(log_under_test, LOG_INFO, "long");

    value[0] = 'x'; /* So that the limit falls inside a character. */
    for (size_t i = 1; i < 5001; i += 2)
        memcpy(value + i, "\xC3\xA4", 2);
    log_text(&line, "key", (struct view){value, sizeof(value)});
    log_end(&line);

    const char *text = read_lines();
    cr_assert_eq(count_lines(text), 1);
    cr_assert_not_null(strstr(text, "\xC3\xA4...(+3002 bytes)\"}\n"));
    cr_assert(view_is_utf8(view_of(text)));
}

Test(log, never_writes_a_line_longer_than_a_pipe_takes_whole)
{
    char control[3000];
    struct log_line line = log_begin(log_under_test, LOG_INFO, "long");

    memset(control, 1, sizeof(control)); /* Six bytes each when escaped. */
    for (int i = 0; i < 20; i++)
        log_text(&line, "key", (struct view){control, sizeof(control)});
    for (int i = 0; i < 500; i++)
        log_number(&line, "n", UINT64_MAX);
    log_end(&line);

    const char *text = read_lines();
    cr_assert_eq(count_lines(text), 1);
    cr_assert_leq(strlen(text), LOG_LINE_MAX);
    cr_assert_gt(strlen(text), LOG_LINE_MAX / 2);
    cr_assert_not_null(strstr(text, ",\"cut\":true}\n"));
}

Test(log, holds_back_an_event_that_repeats_and_counts_it)
{
    struct log_counts counts;

    for (int i = 0; i < 100; i++)
        write_event(LOG_INFO, "storm");
    write_event(LOG_INFO, "other");
    const char *text = read_lines();
    cr_assert_eq(count_lines(text), LOG_BURST + 1);
    cr_assert_null(strstr(text, "suppressed"));

    atomic_fetch_add(&fake_mono_ns, 1000000000);
    write_event(LOG_INFO, "storm");
    write_event(LOG_INFO, "storm");
    text = read_lines();
    cr_assert_eq(count_lines(text), 2);
    const char *said = strstr(text, "\"storm\",\"suppressed\":90}\n");
    cr_assert_not_null(said);
    cr_assert_null(strstr(said + 20, "suppressed"), "said once");

    log_counts(log_under_test, &counts);
    cr_assert_eq(counts.suppressed, 90);
    cr_assert_eq(counts.written[LOG_INFO], LOG_BURST + 3);
    cr_assert_eq(counts.dropped, 0);
}

Test(log, says_at_its_end_what_it_held_back)
{
    for (int i = 0; i < 100; i++)
        write_event(LOG_INFO, "storm");
    read_lines();
    log_close(log_under_test);
    log_under_test = NULL;
    cr_assert_not_null(
        strstr(read_lines(), "\"of\":\"storm\",\"lines\":90}\n"));
}

Test(log, writes_every_access_line_but_only_when_asked)
{
    struct log_line line = log_begin_access(log_under_test);
    log_end(&line);
    cr_assert_str_eq(read_lines(), "");

    log_set_access(log_under_test, LOG_ACCESS_ON);
    log_set_level(log_under_test, LOG_ERROR);
    for (int i = 0; i < 100; i++) {
        line = log_begin_access(log_under_test);
        log_number(&line, "status", 200);
        log_end(&line);
    }
    const char *text = read_lines();
    cr_assert_eq(count_lines(text), 100);
    cr_assert_not_null(strstr(text, "\"event\":\"request\",\"status\":200}\n"));
}

static void expect_no_waiting(void)
{
    struct log_counts counts;

    log_set_access(log_under_test, LOG_ACCESS_ON);
    for (int i = 0; i < 5000; i++) {
        struct log_line line = log_begin_access(log_under_test);

        log_text(&line, "key", VIEW_LITERAL("0123456789012345678901234567"));
        log_end(&line);
    }
    log_counts(log_under_test, &counts);
    cr_assert_gt(counts.dropped, 0);
    cr_assert_gt(counts.written[LOG_INFO], 0);
    cr_assert_eq(counts.dropped + counts.written[LOG_INFO], 5000);
    cr_assert_eq(count_lines(read_lines()), counts.written[LOG_INFO]);
}

Test(log, drops_lines_instead_of_waiting_for_a_reader_of_a_pipe)
{
    expect_no_waiting();
    cr_assert_eq(fcntl(writer, F_GETFL) & O_NONBLOCK, 0,
                 "others share this pipe");
}

Test(log, drops_lines_instead_of_waiting_for_a_reader_of_a_socket)
{
    int ends[2], small = 4096;

    tear_down();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert_eq(
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    open_log_on(ends);
    expect_no_waiting();
}

static void *write_many(void *ctx)
{
    char value[600];

    memset(value, *(const char *)ctx, sizeof(value));
    for (int i = 0; i < 25; i++) {
        struct log_line line = log_begin_access(log_under_test);

        log_text(&line, "v", (struct view){value, sizeof(value)});
        log_end(&line);
    }
    return NULL;
}

Test(log, never_mixes_the_lines_of_threads)
{
    pthread_t threads[4];
    char letters[4] = "abcd";

    cr_assert_geq(fcntl(writer, F_SETPIPE_SZ, 1 << 20), 0);
    log_set_access(log_under_test, LOG_ACCESS_ON);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_many, &letters[i]),
                     0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    char *text = (char *)read_lines();
    size_t lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *value = strstr(line, "\"v\":\"");
        cr_assert_not_null(value);
        value += 5;
        cr_assert_eq(strspn(value, (char[]){value[0], '\0'}), 600);
        cr_assert_str_eq(value + 600, "\"}");
        lines++;
    }
    cr_assert_eq(lines, 100);
}
