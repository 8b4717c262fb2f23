#include "service/settings_table.h"

#include <assert.h>
#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)

#define FIELD(field)     .offset = offsetof(struct settings, field)
#define RANGE(low, high) .minimum = (low), .maximum = (high)

static const struct setting rows[] = {
    /* Process. */
    {.name = "config",
     .type = SETTING_PATH,
     FIELD(config),
     .description =
         "The configuration file: lines of `name = value`, comments after `;` "
         "or at the start of a line `#`, no sections. There is no file by "
         "default. It cannot be named inside a file."},
    {.name = "loops",
     .type = SETTING_COUNT,
     FIELD(loops),
     .fallback = "0",
     RANGE(1, 64),
     .zero = "one per core but one, at least one",
     .unit = "threads",
     .description = "Event loops, each a thread with its own connections."},
    {.name = "shutdown-grace",
     .type = SETTING_DURATION,
     FIELD(shutdown_grace_ms),
     .fallback = "8s",
     RANGE(100, 5 * MINUTE),
     .description =
         "How long requests in flight may go on after SIGTERM before their "
         "connections are closed; a second SIGTERM (or Ctrl-C) a second "
         "later closes them at once. The default leaves time to sync and exit "
         "within 10 seconds; above that, raise TimeoutStopSec or the like, "
         "too."},
    {.name = "log-level",
     .type = SETTING_CHOICE,
     .change = SETTING_AT_RELOAD,
     FIELD(log_level),
     .fallback = "info",
     .choices = {"debug", "info", "warn", "error"},
     .description = "The least level that is logged on stderr."},
    {.name = "access-log",
     .type = SETTING_SWITCH,
     .change = SETTING_AT_RELOAD,
     FIELD(access_log),
     .fallback = "false",
     .description =
         "Log one line for each answered request, whatever the log level. "
         "Lines contain keys."},

    /* Network. */
    {.name = "listen",
     .type = SETTING_ADDRESSES,
     FIELD(listen),
     .fallback = "127.0.0.1:7700",
     .description =
         "Where HTTP is served: up to 8 numeric addresses with ports, "
         "separated by commas. `localhost:7700` means 127.0.0.1, `:7700` "
         "every address of the machine, port 0 one that the kernel chooses. "
         "There is no authentication yet: open it to trusted networks only."},
    {.name = "admin-listen",
     .type = SETTING_ADDRESSES,
     FIELD(admin_listen),
     .fallback = "none",
     .description =
         "Where /admin is served, beside all the rest: backups, export and "
         "import. Where it is given, the members of a cluster are changed "
         "there alone, and not at `listen`. Nowhere by default; numeric, as "
         "`listen`. Keep it to 127.0.0.1 or an operators' network, and out of "
         "every proxy."},
    {.name = "max-connections",
     .type = SETTING_COUNT,
     FIELD(max_connections),
     .fallback = "10000",
     RANGE(1, 1000000),
     .unit = "connections",
     .description =
         "Connections open at once; more are closed when they are accepted. "
         "The limit of open files must leave room for it; what it has beyond "
         "this and max-open-files is for files of large values that are sent "
         "or received, at least 16 at once."},
    {.name = "max-connections-per-address",
     .type = SETTING_COUNT,
     FIELD(max_connections_per_address),
     .fallback = "4096",
     RANGE(1, 1000000),
     .zero = "no limit",
     .unit = "connections",
     .description =
         "Connections open at once from one client address. Turn it off "
         "behind a proxy, where all clients share one address."},
    {.name = "head-timeout",
     .type = SETTING_DURATION,
     FIELD(head_timeout_ms),
     .fallback = "10s",
     RANGE(100, 10 * MINUTE),
     .description =
         "How long the head of a request may take, from its first byte to "
         "the empty line."},
    {.name = "idle-timeout",
     .type = SETTING_DURATION,
     FIELD(idle_timeout_ms),
     .fallback = "60s",
     RANGE(100, DAY),
     .description =
         "How long a connection may stay open between two requests."},
    {.name = "body-rate-bytes",
     .type = SETTING_BYTES,
     FIELD(body_rate_bytes),
     .fallback = "1000",
     RANGE(1, GIB),
     .zero = "any rate",
     .unit = "per second",
     .description =
         "The average rate at which a request body must arrive, looked at "
         "after its first 10 seconds. Slower clients are cut off."},
    {.name = "response-timeout",
     .type = SETTING_DURATION,
     FIELD(response_timeout_ms),
     .fallback = "30s",
     RANGE(100, HOUR),
     .unit = "for each MiB begun",
     .description =
         "How long a client may take to read an answer. A client that does "
         "not read is cut off."},

    /* Requests. */
    {.name = "max-json-bytes",
     .type = SETTING_BYTES,
     FIELD(max_json_bytes),
     .fallback = "1MiB",
     RANGE(1, 64 * MIB),
     .description =
         "The largest JSON value and the largest document of a patch; more "
         "is answered with 413."},
    {.name = "max-value-bytes",
     .type = SETTING_BYTES,
     FIELD(max_value_bytes),
     .fallback = "1GiB",
     RANGE(1, TIB),
     .description =
         "The largest value of any other media type; more is answered with "
         "413. What is made in memory, by `op=append` or in a batch, is also "
         "limited by `max-batch-bytes`."},
    {.name = "inline-bytes",
     .type = SETTING_BYTES,
     FIELD(inline_bytes),
     .fallback = "64KiB",
     RANGE(4 * KIB, 16 * MIB),
     .description =
         "A value that is put and is larger than this gets a file of its own "
         "beside the engine, written as it arrives and served from there. It "
         "counts for values that are written from then on. With the engine "
         "`redis` there are no files: it is the largest value, and its default "
         "is 16MiB."},
    {.name = "max-batch-bytes",
     .type = SETTING_BYTES,
     FIELD(max_batch_bytes),
     .fallback = "16MiB",
     RANGE(1, 64 * MIB),
     .description =
         "The largest body of one `POST /batch`; more is answered with 413."},
    {.name = "body-memory",
     .type = SETTING_BYTES,
     FIELD(body_memory_bytes),
     .fallback = "256MiB",
     RANGE(64 * KIB, TIB),
     .description =
         "Memory for all request bodies in flight together, and as much again "
         "for all big answers. A request that finds its part used up is "
         "answered with 503. A body or value that lies in a file takes 512 KiB "
         "of it at most while it is received, and none while it is sent."},
    {.name = "commit-queue-bytes",
     .type = SETTING_BYTES,
     FIELD(commit_queue_bytes),
     .fallback = "64MiB",
     RANGE(64 * KIB, 16 * GIB),
     .description =
         "Writes that may wait for the disk. A write that finds the queue "
         "full is answered with 503 and was not applied."},
    {.name = "max-waiters",
     .type = SETTING_COUNT,
     FIELD(max_waiters),
     .fallback = "4096",
     RANGE(1, 1000000),
     .zero = "no long polls",
     .unit = "requests",
     .description =
         "Requests that may wait for a change at once (`Prefer: wait`). One "
         "more is answered with 503 busy."},
    {.name = "batch-operations",
     .type = SETTING_COUNT,
     FIELD(batch_operations),
     .fallback = "10000",
     RANGE(1, 10000),
     .unit = "operations",
     .description = "The largest number of operations in one `POST /batch`."},
    {.name = "page-limit",
     .type = SETTING_COUNT,
     FIELD(page_limit),
     .fallback = "1000",
     RANGE(1, 10000),
     .unit = "items",
     .description =
         "The most items on one page of a listing. A request that names no "
         "number gets 100 or this, whichever is less. NDJSON listings have "
         "no such limit."},
    {.name = "ttl-max",
     .type = SETTING_DURATION,
     FIELD(ttl_max_ms),
     .fallback = "10y",
     RANGE(SECOND, 100 * YEAR),
     .description =
         "The longest time to live a write may ask for; more is refused."},

    /* Storage. */
    {.name = "data",
     .type = SETTING_PATH,
     FIELD(data),
     .fallback = "./data",
     .description =
         "The data directory. It is created if it is missing, and belongs to "
         "one running process."},
    {.name = "engine",
     .type = SETTING_CHOICE,
     FIELD(engine),
     .fallback = "leveldb",
     .choices = {"leveldb", "rocksdb", "redis"},
     .description =
         "What keeps the data. A data directory remembers its engine and is "
         "refused with another one. `rocksdb` is for data far beyond memory; "
         "a kistd that was built without it refuses to start. `redis` keeps "
         "everything in the Redis or Redis Cluster of `redis-nodes`, and "
         "nothing in the data directory: any number of kistd may share it."},
    {.name = "durability",
     .type = SETTING_CHOICE,
     FIELD(durability),
     .fallback = "sync",
     .choices = {"async", "sync"},
     .description =
         "What an acknowledged write has behind it. `sync`: it is on stable "
         "storage and survives a power loss. `async`: it survives a crash of "
         "kistd, but not of the machine. A request can ask for the other."},
    {.name = "write-buffer-bytes",
     .type = SETTING_BYTES,
     FIELD(write_buffer_bytes),
     .fallback = "32MiB",
     RANGE(64 * KIB, GIB),
     .description =
         "Writes the engine gathers in memory before it makes a table of "
         "them. Up to twice this is in memory, with RocksDB three times; more "
         "makes fewer tables and a longer start after a crash."},
    {.name = "block-cache-bytes",
     .type = SETTING_BYTES,
     FIELD(block_cache_bytes),
     .fallback = "64MiB",
     RANGE(64 * KIB, TIB),
     .description = "Memory in which the engine keeps blocks of its tables."},
    {.name = "engine-threads",
     .type = SETTING_COUNT,
     FIELD(engine_threads),
     .fallback = "0",
     RANGE(1, 64),
     .zero = "automatic: one for every two cores, at most 8",
     .unit = "threads",
     .description =
         "Threads in which RocksDB merges tables in the background. LevelDB "
         "has one, whatever is said here."},
    {.name = "cache-bytes",
     .type = SETTING_BYTES,
     FIELD(cache_bytes),
     .fallback = "64MiB",
     RANGE(MIB, 64 * GIB),
     .zero = "no cache",
     .description =
         "Memory in which whole records are kept that are asked for, so that "
         "most reads do not reach the engine. All overhead counts."},
    {.name = "max-open-files",
     .type = SETTING_COUNT,
     FIELD(max_open_files),
     .fallback = "1000",
     RANGE(74, 100000),
     .unit = "files",
     .description = "Tables the engine keeps open."},
    {.name = "disk-reserve-bytes",
     .type = SETTING_BYTES,
     FIELD(disk_reserve_bytes),
     .fallback = "0",
     RANGE(64 * KIB, 16 * TIB),
     .zero = "automatic: twice the ballast or 5 % of the disk, of which "
             "4 GiB count",
     .description =
         "Free space below which writes are answered with 507 while reads go "
         "on. They are taken again by themselves when space is back."},
    {.name = "ballast-bytes",
     .type = SETTING_BYTES,
     FIELD(ballast_bytes),
     .fallback = "0",
     RANGE(64 * KIB, 64 * GIB),
     .zero = "automatic: two write buffers (RocksDB: four) and 32 MiB, at "
             "most 5 % of the disk",
     .description =
         "A file of this size in the data directory that is given up when "
         "the disk is full, because the engine needs room to start again."},
    {.name = "sweep-rate",
     .type = SETTING_COUNT,
     FIELD(sweep_rate),
     .fallback = "10000",
     RANGE(10, 10000000),
     .unit = "keys per second",
     .description =
         "How fast the background sweep looks for expired keys. It does not "
         "change when a key expires, only when its space comes back."},
    {.name = "scrub-bytes-per-second",
     .type = SETTING_BYTES,
     FIELD(scrub_bytes_per_second),
     .fallback = "16MiB",
     RANGE(64 * KIB, 16 * GIB),
     .zero = "off",
     .unit = "per second",
     .description =
         "How fast the background scrub reads the files of large values to "
         "find those that the disk has changed. It reads each at most once a "
         "day."},
    {.name = "accept-data-loss",
     .type = SETTING_SWITCH,
     FIELD(accept_data_loss),
     .fallback = "false",
     .description =
         "Start although acknowledged writes are damaged on disk, without "
         "them. Use it for one start, after keeping a copy of the data "
         "directory. Not for a member of a cluster, which must be replaced."},

    /* Cluster. */
    {.name = "peers",
     .type = SETTING_PEERS,
     FIELD(peers),
     .fallback = "none",
     .description =
         "All members of the cluster, this node included, as "
         "`name=host:port` of their peer listeners, separated by commas, when "
         "it starts for the first time. Later the ring on the disk says who "
         "is a member, and this is not read. Without this and join the node "
         "is alone, and nothing else here counts."},
    {.name = "join",
     .type = SETTING_HOSTS,
     FIELD(join),
     .fallback = "none",
     .description =
         "Instead of peers: a node without data is to become a member of a "
         "cluster that exists. `host:port` of some of its members' peer "
         "listeners, separated by commas; they are asked whether this node "
         "was taken in, which POST /cluster/plan at a member begins. Once it "
         "is a member, this is not read."},
    {.name = "node-id",
     .type = SETTING_NAME,
     FIELD(node_id),
     .fallback = "none",
     .description =
         "Which of the peers this node is, or which name it is to join "
         "under. A name belongs to one data directory for ever."},
    {.name = "cluster-name",
     .type = SETTING_NAME,
     FIELD(cluster_name),
     .fallback = "kist",
     .description =
         "The same on all members, and for ever: a data directory belongs to "
         "the cluster of this name."},
    {.name = "peer-listen",
     .type = SETTING_ADDRESSES,
     FIELD(peer_listen),
     .fallback = "127.0.0.1:7701",
     .description =
         "Where the other members reach this one; numeric, as `listen`. "
         "Clients have no business there: keep it to a private network."},
    {.name = "peer-secret-file",
     .type = SETTING_PATH,
     FIELD(peer_secret_file),
     .fallback = "none",
     .description =
         "A file with the secret that members show each other: one line of "
         "16 to 256 characters, the same on all. It can be left out only "
         "where all members are on this machine's loopback addresses."},
    {.name = "replicas",
     .type = SETTING_COUNT,
     FIELD(replicas),
     .fallback = "3",
     RANGE(1, 7),
     .unit = "copies",
     .description =
         "How many members own each key (`n`). It is fixed when the cluster "
         "starts for the first time; who joins later keeps to what it finds."},
    {.name = "read-quorum",
     .type = SETTING_COUNT,
     FIELD(read_quorum),
     .fallback = "0",
     RANGE(1, 7),
     .zero = "a majority of the replicas",
     .unit = "copies",
     .description =
         "How many owners a read asks (`r`) if the request does not say."},
    {.name = "write-quorum",
     .type = SETTING_COUNT,
     FIELD(write_quorum),
     .fallback = "0",
     RANGE(1, 7),
     .zero = "a majority of the replicas",
     .unit = "copies",
     .description =
         "How many owners must have a write durable (`w`) before it is "
         "acknowledged, if the request does not say."},
    {.name = "write-timeout",
     .type = SETTING_DURATION,
     FIELD(write_timeout_ms),
     .fallback = "2s",
     RANGE(10, MINUTE),
     .description =
         "How long a write waits for its owners before it is answered with "
         "504 and an unknown outcome."},
    {.name = "read-timeout",
     .type = SETTING_DURATION,
     FIELD(read_timeout_ms),
     .fallback = "1s",
     RANGE(10, MINUTE),
     .description = "How long a read waits for its owners."},
    {.name = "hedge-delay",
     .type = SETTING_DURATION,
     FIELD(hedge_delay_ms),
     .fallback = "20ms",
     RANGE(1, MINUTE),
     .description =
         "How long a read waits for the owners it has asked before it asks "
         "one more."},
    {.name = "hint-bytes",
     .type = SETTING_BYTES,
     FIELD(hint_bytes),
     .fallback = "64MiB",
     RANGE(64 * KIB, 16 * GIB),
     .zero = "no hints",
     .description =
         "Memory for writes that other members have missed, until they are "
         "back. What does not fit is found by anti-entropy."},
    {.name = "hint-age",
     .type = SETTING_DURATION,
     FIELD(hint_age_ms),
     .fallback = "3h",
     RANGE(SECOND, 7 * DAY),
     .description = "How long such a write is kept."},
    {.name = "anti-entropy-period",
     .type = SETTING_DURATION,
     FIELD(anti_entropy_period_ms),
     .fallback = "60s",
     RANGE(100, DAY),
     .description =
         "How often a node compares its data with that of each other member. "
         "Copies are the same after two periods without failures and the time "
         "that the transfer takes."},
    {.name = "transfer-bytes-per-second",
     .type = SETTING_BYTES,
     .change = SETTING_AT_RELOAD,
     FIELD(transfer_bytes_per_second),
     .fallback = "32MiB",
     RANGE(KIB, 16 * GIB),
     .zero = "any rate",
     .unit = "per second",
     .description =
         "How fast this node fetches what a change of the members moves to "
         "it."},
    {.name = "deletion-grace",
     .type = SETTING_DURATION,
     FIELD(deletion_grace_ms),
     .fallback = "3d",
     RANGE(SECOND, YEAR),
     .description =
         "How long the record of a deletion, or of an expired value, stays "
         "at least. It goes when all members have it, so one that is away "
         "keeps all of them; the same on all members."},
    {.name = "peer-queue-bytes",
     .type = SETTING_BYTES,
     FIELD(peer_queue_bytes),
     .fallback = "16MiB",
     RANGE(2 * MIB, 16 * GIB),
     .description =
         "Messages that may wait for each other member. What finds the queue "
         "full is not sent."},
    {.name = "clock-offset",
     .type = SETTING_DURATION,
     FIELD(clock_offset_ms),
     .fallback = "250ms",
     RANGE(10, MINUTE),
     .description =
         "How far this node's wall clock may be from the median of the "
         "members' before it takes no writes."},

    /* Redis. */
    {.name = "redis-nodes",
     .type = SETTING_NODES,
     FIELD(redis_nodes),
     .fallback = "none",
     .description =
         "With the engine `redis`: one Redis, by host and port or the path of "
         "its UNIX socket, or some nodes of a Redis Cluster, which tell of the "
         "others. Which one it is is found out. There is no TLS: use a tunnel "
         "where the network is not trusted."},
    {.name = "redis-user",
     .type = SETTING_NAME,
     FIELD(redis_user),
     .fallback = "none",
     .description = "The ACL user to log in as; by default the default user."},
    {.name = "redis-password-file",
     .type = SETTING_PATH,
     FIELD(redis_password_file),
     .fallback = "none",
     .description =
         "A file with the password, one line. Without it there is no login."},
    {.name = "redis-connections",
     .type = SETTING_COUNT,
     FIELD(redis_connections),
     .fallback = "1",
     RANGE(1, 16),
     .unit = "connections",
     .description =
         "Connections to each Redis, each with a thread. Requests that wait "
         "share one round trip, so one is enough for most."},
    {.name = "redis-timeout",
     .type = SETTING_DURATION,
     FIELD(redis_timeout_ms),
     .fallback = "5s",
     RANGE(100, MINUTE),
     .description =
         "How long an operation is tried, over redirections, failovers and "
         "lost connections, before it is answered with 503, or, if it may "
         "have happened, with 504."},
    {.name = "redis-wait",
     .type = SETTING_COUNT,
     FIELD(redis_wait),
     .fallback = "0",
     RANGE(1, 5),
     .zero = "none",
     .unit = "replicas",
     .description =
         "Replicas that must have a write before it is acknowledged (`WAIT`); "
         "if they are too slow the outcome is unknown. Where too few are "
         "there, "
         "writes wait up to `redis-timeout` and are not applied. It makes "
         "losing a write in a failover less likely, not impossible."},
};

