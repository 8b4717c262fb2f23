#include "api/copies.h"

#include "api/api.h"
#include "api/reply.h"
#include "replication/seat.h"

#include <inttypes.h>

static bool reply_unreadable(struct request *request, enum parameter parameter)
{
    reply_problem(request, PROBLEM_INVALID_PARAMETER,
                  "%s takes a number from 1, or one, quorum, all.",
                  parameter_name(parameter));
    return false;
}

/* What the parameter says, of so many; absent: *out stays. */
static bool read_number(struct request *request, enum parameter parameter,
                        unsigned of, uint64_t *out)
{
    struct view value = request->parameters[parameter];

    if (value.data == NULL)
        return true;
    if (view_is(value, "one"))
        *out = 1;
    else if (view_is(value, "quorum"))
        *out = of / 2 + 1;
    else if (view_is(value, "all"))
        *out = of;
    else if (!view_to_u64(value, out) || *out == 0)
        return reply_unreadable(request, parameter);
    return true;
}

/* One node. */

static bool is_one(struct request *request, enum parameter parameter)
{
    uint64_t number = 1;

    if (!read_number(request, parameter, 1, &number))
        return false;
    if (number == 1)
        return true;
    reply_member_number(request, "limit", 1);
    reply_problem(request, PROBLEM_UNPROCESSABLE,
                  "%s=%" PRIu64 " needs as many nodes, and this node stands "
                  "alone: 1 is the most.",
                  parameter_name(parameter), number);
    return false;
}

/* A cluster. */

static bool is_member(struct request *request)
{
    const struct seat *seat = request->api_loop->seat;

    if (seat->ring != NULL && seat->is_member)
        return true;
    reply_problem(request, PROBLEM_TOO_FEW,
                  seat->ring == NULL
                      ? "This node has no part in its cluster yet: it waits "
                        "for the other members. Try again."
                      : "This node is no member of its cluster. Ask another "
                        "one.");
    return false;
}

/* The ring says how many copies there are, whatever a node was started with. */
static struct copies defaults_of(const struct request *request)
{
    const struct quorum_defaults *defaults = &request->api->quorum;
    unsigned n = request->api_loop->seat->ring->copies;
    unsigned most = n / 2 + 1;

    unsigned r = defaults->r != 0 ? defaults->r : most;
    unsigned w = defaults->w != 0 ? defaults->w : most;

    return (struct copies){n, r < n ? r : n, w < n ? w : n};
}

static bool reply_beyond(struct request *request, enum parameter parameter,
                         uint64_t number, unsigned limit)
{
    reply_member_number(request, "limit", limit);
    reply_problem(request, PROBLEM_INVALID_PARAMETER,
                  parameter == PARAMETER_N
                      ? "%s=%" PRIu64 ", but this cluster keeps %u copies of a "
                        "value."
                      : "%s=%" PRIu64 ", but %u copies take part in this "
                        "request.",
                  parameter_name(parameter), number, limit);
    return false;
}

static bool read_within(struct request *request, enum parameter parameter,
                        unsigned limit, unsigned *number)
{
    uint64_t read = *number < limit ? *number : limit;

    if (!read_number(request, parameter, limit, &read))
        return false;
    if (read > limit)
        return reply_beyond(request, parameter, read, limit);
    *number = (unsigned)read;
    return true;
}

bool copies_read(struct request *request, struct copies *out_copies)
{
    const struct seat *seat = request->api_loop->seat;

    *out_copies = (struct copies){1, 1, 1};
    if (seat == NULL)
        return is_one(request, PARAMETER_N) && is_one(request, PARAMETER_R) &&
               is_one(request, PARAMETER_W);
    if (!is_member(request))
        return false;
    *out_copies = defaults_of(request);
    return read_within(request, PARAMETER_N, seat->ring->copies,
                       &out_copies->n) &&
           read_within(request, PARAMETER_R, out_copies->n, &out_copies->r) &&
           read_within(request, PARAMETER_W, out_copies->n, &out_copies->w);
}

/*
 * Writes are acknowledged by w of all the key's copies, so by as many of its
 * first n as those behind them cannot have been.
 */
bool copies_after(struct request *request, struct copies *copies)
{
    struct copies defaults = defaults_of(request);
    unsigned others = copies->n < defaults.n ? defaults.n - copies->n : 0;

    if (defaults.w > others) {
        copies->w = defaults.w - others;
        return true;
    }
    reply_member_number(request, "minimum", defaults.n - defaults.w + 1);
    reply_problem(request, PROBLEM_INVALID_PARAMETER,
                  "Kist-After needs n=%u at least: a write may be on none of "
                  "the first %u copies.",
                  defaults.n - defaults.w + 1, copies->n);
    return false;
}

bool copies_are_here(const struct request *request, unsigned n)
{
    const struct seat *seat = request->api_loop->seat;
    const struct ring *ring = seat->ring;
    const uint16_t *owners =
        ring_owners_of(ring, ring_partition_of(ring, request->key));

    for (unsigned i = 0; i < n; i++)
        if (ring->members[owners[i]].incarnation == seat->env->self)
            return true;
    return false;
}

void copies_write_receipt(struct request *request, const struct copies *copies,
                          unsigned acked)
{
    reply_header(request, "Kist-Receipt", "n=%u, w=%u, acked=%u", copies->n,
                 copies->w, acked);
}

void copies_read_receipt(struct request *request, const struct copies *copies,
                         unsigned answers)
{
    reply_header(request, "Kist-Receipt", "n=%u, r=%u, answers=%u", copies->n,
                 copies->r, answers);
}
