#include "tests/simulator/clients.h"

#include "base/owner.h"
#include "replication/cluster_scan.h"
#include "replication/quorum_read.h"
#include "replication/quorum_write.h"
#include "storage/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 400
#define HEDGE_MS   20

struct operation {
    struct quorum_write write;
    struct quorum_read read;
    struct session *session; /* NULL: of clients_read_all(). */
    struct clients *clients;
    unsigned key;
    size_t logged;         /* A write's place in the log. */
    struct version before; /* A read must not be older. */
    struct version mine;
    char value[32];
    char file[LARGE_REFERENCE_SIZE];
    struct machine *machine; /* By which it is written. */
    uint64_t incarnation;
};

static struct view key_at(unsigned key)
{
    static const char *const keys[KEYS] = {"ada",     "grace",  "edsger",
                                           "barbara", "leslie", "tony"};

    return view_of(keys[key]);
}

static unsigned copies_of(const struct clients *clients)
{
    return clients->network->ring->copies;
}

static unsigned majority_of(const struct clients *clients)
{
    return copies_of(clients) / 2 + 1;
}

static void raise_to(struct version *version, struct version seen)
{
    if (version_compare(seen, *version) > 0)
        *version = seen;
}

static struct machine *owner_at(struct clients *clients, unsigned key,
                                unsigned i)
{
    const struct ring *ring = clients->network->ring;
    unsigned partition = ring_partition_of(ring, key_at(key));
    unsigned member = ring_owners_of(ring, partition)[i];
    struct machine *owner =
        network_find(clients->network, ring->members[member].incarnation);

    if (owner == NULL)
        abort(); /* Only asked when nobody is missing. */
    return owner;
}

/* One, a majority, or all: the majority most often. */
static unsigned some_quorum(struct clients *clients)
{
    uint64_t die = world_below(clients->world, 10);

    if (die == 0)
        return 1;
    return die == 1 ? copies_of(clients) : majority_of(clients);
}

static struct machine *some_machine(struct clients *clients)
{
    unsigned count = clients->network->count;
    unsigned first = (unsigned)world_below(clients->world, count);

    for (unsigned i = 0; i < count; i++) {
        struct machine *machine =
            &clients->network->machines[(first + i) % count];

        if (machine->is_up && machine->seat.is_member)
            return machine;
    }
    return NULL;
}

static struct operation *operation_new(struct clients *clients,
                                       struct session *session, unsigned key)
{
    struct operation *operation = calloc(1, sizeof(*operation));

    if (operation == NULL)
        abort();
    operation->clients = clients;
    operation->session = session;
    operation->key = key;
    clients->busy++;
    return operation;
}

static void operation_free(struct operation *operation)
{
    operation->clients->busy--;
    free(operation);
}

static void rest(struct session *session)
{
    struct world *world = session->clients->world;

    if (!session->clients->are_tired && !event_is_planned(&session->next))
        world_plan(world, &session->next, world_below(world, 60000));
}

/* Writing. */

static void check_version(struct clients *clients, struct machine *machine,
                          struct version version)
{
    uint64_t now_ms = EPOCH_MS + clients->world->now_us / 1000;
    struct version *last = &clients->last[machine->number];

    world_expect(clients->world,
                 version_compare(version, *last) > 0 ||
                     last->incarnation != version.incarnation,
                 "version %lx-%lx was given after %lx-%lx", version.hlc,
                 version.incarnation, last->hlc, last->incarnation);
    *last = version;
    world_expect(clients->world,
                 version_ms(version) < now_ms + AHEAD_MS &&
                     version_ms(version) + BEHIND_MS > now_ms,
                 "version %lx-%lx was given %ld ms after its time", version.hlc,
                 version.incarnation, (long)(now_ms - version_ms(version)));
}

static void log_write(struct operation *operation, struct machine *machine)
{
    struct clients *clients = operation->clients;
    struct version version = operation->write.record.version;

    check_version(clients, machine, version);
    for (size_t i = 0; i < clients->logged; i++)
        world_expect(clients->world,
                     !version_equal(clients->log[i].version, version),
                     "version %lx-%lx was given twice", version.hlc,
                     version.incarnation);
    if (clients->logged == clients->capacity) {
        clients->capacity = clients->capacity * 2 + 256;
        clients->log =
            realloc(clients->log, clients->capacity * sizeof(*clients->log));
        if (clients->log == NULL)
            abort();
    }
    operation->logged = clients->logged;
    clients->log[clients->logged++] = (struct logged){
        version, operation->key, operation->write.record.tombstone, FATE_OPEN};
}