static_assert(sizeof(rows) / sizeof(rows[0]) <= SETTINGS_MAX,
              "struct settings has no origin for every row");

static const struct setting_group groups[] = {
    {"Process", 5},  {"Network", 8},  {"Requests", 10},
    {"Storage", 13}, {"Cluster", 19}, {"Redis", 6},
};

static const struct setting_pair pairs[] = {
    {offsetof(struct settings, max_json_bytes),
     offsetof(struct settings, max_value_bytes), "JSON values are values, too"},
    {offsetof(struct settings, inline_bytes),
     offsetof(struct settings, body_memory_bytes),
     "such a value would never be taken"},
    {offsetof(struct settings, inline_bytes),
     offsetof(struct settings, commit_queue_bytes),
     "such a value would never be written"},
    {offsetof(struct settings, max_json_bytes),
     offsetof(struct settings, body_memory_bytes),
     "such a patch would never be taken"},
    {offsetof(struct settings, max_json_bytes),
     offsetof(struct settings, commit_queue_bytes),
     "such a patch would never be written"},
    {offsetof(struct settings, max_batch_bytes),
     offsetof(struct settings, body_memory_bytes),
     "such a batch would never be taken"},
};

static const struct setting_mode modes[] = {
    {"help", SETTINGS_HELP, NULL, "Print this page."},
    {"version", SETTINGS_VERSION, NULL, "Print the version."},
    {"check-config", SETTINGS_CHECK_CONFIG, NULL,
     "Print every setting with its source, or what is wrong, and exit."},
    {"healthcheck", SETTINGS_HEALTHCHECK, NULL,
     "Ask a running kistd with these settings whether it is ready, and exit "
     "with 0 or 1."},
    {"restore", SETTINGS_RESTORE, "FILE",
     "Fill the empty data directory from a backup (GET /admin/backup), and "
     "exit. A damaged backup leaves it empty. `-` reads standard input."},
    {"verify", SETTINGS_VERIFY, "FILE",
     "Read a backup, check all of it, print what is in it, and exit."},
    {"lines", SETTINGS_LINES, "FILE",
     "Print the records of a backup as lines for POST /admin/import, and "
     "exit. `-` reads standard input."},
    {"print-reference", SETTINGS_PRINT_REFERENCE, NULL,
     "Print docs/configuration.md."},
    {"print-example", SETTINGS_PRINT_EXAMPLE, NULL,
     "Print a configuration file with every default."},
};

