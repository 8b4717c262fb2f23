#include "replication/listing.h"

#include "replication/ring.h"

enum kist_status listing_add(struct env *env, struct env_part part,
                             struct view after, struct blob *out,
                             unsigned *count)
{
    unsigned more = 0;
    enum kist_status status = KIST_OK;

    if (*count < FRAME_PAGE_MAX)
        status = env->ops->list(env, part, after, FRAME_PAGE_MAX - *count, out,
                                &more);
    *count += more;
    return status;
}

static int order(struct view a, struct view b)
{
    uint64_t x = ring_hash(a), y = ring_hash(b);

    return x != y ? (x < y ? -1 : 1) : view_compare(a, b);
}

enum kist_status listing_read(struct view bytes, unsigned count,
                              struct listing_page *out_page)
{
    if (count > FRAME_PAGE_MAX)
        return KIST_CORRUPT;
    out_page->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct frame_entry *entry = &out_page->entries[i];

        if (frame_next_entry(&bytes, entry) != KIST_OK ||
            (i > 0 && order(entry[-1].key, entry->key) >= 0))
            return KIST_CORRUPT;
    }
    return bytes.size == 0 ? KIST_OK : KIST_CORRUPT;
}

/* What lies behind the end of a full page cannot be judged yet. */
static void cut(struct listing_page *page, struct view end)
{
    while (page->count > 0 &&
           order(page->entries[page->count - 1].key, end) > 0)
        page->count--;
}

bool listing_cut(struct listing_page *here, struct listing_page *there,
                 struct view *out_end)
{
    bool here_goes_on = here->count == FRAME_PAGE_MAX;
    bool there_goes_on = there->count == FRAME_PAGE_MAX;
    struct view end = {0};

    if (!here_goes_on && !there_goes_on)
        return false;
    if (here_goes_on)
        end = here->entries[FRAME_PAGE_MAX - 1].key;
    if (there_goes_on &&
        (!here_goes_on ||
         order(there->entries[FRAME_PAGE_MAX - 1].key, end) < 0))
        end = there->entries[FRAME_PAGE_MAX - 1].key;
    cut(here, end);
    cut(there, end);
    *out_end = end;
    return true;
}

void listing_compare(const struct listing_page *here,
                     const struct listing_page *there,
                     const struct listing_visitor *visitor)
{
    unsigned i = 0, j = 0;

    while (i < here->count || j < there->count) {
        const struct frame_entry *a = &here->entries[i];
        const struct frame_entry *b = &there->entries[j];
        int side = i == here->count    ? 1
                   : j == there->count ? -1
                                       : order(a->key, b->key);
        int newer = side != 0 ? -side : version_compare(a->version, b->version);

        if (newer > 0)
            visitor->newer_here(visitor->ctx, a->key);
        else if (newer < 0)
            visitor->newer_there(visitor->ctx, b->key);
        i += side <= 0;
        j += side >= 0;
    }
}
