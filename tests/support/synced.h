/*
 * synced - which bytes of its files a process has made durable.
 *
 * tests/support/fault.c notes what it sees opened and synced; from that a copy
 * can be made as a power cut would leave the directory. The notes are shared
 * with processes forked later. Names of files are taken for durable at once.
 *
 * Threads: notes from any; the copy while nobody writes.
 */
#ifndef KIST_TESTS_SUPPORT_SYNCED_H
#define KIST_TESTS_SUPPORT_SYNCED_H

#include <stdint.h>
#include <sys/types.h>

/* Notes are taken from now on. */
void synced_begin(void);

/* Just opened for writing: if it is empty, all of it is to be synced. */
void synced_note_open(int file);

/* Before a sync its size; after one that worked, that this size is durable. */
off_t synced_size(int file);
void synced_note(int file, off_t size);

/*
 * Everything under from to a new to. Of what was not synced of a file there
 * is nothing, all, a part, or zeros in its place: random chooses.
 */
void synced_copy_tree(const char *from, const char *to, uint64_t random);

#endif
