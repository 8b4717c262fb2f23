#include "tests/api/neighbours.h"

#include "api/api.h"
#include "api/server.h"
#include "base/clock.h"
#include "base/owner.h"
#include "replication/replica.h"
#include "replication/ring_bytes.h"
#include "replication/ring_plan.h"
#include "replication/scan_page.h"
#include "service/waiters.h"
#include "storage/merge.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KIB 1024

struct node {
    struct env env;
    struct seat seat;
    struct hlc hlc;
    struct store *store;
    struct scratch scratch;
    _Atomic enum mood mood;
};

/* Something that happens on the loop, soon or after a while. */
struct errand {
    struct errand *next, *previous;
    struct loop_timer *timer;
    void (*run)(struct errand *errand);
};

static struct {
    struct settings settings;
    struct api api;
    struct server *server;
    struct loop *loop;
    struct ring *ring;
    struct node nodes[NEIGHBOURS];
    struct errand errands; /* A ring of them; this is its anchor. */
    int null;
} scene;

/* Errands. */

static void unlink_errand(struct errand *errand)
{
    errand->previous->next = errand->next;
    errand->next->previous = errand->previous;
    loop_timer_close(errand->timer);
    errand->timer = NULL;
}

static void on_errand(void *ctx)
{
    struct errand *errand = ctx;

    unlink_errand(errand);
    errand->run(errand);
}

static void send_out(struct errand *errand, uint64_t delay_ms,
                     void (*run)(struct errand *errand))
{
    errand->run = run;
    errand->next = &scene.errands;
    errand->previous = scene.errands.previous;
    errand->previous->next = scene.errands.previous = errand;
    cr_assert(loop_timer_open(scene.loop, on_errand, errand, &errand->timer) ==
              KIST_OK);
    loop_timer_set(errand->timer, delay_ms);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    cr_assert(memory != NULL);
    return memory;
}

/* Clocks and timers. */

static struct node *node_of(struct env *env)
{
    return OWNER(env, struct node, env);
}

static uint64_t wall_ms(struct env *env)
{
    (void)env;
    return clock_wall_ms();
}

static uint64_t mono_ms(struct env *env)
{
    (void)env;
    return clock_mono_ns() / 1000000;
}

static uint64_t random_bits(struct env *env)
{
    (void)env;
    return clock_mono_ns();
}

struct alarm {
    struct errand errand;
    struct env_timer *timer;
};

static void ring_alarm(struct errand *errand)
{
    struct alarm *alarm = OWNER(errand, struct alarm, errand);
    struct env_timer *timer = alarm->timer;

    timer->own = NULL;
    free(alarm);
    timer->fire(timer);
}

static void timer_stop(struct env *env, struct env_timer *timer)
{
    struct alarm *alarm = timer->own;

    (void)env;
    if (alarm == NULL)
        return;
    timer->own = NULL;
    unlink_errand(&alarm->errand);
    free(alarm);
}

static void timer_set(struct env *env, struct env_timer *timer,
                      uint64_t delay_ms)
{
    struct alarm *alarm = allocate(sizeof(*alarm));

    timer_stop(env, timer);
    alarm->timer = timer;
    timer->own = alarm;
    send_out(&alarm->errand, delay_ms, ring_alarm);
}

/* Messages. */

struct flight {
    struct errand errand;
    struct env_call *call;
    struct node *to;
    struct blob message, answer;
    struct replica_caller caller;
};

static void land(struct flight *flight, enum env_outcome outcome,
                 struct view answer)
{
    struct env_call *call = flight->call;

    call->done(call, outcome, answer);
    blob_free(&flight->message);
    blob_free(&flight->answer);
    free(flight);
}

static void be_lost(struct errand *errand)
{
    land(OWNER(errand, struct flight, errand), ENV_LOST, (struct view){0});
}

static void be_answered(struct errand *errand)
{
    struct flight *flight = OWNER(errand, struct flight, errand);

    land(flight, ENV_ANSWERED, blob_view(&flight->answer));
}

static void on_reply(struct replica_caller *caller, struct view answer)
{
    struct flight *flight = OWNER(caller, struct flight, caller);

    blob_append(&flight->answer, answer);
    if (flight->to->mood == MOOD_MUTE)
        send_out(&flight->errand, flight->call->timeout_ms, be_lost);
    else
        send_out(&flight->errand, 0, be_answered);
}

static void arrive(struct errand *errand)
{
    struct flight *flight = OWNER(errand, struct flight, errand);

    enum mood mood = flight->to->mood;

    switch (mood) {
    case MOOD_DOWN:
        land(flight, ENV_NOT_SENT, (struct view){0});
        break;
    case MOOD_DEAF:
        send_out(&flight->errand, flight->call->timeout_ms, be_lost);
        break;
    case MOOD_WELL:
    case MOOD_MUTE:
        flight->caller.send = on_reply;
        replica_receive(&flight->to->seat, blob_view(&flight->message),
                        &flight->caller);
        break;
    }
}

static struct node *node_named(uint64_t incarnation)
{
    return &scene.nodes[incarnation - 1];
}

