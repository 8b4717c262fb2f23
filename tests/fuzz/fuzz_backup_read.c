/*
 * A backup, as it is; and the frames of one, whose checksums are right: each
 * begins with a byte for its kind and ends with two NULs. It is refused with a
 * reason and a place, or all that is in it was told.
 */
#include "storage/backup_frame.h"
#include "storage/backup_read.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct told {
    bool manifest;
    uint64_t records, value_bytes;
};

static enum kist_status
on_manifest(void *ctx, const struct backup_manifest *manifest, struct view text)
{
    struct told *told = ctx;

    (void)manifest;
    assert(!told->manifest && told->records == 0 && text.size > 0);
    told->manifest = true;
    return KIST_OK;
}

static enum kist_status on_record(void *ctx, struct view key, struct view bytes,
                                  const struct record *record,
                                  const struct large_reference *reference)
{
    struct told *told = ctx;

    assert(told->manifest && key.size > 0 && bytes.size > RECORD_HEAD_SIZE);
    assert(reference == NULL || record->large);
    told->records++;
    return KIST_OK;
}

static enum kist_status on_value(void *ctx, struct view bytes, bool is_last)
{
    struct told *told = ctx;

    (void)is_last;
    assert(bytes.size > 0);
    told->value_bytes += bytes.size;
    return KIST_OK;
}

static void read_file(struct view bytes)
{
    struct told told = {0};
    struct backup_visitor visitor = {&told, on_manifest, on_record, on_value};
    struct engine_fault fault;
    struct backup_summary summary;
    int file = memfd_create("backup", MFD_CLOEXEC);
    enum kist_status status;

    assert(file >= 0);
    assert(write(file, bytes.data, bytes.size) == (ssize_t)bytes.size);
    assert(lseek(file, 0, SEEK_SET) == 0);
    status = backup_read(file, &visitor, &fault, &summary);
    close(file);
    if (status != KIST_OK) {
        assert(status == KIST_CORRUPT || status == KIST_INVALID);
        assert(fault.text[0] != '\0');
        return;
    }
    assert(told.manifest && told.records == summary.counts.records);
    assert(told.value_bytes == summary.counts.value_bytes);
    assert(summary.bytes == bytes.size);
}

/* Up to two NULs, or the end. */
static struct view cut_frame(struct view *rest)
{
    const char *end = memmem(rest->data, rest->size, "\0\0", 2);
    struct view frame = *rest;

    if (end == NULL) {
        *rest = view_from(*rest, rest->size);
        return frame;
    }
    frame.size = (size_t)(end - rest->data);
    *rest = view_from(*rest, frame.size + 2);
    return frame;
}

static void read_frames(struct view input)
{
    struct backup_packer *packer;
    struct backup_chain chain = {0};
    struct blob file = BLOB_EMPTY;

    assert(backup_packer_open(&packer) == KIST_OK);
    while (input.size > 0) {
        struct view frame = cut_frame(&input);
        unsigned kind = frame.size > 0 ? (unsigned char)frame.data[0] % 4 : 0;

        if (frame.size > 0)
            frame = view_from(frame, 1);
        assert(backup_frame_pack(packer, &chain, (enum backup_kind)kind, frame,
                                 &file) == KIST_OK);
    }
    read_file(blob_view(&file));
    backup_packer_close(packer);
    blob_free(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view input = {(const char *)data, size};

    read_file(input);
    read_frames(input);
    return 0;
}
