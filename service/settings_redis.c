#include "service/settings_redis.h"

#include "service/settings_table.h"

#include <string.h>

/* Of a value; all of it is in memory, here and there. */
#define LARGEST_VALUE (UINT64_C(16) << 20)

static const char *add_node(struct settings_redis_nodes *nodes,
                            struct view text)
{
    struct redis_address *node = &nodes->nodes[nodes->count];

    if (nodes->count == SETTINGS_REDIS_NODES)
        return "has more than 32 nodes";
    if (!redis_address_read(text, node))
        return "has a node that is neither host:port nor the path of a socket";
    for (size_t i = 0; i < nodes->count; i++)
        if (redis_address_equal(&nodes->nodes[i], node))
            return "has the same node twice";
    nodes->count++;
    return NULL;
}

const char *settings_redis_parse(struct view text,
                                 struct settings_redis_nodes *out_nodes)
{
    struct settings_redis_nodes nodes = {.count = 0};
    struct view part;

    while (view_cut_part(&text, &part)) {
        const char *problem = add_node(&nodes, view_trim(part));

        if (problem != NULL)
            return problem;
    }
    *out_nodes = nodes;
    return NULL;
}

void settings_redis_print(const struct settings_redis_nodes *nodes,
                          struct blob *out_text)
{
    if (nodes->count == 0)
        blob_append_text(out_text, "none");
    for (size_t i = 0; i < nodes->count; i++) {
        if (i > 0)
            blob_append_byte(out_text, ',');
        redis_address_print(&nodes->nodes[i], out_text);
    }
}

void settings_redis_adjust(struct settings *settings)
{
    size_t row = settings_table_row_at(offsetof(struct settings, inline_bytes));

    if (settings->engine == ENGINE_REDIS &&
        settings->origins[row].source == SETTINGS_DEFAULT)
        settings->inline_bytes = LARGEST_VALUE;
}

bool settings_redis_fit(const struct settings *settings, struct blob *why)
{
    bool is_redis = settings->engine == ENGINE_REDIS;
    const char *problem = NULL;

    if (!is_redis && settings->redis_nodes.count > 0)
        problem = "redis-nodes is given without engine redis";
    else if (is_redis && settings->redis_nodes.count == 0)
        problem = "engine redis is given without redis-nodes";
    else if (is_redis &&
             (settings->peers.count > 0 || settings->join.count > 0))
        problem = "engine redis is given together with peers: Redis keeps the "
                  "copies then, or the members do, not both";
    else if (settings->redis_user[0] != '\0' &&
             settings->redis_password_file[0] == '\0')
        problem = "redis-user is given without redis-password-file";
    if (problem != NULL)
        blob_append_text(why, problem);
    return problem == NULL;
}
