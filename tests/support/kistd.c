#include "tests/support/kistd.h"

#include "base/clock.h"
#include "tests/support/give_up.h"
#include "tests/support/http.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A sanitized build on a busy machine starts in several seconds. */
enum { START_S = 30, STOP_S = 15, FLAGS_MAX = 32 };

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool later_than(uint64_t start_ns, uint64_t seconds)
{
    return clock_mono_ns() - start_ns > seconds * UINT64_C(1000000000);
}

static void log_path(const struct kistd *kistd, char path[static 128])
{
    snprintf(path, 128, "%s/log.%u", kistd->directory, kistd->starts);
}

static struct blob read_all(const char *path)
{
    struct blob all = BLOB_EMPTY;
    char piece[4096];
    FILE *file = fopen(path, "r");

    if (file == NULL)
        give_up("cannot read %s: %s", path, strerror(errno));
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        blob_append(&all, (struct view){piece, n});
    fclose(file);
    return all;
}

struct blob kistd_log(const struct kistd *kistd)
{
    char path[128];

    log_path(kistd, path);
    return read_all(path);
}

/* The next whole line of *rest, without its end; false: none left. */
static bool next_line(struct view *rest, struct view *out_line)
{
    const char *end =
        rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;

    if (end == NULL)
        return false;
    *out_line = (struct view){rest->data, (size_t)(end - rest->data)};
    *rest = view_from(*rest, out_line->size + 1);
    return true;
}

/*
 * A kill may cut the last line in two, so only whole lines count; after an
 * orderly end there must be no such rest.
 */
static void check_log(const struct kistd *kistd, bool orderly)
{
    struct blob log = kistd_log(kistd);
    struct view rest = blob_view(&log);
    struct view line;

    while (next_line(&rest, &line)) {
        json_t *object =
            json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_object(object))
            give_up("kistd wrote to stderr, not as a log line: %.*s",
                    (int)(line.size + rest.size), line.data);
        json_decref(object);
    }
    if (orderly && rest.size > 0)
        give_up("kistd's log ends within a line: %.*s", (int)rest.size,
                rest.data);
    blob_free(&log);
}

void kistd_prepare(struct kistd *kistd, const char *parent)
{
    const char *temporary = getenv("TMPDIR");

    if (parent == NULL)
        parent = temporary != NULL ? temporary : "/tmp";
    *kistd = (struct kistd){0};
    if ((size_t)snprintf(kistd->directory, sizeof kistd->directory,
                         "%s/kistd-XXXXXX",
                         parent) >= sizeof kistd->directory ||
        mkdtemp(kistd->directory) == NULL)
        give_up("no directory below %s: %s", parent, strerror(errno));
}

