/*
 * main - kistd: the parts of a node, from start to stop.
 *
 * The main thread runs a loop of its own for signals, the disk check of each
 * second and the expiry sweep; HTTP runs on the server's loops. A start takes
 * the parts up in order, a stop takes them down in the opposite one, and what
 * failed half-way is the same as a stop.
 */
#include "api/api.h"
#include "api/server.h"
#include "base/loop.h"
#include "service/file_limit.h"
#include "service/healthcheck.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/notify.h"
#include "service/process.h"
#include "service/readiness.h"
#include "service/settings.h"
#include "service/settings_page.h"
#include "service/storage_metrics.h"
#include "service/version.h"
#include "service/waiters.h"
#include "storage/commit.h"
#include "storage/store.h"
#include "storage/sweep.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EXIT_SETTINGS     78 /* EX_CONFIG: deploy/kistd.service knows it. */
#define EXIT_STORAGE      74 /* EX_IOERR: a restart recovers. */
#define CHECK_INTERVAL_MS 1000
#define STOP_POLL_MS      5
#define HEALTHCHECK_MS    5000

struct node {
    struct settings_input input;
    struct settings settings;
    struct log *log;
    struct notify notify;

    struct store *store;
    struct commit *commit;
    struct waiters *waiters;
    struct metrics *metrics;
    struct process process;
    struct readiness readiness;
    struct storage_metrics storage_metrics;
    struct health_check checks[4];
    struct api api;
    struct server *server;

    /* The main loop and what lives on it. */
    struct loop *loop;
    struct commit_lane *lane;
    struct sweep *sweep;
    int signals; /* A signalfd, or -1. */
    struct loop_watch *signal_watch;
    struct loop_timer *check_timer;
    struct loop_timer *watchdog_timer;
    struct loop_timer *stop_timer;
    struct loop_work check;
    bool checking;
    bool stopping;
};

static void log_why(struct node *node, enum log_level level, const char *event,
                    const char *why)
{
    struct log_line line = log_begin(node->log, level, event);

    log_text(&line, "why", view_of(why));
    log_end(&line);
}

static void tell_manager(struct node *node, enum notify_state state)
{
    if (notify_send(&node->notify, state) != KIST_OK)
        log_why(node, LOG_WARN, "notify.failed",
                "the service manager could not be told");
}

/* Storage. */

static void store_moved(void *ctx, enum store_state from, enum store_state to,
                        const char *why)
{
    struct node *node = ctx;
    struct log_line line =
        log_begin(node->log, to == STORE_READ_WRITE ? LOG_INFO : LOG_ERROR,
                  "store.moved");

    log_text(&line, "from", view_of(store_state_name(from)));
    log_text(&line, "to", view_of(store_state_name(to)));
    log_text(&line, "why", view_of(why));
    log_end(&line);
}

/* Not exit(): nothing may be flushed or closed on top of a failed sync. */
static void store_failed(void *ctx, const char *why)
{
    log_why(ctx, LOG_ERROR, "store.failed", why);
    _exit(EXIT_STORAGE);
}

static enum kist_status open_store(struct node *node)
{
    const struct settings *settings = &node->settings;
    struct store_options options = {
        .path = settings->data,
        .engine =
            {
                .write_buffer_bytes = settings->write_buffer_bytes,
                .block_cache_bytes = settings->block_cache_bytes,
                .max_open_files = (unsigned)settings->max_open_files,
                .accept_data_loss = settings->accept_data_loss,
            },
        .reserve_bytes = settings->disk_reserve_bytes,
        .ballast_bytes = settings->ballast_bytes,
    };
    struct store_hooks hooks = {node, store_moved, store_failed};
    struct engine_fault fault = {{0}};
    enum kist_status status =
        store_open(&options, &hooks, &fault, &node->store);

    if (status != KIST_OK)
        log_why(node, LOG_ERROR, "start.refused",
                fault.text[0] != '\0' ? fault.text : kist_status_name(status));
    else if (fault.text[0] != '\0')
        log_why(node, LOG_WARN, "store.recovered", fault.text);
    return status;
}

static void key_changed(void *ctx, struct view key)
{
    struct node *node = ctx;

    waiters_changed(node->waiters, key);
}

static enum kist_status open_commit(struct node *node)
{
    struct commit_options options = {
        .queue_bytes = node->settings.commit_queue_bytes,
        .ctx = node,
        .changed = key_changed,
    };
    enum kist_status status =
        waiters_open(node->settings.max_waiters, &node->waiters);

