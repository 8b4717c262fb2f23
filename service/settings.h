/*
 * settings - what kistd was told, checked, in one plain struct.
 *
 * One table (service/settings_table.c) names every setting with its type,
 * default, limits and description. From it come the flag (--max-json-bytes),
 * the environment variable (KIST_MAX_JSON_BYTES), the line of the
 * configuration file (max-json-bytes = 1MiB), --help, --check-config and
 * docs/configuration.md. A flag wins over a variable, a variable over the
 * file, the file over the default. What is unknown, given twice, out of
 * limits or in conflict with another setting is refused with one line that
 * names it, where it came from, and what is allowed.
 *
 * Parsing is pure: arguments, environment and a way to read a file go in,
 * settings or that line come out.
 *
 * Threads: none of these calls touches anything but its arguments. The
 * running process reads one struct settings that nobody changes, save the
 * fields marked "reloads", which settings_reload() writes and only the thread
 * that calls it may read.
 */
#ifndef KIST_SERVICE_SETTINGS_H
#define KIST_SERVICE_SETTINGS_H

#include "base/bytes.h"
#include "base/status.h"
#include "service/address.h"
#include "service/log.h"
#include "storage/engine.h"
#include "storage/engine_kind.h"
#include "storage/redis_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SETTINGS_LISTENERS = 8,
    SETTINGS_PATH_SIZE = 4096,
    SETTINGS_MAX = 64, /* Rows the table may come to hold. */
    SETTINGS_NAME_SIZE = 64,
    SETTINGS_PEERS = 100,
    SETTINGS_PEER_ADDRESS_SIZE = 256,
    SETTINGS_REDIS_NODES = 32,
};

enum settings_source {
    SETTINGS_DEFAULT,
    SETTINGS_FILE,
    SETTINGS_ENVIRONMENT,
    SETTINGS_FLAG,
};

struct settings_origin {
    enum settings_source source;
    unsigned line; /* Of the file; else 0. */
};

/* What the command line asks for. Only SETTINGS_SERVE starts a node. */
enum settings_action {
    SETTINGS_SERVE,
    SETTINGS_HEALTHCHECK,     /* service/healthcheck.h */
    SETTINGS_RESTORE,         /* service/restoring.h; of the file named */
    SETTINGS_VERIFY,          /* action_file; this one, too. */
    SETTINGS_LINES,           /* api/backup_lines.h; the same. */
    SETTINGS_CHECK_CONFIG,    /* This and the rest: settings_page_print(). */
    SETTINGS_HELP,            /* No setting was checked for this and */
    SETTINGS_VERSION,         /* what follows; all have their defaults. */
    SETTINGS_PRINT_REFERENCE, /* docs/configuration.md */
    SETTINGS_PRINT_EXAMPLE,   /* deploy/kist.ini.example */
};

struct settings_listeners {
    struct address addresses[SETTINGS_LISTENERS];
    size_t count; /* At least 1. */
};

struct settings_peer {
    char name[SETTINGS_NAME_SIZE];
    char address[SETTINGS_PEER_ADDRESS_SIZE]; /* host:port */
};

struct settings_peers {
    struct settings_peer peers[SETTINGS_PEERS];
    size_t count;
};

struct settings_redis_nodes {
    struct redis_address nodes[SETTINGS_REDIS_NODES];
    size_t count;
};

/* Every number is a uint64_t, so that one piece of code fills them all. */
struct settings {
    enum settings_action action;
    char action_file[SETTINGS_PATH_SIZE]; /* Of those that name one. */

    /* Process. */
    char config[SETTINGS_PATH_SIZE]; /* Empty: no file. */
    uint64_t loops;                  /* 0: one per core but one. */
    uint64_t shutdown_grace_ms;
    enum log_level log_level; /* Reloads. */
    bool access_log;          /* Reloads. */

    /* Network. */
    struct settings_listeners listen;
    struct settings_listeners admin_listen; /* May be none. */
    uint64_t max_connections;
    uint64_t max_connections_per_address; /* 0: no limit of its own. */
    uint64_t head_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t body_rate_bytes;     /* Per second, after 10 s. 0: any rate. */
    uint64_t response_timeout_ms; /* For each MiB begun. */

