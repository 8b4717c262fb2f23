#include "tests/storage/workload.h"

#include "tests/storage/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of so many bytes may go to files. */
enum { SPILLED = 1000 };

uint64_t workload_random(uint64_t *state)
{
    /* Steele, Lea, Flood: SplitMix, 2014. */
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

struct view workload_key(unsigned number)
{
    static const char *const keys[WORKLOAD_KEYS] = {
        "a",   "a/b",   "a/c", "b", "b/long/way/down", "counter", "d", "e",
        "f/1", "f/1/2", "g",   "z"};

    assert(number < WORKLOAD_KEYS);
    return view_of(keys[number]);
}

void workload_value(uint64_t tag, size_t size, struct blob *out)
{
    uint64_t state = tag;

    blob_printf(out, "%016" PRIx64, tag);
    for (size_t at = WORKLOAD_TAG_SIZE; at < size; at += 8) {
        uint64_t bytes = workload_random(&state);

        blob_append(out, (struct view){(const char *)&bytes,
                                       size - at < 8 ? size - at : 8});
    }
}

uint64_t workload_edited(uint64_t before, uint64_t by)
{
    return before * 3 + by;
}

static uint64_t tag_of(struct view value)
{
    char text[WORKLOAD_TAG_SIZE + 1] = {0};

    assert(value.size >= WORKLOAD_TAG_SIZE);
    memcpy(text, value.data, WORKLOAD_TAG_SIZE);
    return strtoull(text, NULL, 16);
}

static enum kist_status edit(struct write *write, const struct record *current,
                             struct record *next)
{
    struct workload_write *plan = write->ctx;
    uint64_t before = current != NULL ? tag_of(current->value) : 0;

    if (plan->op == WORKLOAD_REFUSE)
        return KIST_INVALID;
    if (plan->op == WORKLOAD_LEAVE) {
        write->unchanged = true;
        return KIST_OK;
    }
    workload_value(workload_edited(before, plan->tag), plan->size,
                   &plan->bytes);
    if (plan->bytes.failed)
        return KIST_NO_MEMORY;
    next->media_type = VIEW_LITERAL("text/plain");
    next->value = blob_view(&plan->bytes);
    return KIST_OK;
}

static uint64_t choose_expiry(uint64_t random)
{
    switch (random % 8) {
    case 0:
    case 1:
        return WORKLOAD_PAST + random % 5;
    case 2:
    case 3:
        return WORKLOAD_FUTURE + random % 5;
    }
    return 0;
}

static void choose_condition(struct condition *condition, uint64_t random,
                             struct version current)
{
    switch (random % 8) {
    case 0:
        condition->kind = CONDITION_ABSENT;
        break;
    case 1:
        condition->kind = CONDITION_PRESENT;
        break;
    case 2:
        *condition = (struct condition){CONDITION_ANY_OF, 1, {current}};
        break;
    }
}

static enum workload_op choose_op(uint64_t random)
{
    /* Half of all are puts. */
    return random % 2 == 0 ? WORKLOAD_PUT
                           : (enum workload_op)(random / 2 % WORKLOAD_OPS);
}

static void make_write(struct write *write, struct workload_write *plan,
                       uint64_t *random, const struct model *model)
{
    *plan = (struct workload_write){
        .op = choose_op(workload_random(random)),
        .key = (unsigned)(workload_random(random) % WORKLOAD_KEYS),
        .tag = workload_random(random),
        .size = WORKLOAD_TAG_SIZE + workload_random(random) % 100,
    };
    if (workload_random(random) % 8 == 0)
        plan->size += workload_random(random) % 12000;
    *write = (struct write){.key = workload_key(plan->key), .ctx = plan};
    if (plan->op == WORKLOAD_EXPIRE) {
        write->kind = WRITE_EXPIRE;
        write->next.expiry_ms = model->keys[plan->key].expiry_ms;
        return;
    }
    choose_condition(&write->condition, workload_random(random),
                     model->keys[plan->key].version);
    if (plan->op == WORKLOAD_DELETE) {
        write->next.tombstone = true;
    } else if (plan->op == WORKLOAD_PUT) {
        workload_value(plan->tag, plan->size, &plan->bytes);
        if (plan->bytes.failed)
            abort();
        write->next.media_type = VIEW_LITERAL("text/plain");
        write->next.value = blob_view(&plan->bytes);
        write->next.expiry_ms = choose_expiry(workload_random(random));
    } else {
        write->edit = edit;
        write->load_limit = UINT64_MAX;
    }
}

void turn_make(struct turn *turn, uint64_t seed, unsigned number,
               const struct model *model)
{
    uint64_t random = seed * 1000003 + number;

    *turn =
        (struct turn){.count = 1 + workload_random(&random) % WORKLOAD_GROUPS};
    for (size_t g = 0; g < turn->count; g++) {
        size_t count = 1 + workload_random(&random) % WORKLOAD_WRITES;

        turn->groups[g] = (struct commit_group){
            .writes = turn->writes[g],
            .count = count,
            .bytes = 100,
            .atomic = workload_random(&random) % 2 == 0,
            .sync = ENGINE_SYNC,
            .failed = count,
        };
        turn->pointers[g] = &turn->groups[g];
        for (size_t i = 0; i < count; i++)
            make_write(&turn->writes[g][i], &turn->plans[g][i], &random, model);
    }
}

static bool write_file(struct large *large, struct view bytes,
                       struct large_reference *out)
{
    struct large_file *file;
    size_t half = bytes.size / 2;
    enum kist_status status = large_create(large, bytes.size, &file);

    if (status != KIST_OK)
        return false;
    status = large_append(file, (struct view){bytes.data, half});
    if (status == KIST_OK)
        status = large_append(file, view_from(bytes, half));
    if (status == KIST_OK)
        status = large_finish(file, out);
    large_discard(file);
    return status == KIST_OK;
}

static void spill(struct write *write, struct large *large)
{
    struct workload_write *plan = write->ctx;

    if (plan->op != WORKLOAD_PUT || plan->size < SPILLED ||
        !write_file(large, write->next.value, &plan->file))
        return;
    blob_clear(&plan->bytes);
    large_reference_encode(&plan->file, &plan->bytes);
    if (plan->bytes.failed)
        abort();
    write->next.large = true;
    write->next.value = blob_view(&plan->bytes);
}

void turn_spill(struct turn *turn, struct large *large)
{
    for (size_t g = 0; g < turn->count; g++)
        for (size_t i = 0; i < turn->groups[g].count; i++)
            spill(&turn->writes[g][i], large);
}

void turn_settle(struct turn *turn, struct large *large)
{
    for (size_t g = 0; g < turn->count; g++) {
        const struct commit_group *group = &turn->groups[g];
        bool undone = group->atomic && group->failed < group->count;

        for (size_t i = 0; i < group->count; i++) {
            const struct write *write = &turn->writes[g][i];
            bool kept =
                write->status == KIST_OK || write->status == KIST_UNKNOWN;

            if (write->next.large && (undone || !kept))
                large_drop(large, &turn->plans[g][i].file);
        }
    }
}

void turn_clear(struct turn *turn)
{
    for (size_t g = 0; g < turn->count; g++)
        for (size_t i = 0; i < turn->groups[g].count; i++)
            blob_free(&turn->plans[g][i].bytes);
}