/*
 * Whether what was seen of a key is no older than that. Nothing is not, once a
 * deletion that came later may have been purged.
 */
static bool is_as_new(const struct clients *clients, unsigned key,
                      struct version seen, struct version than)
{
    if (!version_is_none(seen) || version_is_none(than))
        return version_compare(seen, than) >= 0;
    for (size_t i = 0; i < clients->logged; i++) {
        const struct logged *logged = &clients->log[i];

        if (logged->key == key && logged->tombstone &&
            version_compare(logged->version, than) >= 0 &&
            version_compare(logged->version, clients->network->floor) < 0)
            return true;
    }
    return false;
}

/* What a machine has of a key, or none; with its file, if it has one. */
static struct version version_at(struct machine *machine, unsigned key)
{
    struct record record = {.version = VERSION_NONE};
    bool found = machine_record(machine, key_at(key), &record) != NULL;

    if (found && record.large && !machine_has_file(machine, &record))
        return VERSION_NONE;
    return found ? record.version : VERSION_NONE;
}

/* Its vote was heard, and since then it was wiped, or another owns the key. */
static bool is_beyond_asking(const struct operation *operation,
                             uint64_t incarnation)
{
    const struct network *network = operation->clients->network;
    const struct ring *ring = network->ring;
    unsigned partition = ring_partition_of(ring, key_at(operation->key));

    if (network_find(operation->clients->network, incarnation) == NULL)
        return true;
    return ring->epoch > operation->write.ring->epoch &&
           (ring_rows_of(ring, partition, ring->copies, incarnation) &
            RING_NOW) == 0;
}

/* On how many of these owners it is. */
static unsigned durable_copies(struct operation *operation,
                               const uint16_t *owners)
{
    struct clients *clients = operation->clients;
    const struct ring *ring = operation->write.ring;
    unsigned copies = 0;

    for (unsigned i = 0; i < copies_of(clients); i++) {
        uint64_t incarnation = ring->members[owners[i]].incarnation;

        copies +=
            is_beyond_asking(operation, incarnation) ||
            is_as_new(clients, operation->key,
                      version_at(network_find(clients->network, incarnation),
                                 operation->key),
                      operation->write.record.version);
    }
    return copies;
}

/* By the current table, and by the next one. */
static unsigned fewest_copies(struct operation *operation)
{
    const struct ring *ring = operation->write.ring;
    unsigned partition = ring_partition_of(ring, key_at(operation->key));
    unsigned now = durable_copies(operation, ring_owners_of(ring, partition));
    unsigned next = durable_copies(operation, ring_next_of(ring, partition));

    return now < next ? now : next;
}

static void acked(struct operation *operation)
{
    struct clients *clients = operation->clients;
    struct quorum_write *write = &operation->write;
    unsigned copies = fewest_copies(operation);

    world_expect(clients->world, copies >= write->w,
                 "%s: acknowledged with w=%u, durable on %u", operation->value,
                 write->w, copies);
    clients->superseded += !version_is_none(write->superseded);
    raise_to(&operation->session->token, write->record.version);
    if (write->w < majority_of(clients))
        return;
    raise_to(&clients->known[operation->key], write->record.version);
    raise_to(&operation->session->mine[operation->key], write->record.version);
}

static void write_answered(struct quorum_write *write)
{
    static const enum fate fates[] = {
        [QUORUM_WRITE_DONE] = FATE_ACKED,
        [QUORUM_WRITE_NOT_APPLIED] = FATE_NOT_APPLIED,
        [QUORUM_WRITE_UNKNOWN] = FATE_UNKNOWN,
    };
    static const char *const names[] = {"done", "not applied", "unknown"};
    struct operation *operation = OWNER(write, struct operation, write);
    struct clients *clients = operation->clients;

    world_say(clients->world, "session %u: %s is %s, %u of %u",
              operation->session->number, operation->value,
              names[write->outcome], write->acked, write->w);
    clients->log[operation->logged].fate = fates[write->outcome];
    clients->fates[fates[write->outcome]]++;
    if (write->outcome == QUORUM_WRITE_DONE)
        acked(operation);
    rest(operation->session);
}

