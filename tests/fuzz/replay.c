/*
 * A fuzz target as an ordinary test: every file of its corpus, then some
 * thousand mutations of them, the same ones in every run.
 *
 *     fuzz_<name> <corpus folder> [mutations]
 *
 * An input that breaks the target is left in the working folder, in
 * fuzz-crash.<process id>: fixed, it becomes a file of the corpus.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MUTATIONS = 20000, FILES = 1024, LARGEST = 1 << 16 };

struct corpus {
    struct blob files[FILES];
    size_t count;
};

/* For the handler of a crash alone. */
static struct view current;
static char crash_path[64];

static void save_crash(int signal_number)
{
    int file = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (file >= 0 && write(file, current.data, current.size) >= 0)
        close(file);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static uint64_t next(uint64_t *state)
{
    uint64_t word = *state += 0x9E3779B97F4A7C15;

    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9;
    word = (word ^ word >> 27) * 0x94D049BB133111EB;
    return word ^ word >> 31;
}

static size_t below(uint64_t *state, size_t bound)
{
    return (size_t)(next(state) >> 16) % bound;
}

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(2);
}

static void read_file(const char *folder, const char *name, struct blob *out)
{
    char path[4096];
    size_t size;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >=
        (int)sizeof(path))
        fail("the name is too long", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || blob_reserve(out, LARGEST) != KIST_OK)
        fail("cannot be read", path);
    size = fread(out->data, 1, LARGEST, file);
    out->size = size;
    fclose(file);
}

/* The names in order, so that mutations do not depend on the file system. */
static void read_corpus(const char *folder, struct corpus *corpus)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);

    if (count < 0)
        fail("is no folder", folder);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && corpus->count < FILES)
            read_file(folder, entries[i]->d_name,
                      &corpus->files[corpus->count++]);
        free(entries[i]);
    }
    free(entries);
    if (corpus->count == 0)
        fail("holds no files", folder);
}

static void run(struct view input)
{
    /* A block of its own size: reading past it is seen by a sanitizer. */
    char *copy = malloc(input.size + 1);

    if (copy == NULL)
        fail("no memory", "replay");
    if (input.size > 0)
        memcpy(copy, input.data, input.size);
    current = (struct view){copy, input.size};
    LLVMFuzzerTestOneInput((const uint8_t *)copy, input.size);
    free(copy);
}

/* before + piece + what is left after cutting cut bytes. */
static void replace_part(struct blob *text, size_t at, size_t cut,
                         struct view piece)
{
    struct blob made = BLOB_EMPTY;

    if (cut > text->size - at)
        cut = text->size - at;
    blob_append(&made, (struct view){text->data, at});
    blob_append(&made, piece);
    blob_append(&made, view_from(blob_view(text), at + cut));
    blob_free(text);
    *text = made;
}

static void mutate_once(uint64_t *state, const struct corpus *corpus,
                        struct blob *text)
{
    const struct blob *other = &corpus->files[below(state, corpus->count)];
    size_t at = below(state, text->size + 1);
    size_t start = below(state, other->size + 1);
    size_t size = below(state, 20);
    char byte = (char)next(state);

    if (size > other->size - start)
        size = other->size - start;
    switch (below(state, 5)) {
    case 0:
        replace_part(text, at, 1, (struct view){&byte, 1});
        break;
    case 1:
        replace_part(text, at, 0, (struct view){&byte, 1});
        break;
    case 2:
        replace_part(text, at, 1 + below(state, 8), (struct view){NULL, 0});
        break;
    case 3:
        replace_part(text, at, 0, (struct view){other->data + start, size});
        break;
    default:
        replace_part(text, at, size, (struct view){other->data + start, size});
    }
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    uint64_t state = 1;

    if (argc < 2)
        fail("usage: <corpus folder> [mutations]", argv[0]);
    snprintf(crash_path, sizeof(crash_path), "fuzz-crash.%d", (int)getpid());
    signal(SIGABRT, save_crash);
    signal(SIGSEGV, save_crash);
    read_corpus(argv[1], &corpus);
    for (size_t i = 0; i < corpus.count; i++)
        run(blob_view(&corpus.files[i]));

    long mutations = argc > 2 ? atol(argv[2]) : MUTATIONS;
    for (long i = 0; i < mutations; i++) {
        const struct blob *file = &corpus.files[below(&state, corpus.count)];
        struct blob text = BLOB_EMPTY;

        blob_append(&text, blob_view(file));
        for (size_t times = 1 + below(&state, 4); times > 0; times--)
            mutate_once(&state, &corpus, &text);
        run(blob_view(&text));
        blob_free(&text);
    }
    printf("%zu files and %ld mutations of them\n", corpus.count, mutations);
    for (size_t i = 0; i < corpus.count; i++)
        blob_free(&corpus.files[i]);
    return 0;
}
