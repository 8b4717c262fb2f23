/*
 * import_line - one line of an import, as api/export_line.h writes them.
 *
 * Strict: a member that is unknown, missing or of the wrong kind refuses the
 * line, for a typo must not change what is stored.
 *
 * Threads: no state.
 */
#ifndef KIST_API_IMPORT_LINE_H
#define KIST_API_IMPORT_LINE_H

#include "api/batch_operation.h"

enum import_mode {
    /* Records keep their versions; what is newer stays. */
    IMPORT_MERGE,
    /* They are written anew, whatever is there; a version is not needed. */
    IMPORT_OVERWRITE,
};

enum import_line_kind {
    IMPORT_RECORD,
    IMPORT_BEGIN, /* A record whose value comes in pieces. */
    IMPORT_PIECE,
    IMPORT_END,
};

struct import_line {
    enum import_line_kind kind;
    /*
     * What is to be put, or why the line is refused. A BEGIN has no value yet;
     * a PIECE has nothing but the key and its bytes as the value.
     */
    struct batch_operation operation;
    uint64_t size; /* BEGIN: of the value. END: how many records there were. */
    uint64_t offset; /* PIECE */
};

/*
 * Read one line of JSON, which must outlive *line. What is wrong with it
 * becomes a refusal of the operation. KIST_NO_MEMORY. The caller ends *line
 * with batch_operation_clear().
 */
KIST_CHECKED enum kist_status import_line_read(struct import_line *line,
                                               struct view text,
                                               enum import_mode mode,
                                               const struct settings *settings,
                                               uint64_t now_ms);

#endif
