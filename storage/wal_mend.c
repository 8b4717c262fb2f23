/*
 * What tells a cut from other damage: the head is whole, the entry ends before
 * its length says so, with whole entries from there to the end of the file, and
 * its sum is not that of the shorter one (that would be a damaged length).
 */
#include "storage/wal_mend.h"

#include "base/bytes.h"
#include "storage/small_file.h"
#include "storage/wal.h"
#include "storage/wal_fragment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MENDED_NAME "MANIFEST.mended"

enum {
    SIZE_MAX_MANIFEST = 256 << 20,
    NOTHING_LEAST = 3,
};

struct cut {
    struct view file;
    size_t at;     /* Of the entry's head. */
    size_t there;  /* Bytes behind the head. */
    size_t wanted; /* As the head says. */
    struct crc32c crc;
};

static enum kist_status read_file(int directory, const char *name,
                                  struct blob *out)
{
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
    enum kist_status status = KIST_OK;
    struct stat about;

    if (file < 0)
        return KIST_IO;
    if (fstat(file, &about) != 0 || about.st_size > SIZE_MAX_MANIFEST)
        status = KIST_IO;
    else
        status = blob_reserve(out, (size_t)about.st_size);
    while (status == KIST_OK && out->size < (size_t)about.st_size) {
        ssize_t got = read(file, out->data + out->size,
                           (size_t)about.st_size - out->size);

        if (got > 0)
            out->size += (size_t)got;
        else if (got == 0 || errno != EINTR)
            status = KIST_IO;
    }
    close(file);
    return status;
}

static bool find_cut(struct cut *cut)
{
    size_t behind = cut->at + WAL_FRAGMENT_HEAD;
    struct wal_fragment next;

    if (behind >= cut->file.size ||
        cut->file.data[cut->at + 6] != WAL_FRAGMENT_FULL)
        return false;
    cut->wanted = wal_fragment_length(cut->file, cut->at);
    cut->there = 0;
    while (cut->there < cut->wanted &&
           !wal_fragment_at(&cut->crc, cut->file, behind + cut->there, &next))
        cut->there++;
    return cut->there < cut->wanted && cut->wanted >= NOTHING_LEAST &&
           !wal_fragment_has_sum(&cut->crc, cut->file, cut->at, cut->there);
}

/*
 * "File 1 is not at level 0 any more", over and over: no table has that number.
 * The last one is spelled in as many bytes as are left.
 */
static void add_nothing(size_t size, struct blob *out)
{
    enum { DELETED_FILE = 6 };

    for (; size > 0; size -= size < 6 ? size : 3) {
        blob_append_byte(out, DELETED_FILE);
        blob_append_byte(out, 0);
        if (size >= 6 || size == 3) {
            blob_append_byte(out, 1);
            continue;
        }
        blob_append_byte(out, (char)0x81);
        if (size == 5)
            blob_append_byte(out, (char)0x80);
        blob_append_byte(out, 0);
    }
}

static void add_u32(uint32_t number, struct blob *out)
{
    for (int i = 0; i < 4; i++)
        blob_append_byte(out, (char)(number >> (8 * i)));
}

static void write_mended(const struct cut *cut, struct blob *out)
{
    struct blob entry = BLOB_EMPTY;

    blob_append_byte(&entry, WAL_FRAGMENT_FULL);
    add_nothing(cut->wanted, &entry);
    blob_append(out, (struct view){cut->file.data, cut->at});
    add_u32(crc32c_masked(crc32c_of(&cut->crc, blob_view(&entry))), out);
    blob_append_byte(out, (char)cut->wanted);
    blob_append_byte(out, (char)(cut->wanted >> 8));
    blob_append(out, blob_view(&entry));
    blob_append(out,
                view_from(cut->file, cut->at + WAL_FRAGMENT_HEAD + cut->there));
    out->failed = out->failed || entry.failed;
    blob_free(&entry);
}

static bool any(void *ctx, const struct wal_record *record)
{
    (void)ctx;
    (void)record;
    return true;
}

static enum kist_status is_whole(int directory)
{
    struct wal_visitor visitor = {NULL, any};
    struct wal_survey survey;
    enum kist_status status =
        wal_survey(directory, MENDED_NAME, &visitor, &survey);

    if (status == KIST_OK && survey.damage_at != survey.size)
        status = KIST_CORRUPT;
    return status;
}

/* Beside the old one; over it once it is seen to be whole. */
static enum kist_status replace(int directory, const char *name,
                                struct view bytes)
{
    enum kist_status status = small_file_replace(directory, MENDED_NAME, bytes);

    if (status == KIST_OK)
        status = is_whole(directory);
    if (status == KIST_OK &&
        (renameat(directory, MENDED_NAME, directory, name) != 0 ||
         fsync(directory) != 0))
        status = KIST_IO;
    if (status != KIST_OK)
        unlinkat(directory, MENDED_NAME, 0);
    return status;
}

enum kist_status wal_mend_manifest(int directory, const char *name,
                                   uint64_t damage_at)
{
    struct blob file = BLOB_EMPTY, mended = BLOB_EMPTY;
    struct cut cut = {.at = (size_t)damage_at};
    enum kist_status status = read_file(directory, name, &file);

    crc32c_init(&cut.crc);
    cut.file = blob_view(&file);
    if (status == KIST_OK && !find_cut(&cut))
        status = KIST_CORRUPT;
    if (status == KIST_OK) {
        write_mended(&cut, &mended);
        status = mended.failed ? KIST_NO_MEMORY
                               : replace(directory, name, blob_view(&mended));
    }
    blob_free(&file);
    blob_free(&mended);
    return status;
}
