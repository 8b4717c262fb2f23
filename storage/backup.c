#include "storage/backup.h"

#include "base/clock.h"
#include "storage/backup_frame.h"
#include "storage/large_reader.h"
#include "storage/snapshot.h"

#include <inttypes.h>
#include <stdlib.h>

/* Of a frame, before it is packed; the last record may go beyond. */
#define PIECE_BYTES ((size_t)256 << 10)

enum stage { AT_HEAD, AT_RECORDS, AT_VALUE, AT_TAIL, AT_END };

struct backup {
    struct store *store;
    struct snapshot *snapshot;
    struct backup_packer *packer;
    struct backup_chain chain;
    enum stage stage;
    struct backup_counts counts;
    uint64_t began_ms;
    struct blob about;

    struct blob piece; /* Not packed yet. */
    struct blob key, record;

    struct large_reader *value; /* The large one at hand; or NULL. */
};

static enum kist_status open_parts(struct backup *backup)
{
    if (blob_reserve(&backup->piece, PIECE_BYTES) != KIST_OK ||
        backup->about.failed || backup_packer_open(&backup->packer) != KIST_OK)
        return KIST_NO_MEMORY;
    return snapshot_open(backup->store, &backup->snapshot);
}

enum kist_status backup_open(struct store *store, struct view about,
                             struct backup **out_backup)
{
    struct backup *backup = calloc(1, sizeof(*backup));
    enum kist_status status;

    if (backup == NULL)
        return KIST_NO_MEMORY;
    backup->store = store;
    backup->began_ms = clock_wall_ms();
    blob_append(&backup->about, about);
    status = open_parts(backup);
    if (status != KIST_OK) {
        backup_close(backup);
        return status;
    }
    *out_backup = backup;
    return KIST_OK;
}

static void close_value(struct backup *backup)
{
    large_reader_close(backup->value);
    backup->value = NULL;
}

void backup_close(struct backup *backup)
{
    if (backup == NULL)
        return;
    close_value(backup);
    snapshot_close(backup->snapshot);
    backup_packer_close(backup->packer);
    blob_free(&backup->about);
    blob_free(&backup->piece);
    blob_free(&backup->key);
    blob_free(&backup->record);
    free(backup);
}

struct view backup_key(const struct backup *backup)
{
    return blob_view(&backup->key);
}

const struct backup_counts *backup_counts(const struct backup *backup)
{
    return &backup->counts;
}

/* The frames. */

static enum kist_status pack(struct backup *backup, enum backup_kind kind,
                             struct blob *out)
{
    if (backup->piece.failed)
        return KIST_NO_MEMORY;
    return backup_frame_pack(backup->packer, &backup->chain, kind,
                             blob_view(&backup->piece), out);
}

static enum kist_status give_head(struct backup *backup, struct blob *out)
{
    const struct hlc *clock = store_clock(backup->store);

    blob_printf(&backup->piece,
                "kist backup\n"
                "format %d\n"
                "node %016" PRIx64 "\n"
                "time-ms %" PRIu64 "\n"
                "clock-lease-ms %" PRIu64 "\n",
                BACKUP_FORMAT, clock->incarnation, backup->began_ms,
                hlc_lease_ms(clock));
    blob_append(&backup->piece, blob_view(&backup->about));
    backup->stage = AT_RECORDS;
    return pack(backup, BACKUP_HEAD, out);
}

void backup_print_tail(const struct backup_counts *counts, struct blob *out)
{
    char largest[VERSION_HEX_SIZE + 1];

    version_to_hex(counts->largest, largest);
    blob_printf(out,
                "records %" PRIu64 "\n"
                "record-bytes %" PRIu64 "\n"
                "large-values %" PRIu64 "\n"
                "large-value-bytes %" PRIu64 "\n"
                "largest-version %s\n",
                counts->records, counts->record_bytes, counts->values,
                counts->value_bytes, largest);
}

static enum kist_status give_tail(struct backup *backup, struct blob *out)
{
    backup_print_tail(&backup->counts, &backup->piece);
    backup->stage = AT_END;
    return pack(backup, BACKUP_TAIL, out);
}

/* The record's file, whose pieces follow. */
static enum kist_status begin_value(struct backup *backup,
                                    const struct record *record)
{
    struct large_reference reference;
    enum kist_status status = large_reference_decode(record->value, &reference);

    if (status == KIST_OK)
        status = large_reader_open(store_large(backup->store), &reference,
                                   &backup->value);
    if (status == KIST_NOT_FOUND) /* It is held: so it was lost. */
        status = KIST_CORRUPT;
    if (status != KIST_OK)
        return status;
    backup->stage = AT_VALUE;
    backup->counts.values++;
    backup->counts.value_bytes += reference.size;
    return KIST_OK;
}

static enum kist_status add_record(struct backup *backup)
{
    struct backup_counts *counts = &backup->counts;
    struct view key = blob_view(&backup->key);
    struct view bytes = blob_view(&backup->record);
    struct record record;
    enum kist_status status = record_decode(key, bytes, &record);

    if (status != KIST_OK)
        return status;
    counts->records++;
    counts->record_bytes += key.size + bytes.size;
    if (version_compare(record.version, counts->largest) > 0)
        counts->largest = record.version;
    blob_append_u16(&backup->piece, (uint16_t)key.size);
    blob_append(&backup->piece, key);
    blob_append_u32(&backup->piece, (uint32_t)bytes.size);
    blob_append(&backup->piece, bytes);
    return record.large && !record.tombstone ? begin_value(backup, &record)
                                             : KIST_OK;
}

static enum kist_status give_records(struct backup *backup, struct blob *out)
{
    enum kist_status status = KIST_OK;

    while (status == KIST_OK && backup->stage == AT_RECORDS &&
           backup->piece.size < PIECE_BYTES) {
        blob_clear(&backup->key);
        blob_clear(&backup->record);
        status = snapshot_next(backup->snapshot, &backup->key, &backup->record);
        if (status == KIST_OK)
            status = add_record(backup);
    }
    if (status == KIST_NOT_FOUND) {
        status = KIST_OK;
        backup->stage = AT_TAIL;
        if (backup->piece.size == 0)
            return give_tail(backup, out);
    }
    return status == KIST_OK ? pack(backup, BACKUP_RECORDS, out) : status;
}

static enum kist_status give_value(struct backup *backup, struct blob *out)
{
    enum kist_status status =
        large_reader_next(backup->value, PIECE_BYTES, &backup->piece);

    if (status != KIST_OK)
        return status;
    if (large_reader_left(backup->value) == 0) {
        close_value(backup);
        backup->stage = AT_RECORDS;
    }
    return pack(backup, BACKUP_VALUE, out);
}

enum kist_status backup_piece(struct backup *backup, struct blob *out)
{
    enum stage stage = backup->stage;

    blob_clear(&backup->piece);
    if (stage != AT_END && snapshot_is_dear(backup->snapshot))
        return KIST_DISK_FULL;
    switch (stage) {
    case AT_HEAD:
        return give_head(backup, out);
    case AT_RECORDS:
        return give_records(backup, out);
    case AT_VALUE:
        return give_value(backup, out);
    case AT_TAIL:
        return give_tail(backup, out);
    case AT_END:
        break;
    }
    return KIST_OK;
}
