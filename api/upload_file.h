/*
 * upload_file - the body of a PUT on its way into a file.
 *
 *     received --> filling          on the loop, up to UPLOAD_FILE_BUFFER
 *                    | full, and the pool is free
 *                  writing --> JSON check, digests, file    on the pool
 *
 * While one buffer is written the other one fills. If that is full as well,
 * the connection is suspended: a slow disk slows the client down, not the
 * loop, and an upload of any size takes two buffers of --body-memory.
 *
 * The file belongs to its upload until a record names it: what was not told to
 * keep it is removed, whatever way the request went.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_UPLOAD_FILE_H
#define KIST_API_UPLOAD_FILE_H

#include "base/bytes.h"
#include "base/json_type.h"
#include "storage/large_reference.h"

struct exchange;
struct request;
struct upload_file;

/*
 * The head is there and announces a large body: make the file, so that a disk
 * that has no room is an answer before the body. The connection is suspended,
 * and upload_file_status() says how it went. KIST_BUSY: no --body-memory is
 * left for the buffers. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status upload_file_open(struct exchange *exchange);

/*
 * A body whose length is not known grew too large for memory: what
 * exchange->body holds of it is where the file begins. Failures as above.
 */
KIST_CHECKED enum kist_status upload_file_move(struct exchange *exchange);

/*
 * Of all that was done so far; never of what is still in a buffer.
 * KIST_INVALID: not the JSON, or not the bytes of the digest that was sent:
 * upload_file_refuse(). KIST_DISK_FULL, KIST_READ_ONLY, KIST_IO,
 * KIST_NO_MEMORY.
 */
enum kist_status upload_file_status(const struct upload_file *file);

/* Reply why, where the status is another one than KIST_OK. */
void upload_file_refuse(struct upload_file *file, struct request *request);

/*
 * How many of bytes were taken. Fewer than all: the connection is suspended
 * until there is room for the rest.
 */
size_t upload_file_take(struct upload_file *file, struct view bytes);

/*
 * The body is whole: write the rest, check it and sync the file. done is
 * called later, when upload_file_status() says how that went.
 *
 * In a cluster, name says which write it is (boot and serial): the file gets a
 * name made of that and of its bytes, so that the same write, sent again, has
 * the same file. NULL: one of its own.
 */
void upload_file_finish(struct upload_file *file,
                        const struct large_reference *name,
                        void (*done)(struct request *request));

/* Finished: what the record is to hold. Borrowed from the file. */
struct view upload_file_reference(const struct upload_file *file);
enum json_type upload_file_json_type(const struct upload_file *file);

/* A record names the file, or may: it stays. */
void upload_file_keep(struct upload_file *file);

/* The request is over. Takes NULL. */
void upload_file_close(struct upload_file *file);

#endif
