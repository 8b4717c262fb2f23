/*
 * json_type - what kind of JSON value a text is.
 *
 * Records carry it, so that the type of a value is known without reading it.
 * The numbers are part of the record format and never change their meaning.
 * The words are not jansson's (JSON_OBJECT ...): a file may include both.
 */
#ifndef KIST_BASE_JSON_TYPE_H
#define KIST_BASE_JSON_TYPE_H

enum json_type {
    JSON_NONE = 0, /* Not JSON: bytes of some other media type. */
    JSON_IS_OBJECT = 1,
    JSON_IS_ARRAY = 2,
    JSON_IS_STRING = 3,
    JSON_IS_NUMBER = 4,
    JSON_IS_BOOLEAN = 5,
    JSON_IS_NULL = 6,
};

/* "object", "array", ... and "none". Never NULL. */
const char *json_type_name(enum json_type type);

#endif
