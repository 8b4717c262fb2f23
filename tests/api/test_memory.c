/*
 * Batches and edits without memory: every allocation in turn fails, once or
 * from then on. The answer says so, nothing leaks, and what is said to be
 * done is what would have been done.
 */
#include "api/batch_read.h"
#include "api/entity.h"
#include "service/settings.h"
#include "tests/api/allocation.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(memory, .timeout = 20);

/* Results and values of one run, apart by line ends. */
typedef enum kist_status to_blob(struct blob *out);

/* Fails the n-th allocation of work, for every n, and compares. */
static void fail_each(to_blob *work, enum allocation_failure failure)
{
    struct blob expected = BLOB_EMPTY;
    bool fired = true;
    unsigned nth = 0;

    cr_assert(work(&expected) == KIST_OK);
    for (; fired; nth++) {
        struct blob out = BLOB_EMPTY;

        allocation_arm(nth, failure);
        enum kist_status status = work(&out);
        fired = allocation_disarm();
        bool said = status == KIST_NO_MEMORY || out.failed;

        cr_expect(eq(int, said, fired), "allocation %u: %s", nth,
                  kist_status_name(status));
        cr_expect(said || view_equal(blob_view(&out), blob_view(&expected)),
                  "allocation %u", nth);
        blob_free(&out);
        cr_expect(eq(long, allocation_live(), 0), "allocation %u", nth);
    }
    cr_expect(gt(uint, nth, 1), "nothing was allocated at all");
    blob_free(&expected);
}

static void fail_all(to_blob *work)
{
    fail_each(work, ALLOCATION_FAILS_ONCE);
    fail_each(work, ALLOCATION_FAILS_FROM_THEN_ON);
}

static const struct settings settings = {.max_json_bytes = 1000,
                                         .max_value_bytes = 1000,
                                         .ttl_max_ms = 100000,
                                         .batch_operations = 100};

static const char lines[] =
    "{\"op\":\"put\",\"key\":\"\\u0061\",\"value\":{\"b\":[1,2]}}\n"
    "{\"op\":\"put\",\"key\":\"\\u0062\",\"base64\":\"\\/+8=\","
    "\"media_type\":\"image\\/png\"}\n"
    "{\"op\":\"get\",\"key\":\"a\"}\n"
    "{\"op\":\"incr\",\"key\":\"n\",\"by\":5}\n"
    "{\"op\":\"patch\",\"key\":\"a\",\"merge\":{\"c\":{\"d\":null}}}\n"
    "{\"op\":\"patch\",\"key\":\"a\",\"patch\":[{\"op\":\"add\","
    "\"path\":\"\\/b\\/-\",\"value\":[3]},{\"op\":\"copy\",\"from\":\"/b\","
    "\"path\":\"/e~01\"}]}\n"
    "{\"op\":\"delete\",\"key\":\"d\"}\n"
    "{\"op\":\"get\",\"key\":\"\"}\n";

/* As the commit would: *current becomes what the write makes of it. */
static enum kist_status run(struct batch_operation *operation,
                            const struct record *current, struct blob *out)
{
    struct write write;
    struct record next = current != NULL ? *current : (struct record){0};

    batch_operation_prepare(operation, &write);
    if (write.edit == NULL)
        next = write.next;
    else
        write.status = write.edit(&write, current, &next);
    if (write.status == KIST_NO_MEMORY)
        return write.status;
    blob_append(out, next.value);
    batch_operation_append_result(operation, &write, out);
    blob_append_byte(out, '\n');
    return KIST_OK;
}

static const struct record *current_of(struct view key)
{
    static const char text[] = "{\"b\": [1, 2]}";
    static struct record object = {.version = {1, 2}, .type = JSON_IS_OBJECT};
    static struct record number = {.version = {1, 3}, .type = JSON_IS_NUMBER};

    object.media_type = number.media_type = VIEW_LITERAL(JSON_MEDIA_TYPE);
    object.value = view_of(text);
    number.value = VIEW_LITERAL("37");
    if (view_is(key, "a"))
        return &object;
    return view_is(key, "n") ? &number : NULL;
}

