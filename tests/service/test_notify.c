#include "service/notify.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A manager's socket at path ("@": abstract); *out_size is its name's. */
static int listen_at(const char *path)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                 strlen(path) + (path[0] == '/'));
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    strcpy(where.sun_path, path);
    if (path[0] == '@')
        where.sun_path[0] = '\0';
    cr_assert_eq(bind(manager, (struct sockaddr *)&where, size), 0);
    return manager;
}

static void expect_told(int manager, const char *expected)
{
    char text[128] = "";
    ssize_t got = recv(manager, text, sizeof(text) - 1, 0);

    cr_assert_gt(got, 0, "%s", expected);
    cr_assert_eq(strncmp(text, expected, strlen(expected)), 0, "%s", text);
}

static void expect_all_states_at(const char *path)
{
    char variable[256];
    char *envp[] = {"PATH=/bin", variable, NULL};
    int manager = listen_at(path);
    struct notify notify;

    snprintf(variable, sizeof(variable), "NOTIFY_SOCKET=%s", path);
    cr_assert_eq(notify_open(envp, &notify), KIST_OK);
    cr_assert_eq(notify.watchdog_ms, 0);
    cr_assert_eq(notify_send(&notify, NOTIFY_READY), KIST_OK);
    cr_assert_eq(notify_send(&notify, NOTIFY_RELOADING), KIST_OK);
    cr_assert_eq(notify_send(&notify, NOTIFY_WATCHDOG), KIST_OK);
    cr_assert_eq(notify_send(&notify, NOTIFY_STOPPING), KIST_OK);
    expect_told(manager, "READY=1");
    expect_told(manager, "RELOADING=1\nMONOTONIC_USEC=");
    expect_told(manager, "WATCHDOG=1");
    expect_told(manager, "STOPPING=1");

    close(manager);
    cr_assert_eq(notify_send(&notify, NOTIFY_READY), KIST_IO);
    notify_close(&notify);
}

Test(notify, tells_a_manager_at_a_path)
{
    char directory[] = "/tmp/kist-notify-XXXXXX";
    char path[64];

    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/socket", directory);
    expect_all_states_at(path);
    unlink(path);
    rmdir(directory);
}

Test(notify, tells_a_manager_in_the_abstract_name_space)
{
    char path[64];

    snprintf(path, sizeof(path), "@kist-notify-%ld", (long)getpid());
    expect_all_states_at(path);
}

Test(notify, tells_nobody_when_there_is_no_manager)
{
    char *envp[] = {"NOTIFY_SOCKETS=/x", NULL};
    struct notify notify;

    cr_assert_eq(notify_open(envp, &notify), KIST_OK);
    cr_assert_eq(notify_send(&notify, NOTIFY_READY), KIST_OK);
    notify_close(&notify);
}

Test(notify, refuses_what_cannot_be_a_socket)
{
    char *relative[] = {"NOTIFY_SOCKET=run/socket", NULL};
    char *watchdog[] = {"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=soon", NULL};
    char long_path[200] = "NOTIFY_SOCKET=/";
    char *too_long[] = {long_path, NULL};
    struct notify notify;

    memset(long_path + 15, 'x', 150);
    cr_assert_eq(notify_open(relative, &notify), KIST_INVALID);
    cr_assert_eq(notify_open(watchdog, &notify), KIST_INVALID);
    cr_assert_eq(notify_open(too_long, &notify), KIST_INVALID);
    cr_assert_eq(notify_send(&notify, NOTIFY_READY), KIST_OK);
}

Test(notify, wants_a_sign_of_life_twice_as_often_as_the_manager)
{
    char pid[64];
    char *ours[] = {"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=30000000", pid, NULL};
    char *another[] = {"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=30000000",
                       "WATCHDOG_PID=1", NULL};
    struct notify notify;

    snprintf(pid, sizeof(pid), "WATCHDOG_PID=%ld", (long)getpid());
    cr_assert_eq(notify_open(ours, &notify), KIST_OK);
    cr_assert_eq(notify.watchdog_ms, 15000);
    notify_close(&notify);
    cr_assert_eq(notify_open(another, &notify), KIST_OK);
    cr_assert_eq(notify.watchdog_ms, 0);
    notify_close(&notify);
}
