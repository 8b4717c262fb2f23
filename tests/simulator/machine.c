#include "tests/simulator/machine.h"

#include "base/owner.h"
#include "replication/scan_page.h"
#include "replication/replica.h"
#include "replication/ring_plan.h"
#include "replication/transport_curl.h"
#include "storage/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL)
        abort();
    return memory;
}

static struct machine *of_env(struct env *env)
{
    return OWNER(env, struct machine, env);
}

static struct world *world_of(const struct machine *machine)
{
    return machine->network->world;
}

/* Clocks and chance. */

static uint64_t wall_ms(struct env *env)
{
    struct machine *machine = of_env(env);
    uint64_t now_us = world_of(machine)->now_us;
    int64_t since_us = (int64_t)(now_us - machine->set_at_us);

    return EPOCH_MS + now_us / 1000 +
           (uint64_t)(machine->offset_ms +
                      since_us * machine->drift_of_10000 / 10000000);
}

void machine_set_clock(struct machine *machine, int64_t offset_ms,
                       int64_t drift_of_10000)
{
    machine->offset_ms = offset_ms;
    machine->drift_of_10000 = drift_of_10000;
    machine->set_at_us = world_of(machine)->now_us;
    world_say(world_of(machine), "machine %u: its clock is off by %lld ms",
              machine->number, (long long)offset_ms);
}

static uint64_t mono_ms(struct env *env)
{
    return world_of(of_env(env))->now_us / 1000;
}

static uint64_t random_bits(struct env *env)
{
    return world_random(world_of(of_env(env)));
}

/* Timers. */

struct alarm {
    struct alarm *next;
    struct event event;
    struct env_timer *timer;
    struct machine *machine;
};

static void forget_alarm(struct alarm *alarm)
{
    struct alarm **link = &alarm->machine->alarms;

    while (*link != alarm)
        link = &(*link)->next;
    *link = alarm->next;
    world_cancel(world_of(alarm->machine), &alarm->event);
    alarm->timer->own = NULL;
    free(alarm);
}

static void ring_alarm(struct event *event)
{
    struct alarm *alarm = OWNER(event, struct alarm, event);
    struct env_timer *timer = alarm->timer;

    forget_alarm(alarm);
    timer->fire(timer);
}

static void timer_stop(struct env *env, struct env_timer *timer)
{
    (void)env;
    if (timer->own != NULL)
        forget_alarm(timer->own);
}

static void timer_set(struct env *env, struct env_timer *timer,
                      uint64_t delay_ms)
{
    struct machine *machine = of_env(env);
    struct alarm *alarm;

    timer_stop(env, timer);
    alarm = allocate(sizeof(*alarm));
    *alarm = (struct alarm){.next = machine->alarms,
                            .event.happen = ring_alarm,
                            .timer = timer,
                            .machine = machine};
    machine->alarms = alarm;
    timer->own = alarm;
    world_plan(world_of(machine), &alarm->event, delay_ms * 1000);
}

/* The disk. */

struct write_back {
    struct write_back *next;
    struct env_apply *apply; /* One of them. */
    struct env_lease *lease;
    struct env_keep *keep;
    struct env_drop *drop;
};

struct cell *machine_cell(struct machine *machine, struct view key)
{
    for (unsigned i = 0; i < CELLS_MAX; i++) {
        struct cell *cell = &machine->cells[i];

        if (cell->key.size == 0) {
            blob_append(&cell->key, key);
            cell->hash = ring_hash(key);
        }
        if (view_equal(blob_view(&cell->key), key))
            return cell;
    }
    abort(); /* More keys than a simulation has. */
}

const struct record *machine_record(struct machine *machine, struct view key,
                                    struct record *out)
{
    struct cell *cell = machine_cell(machine, key);

    if (cell->record.size == 0)
        return NULL;
    if (record_decode(key, blob_view(&cell->record), out) != KIST_OK)
        abort();
    return out;
}

static enum kist_status get(struct env *env, struct view key,
                            struct item *out_item)
{
    struct machine *machine = of_env(env);
    struct cell *cell = machine_cell(machine, key);
    struct blob copy = BLOB_EMPTY;
    struct item item;

    if (cell->record.size == 0)
        return KIST_NOT_FOUND;
    if (cell->is_damaged)
        return KIST_CORRUPT;
    blob_append(&copy, blob_view(&cell->record));
    if (record_decode(key, blob_view(&copy), &item.record) != KIST_OK)
        abort();
    item.hold = hold_blob(&copy);
    *out_item = item;
    return KIST_OK;
}

/* Comparing. */

static bool is_part(const struct machine *machine, const struct cell *cell,
                    struct env_part part)
{
    unsigned bits = machine->network->ring->bits;

    return cell->record.size > 0 &&
           cell->hash >> (64 - bits) == part.partition &&
           (part.leaf == ENV_ALL_LEAVES ||
            cell->hash << bits >> 58 == part.leaf);
}

static struct bucket_sum sum(struct env *env, struct env_part part)
{
    struct machine *machine = of_env(env);
    struct bucket_sum sum = {0};

