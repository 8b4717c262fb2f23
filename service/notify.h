/*
 * notify - tells the service manager where the process stands (sd_notify).
 *
 * One datagram to the socket that $NOTIFY_SOCKET names; without one every call
 * does nothing. systemd's library would bring more than it saves.
 *
 * Threads: notify_send() and notify_tell() from any; they never block.
 */
#ifndef KIST_SERVICE_NOTIFY_H
#define KIST_SERVICE_NOTIFY_H

#include "base/status.h"
#include "service/log.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum notify_state {
    NOTIFY_READY,     /* Started, or done with reloading. */
    NOTIFY_RELOADING, /* SIGHUP is being handled; NOTIFY_READY ends it. */
    NOTIFY_STOPPING,
    NOTIFY_WATCHDOG, /* Alive; at least every watchdog_ms. */
};

struct notify {
    int socket; /* -1: nobody is to be told. */
    struct sockaddr_un where;
    socklen_t size;
    uint64_t watchdog_ms; /* Half of what the manager waits. 0: no watchdog. */
};

/*
 * From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID in envp. KIST_INVALID:
 * they are there but make no sense; KIST_IO: no socket. In both *out_notify is
 * one that tells nobody.
 */
KIST_CHECKED enum kist_status notify_open(char *const *envp,
                                          struct notify *out_notify);
void notify_close(struct notify *notify);

/* KIST_IO: the manager did not take it; nothing else depends on that. */
KIST_CHECKED enum kist_status notify_send(const struct notify *notify,
                                          enum notify_state state);

/* The same, where a warning in the log is all that can be done about it. */
void notify_tell(const struct notify *notify, enum notify_state state,
                 struct log *log);

#endif
