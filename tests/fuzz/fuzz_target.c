/*
 * A request target: what is accepted keeps the rules of keys, and written
 * with every byte encoded it is the same key again.
 */
#include "api/router.h"
#include "api/target.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of the exact size, so that a sanitizer sees a byte too many. */
static char *open_room(size_t size)
{
    char *room = malloc(size == 0 ? 1 : size);

    assert(room != NULL);
    return room;
}

static void check_key(struct view key)
{
    assert(key.size >= 1 && key.size <= TARGET_KEY_MAX && view_is_utf8(key));
    for (size_t i = 0; i < key.size; i++)
        assert((unsigned char)key.data[i] >= 0x20 && key.data[i] != 0x7f);
    assert(!view_is(key, ".") && !view_is(key, ".."));
}

static void check_encoded(struct view key)
{
    struct blob encoded = BLOB_EMPTY;
    struct view again;

    for (size_t i = 0; i < key.size; i++)
        blob_printf(&encoded, "%%%02x", (unsigned char)key.data[i]);
    char *room = open_room(encoded.size);

    assert(target_key(blob_view(&encoded), room, &again) == TARGET_FINE);
    assert(view_equal(again, key));
    free(room);
    blob_free(&encoded);
}

static void try_key(struct view raw)
{
    char *room = open_room(raw.size);
    struct view key;

    if (target_key(raw, room, &key) == TARGET_FINE) {
        check_key(key);
        check_encoded(key);
    }
    free(room);
}

static void try_query(struct view raw)
{
    char *room = open_room(raw.size);
    struct view parameters[PARAMETERS] = {{NULL, 0}};
    struct view name = {NULL, 0};
    uint64_t allowed = TAKES(PARAMETER_TTL) | TAKES(PARAMETER_PREFIX);
    enum target_fault fault =
        target_query(raw, allowed, room, parameters, &name);

    for (enum parameter i = 0; i < PARAMETERS; i++) {
        if (parameters[i].data == NULL)
            continue;
        assert((allowed & TAKES(i)) != 0);
        assert(parameters[i].data >= room &&
               parameters[i].data + parameters[i].size <= room + raw.size);
    }
    if (fault != TARGET_FINE)
        assert(target_fault_detail(fault)[0] != '\0');
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view raw = {(const char *)data, size};
    struct view path, query;

    try_key(raw);
    try_query(raw);
    if (target_split(raw, &path, &query) != TARGET_FINE)
        return 0;
    assert(path.size > 0 && (path.data[0] == '/' || view_is(path, "*")));
    assert(memchr(path.data, '?', path.size) == NULL);
    try_key(view_from(path, 1));
    if (query.data != NULL)
        try_query(query);
    return 0;
}
