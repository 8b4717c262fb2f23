#include "api/cluster_moves.h"

#include "api/json_page.h"
#include "replication/ring_plan.h"
#include "storage/large.h"
#include "storage/replica_list.h"

#include <stdlib.h>

/* Of one member. */
struct moves {
    unsigned now, then; /* Partitions that it owns. */
    unsigned takes, gives;
};

static void count(const struct ring *ring, struct moves *moves)
{
    struct ring_move move;
    unsigned partition = 0;

    for (unsigned p = 0; p < ring_partitions(ring); p++)
        for (unsigned i = 0; i < ring->copies; i++) {
            moves[ring_owners_of(ring, p)[i]].now++;
            moves[ring_next_of(ring, p)[i]].then++;
        }
    while (ring_plan_next_move(ring, &partition, &move)) {
        moves[move.to].takes++;
        moves[move.from].gives++;
    }
}

/* What a partition holds, on average of those that are here. */
struct load {
    double keys;
    double bytes; /* On disk, files of large values too. */
};

static struct load load_of_partition(const struct ring *ring,
                                     struct store *store)
{
    struct store_gauges gauges;
    uint64_t keys = 0;
    unsigned partitions = 0;
    uint64_t self = store_clock(store)->incarnation;
    double bytes;

    for (unsigned p = 0; p < ring_partitions(ring); p++)
        if (ring_is_owner(ring, p, self)) {
            keys += replica_list_sum(store, p, KEY_HASH_ALL_LEAVES).count;
            partitions++;
        }
    if (partitions == 0)
        return (struct load){0};
    store_gauges(store, &gauges);
    bytes = (double)gauges.records_size +
            (double)gauge_read(&large_stats(store_large(store))->bytes);
    return (struct load){(double)keys / partitions, bytes / partitions};
}

static json_int_t times(unsigned partitions, double each)
{
    return (json_int_t)(partitions * each);
}

static json_t *member_of(const struct ring *ring, unsigned number,
                         const struct moves *moves, const struct load *load)
{
    const struct ring_member *member = &ring->members[number];
    double all = ring_partitions(ring);

    return json_pack(
        "{s:o, s:o, s:s, s:i, s:i, s:f, s:i, s:i, s:I, s:I, s:I, s:I}", "name",
        json_page_text(member->name), "address",
        json_page_text(member->address), "standing",
        ring_standing_name(member->standing), "partitions", (int)moves->now,
        "partitions_then", (int)moves->then, "share_then",
        (double)moves->then / all, "takes", (int)moves->takes, "gives",
        (int)moves->gives, "takes_keys", times(moves->takes, load->keys),
        "gives_keys", times(moves->gives, load->keys), "takes_bytes",
        times(moves->takes, load->bytes), "gives_bytes",
        times(moves->gives, load->bytes));
}

static json_t *members_of(const struct ring *ring, const struct moves *moves,
                          const struct load *load)
{
    json_t *members = json_array();

    for (unsigned i = 0; i < ring->member_count; i++)
        if (json_array_append_new(members,
                                  member_of(ring, i, &moves[i], load)) != 0) {
            json_decref(members);
            return NULL;
        }
    return members;
}

json_t *cluster_moves_page(const struct ring *ring, uint64_t plan,
                           struct store *store)
{
    struct moves *moves = calloc(ring->member_count, sizeof(*moves));
    struct load load = load_of_partition(ring, store);
    unsigned moved = 0;
    json_t *page;

    if (moves == NULL)
        return NULL;
    count(ring, moves);
    for (unsigned i = 0; i < ring->member_count; i++)
        moved += moves[i].takes;
    page = json_pack("{s:s, s:I, s:i, s:I, s:I, s:o}", "state",
                     plan != 0 ? "draft" : "pending", "epoch",
                     (json_int_t)ring->epoch, "partitions", (int)moved, "keys",
                     times(moved, load.keys), "bytes", times(moved, load.bytes),
                     "members", members_of(ring, moves, &load));
    free(moves);
    if (page != NULL && plan != 0 &&
        json_object_set_new(page, "plan", json_page_hex(plan)) != 0) {
        json_decref(page);
        return NULL;
    }
    return page;
}
