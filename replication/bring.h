/*
 * bring - the file of a large value that has reached this node's replication,
 * and that this node does not have: who is asked for it.
 *
 * A record of a large value names a file (storage/large_reference.h), and is
 * taken in only where that file is. So whoever takes records in has the file
 * fetched by the node that lacks it, from whoever sent the record, or any other
 * owner of the key; then the record is taken in as any other. Files are pulled
 * and not pushed because then one rule is enough for writes, hints, repairs,
 * comparisons and new owners: a record may come first, from anybody, twice or
 * much later, and only who lacks the file knows that. It is the receiver, too,
 * who knows how much room there is and whether it got the right bytes.
 */
#ifndef KIST_REPLICATION_BRING_H
#define KIST_REPLICATION_BRING_H

#include "replication/seat.h"

/*
 * The members that may have the file of a large record, but for this node:
 * `from`, unless 0, then the owners of its key, those first that answer.
 * KIST_CORRUPT: the record has none.
 */
KIST_CHECKED enum kist_status bring_plan(const struct seat *seat,
                                         struct view key,
                                         const struct record *record,
                                         uint64_t from,
                                         struct env_bring *out_bring);

/* env_ops.bring with that. */
KIST_CHECKED enum kist_status bring_file(struct seat *seat, struct view key,
                                         const struct record *record,
                                         uint64_t from, uint64_t *out_progress);

#endif
