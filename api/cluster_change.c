#include "api/cluster_change.h"

#include "api/api.h"
#include "api/cluster_moves.h"
#include "api/cluster_pages.h"
#include "api/json_page.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/cluster_plan.h"
#include "service/settings_peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A request, while home has it. */
struct cluster_change {
    struct cluster_plan_ask ask;
    struct request *request;
};

static void free_change(void *work)
{
    struct cluster_change *change = work;

    ring_free(change->ask.ring);
    free(change);
}

/* Answers. */

static enum problem problem_of(enum cluster_plan_verdict verdict)
{
    switch (verdict) {
    case CLUSTER_PLAN_NONE:
        return PROBLEM_NO_PLAN;
    case CLUSTER_PLAN_PENDING:
    case CLUSTER_PLAN_REFUSED:
        return PROBLEM_CHANGE_PENDING;
    case CLUSTER_PLAN_OUTDATED:
        return PROBLEM_PLAN_OUTDATED;
    case CLUSTER_PLAN_NO_MEMBER:
    case CLUSTER_PLAN_MEMBER:
    case CLUSTER_PLAN_TOO_FEW:
    case CLUSTER_PLAN_TOO_MANY:
    case CLUSTER_PLAN_SILENT:
    case CLUSTER_PLAN_OTHER:
    case CLUSTER_PLAN_TAKEN:
        return PROBLEM_UNPROCESSABLE;
    case CLUSTER_PLAN_OUTSIDE:
        return PROBLEM_TOO_FEW;
    case CLUSTER_PLAN_UNKNOWN:
        return PROBLEM_OUTCOME_UNKNOWN;
    case CLUSTER_PLAN_GOOD:
    case CLUSTER_PLAN_BUSY:
        break;
    }
    return PROBLEM_BUSY;
}

static const char *advice_of(enum cluster_plan_verdict verdict)
{
    switch (verdict) {
    case CLUSTER_PLAN_NONE:
        return "Nothing is drafted at this node, and no change is pending: "
               "POST /cluster/plan drafts one.";
    case CLUSTER_PLAN_PENDING:
        return "A change of the members is pending, and there is one at a "
               "time: wait for its end (GET /cluster/transfers) or give it up "
               "(DELETE /cluster/plan).";
    case CLUSTER_PLAN_REFUSED:
        return "Another change was decided on at the same time: look at GET "
               "/cluster/plan, and draft anew.";
    case CLUSTER_PLAN_OUTDATED:
        return "The plan is not the one that this node has now, or the "
               "members changed since: draft it again, here.";
    case CLUSTER_PLAN_NO_MEMBER:
        return "Who is to leave is no member; GET /cluster names them.";
    case CLUSTER_PLAN_MEMBER:
        return "Its name, its address or its data is a member's already; a "
               "node with new data joins under a new name.";
    case CLUSTER_PLAN_TOO_FEW:
        return "Fewer members than copies of a value would be left: let "
               "another one join first, or replace this one.";
    case CLUSTER_PLAN_TOO_MANY:
        return "There are as many members as a cluster can have.";
    case CLUSTER_PLAN_SILENT:
        return "Nobody answers as a member would at that address: start the "
               "node there, with --join and the cluster's secret.";
    case CLUSTER_PLAN_OTHER:
        return "The node at that address has another --node-id.";
    case CLUSTER_PLAN_TAKEN:
        return "The node at that address belongs to another cluster, or "
               "founds one: start it with --join and an empty data directory.";
    case CLUSTER_PLAN_OUTSIDE:
        return "This node is no member of its cluster. Ask another one.";
    case CLUSTER_PLAN_UNKNOWN:
        return "Too few members answered to know whether the change was "
               "decided on: GET /cluster/plan tells.";
    case CLUSTER_PLAN_GOOD:
    case CLUSTER_PLAN_BUSY:
        break;
    }
    return "The node is busy with another change. Try again.";
}

static void reply_ring(struct request *request, const struct cluster_change *it)
{
    unsigned code = it->ask.wish == CLUSTER_PLAN_COMMIT ? 202 : 200;

    json_page_reply(
        request, code,
        cluster_moves_page(it->ask.ring, it->ask.plan, request->api->store));
}

