#include "storage/redis_groups.h"

#include "storage/key_hash.h"

#include <stdlib.h>

/* Changes of single keys that more may join; open addressing. */
struct table {
    struct redis_change **changes;
    size_t mask;
};

struct dealing {
    const struct redis_changes *by;
    struct redis_task_list tasks;
    struct table table;
};

static void refuse(const struct redis_changes *by, struct commit_group *group,
                   enum kist_status status)
{
    for (size_t i = 0; i < group->count; i++) {
        group->writes[i].status = status;
        group->writes[i].version = VERSION_NONE;
    }
    group->parts = 1;
    redis_change_return(by, group);
}

static struct redis_change **place_of(const struct table *table,
                                      struct view key)
{
    size_t at = key_hash(key) & table->mask;

    while (table->changes[at] != NULL &&
           !view_equal(table->changes[at]->entries[0].key, key))
        at = (at + 1) & table->mask;
    return &table->changes[at];
}

static struct redis_change *begin_single(struct dealing *dealing,
                                         struct commit_group *group)
{
    struct write *write = &group->writes[0];
    struct redis_change *change =
        redis_change_new(dealing->by, write->key, write->edit != NULL);
    size_t entry;

    /* There is room for one of each from the start. */
    if (change == NULL ||
        redis_change_add_entry(change, write->key, &entry) != KIST_OK ||
        redis_change_add_item(change, group, write, entry) != KIST_OK) {
        redis_change_free(change);
        refuse(dealing->by, group, KIST_NO_MEMORY);
        return NULL;
    }
    redis_task_list_add(&dealing->tasks, &change->task);
    return change;
}

static void deal_single(struct dealing *dealing, struct commit_group *group)
{
    struct write *write = &group->writes[0];
    struct redis_change **place;

    group->parts = 1;
    if (write->edit == NULL || dealing->table.changes == NULL) {
        begin_single(dealing, group);
        return;
    }
    place = place_of(&dealing->table, write->key);
    if (*place == NULL)
        *place = begin_single(dealing, group);
    else if (redis_change_add_item(*place, group, write, 0) != KIST_OK)
        refuse(dealing->by, group, KIST_NO_MEMORY);
}

/* Parts. */

struct part {
    struct redis_change *change; /* NULL: none of the group is here. */
    bool reads;
};

/* In one slot, as Redis counts them. */
static bool lies_together(const struct commit_group *group)
{
    for (size_t i = 1; i < group->count; i++)
        if (redis_slot(group->writes[i].key) !=
            redis_slot(group->writes[0].key))
            return false;
    return true;
}

/* The entry of a key in a part that reads: one for all of its writes. */
static enum kist_status find_entry(struct redis_change *change, struct view key,
                                   size_t *index, size_t mask,
                                   size_t *out_entry)
{
    size_t at = key_hash(key) & mask;
    enum kist_status status;

    /* One table for all parts: another part's entry has another key. */
    while (index[at] != 0) {
        size_t entry = index[at] - 1;

        if (entry < change->entries_count &&
            view_equal(change->entries[entry].key, key)) {
            *out_entry = entry;
            return KIST_OK;
        }
        at = (at + 1) & mask;
    }
    status = redis_change_add_entry(change, key, out_entry);
    if (status == KIST_OK)
        index[at] = *out_entry + 1;
    return status;
}

static enum kist_status add_to_part(const struct redis_changes *by,
                                    struct part *part,
                                    struct commit_group *group,
                                    struct write *write, size_t *index,
                                    size_t mask)
{
    struct redis_change *change = part->change;
    enum kist_status status;
    size_t entry;

    if (change == NULL) {
        change = redis_change_new(by, write->key, part->reads || group->atomic);
        if (change == NULL)
            return KIST_NO_MEMORY;
        change->is_part = true;
        change->atomic = group->atomic;
        part->change = change;
    }
    if (change->reads)
        status = find_entry(change, write->key, index, mask, &entry);
    else
        status = redis_change_add_entry(change, write->key, &entry);
    if (status == KIST_OK)
        status = redis_change_add_item(change, group, write, entry);
    return status;
}

static size_t table_size(size_t count)
{
    size_t size = 8;

    while (size < count * 2)
        size *= 2;
    return size;
}

static enum kist_status cut(const struct redis_changes *by,
                            struct commit_group *group, struct part *parts)
{
    size_t size = table_size(group->count);
    size_t *index = calloc(size, sizeof(*index));
    enum kist_status status = index == NULL ? KIST_NO_MEMORY : KIST_OK;

    for (size_t i = 0; i < group->count; i++)
        if (group->writes[i].edit != NULL)
            parts[redis_slot_shard(group->writes[i].key)].reads = true;
    for (size_t i = 0; status == KIST_OK && i < group->count; i++) {
        struct write *write = &group->writes[i];

        status = add_to_part(by, &parts[redis_slot_shard(write->key)], group,
                             write, index, size - 1);
    }
    free(index);
    return status;
}

static void deal_many(struct dealing *dealing, struct commit_group *group)
{
    struct part parts[REDIS_SLOT_SHARDS] = {{NULL, false}};
    enum kist_status status = KIST_INVALID;
    size_t count = 0;

    if (!group->atomic || lies_together(group))
        status = cut(dealing->by, group, parts);
    for (size_t i = 0; i < REDIS_SLOT_SHARDS; i++)
        count += parts[i].change != NULL;
    group->parts = count;
    if (group->count == 0)
        refuse(dealing->by, group, KIST_OK); /* It asks for nothing. */
    for (size_t i = 0; i < REDIS_SLOT_SHARDS; i++)
        if (parts[i].change != NULL && status == KIST_OK)
            redis_task_list_add(&dealing->tasks, &parts[i].change->task);
        else
            redis_change_free(parts[i].change);
    if (status != KIST_OK && group->count > 0)
        refuse(dealing->by, group, status);
}

void redis_groups_give(const struct redis_changes *by,
                       struct commit_group *groups)
{
    struct dealing dealing = {.by = by};
    size_t count = 0, size;

    for (const struct commit_group *group = groups; group != NULL;
         group = group->next)
        count++;
    size = table_size(count);
    dealing.table.mask = size - 1;
    if (count > 1) /* Without it, each is a change of its own. */
        dealing.table.changes = calloc(size, sizeof(struct redis_change *));
    redis_task_list_init(&dealing.tasks);

    while (groups != NULL) {
        struct commit_group *group = groups;

        groups = group->next; /* It may be gone once it is dealt with. */
        group->failed = group->count;
        group->work = 0;
        if (group->count == 1 && !group->atomic)
            deal_single(&dealing, group);
        else
            deal_many(&dealing, group);
    }
    free(dealing.table.changes);
    redis_map_give(by->map, &dealing.tasks);
}
