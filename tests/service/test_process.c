/* What kistd says of itself is what the kernel says. */
#include "base/clock.h"
#include "service/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct process process;
static struct metrics *metrics;
static struct blob text;

static void set_up(void)
{
    cr_assert(eq(int, metrics_open(&metrics), KIST_OK));
    process_init(&process, metrics, "1.2.3");
    cr_assert(eq(int, metrics_seal(metrics), KIST_OK));
}

static void tear_down(void)
{
    metrics_close(metrics);
    blob_free(&text);
}

TestSuite(process, .init = set_up, .fini = tear_down, .timeout = 10);

/* The value of a series without labels. */
static double scrape(const char *name)
{
    char line[64];
    snprintf(line, sizeof(line), "\n%s ", name);

    blob_clear(&text);
    metrics_render(metrics, METRICS_PROMETHEUS, &text);
    blob_append_byte(&text, '\0');
    cr_assert(not(text.failed));

    const char *at = strstr(text.data, line);
    cr_assert(ne(ptr, (void *)at, NULL), "no %s", name);
    return strtod(at + strlen(line), NULL);
}

Test(process, an_opened_file_is_counted)
{
    double before = scrape("process_open_fds");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    cr_assert(ge(int, fd, 0));
    cr_assert(eq(dbl, scrape("process_open_fds"), before + 1));
    close(fd);
    cr_assert(eq(dbl, scrape("process_open_fds"), before));
    cr_assert(gt(dbl, scrape("process_max_fds"), before));
}

Test(process, touched_memory_is_resident)
{
    size_t size = 32u << 20;
    double before = scrape("process_resident_memory_bytes");
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert(ne(ptr, memory, MAP_FAILED));
    memset(memory, 1, size);
    cr_assert(gt(dbl, scrape("process_resident_memory_bytes"),
                 before + (double)size / 2));
    cr_assert(ge(dbl, scrape("process_virtual_memory_bytes"),
                 scrape("process_resident_memory_bytes")));
    munmap(memory, size);
}

Test(process, spent_cpu_time_grows)
{
    double before = scrape("process_cpu_seconds_total");
    while (scrape("process_cpu_seconds_total") < before + 0.02)
        ; /* The suite's time limit ends a clock that stands still. */
}

Test(process, the_start_is_now_and_stays)
{
    double start = scrape("process_start_time_seconds");
    double now = (double)clock_wall_ms() / 1e3;

    cr_assert(gt(dbl, start, now - 60));
    cr_assert(le(dbl, start, now));
    cr_assert(eq(dbl, scrape("process_start_time_seconds"), start));
}

Test(process, the_build_is_a_label)
{
    scrape("process_open_fds");
    cr_assert(ne(ptr,
                 strstr(text.data, "\nkist_build_info{version=\"1.2.3\"} 1\n"),
                 NULL));
}
