#include "storage/backup_frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Little-endian: the magic and the size of what zstd skips. */
#define SKIPPED_HEAD "\x5B\x2A\x4D\x18\x24\0\0\0"
#define OUR_MAGIC    "kistback"

enum {
    SKIPPED_HEAD_SIZE = 8,
    KIND_AT = 16,
    KIND_SIZE = 4,
    NUMBER_AT = 20,
    PACKED_SIZE_AT = 28,
    SIZE_AT = 32,
    CHECKSUM_AT = 36,

    /* Quick: a backup shall not take a core from who is served. */
    LEVEL = 1,
};

static const char kinds[][KIND_SIZE + 1] = {
    [BACKUP_HEAD] = "head",
    [BACKUP_RECORDS] = "recs",
    [BACKUP_VALUE] = "valu",
    [BACKUP_TAIL] = "tail",
};

struct backup_packer {
    ZSTD_CCtx *in;
    ZSTD_DCtx *out;
    XXH3_state_t *hash;
};

enum kist_status backup_packer_open(struct backup_packer **out_packer)
{
    struct backup_packer *packer = calloc(1, sizeof(*packer));

    if (packer == NULL)
        return KIST_NO_MEMORY;
    packer->in = ZSTD_createCCtx();
    packer->out = ZSTD_createDCtx();
    packer->hash = XXH3_createState();
    if (packer->in == NULL || packer->out == NULL || packer->hash == NULL) {
        backup_packer_close(packer);
        return KIST_NO_MEMORY;
    }
    *out_packer = packer;
    return KIST_OK;
}

void backup_packer_close(struct backup_packer *packer)
{
    if (packer == NULL)
        return;
    ZSTD_freeCCtx(packer->in);
    ZSTD_freeDCtx(packer->out);
    XXH3_freeState(packer->hash);
    free(packer);
}

static uint64_t checksum_of(struct backup_packer *packer, uint64_t seed,
                            const char *head, struct view packed)
{
    XXH3_64bits_reset_withSeed(packer->hash, seed);
    XXH3_64bits_update(packer->hash, head + SKIPPED_HEAD_SIZE,
                       CHECKSUM_AT - SKIPPED_HEAD_SIZE);
    XXH3_64bits_update(packer->hash, packed.data, packed.size);
    return XXH3_64bits_digest(packer->hash);
}

static void step(struct backup_chain *chain, uint64_t checksum)
{
    chain->number++;
    chain->checksum = checksum;
}

static void append_head(const struct backup_chain *chain, enum backup_kind kind,
                        size_t packed_size, size_t size, struct blob *out)
{
    blob_append(out, (struct view){SKIPPED_HEAD, SKIPPED_HEAD_SIZE});
    blob_append_text(out, OUR_MAGIC);
    blob_append_text(out, kinds[kind]);
    blob_append_u64(out, chain->number);
    blob_append_u32(out, (uint32_t)packed_size);
    blob_append_u32(out, (uint32_t)size);
}

enum kist_status backup_frame_pack(struct backup_packer *packer,
                                   struct backup_chain *chain,
                                   enum backup_kind kind, struct view bytes,
                                   struct blob *out)
{
    size_t start = out->size, bound = ZSTD_compressBound(bytes.size), packed;
    struct blob head = BLOB_EMPTY;
    uint64_t checksum;
    char *into;

    assert(bytes.size <= BACKUP_FRAME_MAX);
    if (blob_reserve(out, BACKUP_FRAME_HEAD_SIZE + bound) != KIST_OK)
        return KIST_NO_MEMORY;
    into = out->data + start + BACKUP_FRAME_HEAD_SIZE;
    packed = ZSTD_compressCCtx(packer->in, into, bound, bytes.data, bytes.size,
                               LEVEL);
    if (ZSTD_isError(packed)) /* There was room: so no memory. */
        return KIST_NO_MEMORY;

    append_head(chain, kind, packed, bytes.size, &head);
    if (head.failed) {
        blob_free(&head);
        return KIST_NO_MEMORY;
    }
    checksum = checksum_of(packer, chain->checksum, head.data,
                           (struct view){into, packed});
    blob_append(out, blob_view(&head)); /* All of it fits: see above. */
    blob_append_u64(out, checksum);
    out->size += packed;
    blob_free(&head);
    step(chain, checksum);
    return KIST_OK;
}

static bool find_kind(const char *at, enum backup_kind *out_kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (memcmp(at, kinds[i], KIND_SIZE) == 0) {
            *out_kind = (enum backup_kind)i;
            return true;
        }
    return false;
}

const char *backup_frame_head(struct view head,
                              const struct backup_chain *chain,
                              struct backup_frame *out_frame)
{
    const char *at = head.data;

    assert(head.size == BACKUP_FRAME_HEAD_SIZE);
    if (memcmp(at, SKIPPED_HEAD, SKIPPED_HEAD_SIZE) != 0 ||
        memcmp(at + SKIPPED_HEAD_SIZE, OUR_MAGIC, strlen(OUR_MAGIC)) != 0)
        return chain->number == 0 ? "this is not a backup of kist"
                                  : "there is no frame where one must begin";
    *out_frame = (struct backup_frame){
        .number = read_u64(at + NUMBER_AT),
        .packed_size = read_u32(at + PACKED_SIZE_AT),
        .size = read_u32(at + SIZE_AT),
        .checksum = read_u64(at + CHECKSUM_AT),
    };
    if (!find_kind(at + KIND_AT, &out_frame->kind))
        return "the frame is of no known kind";
    if (out_frame->number != chain->number)
        return "a frame is missing, or not in its place";
    if (out_frame->size > BACKUP_FRAME_MAX ||
        out_frame->packed_size > ZSTD_compressBound(out_frame->size))
        return "the frame's size is impossible";
    return NULL;
}

const char *backup_frame_unpack(struct backup_packer *packer,
                                struct backup_chain *chain, struct view head,
                                const struct backup_frame *frame,
                                struct view packed, struct blob *out)
{
    size_t size;

    assert(packed.size == frame->packed_size);
    blob_clear(out);
    if (checksum_of(packer, chain->checksum, head.data, packed) !=
        frame->checksum)
        return "the frame's checksum is wrong";
    if (blob_reserve(out, frame->size) != KIST_OK) {
        out->failed = true;
        return "there is not enough memory for the frame";
    }
    size = ZSTD_decompressDCtx(packer->out, out->data, frame->size, packed.data,
                               packed.size);
    if (ZSTD_isError(size) || size != frame->size)
        return "the frame cannot be unpacked";
    out->size = size;
    step(chain, frame->checksum);
    return NULL;
}
