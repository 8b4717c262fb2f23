#include "tests/storage/model.h"

#include "base/clock.h"
#include "storage/cursor.h"
#include "storage/scan.h"

#include <stdio.h>
#include <string.h>

bool model_is_live(const struct model_key *key)
{
    return key->there &&
           (key->expiry_ms == 0 || key->expiry_ms >= WORKLOAD_FUTURE);
}

static bool holds(const struct condition *condition,
                  const struct model_key *key)
{
    switch (condition->kind) {
    case CONDITION_NONE:
        return true;
    case CONDITION_ABSENT:
        return !model_is_live(key);
    case CONDITION_PRESENT:
        return model_is_live(key);
    case CONDITION_ANY_OF: /* A version not known yet was never asked for. */
        return model_is_live(key) && !version_is_none(key->version) &&
               version_equal(condition->versions[0], key->version);
    case CONDITION_NONE_OF:
        break;
    }
    return false; /* Not in the workload. */
}

/* What the write must answer, and the key after it. */
static enum kist_status predict(const struct model_key *key,
                                const struct write *write,
                                struct model_key *out_next)
{
    const struct workload_write *plan = write->ctx;
    bool live = model_is_live(key);

    *out_next = *key;
    if (plan->op == WORKLOAD_EXPIRE) {
        if (!key->there || live)
            return KIST_NOT_FOUND;
        *out_next = (struct model_key){0};
        return KIST_OK;
    }
    if (!holds(&write->condition, key))
        return KIST_CONFLICT;

    switch (plan->op) {
    case WORKLOAD_PUT:
        *out_next = (struct model_key){
            true, plan->tag, plan->size, write->next.expiry_ms, {0}};
        break;
    case WORKLOAD_EDIT:
        *out_next = (struct model_key){
            .there = true,
            .tag = workload_edited(live ? key->tag : 0, plan->tag),
            .size = plan->size,
            .expiry_ms = live ? key->expiry_ms : 0,
        };
        break;
    case WORKLOAD_DELETE:
        if (!live)
            return KIST_NOT_FOUND;
        *out_next = (struct model_key){0};
        break;
    case WORKLOAD_REFUSE:
        return KIST_INVALID;
    case WORKLOAD_LEAVE:
    case WORKLOAD_EXPIRE:
    case WORKLOAD_OPS:
        break;
    }
    return KIST_OK;
}

static bool is_stamped(const struct write *write)
{
    const struct workload_write *plan = write->ctx;

    return plan->op == WORKLOAD_PUT || plan->op == WORKLOAD_EDIT ||
           plan->op == WORKLOAD_DELETE;
}

/* A verdict on the write; any other status says that there was none. */
static bool is_verdict(enum kist_status status)
{
    return status == KIST_OK || status == KIST_NOT_FOUND ||
           status == KIST_CONFLICT || status == KIST_INVALID;
}

static bool differ(struct model *model, const char *what, struct view key,
                   const char *found)
{
    snprintf(model->difference, sizeof(model->difference), "%s of %.*s: %s",
             what, (int)key.size, key.data, found);
    return false;
}

static bool stamp(struct model *model, const struct write *write, bool was_live)
{
    struct model_key *key = &model->keys[model_number_of(write->key)];

    if (!is_stamped(write))
        return true;
    if (version_compare(write->version, model->newest) <= 0)
        return differ(model, "version", write->key, "does not grow");
    if (write->created == was_live)
        return differ(model, "created", write->key, "is wrong");
    model->newest = write->version;
    if (key->there)
        key->version = write->version;
    return true;
}

static bool follow_write(struct model *model, const struct write *write,
                         enum model_belief belief, bool *out_happened)
{
    struct model_key *key = &model->keys[model_number_of(write->key)];
    bool was_live = model_is_live(key);
    struct model_key next;
    enum kist_status expected = predict(key, write, &next);
    enum kist_status status = write->status;

