/*
 * The engine-neutral half of the seam: a batch is one flat run of
 * [delete? 1][key size 4][value size 4][key][value].
 */
#include "storage/engine.h"

#include "base/clock.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { HEAD_SIZE = 9 };

void engine_batch_free(struct engine_batch *batch)
{
    blob_free(&batch->bytes);
    batch->count = 0;
}

void engine_batch_clear(struct engine_batch *batch)
{
    blob_clear(&batch->bytes);
    batch->count = 0;
}

static void append(struct engine_batch *batch, bool is_delete, struct view key,
                   struct view value)
{
    assert(key.size <= UINT32_MAX && value.size <= UINT32_MAX);
    /* A whole operation or, where memory runs out, nothing of it. */
    if (blob_reserve(&batch->bytes, HEAD_SIZE + key.size + value.size) !=
        KIST_OK)
        return;
    blob_append_byte(&batch->bytes, is_delete ? 1 : 0);
    blob_append_u32(&batch->bytes, (uint32_t)key.size);
    blob_append_u32(&batch->bytes, (uint32_t)value.size);
    blob_append(&batch->bytes, key);
    blob_append(&batch->bytes, value);
    batch->count++;
}

struct engine_place engine_batch_put(struct engine_batch *batch,
                                     struct view key, struct view value)
{
    append(batch, false, key, value);
    if (batch->bytes.failed)
        return (struct engine_place){0};
    return (struct engine_place){batch->bytes.size - value.size, value.size};
}

struct view engine_batch_at(const struct engine_batch *batch,
                            struct engine_place place)
{
    assert(place.offset + place.size <= batch->bytes.size);
    return (struct view){batch->bytes.data + place.offset, place.size};
}

void engine_batch_delete(struct engine_batch *batch, struct view key)
{
    append(batch, true, key, (struct view){0});
}

struct engine_mark engine_batch_mark(const struct engine_batch *batch)
{
    return (struct engine_mark){batch->bytes.size, batch->count};
}

void engine_batch_rewind(struct engine_batch *batch, struct engine_mark mark)
{
    assert(mark.size <= batch->bytes.size && mark.count <= batch->count);
    batch->bytes.size = mark.size;
    batch->count = mark.count;
}

bool engine_batch_next(const struct engine_batch *batch, size_t *offset,
                       struct engine_operation *out_operation)
{
    if (*offset == batch->bytes.size)
        return false;

    const char *head = batch->bytes.data + *offset;
    size_t key_size = read_u32(head + 1);
    size_t value_size = read_u32(head + 5);

    *out_operation = (struct engine_operation){
        .is_delete = head[0] == 1,
        .key = {head + HEAD_SIZE, key_size},
        .value = {head + HEAD_SIZE + key_size, value_size},
    };
    *offset += HEAD_SIZE + key_size + value_size;
    assert(*offset <= batch->bytes.size);
    return true;
}

void engine_fault_set(struct engine_fault *fault, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vsnprintf(fault->text, sizeof(fault->text), format, values);
    va_end(values);
}

enum kist_status engine_get(struct engine *engine, struct view key,
                            struct blob *out_value)
{
    struct hold hold = HOLD_NOTHING;
    struct view value;
    enum kist_status status = engine->ops->get(engine, key, &value, &hold);

    if (status != KIST_OK)
        return status;
    blob_append(out_value, value);
    hold_release(&hold);
    return out_value->failed ? KIST_NO_MEMORY : KIST_OK;
}

enum kist_status engine_apply(struct engine *engine,
                              const struct engine_batch *batch,
                              enum engine_sync sync, uint64_t patience_ms)
{
    uint64_t deadline_ns = clock_mono_ns() + patience_ms * 1000000;
    enum kist_status status = engine->ops->apply(engine, batch, sync);

    while (status == KIST_BUSY && clock_mono_ns() < deadline_ns) {
        clock_pause_ms(1);
        status = engine->ops->apply(engine, batch, sync);
    }
    return status;
}
