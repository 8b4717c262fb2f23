/*
 * mend - a record of this node that cannot be read any more: other owners have
 * it.
 *
 * The other owners are read from, as a majority, and what is newest there is
 * stored here. A damaged copy has no vote in that and goes to nobody, and the
 * store replaces it by the same version or a newer one only: where the others
 * have nothing as new, it stays what it is.
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_MEND_H
#define KIST_REPLICATION_MEND_H

#include "replication/quorum_read.h"

struct mend {
    /* Set by the caller, who keeps all of it until done. */
    struct view key;
    uint64_t timeout_ms;
    void (*done)(struct mend *mend);

    /* KIST_OK: it can be read again. KIST_NOT_FOUND: nobody has it, or the file
     * of its large value is not here. KIST_CORRUPT: nobody has it as new.
     * KIST_BUSY: too few answered. */
    enum kist_status status;

    /* Its own. */
    struct seat *seat;
    struct quorum_read read;
    struct blob record;
    struct env_apply apply;
};

/* KIST_BUSY: this node is no owner of it, or too few others are there;
 * KIST_NO_MEMORY. No callback then. */
KIST_CHECKED enum kist_status mend_start(struct mend *mend, struct seat *seat);

#endif