static _Noreturn void become_kistd(const struct kistd *kistd,
                                   const char *const flags[], int log)
{
    const char *program = getenv("KISTD");
    const char *arguments[FLAGS_MAX] = {"kistd", "--listen", "127.0.0.1:0",
                                        "--data"};
    size_t n = 4;
    char data[128];

    snprintf(data, sizeof data, "%s/data", kistd->directory);
    arguments[n++] = data;
    for (size_t i = 0; flags != NULL && flags[i] != NULL; i++)
        arguments[n++] = flags[i];

    int none = open("/dev/null", O_RDWR);
    if (none < 0 || dup2(none, 0) < 0 || dup2(none, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    closefrom(3);
    /* The automatic ballast is written at each first start: 160 MiB. */
    setenv("KIST_BALLAST_BYTES", "1MiB", 0);
    setenv("KIST_WRITE_BUFFER_BYTES", "4MiB", 0);
    /* Whatever the machine has: loops must meet each other. */
    setenv("KIST_LOOPS", "2", 0);
    /* The exec's parent may have ended before this line. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(program != NULL ? program : KISTD_BUILT, (char **)(void *)arguments);
    _exit(127);
}

/* The port behind the last colon of "address", 0 if line is not `event`. */
static bool read_event(struct view line, const char *event, uint16_t *out_port)
{
    json_t *object = json_loadb(line.data, line.size, 0, NULL);
    const char *name = json_string_value(json_object_get(object, "event"));
    const char *address = json_string_value(json_object_get(object, "address"));
    bool found = name != NULL && strcmp(name, event) == 0;
    const char *colon = address != NULL ? strrchr(address, ':') : NULL;

    if (found && colon != NULL)
        *out_port = (uint16_t)strtoul(colon + 1, NULL, 10);
    json_decref(object);
    return found;
}

static bool is_ready(struct kistd *kistd)
{
    struct blob log = kistd_log(kistd);
    struct view rest = blob_view(&log);
    struct view line;
    uint16_t ignored = 0;
    bool ready = false;

    while (next_line(&rest, &line)) {
        read_event(line, "listening", &kistd->port);
        ready = ready || read_event(line, "ready", &ignored);
    }
    blob_free(&log);
    return ready && kistd->port != 0;
}

static void show_log(const struct kistd *kistd)
{
    struct blob log = kistd_log(kistd);

    fprintf(stderr, "%.*s", (int)log.size, log.data);
    blob_free(&log);
}

void kistd_spawn(struct kistd *kistd, const char *const flags[])
{
    char path[128];

    kistd->starts++;
    kistd->port = 0;
    log_path(kistd, path);
    int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (log < 0)
        give_up("cannot create %s: %s", path, strerror(errno));
    kistd->pid = fork();
    if (kistd->pid < 0)
        give_up("fork: %s", strerror(errno));
    if (kistd->pid == 0)
        become_kistd(kistd, flags, log);
    close(log);
}

/*
 * With KIST_REDIS_NODES it does not wait for Redis: here it is waited for, and
 * the connection that a read makes.
 */
static void await_redis(struct kistd *kistd)
{
    uint64_t start_ns = clock_mono_ns();
    struct http_answer answer = {0};
    struct http http;

    http_open(&http, kistd->port);
    do {
        nap();
        http_ask(&http, "GET /kv/none", "", (struct view){0}, &answer);
    } while (answer.status == 503 && !later_than(start_ns, START_S));
    http_close(&http);
    http_answer_free(&answer);
    nap();
    kistd->sockets = kistd_sockets(kistd) + 2;
    kistd->rss_kib = kistd_rss_kib(kistd);
}

bool kistd_try_start(struct kistd *kistd, const char *const flags[],
                     int *out_status)
{
    uint64_t start_ns = clock_mono_ns();

    kistd_spawn(kistd, flags);
    while (!is_ready(kistd)) {
        if (waitpid(kistd->pid, out_status, WNOHANG) == kistd->pid) {
            kistd->pid = 0;
            return false;
        }
        if (later_than(start_ns, START_S)) {
            show_log(kistd);
            give_up("kistd is not ready after %d s", START_S);
        }
        nap();
    }
    kistd->sockets = kistd_sockets(kistd);
    kistd->descriptors = kistd_descriptors(kistd);
    kistd->rss_kib = kistd_rss_kib(kistd);
    if (getenv("KIST_REDIS_NODES") != NULL)
        await_redis(kistd);
    return true;
}

void kistd_start(struct kistd *kistd, const char *const flags[])
{
    int status = 0;

    if (kistd_try_start(kistd, flags, &status))
        return;
    show_log(kistd);
    give_up("kistd ended with status 0x%x instead of starting",
            (unsigned)status);
}

int kistd_end(struct kistd *kistd)
{
    uint64_t start_ns = clock_mono_ns();
    int status = 0;

    while (waitpid(kistd->pid, &status, WNOHANG) == 0) {
        if (later_than(start_ns, STOP_S)) {
            show_log(kistd);
            kill(kistd->pid, SIGKILL);
            give_up("kistd did not end within %d s", STOP_S);
        }
        nap();
    }
    kistd->pid = 0;
    check_log(kistd, true);
    if (!WIFEXITED(status))
        give_up("kistd died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

int kistd_stop(struct kistd *kistd)
{
    if (kistd->pid == 0)
        return 0;
    kill(kistd->pid, SIGTERM);
    return kistd_end(kistd);
}

void kistd_kill(struct kistd *kistd)
{
    int status = 0;

    if (kistd->pid == 0)
        return;
    kill(kistd->pid, SIGKILL);
    waitpid(kistd->pid, &status, 0);
    kistd->pid = 0;
    check_log(kistd, false);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        show_log(kistd);
        give_up("kistd had ended by itself, status 0x%x", (unsigned)status);
    }
}

static int remove_one(const char *path, const struct stat *what, int kind,
                      struct FTW *place)
{
    (void)what;
    (void)kind;
    (void)place;
    return remove(path);
}

void kistd_remove(struct kistd *kistd)
{
    if (kistd->pid != 0) {
        kill(kistd->pid, SIGKILL);
        waitpid(kistd->pid, NULL, 0);
        kistd->pid = 0;
    }
    nftw(kistd->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool kistd_runs(const struct kistd *kistd)
{
    siginfo_t end = {0};

    return kistd->pid != 0 &&
           waitid(P_PID, (id_t)kistd->pid, &end, WEXITED | WNOHANG | WNOWAIT) ==
               0 &&
           end.si_pid == 0;
}

/* Open descriptors whose link begins with kind ("" for all). */
static size_t count_descriptors(const struct kistd *kistd, const char *kind)
{
    char path[64], link[64];
    size_t count = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", kistd->pid);
    DIR *directory = opendir(path);
    if (directory == NULL)
        give_up("cannot read %s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        ssize_t n =
            readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1);

        if (n < 0)
            continue; /* ".", "..", or closed meanwhile. */
        link[n] = '\0';
        count += strncmp(link, kind, strlen(kind)) == 0;
    }
    closedir(directory);
    return count;
}

size_t kistd_sockets(const struct kistd *kistd)
{
    return count_descriptors(kistd, "socket:");
}

size_t kistd_descriptors(const struct kistd *kistd)
{
    return count_descriptors(kistd, "");
}

/* A number of /proc/<pid>/status. */
static size_t status_number(const struct kistd *kistd, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/status", kistd->pid);
    struct blob status = read_all(path);
    blob_append_byte(&status, '\0');
    const char *at = strstr(status.data, name);
    size_t number = at != NULL ? strtoul(at + strlen(name), NULL, 10) : 0;
    blob_free(&status);
    return number;
}

size_t kistd_rss_kib(const struct kistd *kistd)
{
    return status_number(kistd, "\nVmRSS:");
}

size_t kistd_threads(const struct kistd *kistd)
{
    return status_number(kistd, "\nThreads:");
}

bool kistd_is_sanitized(const struct kistd *kistd)
{
    /* The shadow of every sanitizer spans terabytes of address space. */
    return status_number(kistd, "\nVmSize:") > (size_t)1 << 30;
}
