/*
 * node - the parts of a kistd, put together: a start takes them up in order,
 * a stop takes them down in the opposite one, and what failed half-way is the
 * same as a stop.
 *
 * The calling thread runs a loop of its own for signals and maintenance; HTTP
 * runs on the server's loops. Part of the program, as main.c: it sees every
 * layer, and no library holds it.
 */
#ifndef KIST_SERVICE_NODE_H
#define KIST_SERVICE_NODE_H

#include "service/log.h"
#include "service/notify.h"
#include "service/settings.h"

struct node;

struct node_start {
    const struct settings_input *input; /* All kept. SIGHUP reads it again. */
    struct settings *settings;
    struct log *log;
    const struct notify *notify;
};

/*
 * On failure the log says why. Signals are blocked from here on, and no thread
 * was started before. The caller ends *out_node with node_close().
 */
KIST_CHECKED enum kist_status node_open(const struct node_start *start,
                                        struct node **out_node);

/*
 * Serve until SIGTERM or SIGINT, then answer what is in flight within the
 * grace of the settings. A second one of them ends the process at once.
 */
void node_run(struct node *node);

void node_close(struct node *node); /* NULL is ok. */

#endif
