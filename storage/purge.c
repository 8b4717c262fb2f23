#include "storage/purge.h"

#include "base/owner.h"
#include "storage/merge.h"
#include "storage/replica_list.h"

#include <assert.h>
#include <stdlib.h>

/* Where little goes, a page is over when it has looked at so many. */
enum { LOOKED_AT_MAX = 4096 };

enum kist_status purge_open(struct purge *purge,
                            const struct purge_options *options)
{
    assert(options->kind == WRITE_PURGE || options->kind == WRITE_DROP);
    *purge = (struct purge){.options = *options};
    purge->writes = calloc(PURGE_PAGE, sizeof(*purge->writes));
    if (purge->writes != NULL &&
        blob_reserve(&purge->after, STORE_KEY_MAX) == KIST_OK &&
        blob_reserve(&purge->next, STORE_KEY_MAX) == KIST_OK)
        return KIST_OK;
    purge_close(purge);
    return KIST_NO_MEMORY;
}

void purge_close(struct purge *purge)
{
    assert(!purge->busy);
    blob_free(&purge->keys);
    blob_free(&purge->after);
    blob_free(&purge->next);
    free(purge->writes);
    purge->writes = NULL;
}

static void finish(struct purge *purge, enum kist_status status)
{
    if (status == KIST_OK) {
        struct blob after = purge->after;

        purge->after = purge->next;
        purge->next = after;
        purge->complete = purge->is_last;
    }
    purge->status = status;
    purge->busy = false;
    purge->done(purge); /* May begin the next one. */
}

/* On the pool. */

static bool goes(const struct purge *purge, const struct replica_entry *entry)
{
    struct record record = {.version = entry->version,
                            .tombstone = entry->tombstone,
                            .expiry_ms = entry->expiry_ms};

    return purge->options.kind == WRITE_DROP ||
           merge_may_purge(&record, purge->options.floor);
}

static bool collect(void *ctx, const struct replica_entry *entry)
{
    struct purge *purge = ctx;

    blob_clear(&purge->next);
    blob_append(&purge->next, entry->key); /* Reserved. */
    purge->looked_at++;
    if (goes(purge, entry)) {
        blob_append(&purge->keys, entry->key);
        purge->writes[purge->group.count++] = (struct write){
            .kind = purge->options.kind,
            .key = {NULL, entry->key.size}, /* The blob may still move. */
            .floor = purge->options.floor,
        };
    }
    purge->is_last =
        purge->group.count < PURGE_PAGE && purge->looked_at < LOOKED_AT_MAX;
    return purge->is_last;
}

static void look(struct loop_work *work)
{
    struct purge *purge = OWNER(work, struct purge, work);
    struct replica_visitor visitor = {purge, collect};
    size_t offset = 0;

    purge->group = (struct commit_group){.writes = purge->writes};
    purge->looked_at = 0;
    purge->is_last = true;
    blob_clear(&purge->keys);
    purge->status = replica_list(purge->options.store, purge->options.range,
                                 blob_view(&purge->after), &visitor);
    if (purge->keys.failed)
        purge->status = KIST_NO_MEMORY;
    if (purge->status != KIST_OK)
        return;
    for (size_t i = 0; i < purge->group.count; i++) {
        purge->writes[i].key.data = purge->keys.data + offset;
        offset += purge->writes[i].key.size;
    }
}

/* On the loop. */

static void committed(struct commit_group *group)
{
    struct purge *purge = OWNER(group, struct purge, group);
    enum kist_status status = KIST_OK;

    for (size_t i = 0; i < group->count; i++) {
        if (group->writes[i].status == KIST_OK)
            purge->removed++;
        else if (group->writes[i].status != KIST_NOT_FOUND)
            status = group->writes[i].status;
    }
    finish(purge, status);
}

static void hand_over(struct loop_work *work)
{
    struct purge *purge = OWNER(work, struct purge, work);
    enum kist_status status = purge->status;

    if (status != KIST_OK || purge->group.count == 0) {
        finish(purge, status);
        return;
    }
    purge->group.bytes =
        purge->keys.size + purge->group.count * sizeof(struct write);
    purge->group.sync = purge->options.sync;
    purge->group.done = committed;
    status = commit_lane_add(purge->options.lane, &purge->group);
    if (status != KIST_OK)
        finish(purge, status);
}

enum kist_status purge_page(struct purge *purge,
                            void (*done)(struct purge *purge))
{
    enum kist_status status;

    assert(!purge->busy && !purge->complete);
    purge->done = done;
    purge->busy = true;
    purge->work = (struct loop_work){.run = look, .done = hand_over};
    status = loop_work(purge->options.loop, &purge->work);
    if (status != KIST_OK)
        purge->busy = false;
    return status;
}
