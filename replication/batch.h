/*
 * batch - the partitions that an exchange looks through together.
 *
 * A partition is small where there are many: to ask for the keys of one after
 * the other would cost a round trip each, most of them for a handful of keys or
 * none. So the exchange takes as many of those that differ as fit, finds out
 * which parts of them differ, and lists those as if they were one.
 *
 * A partition of which nothing is here is a part as a whole; of the others only
 * the leaves that differ are, which is found out by asking for their sums.
 */
#ifndef KIST_REPLICATION_BATCH_H
#define KIST_REPLICATION_BATCH_H

#include "replication/frame.h"
#include "replication/ring.h"

/*
 * The sums of all leaves of some partitions have to fit into one message, and
 * their parts into another; a peer reads its index once for each part.
 */
#define BATCH_PARTITIONS 64
#define BATCH_PARTS      512

struct batch_share {
    unsigned partition;
    bool is_whole;    /* A part as a whole. */
    bool lacks_file;  /* Something of it could not be brought. */
    unsigned fetched; /* Records, so far. */
};

struct batch {
    struct batch_share shares[BATCH_PARTITIONS]; /* Partitions ascending. */
    unsigned count;
    struct env_part parts[BATCH_PARTS]; /* In the order of their hashes. */
    unsigned part_count;
    unsigned at; /* The first part that is not listed to its end. */
};

void batch_clear(struct batch *batch);

/* One more, behind the others. False: there is no room for it. */
KIST_CHECKED bool batch_add(struct batch *batch, unsigned partition,
                            bool is_whole);

/* Ask for the sums that are needed to know the parts. Gives their number. */
unsigned batch_add_sums(const struct batch *batch, struct blob *out);

/*
 * Now the parts are known: what the peer answered, if it was asked. *differed
 * grows by the leaves that differ. KIST_CORRUPT: the answer is to something
 * else.
 */
KIST_CHECKED enum kist_status batch_read_sums(struct batch *batch,
                                              struct env *env,
                                              const struct frame *answer,
                                              unsigned *differed);

/* All keys up to this one are listed. */
void batch_go_behind(struct batch *batch, const struct ring *ring,
                     struct view key);

/* Of a partition that is in it. */
struct batch_share *batch_share_of(struct batch *batch, unsigned partition);

#endif
