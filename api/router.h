/*
 * router - the list of what we serve: one row a method and path.
 *
 * The query parameters a row names are all it accepts; the size a client may
 * send stands beside it. tests/api compares the table with openapi.yaml.
 *
 * HEAD and OPTIONS have no rows: HEAD runs the row of GET, whose bytes then
 * stay here, and OPTIONS is answered from the table itself (api/exchange.c).
 *
 * The table is api/routes.c, alone in its file: a test brings its own.
 */
#ifndef KIST_API_ROUTER_H
#define KIST_API_ROUTER_H

#include "api/request.h"

enum body_rule {
    BODY_NONE,  /* A body is refused: 400. */
    BODY_VALUE, /* --max-json-bytes if JSON, else --max-value-bytes; what is
                   larger than --inline-bytes goes to a file. */
    BODY_PIECE, /* The same limits, but in memory: --max-batch-bytes, too. */
    BODY_PATCH, /* --max-json-bytes. */
    BODY_BATCH, /* --max-batch-bytes. */
    BODY_LINES, /* Of any length: taken as they come (api/import.h). */
    BODY_FRAME, /* A peer's message: TRANSPORT_MESSAGE_MAX. */
};

enum route_rule {
    ROUTE_WRITES = 1,   /* Its problems carry `outcome`. */
    ROUTE_UNLOGGED = 2, /* Probes and scrapes: not in the access log. */
    ROUTE_ALWAYS = 4,   /* Answers while stopping and over limits. */
    ROUTE_PEERS = 8,    /* Served at --peer-listen, and only there. */
    ROUTE_ADMIN = 16,   /* Served at --admin-listen, and only there. */
    ROUTE_CHANGES = 32, /* As well; without --admin-listen where clients are. */
};

/* Where a connection came in. */
enum route_port {
    ROUTE_PORT_PUBLIC,
    ROUTE_PORT_SHARED, /* As well, and there is none for operators. */
    ROUTE_PORT_PEERS,
    ROUTE_PORT_ADMIN,
};

struct route {
    enum method method;
    const char *path;  /* "/kv/{key}": a key follows; else exact. */
    const char *label; /* For metrics and logs: "put_key". */
    enum body_rule body;
    unsigned rules;      /* An or of route_rule. */
    uint64_t parameters; /* A bit an enum parameter. */
    void (*handle)(struct request *request);

    /*
     * BODY_VALUE: asked as soon as a body is known to be large, before the
     * rest of it is read; BODY_LINES: before all of it. False: it has replied
     * why this request cannot succeed. NULL: any can.
     */
    bool (*admit)(struct request *request);
};

#define TAKES(parameter) (UINT64_C(1) << (parameter))

extern const struct route routes[];
extern const size_t routes_count;

enum route_match {
    ROUTE_FOUND,
    ROUTE_NO_PATH,   /* 404 */
    ROUTE_NO_METHOD, /* 405; *out_allowed is an or of 1 << method. */
};

/* path is raw, still percent-encoded, beginning with '/', without query. */
enum route_match route_find(enum route_port port, enum method method,
                            struct view path, const struct route **out_route,
                            unsigned *out_allowed);

/* What follows "/kv/", still encoded; data NULL where a row has no key. */
struct view route_key(const struct route *route, struct view path);

/* Every method that some row of the port takes, HEAD and OPTIONS too. */
unsigned route_all_methods(enum route_port port);

#endif