static enum kist_status batch(struct view body, enum batch_format format,
                              struct blob *out)
{
    struct batch_operations operations = {0};
    struct batch_fault fault;
    enum kist_status status =
        batch_read(body, format, &settings, &operations, &fault);

    for (size_t i = 0; status == KIST_OK && i < operations.count; i++) {
        struct batch_operation *operation = &operations.list[i];

        status = run(operation, current_of(operation->key), out);
    }
    batch_operations_clear(&operations);
    return status;
}

static enum kist_status ndjson(struct blob *out)
{
    return batch(view_of(lines), BATCH_NDJSON, out);
}

static enum kist_status json(struct blob *out)
{
    static char body[2 * sizeof(lines)];

    strcpy(body, "{\"operations\":[");
    strcat(body, lines);
    for (char *at = body; *at != '\0'; at++)
        if (*at == '\n')
            *at = ',';
    strcpy(body + strlen(body) - 1, "]}");
    return batch(view_of(body), BATCH_JSON, out);
}

/* More than the list of operations has room for at first. */
static enum kist_status many(struct blob *out)
{
    static char body[40 * 32];

    body[0] = '\0';
    for (int i = 0; i < 40; i++)
        strcat(body, "{\"op\":\"incr\",\"key\":\"n\"}\n");
    return batch((struct view){body, strlen(body)}, BATCH_NDJSON, out);
}

Test(memory, a_batch_of_lines_without_it_says_so)
{
    fail_all(ndjson);
}

Test(memory, a_batch_of_json_without_it_says_so)
{
    fail_all(json);
}

Test(memory, a_list_of_operations_that_cannot_grow_says_so)
{
    fail_all(many);
}

/* Edits that batches have not. */

static enum kist_status edit(struct edit *edit, const struct record *current,
                             struct blob *out)
{
    struct write write = {.ctx = edit};
    struct record next = *current;
    enum kist_status status;

    edit->max_json_bytes = edit->max_value_bytes = 1000;
    status = edit_apply(&write, current, &next);
    if (status == KIST_OK)
        blob_append(out, next.tombstone ? edit->seen.value : next.value);
    edit_clear(edit);
    return status;
}

static enum kist_status take(struct blob *out)
{
    return edit(&(struct edit){.kind = EDIT_TAKE},
                current_of(VIEW_LITERAL("a")), out);
}

static enum kist_status append_bytes(struct blob *out)
{
    const struct record current = {.value = VIEW_LITERAL("red")};

    return edit(
        &(struct edit){.kind = EDIT_APPEND, .body = VIEW_LITERAL("dish")},
        &current, out);
}

static enum kist_status append_element(struct blob *out)
{
    const struct record current = {.type = JSON_IS_ARRAY,
                                   .value = VIEW_LITERAL("[1]")};

    return edit(&(struct edit){.kind = EDIT_APPEND,
                               .body_type = JSON_IS_NULL,
                               .body = VIEW_LITERAL("null")},
                &current, out);
}

Test(memory, an_edit_without_it_says_so)
{
    fail_all(take);
    fail_all(append_bytes);
    fail_all(append_element);
}

static enum kist_status items(struct blob *out)
{
    const struct record bytes = {.version = {1, 2},
                                 .expiry_ms = 5,
                                 .media_type = VIEW_LITERAL("a/b"),
                                 .value = VIEW_LITERAL("\xff\n\"")};
    struct record object = *current_of(VIEW_LITERAL("a"));

    object.value = VIEW_LITERAL("{\n}");
    for (int i = 0; i < 20; i++) {
        entity_append_item(out, VIEW_LITERAL("\"key\n"), &bytes,
                           ENTITY_WITH_VALUE);
        entity_append_item(out, VIEW_LITERAL("a"), &object, ENTITY_WITH_VALUE);
    }
    return KIST_OK;
}

Test(memory, items_without_it_fail_as_a_whole)
{
    fail_all(items);
}
