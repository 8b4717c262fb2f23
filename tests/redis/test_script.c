#include "storage/redis_script.h"

#include "storage/redis_link.h"
#include "tests/support/redis_server.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

static struct scratch scratch;
static struct redis_server server;
static struct redis_link *redis;

static void set_up(void)
{
    struct redis_link_options options = {.connect_timeout_ms = 5000,
                                         .answer_timeout_ms = 10000};
    struct redis_address address = {.port = 0};
    char fault[REDIS_FAULT_SIZE];

    scratch_make(&scratch);
    redis_server_start(&server, scratch.path, 0, NULL);
    cr_assert(redis_address_read(view_of(server.socket), &address));
    cr_assert(
        eq(int, redis_link_open(&address, &options, fault, &redis), KIST_OK));
}

static void tear_down(void)
{
    redis_link_close(redis);
    redis_server_kill(&server);
    scratch_remove(&scratch);
}

TestSuite(redis_script, .init = set_up, .fini = tear_down, .timeout = 60);

/* One step; what is not said is nothing. */
struct step {
    const char *key;
    char verb;
    uint64_t version;
    char condition;     /* enum condition_kind */
    uint64_t listed;    /* Its version; 0: none. Of 'm': an incarnation. */
    const char *expiry; /* NULL: none. */
    bool resent;
};

enum { STEPS_MAX = 4, TEXT_MAX = 128 };

struct told {
    char conditions[STEPS_MAX][17];
    char versions[STEPS_MAX][16];
    char records[STEPS_MAX][40];
    char keys[STEPS_MAX][40];
    char results[STEPS_MAX][TEXT_MAX];
    size_t sizes[STEPS_MAX];
    size_t count;
};

static struct told told;

static void put_version(char *out, uint64_t version)
{
    memset(out, 0, 16);
    for (int i = 7; i >= 0; i--, version >>= 8)
        out[i] = (char)(version & 0xFF);
}

static size_t add_step(const struct step *step, size_t i, struct view *words,
                       size_t n)
{
    static const char verbs[] = "pqdktmf";
    size_t condition = 1 + (step->listed != 0 ? 16 : 0);

    told.conditions[i][0] = step->condition;
    put_version(told.conditions[i] + 1, step->listed);
    put_version(told.versions[i], step->version);
    if (step->verb == 'm')
        told.versions[i][15] = (char)step->listed;
    memset(told.records[i], 'r', sizeof told.records[i]);
    memcpy(told.records[i] + 4, told.versions[i], 16);
    words[n++] = (struct view){told.conditions[i], condition};
    words[n++] = (struct view){strchr(verbs, step->verb), 1};
    words[n++] = (struct view){told.versions[i], 16};
    words[n++] =
        step->verb == 'm' ? VIEW_LITERAL("far away") : VIEW_LITERAL("created!");
    words[n++] = view_of(step->expiry != NULL ? step->expiry : "0");
    words[n++] = (struct view){told.records[i], sizeof told.records[i]};
    return n;
}

/* Run it; told.results are what it says of each step. */
static void run(bool atomic, const struct step *steps, size_t count)
{
    struct view words[8 + STEPS_MAX * 7];
    struct redis_answer answer;
    char numkeys[8];
    size_t n = 0;

    snprintf(numkeys, sizeof numkeys, "%zu", count + 2);
    words[n++] = VIEW_LITERAL("EVAL");
    words[n++] = redis_script_text(REDIS_SCRIPT_CHANGE);
    words[n++] = view_of(numkeys);
    words[n++] = VIEW_LITERAL("kist{7}#index");
    words[n++] = VIEW_LITERAL("kist{7}#floor");
    for (size_t i = 0; i < count; i++) {
        snprintf(told.keys[i], sizeof told.keys[i], "kist{7}:%s", steps[i].key);
        words[n++] = view_of(told.keys[i]);
    }
    words[n++] = atomic            ? VIEW_LITERAL("10")
                 : steps[0].resent ? VIEW_LITERAL("01")
                                   : VIEW_LITERAL("00");
    for (size_t i = 0; i < count; i++)
        n = add_step(&steps[i], i, words, n);
    cr_assert(eq(int, redis_link_say(redis, words, n), KIST_OK));
    cr_assert(eq(int, redis_link_hear(redis, &answer), KIST_OK));
    cr_assert(eq(int, answer.kind, REDIS_ANSWER_LIST), "%s", answer.text.data);
    told.count = answer.count;
    for (size_t i = 0; i < answer.count; i++) {
        struct redis_answer one = redis_answer_at(&answer, i);

        cr_assert(lt(sz, one.text.size, TEXT_MAX));
        memcpy(told.results[i], one.text.data, one.text.size);
        told.sizes[i] = one.text.size;
    }
    redis_answer_free(&answer);
}