    for (unsigned i = 0; i < CELLS_MAX && machine->cells[i].key.size > 0; i++) {
        struct cell *cell = &machine->cells[i];
        struct record record;

        if (!is_part(machine, cell, part))
            continue;
        machine_record(machine, blob_view(&cell->key), &record);
        bucket_add(&sum, &machine->network->secret, blob_view(&cell->key),
                   &record);
    }
    return sum;
}

static int by_place(struct view a, struct view b)
{
    uint64_t x = ring_hash(a), y = ring_hash(b);

    return x != y ? (x < y ? -1 : 1) : view_compare(a, b);
}

/* The first key of the part behind `after`; small, so simply looked for. */
static const struct cell *next_cell(const struct machine *machine,
                                    struct env_part part, struct view after)
{
    const struct cell *best = NULL;

    for (unsigned i = 0; i < CELLS_MAX && machine->cells[i].key.size > 0; i++) {
        const struct cell *cell = &machine->cells[i];
        struct view key = blob_view(&cell->key);

        if (is_part(machine, cell, part) &&
            (after.size == 0 || by_place(key, after) > 0) &&
            (best == NULL || by_place(key, blob_view(&best->key)) < 0))
            best = cell;
    }
    return best;
}

static enum kist_status list(struct env *env, struct env_part part,
                             struct view after, unsigned limit,
                             struct blob *out, unsigned *out_count)
{
    struct machine *machine = of_env(env);
    const struct cell *cell;
    unsigned count = 0;

    while (count < limit && (cell = next_cell(machine, part, after)) != NULL) {
        struct record record;

        after = blob_view(&cell->key);
        machine_record(machine, after, &record);
        frame_add_entry(&(struct frame_entry){after, record.version}, out);
        count++;
    }
    *out_count = count;
    return KIST_OK;
}

/* Files. */

/* 0: it has none. */
static uint64_t file_of(const struct record *record)
{
    struct large_reference file;

    if (!record->large || record->tombstone)
        return 0;
    if (large_reference_decode(record->value, &file) != KIST_OK)
        abort();
    return file.serial;
}

/* 0: room for one. */
static uint64_t *find_file(struct machine *machine, uint64_t serial)
{
    for (unsigned i = 0; i < FILES_MAX; i++)
        if (machine->files[i] == serial)
            return &machine->files[i];
    return NULL;
}

bool machine_has_file(const struct machine *machine,
                      const struct record *record)
{
    return find_file((struct machine *)machine, file_of(record)) != NULL;
}

static void add_file(struct machine *machine, uint64_t serial)
{
    uint64_t *room = find_file(machine, 0);

    if (find_file(machine, serial) != NULL)
        return;
    if (room == NULL)
        abort(); /* More files than a simulation has. */
    *room = serial;
}

void machine_put_file(struct machine *machine, const struct record *record)
{
    add_file(machine, file_of(record));
}

static void drop_file(struct machine *machine, const struct record *record)
{
    uint64_t serial = file_of(record);
    uint64_t *file = serial != 0 ? find_file(machine, serial) : NULL;

    if (file != NULL)
        *file = 0;
}

void machine_give_up_file(struct machine *machine, struct view key,
                          const struct record *record)
{
    struct record stored;

    if (machine_record(machine, key, &stored) == NULL ||
        file_of(&stored) != file_of(record))
        drop_file(machine, record);
}

/* A file on its way, from one source after the other, in some steps. */
struct haul {
    struct haul *next;
    struct event event;
    struct machine *to;
    struct env_bring bring;
    unsigned source; /* bring.count: it has failed. */
    unsigned left, progress;
};

static void forget_haul(struct haul *haul)
{
    struct haul **link = &haul->to->hauls;

    while (*link != haul)
        link = &(*link)->next;
    *link = haul->next;
    world_cancel(world_of(haul->to), &haul->event);
    free(haul);
}

static void plan_step(struct haul *haul)
{
    struct world *world = world_of(haul->to);

    world_plan(world, &haul->event, 100 + world_below(world, 20000));
}

static bool can_come_from(struct haul *haul, uint64_t incarnation)
{
    struct network *network = haul->to->network;
    struct machine *from = network_find(network, incarnation);

    return from != NULL && from->is_up && !haul->to->disk_is_full &&
           !network->blocked[from->number][haul->to->number] &&
           !network->blocked[haul->to->number][from->number] &&
           find_file(from, haul->bring.file.serial) != NULL;
}

static void on_step(struct event *event)
{
    struct haul *haul = OWNER(event, struct haul, event);

    if (!can_come_from(haul, haul->bring.sources[haul->source].incarnation)) {
        if (++haul->source < haul->bring.count)
            plan_step(haul);
        return; /* Whoever asks next hears of it. */
    }
    haul->progress++;
    if (--haul->left > 0) {
        plan_step(haul);
        return;
    }
    add_file(haul->to, haul->bring.file.serial);
    haul->to->network->hauled++;
    forget_haul(haul);
}

static void begin_haul(struct machine *machine, const struct env_bring *bring)
{
    struct haul *haul = allocate(sizeof(*haul));

    *haul =
        (struct haul){.next = machine->hauls,
                      .event.happen = on_step,
                      .to = machine,
                      .bring = *bring,
                      .left = 1 + (unsigned)world_below(world_of(machine), 20)};
    machine->hauls = haul;
    plan_step(haul);
}

