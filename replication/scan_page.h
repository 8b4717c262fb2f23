/*
 * scan_page - some of one node's records, in the order of their keys.
 *
 * What a listing over a cluster is made of (replication/cluster_scan.h). Only
 * records of partitions that the node owns are in it, for what else lies in
 * its store may be old; and dead ones too, which may be newer than a living
 * one elsewhere. A page says how far it goes: between where it was to begin
 * and there, the node has nothing else.
 *
 * Of a large value the node has the file, and whoever asks may not: if values
 * are wanted, and it is not too large for that, its record has the bytes here.
 *
 * As items of a frame, all numbers big-endian:
 *   scan      flags (1: 1 reverse, 2 values) limit (2) value limit (4)
 *             lower size (2) lower upper size (2) upper
 *   page      a record each: key size (2) key value size (8) record size (4)
 *             record, which is without its value unless values were wanted;
 *             then done (1) place size (2) place
 *
 * Threads: any, each page one at a time.
 */
#ifndef KIST_REPLICATION_SCAN_PAGE_H
#define KIST_REPLICATION_SCAN_PAGE_H

#include "replication/frame.h"
#include "replication/ring.h"

#define SCAN_PAGE_RECORDS FRAME_ITEMS_MAX
#define SCAN_PAGE_BYTES   (256u << 10) /* Then one more record. */
#define SCAN_PAGE_STEPS   10000        /* Records that are looked at. */

void scan_page_add_range(const struct env_scan_range *range, struct blob *out);

/* KIST_CORRUPT: it is cut short, or says what cannot be. Borrows *body. */
KIST_CHECKED enum kist_status
scan_page_next_range(struct view *body, struct env_scan_range *out_range);

/*
 * For env_ops.scan, on a thread that may block: the page of a node with this
 * store, and scan->status: KIST_OK; as scan_run() (storage/scan.h) fails.
 */
void scan_page_fill(struct env_scan *scan, struct store *store, uint64_t self);

/* Whether the node owns this key, now and not only after a change. */
bool scan_page_owns(const struct env_scan *scan, uint64_t self,
                    struct view key);

/* The parts of that, for who has no such store. True: the page is full. */
bool scan_page_add(struct env_scan *scan, struct view key,
                   const struct record *record);
/* last: empty, or a key; all up to it was looked at. */
void scan_page_end(struct env_scan *scan, bool is_done, struct view last);

struct scan_page_record {
    struct view key;
    struct record record; /* value.data NULL: only its size is known. */
};

/* The records of a page, one after the other; there are as many as it says. */
KIST_CHECKED enum kist_status
scan_page_next(struct view *body, struct scan_page_record *out_record);

/* And what follows them: *out_place is the bound to go on from, if not done. */
KIST_CHECKED enum kist_status scan_page_last(struct view *body, bool *out_done,
                                             struct view *out_place);

#endif