    if (status == KIST_OK)
        status = commit_open(node->store, &options, &node->commit);
    return status;
}

/* The main loop. */

static void run_check(struct loop_work *work)
{
    struct node *node =
        (struct node *)((char *)work - offsetof(struct node, check));

    store_check(node->store);
}

static void check_done(struct loop_work *work)
{
    struct node *node =
        (struct node *)((char *)work - offsetof(struct node, check));

    node->checking = false;
    if (!node->stopping)
        loop_timer_set(node->check_timer, CHECK_INTERVAL_MS);
}

static void start_check(void *ctx)
{
    struct node *node = ctx;

    node->check = (struct loop_work){run_check, check_done};
    node->checking = loop_work(node->loop, &node->check) == KIST_OK;
    if (!node->checking)
        loop_timer_set(node->check_timer, CHECK_INTERVAL_MS);
}

static void feed_watchdog(void *ctx)
{
    struct node *node = ctx;

    tell_manager(node, NOTIFY_WATCHDOG);
    loop_timer_set(node->watchdog_timer, node->notify.watchdog_ms);
}

static void turn_end(void *ctx)
{
    struct node *node = ctx;

    if (node->lane != NULL)
        commit_lane_flush(node->lane);
}

/* Goes on until nothing of the main loop is under way, then ends its run. */
static void finish_stop(void *ctx)
{
    struct node *node = ctx;

    if (node->checking || !sweep_idle(node->sweep) ||
        !commit_lane_idle(node->lane))
        loop_timer_set(node->stop_timer, STOP_POLL_MS);
    else
        loop_stop(node->loop);
}

static void begin_stop(struct node *node, const char *why)
{
    if (node->stopping) {
        log_why(node, LOG_WARN, "stop.forced", "told to stop a second time");
        _exit(EXIT_FAILURE);
    }
    node->stopping = true;
    atomic_store(&node->api.stopping, true); /* /readyz is 503 from here. */
    log_why(node, LOG_INFO, "stopping", why);
    tell_manager(node, NOTIFY_STOPPING);
    sweep_stop(node->sweep);
    loop_timer_stop(node->check_timer);
    finish_stop(node);
}

static void setting_changed(void *ctx, const char *name, struct view from,
                            struct view to, enum settings_effect effect)
{
    struct node *node = ctx;
    struct log_line line = log_begin(
        node->log, LOG_INFO,
        effect == SETTINGS_APPLIED ? "setting.changed" : "setting.pending");

    log_text(&line, "setting", view_of(name));
    log_text(&line, "from", from);
    log_text(&line, "to", to);
    if (effect == SETTINGS_NEEDS_RESTART)
        log_text(&line, "why", VIEW_LITERAL("it takes a restart"));
    log_end(&line);
}

static void reload(struct node *node)
{
    struct settings_hooks hooks = {node, setting_changed};
    struct blob why = BLOB_EMPTY;

    tell_manager(node, NOTIFY_RELOADING);
    if (settings_reload(&node->input, &node->settings, &hooks, &why) !=
        KIST_OK) {
        struct log_line line =
            log_begin(node->log, LOG_ERROR, "reload.refused");

        log_text(&line, "why", blob_view(&why));
        log_end(&line);
    } else {
        log_set_level(node->log, node->settings.log_level);
        log_set_access(node->log, node->settings.access_log ? LOG_ACCESS_ON
                                                            : LOG_ACCESS_OFF);
        log_why(node, LOG_INFO, "reloaded", "SIGHUP");
    }
    blob_free(&why);
    tell_manager(node, NOTIFY_READY);
}

