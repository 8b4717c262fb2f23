#include "service/cluster_metrics.h"

#include "base/clock.h"

#include <string.h>

static size_t peer_count(void *ctx)
{
    return roll_count(cluster_roll(ctx));
}

/* NULL: it is this node, or no member any more. */
static const char *peer_at(const struct cluster *cluster, size_t item,
                           struct roll_line *out_line, struct blob *labels)
{
    const struct roll *roll = cluster_roll(cluster);
    const char *name = roll_name(roll, (unsigned)item);

    *out_line = roll_read(roll, (unsigned)item);
    if (out_line->standing == ROLL_GONE ||
        strcmp(name, cluster_name(cluster)) == 0)
        return NULL;
    blob_printf(labels, "peer=\"%s\"", name);
    return name;
}

static bool peer_is_alive(void *ctx, size_t item, struct blob *labels,
                          double *out_value)
{
    struct roll_line line;
    const char *name = peer_at(ctx, item, &line, labels);

    *out_value = line.standing == ROLL_ALIVE ? 1 : 0;
    return name != NULL;
}

static bool peer_round_trip(void *ctx, size_t item, struct blob *labels,
                            double *out_value)
{
    struct roll_line line;
    const char *name = peer_at(ctx, item, &line, labels);

    *out_value = (double)line.round_trip_ms / 1e3;
    return name != NULL;
}

static double is_member(void *ctx)
{
    return cluster_state(ctx) == FOUNDING_MEMBER ? 1 : 0;
}

static double clock_is_good(void *ctx)
{
    return cluster_clock(ctx) == FENCE_OPEN ? 1 : 0;
}

static double clock_ahead(void *ctx)
{
    return (double)gauge_read(&cluster_stats(ctx)->fence->ahead_ms) / 1e3;
}

static void add_peers(struct metrics *metrics, struct cluster *cluster)
{
    metrics_list_gauge(
        metrics, "kist_peer_up", "Whether this member answers this node.",
        (struct metric_list){peer_count, peer_is_alive, cluster});
    metrics_list_gauge(
        metrics, "kist_peer_round_trip_seconds",
        "How long its last heartbeat took.",
        (struct metric_list){peer_count, peer_round_trip, cluster});
}

static void add_node(struct metrics *metrics, struct cluster *cluster)
{
    const struct fence_stats *fence = cluster_stats(cluster)->fence;

    metrics_read_gauge(metrics, "kist_cluster_member",
                       "Whether this node has the ring of its cluster.", NULL,
                       (struct metric_source){is_member, cluster});
    metrics_read_gauge(metrics, "kist_cluster_clock_good",
                       "Whether this node's clock may stamp writes.", NULL,
                       (struct metric_source){clock_is_good, cluster});
    metrics_read_gauge(metrics, "kist_cluster_clock_ahead_seconds",
                       "This node's wall clock before the members' median.",
                       NULL, (struct metric_source){clock_ahead, cluster});
    metrics_counter(metrics, "kist_cluster_clock_fenced_total",
                    "How often this node stopped stamping writes.", NULL,
                    &fence->closed);
    metrics_counter(metrics, "kist_cluster_clock_future_versions_total",
                    "Versions seen that are far ahead of this node's clock.",
                    NULL, &fence->too_far);
}

static void add_messages(struct metrics *metrics, struct cluster *cluster)
{
    const struct transport_stats *stats = &cluster_stats(cluster)->transport;
    const char *name = "kist_peer_messages_total";
    const char *help = "Messages to other members, by what came of them.";

    metrics_counter(metrics, name, help, "outcome=\"answered\"",
                    &stats->answered);
    metrics_counter(metrics, name, help, "outcome=\"not_sent\"",
                    &stats->not_sent);
    metrics_counter(metrics, name, help, "outcome=\"lost\"", &stats->lost);
    metrics_counter(metrics, "kist_peer_queue_full_total",
                    "Messages not sent because peer-queue-bytes waited.", NULL,
                    &stats->refused);
    metrics_counter(metrics, "kist_peer_unauthorized_total",
                    "Requests that a member refused: another secret.", NULL,
                    &stats->unauthorized);
    metrics_counter(metrics, "kist_peer_requests_total",
                    "Requests to other members; each has messages.", NULL,
                    &stats->bodies);
    metrics_histogram(metrics, "kist_peer_request_seconds",
                      "Requests to other members that were answered.", NULL,
                      &stats->time);
}

