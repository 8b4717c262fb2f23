/*
 * log - one JSON object a line on stderr.
 *
 *     struct log_line line = log_begin(log, LOG_INFO, "engine.opened");
 *     log_text(&line, "path", path);
 *     log_number(&line, "tables", tables);
 *     log_end(&line);
 *
 * gives {"time":"2026-01-31T09:15:02.123Z","level":"info",
 * "event":"engine.opened","path":"/var/lib/kist","tables":12}.
 *
 * A line is one write of at most LOG_LINE_MAX bytes, which the kernel keeps
 * whole even when other processes write to the same pipe. Values are escaped,
 * and long ones are cut with a marker that says by how much. A reader that
 * does not read costs lines, never time: what does not fit is dropped and
 * counted (log_counts). An event that comes more than LOG_BURST times within
 * one second is held back; its next line carries "suppressed".
 *
 * Threads: every call from any thread, except log_close(); a log_line belongs
 * to the thread that began it. The process ignores SIGPIPE.
 */
#ifndef KIST_SERVICE_LOG_H
#define KIST_SERVICE_LOG_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* PIPE_BUF of Linux: the largest write that a pipe takes whole or not. */
enum { LOG_LINE_MAX = 4096, LOG_BURST = 10 };

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Whether each answered request gets a line. */
enum log_access { LOG_ACCESS_OFF, LOG_ACCESS_ON };

struct log;

struct log_line {
    struct log *log; /* NULL: nobody wants this line, all calls are no-ops. */
    enum log_level level;
    struct blob text;
    bool cut; /* Some field did not fit at all. */
};

struct log_counts {
    uint64_t written[LOG_ERROR + 1]; /* By level. */
    uint64_t suppressed;             /* Held back as repetitions. */
    uint64_t dropped; /* The reader was slow or gone, or memory ran out. */
};

/*
 * Write to descriptor (2), which stays the caller's. Ends in log_close().
 * KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status log_open(int descriptor, enum log_level level,
                                       enum log_access access,
                                       struct log **out_log);
void log_close(struct log *log);

void log_set_level(struct log *log, enum log_level level);
void log_set_access(struct log *log, enum log_access access);

/* event is a literal, dotted and lower-case: it is kept for the rate limit. */
struct log_line log_begin(struct log *log, enum log_level level,
                          const char *event);

/*
 * The line of one answered request: event "request", level info. Wanted when
 * access logging is on, whatever the level; never held back.
 */
struct log_line log_begin_access(struct log *log);

/* name is a literal that needs no escaping. Values are copied. */
void log_text(struct log_line *line, const char *name, struct view value);
void log_number(struct log_line *line, const char *name, uint64_t value);
void log_truth(struct log_line *line, const char *name, bool value);
void log_status(struct log_line *line, const char *name,
                enum kist_status value);
/* A duration, printed in seconds. */
void log_seconds(struct log_line *line, const char *name, uint64_t value_ns);

/* Writes the line and frees what it holds. Every begin needs its end. */
void log_end(struct log_line *line);

/* A whole line, where all there is to say is why. */
void log_why(struct log *log, enum log_level level, const char *event,
             const char *why);

void log_counts(const struct log *log, struct log_counts *out_counts);

#endif
