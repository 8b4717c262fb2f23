#include "tests/api/json_reference.h"

#include <stdlib.h>
#include <string.h>

json_t *json_reference_load(struct view text)
{
    json_error_t error;

    return json_loadb(text.data, text.size,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                      &error);
}

json_t *json_reference_merge(json_t *target, json_t *patch)
{
    const char *name;
    json_t *value;

    if (!json_is_object(patch)) {
        json_decref(target);
        return json_deep_copy(patch);
    }
    if (!json_is_object(target)) {
        json_decref(target);
        target = json_object();
    }
    json_object_foreach(patch, name, value)
    {
        if (json_is_null(value)) {
            json_object_del(target, name);
            continue;
        }
        json_t *old = json_incref(json_object_get(target, name));
        json_object_set_new(target, name, json_reference_merge(old, value));
    }
    return target;
}

bool json_reference_equal(json_t *a, json_t *b)
{
    const char *name;
    json_t *value;
    size_t index;

    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b) &&
        json_array_size(a) == json_array_size(b)) {
        json_array_foreach(
            a, index,
            value) if (!json_reference_equal(value,
                                             json_array_get(
                                                 b, index))) return false;
        return true;
    }
    if (json_is_object(a) && json_is_object(b) &&
        json_object_size(a) == json_object_size(b)) {
        json_object_foreach(a, name, value) if (!json_reference_equal(
                                                    value,
                                                    json_object_get(
                                                        b, name))) return false;
        return true;
    }
    return a != NULL && b != NULL && json_equal(a, b) != 0;
}

/* The next token of *pointer, unescaped; gives a malloced text. */
static char *next_token(const char **pointer)
{
    size_t size = strcspn(*pointer + 1, "/"), length = 0;
    char *token = malloc(size + 1);

    for (size_t i = 1; i <= size; i++) {
        char byte = (*pointer)[i];

        if (byte == '~')
            byte = (*pointer)[++i] == '0' ? '~' : '/';
        token[length++] = byte;
    }
    token[length] = '\0';
    *pointer += size + 1;
    return token;
}

/* -1: no index; the size for "-". */
static long index_in(json_t *array, const char *token)
{
    if (strcmp(token, "-") == 0)
        return (long)json_array_size(array);
    if (*token == '\0' || strspn(token, "0123456789") != strlen(token) ||
        (token[0] == '0' && token[1] != '\0') || strlen(token) > 9)
        return -1;
    return atol(token);
}

static json_t *child_of(json_t *parent, const char *token)
{
    if (json_is_object(parent))
        return json_object_get(parent, token);
    if (json_is_array(parent) && index_in(parent, token) >= 0)
        return json_array_get(parent, (size_t)index_in(parent, token));
    return NULL;
}

/* Down to the parent of the last token, which is given; NULL: no parent. */
static json_t *parent_of(json_t *node, const char *pointer, char **out_last)
{
    char *token = next_token(&pointer);

    while (*pointer != '\0' && node != NULL) {
        node = child_of(node, token);
        free(token);
        token = next_token(&pointer);
    }
    *out_last = token;
    return node;
}

static json_t *find(json_t *root, const char *pointer)
{
    char *last;

    if (*pointer == '\0')
        return root;
    json_t *parent = parent_of(root, pointer, &last);
    json_t *found = child_of(parent, last);
    free(last);
    return found;
}

static bool add(json_t **root, const char *pointer, json_t *value)
{
    bool done = false;
    char *last;

    if (*pointer == '\0') {
        json_decref(*root);
        *root = value;
        return true;
    }
    json_t *parent = parent_of(*root, pointer, &last);
    if (json_is_object(parent))
        done = json_object_set(parent, last, value) == 0;
    else if (json_is_array(parent) && index_in(parent, last) >= 0)
        done = json_array_insert(parent, (size_t)index_in(parent, last),
                                 value) == 0;
    json_decref(value);
    free(last);
    return done;
}

static bool delete (json_t *root, const char *pointer)
{
    bool done = false;
    char *last;

    if (*pointer == '\0')
        return false;
    json_t *parent = parent_of(root, pointer, &last);
    if (json_is_object(parent))
        done = json_object_del(parent, last) == 0;
    else if (json_is_array(parent) && index_in(parent, last) >= 0)
        done = json_array_remove(parent, (size_t)index_in(parent, last)) == 0;
    free(last);
    return done;
}

static bool replace(json_t **root, const char *pointer, json_t *value)
{
    bool done = false;
    char *last;

    if (*pointer == '\0')
        return add(root, pointer, value);
    json_t *parent = parent_of(*root, pointer, &last);
    if (json_is_object(parent) && json_object_get(parent, last) != NULL)
        done = json_object_set(parent, last, value) == 0;
    else if (json_is_array(parent) && index_in(parent, last) >= 0)
        done =
            json_array_set(parent, (size_t)index_in(parent, last), value) == 0;
    json_decref(value);
    free(last);
    return done;
}

static bool operate(json_t **root, json_t *operation)
{
    const char *op = json_string_value(json_object_get(operation, "op"));
    const char *path = json_string_value(json_object_get(operation, "path"));
    const char *from = json_string_value(json_object_get(operation, "from"));
    json_t *value = json_object_get(operation, "value");

    if (strcmp(op, "add") == 0)
        return add(root, path, json_deep_copy(value));
    if (strcmp(op, "remove") == 0)
        return delete (*root, path);
    if (strcmp(op, "replace") == 0)
        return replace(root, path, json_deep_copy(value));
    if (strcmp(op, "test") == 0)
        return json_reference_equal(find(*root, path), value);

    json_t *found = find(*root, from);
    if (found == NULL)
        return false;
    if (strcmp(op, "move") == 0 && strcmp(from, path) == 0)
        return true;
    found = json_deep_copy(found);
    if (strcmp(op, "move") == 0 && !delete (*root, from)) {
        json_decref(found);
        return false;
    }
    return add(root, path, found);
}

json_t *json_reference_patch(json_t *document, json_t *patch)
{
    json_t *operation;
    size_t index;

    json_array_foreach(patch, index, operation)
    {
        if (!operate(&document, operation)) {
            json_decref(document);
            return NULL;
        }
    }
    return document;
}