static enum kist_status bring(struct env *env, const struct env_bring *bring,
                              uint64_t *out_progress)
{
    struct machine *machine = of_env(env);
    struct haul *haul = machine->hauls;

    if (machine->is_dying)
        return KIST_STOPPING;
    while (haul != NULL && haul->bring.file.serial != bring->file.serial)
        haul = haul->next;
    *out_progress = haul != NULL ? haul->progress : 0;
    if (haul != NULL && haul->source == haul->bring.count) {
        forget_haul(haul);
        return KIST_NOT_FOUND;
    }
    if (haul == NULL && bring->count == 0)
        return KIST_NOT_FOUND;
    if (haul == NULL)
        begin_haul(machine, bring);
    return KIST_BUSY;
}

/* What a commit does with a record that comes from anywhere. */
static void keep_newer(struct machine *machine, struct env_apply *apply)
{
    struct cell *cell = machine_cell(machine, apply->key);
    struct record stored;
    bool has = machine_record(machine, apply->key, &stored) != NULL;
    int order = has ? merge_compare(&stored, &apply->record) : -1;

    if (cell->is_damaged && order > 0) {
        apply->status = KIST_CORRUPT;
        return;
    }
    apply->status = KIST_OK;
    apply->replaced = has && !record_is_dead(&stored, wall_ms(&machine->env));
    if (order >= 0 && !cell->is_damaged) {
        apply->winner = stored.version;
        if (file_of(&stored) != file_of(&apply->record))
            drop_file(machine, &apply->record);
        return;
    }
    if (order != 0 &&
        version_compare(apply->record.version, apply->floor) < 0) {
        apply->status = KIST_CONFLICT;
        drop_file(machine, &apply->record);
        return;
    }
    if (apply->record.large && !machine_has_file(machine, &apply->record)) {
        apply->status = KIST_NOT_FOUND;
        return;
    }
    if (has && file_of(&stored) != file_of(&apply->record))
        drop_file(machine, &stored);
    apply->winner = apply->record.version;
    cell->is_damaged = false;
    blob_clear(&cell->record);
    record_encode(apply->key, &apply->record, &cell->record);
}

static struct blob *kept_of(struct machine *machine, struct view name)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        struct kept *kept = &machine->kept[i];

        if (kept->name.size == 0)
            blob_append(&kept->name, name);
        if (view_equal(blob_view(&kept->name), name))
            return &kept->bytes;
    }
    abort(); /* More names than a node has. */
}

static void keep_bytes(struct machine *machine, const struct env_keep *keep)
{
    struct blob *bytes = kept_of(machine, keep->name);

    blob_clear(bytes);
    blob_append(bytes, keep->bytes);
}

static enum kist_status kept(struct env *env, struct view name,
                             struct blob *out)
{
    struct blob *bytes = kept_of(of_env(env), name);

    blob_append(out, blob_view(bytes));
    return bytes->size > 0 ? KIST_OK : KIST_NOT_FOUND;
}

static bool is_dropped(struct machine *machine, struct cell *cell,
                       const struct env_drop *drop)
{
    struct env_part part = {drop->partition, ENV_ALL_LEAVES};
    struct record record;

    if (!is_part(machine, cell, part))
        return false;
    if (version_is_none(drop->floor))
        return true;
    machine_record(machine, blob_view(&cell->key), &record);
    return merge_may_purge(&record, drop->floor);
}

static void drop_partition(struct machine *machine, struct env_drop *drop)
{
    struct network *network = machine->network;

    if (version_compare(drop->floor, network->floor) > 0)
        network->floor = drop->floor;
    for (unsigned i = 0; i < CELLS_MAX && machine->cells[i].key.size > 0; i++)
        if (is_dropped(machine, &machine->cells[i], drop)) {
            struct record record;

            machine_record(machine, blob_view(&machine->cells[i].key), &record);
            drop_file(machine, &record);
            blob_clear(&machine->cells[i].record);
            network->purged += !version_is_none(drop->floor);
            drop->removed++;
        }
}

static void write_one(struct machine *machine, struct write_back *write)
{
    if (write->apply != NULL)
        keep_newer(machine, write->apply);
    else if (write->keep != NULL)
        keep_bytes(machine, write->keep);
    else if (write->drop != NULL)
        drop_partition(machine, write->drop);
    else
        machine->lease_ms = write->lease->lease_ms;
}

static void begin_sync(struct machine *machine);

static void tell(struct write_back *write, enum kist_status status)
{
    if (write->apply != NULL) {
        if (status != KIST_OK)
            write->apply->status = status;
        write->apply->done(write->apply);
    } else if (write->keep != NULL) {
        write->keep->done(write->keep, status);
    } else if (write->drop != NULL) {
        write->drop->done(write->drop, status);
    } else {
        write->lease->done(write->lease, status);
    }
    free(write);
}

static void tell_all(struct write_back *list, enum kist_status status)
{
    while (list != NULL) {
        struct write_back *next = list->next;

        tell(list, status);
        list = next;
    }
}

