#include "replication/frame.h"

#include "replication/ring.h"

#include <assert.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    FORMAT = 1,
    ANSWER = 0x80,
    AT_ITEMS = 6,
    AT_SIZE = 60,
    CHECKSUM_SIZE = 8,
    PUSHED_SIZE = 18,
    KEY_MAX = 1024,
};

void frame_begin(const struct frame *frame, struct blob *out)
{
    assert(out->size == 0);
    blob_append(out, VIEW_LITERAL("KP"));
    blob_append_byte(out, FORMAT);
    blob_append_byte(out, (char)(frame->kind | (frame->answer ? ANSWER : 0)));
    blob_append_byte(out, (char)frame->status);
    blob_append_byte(out, 0);
    blob_append_u16(out, 0);
    blob_append_u64(out, frame->cluster);
    blob_append_u64(out, frame->epoch);
    blob_append_u64(out, frame->digest);
    blob_append_u64(out, frame->from);
    blob_append_u64(out, frame->to);
    blob_append_u64(out, frame->wall_ms);
    blob_append_u32(out, frame->budget_ms);
    blob_append_u32(out, 0);
}

void frame_seal(unsigned items, struct blob *out)
{
    size_t size = out->size - FRAME_HEAD_SIZE;

    if (out->failed)
        return;
    assert(items <= FRAME_ITEMS_MAX && size <= UINT32_MAX);
    for (unsigned i = 0; i < 2; i++)
        out->data[AT_ITEMS + i] = (char)(items >> (8 - 8 * i));
    for (unsigned i = 0; i < 4; i++)
        out->data[AT_SIZE + i] = (char)(size >> (24 - 8 * i));
    blob_append_u64(out, XXH3_64bits(out->data, out->size));
}

/* Over the answer to one item. False: it is cut short. */
static bool skip_pushed(struct view *body);
static bool skip_fetched(struct view *body);

/* A row a kind: what is not here is none. */
static const struct kind {
    bool is_known;
    bool is_for_home;
    bool (*skip_answer)(struct view *body); /* NULL: cannot be told apart. */
} kinds[] = {
    [FRAME_PUSH] = {.is_known = true, .skip_answer = skip_pushed},
    [FRAME_FETCH] = {.is_known = true, .skip_answer = skip_fetched},
    [FRAME_SUMS] = {.is_known = true},
    [FRAME_BEAT] = {.is_known = true, .is_for_home = true},
    [FRAME_LIST] = {.is_known = true},
    [FRAME_SCAN] = {.is_known = true},
    [FRAME_RING] = {.is_known = true, .is_for_home = true},
    [FRAME_ADOPT] = {.is_known = true, .is_for_home = true},
    [FRAME_PREPARE] = {.is_known = true, .is_for_home = true},
    [FRAME_ACCEPT] = {.is_known = true, .is_for_home = true},
    [FRAME_MOVES] = {.is_known = true, .is_for_home = true},
    [FRAME_FLOOR] = {.is_known = true, .is_for_home = true},
};

static const struct kind *kind_of(unsigned number)
{
    static const struct kind none = {0};

    return number < sizeof(kinds) / sizeof(kinds[0]) ? &kinds[number] : &none;
}

enum kist_status frame_decode(struct view bytes, struct frame *out_frame)
{
    const char *head = bytes.data;
    size_t size;
    unsigned kind;

    if (bytes.size < FRAME_HEAD_SIZE + CHECKSUM_SIZE ||
        memcmp(head, "KP", 2) != 0 || head[2] != FORMAT || head[5] != 0)
        return KIST_CORRUPT;
    size = bytes.size - FRAME_HEAD_SIZE - CHECKSUM_SIZE;
    kind = (unsigned char)head[3] & ~(unsigned)ANSWER;
    if (read_u32(head + AT_SIZE) != size || !kind_of(kind)->is_known ||
        (unsigned char)head[4] > FRAME_BAD ||
        read_u16(head + AT_ITEMS) > FRAME_ITEMS_MAX)
        return KIST_CORRUPT;
    if (XXH3_64bits(head, FRAME_HEAD_SIZE + size) !=
        read_u64(head + FRAME_HEAD_SIZE + size))
        return KIST_CORRUPT;

    *out_frame = (struct frame){
        .kind = (enum frame_kind)kind,
        .answer = ((unsigned char)head[3] & ANSWER) != 0,
        .status = (enum frame_status)head[4],
        .items = read_u16(head + AT_ITEMS),
        .cluster = read_u64(head + 8),
        .epoch = read_u64(head + 16),
        .digest = read_u64(head + 24),
        .from = read_u64(head + 32),
        .to = read_u64(head + 40),
        .wall_ms = read_u64(head + 48),
        .budget_ms = read_u32(head + 56),
        .body = {head + FRAME_HEAD_SIZE, size},
    };
    return KIST_OK;
}

