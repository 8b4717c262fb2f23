#include "storage/redis_change.h"

#include "base/clock.h"
#include "base/owner.h"
#include "storage/redis_decide.h"
#include "storage/redis_outcome.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of a long part, so many are read at once: an answer is held in memory. */
#define READ_AT_ONCE 16

/* In vain, before it makes way for the others. */
#define EAGER_ATTEMPTS 8

static struct redis_change *of_task(struct redis_task *task)
{
    return OWNER(task, struct redis_change, task);
}

static uint32_t tag_of(const struct redis_change *change)
{
    return redis_map_tag(change->by->map, change->task.shard);
}

bool redis_change_is_due(const struct redis_entry *entry)
{
    return entry->is_changed && !entry->is_settled;
}

size_t redis_change_count_due(const struct redis_change *change)
{
    size_t count = 0;

    for (size_t i = 0; i < change->entries_count; i++)
        count += redis_change_is_due(&change->entries[i]);
    return count;
}

/* Reading. */

static size_t names_size(const struct redis_change *change, size_t first,
                         size_t count)
{
    size_t size = 0;

    for (size_t i = first; i < first + count; i++)
        size += change->entries[i].key.size + REDIS_COMMAND_NAME_SIZE;
    return size;
}

/* Entries from at on that are not settled, up to an answer's worth. */
static void choose(struct redis_change *change)
{
    while (change->at < change->entries_count &&
           change->entries[change->at].is_settled)
        change->at++;
    change->reading = 0;
    while (change->reading < READ_AT_ONCE &&
           change->at + change->reading < change->entries_count &&
           !change->entries[change->at + change->reading].is_settled)
        change->reading++;
}

static void say_reading(struct redis_change *change,
                        struct redis_command *command)
{
    choose(change);
    change->task.writes = false;
    redis_command_begin(command,
                        names_size(change, change->at, change->reading));
    redis_command_add(command, change->reading == 1 ? VIEW_LITERAL("GET")
                                                    : VIEW_LITERAL("MGET"));
    for (size_t i = 0; i < change->reading; i++)
        redis_command_add_name(command, tag_of(change), REDIS_NAME_RECORD,
                               change->entries[change->at + i].key);
}

static enum redis_heard go_on_writing(struct redis_change *change)
{
    if (change->atomic && change->failed < change->count) {
        change->items[0].group->failed = change->failed;
        return REDIS_HEARD_ALL;
    }
    if (redis_change_count_due(change) == 0)
        return REDIS_HEARD_ALL;
    change->step = REDIS_CHANGE_WRITING;
    return REDIS_HEARD_PART;
}

static void read_entry(struct redis_entry *entry,
                       const struct redis_answer *answer)
{
    redis_decide_read(entry, answer->kind == REDIS_ANSWER_TEXT, answer->text);
}

static enum redis_heard hear_reading(struct redis_change *change,
                                     const struct redis_answer *answer)
{
    struct redis_entry *first = &change->entries[change->at];

    if (change->reading == 1)
        read_entry(first, answer);
    else if (answer->kind != REDIS_ANSWER_LIST ||
             answer->count != change->reading) {
        redis_outcome_fail(change, KIST_IO);
        return REDIS_HEARD_ALL;
    }
    for (size_t i = 0; change->reading > 1 && i < change->reading; i++) {
        struct redis_answer element = redis_answer_at(answer, i);

        read_entry(&first[i], &element);
    }
    redis_decide(change, change->at, change->reading);
    change->at += change->reading;
    choose(change);
    return change->reading > 0 ? REDIS_HEARD_PART : go_on_writing(change);
}

/* Writing. */

static void add_step(struct redis_command *command, struct redis_entry *entry)
{
    static const char verbs[] = "pqdktmf";
    const char *verb = strchr(verbs, (int)entry->verb);

    redis_command_add(
        command, (struct view){entry->condition_bytes, entry->condition_size});
    redis_command_add(command, (struct view){verb, 1});
    redis_command_add(command, (struct view){entry->version_bytes, 16});
    redis_command_add(command, (struct view){entry->created_bytes, 8});
    redis_command_add_number(command, entry->expiry_ms);
    redis_command_add(command, blob_view(&entry->record));
}

/* What was said once and not answered is said again as it was. */
static bool prepare(struct redis_change *change)
{
    bool made = true;

    if (change->reads || change->task.is_unanswered)
        return true;
    for (size_t i = 0; i < change->entries_count; i++)
        if (!change->entries[i].is_settled)
            made = redis_decide_plainly(change->by, &change->entries[i]) ==
                       KIST_OK &&
                   made;
    return made;
}

