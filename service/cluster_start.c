#include "service/cluster_start.h"

#include <string.h>

enum { SECRET_MIN = 16 };

/* Lines of the log. */

static void on_founded(void *ctx, enum founding_state from,
                       enum founding_state to)
{
    bool bad = to == FOUNDING_STRANGER || to == FOUNDING_OUTSIDER;
    struct log_line line =
        log_begin(ctx, bad ? LOG_ERROR : LOG_INFO, "cluster.founding");

    log_text(&line, "from", view_of(founding_state_name(from)));
    log_text(&line, "to", view_of(founding_state_name(to)));
    log_end(&line);
}

static void on_member_moved(void *ctx, const char *name,
                            enum roll_standing from, enum roll_standing to)
{
    struct log_line line = log_begin(
        ctx, to == ROLL_ALIVE ? LOG_INFO : LOG_WARN, "cluster.member");

    log_text(&line, "member", view_of(name));
    log_text(&line, "from", view_of(roll_standing_name(from)));
    log_text(&line, "to", view_of(roll_standing_name(to)));
    log_end(&line);
}

static void on_clock_moved(void *ctx, enum fence_state from,
                           enum fence_state to)
{
    struct log_line line = log_begin(
        ctx, to == FENCE_OPEN ? LOG_INFO : LOG_ERROR, "cluster.clock");

    log_text(&line, "from", view_of(fence_state_name(from)));
    log_text(&line, "to", view_of(fence_state_name(to)));
    log_end(&line);
}

static void on_join_moved(void *ctx, struct view address, bool is_reached)
{
    struct log_line line =
        log_begin(ctx, is_reached ? LOG_INFO : LOG_WARN, "cluster.join");

    log_text(&line, "address", address);
    log_text(&line, "why",
             is_reached ? VIEW_LITERAL("reached; waits to be taken in: POST "
                                       "/cluster/plan at a member")
                        : VIEW_LITERAL("no member answers there"));
    log_end(&line);
}

static void on_adopted(void *ctx, const struct ring *ring)
{
    struct log_line line = log_begin(ctx, LOG_INFO, "cluster.ring");

    log_number(&line, "epoch", ring->epoch);
    log_number(&line, "members", ring->member_count);
    log_text(&line, "change",
             ring->next != NULL ? VIEW_LITERAL("pending")
                                : VIEW_LITERAL("none"));
    log_end(&line);
}

/* The secret. */

