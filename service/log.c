/*
 * A line is built in a blob of its own and leaves in one write, so threads
 * share only the level and the table of repetitions.
 *
 * stderr must neither block us nor be made non-blocking for everybody who has
 * it (a shell, a supervisor). A pipe or terminal is therefore opened anew
 * through /proc, which gives our own descriptor with our own flags; a socket
 * (journald) takes the flag per message; a file never blocks on a reader.
 */
#include "service/log.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(LOG_LINE_MAX <= PIPE_BUF, "a longer line could be torn");

enum {
    EVENTS = 128,     /* Names beyond these are not rate-limited. */
    VALUE_MAX = 2000, /* Bytes of one value before it is cut. */
    TAIL_ROOM = 64,   /* For "cut", "suppressed", brace and newline. */
};

enum sink { SINK_WRITE, SINK_SEND, SINK_POLL };

/* One event name and how often it came in the current second. */
struct repetition {
    const char *event;
    uint64_t second;
    uint64_t seen;
    uint64_t suppressed; /* Since the last line that passed. */
};

struct log {
    /* Set by log_open(), then read-only. */
    int descriptor;
    bool owns_descriptor;
    enum sink sink;

    atomic_int level;
    atomic_int access;
    atomic_uint_fast64_t written[LOG_ERROR + 1];
    atomic_uint_fast64_t suppressed;
    atomic_uint_fast64_t dropped;

    pthread_mutex_t lock; /* Guards repetitions. */
    struct repetition repetitions[EVENTS];
};

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

/* Our own description of a pipe or terminal; -1 where that is not possible. */
static int open_anew(int descriptor)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void choose_sink(struct log *log, int descriptor)
{
    struct stat about;

    log->descriptor = descriptor;
    log->sink = SINK_WRITE;
    if (fstat(descriptor, &about) != 0 || S_ISREG(about.st_mode))
        return;
    if (S_ISSOCK(about.st_mode)) {
        log->sink = SINK_SEND;
        return;
    }

    int own = open_anew(descriptor);
    if (own < 0) {
        log->sink = SINK_POLL;
        return;
    }
    log->descriptor = own;
    log->owns_descriptor = true;
}

enum kist_status log_open(int descriptor, enum log_level level,
                          enum log_access access, struct log **out_log)
{
    struct log *log = calloc(1, sizeof(*log));

    if (log == NULL)
        return KIST_NO_MEMORY;
    if (pthread_mutex_init(&log->lock, NULL) != 0) {
        free(log);
        return KIST_NO_MEMORY;
    }
    choose_sink(log, descriptor);
    atomic_init(&log->level, (int)level);
    atomic_init(&log->access, (int)access);
    *out_log = log;
    return KIST_OK;
}

/* A storm may end with lines held back and no later line to say so. */
static void report_suppressed(struct log *log)
{
    for (size_t i = 0; i < EVENTS; i++) {
        const struct repetition *repetition = &log->repetitions[i];

        if (repetition->event == NULL || repetition->suppressed == 0)
            continue;
        struct log_line line = log_begin(log, LOG_WARN, "log.suppressed");
        log_text(&line, "of", view_of(repetition->event));
        log_number(&line, "lines", repetition->suppressed);
        log_end(&line);
    }
}

void log_close(struct log *log)
{
    if (log == NULL)
        return;
    report_suppressed(log);
    if (log->owns_descriptor)
        close(log->descriptor);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

void log_set_access(struct log *log, enum log_access access)
{
    atomic_store_explicit(&log->access, (int)access, memory_order_relaxed);
}

/* NULL when the table is full. */
static struct repetition *find_locked(struct log *log, const char *event)
{
    for (size_t i = 0; i < EVENTS; i++) {
        struct repetition *repetition = &log->repetitions[i];

        if (repetition->event == NULL)
            repetition->event = event;
        if (repetition->event == event || strcmp(repetition->event, event) == 0)
            return repetition;
    }
    return NULL;
}

/* False: hold this line back. Else *out_suppressed were, since the last. */
static bool may_repeat(struct log *log, const char *event,
                       uint64_t *out_suppressed)
{
    uint64_t second = clock_mono_ns() / 1000000000;
    bool allowed = true;

    *out_suppressed = 0;
    pthread_mutex_lock(&log->lock);
    struct repetition *repetition = find_locked(log, event);
    if (repetition != NULL) {
        if (repetition->second != second) {
            repetition->second = second;
            repetition->seen = 0;
        }
        allowed = ++repetition->seen <= LOG_BURST;
        if (allowed) {
            *out_suppressed = repetition->suppressed;
            repetition->suppressed = 0;
        } else {
            repetition->suppressed++;
        }
    }
    pthread_mutex_unlock(&log->lock);
    return allowed;
}

static void append_time(struct blob *text, uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm calendar;
    char date[40];

    gmtime_r(&seconds, &calendar);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &calendar);
    blob_printf(text, "{\"time\":\"%s.%03uZ\"", date,
                (unsigned)(wall_ms % 1000));
}

static struct log_line begin(struct log *log, enum log_level level,
                             const char *event)
{
    struct log_line line = {.log = log, .level = level};

    /* One allocation for nearly every line; a failure sticks to the blob. */
    if (blob_reserve(&line.text, 512) != KIST_OK)
        line.text.failed = true;
    append_time(&line.text, clock_wall_ms());
    blob_printf(&line.text, ",\"level\":\"%s\",\"event\":\"%s\"",
                level_names[level], event);
    return line;
}

