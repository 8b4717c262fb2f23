/*
 * json_text - find the parts of a text that json_check() has passed.
 *
 * Nothing is built: a part is a view into the text, as it is spelled. On a
 * text that was not checked the answers are meaningless, yet nothing is read
 * outside of it. No recursion, no allocation.
 *
 * Threads: no state.
 */
#ifndef KIST_API_JSON_TEXT_H
#define KIST_API_JSON_TEXT_H

#include "base/bytes.h"
#include "base/json_type.h"

#include <stdbool.h>

/* Without the white space around the value. */
struct view json_text_trim(struct view text);

/* By the first byte of the value; JSON_NONE if there is no value. */
enum json_type json_text_type(struct view text);

/* How many arrays and objects are inside each other; a scalar has 0. */
unsigned json_text_height(struct view text);

/* The value at the start of text, whatever comes behind it. */
struct view json_text_value(struct view text);

/* A member of an object or an element of an array. */
struct json_part {
    struct view name;  /* The literal with its quotes; empty in an array. */
    struct view value; /* No white space around it. */
    unsigned height;
};

/* A walk over the parts of one container. */
struct json_parts {
    const char *at;
    const char *end;
    bool in_object;
    bool at_value; /* Private: the value at at has yet to be passed. */
};

/* container is an array or object, white space around it is allowed. */
struct json_parts json_parts_of(struct view container);

/* The next part, false at the end. */
bool json_parts_next(struct json_parts *parts, struct json_part *out_part);

/*
 * The same without passing the value: its text begins json_parts_rest(). So
 * the way down to a part reads no byte twice.
 */
bool json_parts_step(struct json_parts *parts, struct view *out_name);
struct view json_parts_rest(const struct json_parts *parts);

#endif