    if (belief == MODEL_PLANNED ||
        (belief == MODEL_APPLIED && status == KIST_UNKNOWN))
        status = belief == MODEL_PLANNED ? expected : KIST_OK;
    *out_happened = status == KIST_OK;
    if (!is_verdict(status))
        return true;
    if (status != expected) {
        char found[80];

        snprintf(found, sizeof(found), "%s, not %s", kist_status_name(status),
                 kist_status_name(expected));
        return differ(model, "answer", write->key, found);
    }
    if (status != KIST_OK)
        return true;
    *key = next;
    return belief == MODEL_PLANNED || stamp(model, write, was_live);
}

static bool follow_group(struct model *model, const struct commit_group *group,
                         enum model_belief belief)
{
    struct model before = *model;

    for (size_t i = 0; i < group->count; i++) {
        bool happened;

        if (!follow_write(model, &group->writes[i], belief, &happened))
            return false;
        if (!group->atomic || happened)
            continue;
        /* All or nothing. Versions were given, even so. */
        memcpy(model->keys, before.keys, sizeof(model->keys));
        return true;
    }
    return true;
}

bool model_follow(struct model *model, const struct turn *turn,
                  enum model_belief belief)
{
    for (size_t g = 0; g < turn->count; g++)
        if (!follow_group(model, &turn->groups[g], belief))
            return false;
    return true;
}

unsigned model_number_of(struct view key)
{
    unsigned number = 0;

    while (number < WORKLOAD_KEYS && !view_equal(workload_key(number), key))
        number++;
    return number;
}

/* The bytes of the record, wherever they are. */
static bool value_is(struct store *store, const struct record *record,
                     struct view value)
{
    struct large_reference reference;
    struct blob loaded = BLOB_EMPTY;
    bool same;

    if (!record->large)
        return view_equal(record->value, value);
    same = large_reference_decode(record->value, &reference) == KIST_OK &&
           large_read(store_large(store), &reference, &loaded) == KIST_OK &&
           view_equal(blob_view(&loaded), value);
    blob_free(&loaded);
    return same;
}

bool model_has(const struct model *model, struct store *store, unsigned number,
               const struct record *record)
{
    const struct model_key *key = &model->keys[number];
    struct blob value = BLOB_EMPTY;
    bool same;

    if (record == NULL || !key->there)
        return record == NULL && !key->there;
    workload_value(key->tag, key->size, &value);
    same = value_is(store, record, blob_view(&value)) &&
           view_is(record->media_type, "text/plain") &&
           record->expiry_ms == key->expiry_ms && !record->tombstone &&
           (version_is_none(key->version) ||
            version_equal(key->version, record->version));
    blob_free(&value);
    return same;
}

static bool gets_match(struct model *model, struct store *store)
{
    for (unsigned i = 0; i < WORKLOAD_KEYS; i++) {
        struct item item = {0};
        enum kist_status status = store_get(store, workload_key(i), &item);
        bool same;

        if (status != KIST_OK && status != KIST_NOT_FOUND)
            return differ(model, "get", workload_key(i),
                          kist_status_name(status));
        same =
            model_has(model, store, i, status == KIST_OK ? &item.record : NULL);
        item_free(&item);
        if (!same)
            return differ(model, "get", workload_key(i),
                          status == KIST_OK ? "another record" : "absent");
    }
    return true;
}

struct listing {
    struct model *model;
    struct store *store;
    unsigned next; /* Keys before it were listed, or are not alive. */
    bool same;
};

static void skip_dead(struct listing *listing)
{
    while (listing->next < WORKLOAD_KEYS &&
           !model_is_live(&listing->model->keys[listing->next]))
        listing->next++;
}

static bool list_key(void *ctx, struct view key, const struct record *record)
{
    struct listing *listing = ctx;

    skip_dead(listing);
    listing->same =
        listing->next < WORKLOAD_KEYS &&
        view_equal(key, workload_key(listing->next)) &&
        model_has(listing->model, listing->store, listing->next, record);
    if (!listing->same)
        differ(listing->model, "listing", key, "not what is next");
    listing->next++;
    return listing->same;
}

