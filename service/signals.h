/*
 * signals - SIGTERM, SIGINT and SIGHUP as events of a loop.
 *
 * They come by descriptor only. A thread inherits the mask of the one that
 * starts it, so this is opened before any other thread is.
 *
 * Threads: the loop's, or the one that opens before it runs.
 */
#ifndef KIST_SERVICE_SIGNALS_H
#define KIST_SERVICE_SIGNALS_H

#include "base/loop.h"

struct signals;

/* On the loop, once a signal. */
struct signals_hooks {
    void *ctx;
    void (*stop)(void *ctx, const char *signal); /* SIGTERM or SIGINT. */
    void (*reload)(void *ctx);                   /* SIGHUP. */
};

/* The caller ends *out_signals with signals_close(). KIST_IO, _NO_MEMORY. */
KIST_CHECKED enum kist_status signals_open(struct loop *loop,
                                           const struct signals_hooks *hooks,
                                           struct signals **out_signals);

/* Call the hooks for what has come, once the loop has ended. */
void signals_take(struct signals *signals);

/* The mask stays: a late signal must not end what is being closed. NULL is ok.
 */
void signals_close(struct signals *signals);

#endif