bool frame_is_for_home(struct view bytes)
{
    return bytes.size >= FRAME_HEAD_SIZE &&
           kind_of((unsigned char)bytes.data[3])->is_for_home;
}

/* Items. */

static void add_record(struct view key, const struct record *record,
                       struct blob *out)
{
    size_t at = out->size;
    size_t size;

    blob_append_u32(out, 0);
    record_encode(key, record, out);
    if (out->failed)
        return;
    size = out->size - at - 4;
    for (unsigned i = 0; i < 4; i++)
        out->data[at + i] = (char)(size >> (24 - 8 * i));
}

void frame_add_push(const struct frame_push *push, struct blob *out)
{
    blob_append_byte(out, (char)push->source);
    blob_append_byte(out, (char)push->sync);
    blob_append_u16(out, (uint16_t)push->key.size);
    blob_append(out, push->key);
    add_record(push->key, &push->record, out);
}

void frame_add_pushed(const struct frame_pushed *pushed, struct blob *out)
{
    blob_append_byte(out, (char)pushed->result);
    blob_append_byte(out, pushed->replaced);
    if (pushed->result == FRAME_COMING) {
        blob_append_u64(out, pushed->progress);
        blob_append_u64(out, 0);
        return;
    }
    blob_append_u64(out, pushed->winner.hlc);
    blob_append_u64(out, pushed->winner.incarnation);
}

void frame_add_fetch(struct view key, struct blob *out)
{
    blob_append_u16(out, (uint16_t)key.size);
    blob_append(out, key);
}

void frame_add_fetched(struct view key, const struct record *record,
                       struct blob *out)
{
    blob_append_byte(out, record != NULL);
    if (record != NULL)
        add_record(key, record, out);
    else
        blob_append_u32(out, 0);
}

static void add_part(struct env_part part, struct blob *out)
{
    blob_append_u32(out, part.partition);
    blob_append_u16(out, (uint16_t)part.leaf);
}

void frame_add_sums(struct env_part part, struct blob *out)
{
    add_part(part, out);
}

void frame_add_summed(struct bucket_sum sum, struct blob *out)
{
    blob_append_u64(out, sum.high);
    blob_append_u64(out, sum.low);
}

void frame_add_list(struct env_part part, struct view after, struct blob *out)
{
    add_part(part, out);
    frame_add_fetch(after, out);
}

void frame_add_entry(const struct frame_entry *entry, struct blob *out)
{
    frame_add_fetch(entry->key, out);
    blob_append_u64(out, entry->version.hlc);
    blob_append_u64(out, entry->version.incarnation);
}

void frame_add_beat(const struct frame_beat *beat, struct blob *out)
{
    assert(beat->name.size <= RING_NAME_MAX);
    blob_append_byte(out, (char)beat->store);
    blob_append_byte(out, beat->clock_is_good);
    blob_append_u64(out, beat->plan);
    blob_append_u64(out, beat->vote);
    blob_append_byte(out, (char)beat->name.size);
    blob_append(out, beat->name);
}

void frame_add_ring(struct view ring, struct blob *out)
{
    blob_append_u32(out, (uint32_t)ring.size);
    blob_append(out, ring);
}

void frame_add_prepare(struct frame_ballot ballot, struct blob *out)
{
    blob_append_u64(out, ballot.round);
    blob_append_u64(out, ballot.proposer);
}

void frame_add_accept(struct frame_ballot ballot, struct view ring,
                      struct blob *out)
{
    frame_add_prepare(ballot, out);
    frame_add_ring(ring, out);
}

void frame_add_promise(const struct frame_promise *promise, struct blob *out)
{
    blob_append_byte(out, promise->granted);
    frame_add_prepare(promise->promised, out);
    frame_add_prepare(promise->accepted, out);
    frame_add_ring(promise->ring, out);
}

void frame_add_moves(uint64_t floor, struct blob *out)
{
    blob_append_u64(out, floor);
}

void frame_add_floor(const struct frame_floor *floor, struct blob *out)
{
    blob_append_byte(out, (char)floor->step);
    blob_append_u64(out, floor->level);
}

void frame_add_floor_said(enum frame_floor_said said, struct blob *out)
{
    blob_append_byte(out, (char)said);
}

void frame_add_moved(struct frame_moved moved, struct blob *out)
{
    blob_append_u32(out, moved.total);
    blob_append_u32(out, moved.done);
    blob_append_u64(out, moved.looks_total);
    blob_append_u64(out, moved.looks);
    blob_append_u64(out, moved.records);
    blob_append_u64(out, moved.bytes);
    blob_append_u64(out, moved.time_ms);
}

