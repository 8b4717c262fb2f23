/*
 * A log is a row of 32 KiB blocks. A record is one fragment (FULL) or several
 * (FIRST, MIDDLE..., LAST); a fragment never crosses a block.
 *
 * Fewer than 7 bytes at a block's end are filler. After damage inside a block
 * the next fragment is searched byte by byte, then at the next block's start.
 */
#include "storage/wal.h"

#include "storage/wal_fragment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK_SIZE = 32768 };

struct reader {
    const struct wal_visitor *visitor;
    struct wal_survey *survey;
    bool damaged;

    bool in_record; /* FIRST was seen, LAST not yet. */
    uint64_t record_at;
    struct blob record;

    uint64_t block_at;
    struct view block;
    char bytes[BLOCK_SIZE];
    struct crc32c crc;
};

static void note_damage(struct reader *reader, uint64_t at, uint64_t size)
{
    if (!reader->damaged)
        reader->survey->damage_at = at;
    reader->damaged = true;
    reader->survey->damaged_bytes += size;
}

static void note_record(struct reader *reader, uint64_t at, struct view bytes)
{
    struct wal_survey *survey = reader->survey;
    struct wal_record record = {
        .bytes = bytes,
        .at = at,
        .behind = reader->damaged ? at - survey->damage_at : 0,
    };
    bool believed = reader->visitor->record(reader->visitor->ctx, &record);

    if (!reader->damaged)
        survey->records++;
    else if (believed)
        survey->records_after++;
}

/* The record begun has no end. */
static void drop_record(struct reader *reader)
{
    if (reader->in_record)
        note_damage(reader, reader->record_at, reader->record.size);
    reader->in_record = false;
    blob_clear(&reader->record);
}

static void take_fragment(struct reader *reader, size_t at,
                          const struct wal_fragment *fragment)
{
    uint64_t offset = reader->block_at + at;
    bool begins = fragment->type == WAL_FRAGMENT_FULL ||
                  fragment->type == WAL_FRAGMENT_FIRST;
    bool ends = fragment->type == WAL_FRAGMENT_FULL ||
                fragment->type == WAL_FRAGMENT_LAST;

    if (begins) {
        drop_record(reader);
        reader->in_record = true;
        reader->record_at = offset;
    } else if (!reader->in_record) {
        note_damage(reader, offset, WAL_FRAGMENT_HEAD + fragment->bytes.size);
        return;
    }
    blob_append(&reader->record, fragment->bytes);
    if (ends && !reader->record.failed) {
        note_record(reader, reader->record_at, blob_view(&reader->record));
        reader->in_record = false;
        blob_clear(&reader->record);
    }
}

static bool fragment_at(const struct reader *reader, size_t at,
                        struct wal_fragment *out_fragment)
{
    return wal_fragment_at(&reader->crc, reader->block, at, out_fragment);
}

/* The next place an intact fragment begins, or the block's end. */
static size_t search(const struct reader *reader, size_t at)
{
    struct wal_fragment fragment;

    while (at < reader->block.size && !fragment_at(reader, at, &fragment))
        at++;
    return at;
}

static void read_fragments(struct reader *reader)
{
    size_t at = 0, size = reader->block.size;
    struct wal_fragment fragment;

    /* Without memory for a record there is no saying what is damaged. */
    while (at < size &&
           !(size == BLOCK_SIZE && size - at < WAL_FRAGMENT_HEAD) &&
           !reader->record.failed) {
        if (fragment_at(reader, at, &fragment)) {
            take_fragment(reader, at, &fragment);
            at += WAL_FRAGMENT_HEAD + fragment.bytes.size;
        } else {
            size_t intact = search(reader, at + 1);

            drop_record(reader);
            note_damage(reader, reader->block_at + at, intact - at);
            at = intact;
        }
    }
}

/* Whole blocks but the last. An empty one is the end. */
static bool read_block(struct reader *reader, int file)
{
    size_t size = 0;

    while (size < BLOCK_SIZE) {
        ssize_t got = pread(file, reader->bytes + size, BLOCK_SIZE - size,
                            (off_t)(reader->block_at + size));

        if (got == 0)
            break;
        if (got > 0)
            size += (size_t)got;
        else if (errno != EINTR)
            return false;
    }
    reader->block = (struct view){reader->bytes, size};
    return true;
}

static enum kist_status read_blocks(struct reader *reader, int file)
{
    do {
        if (!read_block(reader, file))
            return KIST_IO;
        read_fragments(reader);
        if (reader->record.failed)
            return KIST_NO_MEMORY;
        reader->block_at += reader->block.size;
    } while (reader->block.size == BLOCK_SIZE);

    drop_record(reader);
    reader->survey->size = reader->block_at;
    if (!reader->damaged)
        reader->survey->damage_at = reader->block_at;
    return KIST_OK;
}

enum kist_status wal_survey(int directory, const char *name,
                            const struct wal_visitor *visitor,
                            struct wal_survey *out_survey)
{
    struct wal_survey survey = {0};
    enum kist_status status;
    struct reader *reader;
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return errno == ENOENT ? KIST_NOT_FOUND : KIST_IO;
    reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        close(file);
        return KIST_NO_MEMORY;
    }
    reader->visitor = visitor;
    reader->survey = &survey;
    crc32c_init(&reader->crc);

    status = read_blocks(reader, file);
    if (status == KIST_OK)
        *out_survey = survey;
    blob_free(&reader->record);
    free(reader);
    close(file);
    return status;
}
