/*
 * import_read - the lines of an import, as they come, to operations.
 *
 * A value in pieces is put together here: in memory up to --inline-bytes, else
 * in a file of large values, which then belongs to the operation. So memory
 * does not follow values. What is wrong with a line is counted and told, and
 * the lines after it go on.
 *
 * Threads: any that may block, one at a time.
 */
#ifndef KIST_API_IMPORT_READ_H
#define KIST_API_IMPORT_READ_H

#include "api/import_line.h"
#include "storage/store.h"

enum {
    IMPORT_LINE_MAX = 2 << 20,
    IMPORT_ROUND = 256,  /* Operations that are run together. */
    IMPORT_FAULTS = 100, /* So many are told. */
};

struct import_operation {
    struct batch_operation operation;
    uint64_t line;
};

struct import_reader;

struct import_reader_options {
    const struct settings *settings;
    struct store *store; /* NULL: Redis, which has no files of values. */
    enum import_mode mode;
    bool in_cluster;
    uint64_t cluster; /* Of its ring. */
};

KIST_CHECKED enum kist_status
import_reader_open(const struct import_reader_options *options,
                   struct import_reader **out_reader);
/* The operations were cleared. Files of theirs are the caller's. Takes NULL. */
void import_reader_close(struct import_reader *reader);

/*
 * Read lines of text until IMPORT_ROUND operations are there, or the lines are
 * used up. *at: where in text to go on; what follows is at most a part of a
 * line. is_last: there is no more to come, and such a part is a line.
 * operations must be empty and borrow from text and the reader until they are
 * cleared: by then the caller may call again.
 *
 * KIST_TOO_LARGE: a line is beyond IMPORT_LINE_MAX. KIST_DISK_FULL and others:
 * a value could not be written. KIST_NO_MEMORY. Lines up to then were read.
 */
KIST_CHECKED enum kist_status
import_reader_run(struct import_reader *reader, struct view text, size_t *at,
                  bool is_last, struct import_operation *operations,
                  size_t *out_count);

/* Tell of a fault at a line; what is beyond IMPORT_FAULTS is counted only. */
void import_reader_fault(struct import_reader *reader, uint64_t line,
                         struct view key, enum problem problem,
                         const char *detail);

struct import_counts {
    uint64_t lines;     /* Read so far. */
    uint64_t records;   /* Of them, those of records. */
    uint64_t unchanged; /* Records that were not needed for they are there. */
    uint64_t failed;
    uint64_t settled; /* Lines, but for the last value's if it is not whole. */
    bool is_ended;    /* The last line said that the export was whole. */
};

const struct import_counts *import_reader_counts(struct import_reader *reader);

/* JSON objects, separated by commas. */
struct view import_reader_faults(const struct import_reader *reader);

#endif
