#include "service/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
    struct signals_hooks hooks;
    int descriptor; /* A signalfd, or -1. */
    struct loop_watch *watch;
};

/* False: none is waiting. */
static bool take_one(struct signals *signals)
{
    struct signalfd_siginfo info;

    if (read(signals->descriptor, &info, sizeof(info)) != sizeof(info))
        return false;
    if (info.ssi_signo == SIGHUP)
        signals->hooks.reload(signals->hooks.ctx);
    else
        signals->hooks.stop(signals->hooks.ctx,
                            info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    return true;
}

void signals_take(struct signals *signals)
{
    while (take_one(signals))
        ;
}

static void on_signal(void *ctx, unsigned readiness)
{
    (void)readiness;
    signals_take(ctx);
}

static void block_all(void)
{
    sigset_t all;

    sigfillset(&all);
    /* A fault of our own must end the process, not wait. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int open_descriptor(void)
{
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    return signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
}

enum kist_status signals_open(struct loop *loop,
                              const struct signals_hooks *hooks,
                              struct signals **out_signals)
{
    struct signals *signals = calloc(1, sizeof(*signals));
    enum kist_status status = KIST_IO;

    if (signals == NULL)
        return KIST_NO_MEMORY;
    signals->hooks = *hooks;
    block_all();
    signals->descriptor = open_descriptor();
    if (signals->descriptor >= 0)
        status = loop_watch_open(loop, signals->descriptor, LOOP_READABLE,
                                 on_signal, signals, &signals->watch);
    if (status == KIST_OK)
        *out_signals = signals;
    else
        signals_close(signals);
    return status;
}

void signals_close(struct signals *signals)
{
    if (signals == NULL)
        return;
    loop_watch_close(signals->watch);
    if (signals->descriptor >= 0)
        close(signals->descriptor);
    free(signals);
}