size_t settings_table_count(void)
{
    return sizeof(rows) / sizeof(rows[0]);
}

const struct setting *settings_table_row(size_t row)
{
    assert(row < settings_table_count());
    return &rows[row];
}

size_t settings_table_row_at(size_t offset)
{
    size_t row = 0;

    while (rows[row].offset != offset) {
        row++;
        assert(row < settings_table_count());
    }
    return row;
}

bool settings_table_find(struct view name, size_t *out_row)
{
    for (size_t row = 0; row < settings_table_count(); row++) {
        if (view_is(name, rows[row].name)) {
            *out_row = row;
            return true;
        }
    }
    return false;
}

const struct setting_group *settings_table_group(size_t index)
{
    return index < sizeof(groups) / sizeof(groups[0]) ? &groups[index] : NULL;
}

const struct setting_pair *settings_table_pair(size_t index)
{
    return index < sizeof(pairs) / sizeof(pairs[0]) ? &pairs[index] : NULL;
}

const struct setting_mode *settings_table_mode(size_t index)
{
    return index < sizeof(modes) / sizeof(modes[0]) ? &modes[index] : NULL;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

enum { NAME_MAX_SIZE = 40 };

/* Insertions, deletions and replacements between two names (Levenshtein). */
static size_t distance(struct view a, struct view b)
{
    size_t row[NAME_MAX_SIZE + 1];

    assert(b.size <= NAME_MAX_SIZE);
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];
            size_t replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);

            row[j] = least(above + 1, row[j - 1] + 1, replaced);
            diagonal = above;
        }
    }
    return row[b.size];
}

