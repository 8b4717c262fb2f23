#include "service/settings.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a test gives; lists end with NULL. */
struct given {
    const char *flags[10];
    const char *variables[8];
    const char *file; /* The content of kist.ini; NULL: there is none. */
};

static enum kist_status read_given(void *ctx, const char *path,
                                   struct blob *out_text)
{
    const struct given *given = ctx;

    if (given->file == NULL || strcmp(path, "kist.ini") != 0)
        return KIST_NOT_FOUND;
    blob_append_text(out_text, given->file);
    return KIST_OK;
}

static struct settings_input input_of(struct given *given, char **argv)
{
    struct settings_input input = {
        .argc = 1,
        .argv = argv,
        .envp = (char *const *)given->variables,
        .ctx = given,
        .read_file = read_given,
    };

    argv[0] = "kistd";
    for (size_t i = 0; given->flags[i] != NULL; i++)
        argv[input.argc++] = (char *)given->flags[i];
    return input;
}

static void expect_taken(struct given given, struct settings *out_settings)
{
    char *argv[12];
    struct settings_input input = input_of(&given, argv);
    struct blob why = BLOB_EMPTY;

    enum kist_status status = settings_parse(&input, out_settings, &why);
    blob_append_byte(&why, '\0');
    cr_assert_eq(status, KIST_OK, "%s", why.data);
    blob_free(&why);
}

static void expect_refused(struct given given, const char *expected)
{
    char *argv[12];
    struct settings_input input = input_of(&given, argv);
    struct settings settings, untouched;
    struct blob why = BLOB_EMPTY;

    memset(&settings, 0xA5, sizeof(settings));
    memcpy(&untouched, &settings, sizeof(settings));
    cr_assert_eq(settings_parse(&input, &settings, &why), KIST_INVALID, "%s",
                 expected);
    blob_append_byte(&why, '\0');
    cr_assert_str_eq(why.data, expected);
    cr_assert_eq(memcmp(&settings, &untouched, sizeof(settings)), 0);
    blob_free(&why);
}

Test(settings, have_their_defaults_when_nothing_is_given)
{
    struct settings settings;

    expect_taken((struct given){0}, &settings);
    cr_assert_eq(settings.action, SETTINGS_SERVE);
    cr_assert_eq(settings.listen.count, 1);
    cr_assert_eq(address_port(&settings.listen.addresses[0]), 7700);
    cr_assert_str_eq(settings.data, "./data");
    cr_assert_str_eq(settings.config, "");
    cr_assert_eq(settings.engine, ENGINE_LEVELDB);
    cr_assert_eq(settings.durability, ENGINE_SYNC);
    cr_assert_eq(settings.log_level, LOG_INFO);
    cr_assert_not(settings.access_log);
    cr_assert_not(settings.accept_data_loss);
    cr_assert_eq(settings.max_json_bytes, 1048576);
    cr_assert_eq(settings.body_rate_bytes, 1000);
    cr_assert_eq(settings.idle_timeout_ms, 60000);
    cr_assert_eq(settings.ttl_max_ms, 315360000000);
    cr_assert_eq(settings.loops, 0);
}

Test(settings, come_from_the_flag_before_the_variable_before_the_file)
{
    struct settings settings;

    expect_taken(
        (struct given){
            .flags = {"--config", "kist.ini", "--loops=3"},
            .variables = {"PATH=/bin", "KIST_LOOPS=4", "KIST_PAGE_LIMIT=40"},
            .file = "loops = 5\npage-limit = 50\nmax-waiters = 60\n",
        },
        &settings);
    cr_assert_eq(settings.loops, 3);
    cr_assert_eq(settings.page_limit, 40);
    cr_assert_eq(settings.max_waiters, 60);
    cr_assert_eq(settings.batch_operations, 10000);
}

Test(settings, of_every_type_are_understood)
{
    struct settings settings;

    expect_taken(
        (struct given){
            .flags = {"--listen=127.0.0.1:0, [::1]:1,:2", "--access-log",
                      "--durability", "async"},
            .variables = {"KIST_LOG_LEVEL=error", "KIST_ACCEPT_DATA_LOSS=Yes",
                          "KIST_DATA=/var/lib/a b", "KIST_MAX_VALUE_BYTES=2mib",
                          "KIST_HEAD_TIMEOUT=500ms", "KIST_IDLE_TIMEOUT=2h",
                          "KIST_ENGINE=rocksdb"},
        },
        &settings);
    cr_assert_eq(settings.listen.count, 3);
    cr_assert_eq(address_port(&settings.listen.addresses[2]), 2);
    cr_assert(settings.access_log);
    cr_assert_eq(settings.engine, ENGINE_ROCKSDB);
    cr_assert_eq(settings.durability, ENGINE_ASYNC);
    cr_assert_eq(settings.log_level, LOG_ERROR);
    cr_assert(settings.accept_data_loss);
    cr_assert_str_eq(settings.data, "/var/lib/a b");
    cr_assert_eq(settings.max_value_bytes, 2097152);
    cr_assert_eq(settings.head_timeout_ms, 500);
    cr_assert_eq(settings.idle_timeout_ms, 7200000);
}

