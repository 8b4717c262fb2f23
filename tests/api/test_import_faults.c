/*
 * The lines of an import on a disk that fails and without memory: each n-th
 * call fails once. The reading says so, no file is left that no operation
 * names, and the same lines are read whole the next time. Leaks are for the
 * address sanitizer to find.
 */
#include "api/export_line.h"
#include "api/import_read.h"
#include "service/settings.h"
#include "storage/large.h"
#include "tests/support/fault.h"
#include "tests/support/large_files.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { INLINE = 4096, IN_MEMORY = 3000, IN_LINE = 9000, IN_FILE = 500000 };

static const struct settings settings = {.inline_bytes = INLINE,
                                         .max_json_bytes = 1 << 20,
                                         .max_value_bytes = 1 << 20,
                                         .ttl_max_ms = 100000};

static struct scratch scratch;
static struct store *store;
static struct blob lines, expected;

static void add_whole(const char *key, size_t size)
{
    static char value[IN_LINE];
    struct record record = {.version = {1000, 1},
                            .created_ms = 1000,
                            .media_type = VIEW_LITERAL("text/plain"),
                            .value = {value, size}};

    memset(value, key[0], size);
    export_line_record(view_of(key), &record, &lines);
}

static void add_pieces(const char *key, size_t size)
{
    static char value[IN_FILE];
    struct large_reference reference = {.size = size};
    struct blob encoded = BLOB_EMPTY;
    struct record record = {.version = {1000, 1},
                            .created_ms = 1000,
                            .media_type = VIEW_LITERAL("text/plain"),
                            .large = true};
    size_t half = size / 2;

    memset(value, key[0], size);
    large_reference_encode(&reference, &encoded);
    record.value = blob_view(&encoded);
    export_line_record(view_of(key), &record, &lines);
    export_line_piece(view_of(key), 0, (struct view){value, half}, &lines);
    export_line_piece(view_of(key), half,
                      (struct view){value + half, size - half}, &lines);
    blob_free(&encoded);
}

/* What it is of, and its file is dropped, as where a write is refused. */
static void note(const struct batch_operation *operation, struct blob *out)
{
    struct large_reference reference = {.size = operation->put.value.size};

    cr_assert(not(operation->refused), "%s", operation->detail);
    if (operation->put.large) {
        cr_assert(large_reference_decode(operation->put.value, &reference) ==
                  KIST_OK);
        large_drop(store_large(store), &reference);
    }
    blob_append(out, operation->key);
    blob_printf(out, " %u %d\n", (unsigned)reference.size,
                operation->put.large);
}

static enum kist_status read_all(struct import_reader *reader, struct blob *out)
{
    static struct import_operation operations[IMPORT_ROUND];
    enum kist_status status = KIST_OK;
    size_t at = 0, count = 1;

    while (status == KIST_OK && (at < lines.size || count > 0)) {
        status = import_reader_run(reader, blob_view(&lines), &at, true,
                                   operations, &count);
        for (size_t i = 0; i < count; i++) {
            note(&operations[i].operation, out);
            batch_operation_clear(&operations[i].operation);
        }
    }
    cr_assert(zero(u64, import_reader_counts(reader)->failed));
    return status;
}

static enum kist_status import(struct blob *out)
{
    struct import_reader_options options = {
        .settings = &settings, .store = store, .mode = IMPORT_OVERWRITE};
    struct import_reader *reader = NULL;
    enum kist_status status = import_reader_open(&options, &reader);

    if (status == KIST_OK)
        status = read_all(reader, out);
    import_reader_close(reader);
    large_tend(store_large(store));
    return status;
}

static void set_up(void)
{
    struct store_options options = {.ballast_bytes = 1 << 16,
                                    .reserve_bytes = 1 << 20};
    static const struct store_hooks nobody;
    struct engine_fault fault;

    scratch_make(&scratch);
    fault_watch(scratch.path);
    options.path = scratch.path;
    cr_assert(store_open(&options, &nobody, &fault, &store) == KIST_OK, "%s",
              fault.text);
    add_whole("a", IN_MEMORY);
    add_whole("b", IN_LINE);
    add_pieces("c", IN_MEMORY);
    add_pieces("d", IN_FILE);
    export_line_end(4, &lines);
    cr_assert(import(&expected) == KIST_OK);
    cr_assert(view_is(blob_view(&expected),
                      "a 3000 0\nb 9000 1\nc 3000 0\nd 500000 1\n"),
              "%.*s", (int)expected.size, expected.data);
}

static void tear_down(void)
{
    fault_disarm();
    store_close(store);
    scratch_remove(&scratch);
    blob_free(&lines);
    blob_free(&expected);
}

TestSuite(import_faults, .init = set_up, .fini = tear_down, .timeout = 60);

static void expect_nothing_left(const char *what)
{
    cr_expect(large_files_count(scratch.path, NULL) == 0, "%s: a file", what);
    cr_expect(large_files_count(scratch.path, "incoming") == 0,
              "%s: a file that was coming", what);
}

/* False: the n-th call was never made. */
static bool fail_one(enum fault_call call, unsigned nth, int error,
                     enum kist_status wanted)
{
    struct blob out = BLOB_EMPTY;
    size_t files = fault_open_files();
    char what[60];

    snprintf(what, sizeof(what), "call %d, number %u", (int)call, nth);
    if (blob_reserve(&out, 1000) != KIST_OK) /* The test's own. */
        return false;
    fault_arm(call, nth, FAULT_ONCE, error);
    enum kist_status status = import(&out);
    bool fired = fault_disarm();

    cr_expect(status == (fired ? wanted : KIST_OK), "%s: %s", what,
              kist_status_name(status));
    cr_expect(out.size <= expected.size &&
                  memcmp(out.data, expected.data, out.size) == 0,
              "%s: %.*s", what, (int)out.size, out.data);
    cr_expect(fired || out.size == expected.size, "%s", what);
    cr_expect(fault_open_files() == files, "%s: descriptors are left", what);
    expect_nothing_left(what);
    blob_free(&out);
    return fired;
}

static void fail_each(enum fault_call call, int error, enum kist_status wanted,
                      unsigned least)
{
    unsigned nth = 0;

    while (fail_one(call, nth, error, wanted))
        nth++;
    cr_expect(ge(uint, nth, least));
}

Test(import_faults, lines_without_memory_are_not_half_taken)
{
    fail_each(FAULT_ALLOCATION, ENOMEM, KIST_NO_MEMORY, 20);
}

Test(import_faults, values_without_room_leave_no_files)
{
    fail_each(FAULT_OPEN, ENOSPC, KIST_DISK_FULL, 2);
    fail_each(FAULT_WRITE, ENOSPC, KIST_DISK_FULL, 3);
}

Test(import_faults, values_on_a_failing_disk_leave_no_files)
{
    fail_each(FAULT_WRITE, EIO, KIST_IO, 3);
    fail_each(FAULT_SYNC, EIO, KIST_IO, 4);
    fail_each(FAULT_RENAME, EIO, KIST_IO, 2);
}
