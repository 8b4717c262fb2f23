/* What a client sees of a cluster: batches. */
#include "tests/api/cluster_client.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(cluster_batches, .init = client_open, .fini = client_close,
          .timeout = 30);

static void run_batch(const char *operations)
{
    char body[1024];

    snprintf(body, sizeof(body), "{\"operations\":[%s]}", operations);
    cr_assert(eq(uint, ask("POST /batch", "", "", body), 200), "%.*s",
              (int)client.answer.body.size, client.answer.body.data);
}

Test(cluster_batches, each_operation_of_a_batch_goes_to_the_owners_of_its_key)
{
    run_batch("{\"op\":\"put\",\"key\":\"a\",\"value\":1},"
              "{\"op\":\"put\",\"key\":\"b\",\"base64\":\"eHk=\"},"
              "{\"op\":\"get\",\"key\":\"a\"},"
              "{\"op\":\"put\",\"key\":\"a\",\"value\":2},"
              "{\"op\":\"get\",\"key\":\"a\"},"
              "{\"op\":\"delete\",\"key\":\"b\"},"
              "{\"op\":\"get\",\"key\":\"b\"}");
    cr_assert(body_has("{\"results\":[{\"status\":201,\"key\":\"a\""));
    cr_assert(body_has("\"receipt\":\"n=3, w=2, acked=2\"},"
                       "{\"status\":201,\"key\":\"b\""));
    cr_assert(body_has("\"value\":1,\"receipt\":\"n=3, r=2, answers=2\"}"));
    cr_assert(body_has("\"value\":2,\"receipt\":\"n=3, r=2, answers=2\"}"));
    cr_assert(body_has("not-found"));
    cr_assert(eq(uint, get("a"), 200));
    cr_assert(body_is("2"));
    cr_assert(eq(uint, get("b"), 404));
}

Test(cluster_batches, an_operation_of_a_batch_that_needs_strong_fails_alone)
{
    run_batch("{\"op\":\"incr\",\"key\":\"a\"},"
              "{\"op\":\"put\",\"key\":\"b\",\"value\":1,\"if_absent\":true},"
              "{\"op\":\"put\",\"key\":\"c\",\"value\":1}");
    cr_assert(body_has("\"status\":409,\"key\":\"a\",\"problem\":{\"type\":"
                       "\"urn:kist:problem:needs-strong\""));
    cr_assert(body_has("\"status\":409,\"key\":\"b\""));
    cr_assert(body_has("\"status\":201,\"key\":\"c\""));
}

Test(cluster_batches, all_or_nothing_needs_strong)
{
    expect_problem("POST /batch?atomic=1", "", "",
                   "{\"operations\":[{\"op\":\"get\",\"key\":\"a\"}]}", 409,
                   "needs-strong");
}

Test(cluster_batches, a_batch_tells_which_of_its_writes_are_not_known)
{
    neighbours_set_others(MOOD_MUTE);
    run_batch("{\"op\":\"put\",\"key\":\"a\",\"value\":1},"
              "{\"op\":\"get\",\"key\":\"b\"}");
    cr_assert(body_has("\"status\":504,\"key\":\"a\",\"version\":\""));
    cr_assert(body_has("\"outcome\":\"unknown\""));
    cr_assert(body_has("\"status\":503,\"key\":\"b\""));
    neighbours_set_others(MOOD_DOWN);
    run_batch("{\"op\":\"put\",\"key\":\"a\",\"value\":1}");
    cr_assert(body_has("\"status\":503,\"key\":\"a\""));
    cr_assert(body_has("\"outcome\":\"not_applied\""));
}

Test(cluster_batches, a_batch_of_many_is_run_some_at_a_time)
{
    struct blob body = BLOB_EMPTY;
    unsigned seen = 0;

    blob_append_text(&body, "{\"operations\":[");
    for (unsigned i = 0; i < 500; i++)
        blob_printf(&body, "%s{\"op\":\"put\",\"key\":\"k%u\",\"value\":%u}",
                    i == 0 ? "" : ",", i % 400, i);
    blob_append_text(&body, "]}");
    blob_append_byte(&body, '\0');
    cr_assert(eq(uint, ask("POST /batch", "", "", body.data), 200));
    blob_free(&body);
    for (size_t i = 0; i + 9 < client.answer.body.size; i++)
        seen += memcmp(client.answer.body.data + i, "\"receipt\"", 9) == 0;
    cr_assert(eq(uint, seen, 500));
    cr_assert(eq(uint, get("k99"), 200));
    cr_assert(body_is("499"));
}
