/*
 * What a crash leaves behind, taken from a process that is stopped in the
 * middle of writing: its files as they are, as after kill -9, and its files
 * with no more than what was synced, as after a power cut.
 *
 * Each turn is one batch, so the image holds all turns answered, and the one
 * under way whole or not at all.
 */
#include "storage/store.h"

#include "base/clock.h"
#include "storage/cursor.h"
#include "storage/large_orphans.h"
#include "tests/storage/large_value.h"
#include "tests/storage/model.h"
#include "tests/storage/node.h"
#include "tests/support/fault.h"
#include "tests/support/large_files.h"
#include "tests/support/synced.h"
#include "tests/support/wall.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 80, SEED = 3 };

static const int64_t HOUR_MS = 3600 * 1000;

/* Between the writer, the test and the checkers. */
struct shared {
    struct {
        struct model answered;
        struct model planned; /* And if the turn under way is there, too. */
        unsigned next;        /* Number of the turn under way. */
    } slots[2];
    _Atomic unsigned current; /* The slot to read; the other is written. */
    char why[900];            /* The checker's. */
};

static struct scratch scratch;
static struct node node;
static struct shared *shared;

static void set_up(void)
{
    node_prepare(&node);
    scratch = node.scratch;
    node.write_buffer_bytes = 64 << 10;
    fault_watch(scratch.path);
    synced_begin();
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(shared != MAP_FAILED);
}

static void tear_down(void)
{
    scratch_remove(&scratch);
}

TestSuite(store_images, .init = set_up, .fini = tear_down, .timeout = 120);

/* Answered so far, and what comes next. Publishing is the acknowledgement. */
static void publish(const struct model *answered, const struct turn *turn,
                    unsigned next)
{
    unsigned other = 1 - atomic_load(&shared->current);
    struct model planned = *answered;

    if (!model_follow(&planned, turn, MODEL_PLANNED))
        abort();
    shared->slots[other].answered = *answered;
    shared->slots[other].planned = planned;
    shared->slots[other].next = next;
    atomic_store(&shared->current, other);
}

/* The writer, until it is killed. */
static _Noreturn void write_on(void)
{
    struct model model = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    node_start(&node);
    for (unsigned number = 0;; number++) {
        struct turn turn;

        turn_make(&turn, SEED, number, &model);
        turn_spill(&turn, store_large(node.store));
        publish(&model, &turn, number);
        node_commit(&node, turn.pointers, turn.count);
        turn_settle(&turn, store_large(node.store));
        large_tend(store_large(node.store));
        if (!model_follow(&model, &turn, MODEL_ANSWERED)) {
            fprintf(stderr, "turn %u: %s\n", number, model.difference);
            abort();
        }
        turn_clear(&turn);
    }
}

/* The checker: a process of its own, as a restart is. */

static bool complain(const char *what, const char *why)
{
    snprintf(shared->why, sizeof(shared->why), "%s: %s", what, why);
    return false;
}

static bool start(void)
{
    wall_shift(-HOUR_MS);
    if (node_open_store(&node) != KIST_OK)
        return complain("open", node.fault.text);
    node_open_commit(&node);
    return true;
}

static bool find_state(struct model *out_model)
{
    unsigned current = atomic_load(&shared->current);
    struct model *planned = &shared->slots[current].planned;

    *out_model = shared->slots[current].answered;
    if (model_matches(out_model, node.store))
        return true;
    if (!model_matches(planned, node.store)) {
        char why[450];

        snprintf(why, sizeof(why), "%s; with the turn under way %s",
                 out_model->difference, planned->difference);
        return complain("image", why);
    }
    *out_model = *planned;
    return true;
}

/* Versions given before the crash are given never again. */
static bool learn_versions(struct model *model)
{
    for (unsigned i = 0; i < WORKLOAD_KEYS; i++) {
        struct item item;
        enum kist_status status = store_get(node.store, workload_key(i), &item);

        if (status == KIST_NOT_FOUND)
            continue;
        if (status != KIST_OK)
            return complain("get", kist_status_name(status));
        model->keys[i].version = item.record.version;
        if (version_compare(item.record.version, model->newest) > 0)
            model->newest = item.record.version;
        item_free(&item);
    }
    return true;
}

