/*
 * health - GET /livez and GET /readyz.
 *
 * Alive is whoever answers. Ready is a node that is not stopping and whose
 * checks all hold: engine, disk, commit queue, clock (registered in struct
 * api by service/main.c).
 */
#ifndef KIST_API_HEALTH_H
#define KIST_API_HEALTH_H

#include <stdbool.h>

struct request;

struct health_check {
    const char *name; /* "engine" */
    void *ctx;        /* Kept. */
    /*
     * On any loop, several at once; must not block. *out_why, where it is
     * false, is a literal that says what is wrong.
     */
    bool (*holds)(void *ctx, const char **out_why);
    /* Or NULL. What is worth knowing while it holds; a literal. */
    const char *(*note)(void *ctx);
};

void health_livez(struct request *request);
void health_readyz(struct request *request);

#endif
