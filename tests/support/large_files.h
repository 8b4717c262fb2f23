/*
 * large_files - the files of large values in a data directory, seen from
 * outside of the node that it belongs to.
 */
#ifndef KIST_TESTS_SUPPORT_LARGE_FILES_H
#define KIST_TESTS_SUPPORT_LARGE_FILES_H

#include <stddef.h>

/*
 * How many there are in a folder of large/: "incoming", "damaged"; NULL: in
 * all the places where records find them. None where there is no folder.
 */
size_t large_files_count(const char *data, const char *folder);

/* Remove those that records find. */
void large_files_lose(const char *data);

#endif
