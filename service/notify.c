#include "service/notify.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The value of name in envp, or NULL. */
static const char *find(char *const *envp, const char *name)
{
    size_t size = strlen(name);

    for (; *envp != NULL; envp++)
        if (strncmp(*envp, name, size) == 0 && (*envp)[size] == '=')
            return *envp + size + 1;
    return NULL;
}

/* "@name" is in the abstract name space: its first byte is zero. */
static bool set_path(struct notify *notify, const char *path)
{
    size_t size = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || size < 2 ||
        size >= sizeof(notify->where.sun_path))
        return false;
    notify->where.sun_family = AF_UNIX;
    memcpy(notify->where.sun_path, path, size);
    if (path[0] == '@')
        notify->where.sun_path[0] = '\0';
    notify->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size +
                               (path[0] == '/'));
    return true;
}

/* The watchdog may be meant for our parent: then its process is not ours. */
static bool set_watchdog(struct notify *notify, const char *usec,
                         const char *pid)
{
    uint64_t number;

    if (usec == NULL)
        return true;
    if (pid != NULL) {
        if (!view_to_u64(view_of(pid), &number))
            return false;
        if (number != (uint64_t)getpid())
            return true;
    }
    if (!view_to_u64(view_of(usec), &number) || number < 2000)
        return false;
    notify->watchdog_ms = number / 2000;
    return true;
}

enum kist_status notify_open(char *const *envp, struct notify *out_notify)
{
    const char *path = find(envp, "NOTIFY_SOCKET");
    struct notify notify = {.socket = -1};

    *out_notify = notify;
    if (path == NULL || path[0] == '\0')
        return KIST_OK;
    if (!set_path(&notify, path) ||
        !set_watchdog(&notify, find(envp, "WATCHDOG_USEC"),
                      find(envp, "WATCHDOG_PID")))
        return KIST_INVALID;

    notify.socket =
        socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify.socket < 0)
        return KIST_IO;
    *out_notify = notify;
    return KIST_OK;
}

void notify_close(struct notify *notify)
{
    if (notify->socket >= 0)
        close(notify->socket);
    notify->socket = -1;
}

enum kist_status notify_send(const struct notify *notify,
                             enum notify_state state)
{
    char text[64];

    if (notify->socket < 0)
        return KIST_OK;
    switch (state) {
    case NOTIFY_READY:
        strcpy(text, "READY=1");
        break;
    case NOTIFY_RELOADING:
        /* Newer managers tell by the time which reload this answers. */
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
                 (unsigned long long)(clock_mono_ns() / 1000));
        break;
    case NOTIFY_STOPPING:
        strcpy(text, "STOPPING=1");
        break;
    case NOTIFY_WATCHDOG:
        strcpy(text, "WATCHDOG=1");
        break;
    }

    size_t size = strlen(text);
    ssize_t sent =
        sendto(notify->socket, text, size, MSG_NOSIGNAL,
               (const struct sockaddr *)&notify->where, notify->size);
    return sent == (ssize_t)size ? KIST_OK : KIST_IO;
}

void notify_tell(const struct notify *notify, enum notify_state state,
                 struct log *log)
{
    if (notify_send(notify, state) != KIST_OK)
        log_why(log, LOG_WARN, "notify.failed",
                "the service manager could not be told");
}
