#include "storage/data_dir.h"

#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scratch scratch;
static char path[128];
static struct engine_fault fault;
static struct data_dir *data_dir;

static void set_up(void)
{
    scratch_make(&scratch);
    snprintf(path, sizeof(path), "%s/data", scratch.path);
}

static void tear_down(void)
{
    data_dir_close(data_dir);
    scratch_remove(&scratch);
}

static enum kist_status open_it(void)
{
    return data_dir_open(path, "leveldb", &fault, &data_dir);
}

static void close_it(void)
{
    data_dir_close(data_dir);
    data_dir = NULL;
}

static void write_text(const char *name, const char *text)
{
    char file[192];
    FILE *stream;

    snprintf(file, sizeof(file), "%s/%s", path, name);
    stream = fopen(file, "w");
    cr_assert(stream != NULL);
    fputs(text, stream);
    fclose(stream);
}

static bool exists(const char *name)
{
    char file[192];

    snprintf(file, sizeof(file), "%s/%s", path, name);
    return access(file, F_OK) == 0;
}

TestSuite(data_dir, .init = set_up, .fini = tear_down, .timeout = 10);

Test(data_dir, is_made_private_and_opens_again)
{
    struct stat about;

    cr_assert(eq(int, open_it(), KIST_OK), "%s", fault.text);
    cr_assert(zero(int, stat(path, &about)));
    cr_assert(eq(uint, about.st_mode & 0777, 0700));
    cr_assert(eq(str, (char *)data_dir_path(data_dir), path));
    cr_assert(strstr(data_dir_engine_path(data_dir), "/data/leveldb") != NULL);
    close_it();
    cr_assert(eq(int, open_it(), KIST_OK), "%s", fault.text);
}

Test(data_dir, may_be_an_empty_directory_or_a_fresh_mount)
{
    char lost[160];

    snprintf(lost, sizeof(lost), "%s/lost+found", path);
    cr_assert(zero(int, mkdir(path, 0755)));
    cr_assert(zero(int, mkdir(lost, 0700)));
    cr_assert(eq(int, open_it(), KIST_OK), "%s", fault.text);
}

Test(data_dir, needs_the_directory_above_it)
{
    snprintf(path, sizeof(path), "%s/missing/data", scratch.path);
    cr_assert(eq(int, open_it(), KIST_INVALID));
    cr_assert(strstr(fault.text, "create it first") != NULL);
}

Test(data_dir, leaves_a_strangers_directory_untouched)
{
    cr_assert(zero(int, mkdir(path, 0755)));
    write_text("precious", "bytes");
    cr_assert(eq(int, open_it(), KIST_INVALID));
    cr_assert(strstr(fault.text, path) != NULL);
    cr_assert(not(exists("kist.lock")));
    cr_assert(not(exists("FORMAT")));
}

Test(data_dir, refuses_what_is_no_directory)
{
    FILE *stream = fopen(path, "w");

    cr_assert(stream != NULL);
    fclose(stream);
    cr_assert(eq(int, open_it(), KIST_INVALID));
    cr_assert(strstr(fault.text, "not a directory") != NULL);
}

Test(data_dir, belongs_to_one_process_whose_number_is_told)
{
    char mine[32];
    int code;
    pid_t child;

    cr_assert(eq(int, open_it(), KIST_OK));
    child = fork();
    cr_assert(ge(int, child, 0));
    if (child == 0) {
        struct data_dir *second;
        enum kist_status status =
            data_dir_open(path, "leveldb", &fault, &second);

        snprintf(mine, sizeof(mine), "process %ld;", (long)getppid());
        _exit(status == KIST_BUSY && strstr(fault.text, mine) != NULL &&
                      strstr(fault.text, path) != NULL
                  ? 0
                  : 1);
    }
    cr_assert(eq(int, waitpid(child, &code, 0), child));
    cr_assert(zero(int, code));
}

Test(data_dir, is_free_again_when_its_process_was_killed)
{
    int ready[2], code;
    pid_t child;
    char byte;

    cr_assert(zero(int, pipe(ready)));
    child = fork();
    cr_assert(ge(int, child, 0));
    if (child == 0) {
        if (open_it() != KIST_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
    }
    cr_assert(eq(sz, (size_t)read(ready[0], &byte, 1), 1));
    cr_assert(eq(int, open_it(), KIST_BUSY));
    cr_assert(zero(int, kill(child, SIGKILL)));
    cr_assert(eq(int, waitpid(child, &code, 0), child));
    cr_assert(eq(int, open_it(), KIST_OK), "%s", fault.text);
}

static void expect_refusal(const char *format, enum kist_status status,
                           const char *words)
{
    write_text("FORMAT", format);
    cr_assert(eq(int, open_it(), status), "%s", format);
    cr_assert(strstr(fault.text, words) != NULL, "%s", fault.text);
}

Test(data_dir, refuses_formats_and_engines_that_are_not_its_own)
{
    cr_assert(eq(int, open_it(), KIST_OK));
    close_it();
    expect_refusal("kist data directory\nformat 2\nengine leveldb\n",
                   KIST_INVALID, "format 2");
    expect_refusal("kist data directory\nformat 1\nengine rocksdb\n",
                   KIST_INVALID, "start with --engine rocksdb");
    expect_refusal("", KIST_CORRUPT, "damaged");
    expect_refusal("kist data directory\nformat 1\nengine level", KIST_CORRUPT,
                   "damaged");
    expect_refusal("kist data dir\nformat 1\nengine leveldb\n", KIST_CORRUPT,
                   "damaged");
}

Test(data_dir, a_first_start_that_was_killed_half_way_is_taken_up)
{
    cr_assert(zero(int, mkdir(path, 0700)));
    write_text("kist.lock", "1\n");
    write_text("FORMAT.tmp", "kist da");
    cr_assert(eq(int, open_it(), KIST_OK), "%s", fault.text);
}

Test(data_dir, closing_nothing_is_allowed)
{
    data_dir_close(NULL);
}