/* All that was waiting when it began is durable, in one go. */
static void synced(struct event *event)
{
    struct machine *machine = OWNER(event, struct machine, sync);
    struct write_back *list = machine->syncing;
    bool is_full = machine->disk_is_full;

    machine->syncing = NULL;
    for (struct write_back *w = list; !is_full && w != NULL; w = w->next)
        write_one(machine, w);
    if (machine->queue != NULL)
        begin_sync(machine);
    tell_all(list, is_full ? KIST_DISK_FULL : KIST_OK);
}

static void begin_sync(struct machine *machine)
{
    struct world *world = world_of(machine);
    const struct weather *weather = &machine->network->weather;
    uint64_t limit_us = weather->sync_us;

    if (world_chance(world, weather->slow_syncs))
        limit_us = 1000000;
    machine->syncing = machine->queue;
    machine->queue = NULL;
    machine->sync.happen = synced;
    world_plan(world, &machine->sync, 100 + world_below(world, limit_us));
}

static void write_back(struct machine *machine, struct write_back what)
{
    struct write_back *write = allocate(sizeof(*write));
    struct write_back **end = &machine->queue;

    *write = what;
    while (*end != NULL)
        end = &(*end)->next;
    *end = write;
    if (!machine->is_dying && machine->syncing == NULL)
        begin_sync(machine);
}

static void apply(struct env *env, struct env_apply *apply)
{
    write_back(of_env(env), (struct write_back){.apply = apply});
}

static void lease(struct env *env, struct env_lease *lease)
{
    write_back(of_env(env), (struct write_back){.lease = lease});
}

/* Listing. */

struct listing {
    struct env_timer timer;
    struct machine *machine;
    struct env_scan *scan;
};

static bool is_next(const struct env_scan_range *range, struct view key,
                    struct view last, struct view best)
{
    int way = range->reverse ? -1 : 1;

    if (key.size == 0 || view_compare(key, range->lower) < 0 ||
        (range->upper.size > 0 && view_compare(key, range->upper) >= 0))
        return false;
    return (last.size == 0 || way * view_compare(key, last) > 0) &&
           (best.size == 0 || way * view_compare(key, best) < 0);
}

/* The key that follows last, or an empty one. */
static struct view key_behind(const struct listing *listing, struct view last)
{
    struct view best = {NULL, 0};

    for (unsigned i = 0; i < CELLS_MAX; i++) {
        const struct cell *cell = &listing->machine->cells[i];

        if (cell->record.size > 0 &&
            is_next(&listing->scan->range, blob_view(&cell->key), last, best))
            best = blob_view(&cell->key);
    }
    return best;
}

static void list_keys(struct env_timer *timer)
{
    struct listing *listing = OWNER(timer, struct listing, timer);
    struct env_scan *scan = listing->scan;
    struct machine *machine = listing->machine;
    struct view last = {NULL, 0}, key = key_behind(listing, last);
    struct record record;
    bool is_full = false;

    for (; !is_full && key.size > 0; key = key_behind(listing, last)) {
        if (scan_page_owns(scan, machine->env.self, key) &&
            machine_record(machine, key, &record) != NULL)
            is_full = scan_page_add(scan, key, &record);
        last = key;
    }
    scan_page_end(scan, !is_full, last);
    scan->status = machine->is_dying ? KIST_IO : KIST_OK;
    free(listing);
    scan->done(scan);
}

static void scan(struct env *env, struct env_scan *scan)
{
    struct listing *listing = allocate(sizeof(*listing));

    *listing = (struct listing){
        .timer.fire = list_keys, .machine = of_env(env), .scan = scan};
    timer_set(env, &listing->timer, 0);
}

static void keep(struct env *env, struct env_keep *keep)
{
    write_back(of_env(env), (struct write_back){.keep = keep});
}

static void drop(struct env *env, struct env_drop *drop)
{
    write_back(of_env(env), (struct write_back){.drop = drop});
}

static enum store_state state(struct env *env)
{
    return of_env(env)->disk_is_full ? STORE_READ_ONLY : STORE_READ_WRITE;
}

/* The network. */

/* A call on its way; there until its message and answers are, too. */
struct flight {
    struct flight *next;
    struct machine *sender;
    struct env_call *call; /* NULL: done, the rest does not matter. */
    unsigned travellers;
    struct event timeout;
};

/* A message or an answer between two machines. */
struct traveller {
    struct event event;
    struct flight *flight;
    struct machine *to;
    struct blob bytes;
    bool is_answer;
    uint64_t meant_for; /* Incarnation. */
    struct replica_caller caller;
};

static void let_go(struct flight *flight)
{
    if (flight->call == NULL && flight->travellers == 0)
        free(flight);
}

static void finish(struct flight *flight, enum env_outcome outcome,
                   struct view answer)
{
    struct env_call *call = flight->call;
    struct flight **link = &flight->sender->flights;

    while (*link != flight)
        link = &(*link)->next;
    *link = flight->next;
    world_cancel(world_of(flight->sender), &flight->timeout);
    flight->call = NULL;
    call->own = NULL;
    let_go(flight);
    call->done(call, outcome, answer);
}