static void add_files(struct metrics *metrics, struct cluster *cluster)
{
    const struct transport_files_stats *stats = &cluster_stats(cluster)->files;
    const char *name = "kist_peer_files_total";
    const char *help = "Files of large values that this node had to fetch.";

    metrics_counter(metrics, name, help, "outcome=\"fetched\"",
                    &stats->fetched);
    metrics_counter(metrics, name, help, "outcome=\"failed\"", &stats->failed);
    metrics_counter(metrics, "kist_peer_file_bytes_total",
                    "Bytes of files that came from other members.", NULL,
                    &stats->bytes);
    metrics_gauge(metrics, "kist_peer_files_running",
                  "Files that are being fetched.", NULL, &stats->running);
    metrics_gauge(metrics, "kist_peer_files_waiting",
                  "Files that wait to be fetched.", NULL, &stats->waiting);
}

static double oldest_hint(void *ctx)
{
    int64_t born_ms = gauge_read(&cluster_stats(ctx)->hints->oldest_ms);

    return born_ms > 0 ? (double)clock_mono_ns() / 1e9 - (double)born_ms / 1e3
                       : 0;
}

static double last_comparison(void *ctx)
{
    return (double)gauge_read(&cluster_stats(ctx)->entropy->good_ms) / 1e3;
}

static void add_quorums(struct metrics *metrics, struct cluster *cluster)
{
    const struct quorum_stats *stats = &cluster_stats(cluster)->quorum;
    const char *name = "kist_quorum_failures_total";
    const char *help = "Reads and writes for which too few owners answered.";

    metrics_counter(metrics, name, help,
                    "operation=\"write\",outcome=\"not_applied\"",
                    &stats->writes_not_applied);
    metrics_counter(metrics, name, help,
                    "operation=\"write\",outcome=\"unknown\"",
                    &stats->writes_unknown);
    metrics_counter(metrics, name, help,
                    "operation=\"read\",outcome=\"failed\"",
                    &stats->reads_failed);
    metrics_counter(metrics, "kist_read_repairs_total",
                    "Copies that reads brought up to date.", NULL,
                    &stats->repairs);
    metrics_histogram(metrics, "kist_replication_lag_seconds",
                      "From a write's beginning until its last owner has it.",
                      NULL, &stats->lag);
}

static void add_hints(struct metrics *metrics, struct cluster *cluster)
{
    const struct hints_stats *stats = cluster_stats(cluster)->hints;
    const char *name = "kist_hints_ended_total";
    const char *help = "Hints that are not kept any more, by why.";

    metrics_gauge(metrics, "kist_hints_pending",
                  "Writes kept for members that missed them.", NULL,
                  &stats->pending);
    metrics_gauge(metrics, "kist_hints_memory_bytes",
                  "Memory of these; limited by hint-bytes.", NULL,
                  &stats->bytes);
    metrics_read_gauge(metrics, "kist_hints_oldest_seconds",
                       "Age of the oldest of them; 0: there are none.", NULL,
                       (struct metric_source){oldest_hint, cluster});
    metrics_counter(metrics, "kist_hints_added_total",
                    "Writes that a member missed.", NULL, &stats->added);
    metrics_counter(metrics, name, help, "why=\"delivered\"",
                    &stats->delivered);
    metrics_counter(metrics, name, help, "why=\"no_room\"", &stats->dropped);
    metrics_counter(metrics, name, help, "why=\"expired\"", &stats->expired);
    metrics_counter(metrics, name, help, "why=\"moved\"", &stats->moved);
}