static bool is_secret(struct view text)
{
    if (text.size < SECRET_MIN || text.size > CLUSTER_START_SECRET_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

static struct view without_line_end(struct view text)
{
    while (text.size > 0 && (text.data[text.size - 1] == '\n' ||
                             text.data[text.size - 1] == '\r'))
        text.size--;
    return text;
}

static enum kist_status read_secret(struct cluster_start *start)
{
    const char *path = start->settings->peer_secret_file;
    struct blob text = BLOB_EMPTY;
    enum kist_status status;

    if (path[0] == '\0')
        return KIST_OK;
    status = settings_read_file(NULL, path, &text);
    if (status != KIST_OK)
        log_why(start->log, LOG_ERROR, "start.refused",
                "peer-secret-file cannot be read");

    struct view secret = without_line_end(blob_view(&text));
    if (status == KIST_OK && !is_secret(secret)) {
        log_why(start->log, LOG_ERROR, "start.refused",
                "peer-secret-file must hold one line of 16 to 256 printable "
                "characters without spaces");
        status = KIST_INVALID;
    }
    if (status == KIST_OK)
        memcpy(start->secret, secret.data, secret.size);
    blob_free(&text);
    return status;
}

/* Opening. */

static const char *why_not(enum kist_status status)
{
    if (status == KIST_INVALID)
        return "the members in peers, or replicas, are not those of the ring "
               "in this data directory";
    if (status == KIST_CORRUPT)
        return "the ring in this data directory is damaged; replace the node";
    return kist_status_name(status);
}

static enum kist_status open_cluster(struct cluster_start *start,
                                     struct cluster **out_cluster)
{
    const struct settings *settings = start->settings;
    struct ring_member members[SETTINGS_PEERS] = {0};
    struct cluster_hooks hooks = {start->log,      on_founded,
                                  on_member_moved, on_clock_moved,
                                  on_join_moved,   on_adopted};
    struct cluster_options options = {
        .home = start->home,
        .lane = start->lane,
        .store = start->store,
        .name = settings->node_id,
        .secret = start->secret,
        .members = members,
        .member_count = (unsigned)settings->peers.count,
        .copies = (unsigned)settings->replicas,
        .join = start->join,
        .join_count = (unsigned)settings->join.count,
        .clock_offset_ms = settings->clock_offset_ms,
        .hint_bytes = settings->hint_bytes,
        .hint_age_ms = settings->hint_age_ms,
        .write_timeout_ms = settings->write_timeout_ms,
        .anti_entropy_period_ms = settings->anti_entropy_period_ms,
        .transfer_bytes_per_s = settings->transfer_bytes_per_second,
        .grace_ms = settings->deletion_grace_ms,
        .queue_bytes = (size_t)settings->peer_queue_bytes / start->loops,
    };

    for (size_t i = 0; i < settings->peers.count; i++) {
        members[i].name = view_of(settings->peers.peers[i].name);
        members[i].address = view_of(settings->peers.peers[i].address);
    }
    for (size_t i = 0; i < settings->join.count; i++)
        start->join[i] = view_of(settings->join.peers[i].address);
    return cluster_open(&options, &hooks, out_cluster);
}

/* What the settings say that the ring on the disk says otherwise. */

static bool is_as_in(const struct ring *ring,
                     const struct settings_peers *peers)
{
    if (peers->count != ring->member_count)
        return false;
    for (size_t i = 0; i < peers->count; i++) {
        int number = ring_find(ring, view_of(peers->peers[i].name));

        if (number < 0 ||
            !view_is(ring->members[number].address, peers->peers[i].address))
            return false;
    }
    return true;
}

static void print_members(const struct ring *ring, struct blob *out)
{
    for (unsigned i = 0; i < ring->member_count; i++)
        blob_printf(out, "%s%.*s=%.*s", i > 0 ? "," : "",
                    (int)ring->members[i].name.size, ring->members[i].name.data,
                    (int)ring->members[i].address.size,
                    ring->members[i].address.data);
}

static void log_ignored(struct log *log, const char *setting,
                        const struct blob *ring)
{
    struct log_line line = log_begin(log, LOG_WARN, "cluster.ignored");

    log_text(&line, "setting", view_of(setting));
    log_text(&line, "ring", blob_view(ring));
    log_text(&line, "why",
             VIEW_LITERAL("the ring in the data directory decides, and "
                          "says otherwise"));
    log_end(&line);
}

static void compare(const struct cluster_start *start, const struct ring *ring)
{
    const struct settings *settings = start->settings;
    struct blob text = BLOB_EMPTY;

    if (settings->peers.count > 0 && !is_as_in(ring, &settings->peers)) {
        print_members(ring, &text);
        log_ignored(start->log, "peers", &text);
    }
    blob_clear(&text);
    if (ring->copies != settings->replicas) {
        blob_printf(&text, "%u", ring->copies);
        log_ignored(start->log, "replicas", &text);
    }
    blob_free(&text);
}

enum kist_status cluster_start_open(struct cluster_start *start,
                                    struct cluster **out_cluster)
{
    enum kist_status status = read_secret(start);

    if (status != KIST_OK)
        return status;
    status = open_cluster(start, out_cluster);
    if (status != KIST_OK)
        log_why(start->log, LOG_ERROR, "start.refused", why_not(status));
    else if (cluster_ring(*out_cluster) != NULL &&
             cluster_ring(*out_cluster)->epoch > 0)
        compare(start, cluster_ring(*out_cluster));
    return status;
}

bool cluster_start_is_ready(void *ctx, const char **out_why)
{
    const char *why = "";
    bool ready = false;

    switch (cluster_state(ctx)) {
    case FOUNDING_LISTENING:
        why = "not all members have been heard; see GET /cluster";
        break;
    case FOUNDING_VOTED:
        why = "not all members have voted for the first ring";
        break;
    case FOUNDING_MEMBER:
        why = "its clock was not confirmed by a majority of the members";
        ready = cluster_may_stamp(ctx);
        if (!ready || cluster_has_begun(ctx))
            break;
        why = "no majority of the members takes writes yet";
        ready = false;
        break;
    case FOUNDING_STRANGER:
        why = "the ring has this name with other data: replace the member";
        break;
    case FOUNDING_OUTSIDER:
        why = "this node is no member of the ring";
        break;
    case FOUNDING_CANDIDATE:
        why = "it waits to be taken in: POST /cluster/plan at a member";
        break;
    }
    *out_why = why;
    return ready;
}