static bool write_some(struct model *model)
{
    for (unsigned number = 0; number < 3; number++) {
        struct turn turn;
        bool right;

        turn_make(&turn, SEED + 1, number, model);
        turn_spill(&turn, store_large(node.store));
        node_commit(&node, turn.pointers, turn.count);
        turn_settle(&turn, store_large(node.store));
        right = model_follow(model, &turn, MODEL_ANSWERED);
        turn_clear(&turn);
        if (!right)
            return complain("write", model->difference);
    }
    return true;
}

/* What the crash has left is found, and what is named is not touched. */
static bool collect(void)
{
    struct large_orphans *orphans;
    struct cursor *cursor;
    struct view id;
    size_t entries = 0;
    bool done;

    if (large_orphans_open(node.store, &orphans) != KIST_OK)
        return complain("orphans", "no memory");
    done = large_orphans_run(orphans, 10000);
    large_orphans_close(orphans);
    if (!done || cursor_open(node.store, CURSOR_LARGE, &cursor) != KIST_OK)
        return complain("orphans", "not done");
    for (cursor_seek(cursor, (struct view){0}); cursor_key(cursor, &id);
         cursor_next(cursor))
        entries++;
    cursor_close(cursor);
    if (large_files_count(node.path, NULL) != entries ||
        large_files_count(node.path, "incoming") != 0)
        return complain("orphans", "another number of files than of entries");
    return true;
}

static bool check_image(const char *path)
{
    struct model model;

    snprintf(node.path, sizeof(node.path), "%s", path);
    if (!start() || !find_state(&model) || !learn_versions(&model) ||
        !write_some(&model))
        return false;
    node_stop(&node);
    if (!start() || !collect())
        return false;
    if (!model_matches(&model, node.store))
        return complain("after a restart", model.difference);
    node_stop(&node);
    return true;
}

static void expect_good(const char *path, unsigned round)
{
    int status;
    pid_t checker = fork();

    cr_assert(ge(int, checker, 0));
    if (checker == 0) {
        alarm(30);
        _exit(check_image(path) ? 0 : 1);
    }
    cr_assert(eq(int, waitpid(checker, &status, 0), checker));
    cr_assert(zero(int, status), "round %u, %s, status %#x: %s", round, path,
              (unsigned)status, shared->why);
    scratch_remove_tree(path);
}

static unsigned turns(void)
{
    return shared->slots[atomic_load(&shared->current)].next;
}

/* In the middle of whatever it does then. */
static void stop_at(pid_t writer, unsigned turn, uint64_t random)
{
    uint64_t until_ns;
    int status;

    while (turns() < turn && waitpid(writer, &status, WNOHANG) == 0)
        sched_yield();
    until_ns = clock_mono_ns() + random % 2000000;
    while (clock_mono_ns() < until_ns)
        ;
    cr_assert(zero(int, kill(writer, SIGSTOP)));
    cr_assert(eq(int, waitpid(writer, &status, WUNTRACED), writer));
    cr_assert(eq(int, WIFSTOPPED(status), 1), "the writer ended, status %#x",
              (unsigned)status);
}

Test(store_images, a_crash_at_any_moment_loses_nothing_answered)
{
    char killed[80], cut[80];
    uint64_t random = clock_mono_ns();
    pid_t writer = fork();

    cr_assert(ge(int, writer, 0));
    if (writer == 0)
        write_on();
    snprintf(killed, sizeof(killed), "%s/killed", scratch.path);
    snprintf(cut, sizeof(cut), "%s/cut", scratch.path);
    for (unsigned round = 0; round < ROUNDS; round++) {
        stop_at(writer, turns() + 1 + round % 5, workload_random(&random));
        scratch_copy_tree(node.path, killed);
        synced_copy_tree(node.path, cut, workload_random(&random));
        expect_good(killed, round);
        expect_good(cut, round);
        kill(writer, SIGCONT);
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
}