/* Take size bytes off the front of *body. */
static bool take(struct view *body, size_t size, struct view *out_part)
{
    if (body->size < size)
        return false;
    *out_part = (struct view){body->data, size};
    *body = view_from(*body, size);
    return true;
}

static bool take_key(struct view *body, struct view *out_key)
{
    struct view size;

    return take(body, 2, &size) && take(body, read_u16(size.data), out_key) &&
           out_key->size > 0 && out_key->size <= KEY_MAX;
}

static bool take_bytes(struct view *body, struct view *out_bytes)
{
    struct view size;

    return take(body, 4, &size) && take(body, read_u32(size.data), out_bytes);
}

enum kist_status frame_next_push(struct view *body, struct frame_push *out_push)
{
    struct frame_push push;
    struct view head, bytes;

    if (!take(body, 2, &head) || (unsigned char)head.data[0] > FRAME_HINT ||
        (unsigned char)head.data[1] > ENGINE_SYNC ||
        !take_key(body, &push.key) || !take_bytes(body, &bytes))
        return KIST_CORRUPT;
    push.source = (enum frame_source)head.data[0];
    push.sync = (enum engine_sync)head.data[1];
    if (record_decode(push.key, bytes, &push.record) != KIST_OK ||
        version_is_none(push.record.version))
        return KIST_CORRUPT;
    *out_push = push;
    return KIST_OK;
}

enum kist_status frame_next_pushed(struct view *body,
                                   struct frame_pushed *out_pushed)
{
    struct view item;

    if (!take(body, PUSHED_SIZE, &item) ||
        (unsigned char)item.data[0] > FRAME_COMING ||
        (unsigned char)item.data[1] > 1)
        return KIST_CORRUPT;
    *out_pushed = (struct frame_pushed){
        .result = (enum frame_result)item.data[0],
        .replaced = item.data[1] == 1,
        .winner = {read_u64(item.data + 2), read_u64(item.data + 10)},
    };
    if (out_pushed->result == FRAME_COMING) {
        out_pushed->progress = out_pushed->winner.hlc;
        out_pushed->winner = VERSION_NONE;
    }
    return KIST_OK;
}

enum kist_status frame_next_fetch(struct view *body, struct view *out_key)
{
    return take_key(body, out_key) ? KIST_OK : KIST_CORRUPT;
}

enum kist_status frame_next_fetched(struct view *body, struct view key,
                                    bool *out_found, struct record *out_record)
{
    struct view found, bytes;

    if (!take(body, 1, &found) || (unsigned char)found.data[0] > 1 ||
        !take_bytes(body, &bytes))
        return KIST_CORRUPT;
    *out_found = found.data[0] == 1;
    if (!*out_found)
        return bytes.size == 0 ? KIST_OK : KIST_CORRUPT;
    return record_decode(key, bytes, out_record);
}

static bool take_part(struct view *body, struct env_part *out_part)
{
    struct view part;

    if (!take(body, 6, &part))
        return false;
    *out_part = (struct env_part){read_u32(part.data), read_u16(part.data + 4)};
    return true;
}

enum kist_status frame_next_sums(struct view *body, struct env_part *out_part)
{
    return take_part(body, out_part) ? KIST_OK : KIST_CORRUPT;
}

enum kist_status frame_next_summed(struct view *body,
                                   struct bucket_sum *out_sum)
{
    struct view sum;

    if (!take(body, BUCKET_SUM_SIZE, &sum))
        return KIST_CORRUPT;
    *out_sum = (struct bucket_sum){read_u64(sum.data), read_u64(sum.data + 8)};
    return KIST_OK;
}

enum kist_status frame_next_list(struct view *body, struct env_part *out_part,
                                 struct view *out_after)
{
    struct view size;

    /* Here, an empty key is one: the beginning. */
    if (!take_part(body, out_part) || !take(body, 2, &size) ||
        read_u16(size.data) > KEY_MAX ||
        !take(body, read_u16(size.data), out_after))
        return KIST_CORRUPT;
    return KIST_OK;
}

enum kist_status frame_next_entry(struct view *body,
                                  struct frame_entry *out_entry)
{
    struct frame_entry entry;
    struct view version;

    if (!take_key(body, &entry.key) || !take(body, 16, &version))
        return KIST_CORRUPT;
    entry.version =
        (struct version){read_u64(version.data), read_u64(version.data + 8)};
    *out_entry = entry;
    return KIST_OK;
}

