#include "storage/redis_outcome.h"

#include <string.h>

void redis_outcome_fail(struct redis_change *change, enum kist_status status)
{
    for (size_t i = 0; i < change->count; i++)
        if (!change->entries[change->items[i].entry].is_settled) {
            change->items[i].write->status = status;
            if (change->entries[change->items[i].entry].write != NULL)
                change->items[i].write->version =
                    change->entries[change->items[i].entry].version;
        }
}

static void set_all(struct redis_change *change, struct redis_entry *entry,
                    enum kist_status status)
{
    for (size_t i = 0; i < change->count; i++)
        if (&change->entries[change->items[i].entry] == entry)
            change->items[i].write->status = status;
    entry->is_settled = true;
}

/* The script decided: the item of a plain entry gets its result. */
void redis_outcome_settle(struct redis_entry *entry, enum kist_status status,
                          bool created)
{
    struct write *write = entry->write;

    entry->is_settled = true;
    if (write == NULL)
        return; /* It was decided here, and now it is so. */
    write->status = status;
    write->created = created;
    write->unchanged = false;
    write->version = entry->version;
    write->expiry_ms = entry->expiry_ms;
}

static struct version version_in(struct view bytes)
{
    if (bytes.size != 16)
        return VERSION_NONE;
    return (struct version){read_u64(bytes.data), read_u64(bytes.data + 8)};
}

/* there: none if it is a deletion that found nothing. */
static void hear_kept(struct redis_entry *entry, struct version there)
{
    if (entry->write == NULL)
        return;
    entry->write->unchanged = true;
    entry->write->expiry_ms = 0;
    if (!version_is_none(there))
        entry->write->version = there;
}

/*
 * It did not happen now. If it was said before it may have happened then, and
 * been replaced: nobody knows.
 */
static void hear_refusal(struct redis_change *change, struct redis_entry *entry,
                         char outcome, struct view rest)
{
    if (change->task.is_unanswered) {
        redis_outcome_settle(entry, KIST_UNKNOWN, false);
        set_all(change, entry, KIST_UNKNOWN);
    } else if (outcome == REDIS_OUTCOME_STALE && rest.size == 8) {
        entry->above = read_u64(rest.data);
    } else if (entry->write == NULL && outcome == REDIS_OUTCOME_MISSING) {
        redis_outcome_settle(entry, KIST_OK,
                             false); /* It came and went within. */
    } else if (entry->write != NULL) {
        redis_outcome_settle(entry,
                             outcome == REDIS_OUTCOME_MISSING ? KIST_NOT_FOUND
                                                              : KIST_CONFLICT,
                             false);
        entry->write->version = version_in(rest);
    }
}

void redis_outcome_note_habit(const struct redis_changes *by, bool replaced)
{
    int habit = atomic_load_explicit(by->habit, memory_order_relaxed);

    /* Who writes at the same time may be forgotten: it is a habit. */
    if (replaced && habit < REDIS_CHANGE_HABIT)
        habit++;
    else if (!replaced && habit > -REDIS_CHANGE_HABIT)
        habit--;
    atomic_store_explicit(by->habit, habit, memory_order_relaxed);
}

static bool is_refusal(struct view text)
{
    char outcome = text.size > 0 ? text.data[0] : '\0';

    return outcome == REDIS_OUTCOME_CONFLICT ||
           outcome == REDIS_OUTCOME_MISSING || outcome == REDIS_OUTCOME_STALE;
}

static void hear_outcome(struct redis_change *change, struct redis_entry *entry,
                         struct view text)
{
    struct view rest = text.size > 0 ? view_from(text, 1) : text;
    char outcome = '\0';

    if (text.size > 0)
        outcome = text.data[0];
    switch (outcome) {
    case REDIS_OUTCOME_CREATED:
        redis_outcome_note_habit(change->by, false);
        redis_outcome_settle(entry, KIST_OK, true);
        break;
    case REDIS_OUTCOME_REPLACED:
        redis_outcome_note_habit(change->by, true);
        redis_outcome_settle(entry, KIST_OK, false);
        break;
    case REDIS_OUTCOME_DELETED:
    case REDIS_OUTCOME_CHECKED:
        redis_outcome_settle(entry, KIST_OK, false);
        break;
    case REDIS_OUTCOME_KEPT:
        redis_outcome_settle(entry, KIST_OK, false);
        hear_kept(entry, version_in(rest));
        break;
    case REDIS_OUTCOME_AGAIN:
        redis_outcome_settle(
            entry, KIST_OK,
            rest.size == 8 && memcmp(rest.data, entry->created_bytes, 8) == 0);
        break;
    case REDIS_OUTCOME_CONFLICT:
    case REDIS_OUTCOME_MISSING:
    case REDIS_OUTCOME_STALE:
        hear_refusal(change, entry, outcome, rest);
        break;
    default:
        redis_outcome_settle(entry, KIST_UNKNOWN, false);
        set_all(change, entry, KIST_UNKNOWN);
        break;
    }
}

/* All or none: then the others did not happen either. */
static bool none_happened(const struct redis_change *change,
                          const struct redis_answer *answer)
{
    for (size_t i = 0; change->atomic && i < answer->count; i++) {
        struct redis_answer element = redis_answer_at(answer, i);

        if (is_refusal(element.text))
            return true;
    }
    return false;
}

bool redis_outcome_hear(struct redis_change *change,
                        const struct redis_answer *answer)
{
    bool none = false;
    size_t at = 0;

    if (answer->kind != REDIS_ANSWER_LIST ||
        answer->count != redis_change_count_due(change)) {
        redis_outcome_fail(change, KIST_UNKNOWN); /* No script of ours. */
        return true;
    }
    none = none_happened(change, answer);
    for (size_t i = 0; i < change->entries_count; i++) {
        struct redis_entry *entry = &change->entries[i];
        struct redis_answer element;

        if (!redis_change_is_due(entry))
            continue;
        element = redis_answer_at(answer, at++);
        if (!none || is_refusal(element.text))
            hear_outcome(change, entry, element.text);
    }
    if (none && change->task.is_unanswered)
        redis_outcome_fail(change, KIST_UNKNOWN);
    else if (none)
        return false;
    else
        for (size_t i = 0; i < change->entries_count; i++)
            if (!change->entries[i].is_settled)
                return false;
    return true;
}