static char outcome(struct step step)
{
    run(false, &step, 1);
    cr_assert(eq(sz, told.count, 1));
    return told.results[0][0];
}

static void expect_asked(const char *command, const char *answer)
{
    cr_expect(
        eq(str, (char *)redis_server_ask(&server, command), (char *)answer),
        "%s", command);
}

enum { NONE, ABSENT, PRESENT, ANY_OF, NONE_OF };

Test(redis_script, a_put_creates_then_replaces_and_the_index_has_it_once)
{
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 10, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_CREATED));
    expect_asked("ZCARD kist{7}#index", ":1");
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 11, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_REPLACED));
    expect_asked("ZCARD kist{7}#index", ":1");
    expect_asked("ZSCORE kist{7}#index a", "$1");
    expect_asked("STRLEN kist{7}:a", ":48");
    expect_asked("EXISTS kist{7}#floor", ":0");
}

Test(redis_script, a_version_has_to_be_above_the_one_it_replaces)
{
    outcome((struct step){"a", 'p', 10, NONE, 0, NULL, false});
    cr_expect(eq(chr, outcome((struct step){"a", 'p', 9, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_STALE));
    cr_expect(eq(sz, told.sizes[0], 9));
    cr_expect(eq(chr, told.results[0][8], 10));
    /* In 32-bit halves, each beyond what a signed one holds. */
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 0xFFFFFFFFFFFFFFF0, NONE, 0,
                                       NULL, false}),
                 REDIS_OUTCOME_REPLACED));
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 0xFFFFFFFF80000000, NONE, 0,
                                       NULL, false}),
                 REDIS_OUTCOME_STALE));
}

Test(redis_script, no_version_comes_again_after_a_deletion)
{
    outcome((struct step){"a", 'p', 10, NONE, 0, NULL, false});
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'd', 12, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_DELETED));
    expect_asked("EXISTS kist{7}:a", ":0");
    expect_asked("ZCARD kist{7}#index", ":0");
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 12, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_STALE));
    cr_expect(eq(chr,
                 outcome((struct step){"b", 'p', 11, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_STALE));
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 13, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_CREATED));
}

Test(redis_script, no_version_comes_again_after_an_expiry)
{
    /* 2001: it is gone as it is written. */
    outcome((struct step){"a", 'p', 10, NONE, 0, "1000000000000", false});
    expect_asked("EXISTS kist{7}:a", ":0");
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 10, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_STALE));
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'p', 11, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_CREATED));
    expect_asked("TTL kist{7}:a", ":-1");
    outcome((struct step){"a", 'p', 12, NONE, 0, "99999999999999", false});
    cr_expect(
        ne(int, strcmp(redis_server_ask(&server, "PTTL kist{7}:a"), ":-1"), 0));
    outcome((struct step){"a", 'p', 13, NONE, 0, NULL, false});
    expect_asked("PTTL kist{7}:a", ":-1");
}

Test(redis_script, the_same_write_twice_happens_once)
{
    struct step put = {"a", 'p', 10, ABSENT, 0, NULL, false};
    struct step erase = {"a", 'd', 11, NONE, 0, NULL, false};

    outcome(put);
    cr_expect(eq(chr, outcome(put), REDIS_OUTCOME_CONFLICT));
    put.resent = true;
    cr_expect(eq(chr, outcome(put), REDIS_OUTCOME_AGAIN));
    cr_expect(eq(sz, told.sizes[0], 9));
    outcome(erase);
    erase.resent = true;
    cr_expect(eq(chr, outcome(erase), REDIS_OUTCOME_AGAIN));
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'd', 12, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_MISSING));
}

