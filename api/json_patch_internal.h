/*
 * json_patch_internal - a parsed patch, for the files of the patch alone.
 */
#ifndef KIST_API_JSON_PATCH_INTERNAL_H
#define KIST_API_JSON_PATCH_INTERNAL_H

#include "api/json_patch.h"
#include "api/json_pointer.h"
#include "base/arena.h"

enum json_operation_kind {
    JSON_OPERATION_ADD,
    JSON_OPERATION_REMOVE,
    JSON_OPERATION_REPLACE,
    JSON_OPERATION_MOVE,
    JSON_OPERATION_COPY,
    JSON_OPERATION_TEST,
};

struct json_operation {
    enum json_operation_kind kind;
    struct json_pointer path;
    struct json_pointer from; /* Move and copy. */
    struct view value;        /* Add, replace and test: as spelled. */
};

struct json_patch {
    struct arena arena; /* Of operations and pointers. */
    struct view text;   /* Kept. */
    struct json_operation *operations;
    size_t count;
};

#endif