struct log_line log_begin(struct log *log, enum log_level level,
                          const char *event)
{
    uint64_t suppressed;

    if ((int)level < atomic_load_explicit(&log->level, memory_order_relaxed))
        return (struct log_line){.log = NULL};
    if (!may_repeat(log, event, &suppressed)) {
        atomic_fetch_add_explicit(&log->suppressed, 1, memory_order_relaxed);
        return (struct log_line){.log = NULL};
    }

    struct log_line line = begin(log, level, event);
    if (suppressed > 0)
        log_number(&line, "suppressed", suppressed);
    return line;
}

struct log_line log_begin_access(struct log *log)
{
    if (atomic_load_explicit(&log->access, memory_order_relaxed) ==
        LOG_ACCESS_OFF)
        return (struct log_line){.log = NULL};
    return begin(log, LOG_INFO, "request");
}

static bool fits(const struct log_line *line)
{
    return line->text.size <= LOG_LINE_MAX - TAIL_ROOM;
}

/* A field that does not fit is taken back whole. */
static void keep_if_fits(struct log_line *line, size_t size_before)
{
    if (fits(line))
        return;
    line->text.size = size_before;
    line->cut = true;
}

/* At most limit bytes of value, without half a character at the end. */
static struct view shorten(struct view value, size_t limit)
{
    if (value.size <= limit)
        return value;
    for (size_t back = 0; back < 3 && limit > 0; back++) {
        if (((unsigned char)value.data[limit] & 0xC0) != 0x80)
            break;
        limit--;
    }
    return (struct view){value.data, limit};
}

static void append_string(struct blob *text, struct view value, size_t limit)
{
    struct view shown = shorten(value, limit);

    blob_append_json(text, shown);
    if (shown.size == value.size || text->failed)
        return;
    text->size--; /* The closing quote. */
    blob_printf(text, "...(+%zu bytes)\"", value.size - shown.size);
}

void log_text(struct log_line *line, const char *name, struct view value)
{
    if (line->log == NULL)
        return;

    size_t before = line->text.size;
    size_t limit = VALUE_MAX;
    do {
        line->text.size = before;
        blob_printf(&line->text, ",\"%s\":", name);
        append_string(&line->text, value, limit);
        limit /= 2; /* Escaping can make a value six times longer. */
    } while (!fits(line) && limit > 0);
    keep_if_fits(line, before);
}

/* json is a literal of JSON: a number, true or false. */
static void append_plain(struct log_line *line, const char *name,
                         const char *json)
{
    if (line->log == NULL)
        return;

    size_t before = line->text.size;
    blob_printf(&line->text, ",\"%s\":%s", name, json);
    keep_if_fits(line, before);
}

void log_number(struct log_line *line, const char *name, uint64_t value)
{
    char digits[32];

    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    append_plain(line, name, digits);
}

void log_truth(struct log_line *line, const char *name, bool value)
{
    append_plain(line, name, value ? "true" : "false");
}

void log_status(struct log_line *line, const char *name, enum kist_status value)
{
    log_text(line, name, view_of(kist_status_name(value)));
}

void log_seconds(struct log_line *line, const char *name, uint64_t value_ns)
{
    char digits[40];

    snprintf(digits, sizeof(digits), "%llu.%06llu",
             (unsigned long long)(value_ns / 1000000000),
             (unsigned long long)(value_ns % 1000000000 / 1000));
    append_plain(line, name, digits);
}

static ssize_t put(const struct log *log, const char *data, size_t size)
{
    struct pollfd room = {.fd = log->descriptor, .events = POLLOUT};

    switch (log->sink) {
    case SINK_SEND:
        return send(log->descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    case SINK_POLL:
        if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT)) {
            errno = EAGAIN;
            return -1;
        }
        break;
    case SINK_WRITE:
        break;
    }
    return write(log->descriptor, data, size);
}

void log_end(struct log_line *line)
{
    struct log *log = line->log;

    if (log == NULL)
        return;
    if (line->cut)
        blob_append_text(&line->text, ",\"cut\":true");
    blob_append_text(&line->text, "}\n");
    assert(line->text.failed || line->text.size <= LOG_LINE_MAX);

    ssize_t put_size = -1;
    if (!line->text.failed) {
        do
            put_size = put(log, line->text.data, line->text.size);
        while (put_size < 0 && errno == EINTR);
    }
    bool whole = put_size >= 0 && (size_t)put_size == line->text.size;
    atomic_fetch_add_explicit(whole ? &log->written[line->level]
                                    : &log->dropped,
                              1, memory_order_relaxed);
    blob_free(&line->text);
    line->log = NULL;
}

void log_why(struct log *log, enum log_level level, const char *event,
             const char *why)
{
    struct log_line line = log_begin(log, level, event);

    log_text(&line, "why", view_of(why));
    log_end(&line);
}

void log_counts(const struct log *log, struct log_counts *out_counts)
{
    struct log *counted = (struct log *)log; /* Atomic loads take no const. */

    for (size_t level = 0; level <= LOG_ERROR; level++)
        out_counts->written[level] = atomic_load_explicit(
            &counted->written[level], memory_order_relaxed);
    out_counts->suppressed =
        atomic_load_explicit(&counted->suppressed, memory_order_relaxed);
    out_counts->dropped =
        atomic_load_explicit(&counted->dropped, memory_order_relaxed);
}
