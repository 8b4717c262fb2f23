/*
 * A full disk: kistd on a small tmpfs of its own, filled to the last byte.
 *
 * Writes end with 507 and "not_applied", reads go on, /readyz names the disk,
 * and once there is space again writes are taken without a restart. A kill
 * and a restart after each cycle show every acknowledged write. Needs the
 * right to mount; without it the tests say so and are skipped.
 */
#include "base/clock.h"
#include "tests/support/give_up.h"
#include "tests/support/http.h"
#include "tests/support/kistd.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 64, VALUE_SIZE = 20000, CYCLES = 20 };

static struct disk {
    char path[64];
    struct kistd kistd;
    struct http http;
    struct http_answer answer;
    unsigned acked[KEYS]; /* The last value that was acknowledged. */
    unsigned maybe[KEYS]; /* A later one whose outcome is unknown. */
    unsigned last;
} disk;

static const char *const flags[] = {"--write-buffer-bytes",
                                    "256KiB",
                                    "--ballast-bytes",
                                    "4MiB",
                                    "--disk-reserve-bytes",
                                    "8MiB",
                                    NULL};

static const struct view nothing = {NULL, 0};

static void mount_disk(void)
{
    snprintf(disk.path, sizeof disk.path, "/tmp/kist-disk-XXXXXX");
    if (mkdtemp(disk.path) == NULL)
        give_up("mkdtemp: %s", strerror(errno));
    /* A mount space of its own: it ends with this process, however it ends. */
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("kist", disk.path, "tmpfs", 0, "size=48m") != 0) {
        int why = errno;

        rmdir(disk.path);
        cr_skip_test("not allowed to mount a tmpfs: %s", strerror(why));
    }
}

static void open_disk(void)
{
    memset(&disk, 0, sizeof disk);
    disk.http.descriptor = -1;
    mount_disk();
    kistd_prepare(&disk.kistd, disk.path);
    kistd_start(&disk.kistd, flags);
}

static void close_disk(void)
{
    http_close(&disk.http);
    http_answer_free(&disk.answer);
    kistd_remove(&disk.kistd);
    umount2(disk.path, MNT_DETACH);
    rmdir(disk.path);
}

TestSuite(disk, .init = open_disk, .fini = close_disk, .timeout = 240);

static unsigned ask(const char *what, struct view body)
{
    if (disk.http.descriptor < 0 || disk.answer.closes || disk.http.ended) {
        http_close(&disk.http);
        http_open(&disk.http, disk.kistd.port);
    }
    http_ask(&disk.http, what, "Content-Type: application/octet-stream\r\n",
             body, &disk.answer);
    return disk.answer.status;
}

static unsigned get(const char *target)
{
    if (disk.http.descriptor < 0 || disk.answer.closes || disk.http.ended) {
        http_close(&disk.http);
        http_open(&disk.http, disk.kistd.port);
    }
    http_ask(&disk.http, target, "", nothing, &disk.answer);
    return disk.answer.status;
}

/* The bytes of value number n, which no compression makes small. */
static struct view value_of(unsigned n)
{
    static char bytes[VALUE_SIZE];
    uint64_t state = n * 0x9E3779B97F4A7C15u + 1;

    for (size_t i = 0; i < sizeof bytes; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (char)state;
    }
    return (struct view){bytes, sizeof bytes};
}

static bool answer_has(const char *part)
{
    return disk.answer.body.size > 0 &&
           memmem(disk.answer.body.data, disk.answer.body.size, part,
                  strlen(part)) != NULL;
}

/* The status; an acknowledged value is noted. */
static unsigned put(unsigned key)
{
    char what[32];
    unsigned n = ++disk.last;

    snprintf(what, sizeof what, "PUT /kv/%u", key);
    unsigned status = ask(what, value_of(n));
    if (status == 201 || status == 204)
        disk.acked[key] = disk.maybe[key] = n;
    else if (answer_has("\"unknown\""))
        disk.maybe[key] = n;
    return status;
}

static void expect_refusal(void)
{
    cr_assert(eq(uint, disk.answer.status, 507), "%.*s",
              (int)disk.answer.body.size, disk.answer.body.data);
    cr_expect(answer_has("urn:kist:problem:disk-full"));
    cr_expect(answer_has("\"not_applied\""), "%.*s", (int)disk.answer.body.size,
              disk.answer.body.data);
}