static bool listing_matches(struct model *model, struct store *store)
{
    struct listing listing = {.model = model, .store = store, .same = true};
    struct scan_visitor visitor = {&listing, list_key, NULL};
    struct scan scan;
    enum kist_status status =
        scan_init(&scan, store, &(struct scan_range){.prefix = {NULL, 0}});

    while (status == KIST_OK && !scan.done && listing.same)
        status = scan_run(&scan, &visitor, clock_wall_ms(), 5);
    scan_clear(&scan);
    if (!listing.same)
        return false;
    skip_dead(&listing);
    if (status != KIST_OK || listing.next < WORKLOAD_KEYS)
        return differ(model, "listing", VIEW_LITERAL("all"),
                      status == KIST_OK ? "ends early"
                                        : kist_status_name(status));
    return true;
}

static bool entry_matches(const struct model *model, struct view entry)
{
    unsigned number;

    if (entry.size <= 8)
        return false;
    number = model_number_of(view_from(entry, 8));
    return number < WORKLOAD_KEYS && model->keys[number].there &&
           model->keys[number].expiry_ms == read_u64(entry.data);
}

static bool expiries_match(struct model *model, struct store *store)
{
    size_t expected = 0, found = 0;
    struct cursor *cursor;
    struct view entry;

    for (unsigned i = 0; i < WORKLOAD_KEYS; i++)
        if (model->keys[i].there && model->keys[i].expiry_ms != 0)
            expected++;
    if (cursor_open(store, CURSOR_EXPIRIES, &cursor) != KIST_OK)
        return differ(model, "expiries", VIEW_LITERAL("all"), "no cursor");
    for (cursor_seek(cursor, (struct view){0}); cursor_key(cursor, &entry);
         cursor_next(cursor), found++)
        if (!entry_matches(model, entry))
            expected = SIZE_MAX;
    if (cursor_error(cursor) != KIST_OK)
        expected = SIZE_MAX;
    cursor_close(cursor);
    if (found != expected)
        return differ(model, "expiries", VIEW_LITERAL("all"),
                      "not those of the records");
    return true;
}

/* Does key's record name the file with this id? */
static bool names_file(struct store *store, struct view key, struct view id)
{
    struct item item;
    bool names;

    if (store_get(store, key, &item) != KIST_OK)
        return false;
    names = item.record.large && id.size == LARGE_ID_SIZE &&
            view_starts_with(item.record.value, id);
    item_free(&item);
    return names;
}

static size_t count_large(struct store *store)
{
    size_t count = 0;

    for (unsigned i = 0; i < WORKLOAD_KEYS; i++) {
        struct item item;

        if (store_get(store, workload_key(i), &item) != KIST_OK)
            continue;
        count += item.record.large ? 1 : 0;
        item_free(&item);
    }
    return count;
}

/* Each large record has its entry, and there is no other. */
static bool files_match(struct model *model, struct store *store)
{
    size_t found = 0;
    struct cursor *cursor;
    struct view id;
    bool same = true;

    if (cursor_open(store, CURSOR_LARGE, &cursor) != KIST_OK)
        return differ(model, "files", VIEW_LITERAL("all"), "no cursor");
    for (cursor_seek(cursor, (struct view){0}); cursor_key(cursor, &id);
         cursor_next(cursor), found++)
        same = same && names_file(store, cursor_value(cursor), id);
    same = same && cursor_error(cursor) == KIST_OK;
    cursor_close(cursor);
    if (!same || found != count_large(store))
        return differ(model, "files", VIEW_LITERAL("all"), "other entries");
    return true;
}

bool model_matches(struct model *model, struct store *store)
{
    return gets_match(model, store) && listing_matches(model, store) &&
           expiries_match(model, store) && files_match(model, store);
}
