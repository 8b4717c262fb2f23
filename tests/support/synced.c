#include "tests/support/synced.h"

#include "tests/support/scratch.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTES = 1 << 14 };

/* A note stays with its inode; a new file with that number starts over. */
struct note {
    _Atomic uint64_t inode; /* 0: free. */
    _Atomic off_t size;
};

static struct note *notes; /* NULL: nobody asked. */

void synced_begin(void)
{
    notes = mmap(NULL, NOTES * sizeof(*notes), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (notes == MAP_FAILED)
        abort();
}

/* NULL: none, and none was to be made. */
static struct note *note_of(uint64_t inode, bool make)
{
    for (size_t i = inode % NOTES, n = 0; n < NOTES; n++, i = (i + 1) % NOTES) {
        uint64_t found = 0;

        if (make &&
            atomic_compare_exchange_strong(&notes[i].inode, &found, inode))
            return &notes[i];
        found = atomic_load(&notes[i].inode);
        if (found == inode)
            return &notes[i];
        if (found == 0)
            return NULL;
    }
    abort();
}

void synced_note_open(int file)
{
    struct stat about;

    if (notes == NULL || fstat(file, &about) != 0 || about.st_size > 0)
        return;
    atomic_store(&note_of(about.st_ino, true)->size, 0);
}

off_t synced_size(int file)
{
    struct stat about;

    return notes != NULL && fstat(file, &about) == 0 ? about.st_size : 0;
}

void synced_note(int file, off_t size)
{
    struct stat about;

    if (notes == NULL || fstat(file, &about) != 0)
        return;
    atomic_store(&note_of(about.st_ino, true)->size, size);
}

static void copy_bytes(int in, int out, off_t size)
{
    char buffer[1 << 14];

    for (off_t at = 0; at < size;) {
        size_t want = size - at < (off_t)sizeof(buffer) ? (size_t)(size - at)
                                                        : sizeof(buffer);
        ssize_t got = pread(in, buffer, want, at);

        if (got <= 0 || pwrite(out, buffer, (size_t)got, at) != got)
            abort();
        at += got;
    }
}

static void copy_file(void *ctx, const char *from, const char *to)
{
    uint64_t random = *(uint64_t *)ctx;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat about;
    off_t size, durable;

    if (in < 0 || out < 0 || fstat(in, &about) != 0)
        abort();
    random += about.st_ino * UINT64_C(0x9E3779B97F4A7C15);
    random ^= random >> 32;
    struct note *note = note_of(about.st_ino, false);
    size = about.st_size;
    durable = note != NULL ? atomic_load(&note->size) : size;
    if (durable > size)
        durable = size;
    switch (random % 4) {
    case 0:
        size = durable;
        break;
    case 1:
        durable = size;
        break;
    case 2:
        durable += (off_t)(random / 4 % (uint64_t)(size - durable + 1));
        size = durable;
        break;
    case 3: /* The file grew before its bytes came. */
        break;
    }
    copy_bytes(in, out, durable);
    if (ftruncate(out, size) != 0)
        abort();
    close(in);
    close(out);
}

void synced_copy_tree(const char *from, const char *to, uint64_t random)
{
    scratch_copy_tree_by(from, to, copy_file, &random);
}