static void add_entropy(struct metrics *metrics, struct cluster *cluster)
{
    const struct anti_entropy_stats *stats = cluster_stats(cluster)->entropy;
    const char *name = "kist_anti_entropy_repairs_total";
    const char *help = "Records that one of two members lacked, by which.";

    metrics_counter(metrics, "kist_anti_entropy_exchanges_total",
                    "Comparisons with other members.", NULL, &stats->exchanges);
    metrics_counter(metrics, "kist_anti_entropy_failures_total",
                    "Comparisons that did not come to their end.", NULL,
                    &stats->failures);
    metrics_read_gauge(metrics,
                       "kist_anti_entropy_last_success_timestamp_seconds",
                       "When the last comparison came to its end; 0: none yet.",
                       NULL, (struct metric_source){last_comparison, cluster});
    metrics_counter(metrics, "kist_anti_entropy_leaves_total",
                    "Parts of partitions that differed.", NULL, &stats->leaves);
    metrics_counter(metrics, name, help, "at=\"here\"", &stats->fetched);
    metrics_counter(metrics, name, help, "at=\"there\"", &stats->pushed);
}

static double change_age(void *ctx)
{
    const struct cluster_stats *stats = cluster_stats(ctx);
    double now_ms = (double)(clock_mono_ns() / 1000000);

    if (gauge_read(&stats->pending) == 0)
        return 0;
    return (now_ms - (double)gauge_read(&stats->since_ms)) / 1e3;
}

static void add_change(struct metrics *metrics, struct cluster *cluster)
{
    const struct cluster_stats *stats = cluster_stats(cluster);
    const struct transfer_stats *transfer = stats->transfer;
    const char *name = "kist_transfer_partitions";
    const char *help = "Partitions that a change of the members moves here.";

    metrics_gauge(metrics, "kist_cluster_epoch",
                  "Number of the ring: each change of the members takes two.",
                  NULL, &stats->epoch);
    metrics_gauge(metrics, "kist_cluster_change_pending",
                  "Whether a change of the members is under way.", NULL,
                  &stats->pending);
    metrics_counter(metrics, "kist_cluster_unwatched_rings_total",
                    "Rings of which a member is not counted on: no memory.",
                    NULL, &stats->unwatched);
    metrics_read_gauge(metrics, "kist_cluster_change_seconds",
                       "How long it has been, as this node knows; 0: none.",
                       NULL, (struct metric_source){change_age, cluster});
    metrics_gauge(metrics, name, help, "state=\"all\"", &transfer->total);
    metrics_gauge(metrics, name, help, "state=\"done\"", &transfer->done);
    metrics_counter(metrics, "kist_transfer_looks_total",
                    "Partitions fetched from one of their owners.", NULL,
                    &transfer->looks);
    metrics_counter(metrics, "kist_transfer_records_total",
                    "Records fetched because the members change.", NULL,
                    &transfer->fetched);
    metrics_counter(metrics, "kist_transfer_bytes_total", "Bytes of these.",
                    NULL, &transfer->bytes);
    metrics_counter(metrics, "kist_transfer_failures_total",
                    "Sources that stopped answering, or are not ready yet.",
                    NULL, &transfer->failures);
}

static double floor_time(void *ctx)
{
    return (double)gauge_read(&cluster_stats(ctx)->floor->floor_ms) / 1e3;
}

static void add_floor(struct metrics *metrics, struct cluster *cluster)
{
    const struct floor_stats *stats = cluster_stats(cluster)->floor;

    metrics_read_gauge(metrics, "kist_floor_timestamp_seconds",
                       "What is dead and older than this is collected.", NULL,
                       (struct metric_source){floor_time, cluster});
    metrics_counter(metrics, "kist_floor_raised_total",
                    "How often that time went on.", NULL, &stats->raised);
    metrics_counter(metrics, "kist_purged_records_total",
                    "Deletions and expired records collected.", NULL,
                    &stats->purged);
}

void cluster_metrics_init(struct metrics *metrics, struct cluster *cluster)
{
    add_node(metrics, cluster);
    add_peers(metrics, cluster);
    add_messages(metrics, cluster);
    add_files(metrics, cluster);
    add_quorums(metrics, cluster);
    add_hints(metrics, cluster);
    add_entropy(metrics, cluster);
    add_change(metrics, cluster);
    add_floor(metrics, cluster);
}
