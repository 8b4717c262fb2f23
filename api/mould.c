#include "api/mould.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct mould {
    struct mould *next;
    struct MHD_Response *response;
    size_t shape;
    size_t nfields;
    struct {
        const char *name;
        size_t size;
        char *value; /* libmicrohttpd's own. */
    } fields[MOULD_FIELDS];
    size_t size;
    char body[];
};

/* Names are told apart by where they stand, which is enough for literals. */
static size_t shape_of(const struct mould_field *fields, size_t nfields,
                       size_t size)
{
    size_t shape = size;

    for (size_t i = 0; i < nfields; i++)
        shape = shape * 31 + (size_t)(uintptr_t)fields[i].name +
                fields[i].value.size;
    return shape;
}

static bool fits(const struct mould *mould, const struct mould_field *fields,
                 size_t nfields, size_t size)
{
    if (mould->nfields != nfields || mould->size != size)
        return false;
    for (size_t i = 0; i < nfields; i++)
        if (mould->fields[i].name != fields[i].name ||
            mould->fields[i].size != fields[i].value.size)
            return false;
    return true;
}

static struct mould **bucket_of(struct moulds *moulds, size_t shape)
{
    return &moulds->buckets[(shape ^ shape >> 7) % MOULD_BUCKETS];
}

static struct mould *take_kept(struct moulds *moulds, size_t shape,
                               const struct mould_field *fields, size_t nfields,
                               size_t size)
{
    struct mould **link = bucket_of(moulds, shape);

    while (*link != NULL &&
           ((*link)->shape != shape || !fits(*link, fields, nfields, size)))
        link = &(*link)->next;

    struct mould *mould = *link;

    if (mould != NULL) {
        *link = mould->next;
        moulds->kept--;
    }
    return mould;
}

static void free_mould(struct mould *mould)
{
    if (mould->response != NULL)
        MHD_destroy_response(mould->response);
    free(mould);
}

/* They are listed in the order in which they were added. */
static enum MHD_Result find_value(void *cls, enum MHD_ValueKind kind,
                                  const char *name, const char *value)
{
    struct mould *mould = cls;
    size_t i = mould->nfields++;

    (void)kind;
    assert(strcmp(name, mould->fields[i].name) == 0);
    assert(strlen(value) == mould->fields[i].size);
    mould->fields[i].value = (char *)(uintptr_t)value;
    return MHD_YES;
}

static bool add_fields(struct mould *mould, const struct mould_field *fields,
                       size_t nfields)
{
    for (size_t i = 0; i < nfields; i++) {
        if (MHD_add_response_header(mould->response, fields[i].name,
                                    fields[i].value.data) != MHD_YES)
            return false;
        mould->fields[i].name = fields[i].name;
        mould->fields[i].size = fields[i].value.size;
    }
    MHD_get_response_headers(mould->response, find_value, mould);
    assert(mould->nfields == nfields);
    return true;
}

static struct mould *new_mould(size_t shape, const struct mould_field *fields,
                               size_t nfields, size_t size)
{
    struct mould *mould = calloc(1, sizeof(*mould) + size);

    if (mould == NULL)
        return NULL;
    mould->shape = shape;
    mould->size = size;
    mould->response = MHD_create_response_from_buffer(size, mould->body,
                                                      MHD_RESPMEM_PERSISTENT);
    if (mould->response == NULL || !add_fields(mould, fields, nfields)) {
        free_mould(mould);
        return NULL;
    }
    return mould;
}

/* libmicrohttpd checks what it copies; here is nobody else to do it. */
static bool is_one_line(struct view value)
{
    return memchr(value.data, '\n', value.size) == NULL &&
           memchr(value.data, '\r', value.size) == NULL;
}

static bool fill(struct mould *mould, const struct mould_field *fields,
                 struct view body)
{
    for (size_t i = 0; i < mould->nfields; i++) {
        struct view value = fields[i].value;

        if (memcmp(mould->fields[i].value, value.data, value.size) == 0)
            continue;
        if (!is_one_line(value))
            return false;
        memcpy(mould->fields[i].value, value.data, value.size);
    }
    if (body.size > 0)
        memcpy(mould->body, body.data, body.size);
    return true;
}

struct mould *moulds_take(struct moulds *moulds,
                          const struct mould_field *fields, size_t nfields,
                          struct view body)
{
    struct mould *mould;
    size_t shape;

    if (nfields > MOULD_FIELDS || body.size > MOULD_BODY_MAX)
        return NULL;
    shape = shape_of(fields, nfields, body.size);
    mould = take_kept(moulds, shape, fields, nfields, body.size);
    if (mould == NULL)
        mould = new_mould(shape, fields, nfields, body.size);
    if (mould != NULL && !fill(mould, fields, body)) {
        free_mould(mould);
        mould = NULL;
    }
    return mould;
}

static void give_one_up(struct moulds *moulds)
{
    struct mould *mould;

    assert(moulds->kept > 0);
    while (moulds->buckets[moulds->oldest] == NULL)
        moulds->oldest = (moulds->oldest + 1) % MOULD_BUCKETS;
    mould = moulds->buckets[moulds->oldest];
    moulds->buckets[moulds->oldest] = mould->next;
    moulds->kept--;
    moulds->oldest = (moulds->oldest + 1) % MOULD_BUCKETS;
    free_mould(mould);
}

void moulds_give_back(struct moulds *moulds, struct mould *mould)
{
    struct mould **link = bucket_of(moulds, mould->shape);

    if (moulds->kept == MOULDS_KEPT)
        give_one_up(moulds);
    mould->next = *link;
    *link = mould;
    moulds->kept++;
}

void moulds_clear(struct moulds *moulds)
{
    while (moulds->kept > 0)
        give_one_up(moulds);
}

struct MHD_Response *mould_response(struct mould *mould)
{
    return mould->response;
}