static void on_done(struct cluster_plan_ask *ask)
{
    struct cluster_change *it = OWNER(ask, struct cluster_change, ask);
    struct request *request = it->request;

    if (ask->verdict != CLUSTER_PLAN_GOOD)
        reply_problem(request, problem_of(ask->verdict), "%s",
                      advice_of(ask->verdict));
    else if (ask->ring != NULL)
        reply_ring(request, it);
    else
        reply_empty(request, 204);
}

/* Asking. */

/* NULL: it was answered. */
static struct cluster_change *begin(struct request *request,
                                    enum cluster_plan_wish wish)
{
    struct cluster_change *it;

    if (cluster_pages_cluster(request) == NULL)
        return NULL;
    it = calloc(1, sizeof(*it));
    if (it == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The plan was not looked at");
        return NULL;
    }
    it->request = request;
    it->ask.wish = wish;
    it->ask.done = on_done;
    request->work = it;
    request->work_free = free_change;
    return it;
}

static void submit(struct cluster_change *it)
{
    cluster_plan_ask(it->request->api_loop->cluster, &it->ask);
}

void cluster_change_look(struct request *request)
{
    struct cluster_change *it = begin(request, CLUSTER_PLAN_LOOK);

    if (it != NULL)
        submit(it);
}

void cluster_change_abort(struct request *request)
{
    struct cluster_change *it = begin(request, CLUSTER_PLAN_ABORT);

    if (it != NULL)
        submit(it);
}

static bool read_hex(struct view text, uint64_t *out_number)
{
    uint64_t number = 0;

    if (text.size == 0 || text.size > 16)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit =
            text.data[i] != '\0' ? strchr(digits, text.data[i]) : NULL;

        if (digit == NULL)
            return false;
        number = number << 4 | (uint64_t)(digit - digits);
    }
    *out_number = number;
    return true;
}

void cluster_change_commit(struct request *request)
{
    struct cluster_change *it = begin(request, CLUSTER_PLAN_COMMIT);

    if (it == NULL)
        return;
    if (read_hex(request->parameters[PARAMETER_PLAN], &it->ask.id))
        submit(it);
    else
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "plan= is the \"plan\" that POST /cluster/plan "
                      "answered.");
}

/* What a draft is to be. */

static bool read_name(const json_t *value, char *out_name)
{
    return json_is_string(value) &&
           settings_peers_parse_name((struct view){json_string_value(value),
                                                   json_string_length(value)},
                                     out_name) == NULL;
}

/* name=host:port */
static bool read_peer(const json_t *value, struct cluster_plan_ask *ask)
{
    static_assert(SETTINGS_NAME_SIZE == sizeof(ask->joining), "the same names");
    static_assert(SETTINGS_PEER_ADDRESS_SIZE == sizeof(ask->address),
                  "the same addresses");
    struct settings_peer peer;

    if (!json_is_string(value) ||
        settings_peers_parse_one(
            (struct view){json_string_value(value), json_string_length(value)},
            &peer) != NULL)
        return false;
    memcpy(ask->joining, peer.name, sizeof(ask->joining));
    memcpy(ask->address, peer.address, sizeof(ask->address));
    return true;
}

static bool read_wish(const json_t *document, struct cluster_plan_ask *ask)
{
    const json_t *join = json_object_get(document, "join");
    const json_t *leave = json_object_get(document, "leave");
    const json_t *replace = json_object_get(document, "replace");
    const json_t *with = json_object_get(document, "with");

    if (json_object_size(document) == 1 && join != NULL)
        return read_peer(join, ask);
    if (json_object_size(document) == 1 && leave != NULL)
        return read_name(leave, ask->leaving);
    return json_object_size(document) == 2 && replace != NULL && with != NULL &&
           read_name(replace, ask->leaving) && read_peer(with, ask);
}

void cluster_change_draft(struct request *request)
{
    struct cluster_change *it = begin(request, CLUSTER_PLAN_DRAFT);
    json_t *document;

    if (it == NULL)
        return;
    document = json_loadb(request->body.data, request->body.size,
                          JSON_REJECT_DUPLICATES, NULL);
    if (read_wish(document, &it->ask))
        submit(it);
    else
        reply_problem(request, PROBLEM_INVALID_JSON,
                      "The body is one of {\"join\": \"NAME=HOST:PORT\"}, "
                      "{\"leave\": \"NAME\"} and {\"replace\": \"NAME\", "
                      "\"with\": \"NAME=HOST:PORT\"}.");
    json_decref(document);
}
