#include "api/json_pointer.h"
#include "api/json_string.h"
#include "api/json_text.h"

#include <assert.h>
#include <string.h>

bool json_pointer_is_valid(struct view pointer)
{
    if (pointer.size > 0 && pointer.data[0] != '/')
        return false;
    for (size_t i = 0; i < pointer.size; i++) {
        if (pointer.data[i] != '~')
            continue;
        if (i + 1 == pointer.size ||
            (pointer.data[i + 1] != '0' && pointer.data[i + 1] != '1'))
            return false;
    }
    return true;
}

/* Cut the first token, still escaped, off a valid pointer that has one. */
static struct view cut_token(struct view *pointer)
{
    struct view rest = view_from(*pointer, 1);
    const char *slash =
        rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
    size_t size = slash == NULL ? rest.size : (size_t)(slash - rest.data);

    *pointer = view_from(rest, size);
    return (struct view){rest.data, size};
}

/* What an escaped token means, into room for its size; gives the size. */
static size_t unescape(struct view token, char *room)
{
    size_t size = 0;

    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] == '~')
            room[size++] = token.data[++i] == '0' ? '~' : '/';
        else
            room[size++] = token.data[i];
    }
    return size;
}

static bool has_escapes(struct view token)
{
    return token.size > 0 && memchr(token.data, '~', token.size) != NULL;
}

bool json_pointer_index(struct view token, size_t *out_index)
{
    uint64_t number;

    if (token.size > 1 && token.data[0] == '0')
        return false;
    if (!view_to_u64(token, &number) || number > SIZE_MAX)
        return false;
    *out_index = (size_t)number;
    return true;
}

/* One step down a text: *rest begins with a container, then with its part. */
static enum kist_status step_down(struct view *rest, struct view token)
{
    struct json_parts parts = json_parts_of(*rest);
    enum json_type type = json_text_type(*rest);
    size_t index = 0;
    struct view name;

    if (type != JSON_IS_OBJECT && type != JSON_IS_ARRAY)
        return KIST_NOT_FOUND;
    if (type == JSON_IS_ARRAY && !json_pointer_index(token, &index))
        return KIST_NOT_FOUND;
    while (json_parts_step(&parts, &name)) {
        if (type == JSON_IS_OBJECT ? json_string_means(name, token)
                                   : index-- == 0) {
            *rest = json_parts_rest(&parts);
            return KIST_OK;
        }
    }
    return KIST_NOT_FOUND;
}

enum kist_status json_pointer_find(struct view text, struct view pointer,
                                   struct view *out_part)
{
    enum kist_status status = KIST_OK;
    struct blob plain = BLOB_EMPTY; /* A token that had escapes. */

    if (!json_pointer_is_valid(pointer))
        return KIST_INVALID;
    while (pointer.size > 0 && status == KIST_OK) {
        struct view token = cut_token(&pointer);

        if (has_escapes(token)) {
            blob_clear(&plain);
            status = blob_reserve(&plain, token.size);
            if (status != KIST_OK)
                break;
            plain.size = unescape(token, plain.data);
            token = blob_view(&plain);
        }
        status = step_down(&text, token);
    }
    blob_free(&plain);
    if (status == KIST_OK)
        *out_part = json_text_value(text);
    return status;
}

static size_t count_tokens(struct view pointer)
{
    size_t count = 0;

    for (size_t i = 0; i < pointer.size; i++)
        count += pointer.data[i] == '/';
    return count;
}

enum kist_status json_pointer_parse(struct arena *arena, struct view pointer,
                                    struct json_pointer *out)
{
    struct json_pointer parsed = {0};
    enum kist_status status;
    void *room;

    if (!json_pointer_is_valid(pointer))
        return KIST_INVALID;
    status = arena_take(arena, count_tokens(pointer) * sizeof(parsed.tokens[0]),
                        &room);
    if (status != KIST_OK)
        return status;
    parsed.tokens = room;

    while (pointer.size > 0) {
        struct view token = cut_token(&pointer);

        if (has_escapes(token)) {
            status = arena_take(arena, token.size, &room);
            if (status != KIST_OK)
                return status;
            token = (struct view){room, unescape(token, room)};
        }
        parsed.tokens[parsed.count++] = token;
    }
    *out = parsed;
    return KIST_OK;
}

enum kist_status json_pointer_walk(struct json_tree *tree,
                                   const struct json_pointer *pointer,
                                   size_t count, struct json_node *node,
                                   struct json_node **out_node)
{
    enum kist_status status = KIST_OK;
    size_t index;

    assert(count <= pointer->count);
    for (size_t i = 0; i < count && status == KIST_OK; i++) {
        struct view token = pointer->tokens[i];

        if (json_node_type(node) == JSON_IS_OBJECT)
            status = json_tree_member(tree, node, token, &node);
        else if (json_node_type(node) == JSON_IS_ARRAY &&
                 json_pointer_index(token, &index))
            status = json_tree_element(tree, node, index, &node);
        else
            status = KIST_NOT_FOUND;
    }
    if (status == KIST_OK)
        *out_node = node;
    return status;
}