static struct view mode_of(const struct redis_change *change)
{
    static const char modes[2][2][3] = {{"00", "01"}, {"10", "11"}};

    return view_of(modes[change->atomic][change->task.is_unanswered]);
}

static void say_writing(struct redis_change *change,
                        struct redis_command *command)
{
    bool made = prepare(change);
    size_t due = redis_change_count_due(change);
    size_t numbers = (due + 1) * REDIS_COMMAND_NUMBER_SIZE;

    change->task.writes = true;
    redis_command_begin(command, names_size(change, 0, change->entries_count) +
                                     numbers + 2 * REDIS_COMMAND_NAME_SIZE);
    redis_command_add_script(command, REDIS_SCRIPT_CHANGE);
    redis_command_add_number(command, due + 2);
    redis_command_add_name(command, tag_of(change), REDIS_NAME_INDEX,
                           (struct view){0});
    redis_command_add_name(command, tag_of(change), REDIS_NAME_FLOOR,
                           (struct view){0});
    for (size_t i = 0; i < change->entries_count; i++)
        if (redis_change_is_due(&change->entries[i]))
            redis_command_add_name(command, tag_of(change), REDIS_NAME_RECORD,
                                   change->entries[i].key);
    redis_command_add(command, mode_of(change));
    for (size_t i = 0; i < change->entries_count; i++)
        if (redis_change_is_due(&change->entries[i]))
            add_step(command, &change->entries[i]);
    if (!made)
        command->failed = true;
}

static enum redis_heard try_again(struct redis_change *change)
{
    change->attempts++;
    change->step = change->reads ? REDIS_CHANGE_READING : REDIS_CHANGE_WRITING;
    change->at = 0;
    change->failed = change->count;
    return change->attempts < EAGER_ATTEMPTS ? REDIS_HEARD_PART
                                             : REDIS_HEARD_LATER;
}

static enum redis_heard hear_writing(struct redis_change *change,
                                     const struct redis_answer *answer)
{
    return redis_outcome_hear(change, answer) ? REDIS_HEARD_ALL
                                              : try_again(change);
}

/* Replacing. */

static bool may_replace(const struct redis_change *change)
{
    const struct write *write = change->entries[0].write;

    return change->step == REDIS_CHANGE_WRITING && !change->is_part &&
           change->attempts == 0 && !change->task.is_unanswered &&
           write != NULL && write->kind == WRITE_CLIENT &&
           !write->next.tombstone && write->next.expiry_ms == 0 &&
           write->condition.kind == CONDITION_NONE &&
           atomic_load_explicit(change->by->habit, memory_order_relaxed) >= 0;
}

static void say_replacing(struct redis_change *change,
                          struct redis_command *command)
{
    struct redis_entry *entry = &change->entries[0];
    bool made = prepare(change);

    change->task.writes = true;
    redis_command_begin(command, entry->key.size + REDIS_COMMAND_NAME_SIZE);
    redis_command_add_script(command, REDIS_SCRIPT_REPLACE);
    redis_command_add(command, VIEW_LITERAL("1"));
    redis_command_add_name(command, tag_of(change), REDIS_NAME_RECORD,
                           entry->key);
    redis_command_add(command, blob_view(&entry->record));
    if (!made)
        command->failed = true;
}

static enum redis_heard hear_replacing(struct redis_change *change,
                                       const struct redis_answer *answer)
{
    struct redis_entry *entry = &change->entries[0];

    if (answer->kind != REDIS_ANSWER_NUMBER || answer->number != 1)
        return try_again(change);
    change->step = REDIS_CHANGE_WRITING;
    redis_outcome_note_habit(change->by, true);
    redis_outcome_settle(entry, KIST_OK, false);
    return REDIS_HEARD_ALL;
}

/* The task. */

static void say(struct redis_task *task, struct redis_command *command)
{
    struct redis_change *change = of_task(task);

    /* What was not answered is for the script that can tell what it did. */
    if (change->step == REDIS_CHANGE_REPLACING)
        change->step = REDIS_CHANGE_WRITING;
    if (may_replace(change))
        change->step = REDIS_CHANGE_REPLACING;
    switch (change->step) {
    case REDIS_CHANGE_READING:
        say_reading(change, command);
        break;
    case REDIS_CHANGE_WRITING:
        say_writing(change, command);
        break;
    case REDIS_CHANGE_REPLACING:
        say_replacing(change, command);
        break;
    }
}

