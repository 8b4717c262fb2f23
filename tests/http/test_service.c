/* What is not about keys: probes, metrics, version, start and stop. */
#include "tests/http/scene.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

TestSuite(service, .init = scene_open, .fini = scene_close, .timeout = 60);

static bool body_has(const char *part)
{
    return memmem(scene.answer.body.data, scene.answer.body.size, part,
                  strlen(part)) != NULL;
}

Test(service, it_lives_and_is_ready)
{
    ASK("GET /livez");
    expect_status(200);
    ASK("GET /readyz");
    expect_status(200);
    ASK("GET /readyz?verbose");
    expect_status(200);
    cr_expect(body_has("engine"));
    cr_expect(body_has("disk"));
    ASK("HEAD /livez");
    expect_status(200);
    expect_open();
}

Test(service, it_tells_its_version)
{
    ASK("GET /version");
    expect_status(200);
    cr_expect(json_object_get(document(), "version") != NULL);
}

Test(service, it_describes_its_interface)
{
    ASK("GET /openapi.yaml");
    expect_status(200);
    cr_expect(body_has("openapi: 3.1") || body_has("openapi: \"3.1"));
    cr_expect(body_has("/kv/{key}"));
    ASK("GET /");
    expect_status(200);
}

Test(service, metrics_count_requests_and_name_no_key)
{
    ask_for(201, "PUT /kv/very-private-key", "", "1");
    ASK("GET /kv/very-private-key");
    ASK("GET /metrics");
    expect_status(200);
    struct view type = header("Content-Type");
    cr_expect(view_starts_with(type, VIEW_LITERAL("text/plain; version=0.0.4")),
              "%.*s", (int)type.size, type.data);
    cr_expect(body_has("kist_"));
    cr_expect(body_has("_total"));
    cr_expect(body_has("process_resident_memory_bytes"));
    cr_expect(not(body_has("very-private-key")));
    ask("GET /metrics",
        "Accept: application/openmetrics-text; version=1.0.0\r\n", NULL);
    expect_status(200);
    type = header("Content-Type");
    cr_expect(
        view_starts_with(type, VIEW_LITERAL("application/openmetrics-text")));
    cr_expect(body_has("# EOF\n"));
}

Test(service, an_idle_server_stops_at_once)
{
    uint64_t start_ns = clock_mono_ns();

    reconnect();
    expect_well();
    cr_expect(eq(int, kistd_stop(&scene.kistd), 0));
    cr_expect(lt(u64, clock_mono_ns() - start_ns, UINT64_C(5000000000)));
}

Test(service, a_request_in_flight_is_finished_before_the_stop)
{
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
              "Content-Length: 3\r\n\r\n");
    hear();
    expect_status(100); /* It has the head. */
    http_send_text(&scene.http, "12");
    kill(scene.kistd.pid, SIGTERM);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    http_send_text(&scene.http, "3");
    hear();
    expect_status(201);
    expect_closed();
    cr_expect(eq(int, kistd_end(&scene.kistd), 0));
    kistd_start(&scene.kistd, NULL);
    expect_value("/kv/a", "123");
}

Test(service, a_stop_waits_for_no_slow_client)
{
    struct http slow[3];
    uint64_t start_ns = clock_mono_ns();

    ask_for(201, "PUT /kv/big", "Content-Type: text/plain\r\n",
            many(8 << 20, 'x'));
    for (int i = 0; i < 3; i++)
        http_open_narrow(&slow[i], scene.kistd.port, 4096);
    http_send_text(&slow[0], "GET /kv/bi");
    http_send_text(&slow[1], "PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                             "Content-Length: 3\r\n\r\n1");
    http_send_text(&slow[2], "GET /kv/big HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_well();
    cr_expect(eq(int, kistd_stop(&scene.kistd), 0));
    cr_expect(lt(u64, clock_mono_ns() - start_ns, UINT64_C(10500000000)));
    for (int i = 0; i < 3; i++)
        http_close(&slow[i]);
}

Test(service, a_hang_up_reloads_and_serves_on)
{
    ask_for(201, "PUT /kv/a", "", "1");
    kill(scene.kistd.pid, SIGHUP);
    for (int i = 0; i < 10; i++)
        expect_value("/kv/a", "1");
    expect_open();
}

static bool log_says(const char *event)
{
    struct blob log = kistd_log(&scene.kistd);
    bool found = memmem(log.data, log.size, event, strlen(event)) != NULL;

    blob_free(&log);
    return found;
}

/* Until the log says so: the signal was taken. */
static void await_stopping(void)
{
    for (int i = 0; i < 1000; i++) {
        if (log_says("\"stopping\""))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    cr_fatal("SIGTERM was not taken");
}

Test(service, a_probe_during_the_stop_learns_that_the_node_is_not_ready)
{
    struct http slow;

    http_open(&slow, scene.kistd.port);
    http_send_text(&slow, "PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                          "Content-Length: 3\r\n\r\n12");
    expect_well();
    http_close(&scene.http);
    kill(scene.kistd.pid, SIGTERM);
    await_stopping();

    http_open(&scene.http, scene.kistd.port);
    ASK("GET /readyz");
    expect_status(503);
    http_close(&scene.http);
    /* What came before the drain began is still served. */
    for (int i = 0; i < 1000; i++) {
        http_open(&scene.http, scene.kistd.port);
        ASK("GET /kv/a");
        if (scene.answer.status != 404)
            break;
        http_close(&scene.http);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    expect_problem(503, "stopping");
    http_send_text(&slow, "3");
    cr_expect(eq(int, kistd_end(&scene.kistd), 0));
    http_close(&slow);
}

Test(service, a_ctrl_c_that_comes_twice_is_one)
{
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
              "Content-Length: 3\r\n\r\n");
    hear();
    expect_status(100);
    kill(scene.kistd.pid, SIGINT);
    kill(scene.kistd.pid, SIGTERM);
    await_stopping();
    http_send_text(&scene.http, "123");
    hear();
    expect_status(201);
    cr_expect(eq(int, kistd_end(&scene.kistd), 0));
}

Test(service, a_stop_that_is_insisted_on_waits_for_nobody)
{
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
              "Content-Length: 3\r\n\r\n");
    hear();
    expect_status(100);
    kill(scene.kistd.pid, SIGTERM);
    await_stopping();
    /* Within its first second it may be the same Ctrl-C. */
    for (int i = 0; i < 100 && kistd_runs(&scene.kistd); i++) {
        kill(scene.kistd.pid, SIGTERM);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    cr_expect(eq(int, kistd_end(&scene.kistd), 0));
    cr_expect(log_says("\"stop.insisted\""));
}