Test(settings, that_are_switches_may_leave_out_their_value)
{
    struct settings settings;

    expect_taken((struct given){.flags = {"--access-log", "--loops", "2",
                                          "--accept-data-loss"}},
                 &settings);
    cr_assert(settings.access_log);
    cr_assert(settings.accept_data_loss);

    expect_taken((struct given){.flags = {"--access-log", "true",
                                          "--accept-data-loss", "off"}},
                 &settings);
    cr_assert(settings.access_log);
    cr_assert_not(settings.accept_data_loss);
    expect_refused((struct given){.flags = {"--access-log", "data"}},
                   "--access-log \"data\" is neither true nor false; "
                   "allowed: true or false");
}

Test(settings, of_a_file_may_have_comments_and_any_line_ends)
{
    struct settings settings;

    expect_taken(
        (struct given){
            .variables = {"KIST_CONFIG=kist.ini"},
            .file = "\xEF\xBB\xBF# kist\r\n\r\n; more\r\n"
                    "loops=2 ; two\r\n  \t\r\ndata = /x=y\nlog-level = warn",
        },
        &settings);
    cr_assert_eq(settings.loops, 2);
    cr_assert_str_eq(settings.data, "/x=y");
    cr_assert_eq(settings.log_level, LOG_WARN);
}

Test(settings, that_are_unknown_are_refused_with_the_nearest_name)
{
    expect_refused((struct given){.flags = {"--durabilty", "sync"}},
                   "\"--durabilty\" is not a setting; did you mean "
                   "--durability?");
    expect_refused((struct given){.flags = {"--hlep"}},
                   "\"--hlep\" is not a setting; did you mean --help?");
    expect_refused((struct given){.flags = {"--colour=red"}},
                   "\"--colour\" is not a setting; kistd --help lists them");
    expect_refused((struct given){.variables = {"KIST_LISTENS=:1"}},
                   "\"KIST_LISTENS\" is not a setting; did you mean "
                   "KIST_LISTEN?");
    expect_refused((struct given){.variables = {"KIST_loops=1"}},
                   "\"KIST_loops\" is not a setting; kistd --help lists them");
    expect_refused((struct given){.flags = {"--config=kist.ini"},
                                  .file = "\n\nhelp = 1\n"},
                   "kist.ini:3: \"help\" is not a setting; kistd --help lists "
                   "them");
    expect_refused((struct given){.flags = {"data"}},
                   "\"data\" is not a flag; kistd --help lists them");
}

Test(settings, out_of_limits_are_refused_with_source_value_and_limits)
{
    expect_refused((struct given){.flags = {"--max-json-bytes", "12Q"}},
                   "--max-json-bytes \"12Q\" is not a size; allowed: 1 to "
                   "64MiB, written like 4096, 64KiB, 1MiB or 1GiB");
    expect_refused((struct given){.flags = {"--max-value-bytes=2TiB"}},
                   "--max-value-bytes \"2TiB\" is too large; allowed: 1 to "
                   "1TiB, written like 4096, 64KiB, 1MiB or 1GiB");
    expect_refused((struct given){.variables = {"KIST_IDLE_TIMEOUT=10"}},
                   "KIST_IDLE_TIMEOUT \"10\" is not a duration; allowed: "
                   "100ms to 1d, written like 500ms, 10s, 5m, 2h or 1d");
    expect_refused((struct given){.variables = {"KIST_LOOPS=65"}},
                   "KIST_LOOPS \"65\" is too large; allowed: 1 to 64 threads, "
                   "or 0 (one per core but one, at least one)");
    expect_refused((struct given){.variables = {"KIST_PAGE_LIMIT=0"}},
                   "KIST_PAGE_LIMIT \"0\" is too small; allowed: 1 to 10000 "
                   "items");
    expect_refused((struct given){.flags = {"--config=kist.ini"},
                                  .file = "log-level = loud\n"},
                   "kist.ini:1: log-level \"loud\" is not known; allowed: "
                   "debug, info, warn or error");
    expect_refused((struct given){.flags = {"--data="}},
                   "--data \"\" is empty; allowed: a path, without quotes");
    expect_refused((struct given){.flags = {"--access-log=maybe"}},
                   "--access-log \"maybe\" is neither true nor false; "
                   "allowed: true or false");
}