static void on_signal(void *ctx, unsigned readiness)
{
    struct node *node = ctx;
    struct signalfd_siginfo info;

    (void)readiness;
    if (read(node->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP)
        reload(node);
    else
        begin_stop(node, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* Every thread inherits the mask: signals come by descriptor only. */
static enum kist_status open_signals(struct node *node)
{
    sigset_t all, ours;

    sigfillset(&all);
    /* A fault of our own must end the process, not wait. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);

    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    node->signals = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    return node->signals >= 0 ? KIST_OK : KIST_IO;
}

static enum kist_status open_timers(struct node *node)
{
    enum kist_status status =
        loop_watch_open(node->loop, node->signals, LOOP_READABLE, on_signal,
                        node, &node->signal_watch);

    if (status == KIST_OK)
        status =
            loop_timer_open(node->loop, start_check, node, &node->check_timer);
    if (status == KIST_OK)
        status =
            loop_timer_open(node->loop, finish_stop, node, &node->stop_timer);
    if (status == KIST_OK && node->notify.watchdog_ms > 0)
        status = loop_timer_open(node->loop, feed_watchdog, node,
                                 &node->watchdog_timer);
    if (status != KIST_OK)
        return status;
    loop_timer_set(node->check_timer, CHECK_INTERVAL_MS);
    if (node->watchdog_timer != NULL)
        loop_timer_set(node->watchdog_timer, 0);
    return KIST_OK;
}

static enum kist_status open_main_loop(struct node *node)
{
    enum kist_status status = loop_open("kist-main", &node->loop);

    if (status == KIST_OK) {
        loop_on_turn_end(node->loop, turn_end, node);
        status = commit_lane_open(node->commit, node->loop, &node->lane);
    }
    if (status == KIST_OK)
        status = sweep_open(node->store, node->loop, node->lane,
                            node->settings.durability,
                            node->settings.sweep_rate, &node->sweep);
    if (status == KIST_OK)
        status = open_timers(node);
    return status;
}

/* HTTP. */

static enum kist_status http_loop_begin(struct api_loop *api_loop)
{
    struct api *api = api_loop->api;
    enum kist_status status =
        commit_lane_open(api->commit, api_loop->loop, &api_loop->lane);

    if (status != KIST_OK)
        return status;
    status = waiters_room_open(api->waiters, api_loop->loop, &api_loop->room);
    if (status != KIST_OK)
        commit_lane_close(api_loop->lane);
    return status;
}

static void http_loop_turn_end(struct api_loop *api_loop)
{
    commit_lane_flush(api_loop->lane);
}

static void http_loop_end(struct api_loop *api_loop)
{
    waiters_room_close(api_loop->room);
    commit_lane_close(api_loop->lane);
}

static size_t count_loops(const struct settings *settings)
{
    cpu_set_t cores;

    if (settings->loops > 0)
        return (size_t)settings->loops;
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
        return 1;
    return (size_t)CPU_COUNT(&cores);
}

static void fill_api(struct node *node)
{
    struct readiness *readiness = &node->readiness;

    *readiness = (struct readiness){node->store, node->commit, &node->settings};
    node->checks[0] =
        (struct health_check){"engine", readiness, readiness_engine};
    node->checks[1] = (struct health_check){"disk", readiness, readiness_disk};
    node->checks[2] = (struct health_check){"commit_queue", readiness,
                                            readiness_commit_queue};
    node->checks[3] =
        (struct health_check){"clock", readiness, readiness_clock};
    node->api = (struct api){
        .settings = &node->settings,
        .log = node->log,
        .metrics = node->metrics,
        .store = node->store,
        .commit = node->commit,
        .waiters = node->waiters,
        .loops = count_loops(&node->settings),
        .checks = node->checks,
        .checks_count = sizeof(node->checks) / sizeof(node->checks[0]),
        .loop_begin = http_loop_begin,
        .turn_end = http_loop_turn_end,
        .loop_end = http_loop_end,
    };
}

static enum kist_status open_metrics(struct node *node)
{
    enum kist_status status = metrics_open(&node->metrics);

    if (status != KIST_OK)
        return status;
    process_init(&node->process, node->metrics, version_text());
    storage_metrics_init(&node->storage_metrics, node->metrics, node->store,
                         node->commit, node->settings.commit_queue_bytes);
    storage_metrics_add_sweep(node->metrics, node->sweep);
    metrics_gauge(node->metrics, "kist_waiting_requests",
                  "Requests that wait for a key to change.", NULL,
                  waiters_count(node->waiters));
    return KIST_OK;
}

static void log_listeners(struct node *node)
{
    for (size_t i = 0; i < node->settings.listen.count; i++) {
        struct log_line line = log_begin(node->log, LOG_INFO, "listening");
        struct address address = node->settings.listen.addresses[i];
        struct blob text = BLOB_EMPTY;

        address_set_port(&address, server_port(node->server, i));
        address_print(&address, &text);
        log_text(&line, "address", blob_view(&text));
        log_end(&line);
        blob_free(&text);
    }
}

static enum kist_status open_server(struct node *node)
{
    struct server_fault fault = {{0}};
    enum kist_status status;

    fill_api(node);
    status = server_open(&node->api, &fault, &node->server);
    if (status != KIST_OK)
        log_why(node, LOG_ERROR, "start.refused", fault.text);
    return status;
}

/* From start to stop. */

static void close_node(struct node *node)
{
    server_close(node->server);
    loop_watch_close(node->signal_watch);
    loop_timer_close(node->check_timer);
    loop_timer_close(node->stop_timer);
    loop_timer_close(node->watchdog_timer);
    sweep_close(node->sweep);
    commit_close(node->commit);
    commit_lane_close(node->lane);
    loop_close(node->loop);
    metrics_close(node->metrics);
    waiters_close(node->waiters);
    store_close(node->store);
    if (node->signals >= 0)
        close(node->signals);
    notify_close(&node->notify);
    log_close(node->log);
}

static enum kist_status open_node(struct node *node)
{
    enum kist_status status = open_signals(node);

    if (status == KIST_OK)
        status = open_store(node);
    if (status == KIST_OK)
        status = open_commit(node);
    if (status == KIST_OK)
        status = open_main_loop(node);
    if (status == KIST_OK)
        status = open_metrics(node);
    if (status == KIST_OK)
        status = open_server(node);
    return status;
}

static int serve(struct node *node)
{
    enum kist_status status = open_node(node);
    bool drained;

    if (status != KIST_OK) {
        log_why(node, LOG_ERROR, "start.failed", kist_status_name(status));
        close_node(node);
        return EXIT_FAILURE;
    }
    log_listeners(node);
    log_why(node, LOG_INFO, "ready", version_text());
    tell_manager(node, NOTIFY_READY);
    loop_run(node->loop);

    drained = server_drain(node->server, node->settings.shutdown_grace_ms);
    log_why(node, LOG_INFO, "stopped",
            drained ? "all requests were answered"
                    : "some requests were cut off");
    close_node(node);
    return EXIT_SUCCESS;
}

static int print_page(const struct settings *settings)
{
    struct blob page = BLOB_EMPTY;
    bool printed;

    settings_page_print(settings, &page);
    printed = !page.failed &&
              fwrite(page.data, 1, page.size, stdout) == page.size &&
              fflush(stdout) == 0;
    blob_free(&page);
    return printed ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int check_health(const struct settings *settings)
{
    struct blob line = BLOB_EMPTY;
    enum kist_status status =
        healthcheck_run(&settings->listen.addresses[0], HEALTHCHECK_MS, &line);

    printf("%.*s\n", (int)line.size, line.data);
    blob_free(&line);
    return status == KIST_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int refuse(const struct blob *why)
{
    fprintf(stderr, "kistd: %.*s\n", (int)why->size,
            why->size > 0 ? why->data : "");
    return EXIT_SETTINGS;
}

static enum kist_status prepare_process(struct node *node, struct blob *why)
{
    uint64_t limit = 0;
    enum kist_status status = file_limit_raise(&limit);

    if (status == KIST_OK)
        status = file_limit_check(&node->settings, limit, why);
    if (status == KIST_OK)
        status =
            log_open(STDERR_FILENO, node->settings.log_level,
                     node->settings.access_log ? LOG_ACCESS_ON : LOG_ACCESS_OFF,
                     &node->log);
    if (status == KIST_OK)
        status = notify_open(node->input.envp, &node->notify);
    return status;
}

int main(int argc, char *argv[], char *envp[])
{
    static struct node node = {.signals = -1, .notify.socket = -1};
    struct blob why = BLOB_EMPTY;
    int code = EXIT_FAILURE;

    node.input =
        (struct settings_input){argc, argv, envp, NULL, settings_read_file};
    if (settings_parse(&node.input, &node.settings, &why) != KIST_OK) {
        code = refuse(&why);
        blob_free(&why);
        return code;
    }
    switch (node.settings.action) {
    case SETTINGS_SERVE:
        if (prepare_process(&node, &why) == KIST_OK)
            code = serve(&node);
        else
            code = refuse(&why);
        break;
    case SETTINGS_HEALTHCHECK:
        code = check_health(&node.settings);
        break;
    case SETTINGS_CHECK_CONFIG:
    case SETTINGS_HELP:
    case SETTINGS_VERSION:
    case SETTINGS_PRINT_REFERENCE:
    case SETTINGS_PRINT_EXAMPLE:
        code = print_page(&node.settings);
        break;
    }
    blob_free(&why);
    return code;
}
