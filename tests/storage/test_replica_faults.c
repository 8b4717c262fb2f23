/*
 * The index and the sums of a store of a cluster, when writes fail and when the
 * process is killed: whatever was not answered, they are those of the records
 * that are found.
 */
#include "storage/commit.h"

#include "base/clock.h"
#include "tests/storage/node.h"
#include "tests/storage/replica_check.h"
#include "tests/storage/workload.h"
#include "tests/support/fault.h"
#include "tests/support/synced.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
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

enum { CLUSTER = 9, KEYS = 40, TURN = 8, ROUNDS = 40, FAULT_TURNS = 25 };

static const struct store_replication replication = {3, CLUSTER};

/* Between the writer, the test and the checkers. */
struct shared {
    _Atomic unsigned turns;
    /* The newest version of each key that was answered, and if it is dead. */
    _Atomic uint64_t answered_ms[KEYS];
    _Atomic bool is_dead[KEYS];
    char why[900]; /* The checker's. */
};

static struct scratch scratch;
static struct node node;
static struct shared *shared;

static void set_up(void)
{
    node_prepare(&node);
    scratch = node.scratch;
    node.replicated = &replication;
    node.write_buffer_bytes = 64 << 10;
    fault_watch(scratch.path);
    synced_begin();
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(shared != MAP_FAILED);
}

static void tear_down(void)
{
    fault_disarm();
    scratch_remove(&scratch);
}

TestSuite(replica_faults, .init = set_up, .fini = tear_down, .timeout = 120);

/* One batch of records from elsewhere, in any order, and some purging. */
struct batch {
    struct write writes[TURN];
    unsigned numbers[TURN];
    char keys[TURN][8], values[TURN][400];
    struct commit_group group;
};

static void make_write(struct batch *batch, unsigned i, uint64_t *random)
{
    struct write *write = &batch->writes[i];
    uint64_t ms = 1000 + workload_random(random) % 100000;

    batch->numbers[i] = (unsigned)(workload_random(random) % KEYS);
    snprintf(batch->keys[i], sizeof(batch->keys[i]), "k%u", batch->numbers[i]);
    memset(batch->values[i], 'v', sizeof(batch->values[i]));
    *write = (struct write){
        .kind = WRITE_APPLY,
        .key = view_of(batch->keys[i]),
        .next = {.version = {ms << 16, 7}},
    };
    switch (workload_random(random) % 4) {
    case 0:
        write->next.tombstone = true;
        break;
    case 1:
        write->kind = WRITE_PURGE;
        write->floor = write->next.version;
        break;
    case 2:
        write->next.expiry_ms = ms + 10;
        /* fall through */
    default:
        write->next.value =
            (struct view){batch->values[i],
                          workload_random(random) % sizeof(batch->values[i])};
    }
}

static void make_batch(struct batch *batch, uint64_t *random)
{
    for (unsigned i = 0; i < TURN; i++)
        make_write(batch, i, random);
    batch->group = (struct commit_group){.writes = batch->writes,
                                         .count = TURN,
                                         .bytes = 10,
                                         .sync = ENGINE_SYNC};
}

static void commit(struct batch *batch)
{
    node_commit(&node, (struct commit_group *const[]){&batch->group}, 1);
}

static bool is_dead(const struct write *write)
{
    return write->kind == WRITE_APPLY &&
           record_is_dead(&write->next, UINT64_MAX);
}

/* Under way, a dead record may already be there, and be purged again. */
static void allow_deaths(const struct batch *batch)
{
    for (unsigned i = 0; i < TURN; i++)
        if (is_dead(&batch->writes[i]))
            atomic_store(&shared->is_dead[batch->numbers[i]], true);
}

/* In between, half of an answer promises less than all of it. */
static void note_answers(const struct batch *batch, bool dead[KEYS])
{
    for (unsigned i = 0; i < TURN; i++) {
        const struct write *write = &batch->writes[i];

        if (write->kind != WRITE_APPLY || write->status != KIST_OK ||
            write->unchanged)
            continue;
        dead[batch->numbers[i]] = is_dead(write);
        atomic_store(&shared->answered_ms[batch->numbers[i]],
                     version_ms(write->next.version));
    }
    for (unsigned i = 0; i < TURN; i++)
        atomic_store(&shared->is_dead[batch->numbers[i]],
                     dead[batch->numbers[i]]);
}

/* Reopening. */

/* False: the n-th sync was never made. */
static bool fail_sync(unsigned nth)
{
    uint64_t random = nth;
    struct batch batch;
    const char *wrong;
    bool fired;

    node_start(&node);
    fault_arm(FAULT_SYNC, nth, FAULT_ONCE, ENOSPC);
    for (unsigned turn = 0; turn < FAULT_TURNS; turn++) {
        make_batch(&batch, &random);
        commit(&batch);
        if (store_state(node.store) != STORE_READ_WRITE)
            store_check(node.store); /* Its outcome is known from here on. */
        wrong = replica_check(node.store, CLUSTER);
        cr_assert(wrong == NULL, "sync %u, turn %u: %s", nth, turn,
                  wrong == NULL ? "" : wrong);
    }
    fired = fault_disarm();
    node_stop(&node);
    scratch_remove_tree(node.path);
    return fired;
}

Test(replica_faults, sums_are_right_after_a_write_of_unknown_outcome)
{
    unsigned nth = 0;

    while (fail_sync(nth))
        nth++;
    cr_assert(gt(uint, nth, 3));
}