/* Does the last answer show the acknowledged value, or the unknown one? */
static bool is_known(unsigned key)
{
    struct view found = blob_view(&disk.answer.body);

    return disk.answer.status == 200 &&
           (view_equal(found, value_of(disk.acked[key])) ||
            view_equal(found, value_of(disk.maybe[key])));
}

static void expect_all_acknowledged(const char *when)
{
    char what[32];

    for (unsigned key = 0; key < KEYS; key++) {
        snprintf(what, sizeof what, "GET /kv/%u", key);
        unsigned status = get(what);
        bool absent = disk.acked[key] == 0 && status == 404;
        bool known = is_known(key);

        cr_assert(absent || known, "%s: key %u is %u, not its value %u", when,
                  key, status, disk.acked[key]);
    }
}

static const char *filler_path(void)
{
    static char path[96];

    snprintf(path, sizeof path, "%s/filler", disk.path);
    return path;
}

/* Take all but `rest` bytes of what is free. */
static void fill_disk(size_t rest)
{
    static const char zeros[4096];
    int file = open(filler_path(), O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (file < 0)
        give_up("filler: %s", strerror(errno));
    while (write(file, zeros, sizeof zeros) == sizeof zeros)
        ;
    struct stat size;
    if (rest > 0 && fstat(file, &size) == 0 && (size_t)size.st_size > rest)
        if (ftruncate(file, size.st_size - (off_t)rest) != 0)
            give_up("filler: %s", strerror(errno));
    close(file);
}

static void free_disk(void)
{
    unlink(filler_path());
}

/*
 * Until a write is refused for the disk. A disk that others fill between two
 * looks is seen by the write that fails on it: its outcome is unknown.
 */
static void write_until_full(void)
{
    int unknown = 0;

    for (int i = 0; i < 5000; i++) {
        unsigned status = put((unsigned)i % KEYS);

        if (status == 507)
            return;
        if (status == 504)
            cr_assert(le(int, ++unknown, 1), "one write finds out");
        else
            cr_assert(status == 201 || status == 204, "%u %.*s", status,
                      (int)disk.answer.body.size, disk.answer.body.data);
    }
    cr_fatal("the disk does not get full");
}

static void expect_not_ready(void)
{
    cr_expect(eq(uint, get("GET /readyz?verbose"), 503));
    cr_expect(answer_has("disk"), "%.*s", (int)disk.answer.body.size,
              disk.answer.body.data);
    cr_expect(eq(uint, get("GET /livez"), 200));
}

/* Milliseconds until a write is taken again. */
static uint64_t wait_until_writable(void)
{
    uint64_t start_ns = clock_mono_ns();

    for (int i = 0; i < 1000; i++) {
        unsigned status = put(0);

        if (status == 201 || status == 204)
            return (clock_mono_ns() - start_ns) / 1000000;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    cr_fatal("no write is taken, the last answer was %u %.*s",
             disk.answer.status, (int)disk.answer.body.size,
             disk.answer.body.data);
    return 0;
}

static void restart_after_kill(void)
{
    http_close(&disk.http);
    kistd_kill(&disk.kistd);
    kistd_start(&disk.kistd, flags);
}

static void cycle(size_t rest)
{
    for (unsigned key = 0; key < KEYS / 2; key++)
        put(key);
    fill_disk(rest);
    write_until_full();
    expect_refusal();
    expect_all_acknowledged("while the disk is full");
    expect_not_ready();
    free_disk();
    cr_expect(le(u64, wait_until_writable(), 10000));
    cr_expect(eq(uint, get("GET /readyz"), 200));
    expect_all_acknowledged("after the disk was full");
    restart_after_kill();
    expect_all_acknowledged("after a restart");
}

Test(disk, a_disk_filled_by_others_loses_no_acknowledged_write)
{
    for (int i = 0; i < CYCLES; i++)
        cycle((size_t)i * 64 * 1024);
}

Test(disk, a_disk_filled_by_kist_itself_loses_no_acknowledged_write)
{
    char what[32];
    unsigned extra = 0, status = 201;

    for (; status == 201; extra++) {
        snprintf(what, sizeof what, "PUT /kv/extra%u", extra);
        status = ask(what, value_of(extra));
        cr_assert(lt(uint, extra, 5000));
    }
    /* A compaction may meet the end before the next look at the disk. */
    if (status == 504)
        ask("PUT /kv/other", value_of(extra));
    expect_refusal();
    expect_not_ready();
    for (unsigned i = 0; i + 1 < extra; i++) {
        snprintf(what, sizeof what, "GET /kv/extra%u", i);
        cr_assert(eq(uint, get(what), 200));
        cr_assert(view_equal(blob_view(&disk.answer.body), value_of(i)),
                  "value %u of %u", i, extra);
    }
    restart_after_kill();
    for (unsigned i = 0; i + 1 < extra; i++) {
        snprintf(what, sizeof what, "GET /kv/extra%u", i);
        cr_assert(eq(uint, get(what), 200), "after a restart");
    }
}

Test(disk, a_kill_on_a_full_disk_loses_no_acknowledged_write)
{
    for (unsigned key = 0; key < KEYS; key++)
        put(key);
    fill_disk(0);
    write_until_full();
    http_close(&disk.http);
    kistd_kill(&disk.kistd);
    free_disk();
    kistd_start(&disk.kistd, flags);
    expect_all_acknowledged("after a kill on a full disk");
    cr_expect(lt(uint, put(1), 300));
}

Test(disk, a_start_on_a_full_disk_serves_reads_or_says_why)
{
    int status = 0;

    for (unsigned key = 0; key < KEYS; key++)
        put(key);
    http_close(&disk.http);
    kistd_kill(&disk.kistd);
    fill_disk(64 * 1024); /* The log needs a little room. */
    if (kistd_try_start(&disk.kistd, flags, &status)) {
        expect_all_acknowledged("started on a full disk");
    } else {
        struct blob log = kistd_log(&disk.kistd);

        cr_expect(ne(int, status, 0));
        cr_expect(gt(sz, log.size, 0));
        blob_free(&log);
    }
    http_close(&disk.http);
    if (disk.kistd.pid != 0)
        kistd_kill(&disk.kistd);
    free_disk();
    kistd_start(&disk.kistd, flags);
    expect_all_acknowledged("after space came back");
}

/*
 * A full disk passes, and nothing gets worse by trying. The reason is in a log
 * that is on this disk, too.
 */
Test(disk, a_start_without_any_room_is_refused_as_temporary)
{
    char ballast[128];
    int status = 0;

    for (unsigned key = 0; key < KEYS; key++)
        put(key);
    http_close(&disk.http);
    kistd_kill(&disk.kistd);
    snprintf(ballast, sizeof ballast, "%s/data/ballast", disk.kistd.directory);
    cr_assert(zero(int, unlink(ballast)));
    fill_disk(0);
    for (int i = 0; i < 3; i++) {
        bool started = kistd_try_start(&disk.kistd, flags, &status);

        cr_assert(not(started));
        cr_expect(ne(int, WIFEXITED(status), 0));
        cr_expect(eq(int, WEXITSTATUS(status), 74));
    }
    free_disk();
    kistd_start(&disk.kistd, flags);
    expect_all_acknowledged("after space came back");
    cr_expect(lt(uint, put(1), 300));
}

/* 507 before a byte of it is sent, and the room stays for the small ones. */
Test(disk, a_large_value_that_does_not_fit_is_refused_and_small_ones_go_on)
{
    static const char head[] = "PUT /kv/big HTTP/1.1\r\nHost: k\r\n"
                               "Content-Type: application/octet-stream\r\n"
                               "Expect: 100-continue\r\n"
                               "Content-Length: 37748736\r\n\r\n";

    http_open(&disk.http, disk.kistd.port);
    cr_assert(http_send_text(&disk.http, head));
    cr_assert(http_read(&disk.http, HTTP_WITH_BODY, &disk.answer));
    cr_expect(eq(uint, disk.answer.status, 507));
    http_close(&disk.http);
    cr_expect(eq(uint, ask("PUT /kv/small", value_of(1)), 201));
    cr_expect(eq(uint, get("GET /readyz"), 200));
}

/* Each takes a third of what is free: the one before must be gone by then. */
Test(disk, a_large_value_replaced_again_and_again_does_not_fill_the_disk)
{
    enum { BIG = 8 << 20, TIMES = 12 };
    static char bytes[BIG];
    uint64_t until_ns = clock_mono_ns() + UINT64_C(60000000000);

    for (int i = 0; i < TIMES; i++) {
        unsigned status;

        memset(bytes, 'a' + i, BIG);
        do
            status = ask("PUT /kv/big", (struct view){bytes, BIG});
        while (status == 507 && clock_mono_ns() < until_ns);
        cr_assert(eq(uint, status, i == 0 ? 201 : 204));
    }
    cr_assert(eq(uint, get("GET /kv/big"), 200));
    cr_expect(eq(sz, disk.answer.body.size, BIG));
    cr_expect(eq(int, memcmp(disk.answer.body.data, bytes, BIG), 0));
}
