/*
 * A disk that fails: EIO from write or fdatasync, while kistd runs.
 *
 * What was not made durable is not acknowledged, reads go on, and when the
 * disk is well again writes are, without a restart. faulty.c is preloaded,
 * so a kistd with a sanitizer, which must come first, is not tested here.
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
    setenv("KIST_FAULT_BELOW", below, 1);
    snprintf(below, sizeof below, "%s/fault", faults.kistd.directory);
    setenv("KIST_FAULT", below, 1);
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
    else if (answer_has("\"unknown\""))
        faults.maybe[key] = n;
    else
        cr_expect(answer_has("\"not_applied\""), "%u %.*s", status,
                  (int)faults.answer.body.size, faults.answer.body.data);
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

static void fail_and_recover(const char *call)
{
    for (unsigned key = 0; key < KEYS; key++)
        cr_assert(lt(uint, put(key), 300));
    begin_fault(call);
    for (unsigned key = 0; key < KEYS; key++) {
        unsigned status = put(key);

        cr_expect(status == 503 || status == 504 || status == 507,
                  "%u while %s fails", status, call);
    }
    cr_expect(eq(uint, ask("GET /livez", NULL), 200));
    end_fault(call);
    wait_until_writable();
    expect_all_acknowledged("after the fault");
    http_close(&faults.http);
    kistd_kill(&faults.kistd);
    kistd_start(&faults.kistd, NULL);
    expect_all_acknowledged("after a restart");
}

Test(faults, a_sync_that_fails_is_no_acknowledgement)
{
    for (int i = 0; i < 5; i++)
        fail_and_recover("fdatasync");
}

Test(faults, a_write_that_fails_is_no_acknowledgement)
{
    for (int i = 0; i < 5; i++)
        fail_and_recover("write");
}

Test(faults, a_kill_while_the_disk_fails_loses_no_acknowledged_write)
{
    for (unsigned key = 0; key < KEYS; key++)
        cr_assert(lt(uint, put(key), 300));
    begin_fault("write");
    for (unsigned key = 0; key < KEYS; key++)
        cr_expect(ge(uint, put(key), 500));
    http_close(&faults.http);
    kistd_kill(&faults.kistd);
    end_fault("write");
    kistd_start(&faults.kistd, NULL);
    expect_all_acknowledged("after a kill");
    cr_expect(lt(uint, put(1), 300));
}
