#include "storage/redis_refusal.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct redis_refusal read(const char *text)
{
    return redis_refusal_read(view_of(text));
}

Test(redis_refusal, moved_and_ask_say_where)
{
    struct redis_refusal moved = read("MOVED 3999 127.0.0.1:6381");
    struct redis_refusal ask = read("ASK 3999 fe80::1:6381");
    struct redis_refusal same = read("MOVED 1 :6382");

    cr_expect(eq(int, moved.kind, REDIS_REFUSAL_MOVED));
    cr_expect(eq(str, moved.address.host, "127.0.0.1"));
    cr_expect(eq(uint, moved.address.port, 6381));
    cr_expect(eq(int, ask.kind, REDIS_REFUSAL_ASK));
    cr_expect(eq(str, ask.address.host, "fe80::1"));
    cr_expect(eq(uint, ask.address.port, 6381));
    cr_expect(eq(str, same.address.host, ""));
    cr_expect(eq(uint, same.address.port, 6382));
}

Test(redis_refusal, of_a_place_that_is_none_only_casts_doubt)
{
    cr_expect(eq(int, read("MOVED 3999 nowhere").kind, REDIS_REFUSAL_DEMOTED));
    cr_expect(eq(int, read("MOVED").kind, REDIS_REFUSAL_DEMOTED));
    cr_expect(eq(int, read("ASK 1 a:99999").kind, REDIS_REFUSAL_DEMOTED));
}

Test(redis_refusal, says_whether_to_wait)
{
    static const struct {
        const char *text;
        enum redis_refusal_kind kind;
        enum kist_status status;
    } cases[] = {
        {"TRYAGAIN Multiple keys request", REDIS_REFUSAL_LATER, KIST_OK},
        {"CLUSTERDOWN The cluster is down", REDIS_REFUSAL_LATER, KIST_OK},
        {"LOADING Redis is loading", REDIS_REFUSAL_LATER, KIST_OK},
        {"MASTERDOWN Link", REDIS_REFUSAL_LATER, KIST_OK},
        {"READONLY You can't write", REDIS_REFUSAL_DEMOTED, KIST_OK},
        {"NOSCRIPT No matching script", REDIS_REFUSAL_NOSCRIPT, KIST_OK},
        {"OOM command not allowed", REDIS_REFUSAL_FINAL, KIST_DISK_FULL},
        {"ERR unknown command", REDIS_REFUSAL_FINAL, KIST_IO},
        {"MOVEDX 1 a:1", REDIS_REFUSAL_FINAL, KIST_IO},
        {"", REDIS_REFUSAL_FINAL, KIST_IO},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis_refusal refusal = read(cases[i].text);

        cr_expect(eq(int, refusal.kind, cases[i].kind), "%s", cases[i].text);
        if (refusal.kind == REDIS_REFUSAL_FINAL)
            cr_expect(eq(int, refusal.status, cases[i].status), "%s",
                      cases[i].text);
    }
}