static void send_message(struct env *env, struct env_call *call)
{
    struct flight *flight = allocate(sizeof(*flight));

    (void)env;
    flight->call = call;
    flight->to = node_named(call->to);
    blob_append(&flight->message, call->message);
    send_out(&flight->errand, 0, arrive);
}

/* The store. */

static enum kist_status get(struct env *env, struct view key,
                            struct item *out_item)
{
    return store_get(node_of(env)->store, key, out_item);
}

struct chore {
    struct errand errand;
    struct node *node;
    struct env_apply *apply;
    struct env_lease *lease;
    struct env_scan *scan;
};

static void put(struct node *node, struct view key, const struct record *record)
{
    struct engine_batch batch = {0};
    struct blob bytes = BLOB_EMPTY;

    record_encode(key, record, &bytes);
    store_batch_put(&batch, key, blob_view(&bytes), record->expiry_ms);
    cr_assert(store_apply(node->store, &batch, store_opening(node->store),
                          ENGINE_ASYNC) == KIST_OK);
    engine_batch_free(&batch);
    blob_free(&bytes);
}

static void keep_newer(struct errand *errand)
{
    struct chore *chore = OWNER(errand, struct chore, errand);
    struct env_apply *apply = chore->apply;
    struct node *node = chore->node;
    struct item item = {0};
    bool found = store_get(node->store, apply->key, &item) == KIST_OK;

    apply->replaced = found && !record_is_dead(&item.record, clock_wall_ms());
    apply->winner = apply->record.version;
    if (found && merge_compare(&item.record, &apply->record) > 0)
        apply->winner = item.record.version;
    else
        put(node, apply->key, &apply->record);
    item_free(&item);
    waiters_changed(scene.api.waiters, apply->key);
    apply->status = KIST_OK;
    free(chore);
    apply->done(apply);
}

static void keep_lease(struct errand *errand)
{
    struct chore *chore = OWNER(errand, struct chore, errand);
    struct env_lease *lease = chore->lease;

    free(chore);
    lease->done(lease, KIST_OK);
}

static void apply(struct env *env, struct env_apply *apply)
{
    struct chore *chore = allocate(sizeof(*chore));

    chore->node = node_of(env);
    chore->apply = apply;
    send_out(&chore->errand, 0, keep_newer);
}

/* Their files are not looked for: tests/cluster does that. */
static enum kist_status bring(struct env *env, const struct env_bring *bring,
                              uint64_t *out_progress)
{
    (void)env, (void)bring;
    *out_progress = 0;
    return KIST_NOT_FOUND;
}

static void lease(struct env *env, struct env_lease *lease)
{
    struct chore *chore = allocate(sizeof(*chore));

    (void)env;
    chore->lease = lease;
    send_out(&chore->errand, 0, keep_lease);
}

static void fill_page(struct errand *errand)
{
    struct chore *chore = OWNER(errand, struct chore, errand);
    struct env_scan *scan = chore->scan;

    scan_page_fill(scan, chore->node->store, chore->node->env.self);
    free(chore);
    scan->done(scan);
}

static void scan(struct env *env, struct env_scan *scan)
{
    struct chore *chore = allocate(sizeof(*chore));

    chore->node = node_of(env);
    chore->scan = scan;
    send_out(&chore->errand, 0, fill_page);
}

static const struct env_ops ops = {
    .wall_ms = wall_ms,
    .mono_ms = mono_ms,
    .random = random_bits,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .send = send_message,
    .get = get,
    .apply = apply,
    .bring = bring,
    .lease = lease,
    .scan = scan,
};

/* The nodes. */

static bool is_alive(void *ctx, uint64_t incarnation)
{
    (void)ctx;
    return node_named(incarnation)->mood != MOOD_DOWN;
}

static void make_ring(void)
{
    static const char *const names[NEIGHBOURS] = {"a", "b", "c", "d"};
    struct ring_member members[NEIGHBOURS] = {0};
    struct ring shape = {.cluster = 1,
                         .bits = 4,
                         .copies = NEIGHBOURS_COPIES,
                         .member_count = NEIGHBOURS,
                         .members = members};

    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        members[i].name = view_of(names[i]);
        members[i].incarnation = i + 1;
    }
    cr_assert(ring_plan_create(&shape, &scene.ring) == KIST_OK);
}

static void open_store(struct node *node)
{
    struct store_options options = {
        .engine.write_buffer_bytes = 1 << 20,
        .engine.block_cache_bytes = 1 << 20,
        .engine.max_open_files = 100,
        .ballast_bytes = 1 << 16,
        .reserve_bytes = 1 << 20,
    };
    struct store_hooks hooks = {0};
    struct engine_fault fault;

    scratch_make(&node->scratch);
    options.path = node->scratch.path;
    cr_assert(store_open(&options, &hooks, &fault, &node->store) == KIST_OK);
}

static void start_node(unsigned number, uint64_t digest)
{
    struct node *node = &scene.nodes[number];

    node->env = (struct env){&ops, number + 1};
    node->seat.env = &node->env;
    seat_adopt(&node->seat, ring_share(scene.ring), digest);
    node->seat.is_alive = is_alive;
    node->seat.takes_writes = is_alive;
    hlc_init(&node->hlc, number + 1, 0);
    timekeeper_start(&node->seat.clock, &node->env, &node->hlc, NULL);
}

