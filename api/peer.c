#include "api/peer.h"

#include "api/api.h"
#include "api/client_address.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/cluster_loop.h"

#include <stdlib.h>
#include <string.h>

/* Outlives its request if the peer goes away before the answer. */
struct peer_call {
    struct replica_caller caller;
    struct request *request; /* NULL: nobody waits any more. */
};

/* Takes as long whatever the guess has right. */
static bool is_equal(struct view guess, const char *secret)
{
    unsigned char differs = 0;

    if (guess.size != strlen(secret))
        return false;
    for (size_t i = 0; i < guess.size; i++)
        differs |= (unsigned char)(guess.data[i] ^ secret[i]);
    return differs == 0;
}

static bool shows_secret(const struct request *request)
{
    static const char scheme[] = "Bearer ";
    struct view shown = request->headers[HEADER_AUTHORIZATION];
    const char *secret = cluster_secret(request->api->cluster);

    if (secret[0] == '\0')
        return true;
    return view_starts_with(shown, VIEW_LITERAL(scheme)) &&
           is_equal(view_from(shown, sizeof(scheme) - 1), secret);
}

/* A member with another secret, or somebody who should not be here. */
static void log_stranger(const struct request *request)
{
    struct log_line line =
        log_begin(request->api->log, LOG_WARN, "peer.unauthorized");
    char client[CLIENT_ADDRESS_SIZE];

    log_text(&line, "client", client_address(request, client));
    log_text(&line, "why",
             view_of("the secret is not the one of peer-secret-file"));
    log_end(&line);
}

bool peer_is_trusted(struct request *request)
{
    if (shows_secret(request))
        return true;
    log_stranger(request);
    reply_header_literal(request, "WWW-Authenticate", "Bearer");
    reply_empty(request, 401);
    return false;
}

static void on_answer(struct replica_caller *caller, struct view answer)
{
    struct peer_call *call = OWNER(caller, struct peer_call, caller);
    struct request *request = call->request;
    struct blob copy = BLOB_EMPTY;

    free(call);
    if (request == NULL)
        return;
    request->detach = NULL;
    request->work = NULL;
    blob_append(&copy, answer);
    if (copy.size == 0 || copy.failed) {
        blob_free(&copy);
        reply_problem(request, PROBLEM_BUSY, "There is no answer now.");
        return;
    }
    reply_bytes(request, 200, "application/octet-stream", &copy,
                blob_view(&copy));
}

static void on_detach(struct request *request)
{
    struct peer_call *call = request->work;

    call->request = NULL;
}

void peer_receive(struct request *request)
{
    struct peer_call *call;

    if (!peer_is_trusted(request))
        return;
    call = malloc(sizeof(*call));
    if (call == NULL) {
        reply_problem(request, PROBLEM_BUSY, "There is no memory now.");
        return;
    }
    *call = (struct peer_call){{on_answer}, request};
    request->work = call;
    request->detach = on_detach;
    cluster_loop_receive(request->api_loop->cluster, request->body,
                         &call->caller);
}
