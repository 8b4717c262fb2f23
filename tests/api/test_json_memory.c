/*
 * Every allocation in turn fails, once or from then on: the answer is
 * KIST_NO_MEMORY, nothing leaks, and nothing half-done is given.
 */
#include "api/json_check.h"
#include "api/json_merge_patch.h"
#include "api/json_patch.h"
#include "api/json_pointer.h"
#include "tests/api/allocation.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static const char patch_text[] =
    "[{\"op\":\"add\",\"path\":\"/list/0\",\"value\":{\"new\":[1,2]}},"
    "{\"op\":\"copy\",\"from\":\"/list\",\"path\":\"/copy\"},"
    "{\"op\":\"test\",\"path\":\"/copy/0\",\"value\":{\"n\\u0065w\":[1,2.0]}},"
    "{\"op\":\"move\",\"from\":\"/n5\",\"path\":\"/n6\"},"
    "{\"op\":\"replace\",\"path\":\"/copy/0/new/1\",\"value\":\"x\"},"
    "{\"op\":\"add\",\"path\":\"/m~1\\u0061\",\"value\":null},"
    "{\"op\":\"remove\",\"path\":\"/list/1\"}]";

/* Members enough for an index, text enough for several arena blocks. */
static struct blob document(void)
{
    struct blob text = BLOB_EMPTY;

    blob_append_text(&text, "{\"list\":[10,20,30],\"\\u006f\":{\"a\":1}");
    for (int i = 0; i < 300; i++)
        blob_printf(&text, ",\"n%d\":{\"%d\":[%d]}", i, i, i);
    blob_append_byte(&text, '}');
    cr_assert(not(text.failed));
    return text;
}

static enum kist_status check_it(struct view text, struct blob *out)
{
    struct json_fault fault;
    enum json_type type;

    (void)out;
    return json_check(text, &fault, &type);
}

static enum kist_status merge_it(struct view text, struct blob *out)
{
    return json_merge_patch(
        text,
        VIEW_LITERAL(
            "{\"n7\":null,\"o\":{\"\\u0062\":[ 1 ]},\"z\":{\"y\":{}}}"),
        SIZE_MAX, out);
}

static enum kist_status patch_it(struct view text, struct blob *out)
{
    struct json_patch_fault fault;
    struct json_patch *patch;
    enum kist_status status =
        json_patch_parse(view_of(patch_text), &patch, &fault);

    if (status != KIST_OK)
        return status;
    status = json_patch_apply(patch, text, SIZE_MAX, out, &fault);
    json_patch_free(patch);
    return status;
}

static enum kist_status point_at_it(struct view text, struct blob *out)
{
    struct view part;
    enum kist_status status =
        json_pointer_find(text, VIEW_LITERAL("/n~01"), &part);

    (void)out;
    return status == KIST_NOT_FOUND ? KIST_OK : status;
}

typedef enum kist_status work_on(struct view text, struct blob *out);

static void fail_each(work_on *work, struct view text,
                      enum allocation_failure failure)
{
    bool fired = true;
    unsigned nth = 0;

    for (; fired; nth++) {
        struct blob out = BLOB_EMPTY;

        allocation_arm(nth, failure);
        enum kist_status status = work(text, &out);
        fired = allocation_disarm();
        if (fired)
            cr_expect(eq(sz, out.size, 0), "allocation %u", nth);
        blob_free(&out);
        long live = allocation_live();
        cr_expect(eq(int, status, fired ? KIST_NO_MEMORY : KIST_OK),
                  "allocation %u", nth);
        cr_expect(eq(long, live, 0), "allocation %u", nth);
    }
    cr_expect(gt(uint, nth, 1), "nothing was allocated at all");
}

static void fail_all(work_on *work)
{
    struct blob text = document();

    fail_each(work, blob_view(&text), ALLOCATION_FAILS_ONCE);
    fail_each(work, blob_view(&text), ALLOCATION_FAILS_FROM_THEN_ON);
    blob_free(&text);
}

Test(json_memory, a_check_without_memory_says_so)
{
    fail_all(check_it);
}

Test(json_memory, a_merge_patch_without_memory_says_so)
{
    fail_all(merge_it);
}

Test(json_memory, a_json_patch_without_memory_says_so)
{
    fail_all(patch_it);
}

Test(json_memory, a_pointer_without_memory_says_so)
{
    fail_all(point_at_it);
}

Test(json_memory, a_check_of_a_flat_text_allocates_nothing)
{
    allocation_arm(0, ALLOCATION_FAILS_FROM_THEN_ON);
    cr_expect(eq(int, check_it(VIEW_LITERAL("[1,\"x\",{},[[]],1e9]"), NULL),
                 KIST_OK));
    cr_expect(not(allocation_disarm()));
}
