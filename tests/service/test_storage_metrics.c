/* What storage/ counts appears under its name. */
#include "service/storage_metrics.h"
#include "tests/storage/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define QUEUE_LIMIT 12345

static struct node node;
static struct storage_metrics storage_metrics;
static struct metrics *metrics;
static struct blob text;

static void set_up(void)
{
    node_open(&node);
    cr_assert(eq(int, metrics_open(&metrics), KIST_OK));
    storage_metrics_init(&storage_metrics, metrics, node.store, node.commit,
                         QUEUE_LIMIT);
    cr_assert(eq(int, metrics_seal(metrics), KIST_OK));
}

static void tear_down(void)
{
    metrics_close(metrics);
    blob_free(&text);
    node_close(&node);
}

TestSuite(storage_metrics, .init = set_up, .fini = tear_down, .timeout = 60);

/* The value of a series, as one would write it in a query. */
static double scrape(const char *series)
{
    char line[96];
    snprintf(line, sizeof(line), "\n%s ", series);

    blob_clear(&text);
    metrics_render(metrics, METRICS_PROMETHEUS, &text);
    blob_append_byte(&text, '\0');
    cr_assert(not(text.failed));

    const char *at = strstr(text.data, line);
    cr_assert(ne(ptr, (void *)at, NULL), "no %s", series);
    return strtod(at + strlen(line), NULL);
}

Test(storage_metrics, exactly_the_present_state_is_one)
{
    cr_assert(eq(dbl, scrape("kist_engine_state{state=\"read_write\"}"), 1));
    cr_assert(eq(dbl, scrape("kist_engine_state{state=\"read_only\"}"), 0));
    cr_assert(eq(dbl, scrape("kist_engine_state{state=\"down\"}"), 0));
}

Test(storage_metrics, a_write_is_counted_and_timed)
{
    struct write write = node_put("key", "1");
    double batches = scrape("kist_commit_batches_total");
    double timed = scrape("kist_engine_write_duration_seconds_count");

    cr_assert(eq(int, node_write(&node, &write), KIST_OK));

    cr_assert(eq(dbl, scrape("kist_commit_writes_total"), 1));
    cr_assert(eq(dbl, scrape("kist_commit_batches_total"), batches + 1));
    cr_assert(
        gt(dbl, scrape("kist_engine_write_duration_seconds_count"), timed));
    cr_assert(eq(dbl, scrape("kist_commit_wait_duration_seconds_count"), 1));
    cr_assert(eq(dbl, scrape("kist_commit_queue_bytes"), 0));
}

Test(storage_metrics, reads_are_told_by_where_they_were_answered)
{
    struct write write = node_put("key", "1");

    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    cr_assert(node_has(&node, "key", "1"));
    cr_assert(node_has(&node, "none", NULL));
    cr_assert(node_has(&node, "none", NULL));
    cr_expect(eq(dbl, scrape("kist_cache_hits_total"), 1));
    cr_expect(eq(dbl, scrape("kist_cache_misses_total"), 1));
    cr_expect(eq(dbl, scrape("kist_cache_absent_hits_total"), 1));
    cr_expect(eq(dbl, scrape("kist_cache_entries"), 2));
    cr_expect(eq(dbl, scrape("kist_cache_absent_entries"), 1));
    cr_expect(gt(dbl, scrape("kist_cache_bytes"), 0));
    cr_expect(
        ge(dbl, scrape("kist_cache_limit_bytes"), scrape("kist_cache_bytes")));
}

Test(storage_metrics, limits_stand_beside_what_they_limit)
{
    cr_assert(eq(dbl, scrape("kist_commit_queue_limit_bytes"), QUEUE_LIMIT));
    cr_assert(gt(dbl, scrape("kist_disk_free_bytes"),
                 scrape("kist_disk_reserve_bytes")));
}
