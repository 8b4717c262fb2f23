/*
 * The verdict must not depend on where a text is cut, must be jansson's where
 * jansson has one, and what passes must be readable by all the rest.
 */
#include "api/json_check.h"
#include "api/json_text.h"
#include "api/json_tree_equal.h"
#include "tests/api/json_reference.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void expect_chunked(struct view text, size_t chunk,
                           enum kist_status expected, enum json_type type,
                           const struct json_fault *fault)
{
    enum kist_status status = KIST_OK;
    enum json_type seen = JSON_NONE;
    struct json_check check;

    json_check_init(&check);
    while (text.size > 0 && status == KIST_OK) {
        size_t size = text.size < chunk ? text.size : chunk;

        status = json_check_feed(&check, (struct view){text.data, size});
        text = view_from(text, size);
    }
    if (status == KIST_OK)
        status = json_check_finish(&check, &seen);
    assert(status == expected);
    assert(status != KIST_OK || seen == type);
    assert(status == KIST_OK || (check.fault.offset == fault->offset &&
                                 check.fault.reason == fault->reason));
    json_check_clear(&check);
}

static void expect_jansson(struct view text, enum kist_status status,
                           const struct json_fault *fault)
{
    json_error_t error;
    json_t *value = json_loadb(
        text.data, text.size,
        JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    /* jansson loses a raw NUL behind a number, and has no limit of 64. */
    if (value != NULL)
        assert(status == KIST_OK || memchr(text.data, '\0', text.size) ||
               strstr(fault->reason, "deeper") != NULL);
    else if (json_error_code(&error) != json_error_numeric_overflow &&
             json_error_code(&error) != json_error_null_byte_in_key &&
             json_error_code(&error) != json_error_stack_overflow)
        assert(status == KIST_INVALID);
    json_decref(value);
}

/* Look into everything below node. */
static enum kist_status visit(struct json_tree *tree, struct json_node *node)
{
    struct json_children children;
    enum kist_status status;

    if (json_node_type(node) != JSON_IS_OBJECT &&
        json_node_type(node) != JSON_IS_ARRAY)
        return KIST_OK;
    status = json_tree_children(tree, node, &children);
    while (status == KIST_OK && json_children_next(&children))
        status = visit(tree, children.value);
    return status;
}

/* Looked into everywhere, a text is still written as it was. */
static void expect_tree(struct view text)
{
    struct json_node *root, *twin;
    struct blob out = BLOB_EMPTY;
    struct json_tree tree;
    bool equal = false;

    json_tree_init(&tree, 64 * text.size);
    enum kist_status status = json_tree_read(&tree, text, &root);
    if (status == KIST_OK)
        status = visit(&tree, root);
    if (status == KIST_OK)
        status = json_tree_read(&tree, json_text_trim(text), &twin);
    if (status == KIST_OK)
        status = json_tree_equal(&tree, root, twin, &equal);
    if (status == KIST_OK)
        status = json_tree_write(root, &out);
    assert(status == KIST_OK && equal && view_equal(blob_view(&out), text));
    blob_free(&out);
    json_tree_clear(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view text = {(const char *)data, size};
    struct json_fault fault = {0, ""};
    enum json_type type = JSON_NONE;

    enum kist_status status = json_check(text, &fault, &type);
    assert(status == KIST_OK || status == KIST_INVALID);
    for (size_t chunk = 1; chunk < 12; chunk += 3)
        expect_chunked(text, chunk, status, type, &fault);
    expect_jansson(text, status, &fault);
    if (status == KIST_OK)
        expect_tree(text);
    return 0;
}
