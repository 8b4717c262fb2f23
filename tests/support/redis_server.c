#include "tests/support/redis_server.h"

#include "base/clock.h"
#include "tests/support/give_up.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FLAGS_MAX 48
#define START_NS  UINT64_C(20000000000)

static bool takes(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken =
        bind(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(descriptor);
    return taken;
}

uint16_t redis_server_free_port(void)
{
    for (int i = 0; i < 1000; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof(address);
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint16_t port;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(descriptor, (struct sockaddr *)&address, size) != 0 ||
            getsockname(descriptor, (struct sockaddr *)&address, &size) != 0)
            give_up("no port: %s", strerror(errno));
        close(descriptor);
        port = ntohs(address.sin_port);
        if (port < 60000 && takes((uint16_t)(port + 1000)))
            return port;
    }
    give_up("no two free ports");
}

static _Noreturn void become_redis(const struct redis_server *server,
                                   const char *const flags[])
{
    char port[8];
    const char *arguments[FLAGS_MAX] = {
        "redis-server",
        "--port",
        port,
        "--bind",
        "127.0.0.1",
        "--dir",
        server->directory,
        "--unixsocket",
        server->socket,
        "--save",
        "",
        "--logfile",
        "redis.log",
        "--daemonize",
        "no",
    };
    size_t n = 15;
    int none = open("/dev/null", O_RDWR);

    snprintf(port, sizeof(port), "%u", server->port);
    for (size_t i = 0; flags != NULL && flags[i] != NULL; i++)
        arguments[n++] = flags[i];
    if (none < 0 || dup2(none, 0) < 0 || dup2(none, 1) < 0 || dup2(none, 2) < 0)
        _exit(126);
    closefrom(3);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp("redis-server", (char **)(void *)arguments);
    _exit(127);
}

static int reach(const struct redis_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->socket);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

const char *redis_server_ask(const struct redis_server *server,
                             const char *command)
{
    static char answer[4096];
    int descriptor = reach(server);
    size_t size = 0;
    char *end = NULL;

    answer[0] = '\0';
    if (descriptor < 0)
        return answer;
    dprintf(descriptor, "%s\r\n", command);
    while (end == NULL && size + 1 < sizeof(answer)) {
        ssize_t got =
            recv(descriptor, answer + size, sizeof(answer) - 1 - size, 0);

        if (got <= 0)
            break;
        size += (size_t)got;
        answer[size] = '\0';
        end = strstr(answer, "\r\n");
    }
    close(descriptor);
    if (end != NULL)
        *end = '\0';
    return answer;
}

static void await(struct redis_server *server)
{
    uint64_t end_ns = clock_mono_ns() + START_NS;
    int status;

    while (strcmp(redis_server_ask(server, "PING"), "+PONG") != 0) {
        if (waitpid(server->pid, &status, WNOHANG) == server->pid)
            give_up("redis-server ended by itself, see %s/redis.log",
                    server->directory);
        if (clock_mono_ns() > end_ns)
            give_up("redis-server does not answer");
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

void redis_server_restart(struct redis_server *server,
                          const char *const flags[])
{
    unlink(server->socket);
    server->pid = fork();
    if (server->pid < 0)
        give_up("fork: %s", strerror(errno));
    if (server->pid == 0)
        become_redis(server, flags);
    await(server);
}

void redis_server_start(struct redis_server *server, const char *directory,
                        uint16_t port, const char *const flags[])
{
    *server = (struct redis_server){.port = port};
    snprintf(server->directory, sizeof(server->directory), "%s", directory);
    snprintf(server->socket, sizeof(server->socket), "%s/redis.sock",
             directory);
    redis_server_restart(server, flags);
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}