static enum redis_heard hear(struct redis_task *task,
                             const struct redis_answer *answer)
{
    struct redis_change *change = of_task(task);

    switch (change->step) {
    case REDIS_CHANGE_READING:
        return hear_reading(change, answer);
    case REDIS_CHANGE_WRITING:
        return hear_writing(change, answer);
    case REDIS_CHANGE_REPLACING:
        break;
    }
    return hear_replacing(change, answer);
}

/* What was told to be done is not, as far as anybody knows. */
static void fail(struct redis_change *change, enum kist_status status)
{
    bool doubts_all = change->atomic || status == KIST_UNKNOWN;

    for (size_t i = 0; i < change->count; i++) {
        struct write *write = change->items[i].write;
        struct redis_entry *entry = &change->entries[change->items[i].entry];

        if (doubts_all && entry->is_changed && write->status == KIST_OK &&
            !write->unchanged)
            entry->is_settled = false;
    }
    redis_outcome_fail(change, status);
}

static void done(struct redis_task *task, enum kist_status status)
{
    struct redis_change *change = of_task(task);
    const struct redis_changes *by = change->by;

    if (status != KIST_OK)
        fail(change, status);
    if (change->is_part)
        redis_change_return(by, change->items[0].group);
    else
        for (size_t i = 0; i < change->count; i++)
            redis_change_return(by, change->items[i].group);
    redis_change_free(change);
}

void redis_change_return(const struct redis_changes *by,
                         struct commit_group *group)
{
    if (atomic_fetch_sub(&group->parts, 1) > 1)
        return;
    group->synced = atomic_load(by->is_durable) ? ENGINE_SYNC : ENGINE_ASYNC;
    commit_return(group);
}

struct redis_change *redis_change_new(const struct redis_changes *by,
                                      struct view key, bool reads)
{
    struct redis_change *change = malloc(sizeof(*change));

    if (change == NULL)
        return NULL;
    /* Not all of it: one_entry is large, and set when it is used. */
    memset(change, 0, offsetof(struct redis_change, one_item));
    change->by = by;
    change->reads = reads;
    change->step = reads ? REDIS_CHANGE_READING : REDIS_CHANGE_WRITING;
    change->task.shard = redis_slot_shard(key);
    change->task.deadline_ns =
        clock_mono_ns() + by->timeout_ms * UINT64_C(1000000);
    change->task.say = say;
    change->task.hear = hear;
    change->task.done = done;
    change->items = &change->one_item;
    change->items_capacity = 1;
    change->entries = &change->one_entry;
    change->entries_capacity = 1;
    return change;
}

void redis_change_free(struct redis_change *change)
{
    if (change == NULL)
        return;
    for (size_t i = 0; i < change->entries_count; i++)
        blob_free(&change->entries[i].record);
    if (change->entries != &change->one_entry)
        free(change->entries);
    if (change->items != &change->one_item)
        free(change->items);
    free(change);
}

/* Room for one more in *array, which is at own while it has one. */
static bool grow(void **array, const void *own, size_t count, size_t *capacity,
                 size_t size)
{
    size_t larger = *capacity * 2 + 8;
    void *memory;

    if (count < *capacity)
        return true;
    memory = reallocarray(*array == own ? NULL : *array, larger, size);
    if (memory == NULL)
        return false;
    if (*array == own)
        memcpy(memory, own, count * size);
    *array = memory;
    *capacity = larger;
    return true;
}

enum kist_status redis_change_add_entry(struct redis_change *change,
                                        struct view key, size_t *out_entry)
{
    void *entries = change->entries;
    struct redis_entry *entry;

    if (!grow(&entries, &change->one_entry, change->entries_count,
              &change->entries_capacity, sizeof(*change->entries)))
        return KIST_NO_MEMORY;
    change->entries = entries;
    entry = &change->entries[change->entries_count];
    memset(entry, 0, offsetof(struct redis_entry, condition_size));
    entry->key = key;
    *out_entry = change->entries_count++;
    return KIST_OK;
}

enum kist_status redis_change_add_item(struct redis_change *change,
                                       struct commit_group *group,
                                       struct write *write, size_t entry)
{
    void *items = change->items;

    if (!grow(&items, &change->one_item, change->count, &change->items_capacity,
              sizeof(*change->items)))
        return KIST_NO_MEMORY;
    change->items = items;
    change->items[change->count++] =
        (struct redis_item){.write = write, .group = group, .entry = entry};
    if (!change->reads)
        change->entries[entry].write = write;
    change->failed = change->count;
    return KIST_OK;
}