static bool skip_pushed(struct view *body)
{
    struct view pushed;

    return take(body, PUSHED_SIZE, &pushed);
}

static bool skip_fetched(struct view *body)
{
    struct view found, bytes;

    return take(body, 1, &found) && take_bytes(body, &bytes);
}

enum kist_status frame_next_answers(enum frame_kind kind, struct view *body,
                                    unsigned count, struct view *out_part)
{
    struct view left = *body;

    if (kind_of(kind)->skip_answer == NULL)
        return KIST_INVALID;
    for (unsigned i = 0; i < count; i++)
        if (!kind_of(kind)->skip_answer(&left))
            return KIST_CORRUPT;
    *out_part = (struct view){body->data, body->size - left.size};
    *body = left;
    return KIST_OK;
}

enum kist_status frame_next_beat(struct view *body, struct frame_beat *out_beat)
{
    struct view head, name;

    if (!take(body, 19, &head) || (unsigned char)head.data[0] > STORE_DOWN ||
        (unsigned char)head.data[1] > 1 || head.data[18] == 0 ||
        (unsigned char)head.data[18] > RING_NAME_MAX ||
        !take(body, (unsigned char)head.data[18], &name))
        return KIST_CORRUPT;
    *out_beat = (struct frame_beat){
        .name = name,
        .store = (enum store_state)head.data[0],
        .clock_is_good = head.data[1] == 1,
        .plan = read_u64(head.data + 2),
        .vote = read_u64(head.data + 10),
    };
    return KIST_OK;
}

enum kist_status frame_next_ring(struct view *body, struct view *out_ring)
{
    return take_bytes(body, out_ring) ? KIST_OK : KIST_CORRUPT;
}

static bool take_ballot(struct view *body, struct frame_ballot *out_ballot)
{
    struct view ballot;

    if (!take(body, 16, &ballot))
        return false;
    *out_ballot =
        (struct frame_ballot){read_u64(ballot.data), read_u64(ballot.data + 8)};
    return true;
}

enum kist_status frame_next_prepare(struct view *body,
                                    struct frame_ballot *out_ballot)
{
    return take_ballot(body, out_ballot) ? KIST_OK : KIST_CORRUPT;
}

enum kist_status frame_next_accept(struct view *body,
                                   struct frame_ballot *out_ballot,
                                   struct view *out_ring)
{
    if (!take_ballot(body, out_ballot) || !take_bytes(body, out_ring))
        return KIST_CORRUPT;
    return KIST_OK;
}

enum kist_status frame_next_promise(struct view *body,
                                    struct frame_promise *out_promise)
{
    struct frame_promise promise;
    struct view granted;

    if (!take(body, 1, &granted) || (unsigned char)granted.data[0] > 1 ||
        !take_ballot(body, &promise.promised) ||
        !take_ballot(body, &promise.accepted) ||
        !take_bytes(body, &promise.ring))
        return KIST_CORRUPT;
    promise.granted = granted.data[0] == 1;
    *out_promise = promise;
    return KIST_OK;
}

enum kist_status frame_next_moved(struct view *body,
                                  struct frame_moved *out_moved)
{
    struct view moved;

    if (!take(body, 48, &moved))
        return KIST_CORRUPT;
    *out_moved = (struct frame_moved){
        .total = read_u32(moved.data),
        .done = read_u32(moved.data + 4),
        .looks_total = read_u64(moved.data + 8),
        .looks = read_u64(moved.data + 16),
        .records = read_u64(moved.data + 24),
        .bytes = read_u64(moved.data + 32),
        .time_ms = read_u64(moved.data + 40),
    };
    return KIST_OK;
}

enum kist_status frame_next_moves(struct view *body, uint64_t *out_floor)
{
    struct view floor;

    if (!take(body, 8, &floor))
        return KIST_CORRUPT;
    *out_floor = read_u64(floor.data);
    return KIST_OK;
}

enum kist_status frame_next_floor(struct view *body,
                                  struct frame_floor *out_floor)
{
    struct view item;

    if (!take(body, 9, &item) ||
        (unsigned char)item.data[0] > FRAME_FLOOR_PURGE)
        return KIST_CORRUPT;
    *out_floor = (struct frame_floor){(enum frame_floor_step)item.data[0],
                                      read_u64(item.data + 1)};
    return KIST_OK;
}

enum kist_status frame_next_floor_said(struct view *body,
                                       enum frame_floor_said *out_said)
{
    struct view said;

    if (!take(body, 1, &said) || (unsigned char)said.data[0] > FRAME_FLOOR_LOST)
        return KIST_CORRUPT;
    *out_said = (enum frame_floor_said)said.data[0];
    return KIST_OK;
}
