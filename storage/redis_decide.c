#include "storage/redis_decide.h"

#include "base/clock.h"

#include <string.h>

/* In front of each record: when its key came to have a value. */
#define CREATED_SIZE 8

/*
 * Two writes of this process never get the same version: by it, one that is
 * sent again is recognised. A time that our clock does not follow is not ours
 * alone, so the other half of the version tells them apart.
 */
static struct version stamp(const struct redis_changes *by,
                            struct redis_entry *entry, uint64_t now_ms)
{
    struct version above = {entry->above, 0};
    bool follows = hlc_observe(by->clock, above, now_ms);
    struct version version = hlc_next(by->clock, now_ms);

    if (!follows && version.hlc <= entry->above) {
        version.hlc = entry->above + 1;
        version.incarnation += 1 + atomic_fetch_add(by->strays, 1);
    }
    entry->above = version.hlc;
    return version;
}

static void put_u64(char *out, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        out[i] = (char)(number & 0xFF);
}

static void put_version(char *out, struct version version)
{
    put_u64(out, version.hlc);
    put_u64(out + 8, version.incarnation);
}

static void put_condition(struct redis_entry *entry,
                          const struct condition *condition)
{
    entry->condition_bytes[0] = (char)condition->kind;
    for (size_t i = 0; i < condition->count; i++)
        put_version(entry->condition_bytes + 1 + i * 16,
                    condition->versions[i]);
    entry->condition_size = 1 + condition->count * 16;
}

/* What is kept is kept if the key still is as it was read. */
static void expect_base(struct redis_entry *entry)
{
    struct condition condition = {.kind = CONDITION_ABSENT};

    if (!version_is_none(entry->base))
        condition = (struct condition){
            .kind = CONDITION_ANY_OF, .count = 1, .versions = {entry->base}};
    put_condition(entry, &condition);
}

static enum kist_status enter(struct redis_entry *entry,
                              const struct record *next, enum redis_verb verb)
{
    struct blob record = BLOB_EMPTY;

    if (!next->tombstone) {
        record_encode(entry->key, next, &record);
        if (record.failed) {
            blob_free(&record);
            return KIST_NO_MEMORY;
        }
    }
    blob_free(&entry->record); /* next may have borrowed from it. */
    entry->record = record;
    entry->verb = verb;
    entry->version = next->version;
    entry->expiry_ms = next->expiry_ms;
    put_version(entry->version_bytes, next->version);
    put_u64(entry->created_bytes, next->created_ms);
    return KIST_OK;
}

void redis_decide_read(struct redis_entry *entry, bool present,
                       struct view bytes)
{
    struct record record;

    entry->is_corrupt = false;
    entry->is_present = present;
    entry->is_changed = false;
    entry->base = VERSION_NONE;
    entry->bytes = (struct view){0};
    if (!present)
        return;
    entry->is_corrupt = true;
    if (bytes.size < CREATED_SIZE + RECORD_HEAD_SIZE)
        return;
    entry->created_ms = read_u64(bytes.data);
    entry->bytes = view_from(bytes, CREATED_SIZE);
    if (record_decode(entry->key, entry->bytes, &record) != KIST_OK ||
        record.large || record.tombstone)
        return; /* Neither is ever kept here. */
    entry->is_corrupt = false;
    entry->base = record.version;
    if (record.version.hlc > entry->above)
        entry->above = record.version.hlc;
}

/* The outcome of what came before it, or what was read; false: no value. */
static bool find_live(const struct redis_entry *entry, uint64_t now_ms,
                      struct record *out_record)
{
    if (!entry->is_present)
        return false;
    record_trust(entry->is_changed ? blob_view(&entry->record) : entry->bytes,
                 out_record);
    out_record->created_ms = entry->created_ms;
    return !record_is_dead(out_record, now_ms);
}

