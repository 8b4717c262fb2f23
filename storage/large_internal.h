/*
 * large_internal - the directory of large values, for those who go through it
 * file by file (storage/large_orphans.c, storage/large_scrub.c).
 */
#ifndef KIST_STORAGE_LARGE_INTERNAL_H
#define KIST_STORAGE_LARGE_INTERNAL_H

#include "storage/large.h"

enum { LARGE_PLACES = 256 };

/* The descriptor of large/, open as long as large is. */
int large_directory(const struct large *large);

/* What all files of this process are called by. */
uint64_t large_boot(const struct large *large);

/* Remove the file now. False: it is still there; errno says why. Blocks. */
KIST_CHECKED bool large_remove(struct large *large,
                               const struct large_reference *reference);

#endif
