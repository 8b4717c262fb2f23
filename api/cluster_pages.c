#include "api/cluster_pages.h"

#include "api/api.h"
#include "api/json_page.h"
#include "api/reply.h"
#include "base/clock.h"
#include "replication/cluster.h"

#include <jansson.h>

struct cluster *cluster_pages_cluster(struct request *request)
{
    if (request->api->cluster == NULL)
        reply_problem(
            request, PROBLEM_NO_SUCH_PATH,
            "This node is alone: it was started without peers and join.");
    return request->api->cluster;
}

/* Members. */

static unsigned owned_by(const struct ring *ring, uint64_t incarnation)
{
    unsigned owned = 0;

    for (unsigned i = 0; i < ring_partitions(ring); i++)
        owned += ring_is_owner(ring, i, incarnation);
    return owned;
}

static json_t *clock_of(const struct roll_line *line)
{
    return json_pack("{s:b, s:f, s:f}", "good", line->clock_is_good,
                     "ahead_seconds", (double)line->clock_ahead_ms / 1e3,
                     "round_trip_seconds", (double)line->round_trip_ms / 1e3);
}

/* What the ring says of a member, added to what was heard. */
static int add_place(json_t *member, const struct ring *ring,
                     uint64_t incarnation)
{
    int number = ring_find_incarnation(ring, incarnation);

    if (number < 0)
        return 0;
    return json_object_set_new(member, "place",
                               json_string(ring_standing_name(
                                   ring->members[number].standing))) |
           json_object_set_new(member, "address",
                               json_page_text(ring->members[number].address)) |
           json_object_set_new(
               member, "partitions",
               json_integer((json_int_t)owned_by(ring, incarnation)));
}

static json_t *member_of(const struct roll *roll, unsigned number,
                         const struct ring *ring)
{
    struct roll_line line = roll_read(roll, number);
    json_t *member =
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", roll_name(roll, number),
                  "standing", roll_standing_name(line.standing), "store",
                  store_state_name(line.store), "incarnation",
                  json_page_hex(line.incarnation), "clock", clock_of(&line));

    if (member != NULL && ring != NULL &&
        add_place(member, ring, line.incarnation) != 0) {
        json_decref(member);
        return NULL;
    }
    return member;
}

static json_t *members_of(const struct roll *roll, const struct ring *ring)
{
    json_t *members = json_array();

    for (unsigned i = 0; i < roll_count(roll); i++)
        if (json_array_append_new(members, member_of(roll, i, ring)) != 0) {
            json_decref(members);
            return NULL;
        }
    return members;
}

static json_t *ring_of(const struct ring *ring, uint64_t digest)
{
    if (ring == NULL)
        return json_null();
    return json_pack("{s:o, s:I, s:o, s:b, s:i, s:i}", "cluster",
                     json_page_hex(ring->cluster), "epoch",
                     (json_int_t)ring->epoch, "digest", json_page_hex(digest),
                     "pending", ring->next != NULL, "replicas",
                     (int)ring->copies, "partitions",
                     (int)ring_partitions(ring));
}

void cluster_pages_members(struct request *request)
{
    const struct seat *seat = request->api_loop->seat;
    const struct cluster *cluster = cluster_pages_cluster(request);

    if (cluster == NULL)
        return;
    json_page_reply(
        request, 200,
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", cluster_name(cluster),
                  "state", founding_state_name(cluster_state(cluster)), "clock",
                  fence_state_name(cluster_clock(cluster)), "ring",
                  ring_of(seat->ring, seat->digest), "members",
                  members_of(cluster_roll(cluster), seat->ring)));
}

/* Where a key lies. */

static json_t *owners_of(const struct ring *ring, unsigned partition)
{
    const uint16_t *row = ring_owners_of(ring, partition);
    json_t *owners = json_array();

    for (unsigned i = 0; i < ring->copies; i++)
        if (json_array_append_new(
                owners, json_page_text(ring->members[row[i]].name)) != 0) {
            json_decref(owners);
            return NULL;
        }
    return owners;
}

void cluster_pages_ring(struct request *request)
{
    const struct seat *seat = request->api_loop->seat;
    struct view key = request->parameters[PARAMETER_KEY];
    unsigned partition;

    if (cluster_pages_cluster(request) == NULL)
        return;
    if (key.data == NULL || key.size == 0 || key.size > STORE_KEY_MAX) {
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "key= names the key to look for.");
        return;
    }
    if (seat->ring == NULL) {
        reply_problem(request, PROBLEM_UNAVAILABLE,
                      "There is no ring yet; GET /cluster says why.");
        return;
    }
    partition = ring_partition_of(seat->ring, key);
    json_page_reply(
        request, 200,
        json_pack("{s:o, s:o, s:i, s:I, s:o}", "key", json_page_text(key),
                  "hash", json_page_hex(ring_hash(key)), "partition",
                  (int)partition, "epoch", (json_int_t)seat->ring->epoch,
                  "owners", owners_of(seat->ring, partition)));
}

/* What was missed, and what differed. */

static json_int_t number(const struct counter *counter)
{
    return (json_int_t)counter_read(counter);
}

void cluster_pages_hints(struct request *request)
{
    const struct cluster *cluster = cluster_pages_cluster(request);
    const struct hints_stats *stats;

    if (cluster == NULL)
        return;
    stats = cluster_stats(cluster)->hints;
    json_page_reply(
        request, 200,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pending",
                  (json_int_t)gauge_read(&stats->pending), "bytes",
                  (json_int_t)gauge_read(&stats->bytes), "added",
                  number(&stats->added), "delivered", number(&stats->delivered),
                  "dropped", number(&stats->dropped), "expired",
                  number(&stats->expired), "moved", number(&stats->moved)));
}

void cluster_pages_divergence(struct request *request)
{
    const struct cluster *cluster = cluster_pages_cluster(request);
    const struct anti_entropy_stats *stats;

    if (cluster == NULL)
        return;
    stats = cluster_stats(cluster)->entropy;
    json_page_reply(request, 200,
                    json_pack("{s:I, s:I, s:I, s:I, s:I}", "exchanges",
                              number(&stats->exchanges), "failures",
                              number(&stats->failures), "leaves",
                              number(&stats->leaves), "fetched",
                              number(&stats->fetched), "pushed",
                              number(&stats->pushed)));
}
