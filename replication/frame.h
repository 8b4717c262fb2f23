/*
 * frame - one message between peers, or its answer, as bytes.
 *
 * Format 1, all numbers big-endian:
 *
 *   0  "KP"              2  format (1)         3  kind (1); answers: + 0x80
 *   4  status (1)        5  zero (1)           6  items (2)
 *   8  cluster (8)      16  ring epoch (8)    24  ring digest (8)
 *  32  from (8)         40  to (8)            48  wall ms of the sender (8)
 *  56  budget ms (4)    60  size of items (4) 64  items
 *  ..  checksum (8): XXH3-64 of all before
 *
 * from and to are incarnations: whoever lost its data is not the one that was
 * meant. The budget is what remains of the request's time, because clocks
 * differ and durations do not; what is late is not begun.
 *
 * Items, by kind:
 *   push            source (1) sync (1) key size (2) key record size (4) record
 *   pushed (answer) result (1) replaced (1) winner's version (16), or progress
 *                   (8) zero (8)
 *   fetch           key size (2) key
 *   fetched         found (1) record size (4) record, for FRAME_FETCHED_MIN
 *                   items at least: the others may be asked for again
 *   sums            partition (4) leaf (2)
 *   summed          sum (16)
 *   list            partition (4) leaf (2) key size (2) key to go on behind
 *   listed          an entry each, of all these parts: key size (2) key
 *                   version (16)
 *   scan            one item, and pages as answers: replication/scan_page.h
 *   beat, and its answer
 *                   store (1) clock is good (1) plan (8) vote (8)
 *                   name size (1) name
 *   ring            no items; the answer as adopt
 *   adopt           ring size (4) ring
 *   prepare         round (8) proposer (8)
 *   accept          round (8) proposer (8) ring size (4) ring
 *   promised        to both: granted (1) round (8) proposer (8), of the highest
 *                   promise; round (8) proposer (8) ring size (4) ring, of what
 *                   was accepted
 *   moves           the asker's floor (8)
 *   moved           partitions in all (4), of them moved (4); looks in all
 *                   (8), of them over (8); records (8) bytes (8) time ms (8)
 *   floor           step (1) level (8)
 *   said (answer)   0: no, 1: yes, 2: begin anew (1)
 */
#ifndef KIST_REPLICATION_FRAME_H
#define KIST_REPLICATION_FRAME_H

#include "replication/env.h"

#define FRAME_HEAD_SIZE 64
#define FRAME_ITEMS_MAX 1024
#define FRAME_PAGE_MAX  256 /* Entries of a list. */

/* So many fetches are answered at least; behind them the answer may end. */
#define FRAME_FETCHED_MIN 16

enum frame_kind {
    FRAME_PUSH = 1,
    FRAME_FETCH = 2,
    FRAME_SUMS = 3,
    /* 4 was a list of one part: members of that version are not understood. */
    FRAME_BEAT = 5, /* Whoever the sender is, and whatever its ring. */
    FRAME_LIST = 6, /* The answer has an item for each entry, of all parts. */
    FRAME_SCAN = 8, /* One item; the answer has one for each record. */

    /* About rings (replication/change.h). The first two: of any epoch. */
    FRAME_RING = 16,    /* Which ring do you have? */
    FRAME_ADOPT = 17,   /* This ring was decided on. */
    FRAME_PREPARE = 18, /* The two phases of a decision. */
    FRAME_ACCEPT = 19,
    FRAME_MOVES = 20, /* How far are you with what moves to you? */

    FRAME_FLOOR = 21, /* Take this step towards it (replication/floor.h). */
};

enum frame_status {
    FRAME_OK = 0,
    FRAME_STALE_RING,  /* The sender's ring is older than mine. */
    FRAME_FUTURE_RING, /* The sender's ring is newer than mine. */
    FRAME_NOT_ME,      /* Meant for another incarnation or cluster. */
    FRAME_LATE,        /* Its budget was over. Nothing was begun. */
    FRAME_BUSY,        /* No room for it now. Nothing was begun. */
    FRAME_BAD,         /* Not understood. */
};