Test(settings, that_overflow_64_bits_are_refused)
{
    expect_refused((struct given){.flags = {"--body-memory=16777216TiB"}},
                   "--body-memory \"16777216TiB\" is not a size; allowed: "
                   "64KiB to 1TiB, written like 4096, 64KiB, 1MiB or 1GiB");
}

Test(settings, that_are_overridden_must_be_right_all_the_same)
{
    expect_refused(
        (struct given){.flags = {"--loops=1"}, .variables = {"KIST_LOOPS=one"}},
        "KIST_LOOPS \"one\" is not a whole number; allowed: 1 to "
        "64 threads, or 0 (one per core but one, at least one)");
}

Test(settings, given_twice_in_one_place_are_refused)
{
    expect_refused((struct given){.flags = {"--loops=1", "--loops=1"}},
                   "--loops is given twice");
    expect_refused((struct given){.flags = {"--listen", ":1", "--listen=:2"}},
                   "--listen is given twice; separate addresses by commas");
    expect_refused((struct given){.flags = {"--config=kist.ini"},
                                  .file = "loops = 1\n\nloops = 2\n"},
                   "kist.ini:3: loops is given twice, first in line 1");
}

Test(settings, without_their_value_are_refused)
{
    expect_refused((struct given){.flags = {"--data"}}, "--data needs a value");
    expect_refused((struct given){.flags = {"--data", "--loops", "1"}},
                   "--data needs a value");
    expect_refused((struct given){.flags = {"--help=me"}},
                   "--help takes no value");
    expect_refused((struct given){.flags = {"--restore"}},
                   "--restore needs the name of a file");
    expect_refused((struct given){.flags = {"--verify="}},
                   "--verify needs the name of a file");
}

Test(settings, in_conflict_are_refused_with_both_sources)
{
    expect_refused(
        (struct given){
            .flags = {"--max-json-bytes=32MiB", "--max-value-bytes=16MiB"}},
        "--max-json-bytes 32MiB is above --max-value-bytes 16MiB: JSON values "
        "are values, too; lower the first or raise the second");
    expect_refused((struct given){.variables = {"KIST_BODY_MEMORY=1MiB"}},
                   "max-batch-bytes (default) 16MiB is above KIST_BODY_MEMORY "
                   "1MiB: such a batch would never be taken; lower the first "
                   "or raise the second");
}

