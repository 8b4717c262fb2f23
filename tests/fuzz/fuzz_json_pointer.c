/*
 * A text, a NUL, a JSON Pointer: the search in the text and the walk over a
 * tree find the same part, and the part is JSON.
 */
#include "api/json_check.h"
#include "api/json_pointer.h"
#include "api/json_text.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static bool is_json(struct view text)
{
    struct json_fault fault;
    enum json_type type;

    return json_check(text, &fault, &type) == KIST_OK;
}

static enum kist_status walk(struct json_tree *tree, struct view text,
                             struct view pointer, struct blob *out)
{
    struct json_pointer parsed;
    struct json_node *root, *node;
    enum kist_status status = json_tree_read(tree, text, &root);

    assert(status == KIST_OK);
    status = json_pointer_parse(&tree->arena, pointer, &parsed);
    if (status == KIST_OK)
        status = json_pointer_walk(tree, &parsed, parsed.count, root, &node);
    if (status == KIST_OK)
        status = json_tree_write(node, out);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view pointer = {(const char *)data, size};
    struct view text = fuzz_cut(&pointer), part = {NULL, 0};
    struct blob out = BLOB_EMPTY;
    struct json_tree tree;

    if (!is_json(text))
        return 0;
    json_tree_init(&tree, text.size + pointer.size);
    enum kist_status found = json_pointer_find(text, pointer, &part);
    enum kist_status walked = walk(&tree, text, pointer, &out);

    assert(found == walked);
    assert((found == KIST_INVALID) == !json_pointer_is_valid(pointer));
    if (found == KIST_OK)
        assert(is_json(part) &&
               view_equal(part, json_text_trim(blob_view(&out))));
    json_tree_clear(&tree);
    blob_free(&out);
    return 0;
}
