/*
 * All of the storage at once, on threads: loops that write, readers, a
 * listing, a sweep, waiters, and a checker under which the disk fills up again
 * and again, so that the engine is poisoned and reopened beneath them all.
 *
 * Every answer is compared with what it may be; and the thread sanitizer, with
 * which `./dev test` builds this program too, sees every access.
 *
 *     stress [seconds]
 */
#include "base/clock.h"
#include "storage/scan.h"
#include "tests/stress/traffic.h"
#include "tests/support/fault.h"
#include "tests/support/give_up.h"
#include "tests/support/scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { READERS = 2 };

static const uint64_t NS_PER_S = 1000000000;

struct stress {
    /* Set before the threads start, then read-only. */
    struct scratch scratch;
    char path[80];
    struct store *store;
    struct commit *commit;
    struct waiters *waiters;
    struct traffic *traffic[TRAFFIC_LOOPS];

    atomic_bool stopping;      /* The loops'. */
    atomic_bool quiet;         /* All else ends, too. */
    _Atomic uint64_t read;     /* Values found, by readers and listings. */
    _Atomic uint64_t listings; /* That came to their end. */
    _Atomic uint64_t checks;
    uint64_t faults; /* The checker's. */
};

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void on_failed(void *ctx, const char *why)
{
    (void)ctx;
    give_up("the store failed: %s", why);
}

static void on_changed(void *ctx, struct view key)
{
    struct stress *stress = ctx;

    waiters_changed(stress->waiters, key);
}

static void open_store(struct stress *stress)
{
    struct store_options options = {
        .path = stress->path,
        .engine.write_buffer_bytes = 256 << 10,
        .engine.block_cache_bytes = 1 << 20,
        .cache_bytes = 1 << 18,
        .ballast_bytes = 1 << 16,
        .reserve_bytes = 1 << 20,
    };
    struct store_hooks hooks = {.failed = on_failed};
    struct engine_fault fault;

    if (store_open(&options, &hooks, &fault, &stress->store) != KIST_OK)
        give_up("%s", fault.text);
}

/*
 * Acknowledged before the look is there, nothing never tried, and nothing older
 * than what this reader has *seen.
 */
static void check_value(struct stress *stress, unsigned loop, unsigned key,
                        enum store_reader reader, uint64_t *seen)
{
    struct traffic_name name = traffic_key(loop, key);
    uint64_t acked, tried, ignored, number = 0;
    enum store_source source;
    struct item item;
    enum kist_status status;

    traffic_expects(stress->traffic[loop], key, &acked, &ignored);
    status =
        store_read(stress->store, view_of(name.text), reader, &item, &source);
    traffic_expects(stress->traffic[loop], key, &ignored, &tried);
    if (status == KIST_READ_ONLY) /* The engine is away. */
        return;
    if (status == KIST_OK) {
        number = traffic_number_in(view_of(name.text), item.record.value);
        item_free(&item);
        atomic_fetch_add(&stress->read, 1);
    } else if (status != KIST_NOT_FOUND) {
        give_up("key %s answers %s", name.text, kist_status_name(status));
    }
    if (key < TRAFFIC_KEYS - TRAFFIC_FADING &&
        (number < acked || number > tried))
        give_up("key %s is %" PRIu64 ", not %" PRIu64 " to %" PRIu64, name.text,
                number, acked, tried);
    if (key < TRAFFIC_KEYS - TRAFFIC_FADING && number < *seen)
        give_up("key %s is %" PRIu64 " again, after %" PRIu64, name.text,
                number, *seen);
    *seen = number;
}

static void *read_values(void *ctx)
{
    uint64_t seen[TRAFFIC_LOOPS][TRAFFIC_KEYS] = {{0}};
    struct stress *stress = ctx;

    for (unsigned i = 0; !atomic_load(&stress->quiet); i++) {
        unsigned loop = i % TRAFFIC_LOOPS;
        unsigned key = i / TRAFFIC_LOOPS % TRAFFIC_KEYS;
        enum store_reader reader = i % 7 == 0 ? STORE_FRESH : STORE_USUAL;

        check_value(stress, loop, key, reader, &seen[loop][key]);
    }
    return NULL;
}

static bool take_key(void *ctx, struct view key, const struct record *record)
{
    size_t *found = ctx;

    traffic_number_in(key, record->value);
    (*found)++;
    return true;
}

static enum kist_status list_once(struct stress *stress, bool reverse,
                                  size_t *found)
{
    struct scan_visitor visitor = {found, take_key, NULL};
    struct scan_range range = {.reverse = reverse};
    struct scan scan;
    enum kist_status status = scan_init(&scan, stress->store, &range);

    while (status == KIST_OK && !scan.done)
        status = scan_run(&scan, &visitor, clock_wall_ms(), 10);
    scan_clear(&scan);
    return status;
}

static void *list_values(void *ctx)
{
    struct stress *stress = ctx;
    size_t least = 0;

    for (unsigned i = 0; !atomic_load(&stress->quiet); i++) {
        size_t found = 0;
        enum kist_status status = list_once(stress, i % 2 == 1, &found);

        if (status == KIST_OK) {
            /* Lasting keys are only ever added. */
            if (found < least)
                give_up("a listing has %zu keys, one before %zu", found, least);
            least = found;
            atomic_fetch_add(&stress->listings, 1);
            atomic_fetch_add(&stress->read, found);
        } else if (status != KIST_READ_ONLY) {
            give_up("a listing answers %s", kist_status_name(status));
        }
        nap();
    }
    return NULL;
}