static enum kist_status loop_begin(struct api_loop *api_loop)
{
    struct blob bytes = BLOB_EMPTY;

    scene.loop = api_loop->loop;
    ring_bytes_encode(scene.ring, &bytes);
    for (unsigned i = 0; i < NEIGHBOURS; i++)
        start_node(i, ring_bytes_digest(blob_view(&bytes)));
    blob_free(&bytes);
    api_loop->seat = &scene.nodes[0].seat;
    return waiters_room_open(scene.api.waiters, api_loop->loop,
                             &api_loop->room);
}

static void drop(struct errand *errand)
{
    if (errand->run == ring_alarm) {
        timer_stop(NULL, OWNER(errand, struct alarm, errand)->timer);
        return;
    }
    unlink_errand(errand);
    if (errand->run == keep_newer || errand->run == keep_lease ||
        errand->run == fill_page)
        errand->run(errand); /* Its caller may wait for it. */
    else
        be_lost(errand);
}

/* The loop stands still: what is under way ends as it would in a crash. */
static void loop_end(struct api_loop *api_loop)
{
    while (scene.errands.next != &scene.errands)
        drop(scene.errands.next);
    waiters_room_close(api_loop->room);
}

static void fill_settings(void)
{
    const char *why;

    scene.settings = (struct settings){
        .listen.count = 1,
        .max_connections = 100,
        .head_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .body_rate_bytes = 1000,
        .response_timeout_ms = 30000,
        .max_json_bytes = 100 * KIB,
        .max_value_bytes = 1024 * KIB,
        .inline_bytes = NEIGHBOURS_INLINE,
        .max_batch_bytes = 1024 * KIB,
        .body_memory_bytes = 16 * 1024 * KIB,
        .batch_operations = 1000,
        .page_limit = 1000,
        .max_waiters = 10,
        .ttl_max_ms = 1000000000,
        .durability = ENGINE_SYNC,
    };
    cr_assert(address_parse(VIEW_LITERAL("127.0.0.1:0"),
                            &scene.settings.listen.addresses[0],
                            &why) == KIST_OK);
}

void neighbours_open(void)
{
    struct server_fault fault;

    scene.errands.next = scene.errands.previous = &scene.errands;
    fill_settings();
    make_ring();
    for (unsigned i = 0; i < NEIGHBOURS; i++)
        open_store(&scene.nodes[i]);
    scene.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cr_assert(log_open(scene.null, LOG_DEBUG, LOG_ACCESS_ON, &scene.api.log) ==
              KIST_OK);
    cr_assert(waiters_open(10, &scene.api.waiters) == KIST_OK);
    scene.api.settings = &scene.settings;
    scene.api.store = scene.nodes[0].store;
    scene.api.loops = 1;
    scene.api.quorum = (struct quorum_defaults){
        .r = 2,
        .w = 2,
        .write_timeout_ms = 200,
        .read_timeout_ms = 200,
        .hedge_ms = 20,
    };
    scene.api.loop_begin = loop_begin;
    scene.api.loop_end = loop_end;
    cr_assert(server_open(&scene.api, &fault, &scene.server) == KIST_OK, "%s",
              fault.text);
}

void neighbours_close(void)
{
    server_close(scene.server);
    waiters_close(scene.api.waiters);
    log_close(scene.api.log);
    close(scene.null);
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        ring_free(scene.nodes[i].seat.ring);
        store_close(scene.nodes[i].store);
        scratch_remove(&scene.nodes[i].scratch);
    }
    ring_free(scene.ring);
}

uint16_t neighbours_port(void)
{
    return server_port(scene.server, 0);
}

void neighbours_set(unsigned node, enum mood mood)
{
    scene.nodes[node].mood = mood;
}

void neighbours_set_others(enum mood mood)
{
    for (unsigned i = 1; i < NEIGHBOURS; i++)
        neighbours_set(i, mood);
}

static bool is_here(struct view key)
{
    const uint16_t *owners =
        ring_owners_of(scene.ring, ring_partition_of(scene.ring, key));

    for (unsigned i = 0; i < NEIGHBOURS_COPIES; i++)
        if (owners[i] == 0)
            return true;
    return false;
}

const char *neighbours_key(bool here, unsigned number)
{
    static char keys[8][16];
    char *key = keys[number + (here ? 4 : 0)];
    unsigned seen = 0;

    cr_assert(lt(uint, number, 4));
    for (unsigned i = 0; seen <= number; i++) {
        snprintf(key, sizeof(keys[0]), "key%u", i);
        seen += is_here(view_of(key)) == here;
    }
    return key;
}

unsigned neighbours_with(const char *key, const char *value)
{
    unsigned count = 0;

    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        struct item item = {0};

        if (store_get(scene.nodes[i].store, view_of(key), &item) == KIST_OK &&
            view_is(item.record.value, value))
            count++;
        item_free(&item);
    }
    return count;
}
