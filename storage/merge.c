#include "storage/merge.h"

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int merge_compare(const struct record *a, const struct record *b)
{
    int result = version_compare(a->version, b->version);

    if (result == 0)
        result = order(a->tombstone, b->tombstone);
    if (result == 0)
        result = order(a->expiry_ms, b->expiry_ms);
    if (result == 0)
        result = order(a->created_ms, b->created_ms);
    if (result == 0)
        result = order(a->type, b->type);
    if (result == 0)
        result = order(a->large, b->large);
    if (result == 0)
        result = view_compare(a->media_type, b->media_type);
    return result != 0 ? result : view_compare(a->value, b->value);
}

bool merge_may_purge(const struct record *record, struct version floor)
{
    return version_compare(record->version, floor) < 0 &&
           record_is_dead(record, version_ms(floor));
}