static void give_up(struct event *event)
{
    struct flight *flight = OWNER(event, struct flight, timeout);

    /* As what follows frees it: */
    flight->sender->network->lost++;
    finish(flight, ENV_LOST, (struct view){0});
}

static void arrive(struct traveller *traveller)
{
    struct flight *flight = traveller->flight;

    flight->travellers--;
    let_go(flight);
    blob_free(&traveller->bytes);
    free(traveller);
}

static void travel(struct machine *from, struct machine *to,
                   struct flight *flight, struct view bytes, bool is_answer);

static void send_answer(struct replica_caller *caller, struct view answer)
{
    struct traveller *message = OWNER(caller, struct traveller, caller);

    if (!message->to->is_dying && answer.size > 0)
        travel(message->to, message->flight->sender, message->flight, answer,
               true);
    arrive(message);
}

struct seat *machine_seat(struct machine *machine)
{
    return machine->network->has_loops && machine->other.ring != NULL &&
                   world_chance(world_of(machine), 5000)
               ? &machine->other
               : &machine->seat;
}

void machine_receive(struct machine *machine, struct view message,
                     struct replica_caller *caller)
{
    if (members_takes(message))
        members_receive(&machine->members, message, caller);
    else if (frame_is_for_home(message))
        replica_receive(&machine->seat, message, caller);
    else
        replica_receive(machine_seat(machine), message, caller);
}

static void deliver(struct event *event)
{
    struct traveller *traveller = OWNER(event, struct traveller, event);
    struct machine *to = traveller->to;
    struct flight *flight = traveller->flight;

    if (traveller->is_answer) {
        if (flight->call != NULL)
            finish(flight, ENV_ANSWERED, blob_view(&traveller->bytes));
        arrive(traveller);
    } else if (!to->is_up) {
        arrive(traveller);
    } else {
        to->network->delivered++;
        traveller->caller.send = send_answer;
        machine_receive(to, blob_view(&traveller->bytes), &traveller->caller);
    }
}

static uint64_t delay_us(struct network *network)
{
    struct world *world = network->world;

    if (world_chance(world, network->weather.late))
        return world_below(world, 3000000);
    return 50 + world_below(world, network->weather.delay_us);
}

static void set_out(struct machine *to, struct flight *flight,
                    struct view bytes, bool is_answer)
{
    struct traveller *traveller = allocate(sizeof(*traveller));

    *traveller = (struct traveller){
        .event.happen = deliver,
        .flight = flight,
        .to = to,
        .is_answer = is_answer,
    };
    blob_append(&traveller->bytes, bytes);
    flight->travellers++;
    world_plan(to->network->world, &traveller->event, delay_us(to->network));
}

static void travel(struct machine *from, struct machine *to,
                   struct flight *flight, struct view bytes, bool is_answer)
{
    struct network *network = from->network;
    const struct weather *weather = &network->weather;
    size_t most = is_answer ? TRANSPORT_ANSWER_MAX : TRANSPORT_MESSAGE_MAX;
    unsigned loss = is_answer ? weather->lost_answers : weather->lost_messages;

    world_expect(network->world, bytes.size <= most,
                 "machine %u sends %zu bytes at once", from->number,
                 bytes.size);
    if (network->blocked[from->number][to->number] ||
        world_chance(network->world, loss))
        return;
    set_out(to, flight, bytes, is_answer);
    if (!is_answer && world_chance(network->world, weather->doubled))
        set_out(to, flight, bytes, is_answer);
}

struct machine *network_find(struct network *network, uint64_t incarnation)
{
    for (unsigned i = 0; i < network->count; i++)
        if (network->machines[i].env.self == incarnation)
            return &network->machines[i];
    return NULL;
}

/* Who is there now, which need not be who is meant. */
static struct machine *machine_at(struct network *network, struct view address)
{
    for (unsigned i = 0; i < network->count; i++)
        if (view_is(address, network->machines[i].address))
            return &network->machines[i];
    abort();
}

static void refused(struct event *event)
{
    finish(OWNER(event, struct flight, timeout), ENV_NOT_SENT,
           (struct view){0});
}

static void send(struct env *env, struct env_call *call)
{
    struct machine *machine = of_env(env);
    struct machine *to = machine_at(machine->network, call->address);
    struct flight *flight = allocate(sizeof(*flight));
    bool can_arrive = !machine->is_dying;

    *flight = (struct flight){.next = machine->flights,
                              .sender = machine,
                              .call = call,
                              .timeout.happen = give_up};
    machine->flights = flight;
    call->own = flight;
    if (can_arrive && !to->is_up &&
        !machine->network->blocked[machine->number][to->number]) {
        flight->timeout.happen = refused; /* Nobody listens there. */
        world_plan(world_of(machine), &flight->timeout, 200);
        return;
    }
    world_plan(world_of(machine), &flight->timeout, call->timeout_ms * 1000);
    if (can_arrive)
        travel(machine, to, flight, call->message, false);
}

static const struct env_ops ops = {
    .wall_ms = wall_ms,
    .mono_ms = mono_ms,
    .random = random_bits,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .send = send,
    .get = get,
    .apply = apply,
    .bring = bring,
    .sum = sum,
    .list = list,
    .lease = lease,
    .scan = scan,
    .keep = keep,
    .kept = kept,
    .state = state,
    .drop = drop,
};

