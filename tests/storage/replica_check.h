/*
 * replica_check - a store of a cluster against its own records: each has its
 * entry in the index, there is no other one, and the sums are those of the
 * records.
 */
#ifndef KIST_TESTS_STORAGE_REPLICA_CHECK_H
#define KIST_TESTS_STORAGE_REPLICA_CHECK_H

#include "storage/store.h"

/* What is wrong, in words that live until the next call; NULL: nothing. */
const char *replica_check(struct store *store, uint64_t cluster);

#endif