/* A machine that was wiped since, or is down, has nothing to give up. */
static void write_ended(struct quorum_write *write)
{
    struct operation *operation = OWNER(write, struct operation, write);

    if (write->record.large && operation->machine->is_up &&
        operation->machine->env.self == operation->incarnation)
        machine_give_up_file(operation->machine, write->key, &write->record);
    operation_free(operation);
}

/* What the n-th write has for a value: its name, or a file's. */
static bool is_large(const struct clients *clients, size_t number)
{
    return clients->write_files && number % 4 == 3;
}

static void name_file(size_t number, char out[LARGE_REFERENCE_SIZE])
{
    struct large_reference file = {
        .boot = 1, .serial = number + 1, .size = 100, .hash = number};
    struct blob bytes = BLOB_EMPTY;

    large_reference_encode(&file, &bytes);
    if (bytes.size != LARGE_REFERENCE_SIZE)
        abort();
    memcpy(out, bytes.data, bytes.size);
    blob_free(&bytes);
}

/* The client is with that machine, which has taken the file already. */
static void bring_file(struct operation *operation, struct machine *machine)
{
    struct record *record = &operation->write.record;

    if (!is_large(operation->clients, operation->clients->logged))
        return;
    name_file(operation->clients->logged, operation->file);
    record->large = true;
    record->value = (struct view){operation->file, LARGE_REFERENCE_SIZE};
    operation->machine = machine;
    operation->incarnation = machine->env.self;
    machine_put_file(machine, record);
}

static enum kist_status begin_write(struct operation *operation,
                                    struct machine *machine)
{
    struct clients *clients = operation->clients;
    struct session *session = operation->session;
    struct seat *seat = machine_seat(machine);
    enum kist_status status = KIST_BUSY;

    snprintf(operation->value, sizeof(operation->value), "write %zu",
             clients->logged);
    operation->write = (struct quorum_write){
        .key = key_at(operation->key),
        .record.tombstone = world_chance(clients->world, 2000),
        .sync = ENGINE_SYNC,
        .n = copies_of(clients),
        .w = some_quorum(clients),
        .timeout_ms = TIMEOUT_MS,
        .answered = write_answered,
        .ended = write_ended,
    };
    if (!operation->write.record.tombstone)
        operation->write.record.value = view_of(operation->value);
    if (!operation->write.record.tombstone)
        bring_file(operation, machine);
    if (version_is_none(session->token) ||
        timekeeper_observe(&seat->clock, session->token))
        status = quorum_write_start(&operation->write, seat);
    world_say(clients->world, "session %u: %s of %s%s, w=%u, by machine %u: %s",
              session->number, operation->value, key_at(operation->key).data,
              operation->write.record.tombstone ? " (deletion)" : "",
              operation->write.w, machine->number, kist_status_name(status));
    if (status == KIST_OK)
        log_write(operation, machine);
    else if (operation->write.record.large)
        machine_give_up_file(machine, operation->write.key,
                             &operation->write.record);
    return status;
}

/* Reading. */

static const struct logged *find_logged(const struct clients *clients,
                                        struct version version, size_t *out_at)
{
    for (size_t i = 0; i < clients->logged; i++)
        if (version_equal(clients->log[i].version, version)) {
            *out_at = i;
            return &clients->log[i];
        }
    return NULL;
}

static bool was_written(struct clients *clients, unsigned key,
                        const struct record *record)
{
    size_t at = 0;
    const struct logged *logged = find_logged(clients, record->version, &at);
    char value[32], file[LARGE_REFERENCE_SIZE];
    struct view wanted = {file, sizeof(file)};

    snprintf(value, sizeof(value), "write %zu", at);
    name_file(at, file);
    if (!is_large(clients, at))
        wanted = view_of(value);
    return logged != NULL && logged->key == key &&
           logged->tombstone == record->tombstone &&
           logged->fate != FATE_NOT_APPLIED &&
           (record->tombstone ? record->value.size == 0
                              : view_equal(record->value, wanted));
}