/* A typo changes less than a third of a name; three letters at most. */
static void consider(const char *candidate, struct view name, size_t *best,
                     const char **out_nearest)
{
    size_t apart = distance(name, view_of(candidate));

    if (apart < *best && apart * 3 <= strlen(candidate) + 2) {
        *best = apart;
        *out_nearest = candidate;
    }
}

const char *settings_table_nearest(struct view name,
                                   enum settings_source source)
{
    const char *nearest = NULL;
    size_t best = 4;

    if (name.size > NAME_MAX_SIZE)
        return NULL;
    for (size_t row = 0; row < settings_table_count(); row++)
        consider(rows[row].name, name, &best, &nearest);
    if (source != SETTINGS_FLAG)
        return nearest;
    for (size_t i = 0; settings_table_mode(i) != NULL; i++)
        consider(modes[i].name, name, &best, &nearest);
    return nearest;
}

void settings_table_variable(const char *name, struct blob *out_variable)
{
    blob_append_text(out_variable, "KIST_");
    for (; *name != '\0'; name++)
        blob_append_byte(out_variable,
                         *name == '-' ? '_' : (char)(*name - 'a' + 'A'));
}

void settings_table_name(struct view variable, struct blob *out_name)
{
    struct view rest = view_from(variable, strlen("KIST_"));

    for (size_t i = 0; i < rest.size; i++) {
        char byte = rest.data[i];

        if (byte == '_')
            byte = '-';
        else if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte - 'A' + 'a');
        else
            byte = '?'; /* max_json_bytes is no name of ours. */
        blob_append_byte(out_name, byte);
    }
}
