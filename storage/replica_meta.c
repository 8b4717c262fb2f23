#include "storage/replica_meta.h"

#include <assert.h>
#include <string.h>

struct meta_key {
    char bytes[1 + REPLICA_META_NAME_MAX];
};

static struct view key_of(struct view name, struct meta_key *out)
{
    assert(name.size > 0 && name.size <= REPLICA_META_NAME_MAX);
    out->bytes[0] = 'r';
    memcpy(out->bytes + 1, name.data, name.size);
    return (struct view){out->bytes, 1 + name.size};
}

enum kist_status replica_meta_get(struct store *store, struct view name,
                                  struct blob *out)
{
    struct engine *engine = store_borrow_engine(store);
    struct meta_key key;
    enum kist_status status;

    if (engine == NULL)
        return KIST_READ_ONLY;
    status = engine_get(engine, key_of(name, &key), out);
    store_return_engine(store);
    return status;
}

void replica_meta_put(struct engine_batch *batch, struct view name,
                      struct view bytes)
{
    struct meta_key key;

    engine_batch_put(batch, key_of(name, &key), bytes);
}

void replica_meta_delete(struct engine_batch *batch, struct view name)
{
    struct meta_key key;

    engine_batch_delete(batch, key_of(name, &key));
}
