/*
 * json_check - is this text JSON that we store?
 *
 * RFC 8259, and what DESIGN.md adds: no member name twice in one object
 * (compared as decoded: "a" is "\u0061"), no lone surrogates, valid UTF-8, no
 * byte order mark, at most JSON_MAX_DEPTH arrays and objects inside each
 * other. Numbers follow the grammar and may have any size. Nothing is built:
 * a text that passes is stored as it is.
 *
 * The text comes in chunks cut anywhere; the verdict never depends on the
 * cuts. The stack use is constant, the heap holds the names of the objects
 * still open (json_names.h), so a caller who limits the text limits both.
 *
 * Threads: one check belongs to one thread at a time.
 */
#ifndef KIST_API_JSON_CHECK_H
#define KIST_API_JSON_CHECK_H

#include "api/json_names.h"
#include "base/bytes.h"
#include "base/json_type.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_MAX_DEPTH = 64 };

/*
 * What is wrong, for people. reason is one of our own sentences without its
 * full stop, static, never a byte of the client's.
 */
struct json_fault {
    size_t offset; /* Of the first byte that cannot stand, from 0. */
    const char *reason;
};

/* What may come next. Private, as are all fields of the check but fault. */
enum json_step {
    JSON_STEP_START,
    JSON_STEP_ELEMENT_OR_END, /* After [ */
    JSON_STEP_ELEMENT,        /* After a comma in an array. */
    JSON_STEP_NAME_OR_END,    /* After { */
    JSON_STEP_NAME,           /* After a comma in an object. */
    JSON_STEP_COLON,
    JSON_STEP_MEMBER_VALUE,
    JSON_STEP_AFTER_VALUE,
    JSON_STEP_STRING,
    JSON_STEP_UTF8,
    JSON_STEP_ESCAPE,
    JSON_STEP_HEX,
    JSON_STEP_LOW_BACKSLASH, /* The second half of a pair: \ */
    JSON_STEP_LOW_U,         /* ... and u */
    JSON_STEP_MINUS,
    JSON_STEP_ZERO,
    JSON_STEP_DIGITS,
    JSON_STEP_POINT,
    JSON_STEP_FRACTION,
    JSON_STEP_E,
    JSON_STEP_E_SIGN,
    JSON_STEP_E_DIGITS,
    JSON_STEP_WORD, /* true, false, null */
    JSON_STEP_REFUSED,
};

struct json_check {
    struct json_fault fault; /* Set once a call answered KIST_INVALID. */

    enum json_step step;
    enum json_type type;      /* Of the whole text. */
    enum kist_status refusal; /* In JSON_STEP_REFUSED: the answer. */
    size_t fed;               /* Bytes in the chunks before this one. */
    const char *chunk;

    unsigned depth;
    uint64_t objects; /* Bit n: the container at depth n + 1 is an object. */
    size_t first_name[JSON_MAX_DEPTH]; /* Its first entry in names. */
    struct json_names names;

    bool in_name;       /* The string being read is a member name. */
    size_t name_offset; /* Where it began. */
    unsigned utf8_left; /* Bytes this sequence still needs. */
    unsigned char low;  /* The range of its next byte. */
    unsigned char high;
    unsigned hex_left;
    uint32_t code;    /* The \u number being read. */
    uint32_t lead;    /* A high surrogate that waits for its pair; or 0. */
    const char *word; /* The rest of a literal. */
};

/* Cannot fail. End with json_check_clear(). */
void json_check_init(struct json_check *check);

/*
 * Read the next chunk; borrows it. KIST_INVALID: the text is refused, fault
 * says why. KIST_NO_MEMORY. A refusal is repeated by every later call.
 */
KIST_CHECKED enum kist_status json_check_feed(struct json_check *check,
                                              struct view chunk);

/* The text has ended: the verdict over all of it. Answers as feed does. */
KIST_CHECKED enum kist_status json_check_finish(struct json_check *check,
                                                enum json_type *out_type);

void json_check_clear(struct json_check *check);

/* All of it in one call. *out_fault is written with KIST_INVALID only. */
KIST_CHECKED enum kist_status json_check(struct view text,
                                         struct json_fault *out_fault,
                                         enum json_type *out_type);

#endif
