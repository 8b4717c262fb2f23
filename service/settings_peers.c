#include "service/settings_peers.h"

#include <string.h>

#define RECORD_MOST (UINT64_C(4) << 20)

static bool is_letter_or_digit(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

const char *settings_peers_parse_name(struct view text,
                                      char out_name[SETTINGS_NAME_SIZE])
{
    if (text.size == 0)
        return "has an empty name";
    if (text.size >= SETTINGS_NAME_SIZE)
        return "has a name of more than 63 characters";
    for (size_t i = 0; i < text.size; i++)
        if (!is_letter_or_digit(text.data[i]) &&
            (text.data[i] == '\0' || strchr(".-_", text.data[i]) == NULL))
            return "has a name with other characters than letters, digits, "
                   "dots, dashes and _";
    memcpy(out_name, text.data, text.size);
    out_name[text.size] = '\0';
    return NULL;
}

/* A name for the resolver, an IPv4 address, or an IPv6 one in brackets. */
static bool is_host(struct view host)
{
    bool brackets =
        host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';

    if (host.size == 0)
        return false;
    if (brackets)
        host = (struct view){host.data + 1, host.size - 2};
    for (size_t i = 0; i < host.size; i++)
        if (!is_letter_or_digit(host.data[i]) &&
            (host.data[i] == '\0' ||
             strchr(brackets ? ":." : ".-_", host.data[i]) == NULL))
            return false;
    return true;
}

static const char *parse_address(struct view text,
                                 char out[SETTINGS_PEER_ADDRESS_SIZE])
{
    const char *colon =
        text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    uint64_t port;

    if (colon == NULL)
        return "has a peer without a port";
    if (text.size >= SETTINGS_PEER_ADDRESS_SIZE)
        return "has an address of more than 255 characters";

    size_t host_size = (size_t)(colon - text.data);
    if (!view_to_u64(view_from(text, host_size + 1), &port) || port == 0 ||
        port > UINT16_MAX)
        return "has a port that is not 1 to 65535";
    if (!is_host((struct view){text.data, host_size}))
        return "has a host that is neither a name nor an address";
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return NULL;
}

/* name=host:port */
const char *settings_peers_parse_one(struct view text,
                                     struct settings_peer *out_peer)
{
    const char *equals =
        text.size == 0 ? NULL : memchr(text.data, '=', text.size);

    if (equals == NULL)
        return "has a peer that is not name=host:port";

    struct view name = {text.data, (size_t)(equals - text.data)};
    const char *problem = settings_peers_parse_name(name, out_peer->name);
    if (problem == NULL)
        problem =
            parse_address(view_from(text, name.size + 1), out_peer->address);
    return problem;
}

static const char *parse_host(struct view text, struct settings_peer *out_peer)
{
    out_peer->name[0] = '\0';
    return parse_address(text, out_peer->address);
}

typedef const char *parse_one(struct view text, struct settings_peer *out_peer);

static const char *add_peer(struct settings_peers *peers, struct view text,
                            parse_one *parse)
{
    struct settings_peer *peer = &peers->peers[peers->count];
    const char *problem;

    if (peers->count == SETTINGS_PEERS)
        return "has more than 100 members";
    problem = parse(text, peer);
    if (problem != NULL)
        return problem;
    for (size_t i = 0; i < peers->count; i++) {
        if (peer->name[0] != '\0' &&
            strcmp(peers->peers[i].name, peer->name) == 0)
            return "has the same name twice";
        if (strcmp(peers->peers[i].address, peer->address) == 0)
            return "has the same address twice";
    }
    peers->count++;
    return NULL;
}

static const char *parse_list(struct view text, parse_one *parse,
                              struct settings_peers *out_peers)
{
    struct settings_peers peers = {.count = 0};
    struct view part;

    while (view_cut_part(&text, &part)) {
        const char *problem = add_peer(&peers, view_trim(part), parse);

        if (problem != NULL)
            return problem;
    }
    *out_peers = peers;
    return NULL;
}

const char *settings_peers_parse(struct view text,
                                 struct settings_peers *out_peers)
{
    return parse_list(text, settings_peers_parse_one, out_peers);
}

const char *settings_peers_parse_hosts(struct view text,
                                       struct settings_peers *out_hosts)
{
    return parse_list(text, parse_host, out_hosts);
}

void settings_peers_print(const struct settings_peers *peers,
                          struct blob *out_text)
{
    if (peers->count == 0)
        blob_append_text(out_text, "none");
    for (size_t i = 0; i < peers->count; i++)
        blob_printf(out_text, "%s%s%s%s", i > 0 ? "," : "",
                    peers->peers[i].name,
                    peers->peers[i].name[0] != '\0' ? "=" : "",
                    peers->peers[i].address);
}

/* What fits. */

static bool is_member(const struct settings *settings)
{
    for (size_t i = 0; i < settings->peers.count; i++)
        if (strcmp(settings->peers.peers[i].name, settings->node_id) == 0)
            return true;
    return false;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 ||
           strncmp(address, "localhost:", 10) == 0 ||
           strncmp(address, "[::1]:", 6) == 0;
}

static bool are_loopback(const struct settings_peers *peers)
{
    for (size_t i = 0; i < peers->count; i++)
        if (!is_loopback(peers->peers[i].address))
            return false;
    return true;
}

static bool all_loopback(const struct settings *settings)
{
    if (!are_loopback(&settings->peers) || !are_loopback(&settings->join))
        return false;
    for (size_t i = 0; i < settings->peer_listen.count; i++) {
        struct blob text = BLOB_EMPTY;

        address_print(&settings->peer_listen.addresses[i], &text);
        blob_append_byte(&text, '\0');
        bool inside = !text.failed && is_loopback(text.data);
        blob_free(&text);
        if (!inside)
            return false;
    }
    return true;
}

static bool has_sane_numbers(const struct settings *settings, struct blob *why)
{
    unsigned long long replicas = settings->replicas;

    if (settings->peers.count > 0 && replicas > settings->peers.count) {
        blob_printf(why,
                    "replicas %llu is above the number of peers, %zu: each "
                    "copy needs a member of its own",
                    replicas, settings->peers.count);
        return false;
    }
    if (settings->read_quorum > replicas || settings->write_quorum > replicas) {
        bool reads = settings->read_quorum > replicas;

        blob_printf(why,
                    "%s-quorum %llu is above replicas %llu: it could never be "
                    "reached",
                    reads ? "read" : "write",
                    (unsigned long long)(reads ? settings->read_quorum
                                               : settings->write_quorum),
                    replicas);
        return false;
    }
    return true;
}

/* What lies in one record has to fit into one message. */
static bool has_sane_sizes(const struct settings *settings, struct blob *why)
{
    bool json = settings->max_json_bytes > RECORD_MOST;

    if (!json && settings->inline_bytes <= RECORD_MOST)
        return true;
    blob_printf(why, "%s is above 4MiB, the most that members send each other",
                json ? "max-json-bytes" : "inline-bytes");
    return false;
}

/* Is it clear who this node is? */
static bool has_sane_name(const struct settings *settings, struct blob *why)
{
    if (settings->node_id[0] == '\0') {
        blob_append_text(why, "peers or join is given without node-id, which "
                              "says which member this node is");
        return false;
    }
    if (settings->peers.count == 0 || is_member(settings))
        return true;
    blob_printf(why, "node-id %s is not one of peers ", settings->node_id);
    settings_peers_print(&settings->peers, why);
    return false;
}

bool settings_peers_fit(const struct settings *settings, struct blob *why)
{
    if (!settings_are_of_cluster(settings)) {
        if (settings->node_id[0] == '\0')
            return true;
        blob_append_text(why, "node-id is given without peers or join; "
                              "without them this would be a node alone");
        return false;
    }
    if (settings->peers.count > 0 && settings->join.count > 0) {
        blob_append_text(why, "peers and join are both given; peers begins a "
                              "cluster, join waits to be taken into one");
        return false;
    }
    if (!has_sane_name(settings, why))
        return false;
    if (settings->peer_secret_file[0] == '\0' && !all_loopback(settings)) {
        blob_append_text(why, "peer-secret-file is needed where members are "
                              "reached over a network");
        return false;
    }
    if (settings->accept_data_loss) {
        blob_append_text(why, "accept-data-loss is not for a member of a "
                              "cluster: it would count as a copy of what it "
                              "has lost; replace it");
        return false;
    }
    return has_sane_numbers(settings, why) && has_sane_sizes(settings, why);
}