static void check_read(struct operation *operation)
{
    struct clients *clients = operation->clients;
    struct quorum_read *read = &operation->read;
    struct version version = read->found ? read->record.version : VERSION_NONE;
    const char *key = key_at(operation->key).data;

    world_expect(clients->world,
                 !read->found ||
                     was_written(clients, operation->key, &read->record),
                 "%s: what was read was never written", key);
    world_expect(clients->world,
                 is_as_new(clients, operation->key, version, operation->mine),
                 "%s: a session does not see its own write", key);
    if (read->r < majority_of(clients))
        return;
    world_expect(clients->world,
                 is_as_new(clients, operation->key, version, operation->before),
                 "%s: a majority read went back", key);
    raise_to(&clients->known[operation->key], version);
    if (operation->session != NULL)
        raise_to(&operation->session->token, version);
}

static void read_answered(struct quorum_read *read)
{
    struct operation *operation = OWNER(read, struct operation, read);
    struct clients *clients = operation->clients;

    world_say(clients->world, "session %u: reads %s, r=%u: %s, %.*s",
              operation->session != NULL ? operation->session->number : 99,
              key_at(operation->key).data, read->r,
              read->outcome == QUORUM_READ_DONE ? "done" : "too few",
              read->found ? (int)read->record.value.size : 0,
              read->found ? read->record.value.data : "");
    clients->reads++;
    if (read->outcome == QUORUM_READ_DONE)
        check_read(operation);
    else
        clients->reads_failed++;
    world_expect(
        clients->world,
        operation->session != NULL || read->outcome == QUORUM_READ_DONE,
        "%s: all is well, and a read fails", key_at(operation->key).data);
    if (operation->session != NULL)
        rest(operation->session);
}

static void read_ended(struct quorum_read *read)
{
    struct operation *operation = OWNER(read, struct operation, read);

    operation->clients->repaired += read->repaired;
    operation_free(operation);
}

static enum kist_status begin_read(struct operation *operation,
                                   struct machine *machine, unsigned r)
{
    struct clients *clients = operation->clients;
    struct session *session = operation->session;

    operation->before = clients->known[operation->key];
    operation->read = (struct quorum_read){
        .key = key_at(operation->key),
        .n = copies_of(clients),
        .r = r,
        .w = majority_of(clients),
        .timeout_ms = TIMEOUT_MS,
        .hedge_ms = HEDGE_MS,
        .answered = read_answered,
        .ended = read_ended,
    };
    if (session != NULL && world_chance(clients->world, 5000)) {
        operation->read.after = session->token;
        operation->mine = session->mine[operation->key];
    }
    return quorum_read_start(&operation->read, machine_seat(machine));
}

/* Listing, by majorities. */

struct listing {
    struct cluster_scan scan;
    struct session *session;
    struct version before[KEYS]; /* As for a read. */
};

static unsigned number_of(struct view key)
{
    unsigned number = 0;

    while (number < KEYS && !view_equal(key_at(number), key))
        number++;
    return number;
}

/* Each key once, in order, and nothing older than what was known before. */
static void check_listing(struct listing *listing)
{
    struct clients *clients = listing->session->clients;
    struct version seen[KEYS] = {0};
    struct view last = {NULL, 0};
    struct scan_page_record found;

    while (cluster_scan_next(&listing->scan, &found)) {
        unsigned key = number_of(found.key);

        world_expect(clients->world, view_compare(found.key, last) > 0,
                     "a listing is not in order");
        world_expect(clients->world,
                     key < KEYS && was_written(clients, key, &found.record),
                     "what was listed was never written");
        if (key < KEYS)
            seen[key] = found.record.version;
        last = found.key;
    }
    for (unsigned key = 0; key < KEYS; key++)
        world_expect(clients->world,
                     is_as_new(clients, key, seen[key], listing->before[key]),
                     "%s: a listing went back", key_at(key).data);
}

static void listed(struct cluster_scan *scan)
{
    struct listing *listing = OWNER(scan, struct listing, scan);
    struct session *session = listing->session;

    world_say(session->clients->world, "session %u: lists: %s", session->number,
              kist_status_name(scan->status));
    if (scan->status == KIST_OK) {
        session->clients->listings++;
        check_listing(listing);
    }
    cluster_scan_clear(scan);
    free(listing);
    session->clients->busy--;
    rest(session);
}