/* Crash and start. */

/* Of what was not synced, the first few may be found at the next start. */
static void tear(struct machine *machine, struct write_back *list)
{
    bool survives = world_chance(world_of(machine), 5000);

    for (; list != NULL && survives; list = list->next) {
        struct env_apply before;

        if (list->apply != NULL)
            before = *list->apply;
        write_one(machine, list);
        if (list->apply != NULL)
            *list->apply = before; /* Nobody is told. */
        survives = world_chance(world_of(machine), 7000);
    }
}

/* One that sets itself anew must not keep the others from their turn. */
static void ring_oldest(struct machine *machine)
{
    struct alarm *alarm = machine->alarms;

    while (alarm != NULL && alarm->next != NULL)
        alarm = alarm->next;
    if (alarm != NULL)
        ring_alarm(&alarm->event);
}

/* Everything that somebody waits for ends, until nothing is left. */
static void drain(struct machine *machine)
{
    while (machine->syncing != NULL || machine->queue != NULL ||
           machine->flights != NULL || machine->alarms != NULL) {
        struct write_back *syncing = machine->syncing, *queue = machine->queue;

        machine->syncing = machine->queue = NULL;
        tell_all(syncing, KIST_UNKNOWN);
        tell_all(queue, KIST_UNKNOWN);
        while (machine->flights != NULL)
            finish(machine->flights, ENV_LOST, (struct view){0});
        ring_oldest(machine);
    }
}

static void leave_seat(struct machine *machine, struct seat *seat)
{
    world_expect(world_of(machine),
                 seat->storing == 0 && seat->storing_before == 0,
                 "machine %u still counts what it stores", machine->number);
    ring_free(seat->ring);
    seat->ring = NULL;
    seat->is_member = false;
}

void machine_crash(struct machine *machine)
{
    struct world *world = world_of(machine);

    world_say(world, "machine %u crashes", machine->number);
    machine->network->crashes++;
    machine->is_dying = true;
    world_cancel(world, &machine->sync);
    timekeeper_stop(&machine->seat.clock);
    if (machine->network->has_loops)
        timekeeper_stop(&machine->other.clock);
    fence_stop(&machine->fence);
    members_stop(&machine->members);
    if (!machine->network->is_founding) {
        anti_entropy_stop(&machine->entropy);
        hints_stop(&machine->hints);
        change_stop(&machine->change);
        floor_stop(&machine->floor);
    }
    tear(machine, machine->syncing);
    while (machine->hauls != NULL)
        forget_haul(machine->hauls);
    drain(machine);
    members_clear(&machine->members);
    if (!machine->network->is_founding) {
        hints_clear(&machine->hints);
        change_clear(&machine->change);
        floor_clear(&machine->floor);
    }
    leave_seat(machine, &machine->seat);
    leave_seat(machine, &machine->other);
    machine->is_dying = false;
    machine->is_up = false;
}

static void on_missed(void *ctx, uint64_t incarnation, struct view key,
                      const struct record *record)
{
    struct machine *machine = ctx;

    members_doubt(&machine->members, incarnation);
    if (incarnation != machine->env.self)
        hints_add(&machine->hints, incarnation, key, record);
}

static void on_differs(void *ctx, uint64_t incarnation, uint64_t epoch)
{
    struct machine *machine = ctx;

    change_notice(&machine->change, incarnation, epoch);
}

static void on_ring(void *ctx, const struct frame *frame,
                    struct replica_caller *caller)
{
    struct machine *machine = ctx;

    if (frame->kind == FRAME_FLOOR)
        floor_receive(&machine->floor, frame, caller);
    else
        change_receive(&machine->change, frame, caller);
}

/* The other loop is busy for long, most times: that is what is looked at. */
static void give_orders(struct machine *machine)
{
    struct world *world = world_of(machine);

    if (machine->network->has_loops)
        timer_set(&machine->env, &machine->follow,
                  world_below(world, world_chance(world, 3000) ? 3 : 2000));
}

static void on_follow(struct env_timer *timer)
{
    struct machine *machine = OWNER(timer, struct machine, follow);
    struct seat_orders orders = seat_orders_of(&machine->seat);

    seat_follow(&machine->other, &orders);
}

/* Nobody is ever at another ring of the same epoch. */
static void on_adopted(struct change *change)
{
    struct machine *machine = OWNER(change, struct machine, change);
    struct network *network = machine->network;
    const struct ring *ring = machine->seat.ring;
    uint64_t *digest = &network->digests[ring->epoch % EPOCHS_MAX];

    world_say(network->world, "machine %u is at ring %lu%s", machine->number,
              ring->epoch, ring->next != NULL ? ", pending" : "");
    world_expect(network->world,
                 *digest == 0 || *digest == machine->seat.digest,
                 "there are two rings of epoch %lu", ring->epoch);
    *digest = machine->seat.digest;
    network->adopted++;
    give_orders(machine);
    floor_follow(&machine->floor);
    if (members_follow(&machine->members) != KIST_OK)
        abort();
    if (ring->epoch <= network->ring->epoch)
        return;
    ring_free(network->ring);
    network->ring = ring_share(ring);
}