Test(settings, in_a_file_that_is_no_such_file_are_refused)
{
    static const char *const cases[][2] = {
        {"[network]\n", "kist.ini:1: the line begins a section; there are "
                        "none, only `name = value`"},
        {"loops = 1\n  2\n", "kist.ini:2: the line begins with a space"},
        {"loops\n", "kist.ini:1: the line is not `name = value`"},
        {"loops ; = 1\n", "kist.ini:1: the line is not `name = value`"},
        {"= 1\n", "kist.ini:1: \"\" is not a setting; kistd --help lists them"},
        {"config = b.ini\n",
         "kist.ini:1: config \"b.ini\" cannot be named inside a file"},
        {"data = \"./data\"\n",
         "kist.ini:1: data \"\\\"./data\\\"\" is in quotes, which would become "
         "part of the name; allowed: a path, without quotes"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(
            (struct given){.flags = {"--config=kist.ini"}, .file = cases[i][0]},
            cases[i][1]);
    expect_refused((struct given){.flags = {"--config=b.ini"}},
                   "--config \"b.ini\" does not exist");
}

Test(settings, in_lines_too_long_for_the_parser_are_refused_not_cut)
{
    char file[300] = "data = ";

    memset(file + 7, 'x', 189); /* 196 bytes and the newline: the longest. */
    strcpy(file + 196, "\n");

    struct settings settings;
    expect_taken((struct given){.flags = {"--config=kist.ini"}, .file = file},
                 &settings);
    cr_assert_eq(strlen(settings.data), 189);

    strcpy(file + 196, "x\n");
    expect_refused((struct given){.flags = {"--config=kist.ini"}, .file = file},
                   "kist.ini:1: the line is longer than 196 bytes");
}

Test(settings, ignore_what_kubernetes_says_about_a_service_named_kist)
{
    struct settings settings;

    expect_taken(
        (struct given){.variables = {"KIST_SERVICE_HOST=10.0.0.1",
                                     "KIST_SERVICE_PORT=7700",
                                     "KIST_SERVICE_PORT_HTTP=7700",
                                     "KIST_PORT=tcp://10.0.0.1:7700",
                                     "KIST_PORT_7700_TCP=tcp://10.0.0.1:7700",
                                     "KIST_PORT_7700_TCP_PROTO=tcp",
                                     "KIST_PORT_7700_TCP_ADDR=10.0.0.1"}},
        &settings);
}

Test(settings, that_are_empty_variables_count_as_unset)
{
    struct settings settings;

    expect_taken((struct given){.variables = {"KIST_DATA=", "KIST_CONFIG="}},
                 &settings);
    cr_assert_str_eq(settings.data, "./data");
}

Test(settings, are_not_looked_at_when_only_help_is_asked_for)
{
    struct settings settings;

    expect_taken(
        (struct given){.flags = {"-h"}, .variables = {"KIST_LOOPS=many"}},
        &settings);
    cr_assert_eq(settings.action, SETTINGS_HELP);
}

Test(settings, show_foreign_bytes_escaped_and_shortened)
{
    char flag[200] = "--data=\x1b[2J";

    memset(flag + 11, 'x', 150);
    struct given given = {.flags = {flag}};
    char *argv[12];
    struct settings_input input = input_of(&given, argv);
    struct settings settings;
    struct blob why = BLOB_EMPTY;

    cr_assert_eq(settings_parse(&input, &settings, &why), KIST_INVALID);
    for (size_t i = 0; i < why.size; i++)
        cr_assert(why.data[i] >= 0x20);
    cr_assert_lt(why.size, 220);
    blob_free(&why);
}

/* Collects the calls of settings_hooks as lines. */
static void note_change(void *ctx, const char *name, struct view from,
                        struct view to, enum settings_effect effect)
{
    blob_printf(ctx, "%s %.*s %.*s %s\n", name, (int)from.size, from.data,
                (int)to.size, to.data,
                effect == SETTINGS_APPLIED ? "applied" : "restart");
}

Test(settings, that_can_change_at_run_time_are_taken_over_by_a_reload)
{
    struct given given = {.flags = {"--config=kist.ini", "--page-limit=7"},
                          .file = "loops = 1\n"};
    char *argv[12];
    struct settings_input input = input_of(&given, argv);
    struct settings settings;
    struct blob why = BLOB_EMPTY, changes = BLOB_EMPTY;
    struct settings_hooks hooks = {.ctx = &changes, .changed = note_change};

    expect_taken(given, &settings);
    given.file = "log-level = debug\naccess-log = on\nloops = 2\n"
                 "page-limit = 9\n";
    cr_assert_eq(settings_reload(&input, &settings, &hooks, &why), KIST_OK);
    blob_append_byte(&changes, '\0');
    cr_assert_str_eq(changes.data, "loops 1 2 restart\n"
                                   "log-level info debug applied\n"
                                   "access-log false true applied\n");
    cr_assert_eq(settings.log_level, LOG_DEBUG);
    cr_assert(settings.access_log);
    cr_assert_eq(settings.loops, 1);

    given.file = "log-level = warn\nloops = x\n";
    blob_clear(&changes);
    cr_assert_eq(settings_reload(&input, &settings, &hooks, &why),
                 KIST_INVALID);
    cr_assert_eq(changes.size, 0);
    cr_assert_eq(settings.log_level, LOG_DEBUG);
    blob_free(&why);
    blob_free(&changes);
}

Test(settings, are_read_from_a_real_file)
{
    char path[] = "/tmp/kist-settings-XXXXXX";
    int file = mkstemp(path);
    struct blob text = BLOB_EMPTY;

    cr_assert_geq(file, 0);
    cr_assert_eq(write(file, "loops = 1\n", 10), 10);
    cr_assert_eq(settings_read_file(NULL, path, &text), KIST_OK);
    cr_assert(view_is(blob_view(&text), "loops = 1\n"));

    blob_clear(&text);
    cr_assert_eq(ftruncate(file, (1 << 20) + 1), 0);
    cr_assert_eq(settings_read_file(NULL, path, &text), KIST_TOO_LARGE);
    close(file);
    unlink(path);
    cr_assert_eq(settings_read_file(NULL, path, &text), KIST_NOT_FOUND);
    cr_assert_eq(settings_read_file(NULL, "/", &text), KIST_IO);
    blob_free(&text);
}

#define TWO "a=127.0.0.1:1,b=[::1]:2"

Test(settings, of_a_cluster_name_its_members)
{
    struct settings settings;

    expect_taken((struct given){.flags = {"--node-id", "b", "--replicas", "2",
                                          "--peers", TWO}},
                 &settings);
    cr_assert_eq(settings.peers.count, 2);
    cr_assert_str_eq(settings.peers.peers[1].name, "b");
    cr_assert_str_eq(settings.peers.peers[1].address, "[::1]:2");
    expect_taken((struct given){0}, &settings);
    cr_assert_eq(settings.peers.count, 0);
    cr_assert(not(settings_are_of_cluster(&settings)));
    expect_taken((struct given){.flags = {"--join", "127.0.0.1:1,[::1]:2",
                                          "--node-id", "d"}},
                 &settings);
    cr_assert_eq(settings.join.count, 2);
    cr_assert_str_eq(settings.join.peers[1].address, "[::1]:2");
    cr_assert(settings_are_of_cluster(&settings));
}

Test(settings, of_a_cluster_are_refused_where_they_do_not_fit)
{
    static const struct {
        struct given given;
        const char *why;
    } cases[] = {
        {{.flags = {"--node-id", "a"}},
         "node-id is given without peers or join; without them this would be "
         "a node alone"},
        {{.flags = {"--peers", TWO}},
         "peers or join is given without node-id, which says which member "
         "this node is"},
        {{.flags = {"--join", "10.0.0.1:1"}},
         "peers or join is given without node-id, which says which member "
         "this node is"},
        {{.flags = {"--join", "10.0.0.1:1", "--node-id", "d"}},
         "peer-secret-file is needed where members are reached over a "
         "network"},
        {{.flags = {"--join", "127.0.0.1:1", "--peers", TWO, "--node-id", "a"}},
         "peers and join are both given; peers begins a cluster, join waits "
         "to be taken into one"},
        {{.flags = {"--peers", TWO, "--node-id", "c"}},
         "node-id c is not one of peers " TWO},
        {{.flags = {"--peers", TWO, "--node-id", "a"}},
         "replicas 3 is above the number of peers, 2: each copy needs a "
         "member of its own"},
        {{.flags = {"--peers", TWO, "--node-id", "a", "--replicas", "2",
                    "--read-quorum", "3"}},
         "read-quorum 3 is above replicas 2: it could never be reached"},
        {{.flags = {"--peers", "a=10.0.0.1:1", "--node-id", "a", "--replicas",
                    "1"}},
         "peer-secret-file is needed where members are reached over a "
         "network"},
        {{.flags = {"--peers", "a=127.0.0.1:1", "--node-id", "a", "--replicas",
                    "1"},
          .variables = {"KIST_PEER_LISTEN=:7701"}},
         "peer-secret-file is needed where members are reached over a "
         "network"},
        {{.flags = {"--peers", TWO, "--node-id", "a", "--replicas", "2"},
          .variables = {"KIST_INLINE_BYTES=8MiB"}},
         "inline-bytes is above 4MiB, the most that members send each other"},
        {{.flags = {"--peers", TWO, "--node-id", "a", "--replicas", "2",
                    "--accept-data-loss"}},
         "accept-data-loss is not for a member of a cluster: it would count as "
         "a copy of what it has lost; replace it"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i].given, cases[i].why);
}

Test(settings, that_list_peers_are_refused_with_what_is_wrong)
{
    static const char *const cases[][2] = {
        {"a", "has a peer that is not name=host:port"},
        {"a=1.2.3.4", "has a peer without a port"},
        {"a=1.2.3.4:0", "has a port that is not 1 to 65535"},
        {"a=1.2.3.4:65536", "has a port that is not 1 to 65535"},
        {"a=:7701", "has a host that is neither a name nor an address"},
        {"a=x/y:7701", "has a host that is neither a name nor an address"},
        {"=h:1", "has an empty name"},
        {"a=h:1,", "has a peer that is not name=host:port"},
        {"a=h:1,a=h:2", "has the same name twice"},
        {"a=h:1,b=h:1", "has the same address twice"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct blob why = BLOB_EMPTY;

        blob_printf(&why,
                    "--peers \"%s\" %s; allowed: a list like "
                    "a=10.0.0.1:7701,b=kist-b:7701, of up to 100 members%c",
                    cases[i][0], cases[i][1], 0);
        expect_refused((struct given){.flags = {"--peers", cases[i][0]}},
                       why.data);
        blob_free(&why);
    }
}