struct frame {
    enum frame_kind kind;
    bool answer;
    enum frame_status status;
    unsigned items;
    uint64_t cluster;
    uint64_t epoch;
    uint64_t digest;
    uint64_t from;
    uint64_t to;
    uint64_t wall_ms;
    uint32_t budget_ms;
    struct view body; /* The items. */
};

/*
 * Write the head into *out, which is empty; items are appended after it, and
 * frame_seal() sets count, size and checksum. A failure sticks to the blob.
 */
void frame_begin(const struct frame *frame, struct blob *out);
void frame_seal(unsigned items, struct blob *out);

/* KIST_CORRUPT: not a whole frame of this format. Borrows bytes. */
KIST_CHECKED enum kist_status frame_decode(struct view bytes,
                                           struct frame *out_frame);

/*
 * Whether a message, as far as its head tells, is about members, rings or
 * floors: for its node as a whole, and not for one of its loops.
 */
bool frame_is_for_home(struct view bytes);

/* Why a record is sent: what is refused differs. */
enum frame_source {
    FRAME_CLIENT,   /* A client's write, right now. */
    FRAME_REPAIR,   /* A reader found the receiver behind. */
    FRAME_EXCHANGE, /* Another owner did, comparing. */
    FRAME_HINT,     /* A client's write, that was missed. */
};

struct frame_push {
    enum frame_source source;
    enum engine_sync sync;
    struct view key;
    struct record record;
};

enum frame_result {
    FRAME_DURABLE,  /* This record, or a newer one, is there. */
    FRAME_REFUSED,  /* Not taken, and not there because of this message. */
    FRAME_DOUBTFUL, /* It may be there. */
    FRAME_COMING,   /* Not there; its file is on its way: push it again. */
};

struct frame_pushed {
    enum frame_result result;
    bool replaced;         /* There was a live value before. */
    struct version winner; /* FRAME_DURABLE: what is there. */
    uint64_t progress;     /* FRAME_COMING: another one while it comes. */
};

void frame_add_push(const struct frame_push *push, struct blob *out);
void frame_add_pushed(const struct frame_pushed *pushed, struct blob *out);
void frame_add_fetch(struct view key, struct blob *out);
void frame_add_fetched(struct view key, const struct record *record,
                       struct blob *out); /* NULL: there is none. */

void frame_add_sums(struct env_part part, struct blob *out);
void frame_add_summed(struct bucket_sum sum, struct blob *out);
void frame_add_list(struct env_part part, struct view after, struct blob *out);

struct frame_entry {
    struct view key;
    struct version version;
};

void frame_add_entry(const struct frame_entry *entry, struct blob *out);

/* What a node says of itself, twice a second (replication/members.h). */
struct frame_beat {
    struct view name;
    enum store_state store;
    bool clock_is_good; /* It stamps versions. */
    uint64_t plan;      /* What it would found a cluster of; 0: nothing. */
    uint64_t vote;      /* The first ring that it stands for; 0: none yet. */
};

void frame_add_beat(const struct frame_beat *beat, struct blob *out);

/* Rings, as their bytes (replication/ring_bytes.h). */
struct frame_ballot {
    uint64_t round; /* 0: none. */
    uint64_t proposer;
};

struct frame_promise {
    bool granted;
    struct frame_ballot promised; /* The highest. */
    struct frame_ballot accepted;
    struct view ring; /* What was accepted, if anything was. */
};

struct frame_moved {
    uint32_t total; /* Partitions. */
    uint32_t done;  /* Of those. */
    /* A partition is looked for at several owners: each is a look. */
    uint64_t looks_total, looks;
    uint64_t records, bytes; /* That were fetched. */
    uint64_t time_ms;        /* Since it began. */
};