static enum kist_status keep(struct redis_change *change,
                             struct redis_entry *entry, struct write *write,
                             const struct record *live, struct record *next,
                             uint64_t now_ms)
{
    bool anew = live == NULL;
    enum redis_verb verb = next->tombstone ? REDIS_VERB_DELETE
                           : anew          ? REDIS_VERB_PUT_ANEW
                                           : REDIS_VERB_PUT;
    enum kist_status status;

    if (entry->is_changed && entry->verb == REDIS_VERB_PUT_ANEW &&
        verb == REDIS_VERB_PUT)
        verb = REDIS_VERB_PUT_ANEW;
    next->version = stamp(change->by, entry, now_ms);
    next->created_ms = anew ? now_ms : live->created_ms;
    status = enter(entry, next, verb);
    if (status != KIST_OK)
        return status;
    entry->is_changed = true;
    entry->is_present = !next->tombstone;
    entry->created_ms = next->created_ms;
    write->version = entry->version;
    write->created = anew;
    write->expiry_ms = entry->expiry_ms;
    return KIST_OK;
}

static enum kist_status decide(struct redis_change *change,
                               struct redis_entry *entry, struct write *write,
                               uint64_t now_ms, uint64_t *work)
{
    struct record current, next = write->next;
    const struct record *live = NULL;
    enum kist_status status;

    write->version = VERSION_NONE;
    write->created = false;
    write->unchanged = false;
    write->expiry_ms = 0;
    if (entry->is_corrupt)
        return KIST_CORRUPT;
    if (find_live(entry, now_ms, &current)) {
        live = &current;
        write->version = live->version;
        *work += live->value.size;
    }
    if (!condition_holds(&write->condition, live))
        return KIST_CONFLICT;
    if (write->edit != NULL) {
        next = live != NULL ? *live : (struct record){0};
        status = write->edit(write, live, &next);
        if (status != KIST_OK || write->unchanged)
            return status;
    }
    if (next.tombstone && live == NULL)
        return KIST_NOT_FOUND;
    *work += next.value.size;
    return keep(change, entry, write, live, &next, now_ms);
}

static void decide_item(struct redis_change *change, size_t i, uint64_t now_ms)
{
    struct redis_item *item = &change->items[i];
    struct commit_group *group = item->group;
    uint64_t work = 0;

    if (group->work_limit != 0 && group->work >= group->work_limit)
        item->write->status = KIST_TOO_LARGE;
    else
        item->write->status = decide(change, &change->entries[item->entry],
                                     item->write, now_ms, &work);
    group->work += work;
    if (item->write->status != KIST_OK && i < change->failed)
        change->failed = i;
}

/* Nothing may have changed about what an atomic change has only looked at. */
static void conclude(const struct redis_change *change,
                     struct redis_entry *entry)
{
    entry->bytes = (struct view){0};
    if (!entry->is_changed && change->atomic && !entry->is_corrupt) {
        struct record none = {.tombstone = true};

        entry->is_settled = enter(entry, &none, REDIS_VERB_CHECK) != KIST_OK;
        entry->is_changed = true;
    }
    if (!entry->is_changed)
        entry->is_settled = true;
    else
        expect_base(entry);
}

void redis_decide(struct redis_change *change, size_t first, size_t count)
{
    uint64_t now_ms = clock_wall_ms();

    for (size_t i = 0; i < change->count; i++)
        if (change->items[i].entry - first < count &&
            !change->entries[change->items[i].entry].is_settled)
            decide_item(change, i, now_ms);
    for (size_t i = first; i < first + count; i++)
        if (!change->entries[i].is_settled)
            conclude(change, &change->entries[i]);
}

/* It is kept as it is; a time that is not believed sets no clock. */
static enum kist_status apply(const struct redis_changes *by,
                              struct redis_entry *entry)
{
    const struct record *next = &entry->write->next;
    struct condition none = {.kind = CONDITION_NONE};
    bool follows = hlc_observe(by->clock, next->version, clock_wall_ms());

    (void)follows;
    entry->is_changed = true;
    put_condition(entry, &none);
    return enter(entry, next,
                 next->tombstone ? REDIS_VERB_FORGET : REDIS_VERB_APPLY);
}

enum kist_status redis_decide_plainly(const struct redis_changes *by,
                                      struct redis_entry *entry)
{
    struct record next = entry->write->next;
    uint64_t now_ms = clock_wall_ms();

    if (entry->write->kind == WRITE_APPLY)
        return apply(by, entry);
    next.version = stamp(by, entry, now_ms);
    next.created_ms = now_ms;
    entry->is_changed = true;
    put_condition(entry, &entry->write->condition);
    return enter(entry, &next,
                 next.tombstone ? REDIS_VERB_DELETE : REDIS_VERB_PUT);
}
