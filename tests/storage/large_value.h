/*
 * large_value - values in files, for tests: made, put under keys, looked up.
 */
#ifndef KIST_TESTS_STORAGE_LARGE_VALUE_H
#define KIST_TESTS_STORAGE_LARGE_VALUE_H

#include "storage/large.h"
#include "tests/storage/node.h"

/* A whole file with the text repeated until it has size bytes. */
KIST_CHECKED enum kist_status large_value_make(struct large *large,
                                               const char *text, size_t size,
                                               struct large_reference *out);

/* A put of such a value; *bytes holds the reference and ends in blob_free(). */
struct write large_value_put(const char *key,
                             const struct large_reference *reference,
                             struct blob *bytes);

/*
 * Make it and put it, durably. What the maker owes is done: the file is
 * dropped if the write failed for sure.
 */
KIST_CHECKED enum kist_status large_value_store(struct node *node,
                                                const char *key,
                                                const char *text, size_t size);

/* The living value of key is the text repeated; text NULL: there is none. */
bool large_value_is(struct node *node, const char *key, const char *text,
                    size_t size);

/* The path of the file, in out_path. */
void large_value_path(const char *path, const struct large_reference *reference,
                      char out_path[160]);

/* The reference of key's record, which must be large. */
struct large_reference large_value_of(struct node *node, const char *key);

#endif