enum frame_floor_step {
    FRAME_FLOOR_FENCE,
    FRAME_FLOOR_MARK,
    FRAME_FLOOR_COMPARED,
    FRAME_FLOOR_FLOOR,
    FRAME_FLOOR_PURGE,
};

struct frame_floor {
    enum frame_floor_step step;
    uint64_t level; /* As a version's hlc. */
};

enum frame_floor_said {
    FRAME_FLOOR_NO, /* Not yet. */
    FRAME_FLOOR_YES,
    FRAME_FLOOR_LOST, /* What went before is forgotten. */
};

void frame_add_ring(struct view ring, struct blob *out);
void frame_add_prepare(struct frame_ballot ballot, struct blob *out);
void frame_add_accept(struct frame_ballot ballot, struct view ring,
                      struct blob *out);
void frame_add_promise(const struct frame_promise *promise, struct blob *out);
void frame_add_moves(uint64_t floor, struct blob *out);
void frame_add_moved(struct frame_moved moved, struct blob *out);
void frame_add_floor(const struct frame_floor *floor, struct blob *out);
void frame_add_floor_said(enum frame_floor_said said, struct blob *out);

/*
 * The item at the front of *body, which is then behind it. Views are borrowed.
 * KIST_CORRUPT: it is cut short, or says what cannot be; a record is checked
 * against its checksum and its key.
 */
KIST_CHECKED enum kist_status frame_next_push(struct view *body,
                                              struct frame_push *out_push);
KIST_CHECKED enum kist_status
frame_next_pushed(struct view *body, struct frame_pushed *out_pushed);
KIST_CHECKED enum kist_status frame_next_fetch(struct view *body,
                                               struct view *out_key);
KIST_CHECKED enum kist_status frame_next_fetched(struct view *body,
                                                 struct view key,
                                                 bool *out_found,
                                                 struct record *out_record);
KIST_CHECKED enum kist_status frame_next_sums(struct view *body,
                                              struct env_part *out_part);
KIST_CHECKED enum kist_status frame_next_summed(struct view *body,
                                                struct bucket_sum *out_sum);
KIST_CHECKED enum kist_status frame_next_list(struct view *body,
                                              struct env_part *out_part,
                                              struct view *out_after);
KIST_CHECKED enum kist_status frame_next_entry(struct view *body,
                                               struct frame_entry *out_entry);
KIST_CHECKED enum kist_status frame_next_beat(struct view *body,
                                              struct frame_beat *out_beat);
KIST_CHECKED enum kist_status frame_next_ring(struct view *body,
                                              struct view *out_ring);
KIST_CHECKED enum kist_status
frame_next_prepare(struct view *body, struct frame_ballot *out_ballot);
KIST_CHECKED enum kist_status frame_next_accept(struct view *body,
                                                struct frame_ballot *out_ballot,
                                                struct view *out_ring);
KIST_CHECKED enum kist_status
frame_next_promise(struct view *body, struct frame_promise *out_promise);
KIST_CHECKED enum kist_status frame_next_moves(struct view *body,
                                               uint64_t *out_floor);
KIST_CHECKED enum kist_status frame_next_moved(struct view *body,
                                               struct frame_moved *out_moved);
KIST_CHECKED enum kist_status frame_next_floor(struct view *body,
                                               struct frame_floor *out_floor);
KIST_CHECKED enum kist_status
frame_next_floor_said(struct view *body, enum frame_floor_said *out_said);

/*
 * The answers to the next count items, as they are: for who has sent several
 * messages as one. KIST_CORRUPT: they are cut short. KIST_INVALID: answers of
 * this kind cannot be told apart.
 */
KIST_CHECKED enum kist_status frame_next_answers(enum frame_kind kind,
                                                 struct view *body,
                                                 unsigned count,
                                                 struct view *out_part);

#endif
