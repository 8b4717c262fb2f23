/*
 * A disk that fails: EIO from write or fdatasync, or no space although the
 * last look saw some, while kistd runs.
 *
 * After EIO only recovery can tell what is on disk, so kistd says why and
 * ends; what was not made durable is never acknowledged, and the next start
 * has all that was. After a full disk it recovers by itself: the engine that
 * failed must not take another write. faulty.c is preloaded, so a kistd with a
 * sanitizer, which must come first, is not tested here.
 */
#include "tests/support/give_up.h"
#include "tests/support/http.h"
#include "tests/support/kistd.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 20 };

static struct faults {
    struct kistd kistd;
    struct http http;
    struct http_answer answer;
    unsigned acked[KEYS]; /* The last value that was acknowledged. */
    unsigned maybe[KEYS]; /* A later one whose outcome is unknown. */
    unsigned last;
} faults;

static void open_faulty(void)
{
    char below[128];

    memset(&faults, 0, sizeof faults);
    faults.http.descriptor = -1;
    kistd_prepare(&faults.kistd, NULL);
    kistd_start(&faults.kistd, NULL);
    bool sanitized = kistd_is_sanitized(&faults.kistd);
    kistd_stop(&faults.kistd);
    if (sanitized) {
        kistd_remove(&faults.kistd);
        cr_skip_test("a sanitizer must be loaded first");
    }
    snprintf(below, sizeof below, "%s/data/", faults.kistd.directory);
    setenv("FAULTY_BELOW", below, 1);
    snprintf(below, sizeof below, "%s/fault", faults.kistd.directory);
    setenv("FAULTY", below, 1);
    setenv("LD_PRELOAD", FAULTY_LIBRARY, 1);
    kistd_start(&faults.kistd, NULL);
}

static void close_faulty(void)
{
    http_close(&faults.http);
    http_answer_free(&faults.answer);
    kistd_remove(&faults.kistd);
}

TestSuite(faults, .init = open_faulty, .fini = close_faulty, .timeout = 120);

static const char *fault_path(const char *call)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/fault.%s", faults.kistd.directory, call);
    return path;
}

static void begin_fault(const char *call)
{
    int file = open(fault_path(call), O_WRONLY | O_CREAT, 0600);

    if (file < 0)
        give_up("%s: %s", fault_path(call), strerror(errno));
    close(file);
}

static void end_fault(const char *call)
{
    unlink(fault_path(call));
}

static unsigned ask(const char *what, const char *body)
{
    struct view bytes = {NULL, 0};

    if (body != NULL)
        bytes = view_of(body);
    if (faults.http.descriptor < 0 || faults.answer.closes ||
        faults.http.ended) {
        http_close(&faults.http);
        http_open(&faults.http, faults.kistd.port);
    }
    http_ask(&faults.http, what, "", bytes, &faults.answer);
    return faults.answer.status;
}

static bool answer_has(const char *part)
{
    return faults.answer.body.size > 0 &&
           memmem(faults.answer.body.data, faults.answer.body.size, part,
                  strlen(part)) != NULL;
}

static unsigned put(unsigned key)
{
    char what[32], value[16];
    unsigned n = ++faults.last;

    snprintf(what, sizeof what, "PUT /kv/%u", key);
    snprintf(value, sizeof value, "%u", n);
    unsigned status = ask(what, value);
    if (status == 201 || status == 204)
        faults.acked[key] = faults.maybe[key] = n;
    return status;
}

static void expect_all_acknowledged(const char *when)
{
    char what[32], acked[16], maybe[16];

    for (unsigned key = 0; key < KEYS; key++) {
        snprintf(what, sizeof what, "GET /kv/%u", key);
        snprintf(acked, sizeof acked, "%u", faults.acked[key]);
        snprintf(maybe, sizeof maybe, "%u", faults.maybe[key]);
        unsigned status = ask(what, NULL);
        struct view found = blob_view(&faults.answer.body);
        cr_expect(status == 200 &&
                      (view_is(found, acked) || view_is(found, maybe)),
                  "%s: key %u is %u %.*s, not %s nor %s", when, key, status,
                  (int)found.size, found.data, acked, maybe);
    }
}

/* The write that meets the fault, or its connection, ends with kistd. */
static void put_on_a_bad_disk(unsigned key)
{
    char what[32], value[16];
    unsigned n = ++faults.last;

    snprintf(what, sizeof what, "PUT /kv/%u", key);
    snprintf(value, sizeof value, "%u", n);
    unsigned status = ask(what, value);
    cr_expect(status == 0 || status >= 500, "%u %.*s", status,
              (int)faults.answer.body.size, faults.answer.body.data);
    if (!answer_has("\"not_applied\""))
        faults.maybe[key] = n;
}

static void fail_and_restart(const char *call)
{
    for (unsigned key = 0; key < KEYS; key++)
        cr_assert(lt(uint, put(key), 300));
    begin_fault(call);
    put_on_a_bad_disk(3);
    http_close(&faults.http);
    cr_expect(ne(int, kistd_end(&faults.kistd), 0));

    struct blob log = kistd_log(&faults.kistd);
    cr_expect(memmem(log.data, log.size, "\"level\":\"error\"", 15) != NULL,
              "it says why");
    blob_free(&log);
    end_fault(call);
    kistd_start(&faults.kistd, NULL);
    expect_all_acknowledged("after a restart");
}

Test(faults, a_sync_that_fails_is_no_acknowledgement)
{
    for (int i = 0; i < 5; i++)
        fail_and_restart("fdatasync");
}

Test(faults, a_write_that_fails_is_no_acknowledgement)
{
    for (int i = 0; i < 5; i++)
        fail_and_restart("write");
}

static void wait_until_writable(void)
{
    for (int i = 0; i < 1000; i++) {
        unsigned status = put(0);

        if (status == 201 || status == 204)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    cr_fatal("no write is taken, the last answer was %u %.*s",
             faults.answer.status, (int)faults.answer.body.size,
             faults.answer.body.data);
}

Test(faults, a_full_disk_that_no_look_saw_loses_no_acknowledged_write)
{
    for (int i = 0; i < 5; i++) {
        for (unsigned key = 0; key < KEYS; key++)
            cr_assert(lt(uint, put(key), 300));
        begin_fault("full");
        for (unsigned key = 0; key < 3; key++)
            put_on_a_bad_disk(key);
        end_fault("full");
        wait_until_writable();
        for (unsigned key = 0; key < KEYS; key += 2)
            cr_expect(lt(uint, put(key), 300));
        expect_all_acknowledged("after the fault");
        http_close(&faults.http);
        kistd_kill(&faults.kistd);
        kistd_start(&faults.kistd, NULL);
        expect_all_acknowledged("after a restart");
    }
}