    /* Requests. */
    uint64_t max_json_bytes;
    uint64_t max_value_bytes;
    uint64_t inline_bytes;
    uint64_t max_batch_bytes;
    uint64_t body_memory_bytes;
    uint64_t commit_queue_bytes;
    uint64_t max_waiters; /* 0: no long polls. */
    uint64_t batch_operations;
    uint64_t page_limit;
    uint64_t ttl_max_ms;

    /* Storage. */
    char data[SETTINGS_PATH_SIZE];
    enum engine_kind engine;
    enum engine_sync durability;
    uint64_t write_buffer_bytes;
    uint64_t block_cache_bytes;
    uint64_t engine_threads; /* 0: automatic. */
    uint64_t cache_bytes;
    uint64_t max_open_files;
    uint64_t disk_reserve_bytes;     /* 0: automatic. */
    uint64_t ballast_bytes;          /* 0: automatic. */
    uint64_t sweep_rate;             /* Keys per second. */
    uint64_t scrub_bytes_per_second; /* 0: off. */
    bool accept_data_loss;

    /* Cluster. */
    char node_id[SETTINGS_NAME_SIZE];
    struct settings_peers peers;
    struct settings_peers join; /* Addresses, without names. */
    char cluster_name[SETTINGS_NAME_SIZE];
    struct settings_listeners peer_listen;
    char peer_secret_file[SETTINGS_PATH_SIZE]; /* Empty: no secret. */
    uint64_t replicas;
    uint64_t read_quorum;  /* 0: a majority of the replicas. */
    uint64_t write_quorum; /* 0: the same. */
    uint64_t write_timeout_ms;
    uint64_t read_timeout_ms;
    uint64_t hedge_delay_ms;
    uint64_t hint_bytes; /* 0: no hints. */
    uint64_t hint_age_ms;
    uint64_t anti_entropy_period_ms;
    uint64_t transfer_bytes_per_second; /* Reloads. 0: any rate. */
    uint64_t deletion_grace_ms;
    uint64_t peer_queue_bytes; /* Of each peer. */
    uint64_t clock_offset_ms;

    /* Redis. */
    struct settings_redis_nodes redis_nodes;
    char redis_user[SETTINGS_NAME_SIZE];          /* Empty: the default one. */
    char redis_password_file[SETTINGS_PATH_SIZE]; /* Empty: no password. */
    uint64_t redis_connections;                   /* To each node. */
    uint64_t redis_timeout_ms;
    uint64_t redis_wait; /* Replicas; 0: none. */

    /* By row of the table; for --check-config and refusals. */
    struct settings_origin origins[SETTINGS_MAX];
};

/* Whether they are those of a node of a cluster, and not of one alone. */
bool settings_are_of_cluster(const struct settings *settings);

struct settings_input {
    int argc;
    char *const *argv;
    char *const *envp; /* Ends with NULL. */
    void *ctx;
    /*
     * Append the file to out_text. KIST_NOT_FOUND, KIST_TOO_LARGE and KIST_IO
     * become a refusal that names path. settings_read_file() is the real one.
     */
    enum kist_status (*read_file)(void *ctx, const char *path,
                                  struct blob *out_text);
};

/*
 * KIST_INVALID: *out_why has one printable line without newline, and
 * *out_settings is untouched. KIST_NO_MEMORY: the same, with an empty line.
 * The caller frees *out_why (blob_free) in each case.
 */
KIST_CHECKED enum kist_status settings_parse(const struct settings_input *input,
                                             struct settings *out_settings,
                                             struct blob *out_why);

KIST_CHECKED enum kist_status settings_read_file(void *ctx, const char *path,
                                                 struct blob *out_text);

enum settings_effect {
    SETTINGS_APPLIED,       /* The new value is in the struct. */
    SETTINGS_NEEDS_RESTART, /* The struct keeps the old value. */
};

struct settings_hooks {
    void *ctx;
    /* Within settings_reload(), once per setting that differs. */
    void (*changed)(void *ctx, const char *name, struct view from,
                    struct view to, enum settings_effect effect);
};

/*
 * Parse again (SIGHUP) and take over what can change at run time. As
 * settings_parse() in its failures: after KIST_INVALID nothing changed, after
 * KIST_NO_MEMORY what was told to the hook did.
 */
KIST_CHECKED enum kist_status
settings_reload(const struct settings_input *input, struct settings *settings,
                const struct settings_hooks *hooks, struct blob *out_why);

#endif