static void begin_listing(struct session *session, struct machine *machine)
{
    struct clients *clients = session->clients;
    struct listing *listing = calloc(1, sizeof(*listing));

    if (listing == NULL)
        abort();
    listing->session = session;
    memcpy(listing->before, clients->known, sizeof(listing->before));
    listing->scan = (struct cluster_scan){.range.values = true,
                                          .n = copies_of(clients),
                                          .r = majority_of(clients),
                                          .timeout_ms = TIMEOUT_MS,
                                          .answered = listed};
    if (cluster_scan_start(&listing->scan, machine_seat(machine)) == KIST_OK) {
        clients->busy++;
        return;
    }
    clients->refused++;
    free(listing);
    rest(session);
}

static void begin_next(struct event *event)
{
    struct session *session = OWNER(event, struct session, next);
    struct clients *clients = session->clients;
    struct machine *machine = some_machine(clients);
    struct operation *operation;
    enum kist_status status;

    if (machine == NULL) {
        rest(session);
        return;
    }
    if (world_chance(clients->world, 500)) {
        begin_listing(session, machine);
        return;
    }
    operation = operation_new(clients, session,
                              (unsigned)world_below(clients->world, KEYS));
    if (world_chance(clients->world, 5000))
        status = begin_write(operation, machine);
    else
        status = begin_read(operation, machine, some_quorum(clients));
    if (status == KIST_OK)
        return;
    clients->refused++;
    operation_free(operation);
    rest(session);
}

void clients_init(struct clients *clients, struct network *network)
{
    *clients = (struct clients){.network = network, .world = network->world};
    for (unsigned i = 0; i < SESSIONS; i++) {
        clients->sessions[i] = (struct session){
            .clients = clients, .number = i, .next.happen = begin_next};
        rest(&clients->sessions[i]);
    }
}

void clients_clear(struct clients *clients)
{
    free(clients->log);
    clients->log = NULL;
}

void clients_read_all(struct clients *clients)
{
    for (unsigned i = 0; i < clients->network->count; i++)
        for (unsigned key = 0; key < KEYS; key++) {
            struct machine *machine = &clients->network->machines[i];
            struct operation *operation;
            enum kist_status status;

            if (!machine->seat.is_member)
                continue;
            operation = operation_new(clients, NULL, key);
            status = begin_read(operation, machine, copies_of(clients));

            world_expect(clients->world, status == KIST_OK,
                         "a healthy machine refuses a read: %s",
                         kist_status_name(status));
        }
}

/* The bytes, but for deletions that some have purged and others will. */
static struct view bytes_at(struct clients *clients, unsigned key,
                            struct machine *owner)
{
    struct record record;

    if (machine_record(owner, key_at(key), &record) == NULL ||
        merge_may_purge(&record, clients->network->floor))
        return (struct view){NULL, 0};
    return blob_view(&machine_cell(owner, key_at(key))->record);
}

static void check_copy(struct clients *clients, unsigned key,
                       struct machine *owner, struct machine *first)
{
    struct record record = {0};
    bool found = machine_record(owner, key_at(key), &record) != NULL;

    world_expect(clients->world,
                 is_as_new(clients, key, record.version, clients->known[key]),
                 "%s: machine %u has %lx-%lx, %lx-%lx was acknowledged",
                 key_at(key).data, owner->number, record.version.hlc,
                 record.version.incarnation, clients->known[key].hlc,
                 clients->known[key].incarnation);
    world_expect(clients->world,
                 !record.large || machine_has_file(owner, &record),
                 "%s: machine %u has lost the file of its value",
                 key_at(key).data, owner->number);
    world_expect(clients->world, !found || was_written(clients, key, &record),
                 "%s: machine %u has what was never written", key_at(key).data,
                 owner->number);
    world_expect(clients->world,
                 view_equal(bytes_at(clients, key, owner),
                            bytes_at(clients, key, first)),
                 "%s: machine %u has another record than the first owner",
                 key_at(key).data, owner->number);
}

void clients_check_copies(struct clients *clients)
{
    world_expect(clients->world, clients->busy == 0,
                 "%u operations never ended", clients->busy);
    for (unsigned key = 0; key < KEYS; key++) {
        struct machine *first = owner_at(clients, key, 0);

        for (unsigned i = 0; i < copies_of(clients); i++)
            check_copy(clients, key, owner_at(clients, key, i), first);
    }
}
