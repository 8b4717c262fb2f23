/*
 * Kill kistd in the middle of writes, again and again.
 *
 *     crash [rounds] [seed]
 *
 * A round: four writers put, delete, batch, count and patch for up to 150 ms,
 * then SIGKILL. The next start must show every acknowledged write byte for
 * byte, no deleted key, no key that nobody wrote, no older version, and an
 * unanswered atomic batch as a whole or not at all. One value in six is a file
 * of its own: in some rounds kistd is given the time to collect what the kill
 * left, and then there are as many files as such values. Sometimes the start
 * itself is killed as well, sometimes the directory is a new one.
 *
 * TAP, one line a round. A seed repeats the choices, not the timing.
 */
#include "tests/crash/rounds.h"

#include "base/clock.h"
#include "tests/support/give_up.h"
#include "tests/support/kistd.h"
#include "tests/support/large_files.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct crash {
    uint64_t random;
    struct kistd kistd;
    struct writer writers[WRITERS];
    uint64_t acked, unknown; /* Of all rounds. */
    uint64_t shared;         /* The shared counter at the last restart. */
};

/* Small tables: flushes and compactions are within reach of the kill. */
static const char *const flags[] = {
    "--write-buffer-bytes", "256KiB",     "--loops", "2",
    "--inline-bytes",       INLINE_BYTES, NULL};

static void nap_ms(uint64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000),
                                 .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

static json_int_t number(struct http *http, const char *what,
                         const char *member)
{
    struct http_answer answer = {0};

    if (!http_ask(http, what, "", (struct view){NULL, 0}, &answer))
        give_up("no answer to %s", what);
    json_t *body =
        json_loadb(answer.body.data, answer.body.size, JSON_DECODE_ANY, NULL);
    json_int_t found = answer.status == 404 ? 0
                       : member == NULL
                           ? json_integer_value(body)
                           : json_integer_value(json_object_get(body, member));
    json_decref(body);
    http_answer_free(&answer);
    return found;
}

static bool verify_shared(struct crash *crash, struct http *http)
{
    uint64_t acked = crash->shared, maybe = crash->shared;
    uint64_t found = (uint64_t)number(http, "GET /kv/shared", NULL);

    for (size_t i = 0; i < WRITERS; i++) {
        acked += crash->writers[i].shared_acked;
        maybe += crash->writers[i].shared_maybe;
    }
    crash->shared = found;
    if (found >= acked && found <= maybe)
        return true;
    printf("# the shared counter is %" PRIu64 ", acknowledged were %" PRIu64
           ", sent %" PRIu64 "\n",
           found, acked, maybe);
    return false;
}

static size_t count_large(const struct crash *crash)
{
    char data[300];

    snprintf(data, sizeof data, "%s/data", crash->kistd.directory);
    return large_files_count(data, "incoming") + large_files_count(data, NULL);
}

/* Fewer would be a lost value; more go away in the background. */
static bool verify_files(struct crash *crash, size_t expected)
{
    uint64_t until_ns = clock_mono_ns() + UINT64_C(20000000000);
    size_t found = count_large(crash);

    while (found > expected && clock_mono_ns() < until_ns) {
        nap_ms(5);
        found = count_large(crash);
    }
    if (found == expected)
        return true;
    printf("# %zu files of large values, expected %zu\n", found, expected);
    return false;
}

static bool verify(struct crash *crash)
{
    struct http http;
    size_t present = 0, files = 0;
    bool ok = true;

    http_open(&http, crash->kistd.port);
    for (size_t i = 0; i < WRITERS; i++)
        ok = writer_verify(&crash->writers[i], &http, &present, &files) && ok;
    ok = verify_shared(crash, &http) && ok;
    present += number(&http, "GET /kv/shared", NULL) > 0;
    size_t listed = (size_t)number(&http, "GET /kv?count=1", "count");
    if (listed != present) {
        printf("# %zu keys are listed, %zu exist\n", listed, present);
        ok = false;
    }
    http_close(&http);
    if (ok && random_next(&crash->random) % 4 == 0)
        ok = verify_files(crash, files);
    return ok;
}

static void load_and_kill(struct crash *crash, uint64_t ms)
{
    atomic_bool stop = false;

    for (size_t i = 0; i < WRITERS; i++)
        writer_start(&crash->writers[i], crash->kistd.port, &stop);
    nap_ms(ms);
    kistd_kill(&crash->kistd);
    atomic_store(&stop, true);
    for (size_t i = 0; i < WRITERS; i++)
        writer_join(&crash->writers[i]);
}

static void take_new_directory(struct crash *crash)
{
    kistd_remove(&crash->kistd);
    kistd_prepare(&crash->kistd, NULL);
    crash->shared = 0;
    for (size_t i = 0; i < WRITERS; i++)
        writer_forget(&crash->writers[i]);
}

static bool play(struct crash *crash, unsigned round)
{
    uint64_t acked = 0, unknown = 0;
    uint64_t start_ns = clock_mono_ns();

    if (random_next(&crash->random) % 16 == 0)
        take_new_directory(crash);
    kistd_start(&crash->kistd, flags);
    uint64_t ms = random_next(&crash->random) % 151;
    load_and_kill(crash, ms);
    if (random_next(&crash->random) % 4 == 0) {
        kistd_spawn(&crash->kistd, flags);
        nap_ms(random_next(&crash->random) % 40);
        kistd_kill(&crash->kistd);
    }
    kistd_start(&crash->kistd, flags);
    bool ok = verify(crash);
    kistd_kill(&crash->kistd);

    for (size_t i = 0; i < WRITERS; i++) {
        acked += crash->writers[i].acked;
        unknown += crash->writers[i].unknown;
    }
    crash->acked += acked;
    crash->unknown += unknown;
    printf("%sok %u - killed after %" PRIu64 " ms: %" PRIu64
           " acknowledged, %" PRIu64 " unknown, %" PRIu64 " ms in all\n",
           ok ? "" : "not ", round, ms, acked, unknown,
           (clock_mono_ns() - start_ns) / 1000000);
    fflush(stdout);
    return ok;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : clock_wall_ms();
    struct crash *crash = calloc(1, sizeof *crash);
    bool ok = true;

    if (crash == NULL)
        give_up("no memory");
    printf("1..%u\n# seed %" PRIu64 "\n", rounds, seed);
    crash->random = seed | 1;
    for (unsigned i = 0; i < WRITERS; i++)
        writer_init(&crash->writers[i], i, seed);
    kistd_prepare(&crash->kistd, NULL);

    /* A failed round ends it all: its directory is what one wants to see. */
    for (unsigned i = 1; ok && i <= rounds; i++)
        ok = play(crash, i);
    printf("# %" PRIu64 " acknowledged, %" PRIu64 " unknown\n", crash->acked,
           crash->unknown);
    if (ok)
        kistd_remove(&crash->kistd);
    else
        printf("Bail out! See %s\n", crash->kistd.directory);
    free(crash);
    return ok ? 0 : 1;
}