static void on_floor_heard(struct change *change, uint64_t level)
{
    floor_learn(&OWNER(change, struct machine, change)->floor, level);
}

static void on_compared(struct anti_entropy *entropy, uint64_t peer,
                        uint64_t began_ms)
{
    floor_compared(&OWNER(entropy, struct machine, entropy)->floor, peer,
                   began_ms);
}

static void on_raised(struct floor *floor)
{
    give_orders(OWNER(floor, struct machine, floor));
}

static void start_floor(struct machine *machine)
{
    struct floor *floor = &machine->floor;

    floor->seat = &machine->seat;
    floor->tick_ms = 50;
    floor->timeout_ms = 400;
    floor->grace_ms = GRACE_MS;
    floor->interval_ms = 200;
    floor->raised = on_raised;
    if (floor_start(floor, blob_view(kept_of(
                               machine, VIEW_LITERAL(FLOOR_NAME)))) != KIST_OK)
        abort();
    machine->entropy.compared = on_compared;
}

static void start_change(struct machine *machine)
{
    struct change *change = &machine->change;
    const struct ring *first = NULL;

    if (machine->is_founder)
        first = ring_share(machine->network->first);
    change->seat = &machine->seat;
    change->tick_ms = 100;
    change->timeout_ms = 400;
    change->bytes_per_s = 4000;
    change->adopted = on_adopted;
    change->floor_heard = on_floor_heard;
    if (change_start(change,
                     blob_view(kept_of(machine, VIEW_LITERAL(CHANGE_NAME))),
                     blob_view(kept_of(machine, VIEW_LITERAL(DECREE_NAME))),
                     first) != KIST_OK)
        abort();
}

/* Nobody ever founds another ring. */
static void on_joined(void *ctx)
{
    struct machine *machine = ctx;
    uint64_t *digest = &machine->network->digests[1];

    world_expect(world_of(machine),
                 *digest == 0 || *digest == machine->seat.digest,
                 "there are two first rings");
    *digest = machine->seat.digest;
}

static void on_returned(void *ctx, uint64_t incarnation)
{
    struct machine *machine = ctx;

    hints_wake(&machine->hints, incarnation);
}

static void on_standing(void *ctx, unsigned number, enum roll_standing from,
                        enum roll_standing to)
{
    struct machine *machine = ctx;

    world_say(world_of(machine), "machine %u: %s was %s and is %s",
              machine->number, roll_name(&machine->roll, number),
              roll_standing_name(from), roll_standing_name(to));
}

static void on_founding(void *ctx, enum founding_state from,
                        enum founding_state to)
{
    struct machine *machine = ctx;

    world_say(world_of(machine), "machine %u was %s and is %s", machine->number,
              founding_state_name(from), founding_state_name(to));
}

static void on_fence(void *ctx, enum fence_state from, enum fence_state to)
{
    struct machine *machine = ctx;

    world_say(world_of(machine), "machine %u: its fence was %s and is %s",
              machine->number, fence_state_name(from), fence_state_name(to));
}

static bool is_alive(void *ctx, uint64_t incarnation)
{
    struct machine *machine = ctx;

    return machine->network->is_blind ||
           roll_answers(&machine->roll, incarnation);
}

static bool takes_writes(void *ctx, uint64_t incarnation)
{
    struct machine *machine = ctx;

    return machine->network->is_blind ||
           roll_takes_writes(&machine->roll, incarnation);
}

static void start_clock(struct machine *machine)
{
    struct fence *fence = &machine->fence;

    hlc_init(&machine->hlc, machine->env.self, machine->lease_ms);
    fence->env = &machine->env; /* Its counts go on. */
    fence->hlc = &machine->hlc;
    fence->limit_ms = FENCE_LIMIT_MS;
    fence->ctx = machine;
    fence->moved = on_fence;
    fence_start(fence);
    timekeeper_start(&machine->seat.clock, &machine->env, &machine->hlc, fence);
}

static void start_members(struct machine *machine)
{
    memset(&machine->roll, 0, sizeof(machine->roll));
    machine->members = (struct members){
        .seat = &machine->seat,
        .fence = &machine->fence,
        .roll = &machine->roll,
        .name = view_of(machine->name),
        .first = machine->network->first,
        .beat_ms = BEAT_MS,
        .silence_ms = SILENCE_MS,
        .ctx = machine,
        .joined = on_joined,
        .returned = on_returned,
        .moved = on_standing,
        .founded = on_founding,
    };
    if (members_start(&machine->members) != KIST_OK)
        abort();
}

/* The counts of both go on. */
static void start_repairs(struct machine *machine)
{
    machine->hints.seat = &machine->seat;
    machine->hints.limit_bytes = 4000;
    machine->hints.age_ms = 3000;
    machine->hints.timeout_ms = 400;
    machine->hints.retry_ms = 50;
    machine->entropy.seat = &machine->seat;
    machine->entropy.period_ms = ROUND_MS;
    machine->entropy.timeout_ms = 400;
    machine->entropy.settle_ms = 100;
    anti_entropy_start(&machine->entropy);
}

