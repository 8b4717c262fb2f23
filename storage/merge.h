/*
 * merge - which of two records of one key stays: the one rule of replication.
 *
 * Copies of a record reach a node in any order and any number of times: from a
 * client's write, a hint, a repair, a comparison, a stream. All of them are
 * kept or dropped by this order alone, so nodes that have seen the same
 * records hold the same one, whatever the order was.
 */
#ifndef KIST_STORAGE_MERGE_H
#define KIST_STORAGE_MERGE_H

#include "storage/record.h"

/*
 * Below 0: b stays, above: a stays; 0: they are the same in every byte. The
 * higher version wins. Two records of one version should not exist, but if
 * they do, every node must choose the same one: a tombstone, then the rest of
 * the record, field by field.
 */
int merge_compare(const struct record *a, const struct record *b);

/*
 * Nobody needs the record any more once all owners have everything below
 * floor: it was dead then. By record and floor alone, so that all decide alike.
 */
bool merge_may_purge(const struct record *record, struct version floor);

#endif