/* As service/main.c does each second, and whoever asks for metrics. */
static void *check_store(void *ctx)
{
    struct stress *stress = ctx;

    while (!atomic_load(&stress->quiet)) {
        struct store_gauges gauges;

        store_check(stress->store);
        store_gauges(stress->store, &gauges);
        atomic_fetch_add(&stress->checks, 1);
        nap();
    }
    return NULL;
}

/* The disk is full for one write, every few milliseconds. */
static void fill_disk(struct stress *stress, uint64_t until_ns)
{
    while (clock_mono_ns() < until_ns) {
        fault_arm(FAULT_WRITE, (unsigned)(stress->faults % 7), FAULT_ONCE,
                  ENOSPC);
        for (unsigned i = 0; i < 20; i++)
            nap();
        if (fault_disarm())
            stress->faults++;
        for (unsigned i = 0; i < 10; i++)
            nap();
    }
}

static uint64_t count_in(struct store *store)
{
    struct view key = VIEW_LITERAL(TRAFFIC_COUNTER);
    struct item item;
    uint64_t number;

    if (store_get(store, key, &item) != KIST_OK)
        give_up("the count is not there");
    number = traffic_number_in(key, item.record.value);
    item_free(&item);
    return number;
}

/* When all is quiet, and again after a restart. */
static void check_all(struct stress *stress)
{
    uint64_t counted = 0, uncertain = 0, found = count_in(stress->store);

    for (unsigned loop = 0; loop < TRAFFIC_LOOPS; loop++) {
        counted += traffic_counted(stress->traffic[loop]);
        uncertain += traffic_uncertain(stress->traffic[loop]);
        for (unsigned key = 0; key < TRAFFIC_KEYS; key++)
            check_value(stress, loop, key, STORE_FRESH, &(uint64_t){0});
    }
    if (found < counted || found > counted + uncertain)
        give_up("the count is %" PRIu64 ", not %" PRIu64 " and at most %" PRIu64
                " more",
                found, counted, uncertain);
}

static void begin(struct stress *stress)
{
    struct commit_options options = {
        .queue_bytes = 1 << 20, .ctx = stress, .changed = on_changed};
    struct ground ground = {.stopping = &stress->stopping};

    scratch_make(&stress->scratch);
    snprintf(stress->path, sizeof(stress->path), "%s/data",
             stress->scratch.path);
    fault_watch(stress->path);
    open_store(stress);
    if (waiters_open(100, &stress->waiters) != KIST_OK ||
        commit_open(stress->store, &options, &stress->commit) != KIST_OK)
        give_up("no commit");
    ground.store = stress->store;
    ground.commit = stress->commit;
    ground.waiters = stress->waiters;
    for (unsigned i = 0; i < TRAFFIC_LOOPS; i++)
        stress->traffic[i] = traffic_open(&ground, i);
    for (unsigned i = 0; i < TRAFFIC_LOOPS; i++)
        traffic_start(stress->traffic[i]);
}

static void run(struct stress *stress, uint64_t seconds)
{
    pthread_t threads[READERS + 2];

    for (size_t i = 0; i < READERS + 2; i++) {
        void *(*body)(void *) = i < READERS    ? read_values
                                : i == READERS ? list_values
                                               : check_store;

        if (pthread_create(&threads[i], NULL, body, stress) != 0)
            give_up("no thread");
    }
    fill_disk(stress, clock_mono_ns() + seconds * NS_PER_S);
    atomic_store(&stress->stopping, true);
    for (unsigned i = 0; i < TRAFFIC_LOOPS; i++)
        traffic_close(stress->traffic[i]);
    atomic_store(&stress->quiet, true);
    for (size_t i = 0; i < READERS + 2; i++)
        pthread_join(threads[i], NULL);
}

static void end(struct stress *stress)
{
    uint64_t written = 0, woken = 0,
             reopens = counter_read(&store_stats(stress->store)->reopens);

    commit_close(stress->commit);
    for (unsigned i = 0; i < 3 && store_state(stress->store); i++)
        store_check(stress->store);
    check_all(stress);
    store_close(stress->store);
    open_store(stress);
    check_all(stress);
    store_close(stress->store);
    for (unsigned i = 0; i < TRAFFIC_LOOPS; i++) {
        written += traffic_written(stress->traffic[i]);
        woken += traffic_woken(stress->traffic[i]);
        traffic_free(stress->traffic[i]);
    }
    waiters_close(stress->waiters);
    scratch_remove(&stress->scratch);
    printf("%" PRIu64 " writes, %" PRIu64 " wake-ups, %" PRIu64
           " values read, %" PRIu64 " listings, %" PRIu64 " checks, %" PRIu64
           " failures, %" PRIu64 " reopens\n",
           written, woken, stress->read, stress->listings, stress->checks,
           stress->faults, reopens);
    if (written == 0 || woken == 0 || stress->read == 0 ||
        stress->listings == 0 || reopens == 0)
        give_up("something never happened");
}

int main(int argc, char *argv[])
{
    static struct stress stress;

    begin(&stress);
    run(&stress, argc > 1 ? strtoul(argv[1], NULL, 10) : 10);
    end(&stress);
    return EXIT_SUCCESS;
}
