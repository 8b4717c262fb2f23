/*
 * transport_files - files of large values, fetched from peers over HTTP
 * (replication/transport_fetch.h).
 *
 * A file is fetched by one of a few threads, which write what comes to the
 * disk at once: a transfer takes memory for one buffer, whatever the file's
 * size is, and a slow disk slows its peer down. Wherever it stops, the next
 * source goes on from there, since a file never changes. When all has come it
 * is checked against the reference, synced, and put into its place
 * (large_finish_as()). What crashes leave is in large/incoming.
 *
 * Each file is fetched once at a time, whoever asks and however often. A
 * transfer has no deadline of its own, but ends when nothing comes for a while.
 *
 * Threads: any. transport_files_read() blocks, and belongs on the pool.
 */
#ifndef KIST_REPLICATION_TRANSPORT_FILES_H
#define KIST_REPLICATION_TRANSPORT_FILES_H

#include "base/metric.h"
#include "replication/env.h"

enum {
    TRANSPORT_FILES_THREADS = 8,    /* So many files at a time. */
    TRANSPORT_FILES_WAITING = 1024, /* What else is asked for waits here. */
};

struct transport_files;

struct transport_files_stats {
    struct counter fetched; /* Files. */
    struct counter failed;  /* From no source. */
    struct counter bytes;   /* Received, also of those that failed. */
    struct gauge running;
    struct gauge waiting;
};

struct transport_files_options {
    struct large *large;                 /* Kept. */
    const char *secret;                  /* "": none. Copied. */
    uint64_t kept_ms;                    /* transport_files_take_old() */
    struct transport_files_stats *stats; /* Kept. */
};

/* Ends in transport_files_close(). KIST_IO: no threads, or no libcurl. */
KIST_CHECKED enum kist_status
transport_files_open(const struct transport_files_options *options,
                     struct transport_files **out_files);

/* As env_ops.bring. */
enum kist_status transport_files_bring(struct transport_files *files,
                                       const struct env_bring *bring,
                                       uint64_t *out_progress);

/*
 * So many bytes of a file, from offset on, into room, from the first source
 * that has them. KIST_NOT_FOUND: none has the file. KIST_IO, KIST_NO_MEMORY.
 * They are not checked: one piece has no checksum. Blocks, for some seconds
 * with each source that is silent.
 */
KIST_CHECKED enum kist_status
transport_files_read(struct transport_files *files,
                     const struct env_bring *bring, uint64_t offset,
                     size_t size, char *room);

/*
 * One that was fetched kept_ms ago or more, each once: whoever wanted it has
 * had the time to take its record in. If nobody did, because the write failed
 * or its sender died, it is left over (storage/large_leftover.h). False: there
 * is none. Of very many in a short time some are left to the next start.
 */
KIST_CHECKED bool transport_files_take_old(struct transport_files *files,
                                           struct large_reference *out_file);

/* What is under way ends soon, and fails, as does what is asked for later. */
void transport_files_stop(struct transport_files *files);

/* Nobody asks any more. Waits for the threads. Takes NULL. */
void transport_files_close(struct transport_files *files);

#endif