/* What was decided before must not be done to what a reopen has found. */
Test(replica_faults, a_batch_from_before_a_reopen_is_refused)
{
    uint64_t random = 1, opening;
    struct engine_batch late = {0};
    struct batch batch;

    node_start(&node);
    opening = store_opening(node.store);
    fault_arm(FAULT_SYNC, 0, FAULT_ONCE, ENOSPC);
    make_batch(&batch, &random);
    commit(&batch);
    cr_assert(eq(int, store_state(node.store), STORE_READ_ONLY));
    store_check(node.store);
    cr_assert(eq(int, store_state(node.store), STORE_READ_WRITE));

    store_batch_lease(&late, 1);
    cr_expect(store_apply(node.store, &late, opening, ENGINE_SYNC) ==
              KIST_READ_ONLY);
    cr_expect(store_apply(node.store, &late, store_opening(node.store),
                          ENGINE_SYNC) == KIST_OK);
    engine_batch_free(&late);
    node_stop(&node);
}

/* Without memory. */

/* False: it made fewer than nth allocations. */
static bool fail_allocation(unsigned nth, enum fault_life life,
                            uint64_t *random)
{
    struct batch batch;
    const char *wrong;
    bool fired;

    /* A commit of its own has no memory left over from batches before. */
    commit_close(node.commit);
    commit_lane_close(node.lane);
    loop_close(node.loop);
    node_open_commit(&node);
    make_batch(&batch, random);
    batch.writes[0].kind = WRITE_DROP; /* Then something has to change. */
    batch.writes[1].kind = WRITE_APPLY;
    batch.writes[1].key = batch.writes[0].key;
    fault_arm(FAULT_ALLOCATION, nth, life, ENOMEM);
    node_turn(&node, (struct commit_group *const[]){&batch.group}, 1);
    fired = fault_disarm();
    for (unsigned i = 0; i < TURN; i++) {
        enum kist_status status = batch.writes[i].status;

        cr_assert(
            status == KIST_OK || status == KIST_NO_MEMORY ||
            (status == KIST_NOT_FOUND && batch.writes[i].kind != WRITE_APPLY));
    }
    wrong = replica_check(node.store, CLUSTER);
    cr_assert(wrong == NULL, "allocation %u: %s", nth,
              wrong == NULL ? "" : wrong);
    return fired;
}

Test(replica_faults, sums_are_right_when_memory_runs_out)
{
    uint64_t random = 1;
    unsigned nth = 0;

    node_start(&node);
    while (fail_allocation(nth, FAULT_ONCE, &random))
        nth++;
    cr_assert(gt(uint, nth, 3));
    for (nth = 0; fail_allocation(nth, FAULT_LASTING, &random); nth++)
        ;
    cr_assert(gt(uint, nth, 3));
    node_stop(&node);
}

/* Being killed. */

static _Noreturn void write_on(void)
{
    uint64_t random = 5;
    bool dead[KEYS] = {false};
    struct batch batch;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    node_start(&node);
    for (;;) {
        make_batch(&batch, &random);
        allow_deaths(&batch);
        commit(&batch);
        note_answers(&batch, dead);
        atomic_fetch_add(&shared->turns, 1);
    }
}

static bool complain(const char *what, const char *why)
{
    snprintf(shared->why, sizeof(shared->why), "%s: %s", what, why);
    return false;
}

static bool has_answered(unsigned number)
{
    uint64_t answered_ms = atomic_load(&shared->answered_ms[number]);
    struct item item;
    char key[8];
    enum kist_status status;
    bool good;

    /* What is dead may be purged, and then be anything again. */
    if (answered_ms == 0 || atomic_load(&shared->is_dead[number]))
        return true;
    snprintf(key, sizeof(key), "k%u", number);
    status = store_get(node.store, view_of(key), &item);
    if (status != KIST_OK)
        return false;
    good = version_ms(item.record.version) >= answered_ms;
    item_free(&item);
    return good;
}

/* A process of its own, as a restart is. */
static bool check_image(const char *path)
{
    uint64_t random = 6;
    struct batch batch;
    const char *wrong;

    snprintf(node.path, sizeof(node.path), "%s", path);
    if (node_open_store(&node) != KIST_OK)
        return complain("open", node.fault.text);
    node_open_commit(&node);
    wrong = replica_check(node.store, CLUSTER);
    if (wrong != NULL)
        return complain("image", wrong);
    for (unsigned i = 0; i < KEYS; i++)
        if (!has_answered(i))
            return complain("answered", "is not there");
    make_batch(&batch, &random);
    commit(&batch);
    node_restart(&node);
    wrong = replica_check(node.store, CLUSTER);
    return wrong == NULL || complain("restarted", wrong);
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

/* In the middle of whatever it does then. */
static void stop_at(pid_t writer, unsigned turn, uint64_t random)
{
    uint64_t until_ns;
    int status;

    while (atomic_load(&shared->turns) < turn &&
           waitpid(writer, &status, WNOHANG) == 0)
        sched_yield();
    until_ns = clock_mono_ns() + random % 2000000;
    while (clock_mono_ns() < until_ns)
        ;
    cr_assert(zero(int, kill(writer, SIGSTOP)));
    cr_assert(eq(int, waitpid(writer, &status, WUNTRACED), writer));
    cr_assert(eq(int, WIFSTOPPED(status), 1), "the writer ended, status %#x",
              (unsigned)status);
}

Test(replica_faults, sums_are_right_after_a_kill_and_after_a_power_cut)
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
        stop_at(writer, atomic_load(&shared->turns) + 1 + round % 5,
                workload_random(&random));
        scratch_copy_tree(node.path, killed);
        synced_copy_tree(node.path, cut, workload_random(&random));
        expect_good(killed, round);
        expect_good(cut, round);
        kill(writer, SIGCONT);
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
}