static void start_other(struct machine *machine)
{
    machine->other = (struct seat){
        .env = &machine->env,
        .all = &machine->seats,
        .number = seats_enter(&machine->seats),
        .ctx = machine,
        .is_alive = is_alive,
        .takes_writes = takes_writes,
        .missed = on_missed,
        .differs = on_differs,
    };
    timekeeper_start(&machine->other.clock, &machine->env, &machine->hlc,
                     &machine->fence);
    machine->follow = (struct env_timer){.fire = on_follow};
    give_orders(machine);
}

void network_use_loops(struct network *network)
{
    network->has_loops = true;
    for (unsigned i = 0; i < network->count; i++)
        if (network->machines[i].is_up)
            start_other(&network->machines[i]);
}

void machine_start(struct machine *machine)
{
    struct seat *seat = &machine->seat;

    world_say(world_of(machine), "machine %u starts, its clock %+lld ms",
              machine->number, (long long)machine->offset_ms);
    machine->is_up = true;
    start_clock(machine);
    machine->seats = (struct seats){0};
    seat->all = &machine->seats;
    seat->number = seats_enter(&machine->seats);
    seat->ctx = machine;
    seat->is_alive = is_alive;
    seat->takes_writes = takes_writes;
    seat->missed = on_missed;
    if (machine->network->has_loops)
        start_other(machine);
    if (!machine->network->is_founding) {
        seat->differs = on_differs;
        seat->on_ring = on_ring;
        start_change(machine);
        start_floor(machine);
        start_repairs(machine);
    }
    start_members(machine);
}

/* A number that no machine has had, and a name. */
static void name_machine(struct machine *machine)
{
    machine->env.self = ++machine->network->incarnations;
    snprintf(machine->address, sizeof(machine->address), "%c",
             (char)('a' + machine->number));
    snprintf(machine->name, sizeof(machine->name), "%c%u",
             (char)('a' + machine->number),
             (unsigned)machine->env.self % 10000);
}

static void clear_disk(struct machine *machine)
{
    for (unsigned i = 0; i < CELLS_MAX; i++) {
        blob_free(&machine->cells[i].key);
        blob_free(&machine->cells[i].record);
    }
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        blob_free(&machine->kept[i].name);
        blob_free(&machine->kept[i].bytes);
    }
    machine->lease_ms = 0;
    memset(machine->files, 0, sizeof(machine->files));
}

void machine_wipe(struct machine *machine)
{
    if (machine->is_up)
        abort();
    world_say(world_of(machine), "machine %u is wiped", machine->number);
    clear_disk(machine);
    machine->is_founder = false;
    if (machine->network->is_founding)
        machine->env.self = ++machine->network->incarnations;
    else
        name_machine(machine);
}

static void make_ring(struct network *network, unsigned count, unsigned copies)
{
    struct ring_member members[MACHINES_MAX] = {0};
    struct ring shape = {.cluster = network->world->seed + 1,
                         .bits = 4, /* Some keys share a partition. */
                         .copies = copies,
                         .member_count = count,
                         .members = members};
    struct ring *ring;

    for (unsigned i = 0; i < count; i++) {
        members[i].name = view_of(network->machines[i].name);
        members[i].address = view_of(network->machines[i].address);
        members[i].incarnation = network->machines[i].env.self;
    }
    if (ring_plan_create(&shape, &ring) != KIST_OK)
        abort();
    network->first = ring;
    network->ring = ring_share(ring);
}

static void init(struct network *network, struct world *world, unsigned count,
                 unsigned spare, unsigned copies)
{
    memset(network, 0, sizeof(*network));
    network->world = world;
    network->count = count + spare;
    network->weather = (struct weather){.delay_us = 1000, .sync_us = 1000};
    for (unsigned i = 0; i < network->count; i++) {
        struct machine *machine = &network->machines[i];

        machine->network = network;
        machine->number = i;
        machine->env.ops = &ops;
        machine->seat.env = &machine->env;
        machine->is_founder = i < count;
        name_machine(machine);
    }
    make_ring(network, count, copies);
    network->secret = bucket_secret_of(network->ring->cluster);
}

void network_init(struct network *network, struct world *world, unsigned count,
                  unsigned spare, unsigned copies)
{
    init(network, world, count, spare, copies);
    for (unsigned i = 0; i < network->count; i++)
        machine_start(&network->machines[i]);
}

void network_init_founding(struct network *network, struct world *world,
                           unsigned count, unsigned copies)
{
    init(network, world, count, 0, copies);
    network->is_founding = true;
}

/* What still travels ends, its machines being down. */
static void empty_the_air(struct network *network)
{
    network->world->is_wrong = false;
    while (network->world->count > 0) {
        struct event *event = network->world->heap[1];

        world_cancel(network->world, event);
        if (event->happen == deliver)
            event->happen(event);
    }
}

void network_clear(struct network *network)
{
    for (unsigned i = 0; i < network->count; i++)
        if (network->machines[i].is_up)
            machine_crash(&network->machines[i]);
    empty_the_air(network);
    for (unsigned i = 0; i < network->count; i++)
        clear_disk(&network->machines[i]);
    ring_free(network->ring);
    ring_free(network->first);
}