Test(redis_script, what_comes_again_is_something_for_replicas_to_have)
{
    struct step put = {"a", 'p', 10, NONE, 0, NULL, false};

    outcome(put);
    expect_asked("EXISTS kist{7}#floor", ":0");
    put.resent = true;
    cr_expect(eq(chr, outcome(put), REDIS_OUTCOME_AGAIN));
    expect_asked("EXISTS kist{7}#floor", ":1");
    cr_expect(eq(chr, outcome((struct step){"b", 'p', 1, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_CREATED));
}

Test(redis_script, conditions_hold_or_not)
{
    static const struct {
        char condition;
        uint64_t listed;
        bool without, with; /* A value of version 10. */
    } cases[] = {
        {NONE, 0, true, true},     {ABSENT, 0, true, false},
        {PRESENT, 0, false, true}, {ANY_OF, 10, false, true},
        {ANY_OF, 9, false, false}, {NONE_OF, 10, true, false},
        {NONE_OF, 9, true, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct step check = {"a",  'k',  0, cases[i].condition, cases[i].listed,
                             NULL, false};
        char got = outcome(check);

        cr_expect(eq(chr, got, cases[i].without ? 'k' : 'c'), "case %zu", i);
        if (!cases[i].without)
            cr_expect(eq(sz, told.sizes[0], 1));
    }
    outcome((struct step){"a", 'p', 10, NONE, 0, NULL, false});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct step check = {"a",  'k',  0, cases[i].condition, cases[i].listed,
                             NULL, false};
        char got = outcome(check);

        cr_expect(eq(chr, got, cases[i].with ? 'k' : 'c'), "case %zu", i);
        if (!cases[i].with)
            cr_expect(eq(sz, told.sizes[0], 17));
    }
}

Test(redis_script, of_two_records_the_newer_one_stays)
{
    struct step old = {"a", 'm', 10, NONE, 0, NULL, false};
    struct step young = {"a", 'm', 12, NONE, 0, NULL, false};

    cr_expect(eq(chr, outcome(old), REDIS_OUTCOME_CREATED));
    expect_asked("ZCARD kist{7}#index", ":1");
    cr_expect(eq(chr, outcome(old), REDIS_OUTCOME_KEPT));
    cr_expect(eq(sz, told.sizes[0], 17));
    cr_expect(eq(chr, told.results[0][8], 10));
    cr_expect(eq(chr, outcome(young), REDIS_OUTCOME_REPLACED));
    cr_expect(eq(chr, outcome(old), REDIS_OUTCOME_KEPT));
    cr_expect(eq(chr, told.results[0][8], 12));
    young.resent = true;
    cr_expect(eq(chr, outcome(young), REDIS_OUTCOME_AGAIN));
    cr_expect(eq(int, memcmp(told.results[0] + 1, "far away", 8), 0));
}

Test(redis_script, of_one_time_the_other_half_of_the_version_decides)
{
    struct step step = {"a", 'm', 10, NONE, 0, NULL, false};

    outcome(step);
    step.listed = 2;
    cr_expect(eq(chr, outcome(step), REDIS_OUTCOME_REPLACED));
    step.listed = 1;
    cr_expect(eq(chr, outcome(step), REDIS_OUTCOME_KEPT));
}

Test(redis_script, a_deletion_from_elsewhere_takes_what_is_older)
{
    outcome((struct step){"a", 'p', 10, NONE, 0, NULL, false});
    cr_expect(eq(chr, outcome((struct step){"a", 'f', 9, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_KEPT));
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'f', 11, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_DELETED));
    expect_asked("EXISTS kist{7}:a", ":0");
    expect_asked("ZCARD kist{7}#index", ":0");
    cr_expect(eq(chr,
                 outcome((struct step){"b", 'f', 20, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_KEPT));
    cr_expect(eq(sz, told.sizes[0], 1));
    cr_expect(eq(chr,
                 outcome((struct step){"b", 'p', 20, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_STALE));
    /* What others have deleted is not what deleted this. */
    cr_expect(eq(chr,
                 outcome((struct step){"c", 'm', 15, NONE, 0, NULL, false}),
                 REDIS_OUTCOME_CREATED));
}

Test(redis_script, all_steps_or_none)
{
    struct step steps[] = {{"a", 'p', 10, NONE, 0, NULL, false},
                           {"b", 'p', 11, PRESENT, 0, NULL, false}};

    run(true, steps, 2);
    cr_expect(eq(chr, told.results[0][0], REDIS_OUTCOME_CREATED));
    cr_expect(eq(chr, told.results[1][0], REDIS_OUTCOME_CONFLICT));
    expect_asked("EXISTS kist{7}:a kist{7}:b", ":0");
    expect_asked("ZCARD kist{7}#index", ":0");
    run(false, steps, 2);
    expect_asked("EXISTS kist{7}:a kist{7}:b", ":1");
    steps[0].version = 12;
    steps[1] = (struct step){"c", 'p', 13, ABSENT, 0, NULL, false};
    run(true, steps, 2);
    cr_expect(eq(chr, told.results[0][0], REDIS_OUTCOME_REPLACED));
    cr_expect(eq(chr, told.results[1][0], REDIS_OUTCOME_CREATED));
}

Test(redis_script, steps_on_one_key_follow_each_other)
{
    struct step steps[] = {{"a", 'p', 10, ABSENT, 0, NULL, false},
                           {"a", 'd', 11, PRESENT, 0, NULL, false},
                           {"a", 'p', 12, ABSENT, 0, NULL, false}};

    run(false, steps, 3);
    cr_expect(eq(chr, told.results[0][0], REDIS_OUTCOME_CREATED));
    cr_expect(eq(chr, told.results[1][0], REDIS_OUTCOME_DELETED));
    cr_expect(eq(chr, told.results[2][0], REDIS_OUTCOME_CREATED));
    expect_asked("ZCARD kist{7}#index", ":1");
}

Test(redis_script, what_has_expired_leaves_the_index_and_nothing_else_does)
{
    outcome((struct step){"a", 'p', 10, NONE, 0, "1000000000000", false});
    outcome((struct step){"b", 'p', 11, NONE, 0, NULL, false});
    expect_asked("ZCARD kist{7}#index", ":2");
    outcome((struct step){"a", 't', 0, NONE, 0, NULL, false});
    outcome((struct step){"b", 't', 0, NONE, 0, NULL, false});
    expect_asked("ZCARD kist{7}#index", ":1");
    expect_asked("ZSCORE kist{7}#index b", "$1");
}

/* 'r' everywhere, as told.records have it, with this version. */
static int64_t replace(const char *key, uint64_t version)
{
    struct view words[] = {VIEW_LITERAL("EVAL"),
                           redis_script_text(REDIS_SCRIPT_REPLACE),
                           VIEW_LITERAL("1"),
                           view_of(key),
                           {told.records[0], sizeof told.records[0]}};
    struct redis_answer answer;
    int64_t number;

    memset(told.records[0], 'r', sizeof told.records[0]);
    put_version(told.records[0] + 4, version);
    cr_assert(eq(int, redis_link_say(redis, words, 5), KIST_OK));
    cr_assert(eq(int, redis_link_hear(redis, &answer), KIST_OK));
    cr_assert(eq(int, answer.kind, REDIS_ANSWER_NUMBER), "%s",
              answer.text.data);
    number = answer.number;
    redis_answer_free(&answer);
    return number;
}

Test(redis_script, a_record_is_replaced_in_short_if_it_is_there_and_older)
{
    cr_expect(eq(i64, replace("kist{7}:a", 10), 0));
    expect_asked("EXISTS kist{7}:a", ":0");
    outcome((struct step){"a", 'p', 10, NONE, 0, "99999999999999", false});
    cr_expect(eq(i64, replace("kist{7}:a", 10), 0));
    cr_expect(eq(i64, replace("kist{7}:a", 9), 0));
    cr_expect(eq(i64, replace("kist{7}:a", 11), 1));
    expect_asked("TTL kist{7}:a", ":-1");
    expect_asked("STRLEN kist{7}:a", ":48");
    expect_asked("GETRANGE kist{7}:a 0 7", "$8"); /* Created as before. */
    cr_expect(eq(chr,
                 outcome((struct step){"a", 'k', 0, ANY_OF, 11, NULL, false}),
                 REDIS_OUTCOME_CHECKED));
    cr_expect(eq(i64, replace("kist{7}:a", 0xFFFFFFFFFFFFFFF0), 1));
    cr_expect(eq(i64, replace("kist{7}:a", 0xFFFFFFFF80000000), 0));
}
